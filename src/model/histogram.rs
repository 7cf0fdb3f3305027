//! Times counted by their size: one bucket a power of two, so that recording costs no more than adding.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::snapshot::Counts;

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
        let bucket = &self.0[bucket(micros(time), 0, Self::BUCKETS)];
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
        below(bucket, 0, Self::BUCKETS)
    }
}

/// How often a time fell into each bucket, and the sum of all times. Any number of writers and readers, in cache lines
/// of its own. A reader may see a time in the counts that the sum has not yet.
///
/// The first of the `BUCKETS` is below 2^`FIRST` µs, each after it ends at twice the time, and the last has no end.
#[derive(Debug)]
#[repr(align(64))]
pub struct SharedHistogram<const FIRST: usize, const BUCKETS: usize> {
    counts: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl<const FIRST: usize, const BUCKETS: usize> Default for SharedHistogram<FIRST, BUCKETS> {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS], micros: AtomicU64::new(0) }
    }
}

impl<const FIRST: usize, const BUCKETS: usize> SharedHistogram<FIRST, BUCKETS> {
    /// Counts a time.
    pub fn record(&self, time: Duration) {
        let micros = micros(time);
        self.counts[bucket(micros, FIRST, BUCKETS)].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    /// All counts, the shortest times first.
    #[must_use]
    pub fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|bucket| self.counts[bucket].load(Relaxed))
    }

    /// The counts as they are at this moment.
    #[must_use]
    pub fn view(&self) -> Counts {
        Counts { first: u32::try_from(FIRST).unwrap_or(u32::MAX), buckets: self.counts().to_vec() }
    }

    /// How many times were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// The sum of all times.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }

    /// What every time of a bucket is below; `None` for the last, which has no end.
    #[must_use]
    pub fn below(bucket: usize) -> Option<Duration> {
        below(bucket, FIRST, BUCKETS)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn bucket(micros: u64, first: usize, buckets: usize) -> usize {
    let bits = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(buckets);
    bits.saturating_sub(first).min(buckets - 1)
}

fn below(bucket: usize, first: usize, buckets: usize) -> Option<Duration> {
    (bucket + 1 < buckets).then(|| Duration::from_micros(1 << (first + bucket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_falls_into_the_bucket_that_bounds_it() {
        for (micros, first) in [0, 1, 2, 3, 4, 1000, 1023, 1024, (1 << 20) - 1].iter().zip([0, 6].iter().cycle()) {
            let time = Duration::from_micros(*micros);
            let bucket = bucket(*micros, *first, Histogram::BUCKETS);
            let end = |bucket| below(bucket, *first, Histogram::BUCKETS);
            assert!(end(bucket).is_some_and(|end| time < end), "{micros} from {first}");
            assert!(bucket == 0 || end(bucket - 1).is_some_and(|start| time >= start), "{micros} from {first}");
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

    #[test]
    fn times_of_several_writers_are_all_counted_and_summed() {
        let histogram = SharedHistogram::<6, 4>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for micros in (0..1000).flat_map(|_| [63, 64, 200, 3000]) {
                        histogram.record(Duration::from_micros(micros));
                    }
                });
            }
        });
        assert_eq!(histogram.counts(), [4000; 4]);
        assert_eq!((histogram.total(), histogram.sum()), (16_000, Duration::from_micros(4000 * 3327)));
        let ends = [0, 1, 2, 3].map(SharedHistogram::<6, 4>::below);
        assert_eq!(ends, [Some(64), Some(128), Some(256), None].map(|end| end.map(Duration::from_micros)));
    }
}
