//! What goes wrong besides: keys, disks, nodes and machines that are not as they should be.

use std::{fs, time::Duration};

use executors::wasm::specification::METERING_VERSION;
use types::{Action, CheckState, Finding, LeaseId, Signature, Verdict};

use super::{
    AUDITORS, Agent, Machine, Net, PROVIDER, Party, RIGHT, STAKE, TENANT, VALIDATORS, World,
    assert_slashed, forgotten, parties::INPUT_BYTES_MAX, seated, settled, start_all, verdicts,
    world::pass,
};

/// Returns whether an auditor has committed.
fn has_committed(world: &World, lease: LeaseId, party: Party) -> bool {
    let audit = world.ledger.audit(&lease);
    audit.is_some_and(|audit| {
        let mut assigned = audit.current().filter(|part| part.commitment.is_some());
        assigned.any(|part| part.auditor == party.address())
    })
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_taken_any_more_is_not_tried_without_end() {
    let net = Net::start(1, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    let lease = net.change(|world| {
        let node_key = Party(99).public();
        let consent = Signature::from_bytes([0; 64]);
        world.ok(AUDITORS[0].address(), Action::RotateNodeKey { node_key, consent });
        world.hand_in(1, false)
    });
    assert_eq!(settled(&net, lease).await, CheckState::Unattended);
    forgotten(&net, &agents).await;
    assert_eq!(agents[0].runs(), 1);
    let tries = net.world().tries(AUDITORS[0], "commit-audit");
    // Its window is forty seconds long.
    assert!((10..=30).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_write_commits_to_nothing_and_works_no_more_for_it() {
    let net = Net::start(2, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    let journal = agents[0].path().join("audits");
    fs::remove_dir_all(&journal).unwrap();
    fs::write(&journal, b"").unwrap();
    let lease = net.change(|world| world.hand_in(1, false));
    agents[0].ran(1).await;
    pass(Duration::from_secs(15)).await;
    assert_eq!((agents[0].runs(), net.world().tries(AUDITORS[0], "commit-audit")), (1, 0));
    fs::remove_file(&journal).unwrap();
    fs::create_dir(&journal).unwrap();
    assert_eq!(settled(&net, lease).await, CheckState::Passed);
    assert_eq!(agents[0].runs(), 1);
    forgotten(&net, &agents).await;
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_a_listing_leaves_out_is_revealed_all_the_same() {
    let net = Net::start(3, &VALIDATORS);
    let agents = [(AUDITORS[0], RIGHT), (AUDITORS[1], Machine::Hanging)]
        .map(|(party, machine)| Agent::start(&net, party, machine));
    seated(&net, &AUDITORS[..2]).await;
    let lease = net.change(|world| world.hand_in(2, false));
    net.until("one commits", |world| has_committed(world, lease, AUDITORS[0])).await;
    net.change(|world| world.unlisted.insert(lease));
    settled(&net, lease).await;
    let said = verdicts(&net.world(), lease);
    assert!(said.contains(&(AUDITORS[0], Verdict::Agree)), "{said:?}");
    forgotten(&net, &agents).await;
}

#[tokio::test(start_paused = true)]
async fn inputs_that_never_come_leave_time_for_the_next_audit() {
    let net = Net::start(4, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    let [stuck, next] = net.change(|world| {
        let stuck = world.hand_in(1, false);
        let program = world.program(stuck);
        world.stuck.insert(program);
        [stuck, world.hand_in(1, false)]
    });
    assert_eq!(settled(&net, stuck).await, CheckState::Unattended);
    assert_eq!(verdicts(&net.world(), stuck), [(AUDITORS[0], Verdict::Unavailable)]);
    assert_eq!(settled(&net, next).await, CheckState::Passed);
    assert!(!net.world().auditor(AUDITORS[0]).unwrap().seats.is_empty());
    forgotten(&net, &agents).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_its_seats_asks_seldom() {
    let net = Net::start(5, &VALIDATORS);
    net.change(|world| {
        let amount = types::Amount::new(STAKE).unwrap();
        world.ok(AUDITORS[0].address(), Action::Unstake { amount });
    });
    let agents = start_all(&net, &AUDITORS[..1]);
    pass(Duration::from_secs(600)).await;
    let tries = net.world().tries(AUDITORS[0], "enlist");
    assert!((2..=11).contains(&tries), "{tries}");
    drop(agents);
}

/// Puts receipts to the validators.
fn disputed(net: &Net, count: usize, metering: u16, cheats: bool) -> Vec<LeaseId> {
    net.change(|world| {
        let lease = |_| {
            let lease = world.hand_in_of(metering, 1, cheats);
            // There are no auditors, so that the draw asks validators.
            world.draw(lease);
            lease
        };
        (0..count).map(lease).collect()
    })
}

/// Lets the tenant dispute a receipt for a job that uses so much fuel. It must not be drawn to be
/// audited, which the seeds see to.
fn accused(net: &Net, fuel: u64) -> LeaseId {
    net.change(|world| {
        world.fuel = 2 * fuel;
        world.probability = 500;
        let lease = world.hand_in(1, false);
        world.probability = 10_000;
        world.ok(TENANT.address(), Action::Dispute { lease });
        lease
    })
}

/// What a job uses that is long.
const LONG: u64 = 9_000_000_000;

#[tokio::test(start_paused = true)]
async fn however_many_disputes_are_open_a_validator_works_on_a_short_and_a_long_one() {
    let net = Net::start(6, &VALIDATORS[..1]);
    let mut leases = disputed(&net, 10, METERING_VERSION, false);
    let agents = start_all(&net, &VALIDATORS[..1]);
    for lease in &leases {
        assert_eq!(settled(&net, *lease).await, CheckState::Passed);
    }
    assert_eq!((agents[0].at_once(), agents[0].runs()), (1, 10));
    leases = [1, 2, LONG, LONG + 1, 3, 4].map(|fuel| accused(&net, fuel)).to_vec();
    for lease in leases {
        assert_eq!(settled(&net, lease).await, CheckState::Passed);
    }
    assert_eq!((agents[0].at_once(), agents[0].runs()), (2, 16));
}

#[tokio::test(start_paused = true)]
async fn the_least_work_comes_first_and_what_is_begun_is_ended() {
    let net = Net::start(15, &VALIDATORS[..1]);
    let agents = start_all(&net, &VALIDATORS[..1]);
    let large = accused(&net, 5_000_000_000);
    agents[0].ran(1).await;
    let [medium, small] = [2_000_000_000, 1_000_000_000].map(|fuel| accused(&net, fuel));
    for (lease, others) in [(large, vec![medium, small]), (small, vec![medium]), (medium, vec![])] {
        net.until("it is judged", |world| !world.check(lease).is_under_way()).await;
        let world = net.world();
        assert!(others.iter().all(|other| world.check(*other).is_under_way()));
    }
    assert_eq!(agents[0].runs(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_accuses_in_gives_way_to_what_somebody_does() {
    let net = Net::start(16, &VALIDATORS[..1]);
    let agents = start_all(&net, &VALIDATORS[..1]);
    let [first, second] = disputed(&net, 2, METERING_VERSION, false)[..] else { panic!("two") };
    agents[0].ran(1).await;
    let later = accused(&net, 5_000_000_000);
    net.until("it is judged", |world| !world.check(later).is_under_way()).await;
    for lease in [first, second] {
        assert!(net.world().check(lease).is_under_way());
        assert_eq!(settled(&net, lease).await, CheckState::Passed);
    }
    assert_eq!((agents[0].at_once(), agents[0].runs()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn work_that_a_listing_leaves_out_is_ended_all_the_same() {
    let net = Net::start(17, &VALIDATORS[..1]);
    let agents = start_all(&net, &VALIDATORS[..1]);
    let lease = accused(&net, 1_000_000_000);
    agents[0].ran(1).await;
    net.change(|world| world.unlisted.insert(lease));
    accused(&net, 2_000_000_000);
    assert_eq!(settled(&net, lease).await, CheckState::Passed);
    assert_eq!(agents[0].at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn inputs_that_the_machine_has_no_memory_for_are_not_taken() {
    let net = Net::start(18, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    for (bytes, verdict) in [(INPUT_BYTES_MAX, Verdict::Agree), (101, Verdict::Unavailable)] {
        let lease = net.change(|world| {
            world.program_bytes = usize::try_from(bytes).unwrap();
            world.hand_in(1, false)
        });
        settled(&net, lease).await;
        assert_eq!(verdicts(&net.world(), lease), [(AUDITORS[0], verdict)]);
    }
    assert_eq!(agents[0].runs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_ruling_that_is_not_taken_is_said_again_without_the_work() {
    for (losses, refuses) in [(Some(1), false), (None, true)] {
        let net = Net::start(7, &VALIDATORS[..1]);
        let lease = disputed(&net, 1, METERING_VERSION, false)[0];
        (net.world().losses, net.world().refuses) = (losses, refuses);
        let agents = start_all(&net, &VALIDATORS[..1]);
        agents[0].ran(1).await;
        pass(Duration::from_secs(300)).await;
        assert!(net.world().tries(VALIDATORS[0], "argue") > 3);
        (net.world().losses, net.world().refuses) = (None, false);
        assert_eq!(settled(&net, lease).await, CheckState::Passed);
        assert_eq!(agents[0].runs(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn work_of_another_version_of_the_metering_is_judged_by_nobody() {
    let net = Net::start(8, &VALIDATORS);
    // By this version's count the receipt is wrong.
    let lease = disputed(&net, 1, METERING_VERSION - 1, true)[0];
    let agents = start_all(&net, &VALIDATORS);
    assert_eq!(settled(&net, lease).await, CheckState::Unattended);
    assert_slashed(&net.world(), &[]);
    assert!(agents.iter().all(|agent| agent.runs() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_validator_leaves_work_that_is_decided_without_it() {
    let net = Net::start(9, &VALIDATORS);
    let leases = disputed(&net, 2, METERING_VERSION, false);
    let mut agents = start_all(&net, &VALIDATORS[..3]);
    agents.push(Agent::start(&net, VALIDATORS[3], Machine::Hanging));
    for lease in leases {
        assert_eq!(settled(&net, lease).await, CheckState::Passed);
    }
    assert_eq!((agents[3].at_once(), agents[3].runs()), (1, 2));
    assert_slashed(&net.world(), &[]);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_ahead_says_nothing_wrong() {
    let net = Net::start(10, &VALIDATORS);
    net.world().ahead = Duration::from_secs(3_600);
    let agents = start_all(&net, &AUDITORS);
    seated(&net, &AUDITORS).await;
    let lease = net.change(|world| world.hand_in(1, false));
    assert_eq!(settled(&net, lease).await, CheckState::Unattended);
    let world = net.world();
    let findings = world.ledger.audit(&lease).unwrap();
    assert!(findings.assignments.iter().all(|part| part.finding != Some(Finding::Unavailable)));
    assert_eq!(agents.iter().map(Agent::runs).sum::<u64>(), 0);
    assert!(world.staked(PROVIDER) == STAKE);
}

#[tokio::test(start_paused = true)]
async fn what_another_tenant_left_on_disk_is_not_read_for_an_audit() {
    let net = Net::start(11, &VALIDATORS);
    let mut agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    agents[0].kill().await;
    let (lease, program, content) = net.change(|world| {
        let lease = world.hand_in(1, false);
        let program = world.program(lease);
        world.withheld.insert(program);
        (lease, program, world.content(program))
    });
    fs::write(agents[0].path().join("inputs").join(program.to_string()), content).unwrap();
    agents[0].resume();
    assert_eq!(settled(&net, lease).await, CheckState::Unattended);
    assert_eq!(verdicts(&net.world(), lease), [(AUDITORS[0], Verdict::Unavailable)]);
    assert_eq!(agents[0].runs(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_makes_up_audits_does_not_fill_the_disk() {
    let net = Net::start(12, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    net.change(|world| {
        let lease = world.hand_in(1, false);
        world.draw(lease);
        let mut view = world.view(lease).unwrap();
        view.lease.check = CheckState::Committing { until: types::Time::MAX };
        world.forged = Some(view);
    });
    pass(Duration::from_secs(1_000)).await;
    // Each is done on both engines, since it gives something else than the node says.
    let (runs, kept) = (agents[0].runs(), agents[0].kept());
    assert!((64..=400).contains(&runs) && kept <= 200, "{runs} runs, {kept} files");
}

#[tokio::test(start_paused = true)]
async fn who_stops_while_the_network_is_away_leaves_when_it_is_back() {
    let net = Net::start(13, &VALIDATORS);
    let agents = start_all(&net, &AUDITORS[..1]);
    seated(&net, &AUDITORS[..1]).await;
    net.world().losses = Some(1);
    agents[0].auditing.as_ref().unwrap().leave().await;
    assert!(!net.world().auditor(AUDITORS[0]).unwrap().seats.is_empty());
    net.world().losses = None;
    net.until("it has left", |world| world.auditor(AUDITORS[0]).is_none()).await;
    pass(Duration::from_secs(60)).await;
    assert!(net.world().auditor(AUDITORS[0]).is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_found_in_a_round_that_is_over_is_forgotten() {
    let net = Net::start(14, &VALIDATORS);
    let mut agents = start_all(&net, &AUDITORS[..2]);
    seated(&net, &AUDITORS[..2]).await;
    // Whoever is drawn first cannot commit.
    net.world().losses = Some(1);
    let lease = net.change(|world| world.hand_in(1, false));
    let round = |world: &World| world.ledger.audit(&lease).map_or(0, |audit| audit.round);
    net.until("another is drawn", |world| round(world) == 2).await;
    net.world().losses = None;
    for agent in &mut agents {
        agent.kill().await;
        agent.resume();
    }
    assert_eq!(settled(&net, lease).await, CheckState::Passed);
    forgotten(&net, &agents).await;
    let world = net.world();
    assert_eq!(verdicts(&world, lease).len(), 1);
    let barred = |party: &&Party| world.auditor(**party).unwrap().seats.is_empty();
    assert_eq!(AUDITORS[..2].iter().filter(barred).count(), 1);
    assert_slashed(&world, &[]);
}
