//! Blocks, epochs and the queue of what happens by itself.

use types::{Action, Event, Time};

use crate::{
    BeginError, Ledger,
    testing::{Fixture, class, genesis, usd},
};

#[test]
fn a_block_must_come_after_the_last() {
    let mut ledger = Ledger::new(&genesis()).unwrap();
    let (last, root) = (ledger.network().time, ledger.root());
    for given in [last, Time::from_ms(0)] {
        let refused = Err(BeginError::Time { last, given });
        assert_eq!(ledger.begin(given, types::Hash::ZERO, 0), refused);
    }
    assert_eq!((ledger.network().height, ledger.root()), (0, root));
    ledger.begin(Time::from_ms(last.as_ms() + 1), types::Hash::ZERO, 0).unwrap();
    assert_ne!(ledger.end().root, root);
    assert_eq!(ledger.network().height, 1);
}

#[test]
fn a_validator_leads_each_block() {
    let mut ledger = Ledger::new(&genesis()).unwrap();
    let (next, before) = (Time::from_ms(ledger.network().time.as_ms() + 1), ledger.network());
    for leader in [2, u32::MAX] {
        let refused = Err(BeginError::Leader { leader, validators: 2 });
        assert_eq!(ledger.begin(next, types::Hash::ZERO, leader), refused);
    }
    assert_eq!(ledger.network(), before);
    assert_eq!(ledger.begin(next, types::Hash::ZERO, 1), Ok(()));
}

#[test]
fn an_epoch_closes_once_and_keeps_what_is_claimed() {
    let mut fixture = Fixture::new();
    let lease = fixture.started();
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(lease))));
    fixture.advance(2_000);
    let closing = fixture.ledger.tallies()[0];
    assert_eq!(fixture.ledger.past_tallies(), []);
    let began = fixture.ledger.network().epoch_began;
    let ms = began.as_ms() + 600_000 - fixture.now().as_ms();
    fixture.advance(ms - 1);
    assert_eq!(fixture.ledger.network().epoch, 0);
    let events = fixture.advance(1);
    assert!(events.contains(&Event::EpochClosed { tally: closing }));
    assert_eq!(fixture.ledger.past_tallies(), [closing]);
    let running = fixture.ledger.tallies()[0];
    assert_eq!((running.epoch, running.class), (1, class()));
    assert_eq!(running.supply.claimed, closing.supply.claimed);
    assert_eq!((running.supply.earning.get(), running.income.revenue), (0, usd(0)));
    // Three more pass unseen; one event tells of the last that was open.
    let events = fixture.advance(3 * 600_000 + 5);
    let closed = |event: &&Event| matches!(event, Event::EpochClosed { .. });
    assert_eq!(events.iter().filter(closed).count(), 1);
    let network = fixture.ledger.network();
    assert_eq!((network.epoch, network.epoch_began.as_ms()), (4, began.as_ms() + 4 * 600_000));
}

#[test]
fn a_block_works_through_1000_due_entries_and_the_next_goes_on() {
    let mut fixture = Fixture::new();
    let mut orders = Vec::new();
    for _ in 0..1_001 {
        let budget = usd(1_543);
        orders.push(fixture.place(types::OrderTerms { budget, ..fixture.order() }));
    }
    let open =
        |fixture: &Fixture| orders.iter().filter(|order| fixture.ledger.is_open(order)).count();
    fixture.advance(599_998);
    assert_eq!((open(&fixture), fixture.ledger.next_due()), (1_001, Some(fixture.in_ms(1))));
    fixture.advance(2);
    assert_eq!((open(&fixture), fixture.ledger.next_due()), (1, Some(fixture.in_ms(1))));
    fixture.advance(1);
    assert_eq!((open(&fixture), fixture.wallet("tenant")), (0, 10_000_000));
}
