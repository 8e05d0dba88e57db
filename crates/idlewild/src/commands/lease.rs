//! `idlewild lease`

use api::LeaseView;
use clap::{Args, Subcommand};
use classes::job::{Spec, Usage};
use serde_json::{Value, json};
use types::{Action, Decode, LeaseId, LeaseState, Readers};

use super::Context;
use crate::failure::{Exit, Explain, Outcome};
use crate::output::{count, dollars, relative, usd};

/// Show a lease, close it, or get the proof of its bill
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
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match (arguments.command, arguments.lease) {
        (Some(Command::Show { lease }), _) | (None, Some(lease)) => show(context, &lease).await,
        (Some(Command::Close { lease }), _) => close(context, &lease).await,
        (Some(Command::Bundle { lease }), _) => bundle(context, &lease).await,
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
    context.output.show(describe(&view), &value(&view))?;
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
    let text = serde_json::to_string(&bundle).because("cannot write the bundle")?;
    context.output.show(format_args!("{text}\n"), &json!(bundle))?;
    Ok(0)
}

fn describe(view: &LeaseView) -> String {
    let LeaseView { lease, order, receipts, archived } = view;
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
    if let Ok(spec) = Spec::from_bytes(order.terms.spec.as_slice()) {
        lines.push(("program", spec.program.to_string()));
    }
    for signed in receipts {
        let receipt = &signed.receipt;
        let usage = Usage::from_bytes(receipt.usage.as_slice()).ok();
        let what = usage.map_or_else(String::new, |usage| {
            format!("{} fuel, {:?}, ", count(usage.fuel), usage.exit)
        });
        lines.push(("receipt", format!("{what}work root {}", receipt.work_root)));
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
        if *archived {
            "it left the state; its bundle proves it as of the block before".to_owned()
        } else {
            format!("`idlewild lease bundle {}` shows that the state has it", lease.id)
        },
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

fn value(view: &LeaseView) -> Value {
    let settled = &view.lease.settlement;
    let usage = view
        .receipts
        .last()
        .and_then(|signed| Usage::from_bytes(signed.receipt.usage.as_slice()).ok());
    json!({
        "lease": view.lease,
        "order": view.order,
        "receipts": view.receipts,
        "usage": usage,
        "paid_usd": dollars(settled.gross.saturating_plus(settled.premium)),
        "archived": view.archived,
    })
}
