//! What is sent: transfers between accounts, signed before the clock runs.

use types::{Action, Amount, Asset, Hash, SecretKey, SignedTransaction, Transaction};

/// Accounts that send and receive.
pub(crate) const ACCOUNTS: usize = 1_000;
/// Transactions that are submitted at a time, as by one request.
pub(crate) const BATCH: usize = 256;

pub(crate) fn keys() -> Vec<SecretKey> {
    let key = |number: usize| {
        let hash = Hash::of("bench account", &[&number.to_le_bytes()]);
        SecretKey::from_bytes(*hash.as_bytes())
    };
    (0..ACCOUNTS).map(key).collect()
}

/// Signs transfers of each account in turn, for each of so many nodes those of its accounts.
pub(crate) fn signed(
    genesis: &Hash,
    accounts: &[SecretKey],
    count: usize,
    nodes: usize,
) -> Vec<Vec<SignedTransaction>> {
    let expires = api::now().after(types::Duration::from_seconds(600));
    let sign = |number: usize| {
        let key = &accounts[number % accounts.len()];
        let to = accounts[(number * 7 + 1) % accounts.len()].address();
        let amount = Amount::new(1).expect("in range");
        let (signer, nonce) = (key.address(), (number / accounts.len()) as u64);
        let action = Action::Transfer { to, asset: Asset::Wild, amount };
        Transaction { signer, nonce, expires, action }.sign(genesis, key)
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(cores);
    let sign = &sign;
    let all: Vec<SignedTransaction> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..cores)
            .map(|core| {
                let range = (core * share)..((core + 1) * share).min(count);
                scope.spawn(move || range.map(sign).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("signing works")).collect()
    });
    let mut parts: Vec<Vec<SignedTransaction>> = vec![Vec::new(); nodes];
    for (number, transaction) in all.into_iter().enumerate() {
        parts[(number % accounts.len()) % nodes].push(transaction);
    }
    parts
}
