//! What comes in wrong: a clear problem each time, never the node's fault.

use api::{Refusal, SubmitError};
use reqwest::Client;
use serde_json::{Value, json};
use types::{Action, Asset, Encode, Hash, Reject, Time, Transaction, text::to_hex};

use crate::{
    network::{Network, key},
    trade::amount,
};

async fn send(network: &Network, path: &str, media: &str, body: Vec<u8>) -> (u16, Value) {
    let request = Client::new().post(network.url(path)).header("content-type", media).body(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_wrong_are_refused_clearly() {
    let network = Network::start().await;
    let json_media = "application/json";
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let many: Vec<&str> = vec!["00"; 257];
    let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
        ("/v1/transactions", json_media, b"".to_vec(), 400, "request/malformed"),
        ("/v1/transactions", json_media, b"{".to_vec(), 400, "request/malformed"),
        ("/v1/transactions", json_media, b"\xff\xfe".to_vec(), 400, "request/malformed"),
        ("/v1/transactions", json_media, deep.into_bytes(), 400, "request/malformed"),
        ("/v1/transactions", "text/plain", b"{}".to_vec(), 415, "request/media-type"),
        (
            "/v1/transactions",
            json_media,
            br#"{"transactions":[],"more":1}"#.to_vec(),
            400,
            "request/malformed",
        ),
        (
            "/v1/transactions",
            json_media,
            br#"{"transactions":["zz"]}"#.to_vec(),
            400,
            "request/malformed",
        ),
        (
            "/v1/transactions",
            json_media,
            json!({ "transactions": ["00".repeat(40_000)] }).to_string().into_bytes(),
            400,
            "request/malformed",
        ),
        (
            "/v1/transactions",
            json_media,
            json!({ "transactions": many }).to_string().into_bytes(),
            413,
            "request/too-large",
        ),
        ("/v1/transactions", json_media, vec![b' '; 3 << 20], 413, "request/too-large"),
        ("/v1/quote", json_media, vec![b' '; 65 << 10], 413, "request/too-large"),
        ("/v1/quote", json_media, b"{\"class\":1}".to_vec(), 400, "request/malformed"),
        ("/v1/faucet", json_media, b"{\"address\":\"idle1x\"}".to_vec(), 400, "request/malformed"),
        ("/v1/content", "application/octet-stream", b"x".to_vec(), 401, "signature/missing"),
    ];
    for (path, media, body, status, code) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let (found, answer) = send(&network, path, media, body).await;
        assert_eq!((found, answer["error"]["code"].as_str()), (status, Some(code)), "{shown}");
        for part in ["message", "hint"] {
            assert!(!answer["error"][part].as_str().unwrap().is_empty(), "{shown}");
        }
    }
    // The misspelt field is named.
    let (_, answer) =
        send(&network, "/v1/transactions", json_media, br#"{"transaction":[]}"#.to_vec()).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("transaction"), "{answer}");
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_are_wrong_are_refused_clearly() {
    let network = Network::start().await;
    let zero = Hash::ZERO;
    let cases = [
        ("/v1/accounts/idle1wrong".to_owned(), 400),
        ("/v1/blocks/x".to_owned(), 400),
        ("/v1/blocks/-1".to_owned(), 400),
        ("/v1/blocks/18446744073709551615".to_owned(), 404),
        ("/v1/blocks?limit=0".to_owned(), 400),
        ("/v1/blocks?limit=201".to_owned(), 400),
        ("/v1/blocks?limti=1".to_owned(), 400),
        ("/v1/blocks?limit=1&limit=2".to_owned(), 400),
        ("/v1/blocks?limit=%zz".to_owned(), 400),
        ("/v1/leases/00".to_owned(), 400),
        ("/v1/leases?state=asleep".to_owned(), 400),
        ("/v1/orders".to_owned(), 400),
        ("/v1/events?lease=x".to_owned(), 400),
        ("/v1/events?kind=lunch".to_owned(), 400),
        (format!("/v1/blocks?{}", "x".repeat(2_048)), 413),
        ("/v1/proofs/money/x".to_owned(), 400),
        ("/v1/proofs/receipt/x".to_owned(), 400),
        ("/v1/proofs/audit/x".to_owned(), 400),
        ("/v1/proofs/dispute/x".to_owned(), 400),
        (format!("/v1/transactions/{zero}"), 404),
        (format!("/v1/leases/{zero}"), 404),
        (format!("/v1/leases/{zero}/bundle"), 404),
        (format!("/v1/orders/{zero}"), 404),
        (format!("/v1/offers/{zero}"), 404),
        (format!("/v1/receipts/{zero}/1"), 404),
        (format!("/v1/content/{zero}"), 401),
        (format!("/v1/blocks?before={}", u64::MAX), 200),
    ];
    for (path, status) in cases {
        let response = Client::new().get(network.url(&path)).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{path}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["error"]["code"].is_string(), status != 200, "{path}");
    }
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_answered_one_by_one() {
    let network = Network::start().await;
    let account = network.account(1).await;
    let to = key(2).address();
    let transfer = |micro| Action::Transfer { to, asset: Asset::Usd, amount: amount(micro) };
    let results = account
        .submit_all(vec![transfer(5), transfer(1 << 50), transfer(0), transfer(7)])
        .await
        .unwrap();
    let rejects: Vec<_> =
        results.iter().map(|result| result.as_ref().err().and_then(Refusal::reject)).collect();
    assert_eq!(rejects, [None, Some(Reject::FundsShort), Some(Reject::AmountZero), None]);
    let held = network.client.account(to).await.unwrap().balances.usd;
    assert_eq!(held, amount(12));

    let stranger =
        api::Submitter::new(network.client.clone(), std::sync::Arc::new(key(9)), network.genesis);
    let error = stranger.submit(transfer(1)).await.unwrap_err();
    assert_eq!(error.reject(), Some(Reject::AccountUnknown));
    assert!(matches!(error, SubmitError::Refused(_)));
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_sent_twice_happens_once() {
    let network = Network::start().await;
    network.account(1).await;
    let to = key(2).address();
    let sign = |genesis: &Hash, nonce| {
        let action = Action::Transfer { to, asset: Asset::Usd, amount: amount(3) };
        let expires = Time::from_ms(api::now().as_ms() + 60_000);
        Transaction { signer: key(1).address(), nonce, expires, action }.sign(genesis, &key(1))
    };
    let signed = sign(&network.genesis, 0);
    let first = network.client.submit(std::slice::from_ref(&signed)).await.unwrap().results;
    let again = network.client.submit(&[signed.clone(), signed]).await.unwrap().results;
    assert!(first[0].height.is_some());
    assert_eq!(again, [first[0].clone(), first[0].clone()]);
    assert_eq!(network.client.account(to).await.unwrap().balances.usd, amount(3));

    // Another transaction with a used nonce is refused.
    let other = sign(&network.genesis, 0);
    let mut other = other.transaction;
    other.expires = Time::from_ms(other.expires.as_ms() + 1);
    let other = other.sign(&network.genesis, &key(1));
    let stale = &network.client.submit(&[other]).await.unwrap().results[0];
    assert_eq!(stale.reject.as_ref().and_then(Refusal::reject), Some(Reject::NonceStale));

    // One signed for another network is no transaction here.
    let foreign = sign(&Hash::ZERO, 1);
    assert!(to_hex(&foreign.to_bytes()).len() > 100);
    let foreign = &network.client.submit(&[foreign]).await.unwrap().results[0];
    assert_eq!(foreign.reject.as_ref().unwrap().code, Refusal::SIGNATURE);
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faucet_gives_so_often_a_day() {
    let times = 3;
    let network = Network::start_with(types::Parameters::local(), |config| {
        let faucet = config.faucet.as_mut().unwrap();
        (faucet.times_a_day, faucet.grants_a_day) = (times, times + 1);
    })
    .await;
    let address = key(1).address();
    for _ in 0..times {
        network.client.faucet(address).await.unwrap();
    }
    let network = network.restart().await;
    let spent = async |address| match network.client.faucet(address).await {
        Err(api::ClientError::Problem { code, .. }) => assert_eq!(code, "faucet/spent"),
        other => panic!("{other:?}"),
    };
    spent(address).await;
    network.client.faucet(key(2).address()).await.unwrap();
    // All together got what there is for a day.
    spent(key(3).address()).await;
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_above_the_rate_are_refused() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.requests_a_second = 1;
    })
    .await;
    let client = Client::new();
    let mut statuses = Vec::new();
    for _ in 0..12 {
        for path in ["/v1/network", "/nowhere"] {
            let response = client.get(network.url(path)).send().await.unwrap();
            statuses.push(response.status().as_u16());
        }
    }
    assert_eq!(statuses[..2], [200, 404]);
    for first in [0, 1] {
        assert!(statuses.iter().skip(first).step_by(2).any(|status| *status == 429));
    }
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_only_to_its_own_names() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.names = vec!["node.example".to_owned()];
    })
    .await;
    let port = network.node.address().port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("node.example".to_owned(), 200),
        // A page of that name that has this node's address now.
        (format!("evil.example:{port}"), 421),
        (format!("192.0.2.1:{port}"), 421),
    ] {
        let request = Client::new().get(network.url("/v1/network")).header("host", &host);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{host}");
    }
    let request = Client::new().post(network.url("/v1/faucet")).header("host", "evil.example");
    let answer = request.json(&json!({ "address": key(1).address() })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "request/misdirected");
    network.node.shutdown().await;
}
