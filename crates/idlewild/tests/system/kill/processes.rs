//! A process of a test that is started, killed and started again, and the workers below it.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::common::{Home, command_within, until};

/// How long what a dead process started may outlive it.
const ORPHANS_MAX: Duration = Duration::from_secs(5);

/// How long a process may take to end when it is asked to, with its jobs done.
const END_MAX: Duration = Duration::from_secs(40);

/// The exit code of a command that cannot reach its node.
const UNREACHABLE: i32 = 3;

/// A process, told from a later one with the same number by when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    id: i32,
    began: u64,
}

/// What the system says of a process.
struct Stat {
    state: char,
    parent: i32,
    began: u64,
}

impl Stat {
    fn of(id: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before it may hold spaces and brackets.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let state = fields.first()?.chars().next()?;
        Some(Self {
            state,
            parent: fields.get(1)?.parse().ok()?,
            began: fields.get(19)?.parse().ok()?,
        })
    }

    const fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

impl Process {
    fn is_alive(self) -> bool {
        Stat::of(self.id).is_some_and(|stat| stat.began == self.began && stat.is_alive())
    }

    fn signal(self, signal: Signal) {
        if self.is_alive() {
            // It may have gone this very moment.
            let _ = kill_process(Pid::from_raw(self.id).unwrap(), signal);
        }
    }
}

/// Returns the living children of a process.
fn children(parent: i32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| {
        let stat = Stat::of(id)?;
        let is_child = stat.parent == parent && stat.is_alive();
        is_child.then_some(Process { id, began: stat.began })
    })
    .collect()
}

/// Waits until all of them are gone.
pub(crate) async fn gone(processes: &[Process]) {
    until("an end of the workers of a dead process", ORPHANS_MAX, || async {
        processes.iter().all(|process| !process.is_alive()).then_some(())
    })
    .await;
}

/// A process of the binary with a directory of its own.
pub(crate) struct Service {
    pub(crate) home: Home,
    words: Vec<String>,
    /// The network namespace that it runs in, if not this one's.
    namespace: Option<PathBuf>,
    child: Option<Child>,
    /// How long the log was when it was last started.
    said_before: usize,
}

impl Service {
    pub(crate) fn new(words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { home: Home::default(), words, namespace: None, child: None, said_before: 0 }
    }

    /// Lets it run in a network namespace from now on.
    pub(crate) fn within(mut self, namespace: PathBuf) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Starts it; what it says is added to its log.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.said_before = self.log().len();
        let log = OpenOptions::new().create(true).append(true).open(self.home.path("log")).unwrap();
        let directory = self.home.directory.path();
        let command = match &self.namespace {
            Some(namespace) => command_within(namespace, directory),
            None => self.home.command(),
        };
        let mut command = Command::from(command);
        command.args(&self.words).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn().unwrap());
    }

    fn id(&self) -> i32 {
        self.child.as_ref().and_then(Child::id).unwrap().try_into().unwrap()
    }

    /// Returns the living processes that it started.
    pub(crate) fn workers(&self) -> Vec<Process> {
        children(self.id())
    }

    /// Returns the longest that one of its threads was ready and had to wait for a processor:
    /// what the rest of the machine cost it.
    pub(crate) fn queued(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let waits = tasks.filter_map(|task| {
            // A thread may end meanwhile; a kernel that does not count says nothing.
            let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').nth(1)?.parse().ok()
        });
        Duration::from_nanos(waits.max().unwrap_or(0))
    }

    /// Lets it run for as long, in which it must not end by itself.
    pub(crate) async fn keep_running(&mut self, time: Duration) {
        let child = self.child.as_mut().unwrap();
        if let Ok(status) = tokio::time::timeout(time, child.wait()).await {
            panic!("{:?} ended by itself: {status:?}\n{}", self.words, self.log());
        }
    }

    /// Returns whether it was started and not ended from here.
    pub(crate) const fn is_up(&self) -> bool {
        self.child.is_some()
    }

    /// Waits until it ends by itself, and returns its exit code.
    pub(crate) async fn ended(&mut self, limit: Duration) -> i32 {
        let mut child = self.child.take().unwrap();
        let Ok(status) = tokio::time::timeout(limit, child.wait()).await else {
            panic!("{:?} does not end by itself within {limit:?}\n{}", self.words, self.log());
        };
        status.unwrap().code().unwrap_or(-1)
    }

    /// Returns its memory that is in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kib * 1_024
    }

    /// Starts it again if it ended because the node was away, as a service manager does; returns
    /// whether it has said `text` since its last start.
    pub(crate) fn supervised(&mut self, text: &str) -> bool {
        let ended = self.child.as_mut().unwrap().try_wait().unwrap();
        if let Some(status) = ended {
            assert_eq!(status.code(), Some(UNREACHABLE), "{:?}: {}", self.words, self.log());
            self.child = None;
            self.start();
        }
        self.said().contains(text)
    }

    /// Stops it where it is; what it started goes on.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on, if it was stopped.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Stops what it started, and nothing else.
    pub(crate) fn pause_workers(&self) {
        self.workers().into_iter().for_each(|worker| worker.signal(Signal::STOP));
    }

    /// Lets what it started go on, if it was stopped.
    pub(crate) fn resume_workers(&self) {
        self.workers().into_iter().for_each(|worker| worker.signal(Signal::CONT));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id()).unwrap(), signal).unwrap();
    }

    /// Kills it without warning; nothing that it started may outlive it.
    pub(crate) async fn kill(&mut self) {
        // Stopped first, so that it starts nothing while it is looked at.
        self.pause();
        let workers = self.workers();
        // One that is stopped would not see that it is alone.
        self.resume_workers();
        let mut child = self.child.take().unwrap();
        child.start_kill().unwrap();
        child.wait().await.unwrap();
        gone(&workers).await;
    }

    /// Kills what it started, and nothing else.
    pub(crate) fn kill_workers(&self) {
        self.workers().into_iter().for_each(|worker| worker.signal(Signal::KILL));
    }

    /// Asks it to end, as a service manager does, and checks that it does so in order.
    pub(crate) async fn end(&mut self) {
        let workers = self.workers();
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let status = tokio::time::timeout(END_MAX, child.wait()).await;
        let status = status.expect("it ends when it is asked to").unwrap();
        assert!(status.success(), "{:?}: {status}\n{}", self.words, self.log());
        gone(&workers).await;
    }

    /// Returns what it said since its last start.
    pub(crate) fn said(&self) -> String {
        self.log()[self.said_before..].to_owned()
    }

    /// Returns what it said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path("log")).unwrap_or_default()
    }
}
