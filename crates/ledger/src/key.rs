//! The keys of the state: a tag byte and fixed-width big-endian fields.
//!
//! Rows that change together stand together: all of an account, all of an order with the lease
//! that it became, all of an offer. Under the tag and the subject's name a part says which row it
//! is; neighbours share a path in the map, and so the cost of walking and hashing it. In queues
//! and indexes numbers come in their order, so that a range of keys is one. An encoding reads back
//! to the one key that has it.

use types::{
    Address, Amount, Asset, ClassId, Hash, LeaseId, OfferId, OrderId, PublicKey, Reader, Time,
    limits::REGION_BYTES_MAX,
};

/// Longest key of the ledger, in bytes.
pub const LEDGER_KEY_BYTES_MAX: usize = 80;

/// A region's name, padded with zero bytes; all zero stands for no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Region([u8; REGION_BYTES_MAX]);

impl Region {
    /// No region: the part of the index where every offer stands.
    pub const NONE: Self = Self([0; REGION_BYTES_MAX]);

    /// Takes a name of at most 16 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; REGION_BYTES_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self(bytes))
    }
}

/// A row of the book: where value is, or who issued it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// What an account can spend.
    Wallet(Address),
    /// What an open order has locked.
    Order(OrderId),
    /// What a standing offer has locked for its place in the state.
    Offer(OfferId),
    /// What a lease has locked.
    Escrow(LeaseId),
    /// The provider's part of a closed lease, until it is released.
    Pending(LeaseId),
    /// A provider's funds behind a lease's terms.
    Guarantee(LeaseId),
    /// A provider's stake.
    Stake(Address),
    /// Stake on its way back.
    Unbonding(Address),
    /// Rewards on their way to an account.
    Vesting(Address),
    /// What a standing sale of token has locked.
    Ask(Hash),
    /// Premiums for audits.
    AuditPool,
    /// The network's part of fees.
    Treasury,
    /// The part of fees that buys token to burn.
    Buyback,
    /// Rewards not given out yet.
    Rewards,
    /// What helps a class to begin.
    Boot(ClassId),
    /// What a dispute has locked.
    Dispute(Hash),
    /// What nobody will ever have.
    Burned,
    /// What an issuer owes for what it put into circulation: the negative side.
    Issued(Address),
}

/// What happens by itself at some time; the order here is the order within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// An open order lapses.
    OrderExpiry(OrderId),
    /// A standing offer lapses.
    OfferExpiry(OfferId),
    /// The next thing happens to a lease that its state has waiting for it.
    Lease(LeaseId),
    /// Stake is back.
    Unbonding(Address, u64),
    /// A vote ends.
    Change(Hash),
}

/// A key of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// What the network is and where it stands.
    Network,
    /// The parameters in force.
    Parameters,
    /// An account's counters.
    Account(Address),
    /// An amount of the book.
    Book(Row, Asset),
    /// Who may issue an asset.
    Issuer(Address, Asset),
    /// A provider.
    Provider(Address),
    /// The provider whose current node key this is.
    NodeKey(PublicKey),
    /// Stake on its way back, by the nonce of the transaction that sent it.
    Unbonding(Address, u64),
    /// A standing offer.
    Offer(OfferId),
    /// How many leases an offer serves now.
    OfferLeased(OfferId),
    /// An offer's place in the market's index, by its price of a million units.
    OfferByPrice(ClassId, Region, Amount, Time, OfferId),
    /// An offer's place among its provider's.
    OfferByProvider(Address, OfferId),
    /// An order.
    Order(OrderId),
    /// An open order's place in the queue.
    OpenOrder(ClassId, Time, OrderId),
    /// Where the search for a class's open orders stands.
    Matching(ClassId),
    /// A lease.
    Lease(LeaseId),
    /// A lease's place among its provider's, until it is closed.
    LeaseByProvider(Address, LeaseId),
    /// A receipt.
    Receipt(LeaseId, u32),
    /// A place in the queue of what happens by itself.
    Due(Time, Due),
    /// The running epoch's metrics of a class.
    Tally(ClassId),
    /// The last closed epoch's metrics of a class.
    TallyPast(ClassId),
    /// A change that is being voted on.
    Proposal(Hash),
    /// A vote for a change.
    Vote(Hash, Address),
    /// The accumulator of leases that left the state.
    Archive,
    /// The audit of a lease.
    Audit(LeaseId),
    /// The dispute over a lease.
    Dispute(LeaseId),
    /// An auditor of a class.
    Auditor(ClassId, Address),
    /// Whose a seat among the auditors of a class is.
    Seat(ClassId, u32),
    /// How many seats the auditors of a class have.
    Seats(ClassId),
    /// An audit's place among those that an auditor has to do.
    AuditByAuditor(Address, LeaseId),
    /// A dispute's place among those that are not decided: whether nobody accuses, and the lease.
    OpenDispute(bool, LeaseId),
    /// What is known of a provider's work in a class.
    Reputation(Address, ClassId),
    /// The place of a lease's draw among those that wait, by the block from which on it does.
    Draw(u64, LeaseId),
    /// When each validator last led a block.
    Leaders,
}

