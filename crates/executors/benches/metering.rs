//! Measures what metering costs: how fast guests are, against the same engine without it.
//!
//! Both sides run the same program, compiled by the same Cranelift with the same settings, against
//! the same WASI host, in turns. The plain side lacks what is ours: the instrumentation with its
//! fuel, call depth and canonical NaNs, the bounds, and the trace's hash over memory at the end.
//! What counts is the processor time of the thread from instantiation to the end, compilation
//! left out. A busy machine slows neighbouring measurements alike, so the two sides are compared
//! round by round, and the median round counts.
//!
//! The interpreter, on which validators judge, runs each program once: they count on its speed.
//!
//! SQLite's shell is where `tests/programs/build.sh` leaves it when the tests have run; where it
//! is not, its row is left out, and the mean's name says so.
//!
//! `cargo bench -p executors --bench metering`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs};

use bench::{Figure, Report, core_time};
use executors::wasi::{
    HOST_FUNCTIONS, Host, HostConfig, HostLimits, InputPath, Inputs, Output, OutputKind, Outputs,
};
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::{Engine, Exit, RunLimits};
use executors::wasm::instrument::ModuleLimits;
use executors::wasm::interpreter::Interpreter;
use executors::wasm::{CacheLimits, GuestStack};
use serde::Deserialize;

use plain::Plain;

const LIMITS: ModuleLimits = ModuleLimits { memory_pages: 4096, fuel: u64::MAX };
/// Times that both sides are measured, each in turns the first.
const ROUNDS: usize = 40;
/// The processor time of one measurement: a program that is shorter runs several times.
const MEASURED_MIN: Duration = Duration::from_millis(80);
/// The case of `tests/programs/cases.toml` that SQLite's shell runs.
const SQLITE_CASE: &str = "sqlite builds a database file";
/// What judges take a slow interpreter to do in a second, twice over.
const INTERPRETED_MFUEL_MIN: f64 = 40.0;
/// What SHA-256 hashes, in bytes.
const HASHED_BYTES: usize = 32 << 20;

fn main() {
    let mut report = Report::new();
    let compiler = Compiler::new(&CompilerOptions::default()).expect("the engine starts");
    let plain = Plain::new();
    let mut speeds = Vec::new();
    for program in programs() {
        let name = format!("metering/{}", program.name);
        if report.wants(&name) || report.wants("metering/mean") {
            speeds.push((program.name, Speed::measure(&compiler, &plain, &program)));
        }
    }
    for (name, speed) in &speeds {
        report.row(&format!("metering/{name}"), || {
            let figure = Figure::new(speed.metered, "Mfuel/s");
            figure.peer("wasmtime 48, plain", speed.plain)
        });
    }
    if !speeds.is_empty() {
        let names: Vec<&str> = speeds.iter().map(|(name, _)| *name).collect();
        report.row(&format!("metering/mean of {}", names.join(", ")), || {
            let logs: f64 =
                speeds.iter().map(|(_, Speed { metered, plain })| (metered / plain).ln()).sum();
            let mean = (logs / f64::from(u32::try_from(speeds.len()).unwrap_or(1))).exp();
            Figure::new(mean, "of plain speed").at_least(0.7)
        });
    }
    for program in programs() {
        report.row(&format!("interpreted/{}", program.name), || {
            Figure::new(interpreted(&program), "Mfuel/s").at_least(INTERPRETED_MFUEL_MIN)
        });
    }
    report.finish();
}

/// Returns how fast the interpreter runs a program, in Mfuel a second.
#[expect(clippy::cast_precision_loss, reason = "fuel is far below 2^53")]
fn interpreted(program: &Program) -> f64 {
    let interpreter = Interpreter::new(CacheLimits::default()).expect("the engine starts");
    let ready = interpreter.prepare(&program.module, &LIMITS).expect("it is a program");
    let measured = GuestStack::scope(|stack| {
        let (host, limits) = (program.host(), RunLimits::with_fuel(RunLimits::FUEL_MAX));
        let began = core_time();
        let run = interpreter.run(stack, &ready, host, &limits).expect("the run ends");
        assert_eq!(run.exit, Exit::Code(0), "{}", program.name);
        run.fuel_used as f64 / 1e6 / (core_time() - began).as_secs_f64()
    });
    measured.expect("a thread starts")
}

/// A program with what it is given.
struct Program {
    name: &'static str,
    module: Vec<u8>,
    arguments: Vec<String>,
    inputs: Inputs,
}

