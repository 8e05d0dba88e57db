//! A market to measure: providers with stake and offers, tenants with funds, blocks.

use std::hint::black_box;

use classes::CLASSES;
use ledger::{Ledger, RULES};
use types::{
    Action, Address, Amount, Asset, AuditTerms, Blob, Claim, Claims, Constraint, Duration, Genesis,
    GenesisWallet, Hash, Issuer, LeaseId, List, OfferId, OfferTerms, OrderId, OrderTerms,
    Parameters, Provenance, PublicKey, Rate, Receipt, Signature, SignedReceipt, SignedTransaction,
    Text, Time, Transaction, Validator, Value, Verified,
};

pub(crate) const BLOCK_MS: u64 = 500;
pub(crate) const UNITS_MAX: u64 = 10_000;

pub(crate) fn key(kind: &str, number: usize) -> PublicKey {
    let number = u64::try_from(number).expect("fits").to_le_bytes();
    PublicKey::from_bytes(*Hash::of("bench key", &[kind.as_bytes(), &number]).as_bytes())
}

pub(crate) fn address(kind: &str, number: usize) -> Address {
    Address::new(key(kind, number))
}

pub(crate) fn amount(micro: u64) -> Amount {
    Amount::new(micro).expect("in range")
}

pub(crate) fn genesis(providers: usize, parameters: Parameters) -> Genesis {
    let limit = amount(1 << 50);
    let issuer = Issuer { address: address("bank", 0), asset: Asset::Usd, limit };
    let wallets = (0..providers).map(|number| GenesisWallet {
        address: address("provider", number),
        amount: amount(1_000_000_000),
    });
    Genesis {
        network: Text::new("bench").expect("short"),
        time: Time::from_ms(0),
        rules: RULES,
        token: true,
        validators: List::new(vec![Validator::without_beacon(key("validator", 0))]).expect("one"),
        issuers: List::new(vec![issuer]).expect("one"),
        wallets: List::new(wallets.collect()).expect("few"),
        parameters: Parameters { offers_max: 100_000, ..parameters },
    }
}

/// A chain that grows block by block.
pub(crate) struct Chain {
    pub(crate) ledger: Ledger,
    pub(crate) time: u64,
    /// The ledger before the last block, where it is kept: what a node's readers have.
    pub(crate) before: Option<Ledger>,
}

impl Chain {
    pub(crate) fn new(providers: usize, parameters: Parameters) -> Self {
        let genesis = genesis(providers, parameters);
        Self { ledger: Ledger::new(&genesis).expect("valid"), time: 0, before: None }
    }

    /// Executes a block, half a second after the last.
    pub(crate) fn block(&mut self, transactions: &[Verified]) {
        self.block_after(BLOCK_MS, transactions);
    }

    /// Executes a block so many milliseconds after the last.
    pub(crate) fn block_after(&mut self, ms: u64, transactions: &[Verified]) {
        self.time += ms;
        if let Some(before) = &mut self.before {
            *before = self.ledger.clone();
        }
        let beacon = Hash::of("bench beacon", &[&self.time.to_le_bytes()]);
        self.ledger.begin(Time::from_ms(self.time), beacon, 0).expect("later");
        for transaction in transactions {
            self.ledger.apply(transaction).expect("accepted");
        }
        black_box(self.ledger.end());
    }
}

/// Signers with their nonces.
pub(crate) struct Signers {
    kind: &'static str,
    nonces: Vec<u64>,
}

impl Signers {
    pub(crate) fn new(kind: &'static str, count: usize, nonce: u64) -> Self {
        Self { kind, nonces: vec![nonce; count] }
    }

    pub(crate) fn sign(&mut self, number: usize, expires: u64, action: Action) -> Verified {
        let nonce = self.nonces[number];
        self.nonces[number] += 1;
        let signer = address(self.kind, number);
        let expires = Time::from_ms(expires);
        let transaction = Transaction { signer, nonce, expires, action };
        let signature = Signature::from_bytes([0; 64]);
        Verified::trust(SignedTransaction { transaction, signature })
    }
}

