//! Disputes: who judges, who loses what, and who never does.

use types::{Action, Argument, Asset, Event, LeaseId, OrderTerms, Reject, Ruling};

use crate::{
    Row,
    testing::{AUDITORS, Fixture, address, class, found, ruling, usd},
};

const STAKE: u64 = 200_000_000;

/// Lets a receipt for `work` be audited by as many as there are findings; returns the lease with
/// the names of the auditors, in the order of the findings.
fn audited(fixture: &mut Fixture, work: &str, findings: &[&str]) -> (LeaseId, Vec<&'static str>) {
    let lease = fixture.handed_in(u8::try_from(findings.len()).unwrap(), work);
    fixture.advance(1);
    let drawn = fixture.drawn(lease, &AUDITORS);
    for (name, work) in drawn.iter().zip(findings) {
        fixture.commit(lease, name, found(work));
    }
    for (name, work) in drawn.iter().zip(findings) {
        fixture.reveal(lease, name, found(work));
    }
    (lease, drawn)
}

#[test]
fn a_cheat_loses_stake_and_the_tenant_is_made_whole() {
    let mut fixture = Fixture::with_auditors();
    let tenant = fixture.wallet("tenant");
    let (lease, drawn) = audited(&mut fixture, "fake", &["work"]);
    assert_eq!(
        (fixture.check(lease), fixture.ended().open_disputes(None, 9)),
        ("disputed", vec![lease])
    );
    let wild = |name: &str| Row::Wallet(address(name));
    let (auditor, held) = (drawn[0], fixture.wild(wild(drawn[0])));
    let paid = fixture.wallet(auditor);
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.staked("provider")), ("failed", STAKE / 2));
    assert_eq!(fixture.wild(Row::Burned), STAKE / 4);
    assert_eq!(fixture.wild(wild(auditor)), held + STAKE / 4);
    // The premium went back, so that the auditor has its part of the stake, and no fee.
    assert_eq!((fixture.wallet("tenant"), fixture.wallet(auditor)), (tenant, paid));
    assert_eq!(fixture.ended().open_disputes(None, 9), []);
    assert_eq!(fixture.ledger.network().stake.get(), 2 * STAKE - STAKE / 2 + 4 * STAKE / 2);
    let reputation = fixture.ended().reputations(&address("provider"));
    assert_eq!((reputation[0].1.passed, reputation[0].1.failed), (0, 1_000));
    let quote = fixture.ledger.quote(&fixture.order()).unwrap();
    assert_eq!(quote.excluded[0].reason, "its provider is suspended");
}

#[test]
fn a_false_bill_of_right_work_is_refuted() {
    use classes::job::{FUEL_PER_UNIT, Usage};
    use types::{Blob, ContentHash, Decode, Encode};
    let falsify: [fn(&mut Usage); 2] = [
        |usage| usage.fuel += FUEL_PER_UNIT,
        |usage| usage.output = ContentHash::of(b"another output"),
    ];
    for falsify in falsify {
        let mut fixture = Fixture::with_auditors();
        let tenant = fixture.wallet("tenant");
        let audit = types::AuditTerms {
            probability: types::BasisPoints::new(10_000).unwrap(),
            auditors: 1,
            readers: types::Readers::Auditors,
        };
        let lease = fixture.billed(audit, "work", |signed| {
            let mut usage = Usage::from_bytes(signed.receipt.usage.as_slice()).unwrap();
            falsify(&mut usage);
            signed.receipt.usage = Blob::new(usage.to_bytes()).unwrap();
        });
        fixture.advance(1);
        let name = fixture.drawn(lease, &AUDITORS)[0];
        fixture.commit(lease, name, found("work"));
        fixture.reveal(lease, name, found("work"));
        fixture.rule(lease, ruling("work"));
        assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("failed", tenant));
        assert_eq!(fixture.staked("provider"), STAKE / 2);
    }
}

