//! HR feeds: JSON over HTTP, page by page, all or nothing.
//!
//! ```text
//!  settings ─► pages ─► fetch ─► read ─► our own copy, as CSV ─► the reader of CSV files
//!                ▲        │        │
//!                └────────┴────────┘ the next page
//! ```
//!
//! `pages` knows the way from one page to the next and is pure; `fetch` asks for one page, at the feed's
//! own pace, and again where that is of use; `read` goes from the first page to the last. What decides
//! the shape of it:
//!
//! - **All or nothing.** Elements go into a draft of the copy, which gets its name after the last page
//!   and all checks. Whatever goes wrong before leaves the last copy as it was.
//! - **A page's links lead nowhere but to pages**: of the feed's own origin, each only once.
//! - **A feed that was changed while it was read is read once more**, and refused when that happens
//!   again: elements are missing or come twice then, and who is missing would look gone.
//! - **A server is not trusted with time, space or words**: everything is bounded (see `limits`), and
//!   of what it says only figures, origins and a title are repeated.
//! - **304 is believed only when it was asked for**, of the very copy that the last read made.

mod answer;
mod body;
mod fetch;
pub mod flaw;
mod keys;
mod limits;
mod links;
mod memo;
mod pages;
mod read;

pub use flaw::{Flaw, Moved};
pub use limits::Limits;
pub use links::Damaged;

use crate::{
    config::{FeedAccess, FeedConfig},
    engine::retry::moment_after,
    model::{Fingerprint, Problem, SourceId},
    sender::{
        Clock, Hosts, Http, Login, Pacer, Secrets, SetupError, Timeouts, login::CALL_TIMEOUT,
        stream::Wire,
    },
    source::{
        Copy, CsvSettings, Draft, FileMark, Origin, Refused, Trail,
        json::{JsonForm, Spool},
        key_fingerprint, make_private, settings_of, typed_key,
    },
};
use fetch::{Cautions, Server};
use keys::Keys;
use memo::{Last, Memo, Shelf};
use read::{Failed, Read, Sink, Taken, read};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};

/// A feed and what its elements mean.
#[derive(Clone, Copy)]
pub struct Feed<'a> {
    pub source: &'a SourceId,
    pub config: &'a FeedConfig,
    pub form: &'a JsonForm,
    /// For rows.
    pub rules: &'a CsvSettings,
    /// Where our own copies lie.
    pub folder: &'a Path,
    pub limits: Limits,
}

/// Our own copy of a feed, as it stands after a read.
#[derive(Debug)]
pub struct Fetched {
    /// How the copy is to be read.
    pub settings: CsvSettings,
    /// From its rows to the elements.
    pub trail: Trail,
    /// The server said that the last copy still holds.
    pub unchanged: bool,
}

