//! The ledger behind an HTTP API.
//!
//! A node takes part in the chain with a [`replica`] of the ledger, and answers for the state that
//! final blocks lead to. Between the two and everything else stands the [`NodeHandle`]: submit,
//! read, prove, subscribe. Around it: the content store, which keeps what jobs read and write; the
//! history in [`index`], which can be rebuilt from the blocks; a faucet for networks to try; the
//! server of the routes that `api` defines; and a page for people.
//!
//! An acknowledged transaction is in a final block, on disk. A node that is killed at any moment
//! takes up the thread from its newest snapshot and the blocks behind it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let network = node::local::LocalNetwork::default();
//! let config = node::local::create("network".as_ref(), &network)?;
//! let node = node::start(config).await?;
//! println!("http://{}", node.address());
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod config;
mod content;
mod disk;
mod faucet;
mod fault;
mod files;
mod handle;
pub mod index;
pub mod init;
pub mod local;
mod metrics;
mod page;
pub mod replica;
mod server;
mod start;

pub use config::{ChainConfig, Config, ConfigError, FaucetConfig, Limits, PeerConfig};
pub use content::ContentError;
pub use disk::DiskTrouble;
pub use handle::{Answer, NodeHandle, Refused, SUBMISSION_MAX, Stopped};
pub use replica::{Committed, CommittedBlock};
pub use start::{Node, StartError, start};
