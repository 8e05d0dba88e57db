//! What goes on while processes are killed: transfers, orders by the API, jobs by the command.
//!
//! Each job has a program of its own, so that two leases for one job show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use api::{Accepted, Client, ContentError, LeaseFilter, LeaseQuery, SubmitError, Submitter};
use classes::job::{ID, Limits, Spec};
use executors::wasm::specification::METERING_VERSION;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use types::{
    Action, Amount, Asset, AuditTerms, BasisPoints, Blob, ContentHash, Duration as Length, Encode,
    Hash, List, OrderTerms, Readers, SecretKey,
};

use crate::common::{Ended, command_in, ended, patiently};
use crate::counter;

/// The pause between two transfers.
const TRANSFER_EVERY: Duration = Duration::from_millis(30);
/// The pause between two orders, or two looks whether there is room for one.
const ORDER_EVERY: Duration = Duration::from_millis(150);
/// The pause between two commands of one of those that give them.
const COMMAND_EVERY: Duration = Duration::from_millis(100);
/// Orders and leases by the API that are open at a time.
const OPEN_MAX: usize = 4;
/// Who gives commands at the same time.
const COMMANDERS: usize = 2;
/// The longest that everything under way may take to end once the killing is over.
const END_MAX: Duration = Duration::from_secs(180);
/// How long an order may wait, and its lease may run.
const ORDER_LENGTH: Length = Length::from_seconds(900);
/// Steps of the programs: nothing, a little, a second or so.
const STEPS: [u64; 3] = [1_000, 20_000_000, 250_000_000];

/// What is known of what went on.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Everything that the node acknowledged.
    pub(super) acknowledged: Vec<Accepted>,
    /// Micro-USD that were sent with an acknowledgement.
    pub(super) sent: u64,
    /// Submissions of which it is open what became.
    pub(super) open: u64,
    /// The answer that each job must give, by its program.
    pub(super) answers: BTreeMap<ContentHash, String>,
    /// How commands ended, with the answer that each was to bring.
    pub(super) commands: Vec<(Ended, String)>,
    jobs: usize,
}

impl Record {
    /// Returns the next job's program, with the answer that it must give.
    fn job(&mut self) -> (Vec<u8>, String) {
        let kind = STEPS[self.jobs % STEPS.len()];
        self.jobs += 1;
        let steps = kind + u64::try_from(self.jobs).unwrap();
        let (program, answer) = (counter::program(steps), counter::answer(steps));
        self.answers.insert(ContentHash::of(&program), answer.clone());
        (program, answer)
    }

    fn note(&mut self, submitted: Result<Accepted, SubmitError>) -> bool {
        match submitted {
            Ok(accepted) => {
                self.acknowledged.push(accepted);
                true
            }
            Err(SubmitError::Client(error)) if error.is_transient() => {
                self.open += 1;
                false
            }
            Err(error) => panic!("refused: {error}"),
        }
    }
}

/// Who does it, and where.
#[derive(Clone)]
pub(super) struct Parties {
    pub(super) client: Client,
    pub(super) genesis: Hash,
    /// Who pays for transfers and orders.
    pub(super) tenant: Arc<SecretKey>,
    /// Who receives the transfers.
    pub(super) sink: Arc<SecretKey>,
    /// Where the commands have their key.
    pub(super) home: PathBuf,
}

impl Parties {
    fn submitter(&self) -> Submitter {
        Submitter::new(self.client.clone(), Arc::clone(&self.tenant), self.genesis)
    }
}

