//! Where keys live: one file for each, encrypted with a passphrase.
//!
//! The cipher's key is derived from the passphrase with argon2id, the secret is sealed with
//! ChaCha20-Poly1305, and everything else in the file is sealed with it, so that nothing in it
//! can be changed unnoticed. Files that others can read are refused. A key without a passphrase
//! is stored as it is and [`Protection::None`] says so; only the permissions of the file protect
//! it.
//!
//! The 24 words of a key are its 32 secret bytes by the word list and checksum of BIP39, so any
//! key can be written down and restored from them alone.

mod file;
mod words;

use std::{
    fmt, fs,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Address, SecretKey};
use zeroize::Zeroizing;

use crate::disk;
use file::{Cost, KeyFile};

pub use words::{Words, WordsError};

/// The variable that a passphrase is taken from.
pub const PASSPHRASE_VARIABLE: &str = "IDLEWILD_PASSPHRASE";
/// Bytes of a key's name.
pub const NAME_BYTES_MAX: usize = 32;
/// Bytes of a key's file.
const FILE_BYTES_MAX: u64 = 4096;
/// The file that who writes holds a lock on.
const LOCK: &str = "lock";
/// The permissions of group and others.
const SHARED_MODE: u32 = 0o077;

/// The name of a key: lower-case letters, digits, `-` and `_`, at most 32.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

impl KeyName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is not the name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key's name is 1 to {NAME_BYTES_MAX} lower-case letters, digits, '-' or '_'")]
pub struct NotAKeyName;

impl FromStr for KeyName {
    type Err = NotAKeyName;

    fn from_str(text: &str) -> Result<Self, NotAKeyName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.len() <= NAME_BYTES_MAX && text.bytes().next().is_some_and(plain);
        if fits && text.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAKeyName)
        }
    }
}

impl TryFrom<String> for KeyName {
    type Error = NotAKeyName;

    fn try_from(text: String) -> Result<Self, NotAKeyName> {
        text.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.0
    }
}

/// What opens a key. Its text is wiped when it is dropped and never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text; empty text is no protection.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the absence of a passphrase.
    #[must_use]
    pub fn none() -> Self {
        Self::new(String::new())
    }

    /// Takes it from the variable [`PASSPHRASE_VARIABLE`], if that is set.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        std::env::var(PASSPHRASE_VARIABLE).ok().map(Self::new)
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Passphrase(none)" } else { "Passphrase(…)" })
    }
}

/// What keeps the secret of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Nothing but the permissions of its file.
    None,
    /// A passphrase.
    Passphrase,
}

/// What is known of a key without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its name.
    pub name: KeyName,
    /// Its address.
    pub address: Address,
    /// What keeps its secret.
    pub protection: Protection,
}

/// The keys of a directory.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys that are in order, by name.
    pub keys: Vec<KeyEntry>,
    /// What is wrong with the files of others.
    pub faulty: Vec<KeystoreError>,
}

