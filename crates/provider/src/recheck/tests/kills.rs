//! Whoever is killed at any call, before it took effect or after, goes on where it was.

use super::{
    AUDITORS, Agent, Net, PROVIDER, Party, VALIDATORS, assert_slashed, forgotten, seated, settled,
    start_all, world::Kill,
};

use types::CheckState;

/// Kills a party at a call, starts it again, and lets a lease come to its end; returns whether it
/// came to that call.
async fn kill_at(party: Party, at: u64, cheats: bool) -> bool {
    let validators = &VALIDATORS[..3];
    let net = Net::start(at, validators);
    // A round of two takes both of them, and waits for who was killed.
    let mut agents: Vec<Agent> = start_all(&net, &AUDITORS[..2]);
    agents.extend(start_all(&net, validators));
    seated(&net, &AUDITORS[..2]).await;
    let lease = net.change(|world| {
        let calls = world.calls.get(&party).copied().unwrap_or(0);
        world.kill = Some(Kill { party, at: calls + at });
        world.hand_in(2, cheats)
    });
    let was_killed = tokio::select! {
        biased;
        () = net.hung.notified() => true,
        _ = settled(&net, lease) => false,
    };
    if was_killed {
        let agent = agents.iter_mut().find(|agent| agent.party == party).unwrap();
        agent.kill().await;
        net.world().kill = None;
        agent.resume();
    }
    let expected = if cheats { CheckState::Failed } else { CheckState::Passed };
    assert_eq!(settled(&net, lease).await, expected, "{party:?} killed at {at}");
    forgotten(&net, &agents).await;
    let world = net.world();
    assert_slashed(&world, if cheats { &[PROVIDER] } else { &[] });
    let audit = world.ledger.audit(&lease).unwrap();
    let reveals = audit.assignments.iter().filter(|assigned| assigned.finding.is_some()).count();
    assert_eq!((audit.assignments.len(), reveals), (2, 2), "{party:?} killed at {at}");
    was_killed
}

async fn kill_at_every_call(party: Party, cheats: bool, calls_min: u64) {
    let mut at = 1;
    while kill_at(party, at, cheats).await {
        at += 1;
    }
    assert!(at > calls_min, "{party:?} made no more than {at} calls");
}

#[tokio::test(start_paused = true)]
async fn an_auditor_killed_at_any_call_reveals_what_it_committed_to() {
    kill_at_every_call(AUDITORS[0], false, 8).await;
}

#[tokio::test(start_paused = true)]
async fn an_auditor_killed_at_any_call_accuses_all_the_same() {
    kill_at_every_call(AUDITORS[1], true, 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_validator_killed_at_any_call_rules_all_the_same() {
    for validator in &VALIDATORS[..3] {
        kill_at_every_call(*validator, true, 4).await;
    }
}
