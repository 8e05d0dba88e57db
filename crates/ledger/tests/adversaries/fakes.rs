//! Providers that hand in work that they have not done.

use types::{Action, AuditTerms, Parameters};

use crate::players::Auditing;
use crate::trial::{Player, Trial, all_collude, float, friends, gain_of_fakes, limit_price, net};
use crate::world::{Deal, PROVIDERS, STAKE, Work, audits, micro};

/// Fakes leases at the full extent that the stake allows.
fn wrong_output(
    parameters: &Parameters,
    audit: AuditTerms,
    colluding: usize,
    leases: i32,
) -> Trial {
    let count = u64::try_from(leases).unwrap();
    let price = limit_price(parameters, &audit, count);
    let (probability, auditors) = (audit.probability.get() / 100, audit.auditors);
    Trial {
        adversary: "wrong output",
        setting: format!(
            "{leases} × {price} µUSD, p {probability} %, k {auditors}, ρ {colluding}/8"
        ),
        computed: gain_of_fakes(parameters, &audit, colluding, leases, price),
        weight: if leases == 1 { 5 } else { 1 },
        is_bound: auditors > 1,
        coalition: friends(colluding),
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(colluding, player.auditing(Auditing::Colludes));
            let work = player.work(Work::Fake);
            for _ in 0..count {
                world
                    .play(&Deal { provider: "provider", tenant: "tenant", work, price, audit })
                    .expect("it is within the limit");
            }
            world.settle();
            world
        }),
    }
}

/// Fakes at the limit, in one lease or many, under audits of several kinds.
pub(crate) fn wrong_outputs(parameters: &Parameters) -> Vec<Trial> {
    let trial = |probability, auditors, colluding, leases| {
        wrong_output(parameters, audits(probability, auditors), colluding, leases)
    };
    vec![trial(500, 1, 0, 1), trial(500, 1, 0, 8), trial(10_000, 1, 0, 4)]
}

/// Gives a cheat one of the four validators as a friend.
fn with_a_lying_validator(trial: Trial) -> Trial {
    let Trial { play, setting, .. } = trial;
    Trial {
        setting: format!("{setting}, 1 of 4 validators"),
        play: Box::new(move |world, player| match player {
            Player::Honest => play(world, player),
            Player::Cheat => play(world.with_a_lying_validator(), player),
        }),
        ..trial
    }
}

/// Fakes with friends among the auditors, who say what its receipts say.
pub(crate) fn collusions(parameters: &Parameters) -> Vec<Trial> {
    let trial = |probability, auditors, colluding, leases| {
        wrong_output(parameters, audits(probability, auditors), colluding, leases)
    };
    vec![
        with_a_lying_validator(trial(500, 1, 0, 8)),
        trial(500, 1, 2, 1),
        trial(500, 1, 2, 8),
        trial(500, 1, 4, 8),
        trial(1_000, 2, 4, 8),
        trial(10_000, 1, 4, 4),
    ]
}

/// Fakes one lease that takes up the whole limit, with half of the auditors as friends.
pub(crate) fn at_the_edge(parameters: &Parameters) -> Vec<Trial> {
    vec![wrong_output(parameters, audits(500, 1), 4, 1), splits(parameters, 4)]
}

/// Fakes with friends who accuse it where they could not save it, for their part of its stake.
pub(crate) fn turncoats(parameters: &Parameters) -> Vec<Trial> {
    let audit = audits(1_000, 2);
    let price = limit_price(parameters, &audit, 1);
    let (colluding, probability, count) = (4, 0.1, float(price.try_into().unwrap()));
    let (all, none) = (all_collude(colluding, 2), all_collude(8 - colluding, 2));
    let mixed = 1.0 - all - none;
    let lost = float((STAKE / 2).try_into().unwrap());
    // One of two accusers has half of the half that is not burned; it has done the work for it.
    let stake = lost * (1.0 - all) - lost / 4.0 * mixed;
    let saved = count * (1.0 + probability * (2.0 * all - mixed));
    let not_paid = count * net(parameters) * probability * (1.0 - all);
    vec![Trial {
        adversary: "turncoats",
        setting: format!("1 × {price} µUSD, p 10 %, k 2, ρ 4/8"),
        computed: saved - probability * stake - not_paid,
        weight: 5,
        is_bound: false,
        coalition: friends(colluding),
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(colluding, player.auditing(Auditing::Turncoat));
            let work = player.work(Work::Fake);
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            world.settle();
            world
        }),
    }]
}

/// Fakes one lease each under four names with a stake each.
pub(crate) fn splits(parameters: &Parameters, colluding: usize) -> Trial {
    let audit = audits(500, 1);
    let price = limit_price(parameters, &audit, 1);
    let mut coalition = friends(colluding);
    coalition.extend(&PROVIDERS[1..]);
    Trial {
        adversary: "many names",
        setting: format!("4 names × {price} µUSD, p 5 %, k 1, ρ {colluding}/8"),
        computed: 4.0 * gain_of_fakes(parameters, &audit, colluding, 1, price),
        weight: 1,
        is_bound: false,
        coalition,
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(colluding, player.auditing(Auditing::Colludes));
            let work = player.work(Work::Fake);
            for provider in PROVIDERS {
                world.play(&Deal { provider, tenant: "tenant", work, price, audit }).unwrap();
            }
            world.settle();
            world
        }),
    }
}

/// Fakes, then takes its offers back and unlocks what stake it may.
pub(crate) fn runs_away(parameters: &Parameters) -> Trial {
    let audit = audits(10_000, 1);
    // A part of the stake is left to unlock.
    let price = limit_price(parameters, &audit, 1) / 2;
    Trial {
        adversary: "unbonds and runs",
        setting: format!("1 × {price} µUSD, p 100 %, k 1, ρ 0/8, half its stake on the way out"),
        // What its offer locked comes back too.
        computed: gain_of_fakes(parameters, &audit, 0, 1, price)
            + float(parameters.storage_stake.get().try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            let work = player.work(Work::Fake);
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            if player == Player::Cheat {
                world.retire("provider");
                let amount = micro(STAKE / 2);
                world.ok("provider", Action::Unstake { amount });
                let more = Action::Unstake { amount: micro(1_000_000) };
                assert_eq!(world.run("provider", more), Err(types::Reject::StakeInUse));
            }
            world.settle();
            world
        }),
    }
}
