//! Data on stdout, messages on stderr, progress only for a person.

use super::arguments::Color;
use crate::{
    cycle::{Phase, Progress},
    model::TenantId,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    collections::HashMap,
    fs::OpenOptions,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Prints data. A reader that has gone (`| head`) is no error.
pub(super) fn write_stdout(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a message.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Colour only on a terminal, and never with `NO_COLOR`.
pub(super) fn colour(wish: Color) -> bool {
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let choice = anstream::AutoStream::choice(&std::io::stdout());
            choice != anstream::ColorChoice::Never
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = write_new(&part, text).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A bar for each tenant at work.
pub(super) struct Bars {
    all: MultiProgress,
    by_tenant: Mutex<HashMap<TenantId, ProgressBar>>,
}

impl Bars {
    /// Draws only when stderr is a terminal.
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::stderr();
        let all = MultiProgress::with_draw_target(target);
        Self { all, by_tenant: Mutex::new(HashMap::new()) }
    }

    fn with(&self, work: impl FnOnce(&mut HashMap<TenantId, ProgressBar>)) {
        work(&mut self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Bars {
    fn begin(&self, tenant: &TenantId, phase: Phase, operations: u64) {
        let verb = match phase {
            Phase::Reading => "reading",
            Phase::Sending => "sending",
        };
        let style = ProgressStyle::with_template("{prefix:16} {msg:8} {bar:32} {pos}/{len} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.all.add(ProgressBar::new(operations).with_style(style));
        bar.set_prefix(tenant.to_string());
        bar.set_message(verb);
        self.with(|bars| {
            bars.insert(tenant.clone(), bar);
        });
    }

    fn step(&self, tenant: &TenantId) {
        self.with(|bars| {
            if let Some(bar) = bars.get(tenant) {
                bar.inc(1);
            }
        });
    }

    fn end(&self, tenant: &TenantId) {
        self.with(|bars| {
            if let Some(bar) = bars.remove(tenant) {
                bar.finish_and_clear();
            }
        });
    }
}
