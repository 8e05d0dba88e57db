//! The runtime of one node: the world's clock, a disk of its own, and an end of its own.
//!
//! On a real machine a panic in any part of a chain ends the whole node, and no other. So it does
//! here: what runs on a [`Host`] does not take the world with it.

use std::{
    any::Any,
    convert::Infallible,
    fmt,
    future::{Future, pending},
    ops::RangeInclusive,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use commonware_runtime::{
    BlobVersion, Clock, Error, Handle as Task, Metrics, Name, Spawner, Storage, Supervisor,
    deterministic::Context,
    signal::Signal,
    telemetry::metrics::{Metric, Registered},
};
use futures_util::FutureExt as _;
use governor::clock::{Clock as Ticks, ReasonablyRealtime};
use rand_core::{TryCryptoRng, TryRng};
use tokio::sync::Notify;

use crate::{
    disk::{Blob, Disk},
    lock,
};

/// How a node's run ends.
#[derive(Default)]
pub(crate) struct Fate {
    why: Mutex<Option<String>>,
    told: Notify,
}

impl Fate {
    fn tell(&self, why: String) {
        lock(&self.why).get_or_insert(why);
        self.told.notify_one();
    }

    /// Waits until something ends the run, and says what.
    async fn wait(&self) -> String {
        loop {
            if let Some(why) = lock(&self.why).take() {
                return why;
            }
            self.told.notified().await;
        }
    }
}

/// A node's runtime.
pub(crate) struct Host {
    context: Context,
    disk: Arc<Disk>,
    fate: Arc<Fate>,
}

impl Host {
    /// Runs a node until it ends, by itself or in a panic, and returns why it did.
    pub(crate) async fn run<F: Future<Output = String>>(
        context: Context,
        disk: Arc<Disk>,
        node: impl FnOnce(Self) -> F,
    ) -> String {
        let fate = Arc::<Fate>::default();
        let host = Self { context, disk, fate: Arc::clone(&fate) };
        let node = AssertUnwindSafe(async move { node(host).await });
        tokio::select! {
            biased;
            // What else ends is a consequence.
            why = fate.wait() => why,
            ended = node.catch_unwind() => ended.unwrap_or_else(|panic| text_of(&*panic)),
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a panic: {}", text.unwrap_or_else(|| "no reason given".to_owned()))
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Supervisor for Host {
    fn name(&self) -> Name {
        self.context.name()
    }

    fn child(&self, label: &'static str) -> Self {
        let (disk, fate) = (Arc::clone(&self.disk), Arc::clone(&self.fate));
        Self { context: self.context.child(label), disk, fate }
    }

    fn with_attribute(self, key: &'static str, value: impl fmt::Display) -> Self {
        Self { context: self.context.with_attribute(key, value), ..self }
    }
}

impl Spawner for Host {
    fn shared(self, blocking: bool) -> Self {
        Self { context: self.context.shared(blocking), ..self }
    }

    fn dedicated(self) -> Self {
        Self { context: self.context.dedicated(), ..self }
    }

    fn spawn<F, Fut, T>(self, work: F) -> Task<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let Self { context, disk, fate } = self;
        context.spawn(move |context| async move {
            let host = Self { context, disk, fate: Arc::clone(&fate) };
            let work = AssertUnwindSafe(async move { work(host).await });
            match work.catch_unwind().await {
                Ok(done) => done,
                Err(panic) => {
                    fate.tell(text_of(&*panic));
                    pending().await
                }
            }
        })
    }

    fn stop(
        self,
        value: i32,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.context.stop(value, timeout)
    }

    fn stopped(&self) -> Signal {
        self.context.stopped()
    }
}

impl Metrics for Host {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        name: N,
        help: H,
        metric: M,
    ) -> Registered<M> {
        self.context.register(name, help, metric)
    }

    fn encode(&self) -> String {
        self.context.encode()
    }
}

impl Ticks for Host {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        self.context.current()
    }
}

impl ReasonablyRealtime for Host {}

impl Clock for Host {
    fn current(&self) -> SystemTime {
        self.context.current()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.context.sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.context.sleep_until(deadline)
    }
}

impl TryRng for Host {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.context.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.context.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.context.try_fill_bytes(bytes)
    }
}

impl TryCryptoRng for Host {}

impl Storage for Host {
    type Blob = Blob;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Blob, u64, BlobVersion), Error> {
        self.disk.open(&self.context, partition, name, versions).await
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.disk.remove(&self.context, partition, name).await
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.disk.scan(&self.context, partition).await
    }
}
