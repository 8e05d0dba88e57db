//! What the agent needs of the network: a trait, so that tests can be the network, and the
//! node's API behind it.

use std::{path::Path, sync::Arc};

use api::{
    AuditQuery, Client, ClientError, ContentError, DisputeQuery, EventFilter, LeaseFilter,
    LeaseQuery, LeaseView, OfferView, SubmitError, Submitter, limits::PAGE_ITEMS_MAX,
};
use classes::job;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use types::{Action, Address, Auditor, ContentHash, Event, Hash, LeaseId, Reject, SecretKey, Time};

use crate::{backoff::Backoff, plan::Listing, runner::chain};

/// Actions that wait to be submitted.
const ACTIONS_WAITING_MAX: usize = 1024;
/// Actions of one batch.
const BATCH_ACTIONS_MAX: usize = 256;
/// Pages of one listing.
const PAGES_MAX: usize = 64;

/// Why the network did not do something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MarketError {
    /// It cannot be reached; the same may succeed later.
    #[error("{0}")]
    Away(String),
    /// It does not have what was asked for, or does not show it.
    #[error("{0}")]
    Absent(String),
    /// This machine cannot keep what it was given.
    #[error("{0}")]
    Disk(String),
    /// It refused.
    #[error("{text}")]
    Refused {
        /// The ledger's rejection, if it was one.
        reject: Option<Reject>,
        /// Code and meaning.
        text: String,
    },
}

/// Something happened that may need an act; never acted on without asking the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    /// A lease was opened.
    Opened(LeaseId),
    /// A lease's state changed.
    Changed(LeaseId),
    /// An audit or a dispute may wait for something.
    Audit,
    /// Something else changed, or events may have been missed.
    List,
}

/// The network, as a provider sees it.
pub(crate) trait Market: Send + Sync + 'static {
    /// Returns what time it is on the network, as far as this machine knows.
    fn now(&self) -> Time {
        api::now()
    }

    /// Returns the provider's leases that are not closed, all of them, and its offers.
    fn list(&self) -> impl Future<Output = Result<(Listing, Vec<OfferView>), MarketError>> + Send;

    /// Returns a lease.
    fn lease(&self, id: LeaseId) -> impl Future<Output = Result<LeaseView, MarketError>> + Send;

    /// Submits an action in the name of the node key and waits until it is on disk.
    fn submit(&self, action: Action) -> impl Future<Output = Result<(), MarketError>> + Send;

    /// Returns how many more leases may go without a start in this epoch before the ledger takes
    /// the provider's offers off the market.
    fn no_starts_left(&self) -> impl Future<Output = Result<u32, MarketError>> + Send;

    /// Writes content that a lease names to a new file, and returns its length.
    fn fetch(
        &self,
        lease: LeaseId,
        hash: ContentHash,
        path: &Path,
        bytes_max: u64,
    ) -> impl Future<Output = Result<u64, MarketError>> + Send;

    /// Returns whether the node has content that a lease names, and shows it for that lease.
    fn has(
        &self,
        lease: LeaseId,
        hash: ContentHash,
    ) -> impl Future<Output = Result<bool, MarketError>> + Send;

    /// Gives content to the node.
    fn store(&self, content: Arc<[u8]>) -> impl Future<Output = Result<(), MarketError>> + Send;

    /// Returns what this provider is as an auditor of jobs.
    fn auditor(&self) -> impl Future<Output = Result<Option<Auditor>, MarketError>> + Send;

    /// Returns the leases whose audits this provider has to do, a page of them at most: no
    /// auditor here takes on as many.
    fn audits(&self) -> impl Future<Output = Result<Vec<LeaseView>, MarketError>> + Send;

    /// Returns the leases over which disputes are open, all of them.
    fn disputes(&self) -> impl Future<Output = Result<Vec<LeaseView>, MarketError>> + Send;

    /// Sends hints as long as somebody takes them.
    fn hints(&self, hints: mpsc::Sender<Hint>) -> impl Future<Output = ()> + Send;
}

