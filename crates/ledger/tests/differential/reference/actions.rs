//! What each transaction checks, in the page's order, and what it then does.

use ledger::key::Row;
use types::{
    Address, Amount, Asset, Change, Claim, CloseReason, Duration, Encode, Event, Hash, LeaseId,
    LeaseState, Offer, OfferId, OfferTerms, Order, OrderId, OrderTerms, Provenance, Provider,
    PublicKey, Readers, Reject, SignedReceipt, Time, Unbonding, Value,
};

use super::{Proposal, Reference, What, count};

pub(super) fn ensure(holds: bool, reject: Reject) -> Result<(), Reject> {
    if holds { Ok(()) } else { Err(reject) }
}

/// Funds.
impl Reference {
    fn check_amount(&self, asset: Asset, amount: Amount) -> Result<(), Reject> {
        ensure(!amount.is_zero(), Reject::AmountZero)?;
        ensure(asset == Asset::Usd || self.genesis.token, Reject::AssetAbsent)
    }

    pub(super) fn check_wallet(
        &self,
        owner: Address,
        asset: Asset,
        amount: Amount,
    ) -> Result<(), Reject> {
        ensure(self.balance(Row::Wallet(owner), asset) >= amount, Reject::FundsShort)
    }

    pub(super) fn transfer(
        &mut self,
        from: Address,
        to: Address,
        asset: Asset,
        amount: Amount,
    ) -> Result<(), Reject> {
        self.check_amount(asset, amount)?;
        self.check_wallet(from, asset, amount)?;
        if from != to {
            self.book.check_room(Row::Wallet(to), asset, amount)?;
        }
        self.open_account(to);
        self.book.transfer(Row::Wallet(from), Row::Wallet(to), asset, amount);
        self.events.push(Event::Transferred { from, to, asset, amount });
        Ok(())
    }

    pub(super) fn issue(
        &mut self,
        issuer: Address,
        to: Address,
        asset: Asset,
        amount: Amount,
    ) -> Result<(), Reject> {
        self.check_amount(asset, amount)?;
        let limit = self.issuer(&issuer, asset).ok_or(Reject::NotIssuer)?.limit;
        let issued = self.balance(Row::Issued(issuer), asset).get() + amount.get();
        ensure(issued <= limit.get(), Reject::IssuerLimit)?;
        self.book.check_room(Row::Wallet(to), asset, amount)?;
        self.open_account(to);
        self.book.issue(asset, issuer, to, amount);
        self.events.push(Event::Issued { issuer, to, asset, amount });
        Ok(())
    }

    pub(super) fn redeem(
        &mut self,
        issuer: Address,
        asset: Asset,
        amount: Amount,
    ) -> Result<(), Reject> {
        self.check_amount(asset, amount)?;
        self.issuer(&issuer, asset).ok_or(Reject::NotIssuer)?;
        self.check_wallet(issuer, asset, amount)?;
        let issued = self.balance(Row::Issued(issuer), asset);
        ensure(issued >= amount, Reject::IssuerLimit)?;
        self.book.redeem(asset, issuer, amount);
        self.events.push(Event::Redeemed { issuer, asset, amount });
        Ok(())
    }
}

/// Providers.
impl Reference {
    fn check_node_key(&self, signer: Address, node_key: PublicKey) -> Result<(), Reject> {
        let address = Address::new(node_key);
        let is_taken = self.provider_of(&address).is_some() || address == signer;
        ensure(!is_taken, Reject::NodeKeyTaken)
    }

    fn own_provider(&self, signer: Address) -> Result<Provider, Reject> {
        self.provider(&signer).ok_or(Reject::NotProvider)
    }

    pub(super) fn register(&mut self, signer: Address, key: PublicKey) -> Result<(), Reject> {
        ensure(self.provider_of(&signer).is_none(), Reject::ProviderExists)?;
        self.check_node_key(signer, key)?;
        self.open_account(Address::new(key));
        self.providers.push(Provider {
            address: signer,
            node_key: key,
            registered: self.time,
            offers: 0,
            leases: 0,
            unbondings: 0,
            votes: 0,
            no_starts_epoch: 0,
            no_starts: 0,
            suspended_until: Time::default(),
            exposure: Amount::ZERO,
            slashed: None,
        });
        self.events.push(Event::Registered { provider: signer, node_key: key });
        Ok(())
    }

