//! Disputes: how it is decided whether a receipt is right.
//!
//! There are two games. In [`Game::Rerun`] every validator does the work once more and says what
//! root it gave. In [`Game::Bisection`] the provider narrows down, move by move, where its
//! computation and its accuser's part, until one step is left that the ledger recomputes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Audit, Blob, CheckState, Hash, LeaseId, List, PublicKey, Time, Verdict,
    limits::{BISECTION_ROOTS_MAX, VALIDATORS_MAX, WITNESS_BYTES_MAX},
};

/// A dispute over a lease's receipt, as the ledger keeps it as long as the lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dispute {
    /// The lease.
    pub lease: LeaseId,
    /// When it was opened.
    pub opened: Time,
    /// Who says that the receipt is wrong.
    pub accuser: Accuser,
    /// The receipt's work root.
    pub work_root: Hash,
    /// How it is decided, and how far that has come.
    pub game: Game,
    /// How it ended.
    pub outcome: Option<Outcome>,
}
codec!(struct Dispute { lease, opened, accuser, work_root, game, outcome });

impl Dispute {
    /// Returns what the check of the lease's work comes to by the outcome, where `audit` is the
    /// lease's; nothing while there is no outcome.
    ///
    /// Where nothing is decided, a tenant gets no work for nothing by disputing it, and a provider
    /// is not paid against an auditor that accuses it, or where engines differ. Who wins a
    /// bisection has not won against other auditors that found something else.
    #[must_use]
    pub fn check(&self, audit: Option<&Audit>) -> Option<CheckState> {
        let is_accused = matches!(self.accuser, Accuser::Auditor { .. });
        Some(match self.outcome? {
            Outcome::Upheld if self.has_others(audit) => CheckState::Undecided,
            Outcome::Upheld => CheckState::Passed,
            Outcome::Overturned { .. } => CheckState::Failed,
            Outcome::Undecided if is_accused || self.differs() => CheckState::Undecided,
            Outcome::Undecided => self.check_before(audit),
        })
    }

    /// Returns whether the outcome shows that an auditor was wrong that found `root`.
    ///
    /// Validators say what is right. Of a bisection it is known only who of the two lost that
    /// played it, and either may have done so on purpose.
    #[must_use]
    pub fn refutes(&self, auditor: &Address, root: &Hash) -> bool {
        match (self.outcome, &self.game) {
            (Some(Outcome::Upheld), Game::Rerun(_)) => *root != self.work_root,
            (Some(Outcome::Upheld), Game::Bisection(_)) => self.is_by(auditor),
            (Some(Outcome::Overturned { root: Some(right) }), _) => *root != right,
            (Some(Outcome::Overturned { root: None } | Outcome::Undecided) | None, _) => false,
        }
    }

    fn is_by(&self, auditor: &Address) -> bool {
        self.accuser == Accuser::Auditor { address: *auditor }
    }

    /// Returns whether auditors accuse besides the one that plays.
    fn has_others(&self, audit: Option<&Audit>) -> bool {
        let mut verdicts = audit.into_iter().flat_map(Audit::verdicts);
        matches!(self.game, Game::Bisection(_))
            && verdicts.any(|(by, said)| said == Verdict::Mismatch && !self.is_by(&by))
    }

    /// Returns whether somebody says that the receipt is wrong.
    #[must_use]
    pub fn is_accused(&self) -> bool {
        self.accuser != Accuser::Nobody
    }

    /// Returns whether the tenant disputed what auditors had passed and were paid for.
    #[must_use]
    pub fn is_after_audit(&self, audit: Option<&Audit>) -> bool {
        matches!(self.accuser, Accuser::Tenant { .. })
            && self.check_before(audit) == CheckState::Passed
    }

