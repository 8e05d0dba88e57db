//! The in-memory file system: nodes, directories, space.
//!
//! All nodes live in one table. A node stays while a directory names it or a descriptor holds it
//! open, as in POSIX. Two trees exist: the inputs at `/in`, which nothing changes, and all the
//! rest. Entries of a directory are ordered by name, so a listing is the same on every machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::abi::{Errno, FileStat, FileType, Outcome};
use super::content::{Content, byte_count};
use super::limits::{DEPTH_MAX, LINK_BYTES_MAX, NAME_BYTES_MAX, TREE_PATH_BYTES_MAX};
use crate::wasm::engine::Meter;

/// The place of a node in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

/// Which of the two trees a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// The tenant's inputs: nothing in it changes.
    Inputs,
    /// What the guest may change.
    Work,
}

/// A file, directory or symbolic link.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) tree: Tree,
    pub(crate) times: Times,
    /// Entries that name the node.
    pub(crate) links: u32,
    /// Descriptors that hold it open.
    opens: u32,
    /// Whether its entry can be neither moved nor removed: `/`, `/in`, `/out`, `/tmp`.
    pub(crate) pinned: bool,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum NodeKind {
    File(Content),
    Directory(Directory),
    Symlink(Arc<str>),
}

/// The entries of a directory, and where it stands itself.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) entries: BTreeMap<Arc<str>, NodeId>,
    pub(crate) parent: NodeId,
    pub(crate) name: Arc<str>,
    pub(crate) subdirectories: u32,
}

/// The times of a node, in nanoseconds after 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

impl Times {
    pub(crate) const fn all(now: u64) -> Self {
        Self { accessed: now, modified: now, changed: now }
    }
}

/// The nodes of one guest and the space that they take.
#[derive(Debug)]
pub(crate) struct FileSystem {
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    entries: usize,
    entries_max: usize,
    bytes: u64,
    bytes_max: u64,
    /// The bytes of the targets of links, once for each name.
    link_bytes: usize,
}

/// The root directory of every file system.
pub(crate) const ROOT: NodeId = NodeId(0);

impl FileSystem {
    /// Returns a file system with an empty root directory.
    pub(crate) fn new(now: u64, bytes_max: u64) -> Self {
        let mut files = Self {
            nodes: Vec::new(),
            free: Vec::new(),
            entries: 0,
            entries_max: usize::MAX,
            bytes: 0,
            bytes_max,
            link_bytes: 0,
        };
        let directory = Directory::new(ROOT, "".into());
        let root = files.insert(NodeKind::Directory(directory), Tree::Work, now);
        let node = files.node_mut(root);
        node.links = 1;
        node.pinned = true;
        files
    }

    /// Lets the guest add at most `more` entries to those that exist now.
    pub(crate) const fn limit_entries(&mut self, more: usize) {
        self.entries_max = self.entries.saturating_add(more);
    }

    /// Returns how many entries exist.
    #[cfg(test)]
    pub(crate) const fn entry_count(&self) -> usize {
        self.entries
    }

    /// Returns how many bytes the guest's files and links take.
    #[cfg(test)]
    pub(crate) const fn byte_count(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.nodes
            .get(id.index())
            .and_then(Option::as_ref)
            .expect("a node id is held only while an entry or a descriptor holds the node")
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes
            .get_mut(id.index())
            .and_then(Option::as_mut)
            .expect("a node id is held only while an entry or a descriptor holds the node")
    }

    /// Returns the directory at `id`.
    pub(crate) fn directory(&self, id: NodeId) -> Result<&Directory, Errno> {
        match &self.node(id).kind {
            NodeKind::Directory(directory) => Ok(directory),
            NodeKind::File(_) | NodeKind::Symlink(_) => Err(Errno::NotDirectory),
        }
    }

    fn directory_mut(&mut self, id: NodeId) -> Result<&mut Directory, Errno> {
        match &mut self.node_mut(id).kind {
            NodeKind::Directory(directory) => Ok(directory),
            NodeKind::File(_) | NodeKind::Symlink(_) => Err(Errno::NotDirectory),
        }
    }

    /// Returns the content of the regular file at `id`.
    pub(crate) fn content(&self, id: NodeId) -> Result<&Content, Errno> {
        match &self.node(id).kind {
            NodeKind::File(content) => Ok(content),
            NodeKind::Directory(_) => Err(Errno::IsDirectory),
            NodeKind::Symlink(_) => Err(Errno::Invalid),
        }
    }

    /// Returns the node that `name` names in a directory.
    pub(crate) fn lookup(&self, directory: NodeId, name: &str) -> Option<NodeId> {
        self.directory(directory).ok()?.entries.get(name).copied()
    }

