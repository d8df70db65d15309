//! A tenant's settings: read one by one, all problems kept, told together.

use super::Base;
use crate::{
    dialect::Settings,
    model::{INTEGER_MAX, Kind, Problem, Reach},
};
use serde_json::{Map, Value as Json};

/// One table of settings while it is being read.
pub(crate) struct Table<'a> {
    map: &'a Map<String, Json>,
    reach: Reach,
    problems: Vec<Problem>,
}

impl<'a> Table<'a> {
    /// `keys`: every key that may stand in the table.
    pub(crate) fn of(settings: &'a Settings, keys: &[&str]) -> Self {
        let Settings { table, reach } = settings;
        Self { reach: *reach, ..Self::inner(table, keys) }
    }

    /// A table within the table.
    pub(crate) fn inner(map: &'a Map<String, Json>, keys: &[&str]) -> Self {
        let unknown = map.keys().filter(|key| !keys.contains(&key.as_str()));
        let problems = unknown.map(|key| unknown_key(key, keys)).collect();
        Self { map, reach: Reach::default(), problems }
    }

    pub(crate) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Json> {
        self.map.get(key)
    }

    /// The text, if there is one.
    pub(crate) fn text(&mut self, key: &str) -> Option<&'a str> {
        let value = self.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.report(Problem::new(key, "must be a text in quotes"));
        }
        text
    }

    pub(crate) fn required_text(&mut self, key: &str) -> Option<&'a str> {
        if self.get(key).is_none() {
            self.report(Problem::new(key, "is missing"));
        }
        self.text(key)
    }

    /// The flag, or false.
    pub(crate) fn flag(&mut self, key: &str) -> Option<bool> {
        let Some(value) = self.get(key) else { return Some(false) };
        let flag = value.as_bool();
        if flag.is_none() {
            self.report(Problem::new(key, "must be `true` or `false`, without quotes"));
        }
        flag
    }

    pub(crate) fn integer(&mut self, key: &str, default: i64) -> Option<i64> {
        let Some(value) = self.get(key) else { return Some(default) };
        let number = value.as_i64();
        if number.is_none() {
            self.report(Problem::new(key, "must be a whole number, without quotes"));
        }
        number
    }

    /// A whole number between `min` and `max`, where they are there.
    pub(crate) fn integer_kind(&mut self) -> Option<Kind> {
        let (min, max) = (self.integer("min", -INTEGER_MAX), self.integer("max", INTEGER_MAX));
        let (min, max) = min.zip(max)?;
        if min > max {
            self.report(Problem::new("min", "is above `max`"));
            return None;
        }
        Some(Kind::Integer { min, max })
    }

    /// One of `values`, or any text where there are none.
    pub(crate) fn text_kind(&mut self) -> Option<Kind> {
        let Some(values) = self.get("values") else { return Some(Kind::Text) };
        let texts = values.as_array().and_then(|values| {
            values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            self.report(Problem::new("values", "must be a list of texts, at least one"));
        }
        texts.map(Kind::Choice)
    }

    pub(crate) fn required_uuid(&mut self, key: &str) -> Option<&'a str> {
        let text = self.required_text(key)?;
        if is_uuid(text) {
            return Some(text);
        }
        let form = "must be a UUID: 8, 4, 4, 4 and 12 hexadecimal digits";
        self.report(Problem::new(key, form).hint("the vendor's administration pages show it"));
        None
    }

    /// One of the texts, or the first of them when the key is absent.
    pub(crate) fn choice(&mut self, key: &str, allowed: &[&'static str]) -> Option<&'static str> {
        if self.get(key).is_none() {
            return allowed.first().copied();
        }
        let text = self.text(key)?;
        let found = allowed.iter().copied().find(|&candidate| candidate == text);
        if found.is_none() {
            self.report(Problem::new(key, "is not one of its values").hint(choose(text, allowed)));
        }
        found
    }

    pub(crate) fn base_url(&mut self) -> Option<Base> {
        let text = self.required_text("base_url")?;
        match Base::parse(text, self.reach) {
            Ok(base) => Some(base),
            Err(problem) => {
                let hint = "write the address that the API's requests start with, https included";
                self.report(Problem::new("base_url", problem).hint(hint));
                None
            }
        }
    }

    /// The base of one of the vendor's named `places`, chosen by `key`, or `base_url` instead.
    pub(crate) fn place_or_base_url(
        &mut self,
        key: &str,
        places: &[(&'static str, &'static str)],
    ) -> Option<Base> {
        let names: Vec<_> = places.iter().map(|&(name, _)| name).collect();
        // An empty text is how an environment variable takes back what the file says.
        let place = self.get(key).is_some_and(|value| value.as_str() != Some(""));
        match (place, self.get("base_url").is_some()) {
            (false, true) => self.base_url(),
            (true, false) => {
                let chosen = self.choice(key, &names)?;
                let (_, address) = places.iter().find(|&&(name, _)| name == chosen)?;
                Base::parse(address, Reach::default()).ok()
            }
            (true, true) => {
                let message = "stands beside `base_url`, and only one of them can hold";
                self.report(Problem::new(key, message).hint("remove one of the two"));
                None
            }
            (false, false) => {
                let hint = format!("one of {}; or give `base_url` instead", quoted(&names));
                self.report(Problem::new(key, "is missing").hint(hint));
                None
            }
        }
    }

    /// What was read, or every problem that was met. `value` is `None` only when one was reported.
    pub(crate) fn close<T>(mut self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                self.problems.sort();
                Err(self.problems)
            }
        }
    }
}

/// 8-4-4-4-12 hexadecimal digits; neither version nor variant is looked at, since the vendors' own
/// examples do not keep to RFC 9562.
pub(crate) fn is_uuid(text: &str) -> bool {
    let hex = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    hex && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

fn unknown_key(key: &str, keys: &[&str]) -> Problem {
    Problem::new(key, "is not a setting of this API").hint(choose(key, keys))
}

/// "did you mean `a`?", or all there is to choose from.
fn choose(text: &str, allowed: &[&str]) -> String {
    match nearest(text, allowed) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("choose from {}", quoted(allowed)),
    }
}

/// The one that a slip of the fingers could have meant: at most a third of it differs.
fn nearest<'a>(text: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&text, &name.to_lowercase());
    let (found, name) = allowed.iter().map(|&name| (distance(name), name)).min()?;
    (found <= (name.chars().count() / 3).max(1)).then_some(name)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
