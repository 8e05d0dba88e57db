//! Calls on descriptors as such: their state, flags, rights, numbers.

use super::Call;
use crate::wasi::abi::{Errno, Outcome, descriptor_flags, encode_fdstat, rights};
use crate::wasi::descriptors::Object;

pub(super) fn fd_advise(call: &mut Call<'_>) -> Outcome {
    const ADVICE_MAX: u32 = 5;
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    if matches!(descriptor.object, Object::Directory { .. }) {
        return Err(Errno::BadDescriptor.into());
    }
    if descriptor.node().is_none() {
        return Err(Errno::NotSeekable.into());
    }
    descriptor.require(rights::FD_ADVISE)?;
    if call.u32(3) > ADVICE_MAX || call.u64(1).checked_add(call.u64(2)).is_none() {
        return Err(Errno::Invalid.into());
    }
    Ok(())
}

pub(super) fn fd_sync(call: &mut Call<'_>) -> Outcome {
    synchronise(call, rights::FD_SYNC)
}

pub(super) fn fd_datasync(call: &mut Call<'_>) -> Outcome {
    synchronise(call, rights::FD_DATASYNC)
}

/// All content is in memory, so there is nothing to wait for.
fn synchronise(call: &Call<'_>, needed: u64) -> Outcome {
    let descriptor = call.host.descriptors.get(call.u32(0))?;
    if descriptor.node().is_none() {
        return Err(Errno::Invalid.into());
    }
    Ok(descriptor.require(needed)?)
}

pub(super) fn fd_close(call: &mut Call<'_>) -> Outcome {
    let closed = call.host.descriptors.close(call.u32(0))?;
    if let Some(node) = closed.node() {
        call.host.files.release(node);
    }
    Ok(())
}

pub(super) fn fd_renumber(call: &mut Call<'_>) -> Outcome {
    let replaced = call.host.descriptors.renumber(call.u32(0), call.u32(1))?;
    if let Some(node) = replaced.and_then(|descriptor| descriptor.node()) {
        call.host.files.release(node);
    }
    Ok(())
}

pub(super) fn fd_fdstat_get(call: &mut Call<'_>) -> Outcome {
    let open = call.host.descriptors.get(call.u32(0))?;
    let stat = encode_fdstat(open.file_type(), open.flags, open.base, open.inherited);
    Ok(call.memory.write(call.u32(1), &stat)?)
}

pub(super) fn fd_fdstat_set_flags(call: &mut Call<'_>) -> Outcome {
    let flags = call.flags(1, descriptor_flags::ALL)?;
    let fd = call.u32(0);
    let descriptor = call.host.descriptors.get_mut(fd)?;
    descriptor.require(rights::FD_FDSTAT_SET_FLAGS)?;
    descriptor.flags = flags;
    Ok(())
}

/// Rights can be dropped and never gained.
pub(super) fn fd_fdstat_set_rights(call: &mut Call<'_>) -> Outcome {
    let (fd, base, inherited) = (call.u32(0), call.u64(1), call.u64(2));
    let descriptor = call.host.descriptors.get_mut(fd)?;
    if base & !descriptor.base != 0 || inherited & !descriptor.inherited != 0 {
        return Err(Errno::NotCapable.into());
    }
    descriptor.base = base;
    descriptor.inherited = inherited;
    Ok(())
}

pub(super) fn fd_prestat_get(call: &mut Call<'_>) -> Outcome {
    let name = preopen_name(call)?;
    let length = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
    let [a, b, c, d] = length.to_le_bytes();
    Ok(call.memory.write(call.u32(1), &[0, 0, 0, 0, a, b, c, d])?)
}

pub(super) fn fd_prestat_dir_name(call: &mut Call<'_>) -> Outcome {
    let name = preopen_name(call)?;
    let room = usize::try_from(call.u32(2)).unwrap_or(usize::MAX);
    if room < name.len() {
        return Err(Errno::NameTooLong.into());
    }
    Ok(call.memory.write(call.u32(1), name.as_bytes())?)
}

fn preopen_name(call: &Call<'_>) -> Result<&'static str, Errno> {
    call.host.descriptors.get(call.u32(0))?.preopen.ok_or(Errno::BadDescriptor)
}
