//! Joining a chain that is far ahead: a final state from peers, verified chunk by chunk.
//!
//! ```text
//! ask   = 0                                      what do you have?
//! tip   = 1 ‖ |finalization| ‖ finalization      the newest final block, or nothing (length 0)
//!           ‖ count u8 ‖ (header ‖ |finalization| ‖ finalization)…      states on offer
//! get   = 2 ‖ height ‖ key                       the chunk that begins there
//! part  = 3 ‖ height ‖ |key| ‖ key ‖ chunk
//! gone  = 4 ‖ height                             that state is no longer on offer
//! ```
//!
//! Nobody is trusted: finalizations are checked against the validators, and a chunk that does not
//! lead to the final block's state root is refused on its own, so it is known who sent it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_cryptography::{certificate::Verifier as _, ed25519::PublicKey};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Spawner};
use rand_core::CryptoRng;
use tokio::sync::mpsc;

use crate::{
    application::beside,
    block::{HEADER_BYTES, Header},
    machine::{Machine, Restore},
    snapshot::{CHUNK_BYTES_MAX, Final, Snapshot, is_final},
    tree::Node,
};

/// States on offer at a time.
const OFFERS_MAX: usize = 3;
/// Most bytes of a key at which a chunk begins.
const KEY_BYTES_MAX: usize = 1_024;
/// Most bytes of a message.
pub(crate) const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES_MAX + KEY_BYTES_MAX + 64;
/// How often peers are asked for their tips.
const ASK_PERIOD: Duration = Duration::from_millis(500);
/// How long others may answer after the first one did.
const ANSWERS_WAIT: Duration = Duration::from_secs(1);
/// How long a start waits for anybody to answer.
const NOBODY_WAIT: Duration = Duration::from_secs(5);
/// How long a chunk may take.
const CHUNK_WAIT: Duration = Duration::from_secs(5);
/// How long a validator that lost its votes waits until all views in which it may have voted are
/// over.
const AMNESIA_WAIT: Duration = Duration::from_secs(10);
/// How often the state is tried to be fetched before all blocks are instead.
const FETCHES_MAX: usize = 8;
/// Messages that wait for whoever joins.
const INBOX_MAX: usize = 64;

/// What this node offers to those that join.
#[derive(Clone, Default)]
pub(crate) struct Offers(Arc<Mutex<Offered>>);

#[derive(Default)]
struct Offered {
    tip: Option<Final>,
    states: Vec<Snapshot>,
}

impl Offers {
    fn lock(&self) -> MutexGuard<'_, Offered> {
        // It is whole between any two statements that hold the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a state, in place of the oldest if there are many.
    pub(crate) fn add(&self, snapshot: Snapshot) {
        let mut offered = self.lock();
        offered.states.push(snapshot);
        let surplus = offered.states.len().saturating_sub(OFFERS_MAX);
        offered.states.drain(..surplus);
    }

    /// Notes the newest final block.
    pub(crate) fn set_tip(&self, tip: Final) {
        self.lock().tip = Some(tip);
    }

    fn answer(&self, request: &Message) -> Option<Message> {
        match request {
            Message::Ask => {
                let offered = self.lock();
                let states = offered.states.iter();
                let states = states.map(|state| (state.node.header, state.finalization.clone()));
                Some(Message::Tip(offered.tip.clone(), states.collect()))
            }
            Message::Get(height, key) => {
                let state = {
                    let offered = self.lock();
                    let found = offered.states.iter();
                    let mut found = found.filter(|state| state.node.header.height == *height);
                    found.next().map(|snapshot| Arc::clone(&snapshot.node.state))
                };
                let chunk = state.and_then(|state| state.chunk(key));
                Some(match chunk {
                    Some(chunk) => Message::Part(*height, key.clone(), chunk.bytes),
                    None => Message::Gone(*height),
                })
            }
            Message::Tip(..) | Message::Part(..) | Message::Gone(_) => None,
        }
    }
}

