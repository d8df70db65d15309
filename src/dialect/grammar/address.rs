//! Where requests go: a tenant's base address and the addresses below it, and nowhere else.

use crate::model::{OutOfReach, Reach, RemoteId, is_localhost};
use std::borrow::Cow;
use url::{Host, Position, Url};

/// The address below which every request of one tenant goes: https, a host within the tenant's reach,
/// no user name, query or fragment. A slash at its end means nothing.
#[derive(Clone, Debug)]
pub(crate) struct Base(Url);

impl Base {
    /// `http` is allowed as well where the tenant's reach includes this machine, and only there.
    ///
    /// # Errors
    /// A fragment that says what is wrong. It never repeats the text, which may hold a password.
    pub(crate) fn parse(text: &str, reach: Reach) -> Result<Self, &'static str> {
        check_text(text)?;
        let mut url = Url::parse(text).map_err(|_| "is not an absolute https address")?;
        match url.scheme() {
            "https" => {}
            "http" if reach.loopback && is_loopback(&url) => {}
            _ => return Err("must start with `https://`, since it carries credentials"),
        }
        check_host(&url, reach)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty();
        }
        if url.path().contains("//") {
            return Err("has an empty part in its path");
        }
        Ok(Self(url))
    }

    /// The address `base/segments…/id`, with the id as one segment.
    ///
    /// # Errors
    /// When the address, read back, would not mean that very user.
    pub(crate) fn of_user(&self, segments: &[&str], id: &RemoteId) -> Result<Url, String> {
        self.of_user_and(segments, id, &[])
    }

    /// The same with further segments after the id.
    ///
    /// # Errors
    /// As of [`Self::of_user`].
    pub(crate) fn of_user_and(
        &self,
        segments: &[&str],
        id: &RemoteId,
        more: &[&str],
    ) -> Result<Url, String> {
        let mut text = self.0.as_str().trim_end_matches('/').to_owned();
        for segment in segments.iter().chain([&id.as_str()]).chain(more) {
            text.push('/');
            text.push_str(segment);
        }
        let read_back = Url::parse(&text).ok();
        let same_user = read_back.filter(|url| self.means(url, segments, id, more));
        same_user.ok_or_else(|| "the id cannot be written as one part of an address".to_owned())
    }

    /// The address `base/segments…`, of what is about nobody. The segments are our own words.
    pub(crate) fn place(&self, segments: &[&'static str]) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The address `base/segments…`, of all users.
    ///
    /// # Errors
    /// When a segment, read back, would not mean what it says.
    pub(crate) fn below(&self, segments: &[&str]) -> Result<Url, String> {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        let mut parts = parts(&url);
        let same = self::parts(&self.0).all(|part| parts.next() == Some(part))
            && segments.iter().all(|segment| means(parts.next(), segment))
            && parts.next().is_none();
        drop(parts);
        if same { Ok(url) } else { Err("the address cannot be written".to_owned()) }
    }

    fn means(&self, url: &Url, segments: &[&str], id: &RemoteId, more: &[&str]) -> bool {
        let mut parts = parts(url);
        url[..Position::BeforePath] == self.0[..Position::BeforePath]
            && url.query().is_none()
            && url.fragment().is_none()
            && self::parts(&self.0).all(|part| parts.next() == Some(part))
            && segments.iter().all(|segment| means(parts.next(), segment))
            && means(parts.next(), id.as_str())
            && more.iter().all(|segment| means(parts.next(), segment))
            && parts.next().is_none()
    }
}

fn parts(url: &Url) -> impl Iterator<Item = &str> {
    url.path_segments().into_iter().flatten().filter(|part| !part.is_empty())
}

fn means(part: Option<&str>, text: &str) -> bool {
    part.is_some_and(|part| decoded(part) == text)
}

/// What has to be seen in the text itself, since parsing would quietly put it right.
fn check_text(text: &str) -> Result<(), &'static str> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("has a space, a control character or a backslash in it");
    }
    let Some((_, rest)) = text.split_once("://") else {
        return Err("is not an absolute https address");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("names no host");
    }
    if authority.contains('@') {
        return Err("has a user name or a password in it, which belongs in the credentials");
    }
    if rest.contains(['?', '#']) {
        return Err("must not have a query or a fragment");
    }
    Ok(())
}

/// Whether requests may go to the host. Of a name only what it says itself is judged here; where it
/// leads is judged whenever a connection is made.
fn check_host(url: &Url, reach: Reach) -> Result<(), &'static str> {
    let judged = match url.host() {
        Some(Host::Domain(name)) if is_localhost(name) => reach.admits_this_machine(),
        Some(Host::Domain(_)) => Ok(()),
        Some(Host::Ipv4(ip)) => reach.admits(ip.into()),
        Some(Host::Ipv6(ip)) => reach.admits(ip.into()),
        None => Err(OutOfReach::Nowhere),
    };
    judged.map_err(|kind| match kind {
        OutOfReach::Loopback => "names an address of this machine",
        OutOfReach::Private => {
            "names an address of a private network; if the target is there, set `allow_private = \
             true` for the tenant"
        }
        OutOfReach::Nowhere => "names an address at which no target can be",
    })
}

fn is_loopback(url: &Url) -> bool {
    let public = Reach::default();
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => public.admits(ip.into()) == Err(OutOfReach::Loopback),
        Some(Host::Ipv6(ip)) => public.admits(ip.into()) == Err(OutOfReach::Loopback),
        None => false,
    }
}

/// A path segment without its percent-encoding (RFC 3986 §2.1).
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [byte, tail @ ..] = rest {
        let octet = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(h, l)| h * 16 + l),
            _ => None,
        };
        bytes.push(octet.unwrap_or(*byte));
        rest = if octet.is_some() { &tail[2..] } else { tail };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn c04_an_address_of_a_user_is_read_by_others_as_it_is_meant_here(
            id in "[A-Za-z0-9][A-Za-z0-9._@+=~-]{1,20}",
        ) {
            let base = Base::parse("https://target.example/base", Reach::default()).unwrap();
            let Ok(id) = RemoteId::parse(&id) else { return Ok(()) };
            let url = base.of_user_and(&["Users"], &id, &["more"]).unwrap();
            let read_back = Url::parse(url.as_str()).unwrap();
            let parts: Vec<_> = read_back.path_segments().unwrap().map(decoded).collect();
            prop_assert_eq!(parts, ["base", "Users", id.as_str(), "more"]);
            prop_assert_eq!(read_back, url);
        }
    }

    const LOOPBACK: Reach = Reach { loopback: true, private: false };

    #[test]
    fn a_segment_is_decoded_once() {
        for (encoded, plain) in
            [("a%2Fb", "a/b"), ("100%25", "100%"), ("%zz", "%zz"), ("%4", "%4"), ("%252e", "%2e")]
        {
            assert_eq!(decoded(encoded), plain);
        }
    }

    #[test]
    fn c04_addresses_of_private_networks_are_refused_however_they_are_written() {
        for host in [
            "10.0.0.1",
            "172.16.9.9",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "[::]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
        ] {
            assert!(Base::parse(&format!("https://{host}/x"), LOOPBACK).is_err(), "{host}");
        }
        for loopback in ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(
                Base::parse(&format!("https://{loopback}"), Reach::default()).is_err(),
                "{loopback}"
            );
            assert!(Base::parse(&format!("http://{loopback}"), LOOPBACK).is_ok(), "{loopback}");
        }
        assert!(Base::parse("https://93.184.215.14/x", Reach::default()).is_ok());
    }
}
