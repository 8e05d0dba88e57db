//! What to do about leases: the difference between what the ledger says and what is here.
//!
//! [`plan`] is a pure function of both. It never acts on a lease that it cannot see: one that is
//! at work here and not listed is looked up, and only the ledger's own word that it is closed
//! stops it. Done twice, a plan does nothing the second time, so an agent may plan whenever it
//! learns something, and again after a crash.
//!
//! | the ledger says | nothing here | at work | finished | delivered | given up, refused |
//! |---|---|---|---|---|---|
//! | pending | serve or refuse | – | serve | – | – |
//! | active | serve or refuse | – | deliver | – | give notice |
//! | reclaiming | serve or refuse | – | deliver | – | – |
//! | closing | – | – | deliver | – | – |
//! | closed | – | stop | keep if paid, then forget | keep if paid, then forget | forget |
//! | nothing | – | look | look | look | look |
//!
//! A listing may be older than what is here, so what was delivered is not delivered again because
//! one says that it was not.

use std::collections::BTreeMap;

use api::LeaseView;
use classes::job::{self, Spec, Usage};
use executors::wasm::specification::METERING_VERSION;
use thiserror::Error;
use types::{Address, Decode, Duration, Lease, LeaseId, LeaseState, PublicKey, Time};

/// Leases that one plan looks up.
pub(crate) const LOOKS_MAX: usize = 16;

/// Leases as the ledger has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// The leases.
    pub(crate) leases: BTreeMap<LeaseId, LeaseView>,
    /// Whether all leases of the provider that are not closed are among them.
    pub(crate) complete: bool,
}

impl Listing {
    /// Leaves out the leases that others provide: the account may be their tenant.
    pub(crate) fn of(mut self, provider: Address) -> Self {
        self.leases.retain(|_, view| view.lease.provider == provider);
        self
    }
}

/// What became of a lease here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is started and run; takes a slot.
    Serving,
    /// Its result is handed over.
    Delivering,
    /// Its result and receipt are on disk.
    Finished,
    /// The ledger has its receipt, too.
    Delivered,
    /// It cannot be done here.
    GivenUp,
    /// It is not taken.
    Refused,
    /// The tenant has notice that it is not served.
    Noticed,
}

/// A lease that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LocalLease {
    /// What became of it.
    pub(crate) stage: Stage,
    /// When it was last looked up.
    pub(crate) looked: Time,
    /// When the node was last seen to have its result.
    pub(crate) kept: Time,
    /// When the lease ends at the latest.
    pub(crate) ends: Time,
}

/// What the agent does and does not do.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    /// The account that earns.
    pub(crate) provider: Address,
    /// The key that it signs with.
    pub(crate) node_key: PublicKey,
    /// Leases that it serves at a time.
    pub(crate) slots: usize,
    /// Whether it takes leases.
    pub(crate) accepting: bool,
    /// The most memory of a job.
    pub(crate) memory_pages_max: u32,
    /// The most output of a job.
    pub(crate) output_bytes_max: u64,
    /// The least time that a lease must have left when it is taken.
    pub(crate) time_left_min: Duration,
    /// How often a lease that is at work and not listed is looked up.
    pub(crate) look_interval: Duration,
    /// How often a lease that is at rest is looked up, and its result seen to.
    pub(crate) keep_interval: Duration,
    /// How long results are kept after they were paid.
    pub(crate) keep_after: Duration,
    /// How long after a lease's end its record goes, whatever the ledger says.
    pub(crate) record_age_max: Duration,
    /// The network's least notice.
    pub(crate) reclaim_notice: Duration,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Start the lease if need be, run it, deliver.
    Serve(LeaseId),
    /// Do not take the lease.
    Refuse(LeaseId, Refusal),
    /// Hand over the result that is on disk.
    Deliver(LeaseId),
    /// Give notice that the lease is not served.
    Notice(LeaseId),
    /// End what is at work for the lease.
    Stop(LeaseId),
    /// Ask the ledger for the lease by its name.
    Look(LeaseId),
    /// See to it that the node has the result.
    Keep(LeaseId),
    /// Forget the lease and its result.
    Forget(LeaseId),
}

/// Why a lease is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error("its class is not served here")]
    Class,
    #[error("it is pinned to another node key")]
    NodeKey,
    #[error("its specification cannot be read")]
    Specification,
    #[error("it asks for another version of the metering")]
    Metering,
    #[error("it may use more memory than a job gets here")]
    Memory,
    #[error("it may write more than is kept of a job here")]
    Output,
    #[error("it ends too soon to be served")]
    TooLate,
}

/// Returns what to do at `now`, in an order in which it can be done.
pub(crate) fn plan(
    now: Time,
    listing: &Listing,
    local: &BTreeMap<LeaseId, LocalLease>,
    policy: &Policy,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut candidates = Vec::new();
    for (id, view) in &listing.leases {
        match (local.get(id), &view.lease.state) {
            (None, _) => {
                if is_over(&view.lease.state) {
                    continue;
                }
                match accept(now, view, policy) {
                    Ok(()) => candidates.push(&view.lease),
                    Err(refusal) => steps.push(Step::Refuse(*id, refusal)),
                }
            }
            // A ledger that went back to before the start: what is on disk has another start.
            (Some(LocalLease { stage: Stage::Finished, .. }), LeaseState::Pending { .. }) => {
                candidates.push(&view.lease);
            }
            (Some(known), _) => steps.extend(known_step(now, &view.lease, known, policy)),
        }
    }
    if policy.accepting {
        let taken = local.values().filter(|lease| lease.stage == Stage::Serving).count();
        // What was started first: it is owed. Then by age.
        candidates.sort_by_key(|lease| {
            let pending = matches!(lease.state, LeaseState::Pending { .. });
            (pending, lease.created, lease.id)
        });
        let room = policy.slots.saturating_sub(taken);
        steps.extend(candidates.iter().take(room).map(|lease| Step::Serve(lease.id)));
    }
    steps.extend(unseen_steps(now, listing, local, policy));
    steps
}

