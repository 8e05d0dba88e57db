//! `kill -9` of one validator after the other, and of two at a time.

use std::time::{Duration, Instant};

use super::load::{GO_ON_MAX, Load};
use super::{Cluster, SEED, VALIDATORS};
use crate::kill::{Dice, is_long, setting};

/// Kills of one, in the size that every build can afford; one of two comes after half of them.
const KILLS: usize = 4;
/// How long the long size goes on.
const LONG: Duration = Duration::from_secs(600);
/// The longest that all run between two kills.
const MOMENT_MAX_MS: u64 = 2_000;
/// The longest that one is down.
const DOWN_MAX_MS: u64 = 1_500;
/// How long it is looked at that nothing becomes final.
const STALL: Duration = Duration::from_secs(2);
/// Transfers that show that the network goes on.
const SOME: usize = 100;

struct Storm {
    dice: Dice,
    cluster: Cluster,
    kills: usize,
    slowest: Duration,
    /// The longest that nothing was acknowledged after a kill of one.
    gap: Duration,
}

impl Storm {
    fn pick(&mut self) -> usize {
        usize::try_from(self.dice.next() % VALIDATORS as u64).unwrap()
    }

    async fn kill(&mut self, victim: usize) {
        self.kills += 1;
        self.cluster.members[victim].service.kill().await;
    }

    async fn restart(&mut self, victim: usize) {
        let took = self.cluster.members[victim].start().await;
        self.slowest = self.slowest.max(took);
    }

    /// Kills one, and checks that the others go on.
    async fn strike_one(&mut self, load: &Load) {
        let victim = self.pick();
        let (moment, down) = (self.dice.moment(MOMENT_MAX_MS), self.dice.moment(DOWN_MAX_MS));
        self.cluster.wait(&[], moment).await;
        println!("kill {}: node {victim} after {moment:?}, for {down:?}", self.kills + 1);
        self.kill(victim).await;
        let gap = load.goes_on(SOME).await;
        println!("  {SOME} transfers acknowledged {gap:?} after it");
        self.gap = self.gap.max(gap);
        self.cluster.wait(&[], down).await;
        self.restart(victim).await;
    }

    /// Kills two, and checks that nothing becomes final until one of them is back.
    async fn strike_two(&mut self, load: &Load) {
        let first = self.pick();
        let second = (first + 1 + self.pick() % (VALIDATORS - 1)) % VALIDATORS;
        println!("kills {} and {}: nodes {first} and {second}", self.kills + 1, self.kills + 2);
        let left: Vec<usize> =
            (0..VALIDATORS).filter(|node| *node != first && *node != second).collect();
        self.kill(first).await;
        self.kill(second).await;
        let height = self.cluster.stands_still(&left, STALL, load).await;
        self.restart(second).await;
        let took = self.cluster.pass(&left, height, GO_ON_MAX).await;
        println!("  goes on {took:?} after one of them answers again");
        self.restart(first).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_killed_at_any_moment_lose_nothing_acknowledged() {
    let seed = setting("IDLEWILD_SEED").unwrap_or(SEED);
    println!("IDLEWILD_SEED={seed}");
    let began = Instant::now();
    let mut cluster = Cluster::make();
    cluster.start().await;
    let load = Load::begin(&cluster.clients()).await;
    load.goes_on(SOME).await;
    let (slowest, gap) = (Duration::ZERO, Duration::ZERO);
    let mut storm = Storm { dice: Dice(seed), cluster, kills: 0, slowest, gap };
    let stormed = Instant::now();
    loop {
        for round in 0..KILLS {
            if round == KILLS / 2 {
                storm.strike_two(&load).await;
            }
            storm.strike_one(&load).await;
        }
        if !is_long() || stormed.elapsed() >= LONG {
            break;
        }
    }
    let record = load.end().await;
    let height = storm.cluster.agree(&record).await;
    println!(
        "{} kills in {height} blocks, slowest restart {:?}, at most {:?} until the others went on, \
         {} transfers acknowledged and 0 lost, {:?}",
        storm.kills,
        storm.slowest,
        storm.gap,
        record.count(),
        began.elapsed()
    );
    storm.cluster.end().await;
}
