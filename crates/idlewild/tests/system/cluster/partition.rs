//! Cut wires between validators on hosts of their own: two against two, and three against one.

use std::time::{Duration, Instant};

use super::load::Load;
use super::wires::Wires;
use super::{Cluster, SEED, SETTLE, VALIDATORS};
use crate::kill::{Dice, is_long, setting};

/// How long the long size goes on.
const LONG: Duration = Duration::from_secs(600);
/// How long wires are cut in the size that every build can afford.
const CUT: Duration = Duration::from_secs(2);
/// The longest that they are cut in the long size: longer than connections live without a word.
const CUT_MAX_MS: u64 = 90_000;
/// The longest until all go on once the wires are whole.
const HEAL_MAX: Duration = Duration::from_secs(30);
/// Transfers that show that the network goes on.
const SOME: usize = 100;

const ALL: [usize; VALIDATORS] = [0, 1, 2, 3];

impl Cluster {
    /// Makes a network of nodes on hosts of their own.
    fn on(wires: &Wires) -> Self {
        let hosts: Vec<String> = ALL.iter().map(|host| Wires::address(*host).to_string()).collect();
        Self::made(&["--hosts", &hosts.join(",")], |host, node, service| {
            let url = node["url"].as_str().unwrap();
            assert!(url.contains(&hosts[host]), "{node}");
            let asked = url.replace(&hosts[host], &wires.asked_at(host).to_string());
            (service.within(wires.namespace(host)), asked)
        })
    }
}

struct Storm {
    dice: Dice,
    cluster: Cluster,
    wires: Wires,
    /// The longest until all went on once the wires were whole.
    healed: Duration,
}

impl Storm {
    fn pick(&mut self) -> usize {
        usize::try_from(self.dice.next() % VALIDATORS as u64).unwrap()
    }

    fn time(&mut self) -> Duration {
        if is_long() { CUT + self.dice.moment(CUT_MAX_MS) } else { CUT }
    }

    /// Cuts the network in halves: neither agrees on anything, and both answer.
    async fn halve(&mut self, load: &Load) {
        let time = self.time();
        let first = self.pick();
        let half = [first, (first + 1 + self.pick() % (VALIDATORS - 1)) % VALIDATORS];
        println!("cuts nodes {half:?} off for {time:?}");
        self.wires.cut(&half);
        let height = self.cluster.stands_still(&ALL, time, load).await;
        self.heal(height, load).await;
    }

    /// Cuts one off: the others go on without it, and it answers for the past.
    async fn part(&mut self, load: &Load) {
        let (time, victim) = (self.time(), self.pick());
        println!("cuts node {victim} off for {time:?}");
        self.wires.cut(&[victim]);
        let before = self.cluster.wait(&[victim], SETTLE).await;
        println!("  {SOME} transfers acknowledged {:?} after it", load.goes_on(SOME).await);
        let after = self.cluster.wait(&[victim], time).await;
        assert_eq!(before, after, "node {victim} agreed with itself");
        let mut height = 0;
        for member in &self.cluster.members {
            height = height.max(member.height().await);
        }
        assert!(height > after[0], "the others went on");
        self.heal(height, load).await;
    }

    /// Joins all again, and waits until transfers are final and all know it.
    async fn heal(&mut self, height: u64, load: &Load) {
        self.wires.heal();
        let began = Instant::now();
        self.cluster.pass(&ALL, height, HEAL_MAX).await;
        load.goes_on(SOME).await;
        let mut now = 0;
        for member in &self.cluster.members {
            now = now.max(member.height().await);
        }
        self.cluster.pass(&ALL, now, HEAL_MAX).await;
        let took = began.elapsed();
        println!("  all go on {took:?} after the wires are whole");
        assert!(took < HEAL_MAX, "{took:?} until all go on");
        self.healed = self.healed.max(took);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_cut_off_from_each_other_lose_nothing_and_go_on_once_joined() {
    let seed = setting("IDLEWILD_SEED").unwrap_or(SEED);
    println!("IDLEWILD_SEED={seed}");
    let Some(wires) = Wires::lay(VALIDATORS) else { return };
    let mut cluster = Cluster::on(&wires);
    cluster.start().await;
    let load = Load::begin(&cluster.clients()).await;
    load.goes_on(SOME).await;
    let mut storm = Storm { dice: Dice(seed), cluster, wires, healed: Duration::ZERO };
    let began = Instant::now();
    let mut cuts = 0;
    loop {
        storm.halve(&load).await;
        storm.part(&load).await;
        cuts += 2;
        if !is_long() || began.elapsed() >= LONG {
            break;
        }
    }
    let record = load.end().await;
    let height = storm.cluster.agree(&record).await;
    println!(
        "{cuts} cuts in {height} blocks, all go on {:?} after the wires are whole at the latest, \
         {} transfers acknowledged and 0 lost",
        storm.healed,
        record.count()
    );
    storm.cluster.end().await;
}
