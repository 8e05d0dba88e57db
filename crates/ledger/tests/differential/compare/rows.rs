//! Compares the map, row by row, with the rows that the naive ledger's content asks for.
//!
//! This covers what no query shows: the indexes, the queue of what is due, and that nothing else
//! stands in the state.

use std::collections::BTreeMap;

use ledger::{
    Ledger, Proposal,
    key::{Due, Key, Region},
};
use types::{ClassId, Encode, Lease, List, Offer, OrderId, Time, Value, limits::VALIDATORS_MAX};

use super::{Check, same};
use crate::reference::{Matching, Reference, What, listed_price, runs};

/// Compares all rows.
pub(super) fn compare(real: &Ledger, naive: &Reference) -> Check {
    let expected = expected(real, naive);
    let mut rows = real.map().iter();
    for (key, value) in &expected {
        let found = rows.next();
        if found != Some((key, value)) {
            let found = found.map(|(key, value)| (Key::from_bytes(key), value));
            let wanted = (Key::from_bytes(key), value);
            return Err(format!("row {found:?} instead of {wanted:?}"));
        }
    }
    let further = rows.next().map(|(key, _)| Key::from_bytes(key));
    same(|| "a further row".into(), further, None)
}

/// Rows with their encodings.
#[derive(Default)]
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl Rows {
    fn put(&mut self, key: Key, value: &impl Encode) {
        self.0.insert(key.to_bytes().as_slice().to_vec(), value.to_bytes());
    }

    fn mark(&mut self, key: Key) {
        self.0.insert(key.to_bytes().as_slice().to_vec(), Vec::new());
    }
}

fn expected(real: &Ledger, naive: &Reference) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = Rows::default();
    rows.put(Key::Network, &real.network());
    rows.put(Key::Parameters, &naive.parameters);
    for address in naive.nonces.keys() {
        rows.put(Key::Account(*address), &naive.account(address).expect("it has a nonce"));
    }
    for (row, asset, amount) in naive.book.rows() {
        if !amount.is_zero() {
            rows.put(Key::Book(row, asset), &amount);
        }
    }
    for issuer in naive.genesis.issuers.iter() {
        rows.put(Key::Issuer(issuer.address, issuer.asset), issuer);
    }
    for provider in &naive.providers {
        let address = provider.address;
        rows.put(Key::NodeKey(provider.node_key), &address);
        rows.put(Key::Provider(address), &naive.provider(&address).expect("it is listed"));
    }
    for (owner, sequence, unbonding) in &naive.unbondings {
        rows.put(Key::Unbonding(*owner, *sequence), unbonding);
    }
    naive.offers.iter().for_each(|offer| put_offer(&mut rows, offer));
    put_orders(&mut rows, naive);
    naive.leases.iter().for_each(|lease| put_lease(&mut rows, naive, lease));
    for (time, what) in &naive.due {
        rows.mark(Key::Due(*time, due(*what)));
    }
    for tally in &naive.tallies {
        rows.put(Key::Tally(tally.class), tally);
    }
    for tally in &naive.past_tallies {
        rows.put(Key::TallyPast(tally.class), tally);
    }
    put_proposals(&mut rows, naive);
    put_auditors(&mut rows, naive);
    put_draws(&mut rows, naive);
    if !naive.archive.is_empty() {
        rows.put(Key::Archive, &naive.accumulator());
    }
    rows.0
}

fn put_offer(rows: &mut Rows, offer: &Offer) {
    let terms = &offer.terms;
    rows.put(Key::Offer(offer.id), offer);
    rows.mark(Key::OfferByProvider(offer.provider, offer.id));
    let region = match terms.claims.get("region").map(|claim| &claim.value) {
        Some(Value::Text(name)) => Region::new(name.as_str()).expect("it was checked"),
        _ => Region::NONE,
    };
    for region in [region, Region::NONE] {
        let place =
            Key::OfferByPrice(terms.class, region, listed_price(offer), offer.posted, offer.id);
        rows.mark(place);
    }
}

