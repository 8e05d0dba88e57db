//! Audits: the draw, what auditors say, and what comes of it.

use std::collections::BTreeSet;

use types::{
    Accuser, Address, Amount, Assignment, Audit, CheckState, Duration, Event, Finding, Hash, Lease,
    LeaseId, LeaseState, List, Opening, Reject, Time, Verdict,
};

use super::{Reference, What, actions::ensure};

/// Returns `floor(u(hash) × bound / 2^64)`.
fn scaled(hash: &Hash, bound: u64) -> u64 {
    let head = hash.as_bytes().first_chunk().expect("a hash has eight bytes");
    let product = u128::from(u64::from_le_bytes(*head)) * u128::from(bound);
    u64::try_from(product >> 64).expect("it is below the bound")
}

/// What auditors say.
impl Reference {
    /// Returns the index of the auditor's assignment of the current round.
    fn assignment(&self, id: LeaseId, auditor: Address) -> Option<usize> {
        let audit = self.audits.get(&id)?;
        let is_its = |kept: &Assignment| kept.auditor == auditor && kept.round == audit.round;
        audit.assignments.iter().position(is_its)
    }

    fn set_assignment(&mut self, id: LeaseId, index: usize, set: impl FnOnce(&mut Assignment)) {
        let audit = self.audits.get_mut(&id).expect("it has assignments");
        let mut assignments = audit.assignments.to_vec();
        set(&mut assignments[index]);
        audit.assignments = List::new(assignments).expect("as many as before");
    }

    /// Returns the assignments of the round that was drawn last.
    fn current(&self, id: LeaseId) -> Vec<Assignment> {
        let audit = &self.audits[&id];
        let current = audit.assignments.iter().filter(|kept| kept.round == audit.round);
        current.copied().collect()
    }

    pub(super) fn commit_audit(
        &mut self,
        signer: Address,
        id: LeaseId,
        commitment: Hash,
    ) -> Result<(), Reject> {
        let check = self.lease(&id).ok_or(Reject::LeaseUnknown)?.check;
        let auditor = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        ensure(matches!(check, CheckState::Committing { .. }), Reject::AuditState)?;
        let index = self.assignment(id, auditor).ok_or(Reject::AuditNotYours)?;
        let assignment = self.audits[&id].assignments[index];
        ensure(assignment.commitment.is_none(), Reject::AuditTwice)?;

        self.set_assignment(id, index, |kept| kept.commitment = Some(commitment));
        self.end_work(id, &assignment);
        self.events.push(Event::AuditCommitted { lease: id, auditor });
        if self.current(id).iter().all(|kept| kept.commitment.is_some()) {
            self.let_reveal(id);
        }
        Ok(())
    }

    pub(super) fn reveal_audit(
        &mut self,
        signer: Address,
        id: LeaseId,
        salt: Hash,
        finding: Finding,
    ) -> Result<(), Reject> {
        let check = self.lease(&id).ok_or(Reject::LeaseUnknown)?.check;
        let auditor = self.provider_of(&signer).ok_or(Reject::NotProvider)?;
        ensure(matches!(check, CheckState::Revealing { .. }), Reject::AuditState)?;
        let index = self.assignment(id, auditor).ok_or(Reject::AuditNotYours)?;
        let assignment = self.audits[&id].assignments[index];
        let commitment = assignment.commitment.ok_or(Reject::AuditNotYours)?;
        ensure(assignment.finding.is_none(), Reject::AuditTwice)?;
        let opening = Opening { lease: id, auditor, salt, finding };
        ensure(opening.commit() == commitment, Reject::AuditCommitment)?;

        self.set_assignment(id, index, |kept| kept.finding = Some(finding));
        let verdict = finding.verdict(&self.audits[&id].work_root);
        self.events.push(Event::AuditRevealed { lease: id, auditor, verdict });
        let has_revealed = |kept: &Assignment| kept.commitment.is_none() || kept.finding.is_some();
        if self.current(id).iter().all(has_revealed) {
            self.end_round(id);
        }
        Ok(())
    }
}

/// The draw.
impl Reference {
    /// Lets a lease wait for a draw, and for nothing else.
    pub(super) fn wait_for_draw(&mut self, id: LeaseId) {
        self.lease_mut(&id).check = CheckState::Waiting { height: self.height };
        self.forget(What::Lease(id));
    }

