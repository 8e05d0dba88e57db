//! The bad guests of `tests/programs/hostile`, each with what its file says of it.

use std::fs;
use std::path::{Path, PathBuf};

use classes::job::Exit;
use wasm_encoder::{BlockType, Function};

use super::Work;
use crate::module::module_of;

/// A bad guest.
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// What it tries.
    pub(crate) attempt: String,
    pub(crate) end: GuestEnd,
    pub(crate) work: Work,
}

/// How a bad guest has to end.
pub(crate) enum GuestEnd {
    Exit(Exit),
    /// It cannot begin, and the reason has this part.
    Refused(String),
}

/// Returns all bad guests, in the order of their names.
pub(crate) fn guests() -> Vec<Guest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs/hostile");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| guest(file)).collect()
}

fn guest(file: &Path) -> Guest {
    let text = fs::read_to_string(file).unwrap();
    let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut comments = text.lines().map_while(|line| line.strip_prefix(";; "));
    let (how, what) = comments.next().unwrap().split_once(": ").unwrap();
    let kind = comments.next().unwrap().strip_prefix("kind: ").unwrap().to_owned();
    let attempt = comments.collect::<Vec<_>>().join(" ");
    let end = match how {
        "exit" => GuestEnd::Exit(Exit::Code(what.parse().unwrap())),
        "trap" => GuestEnd::Exit(exit_of_trap(what)),
        "refused" => GuestEnd::Refused(what.to_owned()),
        other => panic!("{name}: what is `{other}`?"),
    };
    Guest { name, kind, attempt, end, work: limited(Work::of_text(&text)) }
}

/// Returns how the job's result states a trap that is called so.
fn exit_of_trap(text: &str) -> Exit {
    match text {
        "unreachable executed" => Exit::Unreachable,
        "memory access out of bounds" | "table access out of bounds" => Exit::OutOfBounds,
        "indirect call to null" | "indirect call type mismatch" => Exit::BadCall,
        "integer divide by zero" => Exit::DivisionByZero,
        "integer overflow" | "invalid conversion to integer" => Exit::IntegerOverflow,
        "out of fuel" => Exit::OutOfFuel,
        "call depth exhausted" => Exit::StackExhausted,
        other => panic!("no trap is called `{other}`"),
    }
}

/// Gives a job little of everything.
pub(crate) fn limited(mut work: Work) -> Work {
    work.spec.limits.fuel = 20_000_000;
    work.spec.limits.memory_pages = 256;
    work.spec.limits.output_bytes = 1 << 20;
    work
}

/// Returns a module with so many blocks inside each other.
pub(crate) fn nested(depth: usize) -> Vec<u8> {
    let mut body = Function::new([]);
    for _ in 0..depth {
        body.instructions().block(BlockType::Empty);
    }
    for _ in 0..=depth {
        body.instructions().end();
    }
    module_of(&[body])
}
