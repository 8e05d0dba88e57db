//! What runs jobs: a worker process that is replaced when it is lost.

use std::{path::PathBuf, time::Duration};

use executors::worker::{Finished, JobError, Request, Settings, Worker};
use tokio::sync::Mutex;

use crate::cheat;

/// Times that a job that lost its worker is run again, each time on a worker of its own.
const RERUNS_MAX: u32 = 2;
/// What making a program ready may take, and a job beyond its wall-clock time, before its worker is
/// killed.
const GRACE: Duration = Duration::from_secs(120);
/// The wait after a worker that did not start.
const SPAWN_WAIT: Duration = Duration::from_millis(500);
/// Times that a worker is started for one job before the machine is at fault.
const SPAWNS_MAX: u32 = 4;

/// Runs jobs.
pub(crate) trait Runner: Send + Sync + 'static {
    /// Runs a job to its end. Dropping the future cancels it.
    ///
    /// # Errors
    /// [`JobError`] when there is no result.
    fn run(&self, request: Request) -> impl Future<Output = Result<Finished, JobError>> + Send;

    /// Returns the number of the process that runs jobs, while there is one.
    fn process(&self) -> Option<u32>;
}

/// A worker process with a slot for each job, started when it is first needed and again when it
/// was lost.
///
/// Which job made a worker end cannot be known, so every job that was lost with it runs again on a
/// worker of its own: one that ends workers then harms no other. A job that held its worker too
/// long is known, and does not run again.
#[derive(Debug)]
pub(crate) struct Workers {
    settings: Settings,
    /// Whether results are altered.
    alters: bool,
    current: Mutex<Option<Worker>>,
    process: std::sync::Mutex<Option<u32>>,
}

impl Workers {
    /// Takes the program, which runs a worker when its first argument is `__worker`.
    #[must_use]
    pub(crate) fn new(program: PathBuf, slots: u16, content_bytes_max: u64) -> Self {
        let settings = Settings { program, slots, content_bytes_max, grace: GRACE };
        Self {
            settings,
            alters: false,
            current: Mutex::default(),
            process: std::sync::Mutex::default(),
        }
    }

    /// Alters every result, to show that this is found out.
    #[must_use]
    pub(crate) fn altering(self) -> Self {
        Self { alters: true, ..self }
    }

    /// Returns the worker that all jobs share, a new one if the last was lost.
    async fn shared(&self) -> Result<Worker, JobError> {
        let mut current = self.current.lock().await;
        if let Some(worker) = current.as_ref().filter(|worker| !worker.is_lost()) {
            return Ok(worker.clone());
        }
        self.show(None);
        let worker = spawn(&self.settings).await?;
        tracing::info!(process = ?worker.id(), slots = self.settings.slots, "worker started");
        self.show(worker.id());
        *current = Some(worker.clone());
        Ok(worker)
    }

    fn show(&self, process: Option<u32>) {
        *self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = process;
    }
}

async fn spawn(settings: &Settings) -> Result<Worker, JobError> {
    let mut tries = 1;
    loop {
        match Worker::spawn(settings).await {
            Ok(worker) => return Ok(worker),
            Err(error) if tries >= SPAWNS_MAX => {
                return Err(JobError::Aborted(format!("no worker: {}", chain(&error))));
            }
            Err(error) => tracing::warn!("{}", chain(&error)),
        }
        tries += 1;
        tokio::time::sleep(SPAWN_WAIT).await;
    }
}

/// Returns an error's text with those of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Runner for Workers {
    async fn run(&self, request: Request) -> Result<Finished, JobError> {
        let shared = self.shared().await?;
        let mut result = shared.run(request.clone()).await;
        drop(shared);
        let own = Settings { slots: 1, ..self.settings.clone() };
        for _ in 0..RERUNS_MAX {
            if !matches!(result, Err(JobError::WorkerLost)) {
                break;
            }
            tracing::warn!("a job lost its worker and runs again on one of its own");
            result = spawn(&own).await?.run(request.clone()).await;
        }
        if let (true, Ok(finished)) = (self.alters, &mut result) {
            cheat::alter(finished);
        }
        result
    }

    fn process(&self) -> Option<u32> {
        *self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
