//! The agent from the outside: started with a configuration and keys, watched, stopped.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use api::{AccountView, Client, ClientError, NetworkStatus, SubmitError, Submitter};
use classes::job::{self, Terms};
use executors::{wasm::specification::METERING_VERSION, worker::JobError};
use thiserror::Error;
use tokio::{
    sync::{Mutex, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, timeout_at},
};
use types::{
    Action, Address, AuditorTerms, Blob, Encode, Hash, NodeKeyConsent, Parameters, SecretKey,
};

use crate::{
    actor::{Actor, Drain},
    auditor::Auditing,
    backoff::Backoff,
    config::{Config, ConfigError, Share, mib},
    detect::Machine,
    disk,
    journal::Journal,
    market::NodeMarket,
    offers::Wanted,
    plan::Policy,
    recheck::Recheck,
    results::Results,
    runner::{Workers, chain},
    selftest,
    seller::Seller,
    status::Status,
    store::Store,
};

/// How long after a lease's end its record goes, whatever the ledger says.
const RECORD_AGE_MAX: types::Duration = types::Duration::from_seconds(90 * 24 * 3600);
/// How often a resting lease is looked up.
const KEEP_INTERVAL: types::Duration = types::Duration::from_seconds(600);
/// The least time that a lease must have left to be taken.
const TIME_LEFT_MIN: types::Duration = types::Duration::from_seconds(1);

/// The keys of a provider.
#[derive(Debug)]
pub struct Keys {
    /// The key of this machine, which signs offers, starts and receipts and moves no funds.
    pub node: Arc<SecretKey>,
    /// The key of the account that earns; needed to become a provider and to stake.
    pub account: Option<Arc<SecretKey>>,
}

/// Why an agent does not start.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node's address or answer is wrong.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The node serves another network.
    #[error("the node serves network {found}, not {wanted}")]
    Network {
        /// The genesis of the node's network.
        found: Hash,
        /// The genesis that the configuration pins.
        wanted: Hash,
    },
    /// The data directory cannot be used.
    #[error("{path} cannot be used")]
    Data {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another agent uses the data directory.
    #[error("another agent uses {0}")]
    InUse(PathBuf),
    /// Programs of tenants cannot be shut in on this system.
    #[error("programs of tenants cannot be shut in on {0}")]
    NoSandbox(&'static str),
    /// The worker failed the self-test.
    #[error("the self-test failed")]
    SelfTest(#[from] JobError),
    /// The node key is not registered, and the account's key is not there to do it.
    #[error("this machine's node key {0} belongs to no provider")]
    NotRegistered(Address),
    /// The account has another node key, or the node key another account.
    #[error("account {account} and node key {node} belong to different providers")]
    OtherProvider {
        /// The account.
        account: Address,
        /// The node key's address.
        node: Address,
    },
    /// The ledger refused what is needed to become a provider.
    #[error("{what} was refused")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Why.
        source: SubmitError,
    },
}

impl AgentError {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Config(_) => "correct the configuration",
            Self::Client(error) => error.hint(),
            Self::Network { .. } => "connect to a node of the right network, or join this one",
            Self::Data { .. } => "check the directory's permissions and free space",
            Self::InUse(_) => "stop the other agent, or give this one a directory of its own",
            Self::NoSandbox(_) => "sell a machine that runs Linux; ordering works everywhere",
            Self::SelfTest(_) => "check the log: the worker process says why it ended",
            Self::NotRegistered(_) => "start once with the key of the account that shall earn",
            Self::OtherProvider { .. } => {
                "use the keys that belong together, or rotate the account's node key"
            }
            Self::Refused { source, .. } => match source {
                SubmitError::Client(error) => error.hint(),
                SubmitError::Refused(_) => "fund the account, then start again",
            },
        }
    }
}

