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

    /// Returns what stops the node if it is dropped by a panic.
    pub(crate) fn guard(&self, what: &'static str) -> Guard {
        Guard { fault: self.clone(), what }
    }

    /// Waits until there is a reason.
    pub(crate) async fn wait(&self) -> Arc<str> {
        let mut receiver = self.sender.subscribe();
        let found = receiver.wait_for(Option::is_some).await;
        let found = found.expect("the sender lives in self").clone();
        found.expect("waited for a reason")
    }
}

/// A part without which the node is not well, as long as this lives in it.
#[derive(Debug)]
pub(crate) struct Guard {
    fault: Fault,
    what: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fault.set(format!("{} ended in a panic; the log says where", self.what));
        }
    }
}

/// Returns an error with its causes in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_node_and_an_end_does_not() {
        let fault = Fault::new();
        let run = |work: fn()| {
            let guard = fault.guard("the part");
            let thread = std::thread::spawn(move || {
                let _guard = guard;
                work();
            });
            thread.join().is_ok()
        };
        assert!(run(|| ()));
        assert_eq!(fault.get(), None);
        assert!(!run(|| panic!("as a test")));
        assert!(fault.get().unwrap().starts_with("the part ended in a panic"));
    }
}
