//! One run, seen from either engine: hands out fuel, calls the host, keeps the trace.
//!
//! The guest holds a part of its fuel in a global; the rest is kept here. When the part is used up
//! the guest asks for more, which is also when the clock is read. Fuel left is always the sum.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;

use super::engine::{Exit, HostAbort, HostTrap, Meter, Run, RunLimits, TrapKind};
use super::specification::{HOST_CALL_FUEL, REFILL_FUEL};
use super::trace::FinalState;
use crate::wasi::{HOST_FUNCTIONS, Host};

/// Ends a guest from the host's side of a call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Stop {
    #[error("exit {0}")]
    Exit(u32),
    #[error("trap: {0}")]
    Trap(TrapKind),
    #[error(transparent)]
    Abort(HostAbort),
}

impl From<HostTrap> for Stop {
    fn from(trap: HostTrap) -> Self {
        match trap {
            HostTrap::Exit(code) => Self::Exit(code),
            HostTrap::OutOfFuel => Self::Trap(TrapKind::OutOfFuel),
            HostTrap::Abort(abort) => Self::Abort(abort),
        }
    }
}

/// The host's side of one run.
#[derive(Debug)]
pub(super) struct Session {
    host: Host,
    meter: Meter,
    /// The fuel that the guest does not hold.
    reserve: i64,
    limit: i64,
    /// The fuel left below which the run is over its bill.
    least: i64,
    deadline: Option<Instant>,
    stop: Option<Arc<AtomicBool>>,
}

impl Session {
    pub(super) fn new(host: Host, limits: &RunLimits) -> Self {
        let meter = Meter::new(limits.fuel);
        let limit = meter.fuel_left();
        let deadline = limits.wall.and_then(|wall| Instant::now().checked_add(wall));
        let bill = limits.bill.and_then(|bill| i64::try_from(bill).ok());
        let least = bill.map_or(i64::MIN, |bill| limit.saturating_sub(bill));
        Self { host, meter, reserve: limit, limit, least, deadline, stop: limits.stop.clone() }
    }

    /// Hands out the next part of the fuel, if `held` is below zero or the clock must be read.
    ///
    /// Returns what the guest now holds.
    pub(super) fn refill(&mut self, held: i64, depth: i64) -> Result<i64, Stop> {
        if depth < 0 {
            return Err(Stop::Trap(TrapKind::StackExhausted));
        }
        let total = self.reserve.saturating_add(held);
        if total < 0 {
            return Err(Stop::Trap(TrapKind::OutOfFuel));
        }
        self.check_bounds(total)?;
        Ok(self.split(total))
    }

    /// Calls host function `index`; returns its outcome and what fuel the guest then holds.
    pub(super) fn call(
        &mut self,
        index: usize,
        args: &[u64],
        memory: &mut [u8],
        held: i64,
    ) -> (Result<u32, Stop>, i64) {
        let total = self.reserve.saturating_add(held);
        if let Err(stop) = self.check_bounds(total) {
            return (Err(stop), held);
        }
        self.meter.set_fuel_left(total);
        let result = self.meter.charge(HOST_CALL_FUEL).and_then(|()| {
            (HOST_FUNCTIONS[index].call)(&mut self.host, memory, args, &mut self.meter)
        });
        let left = self.meter.fuel_left();
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        self.meter.trace.call(number, args, result.as_ref().ok().copied(), left);
        (result.map_err(Stop::from), self.split(left))
    }

    /// Closes the trace; the guest does not run again.
    pub(super) fn close(
        &mut self,
        ended: Result<(), Stop>,
        held: i64,
        end: &FinalState<'_>,
    ) -> Result<Closed, HostAbort> {
        let left = self.reserve.saturating_add(held);
        let exit = match ended {
            Err(Stop::Abort(abort)) => return Err(abort),
            // The last path to the end is charged, but not tested.
            _ if left < 0 => Exit::Trap(TrapKind::OutOfFuel),
            Ok(()) => Exit::Code(0),
            Err(Stop::Exit(code)) => Exit::Code(code),
            Err(Stop::Trap(kind)) => Exit::Trap(kind),
        };
        let fuel_used = u64::try_from(self.limit.saturating_sub(left.max(0))).unwrap_or(0);
        Ok(Closed { exit, fuel_used, trace_root: self.meter.trace.finish(exit, left, end) })
    }

    /// Gives the finished run.
    pub(super) fn into_run(self, closed: Closed) -> Run {
        let Closed { exit, fuel_used, trace_root } = closed;
        Run { exit, fuel_used, trace_root, host: self.host }
    }

    /// Gives the guest a part of `total`, at most up to the end of the bill, and keeps the rest.
    fn split(&mut self, total: i64) -> i64 {
        let held = total.min(REFILL_FUEL).min(total.saturating_sub(self.least).max(0));
        self.reserve = total - held;
        held
    }

    /// Checks what bounds the run from outside, where `left` is the fuel left.
    fn check_bounds(&self, left: i64) -> Result<(), Stop> {
        // Who has used up its fuel has used all of it, and no more.
        if left.max(0) < self.least {
            return Err(Stop::Abort(HostAbort::OverBill));
        }
        if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Stop::Abort(HostAbort::Stopped));
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Stop::Abort(HostAbort::WallClock));
        }
        Ok(())
    }
}

/// What is known of a run when its guest has ended.
#[derive(Debug)]
pub(super) struct Closed {
    exit: Exit,
    fuel_used: u64,
    trace_root: [u8; 32],
}
