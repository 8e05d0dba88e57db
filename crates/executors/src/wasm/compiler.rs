//! The fast engine: compiles to native code with Cranelift and keeps what it compiled.

use std::sync::Arc;

use wasmtime::{
    Caller, Config, Enabled, Error, Extern, Func, FuncType, Global, Instance,
    InstanceAllocationStrategy, InstancePre, Linker, Memory, Module, ModuleExport, OptLevel,
    PoolConcurrencyLimitError, PoolingAllocationConfig, ResourceLimiter, Store, Trap, Val, ValType,
};

use super::cache::{Cache, CacheLimits};
use super::engine::{
    Engine, HOST_ARGUMENTS_MAX, HostAbort, HostFunction, PrepareError, Run, RunLimits, TrapKind,
    ValType as HostType,
};
use super::instrument::{
    DEPTH, FUEL, GLOBAL, Instrumented, MEMORY, ModuleLimits, REFILL_MODULE, REFILL_NAME, START,
};
use super::session::{Session, Stop};
use super::specification::{NATIVE_STACK_BYTES, bounds};
use super::stack::GuestStack;
use super::trace::FinalState;
use crate::wasi::{HOST_FUNCTIONS, Host};

/// How a compiler is set up.
#[derive(Clone, Copy, Debug)]
pub struct CompilerOptions {
    /// The guests that can run at the same time.
    pub guests_max: u32,
    /// The bytes of a memory slot that stay resident between two guests.
    pub resident_bytes: usize,
    /// The bounds of the cache of compiled modules.
    pub cache: CacheLimits,
}

impl Default for CompilerOptions {
    fn default() -> Self {
        Self { guests_max: 64, resident_bytes: 2 << 20, cache: CacheLimits::default() }
    }
}

/// The compiling engine; shared by all threads.
#[derive(Debug)]
pub struct Compiler {
    engine: wasmtime::Engine,
    linker: Linker<State>,
    cache: Cache<Compiled>,
}

/// A module compiled to native code and linked to the host.
pub struct Compiled {
    instance: InstancePre<State>,
    compile_fuel: u64,
    exports: Exports<ModuleExport>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").finish_non_exhaustive()
    }
}

/// The exports that the host uses.
struct Exports<T> {
    fuel: T,
    depth: T,
    memory: T,
    start: Option<T>,
    main: T,
    globals: Vec<T>,
}

/// What a store holds besides the instance.
struct State {
    session: Session,
    handles: Option<Handles>,
    growth_permitted: bool,
}

#[derive(Clone, Copy)]
struct Handles {
    fuel: Global,
    depth: Global,
    memory: Memory,
}

impl Compiler {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`HostAbort::Engine`] if this machine cannot provide the address space or the compiler.
    pub fn new(options: &CompilerOptions) -> Result<Self, HostAbort> {
        let engine =
            wasmtime::Engine::new(&config(options)).map_err(|error| engine_failed(&error))?;
        let linker = link(&engine).map_err(|error| engine_failed(&error))?;
        Ok(Self { engine, linker, cache: Cache::new(options.cache) })
    }

    fn compile(&self, instrumented: &Instrumented) -> Result<(Compiled, usize), HostAbort> {
        let failed = |error: Error| HostAbort::Compile(format!("{error:#}"));
        let module = Module::new(&self.engine, &instrumented.module).map_err(failed)?;
        let range = module.image_range();
        let size = range.end.addr() - range.start.addr();
        let missing = || HostAbort::Engine("an export of the metering is missing".to_owned());
        let find = |name: &str| module.get_export_index(name);
        let mut globals: Vec<(u32, ModuleExport)> = Vec::new();
        for export in module.exports() {
            let number = export.name().strip_prefix(GLOBAL).and_then(|text| text.parse().ok());
            if let (Some(number), Some(index)) = (number, find(export.name())) {
                globals.push((number, index));
            }
        }
        globals.sort_unstable_by_key(|(number, _)| *number);
        let exports = Exports {
            fuel: find(FUEL).ok_or_else(missing)?,
            depth: find(DEPTH).ok_or_else(missing)?,
            memory: find(MEMORY).ok_or_else(missing)?,
            start: find(START),
            main: find("_start").ok_or_else(missing)?,
            globals: globals.into_iter().map(|(_, index)| index).collect(),
        };
        let instance =
            self.linker.instantiate_pre(&module).map_err(|error| engine_failed(&error))?;
        let compile_fuel = instrumented.compile_fuel;
        Ok((Compiled { instance, compile_fuel, exports }, size))
    }
}

