//! The commands, one file each.
//!
//! A command is a struct of arguments, whose doc comments are the help, and a function `run` that
//! returns the exit code. A new one is a file, a `mod` line and a line of the table.

mod audits;
mod completions;
mod demo;
mod disputes;
mod docs;
mod join;
mod keys;
mod lease;
mod network;
mod offers;
mod proof;
mod provide;
mod ps;
mod quote;
mod run;
mod supply;
mod up;
mod validator;
mod verify;
mod wallet;

use clap::{Args, Subcommand};

use crate::config::Settings;
use crate::failure::Outcome;
use crate::keyring::Keyring;
use crate::network::{Network, Signer};
use crate::output::Output;

/// What is said where one validator alone draws auditors and judges disputes.
const NOT_INDEPENDENT: &str = "audits: not independent (this network has one validator)";

/// What every command has.
#[derive(Debug)]
pub(crate) struct Context {
    /// What is in force.
    pub(crate) settings: Settings,
    /// How results are shown.
    pub(crate) output: Output,
}

impl Context {
    /// Reaches the node.
    async fn network(&self) -> Outcome<Network> {
        Network::reach(&self.settings).await
    }

    /// Opens the keys.
    fn keyring(&self) -> Outcome<Keyring> {
        Keyring::open(&self.settings, self.output)
    }

    /// Reaches the node and puts the tenant's key to work.
    async fn signer(&self) -> Outcome<(Network, Signer)> {
        let key = self.keyring()?.load(&self.settings.key)?;
        let network = self.network().await?;
        network.name_unless_joined(&self.settings, self.output);
        let signer = network.signer(key);
        Ok((network, signer))
    }

    /// Returns the address of the tenant's key, without opening it.
    fn address(&self) -> Outcome<types::Address> {
        Ok(self.keyring()?.entry(&self.settings.key)?.address)
    }
}

/// Runs jobs in a sandbox, for the agent that starts it.
#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {}

/// Declares the commands: variant, module.
macro_rules! commands {
    ($($variant:ident($module:ident)),* $(,)?) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($variant($module::Arguments),)*
            #[command(name = "__worker", hide = true)]
            Worker(WorkerArguments),
            #[command(name = "__docs", hide = true)]
            Docs(docs::Arguments),
        }

        impl Command {
            /// Does it and returns the exit code.
            pub(crate) async fn run(self, context: &Context) -> Outcome<u8> {
                match self {
                    // Boxed: the largest of the commands would decide the size of all.
                    $(Self::$variant(arguments) => {
                        Box::pin($module::run(context, arguments)).await
                    })*
                    Self::Docs(arguments) => docs::run(context, &arguments),
                    Self::Worker(_) => unreachable!("workers start before the runtime does"),
                }
            }
        }
    };
}

commands! {
    Demo(demo),
    Up(up),
    Network(network),
    Validator(validator),
    Join(join),
    Provide(provide),
    Run(run),
    Quote(quote),
    Ps(ps),
    Lease(lease),
    Proof(proof),
    Verify(verify),
    Audits(audits),
    Disputes(disputes),
    Offers(offers),
    Supply(supply),
    Wallet(wallet),
    Keys(keys),
    Completions(completions),
}
