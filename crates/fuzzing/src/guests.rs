//! Targets of the executor: whole modules, and calls of the host.

use std::sync::LazyLock;

use executors::wasi::{HOST_FUNCTIONS, Host, HostConfig, HostLimits, InputPath, Inputs};
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::{
    Engine, HOST_ARGUMENTS_MAX, HostTrap, Meter, PrepareError, Run, RunLimits, ValType,
};
use executors::wasm::instrument::ModuleLimits;
use executors::wasm::interpreter::Interpreter;
use executors::wasm::{CacheLimits, GuestStack};

/// What a module under test may use, in fuel.
const MODULE_FUEL: u64 = 200_000;
/// Its memory, in pages of 64 KiB.
const MODULE_LIMITS: ModuleLimits = ModuleLimits { memory_pages: 16, fuel: u64::MAX };
/// Modules that the engines keep; a fuzzer seldom runs one twice.
const CACHE: CacheLimits = CacheLimits { modules_max: 4, bytes_max: 64 << 20 };

/// What a sequence of calls may use, in fuel.
const CALLS_FUEL: u64 = 4_000_000;
/// The memory that the calls see, in bytes.
const MEMORY_BYTES: usize = 8192;
/// Calls of one sequence.
const CALLS_MAX: usize = 64;

static COMPILER: LazyLock<Compiler> = LazyLock::new(|| {
    let options = CompilerOptions { guests_max: 4, cache: CACHE, ..CompilerOptions::default() };
    Compiler::new(&options).expect("this machine can compile")
});
static INTERPRETER: LazyLock<Interpreter> =
    LazyLock::new(|| Interpreter::new(CACHE).expect("the host can be linked"));

/// Instruments a module; what is accepted compiles, and runs alike on both engines.
///
/// # Panics
/// Where the engines disagree, or one fails on what the other accepts.
pub fn wasm_module(data: &[u8]) {
    let compiled = run(&*COMPILER, data);
    let interpreted = run(&*INTERPRETER, data);
    match (compiled, interpreted) {
        (None, None) => {}
        (Some(compiled), Some(interpreted)) => {
            assert_eq!(compiled.exit, interpreted.exit, "the engines end differently");
            assert_eq!(compiled.fuel_used, interpreted.fuel_used, "the engines charge differently");
            assert_eq!(compiled.trace_root, interpreted.trace_root, "the traces differ");
            assert!(compiled.fuel_used <= MODULE_FUEL, "more fuel was used than there was");
        }
        _ => panic!("one engine refuses what the other accepts"),
    }
}

/// Runs a module; nothing if it is refused.
fn run<E: Engine>(engine: &E, data: &[u8]) -> Option<Run> {
    let module = match engine.prepare(data, &MODULE_LIMITS) {
        Ok(module) => module,
        Err(PrepareError::Module(_)) => return None,
        Err(PrepareError::Abort(abort)) => panic!("an accepted module does not compile: {abort}"),
    };
    let limits = RunLimits::with_fuel(MODULE_FUEL);
    let work = |stack: &GuestStack| engine.run(stack, &module, host(MODULE_FUEL), &limits);
    let ended = GuestStack::scope(work).expect("a thread can be started");
    Some(ended.expect("a small guest ends by itself"))
}

fn host(fuel: u64) -> Host {
    let file = |path: &str, bytes: &[u8]| {
        (InputPath::parse(path).expect("the path is relative"), bytes.into())
    };
    let config = HostConfig {
        inputs: Inputs {
            files: vec![file("a", b"first"), file("d/b", b"second")],
            directories: vec![InputPath::parse("d/e").expect("the path is relative")],
            stdin: b"some words\nand more\n".as_slice().into(),
        },
        arguments: vec!["program".to_owned(), "argument".to_owned()],
        environment: vec![("NAME".to_owned(), "value".to_owned())],
        realtime_start_ns: 1_700_000_000_000_000_000,
        fuel,
        random_seed: [7; 32],
        limits: HostLimits {
            entries_max: 64,
            written_bytes_max: 1 << 16,
            stdout_bytes_max: 1 << 16,
            stderr_bytes_max: 1 << 16,
            descriptors_max: 32,
            ..HostLimits::default()
        },
    };
    Host::new(&config).expect("the world is within its limits")
}

/// Calls the host with any arguments over a memory of any content, twice; both runs are equal.
///
/// # Panics
/// Where a call panics or the runs differ.
pub fn wasi_calls(data: &[u8]) {
    let first = world_after(data);
    assert!(first == world_after(data), "the same calls gave another world");
}

/// What a sequence of calls leaves behind, in any form that compares.
#[derive(PartialEq, Eq)]
struct After {
    answers: Vec<(Result<u32, HostTrap>, i64)>,
    memory: Vec<u8>,
    outputs: String,
}

fn world_after(data: &[u8]) -> After {
    let mut words = Words { data };
    let mut host = host(CALLS_FUEL);
    let mut meter = Meter::new(CALLS_FUEL);
    let mut memory = memory();
    let mut answers = Vec::new();
    while !words.data.is_empty() && answers.len() < CALLS_MAX {
        let function = &HOST_FUNCTIONS[usize::from(words.byte()) % HOST_FUNCTIONS.len()];
        let mut args = [0; HOST_ARGUMENTS_MAX];
        for (arg, ty) in args.iter_mut().zip(function.params) {
            *arg = words.argument(*ty);
        }
        let args = &args[..function.params.len()];
        let answer = (function.call)(&mut host, &mut memory, args, &mut meter);
        let is_end = answer.is_err();
        answers.push((answer, meter.fuel_left()));
        if is_end {
            break;
        }
    }
    After { answers, memory, outputs: format!("{:?}", host.finish()) }
}

/// Returns a memory with what calls look for: paths, buffers, numbers.
fn memory() -> Vec<u8> {
    let mut memory: Vec<u8> = (0..MEMORY_BYTES).map(|at| at.to_le_bytes()[0]).collect();
    for (at, text) in PATHS.iter().enumerate() {
        memory[at * 16..at * 16 + text.len()].copy_from_slice(text.as_bytes());
    }
    // Lists of buffers: a place and a length each.
    for at in 0..16_u32 {
        let entry = [(1024 + at * 64).to_le_bytes(), (at * 8).to_le_bytes()].concat();
        let place = 512 + usize::try_from(at).unwrap_or(0) * 8;
        memory[place..place + 8].copy_from_slice(&entry);
    }
    memory
}

/// Paths that lie in the memory, one every 16 bytes.
const PATHS: [&str; 12] =
    ["a", "d", "d/b", "in/a", "out", "out/x", "tmp/y", "..", ".", "d/../a", "new", "link/new"];

/// Arguments from bytes.
struct Words<'a> {
    data: &'a [u8],
}

impl Words<'_> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        *byte
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// Returns an argument: mostly small numbers, which descriptors and places in memory are.
    fn argument(&mut self, ty: ValType) -> u64 {
        let value = match self.byte() % 8 {
            0..4 => u64::from(self.byte()),
            4 => u64::from(self.byte()) * 16,
            5 => u64::from(u16::from_le_bytes(self.bytes())),
            6 => u64::MAX - u64::from(self.byte()),
            _ => u64::from_le_bytes(self.bytes()),
        };
        match ty {
            ValType::I32 => value & u64::from(u32::MAX),
            ValType::I64 => value,
        }
    }
}
