//! Before the looks: whatever a source is becomes one file that the reader of CSV files can judge.
//!
//! A CSV file by itself is read where it lies. All else becomes our own copy, `spool/<source>.csv` in
//! the state directory, which is made again only when something that decides it has changed: a file,
//! a setting, or the day on which a row begins or ends to count. A look, or a run beside another one,
//! makes a copy without a name, of which nothing is left.

use super::{
    Options, feed,
    intake::Intake,
    shelf::{Card, Shelf},
};
use crate::{
    config::{Config, FeedConfig, SourceConfig},
    feed::Fetched,
    model::{Completeness, Finding, HeldRow, Place, SourceFacts, SourceId},
    source::{
        self, Copy, CsvSettings, Demand, Draft, Dropped, FileLock, FileMark, Format, JoinPart,
        Merged, Part, Refused, Roster, Tale, Trail, codes,
    },
};
use jiff::civil::Date;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// A source that can be read.
pub(super) struct Prepared {
    /// As it is configured, but for what is read: `csv`.
    pub(super) settings: SourceConfig,
    /// What is to be told besides.
    pub(super) findings: Vec<Finding>,
    /// Rows that wait for their first day.
    pub(super) waiting: u64,
    /// Of our own copy.
    trail: Option<Trail>,
    /// Rows of the main source, where the copy has others.
    rows: Option<u64>,
    /// Where its files are dropped, the one that is read.
    pub(super) dropped: Option<Dropped>,
    /// Keeps the copy as it is.
    kept: Vec<Box<dyn Send + Sync>>,
}

/// Makes the source ready to be read.
///
/// # Errors
/// Why it is refused.
pub(super) fn prepare(
    config: &Config,
    source: &SourceId,
    settings: &SourceConfig,
    options: &Options,
) -> Result<Prepared, Refused> {
    let shelf = Shelf::of(&config.state_dir, source);
    let dropped = match &settings.drop {
        Some(rules) => Some(rules.find(options.now, shelf.accepted()?.as_ref())?),
        None => None,
    };
    let mut prepared = Prepared::plain(settings, dropped);
    let fetched = feed::fetch(config, source, settings, options)?;
    prepared.findings.extend(feed::findings(settings, options.now));
    let merges = settings.effective.is_some() || !settings.partners.is_empty();
    if settings.format == Format::Csv && !merges {
        return Ok(prepared);
    }
    let fetched = match fetched {
        Some(Fetched { copy, hold, .. }) if !merges => {
            return Ok(prepared.of(copy, &settings.csv, hold));
        }
        Some(Fetched { copy, hold, unchanged: _ }) => {
            prepared.settings.csv.path.clone_from(&copy.kept.path);
            prepared.kept.push(Box::new(hold));
            Some(copy)
        }
        None => None,
    };
    let demand = config.demand(source);
    let path = prepared.settings.csv.path.as_path();
    let fetched = fetched.as_ref();
    let work = Work { settings, demand: &demand, shelf: &shelf, path, fetched };
    let today = settings.effective.as_ref().map(|rules| rules.today(options.now));
    let shown = settings.feed.as_ref().map_or_else(|| prepared.shown(), FeedConfig::shown);
    let copied = work.copied(&shown, today, options)?;
    let Copied { copy, tale, rows, findings, hold } = copied;
    prepared.findings.extend(findings);
    prepared.findings.extend(tale.findings());
    prepared.waiting = tale.waiting;
    prepared.rows = rows;
    Ok(prepared.of(copy, &settings.csv, hold))
}

/// Our own copy, new or as it was.
struct Copied {
    copy: Copy,
    tale: Tale,
    rows: Option<u64>,
    findings: Vec<Finding>,
    /// Nobody makes another copy of this name meanwhile.
    hold: Option<FileLock>,
}

/// What a copy is made of.
struct Work<'a> {
    settings: &'a SourceConfig,
    demand: &'a Demand,
    shelf: &'a Shelf,
    /// Of the main source.
    path: &'a Path,
    /// The main source, where it was fetched.
    fetched: Option<&'a Copy>,
}

