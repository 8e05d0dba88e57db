//! What a process that is shut in can still do: a program that tries, as a guest would that broke
//! out of its engine.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use executors::worker::testing::shut_in;
use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, chdir, getppid, pidfd_open, set_dumpable_behavior,
    set_parent_process_death_signal, test_kill_process,
};

use crate::{Test, own_path};

pub(crate) const TESTS: &[Test] =
    &[("what_is_shut_in_reaches_nothing", shut), ("the_probe_finds_what_is_open", open)];

/// Something to try, and its name.
type Attempt = (&'static str, fn(Pid) -> bool);

const ATTEMPTS: &[Attempt] = &[
    ("read a file", |_| File::open("/etc/passwd").is_ok()),
    ("read its environment", |_| File::open("/proc/self/environ").is_ok()),
    ("list a folder", |_| fs::read_dir("/").is_ok()),
    ("look at a file", |_| fs::metadata("/etc/passwd").is_ok()),
    ("write a file", |_| {
        let path = std::env::temp_dir().join(format!("idlewild-probe-{}", std::process::id()));
        let made = File::create(&path).is_ok();
        made && fs::remove_file(path).is_ok()
    }),
    ("open a socket", |_| UdpSocket::bind("127.0.0.1:0").is_ok()),
    ("open a local socket", |_| UnixStream::pair().is_ok()),
    ("start a process", |_| Command::new("/bin/sh").args(["-c", "exit 0"]).status().is_ok()),
    ("start a thread", |_| std::thread::Builder::new().spawn(|| ()).is_ok()),
    ("signal its parent", |parent| test_kill_process(parent).is_ok()),
    ("take hold of its parent", |parent| pidfd_open(parent, PidfdFlags::empty()).is_ok()),
    ("copy a descriptor", |_| io::stdout().as_fd().try_clone_to_owned().is_ok()),
    ("become traceable", |_| set_dumpable_behavior(DumpableBehavior::Dumpable).is_ok()),
    ("outlive its parent", |_| set_parent_process_death_signal(None).is_ok()),
    ("change its folder", |_| chdir("/tmp").is_ok()),
];

/// Shuts itself in unless told not to, then says what it could do.
pub(crate) fn main() -> io::Result<()> {
    let parent = getppid().ok_or_else(|| io::Error::other("no parent"))?;
    let mut found = Vec::new();
    if std::env::args_os().nth(2).is_none() {
        shut_in()?;
    }
    for (name, attempt) in ATTEMPTS {
        if attempt(parent) {
            found.push(*name);
        }
    }
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

fn open() {
    let all: Vec<&str> = ATTEMPTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(probe(&["free"]), format!("could: {}", all.join(", ")));
}
