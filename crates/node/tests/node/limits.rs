//! What one peer may take from others: its share, and no more.

use std::{net::Ipv4Addr, time::Duration};

use api::{Authorization, EventFilter};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use types::{Action, Asset, ContentHash};

use crate::{
    network::{Network, key},
    trade::amount,
};

/// Another peer than the clients of a test: the whole of 127.0.0.0/8 is this machine.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Connects and sends the head of a request.
async fn send(network: &Network, from: Ipv4Addr, request: &str, headers: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(network.node.address()).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", network.host());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads the status of the next answer; none when the connection is closed instead.
async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        match timeout(Duration::from_secs(30), stream.read_u8()).await.unwrap() {
            Ok(byte) => line.push(byte),
            Err(_) => return None,
        }
    }
    let line = String::from_utf8(line).unwrap();
    Some(line.split(' ').nth(1).unwrap().parse().unwrap())
}

/// What the node says when it begins to wait for a body.
const CONTINUE: Option<u16> = Some(100);

/// Announces a submission of so many bytes and sends none.
async fn idle_submission(network: &Network, from: Ipv4Addr, bytes: usize) -> TcpStream {
    let headers = format!(
        "content-type: application/json\r\ncontent-length: {bytes}\r\nexpect: 100-continue\r\n"
    );
    send(network, from, "POST /v1/transactions", &headers).await
}

fn transfer() -> Action {
    Action::Transfer { to: key(2).address(), asset: Asset::Usd, amount: amount(1) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_submissions_stop_nobody_else() {
    let network = Network::start().await;
    let account = network.account(1).await;
    let mut held = Vec::new();
    let refused = loop {
        let mut stream =
            idle_submission(&network, STRANGER, api::limits::SUBMISSION_BYTES_MAX).await;
        match status(&mut stream).await {
            CONTINUE => held.push(stream),
            other => break other,
        }
    };
    // A share is 32 MiB.
    assert_eq!((held.len(), refused), (15, Some(503)));
    account.submit(transfer()).await.unwrap();
    // Small ones take so little that hundreds of them do not matter to their own peer either.
    for _ in 0..100 {
        let mut stream = idle_submission(&network, Ipv4Addr::LOCALHOST, 100).await;
        assert_eq!(status(&mut stream).await, CONTINUE);
        held.push(stream);
    }
    account.submit(transfer()).await.unwrap();
    drop(held);
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_uploads_stop_nobody_else() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.uploads = 2;
        config.limits.uploads_per_peer = 1;
    })
    .await;
    network.account(1).await;
    let hash = ContentHash::of(b"content");
    let (host, path) = (network.host(), "/v1/content");
    let signed =
        Authorization::sign(&key(1), &network.genesis, &host, "POST", path, hash, api::now());
    let headers =
        format!("authorization: {signed}\r\ncontent-length: 7\r\nexpect: 100-continue\r\n");
    let mut first = send(&network, STRANGER, "POST /v1/content", &headers).await;
    assert_eq!(status(&mut first).await, CONTINUE);
    let mut second = send(&network, STRANGER, "POST /v1/content", &headers).await;
    network.client.store(&key(1), &network.genesis, b"other".to_vec()).await.unwrap();
    drop(first);
    assert_eq!(status(&mut second).await, CONTINUE);
    drop(second);
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_events_are_shared() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.event_streams = 3;
        config.limits.event_streams_per_peer = 2;
    })
    .await;
    let mut streams = Vec::new();
    for expected in [200, 200, 503] {
        let mut stream = send(&network, STRANGER, "GET /v1/events", "").await;
        assert_eq!(status(&mut stream).await, Some(expected));
        streams.push(stream);
    }
    let events = network.client.events(EventFilter::default()).await.unwrap();
    let metrics = reqwest::get(network.url("/metrics")).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nidlewild_event_streams 3\n"), "{metrics}");
    drop((streams, events));
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_shared() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.connections = 3;
        config.limits.connections_per_peer = 2;
    })
    .await;
    let mut streams = Vec::new();
    for expected in [Some(200), Some(200), None] {
        let mut stream = send(&network, STRANGER, "GET /v1/network", "").await;
        assert_eq!(status(&mut stream).await, expected);
        streams.push(stream);
    }
    assert_eq!(network.client.network().await.unwrap().genesis, network.genesis);
    drop(streams);
    network.node.shutdown().await;
}
