//! Requests and responses as plain data. No type of an HTTP library, no secret, no socket.

use std::fmt;
use url::Url;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Patch,
    /// Only of a user that was just read, for targets that know nothing smaller.
    Put,
    Delete,
}

impl Method {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One request, complete but for the secrets: it names the credentials that the sender puts in.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Absolute, under the tenant's own base address.
    pub url: Url,
    /// Lower-case names.
    pub headers: Vec<(&'static str, String)>,
    pub credentials: Vec<CredentialHeader>,
    pub body: Option<Vec<u8>>,
}

/// A header whose value is `prefix` and then the tenant's secret called `credential`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialHeader {
    pub header: &'static str,
    pub prefix: &'static str,
    pub credential: &'static str,
}

/// One response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Lower-case names, in the order of arrival; a name may come twice.
    pub headers: Vec<(String, String)>,
    pub body: Body,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    Whole(Vec<u8>),
    /// The connection ended or the size limit was reached before the body did.
    Cut(Vec<u8>),
}

impl Response {
    /// All values of a header; `name` in lower case.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; `None` when it is cut, empty or not JSON.
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        match &self.body {
            Body::Whole(bytes) => serde_json::from_slice(bytes).ok(),
            Body::Cut(_) => None,
        }
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Whole(bytes) | Body::Cut(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.body.as_ref().map_or(0, Vec::len);
        write!(f, "Request({} …, {length} bytes)", self.method.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.bytes().len())
    }
}
