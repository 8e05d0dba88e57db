//! Whether what a lease says of its work's check follows from its audit and its dispute.

use types::{Audit, CheckState, Dispute, Lease, Outcome, SignedReceipt, Verdict};

use super::Refuted;

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
    let tally = Tally::of(audit);
    let outcome = dispute.and_then(|dispute| dispute.outcome);
    // A dispute without a decision leaves it at what was known before.
    let is_undecided = dispute.is_none() || outcome == Some(Outcome::Undecided);
    let follows = match lease.check {
        CheckState::Unchecked => audit.is_none() && dispute.is_none(),
        CheckState::Spared => audit.is_none() && is_undecided,
        CheckState::Waiting { .. } => dispute.is_none(),
        CheckState::Disputed { .. } => dispute.is_some() && outcome.is_none(),
        CheckState::Committing { .. } | CheckState::Revealing { .. } => {
            audit.is_some() && dispute.is_none()
        }
        CheckState::Passed => match outcome {
            Some(Outcome::Upheld) => true,
            _ => is_undecided && tally.mismatch == 0 && tally.agree > tally.unavailable,
        },
        CheckState::Unattended => is_undecided && tally.mismatch + tally.unavailable == 0,
        CheckState::Unavailable => {
            outcome == Some(Outcome::Undecided) && tally.mismatch == 0 && tally.unavailable > 0
        }
        CheckState::Undecided => outcome == Some(Outcome::Undecided),
        CheckState::Failed => matches!(outcome, Some(Outcome::Overturned { .. })),
        CheckState::Forfeited => is_undecided,
    };
    if !follows {
        return wrong("what is said of the work's check does not follow from audit and dispute");
    }
    Ok(describe(lease, &tally, dispute))
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
    let mut text = lease.check.name().to_owned();
    if tally.drawn > 0 {
        let Tally { drawn, agree, mismatch, unavailable } = tally;
        text.push_str(&format!(
            "; of {drawn} auditors {agree} agreed, {mismatch} found something else, {unavailable} \
             could not"
        ));
    }
    match dispute.map(|dispute| dispute.outcome) {
        None => {}
        Some(None) => text.push_str("; disputed, not decided"),
        Some(Some(outcome)) => text.push_str(&format!("; the dispute was {}", outcome.name())),
    }
    text
}
