//! Measures what it takes to make a program ready against the fuel that is charged for it: bodies
//! of the kinds that cost a compiler most, and real programs. Where a charge falls behind, work is
//! done for nothing.
//!
//! `cargo bench -p executors --bench compile`

use std::fs;
use std::path::Path;

use bench::{Figure, Report, core_time};
use executors::wasm::GuestStack;
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::Engine;
use executors::wasm::instrument::{ModuleLimits, instrument};
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, MemArgTarget, ValType};

use module::module_of;

#[path = "../tests/jobs/module.rs"]
mod module;

/// What a module of these measurements may cost.
const FUEL: u64 = 100_000_000;
/// The most time that one unit of the fuel may stand for, in nanoseconds.
const FUEL_NS_MAX: f64 = 20.0;
const AT: MemArg = MemArg { offset: 0, align: 0, target: MemArgTarget::Memory(0), ordering: None };

fn main() {
    let mut report = Report::new();
    let compiler = Compiler::new(&CompilerOptions::default()).expect("the engine starts");
    for (name, module) in modules() {
        report.row(&format!("compile/{name}"), || {
            Figure::new(measure(&compiler, &module), "ns for each fuel").at_most(FUEL_NS_MAX)
        });
    }
    report.finish();
}

/// Returns the largest module of each kind that can be paid for, and real programs.
fn modules() -> Vec<(&'static str, Vec<u8>)> {
    let limits = ModuleLimits { memory_pages: 4096, fuel: FUEL };
    let mut modules = Vec::new();
    for (name, body) in KINDS {
        let sizes = (10..18).rev().map(|log| 1_usize << log);
        let mut fitting =
            sizes.map(|size| module_of(&[body(size)])).filter(|it| instrument(it, &limits).is_ok());
        modules.push((*name, fitting.next().expect("a small one of each kind is accepted")));
    }
    let mut caller = Function::new([]);
    caller.instructions().call(0).end();
    modules.push(("small functions", module_of(&vec![caller; 2_000])));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for name in ["hello", "pathtracer"] {
        let program = fs::read(examples.join(format!("{name}.wasm"))).expect("an example");
        modules.push((name, program));
    }
    modules
}

/// Returns the nanoseconds of a core for each unit of fuel that a module's compilation costs.
#[expect(clippy::cast_precision_loss, reason = "fuel is far below 2^53")]
fn measure(compiler: &Compiler, module: &[u8]) -> f64 {
    let limits = ModuleLimits { memory_pages: 4096, fuel: u64::MAX };
    let fuel = instrument(module, &limits).expect("it can be run").compile_fuel;
    let took = GuestStack::scope(|_| {
        let began = core_time();
        compiler.prepare(module, &limits).expect("it can be run");
        core_time() - began
    });
    took.expect("a thread starts").as_secs_f64() * 1e9 / fuel as f64
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
    let count = u32::try_from(bytes / 40).expect("few");
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
