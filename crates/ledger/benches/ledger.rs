//! Measures the ledger on one core, without signatures, each block with its root.
//!
//! `cargo bench -p ledger --bench ledger`

#[path = "market/mod.rs"]
mod market;

use std::hint::black_box;

use bench::{Figure, Report, core_time, min_of};
use ledger::{Key, Row, verify_proof};
use market::{BLOCK_MS, Chain, Signers, address, amount, handed_in, issue, market, order};
use types::{Action, Asset, Duration, Hash, Parameters, Verified};

/// Times that a rate is measured; the fastest counts, since what else runs shows least in it.
const ROUNDS: usize = 40;
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
    let mut cycle = 0;
    let blocks: Vec<Vec<Verified>> = (1..=warm + measured)
        .map(|block| {
            let now = chain.time + block * BLOCK_MS;
            let mut transactions = Vec::with_capacity(3 * each);
            for _ in 0..each {
                cycle += 1;
                let at = cycle * 7_919 % offers.len();
                let terms = order(now, vec![offers[at]], duration);
                let tenant = (&mut tenant_signers, cycle % tenants);
                let node = (&mut node_signers, at / 100);
                let (_, signed) = handed_in(now, terms, tenant, node, Hash::ZERO);
                transactions.extend(signed);
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
