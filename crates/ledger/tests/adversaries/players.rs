//! How auditors and validators play.

use types::{Action, Argument, CheckState, Dispute, Finding, Hash, LeaseId, Opening, Ruling};

use crate::world::{AUDITORS, Job, VALIDATORS, World, address, found};

/// How an auditor plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auditing {
    /// Does the work and says what it gave.
    Honest,
    /// Says what the coalition's receipts say, and is honest about all others.
    Colludes,
    /// As one who colludes, but accuses where somebody honest was drawn too.
    Turncoat,
    /// Says that it could not be done.
    Unavailable,
    /// Says what it made up.
    Guesses,
    /// Says with its friends that right work is wrong.
    Frames,
    /// Does nothing.
    Absent,
    /// Commits and does not reveal.
    Silent,
}

/// How a validator plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judging {
    Honest,
    /// Says what the coalition says.
    Lies,
}

impl World {
    /// Lets auditors and validators act in this block; returns whether anybody did.
    pub(crate) fn act(&mut self) -> bool {
        let open: Vec<Job> = self.jobs.iter().filter(|job| !job.is_over).copied().collect();
        let mut acted = false;
        for job in open {
            let Some(lease) = self.ledger.lease(&job.lease) else { continue };
            acted |= match lease.check {
                CheckState::Committing { .. } => self.commit(&job),
                CheckState::Revealing { .. } => self.reveal(&job),
                CheckState::Disputed { .. } => self.rule(&job),
                _ => false,
            };
        }
        acted
    }

    /// Returns the names of the round's auditors.
    pub(crate) fn drawn(&self, lease: LeaseId) -> Vec<&'static str> {
        let Some(audit) = self.ledger.audit(&lease) else { return Vec::new() };
        let is_drawn = |name: &&str| audit.current().any(|one| one.auditor == address(name));
        AUDITORS.into_iter().filter(is_drawn).collect()
    }

    fn commit(&mut self, job: &Job) -> bool {
        let mut acted = false;
        for name in self.drawn(job.lease) {
            if self.committed.contains_key(&(job.lease, name)) {
                continue;
            }
            let Some(finding) = self.finding(name, job) else { continue };
            self.committed.insert((job.lease, name), finding);
            let opening = opening(job.lease, name, finding);
            self.ok(name, Action::CommitAudit { lease: job.lease, commitment: opening.commit() });
            acted = true;
        }
        acted
    }

    fn finding(&mut self, name: &'static str, job: &Job) -> Option<Finding> {
        match self.auditing[name] {
            Auditing::Absent => None,
            Auditing::Unavailable => Some(Finding::Unavailable),
            Auditing::Guesses => Some(found(name, job.lease)),
            Auditing::Frames => Some(found("frame", job.lease)),
            Auditing::Silent => Some(job.truth),
            Auditing::Colludes if job.is_ours => Some(job.claimed),
            Auditing::Turncoat if job.is_ours && self.is_among_friends(job.lease) => {
                Some(job.claimed)
            }
            _ if job.is_withheld => Some(Finding::Unavailable),
            Auditing::Honest | Auditing::Colludes | Auditing::Turncoat => {
                self.cost(name, job.price);
                Some(job.truth)
            }
        }
    }

    /// Returns whether all auditors of the round are turncoats.
    fn is_among_friends(&self, lease: LeaseId) -> bool {
        self.drawn(lease).iter().all(|name| self.auditing[name] == Auditing::Turncoat)
    }

    fn reveal(&mut self, job: &Job) -> bool {
        let audit = self.ledger.audit(&job.lease).expect("it is being revealed");
        let mut acted = false;
        for name in self.drawn(job.lease) {
            let mine = audit.current().find(|one| one.auditor == address(name));
            let is_done = mine.is_none_or(|one| one.finding.is_some() || one.commitment.is_none());
            if is_done || self.auditing[name] == Auditing::Silent {
                continue;
            }
            let finding = self.committed[&(job.lease, name)];
            let Opening { lease, salt, .. } = opening(job.lease, name, finding);
            self.ok(name, Action::RevealAudit { lease, salt, finding });
            acted = true;
        }
        acted
    }

    fn rule(&mut self, job: &Job) -> bool {
        let mut acted = false;
        for (name, judging) in VALIDATORS.into_iter().zip(self.judging) {
            let root = match judging {
                Judging::Honest => job.truth.work_root(),
                Judging::Lies if job.is_ours => job.claimed.work_root(),
                Judging::Lies => found("frame", job.lease).work_root(),
            };
            let ruling = match root.filter(|_| !job.is_withheld || name != VALIDATORS[0]) {
                Some(root) => Ruling::Root { root },
                None => Ruling::Unavailable,
            };
            let (lease, argument) = (job.lease, Box::new(Argument::Rule { ruling }));
            let Some(Dispute { opened, .. }) = self.ledger.dispute(&lease) else { continue };
            acted |= self.run(name, Action::Argue { lease, opened, argument }).is_ok();
        }
        acted
    }
}

/// Returns what an auditor commits to.
pub(crate) fn opening(lease: LeaseId, name: &str, finding: Finding) -> Opening {
    let salt = Hash::of("adversary salt", &[name.as_bytes(), lease.as_bytes()]);
    Opening { lease, auditor: address(name), salt, finding }
}
