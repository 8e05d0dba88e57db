//! Audits: who checks the work of a lease, what they found, and what came of it.
//!
//! ```text
//! closed ─▶ Waiting ──drawn──▶ Committing ──▶ Revealing ──▶ Passed, Unattended, Unavailable
//!              │                   ▲              │ └─▶ Waiting, for the next round
//!              ▼                   │              ▼ a mismatch
//!            Spared                └───────────Disputed ──▶ Passed, Failed, Undecided
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Blob, ClassId, Duration, Encode, Hash, LeaseId, List, Receipt, Time,
    limits::{AUDITOR_SEATS_MAX, AUDITORS_OF_LEASE_MAX, OFFER_TERMS_BYTES_MAX},
};

/// What an auditor does. An audit pays what the work cost: who could ask for more could choose
/// whose work it checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditorTerms {
    /// The class of service whose work it checks.
    pub class: ClassId,
    /// What its machine can do, encoded as the class's terms of an offer.
    pub terms: Blob<OFFER_TERMS_BYTES_MAX>,
}
codec!(struct AuditorTerms { class, terms });

/// A provider that checks the work of others, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Auditor {
    /// What it does.
    pub terms: AuditorTerms,
    /// Its seats among those who are drawn; none while it is not drawn.
    pub seats: List<u32, AUDITOR_SEATS_MAX>,
    /// Audits that it has to do now.
    pub open: u32,
    /// When it has done them at the latest, one after the other.
    pub free_at: Time,
    /// It cannot have seats before this time, since it did not do an audit.
    pub barred_until: Time,
}
codec!(struct Auditor { terms, seats, open, free_at, barred_until });

/// How far the check of a lease's work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum CheckState {
    /// Nobody checks it: there is no receipt yet, or the order wants no audits.
    Unchecked,
    /// A beacon will decide who audits it, or that nobody does.
    Waiting {
        /// The block from which on it waits. The beacon is that of a later one, as soon as enough
        /// other leaders have made blocks.
        height: u64,
    },
    /// Auditors redo the work and commit to what they found.
    Committing {
        /// When those who have not committed have missed it.
        until: Time,
    },
    /// Auditors say what they committed to.
    Revealing {
        /// When those who have not revealed have missed it.
        until: Time,
    },
    /// A dispute decides whether it is right.
    Disputed {
        /// When the dispute ends without a decision.
        until: Time,
    },
    /// The beacon drew no audit.
    Spared,
    /// It is right, say auditors, or those who judged a dispute.
    Passed,
    /// Neither auditors nor validators decided it, and it could be done: it is paid.
    Unattended,
    /// Neither auditors nor validators could have the inputs: the tenant has its money back.
    Unavailable,
    /// A dispute ended without a decision: the tenant has its money back.
    Undecided,
    /// It is wrong: the tenant has its money back, and the provider lost stake.
    Failed,
    /// It was not checked, and its provider was found cheating before it was paid: the tenant has
    /// its money back.
    Forfeited,
}
codec!(enum CheckState {
    0 = Unchecked,
    1 = Waiting { height },
    2 = Committing { until },
    3 = Revealing { until },
    4 = Disputed { until },
    5 = Spared,
    6 = Passed,
    7 = Unattended,
    8 = Unavailable,
    9 = Undecided,
    10 = Failed,
    11 = Forfeited,
});

