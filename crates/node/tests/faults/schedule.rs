//! What goes wrong, and what must hold all the same.

use std::{collections::BTreeSet, fmt, ops::Add, time::Duration};

use faults::{Line, simulate, simulate_power_loss};
use node::replica::Replica;

use crate::{
    network::{Network, Nodes, genesis, options},
    people::{People, keys},
};

/// How many people send.
const PEOPLE: u8 = 6;
/// Ticks between two things that go wrong.
const TROUBLE_EVERY_TICKS: u64 = 60;
/// Ticks of trouble: 15 s.
const TROUBLE_TICKS: u64 = 1_500;
/// Ticks between two that send, on average.
const ACT_TICKS: u64 = 15;
/// Ticks within which all goes on once the trouble is over: 30 s.
const RECOVERY_TICKS: u64 = 3_000;

/// Randomness from a seed.
pub(crate) struct Dice(u64);

impl Dice {
    /// Returns a number below a bound, by `SplitMix64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.place(from.len())])
    }

    pub(crate) fn place(&mut self, among: usize) -> usize {
        usize::try_from(self.below(among as u64)).unwrap()
    }
}

/// What was played.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Played {
    blocks: u64,
    acknowledged: u64,
    crashes: u64,
    cuts: u64,
    wipes: u64,
    lines: u64,
    skews: u64,
    power_losses: u64,
    liars: u64,
}

impl Add for Played {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            blocks: self.blocks + other.blocks,
            acknowledged: self.acknowledged + other.acknowledged,
            crashes: self.crashes + other.crashes,
            cuts: self.cuts + other.cuts,
            wipes: self.wipes + other.wipes,
            lines: self.lines + other.lines,
            skews: self.skews + other.skews,
            power_losses: self.power_losses + other.power_losses,
            liars: self.liars + other.liars,
        }
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, acknowledged, crashes, cuts, wipes, lines, .. } = self;
        let Self { skews, power_losses, liars, .. } = self;
        write!(
            f,
            "{blocks} blocks, {acknowledged} transactions acknowledged, {crashes} crashes, \
             {cuts} partitions, {lines} bad lines, {wipes} disks lost, {skews} clocks off, \
             {power_losses} times all power lost, {liars} liars"
        )
    }
}

/// Plays what a seed says, and checks what must hold.
pub(crate) fn play(seed: u64) -> Played {
    let mut dice = Dice(seed);
    let validators = [4, 4, 4, 1, 3, 7][dice.place(6)];
    let followers = dice.place(2);
    let genesis = genesis(validators, &keys(PEOPLE));
    let (options, memories, replicas) = options(&genesis, followers);
    // As many as that may be dishonest.
    let liar = (validators >= 4 && dice.below(3) == 0).then(|| dice.place(validators));
    let power_fails = dice.below(3) == 0;
    let begin = |world| Play {
        network: Network::new(world, &genesis, memories, replicas),
        people: People::new(PEOPLE),
        dice,
        validators,
        liar,
        down: BTreeSet::new(),
        wiped: false,
        played: Played { liars: u64::from(liar.is_some()), ..Played::default() },
    };
    if !power_fails {
        return simulate(seed, options, async |world| {
            let mut play = begin(world);
            play.trouble_for_a_while().await;
            play.finish().await
        });
    }
    let before = async |world| {
        let mut play = begin(world);
        play.trouble_for_a_while().await;
        play.played.power_losses += 1;
        let (world, nodes) = play.network.lose_power();
        (world, (nodes, play.people, play.dice, play.played))
    };
    let after = async |world, (nodes, people, dice, played): (Nodes, People, Dice, Played)| {
        let network = nodes.restart(world);
        let down = (0..network.len()).collect();
        let wiped = true;
        let mut play = Play { network, people, dice, validators, liar, down, wiped, played };
        play.finish().await
    };
    simulate_power_loss(seed, options, before, after)
}

struct Play {
    network: Network,
    people: People,
    dice: Dice,
    validators: usize,
    /// A validator that puts what nobody signed into its blocks.
    liar: Option<usize>,
    /// Nodes that do not run.
    down: BTreeSet<usize>,
    wiped: bool,
    played: Played,
}

impl Play {
    async fn trouble_for_a_while(&mut self) {
        for place in 0..self.network.len() {
            self.network.start(place).await;
        }
        for tick in 0..TROUBLE_TICKS {
            if tick % TROUBLE_EVERY_TICKS == 0 {
                self.trouble().await;
                self.lie();
            }
            self.live(true).await;
        }
    }

    /// Ends the trouble; all must go on, and nothing be lost.
    async fn finish(&mut self) -> Played {
        self.heal().await;
        self.recover().await;
        self.check();
        self.played
    }

    /// Lets the liar take somebody's funds.
    fn lie(&mut self) {
        let Some(liar) = self.liar.and_then(|place| self.network.replica(place)) else { return };
        self.people.forge(&mut self.dice, &liar);
    }

