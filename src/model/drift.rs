//! What others do to accounts.

use super::Value;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What becomes of an attribute that somebody else changed at the target while the roster went on
/// wishing the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// The roster's value is sent again.
    #[default]
    Overwrite,
    /// What was set there stays, until the wish changes.
    Keep,
    /// The same, and every plan tells it.
    Hold,
}

/// An attribute that somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// What the roster wished when it was noticed. Another wish ends it.
    pub wish: Option<Value>,
    pub policy: OnDrift,
}

impl fmt::Display for OnDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overwrite => "overwrite",
            Self::Keep => "keep",
            Self::Hold => "hold",
        })
    }
}
