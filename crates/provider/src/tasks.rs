//! Work on leases: one task for each lease at a time, so that nothing is done twice.

use std::collections::{BTreeSet, HashMap};

use tokio::task::{Id, JoinSet};
use types::LeaseId;

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something came of it, and more may follow at once.
    Made,
    /// It comes to nothing now; what is to be done waits for the next look, or nothing is.
    Rests,
}

/// The tasks. Dropped, they are aborted.
#[derive(Debug)]
pub(crate) struct LeaseTasks {
    tasks_max: usize,
    tasks: JoinSet<Progress>,
    leases: HashMap<Id, LeaseId>,
    busy: BTreeSet<LeaseId>,
}

impl LeaseTasks {
    /// Takes so many tasks at a time. What finds no place is found again by the next look.
    pub(crate) fn at_most(tasks_max: usize) -> Self {
        let (tasks, leases, busy) = (JoinSet::new(), HashMap::new(), BTreeSet::new());
        Self { tasks_max, tasks, leases, busy }
    }

    /// Returns whether there is a task about a lease.
    pub(crate) fn has(&self, lease: &LeaseId) -> bool {
        self.busy.contains(lease)
    }

    /// Begins a task about a lease, unless one is under way, or too many are.
    pub(crate) fn begin(
        &mut self,
        lease: LeaseId,
        task: impl Future<Output = Progress> + Send + 'static,
    ) {
        if self.busy.len() < self.tasks_max && self.busy.insert(lease) {
            let handle = self.tasks.spawn(task);
            self.leases.insert(handle.id(), lease);
        }
    }

    /// Waits for a task to end; for ever while there is none.
    pub(crate) async fn ended(&mut self) -> Progress {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let (id, progress) = match ended {
            Ok((id, progress)) => (id, progress),
            Err(error) => {
                tracing::error!("a task failed: {error}");
                (error.id(), Progress::Rests)
            }
        };
        if let Some(lease) = self.leases.remove(&id) {
            self.busy.remove(&lease);
        }
        progress
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    fn lease(number: u8) -> LeaseId {
        LeaseId::from_bytes([number; 32])
    }

    #[tokio::test]
    async fn a_lease_has_one_task_at_a_time_whatever_becomes_of_others() {
        let mut tasks = LeaseTasks::at_most(16);
        let begun = Arc::new(AtomicU32::new(0));
        let endless = || {
            let begun = Arc::clone(&begun);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
        };
        tasks.begin(lease(1), endless());
        tasks.begin(lease(2), async { panic!("on purpose") });
        assert_eq!(tasks.ended().await, Progress::Rests);
        tasks.begin(lease(1), endless());
        tasks.begin(lease(2), async { Progress::Made });
        assert_eq!(tasks.ended().await, Progress::Made);
        assert_eq!(begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn however_much_is_listed_the_tasks_have_a_bound() {
        let mut tasks = LeaseTasks::at_most(16);
        for number in 0..=u8::MAX {
            tasks.begin(lease(number), std::future::pending());
        }
        assert_eq!((tasks.tasks.len(), tasks.leases.len()), (16, 16));
    }
}
