//! Audits: drawn by a beacon after a receipt is final, done in secret, then compared.
//!
//! ```text
//! seed  = H("idlewild draw", beacon ‖ lease ‖ round)         the beacon of the block that draws
//! drawn = round > 1  or  ⌊u(seed) · 10000 / 2⁶⁴⌋ < p
//! seat  = ⌊u(H("idlewild seat", seed ‖ try)) · seats / 2⁶⁴⌋
//! ```
//!
//! Auditors commit before anybody reveals. The root that they commit to covers what only doing the
//! work yields, and the receipt shows that to nobody, so there is nothing to copy. What they find
//! costs nobody anything by itself: a mismatch opens a dispute, and where nobody could do the work
//! others are drawn. What auditors cannot decide, validators are asked: no work is paid for which
//! it was drawn that it be checked only because nobody came.
//!
//! Which block draws follows from who leads blocks ([`crate::draws`]). Whoever could wait for
//! another, having seen one, could choose.
//!
//! Who is drawn follows from stake and from what machines can do. Nobody chooses whose work it
//! checks by what it asks, nor does the receipt choose by what it says.

use types::{
    Accuser, Address, Amount, Asset, Assignment, Audit, Auditor, AuditorTerms, CheckState, Claims,
    Duration, Event, Hash, Lease, LeaseState, List, Reputation, SignedReceipt, Verdict,
    limits::{AUDIT_ROUNDS_MAX, AUDITOR_QUEUE_MAX, AUDITS_OPEN_MAX, DRAWS_OF_AUDITOR_MAX},
};

use crate::{
    auditors, dispute,
    key::{Key, Row},
    lease,
    state::{Broken, State},
    tx::submit_receipt::spec_of,
};

/// Times that work may stall an auditor's machine for as long as the receipt says that it takes it.
const STALL_MAX: u64 = 64;

/// Pays from the pool for audits, and where that has too little from the treasury; returns how
/// much that was.
///
/// Premiums pay for audits on average. The treasury bears how chance differs from that.
pub(crate) fn pay_from_pool(state: &mut State, to: Row, amount: Amount) -> Result<Amount, Broken> {
    let mut left = amount;
    for from in [Row::AuditPool, Row::Treasury] {
        let part = left.min(state.balance(from, Asset::Usd)?);
        state.book().transfer(from, to, Asset::Usd, part)?;
        left = left.minus(part)?;
    }
    Ok(amount.minus(left)?)
}

/// Decides by the block's beacon whether a lease's work is audited, and by whom.
pub(crate) fn draw(state: &mut State, mut lease: Lease) -> Result<(), Broken> {
    let known: Option<Audit> = state.get(Key::Audit(lease.id))?;
    let round = known.as_ref().map_or(0, |audit| audit.round).checked_add(1).ok_or(Broken)?;
    let beacon = state.block.beacon;
    let seed = Hash::of("idlewild draw", &[beacon.as_bytes(), lease.id.as_bytes(), &[round][..]]);
    if round == 1 && share(&seed, 10_000) >= u64::from(lease.audit.probability.get()) {
        return lease::check(state, &mut lease, CheckState::Spared);
    }
    let mut audit = match known {
        Some(audit) => audit,
        None => Audit {
            lease: lease.id,
            work_root: work_root(state, &lease)?,
            fee: lease.settlement.gross,
            round,
            beacon,
            assignments: List::default(),
        },
    };
    (audit.round, audit.beacon) = (round, beacon);
    state.put(Key::Audit(lease.id), &audit)?;
    match pick(state, &lease, &audit, &seed)? {
        Some(drawn) => assign(state, lease, audit, drawn),
        None => dispute::open(state, lease, Accuser::Nobody, audit.work_root),
    }
}

/// Returns the work root of a lease's last receipt.
pub(crate) fn work_root(state: &State, lease: &Lease) -> Result<Hash, Broken> {
    let class = classes::find(lease.class).ok_or(Broken)?;
    let signed: SignedReceipt = state.need(Key::Receipt(lease.id, lease.receipts))?;
    class.work_root(&signed.receipt).map_err(|_| Broken)
}

/// Returns a whole number below `of`, uniform as the hash is.
fn share(hash: &Hash, of: u64) -> u64 {
    let first = hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
    let product = u128::from(first).saturating_mul(u128::from(of));
    u64::try_from(product >> 64).unwrap_or(0)
}

/// An auditor that was drawn, and how long it has for the work.
struct Drawn {
    address: Address,
    auditor: Auditor,
    time: Duration,
}