/// The encoding of a key, or of a prefix of keys; at most [`LEDGER_KEY_BYTES_MAX`] bytes.
#[derive(Clone, Copy)]
pub struct KeyBytes {
    bytes: [u8; LEDGER_KEY_BYTES_MAX],
    len: u8,
}

impl KeyBytes {
    /// Starts with a tag.
    fn tagged(tag: u8) -> Self {
        Self { bytes: [0; LEDGER_KEY_BYTES_MAX], len: 0 }.with(&[tag])
    }

    /// Appends a field.
    fn with(mut self, field: &[u8]) -> Self {
        let start = usize::from(self.len);
        let end = start.saturating_add(field.len());
        self.bytes
            .get_mut(start..end)
            .expect("the longest key, an offer's place in the index, takes 67 bytes")
            .copy_from_slice(field);
        self.len = u8::try_from(end).expect("at most 67");
        self
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// Returns the first sixteen bytes as a number of the same order.
    pub(crate) fn head(&self) -> u128 {
        self.bytes.first_chunk().map_or(0, |head| u128::from_be_bytes(*head))
    }

    /// Returns whether rows of this kind are walked in order while a block is executed.
    pub(crate) fn is_walked(&self) -> bool {
        matches!(
            self.bytes,
            [
                tag::OFFER_BY_PRICE | tag::OPEN_ORDER | tag::VOTE | tag::UNBONDING | tag::PROPOSAL,
                ..
            ]
        )
    }
}

impl std::hash::Hash for KeyBytes {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.as_slice());
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for KeyBytes {}

impl std::fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&types::text::to_hex(self.as_slice()))
    }
}

mod tag {
    pub(super) const NETWORK: u8 = 0;
    pub(super) const PARAMETERS: u8 = 1;
    /// All rows of an account; a part follows its address.
    pub(super) const ACCOUNT: u8 = 2;
    /// All rows of an order and of its lease; a part follows their name.
    pub(super) const ORDER: u8 = 3;
    /// All rows of an offer; a part follows its name.
    pub(super) const OFFER: u8 = 4;
    /// Rows of the book that are nobody's.
    pub(super) const BOOK: u8 = 5;
    pub(super) const PROVIDER: u8 = 6;
    pub(super) const UNBONDING: u8 = 7;
    pub(super) const OFFER_BY_PRICE: u8 = 8;
    pub(super) const OFFER_BY_PROVIDER: u8 = 9;
    pub(super) const OPEN_ORDER: u8 = 10;
    pub(super) const MATCHING: u8 = 11;
    pub(super) const LEASE_BY_PROVIDER: u8 = 12;
    pub(super) const DUE: u8 = 13;
    pub(super) const TALLY: u8 = 14;
    pub(super) const TALLY_PAST: u8 = 15;
    pub(super) const PROPOSAL: u8 = 16;
    pub(super) const VOTE: u8 = 17;
    pub(super) const ARCHIVE: u8 = 18;
    pub(super) const AUDITOR: u8 = 19;
    pub(super) const SEAT: u8 = 20;
    pub(super) const SEATS: u8 = 21;
    pub(super) const AUDIT_BY_AUDITOR: u8 = 22;
    pub(super) const OPEN_DISPUTE: u8 = 23;
    pub(super) const REPUTATION: u8 = 24;
    pub(super) const DRAW: u8 = 25;
    pub(super) const LEADERS: u8 = 26;
}

/// Parts of what stands under [`tag::ACCOUNT`].
mod account {
    pub(super) const COUNTERS: u8 = 0;
    pub(super) const WALLET: u8 = 1;
    pub(super) const STAKE: u8 = 2;
    pub(super) const UNBONDING: u8 = 3;
    pub(super) const VESTING: u8 = 4;
    pub(super) const ISSUED: u8 = 5;
    pub(super) const ISSUER: u8 = 6;
    pub(super) const NODE_KEY: u8 = 7;
}

