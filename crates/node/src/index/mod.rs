//! The history: what happened, in a store that can be asked.
//!
//! One thread follows the chain and writes; readers have connections of their own. The store can
//! be deleted at any time: it is built anew from the chain's blocks, by executing them again. No
//! rule of the ledger reads it. It comes a little behind the chain, so those who read their own
//! writes wait for a height first.

mod concern;
mod feed;
mod read;
mod schema;
mod write;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

pub(crate) use concern::is_about;
pub use concern::{KINDS, kind, leases, parties};
pub(crate) use feed::{Feed, Source};
pub use read::{EventQuery, IndexedLease, LeaseSide, Place, Reader};
pub(crate) use write::{LeaseRows, lease_rows};

/// Readers at a time.
const READERS_MAX: usize = 4;
/// The longest that a reader waits for the history to come up.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Why the history has no answer.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The store does not work.
    #[error("the history's store does not work")]
    Store(#[from] rusqlite::Error),
    /// A record in the store does not read.
    #[error("a record of the history does not read: {0}")]
    Record(#[from] types::DecodeError),
    /// The store was made for something else and could not be made anew.
    #[error("the history's store cannot be made")]
    File(#[from] std::io::Error),
    /// A block could not be executed again.
    #[error("the history cannot be built from block {0}: {1}")]
    Replay(u64, String),
    /// The validators' signatures of a block are not there yet.
    #[error("the signatures of block {0} are not there yet")]
    Uncertified(u64),
    /// It is still behind.
    #[error("the history is at block {at}, not yet at {wanted}")]
    Behind {
        /// How far it is.
        at: u64,
        /// What was asked for.
        wanted: u64,
    },
    /// The node goes down.
    #[error("the node is stopped")]
    Stopped,
}

/// Asks the history. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Index {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    readers: Arc<Semaphore>,
    height: watch::Receiver<u64>,
}

impl Index {
    pub(crate) fn new(path: PathBuf, height: watch::Receiver<u64>) -> Self {
        let readers = Arc::new(Semaphore::new(READERS_MAX));
        Self { shared: Arc::new(Shared { path, idle: Mutex::default(), readers, height }) }
    }

    /// Returns the height up to which the history reaches.
    #[must_use]
    pub fn height(&self) -> u64 {
        *self.shared.height.borrow()
    }

    /// Returns a receiver of the height up to which the history reaches.
    #[must_use]
    pub fn heights(&self) -> watch::Receiver<u64> {
        self.shared.height.clone()
    }

    /// Waits until the history reaches `height`, at most five seconds.
    ///
    /// # Errors
    /// [`IndexError::Behind`] or [`IndexError::Stopped`].
    pub async fn wait_for(&self, height: u64) -> Result<(), IndexError> {
        let mut heights = self.heights();
        let reached = heights.wait_for(|at| *at >= height);
        match tokio::time::timeout(WAIT_MAX, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(IndexError::Stopped),
            Err(_) => Err(IndexError::Behind { at: self.height(), wanted: height }),
        }
    }

    /// Asks with a connection of one's own, away from the tasks.
    ///
    /// # Errors
    /// [`IndexError`], also that of `ask`.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Reader<'_>) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let permit = Arc::clone(&self.shared.readers).acquire_owned().await;
        let permit = permit.map_err(|_| IndexError::Stopped)?;
        let shared = Arc::clone(&self.shared);
        let asked = tokio::task::spawn_blocking(move || {
            // The question goes on when nobody waits for it any more, so it keeps its permit.
            let _permit = permit;
            let connection = match shared.take() {
                Some(connection) => connection,
                None => schema::open_reader(&shared.path)?,
            };
            let answer = ask(&Reader::new(&connection));
            shared.give_back(connection);
            answer
        });
        asked.await.map_err(|_| IndexError::Stopped)?
    }
}

impl Shared {
    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}
