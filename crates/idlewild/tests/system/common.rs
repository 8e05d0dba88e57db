//! What the whole-system tests share: the real binary, in directories of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use api::ClientError;
use serde_json::Value;
use tempfile::TempDir;

/// How often something that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long a node may be away.
const AWAY_MAX: Duration = Duration::from_secs(60);

/// Returns a file of `examples`.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// Looks until what is waited for is there, and fails when it is not within `limit`.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let began = Instant::now();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < limit, "{what}: not within {limit:?}");
    }
}

/// Asks a node that may be away for a while, as after a crash.
pub(crate) async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    until("an answer of the node", AWAY_MAX, || {
        let asked = ask();
        async move {
            match asked.await {
                Err(error) if error.is_transient() => None,
                answer => Some(answer),
            }
        }
    })
    .await
}

/// A data directory with nothing around it that the binary could pick up.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
}

const BINARY: &str = env!("CARGO_BIN_EXE_idlewild");

/// Returns the binary with everything it keeps in this directory.
pub(crate) fn command_in(directory: &Path) -> Command {
    at_home(Command::new(BINARY), directory)
}

/// Returns the binary as [`command_in`] does, in a network namespace.
pub(crate) fn command_within(namespace: &Path, directory: &Path) -> Command {
    let mut enter = Command::new("nsenter");
    enter.arg(format!("--net={}", namespace.display())).arg(BINARY);
    at_home(enter, directory)
}

fn at_home(mut command: Command, directory: &Path) -> Command {
    command
        .env_clear()
        .env("HOME", directory)
        .env("IDLEWILD_DATA", directory.join("data"))
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// How a command ended, with its output as text.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Returns the one object that `--json` prints.
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.stdout.lines();
        let object = serde_json::from_str(lines.next().unwrap_or_default());
        assert_eq!(lines.next(), None, "more than one object: {self:?}");
        object.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

impl Default for Home {
    fn default() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }
}

impl Home {
    /// Returns a path in this home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the binary with this data directory and no other settings.
    pub(crate) fn command(&self) -> Command {
        command_in(self.directory.path())
    }

    /// Runs a command to its end.
    pub(crate) fn run<I: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = I>,
    ) -> Ended {
        ended(&self.command().args(words).output().unwrap())
    }

    /// Starts a network and waits until it is up.
    pub(crate) fn up(self) -> Up {
        self.up_with(&["--slots", "2"])
    }

    /// Starts a network in which nobody sells.
    pub(crate) fn up_alone(self) -> Up {
        self.up_with(&["--no-provider"])
    }

    fn up_with(self, words: &[&str]) -> Up {
        let (child, stdout, started) = self.start_up(words);
        Up { home: self, child: Some(child), stdout, started }
    }

    fn start_up(&self, words: &[&str]) -> (Child, BufReader<ChildStdout>, Value) {
        let mut child = self
            .command()
            .args(["up", "--json", "--port", "0"])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let started = serde_json::from_str(&line);
        (child, stdout, started.expect("`up` prints an object when it is up"))
    }
}

/// Returns how a command ended.
pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A network that runs.
pub(crate) struct Up {
    pub(crate) home: Home,
    child: Option<Child>,
    /// Held open, since `up` would notice that nobody reads.
    #[expect(dead_code, reason = "the network may go on writing to it")]
    stdout: BufReader<ChildStdout>,
    pub(crate) started: Value,
}

impl Up {
    /// Returns the node's address.
    pub(crate) fn url(&self) -> String {
        self.started["url"].as_str().unwrap().to_owned()
    }

    /// Runs a command against this network.
    pub(crate) fn run<I: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = I>,
    ) -> Ended {
        let mut command = self.home.command();
        ended(&command.env("IDLEWILD_NODE", self.url()).args(words).output().unwrap())
    }

    /// Returns text without names that differ from one run to the next.
    pub(crate) fn plain(&self, text: &str) -> String {
        let home = self.home.directory.path().to_str().unwrap();
        let text = text.replace(home, "HOME").replace(&self.url(), "NODE");
        let mut plain = String::new();
        for word in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
            let name = word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
            let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            let shown = if is_hash {
                "HASH"
            } else if name.starts_with("idle1") {
                "ADDRESS"
            } else if plain.ends_with("ADDRESS…") {
                ""
            } else {
                name
            };
            plain.push_str(shown);
            plain.push_str(&word[name.len()..]);
        }
        plain
    }

    /// Asks it to end, as a service manager does, and returns how it did.
    pub(crate) fn end(mut self) -> (Home, i32) {
        let mut child = self.child.take().unwrap();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let home = std::mem::take(&mut self.home);
        (home, status.code().unwrap_or(-1))
    }

    /// Kills it without warning.
    pub(crate) fn kill(mut self) -> Home {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        std::mem::take(&mut self.home)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
