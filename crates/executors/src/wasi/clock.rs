//! Virtual time: it passes with the fuel that the guest uses and with the time that it sleeps.
//!
//! ```text
//! monotonic = fuel used · 1 ns + time slept        realtime = start + monotonic
//! ```
//! The machine's clock has no part in it, so two runs see the same time at the same instruction,
//! and a guest that sleeps does not wait.

/// How long the guest computes with one unit of fuel, in nanoseconds.
pub const FUEL_NS: u64 = 1;

/// The smallest difference between two readings, in nanoseconds.
pub const RESOLUTION_NS: u64 = FUEL_NS;

/// The clocks of one guest.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start_ns: u64,
    fuel: u64,
    slept_ns: u64,
}

/// A clock that the guest may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockId {
    Realtime,
    Monotonic,
    /// Processor time: of the process and of its one thread, which are equal.
    Processor,
}

impl ClockId {
    /// Returns the clock with this number.
    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Realtime),
            1 => Some(Self::Monotonic),
            2 | 3 => Some(Self::Processor),
            _ => None,
        }
    }
}

impl Clock {
    /// Returns a clock that starts at `start_ns` after 1970, for a guest that may use `fuel`.
    pub(crate) const fn new(start_ns: u64, fuel: u64) -> Self {
        Self { start_ns, fuel, slept_ns: 0 }
    }

    /// Returns the reading in nanoseconds when `fuel_left` is left.
    pub(crate) fn read(&self, id: ClockId, fuel_left: i64) -> u64 {
        let left = u64::try_from(fuel_left).unwrap_or(0);
        let computed = self.fuel.saturating_sub(left).saturating_mul(FUEL_NS);
        let monotonic = computed.saturating_add(self.slept_ns);
        match id {
            ClockId::Processor => computed,
            ClockId::Monotonic => monotonic,
            ClockId::Realtime => monotonic.saturating_add(self.start_ns),
        }
    }

    /// Lets `duration_ns` pass.
    pub(crate) const fn sleep(&mut self, duration_ns: u64) {
        self.slept_ns = self.slept_ns.saturating_add(duration_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_with_fuel_and_sleep_only() {
        let mut clock = Clock::new(1_000, 100);
        assert_eq!(clock.read(ClockId::Monotonic, 100), 0);
        assert_eq!(clock.read(ClockId::Realtime, 90), 1_010);
        clock.sleep(500);
        assert_eq!(clock.read(ClockId::Monotonic, 90), 510);
        assert_eq!(clock.read(ClockId::Processor, 90), 10);
        clock.sleep(u64::MAX);
        assert_eq!(clock.read(ClockId::Realtime, -5), u64::MAX);
    }
}
