//! What a cheat gains: computed, and played over many seeds.
//!
//! The gain is the change of the coalition's wealth in micro-USD (credits, and token at
//! `stake_price`) in a world where it cheats, less that in the same world, with the same seed,
//! where it does its work. Work of price R costs who does it `c·R`, where c is `gain_max`, the
//! whole price: more than anybody's true cost, since who serves gets only `net = R·(1 − β − τ)`.
//! So an honest provider neither gains nor loses much here, and a cheat saves the most that the
//! ledger takes it to save. Beside that gain stands the one over doing nothing at all, which
//! needs no assumption about costs.
//!
//! For n leases of price R, each audited by one of A auditors with probability p, of whom a part ρ
//! colludes, with d = p·(1 − ρ) and W the worth of the stake, of which each finding takes half:
//!
//! ```text
//! saved   = n·c·R·(1 + p·ρ)                         work, and what audits of friends would cost
//! stake   = W·(1 − (1 − d/2)^n)                     each finding halves what is left
//! not paid = n·net·(d + (1 − p)·(1 − (1 − d)^(n−1)))  found itself, or unchecked beside one found
//! gain    = saved − stake − not paid
//! ```
//!
//! The rule that the ledger enforces is the case of one lease, `g·ΣR ≤ d·(S + ΣR)` with S half of W
//! and ρ at `collusion_max`.

use types::{AuditTerms, Parameters};

use crate::players::Auditing;
use crate::world::{AUDITORS, STAKE, Work, World, micro};

/// Plays a world, with a cheat or with an honest player in its place.
pub(crate) type Play = Box<dyn Fn(World, Player) -> World>;

/// Who plays the place on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Player {
    Honest,
    Cheat,
}

impl Player {
    pub(crate) fn work(self, cheat: Work) -> Work {
        if self == Self::Cheat { cheat } else { Work::Right }
    }

    pub(crate) fn auditing(self, cheat: Auditing) -> Auditing {
        if self == Self::Cheat { cheat } else { Auditing::Honest }
    }
}

/// A strategy in a setting, with what it must gain.
pub(crate) struct Trial {
    pub(crate) adversary: &'static str,
    pub(crate) setting: String,
    /// The gain that follows from the formula, in micro-USD.
    pub(crate) computed: f64,
    /// How often it is played where others are played once: chance is great where one lease
    /// decides.
    pub(crate) weight: u64,
    /// Whether what is computed is no more than a bound.
    pub(crate) is_bound: bool,
    pub(crate) coalition: Vec<&'static str>,
    pub(crate) play: Play,
}

/// What came of a trial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// The mean gain over an honest player, in micro-USD, and its standard error.
    pub(crate) gain: f64,
    pub(crate) error: f64,
    /// The mean gain over doing nothing.
    pub(crate) over_nothing: f64,
    /// The part of seeds in which anybody of the coalition lost stake.
    pub(crate) found: f64,
}

impl Trial {
    /// Plays as many seeds.
    pub(crate) fn measure(&self, base: &World, seeds: u64) -> Measured {
        let (mut sum, mut squares, mut absolute, mut found) = (0.0, 0.0, 0.0, 0.0);
        for seed in 0..seeds {
            let world = base.fork(seed);
            let before = world.wealth(&self.coalition);
            let honest = (self.play)(world.clone(), Player::Honest);
            honest.assert_only_slashed(&[]);
            let cheat = (self.play)(world, Player::Cheat);
            cheat.assert_only_slashed(&self.coalition);
            let gain = float(cheat.wealth(&self.coalition) - honest.wealth(&self.coalition));
            sum += gain;
            squares += gain * gain;
            absolute += float(cheat.wealth(&self.coalition) - before);
            found += f64::from(u8::from(!cheat.slashed.is_empty()));
        }
        let count = float(seeds.try_into().unwrap());
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0) * count / (count - 1.0);
        Measured {
            gain: mean,
            error: (variance / count).sqrt(),
            over_nothing: absolute / count,
            found: found / count,
        }
    }
}

pub(crate) fn float(number: i64) -> f64 {
    f64::from(i32::try_from(number).expect("amounts of a trial are small"))
}

/// Returns the part of a price that the provider gets.
pub(crate) fn net(parameters: &Parameters) -> f64 {
    let fee = parameters.burn_share.get() + parameters.treasury_share.get();
    1.0 - f64::from(fee) / 10_000.0
}

/// Returns the greatest price of which so many leases at a time fit under a stake.
pub(crate) fn limit_price(parameters: &Parameters, audit: &AuditTerms, leases: u64) -> u64 {
    let cover = parameters.cover(micro(STAKE)).get() / leases;
    let fits = |price| parameters.exposure(audit, micro(price)).unwrap().get() <= cover;
    let (mut low, mut high) = (0, STAKE);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// Returns the probability that all auditors of an audit are among `colluding` of eight.
pub(crate) fn all_collude(colluding: usize, auditors: u8) -> f64 {
    (0..usize::from(auditors))
        .map(|drawn| {
            let left = |count: usize| float(count.saturating_sub(drawn).try_into().unwrap());
            left(colluding) / left(AUDITORS.len())
        })
        .product()
}

/// Returns the gain of faking `leases` of a price, as the module says.
pub(crate) fn gain_of_fakes(
    parameters: &Parameters,
    audit: &AuditTerms,
    colluding: usize,
    leases: i32,
    price: u64,
) -> f64 {
    let probability = f64::from(audit.probability.get()) / 10_000.0;
    let all = all_collude(colluding, audit.auditors);
    let found = probability * (1.0 - all);
    let (price, count) = (float(price.try_into().unwrap()), f64::from(leases));
    let worth = float(STAKE.try_into().unwrap());
    // With more than one auditor, those who agree beside an honest one lose their stake too, which
    // is left out: then this is the most that there is to gain.
    let friends = f64::from(audit.auditors) * all;
    let saved = count * price * (1.0 + probability * friends);
    let stake = worth * (1.0 - (1.0 - found / 2.0).powi(leases));
    let forfeited = (1.0 - probability) * (1.0 - (1.0 - found).powi(leases - 1));
    saved - stake - count * price * net(parameters) * (found + forfeited)
}

pub(crate) fn friends(colluding: usize) -> Vec<&'static str> {
    let mut names = vec!["provider"];
    names.extend(AUDITORS.into_iter().take(colluding));
    names
}
