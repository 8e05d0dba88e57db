//! Bodies, parameters and headers that the HTTP API accepts.

use api::{
    AccountView, Authorization, BlockRecord, BlockSummary, Bundle, ClassReputation, ClassSupply,
    EventId, EventRecord, Exclusion, FaucetGrant, FaucetRequest, Funds, Included, LeaseFilter,
    LeaseView, NetworkStatus, OfferView, OrderView, Outcome, Page, Problem, ProblemBody,
    ProblemDetail, ProofView, Quote, QuotedOffer, Row, SchemaOf, StoredContent, Submission,
    Submitted, SupplyView, TransactionRecord, TransactionSummary,
};
use schemars::JsonSchema;
use serde::Serialize;
use types::body::{Path, leaf};
use types::text::to_hex;
use types::{
    Account, Address, Amount, Asset, AuditTerms, BasisPoints, Blob, Certificate, CertifiedHeader,
    CheckState, Claim, Claims, ClassId, CloseReason, ContentHash, Duration, Encode, Event, Genesis,
    GenesisWallet, Income, Issuer, Lease, LeaseId, LeaseState, List, Offer, OfferId, OfferTerms,
    Order, OrderId, OrderTerms, Parameters, ProofKind, Provenance, Provider, Rate, Readers, Reject,
    Reputation, Settlement, Supply, Tally, Text, Time, TransactionId, Unbonding, Units, Validator,
    Value,
};

use super::{audits, genesis, header, key, signed_receipt, signed_transactions};
use crate::api::{authorization, picking};

const NOW: Time = Time::from_ms(1_700_000_000_000);

/// Returns texts for every shape, each behind the byte that picks the shape.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    [requests(), chain(), accounts(), market(), proofs(), parameters()].concat()
}

fn behind(schema: SchemaOf, text: &[u8]) -> Vec<u8> {
    [&[picking(schema)], text].concat()
}

fn json<T: Serialize + JsonSchema>(value: &T) -> Vec<u8> {
    let text = serde_json::to_vec(value).expect("the seeds have their JSON");
    behind(|generator| generator.subschema_for::<T>(), &text)
}

fn text<T: ToString + JsonSchema>(value: &T) -> Vec<u8> {
    behind(|generator| generator.subschema_for::<T>(), value.to_string().as_bytes())
}

/// Returns a page of the item and the last page.
fn pages<T: Serialize + JsonSchema>(item: T) -> Vec<Vec<u8>>
where
    Page<T>: JsonSchema,
{
    let next = Some("12.0".to_owned());
    vec![json(&Page { items: vec![item], next }), json(&Page::<T> { items: vec![], next: None })]
}

pub(super) fn address() -> Address {
    key().address()
}

pub(super) fn amount(count: u64) -> Amount {
    Amount::new(count).expect("the amount is within its range")
}

fn units(count: u64) -> Units {
    Units::new(count).expect("the count is within its range")
}

pub(super) fn rate() -> Rate {
    Rate::new(5_000).expect("the rate is within its range")
}

fn share(count: u16) -> BasisPoints {
    BasisPoints::new(count).expect("the share is within its range")
}

fn class() -> ClassId {
    ClassId(1)
}

fn bytes<const MAX: usize>() -> Blob<MAX> {
    Blob::new(vec![1, 2, 255]).expect("three bytes are within the bound")
}

fn text_of<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("the text is within the bound")
}

fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    List::new(items).expect("the items are within the bound")
}

fn claims() -> Claims {
    let mut claims = Claims::new();
    let values = [
        ("cpu.cores", Value::Integer(-8)),
        ("gpu.vram", Value::Bytes(24 << 30)),
        ("region", Value::text("eu \"é\"").expect("the text is short")),
        ("score", Value::Decimal("0.25".parse().expect("a decimal"))),
        ("tee", Value::Bool(true)),
        ("uptime", Value::Duration(Duration::from_seconds(60))),
    ];
    for (name, value) in values {
        let claim = Claim { value, provenance: Provenance::Measured, at: NOW };
        let name = name.parse().expect("the names are keys");
        claims.insert(name, claim).expect("six claims are within the bound");
    }
    claims
}

fn order_terms() -> OrderTerms {
    OrderTerms {
        class: class(),
        spec: bytes(),
        constraint: "gpu.vram >= 24GiB @measured && !(region in [\"eu\"])"
            .parse()
            .expect("a constraint"),
        budget: amount(1_543),
        offers: list(vec![OfferId::from_bytes([3; 32])]),
        audit: AuditTerms { probability: share(500), auditors: 2, readers: Readers::Auditors },
        duration: Duration::from_seconds(600),
        expires: NOW,
    }
}

pub(super) fn order() -> Order {
    let terms = order_terms();
    Order { id: OrderId::from_bytes([4; 32]), tenant: address(), placed: NOW, terms }
}

