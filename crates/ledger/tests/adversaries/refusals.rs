//! What the ledger refuses, and what comes of strategies that no number measures.

use types::{Action, Amount, Asset, Change, Duration, Finding, LeaseId, Parameters, Reject};

use ledger::Row;

use crate::players::{Auditing, opening};
use crate::world::{AUDITORS, Deal, STAKE, Work, World, address, audits, done, key};

/// A lease that is always audited by so many.
fn deal(work: Work, auditors: u8) -> Deal {
    let (provider, tenant) = ("provider", "tenant");
    Deal { provider, tenant, work, price: 100_000, audit: audits(10_000, auditors) }
}

fn worlds() -> [World; 2] {
    [Parameters::public(), Parameters::local()].map(|parameters| World::new(parameters).fork(1))
}

fn usd(world: &World, name: &str) -> u64 {
    world.ledger.balance(Row::Wallet(address(name)), Asset::Usd).get()
}

fn staked(world: &World, name: &str) -> u64 {
    world.ledger.balance(Row::Stake(address(name)), Asset::Wild).get()
}

#[test]
fn a_receipt_that_is_handed_in_cannot_be_replaced() {
    for mut world in worlds() {
        let deal = deal(Work::Fake, 1);
        let lease = world.play(&deal).unwrap();
        let claimed = world.receipt(lease, &deal, &done("fake", lease, 100_000));
        let right = world.receipt(lease, &deal, &done("right", lease, 100_000));
        let mut second = right.clone();
        second.receipt.sequence = 2;
        for _ in 0..2 {
            for signed in [&claimed, &right, &second] {
                let action = Action::SubmitReceipt(Box::new(signed.clone()));
                assert_eq!(world.run("provider", action), Err(Reject::LeaseState));
            }
            world.draw();
        }
        world.settle();
        assert_eq!((world.check(lease), staked(&world, "provider")), ("failed", STAKE / 2));
    }
}

#[test]
fn the_result_of_another_lease_is_wrong() {
    for mut world in worlds() {
        let first = world.play(&deal(Work::Right, 1)).unwrap();
        let second = world.play(&deal(Work::Of(first), 1)).unwrap();
        world.settle();
        assert_eq!((world.check(first), world.check(second)), ("passed", "failed"));
        world.assert_only_slashed(&["provider"]);
        assert_eq!(staked(&world, "provider"), STAKE / 2);
    }
}

#[test]
fn a_receipt_of_another_providers_key_is_refused() {
    for mut world in worlds() {
        let mine = deal(Work::Right, 1);
        let others = Deal { provider: "provider 2", ..mine };
        let [lease, other] = [&mine, &others].map(|deal| world.open(deal).unwrap());
        world.ok("provider", Action::Start { lease });
        world.ok("provider 2", Action::Start { lease: other });
        let root = done("right", lease, 100_000);
        // Its lease under another's key; another's lease under its own; another's receipt as its.
        let mut foreign = world.receipt(lease, &mine, &root);
        foreign.node_key = key("provider 2 node");
        let mut claim = world.receipt(other, &mine, &root);
        claim.node_key = key("provider node");
        for signed in [foreign, claim] {
            let action = Action::SubmitReceipt(Box::new(signed));
            assert_eq!(world.run("provider", action), Err(Reject::ReceiptKey));
        }
        assert_eq!(
            world.run("provider", Action::Start { lease: other }),
            Err(Reject::LeaseNotYours)
        );
    }
}

#[test]
fn who_is_late_is_refused() {
    for world in worlds() {
        late_provider(&mut world.clone());
        late_auditor(world);
    }
}

fn late_provider(world: &mut World) {
    let deal = deal(Work::Right, 1);
    let lease = world.open(&deal).unwrap();
    world.pass(world.parameters.start_window_ms.as_ms());
    assert_eq!(world.run("provider", Action::Start { lease }), Err(Reject::LeaseState));
    assert_eq!(world.lease(lease).settlement.gross, Amount::ZERO);
    // At the last moment both count; at the end, nothing does.
    for (early, expected) in [(1, Ok(())), (0, Err(Reject::LeaseState))] {
        let lease = world.open(&deal).unwrap();
        world.pass(world.parameters.start_window_ms.as_ms() - 1);
        world.ok("provider", Action::Start { lease });
        let left = world.lease(lease).ends.since(world.now()).as_ms();
        let mut signed = world.receipt(lease, &deal, &done("right", lease, 100_000));
        world.pass(left - early);
        signed.receipt.to = signed.receipt.from.after(Duration::from_ms(1));
        let action = Action::SubmitReceipt(Box::new(signed));
        assert_eq!(world.run("provider", action), expected);
    }
}

fn late_auditor(world: World) {
    for early in [1, 0] {
        let mut world = world.clone();
        let lease = world.play(&deal(Work::Right, 1)).unwrap();
        world.draw();
        let name = world.drawn(lease)[0];
        let opening = opening(lease, name, done("right", lease, 100_000));
        let is_taken = |result| match early {
            0 => assert_eq!(result, Err(Reject::AuditState)),
            _ => assert_eq!(result, Ok(())),
        };
        let until = world.lease(lease).check.awaited().unwrap();
        world.pass(until.since(world.now()).as_ms() - early);
        let commitment = opening.commit();
        is_taken(world.run(name, Action::CommitAudit { lease, commitment }));
        if early == 0 {
            // The only one has missed it.
            assert_eq!(world.check(lease), "waiting");
            world.draw();
        }
        let until = world.lease(lease).check.awaited().unwrap();
        world.pass(until.since(world.now()).as_ms() - early);
        let (salt, finding) = (opening.salt, opening.finding);
        is_taken(world.run(name, Action::RevealAudit { lease, salt, finding }));
        assert_eq!(staked(&world, name), STAKE);
    }
}

