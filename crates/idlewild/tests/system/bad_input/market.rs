//! Orders that nobody can serve or pay for, and transactions that are not what they say.

use std::sync::Arc;

use api::{ClientError, Submitter};
use types::limits::TRANSACTION_BYTES_MAX;
use types::{
    Action, Asset, ContentHash, Duration, Hash, Signature, SignedTransaction, Time, Transaction,
    text::to_hex,
};

use super::world::{Said, World, amount, hour, key, order_of, spec};

pub(super) fn without_funds(world: &World) -> Said {
    let made = world.up.run(["keys", "new", "poor", "--no-passphrase"]);
    made.with_code(0);
    world.ran_with(&["--key", "poor"])
}

/// Places an order in the name of an account that is not there.
pub(super) fn without_account(world: &World) -> Said {
    let nobody = Submitter::new(world.client.clone(), key(40), world.genesis);
    let terms = order_of(&spec(ContentHash::of(b"any"), None), world.offer());
    world.submitted(&nobody, Action::PlaceOrder(Box::new(terms)))
}

/// Places an order that costs more than the account holds.
pub(super) fn with_too_little(world: &World) -> Said {
    let key = key(41);
    let (to, asset) = (key.address(), Asset::Usd);
    let gift = Action::Transfer { to, asset, amount: amount(1_000) };
    world.wait(world.seller.account.submit(gift)).unwrap();
    let poor = Submitter::new(world.client.clone(), key, world.genesis);
    let terms = order_of(&spec(ContentHash::of(b"any"), None), world.offer());
    world.submitted(&poor, Action::PlaceOrder(Box::new(terms)))
}

pub(super) fn below_every_offer(world: &World) -> Said {
    world.ran_with(&["--max-price", "0.002"])
}

pub(super) fn below_everything(world: &World) -> Said {
    world.ran_with(&["--max-price", "0.000001"])
}

pub(super) fn unparsable_constraint(world: &World) -> Said {
    world.ran_with(&["--require", "memory >= && region"])
}

pub(super) fn unmet_constraint(world: &World) -> Said {
    world.ran_with(&["--require", "cpu.cores > 100000"])
}

fn posted(world: &World, path: &str, body: &[u8]) -> Said {
    let head = format!(
        "POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {}",
        body.len()
    );
    world.requested(&head, body)
}

/// Asks for a quote with a constraint that is none.
pub(super) fn unparsable_constraint_quoted(world: &World) -> Said {
    let terms = order_of(&spec(ContentHash::of(b"any"), None), world.offer());
    let mut value = serde_json::to_value(&terms).unwrap();
    value["constraint"] = "memory >= && region".into();
    posted(world, "/v1/quote", value.to_string().as_bytes())
}

pub(super) fn huge(world: &World) -> Said {
    let body = format!(r#"{{"transactions":["{}"]}}"#, "00".repeat(TRANSACTION_BYTES_MAX + 1));
    posted(world, "/v1/transactions", body.as_bytes())
}

pub(super) fn too_many(world: &World) -> Said {
    let body = serde_json::json!({ "transactions": vec!["00"; 257] }).to_string();
    posted(world, "/v1/transactions", body.as_bytes())
}

pub(super) fn no_transaction(world: &World) -> Said {
    let body = format!(r#"{{"transactions":["{}"]}}"#, to_hex(b"anything"));
    posted(world, "/v1/transactions", body.as_bytes())
}

/// Submits a transfer of everything to oneself, made wrong by `change` and by how it is signed.
fn transacted(
    world: &World,
    change: impl FnOnce(&mut Transaction),
    sign: impl FnOnce(Transaction) -> SignedTransaction,
) -> Said {
    let signer = world.tenant.address();
    let account = world.wait(world.client.account(signer)).unwrap().account.unwrap();
    let action = Action::Transfer { to: key(42).address(), asset: Asset::Usd, amount: amount(1) };
    let mut transaction = Transaction { signer, nonce: account.nonce, expires: hour(), action };
    change(&mut transaction);
    let submitted = world.wait(world.client.submit(&[sign(transaction)]));
    match submitted.map(|submitted| submitted.results.into_iter().next().unwrap().reject) {
        Ok(None) => Said::new("accepted", ""),
        Ok(Some(refusal)) => Said::new(refusal.code, refusal.meaning),
        Err(ClientError::Problem { code, message, .. }) => Said::new(code, message),
        Err(error) => Said::new("no answer", error.to_string()),
    }
}

fn signed(world: &World) -> impl FnOnce(Transaction) -> SignedTransaction {
    let (genesis, key) = (world.genesis, Arc::clone(&world.tenant_key));
    move |transaction| transaction.sign(&genesis, &key)
}

pub(super) fn other_signature(world: &World) -> Said {
    transacted(world, |_| (), |transaction| transaction.sign(&world.genesis, &key(43)))
}

pub(super) fn no_signature(world: &World) -> Said {
    let signature = Signature::from_bytes([0; 64]);
    transacted(world, |_| (), |transaction| SignedTransaction { transaction, signature })
}

/// Submits what its owner signed, with another amount.
pub(super) fn changed(world: &World) -> Said {
    let sign = signed(world);
    transacted(
        world,
        |_| (),
        |transaction| {
            let mut signed = sign(transaction);
            let (to, asset) = (key(42).address(), Asset::Usd);
            signed.transaction.action = Action::Transfer { to, asset, amount: amount(1_000) };
            signed
        },
    )
}

pub(super) fn other_network(world: &World) -> Said {
    transacted(world, |_| (), |transaction| transaction.sign(&Hash::ZERO, &world.tenant_key))
}

pub(super) fn expired(world: &World) -> Said {
    let past = Time::from_ms(api::now().as_ms() - 60_000);
    transacted(world, |transaction| transaction.expires = past, signed(world))
}

pub(super) fn too_far_ahead(world: &World) -> Said {
    let future = api::now().after(Duration::from_seconds(30 * 24 * 3_600));
    transacted(world, |transaction| transaction.expires = future, signed(world))
}

pub(super) fn nonce_used(world: &World) -> Said {
    transacted(world, |transaction| transaction.nonce -= 1, signed(world))
}

pub(super) fn nonce_ahead(world: &World) -> Said {
    transacted(world, |transaction| transaction.nonce += 1, signed(world))
}

pub(super) fn of_nothing(world: &World) -> Said {
    let (to, asset) = (key(42).address(), Asset::Usd);
    let nothing = Action::Transfer { to, asset, amount: amount(0) };
    transacted(world, |transaction| transaction.action = nothing, signed(world))
}

/// Issues credits without being an issuer.
pub(super) fn issued_by_nobody(world: &World) -> Said {
    let to = world.tenant.address();
    let issue = Action::Issue { to, asset: Asset::Usd, amount: amount(1_000_000) };
    transacted(world, |transaction| transaction.action = issue, signed(world))
}