/// A running agent. Dropped, it stops at once and leaves its work to the next start.
#[derive(Debug)]
pub struct Agent {
    provider: Address,
    machine: Machine,
    status: watch::Receiver<Status>,
    stop: oneshot::Sender<Drain>,
    drain: Drain,
    auditing: Option<Arc<Auditing<NodeMarket, Workers>>>,
    task: JoinHandle<()>,
}

impl Agent {
    /// Sets everything up and starts to sell: measures a slot, waits for the node, becomes a
    /// provider if it is none, resumes leases. `program` runs a worker when its first argument is
    /// `__worker`.
    ///
    /// # Errors
    /// [`AgentError`]; a node that is merely away is waited for.
    pub async fn start(config: Config, keys: Keys, program: PathBuf) -> Result<Self, AgentError> {
        config.validate()?;
        check_sandbox(std::env::consts::OS)?;
        let (client, network) = connect(&config).await?;
        let directory = config.data.join(&network.genesis.to_string()[..16]);
        let on_data = |source: io::Error| AgentError::Data { path: directory.clone(), source };
        let lock = claim(&directory)?;
        let machine = Machine::detect(&directory);
        let share = config.share(&machine);
        let cache_bytes = mib(config.worker_cache_mib);
        let workers = Workers::new(program.clone(), share.slots, cache_bytes);
        let workers = if config.alters { workers.altering() } else { workers };
        let speed = selftest::measure(&workers, share.slots).await?;
        tracing::info!(mfuel_per_second = speed, slots = share.slots, "self-test passed");
        let parameters = patiently(|| client.parameters()).await?;
        let provider = Setup { client: &client, network: &network, config: &config }
            .register(&keys, &parameters)
            .await?;
        let results_bytes = config.results_bytes(share);
        let (inputs, free_min) =
            (directory.join("inputs"), disk::FREE_BYTES_MIN.saturating_add(results_bytes));
        let store = Store::open(inputs, mib(config.cache_mib), free_min).map_err(on_data)?;
        let (journal, records) = Journal::open(directory.join("journal")).map_err(on_data)?;
        let results =
            Results::open(directory.join("results"), results_bytes, &records).map_err(on_data)?;
        let store = Arc::new(store);
        let node_key = Arc::clone(&keys.node);
        let market = Arc::new(NodeMarket::new(client, node_key, network.genesis, provider));
        let seller = Seller {
            market: Arc::clone(&market),
            runner: workers,
            store: Arc::clone(&store),
            results: Arc::new(results),
            journal: Arc::new(journal),
            key: Arc::clone(&keys.node),
            genesis: network.genesis,
            input_bytes_max: share.input_bytes,
            left: Mutex::default(),
        };
        let (shown, status) = watch::channel(Status::new(provider, share.slots, speed));
        let wanted = wanted(&config, &machine, share, speed, &parameters);
        let auditing = match config.audit {
            true => {
                let runner = Workers::new(program, 1, cache_bytes);
                let input_bytes_max = share.input_bytes.min(job::CHECKED_INPUT_BYTES_MAX);
                let recheck = Recheck { market, runner, store, input_bytes_max };
                let journal = Journal::open(directory.join("audits")).map_err(on_data)?;
                let terms = auditor_terms(&wanted);
                Some(Arc::new(Auditing::new(recheck, journal, provider, terms, shown.clone())))
            }
            false => None,
        };
        let policy = policy(&config, provider, &keys, share, &parameters);
        let (actor, inbox) = Actor::new(seller, policy, wanted, records, shown);
        let (stop, stopped) = oneshot::channel();
        let list_every = Duration::from_millis(config.list_ms.into());
        let audited = auditing.clone();
        let task = tokio::spawn(async move {
            let mut audits = JoinSet::new();
            if let Some(auditing) = &audited {
                audits.spawn(Arc::clone(auditing).run(list_every));
            }
            let until = actor.run(inbox, list_every, stopped).await;
            drain_audits(audited, until).await;
            audits.shutdown().await;
            drop(lock);
        });
        Ok(Self { provider, machine, status, stop, drain: drain(&config), auditing, task })
    }

