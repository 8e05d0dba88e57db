//! Measures the ledger on one core, without signatures, each block with its root.
//!
//! `cargo bench -p ledger --bench ledger`

use std::hint::black_box;

use bench::{Figure, Report, core_time, min_of};
use classes::CLASSES;
use ledger::{Key, Ledger, RULES, Row, verify_proof};
use types::{
    Action, Address, Amount, Asset, AuditTerms, Blob, Claim, Claims, Constraint, Duration, Genesis,
    GenesisWallet, Hash, Issuer, LeaseId, List, OfferId, OfferTerms, OrderId, OrderTerms,
    Parameters, Provenance, PublicKey, Rate, Receipt, Signature, SignedReceipt, SignedTransaction,
    Text, Time, Transaction, Value, Verified,
};

const BLOCK_MS: u64 = 500;
/// Times that a rate is measured; the fastest counts, since what else runs shows least in it.
const ROUNDS: usize = 40;
const UNITS_MAX: u64 = 10_000;

fn key(kind: &str, number: usize) -> PublicKey {
    let number = u64::try_from(number).expect("fits").to_le_bytes();
    PublicKey::from_bytes(*Hash::of("bench key", &[kind.as_bytes(), &number]).as_bytes())
}

fn address(kind: &str, number: usize) -> Address {
    Address::new(key(kind, number))
}

fn amount(micro: u64) -> Amount {
    Amount::new(micro).expect("in range")
}

fn genesis(providers: usize, parameters: Parameters) -> Genesis {
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
        validators: List::new(vec![key("validator", 0)]).expect("one"),
        issuers: List::new(vec![issuer]).expect("one"),
        wallets: List::new(wallets.collect()).expect("few"),
        parameters: Parameters { offers_max: 100_000, ..parameters },
    }
}

/// A chain that grows block by block.
struct Chain {
    ledger: Ledger,
    time: u64,
    /// The ledger before the last block, where it is kept: what a node's readers have.
    before: Option<Ledger>,
}

impl Chain {
    fn new(providers: usize, parameters: Parameters) -> Self {
        let genesis = genesis(providers, parameters);
        Self { ledger: Ledger::new(&genesis).expect("valid"), time: 0, before: None }
    }

    fn block(&mut self, transactions: &[Verified]) {
        self.time += BLOCK_MS;
        if let Some(before) = &mut self.before {
            *before = self.ledger.clone();
        }
        self.ledger.begin(Time::from_ms(self.time)).expect("later");
        for transaction in transactions {
            self.ledger.apply(transaction).expect("accepted");
        }
        black_box(self.ledger.end());
    }
}

/// Signers with their nonces.
struct Signers {
    kind: &'static str,
    nonces: Vec<u64>,
}

impl Signers {
    fn new(kind: &'static str, count: usize, nonce: u64) -> Self {
        Self { kind, nonces: vec![nonce; count] }
    }

    fn sign(&mut self, number: usize, expires: u64, action: Action) -> Verified {
        let nonce = self.nonces[number];
        self.nonces[number] += 1;
        let signer = address(self.kind, number);
        let expires = Time::from_ms(expires);
        let transaction = Transaction { signer, nonce, expires, action };
        let signature = Signature::from_bytes([0; 64]);
        Verified::trust(SignedTransaction { transaction, signature })
    }
}

