//! The one way in which a node stops itself.

use std::sync::Arc;

use tokio::sync::watch;

/// Why the node had to stop; set once.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    sender: watch::Sender<Option<Arc<str>>>,
}

impl Fault {
    pub(crate) fn new() -> Self {
        Self { sender: watch::Sender::new(None) }
    }

    /// Stops the node for this reason, unless it was stopped before.
    pub(crate) fn set(&self, reason: String) {
        self.sender.send_if_modified(|fault| {
            if fault.is_some() {
                return false;
            }
            tracing::error!("the node stops: {reason}");
            *fault = Some(reason.into());
            true
        });
    }

    /// Returns the reason, if there is one.
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        self.sender.borrow().clone()
    }

    /// Waits until there is a reason.
    pub(crate) async fn wait(&self) -> Arc<str> {
        let mut receiver = self.sender.subscribe();
        let found = receiver.wait_for(Option::is_some).await;
        let found = found.expect("the sender lives in self").clone();
        found.expect("waited for a reason")
    }
}
