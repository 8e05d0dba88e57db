//! The naive ledger: `docs/ledger.md` read line by line, for comparison with the real one.
//!
//! Plain maps and vectors, linear scans where the real ledger keeps indexes, counts where it keeps
//! counters, and a recount of the whole book after every step. It has no Merkle map and no root.
//! It is written from the page alone; where the two differ, the page decides.

mod actions;
mod audits;
mod book;
mod disputes;
mod happen;
mod market;
mod seats;
mod settlement;

use std::collections::{BTreeMap, BTreeSet};

use types::{
    Account, Action, Address, Amount, Asset, Audit, Change, ClassId, Dispute, Event, Genesis, Hash,
    Issuer, Lease, LeaseId, LeaseState, List, Offer, OfferId, Order, OrderId, Parameters, Provider,
    PublicKey, Reject, Reputation, SignedReceipt, Tally, Time, Transaction, Unbonding, Verified,
    limits,
};

pub(crate) use book::Book;
use ledger::{Archive, key::Row};
pub(crate) use market::listed_price;
pub(crate) use seats::{Enlistment, Seat};

/// The issuer of token that exists from the start.
pub(crate) const NOBODY: Address = Address::new(PublicKey::from_bytes([0; 32]));

/// What is due, in the order of the page's table and then of identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    OrderExpires(OrderId),
    OfferExpires(OfferId),
    Lease(LeaseId),
    Unbonding(Address, u64),
    Change(Hash),
}

/// A change that is being voted on, with its votes.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) hash: Hash,
    pub(crate) change: Change,
    pub(crate) effective: Time,
    pub(crate) votes: Vec<(Address, u64)>,
}

/// Where the search for open orders of a class goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Matching {
    pub(crate) last: Option<(Time, OrderId)>,
    pub(crate) passes: u8,
}

/// The whole state, open to the tests.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) genesis: Genesis,
    pub(crate) rules: u16,
    pub(crate) height: u64,
    pub(crate) time: Time,
    pub(crate) epoch: u64,
    pub(crate) epoch_began: Time,
    pub(crate) parameters: Parameters,
    pub(crate) book: Book,
    pub(crate) nonces: BTreeMap<Address, u64>,
    pub(crate) providers: Vec<Provider>,
    pub(crate) unbondings: Vec<(Address, u64, Unbonding)>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) orders: Vec<Order>,
    pub(crate) open: BTreeSet<OrderId>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) receipts: Vec<SignedReceipt>,
    pub(crate) due: BTreeSet<(Time, What)>,
    pub(crate) tallies: Vec<Tally>,
    pub(crate) past_tallies: Vec<Tally>,
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) enlistments: BTreeMap<(ClassId, Address), Enlistment>,
    /// The seats of each class, in the order of their indexes.
    pub(crate) seats: BTreeMap<ClassId, Vec<Seat>>,
    /// Audits that auditors have to do now.
    pub(crate) to_do: BTreeSet<(Address, LeaseId)>,
    pub(crate) audits: BTreeMap<LeaseId, Audit>,
    pub(crate) disputes: BTreeMap<LeaseId, Dispute>,
    pub(crate) reputations: BTreeMap<(Address, ClassId), Reputation>,
    pub(crate) matching: BTreeMap<ClassId, Matching>,
    /// The hashes of leases that left the state, in order.
    pub(crate) archive: Vec<Hash>,
    pub(crate) allowance: usize,
    /// Who led each block, from the first.
    pub(crate) leaders: Vec<u32>,
    /// How many draws and due entries the block worked through.
    pub(crate) worked: usize,
    /// How many blocks each draw waited for, since the last comparison.
    pub(crate) waited: Vec<u64>,
    pub(crate) gone: Gone,
    /// The running block's.
    beacon: Hash,
    /// Seats that were ever taken.
    seats_taken: u64,
    events: Vec<Event>,
}

/// What left the state since the last comparison.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone {
    pub(crate) orders: Vec<OrderId>,
    pub(crate) offers: Vec<OfferId>,
    pub(crate) leases: Vec<LeaseId>,
}