/// What goes over the wire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    Ask,
    Tip(Option<Final>, Vec<(Header, Final)>),
    Get(u64, Vec<u8>),
    Part(u64, Vec<u8>, Vec<u8>),
    Gone(u64),
}

impl Message {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).expect("far below 4 GiB").to_le_bytes();
        match self {
            Self::Ask => vec![0],
            Self::Tip(tip, states) => {
                let tip = tip.as_ref().map(|tip| tip.encode().to_vec()).unwrap_or_default();
                let count = u8::try_from(states.len()).expect("few states are on offer");
                let mut bytes = [&[1][..], &length(&tip), &tip, &[count]].concat();
                for (header, finalization) in states {
                    let finalization = finalization.encode();
                    bytes.extend_from_slice(&header.to_bytes());
                    bytes.extend_from_slice(&length(&finalization));
                    bytes.extend_from_slice(&finalization);
                }
                bytes
            }
            Self::Get(height, key) => [&[2][..], &height.to_le_bytes(), key].concat(),
            Self::Part(height, key, chunk) => {
                [&[3][..], &height.to_le_bytes(), &length(key), key, chunk].concat()
            }
            Self::Gone(height) => [&[4][..], &height.to_le_bytes()].concat(),
        }
    }

    /// Reads what a stranger sent.
    pub(crate) fn from_bytes(bytes: &[u8], scheme: &Scheme) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let mut input = Input(rest);
        let message = match tag {
            0 => Self::Ask,
            1 => {
                let tip = input.framed()?;
                let tip = if tip.is_empty() { None } else { Some(finalization(tip, scheme)?) };
                let count = usize::from(input.array::<1>()?[0]);
                if count > OFFERS_MAX {
                    return None;
                }
                let mut states = Vec::with_capacity(count);
                for _ in 0..count {
                    let header = Header::from_bytes(&input.array::<HEADER_BYTES>()?);
                    states.push((header, finalization(input.framed()?, scheme)?));
                }
                Self::Tip(tip, states)
            }
            2 => {
                let height = u64::from_le_bytes(input.array()?);
                let key = input.rest();
                Self::Get(height, (key.len() <= KEY_BYTES_MAX).then(|| key.to_vec())?)
            }
            3 => {
                let height = u64::from_le_bytes(input.array()?);
                let key = input.framed()?;
                let key = (key.len() <= KEY_BYTES_MAX).then(|| key.to_vec())?;
                let chunk = input.rest();
                Self::Part(height, key, (chunk.len() <= CHUNK_BYTES_MAX).then(|| chunk.to_vec())?)
            }
            4 => Self::Gone(u64::from_le_bytes(input.array()?)),
            _ => return None,
        };
        input.0.is_empty().then_some(message)
    }
}

fn finalization(bytes: &[u8], scheme: &Scheme) -> Option<Final> {
    Final::decode_cfg(Copying(bytes), &scheme.certificate_codec_config()).ok()
}

/// Reads bytes from front to back.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn framed(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        let (framed, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(framed)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

/// Answers those that join, and hands over what answers this node.
pub(crate) async fn serve<E: Spawner>(
    context: E,
    offers: Offers,
    scheme: Scheme,
    mut sender: impl Sender<PublicKey = PublicKey>,
    mut receiver: impl Receiver<PublicKey = PublicKey>,
    mut blocker: impl Blocker<PublicKey = PublicKey>,
    answers: mpsc::Sender<(PublicKey, Message)>,
) {
    while let Ok((peer, bytes)) = receiver.recv().await {
        let Some(message) = Message::from_bytes(bytes.as_ref(), &scheme) else {
            commonware_p2p::block!(blocker, peer, "malformed message about states");
            continue;
        };
        if matches!(message, Message::Ask | Message::Get(..)) {
            let offers = offers.clone();
            let answer = beside(&context, move || offers.answer(&message)).await;
            if let Some(answer) = answer {
                sender.send(Recipients::One(peer), Bytes::from(answer.to_bytes()), false);
            }
        } else {
            // Nobody joins now, or more answers came than were asked for.
            let _ = answers.try_send((peer, message));
        }
    }
}

