//! What a plan does, counted in users, together with what was sent within the last day.

use super::limit::{HANDFUL, Limit, Limits};
use crate::model::{Action, AttrPath, Capabilities, Edit, Plan, UserKey, Value};
use std::collections::BTreeMap;

/// What was sent to each user within the last day, so that a limit cannot be crept past in slices.
/// Without what a person approved: that was looked at as a whole.
#[derive(Debug, Default)]
pub struct Recent(BTreeMap<UserKey, OfUser>);

/// What was sent for one user.
#[derive(Debug, Default)]
struct OfUser {
    attributes: BTreeMap<AttrPath, Touch>,
    switched_off: bool,
    created: bool,
    deleted: bool,
}

/// What became of one attribute of one user.
#[derive(Clone, Copy, Debug, Default)]
struct Touch {
    cleared: bool,
    disabled: bool,
}

impl Touch {
    fn of(edit: &Edit, capabilities: &Capabilities) -> Self {
        Self { cleared: clears(edit), disabled: capabilities.disables(edit) }
    }
}

impl Recent {
    /// Adds what one operation set. A user who was sent several counts once.
    pub fn add(&mut self, key: &UserKey, edits: &[Edit], capabilities: &Capabilities) {
        let user = self.0.entry(key.clone()).or_default();
        for edit in edits {
            let Touch { cleared, disabled } = Touch::of(edit, capabilities);
            let touch = user.attributes.entry(edit.path.clone()).or_default();
            touch.cleared |= cleared;
            touch.disabled |= disabled;
        }
    }

    /// An account was made, or may have been.
    pub fn add_created(&mut self, key: &UserKey) {
        self.0.entry(key.clone()).or_default().created = true;
    }

    /// The account of somebody who has left was switched off.
    pub fn add_switched_off(&mut self, key: &UserKey) {
        self.0.entry(key.clone()).or_default().switched_off = true;
    }

    pub fn add_deleted(&mut self, key: &UserKey) {
        self.0.entry(key.clone()).or_default().deleted = true;
    }
}

/// Users, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Of the plan.
    pub planned: u64,
    /// Of the last day, who are not of the plan.
    pub before: u64,
}

impl Count {
    #[must_use]
    pub fn all(self) -> u64 {
        self.planned + self.before
    }
}

/// What becomes of one attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfAttribute {
    pub changed: Count,
    pub cleared: Count,
}

/// A plan in users.
#[derive(Debug, Default)]
pub struct Figures<'a> {
    pub changed: Count,
    pub disabled: Count,
    pub created: Count,
    pub deleted: Count,
    /// Attributes that the plan changes for anybody.
    pub attributes: BTreeMap<&'a AttrPath, OfAttribute>,
}

impl<'a> Figures<'a> {
    /// Of the plan alone.
    #[must_use]
    pub fn of(plan: &'a Plan, capabilities: &Capabilities) -> Self {
        let mut figures = Self::default();
        for (operation, edits) in plan.changes() {
            match operation.action {
                // What is new changes nobody, and who is switched off or deleted is counted as that.
                Action::Create { .. } => {
                    figures.created.planned += 1;
                    continue;
                }
                Action::Delete => {
                    figures.deleted.planned += 1;
                    continue;
                }
                Action::Disable { .. } => {
                    figures.disabled.planned += 1;
                    continue;
                }
                Action::Patch { .. }
                | Action::Enable { .. }
                | Action::Read
                | Action::Find { .. } => {}
            }
            figures.changed.planned += 1;
            figures.disabled.planned +=
                u64::from(edits.iter().any(|edit| capabilities.disables(edit)));
            for edit in edits {
                let attribute = figures.attributes.entry(&edit.path).or_default();
                attribute.changed.planned += 1;
                attribute.cleared.planned += u64::from(clears(edit));
            }
        }
        figures
    }

    /// Counts along what was sent before. `plan`: the same, with its operations sorted by key, as
    /// every plan is.
    pub fn count_along(&mut self, plan: &Plan, recent: &Recent, capabilities: &Capabilities) {
        for (key, user) in &recent.0 {
            self.add_before(user, action_of(plan, key), capabilities);
        }
    }

    /// Whether any limit could be passed by what the plan does, if enough was sent before: if not,
    /// nobody needs to know what was.
    #[must_use]
    pub fn could_trip(&self, limits: &Limits, users: u64) -> bool {
        let (changes, disables) = (self.changed.planned > 0, self.disabled.planned > 0);
        let clears = self.attributes.values().any(|of| of.cleared.planned > 0);
        let could = |limit: &Limit| limit.exceeded_above(HANDFUL, users, users);
        let of_changes = [limits.max_update, limits.max_key_change, limits.max_attr_change];
        self.created.planned > 0
            || self.deleted.planned > 0
            || (changes && of_changes.iter().any(could))
            || (disables && [limits.max_disable, limits.max_disable_abs].iter().any(could))
            || (clears && limits.max_attr_clear.exceeded(users, users))
    }

    /// A user of the last day, as far as the plan does not count him already.
    fn add_before(&mut self, user: &OfUser, action: Option<&Action>, capabilities: &Capabilities) {
        let OfUser { attributes, switched_off, created, deleted } = user;
        let is_created = matches!(action, Some(Action::Create { .. }));
        let is_deleted = matches!(action, Some(Action::Delete));
        self.created.before += u64::from(*created && !is_created);
        self.deleted.before += u64::from(*deleted && !is_deleted);
        let planned = action.map_or(&[][..], Action::edits);
        let was_disabled = *switched_off || attributes.values().any(|touch| touch.disabled);
        let disables = planned.iter().any(|edit| capabilities.disables(edit));
        self.disabled.before += u64::from(was_disabled && !disables);
        let counts_as_changed = match action {
            Some(Action::Patch { .. } | Action::Enable { .. }) => true,
            Some(
                Action::Read
                | Action::Find { .. }
                | Action::Create { .. }
                | Action::Disable { .. }
                | Action::Delete,
            )
            | None => false,
        };
        self.changed.before += u64::from(!attributes.is_empty() && !counts_as_changed);
        for (path, touch) in attributes {
            let Some(attribute) = self.attributes.get_mut(path) else { continue };
            let edit = planned.iter().find(|edit| edit.path == *path);
            attribute.changed.before += u64::from(edit.is_none());
            attribute.cleared.before += u64::from(touch.cleared && !edit.is_some_and(clears));
        }
    }
}

/// What the plan does for the user.
fn action_of<'a>(plan: &'a Plan, key: &UserKey) -> Option<&'a Action> {
    let found = plan.operations.binary_search_by(|operation| operation.key.cmp(key));
    found.ok().map(|at| &plan.operations[at].action)
}

/// Leaves the user without a value where there was one, or may have been: unknown is not unset.
fn clears(edit: &Edit) -> bool {
    let empties = edit.after.as_ref().is_none_or(Value::is_empty_set);
    empties && edit.before.as_ref().is_none_or(Option::is_some)
}
