//! Auditors and validators of the simulation, each in a directory of its own, which outlives it.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use executors::{
    wasm::EngineKind,
    worker::{Finished, JobError, Request},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use types::Manifest;

use super::world::{Net, PATIENCE, Party, SimulatedMarket, VALIDATORS, auditor_terms, pass, work};
use crate::{
    auditor::Auditing, journal::Journal, judge::Judging, recheck::Recheck, runner::Runner,
    status::Status, store::Store,
};

/// How often parties look, besides when something happens.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The inputs that each machine has memory for, in bytes.
pub(super) const INPUT_BYTES_MAX: u64 = 100;

/// How a machine does work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Machine {
    #[default]
    Right,
    /// One of its engines is broken.
    Broken(EngineKind),
    /// Its interpreter is lost with its worker.
    Crashing,
    /// It cannot do anything.
    Failing,
    /// Its interpreter does not come to an end.
    Slow,
    /// Nothing comes to an end on it.
    Hanging,
}

/// Does work as a machine of its kind does.
#[derive(Debug)]
pub(super) struct SimulatedRunner {
    machine: Machine,
    runs: watch::Sender<u64>,
    /// Work that is under way has one each.
    at_work: Arc<()>,
    /// The most of it at a time.
    at_once: watch::Sender<usize>,
}

impl Runner for SimulatedRunner {
    async fn run(&self, request: Request) -> Result<Finished, JobError> {
        let _at_work = Arc::clone(&self.at_work);
        let now = Arc::strong_count(&self.at_work) - 1;
        self.at_once.send_modify(|most| *most = now.max(*most));
        self.runs.send_modify(|runs| *runs += 1);
        assert!(request.contents.contains_key(&request.spec.program));
        let takes = match request.engine {
            EngineKind::Compiler => Duration::from_secs(1),
            EngineKind::Interpreter => Duration::from_secs(4),
        };
        let is_endless = match (self.machine, request.engine) {
            (Machine::Failing, _) => return Err(JobError::Aborted("no memory".to_owned())),
            (Machine::Crashing, EngineKind::Interpreter) => return Err(JobError::WorkerLost),
            (Machine::Hanging, _) | (Machine::Slow, EngineKind::Interpreter) => true,
            _ => false,
        };
        if is_endless || takes > request.wall {
            pass(request.wall).await;
            return Err(JobError::TimedOut);
        }
        pass(takes).await;
        let broken = match self.machine {
            Machine::Broken(engine) => Some(engine).filter(|engine| *engine == request.engine),
            _ => None,
        };
        let (usage, trace_root) = work(&request.spec, broken);
        Ok(Finished {
            usage,
            trace_root,
            manifest: Manifest::default(),
            contents: std::collections::BTreeMap::new(),
            guest: takes,
            unrunnable: None,
        })
    }

    fn process(&self) -> Option<u32> {
        None
    }
}

/// A party that can be killed and started again.
pub(super) struct Agent {
    net: Arc<Net>,
    pub(super) party: Party,
    machine: Machine,
    directory: TempDir,
    runs: watch::Sender<u64>,
    at_once: watch::Sender<usize>,
    task: Option<JoinHandle<()>>,
    pub(super) auditing: Option<Arc<Auditing<SimulatedMarket, SimulatedRunner>>>,
}

impl Agent {
    pub(super) fn start(net: &Arc<Net>, party: Party, machine: Machine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut agent = Self {
            net: Arc::clone(net),
            party,
            machine,
            directory,
            runs: watch::Sender::new(0),
            at_once: watch::Sender::new(0),
            task: None,
            auditing: None,
        };
        agent.resume();
        agent
    }

    /// Starts it, on what it left in its directory.
    pub(super) fn resume(&mut self) {
        let path = self.directory.path();
        let recheck = Recheck {
            market: Arc::new(self.net.market(self.party)),
            runner: SimulatedRunner {
                machine: self.machine,
                runs: self.runs.clone(),
                at_work: Arc::new(()),
                at_once: self.at_once.clone(),
            },
            store: Arc::new(Store::open(path.join("inputs"), 1 << 20, 0).unwrap()),
            input_bytes_max: INPUT_BYTES_MAX,
        };
        self.task = Some(if VALIDATORS.contains(&self.party) {
            let judging = Judging::new(recheck, self.party.public());
            tokio::spawn(Arc::new(judging).run())
        } else {
            let auditing = Arc::new(auditing(recheck, self.party, path));
            self.auditing = Some(Arc::clone(&auditing));
            tokio::spawn(auditing.run(LOOK_EVERY))
        });
    }

    /// Ends it as `kill -9` does.
    pub(super) async fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        self.auditing = None;
    }

    /// Returns the leases of which it has something on disk.
    pub(super) fn kept(&self) -> usize {
        let audits = self.directory.path().join("audits");
        std::fs::read_dir(audits).map_or(0, Iterator::count)
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn runs(&self) -> u64 {
        *self.runs.borrow()
    }

    /// Returns how much work its machine had at a time at most.
    pub(super) fn at_once(&self) -> usize {
        *self.at_once.borrow()
    }

    /// Waits until its machine has done so much.
    pub(super) async fn ran(&self, runs: u64) {
        let mut done = self.runs.subscribe();
        let ran = timeout(PATIENCE, done.wait_for(|done| *done >= runs)).await;
        assert!(ran.is_ok(), "it does no work");
    }
}

fn auditing(
    recheck: Recheck<SimulatedMarket, SimulatedRunner>,
    party: Party,
    path: &Path,
) -> Auditing<SimulatedMarket, SimulatedRunner> {
    let (journal, records) = Journal::open(path.join("audits")).unwrap();
    let status = watch::Sender::new(Status::new(party.address(), 1, 1));
    Auditing::new(recheck, (journal, records), party.address(), auditor_terms(), status)
}

/// Starts parties on machines that are right.
pub(super) fn start_all(net: &Arc<Net>, parties: &[Party]) -> Vec<Agent> {
    let distinct: BTreeSet<&Party> = parties.iter().collect();
    assert_eq!(distinct.len(), parties.len());
    parties.iter().map(|party| Agent::start(net, *party, Machine::Right)).collect()
}