pub(super) fn offer() -> Offer {
    Offer {
        id: OfferId::from_bytes([3; 32]),
        provider: address(),
        node_key: key().public(),
        posted: NOW,
        capacity: units(1 << 40),
        terms: OfferTerms {
            class: class(),
            terms: bytes(),
            claims: claims(),
            rate: rate(),
            minimum: amount(1_543),
            slots: 4,
            expires: NOW,
        },
    }
}

pub(super) fn lease(state: LeaseState) -> Lease {
    Lease {
        id: LeaseId::from_bytes([4; 32]),
        order: OrderId::from_bytes([4; 32]),
        offer: OfferId::from_bytes([3; 32]),
        class: class(),
        tenant: address(),
        provider: address(),
        node_key: key().public(),
        rate: rate(),
        minimum: amount(1_543),
        units_max: units(9),
        audit: AuditTerms::NONE,
        escrow: amount(9_999),
        created: NOW,
        ends: NOW,
        state,
        receipts: 1,
        settlement: Settlement { units: units(3), gross: amount(5), ..Settlement::default() },
        check: CheckState::Revealing { until: NOW },
        exposure: amount(9),
        release: Some(NOW),
    }
}

fn tally() -> Tally {
    Tally { epoch: 3, class: class(), supply: Supply::default(), income: Income::default() }
}

fn events() -> Vec<EventRecord> {
    let reason = CloseReason::ProviderNoStart;
    let lease = LeaseId::from_bytes([4; 32]);
    let [tenant, provider] = [address(); 2];
    let settlement = Settlement::default();
    [
        Event::Transferred { from: tenant, to: provider, asset: Asset::Usd, amount: amount(7) },
        Event::Registered { provider, node_key: key().public() },
        Event::LeaseClosed { lease, class: class(), tenant, provider, reason, settlement },
        Event::EpochClosed { tally: tally() },
    ]
    .into_iter()
    .zip(0..)
    .map(|(event, index)| EventRecord { id: EventId { height: 12, index }, time: NOW, event })
    .collect()
}

pub(super) fn network() -> Genesis {
    Genesis {
        network: text_of("fuzzing"),
        time: NOW,
        rules: 1,
        token: true,
        validators: list(vec![Validator::without_beacon(key().public())]),
        issuers: list(vec![issuer()]),
        wallets: list(vec![GenesisWallet { address: address(), amount: amount(1) }]),
        parameters: Parameters::public(),
    }
}

fn issuer() -> Issuer {
    Issuer { address: address(), asset: Asset::Usd, limit: amount(1_000_000) }
}

pub(super) fn certified_header() -> CertifiedHeader {
    let certificate = Certificate::sign(&network(), &header().hash(), &[key()]);
    let certificate = certificate.expect("the key is the validator's");
    CertifiedHeader { header: header(), later: List::default(), certificate }
}

fn requests() -> Vec<Vec<u8>> {
    let transactions =
        signed_transactions().iter().map(|signed| to_hex(&signed.to_bytes())).collect();
    vec![
        json(&Submission { transactions }),
        json(&Submission { transactions: vec![] }),
        json(&order_terms()),
        json(&FaucetRequest { address: address() }),
    ]
}

fn chain() -> Vec<Vec<u8>> {
    let (id, header) = (TransactionId::from_bytes([6; 32]), certified_header());
    let status = NetworkStatus {
        network: text_of("fuzzing"),
        genesis: genesis(),
        height: 12,
        time: NOW,
        root: genesis(),
        epoch: 3,
        epoch_began: NOW,
        epoch_ms: Duration::from_seconds(600),
        rules: 1,
        token: false,
        faucet: true,
        version: "0.1.0".to_owned(),
    };
    let summary = TransactionSummary { id, signer: address(), action: "start".to_owned() };
    let results = vec![
        Outcome { id, height: Some(12), reject: None },
        Outcome { id, height: None, reject: Some(Reject::NonceStale.into()) },
    ];
    let mut seeds = vec![
        json(&status),
        json(&network()),
        json(&Parameters::local()),
        json(&Submitted { results }),
        json(&BlockRecord { hash: genesis(), header: header.clone(), transactions: vec![summary] }),
    ];
    seeds.extend(signed_transactions().into_iter().map(|signed| {
        json(&TransactionRecord {
            id: signed.transaction.id(),
            height: 12,
            position: 0,
            time: NOW,
            transaction: signed.transaction,
            signature: signed.signature,
            events: events(),
        })
    }));
    seeds.extend(pages(BlockSummary { hash: genesis(), header: header.header, transactions: 1 }));
    seeds.extend(events().iter().map(json));
    seeds.extend(pages(events().swap_remove(2)));
    seeds
}

pub(super) fn provider() -> Provider {
    Provider {
        address: address(),
        node_key: key().public(),
        registered: NOW,
        offers: 1,
        leases: 2,
        unbondings: 1,
        votes: 1,
        no_starts_epoch: 3,
        no_starts: 1,
        suspended_until: NOW,
        exposure: amount(9),
        slashed: Some(NOW),
    }
}