/// Parts of what stands under [`tag::ORDER`].
mod order {
    pub(super) const TERMS: u8 = 0;
    pub(super) const LOCKED: u8 = 1;
    pub(super) const LEASE: u8 = 2;
    pub(super) const ESCROW: u8 = 3;
    pub(super) const PENDING: u8 = 4;
    pub(super) const GUARANTEE: u8 = 5;
    pub(super) const RECEIPT: u8 = 6;
    pub(super) const AUDIT: u8 = 7;
    pub(super) const DISPUTE: u8 = 8;
}

/// Parts of what stands under [`tag::OFFER`].
mod offer {
    pub(super) const TERMS: u8 = 0;
    pub(super) const LOCKED: u8 = 1;
    pub(super) const LEASED: u8 = 2;
}

/// Kinds of what stands under [`tag::BOOK`].
mod book {
    pub(super) const ASK: u8 = 0;
    pub(super) const AUDIT_POOL: u8 = 1;
    pub(super) const TREASURY: u8 = 2;
    pub(super) const BUYBACK: u8 = 3;
    pub(super) const REWARDS: u8 = 4;
    pub(super) const BOOT: u8 = 5;
    pub(super) const DISPUTE: u8 = 6;
    pub(super) const BURNED: u8 = 7;
}

/// Keys that share their first fields and stand together.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Prefix {
    /// All providers.
    Providers,
    /// An account's unbondings.
    Unbondings(Address),
    /// A class's offers in a region, or all of them under none.
    OffersByPrice(ClassId, Region),
    /// A provider's offers.
    OffersByProvider(Address),
    /// A class's open orders.
    OpenOrders(ClassId),
    /// A provider's leases that are not closed.
    LeasesByProvider(Address),
    /// A lease's receipts.
    Receipts(LeaseId),
    /// The whole queue.
    Due,
    /// Changes that are being voted on.
    Proposals,
    /// The votes for a change.
    Votes(Hash),
    /// The audits that an auditor has to do.
    AuditsByAuditor(Address),
    /// Disputes that are not decided.
    OpenDisputes,
    /// What is known of a provider's work.
    Reputations(Address),
    /// Draws that wait.
    Draws,
}

impl Prefix {
    /// Returns the bytes that all the keys start with.
    pub(crate) fn to_bytes(self) -> KeyBytes {
        let tagged = KeyBytes::tagged;
        match self {
            Self::Providers => tagged(tag::PROVIDER),
            Self::Unbondings(address) => tagged(tag::UNBONDING).with(address.as_bytes()),
            Self::OffersByPrice(ClassId(class), Region(region)) => {
                tagged(tag::OFFER_BY_PRICE).with(&class.to_be_bytes()).with(&region)
            }
            Self::OffersByProvider(address) => {
                tagged(tag::OFFER_BY_PROVIDER).with(address.as_bytes())
            }
            Self::OpenOrders(ClassId(class)) => tagged(tag::OPEN_ORDER).with(&class.to_be_bytes()),
            Self::LeasesByProvider(address) => {
                tagged(tag::LEASE_BY_PROVIDER).with(address.as_bytes())
            }
            Self::Receipts(lease) => of_lease(lease, order::RECEIPT),
            Self::Due => tagged(tag::DUE),
            Self::Proposals => tagged(tag::PROPOSAL),
            Self::Votes(hash) => tagged(tag::VOTE).with(hash.as_bytes()),
            Self::AuditsByAuditor(address) => {
                tagged(tag::AUDIT_BY_AUDITOR).with(address.as_bytes())
            }
            Self::OpenDisputes => tagged(tag::OPEN_DISPUTE),
            Self::Reputations(address) => tagged(tag::REPUTATION).with(address.as_bytes()),
            Self::Draws => tagged(tag::DRAW),
        }
    }
}

const fn asset_number(asset: Asset) -> u8 {
    match asset {
        Asset::Usd => 0,
        Asset::Wild => 1,
    }
}

fn of_account(address: Address, part: u8) -> KeyBytes {
    KeyBytes::tagged(tag::ACCOUNT).with(address.as_bytes()).with(&[part])
}

fn of_height(tag: u8, height: u64) -> KeyBytes {
    KeyBytes::tagged(tag).with(&height.to_be_bytes())
}

