//! Measures the replicated ledger: chains over TCP on this machine, with the real ledger and
//! mempool, beside a bare machine that only checks and books transfers on the same chain.
//!
//! Transactions are signed before the clock runs. The time is from the first submission until the
//! last is in a final block, on disk; each signature is checked where it comes in, and by every
//! other validator. All validators share this machine's cores.
//!
//! `cargo bench -p node --bench replicated`

mod bare;
mod chains;
mod join;
mod load;
mod market;
mod ours;

use std::time::Duration;

use bench::{Figure, Report, percentile};

/// Transfers for each measurement, with one validator.
const ALONE: usize = 200_000;
/// Transfers for each measurement, with four.
const TOGETHER: usize = 60_000;
/// How long single transfers are sent, to see when each is final.
const STEADY: Duration = Duration::from_secs(20);
/// Blocks of the network that a node joins, with 100 new accounts each.
const JOIN_BLOCKS: usize = 10_000;

fn main() {
    let mut report = Report::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for (validators, count, least, share) in
        [(1, ALONE, 50_000.0, 0.6), (4, TOGETHER, 4_000.0, 0.7)]
    {
        let name = format!("replicated/transfers with {validators}");
        let part = format!("replicated/share of bare with {validators}");
        if !report.wants(&name) && !report.wants(&part) {
            continue;
        }
        let bare = runtime.block_on(bare::transfers_per_second(validators, count));
        let ours = runtime.block_on(ours::transfers_per_second(validators, count));
        let figure = Figure::new(ours, "transfers/s").at_least(least).peer("bare", bare);
        report.row(&name, || figure);
        report.row(&part, || Figure::new(ours / bare, "of bare").at_least(share));
    }
    report.row("replicated/market with 4", || {
        let rate = runtime.block_on(market::transactions_per_second(4));
        Figure::new(rate, "transactions/s").at_least(4_000.0)
    });
    let names = ["replicated/final p50 at 500/s", "replicated/final p99 at 500/s"];
    if names.iter().any(|name| report.wants(name)) {
        let times = runtime.block_on(ours::times_to_final(4, 500, STEADY));
        let row =
            |percent| Figure::new(percentile(times.clone(), percent).as_secs_f64() * 1e3, "ms");
        report.row(names[0], || row(50).at_most(250.0));
        report.row(names[1], || row(99).at_most(600.0));
    }
    let name = "replicated/joining 10,000 blocks of 1,000,000 accounts";
    report.row(name, || {
        let joined = runtime.block_on(join::joining(JOIN_BLOCKS));
        assert!(joined.height >= JOIN_BLOCKS as u64 && joined.accounts >= 1_000_000);
        Figure::new(joined.took.as_secs_f64(), "s").at_most(60.0)
    });
    report.finish();
}
