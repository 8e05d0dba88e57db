//! Runs jobs in a child process of the same binary, which holds no key.
//!
//! [`Worker::spawn`] starts `idlewild __worker`, which calls [`main`]: it sets itself up, shuts
//! itself in (see `sandbox.rs`) and then runs jobs until its parent is gone, many at a time and
//! without a process start for each. What comes back from it is checked: content has the name it
//! claims, the result names only content that came, and all of it is within the job's limits. A
//! worker that breaks a rule, or does not answer in time, is killed; the jobs that it had fail as
//! [`JobError::WorkerLost`] and can be run again on another.

mod child;
mod parent;
mod protocol;
mod running;
mod sandbox;
mod start;
mod store;

pub use child::main;
pub use parent::{JobError, Request, Settings, SpawnError, Worker};
pub use running::Finished;

/// What the tests of this crate use to stand in for a worker.
#[doc(hidden)]
pub mod testing {
    pub use super::protocol::{CHUNK_BYTES_MAX, Command, FRAME_BYTES_MAX, Reply, read, write};

    /// Shuts the calling process in as a worker does.
    ///
    /// # Errors
    /// The system's error.
    pub fn shut_in() -> std::io::Result<()> {
        super::sandbox::enter_before_threads()?;
        super::sandbox::enter_with_threads()
    }
}
