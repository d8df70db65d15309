//! What a target API offers: declared by its dialect, obeyed by the mapping and the planner.

use super::{AttrPath, Edit, Value};
use std::collections::BTreeMap;

/// What one target API offers.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// Every attribute that a PATCH may set, by path.
    pub attributes: BTreeMap<AttrPath, Attribute>,
    /// Attributes that travel together.
    pub groups: Vec<Group>,
    /// The API offers a read of one user.
    pub read: bool,
    pub life: Life,
}

/// What an API offers besides changing accounts whose id is known. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Attributes by whose exact value users can be looked up, in one request each, the best first.
    /// They need not be among [`Capabilities::attributes`].
    pub finds: Vec<AttrPath>,
    pub create: Option<Creation>,
    pub switch: Option<Switch>,
    /// Accounts can be taken away for good.
    pub delete: bool,
}

/// How the API makes an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// Attributes that a new account must have.
    pub mandatory: Vec<AttrPath>,
}

/// How the API switches an account off and on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// A flag that a read shows: false where the account is off.
    pub path: AttrPath,
    /// Switching off loses what switching on does not bring back.
    pub destroys: bool,
}

/// One writable attribute.
#[derive(Clone, Debug)]
pub struct Attribute {
    pub kind: Kind,
    /// Longest text in characters (Unicode scalar values); `None`: no documented limit.
    pub max_chars: Option<usize>,
    /// The API documents a way to unset it.
    pub clearable: bool,
    /// The answer to a PATCH shows it, so that no read-back is needed.
    pub shown_in_answer: bool,
    pub weight: Weight,
    /// Set to false, the user can do nothing there any more.
    pub disables: bool,
}

impl Attribute {
    /// A text without a documented limit, shown in the answer, not clearable.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            max_chars: None,
            clearable: false,
            shown_in_answer: true,
            weight: Weight::Plain,
            disables: false,
        }
    }

    #[must_use]
    pub fn max_chars(self, max_chars: usize) -> Self {
        Self { max_chars: Some(max_chars), ..self }
    }

    #[must_use]
    pub fn clearable(self) -> Self {
        Self { clearable: true, ..self }
    }

    #[must_use]
    pub fn not_shown_in_answer(self) -> Self {
        Self { shown_in_answer: false, ..self }
    }

    #[must_use]
    pub fn weight(self, weight: Weight) -> Self {
        Self { weight, ..self }
    }

    #[must_use]
    pub fn disables(self) -> Self {
        Self { disables: true, ..self }
    }
}

/// What an attribute's value must look like, by the API's own document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// RFC 5322 addr-spec.
    Email,
    /// E.164: `+`, then 2 to 15 digits, the first not 0.
    Phone,
    /// ISO 3166-1 alpha-2, upper case.
    Country,
    /// `{ISO 639}-{ISO 3166}`, lower case: `en-us`.
    Locale,
    /// ISO 8601 calendar date, `2007-12-20`.
    Date,
    /// RFC 3339 instant.
    DateTime,
    /// IANA time zone name.
    TimeZone,
    /// An absolute http or https URL.
    Link,
    Flag,
    /// A whole number between the bounds, both included.
    Integer {
        min: i64,
        max: i64,
    },
    Decimal,
    /// One of these texts, spelled exactly so.
    Choice(Vec<String>),
    /// One of these numbers.
    Number(Vec<i64>),
    /// 8-4-4-4-12 hexadecimal digits, any version.
    Uuid,
    /// A set whose members are all of this kind.
    SetOf(Box<Self>),
}

/// How carefully a change of the attribute is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Plain,
    /// People log in or are found by it: user name, e-mail.
    KeyLike,
    /// Decides what the user may do: a role, the owning organization, `active`.
    Privilege,
}

/// Attributes below one parent object, of which `mandatory` must be present whenever one of
/// `members` is sent, and the rest go along as known, since no document says that an omitted member
/// is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The parent object, for messages: `_name`.
    pub parent: String,
    /// All members, the mandatory ones included.
    pub members: Vec<AttrPath>,
    pub mandatory: Vec<AttrPath>,
}

impl Capabilities {
    /// The edit switches the user off.
    #[must_use]
    pub fn disables(&self, edit: &Edit) -> bool {
        edit.after == Some(Value::Flag(false)) && self.is_switch(&edit.path)
    }

    /// Set to false, that attribute switches the user off.
    #[must_use]
    pub fn is_switch(&self, path: &AttrPath) -> bool {
        self.attributes.get(path).is_some_and(|attribute| attribute.disables)
            || self.life.switch.as_ref().is_some_and(|switch| switch.path == *path)
    }

    /// The group that the attribute belongs to.
    #[must_use]
    pub fn group_of(&self, path: &AttrPath) -> Option<&Group> {
        self.groups.iter().find(|group| group.members.contains(path))
    }
}
