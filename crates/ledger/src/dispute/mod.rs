//! Disputes: how it is decided whether a receipt is right, and what follows.
//!
//! Two games decide, behind one interface ([`Play`]): where the class's work is a chain of steps
//! that the ledger can recompute, the provider narrows it down to one ([`bisection`]); otherwise
//! every validator does the work once more ([`rerun`]). Only what the ledger has recomputed, or
//! more than two thirds of the validators, costs anybody stake.
//!
//! Validators also decide where nobody accuses, but the auditors that were drawn could not say
//! whether it is right.

mod bisection;
mod rerun;

use classes::{Class, Steps};
use types::{
    Accuser, Address, Amount, Argument, Asset, Audit, Bisection, CheckState, Dispute, Duration,
    Event, Game, Hash, Lease, Outcome, PublicKey, Reject, Rerun, SignedReceipt, Time,
};

use crate::{
    audit,
    key::{Key, Row},
    lease, slash,
    state::{Broken, State},
    tx::submit_receipt::spec_of,
};

/// Times that an independent engine may take longer than the lease could run.
const SLOWDOWN: u64 = 64;

/// Who makes a move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arguer {
    /// Who signed.
    pub(crate) signer: Address,
    /// Whether it acts for the lease's provider.
    pub(crate) is_provider: bool,
    /// Whether it acts for who says that the receipt is wrong.
    pub(crate) is_accuser: bool,
}

/// What a game is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    /// The receipt's work root.
    pub(crate) work_root: Hash,
    /// Who judges.
    pub(crate) validators: &'a [PublicKey],
    /// How the class recomputes a step.
    pub(crate) steps: Option<&'static dyn Steps>,
    /// What was to be done.
    pub(crate) spec: &'a [u8],
    /// Whether somebody says that the receipt is wrong.
    pub(crate) is_accused: bool,
}

/// A way to decide a dispute.
pub(crate) trait Play {
    /// Takes a move; returns the outcome if that decides.
    fn argue(
        &mut self,
        case: &Case<'_>,
        by: &Arguer,
        argument: &Argument,
    ) -> Result<Option<Outcome>, Reject>;

    /// Returns the outcome when its time is over.
    fn lapse(&self) -> Outcome;
}

/// Returns how a game is played.
fn play(game: &mut Game) -> &mut dyn Play {
    match game {
        Game::Rerun(rerun) => rerun,
        Game::Bisection(bisection) => bisection,
    }
}

/// Returns when a dispute over a lease, or a move in it, is over that begins now.
///
/// Where somebody accuses there is as much time as there can be, since a cheat loses stake only
/// if it is decided. Where nobody does, an honest provider waits for its money, and validators have
/// the time that its work takes them. One after the other they are over before stake is back that
/// is on its way now, however long a tenant lets its lease run.
fn window(state: &State, lease: &Lease, class: &dyn Class, accuser: Accuser) -> Time {
    let parameters = state.parameters();
    let most = parameters.judging().as_ms();
    let could_run = lease.ends.since(lease.created).as_ms();
    let work = class.judging_time(lease.settlement.units).as_ms();
    let longer = match accuser {
        Accuser::Nobody => could_run.saturating_mul(SLOWDOWN).min(most / 2).max(work).min(most),
        Accuser::Auditor { .. } | Accuser::Tenant { .. } => most,
    };
    state.now().after(parameters.dispute_window_ms).after(Duration::from_ms(longer))
}