/// Everything that goes on.
pub(super) struct Traffic {
    record: Arc<Mutex<Record>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// One of those who keep it going.
struct Hand {
    parties: Parties,
    record: Arc<Mutex<Record>>,
    stopped: watch::Receiver<bool>,
}

impl Traffic {
    pub(super) fn begin(parties: &Parties) -> Self {
        let (stop, stopped) = watch::channel(false);
        let record = Arc::new(Mutex::new(Record::default()));
        let mut tasks = JoinSet::new();
        let hand = || Hand {
            parties: parties.clone(),
            record: Arc::clone(&record),
            stopped: stopped.clone(),
        };
        // They share the account and thus the nonces.
        let submitter = parties.submitter();
        tasks.spawn(hand().transfer(submitter.clone()));
        tasks.spawn(hand().order(submitter));
        for number in 0..COMMANDERS {
            tasks.spawn(hand().command(number));
        }
        Self { record, stop, tasks }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    /// Begins nothing new, and waits until what is under way has ended.
    pub(super) async fn end(mut self) -> Record {
        self.stop.send_replace(true);
        let all = async {
            while let Some(task) = self.tasks.join_next().await {
                task.unwrap();
            }
        };
        timeout(END_MAX, all).await.expect("what was under way ends after the last kill");
        std::mem::take(&mut self.record())
    }
}

fn every(pause: Duration) -> Interval {
    let mut tick = interval(pause);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

impl Hand {
    /// Waits for the next turn; returns whether there is one.
    async fn goes_on(&mut self, tick: &mut Interval) -> bool {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => false,
            _ = tick.tick() => true,
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    async fn transfer(mut self, submitter: Submitter) {
        let mut tick = every(TRANSFER_EVERY);
        let (to, amount) = (self.parties.sink.address(), Amount::new(1).unwrap());
        while self.goes_on(&mut tick).await {
            let action = Action::Transfer { to, asset: Asset::Usd, amount };
            let submitted = submitter.submit(action).await;
            let mut record = self.record();
            record.sent += u64::from(record.note(submitted));
        }
    }

    async fn order(mut self, submitter: Submitter) {
        let mut tick = every(ORDER_EVERY);
        while self.goes_on(&mut tick).await {
            if self.open().await >= OPEN_MAX {
                continue;
            }
            let (program, _) = self.record().job();
            let hash = ContentHash::of(&program);
            let Parties { client, genesis, tenant, .. } = &self.parties;
            let store = || async {
                match client.store(tenant, genesis, program.clone()).await {
                    Ok(stored) => Ok(stored),
                    Err(ContentError::Client(error)) => Err(error),
                    Err(error) => panic!("{error}"),
                }
            };
            patiently(store).await.unwrap();
            let action = Action::PlaceOrder(Box::new(order(hash)));
            let submitted = submitter.submit(action).await;
            self.record().note(submitted);
        }
    }

    /// Returns how many orders and leases of the tenant are not over.
    async fn open(&self) -> usize {
        let (client, tenant) = (&self.parties.client, self.parties.tenant.address());
        let query = LeaseQuery {
            tenant: Some(tenant),
            state: Some(LeaseFilter::Open),
            ..LeaseQuery::default()
        };
        let leases = patiently(|| client.leases(&query)).await.unwrap().items.len();
        let orders = patiently(|| client.orders(tenant, None, Some(20))).await.unwrap().items;
        leases + orders.iter().filter(|view| view.open).count()
    }

    async fn command(mut self, number: usize) {
        let mut tick = every(COMMAND_EVERY);
        let file = self.parties.home.join(format!("job-{number}.wasm"));
        while self.goes_on(&mut tick).await {
            let client = &self.parties.client;
            patiently(|| client.network()).await.unwrap();
            let (program, answer) = self.record().job();
            std::fs::write(&file, program).unwrap();
            let mut command = Command::from(command_in(&self.parties.home));
            command.env("IDLEWILD_NODE", client.address()).args(["--json", "run"]).arg(&file);
            let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
            self.record().commands.push((ended(&output), answer));
        }
    }
}

/// Returns an order for a program, for whoever is free.
fn order(program: ContentHash) -> OrderTerms {
    let limits = Limits { fuel: 20_000_000_000, memory_pages: 16, output_bytes: 1 << 16 };
    let spec = Spec {
        metering: METERING_VERSION,
        program,
        input: None,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits,
    };
    OrderTerms {
        class: ID,
        spec: Blob::new(spec.to_bytes()).unwrap(),
        constraint: types::Constraint::default(),
        budget: Amount::new(250_000).unwrap(),
        offers: List::default(),
        audit: AuditTerms {
            probability: BasisPoints::new(10_000).unwrap(),
            auditors: 1,
            readers: Readers::Auditors,
        },
        duration: ORDER_LENGTH,
        expires: api::now().after(ORDER_LENGTH),
    }
}