#[test]
fn a_false_accusation_costs_the_accuser_and_the_provider_is_paid() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "work", &["work", "lie"]);
    let pool = fixture.balance(Row::AuditPool);
    let wallets = [fixture.wallet(drawn[0]), fixture.wallet(drawn[1])];
    let wild = fixture.wild(Row::Wallet(fixture.provider()));
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.staked("provider")), ("passed", STAKE));
    let half = STAKE / 4;
    assert_eq!((fixture.staked(drawn[0]), fixture.staked(drawn[1])), (2 * half, half));
    assert_eq!(fixture.wild(Row::Wallet(fixture.provider())), wild + half / 2);
    assert_eq!(fixture.wild(Row::Burned), half / 2);
    assert_eq!(
        (fixture.wallet(drawn[0]), fixture.wallet(drawn[1])),
        (wallets[0] + 5_000, wallets[1])
    );
    assert_eq!(fixture.balance(Row::AuditPool), pool - 5_000);
    // Who lied has too little stake to be drawn, and is barred.
    let auditor = fixture.ledger.auditor(class(), &address(drawn[1])).unwrap();
    assert_eq!((auditor.seats.len(), auditor.barred_until), (0, fixture.in_ms(600_000)));
    let wallet = fixture.wallet("provider");
    fixture.advance(2_000);
    assert_eq!(fixture.wallet("provider"), wallet + 4_600);
}

#[test]
fn all_auditors_together_cannot_slash_who_is_right() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "work", &["lie", "lie", "lie", "lie"]);
    assert_eq!(drawn.len(), 4);
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.staked("provider")), ("passed", STAKE));
    assert_eq!(drawn.iter().map(|name| fixture.staked(name)).sum::<u64>(), STAKE);
}

#[test]
fn auditors_that_agree_with_a_cheat_lose_with_it_once_one_does_not() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "fake", &["fake", "work"]);
    let honest = Row::Wallet(address(drawn[1]));
    let wild = fixture.wild(honest);
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.staked("provider")), ("failed", STAKE / 2));
    assert_eq!((fixture.staked(drawn[0]), fixture.staked(drawn[1])), (STAKE / 4, STAKE / 2));
    assert_eq!(fixture.wild(honest), wild + STAKE / 4 + STAKE / 8);
}

#[test]
fn a_wrong_accuser_of_a_wrong_receipt_gets_nothing() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "fake", &["guess"]);
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.staked("provider"), fixture.staked(drawn[0])), (STAKE / 2, STAKE / 4));
    assert_eq!(fixture.wild(Row::Burned), STAKE / 2 + STAKE / 4);
}

#[test]
fn engines_that_differ_refund_and_slash_nobody() {
    for ruled in [Ruling::Differs, Ruling::Unavailable] {
        let mut fixture = Fixture::with_auditors();
        let tenant = fixture.wallet("tenant");
        let stake = fixture.ledger.network().stake;
        let (lease, _) = audited(&mut fixture, "work", &["other"]);
        let argument = Argument::Rule { ruling: ruled };
        // One of two decides that more than two thirds are out of reach.
        fixture.ok("validator", fixture.argue(lease, argument));
        // The work costs nothing; its premium paid the auditor.
        let back = tenant - 5_000;
        assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("undecided", back));
        assert_eq!((fixture.ledger.network().stake, fixture.wild(Row::Burned)), (stake, 0));
        assert_eq!(fixture.ended().reputations(&address("provider")), []);
    }
}

#[test]
fn a_dispute_that_nobody_judges_ends_undecided() {
    let mut fixture = Fixture::with_auditors();
    let (lease, _) = audited(&mut fixture, "work", &["other"]);
    let argument = Argument::Rule { ruling: ruling("other") };
    fixture.ok("validator", fixture.argue(lease, argument));
    // The window, and half of what unbonding takes longer than all windows.
    let spare = 21 * 86_400_000 - (60_000 + 2_000 + 2_000 + 2 * 60_000 + 3 * 30_000);
    assert_eq!(fixture.ledger.parameters().judging().as_ms(), spare / 2);
    fixture.advance(60_000 + spare / 2 - 1);
    assert_eq!(fixture.check(lease), "disputed");
    fixture.advance(1);
    assert_eq!((fixture.check(lease), fixture.staked("provider")), ("undecided", STAKE));
}

