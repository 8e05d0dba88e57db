//! What a worker does with jobs.

use std::fs;
use std::time::{Duration, Instant};

use classes::job::Exit;
use executors::job::{self, Bounds};
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::{EngineKind, GuestStack};
use executors::worker::{JobError, Request, Settings, Worker};
use tokio::task::JoinSet;
use types::manifest::MANIFEST_BYTES_MAX;

use crate::work::{self, Work, content_of};
use crate::{Test, endless, on_runtime, own_path, request, run, settings, trivial, worker};

pub(crate) const TESTS: &[Test] = &[
    ("a_job_gives_what_it_gives_in_this_process", equal_outcome),
    ("both_engines_of_a_worker_give_one_outcome", both_engines),
    ("the_interpreter_of_a_worker_can_be_stopped", interpreter_stops),
    ("work_over_its_bill_is_left", bills_end_work),
    ("content_is_asked_for_once", asked_once),
    ("a_worker_without_room_asks_again", no_room),
    ("missing_content_aborts_one_job", missing_content),
    ("content_under_the_name_of_another_serves_nobody", misnamed),
    ("many_jobs_share_few_slots", many_jobs),
    ("the_wall_clock_ends_one_job_and_no_other", wall_clock),
    ("a_job_that_nobody_waits_for_gives_its_slot_back", cancelled),
    ("equal_outputs_have_one_content", equal_outputs),
    ("an_input_that_becomes_a_result_is_within_the_limits", moved_input),
    ("a_result_is_no_larger_than_is_said_of_it", largest),
    ("a_program_that_cannot_begin_is_a_result", unrunnable),
    ("traps_and_growth_work_behind_the_filter", traps),
    ("many_programs_are_kept_at_a_time", many_programs),
];

/// More wall-clock time than any job here takes.
const MINUTE: Duration = Duration::from_secs(60);

/// Returns a program that copies standard input to standard output and `/out/copy`.
fn copier() -> &'static [u8] {
    include_bytes!("../../../../examples/hello.wasm")
}

fn full() -> Work {
    Work::new(copier())
        .arguments(&["one", "--exit", "3"])
        .environment(&["PLACE=idle"])
        .stdin(b"a\nb\n")
        .input(&[("a.txt", b"first"), ("b/c.txt", b"second")])
}

fn equal_outcome() {
    let work = full();
    let finished = on_runtime(async { run(&worker().await, &work).await.unwrap() });
    let compiler = Compiler::new(&CompilerOptions::default()).unwrap();
    let get = |hash| work.contents.get(&hash).cloned().ok_or(());
    let job = job::gather(work.spec.clone(), work::CREATED, get).unwrap().unwrap();
    let here = |stack: &GuestStack| job::run(&compiler, stack, job, &Bounds::default());
    let here = GuestStack::scope(here).unwrap().unwrap();
    assert_eq!(finished.usage, here.usage);
    assert_eq!(finished.digest(), here.digest());
    assert_eq!(finished.manifest, here.manifest);
    assert_eq!(finished.contents.len(), here.contents.len());
    assert_eq!(finished.usage.exit, Exit::Code(3));
    let text = content_of(&finished.manifest, &finished.contents, "stdout");
    let text = String::from_utf8(text).unwrap();
    for part in ["argument 1: one", "variable PLACE=idle", "input a.txt", "stdin: 2 lines"] {
        assert!(text.contains(part), "{text}");
    }
}

fn both_engines() {
    let recursion = include_str!("../../../../tests/programs/hostile/recurse.wat");
    let indirect = include_str!("../../../../tests/programs/hostile/recurse-indirect.wat");
    let sha256 = Work::new(include_bytes!("../../../../examples/sha256.wasm")).stdin(b"abc");
    let works = [
        (full(), Exit::Code(3)),
        (sha256, Exit::Code(0)),
        // The metered depth ends a recursion, and not the native stack of the worker's thread.
        (Work::of_text(recursion), Exit::StackExhausted),
        (Work::of_text(indirect), Exit::StackExhausted),
        (Work::new(b"no program"), Exit::Unrunnable),
    ];
    on_runtime(async {
        let worker = worker().await;
        for (work, exit) in works {
            let compiled = run(&worker, &work).await.unwrap();
            let interpreted = worker.run(judge(&work, MINUTE)).await.unwrap();
            assert_eq!(interpreted.usage.exit, exit);
            assert_eq!(interpreted.usage, compiled.usage);
            assert_eq!(interpreted.digest(), compiled.digest());
            assert_eq!(interpreted.manifest, compiled.manifest);
            assert_eq!(interpreted.contents, compiled.contents);
        }
    });
}