fn of_order(order: OrderId, part: u8) -> KeyBytes {
    KeyBytes::tagged(tag::ORDER).with(order.as_bytes()).with(&[part])
}

fn of_lease(lease: LeaseId, part: u8) -> KeyBytes {
    of_order(OrderId::from(lease), part)
}

fn of_offer(offer: OfferId, part: u8) -> KeyBytes {
    KeyBytes::tagged(tag::OFFER).with(offer.as_bytes()).with(&[part])
}

impl Row {
    /// Returns the encoding of the row's keys up to the asset.
    fn to_bytes(self) -> KeyBytes {
        let of_none = |kind| KeyBytes::tagged(tag::BOOK).with(&[kind]);
        match self {
            Self::Wallet(address) => of_account(address, account::WALLET),
            Self::Order(order) => of_order(order, order::LOCKED),
            Self::Offer(offer) => of_offer(offer, offer::LOCKED),
            Self::Escrow(lease) => of_lease(lease, order::ESCROW),
            Self::Pending(lease) => of_lease(lease, order::PENDING),
            Self::Guarantee(lease) => of_lease(lease, order::GUARANTEE),
            Self::Stake(address) => of_account(address, account::STAKE),
            Self::Unbonding(address) => of_account(address, account::UNBONDING),
            Self::Vesting(address) => of_account(address, account::VESTING),
            Self::Ask(hash) => of_none(book::ASK).with(hash.as_bytes()),
            Self::AuditPool => of_none(book::AUDIT_POOL),
            Self::Treasury => of_none(book::TREASURY),
            Self::Buyback => of_none(book::BUYBACK),
            Self::Rewards => of_none(book::REWARDS),
            Self::Boot(ClassId(class)) => of_none(book::BOOT).with(&class.to_be_bytes()),
            Self::Dispute(hash) => of_none(book::DISPUTE).with(hash.as_bytes()),
            Self::Burned => of_none(book::BURNED),
            Self::Issued(address) => of_account(address, account::ISSUED),
        }
    }

    /// Reads a row that is nobody's.
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(match fields.number8()? {
            book::ASK => Self::Ask(Hash::from_bytes(fields.array()?)),
            book::AUDIT_POOL => Self::AuditPool,
            book::TREASURY => Self::Treasury,
            book::BUYBACK => Self::Buyback,
            book::REWARDS => Self::Rewards,
            book::BOOT => Self::Boot(fields.class()?),
            book::DISPUTE => Self::Dispute(Hash::from_bytes(fields.array()?)),
            book::BURNED => Self::Burned,
            _ => return None,
        })
    }
}

impl Due {
    fn append_to(self, key: KeyBytes) -> KeyBytes {
        match self {
            Self::OrderExpiry(order) => key.with(&[0]).with(order.as_bytes()),
            Self::OfferExpiry(offer) => key.with(&[1]).with(offer.as_bytes()),
            Self::Lease(lease) => key.with(&[2]).with(lease.as_bytes()),
            Self::Unbonding(address, sequence) => {
                key.with(&[3]).with(address.as_bytes()).with(&sequence.to_be_bytes())
            }
            Self::Change(hash) => key.with(&[4]).with(hash.as_bytes()),
        }
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(match fields.number8()? {
            0 => Self::OrderExpiry(OrderId::from_bytes(fields.array()?)),
            1 => Self::OfferExpiry(OfferId::from_bytes(fields.array()?)),
            2 => Self::Lease(fields.lease()?),
            3 => Self::Unbonding(fields.address()?, fields.number64()?),
            4 => Self::Change(Hash::from_bytes(fields.array()?)),
            _ => return None,
        })
    }
}

