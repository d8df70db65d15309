//! The CSV source: opens the file, reads all of it, and judges it as a whole.

use super::{
    codes, fault,
    findings::{Findings, Refused, refusal},
    guard::{BUFFER_BYTES, Guard},
    header::{self, Header},
    input::{self, Text},
    rows::Reading,
    settings::{CsvSettings, Demand, OnBadRow, Rules},
};
use crate::model::{Fingerprint, Roster};
use std::{
    fs::{File, Metadata},
    io::{ErrorKind, Read},
    path::Path,
};

/// Asked once for every readable row, with the fingerprints of its key and of the row: is it to
/// become a record?
pub type Keep<'a> = &'a mut dyn FnMut(Fingerprint, Fingerprint) -> bool;

/// Reads the configured file; see [`read`].
///
/// # Errors
/// When the file cannot be opened or was written to meanwhile, and all reasons of [`read`].
pub fn read_file(
    settings: &CsvSettings,
    demand: &Demand,
    keep: Keep<'_>,
) -> Result<Roster, Refused> {
    let mut result = read_whole(settings, demand, keep);
    let findings = match &mut result {
        Ok(roster) => &mut roster.findings,
        Err(refused) => &mut refused.findings,
    };
    let name = settings.path.display().to_string();
    for finding in findings {
        finding.place.file = Some(name.clone());
    }
    result
}

fn read_whole(settings: &CsvSettings, demand: &Demand, keep: Keep<'_>) -> Result<Roster, Refused> {
    let (file, before) = open(&settings.path)?;
    // Not beyond the size that it had: a file that grows would never end.
    let result = read(settings, demand, (&file).take(before.len()), keep);
    if changed(&file, &settings.path, &before) {
        return Err(refusal(
            codes::CHANGED_WHILE_READ,
            "the file was written to while it was read",
            "write it under another name and rename it when it is whole",
        )
        .into());
    }
    result
}

/// Asks what it is before opening it, since opening a FIFO waits for a writer.
fn open(path: &Path) -> Result<(File, Metadata), Refused> {
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

/// Whether the file, or what its name stands for, is another than before.
fn changed(file: &File, path: &Path, before: &Metadata) -> bool {
    let same =
        |now: &Metadata| now.len() == before.len() && now.modified().ok() == before.modified().ok();
    let now = [file.metadata(), path.metadata()];
    !now.iter().all(|now| now.as_ref().is_ok_and(same))
}

/// Reads the whole input and judges it.
///
/// `keep` decides which rows become records; everything else in the [`Roster`] covers all rows. The
/// fingerprint of a row is that of its key and of its cells in the columns of `demand`, in the order
/// of their names, absent columns as absent: the file's order of columns means nothing.
///
/// # Errors
/// When the input as a whole cannot be believed, with everything found up to its end.
pub fn read(
    settings: &CsvSettings,
    demand: &Demand,
    input: impl Read,
    keep: Keep<'_>,
) -> Result<Roster, Refused> {
    let rules = Rules::of(settings).map_err(|problems| Refused {
        findings: problems
            .iter()
            .map(|problem| refusal(codes::SETTINGS, problem.to_string(), ""))
            .collect(),
    })?;
    let text = input::open(input, rules.encoding)?;
    let mut findings = Findings::default();
    let judged = read_text(settings, &rules, demand, text, &mut findings, keep);
    match judged {
        Some(reading) if !findings.refuse() => Ok(reading.into_roster(findings.into_list())),
        _ => Err(Refused { findings: findings.into_list() }),
    }
}

fn read_text<'a>(
    settings: &'a CsvSettings,
    rules: &'a Rules,
    demand: &Demand,
    text: Text<'_>,
    findings: &mut Findings,
    keep: Keep<'_>,
) -> Option<Reading<'a>> {
    let Text { reader, end_is_proven, first_byte } = text;
    let (guard, delimiter) = Guard::new(reader, rules.delimiter, first_byte.unwrap_or(0));
    let mut rows = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(guard);
    let mut cells = ::csv::ByteRecord::new();
    let header = read_header(&mut rows, &mut cells, settings, demand, findings)?;
    let guard = rows.get_mut();
    guard.grammar.columns = Some(header.names.len());
    guard.grammar.multiline.clone_from(&header.multiline);
    let trusts_end = end_is_proven || settings.allow_missing_final_newline;
    let mut reading = Reading::new(settings, rules, header, trusts_end, first_byte.is_some());
    while next(&mut rows, &mut cells, findings) {
        let Some(row) = rows.get_ref().row() else { break };
        if !reading.row(row, &cells, findings, keep) {
            break;
        }
    }
    reading.judge(findings);
    Some(reading)
}

type Rows<R> = ::csv::Reader<Guard<R>>;

/// Moves on to the next row. False at the end, or when the input failed, which is then told.
fn next<R: Read>(
    rows: &mut Rows<R>,
    cells: &mut ::csv::ByteRecord,
    findings: &mut Findings,
) -> bool {
    // The guard fails silently and keeps the reason, so that this can only be a row or the end.
    let more = rows.read_byte_record(cells).unwrap_or(false);
    let guard = rows.get_mut();
    if let Some(error) = guard.take_failure() {
        let mut finding = input::failure(&error);
        finding.place.line = Some(guard.line());
        findings.add(finding);
    }
    more
}

fn read_header<R: Read>(
    rows: &mut Rows<R>,
    cells: &mut ::csv::ByteRecord,
    settings: &CsvSettings,
    demand: &Demand,
    findings: &mut Findings,
) -> Option<Header> {
    let more = next(rows, cells, findings);
    let Some(row) = rows.get_ref().row().filter(|_| more) else {
        if !findings.refuse() {
            let hint = "see whether the export ran; an empty file never means that all users left";
            findings.add(refusal(codes::EMPTY, "the file is empty", hint));
        }
        return None;
    };
    if let Some(finding) = fault::describe(row, &[], false, OnBadRow::Refuse) {
        findings.add(finding);
        return None;
    }
    let names: Vec<&str> = cells.iter().filter_map(|cell| std::str::from_utf8(cell).ok()).collect();
    if row.literal_quote.is_some() || row.lines > 0 || names.len() != cells.len() {
        let mut finding = refusal(
            codes::HEADER_DAMAGED,
            "the header line holds a stray quote",
            "column names have neither quotes nor line ends in them",
        );
        finding.place.line = Some(row.line);
        findings.add(finding);
        return None;
    }
    header::read(&names, row.line, settings, demand, findings)
}
