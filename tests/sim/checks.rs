//! What has to hold after a run, and in the end.

use crate::{company::shows, oracle::Oracle, target::Target, world::World};
use jiff::civil::Date;
use rosterd::{
    cycle::{CycleReport, Results, TenantEnd, TenantReport},
    engine::diff::{canonical, same},
    model::{
        Action, Attributes, Body, HeldReason, LeaverReason, RemoteId, Response, TenantId, UserKey,
        Verdict,
    },
    sender::Ended,
    store::ReadStore,
};
use std::{collections::BTreeSet, time::Duration};

/// Longest time from the stop to the end.
const STOP_MAX: Duration = Duration::from_secs(90);

impl World {
    /// One line of the trace for each tenant.
    pub(crate) fn note_report(&self, report: &CycleReport) {
        for tenant in &report.tenants {
            let TenantReport { tenant, end, results, plan, .. } = tenant;
            let held = plan.as_ref().map_or(0, |plan| plan.held.len());
            let Results { read, settled, refused, gone, in_doubt, deferred, left, .. } = results;
            self.oracle.note(&format!(
                "{tenant} {end:?}: read {read}, settled {settled}, refused {refused}, gone {gone}, \
                 in doubt {in_doubt}, deferred {deferred}, left {left}, held {held}"
            ));
        }
    }

    /// After every run that was not killed.
    pub(crate) fn check_run(&self, report: &CycleReport) {
        for tenant in &report.tenants {
            let target = self.targets[tenant.tenant.as_str()].lock().unwrap();
            self.check_end(tenant);
            self.check_leavers(tenant);
            self.check_held(tenant, &target);
            self.check_books(tenant, &target);
        }
        self.check_state(false);
    }

    /// A run that was asked to stop has ended soon after.
    pub(crate) fn check_stop(&self) {
        let stopped = self.targets.values().filter_map(|target| target.lock().unwrap().stopped);
        if stopped.max().is_some_and(|at| at.elapsed() > STOP_MAX) {
            self.oracle.breach("INV-18", "a run goes on after the stop");
        }
    }

    fn check_end(&self, report: &TenantReport) {
        let surprising = match &report.end {
            TenantEnd::Planned
            | TenantEnd::Declined
            | TenantEnd::Locked { .. }
            | TenantEnd::State { .. }
            | TenantEnd::Unusable { .. } => true,
            TenantEnd::Early(Ended::Broken { why }) => {
                why.contains("internal") || why.contains("worker")
            }
            TenantEnd::Done
            | TenantEnd::Guarded
            | TenantEnd::Paused { .. }
            | TenantEnd::SourceRefused
            | TenantEnd::Quarantined(_)
            | TenantEnd::Early(_) => false,
        };
        if surprising {
            self.breach(report, "INV-20", &format!("ends as {:?}", report.end));
        }
    }

    fn check_leavers(&self, report: &TenantReport) {
        let present = self.roster.present();
        for leaver in report.plan.iter().flat_map(|plan| &plan.leavers) {
            let is_there = present.contains(leaver.key.as_str());
            if leaver.reason == LeaverReason::AbsentFromSource && is_there {
                self.breach(report, "INV-11", "somebody in the file counts as absent");
            }
        }
    }

    /// Nobody is held without a reason that this world has given.
    fn check_held(&self, report: &TenantReport, target: &Target) {
        for held in report.plan.iter().flat_map(|plan| &plan.held) {
            let explained = match held.reason {
                HeldReason::BadRow => self.roster.is_damaged(),
                HeldReason::NotAccepted => target.excused.contains(held.key.as_str()),
                HeldReason::InDoubt | HeldReason::Refused | HeldReason::Unreachable => true,
                HeldReason::BadValue
                | HeldReason::NoRemoteId
                | HeldReason::Ambiguous
                | HeldReason::SharedRemoteId
                | HeldReason::BadReference
                | HeldReason::OpenReference
                | HeldReason::MissingCompanion
                | HeldReason::Drifted
                | HeldReason::Protected
                | HeldReason::ByHand
                | HeldReason::Gone => false,
            };
            if !explained {
                let what = format!("{} is held for {:?}: {}", held.key, held.reason, held.why);
                self.breach(report, "INV-4", &what);
            }
        }
    }

    fn check_books(&self, report: &TenantReport, target: &Target) {
        let counted = report.results.requests.reads + report.results.requests.patches;
        let sent = target.sent as u64;
        let twice = self.planted.is_some();
        if counted != sent && !twice {
            self.breach(report, "INV-15", &format!("{counted} requests counted, {sent} sent"));
        }
        let Some(plan) = &report.plan else { return };
        let planned = plan.changes().count();
        if target.patched > planned * 11 / 10 + 50 {
            let what = format!("{} PATCHes for {planned} operations", target.patched);
            self.breach(report, "INV-9", &what);
        }
    }