    /// Returns what waits for a draw, in order.
    pub(crate) fn draws(&self) -> Vec<(u64, LeaseId)> {
        let waits = |lease: &Lease| match lease.check {
            CheckState::Waiting { height } => Some((height, lease.id)),
            _ => None,
        };
        let mut draws: Vec<(u64, LeaseId)> = self.leases.iter().filter_map(waits).collect();
        draws.sort_unstable();
        draws
    }

    /// Returns who led a block.
    pub(crate) fn leader_of(&self, height: u64) -> u32 {
        self.leaders[usize::try_from(height - 1).expect("few blocks")]
    }

    /// Returns whether enough others than the leader of the block have led one since.
    pub(super) fn is_drawn_now(&self, height: u64) -> bool {
        let validators = self.genesis.validators.len();
        let false_ones = (validators - 1) / 3;
        let wanted = (false_ones + 1).min(validators - 1);
        let since = (height + 1..=self.height).map(|later| self.leader_of(later));
        let others: BTreeSet<u32> =
            since.filter(|leader| *leader != self.leader_of(height)).collect();
        others.len() >= wanted
    }

    pub(super) fn draw(&mut self, id: LeaseId) {
        let lease = self.lease(&id).expect("it is due").clone();
        let round = self.audits.get(&id).map_or(1, |audit| audit.round + 1);
        let seed = Hash::of("idlewild draw", &[self.beacon.as_bytes(), id.as_bytes(), &[round]]);
        let probability = u64::from(lease.audit.probability.get());
        if round == 1 && scaled(&seed, 10_000) >= probability {
            self.end_check(id, CheckState::Spared);
            return;
        }
        let wanted = usize::from(lease.audit.auditors);
        let found = self.take_auditors(&lease, &seed);
        let is_enough = found.as_ref().is_some_and(|taken| taken.len() == wanted);
        let taken = if is_enough { found.unwrap_or_default() } else { Vec::new() };
        let assigned = taken.iter().map(|(auditor, time)| Assignment {
            auditor: *auditor,
            round,
            time: Duration::from_ms(time.as_ms().saturating_mul(2)),
            commitment: None,
            finding: None,
        });
        let work_root = self.work_root(id);
        let fee = lease.settlement.gross;
        let empty = List::default();
        let fresh =
            Audit { lease: id, work_root, fee, round, beacon: self.beacon, assignments: empty };
        let audit = self.audits.entry(id).or_insert(fresh);
        (audit.round, audit.beacon) = (round, self.beacon);
        let all = audit.assignments.iter().copied().chain(assigned).collect();
        audit.assignments = List::new(all).expect("seven in each of three rounds");
        if !is_enough {
            self.open_dispute(id, Accuser::Nobody);
            return;
        }
        let auditors: Vec<Address> = taken.iter().map(|(auditor, _)| *auditor).collect();
        self.to_do.extend(auditors.iter().map(|auditor| (*auditor, id)));
        let mut latest = self.time;
        for (auditor, time) in taken {
            let kept = self.enlistments.get_mut(&(lease.class, auditor)).expect("it has a seat");
            let begins = kept.free_at.max(self.time);
            kept.free_at = begins.after(Duration::from_ms(time.as_ms().saturating_mul(2)));
            latest = latest.max(kept.free_at);
        }
        let until = latest.after(self.parameters.commit_window_ms);
        self.check(id, CheckState::Committing { until }, until);
        self.events.push(Event::AuditDrawn {
            lease: id,
            tenant: lease.tenant,
            provider: lease.provider,
            round,
            auditors: List::new(auditors).expect("seven at most"),
            until,
        });
    }

    /// Draws the auditors of a round, each with the time that the work may take it; nothing if one
    /// of them is busy for more than a day.
    fn take_auditors(&self, lease: &Lease, seed: &Hash) -> Option<Vec<(Address, Duration)>> {
        let seats = self.seats.get(&lease.class).map_or(&[][..], Vec::as_slice);
        let wanted = usize::from(lease.audit.auditors);
        let mut taken: Vec<(Address, Duration)> = Vec::new();
        for number in 0..u32::from(lease.audit.auditors) * 16 {
            if seats.is_empty() || taken.len() == wanted {
                break;
            }
            let hash = Hash::of("idlewild seat", &[seed.as_bytes(), &number.to_le_bytes()]);
            let index = scaled(&hash, u64::try_from(seats.len()).expect("few seats"));
            let auditor = seats[usize::try_from(index).expect("few seats")].owner;
            let is_taken = taken.iter().any(|(already, _)| *already == auditor);
            if !is_taken && let Some(time) = self.audit_time(lease, auditor) {
                let kept = self.auditor(lease.class, auditor).expect("it has a seat");
                let is_busy = kept.free_at > self.time.after(Duration::from_seconds(86_400));
                if is_busy || kept.open >= 64 {
                    return None;
                }
                taken.push((auditor, time));
            }
        }
        Some(taken)
    }

