//! A small world that makes transactions: mostly sensible ones, some of them wrong.
//!
//! A theme decides what happens most in an episode, and which limits are low enough to be met.

mod action;
mod audit;
mod dice;
mod terms;

use types::{
    Address, Amount, Asset, BasisPoints, Duration, Genesis, GenesisWallet, Hash, Issuer, List,
    Parameters, PublicKey, Rate, Signature, SignedTransaction, Text, Time, Transaction, Validator,
    Verified, limits,
};

pub(crate) use dice::Dice;

use crate::reference::Reference;

/// How many due entries a backlog has before time passes.
const GATHERED: usize = limits::BLOCK_DUE_MAX + 50;

/// What an episode is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    /// A bit of everything.
    General,
    /// No token, validators vote.
    Private,
    /// Stake comes and goes, slowly.
    Stake,
    /// Many changes are voted on.
    Votes,
    /// More offers and open orders than a block may examine.
    Crowd,
    /// More is due at once than a block may work through.
    Backlog,
    /// Auditors check most of the work, and much of it is disputed.
    Audits,
}

impl Theme {
    const ALL: [Self; 8] = [
        Self::General,
        Self::Private,
        Self::Stake,
        Self::General,
        Self::Votes,
        Self::Crowd,
        Self::Backlog,
        Self::Audits,
    ];

    /// Returns the theme of an episode.
    pub(crate) fn of_episode(episode: u64) -> Self {
        let number = usize::try_from(episode).expect("few episodes");
        Self::ALL[number % Self::ALL.len()]
    }

    /// Returns how many transactions an episode has.
    pub(crate) const fn transactions(self) -> u64 {
        match self {
            // Every open order, standing offer and lease is due once; more than a block may work
            // through must come together.
            Self::Backlog => 9_000,
            // More proposals must be open together than there may be.
            // Many unbondings must wait at once.
            Self::Stake => 3_000,
            Self::Votes => 3_000,
            // An audit takes many transactions.
            Self::Audits => 6_000,
            _ => 1_500,
        }
    }

    /// Returns how often each action is tried, in the order of the actions.
    const fn weights(self) -> [u64; 22] {
        // transfer issue redeem register rotate stake unstake post retire place cancel start
        // receipt reclaim close vote enlist delist commit reveal dispute argue
        match self {
            Self::General => {
                [3, 3, 1, 2, 2, 4, 2, 8, 3, 16, 4, 12, 10, 4, 5, 3, 6, 1, 12, 12, 4, 8]
            }
            Self::Private => {
                [3, 3, 1, 2, 2, 1, 1, 8, 3, 16, 4, 12, 10, 4, 5, 5, 6, 1, 12, 12, 4, 8]
            }
            Self::Stake => [3, 2, 1, 3, 1, 14, 20, 6, 4, 8, 2, 6, 5, 2, 3, 2, 6, 1, 4, 4, 1, 3],
            Self::Votes => [2, 2, 1, 2, 1, 8, 2, 3, 1, 4, 2, 3, 3, 1, 2, 32, 1, 1, 1, 1, 1, 1],
            Self::Crowd => [2, 3, 1, 2, 1, 4, 1, 24, 1, 24, 2, 4, 4, 1, 2, 1, 1, 1, 2, 2, 1, 1],
            Self::Backlog => [2, 4, 1, 2, 1, 4, 1, 16, 1, 56, 2, 8, 6, 1, 8, 1, 1, 1, 2, 2, 1, 1],
            Self::Audits => {
                [1, 4, 1, 4, 1, 8, 2, 8, 1, 14, 1, 12, 12, 1, 2, 1, 14, 1, 30, 30, 5, 16]
            }
        }
    }
}

/// Where transactions come from.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) theme: Theme,
    people: Vec<Address>,
    node_keys: Vec<PublicKey>,
    pub(crate) genesis: Genesis,
    made: u64,
}

/// Returns the person of that number.
fn person(number: u64) -> Address {
    Address::new(key("person", number))
}

fn key(kind: &str, number: u64) -> PublicKey {
    let hash = Hash::of("test key", &[&number.to_le_bytes(), kind.as_bytes()]);
    PublicKey::from_bytes(*hash.as_bytes())
}

fn micro(count: u64) -> Amount {
    Amount::new(count.min(Amount::MAX.get())).expect("it was bounded")
}

impl World {
    pub(crate) fn new(seed: u64, theme: Theme) -> Self {
        let mut dice = Dice::new(seed);
        let people = if theme == Theme::Audits { dice.within(12, 16) } else { dice.within(6, 9) };
        let people: Vec<Address> = (0..people).map(person).collect();
        let genesis = genesis(&mut dice, theme, &people);
        Self { dice, theme, people, node_keys: Vec::new(), genesis, made: 0 }
    }

