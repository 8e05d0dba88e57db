//! A chain of the simplest machine, with faults.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

#[path = "../../chain/tests/counter/mod.rs"]
mod counter;

use std::{sync::Arc, time::Duration};

use chain::Handle;
use faults::{Line, Options, World, simulate};

use counter::{Counter, Replica, assert_agreement};

/// A world of counters.
struct Counters {
    world: World,
    counters: Vec<Arc<Counter>>,
}

fn with_counters<T>(
    seed: u64,
    validators: usize,
    followers: usize,
    script: impl AsyncFnOnce(Counters) -> T,
) -> T {
    let counters: Vec<Arc<Counter>> = (0..validators + followers).map(|_| Arc::default()).collect();
    let machines = counters.clone();
    let options = Options {
        validators,
        followers,
        twins: Vec::new(),
        genesis: [7; 32],
        machines: Arc::new(move |place| Arc::new(Replica(Arc::clone(&machines[place])))),
        body_bytes_max: 1_024,
        blocks_kept: 32,
        offer_every: 32,
        link: Line::GOOD,
    };
    simulate(seed, options, async |world| script(Counters { world, counters }).await)
}

impl Counters {
    async fn start(&mut self, places: impl IntoIterator<Item = usize>) {
        for place in places {
            self.world.start(place).await;
        }
    }

    /// Gives a number to a node, as somebody would who sees it run.
    fn give(&self, place: usize, number: u64) {
        self.counters[place].waiting.lock().unwrap().insert(number);
        if let Some(handle) = self.world.handle(place) {
            handle.wake();
        }
    }

    fn height(&self, place: usize) -> u64 {
        self.counters[place].height()
    }

    fn numbers(&self, place: usize) -> Vec<u64> {
        self.counters[place].numbers()
    }

    async fn until(&self, what: &str, seconds: u64, holds: impl Fn(&Self) -> bool) {
        let deadline = self.world.now() + Duration::from_secs(seconds);
        while !holds(self) {
            assert!(self.world.now() < deadline, "not within {seconds} s: {what}");
            self.world.sleep(Duration::from_millis(10)).await;
        }
    }

    fn agree(&self) {
        assert_agreement(&self.counters);
    }
}

#[test]
fn one_validator_is_a_chain() {
    with_counters(1, 1, 0, async |mut counters| {
        counters.start([0]).await;
        counters.until("it starts", 10, |counters| counters.world.handle(0).is_some()).await;
        counters.give(0, 17);
        counters.until("the number is final", 1, |counters| counters.numbers(0) == [17]).await;
        // Nobody waits, so nothing happens.
        counters.world.sleep(Duration::from_secs(30)).await;
        assert_eq!(counters.height(0), 1);
    });
}

/// A block that is on disk and has its vote, but not that it is final, waits for no heartbeat.
#[test]
fn one_validator_answers_soon_after_a_crash_at_any_moment() {
    for ms in 0..60 {
        with_counters(ms, 1, 0, async |mut counters| {
            counters.start([0]).await;
            counters.world.sleep(Duration::from_secs(1)).await;
            counters.give(0, 1);
            counters.world.sleep(Duration::from_millis(ms)).await;
            counters.world.crash(0).await;
            counters.start([0]).await;
            let what = format!("the number is final, {ms} ms");
            counters.until(&what, 5, |counters| counters.numbers(0) == [1]).await;
        });
    }
}

#[test]
fn four_validators_and_a_follower_agree() {
    with_counters(2, 4, 1, async |mut counters| {
        counters.start(0..5).await;
        for place in 0..4 {
            counters.give(place, 100 + place as u64);
        }
        let all = |counters: &Counters| (0..5).all(|place| counters.numbers(place).len() == 4);
        counters.until("all numbers are final everywhere", 20, all).await;
        counters.agree();
    });
}

