//! How a lease is settled, and how it is paid or refunded in the end.

use ledger::key::Row;
use types::{
    Address, Amount, Asset, AuditTerms, BasisPoints, CheckState, CloseReason, Event, Lease,
    LeaseId, LeaseState, Settlement, Units,
};

use super::Reference;

impl Reference {
    /// Closes a lease: sets aside what it is worth, refunds the rest, frees the slot, and lets its
    /// check begin.
    pub(super) fn settle(&mut self, id: LeaseId, reason: CloseReason) {
        let now = self.time;
        let lease = self.lease(&id).expect("it runs").clone();
        let settlement = self.settlement(&lease, reason);
        let Settlement { gross, premium, refund, .. } = settlement;
        let moves = [
            (Row::Pending(id), gross),
            (Row::AuditPool, premium),
            (Row::Wallet(lease.tenant), refund),
        ];
        for (to, amount) in moves {
            self.book.transfer(Row::Escrow(id), to, Asset::Usd, amount);
        }
        self.grant_passes(lease.class);

        let release = (!gross.is_zero()).then(|| now.after(self.parameters.release_window_ms));
        let exposure = self.exposure_at_close(&lease, gross);
        let kept = self.lease_mut(&id);
        kept.state = LeaseState::Closed { at: now, reason };
        kept.settlement = settlement;
        kept.exposure = exposure;
        kept.release = release;
        if lease.receipts > 0 && lease.audit.auditors > 0 {
            self.wait_for_draw(id);
        } else {
            self.wait(id, release.unwrap_or_else(|| self.archive_time()));
        }
        self.events.push(Event::LeaseClosed {
            lease: id,
            class: lease.class,
            tenant: lease.tenant,
            provider: lease.provider,
            reason,
            settlement,
        });
    }

    fn settlement(&self, lease: &Lease, reason: CloseReason) -> Settlement {
        let has_started = !matches!(lease.state, LeaseState::Pending { .. });
        let has_receipt = lease.receipts > 0;
        let in_range = "it is at most the escrow";
        let (gross, premium) = if has_receipt {
            let cost = lease.rate.cost(lease.settlement.units).expect(in_range);
            let gross = lease.minimum.max(cost);
            (gross, lease.audit.premium(gross).expect(in_range))
        } else if reason == CloseReason::TenantClosed && has_started {
            (lease.minimum, Amount::ZERO)
        } else {
            (Amount::ZERO, Amount::ZERO)
        };
        let beta = if self.genesis.token { self.parameters.burn_share.get() } else { 0 };
        let shares = beta + self.parameters.treasury_share.get();
        let fee = BasisPoints::new(shares).expect("they were validated").ceil_of(gross);
        let burn = BasisPoints::new(beta).expect("it was validated").floor_of(gross);
        let treasury = fee.minus(burn).expect("the fee holds the burn");
        let net = gross.minus(fee).expect("a fee is a share");
        let paid = gross.plus(premium).expect(in_range);
        let refund = lease.escrow.minus(paid).expect("the escrow holds the most");
        let units = if has_receipt { lease.settlement.units } else { Units::ZERO };
        Settlement { units, gross, burn, treasury, net, premium, refund }
    }

    /// Pays what is released, unless its provider was found cheating.
    pub(super) fn release(&mut self, id: LeaseId) {
        let lease = self.lease(&id).expect("a lease outlasts its release").clone();
        let provider = self.provider(&lease.provider).expect("a provider stays one");
        let is_cheat = provider.slashed.is_some_and(|slashed| slashed >= lease.created);
        let has_passed = lease.check == CheckState::Passed;
        if is_cheat && !has_passed {
            self.conclude_check(id, CheckState::Forfeited);
            self.refund(id, Amount::ZERO);
            return;
        }
        let Settlement { units, gross, burn, treasury, net, .. } = lease.settlement;
        let moves =
            [(Row::Buyback, burn), (Row::Treasury, treasury), (Row::Wallet(lease.provider), net)];
        for (to, amount) in moves {
            self.book.transfer(Row::Pending(id), to, Asset::Usd, amount);
        }
        let tally = self.tally_mut(lease.class);
        let in_range = "tests stay in range";
        tally.supply.earning = tally.supply.earning.plus(units).expect(in_range);
        tally.income.revenue = tally.income.revenue.plus(gross).expect(in_range);
        tally.income.burn = tally.income.burn.plus(burn).expect(in_range);
        if has_passed {
            tally.supply.verified = tally.supply.verified.plus(units).expect(in_range);
        }
        self.uncover(id);
        self.events.push(Event::Released { lease: id, provider: lease.provider, amount: net });
        self.wait(id, self.archive_time());
    }

