//! Hours of work: the memory of a validator does not grow with them.
//!
//! Runs in the long size only, for as many minutes as `IDLEWILD_SOAK_MINUTES` says.

use std::time::{Duration, Instant};

use super::load::Load;
use super::{Cluster, VALIDATORS};
use crate::kill::{is_long, setting};

/// Minutes without `IDLEWILD_SOAK_MINUTES`.
const MINUTES: u64 = 60;
/// How often memory is looked at in a run.
const SAMPLES: u32 = 120;
/// Rows of the table that is shown.
const ROWS: usize = 12;
/// What memory may grow by between the second and the last quarter, in hundredths of it.
const GROWTH_PERCENT: u64 = 15;
/// And in bytes besides.
const GROWTH_BYTES: u64 = 16 << 20;

/// The memory of each node at a moment, in bytes.
type Sample = [u64; VALIDATORS];

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn mean(samples: &[Sample], node: usize) -> u64 {
    samples.iter().map(|sample| sample[node]).sum::<u64>() / samples.len() as u64
}

/// Prints a sample now and then, as rows of a table.
fn show(samples: &[Sample], every: Duration) {
    println!("  minute | resident MiB of each node");
    for number in (0..samples.len()).step_by(samples.len().div_ceil(ROWS)) {
        let minute = every.as_secs_f64() * (number + 1) as f64 / 60.0;
        let row: String =
            samples[number].iter().map(|bytes| format!("{:8.1}", mib(*bytes))).collect();
        println!("  {minute:6.1} | {row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_under_constant_load() {
    let minutes = setting("IDLEWILD_SOAK_MINUTES");
    if minutes.is_none() && !is_long() {
        println!("skipped: takes an hour, IDLEWILD_LONG=1 or IDLEWILD_SOAK_MINUTES=10 runs it");
        return;
    }
    let time = Duration::from_secs(60 * minutes.unwrap_or(MINUTES));
    let mut cluster = Cluster::make();
    cluster.start().await;
    let load = Load::begin(&cluster.clients()).await;
    let began = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    for _ in 0..SAMPLES {
        cluster.wait(&[], time / SAMPLES).await;
        let members = cluster.members.iter();
        let sample: Vec<u64> = members.map(|member| member.service.resident_bytes()).collect();
        samples.push(sample.try_into().unwrap());
    }
    let took = began.elapsed().as_secs_f64();
    let record = load.end().await;
    let height = cluster.agree(&record).await;
    show(&samples, time / SAMPLES);
    let rate = record.count() as f64 / took;
    println!("{} transfers in {height} blocks, {rate:.0} a second", record.count());
    let quarter = samples.len() / 4;
    for node in 0..VALIDATORS {
        let early = mean(&samples[quarter..2 * quarter], node);
        let late = mean(&samples[3 * quarter..], node);
        println!("node {node}: {:.1} MiB, at the end {:.1} MiB", mib(early), mib(late));
        let most = early + early * GROWTH_PERCENT / 100 + GROWTH_BYTES;
        assert!(late <= most, "node {node} grew from {early} to {late} bytes");
    }
    cluster.end().await;
}
