//! Places that are few: so many in all, and a share of them for each peer.
//!
//! Whoever wants a place takes it from the share of its peer first and from all then. So a peer
//! whose share is used up keeps nobody but itself waiting. Where some ask for more than others, a
//! place is a unit of what they ask for.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;

/// Lets so many in at a time.
#[derive(Debug)]
pub(crate) struct Gate {
    places: u32,
    share: u32,
    all: Arc<Semaphore>,
    /// The shares of those peers that hold a place or wait for one.
    peers: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// Places of a gate, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _of_peer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Gate {
    /// Has so many places, of which one peer may hold at most `share`.
    pub(crate) fn new(places: u32, share: u32) -> Self {
        let all = Arc::new(semaphore(places));
        Self { places, share, all, peers: Mutex::default() }
    }

    fn share_of(&self, peer: IpAddr) -> Arc<Semaphore> {
        // The map is whole between any two statements that hold the lock.
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = peers.get(&peer).and_then(Weak::upgrade) {
            return share;
        }
        peers.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(semaphore(self.share));
        peers.insert(peer, Arc::downgrade(&share));
        share
    }

    /// Takes so many places if they are free now.
    pub(crate) fn try_enter(&self, peer: IpAddr, count: u32) -> Option<Place> {
        let of_peer = self.share_of(peer).try_acquire_many_owned(count).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(count).ok()?;
        Some(Place { _of_peer: of_peer, _of_all: of_all })
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self, peer: IpAddr) -> Place {
        let open = "a gate is never closed";
        let of_peer = self.share_of(peer).acquire_owned().await.expect(open);
        let of_all = Arc::clone(&self.all).acquire_owned().await.expect(open);
        Place { _of_peer: of_peer, _of_all: of_all }
    }

    /// Returns how many places are taken.
    pub(crate) fn taken(&self) -> u64 {
        u64::from(self.places).saturating_sub(self.all.available_permits() as u64)
    }

    /// Waits until nobody holds a place.
    pub(crate) async fn emptied(&self) {
        let all = self.all.acquire_many(self.places).await;
        drop(all.expect("a gate is never closed"));
    }
}

fn semaphore(places: u32) -> Semaphore {
    Semaphore::new(usize::try_from(places).unwrap_or(Semaphore::MAX_PERMITS))
}

/// Quotes that are worked out at a time: each may look at every offer.
const QUOTES_MAX: u32 = 4;
const QUOTES_MAX_PER_PEER: u32 = 2;
/// KiB of submissions that are held in memory at a time.
const SUBMISSIONS_KIB_MAX: u32 = 64 * 1024;
const SUBMISSIONS_KIB_MAX_PER_PEER: u32 = 32 * 1024;

/// The gates of a server.
#[derive(Debug)]
pub(crate) struct Gates {
    pub(crate) connections: Gate,
    pub(crate) event_streams: Gate,
    pub(crate) uploads: Gate,
    pub(crate) quotes: Gate,
    /// A place is a KiB, as announced: whoever sends slowly keeps what it may send.
    pub(crate) submissions: Gate,
}

impl Gates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            connections: Gate::new(limits.connections, limits.connections_per_peer),
            event_streams: Gate::new(limits.event_streams, limits.event_streams_per_peer),
            uploads: Gate::new(limits.uploads, limits.uploads_per_peer),
            quotes: Gate::new(QUOTES_MAX, QUOTES_MAX_PER_PEER),
            submissions: Gate::new(SUBMISSIONS_KIB_MAX, SUBMISSIONS_KIB_MAX_PER_PEER),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn a_peer_has_its_share_and_all_have_the_rest() {
        let gate = Gate::new(5, 3);
        let first = gate.try_enter(peer(1), 3).unwrap();
        assert!(gate.try_enter(peer(1), 1).is_none());
        assert!(gate.try_enter(peer(2), 3).is_none());
        let second = gate.try_enter(peer(2), 2).unwrap();
        assert!(gate.try_enter(peer(3), 1).is_none());
        assert_eq!(gate.taken(), 5);
        drop((first, second));
        assert_eq!(gate.taken(), 0);
        assert!(gate.try_enter(peer(2), 3).is_some());
        assert!(gate.try_enter(peer(2), 4).is_none());
    }

    #[test]
    fn who_waits_for_its_own_share_holds_up_nobody() {
        let gate = Gate::new(2, 1);
        let place = gate.enter(peer(1)).now_or_never().unwrap();
        let mut waiting = Box::pin(gate.enter(peer(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        let other = gate.enter(peer(2)).now_or_never().unwrap();
        assert!(gate.emptied().now_or_never().is_none());
        drop(place);
        let place = waiting.now_or_never().unwrap();
        drop((place, other));
        assert!(gate.emptied().now_or_never().is_some());
    }

    #[test]
    fn only_those_inside_are_remembered() {
        let gate = Gate::new(10, 1);
        let held = gate.try_enter(peer(0), 1).unwrap();
        for number in 1..1_000 {
            assert!(gate.try_enter(peer(number), 1).is_some());
        }
        assert!(gate.peers.lock().unwrap().len() <= 2);
        assert!(gate.try_enter(peer(0), 1).is_none());
        drop(held);
    }
}
