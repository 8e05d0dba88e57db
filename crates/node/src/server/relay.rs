//! Content that another node of the network keeps.
//!
//! Whoever asks a node for content gets it from the node that has it. The other node decides by
//! itself whether the asker may read it: the request goes along as it was signed, under the
//! signature of the node that passes it on, which must be one that the other knows.

use std::{collections::BTreeSet, time::Duration};

use api::{Authorization, Problem};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
    response::Response,
};
use types::{Address, ContentHash, Genesis, Hash, SecretKey};

use super::Failure;
use crate::config::PeerConfig;

/// The asker's own signature, in a request that a node passes on.
const ASKER: HeaderName = HeaderName::from_static("idlewild-asker");
/// The name by which the asker called the node that passes it on.
const ASKER_HOST: HeaderName = HeaderName::from_static("idlewild-asker-host");
/// How long another node may take to be reached.
const CONNECT_WAIT: Duration = Duration::from_secs(2);
/// What says what is asked for, besides the path.
const ASKED: [HeaderName; 3] = [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH];
/// What says what is answered.
const ANSWERED: [HeaderName; 6] = [
    header::ETAG,
    header::ACCEPT_RANGES,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::CONTENT_LENGTH,
];

/// Who asks for content.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) address: Address,
    /// Whether another node passed the request on.
    pub(super) is_relayed: bool,
}

/// Asks other nodes.
#[derive(Debug)]
pub(crate) struct Relay {
    client: reqwest::Client,
    key: SecretKey,
    genesis: Hash,
    /// Where other nodes answer.
    urls: Vec<reqwest::Url>,
    /// Nodes that may pass requests on.
    known: BTreeSet<Address>,
}

impl Relay {
    /// Takes the other nodes of a network, and the key of this one.
    ///
    /// # Errors
    /// The address that is none.
    pub(crate) fn new(
        genesis: &Genesis,
        peers: &[PeerConfig],
        key: SecretKey,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        let url = |text: &String| {
            text.parse().map_err(|error| format!("`{text}` is no address of a node: {error}"))
        };
        let urls = peers.iter().filter_map(|peer| peer.api.as_ref());
        let validators = genesis.validators.iter().map(|validator| validator.key);
        let known = validators.chain(peers.iter().map(|peer| peer.key)).map(Address::new);
        Ok(Self {
            client,
            genesis: genesis.hash(),
            urls: urls.map(url).collect::<Result<_, _>>()?,
            known: known.collect(),
            key,
        })
    }

    /// Returns who asks in a request whose signature was checked.
    pub(super) fn asking(
        &self,
        signer: Address,
        headers: &HeaderMap,
        method: &Method,
        uri: &Uri,
    ) -> Result<Asking, Failure> {
        let Some(asker) = headers.get(ASKER) else {
            return Ok(Asking { address: signer, is_relayed: false });
        };
        let wrong = |what: String| Failure::new(Problem::SignatureWrong, what);
        if !self.known.contains(&signer) {
            return Err(wrong("who passes the request on is no node of this network".to_owned()));
        }
        let text = |value: Option<&header::HeaderValue>| {
            value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let asker: Authorization =
            text(Some(asker)).parse().map_err(|error| wrong(format!("the asker: {error}")))?;
        let (host, path) = (text(headers.get(ASKER_HOST)), path(uri));
        asker
            .verify(&self.genesis, &host, method.as_str(), path, api::now())
            .map_err(|error| wrong(format!("the asker: {error}")))?;
        Ok(Asking { address: asker.address, is_relayed: true })
    }

    /// Asks the other nodes for what a request asks for, one after another; nothing if none has
    /// it for the asker.
    pub(super) async fn fetch(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Response> {
        for url in &self.urls {
            match self.ask(url, method, uri, headers).await {
                Ok(Some(response)) => return Some(response),
                Ok(None) => {}
                Err(error) => tracing::debug!(%url, "another node does not answer: {error}"),
            }
        }
        None
    }

    async fn ask(
        &self,
        url: &reqwest::Url,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<Response>, reqwest::Error> {
        let path = path(uri);
        let mut target = url.clone();
        target.set_path(uri.path());
        target.set_query(uri.query());
        let host = match (target.host_str(), target.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let nothing = ContentHash::of(b"");
        let verb = method.as_str();
        let signed =
            Authorization::sign(&self.key, &self.genesis, &host, verb, path, nothing, api::now());
        let mut request = self
            .client
            .request(method.clone(), target)
            .header(header::AUTHORIZATION, signed.to_string());
        let passed_on = [(header::AUTHORIZATION, ASKER), (header::HOST, ASKER_HOST)];
        let asked = ASKED.map(|name| (name.clone(), name));
        for (from, to) in passed_on.into_iter().chain(asked) {
            if let Some(value) = headers.get(from) {
                request = request.header(to, value);
            }
        }
        let answer = request.send().await?;
        let status = answer.status();
        let has_it = [StatusCode::OK, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_MODIFIED]
            .contains(&status);
        if !has_it {
            return Ok(None);
        }
        let mut response = Response::builder().status(status);
        for name in ANSWERED {
            if let Some(value) = answer.headers().get(&name) {
                response = response.header(name, value);
            }
        }
        let response = response.body(Body::from_stream(answer.bytes_stream()));
        Ok(Some(response.expect("the headers were read from an answer")))
    }
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}
