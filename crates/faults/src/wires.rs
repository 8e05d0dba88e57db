//! What lies between the network and a node: messages that come twice, late or again after long,
//! and nodes that do not talk with everybody.
//!
//! The simulated network itself loses messages and takes its time, but hands over what one node
//! sent to another in order and once, as a connection does. Here what came through it is held back
//! behind later messages, doubled, or kept and handed over again.

use std::{
    collections::BTreeSet,
    io,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{LimitedSender, Message, Receiver, Recipients, simulated};
use commonware_runtime::{Clock as _, Spawner as _, Supervisor as _, deterministic::Context};
use rand_core::Rng as _;
use tokio::sync::mpsc;

use crate::{lock, record::Record};

/// Old messages of a channel that are kept to be handed over again.
const OLD_MAX: usize = 16;

/// How messages get out of order: of a hundred, so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Come a second time, later.
    pub twice_percent: u8,
    /// Come later, behind others that were sent after them.
    pub late_percent: u8,
    /// Are followed by one that came long ago.
    pub old_percent: u8,
    /// How much later at most.
    pub late_max: Duration,
}

/// Where a node's messages arrive.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    lines: Mutex<Vec<mpsc::UnboundedSender<Message<PublicKey>>>>,
    /// Whom the node talks with, if not with everybody.
    circle: Mutex<Option<BTreeSet<PublicKey>>>,
}

impl Inbox {
    /// Makes new lines, one for each channel, and returns where they end. What was under way in
    /// old ones is lost.
    pub(crate) fn open(&self, capacities: &[NonZeroUsize]) -> Vec<Line> {
        let mut lines = lock(&self.lines);
        lines.clear();
        let open = |capacity: &NonZeroUsize| {
            let (sender, receiver) = mpsc::unbounded_channel();
            lines.push(sender);
            Line { receiver, capacity: *capacity }
        };
        capacities.iter().map(open).collect()
    }

    pub(crate) fn close(&self) {
        lock(&self.lines).clear();
    }

    pub(crate) fn set_circle(&self, circle: Option<BTreeSet<PublicKey>>) {
        *lock(&self.circle) = circle;
    }

    fn hand_over(&self, channel: usize, message: Message<PublicKey>) {
        if lock(&self.circle).as_ref().is_some_and(|circle| !circle.contains(&message.0)) {
            return;
        }
        if let Some(line) = lock(&self.lines).get(channel) {
            // The node may be gone.
            let _ = line.send(message);
        }
    }
}

/// A node's end of a channel, for what it receives.
#[derive(Debug)]
pub(crate) struct Line {
    receiver: mpsc::UnboundedReceiver<Message<PublicKey>>,
    capacity: NonZeroUsize,
}

impl Receiver for Line {
    type Error = io::Error;
    type PublicKey = PublicKey;

    async fn recv(&mut self) -> Result<Message<PublicKey>, io::Error> {
        self.receiver.recv().await.ok_or_else(|| io::Error::other("the node is gone"))
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }
}

/// The simulated network's end of a channel, for what a key sends.
pub(crate) type Raw = simulated::Sender<PublicKey, Context>;

/// A node's end of a channel, for what it sends.
#[derive(Debug, Clone)]
pub(crate) struct Mouth {
    pub(crate) raw: Raw,
    pub(crate) inbox: Arc<Inbox>,
}

impl LimitedSender for Mouth {
    type PublicKey = PublicKey;
    type Checked<'a> = <Raw as LimitedSender>::Checked<'a>;

    fn check(
        &mut self,
        recipients: Recipients<PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        let recipients = match (&*lock(&self.inbox.circle), recipients) {
            (None, recipients) => recipients,
            (Some(circle), Recipients::All) => Recipients::Some(circle.iter().cloned().collect()),
            (Some(circle), Recipients::Some(mut keys)) => {
                keys.retain(|key| circle.contains(key));
                Recipients::Some(keys)
            }
            (Some(circle), Recipients::One(key)) if circle.contains(&key) => Recipients::One(key),
            (Some(_), Recipients::One(_)) => Recipients::Some(Vec::new()),
        };
        self.raw.check(recipients)
    }
}

/// Hands over what arrives for a key in a channel, to all nodes that have the key.
pub(crate) struct Post {
    pub(crate) context: Context,
    pub(crate) channel: usize,
    pub(crate) inboxes: Vec<Arc<Inbox>>,
    pub(crate) disorder: Arc<Mutex<Disorder>>,
    pub(crate) record: Arc<Record>,
}

impl Post {
    pub(crate) async fn run(mut self, mut receiver: simulated::Receiver<PublicKey>) {
        let mut old: Vec<Message<PublicKey>> = Vec::new();
        while let Ok(message) = receiver.recv().await {
            self.record.hear(self.channel, &message);
            let disorder = *lock(&self.disorder);
            if disorder == Disorder::default() {
                self.hand_over(&message);
                continue;
            }
            if self.happens(disorder.twice_percent) {
                self.hand_over_later(message.clone(), disorder.late_max);
                self.record.twice();
            }
            if self.happens(disorder.late_percent) {
                self.hand_over_later(message.clone(), disorder.late_max);
                self.record.late();
            } else {
                self.hand_over(&message);
            }
            if old.len() < OLD_MAX {
                old.push(message);
            } else if self.happens(5) {
                let place = self.below(OLD_MAX);
                old[place] = message;
            }
            if self.happens(disorder.old_percent) {
                let place = self.below(old.len());
                self.hand_over(&old[place]);
                self.record.old();
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.context.next_u64() % bound as u64).expect("below what is one")
    }

    fn happens(&mut self, percent: u8) -> bool {
        self.below(100) < usize::from(percent)
    }

    fn hand_over(&self, message: &Message<PublicKey>) {
        for inbox in &self.inboxes {
            inbox.hand_over(self.channel, message.clone());
        }
    }

    fn hand_over_later(&mut self, message: Message<PublicKey>, late_max: Duration) {
        let late = late_max.mul_f64(self.below(1_000) as f64 / 1_000.0);
        let (channel, inboxes) = (self.channel, self.inboxes.clone());
        self.context.child("late").spawn(move |context| async move {
            context.sleep(late).await;
            for inbox in inboxes {
                inbox.hand_over(channel, message.clone());
            }
        });
    }
}
