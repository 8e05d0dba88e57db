//! The words of the market as types: what every other crate speaks.
//!
//! This crate owns identifiers, amounts of money, units of work, keys and signatures, claims and
//! the constraint language over them, the records that the ledger keeps (offers, orders, leases,
//! receipts), transactions and blocks, and the canonical bounded encoding of all of them. It owns
//! no rules: what a transaction does is the ledger's business, what a unit means is its class's.
//!
//! A value of these types is valid by construction: an [`Amount`] is within its range, a
//! [`List`] within its bound, a [`PublicKey`] a point on the curve. Decoding is the only way in
//! from outside, and it refuses everything else.
//!
//! ```
//! use types::{Amount, Rate, Units};
//!
//! // 2,500 million fuel at 5,000 micro-USD for a million units.
//! let price = Rate::new(5_000)?.cost(Units::new(2_500)?)?;
//! assert_eq!(price, Amount::new(13)?); // rounded up: 12.5 micro-USD
//! # Ok::<(), types::OutOfRange>(())
//! ```
#![forbid(unsafe_code)]
#![deny(
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, reason = "tests may panic"))]

#[macro_use]
pub mod codec;
mod amount;
mod audit;
mod block;
pub mod body;
pub mod certificate;
pub mod claim;
pub mod constraint;
mod dispute;
mod event;
mod genesis;
mod hash;
mod key;
mod lease;
pub mod limits;
pub mod manifest;
mod market;
mod parameters;
mod provider;
mod receipt;
mod reject;
mod signature;
mod subject;
mod supply;
pub mod text;
mod time;
mod transaction;

pub use amount::{Amount, Asset, BasisPoints, NotAnAmount, OutOfRange, Rate, Units};
pub use audit::{
    Assignment, Audit, Auditor, AuditorTerms, CheckState, Finding, Opening, Reputation, Verdict,
};
pub use block::{Block, Header};
pub use certificate::{Certificate, CertificateError, CertifiedHeader, Vote};
pub use claim::{Claim, ClaimKey, Claims, Decimal, Provenance, Value};
pub use codec::{Decode, DecodeError, Encode, List, Reader};
pub use constraint::{Constraint, Truth};
pub use dispute::{
    Accuser, Argument, Bisection, Dispute, Game, Outcome, Rerun, Ruled, Ruling, Turn,
};
pub use event::Event;
pub use genesis::{Genesis, GenesisWallet, Validator};
pub use hash::{
    ClassId, ContentHash, Hash, LeaseId, NotAnIdentifier, OfferId, OrderId, TransactionId,
};
pub use key::{
    Address, AddressError, BadSignature, BeaconKey, BeaconShare, KeyError, PublicKey, SecretKey,
    Signable, Signature,
};
pub use lease::{CloseReason, Lease, LeaseState, Settlement};
pub use manifest::Manifest;
pub use market::{AuditTerms, Offer, OfferTerms, Order, OrderTerms, Readers};
pub use parameters::{Change, Parameters, ParametersError};
pub use provider::{Account, Issuer, Provider, Unbonding};
pub use receipt::{Countersignature, Receipt, SignedReceipt};
pub use reject::Reject;
pub use subject::{NotASubject, ProofKind, Subject};
pub use supply::{Income, Supply, Tally};
pub use text::{Blob, Text};
pub use time::{Duration, Time};
pub use transaction::{Action, NodeKeyConsent, SignedTransaction, Transaction, Verified};
