//! How whoever is sent to lets us in: secrets that a person was given, or a login that gives tokens.

use super::{Secret, Surroundings, fields};
use crate::{
    dialect::{
        Dialect, Settings,
        login::{self, Login, Offer},
    },
    model::{Notice, Problem, Reach},
};
use config::{Map, Value};
use jiff::civil::Date;
use std::{collections::BTreeMap, path::Path};

/// What is known of the way in.
#[derive(Debug, Default)]
pub(super) struct Entrance {
    /// Those that requests carry, or those of the login.
    pub(super) secrets: BTreeMap<String, Secret>,
    pub(super) login: Option<Login>,
    /// Last day of a token that a person was given.
    pub(super) token_expires: Option<Date>,
}

/// The two tables of which exactly one is given.
pub(super) struct Tables {
    credentials: Option<Value>,
    login: Option<Value>,
}

/// What the tables are checked against.
pub(super) struct Ground<'a> {
    /// Names of the secrets that requests carry.
    pub(super) carried: &'a [&'static str],
    /// The logins that whoever is sent to has of its own.
    pub(super) offers: &'a [Offer],
    pub(super) reach: Reach,
    pub(super) folder: &'a Path,
    pub(super) surroundings: &'a Surroundings,
}

impl Tables {
    pub(super) fn take(tables: &mut Map<String, Value>) -> Self {
        Self { credentials: tables.remove("credentials"), login: tables.remove("login") }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.credentials.is_none() && self.login.is_none()
    }

    /// The way in to a tenant's target; `None` where that is not known.
    pub(super) fn to(
        self,
        dialect: Option<&dyn Dialect>,
        reach: Reach,
        (folder, surroundings): (&Path, &Surroundings),
        at: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Entrance> {
        let (carried, offers) = (dialect?.credentials(), dialect?.logins());
        let ground = Ground { carried, offers: &offers, reach, folder, surroundings };
        Some(self.check(at, &ground, problems))
    }

    /// `at`: the table that both stand in.
    pub(super) fn check(
        self,
        at: &str,
        ground: &Ground<'_>,
        problems: &mut Vec<Problem>,
    ) -> Entrance {
        match (self.credentials, self.login) {
            (Some(_), Some(_)) => {
                let why = "stands beside `credentials`, and only one of them can hold";
                let hint =
                    "keep `login` where tokens are fetched, `credentials` where one is given";
                problems.push(Problem::new(format!("{at}.login"), why).hint(hint));
                Entrance::default()
            }
            (credentials, None) => {
                kept(credentials, &format!("{at}.credentials"), ground, problems)
            }
            (None, Some(login)) => fetched(login, &format!("{at}.login"), ground, problems),
        }
    }
}

const EXPIRES: &str = "token_expires";

fn kept(
    table: Option<Value>,
    at: &str,
    ground: &Ground<'_>,
    problems: &mut Vec<Problem>,
) -> Entrance {
    let table = table.map_or(Ok(BTreeMap::new()), Value::try_deserialize);
    let mut table: BTreeMap<String, String> = table.unwrap_or_else(|_| {
        problems.push(Problem::new(at, "should be a table of texts"));
        BTreeMap::new()
    });
    let expires = table.remove(EXPIRES);
    let token_expires = expires.and_then(|text| {
        let why = "should be the token's last day, such as \"2027-01-31\"";
        let problem = |_| problems.push(Problem::new(format!("{at}.{EXPIRES}"), why));
        text.parse().map_err(problem).ok()
    });
    let Ground { carried, folder, surroundings, .. } = ground;
    let secrets = Secret::all(carried, &[EXPIRES], table, at, folder, surroundings, problems);
    Entrance { secrets, login: None, token_expires }
}

fn fetched(value: Value, at: &str, ground: &Ground<'_>, problems: &mut Vec<Problem>) -> Entrance {
    let Ground { carried, offers, reach, folder, surroundings } = ground;
    let mut table = fields::table(value, at, problems);
    let kind = table.get("type").cloned().and_then(|kind| kind.into_string().ok());
    let kind = kind.as_deref().and_then(login::Kind::parse);
    let names = kind.map_or(&[][..], login::Kind::secrets);
    let places = take_secrets(&mut table, names);
    let secrets = Secret::all(names, &[], places, at, folder, surroundings, problems);
    let table = Value::from(table).try_deserialize().unwrap_or_default();
    let opened = login::open(&Settings { table, reach: *reach }, offers);
    let report = |found: Vec<Problem>| {
        let found = found.into_iter().map(|problem| problem.under(at));
        fields::add_news(found.collect(), problems);
    };
    let login = opened.map_err(report).ok();
    let gives = kind.map_or(&[][..], login::Kind::tokens);
    if let Some(missing) = carried.iter().find(|name| login.is_some() && !gives.contains(name)) {
        let why = format!("gives no `{missing}`, which every request has to carry");
        let kinds: Vec<&str> = offers.iter().map(|offer| offer.kind.as_str()).collect();
        let hint = format!("this API has {}", kinds.join(", "));
        problems.push(Problem::new(format!("{at}.type"), why).hint(hint));
    }
    Entrance { secrets, login, token_expires: None }
}

/// The keys that say where a secret is, and those that would be one.
fn take_secrets(table: &mut Map<String, Value>, names: &[&str]) -> BTreeMap<String, String> {
    let is_place = |key: &str| {
        names.iter().any(|name| {
            let kind = key.strip_prefix(name);
            kind.is_some_and(|kind| ["", "_file", "_env", "_credential"].contains(&kind))
        })
    };
    let keys: Vec<String> = table.keys().filter(|key| is_place(key)).cloned().collect();
    let take = |key: String| {
        let text = table.remove(&key)?.into_string().unwrap_or_default();
        Some((key, text))
    };
    keys.into_iter().filter_map(take).collect()
}

/// So many days before its end a person is told of a token.
const TOLD_AHEAD_DAYS: i64 = 14;

/// What there is to say of a token with that last day.
pub(super) fn expiry(last_day: Date, today: Date) -> Option<Notice> {
    let days = today.duration_until(last_day).as_hours() / 24;
    let message = match days {
        ..0 => format!("the token has expired: its last day was {last_day}"),
        0 => "the token expires today".to_owned(),
        1 => format!("the token expires tomorrow, on {last_day}"),
        2..=TOLD_AHEAD_DAYS => format!("the token expires in {days} days, on {last_day}"),
        _ => return None,
    };
    let hint = "ask for another token, put it in place of the old one, and set `token_expires`";
    Some(Notice { message, hint: hint.to_owned(), refuses: false })
}
