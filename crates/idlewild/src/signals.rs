//! Requests to end: Ctrl-C, and SIGTERM as service managers send it.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until this process is asked to end.
pub(crate) async fn asked_to_end() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut asked) => {
                asked.recv().await;
            }
            // Without a handler the request ends the process by itself.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
