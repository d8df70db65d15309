//! Identifiers. Each is a newtype whose `parse` is the only way in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an identifier of the wanted kind. Never carries the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdProblem {
    #[error("is empty")]
    Empty,
    #[error("is longer than {0} characters")]
    TooLong(usize),
    #[error("has a character that is not allowed there")]
    Character,
    #[error("is a reserved word, which would address something other than one user")]
    Reserved,
}

/// Name of a tenant or a source in the configuration: `[a-z][a-z0-9_]*`, at most 63 characters, so
/// that it can stand in a file name and in the name of an environment variable.
fn parse_name(text: &str) -> Result<String, IdProblem> {
    if text.is_empty() {
        return Err(IdProblem::Empty);
    }
    if text.len() > 63 {
        return Err(IdProblem::TooLong(63));
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(inner) {
        return Err(IdProblem::Character);
    }
    Ok(text.to_owned())
}

/// One customer account in one target API: the unit of quota, of failure and of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct TenantId(String);

impl TenantId {
    /// # Errors
    /// When the text is not `[a-z][a-z0-9_]*` of at most 63 characters.
    pub fn parse(text: &str) -> Result<Self, IdProblem> {
        parse_name(text).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One HR export: the unit of reading and of scheduling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SourceId(String);

impl SourceId {
    /// # Errors
    /// When the text is not `[a-z][a-z0-9_]*` of at most 63 characters.
    pub fn parse(text: &str) -> Result<Self, IdProblem> {
        parse_name(text).map(Self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One run of the pipeline; sorts by time (UUID version 7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunId(String);

impl RunId {
    /// # Errors
    /// When the text is not a UUID.
    pub fn parse(text: &str) -> Result<Self, IdProblem> {
        let id = uuid::Uuid::parse_str(text).map_err(|_| IdProblem::Character)?;
        Ok(Self(id.to_string()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The immutable identifier of a person in the source (an employee id, never the e-mail address),
/// already trimmed, folded and in NFC. Personal: `Debug` hides it, `Display` is for reports.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserKey(String);

impl UserKey {
    /// Longest key, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// # Errors
    /// When the text is empty, longer than [`Self::MAX_BYTES`] or holds a control character.
    pub fn parse(text: &str) -> Result<Self, IdProblem> {
        if text.is_empty() {
            return Err(IdProblem::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(IdProblem::TooLong(Self::MAX_BYTES));
        }
        if text.chars().any(char::is_control) {
            return Err(IdProblem::Character);
        }
        Ok(Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// By which the user is found in an index, without its key being held there.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([Some(self.as_str())])
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserKey(…)")
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user's identifier at the target: opaque, and from an allow-list, because it becomes a path
/// segment and `..`, `me` or `a/b` would address something else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteId(String);

impl RemoteId {
    pub const MAX_CHARS: usize = 128;
    /// Words that APIs give a meaning of their own in the place of a user id, in any capitals. The
    /// likes of `$metadata`, `.search` and `..` have a character that no id begins with.
    const RESERVED: [&str; 20] = [
        "all",
        "batch",
        "bulk",
        "count",
        "current",
        "groups",
        "invite",
        "me",
        "metadata",
        "myself",
        "new",
        "null",
        "resourcetypes",
        "schemas",
        "search",
        "self",
        "serviceproviderconfig",
        "undefined",
        "users",
        "whoami",
    ];

    /// # Errors
    /// When the text is not `[A-Za-z0-9][A-Za-z0-9._@+=~-]{0,127}` or is a reserved word.
    pub fn parse(text: &str) -> Result<Self, IdProblem> {
        if text.is_empty() {
            return Err(IdProblem::Empty);
        }
        if text.len() > Self::MAX_CHARS {
            return Err(IdProblem::TooLong(Self::MAX_CHARS));
        }
        let allowed = |byte: u8| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'.' | b'_' | b'@' | b'+' | b'=' | b'~' | b'-')
        };
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.bytes().all(allowed) {
            return Err(IdProblem::Character);
        }
        if Self::RESERVED.iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Err(IdProblem::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// One spelling for all that mean the same: a UUID in small letters (RFC 9562 §4), anything else
    /// as it is.
    #[must_use]
    pub fn folded(&self) -> Self {
        let hex = self.0.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        let is_uuid = hex && self.0.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        if is_uuid { Self(self.0.to_ascii_lowercase()) } else { self.clone() }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteId(…)")
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An attribute's path in the target's own spelling: `title`, `_name.firstName`,
/// `emails[type eq "work"].value`. Comes from a dialect's catalogue or the configuration only,
/// never from data, so it is not personal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttrPath(String);

impl AttrPath {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits that stand for a row, a key or a mapping (XXH3). Two different rows of a million collide
/// with a probability of about 10^-27.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// Of a list of texts, lengths included, so that `["7", "12"]` and `["71", "2"]` differ.
    /// `None` (an absent column) differs from an empty text.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut bytes = Vec::new();
        for text in texts {
            Self::put_length(text.map(str::len), &mut |byte| bytes.push(byte));
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
        Self::of_bytes(&bytes)
    }

    /// What stands before a text among those that are hashed together: its length and one, seven
    /// bits a byte, the lowest first, the top bit meaning that more follow; zero for an absent text.
    #[inline]
    pub fn put_length(length: Option<usize>, put: &mut impl FnMut(u8)) {
        let mut rest = length.map_or(0, |length| length as u64 + 1);
        while rest > 0x7f {
            put(0x80 | u8::try_from(rest & 0x7f).unwrap_or_default());
            rest >>= 7;
        }
        put(u8::try_from(rest).unwrap_or_default());
    }

    /// Of bytes as they are.
    #[inline]
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(bytes))
    }

    /// Both together, in this order: a row under a mapping.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.0.to_le_bytes());
        bytes[16..].copy_from_slice(&other.0.to_le_bytes());
        Self(xxhash_rust::xxh3::xxh3_128(&bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g08_remote_ids_that_would_address_something_else_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", "a?b", "a#b", "%2e%2e", "a\\b", "a;b", "a\nb"] {
            assert!(RemoteId::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["me", "Me", "self", "$metadata", ".search", "a\0b", "é"] {
            assert!(RemoteId::parse(bad).is_err(), "{bad:?}");
        }
        for word in RemoteId::RESERVED {
            for bad in [word.to_owned(), word.to_uppercase(), word[..1].to_uppercase() + &word[1..]]
            {
                assert_eq!(RemoteId::parse(&bad), Err(IdProblem::Reserved), "{bad:?}");
            }
            assert!(RemoteId::parse(&format!("{word}1")).is_ok(), "{word}");
        }
        assert!(RemoteId::parse(&"a".repeat(129)).is_err());
        assert!(RemoteId::parse("V1ZVd2VyFzU3NiQ1NDA4NjIzNzk2MjD").is_ok());
        assert!(RemoteId::parse("jane.smith@example.com").is_ok());
    }

    #[test]
    fn debug_of_a_key_and_of_a_remote_id_shows_nothing_of_it() {
        let key = UserKey::parse("E00017").unwrap();
        let remote = RemoteId::parse("jane").unwrap();
        assert_eq!(format!("{key:?} {remote:?}"), "UserKey(…) RemoteId(…)");
    }

    #[test]
    fn a_value_that_moves_across_a_cell_border_changes_the_fingerprint() {
        let a = Fingerprint::of([Some("7"), Some("12"), Some("34")]);
        assert_ne!(a, Fingerprint::of([Some("7"), Some("1"), Some("234")]));
        assert_ne!(Fingerprint::of([Some("")]), Fingerprint::of([None]));
    }
}