impl Engine for Compiler {
    type Module = Compiled;

    fn prepare(&self, module: &[u8], limits: &ModuleLimits) -> Result<Arc<Compiled>, PrepareError> {
        self.cache.get(module, limits, |module| Ok(self.compile(module)?))
    }

    fn compile_fuel(module: &Compiled) -> u64 {
        module.compile_fuel
    }

    fn run(
        &self,
        _stack: &GuestStack,
        module: &Compiled,
        host: Host,
        limits: &RunLimits,
    ) -> Result<Run, HostAbort> {
        let session = Session::new(host, limits);
        let state = State { session, handles: None, growth_permitted: false };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| state);
        let instance = module.instance.instantiate(&mut store).map_err(|error| aborted(&error))?;
        let handles = handles(&mut store, &instance, &module.exports)?;
        store.data_mut().handles = Some(handles);
        let ended = execute(&mut store, &instance, &module.exports, handles);
        let held = i64_of(handles.fuel.get(&mut store));
        let mut globals = Vec::with_capacity(module.exports.globals.len());
        for export in &module.exports.globals {
            if let Some(Extern::Global(global)) = instance.get_module_export(&mut store, export) {
                globals.push(bits(&global.get(&mut store)));
            }
        }
        let ended = ended?;
        let (memory, state) = handles.memory.data_and_store_mut(&mut store);
        let closed = state.session.close(ended, held, &FinalState { memory, globals })?;
        Ok(store.into_data().session.into_run(closed))
    }
}

fn execute(
    store: &mut Store<State>,
    instance: &Instance,
    exports: &Exports<ModuleExport>,
    handles: Handles,
) -> Result<Result<(), Stop>, HostAbort> {
    let paid = i64_of(handles.fuel.get(&mut *store));
    let held = match store.data_mut().session.refill(paid, 0) {
        Ok(held) => held,
        Err(stop) => return Ok(Err(stop)),
    };
    set(store, handles.fuel, held)?;
    for export in exports.start.iter().chain([&exports.main]) {
        let Some(Extern::Func(function)) = instance.get_module_export(&mut *store, export) else {
            return Err(HostAbort::Engine("an export is no function".to_owned()));
        };
        if let Err(error) = call(store, function) {
            return classify(&error).map(Err);
        }
    }
    Ok(Ok(()))
}

fn call(store: &mut Store<State>, function: Func) -> Result<(), Error> {
    function.typed::<(), ()>(&*store)?.call(&mut *store, ())
}

fn handles(
    store: &mut Store<State>,
    instance: &Instance,
    exports: &Exports<ModuleExport>,
) -> Result<Handles, HostAbort> {
    let fuel = instance.get_module_export(&mut *store, &exports.fuel);
    let depth = instance.get_module_export(&mut *store, &exports.depth);
    let memory = instance.get_module_export(&mut *store, &exports.memory);
    match (fuel, depth, memory) {
        (Some(Extern::Global(fuel)), Some(Extern::Global(depth)), Some(Extern::Memory(memory))) => {
            Ok(Handles { fuel, depth, memory })
        }
        _ => Err(HostAbort::Engine("an export of the metering has the wrong kind".to_owned())),
    }
}

fn config(options: &CompilerOptions) -> Config {
    let mut config = Config::new();
    config
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_extended_const(false)
        .wasm_branch_hinting(true)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(false)
        .max_wasm_stack(NATIVE_STACK_BYTES)
        // Unused, but must not be smaller.
        .async_stack_size(NATIVE_STACK_BYTES)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options)));
    config
}

