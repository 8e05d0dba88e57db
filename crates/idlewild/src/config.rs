//! Where settings come from: flags, then environment, then the configuration file, then defaults.
//!
//! The configuration file is TOML at `$XDG_CONFIG_HOME/idlewild/config.toml`; a key that is not
//! known is an error, so that a typing mistake does not pass for a setting. What `join` has
//! pinned stands in the data directory and comes before the default node.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::{Deserialize, Serialize};
use types::Hash;

use crate::cli::Global;
use crate::failure::{Exit, Explain, Failure, Outcome};

/// The port that `up` listens on unless it is told otherwise.
pub(crate) const PORT: u16 = 7460;

/// The name of the key that spends and earns unless another is named.
const KEY: &str = "main";

/// The configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The node to ask, as `http://HOST:PORT`.
    pub(crate) node: Option<String>,
    /// Where keys, pins and the state of node and provider are kept.
    pub(crate) data: Option<PathBuf>,
    /// The key that spends and earns.
    pub(crate) key: Option<String>,
    /// No talk on standard error.
    pub(crate) quiet: Option<bool>,
}

/// What is in force for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The node to ask.
    pub(crate) node: String,
    /// Where keys, pins and the state of node and provider are kept.
    pub(crate) data: PathBuf,
    /// The key that spends and earns.
    pub(crate) key: String,
    /// No talk on standard error.
    pub(crate) quiet: bool,
    /// The network that this data directory belongs to.
    pub(crate) pin: Option<Pin>,
}

/// The network that a data directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// Its name.
    pub(crate) network: String,
    /// Its genesis' hash.
    pub(crate) genesis: Hash,
    /// The node through which it was joined.
    pub(crate) node: String,
}

impl Settings {
    /// Puts flags, environment (which the flags' parser has read), file and defaults together.
    pub(crate) fn read(global: &Global) -> Outcome<Self> {
        let file = match &global.config {
            Some(path) => read_file(path)?,
            None => match default_directory("XDG_CONFIG_HOME", ".config") {
                Some(directory) => read_default(&directory.join("config.toml"))?,
                None => File::default(),
            },
        };
        let data = match global.data.clone().or(file.data) {
            Some(data) => data,
            None => default_directory("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
                Failure::usage("there is no place for data: neither XDG_DATA_HOME nor HOME is set")
                    .hint("name a directory with --data DIR")
            })?,
        };
        let pin = Pin::read(&data)?;
        let joined = || pin.as_ref().map(|pin| pin.node.clone());
        let node = global
            .node
            .clone()
            .or(file.node)
            .or_else(joined)
            .unwrap_or_else(|| format!("http://127.0.0.1:{PORT}"));
        let key = global.key.clone().or(file.key).unwrap_or_else(|| KEY.to_owned());
        let quiet = global.quiet || file.quiet.unwrap_or(false);
        Ok(Self { node, data, key, quiet, pin })
    }
}

impl Pin {
    fn path(data: &Path) -> PathBuf {
        data.join("network.toml")
    }

    fn read(data: &Path) -> Outcome<Option<Self>> {
        let path = Self::path(data);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let pin = toml::from_str(&text).or_exit(Exit::Usage);
                let pin = pin.because(format_args!("{} cannot be read", path.display()));
                Ok(Some(pin.hint("join the network again: `idlewild join URL --again`")?))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error)
                .because(format_args!("{} cannot be read", path.display()))
                .hint("check its permissions"),
        }
    }

    /// Writes the pin; it is there whole or not at all.
    pub(crate) fn write(&self, data: &Path) -> Outcome<()> {
        let path = Self::path(data);
        let text = toml::to_string(self).expect("a pin is a table of texts");
        let write = || {
            fs::create_dir_all(data)?;
            let draft = path.with_extension("toml.draft");
            fs::write(&draft, text)?;
            fs::rename(&draft, &path)
        };
        write().because(format_args!("cannot write {}", path.display()))
    }
}

fn read_file(path: &Path) -> Outcome<File> {
    let text = fs::read_to_string(path)
        .because(format_args!("cannot read the configuration {}", path.display()))
        .or_exit(Exit::Usage)?;
    parse(path, &text)
}

/// Reads the file that need not be there.
fn read_default(path: &Path) -> Outcome<File> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(error)
            .because(format_args!("cannot read the configuration {}", path.display()))
            .or_exit(Exit::Usage),
    }
}

fn parse(path: &Path, text: &str) -> Outcome<File> {
    toml::from_str(text)
        .because(format_args!("{} is not a configuration", path.display()))
        .or_exit(Exit::Usage)
        .hint("the settings are: node, data, key, quiet")
}

/// Returns `$variable/idlewild`, or `$HOME/below/idlewild`.
fn default_directory(variable: &str, below: &str) -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below)))?;
    Some(base.join("idlewild"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(file: &str, global: Global) -> Outcome<Settings> {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("config.toml");
        fs::write(&config, file).unwrap();
        let data = global.data.clone().or_else(|| Some(directory.path().to_owned()));
        Settings::read(&Global { config: Some(config), data, ..global })
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_the_default() {
        let file = "node = \"http://file:1\"\nkey = \"savings\"\nquiet = true";
        let from_file = settings(file, Global::default()).unwrap();
        assert_eq!((from_file.node.as_str(), from_file.key.as_str()), ("http://file:1", "savings"));
        assert!(from_file.quiet);
        let flag = Global { node: Some("http://flag:1".to_owned()), ..Global::default() };
        assert_eq!(settings(file, flag).unwrap().node, "http://flag:1");
        let default = settings("", Global::default()).unwrap();
        assert_eq!(default.node, "http://127.0.0.1:7460");
        assert_eq!((default.key.as_str(), default.quiet), ("main", false));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let failure = settings("nodes = \"http://file:1\"", Global::default()).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("unknown field `nodes`"), "{failure}");
    }

    #[test]
    fn a_pin_comes_back_and_names_the_node() {
        let data = tempfile::tempdir().unwrap();
        let pin = Pin {
            network: "somewhere".to_owned(),
            genesis: Hash::of("test", &[]),
            node: "http://pinned:1".to_owned(),
        };
        pin.write(data.path()).unwrap();
        let global = Global { data: Some(data.path().to_owned()), ..Global::default() };
        let settings = settings("", global).unwrap();
        assert_eq!(settings.node, "http://pinned:1");
        assert_eq!(settings.pin, Some(pin));
    }
}
