//! The boundary that both engines share: what a guest may call, how its work is metered, how it
//! ends.
//!
//! An outcome is either deterministic, the same on every machine ([`Exit`], with the fuel it used
//! and a trace root), or a [`HostAbort`]: this machine's fault, without result and without pay.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use thiserror::Error;

use super::instrument::{ModuleError, ModuleLimits};
use super::specification::HOST_BYTES_PER_FUEL;
use super::stack::GuestStack;
use super::trace::Trace;
use crate::wasi::Host;

/// A value type that may cross the host boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

/// The body of a host function: gets the guest's state, its linear memory, the arguments (32-bit
/// ones zero-extended) and the meter; returns the `errno` that the guest sees.
pub type HostCall = fn(
    host: &mut Host,
    memory: &mut [u8],
    args: &[u64],
    meter: &mut Meter,
) -> Result<u32, HostTrap>;

/// A function that a guest may import from `wasi_snapshot_preview1`.
#[derive(Clone, Copy, Debug)]
pub struct HostFunction {
    /// The name of the import.
    pub name: &'static str,
    /// The types of the arguments, at most [`HOST_ARGUMENTS_MAX`].
    pub params: &'static [ValType],
    /// The types of the results: none, or one `i32`, the `errno`.
    pub results: &'static [ValType],
    /// What the call does.
    pub call: HostCall,
}

/// The most arguments that a host function takes.
pub const HOST_ARGUMENTS_MAX: usize = 10;

/// Ends a guest from inside a host call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostTrap {
    /// The guest asked to end with this code.
    Exit(u32),
    /// The fuel is used up.
    OutOfFuel,
    /// This machine cannot go on.
    Abort(HostAbort),
}

impl From<HostAbort> for HostTrap {
    fn from(abort: HostAbort) -> Self {
        Self::Abort(abort)
    }
}

/// Why a run was not finished: a fault of this machine, which says nothing about the guest, unless
/// it says so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostAbort {
    /// The wall-clock limit of the run passed.
    #[error("the wall-clock limit passed")]
    WallClock,
    /// The guest used more fuel than [`RunLimits::bill`]: a fact about it, the same everywhere.
    #[error("it used more fuel than was billed")]
    OverBill,
    /// The run was stopped from outside.
    #[error("the run was stopped")]
    Stopped,
    /// The machine had no memory, address space or free slot.
    #[error("the machine is out of memory")]
    OutOfMemory,
    /// The native stack ended before the metered depth did.
    #[error("the native stack is exhausted")]
    NativeStack,
    /// The module could not be compiled.
    #[error("cannot compile the module: {0}")]
    Compile(String),
    /// The engine failed in a way that no guest can cause.
    #[error("the engine failed: {0}")]
    Engine(String),
}

/// Why a module could not be made ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// The module is refused, on every machine.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// This machine failed.
    #[error(transparent)]
    Abort(#[from] HostAbort),
}

/// Which of the engines runs a program; what comes of it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// Compiles to native code: fast, for those who serve.
    #[default]
    Compiler,
    /// Interprets, and shares no code with the compiler: for those who judge what was served.
    Interpreter,
}

/// Runs instrumented modules.
pub trait Engine: Send + Sync {
    /// A module made ready for this engine.
    type Module: Send + Sync;

    /// Instruments and prepares `module`, or finds it in the cache, which shows in the time only.
    ///
    /// # Errors
    /// [`PrepareError::Module`] if it is no valid program or costs more than the fuel of `limits`,
    /// [`PrepareError::Abort`] if this machine cannot prepare it.
    fn prepare(
        &self,
        module: &[u8],
        limits: &ModuleLimits,
    ) -> Result<Arc<Self::Module>, PrepareError>;

    /// Returns the fuel that a module costs to make ready, which a run does not charge.
    fn compile_fuel(module: &Self::Module) -> u64;

    /// Runs a program to its end on the calling thread.
    ///
    /// # Errors
    /// [`HostAbort`] if this machine could not finish the run.
    fn run(
        &self,
        stack: &GuestStack,
        module: &Self::Module,
        host: Host,
        limits: &RunLimits,
    ) -> Result<Run, HostAbort>;
}

/// Why a guest trapped; the same on every engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// An `unreachable` of the program itself.
    Unreachable,
    /// An access outside the linear memory.
    MemoryOutOfBounds,
    /// An access outside a table.
    TableOutOfBounds,
    /// An indirect call through an empty table slot.
    IndirectCallToNull,
    /// An indirect call of a function of another type.
    BadSignature,
    /// An integer division by zero.
    IntegerDivideByZero,
    /// An integer operation whose result does not fit.
    IntegerOverflow,
    /// A conversion of a NaN to an integer.
    BadConversionToInteger,
    /// The fuel of the run is used up.
    OutOfFuel,
    /// The metered call depth is used up.
    StackExhausted,
}

