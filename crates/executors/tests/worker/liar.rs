//! Workers that lie: each breaks one rule, and is killed for it.

use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::time::Duration;

use classes::job::{Exit, Usage};
use executors::worker::testing::{CHUNK_BYTES_MAX, Command, FRAME_BYTES_MAX, Reply, read, write};
use executors::worker::{JobError, Settings, Worker};
use types::manifest::{Entry, EntryKind, RelativePath};
use types::{Blob, ContentHash, Encode, Hash, Manifest};

use crate::hostile::Row;
use crate::processes::wait_until_gone;
use crate::work::Work;
use crate::{Test, on_runtime, own_path, request, settings, trivial};

/// What the name of a lying program starts with; the rest is the lie.
pub(crate) const PREFIX: &str = "liar-";

pub(crate) const TESTS: &[Test] = &[
    ("a_worker_that_breaks_a_rule_is_killed", rules),
    ("a_worker_that_does_not_answer_is_killed", silence),
    ("a_program_that_is_never_ready_costs_the_worker_and_its_job_only", stuck),
    ("a_worker_that_tells_no_lie_is_believed", honest),
];

/// How a job is answered.
type Lie = fn(job: u64, output: &mut dyn Write) -> io::Result<()>;

/// The lies: a name, what it is, and how it is told.
const LIES: &[(&str, &str, Lie)] = &[
    ("renamed", "Sends a result under the name of another content.", |job, out| {
        send(out, job, ContentHash::of(b"a"), b"b")
    }),
    ("flood", "Sends a result without end.", |job, out| {
        let chunk = Blob::new(vec![0; CHUNK_BYTES_MAX]).unwrap();
        let hash = ContentHash::of(b"");
        loop {
            let part = Reply::Output { job, hash, chunk: chunk.clone(), last: false };
            write(&mut &mut *out, &part)?;
        }
    }),
    ("many", "Sends small results without end.", |job, out| {
        // Nothing in each of them, but without end.
        for number in 0_u64.. {
            send(out, job, ContentHash::of(&number.to_le_bytes()), &number.to_le_bytes())?;
        }
        Ok(())
    }),
    ("twice", "Sends a result twice.", |job, out| {
        send(out, job, ContentHash::of(b""), b"")?;
        send(out, job, ContentHash::of(b""), b"")
    }),
    ("thin", "Sends a part of a result that is not full, to make many of them.", |job, out| {
        let part =
            Reply::Output { job, hash: Hash::ZERO.into_name(), chunk: blob(b"a"), last: false };
        write(&mut &mut *out, &part)
    }),
    ("unsent", "Ends a job with a result that it did not send.", |job, out| {
        done(out, job, ContentHash::of(b"nothing"), 1)
    }),
    ("unnamed", "Sends more than its result names.", |job, out| {
        send(out, job, ContentHash::of(b"extra"), b"extra")?;
        empty_result(out, job, 1)
    }),
    ("promised", "Names a file in its result that it did not send.", |job, out| {
        result(out, job, ContentHash::of(b"not sent"), 8)
    }),
    ("longer", "States another length than that of the file that it sent.", |job, out| {
        send(out, job, ContentHash::of(b"sent"), b"sent")?;
        result(out, job, ContentHash::of(b"sent"), 5)
    }),
    ("no-manifest", "Ends a job with a result that is no manifest.", |job, out| {
        send(out, job, ContentHash::of(b"\xff\xff"), b"\xff\xff")?;
        done(out, job, ContentHash::of(b"\xff\xff"), 1)
    }),
    ("fuel", "Counts more fuel than the job has.", |job, out| empty_result(out, job, u64::MAX)),
    ("garbage", "Says what is no message.", |_, out| {
        out.write_all(&[3, 0, 0, 0, 0xff, 0xff, 0xff])
    }),
    ("oversized", "Announces a message longer than any.", |_, out| {
        out.write_all(&u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes())
    }),
    ("cut", "Ends amid a message.", |_, out| {
        out.write_all(&[9, 0, 0, 0, 1])?;
        std::process::exit(0)
    }),
    ("other", "Ends a job that it does not have.", |job, out| empty_result(out, job + 1_000, 1)),
    ("again", "Fails a job that it does not have.", |job, out| {
        let why = types::Text::new("first").unwrap();
        write(&mut &mut *out, &Reply::Abort { job: job + 7, why })
    }),
    ("ready", "Says that it is ready a second time.", |_, out| {
        write(&mut &mut *out, &Reply::Ready)
    }),
    ("thief", "Asks for content that its job does not read.", |job, out| {
        write(&mut &mut *out, &Reply::Need { job, hash: ContentHash::of(b"a secret") })
    }),
    (
        "greedy",
        "Asks for content while other content is on its way, and reads nothing.",
        |job, out| {
            // The content is larger than what the parent can write before it is read.
            let need = Reply::Need { job, hash: greedy_work().spec.stdin.unwrap() };
            write(&mut &mut *out, &need)?;
            write(&mut &mut *out, &need)
        },
    ),
    ("hasty", "Runs a program that it never made ready.", |job, out| {
        write(&mut &mut *out, &Reply::Running { job })
    }),
    ("dies", "Ends amid a job.", |_, _| std::process::exit(3)),
];

