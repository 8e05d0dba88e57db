//! Files that are whole or absent, whatever interrupts their writing, and for their owner's eyes.
//!
//! A file is written under a temporary name, flushed to the disk, given its name, and the
//! directory flushed. A crash leaves the old file, the new one, or a temporary one besides.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::fs::FlockOperation;
use types::ContentHash;

/// Bytes that are left free on the disk.
pub(crate) const FREE_BYTES_MIN: u64 = 64 << 20;
/// What a file takes on disk comes in pieces of so many bytes.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// How temporary names end.
const TEMPORARY: &str = "tmp";

/// Creates a directory, and those above it, that only its owner may enter.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that did not exist; fails with `AlreadyExists` if it does.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    linked?;
    removed?;
    sync_parent(path)
}

/// Writes a file in the place of the one that may be there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(path, bytes)?;
    if let Err(error) = fs::rename(&temporary, path) {
        // The error that matters is the first; the next start clears what stays behind.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes what interrupted writes left in a directory, and returns the other files' paths.
pub(crate) fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        if path.extension() == Some(OsStr::new(TEMPORARY)) {
            remove(&path)?;
        } else {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Takes a directory for this process; fails with `WouldBlock` while another has it. It is given
/// back when the file is dropped, or with the process.
pub(crate) fn lock(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600);
    let file = file.open(directory.join("lock"))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Reads content and checks it against its name.
pub(crate) fn read_content(path: &Path, hash: ContentHash) -> io::Result<Arc<[u8]>> {
    let bytes = fs::read(path)?;
    if ContentHash::of(&bytes) == hash {
        Ok(bytes.into())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
    }
}

/// Returns what a file of so many bytes takes on disk, so that tiny ones count, too.
pub(crate) fn taken(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).max(1).saturating_mul(BLOCK_BYTES)
}

/// Returns the bytes that are free where a directory is, if the system says.
pub(crate) fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Returns a name beside a file's that no other writer has.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    path.with_extension(format!("{process}.{number}.{TEMPORARY}"))
}

fn write_temporary(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let temporary = temporary(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_replaces_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write_new(&path, b"one").unwrap();
        let again = write_new(&path, b"two").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        replace(&path, b"three").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(files(directory.path()).unwrap(), [path]);
    }

    #[test]
    fn what_a_crash_left_is_cleared() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.1.0.tmp"), b"torn").unwrap();
        assert!(files(directory.path()).unwrap().is_empty());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        assert_eq!(lock(directory.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(first);
        assert!(lock(directory.path()).is_ok());
    }
}
