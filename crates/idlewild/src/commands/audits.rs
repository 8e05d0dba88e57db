//! `idlewild audits`

use api::{AuditQuery, LeaseView, Page};
use clap::Args;
use serde_json::{Value, json};
use types::{Accuser, Address, Verdict};

use super::{Context, NOT_INDEPENDENT};
use crate::failure::{Exit, Explain, Outcome};
use crate::network::Network;
use crate::output::{Table, short, usd};

/// Show whose work was checked by auditors, newest first, and what they found
///
/// As the node says; `idlewild lease LEASE` checks one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Those that this auditor has to do now
    #[arg(long, value_name = "ADDRESS")]
    auditor: Option<String>,

    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,

    /// Go on where an earlier page ended, with what that named
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let Arguments { auditor, limit, after } = arguments;
    let auditor: Option<Address> =
        auditor.map(|text| text.parse()).transpose().or_exit(Exit::Usage)?;
    let network = context.network().await?;
    let query = AuditQuery { auditor, limit: Some(limit.into()), after };
    let page = network.client.audits(&query).await?;
    show_page(context, &network, &page, &Shown { name: "audits", heads: HEADS, row, value }).await
}

const HEADS: [&str; 5] = ["LEASE", "PROVIDER", "CHECK", "AUDITORS", "FEE"];

/// How leases whose work was checked are shown.
pub(super) struct Shown<const COLUMNS: usize> {
    /// What they are called together.
    pub(super) name: &'static str,
    /// What stands above each column.
    pub(super) heads: [&'static str; COLUMNS],
    /// The line of one for people.
    pub(super) row: fn(&LeaseView) -> [String; COLUMNS],
    /// One as JSON.
    pub(super) value: fn(&LeaseView) -> Value,
}

/// Shows leases whose work was checked, how to see more, and whether who checked was independent.
pub(super) async fn show_page<const COLUMNS: usize>(
    context: &Context,
    network: &Network,
    page: &Page<LeaseView>,
    shown: &Shown<COLUMNS>,
) -> Outcome<u8> {
    let is_alone = network.client.genesis().await?.validators.len() == 1;
    let mut table = Table::new(&shown.heads);
    for view in &page.items {
        table.row((shown.row)(view));
    }
    let mut text = match page.items.is_empty() {
        true => format!("no {}\n", shown.name),
        false => table.to_string(),
    };
    if let Some(next) = &page.next {
        text.push_str(&format!("more with --after {next}\n"));
    }
    if is_alone {
        text.push_str(&format!("{NOT_INDEPENDENT}\n"));
    }
    let values: Vec<Value> = page.items.iter().map(shown.value).collect();
    let value = json!({ shown.name: values, "next": page.next, "audits_independent": !is_alone });
    context.output.show(text, &value)?;
    Ok(0)
}

fn row(view: &LeaseView) -> [String; 5] {
    let lease = &view.lease;
    let audit = view.audit.as_ref();
    let count = |verdict| {
        audit.map_or(0, |audit| audit.verdicts().filter(|(_, said)| *said == verdict).count())
    };
    let drawn = audit.map_or(0, |audit| audit.assignments.len());
    let said: Vec<String> = [Verdict::Agree, Verdict::Mismatch, Verdict::Unavailable]
        .into_iter()
        .filter(|verdict| count(*verdict) > 0)
        .map(|verdict| format!("{} {}", count(verdict), verdict.name()))
        .collect();
    let said = match said.is_empty() {
        true => format!("{drawn} drawn"),
        false => format!("{drawn} drawn: {}", said.join(", ")),
    };
    let fee = audit.map_or_else(String::new, |audit| usd(audit.fee));
    [lease.id.to_string(), short(lease.provider), lease.check.name().to_owned(), said, fee]
}

fn value(view: &LeaseView) -> Value {
    let lease = &view.lease;
    json!({
        "lease": lease.id,
        "tenant": lease.tenant,
        "provider": lease.provider,
        "check": lease.check,
        "audit": view.audit,
        "dispute": view.dispute,
    })
}

/// Returns what happened in a lease's audit and dispute, in lines for people.
pub(super) fn trail(view: &LeaseView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(audit) = &view.audit {
        for assigned in audit.assignments.iter() {
            let said = match (&assigned.commitment, &assigned.finding) {
                (_, Some(finding)) => finding.verdict(&audit.work_root).name(),
                (Some(_), None) => "committed",
                (None, None) => "nothing yet",
            };
            lines.push(format!("round {}: {} says {said}", assigned.round, assigned.auditor));
        }
    }
    if let Some(dispute) = &view.dispute {
        let by = match dispute.accuser {
            Accuser::Auditor { address } => format!("disputed by auditor {address}"),
            Accuser::Tenant { bond } => {
                let became = match dispute.outcome {
                    None => "locked",
                    Some(types::Outcome::Upheld) => "lost",
                    Some(_) => "given back",
                };
                format!("disputed by the tenant, with a bond of {}, {became}", usd(bond))
            }
            Accuser::Nobody => {
                "put to the validators, as auditors were too few or could not decide".to_owned()
            }
        };
        let outcome = dispute.outcome.map_or("not decided", |outcome| outcome.name());
        lines.push(format!("{by}: {outcome}"));
    }
    lines
}
