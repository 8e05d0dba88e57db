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
    let tally = Tally::of(audit);
    let follows = match dispute {
        None => follows_undisputed(&lease.check, audit.is_some(), &tally),
        Some(dispute) => match (dispute.check(audit), &lease.check) {
            (None, check) => matches!(check, CheckState::Disputed { .. }),
            // What was paid for without a check may be taken back later.
            (Some(ended), CheckState::Forfeited) => {
                !ended.is_refunded() && ended != CheckState::Passed
            }
            (Some(ended), check) => ended == *check,
        },
    };
    if !follows {
        return wrong("what is said of the work's check does not follow from audit and dispute");
    }
    Ok(describe(lease, &tally, dispute))
}

/// Returns whether the state of a check follows where there was no dispute.
fn follows_undisputed(check: &CheckState, is_audited: bool, tally: &Tally) -> bool {
    match check {
        CheckState::Unchecked | CheckState::Spared | CheckState::Forfeited => !is_audited,
        CheckState::Waiting { .. } => true,
        CheckState::Committing { .. } | CheckState::Revealing { .. } => is_audited,
        CheckState::Passed => tally.mismatch == 0 && tally.agree > tally.unavailable,
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
