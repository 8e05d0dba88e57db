//! Hostile work: every attempt is a row, and every row says what contains it.
//!
//! Guests and requests run one after another in one worker; around each the process is watched
//! (`watch.rs`). What a guest could try that broke out of its engine is tried by a probe behind
//! the same filter (`probe.rs`), and what a worker could try against its parent by a liar
//! (`liar.rs`). `docs/hostile.md` is all rows, written by
//! `IDLEWILD_WRITE_DOCS=1 cargo nextest run --workspace -E 'test(the_page_of_hostile_work)'`.

mod cache;
mod requests;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use classes::job::Exit;
use executors::wasm::EngineKind;
use executors::worker::{Finished, JobError, Request, Worker};

use crate::work::Work;
use crate::work::guests::{Guest, GuestEnd, guests};
use crate::{Test, liar, on_runtime, probe, request};
use watch::Watch;

pub(crate) const TESTS: &[Test] = &[
    (
        "hostile_work_is_contained_and_leaves_nothing_behind",
        hostile_work_is_contained_and_leaves_nothing_behind,
    ),
    ("the_page_of_hostile_work_is_what_is_tried", the_page_of_hostile_work_is_what_is_tried),
];

/// The attempts that are promised.
const ROWS_MIN: usize = 40;
/// What a job may take that is not meant to reach its time.
const WALL: Duration = Duration::from_secs(60);

/// One attempt, for people to read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) attempt: String,
    pub(crate) containment: String,
}

/// The kinds of attempts, in the order of the page.
const KINDS: &[&str] = &[
    "file",
    "network",
    "process",
    "memory",
    "stack",
    "descriptor",
    "time",
    "output",
    "module",
    "fault",
    "host call",
    "cache",
    "pipe",
];

/// An attempt that a worker is asked for.
struct Case {
    kind: &'static str,
    name: String,
    attempt: String,
    containment: String,
    steps: Vec<Step>,
}

/// A job of an attempt.
struct Step {
    work: Work,
    engine: EngineKind,
    wall: Duration,
    end: End,
}

/// How a job has to end.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Exit(Exit),
    /// It cannot begin, and the reason has this part.
    Refused(String),
    /// It has no result, and the reason has this part.
    Aborted(&'static str),
    TimedOut,
    /// Nobody waits for it any more, once it runs.
    Dropped,
}

impl End {
    /// Returns what contains an attempt that ends so.
    fn containment(&self) -> String {
        match self {
            Self::Exit(Exit::Code(0)) => "the world that it sees: exit 0".to_owned(),
            Self::Exit(Exit::Code(code)) => format!("what the host answers: exit {code}"),
            Self::Exit(Exit::OutOfFuel) => "the meter: out of fuel".to_owned(),
            Self::Exit(Exit::StackExhausted) => "the meter: call depth exhausted".to_owned(),
            Self::Exit(exit) => format!("the engine: {}", trap(*exit)),
            Self::Refused(why) => format!("the check before a run: {why}"),
            Self::Aborted(why) => format!("the check of a request: {why}"),
            Self::TimedOut => "the wall clock".to_owned(),
            Self::Dropped => "the cancellation".to_owned(),
        }
    }

    fn assert(&self, found: Result<Finished, JobError>, name: &str) {
        match (self, found) {
            (Self::Exit(exit), Ok(found)) => assert_eq!(found.usage.exit, *exit, "{name}"),
            (Self::Refused(why), Ok(found)) => {
                let usage = (found.usage.exit, found.usage.fuel);
                assert_eq!(usage, (Exit::Unrunnable, 0), "{name}");
                let said = found.unrunnable.unwrap();
                assert!(said.contains(why), "{name}: {said}");
            }
            (Self::Aborted(why), Err(JobError::Aborted(said))) => {
                assert!(said.contains(why), "{name}: {said}");
            }
            (Self::TimedOut, Err(JobError::TimedOut)) => {}
            (_, found) => panic!("{name} has to be {self:?}, and is {found:?}"),
        }
    }
}

/// Returns what is said of a trap.
const fn trap(exit: Exit) -> &'static str {
    match exit {
        Exit::Unreachable => "unreachable executed",
        Exit::OutOfBounds => "access out of bounds",
        Exit::BadCall => "bad indirect call",
        Exit::DivisionByZero => "integer divide by zero",
        Exit::IntegerOverflow => "integer overflow",
        _ => "no trap",
    }
}

impl Case {
    fn new(kind: &'static str, name: &str, attempt: &str, steps: Vec<Step>) -> Self {
        let last = steps.last().expect("an attempt has a step");
        let containment = last.end.containment();
        Self { kind, name: name.to_owned(), attempt: attempt.to_owned(), containment, steps }
    }

