//! The book: a map of rows, recounted after every step.

use std::collections::BTreeMap;

use ledger::key::Row;
use types::{Address, Amount, Asset, Reject};

/// Every row that ever held something, with what it holds now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    rows: BTreeMap<(Row, Asset), u64>,
    issued: BTreeMap<(Address, Asset), u64>,
}

impl Book {
    pub(crate) fn balance(&self, row: Row, asset: Asset) -> Amount {
        let held = match row {
            Row::Issued(issuer) => self.issued.get(&(issuer, asset)).copied(),
            _ => self.rows.get(&(row, asset)).copied(),
        };
        Amount::new(held.unwrap_or(0)).expect("rows are in range")
    }

    /// Returns every row with what it holds, rows that were emptied included.
    pub(crate) fn rows(&self) -> Vec<(Row, Asset, Amount)> {
        let plain = self.rows.iter().map(|((row, asset), held)| (*row, *asset, *held));
        let issued =
            self.issued.iter().map(|((issuer, asset), held)| (Row::Issued(*issuer), *asset, *held));
        plain
            .chain(issued)
            .map(|(row, asset, held)| (row, asset, Amount::new(held).expect("rows are in range")))
            .collect()
    }

    /// Refuses what would take a row out of its range.
    pub(crate) fn check_room(&self, row: Row, asset: Asset, amount: Amount) -> Result<(), Reject> {
        self.balance(row, asset).plus(amount).map(|_| ()).map_err(|_| Reject::AmountRange)
    }

    pub(crate) fn transfer(&mut self, from: Row, to: Row, asset: Asset, amount: Amount) {
        let left = self.balance(from, asset).minus(amount).expect("the row was checked");
        self.set(from, asset, left);
        let sum = self.balance(to, asset).plus(amount).expect("the row was checked");
        self.set(to, asset, sum);
    }

    pub(crate) fn transfer_all(&mut self, from: Row, to: Row, asset: Asset) -> Amount {
        let amount = self.balance(from, asset);
        self.transfer(from, to, asset, amount);
        amount
    }

    pub(crate) fn issue(&mut self, asset: Asset, issuer: Address, to: Address, amount: Amount) {
        *self.issued.entry((issuer, asset)).or_insert(0) += amount.get();
        let sum = self.balance(Row::Wallet(to), asset).plus(amount).expect("the row was checked");
        self.set(Row::Wallet(to), asset, sum);
    }

    pub(crate) fn redeem(&mut self, asset: Asset, issuer: Address, amount: Amount) {
        *self.issued.get_mut(&(issuer, asset)).expect("it was checked") -= amount.get();
        let wallet = Row::Wallet(issuer);
        let left = self.balance(wallet, asset).minus(amount).expect("the row was checked");
        self.set(wallet, asset, left);
    }

    /// Forgets rows whose owners left the state; they are empty for good.
    pub(crate) fn forget(&mut self, row: Row) {
        for asset in Asset::ALL {
            let held = self.rows.remove(&(row, asset));
            assert_eq!(held.unwrap_or(0), 0, "a row that is forgotten holds nothing");
        }
    }

    fn set(&mut self, row: Row, asset: Asset, amount: Amount) {
        self.rows.insert((row, asset), amount.get());
    }

    /// Asserts that all rows together are what was issued, for each asset.
    pub(crate) fn recount(&self) {
        for asset in Asset::ALL {
            let sum = |rows: &mut dyn Iterator<Item = (Asset, u64)>| -> u128 {
                rows.filter(|(kept, _)| *kept == asset).map(|(_, held)| u128::from(held)).sum()
            };
            let held = sum(&mut self.rows.iter().map(|((_, asset), held)| (*asset, *held)));
            let issued = sum(&mut self.issued.iter().map(|((_, asset), held)| (*asset, *held)));
            assert_eq!(held, issued, "the book balances in {asset}");
        }
    }
}
