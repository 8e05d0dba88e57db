//! Whom and what an event concerns.

use types::{Action, Address, Event, LeaseId, OrderId, SignedTransaction};

/// Returns the accounts that an event concerns, each once.
#[must_use]
pub fn parties(event: &Event) -> Vec<Address> {
    let mut parties = match event {
        Event::Transferred { from: one, to: other, .. }
        | Event::Issued { issuer: one, to: other, .. }
        | Event::LeaseOpened { tenant: one, provider: other, .. }
        | Event::LeaseStarted { tenant: one, provider: other, .. }
        | Event::LeaseReclaiming { tenant: one, provider: other, .. }
        | Event::ReceiptAccepted { tenant: one, provider: other, .. }
        | Event::LeaseClosing { tenant: one, provider: other, .. }
        | Event::LeaseClosed { tenant: one, provider: other, .. } => vec![*one, *other],
        Event::Checked { tenant: one, provider: other, .. }
        | Event::DisputeOpened { tenant: one, provider: other, .. }
        | Event::DisputeEnded { tenant: one, provider: other, .. }
        | Event::Refunded { tenant: one, provider: other, .. } => vec![*one, *other],
        Event::AuditDrawn { tenant, provider, auditors, .. } => {
            [tenant, provider].into_iter().chain(auditors.iter()).copied().collect()
        }
        Event::AuditRevealing { auditors, .. } => auditors.to_vec(),
        Event::Ruled { validator, .. } => vec![Address::new(*validator)],
        Event::Redeemed { issuer: one, .. }
        | Event::Registered { provider: one, .. }
        | Event::NodeKeyRotated { provider: one, .. }
        | Event::Staked { provider: one, .. }
        | Event::Unstaked { provider: one, .. }
        | Event::Unbonded { provider: one, .. }
        | Event::Suspended { provider: one, .. }
        | Event::OfferPosted { provider: one, .. }
        | Event::OfferRetired { provider: one, .. }
        | Event::OrderPlaced { tenant: one, .. }
        | Event::OrderClosed { tenant: one, .. }
        | Event::Released { provider: one, .. }
        | Event::Voted { voter: one, .. }
        | Event::Enlisted { auditor: one, .. }
        | Event::Delisted { auditor: one, .. }
        | Event::AuditCommitted { auditor: one, .. }
        | Event::AuditRevealed { auditor: one, .. }
        | Event::AuditorPaid { auditor: one, .. }
        | Event::Argued { by: one, .. }
        | Event::Slashed { provider: one, .. }
        | Event::Rewarded { to: one, .. } => vec![*one],
        Event::LeaseArchived { .. }
        | Event::EpochClosed { .. }
        | Event::ChangeTookEffect { .. } => vec![],
    };
    parties.dedup();
    parties
}

/// Returns the lease that an event concerns.
#[must_use]
pub const fn leases(event: &Event) -> Option<LeaseId> {
    match event {
        Event::LeaseOpened { lease, .. }
        | Event::LeaseStarted { lease, .. }
        | Event::LeaseReclaiming { lease, .. }
        | Event::ReceiptAccepted { lease, .. }
        | Event::LeaseClosing { lease, .. }
        | Event::LeaseClosed { lease, .. }
        | Event::Released { lease, .. }
        | Event::LeaseArchived { lease, .. }
        | Event::AuditDrawn { lease, .. }
        | Event::AuditCommitted { lease, .. }
        | Event::AuditRevealing { lease, .. }
        | Event::AuditRevealed { lease, .. }
        | Event::AuditorPaid { lease, .. }
        | Event::Checked { lease, .. }
        | Event::DisputeOpened { lease, .. }
        | Event::Ruled { lease, .. }
        | Event::Argued { lease, .. }
        | Event::DisputeEnded { lease, .. }
        | Event::Slashed { lease, .. }
        | Event::Rewarded { lease, .. }
        | Event::Refunded { lease, .. } => Some(*lease),
        _ => None,
    }
}

/// Declares the names of events once.
macro_rules! kinds {
    ($($variant:ident $name:literal;)*) => {
        /// The names of all events.
        pub const KINDS: &[&str] = &[$($name),*];

        /// Returns an event's name as in its JSON, such as `lease-closed`.
        #[must_use]
        pub const fn kind(event: &Event) -> &'static str {
            match event { $(Event::$variant { .. } => $name,)* }
        }

        #[cfg(test)]
        const VARIANTS: &[&str] = &[$(stringify!($variant)),*];
    };
}

