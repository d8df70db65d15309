//! The credentials of a feed while it is read.

use super::flaw::Flaw;
use crate::{
    config::FeedAccess,
    sender::{
        Login, Pacer,
        login::{NoTokens, Paced, Tokens},
    },
};
use secrecy::{ExposeSecret, SecretString};
use std::{collections::BTreeMap, sync::Arc};

/// What a feed is asked with.
pub(super) struct Keys(Option<Access>);

struct Access {
    config: FeedAccess,
    /// `None`: a person was given the token, and it is read from where it is kept.
    login: Option<Login>,
}

/// What one request carries.
#[derive(Clone)]
pub(super) struct Held {
    /// Headers that show nowhere: names and whole values.
    pub(super) headers: Vec<(String, SecretString)>,
    tokens: Tokens,
}

impl Keys {
    /// `login`: the one that the settings name, where they name one.
    pub(super) fn new(config: Option<FeedAccess>, login: Option<Login>) -> Self {
        Self(config.map(|config| Access { config, login }))
    }

    /// Those that hold now; a login asks for them at the pace of the feed.
    pub(super) async fn current(&self, pacer: &Pacer) -> Result<Held, Flaw> {
        let Some(access) = &self.0 else {
            return Ok(Held { headers: Vec::new(), tokens: Arc::default() });
        };
        let tokens = match &access.login {
            Some(login) => {
                login.tokens(&mut Paced::by(pacer)).await.map_err(|none| of_login(&none))?
            }
            None => Arc::new(read(&access.config)?),
        };
        let FeedAccess { header, prefix, secrets: _, login: _, token_expires: _ } = &access.config;
        let value =
            |token: &SecretString| SecretString::from(format!("{prefix}{}", token.expose_secret()));
        let headers = tokens.get("token").map(|token| (header.clone(), value(token)));
        Ok(Held { headers: headers.into_iter().collect(), tokens })
    }

    /// Whether there are others than those that were just refused.
    pub(super) fn renew(&self, refused: &Held) -> Result<bool, Flaw> {
        match &self.0 {
            None => Ok(false),
            Some(Access { login: Some(login), .. }) => Ok(login.renew(&refused.tokens)),
            Some(Access { config, login: None }) => {
                Ok(texts(&read(config)?) != texts(&refused.tokens))
            }
        }
    }
}

fn of_login(none: &NoTokens) -> Flaw {
    match none {
        NoTokens::Locked { why, wait } => Flaw::Locked { why: why.clone(), wait: *wait },
        NoTokens::Refused { why } | NoTokens::Unwell { why } | NoTokens::NotRecorded(why) => {
            Flaw::NoCredentials { why: why.clone() }
        }
        NoTokens::Unreachable { why } => Flaw::Unreachable { why: why.clone() },
        NoTokens::Ended => Flaw::Stopped,
    }
}

/// Anew each time, so that a token that was put in place of another is found.
fn read(access: &FeedAccess) -> Result<BTreeMap<String, SecretString>, Flaw> {
    let read = |(name, secret): (&String, &crate::config::Secret)| {
        let unusable =
            |problem: crate::model::Problem| Flaw::NoCredentials { why: problem.to_string() };
        Ok((name.clone(), secret.read().map_err(unusable)?))
    };
    access.secrets.iter().map(read).collect()
}

fn texts(tokens: &BTreeMap<String, SecretString>) -> Vec<&str> {
    tokens.values().map(ExposeSecret::expose_secret).collect()
}