impl Work<'_> {
    fn copied(
        &self,
        shown: &str,
        today: Option<Date>,
        options: &Options,
    ) -> Result<Copied, Refused> {
        let wish = self.wish(shown);
        let partners = self.settings.partners.iter().map(|partner| partner.rules.path.as_path());
        let inputs: Vec<&Path> = [self.path].into_iter().chain(partners).collect();
        if let Some((copy, card, hold)) = self.shelf.reuse(&wish, &inputs, today) {
            let Card { tale, rows, .. } = card;
            return Ok(Copied { copy, tale, rows, findings: Vec::new(), hold: Some(hold) });
        }
        let hold = if options.looks() {
            None
        } else {
            self.shelf.claim().map_err(|error| no_room(&error))?
        };
        let named = hold.is_some();
        let (copy, marks, merged) = self.make(shown, today, named)?;
        let Merging { tale, rows, changes, findings } = merged;
        if named && copy.trail.is_plain() && findings.is_empty() {
            let card = Card::of(wish, &marks, &copy, tale.clone(), rows, today, changes);
            self.shelf.note(&card).map_err(|error| no_room(&error))?;
        }
        Ok(Copied { copy, tale, rows, findings, hold })
    }

    /// Everything but the files and the day that decides what the copy says.
    fn wish(&self, shown: &str) -> String {
        let Self { settings, demand, .. } = self;
        let effective = settings.effective.as_ref().map(source::Effective::described);
        // What a dropped file is called changes with each.
        let rules = CsvSettings { path: PathBuf::new(), ..settings.csv.clone() };
        let parts = format!(
            "{} {:?} {rules:?} {effective:?} {:?} {demand:?} {shown}",
            env!("CARGO_PKG_VERSION"),
            settings.format,
            settings.partners,
        );
        crate::model::Fingerprint::of([Some(parts.as_str())]).to_string()
    }

    fn make(
        &self,
        shown: &str,
        today: Option<Date>,
        named: bool,
    ) -> Result<(Copy, Vec<FileMark>, Merging), Refused> {
        let Self { settings, demand, path, .. } = self;
        let effective = settings.effective.as_ref().zip(today);
        let merges = effective.is_some() || !settings.partners.is_empty();
        if let (Format::Json(form), false) = (&settings.format, merges) {
            let draft = self.draft(named)?;
            let (copy, mark) = source::json::spool_file(path, shown, form, &settings.csv, draft)?;
            return Ok((copy, vec![mark], Merging::default()));
        }
        let (main, main_mark) = match self.fetched {
            Some(copy) => (fetched_part(copy, shown, &settings.csv)?, None),
            None => self.part(path, shown, &settings.format, &settings.csv)?,
        };
        let mut parts = Vec::new();
        for partner in &settings.partners {
            let path = &partner.rules.path;
            let shown = path.display().to_string();
            parts.push(self.part(path, &shown, &partner.format, &partner.rules)?);
        }
        let joined = settings.partners.iter().zip(&parts);
        let joined: Vec<JoinPart<'_>> = joined
            .map(|(partner, (part, _))| JoinPart {
                name: &partner.name,
                columns: &partner.columns,
                missing: partner.missing,
                part,
            })
            .collect();
        let one = source::merge(&main, effective, &joined, demand, self.draft(named)?)?;
        let Merged { copy, findings, tale, rows, changes, marks } = one;
        // Of what was copied before, the original counts.
        let originals = [main_mark].into_iter().chain(parts.iter().map(|(_, mark)| *mark));
        let marks = originals.zip(marks).map(|(original, read)| original.unwrap_or(read)).collect();
        Ok((copy, marks, Merging { tale, rows: Some(rows), changes, findings }))
    }

    fn part(
        &self,
        path: &Path,
        shown: &str,
        format: &Format,
        rules: &CsvSettings,
    ) -> Result<(Part, Option<FileMark>), Refused> {
        let shown = shown.to_owned();
        match format {
            Format::Csv => {
                let settings = CsvSettings { path: path.to_owned(), ..rules.clone() };
                Ok((Part { settings, shown, copy: None }, None))
            }
            Format::Json(form) => {
                let draft = self.draft(false)?;
                let (copy, mark) = source::json::spool_file(path, &shown, form, rules, draft)?;
                let settings = copy.settings(rules);
                Ok((Part { settings, shown, copy: Some(copy) }, Some(mark)))
            }
        }
    }

    fn draft(&self, named: bool) -> Result<Draft, Refused> {
        self.shelf.draft(named).map_err(|error| no_room(&error))
    }
}

fn fetched_part(copy: &Copy, shown: &str, rules: &CsvSettings) -> Result<Part, Refused> {
    let Copy { kept, trail, columns } = copy;
    let kept = kept.share().map_err(|error| no_room(&error))?;
    let copy = Copy { kept, trail: trail.clone(), columns: columns.clone() };
    Ok(Part { settings: copy.settings(rules), shown: shown.to_owned(), copy: Some(copy) })
}

/// What merging tells.
#[derive(Default)]
struct Merging {
    tale: Tale,
    rows: Option<u64>,
    changes: Option<Date>,
    findings: Vec<Finding>,
}

fn no_room(error: &std::io::Error) -> Refused {
    let message = format!("our own copy of the source cannot be written: {error}");
    refuse(codes::NO_SPOOL, message, "see whether the state directory may be written to", None)
}

fn refuse(code: crate::model::Code, message: String, hint: &str, file: Option<String>) -> Refused {
    let place = Place { file, ..Place::default() };
    let severity = crate::model::Severity::Refused;
    Finding { severity, code, place, message, hint: hint.to_owned(), key: None }.into()
}

impl Prepared {
    /// Our own copy is what is read.
    fn of(mut self, copy: Copy, rules: &CsvSettings, hold: Option<FileLock>) -> Self {
        self.settings.csv = copy.settings(rules);
        let Copy { kept, trail, columns: _ } = copy;
        self.trail = Some(trail);
        self.kept.push(Box::new(kept));
        self.kept.push(Box::new(hold));
        self
    }

