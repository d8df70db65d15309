//! The journal behind the sender: every intent and every outcome on disk, in groups.

use super::{
    Failure, Results,
    edges::OpenScribe,
    learn::{Learned, Wishes, done_of, learn, told_of_parts, told_of_rewritten},
};
use crate::{
    engine::{
        diff::not_accepted,
        plan::Sought,
        quarantine::{Circumstances, Effect},
    },
    model::{Action, AttrPath, Operation, Outcome, Refusal, RemoteId, RunId, UserKey},
    sender::{End, Recorder},
    store::{Conclusion, Entry, Intent, Scribe, Store, StoreError},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::oneshot;

/// Records what one tenant sends in one round.
pub(super) struct Journal {
    writer: Box<dyn Scribe>,
    run: RunId,
    next_operation: AtomicU64,
    /// What is wished of each user that has an operation, and what was refused of it before.
    wishes: BTreeMap<UserKey, Wishes>,
    /// Attributes that the snapshot remembers.
    keep: Arc<BTreeSet<AttrPath>>,
    results: Mutex<Results>,
    /// What look-ups have brought.
    sought: Mutex<BTreeMap<UserKey, Sought>>,
    /// Accounts of users of whom nothing is wished, and that a read has shown.
    shown: Mutex<BTreeMap<UserKey, RemoteId>>,
}

/// What is left of a journal that is closed.
pub(super) struct Closed {
    pub(super) store: Store,
    pub(super) results: Results,
    pub(super) sought: BTreeMap<UserKey, Sought>,
    pub(super) shown: BTreeMap<UserKey, RemoteId>,
}

impl Journal {
    pub(super) fn new(
        mut store: Store,
        scribe: &OpenScribe,
        run: RunId,
        wishes: BTreeMap<UserKey, Wishes>,
        keep: BTreeSet<AttrPath>,
        results: Results,
    ) -> Result<Self, StoreError> {
        let next_operation = AtomicU64::new(store.last_operation()? + 1);
        store.make_ready(wishes.len())?;
        let writer = scribe(store);
        let keep = Arc::new(keep);
        let (results, sought, shown) = (Mutex::new(results), Mutex::default(), Mutex::default());
        Ok(Self { writer, run, next_operation, wishes, keep, results, sought, shown })
    }

    /// Writes what is left, and hands back the store and what was counted.
    pub(super) fn finish(self) -> Result<Closed, StoreError> {
        let Self { writer, run: _, next_operation: _, wishes: _, keep: _, results, sought, shown } =
            self;
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sought = sought.into_inner().unwrap_or_else(PoisonError::into_inner);
        let shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(Closed { store: writer.finish()?, results, sought, shown })
    }

    async fn write(&self, entries: Vec<Entry>) -> Result<(), String> {
        let (done, written) = oneshot::channel();
        let done = Box::new(move |result| {
            // Nobody listens any more only when the task was torn down with the process.
            let _ = done.send(result);
        });
        self.writer.submit(entries, done);
        match written.await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("the state is no longer written".to_owned()),
        }
    }

    fn intent(&self, operation: &Operation, at: Timestamp) -> (u64, Entry) {
        let operation_id = self.next_operation.fetch_add(1, Ordering::Relaxed);
        let Operation { key, remote_id, action } = operation;
        let intent = Intent {
            operation_id,
            run: self.run.clone(),
            key: key.clone(),
            remote_id: remote_id.clone(),
            action: action.into(),
            edits: operation.edits().to_vec(),
            at,
        };
        (operation_id, Entry::Intent(intent))
    }

    fn outcome(&self, operation_id: u64, operation: &Operation, end: End) -> Entry {
        let wishes = self.wishes.get(&operation.key);
        let learned = wishes.map(|wishes| learn(wishes, operation, &end));
        let Learned { fingerprint, refused } = learned.unwrap_or_default();
        self.count(operation, &end);
        if let Some(sought) = sought(&end.outcome) {
            let mut all = self.sought.lock().unwrap_or_else(PoisonError::into_inner);
            all.insert(operation.key.clone(), sought);
        }
        if let (None, Action::Read, Outcome::Settled { .. }, Some(remote_id)) =
            (wishes, &operation.action, &end.outcome, &operation.remote_id)
        {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.insert(operation.key.clone(), remote_id.clone());
        }
        let edits = done_of(operation, &end).cloned().collect();
        let End { outcome, status, requests, at, was_in_doubt, parts: _ } = end;
        let is_read = operation.action.is_look();
        let remembered = refused.is_some();
        let circumstances = Circumstances { is_read, status, requests, remembered };
        let effect = Effect::of(&outcome, circumstances);
        Entry::Outcome(Box::new(Conclusion {
            operation_id,
            key: operation.key.clone(),
            remote_id: operation.remote_id.clone(),
            action: (&operation.action).into(),
            outcome,
            edits,
            was_in_doubt,
            status,
            attempts: requests,
            at,
            fingerprint,
            refused,
            keep: self.keep.clone(),
            watched: wishes.map(|wishes| wishes.watched.clone()).unwrap_or_default(),
            effect,
            row: wishes.map(|wishes| wishes.fingerprint),
        }))
    }

    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, operation: &Operation, end: &End) {
        let mut results = self.results();
        let failure = match &end.outcome {
            Outcome::Nobody | Outcome::Matched { .. } | Outcome::Ambiguous { .. } => {
                results.read += 1;
                return;
            }
            Outcome::Deleted => {
                results.settled += 1;
                return;
            }
            Outcome::Settled { shown, unverified } | Outcome::Created { shown, unverified, .. } => {
                if operation.action.is_look() {
                    results.read += 1;
                } else {
                    results.settled += 1;
                }
                results.unverified += u64::from(*unverified);
                let rewritten = not_accepted(done_of(operation, end), shown);
                if end.parts.is_none() && rewritten.is_empty() {
                    return;
                }
                results.not_accepted += 1;
                end.parts.as_ref().map_or_else(|| told_of_rewritten(&rewritten, end), told_of_parts)
            }
            Outcome::Refused(Refusal { status, code, excerpt, attributes: _ }) => {
                results.refused += 1;
                let why = excerpt.as_str().to_owned();
                Failure { status: Some(*status), code: code.clone(), why }
            }
            Outcome::Gone => {
                results.gone += 1;
                let why = "the target has no such user".to_owned();
                Failure { status: end.status, code: String::new(), why }
            }
            Outcome::InDoubt { why } => {
                results.in_doubt += 1;
                Failure { status: end.status, code: String::new(), why: why.clone() }
            }
            Outcome::Deferred { why } => {
                results.deferred += 1;
                Failure { status: end.status, code: String::new(), why: why.clone() }
            }
        };
        results.failures.insert(operation.key.clone(), failure);
    }
}