impl Key {
    /// Returns the encoding.
    #[must_use]
    pub fn to_bytes(self) -> KeyBytes {
        let tagged = KeyBytes::tagged;
        match self {
            Self::Network => tagged(tag::NETWORK),
            Self::Parameters => tagged(tag::PARAMETERS),
            Self::Account(address) => of_account(address, account::COUNTERS),
            Self::Book(row, asset) => row.to_bytes().with(&[asset_number(asset)]),
            Self::Issuer(address, asset) => {
                of_account(address, account::ISSUER).with(&[asset_number(asset)])
            }
            Self::Provider(address) => tagged(tag::PROVIDER).with(address.as_bytes()),
            Self::NodeKey(key) => of_account(Address::new(key), account::NODE_KEY),
            Self::Unbonding(address, sequence) => {
                Prefix::Unbondings(address).to_bytes().with(&sequence.to_be_bytes())
            }
            Self::Offer(offer) => of_offer(offer, offer::TERMS),
            Self::OfferLeased(offer) => of_offer(offer, offer::LEASED),
            Self::OfferByPrice(class, region, price, posted, offer) => {
                Prefix::OffersByPrice(class, region)
                    .to_bytes()
                    .with(&price.get().to_be_bytes())
                    .with(&posted.as_ms().to_be_bytes())
                    .with(offer.as_bytes())
            }
            Self::OfferByProvider(address, offer) => {
                Prefix::OffersByProvider(address).to_bytes().with(offer.as_bytes())
            }
            Self::Order(order) => of_order(order, order::TERMS),
            Self::OpenOrder(class, placed, order) => Prefix::OpenOrders(class)
                .to_bytes()
                .with(&placed.as_ms().to_be_bytes())
                .with(order.as_bytes()),
            Self::Matching(ClassId(class)) => tagged(tag::MATCHING).with(&class.to_be_bytes()),
            Self::Lease(lease) => of_lease(lease, order::LEASE),
            Self::LeaseByProvider(address, lease) => {
                Prefix::LeasesByProvider(address).to_bytes().with(lease.as_bytes())
            }
            Self::Receipt(lease, sequence) => {
                Prefix::Receipts(lease).to_bytes().with(&sequence.to_be_bytes())
            }
            Self::Due(time, due) => {
                due.append_to(tagged(tag::DUE).with(&time.as_ms().to_be_bytes()))
            }
            Self::Tally(ClassId(class)) => tagged(tag::TALLY).with(&class.to_be_bytes()),
            Self::TallyPast(ClassId(class)) => tagged(tag::TALLY_PAST).with(&class.to_be_bytes()),
            Self::Proposal(hash) => tagged(tag::PROPOSAL).with(hash.as_bytes()),
            Self::Vote(hash, voter) => Prefix::Votes(hash).to_bytes().with(voter.as_bytes()),
            Self::Archive => tagged(tag::ARCHIVE),
            Self::Audit(lease) => of_lease(lease, order::AUDIT),
            Self::Dispute(lease) => of_lease(lease, order::DISPUTE),
            Self::Auditor(ClassId(class), address) => {
                tagged(tag::AUDITOR).with(&class.to_be_bytes()).with(address.as_bytes())
            }
            Self::Seat(ClassId(class), index) => {
                tagged(tag::SEAT).with(&class.to_be_bytes()).with(&index.to_be_bytes())
            }
            Self::Seats(ClassId(class)) => tagged(tag::SEATS).with(&class.to_be_bytes()),
            Self::AuditByAuditor(address, lease) => {
                Prefix::AuditsByAuditor(address).to_bytes().with(lease.as_bytes())
            }
            Self::OpenDispute(is_nobodys, lease) => {
                tagged(tag::OPEN_DISPUTE).with(&[u8::from(is_nobodys)]).with(lease.as_bytes())
            }
            Self::Reputation(address, ClassId(class)) => {
                Prefix::Reputations(address).to_bytes().with(&class.to_be_bytes())
            }
            Self::Draw(height, lease) => of_height(tag::DRAW, height).with(lease.as_bytes()),
            Self::Leaders => tagged(tag::LEADERS),
        }
    }

