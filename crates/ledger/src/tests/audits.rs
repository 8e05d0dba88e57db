//! Audits: drawn, done, and what follows without a dispute.

use types::{
    Accuser, Action, AuditTerms, BasisPoints, CheckState, Event, Finding, LeaseId, Opening,
    Readers, Reject, Units,
};

use crate::{
    Key, Row,
    testing::{AUDITORS, Fixture, address, class, found, salt, usd},
};

#[test]
fn who_agrees_is_paid_and_then_the_provider() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(2, "work");
    assert_eq!((fixture.check(lease), fixture.balance(Row::AuditPool)), ("waiting", 10_000));
    let events = fixture.advance(1);
    assert_eq!(fixture.check(lease), "committing");
    let drawn = fixture.drawn(lease, &AUDITORS);
    assert_eq!(drawn.len(), 2);
    let auditors: Vec<_> = drawn.iter().map(|name| address(name)).collect();
    let is_drawn = |event: &Event| {
        matches!(event, Event::AuditDrawn { auditors: said, round: 1, .. }
            if said.iter().all(|auditor| auditors.contains(auditor)))
    };
    assert!(events.iter().any(is_drawn));
    for name in &drawn {
        assert_eq!(fixture.ended().audits_of(&address(name), None, 9), [lease]);
        fixture.commit(lease, name, found("work"));
    }
    assert_eq!(fixture.check(lease), "revealing");
    let wallet = fixture.wallet(drawn[0]);
    for name in &drawn {
        fixture.reveal(lease, name, found("work"));
    }
    assert_eq!((fixture.check(lease), fixture.wallet(drawn[0])), ("passed", wallet + 5_000));
    assert_eq!(fixture.balance(Row::AuditPool), 0);
    let provider = fixture.wallet("provider");
    fixture.advance(2_000);
    assert_eq!(fixture.wallet("provider"), provider + 4_600);
    let tally = fixture.ledger.tallies()[0];
    assert_eq!((tally.supply.verified, tally.supply.earning), (units(), units()));
    for name in AUDITORS {
        let auditor = fixture.ledger.auditor(class(), &address(name)).unwrap();
        assert_eq!((auditor.open, auditor.seats.len()), (0, 1));
        assert_eq!(fixture.ended().audits_of(&address(name), None, 9), []);
    }
    let reputation = fixture.ended().reputations(&address("provider"));
    assert_eq!((reputation[0].1.passed, reputation[0].1.failed), (1_000, 0));
}

fn units() -> Units {
    Units::new(5_000).unwrap()
}

#[test]
fn the_drawn_part_is_as_large_as_the_order_wants_and_the_rest_is_spared() {
    let mut fixture = Fixture::with_auditors();
    let probability = BasisPoints::new(2_500).unwrap();
    let audit = AuditTerms { probability, auditors: 1, readers: Readers::Auditors };
    let (mut drawn, mut spared) = (0, 0);
    for _ in 0..60 {
        let lease = fixture.handed_in_for(audit, "work");
        fixture.advance(1);
        match fixture.lease(lease).check {
            CheckState::Committing { .. } => drawn += 1,
            CheckState::Spared => spared += 1,
            other => panic!("{other:?}"),
        }
        if let Some(name) = drawn_name(&fixture, lease) {
            fixture.commit(lease, name, found("work"));
            fixture.reveal(lease, name, found("work"));
        }
        let offers = fixture.ended().offers_of(&address("provider"));
        fixture.ok("node", Action::RetireOffer { offer: offers[0].id });
    }
    // The beacons of tests are fixed, so this says how these fall.
    assert_eq!((drawn, spared), (15, 45));
}

fn drawn_name(fixture: &Fixture, lease: LeaseId) -> Option<&'static str> {
    fixture.ledger.audit(&lease)?;
    fixture.drawn(lease, &AUDITORS).first().copied()
}

