//! Offers, orders, matching and quotes.

use types::{
    Action, AuditTerms, BasisPoints, Blob, Claim, Claims, ClassId, Duration, LeaseId, List,
    OfferId, OfferTerms, OrderTerms, Provenance, Rate, Readers, Reject, Time,
};

use crate::{
    key::Row,
    testing::{Fixture, UNITS, address, claims, class, usd},
};

fn post(terms: OfferTerms) -> Action {
    Action::PostOffer(Box::new(terms))
}

fn place(terms: OrderTerms) -> Action {
    Action::PlaceOrder(Box::new(terms))
}

fn at_rate(fixture: &Fixture, rate: u64) -> OfferTerms {
    OfferTerms { rate: Rate::new(rate).unwrap(), ..fixture.offer() }
}

fn naming(fixture: &Fixture, offers: &[OfferId]) -> OrderTerms {
    OrderTerms { offers: List::new(offers.to_vec()).unwrap(), ..fixture.order() }
}

/// Places an order and returns the offer that took it.
fn taken(fixture: &mut Fixture, terms: OrderTerms) -> Option<OfferId> {
    let order = fixture.place(terms);
    fixture.ledger.lease(&order.into()).map(|lease| lease.offer)
}

#[test]
fn an_offer_stands_locks_its_place_and_is_counted_as_claimed() {
    let mut fixture = Fixture::new();
    let claimed = |fixture: &Fixture| fixture.ledger.tallies()[0].supply.claimed.get();
    let id = fixture.post(fixture.offer());
    let offer = fixture.ledger.offer(&id).unwrap();
    assert_eq!(claimed(&fixture), offer.capacity.get());
    assert_eq!((fixture.wallet("provider"), fixture.balance(Row::Offer(id))), (9_999_000, 1_000));
    assert_eq!(fixture.ended().offers_of(&fixture.provider()), [offer]);
    fixture.refused("tenant", Action::RetireOffer { offer: id }, Reject::NotProvider);
    fixture.refused("node 2", Action::RetireOffer { offer: id }, Reject::OfferUnknown);
    fixture.ok("node", Action::RetireOffer { offer: id });
    fixture.refused("node", Action::RetireOffer { offer: id }, Reject::OfferUnknown);
    assert_eq!((claimed(&fixture), fixture.wallet("provider")), (0, 10_000_000));
    assert_eq!(fixture.ended().offers(class(), None, 9), []);
}

#[test]
fn an_offer_that_cannot_stand_is_refused() {
    let mut fixture = Fixture::new();
    let good = fixture.offer();
    let now = fixture.now();
    let horizon = fixture.ledger.parameters().market_horizon_ms;
    let mut check = |signer: &str, terms: OfferTerms, reject| {
        fixture.refused(signer, post(terms), reject);
    };
    check("tenant", good.clone(), Reject::NotProvider);
    check("node", OfferTerms { class: ClassId(999), ..good.clone() }, Reject::ClassUnknown);
    for slots in [0, 4097] {
        check("node", OfferTerms { slots, ..good.clone() }, Reject::OfferSlots);
    }
    let terms = Blob::new(vec![1, 2, 3]).unwrap();
    check("node", OfferTerms { terms, ..good.clone() }, Reject::OfferMalformed);
    let far = claims(&[("region", "a region of 17 by")]);
    check("node", OfferTerms { claims: far, ..good.clone() }, Reject::OfferMalformed);
    check("node", OfferTerms { minimum: usd(1_542), ..good.clone() }, Reject::OfferMinimum);
    for expires in [now, Time::from_ms(now.after(horizon).as_ms() + 1)] {
        check("node", OfferTerms { expires, ..good.clone() }, Reject::OfferExpiry);
    }
    let mut fixture = Fixture::new();
    fixture.ok("provider", Action::Unstake { amount: usd(100_000_001) });
    fixture.refused("node", post(good.clone()), Reject::StakeShort);
    let mut fixture = Fixture::new();
    let (to, asset) = (address("tenant"), types::Asset::Usd);
    fixture.ok("provider", Action::Transfer { to, asset, amount: usd(9_999_001) });
    fixture.refused("node", post(good.clone()), Reject::FundsShort);
    let mut fixture = Fixture::new();
    for _ in 0..64 {
        fixture.post(good.clone());
    }
    fixture.refused("node", post(good), Reject::OffersFull);
}

