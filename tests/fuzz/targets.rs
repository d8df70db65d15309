//! What reads bytes that others made, each as a function of bytes. It returns when what it promises of
//! them holds, and panics when not. Nothing here knows how the bytes were found.

use crate::{fixtures, state};
use jiff::Timestamp;
use rosterd::{
    config::{self, Surroundings},
    engine::{
        allowance::{Allowance, RESET_MAX, ResetUnit},
        index::Index,
        retry::{Dice, RetryAfter, moment_after, throttled},
    },
    model::{Action, Answer, Body, Completeness, RemoteId, Response, Verdict},
    report::SavedPlan,
    source::{
        self, CsvSettings, Demand, Draft, OnBadRow,
        json::{FieldSpec, JsonSettings, Path, spool},
    },
    store::{Store, StoreError},
};
use std::{collections::BTreeSet, fs, io::Cursor, time::Duration};
use tokio::time::Instant;
use url::Url;

/// A roster: refused, or every row is accounted for and nothing came out that did not go in.
pub(crate) fn csv_input(data: &[u8]) {
    for (on_bad_row, encoding) in
        [(OnBadRow::Hold, "utf-8"), (OnBadRow::Refuse, "utf-8"), (OnBadRow::Hold, "utf-16")]
    {
        let encoding = encoding.to_owned();
        let (path, key) = ("roster.csv".into(), "id".to_owned());
        let settings =
            CsvSettings { path, key, on_bad_row, encoding, max_rows: 50, ..CsvSettings::default() };
        let first = read_roster(&settings, data);
        assert_eq!(first, read_roster(&settings, data), "the same bytes are the same roster");
    }
}

/// The digest of a roster that was taken.
fn read_roster(settings: &CsvSettings, data: &[u8]) -> Option<u128> {
    let demand =
        Demand { required: ["name".to_owned()].into(), optional: ["title".to_owned()].into() };
    let index = Index::default();
    let mut roster = source::read(settings, &demand, Cursor::new(data.to_vec()), &index)
        .map_err(|refused| assert!(!refused.findings.is_empty() && !refused.to_string().is_empty()))
        .ok()?;
    let replaced = settings.encoding == "utf-8"
        && std::str::from_utf8(data).is_ok_and(|text| !text.contains('\u{fffd}'));
    let mut users = BTreeSet::new();
    let mut rows = roster.fresh_rows();
    while let Some(batch) = rows.next().unwrap() {
        for arrival in batch.records().unwrap() {
            let record = arrival.record;
            assert!(!record.key.as_str().chars().any(char::is_control));
            let mut cells = record.fields.iter();
            assert!(!replaced || cells.all(|(_, cell)| !cell.contains('\u{fffd}')));
            assert!(users.insert(record.key.as_str().to_owned()), "one row for each user");
        }
    }
    drop(rows);
    let keyless = roster.held.iter().any(|held| held.key.is_none());
    assert!(!keyless || matches!(roster.facts.completeness, Completeness::Partial(_)));
    users
        .extend(roster.held.iter().filter_map(|held| Some(held.key.as_ref()?.as_str().to_owned())));
    assert_eq!(roster.facts.users, users.len() as u64);
    assert!(roster.facts.users <= roster.facts.rows);
    Some(roster.facts.digest.0)
}

/// A JSON roster: refused with a place, or what another reader takes as well, and the copy of it is the
/// same twice and can be read.
pub(crate) fn json_input(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let settings = JsonSettings {
        records: "$.data[*]".to_owned(),
        key: "id".to_owned(),
        fields: [
            ("id", "id", None),
            ("mail", "emails[?(@.type=='work')].value", None),
            ("groups", "groups[*].name", Some(";")),
        ]
        .map(|(column, path, join)| {
            let spec = match join {
                Some(join) => FieldSpec::Joined { path: path.to_owned(), join: join.to_owned() },
                None => FieldSpec::Path(path.to_owned()),
            };
            (column.to_owned(), spec)
        })
        .into(),
        on_bad_row: OnBadRow::Hold,
        ..JsonSettings::default()
    };
    let (form, rules) = settings.check().unwrap();
    let copied = || {
        let draft = Draft::named(dir.path(), "copy.csv").unwrap();
        let copy = spool(data, &form, &rules, "people.json".to_owned(), draft);
        copy.map_err(|refused| assert!(!refused.findings.is_empty())).ok()
    };
    let Some(copy) = copied() else { return };
    let text = fs::read(&copy.kept.path).unwrap();
    let packed = data.starts_with(b"\x1f\x8b");
    let plain = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    assert!(packed || serde_json::from_slice::<serde::de::IgnoredAny>(plain).is_ok());
    let demand = Demand { optional: copy.columns.iter().cloned().collect(), ..Demand::default() };
    let read = source::read_file(&copy.settings(&rules), &demand, &Index::default());
    let mut findings = read.map_or_else(|refused| refused.findings, |roster| roster.findings);
    copy.trail.tell(&copy.kept.path, &mut findings).unwrap();
    copied().unwrap();
    assert_eq!(fs::read(&copy.kept.path).unwrap(), text, "the same bytes are the same copy");
}