/// Opens a dispute.
pub(crate) fn open(
    state: &mut State,
    mut lease: Lease,
    accuser: Accuser,
    work_root: Hash,
) -> Result<(), Broken> {
    let class = classes::find(lease.class).ok_or(Broken)?;
    let game = match (class.steps(), accuser) {
        // It takes an accuser who says where it is wrong.
        (None, _) | (_, Accuser::Nobody) => Game::Rerun(Rerun::default()),
        (Some(steps), _) => Game::Bisection(bisection(state, &lease, class, steps)?),
    };
    let (id, opened) = (lease.id, state.now());
    let dispute = Dispute { lease: id, opened, accuser, work_root, game, outcome: None };
    // A tenant's comes in the place of one that nobody accused in.
    state.put(Key::Dispute(id), &dispute)?;
    state.mark(Key::OpenDispute(!dispute.is_accused(), id));
    let Lease { tenant, provider, .. } = lease;
    state.emit(Event::DisputeOpened { lease: id, tenant, provider, accuser });
    let until = window(state, &lease, class, accuser);
    lease::check(state, &mut lease, CheckState::Disputed { until })
}

/// Returns how a bisection begins: from what is to be done to what the receipt says came of it.
fn bisection(
    state: &State,
    lease: &Lease,
    class: &dyn Class,
    steps: &dyn Steps,
) -> Result<Bisection, Broken> {
    let order = state.get_bytes(Key::Order(lease.order)).ok_or(Broken)?;
    let receipt: SignedReceipt = state.need(Key::Receipt(lease.id, lease.receipts))?;
    let (spec, usage) = (spec_of(order)?, receipt.receipt.usage.as_slice());
    let count = steps.count(spec, usage).map_err(|_| Broken)?;
    let before = steps.first(spec).map_err(|_| Broken)?;
    let after = class.result_root(usage).map_err(|_| Broken)?;
    Ok(Bisection { first: 0, steps: count, before, after, turn: bisection::next_turn(count) })
}

/// Takes a move in a dispute; returns the dispute after it.
pub(crate) fn argue(
    state: &State,
    lease: &Lease,
    mut dispute: Dispute,
    by: &Arguer,
    argument: &Argument,
) -> Result<Dispute, Reject> {
    let class = classes::find(lease.class).ok_or(Broken)?;
    let order = state.get_bytes(Key::Order(lease.order)).ok_or(Broken)?;
    let case = Case {
        work_root: dispute.work_root,
        validators: &state.charter().validators,
        steps: class.steps(),
        spec: spec_of(order).map_err(Broken::from)?,
        is_accused: dispute.is_accused(),
    };
    dispute.outcome = play(&mut dispute.game).argue(&case, by, argument)?;
    Ok(dispute)
}

/// Keeps a dispute after a move, and ends it if the move decided it.
pub(crate) fn advance(
    state: &mut State,
    mut lease: Lease,
    dispute: &Dispute,
) -> Result<(), Broken> {
    if dispute.outcome.is_some() {
        return end(state, lease, dispute);
    }
    state.put(Key::Dispute(lease.id), dispute)?;
    if let Game::Bisection(_) = dispute.game {
        let class = classes::find(lease.class).ok_or(Broken)?;
        let until = window(state, &lease, class, dispute.accuser);
        lease::check(state, &mut lease, CheckState::Disputed { until })?;
    }
    Ok(())
}

/// Ends a dispute whose time is over.
pub(crate) fn lapse(state: &mut State, lease: Lease) -> Result<(), Broken> {
    let mut dispute: Dispute = state.need(Key::Dispute(lease.id))?;
    dispute.outcome = Some(play(&mut dispute.game).lapse());
    end(state, lease, &dispute)
}