    /// Returns whether the tenant may still dispute the receipt: nobody has accused, and nothing
    /// was decided.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        !self.is_accused() && self.outcome == Some(Outcome::Undecided)
    }

    /// Returns what the check had come to when the tenant disputed the receipt, or when auditors
    /// could not decide it.
    fn check_before(&self, audit: Option<&Audit>) -> CheckState {
        let Some(audit) = audit else { return CheckState::Spared };
        let count = |verdict| audit.verdicts().filter(|(_, said)| *said == verdict).count();
        let (agree, unavailable) = (count(Verdict::Agree), count(Verdict::Unavailable));
        match self.accuser {
            _ if agree > unavailable => CheckState::Passed,
            Accuser::Nobody if agree == 0 && unavailable > 0 && self.lacks() => {
                CheckState::Unavailable
            }
            _ => CheckState::Unattended,
        }
    }

    /// Returns whether more validators could not do the work than found it right.
    fn lacks(&self) -> bool {
        let Game::Rerun(Rerun { rulings }) = &self.game else { return false };
        let count = |what| rulings.iter().filter(|ruled| ruled.ruling == what).count();
        count(Ruling::Unavailable) > count(Ruling::Root { root: self.work_root })
    }

    /// Returns whether a validator's engines differ.
    fn differs(&self) -> bool {
        let Game::Rerun(Rerun { rulings }) = &self.game else { return false };
        rulings.iter().any(|ruled| ruled.ruling == Ruling::Differs)
    }
}

/// Who says that a receipt is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Accuser {
    /// An auditor that was drawn, the first of those who found something else.
    Auditor {
        /// Its account.
        address: Address,
    },
    /// The tenant.
    Tenant {
        /// What it loses if the receipt is right, in micro-USD.
        bond: Amount,
    },
    /// Nobody: the auditors that were drawn could not decide it.
    Nobody,
}
codec!(enum Accuser { 0 = Auditor { address }, 1 = Tenant { bond }, 2 = Nobody });

/// How a dispute ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Outcome {
    /// The receipt is right.
    Upheld,
    /// The receipt is wrong.
    Overturned {
        /// The right root, where the game shows it.
        root: Option<Hash>,
    },
    /// It could not be decided.
    Undecided,
}
codec!(enum Outcome { 0 = Upheld, 1 = Overturned { root }, 2 = Undecided });

impl Outcome {
    /// Returns the outcome's name in lower case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::Overturned { .. } => "overturned",
            Self::Undecided => "undecided",
        }
    }
}

/// How a dispute is decided, and how far that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Game {
    /// Every validator does the work once more; more than two thirds of equal roots decide.
    Rerun(Rerun),
    /// The provider narrows the computation down to one step.
    Bisection(Bisection),
}
codec!(enum Game { 0 = Rerun(rerun), 1 = Bisection(bisection) });

/// What validators said so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Rerun {
    /// Their rulings, in the order in which they came.
    pub rulings: List<Ruled, VALIDATORS_MAX>,
}
codec!(struct Rerun { rulings });

/// What a validator said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ruled {
    /// The validator's key.
    pub validator: PublicKey,
    /// What it said.
    pub ruling: Ruling,
}
codec!(struct Ruled { validator, ruling });

/// What doing the work once more gave a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Ruling {
    /// This root.
    Root {
        /// The work root of a right receipt.
        root: Hash,
    },
    /// Its two engines do not give the same.
    Differs,
    /// The inputs could not be had, or this machine could not do it.
    Unavailable,
}
codec!(enum Ruling { 0 = Root { root }, 1 = Differs, 2 = Unavailable });

impl Ruling {
    /// Returns the ruling's name in lower case.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Root { .. } => "root",
            Self::Differs => "differs",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Where the game of bisection stands. The provider's computation is a chain of roots; both sides
/// agree on the first of the stretch and disagree on the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bisection {
    /// The number of the first step of the stretch.
    pub first: u64,
    /// How many steps it has.
    pub steps: u64,
    /// The root before its first step.
    pub before: Hash,
    /// The root after its last step, as the provider says.
    pub after: Hash,
    /// Whose move it is.
    pub turn: Turn,
}
codec!(struct Bisection { first, steps, before, after, turn });

/// Whose move it is, and which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Turn {
    /// The provider says the roots between the equal parts of the stretch.
    Divide,
    /// The accuser says in which part it disagrees.
    Pick {
        /// The roots between the parts.
        roots: List<Hash, BISECTION_ROOTS_MAX>,
    },
    /// The provider shows what the one step that is left reads.
    Show,
}
codec!(enum Turn { 0 = Divide, 1 = Pick { roots }, 2 = Show });

