//! A node as its callers see it: over HTTP, and across restarts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod content;
mod events;
mod limits;
mod network;
mod requests;
mod restart;
mod routes;
mod trade;
