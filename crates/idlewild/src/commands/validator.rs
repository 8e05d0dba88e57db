//! `idlewild validator`

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::{Context, network};
use crate::failure::{Failure, Outcome};
use crate::local::LocalNode;
use crate::output::duration;
use crate::signals::asked_to_end;

/// Run a node of a network, until Ctrl-C: a validator, or one that follows without a vote
///
/// `--config FILE` names its settings, as `idlewild network init` makes them. A validator agrees
/// with the others on blocks and judges disputes; every node serves the API.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The settings of the node: the global `--config`.
    #[arg(skip)]
    pub(crate) config: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let began = Instant::now();
    let path = arguments.config.ok_or_else(|| {
        Failure::usage("which node is not said: name its settings with --config FILE")
            .hint("`idlewild network init` makes settings")
    })?;
    let config = network::read(&path)?;
    let node = tokio::select! {
        node = LocalNode::run(config) => node?,
        // It waits for the others, perhaps for long.
        () = asked_to_end() => return Ok(0),
    };
    let end = tokio::select! {
        end = say(context, &node, began) => end,
        () = asked_to_end() => Ok(()),
        failure = node.failed() => Err(failure),
    };
    context.output.say("stopping …");
    node.stop().await;
    end.map(|()| 0)
}

/// Says that the node is up, and then waits for ever.
async fn say(context: &Context, node: &LocalNode, began: Instant) -> Outcome<()> {
    let output = context.output;
    let status = node.network().await?.status;
    let value = json!({
        "url": node.url(),
        "network": status.network,
        "genesis": status.genesis,
        "height": status.height,
        "validator": node.is_validator(),
        "elapsed_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    output.show(format_args!("{}\n", node.url()), &value)?;
    let role = if node.is_validator() { "validator" } else { "node that follows" };
    output.say(format_args!(
        "{role} of network {} of genesis {}, at block {} after {}; Ctrl-C stops",
        status.network,
        status.genesis,
        status.height,
        duration(began.elapsed()),
    ));
    std::future::pending().await
}
