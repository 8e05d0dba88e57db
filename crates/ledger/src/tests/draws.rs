//! Draws wait until enough other leaders have made blocks.

use types::{
    Action, AuditTerms, BasisPoints, CheckState, LeaseId, List, OrderTerms, Readers,
    limits::BLOCK_DUE_MAX,
};

use crate::{
    Key, Ledger,
    testing::{AUDITORS, Fixture, beacon, genesis_of, usd},
    tests::whole::exported,
};

/// Starts a network of so many validators with an auditor, in a block that the first leads.
fn network(validators: usize) -> Fixture {
    let mut fixture = Fixture::of(&genesis_of(validators));
    fixture.enlist("ann");
    fixture.advance_with(1, 0);
    fixture
}

/// Lets blocks be led by these one after another; returns how far a check came in each.
fn lead(fixture: &mut Fixture, lease: LeaseId, leaders: &[u32]) -> Vec<&'static str> {
    let led = leaders.iter().map(|leader| {
        fixture.advance_with(1, *leader);
        fixture.check(lease)
    });
    led.collect()
}

#[test]
fn with_one_validator_the_next_block_draws() {
    let mut fixture = network(1);
    let lease = fixture.handed_in(1, "work");
    assert_eq!(lead(&mut fixture, lease, &[0]), ["committing"]);
    assert_eq!(fixture.ended().prove(&Key::Leaders).value, None);
}

#[test]
fn with_two_or_three_the_first_block_of_another_draws() {
    for validators in [2, 3] {
        let mut fixture = network(validators);
        let lease = fixture.handed_in(1, "work");
        assert_eq!(lead(&mut fixture, lease, &[0, 0, 1]), ["waiting", "waiting", "committing"]);
    }
}

#[test]
fn with_four_two_others_must_lead_and_neither_its_own_leader_nor_one_twice_counts() {
    let check = |leaders: &[u32]| {
        let mut fixture = network(4);
        let lease = fixture.handed_in(1, "work");
        let (drawing, before) = leaders.split_last().unwrap();
        for state in lead(&mut fixture, lease, before) {
            assert_eq!(state, "waiting", "{leaders:?}");
        }
        // As long as it waits, there is something to do at once.
        assert_eq!(fixture.ended().next_due(), Some(fixture.in_ms(1)));
        assert_eq!(lead(&mut fixture, lease, &[*drawing]), ["committing"], "{leaders:?}");
        // The block that draws brings the beacon.
        let audit = fixture.ledger.audit(&lease).unwrap();
        assert_eq!(audit.beacon, beacon(fixture.now().as_ms()));
        assert!(fixture.ended().next_due() > Some(fixture.in_ms(1)));
    };
    check(&[1, 2]);
    check(&[0, 3, 0, 1]);
    check(&[1, 1, 1, 2]);
    check(&[2, 0, 2, 0, 2, 3]);
}

#[test]
fn what_came_earlier_is_drawn_earlier() {
    let mut fixture = network(4);
    let first = fixture.handed_in(1, "work");
    assert_eq!(lead(&mut fixture, first, &[1]), ["waiting"]);
    let second = fixture.handed_in(1, "work");
    // The first has 1 and 0 does not count for it; the second has 0.
    assert_eq!(lead(&mut fixture, first, &[0]), ["waiting"]);
    assert_eq!(fixture.check(second), "waiting");
    assert_eq!(lead(&mut fixture, first, &[3]), ["committing"]);
    assert_eq!(fixture.check(second), "committing");
}

#[test]
fn each_round_waits_anew() {
    let mut fixture = network(4);
    fixture.enlist("bob");
    let lease = fixture.handed_in(1, "work");
    assert_eq!(lead(&mut fixture, lease, &[1, 2]), ["waiting", "committing"]);
    let first = fixture.drawn(lease, &AUDITORS);
    // Nobody comes.
    fixture.advance_with(40_000, 3);
    let height = fixture.ledger.network().height;
    assert_eq!(fixture.lease(lease).check, CheckState::Waiting { height });
    assert_eq!(lead(&mut fixture, lease, &[3, 0, 0]), ["waiting"; 3]);
    assert_eq!(lead(&mut fixture, lease, &[1]), ["committing"]);
    assert_ne!(fixture.drawn(lease, &AUDITORS), first);
}

#[test]
fn a_draw_that_is_called_off_waits_no_more() {
    let mut fixture = network(4);
    let lease = fixture.handed_in(1, "work");
    fixture.ok("tenant", Action::Dispute { lease });
    assert!(fixture.ended().next_due() > Some(fixture.in_ms(1)));
    assert_eq!(lead(&mut fixture, lease, &[1, 2, 3]), ["disputed"; 3]);
}

#[test]
fn a_snapshot_keeps_what_waits_and_for_whom() {
    let mut fixture = network(4);
    let lease = fixture.handed_in(1, "work");
    fixture.advance_with(1, 1);
    fixture.ledger.end();
    let genesis = genesis_of(4);
    let mut restored = Ledger::restore(&genesis, exported(&fixture.ledger)).unwrap();
    for (leader, expected) in [(1, "waiting"), (0, "waiting"), (2, "committing")] {
        let time = fixture.in_ms(1);
        let mut ended = Vec::new();
        for ledger in [&mut restored, &mut fixture.ledger] {
            ledger.begin(time, beacon(time.as_ms()), leader).unwrap();
            assert_eq!(ledger.lease(&lease).unwrap().check.name(), expected);
            ended.push(ledger.end());
        }
        assert_eq!(ended[0], ended[1]);
    }
}

#[test]
fn a_block_draws_1000_times_and_the_next_goes_on() {
    let mut fixture = Fixture::private();
    let audit = AuditTerms {
        probability: BasisPoints::new(500).unwrap(),
        auditors: 1,
        readers: Readers::Auditors,
    };
    let offer = fixture.offer();
    let offer = fixture.post(types::OfferTerms { slots: 4_096, ..offer });
    let mut leases = Vec::new();
    for _ in 0..=BLOCK_DUE_MAX {
        let offers = List::new(vec![offer]).unwrap();
        let lease = LeaseId::from(fixture.place(OrderTerms { offers, audit, ..fixture.order() }));
        fixture.ok("node", Action::Start { lease });
        let receipt = fixture.receipt(lease);
        fixture.ok("node", Action::SubmitReceipt(Box::new(receipt)));
        leases.push(lease);
    }
    let waiting = |fixture: &Fixture| {
        let waits = |lease: &&LeaseId| fixture.check(**lease) == "waiting";
        leases.iter().filter(waits).count()
    };
    // This is due in the next block, too, and comes after all draws.
    let lapsing = OrderTerms { budget: usd(1_543), expires: fixture.in_ms(1), ..fixture.order() };
    let order = fixture.place(lapsing);
    fixture.advance(1);
    assert_eq!((waiting(&fixture), fixture.ledger.is_open(&order)), (1, true));
    assert_eq!(fixture.ended().next_due(), Some(fixture.in_ms(1)));
    fixture.advance(1);
    assert_eq!((waiting(&fixture), fixture.ledger.is_open(&order)), (0, false));
}
