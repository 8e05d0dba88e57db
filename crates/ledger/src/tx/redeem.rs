//! `redeem`: an issuer takes credits of its own wallet out of circulation.

use types::{Amount, Asset, Event, Reject};

use super::{Context, Execute, covers, known, positive};
use crate::{
    key::{Key, Row},
    state::{Broken, State},
};

pub(super) struct Redeem {
    pub(super) asset: Asset,
    pub(super) amount: Amount,
}

pub(super) struct Plan {
    asset: Asset,
    amount: Amount,
}

impl Execute for Redeem {
    type Plan = Plan;

    fn check(&self, state: &State, context: &Context) -> Result<Plan, Reject> {
        let &Self { asset, amount } = self;
        positive(amount)?;
        known(state, asset)?;
        if !state.has(Key::Issuer(context.signer, asset)) {
            return Err(Reject::NotIssuer);
        }
        covers(state, Row::Wallet(context.signer), asset, amount)?;
        if state.balance(Row::Issued(context.signer), asset)? < amount {
            return Err(Reject::IssuerLimit);
        }
        Ok(Plan { asset, amount })
    }

    fn apply(plan: Plan, state: &mut State, context: &Context) -> Result<(), Broken> {
        let Plan { asset, amount } = plan;
        let issuer = context.signer;
        state.book().transfer(Row::Wallet(issuer), Row::Issued(issuer), asset, amount)?;
        state.emit(Event::Redeemed { issuer, asset, amount });
        Ok(())
    }
}