/// Why a key cannot be kept or had.
#[derive(Debug, Error)]
pub enum KeystoreError {
    /// A file or directory cannot be read or written.
    #[error("{path} cannot be read or written")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than the owner can get at a file or directory.
    #[error("{path} is open to others (mode {mode:03o})")]
    Shared {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A file or directory belongs to somebody else.
    #[error("{path} belongs to another user of this machine")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// There is a key of that name already.
    #[error("there is a key named {0} already")]
    Exists(KeyName),
    /// There is no key of that name.
    #[error("there is no key named {0}")]
    Unknown(KeyName),
    /// A file is not one of a key.
    #[error("{path} is not the file of a key: {why}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The passphrase is wrong, or the file was changed.
    #[error("the passphrase of key {0} is wrong, or its file was changed")]
    Passphrase(KeyName),
    /// The passphrase could not be asked for.
    #[error("the passphrase of key {name} is not there")]
    NoPassphrase {
        /// Which key.
        name: KeyName,
        /// What went wrong.
        source: io::Error,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Entropy(#[from] getrandom::Error),
}

impl KeystoreError {
    /// Returns what to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "check that the directory exists, and its permissions",
            Self::Shared { .. } => "take the permissions of others away: chmod go= PATH",
            Self::Foreign { .. } => "keep keys in a directory of your own",
            Self::Exists(_) => "choose another name; keys are never overwritten",
            Self::Unknown(_) => "`idlewild keys list` shows the keys there are",
            Self::Malformed { .. } => "restore the key from its 24 words",
            Self::Passphrase(_) => {
                "try again; if the passphrase is lost, restore the key from its 24 words"
            }
            Self::NoPassphrase { .. } => "set IDLEWILD_PASSPHRASE, or run in a terminal",
            Self::Entropy(_) => "try again when the system has started up",
        }
    }
}

/// A directory of keys.
#[derive(Debug, Clone)]
pub struct Keystore {
    directory: PathBuf,
    cost: Cost,
}

impl Keystore {
    /// Opens the directory, or creates it for its owner alone.
    ///
    /// # Errors
    /// [`KeystoreError`] when it cannot be created, or is open to others.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, KeystoreError> {
        let directory = directory.into();
        let failed = |source| KeystoreError::File { path: directory.clone(), source };
        disk::create_directory(&directory).map_err(failed)?;
        check_owner(&directory, &fs::metadata(&directory).map_err(failed)?)?;
        Ok(Self { directory, cost: Cost::STANDARD })
    }

    /// Stores a key under a name that is free; without a passphrase as it is.
    ///
    /// # Errors
    /// [`KeystoreError::Exists`] when the name is taken, and others.
    pub fn create(
        &self,
        name: &KeyName,
        key: &SecretKey,
        passphrase: &Passphrase,
    ) -> Result<KeyEntry, KeystoreError> {
        let file = KeyFile::seal(key, passphrase, self.cost)?;
        let failed = |source| KeystoreError::File { path: self.directory.clone(), source };
        let _alone = self.write_alone().map_err(failed)?;
        match disk::write_new(&self.path(name), &file.to_json()) {
            Ok(()) => Ok(file.entry(name.clone())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(KeystoreError::Exists(name.clone()))
            }
            Err(source) => Err(KeystoreError::File { path: self.path(name), source }),
        }
    }

    /// Opens a key. The passphrase is asked for only if the key has one.
    ///
    /// # Errors
    /// [`KeystoreError::Unknown`] and [`KeystoreError::Passphrase`] above all.
    pub fn load(
        &self,
        name: &KeyName,
        ask: impl FnOnce(&KeyName) -> io::Result<Passphrase>,
    ) -> Result<SecretKey, KeystoreError> {
        let file = self.read(name)?;
        let passphrase = match file.protection() {
            Protection::None => Passphrase::none(),
            Protection::Passphrase => ask(name)
                .map_err(|source| KeystoreError::NoPassphrase { name: name.clone(), source })?,
        };
        file.unseal(&passphrase).ok_or_else(|| KeystoreError::Passphrase(name.clone()))
    }

    /// Gives a key another passphrase, or none.
    ///
    /// # Errors
    /// As [`Self::load`]; the old file then stays as it is.
    pub fn protect(
        &self,
        name: &KeyName,
        ask: impl FnOnce(&KeyName) -> io::Result<Passphrase>,
        passphrase: &Passphrase,
    ) -> Result<KeyEntry, KeystoreError> {
        let file = KeyFile::seal(&self.load(name, ask)?, passphrase, self.cost)?;
        let path = self.path(name);
        let alone = self.write_alone();
        let replaced = alone.and_then(|_alone| disk::replace(&path, &file.to_json()));
        replaced.map_err(|source| KeystoreError::File { path, source })?;
        Ok(file.entry(name.clone()))
    }

    /// Returns what is known of a key without opening it.
    ///
    /// # Errors
    /// [`KeystoreError::Unknown`] and others.
    pub fn entry(&self, name: &KeyName) -> Result<KeyEntry, KeystoreError> {
        self.read(name).map(|file| file.entry(name.clone()))
    }

