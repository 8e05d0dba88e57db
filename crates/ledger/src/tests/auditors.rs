//! Who is drawn: enlisting, seats, stake.

use types::{Action, AuditorTerms, Event, Provider, Reject};

use crate::{
    Key, Row,
    testing::{Fixture, address, class, usd},
};

const NAMES: [&str; 3] = ["ann", "bob", "cid"];

fn seats(fixture: &Fixture, name: &str) -> Vec<u32> {
    let auditor = fixture.ledger.auditor(class(), &address(name));
    auditor.map_or_else(Vec::new, |auditor| auditor.seats.to_vec())
}

/// Checks that the seats of all auditors together are numbered without gaps, each its own.
fn assert_whole(fixture: &Fixture) {
    let mut all: Vec<(u32, &str)> = NAMES
        .iter()
        .chain(&["provider"])
        .flat_map(|name| seats(fixture, name).into_iter().map(|seat| (seat, *name)))
        .collect();
    all.sort_unstable();
    let count = fixture.ledger.seats(class());
    assert_eq!(
        all.iter().map(|(seat, _)| *seat).collect::<Vec<_>>(),
        (0..count).collect::<Vec<_>>()
    );
    let ledger = fixture.ended();
    for (seat, name) in all {
        let proved = ledger.prove(&Key::Seat(class(), seat)).value;
        assert_eq!(proved.as_deref(), Some(&address(name).as_bytes()[..]));
    }
}

#[test]
fn seats_follow_stake_and_have_no_gaps() {
    let mut fixture = Fixture::new();
    for name in NAMES {
        fixture.enlist(name);
    }
    fixture.ok("node", Action::Enlist(Box::new(fixture.auditor())));
    assert_eq!(NAMES.map(|name| seats(&fixture, name)), [vec![0], vec![1], vec![2]]);
    assert_eq!(seats(&fixture, "provider"), [3, 4]);
    assert_whole(&fixture);
    fixture.ok("bob", Action::Stake { amount: usd(99_999_999) });
    assert_eq!(seats(&fixture, "bob"), [1]);
    fixture.ok("bob", Action::Stake { amount: usd(1) });
    assert_eq!(seats(&fixture, "bob"), [1, 5]);
    // The last seat takes the place of one that goes.
    fixture.ok("ann", Action::Delist { class: class() });
    assert_eq!((seats(&fixture, "ann"), seats(&fixture, "bob")), (vec![], vec![1, 0]));
    fixture.ok("provider", Action::Unstake { amount: usd(1) });
    assert_eq!((seats(&fixture, "provider"), seats(&fixture, "cid")), (vec![3], vec![2]));
    assert_whole(&fixture);
    fixture.ok("provider", Action::Unstake { amount: usd(199_999_999) });
    assert_eq!((seats(&fixture, "provider"), fixture.ledger.seats(class())), (vec![], 3));
    assert_whole(&fixture);
    for name in ["bob", "cid"] {
        fixture.ok(name, Action::Delist { class: class() });
    }
    assert_eq!(fixture.ledger.seats(class()), 0);
    for key in [Key::Seats(class()), Key::Seat(class(), 0)] {
        assert_eq!(fixture.ended().prove(&key).value, None);
    }
}

#[test]
fn nobody_has_more_than_64_seats() {
    let mut fixture = Fixture::new();
    fixture.ok("node", Action::Enlist(Box::new(fixture.auditor())));
    let (to, asset) = (address("provider"), types::Asset::Wild);
    fixture.ok("bank", Action::Issue { to, asset, amount: usd(10_000_000_000) });
    fixture.ok("provider", Action::Stake { amount: usd(10_000_000_000) });
    assert_eq!(seats(&fixture, "provider").len(), 64);
    assert_whole(&fixture);
}

