//! The stream of events: filters, and going on where one was.

use api::{EventFilter, EventId, EventStream};
use reqwest::Client;
use types::{Action, Asset, Event};

use crate::{
    network::{Network, key},
    trade::amount,
};

fn transfer(micro: u64) -> Action {
    Action::Transfer { to: key(2).address(), asset: Asset::Usd, amount: amount(micro) }
}

async fn next_amount(events: &mut EventStream) -> (EventId, u64) {
    let record = events.next().await.unwrap();
    match record.event {
        Event::Transferred { amount, .. } => (record.id, amount.get()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_it_was() {
    let network = Network::start().await;
    let account = network.account(1).await;
    let filter = EventFilter {
        account: Some(key(2).address()),
        kind: Some("transferred".to_owned()),
        ..EventFilter::default()
    };
    let mut live = network.client.events(filter.clone()).await.unwrap();
    for micro in 1..=300 {
        account.submit_all(vec![transfer(2 * micro - 1), transfer(2 * micro)]).await.unwrap();
        if micro == 2 {
            assert_eq!(next_amount(&mut live).await.1, 1);
        }
    }
    let (second, value) = next_amount(&mut live).await;
    assert_eq!(value, 2);
    drop(live);

    // More than one page of the history, then what happens now.
    let mut resumed =
        network.client.events(EventFilter { after: Some(second), ..filter.clone() }).await.unwrap();
    for expected in 3..=600 {
        assert_eq!(next_amount(&mut resumed).await.1, expected);
    }
    account.submit(transfer(601)).await.unwrap();
    assert_eq!(next_amount(&mut resumed).await.1, 601);

    // Without a place it begins now.
    let mut fresh = network.client.events(filter).await.unwrap();
    account.submit(transfer(602)).await.unwrap();
    assert_eq!(next_amount(&mut fresh).await.1, 602);
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_place_is_refused_and_streams_are_bounded() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.event_streams = 1;
    })
    .await;
    let open = |place: &str| {
        Client::new().get(network.url("/v1/events")).header("last-event-id", place).send()
    };
    assert_eq!(open("12").await.unwrap().status().as_u16(), 400);
    let kept = network.client.events(EventFilter::default()).await.unwrap();
    assert_eq!(open("0.0").await.unwrap().status().as_u16(), 503);
    // A stream does not keep the node from going down.
    network.node.shutdown().await;
    drop(kept);
}