/// Lies that are no lies: the worker is believed, or waited for.
const OTHERS: &[(&str, &str, Lie)] = &[
    ("honest", "Answers every job as it should.", |job, out| {
        write(&mut &mut *out, &Reply::Preparing { job })?;
        write(&mut &mut *out, &Reply::Running { job })?;
        empty_result(out, job, 1)
    }),
    ("silent", "Answers no job at all.", |_, _| Ok(())),
    // Makes the first program ready and is never done with it.
    ("stuck", "Makes a program ready and is never done with it.", |job, out| {
        if job > 0 {
            return Ok(());
        }
        write(&mut &mut *out, &Reply::Preparing { job })
    }),
];

/// Returns the lies as attempts on the parent's pipe.
pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, attempt: &str, containment: &str| Row {
        kind: "pipe",
        name: format!("worker-{name}"),
        attempt: attempt.to_owned(),
        containment: containment.to_owned(),
    };
    let waits = OTHERS.iter().filter(|(name, ..)| *name != "honest");
    let lies = LIES.iter().map(|(name, attempt, _)| row(name, attempt, "the parent's rules"));
    lies.chain(waits.map(|(name, attempt, _)| row(name, attempt, "the parent's clock"))).collect()
}

trait IntoName {
    fn into_name(self) -> ContentHash;
}

impl IntoName for Hash {
    fn into_name(self) -> ContentHash {
        ContentHash::from_bytes(*self.as_bytes())
    }
}

fn blob(bytes: &[u8]) -> Blob<{ CHUNK_BYTES_MAX }> {
    Blob::new(bytes.to_vec()).unwrap()
}

fn send(out: &mut dyn Write, job: u64, hash: ContentHash, bytes: &[u8]) -> io::Result<()> {
    write(&mut &mut *out, &Reply::Output { job, hash, chunk: blob(bytes), last: true })
}

fn done(out: &mut dyn Write, job: u64, output: ContentHash, fuel: u64) -> io::Result<()> {
    let usage = Usage { fuel, exit: Exit::Code(0), output };
    let trace_root = Hash::ZERO;
    write(&mut &mut *out, &Reply::Done { job, usage, trace_root, guest_us: 1, unrunnable: None })
}

fn manifest(out: &mut dyn Write, job: u64, manifest: &Manifest, fuel: u64) -> io::Result<()> {
    let bytes = manifest.to_bytes();
    send(out, job, ContentHash::of(&bytes), &bytes)?;
    done(out, job, ContentHash::of(&bytes), fuel)
}

fn empty_result(out: &mut dyn Write, job: u64, fuel: u64) -> io::Result<()> {
    manifest(out, job, &Manifest::default(), fuel)
}

/// Ends a job with a manifest of one file.
fn result(out: &mut dyn Write, job: u64, hash: ContentHash, bytes: u64) -> io::Result<()> {
    let path = RelativePath::new("stdout").unwrap();
    let entry = Entry { path, kind: EntryKind::File { hash, bytes } };
    manifest(out, job, &Manifest::new(vec![entry]).unwrap(), 1)
}

