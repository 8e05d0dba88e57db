//! `transfer`: moves funds to another account.

use types::{Address, Amount, Asset, Event, Reject};

use super::{Context, Execute, covers, fits, known, positive};
use crate::{
    key::Row,
    state::{Broken, State},
};

pub(super) struct Transfer {
    pub(super) to: Address,
    pub(super) asset: Asset,
    pub(super) amount: Amount,
}

pub(super) struct Plan {
    to: Address,
    asset: Asset,
    amount: Amount,
}

impl Execute for Transfer {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { to, asset, amount } = self;
        positive(amount)?;
        known(state, asset)?;
        covers(state, Row::Wallet(context.signer), asset, amount)?;
        if to != context.signer {
            fits(state, Row::Wallet(to), asset, amount)?;
        }
        Ok(Plan { to, asset, amount })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { to, asset, amount } = plan;
        let from = context.signer;
        state.open_account(to)?;
        state.book().transfer(Row::Wallet(from), Row::Wallet(to), asset, amount)?;
        state.emit(Event::Transferred { from, to, asset, amount });
        Ok(())
    }
}
