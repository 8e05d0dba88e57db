//! Random programs on both engines: equal exit, fuel, memory, globals and host calls; pinned, so
//! that they are equal on every architecture too.

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

use super::{COMPILER, INTERPRETER, LIMITS, host};
use crate::wasm::engine::{Engine, Exit, HostAbort, Run, RunLimits, TrapKind};
use crate::wasm::instrument::{FEATURES, instrument};
use crate::wasm::stack::GuestStack;

const SHAPE: &str = "(module
    (memory (export \"memory\") 1)
    (func (export \"_start\")))";

const IMPORTS: &str = "(module
    (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32)))
    (import \"wasi_snapshot_preview1\" \"random_get\" (func (param i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"args_sizes_get\" (func (param i32 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func (param i32 i64 i32) (result i32)))
    (import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32))))";

const SEEDS: u64 = 2_000;
const SEED_BYTES: usize = 8_192;
const FUEL: u64 = 300_000;
/// The hash over how all of them end, on every machine; it changes with the generator's version.
const PINNED: &str = "4cd109a6f1bd0e387b092456bfa908e512b778a03ac657633b4cd9ed21f24b2e";

/// What the generator may use: all that a program may.
fn config(simd: bool) -> Config {
    Config {
        available_imports: Some(wat::parse_str(IMPORTS).unwrap()),
        exports: Some(wat::parse_str(SHAPE).unwrap()),
        allow_start_export: true,
        compact_imports_enabled: false,
        exceptions_enabled: false,
        extended_const_enabled: false,
        gc_enabled: false,
        max_funcs: 12,
        max_imports: 5,
        max_instructions: 400,
        max_memories: 1,
        max_memory32_bytes: 64 << 16,
        max_table_elements: 1_000,
        max_tables: 2,
        memory64_enabled: false,
        min_funcs: 3,
        reference_types_enabled: !simd,
        relaxed_simd_enabled: false,
        simd_enabled: simd,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

fn program(seed: u64) -> Option<Vec<u8>> {
    let mut bytes = [0; SEED_BYTES];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let module =
        Module::new(config(seed.is_multiple_of(2)), &mut Unstructured::new(&bytes)).ok()?;
    Some(module.to_bytes())
}

fn try_run<E: Engine>(
    engine: &E,
    stack: &GuestStack,
    module: &[u8],
    bill: Option<u64>,
) -> Result<Run, HostAbort> {
    let limits = RunLimits { bill, ..RunLimits::with_fuel(FUEL) };
    let module = engine.prepare(module, &LIMITS).unwrap();
    engine.run(stack, &module, host(FUEL), &limits)
}

/// Runs a module, and again with what it used as its bill, and with less.
fn run<E: Engine>(engine: &E, stack: &GuestStack, module: &[u8]) -> Run {
    let free = try_run(engine, stack, module, None).unwrap();
    let billed = try_run(engine, stack, module, Some(free.fuel_used)).unwrap();
    assert_eq!(
        (free.exit, free.fuel_used, free.trace_root),
        (billed.exit, billed.fuel_used, billed.trace_root)
    );
    for bill in [0, free.fuel_used / 2, free.fuel_used.saturating_sub(1)] {
        match try_run(engine, stack, module, Some(bill)) {
            Ok(run) => assert_eq!(run.trace_root, free.trace_root),
            Err(abort) => {
                assert_eq!(abort, HostAbort::OverBill);
                assert!(free.fuel_used > bill, "{} were used", free.fuel_used);
            }
        }
    }
    free
}

#[test]
fn random_programs_mean_the_same_on_both_engines() {
    let seen = GuestStack::scope(|stack| {
        let (mut seen, mut ends) = (Seen::default(), blake3::Hasher::new());
        for seed in 0..SEEDS {
            let Some(module) = program(seed) else { continue };
            let Ok(instrumented) = instrument(&module, &LIMITS) else {
                seen.refused += 1;
                continue;
            };
            wasmparser::Validator::new_with_features(FEATURES)
                .validate_all(&instrumented.module)
                .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let compiled = run(&*COMPILER, stack, &module);
            let interpreted = run(&*INTERPRETER, stack, &module);
            assert_eq!(compiled.exit, interpreted.exit, "seed {seed}");
            assert_eq!(compiled.fuel_used, interpreted.fuel_used, "seed {seed}");
            assert_eq!(compiled.trace_root, interpreted.trace_root, "seed {seed}");
            seen.count(compiled.exit);
            ends.update(format!("{seed} {:?} {} ", compiled.exit, compiled.fuel_used).as_bytes());
            ends.update(&compiled.trace_root);
        }
        (seen, ends.finalize().to_hex())
    });
    let (seen, ends) = seen.unwrap();
    // The generator must reach every way to end, or the test shows little.
    assert!(seen.codes > 50 && seen.traps > 50 && seen.starved > 50, "{seen:?}");
    assert_eq!(ends.as_str(), PINNED, "{seen:?}");
}

#[derive(Debug, Default)]
struct Seen {
    refused: u32,
    codes: u32,
    traps: u32,
    starved: u32,
}

impl Seen {
    fn count(&mut self, exit: Exit) {
        match exit {
            Exit::Code(_) => self.codes += 1,
            Exit::Trap(TrapKind::OutOfFuel) => self.starved += 1,
            Exit::Trap(_) => self.traps += 1,
        }
    }
}
