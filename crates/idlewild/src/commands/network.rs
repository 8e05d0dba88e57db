//! `idlewild network`

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use node::init::{MadeNode, Nodes, create};
use node::local::LocalNetwork;
use serde_json::json;
use types::Parameters;

use super::Context;
use crate::failure::{Exit, Explain, Failure, Outcome};

/// The settings of a node, in its directory.
const CONFIG: &str = "config.toml";

/// Make networks of several machines, show the genesis of one
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Init(Init),
    /// Print the genesis of the network, for `idlewild verify --genesis`
    Genesis,
}

/// Make a network: its genesis, keys, and the settings of each node
///
/// Each node has a directory of its own. Copy it to its machine as it is, and start the node there
/// with `idlewild validator --config DIR/validator-1/config.toml`. Of N validators, (N - 1) / 3 may
/// fail or lie at a time, rounded down. The genesis does not change any more.
#[derive(Debug, Args)]
struct Init {
    /// How many validators agree on blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    validators: u16,

    /// How many nodes follow without a vote, to serve the API
    #[arg(long, value_name = "N", default_value_t = 0)]
    followers: u16,

    /// The directory to make
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,

    /// The hosts of the validators, by name or address [default: all on this machine]
    #[arg(long, value_name = "HOST,…", value_delimiter = ',')]
    hosts: Vec<String>,

    /// The port of the API; on one machine, of the first node
    #[arg(long, value_name = "PORT", default_value_t = 7_460)]
    port: u16,

    /// The port on which nodes hear each other; on one machine, of the first node
    #[arg(long, value_name = "PORT", default_value_t = 7_660)]
    chain_port: u16,

    /// The network's name
    #[arg(long, value_name = "NAME", default_value = "private")]
    name: String,

    /// Without a token: a pool of one's own machines, paid in credits only
    #[arg(long)]
    no_token: bool,

    /// Let no node give funds away
    #[arg(long)]
    no_faucet: bool,

    /// With the windows and stakes of a public network, of hours and days
    #[arg(long)]
    public: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match arguments.action {
        Action::Init(init) => make(context, &init),
        Action::Genesis => genesis(context).await,
    }
}

async fn genesis(context: &Context) -> Outcome<u8> {
    let network = context.network().await?;
    let genesis = network.genesis().await?;
    // A file's content, the same with and without `--json`.
    let text = serde_json::to_string(&genesis).because("cannot write the genesis")?;
    context.output.raw(format!("{text}\n").as_bytes())?;
    if context.settings.pin.is_none() {
        context.output.warn(format_args!(
            "no network is joined: this is the genesis of {}, as {} says",
            genesis.hash(),
            context.settings.node
        ));
    }
    Ok(0)
}

fn make(context: &Context, init: &Init) -> Outcome<u8> {
    let mut network =
        LocalNetwork { name: init.name.clone(), token: !init.no_token, ..LocalNetwork::default() };
    if init.no_faucet {
        network.faucet_times_a_day = 0;
    }
    if init.public {
        network.parameters = Parameters::public();
    }
    let nodes = Nodes {
        validators: init.validators.into(),
        followers: init.followers.into(),
        hosts: init.hosts.clone(),
        api_port: init.port,
        chain_port: init.chain_port,
    };
    let made = create(&init.dir, &network, &nodes);
    let made = made.because("cannot make the network").or_exit(Exit::Usage)?;
    for node in &made {
        write(node)?;
    }
    let genesis = node::config::read_genesis(&made[0].directory.join("genesis.json"))
        .because("the genesis that was made does not read")?;
    let config = |node: &MadeNode| node.directory.join(CONFIG).display().to_string();
    let shown: String = made.iter().map(|node| format!("{}\n", config(node))).collect();
    let value = json!({
        "network": genesis.network,
        "genesis": genesis.hash(),
        "nodes": made.iter().map(|node| json!({
            "config": config(node),
            "url": url(node),
            "validator": node.validator.is_some(),
        })).collect::<Vec<_>>(),
    });
    context.output.show(shown, &value)?;
    context.output.say(format_args!("network {} of genesis {}", genesis.network, genesis.hash()));
    context.output.say(format_args!(
        "start each node with `idlewild validator --config FILE`, then enter with `idlewild join {}`",
        url(&made[0])
    ));
    Ok(0)
}

/// Returns where others reach a node: at its host, if that is known.
fn url(node: &MadeNode) -> String {
    let listen = node.config.listen;
    match node.config.names.first() {
        Some(host) => format!("http://{host}:{}", listen.port()),
        None => format!("http://{listen}"),
    }
}

/// Writes the settings of a node into its directory.
fn write(node: &MadeNode) -> Outcome<()> {
    let text = toml::to_string(&node.config).because("settings have a form of their own")?;
    let role = if node.validator.is_some() { "validator" } else { "node that follows" };
    let text =
        format!("# A {role} of an Idlewild network. Paths are from this file's directory.\n{text}");
    let path = node.directory.join(CONFIG);
    fs::write(&path, text).because(format!("cannot write {}", path.display()))
}

/// Reads the settings of a node.
pub(super) fn read(path: &Path) -> Outcome<node::Config> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .because(format!("cannot read {shown}"))
        .hint("`idlewild network init` makes settings")?;
    let config: node::Config =
        toml::from_str(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(config.in_directory(path.parent().unwrap_or(Path::new("."))))
}
