//! A person who looks at plans that a guard holds, and lets some of them pass.

use crate::{
    chance::Chance,
    company::LAX,
    planted::Planted,
    scenario::Scenario,
    world::{World, holder},
};
use jiff::ToSpan;
use rosterd::{
    cycle::{CycleReport, TenantEnd, TenantReport},
    store::{ApprovalError, Approving, Store},
};
use std::collections::BTreeMap;

/// So many users may change in a run without anybody's word.
const LIMIT: usize = 3;

/// Draws by himself, so that the seeds that do without him live as they did.
pub(crate) struct Approver {
    chance: Chance,
    /// Where nothing but his word lets many changes pass.
    pub(crate) strict: bool,
    /// By tenant.
    permits: BTreeMap<String, Permit>,
}

/// What one plan was made of when it was approved: good for one run that finds all of it as it was.
struct Permit {
    wishes: Vec<Option<serde_json::Value>>,
}

/// What a guard lets pass, but for what is in `strict`.
pub(crate) fn guards(limit: Option<usize>) -> String {
    // A roster that was damaged when it was taken for the measure comes back much longer.
    let lax = format!("{LAX}\nmax_source_growth = 1000\nmin_known = \"0%\"");
    match limit {
        Some(limit) => lax.replace("max_update = \"100%\"", &format!("max_update = {limit}")),
        None => lax,
    }
}

impl Approver {
    pub(crate) fn of(seed: u64, planted: Option<Planted>) -> Self {
        let mut chance = Chance::of(seed ^ 0xA110_0ED0);
        let strict = chance.hits(0.25) || planted == Some(Planted::ApprovalOfAnything);
        Self { chance, strict, permits: BTreeMap::new() }
    }

    /// Tightens the guards where the seed has it so. Who cannot be looked at may be sent again what he
    /// was sent, whatever the plan is.
    pub(crate) fn tighten(&self, scenario: &mut Scenario) {
        for part in scenario.tenants.iter_mut().filter(|part| self.strict && part.reads) {
            part.tenant = part.tenant.clone().guards(&guards(Some(LIMIT)));
        }
    }
}

impl World {
    /// After a run: he approves one of two plans that are held, or each.
    pub(crate) fn visit(&mut self, report: &CycleReport, each: bool) -> bool {
        let held: Vec<&TenantReport> =
            report.tenants.iter().filter(|tenant| tenant.end == TenantEnd::Guarded).collect();
        let mut approved = false;
        for tenant in held {
            if each || self.approver.chance.hits(0.5) {
                self.approve(tenant);
                approved = true;
            }
        }
        approved
    }

    fn approve(&mut self, report: &TenantReport) {
        let TenantReport { tenant, digest, .. } = report;
        let at = self.oracle.now();
        let expires = at.checked_add(72.hours()).unwrap();
        let approving = Approving { digest, who: "ann", reason: "as wished", at, expires };
        let opened = Store::open(&self.state(), tenant, &holder(&self.oracle));
        match opened.unwrap().approve(&approving) {
            Ok(_) => {}
            // He was here before, or the run itself has learnt something after its plan.
            Err(ApprovalError::Already { .. } | ApprovalError::Moved) => return,
            Err(error) => panic!("{tenant}: {error}"),
        }
        self.oracle.note(&format!("{tenant}: {digest} is approved"));
        let wishes = self.wishes(tenant.as_str());
        self.approver.permits.insert(tenant.to_string(), Permit { wishes });
    }

    fn wishes(&self, tenant: &str) -> Vec<Option<serde_json::Value>> {
        let api = self.targets[tenant].lock().unwrap().tenant.api;
        self.roster.wishes(api)
    }

    /// After every run, killed or not: many users have changed only with a person's word on just that.
    pub(crate) fn check_permits(&mut self) {
        let others = self.planted.is_some_and(|planted| planted != Planted::ApprovalOfAnything);
        if !self.approver.strict || others {
            return;
        }
        for (name, target) in &self.targets {
            let (reads, changed, api) = {
                let target = target.lock().unwrap();
                (target.reads, target.changed.len(), target.tenant.api)
            };
            if !reads || changed == 0 {
                continue;
            }
            // Good for one run, and void as soon as anything was sent after it was given.
            let permit = self.approver.permits.remove(name);
            if changed > LIMIT
                && permit.is_none_or(|permit| permit.wishes != self.roster.wishes(api))
            {
                let what =
                    format!("{name}: {changed} users were changed, and nobody approved that");
                self.oracle.breach("INV-10", &what);
            }
        }
    }
}
