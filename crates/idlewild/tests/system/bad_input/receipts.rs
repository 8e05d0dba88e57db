//! Receipts that are not what they say, and a provider that never begins.

use api::Submitter;
use classes::job::{Exit, Usage};
use types::{
    Action, Address, Blob, CloseReason, ContentHash, Encode, Hash, LeaseId, LeaseState, OrderId,
    Receipt, Signature, SignedReceipt, Time,
};

use super::world::{Said, Seller, World, key, offer_terms, order_of, register, spec};

/// A lease that was started.
struct Started {
    id: LeaseId,
    since: Time,
}

/// Places an order that the seller's offer takes.
fn ordered(world: &World, seller: &Seller) -> LeaseId {
    let mut wanted = spec(ContentHash::of(b"a program that the seller never looks at"), None);
    wanted.limits.memory_pages = 8;
    let terms = order_of(&wanted, seller.offer);
    let placed = world.wait(world.tenant.submit(Action::PlaceOrder(Box::new(terms)))).unwrap();
    LeaseId::from(OrderId::from(placed.id))
}

fn started(world: &World) -> Started {
    let id = ordered(world, &world.seller);
    world.wait(world.seller.agent.submit(Action::Start { lease: id })).unwrap();
    let view = world.wait(world.client.lease(id)).unwrap();
    let LeaseState::Active { since } = view.lease.state else { panic!("{view:?}") };
    Started { id, since }
}

/// Returns the receipt that the lease is owed.
fn receipt(started: &Started) -> Receipt {
    let usage = Usage { fuel: 1_000_000, exit: Exit::Code(0), output: ContentHash::of(b"") };
    Receipt {
        lease: started.id,
        sequence: 1,
        from: started.since,
        to: started.since,
        usage: Blob::new(usage.to_bytes()).unwrap(),
        trace: Hash::ZERO,
    }
}

fn sign(world: &World, receipt: Receipt) -> SignedReceipt {
    SignedReceipt::sign(receipt, &world.genesis, &world.seller.node_key)
}

fn hand_in(world: &World, signed: SignedReceipt) -> Said {
    world.submitted(&world.seller.agent, Action::SubmitReceipt(Box::new(signed)))
}

/// Hands in the right receipt, which must still count.
fn finish(world: &World, started: &Started) {
    let said = hand_in(world, sign(world, receipt(started)));
    assert_eq!(said.code, "accepted", "{said:?}");
}

/// Hands in a receipt that differs from the right one, then the right one.
fn changed(world: &World, change: impl FnOnce(&mut Receipt)) -> Said {
    let started = started(world);
    let mut wrong = receipt(&started);
    change(&mut wrong);
    let said = hand_in(world, sign(world, wrong));
    finish(world, &started);
    said
}

/// Hands in a receipt that the right key did not sign in the right way, then the right one.
fn signed_so(world: &World, sign: impl FnOnce(Receipt) -> SignedReceipt) -> Said {
    let started = started(world);
    let said = hand_in(world, sign(receipt(&started)));
    finish(world, &started);
    said
}

pub(super) fn other_key(world: &World) -> Said {
    signed_so(world, |receipt| SignedReceipt::sign(receipt, &world.genesis, &key(99)))
}

pub(super) fn other_signature(world: &World) -> Said {
    signed_so(world, |receipt| {
        let node_key = world.seller.node_key.public();
        let mut forged = SignedReceipt::sign(receipt, &world.genesis, &key(99));
        forged.node_key = node_key;
        forged
    })
}

pub(super) fn no_signature(world: &World) -> Said {
    signed_so(world, |receipt| {
        let mut forged = sign(world, receipt);
        forged.signature = Signature::from_bytes([0; 64]);
        forged
    })
}

pub(super) fn other_network(world: &World) -> Said {
    signed_so(world, |receipt| SignedReceipt::sign(receipt, &Hash::ZERO, &world.seller.node_key))
}

pub(super) fn replayed(world: &World) -> Said {
    let started = started(world);
    finish(world, &started);
    hand_in(world, sign(world, receipt(&started)))
}

pub(super) fn second(world: &World) -> Said {
    let started = started(world);
    finish(world, &started);
    let mut further = receipt(&started);
    further.sequence = 2;
    hand_in(world, sign(world, further))
}

