//! Finding an entry by its key.

use super::{Entry, first_bits};
use crate::model::Fingerprint;
use std::ops::Range;

/// Sorted entries, and where those with the same first bits begin: about four a bucket, so that a
/// lookup costs one read of the buckets, which stay in the cache, and one or two of the entries.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) entries: Vec<Entry>,
    buckets: Vec<u32>,
    bits: u32,
}

impl Level {
    /// `entries`: sorted by key, each key once.
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let bits = (entries.len() / 4).max(2).ilog2().min(31);
        let mut buckets = vec![0; (1 << bits) + 1];
        for entry in &entries {
            buckets[first_bits(entry.key, bits) + 1] += 1;
        }
        let mut sum = 0;
        for bucket in &mut buckets {
            sum += *bucket;
            *bucket = sum;
        }
        Self { entries, buckets, bits }
    }

    fn bucket(&self, key: Fingerprint) -> Range<usize> {
        if self.entries.is_empty() {
            return 0..0;
        }
        let at = first_bits(key, self.bits);
        self.buckets[at] as usize..self.buckets[at + 1] as usize
    }

    pub(super) fn find(&self, key: Fingerprint) -> Option<usize> {
        let bucket = self.bucket(key);
        let within = self.entries[bucket.clone()].iter().position(|entry| entry.key == key)?;
        Some(bucket.start + within)
    }

    /// Reads the first entry of every key's bucket, in a loop in which no read waits for another.
    pub(super) fn warm(&self, keys: &[Fingerprint]) {
        let first = |key: &Fingerprint| {
            let entry = self.entries.get(self.bucket(*key).start);
            entry.map_or(0, |entry| entry.key.0)
        };
        std::hint::black_box(keys.iter().map(first).fold(0, |a, b| a ^ b));
    }
}
