//! `idlewild join`

use clap::Args;
use serde_json::json;
use types::Hash;

use super::Context;
use crate::config::{Pin, Settings};
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::keyring::NewPassphrase;
use crate::network::Network;
use crate::output::usd;

/// Enter a network: pin its genesis, make a key, say how to get funds
///
/// From then on this data directory belongs to that network: commands ask its node, and refuse
/// one that serves another genesis.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A node of the network
    #[arg(value_name = "URL")]
    url: String,

    /// The genesis' hash that it must have, if you know it from elsewhere
    #[arg(long, value_name = "HASH")]
    genesis: Option<Hash>,

    /// Leave the network that this data directory belongs to
    #[arg(long)]
    again: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let kept = context.settings.pin.clone().filter(|_| !arguments.again);
    let settings = Settings { node: arguments.url.clone(), pin: kept, ..context.settings.clone() };
    let network = Network::reach(&settings).await?;
    let status = &network.status;
    network.genesis().await?;
    if let Some(expected) = arguments.genesis.filter(|expected| *expected != status.genesis) {
        let text = format!("the network has the genesis {}, not {expected}", status.genesis);
        return Err(Failure::new(Exit::Failed, text).hint("check URL and hash"));
    }
    let keyring = context.keyring()?;
    let address = keyring.ensure(&settings.key, NewPassphrase::Wanted)?;
    let pin = Pin {
        network: status.network.to_string(),
        genesis: status.genesis,
        node: network.client.address().to_owned(),
    };
    pin.write(&settings.data).hint("check the data directory's permissions and free space")?;
    let held = network.client.account(address).await?.balances.usd;
    let output = context.output;
    let text = format!("{} {}\n{address}\n", pin.network, pin.genesis);
    let value = json!({
        "network": pin.network,
        "genesis": pin.genesis,
        "node": pin.node,
        "address": address,
        "faucet": status.faucet,
    });
    output.show(text, &value)?;
    output.say(format_args!("joined {} through {}", pin.network, pin.node));
    output.say(match (held.is_zero(), status.faucet) {
        (false, _) => format!("the account holds {}", usd(held)),
        (true, true) => "get funds to try it: `idlewild wallet faucet`".to_owned(),
        (true, false) => format!("get funds: ask an issuer to send credits to {address}"),
    });
    Ok(0)
}
