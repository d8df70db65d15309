//! A set of small numbers, one bit each.

use std::ops::Range;

/// Bits beyond the end are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// All bits 0, with room for `len` of them.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// As [`Self::to_bytes`] gave them.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        };
        Self(bytes.chunks(8).map(word).collect())
    }

    /// Bit `i` is bit `i % 8` of byte `i / 8`; `len` bits, rounded up to a byte.
    #[must_use]
    pub fn to_bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(len.div_ceil(8), 0);
        bytes
    }

    #[must_use]
    pub fn get(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Grows as needed.
    pub fn set(&mut self, at: usize) {
        self.reach(at + 1);
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub fn clear(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    /// Takes over the bits of `range` that are set in `other`, whose bit 0 is the first of them.
    pub fn set_from(&mut self, range: Range<usize>, other: &Self) {
        self.reach(range.end);
        for (word, at) in other.0.iter().zip(range.clone().step_by(64)) {
            let within = mask(range.end - at);
            let (low, shift) = (word & within, at % 64);
            self.0[at / 64] |= low << shift;
            if shift > 0 && low >> (64 - shift) != 0 {
                self.0[at / 64 + 1] |= low >> (64 - shift);
            }
        }
    }

    /// The bits of `range`, from bit 0 on.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let word = |at: usize| self.0.get(at).copied().unwrap_or_default();
        let take = |at: usize| {
            let (index, shift) = (at / 64, at % 64);
            let high = if shift == 0 { 0 } else { word(index + 1) << (64 - shift) };
            (word(index) >> shift | high) & mask(range.end - at)
        };
        Self(range.clone().step_by(64).map(take).collect())
    }

    /// Keeps only what is also in `other`.
    pub fn intersect(&mut self, other: &Self) {
        for (at, word) in self.0.iter_mut().enumerate() {
            *word &= other.0.get(at).copied().unwrap_or_default();
        }
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The bits that are set, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let left = |word: &u64| Some(word & (word - 1)).filter(|word| *word != 0);
            let first = Some(*word).filter(|word| *word != 0);
            std::iter::successors(first, left)
                .map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }

    fn reach(&mut self, len: usize) {
        if self.0.len() < len.div_ceil(64) {
            self.0.resize(len.div_ceil(64), 0);
        }
    }
}

/// The lowest `count` bits, at most 64.
fn mask(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bits(members: &BTreeSet<usize>) -> Bits {
        let mut bits = Bits::default();
        for at in members {
            bits.set(*at);
        }
        bits
    }

    proptest! {
        #[test]
        fn bits_are_a_set_of_numbers(
            a in prop::collection::btree_set(0_usize..300, 0..60),
            b in prop::collection::btree_set(0_usize..300, 0..60),
            from in 0_usize..200, len in 0_usize..200,
        ) {
            prop_assert_eq!(bits(&a).iter().collect::<BTreeSet<_>>(), a.clone());
            prop_assert_eq!(bits(&a).count(), a.len() as u64);
            let stored = Bits::from_bytes(&bits(&a).to_bytes(300));
            prop_assert_eq!(stored.iter().collect::<BTreeSet<_>>(), a.clone());

            let mut both = bits(&a);
            both.intersect(&bits(&b));
            prop_assert_eq!(both.iter().collect::<BTreeSet<_>>(), &a & &b);

            let range = from..from + len;
            let part = bits(&a).part(range.clone());
            let expected = range.clone().filter(|at| a.contains(at)).map(|at| at - from);
            prop_assert_eq!(part.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());

            let mut joined = bits(&b);
            joined.set_from(range.clone(), &part);
            let expected = (0..400).filter(|at| b.contains(at) || range.contains(at) && a.contains(at));
            prop_assert_eq!(joined.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());

            let mut cleared = bits(&a);
            cleared.clear(from);
            prop_assert!(!cleared.get(from));
        }
    }
}