    /// Returns what the guest learns of a node.
    pub(crate) fn stat(&self, id: NodeId) -> FileStat {
        let node = self.node(id);
        let (size, links) = match &node.kind {
            NodeKind::File(content) => (content.length(), node.links),
            NodeKind::Directory(directory) => (0, directory.subdirectories.saturating_add(2)),
            NodeKind::Symlink(target) => (byte_count(target.as_bytes()), node.links),
        };
        FileStat {
            device: match node.tree {
                Tree::Work => 1,
                Tree::Inputs => 2,
            },
            inode: id.inode(),
            file_type: node.file_type(),
            links: links.into(),
            size,
            accessed: node.times.accessed,
            modified: node.times.modified,
            changed: node.times.changed,
        }
    }

    /// Makes a node that nothing names yet.
    pub(crate) fn insert(&mut self, kind: NodeKind, tree: Tree, now: u64) -> NodeId {
        let times = Times::all(now);
        let node = Node { kind, tree, times, links: 0, opens: 0, pinned: false };
        if let Some(index) = self.free.pop() {
            let id = NodeId(index);
            self.nodes[id.index()] = Some(node);
            return id;
        }
        let index = u32::try_from(self.nodes.len()).expect("the entry limit is far below 2^32");
        self.nodes.push(Some(node));
        NodeId(index)
    }

    /// Checks that `parent` may get a new entry `name`, below which a subtree of this `extent`
    /// hangs.
    pub(crate) fn check_new(
        &self,
        parent: NodeId,
        name: &str,
        extent: Extent,
    ) -> Result<(), Errno> {
        let node = self.node(parent);
        if node.tree == Tree::Inputs {
            return Err(Errno::ReadOnly);
        }
        if node.links == 0 {
            return Err(Errno::NoEntry);
        }
        let (mut depth, mut length) = (extent.depth + 1, name.len() + extent.path_bytes);
        let mut at = parent;
        while at != ROOT {
            let directory = self.directory(at)?;
            depth += 1;
            length += directory.name.len() + 1;
            at = directory.parent;
        }
        if name.len() > NAME_BYTES_MAX || depth > DEPTH_MAX || length > TREE_PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        Ok(())
    }

    /// Checks that there is room for one more entry.
    pub(crate) const fn check_room(&self) -> Result<(), Errno> {
        if self.entries >= self.entries_max { Err(Errno::NoSpace) } else { Ok(()) }
    }

    /// Checks that there is room for one more entry that names this node, if it is a link.
    pub(crate) fn check_link_room(&self, kind: &NodeKind) -> Result<(), Errno> {
        let more = self.link_bytes.saturating_add(kind.link_bytes());
        if more > LINK_BYTES_MAX { Err(Errno::NoSpace) } else { Ok(()) }
    }

    /// Names `id` in `parent`, which has no such entry.
    pub(crate) fn attach(
        &mut self,
        parent: NodeId,
        name: Arc<str>,
        id: NodeId,
    ) -> Result<(), Errno> {
        let child = self.node_mut(id);
        child.links += 1;
        let link_bytes = child.kind.link_bytes();
        let is_directory = if let NodeKind::Directory(directory) = &mut child.kind {
            directory.parent = parent;
            directory.name = Arc::clone(&name);
            true
        } else {
            false
        };
        let directory = self.directory_mut(parent)?;
        directory.subdirectories += u32::from(is_directory);
        let replaced = directory.entries.insert(name, id);
        assert!(replaced.is_none(), "an entry is attached over another");
        self.entries += 1;
        self.link_bytes += link_bytes;
        Ok(())
    }

    /// Removes the entry `name` from `parent`; its node goes when nothing holds it.
    pub(crate) fn detach(&mut self, parent: NodeId, name: &str) -> Result<NodeId, Errno> {
        let directory = self.directory_mut(parent)?;
        let id = directory.entries.remove(name).ok_or(Errno::NoEntry)?;
        self.entries -= 1;
        let link_bytes = self.node(id).kind.link_bytes();
        self.link_bytes -= link_bytes;
        let child = self.node_mut(id);
        child.links -= 1;
        if let NodeKind::Directory(detached) = &mut child.kind {
            // Its former parent may go before the last descriptor of it closes.
            detached.parent = ROOT;
            self.directory_mut(parent)?.subdirectories -= 1;
        }
        Ok(id)
    }

    /// Notes that a descriptor holds the node.
    pub(crate) fn hold(&mut self, id: NodeId) {
        self.node_mut(id).opens += 1;
    }

