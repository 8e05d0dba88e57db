//! Resolves a path below a directory, and never above it.
//!
//! The walk keeps the directories it came through on a stack. `..` pops; when only the start is
//! left, it answers [`Errno::NotPermitted`], as an absolute path does and a symbolic link with an
//! absolute target. A symbolic link in the middle is always followed, one at the end if the
//! caller says so or if a slash follows it. Each step is charged before it is taken.

use super::abi::{Errno, Outcome};
use super::files::{FileSystem, NodeId, NodeKind};
use super::limits::{NAME_BYTES_MAX, STEP_FUEL, SYMLINK_HOPS_MAX};
use crate::wasm::engine::Meter;

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    Always,
    UnlessLast,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Place {
    /// The directory that has, or would have, the entry.
    pub(crate) parent: NodeId,
    /// The name of the entry; `None` if the path ends in `.` or `..`.
    pub(crate) name: Option<String>,
    /// What is there.
    pub(crate) node: Option<NodeId>,
    /// Whether the path ends in a slash, so that only a directory will do.
    pub(crate) slash: bool,
}

impl Place {
    /// Returns the node, which must exist.
    pub(crate) fn existing(&self) -> Result<NodeId, Errno> {
        self.node.ok_or(Errno::NoEntry)
    }

    /// Returns the name of an entry that the path wants to make.
    pub(crate) fn vacant(&self) -> Result<&str, Errno> {
        match (&self.name, self.node) {
            (Some(name), None) => Ok(name),
            _ => Err(Errno::Exists),
        }
    }
}

/// Returns where `path` leads from the directory `start`.
pub(crate) fn resolve(
    files: &FileSystem,
    start: NodeId,
    path: String,
    follow: Follow,
    meter: &mut Meter,
) -> Outcome<Place> {
    if path.is_empty() {
        return Err(Errno::NoEntry.into());
    }
    let mut above = vec![start];
    let mut rest = path;
    let mut at = 0;
    let mut hops = 0;
    if rest.starts_with('/') {
        return Err(Errno::NotPermitted.into());
    }
    loop {
        meter.charge(STEP_FUEL)?;
        let Step { component, next, last, slash } = Step::take(&rest, at);
        let current = *above.last().expect("the start is never popped");
        let place = |parent, name: Option<&str>, node| {
            Ok(Place { parent, name: name.map(str::to_owned), node, slash })
        };
        match component {
            "." if last => return place(current, None, Some(current)),
            "." => {}
            ".." => {
                above.pop();
                let parent = *above.last().ok_or(Errno::NotPermitted)?;
                if last {
                    return place(parent, None, Some(parent));
                }
            }
            name if name.len() > NAME_BYTES_MAX => return Err(Errno::NameTooLong.into()),
            name => {
                let Some(id) = files.lookup(current, name) else {
                    return if last {
                        place(current, Some(name), None)
                    } else {
                        Err(Errno::NoEntry.into())
                    };
                };
                match &files.node(id).kind {
                    NodeKind::Symlink(target) if !last || slash || follow == Follow::Always => {
                        hops += 1;
                        rest = follow_link(target, &rest[next..], hops, meter)?;
                        at = 0;
                        continue;
                    }
                    NodeKind::Directory(_) if !last => above.push(id),
                    NodeKind::File(_) | NodeKind::Symlink(_) if !last || slash => {
                        return Err(Errno::NotDirectory.into());
                    }
                    _ => return place(current, Some(name), Some(id)),
                }
            }
        }
        at = next;
    }
}

/// Returns what is left to walk after a link to `target`.
fn follow_link(target: &str, tail: &str, hops: usize, meter: &mut Meter) -> Outcome<String> {
    if hops > SYMLINK_HOPS_MAX {
        return Err(Errno::Loop.into());
    }
    if target.starts_with('/') {
        return Err(Errno::NotPermitted.into());
    }
    let length = target.len() + tail.len();
    meter.charge_bytes(u64::try_from(length).unwrap_or(u64::MAX))?;
    Ok([target, tail].concat())
}

/// One component of a path.
struct Step<'a> {
    component: &'a str,
    /// Where the component ends.
    next: usize,
    /// Whether only slashes follow.
    last: bool,
    /// Whether it is the last and a slash follows.
    slash: bool,
}

impl<'a> Step<'a> {
    /// Takes the component at or after `at`; `rest` has one there.
    fn take(rest: &'a str, at: usize) -> Self {
        let start = rest.len() - rest[at..].trim_start_matches('/').len();
        let component = rest[start..].split('/').next().unwrap_or("");
        let next = start + component.len();
        let last = rest[next..].bytes().all(|byte| byte == b'/');
        Self { component, next, last, slash: last && next < rest.len() }
    }
}
