//! Where a demo keeps everything: a directory that goes with it, or one that is kept.
//!
//! A demo that is killed cannot remove its own directory, so the next one does. Who is still there
//! is told by a lock, which the system lets go with the process; it is taken before it gets the
//! name under which others look for it.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::failure::{Explain, Failure, Outcome};

/// How the names of temporary directories begin.
const PREFIX: &str = "idlewild-demo-";

/// The file that a demo holds a lock on.
const LOCK: &str = "lock";

/// A demo's directory.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Removed when it is dropped, and the lock let go after it.
    _temporary: Option<(TempDir, File)>,
}

impl Place {
    /// Takes the directory `kept`, which must be empty or new, or a temporary one.
    ///
    /// # Errors
    /// When it holds something or cannot be made.
    pub(super) fn of(kept: Option<&Path>) -> Outcome<Self> {
        let Some(kept) = kept else { return Self::temporary(&std::env::temp_dir()) };
        let occupied = fs::read_dir(kept).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(Failure::usage(format_args!("{} is not empty", kept.display()))
                .hint("name an empty or new directory with --keep"));
        }
        Ok(Self { path: kept.to_owned(), _temporary: None })
    }

    fn temporary(parent: &Path) -> Outcome<Self> {
        clear(parent);
        let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent);
        let directory = made.because("cannot make a temporary directory")?;
        let path = directory.path().to_owned();
        let lock = || {
            let draft = path.join("lock.draft");
            let lock = File::create_new(&draft)?;
            lock.lock()?;
            fs::rename(draft, path.join(LOCK))?;
            Ok::<_, std::io::Error>(lock)
        };
        let lock = lock().because(format_args!("cannot write to {}", path.display()))?;
        Ok(Self { path, _temporary: Some((directory, lock)) })
    }

    /// Returns the directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes the directories of this user's demos that are gone. What cannot be removed is left to
/// whoever looks after the temporary directory.
fn clear(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_left(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Returns whether a directory is this user's, and no process holds its lock.
fn is_left(directory: &Path) -> bool {
    let owner = rustix::process::geteuid().as_raw();
    let own = fs::symlink_metadata(directory)
        .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == owner);
    // Without a lock it is just being made.
    let Some(lock) = own.then(|| File::open(directory.join(LOCK)).ok()).flatten() else {
        return false;
    };
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock | TryLockError::Error(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_demo_left_goes_and_a_running_ones_stays() {
        let parent = tempfile::tempdir().unwrap();
        let running = Place::temporary(parent.path()).unwrap();
        let left = parent.path().join("idlewild-demo-left");
        fs::create_dir_all(left.join("node/state")).unwrap();
        fs::write(left.join(LOCK), b"").unwrap();
        let (begun, other) =
            (parent.path().join("idlewild-demo-begun"), parent.path().join("something-else"));
        for kept in [&begun, &other] {
            fs::create_dir(kept).unwrap();
        }
        let next = Place::temporary(parent.path()).unwrap();
        assert!(!left.exists());
        for kept in [running.path(), next.path(), &begun, &other] {
            assert!(kept.exists(), "{}", kept.display());
        }
        let path = next.path().to_owned();
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn a_kept_directory_is_new_or_empty_and_stays() {
        let parent = tempfile::tempdir().unwrap();
        drop(Place::of(Some(parent.path())).unwrap());
        assert!(parent.path().exists());
        fs::write(parent.path().join("a"), b"").unwrap();
        assert_eq!(Place::of(Some(parent.path())).unwrap_err().code(), 2);
    }
}
