//! Target of the node's HTTP API: bodies of requests, answers, parameters and headers.
//!
//! The first byte of the input picks a [`Shape`], the rest is its text. Whatever a shape accepts
//! is written again, at no more than [`GROWTH_MAX`] times the length, and what was written reads
//! back equal; a record of the ledger also has its one binary encoding. So a node can pass on
//! what it was sent, and nothing that JSON can say lies outside what a type may hold.

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use api::limits::{PATH_BYTES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, SUBMISSION_BYTES_MAX};
use api::{
    AccountView, Authorization, BlockRecord, BlockSummary, Bundle, EventId, EventRecord,
    FaucetGrant, FaucetRequest, Included, LeaseFilter, LeaseView, NetworkStatus, OfferView,
    OrderView, Page, ProblemBody, ProofView, Quote, Row, SchemaOf, StoredContent, Submission,
    Submitted, SupplyView, TransactionRecord,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::text::{from_hex, to_hex};
use types::{
    Address, ClassId, ContentHash, Decode, Encode, Genesis, LeaseId, OfferId, OrderId, OrderTerms,
    Parameters, ProofKind, Provider, SignedReceipt, SignedTransaction, Tally, TransactionId,
};

/// How much longer than what was read the text may be that is written for it. Fields that were
/// left out are written as `null`.
const GROWTH_MAX: usize = 4;
/// What may come on top, in bytes.
const GROWTH_BYTES: usize = 1024;

/// Something that the API reads.
pub(crate) struct Shape {
    /// Its description, which says apart what differs.
    schema: SchemaOf,
    /// The most bytes of it that are read.
    bytes_max: usize,
    /// Reads it; returns whether it was accepted.
    check: fn(&[u8]) -> bool,
}

impl Shape {
    const fn new<T: JsonSchema>(bytes_max: usize, check: fn(&[u8]) -> bool) -> Self {
        Self { schema: |generator| generator.subschema_for::<T>(), bytes_max, check }
    }

    /// What a node answers with.
    const fn answer<T: Wire>() -> Self {
        Self::new::<T>(RESPONSE_BYTES_MAX, |data| json::<T>(data).is_some())
    }

    /// What a node answers with that is a record of the ledger.
    const fn record<T: Wire + Encode + Decode>() -> Self {
        Self::new::<T>(RESPONSE_BYTES_MAX, |data| json::<T>(data).inspect(encodes).is_some())
    }

    /// What stands in a path, a query or a header.
    const fn text<T: JsonSchema + FromStr + Display + Debug + PartialEq>() -> Self {
        Self::new::<T>(PATH_BYTES_MAX, |data| text::<T>(data))
    }

    /// What is one of some words.
    const fn word<T: Wire>() -> Self {
        Self::new::<T>(PATH_BYTES_MAX, |data| json::<T>(data).is_some())
    }
}

/// What travels as JSON.
trait Wire: Serialize + DeserializeOwned + JsonSchema + Debug + PartialEq {}

impl<T: Serialize + DeserializeOwned + JsonSchema + Debug + PartialEq> Wire for T {}

/// Everything that node and client read of each other.
pub(crate) const SHAPES: &[Shape] = &[
    Shape::new::<Submission>(SUBMISSION_BYTES_MAX, submission),
    Shape::new::<OrderTerms>(REQUEST_BYTES_MAX, |data| {
        json::<OrderTerms>(data).inspect(encodes).is_some()
    }),
    Shape::new::<FaucetRequest>(REQUEST_BYTES_MAX, |data| json::<FaucetRequest>(data).is_some()),
    Shape::answer::<NetworkStatus>(),
    Shape::record::<Genesis>(),
    Shape::record::<Parameters>(),
    Shape::answer::<Submitted>(),
    Shape::answer::<TransactionRecord>(),
    Shape::answer::<Page<BlockSummary>>(),
    Shape::answer::<BlockRecord>(),
    Shape::answer::<AccountView>(),
    Shape::answer::<Page<EventRecord>>(),
    Shape::answer::<EventRecord>(),
    Shape::answer::<Page<Provider>>(),
    Shape::record::<Provider>(),
    Shape::answer::<Page<OfferView>>(),
    Shape::answer::<OfferView>(),
    Shape::answer::<Quote>(),
    Shape::answer::<Page<OrderView>>(),
    Shape::answer::<OrderView>(),
    Shape::answer::<Page<LeaseView>>(),
    Shape::answer::<LeaseView>(),
    Shape::new::<Bundle>(RESPONSE_BYTES_MAX, |data| json(data).inspect(check_bundle).is_some()),
    Shape::record::<SignedReceipt>(),
    Shape::answer::<SupplyView>(),
    Shape::answer::<Page<Tally>>(),
    Shape::new::<ProofView>(RESPONSE_BYTES_MAX, |data| {
        json::<ProofView>(data).inspect(|proof| check_row(&proof.row)).is_some()
    }),
    Shape::answer::<StoredContent>(),
    Shape::answer::<FaucetGrant>(),
    Shape::answer::<ProblemBody>(),
    Shape::text::<Address>(),
    Shape::text::<TransactionId>(),
    Shape::text::<OfferId>(),
    Shape::text::<OrderId>(),
    Shape::text::<LeaseId>(),
    Shape::text::<ContentHash>(),
    Shape::text::<EventId>(),
    Shape::word::<ClassId>(),
    Shape::word::<LeaseFilter>(),
    Shape::word::<ProofKind>(),
    Shape { schema: authorization, bytes_max: PATH_BYTES_MAX, check: text::<Authorization> },
];

/// Describes the header of a signed request, which is text of its own form.
pub(crate) fn authorization(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "title": "Authorization" })
}

