//! Auditors that do not do the work, or say something else than it gave.

use types::Parameters;

use crate::players::Auditing;
use crate::trial::{Player, Trial, float, friends, limit_price};
use crate::world::{AUDITORS, Deal, STAKE, Work, audits};

/// Audits without doing the work, in the way that is said.
pub(crate) fn audits_lazily(
    adversary: &'static str,
    auditing: Auditing,
    drawn_loses: f64,
) -> Trial {
    let (audit, price) = (audits(10_000, 1), 1_000_000);
    Trial {
        adversary,
        setting: "1 auditor of 8, 1 × 1000000 µUSD, p 100 %, k 1".to_owned(),
        computed: 0.0 - drawn_loses / 8.0,
        weight: 1,
        is_bound: false,
        coalition: vec!["ann"],
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(1, player.auditing(auditing));
            let work = Work::Right;
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            world.settle();
            world
        }),
    }
}

/// Half of the auditors, and a validator, say together that right work is wrong.
pub(crate) fn frames(lying: bool) -> Trial {
    let (audit, price) = (audits(10_000, 2), 1_000_000);
    let judges = if lying { "1 of 4 validators with them" } else { "all validators honest" };
    Trial {
        adversary: "lying auditors",
        setting: format!("ρ 4/8, 1 × 1000000 µUSD, p 100 %, k 2, {judges}"),
        // One of the two that are drawn, on average, loses half of its stake.
        computed: -float((STAKE / 2).try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: AUDITORS[..4].to_vec(),
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(4, player.auditing(Auditing::Frames));
            if lying && player == Player::Cheat {
                world = world.with_a_lying_validator();
            }
            let work = Work::Right;
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            world.settle();
            world
        }),
    }
}

/// Orders, and lets its auditors say that right work could not be redone.
pub(crate) fn denies(parameters: &Parameters, colluding: usize) -> Trial {
    let audit = audits(500, 1);
    let price = limit_price(parameters, &audit, 8);
    let mut coalition = friends(colluding);
    coalition[0] = "tenant";
    Trial {
        adversary: "denies work",
        setting: format!("8 × {price} µUSD, p 5 %, k 1, ρ {colluding}/8"),
        computed: 0.0,
        weight: 3,
        is_bound: false,
        coalition,
        play: Box::new(move |world, player| {
            let auditing = player.auditing(Auditing::Unavailable);
            let mut world = world.with_auditors(colluding, auditing);
            let work = Work::Right;
            for _ in 0..8 {
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
            }
            world.settle();
            world
        }),
    }
}