    /// Returns the time of the next block; once in a while one that is not after the last.
    pub(crate) fn block_time(&mut self, state: &Reference) -> Time {
        let now = state.time;
        if self.dice.one_in(50) {
            return Time::from_ms(now.as_ms().saturating_sub(self.dice.below(3)));
        }
        let gathers = self.theme == Theme::Backlog && state.due.len() < GATHERED;
        if !gathers
            && self.dice.one_in(if self.theme == Theme::Audits { 6 } else { 3 })
            && let Some(time) = self.boundary(state)
        {
            return time;
        }
        let dice = &mut self.dice;
        let step = match self.theme {
            Theme::Backlog if state.due.len() < GATHERED => dice.within(1, 3),
            Theme::Backlog => dice.within(50_000, 90_000),
            // Most windows must be long enough for everybody to act.
            Theme::Audits => match dice.below(40) {
                0..=30 => dice.within(1, 60),
                31..=38 => dice.within(60, 1_000),
                _ => dice.within(1_000, 20_000),
            },
            _ => match dice.below(40) {
                0..=24 => dice.within(1, 100),
                25..=35 => dice.within(100, 1_500),
                36..=38 => dice.within(1_500, 10_000),
                _ => dice.within(10_000, 100_000),
            },
        };
        now.after(Duration::from_ms(step))
    }

    /// Returns a time at which something changes, or the millisecond before or after.
    fn boundary(&mut self, state: &Reference) -> Option<Time> {
        let suspended = state.providers.iter().map(|provider| provider.suspended_until);
        let queued = state.due.iter().take(6).map(|(time, _)| *time);
        let epoch = state.epoch_began.after(state.parameters.epoch_ms);
        let mut times: Vec<Time> = suspended.chain(queued).chain([epoch]).collect();
        times.retain(|time| *time > state.time);
        let time = self.dice.pick(&times)?.as_ms() + self.dice.of([0, 0, 0, 1]);
        let time = Time::from_ms(time - self.dice.of([0, 0, 0, 1]));
        Some(time).filter(|time| *time > state.time)
    }

    /// Returns who leads the next block: often whoever led the last; once in a while nobody who
    /// can.
    pub(crate) fn leader(&mut self, state: &Reference) -> u32 {
        let validators = u32::try_from(state.genesis.validators.len()).expect("few validators");
        match self.dice.below(100) {
            0 => self.dice.of([validators, u32::MAX]),
            1..=40 => state.leaders.last().copied().unwrap_or(0),
            _ => u32::try_from(self.dice.below(u64::from(validators))).expect("below few"),
        }
    }

    /// Returns how many transactions the next block has.
    pub(crate) fn block_length(&mut self) -> u64 {
        match self.dice.below(12) {
            0 => 0,
            1..=7 => self.dice.within(1, 8),
            _ => self.dice.within(8, 40),
        }
    }

    /// Makes a transaction: an action with its signer, then the envelope, then perhaps a mistake.
    pub(crate) fn transaction(&mut self, state: &Reference) -> Verified {
        self.made += 1;
        let (signer, action) = self.action(state);
        let nonce = state.nonces.get(&signer).copied().unwrap_or(0);
        let lifetime = state.parameters.transaction_lifetime_ms.as_ms();
        let expires = state.time.after(Duration::from_ms(self.dice.within(1, lifetime)));
        let mut transaction = Transaction { signer, nonce, expires, action };
        if self.dice.one_in(14) {
            self.spoil(state, &mut transaction, lifetime);
        }
        trust(transaction)
    }

    fn spoil(&mut self, state: &Reference, transaction: &mut Transaction, lifetime: u64) {
        let beyond = |extra: u64| state.time.after(Duration::from_ms(lifetime + extra));
        match self.dice.below(8) {
            0 => transaction.nonce = transaction.nonce.saturating_sub(self.dice.within(1, 3)),
            1 => transaction.nonce += self.dice.within(1, 3),
            2 => transaction.nonce = u64::MAX,
            3 => transaction.expires = Time::from_ms(state.time.as_ms() - self.dice.below(2)),
            4 => transaction.expires = beyond(self.dice.below(2)),
            5 => transaction.expires = self.dice.of([Time::MAX, Time::default()]),
            6 => transaction.signer = Address::new(key("stranger", self.dice.below(3))),
            _ => {
                transaction.signer = self.anybody(state);
                transaction.nonce = state.nonces.get(&transaction.signer).copied().unwrap_or(0);
            }
        }
    }

    /// Returns some account, a person's or a node key's.
    fn anybody(&mut self, state: &Reference) -> Address {
        let index = self.dice.index(state.nonces.len());
        *state.nonces.keys().nth(index).expect("a genesis opens accounts")
    }

    fn someone(&mut self) -> Address {
        *self.dice.pick(&self.people).expect("there are people")
    }
}

/// Stands where a ledger looks at no signature.
const UNCHECKED: Signature = Signature::from_bytes([0; 64]);

