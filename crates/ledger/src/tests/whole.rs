//! The whole machine: determinism, forks, proofs, snapshots, and sequences that make no sense.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers of a random sequence are reduced first"
)]

use proptest::prelude::*;
use types::{
    Action, Amount, Asset, Change, Duration, LeaseId, List, OfferId, OrderId, Rate, Reject, Time,
    Validator,
};

use crate::{
    GenesisError, Key, Ledger, Row,
    map::{Import, Map},
    testing::{
        Fixture, address, claims, found, genesis, key, private_genesis, register, rotate, ruling,
        usd,
    },
    verify_proof,
};

/// Runs a small recorded chain.
fn recorded() -> Fixture {
    let mut fixture = Fixture::new();
    let served = fixture.started();
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(served))));
    fixture.place(types::OrderTerms { budget: usd(1_543), ..fixture.order() });
    fixture.advance(2_000);
    let lease = fixture.started();
    fixture.ok("tenant", Action::Close { lease });
    fixture.leased();
    fixture.ok("provider 2", Action::Unstake { amount: usd(5) });
    fixture.ok(
        "provider",
        Action::Vote { change: Change::Rules(2), effective: fixture.in_ms(60_000) },
    );
    for auditor in ["auditor", "second auditor"] {
        fixture.enlist(auditor);
    }
    let disputed = fixture.handed_in(2, "fake");
    fixture.advance(1);
    let findings = [("auditor", found("work")), ("second auditor", found("other"))];
    for (auditor, finding) in findings {
        fixture.commit(disputed, auditor, finding);
    }
    for (auditor, finding) in findings {
        fixture.reveal(disputed, auditor, finding);
    }
    fixture.rule(disputed, ruling("work"));
    fixture.advance(500_000);
    fixture.advance(200_000);
    fixture
}

#[test]
fn the_same_blocks_give_the_same_root_and_it_is_pinned() {
    let (first, second) = (recorded().ledger.end().root, recorded().ledger.end().root);
    assert_eq!(first, second);
    let pinned = "2bbaeed732d20a219ae1b97f83252b163e1836d0f2e23ebe87c1a27eeab218df";
    assert_eq!(first.to_string(), pinned);
}

#[test]
fn a_fork_knows_nothing_of_the_other() {
    let mut fixture = recorded();
    let before = fixture.ledger.clone().end();
    let mut fork = fixture.clone();
    fork.leased();
    fork.advance(1_000);
    let forked = fork.ledger.end();
    assert_eq!(fixture.ledger.clone().end(), before);
    assert_ne!(forked.root, before.root);
    fixture.leased();
    fixture.advance(1_000);
    assert_eq!(fixture.ledger.end(), forked);
}

#[test]
fn a_proof_shows_a_row_and_its_absence() {
    let mut fixture = recorded();
    let ended = fixture.ledger.end();
    let there = Key::Book(Row::Buyback, Asset::Usd);
    let proved = fixture.ledger.prove(&there);
    assert!(proved.value.is_some());
    assert_eq!(verify_proof(&ended.root, &there, &proved.proof), Ok(proved.value));
    let absent = Key::Lease(LeaseId::from_bytes([9; 32]));
    let proved = fixture.ledger.prove(&absent);
    assert_eq!(verify_proof(&ended.root, &absent, &proved.proof), Ok(None));
    assert!(verify_proof(&ended.root, &there, &proved.proof).is_err());
}

/// Returns a ledger's map as somebody has it who took its chunks.
pub(crate) fn exported(ledger: &Ledger) -> Map {
    let mut import = Import::new(*ledger.root().as_bytes());
    for chunk in ledger.chunks() {
        import.accept(&chunk).unwrap();
    }
    import.finish().unwrap()
}

#[test]
fn a_snapshot_restores_a_ledger_that_goes_on_the_same() {
    let mut fixture = recorded();
    fixture.ledger.end();
    let map = exported(&fixture.ledger);
    assert!(Ledger::restore(&private_genesis(), map.clone()).is_err());
    assert!(Ledger::restore(&genesis(), Map::new()).is_err());
    let mut restored = Ledger::restore(&genesis(), map).unwrap();
    let time = fixture.in_ms(5_000_000);
    for ledger in [&mut restored, &mut fixture.ledger] {
        ledger.begin(time, crate::testing::beacon(time.as_ms()), 0).unwrap();
    }
    assert_eq!(restored.end(), fixture.ledger.end());
}