/// The text of a path is one, or told of by a place in it.
pub(crate) fn json_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Path::parse(&text) {
        assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{error}");
    }
}

/// The first eight bytes are the time, each line is a header, and what follows the last `|` is the
/// target's clock: never earlier than a plain reading asks, and never at once.
pub(crate) fn retry_after(data: &[u8]) {
    let (seconds, text) = data.split_first_chunk::<8>().unwrap_or((&[0; 8], data));
    let (least, most) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let second = i64::from_le_bytes(*seconds).clamp(least, most);
    let now = Timestamp::from_second(second).unwrap();
    let text = String::from_utf8_lossy(text).into_owned();
    let (values, clock) = text.rsplit_once('|').unwrap_or((&text, ""));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers: Vec<_> =
        values.split('\n').map(|value| header("retry-after", value)).collect();
    headers.push(header("date", clock));
    let asked =
        RetryAfter::of(&Response { status: 429, headers, body: Body::Whole(Vec::new()) }, now);

    let plain = values.split(['\n', ',']).map(str::trim).filter(|value| {
        (1..=11).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
    });
    let longest = plain.map(|digits| digits.parse().unwrap()).max().map(Duration::from_secs);
    let least = match (asked, longest) {
        (RetryAfter::Wait(wait), longest) => wait.max(longest.unwrap_or_default()),
        (RetryAfter::Invalid, None) => Duration::from_mins(1),
        (found, longest) => panic!("{found:?} of {longest:?}"),
    };
    let begin = Instant::now().into_std();
    for (n, dice) in [(0, 0.0), (3, 0.5), (u32::MAX, 1.0)] {
        let wait = throttled(asked, n, begin, Dice::new(dice));
        assert!(wait >= least.max(Duration::from_secs(1)), "{wait:?} of {least:?}");
        assert!(moment_after(now, wait) >= now);
    }
}

/// Lines of `name: value`, and a first byte for the unit: what is said slows down for a while, or
/// is not there.
pub(crate) fn rate_limit(data: &[u8]) {
    let (unit, text) = data.split_first().map_or((0, data), |(unit, text)| (*unit, text));
    let text = String::from_utf8_lossy(text);
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    let headers = text.lines().filter_map(pair).collect();
    let response = Response { status: 200, headers, body: Body::Whole(Vec::new()) };
    let units = [
        None,
        Some(ResetUnit::Delta),
        Some(ResetUnit::DeltaMs),
        Some(ResetUnit::Epoch),
        Some(ResetUnit::EpochMs),
    ];
    let unit = units[usize::from(unit) % units.len()];
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    if let Some(Allowance { reset, .. }) = Allowance::of(&response, unit, now) {
        assert!(!reset.is_zero() && reset <= RESET_MAX, "{reset:?}");
    }
}

/// Two bytes for the status, one for the kind of the body, and the body, through every dialect: only
/// a success is a success, and what is told of it is safe to tell.
pub(crate) fn error_body(data: &[u8]) {
    let [high, low, kind, body @ ..] = data else { return };
    let status = 100 + u16::from_le_bytes([*high, *low]) % 500;
    answer_of_all(status, *kind, body);
}

/// The same for bodies of a success: only of this user, and only what the dialect knows.
pub(crate) fn response_body(data: &[u8]) {
    let [kind, body @ ..] = data else { return };
    for status in [200, 204] {
        answer_of_all(status, *kind, body);
    }
}

