//! `issue`: an issuer mints against a deposit.

use types::{Address, Amount, Asset, Event, Issuer, Reject};

use super::{Context, Execute, fits, known, positive};
use crate::{
    key::{Key, Row},
    state::{Broken, State},
};

pub(super) struct Issue {
    pub(super) to: Address,
    pub(super) asset: Asset,
    pub(super) amount: Amount,
}

pub(super) struct Plan {
    to: Address,
    asset: Asset,
    amount: Amount,
}

impl Execute for Issue {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { to, asset, amount } = self;
        positive(amount)?;
        known(state, asset)?;
        let issuer: Issuer =
            state.get(Key::Issuer(context.signer, asset))?.ok_or(Reject::NotIssuer)?;
        let issued = state.balance(Row::Issued(context.signer), asset)?;
        if issued.plus(amount).map_or(true, |issued| issued > issuer.limit) {
            return Err(Reject::IssuerLimit);
        }
        fits(state, Row::Wallet(to), asset, amount)?;
        Ok(Plan { to, asset, amount })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { to, asset, amount } = plan;
        let issuer = context.signer;
        state.open_account(to)?;
        state.book().transfer(Row::Issued(issuer), Row::Wallet(to), asset, amount)?;
        state.emit(Event::Issued { issuer, to, asset, amount });
        Ok(())
    }
}