#[test]
fn only_those_enlist_who_have_stake_and_say_something_sensible() {
    let mut fixture = Fixture::new();
    let terms = fixture.auditor();
    let enlist = |change: &dyn Fn(&mut AuditorTerms)| {
        let mut terms = terms.clone();
        change(&mut terms);
        Action::Enlist(Box::new(terms))
    };
    let good = enlist(&|_| {});
    fixture.refused("tenant", good.clone(), Reject::NotProvider);
    let speed = |mfuel_per_second| {
        let memory_pages = classes::job::MEMORY_PAGES_MAX;
        let output_bytes = classes::job::OUTPUT_BYTES_MAX;
        let terms =
            classes::job::Terms { metering: 1, mfuel_per_second, memory_pages, output_bytes };
        types::Blob::new(types::Encode::to_bytes(&terms)).unwrap()
    };
    let slow = enlist(&|t| t.terms = speed(classes::job::AUDITOR_SPEED_MIN - 1));
    fixture.refused("node", slow, Reject::AuditorMalformed);
    let no_terms = enlist(&|t| t.terms = types::Blob::new(vec![1]).unwrap());
    fixture.refused("node", no_terms, Reject::AuditorMalformed);
    fixture.refused("node", enlist(&|t| t.class = types::ClassId(999)), Reject::ClassUnknown);
    fixture.refused("node", Action::Delist { class: class() }, Reject::AuditorUnknown);
    fixture.ok("node", enlist(&|t| t.terms = speed(classes::job::AUDITOR_SPEED_MIN)));
    // Enlisted once more, with other terms and the same seats.
    fixture.ok("provider", good.clone());
    assert_eq!(seats(&fixture, "provider"), [0, 1]);
    let auditor = fixture.ledger.auditor(class(), &address("provider")).unwrap();
    assert_eq!(auditor.terms, terms);
    fixture.ok("provider 2", Action::Unstake { amount: usd(100_000_001) });
    fixture.refused("node 2", good, Reject::StakeShort);
}

#[test]
fn in_a_private_pool_everybody_has_one_seat() {
    let mut fixture = Fixture::private();
    for node in ["node", "node 2"] {
        fixture.ok(node, Action::Enlist(Box::new(fixture.auditor())));
    }
    assert_eq!((seats(&fixture, "provider"), seats(&fixture, "provider 2")), (vec![0], vec![1]));
    let events = fixture.advance(1);
    let auditor = address("provider");
    assert!(events.contains(&Event::Enlisted { auditor, class: class(), seats: 1 }));
}

#[test]
fn stake_covers_what_is_not_checked_yet_and_stays_as_long() {
    let mut fixture = Fixture::new();
    // 75 of 200 WILD at 1 USD can be lost for good; a lease at 10,000 takes up 400,800 of that.
    let audit = types::AuditTerms {
        probability: types::BasisPoints::new(500).unwrap(),
        auditors: 1,
        readers: types::Readers::Auditors,
    };
    let rate = types::Rate::new(1_000_000_000).unwrap();
    let dear = types::OfferTerms { rate, ..fixture.offer() };
    let offer = fixture.post(dear);
    let offers = types::List::new(vec![offer]).unwrap();
    let (to, asset) = (address("tenant"), types::Asset::Usd);
    fixture.ok("bank", Action::Issue { to, asset, amount: usd(100_000_000) });
    let order = types::OrderTerms { offers, audit, budget: usd(100_000_000), ..fixture.order() };
    // At ten dollars it takes up 400 dollars.
    let quote = fixture.ledger.quote(&order).unwrap();
    assert_eq!(quote.excluded[0].reason, "its provider's stake does not cover more unchecked work");
    fixture.refused("tenant", Action::PlaceOrder(Box::new(order)), Reject::OrderUnmatched);
    let lease = fixture.handed_in_for(audit, "work");
    // It was matched at 10,000 and cost 5,000.
    let exposure = |fixture: &Fixture| -> u64 {
        let provider: Provider = fixture.ledger.provider(&address("provider")).unwrap();
        provider.exposure.get()
    };
    assert_eq!((exposure(&fixture), fixture.lease(lease).exposure), (200_400, usd(200_400)));
    let all_but = |left: u64| Action::Unstake { amount: usd(200_000_000 - left) };
    for offer in fixture.ended().offers_of(&address("provider")) {
        fixture.ok("node", Action::RetireOffer { offer: offer.id });
    }
    fixture.refused("provider", all_but(534_399), Reject::StakeInUse);
    fixture.ok("provider", all_but(534_400));
    fixture.advance(2_000);
    fixture.advance(2_000);
    assert_eq!((exposure(&fixture), fixture.balance(Row::Pending(lease))), (0, 0));
    fixture.ok("provider", Action::Unstake { amount: usd(534_400) });
}
