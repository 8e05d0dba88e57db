//! Audits and disputes: who checks whose work, and what they say of it.
//!
//! What is true of a lease's work, and what each of those who judge it says, follows from its
//! name: so an auditor can open what it committed to, and both sides of a dispute keep to what
//! they said.

use types::{
    Action, Address, Argument, Assignment, AuditorTerms, Blob, CheckState, ClassId, Finding, Hash,
    Lease, LeaseId, List, Opening, Provider, PublicKey, Receipt, Ruling,
};

use super::{World, action::NO_LEASE};
use crate::reference::{Reference, runs};

/// Draws a number below `bound` that stays the same for a lease, whom it is about, and a purpose.
fn fate(purpose: &str, lease: LeaseId, whom: &[u8], bound: u64) -> u64 {
    let hash = Hash::of("test fate", &[purpose.as_bytes(), lease.as_bytes(), whom]);
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has eight bytes")) % bound
}

/// Returns what only doing the work of a lease yields, or what all who lie say of it.
fn trace_root(lease: LeaseId, is_true: bool) -> Hash {
    let kind = if is_true { "trace" } else { "lie" };
    Hash::of("test work", &[kind.as_bytes(), lease.as_bytes()])
}

/// Returns what a receipt of a lease says of how it came about: mostly the truth.
pub(super) fn trace(lease: LeaseId) -> Hash {
    Receipt::commit(&trace_root(lease, fate("receipt", lease, &[], 4) != 0))
}

/// Returns the result root of what the receipt of a lease says.
fn result_root(state: &Reference, id: LeaseId) -> Hash {
    let class = state.lease(&id).and_then(|lease| classes::find(lease.class));
    let of_lease = state.receipts.iter().find(|kept| kept.receipt.lease == id);
    let usage = of_lease.map(|kept| kept.receipt.usage.as_slice());
    let root = class.zip(usage).and_then(|(class, usage)| class.result_root(usage).ok());
    root.unwrap_or(Hash::ZERO)
}

/// Returns what the work of a lease gives.
fn truth(state: &Reference, lease: LeaseId) -> Finding {
    Finding::Work { result_root: result_root(state, lease), trace_root: trace_root(lease, true) }
}

/// Returns what all who lie say that it gives.
fn lie(state: &Reference, lease: LeaseId) -> Finding {
    Finding::Work { result_root: result_root(state, lease), trace_root: trace_root(lease, false) }
}

/// Returns what an auditor finds. Of some leases nobody can have the inputs.
fn finding(state: &Reference, lease: LeaseId, auditor: &Address) -> Finding {
    let rarity = if fate("inputs", lease, &[], 4) == 0 { 1 } else { 16 };
    match fate("finding", lease, auditor.as_bytes(), 16) {
        number if number % rarity == 0 => Finding::Unavailable,
        1 | 2 => lie(state, lease),
        3 => Finding::Work { result_root: Hash::ZERO, trace_root: Hash::ZERO },
        _ => truth(state, lease),
    }
}

fn opening(state: &Reference, lease: LeaseId, auditor: Address) -> Opening {
    let salt = Hash::of("test salt", &[lease.as_bytes(), auditor.as_bytes()]);
    Opening { lease, auditor, salt, finding: finding(state, lease, &auditor) }
}

/// Returns what a validator says. About most leases all say the same.
fn ruling(state: &Reference, lease: LeaseId, validator: &PublicKey) -> Ruling {
    let root = |found: Finding| Ruling::Root { root: found.work_root().expect("it is work") };
    match fate("rulings", lease, &[], 8) {
        0 => Ruling::Unavailable,
        1 => match fate("ruling", lease, validator.as_bytes(), 4) {
            0 => Ruling::Differs,
            1 => Ruling::Unavailable,
            2 => root(lie(state, lease)),
            _ => root(truth(state, lease)),
        },
        2 => root(lie(state, lease)),
        _ => root(truth(state, lease)),
    }
}

impl World {
    fn auditor_terms(&mut self) -> AuditorTerms {
        let class = self.class();
        let terms = class.sample(self.dice.next()).terms;
        AuditorTerms {
            class: self.class_id(class),
            terms: Blob::new(self.damage(terms)).expect("a sample is within its bound"),
        }
    }

    pub(super) fn enlist(&mut self, state: &Reference) -> (Address, Action) {
        let known: Vec<Address> = state.enlistments.keys().map(|(_, auditor)| *auditor).collect();
        // Mostly somebody new, else one who is an auditor or barred.
        let new = state.providers.iter().filter(|provider| !known.contains(&provider.address));
        let new: Vec<Provider> = new.copied().collect();
        let drawn = if self.dice.one_in(3) { None } else { self.dice.pick(&new).copied() };
        let provider = drawn.or_else(|| self.dice.pick(&state.providers).copied());
        let provider = provider.map_or(self.someone(), |provider| provider.address);
        let terms = self.auditor_terms();
        (self.hand(state, &provider), Action::Enlist(Box::new(terms)))
    }

    pub(super) fn delist(&mut self, state: &Reference) -> (Address, Action) {
        let seats: Vec<(ClassId, Address)> = state
            .seats
            .iter()
            .flat_map(|(class, seats)| seats.iter().map(|seat| (*class, seat.owner)))
            .collect();
        let Some((class, auditor)) = self.dice.pick(&seats).copied() else {
            return self.enlist(state);
        };
        let auditor = if self.dice.one_in(8) { self.someone() } else { auditor };
        let class = if self.dice.one_in(20) { ClassId(999) } else { class };
        (self.hand(state, &auditor), Action::Delist { class })
    }

