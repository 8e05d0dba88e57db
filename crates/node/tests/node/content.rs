//! Content: who may read it, ranges, and what is refused.

use api::{Authorization, Client, ContentError};
use classes::job::Spec;
use reqwest::{Response, header};
use types::{
    ContentHash, Encode, LeaseId, SecretKey, Time,
    manifest::{Entry, EntryKind, Manifest, RelativePath},
};

use crate::{
    network::{Network, key},
    trade::Market,
};

pub(crate) async fn store(network: &Network, key: &SecretKey, content: &[u8]) -> ContentHash {
    network.client.store(key, &network.genesis, content.to_vec()).await.unwrap().hash
}

fn manifest(file: ContentHash) -> Vec<u8> {
    let kind = EntryKind::File { hash: file, bytes: 4 };
    let entry = Entry { path: RelativePath::new("file").unwrap(), kind };
    Manifest::new(vec![entry]).unwrap().to_bytes()
}

pub(crate) async fn reads(
    network: &Network,
    key: &SecretKey,
    hash: ContentHash,
    lease: Option<LeaseId>,
) -> bool {
    let client: &Client = &network.client;
    let has = client.has_content(key, &network.genesis, hash, lease).await.unwrap();
    match client.fetch(key, &network.genesis, hash, lease, 1 << 20).await {
        Ok(content) => assert_eq!((ContentHash::of(&content), has), (hash, true)),
        Err(ContentError::Client(error)) => assert!(error.is_unknown() && !has, "{error}"),
        Err(error) => panic!("{error}"),
    }
    has
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_is_for_its_owner_and_the_parties_of_a_lease() {
    let network = Network::start().await;
    let market = Market::open(&network).await;
    let (provider, tenant, agent, stranger) = (key(1), key(2), key(3), key(4));
    network.account(4).await;
    let program = store(&network, &tenant, b"program").await;
    let input_file = store(&network, &tenant, b"file").await;
    let input = store(&network, &tenant, &manifest(input_file)).await;
    let unnamed = store(&network, &tenant, b"unnamed").await;
    let secret = store(&network, &stranger, b"secret").await;
    let lease = market.lease(&Market::spec(program, Some(input))).await;
    let result_file = store(&network, &agent, b"done").await;
    let output = store(&network, &agent, &manifest(result_file)).await;
    let named = [program, input, input_file];
    let results = [result_file, output];

    for hash in named {
        assert!(reads(&network, &tenant, hash, None).await);
        for party in [&provider, &agent] {
            assert!(!reads(&network, party, hash, None).await);
            assert!(reads(&network, party, hash, Some(lease)).await);
        }
        assert!(!reads(&network, &stranger, hash, Some(lease)).await);
    }
    assert!(!reads(&network, &agent, unnamed, Some(lease)).await);
    // Results are shown once a receipt names them.
    for hash in results {
        assert!(reads(&network, &provider, hash, None).await);
        assert!(!reads(&network, &tenant, hash, Some(lease)).await);
    }
    market.finish(lease, output, &network.genesis).await;
    for hash in results {
        assert!(reads(&network, &tenant, hash, Some(lease)).await);
        assert!(!reads(&network, &tenant, hash, None).await);
        assert!(!reads(&network, &stranger, hash, Some(lease)).await);
    }

    // To name another's content shows it to nobody.
    let direct: Spec = Market::spec(secret, None);
    let lure = store(&network, &tenant, &manifest(secret)).await;
    for spec in [direct, Market::spec(program, Some(lure))] {
        let lease = market.lease(&spec).await;
        for party in [&tenant, &provider, &agent] {
            assert!(!reads(&network, party, secret, Some(lease)).await);
        }
    }
    let nobody = LeaseId::from_bytes([0; 32]);
    assert!(!reads(&network, &stranger, program, Some(nobody)).await);
    network.node.shutdown().await;
}

async fn get(network: &Network, hash: ContentHash, more: &[(&str, &str)]) -> Response {
    let path = format!("/v1/content/{hash}");
    let nothing = ContentHash::of(&[]);
    let (host, now) = (network.host(), api::now());
    let signed = Authorization::sign(&key(1), &network.genesis, &host, "GET", &path, nothing, now);
    let mut request = reqwest::Client::new()
        .get(network.url(&path))
        .header(header::AUTHORIZATION, signed.to_string());
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_and_tags_work_as_in_http() {
    let network = Network::start().await;
    network.account(1).await;
    let content: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let hash = store(&network, &key(1), &content).await;
    let tag = format!("\"{hash}\"");
    let whole = get(&network, hash, &[]).await;
    assert_eq!(whole.headers()[header::ETAG], tag.as_str());
    assert_eq!(whole.headers()[header::ACCEPT_RANGES], "bytes");
    assert_eq!(whole.bytes().await.unwrap(), content);
    let part = get(&network, hash, &[("range", "bytes=100000-299998")]).await;
    assert_eq!(part.status().as_u16(), 206);
    assert_eq!(part.headers()[header::CONTENT_RANGE], "bytes 100000-299998/300000");
    assert_eq!(part.bytes().await.unwrap(), content[100_000..299_999]);
    let end = get(&network, hash, &[("range", "bytes=-1")]).await;
    assert_eq!(end.bytes().await.unwrap(), content[299_999..]);
    let beyond = get(&network, hash, &[("range", "bytes=300000-")]).await;
    assert_eq!(beyond.status().as_u16(), 416);
    let known = get(&network, hash, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status().as_u16(), 304);
    let changed = get(&network, hash, &[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await;
    assert_eq!(changed.status().as_u16(), 200);
    let empty = store(&network, &key(1), b"").await;
    assert_eq!(get(&network, empty, &[]).await.bytes().await.unwrap().len(), 0);
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_signed_for_another_node_shows_nothing() {
    let network = Network::start().await;
    network.account(1).await;
    let hash = store(&network, &key(1), b"mine").await;
    let (path, nothing) = (format!("/v1/content/{hash}"), ContentHash::of(&[]));
    for (host, status) in [(network.host(), 200), ("127.0.0.1:1".to_owned(), 401)] {
        let (key, now) = (key(1), api::now());
        let signed = Authorization::sign(&key, &network.genesis, &host, "GET", &path, nothing, now);
        let request = reqwest::Client::new()
            .get(network.url(&path))
            .header(header::AUTHORIZATION, signed.to_string());
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{host}");
    }
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_content() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.free_disk_bytes = u64::MAX;
    })
    .await;
    network.account(1).await;
    let refused = network.client.store(&key(1), &network.genesis, b"x".to_vec()).await;
    let Err(ContentError::Client(api::ClientError::Problem { status, code, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((status, code.as_str()), (507, "content/full"));
    network.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_signed_is_not_stored() {
    let network = Network::start_with(types::Parameters::local(), |config| {
        config.limits.content_bytes_per_account = 100;
    })
    .await;
    network.account(1).await;
    let post = async |key: &SecretKey, time: Time, signed: &[u8], sent: &[u8]| {
        let hash = ContentHash::of(signed);
        let (genesis, path) = (&network.genesis, "/v1/content");
        let header = Authorization::sign(key, genesis, &network.host(), "POST", path, hash, time);
        let request = reqwest::Client::new()
            .post(network.url("/v1/content"))
            .header(header::AUTHORIZATION, header.to_string())
            .body(sent.to_vec());
        let response = request.send().await.unwrap();
        let answer: serde_json::Value = response.json().await.unwrap();
        answer["error"]["code"].as_str().map(ToOwned::to_owned)
    };
    let now = api::now();
    let old = Time::from_ms(now.as_ms() - 120_000);
    let (mine, strangers) = (key(1), key(9));
    assert_eq!(post(&mine, now, b"a", b"b").await.as_deref(), Some("content/mismatch"));
    assert_eq!(post(&mine, old, b"a", b"a").await.as_deref(), Some("signature/stale"));
    assert_eq!(post(&strangers, now, b"a", b"a").await.as_deref(), Some("content/owner"));
    assert_eq!(post(&mine, now, b"a", b"a").await, None);
    assert_eq!(post(&mine, now, &[1; 100], &[1; 100]).await.as_deref(), Some("content/quota"));
    assert_eq!(post(&mine, now, &[1; 99], &[1; 99]).await, None);
    // What is owned already costs nothing more.
    assert_eq!(post(&mine, now, &[1; 99], &[1; 99]).await, None);
    assert!(!reads(&network, &mine, ContentHash::of(&[1; 100]), None).await);
    // What does not say how long it is could not be given room.
    let (host, path, hash) = (network.host(), "/v1/content", ContentHash::of(b"z"));
    let header = Authorization::sign(&mine, &network.genesis, &host, "POST", path, hash, now);
    let piece = Ok::<_, std::io::Error>(b"z".to_vec());
    let request = reqwest::Client::new()
        .post(network.url(path))
        .header(header::AUTHORIZATION, header.to_string())
        .body(reqwest::Body::wrap_stream(futures_util::stream::iter([piece])));
    let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["error"]["code"], "request/length");
    let left = network.data.path().join("content/tmp").read_dir().unwrap().count();
    assert_eq!(left, 0);
    network.node.shutdown().await;
}
