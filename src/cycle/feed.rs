//! A feed is fetched before its source is read like any file.

use super::Options;
use crate::{
    config::{Config, SourceConfig},
    feed::{Feed, Fetched, Limits, flaw::TOKEN_ENDS},
    model::{Finding, Notice, Place, Severity, SourceId},
    sender::Clock,
    source::{Format, Refused},
};
use jiff::{Timestamp, tz::TimeZone};
use std::{thread, time::Duration};
use tokio::{
    runtime::{Builder, Handle, RuntimeFlavor},
    task::block_in_place,
    time::Instant,
};

/// Fetches the source's feed; `None` for a source that is none.
///
/// # Errors
/// Why the feed is refused.
pub(super) fn fetch(
    config: &Config,
    source: &SourceId,
    settings: &SourceConfig,
    options: &Options,
) -> Result<Option<Fetched>, Refused> {
    let (Some(feed), Format::Json(form)) = (&settings.feed, &settings.format) else {
        return Ok(None);
    };
    let (folder, elsewhere) = (config.state_dir.join("spool"), std::env::temp_dir());
    let feed = Feed {
        source,
        config: feed,
        form,
        rules: &settings.csv,
        folder: &folder,
        elsewhere: options.looks().then_some(elsewhere.as_path()),
        limits: Limits::default(),
    };
    apart(|| wait_for(&feed, options)).map(Some)
}

/// What is to be told of a feed that was read.
pub(super) fn findings(settings: &SourceConfig, now: Timestamp) -> Vec<Finding> {
    let Some(feed) = &settings.feed else { return Vec::new() };
    let notice = feed.expiry(now.to_zoned(TimeZone::UTC).date());
    let finding = |Notice { message, hint, refuses: _ }| Finding {
        severity: Severity::Warning,
        code: TOKEN_ENDS,
        place: Place { file: Some(feed.shown()), ..Place::default() },
        message,
        hint,
        key: None,
    };
    notice.map(finding).into_iter().collect()
}

/// A source is read by whoever runs its cycle, and a feed may take long: the others on this thread go
/// on elsewhere meanwhile.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let own = || thread::scope(|scope| scope.spawn(work).join());
    let is_shared = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    let done = if Handle::try_current().is_ok_and(is_shared) { block_in_place(own) } else { own() };
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn wait_for(feed: &Feed<'_>, options: &Options) -> Result<Fetched, Refused> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| feed.cannot_begin(&error))?;
    let fetched = runtime.block_on(async {
        feed.fetch(Clock::new(options.now, Instant::now()), options.stop.clone()).await
    });
    // A name that is still being looked up holds nobody up.
    runtime.shutdown_timeout(Duration::ZERO);
    fetched
}
