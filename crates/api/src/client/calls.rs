//! A method for each route that answers with JSON.

use types::{
    Address, ClassId, Encode, Genesis, LeaseId, OfferId, OrderId, OrderTerms, Parameters, Provider,
    SignedReceipt, SignedTransaction, Subject, Tally, TransactionId, text::to_hex,
};

use super::{Client, ClientError, with_query};
use crate::wire::{
    AccountView, BlockRecord, BlockSummary, Bundle, EventId, EventRecord, FaucetGrant,
    FaucetRequest, LeaseFilter, LeaseView, NetworkStatus, OfferView, OrderView, Page, ProofView,
    Quote, Submission, Submitted, SupplyView, TransactionRecord,
};

/// Which leases to list.
#[derive(Debug, Clone, Default)]
pub struct LeaseQuery {
    /// Who pays.
    pub tenant: Option<Address>,
    /// Who serves.
    pub provider: Option<Address>,
    /// Where they stand.
    pub state: Option<LeaseFilter>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// How many, at most 200.
    pub limit: Option<usize>,
}

fn text<T: ToString>(value: Option<T>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// Which audits to list.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only those that this auditor has to do now.
    pub auditor: Option<Address>,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// How many, at most 200.
    pub limit: Option<usize>,
}

/// Which disputes to list.
#[derive(Debug, Clone, Default)]
pub struct DisputeQuery {
    /// Only those that are not decided.
    pub open: bool,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// How many, at most 200.
    pub limit: Option<usize>,
}

