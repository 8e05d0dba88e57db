//! What ails a disk, looked for once something went wrong: libraries say no more than that a
//! write failed.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Bytes that can be written where there is room. More than any one write that may have failed
/// before.
const ROOM_BYTES: usize = 1 << 20;

/// Why nothing can be written in a directory.
#[derive(Debug, Error)]
pub enum DiskTrouble {
    /// It is full.
    #[error("no space left in {0}")]
    Full(PathBuf),
    /// It is mounted so, or the system made it so after an error.
    #[error("{0} is read-only")]
    ReadOnly(PathBuf),
    /// Something else.
    #[error("{path} cannot be written: {source}")]
    Refused {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DiskTrouble {
    /// Tries whether a directory can be written, or the nearest one above it that is there.
    #[must_use]
    pub fn find(directory: &Path) -> Option<Self> {
        let path = directory.ancestors().find(|path| path.is_dir())?.to_owned();
        match write_some(&path) {
            Ok(()) => None,
            Err(source) => Some(Self::of(path, source)),
        }
    }

    fn of(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full(path),
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            _ => Self::Refused { path, source },
        }
    }

    /// Returns what to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Full(_) => "free some, then start again: all that was final is still there",
            Self::ReadOnly(_) => {
                "make it writable, then start again; where the system made it read-only by \
                 itself, its log says what is wrong with the disk"
            }
            Self::Refused { .. } => "see that this account may write there, then start again",
        }
    }
}

fn write_some(directory: &Path) -> io::Result<()> {
    let path = directory.join("room.tmp");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; ROOM_BYTES])?;
        file.sync_all()
    });
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => written.and(Err(error)),
        _ => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_room_has_no_trouble_and_nothing_stays_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("not/there/yet");
        assert!(DiskTrouble::find(&below).is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn trouble_says_where_and_what_to_do() {
        let of = |error| DiskTrouble::of("DIR".into(), io::Error::from_raw_os_error(error));
        let check = |trouble: DiskTrouble, text: &str, hint: &str| {
            assert_eq!(trouble.to_string(), text);
            assert!(trouble.hint().starts_with(hint), "{trouble:?}");
        };
        check(of(28), "no space left in DIR", "free some");
        check(of(122), "no space left in DIR", "free some");
        check(of(30), "DIR is read-only", "make it writable");
        let denied = "DIR cannot be written: Permission denied (os error 13)";
        check(of(13), denied, "see that this account may write there");
    }
}
