//! Why a user is held by the mapping, as the plan and as the report tell it.

use super::{
    compile::rule_key,
    rule::{Rule, RuleProblem},
};
use crate::model::{AttrPath, Code, Finding, Held, HeldReason, Place, Record, Severity};

/// A value breaks the rule of its attribute's kind.
pub const BAD_VALUE: Code = Code("RD-2001");
/// A cell is empty and its rule says `on_empty = "error"`.
pub const EMPTY_VALUE: Code = Code("RD-2002");
/// A word is not in the rule's look-up table.
pub const NOT_IN_LOOKUP: Code = Code("RD-2003");
/// A template cannot be evaluated for this record.
pub const TEMPLATE_FAILED: Code = Code("RD-2004");
/// The source says nothing of the user's id at the target.
pub const NO_REMOTE_ID: Code = Code("RD-2005");
/// The user's id at the target cannot be one.
pub const BAD_REMOTE_ID: Code = Code("RD-2006");
/// The scope cannot be evaluated, or says neither true nor false.
pub const SCOPE_UNDECIDED: Code = Code("RD-2007");
/// Scope or remote id depend on a cell that cannot be believed.
pub const UNBELIEVED_COLUMN: Code = Code("RD-2008");

/// One reason, told without any content of the record.
pub(super) struct Trouble {
    code: Code,
    reason: HeldReason,
    attribute: Option<AttrPath>,
    column: Option<String>,
    why: String,
    hint: String,
}

impl Trouble {
    pub(super) fn bad_value(rule: &Rule, problem: &RuleProblem) -> Self {
        let path = &rule.path;
        let (code, hint) = match problem {
            RuleProblem::Value(_) => (BAD_VALUE, "correct the cell, or the rule that reads it"),
            RuleProblem::Empty => (EMPTY_VALUE, "fill the cell, or set `on_empty` to `keep`"),
            RuleProblem::NotInLookup => {
                (NOT_IN_LOOKUP, "add the word to the table, or set its `on_missing` to `keep`")
            }
            RuleProblem::Template(_) => (TEMPLATE_FAILED, "correct the template or the cells"),
        };
        Self {
            code,
            reason: HeldReason::BadValue,
            attribute: Some(path.clone()),
            // With several columns nobody knows which is at fault.
            column: match rule.columns() {
                [column] => Some(column.clone()),
                _ => None,
            },
            why: format!("`{path}` {problem}"),
            hint: format!("{hint} (`{}`)", rule_key(path.as_str())),
        }
    }

    pub(super) fn no_remote_id(column: Option<&str>) -> Self {
        let why = match column {
            Some(column) => format!("column `{column}` is empty, so the remote id is not known"),
            None => "the table of remote ids has no entry for this user".to_owned(),
        };
        Self {
            code: NO_REMOTE_ID,
            reason: HeldReason::NoRemoteId,
            attribute: None,
            column: column.map(str::to_owned),
            why,
            hint: "give the user's id at the target (`remote_id`)".to_owned(),
        }
    }

    pub(super) fn bad_remote_id(column: Option<&str>, problem: &str) -> Self {
        Self {
            code: BAD_REMOTE_ID,
            reason: HeldReason::BadValue,
            attribute: None,
            column: column.map(str::to_owned),
            why: format!("the remote id {problem}"),
            hint: "correct the user's id at the target (`remote_id`)".to_owned(),
        }
    }

    pub(super) fn scope_undecided(problem: &'static str) -> Self {
        Self {
            code: SCOPE_UNDECIDED,
            reason: HeldReason::BadValue,
            attribute: None,
            column: None,
            why: format!("`scope` does not decide about this user: {problem}"),
            hint: "correct `scope`, or the cells that it reads".to_owned(),
        }
    }

    /// `what` depends on the column.
    pub(super) fn unbelieved_column(column: &str, what: &str) -> Self {
        Self {
            code: UNBELIEVED_COLUMN,
            reason: HeldReason::BadReference,
            attribute: None,
            column: Some(column.to_owned()),
            why: format!("column `{column}` cannot be believed here, and {what} depends on it"),
            hint: "correct the reference in the source".to_owned(),
        }
    }

    pub(super) fn told(self, record: &Record) -> (Held, Finding) {
        let Self { code, reason, attribute, column, why, hint } = self;
        let held = Held {
            key: record.key.clone(),
            reason,
            attribute,
            line: Some(record.line),
            why: why.clone(),
            others_go: false,
            timer: None,
            sides: None,
        };
        let finding = Finding {
            severity: Severity::Held,
            code,
            place: Place { line: Some(record.line), column, ..Place::default() },
            message: why,
            hint,
            key: Some(record.key.clone()),
        };
        (held, finding)
    }
}
