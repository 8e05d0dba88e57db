//! Checks signatures on all cores.

use std::thread;

use types::{Hash, SignedTransaction, Verified};

/// Signatures that are worth a thread.
const CHUNK_MIN: usize = 64;

/// Checks the signatures of transactions for the network of a genesis on all cores, and returns
/// those that match, each in its place.
///
/// # Panics
/// Never, as long as threads can be started.
#[must_use]
pub fn all(transactions: Vec<SignedTransaction>, genesis: &Hash) -> Vec<Option<Verified>> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let chunk = transactions.len().div_ceil(cores).max(CHUNK_MIN);
    let mut rest = transactions;
    thread::scope(|scope| {
        let mut others = Vec::new();
        while rest.len() > chunk {
            let part = rest.split_off(rest.len() - chunk);
            others.push(scope.spawn(|| SignedTransaction::verify_all(part, genesis)));
        }
        let mut checked = SignedTransaction::verify_all(rest, genesis);
        for other in others.into_iter().rev() {
            checked.extend(other.join().expect("checking a signature does not panic"));
        }
        checked
    })
}

#[cfg(test)]
mod tests {
    use types::{Action, Amount, Asset, SecretKey, Time, Transaction};

    use super::*;

    #[test]
    fn each_stays_in_its_place() {
        let (key, genesis) = (SecretKey::from_bytes([1; 32]), Hash::from_bytes([9; 32]));
        let signed = |nonce: u64| {
            let (to, amount) = (key.address(), Amount::new(1).unwrap());
            let action = Action::Transfer { to, asset: Asset::Usd, amount };
            let signer = key.address();
            let transaction = Transaction { signer, nonce, expires: Time::MAX, action };
            // Each seventh is for another network.
            let network = if nonce.is_multiple_of(7) { Hash::ZERO } else { genesis };
            transaction.sign(&network, &key)
        };
        for count in [0, 1, 63, 64, 65, 300] {
            let checked = all((0..count).map(signed).collect(), &genesis);
            assert_eq!(checked.len() as u64, count);
            for (nonce, verified) in (0_u64..).zip(checked) {
                let found = verified.map(|verified| verified.transaction().nonce);
                assert_eq!(found, (!nonce.is_multiple_of(7)).then_some(nonce));
            }
        }
    }
}
