//! A network of four validators whose state holds what a test or a measurement puts there.

use ledger::{Key, map::Map};
use light::Proof;
use types::{
    Account, Address, Amount, Audit, AuditTerms, BasisPoints, BeaconShare, Blob, Certificate,
    CertifiedHeader, CheckState, ClassId, CloseReason, Encode, Genesis, Hash, Header, Lease,
    LeaseId, LeaseState, List, OfferId, OrderId, Parameters, PublicKey, Rate, Readers, Receipt,
    SecretKey, Settlement, SignedReceipt, Subject, Text, Time, Units, Validator,
};

/// The bytes that the validators' keys are made of.
pub(crate) const VALIDATORS: [u8; 4] = [1, 2, 3, 4];

/// A network.
pub(crate) struct Network {
    pub(crate) genesis: Genesis,
    state: Map,
}

impl Network {
    /// Returns one whose state is empty.
    pub(crate) fn new(name: &str) -> Self {
        let keys = keys(&VALIDATORS);
        let validators = keys.iter().map(|key| Validator::without_beacon(key.public())).collect();
        let genesis = Genesis {
            network: Text::new(name).expect("the name is short"),
            time: Time::from_ms(0),
            rules: 1,
            token: true,
            validators: Validator::in_order(validators).expect("four are within the bound"),
            issuers: List::default(),
            wallets: List::default(),
            parameters: Parameters::local(),
        };
        Self { genesis, state: Map::new() }
    }

    /// Puts a row into the state.
    pub(crate) fn put(&mut self, subject: Subject, row: &impl Encode) {
        let key = Key::from(subject).to_bytes();
        self.state.insert(key.as_slice(), &row.to_bytes()).expect("within the bounds");
    }

    /// Puts accounts with a wallet each into the state: two rows an account.
    pub(crate) fn open_accounts(&mut self, count: u64) {
        for number in 0..count {
            let address = address(number);
            self.put(Subject::Account(address), &Account { nonce: number, open_orders: 0 });
            self.put(Subject::Usd(address), &amount(number));
        }
    }

    /// Puts a lease with its receipt and audit into the state.
    pub(crate) fn make_lease(&mut self, id: LeaseId) {
        self.put(Subject::Lease(id), &lease(id));
        self.put(Subject::Receipt(id, 1), &receipt(id, &self.genesis.hash()));
        self.put(Subject::Audit(id), &audit(id));
    }

    /// Returns the header over the state.
    pub(crate) fn header(&self) -> Header {
        Header {
            height: 17,
            time: Time::from_ms(8_500),
            parent: Hash::of("parent", &[]),
            leader: 2,
            share: BeaconShare::from_bytes([7; 48]),
            body: Hash::ZERO,
            state: Hash::from_bytes(self.state.root()),
        }
    }

    /// Returns the header as these validators make it final, or do not.
    pub(crate) fn certified(&self, signers: &[u8]) -> CertifiedHeader {
        let header = self.header();
        let certificate = Certificate::sign(&self.genesis, &header.hash(), &keys(signers));
        let certificate = certificate.expect("the keys are validators'");
        CertifiedHeader { header, later: List::default(), certificate }
    }

    /// Returns the encoded proof of the tree.
    pub(crate) fn tree(&self, subject: Subject) -> Vec<u8> {
        let key = Key::from(subject).to_bytes();
        self.state.prove(key.as_slice()).expect("the key is within its bound").encode()
    }

    /// Returns a proof under a header that is made already.
    pub(crate) fn prove_under(&self, header: &CertifiedHeader, subject: Subject) -> Proof {
        let tree = Blob::new(self.tree(subject)).expect("the bound is that of a tree's proof");
        Proof { subject, header: header.clone(), tree }
    }

    /// Returns a proof that all validators signed.
    pub(crate) fn prove(&self, subject: Subject) -> Proof {
        self.prove_under(&self.certified(&VALIDATORS), subject)
    }
}

/// Returns the keys that are made of these bytes.
pub(crate) fn keys(bytes: &[u8]) -> Vec<SecretKey> {
    bytes.iter().map(|byte| SecretKey::from_bytes([*byte; 32])).collect()
}

pub(crate) fn address(number: u64) -> Address {
    let hash = Hash::of("account", &[&number.to_le_bytes()]);
    Address::new(PublicKey::from_bytes(*hash.as_bytes()))
}

pub(crate) fn lease_id(number: u64) -> LeaseId {
    LeaseId::from_bytes(*Hash::of("lease", &[&number.to_le_bytes()]).as_bytes())
}

pub(crate) fn amount(micro: u64) -> Amount {
    Amount::new(micro).expect("the amount is within its range")
}

pub(crate) fn receipt(lease: LeaseId, genesis: &Hash) -> SignedReceipt {
    let receipt = Receipt {
        lease,
        sequence: 1,
        from: Time::from_ms(1_000),
        to: Time::from_ms(2_000),
        usage: Blob::new(vec![3; 80]).expect("80 bytes are within the bound"),
        trace: Hash::of("trace", &[]),
    };
    SignedReceipt::sign(receipt, genesis, &SecretKey::from_bytes([9; 32]))
}

pub(crate) fn audit(lease: LeaseId) -> Audit {
    Audit {
        lease,
        work_root: Hash::of("work", &[]),
        fee: amount(500),
        round: 1,
        beacon: Hash::of("beacon", &[]),
        assignments: List::default(),
    }
}

pub(crate) fn lease(id: LeaseId) -> Lease {
    let probability = BasisPoints::new(500).expect("5 % are a share");
    let units = Units::new(2_500).expect("the count is within its range");
    Lease {
        id,
        order: OrderId::from(id),
        offer: OfferId::from_bytes([3; 32]),
        class: ClassId(1),
        tenant: address(1),
        provider: address(2),
        node_key: SecretKey::from_bytes([9; 32]).public(),
        rate: Rate::new(5_000).expect("the rate is within its range"),
        minimum: amount(1_543),
        units_max: units,
        audit: AuditTerms { probability, auditors: 1, readers: Readers::Auditors },
        escrow: amount(11_002),
        created: Time::from_ms(900),
        ends: Time::from_ms(60_000),
        state: LeaseState::Closed {
            at: Time::from_ms(2_000),
            reason: CloseReason::ProviderCompleted,
        },
        receipts: 1,
        settlement: Settlement { units, gross: amount(1_543), ..Settlement::default() },
        check: CheckState::Unchecked,
        exposure: amount(1_543),
        release: None,
    }
}
