//! `idlewild supply`

use clap::Args;
use serde_json::json;
use types::Tally;

use super::Context;
use crate::failure::Outcome;
use crate::output::{Table, count, relative, usd};

/// Show what hardware there is, what of it was verified, what earns, and who paid
///
/// Claimed is what offers promise for an epoch, verified what audits found to be there, earning
/// what tenants paid for. Revenue is what they paid, burn the part of it that buys and burns the
/// token, reward what was minted. Seats are those of auditors: one for each smallest stake.
#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(super) async fn run(context: &Context, _: Arguments) -> Outcome<u8> {
    let network = context.network().await?;
    let supply = network.client.supply().await?;
    let mut table = Table::new(&[
        "CLASS", "UNIT", "EPOCH", "CLAIMED", "VERIFIED", "EARNING", "REVENUE", "BURN", "REWARD",
        "SEATS",
    ]);
    for class in &supply.classes {
        let seats = class.auditor_seats.to_string();
        table.row(row(&class.name, &class.unit, &class.running, seats));
        if let Some(past) = &class.past {
            table.row(row(&class.name, &class.unit, past, String::new()));
        }
    }
    let began = relative(supply.epoch_began);
    let text = format!("{table}\nepoch {} began {began}\n", supply.epoch);
    context.output.show(text, &json!(supply))?;
    Ok(0)
}

fn row(name: &str, unit: &str, tally: &Tally, seats: String) -> [String; 10] {
    let Tally { epoch, supply, income, .. } = tally;
    [
        name.to_owned(),
        unit.to_owned(),
        epoch.to_string(),
        count(supply.claimed.get()),
        count(supply.verified.get()),
        count(supply.earning.get()),
        usd(income.revenue),
        usd(income.burn),
        income.reward.to_string(),
        seats,
    ]
}
