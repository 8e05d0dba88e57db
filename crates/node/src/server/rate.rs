//! How many requests an address may make: a bucket that fills steadily and holds a burst.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Addresses that are remembered at a time.
const ADDRESSES_MAX: usize = 4_096;
/// Seconds of steady requests that a full bucket holds.
const BURST_SECONDS: u64 = 2;

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Rates {
    began: Instant,
    a_second: u64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Thousandths of requests that are left.
    left: u64,
    at_ms: u64,
}

impl Rates {
    pub(crate) fn new(a_second: u32) -> Self {
        Self { began: Instant::now(), a_second: a_second.into(), buckets: Mutex::default() }
    }

    /// Takes a request of an address into account; returns whether it is within its rate.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.allows_at(address, at_ms)
    }

    fn allows_at(&self, address: IpAddr, at_ms: u64) -> bool {
        let full = self.a_second * BURST_SECONDS * 1_000;
        let refilled = |bucket: &Bucket| {
            let since = at_ms.saturating_sub(bucket.at_ms);
            bucket.left.saturating_add(since.saturating_mul(self.a_second)).min(full)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(&address) && buckets.len() >= ADDRESSES_MAX {
            // A full bucket says nothing that a new one would not say.
            buckets.retain(|_, bucket| refilled(bucket) < full);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket { left: full, at_ms });
        bucket.left = refilled(bucket);
        bucket.at_ms = at_ms;
        let allowed = bucket.left >= 1_000;
        if allowed {
            bucket.left -= 1_000;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_has_a_burst_and_then_its_rate() {
        let rates = Rates::new(5);
        let allowed = |at_ms| (0..100).filter(|_| rates.allows_at(address(1), at_ms)).count();
        assert_eq!(allowed(0), 10);
        assert_eq!(allowed(199), 0);
        assert_eq!(allowed(200), 1);
        assert_eq!(allowed(1_200), 5);
        assert_eq!(allowed(100_000), 10);
        assert!(rates.allows_at(address(2), 100_000));
    }

    #[test]
    fn the_memory_of_addresses_is_bounded() {
        let rates = Rates::new(1);
        for number in 0..100_000 {
            rates.allows_at(address(number), u64::from(number));
        }
        assert!(rates.buckets.lock().unwrap().len() <= ADDRESSES_MAX);
        assert!(rates.allows_at(address(7), 1_000_000));
    }
}
