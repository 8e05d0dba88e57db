//! Hostile bytes, forged signatures, and roots that depend on content alone.

use ledger::{Ledger, map::Import};
use types::{
    Action, Address, Amount, Asset, Blob, Decode, Duration, Encode, Genesis, GenesisWallet, Hash,
    LeaseId, List, Receipt, SecretKey, SignedReceipt, SignedTransaction, Time, Transaction,
    Verified,
};

use crate::{
    coverage::Coverage,
    episode::{Asked, Episode, Pair, beacon},
    world::{Dice, trust},
};

/// Changes some bytes: flips, cuts, repeats, exchanges.
fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.within(1, 3) {
        let at = dice.index(bytes.len());
        let byte = dice.next().to_le_bytes()[0];
        match dice.below(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.extend_from_within(at..),
            4 if at < bytes.len() => bytes[at] ^= 1 << (byte & 7),
            5 if at < bytes.len() => bytes[at] = dice.of([0, 1, 0x7f, 0x80, 0xff]),
            _ if at < bytes.len() => bytes[at] = byte,
            _ => {}
        }
    }
}

#[test]
fn random_bytes_are_no_transaction() {
    let mut dice = Dice::new(1);
    for _ in 0..5_000 {
        let length = dice.index(600);
        let bytes: Vec<u8> = (0..length).map(|_| dice.next().to_le_bytes()[0]).collect();
        if let Ok(signed) = SignedTransaction::from_bytes(&bytes) {
            assert_eq!(signed.to_bytes(), bytes, "a value has one encoding");
        }
    }
}

#[test]
fn mutated_transactions_leave_both_ledgers_alike() {
    let (mut whole, mut actions) = (0, 0);
    for number in [0, 1, 2, 3, 4, 5, 7] {
        let mut episode = Episode::new(77, number);
        episode.run(300, &mut Coverage::default()).expect("the ledgers agree");
        let mut dice = Dice::new(number);
        for _ in 0..60 {
            let now = episode.pair.naive.time;
            let next = now.after(Duration::from_ms(dice.within(1, 400)));
            assert!(episode.pair.begin(next, 0).expect("both take the time"));
            for _ in 0..20 {
                let verified = episode.next();
                let mut bytes = verified.signed().to_bytes();
                mutate(&mut dice, &mut bytes);
                if let Ok(signed) = SignedTransaction::from_bytes(&bytes) {
                    whole += 1;
                    let _ = episode.pair.apply(&Verified::trust(signed)).expect("both agree");
                }
                let mut bytes = verified.transaction().action.to_bytes();
                mutate(&mut dice, &mut bytes);
                let mut transaction = episode.next().transaction().clone();
                transaction.signer = verified.transaction().signer;
                transaction.nonce =
                    episode.pair.naive.nonces.get(&transaction.signer).copied().unwrap_or(0);
                if let Ok(action) = Action::from_bytes(&bytes) {
                    actions += 1;
                    transaction.action = action;
                    let _ = episode.pair.apply(&trust(transaction)).expect("both agree");
                }
            }
            let _ = episode.pair.end().expect("both agree");
        }
    }
    assert!(whole > 1_000 && actions > 1_000, "{whole} transactions and {actions} actions decoded");
}

/// Returns a carried receipt, signed with real keys for the network of `genesis`.
fn signed_with_receipt(genesis: &Hash) -> SignedTransaction {
    let (carrier, node) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
    let receipt = Receipt {
        lease: LeaseId::from_bytes([3; 32]),
        sequence: 1,
        from: Time::from_ms(4),
        to: Time::from_ms(5),
        usage: Blob::new(vec![6; 8]).expect("a short reading"),
        trace: Hash::ZERO,
    };
    let receipt = SignedReceipt::sign(receipt, genesis, &node);
    let action = Action::SubmitReceipt(Box::new(receipt));
    let expires = Time::from_ms(1_000);
    Transaction { signer: carrier.address(), nonce: 0, expires, action }.sign(genesis, &carrier)
}

#[test]
fn a_changed_byte_anywhere_breaks_a_signature() {
    let genesis = Hash::of("test", &[]);
    let signed = signed_with_receipt(&genesis);
    assert!(signed.clone().verify(&genesis).is_ok());
    assert!(signed.clone().verify(&Hash::ZERO).is_err(), "it is of another network");
    let bytes = signed.to_bytes();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        if let Ok(changed) = SignedTransaction::from_bytes(&changed) {
            assert!(changed.verify(&genesis).is_err(), "byte {index} counts");
        }
    }
}

