use super::*;

fn one_of_each() -> Vec<Key> {
    let address = Address::new(PublicKey::from_bytes([1; 32]));
    let (order, offer) = (OrderId::from_bytes([2; 32]), OfferId::from_bytes([3; 32]));
    let (lease, hash) = (LeaseId::from_bytes([4; 32]), Hash::from_bytes([5; 32]));
    let (class, time) = (ClassId(258), Time::from_ms(1 << 40));
    let rows = [
        Row::Wallet(address),
        Row::Order(order),
        Row::Offer(offer),
        Row::Escrow(lease),
        Row::Pending(lease),
        Row::Guarantee(lease),
        Row::Stake(address),
        Row::Unbonding(address),
        Row::Vesting(address),
        Row::Ask(hash),
        Row::AuditPool,
        Row::Treasury,
        Row::Buyback,
        Row::Rewards,
        Row::Boot(class),
        Row::Dispute(hash),
        Row::Burned,
        Row::Issued(address),
    ];
    let dues = [
        Due::OrderExpiry(order),
        Due::OfferExpiry(offer),
        Due::Lease(lease),
        Due::Unbonding(address, 7),
        Due::Change(hash),
    ];
    let mut keys = vec![Key::Network, Key::Parameters, Key::Leaders, Key::Account(address)];
    keys.extend(rows.map(|row| Key::Book(row, Asset::Wild)));
    keys.extend([
        Key::Issuer(address, Asset::Usd),
        Key::Provider(address),
        Key::NodeKey(*address.key()),
        Key::Unbonding(address, 9),
        Key::Offer(offer),
        Key::OfferLeased(offer),
        Key::OfferByPrice(class, Region::new("eu").unwrap(), Amount::MAX, time, offer),
        Key::OfferByProvider(address, offer),
        Key::Order(order),
        Key::OpenOrder(class, time, order),
        Key::Matching(class),
        Key::Lease(lease),
        Key::LeaseByProvider(address, lease),
        Key::Receipt(lease, 3),
    ]);
    keys.extend(dues.map(|due| Key::Due(time, due)));
    keys.extend([
        Key::Tally(class),
        Key::TallyPast(class),
        Key::Proposal(hash),
        Key::Vote(hash, address),
        Key::Archive,
        Key::Audit(lease),
        Key::Dispute(lease),
        Key::Auditor(class, address),
        Key::Seat(class, 1 << 20),
        Key::Seats(class),
        Key::AuditByAuditor(address, lease),
        Key::OpenDispute(false, lease),
        Key::OpenDispute(true, lease),
        Key::Reputation(address, class),
        Key::Draw(1 << 40, lease),
    ]);
    keys
}

#[test]
fn every_key_reads_back_and_no_other_has_its_encoding() {
    let keys = one_of_each();
    for key in &keys {
        let bytes = key.to_bytes();
        assert_eq!(Key::from_bytes(bytes.as_slice()), Some(*key));
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Key::from_bytes(&longer), None, "{key:?}");
        assert_eq!(Key::from_bytes(&longer[..longer.len() - 2]), None, "{key:?}");
    }
    let encoded = keys.iter().map(|key| key.to_bytes().as_slice().to_vec());
    let different: std::collections::BTreeSet<_> = encoded.collect();
    assert_eq!(different.len(), keys.len());
}

#[test]
fn the_encodings_are_pinned() {
    let bytes: Vec<u8> =
        one_of_each().iter().flat_map(|key| key.to_bytes().as_slice().to_vec()).collect();
    let pinned = "5194623f2ab22197da7eff1a13c8b1f38b3675dc8c93d37764ac2774828d39e7";
    assert_eq!(Hash::of("keys", &[&bytes]).to_string(), pinned);
}

#[test]
fn a_region_is_at_most_16_bytes() {
    assert!(Region::new("0123456789abcdef").is_some());
    assert!(Region::new("0123456789abcdefg").is_none());
    assert_eq!(Region::new(""), Some(Region::NONE));
}
