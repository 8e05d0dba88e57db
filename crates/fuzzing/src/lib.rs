//! Entry points for bytes from outside.
//!
//! Each [`Target`] feeds arbitrary bytes to one decoder and panics where the answer breaks a rule:
//! what decodes encodes to the same bytes, what parses prints and parses to the same value, what
//! runs ends alike on both engines. The programs in `fuzz/` run them under a coverage-guided
//! fuzzer; the test of this crate runs all of them on random and on damaged valid bytes. A new
//! target is a function, a line of [`TARGETS`] and a program in `fuzz/`.
#![forbid(unsafe_code)]

mod api;
mod guests;
mod mutate;
mod plant;
mod seeds;

use std::fmt::Debug;

use chain::Wire;
use types::{
    CertifiedHeader, Claims, Constraint, Decode, Encode, Hash, SignedReceipt, SignedTransaction,
    Time, body, limits,
};

use ::light::Proof;
use seeds::proofs::STATE;

pub use api::api_json;
pub use guests::{wasi_calls, wasm_module};
pub use mutate::Mutator;
pub use plant::plant;

/// One decoder under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name, also that of the program in `fuzz/`.
    pub name: &'static str,
    /// Feeds the bytes to the decoder; panics where a rule breaks.
    pub run: fn(&[u8]),
    /// Returns inputs that the decoder accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How often the everyday test runs it on random, and as often on damaged bytes.
    pub rounds: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "api_json", run: api_json, seeds: seeds::api::texts, rounds: 20_000 },
    Target { name: "block", run: block, seeds: seeds::blocks, rounds: 5_000 },
    Target { name: "certificate", run: certificate, seeds: seeds::certificates, rounds: 5_000 },
    Target { name: "constraint", run: constraint, seeds: seeds::constraints, rounds: 5_000 },
    Target { name: "light", run: light, seeds: seeds::proofs::proofs, rounds: 5_000 },
    Target { name: "peer", run: peer, seeds: seeds::peers, rounds: 5_000 },
    Target { name: "receipt", run: receipt, seeds: seeds::receipts, rounds: 5_000 },
    Target { name: "transaction", run: transaction, seeds: seeds::transactions, rounds: 5_000 },
    Target { name: "wasi_calls", run: wasi_calls, seeds: seeds::calls, rounds: 2_000 },
    Target { name: "wasm_module", run: wasm_module, seeds: seeds::modules, rounds: 300 },
];

/// Reads a block's body, and leads from each entry to what the header says.
pub fn block(data: &[u8]) {
    let Ok(entries) = body::entries(data, limits::BLOCK_TRANSACTIONS_MAX) else { return };
    let mut again = Vec::new();
    let leaves: Vec<Hash> = entries.iter().map(|entry| body::leaf(entry)).collect();
    let committed = body::commit(&leaves);
    for (position, entry) in (0..).zip(&entries) {
        body::push_entry(&mut again, entry);
        canonical::<SignedTransaction>(entry);
        let path = body::Path::of(&leaves, position).expect("each entry has a way");
        assert_eq!(path.lead(entry), Some(committed), "a way leads elsewhere");
    }
    assert_eq!(again, data, "the same entries have a second encoding");
}

/// Decodes a header with what shows that it is final, and the way of an entry.
pub fn certificate(data: &[u8]) {
    canonical::<CertifiedHeader>(data);
    canonical::<body::Path>(data);
}

/// Parses a constraint, evaluates it over no claims, prints and parses it again.
pub fn constraint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(constraint) = text.parse::<Constraint>() else { return };
    let printed = constraint.to_string();
    let again: Constraint = printed.parse().expect("what is printed can be parsed");
    assert_eq!(again, constraint, "printing changed the constraint");
    let truth =
        |of: &Constraint| types::constraint::evaluate(of, &Claims::default(), Time::from_ms(0));
    assert_eq!(truth(&again), truth(&constraint), "printing changed the answer");
}

/// Decodes a proof of the state and checks it: all that it can show is what the state says.
pub fn light(data: &[u8]) {
    let Some(proof) = canonical::<Proof>(data) else { return };
    let state = &*STATE;
    let Ok(proven) = proof.verify(&state.genesis) else { return };
    assert_eq!(proven.header, state.header.header, "a header holds that nobody signed");
    let record = state.record(&proven.subject);
    assert_eq!(proven.record.as_ref(), record, "{} is shown as it is not", proven.subject);
}

/// Reads what nodes of a chain send each other.
pub fn peer(data: &[u8]) {
    for kind in Wire::ALL {
        if let Some(again) = kind.rewrite(data) {
            assert_eq!(again, data, "a message has a second encoding: {kind:?}");
        }
    }
}

/// Decodes a receipt and checks its signatures.
pub fn receipt(data: &[u8]) {
    if let Some(receipt) = canonical::<SignedReceipt>(data) {
        let forged = receipt.verify(&Hash::of("another network", &[data]));
        assert!(forged.is_err(), "a receipt must not hold in a network it was not signed for");
    }
}

/// Decodes a transaction and checks its signatures.
pub fn transaction(data: &[u8]) {
    if let Some(transaction) = canonical::<SignedTransaction>(data) {
        let forged = transaction.verify(&Hash::of("another network", &[data]));
        assert!(forged.is_err(), "a transaction must not hold in another network");
    }
}

/// Decodes a value; only its own encoding may be accepted for it.
fn canonical<T: Decode + Encode + Debug>(data: &[u8]) -> Option<T> {
    let value = T::from_bytes(data).ok()?;
    assert_eq!(value.to_bytes(), data, "{value:?} has a second encoding");
    Some(value)
}