    fn of_guest(guest: Guest) -> Self {
        let Guest { name, kind, attempt, end, work } = guest;
        let kind = KINDS.iter().find(|known| **known == kind).expect("the kind of a guest");
        let end = match end {
            GuestEnd::Exit(exit) => End::Exit(exit),
            GuestEnd::Refused(why) => End::Refused(why),
        };
        Self::new(kind, &name, &attempt, vec![Step::new(work, end)])
    }

    /// States what contains an attempt where its end does not say it.
    fn by(self, containment: &str) -> Self {
        Self { containment: containment.to_owned(), ..self }
    }

    fn row(self) -> Row {
        let Self { kind, name, attempt, containment, steps: _ } = self;
        Row { kind, name, attempt, containment }
    }
}

impl Step {
    fn new(work: Work, end: End) -> Self {
        Self { work, engine: EngineKind::Compiler, wall: WALL, end }
    }

    fn request(&self) -> Request {
        Request { engine: self.engine, ..request(&self.work, self.wall) }
    }

    async fn take(&self, worker: &Worker, name: &str) {
        if self.end == End::Dropped {
            let running = worker.run(self.request());
            let dropped = tokio::time::timeout(Duration::from_millis(200), running).await;
            assert!(dropped.is_err(), "{name} ended by itself");
            return;
        }
        self.end.assert(worker.run(self.request()).await, name);
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = guests().into_iter().map(Case::of_guest).collect();
    cases.extend(requests::cases());
    cases.extend(cache::cases());
    cases
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = cases().into_iter().map(Case::row).collect();
    rows.extend(probe::rows());
    rows.extend(liar::rows());
    let place = |row: &Row| {
        let place = KINDS.iter().position(|kind| *kind == row.kind);
        place.unwrap_or_else(|| panic!("{} is of no kind: {}", row.name, row.kind))
    };
    rows.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
    rows
}

fn hostile_work_is_contained_and_leaves_nothing_behind() {
    let cases = cases();
    let began = Instant::now();
    let count = cases.len();
    on_runtime(async {
        let mut watch = Watch::start().await;
        for case in cases {
            let began = Instant::now();
            for step in &case.steps {
                step.take(watch.worker(), &case.name).await;
            }
            let programs = case.steps.len();
            drop(case.steps);
            watch.check(&case.name, programs).await;
            println!("{}: {} in {:?}", case.kind, case.name, began.elapsed());
        }
        watch.end();
    });
    println!("{count} attempts in {:?}", began.elapsed());
}

fn the_page_of_hostile_work_is_what_is_tried() {
    let rows = rows();
    assert!(rows.len() >= ROWS_MIN, "{} attempts", rows.len());
    let mut names: Vec<(&str, &str)> =
        rows.iter().map(|row| (row.kind, row.name.as_str())).collect();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "each has a name of its own");
    for kind in KINDS {
        assert!(rows.iter().any(|row| row.kind == *kind), "nothing is tried of kind {kind}");
    }
    let path = house().join("docs/hostile.md");
    let made = text(&rows);
    if std::env::var_os("IDLEWILD_WRITE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/hostile.md differs from what is tried: set IDLEWILD_WRITE_DOCS");
}

/// Returns the page.
fn text(rows: &[Row]) -> String {
    let count = rows.len();
    let mut page = format!(
        "# Hostile work\n\n\
         What is tried against a worker process, and what contains it: {count} attempts. Made by\n\
         `crates/executors/tests/worker/hostile`, which runs them all and holds this page against\n\
         them.\n\n\
         Guests and requests run one after another in one worker. After each of them the worker\n\
         gives another job the result that it always had, has no process beside it, no new\n\
         thread, no descriptor but its pipes and its memory files, of which there are no more\n\
         than programs that it was given, no file of its user in any folder that is open to all,\n\
         and its memory back under a bound. Descriptors and open folders only root may look at.\n\
         What a guest could try that broke out of its engine is tried from behind the same filter\n\
         of system calls. What a worker could try against its parent is tried by programs that\n\
         stand in for it; each is killed for it, and its jobs can run again on another.\n\n\
         What is not contained: native code in a worker could read what other jobs of the same\n\
         worker read, and take memory until the kernel ends the worker, which it takes before\n\
         any other process (`decisions/0005-limits-of-a-worker.md`).\n\n\
         | kind | case | what is attempted | what contains it |\n|---|---|---|---|\n"
    );
    for Row { kind, name, attempt, containment } in rows {
        page.push_str(&format!("| {kind} | {name} | {attempt} | {containment} |\n"));
    }
    page
}

/// Returns the root of the repository.
fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Gives a work other bytes under a name.
fn rename(mut work: Work, bytes: &[u8], name: types::ContentHash) -> Work {
    work.contents.insert(name, Arc::from(bytes));
    work
}