/// Lets an auditor agree with a receipt for `work`, while another one and validators cannot have
/// it; returns the lease with the one that agreed.
fn unattended(fixture: &mut Fixture, work: &str) -> (LeaseId, &'static str) {
    let lease = fixture.handed_in(2, work);
    fixture.advance(1);
    let drawn = fixture.drawn(lease, &AUDITORS);
    let findings = [found(work), types::Finding::Unavailable];
    for (name, finding) in drawn.iter().zip(findings) {
        fixture.commit(lease, name, finding);
    }
    for (name, finding) in drawn.iter().zip(findings) {
        fixture.reveal(lease, name, finding);
    }
    assert_eq!(fixture.check(lease), "disputed");
    fixture.rule(lease, Ruling::Unavailable);
    assert_eq!(fixture.check(lease), "unattended");
    (lease, drawn[0])
}

#[test]
fn what_nobody_decided_the_tenant_may_dispute() {
    let mut fixture = Fixture::with_auditors();
    let tenant = fixture.wallet("tenant");
    let (lease, friend) = unattended(&mut fixture, "fake");
    fixture.ok("tenant", Action::Dispute { lease });
    fixture.rule(lease, ruling("work"));
    // Nobody was paid of the premium, so that all of it is back.
    assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("failed", tenant));
    assert_eq!((fixture.staked("provider"), fixture.staked(friend)), (STAKE / 2, STAKE / 4));
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);

    // Where it is right, who had agreed is paid.
    let mut fixture = Fixture::with_auditors();
    let (lease, right) = unattended(&mut fixture, "work");
    let before = fixture.wallet(right);
    fixture.ok("tenant", Action::Dispute { lease });
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.wallet(right)), ("passed", before + 5_000));

    // It has one try, and what was said of the dispute before does not count in it.
    let mut fixture = Fixture::with_auditors();
    let (lease, _) = unattended(&mut fixture, "work");
    let late = fixture.argue(lease, Argument::Rule { ruling: Ruling::Unavailable });
    fixture.advance(1);
    fixture.ok("tenant", Action::Dispute { lease });
    fixture.refused("validator 2", late, Reject::DisputeState);
    let argument = Argument::Rule { ruling: Ruling::Unavailable };
    fixture.ok("validator", fixture.argue(lease, argument));
    assert_eq!(fixture.check(lease), "unattended");
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);
}

#[test]
fn one_dispute_after_the_other_is_over_before_stake_is_back() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(2, "fake");
    fixture.advance(1);
    let drawn = fixture.drawn(lease, &AUDITORS);
    let findings = [found("fake"), types::Finding::Unavailable];
    for (name, finding) in drawn.iter().zip(findings) {
        fixture.commit(lease, name, finding);
    }
    let all = Action::Unstake { amount: usd(STAKE / 2) };
    fixture.refused(drawn[0], all.clone(), Reject::StakeInUse);
    for (name, finding) in drawn.iter().zip(findings) {
        fixture.reveal(lease, name, finding);
    }
    // Who has nothing to do any more takes its stake away at once.
    fixture.ok(drawn[0], all);
    let wait = |fixture: &mut Fixture| {
        let until = fixture.lease(lease).check.awaited().unwrap();
        fixture.advance(until.since(fixture.now()).as_ms() - 1);
        assert_eq!(fixture.check(lease), "disputed");
    };
    wait(&mut fixture);
    fixture.advance(1);
    assert_eq!(fixture.check(lease), "unattended");
    fixture.advance(1_999);
    fixture.ok("tenant", Action::Dispute { lease });
    wait(&mut fixture);
    fixture.rule(lease, ruling("work"));
    let unbonding = fixture.ended().unbondings(&address(drawn[0]));
    assert_eq!(unbonding[0].amount, usd(STAKE / 4));
}

