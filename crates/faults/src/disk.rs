//! The disk of one node, which fails while it is sick.
//!
//! It fails as disks do: of a write that is refused a part may be there, and after a sync that is
//! refused the file's later syncs say that all is well though nothing is, until it is opened anew.

use std::{
    io,
    ops::RangeInclusive,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use commonware_runtime::{
    BlobVersion, Error, Handle, IoBufs, IoBufsMut, ReadOptions, Storage as _, WriteOptions,
    deterministic::Context,
};
use rand_core::Rng as _;

use crate::lock;

/// What a sick disk says.
pub const DISK_FAILS: &str = "the simulated disk fails";

/// How a disk fails: of a hundred acts of each kind, so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sickness {
    /// Writes, changes of length and removals.
    pub writes_percent: u8,
    /// Waits until everything is on disk.
    pub syncs_percent: u8,
    /// Reads, and listings.
    pub reads_percent: u8,
    /// Openings.
    pub opens_percent: u8,
}

/// A node's disk.
pub(crate) struct Disk {
    context: Mutex<Context>,
    sickness: Mutex<Option<Sickness>>,
    failures: AtomicU64,
}

impl Disk {
    pub(crate) fn new(context: Context) -> Self {
        let (sickness, failures) = (Mutex::default(), AtomicU64::new(0));
        Self { context: Mutex::new(context), sickness, failures }
    }

    pub(crate) fn set_sickness(&self, sickness: Option<Sickness>) {
        *lock(&self.sickness) = sickness;
    }

    /// Returns how often it failed.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Returns a number up to a bound.
    fn up_to(&self, bound: usize) -> usize {
        let drawn = lock(&self.context).next_u64() % (bound as u64 + 1);
        usize::try_from(drawn).expect("below what is one")
    }

    fn fails(&self, percent: impl Fn(&Sickness) -> u8) -> bool {
        let Some(sickness) = *lock(&self.sickness) else { return false };
        let fails = self.up_to(99) < usize::from(percent(&sickness));
        self.failures.fetch_add(u64::from(fails), Ordering::Relaxed);
        fails
    }

    fn check(&self, percent: impl Fn(&Sickness) -> u8) -> Result<(), Error> {
        if self.fails(percent) { Err(failure()) } else { Ok(()) }
    }

    pub(crate) async fn open(
        self: &Arc<Self>,
        context: &Context,
        partition: &str,
        name: &[u8],
        versions: RangeInclusive<BlobVersion>,
    ) -> Result<(Blob, u64, BlobVersion), Error> {
        self.check(|sickness| sickness.opens_percent)?;
        let (inner, size, version) = context.open_versioned(partition, name, versions).await?;
        let blob = Blob { inner, disk: Arc::clone(self), forgets: AtomicBool::new(false) };
        Ok((blob, size, version))
    }

    pub(crate) async fn remove(
        &self,
        context: &Context,
        partition: &str,
        name: Option<&[u8]>,
    ) -> Result<(), Error> {
        self.check(|sickness| sickness.writes_percent)?;
        context.remove(partition, name).await
    }

    pub(crate) async fn scan(
        &self,
        context: &Context,
        partition: &str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.check(|sickness| sickness.reads_percent)?;
        context.scan(partition).await
    }
}

fn failure() -> Error {
    io::Error::other(DISK_FAILS).into()
}

type Inner = <Context as commonware_runtime::Storage>::Blob;

/// A file on a node's disk.
pub(crate) struct Blob {
    inner: Inner,
    disk: Arc<Disk>,
    /// Whether a sync was refused, so that what was written may never be there.
    forgets: AtomicBool,
}

impl Blob {
    /// Returns whether a sync is to reach the disk.
    fn syncs(&self) -> Result<bool, Error> {
        if self.disk.fails(|sickness| sickness.syncs_percent) {
            self.forgets.store(true, Ordering::Relaxed);
            return Err(failure());
        }
        Ok(!self.forgets.load(Ordering::Relaxed))
    }
}

impl commonware_runtime::Blob for Blob {
    async fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        bufs: impl Into<IoBufsMut> + Send,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        self.disk.check(|sickness| sickness.reads_percent)?;
        self.inner.read_at_buf(offset, len, bufs, options).await
    }

    async fn read_at(
        &self,
        offset: u64,
        len: usize,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        self.disk.check(|sickness| sickness.reads_percent)?;
        self.inner.read_at(offset, len, options).await
    }

    async fn write_at(
        &self,
        offset: u64,
        bufs: impl Into<IoBufs> + Send,
        options: WriteOptions,
    ) -> Result<(), Error> {
        let bufs = bufs.into();
        if self.disk.fails(|sickness| sickness.writes_percent) {
            let bytes = bufs.coalesce();
            let there = self.disk.up_to(bytes.len());
            self.inner.write_at(offset, bytes.slice(..there), options).await?;
            return Err(failure());
        }
        if !options.contains(WriteOptions::SYNC) {
            return self.inner.write_at(offset, bufs, options).await;
        }
        let synced = self.syncs();
        let without = options.without(WriteOptions::SYNC);
        let options = if matches!(synced, Ok(true)) { options } else { without };
        self.inner.write_at(offset, bufs, options).await?;
        synced.map(|_| ())
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        self.disk.check(|sickness| sickness.writes_percent)?;
        self.inner.resize(len).await
    }

    async fn sync(&self) -> Result<(), Error> {
        if self.syncs()? { self.inner.sync().await } else { Ok(()) }
    }

    async fn start_sync(&self) -> Handle<()> {
        match self.syncs() {
            Ok(true) => self.inner.start_sync().await,
            Ok(false) => Handle::ready(Ok(())),
            Err(error) => Handle::ready(Err(error)),
        }
    }
}
