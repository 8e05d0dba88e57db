//! Providers, node keys and stake.

use types::{Account, Action, Asset, Reject};

use crate::{
    key::Row,
    testing::{Fixture, address, key, register, rotate, usd},
};

#[test]
fn a_node_key_belongs_to_one_provider_and_to_nobody_else() {
    let mut fixture = Fixture::new();
    fixture.refused("provider", register("free"), Reject::ProviderExists);
    fixture.refused("node", register("free"), Reject::ProviderExists);
    for taken in ["node", "provider", "tenant"] {
        fixture.refused("tenant", register(taken), Reject::NodeKeyTaken);
    }
    fixture.ok("tenant", register("free"));
    assert_eq!(fixture.ledger.account(&address("free")), Some(Account::default()));
    assert_eq!(fixture.ledger.provider_of(&address("free")), Some(address("tenant")));
    // That somebody sent it funds does not take a key from who holds it.
    fixture.ok("tenant 2", register("tenant 3"));
    let nonce = |name| fixture.ledger.account(&address(name)).map(|account| account.nonce);
    assert_eq!((nonce("tenant 2"), nonce("tenant 3")), (Some(1), Some(0)));
}

#[test]
fn a_rotated_key_acts_and_the_old_one_does_not() {
    let mut fixture = Fixture::new();
    let lease = fixture.leased();
    fixture.refused("tenant", rotate("free"), Reject::NotProvider);
    fixture.refused("node", rotate("free"), Reject::NotProvider);
    fixture.refused("provider", rotate("node"), Reject::NodeKeyTaken);
    fixture.ok("provider", rotate("fresh"));
    let offer = fixture.offer();
    fixture.refused("node", Action::PostOffer(Box::new(offer)), Reject::NotProvider);
    let offer = fixture.offer();
    fixture.post_as("fresh", offer);
    fixture.refused("provider 2", rotate("fresh"), Reject::NodeKeyTaken);
    // The lease pinned the old key.
    fixture.refused("fresh", Action::Start { lease }, Reject::LeaseNotYours);
    fixture.ok("node", Action::Start { lease });
    // A new match pins the new one, also on an offer that was posted before.
    let order = fixture.place(fixture.order());
    assert_eq!(fixture.lease(order.into()).node_key, key("fresh"));
}

#[test]
fn stake_waits_on_its_way_back() {
    let mut fixture = Fixture::new();
    let provider = fixture.provider();
    let stake = |fixture: &Fixture| fixture.ledger.balance(Row::Stake(provider), Asset::Wild).get();
    assert_eq!((stake(&fixture), fixture.ledger.network().stake), (200_000_000, usd(400_000_000)));
    fixture.ok("provider", Action::Unstake { amount: usd(150_000_000) });
    assert_eq!((stake(&fixture), fixture.ledger.network().stake), (50_000_000, usd(250_000_000)));
    let waiting = fixture.ended().unbondings(&provider);
    let unbonding = fixture.ledger.parameters().unbonding_ms.as_ms();
    assert_eq!(waiting[0].until, fixture.in_ms(unbonding));
    let wallet =
        |fixture: &Fixture| fixture.ledger.balance(Row::Wallet(provider), Asset::Wild).get();
    fixture.advance(unbonding - 1);
    assert_eq!((fixture.ended().unbondings(&provider).len(), wallet(&fixture)), (1, 800_000_000));
    fixture.advance(1);
    assert_eq!((fixture.ended().unbondings(&provider).len(), wallet(&fixture)), (0, 950_000_000));
    assert_eq!(fixture.ledger.provider(&provider).unwrap().unbondings, 0);
}

#[test]
fn stake_is_refused_where_it_is_not_possible() {
    let mut fixture = Fixture::new();
    let stake = |amount| Action::Stake { amount: usd(amount) };
    let unstake = |amount| Action::Unstake { amount: usd(amount) };
    for (action, make) in [(stake(0), Reject::AmountZero), (stake(800_000_001), Reject::FundsShort)]
    {
        fixture.refused("provider", action, make);
    }
    fixture.refused("provider", unstake(0), Reject::AmountZero);
    fixture.refused("provider", unstake(200_000_001), Reject::FundsShort);
    fixture.refused("node", stake(1), Reject::NotProvider);
    fixture.refused("tenant", unstake(1), Reject::NotProvider);
    let offer = fixture.post(fixture.offer());
    fixture.refused("provider", unstake(100_000_001), Reject::StakeInUse);
    fixture.ok("provider", unstake(100_000_000));
    fixture.ok("node", Action::RetireOffer { offer });
    for _ in 1..16 {
        fixture.ok("provider", unstake(1));
    }
    fixture.refused("provider", unstake(1), Reject::UnbondingsFull);
    let mut private = Fixture::private();
    private.refused("provider", stake(1), Reject::AssetAbsent);
    private.refused("provider", unstake(1), Reject::AssetAbsent);
}
