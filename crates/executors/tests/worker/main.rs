//! Worker processes from outside: this program is its own worker, its own liar and its own probe.
#![expect(clippy::unwrap_used, reason = "a test says by panicking what it found")]
#![expect(clippy::print_stdout, reason = "a test says what it measured and why it is skipped")]

mod calls;
mod hostile;
mod jobs;
mod liar;
#[path = "../jobs/module.rs"]
mod module;
mod probe;
mod processes;
#[path = "../work/mod.rs"]
mod work;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use executors::wasm::EngineKind;
use executors::worker::{self, Finished, JobError, Request, Settings, Worker};
use libtest_mimic::{Arguments, Trial};

use work::Work;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let own_name = PathBuf::from(words.next().unwrap_or_default());
    let own_name = own_name.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ended = match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("__worker") => match own_name.strip_prefix(liar::PREFIX) {
            Some(lie) => liar::main(lie),
            None => worker::main(),
        },
        Some("__parent") => parent(),
        Some("__probe") => probe::main(),
        _ => return libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{own_name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn trials() -> Vec<Trial> {
    let tests = [jobs::TESTS, processes::TESTS, probe::TESTS, liar::TESTS, hostile::TESTS];
    tests
        .into_iter()
        .flatten()
        .map(|(name, test)| {
            Trial::test(*name, move || {
                test();
                Ok(())
            })
        })
        .collect()
}

/// A test and its name.
type Test = (&'static str, fn());

/// Runs a test's steps on threads of their own.
fn on_runtime<T>(steps: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(steps)
}

fn settings(program: &Path) -> Settings {
    Settings {
        program: program.to_path_buf(),
        slots: 2,
        content_bytes_max: 64 << 20,
        grace: Duration::from_secs(60),
    }
}

fn own_path() -> PathBuf {
    std::env::current_exe().unwrap()
}

async fn worker() -> Worker {
    Worker::spawn(&settings(&own_path())).await.unwrap()
}

async fn run(worker: &Worker, work: &Work) -> Result<Finished, JobError> {
    worker.run(request(work, Duration::from_secs(60))).await
}

fn request(work: &Work, wall: Duration) -> Request {
    Request {
        spec: work.spec.clone(),
        created: work::CREATED,
        wall,
        engine: EngineKind::Compiler,
        bill: None,
        contents: Arc::new(work.contents.clone()),
    }
}

/// Returns a job that does nothing and ends with `code`.
fn trivial(code: u32) -> Work {
    Work::of_text(&format!(
        "(module
           (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
           (memory (export \"memory\") 1)
           (func (export \"_start\") (call $exit (i32.const {code}))))"
    ))
}

/// Returns a job that never ends by itself.
fn endless() -> Work {
    let mut work = Work::of_text(
        "(module (memory (export \"memory\") 1) (func (export \"_start\") (loop $l (br $l))))",
    );
    work.spec.limits.fuel = classes::job::FUEL_MAX;
    work
}

/// Starts a worker, runs a job, says so, and waits for the end of standard input.
fn parent() -> io::Result<()> {
    on_runtime(async {
        let worker = worker().await;
        let finished = run(&worker, &trivial(7)).await.map_err(io::Error::other)?;
        writeln!(io::stdout(), "{} {:?}", worker.id().unwrap(), finished.usage.exit)?;
        io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
    })
}
