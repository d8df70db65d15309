//! Tokens that are fetched when they are needed, kept in memory, and fetched again in time.
//!
//! ```text
//!            ┌─────────────────── none, or nearly over ───────────────────┐
//!            ▼                                                            │
//!  needed ─► fetch, one call for all who wait ─► held ─► handed to everybody
//!            ▲  │                                 │
//!            │  └─► refused, locked, not well:    │ 401, and not in the last five minutes
//!            │      nobody asks again             │
//!            └────────────────────────────────────┘
//! ```
//! Nothing here knows a tenant: whose quota a call counts in, and who has to be told before it leaves,
//! is its [`Gate`]'s business. A token is written nowhere.

mod fill;
mod gate;

pub(crate) use fill::{base64, base64url};
pub use gate::{Gate, Paced};

use super::{clock::Clock, http::Sent, lane::dice, secrets::Secrets, transport::Transport};
use crate::{
    dialect::login::{self, Call, Grant, REFRESH, Reading},
    engine::{
        reply::Reply,
        retry::{self, ATTEMPTS_MAX, RetryAfter},
    },
    model::{Answer, Response, Verdict},
};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Tokens by name, as requests carry them.
pub type Tokens = Arc<BTreeMap<String, SecretString>>;

/// Longest time that one call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// After a 401 new tokens are asked for at most once in so long.
const RENEWED_APART: Duration = Duration::from_mins(5);
/// New tokens are asked for a tenth of the lifetime before its end, within these bounds; a token
/// that holds for less than a quarter of a minute is used for half of it.
const AHEAD_LEAST: Duration = Duration::from_secs(5);
const AHEAD_MOST: Duration = Duration::from_mins(5);
/// A locked account whose lock has no end that anybody named.
const LOCKED_FOR: Duration = Duration::from_hours(6);
/// Calls in a row that were turned away as too many.
const TURNED_AWAY_MAX: u32 = 10;

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTokens {
    #[error("{why}")]
    Refused { why: String },
    /// Nothing may be tried before that time has passed since it was found out.
    #[error("{why}")]
    Locked { why: String, wait: Duration },
    /// Tried as often as a run may.
    #[error("{why}")]
    Unwell { why: String },
    /// No call can succeed.
    #[error("{why}")]
    Unreachable { why: String },
    /// The gate lets nobody through any more.
    #[error("the run ended first")]
    Ended,
    /// It could not be written down that a call leaves.
    #[error("{0}")]
    NotRecorded(String),
}

/// One login, for as long as one run.
pub struct Login {
    grammar: login::Login,
    transport: Transport,
    /// Those of the login, not the tokens.
    secrets: Secrets,
    clock: Clock,
    state: Mutex<State>,
    /// Held by whoever fetches.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    refresh: Option<SecretString>,
    /// When tokens were last given up because of a 401.
    renewed: Option<Instant>,
    /// What ended it: it is not tried again.
    failed: Option<NoTokens>,
}

struct Held {
    tokens: Tokens,
    /// From then on new ones are asked for, and after the second nobody uses these.
    ends: Option<(Instant, Instant)>,
}

impl Login {
    /// `transport`: a way to the login's own address, and with its own time limit.
    #[must_use]
    pub fn new(
        grammar: login::Login,
        transport: impl Into<Transport>,
        secrets: Secrets,
        clock: Clock,
    ) -> Self {
        let (transport, turn) = (transport.into(), tokio::sync::Mutex::new(()));
        Self { grammar, transport, secrets, clock, state: Mutex::default(), turn }
    }

    /// Tokens that hold. All who ask while they are being fetched wait for the same call, or go on
    /// with the old ones while these still hold.
    ///
    /// # Errors
    /// Why there are none; then there are none for the rest of the run.
    pub async fn tokens<G: Gate>(&self, gate: &mut G) -> Result<Tokens, NoTokens> {
        if let Some(fresh) = self.state().fresh(Instant::now())? {
            return Ok(fresh);
        }
        let holding = self.state().holding(Instant::now());
        let _turn = match (self.turn.try_lock(), holding) {
            (Ok(turn), _) => turn,
            (Err(_), Some(tokens)) => return Ok(tokens),
            (Err(_), None) => self.turn.lock().await,
        };
        if let Some(fresh) = self.state().fresh(Instant::now())? {
            return Ok(fresh);
        }
        let fetched = self.fetch(gate).await;
        if let Err(failed) = &fetched {
            self.state().failed = Some(failed.clone());
        }
        fetched
    }