#[test]
fn a_tenant_that_is_right_has_its_bond_back_and_a_part_of_the_stake() {
    let mut fixture = Fixture::with_auditors();
    let tenant = fixture.wallet("tenant");
    let lease = fixture.handed_in(1, "fake");
    fixture.ok("tenant", Action::Dispute { lease });
    // The work, the premium and the bond.
    let locked = 5_000 + 5_000 + 10_000;
    assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("disputed", tenant - locked));
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("failed", tenant));
    assert_eq!(fixture.wild(Row::Wallet(fixture.tenant())), STAKE / 4);
}

#[test]
fn a_tenant_that_is_wrong_loses_its_bond_to_the_provider_and_the_treasury() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(1, "work");
    fixture.advance(1);
    let name = fixture.drawn(lease, &AUDITORS)[0];
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);
    fixture.commit(lease, name, found("work"));
    fixture.reveal(lease, name, found("work"));
    fixture.refused("tenant 2", Action::Dispute { lease }, Reject::LeaseNotYours);
    let (tenant, provider) = (fixture.wallet("tenant"), fixture.wallet("provider"));
    fixture.ok("tenant", Action::Dispute { lease });
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);
    fixture.rule(lease, ruling("work"));
    assert_eq!(
        (fixture.wallet("tenant"), fixture.wallet("provider")),
        (tenant - 10_000, provider + 5_000)
    );
    assert_eq!((fixture.check(lease), fixture.balance(Row::Treasury)), ("passed", 5_000));
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);
    fixture.advance(2_000);
    assert_eq!(fixture.wallet("provider"), provider + 5_000 + 4_600);
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeState);
}

#[test]
fn what_nobody_may_read_nobody_judges() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.started();
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(lease))));
    fixture.refused("tenant", Action::Dispute { lease }, Reject::DisputeUnreadable);
}

#[test]
fn disputes_with_an_accuser_are_listed_first() {
    // There are no auditors, so that nobody accuses where the tenant does not.
    let mut fixture = Fixture::new();
    let leases: Vec<LeaseId> = (0..6)
        .map(|number| {
            let lease = fixture.handed_in(1, "work");
            if number % 2 == 0 {
                fixture.ok("tenant", Action::Dispute { lease });
            }
            fixture.advance(1);
            for offer in fixture.ended().offers_of(&address("provider")) {
                fixture.ok("node", Action::RetireOffer { offer: offer.id });
            }
            lease
        })
        .collect();
    let sorted = |skip: usize| {
        let mut some: Vec<LeaseId> = leases.iter().skip(skip).step_by(2).copied().collect();
        some.sort_unstable();
        some
    };
    let expected = [sorted(0), sorted(1)].concat();
    let mut listed: Vec<LeaseId> = Vec::new();
    while let [lease] = fixture.ended().open_disputes(listed.last(), 1)[..] {
        listed.push(lease);
    }
    assert_eq!((listed, fixture.ended().open_disputes(None, 9)), (expected.clone(), expected));
}

#[test]
fn only_validators_judge_and_each_once() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "work", &["other"]);
    let argument = || Argument::Rule { ruling: ruling("x") };
    let rule = fixture.argue(lease, argument());
    let rule = || rule.clone();
    let other = fixture.handed_in(1, "work");
    let elsewhere = fixture.argue(other, argument());
    fixture.refused("validator", elsewhere, Reject::DisputeState);
    for stranger in ["tenant", "node", &format!("{} node", drawn[0])] {
        fixture.refused(stranger, rule(), Reject::DisputeNotYours);
    }
    let pick = fixture.argue(lease, Argument::Pick { part: 0 });
    fixture.refused("validator", pick, Reject::DisputeArgument);
    fixture.ok("validator", rule());
    fixture.refused("validator", rule(), Reject::DisputeTwice);
    fixture.ok("validator 2", rule());
    fixture.refused("validator 2", rule(), Reject::DisputeState);
}

