//! Counters for operators, in the text format of Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::handle::Refused;

/// Upper bounds of the buckets for the time until a block is final, in milliseconds.
const COMMIT_BUCKETS_MS: [u64; 8] = [1, 2, 5, 10, 25, 50, 100, 500];

/// What the node counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    blocks: AtomicU64,
    transactions: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    commit_buckets: [AtomicU64; COMMIT_BUCKETS_MS.len()],
    commit_us: AtomicU64,
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub(crate) content_bytes_in: AtomicU64,
    pub(crate) content_bytes_out: AtomicU64,
}

/// Figures that are read when they are asked for.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) height: u64,
    pub(crate) index_height: u64,
    pub(crate) epoch: u64,
    pub(crate) queued: usize,
    pub(crate) connections: u64,
    pub(crate) event_streams: u64,
    pub(crate) faulty: bool,
    /// For each class: name, claimed, verified, earning, revenue, burn.
    pub(crate) classes: Vec<(&'static str, [u64; 5])>,
}

impl Metrics {
    pub(crate) fn observe_block(&self, took: Duration, transactions: usize) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.transactions.fetch_add(transactions as u64, Ordering::Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_us.fetch_add(us, Ordering::Relaxed);
        for (bucket, bound_ms) in self.commit_buckets.iter().zip(COMMIT_BUCKETS_MS) {
            if us <= bound_ms * 1_000 {
                bucket.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn count_answers(&self, results: &[Result<u64, Refused>]) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for result in results {
            let code = match result {
                Ok(_) => continue,
                Err(Refused::Reject(reject)) => reject.code(),
                Err(Refused::Signature) => api::Refusal::SIGNATURE,
                Err(Refused::Busy) => api::Refusal::BUSY,
                Err(Refused::Open) => api::Refusal::OPEN,
            };
            *refused.entry(code).or_default() += 1;
        }
    }

    pub(crate) fn count_request(&self, route: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route, status)).or_default() += 1;
    }

    /// Returns everything in the text format.
    pub(crate) fn render(&self, readings: &Readings) -> String {
        let mut page = Page::default();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        page.one("height", "gauge", "The last block's height", readings.height);
        page.one("index_height", "gauge", "How far the history is", readings.index_height);
        page.one("epoch", "gauge", "The running epoch", readings.epoch);
        page.one("queue", "gauge", "Transactions that wait for a block", readings.queued as u64);
        page.one("faulty", "gauge", "Whether the node stopped itself", readings.faulty.into());
        page.one("blocks_total", "counter", "Final blocks", load(&self.blocks));
        page.one(
            "transactions_total",
            "counter",
            "Transactions executed",
            load(&self.transactions),
        );
        self.render_refused(&mut page);
        self.render_commits(&mut page);
        self.render_requests(&mut page);
        page.one("connections", "gauge", "Open connections", readings.connections);
        page.one("event_streams", "gauge", "Open streams of events", readings.event_streams);
        let (bytes_in, bytes_out) = (load(&self.content_bytes_in), load(&self.content_bytes_out));
        page.one("content_bytes_in_total", "counter", "Bytes of content received", bytes_in);
        page.one("content_bytes_out_total", "counter", "Bytes of content sent", bytes_out);
        render_classes(&mut page, readings);
        page.text
    }

    fn render_refused(&self, page: &mut Page) {
        page.head("refused_total", "counter", "Transactions refused, by code");
        for (code, count) in &*self.refused.lock().unwrap_or_else(PoisonError::into_inner) {
            page.line(&format!("refused_total{{code=\"{code}\"}}"), *count);
        }
    }

    fn render_requests(&self, page: &mut Page) {
        page.head("requests_total", "counter", "Requests, by route and status");
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        for ((route, status), count) in &*requests {
            let series = format!("requests_total{{route=\"{route}\",status=\"{status}\"}}");
            page.line(&series, *count);
        }
    }

    fn render_commits(&self, page: &mut Page) {
        page.head("commit_seconds", "histogram", "From the making of a block until it is final");
        let blocks = self.blocks.load(Ordering::Relaxed);
        for (bucket, bound_ms) in self.commit_buckets.iter().zip(COMMIT_BUCKETS_MS) {
            let bound = format!("{}.{:03}", bound_ms / 1_000, bound_ms % 1_000);
            let series = format!("commit_seconds_bucket{{le=\"{bound}\"}}");
            page.line(&series, bucket.load(Ordering::Relaxed));
        }
        page.line("commit_seconds_bucket{le=\"+Inf\"}", blocks);
        let us = self.commit_us.load(Ordering::Relaxed);
        let seconds = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
        page.line("commit_seconds_sum", seconds);
        page.line("commit_seconds_count", blocks);
    }
}

fn render_classes(page: &mut Page, readings: &Readings) {
    let figures = [
        ("claimed_units", "Units that offers claim to serve in this epoch"),
        ("verified_units", "Units of the claimed that audits found in this epoch"),
        ("earning_units", "Units that tenants paid for in this epoch"),
        ("revenue_micro_usd", "What tenants paid in this epoch"),
        ("burn_micro_usd", "The part of it that buys and burns the token"),
    ];
    for (index, (name, about)) in figures.into_iter().enumerate() {
        page.head(name, "gauge", about);
        for (class, values) in &readings.classes {
            page.line(&format!("{name}{{class=\"{class}\"}}"), values[index]);
        }
    }
}

#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, about: &str) {
        let written =
            write!(self.text, "# HELP idlewild_{name} {about}.\n# TYPE idlewild_{name} {kind}\n");
        written.expect("text takes all");
    }

    fn line(&mut self, series: &str, value: impl std::fmt::Display) {
        writeln!(self.text, "idlewild_{series} {value}").expect("text takes all");
    }

    fn one(&mut self, name: &str, kind: &str, about: &str, value: u64) {
        self.head(name, kind, about);
        self.line(name, value);
    }
}

#[cfg(test)]
mod tests {
    use types::Reject;

    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_series_with_a_number() {
        let metrics = Metrics::default();
        metrics.observe_block(Duration::from_millis(3), 7);
        metrics.count_answers(&[Ok(1), Err(Refused::Reject(Reject::FundsShort))]);
        metrics.count_request("/v1/network", 200);
        let classes = vec![("job", [1, 2, 3, 4, 5])];
        let readings = Readings { height: 9, connections: 1, classes, ..Readings::default() };
        let text = metrics.render(&readings);
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with("idlewild_"), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        for expected in [
            "idlewild_height 9",
            "idlewild_transactions_total 7",
            "idlewild_refused_total{code=\"funds/short\"} 1",
            "idlewild_requests_total{route=\"/v1/network\",status=\"200\"} 1",
            "idlewild_commit_seconds_bucket{le=\"0.002\"} 0",
            "idlewild_commit_seconds_bucket{le=\"0.005\"} 1",
            "idlewild_commit_seconds_sum 0.003000",
            "idlewild_connections 1",
            "idlewild_earning_units{class=\"job\"} 3",
        ] {
            assert!(text.lines().any(|line| line == expected), "{expected}\n{text}");
        }
    }
}