    /// Lets a lease whose check is over wait for its release, at the earliest now, or a window
    /// later where more than the draw has checked it.
    pub(super) fn release_later(&mut self, id: LeaseId) {
        let was_checked = self.audits.contains_key(&id) || self.disputes.contains_key(&id);
        let window = self.parameters.release_window_ms;
        let earliest = if was_checked { self.time.after(window) } else { self.time };
        let kept = self.lease_mut(&id);
        let release = kept.release.expect("a lease that is checked has a price").max(earliest);
        kept.release = Some(release);
        self.wait(id, release);
    }

    /// Ends the exposure of a lease.
    fn uncover(&mut self, id: LeaseId) {
        let kept = self.lease_mut(&id);
        let class = kept.class;
        if !std::mem::take(&mut kept.exposure).is_zero() {
            self.grant_passes(class);
        }
    }

    /// Gives a tenant its money back, and so much of its premium as the pool has of it.
    pub(super) fn refund(&mut self, id: LeaseId, of_premium: Amount) {
        let lease = self.lease(&id).expect("a lease outlasts its refund").clone();
        let (tenant, provider) = (lease.tenant, lease.provider);
        let Settlement { gross, premium, refund, .. } = lease.settlement;
        self.book.transfer(Row::Pending(id), Row::Wallet(tenant), Asset::Usd, gross);
        let back = self.pay_from_pool(tenant, of_premium);
        let amount = gross.plus(back).expect("at most the escrow");
        let kept = self.lease_mut(&id);
        kept.settlement = Settlement {
            premium: premium.minus(back).expect("at most the premium"),
            refund: refund.plus(amount).expect("at most the escrow"),
            ..Settlement::default()
        };
        kept.release = None;
        self.uncover(id);
        self.events.push(Event::Refunded { lease: id, tenant, provider, amount });
        self.wait(id, self.archive_time());
    }

    /// Pays from the pool of audits, then from the treasury, and returns how much they had.
    pub(super) fn pay_from_pool(&mut self, to: Address, wanted: Amount) -> Amount {
        let mut paid = Amount::ZERO;
        for row in [Row::AuditPool, Row::Treasury] {
            let left = wanted.minus(paid).expect("no more is paid than wanted");
            let part = self.balance(row, Asset::Usd).min(left);
            self.book.transfer(row, Row::Wallet(to), Asset::Usd, part);
            paid = paid.plus(part).expect("at most what is wanted");
        }
        paid
    }
}

/// Exposure.
impl Reference {
    /// Returns what a lease at a price takes up of its provider's stake; nothing if none covers
    /// it.
    pub(super) fn exposure(&self, audit: &AuditTerms, price: Amount) -> Option<u64> {
        if !self.genesis.token || audit.auditors == 0 {
            return Some(0);
        }
        let rho = u128::from(self.parameters.collusion_max.get());
        let mut power = 10_000_u128;
        for _ in 0..audit.auditors {
            power = (power * rho).div_ceil(10_000);
        }
        let detected = u128::from(audit.probability.get()) * (10_000 - power) / 10_000;
        if detected == 0 {
            return None;
        }
        // By so much more does a cheat gain whose friends are all who is drawn.
        let probability = u128::from(audit.probability.get());
        let friends = (probability * u128::from(audit.auditors) * power).div_ceil(10_000);
        let gain = u128::from(self.parameters.gain_max.get()) * (10_000 + friends);
        let fee = self.parameters.burn_share.get() + self.parameters.treasury_share.get();
        let loss = detected * (10_000 - u128::from(fee));
        let numerator = u128::from(price.get()) * gain.saturating_sub(loss);
        u64::try_from(numerator.div_ceil(detected * 10_000)).ok()
    }

    /// Returns whether a stake covers exposures that sum to this.
    pub(super) fn covers(&self, stake: Amount, exposure: u64) -> bool {
        let product = u128::from(stake.get()) * u128::from(self.parameters.stake_price.get());
        let worth = product.div_ceil(1_000_000).min(u128::from(Amount::MAX.get()));
        let slashed = worth * u128::from(self.parameters.slash_share.get()) / 10_000;
        let burned = slashed * u128::from(self.parameters.slash_burn_share.get());
        let shared = slashed - burned.div_ceil(10_000);
        let returned = shared * u128::from(self.parameters.collusion_max.get());
        u128::from(exposure) <= slashed - returned.div_ceil(10_000)
    }

    fn exposure_at_close(&self, lease: &Lease, gross: Amount) -> Amount {
        if lease.receipts == 0 {
            return Amount::ZERO;
        }
        let of_gross = self.exposure(&lease.audit, gross);
        let less = of_gross.and_then(|exposure| Amount::new(exposure).ok());
        less.map_or(lease.exposure, |exposure| exposure.min(lease.exposure))
    }
}
