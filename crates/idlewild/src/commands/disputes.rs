//! `idlewild disputes`

use api::{DisputeQuery, LeaseView};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use types::{Accuser, Action, Game, LeaseId};

use super::Context;
use super::audits::{Shown, show_page};
use crate::failure::{Exit, Explain, Outcome};
use crate::output::{relative, short, usd};

/// Show which receipts were disputed, newest first, and how that ended, or dispute one
///
/// As the node says; `idlewild lease LEASE` checks one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// Those that are not decided yet
    #[arg(long)]
    open: bool,

    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,

    /// Go on where an earlier page ended, with what that named
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say that the receipt of a lease of yours is wrong
    ///
    /// Locks a bond: what the work costs, and at least what the network asks for. Validators do
    /// the work once more; if the receipt is wrong, you have everything back and a part of what
    /// the provider loses; if it is right, the bond is lost. Possible once, until the provider is
    /// paid, and not while auditors or validators are at it.
    Open {
        /// The lease
        #[arg(value_name = "LEASE")]
        lease: String,
    },
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match arguments.command {
        Some(Command::Open { lease }) => open(context, &lease).await,
        None => {
            let Arguments { open, limit, after, .. } = arguments;
            list(context, DisputeQuery { open, limit: Some(limit.into()), after }).await
        }
    }
}

async fn open(context: &Context, lease: &str) -> Outcome<u8> {
    let id: LeaseId =
        lease.parse().because(format_args!("`{lease}` is not a lease")).or_exit(Exit::Usage)?;
    let (_, signer) = context.signer().await?;
    let opened = signer.submitter.submit(Action::Dispute { lease: id }).await;
    let opened = opened.because("cannot dispute the receipt")?;
    let view = signer.client.lease(id).await?;
    let bond = match view.dispute.as_ref().map(|dispute| dispute.accuser) {
        Some(Accuser::Tenant { bond }) => format!(" of {}", usd(bond)),
        _ => String::new(),
    };
    let text = format!(
        "validators do the work once more; the bond{bond} is locked until they have, and lost if \
         the receipt is right\n"
    );
    let value = json!({ "transaction": opened.id, "lease": id, "dispute": view.dispute });
    context.output.show(text, &value)?;
    Ok(0)
}

async fn list(context: &Context, query: DisputeQuery) -> Outcome<u8> {
    let network = context.network().await?;
    let page = network.client.disputes(&query).await?;
    let shown = Shown { name: "disputes", heads: HEADS, row, value };
    show_page(context, &network, &page, &shown).await
}

const HEADS: [&str; 6] = ["LEASE", "PROVIDER", "ACCUSER", "OPENED", "HOW", "OUTCOME"];

fn row(view: &LeaseView) -> [String; 6] {
    let lease = &view.lease;
    let [accuser, opened, how, outcome] = match &view.dispute {
        None => [const { String::new() }; 4],
        Some(dispute) => {
            let accuser = match dispute.accuser {
                Accuser::Auditor { address } => short(address),
                Accuser::Tenant { bond } => format!("tenant, {}", usd(bond)),
                Accuser::Nobody => "none: undecided audit".to_owned(),
            };
            let how = match &dispute.game {
                Game::Rerun(rerun) => format!("rerun, {} rulings", rerun.rulings.len()),
                Game::Bisection(bisection) => format!("bisection, {} steps left", bisection.steps),
            };
            let outcome = dispute.outcome.map_or("open", |outcome| outcome.name());
            [accuser, relative(dispute.opened), how, outcome.to_owned()]
        }
    };
    [lease.id.to_string(), short(lease.provider), accuser, opened, how, outcome]
}

fn value(view: &LeaseView) -> Value {
    let lease = &view.lease;
    json!({
        "lease": lease.id,
        "tenant": lease.tenant,
        "provider": lease.provider,
        "check": lease.check,
        "dispute": view.dispute,
    })
}
