//! The table of routes: the one definition that server, client and documentation follow.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use types::{
    Address, ClassId, ContentHash, Genesis, LeaseId, OfferId, OrderId, OrderTerms, Parameters,
    ProofKind, Provider, SignedReceipt, Tally, TransactionId,
};

use crate::wire::{
    AccountView, BlockRecord, BlockSummary, Bundle, EventId, EventRecord, FaucetGrant,
    FaucetRequest, LeaseFilter, LeaseView, NetworkStatus, OfferView, OrderView, Page, Problem,
    ProofView, Quote, StoredContent, Submission, Submitted, SupplyView, TransactionRecord,
};

/// What a request asks for; one for each route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the table's summaries say what each is")]
pub enum Operation {
    Network,
    Genesis,
    Parameters,
    Submit,
    Transaction,
    Blocks,
    Block,
    Account,
    AccountHistory,
    Providers,
    Provider,
    Offers,
    Offer,
    Quote,
    Orders,
    Order,
    Leases,
    Lease,
    LeaseBundle,
    Receipt,
    Audits,
    Disputes,
    Supply,
    SupplyHistory,
    Proof,
    StoreContent,
    Content,
    ContentHead,
    Faucet,
    Events,
    OpenApi,
    Health,
    Metrics,
    Page,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads without the body.
    Head,
    /// Sends.
    Post,
}

impl Method {
    /// Returns the method as it stands in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

/// Gives the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the path; always given.
    Path,
    /// In the query.
    Query,
    /// In a header.
    Header,
}

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Its type.
    pub schema: SchemaOf,
    /// What it means.
    pub about: &'static str,
}

/// What a request or an answer carries.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON of that type.
    Json(SchemaOf),
    /// Bytes as they are.
    Bytes,
    /// Text of that media type.
    Text(&'static str),
    /// A stream of events, each with data of that type.
    Events(SchemaOf),
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// What it is for.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for parameters.
    pub path: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Whether the request must be signed.
    pub signed: bool,
    /// What the request carries.
    pub request: Body,
    /// What the answer carries.
    pub response: Body,
    /// What can go wrong, besides what can go wrong everywhere.
    pub problems: &'static [Problem],
}

const fn at(name: &'static str, schema: SchemaOf, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Path, schema, about }
}

const fn query(name: &'static str, schema: SchemaOf, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Query, schema, about }
}

const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, place: Place::Header, schema: of::<String>, about }
}

const LIMIT: Parameter = query("limit", of::<u16>, "how many items, 1 to 200; 50 if absent");
const AFTER: Parameter = query("after", of::<String>, "go on after this: `next` of the last page");
const BEFORE_HEIGHT: Parameter = query("before", of::<u64>, "only blocks below this height");
const BEFORE_EVENT: Parameter = query("before", of::<EventId>, "only events before this one");
const ADDRESS: Parameter = at("address", of::<Address>, "the account");
const CLASS: Parameter = query("class", of::<ClassId>, "the class of service");
const LEASE: Parameter = at("lease", of::<LeaseId>, "the lease");
const HASH: Parameter = at("hash", of::<ContentHash>, "the content's BLAKE3 hash");
const OF_LEASE: Parameter =
    query("lease", of::<LeaseId>, "a lease of the asker's that names the content");
const RANGE: Parameter = header("range", "one range of bytes, such as bytes=0-1023");

/// A route that reads JSON.
const fn get(
    operation: Operation,
    path: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    response: SchemaOf,
    problems: &'static [Problem],
) -> Route {
    let (method, signed, request) = (Method::Get, false, Body::Empty);
    let response = Body::Json(response);
    Route { operation, method, path, summary, parameters, signed, request, response, problems }
}

/// A route that sends JSON and gets JSON.
const fn post(
    operation: Operation,
    path: &'static str,
    summary: &'static str,
    request: SchemaOf,
    response: SchemaOf,
    problems: &'static [Problem],
) -> Route {
    Route {
        operation,
        method: Method::Post,
        path,
        summary,
        parameters: &[],
        signed: false,
        request: Body::Json(request),
        response: Body::Json(response),
        problems,
    }
}

/// A route with an answer that is text.
const fn text(
    operation: Operation,
    path: &'static str,
    summary: &'static str,
    media: &'static str,
) -> Route {
    let response = Body::Text(media);
    Route { response, ..get(operation, path, summary, &[], of::<String>, &[]) }
}

const UNKNOWN: &[Problem] = &[Problem::Unknown];
const HISTORY: &[Problem] = &[Problem::Behind];
const UNKNOWN_HISTORY: &[Problem] = &[Problem::Unknown, Problem::Behind];
const SIGNED: [Problem; 3] = [Problem::Unsigned, Problem::SignatureWrong, Problem::SignatureStale];
const CONTENT: &[Problem] =
    &[SIGNED[0], SIGNED[1], SIGNED[2], Problem::ContentUnknown, Problem::ContentRange];
