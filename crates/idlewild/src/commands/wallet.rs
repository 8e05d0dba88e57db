//! `idlewild wallet`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use types::{Action, Address, Amount, Asset};

use super::Context;
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::output::{Table, dollars, relative, usd};
use crate::parse;

/// Show and move funds
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what an account holds, and how to get more [default]
    Balance {
        /// The account [default: that of the key]
        #[arg(value_name = "ADDRESS")]
        address: Option<String>,
    },
    /// Send funds to another account
    Send {
        /// Who receives
        #[arg(value_name = "ADDRESS")]
        to: String,
        /// How much, in whole credits
        #[arg(value_parser = parse::money)]
        amount: Amount,
        /// Of what
        #[arg(long, value_enum, default_value_t = Money::Usd)]
        asset: Money,
    },
    /// Show what happened to an account, newest first
    History {
        /// The account [default: that of the key]
        #[arg(value_name = "ADDRESS")]
        address: Option<String>,
        /// How many events at most, 1 to 200
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
    /// Ask the network's faucet for funds to try things with
    Faucet,
}

/// What money is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Money {
    /// Prepaid credits
    Usd,
    /// The token
    Wild,
}

impl From<Money> for Asset {
    fn from(money: Money) -> Self {
        match money {
            Money::Usd => Self::Usd,
            Money::Wild => Self::Wild,
        }
    }
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match arguments.command.unwrap_or(Command::Balance { address: None }) {
        Command::Balance { address } => balance(context, address).await,
        Command::Send { to, amount, asset } => send(context, &to, amount, asset.into()).await,
        Command::History { address, limit } => history(context, address, limit).await,
        Command::Faucet => faucet(context).await,
    }
}

fn whose(context: &Context, address: Option<String>) -> Outcome<Address> {
    match address {
        Some(text) => parse_address(&text),
        None => context.address(),
    }
}

fn parse_address(text: &str) -> Outcome<Address> {
    text.parse().or_exit(Exit::Usage)
}

async fn balance(context: &Context, address: Option<String>) -> Outcome<u8> {
    let address = whose(context, address)?;
    let network = context.network().await?;
    let view = network.client.account(address).await?;
    let mut text = format!("{address}\n  usd   {}\n", usd(view.balances.usd));
    if network.status.token {
        text.push_str(&format!("  wild  {}\n  stake {}\n", view.balances.wild, view.stake));
    }
    for unbonding in &view.unbondings {
        let until = relative(unbonding.until);
        text.push_str(&format!("  stake on its way back: {}, {until}\n", unbonding.amount));
    }
    if view.balances.usd.is_zero() {
        context.output.say(if network.status.faucet {
            "hint: `idlewild wallet faucet` asks this network for funds".to_owned()
        } else {
            format!("hint: ask an issuer of the network to send credits to {address}")
        });
    }
    let value = json!({
        "address": address,
        "usd": dollars(view.balances.usd),
        "wild": dollars(view.balances.wild),
        "stake": dollars(view.stake),
        "account": view,
    });
    context.output.show(text, &value)?;
    Ok(0)
}

async fn send(context: &Context, to: &str, amount: Amount, asset: Asset) -> Outcome<u8> {
    let to = parse_address(to)?;
    if amount.is_zero() {
        return Err(Failure::usage("the amount is zero"));
    }
    let (_, signer) = context.signer().await?;
    let sent = signer.submitter.submit(Action::Transfer { to, asset, amount }).await;
    let sent = sent.because(format_args!("cannot send {amount} {asset}"))?;
    let value = json!({ "transaction": sent.id, "height": sent.height, "to": to });
    context.output.show(format_args!("{}\n", sent.id), &value)?;
    context.output.say(format_args!("sent {amount} {asset} to {to} in block {}", sent.height));
    Ok(0)
}

async fn history(context: &Context, address: Option<String>, limit: u16) -> Outcome<u8> {
    let address = whose(context, address)?;
    let network = context.network().await?;
    let limit = Some(usize::from(limit));
    let page = network.client.account_history(address, None, limit).await?;
    let mut table = Table::new(&["PLACE", "WHEN", "WHAT", "DETAILS"]);
    for record in &page.items {
        let value = serde_json::to_value(&record.event).because("an event is not JSON")?;
        let what = value.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
        let when = relative(record.time);
        table.row([record.id.to_string(), when, what, details(&value)]);
    }
    let value = json!({ "address": address, "events": page.items, "next": page.next });
    context.output.show(table, &value)?;
    Ok(0)
}

/// The shortest text that is taken for the name of something, of which the beginning will do.
const NAME_LENGTH_MIN: usize = 32;

/// What in events counts micro units of an asset.
const MONEY: [&str; 3] = ["amount", "budget", "escrow"];

fn amount(micro: &Value) -> Option<Amount> {
    Amount::new(micro.as_u64()?).ok()
}

/// Returns what of an event is a plain value, in short.
fn details(event: &Value) -> String {
    let mut parts = Vec::new();
    for (name, value) in event.as_object().into_iter().flatten() {
        match value {
            _ if name == "event" => {}
            Value::String(text) if text.len() >= NAME_LENGTH_MIN => {
                let cut: String = text.chars().take(12).collect();
                parts.push(format!("{name}={cut}"));
            }
            Value::String(text) => parts.push(format!("{name}={text}")),
            Value::Number(number) => {
                let money = MONEY.contains(&name.as_str()).then(|| amount(value)).flatten();
                parts.push(match money {
                    Some(money) => format!("{name}={money}"),
                    None => format!("{name}={number}"),
                });
            }
            Value::Object(settled) => {
                if let Some(paid) = settled.get("gross").and_then(amount) {
                    parts.push(format!("paid={paid}"));
                }
            }
            _ => {}
        }
    }
    parts.join(" ")
}

async fn faucet(context: &Context) -> Outcome<u8> {
    let address = context.address()?;
    let network = context.network().await?;
    let grant = network.client.faucet(address).await.because("the faucet gave nothing")?;
    let text = format!("{} usd, {} wild\n", grant.funds.usd, grant.funds.wild);
    context.output.show(text, &json!({ "address": address, "grant": grant }))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_leave_out_what_is_nested() {
        let lease = "0123456789abcdef".repeat(4);
        let event = json!({ "event": "x", "lease": lease, "n": 3, "deep": {} });
        assert_eq!(details(&event), "lease=0123456789ab n=3");
    }

    #[test]
    fn details_have_money_in_whole_units_and_words_in_full() {
        let settlement = json!({ "gross": 1_543, "units": 37 });
        let event = json!({ "reason": "provider/completed", "settlement": settlement });
        assert_eq!(details(&event), "reason=provider/completed paid=0.001543");
        assert_eq!(details(&json!({ "amount": 100_000_000 })), "amount=100.000000");
    }
}