    /// Notes that a descriptor no longer holds the node.
    pub(crate) fn release(&mut self, id: NodeId) {
        self.node_mut(id).opens -= 1;
        self.collect(id);
    }

    /// Frees the node if neither an entry nor a descriptor holds it.
    pub(crate) fn collect(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.links > 0 || node.opens > 0 {
            return;
        }
        self.bytes -= node.space();
        self.nodes[id.index()] = None;
        self.free.push(id.0);
    }

    /// Takes `more` bytes of the job's space.
    pub(crate) const fn take_space(&mut self, more: u64) -> Result<(), Errno> {
        if more > self.bytes_max - self.bytes {
            return Err(Errno::NoSpace);
        }
        self.bytes += more;
        Ok(())
    }

    /// Notes that the content of a file, or the entries of a directory, changed.
    pub(crate) fn mark_written(&mut self, id: NodeId, now: u64) {
        let times = &mut self.node_mut(id).times;
        *times = Times { modified: now, changed: now, ..*times };
    }

    /// Returns how long the file at `id` may become.
    pub(crate) fn length_max(&self, id: NodeId) -> Result<u64, Errno> {
        Ok(self.bytes_max - self.bytes + self.content(id)?.owned_length())
    }

    /// Returns the bytes of the file at `id` to be written, grown to at least `length`.
    pub(crate) fn grow(
        &mut self,
        id: NodeId,
        length: u64,
        meter: &mut Meter,
    ) -> Outcome<&mut [u8]> {
        let limit = self.length_max(id)?;
        if self.node(id).tree == Tree::Inputs {
            return Err(Errno::ReadOnly.into());
        }
        let content = content_mut(&mut self.nodes, id)?;
        let target = content.length().max(length);
        if target > limit {
            return Err(Errno::NoSpace.into());
        }
        self.bytes = self.bytes_max - limit + target;
        content.grow(length, meter)
    }

    /// Sets the length of the file at `id`.
    pub(crate) fn resize(&mut self, id: NodeId, length: u64, meter: &mut Meter) -> Outcome {
        let current = self.content(id)?.length();
        if self.node(id).tree == Tree::Inputs {
            return Err(Errno::ReadOnly.into());
        }
        if length > current {
            self.grow(id, length, meter)?;
            return Ok(());
        }
        if length == current {
            return Ok(());
        }
        let limit = self.length_max(id)?;
        if length > limit {
            return Err(Errno::NoSpace.into());
        }
        self.bytes = self.bytes_max - limit + length;
        content_mut(&mut self.nodes, id)?.cut(length, meter)
    }
}

/// Borrows the table alone, so that the space can be counted beside it.
fn content_mut(nodes: &mut [Option<Node>], id: NodeId) -> Result<&mut Content, Errno> {
    match nodes.get_mut(id.index()).and_then(Option::as_mut).map(|node| &mut node.kind) {
        Some(NodeKind::File(content)) => Ok(content),
        Some(NodeKind::Directory(_)) => Err(Errno::IsDirectory),
        Some(NodeKind::Symlink(_)) | None => Err(Errno::Invalid),
    }
}

/// How far a subtree reaches below its own root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The most directories between the root and an entry, itself counted.
    pub(crate) depth: usize,
    /// The bytes that the longest path adds to the root's own, slashes counted.
    pub(crate) path_bytes: usize,
}

impl NodeId {
    /// Returns the number of the node that the guest sees; never 0.
    pub(crate) const fn inode(self) -> u64 {
        self.0 as u64 + 1
    }

    const fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeKind {
    /// Returns the bytes of the target, if it is a link.
    pub(crate) fn link_bytes(&self) -> usize {
        match self {
            Self::Symlink(target) => target.len(),
            Self::File(_) | Self::Directory(_) => 0,
        }
    }
}

impl Directory {
    pub(crate) const fn new(parent: NodeId, name: Arc<str>) -> Self {
        Self { entries: BTreeMap::new(), parent, name, subdirectories: 0 }
    }
}

impl Node {
    pub(crate) const fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory(_))
    }

    pub(crate) const fn file_type(&self) -> FileType {
        match self.kind {
            NodeKind::File(_) => FileType::RegularFile,
            NodeKind::Directory(_) => FileType::Directory,
            NodeKind::Symlink(_) => FileType::SymbolicLink,
        }
    }

    /// Returns the bytes of the job's space that the node takes.
    fn space(&self) -> u64 {
        match &self.kind {
            NodeKind::File(content) => content.owned_length(),
            NodeKind::Directory(_) => 0,
            NodeKind::Symlink(target) => byte_count(target.as_bytes()),
        }
    }
}
