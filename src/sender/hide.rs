//! A target may say back what it was sent, and its words are shown to people and kept.

use crate::model::{Body, Response};
use memchr::memmem::Finder;
use secrecy::{ExposeSecret, SecretString};
use std::{borrow::Cow, collections::BTreeMap};

/// What stands where a secret stood.
const HIDDEN: &str = "(secret)";
/// Fewest bytes of a secret that is looked for; a shorter one could be part of anything.
const LENGTH_MIN: usize = 8;

/// The response with every one of the secrets taken out, as it was sent or as JSON may write it.
pub(super) fn without(response: Response, secrets: &BTreeMap<String, SecretString>) -> Response {
    let secrets = secrets.values().map(ExposeSecret::expose_secret);
    let mut wanted: Vec<Cow<'_, str>> =
        secrets.flat_map(spellings).filter(|secret| secret.len() >= LENGTH_MIN).collect();
    // One may begin with another, which would leave the rest of it.
    wanted.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let wanted: Vec<Finder<'_>> =
        wanted.iter().map(|secret| Finder::new(secret.as_bytes())).collect();
    let Response { status, mut headers, body } = response;
    for (_, value) in &mut headers {
        if let Cow::Owned(bytes) = taken_out(value.as_bytes(), &wanted) {
            *value = String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    let clean = |bytes: Vec<u8>| match taken_out(&bytes, &wanted) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => bytes,
    };
    let body = match body {
        Body::Whole(bytes) => Body::Whole(clean(bytes)),
        Body::Cut(bytes) => Body::Cut(clean(bytes)),
    };
    Response { status, headers, body }
}

/// As it is, and as JSON may write it, which for most secrets is the same.
fn spellings(secret: &str) -> Vec<Cow<'_, str>> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/');
    if secret.bytes().all(is_plain) {
        return vec![Cow::Borrowed(secret)];
    }
    let escaped = serde_json::Value::from(secret).to_string();
    let escaped = escaped[1..escaped.len() - 1].to_owned();
    vec![Cow::Borrowed(secret), escaped.replace('/', "\\/").into(), escaped.into()]
}

fn taken_out<'a>(bytes: &'a [u8], wanted: &[Finder<'_>]) -> Cow<'a, [u8]> {
    let mut bytes = Cow::Borrowed(bytes);
    for secret in wanted {
        let (mut clean, mut rest) = (Vec::new(), 0);
        for at in secret.find_iter(&bytes) {
            clean.extend_from_slice(&bytes[rest..at]);
            clean.extend_from_slice(HIDDEN.as_bytes());
            rest = at + secret.needle().len();
        }
        if rest > 0 {
            clean.extend_from_slice(&bytes[rest..]);
            bytes = Cow::Owned(clean);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(texts: &[&str]) -> BTreeMap<String, SecretString> {
        let named = texts.iter().enumerate();
        named.map(|(at, text)| (at.to_string(), SecretString::from(*text))).collect()
    }

    fn answer(value: &str, body: Body) -> Response {
        Response { status: 422, headers: vec![("x-said".to_owned(), value.to_owned())], body }
    }

    #[test]
    fn g01_a_secret_that_a_target_says_back_is_taken_out_however_it_is_spelled() {
        let secrets = secrets(&["tok/en-12", "tok/en-1234", "short"]);
        let said = r#"{"a":"Bearer tok/en-1234","b":["tok\/en-12"],"c":"short"}"#;
        let found = without(answer("for tok/en-12", Body::Whole(said.into())), &secrets);
        let clean = r#"{"a":"Bearer (secret)","b":["(secret)"],"c":"short"}"#;
        assert_eq!(String::from_utf8_lossy(found.bytes()), clean);
        assert_eq!(found.headers[0].1, "for (secret)");
        let nothing = answer("nothing", Body::Cut(b"of it".to_vec()));
        assert!(without(nothing.clone(), &secrets) == nothing);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn p11_no_secret_is_left_in_an_answer(
            secret in "[!-~]{8,40}", before in ".{0,20}", after in ".{0,20}"
        ) {
            let text = format!("{before}{secret}{after}");
            let json = serde_json::json!({ "said": text }).to_string();
            let found = without(answer(&text, Body::Whole(json.into())), &secrets(&[&secret]));
            // A target that means to may spell it so that what is left is no JSON: unreadable then.
            let said = found.json().map(|json| json["said"].as_str().unwrap_or_default().to_owned());
            for told in [String::from_utf8_lossy(found.bytes()).into_owned(), said.unwrap_or_default()] {
                prop_assert!(!told.replace(HIDDEN, "").contains(&secret), "{told}");
            }
            prop_assert!(!found.headers[0].1.contains(&secret));
        }
    }
}
