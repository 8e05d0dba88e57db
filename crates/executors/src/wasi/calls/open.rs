//! Opens paths.

use super::Call;
use crate::wasi::abi::{Errno, Outcome, descriptor_flags, open_flags, rights};
use crate::wasi::descriptors::{Descriptor, Object};
use crate::wasi::files::{NodeId, NodeKind, Tree};
use crate::wasi::paths::Follow;

/// What a program asks of the path that it opens.
#[derive(Clone, Copy)]
struct Request {
    flags: u16,
    base: u64,
    inherited: u64,
    descriptor_flags: u16,
}

impl Request {
    const fn asks(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Returns what the directory must allow.
    const fn needed(&self) -> u64 {
        let create = if self.asks(open_flags::CREATE) { rights::PATH_CREATE_FILE } else { 0 };
        let cut = if self.asks(open_flags::TRUNCATE) { rights::PATH_FILESTAT_SET_SIZE } else { 0 };
        rights::PATH_OPEN | create | cut
    }
}

pub(super) fn path_open(call: &mut Call<'_>) -> Outcome {
    let request = Request {
        flags: call.flags(4, open_flags::ALL)?,
        base: call.u64(5),
        inherited: call.u64(6),
        descriptor_flags: call.flags(7, descriptor_flags::ALL)?,
    };
    let directory = call.directory(0, request.needed())?;
    check_request(call, request)?;
    let exclusive = request.asks(open_flags::CREATE) && request.asks(open_flags::EXCLUSIVE);
    let follow = if exclusive { Follow::UnlessLast } else { call.follow(1)? };
    call.check_result(8, 4)?;
    call.host.descriptors.check_room()?;
    let place = call.place(directory, 2, follow)?;
    let node = match place.node {
        None if !request.asks(open_flags::CREATE) => return Err(Errno::NoEntry.into()),
        None => {
            let now = call.now();
            call.host.files.create_file(&place, now)?
        }
        Some(_) if exclusive => return Err(Errno::Exists.into()),
        Some(node) => {
            open_existing(call, node, request)?;
            node
        }
    };
    let descriptor = describe(call, node, request);
    call.host.files.hold(node);
    let fd = call.host.descriptors.open(descriptor)?;
    Ok(call.memory.write_u32(call.u32(8), fd)?)
}

/// Checks the parts of a request against each other and against what may be inherited.
fn check_request(call: &Call<'_>, request: Request) -> Result<(), Errno> {
    let both = request.asks(open_flags::CREATE) && request.asks(open_flags::DIRECTORY);
    if both || (request.base | request.inherited) & !rights::ALL != 0 {
        return Err(Errno::Invalid);
    }
    let inherited = call.host.descriptors.get(call.u32(0))?.inherited;
    if (request.base | request.inherited) & !inherited != 0 {
        return Err(Errno::NotCapable);
    }
    Ok(())
}

/// Checks that what is there can be opened so, and cuts it if asked.
fn open_existing(call: &mut Call<'_>, id: NodeId, request: Request) -> Outcome {
    let node = call.host.files.node(id);
    let writes = request.base & rights::FD_WRITE != 0;
    match &node.kind {
        NodeKind::Symlink(_) => return Err(Errno::Loop.into()),
        NodeKind::Directory(_) => {
            let changes = request.asks(open_flags::CREATE) || request.asks(open_flags::TRUNCATE);
            if changes || writes {
                return Err(Errno::IsDirectory.into());
            }
        }
        NodeKind::File(_) => {
            if request.asks(open_flags::DIRECTORY) {
                return Err(Errno::NotDirectory.into());
            }
            if node.tree == Tree::Inputs && (writes || request.asks(open_flags::TRUNCATE)) {
                return Err(Errno::ReadOnly.into());
            }
            if request.asks(open_flags::TRUNCATE) {
                let now = call.now();
                call.host.files.resize(id, 0, call.meter)?;
                call.host.files.mark_written(id, now);
            }
        }
    }
    Ok(())
}

/// Returns the descriptor of a node, without the rights that do not apply to it.
fn describe(call: &Call<'_>, node: NodeId, request: Request) -> Descriptor {
    let is_directory = call.host.files.node(node).is_directory();
    let (object, applicable, inherited) = if is_directory {
        (Object::Directory { node, listing: None }, rights::DIRECTORY, request.inherited)
    } else {
        (Object::File { node, offset: 0 }, rights::FILE, 0)
    };
    Descriptor {
        object,
        base: request.base & applicable,
        inherited,
        flags: request.descriptor_flags,
        preopen: None,
    }
}
