//! Tenants that accuse whom they owe, and rings that deal with themselves.

use types::{Action, AuditTerms, Parameters};

use crate::players::Auditing;
use crate::trial::{Player, Trial, float, friends, net};
use crate::world::{AUDITORS, Deal, STAKE, Work, audits};

/// Disputes right work.
pub(crate) fn disputes_falsely(parameters: &Parameters) -> Trial {
    let (audit, price) = (audits(500, 1), 900_000);
    let bond = parameters.dispute_bond.get().max(price);
    Trial {
        adversary: "false disputer",
        setting: format!("1 × {price} µUSD, p 5 %, k 1, a bond of {bond} µUSD"),
        computed: -float(bond.try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: vec!["tenant"],
        play: Box::new(move |mut world, player| {
            let work = Work::Right;
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            let lease = world.play(&deal).unwrap();
            if player == Player::Cheat {
                world.ok("tenant", Action::Dispute { lease });
            }
            world.settle();
            world
        }),
    }
}

/// Orders from itself and audits itself; honest is not to deal at all.
pub(crate) fn deals_with_itself(parameters: &Parameters, audit: AuditTerms) -> Trial {
    let price: u64 = 900_000;
    let (probability, auditors) = (audit.probability.get(), audit.auditors);
    let premium = f64::from(probability) / 10_000.0 * f64::from(auditors);
    let mut coalition = friends(4);
    coalition.push("tenant");
    Trial {
        adversary: "ring",
        setting: format!("1 × {price} µUSD, p {} %, k {auditors}, ρ 4/8", probability / 100),
        // Half of what it pays for audits comes back to its own auditors.
        computed: -float(price.try_into().unwrap()) * (1.0 - net(parameters) + premium / 2.0),
        weight: 3,
        is_bound: false,
        coalition,
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(4, Auditing::Colludes);
            if player == Player::Cheat {
                let work = Work::Known;
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
                world.settle();
            }
            world
        }),
    }
}

/// Orders from itself, has its fakes passed by friends, and has the money back by a dispute.
pub(crate) fn disputes_itself() -> Trial {
    let (audit, price) = (audits(10_000, 7), 10_000_000);
    let coalition: Vec<&str> = friends(AUDITORS.len()).into_iter().chain(["tenant"]).collect();
    // Half of the stakes of the provider and of the auditors that are drawn, of which half comes
    // back; and the part of the first that is below what a seat takes is nobody's.
    let lost = float((STAKE / 2 * 8 / 2).try_into().unwrap());
    Trial {
        adversary: "ring that accuses itself",
        setting: format!("1 × {price} µUSD, p 100 %, k 7, ρ 8/8"),
        computed: -lost,
        weight: 1,
        is_bound: false,
        coalition,
        play: Box::new(move |world, player| {
            let mut world = world.with_auditors(AUDITORS.len(), Auditing::Colludes);
            if player == Player::Cheat {
                let (provider, tenant, work) = ("provider", "tenant", Work::Fake);
                let lease = world.play(&Deal { provider, tenant, work, price, audit }).unwrap();
                world.judge();
                world.ok("tenant", Action::Dispute { lease });
                world.reopen();
                world.settle();
            }
            world
        }),
    }
}
