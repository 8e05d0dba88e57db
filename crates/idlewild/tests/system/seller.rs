//! A provider that is driven by hand: it offers what a test says, and does nothing by itself.

use std::sync::Arc;

use api::{Client, Submitter};
use classes::job::{ID, Limits, Spec, Terms};
use executors::wasm::specification::METERING_VERSION;
use types::{
    Action, Address, Amount, AuditTerms, Blob, Claims, Constraint, ContentHash, Duration, Encode,
    Hash, List, NodeKeyConsent, OfferId, OfferTerms, OrderTerms, Rate, SecretKey,
};

/// A provider that is driven by hand.
pub(crate) struct Seller {
    pub(crate) account: Submitter,
    pub(crate) node_key: Arc<SecretKey>,
    pub(crate) agent: Submitter,
    pub(crate) offer: OfferId,
}

pub(crate) fn amount(micro: u64) -> Amount {
    Amount::new(micro).unwrap()
}

pub(crate) fn key(seed: u8) -> Arc<SecretKey> {
    Arc::new(SecretKey::from_bytes([seed; 32]))
}

pub(crate) fn hour() -> types::Time {
    api::now().after(Duration::from_seconds(3_600))
}

/// Returns the terms of an offer that suits jobs of so much memory.
pub(crate) fn offer_terms(memory_pages: u32, minimum: Amount) -> OfferTerms {
    let terms = Terms {
        metering: METERING_VERSION,
        mfuel_per_second: 500,
        memory_pages,
        output_bytes: 64 << 20,
    };
    OfferTerms {
        class: ID,
        terms: Blob::new(terms.to_bytes()).unwrap(),
        claims: Claims::new(),
        rate: Rate::new(5_000).unwrap(),
        minimum,
        slots: 8,
        expires: hour(),
    }
}

/// Returns the specification of a small job.
pub(crate) fn spec(program: ContentHash, input: Option<ContentHash>) -> Spec {
    Spec {
        metering: METERING_VERSION,
        program,
        input,
        stdin: None,
        arguments: List::default(),
        environment: List::default(),
        seed: Hash::ZERO,
        limits: Limits { fuel: 20_000_000, memory_pages: 16, output_bytes: 1 << 16 },
    }
}

/// Returns the terms of an order for one offer.
pub(crate) fn order_of(spec: &Spec, offer: OfferId) -> OrderTerms {
    OrderTerms {
        class: ID,
        spec: Blob::new(spec.to_bytes()).unwrap(),
        constraint: Constraint::default(),
        budget: amount(5_000),
        offers: List::new(vec![offer]).unwrap(),
        audit: AuditTerms::NONE,
        duration: Duration::from_seconds(600),
        expires: hour(),
    }
}

/// Returns what makes an account a provider, with the consent of this node key.
pub(crate) fn register(provider: Address, node_key: &SecretKey, genesis: &Hash) -> Action {
    let consent = node_key.sign(genesis, &NodeKeyConsent { provider });
    Action::Register { node_key: node_key.public(), consent }
}

/// Makes an account with funds.
pub(crate) async fn account(client: &Client, genesis: Hash, key: Arc<SecretKey>) -> Submitter {
    client.faucet(key.address()).await.unwrap();
    Submitter::new(client.clone(), key, genesis)
}

/// Makes a provider with these keys that offers so.
pub(crate) async fn seller(client: &Client, genesis: Hash, seed: u8, terms: OfferTerms) -> Seller {
    let node_key = key(seed + 1);
    let account = account(client, genesis, key(seed)).await;
    let actions = vec![
        register(account.address(), &node_key, &genesis),
        Action::Stake { amount: amount(200 * Amount::MICRO) },
        Action::PostOffer(Box::new(terms)),
    ];
    let accepted = account.submit_all(actions).await.unwrap();
    let offer = OfferId::from(accepted[2].as_ref().unwrap().id);
    let agent = Submitter::new(client.clone(), Arc::clone(&node_key), genesis);
    Seller { account, node_key, agent, offer }
}
