//! One GET whose answer comes piece by piece: what reads a long body decides how much of it to take.

use super::{
    hide,
    http::{Http, Sent, classify, headers_of},
};
use crate::model::{Body, Response};
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, fmt, future::Future, pin::Pin};
use url::Url;

/// One GET. Names are header names in any case.
#[derive(Clone)]
pub struct Get {
    pub url: Url,
    pub headers: Vec<(String, String)>,
    /// Headers that show nowhere: their names and whole values.
    pub secrets: Vec<(String, SecretString)>,
}

/// Where the request goes is nobody's business but the target's.
impl fmt::Debug for Get {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Get(…)")
    }
}

/// What became of a GET.
pub enum Opened {
    Answered(Incoming),
    /// It certainly did not reach the server.
    NotSent {
        why: String,
    },
    /// No answer came.
    Lost {
        why: String,
    },
    /// No request can succeed: the certificate is not valid, or the name leads out of reach.
    Unreachable {
        why: String,
    },
}

/// An answer of which the head has come.
pub struct Incoming {
    pub status: u16,
    /// Lower-case names, in the order of arrival, without the secrets that were sent.
    pub headers: Vec<(String, String)>,
    pub body: Box<dyn Pieces>,
}

/// A body on its way.
pub trait Pieces: Send {
    /// The next bytes of it.
    fn next(&mut self) -> Coming<'_>;
}

/// A piece of a body under way.
pub type Coming<'a> = Pin<Box<dyn Future<Output = Piece> + Send + 'a>>;

pub enum Piece {
    /// Never empty for ever: a body that brings nothing has ended or waits.
    Bytes(Vec<u8>),
    /// All of it has come.
    End,
    /// The connection ended before the body did.
    Broken,
}

/// What carries a GET to its server; a test has servers of its own.
pub trait Wire: Send + Sync {
    fn get(&self, get: Get) -> Opening<'_>;
}

/// A GET under way.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Opened> + Send + 'a>>;

impl Wire for Http {
    fn get(&self, get: Get) -> Opening<'_> {
        Box::pin(self.open(get))
    }
}

impl Http {
    async fn open(&self, get: Get) -> Opened {
        let built = match self.build_get(&get) {
            Ok(built) => built,
            Err(why) => return Opened::NotSent { why },
        };
        match self.client.execute(built).await {
            Ok(response) => {
                let status = response.status().as_u16();
                let headers = without_secrets(headers_of(&response), &get.secrets);
                Opened::Answered(Incoming { status, headers, body: Box::new(Streamed(response)) })
            }
            Err(error) => match classify(&error) {
                Sent::NotSent { why } => Opened::NotSent { why },
                Sent::Unreachable { why } => Opened::Unreachable { why },
                Sent::Lost { why } => Opened::Lost { why },
                // An error is none of these.
                Sent::Answered(_) => Opened::Lost { why: "the connection broke".to_owned() },
            },
        }
    }

    fn build_get(&self, get: &Get) -> Result<reqwest::Request, String> {
        let Get { url, headers, secrets } = get;
        let mut builder = self.client.get(url.clone());
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        for (name, secret) in secrets {
            let unusable = |_| format!("the secret for the header `{name}` cannot be one");
            let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(unusable)?;
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| "a header has a name that is none".to_owned())?;
            builder = builder.header(name, value);
        }
        builder.build().map_err(|_| "the request cannot be built".to_owned())
    }
}

struct Streamed(reqwest::Response);

impl Pieces for Streamed {
    fn next(&mut self) -> Coming<'_> {
        Box::pin(async {
            match self.0.chunk().await {
                Ok(Some(bytes)) => Piece::Bytes(bytes.to_vec()),
                Ok(None) => Piece::End,
                Err(_) => Piece::Broken,
            }
        })
    }
}

/// A server's own words, without the secrets that it was sent.
#[must_use]
pub fn untold(text: &str, secrets: &[(String, SecretString)]) -> String {
    let said = vec![("said".to_owned(), text.to_owned())];
    without_secrets(said, secrets).pop().map(|(_, text)| text).unwrap_or_default()
}

fn without_secrets(
    headers: Vec<(String, String)>,
    secrets: &[(String, SecretString)],
) -> Vec<(String, String)> {
    // Whoever says a token back leaves out what stands before it.
    let bare = |secret: &SecretString| {
        let text = secret.expose_secret();
        SecretString::from(text.rsplit(' ').next().unwrap_or(text).to_owned())
    };
    let secrets: BTreeMap<String, SecretString> =
        secrets.iter().map(|(name, secret)| (name.clone(), bare(secret))).collect();
    let answer = Response { status: 0, headers, body: Body::Whole(Vec::new()) };
    hide::without(answer, &secrets).headers
}
