//! Attempts that no text of a guest can state: modules that are none, requests that ask for too
//! much, and guests that are stopped.

use std::time::Duration;

use classes::job::Exit;
use executors::wasm::EngineKind;
use executors::worker::testing::Reply;
use types::Text;
use wasm_encoder::{Function, ValType};

use super::{Case, End, Step};
use crate::module::module_of;
use crate::work::Work;
use crate::work::guests::{limited, nested};
use crate::{endless, trivial};

const HELLO: &[u8] = include_bytes!("../../../../../examples/hello.wasm");

pub(super) fn cases() -> Vec<Case> {
    let mut cases = modules();
    cases.extend(large_modules());
    cases.extend(inputs());
    cases.extend(times());
    cases.extend(memories());
    cases.push(frames());
    cases
}

fn refused(name: &str, attempt: &str, bytes: &[u8], why: &str) -> Case {
    let step = Step::new(limited(Work::new(bytes)), End::Refused(why.to_owned()));
    Case::new("module", name, attempt, vec![step])
}

fn modules() -> Vec<Case> {
    let custom = |length: &[u8]| [b"\0asm\x01\0\0\0\0", length].concat();
    vec![
        refused("empty", "A program without a byte.", b"", "WebAssembly"),
        refused(
            "script",
            "A script of the machine's shell.",
            b"#!/bin/sh\nexit 0\n",
            "WebAssembly",
        ),
        refused(
            "native",
            "A program of the machine itself.",
            b"\x7fELF\x02\x01\x01\0",
            "WebAssembly",
        ),
        refused("zeros", "Nothing but zeros.", &[0; 4096], "WebAssembly"),
        refused("component", "A component.", b"\0asm\x0d\0\x01\0", "component"),
        refused("header", "A header and nothing else.", b"\0asm\x01\0\0\0", "export"),
        refused(
            "section-beyond-end",
            "A section that says that it is as long as 32 bits can say.",
            &custom(b"\xff\xff\xff\xff\x0f"),
            "",
        ),
        refused(
            "length-endless",
            "A section of which the length never ends.",
            &custom(&[0x80; 4096]),
            "",
        ),
        Case::new(
            "module",
            "cut",
            "A program that ends too soon, cut at each of 19 places.",
            (1..20).map(|part| cut(HELLO.len() * part / 20)).collect(),
        ),
        Case::new(
            "module",
            "random",
            "64 modules of random bytes behind a right header.",
            (0..64).map(random).collect(),
        ),
    ]
}

fn cut(end: usize) -> Step {
    Step::new(Work::new(&HELLO[..end]), End::Refused(String::new()))
}

fn random(number: u8) -> Step {
    let mut bytes = vec![0; 512];
    blake3::Hasher::new().update(&[number]).finalize_xof().fill(&mut bytes);
    bytes[..8].copy_from_slice(b"\0asm\x01\0\0\0");
    Step::new(limited(Work::new(&bytes)), End::Refused(String::new()))
}

fn large_modules() -> Vec<Case> {
    let mut long = Function::new([(1, ValType::I64)]);
    for number in 0..25_000 {
        long.instructions().local_get(0).i64_const(number).i64_mul().local_set(0);
    }
    long.instructions().end();
    let mut function = Function::new([]);
    function.instructions().end();
    let poor = |module: &[u8]| Step::new(limited(Work::new(module)), End::Exit(Exit::OutOfFuel));
    let many = module_of(&vec![function; 150_000]);
    let one = |name, attempt, step| Case::new("module", name, attempt, vec![step]);
    vec![
        refused(
            "large",
            "More bytes than a module may have; they are not looked at.",
            &vec![0; (16 << 20) + 1],
            "bytes of the module",
        ),
        refused(
            "nested",
            "A million blocks inside each other, for a checker that recurses.",
            &nested(1_000_000),
            "",
        ),
        one(
            "long-body",
            "A function that takes the compiler longer than its job can pay.",
            poor(&module_of(&[long])),
        ),
        one(
            "many-functions",
            "150,000 functions, which take the compiler longer than their job can pay.",
            poor(&many),
        ),
    ]
}

