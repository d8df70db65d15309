//! The `Link` header (RFC 8288 §3), as far as it says what comes next.

/// What follows the page, as the header's values give it.
///
/// # Errors
/// When a value cannot be read as the RFC has it, or two different addresses come next: what is
/// damaged here would look like the last page.
pub(super) fn next<'a>(values: impl Iterator<Item = &'a str>) -> Result<Option<String>, Damaged> {
    let mut found: Option<String> = None;
    for value in values {
        for link in links(value)? {
            if !link.is_next {
                continue;
            }
            if found.as_ref().is_some_and(|found| *found != link.target) {
                return Err(Damaged::Several);
            }
            found = Some(link.target);
        }
    }
    Ok(found)
}

/// Why the header is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    #[error("is not a list of links as RFC 8288 has it")]
    Unreadable,
    #[error("names several next pages")]
    Several,
}

struct Link {
    target: String,
    is_next: bool,
}

fn links(value: &str) -> Result<Vec<Link>, Damaged> {
    let mut links = Vec::new();
    let mut rest = value.trim_start_matches(is_gap);
    while !rest.is_empty() {
        let (target, after) =
            rest.strip_prefix('<').and_then(|r| r.split_once('>')).ok_or(Damaged::Unreadable)?;
        let (relations, after) = parameters(after)?;
        let is_next = relations.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("next"));
        links.push(Link { target: target.trim().to_owned(), is_next });
        rest = after.trim_start_matches(is_gap);
    }
    Ok(links)
}

/// Empty members of a list mean nothing (RFC 9110 §5.6.1).
fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | ',')
}

/// The value of `rel`, of which only the first counts, and what stands behind the link's parameters.
fn parameters(text: &str) -> Result<(String, &str), Damaged> {
    let mut relations: Option<String> = None;
    let mut rest = text.trim_start();
    while let Some(after) = rest.strip_prefix(';') {
        rest = after.trim_start();
        let end = rest.find(['=', ';', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let mut value = String::new();
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = word(after.trim_start())?;
        }
        if name.trim().eq_ignore_ascii_case("rel") && relations.is_none() {
            relations = Some(value);
        }
        rest = rest.trim_start();
    }
    if rest.is_empty() || rest.starts_with(',') {
        return Ok((relations.unwrap_or_default(), rest));
    }
    Err(Damaged::Unreadable)
}

/// A token, or a text in quotation marks.
fn word(text: &str) -> Result<(String, &str), Damaged> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return Ok((word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    Err(Damaged::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[&str]) -> Result<Option<String>, Damaged> {
        next(values.iter().copied())
    }

    #[test]
    fn the_next_link_is_found_however_the_header_is_written() {
        let found = Ok(Some("/users?page=2".to_owned()));
        for value in [
            r#"</users?page=2>; rel="next""#,
            "</users?page=2>;rel=next",
            r#"<https://a/x>; rel="prev", </users?page=2>; rel="next""#,
            r#"</users?page=2>; title="a, \"b\"; rel=prev"; REL="last NEXT""#,
            r#", </users?page=2> ; rel = "next" ,"#,
        ] {
            assert_eq!(of(&[value]), found, "{value}");
        }
        assert_eq!(of(&["</a>; rel=first", "</users?page=2>; rel=next"]), found);
        assert_eq!(of(&["</users?page=2>; rel=next", "</users?page=2>; rel=next"]), found);
    }

    #[test]
    fn no_next_link_is_the_end_and_a_damaged_one_is_not() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[""]), Ok(None));
        assert_eq!(of(&[r#"</a>; rel="prev"; rel="next""#]), Ok(None));
        assert_eq!(of(&["</a>; rel=nextish"]), Ok(None));
        for damaged in ["/users?page=2; rel=next", "</a", "</a>; rel=\"next", "</a> rel=next"] {
            assert_eq!(of(&[damaged]), Err(Damaged::Unreadable), "{damaged}");
        }
        assert_eq!(of(&["</a>; rel=next, </b>; rel=next"]), Err(Damaged::Several));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_header_makes_it_panic(value in "[<>;,=\"\\\\ a-z/]{0,40}") {
            let _ = of(&[&value]);
        }
    }
}
