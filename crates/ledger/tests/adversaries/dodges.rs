//! Providers that keep what they have not done from being checked.

use types::{Action, Parameters};

use crate::trial::{Player, Trial, float, friends, gain_of_fakes, limit_price, net};
use crate::world::{AUDITORS, Deal, Work, audits};

/// Fakes, and lets nobody have the inputs who is drawn.
pub(crate) fn withholds(parameters: &Parameters, leases: i32) -> Trial {
    let audit = audits(500, 1);
    let count = u64::try_from(leases).unwrap();
    let price = limit_price(parameters, &audit, count);
    let paid = net(parameters) * 0.05;
    Trial {
        adversary: "withheld inputs",
        setting: format!("{leases} × {price} µUSD, p 5 %, k 1, ρ 0/8, inputs nowhere but there"),
        computed: float((price * count).try_into().unwrap()) * (1.0 - paid),
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            let work = player.work(Work::Withheld);
            for _ in 0..count {
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
            }
            world.settle();
            world
        }),
    }
}

/// Fills every auditor's slots with cheap leases of its own, then hands in a fake.
pub(crate) fn floods(parameters: &Parameters) -> Trial {
    const FLOOD: u64 = 4;
    let (audit, flood) = (audits(500, 1), audits(10_000, 7));
    let price = limit_price(parameters, &audit, 1) - 1_000;
    let minimum = parameters.receipt_minimum.get();
    // Two audits of each auditor are paid for, besides the fee of each lease; in the honest world
    // nothing of this is spent.
    let audits_paid = float((minimum * 7 * FLOOD).try_into().unwrap());
    let fees = float((minimum * FLOOD).try_into().unwrap()) * (1.0 - net(parameters));
    Trial {
        adversary: "floods auditors",
        setting: format!("4 leases with itself at {minimum} µUSD and k 7, then 1 × {price} µUSD"),
        computed: gain_of_fakes(parameters, &audit, 0, 1, price) - audits_paid - fees,
        weight: 5,
        is_bound: false,
        coalition: vec!["provider", "tenant 2"],
        play: Box::new(move |mut world, player| {
            if player == Player::Cheat {
                for _ in 0..FLOOD {
                    let work = Work::Known;
                    let (provider, tenant) = ("provider", "tenant 2");
                    let price = minimum;
                    world.play(&Deal { provider, tenant, work, price, audit: flood }).unwrap();
                }
                world.pass(1);
            }
            let work = player.work(Work::Fake);
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            world.settle();
            world
        }),
    }
}

/// Offers below what any auditor asks, and fakes.
pub(crate) fn undercuts(parameters: &Parameters) -> Trial {
    let audit = audits(500, 1);
    let price = limit_price(parameters, &audit, 8);
    Trial {
        adversary: "undercuts auditors",
        setting: format!("8 × {price} µUSD, p 5 %, k 1, every auditor asks more than that"),
        computed: 8.0 * float(price.try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            for name in AUDITORS {
                let terms = world.auditor(price + 1);
                world.ok(name, Action::Enlist(Box::new(terms)));
            }
            let work = player.work(Work::Fake);
            for _ in 0..8 {
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
            }
            world.settle();
            world
        }),
    }
}

/// Serves a job that another serves too, and copies the other's receipt.
pub(crate) fn copies_a_receipt() -> Trial {
    let (audit, price) = (audits(500, 1), 160_000);
    Trial {
        adversary: "copied receipt",
        setting: format!("1 × {price} µUSD of a job that another provider does too"),
        computed: float(price.try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            let (provider, tenant, work) = ("provider 2", "tenant", Work::Right);
            let deal = Deal { provider, tenant, work, price, audit };
            let other = world.play(&deal).unwrap();
            let (provider, work) = ("provider", player.work(Work::Same(other)));
            world.play(&Deal { provider, work, ..deal }).unwrap();
            world.settle();
            world
        }),
    }
}

/// Serves orders whose lease is shorter than all that they allow takes any machine, and fakes.
pub(crate) fn hides(parameters: &Parameters) -> Trial {
    let audit = audits(500, 1);
    let price = limit_price(parameters, &audit, 8);
    Trial {
        adversary: "hides behind limits",
        setting: format!("8 × {price} µUSD, p 5 %, k 1, leases shorter than that takes a machine"),
        computed: 8.0 * float(price.try_into().unwrap()),
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |world, player| {
            let mut world = world.with_short_leases();
            let work = player.work(Work::Fake);
            for _ in 0..8 {
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
            }
            world.settle();
            world
        }),
    }
}
