//! Whether what a lease says of its work's check follows from its audit and its dispute.

use types::{Audit, CheckState, Dispute, Lease, Outcome, SignedReceipt, Verdict};

use super::Refuted;
use crate::output::plural;

/// Checks the rows against each other and returns in words what was found.
pub(super) fn check(
    lease: &Lease,
    receipt: Option<&SignedReceipt>,
    audit: Option<&Audit>,
    dispute: Option<&Dispute>,
) -> Result<String, Refuted> {
    let class = classes::find(lease.class);
    let work_root =
        receipt.zip(class).and_then(|(signed, class)| class.work_root(&signed.receipt).ok());
    let wrong = |what| Err(Refuted::Contradiction(what));
    if audit.is_some_and(|audit| audit.lease != lease.id || Some(audit.work_root) != work_root) {
        return wrong("the audit is of another receipt");
    }
    if dispute
        .is_some_and(|dispute| dispute.lease != lease.id || Some(dispute.work_root) != work_root)
    {
        return wrong("the dispute is over another receipt");
    }
    if !follows(&lease.check, audit, dispute) {
        return wrong("what is said of the work's check does not follow from audit and dispute");
    }
    Ok(describe(lease, &Tally::of(audit), dispute))
}

/// Returns whether the state of a check is one that audit and dispute come to.
fn follows(check: &CheckState, audit: Option<&Audit>, dispute: Option<&Dispute>) -> bool {
    if let Some(dispute) = dispute {
        return match (dispute.check(audit), check) {
            (None, check) => matches!(check, CheckState::Disputed { .. }),
            // What was paid for without a check may be taken back later.
            (Some(ended), CheckState::Forfeited) => {
                !ended.is_refunded() && ended != CheckState::Passed
            }
            (Some(ended), check) => ended == *check,
        };
    }
    match check {
        CheckState::Unchecked | CheckState::Spared | CheckState::Forfeited => audit.is_none(),
        CheckState::Waiting { .. } => true,
        CheckState::Committing { .. } | CheckState::Revealing { .. } => audit.is_some(),
        CheckState::Passed => {
            let tally = Tally::of(audit);
            tally.mismatch == 0 && tally.agree > tally.unavailable
        }
        // Only a dispute comes to these.
        CheckState::Disputed { .. }
        | CheckState::Unattended
        | CheckState::Unavailable
        | CheckState::Undecided
        | CheckState::Failed => false,
    }
}

/// How many auditors said what.
#[derive(Debug, Default)]
struct Tally {
    drawn: usize,
    agree: usize,
    mismatch: usize,
    unavailable: usize,
}

impl Tally {
    fn of(audit: Option<&Audit>) -> Self {
        let Some(audit) = audit else { return Self::default() };
        let count = |verdict| audit.verdicts().filter(|(_, said)| *said == verdict).count();
        Self {
            drawn: audit.assignments.len(),
            agree: count(Verdict::Agree),
            mismatch: count(Verdict::Mismatch),
            unavailable: count(Verdict::Unavailable),
        }
    }
}

fn describe(lease: &Lease, tally: &Tally, dispute: Option<&Dispute>) -> String {
    let mut text = format!("{}: {}", lease.check.name(), meaning(&lease.check));
    if tally.drawn > 0 {
        let Tally { drawn, agree, mismatch, unavailable } = tally;
        text.push_str(&format!(
            "; of {} {agree} agreed, {mismatch} found something else, {unavailable} could not",
            plural(*drawn, "auditor")
        ));
    }
    let judged = match dispute.map(|dispute| dispute.outcome) {
        None => "",
        Some(None) => "; not judged yet",
        Some(Some(Outcome::Upheld)) => "; judged: the receipt is right",
        Some(Some(Outcome::Overturned { .. })) => "; judged: the receipt is wrong",
        Some(Some(Outcome::Undecided)) => "; judged: never decided",
    };
    text.push_str(judged);
    text
}

