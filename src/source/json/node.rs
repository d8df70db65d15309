//! A JSON value as it was written.

use std::fmt;

/// Numbers keep their text, so that an id beyond 2^53 stays what it is; members keep their order, and
/// no name comes twice.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    Null,
    Flag(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Node {
    /// A member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => {
                members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
            }
            Self::Null | Self::Flag(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// As one cell; `None` for a list or an object.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Null => Some(""),
            Self::Flag(true) => Some("true"),
            Self::Flag(false) => Some("false"),
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::List(_) | Self::Object(_) => None,
        }
    }

    /// What it is, with an article.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "a null",
            Self::Flag(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Values are personal.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}