#[test]
fn what_a_cheat_was_not_paid_yet_it_never_gets_but_for_what_was_checked() {
    let mut fixture = Fixture::with_auditors();
    let unchecked = fixture.leased();
    fixture.ok("node", Action::Start { lease: unchecked });
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(unchecked))));
    let (passed, _) = audited(&mut fixture, "work", &["work"]);
    let (failed, _) = audited(&mut fixture, "fake", &["work"]);
    let (tenant, provider) = (fixture.wallet("tenant"), fixture.wallet("provider"));
    fixture.rule(failed, ruling("work"));
    let refunded = fixture.wallet("tenant");
    assert!(refunded > tenant);
    let events = fixture.advance(2_000);
    assert_eq!((fixture.check(unchecked), fixture.check(passed)), ("forfeited", "passed"));
    assert_eq!(fixture.wallet("tenant"), refunded + 5_000);
    assert_eq!(fixture.wallet("provider"), provider + 4_600);
    let mut refunds = events.iter().filter_map(|event| match event {
        Event::Refunded { lease, amount, .. } => Some((*lease, *amount)),
        _ => None,
    });
    assert_eq!(refunds.next_back(), Some((unchecked, usd(5_000))));
    // What it does later, it is paid for: it has lost its stake for what it did before.
    fixture.advance(600_000);
    let after = fixture.started();
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(after))));
    let wallet = fixture.wallet("provider");
    fixture.advance(2_000);
    assert_eq!(fixture.wallet("provider"), wallet + 4_600);
}

#[test]
fn stake_on_its_way_back_is_lost_too() {
    let mut fixture = Fixture::with_auditors();
    let lease = fixture.handed_in(1, "fake");
    // It leaves no more than covers its lease, in two steps.
    for offer in fixture.ended().offers_of(&address("provider")) {
        fixture.ok("node", Action::RetireOffer { offer: offer.id });
    }
    for amount in [100_000_000, 99_972_266] {
        fixture.ok("provider", Action::Unstake { amount: usd(amount) });
    }
    fixture.advance(1);
    let name = fixture.drawn(lease, &AUDITORS)[0];
    fixture.commit(lease, name, found("work"));
    fixture.reveal(lease, name, found("work"));
    fixture.advance(1);
    fixture.rule(lease, ruling("work"));
    let events = fixture.advance(1);
    // A half of each part, rounded down.
    let slashed = 13_867 + 50_000_000 + 49_986_133;
    let is_slash =
        |event: &Event| matches!(event, Event::Slashed { amount, .. } if *amount == usd(slashed));
    assert!(events.iter().any(is_slash), "{events:?}");
    let wild = Row::Wallet(fixture.provider());
    let before = fixture.wild(wild);
    fixture.advance(21 * 86_400_000);
    assert_eq!(fixture.wild(wild), before + 50_000_000 + 49_986_133);
    assert_eq!(fixture.ended().unbondings(&fixture.provider()), []);
}

#[test]
fn in_a_private_pool_a_cheat_loses_its_pay_and_its_offers_stand_still() {
    let mut fixture = Fixture::private();
    fixture.ok("node 2", Action::Enlist(Box::new(fixture.auditor())));
    let tenant = fixture.wallet("tenant");
    let lease = fixture.handed_in(1, "fake");
    fixture.advance(1);
    let finding = found("work");
    let opening =
        types::Opening { lease, auditor: address("provider 2"), salt: types::Hash::ZERO, finding };
    fixture.ok("node 2", Action::CommitAudit { lease, commitment: opening.commit() });
    fixture.ok("node 2", Action::RevealAudit { lease, salt: types::Hash::ZERO, finding });
    fixture.rule(lease, ruling("work"));
    assert_eq!((fixture.check(lease), fixture.wallet("tenant")), ("failed", tenant));
    let provider = fixture.ledger.provider(&address("provider")).unwrap();
    assert_eq!(provider.suspended_until, fixture.in_ms(600_000));
    assert_eq!(fixture.ledger.balance(Row::Burned, Asset::Wild), usd(0));
    let order = OrderTerms { budget: usd(20_000), ..fixture.order() };
    assert_eq!(fixture.ledger.quote(&order).unwrap().offers, []);
}