/// Executes what was asked and returns the root after each block.
fn roots(ledger: &mut Ledger, log: &[Asked]) -> Vec<Hash> {
    let begun = log.iter().filter_map(|asked| {
        ledger.begin(asked.time, beacon(asked.time), asked.leader).ok()?;
        for verified in &asked.transactions {
            let _ = ledger.apply(verified);
        }
        Some(ledger.end().root)
    });
    begun.collect()
}

/// Carries a ledger's state over to another, chunk by chunk.
fn restored(genesis: &Genesis, ledger: &Ledger) -> Ledger {
    let mut import = Import::new(*ledger.root().as_bytes());
    for chunk in ledger.chunks() {
        import.accept(&chunk).expect("a chunk of this root");
    }
    let map = import.finish().expect("all chunks are there");
    Ledger::restore(genesis, map).expect("the state of this network")
}

#[test]
fn the_same_blocks_give_the_same_roots_on_forks_and_restored() {
    for number in [0, 1, 2, 3, 7] {
        let mut episode = Episode::new(5, number);
        episode.run(400, &mut Coverage::default()).expect("the ledgers agree");
        let (genesis, log) = (episode.genesis(), &episode.log);
        let mut first = Ledger::new(genesis).expect("a valid genesis");
        let mut second = Ledger::new(genesis).expect("a valid genesis");
        let half = log.len() / 2;
        let mut before = roots(&mut first, &log[..half]);
        assert_eq!(before, roots(&mut second, &log[..half]));
        let (mut fork, mut restored) = (first.clone(), restored(genesis, &first));
        let after = roots(&mut first, &log[half..]);
        assert_eq!(after, roots(&mut fork, &log[half..]), "a fork goes the same way");
        assert_eq!(after, roots(&mut restored, &log[half..]), "and so does a snapshot");
        assert_eq!(after, roots(&mut second, &log[half..]));
        before.extend(after);
        before.dedup();
        assert!(before.len() > 20, "the root follows the state");
    }
}

/// Returns a genesis in which people hold token, and a transfer by each to the next.
fn circle() -> (Genesis, Vec<Verified>) {
    let mut genesis = Episode::new(0, 0).genesis().clone();
    let keys: Vec<_> = (1..=8).map(|byte| SecretKey::from_bytes([byte; 32])).collect();
    let people: Vec<Address> = keys.iter().map(SecretKey::address).collect();
    let micro = |count| Amount::new(count).expect("small");
    let wallet = |address: &Address| GenesisWallet { address: *address, amount: micro(100) };
    genesis.wallets = List::new(people.iter().map(wallet).collect()).expect("eight wallets");
    let network = genesis.hash();
    let transfers = keys.iter().zip(people.iter().cycle().skip(1)).enumerate();
    let signed = transfers.map(|(index, (key, to))| {
        let amount = micro(1 + u64::try_from(index).expect("small"));
        let action = Action::Transfer { to: *to, asset: Asset::Wild, amount };
        let expires = genesis.time.after(Duration::from_ms(900));
        let transaction = Transaction { signer: key.address(), nonce: 0, expires, action };
        transaction.sign(&network, key).verify(&network).expect("it was just signed")
    });
    let signed = signed.collect();
    (genesis, signed)
}

#[test]
fn the_root_does_not_depend_on_how_the_content_came_about() {
    let (genesis, transfers) = circle();
    let time = genesis.time.after(Duration::from_ms(1));
    let root = |transactions: Vec<Verified>| {
        let mut pair = Pair::new(&genesis);
        assert!(pair.begin(time, 0).expect("both take the time"));
        for verified in &transactions {
            assert_eq!(pair.apply(verified).expect("both agree"), Ok(()));
        }
        let _ = pair.end().expect("both agree");
        pair.real.root()
    };
    let first = root(transfers.clone());
    let mut dice = Dice::new(3);
    for _ in 0..20 {
        let mut shuffled = transfers.clone();
        for index in 0..shuffled.len() {
            shuffled.swap(index, dice.index(index + 1));
        }
        assert_eq!(root(shuffled), first);
    }
    assert_ne!(root(transfers[1..].to_vec()), first);
}
