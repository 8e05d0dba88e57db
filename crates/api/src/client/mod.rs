//! The asynchronous client: connections, time limits and bounds; the calls stand in `calls`.

mod calls;
mod content;
mod events;
mod submitter;

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::{limits::RESPONSE_BYTES_MAX, wire::ProblemBody};

pub use calls::{AuditQuery, DisputeQuery, LeaseQuery};
pub use content::ContentError;
pub use events::{EventFilter, EventStream};
pub use submitter::{Accepted, SubmitError, Submitter};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a request with a JSON answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that bytes on the way may pause.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than a node keeps idle connections, so that none is used that the node just closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection: the innermost cause, since those around it only name layers.
#[derive(Debug)]
pub struct ConnectionError(reqwest::Error);

impl std::fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut cause: &dyn std::error::Error = &self.0;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        std::fmt::Display::fmt(cause, f)
    }
}

impl std::error::Error for ConnectionError {}

/// Why a node's answer is not there.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address is not one of a node.
    #[error("{0} is not a node's address")]
    Address(String),
    /// The address asks for TLS, which this build does not speak.
    #[error("{0} asks for TLS, which this build does not speak")]
    Tls(String),
    /// The node cannot be reached, or the connection broke.
    #[error("the node at {address} cannot be reached")]
    Unreachable {
        /// The node's address.
        address: String,
        /// What the system says.
        source: ConnectionError,
    },
    /// The node did not answer in time.
    #[error("the node at {0} did not answer in time")]
    Timeout(String),
    /// The node answered with a problem.
    #[error("{message} ({code})")]
    Problem {
        /// The HTTP status.
        status: u16,
        /// The stable code.
        code: String,
        /// What is wrong.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// The answer is longer than answers are.
    #[error("the node's answer is longer than {RESPONSE_BYTES_MAX} bytes")]
    TooLong,
    /// The answer is not what the API says.
    #[error("the node's answer is not what the API says: {0}")]
    Answer(String),
}

impl ClientError {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Address(_) => "write it as http://HOST:PORT",
            Self::Tls(_) => "use http:// to a node on this machine or behind a tunnel",
            Self::Unreachable { .. } | Self::Timeout(_) => {
                "check that the node runs and that the address is right"
            }
            Self::Problem { hint, .. } => hint,
            Self::TooLong | Self::Answer(_) => "check that address and versions belong together",
        }
    }

    /// Returns whether the same request may succeed if it is sent again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout(_) => true,
            Self::Problem { status, .. } => matches!(status, 408 | 429 | 503),
            _ => false,
        }
    }

    /// Returns whether the node says that what was asked for does not exist.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Problem { status: 404, .. })
    }
}

/// A node's API, typed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// Takes the address of a node, such as `http://127.0.0.1:7070`.
    ///
    /// # Errors
    /// [`ClientError::Address`] or [`ClientError::Tls`].
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let not_an_address = || ClientError::Address(base.to_owned());
        let url = Url::parse(base).map_err(|_| not_an_address())?;
        match url.scheme() {
            "http" if url.has_host() => {}
            "https" => return Err(ClientError::Tls(base.to_owned())),
            _ => return Err(not_an_address()),
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(PAUSE_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|_| not_an_address())?;
        Ok(Self { http, base: url })
    }

    /// Returns the node's address.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Returns the node's name and port as they stand in the header `host`.
    fn host(&self) -> String {
        let name = self.base.host_str().unwrap_or_default();
        match self.base.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        }
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, ClientError> {
        let url = format!("{}{path}", self.address());
        let url = Url::parse(&url).map_err(|_| ClientError::Address(url))?;
        Ok(self.http.request(method, url))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path)?.timeout(ANSWER_TIMEOUT);
        self.json(self.send(request).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path)?.timeout(ANSWER_TIMEOUT).json(body);
        self.json(self.send(request).await?).await
    }

    /// Sends a request; answers that are problems are errors.
    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.failure(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = self.bytes(response, RESPONSE_BYTES_MAX).await?;
        Err(problem(status, &body))
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = self.bytes(response, RESPONSE_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Answer(error.to_string()))
    }

    /// Reads a whole body of at most `bytes_max` bytes.
    async fn bytes(&self, response: Response, bytes_max: usize) -> Result<Vec<u8>, ClientError> {
        let mut chunks = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.failure(error))?;
            if body.len() + chunk.len() > bytes_max {
                return Err(ClientError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failure(&self, error: reqwest::Error) -> ClientError {
        let address = self.address().to_owned();
        if error.is_timeout() {
            ClientError::Timeout(address)
        } else {
            ClientError::Unreachable { address, source: ConnectionError(error) }
        }
    }
}

fn problem(status: StatusCode, body: &[u8]) -> ClientError {
    let status = status.as_u16();
    match serde_json::from_slice::<ProblemBody>(body) {
        Ok(ProblemBody { error }) => ClientError::Problem {
            status,
            code: error.code,
            message: error.message,
            hint: error.hint,
        },
        // Answers to HEAD have no body, and what stands between may have another.
        Err(_) => ClientError::Problem {
            status,
            code: "none".to_owned(),
            message: format!("the answer has status {status} and says no more"),
            hint: String::new(),
        },
    }
}

/// Puts a query of those parameters that are there behind `path`.
fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        text.push(separator);
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        separator = '&';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_to_a_host() {
        assert!(Client::new("http://127.0.0.1:7070/").is_ok());
        assert!(matches!(Client::new("https://example.org"), Err(ClientError::Tls(_))));
        for bad in ["", "127.0.0.1:7070", "ftp://example.org", "http://"] {
            assert!(matches!(Client::new(bad), Err(ClientError::Address(_))), "{bad}");
        }
    }

    #[test]
    fn the_host_is_as_in_the_header() {
        let check = |address: &str, expected: &str| {
            assert_eq!(Client::new(address).unwrap().host(), expected);
        };
        check("http://127.0.0.1:7070/", "127.0.0.1:7070");
        check("http://[::1]:7070", "[::1]:7070");
        check("http://Example.org", "example.org");
        check("http://example.org:80", "example.org");
    }

    #[test]
    fn a_query_holds_what_is_there() {
        let check = |parameters: &[(&str, Option<&str>)], expected: &str| {
            let owned: Vec<_> = parameters
                .iter()
                .map(|(name, value)| (*name, value.map(ToOwned::to_owned)))
                .collect();
            assert_eq!(with_query("/v1/x", &owned), expected);
        };
        check(&[], "/v1/x");
        check(&[("a", None), ("b", Some("1")), ("c", Some("2"))], "/v1/x?b=1&c=2");
    }

    #[test]
    fn problems_keep_code_and_hint() {
        let body = br#"{"error":{"code":"a/b","message":"m","hint":"h"}}"#;
        let error = problem(StatusCode::NOT_FOUND, body);
        assert!(error.is_unknown() && !error.is_transient());
        assert_eq!((error.to_string().as_str(), error.hint()), ("m (a/b)", "h"));
        assert!(problem(StatusCode::SERVICE_UNAVAILABLE, body).is_transient());
        assert!(matches!(
            problem(StatusCode::BAD_GATEWAY, b"<html>"),
            ClientError::Problem { status: 502, .. }
        ));
    }
}