fn answer_of_all(status: u16, kind: u8, body: &[u8]) {
    let kinds =
        ["application/json", "text/html", "application/scim+json", "", "application/problem+json"];
    let content_type = kinds[usize::from(kind) % kinds.len()].to_owned();
    let whole = kind < 200;
    let content = if whole { Body::Whole(body.to_vec()) } else { Body::Cut(body.to_vec()) };
    let headers = vec![("content-type".to_owned(), content_type)];
    let response = Response { status, headers, body: content };
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let capabilities = dialect.capabilities();
        let first = capabilities.attributes.keys().next().unwrap().as_str().to_owned();
        for action in [Action::Read, fixtures::patch_of(capabilities, &first)] {
            let Answer { verdict, code, excerpt } = fixture.read(&action, &response);
            let known =
                |path| capabilities.attributes.contains_key(path) || capabilities.is_switch(path);
            match &verdict {
                Verdict::Applied { shown } | Verdict::Found { shown } => {
                    assert!((200..300).contains(&status), "{status} is no success");
                    assert!(shown.keys().all(known));
                    let names_the_user = || {
                        let json = response.json().map(|json| json.to_string().to_lowercase());
                        json.is_some_and(|json| json.contains(&fixture.id.to_lowercase()))
                    };
                    let is_found = matches!(verdict, Verdict::Found { .. });
                    assert!(!is_found && shown.is_empty() || whole && names_the_user());
                }
                Verdict::Rejected { attributes } => assert!(attributes.iter().all(known)),
                Verdict::Matches(_) | Verdict::Created { .. } => panic!("nobody asked for that"),
                Verdict::Missing
                | Verdict::Throttled
                | Verdict::Unavailable
                | Verdict::Uncertain
                | Verdict::Conflict
                | Verdict::Unauthorized
                | Verdict::Forbidden
                | Verdict::Broken => {}
            }
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            assert!(code.len() <= 64 && code.chars().all(is_plain), "{code:?}");
            let excerpt = excerpt.as_str();
            assert!(excerpt.chars().count() <= 300 && !excerpt.chars().any(moves_the_cursor));
        }
    }
}

fn moves_the_cursor(c: char) -> bool {
    c.is_control()
        || ('\u{200e}'..='\u{200f}').contains(&c)
        || ('\u{202a}'..='\u{202e}').contains(&c)
}

/// An id: refused, or the last segment of the address, and everything before it as always.
pub(crate) fn url_of_id(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(id) = RemoteId::parse(&text) else { return };
    for fixture in fixtures::all() {
        let dialect = fixture.open();
        let Ok(request) = dialect.request(Some(&id), &Action::Read) else { continue };
        let usual = dialect.request(Some(&fixture.id()), &Action::Read).unwrap().url;
        let url = Url::parse(request.url.as_str()).unwrap();
        assert!(url == request.url && url.origin() == usual.origin());
        assert!(url.query().is_none() && url.fragment().is_none() && url.username().is_empty());
        let (path, last) = url.path().rsplit_once('/').unwrap();
        assert_eq!(Some(path), usual.path().rsplit_once('/').map(|(path, _)| path));
        assert_eq!(decoded(last), text);
    }
}

fn decoded(segment: &str) -> String {
    let mut pieces = segment.split('%');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A saved plan: refused without repeating it, or what its digest says.
pub(crate) fn plan_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let sound = SavedPlan::read(super::PLAN).unwrap();
    match SavedPlan::read(&text) {
        Ok(saved) => {
            for (id, tenant) in &saved.tenants {
                let digest =
                    |(_, other): &(_, &rosterd::report::SavedTenant)| other.digest == tenant.digest;
                let of_sound = sound.tenants.iter().find(digest);
                assert!(of_sound.is_none_or(|(_, known)| known == tenant), "{id}");
            }
        }
        Err(why) => assert!(!why.is_empty() && !why.chars().any(char::is_control), "{why:?}"),
    }
}

/// A state file: refused and left as it is, or nothing is known of anybody that was not recorded.
pub(crate) fn state_file(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acme.db");
    fs::write(&path, data).unwrap();
    let opened = Store::open(dir.path(), &state::tenant(), &state::holder());
    let known = opened.and_then(|mut store| {
        store.verify()?;
        store.users()?;
        store.open_intents()?;
        store.known(&state::keys().iter().collect::<Vec<_>>())
    });
    match known {
        Ok(found) => {
            for (key, known) in found {
                let recorded = &state::known()[&key];
                for (attribute, value) in known.attributes {
                    assert_eq!(recorded.attributes.get(&attribute), Some(&value), "{attribute:?}");
                }
            }
        }
        Err(StoreError::Locked { .. }) => panic!("nobody else uses it"),
        Err(
            error @ (StoreError::Damaged { .. }
            | StoreError::Newer { .. }
            | StoreError::Foreign { .. }),
        ) => {
            assert!(!error.to_string().is_empty());
            assert!(fs::read(&path).unwrap() == data, "it is left alone: {error}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A configuration: taken, or refused with the same problems each time.
pub(crate) fn config_toml(data: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rosterd.toml");
    fs::write(&path, data).unwrap();
    let load = || config::load(&path, &Surroundings::default());
    match (load(), load()) {
        (Ok(one), Ok(other)) => assert_eq!(format!("{one:?}"), format!("{other:?}")),
        (Err(one), Err(other)) => {
            assert!(!one.problems.is_empty());
            assert_eq!(one.to_string(), other.to_string());
        }
        (one, other) => panic!("{} and {}", one.is_ok(), other.is_ok()),
    }
}
