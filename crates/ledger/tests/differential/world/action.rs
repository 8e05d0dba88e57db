//! What people try: each action with a signer and arguments that the state suggests.

use ledger::key::Row;
use types::{
    Action, Address, Amount, Asset, Change, Duration, Lease, LeaseId, LeaseState, OfferId, OrderId,
    Parameters, Provider, PublicKey, Time,
};

use super::{Theme, UNCHECKED, World, key, micro};
use crate::reference::{Reference, runs};

/// The name of a lease that never was.
pub(super) const NO_LEASE: LeaseId = LeaseId::from_bytes([9; 32]);

impl World {
    /// Draws an action and who signs it.
    pub(super) fn action(&mut self, state: &Reference) -> (Address, Action) {
        let weights = self.theme.weights();
        match self.dice.weighted(&weights) {
            0 => self.transfer(state),
            1 => self.issue(state),
            2 => self.redeem(state),
            3 => self.register(state),
            4 => self.rotate(state),
            5 => self.stake(state),
            6 => self.unstake(state),
            7 => self.post_offer(state),
            8 => self.retire_offer(state),
            9 => self.place_order(state),
            10 => self.cancel_order(state),
            11 => self.start(state),
            12 => self.submit_receipt(state),
            13 => self.reclaim(state),
            14 => self.close(state),
            15 => self.vote(state),
            16 => self.enlist(state),
            17 => self.delist(state),
            18 => self.commit_audit(state),
            19 => self.reveal_audit(state),
            20 => self.dispute(state),
            _ => self.argue(state),
        }
    }

    fn asset(&mut self) -> Asset {
        if self.dice.one_in(4) { Asset::Wild } else { Asset::Usd }
    }

    /// Draws an amount of what there is; at times nothing, all, or more.
    fn amount(&mut self, held: Amount) -> Amount {
        micro(match self.dice.below(24) {
            0 => 0,
            1 => held.get() + 1,
            2 => Amount::MAX.get(),
            3 => held.get(),
            _ => self.dice.within(1, (held.get() / 3).max(1)),
        })
    }

    fn transfer(&mut self, state: &Reference) -> (Address, Action) {
        let (from, asset) = (self.someone(), self.asset());
        let to = match self.dice.below(12) {
            0 => from,
            1 => Address::new(key("newcomer", self.dice.below(20))),
            2 => self.anybody(state),
            _ => self.someone(),
        };
        let amount = self.amount(state.balance(Row::Wallet(from), asset));
        (from, Action::Transfer { to, asset, amount })
    }

    fn issuer(&mut self, state: &Reference) -> (Address, Asset, Amount) {
        let issuer = *self.dice.pick(&state.genesis.issuers).expect("there are issuers");
        (issuer.address, issuer.asset, issuer.limit)
    }

    /// Issues to whoever has least, so that everybody can act.
    fn issue(&mut self, state: &Reference) -> (Address, Action) {
        let (mut issuer, asset, limit) = self.issuer(state);
        let held = |owner: &Address| state.balance(Row::Wallet(*owner), asset);
        let poorest = self.people.iter().copied().min_by_key(held).expect("there are people");
        let to = if self.dice.one_in(6) { self.anybody(state) } else { poorest };
        let amount = match self.dice.below(24) {
            0 => 0,
            1 => limit.get() + 1,
            2 => Amount::MAX.get(),
            _ => self.dice.within(1, 3_000_000),
        };
        if self.dice.one_in(24) {
            issuer = self.someone();
        }
        (issuer, Action::Issue { to, asset, amount: micro(amount) })
    }

    fn redeem(&mut self, state: &Reference) -> (Address, Action) {
        let (mut issuer, asset, _) = self.issuer(state);
        if self.dice.one_in(8) {
            issuer = self.someone();
        }
        let amount = self.amount(state.balance(Row::Wallet(issuer), asset));
        (issuer, Action::Redeem { asset, amount })
    }

    fn node_key(&mut self, state: &Reference) -> PublicKey {
        if self.dice.one_in(8) {
            let known = self.dice.pick(&self.node_keys).copied();
            return known.unwrap_or(*self.anybody(state).key());
        }
        let fresh = key("node", self.made);
        self.node_keys.push(fresh);
        fresh
    }

    fn register(&mut self, state: &Reference) -> (Address, Action) {
        let mut signer = self.someone();
        for _ in 0..3 {
            if state.provider_of(&signer).is_none() {
                break;
            }
            signer = self.someone();
        }
        let node_key = if self.dice.one_in(20) { *signer.key() } else { self.node_key(state) };
        (signer, Action::Register { node_key, consent: UNCHECKED })
    }

