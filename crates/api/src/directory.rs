//! A real directory as a manifest with contents, and back.
//!
//! What is packed is what a job may see: regular files and directories. Links are refused rather
//! than followed, since a link may lead out of the directory, and so are devices, pipes and
//! sockets. What is unpacked never leaves the directory it is unpacked to: paths are checked by
//! their type, nothing is written through a link, and no link leads out. A link climbs only at the
//! front of its target, where each step up is one of the real directories that it stands in;
//! behind a name it might climb from wherever another link led.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;
use types::{
    ContentHash,
    manifest::{ENTRIES_MAX, Entry, EntryKind, Manifest, RelativePath},
};

use crate::{
    hashing::hash_reader,
    limits::{CONTENT_BYTES_MAX, DIRECTORY_BYTES_MAX},
};

/// Why a directory cannot be packed or unpacked.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The system does not let it be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a link, device, pipe or socket.
    #[error("{0} is neither a regular file nor a directory")]
    Special(PathBuf),
    /// Its name is not UTF-8, or too long, or too deep.
    #[error("{0} has a name that a manifest cannot hold")]
    Name(PathBuf),
    /// A file is longer than content may be.
    #[error("{path} has {bytes} bytes, more than {CONTENT_BYTES_MAX}")]
    TooBig {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// All files together are longer than a directory may be.
    #[error("the files together have more than {DIRECTORY_BYTES_MAX} bytes")]
    TotalTooBig,
    /// There are more entries than a manifest holds.
    #[error("more than {ENTRIES_MAX} entries")]
    TooMany,
    /// Something already stands where an entry is to be written.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// A link of the manifest leads out of the directory.
    #[error("{path} is a link that leads out of the directory: {target}")]
    Escape {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: String,
    },
    /// Content that the manifest names was not given.
    #[error("the content {0} is missing")]
    Missing(ContentHash),
}

impl DirectoryError {
    /// Returns what to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "check that it exists, its permissions, and free space",
            Self::Special(_) => "replace it by a copy of what it stands for",
            Self::Name(_) => "rename it",
            Self::TooBig { .. } | Self::TotalTooBig | Self::TooMany => {
                "leave out what is not needed, or spread it over several jobs"
            }
            Self::Exists(_) => "choose an empty or new directory",
            Self::Escape { .. } => "do not trust this result",
            Self::Missing(_) => "fetch it first",
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// A directory that was read: its manifest, and where each content stands.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The manifest.
    pub manifest: Manifest,
    /// A file for each content that the manifest names.
    pub files: BTreeMap<ContentHash, PathBuf>,
}

/// Reads the directory at `root`.
///
/// # Errors
/// [`DirectoryError`] that names the first thing wrong.
pub fn pack(root: &Path) -> Result<Packed, DirectoryError> {
    let mut entries = Vec::new();
    let mut files = BTreeMap::new();
    let mut total: u64 = 0;
    let mut open = vec![(root.to_owned(), String::new())];
    while let Some((directory, prefix)) = open.pop() {
        let listed = fs::read_dir(&directory).map_err(DirectoryError::file(&directory))?;
        let mut empty = true;
        for child in listed {
            empty = false;
            let path = child.map_err(DirectoryError::file(&directory))?.path();
            let relative = relative(&path, &prefix)?;
            let kind = fs::symlink_metadata(&path).map_err(DirectoryError::file(&path))?;
            if kind.is_dir() {
                open.push((path, format!("{}/", relative.as_str())));
            } else if kind.is_file() {
                let (hash, bytes) = hash_file(&path)?;
                total = total.saturating_add(bytes);
                entries.push(Entry { path: relative, kind: EntryKind::File { hash, bytes } });
                files.insert(hash, path);
            } else {
                return Err(DirectoryError::Special(path));
            }
            if entries.len() + open.len() > ENTRIES_MAX {
                return Err(DirectoryError::TooMany);
            }
            if total > DIRECTORY_BYTES_MAX {
                return Err(DirectoryError::TotalTooBig);
            }
        }
        if empty && !prefix.is_empty() {
            let path = RelativePath::new(prefix.trim_end_matches('/'))
                .expect("it was a path when its directory was listed");
            entries.push(Entry { path, kind: EntryKind::Directory {} });
        }
    }
    // A manifest's order is by component, not by byte.
    entries.sort_by(|a, b| a.path.as_str().split('/').cmp(b.path.as_str().split('/')));
    let manifest = Manifest::new(entries).map_err(|_| DirectoryError::TooMany)?;
    Ok(Packed { manifest, files })
}

