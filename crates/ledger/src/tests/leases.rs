//! Leases from their start to their archive, and receipts.

use types::{
    Action, Blob, CheckState, CloseReason, Countersignature, Duration, Event, LeaseId, LeaseState,
    Reject, Settlement, Signature, SignedReceipt, Time, Units,
};

use crate::{
    key::Row,
    testing::{Fixture, UNITS, address, key, usd},
};

fn submit(receipt: SignedReceipt) -> Action {
    Action::SubmitReceipt(Box::new(receipt))
}

fn closed_for(fixture: &Fixture, lease: LeaseId) -> Option<CloseReason> {
    match fixture.lease(lease).state {
        LeaseState::Closed { reason, .. } => Some(reason),
        _ => None,
    }
}

#[test]
fn a_lease_is_served_paid_released_and_archived() {
    let mut fixture = Fixture::new();
    let id = fixture.started();
    assert_eq!((fixture.wallet("tenant"), fixture.balance(Row::Escrow(id))), (9_990_000, UNITS));
    assert_eq!(fixture.ended().leases_of_provider(&fixture.provider(), None, 9).len(), 1);
    fixture.ok("tenant 2", submit(fixture.receipt(id)));
    let lease = fixture.lease(id);
    assert_eq!(closed_for(&fixture, id), Some(CloseReason::ProviderCompleted));
    let settlement = Settlement {
        units: Units::new(5_000).unwrap(),
        gross: usd(5_000),
        burn: usd(250),
        treasury: usd(150),
        net: usd(4_600),
        premium: usd(0),
        refund: usd(5_000),
    };
    assert_eq!(lease.settlement, settlement);
    assert_eq!(fixture.wallet("tenant"), 9_995_000);
    assert_eq!((fixture.balance(Row::Pending(id)), fixture.balance(Row::Escrow(id))), (5_000, 0));
    assert_eq!(fixture.ended().leases_of_provider(&fixture.provider(), None, 9), []);
    assert_eq!(fixture.ledger.leased(&lease.offer), 0);
    let nothing = fixture.ledger.tallies()[0];
    assert_eq!((nothing.supply.earning.get(), nothing.income.revenue), (0, usd(0)));
    let wallet = fixture.wallet("provider");
    fixture.advance(1_999);
    assert_eq!(fixture.wallet("provider"), wallet);
    let events = fixture.advance(1);
    assert_eq!(fixture.wallet("provider"), wallet + 4_600);
    let provider = fixture.provider();
    assert!(events.contains(&Event::Released { lease: id, provider, amount: usd(4_600) }));
    assert_eq!((fixture.balance(Row::Buyback), fixture.balance(Row::Treasury)), (250, 150));
    let tally = fixture.ledger.tallies()[0];
    assert_eq!(
        (tally.supply.earning.get(), tally.income.revenue, tally.income.burn),
        (5_000, usd(5_000), usd(250))
    );
    // Nobody checked it.
    assert_eq!((lease.check, tally.supply.verified), (CheckState::Unchecked, Units::ZERO));
    let archive = 7 * 600_000;
    fixture.advance(archive - 1);
    assert_eq!(fixture.ended().receipts(&id).len(), 1);
    let events = fixture.advance(1);
    assert!(events.contains(&Event::LeaseArchived { lease: id, position: 0 }));
    assert_eq!((fixture.ledger.lease(&id), fixture.ledger.order(&lease.order)), (None, None));
    assert_eq!((fixture.ended().receipts(&id).len(), fixture.ledger.archive().leaves), (0, 1));
}

#[test]
fn only_the_provider_starts_a_pending_lease() {
    let mut fixture = Fixture::new();
    let lease = fixture.leased();
    fixture.refused("tenant", Action::Start { lease }, Reject::LeaseNotYours);
    fixture.refused("node 2", Action::Start { lease }, Reject::LeaseNotYours);
    let unknown = LeaseId::from_bytes([0; 32]);
    fixture.refused("node", Action::Start { lease: unknown }, Reject::LeaseUnknown);
    fixture.ok("provider", Action::Start { lease });
    fixture.refused("node", Action::Start { lease }, Reject::LeaseState);
}

