//! The demo's providers: processes of this same binary, which never outlive it.
//!
//! Each holds the reading end of a pipe as its standard input and ends with it, so that they go
//! even when the demo is killed. Otherwise they are told by closing the pipe, and what does not
//! go then is killed by its number.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Explain, Outcome};

/// How long a provider has to go by itself.
const GO_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How often it is looked after meanwhile.
const GO_EVERY: Duration = Duration::from_millis(10);

/// The end of a log that is shown when a provider fails.
const LOG_TAIL_LINES: usize = 8;

/// The providers of a demo.
#[derive(Debug)]
pub(crate) struct Children {
    children: Vec<Provider>,
}

/// A provider process.
#[derive(Debug)]
struct Provider {
    process: Child,
    log: PathBuf,
}

impl Children {
    /// Starts `count` providers, each with a data directory of its own below `data`.
    /// If there is to be a cheat, it is the last.
    pub(crate) fn start(
        count: usize,
        slots: u16,
        node: &str,
        data: &Path,
        is_cheating: bool,
    ) -> Outcome<Self> {
        let program = std::env::current_exe().because("cannot find this program's own file")?;
        // Filled one by one, so that those that run are ended if another cannot start.
        let mut children = Self { children: Vec::with_capacity(count) };
        for number in 1..=count {
            let directory = data.join(format!("provider-{number}"));
            let unmade = || format!("cannot make {}", directory.display());
            std::fs::create_dir_all(&directory).because(unmade())?;
            let log = directory.join("log");
            let file = File::create(&log).because(unmade())?;
            let process = Command::new(&program)
                .args(["provide", "--tied", "--no-passphrase", "--node", node])
                .args(["--slots", &slots.to_string(), "--data"])
                .arg(&directory)
                .args((is_cheating && number == count).then_some("--cheat"))
                .env_remove("IDLEWILD_CONFIG")
                .env_remove("IDLEWILD_KEY")
                .env("XDG_CONFIG_HOME", &directory)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(file)
                // Ctrl-C is for the demo, which then ends them.
                .process_group(0)
                .spawn()
                .because("cannot start a provider")?;
            children.children.push(Provider { process, log });
        }
        Ok(children)
    }

    /// Returns the processes' numbers.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.children.iter().map(|child| child.process.id()).collect()
    }

    /// Returns the end of the log of a provider that has gone, if one has.
    pub(crate) fn gone(&mut self) -> Option<String> {
        self.children.iter_mut().find_map(|child| {
            let status = child.process.try_wait().ok().flatten()?;
            let log = std::fs::read_to_string(&child.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(LOG_TAIL_LINES);
            Some(format!("{status}\n{}", lines[tail..].join("\n")))
        })
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.process.stdin.take());
        }
        let until = Instant::now() + GO_TIMEOUT;
        for child in &mut self.children {
            while Instant::now() < until && matches!(child.process.try_wait(), Ok(None)) {
                std::thread::sleep(GO_EVERY);
            }
            // Both fail only if it is gone already.
            let _ = child.process.kill();
            let _ = child.process.wait();
        }
    }
}