/// Says what the state of a check is, and what it means for the price.
const fn meaning(check: &CheckState) -> &'static str {
    match check {
        CheckState::Unchecked => "no audits were asked for",
        CheckState::Waiting { .. } => "it may still be drawn for an audit",
        CheckState::Committing { .. } => "auditors do the work once more",
        CheckState::Revealing { .. } => "auditors say what they found",
        CheckState::Disputed { .. } => "validators do the work once more",
        CheckState::Spared => "it was not drawn for an audit",
        CheckState::Passed => "the work is right",
        CheckState::Unattended => "neither auditors nor validators decided it; it is paid",
        CheckState::Unavailable => "nobody could have the inputs; the tenant has its money back",
        CheckState::Undecided => "it could not be decided; the tenant has its money back",
        CheckState::Failed => {
            "the work is wrong; the tenant has its money back, and the provider lost stake"
        }
        CheckState::Forfeited => {
            "its provider was found cheating before it was paid; the tenant has its money back"
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{
        Accuser, Address, Amount, Assignment, Duration, Finding, Game, Hash, LeaseId, List,
        PublicKey, Receipt, Rerun, Ruled, Ruling, Time,
    };

    use super::*;

    /// Returns an audit with what auditors found: `+` agrees, `-` does not, `?` could not.
    fn audit(found: &str) -> Audit {
        let root = |byte| Hash::from_bytes([byte; 32]);
        let right = (root(1), root(2));
        let part = |(number, found): (u8, char)| {
            let work = |(result_root, trace_root)| Finding::Work { result_root, trace_root };
            let finding = match found {
                '+' => work(right),
                '-' => work((root(3), root(2))),
                _ => Finding::Unavailable,
            };
            Assignment {
                auditor: Address::new(PublicKey::from_bytes([number; 32])),
                round: 1,
                time: Duration::from_ms(1),
                commitment: None,
                finding: Some(finding),
            }
        };
        Audit {
            lease: LeaseId::from_bytes([0; 32]),
            work_root: Receipt::work_root(&right.0, &Receipt::commit(&right.1)),
            fee: Amount::ZERO,
            round: 1,
            beacon: Hash::ZERO,
            assignments: List::new((1..).zip(found.chars()).map(part).collect()).unwrap(),
        }
    }

    fn dispute(accuser: Accuser, rulings: &[Ruling], outcome: Option<Outcome>) -> Dispute {
        let ruled =
            |ruling: &Ruling| Ruled { validator: PublicKey::from_bytes([9; 32]), ruling: *ruling };
        let rulings = List::new(rulings.iter().map(ruled).collect()).unwrap();
        Dispute {
            lease: LeaseId::from_bytes([0; 32]),
            opened: Time::from_ms(0),
            accuser,
            work_root: Hash::ZERO,
            game: Game::Rerun(Rerun { rulings }),
            outcome,
        }
    }

    /// Asserts that of all states that end a check just these follow.
    fn assert_ends(audit: Option<&Audit>, dispute: Option<&Dispute>, expected: &[CheckState]) {
        use CheckState::{
            Failed, Forfeited, Passed, Spared, Unattended, Unavailable, Unchecked, Undecided,
        };
        let all =
            [Unchecked, Spared, Passed, Unattended, Unavailable, Undecided, Failed, Forfeited];
        for check in all {
            let is_expected = expected.contains(&check);
            assert_eq!(follows(&check, audit, dispute), is_expected, "{check:?} {dispute:?}");
        }
    }

    #[test]
    fn the_end_of_a_check_follows_from_what_auditors_said() {
        use CheckState::{Forfeited, Passed, Spared, Unchecked};
        assert_ends(None, None, &[Unchecked, Spared, Forfeited]);
        assert_ends(Some(&audit("+")), None, &[Passed]);
        assert_ends(Some(&audit("++?")), None, &[Passed]);
        for undecided in ["", "?", "+?", "+-", "-"] {
            assert_ends(Some(&audit(undecided)), None, &[]);
        }
    }

    #[test]
    fn the_end_of_a_check_follows_from_how_its_dispute_ended() {
        use CheckState::{Failed, Forfeited, Passed, Spared, Unattended, Unavailable, Undecided};
        let auditor = Accuser::Auditor { address: Address::new(PublicKey::from_bytes([1; 32])) };
        let tenant = Accuser::Tenant { bond: Amount::ZERO };
        let of = |accuser, rulings: &[Ruling], found: Option<&str>, expected: &[CheckState]| {
            let dispute = dispute(accuser, rulings, Some(Outcome::Undecided));
            assert_ends(found.map(audit).as_ref(), Some(&dispute), expected);
        };
        of(auditor, &[], Some("-"), &[Undecided]);
        of(tenant, &[], None, &[Spared, Forfeited]);
        of(tenant, &[Ruling::Differs], None, &[Undecided]);
        of(tenant, &[], Some("+"), &[Passed]);
        // Where as many could not, it is paid, though nobody decided it.
        of(Accuser::Nobody, &[], Some("+?"), &[Unattended, Forfeited]);
        of(Accuser::Nobody, &[], Some(""), &[Unattended, Forfeited]);
        of(Accuser::Nobody, &[], Some("??"), &[Unattended, Forfeited]);
        of(Accuser::Nobody, &[Ruling::Unavailable], Some("??"), &[Unavailable]);
        for accuser in [auditor, tenant, Accuser::Nobody] {
            let ended = |outcome| dispute(accuser, &[], Some(outcome));
            assert_ends(None, Some(&ended(Outcome::Upheld)), &[Passed]);
            assert_ends(None, Some(&ended(Outcome::Overturned { root: None })), &[Failed]);
            // Whatever the audit said, a dispute that goes on is not over.
            assert_ends(Some(&audit("+")), Some(&dispute(accuser, &[], None)), &[]);
        }
    }
}
