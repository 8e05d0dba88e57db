//! What the test met, so that it cannot silently stop testing.

use std::{collections::BTreeMap, fmt};

use types::{Accuser, Event, LeaseId, Reject, Verified};

/// Rejections that no sequence of transactions reaches, and why.
const UNREACHABLE: [(Reject, &str); 3] = [
    (Reject::ReceiptUsage, "a job has one receipt, and its class refuses fuel above the limit"),
    (Reject::AmountRange, "all that may be issued of an asset fits an amount"),
    (Reject::Invariant, "it says that the ledger is wrong"),
];

/// Kinds of events, but for the moves of a bisection, which no class has.
const EVENTS: usize = 38;

/// Counts of what was met.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    accepted: BTreeMap<&'static str, u64>,
    rejected: BTreeMap<Reject, u64>,
    events: BTreeMap<String, u64>,
    reasons: BTreeMap<&'static str, u64>,
    checks: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<(&'static str, &'static str), u64>,
    rounds: BTreeMap<u8, u64>,
    /// Draws that came in the next block, in the one after that, and later.
    draws: [u64; 3],
    /// Who disputes what has no outcome yet.
    accusers: BTreeMap<LeaseId, &'static str>,
    /// Blocks that worked through as much as a block may.
    pub(crate) backlogs: u64,
    /// Blocks that examined as many offers as a block may.
    pub(crate) exhausted: u64,
    /// Blocks refused for their time or their leader.
    pub(crate) refused: u64,
    pub(crate) blocks: u64,
}

impl Coverage {
    pub(crate) fn count_answer(&mut self, verified: &Verified, answer: Result<(), Reject>) {
        match answer {
            Ok(()) => {
                *self.accepted.entry(verified.transaction().action.name()).or_insert(0) += 1;
            }
            Err(reject) => *self.rejected.entry(reject).or_insert(0) += 1,
        }
    }

    pub(crate) fn count_draw(&mut self, blocks: u64) {
        let index = usize::try_from(blocks - 1).expect("few blocks").min(self.draws.len() - 1);
        self.draws[index] += 1;
    }

    pub(crate) fn count_event(&mut self, event: &Event) {
        let shown = format!("{event:?}");
        let kind = shown.split(' ').next().unwrap_or_default();
        *self.events.entry(kind.to_owned()).or_insert(0) += 1;
        match event {
            Event::LeaseClosed { reason, .. } => {
                *self.reasons.entry(reason.name()).or_insert(0) += 1;
            }
            Event::Checked { check, .. } => {
                *self.checks.entry(check.name()).or_insert(0) += 1;
            }
            Event::AuditDrawn { round, .. } => *self.rounds.entry(*round).or_insert(0) += 1,
            Event::DisputeOpened { lease, accuser, .. } => {
                self.accusers.insert(*lease, accuser_name(accuser));
            }
            Event::DisputeEnded { lease, outcome, .. } => {
                let accuser = self.accusers.remove(lease).expect("it was opened");
                *self.outcomes.entry((accuser, outcome.name())).or_insert(0) += 1;
            }
            _ => {}
        }
    }

    /// Asserts that each action was accepted at least `least` times, and that each rejection,
    /// event, reason and bound was met.
    pub(crate) fn assert_complete(&self, least: u64) {
        assert_eq!(self.accepted.len(), 22, "every action was accepted: {self}");
        for (action, count) in &self.accepted {
            assert!(*count >= least, "{action} was accepted {count} times, at least {least}");
        }
        for reject in Reject::ALL {
            let expected = UNREACHABLE.iter().all(|(unreachable, _)| unreachable != reject);
            let met = self.rejected.contains_key(reject);
            assert_eq!(met, expected, "{} is met exactly if it can be", reject.code());
        }
        assert_eq!(self.events.len(), EVENTS, "every kind of event: {self}");
        assert_eq!(self.reasons.len(), 5, "every reason to close: {self}");
        assert_eq!(self.checks.len(), 7, "every end of a check: {self}");
        assert_eq!(self.outcomes.len(), 9, "every outcome for each accuser: {self}");
        assert_eq!(self.rounds.len(), 3, "every round of audits: {self}");
        assert!(self.draws.iter().all(|count| *count > 0), "draws that wait: {self}");
        assert!(self.backlogs > 0, "some block had more due than it may work through");
        assert!(self.exhausted > 0, "some block examined as many offers as it may");
        assert!(self.refused > 0, "some block had a wrong time or leader");
    }
}

const fn accuser_name(accuser: &Accuser) -> &'static str {
    match accuser {
        Accuser::Auditor { .. } => "auditor",
        Accuser::Tenant { .. } => "tenant",
        Accuser::Nobody => "nobody",
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, refused, backlogs, exhausted, .. } = self;
        let accepted: u64 = self.accepted.values().sum();
        let rejected: u64 = self.rejected.values().sum();
        writeln!(
            f,
            "{blocks} blocks, {refused} refused, {backlogs} worked through as much as they may,"
        )?;
        writeln!(f, "{exhausted} examined as many offers as they may")?;
        writeln!(f, "{accepted} accepted: {:?}", self.accepted)?;
        let codes: Vec<_> =
            self.rejected.iter().map(|(reject, count)| (reject.code(), count)).collect();
        writeln!(f, "{rejected} rejected: {codes:?}")?;
        writeln!(f, "events: {:?}", self.events)?;
        writeln!(f, "leases closed: {:?}", self.reasons)?;
        writeln!(f, "checks: {:?}, rounds: {:?}", self.checks, self.rounds)?;
        writeln!(f, "draws in the next block, the one after that, and later: {:?}", self.draws)?;
        writeln!(f, "disputes: {:?}", self.outcomes)?;
        for (reject, why) in UNREACHABLE {
            writeln!(f, "never {}: {why}", reject.code())?;
        }
        Ok(())
    }
}
