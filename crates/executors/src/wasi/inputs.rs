//! What a job is given: files, arguments, environment, standard input, seeds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::limits::{DEPTH_MAX, HostLimits, NAME_BYTES_MAX, TREE_PATH_BYTES_MAX};

/// The path of an input file below `/in`: relative, without `.` and `..`, at most
/// [`TREE_PATH_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InputPath(Box<str>);

/// Why a text is not an [`InputPath`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputPathError {
    /// The path is empty or has an empty component: it is absolute, ends with or doubles a slash.
    EmptyComponent,
    /// A component is `.` or `..`.
    DotComponent,
    /// The path has a zero byte.
    ZeroByte,
    /// The path, a component of it, or the number of components is too long.
    TooLong,
}

impl fmt::Display for InputPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyComponent => "the path has an empty component",
            Self::DotComponent => "the path has a component `.` or `..`",
            Self::ZeroByte => "the path has a zero byte",
            Self::TooLong => "the path is too long",
        })
    }
}

impl std::error::Error for InputPathError {}

impl InputPath {
    /// Parses a path with `/` between its components.
    ///
    /// # Errors
    /// [`InputPathError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, InputPathError> {
        if text.len() > TREE_PATH_BYTES_MAX {
            return Err(InputPathError::TooLong);
        }
        if text.contains('\0') {
            return Err(InputPathError::ZeroByte);
        }
        let mut depth = 0;
        for component in text.split('/') {
            match component {
                "" => return Err(InputPathError::EmptyComponent),
                "." | ".." => return Err(InputPathError::DotComponent),
                _ if component.len() > NAME_BYTES_MAX => return Err(InputPathError::TooLong),
                _ => depth += 1,
            }
        }
        if depth > DEPTH_MAX {
            return Err(InputPathError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// Returns the path as text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.0
    }
}

/// The files and standard input of a job; content is shared, never copied.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The files below `/in`.
    pub files: Vec<(InputPath, Arc<[u8]>)>,
    /// The directories below `/in` that have no files; others are implied by what is in them.
    pub directories: Vec<InputPath>,
    /// Standard input.
    pub stdin: Arc<[u8]>,
}

/// Everything that decides what a guest sees of the world.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// The files and standard input.
    pub inputs: Inputs,
    /// The arguments; by custom the first is the program's name.
    pub arguments: Vec<String>,
    /// The environment, in the order in which the guest sees it.
    pub environment: Vec<(String, String)>,
    /// Where the real-time clock starts, in nanoseconds after 1970.
    pub realtime_start_ns: u64,
    /// The fuel of the run; what is used of it is the time that passes.
    pub fuel: u64,
    /// The seed of everything random.
    pub random_seed: [u8; 32],
    /// What the guest may use.
    pub limits: HostLimits,
}

/// Why a host cannot be made of a [`HostConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// An argument or a variable has a zero byte, or a variable's name is empty or has a `=`.
    BadString,
    /// There are too many arguments or variables, or they are too long.
    TooManyStrings,
    /// There are too many input files and directories.
    TooManyInputs,
    /// Two inputs have this path, or one has it as a directory and one as a file.
    InputConflict(InputPath),
    /// The descriptor limit is below what every guest is given.
    TooFewDescriptors,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadString => f.write_str("an argument or a variable is malformed"),
            Self::TooManyStrings => f.write_str("too many arguments or variables"),
            Self::TooManyInputs => f.write_str("too many input files and directories"),
            Self::InputConflict(path) => write!(f, "the input {} conflicts", path.as_str()),
            Self::TooFewDescriptors => f.write_str("the descriptor limit is too low"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Arguments or variables as the guest reads them: each ends with a zero byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strings {
    pub(crate) bytes: Vec<u8>,
    pub(crate) starts: Vec<u32>,
}

impl Strings {
    fn collect(
        strings: impl Iterator<Item = String>,
        limits: &HostLimits,
    ) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for string in strings {
            if string.contains('\0') {
                return Err(ConfigError::BadString);
            }
            let start = u32::try_from(all.bytes.len()).map_err(|_| ConfigError::TooManyStrings)?;
            all.starts.push(start);
            all.bytes.extend_from_slice(string.as_bytes());
            all.bytes.push(0);
            if all.starts.len() > limits.strings_max || all.bytes.len() > limits.string_bytes_max {
                return Err(ConfigError::TooManyStrings);
            }
        }
        Ok(all)
    }
}

impl HostConfig {
    /// Returns the arguments as the guest reads them.
    pub(crate) fn argument_strings(&self) -> Result<Strings, ConfigError> {
        Strings::collect(self.arguments.iter().cloned(), &self.limits)
    }

    /// Returns the environment as the guest reads it, with `=` after each name.
    pub(crate) fn environment_strings(&self) -> Result<Strings, ConfigError> {
        if self.environment.iter().any(|(name, _)| name.is_empty() || name.contains('=')) {
            return Err(ConfigError::BadString);
        }
        let variables = self.environment.iter().map(|(name, value)| format!("{name}={value}"));
        Strings::collect(variables, &self.limits)
    }

    /// Checks that the inputs form a tree within the limits; returns the files and directories in
    /// it.
    pub(crate) fn check_inputs(&self) -> Result<usize, ConfigError> {
        let Inputs { files, directories, .. } = &self.inputs;
        if files.len().saturating_add(directories.len()) > self.limits.input_files_max {
            return Err(ConfigError::TooManyInputs);
        }
        let mut all = BTreeSet::new();
        let conflict = |path: &InputPath| Err(ConfigError::InputConflict(path.clone()));
        let mut leaves = BTreeSet::new();
        for (path, _) in files {
            if !leaves.insert(path.as_str()) {
                return conflict(path);
            }
        }
        for path in files.iter().map(|(path, _)| path).chain(directories) {
            all.insert(path.as_str());
            all.extend(path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at]));
            if all.len() > self.limits.input_files_max {
                return Err(ConfigError::TooManyInputs);
            }
            let above = path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at]);
            if above.into_iter().any(|directory| leaves.contains(directory)) {
                return conflict(path);
            }
        }
        match directories.iter().find(|path| leaves.contains(path.as_str())) {
            Some(path) => conflict(path),
            None => Ok(all.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_paths_cannot_leave_their_tree() {
        for (text, error) in [
            ("", InputPathError::EmptyComponent),
            ("/a", InputPathError::EmptyComponent),
            ("a/", InputPathError::EmptyComponent),
            ("a//b", InputPathError::EmptyComponent),
            ("..", InputPathError::DotComponent),
            ("a/../b", InputPathError::DotComponent),
            ("./a", InputPathError::DotComponent),
            ("a\0", InputPathError::ZeroByte),
        ] {
            assert_eq!(InputPath::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(InputPath::parse("a/..b/c ").unwrap().as_str(), "a/..b/c ");
    }

    #[test]
    fn input_path_limits_hold_at_n_and_n_plus_1() {
        let name = "n".repeat(NAME_BYTES_MAX);
        assert!(InputPath::parse(&name).is_ok());
        assert_eq!(InputPath::parse(&format!("{name}n")), Err(InputPathError::TooLong));
        let deep = vec!["d"; DEPTH_MAX].join("/");
        assert!(InputPath::parse(&deep).is_ok());
        assert_eq!(InputPath::parse(&format!("{deep}/d")), Err(InputPathError::TooLong));
        let long = format!("{}/{name}/{name}/{}", &name, &name[..NAME_BYTES_MAX]);
        assert!(InputPath::parse(&long).is_ok());
        assert_eq!(InputPath::parse(&format!("{long}/n")), Err(InputPathError::TooLong));
    }
}
