//! Auditors and validators against the ledger itself, which stands behind a network that loses
//! what it carries, and kills whom it likes at whatever call.

mod kills;
mod parties;
mod trouble;
mod world;

use std::sync::Arc;

use executors::wasm::{EngineKind, specification::METERING_VERSION};
use types::{Accuser, CheckState, LeaseId, Verdict};

use parties::{Agent, Machine, start_all};
use world::{AUDITORS, Net, PROVIDER, Party, STAKE, TENANT, VALIDATORS, World, pass};

/// Waits until so many auditors can be drawn.
async fn seated(net: &Net, parties: &[Party]) {
    let is_seated = |world: &World, party: &Party| {
        world.auditor(*party).is_some_and(|auditor| !auditor.seats.is_empty())
    };
    net.until("all have seats", |world| parties.iter().all(|party| is_seated(world, party))).await;
}

async fn settled(net: &Net, lease: LeaseId) -> CheckState {
    net.until("it is paid or refunded", |world| world.is_settled(lease)).await;
    net.world().check(lease)
}

/// Waits until auditors keep nothing.
async fn forgotten(net: &Net, agents: &[Agent]) {
    let is_audit = |agent: &&Agent| AUDITORS.contains(&agent.party);
    while agents.iter().filter(is_audit).any(|agent| agent.kept() > 0) {
        pass(parties::LOOK_EVERY).await;
        assert!(net.world().now().as_ms() < 10_000_000, "something stays in a journal");
    }
}

/// Checks that nobody but these lost stake.
fn assert_slashed(world: &World, cheats: &[Party]) {
    for party in AUDITORS.into_iter().chain([PROVIDER]) {
        assert_eq!(world.staked(party) < STAKE, cheats.contains(&party), "{party:?}");
    }
}