    pub(super) fn rotate_node_key(
        &mut self,
        signer: Address,
        key: PublicKey,
    ) -> Result<(), Reject> {
        self.own_provider(signer)?;
        self.check_node_key(signer, key)?;
        self.open_account(Address::new(key));
        self.provider_mut(&signer).node_key = key;
        self.events.push(Event::NodeKeyRotated { provider: signer, node_key: key });
        Ok(())
    }

    pub(super) fn stake(&mut self, signer: Address, amount: Amount) -> Result<(), Reject> {
        self.check_amount(Asset::Wild, amount)?;
        self.own_provider(signer)?;
        self.check_wallet(signer, Asset::Wild, amount)?;
        self.book.transfer(Row::Wallet(signer), Row::Stake(signer), Asset::Wild, amount);
        self.events.push(Event::Staked { provider: signer, amount });
        self.let_seats_follow(signer);
        Ok(())
    }

    pub(super) fn unstake(
        &mut self,
        signer: Address,
        nonce: u64,
        amount: Amount,
    ) -> Result<(), Reject> {
        self.check_amount(Asset::Wild, amount)?;
        let provider = self.own_provider(signer)?;
        let stays = self.stake_of(&signer).minus(amount).map_err(|_| Reject::FundsShort)?;
        let has_audits = self.to_do.iter().any(|(auditor, _)| *auditor == signer);
        let is_in_use = provider.offers > 0 || provider.leases > 0 || has_audits;
        let is_enough = stays >= self.parameters.stake_minimum;
        ensure(!is_in_use || is_enough, Reject::StakeInUse)?;
        ensure(provider.votes == 0, Reject::StakeInUse)?;
        ensure(self.covers(stays, provider.exposure.get()), Reject::StakeInUse)?;
        ensure(provider.unbondings < 16, Reject::UnbondingsFull)?;
        let until = self.time.after(self.parameters.unbonding_ms);
        self.unbondings.push((signer, nonce, Unbonding { amount, until }));
        self.due.insert((until, What::Unbonding(signer, nonce)));
        self.book.transfer(Row::Stake(signer), Row::Unbonding(signer), Asset::Wild, amount);
        self.events.push(Event::Unstaked { provider: signer, amount, until });
        self.let_seats_follow(signer);
        Ok(())
    }
}

/// The market.
impl Reference {
    fn is_within_horizon(&self, expires: Time) -> bool {
        let horizon = self.time.after(self.parameters.market_horizon_ms);
        self.time < expires && expires <= horizon
    }

    pub(super) fn post_offer(
        &mut self,
        signer: Address,
        id: OfferId,
        terms: OfferTerms,
    ) -> Result<(), Reject> {
        let address = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        let provider = self.provider(&address).expect("the signer's provider");
        if self.genesis.token {
            let stake = self.stake_of(&address);
            ensure(stake >= self.parameters.stake_minimum, Reject::StakeShort)?;
        }
        let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
        ensure(terms.slots >= 1 && terms.slots <= 4096, Reject::OfferSlots)?;
        let capacity = class
            .capacity(terms.terms.as_slice(), terms.slots, self.parameters.epoch_ms)
            .map_err(|_| Reject::OfferMalformed)?;
        let is_region = |value: &Value| match value {
            Value::Text(text) => text.as_str().len() <= 16,
            _ => false,
        };
        let region = terms.claims.get("region");
        ensure(region.is_none_or(|claim| is_region(&claim.value)), Reject::OfferMalformed)?;
        let is_declared = |claim: &Claim| claim.provenance == Provenance::Declared;
        ensure(terms.claims.iter().all(|(_, claim)| is_declared(claim)), Reject::OfferMalformed)?;
        let claimed = self.tally_mut(terms.class).supply.claimed;
        ensure(claimed.plus(capacity).is_ok(), Reject::OfferMalformed)?;
        let is_paid = terms.minimum >= self.parameters.receipt_minimum;
        ensure(is_paid && terms.rate >= class.rate_min(), Reject::OfferMinimum)?;
        ensure(self.is_within_horizon(terms.expires), Reject::OfferExpiry)?;
        ensure(provider.offers < self.parameters.offers_max, Reject::OffersFull)?;
        self.check_wallet(address, Asset::Usd, self.parameters.storage_stake)?;

        let stake = self.parameters.storage_stake;
        self.book.transfer(Row::Wallet(address), Row::Offer(id), Asset::Usd, stake);
        let claimed = &mut self.tally_mut(terms.class).supply.claimed;
        *claimed = claimed.saturating_plus(capacity);
        self.due.insert((terms.expires, What::OfferExpires(id)));
        self.grant_passes(terms.class);
        self.events.push(Event::OfferPosted {
            offer: id,
            provider: address,
            class: terms.class,
            rate: terms.rate,
            slots: terms.slots,
            capacity,
        });
        let node_key = provider.node_key;
        self.offers.push(Offer {
            id,
            provider: address,
            node_key,
            posted: self.time,
            capacity,
            terms,
        });
        Ok(())
    }

