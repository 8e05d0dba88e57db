//! Inputs that the decoders accept, as places to start from.

pub(crate) mod api;
mod audits;
pub(crate) mod proofs;

use types::{
    Action, Address, Amount, Asset, BeaconShare, Blob, Encode, Hash, Header, LeaseId, Receipt,
    SecretKey, Signature, SignedReceipt, SignedTransaction, Time, Transaction, body,
};

/// The network that the seeds are signed for.
fn genesis() -> Hash {
    Hash::of("fuzzing", &[])
}

fn key() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

fn lease() -> LeaseId {
    LeaseId::from_bytes([5; 32])
}

fn signed_receipt() -> SignedReceipt {
    let usage = Blob::new(vec![1, 2, 3]).expect("three bytes are within the bound");
    let receipt = Receipt {
        lease: lease(),
        sequence: 0,
        from: Time::from_ms(0),
        to: Time::from_ms(0),
        usage,
        trace: genesis(),
    };
    SignedReceipt::sign(receipt, &genesis(), &key())
}

fn signed_transactions() -> Vec<SignedTransaction> {
    let amount = Amount::new(1_543).expect("the amount is within its range");
    let signer = Address::new(key().public());
    let mut actions = vec![
        Action::Transfer { to: signer, asset: Asset::Usd, amount },
        Action::Register { node_key: key().public(), consent: Signature::from_bytes([7; 64]) },
        Action::Stake { amount },
        Action::Start { lease: lease() },
        Action::SubmitReceipt(Box::new(signed_receipt())),
        Action::Close { lease: lease() },
        Action::Enlist(Box::new(audits::auditor().terms)),
        Action::CommitAudit { lease: lease(), commitment: genesis() },
        Action::Dispute { lease: lease() },
    ];
    let reveals = audits::findings().map(|finding| {
        let salt = genesis();
        Action::RevealAudit { lease: lease(), salt, finding }
    });
    let moves = audits::arguments().into_iter().map(|argument| {
        let argument = Box::new(argument);
        Action::Argue { lease: lease(), opened: Time::from_ms(9), argument }
    });
    actions.extend(reveals.into_iter().chain(moves));
    let sign = |action| {
        Transaction { signer, nonce: 0, expires: Time::from_ms(0), action }.sign(&genesis(), &key())
    };
    actions.into_iter().map(sign).collect()
}

fn header() -> Header {
    Header {
        height: 1,
        time: Time::from_ms(0),
        parent: genesis(),
        leader: 0,
        share: BeaconShare::from_bytes([7; 48]),
        body: genesis(),
        state: genesis(),
    }
}

/// Returns what nodes of a chain send each other.
pub(crate) fn peers() -> Vec<Vec<u8>> {
    chain::Wire::ALL.into_iter().flat_map(chain::Wire::examples).collect()
}

/// Returns one signed transaction for some of the actions.
pub(crate) fn transactions() -> Vec<Vec<u8>> {
    signed_transactions().iter().map(Encode::to_bytes).collect()
}

/// Returns a signed receipt.
pub(crate) fn receipts() -> Vec<Vec<u8>> {
    vec![signed_receipt().to_bytes()]
}

/// Returns an empty body and a full one.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let mut full = Vec::new();
    for signed in signed_transactions() {
        body::push_entry(&mut full, &signed.to_bytes());
    }
    vec![Vec::new(), full]
}

/// Returns a final header, and the way of an entry among seven.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let path = body::Path::of(&[genesis(); 7], 2).expect("the third of seven is there");
    vec![api::certified_header().to_bytes(), path.to_bytes()]
}

/// Returns constraints that use every part of the language.
pub(crate) fn constraints() -> Vec<Vec<u8>> {
    [
        "true",
        "gpu.vram >= 24GiB @measured && region == \"eu\" && age(gpu.vram) < 7d",
        "!(cpu.cores < 8) || region in [\"eu\", \"us\"]",
        "has(tee) && cpu.score != 0.5",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Returns small programs: arithmetic, floats, memory, tables, recursion, calls of the host.
pub(crate) fn modules() -> Vec<Vec<u8>> {
    [
        r#"(module (memory (export "memory") 1) (func (export "_start")))"#,
        r#"(module
             (memory (export "memory") 1 4)
             (data (i32.const 8) "words")
             (global $sum (mut i64) (i64.const 3))
             (func $step (param i32) (result i64)
               (i64.add (global.get $sum) (i64.load8_u (i32.add (local.get 0) (i32.const 8)))))
             (func (export "_start") (local $at i32)
               (loop $next
                 (global.set $sum (call $step (i32.and (local.get $at) (i32.const 7))))
                 (local.set $at (i32.add (local.get $at) (i32.const 1)))
                 (br_if $next (i32.lt_u (local.get $at) (i32.const 100))))
               (drop (memory.grow (i32.const 1)))
               (i64.store (i32.const 65600) (global.get $sum))))"#,
        r#"(module
             (memory (export "memory") 1)
             (func (export "_start")
               (f64.store (i32.const 0)
                 (f64.div (f64.sqrt (f64.const -2)) (f64.const 0)))
               (f32.store (i32.const 8)
                 (f32.min (f32.const nan) (f32.demote_f64 (f64.load (i32.const 0)))))
               (drop (i32.trunc_f64_s (f64.load (i32.const 0))))))"#,
        r#"(module
             (type $nothing (func))
             (import "wasi_snapshot_preview1" "random_get"
               (func $random (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (table 4 funcref)
             (elem (i32.const 0) $deep $leave)
             (func $deep (call_indirect (type $nothing) (i32.const 0)))
             (func $leave (call $exit (i32.load8_u (i32.const 16))))
             (func (export "_start")
               (drop (call $random (i32.const 16) (i32.const 8)))
               (if (i32.and (i32.load8_u (i32.const 16)) (i32.const 1))
                 (then (call $deep)))
               (call_indirect (type $nothing) (i32.const 1))))"#,
    ]
    .map(|text| wat::parse_str(text).expect("the seeds are modules"))
    .to_vec()
}

/// Returns sequences of calls: each host function once with small arguments, and repetitions.
pub(crate) fn calls() -> Vec<Vec<u8>> {
    let arguments = |first: u8| [0, first, 0, 64, 0, 16, 0, 5, 4, 32, 0, 1, 0, 1, 4, 48];
    let each: Vec<u8> =
        (0..64).flat_map(|function| [&[function][..], &arguments(3)].concat()).collect();
    let streams = (0..64).flat_map(|function| [&[function][..], &arguments(1)].concat()).collect();
    let large = (0..64).flat_map(|function| [function, 6, 0, 6, 1, 6, 2, 6, 3, 7]).collect();
    vec![each, streams, large]
}
