//! What files are: their size, times, identity.

use super::Call;
use crate::wasi::abi::{Errno, FileStat, Outcome, rights, time_flags};
use crate::wasi::descriptors::{Descriptor, Object};
use crate::wasi::files::{FileSystem, NodeId, Tree};
use crate::wasi::limits::OFFSET_MAX;

pub(super) fn fd_filestat_get(call: &mut Call<'_>) -> Outcome {
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    descriptor.require(rights::FD_FILESTAT_GET)?;
    let stat = match descriptor.node() {
        Some(node) => call.host.files.stat(node),
        None => stream_stat(descriptor),
    };
    Ok(call.memory.write(call.u32(1), &stat.encode())?)
}

/// Returns what the guest learns of a standard stream.
fn stream_stat(descriptor: &Descriptor) -> FileStat {
    const STREAM_DEVICE: u64 = 3;
    FileStat {
        device: STREAM_DEVICE,
        inode: match descriptor.object {
            Object::Stdin => 1,
            Object::Stdout => 2,
            _ => 3,
        },
        file_type: descriptor.file_type(),
        links: 1,
        size: 0,
        accessed: 0,
        modified: 0,
        changed: 0,
    }
}

pub(super) fn path_filestat_get(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_FILESTAT_GET)?;
    let follow = call.follow(1)?;
    call.check_result(4, 64)?;
    let node = call.place(directory, 2, follow)?.existing()?;
    let stat = call.host.files.stat(node);
    Ok(call.memory.write(call.u32(4), &stat.encode())?)
}

pub(super) fn fd_filestat_set_times(call: &mut Call<'_>) -> Outcome {
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    descriptor.require(rights::FD_FILESTAT_SET_TIMES)?;
    let node = descriptor.node().ok_or(Errno::Invalid)?;
    let change = TimesChange::parse(call, [1, 2, 3])?;
    Ok(change.apply(&mut call.host.files, node)?)
}

pub(super) fn path_filestat_set_times(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_FILESTAT_SET_TIMES)?;
    let follow = call.follow(1)?;
    let change = TimesChange::parse(call, [4, 5, 6])?;
    let node = call.place(directory, 2, follow)?.existing()?;
    Ok(change.apply(&mut call.host.files, node)?)
}

/// Which times to set, and to what.
struct TimesChange {
    accessed: Option<u64>,
    modified: Option<u64>,
    now: u64,
}

impl TimesChange {
    /// Parses the arguments at which the two times and the flags stand.
    fn parse(call: &Call<'_>, [accessed, modified, flags]: [usize; 3]) -> Result<Self, Errno> {
        let flags = call.flags(flags, time_flags::ALL)?;
        let now = call.now();
        let choose = |given: u64, set: u16, set_now: u16| match (flags & set, flags & set_now) {
            (0, 0) => Ok(None),
            (_, 0) => Ok(Some(given)),
            (0, _) => Ok(Some(now)),
            _ => Err(Errno::Invalid),
        };
        Ok(Self {
            accessed: choose(call.u64(accessed), time_flags::ACCESS, time_flags::ACCESS_NOW)?,
            modified: choose(
                call.u64(modified),
                time_flags::MODIFICATION,
                time_flags::MODIFICATION_NOW,
            )?,
            now,
        })
    }

    fn apply(&self, files: &mut FileSystem, id: NodeId) -> Result<(), Errno> {
        let node = files.node_mut(id);
        if node.tree == Tree::Inputs {
            return Err(Errno::ReadOnly);
        }
        let times = &mut node.times;
        times.accessed = self.accessed.unwrap_or(times.accessed);
        times.modified = self.modified.unwrap_or(times.modified);
        times.changed = self.now;
        Ok(())
    }
}

pub(super) fn fd_filestat_set_size(call: &mut Call<'_>) -> Outcome {
    let node = sized_file(call, rights::FD_FILESTAT_SET_SIZE)?;
    let size = call.u64(1);
    if size > OFFSET_MAX {
        return Err(Errno::Invalid.into());
    }
    let now = call.now();
    call.host.files.resize(node, size, call.meter)?;
    call.host.files.mark_written(node, now);
    Ok(())
}

/// Makes the file at least as long as the range reaches.
pub(super) fn fd_allocate(call: &mut Call<'_>) -> Outcome {
    let node = sized_file(call, rights::FD_ALLOCATE)?;
    let (offset, length) = (call.u64(1), call.u64(2));
    if length == 0 || offset > OFFSET_MAX || length > OFFSET_MAX {
        return Err(Errno::Invalid.into());
    }
    let end = offset + length;
    if end > OFFSET_MAX {
        return Err(Errno::TooLarge.into());
    }
    if end > call.host.files.content(node)?.length() {
        let now = call.now();
        call.host.files.resize(node, end, call.meter)?;
        call.host.files.mark_written(node, now);
    }
    Ok(())
}

/// Returns the regular file that argument 0 holds open, with the right `needed`.
fn sized_file(call: &Call<'_>, needed: u64) -> Result<NodeId, Errno> {
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    match descriptor.object {
        Object::File { node, .. } => descriptor.require(needed).map(|()| node),
        Object::Directory { .. } => Err(Errno::BadDescriptor),
        Object::Stdin | Object::Stdout | Object::Stderr => Err(Errno::Invalid),
    }
}
