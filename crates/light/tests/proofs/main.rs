//! What a proof shows, and that nothing else can be shown with it.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]
#![expect(clippy::print_stdout, reason = "what is skipped is part of a result")]

mod network;
mod sandbox;

use light::{MARK, Proof, Record, Refuted, RowError};
use network::{Network, VALIDATORS, address, amount, audit, keys, lease, lease_id, receipt};
use proptest::prelude::*;
use types::{
    Account, Blob, Certificate, CertificateError, CertifiedHeader, Decode, DecodeError, Encode,
    Hash, List, Signature, Subject, Vote,
};

/// The BLAKE3 hash of the encodings of proofs of presence and of absence. It changes with the
/// format, and then [`MARK`] must, too.
const PINNED: &str = "005fdd0d7f78c9336105dac193ccc158734b8b78c092691ec8b45bff61ca5fb7";

/// The most bytes of a proof with four validators and a million rows.
const BYTES_MAX: usize = 4 * 1024;

fn small() -> Network {
    let mut network = Network::new("test");
    network.open_accounts(20);
    network.make_lease(lease_id(1));
    network
}

/// What is in the state of [`small`], and what is not.
fn subjects() -> (Vec<(Subject, Record)>, Vec<Subject>) {
    let id = lease_id(1);
    let genesis = Network::new("test").genesis.hash();
    let present = vec![
        (Subject::Account(address(3)), Record::Account(Account { nonce: 3, open_orders: 0 })),
        (Subject::Usd(address(4)), Record::Wallet(amount(4))),
        (Subject::Lease(id), Record::Lease(Box::new(lease(id)))),
        (Subject::Receipt(id, 1), Record::Receipt(Box::new(receipt(id, &genesis)))),
        (Subject::Audit(id), Record::Audit(Box::new(audit(id)))),
    ];
    let absent = vec![
        Subject::Account(address(20)),
        Subject::Usd(address(21)),
        Subject::Wild(address(4)),
        Subject::Provider(address(3)),
        Subject::Lease(lease_id(2)),
        Subject::Receipt(id, 2),
        Subject::Audit(lease_id(2)),
        Subject::Dispute(id),
    ];
    (present, absent)
}

#[test]
fn a_proof_shows_what_the_state_says_or_that_it_says_nothing() {
    let network = small();
    let (present, absent) = subjects();
    let all = present.into_iter().map(|(subject, record)| (subject, Some(record)));
    for (subject, record) in all.chain(absent.into_iter().map(|subject| (subject, None))) {
        let bytes = network.prove(subject).to_bytes();
        let proven = Proof::from_bytes(&bytes).unwrap().verify(&network.genesis).unwrap();
        assert_eq!((proven.subject, proven.record), (subject, record));
        assert_eq!((proven.header, proven.votes), (network.header(), 4));
    }
    // Nothing is in an empty state.
    let empty = Network::new("test");
    let proof = empty.prove(Subject::Account(address(1)));
    assert_eq!(proof.verify(&empty.genesis).unwrap().record, None);
}

#[test]
fn every_changed_byte_of_a_light_proof_is_noticed() {
    let network = small();
    let quorum = network.certified(&VALIDATORS[1..]);
    for subject in [Subject::Lease(lease_id(1)), Subject::Lease(lease_id(2))] {
        let bytes = network.prove_under(&quorum, subject).to_bytes();
        let proven = Proof::from_bytes(&bytes).unwrap().verify(&network.genesis).unwrap();
        for at in 0..bytes.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let Ok(proof) = Proof::from_bytes(&changed) else { continue };
                let shown = proof.verify(&network.genesis);
                // An absence also holds of another subject that ends at the same leaf.
                let holds = shown.as_ref().is_ok_and(|shown| {
                    let is_other = shown.subject != subject && shown.record.is_none();
                    is_other && proof.tree.as_slice() == network.tree(shown.subject)
                });
                assert!(shown.is_err() || holds, "byte {at}: {shown:?} for {proven:?}");
            }
            assert!(Proof::from_bytes(&bytes[..at]).is_err(), "cut off at {at}");
        }
        let longer = Proof::from_bytes(&[&bytes[..], &[0]].concat());
        assert_eq!(longer, Err(DecodeError::Trailing(1)));
    }
}

#[test]
fn a_proof_of_another_network_is_refused() {
    let (network, other) = (small(), Network::new("other"));
    let proof = network.prove(Subject::Lease(lease_id(1)));
    let votes = Err(Refuted::Header(CertificateError::Votes));
    assert_eq!(proof.verify(&other.genesis), votes);
    let mut fewer = network.genesis;
    fewer.validators = List::new(fewer.validators[..3].to_vec()).unwrap();
    assert_eq!(proof.verify(&fewer), votes);
}

