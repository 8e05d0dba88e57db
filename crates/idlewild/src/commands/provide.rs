//! `idlewild provide`

use std::time::Duration;

use clap::Args;
use provider::{Agent, Config, Status};
use serde_json::json;
use tokio::io::AsyncReadExt;
use types::{Rate, Text};

use super::Context;
use crate::agent::{self, Expectation};
use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::keyring::NewPassphrase;
use crate::output::{Output, plural, usd};
use crate::parse;
use crate::signals::asked_to_end;

/// The longest that is waited for the first offer before the command says how it is doing.
const OFFER_TIMEOUT: Duration = Duration::from_secs(30);

/// Sell this machine's time until Ctrl-C
///
/// Tests the machine, says what it may earn and what that costs, makes it a provider (with the
/// stake that the network asks for, from the faucet where there is one), keeps an offer standing
/// and serves what tenants order. Now and then a beacon draws it to do the work of another provider
/// once more, for the price of that work; what it then finds may cost a cheat its stake, and a
/// false finding its own. Programs of tenants run in a process that has no key and no
/// network. Killed at any time, it goes on where it was when it is started again.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Jobs at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    slots: Option<u16>,

    /// The price: micro-USD for a million Mfuel, at least 200
    #[arg(long, value_name = "RATE", value_parser = parse::count, default_value = "5000")]
    price: u64,

    /// Where this machine is, such as `eu`; tenants may ask for it
    #[arg(long, value_name = "NAME")]
    region: Option<String>,

    /// The most memory of one job [default: by the machine's memory and its slots]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    memory: Option<u64>,

    /// Keep a key that has to be made without a passphrase
    #[arg(long)]
    no_passphrase: bool,

    /// Do not audit the work of others, and earn nothing by it
    #[arg(long)]
    no_audits: bool,

    /// Alter what jobs write, to be found out; loses the stake
    #[arg(long, hide = true)]
    cheat: bool,

    /// End when standard input ends
    #[arg(long, hide = true)]
    tied: bool,
}

/// Returns whether a node's address is this machine's own.
fn is_loopback(node: &str) -> bool {
    ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"]
        .iter()
        .any(|home| node.starts_with(home))
}

impl Arguments {
    fn apply(&self, config: Config) -> Outcome<Config> {
        let region = self.region.clone().map(Text::new).transpose();
        let region = region.because("--region is at most 16 bytes").or_exit(Exit::Usage)?;
        let price = Rate::new(self.price).because("--price is too high").or_exit(Exit::Usage)?;
        let mib = |bytes| u32::try_from(bytes >> 20).unwrap_or(u32::MAX);
        let job_memory_mib = self.memory.map(mib);
        let alters = self.cheat;
        if alters && !is_loopback(&config.node) {
            return Err(Failure::usage("--cheat is for a node on this machine only"));
        }
        let audit = !self.no_audits;
        let mut config = Config { region, price, job_memory_mib, audit, alters, ..config };
        if self.tied {
            // Whoever holds the other end is gone, and the node with it: there is nobody to hand
            // anything to.
            config.drain_seconds = 0;
            config.retire_on_stop = false;
        }
        config.validate().or_exit(Exit::Usage)?;
        Ok(config)
    }
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let settings = &context.settings;
    let keyring = context.keyring()?;
    let network = context.network().await?;
    let parameters = network.client.parameters().await?;
    let config =
        agent::config(&network, &settings.data, &settings.key, &parameters, arguments.slots);
    let config = arguments.apply(config)?;
    let passphrase =
        if arguments.no_passphrase { NewPassphrase::None } else { NewPassphrase::Wanted };
    let account = keyring.load_or_make(&settings.key, passphrase)?;
    network.name_unless_joined(settings, context.output);
    let view = network.client.account(account.address()).await?;
    agent::check_funds(&view, &config, &parameters, network.status.token)?;

    let output = context.output;
    output.say("testing this machine …");
    let rate = config.price;
    let agent = tokio::select! {
        agent = agent::start(config, &keyring, &settings.key, account) => agent?,
        () = end_asked(arguments.tied) => return Ok(0),
    };
    let expectation = Expectation::of(&agent, rate, parameters)?;
    output.say(&expectation);
    let end = serve(output, &agent, arguments.tied).await;
    let status = agent.status();
    output.say("stopping: jobs and audits under way may end …; Ctrl-C again does not wait");
    tokio::select! {
        () = agent.stop() => {}
        // What is under way is on disk, and the next start takes it up.
        () = asked_to_end() => output.warn("something was under way; start again soon"),
    }
    let status = status.borrow().clone();
    let text = format!("{}\n", sum(&status));
    let value = json!({ "expected": expectation.to_json(), "status": status });
    context.output.show(text, &value)?;
    end.map(|()| 0)
}

/// Reports on the agent until it is to end.
async fn serve(output: Output, agent: &Agent, tied: bool) -> Outcome<()> {
    let mut status = agent.status();
    let provider = agent.provider();
    let offered = async { status.wait_for(|status| status.offers > 0).await.is_ok() };
    tokio::select! {
        offered = tokio::time::timeout(OFFER_TIMEOUT, offered) => match offered {
            Ok(_) => output.say(format_args!("selling as {provider}; Ctrl-C stops")),
            Err(_) => output.warn("the offer does not stand yet; still trying"),
        },
        () = end_asked(tied) => return Ok(()),
    }
    tokio::select! {
        () = report(output, agent.status()) => Ok(()),
        () = end_asked(tied) => Ok(()),
    }
}

/// Returns what was done and earned so far.
fn sum(status: &Status) -> String {
    let plural = |count, name| plural(usize::try_from(count).unwrap_or(usize::MAX), name);
    let earned = status.earned_pending.saturating_plus(status.earned_released);
    format!(
        "{} done for {}, {} of others' work",
        plural(status.done, "job"),
        usd(earned),
        plural(status.audited, "audit")
    )
}

/// Says what changes: jobs that are done, and what is wrong. Ends with the agent.
async fn report(output: Output, mut status: tokio::sync::watch::Receiver<Status>) {
    let mut last = status.borrow().clone();
    while status.changed().await.is_ok() {
        let now = status.borrow_and_update().clone();
        if (now.done, now.audited) != (last.done, last.audited) {
            output.say(format_args!("{}, {} running", sum(&now), now.serving));
        }
        match &now.problem {
            Some(problem) if now.problem != last.problem => output.warn(problem),
            _ => {}
        }
        last = now;
    }
}

/// Waits for a request to end, or for the end of standard input where this process is tied to
/// another.
async fn end_asked(tied: bool) {
    let ended = async {
        if !tied {
            return std::future::pending().await;
        }
        let mut byte = [0];
        // Whatever comes is ignored; an error is as good as the end.
        while matches!(tokio::io::stdin().read(&mut byte).await, Ok(count) if count > 0) {}
    };
    tokio::select! {
        () = asked_to_end() => {}
        () = ended => {}
    }
}