#[test]
fn the_parties_of_a_lease_are_never_drawn() {
    let mut fixture = Fixture::new();
    for node in ["node", "node 2"] {
        fixture.ok(node, Action::Enlist(Box::new(fixture.auditor())));
    }
    for _ in 0..20 {
        let lease = fixture.handed_in(1, "work");
        fixture.advance(1);
        assert_eq!(fixture.drawn(lease, &["provider", "provider 2"]), ["provider 2"]);
        fixture.advance(40_000);
        // The only one missed it and is barred, so nobody is left for another round.
        let events = fixture.advance(1);
        assert_eq!(fixture.check(lease), "disputed", "{events:?}");
        fixture.advance(600_000);
        fixture.ok("node 2", Action::Enlist(Box::new(fixture.auditor())));
        for offer in fixture.ended().offers_of(&address("provider")) {
            fixture.ok("node", Action::RetireOffer { offer: offer.id });
        }
    }
}

#[test]
fn who_cannot_do_it_is_not_drawn_and_who_is_slow_has_longer() {
    let mut fixture = Fixture::new();
    fixture.enlist("ann");
    let mut drawn_with = |terms: classes::job::Terms| {
        let terms = types::Blob::new(types::Encode::to_bytes(&terms)).unwrap();
        let terms = types::AuditorTerms { terms, ..fixture.auditor() };
        fixture.ok("ann node", Action::Enlist(Box::new(terms)));
        let lease = fixture.handed_in(1, "work");
        fixture.advance(1);
        let (now, check) = (fixture.now(), fixture.lease(lease).check);
        if let CheckState::Committing { .. } = check {
            fixture.commit(lease, "ann", found("work"));
            fixture.reveal(lease, "ann", found("work"));
        }
        match check {
            CheckState::Committing { until } => Some(until.since(now).as_ms()),
            _ => None,
        }
    };
    let fast = classes::job::Terms {
        metering: 1,
        mfuel_per_second: 1_000,
        memory_pages: u32::MAX,
        output_bytes: u64::MAX,
    };
    // Besides the window, twice as long as the 5,000 units take that were billed.
    assert_eq!(drawn_with(fast), Some(20_000 + 10_000));
    let slow = classes::job::Terms { mfuel_per_second: 50, ..fast };
    assert_eq!(drawn_with(slow), Some(20_000 + 200_000));
    assert_eq!(drawn_with(classes::job::Terms { memory_pages: 0, ..fast }), None);
}

#[test]
fn auditors_have_as_long_as_the_provider_took_but_not_for_what_it_only_waited() {
    let mut fixture = Fixture::new();
    fixture.enlist("ann");
    let probability = BasisPoints::new(10_000).unwrap();
    let audit = AuditTerms { probability, auditors: 1, readers: Readers::Auditors };
    // What was billed takes 5 seconds; 64 times as long is 320.
    for (took, has) in [(4_000, 5_000), (100_000, 100_000), (400_000, 320_000)] {
        let offer = fixture.post(fixture.offer());
        let offers = types::List::new(vec![offer]).unwrap();
        let order = types::OrderTerms { offers, audit, budget: usd(100_000), ..fixture.order() };
        let lease = LeaseId::from(fixture.place(order));
        fixture.ok("node", Action::Start { lease });
        let began = fixture.now();
        fixture.advance(took);
        let mut signed = fixture.receipt(lease);
        signed.receipt.from = began;
        fixture.ok("node", Action::SubmitReceipt(Box::new(signed)));
        fixture.advance(1);
        let until = fixture.in_ms(2 * has + 20_000);
        assert_eq!(fixture.lease(lease).check, CheckState::Committing { until });
        fixture.commit(lease, "ann", found("work"));
        fixture.reveal(lease, "ann", found("work"));
    }
}

#[test]
fn a_commitment_opens_only_to_what_it_commits_to_and_only_in_its_window() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(1, "work");
    let other = Action::CommitAudit { lease, commitment: salt("x") };
    fixture.refused("ann node", other.clone(), Reject::AuditState);
    fixture.advance(1);
    let name = fixture.drawn(lease, &AUDITORS)[0];
    let stranger = AUDITORS.iter().find(|other| **other != name).unwrap();
    let node = format!("{name} node");
    let reveal = |salt, finding| Action::RevealAudit { lease, salt, finding };
    fixture.refused(&format!("{stranger} node"), other.clone(), Reject::AuditNotYours);
    fixture.refused("tenant", other.clone(), Reject::NotProvider);
    fixture.refused(&node, reveal(salt(name), found("work")), Reject::AuditState);
    fixture.commit(lease, name, found("work"));
    fixture.refused(&node, other, Reject::AuditState);
    let is_refused = |fixture: &mut Fixture, salt, finding| {
        fixture.refused(&node, reveal(salt, finding), Reject::AuditCommitment);
    };
    is_refused(&mut fixture, salt(name), found("other"));
    is_refused(&mut fixture, salt(stranger), found("work"));
    is_refused(&mut fixture, salt(name), Finding::Unavailable);
    let strange = reveal(salt(stranger), found("work"));
    fixture.refused(&format!("{stranger} node"), strange, Reject::AuditNotYours);
    fixture.reveal(lease, name, found("work"));
    fixture.refused(&node, reveal(salt(name), found("work")), Reject::AuditState);
}

