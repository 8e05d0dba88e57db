//! Reads, writes and offsets.

use super::Call;
use crate::wasi::abi::{Errno, Outcome, descriptor_flags, rights};
use crate::wasi::content::byte_count;
use crate::wasi::descriptors::{Descriptor, Object};
use crate::wasi::files::{FileSystem, NodeId};
use crate::wasi::limits::{BUFFERS_MAX, OFFSET_MAX};
use crate::wasi::memory::{Buffers, Memory};
use crate::wasi::{Sink, Streams};
use crate::wasm::engine::{HostAbort, HostTrap, Meter};

pub(super) fn fd_read(call: &mut Call<'_>) -> Outcome {
    let buffers = take_buffers(call, 3)?;
    let fd = call.u32(0);
    let host = &mut *call.host;
    let descriptor = host.descriptors.get_mut(fd)?;
    check_transfer(descriptor, rights::FD_READ)?;
    let count = match &mut descriptor.object {
        Object::Directory { .. } | Object::Stdout | Object::Stderr => {
            return Err(Errno::BadDescriptor.into());
        }
        Object::Stdin => read_stdin(&mut host.streams, &buffers, &mut call.memory, call.meter)?,
        Object::File { node, offset } => {
            let read =
                read_file(&host.files, *node, *offset, &buffers, &mut call.memory, call.meter)?;
            *offset = offset.saturating_add(read);
            read
        }
    };
    write_count(call, 3, count)
}

pub(super) fn fd_pread(call: &mut Call<'_>) -> Outcome {
    let buffers = take_buffers(call, 4)?;
    let (node, at) = positioned(call, rights::FD_READ)?;
    let count = read_file(&call.host.files, node, at, &buffers, &mut call.memory, call.meter)?;
    write_count(call, 4, count)
}

pub(super) fn fd_write(call: &mut Call<'_>) -> Outcome {
    let buffers = take_buffers(call, 3)?;
    let (fd, now) = (call.u32(0), call.now());
    let host = &mut *call.host;
    let descriptor = host.descriptors.get_mut(fd)?;
    check_transfer(descriptor, rights::FD_WRITE)?;
    let append = descriptor.flags & descriptor_flags::APPEND != 0;
    let count = match &mut descriptor.object {
        Object::Directory { .. } | Object::Stdin => return Err(Errno::BadDescriptor.into()),
        Object::Stdout => host.streams.stdout.write(&buffers, &call.memory, call.meter)?,
        Object::Stderr => host.streams.stderr.write(&buffers, &call.memory, call.meter)?,
        Object::File { node, offset } => {
            let at = if append { host.files.content(*node)?.length() } else { *offset };
            let written =
                write_file(&mut host.files, *node, at, &buffers, &call.memory, call.meter)?;
            *offset = at.saturating_add(written);
            host.files.mark_written(*node, now);
            written
        }
    };
    write_count(call, 3, count)
}

/// Writes at the given offset even if the descriptor appends, as POSIX has it.
pub(super) fn fd_pwrite(call: &mut Call<'_>) -> Outcome {
    let buffers = take_buffers(call, 4)?;
    let (node, at) = positioned(call, rights::FD_WRITE)?;
    let now = call.now();
    let files = &mut call.host.files;
    let count = write_file(files, node, at, &buffers, &call.memory, call.meter)?;
    files.mark_written(node, now);
    write_count(call, 4, count)
}

pub(super) fn fd_seek(call: &mut Call<'_>) -> Outcome {
    const SET: u32 = 0;
    const CURRENT: u32 = 1;
    const END: u32 = 2;
    call.check_result(3, 8)?;
    let (fd, distance, whence) = (call.u32(0), call.u64(1).cast_signed(), call.u32(2));
    let host = &mut *call.host;
    let descriptor = host.descriptors.get_mut(fd)?;
    let (base, node, offset) = file_of(descriptor.base, &mut descriptor.object)?;
    let tells = whence == CURRENT && distance == 0;
    if base & rights::FD_SEEK == 0 && !(tells && base & rights::FD_TELL != 0) {
        return Err(Errno::NotCapable.into());
    }
    let from = match whence {
        SET => 0,
        CURRENT => *offset,
        END => host.files.content(node)?.length(),
        _ => return Err(Errno::Invalid.into()),
    };
    let target = from.checked_add_signed(distance).ok_or(Errno::Invalid)?;
    if target > OFFSET_MAX {
        return Err(Errno::Invalid.into());
    }
    *offset = target;
    Ok(call.memory.write_u64(call.u32(3), target)?)
}

pub(super) fn fd_tell(call: &mut Call<'_>) -> Outcome {
    let fd = call.u32(0);
    let descriptor = call.host.descriptors.get_mut(fd)?;
    let (base, _, offset) = file_of(descriptor.base, &mut descriptor.object)?;
    if base & rights::FD_TELL == 0 {
        return Err(Errno::NotCapable.into());
    }
    let offset = *offset;
    Ok(call.memory.write_u64(call.u32(1), offset)?)
}

/// Checks that bytes can go through the descriptor in the direction of `needed`.
const fn check_transfer(descriptor: &Descriptor, needed: u64) -> Result<(), Errno> {
    match descriptor.object {
        Object::Directory { .. } => Err(Errno::BadDescriptor),
        _ => descriptor.require(needed),
    }
}