#[test]
fn fewer_signatures_than_a_quorum_are_refused() {
    let network = small();
    let subject = Subject::Lease(lease_id(1));
    let verify = |signers: &[u8]| {
        network.prove_under(&network.certified(signers), subject).verify(&network.genesis)
    };
    for count in 0..=4 {
        let shown = verify(&VALIDATORS[..count]);
        match count {
            0..3 => assert_eq!(shown, Err(Refuted::Header(CertificateError::Votes))),
            _ => assert_eq!(shown.unwrap().votes, count),
        }
    }
    // One validator's signature counts once.
    assert_eq!(verify(&[1, 2, 1]), Err(Refuted::Header(CertificateError::Votes)));
    // What is signed is another header's.
    let mut proof = network.prove(subject);
    let signed = Certificate::sign(&network.genesis, &Hash::ZERO, &keys(&VALIDATORS));
    proof.header.certificate = signed.unwrap();
    assert_eq!(proof.verify(&network.genesis), Err(Refuted::Header(CertificateError::Votes)));
}

#[test]
fn a_row_is_no_proof_of_another_subject_and_never_of_its_own_absence() {
    let network = small();
    let (present, absent) = subjects();
    let all: Vec<Subject> =
        present.iter().map(|(subject, _)| *subject).chain(absent.iter().copied()).collect();
    for (subject, _) in &present {
        for other in all.iter().filter(|other| *other != subject) {
            let mut proof = network.prove(*other);
            proof.subject = *subject;
            let shown = proof.verify(&network.genesis);
            assert!(shown.is_err(), "the proof of {other} shows of {subject}: {shown:?}");
        }
    }
    for subject in absent {
        for (other, _) in &present {
            let mut proof = network.prove(*other);
            proof.subject = subject;
            let shown = proof.verify(&network.genesis);
            assert!(shown.is_err(), "the proof of {other} shows of {subject}: {shown:?}");
        }
    }
    let mut proof = network.prove(Subject::Lease(lease_id(1)));
    proof.tree = Blob::new(vec![0]).unwrap();
    let empty = proof.verify(&network.genesis);
    assert!(matches!(empty, Err(Refuted::Row(RowError::Proof(_)))), "{empty:?}");
}

#[test]
fn a_row_that_is_none_is_an_error() {
    let mut network = small();
    network.put(Subject::Lease(lease_id(5)), &amount(5));
    let shown = network.prove(Subject::Lease(lease_id(5))).verify(&network.genesis);
    let malformed = Err(Refuted::Row(RowError::Malformed(DecodeError::Truncated)));
    assert_eq!(shown, malformed);
}

#[test]
fn the_format_is_pinned() {
    let mut network = Network::new("test");
    network.open_accounts(20);
    // Signatures would change with what a genesis holds.
    let vote = |validator| Vote { validator, signature: Signature::from_bytes([5; 64]) };
    let votes = List::new((0..3).map(vote).collect()).unwrap();
    let certificate = Certificate { epoch: 1, view: 2, parent_view: 3, votes };
    let header = network.header();
    let header = CertifiedHeader { header, later: List::new(vec![header]).unwrap(), certificate };
    let mut hasher = blake3::Hasher::new();
    for subject in [Subject::Usd(address(4)), Subject::Receipt(lease_id(1), 2)] {
        let bytes = network.prove_under(&header, subject).to_bytes();
        assert!(bytes.starts_with(&MARK));
        hasher.update(&bytes);
    }
    assert_eq!(hasher.finalize().to_string(), PINNED);
}

#[test]
fn a_proof_of_one_in_a_million_rows_takes_at_most_four_kib() {
    let mut network = Network::new("test");
    network.open_accounts(455_000);
    (0..30_000).for_each(|number| network.make_lease(lease_id(number)));
    let header = network.certified(&VALIDATORS);
    let mut longest = 0;
    for number in 0..1_000 {
        let (held, id) = (address(number * 455), lease_id(number * 30));
        for subject in [
            Subject::Account(held),
            Subject::Wild(held),
            Subject::Lease(id),
            Subject::Receipt(id, 1),
            Subject::Audit(id),
            Subject::Lease(lease_id(number + 30_000)),
        ] {
            longest = longest.max(network.prove_under(&header, subject).to_bytes().len());
        }
    }
    assert!(longest <= BYTES_MAX, "{longest} bytes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_says_of_any_account_what_the_state_does(
        held in proptest::collection::btree_map(0_u64..64, 0_u64..1_000, 0..40),
        asked in 0_u64..64,
        signers in proptest::sample::subsequence(VALIDATORS.to_vec(), 0..=4),
    ) {
        let mut network = Network::new("test");
        for (number, micro) in &held {
            network.put(Subject::Usd(address(*number)), &amount(*micro));
        }
        let proof = network.prove_under(&network.certified(&signers), Subject::Usd(address(asked)));
        let shown = Proof::from_bytes(&proof.to_bytes()).unwrap().verify(&network.genesis);
        if signers.len() < 3 {
            prop_assert_eq!(shown, Err(Refuted::Header(CertificateError::Votes)));
        } else {
            let expected = held.get(&asked).map(|micro| Record::Wallet(amount(*micro)));
            prop_assert_eq!(shown.unwrap().record, expected);
        }
    }
}