    /// Reads an encoding back, or nothing if it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(Reader::new(bytes));
        let key = Self::read(&mut fields)?;
        fields.0.finish().ok().map(|()| key)
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(match fields.number8()? {
            tag::NETWORK => Self::Network,
            tag::PARAMETERS => Self::Parameters,
            tag::ACCOUNT => Self::read_account(fields)?,
            tag::ORDER => Self::read_order(fields)?,
            tag::OFFER => Self::read_offer(fields)?,
            tag::BOOK => Self::Book(Row::read(fields)?, fields.asset()?),
            tag::PROVIDER => Self::Provider(fields.address()?),
            tag::UNBONDING => Self::Unbonding(fields.address()?, fields.number64()?),
            tag::OFFER_BY_PRICE => Self::OfferByPrice(
                fields.class()?,
                Region(fields.array()?),
                Amount::new(fields.number64()?).ok()?,
                Time::from_ms(fields.number64()?),
                OfferId::from_bytes(fields.array()?),
            ),
            tag::OFFER_BY_PROVIDER => {
                Self::OfferByProvider(fields.address()?, OfferId::from_bytes(fields.array()?))
            }
            tag::OPEN_ORDER => Self::OpenOrder(
                fields.class()?,
                Time::from_ms(fields.number64()?),
                OrderId::from_bytes(fields.array()?),
            ),
            tag::MATCHING => Self::Matching(fields.class()?),
            tag::LEASE_BY_PROVIDER => Self::LeaseByProvider(fields.address()?, fields.lease()?),
            tag::DUE => Self::Due(Time::from_ms(fields.number64()?), Due::read(fields)?),
            tag::TALLY => Self::Tally(fields.class()?),
            tag::TALLY_PAST => Self::TallyPast(fields.class()?),
            tag::PROPOSAL => Self::Proposal(Hash::from_bytes(fields.array()?)),
            tag::VOTE => Self::Vote(Hash::from_bytes(fields.array()?), fields.address()?),
            tag::ARCHIVE => Self::Archive,
            tag::AUDITOR => Self::Auditor(fields.class()?, fields.address()?),
            tag::SEAT => Self::Seat(fields.class()?, fields.number32()?),
            tag::SEATS => Self::Seats(fields.class()?),
            tag::AUDIT_BY_AUDITOR => Self::AuditByAuditor(fields.address()?, fields.lease()?),
            tag::OPEN_DISPUTE => Self::OpenDispute(fields.flag()?, fields.lease()?),
            tag::REPUTATION => Self::Reputation(fields.address()?, fields.class()?),
            tag::DRAW => Self::Draw(fields.number64()?, fields.lease()?),
            tag::LEADERS => Self::Leaders,
            _ => return None,
        })
    }

    fn read_account(fields: &mut Fields<'_>) -> Option<Self> {
        let address = fields.address()?;
        let row = match fields.number8()? {
            account::COUNTERS => return Some(Self::Account(address)),
            account::WALLET => Row::Wallet(address),
            account::STAKE => Row::Stake(address),
            account::UNBONDING => Row::Unbonding(address),
            account::VESTING => Row::Vesting(address),
            account::ISSUED => Row::Issued(address),
            account::ISSUER => return Some(Self::Issuer(address, fields.asset()?)),
            account::NODE_KEY => return Some(Self::NodeKey(*address.key())),
            _ => return None,
        };
        Some(Self::Book(row, fields.asset()?))
    }

    fn read_order(fields: &mut Fields<'_>) -> Option<Self> {
        let order = OrderId::from_bytes(fields.array()?);
        let lease = LeaseId::from(order);
        let row = match fields.number8()? {
            order::TERMS => return Some(Self::Order(order)),
            order::LOCKED => Row::Order(order),
            order::LEASE => return Some(Self::Lease(lease)),
            order::ESCROW => Row::Escrow(lease),
            order::PENDING => Row::Pending(lease),
            order::GUARANTEE => Row::Guarantee(lease),
            order::RECEIPT => return Some(Self::Receipt(lease, fields.number32()?)),
            order::AUDIT => return Some(Self::Audit(lease)),
            order::DISPUTE => return Some(Self::Dispute(lease)),
            _ => return None,
        };
        Some(Self::Book(row, fields.asset()?))
    }

    fn read_offer(fields: &mut Fields<'_>) -> Option<Self> {
        let offer = OfferId::from_bytes(fields.array()?);
        Some(match fields.number8()? {
            offer::TERMS => Self::Offer(offer),
            offer::LOCKED => Self::Book(Row::Offer(offer), fields.asset()?),
            offer::LEASED => Self::OfferLeased(offer),
            _ => return None,
        })
    }
}

/// The fields of an encoding, from front to back.
struct Fields<'a>(Reader<'a>);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.0.array().ok()
    }

    fn number8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.number8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn number32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn number64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn address(&mut self) -> Option<Address> {
        self.array().map(|bytes| Address::new(PublicKey::from_bytes(bytes)))
    }

    fn lease(&mut self) -> Option<LeaseId> {
        self.array().map(LeaseId::from_bytes)
    }

    fn class(&mut self) -> Option<ClassId> {
        self.array().map(|bytes| ClassId(u16::from_be_bytes(bytes)))
    }

    fn asset(&mut self) -> Option<Asset> {
        match self.number8()? {
            0 => Some(Asset::Usd),
            1 => Some(Asset::Wild),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
