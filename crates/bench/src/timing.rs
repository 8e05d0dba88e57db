//! Timing: one warm call, then several measured ones, of which the least or the median counts.

use std::hint::black_box;
use std::time::Duration;
use std::time::Instant;

/// Returns the times of `runs` calls, after one call that is not counted.
fn times<T>(runs: usize, mut act: impl FnMut() -> T) -> Vec<Duration> {
    assert!(runs > 0, "a measurement needs a run");
    black_box(act());
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            black_box(act());
            start.elapsed()
        })
        .collect()
}

/// Returns the least time of `runs` calls: the figure with the least noise of the machine.
///
/// # Panics
///
/// When `runs` is 0.
pub fn min_of<T>(runs: usize, act: impl FnMut() -> T) -> Duration {
    times(runs, act).into_iter().min().expect("there was a run")
}

/// Returns how long a core has worked for this thread. Without waits in between, the difference
/// of two is what passes on an idle machine.
///
/// # Panics
///
/// When the clock is before its start.
#[must_use]
pub fn core_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("the clock of a thread starts at zero")
}

/// Returns the median time of `runs` calls: the figure of latency.
///
/// # Panics
///
/// When `runs` is 0.
pub fn median_of<T>(runs: usize, act: impl FnMut() -> T) -> Duration {
    median(times(runs, act))
}

/// Returns the median of the times; of an even number, the lower of the two in the middle.
///
/// # Panics
///
/// When there are no times.
#[must_use]
pub fn median(mut times: Vec<Duration>) -> Duration {
    assert!(!times.is_empty(), "a median needs a time");
    let middle = (times.len() - 1) / 2;
    *times.select_nth_unstable(middle).1
}

/// Returns the least of the times that so many of a hundred do not exceed.
///
/// # Panics
///
/// When there are no times, or `percent` is not within 1 and 100.
#[must_use]
pub fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    assert!(!times.is_empty(), "a percentile needs a time");
    assert!((1..=100).contains(&percent), "a percentile is within 1 and 100");
    let rank = (times.len() * percent).div_ceil(100);
    *times.select_nth_unstable(rank - 1).1
}

/// Returns how many of the `items` of one call pass in a second, in the best of `runs` calls.
///
/// # Panics
///
/// When `runs` is 0.
pub fn per_second<T>(runs: usize, items: u32, act: impl FnMut() -> T) -> f64 {
    f64::from(items) / min_of(runs, act).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_order_and_outliers() {
        let times = [900, 1, 3, 2].map(Duration::from_millis);
        assert_eq!(median(times.to_vec()), Duration::from_millis(2));
        assert_eq!(median(times[..3].to_vec()), Duration::from_millis(3));
    }

    #[test]
    fn so_many_of_a_hundred_are_within_the_percentile() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let check = |percent, millis| {
            assert_eq!(percentile(times.clone(), percent), Duration::from_millis(millis));
        };
        check(1, 2);
        check(50, 100);
        check(99, 198);
        check(100, 200);
        assert_eq!(percentile(times[..1].to_vec(), 1), Duration::from_millis(200));
    }

    #[test]
    fn every_run_and_one_warm_call_take_place() {
        let mut calls = 0;
        min_of(4, || calls += 1);
        assert_eq!(calls, 5);
        assert!(per_second(1, 10, || ()) > 0.0);
    }
}
