//! Compares everything that can be asked of a ledger with what the naive one says.

mod rows;

use std::fmt::Debug;

use ledger::Ledger;
use types::{Asset, Lease, Offer, SignedReceipt, Unbonding};

use crate::{
    episode::Difference,
    reference::{Reference, listed_price, runs},
};

/// More than any list of a test holds.
const ALL: usize = 1_000_000;

fn same<T: PartialEq + Debug>(what: impl FnOnce() -> String, real: T, naive: T) -> Check {
    if real == naive {
        return Ok(());
    }
    Err(format!("{}: {real:?} instead of {naive:?}", what()))
}

type Check = Result<(), Difference>;

/// Rows of a state that is compared after every block; a larger one is after every fourth.
const SMALL_ROWS: usize = 1_000;

/// Compares the whole state: its rows and, every few blocks, what queries say of them.
pub(crate) fn all(real: &Ledger, naive: &mut Reference) -> Check {
    network(real, naive)?;
    gone(real, naive)?;
    if real.map().len() <= SMALL_ROWS || naive.height.is_multiple_of(4) {
        rows::compare(real, naive)?;
        real.recount().map_err(|imbalance| format!("the book: {imbalance:?}"))?;
    }
    if naive.height.is_multiple_of(8) {
        accounts(real, naive)?;
        providers(real, naive)?;
        offers(real, naive)?;
        orders(real, naive)?;
        leases(real, naive)?;
        quotes(real, naive)?;
    }
    Ok(())
}

fn network(real: &Ledger, naive: &Reference) -> Check {
    let network = real.network();
    same(|| "height".into(), network.height, naive.height)?;
    same(|| "time".into(), network.time, naive.time)?;
    same(|| "rules".into(), network.rules, naive.rules)?;
    same(|| "epoch".into(), network.epoch, naive.epoch)?;
    same(|| "beginning of the epoch".into(), network.epoch_began, naive.epoch_began)?;
    same(|| "stake".into(), network.stake.get(), naive.total_stake())?;
    let proposals = u32::try_from(naive.proposals.len()).expect("few");
    same(|| "proposals".into(), network.proposals, proposals)?;
    same(|| "parameters".into(), real.parameters(), naive.parameters.clone())?;
    same(|| "what is due next".into(), real.next_due(), Some(naive.next_due()))?;
    same(|| "tallies".into(), real.tallies(), naive.tallies.clone())?;
    same(|| "past tallies".into(), real.past_tallies(), naive.past_tallies.clone())
}

fn accounts(real: &Ledger, naive: &Reference) -> Check {
    for address in naive.nonces.keys() {
        same(|| format!("account {address}"), real.account(address), naive.account(address))?;
    }
    for (row, asset, amount) in naive.book.rows() {
        same(|| format!("{row:?} in {asset}"), real.balance(row, asset), amount)?;
    }
    for issuer in naive.genesis.issuers.iter() {
        for asset in Asset::ALL {
            let found = real.issuer(&issuer.address, asset);
            same(|| "issuer".into(), found, naive.issuer(&issuer.address, asset))?;
        }
    }
    Ok(())
}

fn providers(real: &Ledger, naive: &Reference) -> Check {
    for address in naive.nonces.keys() {
        let provider = naive.provider(address);
        same(|| format!("provider {address}"), real.provider(address), provider)?;
        let found = real.provider_of(address);
        same(|| format!("provider of {address}"), found, naive.provider_of(address))?;
        let own = naive.unbondings.iter().filter(|(owner, ..)| owner == address);
        let own: Vec<Unbonding> = own.map(|(_, _, unbonding)| *unbonding).collect();
        same(|| format!("unbondings of {address}"), real.unbondings(address), own)?;
        if provider.is_none() {
            continue;
        }
        let mut own: Vec<Offer> = naive.offers.clone();
        own.retain(|offer| offer.provider == *address);
        own.sort_by_key(|offer| offer.id);
        same(|| format!("offers of {address}"), real.offers_of(address), own)?;
        let mut own: Vec<Lease> = naive.leases.clone();
        own.retain(|lease| lease.provider == *address && runs(lease));
        own.sort_by_key(|lease| lease.id);
        let found = real.leases_of_provider(address, None, ALL);
        same(|| format!("leases of {address}"), found, own)?;
    }
    Ok(())
}

fn offers(real: &Ledger, naive: &Reference) -> Check {
    for offer in &naive.offers {
        let found = real.offer(&offer.id);
        same(|| format!("offer {}", offer.id), found.as_ref(), Some(offer))?;
        let leased = naive.leased(&offer.id);
        same(|| format!("leases of offer {}", offer.id), real.leased(&offer.id), leased)?;
    }
    for class in classes::CLASSES {
        let mut own: Vec<Offer> = naive.offers.clone();
        own.retain(|offer| offer.terms.class == class.id());
        own.sort_by_key(|offer| (listed_price(offer), offer.posted, offer.id));
        let found = real.offers(class.id(), None, ALL);
        same(|| format!("offers of class {}", class.name()), found, own)?;
    }
    Ok(())
}

fn orders(real: &Ledger, naive: &Reference) -> Check {
    for order in &naive.orders {
        let found = real.order(&order.id);
        same(|| format!("order {}", order.id), found.as_ref(), Some(order))?;
        let open = naive.open.contains(&order.id);
        same(|| format!("order {} is open", order.id), real.is_open(&order.id), open)?;
    }
    Ok(())
}

fn leases(real: &Ledger, naive: &Reference) -> Check {
    for lease in &naive.leases {
        let found = real.lease(&lease.id);
        same(|| format!("lease {}", lease.id), found.as_ref(), Some(lease))?;
        let of_lease = naive.receipts.iter().filter(|kept| kept.receipt.lease == lease.id);
        let own: Vec<SignedReceipt> = of_lease.cloned().collect();
        same(|| format!("receipts of {}", lease.id), real.receipts(&lease.id), own)?;
        let leased = naive.leased(&lease.offer);
        same(|| format!("leases of offer {}", lease.offer), real.leased(&lease.offer), leased)?;
    }
    Ok(())
}

fn gone(real: &Ledger, naive: &mut Reference) -> Check {
    let gone = std::mem::take(&mut naive.gone);
    for id in &gone.orders {
        same(|| format!("order {id}, which is gone"), real.order(id), None)?;
        same(|| format!("order {id} is open"), real.is_open(id), false)?;
    }
    for id in &gone.offers {
        same(|| format!("offer {id}, which is gone"), real.offer(id), None)?;
    }
    for id in &gone.leases {
        same(|| format!("lease {id}, which is gone"), real.lease(id), None)?;
        same(|| format!("receipts of {id}, which is gone"), real.receipts(id), Vec::new())?;
    }
    Ok(())
}

/// Compares what the market would answer to some orders that were placed already.
fn quotes(real: &Ledger, naive: &Reference) -> Check {
    for order in naive.orders.iter().rev().take(2) {
        let found = real
            .quote(&order.terms)
            .map(|quote| quote.offers.iter().map(|quoted| (quoted.offer, quoted.price)).collect());
        same(|| format!("quote of order {}", order.id), found, naive.quote(&order.terms))?;
    }
    Ok(())
}