/// A move in a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Argument {
    /// What doing the work once more gave; for validators.
    Rule {
        /// What it gave.
        ruling: Ruling,
    },
    /// The roots between the equal parts of the stretch; for the provider.
    Divide {
        /// The roots.
        roots: List<Hash, BISECTION_ROOTS_MAX>,
    },
    /// The first part in which it disagrees, from 0; for the accuser.
    Pick {
        /// The part.
        part: u8,
    },
    /// What the step reads; for the provider.
    Show {
        /// Encoded as the class says.
        witness: Blob<WITNESS_BYTES_MAX>,
    },
}
codec!(enum Argument {
    0 = Rule { ruling },
    1 = Divide { roots },
    2 = Pick { part },
    3 = Show { witness },
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Assignment, Duration, Finding};

    #[test]
    fn an_outcome_refutes_whom_it_shows_to_be_wrong_and_nobody_else() {
        let [work, right, other] = [1, 2, 3].map(|number| Hash::from_bytes([number; 32]));
        let auditors = [1, 2, 3].map(|number| crate::SecretKey::from_bytes([number; 32]).address());
        let bisection =
            Bisection { first: 0, steps: 1, before: work, after: work, turn: Turn::Show };
        let check = |game: &Game, outcome: Outcome, refuted: [bool; 3]| {
            let dispute = Dispute {
                lease: LeaseId::from_bytes([0; 32]),
                opened: Time::from_ms(0),
                accuser: Accuser::Auditor { address: auditors[1] },
                work_root: work,
                game: game.clone(),
                outcome: Some(outcome),
            };
            let found = auditors.iter().zip([work, right, other]);
            let found: Vec<bool> =
                found.map(|(auditor, root)| dispute.refutes(auditor, &root)).collect();
            assert_eq!(found, refuted, "{dispute:?}");
        };
        let (rerun, bisection) = (Game::Rerun(Rerun::default()), Game::Bisection(bisection));
        check(&rerun, Outcome::Upheld, [false, true, true]);
        check(&rerun, Outcome::Overturned { root: Some(right) }, [true, false, true]);
        check(&rerun, Outcome::Undecided, [false, false, false]);
        check(&bisection, Outcome::Upheld, [false, true, false]);
        check(&bisection, Outcome::Overturned { root: None }, [false, false, false]);
    }

    #[test]
    fn who_wins_a_bisection_has_not_won_against_other_accusers() {
        let [work, other] = [1, 2].map(|number| Hash::from_bytes([number; 32]));
        let auditors = [1, 2].map(|number| crate::SecretKey::from_bytes([number; 32]).address());
        let lease = LeaseId::from_bytes([0; 32]);
        let finding = Some(Finding::Work { result_root: other, trace_root: other });
        let assigned = |auditor: &Address| Assignment {
            auditor: *auditor,
            round: 1,
            time: Duration::from_ms(1),
            commitment: None,
            finding,
        };
        let (fee, beacon) = (Amount::ZERO, work);
        let audit = |count: usize| Audit {
            lease,
            work_root: work,
            fee,
            round: 1,
            beacon,
            assignments: List::new(auditors[..count].iter().map(assigned).collect()).unwrap(),
        };
        let dispute = Dispute {
            lease,
            opened: Time::from_ms(0),
            accuser: Accuser::Auditor { address: auditors[0] },
            work_root: work,
            game: Game::Bisection(Bisection {
                first: 0,
                steps: 1,
                before: work,
                after: work,
                turn: Turn::Show,
            }),
            outcome: Some(Outcome::Upheld),
        };
        assert_eq!(dispute.check(Some(&audit(1))), Some(CheckState::Passed));
        assert_eq!(dispute.check(Some(&audit(2))), Some(CheckState::Undecided));
        let rerun = Dispute { game: Game::Rerun(Rerun::default()), ..dispute };
        assert_eq!(rerun.check(Some(&audit(2))), Some(CheckState::Passed));
    }
}
