//! Disputes: rulings, and what an outcome costs whom. No class recomputes single steps yet, so
//! every dispute is a rerun.

use ledger::key::Row;
use types::{
    Accuser, Address, Amount, Argument, Asset, CheckState, Dispute, Duration, Event, Game, Hash,
    LeaseId, List, Outcome, Readers, Reject, Rerun, Ruled, Ruling, Time, Unbonding, Verdict,
};

use super::{Reference, actions::ensure, runs};

/// Returns the row that holds what a dispute has locked.
fn pot(id: LeaseId) -> Row {
    Row::Dispute(Hash::from_bytes(*id.as_bytes()))
}

/// What parties and validators do.
impl Reference {
    pub(super) fn dispute(&mut self, signer: Address, id: LeaseId) -> Result<(), Reject> {
        let lease = self.lease(&id).ok_or(Reject::LeaseUnknown)?.clone();
        ensure(lease.tenant == signer, Reject::LeaseNotYours)?;
        ensure(lease.audit.readers == Readers::Auditors, Reject::DisputeUnreadable)?;
        let is_open_to_it = match lease.check {
            // Between two rounds of an audit it is not.
            CheckState::Waiting { .. } => !self.audits.contains_key(&id),
            CheckState::Spared | CheckState::Passed | CheckState::Unattended => true,
            _ => false,
        };
        let is_held = !self.balance(Row::Pending(id), Asset::Usd).is_zero();
        let is_first = self.disputes.get(&id).is_none_or(|earlier| {
            earlier.accuser == Accuser::Nobody && earlier.outcome == Some(Outcome::Undecided)
        });
        ensure(!runs(&lease) && is_open_to_it && is_held && is_first, Reject::DisputeState)?;
        let bond = self.parameters.dispute_bond.max(lease.settlement.gross);
        self.check_wallet(signer, Asset::Usd, bond)?;
        self.book.transfer(Row::Wallet(signer), pot(id), Asset::Usd, bond);
        self.open_dispute(id, Accuser::Tenant { bond });
        Ok(())
    }

    /// Returns half of what unbonding takes longer than all windows.
    pub(super) fn judging_ms(&self) -> u64 {
        let parameters = &self.parameters;
        let windows = [
            parameters.start_window_ms.as_ms(),
            parameters.grace_window_ms.as_ms(),
            parameters.release_window_ms.as_ms(),
            2 * parameters.dispute_window_ms.as_ms(),
            3 * parameters.commit_window_ms.as_ms(),
            3 * parameters.reveal_window_ms.as_ms(),
        ];
        (parameters.unbonding_ms.as_ms() - windows.iter().sum::<u64>()) / 2
    }

    pub(super) fn open_dispute(&mut self, id: LeaseId, accuser: Accuser) {
        let lease = self.lease(&id).expect("it is disputed").clone();
        let class = classes::find(lease.class).expect("a lease's class is in the table");
        assert!(class.steps().is_none(), "no class is played in bisection yet");
        let half_ms = self.judging_ms();
        let ran_ms = lease.ends.since(lease.created).as_ms();
        let is_accused = accuser != Accuser::Nobody;
        let work = class.judging_time(lease.settlement.units).as_ms();
        let work_ms = match is_accused {
            true => half_ms,
            false => ran_ms.saturating_mul(64).min(half_ms / 2).max(work).min(half_ms),
        };
        let window = self.parameters.dispute_window_ms.as_ms().saturating_add(work_ms);
        let until = self.time.after(Duration::from_ms(window));
        let dispute = Dispute {
            lease: id,
            opened: self.time,
            accuser,
            work_root: self.work_root(id),
            game: Game::Rerun(Rerun::default()),
            outcome: None,
        };
        self.disputes.insert(id, dispute);
        self.check(id, CheckState::Disputed { until }, until);
        let (tenant, provider) = (lease.tenant, lease.provider);
        self.events.push(Event::DisputeOpened { lease: id, tenant, provider, accuser });
    }

    pub(super) fn argue(
        &mut self,
        signer: Address,
        id: LeaseId,
        opened: Time,
        argument: &Argument,
    ) -> Result<(), Reject> {
        ensure(self.lease(&id).is_some(), Reject::LeaseUnknown)?;
        let dispute = self.disputes.get(&id).filter(|dispute| dispute.outcome.is_none());
        let dispute = dispute.filter(|dispute| dispute.opened == opened);
        let Game::Rerun(Rerun { rulings }) = &dispute.ok_or(Reject::DisputeState)?.game else {
            unreachable!("every dispute is a rerun");
        };
        let Argument::Rule { ruling } = *argument else {
            return Err(Reject::DisputeArgument);
        };
        let validator = *signer.key();
        ensure(self.genesis.place_of(&validator).is_some(), Reject::DisputeNotYours)?;
        let has_ruled = rulings.iter().any(|ruled| ruled.validator == validator);
        ensure(!has_ruled, Reject::DisputeTwice)?;

        let mut rulings = rulings.to_vec();
        rulings.push(Ruled { validator, ruling });
        let decided = self.decision(id, &rulings);
        let rulings = List::new(rulings).expect("each validator rules once");
        let dispute = self.disputes.get_mut(&id).expect("it was just read");
        dispute.game = Game::Rerun(Rerun { rulings });
        self.events.push(Event::Ruled { lease: id, validator, ruling });
        if let Some(outcome) = decided {
            self.end_dispute(id, outcome);
        }
        Ok(())
    }

