//! Measures what metering costs: guest speed against the same engine without it, and how many
//! trivial runs a second two threads make.
//!
//! The guests are compiled with the `rustc` of the path for `wasm32-wasip1`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use executors::wasi::{Host, HostConfig, HostLimits, Inputs};
use executors::wasm::GuestStack;
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::{Engine, Exit, RunLimits};
use executors::wasm::instrument::ModuleLimits;
use wasmtime::{Config, Linker, Module, OptLevel, Store};

const LIMITS: ModuleLimits = ModuleLimits { memory_pages: 4096 };
const ROUNDS: u32 = 7;
const TRIVIAL_RUNS: u32 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let compiler = Compiler::new(&CompilerOptions::default())?;
    let directory = std::env::temp_dir().join("metering-guests");
    std::fs::create_dir_all(&directory)?;
    println!("guest\tplain_ms\tepoch_ms\tmetered_ms\tratio\tmfuel_per_s");
    let mut product = 1.0;
    let guests = ["sha256", "floats", "sort"];
    for guest in guests {
        let module = std::fs::read(build(guest, &directory)?)?;
        let (mut plain, mut epoch, mut metered) = (Duration::MAX, Duration::MAX, Duration::MAX);
        let mut fuel = 0.0;
        // Interleaved, so that a busy machine slows all alike.
        for _ in 0..ROUNDS {
            plain = plain.min(run_plain(&module, false)?);
            epoch = epoch.min(run_plain(&module, true)?);
            let (time, used) = run_metered(&compiler, &module)?;
            metered = metered.min(time);
            fuel = used;
        }
        let ratio = plain.as_secs_f64() / metered.as_secs_f64();
        product *= ratio;
        let [plain, epoch, ms] = [plain, epoch, metered].map(|time| time.as_secs_f64() * 1e3);
        let rate = fuel / 1e6 / metered.as_secs_f64();
        println!("{guest}\t{plain:.1}\t{epoch:.1}\t{ms:.1}\t{ratio:.3}\t{rate:.0}");
    }
    let mean = product.powf(1.0 / guests.len() as f64);
    println!("geometric mean\t{mean:.3}");
    println!("trivial runs a second on 2 threads\t{:.0}", trivial(&compiler)?);
    Ok(())
}

fn build(guest: &str, directory: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests").join(format!("{guest}.rs"));
    let module = directory.join(format!("{guest}.wasm"));
    let done = Command::new("rustc")
        .args(["--edition=2024", "-Copt-level=3", "--target=wasm32-wasip1", "-o"])
        .arg(&module)
        .arg(source)
        .status()?;
    if done.success() { Ok(module) } else { Err("cannot compile the guest".into()) }
}

/// The time that this thread has spent on a processor.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// The time of an unmetered guest, whose imports do nothing.
fn run_plain(module: &[u8], epoch: bool) -> Result<Duration, Box<dyn Error>> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::Speed).epoch_interruption(epoch);
    let engine = wasmtime::Engine::new(&config)?;
    let module = Module::new(&engine, module)?;
    let mut store = Store::new(&engine, ());
    if epoch {
        store.set_epoch_deadline(1);
    }
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let main = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let start = cpu_time()?;
    main.call(&mut store, ())?;
    Ok(cpu_time()? - start)
}

/// The time of a metered guest, and its fuel.
fn run_metered(compiler: &Compiler, module: &[u8]) -> Result<(Duration, f64), Box<dyn Error>> {
    let compiled = compiler.prepare(module, &LIMITS)?;
    let host = host()?;
    let (time, run) = GuestStack::scope(|stack| {
        let start = cpu_time().expect("the system counts time");
        let run = compiler.run(stack, &compiled, host, &RunLimits::with_fuel(u64::MAX));
        (cpu_time().expect("the system counts time") - start, run)
    })?;
    let run = run?;
    if run.exit != Exit::Code(0) {
        return Err(format!("the guest ended with {:?}", run.exit).into());
    }
    Ok((time, run.fuel_used as f64))
}

fn host() -> Result<Host, Box<dyn Error>> {
    Ok(Host::new(&HostConfig {
        inputs: Inputs::default(),
        arguments: Vec::new(),
        environment: Vec::new(),
        realtime_start_ns: 0,
        fuel: RunLimits::FUEL_MAX,
        random_seed: [0; 32],
        limits: HostLimits::default(),
    })?)
}

/// How many trivial programs two threads run in a second, each in a fresh instance.
fn trivial(compiler: &Compiler) -> Result<f64, Box<dyn Error>> {
    let module = wat::parse_str(
        "(module (memory (export \"memory\") 17) (data (i32.const 1048576) \"data\")
           (func (export \"_start\") (i32.store (i32.const 1000000) (i32.const 1))))",
    )?;
    let compiled = compiler.prepare(&module, &LIMITS)?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let done = GuestStack::scope(|stack| {
                    for _ in 0..TRIVIAL_RUNS / 2 {
                        let host = host().expect("an empty world is valid");
                        let limits = RunLimits::with_fuel(1_000_000);
                        let run = compiler.run(stack, &compiled, host, &limits);
                        assert_eq!(run.expect("the run ends").exit, Exit::Code(0));
                    }
                });
                done.expect("a thread starts");
            });
        }
    });
    Ok(f64::from(TRIVIAL_RUNS) / start.elapsed().as_secs_f64())
}