    /// Returns the account that earns.
    #[must_use]
    pub const fn provider(&self) -> Address {
        self.provider
    }

    /// Returns what this machine is.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Returns how the agent is doing, now and whenever that changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Stops: takes nothing new, takes offers down and lets work end as configured. What does not
    /// end in time is resumed by the next start.
    pub async fn stop(self) {
        if let Some(auditing) = self.auditing.filter(|_| self.drain.retire) {
            auditing.leave().await;
        }
        // An agent that ended by itself has nothing left to stop.
        let _ = self.stop.send(self.drain);
        if let Err(error) = self.task.await {
            tracing::error!("the agent failed: {error}");
        }
    }
}

/// Returns the node, and the network behind it, which must be the one that is wanted.
async fn connect(config: &Config) -> Result<(Client, NetworkStatus), AgentError> {
    let client = Client::new(&config.node)?;
    let network = patiently(|| client.network()).await?;
    match config.genesis.filter(|wanted| *wanted != network.genesis) {
        Some(wanted) => Err(AgentError::Network { found: network.genesis, wanted }),
        None => Ok((client, network)),
    }
}

/// Takes a directory for this agent, as long as what is returned lives.
fn claim(directory: &Path) -> Result<File, AgentError> {
    let on_data = |source| AgentError::Data { path: directory.to_owned(), source };
    disk::create_directory(directory).map_err(on_data)?;
    disk::lock(directory).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => AgentError::InUse(directory.to_owned()),
        _ => on_data(error),
    })
}

/// Waits until there is nothing left to audit, at most until the drain is over.
async fn drain_audits(auditing: Option<Arc<Auditing<NodeMarket, Workers>>>, until: Instant) {
    if let Some(auditing) = auditing
        && Instant::now() < until
        && timeout_at(until, auditing.drained()).await.is_err()
    {
        tracing::warn!("audits are left; start again soon, or lose your seats for a while");
    }
}

fn drain(config: &Config) -> Drain {
    let patience = Duration::from_secs(config.drain_seconds.into());
    Drain { retire: config.retire_on_stop, patience }
}

/// Checks that workers can shut themselves in on a system.
fn check_sandbox(system: &'static str) -> Result<(), AgentError> {
    // What is left of the worker's walls elsewhere is a process of its own, with the files and the
    // network of whoever runs it.
    if system == "linux" { Ok(()) } else { Err(AgentError::NoSandbox(system)) }
}

fn wanted(
    config: &Config,
    machine: &Machine,
    share: Share,
    speed: u32,
    parameters: &Parameters,
) -> Wanted {
    let lifetime = types::Duration::from_seconds(config.offer_seconds.into());
    Wanted {
        terms: Terms {
            metering: METERING_VERSION,
            mfuel_per_second: speed,
            memory_pages: share.memory_pages,
            output_bytes: share.output_bytes,
        },
        claims: machine.claims(config.region.as_ref().map(types::Text::as_str), api::now()),
        rate: config.price,
        minimum: config.minimum.max(parameters.receipt_minimum),
        slots: share.slots.into(),
        // The node's clock may be a little behind this one's.
        lifetime: lifetime.min(types::Duration::from_ms(parameters.market_horizon_ms.as_ms() / 2)),
    }
}

fn auditor_terms(wanted: &Wanted) -> AuditorTerms {
    let terms = Blob::new(wanted.terms.to_bytes()).expect("a job's terms are under 32 bytes");
    AuditorTerms { class: classes::job::ID, terms }
}

