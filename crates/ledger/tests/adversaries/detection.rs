//! How soon a provider is found that fakes a part of its leases.

use crate::players::Auditing;
use crate::trial::{all_collude, float, friends};
use crate::world::{Deal, Dice, Work, World, audits};

/// Where a provider fakes a part of its leases: what is found, and what should be.
pub(crate) struct Detection {
    /// Of how many leases one is faked.
    pub(crate) one_in: u64,
    pub(crate) leases_per_epoch: u64,
    pub(crate) colluding: usize,
}

impl Detection {
    const EPOCHS: u64 = 3;
    const HOURS_OF_EPOCH: u64 = 24;
    pub(crate) const PRICE: u64 = 3_000;

    fn chance(&self) -> f64 {
        0.05 * (1.0 - all_collude(self.colluding, 1)) / float(self.one_in.try_into().unwrap())
    }

    /// Returns the probability that it is found within three epochs.
    pub(crate) fn computed(&self) -> f64 {
        let leases = i32::try_from(self.leases_per_epoch * Self::EPOCHS).unwrap();
        1.0 - (1.0 - self.chance()).powi(leases)
    }

    /// Returns how many leases an epoch it takes for 99 of 100.
    pub(crate) fn needed(&self) -> u64 {
        let mut at_least =
            Self { one_in: self.one_in, leases_per_epoch: 1, colluding: self.colluding };
        while at_least.computed() < 0.99 {
            at_least.leases_per_epoch += 1;
        }
        at_least.leases_per_epoch
    }

    /// Plays three epochs; returns whether stake was lost within them. Honest leases cannot be
    /// found, so that all that they would change is the time, and only `is_full` plays them.
    pub(crate) fn is_found(&self, base: &World, seed: u64, is_full: bool) -> bool {
        let mut world = base.fork(seed).with_auditors(self.colluding, Auditing::Colludes);
        let mut dice = Dice(seed);
        let epoch_ms = world.parameters.epoch_ms.as_ms();
        let hour_ms = epoch_ms / Self::HOURS_OF_EPOCH;
        let start = world.now().as_ms();
        for hour in 0..Self::EPOCHS * Self::HOURS_OF_EPOCH {
            for _ in 0..self.leases_per_epoch.div_ceil(Self::HOURS_OF_EPOCH) {
                let is_fake = dice.below(self.one_in) == 0;
                if is_fake || is_full {
                    let work = if is_fake { Work::Fake } else { Work::Right };
                    let (provider, tenant) = ("provider", "tenant");
                    let (price, audit) = (Self::PRICE, audits(500, 1));
                    let deal = Deal { provider, tenant, work, price, audit };
                    world.play(&deal).expect("its stake covers an hour's leases");
                }
            }
            world.judge();
            world.assert_only_slashed(&friends(self.colluding));
            if !world.slashed.is_empty() {
                return world.now().as_ms() <= start + Self::EPOCHS * epoch_ms;
            }
            world.jobs.clear();
            let next = start + (hour + 1) * hour_ms;
            world.pass(next.saturating_sub(world.now().as_ms()).max(1));
        }
        false
    }
}
