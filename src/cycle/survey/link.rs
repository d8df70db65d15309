//! Finding in a list the accounts of users of whom nobody knows theirs.

use crate::model::{AttrPath, Attributes, Listed, Value, Wanted};
use std::collections::{BTreeMap, HashMap};

/// A user and the number of the one entry that answers to what the user is looked for by.
pub(super) struct Found<'a> {
    pub(super) user: &'a Wanted,
    pub(super) entry: usize,
    pub(super) by: AttrPath,
}

/// Each user's account by the first of the attributes to which any entry answers. Left out are users
/// to whom several answer, and entries that answer to several: the next run looks for those itself,
/// and tells. `entries`: those that nobody has yet.
pub(super) fn find<'a>(
    users: &[&'a Wanted],
    by: &[AttrPath],
    entries: &[Listed],
) -> Vec<Found<'a>> {
    let indices: Vec<(&AttrPath, HashMap<String, Vec<usize>>)> =
        by.iter().map(|path| (path, index(path, entries))).collect();
    let mut claims: BTreeMap<usize, Vec<Found<'a>>> = BTreeMap::new();
    for user in users {
        let answers = |(path, index): &(&AttrPath, HashMap<String, Vec<usize>>)| {
            let numbers = index.get(&word(&user.attributes, path)?)?.clone();
            Some(((*path).clone(), numbers))
        };
        if let Some((by, numbers)) = indices.iter().find_map(answers)
            && let [entry] = numbers[..]
        {
            claims.entry(entry).or_default().push(Found { user, entry, by });
        }
    }
    let single = claims.into_values().filter(|claimants| claimants.len() == 1);
    single.flatten().collect()
}

fn index(path: &AttrPath, entries: &[Listed]) -> HashMap<String, Vec<usize>> {
    let mut index: HashMap<String, Vec<usize>> = HashMap::new();
    for (number, entry) in entries.iter().enumerate() {
        if let Some(word) = word(&entry.attributes, path) {
            index.entry(word).or_default().push(number);
        }
    }
    index
}

/// As look-ups compare: whatever the capitals (RFC 7643 §4.1.1 says so of `userName`).
fn word(attributes: &Attributes, path: &AttrPath) -> Option<String> {
    match attributes.get(path)?.as_ref()? {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(text.to_lowercase()),
        value => Some(value.to_json().to_string()),
    }
}