/// What a look-up has brought. Of one way only: who asks counts them.
fn sought(outcome: &Outcome) -> Option<Sought> {
    match outcome {
        Outcome::Matched { remote_id, shown, by } => {
            Some(Sought::One { remote_id: remote_id.clone(), shown: shown.clone(), by: by.clone() })
        }
        Outcome::Nobody => Some(Sought::Nobody { tried: 1 }),
        Outcome::Ambiguous { count } => Some(Sought::Several { count: *count }),
        Outcome::Settled { .. }
        | Outcome::Refused(_)
        | Outcome::InDoubt { .. }
        | Outcome::Deferred { .. }
        | Outcome::Gone
        | Outcome::Created { .. }
        | Outcome::Deleted => None,
    }
}

impl Recorder for Journal {
    async fn intend(&self, operation: &Operation, at: Timestamp) -> Result<u64, String> {
        let (operation_id, intent) = self.intent(operation, at);
        self.write(vec![intent]).await?;
        Ok(operation_id)
    }

    async fn again(&self, operation_id: u64, at: Timestamp) -> Result<(), String> {
        self.write(vec![Entry::Sent { operation_id, at }]).await
    }

    async fn settle(
        &self,
        operation_id: u64,
        operation: &Operation,
        end: End,
    ) -> Result<(), String> {
        self.write(vec![self.outcome(operation_id, operation, end)]).await
    }

    async fn settle_and_intend(
        &self,
        operation_id: u64,
        operation: &Operation,
        end: End,
        next: &Operation,
        at: Timestamp,
    ) -> Result<u64, String> {
        let outcome = self.outcome(operation_id, operation, end);
        let (next_id, intent) = self.intent(next, at);
        self.write(vec![outcome, intent]).await?;
        Ok(next_id)
    }

    async fn pause(
        &self,
        until: Timestamp,
        why: String,
        (share, at): (Option<f64>, Timestamp),
    ) -> Result<(), String> {
        self.write(vec![Entry::Pause { until, why }, Entry::Pace { share, at }]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{TenantId, Value},
        store::{Holder, JournalFilter, Writer},
    };

    fn ended(outcome: Outcome) -> End {
        let at = Timestamp::UNIX_EPOCH;
        End { outcome, status: Some(200), requests: 1, at, was_in_doubt: false, parts: None }
    }

    fn read_of(user: &str) -> Operation {
        let (key, remote_id) = (UserKey::parse(user).unwrap(), RemoteId::parse(user).unwrap());
        Operation { key, remote_id: Some(remote_id), action: Action::Read }
    }

    #[tokio::test]
    async fn inv2_an_outcome_and_the_next_intent_are_on_the_disk_together_when_a_kill_comes() {
        let (here, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tenant = TenantId::parse("acme").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let open = |dir: &tempfile::TempDir| {
            let holder = Holder { pid: 1, host: "hr-01".to_owned(), since: at };
            Store::open(dir.path(), &tenant, &holder).unwrap()
        };
        let run = RunId::parse("0192f0c1-2a3b-7c4d-8e5f-001122334455").unwrap();
        let (wishes, keep) = (BTreeMap::new(), BTreeSet::new());
        let scribe = |store| -> Box<dyn Scribe> { Box::new(Writer::spawn(store)) };
        let store = open(&here);
        let journal = Journal::new(store, &scribe, run, wishes, keep, Results::default()).unwrap();
        let (first, next) = (read_of("E1"), read_of("E2"));
        let intent = journal.intend(&first, at).await.unwrap();
        let shown = [(AttrPath::new("title"), Some(Value::from("Clerk")))].into();
        let outcome = Outcome::Settled { shown, unverified: false };
        let end = ended(outcome);
        let next_intent = journal.settle_and_intend(intent, &first, end, &next, at).await.unwrap();
        assert_eq!(journal.writer.commits(), 2);
        // What a kill leaves behind.
        for ending in ["db", "db-wal"] {
            let name = format!("acme.{ending}");
            std::fs::copy(here.path().join(&name), copied.path().join(&name)).unwrap();
        }
        let store = open(&copied);
        let filter = JournalFilter { key: None, run: None, limit: 9 };
        let ended: Vec<u64> =
            store.journal(&filter).unwrap().iter().map(|row| row.operation_id).collect();
        let open: Vec<u64> =
            store.open_intents().unwrap().iter().map(|intent| intent.operation_id).collect();
        assert_eq!((ended, open), (vec![intent], vec![next_intent]));
    }
}