#[test]
fn what_validators_could_not_judge_in_time_is_not_to_be_checked() {
    let mut fixture = Fixture::new();
    // At twenty Mfuel a second, and then at fifty.
    let units = fixture.ledger.parameters().judging().as_ms() / 7_000 * 100;
    let order = |units: u64, audit| OrderTerms {
        spec: Blob::new(classes::CLASSES[0].sample(units * 1_000_000).spec).unwrap(),
        audit,
        ..fixture.order()
    };
    let share = |count| BasisPoints::new(count).unwrap();
    let audit = AuditTerms { probability: share(500), auditors: 1, readers: Readers::Auditors };
    let private = AuditTerms { probability: share(0), auditors: 0, readers: Readers::Nobody };
    let [most, more, hidden] =
        [order(units, audit), order(units + 100, audit), order(units + 100, private)];
    fixture.refused("tenant", place(more), Reject::OrderUnjudgeable);
    for fits in [most, hidden] {
        fixture.ok("tenant", place(fits));
    }
}

#[test]
fn an_order_that_cannot_be_is_refused() {
    let mut fixture = Fixture::new();
    fixture.post(fixture.offer());
    let good = fixture.order();
    let now = fixture.now();
    let horizon = fixture.ledger.parameters().market_horizon_ms;
    let mut check = |terms: OrderTerms, reject| fixture.refused("tenant", place(terms), reject);
    check(OrderTerms { class: ClassId(999), ..good.clone() }, Reject::ClassUnknown);
    let spec = Blob::new(vec![7; 40]).unwrap();
    check(OrderTerms { spec, ..good.clone() }, Reject::OrderMalformed);
    for expires in [now, Time::from_ms(now.after(horizon).as_ms() + 1)] {
        check(OrderTerms { expires, ..good.clone() }, Reject::OrderExpiry);
    }
    for duration in [Duration::from_ms(999), Duration::from_ms(horizon.as_ms() + 1)] {
        check(OrderTerms { duration, ..good.clone() }, Reject::OrderDuration);
    }
    let share = |count| BasisPoints::new(count).unwrap();
    for (probability, auditors, readers) in [
        (share(1), 0, Readers::Nobody),
        (share(0), 1, Readers::Nobody),
        (share(0), 1, Readers::Auditors),
        (share(1), 0, Readers::Auditors),
        (share(1), 8, Readers::Auditors),
    ] {
        let audit = AuditTerms { probability, auditors, readers };
        check(OrderTerms { audit, ..good.clone() }, Reject::OrderAudit);
    }
    check(OrderTerms { budget: usd(1_542), ..good.clone() }, Reject::OrderBudget);
    check(OrderTerms { budget: usd(9_999_001), ..good.clone() }, Reject::FundsShort);
    let none = OfferId::from_bytes([0; 32]);
    let named = OrderTerms { offers: List::new(vec![none]).unwrap(), ..good };
    check(OrderTerms { budget: usd(10_000_001), ..named.clone() }, Reject::FundsShort);
    check(named, Reject::OrderUnmatched);
}

#[test]
fn an_account_has_no_more_open_orders_than_allowed() {
    let mut genesis = crate::testing::private_genesis();
    genesis.parameters.open_orders_max = 2;
    let mut fixture = Fixture::bare(&genesis);
    let (to, asset, amount) = (address("tenant"), types::Asset::Usd, usd(1_000_000));
    fixture.ok("bank", Action::Issue { to, asset, amount });
    let first = fixture.place(fixture.order());
    fixture.place(fixture.order());
    let order = fixture.order();
    fixture.refused("tenant", place(order), Reject::OrdersFull);
    fixture.ok("tenant", Action::CancelOrder { order: first });
    fixture.place(fixture.order());
}

