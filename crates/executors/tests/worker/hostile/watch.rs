//! Looks at a worker after every attempt, from outside, for anything that is left of it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use executors::worker::{Settings, Worker};
use rustix::process::geteuid;
use types::Hash;

use crate::work::Work;
use crate::{own_path, run, settings};

/// What the worker may keep of others' content.
const CONTENT_BYTES_MAX: u64 = 8 << 20;
/// What the worker may hold after an attempt above what it held before the first: kept programs
/// and content, the part of a guest's slot that stays, and what the allocator keeps.
const RESIDENT_BYTES_MAX: u64 = 128 << 20;
/// The user that workers of root become.
const NOBODY: u32 = 65_534;
/// How long what has ended may take to be gone.
const SETTLE: Duration = Duration::from_secs(5);

/// A worker, and what it was before the first attempt.
pub(super) struct Watch {
    worker: Worker,
    id: u32,
    innocent: Work,
    root: Hash,
    threads: u64,
    resident: u64,
    resident_most: u64,
    files: BTreeSet<PathBuf>,
    descriptors: usize,
}

impl Watch {
    pub(super) async fn start() -> Self {
        let settings = Settings { content_bytes_max: CONTENT_BYTES_MAX, ..settings(&own_path()) };
        let worker = Worker::spawn(&settings).await.unwrap();
        let id = worker.id().unwrap();
        let innocent = Work::new(include_bytes!("../../../../../examples/hello.wasm"))
            .arguments(&["one"])
            .stdin(b"a\nb\n")
            .input(&[("a.txt", b"first")]);
        let root = run(&worker, &innocent).await.unwrap().digest();
        let (threads, resident) = (threads(id), resident(id));
        let mut watch = Self {
            worker,
            id,
            innocent,
            root,
            threads,
            resident,
            resident_most: resident,
            files: files(),
            descriptors: 0,
        };
        watch.descriptors = watch.open().map_or(0, |open| open.len());
        watch
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Asserts that an attempt with so many programs left nothing behind.
    pub(super) async fn check(&mut self, name: &str, programs: usize) {
        let innocent = run(&self.worker, &self.innocent).await;
        let innocent = innocent.unwrap_or_else(|error| panic!("after {name}: {error}"));
        assert_eq!(innocent.digest(), self.root, "another job after {name}");
        assert!(!self.worker.is_lost(), "the worker is lost after {name}");
        assert_eq!(group(self.id), [self.id], "processes after {name}");
        assert_eq!(threads(self.id), self.threads, "threads after {name}");
        assert_eq!(files(), self.files, "files after {name}");
        if let Some(open) = self.open() {
            let is_own =
                |target: &&String| target.starts_with("pipe:") || target.starts_with("/memfd:");
            let other: Vec<_> = open.iter().filter(|target| !is_own(target)).collect();
            assert!(other.is_empty(), "the worker holds {other:?} after {name}");
            let most = self.descriptors + programs;
            assert!(open.len() <= most, "{} descriptors after {name}", open.len());
            self.descriptors = open.len();
        }
        self.settle(name).await;
    }

    /// Waits until the worker's memory is back under the bound.
    async fn settle(&mut self, name: &str) {
        let began = Instant::now();
        loop {
            let resident = resident(self.id);
            self.resident_most = self.resident_most.max(resident);
            let more = resident.saturating_sub(self.resident);
            if more <= RESIDENT_BYTES_MAX {
                return;
            }
            assert!(began.elapsed() < SETTLE, "{} MiB more after {name}", more >> 20);
            tokio::task::yield_now().await;
        }
    }

    /// Shows that what a guest could leave behind would be seen, and says what was found.
    pub(super) fn end(self) {
        let mut other = Command::new("sleep")
            .arg("60")
            .process_group(i32::try_from(self.id).unwrap())
            .spawn()
            .unwrap();
        assert_eq!(group(self.id).len(), 2, "a process beside the worker is seen");
        other.kill().unwrap();
        other.wait().unwrap();
        // In a folder of its own, where another run of this test does not look.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("left");
        fs::write(&path, "").unwrap();
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
            assert_eq!(files_of_nobody(folder.path()), [path], "a worker's file is seen");
        }
        println!(
            "resident {} MiB at first, {} MiB at most after an attempt; {} descriptors at last",
            self.resident >> 20,
            self.resident_most >> 20,
            self.descriptors
        );
        if !geteuid().is_root() {
            println!("not seen, as only root may look: descriptors, files outside this folder");
        }
    }

    /// Returns what the worker's descriptors lead to, if this user may know.
    fn open(&self) -> Option<Vec<String>> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.id)).ok()?;
        let target = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
        let targets = entries.filter_map(|entry| target(entry.ok()?));
        Some(targets.map(|target| target.display().to_string()).collect())
    }
}

/// Returns the processes that the worker leads or has started.
fn group(id: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let Some(number) = entry.unwrap().file_name().to_str().and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(text) = fs::read_to_string(format!("/proc/{number}/stat")) else { continue };
        // After the name: state, parent, group.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split(' ').take(3).collect();
        let belongs = |field: usize| fields[field].parse() == Ok(id);
        if belongs(1) || belongs(2) {
            found.push(number);
        }
    }
    found
}

fn threads(id: u32) -> u64 {
    status(id, "Threads:")
}

/// Returns the bytes of memory that a process has.
fn resident(id: u32) -> u64 {
    status(id, "VmRSS:") << 10
}

/// Returns a number that the kernel states of a process.
fn status(id: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Returns the files that a worker could have made: those of its user in every folder that is
/// open to all, and all files of the folder that it was started in.
fn files() -> BTreeSet<PathBuf> {
    let mut found: BTreeSet<PathBuf> = list(&std::env::current_dir().unwrap()).collect();
    if geteuid().is_root() {
        for folder in ["/", "/tmp", "/var/tmp", "/dev/shm", "/run"] {
            found.extend(files_of_nobody(Path::new(folder)));
        }
        found.extend(files_of_nobody(&std::env::temp_dir()));
    }
    found
}

/// Returns the files in a folder that belong to the user that workers of root become.
fn files_of_nobody(folder: &Path) -> Vec<PathBuf> {
    let is_nobodys =
        |path: &PathBuf| path.symlink_metadata().is_ok_and(|file| file.uid() == NOBODY);
    list(folder).filter(is_nobodys).collect()
}

fn list(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