/// Returns the request of one who judges a job.
fn judge(work: &Work, wall: Duration) -> Request {
    Request { engine: EngineKind::Interpreter, ..request(work, wall) }
}

fn interpreter_stops() {
    let settings = Settings { slots: 1, ..settings(&own_path()) };
    on_runtime(async {
        let worker = Worker::spawn(&settings).await.unwrap();
        let ended = worker.run(judge(&endless(), Duration::from_millis(200))).await;
        assert_eq!(ended.unwrap_err(), JobError::TimedOut);
        let mut long = Box::pin(worker.run(judge(&endless(), Duration::from_secs(3600))));
        assert!(futures_poll(&mut long).await);
        let short = judge(&trivial(4), MINUTE);
        let mut next = Box::pin(worker.run(short));
        assert!(futures_poll(&mut next).await, "the only slot is taken");
        drop(long);
        assert_eq!(next.await.unwrap().usage.exit, Exit::Code(4));
        assert!(!worker.is_lost());
    });
}

/// Work is left as soon as it is over its bill, and done to the end within it, on both engines.
fn bills_end_work() {
    let settings = Settings { slots: 1, ..settings(&own_path()) };
    on_runtime(async {
        let worker = Worker::spawn(&settings).await.unwrap();
        for engine in [EngineKind::Compiler, EngineKind::Interpreter] {
            let long = Duration::from_secs(3600);
            let over = Request { engine, bill: Some(1 << 30), ..request(&endless(), long) };
            assert_eq!(worker.run(over).await.unwrap_err(), JobError::OverBill);
            let free = Request { engine, ..request(&trivial(4), MINUTE) };
            let usage = worker.run(free.clone()).await.unwrap().usage;
            let within = Request { bill: Some(usage.fuel), ..free.clone() };
            assert_eq!(worker.run(within).await.unwrap().usage, usage);
            let unready = Request { bill: Some(1), ..free };
            assert_eq!(worker.run(unready).await.unwrap_err(), JobError::OverBill);
        }
    });
}

