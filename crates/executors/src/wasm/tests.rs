//! Both engines over the same programs: equal exits, fuel and traces.

use std::sync::LazyLock;
use std::time::Duration;

use super::compiler::{Compiler, CompilerOptions};
use super::engine::{Engine, Exit, HostAbort, PrepareError, Run, RunLimits, TrapKind};
use super::instrument::{ModuleError, ModuleLimits, instrument};
use super::interpreter::Interpreter;
use super::specification::{CALLS_PER_TEST, MEMORY_PAGE_FUEL, PAGE_BYTES, bounds};
use super::stack::GuestStack;
use crate::wasi::{Host, HostConfig, HostLimits, Inputs};

mod differential;
mod floats;
mod refusals;

pub(super) const FUEL: u64 = 50_000_000;
pub(super) const LIMITS: ModuleLimits = ModuleLimits { memory_pages: 64, fuel: u64::MAX };

pub(super) static COMPILER: LazyLock<Compiler> =
    LazyLock::new(|| Compiler::new(&CompilerOptions::default()).unwrap());
pub(super) static INTERPRETER: LazyLock<Interpreter> =
    LazyLock::new(|| Interpreter::new(super::CacheLimits::default()).unwrap());

pub(super) fn host(fuel: u64) -> Host {
    let config = HostConfig {
        inputs: Inputs::default(),
        arguments: Vec::new(),
        environment: Vec::new(),
        realtime_start_ns: 0,
        fuel,
        random_seed: [7; 32],
        limits: HostLimits::default(),
    };
    Host::new(&config).unwrap()
}

pub(super) fn run_on<E: Engine>(engine: &E, module: &[u8], limits: &RunLimits) -> Run {
    let module = engine.prepare(module, &LIMITS).unwrap();
    let work = |stack: &GuestStack| engine.run(stack, &module, host(limits.fuel), limits);
    GuestStack::scope(work).unwrap().unwrap()
}

/// Runs a module on both engines, asserts that they agree, and returns the compiler's run.
pub(super) fn run_both(module: &[u8], fuel: u64) -> Run {
    let limits = RunLimits::with_fuel(fuel);
    let compiled = run_on(&*COMPILER, module, &limits);
    let interpreted = run_on(&*INTERPRETER, module, &limits);
    assert_eq!(compiled.exit, interpreted.exit);
    assert_eq!(compiled.fuel_used, interpreted.fuel_used);
    assert_eq!(compiled.trace_root, interpreted.trace_root);
    assert!(compiled.fuel_used <= fuel);
    compiled
}

/// Wraps function bodies and a `_start` into a module with one page of memory.
pub(super) fn module(fields: &str, start: &str) -> Vec<u8> {
    let text = format!(
        "(module
           (import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))
           (import \"wasi_snapshot_preview1\" \"random_get\"
             (func $random (param i32 i32) (result i32)))
           (memory (export \"memory\") 1)
           {fields}
           (func (export \"_start\") {start}))"
    );
    wat::parse_str(text).unwrap()
}

pub(super) fn check(fields: &str, start: &str, exit: Exit) -> Run {
    let run = run_both(&module(fields, start), FUEL);
    assert_eq!(run.exit, exit, "{fields} {start}");
    run
}

const PAGES_PAID: u64 = MEMORY_PAGE_FUEL;

#[test]
fn an_empty_program_pays_for_its_memory_only() {
    assert_eq!(check("", "", Exit::Code(0)).fuel_used, PAGES_PAID);
}

#[test]
fn straight_code_costs_the_sum_of_its_instructions() {
    let run = check("", "(drop (i32.add (i32.const 1) (i32.const 2)))", Exit::Code(0));
    assert_eq!(run.fuel_used, PAGES_PAID + 3);
}

#[test]
fn each_iteration_costs_the_same() {
    let count = |rounds: u32| {
        let start = format!(
            "(local $i i32) (local.set $i (i32.const {rounds}))
             (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))"
        );
        check("", &start, Exit::Code(0)).fuel_used
    };
    let round = count(2) - count(1);
    assert_eq!(round, 6);
    assert_eq!(count(1000) - count(1), 999 * round);
}

#[test]
fn only_the_arm_taken_is_paid() {
    let program = |flag: u32| {
        let start = format!(
            "(if (i32.const {flag})
               (then (drop (i64.div_u (i64.const 1) (i64.const 1))))
               (else (drop (i64.const 1))))"
        );
        check("", &start, Exit::Code(0)).fuel_used
    };
    assert_eq!(program(1) - program(0), 11);
}

#[test]
fn an_exit_code_ends_the_program_from_any_depth() {
    let fields = "(func $deep (param i32) (if (local.get 0)
        (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
        (else (call $exit (i32.const 7)))))";
    check(fields, "(call $deep (i32.const 50))", Exit::Code(7));
}

