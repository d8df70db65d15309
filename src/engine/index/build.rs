//! Putting the pages of all tenants together.

use super::{Entry, Index, Marks, PAGES, PageHead, Pages, UNSETTLED, level::Level, page_of};
use crate::{engine::bits::Bits, model::Fingerprint};
use std::ops::Range;

/// An entry that the base does not have.
struct Stray {
    entry: Entry,
    tenant: usize,
    account: bool,
}

pub(super) struct Builder {
    entries: Vec<Entry>,
    /// The tenant that has most entries.
    pub(super) base: usize,
    /// By page: where its entries stand, and their digest while they are as they were read.
    pages: Vec<(Range<usize>, Option<Fingerprint>)>,
    tenants: Vec<Marks>,
    strays: Vec<Stray>,
    scratch: Vec<Entry>,
}

impl Builder {
    pub(super) fn for_tenants<P: Pages>(tenants: &[P]) -> Self {
        let size = |pages: &P| pages.heads().iter().map(|head| head.entries).sum::<usize>();
        let sizes: Vec<usize> = tenants.iter().map(size).collect();
        let base = (0..sizes.len()).max_by_key(|at| (sizes[*at], usize::MAX - at)).unwrap_or(0);
        let room = sizes.get(base).copied().unwrap_or_default();
        Self {
            entries: Vec::with_capacity(room),
            base,
            pages: vec![(0..0, None); PAGES],
            tenants: vec![Marks::default(); tenants.len()],
            strays: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Comes before all others: what they add to the base is not of its tenant.
    pub(super) fn add_base<P: Pages>(&mut self, pages: &mut P) -> Result<(), P::Error> {
        for at in 0..pages.heads().len() {
            let from = self.entries.len();
            let read = pages.read(at, &mut self.entries);
            if read.is_err() {
                self.entries.truncate(from);
            }
            read?;
            let PageHead { number, entries: _, digest, accounts } = &pages.heads()[at];
            let range = from..self.entries.len();
            self.pages[*number] = (range.clone(), *digest);
            self.take_same(self.base, range, accounts);
        }
        Ok(())
    }

    pub(super) fn add<P: Pages>(&mut self, tenant: usize, pages: &mut P) -> Result<(), P::Error> {
        for at in 0..pages.heads().len() {
            let PageHead { number, entries: _, digest, accounts } = pages.heads()[at].clone();
            let (range, known) = self.pages[number].clone();
            if digest.is_some() && digest == known {
                self.take_same(tenant, range, &accounts);
                continue;
            }
            self.scratch.clear();
            let mut scratch = std::mem::take(&mut self.scratch);
            pages.read(at, &mut scratch)?;
            for (at, entry) in scratch.iter().enumerate() {
                self.take(tenant, range.clone(), *entry, accounts.get(at));
            }
            self.scratch = scratch;
        }
        Ok(())
    }

    /// A page with the very entries of the base.
    fn take_same(&mut self, tenant: usize, range: Range<usize>, accounts: &Bits) {
        let mut settled = Bits::new(range.len());
        for (at, entry) in self.entries[range.clone()].iter().enumerate() {
            if entry.row != UNSETTLED {
                settled.set(at);
            }
        }
        let marks = &mut self.tenants[tenant];
        marks.account.set_from(range.clone(), accounts);
        marks.settled.set_from(range, &settled);
    }

    fn take(&mut self, tenant: usize, page: Range<usize>, entry: Entry, account: bool) {
        let found = self.entries[page.clone()].binary_search_by_key(&entry.key, |entry| entry.key);
        let Ok(within) = found else {
            self.strays.push(Stray { entry, tenant, account });
            return;
        };
        let at = page.start + within;
        if self.entries[at].row == UNSETTLED && entry.row != UNSETTLED {
            // The page is no longer the one that the digest is of.
            self.pages[page_of(entry.key)].1 = None;
            self.entries[at].row = entry.row;
        }
        let settled = entry.row != UNSETTLED && self.entries[at].row == entry.row;
        self.tenants[tenant].note(at, account, settled);
    }

    pub(super) fn finish(mut self, touched: &[&[Fingerprint]], sound: &[bool]) -> Index {
        let base = Level::of(std::mem::take(&mut self.entries));
        for (tenant, keys) in touched.iter().enumerate() {
            for key in *keys {
                match base.find(*key) {
                    Some(at) => self.tenants[tenant].touch(at),
                    None => self.strays.push(Stray {
                        entry: Entry { key: *key, row: UNSETTLED },
                        tenant,
                        account: true,
                    }),
                }
            }
        }
        let extra = self.place_strays(base.entries.len());
        for (marks, sound) in self.tenants.iter_mut().zip(sound) {
            if !sound {
                *marks = Marks::default();
            }
        }
        let sound = self.tenants.iter().zip(sound).filter(|(_, sound)| **sound);
        let settled_by_all = sound
            .map(|(marks, _)| marks.settled.clone())
            .reduce(|mut all, one| {
                all.intersect(&one);
                all
            })
            .unwrap_or_default();
        Index { base, extra: Level::of(extra), tenants: self.tenants, settled_by_all }
    }

    /// Gives the strays their places, from `first` on. What is touched comes last among those of a
    /// tenant, and so has the last word.
    fn place_strays(&mut self, first: usize) -> Vec<Entry> {
        self.strays.sort_by_key(|stray| stray.entry.key);
        let mut extra: Vec<Entry> = Vec::new();
        for Stray { entry, tenant, account } in std::mem::take(&mut self.strays) {
            match extra.last_mut() {
                Some(last) if last.key == entry.key => {
                    if last.row == UNSETTLED {
                        last.row = entry.row;
                    }
                }
                _ => extra.push(entry),
            }
            let at = extra.len() - 1;
            let settled = entry.row != UNSETTLED && extra[at].row == entry.row;
            let marks = &mut self.tenants[tenant];
            if entry.row == UNSETTLED {
                marks.settled.clear(first + at);
            }
            marks.note(first + at, account, settled);
        }
        extra
    }
}
