//! Makes, moves and removes directory entries, with the rules of POSIX.

use std::sync::Arc;

use super::abi::{Errno, Outcome};
use super::content::{Content, byte_count};
use super::files::{Directory, Extent, FileSystem, NodeId, NodeKind, ROOT, Tree};
use super::limits::STEP_FUEL;
use super::paths::Place;
use crate::wasm::engine::Meter;

impl FileSystem {
    /// Makes an empty file.
    pub(crate) fn create_file(&mut self, place: &Place, now: u64) -> Result<NodeId, Errno> {
        let name = place.vacant()?;
        if place.slash {
            return Err(Errno::IsDirectory);
        }
        self.create(place.parent, name, NodeKind::File(Content::Owned(Vec::new())), now)
    }

    /// Makes an empty directory.
    pub(crate) fn create_directory(&mut self, place: &Place, now: u64) -> Result<NodeId, Errno> {
        let name = place.vacant()?;
        let directory = Directory::new(place.parent, name.into());
        self.create(place.parent, name, NodeKind::Directory(directory), now)
    }

    /// Makes a symbolic link.
    pub(crate) fn create_symlink(
        &mut self,
        target: &str,
        place: &Place,
        now: u64,
    ) -> Result<NodeId, Errno> {
        let name = place.vacant()?;
        if place.slash {
            return Err(Errno::NoEntry);
        }
        if target.is_empty() {
            return Err(Errno::NoEntry);
        }
        if target.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        self.check_new(place.parent, name, Extent::default())?;
        self.check_room()?;
        let kind = NodeKind::Symlink(target.into());
        self.check_link_room(&kind)?;
        self.take_space(byte_count(target.as_bytes()))?;
        self.create(place.parent, name, kind, now)
    }

    fn create(
        &mut self,
        parent: NodeId,
        name: &str,
        kind: NodeKind,
        now: u64,
    ) -> Result<NodeId, Errno> {
        self.check_new(parent, name, Extent::default())?;
        self.check_room()?;
        let id = self.insert(kind, Tree::Work, now);
        self.attach(parent, name.into(), id)?;
        self.mark_written(parent, now);
        Ok(id)
    }

    /// Gives a file or a symbolic link a second name.
    pub(crate) fn link(&mut self, id: NodeId, place: &Place, now: u64) -> Result<(), Errno> {
        if self.node(id).is_directory() {
            return Err(Errno::NotPermitted);
        }
        let name = place.vacant()?;
        if place.slash {
            return Err(Errno::NoEntry);
        }
        if self.node(id).tree != self.node(place.parent).tree {
            return Err(Errno::CrossDevice);
        }
        self.check_new(place.parent, name, Extent::default())?;
        self.check_room()?;
        self.check_link_room(&self.node(id).kind)?;
        self.attach(place.parent, name.into(), id)?;
        self.mark_written(place.parent, now);
        self.node_mut(id).times.changed = now;
        Ok(())
    }

    /// Removes the entry of a file or a symbolic link.
    pub(crate) fn unlink(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        let id = place.existing()?;
        if self.node(id).is_directory() {
            return Err(Errno::IsDirectory);
        }
        self.remove(place, now)
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        let id = place.existing()?;
        if place.name.is_none() {
            return Err(Errno::Invalid);
        }
        if !self.directory(id)?.entries.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.remove(place, now)
    }

    fn remove(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        let id = place.existing()?;
        let name = place.name.as_deref().ok_or(Errno::Invalid)?;
        if self.node(place.parent).tree == Tree::Inputs {
            return Err(Errno::ReadOnly);
        }
        if self.node(id).pinned {
            return Err(Errno::Busy);
        }
        self.detach(place.parent, name)?;
        self.mark_written(place.parent, now);
        self.node_mut(id).times.changed = now;
        self.collect(id);
        Ok(())
    }

    /// Moves an entry, over another one if that may be replaced.
    pub(crate) fn rename(
        &mut self,
        from: &Place,
        to: &Place,
        now: u64,
        meter: &mut Meter,
    ) -> Outcome {
        let id = from.existing()?;
        let (Some(old), Some(new)) = (&from.name, &to.name) else {
            return Err(Errno::Busy.into());
        };
        self.check_movable(id, from, to)?;
        if self.node(id).is_directory() {
            self.check_not_below(id, to.parent, meter)?;
            let extent = self.extent(id, meter)?;
            self.check_new(to.parent, new, extent)?;
        } else {
            self.check_new(to.parent, new, Extent::default())?;
        }
        if let Some(target) = to.node {
            if target == id {
                return Ok(());
            }
            self.detach(to.parent, new)?;
            self.node_mut(target).times.changed = now;
            self.collect(target);
        }
        self.detach(from.parent, old)?;
        self.attach(to.parent, new.as_str().into(), id)?;
        self.node_mut(id).times.changed = now;
        self.mark_written(from.parent, now);
        self.mark_written(to.parent, now);
        Ok(())
    }

