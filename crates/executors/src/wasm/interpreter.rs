//! The second engine: interprets the same instrumented modules.
//!
//! It exists to be another implementation: what both engines agree on does not depend on how
//! either of them works.

use std::sync::Arc;

use wasmi::errors::{MemoryError, TableError};
use wasmi::{
    Caller, CompilationMode, Config, Error, Func, FuncType, Global, Instance, Linker, Memory,
    Module, ResourceLimiter, Store, TrapCode, Val, ValType,
};
use wasmi_core::LimiterError;

use super::cache::{Cache, CacheLimits};
use super::engine::{
    Engine, HOST_ARGUMENTS_MAX, HostAbort, HostFunction, PrepareError, Run, RunLimits, TrapKind,
    ValType as HostType,
};
use super::instrument::{
    DEPTH, FUEL, GLOBAL, Instrumented, MEMORY, ModuleLimits, REFILL_MODULE, REFILL_NAME, START,
};
use super::session::{Session, Stop};
use super::specification::{DEPTH_BYTES, NATIVE_STACK_BYTES, bounds};
use super::stack::GuestStack;
use super::trace::FinalState;
use crate::wasi::{HOST_FUNCTIONS, Host};

/// The interpreting engine; shared by all threads.
#[derive(Debug)]
pub struct Interpreter {
    engine: wasmi::Engine,
    linker: Linker<State>,
    cache: Cache<Interpreted>,
}

/// A module made ready for the interpreter.
#[derive(Debug)]
pub struct Interpreted {
    module: Module,
    compile_fuel: u64,
    /// The names of the guest's mutable globals, in the order of their indices.
    globals: Vec<String>,
}

/// What a store holds besides the instance.
#[derive(Debug)]
struct State {
    session: Session,
    handles: Option<Handles>,
}

#[derive(Clone, Copy, Debug)]
struct Handles {
    fuel: Global,
    depth: Global,
    memory: Memory,
}

impl Interpreter {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`HostAbort::Engine`] if the host functions cannot be registered.
    pub fn new(cache: CacheLimits) -> Result<Self, HostAbort> {
        let engine = wasmi::Engine::new(&config());
        let linker = link(&engine)?;
        Ok(Self { engine, linker, cache: Cache::new(cache) })
    }

    fn translate(&self, instrumented: &Instrumented) -> Result<(Interpreted, usize), HostAbort> {
        let module = Module::new(&self.engine, &instrumented.module)
            .map_err(|error| HostAbort::Compile(error.to_string()))?;
        let mut globals: Vec<(u32, String)> = Vec::new();
        for export in module.exports() {
            let number = export.name().strip_prefix(GLOBAL).and_then(|text| text.parse().ok());
            globals.extend(number.map(|number| (number, export.name().to_owned())));
        }
        globals.sort_unstable();
        let globals = globals.into_iter().map(|(_, name)| name).collect();
        let Instrumented { module: bytes, compile_fuel } = instrumented;
        let compile_fuel = *compile_fuel;
        Ok((Interpreted { module, compile_fuel, globals }, bytes.len()))
    }
}

impl Engine for Interpreter {
    type Module = Interpreted;

    fn prepare(
        &self,
        module: &[u8],
        limits: &ModuleLimits,
    ) -> Result<Arc<Interpreted>, PrepareError> {
        self.cache.get(module, limits, |module| Ok(self.translate(module)?))
    }

    fn compile_fuel(module: &Interpreted) -> u64 {
        module.compile_fuel
    }

    fn run(
        &self,
        _stack: &GuestStack,
        module: &Interpreted,
        host: Host,
        limits: &RunLimits,
    ) -> Result<Run, HostAbort> {
        let session = Session::new(host, limits);
        let mut store = Store::new(&self.engine, State { session, handles: None });
        store.limiter(|state| state);
        let instance = self
            .linker
            .instantiate_and_start(&mut store, &module.module)
            .map_err(|error| aborted(&error))?;
        let handles = handles(&store, &instance)?;
        store.data_mut().handles = Some(handles);
        let ended = execute(&mut store, &instance, handles)?;
        let held = i64_of(&handles.fuel.get(&store));
        let global = |name: &String| {
            instance.get_global(&store, name).map(|global| bits(&global.get(&store)))
        };
        let globals = module.globals.iter().filter_map(global).collect();
        let (memory, state) = handles.memory.data_and_store_mut(&mut store);
        let closed = state.session.close(ended, held, &FinalState { memory, globals })?;
        Ok(store.into_data().session.into_run(closed))
    }
}

fn execute(
    store: &mut Store<State>,
    instance: &Instance,
    handles: Handles,
) -> Result<Result<(), Stop>, HostAbort> {
    let paid = i64_of(&handles.fuel.get(&*store));
    let held = match store.data_mut().session.refill(paid, 0) {
        Ok(held) => held,
        Err(stop) => return Ok(Err(stop)),
    };
    set(store, handles.fuel, held).map_err(|error| aborted(&error))?;
    let start = instance.get_func(&*store, START);
    let main = instance.get_func(&*store, "_start").ok_or_else(incomplete)?;
    for function in start.into_iter().chain([main]) {
        if let Err(error) = call(store, function) {
            return classify(&error).map(Err);
        }
    }
    Ok(Ok(()))
}

fn call(store: &mut Store<State>, function: Func) -> Result<(), Error> {
    function.typed::<(), ()>(&*store)?.call(&mut *store, ())
}

fn handles(store: &Store<State>, instance: &Instance) -> Result<Handles, HostAbort> {
    Ok(Handles {
        fuel: instance.get_global(store, FUEL).ok_or_else(incomplete)?,
        depth: instance.get_global(store, DEPTH).ok_or_else(incomplete)?,
        memory: instance.get_memory(store, MEMORY).ok_or_else(incomplete)?,
    })
}

