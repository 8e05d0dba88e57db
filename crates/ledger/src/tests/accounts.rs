//! Accounts, nonces, transfers and issuers.

use types::{Account, Action, Amount, Asset, Event, Reject, Time, Transaction};

use crate::{
    key::Row,
    testing::{Fixture, address, usd},
};

fn pay(amount: u64) -> Action {
    Action::Transfer { to: address("new"), asset: Asset::Usd, amount: usd(amount) }
}

#[test]
fn a_transfer_moves_funds_and_opens_the_account() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.ledger.account(&address("new")), None);
    fixture.ok("tenant", pay(10_000_000));
    assert_eq!((fixture.wallet("tenant"), fixture.wallet("new")), (0, 10_000_000));
    assert_eq!(fixture.ledger.account(&address("new")), Some(Account::default()));
    assert_eq!(fixture.ledger.account(&address("tenant")).unwrap().nonce, 1);
    let to = address("tenant");
    let event = Event::Transferred {
        from: to,
        to: address("new"),
        asset: Asset::Usd,
        amount: usd(10_000_000),
    };
    assert!(fixture.advance(1).contains(&event));
}

#[test]
fn a_transfer_to_oneself_changes_only_the_nonce() {
    let mut fixture = Fixture::new();
    let (to, asset) = (address("tenant"), Asset::Usd);
    fixture.ok("tenant", Action::Transfer { to, asset, amount: usd(10_000_000) });
    assert_eq!(fixture.wallet("tenant"), 10_000_000);
}

#[test]
fn what_cannot_be_paid_is_refused() {
    let mut fixture = Fixture::new();
    fixture.refused("tenant", pay(0), Reject::AmountZero);
    fixture.refused("tenant", pay(10_000_001), Reject::FundsShort);
    fixture.refused("nobody", pay(1), Reject::AccountUnknown);
    let wild = Action::Transfer { to: address("new"), asset: Asset::Wild, amount: usd(1) };
    fixture.refused("tenant", wild.clone(), Reject::FundsShort);
    Fixture::private().refused("tenant", wild, Reject::AssetAbsent);
}

#[test]
fn a_row_cannot_hold_more_than_an_amount() {
    let mut fixture = Fixture::new();
    // No genesis allows so much; the row is filled behind the book's back.
    let key = crate::Key::Book(Row::Wallet(address("new")), Asset::Usd);
    fixture.ledger.state.attempt(|state| state.put(key, &Amount::MAX)).unwrap();
    fixture.refused("tenant", pay(1), Reject::AmountRange);
    let (to, asset, amount) = (address("new"), Asset::Usd, usd(1));
    fixture.refused("bank", Action::Issue { to, asset, amount }, Reject::AmountRange);
}

#[test]
fn a_transaction_counts_once_and_only_in_its_time() {
    let mut fixture = Fixture::new();
    let check = |fixture: &mut Fixture, change: fn(&mut Transaction, Time), result| {
        let mut transaction = fixture.transaction("tenant", pay(1));
        change(&mut transaction, fixture.now());
        assert_eq!(fixture.execute(transaction), result);
    };
    let lifetime = fixture.ledger.parameters().transaction_lifetime_ms;
    assert_eq!(lifetime.as_ms(), 86_400_000);
    check(&mut fixture, |_, _| (), Ok(()));
    check(&mut fixture, |t, _| t.nonce -= 1, Err(Reject::NonceStale));
    check(&mut fixture, |t, _| t.nonce += 1, Err(Reject::NonceAhead));
    check(&mut fixture, |t, now| t.expires = now, Err(Reject::TransactionExpired));
    check(
        &mut fixture,
        |t, now| t.expires = Time::from_ms(now.as_ms() + 86_400_001),
        Err(Reject::TransactionLifetime),
    );
    check(&mut fixture, |t, now| t.expires = Time::from_ms(now.as_ms() + 86_400_000), Ok(()));
    check(&mut fixture, |t, now| t.expires = Time::from_ms(now.as_ms() + 1), Ok(()));
}

#[test]
fn an_issuer_mints_up_to_its_limit_and_redeems_what_it_holds() {
    let mut fixture = Fixture::new();
    let (bank, asset) = (address("bank"), Asset::Usd);
    let issue = |amount| Action::Issue { to: bank, asset, amount: usd(amount) };
    let redeem = |amount| Action::Redeem { asset, amount: usd(amount) };
    let issued = fixture.balance(Row::Issued(bank));
    assert_eq!(issued, 40_000_000);
    let rest = 1_000_000_000_000 - issued;
    fixture.refused("bank", issue(rest + 1), Reject::IssuerLimit);
    fixture.ok("bank", issue(rest));
    fixture.refused("bank", issue(1), Reject::IssuerLimit);
    fixture.refused("bank", redeem(rest + 1), Reject::FundsShort);
    fixture.ok("bank", redeem(rest));
    assert_eq!((fixture.wallet("bank"), fixture.balance(Row::Issued(bank))), (0, issued));
    fixture.refused("bank", redeem(0), Reject::AmountZero);
    fixture.refused("bank", issue(0), Reject::AmountZero);
    fixture.refused("tenant", issue(1), Reject::NotIssuer);
    fixture.refused("tenant", redeem(1), Reject::NotIssuer);
}

#[test]
fn an_issuer_redeems_no_more_than_it_issued() {
    let mut genesis = crate::testing::genesis();
    let mut issuers = genesis.issuers.to_vec();
    issuers.push(types::Issuer { address: address("bank 2"), asset: Asset::Usd, limit: usd(5) });
    genesis.issuers = types::List::new(issuers).unwrap();
    let mut fixture = Fixture::bare(&genesis);
    let (to, asset) = (address("bank 2"), Asset::Usd);
    fixture.ok("bank", Action::Issue { to, asset, amount: usd(10) });
    fixture.ok("bank 2", Action::Issue { to, asset, amount: usd(5) });
    fixture.refused("bank 2", Action::Redeem { asset, amount: usd(6) }, Reject::IssuerLimit);
    fixture.ok("bank 2", Action::Redeem { asset, amount: usd(5) });
}
