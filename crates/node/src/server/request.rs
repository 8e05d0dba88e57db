//! Reading requests: parameters of path and query, bodies, signatures.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use api::{
    Authorization, AuthorizationError, Problem,
    limits::{PAGE_ITEMS, PAGE_ITEMS_MAX},
};
use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequestParts, RawPathParams},
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use types::Hash;

use super::Failure;

/// The longest that a body may pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Bytes a second that must come of a body on the whole; the longest pause comes on top.
const RATE_MIN: u64 = 16 * 1024;

/// The parameters of a request's path and query. Those of the query that nobody takes are
/// refused, so that a misspelt one is not passed over.
#[derive(Debug)]
pub(crate) struct Parameters {
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| Failure::malformed(error.body_text()))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { path, query: parse_query(parts.uri.query().unwrap_or_default())? })
    }
}

fn parse_query(query: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in query.split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let (Some(name), Some(value)) = (percent_decode(name), percent_decode(value)) else {
            return Err(Failure::malformed("the query is not percent-encoded UTF-8"));
        };
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(Failure::malformed(format!("the query gives {name} twice")));
        }
        fields.push((name, value));
    }
    Ok(fields)
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?].map(char::from);
                let [high, low] = digits.map(|digit| digit.to_digit(16));
                u8::try_from(high? * 16 + low?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn parse<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::malformed(format!("{name}: {error}")))
}

impl Parameters {
    /// Returns a parameter of the path.
    pub(crate) fn path<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
    ) -> Result<T, Failure> {
        let found = self.path.iter().find(|(known, _)| known == name);
        let (_, text) = found.ok_or_else(|| Failure::malformed(format!("{name} is missing")))?;
        parse(name, text)
    }

    /// Takes a parameter of the query, if it is there.
    pub(crate) fn query<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(at) = self.query.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        let (_, text) = self.query.swap_remove(at);
        parse(name, &text).map(Some)
    }

    /// Takes the size of a page.
    pub(crate) fn limit(&mut self) -> Result<usize, Failure> {
        match self.query("limit")? {
            None => Ok(PAGE_ITEMS),
            Some(limit) if (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
            Some(_) => Err(Failure::malformed(format!("limit: 1 to {PAGE_ITEMS_MAX}"))),
        }
    }

    /// Refuses what is left.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.query.first() {
            None => Ok(()),
            Some((name, _)) => Err(Failure::malformed(format!("there is no parameter {name}"))),
        }
    }
}

/// A body that is too long is thrown away up to so many times its bound: whoever sends all of it
/// before reading would lose the answer if the connection just ended.
const DRAINED_MAX: usize = 4;

/// Reads a JSON body of at most `bytes_max` bytes.
pub(crate) async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<T, Failure> {
    // A form that a foreign page posts from a browser cannot have this type.
    let media = headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let media = media.and_then(|media| media.split(';').next()).map(str::trim);
    if media != Some("application/json") {
        return Err(Failure::new(Problem::MediaType, "the body is not declared as JSON"));
    }
    let too_large =
        || Failure::new(Problem::TooLarge, format!("the body is longer than {bytes_max} bytes"));
    let drained_max = bytes_max.saturating_mul(DRAINED_MAX);
    if announced(headers).is_some_and(|bytes| bytes > drained_max as u64) {
        return Err(too_large());
    }
    let (mut bytes, mut received) = (Vec::new(), 0);
    let mut chunks = Chunks::new(body);
    while let Some(chunk) = chunks.next().await? {
        received += chunk.len();
        if received > drained_max {
            break;
        }
        if received <= bytes_max {
            bytes.extend_from_slice(&chunk);
        }
    }
    if received > bytes_max {
        return Err(too_large());
    }
    serde_json::from_slice(&bytes).map_err(|error| Failure::malformed(error.to_string()))
}

/// Returns how many bytes a request says that it carries.
pub(crate) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body on its way in, which may neither pause for long nor come too slowly as a whole.
#[derive(Debug)]
pub(crate) struct Chunks {
    stream: BodyDataStream,
    began: Instant,
    received: u64,
}

impl Chunks {
    pub(crate) fn new(body: Body) -> Self {
        Self { stream: body.into_data_stream(), began: Instant::now(), received: 0 }
    }

    /// Reads the next bytes.
    pub(crate) async fn next(&mut self) -> Result<Option<bytes::Bytes>, Failure> {
        let patience = patience(self.received, self.began.elapsed());
        match tokio::time::timeout(patience, self.stream.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(Some(Err(_))) => Err(Failure::malformed("the body breaks off")),
            Err(_) => Err(Failure::new(Problem::Slow, "the body comes too slowly")),
        }
    }
}

/// Returns how long the next bytes of a body may take.
fn patience(received: u64, elapsed: Duration) -> Duration {
    let earned = Duration::from_secs(received / RATE_MIN);
    (PAUSE_MAX + earned).saturating_sub(elapsed).min(PAUSE_MAX)
}

/// Checks a request's signature.
pub(crate) fn signed(
    headers: &HeaderMap,
    method: &Method,
    uri: &Uri,
    genesis: &Hash,
) -> Result<Authorization, Failure> {
    let header = headers.get(header::AUTHORIZATION);
    let header =
        header.ok_or_else(|| Failure::new(Problem::Unsigned, "the request is not signed"))?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let checked = header.to_str().map_err(|_| AuthorizationError::Malformed);
    let checked = checked.and_then(str::parse).and_then(|authorization: Authorization| {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        authorization.verify(genesis, host, method.as_str(), path, api::now())?;
        Ok(authorization)
    });
    checked.map_err(|error| {
        let problem = match error {
            AuthorizationError::Malformed | AuthorizationError::Signature => {
                Problem::SignatureWrong
            }
            AuthorizationError::Stale { .. } => Problem::SignatureStale,
        };
        Failure::new(problem, error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_strictly() {
        let read = |query: &str| parse_query(query).ok();
        let one = |name: &str, value: &str| Some(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(read("a=1"), one("a", "1"));
        assert_eq!(read("a=%2e+b%C3%A9"), one("a", ". bé"));
        for bad in ["a=1&a=2", "a=%2", "a=%zz", "a=%ff"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_body_must_keep_coming() {
        let check = |received, elapsed, expected| {
            let found = patience(received, Duration::from_secs(elapsed));
            assert_eq!(found, Duration::from_secs(expected), "{received} {elapsed}");
        };
        check(0, 0, 15);
        check(0, 10, 5);
        check(0, 15, 0);
        // A byte now and then earns nothing.
        check(100, 20, 0);
        check(RATE_MIN * 100, 100, 15);
        check(RATE_MIN * 100, 110, 5);
        check(RATE_MIN * 100, 116, 0);
        check(u64::MAX, 1_000_000, 15);
    }

    #[test]
    fn what_nobody_takes_is_refused() {
        let mut parameters =
            Parameters { path: vec![], query: parse_query("limit=3&limti=4").unwrap() };
        assert_eq!(parameters.limit().ok(), Some(3));
        assert!(parameters.finish().is_err());
    }
}