/// Returns the bytes that a process has read, if this process may know.
fn bytes_read(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

fn asked_once() {
    const BYTES: usize = 20 << 20;
    let work = trivial(0).input(&[("large", &vec![7; BYTES])]);
    on_runtime(async {
        let worker = worker().await;
        run(&worker, &work).await.unwrap();
        let first = bytes_read(worker.id().unwrap());
        for _ in 0..3 {
            run(&worker, &work).await.unwrap();
        }
        let Some((first, last)) = first.zip(bytes_read(worker.id().unwrap())) else {
            println!("skipped: this account may not see what the worker reads");
            return;
        };
        assert!(first > 20 << 20, "the content was read: {first}");
        assert!(last - first < 1 << 20, "and not again: {}", last - first);
    });
}

fn no_room() {
    let settings = Settings { content_bytes_max: 0, ..settings(&own_path()) };
    on_runtime(async {
        let worker = Worker::spawn(&settings).await.unwrap();
        let mut jobs = JoinSet::new();
        for _ in 0..20 {
            let worker = worker.clone();
            jobs.spawn(async move { run(&worker, &full()).await.unwrap().digest() });
        }
        let roots = jobs.join_all().await;
        assert!(roots.iter().all(|root| *root == roots[0]));
    });
}

fn missing_content() {
    on_runtime(async {
        let worker = worker().await;
        let whole = full();
        for name in whole.contents.keys() {
            let mut work = whole.clone();
            work.contents.remove(name);
            let aborted = JobError::Aborted(format!("content {name} is missing"));
            assert_eq!(run(&worker, &work).await.unwrap_err(), aborted);
        }
        assert!(!worker.is_lost());
        run(&worker, &whole).await.unwrap();
        let mut work = whole.clone();
        let program = work.spec.program;
        work.contents.remove(&program);
        run(&worker, &work).await.expect_err("what the worker keeps is no right to read it");
    });
}

fn misnamed() {
    on_runtime(async {
        let worker = worker().await;
        for round in 0_u32..20 {
            // Names that the worker has not seen, so that whoever is first brings the content.
            let honest = full().stdin(format!("{round}").as_bytes());
            let name = honest.spec.stdin.unwrap();
            let mut poisoned = honest.clone();
            poisoned.contents.insert(name, b"a\nb\nc\n".as_slice().into());
            let (bad, good) = tokio::join!(run(&worker, &poisoned), run(&worker, &honest));
            let good = good.unwrap();
            assert!(content_of(&good.manifest, &good.contents, "stdout").ends_with(b"1 lines\n"));
            // It may have waited for what the other one brought, and that is the right content.
            match bad {
                Ok(finished) => assert_eq!(finished.digest(), good.digest()),
                Err(error) => assert!(error.to_string().contains("its name"), "{error}"),
            }
        }
        let mut poisoned = full().stdin(b"never seen");
        let name = poisoned.spec.stdin.unwrap();
        poisoned.contents.insert(name, b"a\nb\nc\n".as_slice().into());
        let error = run(&worker, &poisoned).await.unwrap_err();
        assert_eq!(error, JobError::Aborted(format!("content {name} is not what its name says")));
        assert!(!worker.is_lost());
    });
}

fn many_jobs() {
    const JOBS: u32 = 200;
    on_runtime(async {
        let worker = worker().await;
        run(&worker, &trivial(0)).await.unwrap();
        let began = Instant::now();
        let mut jobs = JoinSet::new();
        for code in 0..JOBS {
            let (worker, work) = (worker.clone(), trivial(code % 5));
            jobs.spawn(async move { (code % 5, run(&worker, &work).await.unwrap()) });
        }
        for (code, finished) in jobs.join_all().await {
            assert_eq!(finished.usage.exit, Exit::Code(code));
        }
        println!("{JOBS} jobs in {:?}", began.elapsed());
    });
}

fn wall_clock() {
    on_runtime(async {
        let worker = worker().await;
        let short = worker.run(request(&endless(), Duration::from_millis(300)));
        let others = async {
            for _ in 0..10 {
                run(&worker, &trivial(1)).await.unwrap();
            }
        };
        let (short, ()) = tokio::join!(short, others);
        assert_eq!(short.unwrap_err(), JobError::TimedOut);
        assert!(!worker.is_lost());
        run(&worker, &trivial(2)).await.unwrap();
    });
}

fn cancelled() {
    let settings = Settings { slots: 1, ..settings(&own_path()) };
    on_runtime(async {
        let worker = Worker::spawn(&settings).await.unwrap();
        for _ in 0..5 {
            let hour = Duration::from_secs(3600);
            let mut long = Box::pin(worker.run(request(&endless(), hour)));
            // It holds the only slot, so that the other can end only after it is dropped.
            assert!(futures_poll(&mut long).await);
            let short = trivial(4);
            let mut next = Box::pin(run(&worker, &short));
            assert!(futures_poll(&mut next).await);
            drop(long);
            assert_eq!(next.await.unwrap().usage.exit, Exit::Code(4));
        }
        assert!(!worker.is_lost());
    });
}

/// Polls a future once; returns whether it is pending.
async fn futures_poll(future: &mut (impl Future + Unpin)) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
    })
    .await
}

