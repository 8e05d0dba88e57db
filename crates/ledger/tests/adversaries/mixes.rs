//! Any strategies at once: whoever is honest keeps its stake, and who fakes a part is found.

use types::{Action, Parameters};

use crate::detection::Detection;
use crate::players::Auditing;
use crate::world::{AUDITORS, Deal, Dice, PROVIDERS, TENANTS, Work, World, audits};
use crate::{seed, seeds};

/// Cheats of each kind of partial work that the page tells of.
pub(crate) const CHEATS: u64 = 100;

/// What a provider that is honest, and one that is not, may do; of the same job there must be
/// another lease before.
fn work(dice: &mut Dice, world: &World) -> Work {
    let other = world.jobs.first().map(|job| job.lease);
    match (dice.below(8), other) {
        (0, _) => Work::Fake,
        (1, _) => Work::Withheld,
        (2, Some(other)) => Work::Of(other),
        _ => Work::Right,
    }
}

/// Plays leases of all providers under all kinds of auditors; returns the world, and who may lose
/// stake in it: nobody else ever does.
fn mix(base: &World, seed: u64) -> (World, Vec<&'static str>) {
    const STRATEGIES: [Auditing; 7] = [
        Auditing::Colludes,
        Auditing::Turncoat,
        Auditing::Unavailable,
        Auditing::Guesses,
        Auditing::Frames,
        Auditing::Absent,
        Auditing::Silent,
    ];
    let mut dice = Dice(seed);
    let mut world = base.fork(seed);
    let mut cheats = Vec::new();
    if dice.below(2) == 0 {
        world = world.with_a_lying_validator();
    }
    let rarity = 1 + dice.below(4);
    for name in AUDITORS {
        if dice.below(rarity) == 0 {
            let strategy = STRATEGIES[usize::try_from(dice.below(7)).unwrap()];
            world.with_auditor(name, strategy);
            match strategy {
                Auditing::Unavailable | Auditing::Absent | Auditing::Silent => {}
                _ => cheats.push(name),
            }
        }
    }
    for _ in 0..3 + dice.below(6) {
        let provider = PROVIDERS[usize::try_from(dice.below(4)).unwrap()];
        let tenant = TENANTS[usize::try_from(dice.below(3)).unwrap()];
        let work = work(&mut dice, &world);
        let probability = if dice.below(3) == 0 { 500 } else { 10_000 };
        let auditors = 1 + u8::try_from(dice.below(7)).unwrap();
        let price = 1_543 + dice.below(400_000);
        let audit = audits(probability, auditors);
        let Ok(lease) = world.play(&Deal { provider, tenant, work, price, audit }) else {
            continue;
        };
        if work != Work::Right {
            cheats.push(provider);
        }
        if dice.below(4) == 0 {
            world.ok(tenant, Action::Dispute { lease });
        }
        world.pass(1 + dice.below(20_000));
        world.act();
    }
    world.settle();
    (world, cheats)
}

#[test]
fn whoever_is_honest_keeps_its_stake_in_any_mix() {
    let bases = [World::new(Parameters::public()), World::new(Parameters::local())];
    let (first, count, mut slashed) = (seed(), seeds(150, 10_000), 0);
    for number in first..first + count {
        for base in &bases {
            let (world, cheats) = mix(base, number);
            world.assert_only_slashed(&cheats);
            slashed += world.slashed.len();
        }
    }
    let mixes = 2 * count;
    println!("IDLEWILD_SEED={first}: {mixes} mixes, {slashed} cheats slashed, 0 honest");
    assert!(slashed > usize::try_from(count).unwrap(), "{slashed}");
}

/// Returns the kinds of partial work that the page tells of.
pub(crate) fn detections() -> Vec<Detection> {
    let kinds = [(100, 8_000), (20, 1_600), (5, 400)];
    let kind = |(one_in, leases_per_epoch)| {
        [0, 4].map(|colluding| Detection { one_in, leases_per_epoch, colluding })
    };
    kinds.into_iter().flat_map(kind).collect()
}

/// Plays partial work; returns how many cheats of so many were found in time.
pub(crate) fn found(base: &World, kind: &Detection, cheats: u64, is_full: bool) -> u64 {
    let found = (0..cheats).filter(|seed| kind.is_found(base, *seed, is_full)).count();
    let found = u64::try_from(found).unwrap();
    let Detection { one_in, leases_per_epoch, colluding } = kind;
    println!("1 in {one_in} of {leases_per_epoch} an epoch, ρ {colluding}/8: {found} of {cheats}");
    assert!(found * 100 >= cheats * 99, "{found} of {cheats}");
    found
}

#[test]
fn who_fakes_a_part_is_found_within_three_epochs() {
    let base = World::new(Parameters::public());
    for kind in detections() {
        assert!(kind.computed() >= 0.99);
        found(&base, &kind, seeds(30, 2_000), false);
    }
    // With every honest lease between the faked ones.
    let full = Detection { one_in: 5, leases_per_epoch: 400, colluding: 0 };
    found(&base, &full, seeds(5, 50), true);
}
