use classes::job;
use types::{
    Amount, AuditTerms, Blob, CloseReason, Constraint, Duration, Lease, LeaseState, List, OfferId,
    Order, OrderId, OrderTerms, Rate, SecretKey, Settlement, Units,
};

use super::*;

const UNTIL: Time = Time::from_ms(9);
const COMMITTING: CheckState = CheckState::Committing { until: UNTIL };
const REVEALING: CheckState = CheckState::Revealing { until: UNTIL };

fn address(number: u8) -> Address {
    SecretKey::from_bytes([number; 32]).address()
}

/// Returns what this auditor found in a round.
fn found(round: u8) -> Found {
    let salt = Hash::from_bytes([7; 32]);
    Found { lease: LeaseId::from_bytes([1; 32]), round, salt, finding: Finding::Unavailable }
}

/// Returns a part in an audit: whose, in which round, and how far it has come.
fn assigned(of: u8, round: u8, committed: bool, revealed: bool) -> Assignment {
    let commitment = committed.then(|| found(round).commitment(address(of)));
    let finding = revealed.then_some(Finding::Unavailable);
    let time = types::Duration::from_ms(1);
    Assignment { auditor: address(of), round, time, commitment, finding }
}

fn view(check: CheckState, round: u8, assignments: &[Assignment]) -> LeaseView {
    let lease = LeaseId::from_bytes([1; 32]);
    let order = OrderId::from_bytes([1; 32]);
    let terms = OrderTerms {
        class: job::ID,
        spec: Blob::default(),
        constraint: Constraint::default(),
        budget: Amount::ZERO,
        offers: List::default(),
        audit: AuditTerms::NONE,
        duration: Duration::from_seconds(1),
        expires: UNTIL,
    };
    let closed = Lease {
        id: lease,
        order,
        offer: OfferId::from_bytes([0; 32]),
        class: job::ID,
        tenant: address(8),
        provider: address(9),
        node_key: SecretKey::from_bytes([9; 32]).public(),
        rate: Rate::ZERO,
        minimum: Amount::ZERO,
        units_max: Units::ZERO,
        audit: AuditTerms::NONE,
        escrow: Amount::ZERO,
        created: Time::from_ms(0),
        ends: UNTIL,
        state: LeaseState::Closed { at: UNTIL, reason: CloseReason::ProviderCompleted },
        receipts: 1,
        settlement: Settlement::default(),
        check,
        exposure: Amount::ZERO,
        release: None,
    };
    let audit = Audit {
        lease,
        work_root: Hash::ZERO,
        fee: Amount::ZERO,
        round,
        beacon: Hash::ZERO,
        assignments: List::new(assignments.to_vec()).unwrap(),
    };
    let order = Order { id: order, tenant: address(8), placed: UNTIL, terms };
    LeaseView {
        lease: closed,
        order,
        receipts: Vec::new(),
        audit: Some(audit),
        dispute: None,
        archived: false,
    }
}

#[test]
fn what_is_done_follows_from_the_ledger_and_what_is_here() {
    // How far the own part has come, with nothing here and with what was found.
    let table = [
        (COMMITTING, false, false, Step::Work, Step::Commit(found(1))),
        (COMMITTING, true, false, Step::Rest, Step::Rest),
        (REVEALING, false, false, Step::Rest, Step::Rest),
        (REVEALING, true, false, Step::Rest, Step::Reveal(found(1))),
        (REVEALING, true, true, Step::Rest, Step::Rest),
    ];
    for (check, committed, revealed, nothing_here, with_found) in table {
        let view = view(check, 1, &[assigned(1, 1, committed, revealed)]);
        assert_eq!(plan(&view, address(1), None), nothing_here, "{check:?} {committed}");
        assert_eq!(plan(&view, address(1), Some(&found(1))), with_found, "{check:?} {committed}");
    }
}

#[test]
fn what_is_no_audit_of_this_provider_asks_for_nothing() {
    let check = |view: &LeaseView| {
        assert_eq!(plan(view, address(1), None), Step::Rest, "{view:?}");
        assert_eq!(plan(view, address(1), Some(&found(1))), Step::Rest, "{view:?}");
    };
    for state in [
        CheckState::Unchecked,
        CheckState::Waiting { height: 1 },
        CheckState::Disputed { until: UNTIL },
        CheckState::Spared,
        CheckState::Passed,
        CheckState::Unattended,
        CheckState::Unavailable,
        CheckState::Undecided,
        CheckState::Failed,
        CheckState::Forfeited,
    ] {
        check(&view(state, 1, &[assigned(1, 1, false, false)]));
        check(&view(state, 1, &[assigned(1, 1, true, false)]));
    }
    for state in [COMMITTING, REVEALING] {
        for committed in [false, true] {
            check(&view(state, 1, &[]));
            check(&view(state, 1, &[assigned(2, 1, committed, false)]));
            // Drawn in an earlier round only.
            check(&view(state, 2, &[assigned(1, 1, committed, false)]));
            check(&LeaseView {
                audit: None,
                ..view(state, 1, &[assigned(1, 1, committed, false)])
            });
        }
    }
}

#[test]
fn what_was_found_in_another_round_does_not_count() {
    let committing = view(COMMITTING, 2, &[assigned(1, 2, false, false)]);
    assert_eq!(plan(&committing, address(1), Some(&found(1))), Step::Work);
    assert_eq!(plan(&committing, address(1), Some(&found(2))), Step::Commit(found(2)));
    let revealing = view(REVEALING, 2, &[assigned(1, 2, true, false)]);
    assert_eq!(plan(&revealing, address(1), Some(&found(1))), Step::Rest);
}

#[test]
fn what_does_not_open_the_commitment_stays_secret() {
    let revealing = view(REVEALING, 1, &[assigned(1, 1, true, false)]);
    let other = Found { salt: Hash::ZERO, ..found(1) };
    assert_eq!(plan(&revealing, address(1), Some(&other)), Step::Rest);
}

#[test]
fn seats_are_wanted_by_whoever_is_not_drawn_by_its_terms_and_may_be() {
    let terms = AuditorTerms { class: job::ID, terms: Blob::default() };
    let other = AuditorTerms { terms: Blob::new(vec![1]).unwrap(), ..terms };
    let now = Time::from_ms(5);
    assert!(wants_seats(None, &terms, now));
    let check = |seats: &[u32], of: &AuditorTerms, barred: u64, wants: bool| {
        let seats = List::new(seats.to_vec()).unwrap();
        let barred_until = Time::from_ms(barred);
        let auditor = Auditor { terms: of.clone(), seats, open: 0, free_at: now, barred_until };
        assert_eq!(wants_seats(Some(&auditor), &terms, now), wants, "{auditor:?}");
    };
    check(&[0], &terms, 0, false);
    check(&[0], &other, 0, true);
    check(&[], &terms, 0, true);
    check(&[], &terms, 5, true);
    check(&[], &terms, 6, false);
    check(&[0], &other, 6, false);
}