impl From<ClientError> for MarketError {
    fn from(error: ClientError) -> Self {
        let text = chain(&error);
        if error.is_transient() {
            Self::Away(text)
        } else if error.is_unknown() {
            Self::Absent(text)
        } else {
            Self::Refused { reject: None, text }
        }
    }
}

impl From<ContentError> for MarketError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Client(error) => error.into(),
            ContentError::File { .. } => Self::Disk(chain(&error)),
            // Another node behind the same address may be honest, but this one is not trusted.
            other => Self::Refused { reject: None, text: chain(&other) },
        }
    }
}

impl From<SubmitError> for MarketError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Client(error) => error.into(),
            SubmitError::Refused(refusal) => refusal.into(),
        }
    }
}

impl From<api::Refusal> for MarketError {
    fn from(refusal: api::Refusal) -> Self {
        let text = format!("{} ({})", refusal.meaning, refusal.code);
        if refusal.code == api::Refusal::BUSY {
            return Self::Away(text);
        }
        Self::Refused { reject: refusal.reject(), text }
    }
}

type Waiting = (Action, oneshot::Sender<Result<(), MarketError>>);

/// A node's API.
#[derive(Debug)]
pub(crate) struct NodeMarket {
    client: Client,
    key: Arc<SecretKey>,
    genesis: Hash,
    provider: Address,
    filter: EventFilter,
    actions: mpsc::Sender<Waiting>,
}

impl NodeMarket {
    /// Takes a node, and the key that signs in the name of `provider`.
    pub(crate) fn new(
        client: Client,
        key: Arc<SecretKey>,
        genesis: Hash,
        provider: Address,
    ) -> Self {
        let filter = EventFilter { account: Some(provider), ..EventFilter::default() };
        Self::filtered(client, key, genesis, provider, filter)
    }

    /// Takes a node, and the key of a validator, who acts on disputes only.
    pub(crate) fn of_validator(client: Client, key: Arc<SecretKey>, genesis: Hash) -> Self {
        let address = key.address();
        let kind = Some("dispute-opened".to_owned());
        let filter = EventFilter { kind, ..EventFilter::default() };
        Self::filtered(client, key, genesis, address, filter)
    }

    fn filtered(
        client: Client,
        key: Arc<SecretKey>,
        genesis: Hash,
        provider: Address,
        filter: EventFilter,
    ) -> Self {
        let (actions, waiting) = mpsc::channel(ACTIONS_WAITING_MAX);
        let submitter = Submitter::new(client.clone(), Arc::clone(&key), genesis);
        tokio::spawn(submit_batches(submitter, waiting));
        Self { client, key, genesis, provider, filter, actions }
    }
}

