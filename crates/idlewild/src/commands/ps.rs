//! `idlewild ps`

use api::{LeaseFilter, LeaseQuery, LeaseView};
use clap::Args;
use serde_json::{Value, json};
use types::{Address, LeaseState};

use super::Context;
use crate::failure::{Exit, Explain, Outcome};
use crate::output::{Table, dollars, relative, short, usd};

/// Show your leases and waiting orders, newest first
///
/// As the node says; `idlewild lease LEASE` checks one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Also what is over
    #[arg(long, short)]
    all: bool,

    /// Those of another account, as tenant
    #[arg(long, value_name = "ADDRESS")]
    of: Option<String>,

    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let tenant: Address = match &arguments.of {
        Some(text) => text.parse().or_exit(Exit::Usage)?,
        None => context.address()?,
    };
    let network = context.network().await?;
    let limit = Some(usize::from(arguments.limit));
    let state = if arguments.all { None } else { Some(LeaseFilter::Open) };
    let query = LeaseQuery { tenant: Some(tenant), state, limit, ..LeaseQuery::default() };
    let leases = network.client.leases(&query).await?.items;
    let orders = network.client.orders(tenant, None, limit).await?.items;
    let waiting: Vec<_> = orders.into_iter().filter(|view| view.open).collect();

    let mut table = Table::new(&["LEASE", "STATE", "PROVIDER", "COST", "SINCE"]);
    for view in &leases {
        table.row(row(view));
    }
    let mut text = String::new();
    if leases.is_empty() && waiting.is_empty() {
        text.push_str(if arguments.all {
            "no leases\n"
        } else {
            "no leases are open; --all shows those that are over, too\n"
        });
    }
    if !leases.is_empty() {
        text.push_str(&table.to_string());
    }
    if !waiting.is_empty() {
        let mut table = Table::new(&["WAITING ORDER", "BUDGET", "PLACED", "LAPSES"]);
        for view in &waiting {
            let order = &view.order;
            let budget = usd(order.terms.budget);
            let (placed, lapses) = (relative(order.placed), relative(order.terms.expires));
            table.row([short(order.id), budget, placed, lapses]);
        }
        text.push_str(&table.to_string());
    }
    let leases: Vec<Value> = leases.iter().map(lease_json).collect();
    let value = json!({ "tenant": tenant, "leases": leases, "orders": waiting });
    context.output.show(text, &value)?;
    Ok(0)
}

fn row(view: &LeaseView) -> [String; 5] {
    let lease = &view.lease;
    let state = match lease.state {
        LeaseState::Closed { reason, .. } => reason.name().to_owned(),
        state => state.name().to_owned(),
    };
    let cost = match lease.state {
        LeaseState::Closed { .. } => usd(lease.settlement.gross),
        _ => format!("<= {}", usd(lease.escrow)),
    };
    // An identifier is shown whole: the other commands want it so.
    [lease.id.to_string(), state, short(lease.provider), cost, relative(lease.created)]
}

fn lease_json(view: &LeaseView) -> Value {
    let lease = &view.lease;
    json!({
        "lease": lease.id,
        "order": lease.order,
        "provider": lease.provider,
        "state": lease.state,
        "created": lease.created,
        "escrow_usd": dollars(lease.escrow),
        "paid_usd": dollars(lease.settlement.gross.saturating_plus(lease.settlement.premium)),
        "units": lease.settlement.units,
    })
}
