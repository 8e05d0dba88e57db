//! The book: where each coin is.
//!
//! A coin sits in exactly one row. [`Book::divide`] and [`Book::empty`] are the only ways that
//! value moves; they take from one row what they add to others. `Issued` rows are the negative
//! side, so issuing adds to both, and for each asset
//!
//! ```text
//! Σ rows other than Issued = Σ Issued
//! ```

use types::{Amount, Asset};

use crate::{
    key::{Key, Row},
    state::{Broken, State},
};

/// The only hand that changes amounts of the book.
pub(crate) struct Book<'a>(&'a mut State);

/// Whether a movement makes a row's balance larger or smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Debit,
    Credit,
}

impl State {
    /// Returns what a row of the book holds.
    pub(crate) fn balance(&self, row: Row, asset: Asset) -> Result<Amount, Broken> {
        Ok(self.get(Key::Book(row, asset))?.unwrap_or_default())
    }

    /// Opens the book.
    pub(crate) const fn book(&mut self) -> Book<'_> {
        Book(self)
    }
}

impl Book<'_> {
    /// Moves `amount` from one row to another.
    pub(crate) fn transfer(
        &mut self,
        from: Row,
        to: Row,
        asset: Asset,
        amount: Amount,
    ) -> Result<(), Broken> {
        if from == to { Ok(()) } else { self.divide(from, &[(to, amount)], asset) }
    }

    /// Moves an amount from one row to each of several others.
    pub(crate) fn divide(
        &mut self,
        from: Row,
        parts: &[(Row, Amount)],
        asset: Asset,
    ) -> Result<(), Broken> {
        let total = parts.iter().map(|(_, amount)| *amount).try_fold(Amount::ZERO, Amount::plus)?;
        self.change(from, asset, Side::Debit, total)?;
        for (to, amount) in parts {
            self.change(*to, asset, Side::Credit, *amount)?;
        }
        Ok(())
    }

    /// Moves all of a row to another and returns how much that was.
    pub(crate) fn empty(&mut self, from: Row, to: Row, asset: Asset) -> Result<Amount, Broken> {
        let amount = self.0.balance(from, asset)?;
        if from != to && !amount.is_zero() {
            self.set(from, asset, amount, Amount::ZERO)?;
            self.change(to, asset, Side::Credit, amount)?;
        }
        Ok(amount)
    }

    fn change(&mut self, row: Row, asset: Asset, side: Side, amount: Amount) -> Result<(), Broken> {
        if amount.is_zero() {
            return Ok(());
        }
        let old = self.0.balance(row, asset)?;
        // An issuer owes more when value comes from it, and less when value returns.
        let grows = (side == Side::Credit) != is_negative(row);
        let new = if grows { old.plus(amount)? } else { old.minus(amount)? };
        self.set(row, asset, old, new)
    }

    /// Sets a row that holds `old` to another amount.
    fn set(&mut self, row: Row, asset: Asset, old: Amount, new: Amount) -> Result<(), Broken> {
        let key = Key::Book(row, asset);
        match (old, new) {
            (_, Amount::ZERO) => self.0.remove(key),
            (Amount::ZERO, _) => self.0.add(key, &new)?,
            _ => self.0.put(key, &new)?,
        }
        let (old, new) = (i128::from(old.get()), i128::from(new.get()));
        let grown = new.checked_sub(old).ok_or(Broken)?;
        let grown = if is_negative(row) { grown.checked_neg().ok_or(Broken)? } else { grown };
        let [usd, wild] = &mut self.0.block.moved;
        let moved = match asset {
            Asset::Usd => usd,
            Asset::Wild => wild,
        };
        *moved = moved.checked_add(grown).ok_or(Broken)?;
        Ok(())
    }
}

/// Returns whether a row says what somebody owes.
const fn is_negative(row: Row) -> bool {
    matches!(row, Row::Issued(_))
}

#[cfg(test)]
mod tests {
    use types::Reject;

    use super::*;
    use crate::testing::{Fixture, usd};

    #[test]
    fn what_a_row_does_not_hold_cannot_leave_it_and_nothing_changes() {
        let mut fixture = Fixture::new();
        let (alice, bob) = (Row::Wallet(fixture.tenant()), Row::Wallet(fixture.provider()));
        let state = &mut fixture.ledger.state;
        let root = state.clone().settle();
        let held = state.balance(alice, Asset::Usd).unwrap();
        let result = state.attempt(|state| {
            state.book().transfer(alice, bob, Asset::Usd, held)?;
            state.book().transfer(alice, bob, Asset::Usd, usd(1))
        });
        assert_eq!(result.map_err(Reject::from), Err(Reject::Invariant));
        assert_eq!((state.clone().settle(), state.block.moved), (root, [0, 0]));
    }

    #[test]
    fn a_movement_to_the_same_row_changes_nothing() {
        let mut fixture = Fixture::new();
        let alice = Row::Wallet(fixture.tenant());
        let state = &mut fixture.ledger.state;
        let held = state.balance(alice, Asset::Usd).unwrap();
        state.attempt(|state| state.book().transfer(alice, alice, Asset::Usd, held)).unwrap();
        assert_eq!(state.balance(alice, Asset::Usd), Ok(held));
    }
}
