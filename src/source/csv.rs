//! The CSV source: opens the file, reads all of it, and judges it as a whole.

use super::{
    again::{Again, Form, changed, name_all},
    codes,
    findings::{Refused, name_file, refusal},
    input::{self, Hashed, Input},
    look::{Look, Looked},
    roster::{Roster, Watch},
    settings::{CsvSettings, Demand, Rules},
    spread::{self, Pace},
    whole::FileMark,
};
use crate::{
    engine::index::Index,
    model::{Columns, Finding, Problem},
};
use std::{
    fs::{File, Metadata},
    io::{ErrorKind, Read, Take},
    path::Path,
    sync::Arc,
};

/// Reads the configured file; see [`read`].
///
/// # Errors
/// When the file cannot be opened or was written to meanwhile, and all reasons of [`read`].
pub fn read_file(
    settings: &CsvSettings,
    demand: &Demand,
    index: &Index,
) -> Result<Roster, Refused> {
    let mut result = open(&settings.path).and_then(|(file, before)| {
        let input = file.try_clone().map_err(|error| input::failure(&error))?;
        let watch = Watch { file, path: settings.path.clone(), before };
        read_watched(settings, demand, Box::new(input), index, watch)
    });
    if let Ok(roster) = &mut result {
        name_all_of(&mut roster.findings, &settings.path);
    }
    result.map_err(|refused| name_file(refused, &settings.path))
}

fn name_all_of(findings: &mut [Finding], path: &Path) {
    let name = path.display().to_string();
    for finding in findings {
        finding.place.file = Some(name.clone());
    }
}

/// Reads an input that is, or stands for, the watched file.
pub(super) fn read_watched(
    settings: &CsvSettings,
    demand: &Demand,
    input: Box<dyn Input>,
    index: &Index,
    watch: Watch,
) -> Result<Roster, Refused> {
    // Not beyond the size that it had: a file that grows would never end.
    let size = watch.before.len();
    let result = read_at(settings, demand, input, size, index, Some(Pace::of_machine()));
    if watch.changed() {
        return Err(changed());
    }
    result.map(|roster| Roster { watch: Some(watch), ..roster })
}

/// Asks what it is before opening it, since opening a FIFO waits for a writer.
pub(super) fn open(path: &Path) -> Result<(File, Metadata), Refused> {
    let kind = |metadata: &Metadata| match metadata {
        file if file.is_file() => None,
        dir if dir.is_dir() => Some(("is a directory", "name the file in it")),
        _ => Some(("is not a regular file", "write the export to a file")),
    };
    let opened = path.metadata().and_then(|metadata| match kind(&metadata) {
        Some(other) => Ok(Err(other)),
        None => File::open(path).and_then(|file| Ok(Ok((file.metadata()?, file)))),
    });
    let (what, hint) = match opened {
        Ok(Ok((metadata, file))) => return Ok((file, metadata)),
        Ok(Err((what, hint))) => (what.to_owned(), hint),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => ("does not exist".to_owned(), "see whether the export ran"),
            ErrorKind::PermissionDenied => {
                ("may not be read".to_owned(), "let the user that rosterd runs as read it")
            }
            _ => (format!("cannot be opened: {error}"), "see whether the path is right"),
        },
    };
    Err(refusal(codes::NOT_READABLE, what, hint).into())
}

/// What is told of the configured file's header, without a look at its rows.
///
/// # Errors
/// When the file cannot be opened, or its header cannot be used.
pub fn header_findings(settings: &CsvSettings, demand: &Demand) -> Result<Vec<Finding>, Refused> {
    let rules = Rules::of(settings).map_err(|problems| unusable(&problems))?;
    let index = &Index::default();
    let look = Look { settings, rules: &rules, demand, index };
    let (file, _) = open(&settings.path)?;
    let findings = look.header_alone(input::open(file, rules.encoding)?);
    findings.map_err(|refused| name_file(refused, &settings.path)).map(|mut findings| {
        name_all_of(&mut findings, &settings.path);
        findings
    })
}

fn unusable(problems: &[Problem]) -> Refused {
    let refuse = |problem: &Problem| refusal(codes::SETTINGS, problem.to_string(), "");
    Refused { findings: problems.iter().map(refuse).collect() }
}

/// Reads the whole input and judges it.
///
/// A row is fresh when the index does not say that it was settled; everything in the [`Roster`] but
/// its fresh rows covers all rows. The fingerprint of a row is that of its key
/// and of its cells in the columns of `demand`, in the order of their names, absent columns as
/// absent: the file's order of columns means nothing.
///
/// # Errors
/// When the input as a whole cannot be believed, with everything found up to its end.
pub fn read(
    settings: &CsvSettings,
    demand: &Demand,
    input: impl Input + 'static,
    index: &Index,
) -> Result<Roster, Refused> {
    let pace = Some(Pace::of_machine());
    read_at(settings, demand, Box::new(input), u64::MAX, index, pace)
}

/// At some pace, or in one go. `size`: most bytes to read.
pub(super) fn read_at(
    settings: &CsvSettings,
    demand: &Demand,
    mut input: Box<dyn Input>,
    size: u64,
    index: &Index,
    pace: Option<Pace>,
) -> Result<Roster, Refused> {
    let rules = Rules::of(settings).map_err(|problems| unusable(&problems))?;
    let look = Look { settings, rules: &rules, demand, index };
    let spread = match pace {
        Some(pace) => {
            let mut hashed = from_start(&mut *input, size)?;
            let text = input::open(&mut hashed, rules.encoding)?;
            let plain = text.first_byte.is_some();
            let looked = spread::read(&look, text, pace);
            looked.map(|looked| (looked, plain, hashed.mark()))
        }
        None => None,
    };
    let (looked, plain, file) = if let Some(looked) = spread {
        looked
    } else {
        let mut hashed = from_start(&mut *input, size)?;
        let text = input::open(&mut hashed, rules.encoding)?;
        let plain = text.first_byte.is_some();
        (look.in_one_go(text)?, plain, hashed.mark())
    };
    finish(&look, looked, input, plain, file)
}

fn from_start(input: &mut dyn Input, size: u64) -> Result<Hashed<Take<&mut dyn Input>>, Refused> {
    input.rewind().map_err(|error| input::failure(&error))?;
    Ok(Hashed::new(input.take(size)))
}

fn finish(
    look: &Look<'_>,
    looked: Looked<'_>,
    mut input: Box<dyn Input>,
    plain: bool,
    file: FileMark,
) -> Result<Roster, Refused> {
    let Looked { judge, mut ledger, delimiter } = looked;
    let encoding = look.rules.encoding;
    let mut judgement = ledger.judge(&judge, look.index);
    let form = Form::of(&judge, delimiter);
    if !judgement.unnamed.is_empty() {
        let mut again = Again::open(&mut *input, encoding, plain)?;
        name_all(&mut ledger, &mut judgement, &form, &mut again)?;
    }
    if ledger.findings.refuse() {
        return Err(Refused { findings: ledger.findings.into_list() });
    }
    ledger.held.sort_by_key(|held| held.line);
    let facts = ledger.facts(&judge);
    let named = judge.header.names.into_iter().filter(|name| !name.is_empty());
    Ok(Roster {
        columns: Columns::new(named.collect()),
        held: ledger.held,
        findings: ledger.findings.into_list(),
        facts,
        file,
        present: ledger.present,
        fresh: ledger.fresh,
        unusable: judgement.unusable,
        form: Arc::new(form),
        input,
        encoding,
        plain,
        watch: None,
    })
}