impl CheckState {
    /// Returns the state's name in lower case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Waiting { .. } => "waiting",
            Self::Committing { .. } => "committing",
            Self::Revealing { .. } => "revealing",
            Self::Disputed { .. } => "disputed",
            Self::Spared => "spared",
            Self::Passed => "passed",
            Self::Unattended => "unattended",
            Self::Unavailable => "unavailable",
            Self::Undecided => "undecided",
            Self::Failed => "failed",
            Self::Forfeited => "forfeited",
        }
    }

    /// Returns whether it is neither over nor was ever to begin.
    #[must_use]
    pub const fn is_under_way(&self) -> bool {
        matches!(
            self,
            Self::Waiting { .. }
                | Self::Committing { .. }
                | Self::Revealing { .. }
                | Self::Disputed { .. }
        )
    }

    /// Returns when it goes on by itself, where a time decides that.
    #[must_use]
    pub const fn awaited(&self) -> Option<Time> {
        match self {
            Self::Committing { until } | Self::Revealing { until } | Self::Disputed { until } => {
                Some(*until)
            }
            _ => None,
        }
    }

    /// Returns whether the tenant has its money back.
    #[must_use]
    pub const fn is_refunded(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Undecided | Self::Failed | Self::Forfeited)
    }
}

/// What an auditor found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "found", rename_all = "lowercase")]
pub enum Finding {
    /// What doing the work once more gave.
    Work {
        /// The root over the result.
        result_root: Hash,
        /// The root over what only doing the work yields, sealed to the lease: [`Receipt::seal`].
        trace_root: Hash,
    },
    /// The inputs could not be had, or this machine could not do it.
    Unavailable,
}
codec!(enum Finding { 0 = Work { result_root, trace_root }, 1 = Unavailable });

impl Finding {
    /// Returns the work root of a right receipt, if the work was done.
    #[must_use]
    pub fn work_root(&self) -> Option<Hash> {
        match self {
            Self::Work { result_root, trace_root } => {
                Some(Receipt::work_root(result_root, &Receipt::commit(trace_root)))
            }
            Self::Unavailable => None,
        }
    }

    /// Returns what it says of a receipt with this work root.
    #[must_use]
    pub fn verdict(&self, work_root: &Hash) -> Verdict {
        match self.work_root() {
            None => Verdict::Unavailable,
            Some(root) if root == *work_root => Verdict::Agree,
            Some(_) => Verdict::Mismatch,
        }
    }
}

/// What an auditor says of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The work gives what the receipt says.
    Agree,
    /// The work gives something else.
    Mismatch,
    /// The work could not be done.
    Unavailable,
}
codec!(enum Verdict { 0 = Agree, 1 = Mismatch, 2 = Unavailable });

impl Verdict {
    /// Returns the verdict's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Mismatch => "mismatch",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What an auditor commits to before anybody reveals: its name, its salt and its finding, so that
/// nobody can take over what another found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// The lease.
    pub lease: LeaseId,
    /// The auditor's account.
    pub auditor: Address,
    /// What nobody else knows.
    pub salt: Hash,
    /// What it found.
    pub finding: Finding,
}
codec!(struct Opening { lease, auditor, salt, finding });

impl Opening {
    /// Returns the commitment.
    #[must_use]
    pub fn commit(&self) -> Hash {
        Hash::of("idlewild audit", &[&self.to_bytes()])
    }
}

/// One auditor's part in an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// The auditor's account.
    pub auditor: Address,
    /// The round in which it was drawn, from 1.
    pub round: u8,
    /// How long it has for the work, of its time.
    pub time: Duration,
    /// What it committed to.
    pub commitment: Option<Hash>,
    /// What it revealed.
    pub finding: Option<Finding>,
}
codec!(struct Assignment { auditor, round, time, commitment, finding });

/// The audit of a lease, as the ledger keeps it as long as the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// The lease.
    pub lease: LeaseId,
    /// The receipt's work root.
    pub work_root: Hash,
    /// What each auditor gets for it, in micro-USD.
    pub fee: Amount,
    /// The last round that was drawn, from 1.
    pub round: u8,
    /// The beacon that drew it.
    pub beacon: Hash,
    /// The auditors of all rounds.
    pub assignments: List<Assignment, AUDITORS_OF_LEASE_MAX>,
}
codec!(struct Audit { lease, work_root, fee, round, beacon, assignments });

impl Audit {
    /// Returns the assignments of the last round.
    pub fn current(&self) -> impl Iterator<Item = &Assignment> {
        self.assignments.iter().filter(|assignment| assignment.round == self.round)
    }