    fn rotate(&mut self, state: &Reference) -> (Address, Action) {
        let provider = self.provider(state).map(|provider| provider.address);
        let signer = provider.unwrap_or(self.someone());
        (signer, Action::RotateNodeKey { node_key: self.node_key(state), consent: UNCHECKED })
    }

    fn provider(&mut self, state: &Reference) -> Option<Provider> {
        self.dice.pick(&state.providers).copied()
    }

    /// Returns a key that may act for a provider: its account's or its node's.
    pub(super) fn hand(&mut self, state: &Reference, provider: &Address) -> Address {
        let node_key = state.provider(provider).map(|provider| Address::new(provider.node_key));
        if self.dice.one_in(2) { *provider } else { node_key.unwrap_or(*provider) }
    }

    fn stake(&mut self, state: &Reference) -> (Address, Action) {
        let signer = self.provider(state).map_or(self.someone(), |provider| provider.address);
        let amount = self.amount(state.balance(Row::Wallet(signer), Asset::Wild));
        (signer, Action::Stake { amount })
    }

    fn unstake(&mut self, state: &Reference) -> (Address, Action) {
        let signer = self.provider(state).map_or(self.someone(), |provider| provider.address);
        let held = state.balance(Row::Stake(signer), Asset::Wild);
        let amount = match self.theme {
            Theme::Stake if !self.dice.one_in(6) => micro(self.dice.within(1, 3)),
            _ => self.amount(held),
        };
        (signer, Action::Unstake { amount })
    }

    fn post_offer(&mut self, state: &Reference) -> (Address, Action) {
        let provider = self.provider(state).map_or(self.someone(), |provider| provider.address);
        let terms = self.offer_terms(state);
        (self.hand(state, &provider), Action::PostOffer(Box::new(terms)))
    }

    fn retire_offer(&mut self, state: &Reference) -> (Address, Action) {
        let Some(offer) = self.dice.pick(&state.offers).cloned() else {
            return (self.someone(), Action::RetireOffer { offer: OfferId::from_bytes([9; 32]) });
        };
        let other = self.provider(state).map_or(offer.provider, |provider| provider.address);
        let provider = if self.dice.one_in(10) { other } else { offer.provider };
        (self.hand(state, &provider), Action::RetireOffer { offer: offer.id })
    }

    fn place_order(&mut self, state: &Reference) -> (Address, Action) {
        let tenant = self.someone();
        let terms = self.order_terms(state, &tenant);
        (tenant, Action::PlaceOrder(Box::new(terms)))
    }

    fn cancel_order(&mut self, state: &Reference) -> (Address, Action) {
        let open: Vec<OrderId> = state.open.iter().copied().collect();
        let order = if self.dice.one_in(10) {
            self.dice.pick(&state.orders).map(|order| order.id)
        } else {
            self.dice.pick(&open).copied()
        };
        let order = order.unwrap_or(OrderId::from_bytes([9; 32]));
        let tenant = state.order(&order).map_or(self.someone(), |order| order.tenant);
        let signer = if self.dice.one_in(12) { self.someone() } else { tenant };
        (signer, Action::CancelOrder { order })
    }

    /// Draws a lease that `fits`; at times any, or none that exists.
    pub(super) fn lease(
        &mut self,
        state: &Reference,
        fits: impl Fn(&Lease) -> bool,
    ) -> Option<Lease> {
        let any = self.dice.one_in(10);
        let fitting: Vec<&Lease> = state.leases.iter().filter(|lease| any || fits(lease)).collect();
        self.dice.pick(&fitting).map(|lease| (*lease).clone())
    }

    /// Where there is no lease to do something about: orders one, or does it all the same.
    fn instead(&mut self, state: &Reference, action: Action) -> (Address, Action) {
        match self.dice.below(16) {
            0 => (self.someone(), action),
            1..=9 => self.place_order(state),
            _ => self.post_offer(state),
        }
    }

    fn start(&mut self, state: &Reference) -> (Address, Action) {
        let pending = |lease: &Lease| matches!(lease.state, LeaseState::Pending { .. });
        let Some(lease) = self.lease(state, pending) else {
            return self.instead(state, Action::Start { lease: NO_LEASE });
        };
        let signer = match self.dice.below(16) {
            0 => self.anybody(state),
            1..=4 => lease.provider,
            5 => self.hand(state, &lease.provider),
            _ => Address::new(lease.node_key),
        };
        (signer, Action::Start { lease: lease.id })
    }

