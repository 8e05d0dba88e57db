//! Checks what the state of a network says, from its genesis and a [`Proof`] alone.
//!
//! This crate owns the way from the genesis to a row, and the encoding of what shows it:
//!
//! ```text
//! genesis ─▶ validators' signatures ─▶ header ─▶ root of the state ─▶ row, or its absence
//! ```
//!
//! It owns neither the certificates, which are `types`', nor the tree, which is `ledger`'s; it
//! asks nobody and knows no clock, file or socket, and so it also runs in a browser. How old a
//! state may be is the caller's to judge: [`Proven::header`] has its time.
//!
//! ```
//! use light::{Proof, Refuted};
//! use types::{Decode, Genesis};
//!
//! fn holds(genesis: &Genesis, file: &[u8]) -> Result<bool, Box<dyn std::error::Error>> {
//!     let proven = Proof::from_bytes(file)?.verify(genesis)?;
//!     println!("block {}: {}", proven.header.height, proven.subject);
//!     Ok(proven.record.is_some())
//! }
//! ```
#![forbid(unsafe_code)]
#![deny(
    clippy::float_arithmetic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    clippy::disallowed_methods
)]

mod proof;
mod record;

pub use proof::{MARK, Proof, Proven, Refuted};
pub use record::{Record, RowError, row};