    /// Returns all keys, by name, and what is wrong with the files of others. Nothing is changed.
    ///
    /// # Errors
    /// [`KeystoreError::File`] when the directory cannot be read.
    pub fn list(&self) -> Result<Listing, KeystoreError> {
        let failed = |source| KeystoreError::File { path: self.directory.clone(), source };
        let mut names: Vec<KeyName> = Vec::new();
        for file in fs::read_dir(&self.directory).map_err(failed)? {
            let file = file.map_err(failed)?.file_name();
            let name = file.to_str().and_then(|name| name.strip_suffix(".json"));
            names.extend(name.and_then(|name| name.parse().ok()));
        }
        names.sort();
        let mut listing = Listing::default();
        for name in names {
            match self.entry(&name) {
                Ok(entry) => listing.keys.push(entry),
                // It went between the two looks.
                Err(KeystoreError::Unknown(_)) => {}
                Err(error) => listing.faulty.push(error),
            }
        }
        Ok(listing)
    }

    /// Takes the directory for writing and clears what interrupted writes left in it. Who reads
    /// needs no lock: a file is there whole or not at all.
    fn write_alone(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = lock.open(self.directory.join(LOCK))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        disk::files(&self.directory)?;
        Ok(lock)
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }

    fn read(&self, name: &KeyName) -> Result<KeyFile, KeystoreError> {
        let path = self.path(name);
        let failed = |source| KeystoreError::File { path: path.clone(), source };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(descriptor) => File::from(descriptor),
            Err(rustix::io::Errno::NOENT) => return Err(KeystoreError::Unknown(name.clone())),
            Err(error) => return Err(failed(error.into())),
        };
        // The opened file is checked, not its name, so none can be put in its place meanwhile.
        check_owner(&path, &file.metadata().map_err(failed)?)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        KeyFile::from_json(&bytes).map_err(|why| KeystoreError::Malformed { path, why })
    }
}

