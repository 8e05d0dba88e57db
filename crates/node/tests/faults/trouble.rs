//! The things that go wrong.

use std::time::Duration;

use faults::{Disorder, Line, Sickness};

use crate::{played::Event, schedule::Play};

/// How far the clocks of an equivocator's two nodes are apart, so that their blocks differ.
const TWIN_SKEW_MS: i64 = 37;

impl Play {
    /// Does one of the things that go wrong.
    pub(crate) async fn trouble(&mut self) {
        let keyed = self.network.keyed();
        let node = self.dice.place(self.network.len());
        let place = self.dice.place(keyed.len());
        match self.dice.below(15) {
            0..=2 => {
                self.crash(node).await;
                self.played.count(Event::Crash, 1);
            }
            3..=7 => {
                if let Some(place) = self.down.pop_first() {
                    self.start(place).await;
                }
            }
            8 => self.cut(&keyed).await,
            9 => self.spoil_line(place, &keyed).await,
            10 => {
                let ms = i64::try_from(self.dice.below(3_000)).unwrap() - 1_500;
                self.network.skew(place, ms);
                self.played.count(Event::ClockOff, 1);
            }
            11 => self.lose_disk(place).await,
            12 => self.disorder(),
            _ => self.sicken(node),
        }
        if self.dice.below(3) == 0 {
            self.network.world.join(&keyed, &keyed, Line::GOOD).await;
        }
        if self.dice.below(4) == 0 {
            self.network.world.set_disorder(Disorder::default());
        }
        if self.dice.below(3) == 0 {
            self.cure();
        }
        if self.dice.below(3) == 0 {
            self.divide();
            for place in self.dishonest.twins.clone() {
                self.network.world.pardon(place).await;
            }
        }
    }

    async fn cut(&mut self, keyed: &[usize]) {
        let (one, other): (Vec<usize>, Vec<usize>) =
            keyed.iter().partition(|_| self.dice.below(2) == 0);
        self.network.world.cut(&one, &other).await;
        // Half of the time the others still hear the one side.
        if self.dice.below(2) == 0 {
            self.network.world.cut(&other, &one).await;
        }
        self.played.count(Event::Cut, 1);
    }

    async fn spoil_line(&mut self, place: usize, keyed: &[usize]) {
        let latency = Duration::from_millis(5 + self.dice.below(400));
        let jitter = Duration::from_millis(self.dice.below(200));
        let arrive_percent = u8::try_from(60 + self.dice.below(41)).unwrap();
        let line = Line { latency, jitter, arrive_percent };
        self.network.world.join(&[place], keyed, line).await;
        self.played.count(Event::BadLine, 1);
    }

    /// Takes a node's disk away, once, where the others still know everything. A validator that
    /// lost its votes is one of those that may be dishonest.
    async fn lose_disk(&mut self, place: usize) {
        let most = self.validators.saturating_sub(1) / 3;
        let so_many = self.dishonest.twins.len() + self.wiped.len();
        if so_many >= most || !self.wiped.is_empty() || self.is_equivocator(place) {
            return;
        }
        self.crash(place).await;
        self.network.wipe(place);
        self.wiped.insert(place);
        self.played.count(Event::DiskLost, 1);
    }

    /// Lets messages come twice, late and again.
    fn disorder(&mut self) {
        let [twice_percent, late_percent, old_percent] =
            [(); 3].map(|()| u8::try_from(self.dice.below(30)).unwrap());
        let late_max = Duration::from_millis(20 + self.dice.below(2_000));
        let disorder = Disorder { twice_percent, late_percent, old_percent, late_max };
        self.network.world.set_disorder(disorder);
    }

    /// Lets a node's disk fail, or now and then all.
    fn sicken(&mut self, node: usize) {
        let mut percent = || [0, 0, 1, 10, 100][self.dice.place(5)];
        let sickness = Sickness {
            writes_percent: percent(),
            syncs_percent: percent(),
            reads_percent: percent(),
            opens_percent: percent(),
        };
        let all: Vec<usize> = (0..self.network.len()).collect();
        let sick = if self.dice.below(6) == 0 { &all[..] } else { &[node] };
        let event = if sick.len() > 1 { Event::DisksSick } else { Event::DiskSick };
        self.played.count(event, 1);
        for place in sick {
            self.network.world.sicken(*place, Some(sickness));
            self.sick.insert(*place);
            self.marred.insert(*place);
        }
    }

    /// Lets all disks be well again.
    pub(crate) fn cure(&mut self) {
        while let Some(place) = self.sick.pop_first() {
            self.network.world.sicken(place, None);
        }
    }

    /// Lets the two nodes of each equivocator talk with different others; a few with both.
    pub(crate) fn divide(&mut self) {
        let keyed = self.network.keyed();
        for (second, first) in self.dishonest.twins.clone().into_iter().enumerate() {
            let second = keyed.len() + second;
            let (mut ones, mut others) = (Vec::new(), Vec::new());
            for place in &keyed {
                let side = self.dice.below(9);
                if side < 5 {
                    ones.push(*place);
                }
                if side >= 4 {
                    others.push(*place);
                }
            }
            self.network.world.limit_talk(first, &ones);
            self.network.world.limit_talk(second, &others);
            self.network.skew(second, TWIN_SKEW_MS);
        }
    }
}
