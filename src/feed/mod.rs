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
mod room;

pub use flaw::{Flaw, Moved};
pub use limits::Limits;
pub use links::Damaged;

use crate::{
    config::{FeedAccess, FeedConfig, Paging},
    model::{Fingerprint, Problem, SourceId},
    sender::{
        Clock, Hosts, Http, Login, Pacer, Secrets, SetupError, Timeouts, login::CALL_TIMEOUT,
        stream::Wire,
    },
    source::{
        Copy, CsvSettings, FileLock, FileMark, Origin, Refused,
        json::{JsonForm, Records, Spool},
        key_fingerprint, typed_key,
    },
};
use fetch::{Cautions, Server, stopped};
use keys::Keys;
use memo::{Last, Memo, Shelf};
use read::{Failed, Read, Sink, Taken, read};
use room::Room;
use std::{io, path::Path, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

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
    /// A folder for whoever only looks: nothing is begun among our copies then.
    pub elsewhere: Option<&'a Path>,
    pub limits: Limits,
}

/// Our own copy of a feed, as it stands after a read.
#[derive(Debug)]
pub struct Fetched {
    pub copy: Copy,
    /// The server said that the last copy still holds.
    pub unchanged: bool,
    /// Nobody replaces the copy as long as this is kept.
    pub hold: Option<FileLock>,
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
        let deadline = Instant::now() + self.limits.read;
        let fetched = match self.room(deadline, stop.clone()).await {
            Err(flaw) => Err(flaw.into()),
            Ok(room) => self.fetch_into(room, wire, clock, deadline, stop).await,
        };
        fetched.map_err(|failed| match failed {
            Failed::Flaw(flaw) => self.refused(&flaw),
            Failed::Refused(refused) => self.placed(refused),
        })
    }

    /// Who runs waits for whoever is asking, a look perhaps; who looks does not.
    async fn room(&self, deadline: Instant, stop: watch::Receiver<bool>) -> Result<Room, Flaw> {
        let opened = async {
            loop {
                match Room::open(self.folder, self.source.as_str(), self.elsewhere) {
                    Err(Flaw::Busy) if self.elsewhere.is_none() => sleep(LOOK_AGAIN).await,
                    opened => return opened,
                }
            }
        };
        tokio::select! {
            biased;
            opened = timeout_at(deadline, opened) => opened.unwrap_or(Err(Flaw::Busy)),
            () = stopped(stop) => Err(Flaw::Stopped),
        }
    }

    async fn fetch_into(
        &self,
        room: Room,
        wire: &dyn Wire,
        clock: Clock,
        deadline: Instant,
        stop: watch::Receiver<bool>,
    ) -> Result<Fetched, Failed> {
        let place = room.shelf();
        let mut memo = place.as_ref().map(Shelf::read).unwrap_or_default();
        let address = Fingerprint::of([Some(self.config.url.as_str())]);
        if let Some(wait) = memo.silence(address, clock) {
            return Err(Flaw::Silent { wait }.into());
        }
        let outcome = self.ask(&room, &memo, wire, clock, deadline, stop).await;
        let silence = outcome.as_ref().err().and_then(silence);
        memo.asked = Some(clock.now());
        memo.be_silent(silence, address, clock.now());
        let fetched = outcome.and_then(|read| self.keep(read, &room, &mut memo));
        if let Some(Err(error)) = place.map(|shelf| shelf.write(&memo)) {
            tracing::warn!(source = %self.source, %error, "what was learnt of the feed is not kept");
        }
        let (copy, unchanged) = fetched?;
        tracing::info!(source = %self.source, unchanged, "the feed was read");
        Ok(Fetched { copy, unchanged, hold: room.close() })
    }

    /// All requests of one run.
    async fn ask(
        &self,
        room: &Room,
        memo: &Memo,
        wire: &dyn Wire,
        clock: Clock,
        deadline: Instant,
        stop: watch::Receiver<bool>,
    ) -> Result<Read<Rows>, Failed> {
        let pacer = self.pacer(memo, clock);
        let keys = self.keys(clock)?;
        let mut server = Server {
            wire,
            pacer: &pacer,
            keys: &keys,
            headers: &self.config.headers,
            limits: self.limits,
            clock,
            deadline,
            stop,
            cautions: Cautions::default(),
        };
        let last = memo.last.as_ref().filter(|_| room.holds_copy());
        let last = last.filter(|last| last.stands(self.settings(), &room.copy()));
        let since = last.map(|last| last.validators.clone()).unwrap_or_default();
        read(&mut server, self.config, &since, || self.sink(room)).await
    }

    /// The copy, whole and under its name, and whether it is that of the last read.
    fn keep(&self, read: Read<Rows>, room: &Room, memo: &mut Memo) -> Result<(Copy, bool), Failed> {
        let (rows, validators) = match (read, &memo.last) {
            (Read::Whole { sink, validators }, _) => (sink, validators),
            // Only whoever gives validators is told so.
            (Read::Unchanged, None) => return Err(Flaw::Unasked.into()),
            (Read::Unchanged, Some(last)) => {
                let kept = room.kept().map_err(|error| disk(&error))?;
                let (trail, columns) = (last.trail.clone(), last.columns.clone());
                return Ok((Copy { kept, trail, columns }, true));
            }
        };
        if room.names_copy() {
            memo.last = None;
        }
        let copy = rows.spool.finish()?;
        // That there was one page does not say that there is one.
        let stands_for_all = self.config.paging == Paging::Whole || self.config.conditional;
        let plain = stands_for_all && !validators.is_empty() && copy.trail.is_plain();
        if plain && room.names_copy() {
            let mark = FileMark::of(&copy.kept.path).map_err(|error| disk(&error))?;
            memo.last = Some(Last::new(self.settings(), validators, mark, &copy));
        }
        Ok((copy, false))
    }

    fn sink(&self, room: &Room) -> Result<Rows, Refused> {
        let draft = room.draft().map_err(|error| self.refused(&disk(&error)))?;
        let list = self.form.records.as_ref().map(Records::pointer).unwrap_or_default();
        let fields = self.form.fields.clone();
        let spool = Spool::create(draft, fields, self.rules, self.told(), list)?;
        Ok(Rows { spool, form: self.form.clone(), rules: self.rules.clone() })
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
        let Self { source: _, config, form, rules, folder: _, elsewhere: _, limits: _ } = self;
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

    /// Nothing was asked: this machine has no more threads or files to give.
    #[must_use]
    pub fn cannot_begin(&self, error: &io::Error) -> Refused {
        self.refused(&disk(error))
    }

    /// As findings name it.
    fn told(&self) -> String {
        self.config.shown()
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

/// How often it is looked whether somebody else still asks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