    pub(super) fn submit_receipt(&mut self, state: &Reference) -> (Address, Action) {
        let served =
            |lease: &Lease| runs(lease) && !matches!(lease.state, LeaseState::Pending { .. });
        let Some(lease) = self.lease(state, served) else {
            return self.start(state);
        };
        let mut signed = self.receipt(state, &lease);
        if self.dice.one_in(40) {
            signed.receipt.lease = NO_LEASE;
        }
        let signer = if self.dice.one_in(3) {
            self.anybody(state)
        } else {
            self.hand(state, &lease.provider)
        };
        (signer, Action::SubmitReceipt(Box::new(signed)))
    }

    fn reclaim(&mut self, state: &Reference) -> (Address, Action) {
        let active = |lease: &Lease| matches!(lease.state, LeaseState::Active { .. });
        let least = state.parameters.reclaim_notice_ms.as_ms();
        let Some(lease) = self.lease(state, active) else {
            let notice = Duration::from_ms(least);
            return self.instead(state, Action::Reclaim { lease: NO_LEASE, notice });
        };
        let left = lease.ends.since(state.time).as_ms();
        let notice = match self.dice.below(16) {
            0 => least.saturating_sub(1),
            1 => u64::MAX,
            2 => left,
            3 => left.saturating_sub(1),
            _ => least + self.dice.below(500),
        };
        let notice = Duration::from_ms(notice);
        let signer = match self.dice.below(12) {
            0 => self.anybody(state),
            1 => Address::new(lease.node_key),
            _ => self.hand(state, &lease.provider),
        };
        (signer, Action::Reclaim { lease: lease.id, notice })
    }

    fn close(&mut self, state: &Reference) -> (Address, Action) {
        let Some(lease) = self.lease(state, runs) else {
            return self.instead(state, Action::Close { lease: NO_LEASE });
        };
        let signer = if self.dice.one_in(12) { self.anybody(state) } else { lease.tenant };
        (signer, Action::Close { lease: lease.id })
    }

    fn vote(&mut self, state: &Reference) -> (Address, Action) {
        let signer = match self.theme {
            Theme::Private => {
                Address::new(self.dice.pick(&state.genesis.validators).expect("some").key)
            }
            _ => self.provider(state).map_or(self.someone(), |provider| provider.address),
        };
        let signer = if self.dice.one_in(12) { self.anybody(state) } else { signer };
        let rarity = if self.theme == Theme::Votes { 2 } else { 6 };
        if !self.dice.one_in(rarity)
            && let Some(proposal) = self.dice.pick(&state.proposals)
        {
            let (change, effective) = (proposal.change.clone(), proposal.effective);
            return (signer, Action::Vote { change, effective });
        }
        let change = self.change(state);
        (signer, Action::Vote { change, effective: self.effective(state) })
    }

    fn effective(&mut self, state: &Reference) -> Time {
        let delay = state.parameters.change_delay_ms.as_ms();
        let horizon = state.parameters.market_horizon_ms.as_ms();
        let ahead = match self.dice.below(16) {
            0 => delay.saturating_sub(1),
            1 => horizon + 1,
            2..=9 if self.theme != Theme::Votes => delay + self.dice.below(2_000),
            _ => self.dice.within(delay, horizon.max(delay)),
        };
        state.time.after(Duration::from_ms(ahead))
    }

    fn change(&mut self, state: &Reference) -> Change {
        match self.dice.below(10) {
            0 => Change::Rules(state.rules.wrapping_add(self.dice.of([0, 2, u16::MAX]))),
            1 | 2 => Change::Rules(state.rules + 1),
            3 => Change::Parameters(Box::new(self.impossible(state))),
            _ => {
                let drawn = super::parameters(&mut self.dice, self.theme);
                Change::Parameters(Box::new(Parameters {
                    market_horizon_ms: state.parameters.market_horizon_ms,
                    epoch_ms: drawn.epoch_ms,
                    ..drawn
                }))
            }
        }
    }

    /// Returns parameters that cannot govern this network.
    fn impossible(&mut self, state: &Reference) -> Parameters {
        let mut parameters = state.parameters.clone();
        match self.dice.below(5) {
            0 => parameters.unbonding_ms = Duration::from_ms(0),
            1 => parameters.no_starts_max = 0,
            2 => parameters.gain_max = types::BasisPoints::ZERO,
            3 => parameters.reveal_window_ms = Duration::from_ms(0),
            _ if state.genesis.token => parameters.receipt_minimum = Amount::ZERO,
            _ => parameters.stake_minimum = micro(1),
        }
        parameters
    }
}
