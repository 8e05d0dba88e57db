//! How fast a slot of this machine is: a small program, run by the worker on all slots at once.
//!
//! The program ends with its fuel, so fuel over time is the speed. The slowest slot counts, since
//! that is what every tenant gets. The number is the provider's own and stays declared.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use classes::job::{FUEL_PER_UNIT, Limits, Spec};
use executors::{
    wasm::{EngineKind, specification::METERING_VERSION},
    worker::{JobError, Request},
};
use futures_util::future::try_join_all;
use types::{ContentHash, Hash, List, Time};

use crate::runner::Runner;

/// The program: `selftest.wat`, assembled.
const PROGRAM: &[u8] = include_bytes!("selftest.wasm");
/// Fuel of the first run, which compiles the program and finds out about the speed.
const TRIAL_FUEL: u64 = 20 * FUEL_PER_UNIT;
/// How long the second run is meant to take.
const TARGET: Duration = Duration::from_millis(100);
/// The wall-clock time after which the machine is taken to be too slow to tell.
const WALL: Duration = Duration::from_secs(10);

/// Returns the speed of one slot while all are at work, in millions of fuel a second, at least 1.
///
/// # Errors
/// [`JobError`] when the worker cannot run the program.
pub(crate) async fn measure<R: Runner>(runner: &R, slots: u16) -> Result<u32, JobError> {
    // Twice: the first run of all includes the compiler.
    runner.run(request(TRIAL_FUEL)).await?;
    let trial = runner.run(request(TRIAL_FUEL)).await?;
    let fuel = fuel_for(trial.usage.fuel, trial.guest);
    let runs = try_join_all((0..slots.max(1)).map(|_| runner.run(request(fuel)))).await?;
    let speeds = runs.iter().map(|run| speed(run.usage.fuel, run.guest));
    Ok(speeds.min().unwrap_or(1))
}

fn request(fuel: u64) -> Request {
    let program: Arc<[u8]> = PROGRAM.into();
    let hash = ContentHash::of(&program);
    let spec = Spec {
        metering: METERING_VERSION,
        program: hash,
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel, memory_pages: 16, output_bytes: 0 },
    };
    let contents = Arc::new(BTreeMap::from([(hash, program)]));
    let (created, engine) = (Time::from_ms(0), EngineKind::Compiler);
    Request { spec, created, wall: WALL, engine, bill: None, contents }
}

/// Returns the fuel that takes about [`TARGET`] at the speed of a run.
fn fuel_for(fuel: u64, guest: Duration) -> u64 {
    let scaled = u128::from(fuel) * TARGET.as_micros() / guest.as_micros().max(1);
    u64::try_from(scaled).unwrap_or(u64::MAX).clamp(FUEL_PER_UNIT, 1_000 * FUEL_PER_UNIT)
}

/// Returns a run's speed in millions of fuel a second, which is fuel a microsecond.
fn speed(fuel: u64, guest: Duration) -> u32 {
    let speed = u128::from(fuel) / guest.as_micros().max(1);
    u32::try_from(speed).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_its_source() {
        assert_eq!(wat::parse_str(include_str!("selftest.wat")).unwrap(), PROGRAM);
    }

    #[test]
    fn speed_is_fuel_over_time() {
        assert_eq!(speed(2_000_000_000, Duration::from_secs(2)), 1_000);
        assert_eq!(speed(1, Duration::from_secs(9)), 1);
        assert_eq!(fuel_for(10 * FUEL_PER_UNIT, Duration::from_millis(10)), 100 * FUEL_PER_UNIT);
        assert_eq!(fuel_for(0, Duration::ZERO), FUEL_PER_UNIT);
    }
}