fn pool(options: &CompilerOptions) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(options.guests_max)
        .total_memories(options.guests_max)
        .total_tables(options.guests_max.saturating_mul(bounds::TABLES_MAX))
        .max_memories_per_module(1)
        .max_tables_per_module(bounds::TABLES_MAX)
        .table_elements(bounds::TABLE_ELEMENTS_MAX as usize)
        .max_core_instance_size(INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(options.resident_bytes)
        .table_keep_resident(TABLE_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The bytes of an instance without memory and tables, at the bounds of the specification.
const INSTANCE_BYTES_MAX: usize = 32 << 20;
/// The bytes of a table slot that stay resident between two guests.
const TABLE_RESIDENT_BYTES: usize = 64 << 10;

fn link(engine: &wasmtime::Engine) -> Result<Linker<State>, Error> {
    let mut linker = Linker::new(engine);
    let nothing = FuncType::new(engine, [], []);
    linker.func_new(REFILL_MODULE, REFILL_NAME, nothing, |mut caller, _, _| refill(&mut caller))?;
    for (index, function) in HOST_FUNCTIONS.iter().enumerate() {
        let ty = FuncType::new(
            engine,
            function.params.iter().map(|ty| value_type(*ty)),
            function.results.iter().map(|ty| value_type(*ty)),
        );
        linker.func_new(
            "wasi_snapshot_preview1",
            function.name,
            ty,
            move |mut caller, params, results| {
                host_call(&mut caller, index, function, params, results)
            },
        )?;
    }
    Ok(linker)
}

fn refill(caller: &mut Caller<'_, State>) -> Result<(), Error> {
    let handles = caller.data().handles.ok_or_else(unlinked)?;
    let fuel = i64_of(handles.fuel.get(&mut *caller));
    let depth = i64_of(handles.depth.get(&mut *caller));
    let held = caller.data_mut().session.refill(fuel, depth)?;
    handles.fuel.set(&mut *caller, Val::I64(held))
}

fn host_call(
    caller: &mut Caller<'_, State>,
    index: usize,
    function: &HostFunction,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let handles = caller.data().handles.ok_or_else(unlinked)?;
    let fuel = i64_of(handles.fuel.get(&mut *caller));
    let mut args = [0; HOST_ARGUMENTS_MAX];
    for (arg, param) in args.iter_mut().zip(params) {
        *arg = match param {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            other => i64_of(*other).cast_unsigned(),
        };
    }
    let args = &args[..function.params.len().min(HOST_ARGUMENTS_MAX)];
    let (memory, state) = handles.memory.data_and_store_mut(&mut *caller);
    let (outcome, held) = state.session.call(index, args, memory, fuel);
    handles.fuel.set(&mut *caller, Val::I64(held))?;
    let errno = outcome?;
    if let Some(result) = results.first_mut() {
        *result = Val::I32(errno.cast_signed());
    }
    Ok(())
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Error> {
        self.growth_permitted = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(self.growth_permitted)
    }

    fn memory_grow_failed(&mut self, _error: Error) -> Result<(), Error> {
        // A growth within the limit that fails is this machine's fault: the guest must not see it.
        if std::mem::take(&mut self.growth_permitted) {
            return Err(Stop::Abort(HostAbort::OutOfMemory).into());
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Error> {
        self.growth_permitted = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(self.growth_permitted)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<(), Error> {
        self.memory_grow_failed(error)
    }
}

/// Tells how a guest ended from the engine's error, or that this machine failed.
fn classify(error: &Error) -> Result<Stop, HostAbort> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return Ok(stop.clone());
    }
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(Trap::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(Trap::TableOutOfBounds) => TrapKind::TableOutOfBounds,
        Some(Trap::IndirectCallToNull) => TrapKind::IndirectCallToNull,
        Some(Trap::BadSignature) => TrapKind::BadSignature,
        Some(Trap::IntegerDivisionByZero) => TrapKind::IntegerDivideByZero,
        Some(Trap::IntegerOverflow) => TrapKind::IntegerOverflow,
        Some(Trap::BadConversionToInteger) => TrapKind::BadConversionToInteger,
        Some(Trap::StackOverflow) => return Err(HostAbort::NativeStack),
        _ => return Err(aborted(error)),
    };
    Ok(Stop::Trap(kind))
}

fn aborted(error: &Error) -> HostAbort {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Abort(abort)) => abort.clone(),
        _ if error.is::<PoolConcurrencyLimitError>() => HostAbort::OutOfMemory,
        _ => engine_failed(error),
    }
}

fn engine_failed(error: &Error) -> HostAbort {
    HostAbort::Engine(format!("{error:#}"))
}

fn unlinked() -> Error {
    Stop::Abort(HostAbort::Engine("a host call before the run".to_owned())).into()
}

fn set(store: &mut Store<State>, global: Global, value: i64) -> Result<(), HostAbort> {
    global.set(&mut *store, Val::I64(value)).map_err(|error| engine_failed(&error))
}

fn i64_of(value: Val) -> i64 {
    value.i64().unwrap_or(0)
}

fn bits(value: &Val) -> u128 {
    match value {
        Val::I32(value) => u128::from(value.cast_unsigned()),
        Val::I64(value) => u128::from(value.cast_unsigned()),
        Val::F32(bits) => u128::from(*bits),
        Val::F64(bits) => u128::from(*bits),
        Val::V128(value) => value.as_u128(),
        _ => 0,
    }
}

const fn value_type(ty: HostType) -> ValType {
    match ty {
        HostType::I32 => ValType::I32,
        HostType::I64 => ValType::I64,
    }
}
