//! The keys of this data directory, and the passphrases that open them.
//!
//! A passphrase comes from `IDLEWILD_PASSPHRASE`, or is asked for where there is a terminal. A
//! key that is made where there is neither has none, and that is said.

use std::io::{self, BufRead, IsTerminal, Write};

use provider::keystore::{
    KeyEntry, KeyName, Keystore, KeystoreError, PASSPHRASE_VARIABLE, Passphrase, Protection, Words,
    generate,
};
use types::{Address, SecretKey};

use crate::config::Settings;
use crate::failure::{Explain, Failure, Outcome};
use crate::output::Output;
use crate::prompt;

/// The most bytes of a line that is asked for.
const LINE_BYTES_MAX: u64 = 4_096;

/// The keys of a data directory.
#[derive(Debug)]
pub(crate) struct Keyring {
    store: Keystore,
    output: Output,
}

impl Keyring {
    /// Opens the keys of the data directory.
    pub(crate) fn open(settings: &Settings, output: Output) -> Outcome<Self> {
        let store = Keystore::open(settings.data.join("keys")).map_err(explain)?;
        Ok(Self { store, output })
    }

    /// Opens the key of that name.
    pub(crate) fn load(&self, name: &str) -> Outcome<SecretKey> {
        let name = key_name(name)?;
        self.store.load(&name, ask).map_err(explain)
    }

    /// Opens the key of that name, or makes it.
    pub(crate) fn load_or_make(&self, name: &str, passphrase: NewPassphrase) -> Outcome<SecretKey> {
        let name = key_name(name)?;
        match self.store.load(&name, ask) {
            Err(KeystoreError::Unknown(name)) => {
                let key = generate().map_err(explain)?;
                let entry = self.make(&name, &key, passphrase)?;
                self.output.say(format_args!("made key {name}: {}", entry.address));
                Ok(key)
            }
            result => result.map_err(explain),
        }
    }

    /// Makes sure that there is a key of that name, for a network where it may come to hold much,
    /// and returns its address.
    pub(crate) fn ensure(&self, name: &str, passphrase: NewPassphrase) -> Outcome<Address> {
        match self.store.entry(&key_name(name)?) {
            Ok(entry) => {
                self.warn_of_none(&entry);
                Ok(entry.address)
            }
            Err(KeystoreError::Unknown(_)) => Ok(self.load_or_make(name, passphrase)?.address()),
            Err(error) => Err(explain(error)),
        }
    }

    fn warn_of_none(&self, entry: &KeyEntry) {
        if entry.protection == Protection::None {
            self.output.warn(format_args!(
                "key {} has no passphrase; give it one with `idlewild keys protect {}`",
                entry.name, entry.name
            ));
        }
    }

    /// Stores a new key under a name that is free.
    pub(crate) fn make(
        &self,
        name: &KeyName,
        key: &SecretKey,
        passphrase: NewPassphrase,
    ) -> Outcome<KeyEntry> {
        if self.store.entry(name).is_ok() {
            return Err(explain(KeystoreError::Exists(name.clone())));
        }
        let entry = self.store.create(name, key, &passphrase.choose()?).map_err(explain)?;
        match (passphrase, entry.protection) {
            (NewPassphrase::Wanted, _) => self.warn_of_none(&entry),
            (NewPassphrase::Unasked, Protection::None) => self.output.say(format_args!(
                "key {name} has no passphrase, since IDLEWILD_PASSPHRASE is not set"
            )),
            _ => {}
        }
        Ok(entry)
    }

    /// Gives a key another passphrase.
    pub(crate) fn protect(&self, name: &str, passphrase: NewPassphrase) -> Outcome<KeyEntry> {
        let name = key_name(name)?;
        let chosen = passphrase.choose_anew()?;
        self.store.protect(&name, ask, &chosen).map_err(explain)
    }

