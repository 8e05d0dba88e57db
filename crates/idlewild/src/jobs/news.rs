//! Which leases something happened to: hints that make waiting short. The ledger is asked for
//! what it was.

use std::time::Duration;

use api::EventFilter;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::AbortHandle;
use types::{Event, LeaseId};

use crate::failure::Outcome;
use crate::network::Signer;

/// Hints that a slow listener may have waiting before it loses the oldest.
const HINTS_MAX: usize = 1_024;

/// The wait before a broken stream is opened again.
const REOPEN_WAIT: Duration = Duration::from_millis(500);

/// A stream of hints.
#[derive(Debug)]
pub(super) struct News {
    hints: broadcast::Sender<LeaseId>,
    task: AbortHandle,
}

impl Drop for News {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl News {
    /// Listens to everything that concerns the signer.
    pub(super) async fn listen(signer: &Signer) -> Outcome<Self> {
        let filter = EventFilter { account: Some(signer.address()), ..EventFilter::default() };
        let client = signer.client.clone();
        let mut stream = client.events(filter.clone()).await?;
        let (hints, _) = broadcast::channel(HINTS_MAX);
        let sender = hints.clone();
        let task = tokio::spawn(async move {
            loop {
                match stream.next().await {
                    Ok(record) => {
                        if let Some(lease) = concerned(&record.event) {
                            // Nobody may be waiting just now.
                            let _ = sender.send(lease);
                        }
                    }
                    Err(_) => {
                        tokio::time::sleep(REOPEN_WAIT).await;
                        if let Ok(opened) = client.events(filter.clone()).await {
                            stream = opened;
                        }
                    }
                }
            }
        });
        Ok(Self { hints, task: task.abort_handle() })
    }

    /// Returns a listener that hears everything from now on.
    pub(super) fn subscribe(&self) -> Listener {
        Listener(self.hints.subscribe())
    }
}

/// Hears of leases.
#[derive(Debug)]
pub(super) struct Listener(broadcast::Receiver<LeaseId>);

impl Listener {
    /// Waits until something happens to one of the leases that `wanted` names, at most `most`.
    pub(super) async fn wait(&mut self, most: Duration, wanted: impl Fn(LeaseId) -> bool) {
        let heard = async {
            loop {
                match self.0.recv().await {
                    Ok(lease) if wanted(lease) => return,
                    Ok(_) => {}
                    // What was lost may have been it.
                    Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Hints may be lost, so that the wait's end is as good as a hint.
        let _ = tokio::time::timeout(most, heard).await;
    }
}

/// Returns the lease that an event is about. An order's lease has its name before it exists.
fn concerned(event: &Event) -> Option<LeaseId> {
    match event {
        Event::LeaseOpened { lease, .. }
        | Event::LeaseStarted { lease, .. }
        | Event::LeaseReclaiming { lease, .. }
        | Event::ReceiptAccepted { lease, .. }
        | Event::LeaseClosing { lease, .. }
        | Event::LeaseClosed { lease, .. } => Some(*lease),
        Event::OrderClosed { order, .. } => Some(LeaseId::from(*order)),
        _ => None,
    }
}