/// Returns a description with all that it refers to, which no other type has.
pub(crate) fn described(schema: SchemaOf) -> String {
    let mut generator = SchemaGenerator::default();
    let schema = schema(&mut generator).to_value();
    let parts = generator.take_definitions(true);
    format!("{schema} {}", serde_json::Value::from(parts))
}

/// Returns the byte that picks the shape of a description.
///
/// # Panics
/// Where there is no such shape.
pub(crate) fn picking(schema: SchemaOf) -> u8 {
    static DESCRIPTIONS: LazyLock<Vec<String>> =
        LazyLock::new(|| SHAPES.iter().map(|shape| described(shape.schema)).collect());
    let wanted = described(schema);
    let shape = DESCRIPTIONS.iter().position(|description| *description == wanted);
    let shape = shape.unwrap_or_else(|| panic!("there is no shape of {wanted}"));
    u8::try_from(shape).expect("there are fewer shapes than bytes")
}

/// Reads what a request, an answer, a parameter or a header may hold.
///
/// # Panics
/// Where what is accepted does not read back equal.
pub fn api_json(data: &[u8]) {
    accepted(data);
}

/// Returns whether the shape that the first byte picks accepts the rest.
pub(crate) fn accepted(data: &[u8]) -> bool {
    let Some((first, rest)) = data.split_first() else { return false };
    let shape = &SHAPES[usize::from(*first) % SHAPES.len()];
    rest.len() <= shape.bytes_max && (shape.check)(rest)
}

/// Reads JSON, writes it and reads it again.
fn json<T: Wire>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let bound = data.len() * GROWTH_MAX + GROWTH_BYTES;
    assert!(written.len() <= bound, "{} bytes were read, {} written", data.len(), written.len());
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value, "writing changed the value");
    Some(value)
}

/// Reads text, prints and reads it again.
fn text<T: FromStr + Display + Debug + PartialEq>(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(value) = text.parse::<T>() else { return false };
    let printed = value.to_string();
    let Ok(again) = printed.parse::<T>() else { panic!("{printed} cannot be read") };
    assert_eq!(again, value, "printing changed the value");
    true
}

/// Checks that a record that JSON can say is one that its binary encoding can say.
fn encodes<T: Encode + Decode + Debug + PartialEq>(value: &T) {
    let again = T::from_bytes(&value.to_bytes());
    assert_eq!(again.as_ref(), Ok(value), "JSON and the binary encoding differ in their bounds");
}

