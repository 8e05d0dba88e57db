//! `idlewild offers`

use clap::Args;
use serde_json::json;
use types::{Address, Decode};

use super::Context;
use crate::failure::{Exit, Explain, Outcome};
use crate::output::{Table, bytes, count, relative, short};

/// Show what providers offer, cheapest first
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Those of one provider
    #[arg(long, value_name = "ADDRESS")]
    provider: Option<String>,

    /// How many at most, 1 to 200
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,

    /// Also what each claims of its hardware
    #[arg(long)]
    claims: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let provider: Option<Address> =
        arguments.provider.map(|text| text.parse()).transpose().or_exit(Exit::Usage)?;
    let network = context.network().await?;
    let limit = Some(usize::from(arguments.limit));
    let page = match provider {
        Some(provider) => network.client.offers_of(provider, None, limit).await?,
        None => network.client.offers(classes::job::ID, None, limit).await?,
    };
    let mut table =
        Table::new(&["OFFER", "PROVIDER", "$ / M UNITS", "BUSY", "MEMORY", "MFUEL/S", "ENDS"]);
    let mut claims = String::new();
    for view in &page.items {
        let offer = &view.offer;
        let terms = classes::job::Terms::from_bytes(offer.terms.terms.as_slice()).ok();
        let memory = terms.map_or(0, |terms| u64::from(terms.memory_pages) * 65_536);
        table.row([
            short(offer.id),
            short(offer.provider),
            price(offer.terms.rate),
            format!("{}/{}", view.leased, offer.terms.slots),
            bytes(memory),
            terms.map_or_else(String::new, |terms| count(terms.mfuel_per_second.into())),
            relative(offer.terms.expires),
        ]);
        if arguments.claims {
            claims.push_str(&format!("\n{}\n", offer.id));
            for (key, claim) in offer.terms.claims.iter() {
                claims.push_str(&format!("  {key} = {} @{}\n", claim.value, claim.provenance));
            }
        }
    }
    let text = match page.items.is_empty() {
        true => "no offers\n".to_owned(),
        false => format!("{table}{claims}"),
    };
    context.output.show(text, &json!({ "offers": page.items, "next": page.next }))?;
    Ok(0)
}

/// Returns a rate, micro-USD for a million units, in whole credits.
fn price(rate: types::Rate) -> String {
    format!("${}.{:06}", rate.get() / 1_000_000, rate.get() % 1_000_000)
}
