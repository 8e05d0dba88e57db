//! The clock that blocks take their time from.
//!
//! A time that is in a block is for ever: one bad reading in the future would end every lease. So
//! each reading is held against a second clock, which only ever counts on: over the same stretch
//! both must have gone about as far. A machine that slept passes, since the second clock counts
//! sleep too; small corrections pass, since each reading is compared with the one before it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;
use types::Time;

/// The furthest that the clocks may drift apart between two readings.
const DRIFT_MAX: Duration = Duration::from_secs(300);

/// A clock that counts on while the machine sleeps.
#[cfg(target_os = "linux")]
const STEADY: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const STEADY: ClockId = ClockId::Monotonic;

/// This machine's time made a jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "this machine's clock jumped by {} s; set it right, then start the node again", .by_ms / 1_000
)]
pub(crate) struct ClockJumped {
    /// How far, in milliseconds; negative where it went back.
    by_ms: i64,
}

/// Reads the time of this machine.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Both clocks at the last reading.
    last: (Time, Duration),
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { last: (api::now(), steady()) }
    }

    /// Takes what this machine's clock says, and returns it unless it cannot be trusted.
    ///
    /// # Errors
    /// [`ClockJumped`].
    pub(crate) fn read(&mut self, time: Time) -> Result<Time, ClockJumped> {
        self.check(time, steady())
    }

    fn check(&mut self, time: Time, steady: Duration) -> Result<Time, ClockJumped> {
        let (last_time, last_steady) = self.last;
        let went = i128::from(time.as_ms()) - i128::from(last_time.as_ms());
        let passed = steady.saturating_sub(last_steady).as_millis();
        let by_ms = went - i128::try_from(passed).unwrap_or(i128::MAX);
        if by_ms.unsigned_abs() > DRIFT_MAX.as_millis() {
            let most = if by_ms < 0 { i64::MIN } else { i64::MAX };
            return Err(ClockJumped { by_ms: i64::try_from(by_ms).unwrap_or(most) });
        }
        self.last = (time, steady);
        Ok(time)
    }
}

/// Returns the time since some moment that stays the same.
fn steady() -> Duration {
    let since = clock_gettime(STEADY);
    let seconds = u64::try_from(since.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(since.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_refused_and_slow_time_is_not() {
        let second = |count: u64| Time::from_ms(1_000_000_000 + count * 1_000);
        let mut clock = Clock { last: (second(0), Duration::from_secs(50)) };
        let mut check = |time: u64, steady: u64| {
            clock.check(second(time), Duration::from_secs(50 + steady)).map(|_| ())
        };
        assert_eq!(check(60, 60), Ok(()));
        // Both went on through a night of sleep.
        assert_eq!(check(36_060, 36_060), Ok(()));
        // A correction, and another.
        assert_eq!(check(36_350, 36_061), Ok(()));
        assert_eq!(check(36_640, 36_062), Ok(()));
        assert_eq!(check(36_941, 36_063), Ok(()));
        let jumped = |by_ms| Err(ClockJumped { by_ms });
        assert_eq!(check(36_941 + 302, 36_064), jumped(301_000));
        assert_eq!(check(36_941 - 300, 36_064), jumped(-301_000));
        // What was refused changes nothing.
        assert_eq!(check(36_942, 36_064), Ok(()));
    }

    #[test]
    fn this_machine_reads_well() {
        assert!(Clock::new().read(api::now()).is_ok());
    }
}
