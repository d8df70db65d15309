//! A list of all users of a tenant, page by page.

use super::{Attributes, RemoteId};
use std::fmt;

/// Where the next page of a list is. Opaque: only the dialect that made it can read it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// Of the page, or of its first entry, as the API counts them.
    Number(u64),
    /// A word that the target gave.
    Word(String),
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In the order in which the target shows them.
    pub users: Vec<Listed>,
    /// Entries beside those, whose ids no roster could name.
    pub unnamed: u64,
    /// `None`: this page was the last one.
    pub next: Option<Cursor>,
    /// How many entries all pages together have, where the target says so.
    pub total: Option<u64>,
}

/// One user as a list shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub remote_id: RemoteId,
    pub attributes: Attributes,
}

impl Cursor {
    /// Longest word that is taken from a target, in bytes.
    pub const WORD_MAX: usize = 4096;

    /// `None`: no target means that by it.
    #[must_use]
    pub fn word(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::WORD_MAX;
        (fits && !text.chars().any(char::is_control)).then(|| Self::Word(text.to_owned()))
    }
}

/// A word may hold anything, a user's name or a secret among them.
impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "Cursor({number})"),
            Self::Word(word) => write!(f, "Cursor({} bytes)", word.len()),
        }
    }
}
