//! The table of open descriptors.

use std::sync::Arc;

use super::abi::{Errno, FileType, rights};
use super::files::NodeId;
use super::limits::LISTED_ENTRIES_MAX;

/// What an open descriptor refers to.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Stdin,
    Stdout,
    Stderr,
    File {
        node: NodeId,
        offset: u64,
    },
    Directory {
        node: NodeId,
        /// The names that a listing in progress shows, in order.
        listing: Option<Arc<[Arc<str>]>>,
    },
}

/// An open descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    pub(crate) object: Object,
    /// What it may be used for.
    pub(crate) base: u64,
    /// What descriptors that are opened through it may be used for.
    pub(crate) inherited: u64,
    pub(crate) flags: u16,
    /// The name under which a program finds it at its start.
    pub(crate) preopen: Option<&'static str>,
}

impl Descriptor {
    pub(crate) const fn stream(object: Object, base: u64) -> Self {
        Self { object, base: base | rights::STREAM, inherited: 0, flags: 0, preopen: None }
    }

    pub(crate) const fn preopened(node: NodeId, name: &'static str) -> Self {
        Self {
            object: Object::Directory { node, listing: None },
            base: rights::DIRECTORY,
            inherited: rights::ALL,
            flags: 0,
            preopen: Some(name),
        }
    }

    /// Returns the node that the descriptor holds open.
    pub(crate) const fn node(&self) -> Option<NodeId> {
        match self.object {
            Object::File { node, .. } | Object::Directory { node, .. } => Some(node),
            Object::Stdin | Object::Stdout | Object::Stderr => None,
        }
    }

    pub(crate) const fn file_type(&self) -> FileType {
        match self.object {
            Object::File { .. } => FileType::RegularFile,
            Object::Directory { .. } => FileType::Directory,
            Object::Stdin | Object::Stdout | Object::Stderr => FileType::CharacterDevice,
        }
    }

    /// Checks that the descriptor may be used for all of `needed`.
    pub(crate) const fn require(&self, needed: u64) -> Result<(), Errno> {
        if self.base & needed == needed { Ok(()) } else { Err(Errno::NotCapable) }
    }

    fn listed(&self) -> usize {
        match &self.object {
            Object::Directory { listing: Some(names), .. } => names.len(),
            _ => 0,
        }
    }
}

/// The open descriptors by number; a new one gets the lowest free number.
#[derive(Debug)]
pub(crate) struct Descriptors {
    table: Vec<Option<Descriptor>>,
    max: usize,
}

impl Descriptors {
    pub(crate) const fn new(max: usize) -> Self {
        Self { table: Vec::new(), max }
    }

    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.table.get(index(fd)).and_then(Option::as_ref).ok_or(Errno::BadDescriptor)
    }

    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.table.get_mut(index(fd)).and_then(Option::as_mut).ok_or(Errno::BadDescriptor)
    }

    /// Checks that there is a free number.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        let full = self.table.len() >= self.max && self.table.iter().all(Option::is_some);
        if full { Err(Errno::TooManyOpen) } else { Ok(()) }
    }

    /// Opens a descriptor and returns its number.
    pub(crate) fn open(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        let free = self.table.iter().position(Option::is_none).unwrap_or(self.table.len());
        let fd = u32::try_from(free).map_err(|_| Errno::TooManyOpen)?;
        if free == self.table.len() {
            self.table.push(None);
        }
        self.table[free] = Some(descriptor);
        Ok(fd)
    }

    /// Closes a descriptor and returns it.
    pub(crate) fn close(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        self.table.get_mut(index(fd)).and_then(Option::take).ok_or(Errno::BadDescriptor)
    }

    /// Puts the descriptor `from` in the place of `to`; returns the one that was there.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<Option<Descriptor>, Errno> {
        self.get(to)?;
        self.get(from)?;
        if from == to {
            return Ok(None);
        }
        let moved = self.close(from)?;
        Ok(Some(std::mem::replace(self.get_mut(to)?, moved)))
    }

    /// Checks that the listings in progress, without that of `fd`, leave room for `more` names.
    pub(crate) fn check_listing(&self, fd: u32, more: usize) -> Result<(), Errno> {
        let others = self.table.iter().enumerate().filter(|(at, _)| *at != index(fd));
        let listed: usize = others.filter_map(|(_, open)| Some(open.as_ref()?.listed())).sum();
        if listed + more > LISTED_ENTRIES_MAX { Err(Errno::NoMemory) } else { Ok(()) }
    }

    /// Returns how many descriptors are open.
    #[cfg(test)]
    pub(crate) fn open_count(&self) -> usize {
        self.table.iter().flatten().count()
    }
}

const fn index(fd: u32) -> usize {
    fd as usize
}