/// Returns what to do about a lease that is both listed and known here.
fn known_step(now: Time, lease: &Lease, known: &LocalLease, policy: &Policy) -> Option<Step> {
    let id = lease.id;
    match (known.stage, lease.state) {
        // Closed by its receipt, whose answer is on its way.
        (Stage::Delivering, LeaseState::Closed { .. }) if lease.receipts > 0 => None,
        (Stage::Serving | Stage::Delivering, LeaseState::Closed { .. }) => Some(Step::Stop(id)),
        // Room that it took for nothing would be free to take.
        (_, LeaseState::Closed { .. }) if lease.receipts == 0 => Some(Step::Forget(id)),
        (Stage::Finished | Stage::Delivered, LeaseState::Closed { at, .. }) => {
            let paid = lease.release.unwrap_or(at).max(at);
            if paid.after(policy.keep_after) < now {
                Some(Step::Forget(id))
            } else if known.kept.after(policy.keep_interval) <= now {
                Some(Step::Keep(id))
            } else {
                None
            }
        }
        (_, LeaseState::Closed { .. }) => Some(Step::Forget(id)),
        (Stage::Finished, _) if lease.receipts == 0 => Some(Step::Deliver(id)),
        (Stage::GivenUp | Stage::Refused, LeaseState::Active { .. }) => {
            // Where the notice would be longer than the lease, its end comes first anyway.
            let until = now.after(policy.reclaim_notice).after(policy.time_left_min);
            (until < lease.ends).then_some(Step::Notice(id))
        }
        _ => None,
    }
}

/// Returns what to do about leases that are known here and not listed.
fn unseen_steps<'a>(
    now: Time,
    listing: &'a Listing,
    local: &'a BTreeMap<LeaseId, LocalLease>,
    policy: &'a Policy,
) -> impl Iterator<Item = Step> + 'a {
    let unseen =
        local.iter().filter(|(id, _)| listing.complete && !listing.leases.contains_key(*id));
    let mut due: Vec<(Time, Step)> = unseen
        .filter_map(|(id, known)| {
            let (interval, at_rest) = match known.stage {
                Stage::Serving | Stage::Delivering => (policy.look_interval, false),
                _ => (policy.keep_interval, true),
            };
            if at_rest && known.ends.after(policy.record_age_max) < now {
                return Some((Time::from_ms(0), Step::Forget(*id)));
            }
            let due = known.looked.after(interval) <= now;
            due.then_some((known.looked, Step::Look(*id)))
        })
        .collect();
    due.sort_by_key(|(looked, _)| *looked);
    due.into_iter().map(|(_, step)| step).take(LOOKS_MAX)
}

/// Returns whether nothing is to be begun for a lease any more.
const fn is_over(state: &LeaseState) -> bool {
    matches!(state, LeaseState::Closing { .. } | LeaseState::Closed { .. })
}

/// Checks that a lease can be served here.
fn accept(now: Time, view: &LeaseView, policy: &Policy) -> Result<(), Refusal> {
    let lease = &view.lease;
    if lease.class != job::ID {
        return Err(Refusal::Class);
    }
    if lease.node_key != policy.node_key {
        return Err(Refusal::NodeKey);
    }
    let spec = specification(view).ok_or(Refusal::Specification)?;
    if spec.metering != METERING_VERSION {
        return Err(Refusal::Metering);
    }
    if spec.limits.memory_pages > policy.memory_pages_max {
        return Err(Refusal::Memory);
    }
    if spec.limits.output_bytes > policy.output_bytes_max {
        return Err(Refusal::Output);
    }
    if deadline(lease).since(now) < policy.time_left_min {
        return Err(Refusal::TooLate);
    }
    Ok(())
}

/// Returns the specification of a lease, if it is that of a job.
pub(crate) fn specification(view: &LeaseView) -> Option<Spec> {
    let spec = Spec::from_bytes(view.order.terms.spec.as_slice()).ok()?;
    spec.validate().ok()?;
    Some(spec)
}

/// Returns the fuel that a job used, as its last receipt says.
pub(crate) fn billed(view: &LeaseView) -> Option<u64> {
    let usage = &view.receipts.last()?.receipt.usage;
    Some(Usage::from_bytes(usage.as_slice()).ok()?.fuel)
}

/// Returns when work for a lease must be handed in.
pub(crate) fn deadline(lease: &Lease) -> Time {
    match lease.state {
        LeaseState::Reclaiming { deadline, .. } => deadline.min(lease.ends),
        LeaseState::Closing { until, .. } => until,
        _ => lease.ends,
    }
}

#[cfg(test)]
mod tests;
