//! Providers that keep what they have not done from being checked.

use types::Parameters;

use crate::trial::{Player, Trial, float, friends, gain_of_fakes, limit_price, net};
use crate::world::{Deal, STAKE, Work, audits};

/// Fakes, and lets nobody have the inputs who is drawn, with the help of a validator's node.
pub(crate) fn withholds(parameters: &Parameters, leases: i32) -> Trial {
    let audit = audits(500, 1);
    let count = u64::try_from(leases).unwrap();
    let price = limit_price(parameters, &audit, count);
    // As long as auditors are drawn anew, what is not drawn may be paid.
    let saved = float((price * count).try_into().unwrap());
    let stake = float(STAKE.try_into().unwrap()) * (1.0 - (1.0 - 0.05 / 2.0_f64).powi(leases));
    Trial {
        adversary: "withheld inputs",
        setting: format!("{leases} × {price} µUSD, p 5 %, k 1, ρ 0/8, 1 of 4 validators"),
        computed: saved - stake - saved * net(parameters) * 0.05,
        weight: 1,
        is_bound: true,
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

/// Takes all auditors' time for more than a day with a job of its own, then hands in a fake.
pub(crate) fn floods(parameters: &Parameters) -> Trial {
    const JOBS: u64 = 4;
    /// Of each; at a thousand a second, twice of all take longer than a day.
    const UNITS: u64 = 11_000_000;
    let (audit, flood) = (audits(500, 1), audits(10_000, 7));
    let price = limit_price(parameters, &audit, 1);
    let rate = classes::CLASSES[0].rate_min();
    let cost = rate.cost(types::Units::new(UNITS).unwrap()).unwrap().get();
    // Seven audits are paid for, besides the fee; in the honest world nothing of this is spent.
    let paid = float((JOBS * cost * 7).try_into().unwrap());
    let fee = float((JOBS * cost).try_into().unwrap()) * (1.0 - net(parameters));
    let storage = float(parameters.storage_stake.get().try_into().unwrap());
    Trial {
        adversary: "floods auditors",
        setting: format!(
            "{JOBS} jobs of 3 hours with itself at {cost} µUSD and k 7, then 1 × {price} µUSD"
        ),
        computed: gain_of_fakes(parameters, &audit, 0, 1, price) - paid - fee - storage,
        weight: 5,
        is_bound: false,
        coalition: vec!["provider", "provider 2", "tenant 2"],
        play: Box::new(move |mut world, player| {
            if player == Player::Cheat {
                world.post("provider 2", rate.get());
                let (provider, tenant, work) = ("provider 2", "tenant 2", Work::Known);
                let deal = Deal { provider, tenant, work, price: UNITS, audit: flood };
                for _ in 0..JOBS {
                    world.play(&deal).unwrap();
                }
                world.draw();
            }
            let work = player.work(Work::Fake);
            let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
            world.play(&deal).unwrap();
            // Nobody has done anything when this is drawn.
            world.draw();
            world.settle();
            world
        }),
    }
}

/// Serves a job that another serves too, and copies the other's receipt.
pub(crate) fn copies_a_receipt(parameters: &Parameters) -> Trial {
    let (audit, price) = (audits(500, 1), 160_000);
    Trial {
        adversary: "copied receipt",
        setting: format!("1 × {price} µUSD of a job that another provider does too"),
        computed: gain_of_fakes(parameters, &audit, 0, 1, price),
        weight: 5,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            let (provider, tenant, work) = ("provider 2", "tenant", Work::Right);
            let deal = Deal { provider, tenant, work, price, audit };
            let other = world.play(&deal).unwrap();
            let (provider, work) = ("provider", player.work(Work::Of(other)));
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
        computed: gain_of_fakes(parameters, &audit, 0, 8, price),
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

/// Does the work, and bills twice as much.
pub(crate) fn pads(parameters: &Parameters) -> Trial {
    let audit = audits(500, 1);
    let price = limit_price(parameters, &audit, 8) / 2 * 2;
    let paid = float((price * 8).try_into().unwrap());
    Trial {
        adversary: "padded bill",
        setting: format!("8 × {price} µUSD for half of that, p 5 %, k 1"),
        // It saves half of what a fake does, and loses as much.
        computed: gain_of_fakes(parameters, &audit, 0, 8, price) - paid / 2.0,
        weight: 1,
        is_bound: false,
        coalition: friends(0),
        play: Box::new(move |mut world, player| {
            let work = player.work(Work::Padded);
            for _ in 0..8 {
                let deal = Deal { provider: "provider", tenant: "tenant", work, price, audit };
                world.play(&deal).unwrap();
            }
            world.settle();
            world
        }),
    }
}