/// Draws seats until there are as many auditors as the order wants; returns nothing if there are
/// fewer, or one of them has too much to do.
///
/// Nobody is drawn instead of who has too much to do: who fills the time of others would else
/// choose who is left.
fn pick(
    state: &State,
    lease: &Lease,
    audit: &Audit,
    seed: &Hash,
) -> Result<Option<Vec<Drawn>>, Broken> {
    let wanted = usize::from(lease.audit.auditors);
    let seats = auditors::seats(state, lease.class)?;
    let order = state.get_bytes(Key::Order(lease.order)).ok_or(Broken)?;
    let spec = spec_of(order)?;
    let latest = state.now().after(AUDITOR_QUEUE_MAX);
    let mut drawn: Vec<Drawn> = Vec::with_capacity(wanted);
    for number in 0..u32::try_from(wanted.saturating_mul(DRAWS_OF_AUDITOR_MAX)).unwrap_or(0) {
        if drawn.len() == wanted || seats == 0 {
            break;
        }
        let hash = Hash::of("idlewild seat", &[seed.as_bytes(), &number.to_le_bytes()]);
        let seat = u32::try_from(share(&hash, u64::from(seats))).map_err(|_| Broken)?;
        let address: Address = state.need(Key::Seat(lease.class, seat))?;
        let is_known = audit.assignments.iter().any(|assigned| assigned.auditor == address)
            || drawn.iter().any(|drawn| drawn.address == address);
        if is_known || address == lease.provider || address == lease.tenant {
            continue;
        }
        let auditor: Auditor = state.need(Key::Auditor(lease.class, address))?;
        let Some(time) = time_of(lease, spec, &auditor.terms) else { continue };
        if auditor.free_at > latest || auditor.open >= AUDITS_OPEN_MAX {
            return Ok(None);
        }
        drawn.push(Drawn { address, auditor, time });
    }
    Ok((drawn.len() == wanted).then_some(drawn))
}

/// Returns how long an auditor of these terms has for the work, if its machine can do it: twice
/// what the receipt says takes it, or as long as its provider took, if that was longer.
///
/// Nobody does more than what was billed, but what a unit takes differs with the work. How long
/// its provider took counts only so many times over: who waits before it hands in what was quick
/// does not keep auditors busy.
fn time_of(lease: &Lease, spec: &[u8], terms: &AuditorTerms) -> Option<Duration> {
    let class = classes::find(lease.class)?;
    let terms = terms.terms.as_slice();
    class.matches(spec, terms, &Claims::default()).ok()?;
    let said = class.time(terms, lease.settlement.units).ok()?;
    // Only what is closed is audited.
    let LeaseState::Closed { at, .. } = lease.state else { return None };
    let most = said.as_ms().saturating_mul(STALL_MAX);
    let time = said.as_ms().max(at.since(lease.created).as_ms().min(most));
    Some(Duration::from_ms(time.saturating_mul(2)))
}

/// Gives auditors the audit to do.
fn assign(
    state: &mut State,
    mut lease: Lease,
    mut audit: Audit,
    drawn: Vec<Drawn>,
) -> Result<(), Broken> {
    let addresses: Vec<Address> = drawn.iter().map(|drawn| drawn.address).collect();
    let mut done = state.now();
    let mut assignments = std::mem::take(&mut audit.assignments).into_inner();
    for Drawn { address, auditor, time } in drawn {
        let round = audit.round;
        let (commitment, finding) = (None, None);
        assignments.push(Assignment { auditor: address, round, time, commitment, finding });
        done = done.max(auditors::begin_audit(state, address, auditor, time)?);
        state.mark(Key::AuditByAuditor(address, lease.id));
    }
    audit.assignments = List::new(assignments)?;
    state.put(Key::Audit(lease.id), &audit)?;
    let window = state.parameters().commit_window_ms;
    let until = done.after(window);
    state.emit(Event::AuditDrawn {
        lease: lease.id,
        tenant: lease.tenant,
        provider: lease.provider,
        round: audit.round,
        auditors: List::new(addresses)?,
        until,
    });
    lease::check(state, &mut lease, CheckState::Committing { until })
}

/// Lets those reveal who have committed.
pub(crate) fn begin_reveals(
    state: &mut State,
    lease: &mut Lease,
    audit: &Audit,
) -> Result<(), Broken> {
    let until = state.now().after(state.parameters().reveal_window_ms);
    let committed = audit.current().filter(|assigned| assigned.commitment.is_some());
    let auditors = List::new(committed.map(|assigned| assigned.auditor).collect())?;
    state.emit(Event::AuditRevealing { lease: lease.id, auditors, until });
    lease::check(state, lease, CheckState::Revealing { until })
}

