//! `idlewild demo`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::demo::{self, Options};
use crate::failure::{Exit, Explain, Outcome};
use crate::output::{dollars, duration};

/// Show a whole market at work on this machine
///
/// Starts a network, three provider processes and a tenant; has a picture path-traced by them,
/// tile by tile, as paid jobs; writes the picture, checks the proof of every bill, recounts the
/// book, and removes everything but the picture. Part of the work is done once more by providers
/// that are drawn as auditors.
///
/// With --cheat one of the providers hands in altered tiles: it is found out, loses stake and pay,
/// the tenant has its money back, and the tiles are traced again by others.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The scene to trace; examples/pathtracer/README.md says how to write one
    #[arg(long, value_name = "FILE")]
    scene: Option<PathBuf>,

    /// Paths a pixel [default: what the scene says; 8 for the demo's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    samples: Option<u32>,

    /// Where the picture goes
    #[arg(long, value_name = "FILE", default_value = "idlewild-demo.png")]
    out: PathBuf,

    /// Let one of the providers cheat
    #[arg(long)]
    cheat: bool,

    /// Keep the data of network and providers in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let Arguments { scene, samples, out, cheat, keep } = arguments;
    let unreadable = "cannot read the scene";
    let scene =
        scene.map(std::fs::read_to_string).transpose().because(unreadable).or_exit(Exit::Usage)?;
    let options = Options { scene, samples, picture: out, cheat, keep };
    let shown = demo::run(context.output, &options).await?;
    let bill = &shown.bill;
    let text = format!("\n{bill}{} in all\n", duration(shown.elapsed));
    let is_shown = !cheat || (!bill.slashed.is_zero() && shown.redone > 0);
    let holds = bill.holds() && is_shown;
    if !is_shown {
        context.output.warn("the cheat was not found out");
    }
    let value = json!({
        "ok": holds,
        "jobs": bill.jobs,
        "paid_usd": dollars(bill.paid),
        "fee_usd": dollars(bill.fee()),
        "conservation_ok": bill.holds(),
        "audits": bill.audits,
        "auditors_agreed": bill.agreed,
        "audits_independent": false,
        "slashed": dollars(bill.slashed),
        "refunded_usd": dollars(bill.refunded),
        "tiles_redone": shown.redone,
        "elapsed_ms": u64::try_from(shown.elapsed.as_millis()).unwrap_or(u64::MAX),
        "picture": options.picture,
    });
    context.output.show(text, &value)?;
    Ok(if holds { 0 } else { Exit::Failed as u8 })
}
