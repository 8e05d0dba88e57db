//! Votes, by stake and by validators.

use types::{Action, Amount, BasisPoints, Change, Event, Parameters, Reject, Time};

use crate::testing::{Fixture, usd};

fn vote(change: Change, effective: Time) -> Action {
    Action::Vote { change, effective }
}

fn cheaper(fixture: &Fixture) -> Change {
    let storage_stake = usd(7);
    Change::Parameters(Box::new(Parameters { storage_stake, ..fixture.ledger.parameters() }))
}

#[test]
fn two_thirds_of_stake_and_more_decide() {
    let mut fixture = Fixture::new();
    let (change, effective) = (cheaper(&fixture), fixture.in_ms(60_000));
    fixture.refused("tenant", vote(change.clone(), effective), Reject::VoteWeight);
    fixture.ok("provider", vote(change.clone(), effective));
    fixture.refused("provider", vote(change.clone(), effective), Reject::VoteTwice);
    fixture.ok("provider 2", vote(change.clone(), effective));
    assert_eq!(fixture.ended().proposals()[0].weight, 400_000_000);
    fixture.advance(59_999);
    assert_eq!(fixture.ledger.parameters().storage_stake, usd(1_000));
    let events = fixture.advance(1);
    assert!(events.contains(&Event::ChangeTookEffect { change }));
    assert_eq!(fixture.ledger.parameters().storage_stake, usd(7));
    assert_eq!((fixture.ended().proposals().len(), fixture.ledger.network().proposals), (0, 0));
}

#[test]
fn stake_that_voted_stays_until_the_vote_ends() {
    let mut fixture = Fixture::new();
    let effective = fixture.in_ms(60_000);
    fixture.ok("provider", vote(Change::Rules(2), effective));
    let all = Action::Unstake { amount: usd(200_000_000) };
    fixture.refused("provider", all.clone(), Reject::StakeInUse);
    fixture.advance(60_000);
    assert_eq!(fixture.ledger.network().rules, 1);
    assert_eq!(fixture.ledger.provider(&fixture.provider()).unwrap().votes, 0);
    fixture.ok("provider", all);
}

#[test]
fn who_comes_later_counts_and_little_stake_opens_no_vote() {
    let mut fixture = Fixture::new();
    let effective = fixture.in_ms(60_000);
    fixture.ok("provider 2", Action::Unstake { amount: usd(150_000_000) });
    fixture.refused("provider 2", vote(Change::Rules(2), effective), Reject::VoteWeight);
    // 200 of 250 are more than two thirds now, but not of the 350 when the vote ends.
    fixture.ok("provider", vote(Change::Rules(2), effective));
    fixture.ok("provider 2", Action::Stake { amount: usd(100_000_000) });
    fixture.advance(60_000);
    assert_eq!(fixture.ledger.network().rules, 1);
}

#[test]
fn exactly_two_thirds_do_not_decide() {
    let mut fixture = Fixture::new();
    fixture.ok("provider", Action::Stake { amount: usd(200_000_000) });
    let (change, effective) = (Change::Rules(2), fixture.in_ms(60_000));
    fixture.ok("provider", vote(change.clone(), effective));
    assert_eq!(fixture.ended().proposals()[0].weight, 400_000_000);
    fixture.advance(60_000);
    assert_eq!((fixture.ledger.network().rules, fixture.ended().proposals().len()), (1, 0));
    fixture.ok("provider", Action::Stake { amount: usd(1) });
    let effective = fixture.in_ms(60_000);
    fixture.ok("provider", vote(change, effective));
    fixture.advance(60_000);
    assert_eq!(fixture.ledger.network().rules, 2);
}

#[test]
fn what_cannot_be_or_comes_too_soon_is_refused() {
    let mut fixture = Fixture::new();
    let effective = fixture.in_ms(60_000);
    let horizon = fixture.ledger.parameters().market_horizon_ms;
    let good = fixture.ledger.parameters();
    let epoch_ms = types::Duration::from_ms(999);
    let bad = Change::Parameters(Box::new(Parameters { epoch_ms, ..good }));
    let late = Time::from_ms(fixture.now().after(horizon).as_ms() + 1);
    for (change, effective) in [
        (bad, effective),
        (Change::Rules(1), effective),
        (Change::Rules(3), effective),
        (Change::Rules(2), fixture.in_ms(59_999)),
        (Change::Rules(2), late),
    ] {
        fixture.refused("provider", vote(change, effective), Reject::VoteChange);
    }
    for ms in 0..64 {
        fixture.ok("provider", vote(Change::Rules(2), fixture.in_ms(60_000 + ms)));
    }
    let more = vote(Change::Rules(2), fixture.in_ms(70_000));
    fixture.refused("provider", more, Reject::VotesFull);
    // A vote for one of those is possible still.
    fixture.ok("provider 2", vote(Change::Rules(2), fixture.in_ms(60_000)));
}

#[test]
fn validators_decide_where_there_is_no_token() {
    let mut fixture = Fixture::private();
    let effective = fixture.in_ms(60_000);
    let share = BasisPoints::new(1).unwrap();
    let good = fixture.ledger.parameters();
    for parameters in [
        Parameters { burn_share: share, ..good.clone() },
        Parameters { stake_minimum: usd(1), ..good },
    ] {
        let change = Change::Parameters(Box::new(parameters));
        fixture.refused("validator", vote(change, effective), Reject::VoteChange);
    }
    let change = cheaper(&fixture);
    fixture.refused("provider", vote(change.clone(), effective), Reject::VoteWeight);
    fixture.ok("validator", vote(change.clone(), effective));
    fixture.ok("validator 2", vote(change, effective));
    fixture.advance(60_000);
    assert_eq!(fixture.ledger.parameters().storage_stake, usd(7));
    assert_eq!(fixture.ledger.parameters().stake_minimum, Amount::ZERO);
}