impl Feed<'_> {
    /// Reads the feed into its copy. `clock`: this run's; whoever turns `stop` ends it at once.
    ///
    /// # Errors
    /// Why nothing of the feed is used. The copy of the last read is as it was then.
    pub async fn fetch(
        &self,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<Fetched, Refused> {
        let wire =
            self.http(self.limits.timeouts()).map_err(|error| self.refused(&setup(&error)))?;
        self.fetch_over(&wire, clock, stop).await
    }

    /// The same over any wire: a test has servers of its own.
    ///
    /// # Errors
    /// See [`Self::fetch`].
    pub async fn fetch_over(
        &self,
        wire: &dyn Wire,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<Fetched, Refused> {
        let fetched = match self.locked() {
            Err(flaw) => Err(flaw.into()),
            Ok(_lock) => self.fetch_alone(wire, clock, stop).await,
        };
        fetched.map_err(|failed| match failed {
            Failed::Flaw(flaw) => self.refused(&flaw),
            Failed::Refused(refused) => self.placed(refused),
        })
    }

    async fn fetch_alone(
        &self,
        wire: &dyn Wire,
        clock: Clock,
        stop: watch::Receiver<bool>,
    ) -> Result<Fetched, Failed> {
        let shelf = Shelf::of(self.folder, self.source.as_str());
        let mut memo = shelf.read();
        let now = clock.now();
        if let Some(left) = memo.not_before.map(|until| clock.until(until)).filter(|w| !w.is_zero())
        {
            return Err(Flaw::Silent { wait: left }.into());
        }
        memo.not_before = None;
        let pacer = self.pacer(&memo, clock);
        let keys = self.keys(clock)?;
        let mut server = Server {
            wire,
            pacer: &pacer,
            keys: &keys,
            headers: &self.config.headers,
            limits: self.limits,
            clock,
            deadline: Instant::now() + self.limits.read,
            stop,
            cautions: Cautions::default(),
        };
        let last = memo.last.take().filter(|last| last.stands(self.settings(), &self.copy()));
        let since = last.as_ref().map(|last| last.validators.clone()).unwrap_or_default();
        let outcome = read(&mut server, self.config, &since, || self.sink()).await;
        memo.asked = Some(clock.now());
        memo.not_before =
            outcome.as_ref().err().and_then(silence).map(|w| moment_after(clock.now(), w));
        let fetched = match outcome {
            Ok(read) => self.keep(read, last, &mut memo),
            Err(failed) => {
                // The copy is as it was.
                memo.last = last;
                Err(failed)
            }
        };
        if let Err(error) = shelf.write(&memo) {
            tracing::warn!(source = %self.source, %error, "what was learnt of the feed is not kept");
        }
        let took_s = clock.now().duration_since(now).as_secs();
        if let Ok(Fetched { unchanged, .. }) = &fetched {
            tracing::info!(source = %self.source, unchanged, took_s, "the feed was read");
        }
        fetched
    }

    /// Gives the copy its name.
    fn keep(
        &self,
        read: Read<Rows>,
        last: Option<Last>,
        memo: &mut Memo,
    ) -> Result<Fetched, Failed> {
        let (rows, validators, pages) = match (read, last) {
            (Read::Whole { sink, validators, pages }, _) => (sink, validators, pages),
            // Only whoever gives validators is told so.
            (Read::Unchanged, None) => return Err(Flaw::Unasked.into()),
            (Read::Unchanged, Some(last)) => {
                let settings = self.reading(last.columns.clone());
                let trail = last.trail.clone();
                memo.last = Some(last);
                return Ok(Fetched { settings, trail, unchanged: true });
            }
        };
        let Copy { kept, trail, columns } = rows.spool.finish()?;
        let stands_for_all = pages == 1 || self.config.conditional;
        if stands_for_all && !validators.is_empty() && trail.is_plain() {
            let mark = FileMark::of(&kept.path).map_err(|error| disk(&error))?;
            let last = Last::new(self.settings(), validators, mark, columns.clone(), trail.clone());
            memo.last = Some(last);
        }
        Ok(Fetched { settings: self.reading(columns), trail, unchanged: false })
    }

    fn reading(&self, columns: Vec<String>) -> CsvSettings {
        settings_of(self.copy(), columns, self.rules)
    }

    fn sink(&self) -> Result<Rows, Refused> {
        let name = self.copy_name();
        let draft =
            Draft::named(self.folder, &name).map_err(|error| self.refused(&disk(&error)))?;
        let list = self.form.records.as_ref().map(|records| records.pointer()).unwrap_or_default();
        let fields = self.form.fields.clone();
        let spool = Spool::create(draft, fields, self.rules, self.told(), list)?;
        Ok(Rows { spool, form: self.form.clone(), rules: self.rules.clone() })
    }

    fn copy_name(&self) -> String {
        format!("{}.csv", self.source)
    }

    fn copy(&self) -> PathBuf {
        self.folder.join(self.copy_name())
    }

    /// One reader at a time: two would use the quota twice, and write one draft.
    fn locked(&self) -> Result<File, Flaw> {
        make_private(self.folder).map_err(|error| disk(&error))?;
        let path = self.folder.join(format!("{}.lock", self.source));
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = opened.map_err(|error| disk(&error))?;
        file.try_lock().map_err(|_| Flaw::Busy)?;
        Ok(file)
    }

    /// What is still known of the window that ends now counts.
    fn pacer(&self, memo: &Memo, clock: Clock) -> Pacer {
        let ago = memo.asked.map(|asked| clock.now().duration_since(asked));
        let ago = ago.and_then(|ago| Duration::try_from(ago).ok());
        Pacer::new(self.config.quota, ago.as_slice(), None, Instant::now())
    }

    fn keys(&self, clock: Clock) -> Result<Keys, Flaw> {
        let Some(FeedAccess { secrets, login: Some(login), .. }) = &self.config.access else {
            return Ok(Keys::new(self.config.access.clone(), None));
        };
        let places = secrets.clone();
        let load = Secrets::load(Box::new(move || {
            let text = |problem: Problem| problem.to_string();
            let read = places
                .iter()
                .map(|(name, secret)| Ok((name.clone(), secret.read().map_err(text)?)));
            read.collect()
        }));
        let secrets = load.map_err(|why| Flaw::NoCredentials { why })?;
        let http = self.http(Timeouts { total: CALL_TIMEOUT, ..Timeouts::default() });
        let http = http.map_err(|error| setup(&error))?;
        let login = Login::new(login.clone(), http, secrets, clock);
        Ok(Keys::new(self.config.access.clone(), Some(login)))
    }

    fn http(&self, timeouts: Timeouts) -> Result<Http, SetupError> {
        let authorities = self.config.authorities.certificates().to_vec();
        Http::new(timeouts, Hosts { authorities, ..Hosts::within(self.config.reach) })
    }

    /// Of all settings that decide what the copy says.
    fn settings(&self) -> Fingerprint {
        let Self { source: _, config, form, rules, folder: _, limits: _ } = self;
        let FeedConfig {
            url,
            headers,
            paging,
            page_size,
            total,
            keys_may_repeat,
            conditional,
            reach: _,
            authorities: _,
            quota: _,
            access: _,
        } = config;
        let asked = format!("{url} {headers:?} {paging:?} {page_size:?} {total:?}");
        let judged = format!("{keys_may_repeat} {conditional} {form:?} {rules:?}");
        let texts = [env!("CARGO_PKG_VERSION"), asked.as_str(), judged.as_str()];
        Fingerprint::of(texts.map(Some))
    }

    /// As findings name it.
    fn told(&self) -> String {
        format!("feed {}", self.config.url.origin().ascii_serialization())
    }

    fn refused(&self, flaw: &Flaw) -> Refused {
        flaw.finding(&self.told()).into()
    }

    fn placed(&self, mut refused: Refused) -> Refused {
        for finding in &mut refused.findings {
            finding.place.file.get_or_insert_with(|| self.told());
        }
        refused
    }
}

/// How long nobody should ask again.
fn silence(failed: &Failed) -> Option<Duration> {
    match failed {
        Failed::Flaw(Flaw::Silent { wait } | Flaw::Locked { wait, .. }) => Some(*wait),
        Failed::Flaw(_) | Failed::Refused(_) => None,
    }
}

fn disk(error: &io::Error) -> Flaw {
    Flaw::Disk { why: error.to_string() }
}

fn setup(error: &SetupError) -> Flaw {
    Flaw::Setup { why: error.to_string() }
}

/// A draft of the copy.
struct Rows {
    spool: Spool,
    form: JsonForm,
    rules: CsvSettings,
}

impl Sink for Rows {
    fn page(&mut self, number: u32, bytes: &[u8]) -> Result<Taken, Refused> {
        let Self { spool, form, rules } = self;
        // A feed always has records: its settings say where.
        let Some(records) = &form.records else { return Err(Refused { findings: Vec::new() }) };
        let mut keys = Vec::new();
        let page = Some(u64::from(number));
        let beside = records.read(bytes, &mut |number, node| {
            spool.add(&node, Origin::Element { page, number })?;
            let key = spool.last_key().and_then(|key| typed_key(key, rules));
            keys.push(key.map(|key| key_fingerprint(&key)));
            Ok(())
        });
        let beside = beside.map_err(|mut refused| {
            for finding in &mut refused.findings {
                let pointer = finding.place.pointer.take().unwrap_or_default();
                finding.place.pointer = Some(format!("page {number} {pointer}").trim().to_owned());
            }
            refused
        })?;
        Ok(Taken { keys, beside })
    }
}