    /// Returns what the auditors said that revealed anything, of all rounds.
    pub fn verdicts(&self) -> impl Iterator<Item = (Address, Verdict)> {
        self.assignments.iter().filter_map(|assignment| {
            let finding = assignment.finding.as_ref()?;
            Some((assignment.auditor, finding.verdict(&self.work_root)))
        })
    }
}

/// What is known of a provider's work in a class; each epoch takes an eighth off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reputation {
    /// The epoch that the counts stand for.
    pub epoch: u64,
    /// Audits and disputes passed, in thousandths.
    pub passed: u64,
    /// Audits and disputes that ended with the tenant's money given back, in thousandths.
    pub failed: u64,
}
codec!(struct Reputation { epoch, passed, failed });

impl Reputation {
    /// What one audit adds.
    pub const ONE: u64 = 1_000;
    /// Epochs after which nothing is left of anything.
    const EPOCHS_MAX: u64 = 256;

    /// Returns what is left of it in `epoch`.
    #[must_use]
    pub fn at(self, epoch: u64) -> Self {
        let passed_epochs = epoch.saturating_sub(self.epoch);
        if passed_epochs >= Self::EPOCHS_MAX {
            return Self { epoch, passed: 0, failed: 0 };
        }
        let (mut passed, mut failed) = (self.passed, self.failed);
        for _ in 0..passed_epochs {
            // Rounded up, so that the last of it goes too.
            passed = passed.saturating_sub(passed.div_ceil(8));
            failed = failed.saturating_sub(failed.div_ceil(8));
        }
        Self { epoch, passed, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKey;

    #[test]
    fn a_verdict_follows_from_both_roots() {
        let (result_root, trace_root) = (Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32]));
        let work_root = Receipt::work_root(&result_root, &Receipt::commit(&trace_root));
        let check = |finding: Finding, verdict| assert_eq!(finding.verdict(&work_root), verdict);
        check(Finding::Work { result_root, trace_root }, Verdict::Agree);
        check(Finding::Work { result_root, trace_root: Hash::ZERO }, Verdict::Mismatch);
        check(Finding::Work { result_root: Hash::ZERO, trace_root }, Verdict::Mismatch);
        check(Finding::Unavailable, Verdict::Unavailable);
    }

    #[test]
    fn a_commitment_is_one_auditors_for_one_lease_and_finding() {
        let auditor = |number| SecretKey::from_bytes([number; 32]).address();
        let opening = Opening {
            lease: LeaseId::from_bytes([1; 32]),
            auditor: auditor(1),
            salt: Hash::from_bytes([3; 32]),
            finding: Finding::Unavailable,
        };
        let others = [
            Opening { lease: LeaseId::from_bytes([2; 32]), ..opening },
            Opening { auditor: auditor(2), ..opening },
            Opening { salt: Hash::ZERO, ..opening },
            Opening {
                finding: Finding::Work { result_root: Hash::ZERO, trace_root: Hash::ZERO },
                ..opening
            },
        ];
        for other in others {
            assert_ne!(other.commit(), opening.commit(), "{other:?}");
        }
    }

    #[test]
    fn reputation_fades_and_is_gone_in_the_end() {
        let reputation = Reputation { epoch: 3, passed: 8_000, failed: 1 };
        assert_eq!(reputation.at(3), reputation);
        assert_eq!(reputation.at(4), Reputation { epoch: 4, passed: 7_000, failed: 0 });
        assert_eq!(reputation.at(5), Reputation { epoch: 5, passed: 6_125, failed: 0 });
        assert_eq!(reputation.at(5), reputation.at(4).at(5));
        assert_eq!(reputation.at(u64::MAX), Reputation { epoch: u64::MAX, passed: 0, failed: 0 });
        // A ledger that went back does not add to it.
        assert_eq!(reputation.at(2), Reputation { epoch: 2, ..reputation });
    }
}
