//! What the guards are shown of a plan. Nothing is asked of the snapshot that no guard could trip on.

use super::case::Case;
use crate::{
    config::TenantConfig,
    engine::guard::{self, Evidence, Figures, HANDFUL, Limit, Recent},
    model::{
        AttrPath, Capabilities, Fingerprint, Known, Notice, Plan, Standing, TrippedGuard, Value,
    },
    store::{ActionKind, Snapshot, StoreError},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// How far back a run counts what others have sent: those that began within this time. It is less
/// than 24 h, so that a nightly run is not counted together with the one of the night before, be its
/// timer some minutes late or the night an hour shorter.
const DAY: SignedDuration = SignedDuration::from_mins(22 * 60 + 30);

impl Case {
    /// The guards that hold the plan; see [`guard::judge`].
    pub(super) fn judge(
        &self,
        plan: &Plan,
        snapshot: Option<&Snapshot>,
        began: Timestamp,
    ) -> Result<Vec<TrippedGuard>, StoreError> {
        let capabilities = self.config.capabilities();
        let limits = &self.config.limits;
        let users = plan.users + self.intake.others.users;
        let mut figures = Figures::of(plan, capabilities);
        if let Some(snapshot) = snapshot.filter(|_| figures.could_trip(limits, users)) {
            let mut recent = Recent::default();
            let since = began.checked_sub(DAY).unwrap_or(Timestamp::MIN);
            snapshot.each_change_since(since, &mut |key, action, edits| match action {
                ActionKind::Create => recent.add_created(key),
                ActionKind::Disable => recent.add_switched_off(key),
                ActionKind::Delete => recent.add_deleted(key),
                ActionKind::Patch | ActionKind::Enable => recent.add(key, edits, capabilities),
                ActionKind::Read | ActionKind::Find => {}
            })?;
            figures.count_along(plan, &recent, capabilities);
        }
        let asks = figures.changed.planned > 0 || !self.intake.emptied.is_empty();
        let accepted = snapshot.filter(|_| asks).map(Snapshot::accepted_view);
        let accepted = accepted.transpose()?.flatten();
        // Once rows are read with other eyes all are looked at anew, and nobody knows what they said
        // before.
        let nothing = BTreeMap::new();
        let emptied = if accepted == Some(self.view) { &self.intake.emptied } else { &nothing };
        let before = snapshot.map(Snapshot::accepted_input).transpose()?.flatten();
        let drift = snapshot.filter(|_| figures.changed.planned > 0);
        let drift = drift.map(Snapshot::drift_sample).transpose()?.flatten();
        let (strangers, mut accounts) = self.intake.strangers_and_accounts();
        if figures.created.planned > 0 || figures.deleted.planned > 0 {
            accounts = self.intake.accounts();
        }
        Ok(guard::judge(&Evidence {
            plan,
            capabilities,
            limits,
            users,
            strangers,
            accounts,
            active: self.active(plan, snapshot, &figures)?,
            source_users: self.facts.users,
            source_users_before: before.map(|input| input.users),
            holders: &self.holders(plan, snapshot, &figures, emptied)?,
            emptied,
            drift: drift.map(|sample| (sample.changed, sample.looked)),
            new_mapping: accepted.is_some_and(|accepted| accepted.view != self.view.view),
            figures: &figures,
        }))
    }

    /// How many users have a value or may have one, for each attribute that the plan or the source
    /// empties: all of them, or as many as it takes to see that the limit is kept.
    fn holders(
        &self,
        plan: &Plan,
        snapshot: Option<&Snapshot>,
        figures: &Figures<'_>,
        emptied: &BTreeMap<AttrPath, u64>,
    ) -> Result<BTreeMap<AttrPath, u64>, StoreError> {
        let mut holders: BTreeMap<AttrPath, u64> = BTreeMap::new();
        let asked = self.asked(figures, emptied);
        if asked.is_empty() {
            return Ok(holders);
        }
        // Nothing is known of these, so each of them may hold one.
        let unknown =
            plan.changes().filter(|(change, _)| !self.intake.has_account(change.key.fingerprint()));
        let edited = unknown.flat_map(|(_, edits)| edits).map(|edit| &edit.path);
        for path in edited.filter(|path| asked.iter().any(|asked| asked.path == *path)) {
            *holders.entry(path.clone()).or_default() += 1;
        }
        let Some(snapshot) = snapshot else { return Ok(holders) };
        snapshot.each_known(&mut |known| {
            let mut in_question = false;
            for Asked { path, count, limit, floor } in &asked {
                let held = holders.entry((*path).clone()).or_default();
                *held += u64::from(may_hold(known, path));
                in_question |= limit.exceeded_above(*floor, *count, *held);
            }
            in_question
        })?;
        Ok(holders)
    }

    /// Attributes of which the holders are to be counted, each once: what the mapping clears when the
    /// cell is empty, and what it leaves alone then, are never the same.
    fn asked<'a>(
        &self,
        figures: &Figures<'a>,
        emptied: &'a BTreeMap<AttrPath, u64>,
    ) -> Vec<Asked<'a>> {
        let limits = &self.config.limits;
        let cleared = figures.attributes.iter().map(|(path, of)| (*path, of.cleared));
        let cleared = cleared.filter(|(_, cleared)| cleared.planned > 0);
        let mut asked: Vec<Asked<'a>> = cleared
            .map(|(path, cleared)| Asked {
                path,
                count: cleared.all(),
                limit: limits.max_attr_clear,
                floor: 1,
            })
            .collect();
        asked.extend(emptied.iter().map(|(path, count)| Asked {
            path,
            count: *count,
            limit: limits.max_source_clear,
            floor: HANDFUL,
        }));
        asked
    }

    /// Users that can be switched off; only asked when more than a handful are to be.
    fn active(
        &self,
        plan: &Plan,
        snapshot: Option<&Snapshot>,
        figures: &Figures<'_>,
    ) -> Result<u64, StoreError> {
        let users = plan.users + self.intake.others.users;
        let Some(snapshot) = snapshot.filter(|_| figures.disabled.planned > 0) else {
            return Ok(users);
        };
        let mut active = figures.disabled.before;
        snapshot.each_known(&mut |known| {
            active += u64::from(is_active(known, self.config.capabilities()));
            true
        })?;
        Ok(active.min(users))
    }
}

