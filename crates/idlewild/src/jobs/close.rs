//! Leaves nothing running that nobody waits for.
//!
//! An order is noted under its name before it is sent, and over when its end is known. So whatever
//! is noted may be waiting, may be leased, or may never have come to the node: the node is asked,
//! and what it does not answer for is named.

use std::time::Duration;

use api::Refusal;
use types::{Action, LeaseId, LeaseState, OrderId, Reject};

use super::Jobs;
use crate::signals::asked_to_end;

/// How long an order on its way is waited for when the tenant wants no more.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long the node has to close what is open.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Times that an order is looked for: one that cannot be taken back has just become a lease.
const LOOKS_MAX: u32 = 2;

/// What became of what was open.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ends {
    /// Leases that are closed now, or were just before.
    pub(crate) given_up: Vec<LeaseId>,
    /// Orders, by the leases that they would become, of which the node said nothing.
    pub(crate) unknown: Vec<LeaseId>,
}

impl Jobs {
    /// Notes an order that is about to be sent.
    pub(super) fn note(&self, order: OrderId) {
        let lease = LeaseId::from(order);
        let mut state = self.state();
        state.open.insert(lease, order);
        state.placed.push(lease);
    }

    /// Forgets an order that was refused.
    pub(super) fn forget(&self, order: OrderId) {
        let lease = LeaseId::from(order);
        let mut state = self.state();
        state.open.remove(&lease);
        state.placed.retain(|placed| *placed != lease);
    }

    /// Places no more orders, and waits for the answer to one that is on its way: for some time,
    /// or until the tenant asks once more. The jobs have to go on meanwhile.
    pub(crate) async fn stop(&self) {
        self.state().ending = true;
        tokio::select! {
            _ = self.turn.lock() => {}
            () = tokio::time::sleep(ANSWER_MAX) => {}
            () = asked_to_end() => {}
        }
    }

    /// Closes what is still open, at the end or when the tenant wants no more of it. It gives up
    /// after some time, or when it is asked to end.
    pub(crate) async fn close(&self) -> Ends {
        let mut ends = Ends::default();
        tokio::select! {
            () = self.close_all(&mut ends.given_up) => {}
            () = tokio::time::sleep(CLOSE_MAX) => {}
            () = asked_to_end() => {}
        }
        let open = std::mem::take(&mut self.state().open);
        ends.unknown.extend(open.into_keys());
        ends
    }

    async fn close_all(&self, given_up: &mut Vec<LeaseId>) {
        for _ in 0..LOOKS_MAX {
            let actions = self.closing_actions(given_up).await;
            let sent = actions.iter().map(|(_, action)| action.clone()).collect();
            // What a lost node misses is named.
            let Ok(results) = self.signer.submitter.submit_all(sent).await else { return };
            for ((lease, action), result) in actions.into_iter().zip(results) {
                match (action, result) {
                    (Action::Close { .. }, Ok(_)) => self.give_up_on(lease, given_up),
                    (Action::Close { .. }, Err(refusal)) if is_over(&refusal) => {
                        self.give_up_on(lease, given_up);
                    }
                    (_, Ok(_)) => drop(self.state().open.remove(&lease)),
                    // What cannot be taken back has just been leased, has lapsed, or is not there
                    // and may still be on its way.
                    (Action::CancelOrder { order }, Err(_)) => self.forget_lapsed(order).await,
                    _ => {}
                }
            }
        }
    }

    /// Returns what closes each of the open ones that the node answers for.
    async fn closing_actions(&self, given_up: &mut Vec<LeaseId>) -> Vec<(LeaseId, Action)> {
        let open = self.state().open.clone();
        let mut actions = Vec::with_capacity(open.len());
        for (lease, order) in open {
            match self.signer.client.lease(lease).await {
                Ok(view) if matches!(view.lease.state, LeaseState::Closed { .. }) => {
                    self.give_up_on(lease, given_up);
                }
                Ok(_) => actions.push((lease, Action::Close { lease })),
                Err(error) if error.is_unknown() => {
                    actions.push((lease, Action::CancelOrder { order }));
                }
                Err(_) => {}
            }
        }
        actions
    }

    async fn forget_lapsed(&self, order: OrderId) {
        let known = self.signer.client.order(order).await;
        if known.is_ok_and(|view| !view.open && view.lease.is_none()) {
            self.state().open.remove(&LeaseId::from(order));
        }
    }

    fn give_up_on(&self, lease: LeaseId, given_up: &mut Vec<LeaseId>) {
        self.state().open.remove(&lease);
        given_up.push(lease);
    }
}

/// Returns whether a lease could not be closed because it was closed already.
fn is_over(refusal: &Refusal) -> bool {
    matches!(refusal.reject(), Some(Reject::LeaseState | Reject::LeaseUnknown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_about_the_lease_says_that_it_is_over() {
        assert!(is_over(&Reject::LeaseState.into()));
        assert!(is_over(&Reject::LeaseUnknown.into()));
        assert!(!is_over(&Reject::LeaseNotYours.into()));
        for code in [Refusal::BUSY, Refusal::SIGNATURE] {
            assert!(!is_over(&Refusal { code: code.to_owned(), meaning: String::new() }));
        }
    }
}
