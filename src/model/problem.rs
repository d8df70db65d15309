//! Problems of the configuration, and what an operator should be told about a target.

use std::fmt;

/// One problem of the configuration, with the key's full path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// `tenants.acme.quota`; empty when it concerns the file as a whole.
    pub key: String,
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Problem {
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: String::new() }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// The same problem one table further out.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let key = match (prefix.is_empty(), self.key.is_empty()) {
            (true, _) => self.key,
            (false, true) => prefix.to_owned(),
            (false, false) => format!("{prefix}.{}", self.key),
        };
        Self { key, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, message, hint } = self;
        if !key.is_empty() {
            write!(f, "`{key}`: ")?;
        }
        write!(f, "{message}")?;
        if !hint.is_empty() {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// What an operator should know about a target before it bites, told by `check`, `plan` and every
/// run: an announced sunset, say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    pub message: String,
    /// The configuration key to change and what to.
    pub hint: String,
    /// Nothing can be sent any more: the date has passed.
    pub refuses: bool,
}
