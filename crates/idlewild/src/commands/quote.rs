//! `idlewild quote`

use clap::Args;
use serde_json::{Value, json};
use types::Amount;

use super::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::jobs::{Market, ask_for_quote, order_terms};
use crate::output::{Table, count, dollars, one_line, plural, short, usd};
use crate::request::{JobArguments, Stdin};

/// Ask who could run a job now, for how much, and why others could not
///
/// Nothing is sent but the job's limits and demands; nothing is ordered. The prices are the most
/// that a job can cost, when it uses up its fuel. Of dearer ones than `run` would take without
/// --max-price, a line says so.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    job: JobArguments,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let request = arguments.job.request(Stdin::Left)?;
    let names = request.contents.names_of_bytes()?;
    let spec = request.specs(&names)?.into_iter().next().expect("a request is at least one job");
    let network = context.network().await?;
    let terms = &request.terms;
    let most = terms.max_price.unwrap_or(Amount::MAX);
    let order = order_terms(&spec, terms, terms.duration, most, Vec::new())?;
    let quote = ask_for_quote(&network.client, &order).await?;
    let market = Market::look(&network.client, &order, terms.max_price, quote).await?;
    let quote = &market.quote;
    let units = classes::job::units_of_fuel(spec.limits.fuel);

    let mut table = Table::new(&["OFFER", "PROVIDER", "AT MOST", "PREMIUM"]);
    let mut offers: Vec<Value> = Vec::new();
    for offer in &quote.offers {
        let (price, premium) = (usd(offer.price), usd(offer.premium));
        table.row([short(offer.offer), offer.provider.to_string(), price, premium]);
        offers.push(json!({
            "offer": offer.offer,
            "provider": offer.provider,
            "price_usd": dollars(offer.price),
            "premium_usd": dollars(offer.premium),
        }));
    }
    let mut text = match quote.offers.is_empty() {
        true => String::new(),
        false => format!("{table}\n"),
    };
    text.push_str(&format!(
        "{} examined for a job of at most {} Mfuel\n",
        plural(usize::try_from(quote.examined).unwrap_or(usize::MAX), "offer"),
        count(units.get())
    ));
    for exclusion in &quote.excluded {
        text.push_str(&format!(
            "{} excluded: {}\n",
            count(exclusion.offers.into()),
            one_line(&exclusion.reason)
        ));
    }
    if let (Some(reach), Some(_)) = (market.reach(), market.beyond_reach()) {
        text.push_str(&format!("without --max-price, `run` pays at most {}\n", usd(reach)));
    }
    let value = json!({
        "units_max": units,
        "reach_usd": market.reach().map(dollars),
        "jobs": request.count(),
        "offers": offers,
        "excluded": quote.excluded,
        "examined": quote.examined,
    });
    context.output.show(text, &value)?;
    if quote.offers.is_empty() {
        // The answer is shown either way; the exit code is for scripts.
        context.output.say(
            Failure::new(Exit::NoProvider, "no provider can take the job now")
                .hint("ask for less with --require, --memory or --fuel, or pay more"),
        );
        return Ok(Exit::NoProvider as u8);
    }
    Ok(0)
}
