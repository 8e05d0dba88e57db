//! What happens by itself.

use ledger::key::Row;
use types::{
    Address, Asset, Change, CheckState, CloseReason, Duration, Encode, Event, Hash, LeaseId,
    LeaseState, OfferId, OrderId, Outcome, Time,
};

use super::{Proposal, Reference, What, count};

impl Reference {
    /// Does what is due.
    pub(super) fn happen(&mut self, what: What) {
        match what {
            What::OrderExpires(id) => self.give_back(id),
            What::OfferExpires(id) => self.take_down(id),
            What::Lease(id) => self.go_on(id),
            What::Unbonding(owner, sequence) => self.unbond(owner, sequence),
            What::Change(hash) => self.conclude(hash),
        }
    }

    /// Does what a lease in this state waits for.
    fn go_on(&mut self, id: LeaseId) {
        let lease = self.lease(&id).expect("only leases that are kept are due");
        match lease.state {
            LeaseState::Pending { start_by } if lease.ends < start_by => {
                self.settle(id, CloseReason::NetworkEnded);
            }
            LeaseState::Pending { .. } => self.miss_start(id),
            LeaseState::Active { .. } => self.settle(id, CloseReason::NetworkEnded),
            LeaseState::Reclaiming { .. } => self.settle(id, CloseReason::ProviderReclaimed),
            LeaseState::Closing { reason, .. } => self.settle(id, reason),
            LeaseState::Closed { .. } => self.go_on_closed(id),
        }
    }

    /// Does what a closed lease waits for.
    fn go_on_closed(&mut self, id: LeaseId) {
        match self.lease(&id).expect("it was just read").check {
            CheckState::Waiting { .. } => unreachable!("it waits for no time"),
            CheckState::Committing { .. } => self.end_committing(id),
            CheckState::Revealing { .. } => self.end_round(id),
            CheckState::Disputed { .. } => self.end_dispute(id, Outcome::Undecided),
            _ if self.balance(Row::Pending(id), Asset::Usd).is_zero() => self.archive(id),
            _ => self.release(id),
        }
    }

    /// Makes a lease wait for `time`, and for nothing else.
    pub(super) fn wait(&mut self, id: LeaseId, time: Time) {
        self.forget(What::Lease(id));
        self.due.insert((time, What::Lease(id)));
    }

    /// Takes what is not due any more out of the queue.
    pub(super) fn forget(&mut self, what: What) {
        self.due.retain(|(_, kept)| *kept != what);
    }

    /// Returns when a lease that closed, was paid or refunded now leaves the state.
    pub(super) fn archive_time(&self) -> Time {
        let epochs = u64::from(self.parameters.closed_lease_epochs);
        let kept_ms = epochs.saturating_mul(self.parameters.epoch_ms.as_ms());
        self.time.after(Duration::from_ms(kept_ms))
    }

    /// Closes an open order and gives back all that it locked.
    pub(super) fn give_back(&mut self, id: OrderId) {
        let tenant = self.order(&id).expect("it is open").tenant;
        self.book.transfer_all(Row::Order(id), Row::Wallet(tenant), Asset::Usd);
        self.book.forget(Row::Order(id));
        self.open.remove(&id);
        self.forget(What::OrderExpires(id));
        self.orders.retain(|order| order.id != id);
        self.gone.orders.push(id);
        self.events.push(Event::OrderClosed { order: id, tenant });
    }

    /// Takes an offer down and gives back its storage stake.
    pub(super) fn take_down(&mut self, id: OfferId) {
        let offer = self.offer(&id).expect("it stands").clone();
        let (provider, class) = (offer.provider, offer.terms.class);
        self.book.transfer_all(Row::Offer(id), Row::Wallet(provider), Asset::Usd);
        self.book.forget(Row::Offer(id));
        let claimed = &mut self.tally_mut(class).supply.claimed;
        *claimed = claimed.saturating_minus(offer.capacity);
        self.offers.retain(|offer| offer.id != id);
        self.forget(What::OfferExpires(id));
        self.gone.offers.push(id);
        self.events.push(Event::OfferRetired { offer: id, provider, class });
    }

    fn miss_start(&mut self, id: LeaseId) {
        self.settle(id, CloseReason::ProviderNoStart);
        let address = self.lease(&id).expect("it was just closed").provider;
        let (epoch, max) = (self.epoch, self.parameters.no_starts_max);
        let until = self.time.after(self.parameters.epoch_ms);
        let provider = self.provider_mut(&address);
        if provider.no_starts_epoch != epoch {
            provider.no_starts_epoch = epoch;
            provider.no_starts = 0;
        }
        provider.no_starts += 1;
        if provider.no_starts >= max {
            provider.suspended_until = until;
            self.events.push(Event::Suspended { provider: address, until });
        }
    }

    fn archive(&mut self, id: LeaseId) {
        let lease = self.lease(&id).expect("it leaves once").clone();
        let order = lease.order;
        let mut content = lease.to_bytes();
        content.extend(self.order(&order).expect("an order stays with its lease").to_bytes());
        for signed in self.receipts.iter().filter(|signed| signed.receipt.lease == id) {
            content.extend(signed.to_bytes());
        }
        let (audit, dispute) = (self.audits.remove(&id), self.disputes.remove(&id));
        content.extend(audit.to_bytes());
        content.extend(dispute.to_bytes());
        let pot = Row::Dispute(Hash::from_bytes(*id.as_bytes()));
        for row in [Row::Escrow(id), Row::Pending(id), Row::Order(order), pot] {
            self.book.forget(row);
        }
        self.leases.retain(|lease| lease.id != id);
        self.orders.retain(|kept| kept.id != order);
        self.gone.orders.push(order);
        self.gone.leases.push(id);
        self.receipts.retain(|kept| kept.receipt.lease != id);
        let position = u64::from(count(self.archive.iter()));
        self.archive.push(Hash::of("idlewild archived", &[&content]));
        self.events.push(Event::LeaseArchived { lease: id, position });
    }

    fn unbond(&mut self, owner: Address, sequence: u64) {
        let is_it = |kept: &(Address, u64, _)| kept.0 == owner && kept.1 == sequence;
        let index = self.unbondings.iter().position(is_it).expect("it is due once");
        let (_, _, unbonding) = self.unbondings.remove(index);
        let amount = unbonding.amount;
        self.book.transfer(Row::Unbonding(owner), Row::Wallet(owner), Asset::Wild, amount);
        self.events.push(Event::Unbonded { provider: owner, amount });
    }

    fn conclude(&mut self, hash: Hash) {
        let is_it = |proposal: &Proposal| proposal.hash == hash;
        let index = self.proposals.iter().position(is_it).expect("it is due once");
        let proposal = self.proposals.remove(index);
        let is_stale = matches!(proposal.change, Change::Rules(version)
            if u32::from(version) != u32::from(self.rules) + 1);
        let together: u128 = proposal.votes.iter().map(|(_, weight)| u128::from(*weight)).sum();
        if together * 3 <= u128::from(self.weight_of_all()) * 2 || is_stale {
            return;
        }
        match &proposal.change {
            Change::Parameters(parameters) => self.parameters = (**parameters).clone(),
            Change::Rules(version) => self.rules = *version,
        }
        self.events.push(Event::ChangeTookEffect { change: proposal.change });
    }
}