pub(super) fn out_of_sequence(world: &World) -> Said {
    changed(world, |receipt| receipt.sequence = 2)
}

pub(super) fn before_its_start(world: &World) -> Said {
    changed(world, |receipt| receipt.from = Time::from_ms(receipt.from.as_ms() - 1))
}

pub(super) fn in_the_future(world: &World) -> Said {
    changed(world, |receipt| receipt.to = Time::from_ms(receipt.to.as_ms() + 3_600_000))
}

pub(super) fn more_than_allowed(world: &World) -> Said {
    changed(world, |receipt| {
        let usage = Usage { fuel: 1 << 40, exit: Exit::Code(0), output: ContentHash::of(b"") };
        receipt.usage = Blob::new(usage.to_bytes()).unwrap();
    })
}

pub(super) fn no_usage(world: &World) -> Said {
    changed(world, |receipt| receipt.usage = Blob::new(vec![1, 2, 3]).unwrap())
}

/// Hands in a receipt for a lease that another provider has.
pub(super) fn for_anothers_lease(world: &World) -> Said {
    let started = started(world);
    let forged = SignedReceipt::sign(receipt(&started), &world.genesis, &world.idler.node_key);
    let action = Action::SubmitReceipt(Box::new(forged));
    let said = world.submitted(&world.idler.agent, action);
    finish(world, &started);
    said
}

/// Hands in the receipt of one lease under the name of another one.
pub(super) fn for_another_lease(world: &World) -> Said {
    let (one, other) = (started(world), started(world));
    let mut moved = sign(world, receipt(&one));
    moved.receipt.lease = other.id;
    let said = hand_in(world, moved);
    finish(world, &one);
    finish(world, &other);
    said
}

pub(super) fn for_no_lease(world: &World) -> Said {
    changed(world, |receipt| receipt.lease = LeaseId::from_bytes([7; 32]))
}

/// Has another provider start a lease.
pub(super) fn anothers_start(world: &World) -> Said {
    let id = ordered(world, &world.seller);
    let said = world.submitted(&world.idler.agent, Action::Start { lease: id });
    world.wait(world.tenant.submit(Action::Close { lease: id })).unwrap();
    said
}

/// Has a provider take three leases and start none of them; then it gets no fourth.
pub(super) fn never_starts(world: &World) -> Said {
    let leases = [(); 3].map(|()| ordered(world, &world.idler));
    for id in leases {
        let view = world.closed(id);
        let LeaseState::Closed { reason, .. } = view.lease.state else { panic!("{view:?}") };
        assert_eq!(reason, CloseReason::ProviderNoStart);
        assert_eq!(view.lease.settlement.refund, view.lease.escrow);
    }
    let idler: Address = world.idler.account.address();
    let provider = world.wait(world.client.provider(idler)).unwrap();
    assert!(provider.suspended_until > api::now(), "{provider:?}");
    let mut wanted = spec(ContentHash::of(b"any"), None);
    wanted.limits.memory_pages = 8;
    let terms = order_of(&wanted, world.idler.offer);
    world.submitted(&world.tenant, Action::PlaceOrder(Box::new(terms)))
}

/// Returns an account with funds that is no provider.
fn newcomer(world: &World, seed: u8) -> Submitter {
    let key = key(seed);
    world.wait(world.client.faucet(key.address())).unwrap();
    Submitter::new(world.client.clone(), key, world.genesis)
}

/// Has an account without stake offer what only a provider with stake may.
pub(super) fn no_stake(world: &World) -> Said {
    let submitter = newcomer(world, 30);
    let offer = || Action::PostOffer(Box::new(offer_terms()));
    let said = world.submitted(&submitter, offer());
    assert_eq!(said.code, "provider/not-one");
    let action = register(submitter.address(), &key(31), &world.genesis);
    world.wait(submitter.submit(action)).unwrap();
    world.submitted(&submitter, offer())
}

/// Has an account register a node key that agreed to another one.
pub(super) fn no_consent(world: &World) -> Said {
    let submitter = newcomer(world, 32);
    let provider = world.seller.account.address();
    world.submitted(&submitter, register(provider, &key(33), &world.genesis))
}
