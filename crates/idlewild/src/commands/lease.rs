//! `idlewild lease`

use std::path::{Path, PathBuf};

use api::{Bundle, LeaseView};
use clap::{Args, Subcommand};
use classes::job::{Spec, Usage};
use serde_json::{Value, json};
use types::{Action, Decode, LeaseId, LeaseState, Readers};

use super::{Context, NOT_INDEPENDENT, audits::trail};
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::jobs::{self, Done, prove};
use crate::output::{count, dollars, relative, usd};
use crate::part::{Part, check_empty, describe as describe_exit};
use crate::verify::Proven;

/// Show a lease, close it, get its results or the proof of its bill
///
/// What is shown was checked as `idlewild verify` does it; a node that cannot prove it is an error.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The lease to show
    #[arg(value_name = "LEASE", required = true)]
    lease: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show its terms, state, receipts, and where its money went [default]
    Show {
        /// The lease
        #[arg(value_name = "LEASE")]
        lease: String,
    },
    /// End it; if it has started and has no receipt, the offer's minimum is owed
    Close {
        /// The lease
        #[arg(value_name = "LEASE")]
        lease: String,
    },
    /// Print what proves its bill, for `idlewild verify`
    Bundle {
        /// The lease
        #[arg(value_name = "LEASE")]
        lease: String,
    },
    /// Get what its job wrote: files, and the streams to this command's
    Fetch {
        /// The lease
        #[arg(value_name = "LEASE")]
        lease: String,
        /// Where the files of /out go; must be empty or absent
        #[arg(long, value_name = "DIR")]
        output: PathBuf,
    },
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match (arguments.command, arguments.lease) {
        (Some(Command::Show { lease }), _) | (None, Some(lease)) => show(context, &lease).await,
        (Some(Command::Close { lease }), _) => close(context, &lease).await,
        (Some(Command::Bundle { lease }), _) => bundle(context, &lease).await,
        (Some(Command::Fetch { lease, output }), _) => fetch(context, &lease, &output).await,
        (None, None) => unreachable!("the parser asks for a lease where there is no command"),
    }
}

fn identifier(text: &str) -> Outcome<LeaseId> {
    text.parse().because(format_args!("`{text}` is not a lease")).or_exit(Exit::Usage)
}

async fn show(context: &Context, lease: &str) -> Outcome<u8> {
    let id = identifier(lease)?;
    let network = context.network().await?;
    let view = network.client.lease(id).await?;
    let (bundle, proven) = prove(&network.client, &network.status.genesis, id).await?;
    let Proven { lease, order, receipts, audit, dispute, is_alone, checks, .. } = proven;
    let work = checks.into_iter().find(|check| check.name == "work");
    let work = work.map(|check| check.found).unwrap_or_default();
    let view = LeaseView { lease, order, receipts, audit, dispute, archived: view.archived };
    let text = describe(&view, &bundle, &work, is_alone);
    context.output.show(text, &value(&view, is_alone))?;
    Ok(0)
}

async fn close(context: &Context, lease: &str) -> Outcome<u8> {
    let id = identifier(lease)?;
    let (_, signer) = context.signer().await?;
    let closed = signer.submitter.submit(Action::Close { lease: id }).await;
    let closed = closed.because("cannot close the lease")?;
    let view = signer.client.lease(id).await?;
    let value = json!({ "transaction": closed.id, "state": view.lease.state });
    context.output.show(format_args!("{}\n", view.lease.state.name()), &value)?;
    Ok(0)
}

async fn bundle(context: &Context, lease: &str) -> Outcome<u8> {
    let id = identifier(lease)?;
    let network = context.network().await?;
    let bundle = network.client.bundle(id).await?;
    // A file's content, the same with and without `--json`.
    let text = serde_json::to_string(&bundle).because("cannot write the bundle")?;
    context.output.raw(format!("{text}\n").as_bytes())?;
    Ok(0)
}

async fn fetch(context: &Context, lease: &str, output: &Path) -> Outcome<u8> {
    let id = identifier(lease)?;
    check_empty(output)?;
    let (_, signer) = context.signer().await?;
    let (bundle, proven) = prove(&signer.client, &signer.genesis, id).await?;
    let Some(done) = Done::of(bundle, proven)? else {
        let text = format!("lease {id} ended without a receipt, so that it has no results");
        return Err(Failure::new(Exit::Failed, text).hint("run the job again"));
    };
    let results = jobs::results(&signer, &done).await?;
    jobs::save(&signer, id, &results, output).await?;
    let part = Part { done, results };
    if context.output.json {
        context.output.show("", &part.to_json())?;
    } else {
        part.show_streams(context.output)?;
    }
    context.output.say(part.line(Some(output)));
    Ok(0)
}

