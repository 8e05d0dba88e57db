//! Measures jobs through a worker process: the whole way over the pipe, the sandbox included.
//!
//! `cargo bench -p idlewild --bench jobs`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::{Figure, Report};
use classes::job::{Exit, Limits, Spec};
use executors::wasm::{EngineKind, specification::METERING_VERSION};
use executors::worker::{Request, Settings, Worker};
use types::{ContentHash, Hash, List, Time};

/// A program that ends at once.
const TRIVIAL: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
const SLOTS: u16 = 2;
/// Jobs that wait in the worker's queue at a time.
const IN_FLIGHT: usize = 64;
const JOBS: usize = 10_000;
const ROUNDS: usize = 3;

fn request(program: &Arc<[u8]>) -> Request {
    let hash = ContentHash::of(program);
    let spec = Spec {
        metering: METERING_VERSION,
        program: hash,
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 1_000_000, memory_pages: 16, output_bytes: 4096 },
    };
    let contents = Arc::new(BTreeMap::from([(hash, Arc::clone(program))]));
    let (created, wall, engine) = (Time::from_ms(0), Duration::from_secs(10), EngineKind::Compiler);
    Request { spec, created, wall, engine, bill: None, contents }
}

/// Runs `count` jobs, so many at a time, and returns how long that took.
async fn run(worker: &Worker, request: &Request, count: usize, in_flight: usize) -> Duration {
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (worker, request) = (worker.clone(), request.clone());
        tasks.spawn(async move {
            for _ in 0..count / in_flight {
                let finished = worker.run(request.clone()).await.expect("the job ends");
                assert_eq!(finished.usage.exit, Exit::Code(0));
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no task panics");
    }
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "counts of jobs are small")]
fn main() {
    let mut report = Report::new();
    if report.wants("jobs/trivial") || report.wants("jobs/one at a time") {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let program: Arc<[u8]> = wat::parse_str(TRIVIAL).expect("it is a module").into();
        let request = request(&program);
        let settings = Settings {
            program: env!("CARGO_BIN_EXE_idlewild").into(),
            slots: SLOTS,
            content_bytes_max: 1 << 20,
            grace: Duration::from_secs(10),
        };
        let worker = runtime.block_on(Worker::spawn(&settings)).expect("a worker");
        runtime.block_on(run(&worker, &request, 100, 1));
        let rounds = || 0..ROUNDS;
        let fastest = |count, in_flight| {
            rounds()
                .map(|_| runtime.block_on(run(&worker, &request, count, in_flight)))
                .min()
                .expect("there are rounds")
        };
        report.row("jobs/trivial", || {
            let seconds = fastest(JOBS, IN_FLIGHT).as_secs_f64();
            Figure::new(JOBS as f64 / seconds, "jobs/s").at_least(5_000.0)
        });
        report.row("jobs/one at a time", || {
            let each = fastest(JOBS / 10, 1).as_secs_f64() / (JOBS / 10) as f64;
            Figure::new(each * 1e6, "µs")
        });
    }
    report.finish();
}
