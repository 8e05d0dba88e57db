//! What a process that is shut in can still do: a program that tries, as a guest would that broke
//! out of its engine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use executors::worker::testing::shut_in;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Resource, chdir, getppid, getrlimit, pidfd_open,
    set_dumpable_behavior, set_parent_process_death_signal, test_kill_process,
};

use crate::calls::CALLS;
use crate::hostile::Row;
use crate::{Test, own_path};

pub(crate) const TESTS: &[Test] =
    &[("what_is_shut_in_reaches_nothing", shut), ("the_probe_finds_what_is_open", open)];

/// Something to try: its kind, what it is, and whether it could be done; it is told its parent.
type Attempt = (&'static str, &'static str, fn(Pid) -> bool);

const ATTEMPTS: &[Attempt] = &[
    ("file", "read a file", |_| File::open("/etc/passwd").is_ok()),
    ("file", "read its environment", |_| File::open("/proc/self/environ").is_ok()),
    ("file", "read the memory of its parent", |parent| {
        File::open(format!("/proc/{}/mem", parent.as_raw_nonzero())).is_ok()
    }),
    ("file", "open its own pipe again", |_| File::open("/proc/self/fd/1").is_ok()),
    ("file", "list a folder", |_| fs::read_dir("/").is_ok()),
    ("file", "look at a file", |_| fs::metadata("/etc/passwd").is_ok()),
    ("file", "write a file", |_| {
        let path = std::env::temp_dir().join(format!("idlewild-probe-{}", std::process::id()));
        let made = File::create(&path).is_ok();
        made && fs::remove_file(path).is_ok()
    }),
    ("file", "change its folder", |_| chdir("/tmp").is_ok()),
    ("network", "open a socket", |_| UdpSocket::bind("127.0.0.1:0").is_ok()),
    ("network", "listen to the network", |_| TcpListener::bind("127.0.0.1:0").is_ok()),
    ("network", "open a local socket", |_| UnixStream::pair().is_ok()),
    ("process", "start a process", |_| {
        Command::new("/bin/sh").args(["-c", "exit 0"]).status().is_ok()
    }),
    ("process", "start a thread", |_| std::thread::Builder::new().spawn(|| ()).is_ok()),
    ("process", "signal its parent", |parent| test_kill_process(parent).is_ok()),
    ("process", "take hold of its parent", |parent| {
        pidfd_open(parent, PidfdFlags::empty()).is_ok()
    }),
    ("process", "become traceable", |_| set_dumpable_behavior(DumpableBehavior::Dumpable).is_ok()),
    ("process", "outlive its parent", |_| set_parent_process_death_signal(None).is_ok()),
    ("descriptor", "copy a descriptor", |_| io::stdout().as_fd().try_clone_to_owned().is_ok()),
    ("descriptor", FLOOD, |_| {
        let open = || memfd_create("probe", MemfdFlags::empty()).ok();
        let held: Vec<_> = std::iter::from_fn(open).take(DESCRIPTORS_MAX).collect();
        held.len() == DESCRIPTORS_MAX
    }),
];

/// What is bounded, and not refused by the filter.
const FLOOD: &str = "open memory files without end";
/// More descriptors than a worker may have.
const DESCRIPTORS_MAX: usize = 1024;

/// Returns the attempts as rows.
pub(crate) fn rows() -> Vec<Row> {
    let filter = "the filter of system calls";
    let acts = ATTEMPTS.iter().map(|(kind, name, _)| Row {
        kind,
        name: format!("native: {name}"),
        attempt: format!("Native code tries to {name}."),
        containment: if *name == FLOOD { "the limit of descriptors" } else { filter }.to_owned(),
    });
    let calls = CALLS.iter().map(|call| Row {
        kind: call.kind,
        name: format!("native: `{}`", call.name),
        attempt: format!("Native code makes the system call `{}`.", call.name),
        containment: filter.to_owned(),
    });
    acts.chain(calls).collect()
}

/// Shuts itself in unless told not to, then says what it could do.
pub(crate) fn main() -> io::Result<()> {
    let parent = getppid().ok_or_else(|| io::Error::other("no parent"))?;
    let mut found = Vec::new();
    if std::env::args_os().nth(2).is_none() {
        shut_in()?;
    }
    for (_, name, attempt) in ATTEMPTS {
        if attempt(parent) {
            found.push(*name);
        }
    }
    found.extend(CALLS.iter().filter(|call| call.is_taken()).map(|call| call.name));
    writeln!(io::stdout(), "could: {}", found.join(", "))
}

fn probe(words: &[&str]) -> String {
    let output = Command::new(own_path()).arg("__probe").args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn shut() {
    assert_eq!(probe(&[]), "could:");
}

/// Every attempt can succeed where nothing is shut: so a refusal is the sandbox's doing.
fn open() {
    let found = probe(&["free"]);
    let found: Vec<&str> = found.strip_prefix("could: ").unwrap().split(", ").collect();
    let few = getrlimit(Resource::Nofile).current.is_some_and(|most| most <= 1024 + 16);
    for (_, name, _) in ATTEMPTS {
        assert!(found.contains(name) || (few && *name == FLOOD), "cannot {name}");
    }
    for call in CALLS {
        let can = found.contains(&call.name);
        assert!(can || call.needs_privilege, "cannot call {}", call.name);
        if !can {
            println!("this machine refuses `{}` to everyone here", call.name);
        }
    }
}
