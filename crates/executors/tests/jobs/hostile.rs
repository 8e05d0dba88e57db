//! Bad guests: each ends as the first line of its file says, on both engines, in bounded time.

use std::fs;
use std::time::{Duration, Instant};

use classes::job::Exit;
use executors::job::Outcome;
use wasm_encoder::{
    CodeSection, Function, FunctionSection, MemorySection, MemoryType, TypeSection,
};

use crate::engines::{house, on_both};
use crate::work::Work;

/// What one of these jobs may take, on a slow machine that does other things.
const WALL_MAX: Duration = Duration::from_secs(60);

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

fn limited(work: Work) -> Work {
    let mut work = work;
    work.spec.limits.fuel = 20_000_000;
    work.spec.limits.memory_pages = 256;
    work.spec.limits.output_bytes = 1 << 20;
    work
}

fn bounded(work: &Work) -> Outcome {
    let began = Instant::now();
    let outcome = on_both(work);
    assert!(began.elapsed() < WALL_MAX, "it took {:?}", began.elapsed());
    let limits = &work.spec.limits;
    assert!(outcome.usage.fuel <= limits.fuel);
    let written: usize = outcome.contents.values().map(|bytes| bytes.len()).sum();
    // The files, two streams, and a manifest of at most 16,384 short entries.
    let most = 3 * limits.output_bytes + (2 << 20);
    assert!(u64::try_from(written).unwrap() <= most, "{written} bytes were written");
    outcome
}

#[test]
fn every_bad_guest_ends_as_it_must() {
    let folder = house().join("tests/programs/hostile");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "{} bad guests", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap().strip_prefix(";; ").unwrap();
        let (kind, what) = first.split_once(": ").unwrap();
        let began = Instant::now();
        let outcome = bounded(&limited(Work::of_text(&text)));
        let exit = outcome.usage.exit;
        let said = outcome.unrunnable.clone().unwrap_or_default();
        let name = file.file_name().unwrap().to_string_lossy();
        println!("{name}: {exit:?} {said} in {:?}", began.elapsed());
        match kind {
            "exit" => assert_eq!(exit, Exit::Code(what.parse().unwrap()), "{name}"),
            "trap" => assert_eq!(exit, exit_of_trap(what), "{name}"),
            "refused" => {
                assert_eq!((exit, outcome.usage.fuel), (Exit::Unrunnable, 0), "{name}");
                assert!(said.contains(what), "{name}: {said}");
            }
            other => panic!("{name}: what is `{other}`?"),
        }
    }
}

fn refused(bytes: &[u8], why: &str) {
    let began = Instant::now();
    let outcome = bounded(&limited(Work::new(bytes)));
    assert_eq!((outcome.usage.exit, outcome.usage.fuel), (Exit::Unrunnable, 0), "{why}");
    let said = outcome.unrunnable.unwrap();
    assert!(said.contains(why), "{said}");
    println!("{why}: {:?}", began.elapsed());
}

#[test]
fn what_is_no_module_is_refused() {
    refused(b"", "WebAssembly");
    refused(b"#!/bin/sh\n", "WebAssembly");
    refused(&[0; 4096], "WebAssembly");
    refused(b"\0asm\x0d\0\x01\0", "component");
    // The header alone is a module, and no program.
    refused(b"\0asm\x01\0\0\0", "export");
}

#[test]
fn a_module_that_ends_too_soon_is_refused_wherever_it_ends() {
    let whole = fs::read(house().join("examples/hello.wasm")).unwrap();
    for part in 1..20 {
        let end = whole.len() * part / 20;
        let outcome = bounded(&limited(Work::new(&whole[..end])));
        assert_eq!(outcome.usage.exit, Exit::Unrunnable, "cut at {end}");
    }
}

#[test]
fn a_module_that_is_too_large_is_not_read() {
    refused(&vec![0; (64 << 20) + 1], "bytes of the module");
    // 65 MiB that would be a module.
    let mut module = b"\0asm\x01\0\0\0\0".to_vec();
    module.extend([0x80, 0x80, 0xc0, 0x20]);
    module.resize(65 << 20, 0);
    refused(&module, "bytes of the module");

    // Naming the content costs a pass over it; refusing it does not.
    let work = limited(Work::new(&vec![0; 1 << 30]));
    let began = Instant::now();
    assert_eq!(on_both(&work).usage.exit, Exit::Unrunnable);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

/// Returns a module with one function of this body.
fn module(body: &Function) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    let memory = MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    memories.memory(memory);
    let mut exports = wasm_encoder::ExportSection::new();
    exports.export("memory", wasm_encoder::ExportKind::Memory, 0);
    exports.export("_start", wasm_encoder::ExportKind::Func, 0);
    let mut code = CodeSection::new();
    code.function(body);
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

fn nested(depth: usize) -> Vec<u8> {
    let mut body = Function::new([]);
    for _ in 0..depth {
        body.instructions().block(wasm_encoder::BlockType::Empty);
    }
    for _ in 0..=depth {
        body.instructions().end();
    }
    module(&body)
}

#[test]
fn nesting_has_a_bound() {
    let deepest = bounded(&limited(Work::new(&nested(3_999))));
    assert_eq!(deepest.usage.exit, Exit::Code(0));
    refused(&nested(4_001), "nesting");
    refused(&nested(1_000_000), "");
}

#[test]
fn a_body_that_is_large_but_allowed_costs_bounded_time() {
    let mut body = Function::new([(1, wasm_encoder::ValType::I64)]);
    for number in 0..150_000 {
        body.instructions().local_get(0).i64_const(number).i64_mul().local_set(0);
    }
    body.instructions().end();
    let outcome = bounded(&limited(Work::new(&module(&body))));
    assert_eq!(outcome.usage.exit, Exit::Code(0));
}
