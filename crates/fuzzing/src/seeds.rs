//! Inputs that the decoders accept, as places to start from.

use types::{
    Action, Address, Amount, Asset, Blob, Block, Encode, Hash, Header, LeaseId, List, Receipt,
    SecretKey, SignedHeader, SignedReceipt, SignedTransaction, Time, Transaction,
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
        work_root: genesis(),
    };
    SignedReceipt::sign(receipt, &genesis(), &key())
}

fn signed_transactions() -> Vec<SignedTransaction> {
    let amount = Amount::new(1_543).expect("the amount is within its range");
    let signer = Address::new(key().public());
    let actions = [
        Action::Transfer { to: signer, asset: Asset::Usd, amount },
        Action::Register { node_key: key().public() },
        Action::Stake { amount },
        Action::Start { lease: lease() },
        Action::SubmitReceipt(Box::new(signed_receipt())),
        Action::Close { lease: lease() },
    ];
    let sign = |action| {
        Transaction { signer, nonce: 0, expires: Time::from_ms(0), action }.sign(&genesis(), &key())
    };
    actions.into_iter().map(sign).collect()
}

/// Returns one signed transaction for some of the actions.
pub(crate) fn transactions() -> Vec<Vec<u8>> {
    signed_transactions().iter().map(Encode::to_bytes).collect()
}

/// Returns a signed receipt.
pub(crate) fn receipts() -> Vec<Vec<u8>> {
    vec![signed_receipt().to_bytes()]
}

/// Returns an empty block and a full one.
pub(crate) fn blocks() -> Vec<Vec<u8>> {
    let header = Header {
        height: 1,
        time: Time::from_ms(0),
        parent: genesis(),
        transactions: genesis(),
        state: genesis(),
    };
    [Vec::new(), signed_transactions()]
        .into_iter()
        .map(|transactions| {
            let transactions = List::new(transactions).expect("six are within the bound");
            Block { header: SignedHeader::sign(header, &genesis(), &key()), transactions }
                .to_bytes()
        })
        .collect()
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
