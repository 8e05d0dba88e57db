//! Waits until it is known what the work of leases is worth.

use std::time::{Duration, Instant};

use api::LeaseView;
use types::{CheckState, LeaseId, LeaseState};

use super::Jobs;
use crate::failure::{Exit, Failure, Outcome};

/// The longest time without looking.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long after its release a lease is looked at that its provider's slash may have touched.
const RELEASED_AFTER: types::Duration = types::Duration::from_ms(1_000);

impl Jobs {
    /// Waits until the check of each lease's work is over; where the provider was found cheating
    /// meanwhile, until the lease is paid or given back. Returns the leases as they are then.
    ///
    /// # Errors
    /// When that is not so within `patience`, or the node cannot be asked.
    pub(crate) async fn checked(
        &self,
        leases: &[LeaseId],
        patience: Duration,
    ) -> Outcome<Vec<LeaseView>> {
        let until = Instant::now() + patience;
        let mut news = self.news.subscribe();
        loop {
            let mut views = Vec::with_capacity(leases.len());
            for id in leases {
                views.push(self.signer.client.lease(*id).await?);
            }
            if self.are_over(&views).await? {
                return Ok(views);
            }
            if Instant::now() >= until {
                let text = "the checks of the work are not over in time";
                return Err(Failure::new(Exit::Failed, text).hint("this machine may be too busy"));
            }
            news.wait(LOOK_EVERY, |heard| leases.contains(&heard)).await;
        }
    }

    async fn are_over(&self, views: &[LeaseView]) -> Outcome<bool> {
        let is_checked = |view: &LeaseView| {
            let is_closed = matches!(view.lease.state, LeaseState::Closed { .. });
            is_closed && !view.lease.check.is_under_way()
        };
        // The check of one lease may touch what its provider did for another.
        if !views.iter().all(is_checked) {
            return Ok(false);
        }
        for view in views {
            if !self.is_settled(view).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_settled(&self, view: &LeaseView) -> Outcome<bool> {
        let lease = &view.lease;
        let Some(release) = lease.release.filter(|_| lease.check != CheckState::Passed) else {
            return Ok(true);
        };
        let provider = self.signer.client.provider(lease.provider).await?;
        let is_cheat = provider.slashed.is_some_and(|slashed| slashed >= lease.created);
        Ok(!is_cheat || release.after(RELEASED_AFTER) < api::now())
    }
}