    /// Lets an auditor be free of the work of a lease, which it did or missed.
    fn end_work(&mut self, id: LeaseId, assigned: &Assignment) {
        let class = self.lease(&id).expect("it is audited").class;
        let now = self.time.as_ms();
        let kept = self.enlistments.get_mut(&(class, assigned.auditor)).expect("it was enlisted");
        let free_at = kept.free_at.as_ms().saturating_sub(assigned.time.as_ms());
        kept.free_at = Time::from_ms(free_at.max(now));
    }

    /// Returns how long the work of a lease may take an auditor, if it can do its audit.
    fn audit_time(&self, lease: &Lease, address: Address) -> Option<Duration> {
        let audit = self.audits.get(&lease.id);
        let mut assigned = audit.into_iter().flat_map(|audit| audit.assignments.iter());
        let is_assigned = assigned.any(|kept| kept.auditor == address);
        let is_party = address == lease.provider || address == lease.tenant;
        if is_party || is_assigned { None } else { self.work_time(lease, address) }
    }

    /// Returns how long the work of a lease may take an auditor, if its machine can do it.
    fn work_time(&self, lease: &Lease, address: Address) -> Option<Duration> {
        let class = classes::find(lease.class).expect("a lease's class is in the table");
        let auditor = self.auditor(lease.class, address).expect("it has a seat");
        let spec = &self.order(&lease.order).expect("an order stays with its lease").terms.spec;
        let terms = auditor.terms.terms.as_slice();
        let claimed = class.time(terms, lease.settlement.units).ok()?;
        let LeaseState::Closed { at, .. } = lease.state else { panic!("only closed ones are") };
        let stalled = Duration::from_ms(claimed.as_ms().saturating_mul(64));
        let fits = class.matches(spec.as_slice(), terms, &types::Claims::default()).is_ok();
        fits.then_some(claimed.max(stalled.min(at.since(lease.created))))
    }

    /// Returns the work root of a lease's last receipt.
    pub(super) fn work_root(&self, id: LeaseId) -> Hash {
        let of_lease = self.receipts.iter().filter(|kept| kept.receipt.lease == id);
        let last = of_lease.max_by_key(|kept| kept.receipt.sequence);
        let receipt = &last.expect("a lease without a receipt has no check").receipt;
        let class = self.lease(&id).expect("it has receipts").class;
        let class = classes::find(class).expect("a lease's class is in the table");
        let result = class.result_root(receipt.usage.as_slice()).expect("it was accepted");
        Hash::of("idlewild work", &[result.as_bytes(), receipt.trace.as_bytes()])
    }
}

/// What comes of it.
impl Reference {
    /// Sets a lease's check, which goes on by itself at `until`.
    pub(super) fn check(&mut self, id: LeaseId, check: CheckState, until: Time) {
        self.lease_mut(&id).check = check;
        self.wait(id, until);
    }

    fn let_reveal(&mut self, id: LeaseId) {
        let until = self.time.after(self.parameters.reveal_window_ms);
        self.check(id, CheckState::Revealing { until }, until);
        let current = self.current(id);
        let committed = current.iter().filter(|kept| kept.commitment.is_some());
        let auditors = committed.map(|kept| kept.auditor).collect();
        let auditors = List::new(auditors).expect("seven at most");
        self.events.push(Event::AuditRevealing { lease: id, auditors, until });
    }

    /// Ends the time to commit.
    pub(super) fn end_committing(&mut self, id: LeaseId) {
        if self.current(id).iter().any(|kept| kept.commitment.is_some()) {
            self.let_reveal(id);
        } else {
            self.end_round(id);
        }
    }

