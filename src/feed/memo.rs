//! What is remembered of a feed from one run to the next, in a file beside our own copy of it.

use super::fetch::Validators;
use crate::{
    engine::retry::moment_after,
    model::Fingerprint,
    sender::Clock,
    source::{Copy, FileMark, Trail},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// What is remembered.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memo {
    /// When the last request left.
    pub(super) asked: Option<Timestamp>,
    /// The server wanted no request before that moment, or a login is locked until then.
    not_before: Option<Timestamp>,
    /// Of the address that this is about, in hexadecimal digits.
    not_before_at: Option<String>,
    pub(super) last: Option<Last>,
}

/// Longer than that no server is believed.
const SILENCE_MAX: Duration = Duration::from_hours(24);

impl Memo {
    /// How long the feed at that address is still to be left alone, if it is.
    pub(super) fn silence(&self, address: Fingerprint, clock: Clock) -> Option<Duration> {
        let about_it = self.not_before_at.as_ref().is_some_and(|at| *at == address.to_string());
        let left = self.not_before.filter(|_| about_it).map(|until| clock.until(until));
        left.filter(|left| !left.is_zero())
    }

    /// Notes how long from now the feed at that address is to be left alone.
    pub(super) fn be_silent(
        &mut self,
        wait: Option<Duration>,
        address: Fingerprint,
        now: Timestamp,
    ) {
        self.not_before = wait.map(|wait| moment_after(now, wait.min(SILENCE_MAX)));
        self.not_before_at = wait.map(|_| address.to_string());
    }
}

/// The last read that was complete, of a feed that gives validators.
#[derive(Serialize, Deserialize)]
pub(super) struct Last {
    /// Of all settings that decide what the copy says, in hexadecimal digits.
    settings: String,
    pub(super) validators: Validators,
    size: u64,
    head: String,
    whole: String,
    pub(super) columns: Vec<String>,
    pub(super) trail: Trail,
}

impl Last {
    pub(super) fn new(
        settings: Fingerprint,
        validators: Validators,
        mark: FileMark,
        copy: &Copy,
    ) -> Self {
        let FileMark { size, head, whole } = mark;
        let (settings, head, whole) = (settings.to_string(), head.to_string(), whole.to_string());
        let Copy { kept: _, trail, columns } = copy;
        let (trail, columns) = (trail.clone(), columns.clone());
        Self { settings, validators, size, head, whole, columns, trail }
    }

    /// The copy is there as it was made, and would be made in the same way.
    pub(super) fn stands(&self, settings: Fingerprint, copy: &Path) -> bool {
        let of = |text: &str| u128::from_str_radix(text, 16).ok().map(Fingerprint);
        let (Some(head), Some(whole)) = (of(&self.head), of(&self.whole)) else { return false };
        let mark = FileMark { size: self.size, head, whole };
        self.settings == settings.to_string() && mark.is_of(copy).unwrap_or(false)
    }
}

/// Where it is kept.
pub(super) struct Shelf(pub(super) PathBuf);

impl Shelf {
    /// What cannot be read was never there: then all is asked for again.
    pub(super) fn read(&self) -> Memo {
        let bytes = fs::read(&self.0).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whole or not at all. That it survives a loss of power is not needed: it only spares requests.
    pub(super) fn write(&self, memo: &Memo) -> io::Result<()> {
        let draft = self.0.with_extension("json.part");
        let bytes = serde_json::to_vec(memo)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        fs::rename(&draft, &self.0)
    }
}
