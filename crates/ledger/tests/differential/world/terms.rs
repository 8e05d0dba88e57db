//! Offers, orders and receipts, made from the samples of the classes.

use classes::{CLASSES, Class, Sample};
use types::{
    Address, Amount, AuditTerms, BasisPoints, Blob, Claim, ClaimKey, Claims, ClassId,
    Countersignature, Duration, Hash, Lease, LeaseState, List, Offer, OfferId, OfferTerms,
    OrderTerms, Provenance, Rate, Readers, Receipt, Signature, SignedReceipt, Time, Value,
};

use super::{World, audit::trace, key, micro};
use crate::reference::Reference;

/// What orders demand; offers claim some of it.
const CONSTRAINTS: [&str; 11] = [
    "true",
    "true",
    "region == \"eu\"",
    "region == \"us\" && gpu.vram >= 8GiB",
    "gpu.vram >= 16GiB @measured",
    "!(region == \"eu\") || has(gpu.vram)",
    "age(gpu.vram) < 2s",
    "region == \"\"",
    "region == \"nowhere\"",
    "region == \"a region with too long a name\" && region == \"eu\"",
    "region == \"eu\" && region == \"us\"",
];

impl World {
    pub(super) fn class(&mut self) -> &'static dyn Class {
        *self.dice.pick(CLASSES).expect("there is a class")
    }

    pub(super) fn class_id(&mut self, class: &dyn Class) -> ClassId {
        if self.dice.one_in(60) { ClassId(self.dice.of([0, 999, u16::MAX])) } else { class.id() }
    }

    /// Draws the seed of a sample; for most classes a larger one means more work.
    fn size(&mut self) -> u64 {
        let bits = self.dice.of([0, 10, 22, 24, 25, 26, 27, 49]);
        self.dice.below(1 << bits)
    }

    pub(super) fn rate(&mut self) -> Rate {
        let rates = [199, 200, 100_000, 1_000_000, 1_000_000, 2_000_000, 7_777_777];
        let rate = if self.dice.one_in(50) { Rate::MAX.get() } else { self.dice.of(rates) };
        Rate::new(rate).expect("rates are in range")
    }

    /// Returns a time from now to the horizon, at times just outside.
    pub(super) fn expiry(&mut self, state: &Reference) -> Time {
        let horizon = state.parameters.market_horizon_ms.as_ms();
        let ahead = match self.dice.below(40) {
            0 => 0,
            1 => horizon + 1,
            2 => horizon,
            3..=12 => self.dice.within(1, 3_000.min(horizon)),
            _ => self.dice.within(1, horizon),
        };
        state.time.after(Duration::from_ms(ahead))
    }

    fn claims(&mut self, now: Time) -> Claims {
        let mut claims = Claims::new();
        let mut claim = |key: &str, value, provenance, at| {
            let key = ClaimKey::new(key).expect("a claim key");
            claims.insert(key, Claim { value, provenance, at }).expect("few claims");
        };
        let region = match self.dice.below(30) {
            0 => Some(Value::Integer(7)),
            1 => Some(Value::text("seventeen letters").expect("short text")),
            2 => Some(Value::text("").expect("short text")),
            3..=14 => Some(Value::text("eu").expect("short text")),
            15..=22 => Some(Value::text("us").expect("short text")),
            _ => None,
        };
        if let Some(region) = region {
            claim("region", region, Provenance::Declared, now);
        }
        if self.dice.one_in(2) {
            let provenance = self.dice.of([Provenance::Declared, Provenance::Measured]);
            let at = Time::from_ms(now.as_ms().saturating_sub(self.dice.below(3_000)));
            claim("gpu.vram", Value::Bytes(self.dice.of([4, 8, 24]) << 30), provenance, at);
        }
        claims
    }

    /// Damages an encoding now and then: it may still be one, of something else.
    pub(super) fn damage(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self.dice.below(24) {
            0 => bytes.truncate(self.dice.index(bytes.len())),
            1 | 2 => {
                let index = self.dice.index(bytes.len());
                if let Some(byte) = bytes.get_mut(index) {
                    *byte = self.dice.next().to_le_bytes()[0];
                }
            }
            _ => {}
        }
        bytes
    }

    pub(super) fn offer_terms(&mut self, state: &Reference) -> OfferTerms {
        let class = self.class();
        let Sample { terms, .. } = class.sample(self.dice.next());
        let minimum = state.parameters.receipt_minimum.get() + self.dice.of([0, 0, 1, 5_000]);
        let minimum = if self.dice.one_in(40) { self.dice.below(minimum) } else { minimum };
        let slots = if self.dice.one_in(30) {
            self.dice.of([0, 4_096, 4_097, u32::MAX])
        } else {
            self.dice.of([1, 1, 2, 4])
        };
        OfferTerms {
            class: self.class_id(class),
            terms: Blob::new(self.damage(terms)).expect("a sample is within its bound"),
            claims: self.claims(state.time),
            rate: self.rate(),
            minimum: micro(minimum),
            slots,
            expires: self.expiry(state),
        }
    }

    fn audit(&mut self) -> AuditTerms {
        let (probability, auditors, readers) = match self.dice.below(30) {
            0 => (100, 0, Readers::Auditors),
            1 => (0, 3, Readers::Auditors),
            2 => (100, 8, Readers::Auditors),
            3 => (100, 1, Readers::Nobody),
            4 => (499, 1, Readers::Auditors),
            5..=8 => (0, 0, Readers::Nobody),
            9 => (0, 0, Readers::Auditors),
            10..=11 => (10_000, 7, Readers::Auditors),
            _ => {
                let probability = self.dice.of([500, 3_333, 10_000, 10_000, 10_000]);
                (probability, self.dice.of([1, 1, 2, 3, 7]), Readers::Auditors)
            }
        };
        let probability = BasisPoints::new(probability).expect("a share");
        AuditTerms { probability, auditors, readers }
    }

    pub(super) fn order_terms(&mut self, state: &Reference, tenant: &Address) -> OrderTerms {
        let class = self.class();
        let Sample { spec, .. } = class.sample(self.size());
        let horizon = state.parameters.market_horizon_ms.as_ms();
        let duration = match self.dice.below(40) {
            0 => 999,
            1 => horizon + 1,
            2 => 1_000,
            _ => self.dice.within(1_000, horizon),
        };
        let constraint = self.dice.of(CONSTRAINTS).parse().expect("constraints of the language");
        let mut terms = OrderTerms {
            class: self.class_id(class),
            spec: Blob::new(self.damage(spec)).expect("a sample is within its bound"),
            constraint,
            budget: Amount::ZERO,
            offers: self.named(state),
            audit: self.audit(),
            duration: Duration::from_ms(duration),
            expires: self.expiry(state),
        };
        terms.budget = self.budget(state, &terms, tenant);
        terms
    }

    fn named(&mut self, state: &Reference) -> List<OfferId, 16> {
        let count = if self.dice.one_in(3) { self.dice.within(1, 4) } else { 0 };
        let mut named = Vec::new();
        for _ in 0..count {
            named.push(self.offer(state).map_or(OfferId::from_bytes([7; 32]), |offer| offer.id));
        }
        List::new(named).expect("four at most")
    }

    /// Draws a budget: what some offer asks, a bit more or less, or anything.
    fn budget(&mut self, state: &Reference, terms: &OrderTerms, tenant: &Address) -> Amount {
        let wallet = state.balance(ledger::key::Row::Wallet(*tenant), types::Asset::Usd).get();
        let generous = OrderTerms { budget: Amount::MAX, ..terms.clone() };
        let offer = match terms.offers.first() {
            Some(id) => state.offer(id).cloned(),
            None => self.offer(state),
        };
        let asked = offer.and_then(|offer| state.takes(&offer, &generous));
        let least = state.parameters.receipt_minimum.get();
        let asked = asked.map_or(least, Amount::get);
        let drawn = match self.dice.below(20) {
            0 => least.saturating_sub(1),
            1 => least,
            2 => asked.saturating_sub(1),
            3..=8 => asked,
            9 => self.dice.of([Amount::MAX.get(), wallet, wallet + 1]),
            10..=13 => self.dice.within(0, wallet),
            _ => asked + self.dice.below(10_000),
        };
        micro(drawn)
    }

    fn offer(&mut self, state: &Reference) -> Option<Offer> {
        self.dice.pick(&state.offers).cloned()
    }

    /// Makes the next receipt of a lease, or something like it.
    pub(super) fn receipt(&mut self, state: &Reference, lease: &Lease) -> SignedReceipt {
        let (LeaseState::Active { since }
        | LeaseState::Reclaiming { since, .. }
        | LeaseState::Closing { since, .. }) = lease.state
        else {
            return bare_receipt(lease, Vec::new(), lease.created, state.time);
        };
        let of_lease = state.receipts.iter().filter(|kept| kept.receipt.lease == lease.id);
        let from = of_lease.map(|kept| kept.receipt.to).max().unwrap_or(since);
        let span = state.time.since(from).as_ms();
        let to = from.after(Duration::from_ms(self.dice.within(0, span)));
        let usage = self.usage(state, lease);
        let mut signed = bare_receipt(lease, usage, from, to);
        match self.dice.below(30) {
            0 => signed.node_key = key("forger", 0),
            1 => signed.receipt.sequence = self.dice.of([0, lease.receipts + 2, u32::MAX]),
            2 => signed.receipt.from = Time::from_ms(from.as_ms().saturating_sub(1)),
            3 => signed.receipt.to = state.time.after(Duration::from_ms(1)),
            4 => signed.receipt.to = Time::from_ms(from.as_ms().saturating_sub(1)),
            5 => signed.countersignature = Some(counter(lease.tenant)),
            6 => signed.countersignature = Some(counter(self.someone())),
            7 => signed.receipt.usage = Blob::new(vec![1; 9]).expect("nine bytes"),
            8 => signed.receipt.trace = Hash::ZERO,
            _ => {}
        }
        signed
    }

    /// Looks for a reading that the lease's class accepts.
    fn usage(&mut self, state: &Reference, lease: &Lease) -> Vec<u8> {
        let class = classes::find(lease.class).expect("a lease's class is in the table");
        let order = state.order(&lease.order).expect("a lease's order stays with it");
        let mut usage = class.sample(self.size()).usage;
        for _ in 0..8 {
            if class.units(order.terms.spec.as_slice(), &usage).is_ok() {
                break;
            }
            usage = class.sample(self.size()).usage;
        }
        self.damage(usage)
    }
}

fn bare_receipt(lease: &Lease, usage: Vec<u8>, from: Time, to: Time) -> SignedReceipt {
    let receipt = Receipt {
        lease: lease.id,
        sequence: lease.receipts + 1,
        from,
        to,
        usage: Blob::new(usage).expect("a sample is within its bound"),
        trace: trace(lease.id),
    };
    let signature = Signature::from_bytes([0; 64]);
    SignedReceipt { receipt, node_key: lease.node_key, signature, countersignature: None }
}

fn counter(tenant: Address) -> Countersignature {
    Countersignature { tenant, signature: Signature::from_bytes([0; 64]) }
}
