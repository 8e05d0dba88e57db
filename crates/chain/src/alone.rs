//! A validator that has nobody to ask.
//!
//! A crash can come between a leader's vote for its own block and the block's reaching the disk.
//! The start after it then waits for the block. Others may have it and hand it over; a validator
//! that is alone never gets it, so after a while it gives the view up and builds the block anew.

use std::{future::Future, time::Duration};

use commonware_consensus::{Automaton, CertifiableAutomaton, Handoff, types::Round};
use commonware_runtime::{Clock, Spawner};
use commonware_utils::channel::oneshot;

/// Decides like another automaton, but not for ever.
pub(crate) struct Patience<E, A> {
    pub(crate) context: E,
    pub(crate) inner: A,
    /// How long to wait for a block; no matter how long where others may have it.
    pub(crate) limit: Option<Duration>,
}

impl<E: Spawner, A: Clone> Clone for Patience<E, A> {
    fn clone(&self) -> Self {
        let context = self.context.child("patience");
        Self { context, inner: self.inner.clone(), limit: self.limit }
    }
}

impl<E: Clock + Spawner, A: CertifiableAutomaton<Context: Send>> Automaton for Patience<E, A> {
    type Context = A::Context;
    type Digest = A::Digest;

    fn propose(
        &mut self,
        context: Self::Context,
    ) -> impl Future<Output = oneshot::Receiver<Self::Digest>> + Send {
        self.inner.propose(context)
    }

    fn verify(
        &mut self,
        context: Self::Context,
        payload: Self::Digest,
    ) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.verify(context, payload)
    }
}

impl<E: Clock + Spawner, A: CertifiableAutomaton<Context: Send>> CertifiableAutomaton
    for Patience<E, A>
{
    fn prepare(
        &mut self,
        context: Self::Context,
    ) -> impl Future<Output = oneshot::Receiver<Handoff<Self::Digest>>> + Send {
        self.inner.prepare(context)
    }

    async fn certify(&mut self, round: Round, payload: Self::Digest) -> oneshot::Receiver<bool> {
        let decided = self.inner.certify(round, payload).await;
        let Some(limit) = self.limit else { return decided };
        let (mut answer, answered) = oneshot::channel();
        self.context.child("certify").spawn(move |context| async move {
            let decision = tokio::select! {
                biased;
                decision = decided => decision.ok(),
                () = context.sleep(limit) => Some(false),
                () = answer.closed() => None,
            };
            if let Some(decision) = decision {
                // Consensus may have gone on.
                let _ = answer.send(decision);
            }
        });
        answered
    }
}