fn relative(path: &Path, prefix: &str) -> Result<RelativePath, DirectoryError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| DirectoryError::Name(path.to_owned()))?;
    RelativePath::new(format!("{prefix}{name}")).map_err(|_| DirectoryError::Name(path.to_owned()))
}

fn hash_file(path: &Path) -> Result<(ContentHash, u64), DirectoryError> {
    let file = fs::File::open(path).map_err(DirectoryError::file(path))?;
    let bytes = file.metadata().map_err(DirectoryError::file(path))?.len();
    if bytes > CONTENT_BYTES_MAX {
        return Err(DirectoryError::TooBig { path: path.to_owned(), bytes });
    }
    let bounded = io::Read::take(file, CONTENT_BYTES_MAX);
    hash_reader(bounded).map_err(DirectoryError::file(path))
}

/// Writes a manifest's entries below `root`, which is made if it is not there. Nothing that is
/// there already is replaced. `contents` says which file on this machine holds each content.
///
/// # Errors
/// [`DirectoryError`] that names the first thing wrong; what was written before it stays.
pub fn unpack(
    manifest: &Manifest,
    contents: &BTreeMap<ContentHash, PathBuf>,
    root: &Path,
) -> Result<(), DirectoryError> {
    let total = manifest.contents().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(bytes));
    if total > DIRECTORY_BYTES_MAX {
        return Err(DirectoryError::TotalTooBig);
    }
    fs::create_dir_all(root).map_err(DirectoryError::file(root))?;
    let entries = manifest.entries();
    for entry in entries {
        let path = make_parents(root, entry.path.as_str())?;
        match &entry.kind {
            EntryKind::File { hash, .. } => {
                let source = contents.get(hash).ok_or(DirectoryError::Missing(*hash))?;
                copy_new(source, &path)?;
            }
            EntryKind::Directory {} => make_directory(&path)?,
            EntryKind::Symlink { .. } => {}
        }
    }
    // Links come last, so that no entry is written through one.
    for entry in entries {
        if let EntryKind::Symlink { target } = &entry.kind {
            link(root, entry.path.as_str(), target.as_str())?;
        }
    }
    Ok(())
}

/// Makes the directories above `relative` and returns where it goes.
fn make_parents(root: &Path, relative: &str) -> Result<PathBuf, DirectoryError> {
    let mut path = root.to_owned();
    let mut names = relative.split('/').peekable();
    while let Some(name) = names.next() {
        path.push(name);
        if names.peek().is_some() {
            make_directory(&path)?;
        }
    }
    Ok(path)
}

fn make_directory(path: &Path) -> Result<(), DirectoryError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A link to a directory would lead what follows somewhere else.
            let kind = fs::symlink_metadata(path).map_err(DirectoryError::file(path))?;
            if kind.is_dir() { Ok(()) } else { Err(DirectoryError::Exists(path.to_owned())) }
        }
        result => result.map_err(DirectoryError::file(path)),
    }
}

fn copy_new(source: &Path, path: &Path) -> Result<(), DirectoryError> {
    let mut from = fs::File::open(source).map_err(DirectoryError::file(source))?;
    let mut to = match fs::File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(DirectoryError::Exists(path.to_owned()));
        }
        result => result.map_err(DirectoryError::file(path))?,
    };
    io::copy(&mut from, &mut to).map_err(DirectoryError::file(path))?;
    Ok(())
}

fn link(root: &Path, relative: &str, target: &str) -> Result<(), DirectoryError> {
    let path = root.join(relative);
    let escape = || DirectoryError::Escape { path: path.clone(), target: target.to_owned() };
    let mut depth = relative.split('/').count().saturating_sub(1);
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return Err(escape());
    }
    let mut climbs = true;
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if climbs => depth = depth.checked_sub(1).ok_or_else(escape)?,
            ".." => return Err(escape()),
            _ => climbs = false,
        }
    }
    match std::os::unix::fs::symlink(target, &path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(DirectoryError::Exists(path))
        }
        result => result.map_err(DirectoryError::file(&path)),
    }
}

