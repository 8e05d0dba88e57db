//! What it takes to make a program ready: bodies of the kinds that cost a compiler most, and real
//! programs. The time must stay in proportion to the fuel that is charged for it.

use std::fs;
use std::time::Duration;

use classes::job::Exit;
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::Engine;
use executors::wasm::instrument::{ModuleLimits, instrument};
use executors::wasm::interpreter::Interpreter;
use executors::wasm::specification::COMPILE_FUNCTION_FUEL;
use executors::wasm::{CacheLimits, GuestStack};
use proptest::prelude::*;
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType};

use crate::engines::{assert_same, compiled, house, on_both, run_on};
use crate::hostile::module_of;
use crate::work::Work;

/// What a module of these tests may cost.
const FUEL: u64 = 100_000_000;
/// The most processor time that one unit of the fuel may stand for, in nanoseconds: several times
/// what is measured, so that the build and the machine do not matter.
const FUEL_NS_MAX: u128 = 120;
const AT: MemArg = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };

/// Returns the processor time of this thread, where the system says it.
fn processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

/// Puts `part` until a body has `bytes`.
fn fill(
    function: &mut Function,
    bytes: usize,
    mut part: impl FnMut(&mut InstructionSink<'_>, u32),
) {
    for number in 0.. {
        if function.byte_len() >= bytes {
            break;
        }
        part(&mut function.instructions(), number);
    }
}

/// Returns a body that only repeats `part`.
fn plain(
    bytes: usize,
    locals: &[(u32, ValType)],
    part: impl FnMut(&mut InstructionSink<'_>, u32),
) -> Function {
    let mut function = Function::new(locals.iter().copied());
    fill(&mut function, bytes, part);
    function.instructions().end();
    function
}

/// Returns a body that repeats `part` while many locals are in use; `part` gets their count.
fn crossed(bytes: usize, mut part: impl FnMut(&mut InstructionSink<'_>, u32, u32)) -> Function {
    let count = u32::try_from(bytes / 40).unwrap();
    let mut function = Function::new([(count, ValType::I64)]);
    for index in 0..count {
        function.instructions().i32_const(0).i64_load(AT).local_set(index);
    }
    let end = bytes - bytes / 4;
    fill(&mut function, end, |sink, number| part(sink, number, count));
    for index in 0..count {
        function.instructions().i32_const(0).local_get(index).i64_store(AT);
    }
    function.instructions().end();
    function
}

/// A kind of body, made as large as asked for.
type Kind = (&'static str, fn(usize) -> Function);

const KINDS: &[Kind] = &[
    ("products", |bytes| {
        plain(bytes, &[(1, ValType::I64)], |sink, number| {
            sink.local_get(0).i64_const(number.into()).i64_mul().local_set(0);
        })
    }),
    ("divisions", |bytes| {
        plain(bytes, &[(1, ValType::I64)], |sink, _| {
            sink.local_get(0).local_get(0).i64_div_s().local_set(0);
        })
    }),
    ("floats whose bits are seen", |bytes| {
        plain(bytes, &[(1, ValType::F64)], |sink, _| {
            sink.local_get(0).local_get(0).f64_add().i64_reinterpret_f64();
            sink.f64_reinterpret_i64().local_set(0);
        })
    }),
    ("fills", |bytes| {
        plain(bytes, &[], |sink, _| {
            sink.i32_const(0).i32_const(0).i32_const(0).memory_fill(0);
        })
    }),
    ("calls", |bytes| {
        plain(bytes, &[], |sink, _| {
            sink.call(0);
        })
    }),
    ("indirect calls", |bytes| {
        plain(bytes, &[], |sink, _| {
            sink.i32_const(0).call_indirect(0, 0);
        })
    }),
    ("values over loops", |bytes| {
        crossed(bytes, |sink, _, _| {
            sink.loop_(BlockType::Empty).end();
        })
    }),
    ("values over joins", |bytes| {
        crossed(bytes, |sink, _, _| {
            sink.block(BlockType::Empty).i32_const(0).i32_load(AT).br_if(0).end();
        })
    }),
    ("values over calls", |bytes| {
        crossed(bytes, |sink, _, _| {
            sink.call(0);
        })
    }),
    ("values set in one arm", |bytes| {
        crossed(bytes, |sink, number, count| {
            sink.i32_const(0).i32_load(AT).if_(BlockType::Empty);
            sink.i64_const(1).local_set(number % count).end();
        })
    }),
    ("values through a table", |bytes| {
        crossed(bytes, |sink, number, count| {
            sink.block(BlockType::Empty).loop_(BlockType::Empty);
            sink.local_get(number % count).i64_const(1).i64_add().local_set(number % count);
            sink.i32_const(0).i32_load(AT).br_table((0..200).map(|_| 0), 1).end().end();
        })
    }),
];

/// Measures a module; returns the nanoseconds for each unit of fuel.
fn measure(compiler: &Compiler, name: &str, module: &[u8]) -> Option<u128> {
    let limits = ModuleLimits { memory_pages: 4096, fuel: u64::MAX };
    let fuel = instrument(module, &limits).unwrap().compile_fuel;
    let work = |_: &GuestStack| {
        let before = processor_time()?;
        compiler.prepare(module, &limits).unwrap();
        Some(processor_time()?.saturating_sub(before))
    };
    let took = GuestStack::scope(work).unwrap()?;
    let each = took.as_nanos() / u128::from(fuel);
    let mib = f64::from(u32::try_from(module.len()).unwrap()) / f64::from(1 << 20);
    let per_mib = took.as_secs_f64() / mib;
    println!(
        "{name}: {} KiB, {} Mfuel, {took:?}, {each} ns for each fuel, {per_mib:.1} s for each MiB",
        module.len() >> 10,
        fuel / 1_000_000,
    );
    Some(each)
}

#[test]
fn the_time_to_compile_is_in_proportion_to_what_is_charged_for_it() {
    let compiler = Compiler::new(&CompilerOptions::default()).unwrap();
    let limits = ModuleLimits { memory_pages: 4096, fuel: FUEL };
    let mut modules: Vec<(&str, Vec<u8>)> = Vec::new();
    for (name, body) in KINDS {
        let sizes = (10..18).rev().map(|log| 1_usize << log);
        let mut fitting =
            sizes.map(|size| module_of(&[body(size)])).filter(|it| instrument(it, &limits).is_ok());
        modules.push((name, fitting.next().expect("a small one of each kind is accepted")));
    }
    let mut caller = Function::new([]);
    caller.instructions().call(0).end();
    modules.push(("small functions", module_of(&vec![caller; 2_000])));
    for name in ["hello", "pathtracer"] {
        modules.push((name, fs::read(house().join(format!("examples/{name}.wasm"))).unwrap()));
    }
    for (name, module) in &modules {
        let Some(each) = measure(&compiler, name, module) else {
            println!("skipped: this system does not say what time a thread has used");
            return;
        };
        assert!(each <= FUEL_NS_MAX, "{name}: one fuel stands for {each} ns");
    }
}

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
    assert_eq!(compiled(&work).work_root(), unpaid.work_root());
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