    fn check_movable(&self, id: NodeId, from: &Place, to: &Place) -> Result<(), Errno> {
        let node = self.node(id);
        if node.tree != self.node(to.parent).tree {
            return Err(Errno::CrossDevice);
        }
        if self.node(from.parent).tree == Tree::Inputs {
            return Err(Errno::ReadOnly);
        }
        if node.pinned {
            return Err(Errno::Busy);
        }
        if self.node(to.parent).links == 0 {
            return Err(Errno::NoEntry);
        }
        let Some(target) = to.node else {
            let needs_directory = to.slash && !node.is_directory();
            return if needs_directory { Err(Errno::NotDirectory) } else { Ok(()) };
        };
        if self.node(target).pinned {
            return Err(Errno::Busy);
        }
        match (node.is_directory(), self.directory(target)) {
            (true, Err(_)) => Err(Errno::NotDirectory),
            (false, Ok(_)) => Err(Errno::IsDirectory),
            (true, Ok(directory)) if target != id && !directory.entries.is_empty() => {
                Err(Errno::NotEmpty)
            }
            _ => Ok(()),
        }
    }

    /// Checks that the directory `id` does not lie above `at`, nor is it.
    fn check_not_below(&self, id: NodeId, at: NodeId, meter: &mut Meter) -> Outcome {
        let mut at = at;
        while at != ROOT {
            meter.charge(STEP_FUEL)?;
            if at == id {
                return Err(Errno::Invalid.into());
            }
            at = self.directory(at)?.parent;
        }
        Ok(())
    }

    /// Returns how far the tree below a directory reaches.
    fn extent(&self, id: NodeId, meter: &mut Meter) -> Outcome<Extent> {
        let mut extent = Extent::default();
        let mut pending = vec![(id, Extent::default())];
        while let Some((at, above)) = pending.pop() {
            for (name, &child) in &self.directory(at)?.entries {
                meter.charge(STEP_FUEL)?;
                let below = Extent {
                    depth: above.depth + 1,
                    path_bytes: above.path_bytes + 1 + name.len(),
                };
                extent.depth = extent.depth.max(below.depth);
                extent.path_bytes = extent.path_bytes.max(below.path_bytes);
                if self.node(child).is_directory() {
                    pending.push((child, below));
                }
            }
        }
        Ok(extent)
    }

    /// Makes the directories above an input and the file itself, below `top`.
    pub(crate) fn add_input(
        &mut self,
        top: NodeId,
        path: &str,
        bytes: &Arc<[u8]>,
        now: u64,
    ) -> Result<(), Errno> {
        let (parent, name) = match path.rsplit_once('/') {
            Some((above, name)) => (self.add_input_directory(top, above, now)?, name),
            None => (top, path),
        };
        if self.lookup(parent, name).is_some() {
            return Err(Errno::Exists);
        }
        let content = Content::Shared(Arc::clone(bytes));
        let id = self.insert(NodeKind::File(content), self.node(top).tree, now);
        self.attach(parent, name.into(), id)
    }

    /// Makes a directory below `top` and those above it, where they are not there yet.
    pub(crate) fn add_input_directory(
        &mut self,
        top: NodeId,
        path: &str,
        now: u64,
    ) -> Result<NodeId, Errno> {
        let tree = self.node(top).tree;
        let mut at = top;
        for name in path.split('/') {
            at = match self.lookup(at, name) {
                Some(known) => known,
                None => self.add_directory(at, name, tree, now)?,
            };
        }
        Ok(at)
    }

    /// Makes a directory of the given tree, whatever the limits on the guest.
    pub(crate) fn add_directory(
        &mut self,
        parent: NodeId,
        name: &str,
        tree: Tree,
        now: u64,
    ) -> Result<NodeId, Errno> {
        let directory = Directory::new(parent, name.into());
        let id = self.insert(NodeKind::Directory(directory), tree, now);
        self.attach(parent, name.into(), id)?;
        Ok(id)
    }
}
