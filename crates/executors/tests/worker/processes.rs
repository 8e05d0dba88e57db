//! What becomes of worker processes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use classes::job::Exit;
use executors::worker::{JobError, SpawnError, Worker};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::task::JoinSet;

use crate::{Test, endless, on_runtime, own_path, request, run, settings, trivial, worker};

pub(crate) const TESTS: &[Test] = &[
    ("a_worker_has_given_up_what_it_can", given_up),
    ("a_worker_comes_up_without_privileges", without_privileges),
    ("a_killed_worker_loses_its_jobs_and_another_runs_them", killed),
    ("a_worker_dies_with_its_parent", dies_with_parent),
    ("a_worker_outlives_the_thread_that_started_it", outlives_thread),
    ("a_worker_ends_with_its_last_handle", ends_with_handle),
    ("a_program_that_is_no_worker_does_not_start", no_worker),
];

fn kill(id: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), signal).unwrap();
}

/// Returns the state letter of a process, if there is one of this number.
fn state(id: u32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    text.rsplit(") ").next()?.chars().next()
}

/// Waits until a process is gone, or dead with nobody to take notice.
pub(crate) fn wait_until_gone(id: u32) {
    let began = Instant::now();
    while !matches!(state(id), None | Some('Z' | 'X')) {
        assert!(began.elapsed() < Duration::from_secs(20), "process {id} is still there");
        std::thread::yield_now();
    }
}

fn given_up() {
    on_runtime(async {
        let worker = worker().await;
        run(&worker, &trivial(0)).await.unwrap();
        let id = worker.id().unwrap();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        assert_eq!(value("NoNewPrivs:"), "1");
        assert_eq!(value("CapPrm:"), "0000000000000000");
        assert_eq!(value("CapEff:"), "0000000000000000");
        assert_eq!(value("Seccomp:"), "2", "a filter");
        assert_eq!(value("CoreDumping:"), "0");
        if !geteuid().is_root() {
            println!("skipped: the rest can be seen by root only");
            return;
        }
        assert_eq!(value("Uid:"), "65534\t65534\t65534\t65534");
        assert_eq!(value("Gid:"), "65534\t65534\t65534\t65534");
        assert_eq!(value("Groups:"), "");
        let environment = fs::read(format!("/proc/{id}/environ")).unwrap();
        assert!(environment.is_empty(), "the worker sees an environment");
        let open: Vec<String> = fs::read_dir(format!("/proc/{id}/fd"))
            .unwrap()
            .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
            .filter(|target| !target.starts_with("pipe:") && !target.starts_with("/memfd:"))
            .collect();
        assert!(open.is_empty(), "the worker holds {open:?}");
    });
}

/// Starts a process that starts a worker; returns it with the worker's number and the exit of a
/// job that the worker ran.
fn parent_of_worker(command: &mut Command) -> (Child, u32, String) {
    let mut parent = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (id, exit) = line.trim_end().split_once(' ').expect("the parent says what it did");
    (parent, id.parse().unwrap(), exit.to_owned())
}

fn without_privileges() {
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !geteuid().is_root() || !has_setpriv {
        // Without root every other test here runs without privileges.
        println!("skipped: needs root and setpriv");
        return;
    }
    // A folder that another user can reach.
    let folder = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .unwrap();
    let program = folder.path().join("worker");
    fs::copy(own_path(), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", "--"]);
    let (mut parent, worker, exit) = parent_of_worker(command.arg(&program).arg("__parent"));
    assert_eq!(exit, "Code(7)");
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
    assert!(status.contains("Uid:\t12345\t12345\t12345\t12345"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    drop(parent.stdin.take());
    assert!(parent.wait().unwrap().success());
    wait_until_gone(worker);
}

fn killed() {
    on_runtime(async {
        let first = worker().await;
        let mut jobs = JoinSet::new();
        for _ in 0..4 {
            let worker = first.clone();
            let hour = request(&endless(), Duration::from_secs(3600));
            jobs.spawn(async move { worker.run(hour).await.unwrap_err() });
        }
        run_until_busy(first.id().unwrap());
        kill(first.id().unwrap(), Signal::KILL);
        let errors = jobs.join_all().await;
        assert_eq!(errors, vec![JobError::WorkerLost; 4]);
        assert!(first.is_lost());
        assert_eq!(run(&first, &trivial(0)).await.unwrap_err(), JobError::WorkerLost);
        wait_until_gone(first.id().unwrap());
        let second = worker().await;
        assert_eq!(run(&second, &trivial(9)).await.unwrap().usage.exit, Exit::Code(9));
    });
}

/// Waits until a process has spent time on a processor for a guest.
fn run_until_busy(id: u32) {
    let ticks = || {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<u64> = text
            .rsplit(") ")
            .next()
            .unwrap()
            .split(' ')
            .skip(11)
            .take(1)
            .map(|field| field.parse().unwrap())
            .collect();
        fields[0]
    };
    let before = ticks();
    let began = Instant::now();
    while ticks() < before + 5 {
        assert!(began.elapsed() < Duration::from_secs(20), "no job runs");
        std::thread::yield_now();
    }
}

fn dies_with_parent() {
    let (mut parent, worker, _) = parent_of_worker(Command::new(own_path()).arg("__parent"));
    // Stopped, it cannot see that its pipe has ended: only the kernel can end it.
    kill(worker, Signal::STOP);
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until_gone(worker);
}

fn outlives_thread() {
    on_runtime(async {
        let runtime = tokio::runtime::Handle::current();
        let start = move || runtime.block_on(worker());
        let worker = std::thread::spawn(start).join().unwrap();
        assert_eq!(run(&worker, &trivial(1)).await.unwrap().usage.exit, Exit::Code(1));
    });
}

fn ends_with_handle() {
    on_runtime(async {
        let worker = worker().await;
        let id = worker.id().unwrap();
        let other = worker.clone();
        drop(worker);
        run(&other, &trivial(1)).await.unwrap();
        let job = request(&endless(), Duration::from_secs(3600));
        let mut running = Box::pin(async move { other.run(job).await.map(|_| ()) });
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(running.as_mut().poll(&mut context).is_pending());
        drop(running);
        wait_until_gone(id);
    });
}

fn no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("silent");
    let mut file = fs::File::create(&program).unwrap();
    file.write_all(b"#!/bin/sh\necho cannot >&2\nexit 3\n").unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
    drop(file);
    on_runtime(async {
        let error = Worker::spawn(&settings(&program)).await.unwrap_err();
        assert!(matches!(&error, SpawnError::Setup(said) if said == "cannot"), "{error:?}");
        let absent = folder.path().join("absent");
        let error = Worker::spawn(&settings(&absent)).await.unwrap_err();
        assert!(matches!(error, SpawnError::Io(_)), "{error:?}");
    });
}