fn end(state: &mut State, lease: Lease, dispute: &Dispute) -> Result<(), Broken> {
    let (id, outcome) = (lease.id, dispute.outcome.ok_or(Broken)?);
    state.put(Key::Dispute(id), dispute)?;
    state.remove(Key::OpenDispute(!dispute.is_accused(), id));
    let Lease { tenant, provider, .. } = lease;
    state.emit(Event::DisputeEnded { lease: id, tenant, provider, outcome });
    let audit: Option<Audit> = state.get(Key::Audit(id))?;
    let roots = findings(audit.as_ref());
    if let Outcome::Overturned { .. } = outcome {
        slash::slash(state, id, provider)?;
        slash::mark(state, provider)?;
    }
    let refuted = |(auditor, root): &&(Address, Hash)| dispute.refutes(auditor, root);
    for (auditor, _) in roots.iter().filter(refuted) {
        slash::slash(state, id, *auditor)?;
    }
    let right = || roots.iter().filter(|found| !refuted(found));
    let winners = match (outcome, dispute.accuser) {
        (Outcome::Upheld, _) => vec![provider],
        (Outcome::Undecided, _) | (Outcome::Overturned { .. }, Accuser::Nobody) => vec![],
        (Outcome::Overturned { .. }, Accuser::Tenant { .. }) => vec![tenant],
        // Of the others who accuse it is not known whether they are right.
        (Outcome::Overturned { root: None }, Accuser::Auditor { address }) => vec![address],
        (Outcome::Overturned { root: Some(_) }, Accuser::Auditor { .. }) => {
            let accusers = right().filter(|(_, root)| *root != dispute.work_root);
            accusers.map(|(auditor, _)| *auditor).collect()
        }
    };
    settle_bond(state, &lease, outcome, dispute.accuser)?;
    reward(state, &lease, &winners)?;
    let is_tenants = matches!(dispute.accuser, Accuser::Tenant { .. });
    let check = dispute.check(audit.as_ref()).ok_or(Broken)?;
    if !is_tenants || check == CheckState::Failed {
        audit::remember(state, &lease, check)?;
    }
    let fee = audit.as_ref().map_or(Amount::ZERO, |audit| audit.fee);
    let (payees, premium) = match dispute.is_after_audit(audit.as_ref()) {
        // Auditors were paid out of it, whether they were right or not.
        true => (vec![], Amount::ZERO),
        false => (right().map(|(auditor, _)| *auditor).collect(), lease.settlement.premium),
    };
    audit::conclude(state, lease, check, &payees, fee, premium)
}

/// Returns the auditors of all rounds that did the work, with the roots that they found.
fn findings(audit: Option<&Audit>) -> Vec<(Address, Hash)> {
    let assignments = audit.iter().flat_map(|audit| audit.assignments.iter());
    let found = assignments.filter_map(|assigned| {
        let root = assigned.finding.as_ref()?.work_root()?;
        Some((assigned.auditor, root))
    });
    found.collect()
}

/// Gives a tenant's bond back, or to those whose time it cost.
fn settle_bond(
    state: &mut State,
    lease: &Lease,
    outcome: Outcome,
    accuser: Accuser,
) -> Result<(), Broken> {
    let Accuser::Tenant { bond } = accuser else { return Ok(()) };
    let pot = slash::pot(lease.id);
    if outcome != Outcome::Upheld {
        return state.book().transfer(pot, Row::Wallet(lease.tenant), Asset::Usd, bond);
    }
    let half = types::BasisPoints::new(5_000)?.floor_of(bond);
    let parts = [(Row::Wallet(lease.provider), half), (Row::Treasury, bond.minus(half)?)];
    state.book().divide(pot, &parts, Asset::Usd)?;
    rewarded(state, lease, lease.provider, Asset::Usd, half);
    Ok(())
}

/// Divides among the winners what cheats lost and was not burned; the remainder is burned.
fn reward(state: &mut State, lease: &Lease, winners: &[Address]) -> Result<(), Broken> {
    let pot = slash::pot(lease.id);
    let sum = state.balance(pot, Asset::Wild)?;
    let count = u64::try_from(winners.len()).map_err(|_| Broken)?;
    let each = Amount::new(sum.get().checked_div(count).unwrap_or(0))?;
    for winner in winners {
        state.book().transfer(pot, Row::Wallet(*winner), Asset::Wild, each)?;
        rewarded(state, lease, *winner, Asset::Wild, each);
    }
    state.book().empty(pot, Row::Burned, Asset::Wild)?;
    Ok(())
}

fn rewarded(state: &mut State, lease: &Lease, to: Address, asset: Asset, amount: Amount) {
    if !amount.is_zero() {
        state.emit(Event::Rewarded { lease: lease.id, to, asset, amount });
    }
}