#[test]
fn an_infinite_loop_runs_out_of_fuel() {
    let run = check("", "(loop $l (br $l))", Exit::Trap(TrapKind::OutOfFuel));
    assert_eq!(run.fuel_used, FUEL);
}

#[test]
fn an_infinite_recursion_exhausts_the_metered_stack() {
    let fields = "(func $f (call $f))";
    let run = check(fields, "(call $f)", Exit::Trap(TrapKind::StackExhausted));
    assert!(run.fuel_used < FUEL);
}

#[test]
fn a_recursion_with_a_large_native_frame_still_ends_in_the_metered_stack() {
    // Every sum stays alive across the call, as an optimiser that hoists them would have it.
    let locals = (0..400).map(|_| "i64 ").collect::<String>();
    let sets = (0..400)
        .map(|i| {
            format!("(local.set {i} (i64.mul (i64.load (i32.const {})) (i64.const {i})))", i * 8)
        })
        .collect::<String>();
    let uses = (0..400)
        .map(|i| format!("(i64.store (i32.const {}) (local.get {i}))", i * 8))
        .collect::<String>();
    let fields = format!("(func $f (local {locals}) {sets} (call $f) {uses})");
    check(&fields, "(call $f)", Exit::Trap(TrapKind::StackExhausted));
}

#[test]
fn depth_is_given_back_on_every_way_out() {
    let fields = "
        (func $early (param i32) (result i32)
          (block (br_if 0 (local.get 0)) (return (i32.const 1)))
          (br_if 0 (i32.const 2) (i32.eq (local.get 0) (i32.const 2)))
          drop
          (call $leaf (i32.const 3)))
        (func $leaf (param i32) (result i32) (local.get 0))
        (func $pair (param i32) (result i32 i64)
          (if (local.get 0) (then (return (i32.const 4) (i64.const 5))))
          (call $early (i32.const 1)) (i64.const 6))";
    let start = "(local $i i32)
        (loop $l
          (drop (call $early (i32.const 0))) (drop (call $early (i32.const 1)))
          (drop (call $early (i32.const 2)))
          (call $pair (i32.const 0)) drop drop (call $pair (i32.const 1)) drop drop
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
            (i32.const 100000))))";
    check(fields, start, Exit::Code(0));
}

#[test]
fn traps_are_told_apart() {
    let trap = |start: &str, kind| {
        check("(table 2 funcref) (type $t (func))", start, Exit::Trap(kind));
    };
    trap("unreachable", TrapKind::Unreachable);
    trap("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapKind::IntegerDivideByZero);
    trap("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapKind::IntegerOverflow);
    trap("(drop (i32.trunc_f64_s (f64.const nan)))", TrapKind::BadConversionToInteger);
    trap("(drop (i32.trunc_f64_s (f64.const 1e10)))", TrapKind::IntegerOverflow);
    trap("(drop (i32.load (i32.const 0x10000)))", TrapKind::MemoryOutOfBounds);
    trap("(call_indirect (type $t) (i32.const 0))", TrapKind::IndirectCallToNull);
    trap("(call_indirect (type $t) (i32.const 2))", TrapKind::TableOutOfBounds);
    check(
        "(table funcref (elem $g)) (type $t (func)) (func $g (param i32))",
        "(call_indirect (type $t) (i32.const 0))",
        Exit::Trap(TrapKind::BadSignature),
    );
}

#[test]
fn memory_grows_to_the_limit_and_pays_by_the_page() {
    let grow = |pages: u32, expected: i32| {
        let start = format!(
            "(if (i32.ne (memory.grow (i32.const {pages})) (i32.const {expected}))
               (then unreachable))"
        );
        check("", &start, Exit::Code(0)).fuel_used
    };
    assert_eq!(grow(63, 1) - grow(0, 1), 63 * MEMORY_PAGE_FUEL);
    assert_eq!(grow(64, -1) - grow(0, 1), 64 * MEMORY_PAGE_FUEL);
    assert_eq!(grow(u32::MAX, -1), grow(0, 1));
}

#[test]
fn tables_grow_to_the_limit_only() {
    let fields = "(table $t 1 funcref)";
    let start = "(if (i32.ne (table.grow $t (ref.null func) (i32.const 9)) (i32.const 1))
          (then unreachable))
        (if (i32.ne (table.grow $t (ref.null func) (i32.const 0x100000)) (i32.const -1))
          (then unreachable))";
    check(fields, start, Exit::Code(0));
}

