//! What a job pays for making its program ready, and that nothing else depends on who paid before.

use std::fs;

use classes::job::Exit;
use executors::wasm::CacheLimits;
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::instrument::{ModuleLimits, instrument};
use executors::wasm::interpreter::Interpreter;
use executors::wasm::specification::COMPILE_FUNCTION_FUEL;
use proptest::prelude::*;

use crate::engines::{assert_same, compiled, house, on_both, run_on};
use crate::work::Work;

#[test]
fn a_job_pays_for_its_compilation_and_is_not_compiled_if_it_cannot() {
    let module = fs::read(house().join("examples/hello.wasm")).unwrap();
    let limits = ModuleLimits { memory_pages: 256, fuel: u64::MAX };
    let cost = instrument(&module, &limits).unwrap().compile_fuel;
    let mut work = Work::new(&module);
    work.spec.limits.fuel = cost - 1;
    let unpaid = on_both(&work);
    assert_eq!((unpaid.usage.exit, unpaid.usage.fuel), (Exit::OutOfFuel, cost - 1));
    assert_eq!(unpaid.manifest.entries().len(), 2, "standard output and error, both empty");
    work.spec.limits.fuel = 1_000_000_000;
    let paid = on_both(&work);
    assert_eq!(paid.usage.exit, Exit::Code(0));
    assert!(paid.usage.fuel > cost, "{} of which {cost}", paid.usage.fuel);
    // That the module is ready now makes it no cheaper.
    work.spec.limits.fuel = cost - 1;
    assert_eq!(compiled(&work).digest(), unpaid.digest());
    work.spec.limits.fuel = cost;
    let begun = on_both(&work);
    assert_eq!((begun.usage.exit, begun.usage.fuel), (Exit::OutOfFuel, cost));
}

/// Modules of which an error is found after some of their functions are paid for, and one without
/// an error.
fn modules_with_late_errors() -> Vec<Vec<u8>> {
    let memory = "(memory (export \"memory\") 1)";
    let functions = "(func (export \"_start\")) (func (drop (i32.const 1)))";
    let wrong = "(func (result i32))";
    let long = "(br_if 0 (i32.const 0))".repeat(10_500);
    let texts = [
        format!("(module {memory} {functions})"),
        // Found when all functions are read.
        format!("(module {memory} (func) (func))"),
        format!("(module {functions})"),
        // Found in the data behind the functions.
        format!("(module {memory} {functions} (data (i32.const 65536) \"x\"))"),
        // Found in a function that others stand in front of, and that is paid for by nobody.
        format!("(module {memory} {functions} {wrong})"),
        format!("(module {memory} {wrong} {functions})"),
        format!("(module {memory} {functions} (func (drop (i32.atomic.load (i32.const 0)))))"),
        format!("(module {memory} {functions} (func {long}))"),
        // Found before anything is paid for.
        format!("(module (import \"env\" \"f\" (func)) {memory} {functions})"),
    ];
    texts.iter().map(|text| wat::parse_str(text).unwrap()).collect()
}

/// Runs jobs with these amounts of fuel on engines that they share, and each on a fresh one.
fn check_history(module: &[u8], fuels: &[u64]) {
    // One guest at a time: an emulator keeps books on all memory that is reserved for guests.
    let options = CompilerOptions { guests_max: 1, ..CompilerOptions::default() };
    let compiler = Compiler::new(&options).unwrap();
    let fresh = || Interpreter::new(CacheLimits::default()).unwrap();
    let interpreter = fresh();
    for fuel in fuels {
        let mut work = Work::new(module);
        work.spec.limits.fuel = *fuel;
        let expected = run_on(&fresh(), &work);
        assert_same(&run_on(&compiler, &work), &expected);
        assert_same(&run_on(&interpreter, &work), &expected);
    }
}

#[test]
fn what_a_rich_job_found_out_is_not_told_to_a_poor_one() {
    let (rich, poor) = (1_000_000_000, 1_000);
    for module in modules_with_late_errors() {
        check_history(&module, &[rich, poor, rich]);
        check_history(&module, &[poor, rich, poor]);
    }
    let mut work = Work::new(&modules_with_late_errors()[1]);
    assert_eq!(on_both(&work).usage.exit, Exit::Unrunnable);
    work.spec.limits.fuel = poor;
    let unpaid = on_both(&work);
    assert_eq!((unpaid.usage.exit, unpaid.usage.fuel), (Exit::OutOfFuel, poor));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_outcome_depends_on_the_jobs_before_it(
        module in prop::sample::select(modules_with_late_errors()),
        fuels in prop::collection::vec(0..4 * COMPILE_FUNCTION_FUEL, 2..12),
    ) {
        check_history(&module, &fuels);
    }
}
