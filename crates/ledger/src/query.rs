//! Questions to the state after the last block.

use std::collections::BTreeMap;

use thiserror::Error;
use types::{
    Account, Address, Amount, Asset, Audit, Auditor, ClassId, Decode, Dispute, Genesis, Hash,
    Issuer, Lease, LeaseId, Offer, OfferId, Order, OrderId, Parameters, Provider, Reputation,
    SignedReceipt, Subject, Tally, Time, Unbonding,
};

use crate::{
    Ledger,
    archive::Archive,
    auditors, draws, epoch,
    key::{Key, Prefix, Region, Row},
    map::{Chunks, Map, Proof, ProofError, verify},
    matching,
    state::{Broken, Charter, Network, State},
    tx::{self, vote::Proposal},
};

/// What the state says about a key, with a proof for those who have only the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The encoding of the row, if there is one.
    pub value: Option<Vec<u8>>,
    /// The encoded proof of this, or of the absence.
    pub proof: Vec<u8>,
}

/// Returns what a root says about a key, as the proof shows.
///
/// # Errors
/// [`ProofError`] when the proof shows nothing about the key under this root.
pub fn verify_proof(root: &Hash, key: &Key, proof: &[u8]) -> Result<Option<Vec<u8>>, ProofError> {
    verify(root.as_bytes(), key.to_bytes().as_slice(), &Proof::decode(proof)?)
}

impl From<Subject> for Key {
    fn from(subject: Subject) -> Self {
        let wallet = |address, asset| Self::Book(Row::Wallet(address), asset);
        match subject {
            Subject::Account(address) => Self::Account(address),
            Subject::Usd(address) => wallet(address, Asset::Usd),
            Subject::Wild(address) => wallet(address, Asset::Wild),
            Subject::Provider(address) => Self::Provider(address),
            Subject::Offer(offer) => Self::Offer(offer),
            Subject::Order(order) => Self::Order(order),
            Subject::Lease(lease) => Self::Lease(lease),
            Subject::Receipt(lease, sequence) => Self::Receipt(lease, sequence),
            Subject::Audit(lease) => Self::Audit(lease),
            Subject::Dispute(lease) => Self::Dispute(lease),
        }
    }
}

/// The book does not balance.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Imbalance {
    /// What all rows hold of an asset is not what its issuers owe.
    #[error("rows hold {held} micro-{asset}, issuers owe {issued}")]
    Asset {
        /// The asset.
        asset: Asset,
        /// What all rows hold.
        held: u128,
        /// What all issuers owe.
        issued: u128,
    },
    /// The stake of all providers is not what the network counts.
    #[error("providers stake {staked} micro-wild, the network counts {counted}")]
    Stake {
        /// What the stake rows hold.
        staked: u128,
        /// What the network counts.
        counted: Amount,
    },
    /// A row does not read.
    #[error("a row of the book does not read")]
    Unreadable,
}

/// Why a map is not the state of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The map has no readable network or parameters.
    #[error("the map is not a state of a ledger")]
    NotAState,
    /// The map is the state of another network.
    #[error("the state belongs to another network")]
    OtherNetwork,
}

impl Ledger {
    /// Takes up a state from a map that was proven against a trusted root.
    ///
    /// # Errors
    /// [`RestoreError`] when it is not a state of the network of `genesis`.
    pub fn restore(genesis: &Genesis, map: Map) -> Result<Self, RestoreError> {
        let network: Network = row(&map, Key::Network).ok_or(RestoreError::NotAState)?;
        let parameters = row(&map, Key::Parameters).ok_or(RestoreError::NotAState)?;
        if network.genesis != genesis.hash() {
            return Err(RestoreError::OtherNetwork);
        }
        Ok(Self { state: State::new(Charter::of(genesis), parameters, network, map) })
    }