#[test]
fn a_tenant_gets_nothing_by_a_dispute_that_nobody_can_judge() {
    let mut fixture = Fixture::with_auditors();
    for (ruled, check_after) in [(Ruling::Unavailable, "spared"), (Ruling::Differs, "undecided")] {
        let lease = fixture.handed_in(1, "work");
        let tenant = fixture.wallet("tenant");
        fixture.ok("tenant", Action::Dispute { lease });
        let argument = Argument::Rule { ruling: ruled };
        fixture.ok("validator", fixture.argue(lease, argument));
        assert_eq!(fixture.check(lease), check_after);
        let back = if ruled == Ruling::Differs { 10_000 } else { 0 };
        assert_eq!(fixture.wallet("tenant"), tenant + back);
        let wallet = fixture.wallet("provider");
        fixture.advance(2_000);
        let paid = if ruled == Ruling::Differs { 0 } else { 4_600 };
        assert_eq!(fixture.wallet("provider"), wallet + paid);
    }
}

#[test]
fn whoever_is_tenant_provider_and_auditor_at_once_takes_nothing_from_others() {
    // Of two auditors of its own one agrees and one says that it could not, and validators leave
    // it undecided: nobody is paid out of the one premium.
    let mut fixture = Fixture::with_auditors();
    let own = ["tenant", "provider", "ann", "bob", "cid", "dan"];
    let sum = |fixture: &Fixture| own.iter().map(|name| fixture.wallet(name)).sum::<u64>();
    let audit = types::AuditTerms {
        probability: types::BasisPoints::new(10_000).unwrap(),
        auditors: 2,
        readers: types::Readers::Auditors,
    };
    let before = sum(&fixture);
    let lease = fixture.handed_in_for(audit, "work");
    fixture.advance(1);
    let drawn = fixture.drawn(lease, &AUDITORS);
    fixture.commit(lease, drawn[0], found("work"));
    fixture.commit(lease, drawn[1], types::Finding::Unavailable);
    fixture.reveal(lease, drawn[0], found("work"));
    fixture.reveal(lease, drawn[1], types::Finding::Unavailable);
    fixture.lapse(lease);
    assert_eq!(fixture.check(lease), "unattended");
    fixture.advance(2_000);
    // The fee, and the premium of two audits that nobody was paid for.
    assert_eq!(sum(&fixture), before - 400 - 10_000);
}

#[test]
fn a_cheats_votes_weigh_no_more_than_its_stake() {
    let mut fixture = Fixture::with_auditors();
    let change = types::Change::Rules(2);
    let effective = fixture.in_ms(70_000);
    fixture.ok("provider", Action::Vote { change, effective });
    let (lease, _) = audited(&mut fixture, "fake", &["work"]);
    assert_eq!(fixture.ended().proposals()[0].weight, STAKE);
    fixture.rule(lease, ruling("work"));
    assert_eq!(fixture.ended().proposals()[0].weight, STAKE / 2);
    fixture.advance(70_000);
    assert_eq!(fixture.ended().proposals(), []);
}

#[test]
fn a_cheat_cannot_be_drawn_again_by_leaving_first() {
    let mut fixture = Fixture::with_auditors();
    let (lease, drawn) = audited(&mut fixture, "work", &["lie"]);
    let node = format!("{} node", drawn[0]);
    fixture.ok(&node, Action::Delist { class: class() });
    fixture.rule(lease, ruling("work"));
    let stake = Action::Stake { amount: usd(100_000_000) };
    fixture.ok(drawn[0], stake);
    let enlist = Action::Enlist(Box::new(fixture.auditor()));
    fixture.refused(&node, enlist, Reject::AuditorBarred);
}