/// Reads a submission and, as a node does, the transactions in it.
fn submission(data: &[u8]) -> bool {
    let Some(submission) = json::<Submission>(data) else { return false };
    for text in &submission.transactions {
        let Some(bytes) = from_hex(text) else { continue };
        assert_eq!(to_hex(&bytes), *text, "the same bytes have a second text");
        if let Ok(signed) = SignedTransaction::from_bytes(&bytes) {
            assert_eq!(signed.to_bytes(), bytes, "the same transaction has a second encoding");
            let written = serde_json::to_vec(&signed).expect("a transaction has its JSON");
            assert_eq!(json(&written), Some(signed), "the transaction's JSON is another one's");
        }
    }
    true
}

/// Reads all that a bundle carries, as whoever checks a lease does.
fn check_bundle(bundle: &Bundle) {
    encodes(&bundle.genesis);
    let signed = bundle.header.verify(&bundle.genesis);
    assert!(signed.is_err() || !bundle.genesis.validators.is_empty(), "nobody signed the header");
    let parameters = bundle.parameters.iter().map(|shown| &shown.row);
    let rows = [&bundle.lease, &bundle.order].into_iter().chain(&bundle.receipts);
    for row in rows.chain(parameters) {
        check_row(row);
    }
    for included in &bundle.transactions {
        check_included(included, &bundle.genesis);
    }
}

fn check_included(included: &Included, genesis: &Genesis) {
    if let Ok(verified) = included.verify(genesis) {
        let bytes = verified.signed().to_bytes();
        let committed = included.path.lead(&bytes);
        assert_eq!(committed, Some(included.header.header.body), "a block holds something else");
    }
}

fn check_row(row: &Row) {
    if let Some(parts) = row.parts() {
        let again = Row::new(&parts.key, parts.value.as_deref(), &parts.proof);
        assert_eq!(again, *row, "the same bytes have a second text");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use api::{Body, Operation, Place, ROUTES};

    use super::*;
    use crate::seeds;

    /// Returns whether a type has a description of its own, unlike a number or a text.
    fn is_named(schema: SchemaOf) -> bool {
        schema(&mut SchemaGenerator::default()).get("$ref").is_some()
    }

    #[test]
    fn each_body_and_parameter_of_each_route_has_its_shape() {
        let mut bodies = BTreeSet::new();
        let mut parameters = BTreeSet::new();
        for route in ROUTES.iter().filter(|route| route.operation != Operation::OpenApi) {
            for body in [route.request, route.response] {
                let (Body::Json(schema) | Body::Events(schema)) = body else { continue };
                assert!(is_named(schema), "{}: a body is a record", route.path);
                bodies.insert(picking(schema));
            }
            for parameter in route.parameters.iter().filter(|it| it.place != Place::Header) {
                if is_named(parameter.schema) {
                    parameters.insert(picking(parameter.schema));
                }
            }
        }
        // Besides those of routes: problems, and the header of a signed request.
        assert_eq!(bodies.len() + parameters.len() + 2, SHAPES.len());
    }

    #[test]
    fn each_shape_has_a_seed_that_it_accepts() {
        let mut accepting = BTreeSet::new();
        for seed in seeds::api::texts() {
            let text = String::from_utf8_lossy(&seed[1..]);
            assert!(accepted(&seed), "shape {}: {text}", seed[0]);
            accepting.insert(usize::from(seed[0]));
        }
        assert_eq!(accepting, (0..SHAPES.len()).collect());
    }

    #[test]
    fn a_body_above_its_bound_is_not_read() {
        let mut seed = seeds::api::texts().swap_remove(0);
        assert_eq!(seed[0], picking(|generator| generator.subschema_for::<Submission>()));
        seed.resize(SUBMISSION_BYTES_MAX + 1, b' ');
        assert!(accepted(&seed));
        seed.push(b' ');
        assert!(!accepted(&seed));
    }
}