fn describe(view: &LeaseView, bundle: &Bundle, work: &str, is_alone: bool) -> String {
    let LeaseView { lease, order, receipts, archived, .. } = view;
    let mut lines = vec![
        ("lease", lease.id.to_string()),
        ("state", state(&lease.state)),
        ("tenant", lease.tenant.to_string()),
        ("provider", lease.provider.to_string()),
        ("matched", relative(lease.created)),
        ("ends", relative(lease.ends)),
        (
            "price",
            format!(
                "{} micro-USD a million units, at least {}, at most {} units",
                count(lease.rate.get()),
                usd(lease.minimum),
                count(lease.units_max.get())
            ),
        ),
        ("locked", usd(lease.escrow)),
        ("audits", audits(view)),
    ];
    if lease.audit.auditors > 0 && is_alone {
        lines.push(("", NOT_INDEPENDENT.to_owned()));
    }
    if let Ok(spec) = Spec::from_bytes(order.terms.spec.as_slice()) {
        lines.push(("program", spec.program.to_string()));
    }
    for signed in receipts {
        let receipt = &signed.receipt;
        let Ok(usage) = Usage::from_bytes(receipt.usage.as_slice()) else { continue };
        let root = types::Receipt::work_root(&usage.result_root(), &receipt.trace);
        let (exit, fuel) = (describe_exit(usage.exit), count(usage.fuel));
        lines.push(("receipt", format!("{exit}, {fuel} fuel, work root {root}")));
    }
    if matches!(lease.state, LeaseState::Closed { .. }) && lease.receipts > 0 {
        lines.push(("check", work.to_owned()));
        lines.extend(trail(view).into_iter().map(|step| ("", step)));
    }
    let settled = &lease.settlement;
    if matches!(lease.state, LeaseState::Closed { .. }) {
        lines.push((
            "paid",
            format!(
                "{} for {} units: {} to the provider, {} burned, {} treasury; {} audit premium, {} \
             back to the tenant",
                usd(settled.gross),
                count(settled.units.get()),
                usd(settled.net),
                usd(settled.burn),
                usd(settled.treasury),
                usd(settled.premium),
                usd(settled.refund)
            ),
        ));
    }
    lines.push((
        "proof",
        format!(
            "checked, as of block {}{}; `idlewild lease bundle {}` keeps it",
            bundle.header.header.height,
            if *archived { ", the last before it left the state" } else { "" },
            lease.id
        ),
    ));
    lines.into_iter().map(|(name, text)| format!("{name:<9} {text}\n")).collect()
}

fn state(state: &LeaseState) -> String {
    match state {
        LeaseState::Pending { start_by } => format!("pending, to start {}", relative(*start_by)),
        LeaseState::Active { since } => format!("active, started {}", relative(*since)),
        LeaseState::Reclaiming { deadline, .. } => {
            format!("reclaiming, the provider stops {}", relative(*deadline))
        }
        LeaseState::Closing { until, reason, .. } => {
            format!("closing ({}), settled {}", reason.name(), relative(*until))
        }
        LeaseState::Closed { at, reason } => {
            format!("closed ({}) {}", reason.name(), relative(*at))
        }
    }
}

fn audits(view: &LeaseView) -> String {
    let audit = &view.lease.audit;
    match audit.readers {
        Readers::Nobody => "none: nobody but the provider reads the inputs; unverified".to_owned(),
        Readers::Auditors if audit.auditors == 0 => "none asked for".to_owned(),
        Readers::Auditors => {
            let points = audit.probability.get();
            format!("with {}.{:02} %, by {}", points / 100, points % 100, audit.auditors)
        }
    }
}

fn value(view: &LeaseView, is_alone: bool) -> Value {
    let settled = &view.lease.settlement;
    let usage = view
        .receipts
        .last()
        .and_then(|signed| Usage::from_bytes(signed.receipt.usage.as_slice()).ok());
    json!({
        "lease": view.lease,
        "order": view.order,
        "receipts": view.receipts,
        "audit": view.audit,
        "dispute": view.dispute,
        "audits_independent": !is_alone,
        "usage": usage,
        "paid_usd": dollars(settled.gross.saturating_plus(settled.premium)),
        "archived": view.archived,
    })
}
