//! Everybody seen in the file: who is present, and who is there more than once.

use crate::model::{Fingerprint, UserKey};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
};

/// 32 bytes a user.
#[derive(Default)]
pub(super) struct Register {
    seen: HashMap<Fingerprint, Seen, BuildHasherDefault<Already>>,
    repeated: BTreeMap<Fingerprint, Repeated>,
}

struct Seen {
    line: u64,
    /// Half of the row's fingerprint: enough to tell two rows of one user apart.
    row: u64,
}

/// The rows of a key that came more than once.
pub(super) struct Repeated {
    pub(super) key: UserKey,
    pub(super) lines: Vec<u64>,
    /// All the rows say the same.
    pub(super) same: bool,
}

impl Register {
    /// `key`: the text of the key, which must be a valid one.
    pub(super) fn see(&mut self, at: Fingerprint, row: Fingerprint, line: u64, key: &str) {
        let row = half(row);
        match self.seen.entry(at) {
            Entry::Vacant(place) => {
                place.insert(Seen { line, row });
            }
            Entry::Occupied(first) => {
                // The text was judged by `keys::read`, which is stricter than the type.
                let Ok(key) = UserKey::parse(key) else { return };
                let Seen { line: first_line, row: first_row } = first.get();
                let repeated = self.repeated.entry(at).or_insert_with(|| Repeated {
                    key,
                    lines: vec![*first_line],
                    same: true,
                });
                repeated.lines.push(line);
                repeated.same &= *first_row == row;
            }
        }
    }

    pub(super) fn contains(&self, key: Fingerprint) -> bool {
        self.seen.contains_key(&key)
    }

    pub(super) fn users(&self) -> u64 {
        self.seen.len() as u64
    }

    pub(super) fn take_repeated(&mut self) -> BTreeMap<Fingerprint, Repeated> {
        std::mem::take(&mut self.repeated)
    }

    pub(super) fn into_present(self) -> BTreeSet<Fingerprint> {
        self.seen.into_keys().collect()
    }
}

#[expect(clippy::cast_possible_truncation)]
fn half(fingerprint: Fingerprint) -> u64 {
    fingerprint.0 as u64
}

/// A fingerprint is a hash already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = half(Fingerprint(hash));
    }
}
