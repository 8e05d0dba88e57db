//! The provider agent in this process: its keys, its terms, what it expects to earn.

use std::path::Path;
use std::sync::Arc;

use api::AccountView;
use provider::{Agent, AgentError, Config, Keys, Status};
use serde_json::{Value, json};
use types::{Parameters, Rate, SecretKey, Units};

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::keyring::{Keyring, NewPassphrase};
use crate::network::Network;
use crate::output::{bytes, count, dollars, usd};

/// What follows an account's name in the name of the key with which its agent signs; that key
/// moves no funds.
const NODE_KEY: &str = "-node";

/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

/// Starts an agent that sells as `config` says for the account of the key `name`.
pub(crate) async fn start(
    config: Config,
    keyring: &Keyring,
    name: &str,
    account: SecretKey,
) -> Outcome<Agent> {
    // The agent must start by itself after a crash, so nobody can be asked for a passphrase.
    let node = keyring.load_or_make(&format!("{name}{NODE_KEY}"), NewPassphrase::None)?;
    let keys = Keys { node: Arc::new(node), account: Some(Arc::new(account)) };
    let program = std::env::current_exe().because("cannot find this program's own file")?;
    Agent::start(config, keys, program).await.map_err(explain)
}

fn explain(error: AgentError) -> Failure {
    let hint = error.hint().to_owned();
    Failure::from(error).hint(hint)
}

/// Returns the settings of an agent for the network, with what it must have staked; `name` is that
/// of its account's key.
pub(crate) fn config(
    network: &Network,
    data: &Path,
    name: &str,
    parameters: &Parameters,
    slots: Option<u16>,
) -> Config {
    Config {
        node: network.client.address().to_owned(),
        genesis: Some(network.status.genesis),
        // One directory for each key, so that `provide` can sell beside `up`.
        data: data.join("provider").join(name),
        slots,
        stake: parameters.stake_minimum,
        faucet: network.status.faucet,
        ..Config::default()
    }
}

/// Checks that an account can pay for becoming a provider, so that nobody has to guess why not.
pub(crate) fn check_funds(
    view: &AccountView,
    config: &Config,
    parameters: &Parameters,
    token: bool,
) -> Outcome<()> {
    let missing = config.stake.saturating_minus(view.stake);
    let short_of_stake = token && view.balances.wild < missing;
    let short_of_credits = view.balances.usd < parameters.storage_stake;
    if config.faucet || !(short_of_stake || short_of_credits) {
        return Ok(());
    }
    let mut text = format!("{} lacks what a provider needs:", view.address);
    if short_of_stake {
        text.push_str(&format!(" {missing} wild to stake (it holds {})", view.balances.wild));
    }
    if short_of_credits {
        let (needed, held) = (usd(parameters.storage_stake), usd(view.balances.usd));
        text.push_str(&format!(" {needed} for its offer's place (it holds {held})"));
    }
    Err(Failure::new(Exit::Refused, text)
        .hint(format_args!("have funds sent to {}, then start again", view.address)))
}

/// What a machine may earn, and what it costs to offer it.
#[derive(Debug)]
pub(crate) struct Expectation {
    slots: u16,
    speed: u32,
    rate: Rate,
    /// What a day's work pays, after fees, if every slot is rented all day.
    day_net: types::Amount,
    fee_points: u32,
    parameters: Parameters,
    machine: Value,
    machine_text: String,
}

impl Expectation {
    /// Computes it from the self-test.
    pub(crate) fn of(agent: &Agent, rate: Rate, parameters: Parameters) -> Outcome<Self> {
        let status = agent.status();
        let Status { slots, mfuel_per_second: speed, .. } = *status.borrow();
        let units = u64::from(speed).saturating_mul(u64::from(slots)).saturating_mul(DAY_SECONDS);
        let gross = rate.cost(Units::new(units)?)?;
        let (burn, treasury) = (parameters.burn_share, parameters.treasury_share);
        let fee = burn.ceil_of(gross).saturating_plus(treasury.ceil_of(gross));
        let machine = agent.machine();
        let memory = machine.memory_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        let disk = machine.disk_bytes.map_or_else(|| "unknown".to_owned(), bytes);
        Ok(Self {
            slots,
            speed,
            rate,
            day_net: gross.saturating_minus(fee),
            fee_points: u32::from(burn.get()) + u32::from(treasury.get()),
            parameters,
            machine: json!({
                "cores": machine.cores,
                "architecture": machine.architecture,
                "system": machine.system,
                "processor": machine.processor,
                "memory_bytes": machine.memory_bytes,
                "disk_bytes": machine.disk_bytes,
            }),
            machine_text: format!(
                "{} cores ({}), {memory} memory, {disk} free disk",
                machine.cores, machine.architecture
            ),
        })
    }

    /// Returns it as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "machine": self.machine,
            "slots": self.slots,
            "mfuel_per_second": self.speed,
            "rate": self.rate,
            "day_net_usd_if_fully_rented": dollars(self.day_net),
            "fee_basis_points": self.fee_points,
            "stake": dollars(self.parameters.stake_minimum),
            "storage_stake_usd": dollars(self.parameters.storage_stake),
        })
    }
}

/// The expectation for people.
impl std::fmt::Display for Expectation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let speed = count(self.speed.into());
        writeln!(f, "machine    {}", self.machine_text)?;
        writeln!(f, "self-test  {} slots, {speed} Mfuel/s each, all at work", self.slots)?;
        let rate = count(self.rate.get());
        writeln!(f, "price      {rate} micro-USD a million Mfuel")?;
        writeln!(
            f,
            "earnings   at most {} a day, if every slot is rented all day, after {}.{:02} % fee",
            usd(self.day_net),
            self.fee_points / 100,
            self.fee_points % 100
        )?;
        write!(
            f,
            "costs      {} wild staked, {} locked while the offer stands, and your power",
            self.parameters.stake_minimum,
            usd(self.parameters.storage_stake)
        )
    }
}