#[test]
fn a_commitment_that_was_copied_opens_to_nothing() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(2, "work");
    fixture.advance(1);
    let drawn = fixture.drawn(lease, &AUDITORS);
    let (honest, thief) = (drawn[0], drawn[1]);
    let opening =
        Opening { lease, auditor: address(honest), salt: salt(honest), finding: found("work") };
    let commitment = opening.commit();
    fixture.ok(&format!("{honest} node"), Action::CommitAudit { lease, commitment });
    fixture.ok(&format!("{thief} node"), Action::CommitAudit { lease, commitment });
    fixture.reveal(lease, honest, found("work"));
    let copied = Action::RevealAudit { lease, salt: salt(honest), finding: found("work") };
    fixture.refused(&format!("{thief} node"), copied, Reject::AuditCommitment);
    fixture.advance(10_000);
    // One agrees; the other has missed it and is not drawn for an epoch.
    assert_eq!(fixture.check(lease), "disputed");
    fixture.rule(lease, crate::testing::ruling("work"));
    assert_eq!(fixture.check(lease), "passed");
    let enlist = Action::Enlist(Box::new(fixture.auditor()));
    fixture.refused(&format!("{thief} node"), enlist.clone(), Reject::AuditorBarred);
    fixture.advance(600_000);
    fixture.ok(&format!("{thief} node"), enlist);
}

#[test]
fn who_does_not_commit_is_replaced_and_in_the_end_the_work_stays_unverified() {
    let mut fixture = Fixture::with_auditors();
    let wallet = fixture.wallet("provider");
    let lease = fixture.handed_in(1, "work");
    fixture.advance(1);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let drawn = fixture.drawn(lease, &AUDITORS);
        assert_eq!((fixture.check(lease), drawn.len()), ("committing", 1));
        seen.extend(drawn);
        fixture.advance(40_000);
        fixture.advance(1);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), fixture.check(lease)), (3, "disputed"));
    assert_eq!(fixture.ledger.seats(class()), 1);
    // Validators do not come either: nobody said anything against it.
    fixture.lapse(lease);
    assert_eq!(fixture.check(lease), "unattended");
    fixture.advance(2_000);
    assert_eq!(fixture.wallet("provider"), wallet + 4_600);
    assert_eq!(fixture.ledger.tallies()[0].supply.verified, Units::ZERO);
    assert_eq!(seen.iter().map(|name| fixture.staked(name)).sum::<u64>(), 300_000_000);
}

#[test]
fn who_commits_and_does_not_reveal_has_missed_it() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(1, "work");
    fixture.advance(1);
    let name = fixture.drawn(lease, &AUDITORS)[0];
    fixture.commit(lease, name, found("work"));
    fixture.advance(10_000);
    assert_eq!(fixture.check(lease), "waiting");
    assert!(fixture.ledger.auditor(class(), &address(name)).unwrap().seats.is_empty());
    fixture.advance(1);
    assert_ne!(fixture.drawn(lease, &AUDITORS), [name]);
}

/// Hands in work that no auditor can have in any round.
fn unavailable(fixture: &mut Fixture) -> LeaseId {
    let lease = fixture.handed_in(1, "work");
    fixture.advance(1);
    for round in 1..=3 {
        let name = fixture.drawn(lease, &AUDITORS)[0];
        fixture.commit(lease, name, Finding::Unavailable);
        fixture.reveal(lease, name, Finding::Unavailable);
        assert_eq!(fixture.check(lease), if round < 3 { "waiting" } else { "disputed" });
        fixture.advance(1);
    }
    lease
}

