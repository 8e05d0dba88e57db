//! What can go wrong with a request: stable codes, each with a status and a hint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares the problems once: variant, status, code, hint.
macro_rules! problems {
    ($($variant:ident $status:literal $code:literal $hint:literal;)*) => {
        /// Why a request was not answered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Problem {
            $(#[doc = $hint] $variant,)*
        }

        impl Problem {
            /// Every problem.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// Returns the stable code, such as `content/unknown`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// Returns what to do about it.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),* }
            }
        }
    };
}

problems! {
    Malformed 400 "request/malformed" "compare the request with /v1/openapi.json";
    Refused 422 "request/refused" "the ledger would refuse this; see docs/rejects.md for the code";
    TooLarge 413 "request/too-large" "send less at once";
    Slow 408 "request/timeout" "send the request without pauses";
    TooMany 429 "request/too-many" "wait a second, then go on more slowly";
    LengthUnknown 411 "request/length" "say with content-length how many bytes come";
    Misdirected 421 "request/misdirected" "call the node by its address, or add the name to its settings";
    MediaType 415 "request/media-type" "send JSON with content-type: application/json";
    RouteUnknown 404 "route/unknown" "/v1/openapi.json lists what there is";
    MethodUnknown 405 "route/method" "/v1/openapi.json lists what there is";
    Unsigned 401 "signature/missing" "sign the request with an authorization header";
    SignatureWrong 401 "signature/wrong" "check key, network, path and content of what is signed";
    SignatureStale 401 "signature/stale" "set the clock: it is more than 60 s off, or the request is old";
    Unknown 404 "record/unknown" "check the identifier, and that it is of this network";
    ContentUnknown 404 "content/unknown" "content is shown to its owner, and with ?lease= to the parties of a lease that names it";
    ContentRange 416 "content/range" "ask for one range within the content's length";
    ContentMismatch 400 "content/mismatch" "the bytes are not those that were announced; send them again";
    ContentQuota 403 "content/quota" "this node keeps no more for this account";
    ContentFull 507 "content/full" "this node has no room left; ask its operator, or try later";
    ContentOwner 403 "content/owner" "only an account with funds, or a provider, may store content here";
    FaucetAbsent 404 "faucet/absent" "ask the network's issuer for funds";
    FaucetSpent 429 "faucet/spent" "come back tomorrow";
    Behind 503 "index/behind" "the history is being built; try again shortly";
    Busy 503 "node/busy" "try again in a moment";
    Stopped 503 "node/stopped" "the node is going down; try again when it is back";
    Fault 500 "node/fault" "this is the node's fault; its log says more";
}

/// A problem as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemBody {
    /// The problem.
    pub error: ProblemDetail,
}

/// What is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDetail {
    /// The stable code, such as `request/malformed`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        let codes: BTreeSet<_> = Problem::ALL.iter().map(|problem| problem.code()).collect();
        assert_eq!(codes.len(), Problem::ALL.len());
        assert!(Problem::ALL.iter().all(|problem| (400..600).contains(&problem.status())));
    }
}
