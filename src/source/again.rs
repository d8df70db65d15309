//! The second look: rows read again by where they stand.

use super::{
    cells::{Cells, Hasher, Splitter},
    codes,
    findings::{Refused, refusal},
    input,
    input::Input,
    judge::{Judgement, Unnamed},
    keys,
    ledger::{Ledger, Spot},
    rows::Judge,
    stretch::half,
};
use crate::model::{Fields, Record, UserKey};
use ::csv::ByteRecord;
use encoding_rs::Encoding;
use std::{
    collections::BTreeSet,
    io::{self, Read, SeekFrom},
    sync::Arc,
};

/// How the rows of one read become records. Shared by all batches.
#[derive(Debug)]
pub(super) struct Form {
    delimiter: u8,
    columns: usize,
    key: usize,
    fold_key_case: bool,
    /// By column that somebody asked for, in the order of their names: where it is.
    demanded: Vec<Option<usize>>,
    /// Of the cells of a record: their names, sorted, and where they are.
    names: Arc<[String]>,
    places: Vec<usize>,
    /// Names of the columns of references.
    references: Vec<String>,
}

impl Form {
    pub(super) fn of(judge: &Judge<'_>, delimiter: u8) -> Self {
        let header = &judge.header;
        let demanded = header.demanded.iter().filter_map(|(name, at)| Some((name, (*at)?)));
        let mut columns: Vec<(&String, usize)> =
            demanded.chain([(&judge.settings.key, header.key)]).collect();
        columns.sort_unstable();
        columns.dedup();
        Self {
            delimiter,
            columns: header.names.len(),
            key: header.key,
            fold_key_case: judge.settings.fold_key_case,
            demanded: header.demanded.iter().map(|(_, at)| *at).collect(),
            names: columns.iter().map(|(name, _)| (*name).clone()).collect(),
            places: columns.into_iter().map(|(_, at)| at).collect(),
            references: header.references.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    pub(super) fn tools(&self) -> Tools {
        let splitter = Splitter::new(self.delimiter);
        Tools { splitter, cells: ByteRecord::new(), hasher: Hasher::default() }
    }

    /// The key of a row that had a readable one at the first look.
    fn key(
        &self,
        row: &[u8],
        splitter: &mut Splitter,
        cells: &mut ByteRecord,
    ) -> Result<UserKey, Refused> {
        let whole = std::str::from_utf8(row).is_ok() && splitter.split(row, cells);
        if !whole || cells.len() != self.columns {
            return Err(changed());
        }
        let key = keys::read(cells.text(self.key), self.fold_key_case).ok();
        key.and_then(|key| UserKey::parse(&key).ok()).ok_or_else(changed)
    }

    /// The row's key and record, if it is still the row of which `expected` is half the fingerprint.
    pub(super) fn record(
        &self,
        row: &[u8],
        (line, expected): (u64, u64),
        unusable: impl Iterator<Item = u16>,
        tools: &mut Tools,
    ) -> Result<Record, Refused> {
        let Tools { splitter, cells, hasher } = tools;
        let key = self.key(row, splitter, cells)?;
        let fingerprint = hasher.row(key.as_str(), &self.demanded, cells, row.len());
        if half(fingerprint) != expected {
            return Err(changed());
        }
        let mut fields = Fields::under(Arc::clone(&self.names), cells.as_slice().len());
        for at in &self.places {
            fields.push(cells.text(*at));
        }
        let unusable: BTreeSet<String> =
            unusable.filter_map(|at| self.references.get(usize::from(at)).cloned()).collect();
        Ok(Record { key, line, fields, unusable, fingerprint })
    }
}

/// What it takes to make records.
pub(super) struct Tools {
    splitter: Splitter,
    cells: ByteRecord,
    hasher: Hasher,
}

pub(super) fn changed() -> Refused {
    refusal(
        codes::CHANGED_WHILE_READ,
        "the file was written to while it was read",
        "write it under another name and rename it when it is whole",
    )
    .into()
}

/// The text once more, from its beginning to its end, as far as it is asked for.
pub(super) enum Again<'a> {
    /// Positions in the text are positions in the file.
    Plain(&'a mut dyn Input),
    /// Unpacked or decoded, which can only be done forward.
    Stream { text: Box<dyn Read + Send + 'a>, at: u64 },
}

impl<'a> Again<'a> {
    pub(super) fn open(
        input: &'a mut dyn Input,
        encoding: &'static Encoding,
        plain: bool,
    ) -> Result<Self, Refused> {
        if plain {
            return Ok(Self::Plain(input));
        }
        input.rewind().map_err(|error| input::failure(&error))?;
        Ok(Self::Stream { text: input::open(input, encoding)?.reader, at: 0 })
    }

    /// Appends the bytes of a spot, which is not before one that was read already.
    pub(super) fn read(&mut self, spot: Spot, into: &mut Vec<u8>) -> Result<(), Refused> {
        let from = into.len();
        into.resize(from + spot.length, 0);
        let read = match self {
            Self::Plain(input) => input
                .seek(SeekFrom::Start(spot.byte))
                .and_then(|_| input.read_exact(&mut into[from..])),
            Self::Stream { text, at } => {
                let skipped = spot.byte.saturating_sub(*at);
                *at = spot.byte + spot.length as u64;
                io::copy(&mut text.by_ref().take(skipped), &mut io::sink())
                    .and_then(|_| text.read_exact(&mut into[from..]))
            }
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(),
            _ => input::failure(&error).into(),
        })
    }
}

/// Reads the keys of those that are told of without one, in the file's order.
pub(super) fn name_all(
    ledger: &mut Ledger,
    judgement: &mut Judgement,
    form: &Form,
    again: &mut Again<'_>,
) -> Result<(), Refused> {
    let mut unnamed = std::mem::take(&mut judgement.unnamed);
    unnamed.sort_by_key(|(spot, _)| *spot);
    let (mut tools, mut row) = (form.tools(), Vec::new());
    for alike in unnamed.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((spot, _)) = alike.first() else { continue };
        row.clear();
        again.read(*spot, &mut row)?;
        let key = form.key(&row, &mut tools.splitter, &mut tools.cells)?;
        for (_, what) in alike {
            match what {
                Unnamed::Finding(at) => ledger.findings.set_key(*at, key.clone()),
                Unnamed::Held(at) => ledger.held[*at].key = Some(key.clone()),
            }
        }
    }
    Ok(())
}