#[test]
fn what_only_auditors_cannot_have_is_paid() {
    let mut fixture = Fixture::with_auditors();
    let lease = unavailable(&mut fixture);
    fixture.lapse(lease);
    assert_eq!(fixture.check(lease), "unattended");
    // It does not matter who of them is heard first.
    let rulings = [crate::testing::ruling("work"), types::Ruling::Unavailable];
    for order in [[0, 1], [1, 0]] {
        let lease = unavailable(&mut fixture);
        for (validator, ruling) in ["validator", "validator 2"].into_iter().zip(order) {
            assert_eq!(fixture.check(lease), "disputed");
            let argument = types::Argument::Rule { ruling: rulings[ruling] };
            fixture.ok(validator, fixture.argue(lease, argument));
        }
        assert_eq!(fixture.check(lease), "unattended");
    }
}

#[test]
fn what_nobody_can_have_gives_the_tenant_its_money_back_and_slashes_nobody() {
    let mut fixture = Fixture::with_auditors();
    let tenant = fixture.wallet("tenant");
    let lease = unavailable(&mut fixture);
    fixture.rule(lease, types::Ruling::Unavailable);
    assert_eq!(fixture.check(lease), "unavailable");
    assert_eq!((fixture.wallet("tenant"), fixture.balance(Row::AuditPool)), (tenant, 0));
    let settlement = fixture.lease(lease).settlement;
    assert_eq!((settlement.gross, settlement.premium), (usd(0), usd(0)));
    assert_eq!(settlement.refund, fixture.lease(lease).escrow);
    assert_eq!(fixture.ledger.network().stake.get(), 800_000_000);
    fixture.advance(4_200_000);
    assert_eq!(fixture.ledger.lease(&lease), None);
    for key in [Key::Audit(lease), Key::Receipt(lease, 1)] {
        assert_eq!(fixture.ended().prove(&key).value, None);
    }
}

#[test]
fn where_one_agrees_and_another_could_not_validators_decide() {
    for ruled in ["work", "other"] {
        let mut fixture = Fixture::with_auditors();
        let lease = fixture.handed_in(2, "work");
        fixture.advance(1);
        let drawn = fixture.drawn(lease, &AUDITORS);
        fixture.commit(lease, drawn[0], found("work"));
        fixture.commit(lease, drawn[1], Finding::Unavailable);
        fixture.reveal(lease, drawn[0], found("work"));
        let wallets = [fixture.wallet(drawn[0]), fixture.wallet(drawn[1])];
        fixture.reveal(lease, drawn[1], Finding::Unavailable);
        let accuser = fixture.ledger.dispute(&lease).map(|dispute| dispute.accuser);
        assert_eq!((fixture.check(lease), accuser), ("disputed", Some(Accuser::Nobody)));
        fixture.rule(lease, crate::testing::ruling(ruled));
        let is_right = ruled == "work";
        let fee = if is_right { 5_000 } else { 0 };
        let paid = [fixture.wallet(drawn[0]) - wallets[0], fixture.wallet(drawn[1]) - wallets[1]];
        assert_eq!(
            (fixture.check(lease), paid),
            (if is_right { "passed" } else { "failed" }, [fee, 0])
        );
        // Who said that it could not be had loses nothing: maybe it was not shown the inputs.
        let auditor = fixture.ledger.auditor(class(), &address(drawn[1])).unwrap();
        assert_eq!((auditor.seats.len(), fixture.staked(drawn[1])), (1, 100_000_000));
        let lost = if is_right { 0 } else { 50_000_000 };
        assert_eq!(fixture.staked(drawn[0]), 100_000_000 - lost);
        assert_eq!(fixture.staked("provider"), 200_000_000 - 2 * lost);
        // There is no accuser to have a part of it.
        assert_eq!(fixture.wild(Row::Burned), 3 * lost);
    }
}

#[test]
fn what_auditors_and_validators_leave_undecided_is_paid_unless_inputs_were_missing() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(1, "work");
    fixture.advance(1);
    let name = fixture.drawn(lease, &AUDITORS)[0];
    fixture.commit(lease, name, Finding::Unavailable);
    fixture.reveal(lease, name, Finding::Unavailable);
    fixture.advance(1);
    let next = fixture.drawn(lease, &AUDITORS)[0];
    fixture.commit(lease, next, found("work"));
    fixture.reveal(lease, next, found("work"));
    assert_eq!(fixture.check(lease), "disputed");
    fixture.rule(lease, types::Ruling::Unavailable);
    // One agrees, so that it could be had, and it is paid.
    assert_eq!(fixture.check(lease), "unattended");
    assert_eq!(fixture.ledger.seats(class()), 4);
}