    /// Draws an assignment of a lease's current round that `fits`; at times any of any round.
    fn assigned(
        &mut self,
        state: &Reference,
        lease: LeaseId,
        fits: impl Fn(&Assignment) -> bool,
    ) -> Option<Address> {
        let audit = state.audits.get(&lease)?;
        let any = self.dice.one_in(12);
        let fitting = audit
            .assignments
            .iter()
            .filter(|kept| any || kept.round == audit.round && fits(kept))
            .map(|kept| kept.auditor);
        let fitting: Vec<Address> = fitting.collect();
        self.dice.pick(&fitting).copied()
    }

    /// Returns who acts for an auditor; once in a while somebody else does.
    fn auditors_hand(&mut self, state: &Reference, auditor: Option<Address>) -> Address {
        match auditor {
            Some(auditor) if !self.dice.one_in(20) => self.hand(state, &auditor),
            _ => self.anybody(state),
        }
    }

    pub(super) fn commit_audit(&mut self, state: &Reference) -> (Address, Action) {
        let committing = |lease: &Lease| matches!(lease.check, CheckState::Committing { .. });
        let Some(lease) = self.lease(state, committing) else {
            let action = Action::CommitAudit { lease: NO_LEASE, commitment: Hash::ZERO };
            return self.work_instead(state, action);
        };
        let lease = lease.id;
        let auditor = self.assigned(state, lease, |kept| kept.commitment.is_none());
        let signer = self.auditors_hand(state, auditor);
        let commitment = match auditor {
            Some(auditor) if !self.dice.one_in(16) => opening(state, lease, auditor).commit(),
            _ => Hash::ZERO,
        };
        (signer, Action::CommitAudit { lease, commitment })
    }

    pub(super) fn reveal_audit(&mut self, state: &Reference) -> (Address, Action) {
        let revealing = |lease: &Lease| matches!(lease.check, CheckState::Revealing { .. });
        let Some(lease) = self.lease(state, revealing) else {
            let (salt, finding) = (Hash::ZERO, Finding::Unavailable);
            if self.dice.one_in(16) {
                let action = Action::RevealAudit { lease: NO_LEASE, salt, finding };
                return (self.someone(), action);
            }
            return self.commit_audit(state);
        };
        let lease = lease.id;
        let can_reveal = |kept: &Assignment| kept.commitment.is_some() && kept.finding.is_none();
        let auditor = self.assigned(state, lease, can_reveal);
        let signer = self.auditors_hand(state, auditor);
        let Opening { mut salt, mut finding, .. } =
            opening(state, lease, auditor.unwrap_or(signer));
        match self.dice.below(24) {
            0 => salt = Hash::ZERO,
            1 => finding = lie(state, lease),
            _ => {}
        }
        (signer, Action::RevealAudit { lease, salt, finding })
    }

    pub(super) fn dispute(&mut self, state: &Reference) -> (Address, Action) {
        let disputable = |lease: &Lease| {
            let is_early = matches!(lease.check, CheckState::Waiting { .. })
                && !state.audits.contains_key(&lease.id);
            let is_checked = matches!(
                lease.check,
                CheckState::Spared | CheckState::Passed | CheckState::Unattended
            );
            is_early || is_checked && !state.disputes.contains_key(&lease.id)
        };
        let closed = |lease: &Lease| !runs(lease) && disputable(lease);
        let Some(lease) = self.lease(state, closed) else {
            return self.work_instead(state, Action::Dispute { lease: NO_LEASE });
        };
        let signer = if self.dice.one_in(12) { self.anybody(state) } else { lease.tenant };
        (signer, Action::Dispute { lease: lease.id })
    }

    pub(super) fn argue(&mut self, state: &Reference) -> (Address, Action) {
        let disputed = |lease: &Lease| matches!(lease.check, CheckState::Disputed { .. });
        let Some(lease) = self.lease(state, disputed) else {
            let argument = Box::new(Argument::Rule { ruling: Ruling::Differs });
            let (lease, opened) = (NO_LEASE, state.time);
            return self.work_instead(state, Action::Argue { lease, opened, argument });
        };
        let validators = state.genesis.validators.to_vec();
        let validator = self.dice.pick(&validators).expect("there are validators").key;
        let argument = match self.dice.below(24) {
            0 => Argument::Divide { roots: List::default() },
            1 => Argument::Pick { part: 0 },
            2 => Argument::Show { witness: Blob::new(Vec::new()).expect("no bytes") },
            _ => Argument::Rule { ruling: ruling(state, lease.id, &validator) },
        };
        let signer =
            if self.dice.one_in(16) { self.anybody(state) } else { Address::new(validator) };
        // Some moves are meant for a dispute that is over.
        let opened = match state.disputes.get(&lease.id) {
            Some(dispute) if !self.dice.one_in(16) => dispute.opened,
            _ => lease.created,
        };
        (signer, Action::Argue { lease: lease.id, opened, argument: Box::new(argument) })
    }

    /// Where there is nothing to check: does the work that there will be to check, or checks
    /// nothing all the same.
    fn work_instead(&mut self, state: &Reference, action: Action) -> (Address, Action) {
        if self.dice.one_in(24) {
            return (self.someone(), action);
        }
        self.submit_receipt(state)
    }
}