/// An answer and who gave it.
type Answer = (PublicKey, Message);

/// Makes the way by which answers come to [`Joining`].
pub(crate) fn inbox() -> (mpsc::Sender<Answer>, mpsc::Receiver<Answer>) {
    mpsc::channel(INBOX_MAX)
}

/// What a node that joins finds out.
pub(crate) struct Joined {
    /// A state far ahead of its own.
    pub(crate) snapshot: Option<Snapshot>,
    /// The newest final block that anybody told.
    pub(crate) tip: Option<Final>,
}

/// A node that starts, and asks others where they are.
pub(crate) struct Joining<'a, E, S, B> {
    pub(crate) context: &'a mut E,
    pub(crate) scheme: &'a Scheme,
    pub(crate) machine: &'a Arc<dyn Machine>,
    pub(crate) sender: S,
    pub(crate) blocker: B,
    pub(crate) answers: mpsc::Receiver<(PublicKey, Message)>,
    /// How many peers may answer.
    pub(crate) peers: usize,
    /// Blocks behind which fetching the state is quicker than executing them.
    pub(crate) far_blocks: u64,
}

/// States on offer, by height, with who offers them.
type Found = BTreeMap<u64, (Header, Final, Vec<PublicKey>)>;

impl<E, S, B> Joining<'_, E, S, B>
where
    E: Clock + CryptoRng + Spawner,
    S: Sender<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    /// Finds out where the chain is, and fetches its state if that is far ahead of `height`.
    ///
    /// `amnesia` is the number of views in which a validator that lost its votes may have cast
    /// some that are not over yet; 0 if it lost none.
    pub(crate) async fn join(mut self, height: u64, amnesia: u64) -> Joined {
        let mut tip = None;
        let mut snapshot = None;
        for _ in 0..FETCHES_MAX {
            let (found_tip, found) = self.ask().await;
            tip = newer(tip, found_tip);
            let far = found.into_iter().next_back();
            let Some((_, (header, finalization, peers))) = far else { break };
            if header.height < height + self.far_blocks {
                break;
            }
            tracing::info!(height = header.height, "fetching the state from peers");
            if let Some(state) = self.fetch(&header, peers).await {
                snapshot = Some(Snapshot { node: Node::new(header, state), finalization });
                break;
            }
        }
        if amnesia > 0
            && let Some(first) = tip.as_ref().map(view)
        {
            let deadline = self.context.current() + AMNESIA_WAIT;
            while tip.as_ref().is_some_and(|tip| view(tip) < first + amnesia)
                && self.context.current() < deadline
            {
                self.context.sleep(ASK_PERIOD).await;
                let (found_tip, _) = self.ask().await;
                tip = newer(tip, found_tip);
            }
        }
        Joined { snapshot, tip }
    }

    /// Asks all peers until enough answered.
    async fn ask(&mut self) -> (Option<Final>, Found) {
        let began = self.context.current();
        let (mut tip, mut found) = (None, Found::new());
        let mut answered: Vec<PublicKey> = Vec::new();
        let mut until = began + NOBODY_WAIT;
        while answered.len() < self.peers && self.context.current() < until {
            let ask = Bytes::from(Message::Ask.to_bytes());
            self.sender.send(Recipients::All, ask, false);
            let again = until.min(self.context.current() + ASK_PERIOD);
            while let Some((peer, message)) = self.next_before(again).await {
                let Message::Tip(their_tip, states) = message else { continue };
                if answered.contains(&peer) {
                    continue;
                }
                if answered.is_empty() {
                    until = until.min(self.context.current() + ANSWERS_WAIT);
                }
                answered.push(peer.clone());
                if !self.take_in(&peer, their_tip, states, &mut tip, &mut found) {
                    commonware_p2p::block!(self.blocker, peer, "told of a block that is not final");
                }
                if answered.len() == self.peers {
                    break;
                }
            }
        }
        if answered.is_empty() && self.peers > 0 {
            tracing::warn!(
                "none of {} peers answers: they are down, cannot be reached, belong to another \
                 network, do not list this node's key, or run another version",
                self.peers
            );
        }
        (tip, found)
    }

    /// Takes in an answer; returns whether it was honest.
    fn take_in(
        &mut self,
        peer: &PublicKey,
        their_tip: Option<Final>,
        states: Vec<(Header, Final)>,
        tip: &mut Option<Final>,
        found: &mut Found,
    ) -> bool {
        if let Some(theirs) = their_tip
            && tip.as_ref().is_none_or(|tip| view(tip) < view(&theirs))
        {
            let strategy = commonware_parallel::Sequential;
            if !theirs.verify(&mut *self.context, self.scheme, &strategy) {
                return false;
            }
            *tip = Some(theirs);
        }
        for (header, finalization) in states {
            if !is_final(&header, &finalization, self.scheme, &mut *self.context) {
                return false;
            }
            let offer = found.entry(header.height);
            offer.or_insert_with(|| (header, finalization, Vec::new())).2.push(peer.clone());
        }
        true
    }

    /// Fetches a state; nothing when no peer has it any more.
    async fn fetch(
        &mut self,
        header: &Header,
        mut peers: Vec<PublicKey>,
    ) -> Option<Arc<dyn crate::machine::State>> {
        let height = header.height;
        let mut restore = self.machine.restore(header.state);
        let mut next = Some(Vec::new());
        while let Some(key) = next.clone() {
            let peer = peers.first()?.clone();
            let get = Bytes::from(Message::Get(height, key.clone()).to_bytes());
            self.sender.send(Recipients::One(peer.clone()), get, false);
            let until = self.context.current() + CHUNK_WAIT;
            let chunk = loop {
                match self.next_before(until).await {
                    Some((from, Message::Part(at, begins, chunk)))
                        if from == peer && at == height && begins == key =>
                    {
                        break Some(chunk);
                    }
                    Some((from, Message::Gone(at))) if from == peer && at == height => break None,
                    Some(_) => {}
                    None => break None,
                }
            };
            let Some(chunk) = chunk else {
                peers.remove(0);
                continue;
            };
            let (given_back, accepted) = self.accept(restore, chunk).await;
            restore = given_back;
            match accepted {
                Ok(after) => next = after,
                Err(why) => {
                    commonware_p2p::block!(
                        self.blocker,
                        peer,
                        "sent a bad chunk of a state: {why}"
                    );
                    peers.remove(0);
                }
            }
        }
        match restore.finish(header) {
            Ok(state) => Some(state),
            Err(refusal) => {
                tracing::warn!("a state with the right root cannot be taken up: {refusal}");
                None
            }
        }
    }

    async fn accept(
        &self,
        mut restore: Box<dyn Restore>,
        chunk: Vec<u8>,
    ) -> (Box<dyn Restore>, Result<Option<Vec<u8>>, String>) {
        let accept = move || {
            let accepted = restore.accept(&chunk).map_err(|refusal| refusal.to_string());
            (restore, accepted)
        };
        beside(&*self.context, accept).await
    }

    /// Returns the next answer, unless none comes in time.
    async fn next_before(&mut self, until: std::time::SystemTime) -> Option<(PublicKey, Message)> {
        tokio::select! {
            biased;
            () = self.context.sleep_until(until) => None,
            answer = self.answers.recv() => answer,
        }
    }
}

fn view(finalization: &Final) -> u64 {
    finalization.proposal.round.view().get()
}

fn newer(one: Option<Final>, other: Option<Final>) -> Option<Final> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if view(&other) > view(&one) { other } else { one }),
        (one, other) => one.or(other),
    }
}