    pub(super) fn retire_offer(&mut self, signer: Address, id: OfferId) -> Result<(), Reject> {
        let provider = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        let is_own = self.offer(&id).is_some_and(|offer| offer.provider == provider);
        ensure(is_own, Reject::OfferUnknown)?;
        self.take_down(id);
        Ok(())
    }

    pub(super) fn place_order(
        &mut self,
        tenant: Address,
        id: OrderId,
        terms: OrderTerms,
    ) -> Result<(), Reject> {
        self.check_terms(&terms)?;
        let account = self.account(&tenant).expect("the signer has an account");
        ensure(account.open_orders < self.parameters.open_orders_max, Reject::OrdersFull)?;
        let stake = self.parameters.storage_stake;
        let names_offers = !terms.offers.is_empty();
        let wallet = self.balance(Row::Wallet(tenant), Asset::Usd).get();
        let needed = terms.budget.get() + if names_offers { 0 } else { stake.get() };
        ensure(wallet >= needed, Reject::FundsShort)?;
        let found = self.search(&terms);
        ensure(!names_offers || found.is_some(), Reject::OrderUnmatched)?;

        let (class, budget, expires) = (terms.class, terms.budget, terms.expires);
        self.orders.push(Order { id, tenant, placed: self.time, terms });
        let locked = Amount::new(needed).expect("it is less than the wallet");
        self.book.transfer(Row::Wallet(tenant), Row::Order(id), Asset::Usd, locked);
        self.open.insert(id);
        self.events.push(Event::OrderPlaced { order: id, tenant, class, budget });
        match found {
            Some(offer) => self.open_lease(id, offer),
            None => {
                self.due.insert((expires, What::OrderExpires(id)));
                if self.allowance == 0 {
                    self.grant_passes(class);
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_terms(&self, terms: &OrderTerms) -> Result<(), Reject> {
        let class = classes::find(terms.class).ok_or(Reject::ClassUnknown)?;
        let units = class.units_max(terms.spec.as_slice()).map_err(|_| Reject::OrderMalformed)?;
        ensure(self.is_within_horizon(terms.expires), Reject::OrderExpiry)?;
        let lasts_long_enough = terms.duration >= Duration::from_seconds(1);
        let ends_in_time = terms.duration <= self.parameters.market_horizon_ms;
        ensure(lasts_long_enough && ends_in_time, Reject::OrderDuration)?;
        let (probability, auditors) = (terms.audit.probability, terms.audit.auditors);
        let is_consistent = match terms.audit.readers {
            Readers::Nobody => probability.get() == 0 && auditors == 0,
            Readers::Auditors => {
                probability >= class.audit_probability_min()
                    && auditors <= 7
                    && (probability.get() > 0) == (auditors > 0)
            }
        };
        ensure(is_consistent, Reject::OrderAudit)?;
        let judged_ms = class.judging_time(units).as_ms();
        ensure(auditors == 0 || judged_ms <= self.judging_ms(), Reject::OrderUnjudgeable)?;
        ensure(terms.budget >= self.parameters.receipt_minimum, Reject::OrderBudget)
    }

    pub(super) fn cancel_order(&mut self, signer: Address, id: OrderId) -> Result<(), Reject> {
        let is_own = self.order(&id).is_some_and(|order| order.tenant == signer);
        ensure(is_own && self.open.contains(&id), Reject::OrderUnknown)?;
        self.give_back(id);
        Ok(())
    }
}

/// Leases.
impl Reference {
    pub(super) fn start(&mut self, signer: Address, id: LeaseId) -> Result<(), Reject> {
        let now = self.time;
        let lease = self.lease(&id).ok_or(Reject::LeaseUnknown)?;
        let (tenant, provider) = (lease.tenant, lease.provider);
        ensure(*signer.key() == lease.node_key || signer == provider, Reject::LeaseNotYours)?;
        ensure(matches!(lease.state, LeaseState::Pending { .. }), Reject::LeaseState)?;
        let ends = lease.ends;
        self.lease_mut(&id).state = LeaseState::Active { since: now };
        self.wait(id, ends);
        self.events.push(Event::LeaseStarted { lease: id, tenant, provider });
        Ok(())
    }

    pub(super) fn submit_receipt(&mut self, signed: SignedReceipt) -> Result<(), Reject> {
        let receipt = signed.receipt.clone();
        let lease = self.lease(&receipt.lease).ok_or(Reject::LeaseUnknown)?.clone();
        let (LeaseState::Active { since }
        | LeaseState::Reclaiming { since, .. }
        | LeaseState::Closing { since, .. }) = lease.state
        else {
            return Err(Reject::LeaseState);
        };
        ensure(signed.node_key == lease.node_key, Reject::ReceiptKey)?;
        let class = classes::find(lease.class).expect("the lease's class is in the table");
        let needs_tenant = class.assurance() == classes::Assurance::Countersigned;
        let is_countersigned = match &signed.countersignature {
            Some(counter) => counter.tenant == lease.tenant,
            None => !needs_tenant,
        };
        ensure(is_countersigned, Reject::ReceiptCountersignature)?;
        let is_next = receipt.sequence.checked_sub(1) == Some(lease.receipts);
        ensure(is_next && receipt.sequence <= class.receipts_max(), Reject::ReceiptSequence)?;
        let of_lease = self.receipts.iter().filter(|kept| kept.receipt.lease == lease.id);
        let last = of_lease.max_by_key(|kept| kept.receipt.sequence);
        let from = last.map_or(since, |kept| kept.receipt.to);
        let is_ordered = receipt.from <= receipt.to && receipt.to <= self.time;
        ensure(receipt.from == from && is_ordered, Reject::ReceiptRange)?;
        let order = self.order(&lease.order).expect("a lease's order stays with it");
        let units = class
            .units(order.terms.spec.as_slice(), receipt.usage.as_slice())
            .map_err(|_| Reject::ReceiptMalformed)?;
        let is_plausible = units >= lease.settlement.units && units <= lease.units_max;
        ensure(is_plausible, Reject::ReceiptUsage)?;

        let kept = self.lease_mut(&lease.id);
        kept.receipts = receipt.sequence;
        kept.settlement.units = units;
        self.receipts.push(signed);
        self.events.push(Event::ReceiptAccepted {
            lease: lease.id,
            tenant: lease.tenant,
            provider: lease.provider,
            sequence: receipt.sequence,
            units,
        });
        if receipt.sequence == class.receipts_max() {
            self.settle(lease.id, CloseReason::ProviderCompleted);
        }
        Ok(())
    }

    pub(super) fn reclaim(
        &mut self,
        signer: Address,
        id: LeaseId,
        notice: Duration,
    ) -> Result<(), Reject> {
        let lease = self.lease(&id).ok_or(Reject::LeaseUnknown)?;
        let (tenant, provider) = (lease.tenant, lease.provider);
        let who = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        ensure(who == provider, Reject::LeaseNotYours)?;
        let LeaseState::Active { since } = lease.state else {
            return Err(Reject::LeaseState);
        };
        let deadline = self.time.after(notice);
        let is_long_enough = notice >= self.parameters.reclaim_notice_ms;
        ensure(is_long_enough && deadline < lease.ends, Reject::NoticeShort)?;
        self.lease_mut(&id).state = LeaseState::Reclaiming { since, deadline };
        self.wait(id, deadline);
        self.events.push(Event::LeaseReclaiming { lease: id, tenant, provider, deadline });
        Ok(())
    }

    pub(super) fn close(&mut self, signer: Address, id: LeaseId) -> Result<(), Reject> {
        let lease = self.lease(&id).ok_or(Reject::LeaseUnknown)?;
        let (tenant, provider) = (lease.tenant, lease.provider);
        ensure(tenant == signer, Reject::LeaseNotYours)?;
        let reason = CloseReason::TenantClosed;
        match lease.state {
            LeaseState::Pending { .. } => self.settle(id, reason),
            LeaseState::Active { since } | LeaseState::Reclaiming { since, .. } => {
                let until = self.time.after(self.parameters.grace_window_ms);
                self.lease_mut(&id).state = LeaseState::Closing { since, until, reason };
                self.wait(id, until);
                self.events.push(Event::LeaseClosing { lease: id, tenant, provider, reason });
            }
            LeaseState::Closing { .. } | LeaseState::Closed { .. } => {
                return Err(Reject::LeaseState);
            }
        }
        Ok(())
    }
}

/// Votes.
impl Reference {
    fn weight(&self, voter: Address) -> u64 {
        if self.genesis.token {
            self.stake_of(&voter).get()
        } else {
            u64::from(self.genesis.place_of(voter.key()).is_some())
        }
    }

    /// Returns the weight of all who may vote.
    pub(super) fn weight_of_all(&self) -> u64 {
        if self.genesis.token {
            self.total_stake()
        } else {
            u64::from(count(self.genesis.validators.iter()))
        }
    }

    fn is_possible(&self, change: &Change) -> bool {
        match change {
            Change::Parameters(parameters) => {
                let needs_token =
                    parameters.burn_share.get() > 0 || !parameters.stake_minimum.is_zero();
                parameters.validate().is_ok() && (self.genesis.token || !needs_token)
            }
            Change::Rules(version) => u32::from(*version) == u32::from(self.rules) + 1,
        }
    }

    pub(super) fn vote(
        &mut self,
        voter: Address,
        change: Change,
        effective: Time,
    ) -> Result<(), Reject> {
        let weight = self.weight(voter);
        ensure(weight > 0, Reject::VoteWeight)?;
        let earliest = self.time.after(self.parameters.change_delay_ms);
        let latest = self.time.after(self.parameters.market_horizon_ms);
        let is_in_time = effective >= earliest && effective <= latest;
        ensure(is_in_time && self.is_possible(&change), Reject::VoteChange)?;
        let hash = proposal_hash(&change, effective);
        let known = self.proposals.iter().position(|proposal| proposal.hash == hash);
        let votes = known.map_or(&[][..], |index| &self.proposals[index].votes);
        ensure(votes.iter().all(|(who, _)| *who != voter), Reject::VoteTwice)?;
        let may_open = weight >= self.parameters.stake_minimum.get();
        ensure(known.is_some() || may_open, Reject::VoteWeight)?;
        ensure(known.is_some() || self.proposals.len() < 64, Reject::VotesFull)?;

        let index = known.unwrap_or_else(|| {
            self.due.insert((effective, What::Change(hash)));
            let change = change.clone();
            let votes = Vec::new();
            self.proposals.push(Proposal { hash, change, effective, votes });
            self.proposals.len() - 1
        });
        let proposal = &mut self.proposals[index];
        proposal.votes.push((voter, weight));
        self.events.push(Event::Voted { voter, change, effective });
        Ok(())
    }
}

/// Returns the name of a proposal.
pub(crate) fn proposal_hash(change: &Change, effective: Time) -> Hash {
    Hash::of("idlewild proposal", &[&change.to_bytes(), &effective.to_bytes()])
}