/// Wraps a transaction for a ledger that checks no signatures.
pub(crate) fn trust(transaction: Transaction) -> Verified {
    Verified::trust(SignedTransaction { transaction, signature: UNCHECKED })
}

fn genesis(dice: &mut Dice, theme: Theme, people: &[Address]) -> Genesis {
    let token = theme != Theme::Private;
    let holders = if token { people } else { &[] };
    let wallets = holders
        .iter()
        .map(|address| GenesisWallet { address: *address, amount: micro(dice.below(100_000)) })
        .collect();
    let issuer = |index: usize, asset, limit| Issuer { address: people[index], asset, limit };
    let mut issuers = vec![
        issuer(0, Asset::Usd, micro(1_000_000_000_000)),
        issuer(1, Asset::Usd, micro(dice.below(3_000_000))),
    ];
    if token {
        issuers.push(issuer(0, Asset::Wild, micro(dice.below(2_000_000))));
    }
    let count = dice.of([1, 3, 3, 4]);
    let validators = people.iter().skip(2).take(count).map(|address| *address.key());
    let validators = validators.map(Validator::without_beacon).collect();
    Genesis {
        network: Text::new("test").expect("a short name"),
        time: Time::from_ms(dice.within(1, 1_000_000)),
        rules: 1,
        token,
        validators: Validator::in_order(validators).expect("four validators at most"),
        issuers: List::new(issuers).expect("three issuers"),
        wallets: List::new(wallets).expect("few people"),
        parameters: parameters(dice, theme),
    }
}

fn share(count: u64) -> BasisPoints {
    let count = u16::try_from(count).expect("a share of ten thousand");
    BasisPoints::new(count).expect("a share of ten thousand")
}

/// Returns parameters with windows short enough that all of them pass within an episode.
fn parameters(dice: &mut Dice, theme: Theme) -> Parameters {
    let token = theme != Theme::Private;
    let (orders, offers) = match theme {
        Theme::Crowd => (24, 48),
        Theme::Backlog => (400, 48),
        Theme::Audits => (6, 6),
        _ => (3, 3),
    };
    Parameters {
        burn_share: share(if token { dice.below(5_001) } else { 0 }),
        treasury_share: share(dice.of([0, 1, 300, 4_999])),
        receipt_minimum: micro(dice.within(1, 2_000)),
        storage_stake: micro(dice.of([0, 1, 1_000])),
        stake_minimum: micro(match theme {
            Theme::Private => 0,
            // Whoever has stake opens votes.
            Theme::Votes => dice.of([0, 1]),
            _ => dice.of([0, 1, 500, 10_000]),
        }),
        closed_lease_epochs: u32::try_from(dice.within(1, 3)).expect("small"),
        no_starts_max: u32::try_from(dice.within(1, 3)).expect("small"),
        open_orders_max: orders,
        offers_max: offers,
        dispute_bond: micro(dice.of([0, 1, 1_000, 20_000])),
        slash_share: share(dice.of([1, 3_333, 5_000, 5_000, 10_000])),
        slash_burn_share: share(dice.of([2_500, 2_501, 5_000, 10_000])),
        gain_max: share(dice.of([1, 1_000, 5_000, 10_000])),
        collusion_max: share(match dice.below(16) {
            0 => 9_999,
            _ => dice.of([0, 3_333, 5_000]),
        }),
        stake_price: Rate::new(dice.of([1_000_000, 100_000_000, 10_000_000_000, Rate::MAX.get()]))
            .expect("a rate in range"),
        ..windows(dice, theme)
    }
}

/// Returns parameters of which all windows are drawn.
fn windows(dice: &mut Dice, theme: Theme) -> Parameters {
    let mut ms = |from, to| Duration::from_ms(dice.within(from, to));
    let (start_window_ms, grace_window_ms) = (ms(1, 3_000), ms(0, 3_000));
    let (release_window_ms, reclaim_notice_ms) = (ms(0, 3_000), ms(0, 2_000));
    let (commit_window_ms, reveal_window_ms) = (ms(1, 3_000), ms(1, 3_000));
    let dispute_window_ms = ms(1, 3_000);
    let (epoch_ms, change_delay_ms) = (ms(1_000, 20_000), ms(0, 4_000));
    // More than all windows together, with three rounds of audits.
    let unbonding = if theme == Theme::Stake { 1_000_000 } else { 40_000 };
    let (unbonding_ms, transaction_lifetime_ms) = (ms(33_901, unbonding), ms(1_000, 60_000));
    let horizon = if matches!(theme, Theme::Votes | Theme::Stake) { 1_000_000 } else { 60_000 };
    Parameters {
        unbonding_ms,
        start_window_ms,
        grace_window_ms,
        release_window_ms,
        reclaim_notice_ms,
        epoch_ms,
        transaction_lifetime_ms,
        market_horizon_ms: ms(5_000, horizon),
        change_delay_ms,
        commit_window_ms,
        reveal_window_ms,
        dispute_window_ms,
        ..Parameters::local()
    }
}