impl Reference {
    /// Starts from `genesis`, which the real ledger accepted.
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let mut state = Self {
            genesis: genesis.clone(),
            rules: genesis.rules,
            height: 0,
            time: genesis.time,
            epoch: 0,
            epoch_began: genesis.time,
            parameters: genesis.parameters.clone(),
            book: Book::default(),
            nonces: BTreeMap::new(),
            providers: Vec::new(),
            unbondings: Vec::new(),
            offers: Vec::new(),
            orders: Vec::new(),
            open: BTreeSet::new(),
            leases: Vec::new(),
            receipts: Vec::new(),
            due: BTreeSet::new(),
            tallies: classes::CLASSES.iter().map(|class| empty_tally(0, class.id())).collect(),
            past_tallies: Vec::new(),
            proposals: Vec::new(),
            enlistments: BTreeMap::new(),
            seats: BTreeMap::new(),
            to_do: BTreeSet::new(),
            audits: BTreeMap::new(),
            disputes: BTreeMap::new(),
            reputations: BTreeMap::new(),
            matching: BTreeMap::new(),
            archive: Vec::new(),
            allowance: 0,
            leaders: Vec::new(),
            worked: 0,
            waited: Vec::new(),
            gone: Gone::default(),
            beacon: genesis.hash(),
            seats_taken: 0,
            events: Vec::new(),
        };
        for issuer in genesis.issuers.iter() {
            state.open_account(issuer.address);
        }
        for validator in genesis.validators.iter() {
            state.open_account(Address::new(validator.key));
        }
        for wallet in genesis.wallets.iter() {
            state.open_account(wallet.address);
            state.book.issue(Asset::Wild, NOBODY, wallet.address, wallet.amount);
        }
        state
    }

    /// Begins a block; false, with nothing changed, when its time is not after the last one's or
    /// its leader is no validator.
    pub(crate) fn begin(&mut self, time: Time, beacon: Hash, leader: u32) -> bool {
        let place = usize::try_from(leader).expect("a place fits");
        if time <= self.time || place >= self.genesis.validators.len() {
            return false;
        }
        self.height += 1;
        self.leaders.push(leader);
        self.time = time;
        self.beacon = beacon;
        self.allowance = limits::BLOCK_OFFERS_EXAMINED_MAX;
        let epoch_ms = self.parameters.epoch_ms.as_ms();
        let passed = time.since(self.epoch_began).as_ms() / epoch_ms;
        if passed > 0 {
            self.close_epoch(passed);
        }
        let mut draws = self.draws();
        draws.retain(|(height, _)| self.is_drawn_now(*height));
        draws.truncate(limits::BLOCK_DUE_MAX);
        let due = self.due.iter().filter(|(when, _)| *when <= time);
        let left = limits::BLOCK_DUE_MAX - draws.len();
        let due: Vec<(Time, What)> = due.take(left).copied().collect();
        self.worked = draws.len() + due.len();
        for (height, lease) in draws {
            self.waited.push(self.height - height);
            self.draw(lease);
            self.book.recount();
        }
        for (when, what) in due {
            if self.due.remove(&(when, what)) {
                self.happen(what);
                self.book.recount();
            }
        }
        true
    }

    fn close_epoch(&mut self, passed: u64) {
        let epoch_ms = self.parameters.epoch_ms.as_ms();
        self.past_tallies = self.tallies.clone();
        self.epoch += passed;
        self.epoch_began = Time::from_ms(self.epoch_began.as_ms() + passed * epoch_ms);
        for tally in &mut self.tallies {
            self.events.push(Event::EpochClosed { tally: *tally });
            let claimed = tally.supply.claimed;
            *tally = empty_tally(self.epoch, tally.class);
            tally.supply.claimed = claimed;
        }
        for class in classes::CLASSES {
            self.grant_passes(class.id());
        }
    }

    /// Executes a transaction.
    pub(crate) fn apply(&mut self, verified: &Verified) -> Result<(), Reject> {
        let transaction = verified.transaction();
        let signer = transaction.signer;
        let nonce = *self.nonces.get(&signer).ok_or(Reject::AccountUnknown)?;
        if transaction.expires <= self.time {
            return Err(Reject::TransactionExpired);
        }
        if transaction.expires > self.time.after(self.parameters.transaction_lifetime_ms) {
            return Err(Reject::TransactionLifetime);
        }
        if transaction.nonce < nonce {
            return Err(Reject::NonceStale);
        }
        if transaction.nonce > nonce {
            return Err(Reject::NonceAhead);
        }
        self.act(verified)?;
        *self.nonces.get_mut(&signer).expect("the account was just read") += 1;
        self.book.recount();
        Ok(())
    }

    fn act(&mut self, verified: &Verified) -> Result<(), Reject> {
        let Transaction { signer, nonce, .. } = *verified.transaction();
        match verified.transaction().action.clone() {
            Action::Transfer { to, asset, amount } => self.transfer(signer, to, asset, amount),
            Action::Issue { to, asset, amount } => self.issue(signer, to, asset, amount),
            Action::Redeem { asset, amount } => self.redeem(signer, asset, amount),
            Action::Register { node_key, .. } => self.register(signer, node_key),
            Action::RotateNodeKey { node_key, .. } => self.rotate_node_key(signer, node_key),
            Action::Stake { amount } => self.stake(signer, amount),
            Action::Unstake { amount } => self.unstake(signer, nonce, amount),
            Action::PostOffer(terms) => self.post_offer(signer, verified.id().into(), *terms),
            Action::RetireOffer { offer } => self.retire_offer(signer, offer),
            Action::PlaceOrder(terms) => self.place_order(signer, verified.id().into(), *terms),
            Action::CancelOrder { order } => self.cancel_order(signer, order),
            Action::Start { lease } => self.start(signer, lease),
            Action::SubmitReceipt(receipt) => self.submit_receipt(*receipt),
            Action::Reclaim { lease, notice } => self.reclaim(signer, lease, notice),
            Action::Close { lease } => self.close(signer, lease),
            Action::Vote { change, effective } => self.vote(signer, change, effective),
            Action::Enlist(terms) => self.enlist(signer, *terms),
            Action::Delist { class } => self.delist(signer, class),
            Action::CommitAudit { lease, commitment } => {
                self.commit_audit(signer, lease, commitment)
            }
            Action::RevealAudit { lease, salt, finding } => {
                self.reveal_audit(signer, lease, salt, finding)
            }
            Action::Dispute { lease } => self.dispute(signer, lease),
            Action::Argue { lease, opened, argument } => {
                self.argue(signer, lease, opened, &argument)
            }
        }
    }

    /// Ends the block and returns its events.
    pub(crate) fn end(&mut self) -> Vec<Event> {
        self.match_open_orders();
        self.book.recount();
        std::mem::take(&mut self.events)
    }

    pub(crate) fn balance(&self, row: Row, asset: Asset) -> Amount {
        self.book.balance(row, asset)
    }

    pub(crate) fn account(&self, address: &Address) -> Option<Account> {
        let nonce = *self.nonces.get(address)?;
        let is_own = |id: &&OrderId| self.order(id).is_some_and(|order| order.tenant == *address);
        let open_orders = count(self.open.iter().filter(is_own));
        Some(Account { nonce, open_orders })
    }

    /// Returns the provider with its counters counted.
    pub(crate) fn provider(&self, address: &Address) -> Option<Provider> {
        let kept = *self.providers.iter().find(|provider| provider.address == *address)?;
        let own = || self.leases.iter().filter(|lease| lease.provider == *address);
        let leases = own().filter(|lease| runs(lease));
        let exposure = own().map(|lease| lease.exposure.get()).sum();
        Some(Provider {
            offers: count(self.offers.iter().filter(|offer| offer.provider == *address)),
            leases: count(leases),
            unbondings: count(self.unbondings.iter().filter(|(owner, ..)| owner == address)),
            votes: count(self.stake_votes().filter(|(voter, _)| voter == address)),
            exposure: Amount::new(exposure).expect("a stake covered it"),
            ..kept
        })
    }

    pub(crate) fn provider_of(&self, signer: &Address) -> Option<Address> {
        let is_of = |provider: &&Provider| {
            provider.address == *signer || provider.node_key == *signer.key()
        };
        self.providers.iter().find(is_of).map(|provider| provider.address)
    }

    pub(crate) fn issuer(&self, address: &Address, asset: Asset) -> Option<Issuer> {
        let is_it = |issuer: &&Issuer| issuer.address == *address && issuer.asset == asset;
        self.genesis.issuers.iter().find(is_it).copied()
    }

    pub(crate) fn offer(&self, id: &OfferId) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.id == *id)
    }

    /// Returns how many leases an offer serves now.
    pub(crate) fn leased(&self, id: &OfferId) -> u32 {
        count(self.leases.iter().filter(|lease| lease.offer == *id && runs(lease)))
    }

    pub(crate) fn order(&self, id: &OrderId) -> Option<&Order> {
        self.orders.iter().find(|order| order.id == *id)
    }

    pub(crate) fn lease(&self, id: &LeaseId) -> Option<&Lease> {
        self.leases.iter().find(|lease| lease.id == *id)
    }

    /// Returns the accumulator of leases that left the state: perfect trees, the largest first.
    pub(crate) fn accumulator(&self) -> Archive {
        let mut peaks = Vec::new();
        let mut rest = self.archive.as_slice();
        while let Some(power) = rest.len().checked_ilog2() {
            let (tree, after) = rest.split_at(1 << power);
            peaks.push(tree_root(tree));
            rest = after;
        }
        let leaves = u64::from(count(self.archive.iter()));
        Archive { leaves, peaks: List::new(peaks).expect("at most one tree for each bit") }
    }

    /// Returns the earliest time at which a block would do something by itself.
    pub(crate) fn next_due(&self) -> Time {
        let next_block = Time::from_ms(self.time.as_ms() + 1);
        let epoch_ends = self.epoch_began.after(self.parameters.epoch_ms);
        let queued = self.due.first().map_or(Time::MAX, |(time, _)| *time);
        let waits = |id: &OrderId| {
            let class = self.order(id).expect("it is open").terms.class;
            self.matching.get(&class).is_some_and(|matching| matching.passes > 0)
        };
        let searched = if self.open.iter().any(waits) { next_block } else { Time::MAX };
        let drawn = if self.draws().is_empty() { Time::MAX } else { next_block };
        next_block.max(epoch_ends.min(queued).min(searched).min(drawn))
    }

    /// Returns the stake of all providers together.
    pub(crate) fn total_stake(&self) -> u64 {
        let stake = |provider: &Provider| self.stake_of(&provider.address).get();
        self.providers.iter().map(stake).sum()
    }

    /// Returns the votes that hold stake; without a token none does.
    fn stake_votes(&self) -> impl Iterator<Item = &(Address, u64)> {
        let proposals = self.proposals.iter().filter(|_| self.genesis.token);
        proposals.flat_map(|proposal| &proposal.votes)
    }

    fn stake_of(&self, provider: &Address) -> Amount {
        self.balance(Row::Stake(*provider), Asset::Wild)
    }

    fn open_account(&mut self, address: Address) {
        self.nonces.entry(address).or_insert(0);
    }

    fn grant_passes(&mut self, class: ClassId) {
        self.matching.entry(class).or_default().passes = 2;
    }

    fn lease_mut(&mut self, id: &LeaseId) -> &mut Lease {
        self.leases.iter_mut().find(|lease| lease.id == *id).expect("the lease was just read")
    }

    fn provider_mut(&mut self, address: &Address) -> &mut Provider {
        let is_it = |provider: &&mut Provider| provider.address == *address;
        self.providers.iter_mut().find(is_it).expect("the provider was just read")
    }

    fn tally_mut(&mut self, class: ClassId) -> &mut Tally {
        self.tallies
            .iter_mut()
            .find(|tally| tally.class == class)
            .expect("the class is in the table")
    }
}

/// Returns whether a lease takes a slot.
pub(crate) fn runs(lease: &Lease) -> bool {
    !matches!(lease.state, LeaseState::Closed { .. })
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).expect("a test's state is small")
}

fn tree_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len() / 2);
            let (left, right) = (tree_root(left), tree_root(right));
            Hash::of("idlewild archive", &[left.as_bytes(), right.as_bytes()])
        }
    }
}

fn empty_tally(epoch: u64, class: ClassId) -> Tally {
    Tally { epoch, class, supply: types::Supply::default(), income: types::Income::default() }
}