#[test]
fn three_leases_not_started_in_an_epoch_suspend_the_provider() {
    let mut fixture = Fixture::new();
    let leases = [fixture.leased(), fixture.leased(), fixture.leased()];
    let wallet = fixture.wallet("tenant");
    fixture.advance(59_999);
    assert_eq!(closed_for(&fixture, leases[0]), None);
    let events = fixture.advance(1);
    for lease in leases {
        assert_eq!(closed_for(&fixture, lease), Some(CloseReason::ProviderNoStart));
    }
    assert_eq!(fixture.wallet("tenant"), wallet + 3 * UNITS);
    let (provider, until) = (fixture.provider(), fixture.in_ms(600_000));
    assert!(events.contains(&Event::Suspended { provider, until }));
    let counted = fixture.ledger.provider(&provider).unwrap();
    assert_eq!((counted.no_starts, counted.suspended_until, counted.leases), (3, until, 0));
    let quote = fixture.ledger.quote(&fixture.order()).unwrap();
    assert_eq!((quote.offers.len(), quote.excluded[0].offers), (0, 3));
    assert_eq!(quote.excluded[0].reason, "its provider is suspended");
    let waiting = fixture.place(fixture.order());
    // The next epoch lets the open order try again, and by then the suspension is over.
    fixture.advance(600_000);
    fixture.advance(1);
    assert!(!fixture.ledger.is_open(&waiting));
}

#[test]
fn a_pending_lease_that_the_tenant_closes_costs_nothing() {
    let mut fixture = Fixture::new();
    let lease = fixture.leased();
    fixture.refused("provider", Action::Close { lease }, Reject::LeaseNotYours);
    fixture.ok("tenant", Action::Close { lease });
    assert_eq!(closed_for(&fixture, lease), Some(CloseReason::TenantClosed));
    assert_eq!(fixture.wallet("tenant"), 10_000_000);
    fixture.refused("tenant", Action::Close { lease }, Reject::LeaseState);
    fixture.refused("tenant", submit(fixture.receipt(lease)), Reject::LeaseState);
}

#[test]
fn a_receipt_still_counts_in_the_grace_after_closing() {
    let mut fixture = Fixture::new();
    let lease = fixture.started();
    let receipt = fixture.receipt(lease);
    fixture.ok("tenant", Action::Close { lease });
    fixture.refused("tenant", Action::Close { lease }, Reject::LeaseState);
    fixture.advance(1_999);
    fixture.ok("node", submit(receipt));
    assert_eq!(closed_for(&fixture, lease), Some(CloseReason::ProviderCompleted));
    assert_eq!(fixture.lease(lease).settlement.gross, usd(5_000));
}

#[test]
fn a_started_lease_without_a_receipt_costs_the_minimum_if_the_tenant_closed_it() {
    let mut fixture = Fixture::new();
    let lease = fixture.started();
    fixture.ok("tenant", Action::Close { lease });
    fixture.advance(2_000);
    assert_eq!(closed_for(&fixture, lease), Some(CloseReason::TenantClosed));
    assert_eq!(fixture.wallet("tenant"), 10_000_000 - 1_543);
    fixture.advance(2_000);
    let tally = fixture.ledger.tallies()[0];
    assert_eq!((tally.supply.earning.get(), tally.income.revenue), (0, usd(1_543)));
}

#[test]
fn a_lease_ends_at_its_end_and_without_a_receipt_costs_nothing() {
    let mut fixture = Fixture::new();
    let lease = fixture.started();
    fixture.advance(499_999);
    assert_eq!(closed_for(&fixture, lease), None);
    fixture.advance(1);
    assert_eq!(closed_for(&fixture, lease), Some(CloseReason::NetworkEnded));
    assert_eq!((fixture.wallet("tenant"), fixture.lease(lease).release), (10_000_000, None));
}

