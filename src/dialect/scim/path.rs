//! Attribute paths of a `PatchOp`, read and written by one pair of functions.
//!
//! RFC 7644 §3.5.2 has `attrPath / valuePath [subAttr]`, and §3.10 the name of a schema before them:
//! `userName`, `name.givenName`, `emails[type eq "work"].value`,
//! `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value`. Of filters only the
//! one that chooses values of a list is known: a name, `eq`, and a text.

use std::fmt;

/// One attribute, wherever it stands in a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    /// URN of an extension; `None`: the core schema.
    pub(super) schema: Option<String>,
    pub(super) attribute: String,
    pub(super) filter: Option<Filter>,
    pub(super) sub: Option<String>,
}

/// Chooses the values of a list that have that text under that name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) value: String,
}

impl Path {
    /// # Errors
    /// A fragment that says what is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (head, rest) = match text.find('[') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let (schema, attribute) = split_schema(head)?;
        let Some(rest) = rest else {
            let (attribute, sub) = match attribute.split_once('.') {
                Some((attribute, sub)) => (attribute, Some(sub)),
                None => (attribute, None),
            };
            return Self { schema, attribute: attribute.to_owned(), filter: None, sub: None }
                .with_sub(sub);
        };
        let (filter, rest) = parse_filter(rest)?;
        let sub = match rest {
            "" => None,
            rest => Some(rest.strip_prefix('.').ok_or("has something after its filter")?),
        };
        Self { schema, attribute: attribute.to_owned(), filter: Some(filter), sub: None }
            .with_sub(sub)
    }

    fn with_sub(mut self, sub: Option<&str>) -> Result<Self, &'static str> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
                && name[1..].chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        };
        if !is_name(&self.attribute) || !sub.is_none_or(is_name) {
            return Err("has a name that is none: a letter, then letters, digits, `-` and `_`");
        }
        self.sub = sub.map(str::to_owned);
        Ok(self)
    }

    /// The attribute as a whole: `emails` of `emails[type eq "work"].value`.
    pub(super) fn top(&self) -> Self {
        Self { filter: None, sub: None, ..self.clone() }
    }

    /// The value as a whole: `emails[type eq "work"]` of `emails[type eq "work"].value`.
    pub(super) fn element(&self) -> Self {
        Self { sub: None, ..self.clone() }
    }
}

/// RFC 7644 §3.10: the last colon ends the schema's name, which may have dots of its own.
fn split_schema(head: &str) -> Result<(Option<String>, &str), &'static str> {
    match head.rsplit_once(':') {
        None => Ok((None, head)),
        Some((schema, attribute)) => {
            let mut parts = schema.split(':');
            let is_urn = parts.next().is_some_and(|first| first.eq_ignore_ascii_case("urn"));
            let plain = |c: char| c.is_ascii_graphic() && !"\"[]\\".contains(c);
            let rest: Vec<&str> = parts.collect();
            if is_urn
                && rest.len() >= 2
                && rest.iter().all(|p| !p.is_empty() && p.chars().all(plain))
            {
                Ok((Some(schema.to_owned()), attribute))
            } else {
                Err("has a colon, and what is before it is no URN of a schema")
            }
        }
    }
}

const NO_FILTER: &str = "has a filter other than `[name eq \"text\"]`";

fn parse_filter(text: &str) -> Result<(Filter, &str), &'static str> {
    let (name, rest) = text.trim_start().split_once(' ').ok_or(NO_FILTER)?;
    let (operator, rest) = rest.trim_start().split_once(' ').ok_or(NO_FILTER)?;
    // RFC 7644 §3.4.2.2: names and operators ignore case.
    if !operator.eq_ignore_ascii_case("eq") || name.is_empty() {
        return Err(NO_FILTER);
    }
    let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let value = texts.next().and_then(Result::ok).ok_or(NO_FILTER)?;
    let rest = rest[texts.byte_offset()..].trim_start().strip_prefix(']').ok_or(NO_FILTER)?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "$-_".contains(c)) {
        return Err(NO_FILTER);
    }
    Ok((Filter { name: name.to_owned(), value }, rest))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, attribute, filter, sub } = self;
        if let Some(schema) = schema {
            write!(f, "{schema}:")?;
        }
        f.write_str(attribute)?;
        if let Some(filter) = filter {
            write!(f, "[{filter}]")?;
        }
        match sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

/// The only place where a value becomes part of a filter: RFC 7644 §3.4.2.2 has it as a JSON text,
/// whose escapes leave nothing that could end it.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value } = self;
        write!(f, "{name} eq {}", serde_json::Value::from(value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_of_a_path_is_read() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (text, schema, attribute, filter, sub) in [
            ("userName", None, "userName", None, None),
            ("name.givenName", None, "name", None, Some("givenName")),
            (r#"emails[type eq "work"].value"#, None, "emails", Some("work"), Some("value")),
            (r#"emails[type eq "work"]"#, None, "emails", Some("work"), None),
            ("manager.$ref", None, "manager", None, Some("$ref")),
        ] {
            for prefix in [None, Some(enterprise)] {
                let text = prefix.map_or(text.to_owned(), |urn| format!("{urn}:{text}"));
                let path = Path::parse(&text).unwrap();
                assert_eq!(path.schema.as_deref(), prefix.or(schema));
                assert_eq!((path.attribute.as_str(), path.sub.as_deref()), (attribute, sub));
                assert_eq!(path.filter.as_ref().map(|filter| filter.value.as_str()), filter);
                assert_eq!(path.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            ".",
            "a.",
            "a.b.c",
            "a b",
            "1a",
            "a[",
            "a[]",
            "a[b]",
            r#"a[b eq "c"#,
            r#"a[b eq "c""#,
            r#"a[b ne "c"]"#,
            r"a[b eq c]",
            r#"a[b eq "c" or d eq "e"]"#,
            r#"a[b eq "c"]d"#,
            r#"a[b eq "c"].d.e"#,
            "x:a",
            "urn:a",
            "urn::b:a",
            "urn:x:y:",
            "urn:a\"b:c:d",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn p01_g15_whatever_a_filter_asks_for_is_read_back_as_exactly_that(value in any::<String>()) {
            let filter = Filter { name: "type".to_owned(), value };
            let path = Path {
                schema: None,
                attribute: "emails".to_owned(),
                filter: Some(filter),
                sub: Some("value".to_owned()),
            };
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }

        #[test]
        fn any_text_is_refused_or_says_the_same_when_written_again(
            text in r#"(urn:[a-z:.0-9]{0,9}:)?[a-zA-Z$.]{0,6}(\[[a-z ]{0,6}"?[^"]{0,4}"?\])?[.a-z]{0,4}"#
        ) {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
            }
        }
    }
}