/// An attribute whose holders are to be counted until the limit is seen to be kept.
struct Asked<'a> {
    path: &'a AttrPath,
    count: u64,
    limit: Limit,
    floor: u64,
}

/// Whether the user has a value there, or may have one that nobody has seen.
fn may_hold(known: &Known, path: &AttrPath) -> bool {
    let filled = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_empty_set());
    known.attributes.get(path).is_none_or(filled)
}

/// The user is there, and nothing that is known switches him off.
fn is_active(known: &Known, capabilities: &Capabilities) -> bool {
    let off = |path: &AttrPath, value: &Option<Value>| {
        *value == Some(Value::Flag(false)) && capabilities.is_switch(path)
    };
    known.standing != Standing::Gone
        && !known.attributes.iter().any(|(path, value)| off(path, value))
}

/// All of the configuration that decides what a plan is, and whether it may be sent.
pub(super) fn settings_of(tenant: &TenantConfig, view: Fingerprint) -> Fingerprint {
    let limits = format!("{:?} {:?}", tenant.limits, tenant.rules);
    let texts = [view.to_string(), tenant.target.to_string(), limits];
    let protected = tenant.protected.iter().map(crate::model::UserKey::as_str);
    Fingerprint::of(texts.iter().map(String::as_str).chain(protected).map(Some))
}

/// What to tell of a plan that takes longer than a run may.
pub(super) fn overtime(tenant: &TenantConfig, plan: &Plan) -> Option<Notice> {
    let (needed, allowed) = (plan.forecast.duration, tenant.run_deadline);
    (needed > allowed).then(|| Notice {
        message: format!(
            "the plan takes about {} min at the tenant's quota, and a run ends after {} min",
            needed.as_secs().div_ceil(60),
            allowed.as_secs() / 60
        ),
        hint: format!(
            "what is left waits for the next run; ask the vendor for a higher quota, or raise \
             `tenants.{}.run_deadline`",
            tenant.id
        ),
        refuses: false,
    })
}
