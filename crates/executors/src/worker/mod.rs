//! Runs jobs in a child process of the same binary, which holds no key.
//!
//! [`Worker::spawn`] starts `idlewild __worker`, which calls [`main`]: it sets itself up, shuts
//! itself in (see `sandbox.rs`) and then runs jobs until its parent is gone, many at a time and
//! without a process start for each. What comes back from it is checked: content has the name it
//! claims, the result names only content that came, and all of it is within the job's limits. A
//! worker that breaks a rule is killed; the jobs that it had fail as [`JobError::WorkerLost`] and
//! can be run again on another.

mod child;
mod parent;
mod protocol;
mod sandbox;

pub use child::main;
pub use parent::{Finished, JobError, Request, Settings, SpawnError, Worker};