const STORE: &[Problem] = &[
    SIGNED[0],
    SIGNED[1],
    SIGNED[2],
    Problem::ContentMismatch,
    Problem::ContentOwner,
    Problem::ContentQuota,
    Problem::ContentFull,
    Problem::LengthUnknown,
    Problem::TooLarge,
    Problem::Slow,
];

/// Every route that a node serves.
pub static ROUTES: &[Route] = &[
    get(
        Operation::Network,
        "/v1/network",
        "Which network this is, and how far it is",
        &[],
        of::<NetworkStatus>,
        &[],
    ),
    get(
        Operation::Genesis,
        "/v1/genesis",
        "What the network started from",
        &[],
        of::<Genesis>,
        &[],
    ),
    get(
        Operation::Parameters,
        "/v1/parameters",
        "What governs the network now",
        &[],
        of::<Parameters>,
        &[],
    ),
    post(
        Operation::Submit,
        "/v1/transactions",
        "Executes transactions; answers when their block is on disk",
        of::<Submission>,
        of::<Submitted>,
        &[Problem::Stopped],
    ),
    get(
        Operation::Transaction,
        "/v1/transactions/{id}",
        "A transaction that happened",
        &[at("id", of::<TransactionId>, "the transaction")],
        of::<TransactionRecord>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::Blocks,
        "/v1/blocks",
        "Blocks, newest first",
        &[BEFORE_HEIGHT, LIMIT],
        of::<Page<BlockSummary>>,
        HISTORY,
    ),
    get(
        Operation::Block,
        "/v1/blocks/{height}",
        "A block",
        &[at("height", of::<u64>, "the block's height, from 1")],
        of::<BlockRecord>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::Account,
        "/v1/accounts/{address}",
        "An account, its funds, and what else it is",
        &[ADDRESS],
        of::<AccountView>,
        &[],
    ),
    get(
        Operation::AccountHistory,
        "/v1/accounts/{address}/history",
        "What happened to an account, newest first",
        &[ADDRESS, BEFORE_EVENT, LIMIT],
        of::<Page<EventRecord>>,
        HISTORY,
    ),
    get(
        Operation::Providers,
        "/v1/providers",
        "Providers, in the order of their addresses",
        &[AFTER, LIMIT],
        of::<Page<Provider>>,
        &[],
    ),
    get(
        Operation::Provider,
        "/v1/providers/{address}",
        "A provider",
        &[ADDRESS],
        of::<Provider>,
        UNKNOWN,
    ),
    get(
        Operation::Offers,
        "/v1/offers",
        "Standing offers: of a class by price, or of a provider; class 1 if neither is given",
        &[CLASS, query("provider", of::<Address>, "whose offers"), AFTER, LIMIT],
        of::<Page<OfferView>>,
        &[],
    ),
    get(
        Operation::Offer,
        "/v1/offers/{id}",
        "A standing offer",
        &[at("id", of::<OfferId>, "the offer")],
        of::<OfferView>,
        UNKNOWN,
    ),
    post(
        Operation::Quote,
        "/v1/quote",
        "Who could serve an order now, for how much, and why others could not",
        of::<OrderTerms>,
        of::<Quote>,
        &[],
    ),
    get(
        Operation::Orders,
        "/v1/orders",
        "A tenant's orders, newest first",
        &[query("tenant", of::<Address>, "whose orders; required"), AFTER, LIMIT],
        of::<Page<OrderView>>,
        HISTORY,
    ),
    get(
        Operation::Order,
        "/v1/orders/{id}",
        "An order",
        &[at("id", of::<OrderId>, "the order")],
        of::<OrderView>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::Leases,
        "/v1/leases",
        "Leases, newest first; with provider and state=open, exactly those in the state, by name",
        &[
            query("tenant", of::<Address>, "who pays"),
            query("provider", of::<Address>, "who serves"),
            query("state", of::<LeaseFilter>, "where they stand; all if absent"),
            AFTER,
            LIMIT,
        ],
        of::<Page<LeaseView>>,
        HISTORY,
    ),
    get(
        Operation::Lease,
        "/v1/leases/{lease}",
        "A lease with its order, receipts, audit and dispute",
        &[LEASE],
        of::<LeaseView>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::LeaseBundle,
        "/v1/leases/{lease}/bundle",
        "What proves a lease's bill to somebody who trusts nothing but the genesis",
        &[LEASE],
        of::<Bundle>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::Receipt,
        "/v1/receipts/{lease}/{sequence}",
        "A receipt",
        &[LEASE, at("sequence", of::<u32>, "the receipt's number, from 1")],
        of::<SignedReceipt>,
        UNKNOWN_HISTORY,
    ),
    get(
        Operation::Audits,
        "/v1/audits",
        "Leases that were drawn for an audit, newest first; with auditor, those it has to do now",
        &[
            query("auditor", of::<Address>, "who has them to do, by name of the lease"),
            AFTER,
            LIMIT,
        ],
        of::<Page<LeaseView>>,
        HISTORY,
    ),
    get(
        Operation::Disputes,
        "/v1/disputes",
        "Leases over which there was a dispute, newest first; with open=true, those undecided",
        &[
            query(
                "open",
                of::<bool>,
                "only those undecided now, those with an accuser first, then by name of the lease",
            ),
            AFTER,
            LIMIT,
        ],
        of::<Page<LeaseView>>,
        HISTORY,
    ),
    get(
        Operation::Supply,
        "/v1/supply",
        "What each class claims, what was verified, what earns, and the money",
        &[],
        of::<SupplyView>,
        &[],
    ),
    get(
        Operation::SupplyHistory,
        "/v1/supply/history",
        "Epochs that ended, newest first",
        &[CLASS, query("before", of::<u64>, "only epochs below this number"), LIMIT],
        of::<Page<Tally>>,
        HISTORY,
    ),
    get(
        Operation::Proof,
        "/v1/proofs/{kind}/{id}",
        "A row of the state, or its absence, with the proof",
        &[
            at("kind", of::<ProofKind>, "what is proved"),
            at("id", of::<String>, "address, identifier, or lease.sequence"),
        ],
        of::<ProofView>,
        HISTORY,
    ),
    Route {
        operation: Operation::StoreContent,
        method: Method::Post,
        path: "/v1/content",
        summary: "Stores content under its hash, which the signature covers",
        parameters: &[],
        signed: true,
        request: Body::Bytes,
        response: Body::Json(of::<StoredContent>),
        problems: STORE,
    },
    Route {
        operation: Operation::Content,
        method: Method::Get,
        path: "/v1/content/{hash}",
        summary: "Content, or a range of it, for its owner, or those whom a lease lets read it",
        parameters: &[HASH, OF_LEASE, RANGE],
        signed: true,
        request: Body::Empty,
        response: Body::Bytes,
        problems: CONTENT,
    },
    Route {
        operation: Operation::ContentHead,
        method: Method::Head,
        path: "/v1/content/{hash}",
        summary: "Whether content is here, and how long it is",
        parameters: &[HASH, OF_LEASE, RANGE],
        signed: true,
        request: Body::Empty,
        response: Body::Empty,
        problems: CONTENT,
    },
    post(
        Operation::Faucet,
        "/v1/faucet",
        "Funds to try the network with",
        of::<FaucetRequest>,
        of::<FaucetGrant>,
        &[Problem::FaucetAbsent, Problem::FaucetSpent, Problem::Behind],
    ),
    Route {
        response: Body::Events(of::<EventRecord>),
        ..get(
            Operation::Events,
            "/v1/events",
            "What happens, as it happens; resumes after the Last-Event-ID",
            &[
                query("account", of::<Address>, "only what concerns it"),
                query("lease", of::<LeaseId>, "only what concerns it"),
                query("kind", of::<String>, "only events of this name, such as lease-closed"),
                header("last-event-id", "the place to resume after, such as 12.0"),
            ],
            of::<EventRecord>,
            HISTORY,
        )
    },
    get(
        Operation::OpenApi,
        "/v1/openapi.json",
        "This description",
        &[],
        of::<serde_json::Value>,
        &[],
    ),
    text(Operation::Health, "/healthz", "Whether the node is well", "text/plain"),
    text(Operation::Metrics, "/metrics", "Figures for Prometheus", "text/plain; version=0.0.4"),
    text(Operation::Page, "/", "The network at a glance, for people", "text/html"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_operation_and_each_method_of_a_path_stands_once() {
        let operations: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let places: BTreeSet<_> =
            ROUTES.iter().map(|route| (route.path, route.method.name())).collect();
        assert_eq!((operations.len(), places.len()), (ROUTES.len(), ROUTES.len()));
    }

    #[test]
    fn names_in_paths_are_parameters() {
        for route in ROUTES {
            let named: Vec<&str> = route
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            let given: Vec<&str> = route
                .parameters
                .iter()
                .filter(|parameter| parameter.place == Place::Path)
                .map(|parameter| parameter.name)
                .collect();
            assert_eq!(named, given, "{}", route.path);
        }
    }
}
