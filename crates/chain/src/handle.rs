//! What the rest of a program holds of a running chain.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use commonware_consensus::types::Height;
use commonware_cryptography::Digestible as _;
use tokio::sync::{mpsc, oneshot};

use crate::{
    application::Shared, block::Header, certificate::Certificate, engine::Views, finality::Marshal,
};

/// Who is to hear a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// All peers.
    All,
    /// The validator at a place.
    Validator(usize),
}

/// A final block, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Its header.
    pub header: Header,
    /// Its body.
    pub body: Bytes,
    /// The signatures of this very block, if this node has them.
    pub certificate: Option<Certificate>,
}

/// What a handle asks of the chain.
pub(crate) enum Request {
    Block(u64, oneshot::Sender<Option<StoredBlock>>),
    Send(To, Bytes),
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// A running chain. All of its clones are one.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    views: Views,
    requests: mpsc::Sender<Request>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, views: Views, requests: mpsc::Sender<Request>) -> Self {
        Self { shared, views, requests }
    }

    /// Makes the chain ask again whether a block is wanted.
    pub fn wake(&self) {
        self.shared.wake.notify_waiters();
    }

    /// Returns the place of the validator whose turn it is, or will be in so many turns.
    #[must_use]
    pub fn leader_in(&self, turns: u64) -> usize {
        self.views.leader_in(turns, self.shared.validators.len())
    }

    /// Sends a message of at most [`crate::MACHINE_MESSAGE_BYTES_MAX`] bytes to other machines.
    /// It is lost when they are away, or when there is too much to send.
    pub fn send(&self, to: To, message: Bytes) {
        assert!(message.len() <= crate::MACHINE_MESSAGE_BYTES_MAX, "messages have a bound");
        // A message may be lost on the way just as well.
        let _ = self.requests.try_send(Request::Send(to, message));
    }

    /// Returns a final block; nothing when it is not there yet, or no longer.
    pub async fn block(&self, height: u64) -> Option<StoredBlock> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Block(height, answer)).await.ok()?;
        answered.await.ok().flatten()
    }
}

/// Reads a final block and its certificate.
pub(crate) async fn stored_block(marshal: &Marshal, height: u64) -> Option<StoredBlock> {
    let height = Height::new(height);
    let block = marshal.get_block(height).await?;
    let finalization = marshal.get_finalization(height).await;
    let inner = block.inner();
    let certificate = finalization
        .filter(|finalization| finalization.proposal.payload == block.digest())
        .map(|finalization| Certificate::of(&finalization));
    Some(StoredBlock { header: inner.header, body: inner.body.clone(), certificate })
}
