//! Signed requests: who asks, shown by a signature over the request.
//!
//! The header is `authorization: Idlewild address=…, time=…, body=…, signature=…`. The signature
//! covers the node as the asker calls it, method, path with query, the hash of the body and the
//! time, for one network: whoever receives a request cannot hand it on to another node. The body's
//! hash stands in the header too, so that a node knows who sends before it reads what is sent.

use std::{collections::BTreeMap, fmt, str::FromStr};

use thiserror::Error;
use types::{
    Address, BadSignature, ContentHash, Encode, Hash, SecretKey, Signable, Signature, Time,
};

use crate::limits::SIGNED_REQUEST_SKEW_MS;

/// The word that the header begins with.
const SCHEME: &str = "Idlewild ";

/// What is signed of a request.
#[derive(Debug, Clone, Copy)]
struct SignedParts<'a> {
    host: &'a str,
    method: &'a str,
    path: &'a str,
    body: ContentHash,
    time: Time,
}

impl Encode for SignedParts<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [self.host, self.method, self.path] {
            let count = u32::try_from(text.len()).unwrap_or(u32::MAX);
            count.encode(out);
            out.extend_from_slice(text.as_bytes());
        }
        self.body.encode(out);
        self.time.encode(out);
    }
}

impl Signable for SignedParts<'_> {
    const KIND: &'static str = "request/1";
}

/// Who signed a request, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Who asks.
    pub address: Address,
    /// When it was signed.
    pub time: Time,
    /// The hash of the request's body.
    pub body: ContentHash,
    /// The signature.
    pub signature: Signature,
}

/// Why a signed request does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthorizationError {
    /// The header cannot be read.
    #[error("the header is not: Idlewild address=…, time=…, body=…, signature=…")]
    Malformed,
    /// Its time is too far from the node's.
    #[error("the request was signed {off_ms} ms from the node's time")]
    Stale {
        /// How far it is off, in milliseconds.
        off_ms: u64,
    },
    /// The signature does not match.
    #[error("the signature does not match the request")]
    Signature,
}

impl From<BadSignature> for AuthorizationError {
    fn from(BadSignature: BadSignature) -> Self {
        Self::Signature
    }
}

impl Authorization {
    /// Signs a request; `host` is the request's header of that name, `path` includes the query.
    #[must_use]
    pub fn sign(
        key: &SecretKey,
        genesis: &Hash,
        host: &str,
        method: &str,
        path: &str,
        body: ContentHash,
        time: Time,
    ) -> Self {
        let signature = key.sign(genesis, &SignedParts { host, method, path, body, time });
        Self { address: key.address(), time, body, signature }
    }

    /// Checks that its address signed this request, not long before or after `now`.
    ///
    /// # Errors
    /// [`AuthorizationError`] that says what does not hold.
    pub fn verify(
        &self,
        genesis: &Hash,
        host: &str,
        method: &str,
        path: &str,
        now: Time,
    ) -> Result<(), AuthorizationError> {
        let off_ms = now.as_ms().abs_diff(self.time.as_ms());
        if off_ms > SIGNED_REQUEST_SKEW_MS {
            return Err(AuthorizationError::Stale { off_ms });
        }
        let parts = SignedParts { host, method, path, body: self.body, time: self.time };
        Ok(self.address.key().verify(genesis, &parts, &self.signature)?)
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, time, body, signature } = self;
        let time = time.as_ms();
        write!(f, "{SCHEME}address={address}, time={time}, body={body}, signature={signature}")
    }
}

impl FromStr for Authorization {
    type Err = AuthorizationError;

    fn from_str(text: &str) -> Result<Self, AuthorizationError> {
        let malformed = AuthorizationError::Malformed;
        let fields = text.strip_prefix(SCHEME).ok_or(malformed)?;
        let mut values = BTreeMap::new();
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(malformed)?;
            if values.insert(name, value).is_some() {
                return Err(malformed);
            }
        }
        let mut take = |name| values.remove(name).ok_or(malformed);
        let authorization = Self {
            address: take("address")?.parse().map_err(|_| malformed)?,
            time: Time::from_ms(take("time")?.parse().map_err(|_| malformed)?),
            body: take("body")?.parse().map_err(|_| malformed)?,
            signature: take("signature")?.parse().map_err(|_| malformed)?,
        };
        if values.is_empty() { Ok(authorization) } else { Err(malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_ms(1_000_000);
    const HOST: &str = "127.0.0.1:7070";
    const PATH: &str = "/v1/content/1?lease=2";

    fn signed() -> Authorization {
        let key = SecretKey::from_bytes([4; 32]);
        let body = ContentHash::of(b"body");
        Authorization::sign(&key, &Hash::ZERO, HOST, "GET", PATH, body, NOW)
    }

    #[test]
    fn a_request_is_signed_whole() {
        let check = |network, host, method, path, expected| {
            assert_eq!(signed().verify(&network, host, method, path, NOW), expected);
        };
        let wrong = Err(AuthorizationError::Signature);
        check(Hash::ZERO, HOST, "GET", PATH, Ok(()));
        check(Hash::ZERO, "127.0.0.2:7070", "GET", PATH, wrong);
        check(Hash::ZERO, HOST, "POST", PATH, wrong);
        check(Hash::ZERO, HOST, "GET", "/v1/content/1?lease=3", wrong);
        check(Hash::from_bytes([1; 32]), HOST, "GET", PATH, wrong);
        let mut other = signed();
        other.body = ContentHash::of(b"other");
        assert_eq!(other.verify(&Hash::ZERO, HOST, "GET", PATH, NOW), wrong);
    }

    #[test]
    fn a_request_holds_for_a_minute() {
        let check = |now, expected| {
            let result = signed().verify(&Hash::ZERO, HOST, "GET", PATH, now);
            assert_eq!(result.is_ok(), expected, "{now}");
        };
        check(Time::from_ms(NOW.as_ms() + 60_000), true);
        check(Time::from_ms(NOW.as_ms() + 60_001), false);
        check(Time::from_ms(NOW.as_ms() - 60_000), true);
        check(Time::from_ms(NOW.as_ms() - 60_001), false);
    }

    #[test]
    fn the_header_reads_back() {
        let text = signed().to_string();
        assert_eq!(text.parse(), Ok(signed()));
        let malformed = Err(AuthorizationError::Malformed);
        for bad in ["", "Basic x", "Idlewild ", &text[1..], &text[..text.len() - 1]] {
            assert_eq!(bad.parse::<Authorization>(), malformed, "{bad}");
        }
        assert_eq!(format!("{text}, more=1").parse::<Authorization>(), malformed);
        assert_eq!(format!("{text}, time=1").parse::<Authorization>(), malformed);
    }
}