    /// After a 401 to a request with these tokens: whether it is worth sending it again with others.
    pub fn renew(&self, refused: &Tokens) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        // Somebody else has seen to it.
        if state.held.as_ref().is_none_or(|held| !Arc::ptr_eq(&held.tokens, refused)) {
            return true;
        }
        if state.renewed.is_some_and(|at| now.duration_since(at) < RENEWED_APART) {
            return false;
        }
        (state.renewed, state.held) = (Some(now), None);
        true
    }

    async fn fetch<G: Gate>(&self, gate: &mut G) -> Result<Tokens, NoTokens> {
        // A secret that was changed in the meantime is found.
        let secrets = self.secrets.read_again();
        let (mut failures, mut turned_away) = (0, 0);
        loop {
            let (call, is_refresh) = self.next_call();
            let (secrets, call) = self.with_refresh(&secrets, call, is_refresh);
            let pass = gate.leave().await.map_err(NoTokens::NotRecorded)?.ok_or(NoTokens::Ended)?;
            let left = Instant::now();
            let answered = self.send(call, &secrets).await;
            let (reading, reply) = self.judge(answered);
            let heeded = gate.heed(pass, reply.as_ref()).await;
            heeded.map_err(NoTokens::NotRecorded)?;
            match reading? {
                Reading::Granted(grant) => return Ok(self.state().keep(grant, left)),
                Reading::Refused { .. } if is_refresh => self.state().refresh = None,
                Reading::Refused { why } => return Err(NoTokens::Refused { why }),
                Reading::Locked { wait, why } => {
                    return Err(NoTokens::Locked { why, wait: wait.unwrap_or(LOCKED_FOR) });
                }
                Reading::Throttled => {
                    turned_away += 1;
                    if turned_away >= TURNED_AWAY_MAX {
                        let why = "the login turns every call away".to_owned();
                        return Err(NoTokens::Unwell { why });
                    }
                }
                Reading::Unavailable { why } => {
                    failures += 1;
                    if failures >= ATTEMPTS_MAX {
                        return Err(NoTokens::Unwell { why });
                    }
                    let wait = retry::transient(failures - 1, Instant::now().into_std(), dice());
                    gate.wait(wait).await.ok_or(NoTokens::Ended)?;
                }
            }
        }
    }

    /// The call, and whether it refreshes.
    fn next_call(&self) -> (Call, bool) {
        let refreshes = self.state().refresh.is_some();
        let refresh = refreshes.then(|| self.grammar.refresh()).flatten();
        refresh.map_or_else(|| (self.grammar.call(), false), |call| (call, true))
    }

    fn with_refresh(&self, secrets: &Tokens, call: Call, is_refresh: bool) -> (Tokens, Call) {
        let refresh = self.state().refresh.clone().filter(|_| is_refresh);
        let Some(refresh) = refresh else { return (secrets.clone(), call) };
        let mut secrets = BTreeMap::clone(secrets);
        secrets.insert(REFRESH.to_owned(), refresh);
        (Arc::new(secrets), call)
    }

    async fn send(&self, call: Call, secrets: &BTreeMap<String, SecretString>) -> Sent {
        match fill::request(call, secrets) {
            Ok(request) => self.transport.send(request, &BTreeMap::new()).await,
            Err(why) => Sent::NotSent { why },
        }
    }

    /// What it means for the login, and what for whoever it goes to as a whole.
    fn judge(&self, sent: Sent) -> (Result<Reading, NoTokens>, Option<Reply>) {
        let unavailable = |why: &str| Ok(Reading::Unavailable { why: format!("the login: {why}") });
        match sent {
            Sent::Answered(response) => {
                let now = self.clock.now();
                let reading = self.grammar.read(&response, now);
                let reply = reply_of(&reading, &response, RetryAfter::of(&response, now));
                tracing::debug!(http_status = response.status, ?reading, "login answered");
                (Ok(reading), reply)
            }
            Sent::NotSent { why } => (unavailable(&why), Some(Reply::NotSent { why })),
            Sent::Lost { why } => (unavailable(&why), Some(Reply::Lost { why })),
            Sent::Unreachable { why } => {
                (Err(NoTokens::Unreachable { why: format!("the login: {why}") }), None)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only what has to be waited for: that a login works says nothing of the target.
fn reply_of(reading: &Reading, response: &Response, retry_after: RetryAfter) -> Option<Reply> {
    let verdict = match reading {
        Reading::Granted(_) | Reading::Refused { .. } | Reading::Locked { .. } => return None,
        Reading::Throttled => Verdict::Throttled,
        Reading::Unavailable { .. } => Verdict::Unavailable,
    };
    let (answer, status) = (Answer::of(verdict), response.status);
    Some(Reply::Answered { answer, status, retry_after })
}

impl State {
    /// Tokens that hold for long enough; none, when they have to be fetched.
    fn fresh(&self, now: Instant) -> Result<Option<Tokens>, NoTokens> {
        let held = self.held.as_ref();
        let held = held.filter(|held| held.ends.is_none_or(|(renew, _)| now < renew));
        match (held, &self.failed) {
            (Some(held), _) => Ok(Some(held.tokens.clone())),
            (None, Some(failed)) => Err(failed.clone()),
            (None, None) => Ok(None),
        }
    }

    /// Tokens that are not over yet.
    fn holding(&self, now: Instant) -> Option<Tokens> {
        let held = self.held.as_ref();
        let held = held.filter(|held| held.ends.is_none_or(|(_, end)| now < end));
        held.map(|held| held.tokens.clone())
    }

    fn keep(&mut self, grant: Grant, left: Instant) -> Tokens {
        let Grant { tokens, lifetime, refresh } = grant;
        let ends = lifetime.map(|lifetime| {
            let ahead = (lifetime / 10).clamp(AHEAD_LEAST, AHEAD_MOST).min(lifetime / 2);
            (left + lifetime.saturating_sub(ahead), left + lifetime)
        });
        let tokens = Arc::new(tokens);
        self.held = Some(Held { tokens: tokens.clone(), ends });
        self.refresh = refresh;
        tokens
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.grammar.kind().as_str())
    }
}
