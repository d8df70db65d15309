//! One compiled rule: from a record to one attribute's wish.

use super::{
    settings::{Case, OnEmpty, OnMissing},
    template::Texts,
};
use crate::{
    engine::value_rules::{Forms, ValueProblem, normalise, read_value},
    model::{AttrPath, Kind, OnDrift, Record, RemoteId, UNKNOWN_CELL, UserKey, Value},
};
use std::{borrow::Cow, collections::BTreeMap};

#[derive(Clone)]
pub(super) struct Rule {
    pub(super) path: AttrPath,
    pub(super) kind: Kind,
    pub(super) max_chars: Option<usize>,
    pub(super) source: Source,
    pub(super) split: Option<String>,
    /// The cell is another user's key.
    pub(super) reference: bool,
    pub(super) lookup: Option<Lookup>,
    pub(super) on_empty: OnEmpty,
    pub(super) optional: bool,
    pub(super) case: Option<Case>,
    pub(super) on_drift: OnDrift,
    pub(super) forms: Forms,
}

#[derive(Clone)]
pub(super) enum Source {
    Column(String),
    Constant(Value),
    /// The template is kept in [`super::template::Templates`] under the attribute's path.
    Template {
        columns: Vec<String>,
    },
}

/// Keys are normalised and in the rule's case, values are normalised.
#[derive(Clone)]
pub(super) struct Lookup {
    pub(super) table: BTreeMap<String, String>,
    pub(super) on_missing: OnMissing,
}

/// What one rule says of one user.
pub(super) enum Wish {
    /// This value; `None`: unset.
    Value(Option<Value>),
    /// The id of that user's account.
    Reference(UserKey),
    /// Nothing is said: the attribute stays as it is.
    Untouched,
    /// What is said cannot be believed: the attribute stays as it is, and that is told.
    Withheld,
}

/// Why a rule gives no value. Never holds the record's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RuleProblem {
    #[error(transparent)]
    Value(#[from] ValueProblem),
    #[error("is empty, and the rule takes that as an error")]
    Empty,
    #[error("is not in the look-up table")]
    NotInLookup,
    #[error("has a template that fails: {0}")]
    Template(&'static str),
}

impl Rule {
    pub(super) fn columns(&self) -> &[String] {
        match &self.source {
            Source::Column(column) => std::slice::from_ref(column),
            Source::Constant(_) => &[],
            Source::Template { columns } => columns,
        }
    }

    pub(super) fn wish(&self, record: &Record, texts: &Texts<'_>) -> Result<Wish, RuleProblem> {
        if self.columns().iter().any(|column| record.unusable.contains(column)) {
            return Ok(Wish::Withheld);
        }
        if self.columns().iter().any(|column| !record.fields.contains(column)) {
            return Ok(if self.optional { Wish::Untouched } else { Wish::Withheld });
        }
        let unknown = |column: &String| record.fields.get(column) == Some(UNKNOWN_CELL);
        if self.columns().iter().any(unknown) {
            return Ok(Wish::Untouched);
        }
        match &self.source {
            Source::Column(column) if self.reference => {
                self.refer(&normalise(record.fields.get(column).unwrap_or_default()))
            }
            Source::Column(column) => {
                self.read(&normalise(record.fields.get(column).unwrap_or_default()))
            }
            Source::Constant(value) => Ok(Wish::Value(Some(value.clone()))),
            Source::Template { .. } => {
                let text = texts.render(&self.path).map_err(RuleProblem::Template)?;
                self.read(&normalise(&text))
            }
        }
    }

    fn read(&self, text: &str) -> Result<Wish, RuleProblem> {
        let mut values = Vec::new();
        for member in self.members(text) {
            let Some(word) = self.word(member)? else { return Ok(Wish::Untouched) };
            if !word.is_empty() {
                values.push(read_value(self.member_kind(), self.max_chars, &word, &self.forms)?);
            }
        }
        match (&self.kind, values.pop()) {
            (_, None) => self.empty(),
            (Kind::SetOf(_), Some(last)) => {
                values.push(last);
                Ok(Wish::Value(Some(Value::set(values))))
            }
            (_, Some(only)) => Ok(Wish::Value(Some(only))),
        }
    }

    fn refer(&self, text: &str) -> Result<Wish, RuleProblem> {
        if text.is_empty() {
            return self.empty();
        }
        let key = UserKey::parse(in_case(text, self.case).as_ref());
        Ok(key.map_or(Wish::Withheld, Wish::Reference))
    }

    /// That user's id as a value; `None`: the attribute cannot hold it.
    pub(super) fn value_of(&self, id: &RemoteId) -> Option<Value> {
        read_value(&self.kind, self.max_chars, id.as_str(), &self.forms).ok()
    }

    /// Without the empty ones.
    fn members<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let members: Vec<_> = match &self.split {
            Some(separator) => text.split(separator.as_str()).map(str::trim).collect(),
            None => vec![text],
        };
        members.into_iter().filter(|member| !member.is_empty())
    }

    fn member_kind(&self) -> &Kind {
        match &self.kind {
            Kind::SetOf(member) => member,
            kind => kind,
        }
    }

    /// The target's word for the source's; `None`: nothing is said.
    fn word<'a>(&'a self, text: &'a str) -> Result<Option<Cow<'a, str>>, RuleProblem> {
        let text = in_case(text, self.case);
        let Some(Lookup { table, on_missing }) = &self.lookup else { return Ok(Some(text)) };
        match (table.get(text.as_ref()), on_missing) {
            (Some(found), _) => Ok(Some(Cow::Borrowed(found))),
            (None, OnMissing::Keep) => Ok(None),
            (None, OnMissing::Error) => Err(RuleProblem::NotInLookup),
        }
    }

    fn empty(&self) -> Result<Wish, RuleProblem> {
        match self.on_empty {
            OnEmpty::Keep => Ok(Wish::Untouched),
            OnEmpty::Clear if matches!(self.kind, Kind::SetOf(_)) => {
                Ok(Wish::Value(Some(Value::Set(std::collections::BTreeSet::new()))))
            }
            OnEmpty::Clear => Ok(Wish::Value(None)),
            OnEmpty::Error => Err(RuleProblem::Empty),
        }
    }
}

/// In that case and in normal form again, which a change of case can leave.
pub(super) fn in_case(text: &str, case: Option<Case>) -> Cow<'_, str> {
    match case {
        None => Cow::Borrowed(text),
        Some(Case::Lower) => Cow::Owned(normalise(&text.to_lowercase()).into_owned()),
        Some(Case::Upper) => Cow::Owned(normalise(&text.to_uppercase()).into_owned()),
    }
}
