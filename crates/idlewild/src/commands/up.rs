//! `idlewild up`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use clap::Args;
use node::local::LocalNetwork;
use provider::Agent;
use serde_json::json;
use types::Address;

use super::Context;
use crate::agent;
use crate::config::{PORT, Pin};
use crate::failure::{Explain, Outcome};
use crate::keyring::{Keyring, NewPassphrase};
use crate::local::{LocalNode, explain_disk};
use crate::network::Network;
use crate::output::duration;
use crate::signals::asked_to_end;

/// The name of the key that earns for the provider of this command.
const PROVIDER_KEY: &str = "provider";

/// The longest that is waited for the provider's offer before this is said to be up.
const OFFER_TIMEOUT: Duration = Duration::from_secs(20);

/// Start a complete network on this machine, until Ctrl-C
///
/// A node with its ledger, API and faucet, a provider that sells this machine's time, and a key
/// with funds to order with. The network is made when it is not there yet, and goes on where it
/// was when it is started again; other commands with this data directory then ask its node.
///
/// Keys that it makes have the passphrase of IDLEWILD_PASSPHRASE, or none.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The address that the node listens on
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,

    /// The port that the node listens on; 0 takes a free one
    #[arg(long, default_value_t = PORT)]
    port: u16,

    /// Only the node: sell nothing
    #[arg(long, conflicts_with = "slots")]
    no_provider: bool,

    /// Jobs that the provider runs at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    slots: Option<u16>,

    /// The network's name, where it is made
    #[arg(long, value_name = "NAME", default_value = "local")]
    name: String,

    /// Make a network without a token: a pool of one's own machines, paid in credits only
    #[arg(long)]
    no_token: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let began = Instant::now();
    let listen = SocketAddr::new(arguments.listen, arguments.port);
    let made = LocalNetwork {
        name: arguments.name.clone(),
        token: !arguments.no_token,
        ..LocalNetwork::default()
    };
    let data = context.settings.data.join("node");
    let node = LocalNode::start(&data, listen, &made).await?;
    let mut agent = None;
    let end = tokio::select! {
        end = serve(context, &arguments, &node, &mut agent, began) => {
            end.map_err(|failure| explain_disk(failure, &context.settings.data))
        }
        () = asked_to_end() => Ok(()),
        failure = node.failed() => Err(failure),
    };
    // In reverse order: who speaks to the node goes first.
    context.output.say("stopping …");
    if let Some(agent) = agent {
        Agent::stop(agent).await;
    }
    node.stop().await;
    end.map(|()| 0)
}

/// Brings everything else up, says so, and then waits for ever.
async fn serve(
    context: &Context,
    arguments: &Arguments,
    node: &LocalNode,
    agent: &mut Option<Agent>,
    began: Instant,
) -> Outcome<()> {
    let output = context.output;
    let network = node.network().await?;
    let keyring = context.keyring()?;
    let tenant = fund(&network, &keyring, &context.settings.key).await?;
    pin(context, &network)?;
    if !arguments.no_provider {
        let parameters = network.client.parameters().await?;
        let slots = arguments.slots;
        let data = &context.settings.data;
        let config = agent::config(&network, data, PROVIDER_KEY, &parameters, slots);
        let account = keyring.load_or_make(PROVIDER_KEY, NewPassphrase::Unasked)?;
        let started = agent::start(config, &keyring, PROVIDER_KEY, account).await?;
        let mut status = started.status();
        *agent = Some(started);
        let offered = status.wait_for(|status| status.offers > 0);
        if tokio::time::timeout(OFFER_TIMEOUT, offered).await.is_err() {
            output.warn("the provider's offer does not stand yet; still trying");
        }
    }
    let status = &network.status;
    let value = json!({
        "url": node.url(),
        "network": status.network,
        "genesis": status.genesis,
        "tenant": tenant,
        "provider": agent.as_ref().map(Agent::provider),
        "elapsed_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    output.show(format_args!("{}\n", node.url()), &value)?;
    output.say(format_args!("network {} of genesis {}", status.network, status.genesis));
    output.say(format_args!("key {}: {tenant}", context.settings.key));
    output.say(format_args!(
        "up after {}; try `idlewild run PROGRAM.wasm`, or open {} in a browser; Ctrl-C stops",
        duration(began.elapsed()),
        node.url()
    ));
    std::future::pending().await
}

/// Binds the data directory to the network that it holds, unless it belongs to another.
fn pin(context: &Context, network: &Network) -> Outcome<()> {
    let (settings, status) = (&context.settings, &network.status);
    let pin = Pin {
        network: status.network.to_string(),
        genesis: status.genesis,
        node: network.client.address().to_owned(),
    };
    match &settings.pin {
        Some(joined) if joined.genesis != pin.genesis => {
            context.output.warn(format_args!(
                "commands with this data directory ask {} of the network {}, not this node; use \
                 another --data DIR for one of them",
                joined.node, joined.network
            ));
            Ok(())
        }
        Some(joined) if *joined == pin => Ok(()),
        _ => pin.write(&settings.data),
    }
}

/// Makes sure that the tenant's key is there and has funds.
async fn fund(network: &Network, keyring: &Keyring, name: &str) -> Outcome<Address> {
    let address = match keyring.entry(name) {
        Ok(entry) => entry.address,
        Err(_) => keyring.load_or_make(name, NewPassphrase::Unasked)?.address(),
    };
    let view = network.client.account(address).await?;
    if view.account.is_none() {
        network.client.faucet(address).await.because("the faucet gave nothing")?;
    }
    Ok(address)
}
