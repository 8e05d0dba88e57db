//! The agent that sells a machine.
//!
//! It says what the machine is ([`detect`]), keeps an offer standing, serves the leases that
//! tenants take, hands in receipts and keeps results until they are paid. [`Agent::start`] takes
//! a [`Config`] and [`Keys`]; [`Agent::status`] shows how it is doing.
//!
//! The agent acts on the difference between what the ledger says and what is here (`plan.rs`,
//! `offers.rs`: pure functions), never on an event alone, and never ends a lease because it
//! cannot see it. What must survive is in its journal before anybody is told, so it may be killed
//! at any instant. Guests run in worker processes, which hold no key.
//!
//! The agent also audits the work of others, when it is drawn for that (`auditor.rs`), and
//! validators judge disputes ([`Judge`]); both do the work once more, in workers of their own.
//!
//! [`keystore`] is where keys live, those of tenants too.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn example(node: types::SecretKey) -> Result<(), Box<dyn std::error::Error>> {
//! let keys = provider::Keys { node: Arc::new(node), account: None };
//! let program = std::env::current_exe()?;
//! let agent = provider::Agent::start(provider::Config::default(), keys, program).await?;
//! println!("{} jobs at the same time", agent.status().borrow().slots);
//! agent.stop().await;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod actor;
mod agent;
mod auditor;
mod backoff;
mod cheat;
mod config;
pub mod detect;
mod disk;
mod inputs;
mod journal;
mod judge;
pub mod keystore;
mod market;
mod offers;
mod plan;
mod recheck;
mod results;
mod runner;
mod selftest;
mod seller;
mod status;
mod store;
mod tasks;

pub use agent::{Agent, AgentError, Keys};
pub use config::{Config, ConfigError};
pub use judge::{Judge, JudgeConfig};
pub use status::Status;
