//! Finding in a list the accounts of users of whom nobody knows theirs.

use crate::model::{AttrPath, Attributes, Listed, Value, Wanted};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a list says of users of whom nobody knows the account. Whom no entry answers to is in none of
/// the three.
#[derive(Default)]
pub(super) struct Search<'a> {
    pub(super) found: Vec<Found<'a>>,
    /// To whom several entries answer, and how many.
    pub(super) several: Vec<(&'a Wanted, usize)>,
    /// To whom an entry answers that is somebody else's, or that answers to another of them as well.
    pub(super) taken: Vec<&'a Wanted>,
}

/// A user and the number of the one entry that answers to what the user is looked for by.
pub(super) struct Found<'a> {
    pub(super) user: &'a Wanted,
    pub(super) entry: usize,
    pub(super) by: AttrPath,
}

/// Each user's account by the first of the attributes to which any entry answers, as look-ups do it
/// one by one. `free`: numbers of the entries that nobody has yet.
pub(super) fn search<'a>(
    users: &[&'a Wanted],
    by: &[AttrPath],
    entries: &[Listed],
    free: &BTreeSet<usize>,
) -> Search<'a> {
    let mut search = Search::default();
    if users.is_empty() {
        return search;
    }
    let indices: Vec<(&AttrPath, HashMap<String, Vec<usize>>)> =
        by.iter().map(|path| (path, index(path, entries))).collect();
    let mut claims: BTreeMap<usize, Vec<Found<'a>>> = BTreeMap::new();
    for user in users {
        let answers = |(path, index): &(&AttrPath, HashMap<String, Vec<usize>>)| {
            let numbers = index.get(&word(&user.attributes, path)?)?.clone();
            Some(((*path).clone(), numbers))
        };
        let Some((by, numbers)) = indices.iter().find_map(answers) else { continue };
        match numbers[..] {
            [entry] if free.contains(&entry) => {
                claims.entry(entry).or_default().push(Found { user, entry, by });
            }
            [_] => search.taken.push(user),
            _ => search.several.push((user, numbers.len())),
        }
    }
    for claimants in claims.into_values() {
        let single = claimants.len() == 1;
        for found in claimants {
            if single {
                search.found.push(found);
            } else {
                search.taken.push(found.user);
            }
        }
    }
    search
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Fingerprint, RemoteId, UserKey};

    const NAMES: [&str; 2] = ["externalId", "userName"];

    /// Empty texts are left out.
    fn attributes(texts: [&str; 2]) -> Attributes {
        let texts = NAMES.into_iter().zip(texts).filter(|(_, text)| !text.is_empty());
        texts.map(|(name, text)| (AttrPath::new(name), Some(Value::text(text)))).collect()
    }

    fn user(key: &str, texts: [&str; 2]) -> Wanted {
        Wanted {
            key: UserKey::parse(key).unwrap(),
            remote_id: None,
            attributes: attributes(texts),
            withheld: Vec::new(),
            references: BTreeMap::new(),
            line: 2,
            fingerprint: Fingerprint::default(),
        }
    }

    /// What is said of each user, in the order of the keys: `1 by userName`, `2 answer`, `taken`.
    fn told(users: &[Wanted], entries: &[[&str; 2]], free: &[usize]) -> Vec<String> {
        let entry = |(number, texts): (usize, &[&str; 2])| Listed {
            remote_id: RemoteId::parse(&format!("u{number}")).unwrap(),
            attributes: attributes(*texts),
        };
        let entries: Vec<Listed> = entries.iter().enumerate().map(entry).collect();
        let users: Vec<&Wanted> = users.iter().collect();
        let free = free.iter().copied().collect();
        let Search { found, several, taken } =
            search(&users, &NAMES.map(AttrPath::new), &entries, &free);
        let found = found.iter().map(|f| (&f.user.key, format!("{} by {}", f.entry, f.by)));
        let several = several.iter().map(|(user, count)| (&user.key, format!("{count} answer")));
        let taken = taken.iter().map(|user| (&user.key, "taken".to_owned()));
        let told: BTreeMap<&UserKey, String> = found.chain(several).chain(taken).collect();
        told.into_values().collect()
    }

    #[test]
    fn the_first_attribute_that_any_account_answers_to_decides() {
        let entries = [["E1", "ann"], ["", "BOB"], ["E1x", "ann"]];
        let of = |texts| told(&[user("a", texts)], &entries, &[0, 1, 2]);
        assert_eq!(of(["e1", "bob"]), ["0 by externalId"]);
        assert_eq!(of(["E9", "bob"]), ["1 by userName"]);
        assert_eq!(of(["", "Bob"]), ["1 by userName"]);
        assert_eq!(of(["E9", "Ann"]), ["2 answer"]);
        assert_eq!(of(["E9", "nobody"]), [""; 0]);
        assert_eq!(of(["", ""]), [""; 0], "who has nothing is not found by having nothing");
    }

    #[test]
    fn an_account_of_somebody_else_is_nobodys_second_choice_either() {
        let entries = [["E1", "ann"], ["E2", "bob"]];
        assert_eq!(told(&[user("a", ["E1", "bob"])], &entries, &[1]), ["taken"]);
        let both = [user("a", ["E1", ""]), user("b", ["", "ANN"])];
        assert_eq!(told(&both, &entries, &[0, 1]), ["taken", "taken"]);
        let twins = [["E1", "ann"], ["E1", "bob"]];
        assert_eq!(told(&[user("a", ["E1", "bob"])], &twins, &[0, 1]), ["2 answer"]);
    }
}