fn accounts() -> Vec<Vec<u8>> {
    let provider = provider();
    let funds = Funds { usd: amount(1_543), wild: amount(0) };
    let full = AccountView {
        address: address(),
        account: Some(Account { nonce: 7, open_orders: 1 }),
        balances: funds,
        stake: amount(100),
        unbondings: vec![Unbonding { amount: amount(5), until: NOW }],
        provider: Some(provider),
        auditor: vec![audits::auditor()],
        reputation: vec![ClassReputation {
            class: class(),
            reputation: Reputation { epoch: 3, passed: 9_000, failed: 1_000 },
        }],
        node_key_of: Some(address()),
        issuer: vec![issuer()],
    };
    let empty = AccountView {
        address: address(),
        account: None,
        balances: Funds::default(),
        stake: amount(0),
        unbondings: vec![],
        provider: None,
        auditor: vec![],
        reputation: vec![],
        node_key_of: None,
        issuer: vec![],
    };
    let transactions = vec![TransactionId::from_bytes([6; 32])];
    let mut seeds = vec![
        json(&full),
        json(&empty),
        json(&provider),
        json(&FaucetGrant { funds, height: 12, transactions }),
    ];
    seeds.extend(pages(provider));
    seeds
}

fn market() -> Vec<Vec<u8>> {
    let order =
        OrderView { order: order(), open: false, lease: Some(LeaseId::from_bytes([4; 32])) };
    let offer = OfferView { offer: offer(), leased: 1 };
    let reason = CloseReason::ProviderCompleted;
    let view = |state| LeaseView {
        lease: lease(state),
        order: order.order.clone(),
        receipts: vec![signed_receipt()],
        audit: Some(audits::audit()),
        dispute: Some(audits::dispute()),
        archived: false,
    };
    let quoted = QuotedOffer {
        offer: offer.offer.id,
        provider: address(),
        rate: rate(),
        price: amount(9),
        premium: amount(1),
    };
    let excluded = vec![Exclusion { reason: "gpu.vram >= 24GiB".to_owned(), offers: 2 }];
    let supply = ClassSupply {
        class: class(),
        name: "job".to_owned(),
        unit: "Mfuel".to_owned(),
        running: tally(),
        past: Some(tally()),
        auditor_seats: 2,
    };
    let mut seeds = vec![
        json(&order),
        json(&offer),
        json(&view(LeaseState::Pending { start_by: NOW })),
        json(&view(LeaseState::Closing { since: NOW, until: NOW, reason })),
        json(&Quote { offers: vec![quoted], excluded, examined: 3 }),
        json(&SupplyView { epoch: 3, epoch_began: NOW, classes: vec![supply] }),
        json(&signed_receipt()),
        json(&LeaseView {
            dispute: Some(audits::bisection()),
            ..view(LeaseState::Active { since: NOW })
        }),
    ];
    seeds.extend(pages(view(LeaseState::Closed { at: NOW, reason })));
    seeds.extend(pages(order));
    seeds.extend(pages(offer));
    seeds.extend(pages(tally()));
    seeds
}

fn proofs() -> Vec<Vec<u8>> {
    let row = Row::new(&[1, 2], Some(&[3]), &[4; 40]);
    let header = certified_header();
    let signed = signed_transactions().swap_remove(3);
    let included = Included {
        transaction: to_hex(&signed.to_bytes()),
        header: header.clone(),
        path: Path::of(&[leaf(&signed.to_bytes())], 0).expect("the only one is there"),
    };
    let bundle = Bundle {
        genesis: network(),
        id: LeaseId::from_bytes([4; 32]),
        header: header.clone(),
        lease: row.clone(),
        order: Row::new(&[1, 3], None, &[]),
        receipts: vec![row.clone()],
        audit: Row::new(&[1, 4], None, &[5; 40]),
        dispute: row.clone(),
        transactions: vec![included],
        parameters: vec![ProofView { header: header.clone(), row: row.clone() }],
    };
    let problem = Problem::ContentRange;
    let error = ProblemDetail {
        code: problem.code().to_owned(),
        message: "no such range".to_owned(),
        hint: problem.hint().to_owned(),
    };
    vec![
        json(&bundle),
        json(&ProofView { header, row }),
        json(&StoredContent { hash: ContentHash::of(b"content"), bytes: 7 }),
        json(&ProblemBody { error }),
    ]
}

fn parameters() -> Vec<Vec<u8>> {
    let body = ContentHash::of(b"content");
    let signed = Authorization::sign(
        &key(),
        &genesis(),
        "127.0.0.1:7070",
        "GET",
        "/v1/content/1",
        body,
        NOW,
    );
    let mut seeds = vec![
        text(&address()),
        text(&TransactionId::from_bytes([6; 32])),
        text(&OfferId::from_bytes([3; 32])),
        text(&OrderId::from_bytes([4; 32])),
        text(&LeaseId::from_bytes([4; 32])),
        text(&body),
        text(&EventId { height: 12, index: 3 }),
        json(&class()),
        json(&LeaseFilter::Reclaiming),
        behind(authorization, signed.to_string().as_bytes()),
    ];
    seeds.extend(ProofKind::ALL.iter().map(json));
    seeds
}