    fn breach(&self, report: &TenantReport, invariant: &str, what: &str) {
        self.oracle.breach(invariant, &format!("{}: {what}", report.tenant));
    }

    fn store(&self, name: &str) -> Option<ReadStore> {
        let opened = ReadStore::open(&self.state(), &TenantId::parse(name).unwrap());
        opened.unwrap_or_else(|error| {
            self.oracle.breach("INV-19", &format!("{name}: {error}"));
            None
        })
    }

    /// What a snapshot says of a user is so at the target, or the user is in doubt. And what the
    /// process knew and did not write down, it cannot know any more.
    pub(crate) fn check_state(&self, killed: bool) {
        for (name, target) in &self.targets {
            let mut target = target.lock().unwrap();
            // What was not touched was looked at before.
            if !killed && target.sent == 0 {
                continue;
            }
            let Some(store) = self.store(name) else { continue };
            let intents = store.open_intents().unwrap();
            let open = intents.iter().map(|intent| intent.key.to_string()).collect();
            let until = store.pause().unwrap().map(|pause| pause.until);
            target.client_died(&open, until);
            let in_doubt: BTreeSet<UserKey> = store.in_doubt().unwrap().into_iter().collect();
            let keys = target.keys.values().map(|key| UserKey::parse(key).unwrap());
            // Who cannot be looked at, and whose target says "done" and does nothing, is not known.
            let misled = |key: &UserKey| !target.reads && target.excused.contains(key.as_str());
            let late: BTreeSet<&String> =
                target.late.keys().filter_map(|user| target.keys.get(user)).collect();
            let late = |key: &UserKey| late.contains(&key.to_string());
            let known = keys.filter(|key| !in_doubt.contains(key) && !misled(key) && !late(key));
            let keys: Vec<UserKey> = known.collect();
            let keys: Vec<&UserKey> = keys.iter().collect();
            for (key, known) in store.known(&keys).unwrap() {
                let shown = self.shown(&target, &known.remote_id);
                let wrong = known.attributes.iter().find(|(path, value)| {
                    shown.get(*path).is_some_and(|shown| !same(shown.as_ref(), value.as_ref()))
                });
                if let Some((path, _)) = wrong {
                    let what = format!("{name}: the snapshot is wrong about {path} of {key}");
                    self.oracle.breach("INV-2", &what);
                }
            }
        }
    }

    fn shown(&self, target: &Target, id: &RemoteId) -> Attributes {
        let tenant = &self.config.tenants[&TenantId::parse(target.name()).unwrap()];
        let body = target.practice.show(id.as_str()).unwrap();
        let response = Response {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Body::Whole(body.to_string().into_bytes()),
        };
        let answer =
            tenant.dialect.read(Some(id), &Action::Read, &response, Date::constant(2026, 3, 2));
        let Verdict::Found { shown } = answer.verdict else { panic!("{:?}", answer.verdict) };
        canonical(&shown)
    }

    /// After the second fair night: everybody is as wished, and known to be.
    pub(crate) fn check_convergence(&self, report: &CycleReport) {
        for tenant in &report.tenants {
            if tenant.end != TenantEnd::Done {
                self.breach(tenant, "INV-4", &format!("a fair night ends as {:?}", tenant.end));
                continue;
            }
            let target = self.targets[tenant.tenant.as_str()].lock().unwrap();
            let store = self.store(tenant.tenant.as_str()).unwrap();
            // Told by `status`, until the wish changes.
            let refused = store.refused().unwrap().into_iter();
            let held: BTreeSet<String> = refused.map(|refused| refused.key.to_string()).collect();
            for person in &self.roster.people {
                let id = person.id(target.tenant.api);
                let wished = person.account(target.tenant.api);
                let is_so = target.practice.account(id).is_some_and(|held| shows(held, &wished));
                let key = person.key();
                if !is_so
                    && !(target.excused.contains(key) && (held.contains(key) || !target.reads))
                {
                    self.breach(tenant, "INV-4", &format!("{key} is not as wished"));
                }
            }
            for intent in store.open_intents().unwrap() {
                self.breach(tenant, "INV-4", &format!("{} is still in doubt", intent.key));
            }
        }
        if report.tenants.len() != self.targets.len() {
            self.oracle.breach("INV-4", "a tenant has no report");
        }
    }

    /// After the night that had nothing to do.
    pub(crate) fn check_rest(&self) {
        for (name, target) in &self.targets {
            let sent = target.lock().unwrap().sent;
            if sent > 0 {
                let what = format!("{name}: {sent} requests in a night with nothing to do");
                self.oracle.breach("INV-5", &what);
            }
        }
    }
}

/// For who wants to look at the whole story.
pub(crate) fn story(oracle: &Oracle, lines: usize) -> String {
    let trace = oracle.trace();
    let from = trace.len().saturating_sub(lines);
    trace[from..].join("\n")
}