fn config() -> Config {
    let mut config = Config::default();
    config
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_extended_const(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .compilation_mode(CompilationMode::Eager)
        // Metered depth ends a recursion before either of these does.
        .set_max_recursion_depth(DEPTH_BYTES as usize)
        .set_max_stack_height(NATIVE_STACK_BYTES);
    config
}

fn link(engine: &wasmi::Engine) -> Result<Linker<State>, HostAbort> {
    let failed = |error: wasmi::errors::LinkerError| HostAbort::Engine(error.to_string());
    let mut linker = Linker::new(engine);
    linker
        .func_new(REFILL_MODULE, REFILL_NAME, FuncType::new([], []), |mut caller, _, _| {
            refill(&mut caller)
        })
        .map_err(failed)?;
    for (index, function) in HOST_FUNCTIONS.iter().enumerate() {
        let ty = FuncType::new(
            function.params.iter().map(|ty| value_type(*ty)),
            function.results.iter().map(|ty| value_type(*ty)),
        );
        linker
            .func_new(
                "wasi_snapshot_preview1",
                function.name,
                ty,
                move |mut caller, params, results| {
                    host_call(&mut caller, index, function, params, results)
                },
            )
            .map_err(failed)?;
    }
    Ok(linker)
}

fn refill(caller: &mut Caller<'_, State>) -> Result<(), Error> {
    let handles = caller.data().handles.ok_or_else(unlinked)?;
    let fuel = i64_of(&handles.fuel.get(&*caller));
    let depth = i64_of(&handles.depth.get(&*caller));
    let held = caller.data_mut().session.refill(fuel, depth).map_err(Error::host)?;
    handles.fuel.set(&mut *caller, Val::I64(held)).map_err(|_| unlinked())
}

fn host_call(
    caller: &mut Caller<'_, State>,
    index: usize,
    function: &HostFunction,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let handles = caller.data().handles.ok_or_else(unlinked)?;
    let fuel = i64_of(&handles.fuel.get(&*caller));
    let mut args = [0; HOST_ARGUMENTS_MAX];
    for (arg, param) in args.iter_mut().zip(params) {
        *arg = match param {
            Val::I32(value) => u64::from(value.cast_unsigned()),
            other => i64_of(other).cast_unsigned(),
        };
    }
    let args = &args[..function.params.len().min(HOST_ARGUMENTS_MAX)];
    let (memory, state) = handles.memory.data_and_store_mut(&mut *caller);
    let (outcome, held) = state.session.call(index, args, memory, fuel);
    handles.fuel.set(&mut *caller, Val::I64(held)).map_err(|_| unlinked())?;
    let errno = outcome.map_err(Error::host)?;
    if let Some(result) = results.first_mut() {
        *result = Val::I32(errno.cast_signed());
    }
    Ok(())
}

impl wasmi::errors::HostError for Stop {}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, LimiterError> {
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    // Only a growth that was permitted above fails here, which is this machine's fault.
    fn memory_grow_failed(&mut self, _error: &MemoryError) -> Result<(), LimiterError> {
        Err(LimiterError::ResourceLimiterDeniedAllocation)
    }

    fn table_grow_failed(&mut self, _error: &TableError) -> Result<(), LimiterError> {
        Err(LimiterError::ResourceLimiterDeniedAllocation)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        bounds::TABLES_MAX as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Tells how a guest ended from the engine's error, or that this machine failed.
fn classify(error: &Error) -> Result<Stop, HostAbort> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return Ok(stop.clone());
    }
    let kind = match error.as_trap_code() {
        Some(TrapCode::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(TrapCode::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(TrapCode::TableOutOfBounds) => TrapKind::TableOutOfBounds,
        Some(TrapCode::IndirectCallToNull) => TrapKind::IndirectCallToNull,
        Some(TrapCode::BadSignature) => TrapKind::BadSignature,
        Some(TrapCode::IntegerDivisionByZero) => TrapKind::IntegerDivideByZero,
        Some(TrapCode::IntegerOverflow) => TrapKind::IntegerOverflow,
        Some(TrapCode::BadConversionToInteger) => TrapKind::BadConversionToInteger,
        _ => return Err(aborted(error)),
    };
    Ok(Stop::Trap(kind))
}

fn aborted(error: &Error) -> HostAbort {
    match error.as_trap_code() {
        Some(TrapCode::StackOverflow) => HostAbort::NativeStack,
        Some(TrapCode::OutOfSystemMemory | TrapCode::GrowthOperationLimited) => {
            HostAbort::OutOfMemory
        }
        _ => HostAbort::Engine(error.to_string()),
    }
}

fn unlinked() -> Error {
    Error::host(Stop::Abort(HostAbort::Engine("a host call before the run".to_owned())))
}

fn incomplete() -> HostAbort {
    HostAbort::Engine("an export of the metering is missing".to_owned())
}

fn set(store: &mut Store<State>, global: Global, value: i64) -> Result<(), Error> {
    global.set(&mut *store, Val::I64(value)).map_err(|_| unlinked())
}

fn i64_of(value: &Val) -> i64 {
    value.i64().unwrap_or(0)
}

fn bits(value: &Val) -> u128 {
    match value {
        Val::I32(value) => u128::from(value.cast_unsigned()),
        Val::I64(value) => u128::from(value.cast_unsigned()),
        Val::F32(value) => u128::from(value.to_bits()),
        Val::F64(value) => u128::from(value.to_bits()),
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
