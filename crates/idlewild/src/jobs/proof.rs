//! What became of a lease, as its bundle proves it: the node's word counts for nothing here.

use api::{Bundle, Client};
use classes::job::{Limits, Spec, Usage};
use types::{ContentHash, Decode, Encode, Hash, Lease, LeaseId, LeaseState, SignedReceipt};

use crate::failure::{Exit, Explain, Failure, Outcome};
use crate::network::Signer;
use crate::verify::{self, Proven};

/// What to do about a node that cannot prove what it says.
const DISTRUST: &str = "do not trust this node; ask another with --node URL";

/// A job that is done and paid, all of it proven.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    /// The lease, settled.
    pub(crate) lease: Lease,
    /// Its receipt.
    pub(crate) receipt: SignedReceipt,
    /// What it used and how it ended.
    pub(crate) usage: Usage,
    /// What it could use at most.
    pub(crate) limits: Limits,
    /// The manifest of what it saw as `/in`.
    pub(crate) input: Option<ContentHash>,
    /// How often it was placed.
    pub(crate) attempts: u32,
    /// The proof.
    pub(crate) bundle: Box<Bundle>,
}

/// Gets a lease's bundle from a node and checks all of it.
///
/// # Errors
/// When there is none, it does not hold, or is of another network or lease.
pub(crate) async fn prove(
    client: &Client,
    genesis: &Hash,
    lease: LeaseId,
) -> Outcome<(Bundle, Proven)> {
    let bundle = client.bundle(lease).await?;
    let proven = verify::check(&bundle)
        .because(format_args!("the node's proof of lease {lease} does not hold"))
        .hint(DISTRUST)?;
    let wrong = |what: &str| Failure::new(Exit::Failed, what).hint(DISTRUST);
    if proven.genesis != *genesis {
        return Err(wrong("the node proves a lease of another network"));
    }
    if proven.lease.id != lease {
        return Err(wrong("the node proves another lease"));
    }
    Ok((bundle, proven))
}

impl Done {
    /// Takes a proven lease as a job that is done; nothing if it is closed without a receipt.
    ///
    /// # Errors
    /// When the lease is not closed, or was not one of a job.
    pub(crate) fn of(bundle: Bundle, proven: Proven) -> Outcome<Option<Self>> {
        let Proven { lease, order, receipts, .. } = proven;
        if !matches!(lease.state, LeaseState::Closed { .. }) {
            let text = format!("lease {} is {}, not closed", lease.id, lease.state.name());
            return Err(Failure::new(Exit::Failed, text).hint("wait for its end"));
        }
        if lease.class != classes::job::ID {
            let text = format!("lease {} is not one of a job", lease.id);
            return Err(Failure::new(Exit::Failed, text).hint("name a lease of `idlewild run`"));
        }
        let Some(receipt) = receipts.into_iter().last() else { return Ok(None) };
        let usage = Usage::from_bytes(receipt.receipt.usage.as_slice())
            .because("the receipt's usage cannot be decoded")?;
        let spec = Spec::from_bytes(order.terms.spec.as_slice())
            .because("the order's specification cannot be decoded")?;
        let Spec { limits, input, .. } = spec;
        let bundle = Box::new(bundle);
        Ok(Some(Self { lease, receipt, usage, limits, input, attempts: 1, bundle }))
    }
}

/// How a closed lease ended.
pub(super) enum Closed {
    /// With a receipt.
    Done(Box<Done>),
    /// Without one.
    Empty(Box<Lease>),
}

/// Returns how a lease of this tenant, for a job of this specification, ended.
///
/// # Errors
/// As [`prove`], or when the lease is somebody else's or for another job.
pub(super) async fn ended(signer: &Signer, lease: LeaseId, spec: &Spec) -> Outcome<Closed> {
    let (bundle, proven) = prove(&signer.client, &signer.genesis, lease).await?;
    let own = proven.lease.tenant == signer.address()
        && proven.order.terms.spec.as_slice() == spec.to_bytes();
    if !own {
        let text = format!("lease {lease} is not for the job that was ordered");
        return Err(Failure::new(Exit::Failed, text).hint(DISTRUST));
    }
    let lease = proven.lease.clone();
    Ok(match Done::of(bundle, proven)? {
        Some(done) => Closed::Done(Box::new(done)),
        None => Closed::Empty(Box::new(lease)),
    })
}
