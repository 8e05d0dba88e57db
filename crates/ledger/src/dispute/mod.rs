//! Disputes: how it is decided whether a receipt is right, and what follows.
//!
//! Two games decide, behind one interface ([`Play`]): where the class's work is a chain of steps
//! that the ledger can recompute, the provider narrows it down to one ([`bisection`]); otherwise
//! every validator does the work once more ([`rerun`]). Only what the ledger has recomputed, or
//! more than two thirds of the validators, costs anybody stake.

mod bisection;
mod rerun;

use classes::Steps;
use types::{
    Accuser, Address, Amount, Argument, Asset, Audit, Bisection, CheckState, Dispute, Duration,
    Event, Game, Hash, Lease, Outcome, PublicKey, Reject, Rerun, Ruling, SignedReceipt, Time, Turn,
    Verdict,
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
    /// What the receipt commits to.
    pub(crate) work_root: Hash,
    /// Who judges.
    pub(crate) validators: &'a [PublicKey],
    /// How the class recomputes a step.
    pub(crate) steps: Option<&'static dyn Steps>,
    /// What was to be done.
    pub(crate) spec: &'a [u8],
    /// What the receipt says that was done.
    pub(crate) usage: &'a [u8],
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

/// Returns when a dispute over a lease, or a move in it, is over that begins now. However long a
/// tenant lets its lease run, this ends before stake that is on its way back is gone.
fn window(state: &State, lease: &Lease) -> Time {
    let parameters = state.parameters();
    let ran = lease.ends.since(lease.created).as_ms().saturating_mul(SLOWDOWN);
    let longer = Duration::from_ms(ran.min(parameters.unbonding_ms.as_ms() / 2));
    state.now().after(parameters.dispute_window_ms).after(longer)
}

/// Opens a dispute.
pub(crate) fn open(
    state: &mut State,
    mut lease: Lease,
    accuser: Accuser,
    work_root: Hash,
) -> Result<(), Broken> {
    let class = classes::find(lease.class).ok_or(Broken)?;
    let game = match class.steps() {
        None => Game::Rerun(Rerun::default()),
        Some(_) => Game::Bisection(Bisection {
            first: 0,
            steps: 0,
            before: Hash::ZERO,
            after: Hash::ZERO,
            turn: Turn::Open,
        }),
    };
    let (id, opened) = (lease.id, state.now());
    let dispute = Dispute { lease: id, opened, accuser, work_root, game, outcome: None };
    state.add(Key::Dispute(id), &dispute)?;
    state.mark(Key::OpenDispute(id));
    let Lease { tenant, provider, .. } = lease;
    state.emit(Event::DisputeOpened { lease: id, tenant, provider, accuser });
    let until = window(state, &lease);
    lease::check(state, &mut lease, CheckState::Disputed { until })
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
    let receipt: SignedReceipt = state.need(Key::Receipt(lease.id, lease.receipts))?;
    let case = Case {
        work_root: dispute.work_root,
        validators: &state.charter().validators,
        steps: class.steps(),
        spec: spec_of(order).map_err(Broken::from)?,
        usage: receipt.receipt.usage.as_slice(),
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
        let until = window(state, &lease);
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
    state.remove(Key::OpenDispute(id));
    let Lease { tenant, provider, .. } = lease;
    state.emit(Event::DisputeEnded { lease: id, tenant, provider, outcome });
    let audit: Option<Audit> = state.get(Key::Audit(id))?;
    let roots = findings(audit.as_ref());
    if let Outcome::Overturned { .. } = outcome {
        slash::slash(state, id, provider)?;
        slash::mark(state, provider)?;
    }
    let refuted = |root: &Hash| outcome.refutes(root, &dispute.work_root);
    for (auditor, _) in roots.iter().filter(|(_, root)| refuted(root)) {
        slash::slash(state, id, *auditor)?;
    }
    let right = || roots.iter().filter(|(_, root)| !refuted(root));
    let winners = match (outcome, dispute.accuser) {
        (Outcome::Upheld, _) => vec![provider],
        (Outcome::Undecided, _) => vec![],
        (Outcome::Overturned { .. }, Accuser::Tenant { .. }) => vec![tenant],
        (Outcome::Overturned { .. }, Accuser::Auditor { .. }) => {
            let accusers = right().filter(|(_, root)| *root != dispute.work_root);
            accusers.map(|(auditor, _)| *auditor).collect()
        }
    };
    settle_bond(state, &lease, outcome, dispute.accuser)?;
    reward(state, &lease, &winners)?;
    let is_tenants = matches!(dispute.accuser, Accuser::Tenant { .. });
    let check = match outcome {
        Outcome::Upheld => CheckState::Passed,
        Outcome::Overturned { .. } => CheckState::Failed,
        // Nobody gets work for nothing by accusing alone.
        Outcome::Undecided if is_tenants && !differs(dispute) => checked_before(audit.as_ref()),
        Outcome::Undecided => CheckState::Undecided,
    };
    if !is_tenants || check == CheckState::Failed {
        audit::remember(state, &lease, check)?;
    }
    let payees: Vec<Address> = match dispute.accuser {
        Accuser::Auditor { .. } => right().map(|(auditor, _)| *auditor).collect(),
        // They were paid when they had done the audit.
        Accuser::Tenant { .. } => vec![],
    };
    let fee = audit.as_ref().map_or(Amount::ZERO, |audit| audit.fee);
    audit::conclude(state, lease, check, &payees, fee)
}

/// Returns whether a validator's engines differ.
fn differs(dispute: &Dispute) -> bool {
    match &dispute.game {
        Game::Rerun(rerun) => rerun.rulings.iter().any(|ruled| ruled.ruling == Ruling::Differs),
        Game::Bisection(_) => false,
    }
}

/// Returns what the check of a lease had come to when its tenant disputed the receipt.
fn checked_before(audit: Option<&Audit>) -> CheckState {
    let Some(audit) = audit else { return CheckState::Spared };
    let count = |verdict| audit.verdicts().filter(|(_, said)| *said == verdict).count();
    match count(Verdict::Agree) > count(Verdict::Unavailable) {
        true => CheckState::Passed,
        false => CheckState::Unattended,
    }
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
