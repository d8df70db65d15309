//! What a read yields: facts of all rows, and the fresh ones in batches, read a second time.

use super::{
    again::{Again, Form, Tools, changed},
    findings::{Refused, name_file},
    input::Input,
    ledger::{Fresh, Present, Spot},
    references::Unusable,
    stretch::Ref,
    whole::FileMark,
};
use crate::{
    engine::index::{Index, Place},
    model::{Columns, Finding, Fingerprint, HeldRow, Record, SourceFacts},
};
use encoding_rs::Encoding;
use std::{
    fmt,
    fs::{File, Metadata},
    path::{Path, PathBuf},
    sync::Arc,
    vec,
};

/// One read of a source, judged.
pub struct Roster {
    pub columns: Columns,
    pub held: Vec<HeldRow>,
    /// Everything noticed that did not refuse the read, in line order.
    pub findings: Vec<Finding>,
    pub facts: SourceFacts,
    /// Of the file's bytes.
    pub file: FileMark,
    pub(super) present: Present,
    pub(super) fresh: Vec<Fresh>,
    pub(super) unusable: Vec<Unusable>,
    pub(super) form: Arc<Form>,
    pub(super) input: Box<dyn Input>,
    pub(super) encoding: &'static Encoding,
    /// Positions in the text are positions in the file.
    pub(super) plain: bool,
    pub(super) watch: Option<Watch>,
}

impl Roster {
    /// The user stands in the file, be it in a row that is held.
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        self.present.has(place)
    }

    /// The same of any key. `index`: the one that the roster was read with.
    #[must_use]
    pub fn has_key(&self, index: &Index, key: Fingerprint) -> bool {
        self.present.has_key(index, key)
    }

    /// Number of rows that are yet to be handed out.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.fresh.iter().flat_map(|fresh| &fresh.refs).filter(|row| row.is_wanted()).count()
    }

    /// The fresh rows, each once: what is handed out is forgotten.
    pub fn fresh_rows(&mut self) -> FreshRows<'_> {
        FreshRows {
            chunks: std::mem::take(&mut self.fresh).into_iter(),
            chunk: None,
            number: 0,
            unusable: std::mem::take(&mut self.unusable).into_iter().peekable(),
            form: &self.form,
            source: Source::Closed(&mut *self.input, self.encoding, self.plain),
            watch: self.watch.as_ref(),
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// The file as it was when it was opened.
pub(super) struct Watch {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) before: Metadata,
}

impl Watch {
    /// Whether the file, or what its name stands for, is another than before.
    pub(super) fn changed(&self) -> bool {
        let before = &self.before;
        let same = |now: &Metadata| {
            now.len() == before.len() && now.modified().ok() == before.modified().ok()
        };
        let now = [self.file.metadata(), self.path.metadata()];
        !now.iter().all(|now| now.as_ref().is_ok_and(same))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads the fresh rows once more, a batch at a time, in the file's order.
pub struct FreshRows<'a> {
    chunks: vec::IntoIter<Fresh>,
    chunk: Option<(Fresh, usize)>,
    /// Of the fresh row that comes next.
    number: u32,
    unusable: std::iter::Peekable<vec::IntoIter<Unusable>>,
    form: &'a Arc<Form>,
    source: Source<'a>,
    watch: Option<&'a Watch>,
}

enum Source<'a> {
    Closed(&'a mut dyn Input, &'static Encoding, bool),
    Open(Again<'a>),
    Done,
}

impl<'a> Source<'a> {
    fn open(&mut self) -> Result<&mut Again<'a>, Refused> {
        if let Self::Closed(..) = self
            && let Self::Closed(input, encoding, plain) = std::mem::replace(self, Self::Done)
        {
            *self = Self::Open(Again::open(input, encoding, plain)?);
        }
        match self {
            Self::Open(again) => Ok(again),
            Self::Closed(..) | Self::Done => Err(changed()),
        }
    }
}

/// Rows in a batch.
const BATCH_ROWS: usize = 512;
/// Rows so near to one another are read together with what stands between them.
const GAP_BYTES: u64 = 4 << 10;
/// Most bytes read at once, but for a single row that is longer.
const SPAN_BYTES: u64 = 256 << 10;