fn verdicts(world: &World, lease: LeaseId) -> Vec<(Party, Verdict)> {
    let audit = world.ledger.audit(&lease).unwrap();
    let party = |address| AUDITORS.into_iter().find(|party| party.address() == address).unwrap();
    audit.verdicts().map(|(address, verdict)| (party(address), verdict)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_honest_provider_and_its_auditors_are_paid() {
    for seed in 0..8 {
        let net = Net::start(seed, &VALIDATORS);
        net.world().losses = (seed % 2 == 1).then_some(3);
        let agents = start_all(&net, &AUDITORS);
        seated(&net, &AUDITORS).await;
        let before: Vec<u64> = AUDITORS.map(|party| net.world().wallet(party)).to_vec();
        let provider = net.world().wallet(PROVIDER);
        let leases = net.change(|world| [1, 2, 3].map(|auditors| world.hand_in(auditors, false)));
        for lease in leases {
            assert_eq!(settled(&net, lease).await, CheckState::Passed, "seed {seed}");
        }
        forgotten(&net, &agents).await;
        let world = net.world();
        let paid = |(party, before): (&Party, &u64)| world.wallet(*party) - before;
        assert_eq!(AUDITORS.iter().zip(&before).map(paid).sum::<u64>(), 6 * 5_000);
        assert_eq!(world.wallet(PROVIDER), provider - 1_000 + 3 * 4_600);
        assert_slashed(&world, &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cheat_is_found_judged_and_slashed_and_the_tenant_has_its_money_back() {
    for seed in 0..8 {
        let validators = &VALIDATORS[..1 + usize::try_from(seed % 4).unwrap()];
        let net = Net::start(seed, validators);
        net.world().losses = (seed >= 4).then_some(3);
        let mut agents = start_all(&net, &AUDITORS);
        agents.extend(start_all(&net, validators));
        seated(&net, &AUDITORS).await;
        let tenant = net.world().wallet(TENANT);
        let lease = net.change(|world| world.hand_in(2, true));
        assert_eq!(settled(&net, lease).await, CheckState::Failed, "seed {seed}");
        forgotten(&net, &agents).await;
        let world = net.world();
        assert_eq!(world.wallet(TENANT), tenant);
        assert_slashed(&world, &[PROVIDER]);
        assert!(verdicts(&world, lease).iter().all(|(_, said)| *said == Verdict::Mismatch));
    }
}

/// Lets one lease be audited by two of these machines and judged by those; returns how it ended,
/// and who accused.
async fn with_machines(
    cheats: bool,
    auditors: [Machine; 4],
    validators: &[Machine],
) -> (Arc<Net>, CheckState, Option<Accuser>) {
    let judges = &VALIDATORS[..validators.len()];
    let net = Net::start(7, judges);
    let machines = auditors.iter().chain(validators);
    let parties = AUDITORS.iter().chain(judges);
    let agents: Vec<Agent> = parties
        .zip(machines)
        .map(|(party, machine)| Agent::start(&net, *party, *machine))
        .collect();
    seated(&net, &AUDITORS).await;
    let (tenant, lease) = net.change(|world| {
        let tenant = world.wallet(TENANT);
        (tenant, world.hand_in(2, cheats))
    });
    let check = settled(&net, lease).await;
    forgotten(&net, &agents).await;
    if check.is_refunded() {
        let world = net.world();
        let kept = tenant - world.wallet(TENANT);
        // What auditors were paid is not given back.
        assert!(kept <= 10_000, "{kept}");
    }
    let by = net.world().ledger.dispute(&lease).map(|dispute| dispute.accuser);
    (net, check, by)
}

const RIGHT: Machine = Machine::Right;

#[tokio::test(start_paused = true)]
async fn engines_that_differ_cost_nobody_stake() {
    for engine in [EngineKind::Compiler, EngineKind::Interpreter] {
        let broken = Machine::Broken(engine);
        // At every auditor: what an honest provider did is passed, if need be by validators.
        let (net, check, _) = with_machines(false, [broken; 4], &[RIGHT; 4]).await;
        assert_eq!(check, CheckState::Passed);
        assert_slashed(&net.world(), &[]);
        // And a cheat is not accused by whoever cannot be sure, but found by validators.
        let (net, check, by) = with_machines(true, [broken; 4], &[RIGHT; 4]).await;
        assert_eq!((check, by), (CheckState::Failed, Some(Accuser::Nobody)));
        assert_slashed(&net.world(), &[PROVIDER]);
        // Where all are broken, an engine that works bears out who is honest, and a cheat is not
        // paid.
        for (cheats, expected) in [(false, CheckState::Passed), (true, CheckState::Undecided)] {
            let (net, check, _) = with_machines(cheats, [broken; 4], &[broken; 4]).await;
            assert_eq!(check, expected);
            assert_slashed(&net.world(), &[]);
        }
        // One validator in four cannot hide a cheat; all of them together can, and no more.
        let (net, check, _) = with_machines(true, [RIGHT; 4], &[broken, RIGHT, RIGHT, RIGHT]).await;
        assert_eq!(check, CheckState::Failed);
        assert_slashed(&net.world(), &[PROVIDER]);
        let (net, check, _) = with_machines(true, [RIGHT; 4], &[broken; 4]).await;
        assert_eq!(check, CheckState::Undecided);
        assert_slashed(&net.world(), &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn machines_that_fail_accuse_nobody() {
    for machine in [Machine::Failing, Machine::Hanging] {
        for cheats in [false, true] {
            let (net, check, by) = with_machines(cheats, [machine; 4], &[RIGHT; 4]).await;
            let expected = if cheats { CheckState::Failed } else { CheckState::Passed };
            assert_eq!((check, by), (expected, Some(Accuser::Nobody)), "{machine:?}");
            let cheat = if cheats { &[PROVIDER][..] } else { &[] };
            assert_slashed(&net.world(), cheat);
        }
        let (net, check, _) = with_machines(true, [RIGHT; 4], &[machine; 4]).await;
        assert_eq!(check, CheckState::Undecided);
        assert_slashed(&net.world(), &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_slowness_lets_one_engine_accuse() {
    let (net, check, by) = with_machines(true, [Machine::Crashing; 4], &[RIGHT; 4]).await;
    assert_eq!((check, by), (CheckState::Failed, Some(Accuser::Nobody)));
    assert_slashed(&net.world(), &[PROVIDER]);
    let (net, check, by) = with_machines(true, [Machine::Slow; 4], &[RIGHT; 4]).await;
    assert!(matches!(by, Some(Accuser::Auditor { .. })));
    assert_eq!(check, CheckState::Failed);
    assert_slashed(&net.world(), &[PROVIDER]);
}

#[tokio::test(start_paused = true)]
async fn inputs_that_cannot_be_had_slash_nobody_and_others_are_drawn() {
    let net = Net::start(3, &VALIDATORS);
    let mut agents = start_all(&net, &AUDITORS);
    agents.extend(VALIDATORS.map(|party| Agent::start(&net, party, Machine::Crashing)));
    seated(&net, &AUDITORS).await;
    let (tenant, lease) = net.change(|world| {
        let tenant = world.wallet(TENANT);
        let lease = world.hand_in(1, true);
        let program = world.program(lease);
        world.withheld.insert(program);
        (tenant, lease)
    });
    assert_eq!(settled(&net, lease).await, CheckState::Unavailable);
    forgotten(&net, &agents).await;
    let world = net.world();
    let said = verdicts(&world, lease);
    let distinct: std::collections::BTreeSet<Party> = said.iter().map(|said| said.0).collect();
    assert_eq!(distinct.len(), 3);
    assert!(said.iter().all(|(_, said)| *said == Verdict::Unavailable));
    assert_eq!(world.wallet(TENANT), tenant);
    assert_slashed(&world, &[]);
}

#[tokio::test(start_paused = true)]
async fn who_bills_less_than_the_work_uses_is_found() {
    for (bill, cheats) in [(4_999_999_999, false), (1, false), (1, true)] {
        let net = Net::start(5, &VALIDATORS);
        let mut agents = start_all(&net, &AUDITORS);
        agents.extend(start_all(&net, &VALIDATORS));
        seated(&net, &AUDITORS).await;
        let hand_in = |world: &mut World| {
            world.hand_in_billed(METERING_VERSION, 2, cheats, |fuel| fuel.min(bill))
        };
        let lease = net.change(hand_in);
        assert_eq!(settled(&net, lease).await, CheckState::Failed, "{bill}");
        forgotten(&net, &agents).await;
        let world = net.world();
        assert_slashed(&world, &[PROVIDER]);
        assert!(verdicts(&world, lease).iter().all(|(_, said)| *said == Verdict::Mismatch));
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_is_not_drawn_any_more() {
    let net = Net::start(4, &VALIDATORS);
    let mut agents = start_all(&net, &AUDITORS);
    let judges = start_all(&net, &VALIDATORS);
    seated(&net, &AUDITORS).await;
    let lease = net.change(|world| world.hand_in(4, false));
    net.until("they are drawn", |world| world.ledger.audit(&lease).is_some()).await;
    let leaving = Arc::clone(agents[0].auditing.as_ref().unwrap());
    leaving.leave().await;
    let has_seats =
        |world: &World| world.auditor(AUDITORS[0]).is_some_and(|auditor| !auditor.seats.is_empty());
    assert!(!has_seats(&net.world()));
    // What it has begun it ends, and it does not come back as long as its work lasts.
    assert_eq!(settled(&net, lease).await, CheckState::Passed);
    let enlisted = net.world().tries(AUDITORS[0], "enlist");
    let next = net.change(|world| world.hand_in(3, false));
    assert_eq!(settled(&net, next).await, CheckState::Passed);
    assert!(!has_seats(&net.world()));
    assert_eq!(net.world().tries(AUDITORS[0], "enlist"), enlisted);
    let is_its = |lease| verdicts(&net.world(), lease).iter().any(|(by, _)| *by == AUDITORS[0]);
    assert!(is_its(lease) && !is_its(next));
    // One that ends in the middle loses its seats, and only these.
    let third = net.change(|world| world.hand_in(3, false));
    agents[1].ran(agents[1].runs() + 1).await;
    agents[1].kill().await;
    assert_eq!(settled(&net, third).await, CheckState::Passed);
    assert!(judges.iter().any(|judge| judge.runs() > 0));
    assert_slashed(&net.world(), &[]);
    assert!(net.world().auditor(AUDITORS[1]).unwrap().seats.is_empty());
    drop(leaving);
    agents[0].kill().await;
    agents[0].resume();
    net.until("it is back", has_seats).await;
}