#[test]
fn a_private_pool_works_without_token_and_stake() {
    let mut fixture = Fixture::private();
    let lease = fixture.started();
    fixture.ok("node", Action::SubmitReceipt(Box::new(fixture.receipt(lease))));
    fixture.advance(2_000);
    assert_eq!((fixture.balance(Row::Buyback), fixture.balance(Row::Treasury)), (0, 150));
    let held =
        |entry: (&[u8], &[u8])| matches!(Key::from_bytes(entry.0), Some(Key::Book(_, Asset::Wild)));
    assert!(!fixture.ledger.map().iter().any(held));
}

#[test]
fn a_genesis_that_cannot_be_is_refused() {
    let refused = |change: &dyn Fn(&mut types::Genesis), from: types::Genesis| {
        let mut genesis = from;
        change(&mut genesis);
        Ledger::new(&genesis).map(drop).unwrap_err()
    };
    assert_eq!(refused(&|g| g.rules = 2, genesis()), GenesisError::Rules(2));
    assert_eq!(refused(&|g| g.validators = List::default(), genesis()), GenesisError::NoValidator);
    let twice = || List::new(vec![Validator::without_beacon(key("v")); 2]).unwrap();
    let unordered = GenesisError::ValidatorsUnordered;
    assert_eq!(refused(&|g| g.validators = twice(), genesis()), unordered);
    let double = |g: &mut types::Genesis| {
        g.issuers = List::new([g.issuers.to_vec(), g.issuers.to_vec()].concat()).unwrap();
    };
    assert_eq!(refused(&double, genesis()), GenesisError::IssuerTwice);
    let endless = |g: &mut types::Genesis| {
        let wallet = types::GenesisWallet { address: address("a"), amount: Amount::MAX };
        g.wallets = List::new(vec![wallet]).unwrap();
    };
    assert_eq!(refused(&endless, genesis()), GenesisError::Supply(Asset::Wild));
    let windows = |g: &mut types::Genesis| g.parameters.unbonding_ms = Duration::from_ms(1);
    assert!(matches!(refused(&windows, genesis()), GenesisError::Parameters(_)));
    let public = genesis();
    for change in [
        &|g: &mut types::Genesis| g.parameters.burn_share = public.parameters.burn_share,
        &|g: &mut types::Genesis| g.parameters.stake_minimum = usd(1),
        &|g: &mut types::Genesis| g.issuers = public.issuers.clone(),
        &|g: &mut types::Genesis| g.wallets = public.wallets.clone(),
    ] as [&dyn Fn(&mut types::Genesis); 4]
    {
        assert!(matches!(refused(change, private_genesis()), GenesisError::NoToken(_)));
    }
}

/// What a random sequence is made of.
#[derive(Debug, Clone)]
struct Step {
    what: u8,
    signer: u8,
    other: u8,
    number: u64,
}

const NAMES: [&str; 8] =
    ["tenant", "tenant 2", "provider", "provider 2", "node", "node 2", "bank", "nobody"];

/// What a random sequence has made so far.
#[derive(Default)]
struct Made {
    offers: Vec<OfferId>,
    orders: Vec<OrderId>,
}

fn pick<T: Copy>(things: &[T], number: u64) -> Option<T> {
    let count = u64::try_from(things.len()).unwrap().max(1);
    things.get(usize::try_from(number % count).unwrap()).copied()
}

