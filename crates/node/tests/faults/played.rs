//! What happened while seeds were played.

use std::{
    fmt,
    ops::{Add, AddAssign},
};

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Block,
    Acknowledged,
    Crash,
    Cut,
    BadLine,
    DiskLost,
    ClockOff,
    PowerLost,
    Liar,
    Equivocator,
    Contradiction,
    Twice,
    Late,
    Old,
    DiskSick,
    DisksSick,
    DiskFailure,
    DiskEnd,
}

/// How each is called, in the order of [`Event`].
const NAMES: [&str; 18] = [
    "blocks",
    "transactions acknowledged",
    "crashes",
    "partitions",
    "bad lines",
    "disks lost",
    "clocks off",
    "times all power lost",
    "liars",
    "equivocators",
    "contradicting votes",
    "messages twice",
    "messages late",
    "old messages again",
    "sick disks",
    "times all disks sick",
    "failures of disks",
    "nodes ended by a disk",
];

/// What was played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Played([u64; NAMES.len()]);

impl Played {
    pub(crate) fn count(&mut self, event: Event, times: u64) {
        self.0[event as usize] += times;
    }

    /// Returns what never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let never = NAMES.iter().zip(self.0).filter(|(_, times)| *times == 0);
        never.map(|(name, _)| *name).collect()
    }
}

impl Add for Played {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Played {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = NAMES.iter().zip(self.0).map(|(name, times)| format!("{times} {name}"));
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
