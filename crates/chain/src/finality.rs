//! Blocks as they become final, in order: told to the machine, then acknowledged.

use std::sync::Arc;

use commonware_actor::Feedback;
use commonware_consensus::{
    Reporter,
    marshal::{Update, core::Mailbox, standard::Standard},
    simplex::{scheme::ed25519::Scheme, types::Finalization},
    types::Height,
};
use commonware_cryptography::{Digested, Digestible as _, blake3::Digest};
use commonware_runtime::{Clock, Spawner, Storage, signal::Signal};
use commonware_utils::Acknowledgement as _;
use futures_util::future::pending;
use rand_core::CryptoRng;
use tokio::sync::mpsc;

use crate::{
    application::{Shared, beside},
    block::Block,
    certificate::Certificate,
    machine::{Finalized, Refusal, Trust},
    snapshot::{Snapshot, Snapshots},
    sync::Offers,
    tree::Node,
};

/// Blocks after which old ones are dropped.
const PRUNE_EVERY: u64 = 256;

/// The engine's view of finalized blocks.
pub(crate) type Marshal = Mailbox<Scheme, Standard<Block>>;

/// Takes finalized blocks from the engine.
#[derive(Clone)]
pub(crate) struct Inlet(mpsc::UnboundedSender<Update<Block>>);

impl Inlet {
    /// Makes an inlet and what comes out of it. The engine hands over a bounded number of blocks
    /// before it waits for their acknowledgement.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Update<Block>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl Reporter for Inlet {
    type Activity = Update<Block>;

    fn report(&mut self, update: Self::Activity) -> Feedback {
        if self.0.send(update).is_ok() { Feedback::Ok } else { Feedback::Closed }
    }
}

/// Makes blocks final.
pub(crate) struct Finalizer<E> {
    pub(crate) context: E,
    pub(crate) shared: Arc<Shared>,
    pub(crate) marshal: Marshal,
    pub(crate) snapshots: Snapshots<E>,
    pub(crate) offers: Offers,
    /// The last final block of which this node has the certificate.
    pub(crate) last: Option<Snapshot>,
    /// Blocks that are kept behind the last one.
    pub(crate) blocks_kept: u64,
    /// At multiples of this height all peers offer the same state to those that join.
    pub(crate) offer_every: u64,
}

impl<E: Clock + CryptoRng + Spawner + Storage> Finalizer<E> {
    /// Brings the state up to the last block that was acknowledged before.
    pub(crate) async fn replay(&mut self, up_to: u64) -> Result<(), Refusal> {
        loop {
            let next = self.shared.tree().last_final().header.height + 1;
            if next > up_to {
                return Ok(());
            }
            let Some(block) = self.marshal.get_block(Height::new(next)).await else {
                let lost = format!("block {next} is missing on disk, with blocks behind it");
                return Err(Refusal::Fault(lost));
            };
            self.apply(block).await?;
        }
    }

    /// Follows the engine until it ends.
    pub(crate) async fn run(
        mut self,
        mut updates: mpsc::UnboundedReceiver<Update<Block>>,
        mut stopped: Signal,
    ) {
        loop {
            let update = tokio::select! {
                biased;
                _ = &mut stopped => return self.stop().await,
                update = updates.recv() => update,
            };
            let Some(update) = update else { return };
            let Update::Block(block, acknowledgement) = update else { continue };
            let (height, body_bytes) = (block.inner().header.height, block.inner().body.len());
            // A block may be told again after a restart.
            let known = self.shared.tree().last_final().header.height >= height;
            if !known && let Err(refusal) = self.apply(block).await {
                self.shared.machine.failed(format!("final block {height}: {refusal}"));
                // Without the acknowledgement the engine tells the block again next time.
                pending::<()>().await;
            }
            acknowledgement.acknowledge();
            if !known {
                self.keep(height, body_bytes).await;
            }
        }
    }

    /// Writes a last snapshot, so that the next start has little to do.
    async fn stop(mut self) {
        let Some(last) = self.last.take() else { return };
        if self.snapshots.newest_height() < Some(last.node.header.height)
            && let Err(error) = self.snapshots.write(&last).await
        {
            tracing::warn!("the last snapshot could not be written: {error}");
        }
    }

    /// Executes the next final block, if nobody did yet, and tells the machine.
    async fn apply(&mut self, block: Digested<Block>) -> Result<(), Refusal> {
        let (before, executed) = {
            let tree = self.shared.tree();
            (tree.last_final().clone(), tree.get(&block.digest().0).cloned())
        };
        let node = match executed {
            Some(node) => node,
            None => {
                let (shared, before) = (Arc::clone(&self.shared), before.clone());
                let block = block.clone();
                let execute = move || shared.execute(&before, block.inner(), Trust::Finalized);
                beside(&self.context, execute).await?
            }
        };
        let certificate = self.certificate(&node).await;
        if let Some(finalization) = certificate.clone() {
            self.offers.set_tip(finalization.clone());
            self.last = Some(Snapshot { node: node.clone(), finalization });
        }
        self.shared.tree().finalize(node.clone());
        self.shared.machine.finalized(&Finalized {
            header: node.header,
            body: block.inner().body.clone(),
            before: before.state,
            after: node.state,
            certificate: certificate.as_ref().map(Certificate::of),
        });
        Ok(())
    }

    /// Returns the signatures of this very block, if the engine has them.
    async fn certificate(&self, node: &Node) -> Option<Finalization<Scheme, Digest>> {
        let found = self.marshal.get_finalization(Height::new(node.header.height)).await;
        found.filter(|finalization| finalization.proposal.payload.0 == node.digest)
    }

    /// Keeps the state for peers and for the next start when that is due, and drops blocks that
    /// nobody needs.
    async fn keep(&mut self, height: u64, body_bytes: usize) {
        self.snapshots.count(body_bytes);
        let offer = height.is_multiple_of(self.offer_every);
        if offer || self.snapshots.due() {
            let last = self.last.clone().filter(|last| last.node.header.height == height);
            if let Some(snapshot) = last {
                if offer {
                    self.offers.add(snapshot.clone());
                }
                if self.snapshots.due() {
                    self.snapshots.start_write(snapshot);
                }
            }
        }
        if height.is_multiple_of(PRUNE_EVERY) {
            // What comes after the older snapshot is needed to go on from it.
            let oldest_needed = self.snapshots.oldest_height();
            let from = height.saturating_sub(self.blocks_kept).min(oldest_needed);
            self.marshal.prune(Height::new(from));
        }
    }
}
