//! The node's HTTP API: one definition that server, client and documentation share.
//!
//! [`ROUTES`] is the table of all routes: method, path, parameters, what goes in and what comes
//! out. The server serves exactly these, [`openapi`] describes them, and [`Client`] has a method
//! for each. Records of the ledger appear as they are in `types`; what puts them together stands
//! in [`wire`]. Transactions travel as the hexadecimal of their canonical encoding, so that
//! nothing is ever signed as JSON.
//!
//! A [`Submitter`] holds an account's key and takes care of nonces and retries. Content is named
//! by its hash and checked against it on the way; [`directory`] turns a real directory into a
//! manifest and back.
//!
//! ```no_run
//! # async fn example() -> Result<(), api::ClientError> {
//! let client = api::Client::new("http://127.0.0.1:7070")?;
//! let network = client.network().await?;
//! println!("{} at height {}", network.network, network.height);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod auth;
mod client;
pub mod directory;
mod hashing;
pub mod limits;
mod openapi;
mod routes;
pub mod wire;

pub use auth::{Authorization, AuthorizationError};
pub use client::{
    Accepted, AuditQuery, Client, ClientError, ContentError, DisputeQuery, EventFilter,
    EventStream, LeaseQuery, SubmitError, Submitter,
};
pub use openapi::openapi;
pub use routes::{Body, Method, Operation, Parameter, Place, ROUTES, Route, SchemaOf};
pub use wire::*;

/// Returns this machine's time.
#[must_use]
pub fn now() -> types::Time {
    let elapsed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    types::Time::from_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