/// Answers every job with a lie.
pub(crate) fn main(lie: &str) -> io::Result<()> {
    let (_, _, lie) = LIES.iter().chain(OTHERS).find(|(name, ..)| *name == lie).unwrap();
    let mut input = io::stdin().lock();
    let mut output = io::stdout();
    while let Some(command) = read(&mut input)? {
        match command {
            Command::Setup { .. } => write(&mut output, &Reply::Ready)?,
            Command::Run { job, .. } => {
                lie(job, &mut output)?;
                output.flush()?;
                if greedy_is(lie) {
                    // Reads nothing more, and waits to be killed.
                    loop {
                        std::thread::park();
                    }
                }
            }
            Command::Content { .. } | Command::Cancel { .. } => {}
        }
    }
    Ok(())
}

fn greedy_is(lie: &Lie) -> bool {
    LIES.iter().any(|(name, _, other)| *name == "greedy" && std::ptr::fn_addr_eq(*other, *lie))
}

fn greedy_work() -> Work {
    trivial(0).stdin(&vec![1; 40 << 20])
}

async fn liar(lie: &str, grace: Duration) -> (tempfile::TempDir, Worker) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join(format!("{PREFIX}{lie}"));
    symlink(own_path(), &program).unwrap();
    let settings = Settings { grace, ..settings(&program) };
    let worker = Worker::spawn(&settings).await.unwrap();
    (folder, worker)
}

fn rules() {
    on_runtime(async {
        for (lie, ..) in LIES {
            let (_folder, worker) = liar(lie, Duration::from_secs(60)).await;
            let work = if *lie == "greedy" { greedy_work() } else { trivial(0) };
            let job = || worker.run(request(&work, Duration::from_secs(60)));
            let (first, second) = tokio::join!(job(), job());
            for ended in [first, second, job().await] {
                assert_eq!(ended.map(|_| ()), Err(JobError::WorkerLost), "{lie}");
            }
            assert!(worker.is_lost(), "{lie}");
            wait_until_gone(worker.id().unwrap());
        }
    });
}

fn silence() {
    on_runtime(async {
        let (_folder, worker) = liar("silent", Duration::from_millis(200)).await;
        let slow = worker.run(request(&trivial(0), Duration::from_millis(1)));
        let other = worker.run(request(&trivial(0), Duration::from_secs(3600)));
        let (slow, other) = tokio::join!(slow, other);
        assert_eq!(slow.map(|_| ()), Err(JobError::TimedOut));
        assert_eq!(other.map(|_| ()), Err(JobError::WorkerLost));
        wait_until_gone(worker.id().unwrap());

        // One that nobody waits for any more is not left to run for ever.
        let (_folder, worker) = liar("silent", Duration::from_millis(200)).await;
        let mut dropped = Box::pin(worker.run(request(&trivial(0), Duration::from_millis(1))));
        tokio::select! {
            biased;
            _ = &mut dropped => panic!("the worker is silent"),
            () = std::future::ready(()) => {}
        }
        drop(dropped);
        wait_until_gone(worker.id().unwrap());
        assert!(worker.is_lost());
    });
}

fn stuck() {
    on_runtime(async {
        let (_folder, worker) = liar("stuck", Duration::from_millis(200)).await;
        let hour = Duration::from_secs(3600);
        let slow = worker.run(request(&trivial(0), hour));
        let other = worker.run(request(&trivial(0), hour));
        let (slow, other) = tokio::join!(slow, other);
        assert_eq!(slow.map(|_| ()), Err(JobError::TimedOut));
        assert_eq!(other.map(|_| ()), Err(JobError::WorkerLost));
        wait_until_gone(worker.id().unwrap());
    });
}

fn honest() {
    on_runtime(async {
        let (_folder, worker) = liar("honest", Duration::from_secs(60)).await;
        let finished = worker.run(request(&trivial(0), Duration::from_secs(60))).await.unwrap();
        assert_eq!((finished.usage.fuel, finished.contents.len()), (1, 1));
    });
}
