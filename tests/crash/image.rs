//! State directories as a kill or a power loss leaves them.

use fastrand::Rng;
use std::{fs, path::Path};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Copies every file as it is at this moment, with the folders in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).unwrap();
        }
    }
}

/// Of two states of a file, the one before a sync and the one that was to be synced, what a power
/// loss between them leaves: sectors of either, in any mixture.
pub(crate) fn mixed(before: &[u8], after: &[u8], mut is_new: impl FnMut(usize) -> bool) -> Vec<u8> {
    let mut left = after.to_vec();
    let sectors = left.chunks_mut(SECTOR).zip(before.chunks(SECTOR)).enumerate();
    for (number, (new, old)) in sectors {
        let same = new.len().min(old.len());
        if new[..same] != old[..same] && !is_new(number) {
            new[..same].copy_from_slice(&old[..same]);
        }
    }
    left
}

/// The numbers of the sectors in which they differ.
pub(crate) fn differing(before: &[u8], after: &[u8]) -> Vec<usize> {
    let sectors = after.chunks(SECTOR).enumerate();
    let differs = |(number, new): &(usize, &[u8])| before.chunks(SECTOR).nth(*number) != Some(*new);
    sectors.filter(differs).map(|(number, _)| number).collect()
}

/// Where the last committed frame of a log of writes ends: all before it was synced.
pub(crate) fn synced(log: &[u8]) -> usize {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;
    let Some(header) = log.get(..HEADER) else { return 0 };
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let frame = FRAME_HEADER + number(8) as usize;
    let salts = &header[16..24];
    let (mut at, mut end) = (HEADER, HEADER);
    while at + frame <= log.len() && &log[at + 8..at + 16] == salts {
        let is_commit = number(at + 4) > 0;
        at += frame;
        if is_commit {
            end = at;
        }
    }
    end
}

/// Takes from a copied directory what a power loss takes: what was shared in memory, and some of the
/// end of the log, which nobody has synced since.
pub(crate) fn lose_power(dir: &Path, chance: &mut Rng) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with("-shm") {
            fs::remove_file(&path).unwrap();
        } else if name.ends_with("-wal") {
            let log = fs::read(&path).unwrap();
            let length = chance.usize(synced(&log)..=log.len());
            fs::write(&path, &log[..length]).unwrap();
        }
    }
}