fn policy(
    config: &Config,
    provider: Address,
    keys: &Keys,
    share: Share,
    parameters: &Parameters,
) -> Policy {
    Policy {
        provider,
        node_key: keys.node.public(),
        slots: share.slots.into(),
        accepting: true,
        memory_pages_max: share.memory_pages,
        output_bytes_max: share.output_bytes,
        time_left_min: TIME_LEFT_MIN,
        look_interval: types::Duration::from_ms(config.list_ms.into()),
        keep_interval: KEEP_INTERVAL,
        keep_after: types::Duration::from_seconds(config.keep_seconds.into()),
        record_age_max: RECORD_AGE_MAX,
        reclaim_notice: parameters.reclaim_notice_ms,
    }
}

/// What it takes to become a provider.
struct Setup<'a> {
    client: &'a Client,
    network: &'a NetworkStatus,
    config: &'a Config,
}

impl Setup<'_> {
    /// Returns the provider that the node key acts for, registered and staked as configured.
    async fn register(&self, keys: &Keys, parameters: &Parameters) -> Result<Address, AgentError> {
        let node = keys.node.address();
        let known = patiently(|| self.client.account(node)).await?.node_key_of;
        let Some(account_key) = &keys.account else {
            return known.ok_or(AgentError::NotRegistered(node));
        };
        let account = account_key.address();
        if known.is_some_and(|provider| provider != account) {
            return Err(AgentError::OtherProvider { account, node });
        }
        let view = self.fund(account, parameters).await?;
        let submitter =
            Submitter::new(self.client.clone(), Arc::clone(account_key), self.network.genesis);
        match view.provider {
            Some(provider) if provider.node_key == keys.node.public() => {}
            Some(_) => return Err(AgentError::OtherProvider { account, node }),
            None => {
                let consent = NodeKeyConsent { provider: account };
                let consent = keys.node.sign(&self.network.genesis, &consent);
                let action = Action::Register { node_key: keys.node.public(), consent };
                self.ask(&submitter, "registering as a provider", action).await?;
                tracing::info!(provider = %account, %node, "registered");
            }
        }
        let missing = self.config.stake.saturating_minus(view.stake);
        if self.network.token && !missing.is_zero() {
            self.ask(&submitter, "staking", Action::Stake { amount: missing }).await?;
            tracing::info!(amount = %missing, "staked");
        }
        Ok(account)
    }

    /// Returns the account, with funds from the faucet if it needs any and that is configured.
    async fn fund(
        &self,
        account: Address,
        parameters: &Parameters,
    ) -> Result<AccountView, AgentError> {
        let view = patiently(|| self.client.account(account)).await?;
        let short = view.account.is_none()
            || (view.provider.is_none() && view.balances.usd < parameters.storage_stake);
        if !(short && self.config.faucet && self.network.faucet) {
            return Ok(view);
        }
        let grant = patiently(|| self.client.faucet(account)).await?;
        tracing::info!(usd = %grant.funds.usd, wild = %grant.funds.wild, "the faucet gave funds");
        Ok(patiently(|| self.client.account(account)).await?)
    }

    async fn ask(
        &self,
        submitter: &Submitter,
        what: &'static str,
        action: Action,
    ) -> Result<(), AgentError> {
        let mut backoff = Backoff::new();
        loop {
            match submitter.submit(action.clone()).await {
                Ok(_) => return Ok(()),
                Err(SubmitError::Client(error)) if error.is_transient() => {
                    tracing::warn!("waiting for the node: {}", chain(&error));
                }
                Err(source) => return Err(AgentError::Refused { what, source }),
            }
            backoff.wait().await;
        }
    }
}

/// Asks until the node answers.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut backoff = Backoff::new();
    loop {
        match ask().await {
            Err(error) if error.is_transient() => {
                tracing::warn!("waiting for the node: {}", chain(&error));
            }
            result => return result,
        }
        backoff.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_programs_are_run_only_where_they_are_shut_in() {
        assert!(check_sandbox("linux").is_ok());
        for system in ["macos", "windows", "freebsd", "android"] {
            let error = check_sandbox(system).unwrap_err();
            assert!(error.to_string().contains(system) && error.hint().contains("Linux"));
        }
    }
}