#[cfg(test)]
mod tests {
    use types::Text;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/empty")).unwrap();
        fs::write(root.path().join("a/x"), b"one").unwrap();
        fs::write(root.path().join("a.txt"), b"two").unwrap();
        fs::write(root.path().join("a-b"), b"one").unwrap();
        root
    }

    fn paths(manifest: &Manifest) -> Vec<&str> {
        manifest.entries().iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn a_directory_comes_back_as_it_was() {
        let root = tree();
        let packed = pack(root.path()).unwrap();
        assert_eq!(paths(&packed.manifest), ["a/empty", "a/x", "a-b", "a.txt"]);
        let copy = tempfile::tempdir().unwrap();
        unpack(&packed.manifest, &packed.files, copy.path()).unwrap();
        assert_eq!(pack(copy.path()).unwrap().manifest, packed.manifest);
        assert_eq!(fs::read(copy.path().join("a/x")).unwrap(), b"one");
        let again = unpack(&packed.manifest, &packed.files, copy.path());
        assert!(matches!(again, Err(DirectoryError::Exists(_))));
    }

    #[test]
    fn links_and_pipes_are_not_packed() {
        let root = tree();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("link")).unwrap();
        assert!(matches!(pack(root.path()), Err(DirectoryError::Special(_))));
        fs::remove_file(root.path().join("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        assert!(matches!(pack(root.path()), Err(DirectoryError::Special(_))));
    }

    #[test]
    fn a_file_above_the_bound_is_not_packed() {
        let root = tree();
        let file = fs::File::create(root.path().join("big")).unwrap();
        file.set_len(CONTENT_BYTES_MAX + 1).unwrap();
        assert!(matches!(pack(root.path()), Err(DirectoryError::TooBig { .. })));
    }

    fn linked(path: &str, target: &str) -> Result<(), DirectoryError> {
        let kind = EntryKind::Symlink { target: Text::new(target).unwrap() };
        let entry = Entry { path: RelativePath::new(path).unwrap(), kind };
        let root = tempfile::tempdir().unwrap();
        unpack(&Manifest::new(vec![entry]).unwrap(), &BTreeMap::new(), root.path())
    }

    #[test]
    fn links_stay_within_the_directory() {
        for (path, target) in [("a/b", "../c"), ("a/b/c", "./.././../d/e"), ("a", "b//c")] {
            assert!(linked(path, target).is_ok(), "{path} {target}");
        }
        let bad = [
            ("a", "../c"),
            ("a", "/etc"),
            ("a/b", "../../c"),
            ("a", ""),
            // What `x` is cannot be seen here, so nothing may climb behind it.
            ("a/b", "x/.."),
            ("a/b", "../x/../y"),
        ];
        for (path, target) in bad {
            let refused = matches!(linked(path, target), Err(DirectoryError::Escape { .. }));
            assert!(refused, "{path} {target}");
        }
    }

    #[test]
    fn no_chain_of_links_leads_out() {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("secret"), b"secret").unwrap();
        let root = around.path().join("out");
        let link = |path: &str, target: &str| {
            let kind = EntryKind::Symlink { target: Text::new(target).unwrap() };
            Entry { path: RelativePath::new(path).unwrap(), kind }
        };
        let entries = vec![link("a/b/c/up", "../../.."), link("esc", "a/b/c/up/../secret")];
        let result = unpack(&Manifest::new(entries).unwrap(), &BTreeMap::new(), &root);
        assert!(matches!(result, Err(DirectoryError::Escape { .. })), "{result:?}");
        assert!(fs::read(root.join("esc")).is_err());
    }

    #[test]
    fn nothing_is_written_through_a_link_that_is_there() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), root.path().join("a")).unwrap();
        let packed = pack(tree().path()).unwrap();
        let result = unpack(&packed.manifest, &packed.files, root.path());
        assert!(matches!(result, Err(DirectoryError::Exists(_))));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
