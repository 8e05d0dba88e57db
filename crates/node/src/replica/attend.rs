//! Lends a replica the time for what the chain leaves to it.

use std::time::Duration;

use tokio::task;

use super::Replica;

/// How long transactions are gathered before leaders are told of them.
const SPREAD_AFTER: Duration = Duration::from_millis(2);
/// How often transactions that no block holds are looked at again.
const REVIEW_EVERY: Duration = Duration::from_millis(500);

/// Does what a replica leaves to whoever runs it, for ever.
pub async fn attend(replica: Replica) {
    let mut reviews = tokio::time::interval(REVIEW_EVERY);
    loop {
        tokio::select! {
            () = replica.stirred() => {
                // What comes in the meantime goes along.
                tokio::time::sleep(SPREAD_AFTER).await;
                let replica = replica.clone();
                let work = task::spawn_blocking(move || {
                    replica.spread();
                    replica.take_in();
                });
                if work.await.is_err() {
                    return;
                }
            }
            _ = reviews.tick() => {
                let replica = replica.clone();
                if task::spawn_blocking(move || replica.review()).await.is_err() {
                    return;
                }
            }
        }
    }
}