#[test]
fn bulk_operations_pay_before_they_move() {
    let fill = |bytes: u64| {
        let start = format!("(memory.fill (i32.const 0) (i32.const 1) (i32.const {bytes}))");
        check("", &start, Exit::Code(0)).fuel_used
    };
    assert_eq!(fill(PAGE_BYTES) - fill(0), PAGE_BYTES / 8);
    let poor = "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l))";
    check("", poor, Exit::Trap(TrapKind::OutOfFuel));
    let wide = "(memory.copy (i32.const 0) (i32.const 0) (i32.const -1))";
    check("", wide, Exit::Trap(TrapKind::OutOfFuel));
}

#[test]
fn many_calls_of_functions_without_a_test_are_tested_in_between() {
    let program = module("(func $leaf)", &"(call $leaf)".repeat(1_000));
    let instrumented = instrument(&program, &LIMITS).unwrap().module;
    let mut tests = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&instrumented) {
        let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
        // Behind the imports of `module`.
        let is_refill = |operator: &wasmparser::Operator<'_>| {
            matches!(operator, wasmparser::Operator::Call { function_index: 2 })
        };
        let operators = body.get_operators_reader().unwrap().into_iter().map(Result::unwrap);
        tests.push(operators.filter(is_refill).count());
    }
    let tested = usize::try_from(1_000 / CALLS_PER_TEST).unwrap();
    assert_eq!(tests, [0, tested + 1], "none in the leaf, one more at the entry");
    let all = run_both(&program, FUEL);
    assert_eq!(all.exit, Exit::Code(0));
    let half = PAGES_PAID + (all.fuel_used - PAGES_PAID) / 2;
    let run = run_both(&program, half);
    assert_eq!((run.exit, run.fuel_used), (Exit::Trap(TrapKind::OutOfFuel), half));
}

#[test]
fn a_start_section_is_metered_and_runs_first() {
    let fields = "(func $s (i32.store (i32.const 0) (i32.const 5))) (start $s)";
    check(fields, "(call $exit (i32.load (i32.const 0)))", Exit::Code(5));
    let looping = "(func $s (loop $l (br $l))) (start $s)";
    check(looping, "", Exit::Trap(TrapKind::OutOfFuel));
}

#[test]
fn a_host_call_sees_and_takes_the_fuel_of_the_program() {
    let cost = |bytes: u32| {
        let start = format!("(drop (call $random (i32.const 0) (i32.const {bytes})))");
        check("", &start, Exit::Code(0)).fuel_used
    };
    assert!(cost(4096) - cost(8) >= 1000);
    let flood = "(loop $l (drop (call $random (i32.const 0) (i32.const 65536))) (br $l))";
    check("", flood, Exit::Trap(TrapKind::OutOfFuel));
}

#[test]
fn fuel_below_the_cost_of_the_memory_ends_before_the_program() {
    let module = module("", "unreachable");
    let run = run_both(&module, MEMORY_PAGE_FUEL - 1);
    assert_eq!(run.exit, Exit::Trap(TrapKind::OutOfFuel));
    assert_eq!(run.fuel_used, MEMORY_PAGE_FUEL - 1);
}

#[test]
fn every_fuel_limit_ends_alike_on_both_engines() {
    let fields = "(func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
          (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
            (call $fib (i32.sub (local.get 0) (i32.const 2)))))))";
    let module = module(fields, "(i32.store (i32.const 0) (call $fib (i32.const 8)))");
    let full = run_both(&module, FUEL);
    assert_eq!(full.exit, Exit::Code(0));
    for fuel in (MEMORY_PAGE_FUEL..full.fuel_used).step_by(97).chain([full.fuel_used - 1]) {
        let run = run_both(&module, fuel);
        assert_eq!(run.exit, Exit::Trap(TrapKind::OutOfFuel));
        assert_eq!(run.fuel_used, fuel);
    }
    assert_eq!(run_both(&module, full.fuel_used).exit, Exit::Code(0));
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_harms_no_other() {
    let endless = module("", "(loop $l (br $l))");
    let quick = module("", "(call $exit (i32.const 3))");
    let limits = RunLimits { wall: Some(Duration::ZERO), ..RunLimits::with_fuel(u64::MAX) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let endless = COMPILER.prepare(&endless, &LIMITS).unwrap();
            let limits = RunLimits { wall: Some(Duration::from_millis(30)), ..limits.clone() };
            let work =
                |stack: &GuestStack| COMPILER.run(stack, &endless, host(limits.fuel), &limits);
            assert_eq!(GuestStack::scope(work).unwrap().unwrap_err(), HostAbort::WallClock);
        });
        for _ in 0..20 {
            assert_eq!(run_both(&quick, FUEL).exit, Exit::Code(3));
        }
    });
}