impl FreshRows<'_> {
    /// The next rows; `None` when there are no more.
    ///
    /// # Errors
    /// When the file cannot be read again, or was written to meanwhile.
    #[expect(clippy::should_implement_trait, reason = "after an error nothing comes any more")]
    pub fn next(&mut self) -> Result<Option<Batch>, Refused> {
        let batch = self.next_batch();
        batch.map_err(|refused| match self.watch {
            Some(watch) => name_file(refused, watch.path()),
            None => refused,
        })
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, Refused> {
        let mut batch = Batch {
            form: Arc::clone(self.form),
            path: self.watch.map(|watch| watch.path.clone()),
            text: Vec::new(),
            rows: Vec::with_capacity(BATCH_ROWS),
            unusable: Vec::new(),
        };
        let mut spots = Vec::with_capacity(BATCH_ROWS);
        while batch.rows.len() < BATCH_ROWS
            && let Some((number, row, line, spot)) = self.next_wanted()
        {
            while let Some((_, column)) = self.unusable.next_if(|(of, _)| *of <= number) {
                batch.unusable.push((batch.rows.len(), column));
            }
            spots.push(spot);
            batch.rows.push(Row { found: row, line, at: 0, length: spot.length });
        }
        if batch.rows.is_empty() {
            self.source = Source::Done;
            let changed_meanwhile = self.watch.is_some_and(Watch::changed);
            return if changed_meanwhile { Err(changed()) } else { Ok(None) };
        }
        self.read(&spots, &mut batch)?;
        Ok(Some(batch))
    }

    fn next_wanted(&mut self) -> Option<(u32, Ref, u64, Spot)> {
        loop {
            if self.chunk.as_ref().is_none_or(|(fresh, at)| *at == fresh.refs.len()) {
                self.chunk = Some((self.chunks.next()?, 0));
            }
            let (fresh, at) = self.chunk.as_mut()?;
            let row = fresh.refs[*at];
            *at += 1;
            self.number += 1;
            if row.is_wanted() {
                let line = fresh.line + u64::from(row.line);
                return Some((self.number - 1, row, line, fresh.spot(&row)));
            }
        }
    }

    /// Reads the spots, those near one another at once.
    fn read(&mut self, spots: &[Spot], batch: &mut Batch) -> Result<(), Refused> {
        let again = self.source.open()?;
        let mut first = 0;
        while first < spots.len() {
            let start = spots[first].byte;
            let end = |spot: &Spot| spot.byte + spot.length as u64;
            let near = |pair: &&[Spot]| {
                pair[1].byte - end(&pair[0]) <= GAP_BYTES && end(&pair[1]) - start <= SPAN_BYTES
            };
            let last = first + spots[first..].windows(2).take_while(near).count();
            let from = batch.text.len();
            let length = usize::try_from(end(&spots[last]) - start).map_err(|_| changed())?;
            again.read(Spot { byte: start, length }, &mut batch.text)?;
            for (row, spot) in batch.rows[first..=last].iter_mut().zip(&spots[first..=last]) {
                row.at = from + usize::try_from(spot.byte - start).map_err(|_| changed())?;
            }
            first = last + 1;
        }
        Ok(())
    }
}

/// Some of the fresh rows, as text; made into records wherever there is time for it.
pub struct Batch {
    form: Arc<Form>,
    path: Option<PathBuf>,
    text: Vec<u8>,
    rows: Vec<Row>,
    /// Which of the rows, and which column of references.
    unusable: Vec<(usize, u16)>,
}

struct Row {
    found: Ref,
    line: u64,
    at: usize,
    length: usize,
}

/// A fresh row.
#[derive(Debug)]
pub struct Arrival {
    pub key: Fingerprint,
    /// `None`: nobody had heard of this user.
    pub place: Option<Place>,
    pub record: Record,
}

impl Batch {
    /// # Errors
    /// When a row is no longer the one that was judged.
    pub fn records(&self) -> Result<Vec<Arrival>, Refused> {
        self.arrivals().map_err(|refused| match &self.path {
            Some(path) => name_file(refused, path),
            None => refused,
        })
    }

    fn arrivals(&self) -> Result<Vec<Arrival>, Refused> {
        let mut tools = self.form.tools();
        let mut unusable = self.unusable.iter().peekable();
        let mut arrivals = Vec::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            let unusable = std::iter::from_fn(|| unusable.next_if(|(of, _)| *of == at));
            let unusable = unusable.map(|(_, column)| *column);
            arrivals.push(self.arrival(row, unusable, &mut tools)?);
        }
        Ok(arrivals)
    }

    fn arrival(
        &self,
        row: &Row,
        unusable: impl Iterator<Item = u16>,
        tools: &mut Tools,
    ) -> Result<Arrival, Refused> {
        let Row { found, line, at, length } = row;
        let text = &self.text[*at..at + length];
        let record = self.form.record(text, (*line, found.row), unusable, tools)?;
        Ok(Arrival { key: found.key(), place: found.place(), record })
    }
}
