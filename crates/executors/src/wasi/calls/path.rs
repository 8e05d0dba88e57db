//! Makes, moves, removes and reads directory entries.

use super::Call;
use crate::wasi::abi::{Errno, Outcome, rights};
use crate::wasi::content::byte_count;
use crate::wasi::files::NodeKind;
use crate::wasi::paths::Follow;

pub(super) fn path_create_directory(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_CREATE_DIRECTORY)?;
    let place = call.place(directory, 1, Follow::UnlessLast)?;
    let now = call.now();
    call.host.files.create_directory(&place, now)?;
    Ok(())
}

pub(super) fn path_remove_directory(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_REMOVE_DIRECTORY)?;
    let place = call.place(directory, 1, Follow::UnlessLast)?;
    let now = call.now();
    Ok(call.host.files.remove_directory(&place, now)?)
}

pub(super) fn path_unlink_file(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_UNLINK_FILE)?;
    let place = call.place(directory, 1, Follow::UnlessLast)?;
    let now = call.now();
    Ok(call.host.files.unlink(&place, now)?)
}

pub(super) fn path_link(call: &mut Call<'_>) -> Outcome {
    let source = call.directory(0, rights::PATH_LINK_SOURCE)?;
    let target = call.directory(4, rights::PATH_LINK_TARGET)?;
    let follow = call.follow(1)?;
    let node = call.place(source, 2, follow)?.existing()?;
    let place = call.place(target, 5, Follow::UnlessLast)?;
    let now = call.now();
    Ok(call.host.files.link(node, &place, now)?)
}

pub(super) fn path_rename(call: &mut Call<'_>) -> Outcome {
    let source = call.directory(0, rights::PATH_RENAME_SOURCE)?;
    let target = call.directory(3, rights::PATH_RENAME_TARGET)?;
    let from = call.place(source, 1, Follow::UnlessLast)?;
    let to = call.place(target, 4, Follow::UnlessLast)?;
    let now = call.now();
    call.host.files.rename(&from, &to, now, call.meter)
}

pub(super) fn path_symlink(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(2, rights::PATH_SYMLINK)?;
    let target = call.path(0)?;
    let place = call.place(directory, 3, Follow::UnlessLast)?;
    let now = call.now();
    call.host.files.create_symlink(&target, &place, now)?;
    Ok(())
}

/// Copies the target of a link, cut to the buffer.
pub(super) fn path_readlink(call: &mut Call<'_>) -> Outcome {
    let directory = call.directory(0, rights::PATH_READLINK)?;
    let (pointer, room) = (call.u32(3), u64::from(call.u32(4)));
    call.memory.range(pointer, room)?;
    call.check_result(5, 4)?;
    let node = call.place(directory, 1, Follow::UnlessLast)?.existing()?;
    let NodeKind::Symlink(target) = &call.host.files.node(node).kind else {
        return Err(Errno::Invalid.into());
    };
    let length = byte_count(target.as_bytes()).min(room);
    call.meter.charge_bytes(length)?;
    let size = usize::try_from(length).map_err(|_| Errno::Overflow)?;
    call.memory.write(pointer, &target.as_bytes()[..size])?;
    let used = u32::try_from(length).map_err(|_| Errno::Overflow)?;
    Ok(call.memory.write_u32(call.u32(5), used)?)
}
