//! Measures what a proof takes, in a network of four validators with a million accounts and
//! a tenth as many leases.
//!
//! `cargo xtask bench light`; an account is two rows of the state, its counters and its wallet; a
//! lease comes with a receipt and an audit.

#[expect(dead_code, reason = "tests put more into the state than is measured")]
#[path = "../tests/proofs/network.rs"]
mod network;

use bench::{Figure, Report, median_of};
use light::Proof;
use network::{Network, VALIDATORS, address, lease_id};
use types::{Decode, Encode, Subject};

const ACCOUNTS: u64 = 1_000_000;
const LEASES: u64 = 100_000;
/// Proofs that are looked at for each row of the results.
const PROOFS: u64 = 1_000;

/// Checks of each kind, of which the median counts.
const CHECKS: usize = 2_000;

/// Encoded proofs of some subjects.
struct Sample {
    name: &'static str,
    proofs: Vec<Vec<u8>>,
}

fn sample(network: &Network, name: &'static str, subject: impl Fn(u64) -> Subject) -> Sample {
    let header = network.certified(&VALIDATORS);
    let prove = |number| network.prove_under(&header, subject(number)).to_bytes();
    Sample { name, proofs: (0..PROOFS).map(prove).collect() }
}

fn main() {
    let mut network = Network::new("bench");
    network.open_accounts(ACCOUNTS);
    (0..LEASES).for_each(|number| network.make_lease(lease_id(number)));
    let held = |number| address(number * (ACCOUNTS / PROOFS));
    let id = |number| lease_id(number * (LEASES / PROOFS));
    let samples = [
        sample(&network, "account", |number| Subject::Account(held(number))),
        sample(&network, "no account", |number| Subject::Account(address(ACCOUNTS + number))),
        sample(&network, "lease", |number| Subject::Lease(id(number))),
        sample(&network, "receipt", |number| Subject::Receipt(id(number), 1)),
    ];
    let mut report = Report::new();
    for Sample { name, proofs } in &samples {
        report.row(&format!("light/{name}, longest proof"), || {
            let longest = proofs.iter().map(Vec::len).max().unwrap_or_default();
            Figure::new(longest as f64, "B").at_most(4_096.0)
        });
        report.row(&format!("light/{name}, check of a proof"), || {
            let mut next = proofs.iter().cycle();
            let time = median_of(CHECKS, || {
                let proof = Proof::from_bytes(next.next().expect("a cycle has no end"));
                proof.expect("it is encoded").verify(&network.genesis).expect("it holds")
            });
            Figure::new(time.as_secs_f64() * 1e6, "µs").at_most(3_000.0)
        });
    }
    report.finish();
}
