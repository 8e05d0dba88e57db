//! Lists directories.
//!
//! A listing starts at cookie 0 with the names that the directory has then, `.` and `..` first,
//! the others sorted. A cookie is a position in that listing, so entries that go meanwhile make
//! it skip none of the others.

use std::sync::Arc;

use super::Call;
use crate::wasi::abi::{Errno, FileType, Outcome, encode_dirent, rights};
use crate::wasi::content::byte_count;
use crate::wasi::descriptors::Object;
use crate::wasi::files::NodeId;
use crate::wasi::limits::STEP_FUEL;

/// How many entries stand before the names of a directory.
const DOTS: u64 = 2;

pub(super) fn fd_readdir(call: &mut Call<'_>) -> Outcome {
    call.check_result(4, 4)?;
    let (pointer, room, cookie) = (call.u32(1), u64::from(call.u32(2)), call.u64(3));
    call.memory.range(pointer, room)?;
    let directory = call.directory(0, rights::FD_READDIR)?;
    let names = listing(call, directory, cookie)?;
    let mut position = cookie;
    let mut used = 0;
    while used < room {
        call.meter.charge(STEP_FUEL)?;
        let entry = match entry_at(call, directory, &names, position) {
            Listed::Entry(name, inode, file_type) => Some((name, inode, file_type)),
            Listed::Gone => None,
            Listed::End => break,
        };
        position += 1;
        let Some((name, inode, file_type)) = entry else { continue };
        let length = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
        let head = encode_dirent(position, inode, length, file_type);
        for part in [&head[..], name.as_bytes()] {
            used += write_part(call, pointer, used, room, part)?;
        }
    }
    let used = u32::try_from(used).map_err(|_| Errno::Overflow)?;
    Ok(call.memory.write_u32(call.u32(4), used)?)
}

/// Writes as much of `part` at `used` bytes after `pointer` as there is room for.
fn write_part(
    call: &mut Call<'_>,
    pointer: u32,
    used: u64,
    room: u64,
    part: &[u8],
) -> Outcome<u64> {
    let length = byte_count(part).min(room - used);
    call.meter.charge_bytes(length)?;
    let at = u64::from(pointer) + used;
    let at = u32::try_from(at).map_err(|_| Errno::Fault)?;
    let size = usize::try_from(length).map_err(|_| Errno::Fault)?;
    call.memory.write(at, &part[..size])?;
    Ok(length)
}

/// What stands at a position of a listing.
enum Listed<'a> {
    Entry(&'a str, u64, FileType),
    Gone,
    End,
}

fn entry_at<'a>(
    call: &Call<'_>,
    directory: NodeId,
    names: &'a [Arc<str>],
    position: u64,
) -> Listed<'a> {
    let files = &call.host.files;
    match position {
        0 => return Listed::Entry(".", directory.inode(), FileType::Directory),
        1 => {
            let parent = files.directory(directory).map_or(directory, |found| found.parent);
            return Listed::Entry("..", parent.inode(), FileType::Directory);
        }
        _ => {}
    }
    let index = usize::try_from(position - DOTS).unwrap_or(usize::MAX);
    let Some(name) = names.get(index) else { return Listed::End };
    match files.lookup(directory, name) {
        Some(id) => Listed::Entry(name, id.inode(), files.node(id).file_type()),
        None => Listed::Gone,
    }
}

/// Returns the names of the listing in progress; starts one at cookie 0.
fn listing(call: &mut Call<'_>, directory: NodeId, cookie: u64) -> Outcome<Arc<[Arc<str>]>> {
    let fd = call.u32(0);
    if cookie > 0
        && let Object::Directory { listing: Some(names), .. } =
            &call.host.descriptors.get(fd)?.object
    {
        return Ok(Arc::clone(names));
    }
    let entries = &call.host.files.directory(directory)?.entries;
    let steps = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    call.meter.charge(steps.saturating_mul(STEP_FUEL))?;
    call.host.descriptors.check_listing(fd, entries.len())?;
    let names: Arc<[Arc<str>]> = entries.keys().cloned().collect();
    if let Object::Directory { listing, .. } = &mut call.host.descriptors.get_mut(fd)?.object {
        *listing = Some(Arc::clone(&names));
    }
    Ok(names)
}