impl Program {
    fn host(&self) -> Host {
        let config = HostConfig {
            inputs: self.inputs.clone(),
            arguments: self.arguments.clone(),
            environment: Vec::new(),
            realtime_start_ns: 0,
            fuel: RunLimits::FUEL_MAX,
            random_seed: [0; 32],
            limits: HostLimits::default(),
        };
        Host::new(&config).expect("the programs' worlds are valid")
    }
}

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn programs() -> Vec<Program> {
    let example = |name: &str| fs::read(house().join("examples").join(name)).expect("an example");
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let scene: Arc<[u8]> = example("scenes/idlewild.scene").into();
    let place = InputPath::parse("scene").expect("it is a path");
    // One tile as the demo has it.
    let tile = ["pathtracer", "/in/scene", "--tiles", "6", "4", "--tile", "3", "2"];
    let hashed: Vec<u8> = (0..HASHED_BYTES).map(|at| (at % 251).to_le_bytes()[0]).collect();
    let mut programs = vec![
        Program {
            name: "sha256",
            module: example("sha256.wasm"),
            arguments: words(&["sha256"]),
            inputs: Inputs { stdin: hashed.into(), ..Inputs::default() },
        },
        Program {
            name: "pathtracer",
            module: example("pathtracer.wasm"),
            arguments: words(&[tile.as_slice(), &["--samples", "8"]].concat()),
            inputs: Inputs { files: vec![(place, scene)], ..Inputs::default() },
        },
    ];
    programs.extend(sqlite());
    programs
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
}

/// Returns SQLite's shell with its script, if it was built on this machine.
fn sqlite() -> Option<Program> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home)?;
    let path = cache.join("idlewild/programs/sqlite3.wasm");
    let Ok(module) = fs::read(&path) else {
        say(&format!("skipped: SQLite is not built at {}", path.display()));
        return None;
    };
    let text = fs::read_to_string(house().join("tests/programs/cases.toml")).expect("the cases");
    let cases: Cases = toml::from_str(&text).expect("the cases are a table");
    let case = cases.case.into_iter().find(|case| case.name == SQLITE_CASE).expect(SQLITE_CASE);
    let mut arguments = vec!["sqlite3".to_owned()];
    arguments.extend(case.args);
    let inputs = Inputs { stdin: case.stdin.into_bytes().into(), ..Inputs::default() };
    Some(Program { name: "sqlite", module, arguments, inputs })
}

#[expect(clippy::print_stderr, reason = "standard output is for the rows")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// The speed of either side in the median round, in Mfuel a second; the plain side is credited
/// with the fuel that it would have used.
struct Speed {
    metered: f64,
    plain: f64,
}

impl Speed {
    fn measure(compiler: &Compiler, plain: &Plain, program: &Program) -> Self {
        let metered = compiler.prepare(&program.module, &LIMITS).expect("it is a program");
        let unmetered = plain.prepare(&program.module);
        let measured = GuestStack::scope(|stack| {
            let run_metered = |host| {
                let limits = RunLimits::with_fuel(RunLimits::FUEL_MAX);
                let run = compiler.run(stack, &metered, host, &limits).expect("the run ends");
                assert_eq!(run.exit, Exit::Code(0), "{}", program.name);
                run
            };
            let run_plain = |host| plain.run(&unmetered, host);
            let run = run_metered(program.host());
            let fuel = run.fuel_used;
            let began = core_time();
            let host = run_plain(program.host());
            let runs = runs_of(core_time() - began);
            assert_same(&run.host.finish(), &host.finish(), program.name);
            let metered = || time(program, runs, |host| drop(run_metered(host)));
            let plain = || time(program, runs, |host| drop(run_plain(host)));
            let rounds = (0..ROUNDS).map(|round| {
                if round % 2 == 0 {
                    let metered = metered();
                    (metered, plain())
                } else {
                    let plain = plain();
                    (metered(), plain)
                }
            });
            Self::of_median(rounds.collect(), fuel)
        });
        measured.expect("a thread starts")
    }

    #[expect(clippy::cast_precision_loss, reason = "fuel is far below 2^53")]
    fn of_median(mut rounds: Vec<(Duration, Duration)>, fuel: u64) -> Self {
        rounds.sort_by(|(metered, plain), (other_metered, other_plain)| {
            let ratio = plain.div_duration_f64(*metered);
            ratio.total_cmp(&other_plain.div_duration_f64(*other_metered))
        });
        let (metered, plain) = rounds[rounds.len() / 2];
        let rate = |time: Duration| fuel as f64 / 1e6 / time.as_secs_f64();
        Self { metered: rate(metered), plain: rate(plain) }
    }
}

/// Returns how many runs of this length make a measurement.
fn runs_of(run: Duration) -> u32 {
    let runs = MEASURED_MIN.as_micros() / run.as_micros().max(1);
    u32::try_from(runs).unwrap_or(u32::MAX).saturating_add(1)
}

/// Both sides did the same work if they left the same behind.
fn assert_same(metered: &Outputs, plain: &Outputs, name: &str) {
    let file = |output: &Output| match &output.kind {
        OutputKind::File { hash, .. } => (output.path.clone(), Some(*hash)),
        _ => (output.path.clone(), None),
    };
    let files = |outputs: &Outputs| outputs.entries.iter().map(file).collect::<Vec<_>>();
    assert_eq!(metered.stdout, plain.stdout, "{name}");
    assert_eq!(metered.stderr, plain.stderr, "{name}");
    assert_eq!(files(metered), files(plain), "{name}");
}

