//! Times counted by their size: one bucket a power of two, so that recording costs no more than adding.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often a time fell into each bucket. One writer, any number of readers.
///
/// The first bucket is below 1 µs, bucket `n` from 2ⁿ⁻¹ µs to below 2ⁿ µs, and the last everything from 2²⁰ µs
/// (1.05 s) on.
#[derive(Debug, Default)]
pub struct Histogram([AtomicU64; Self::BUCKETS]);

impl Histogram {
    /// How many buckets there are.
    pub const BUCKETS: usize = 22;

    /// Counts a time. For one thread only: another writer's count could be lost.
    pub fn record(&self, time: Duration) {
        let bucket = &self.0[Self::bucket(time)];
        bucket.store(bucket.load(Relaxed) + 1, Relaxed);
    }

    /// All counts, the shortest times first.
    #[must_use]
    pub fn counts(&self) -> [u64; Self::BUCKETS] {
        std::array::from_fn(|bucket| self.0[bucket].load(Relaxed))
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// What every time of a bucket is below; `None` for the last, which has no end.
    #[must_use]
    pub fn below(bucket: usize) -> Option<Duration> {
        (bucket + 1 < Self::BUCKETS).then(|| Duration::from_micros(1 << bucket))
    }

    fn bucket(time: Duration) -> usize {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bits = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(Self::BUCKETS);
        bits.min(Self::BUCKETS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_falls_into_the_bucket_that_bounds_it() {
        for micros in [0, 1, 2, 3, 4, 1000, 1023, 1024, (1 << 20) - 1] {
            let time = Duration::from_micros(micros);
            let bucket = Histogram::bucket(time);
            assert!(Histogram::below(bucket).is_some_and(|end| time < end), "{micros}");
            assert!(bucket == 0 || Histogram::below(bucket - 1).is_some_and(|start| time >= start), "{micros}");
        }
    }

    #[test]
    fn long_times_share_the_last_bucket() {
        let histogram = Histogram::default();
        for time in [Duration::from_micros(1 << 20), Duration::from_secs(3600), Duration::MAX] {
            histogram.record(time);
        }
        assert_eq!(histogram.counts()[Histogram::BUCKETS - 1], 3);
        assert_eq!(histogram.total(), 3);
        assert_eq!(Histogram::below(Histogram::BUCKETS - 1), None);
    }
}