fn inputs() -> Vec<Case> {
    let mut no_manifest = trivial(0);
    no_manifest.spec.input = Some(no_manifest.add(b"no manifest"));
    let mut version = trivial(0);
    version.spec.metering += 1;
    let mut pages = trivial(0);
    pages.spec.limits.memory_pages = u32::MAX;
    let case = |name, attempt, work, end| {
        Case::new("host call", name, attempt, vec![Step::new(work, end)])
    };
    vec![
        case(
            "input-no-manifest",
            "Names inputs that are no manifest.",
            no_manifest,
            End::Refused("manifest of the inputs".to_owned()),
        ),
        case(
            "metering-unknown",
            "Asks for a metering that does not exist, which might count nothing.",
            version,
            End::Aborted("metering"),
        ),
        case(
            "pages-beyond-format",
            "Asks for more pages of memory than a module can address.",
            pages,
            End::Refused(String::new()),
        ),
    ]
}

fn times() -> Vec<Case> {
    let stopped = |name, attempt, engine, end| {
        let wall = if end == End::TimedOut { Duration::from_millis(200) } else { super::WALL };
        let step = Step { engine, wall, ..Step::new(endless(), end) };
        Case::new("time", name, attempt, vec![step])
    };
    vec![
        stopped(
            "outlasts-its-lease",
            "Never ends, with fuel for years.",
            EngineKind::Compiler,
            End::TimedOut,
        ),
        stopped(
            "outlasts-its-lease-interpreted",
            "Never ends, with fuel for years, on the interpreter.",
            EngineKind::Interpreter,
            End::TimedOut,
        ),
        stopped(
            "outlasts-its-tenant",
            "Never ends, and nobody waits for it any more.",
            EngineKind::Compiler,
            End::Dropped,
        ),
    ]
}

fn memories() -> Vec<Case> {
    let grower = include_str!("../../../../../tests/programs/hostile/memory-grow.wat");
    let recursion = include_str!("../../../../../tests/programs/hostile/recurse.wat");
    let mut large = Work::of_text(grower);
    large.spec.limits.memory_pages = 8192;
    let interpreted = |work, end| Step { engine: EngineKind::Interpreter, ..Step::new(work, end) };
    let code = End::Exit(Exit::Code(0));
    vec![
        Case::new(
            "memory",
            "memory-all",
            "Takes 512 MiB, all that its limits give, and writes to each page.",
            vec![Step::new(large.clone(), code.clone())],
        )
        .by("the memory of a slot, given back at its end"),
        Case::new(
            "memory",
            "memory-all-interpreted",
            "Takes 512 MiB and writes to each page, on the interpreter.",
            vec![interpreted(large, code)],
        )
        .by("the memory of a run, given back at its end"),
        Case::new(
            "stack",
            "recurse-interpreted",
            "A function that calls itself without end, on the interpreter.",
            vec![interpreted(Work::of_text(recursion), End::Exit(Exit::StackExhausted))],
        ),
    ]
}

/// Returns a guest that says on its standard output what only its worker may say to the parent.
fn frames() -> Case {
    let why = Text::new("forged").unwrap();
    let mut pipe = Vec::new();
    for job in 0..200 {
        let forged = Reply::Abort { job, why: why.clone() };
        executors::worker::testing::write(&mut pipe, &forged).unwrap();
    }
    let data: String = pipe.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let program = format!(
        "(module
           (import \"wasi_snapshot_preview1\" \"fd_write\"
             (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") 1)
           (data (i32.const 0) \"\\10\\00\\00\\00\") (data (i32.const 16) \"{data}\")
           (func (export \"_start\")
             (i32.store (i32.const 4) (i32.const {length}))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
             (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))",
        length = pipe.len()
    );
    let step = Step::new(limited(Work::of_text(&program)), End::Exit(Exit::Code(0)));
    let attempt = "Writes to its standard output what a worker would say to end all jobs.";
    Case::new("pipe", "forged-frames", attempt, vec![step])
        .by("the world that it sees: its standard output is content")
}