/// Returns the processor time of one of `runs` runs.
fn time(program: &Program, runs: u32, mut run: impl FnMut(Host)) -> Duration {
    let hosts: Vec<Host> = (0..runs).map(|_| program.host()).collect();
    let began = core_time();
    hosts.into_iter().for_each(&mut run);
    (core_time() - began) / runs
}

/// The engine as it comes, with our WASI host.
mod plain {
    use executors::wasi::Host;
    use executors::wasm::engine::{HostFunction, HostTrap, Meter, RunLimits, ValType};
    use executors::wasm::specification::NATIVE_STACK_BYTES;
    use wasmtime::{
        Caller, Config, Error, FuncType, InstanceAllocationStrategy, InstancePre, Linker, Memory,
        Module, OptLevel, PoolingAllocationConfig, Store, Val,
    };

    use super::HOST_FUNCTIONS;

    pub(super) struct Plain {
        engine: wasmtime::Engine,
        linker: Linker<State>,
    }

    struct State {
        host: Host,
        meter: Meter,
        memory: Option<Memory>,
    }

    /// The guest ended itself with this code.
    #[derive(Debug, thiserror::Error)]
    #[error("exit {0}")]
    struct Ended(u32);

    impl Plain {
        pub(super) fn new() -> Self {
            let mut pool = PoolingAllocationConfig::new();
            pool.linear_memory_keep_resident(2 << 20);
            let mut config = Config::new();
            config
                .cranelift_opt_level(OptLevel::Speed)
                .max_wasm_stack(NATIVE_STACK_BYTES)
                .async_stack_size(NATIVE_STACK_BYTES)
                .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = wasmtime::Engine::new(&config).expect("the engine starts");
            let mut linker = Linker::new(&engine);
            for function in HOST_FUNCTIONS {
                let types = |types: &[ValType]| -> Vec<wasmtime::ValType> {
                    types.iter().map(|ty| value_type(*ty)).collect()
                };
                let ty = FuncType::new(&engine, types(function.params), types(function.results));
                let call =
                    move |mut caller: Caller<'_, State>, params: &[Val], results: &mut [_]| {
                        host_call(&mut caller, function, params, results)
                    };
                let module = "wasi_snapshot_preview1";
                linker.func_new(module, function.name, ty, call).expect("names differ");
            }
            Self { engine, linker }
        }

        pub(super) fn prepare(&self, module: &[u8]) -> Prepared {
            let module = Module::new(&self.engine, module).expect("it is a module");
            Prepared(self.linker.instantiate_pre(&module).expect("it imports WASI alone"))
        }

        /// Runs a program to its end and returns what it leaves.
        pub(super) fn run(&self, program: &Prepared, host: Host) -> Host {
            let meter = Meter::new(RunLimits::FUEL_MAX);
            let mut store = Store::new(&self.engine, State { host, meter, memory: None });
            let instance = program.0.instantiate(&mut store).expect("there is a free instance");
            store.data_mut().memory = instance.get_memory(&mut store, "memory");
            let main = instance.get_typed_func::<(), ()>(&mut store, "_start");
            match main.expect("it is a program").call(&mut store, ()) {
                Ok(()) => {}
                Err(error) => match error.downcast_ref::<Ended>() {
                    Some(Ended(0)) => {}
                    _ => panic!("the plain guest failed: {error:?}"),
                },
            }
            store.into_data().host
        }
    }

    /// A compiled and linked module.
    pub(super) struct Prepared(InstancePre<State>);

    fn host_call(
        caller: &mut Caller<'_, State>,
        function: &HostFunction,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), Error> {
        let args: Vec<u64> = params
            .iter()
            .map(|param| match param {
                Val::I32(value) => u64::from(value.cast_unsigned()),
                other => other.i64().unwrap_or(0).cast_unsigned(),
            })
            .collect();
        let memory = caller.data().memory.expect("it was set before the guest began");
        let (memory, state) = memory.data_and_store_mut(&mut *caller);
        match (function.call)(&mut state.host, memory, &args, &mut state.meter) {
            Ok(errno) => {
                if let Some(result) = results.first_mut() {
                    *result = Val::I32(errno.cast_signed());
                }
                Ok(())
            }
            Err(HostTrap::Exit(code)) => Err(Ended(code).into()),
            Err(trap) => panic!("{} failed: {trap:?}", function.name),
        }
    }

    const fn value_type(ty: ValType) -> wasmtime::ValType {
        match ty {
            ValType::I32 => wasmtime::ValType::I32,
            ValType::I64 => wasmtime::ValType::I64,
        }
    }
}