fn moved_input() {
    let large = vec![7; 80 << 20];
    let mut work = Work::of_text(
        "(module
           (import \"wasi_snapshot_preview1\" \"path_rename\"
             (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
           (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
           (memory (export \"memory\") 1)
           (data (i32.const 0) \"large\")
           (func (export \"_start\")
             (call $exit (call $rename (i32.const 3) (i32.const 0) (i32.const 5)
                                       (i32.const 5) (i32.const 0) (i32.const 5)))))",
    )
    .input(&[("large", &large)]);
    work.spec.limits.output_bytes = 0;
    let finished = on_runtime(async { run(&worker().await, &work).await.unwrap() });
    assert_eq!(finished.usage.exit, Exit::Code(0));
    assert!(content_of(&finished.manifest, &finished.contents, "out/large") == large);
}

fn largest() {
    // Fills standard output and error, and a file.
    let mut work = Work::of_text(
        "(module
           (import \"wasi_snapshot_preview1\" \"fd_write\"
             (func $write (param i32 i32 i32 i32) (result i32)))
           (import \"wasi_snapshot_preview1\" \"path_open\"
             (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
           (memory (export \"memory\") 2)
           (data (i32.const 0) \"file\\00\\00\\00\\00\\00\\00\\01\\00\\00\\80\\00\\00\")
           (func $fill (param $to i32) (param $with i32)
             (memory.fill (i32.const 65536) (local.get $with) (i32.const 32768))
             (loop $l (br_if $l (i32.eqz
               (call $write (local.get $to) (i32.const 8) (i32.const 1) (i32.const 16))))))
           (func (export \"_start\")
             (drop (call $open (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 4)
                     (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 20)))
             (call $fill (i32.const 1) (i32.const 1))
             (call $fill (i32.const 2) (i32.const 2))
             (call $fill (i32.load (i32.const 20)) (i32.const 3))))",
    );
    work.spec.limits.output_bytes = 20 << 20;
    let finished = on_runtime(async { run(&worker().await, &work).await.unwrap() });
    let length = |path| content_of(&finished.manifest, &finished.contents, path).len();
    assert_eq!(["stdout", "stderr", "out/file"].map(length), [16 << 20, 16 << 20, 20 << 20]);
    let bytes: usize = finished.contents.values().map(Vec::len).sum();
    let most = job::largest_result(20 << 20);
    assert!(bytes as u64 <= most.bytes && finished.contents.len() as u64 <= most.contents);
    assert!(most.bytes - (bytes as u64) < MANIFEST_BYTES_MAX as u64);
}

fn equal_outputs() {
    // The working directory is part of the results: the same bytes in three places.
    let work = Work::new(copier()).arguments(&["same"]);
    on_runtime(async {
        let worker = worker().await;
        let finished = run(&worker, &work).await.unwrap();
        let read = |path| content_of(&finished.manifest, &finished.contents, path);
        assert_eq!(read("stdout"), read("out/hello.txt"));
        assert_eq!(read("stderr"), b"");
        // Standard output and the file, standard error, the manifest.
        assert_eq!(finished.contents.len(), 3);
    });
}

fn unrunnable() {
    on_runtime(async {
        let worker = worker().await;
        let large = vec![0; (16 << 20) + 1];
        let mut bad_input = trivial(0);
        bad_input.spec.input = Some(bad_input.add(b"no manifest"));
        for (work, why) in [
            (Work::new(b"no program"), "WebAssembly"),
            (Work::new(&large), "bytes of the module"),
            (Work::of_text("(module)"), "export"),
            (bad_input, "manifest of the inputs"),
        ] {
            let finished = run(&worker, &work).await.unwrap();
            assert_eq!((finished.usage.exit, finished.usage.fuel), (Exit::Unrunnable, 0));
            let said = finished.unrunnable.clone().unwrap();
            assert!(said.contains(why), "{said}");
            assert_eq!(content_of(&finished.manifest, &finished.contents, "stderr"), b"");
        }
        let mut other = trivial(0);
        other.spec.metering += 1;
        let aborted = run(&worker, &other).await.unwrap_err();
        assert!(aborted.to_string().contains("metering"), "{aborted}");
        run(&worker, &trivial(0)).await.unwrap();
    });
}

fn traps() {
    let program = |body: &str| {
        Work::of_text(&format!(
            "(module
               (memory (export \"memory\") 1) (data (i32.const 0) \"\\01\\02\\03\\04\")
               (func $deep (call $deep))
               (func (export \"_start\") {body}))"
        ))
    };
    let grow = "(if (i32.ne (memory.grow (i32.const 200)) (i32.const 1)) (then unreachable))
        (i32.store (i32.const 13000000) (i32.const 5))
        (if (i32.ne (i32.load (i32.const 0)) (i32.const 0x04030201)) (then unreachable))
        (i32.store (i32.const 0) (i32.const 0))";
    on_runtime(async {
        let worker = worker().await;
        // Twice: the second run has what the first one left of its slot.
        for _ in 0..2 {
            for (body, exit) in [
                (grow, Exit::Code(0)),
                ("(drop (i32.load (i32.const 65536)))", Exit::OutOfBounds),
                ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", Exit::DivisionByZero),
                ("unreachable", Exit::Unreachable),
                ("(call $deep)", Exit::StackExhausted),
                ("(loop $l (br $l))", Exit::OutOfFuel),
            ] {
                let mut work = program(body);
                work.spec.limits.fuel = 10_000_000;
                assert_eq!(run(&worker, &work).await.unwrap().usage.exit, exit, "{body}");
            }
        }
    });
}

fn many_programs() {
    on_runtime(async {
        let worker = worker().await;
        for number in 0..300 {
            // Data, so that each keeps a memory file.
            let work = Work::of_text(&format!(
                "(module (memory (export \"memory\") 1) (data (i32.const 0) \"{number}\")
                   (func (export \"_start\")))"
            ));
            let finished = run(&worker, &work).await.unwrap();
            assert_eq!(finished.usage.exit, Exit::Code(0));
        }
    });
}
