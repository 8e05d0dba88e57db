//! Attempts to give a later job what is not its own: another's content, another's program, a
//! program prepared for other limits. Each step says what its job must get.

use classes::job::Exit;
use executors::wasm::EngineKind;

use super::{Case, End, Step, rename};
use crate::trivial;
use crate::work::Work;

pub(super) fn cases() -> Vec<Case> {
    let because = |cases: Vec<Case>, what| cases.into_iter().map(move |case| case.by(what));
    because(names(), "the worker: content is what its name says, or is not kept")
        .chain(because(rights(), "the parent: a job reads what it was given, kept or not"))
        .chain(because(modules(), "the key of ready programs: all their bytes and their limits"))
        .chain(because(floods(), "the bounds of what is kept"))
        .collect()
}

fn case(name: &str, attempt: &str, steps: Vec<Step>) -> Case {
    Case::new("cache", name, attempt, steps)
}

fn ends(work: &Work, code: u32) -> Step {
    Step::new(work.clone(), End::Exit(Exit::Code(code)))
}

fn aborts(work: Work, why: &'static str) -> Step {
    Step::new(work, End::Aborted(why))
}

/// Content under the name of another.
fn names() -> Vec<Case> {
    let program = trivial(21);
    let other = trivial(22);
    let own = program.contents[&program.spec.program].clone();
    let foreign = other.contents[&other.spec.program].clone();
    let poisoned = rename(program.clone(), &foreign, program.spec.program);
    let truncated = rename(other.clone(), &foreign[..foreign.len() - 1], other.spec.program);
    let known = rename(program.clone(), b"no longer read", program.spec.program);
    let read = trivial(23).stdin(b"standard input of another");
    let name = read.spec.stdin.unwrap();
    let not_its_name = "is not what its name says";
    assert_ne!(own, foreign);
    vec![
        case(
            "program-misnamed",
            "Brings a program under the name of another, which a later job asks for.",
            vec![aborts(poisoned, not_its_name), ends(&program, 21), ends(&program, 21)],
        ),
        case(
            "program-truncated",
            "Brings all but the last byte of a program, which a later job asks for.",
            vec![aborts(truncated, not_its_name), ends(&other, 22)],
        ),
        case(
            "program-replaced",
            "Brings other bytes under a name that is known: what was right stays.",
            vec![ends(&program, 21), ends(&known, 21), ends(&program, 21)],
        ),
        case(
            "stdin-misnamed",
            "Brings standard input under the name of another's.",
            vec![aborts(rename(read.clone(), b"x", name), not_its_name), ends(&read, 23)],
        ),
    ]
}

/// Content that the worker has, and the job may not read.
fn rights() -> Vec<Case> {
    let program = trivial(24);
    let mut no_program = program.clone();
    no_program.contents.remove(&program.spec.program);
    let read = trivial(25).stdin(b"a secret of another");
    let mut no_stdin = read.clone();
    no_stdin.contents.remove(&read.spec.stdin.unwrap());
    let input = trivial(26).input(&[("secret", b"another secret")]);
    let secret = types::ContentHash::of(b"another secret");
    let mut no_input = input.clone();
    no_input.contents.remove(&secret).unwrap();
    vec![
        case(
            "program-of-another",
            "Names a program that the worker has ready and that the job was not given.",
            vec![ends(&program, 24), aborts(no_program, "is missing")],
        ),
        case(
            "stdin-of-another",
            "Names as standard input what the worker keeps of another job.",
            vec![ends(&read, 25), aborts(no_stdin, "is missing")],
        ),
        case(
            "input-of-another",
            "Names in its manifest a file that the worker keeps of another job.",
            vec![ends(&input, 26), aborts(no_input, "is missing")],
        ),
    ]
}

/// A program that ends with 1 if it cannot have 100 pages more.
fn grower() -> Work {
    Work::of_text(
        "(module
           (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
           (memory (export \"memory\") 1)
           (func (export \"_start\")
             (call $exit (i32.eq (memory.grow (i32.const 100)) (i32.const -1)))))",
    )
}

/// Programs prepared once and asked for again.
fn modules() -> Vec<Case> {
    let with_pages = |memory_pages| {
        let mut work = grower();
        work.spec.limits.memory_pages = memory_pages;
        work
    };
    let (few, many) = (with_pages(2), with_pages(256));
    let rich = trivial(27);
    let mut poor = rich.clone();
    poor.spec.limits.fuel = 1_000;
    let poor = || Step::new(poor.clone(), End::Exit(Exit::OutOfFuel));
    let plain = trivial(28);
    let tagged = |section: &[u8]| {
        let bytes = plain.contents[&plain.spec.program].to_vec();
        let length = u8::try_from(section.len()).unwrap();
        Work::new(&[&bytes, &[0, length][..], section].concat())
    };
    let hints = b"\x19metadata.code.branch_hint\xff\xff";
    let again = Step { engine: EngineKind::Interpreter, ..ends(&many, 0) };
    vec![
        case(
            "other-limits",
            "Runs a program with little memory, then asks for the same with much, and back.",
            vec![ends(&few, 1), ends(&many, 0), ends(&few, 1)],
        ),
        case(
            "other-fuel",
            "Runs a program with fuel for its compilation, then without, and back.",
            vec![ends(&rich, 27), poor(), ends(&rich, 27), poor()],
        ),
        case(
            "custom-section",
            "A program that differs from another in a custom section only.",
            vec![ends(&plain, 28), ends(&tagged(b"\x01xpoison"), 28), ends(&plain, 28)],
        ),
        case(
            "hints-malformed",
            "A program with hints for the compiler that are no hints.",
            vec![ends(&tagged(hints), 28), ends(&plain, 28)],
        ),
        case(
            "other-engine",
            "A program that the compiler made ready, on the interpreter.",
            vec![ends(&many, 0), again, ends(&many, 0)],
        ),
    ]
}

/// More than is kept.
fn floods() -> Vec<Case> {
    let content = |number: u8| {
        let work = trivial(29).stdin(&vec![number; 4 << 20]);
        ends(&work, 29)
    };
    vec![
        case(
            "flood-programs",
            "300 programs, more than are kept ready.",
            (1_000..1_300).map(|code| ends(&trivial(code), code)).collect(),
        ),
        case(
            "flood-content",
            "64 MiB of content, more than is kept.",
            (0..16).map(content).collect(),
        ),
    ]
}