#[test]
fn a_run_that_uses_more_than_its_bill_is_left() {
    let module = module("", "(loop $l (br $l))");
    let limits = RunLimits { bill: Some(PAGES_PAID + 1_000), ..RunLimits::with_fuel(u64::MAX) };
    fn left<E: Engine>(engine: &E, module: &[u8], limits: &RunLimits) -> HostAbort {
        let module = engine.prepare(module, &LIMITS).unwrap();
        let work = |stack: &GuestStack| engine.run(stack, &module, host(FUEL), limits);
        GuestStack::scope(work).unwrap().unwrap_err()
    }
    assert_eq!(left(&*COMPILER, &module, &limits), HostAbort::OverBill);
    assert_eq!(left(&*INTERPRETER, &module, &limits), HostAbort::OverBill);
}

#[test]
fn a_run_that_used_up_its_fuel_is_within_a_bill_of_all_of_it() {
    fn billed<E: Engine>(engine: &E, module: &[u8], fuel: u64, bill: Option<u64>) -> [u8; 32] {
        let module = engine.prepare(module, &LIMITS).unwrap();
        let limits = RunLimits { bill, ..RunLimits::with_fuel(fuel) };
        let work = |stack: &GuestStack| engine.run(stack, &module, host(fuel), &limits);
        GuestStack::scope(work).unwrap().unwrap().trace_root
    }
    let many = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let module = module("", &format!("{}(call $exit (i32.const 3))", many.repeat(20)));
    let full = run_both(&module, FUEL).fuel_used;
    for fuel in PAGES_PAID..full {
        let (free, all) = (None, Some(fuel));
        let [first, second] = [free, all].map(|bill| billed(&*COMPILER, &module, fuel, bill));
        let [third, fourth] = [free, all].map(|bill| billed(&*INTERPRETER, &module, fuel, bill));
        assert!([second, third, fourth].iter().all(|root| *root == first), "{fuel}");
    }
}

#[test]
fn a_run_can_be_stopped_from_outside() {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let limits = RunLimits { stop: Some(stop), ..RunLimits::with_fuel(FUEL) };
    let module = module("", "(loop $l (br $l))");
    let compiled = COMPILER.prepare(&module, &LIMITS).unwrap();
    let work = |stack: &GuestStack| COMPILER.run(stack, &compiled, host(FUEL), &limits);
    assert_eq!(GuestStack::scope(work).unwrap().unwrap_err(), HostAbort::Stopped);
}

#[test]
fn repeated_runs_start_from_fresh_memory() {
    let start = "(i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
        (call $exit (i32.load (i32.const 64)))";
    let first = check("", start, Exit::Code(1));
    let again = check("", start, Exit::Code(1));
    assert_eq!(first.trace_root, again.trace_root);
}

#[test]
fn instrumentation_is_deterministic_and_valid() {
    let module = module(
        "(func $f (param f64) (result f64) (f64.sqrt (local.get 0)))",
        "(drop (call $f (f64.const 2)))",
    );
    let first = instrument(&module, &LIMITS).unwrap();
    assert_eq!(first, instrument(&module, &LIMITS).unwrap());
    wasmparser::Validator::new_with_features(super::instrument::FEATURES)
        .validate_all(&first.module)
        .unwrap();
}

#[test]
fn an_instrumented_module_is_refused_as_a_program() {
    let module = instrument(&module("", ""), &LIMITS).unwrap();
    let refused = COMPILER.prepare(&module.module, &LIMITS).unwrap_err();
    assert!(matches!(refused, PrepareError::Module(ModuleError::UnknownImport { .. })));
}

#[test]
fn the_bounds_hold_at_n_and_not_at_n_plus_one() {
    let tables = |count: u32| {
        let fields = (0..count).map(|_| "(table 1 funcref)").collect::<String>();
        instrument(&module(&fields, ""), &LIMITS)
    };
    assert!(tables(bounds::TABLES_MAX).is_ok());
    let refused = tables(bounds::TABLES_MAX + 1).unwrap_err();
    assert!(matches!(refused.error, ModuleError::TooLarge { .. }));
}
