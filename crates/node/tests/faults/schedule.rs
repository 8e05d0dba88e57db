//! What goes wrong, and what must hold all the same.

use std::collections::BTreeSet;

use faults::{DISK_FAILS, Disorder, Line, simulate, simulate_power_loss, validators};
use node::replica::Replica;

use crate::{
    network::{Network, Nodes, genesis, options},
    people::{People, keys},
    played::{Event, Played},
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

/// Who does not do as the rules say.
#[derive(Clone)]
pub(crate) struct Dishonest {
    /// A validator that puts what nobody signed into its blocks.
    pub(crate) liar: Option<usize>,
    /// Validators that propose several blocks and vote for all, by running twice.
    pub(crate) twins: Vec<usize>,
}

impl Dishonest {
    /// Draws as many as there may be.
    fn draw(dice: &mut Dice, validators: usize) -> Self {
        let most = validators.saturating_sub(1) / 3;
        let liar = (most > 0 && dice.below(3) == 0).then(|| dice.place(validators));
        let mut twins = Vec::new();
        while twins.len() + usize::from(liar.is_some()) < most && dice.below(2) == 0 {
            let place = dice.place(validators);
            if Some(place) != liar && !twins.contains(&place) {
                twins.push(place);
            }
        }
        Self { liar, twins }
    }
}

/// Plays what a seed says, and checks what must hold.
pub(crate) fn play(seed: u64) -> Played {
    let mut dice = Dice(seed);
    let count = [4, 4, 4, 1, 3, 7][dice.place(6)];
    let followers = dice.place(2);
    let genesis = genesis(count, &keys(PEOPLE));
    let dishonest = Dishonest::draw(&mut dice, count);
    let twins = dishonest.twins.clone();
    let (options, memories, replicas) = options(&genesis, followers, &twins);
    let power_fails = dice.below(3) == 0;
    let mut played = Played::default();
    played.count(Event::Liar, u64::from(dishonest.liar.is_some()));
    played.count(Event::Equivocator, twins.len() as u64);
    let begin = |world| Play {
        network: Network::new(world, &genesis, memories, replicas, &twins),
        people: People::new(PEOPLE),
        dice,
        validators: count,
        dishonest: dishonest.clone(),
        down: BTreeSet::new(),
        marred: BTreeSet::new(),
        sick: BTreeSet::new(),
        wiped: BTreeSet::new(),
        played,
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
        play.note_disks();
        play.played.count(Event::PowerLost, 1);
        play.note_ends().await;
        let (world, nodes) = play.network.lose_power();
        (world, (nodes, play.people, play.dice, play.wiped, play.played))
    };
    let after = async |world, (nodes, people, dice, wiped, played): Kept| {
        let network = nodes.restart(world);
        let down = (0..network.len()).collect();
        let (marred, sick) = (BTreeSet::new(), BTreeSet::new());
        let dishonest = dishonest.clone();
        let mut play = Play {
            network,
            people,
            dice,
            validators: count,
            dishonest,
            down,
            marred,
            sick,
            wiped,
            played,
        };
        play.finish().await
    };
    simulate_power_loss(seed, options, before, after)
}

/// What is kept when all power is lost.
type Kept = (Nodes, People, Dice, BTreeSet<usize>, Played);

pub(crate) struct Play {
    pub(crate) network: Network,
    pub(crate) people: People,
    pub(crate) dice: Dice,
    pub(crate) validators: usize,
    pub(crate) dishonest: Dishonest,
    /// Nodes that do not run.
    pub(crate) down: BTreeSet<usize>,
    /// Nodes whose disk failed, or may have, since they started.
    pub(crate) marred: BTreeSet<usize>,
    /// Nodes whose disks fail now.
    pub(crate) sick: BTreeSet<usize>,
    /// Nodes that lost their disks.
    pub(crate) wiped: BTreeSet<usize>,
    pub(crate) played: Played,
}

impl Play {
    async fn trouble_for_a_while(&mut self) {
        for place in 0..self.network.len() {
            self.start(place).await;
        }
        self.divide();
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
        let Some(liar) = self.dishonest.liar.and_then(|place| self.network.replica(place)) else {
            return;
        };
        self.people.forge(&mut self.dice, &liar);
    }

    /// Lets a tick pass in which people act, and wait for answers.
    async fn live(&mut self, sends: bool) {
        self.network.tick().await;
        self.note_ends().await;
        let (nodes, genesis) = (self.honest(), self.network.genesis);
        self.people.listen_all();
        if sends && self.dice.below(ACT_TICKS) == 0 {
            self.people.act(&mut self.dice, &genesis, &nodes);
        } else {
            self.people.insist(&mut self.dice, &nodes);
        }
    }

    pub(crate) async fn start(&mut self, place: usize) {
        self.network.start(place).await;
        self.down.remove(&place);
        self.marred.remove(&place);
        if self.sick.contains(&place) {
            self.marred.insert(place);
        }
    }

    pub(crate) async fn crash(&mut self, place: usize) {
        self.network.crash(place).await;
        self.down.insert(place);
    }

    /// Takes note of nodes that ended by themselves, as only those may whose disks fail.
    async fn note_ends(&mut self) {
        for (place, why) in self.network.ended() {
            self.network.take_failure(place);
            self.crash(place).await;
            if self.is_equivocator(place) {
                continue;
            }
            // What the engine says when it cannot open its files does not name the reason.
            let says = why.contains(DISK_FAILS) || why.contains("failed to initialize");
            let by_disk = self.marred.contains(&place) && says;
            assert!(by_disk, "node {place} ended: {why}");
            self.played.count(Event::DiskEnd, 1);
        }
    }

    pub(crate) fn is_equivocator(&self, place: usize) -> bool {
        self.dishonest.twins.contains(&place) || !self.network.keyed().contains(&place)
    }

    /// Returns the places of nodes that vote once only.
    pub(crate) fn consistent(&self) -> Vec<usize> {
        (0..self.network.len()).filter(|place| !self.is_equivocator(*place)).collect()
    }

    /// Returns those that run of the nodes that vote once only.
    fn nodes(&self) -> Vec<Replica> {
        self.consistent().into_iter().filter_map(|place| self.network.replica(place)).collect()
    }

    /// Returns the nodes that run and whose answers are true.
    fn honest(&self) -> Vec<Replica> {
        let mut honest = self.consistent();
        honest.retain(|place| Some(*place) != self.dishonest.liar);
        honest.into_iter().filter_map(|place| self.network.replica(place)).collect()
    }

    fn run_all(&self) -> bool {
        self.nodes().len() == self.consistent().len()
    }

    async fn heal(&mut self) {
        let all = self.network.keyed();
        self.network.world.join(&all, &all, Line::GOOD).await;
        self.network.world.set_disorder(Disorder::default());
        for place in 0..self.network.len() {
            self.network.skew(place, 0);
        }
        self.cure();
        self.divide();
        self.start_all().await;
    }

    async fn start_all(&mut self) {
        while let Some(place) = self.down.pop_first() {
            self.start(place).await;
        }
    }

    /// Waits until everything goes on at every node.
    async fn recover(&mut self) {
        let mut sent = false;
        for _ in 0..RECOVERY_TICKS {
            // First what is open is answered, then something is sent through each node.
            self.live(false).await;
            // A failure from before may have come to light only now.
            self.start_all().await;
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
        let open = self.people.open();
        let blocked = self.network.world.blocked().await;
        panic!("it does not go on within 30 s: {states:?}; open: {open}; blocked: {blocked:?}");
    }

    /// Returns whether all nodes have the same last block.
    fn is_level(&self) -> bool {
        let nodes = self.nodes();
        let mut headers = nodes.iter().map(|replica| replica.committed().header);
        let first = headers.next();
        self.run_all() && headers.all(|header| Some(header) == first)
    }

    fn check(&mut self) {
        for place in 0..self.network.len() {
            if self.is_equivocator(place) {
                self.network.take_failure(place);
            }
        }
        let told = self.network.agreed();
        for (id, height) in &self.people.acknowledged {
            assert!(told[height].ids.contains(id), "{id} was acknowledged and is not in {height}");
        }
        let happened: BTreeSet<_> = told.values().flat_map(|told| &told.ids).collect();
        let count: usize = told.values().map(|told| told.ids.len()).sum();
        assert_eq!(happened.len(), count, "a transaction happened twice");
        assert!(self.people.known_done.iter().all(|id| happened.contains(id)));
        assert!(!self.people.forged.iter().any(|id| happened.contains(id)), "a forgery is final");
        for place in self.consistent() {
            let committed = self.network.replica(place).unwrap().committed();
            committed.ledger.recount().unwrap();
        }
        self.check_votes();
        self.note_disks();
        self.played.count(Event::Block, told.keys().next_back().copied().unwrap_or(0));
        self.played.count(Event::Acknowledged, self.people.acknowledged.len() as u64);
        let disordered = self.network.world.record().disordered();
        for (event, times) in [Event::Twice, Event::Late, Event::Old].into_iter().zip(disordered) {
            self.played.count(event, times);
        }
    }

    /// Nobody contradicts itself in votes but who is two. A validator that lost its disk tries not
    /// to, but when the others wait for it, it cannot wait for them.
    fn check_votes(&mut self) {
        let record = self.network.world.record();
        for (place, (_, validator)) in validators(self.validators).iter().enumerate() {
            let times = record.contradictions(&validator.key);
            if self.is_equivocator(place) {
                self.played.count(Event::Contradiction, times);
            } else if !self.wiped.contains(&place) {
                assert_eq!(times, 0, "validator {place} contradicts itself");
            }
        }
    }

    fn note_disks(&mut self) {
        for place in 0..self.network.len() {
            self.played.count(Event::DiskFailure, self.network.world.disk_failures(place));
        }
    }
}