fn put_orders(rows: &mut Rows, naive: &Reference) {
    for order in &naive.orders {
        rows.put(Key::Order(order.id), order);
        if naive.open.contains(&order.id) {
            rows.mark(Key::OpenOrder(order.terms.class, order.placed, order.id));
        }
    }
    let searching = naive.matching.iter().filter(|(_, matching)| matching.passes > 0);
    for (class, Matching { last, passes }) in searching {
        let mut value = last.map(place).to_bytes();
        value.push(*passes);
        rows.0.insert(matching_key(*class), value);
    }
}

fn matching_key(class: ClassId) -> Vec<u8> {
    Key::Matching(class).to_bytes().as_slice().to_vec()
}

fn place((placed, order): (Time, OrderId)) -> [u8; 40] {
    let bytes = [placed.to_bytes(), order.to_bytes()].concat();
    bytes.try_into().expect("eight bytes of time and a name")
}

fn put_lease(rows: &mut Rows, naive: &Reference, lease: &Lease) {
    rows.put(Key::Lease(lease.id), lease);
    if runs(lease) {
        rows.mark(Key::LeaseByProvider(lease.provider, lease.id));
        rows.put(Key::OfferLeased(lease.offer), &naive.leased(&lease.offer));
    }
    for signed in naive.receipts.iter().filter(|signed| signed.receipt.lease == lease.id) {
        rows.put(Key::Receipt(lease.id, signed.receipt.sequence), signed);
    }
    if let Some(audit) = naive.audits.get(&lease.id) {
        rows.put(Key::Audit(lease.id), audit);
    }
    if let Some(dispute) = naive.disputes.get(&lease.id) {
        rows.put(Key::Dispute(lease.id), dispute);
        if dispute.outcome.is_none() {
            let is_nobodys = dispute.accuser == types::Accuser::Nobody;
            rows.mark(Key::OpenDispute(is_nobodys, lease.id));
        }
    }
}

fn put_auditors(rows: &mut Rows, naive: &Reference) {
    for (class, address) in naive.enlistments.keys() {
        let auditor = naive.auditor(*class, *address).expect("it is listed");
        rows.put(Key::Auditor(*class, *address), &auditor);
    }
    for (class, seats) in naive.seats.iter().filter(|(_, seats)| !seats.is_empty()) {
        let count = u32::try_from(seats.len()).expect("few seats");
        rows.put(Key::Seats(*class), &count);
        for (index, seat) in (0..).zip(seats) {
            rows.put(Key::Seat(*class, index), &seat.owner);
        }
    }
    for (auditor, lease) in &naive.to_do {
        rows.mark(Key::AuditByAuditor(*auditor, *lease));
    }
    for ((address, class), reputation) in &naive.reputations {
        rows.put(Key::Reputation(*address, *class), reputation);
    }
}

fn put_draws(rows: &mut Rows, naive: &Reference) {
    for (height, lease) in naive.draws() {
        rows.put(Key::Draw(height, lease), &naive.leader_of(height));
    }
    let validators = u32::try_from(naive.genesis.validators.len()).expect("few validators");
    if validators == 1 || naive.height == 0 {
        return;
    }
    let last_led = |place: u32| (1..=naive.height).rev().find(|led| naive.leader_of(*led) == place);
    let heights = (0..validators).map(|place| last_led(place).unwrap_or(0)).collect();
    let heights: List<u64, VALIDATORS_MAX> = List::new(heights).expect("few validators");
    rows.put(Key::Leaders, &heights);
}

fn put_proposals(rows: &mut Rows, naive: &Reference) {
    for proposal in &naive.proposals {
        let kept = Proposal {
            change: proposal.change.clone(),
            effective: proposal.effective,
            weight: proposal.votes.iter().map(|(_, weight)| weight).sum(),
        };
        rows.put(Key::Proposal(proposal.hash), &kept);
        for (voter, weight) in &proposal.votes {
            rows.put(Key::Vote(proposal.hash, *voter), weight);
        }
    }
}

const fn due(what: What) -> Due {
    match what {
        What::OrderExpires(id) => Due::OrderExpiry(id),
        What::OfferExpires(id) => Due::OfferExpiry(id),
        What::Lease(id) => Due::Lease(id),
        What::Unbonding(owner, sequence) => Due::Unbonding(owner, sequence),
        What::Change(hash) => Due::Change(hash),
    }
}