#[test]
fn a_node_that_crashed_goes_on() {
    with_counters(3, 4, 0, async |mut counters| {
        counters.start(0..4).await;
        for number in 0_u8..40 {
            counters.give(usize::from(number % 4), u64::from(number));
            counters.world.sleep(Duration::from_millis(200)).await;
            if number % 10 == 5 {
                let place = usize::from(number / 10);
                counters.world.crash(place).await;
                counters.world.sleep(Duration::from_secs(3)).await;
                counters.start([place]).await;
            }
        }
        let all = |counters: &Counters| (0..4).all(|place| counters.numbers(place).len() == 40);
        counters.until("all numbers are final everywhere", 30, all).await;
        counters.agree();
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        with_counters(seed, 4, 0, async |mut counters| {
            counters.start(0..4).await;
            counters.give(1, 5);
            counters.until("it is final", 20, |counters| counters.numbers(0) == [5]).await;
            (counters.world.now(), counters.height(0))
        })
    };
    assert_eq!(run(4), run(4));
}

/// A handle is what the rest of a program has of a chain.
#[test]
fn final_blocks_are_read_with_their_certificates() {
    with_counters(5, 4, 0, async |mut counters| {
        counters.start(0..4).await;
        counters.give(2, 9);
        counters.until("it is final", 20, |counters| counters.numbers(0) == [9]).await;
        let handle: Handle = counters.world.handle(0).unwrap();
        let height = counters.height(0);
        let block = handle.block(height).await.unwrap();
        let certificate = block.certificate.unwrap();
        assert_eq!(certificate.block, block.header.digest());
        assert!(certificate.signatures.len() >= 3);
        assert_eq!(handle.block(height + 100).await, None);
    });
}

/// Blocks that nobody has any more are not needed to join.
#[test]
fn a_wiped_node_takes_the_state_and_votes_again() {
    with_counters(6, 4, 0, async |mut counters| {
        counters.start(0..4).await;
        counters.world.sleep(Duration::from_secs(60)).await;
        counters.world.crash(3).await;
        counters.world.wipe(3);
        counters.counters[3].finals.lock().unwrap().clear();
        for number in 0_u16..600 {
            counters.give(usize::from(number % 3), u64::from(number));
            counters.world.sleep(Duration::from_millis(100)).await;
        }
        counters.start([3]).await;
        let caught_up = |counters: &Counters| counters.height(3) + 3 > counters.height(0);
        counters.until("it is where the others are", 30, caught_up).await;
        let first = *counters.counters[3].finals.lock().unwrap().keys().next().unwrap();
        assert!(first > 32 && first % 32 == 1, "it began with block {first}");
        // Without its vote the others cannot go on.
        counters.world.crash(0).await;
        counters.give(1, 1_000);
        let goes_on = |counters: &Counters| counters.numbers(3).contains(&1_000);
        counters.until("it is final", 30, goes_on).await;
        counters.agree();
    });
}

#[test]
fn halves_wait_for_each_other() {
    with_counters(7, 4, 0, async |mut counters| {
        counters.start(0..4).await;
        counters.give(0, 1);
        counters.until("it is final", 20, |counters| counters.numbers(3) == [1]).await;
        counters.world.cut(&[0, 1], &[2, 3]).await;
        counters.world.cut(&[2, 3], &[0, 1]).await;
        counters.world.sleep(Duration::from_secs(2)).await;
        let stalled = counters.height(0);
        for place in 0..4 {
            counters.give(place, 2);
        }
        counters.world.sleep(Duration::from_secs(20)).await;
        assert_eq!(counters.height(0), stalled, "two of four are no quorum");
        counters.world.join(&[0, 1], &[2, 3], Line::GOOD).await;
        counters.world.join(&[2, 3], &[0, 1], Line::GOOD).await;
        let all = |counters: &Counters| (0..4).all(|place| counters.numbers(place) == [1, 2]);
        counters.until("it is final everywhere", 30, all).await;
        counters.agree();
    });
}
