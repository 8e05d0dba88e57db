//! Where the workspace is, and how commands run in it.

use anyhow::{Context, Result, bail};
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace on disk.
#[derive(Debug, Clone)]
pub(crate) struct House {
    root: PathBuf,
    target: Option<PathBuf>,
}

impl House {
    /// Finds the workspace from what cargo says of this package, else from the working directory.
    pub(crate) fn find() -> Result<Self> {
        let start = match env::var_os("CARGO_MANIFEST_DIR") {
            Some(manifest) => PathBuf::from(manifest),
            None => env::current_dir().context("the working directory cannot be read")?,
        };
        let root = start
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .context("no workspace here\nhint: run `cargo xtask` inside the project")?;
        Ok(Self { root: root.to_path_buf(), target: kept_target() })
    }

    /// Returns the folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a cargo command in the root, with the kept target directory where there is one.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        self.command(&PathBuf::from(cargo), arguments)
    }

    /// Returns a command in the root, with the kept target directory where there is one.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.root);
        if let Some(target) = &self.target {
            command.env("CARGO_TARGET_DIR", target);
        }
        command
    }
}

/// Returns a target directory that outlives the clone, unless the caller chose one.
fn kept_target() -> Option<PathBuf> {
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        return None;
    }
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("idlewild/target")).filter(|target| target.is_dir())
}

/// Returns whether the command exists and ends well; its output is dropped.
pub(crate) fn answers(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Returns what the command wrote to its standard output; its talk passes through.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{command:?} cannot be started"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} wrote no text"))
}

/// One of a command's two output streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Runs the command, passes its output through, shows `each` line of one stream to the caller,
/// and returns whether the command ended well.
pub(crate) fn watch(
    command: &mut Command,
    stream: Stream,
    mut each: impl FnMut(&str),
) -> Result<bool> {
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Err => command.stderr(Stdio::piped()),
    };
    let mut child = command.spawn().with_context(|| format!("{command:?} cannot be started"))?;
    let pipe: Box<dyn Read> = match stream {
        Stream::Out => Box::new(child.stdout.take().expect("the stream was piped above")),
        Stream::Err => Box::new(child.stderr.take().expect("the stream was piped above")),
    };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line)? > 0 {
        match stream {
            Stream::Out => std::io::stdout().write_all(&line)?,
            Stream::Err => std::io::stderr().write_all(&line)?,
        }
        each(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(child.wait()?.success())
}