/// Every call fails with a [`ClientError`] that has a hint.
impl Client {
    /// Returns which network this is, and how far it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn network(&self) -> Result<NetworkStatus, ClientError> {
        self.get("/v1/network").await
    }

    /// Returns what the network started from.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn genesis(&self) -> Result<Genesis, ClientError> {
        self.get("/v1/genesis").await
    }

    /// Returns what governs the network now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn parameters(&self) -> Result<Parameters, ClientError> {
        self.get("/v1/parameters").await
    }

    /// Submits at most 256 transactions and returns what became of them, in their order.
    ///
    /// # Errors
    /// [`ClientError`]. What became of them is then open; they may be submitted again as they are.
    pub async fn submit(
        &self,
        transactions: &[SignedTransaction],
    ) -> Result<Submitted, ClientError> {
        let transactions: Vec<String> =
            transactions.iter().map(|signed| to_hex(&signed.to_bytes())).collect();
        let count = transactions.len();
        let answer: Submitted = self.post("/v1/transactions", &Submission { transactions }).await?;
        if answer.results.len() != count {
            return Err(ClientError::Answer("not one result for each transaction".to_owned()));
        }
        Ok(answer)
    }

    /// Returns a transaction that happened.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn transaction(&self, id: TransactionId) -> Result<TransactionRecord, ClientError> {
        self.get(&format!("/v1/transactions/{id}")).await
    }

    /// Returns blocks below `before`, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn blocks(
        &self,
        before: Option<u64>,
        limit: Option<usize>,
    ) -> Result<Page<BlockSummary>, ClientError> {
        let query = [("before", text(before)), ("limit", text(limit))];
        self.get(&with_query("/v1/blocks", &query)).await
    }

    /// Returns a block.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn block(&self, height: u64) -> Result<BlockRecord, ClientError> {
        self.get(&format!("/v1/blocks/{height}")).await
    }

    /// Returns an account, its funds, and what else it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account(&self, address: Address) -> Result<AccountView, ClientError> {
        self.get(&format!("/v1/accounts/{address}")).await
    }

    /// Returns what happened to an account before `before`, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn account_history(
        &self,
        address: Address,
        before: Option<EventId>,
        limit: Option<usize>,
    ) -> Result<Page<EventRecord>, ClientError> {
        let query = [("before", text(before)), ("limit", text(limit))];
        self.get(&with_query(&format!("/v1/accounts/{address}/history"), &query)).await
    }

    /// Returns providers in the order of their addresses.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn providers(
        &self,
        after: Option<String>,
        limit: Option<usize>,
    ) -> Result<Page<Provider>, ClientError> {
        self.get(&with_query("/v1/providers", &[("after", after), ("limit", text(limit))])).await
    }

    /// Returns a provider.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn provider(&self, address: Address) -> Result<Provider, ClientError> {
        self.get(&format!("/v1/providers/{address}")).await
    }

    /// Returns standing offers of a class, cheapest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offers(
        &self,
        class: ClassId,
        after: Option<String>,
        limit: Option<usize>,
    ) -> Result<Page<OfferView>, ClientError> {
        let query = [("class", Some(class.to_string())), ("after", after), ("limit", text(limit))];
        self.get(&with_query("/v1/offers", &query)).await
    }

    /// Returns standing offers of a provider.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offers_of(
        &self,
        provider: Address,
        after: Option<String>,
        limit: Option<usize>,
    ) -> Result<Page<OfferView>, ClientError> {
        let query =
            [("provider", Some(provider.to_string())), ("after", after), ("limit", text(limit))];
        self.get(&with_query("/v1/offers", &query)).await
    }

    /// Returns a standing offer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offer(&self, id: OfferId) -> Result<OfferView, ClientError> {
        self.get(&format!("/v1/offers/{id}")).await
    }

    /// Returns who could serve an order now, for how much, and why others could not.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn quote(&self, terms: &OrderTerms) -> Result<Quote, ClientError> {
        self.post("/v1/quote", terms).await
    }

    /// Returns a tenant's orders, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn orders(
        &self,
        tenant: Address,
        after: Option<String>,
        limit: Option<usize>,
    ) -> Result<Page<OrderView>, ClientError> {
        let query =
            [("tenant", Some(tenant.to_string())), ("after", after), ("limit", text(limit))];
        self.get(&with_query("/v1/orders", &query)).await
    }

    /// Returns an order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn order(&self, id: OrderId) -> Result<OrderView, ClientError> {
        self.get(&format!("/v1/orders/{id}")).await
    }

    /// Returns a page of leases.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn leases(&self, query: &LeaseQuery) -> Result<Page<LeaseView>, ClientError> {
        let query = [
            ("tenant", text(query.tenant)),
            ("provider", text(query.provider)),
            ("state", query.state.map(|state| state.name().to_owned())),
            ("after", query.after.clone()),
            ("limit", text(query.limit)),
        ];
        self.get(&with_query("/v1/leases", &query)).await
    }

    /// Returns a lease with its order and receipts.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn lease(&self, id: LeaseId) -> Result<LeaseView, ClientError> {
        self.get(&format!("/v1/leases/{id}")).await
    }

    /// Returns what proves a lease's bill.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn bundle(&self, id: LeaseId) -> Result<Bundle, ClientError> {
        self.get(&format!("/v1/leases/{id}/bundle")).await
    }

    /// Returns a receipt.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn receipt(
        &self,
        lease: LeaseId,
        sequence: u32,
    ) -> Result<SignedReceipt, ClientError> {
        self.get(&format!("/v1/receipts/{lease}/{sequence}")).await
    }

    /// Returns leases that were drawn for an audit.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audits(&self, asked: &AuditQuery) -> Result<Page<LeaseView>, ClientError> {
        let query = [
            ("auditor", text(asked.auditor)),
            ("after", asked.after.clone()),
            ("limit", text(asked.limit)),
        ];
        self.get(&with_query("/v1/audits", &query)).await
    }

    /// Returns leases over which there is or was a dispute.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn disputes(&self, asked: &DisputeQuery) -> Result<Page<LeaseView>, ClientError> {
        let query = [
            ("open", asked.open.then(|| "true".to_owned())),
            ("after", asked.after.clone()),
            ("limit", text(asked.limit)),
        ];
        self.get(&with_query("/v1/disputes", &query)).await
    }

    /// Returns what each class supplies.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn supply(&self) -> Result<SupplyView, ClientError> {
        self.get("/v1/supply").await
    }

    /// Returns epochs of a class that ended, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn supply_history(
        &self,
        class: ClassId,
        before: Option<u64>,
        limit: Option<usize>,
    ) -> Result<Page<Tally>, ClientError> {
        let query =
            [("class", Some(class.to_string())), ("before", text(before)), ("limit", text(limit))];
        self.get(&with_query("/v1/supply/history", &query)).await
    }

    /// Returns a row of the state, or its absence, with the proof.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn proof(&self, subject: &Subject) -> Result<ProofView, ClientError> {
        self.get(&format!("/v1/proofs/{}/{}", subject.kind().name(), subject.name())).await
    }

    /// Asks the node's faucet for funds.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn faucet(&self, address: Address) -> Result<FaucetGrant, ClientError> {
        self.post("/v1/faucet", &FaucetRequest { address }).await
    }
}