#[test]
fn the_cheapest_offer_takes_an_order_and_of_equals_the_oldest() {
    let mut fixture = Fixture::new();
    let dear = fixture.post(at_rate(&fixture, 1_500_000));
    let first = fixture.post(at_rate(&fixture, 1_000_000));
    fixture.advance(1);
    let slots = 1;
    let second = fixture.post(OfferTerms { slots, ..at_rate(&fixture, 1_000_000) });
    let cheap = fixture.post(OfferTerms { slots, ..at_rate(&fixture, 500_000) });
    let listed = |fixture: &Fixture, after| {
        let offers = fixture.ended().offers(class(), after, 2);
        offers.iter().map(|offer| offer.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(&fixture, None), [cheap, first]);
    assert_eq!(listed(&fixture, Some(&first)), [second, dear]);
    let mut took = Vec::new();
    for _ in 0..7 {
        let order = fixture.order();
        took.push(taken(&mut fixture, order).unwrap());
    }
    assert_eq!(took, [cheap, first, first, first, first, second, dear]);
    assert_eq!((fixture.ledger.leased(&first), fixture.ledger.leased(&second)), (4, 1));
}

#[test]
fn an_order_that_names_offers_takes_the_first_that_can() {
    let mut fixture = Fixture::new();
    let cheap = fixture.post(at_rate(&fixture, 500_000));
    let dear = fixture.post(at_rate(&fixture, 1_500_000));
    let gone = OfferId::from_bytes([0; 32]);
    let terms = naming(&fixture, &[gone, dear, cheap]);
    assert_eq!(taken(&mut fixture, terms.clone()), Some(dear));
    let terms = OrderTerms { budget: usd(14_999), ..terms };
    assert_eq!(taken(&mut fixture, terms.clone()), Some(cheap));
    let terms = OrderTerms { budget: usd(4_999), ..terms };
    fixture.refused("tenant", place(terms), Reject::OrderUnmatched);
}

#[test]
fn an_order_with_a_region_looks_only_there() {
    let mut fixture = Fixture::new();
    let there = |fixture: &Fixture, region| OfferTerms {
        claims: claims(&[("region", region)]),
        ..fixture.offer()
    };
    fixture.post(at_rate(&fixture, 200));
    fixture.post(there(&fixture, "us"));
    let eu = fixture.post(there(&fixture, "eu"));
    let constraint = r#"has(region) && region == "eu""#.parse().unwrap();
    let terms = OrderTerms { constraint, ..fixture.order() };
    assert_eq!(taken(&mut fixture, terms.clone()), Some(eu));
    assert_eq!(fixture.ledger.state.block.examined, 1);
    assert_eq!(fixture.ledger.quote(&terms).unwrap().examined, 1);
    let constraint = r#"region == "eu" || region == "us""#.parse().unwrap();
    let quote = fixture.ledger.quote(&OrderTerms { constraint, ..fixture.order() }).unwrap();
    assert_eq!((quote.offers.len(), quote.examined), (2, 3));
}

#[test]
fn an_open_order_waits_and_is_taken_when_an_offer_comes() {
    let mut fixture = Fixture::new();
    let order = fixture.place(fixture.order());
    assert!(fixture.ledger.is_open(&order));
    assert_eq!((fixture.wallet("tenant"), fixture.balance(Row::Order(order))), (9_979_000, 21_000));
    assert_eq!(fixture.ledger.account(&address("tenant")).unwrap().open_orders, 1);
    fixture.advance(1);
    let offer = fixture.post(fixture.offer());
    assert!(fixture.ledger.is_open(&order));
    fixture.advance(1);
    let lease = fixture.lease(order.into());
    assert_eq!((lease.offer, lease.escrow), (offer, usd(UNITS)));
    assert!(!fixture.ledger.is_open(&order));
    assert_eq!((fixture.wallet("tenant"), fixture.balance(Row::Order(order))), (9_990_000, 0));
    assert_eq!(fixture.ledger.account(&address("tenant")).unwrap().open_orders, 0);
    fixture.refused("tenant", Action::CancelOrder { order }, Reject::OrderUnknown);
}

#[test]
fn an_open_order_is_taken_when_a_slot_becomes_free() {
    let mut fixture = Fixture::new();
    fixture.post(OfferTerms { slots: 1, ..fixture.offer() });
    let first = LeaseId::from(fixture.place(fixture.order()));
    let second = fixture.place(fixture.order());
    fixture.advance(1);
    assert!(fixture.ledger.is_open(&second));
    assert!(fixture.ledger.next_due() > Some(fixture.in_ms(1)));
    fixture.ok("tenant", Action::Close { lease: first });
    fixture.advance(1);
    assert!(fixture.ledger.lease(&second.into()).is_some());
}

#[test]
fn a_cancelled_or_lapsed_order_gives_everything_back() {
    let mut fixture = Fixture::new();
    let (first, second) = (fixture.place(fixture.order()), fixture.place(fixture.order()));
    fixture.refused("tenant 2", Action::CancelOrder { order: first }, Reject::OrderUnknown);
    fixture.ok("tenant", Action::CancelOrder { order: first });
    assert_eq!((fixture.wallet("tenant"), fixture.ledger.order(&first)), (9_979_000, None));
    fixture.advance(599_999);
    assert!(fixture.ledger.is_open(&second));
    fixture.advance(1);
    assert_eq!((fixture.wallet("tenant"), fixture.ledger.order(&second)), (10_000_000, None));
}

#[test]
fn a_block_examines_256_offers_and_the_next_goes_on_with_the_next_order() {
    let mut genesis = crate::testing::private_genesis();
    genesis.parameters.offers_max = 301;
    let mut fixture = Fixture::bare(&genesis);
    for name in ["tenant", "provider"] {
        let (to, asset, amount) = (address(name), types::Asset::Usd, usd(10_000_000));
        fixture.ok("bank", Action::Issue { to, asset, amount });
    }
    fixture.ok("provider", crate::testing::register("node"));
    let constraint = "has(gpu)".parse().unwrap();
    let picky = fixture.place(OrderTerms { constraint, ..fixture.order() });
    let modest = fixture.place(OrderTerms { budget: usd(1_543), ..fixture.order() });
    for _ in 0..300 {
        fixture.post(fixture.offer());
    }
    fixture.advance(1);
    // The first order used the whole allowance and the second's turn comes with the next block.
    assert!(fixture.ledger.is_open(&picky) && fixture.ledger.is_open(&modest));
    assert_eq!(fixture.ledger.next_due(), Some(fixture.in_ms(1)));
    fixture.post(at_rate(&fixture, 200));
    fixture.advance(1);
    assert!(fixture.ledger.is_open(&picky) && !fixture.ledger.is_open(&modest));
    // The queue's end is reached twice, and then nothing happens by itself any more.
    for _ in 0..4 {
        fixture.advance(1);
    }
    assert!(fixture.ledger.next_due() > Some(fixture.in_ms(1)));
}

#[test]
fn suspended_and_unstaked_providers_and_expired_offers_take_nothing() {
    let mut fixture = Fixture::new();
    let offer = fixture.post(OfferTerms { slots: 1, ..fixture.offer() });
    let reasons = |fixture: &Fixture, terms: &OrderTerms| {
        let quote = fixture.ledger.quote(terms).unwrap();
        assert_eq!(quote.offers, []);
        quote.excluded.iter().map(|exclusion| exclusion.reason.clone()).collect::<Vec<_>>()
    };
    let terms = naming(&fixture, &[offer]);
    let poor = OrderTerms { budget: usd(9_999), ..terms.clone() };
    assert_eq!(reasons(&fixture, &poor), ["it costs more than the budget"]);
    let constraint = "gpu.count >= 2 && !has(cpu)".parse().unwrap();
    let picky = OrderTerms { constraint, ..terms.clone() };
    assert_eq!(reasons(&fixture, &picky), ["gpu.count >= 2 is unknown"]);
    fixture.place(terms.clone());
    assert_eq!(reasons(&fixture, &terms), ["all its slots are taken"]);
    let gone = naming(&fixture, &[OfferId::from_bytes([1; 32])]);
    assert_eq!(reasons(&fixture, &gone), ["it is not standing"]);
}

#[test]
fn a_great_minimum_without_a_rate_does_not_come_first() {
    let mut fixture = Fixture::new();
    fixture.post(OfferTerms { minimum: usd(5_000_000), ..at_rate(&fixture, 200) });
    let honest = fixture.post(at_rate(&fixture, 999_999));
    let order = OrderTerms { budget: usd(5_000_000), ..fixture.order() };
    assert_eq!(taken(&mut fixture, order), Some(honest));
}

#[test]
fn what_a_provider_says_was_measured_is_refused() {
    let mut fixture = Fixture::new();
    for provenance in [Provenance::Measured, Provenance::Attested] {
        let mut said = Claims::new();
        for (key, claim) in claims(&[("region", "eu")]).iter() {
            said.insert(key.clone(), Claim { provenance, ..claim.clone() }).unwrap();
        }
        let terms = OfferTerms { claims: said, ..fixture.offer() };
        fixture.refused("provider", Action::PostOffer(Box::new(terms)), Reject::OfferMalformed);
    }
}

#[test]
fn a_quote_names_the_cheapest_16_and_counts_the_others_by_reason() {
    let mut fixture = Fixture::new();
    let mut cheap = Vec::new();
    for rate in (201..=220).rev() {
        fixture.post(OfferTerms { claims: claims(&[("region", "us")]), ..at_rate(&fixture, rate) });
        cheap.push(fixture.post(OfferTerms {
            claims: claims(&[("region", "eu")]),
            ..at_rate(&fixture, 1_000_000 + rate)
        }));
    }
    let audit = AuditTerms {
        probability: BasisPoints::new(1_000).unwrap(),
        auditors: 2,
        readers: Readers::Auditors,
    };
    let constraint = r#"region != "us""#.parse().unwrap();
    let terms = OrderTerms { constraint, audit, ..fixture.order() };
    let quote = fixture.ledger.quote(&terms).unwrap();
    let offers: Vec<OfferId> = quote.offers.iter().map(|quoted| quoted.offer).collect();
    cheap.reverse();
    assert_eq!(offers, cheap[..16]);
    assert_eq!((quote.offers[0].price, quote.offers[0].premium), (usd(10_003), usd(2_001)));
    assert_eq!(quote.excluded[0].reason, r#"region != "us" is false"#);
    assert_eq!((quote.excluded[0].offers, quote.examined), (20, 40));
    // What the quote names takes the order.
    let terms = OrderTerms { offers: List::new(offers).unwrap(), ..terms };
    assert_eq!(taken(&mut fixture, terms), Some(cheap[0]));
}