/// Returns the parts of a descriptor of a regular file, or why it cannot be sought.
fn file_of(base: u64, object: &mut Object) -> Result<(u64, NodeId, &mut u64), Errno> {
    match object {
        Object::File { node, offset } => Ok((base, *node, offset)),
        Object::Directory { .. } => Err(Errno::BadDescriptor),
        Object::Stdin | Object::Stdout | Object::Stderr => Err(Errno::NotSeekable),
    }
}

/// Returns the file and offset of a positioned transfer, `(fd, buffers, count, offset, result)`.
fn positioned(call: &Call<'_>, needed: u64) -> Result<(NodeId, u64), Errno> {
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    match descriptor.object {
        Object::File { node, .. } => {
            descriptor.require(needed)?;
            let at = call.u64(3);
            if at > OFFSET_MAX { Err(Errno::Invalid) } else { Ok((node, at)) }
        }
        Object::Directory { .. } => Err(Errno::BadDescriptor),
        Object::Stdin | Object::Stdout | Object::Stderr => Err(Errno::NotSeekable),
    }
}

/// Returns the buffers at arguments 1 and 2; checks where the count at `result` goes.
fn take_buffers(call: &mut Call<'_>, result: usize) -> Outcome<Buffers> {
    call.host.descriptors.get(call.u32(0))?;
    call.check_result(result, 4)?;
    let count = call.u32(2);
    if count > BUFFERS_MAX {
        return Err(Errno::Invalid.into());
    }
    call.meter.charge_bytes(u64::from(count) * 8)?;
    Ok(call.memory.buffers(call.u32(1), count)?)
}

fn write_count(call: &mut Call<'_>, result: usize, count: u64) -> Outcome {
    let count = u32::try_from(count).map_err(|_| Errno::Overflow)?;
    Ok(call.memory.write_u32(call.u32(result), count)?)
}

/// The most bytes of one transfer: the count that the guest gets has 32 bits.
fn transfer_length(wanted: u64, available: u64) -> u64 {
    wanted.min(available).min(u32::MAX.into())
}

fn read_stdin(
    streams: &mut Streams,
    buffers: &Buffers,
    memory: &mut Memory<'_>,
    meter: &mut Meter,
) -> Outcome<u64> {
    let rest = streams.stdin.get(streams.stdin_read..).unwrap_or(&[]);
    let count = scatter(rest, buffers, memory, meter)?;
    streams.stdin_read += usize::try_from(count).map_err(|_| Errno::Overflow)?;
    Ok(count)
}

fn read_file(
    files: &FileSystem,
    node: NodeId,
    at: u64,
    buffers: &Buffers,
    memory: &mut Memory<'_>,
    meter: &mut Meter,
) -> Outcome<u64> {
    let bytes = files.content(node)?.as_slice();
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    scatter(bytes.get(start..).unwrap_or(&[]), buffers, memory, meter)
}

/// Copies from `source` to the guest's buffers, as much as fits.
fn scatter(
    source: &[u8],
    buffers: &Buffers,
    memory: &mut Memory<'_>,
    meter: &mut Meter,
) -> Outcome<u64> {
    let count = transfer_length(buffers.total, byte_count(source));
    meter.charge_bytes(count)?;
    let mut rest = source;
    for range in buffers.first(count) {
        let (now, later) = rest.split_at(range.len());
        memory.at_mut(range)?.copy_from_slice(now);
        rest = later;
    }
    Ok(count)
}

fn write_file(
    files: &mut FileSystem,
    node: NodeId,
    at: u64,
    buffers: &Buffers,
    memory: &Memory<'_>,
    meter: &mut Meter,
) -> Outcome<u64> {
    if buffers.total == 0 {
        return Ok(0);
    }
    let room = files.length_max(node)?.saturating_sub(at);
    let count = transfer_length(buffers.total, room);
    if count == 0 {
        return Err(Errno::NoSpace.into());
    }
    meter.charge_bytes(count)?;
    let bytes = files.grow(node, at + count, meter)?;
    let start = usize::try_from(at).map_err(|_| Errno::TooLarge)?;
    let mut rest = bytes.get_mut(start..).ok_or(Errno::TooLarge)?;
    for range in buffers.first(count) {
        let (now, later) = rest.split_at_mut(range.len());
        now.copy_from_slice(memory.at(range)?);
        rest = later;
    }
    Ok(count)
}

impl Sink {
    /// Returns how many bytes the limit leaves room for.
    pub(super) fn room(&self) -> u64 {
        self.bytes_max.saturating_sub(byte_count(&self.bytes))
    }

    /// Appends the guest's buffers, as much as the limit leaves room for.
    fn write(&mut self, buffers: &Buffers, memory: &Memory<'_>, meter: &mut Meter) -> Outcome<u64> {
        let count = transfer_length(buffers.total, self.room());
        if count == 0 && buffers.total > 0 {
            return Err(Errno::NoSpace.into());
        }
        meter.charge_bytes(count)?;
        let size = usize::try_from(count).map_err(|_| Errno::TooLarge)?;
        self.bytes.try_reserve(size).map_err(|_| HostTrap::Abort(HostAbort::OutOfMemory))?;
        for range in buffers.first(count) {
            self.bytes.extend_from_slice(memory.at(range)?);
        }
        Ok(count)
    }
}