    /// Returns what is known of a key without opening it.
    pub(crate) fn entry(&self, name: &str) -> Outcome<KeyEntry> {
        self.store.entry(&key_name(name)?).map_err(explain)
    }

    /// Returns all keys that are in order, and says what is wrong with others.
    pub(crate) fn list(&self) -> Outcome<Vec<KeyEntry>> {
        let listing = self.store.list().map_err(explain)?;
        for error in listing.faulty {
            let hint = error.hint();
            self.output.warn(format_args!("{error}; {hint}"));
        }
        Ok(listing.keys)
    }
}

/// Whether a new key is to have a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewPassphrase {
    /// From the environment or the terminal, if there is either.
    Wanted,
    /// From the environment, if it is there: the key is for a network on this machine.
    Unasked,
    /// None: its owner says so, or nobody is there to type it when it is needed.
    None,
}

impl NewPassphrase {
    fn choose(self) -> Outcome<Passphrase> {
        if self == Self::None {
            return Ok(Passphrase::none());
        }
        match Passphrase::from_environment() {
            Some(passphrase) => Ok(passphrase),
            None if self == Self::Wanted && io::stdin().is_terminal() => ask_twice(),
            None => Ok(Passphrase::none()),
        }
    }

    /// Chooses a passphrase while the environment may hold the old one.
    fn choose_anew(self) -> Outcome<Passphrase> {
        match self {
            Self::None => Ok(Passphrase::none()),
            _ if io::stdin().is_terminal() => ask_twice(),
            _ => Err(Failure::usage("a new passphrase can only be typed in a terminal")),
        }
    }
}

/// Takes text as the name of a key.
pub(crate) fn key_name(text: &str) -> Outcome<KeyName> {
    text.parse().or_exit(crate::failure::Exit::Usage)
}

/// Reads the 24 words of a key from standard input.
pub(crate) fn read_words() -> Outcome<Words> {
    if io::stdin().is_terminal() {
        let _ = write!(io::stderr(), "the 24 words: ");
    }
    let line = read_line().because("cannot read the words")?;
    Words::parse(&line)
        .or_exit(crate::failure::Exit::Usage)
        .hint("write the 24 words on one line, in their order")
}

/// Returns the failure of a question that was not answered.
fn unasked(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::Interrupted => Failure::stopped(),
        _ => Failure::from(error).context("cannot ask for a passphrase"),
    }
}

fn explain(error: KeystoreError) -> Failure {
    if let KeystoreError::NoPassphrase { source, .. } = &error
        && source.kind() == io::ErrorKind::Interrupted
    {
        return Failure::stopped();
    }
    let hint = match &error {
        KeystoreError::Unknown(_) => {
            "make one with `idlewild keys new`, or with a network: `idlewild up` or `idlewild join \
             URL`; `idlewild keys list` shows those there are"
        }
        _ => error.hint(),
    };
    let hint = hint.to_owned();
    Failure::from(error).hint(hint)
}

/// Gets the passphrase of a key that has one.
fn ask(name: &KeyName) -> io::Result<Passphrase> {
    match Passphrase::from_environment() {
        Some(passphrase) => Ok(passphrase),
        None if io::stdin().is_terminal() => {
            prompt::hidden(&format!("passphrase of key {name}: ")).map(Passphrase::new)
        }
        None => Err(io::Error::other(format!("{PASSPHRASE_VARIABLE} is not set"))),
    }
}

fn ask_twice() -> Outcome<Passphrase> {
    let ask = |question| prompt::hidden(question).map_err(unasked);
    let first = ask("new passphrase (empty for none): ")?;
    let second = ask("once more: ")?;
    let equal = first == second;
    // Both are wiped when they are dropped.
    let (first, second) = (Passphrase::new(first), Passphrase::new(second));
    drop(second);
    if equal { Ok(first) } else { Err(Failure::usage("the two passphrases differ")) }
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::Read::take(io::stdin().lock(), LINE_BYTES_MAX).read_line(&mut line)?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}