pub(crate) fn issue(
    chain: &mut Chain,
    bank: &mut Signers,
    accounts: impl Iterator<Item = Address>,
) {
    let accounts: Vec<Address> = accounts.collect();
    for accounts in accounts.chunks(4_000) {
        let block: Vec<Verified> = accounts
            .iter()
            .map(|to| {
                let (to, asset, amount) = (*to, Asset::Usd, amount(100_000_000));
                bank.sign(0, chain.time + 10_000, Action::Issue { to, asset, amount })
            })
            .collect();
        chain.block(&block);
    }
}

pub(crate) fn claims() -> Claims {
    let mut claims = Claims::default();
    for (key, value) in [
        ("cpu.cores", Value::Integer(16)),
        ("memory", Value::Bytes(64 << 30)),
        ("region", Value::text("eu").expect("short")),
    ] {
        let claim = Claim { value, provenance: Provenance::Declared, at: Time::from_ms(0) };
        claims.insert(key.parse().expect("a key"), claim).expect("few");
    }
    claims
}

/// Registers providers with stake and posts their offers; returns these.
pub(crate) fn market(chain: &mut Chain, providers: usize, offers_each: usize) -> Vec<OfferId> {
    let mut bank = Signers::new("bank", 1, 0);
    issue(chain, &mut bank, (0..providers).map(|number| address("provider", number)));
    let mut signers = Signers::new("provider", providers, 0);
    let sample = CLASSES[0].sample(UNITS_MAX * 1_000_000);
    let mut offers = Vec::new();
    for number in 0..providers {
        let expires = chain.time + 80_000_000;
        let node_key = key("node", number);
        let mut block = vec![
            signers.sign(
                number,
                expires,
                Action::Register { node_key, consent: Signature::from_bytes([0; 64]) },
            ),
            signers.sign(number, expires, Action::Stake { amount: amount(200_000_000) }),
        ];
        for offer in 0..offers_each {
            let rate = u64::try_from(1_000_000 + offer * providers + number).expect("fits");
            let terms = OfferTerms {
                class: CLASSES[0].id(),
                terms: Blob::new(sample.terms.clone()).expect("short"),
                claims: claims(),
                rate: Rate::new(rate).expect("in range"),
                minimum: amount(1_543),
                slots: 64,
                expires: Time::from_ms(chain.time + 80_000_000),
            };
            let post = signers.sign(number, expires, Action::PostOffer(Box::new(terms)));
            offers.push(OfferId::from(post.id()));
            block.push(post);
        }
        chain.block(&block);
    }
    offers
}

pub(crate) fn order(now: u64, offers: Vec<OfferId>, duration: Duration) -> OrderTerms {
    let sample = CLASSES[0].sample(UNITS_MAX * 1_000_000);
    OrderTerms {
        class: CLASSES[0].id(),
        spec: Blob::new(sample.spec).expect("short"),
        constraint: r#"memory >= 16GiB && region == "eu""#.parse::<Constraint>().expect("valid"),
        budget: amount(10_000_000),
        offers: List::new(offers).expect("few"),
        audit: AuditTerms::NONE,
        duration,
        expires: Time::from_ms(now + 60_000),
    }
}

/// Signs what it takes to hand in a lease's receipt: the order, the start, the receipt.
pub(crate) fn handed_in(
    now: u64,
    terms: OrderTerms,
    (tenants, tenant): (&mut Signers, usize),
    (nodes, node): (&mut Signers, usize),
    trace: Hash,
) -> (LeaseId, [Verified; 3]) {
    let expires = now + 60_000;
    let place = tenants.sign(tenant, expires, Action::PlaceOrder(Box::new(terms)));
    let lease = LeaseId::from(OrderId::from(place.id()));
    let start = nodes.sign(node, expires, Action::Start { lease });
    let receipt = Receipt {
        lease,
        sequence: 1,
        from: Time::from_ms(now),
        to: Time::from_ms(now),
        usage: Blob::new(CLASSES[0].sample(UNITS_MAX * 1_000_000).usage).expect("short"),
        trace,
    };
    let signed = SignedReceipt {
        receipt,
        node_key: key("node", node),
        signature: Signature::from_bytes([0; 64]),
        countersignature: None,
    };
    let submit = nodes.sign(node, expires, Action::SubmitReceipt(Box::new(signed)));
    (lease, [place, start, submit])
}
