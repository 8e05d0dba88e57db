//! What a node's disk and a dishonest validator can do, one at a time.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

#[path = "../../chain/tests/counter/mod.rs"]
#[expect(dead_code, reason = "shared with tests that need more of it")]
mod counter;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use chain::{Finalized, Hash, Header, Machine, Restore, State};
use faults::{DISK_FAILS, Line, Options, Sickness, World, simulate, validators};

use counter::{Counter, Replica};

/// A replica that may fail.
struct Mortal(Replica);

impl Machine for Mortal {
    fn genesis(&self) -> Arc<dyn State> {
        self.0.genesis()
    }

    fn restore(&self, root: Hash) -> Box<dyn Restore> {
        self.0.restore(root)
    }

    fn resumed(&self, header: &Header, state: &Arc<dyn State>) {
        self.0.resumed(header, state);
    }

    fn finalized(&self, block: &Finalized) {
        self.0.finalized(block);
    }

    fn heard(&self, message: Bytes) {
        self.0.heard(message);
    }

    fn failed(&self, _: String) {}

    fn time(&self, clock_ms: u64) -> Result<u64, String> {
        self.0.time(clock_ms)
    }
}

/// A world of four validators.
struct Four {
    world: World,
    counters: Vec<Arc<Counter>>,
}

fn with_four<T>(seed: u64, twins: Vec<usize>, script: impl AsyncFnOnce(Four) -> T) -> T {
    let counters: Vec<Arc<Counter>> = (0..4 + twins.len()).map(|_| Arc::default()).collect();
    let machines = counters.clone();
    let options = Options {
        validators: 4,
        followers: 0,
        twins,
        genesis: [7; 32],
        machines: Arc::new(move |place| Arc::new(Mortal(Replica(Arc::clone(&machines[place]))))),
        body_bytes_max: 1_024,
        blocks_kept: 32,
        offer_every: 32,
        link: Line::GOOD,
    };
    simulate(seed, options, async |mut world| {
        for place in 0..world.len() {
            world.start(place).await;
        }
        script(Four { world, counters }).await
    })
}

impl Four {
    fn height(&self, place: usize) -> u64 {
        self.counters[place].height()
    }

    fn is_level(&self, place: usize) -> bool {
        self.height(place) + 3 > self.height(0)
    }

    /// Gives a number to three of the nodes every 100 ms.
    async fn work(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let place = usize::try_from(number % 3).unwrap();
            self.counters[place].waiting.lock().unwrap().insert(number);
            if let Some(handle) = self.world.handle(place) {
                handle.wake();
            }
            self.world.sleep(Duration::from_millis(100)).await;
        }
    }

    async fn until(&self, what: &str, seconds: u64, holds: impl Fn(&Self) -> bool) {
        let deadline = self.world.now() + Duration::from_secs(seconds);
        while !holds(self) {
            assert!(self.world.now() < deadline, "not within {seconds} s: {what}");
            self.world.sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns the heights at which two of these were told of different blocks.
    fn forks(&self, places: &[usize]) -> usize {
        let mut told = BTreeMap::new();
        let finals = places.iter().map(|place| self.counters[*place].finals.lock().unwrap());
        let all = finals.map(|finals| finals.clone()).collect::<Vec<_>>();
        let forks = all
            .iter()
            .flatten()
            .filter(|(height, digest)| *told.entry(*height).or_insert(*digest) != *digest);
        forks.count()
    }
}

const UNOPENED: Sickness =
    Sickness { writes_percent: 0, syncs_percent: 0, reads_percent: 0, opens_percent: 100 };
const UNSYNCED: Sickness =
    Sickness { writes_percent: 0, syncs_percent: 100, reads_percent: 0, opens_percent: 0 };

#[test]
fn a_disk_that_fails_ends_its_own_node_and_no_other() {
    with_four(1, Vec::new(), async |mut four| {
        four.work(0..20).await;
        four.world.sicken(3, Some(UNSYNCED));
        four.until("the node ends", 10, |four| four.world.ended(3).is_some()).await;
        let why = four.world.ended(3).unwrap();
        assert!(why.contains(DISK_FAILS), "{why}");
        let before = four.height(0);
        four.work(20..60).await;
        assert!(four.height(0) > before + 5, "the others go on");
        four.world.sicken(3, None);
        four.world.start(3).await;
        four.until("it is where the others are", 20, |four| four.is_level(3)).await;
        assert_eq!(four.forks(&[0, 1, 2, 3]), 0);
        let honest = validators(4).iter().map(|(_, validator)| validator.key).collect::<Vec<_>>();
        assert!(honest.iter().all(|key| four.world.record().contradictions(key) == 0));
    });
}

/// Blocks before the state that it took are nowhere any more.
#[test]
fn a_state_that_cannot_be_read_now_is_there_once_the_disk_is_well() {
    with_four(2, Vec::new(), async |mut four| {
        four.world.sleep(Duration::from_secs(60)).await;
        four.world.crash(3).await;
        four.world.wipe(3);
        four.counters[3].finals.lock().unwrap().clear();
        four.work(0..400).await;
        four.world.start(3).await;
        four.until("it took the state", 30, |four| four.is_level(3)).await;
        four.world.sicken(3, Some(UNOPENED));
        four.world.start(3).await;
        four.until("the node ends", 10, |four| four.world.ended(3).is_some()).await;
        let why = four.world.ended(3).unwrap();
        assert!(why.contains(DISK_FAILS), "{why}");
        four.world.sicken(3, None);
        four.counters[3].finals.lock().unwrap().clear();
        four.world.start(3).await;
        four.work(400..420).await;
        assert_eq!(four.world.ended(3), None);
        four.until("it is where the others are", 30, |four| four.is_level(3)).await;
    });
}

/// It asks the others where the chain is, who have just started themselves.
#[test]
fn who_lost_its_votes_does_not_contradict_them_when_all_start_at_once() {
    with_four(4, Vec::new(), async |mut four| {
        four.work(0..30).await;
        for place in 0..4 {
            four.world.crash(place).await;
        }
        four.world.wipe(3);
        four.counters[3].finals.lock().unwrap().clear();
        for place in 0..4 {
            four.world.start(place).await;
        }
        four.work(30..60).await;
        four.until("it is where the others are", 30, |four| four.is_level(3)).await;
        let key = validators(4)[3].1.key;
        assert_eq!(four.world.record().contradictions(&key), 0);
    });
}

/// Lets validators at these places vote in two networks that hear nothing of each other, and
/// returns how many heights the two honest halves see differently.
fn forks_with(twins: Vec<usize>) -> usize {
    let equivocators = twins.clone();
    with_four(3, twins, async |four| {
        let (one, other) = ([0, 1, 2], [0, 1, 3]);
        for (second, first) in equivocators.iter().enumerate() {
            four.world.limit_talk(*first, &one);
            four.world.limit_talk(4 + second, &other);
        }
        four.world.cut(&[2], &[3]).await;
        four.world.cut(&[3], &[2]).await;
        four.counters[3].waiting.lock().unwrap().insert(1_000);
        four.work(0..100).await;
        let keys = validators(4);
        for place in &equivocators {
            assert!(four.world.record().contradictions(&keys[*place].1.key) > 0);
        }
        four.forks(&[2, 3])
    })
}

/// What the simulation checks, it sees when it is broken.
#[test]
fn one_equivocator_of_four_does_not_divide_the_honest_and_two_do() {
    assert_eq!(forks_with(vec![0]), 0);
    assert!(forks_with(vec![0, 1]) > 0);
}