/// Ends the window of commitments.
pub(crate) fn end_commits(state: &mut State, mut lease: Lease) -> Result<(), Broken> {
    let audit: Audit = state.need(Key::Audit(lease.id))?;
    if audit.current().any(|assigned| assigned.commitment.is_some()) {
        return begin_reveals(state, &mut lease, &audit);
    }
    end_round(state, lease)
}

/// Ends a round: who did nothing is not drawn for a while, and what was found decides.
pub(crate) fn end_round(state: &mut State, mut lease: Lease) -> Result<(), Broken> {
    let audit: Audit = state.need(Key::Audit(lease.id))?;
    for assigned in audit.current() {
        let address = assigned.auditor;
        if assigned.commitment.is_none() {
            auditors::end_work(state, lease.class, address, assigned.time)?;
        }
        state.remove(Key::AuditByAuditor(address, lease.id));
        auditors::end_audit(state, lease.class, address, assigned.finding.is_none())?;
    }
    let count = |verdict| audit.verdicts().filter(|(_, said)| *said == verdict).count();
    if let Some((address, _)) = audit.verdicts().find(|(_, said)| *said == Verdict::Mismatch) {
        return dispute::open(state, lease, Accuser::Auditor { address }, audit.work_root);
    }
    let agreeing = count(Verdict::Agree);
    let verdict = |assigned: &Assignment| Some(assigned.finding?.verdict(&audit.work_root));
    let all_agree = audit.current().all(|assigned| verdict(assigned) == Some(Verdict::Agree));
    if all_agree && agreeing > count(Verdict::Unavailable) {
        return end(state, lease, &audit, CheckState::Passed);
    }
    // Whoever was drawn after a root was shown could repeat it.
    if agreeing == 0 && audit.round < AUDIT_ROUNDS_MAX {
        let waiting = lease::waiting(state);
        return lease::check(state, &mut lease, waiting);
    }
    dispute::open(state, lease, Accuser::Nobody, audit.work_root)
}

/// Ends an audit without a dispute.
fn end(state: &mut State, lease: Lease, audit: &Audit, check: CheckState) -> Result<(), Broken> {
    let agreeing = audit.verdicts().filter(|(_, verdict)| *verdict == Verdict::Agree);
    let payees: Vec<Address> = agreeing.map(|(auditor, _)| auditor).collect();
    remember(state, &lease, check)?;
    let premium = lease.settlement.premium;
    conclude(state, lease, check, &payees, audit.fee, premium)
}

/// Ends the check of a lease's work: auditors are paid, and the tenant has its money back if that
/// is what follows, with what of `premium` was paid to nobody.
///
/// All auditors together never get more than what the lease was to pay on average if it was
/// drawn, and where the tenant has its money back no more than its own premium: whoever is tenant,
/// provider and auditor at once takes nothing from others.
pub(crate) fn conclude(
    state: &mut State,
    mut lease: Lease,
    check: CheckState,
    payees: &[Address],
    fee: Amount,
    premium: Amount,
) -> Result<(), Broken> {
    lease::check(state, &mut lease, check)?;
    let mut left = match check {
        CheckState::Passed => full_fees(&lease, fee),
        CheckState::Unavailable | CheckState::Undecided => premium,
        _ => Amount::ZERO,
    };
    let most = left;
    for &auditor in payees {
        let amount = pay_from_pool(state, Row::Wallet(auditor), fee.min(left))?;
        left = left.minus(amount)?;
        if !amount.is_zero() {
            state.emit(Event::AuditorPaid { lease: lease.id, auditor, amount });
        }
    }
    match check {
        CheckState::Failed => lease::refund(state, lease, premium),
        _ if check.is_refunded() => lease::refund(state, lease, premium.minus(most.minus(left)?)?),
        _ => Ok(()),
    }
}

/// Returns the fees of as many auditors as a lease wants.
fn full_fees(lease: &Lease, fee: Amount) -> Amount {
    let fees = fee.get().saturating_mul(u64::from(lease.audit.auditors));
    Amount::new(fees).unwrap_or(Amount::MAX)
}

/// Adds the end of a check to the provider's reputation.
pub(crate) fn remember(state: &mut State, lease: &Lease, check: CheckState) -> Result<(), Broken> {
    let key = Key::Reputation(lease.provider, lease.class);
    let mut reputation: Reputation =
        state.get::<Reputation>(key)?.unwrap_or_default().at(state.network.epoch);
    let count = match check {
        CheckState::Passed => &mut reputation.passed,
        CheckState::Unavailable | CheckState::Failed => &mut reputation.failed,
        _ => return Ok(()),
    };
    *count = count.saturating_add(Reputation::ONE);
    state.put(key, &reputation)
}