    /// Lets a tick pass in which people act, and wait for answers.
    async fn live(&mut self, sends: bool) {
        self.network.tick().await;
        let (nodes, genesis) = (self.honest(), self.network.genesis);
        self.people.listen_all();
        if sends && self.dice.below(ACT_TICKS) == 0 {
            self.people.act(&mut self.dice, &genesis, &nodes);
        } else {
            self.people.insist(&mut self.dice, &nodes);
        }
    }

    /// Returns the nodes that run.
    fn nodes(&self) -> Vec<Replica> {
        (0..self.network.len()).filter_map(|place| self.network.replica(place)).collect()
    }

    /// Returns the nodes that run and whose answers are true.
    fn honest(&self) -> Vec<Replica> {
        let honest = (0..self.network.len()).filter(|place| Some(*place) != self.liar);
        honest.filter_map(|place| self.network.replica(place)).collect()
    }

    fn run_all(&self) -> bool {
        self.nodes().len() == self.network.len()
    }

    /// Does one of the things that go wrong.
    async fn trouble(&mut self) {
        let all: Vec<usize> = (0..self.network.len()).collect();
        let place = self.dice.place(all.len());
        match self.dice.below(11) {
            0..=2 => {
                self.network.crash(place).await;
                self.down.insert(place);
                self.played.crashes += 1;
            }
            3..=6 => {
                if let Some(place) = self.down.pop_first() {
                    self.network.start(place).await;
                }
            }
            7 => {
                let (one, other): (Vec<usize>, Vec<usize>) =
                    all.iter().partition(|_| self.dice.below(2) == 0);
                self.network.world.cut(&one, &other).await;
                // Half of the time the others still hear the one side.
                if self.dice.below(2) == 0 {
                    self.network.world.cut(&other, &one).await;
                }
                self.played.cuts += 1;
            }
            8 => {
                let latency = Duration::from_millis(5 + self.dice.below(400));
                let jitter = Duration::from_millis(self.dice.below(200));
                let arrive_percent = u8::try_from(60 + self.dice.below(41)).unwrap();
                let line = Line { latency, jitter, arrive_percent };
                self.network.world.join(&[place], &all, line).await;
                self.played.lines += 1;
            }
            9 => {
                let ms = i64::try_from(self.dice.below(3_000)).unwrap() - 1_500;
                self.network.skew(place, ms);
                self.played.skews += 1;
            }
            _ => self.lose_disk(place).await,
        }
        if self.dice.below(3) == 0 {
            self.network.world.join(&all, &all, Line::GOOD).await;
        }
    }

    /// Takes a node's disk away, once, where the others still know everything.
    async fn lose_disk(&mut self, place: usize) {
        if self.wiped || self.validators < 4 {
            return;
        }
        self.wiped = true;
        self.network.crash(place).await;
        self.network.wipe(place);
        self.down.insert(place);
        self.played.wipes += 1;
    }

    async fn heal(&mut self) {
        let all: Vec<usize> = (0..self.network.len()).collect();
        self.network.world.join(&all, &all, Line::GOOD).await;
        for place in &all {
            self.network.skew(*place, 0);
        }
        while let Some(place) = self.down.pop_first() {
            self.network.start(place).await;
        }
    }

    /// Waits until everything goes on at every node.
    async fn recover(&mut self) {
        let mut sent = false;
        for _ in 0..RECOVERY_TICKS {
            // First what is open is answered, then something is sent through each node.
            self.live(false).await;
            if !self.people.are_done() {
                continue;
            }
            if sent && self.is_level() {
                return;
            }
            if !sent && self.run_all() {
                sent = true;
                let genesis = self.network.genesis;
                for node in self.honest() {
                    self.people.act(&mut self.dice, &genesis, &[node]);
                }
            }
        }
        let state = |place: usize| match self.network.replica(place) {
            Some(replica) => {
                let height = replica.committed().header.height;
                format!("block {height}, {} wait", replica.waiting())
            }
            None => "does not run".to_owned(),
        };
        let states: Vec<_> = (0..self.network.len()).map(state).collect();
        panic!("it does not go on within 30 s: {states:?}; open: {}", self.people.open());
    }

    /// Returns whether all nodes have the same last block.
    fn is_level(&self) -> bool {
        let nodes = self.nodes();
        let mut headers = nodes.iter().map(|replica| replica.committed().header);
        let first = headers.next();
        self.run_all() && headers.all(|header| Some(header) == first)
    }

    fn check(&mut self) {
        let told = self.network.agreed();
        for (id, height) in &self.people.acknowledged {
            assert!(told[height].ids.contains(id), "{id} was acknowledged and is not in {height}");
        }
        let happened: BTreeSet<_> = told.values().flat_map(|told| &told.ids).collect();
        let count: usize = told.values().map(|told| told.ids.len()).sum();
        assert_eq!(happened.len(), count, "a transaction happened twice");
        assert!(self.people.known_done.iter().all(|id| happened.contains(id)));
        assert!(!self.people.forged.iter().any(|id| happened.contains(id)), "a forgery is final");
        for place in 0..self.network.len() {
            let committed = self.network.replica(place).unwrap().committed();
            committed.ledger.recount().unwrap();
        }
        self.played.blocks = told.keys().next_back().copied().unwrap_or(0);
        self.played.acknowledged = self.people.acknowledged.len() as u64;
    }
}