impl TrapKind {
    /// Returns the stable code that stands for the kind in traces and receipts.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unreachable => 0,
            Self::MemoryOutOfBounds => 1,
            Self::TableOutOfBounds => 2,
            Self::IndirectCallToNull => 3,
            Self::BadSignature => 4,
            Self::IntegerDivideByZero => 5,
            Self::IntegerOverflow => 6,
            Self::BadConversionToInteger => 7,
            Self::OutOfFuel => 8,
            Self::StackExhausted => 9,
        }
    }
}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable executed",
            Self::MemoryOutOfBounds => "memory access out of bounds",
            Self::TableOutOfBounds => "table access out of bounds",
            Self::IndirectCallToNull => "indirect call to null",
            Self::BadSignature => "indirect call type mismatch",
            Self::IntegerDivideByZero => "integer divide by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::BadConversionToInteger => "invalid conversion to integer",
            Self::OutOfFuel => "out of fuel",
            Self::StackExhausted => "call depth exhausted",
        })
    }
}

/// How a guest ended; the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The program ended by itself; falling off `_start` is code 0.
    Code(u32),
    /// The program was ended by a trap.
    Trap(TrapKind),
}

/// What one run may use.
#[derive(Clone, Debug)]
pub struct RunLimits {
    /// The fuel, at most [`RunLimits::FUEL_MAX`]; more is cut to that.
    pub fuel: u64,
    /// The fuel beyond which nobody wants to know more: the run is aborted soon after it has used
    /// more, unless it ends first.
    pub bill: Option<u64>,
    /// The wall-clock time after which the run is aborted, checked every few milliseconds.
    pub wall: Option<Duration>,
    /// Aborts the run soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
}

impl RunLimits {
    /// The most fuel that one run may have: no sum of charges on top of it overflows.
    pub const FUEL_MAX: u64 = 1 << 60;

    /// Returns limits with `fuel` and nothing else.
    #[must_use]
    pub const fn with_fuel(fuel: u64) -> Self {
        Self { fuel, bill: None, wall: None, stop: None }
    }
}

/// A finished run: everything in it except `host` internals is equal on every machine.
#[derive(Debug)]
pub struct Run {
    /// How the guest ended.
    pub exit: Exit,
    /// The fuel used, at most the limit.
    pub fuel_used: u64,
    /// The BLAKE3 hash over what only execution yields.
    pub trace_root: [u8; 32],
    /// The guest-visible state after the run.
    pub host: Host,
}

/// Counts fuel and hashes the trace of one run.
#[derive(Debug)]
pub struct Meter {
    fuel_left: i64,
    pub(super) trace: Trace,
}

impl Meter {
    /// Returns a meter with `fuel` left, cut to [`RunLimits::FUEL_MAX`].
    #[must_use]
    pub fn new(fuel: u64) -> Self {
        Self { fuel_left: amount(fuel), trace: Trace::new() }
    }

    /// Takes `fuel`.
    ///
    /// # Errors
    /// [`HostTrap::OutOfFuel`] if less was left; then the meter stands below zero.
    pub fn charge(&mut self, fuel: u64) -> Result<(), HostTrap> {
        self.fuel_left = self.fuel_left.saturating_sub(amount(fuel));
        if self.fuel_left < 0 { Err(HostTrap::OutOfFuel) } else { Ok(()) }
    }

    /// Takes the fuel for `bytes` that a host call moves or makes, before it does.
    ///
    /// # Errors
    /// [`HostTrap::OutOfFuel`] if less was left.
    pub fn charge_bytes(&mut self, bytes: u64) -> Result<(), HostTrap> {
        self.charge(bytes.div_ceil(HOST_BYTES_PER_FUEL))
    }

    /// Returns the fuel left; below zero once a charge failed.
    #[must_use]
    pub const fn fuel_left(&self) -> i64 {
        self.fuel_left
    }

    pub(super) const fn set_fuel_left(&mut self, fuel: i64) {
        self.fuel_left = fuel;
    }
}

/// Cuts an amount of fuel to what sums without overflow.
fn amount(fuel: u64) -> i64 {
    i64::try_from(fuel.min(RunLimits::FUEL_MAX)).unwrap_or(i64::MAX)
}