    /// Returns what rulings decide, if they do.
    fn decision(&self, id: LeaseId, rulings: &[Ruled]) -> Option<Outcome> {
        let all = self.genesis.validators.len();
        let roots = rulings.iter().filter_map(|ruled| match ruled.ruling {
            Ruling::Root { root } => Some(root),
            Ruling::Differs | Ruling::Unavailable => None,
        });
        let roots: Vec<Hash> = roots.collect();
        let says = |root: &Hash| roots.iter().filter(|said| *said == root).count();
        if let Some(root) = roots.iter().find(|root| says(root) * 3 > all * 2) {
            let is_right = *root == self.work_root(id);
            let root = Some(*root);
            return Some(if is_right { Outcome::Upheld } else { Outcome::Overturned { root } });
        }
        let most = roots.iter().map(says).max().unwrap_or(0);
        let missing = all - rulings.len();
        let waits_for_all = self.disputes[&id].accuser == Accuser::Nobody && missing > 0;
        let is_out_of_reach = (most + missing) * 3 <= all * 2;
        (is_out_of_reach && !waits_for_all).then_some(Outcome::Undecided)
    }
}

/// The end.
impl Reference {
    pub(super) fn end_dispute(&mut self, id: LeaseId, outcome: Outcome) {
        let lease = self.lease(&id).expect("it is disputed").clone();
        let dispute = self.disputes.get_mut(&id).expect("it has no outcome yet");
        assert!(dispute.outcome.replace(outcome).is_none(), "a dispute ends once");
        let (accuser, work_root) = (dispute.accuser, dispute.work_root);
        let (tenant, provider) = (lease.tenant, lease.provider);
        self.events.push(Event::DisputeEnded { lease: id, tenant, provider, outcome });

        if matches!(outcome, Outcome::Overturned { .. }) {
            self.slash(id, provider);
            let now = self.time;
            self.provider_mut(&provider).slashed = Some(now);
        }
        let is_refuted = |root: &Hash| match outcome {
            Outcome::Upheld => *root != work_root,
            Outcome::Overturned { root: Some(right) } => *root != right,
            Outcome::Overturned { root: None } | Outcome::Undecided => false,
        };
        let found = self.found(id);
        let (wrong, right): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, root)| is_refuted(root));
        for (auditor, _) in wrong {
            self.slash(id, auditor);
        }
        if let Accuser::Tenant { bond } = accuser {
            self.settle_bond(id, outcome, bond);
        }
        let winners: Vec<Address> = match (outcome, accuser) {
            (Outcome::Upheld, _) => vec![provider],
            (Outcome::Overturned { .. }, Accuser::Tenant { .. }) => vec![tenant],
            (Outcome::Overturned { .. }, Accuser::Auditor { .. }) => {
                let accused = right.iter().filter(|(_, root)| *root != work_root);
                accused.map(|(auditor, _)| *auditor).collect()
            }
            (Outcome::Undecided, _) | (_, Accuser::Nobody) => Vec::new(),
        };
        self.reward(id, &winners);
        let by_tenant = matches!(accuser, Accuser::Tenant { .. });
        let check = match outcome {
            Outcome::Upheld => CheckState::Passed,
            Outcome::Overturned { .. } => CheckState::Failed,
            Outcome::Undecided if self.differs(id) => CheckState::Undecided,
            Outcome::Undecided => match accuser {
                Accuser::Auditor { .. } => CheckState::Undecided,
                Accuser::Tenant { .. } | Accuser::Nobody => self.checked_before(id),
            },
        };
        if !by_tenant || check == CheckState::Failed {
            self.remember(id, check);
        }
        self.conclude_check(id, check);
        let were_paid = by_tenant && self.checked_before(id) == CheckState::Passed;
        let payees: Vec<Address> = match were_paid {
            true => Vec::new(),
            false => right.iter().map(|(auditor, _)| *auditor).collect(),
        };
        self.pay_or_refund(id, check, &payees);
    }

    fn differs(&self, id: LeaseId) -> bool {
        let Game::Rerun(rerun) = &self.disputes[&id].game else { return false };
        rerun.rulings.iter().any(|ruled| ruled.ruling == Ruling::Differs)
    }

    /// Returns what a lease's check was when its tenant disputed the receipt.
    pub(super) fn checked_before(&self, id: LeaseId) -> CheckState {
        let (agree, unavailable) =
            (self.said(id, Verdict::Agree).len(), self.said(id, Verdict::Unavailable).len());
        let by_nobody = self.disputes[&id].accuser == Accuser::Nobody;
        let Game::Rerun(Rerun { rulings }) = &self.disputes[&id].game else {
            unreachable!("every dispute is a rerun");
        };
        let right = Ruling::Root { root: self.work_root(id) };
        let said = |what| rulings.iter().filter(|ruled| ruled.ruling == what).count();
        let is_lacking = said(Ruling::Unavailable) > said(right);
        match self.audits.contains_key(&id) {
            false => CheckState::Spared,
            true if agree > unavailable => CheckState::Passed,
            true if agree == 0 && unavailable > 0 && by_nobody && is_lacking => {
                CheckState::Unavailable
            }
            true => CheckState::Unattended,
        }
    }

    /// Returns the roots that auditors of all rounds found, in order.
    fn found(&self, id: LeaseId) -> Vec<(Address, Hash)> {
        let Some(audit) = self.audits.get(&id) else { return Vec::new() };
        let found = audit.assignments.iter().filter_map(|assignment| {
            let root = assignment.finding?.work_root()?;
            Some((assignment.auditor, root))
        });
        found.collect()
    }

    fn settle_bond(&mut self, id: LeaseId, outcome: Outcome, bond: Amount) {
        let lease = self.lease(&id).expect("it is disputed");
        let (tenant, provider) = (lease.tenant, lease.provider);
        if outcome != Outcome::Upheld {
            self.book.transfer(pot(id), Row::Wallet(tenant), Asset::Usd, bond);
            return;
        }
        let half = Amount::new(bond.get() / 2).expect("half an amount is one");
        let rest = bond.minus(half).expect("half is less than all");
        self.give(id, provider, Asset::Usd, half);
        self.book.transfer(pot(id), Row::Treasury, Asset::Usd, rest);
    }

    fn give(&mut self, id: LeaseId, to: Address, asset: Asset, amount: Amount) {
        self.book.transfer(pot(id), Row::Wallet(to), asset, amount);
        if !amount.is_zero() {
            self.events.push(Event::Rewarded { lease: id, to, asset, amount });
        }
    }

    /// Shares what was slashed among the winners, and burns what is left.
    fn reward(&mut self, id: LeaseId, winners: &[Address]) {
        let heads = u64::try_from(winners.len()).expect("few winners");
        let held = self.balance(pot(id), Asset::Wild).get();
        let part = Amount::new(held.checked_div(heads).unwrap_or(0)).expect("a part of an amount");
        for winner in winners {
            self.give(id, *winner, Asset::Wild, part);
        }
        self.book.transfer_all(pot(id), Row::Burned, Asset::Wild);
    }

    /// Lets votes weigh no more than the stake of who gave them.
    fn weaken_votes(&mut self, voter: Address) {
        let stake = self.stake_of(&voter).get();
        let votes = self.proposals.iter_mut().flat_map(|proposal| &mut proposal.votes);
        for (_, weight) in votes.filter(|(who, _)| *who == voter) {
            *weight = stake.min(*weight);
        }
    }

    /// Takes a part of a provider's stake, and its seats.
    fn slash(&mut self, id: LeaseId, address: Address) {
        let share = self.parameters.slash_share;
        let from_stake = share.floor_of(self.stake_of(&address));
        let mut sum = from_stake;
        self.book.transfer(Row::Stake(address), pot(id), Asset::Wild, from_stake);
        let own = self.unbondings.iter_mut().filter(|(owner, ..)| *owner == address);
        for (_, _, Unbonding { amount, .. }) in own {
            let part = share.floor_of(*amount);
            *amount = amount.minus(part).expect("a share of it");
            sum = sum.plus(part).expect("there is no more of it than an amount");
            self.book.transfer(Row::Unbonding(address), pot(id), Asset::Wild, part);
        }
        let burned = self.parameters.slash_burn_share.ceil_of(sum);
        self.book.transfer(pot(id), Row::Burned, Asset::Wild, burned);
        if !sum.is_zero() {
            let (provider, amount) = (address, sum);
            self.events.push(Event::Slashed { lease: id, provider, amount, burned });
        }
        if self.genesis.token {
            self.weaken_votes(address);
        }
        for class in classes::CLASSES {
            if self.enlistments.contains_key(&(class.id(), address)) {
                self.bar(class.id(), address);
            }
        }
        let until = self.time.after(self.parameters.epoch_ms);
        let cheat = self.provider_mut(&address);
        cheat.suspended_until = cheat.suspended_until.max(until);
        let until = cheat.suspended_until;
        self.events.push(Event::Suspended { provider: address, until });
    }
}