/// Makes a key from the system's randomness.
///
/// # Errors
/// [`KeystoreError::Entropy`].
pub fn generate() -> Result<SecretKey, KeystoreError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(SecretKey::from_bytes(*bytes))
}

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), KeystoreError> {
    let path = path.to_owned();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeystoreError::Foreign { path });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & SHARED_MODE != 0 { Err(KeystoreError::Shared { path, mode }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        keystore: Keystore,
    }

    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let mut keystore = Keystore::open(directory.path().join("keys")).unwrap();
        keystore.cost = Cost::CHEAP;
        Fixture { directory, keystore }
    }

    fn name(text: &str) -> KeyName {
        text.parse().unwrap()
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned())
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_opens_with_its_passphrase_alone() {
        let Fixture { keystore, directory: _directory } = fixture();
        let key = generate().unwrap();
        let made = keystore.create(&name("a"), &key, &passphrase("right")).unwrap();
        assert_eq!((made.address, made.protection), (key.address(), Protection::Passphrase));
        let load = |text| keystore.load(&name("a"), |_| Ok(passphrase(text)));
        assert_eq!(load("right").unwrap().expose(), key.expose());
        assert!(matches!(load("wrong"), Err(KeystoreError::Passphrase(_))));
        assert!(matches!(load(""), Err(KeystoreError::Passphrase(_))));
        let refused = keystore.load(&name("a"), |_| Err(io::ErrorKind::Unsupported.into()));
        assert!(matches!(refused, Err(KeystoreError::NoPassphrase { .. })));
    }

    #[test]
    fn a_key_without_passphrase_says_so_and_asks_for_none() {
        let Fixture { keystore, directory: _directory } = fixture();
        let key = generate().unwrap();
        keystore.create(&name("open"), &key, &Passphrase::none()).unwrap();
        let loaded = keystore.load(&name("open"), |_| panic!("asked")).unwrap();
        assert_eq!(loaded.expose(), key.expose());
        assert_eq!(keystore.list().unwrap().keys[0].protection, Protection::None);
        let asked = |_: &KeyName| panic!("asked");
        let entry = keystore.protect(&name("open"), asked, &passphrase("now")).unwrap();
        assert_eq!(entry.protection, Protection::Passphrase);
        assert_eq!(keystore.list().unwrap().keys, [entry]);
    }

    #[test]
    fn a_changed_file_does_not_open() {
        let Fixture { keystore, directory: _directory } = fixture();
        for text in ["", "secret"] {
            let key = name(if text.is_empty() { "plain" } else { "sealed" });
            keystore.create(&key, &generate().unwrap(), &passphrase(text)).unwrap();
            let path = keystore.path(&key);
            let whole = fs::read_to_string(&path).unwrap();
            let digits: Vec<usize> = whole
                .char_indices()
                .filter(|(_, c)| c.is_ascii_digit())
                .map(|(at, _)| at)
                .collect();
            for at in digits {
                let mut changed = whole.clone();
                let digit = &whole[at..=at];
                changed.replace_range(at..=at, if digit == "1" { "2" } else { "1" });
                fs::write(&path, changed).unwrap();
                assert!(keystore.load(&key, |_| Ok(passphrase(text))).is_err(), "{text:?} {at}");
            }
            fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            let cut = keystore.load(&key, |_| Ok(passphrase(text)));
            assert!(matches!(cut, Err(KeystoreError::Malformed { .. })));
        }
    }

    #[test]
    fn files_and_directories_open_to_others_are_refused() {
        let Fixture { keystore, directory } = fixture();
        keystore.create(&name("a"), &generate().unwrap(), &Passphrase::none()).unwrap();
        let path = keystore.path(&name("a"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660] {
            set_mode(&path, mode);
            let refused = keystore.entry(&name("a"));
            assert!(matches!(refused, Err(KeystoreError::Shared { .. })), "{mode:o}");
        }
        set_mode(&path, 0o600);
        fs::rename(&path, directory.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(keystore.entry(&name("a")), Err(KeystoreError::File { .. })));
        set_mode(&keystore.directory, 0o750);
        let refused = Keystore::open(&keystore.directory);
        assert!(matches!(refused, Err(KeystoreError::Shared { .. })));
    }

    #[test]
    fn no_key_is_overwritten_and_none_is_invented() {
        let Fixture { keystore, directory: _directory } = fixture();
        keystore.create(&name("a"), &generate().unwrap(), &Passphrase::none()).unwrap();
        let again = keystore.create(&name("a"), &generate().unwrap(), &Passphrase::none());
        assert!(matches!(again, Err(KeystoreError::Exists(_))));
        assert!(matches!(keystore.entry(&name("b")), Err(KeystoreError::Unknown(_))));
        assert_eq!(keystore.list().unwrap().keys.len(), 1);
    }

    #[test]
    fn a_list_removes_nothing_and_one_faulty_file_hides_no_key() {
        let Fixture { keystore, directory: _directory } = fixture();
        for text in ["a", "c"] {
            keystore.create(&name(text), &generate().unwrap(), &Passphrase::none()).unwrap();
        }
        fs::write(keystore.path(&name("b")), "{").unwrap();
        set_mode(&keystore.path(&name("b")), 0o600);
        let being_written = keystore.directory.join("d.1.0.tmp");
        fs::write(&being_written, "half").unwrap();
        let listing = keystore.list().unwrap();
        let names: Vec<&str> = listing.keys.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        assert!(matches!(&listing.faulty[..], [KeystoreError::Malformed { .. }]));
        assert!(being_written.exists());
        // Who writes is alone, so what is there was left by somebody who is gone.
        keystore.create(&name("d"), &generate().unwrap(), &Passphrase::none()).unwrap();
        assert!(!being_written.exists());
    }

    #[test]
    fn names_are_file_names_and_nothing_more() {
        for good in ["a", "node-1", "0_x", &"n".repeat(32)] {
            assert!(good.parse::<KeyName>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "A", "-a", "a.json", "é", &"n".repeat(33)] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_passphrase_does_not_show_itself() {
        assert!(!format!("{:?}", passphrase("hunter2")).contains("hunter2"));
    }
}