fn action(fixture: &Fixture, made: &Made, step: &Step) -> Action {
    let name = |number: u8| NAMES[usize::from(number) % NAMES.len()];
    let to = address(name(step.other));
    let amount = usd(step.number % 30_000_000);
    let asset = if step.other.is_multiple_of(2) { Asset::Usd } else { Asset::Wild };
    let offer = pick(&made.offers, step.number).unwrap_or(OfferId::from_bytes([0; 32]));
    let order = pick(&made.orders, step.number).unwrap_or(OrderId::from_bytes([0; 32]));
    let lease = LeaseId::from(order);
    match step.what % 20 {
        0 => Action::Transfer { to, asset, amount },
        1 => Action::Issue { to, asset, amount },
        2 => Action::Redeem { asset, amount },
        3 => register(name(step.other)),
        4 => rotate(&step.number.to_string()),
        5 => Action::Stake { amount },
        6 => Action::Unstake { amount },
        7 | 8 => {
            let mut terms = fixture.offer();
            terms.rate = Rate::new(step.number % 3_000_000).unwrap();
            terms.slots = u32::from(step.other % 3);
            terms.claims = claims(&[("region", if step.other > 99 { "eu" } else { "us" })]);
            Action::PostOffer(Box::new(terms))
        }
        9 => Action::RetireOffer { offer },
        10..=12 => {
            let mut terms = fixture.order();
            terms.budget = usd(step.number % 40_000);
            if step.other > 200 {
                terms.constraint = r#"region == "eu""#.parse().unwrap();
            } else if step.other > 80 {
                terms.offers = List::new(vec![offer]).unwrap();
            }
            Action::PlaceOrder(Box::new(terms))
        }
        13 => Action::CancelOrder { order },
        14 => Action::Start { lease },
        15 | 16 => {
            let mut signed = fixture.receipt(lease);
            if let Some(lease) = fixture.ledger.lease(&lease) {
                signed.node_key = lease.node_key;
                if let types::LeaseState::Active { since } = lease.state {
                    signed.receipt.from = since;
                }
            }
            Action::SubmitReceipt(Box::new(signed))
        }
        17 => Action::Reclaim { lease, notice: Duration::from_ms(step.number % 60_000) },
        18 => Action::Close { lease },
        _ => {
            let delay = 60_000 + step.number % 3;
            Action::Vote { change: Change::Rules(2), effective: fixture.in_ms(delay) }
        }
    }
}

fn check_counters(ledger: &Ledger) {
    for provider in ledger.providers(None, usize::MAX) {
        let leases = ledger.leases_of_provider(&provider.address, None, usize::MAX);
        let offers = ledger.offers_of(&provider.address);
        let unbondings = ledger.unbondings(&provider.address);
        let counted = [provider.leases, provider.offers, provider.unbondings];
        let found = [leases.len(), offers.len(), unbondings.len()];
        assert_eq!(counted.map(|count| usize::try_from(count).unwrap()), found);
        for offer in &offers {
            let on_it = leases.iter().filter(|lease| lease.offer == offer.id).count();
            assert_eq!(usize::try_from(ledger.leased(&offer.id)).unwrap(), on_it);
        }
    }
    let total: u64 = ledger
        .offers(crate::testing::class(), None, usize::MAX)
        .iter()
        .map(|offer| offer.capacity.get())
        .sum();
    assert_eq!(ledger.tallies()[0].supply.claimed.get(), total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_sequence_panics_or_makes_or_loses_value(
        private: bool,
        steps in prop::collection::vec(
            (any::<u8>(), any::<u8>(), any::<u8>(), any::<u64>())
                .prop_map(|(what, signer, other, number)| Step { what, signer, other, number }),
            1..300,
        ),
    ) {
        let mut fixture = if private { Fixture::private() } else { Fixture::new() };
        let mut made = Made::default();
        for step in &steps {
            let action = action(&fixture, &made, step);
            let transaction =
                fixture.transaction(NAMES[usize::from(step.signer) % NAMES.len()], action);
            let (offer, order) = (OfferId::from(transaction.id()), OrderId::from(transaction.id()));
            let is_offer = matches!(transaction.action, Action::PostOffer(_));
            let is_order = matches!(transaction.action, Action::PlaceOrder(_));
            let result = fixture.execute(transaction);
            prop_assert_ne!(result, Err(Reject::Invariant));
            match result {
                Ok(()) if is_offer => made.offers.push(offer),
                Ok(()) if is_order => made.orders.push(order),
                _ => {}
            }
            if step.number.is_multiple_of(7) {
                fixture.advance(1 + step.number % 100_000);
                check_counters(&fixture.ended());
            }
        }
        // Left alone, everything comes to its end.
        let end = Time::from_ms(20_000_000);
        while let Some(due) = fixture.ledger.next_due().filter(|due| *due < end) {
            let ms = due.since(fixture.now()).as_ms();
            fixture.advance(ms);
        }
        prop_assert!(made.orders.iter().all(|order| fixture.ledger.order(order).is_none()));
        check_counters(&fixture.ended());
    }
}