    /// Returns the state as verifiable chunks, for [`crate::map::Import`] and [`Ledger::restore`].
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        self.state.map().chunks()
    }

    /// Returns the chunk that begins with the first key from `from` on, and the key from which the
    /// next one goes on, unless it is the last; nothing if no key is from there on.
    #[must_use]
    pub fn chunk(&self, from: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        self.state.map().chunk_and_last_key(from)
    }

    /// Returns the map that holds the state.
    #[must_use]
    pub const fn map(&self) -> &Map {
        self.state.map()
    }

    /// Returns the root of the state.
    #[must_use]
    pub fn root(&self) -> Hash {
        Hash::from_bytes(self.state.map().root())
    }

    /// Returns the earliest time at which a block would do something by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        let next_block = self.state.now().after(types::Duration::from_ms(1));
        let queued = self.state.next_due();
        let searched = matching::is_waiting(&self.state).then_some(next_block);
        let drawn = draws::is_waiting(&self.state).then_some(next_block);
        let earliest = [queued, searched, drawn, Some(epoch::closes(&self.state))];
        earliest.into_iter().flatten().min().map(|time| time.max(next_block))
    }

    /// Returns what the network is and where it stands.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.state.network
    }

    /// Returns the parameters in force.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        self.state.parameters().clone()
    }

    /// Returns whether the network has a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.state.charter().token
    }

    /// Returns an account.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.row(Key::Account(*address))
    }

    /// Returns what a row of the book holds.
    #[must_use]
    pub fn balance(&self, row: Row, asset: Asset) -> Amount {
        self.row(Key::Book(row, asset)).unwrap_or_default()
    }

    /// Returns a provider.
    #[must_use]
    pub fn provider(&self, address: &Address) -> Option<Provider> {
        self.row(Key::Provider(*address))
    }

    /// Returns providers in the order of their addresses, those after `after`, at most `limit`.
    #[must_use]
    pub fn providers(&self, after: Option<&Address>, limit: usize) -> Vec<Provider> {
        let after = after.map(|address| Key::Provider(*address));
        self.values(Prefix::Providers, after, limit)
    }

    /// Returns the address of the provider that `signer` is, or whose node key it is.
    #[must_use]
    pub fn provider_of(&self, signer: &Address) -> Option<Address> {
        tx::provider_of(&self.state, signer).ok().flatten()
    }

    /// Returns the stake of a provider that is on its way back.
    #[must_use]
    pub fn unbondings(&self, address: &Address) -> Vec<Unbonding> {
        self.values(Prefix::Unbondings(*address), None, usize::MAX)
    }

    /// Returns what an account may issue of an asset.
    #[must_use]
    pub fn issuer(&self, address: &Address, asset: Asset) -> Option<Issuer> {
        self.row(Key::Issuer(*address, asset))
    }

    /// Returns a standing offer.
    #[must_use]
    pub fn offer(&self, id: &OfferId) -> Option<Offer> {
        self.row(Key::Offer(*id))
    }

    /// Returns how many leases an offer serves now.
    #[must_use]
    pub fn leased(&self, id: &OfferId) -> u32 {
        self.row(Key::OfferLeased(*id)).unwrap_or(0)
    }

    /// Returns a class's offers in the order of price and time, those after the standing offer
    /// `after`, at most `limit`; none when `after` does not stand any more.
    #[must_use]
    pub fn offers(&self, class: ClassId, after: Option<&OfferId>, limit: usize) -> Vec<Offer> {
        let place = |offer: Offer| {
            let price = matching::listed_price(&offer.terms).ok()?;
            Some(Key::OfferByPrice(class, Region::NONE, price, offer.posted, offer.id))
        };
        let after = match after.map(|id| self.offer(id).and_then(place)) {
            None => None,
            Some(Some(place)) => Some(place),
            Some(None) => return Vec::new(),
        };
        let keys = self.state.after(Prefix::OffersByPrice(class, Region::NONE), after);
        let offers = keys.filter_map(|entry| match entry {
            Ok((Key::OfferByPrice(_, _, _, _, id), _)) => self.offer(&id),
            _ => None,
        });
        offers.take(limit).collect()
    }

    /// Returns a provider's standing offers.
    #[must_use]
    pub fn offers_of(&self, provider: &Address) -> Vec<Offer> {
        let offers = self.state.all(Prefix::OffersByProvider(*provider));
        let offers = offers.filter_map(|entry| match entry {
            Ok((Key::OfferByProvider(_, id), _)) => self.offer(&id),
            _ => None,
        });
        offers.collect()
    }

    /// Returns an order that is open, or whose lease is in the state.
    #[must_use]
    pub fn order(&self, id: &OrderId) -> Option<Order> {
        self.row(Key::Order(*id))
    }

    /// Returns whether an order waits for a match.
    #[must_use]
    pub fn is_open(&self, id: &OrderId) -> bool {
        tx::cancel_order::open_order(&self.state, *id).is_ok_and(|order| order.is_some())
    }

    /// Returns a lease that is in the state.
    #[must_use]
    pub fn lease(&self, id: &LeaseId) -> Option<Lease> {
        self.row(Key::Lease(*id))
    }

    /// Returns the receipts of a lease, in order.
    #[must_use]
    pub fn receipts(&self, lease: &LeaseId) -> Vec<SignedReceipt> {
        self.values(Prefix::Receipts(*lease), None, usize::MAX)
    }

    /// Returns a provider's leases that are not closed, in the order of their names, those after
    /// `after`, at most `limit`.
    #[must_use]
    pub fn leases_of_provider(
        &self,
        provider: &Address,
        after: Option<&LeaseId>,
        limit: usize,
    ) -> Vec<Lease> {
        let after = after.map(|lease| Key::LeaseByProvider(*provider, *lease));
        let leases = self.state.after(Prefix::LeasesByProvider(*provider), after);
        let leases = leases.filter_map(|entry| match entry {
            Ok((Key::LeaseByProvider(_, id), _)) => self.lease(&id),
            _ => None,
        });
        leases.take(limit).collect()
    }

    /// Returns the audit of a lease that is in the state.
    #[must_use]
    pub fn audit(&self, lease: &LeaseId) -> Option<Audit> {
        self.row(Key::Audit(*lease))
    }

    /// Returns the dispute over a lease that is in the state.
    #[must_use]
    pub fn dispute(&self, lease: &LeaseId) -> Option<Dispute> {
        self.row(Key::Dispute(*lease))
    }

    /// Returns an auditor of a class.
    #[must_use]
    pub fn auditor(&self, class: ClassId, address: &Address) -> Option<Auditor> {
        self.row(Key::Auditor(class, *address))
    }

    /// Returns how many seats the auditors of a class have together.
    #[must_use]
    pub fn seats(&self, class: ClassId) -> u32 {
        auditors::seats(&self.state, class).unwrap_or(0)
    }

    /// Returns the leases whose audits an auditor has to do, in the order of their names, those
    /// after `after`, at most `limit`.
    #[must_use]
    pub fn audits_of(
        &self,
        auditor: &Address,
        after: Option<&LeaseId>,
        limit: usize,
    ) -> Vec<LeaseId> {
        let after = after.map(|lease| Key::AuditByAuditor(*auditor, *lease));
        let audits = self.state.after(Prefix::AuditsByAuditor(*auditor), after);
        let leases = audits.filter_map(|entry| match entry {
            Ok((Key::AuditByAuditor(_, lease), _)) => Some(lease),
            _ => None,
        });
        leases.take(limit).collect()
    }

    /// Returns the leases over which disputes are not decided, first those in which somebody
    /// accuses, then in the order of their names, those after `after`, at most `limit`.
    #[must_use]
    pub fn open_disputes(&self, after: Option<&LeaseId>, limit: usize) -> Vec<LeaseId> {
        let after = after.map(|lease| {
            // It may be decided by now.
            let is_nobodys = self.dispute(lease).is_some_and(|dispute| !dispute.is_accused());
            Key::OpenDispute(is_nobodys, *lease)
        });
        let leases =
            self.state.after(Prefix::OpenDisputes, after).filter_map(|entry| match entry {
                Ok((Key::OpenDispute(_, lease), _)) => Some(lease),
                _ => None,
            });
        leases.take(limit).collect()
    }

    /// Returns what is known of a provider's work, for each class of which anything is.
    #[must_use]
    pub fn reputations(&self, provider: &Address) -> Vec<(ClassId, Reputation)> {
        let epoch = self.state.network.epoch;
        let known =
            self.state.all(Prefix::Reputations(*provider)).filter_map(|entry| match entry {
                Ok((Key::Reputation(_, class), bytes)) => {
                    Some((class, Reputation::from_bytes(bytes).ok()?.at(epoch)))
                }
                _ => None,
            });
        known.collect()
    }

    /// Returns the running epoch's metrics of each class.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let tallies = classes::CLASSES.iter().map(|class| epoch::tally(&self.state, class.id()));
        tallies.filter_map(Result::ok).collect()
    }

    /// Returns the last closed epoch's metrics of each class; none before the first has closed.
    #[must_use]
    pub fn past_tallies(&self) -> Vec<Tally> {
        classes::CLASSES.iter().filter_map(|class| self.row(Key::TallyPast(class.id()))).collect()
    }

    /// Returns the changes that are being voted on.
    #[must_use]
    pub fn proposals(&self) -> Vec<Proposal> {
        self.values(Prefix::Proposals, None, usize::MAX)
    }

    /// Returns the accumulator of leases that left the state.
    #[must_use]
    pub fn archive(&self) -> Archive {
        self.row(Key::Archive).unwrap_or_default()
    }

    /// Returns a row of the state with its proof.
    #[must_use]
    pub fn prove(&self, key: &Key) -> Proved {
        let key = key.to_bytes();
        let proof = self.state.map().prove(key.as_slice());
        let proof = proof.expect("keys of the ledger are within the map's bounds");
        let value = self.state.map().get(key.as_slice()).map(<[u8]>::to_vec);
        Proved { value, proof: proof.encode() }
    }

    /// Counts the whole book; takes time in proportion to the state.
    ///
    /// # Errors
    /// The first [`Imbalance`] found.
    pub fn recount(&self) -> Result<(), Imbalance> {
        let mut held: BTreeMap<Asset, (u128, u128)> = BTreeMap::new();
        let mut staked: u128 = 0;
        for (key, value) in self.state.map() {
            let Key::Book(row, asset) = Key::from_bytes(key).ok_or(Imbalance::Unreadable)? else {
                continue;
            };
            let amount = Amount::from_bytes(value).map_err(|_| Imbalance::Unreadable)?;
            let amount = u128::from(amount.get());
            let (rows, issued) = held.entry(asset).or_default();
            let side = if matches!(row, Row::Issued(_)) { issued } else { rows };
            *side = side.saturating_add(amount);
            if matches!(row, Row::Stake(_)) {
                staked = staked.saturating_add(amount);
            }
        }
        for (asset, (held, issued)) in held {
            if held != issued {
                return Err(Imbalance::Asset { asset, held, issued });
            }
        }
        let counted = self.state.network.stake;
        if staked != u128::from(counted.get()) {
            return Err(Imbalance::Stake { staked, counted });
        }
        Ok(())
    }

    fn row<T: Decode>(&self, key: Key) -> Option<T> {
        self.state.get(key).ok().flatten()
    }

    fn values<T: Decode>(&self, prefix: Prefix, after: Option<Key>, limit: usize) -> Vec<T> {
        let values = self.state.after(prefix, after).take(limit);
        let values = values
            .filter_map(|entry: Result<(Key, &[u8]), Broken>| T::from_bytes(entry.ok()?.1).ok());
        values.collect()
    }
}

fn row<T: Decode>(map: &Map, key: Key) -> Option<T> {
    T::from_bytes(map.get(key.to_bytes().as_slice())?).ok()
}
