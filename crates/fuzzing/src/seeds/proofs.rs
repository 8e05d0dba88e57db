//! A state with a row of each kind that is proved, and its proofs.

use std::sync::LazyLock;

use ledger::{Key, map::Map};
use light::{Proof, Record};
use types::{
    Account, BeaconShare, Blob, Certificate, CertifiedHeader, Encode, Genesis, Hash, Header,
    LeaseId, LeaseState, List, OfferId, OrderId, Subject, Time,
};

use super::{api, audits, key, signed_receipt};

/// What is provable in this network, whose one validator has signed one header.
pub(crate) static STATE: LazyLock<State> = LazyLock::new(State::new);

/// A state, and what is in it.
pub(crate) struct State {
    /// The network.
    pub(crate) genesis: Genesis,
    /// The header over the state.
    pub(crate) header: CertifiedHeader,
    rows: Vec<(Subject, Record)>,
    map: Map,
}

impl State {
    fn new() -> Self {
        let genesis = api::network();
        let (mut map, rows) = (Map::new(), records());
        for (subject, record) in &rows {
            let key = Key::from(*subject).to_bytes();
            map.insert(key.as_slice(), &encoded(record)).expect("within the bounds");
        }
        let header = Header {
            height: 12,
            time: Time::from_ms(6_000),
            parent: genesis.hash(),
            leader: 0,
            share: BeaconShare::from_bytes([7; 48]),
            body: Hash::ZERO,
            state: Hash::from_bytes(map.root()),
        };
        let certificate = Certificate::sign(&genesis, &header.hash(), &[key()]);
        let certificate = certificate.expect("the key is the validator's");
        let header = CertifiedHeader { header, later: List::default(), certificate };
        Self { genesis, header, rows, map }
    }

    /// Returns what the state has of a subject.
    pub(crate) fn record(&self, subject: &Subject) -> Option<&Record> {
        self.rows.iter().find(|(known, _)| known == subject).map(|(_, record)| record)
    }

    fn prove(&self, subject: Subject) -> Proof {
        let tree = self.map.prove(Key::from(subject).to_bytes().as_slice());
        let tree = Blob::new(tree.expect("the key is within its bound").encode());
        let tree = tree.expect("the bound is that of a tree's proof");
        Proof { subject, header: self.header.clone(), tree }
    }
}

/// Returns a row of each kind.
fn records() -> Vec<(Subject, Record)> {
    let (address, lease) = (api::address(), LeaseId::from_bytes([4; 32]));
    let order = OrderId::from_bytes([4; 32]);
    let state = LeaseState::Active { since: Time::from_ms(5) };
    vec![
        (Subject::Account(address), Record::Account(Account { nonce: 7, open_orders: 1 })),
        (Subject::Usd(address), Record::Wallet(api::amount(1_543))),
        (Subject::Wild(address), Record::Wallet(api::amount(9))),
        (Subject::Provider(address), Record::Provider(Box::new(api::provider()))),
        (Subject::Offer(OfferId::from_bytes([3; 32])), Record::Offer(Box::new(api::offer()))),
        (Subject::Order(order), Record::Order(Box::new(api::order()))),
        (Subject::Lease(lease), Record::Lease(Box::new(api::lease(state)))),
        (Subject::Receipt(lease, 1), Record::Receipt(Box::new(signed_receipt()))),
        (Subject::Audit(lease), Record::Audit(Box::new(audits::audit()))),
        (Subject::Dispute(lease), Record::Dispute(Box::new(audits::dispute()))),
    ]
}

fn encoded(record: &Record) -> Vec<u8> {
    match record {
        Record::Account(row) => row.to_bytes(),
        Record::Wallet(row) => row.to_bytes(),
        Record::Provider(row) => row.to_bytes(),
        Record::Offer(row) => row.to_bytes(),
        Record::Order(row) => row.to_bytes(),
        Record::Lease(row) => row.to_bytes(),
        Record::Receipt(row) => row.to_bytes(),
        Record::Audit(row) => row.to_bytes(),
        Record::Dispute(row) => row.to_bytes(),
    }
}

/// Returns a proof of each kind of row, and that some are not there.
pub(crate) fn proofs() -> Vec<Vec<u8>> {
    let other = LeaseId::from_bytes([6; 32]);
    let absent = [Subject::Lease(other), Subject::Receipt(other, 1), Subject::Audit(other)];
    let present = STATE.rows.iter().map(|(subject, _)| *subject);
    present.chain(absent).map(|subject| STATE.prove(subject).to_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use types::{Decode, ProofKind};

    use super::*;

    #[test]
    fn a_row_of_each_kind_is_shown() {
        let mut kinds = Vec::new();
        for bytes in proofs() {
            let proven = Proof::from_bytes(&bytes).unwrap().verify(&STATE.genesis).unwrap();
            assert_eq!(proven.record.as_ref(), STATE.record(&proven.subject));
            kinds.extend(proven.record.map(|_| proven.subject.kind()));
        }
        assert_eq!(kinds, ProofKind::ALL);
    }
}