#[test]
fn auditors_do_one_after_the_other_and_have_time_for_each() {
    let mut fixture = Fixture::new();
    fixture.enlist("ann");
    let leases = [(); 3].map(|()| fixture.handed_in(1, "work"));
    fixture.advance(1);
    let checks = leases.map(|lease| fixture.lease(lease).check);
    let until = |ms| CheckState::Committing { until: fixture.in_ms(ms) };
    for expected in [until(30_000), until(40_000), until(50_000)] {
        assert!(checks.contains(&expected), "{checks:?}");
    }
    for lease in leases {
        fixture.commit(lease, "ann", found("work"));
        fixture.reveal(lease, "ann", found("work"));
    }
    // Who has nothing to do is free at once.
    let auditor = fixture.ledger.auditor(class(), &address("ann")).unwrap();
    assert_eq!((auditor.open, auditor.free_at), (0, fixture.now()));
}

/// Hands in work whose audit takes almost five hours.
fn handed_in_for_hours(fixture: &mut Fixture) -> LeaseId {
    use classes::job::Usage;
    use types::{Decode, Encode};
    let rate = types::Rate::new(200).unwrap();
    let offer = fixture.post(types::OfferTerms { rate, ..fixture.offer() });
    let probability = BasisPoints::new(10_000).unwrap();
    let order = types::OrderTerms {
        spec: types::Blob::new(classes::CLASSES[0].sample(1 << 43).spec).unwrap(),
        offers: types::List::new(vec![offer]).unwrap(),
        audit: AuditTerms { probability, auditors: 1, readers: Readers::Auditors },
        budget: usd(500_000),
        duration: types::Duration::from_seconds(90_000),
        ..fixture.order()
    };
    let lease = LeaseId::from(fixture.place(order));
    fixture.ok("node", Action::Start { lease });
    let mut signed = fixture.receipt(lease);
    let mut usage = Usage::from_bytes(signed.receipt.usage.as_slice()).unwrap();
    usage.fuel = 1 << 43;
    signed.receipt.usage = types::Blob::new(usage.to_bytes()).unwrap();
    fixture.ok("node", Action::SubmitReceipt(Box::new(signed)));
    lease
}

#[test]
fn validators_have_the_time_for_the_work_that_nobody_accuses_of() {
    let mut fixture = Fixture::new();
    let lease = handed_in_for_hours(&mut fixture);
    fixture.advance(1);
    assert_eq!(fixture.check(lease), "disputed");
    // 2^43 fuel at 20 Mfuel a second, and then at 50.
    let work_ms = (439_805 + 175_922) * 1_000;
    let half_ms = fixture.ledger.parameters().judging().as_ms() / 2;
    assert!(half_ms < work_ms);
    let until = fixture.lease(lease).check.awaited();
    assert_eq!(until, Some(fixture.in_ms(60_000 + work_ms)));
}

#[test]
fn nobody_is_drawn_instead_of_who_is_busy_but_validators_decide() {
    let mut fixture = Fixture::new();
    fixture.enlist("ann");
    // Together they take longer than a day.
    let long = [(); 5].map(|()| handed_in_for_hours(&mut fixture));
    fixture.advance(1);
    assert!(long.iter().all(|lease| fixture.drawn(*lease, &AUDITORS) == ["ann"]));
    fixture.enlist("bob");
    let ends: Vec<&str> = (0..16)
        .map(|_| {
            let lease = fixture.handed_in(1, "work");
            fixture.advance(1);
            let end = fixture.check(lease);
            if end == "disputed" {
                assert_eq!(fixture.ledger.audit(&lease).unwrap().assignments.len(), 0);
                fixture.rule(lease, crate::testing::ruling("work"));
                assert_eq!(fixture.check(lease), "passed");
            } else {
                assert_eq!(fixture.drawn(lease, &AUDITORS), ["bob"]);
                fixture.commit(lease, "bob", found("work"));
                fixture.reveal(lease, "bob", found("work"));
            }
            end
        })
        .collect();
    assert!(ends.contains(&"disputed") && ends.contains(&"committing"), "{ends:?}");
}