    fn plain(settings: &SourceConfig, dropped: Option<Dropped>) -> Self {
        let mut settings = settings.clone();
        let mut findings = Vec::new();
        if let Some(dropped) = &dropped {
            settings.csv.path.clone_from(&dropped.path);
            findings.clone_from(&dropped.findings);
        }
        let (trail, rows, waiting) = (None, None, 0);
        Self { settings, findings, waiting, trail, rows, dropped, kept: Vec::new() }
    }

    /// The main source, as people know it.
    fn shown(&self) -> String {
        let dropped = self.dropped.as_ref().map(|dropped| dropped.shown.as_path());
        dropped.unwrap_or(&self.settings.csv.path).display().to_string()
    }

    /// Refuses a read of another number of rows than the file's companion says.
    pub(super) fn judge_rows(&self, facts: &SourceFacts) -> Result<(), Refused> {
        let rows = self.rows.unwrap_or(facts.rows);
        match self.dropped.as_ref().and_then(|dropped| dropped.rows) {
            Some(said) if said != rows => {
                let message = format!("has {rows} rows, and its companion says {said}");
                let hint = "drop the file again under a name that comes later";
                Err(refuse(codes::UNLIKE_COMPANION, message, hint, Some(self.shown())))
            }
            _ => Ok(()),
        }
    }

    /// The same refusal about the original.
    pub(super) fn told(&self, mut refused: Refused) -> Refused {
        let told = self.tell(&mut refused.findings);
        refused.findings.extend(self.findings.iter().cloned());
        told.err().unwrap_or(refused)
    }

    /// Lets findings about what was read tell of the original.
    pub(super) fn tell(&self, findings: &mut [Finding]) -> Result<(), Refused> {
        if let Some(trail) = &self.trail {
            return trail.tell(&self.settings.csv.path, findings).map_err(|error| no_room(&error));
        }
        if self.dropped.is_some() {
            let shown = self.shown();
            let own = self.settings.csv.path.display().to_string();
            for finding in findings {
                finding.place.file = finding
                    .place
                    .file
                    .take()
                    .map(|file| if file == own { shown.clone() } else { file });
            }
        }
        Ok(())
    }

    /// The same of all that a read has found.
    pub(super) fn tell_roster(&self, roster: &mut Roster) -> Result<(), Refused> {
        self.tell(&mut roster.findings)?;
        let Some(trail) = &self.trail else { return Ok(()) };
        let lines = roster.held.iter().map(|row| row.line).collect();
        let places = trail.places(&self.settings.csv.path, &lines);
        let places = places.map_err(|error| no_room(&error))?;
        if let Completeness::Partial(why) = &mut roster.facts.completeness {
            let first = roster.held.iter().find(|row| row.key.is_none());
            if let Some((line, (place, _))) = first.and_then(|row| places.get_key_value(&row.line))
            {
                let place = Place { file: None, ..place.clone() };
                *why = why.replace(&format!("at line {line}"), &format!("at {place}"));
            }
        }
        for row in &mut roster.held {
            let HeldRow { key: _, line, why } = row;
            let Some((place, note)) = places.get(line) else { continue };
            if let Some(note) = note {
                why.clone_from(&note.message);
            }
            if let Some(pointer) = &place.pointer {
                *why = format!("{pointer}: {why}");
            }
        }
        Ok(())
    }

    /// The same of what rows mean to a tenant. Of an element the number is told, from 1, where else a
    /// line is.
    pub(super) fn tell_intake(&self, intake: &mut Intake) -> Result<(), Refused> {
        self.tell(&mut intake.findings)?;
        let Some(trail) = &self.trail else { return Ok(()) };
        let held = intake.held.iter().filter_map(|held| held.line);
        let wanted = intake.wanted.iter().map(|wanted| wanted.line);
        let lines: BTreeSet<u64> = held.chain(wanted).collect();
        let numbers: BTreeMap<u64, u64> =
            trail.numbers(&self.settings.csv.path, &lines).map_err(|error| no_room(&error))?;
        for line in intake.held.iter_mut().filter_map(|held| held.line.as_mut()) {
            *line = numbers.get(line).copied().unwrap_or(*line);
        }
        for wanted in &mut intake.wanted {
            wanted.line = numbers.get(&wanted.line).copied().unwrap_or(wanted.line);
        }
        Ok(())
    }

    /// Moves a dropped file that a run has used to the archive.
    pub(super) fn archive(&self, config: &Config, source: &SourceId) -> Option<Finding> {
        let (rules, dropped) = self.settings.drop.as_ref().zip(self.dropped.as_ref())?;
        let kept = Shelf::of(&config.state_dir, source);
        let archived = rules.archive(dropped, |accepted| kept.accept(accepted));
        archived.err().map(|error| rules.not_archived(dropped, &error))
    }
}
