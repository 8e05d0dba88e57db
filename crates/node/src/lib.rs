//! The ledger behind an HTTP API.
//!
//! A node orders transactions into blocks, keeps them, and answers for the state they lead to.
//! Between what orders (today `solo`, a sequencer alone) and everything else stands the
//! [`NodeHandle`]: submit, read, prove, subscribe. Around it: the content store, which keeps what
//! jobs read and write; the history in [`index`], which can be rebuilt from the blocks; a faucet
//! for networks to try; the server of the routes that `api` defines; and a page for people.
//!
//! An acknowledged transaction is on disk. A node that is killed at any moment takes up the
//! thread from its newest snapshot and the blocks behind it.
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
mod faucet;
mod fault;
mod files;
mod handle;
pub mod index;
pub mod local;
mod metrics;
mod page;
mod server;
mod solo;
mod start;

pub use config::{Config, ConfigError, FaucetConfig, Limits};
pub use content::ContentError;
pub use handle::{Answer, Committed, CommittedBlock, NodeHandle, Refused, SUBMISSION_MAX, Stopped};
pub use solo::{LogError, RecoverError};
pub use start::{Node, StartError, rebuild, start};
