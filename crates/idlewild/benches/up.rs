//! Measures what `idlewild up` keeps in memory while nothing happens: the resident memory of all
//! its processes, what they share counted in each, before any job and after some.
//!
//! `cargo bench -p idlewild --bench up`

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Figure, Report};
use tempfile::TempDir;

/// The most that may be resident, in MiB.
const RESIDENT_MIB_MAX: f64 = 120.0;
/// Jobs after which is measured again.
const JOBS: usize = 50;
/// The time over which nothing may happen.
const QUIET: Duration = Duration::from_secs(1);
/// Ticks of 10 ms that an idle network may work in that time: it listens, and looks now and then.
const QUIET_TICKS_MAX: u64 = 2;
/// How long it may take to become idle.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let mut report = Report::new();
    let (fresh, used) = ("up/idle", "up/idle after 50 jobs");
    if report.wants(fresh) || report.wants(used) {
        let up = Up::start();
        let figure = |up: &Up| Figure::new(up.idle_mib(), "MiB").at_most(RESIDENT_MIB_MAX);
        report.row(fresh, || figure(&up));
        report.row(used, || {
            (0..JOBS).for_each(|number| up.run_job(number));
            figure(&up)
        });
    }
    report.finish();
}

/// A network of the real binary.
struct Up {
    home: TempDir,
    child: Child,
    url: String,
    /// Closes when the network ends.
    ended: Receiver<()>,
}

impl Up {
    /// Starts it, and waits until it says that it is up.
    fn start() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = command(home.path());
        command.args(["up", "--quiet", "--port", "0"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        stdout.read_line(&mut url).expect("the binary writes text");
        let url = url.trim_end().to_owned();
        assert!(url.starts_with("http://"), "`up` prints its address: {url:?}");
        let (alive, ended) = channel();
        thread::spawn(move || {
            let _alive = alive;
            // It prints nothing more, so this lasts as long as it does.
            stdout.read_line(&mut String::new())
        });
        Self { home, child, url, ended }
    }

    /// Rents the network for a small program.
    fn run_job(&self, number: usize) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello.wasm");
        let mut command = command(self.home.path());
        command.env("IDLEWILD_NODE", &self.url).args(["run", "--quiet"]);
        command.arg(program).args(["--", &number.to_string()]).stdout(Stdio::null());
        assert!(command.status().expect("the binary starts").success(), "job {number}");
    }

    /// Waits until nothing happens any more, and returns what is resident, in MiB.
    fn idle_mib(&self) -> f64 {
        let began = Instant::now();
        loop {
            let before = self.processes().iter().map(|&id| ticks(id)).sum::<u64>();
            let waited = self.ended.recv_timeout(QUIET);
            assert_eq!(waited, Err(RecvTimeoutError::Timeout), "the network ended");
            let processes = self.processes();
            let after = processes.iter().map(|&id| ticks(id)).sum::<u64>();
            if after.saturating_sub(before) <= QUIET_TICKS_MAX {
                return processes.into_iter().map(resident_kib).sum::<f64>() / 1024.0;
            }
            assert!(began.elapsed() < PATIENCE, "the network does not come to rest");
        }
    }

    /// Returns the process with all that descend from it.
    fn processes(&self) -> BTreeSet<u32> {
        let entries = fs::read_dir("/proc").expect("a list of processes");
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let parents: Vec<(u32, u32)> = names
            .filter_map(|name| name.parse().ok())
            .filter_map(|id| Some((id, stat(id)?.get(1)?.parse().ok()?)))
            .collect();
        let mut family = BTreeSet::from([self.child.id()]);
        loop {
            let born = parents.iter().filter(|(_, parent)| family.contains(parent));
            let grown: BTreeSet<u32> =
                born.map(|(id, _)| *id).chain(family.iter().copied()).collect();
            if grown.len() == family.len() {
                return family;
            }
            family = grown;
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Its workers end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the binary with settings of its own.
fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_idlewild"));
    command.env_clear().env("HOME", home).env("IDLEWILD_DATA", home.join("data"));
    command.current_dir(home).stdin(Stdio::null()).stderr(Stdio::inherit());
    command
}

/// Returns what the system says of a process behind its name: state, parent, …
fn stat(id: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Returns the processor time of a process in ticks of 10 ms.
fn ticks(id: u32) -> u64 {
    let fields = stat(id).unwrap_or_default();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    number(11).unwrap_or(0) + number(12).unwrap_or(0)
}

/// Returns the resident memory of a process, in KiB.
fn resident_kib(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.expect("the system says what a process holds")
}