#[test]
fn a_provider_takes_its_hardware_back_after_notice() {
    let mut fixture = Fixture::new();
    let lease = fixture.leased();
    let reclaim = |ms| Action::Reclaim { lease, notice: Duration::from_ms(ms) };
    fixture.refused("node", reclaim(10_000), Reject::LeaseState);
    fixture.ok("node", Action::Start { lease });
    fixture.refused("tenant", reclaim(10_000), Reject::NotProvider);
    fixture.refused("node 2", reclaim(10_000), Reject::LeaseNotYours);
    fixture.refused("node", reclaim(9_999), Reject::NoticeShort);
    fixture.refused("node", reclaim(500_000), Reject::NoticeShort);
    fixture.ok("node", reclaim(10_000));
    fixture.refused("node", reclaim(10_000), Reject::LeaseState);
    fixture.advance(9_999);
    assert_eq!(fixture.lease(lease).state.name(), "reclaiming");
    fixture.advance(1);
    assert_eq!(closed_for(&fixture, lease), Some(CloseReason::ProviderReclaimed));
    assert_eq!(fixture.wallet("tenant"), 10_000_000);
}

#[test]
fn a_receipt_that_does_not_belong_is_refused() {
    let mut fixture = Fixture::new();
    let pending = fixture.leased();
    let lease = fixture.started();
    let good = fixture.receipt(lease);
    let since = fixture.now();
    let mut check = |change: &dyn Fn(&mut SignedReceipt), reject| {
        let mut receipt = good.clone();
        change(&mut receipt);
        fixture.refused("tenant", submit(receipt), reject);
    };
    check(&|r| r.receipt.lease = LeaseId::from_bytes([0; 32]), Reject::LeaseUnknown);
    check(&|r| r.receipt.lease = pending, Reject::LeaseState);
    check(&|r| r.node_key = key("node 2"), Reject::ReceiptKey);
    let signature = Signature::from_bytes([0; 64]);
    let counter = |name: &str| Some(Countersignature { tenant: address(name), signature });
    check(&|r| r.countersignature = counter("tenant 2"), Reject::ReceiptCountersignature);
    for sequence in [0, 2, u32::MAX] {
        check(&|r| r.receipt.sequence = sequence, Reject::ReceiptSequence);
    }
    let earlier = Time::from_ms(since.as_ms() - 1);
    let later = Time::from_ms(since.as_ms() + 1);
    check(&|r| r.receipt.from = earlier, Reject::ReceiptRange);
    check(&|r| r.receipt.to = earlier, Reject::ReceiptRange);
    check(&|r| r.receipt.to = later, Reject::ReceiptRange);
    check(&|r| r.receipt.usage = Blob::new(vec![1]).unwrap(), Reject::ReceiptMalformed);
    let mut countersigned = good.clone();
    countersigned.countersignature = counter("tenant");
    fixture.ok("tenant", submit(countersigned));
    fixture.refused("tenant", submit(good), Reject::LeaseState);
}

#[test]
fn a_receipt_above_the_leases_most_is_refused() {
    let mut fixture = Fixture::new();
    let id = fixture.started();
    // No class gives more units than its specification's most; the row is changed for that.
    let mut lease = fixture.lease(id);
    lease.units_max = Units::new(4_999).unwrap();
    fixture.ledger.state.attempt(|state| state.put(crate::Key::Lease(id), &lease)).unwrap();
    let receipt = fixture.receipt(id);
    fixture.refused("node", submit(receipt), Reject::ReceiptUsage);
}

#[test]
fn leases_outlive_the_offer_that_they_took() {
    let mut fixture = Fixture::new();
    let lease = fixture.started();
    let offer = fixture.lease(lease).offer;
    fixture.ok("node", Action::RetireOffer { offer });
    assert_eq!((fixture.ledger.offer(&offer), fixture.ledger.leased(&offer)), (None, 1));
    fixture.ok("node", submit(fixture.receipt(lease)));
    assert_eq!(fixture.ledger.leased(&offer), 0);
}

#[test]
fn an_inconsistent_state_refuses_and_does_nothing() {
    let mut fixture = Fixture::new();
    let id = fixture.started();
    let offer = fixture.lease(id).offer;
    let leased = crate::Key::OfferLeased(offer);
    fixture
        .ledger
        .state
        .attempt(|state| {
            state.remove(leased);
            Ok(())
        })
        .unwrap();
    let receipt = fixture.receipt(id);
    fixture.refused("node", submit(receipt), Reject::Invariant);
}