    pub(super) fn end_round(&mut self, id: LeaseId) {
        let class = self.lease(&id).expect("it is audited").class;
        for assigned in self.current(id) {
            let Assignment { auditor, commitment, finding, .. } = assigned;
            if commitment.is_none() {
                self.end_work(id, &assigned);
            }
            assert!(self.to_do.remove(&(auditor, id)), "it had it to do");
            if finding.is_none() {
                self.bar(class, auditor);
            } else {
                self.forget_idle(class, auditor);
            }
        }
        let accuser = self.said(id, Verdict::Mismatch).first().copied();
        let agree = self.said(id, Verdict::Agree);
        let unavailable = self.said(id, Verdict::Unavailable).len();
        let is_unanimous = self.current(id).iter().all(|kept| agree.contains(&kept.auditor));
        if let Some(address) = accuser {
            self.open_dispute(id, Accuser::Auditor { address });
        } else if is_unanimous && agree.len() > unavailable {
            self.end_check(id, CheckState::Passed);
        } else if agree.is_empty() && self.audits[&id].round < 3 {
            self.wait_for_draw(id);
        } else {
            self.open_dispute(id, Accuser::Nobody);
        }
    }

    /// Returns who said this of the receipt, in all rounds.
    pub(super) fn said(&self, id: LeaseId, wanted: Verdict) -> Vec<Address> {
        let Some(audit) = self.audits.get(&id) else { return Vec::new() };
        let verdicts = audit.verdicts().filter(|(_, verdict)| *verdict == wanted);
        verdicts.map(|(auditor, _)| auditor).collect()
    }

    /// Ends a check without a dispute: pays auditors, and the tenant or the provider.
    fn end_check(&mut self, id: LeaseId, check: CheckState) {
        self.remember(id, check);
        self.conclude_check(id, check);
        let agreed = self.said(id, Verdict::Agree);
        self.pay_or_refund(id, check, &agreed);
    }

    /// Adds how a check ended to its provider's reputation.
    pub(super) fn remember(&mut self, id: LeaseId, check: CheckState) {
        let lease = self.lease(&id).expect("it is checked");
        let (class, provider) = (lease.class, lease.provider);
        match check {
            CheckState::Passed => self.reputation(provider, class).passed += 1_000,
            CheckState::Unavailable | CheckState::Failed => {
                self.reputation(provider, class).failed += 1_000;
            }
            _ => {}
        }
    }

    /// Sets how a check ended.
    pub(super) fn conclude_check(&mut self, id: LeaseId, check: CheckState) {
        self.lease_mut(&id).check = check;
        let lease = self.lease(&id).expect("it was just set");
        let (tenant, provider) = (lease.tenant, lease.provider);
        self.events.push(Event::Checked { lease: id, tenant, provider, check });
    }

    /// Returns a reputation of which each epoch that passed took its part.
    fn reputation(&mut self, provider: Address, class: types::ClassId) -> &mut types::Reputation {
        let now = self.epoch;
        let kept = self.reputations.entry((provider, class)).or_default();
        while kept.epoch < now && kept.passed + kept.failed > 0 {
            kept.passed -= kept.passed.div_ceil(8);
            kept.failed -= kept.failed.div_ceil(8);
            kept.epoch += 1;
        }
        kept.epoch = now;
        kept
    }

    /// Pays auditors, and lets the lease be released or the tenant have its money back.
    pub(super) fn pay_or_refund(&mut self, id: LeaseId, check: CheckState, payees: &[Address]) {
        let lease = self.lease(&id).expect("it is checked").clone();
        let accuser = self.disputes.get(&id).map(|dispute| dispute.accuser);
        let were_paid = matches!(accuser, Some(Accuser::Tenant { .. }))
            && self.checked_before(id) == CheckState::Passed;
        let premium = if were_paid { Amount::ZERO } else { lease.settlement.premium };
        let (fee, mut paid) = (lease.settlement.gross, 0);
        let most = match check {
            CheckState::Passed => fee.get() * u64::from(lease.audit.auditors),
            CheckState::Unavailable | CheckState::Undecided => premium.get(),
            _ => 0,
        };
        for &auditor in payees {
            let wanted = Amount::new(fee.get().min(most - paid)).expect("at most a fee");
            let amount = self.pay_from_pool(auditor, wanted);
            paid += amount.get();
            if amount > Amount::ZERO {
                self.events.push(Event::AuditorPaid { lease: id, auditor, amount });
            }
        }
        match check {
            CheckState::Failed => self.refund(id, premium),
            CheckState::Unavailable | CheckState::Undecided => {
                let rest = Amount::new(premium.get() - paid).expect("at most the premium");
                self.refund(id, rest);
            }
            _ => self.release_later(id),
        }
    }
}