#[test]
fn work_that_is_right_is_paid_whether_results_came_or_not() {
    for mut world in worlds() {
        // The ledger sees a receipt and roots; it does not see results.
        let before = usd(&world, "provider");
        let lease = world.play(&deal(Work::Right, 1)).unwrap();
        world.settle();
        assert_eq!((world.check(lease), usd(&world, "provider")), ("passed", before + 92_000));
    }
}

#[test]
fn a_copied_commitment_opens_to_nothing() {
    for mut world in worlds() {
        let lease = world.play(&deal(Work::Right, 2)).unwrap();
        world.draw();
        let drawn = world.drawn(lease);
        let honest = opening(lease, drawn[0], done("right", lease, 100_000));
        for name in &drawn {
            world.ok(name, Action::CommitAudit { lease, commitment: honest.commit() });
        }
        let (salt, finding) = (honest.salt, honest.finding);
        let reveal = Action::RevealAudit { lease, salt, finding };
        world.ok(drawn[0], reveal.clone());
        assert_eq!(world.run(drawn[1], reveal), Err(Reject::AuditCommitment));
        let thief = usd(&world, drawn[1]);
        world.pass(world.parameters.reveal_window_ms.as_ms());
        assert_eq!((world.check(lease), usd(&world, drawn[1])), ("disputed", thief));
        let enlist = Action::Enlist(Box::new(world.auditor()));
        assert_eq!(world.run(drawn[1], enlist), Err(Reject::AuditorBarred));
        world.settle();
        assert_eq!((world.check(lease), usd(&world, drawn[1])), ("passed", thief));
    }
}

/// Lets auditors of the current round say what they found.
fn say(world: &mut World, lease: LeaseId, findings: &[(&str, Finding)]) {
    for (name, finding) in findings {
        let commitment = opening(lease, name, *finding).commit();
        world.ok(name, Action::CommitAudit { lease, commitment });
    }
    for (name, finding) in findings {
        let salt = opening(lease, name, *finding).salt;
        world.ok(name, Action::RevealAudit { lease, salt, finding: *finding });
    }
}

#[test]
fn no_round_follows_one_that_has_shown_a_root() {
    for mut world in worlds() {
        let lease = world.play(&deal(Work::Right, 2)).unwrap();
        world.draw();
        let drawn = world.drawn(lease);
        let right = done("right", lease, 100_000);
        say(&mut world, lease, &[(drawn[0], right), (drawn[1], Finding::Unavailable)]);
        assert_eq!(world.check(lease), "disputed");
        world.settle();
        assert_eq!((world.check(lease), world.drawn(lease)), ("passed", drawn));
    }
}

#[test]
fn who_makes_blocks_and_leads_them_does_not_choose_its_draw() {
    for mut world in worlds() {
        let leader = world.leader(0);
        let lease = world.play(&deal(Work::Fake, 1)).unwrap();
        // Its leader makes as many blocks as it likes, and so does a friend.
        for blocks in [0, 0, 1, 0, 1, 1] {
            world.lead((leader + blocks) % 4);
            assert_eq!(world.check(lease), "waiting");
        }
        world.lead((leader + 3) % 4);
        assert_eq!(world.check(lease), "committing");
    }
}

#[test]
fn who_lets_a_lease_run_short_is_audited_all_the_same() {
    for world in worlds() {
        let mut world = world.with_short_leases();
        let before = usd(&world, "tenant");
        let lease = world.play(&Deal { price: 100_500, ..deal(Work::Right, 1) }).unwrap();
        world.settle();
        assert_eq!((world.check(lease), usd(&world, "tenant")), ("passed", before - 201_000));
    }
}

#[test]
fn who_offers_below_what_power_costs_is_refused() {
    for mut world in worlds() {
        let rate = classes::CLASSES[0].rate_min();
        let mut terms = world.offer(rate.get());
        world.ok("provider", Action::PostOffer(Box::new(terms.clone())));
        terms.rate = types::Rate::new(rate.get() - 1).unwrap();
        let refused = world.run("provider", Action::PostOffer(Box::new(terms)));
        assert_eq!(refused, Err(Reject::OfferMinimum));
    }
}

#[test]
fn stake_that_is_lost_votes_no_more() {
    for mut world in worlds() {
        let effective = world.now().after(world.parameters.change_delay_ms);
        world.ok("provider", Action::Vote { change: Change::Rules(2), effective });
        let lease = world.play(&deal(Work::Fake, 1)).unwrap();
        let weight = |world: &World| {
            let mut ended = world.ledger.clone();
            ended.end();
            ended.proposals()[0].weight
        };
        assert_eq!(weight(&world), STAKE);
        // It cannot take the stake out either while it votes.
        let amount = Amount::new(1).unwrap();
        assert_eq!(world.run("provider", Action::Unstake { amount }), Err(Reject::StakeInUse));
        world.judge();
        assert_eq!((world.check(lease), weight(&world)), ("failed", STAKE / 2));
    }
}

#[test]
fn auditors_of_all_kinds_of_idleness_keep_their_stake() {
    for auditing in [Auditing::Absent, Auditing::Silent, Auditing::Unavailable] {
        for world in worlds() {
            let mut world = world.with_auditors(AUDITORS.len(), auditing);
            let lease = world.play(&deal(Work::Right, 2)).unwrap();
            world.settle();
            world.assert_only_slashed(&[]);
            // Validators have done it.
            assert_eq!(world.check(lease), "passed");
        }
    }
}
