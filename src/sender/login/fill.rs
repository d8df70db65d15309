//! A call of a login with its secrets put in: the only place that writes one into a body.

use crate::{
    dialect::login::{Call, Fields, Part},
    model::{CredentialHeader, Method, Request},
};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use url::form_urlencoded::{Serializer, byte_serialize};

type Secrets = BTreeMap<String, SecretString>;

/// The request with everything in it. The sender is told of no secret, for it would take them out of
/// the answer: a login may well give out a token that it was called with.
pub(super) fn request(call: Call, secrets: &Secrets) -> Result<Request, String> {
    let Call { url, credentials, basic, fields } = call;
    let (kind, body) = match fields {
        Fields::Form(fields) => ("application/x-www-form-urlencoded", form(&fields, secrets)?),
        Fields::Json(fields) => ("application/json", json(&fields, secrets)?),
    };
    let mut headers =
        vec![("accept", "application/json".to_owned()), ("content-type", kind.to_owned())];
    for CredentialHeader { header, prefix, credential } in credentials {
        headers.push((header, format!("{prefix}{}", secret(secrets, credential)?)));
    }
    if let Some((user, name)) = basic {
        headers.push(("authorization", basic_value(&user, secret(secrets, name)?)));
    }
    let (method, credentials, body) = (Method::Post, Vec::new(), Some(body.into_bytes()));
    Ok(Request { method, url, headers, credentials, body })
}

fn form(fields: &[(&str, Part)], secrets: &Secrets) -> Result<String, String> {
    let mut form = Serializer::new(String::new());
    for (name, part) in fields {
        form.append_pair(name, text(part, secrets)?);
    }
    Ok(form.finish())
}

fn json(fields: &[(&str, Part)], secrets: &Secrets) -> Result<String, String> {
    let mut object = serde_json::Map::new();
    for (name, part) in fields {
        object.insert((*name).to_owned(), text(part, secrets)?.into());
    }
    Ok(serde_json::Value::Object(object).to_string())
}

fn text<'a>(part: &'a Part, secrets: &'a Secrets) -> Result<&'a str, String> {
    match part {
        Part::Plain(text) => Ok(text),
        Part::Secret(name) => secret(secrets, name),
    }
}

fn secret<'a>(secrets: &'a Secrets, name: &str) -> Result<&'a str, String> {
    let secret = secrets.get(name).ok_or_else(|| format!("no secret `{name}`"))?;
    Ok(secret.expose_secret())
}

/// RFC 6749 §2.3.1: both are encoded like the values of a form before they are put together.
fn basic_value(user: &str, password: &str) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", base64(format!("{}:{}", encode(user), encode(password)).as_bytes()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 §4.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let whole = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let six = (whole >> (18 - 6 * at) & 0x3f) as usize;
            text.push(if at <= chunk.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}

/// RFC 4648 §5, without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        // RFC 4648 §10.
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn d10_a_client_and_its_secret_are_encoded_before_they_are_put_together() {
        assert_eq!(
            basic_value("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw"),
            "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3",
        );
        let escaped = base64(b"a+b:c%3Ad%25");
        assert_eq!(basic_value("a b", "c:d%"), format!("Basic {escaped}"));
    }
}
