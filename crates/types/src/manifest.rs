//! Manifests: directories as content.
//!
//! A manifest lists what a directory holds, and the hash of its encoding names all of it. Paths
//! are relative and cannot leave the directory, entries are sorted and form a tree, so a
//! directory has one manifest and one name.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ContentHash, Decode, DecodeError, Encode, List, Reader, Text};

/// Bytes of one path in a manifest.
pub const PATH_BYTES_MAX: usize = 1100;
/// Bytes of one component of a path.
pub const NAME_BYTES_MAX: usize = 255;
/// Components of one path.
pub const PATH_DEPTH_MAX: usize = 132;
/// Entries of one manifest.
pub const ENTRIES_MAX: usize = 65_536;
/// Bytes of one encoded manifest.
pub const MANIFEST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A relative path whose components are neither empty nor `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct RelativePath(Text<PATH_BYTES_MAX>);

impl RelativePath {
    /// Takes `text` if it is such a path, within the limits of this module.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] or [`DecodeError::TooLong`].
    pub fn new(text: impl Into<String>) -> Result<Self, DecodeError> {
        let text = Text::new(text)?;
        let mut depth = 0_usize;
        for component in text.as_str().split('/') {
            depth = depth.saturating_add(1);
            if matches!(component, "" | "." | "..") || component.contains('\0') {
                return Err(DecodeError::Invalid("relative path"));
            }
            if component.len() > NAME_BYTES_MAX || depth > PATH_DEPTH_MAX {
                return Err(DecodeError::Invalid("path within the limits"));
            }
        }
        Ok(Self(text))
    }

    /// Returns the path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for RelativePath {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for RelativePath {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text: Text<PATH_BYTES_MAX> = Decode::decode(reader)?;
        Self::new(text.as_str())
    }
}

impl<'de> Deserialize<'de> for RelativePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// One entry of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Where it is.
    pub path: RelativePath,
    /// What is there.
    #[serde(flatten)]
    pub kind: EntryKind,
}
codec!(struct Entry { path, kind });

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A regular file.
    File {
        /// The name of its content.
        hash: ContentHash,
        /// Its length in bytes.
        bytes: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Its target, which may lead anywhere: whoever follows it checks.
        target: Text<4096>,
    },
    /// A directory without entries; others are implied by what is in them.
    Directory {},
}
codec!(enum EntryKind { 0 = File { hash, bytes }, 1 = Symlink { target }, 2 = Directory {} });

/// What a directory holds, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Manifest(List<Entry, ENTRIES_MAX>);

impl Manifest {
    /// Takes entries that are sorted by path, each path once, no file or link above another entry.
    ///
    /// # Errors
    /// [`DecodeError::Invalid`] when they are not, [`DecodeError::TooLong`] above 65,536.
    pub fn new(entries: Vec<Entry>) -> Result<Self, DecodeError> {
        let entries = List::new(entries)?;
        let mut last: Option<&Entry> = None;
        // Paths compare by component, so that what is in a directory follows it at once and a
        // leaf that stands above another entry is its neighbour.
        for entry in entries.iter() {
            if let Some(last) = last {
                let (before, path) = (last.path.as_str(), entry.path.as_str());
                let in_order = before.split('/').lt(path.split('/'));
                let inside = path.strip_prefix(before).is_some_and(|rest| rest.starts_with('/'));
                if !in_order || inside {
                    return Err(DecodeError::Invalid("tree of sorted entries"));
                }
            }
            last = Some(entry);
        }
        Ok(Self(entries))
    }

    /// Returns the entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Returns the name of this directory as content.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(&self.to_bytes())
    }

    /// Returns the content that the manifest names.
    pub fn contents(&self) -> impl Iterator<Item = (ContentHash, u64)> {
        self.0.iter().filter_map(|entry| match entry.kind {
            EntryKind::File { hash, bytes } => Some((hash, bytes)),
            EntryKind::Symlink { .. } | EntryKind::Directory {} => None,
        })
    }
}

impl Encode for Manifest {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Manifest {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let entries: List<Entry, ENTRIES_MAX> = Decode::decode(reader)?;
        Self::new(entries.into_inner())
    }
}

impl<'de> Deserialize<'de> for Manifest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        let kind = EntryKind::File { hash: ContentHash::of(path.as_bytes()), bytes: 3 };
        Entry { path: RelativePath::new(path).unwrap(), kind }
    }

    fn directory(path: &str) -> Entry {
        Entry { path: RelativePath::new(path).unwrap(), kind: EntryKind::Directory {} }
    }

    #[test]
    fn paths_cannot_leave_their_directory() {
        for bad in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b"] {
            assert!(RelativePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(RelativePath::new("a/..b/c").is_ok());
        assert!(RelativePath::new("n".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(RelativePath::new("n".repeat(NAME_BYTES_MAX + 1)).is_err());
        assert!(RelativePath::new(vec!["d"; PATH_DEPTH_MAX].join("/")).is_ok());
        assert!(RelativePath::new(vec!["d"; PATH_DEPTH_MAX + 1].join("/")).is_err());
    }

    #[test]
    fn entries_form_one_sorted_tree() {
        let check = |entries: Vec<Entry>, accepted: bool| {
            let made = Manifest::new(entries.clone());
            assert_eq!(made.is_ok(), accepted, "{entries:?}");
            if let Ok(manifest) = made {
                assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest));
            }
        };
        check(vec![], true);
        check(vec![file("a"), file("b/c"), file("b/d"), directory("e")], true);
        check(vec![file("a/b"), file("a.txt")], true);
        check(vec![file("a.txt"), file("a/b")], false);
        check(vec![file("b"), file("a")], false);
        check(vec![file("a"), file("a")], false);
        check(vec![file("a"), file("a/b")], false);
        check(vec![directory("a"), file("a/b")], false);
    }
}