kinds! {
    Transferred "transferred";
    Issued "issued";
    Redeemed "redeemed";
    Registered "registered";
    NodeKeyRotated "node-key-rotated";
    Staked "staked";
    Unstaked "unstaked";
    Unbonded "unbonded";
    Suspended "suspended";
    OfferPosted "offer-posted";
    OfferRetired "offer-retired";
    OrderPlaced "order-placed";
    OrderClosed "order-closed";
    LeaseOpened "lease-opened";
    LeaseStarted "lease-started";
    LeaseReclaiming "lease-reclaiming";
    ReceiptAccepted "receipt-accepted";
    LeaseClosing "lease-closing";
    LeaseClosed "lease-closed";
    Released "released";
    LeaseArchived "lease-archived";
    EpochClosed "epoch-closed";
    Voted "voted";
    ChangeTookEffect "change-took-effect";
    Enlisted "enlisted";
    Delisted "delisted";
    AuditDrawn "audit-drawn";
    AuditCommitted "audit-committed";
    AuditRevealing "audit-revealing";
    AuditRevealed "audit-revealed";
    AuditorPaid "auditor-paid";
    Checked "checked";
    DisputeOpened "dispute-opened";
    Ruled "ruled";
    Argued "argued";
    DisputeEnded "dispute-ended";
    Slashed "slashed";
    Rewarded "rewarded";
    Refunded "refunded";
}

/// Returns whether an event of its block is about what a transaction asked for.
pub(crate) fn is_about(signed: &SignedTransaction, event: &Event) -> bool {
    let transaction = &signed.transaction;
    let signer = transaction.signer;
    match &transaction.action {
        Action::PlaceOrder(_) => is_about_order(OrderId::from(transaction.id()), event),
        Action::CancelOrder { order } => is_about_order(*order, event),
        Action::Start { lease }
        | Action::Reclaim { lease, .. }
        | Action::Close { lease }
        | Action::CommitAudit { lease, .. }
        | Action::RevealAudit { lease, .. }
        | Action::Dispute { lease }
        | Action::Argue { lease, .. } => leases(event) == Some(*lease),
        Action::SubmitReceipt(signed) => leases(event) == Some(signed.receipt.lease),
        Action::PostOffer(_) => {
            let id = transaction.id().into();
            matches!(event, Event::OfferPosted { offer, .. } if *offer == id)
        }
        Action::RetireOffer { offer: id } => {
            matches!(event, Event::OfferRetired { offer, .. } if offer == id)
        }
        Action::Transfer { to, asset, amount } => {
            let (to, asset, amount) = (*to, *asset, *amount);
            *event == Event::Transferred { from: signer, to, asset, amount }
        }
        Action::Issue { to, asset, amount } => {
            let (to, asset, amount) = (*to, *asset, *amount);
            *event == Event::Issued { issuer: signer, to, asset, amount }
        }
        Action::Redeem { .. } => is_of(signer, event, "redeemed"),
        Action::Register { .. } => is_of(signer, event, "registered"),
        Action::RotateNodeKey { .. } => is_of(signer, event, "node-key-rotated"),
        Action::Stake { .. } => is_of(signer, event, "staked"),
        Action::Unstake { .. } => is_of(signer, event, "unstaked"),
        Action::Vote { .. } => is_of(signer, event, "voted"),
        // The signer may be a node key, whose provider the event names.
        Action::Enlist(terms) => {
            matches!(event, Event::Enlisted { class, .. } if *class == terms.class)
        }
        Action::Delist { class } => {
            matches!(event, Event::Delisted { class: other, .. } if other == class)
        }
    }
}

fn is_about_order(id: OrderId, event: &Event) -> bool {
    match event {
        Event::OrderPlaced { order, .. } | Event::OrderClosed { order, .. } => *order == id,
        _ => leases(event) == Some(id.into()),
    }
}

fn is_of(account: Address, event: &Event, name: &str) -> bool {
    kind(event) == name && parties(event).contains(&account)
}

#[cfg(test)]
mod tests {
    use types::Amount;

    use super::*;

    #[test]
    fn kinds_are_the_names_in_json() {
        let kebab = |variant: &str| {
            let part = |letter: char| match letter {
                'A'..='Z' => format!("-{}", letter.to_ascii_lowercase()),
                _ => letter.to_string(),
            };
            variant.chars().map(part).collect::<String>().trim_start_matches('-').to_owned()
        };
        let expected: Vec<String> = VARIANTS.iter().map(|variant| kebab(variant)).collect();
        assert_eq!(KINDS, expected);
        let document = api::openapi();
        let described = document["components"]["schemas"]["Event"]["oneOf"].as_array().unwrap();
        let name = |event: &serde_json::Value| event["properties"]["event"]["const"].clone();
        let mut described: Vec<_> = described.iter().map(name).collect();
        let mut kinds: Vec<serde_json::Value> = KINDS.iter().map(|kind| (*kind).into()).collect();
        described.sort_by_key(ToString::to_string);
        kinds.sort_by_key(ToString::to_string);
        assert_eq!(described, kinds);
    }

    #[test]
    fn a_transfer_to_oneself_concerns_one_account() {
        let one = Address::new(types::PublicKey::from_bytes([1; 32]));
        let (asset, amount) = (types::Asset::Usd, Amount::ZERO);
        assert_eq!(parties(&Event::Transferred { from: one, to: one, asset, amount }), [one]);
    }
}
