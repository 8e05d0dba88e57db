//! `idlewild audits`

use api::{AuditQuery, LeaseView};
use clap::Args;
use serde_json::{Value, json};
use types::{Accuser, Address, Verdict};

use super::{Context, NOT_INDEPENDENT};
use crate::failure::{Exit, Explain, Outcome};
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
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let auditor: Option<Address> =
        arguments.auditor.map(|text| text.parse()).transpose().or_exit(Exit::Usage)?;
    let network = context.network().await?;
    let limit = Some(usize::from(arguments.limit));
    let query = AuditQuery { auditor, limit, after: None };
    let views = network.client.audits(&query).await?.items;
    let is_alone = network.client.genesis().await?.validators.len() == 1;
    let mut table = Table::new(&["LEASE", "PROVIDER", "CHECK", "AUDITORS", "FEE"]);
    for view in &views {
        table.row(row(view));
    }
    let mut text = match views.is_empty() {
        true => "no audits\n".to_owned(),
        false => table.to_string(),
    };
    if is_alone {
        text.push_str(&format!("{NOT_INDEPENDENT}\n"));
    }
    let audits: Vec<Value> = views.iter().map(value).collect();
    context.output.show(text, &json!({ "audits": audits, "audits_independent": !is_alone }))?;
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
                format!("disputed by the tenant, with a bond of {}", usd(bond))
            }
            Accuser::Nobody => "put to the validators".to_owned(),
        };
        let outcome = dispute.outcome.map_or("not decided", |outcome| outcome.name());
        lines.push(format!("{by}: {outcome}"));
    }
    lines
}