fn issue(chain: &mut Chain, bank: &mut Signers, accounts: impl Iterator<Item = Address>) {
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

/// Runs the blocks in rounds and returns the seconds of the fastest.
fn fastest_round(chain: &mut Chain, blocks: &[Vec<Verified>]) -> f64 {
    let rounds = blocks.chunks_exact(blocks.len() / ROUNDS).map(|round| {
        let start = core_time();
        round.iter().for_each(|block| chain.block(block));
        core_time() - start
    });
    rounds.min().expect("there are rounds").as_secs_f64()
}

fn transfers() -> Figure {
    let accounts = 20_000;
    let (blocks, size) = (3 * ROUNDS, 4_000);
    let mut chain = Chain::new(0, Parameters::local());
    let mut bank = Signers::new("bank", 1, 0);
    issue(&mut chain, &mut bank, (0..accounts).map(|number| address("tenant", number)));
    let mut tenants = Signers::new("tenant", accounts, 0);
    let expires = chain.time + 80_000_000;
    let blocks: Vec<Vec<Verified>> = (0..blocks)
        .map(|block| {
            let transfer = |number: usize| {
                let at = (block * size + number) * 7_919;
                let to = address("tenant", (at * 31 + 17) % accounts);
                let (asset, amount) = (Asset::Usd, amount(1));
                tenants.sign(at % accounts, expires, Action::Transfer { to, asset, amount })
            };
            (0..size).map(transfer).collect()
        })
        .collect();
    let seconds = fastest_round(&mut chain, &blocks);
    let count = blocks.iter().map(Vec::len).sum::<usize>() / ROUNDS;
    Figure::new(count as f64 / seconds, "transfers/s").at_least(200_000.0)
}

fn claims() -> Claims {
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
fn market(chain: &mut Chain, providers: usize, offers_each: usize) -> Vec<OfferId> {
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

fn order(now: u64, offers: Vec<OfferId>, duration: Duration) -> OrderTerms {
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

/// Leases that are ordered, matched, started, metered and settled, and released two seconds later.
fn cycles() -> Figure {
    let load = Load { forked: false, each: 1_000, warm: 20, measured: 80 };
    let rate = leases_per_second(Parameters::local(), Duration::from_seconds(3_600), &load);
    Figure::new(rate, "cycles/s").at_least(40_000.0)
}

/// The same, while readers keep the state before each block, as a node's do.
fn cycles_forked() -> Figure {
    let load = Load { forked: true, each: 1_000, warm: 20, measured: 80 };
    let rate = leases_per_second(Parameters::local(), Duration::from_seconds(3_600), &load);
    Figure::new(rate, "cycles/s")
}

/// The cycles with all that happens by itself later, until the lease has left the state.
fn lives() -> Figure {
    let parameters = Parameters {
        start_window_ms: Duration::from_seconds(10),
        epoch_ms: Duration::from_seconds(20),
        closed_lease_epochs: 1,
        ..Parameters::local()
    };
    // A quarter of what a block may work through from the queue, as a life passes it four times.
    let load = Load { forked: false, each: 250, warm: 80, measured: 120 };
    Figure::new(leases_per_second(parameters, Duration::from_seconds(10), &load), "lives/s")
}

/// How many leases open in each block, and how many blocks there are before and while it counts.
struct Load {
    /// Whether each block leaves the state before it to readers.
    forked: bool,
    each: usize,
    warm: u64,
    measured: u64,
}

/// Returns how many leases of this duration pass through the market in a second, after some
/// blocks that are not counted.
fn leases_per_second(parameters: Parameters, duration: Duration, load: &Load) -> f64 {
    let (providers, tenants) = (100, 1_000);
    let &Load { forked, each, warm, measured } = load;
    let mut chain = Chain::new(providers, parameters);
    let offers = market(&mut chain, providers, 100);
    let mut bank = Signers::new("bank", 1, u64::try_from(providers).expect("fits"));
    issue(&mut chain, &mut bank, (0..tenants).map(|number| address("tenant", number)));
    let mut tenant_signers = Signers::new("tenant", tenants, 0);
    let mut node_signers = Signers::new("node", providers, 0);
    let usage = CLASSES[0].sample(UNITS_MAX * 1_000_000).usage;
    let mut cycle = 0;
    let blocks: Vec<Vec<Verified>> = (1..=warm + measured)
        .map(|block| {
            let now = chain.time + block * BLOCK_MS;
            let mut transactions = Vec::with_capacity(3 * each);
            for _ in 0..each {
                cycle += 1;
                let at = cycle * 7_919 % offers.len();
                let terms = Box::new(order(now, vec![offers[at]], duration));
                let expires = now + 60_000;
                let place =
                    tenant_signers.sign(cycle % tenants, expires, Action::PlaceOrder(terms));
                let lease = LeaseId::from(OrderId::from(place.id()));
                let number = at / 100;
                let start = node_signers.sign(number, expires, Action::Start { lease });
                let receipt = Receipt {
                    lease,
                    sequence: 1,
                    from: Time::from_ms(now),
                    to: Time::from_ms(now),
                    usage: Blob::new(usage.clone()).expect("short"),
                    work_root: Hash::ZERO,
                };
                let signed = SignedReceipt {
                    receipt,
                    node_key: key("node", number),
                    signature: Signature::from_bytes([0; 64]),
                    countersignature: None,
                };
                let submit = Action::SubmitReceipt(Box::new(signed));
                let submit = node_signers.sign(number, expires, submit);
                transactions.extend([place, start, submit]);
            }
            transactions
        })
        .collect();
    let (warm, measured) = blocks.split_at(usize::try_from(warm).expect("fits"));
    chain.before = forked.then(|| chain.ledger.clone());
    warm.iter().for_each(|block| chain.block(block));
    let seconds = fastest_round(&mut chain, measured);
    (measured.len() / ROUNDS * each) as f64 / seconds
}

fn quote() -> Figure {
    let mut chain = Chain::new(200, Parameters::local());
    market(&mut chain, 200, 500);
    let terms = order(chain.time, Vec::new(), Duration::from_seconds(60));
    assert_eq!(chain.ledger.quote(&terms).expect("valid").offers.len(), 16);
    let seconds = min_of(50, || chain.ledger.quote(black_box(&terms)).expect("valid"));
    Figure::new(seconds.as_secs_f64() * 1e3, "ms").at_most(1.0)
}

const WANTS_MANY: [&str; 3] = ["ledger/fork", "ledger/proof size", "ledger/proof check"];

fn main() {
    let mut report = Report::new();
    report
        .row("ledger/transfers", transfers)
        .row("ledger/cycles", cycles)
        .row("ledger/cycles, each block forked", cycles_forked)
        .row("ledger/lives", lives)
        .row("ledger/quote of 100,000 offers", quote);
    if WANTS_MANY.iter().any(|name| report.wants(name)) {
        let accounts = 1_000_000;
        let mut chain = Chain::new(0, Parameters::local());
        let mut bank = Signers::new("bank", 1, 0);
        issue(&mut chain, &mut bank, (0..accounts).map(|number| address("tenant", number)));
        many(&mut report, &chain);
    }
    report.finish();
}

/// Measures on a state of a million accounts.
fn many(report: &mut Report, chain: &Chain) {
    report.row("ledger/fork", || {
        let seconds = min_of(1_000, || chain.ledger.clone());
        Figure::new(seconds.as_secs_f64() * 1e6, "us").at_most(10.0)
    });
    let root = chain.ledger.root();
    let proofs: Vec<_> = (0..1_000)
        .map(|number| {
            let key = Key::Book(Row::Wallet(address("tenant", number * 999)), Asset::Usd);
            (key, chain.ledger.prove(&key).proof)
        })
        .collect();
    report.row("ledger/proof size", || {
        let largest = proofs.iter().map(|(_, proof)| proof.len()).max().expect("some");
        Figure::new(largest as f64, "B").at_most(2_048.0)
    });
    report.row("ledger/proof check", || {
        let seconds = min_of(20, || {
            for (key, proof) in &proofs {
                black_box(verify_proof(&root, key, proof)).expect("holds");
            }
        });
        Figure::new(seconds.as_secs_f64() * 1e6 / 1e3, "us").at_most(50.0)
    });
}