/// Submits what has come together while the last batch was under way.
async fn submit_batches(submitter: Submitter, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH_ACTIONS_MAX).await > 0 {
        let (actions, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        match submitter.submit_all(actions).await {
            Ok(results) => {
                for (answer, result) in answers.into_iter().zip(results) {
                    // Who asked may have been stopped meanwhile.
                    let _ = answer.send(result.map(|_| ()).map_err(MarketError::from));
                }
            }
            Err(error) => {
                let error = MarketError::from(error);
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

impl Market for NodeMarket {
    async fn list(&self) -> Result<(Listing, Vec<OfferView>), MarketError> {
        let mut listing = Listing::default();
        let mut query = LeaseQuery {
            provider: Some(self.provider),
            state: Some(LeaseFilter::Open),
            limit: Some(PAGE_ITEMS_MAX),
            ..LeaseQuery::default()
        };
        for _ in 0..PAGES_MAX {
            let page = self.client.leases(&query).await?;
            listing.leases.extend(page.items.into_iter().map(|view| (view.lease.id, view)));
            query.after = page.next;
            if query.after.is_none() {
                listing.complete = true;
                break;
            }
        }
        let mut offers = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let page = self.client.offers_of(self.provider, after, Some(PAGE_ITEMS_MAX)).await?;
            offers.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok((listing, offers))
    }

    async fn lease(&self, id: LeaseId) -> Result<LeaseView, MarketError> {
        Ok(self.client.lease(id).await?)
    }

    async fn submit(&self, action: Action) -> Result<(), MarketError> {
        let stopped = || MarketError::Away("the agent stops".to_owned());
        let (answer, result) = oneshot::channel();
        self.actions.send((action, answer)).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    async fn no_starts_left(&self) -> Result<u32, MarketError> {
        let epoch = self.client.network().await?.epoch;
        let most = self.client.parameters().await?.no_starts_max;
        let known = self.client.account(self.provider).await?.provider;
        let counted = known.filter(|known| known.no_starts_epoch == epoch);
        let counted = counted.map_or(0, |known| known.no_starts);
        Ok(most.saturating_sub(1).saturating_sub(counted))
    }

    async fn fetch(
        &self,
        lease: LeaseId,
        hash: ContentHash,
        path: &Path,
        bytes_max: u64,
    ) -> Result<u64, MarketError> {
        let (key, genesis) = (&self.key, &self.genesis);
        Ok(self.client.fetch_file(key, genesis, hash, Some(lease), path, bytes_max).await?)
    }

    async fn has(&self, lease: LeaseId, hash: ContentHash) -> Result<bool, MarketError> {
        Ok(self.client.has_content(&self.key, &self.genesis, hash, Some(lease)).await?)
    }

    async fn store(&self, content: Arc<[u8]>) -> Result<(), MarketError> {
        let content = content.to_vec();
        self.client.store(&self.key, &self.genesis, content).await?;
        Ok(())
    }

    async fn auditor(&self) -> Result<Option<Auditor>, MarketError> {
        let known = self.client.account(self.provider).await?.auditor;
        Ok(known.into_iter().find(|auditor| auditor.terms.class == job::ID))
    }

    async fn audits(&self) -> Result<Vec<LeaseView>, MarketError> {
        let query = AuditQuery {
            auditor: Some(self.provider),
            limit: Some(PAGE_ITEMS_MAX),
            ..AuditQuery::default()
        };
        Ok(self.client.audits(&query).await?.items)
    }

    async fn disputes(&self) -> Result<Vec<LeaseView>, MarketError> {
        let mut query =
            DisputeQuery { open: true, limit: Some(PAGE_ITEMS_MAX), ..DisputeQuery::default() };
        let mut views = Vec::new();
        for _ in 0..PAGES_MAX {
            let page = self.client.disputes(&query).await?;
            views.extend(page.items);
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        Ok(views)
    }

    async fn hints(&self, hints: mpsc::Sender<Hint>) {
        let mut backoff = Backoff::new();
        while !hints.is_closed() {
            match self.client.events(self.filter.clone()).await {
                Ok(mut events) => {
                    // What happened before the stream stood is in the next listing.
                    let _ = hints.send(Hint::List).await;
                    while let Ok(record) = events.next().await {
                        backoff = Backoff::new();
                        let Some(hint) = hint(&record.event) else { continue };
                        if hints.send(hint).await.is_err() {
                            return;
                        }
                    }
                }
                Err(error) => tracing::debug!("no events: {}", chain(&error)),
            }
            backoff.wait().await;
        }
    }
}

/// Returns what an event hints at.
const fn hint(event: &Event) -> Option<Hint> {
    match event {
        Event::LeaseOpened { lease, .. } => Some(Hint::Opened(*lease)),
        Event::LeaseReclaiming { lease, .. }
        | Event::LeaseClosing { lease, .. }
        | Event::LeaseClosed { lease, .. } => Some(Hint::Changed(*lease)),
        Event::AuditDrawn { .. } | Event::AuditRevealing { .. } | Event::DisputeOpened { .. } => {
            Some(Hint::Audit)
        }
        Event::OfferPosted { .. } | Event::OfferRetired { .. } | Event::Suspended { .. } => {
            Some(Hint::List)
        }
        _ => None,
    }
}
