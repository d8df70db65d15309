//! One source's table: where its rows come from, and who of them counts.

use super::{
    FeedConfig, LeaverRule, Paging, Schedule, SourceConfig, Surroundings,
    document::{sub, sub_tables},
    feed,
    fields::{self, table},
};
use crate::{
    engine::value_rules::normalise,
    model::Problem,
    source::{
        CsvSettings, DropSettings, EffectiveSettings, Format, JoinSettings, Partner,
        json::{JsonLinesSettings, JsonSettings},
    },
};
use config::{Map, Value};
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

#[derive(Default, Deserialize)]
#[serde(default)]
struct LeaverTable {
    column: String,
    values: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScheduleTable {
    cron: String,
    zone: Option<String>,
}

/// The tables that say what a source's file is: one of them.
const FORMATS: [&str; 3] = ["csv", "json", "jsonl"];
/// What a joined source says besides.
const JOIN: [&str; 2] = ["columns", "missing"];
/// Fetched instead; joined to nothing.
const FEED: &str = "feed";

pub(super) fn source(
    value: Value,
    at: &str,
    (folder, surroundings): (&Path, &Surroundings),
    problems: &mut Vec<Problem>,
) -> SourceConfig {
    let mut table = table(value, at, problems);
    let drop = table.remove("drop").and_then(|value| {
        let at = format!("{at}.drop");
        let settings: DropSettings = read_whole(value, &at, problems)?;
        kept(settings.check(folder), &at, problems)
    });
    let place = (folder, surroundings);
    let Shape { format, mut csv, feed } = shape(&mut table, at, place, drop.is_some(), problems);
    if let Some(drop) = &drop {
        drop.folder().clone_into(&mut csv.path);
    }
    let effective = table.remove("effective").and_then(|value| {
        let at = format!("{at}.effective");
        let settings: EffectiveSettings = read_whole(value, &at, problems)?;
        kept(settings.check(), &at, problems)
    });
    problems.extend(effective.as_ref().and(feed.as_ref()).and_then(|feed| split_days(feed, at)));
    let partners = partners(&mut table, at, place, &csv, problems);
    let leavers = table.remove("leavers").and_then(|value| {
        let at = format!("{at}.leavers");
        let table = read_whole(value, &at, problems)?;
        leaver_rule(table, &at, problems)
    });
    let schedule = table.remove("schedule").and_then(|value| {
        let at = format!("{at}.schedule");
        schedule(&read_whole(value, &at, problems)?, &at, problems)
    });
    for key in table.keys() {
        let known =
            [&FORMATS[..], &[FEED, "drop", "effective", "join", "leavers", "schedule"]].concat();
        problems.push(fields::unknown_key(key, &known).under(at));
    }
    SourceConfig { csv, format, feed, drop, effective, partners, leavers, schedule }
}

/// What is read, and the rules for its rows.
struct Shape {
    format: Format,
    csv: CsvSettings,
    /// Where it is fetched from; `None`: it is a file.
    feed: Option<FeedConfig>,
}

fn shape(
    from: &mut Map<String, Value>,
    at: &str,
    (folder, surroundings): (&Path, &Surroundings),
    drops: bool,
    problems: &mut Vec<Problem>,
) -> Shape {
    let formats = FORMATS.into_iter().chain([FEED]);
    let said: Vec<&str> = formats.filter(|name| from.contains_key(*name)).collect();
    if said.len() > 1 {
        let hint = format!("keep one of {}; more sources are joined by `join`", said.join(", "));
        problems.push(Problem::new(at, "says more than once what its file is").hint(hint));
    }
    let name = said.first().copied().unwrap_or("csv");
    let at = format!("{at}.{name}");
    let mut feed = None;
    let mut found = Vec::new();
    let checked = match name {
        "json" => {
            let settings: JsonSettings = sub(from, name, &at, problems);
            settings.check().map(|(form, rules)| (Format::Json(form), rules))
        }
        "jsonl" => {
            let settings: JsonLinesSettings = sub(from, name, &at, problems);
            settings.check().map(|(form, rules)| (Format::Json(form), rules))
        }
        FEED => {
            let value = from.remove(name).unwrap_or_default();
            let checked = feed::read(value, &at, (folder, surroundings), problems);
            feed = checked.feed;
            checked.json.check().map(|(form, rules)| (Format::Json(form), rules))
        }
        _ => {
            let settings: CsvSettings = sub(from, name, &at, problems);
            found.extend(settings.check().into_iter().filter(|problem| problem.key != "path"));
            Ok((Format::Csv, settings))
        }
    };
    let usable = checked.is_ok();
    let (format, mut rules) = checked.unwrap_or_else(|wrong| {
        found.extend(wrong);
        (Format::Csv, CsvSettings::default())
    });
    let has_path = !rules.path.as_os_str().is_empty();
    if usable || name == FEED {
        found.extend(place_problem(name, has_path, drops));
    }
    let found = found.into_iter().map(|problem| problem.under(&at)).collect();
    fields::add_news(found, problems);
    if has_path {
        rules.path = folder.join(&rules.path);
    }
    if let Some(feed) = &feed {
        rules.path = feed.shown().into();
    }
    Shape { format, csv: rules, feed }
}

/// With days a person may have several rows, and a page may end between them.
fn split_days(feed: &FeedConfig, at: &str) -> Option<Problem> {
    (feed.paging != Paging::Whole && !feed.keys_may_repeat).then(|| {
        let why = "needs `feed.keys_may_repeat = true`: rows of one person may be on two pages";
        let hint = "set it, and `total` where the feed has one: it shows whether the feed moved";
        Problem::new(format!("{at}.effective"), why).hint(hint)
    })
}

/// A source is at one place: a file, the folder that files are dropped into, or a feed.
fn place_problem(format: &str, has_path: bool, drops: bool) -> Option<Problem> {
    match (format, has_path, drops) {
        (FEED, _, true) => {
            Some(Problem::new("", "stands beside `drop`").hint("keep one of the two"))
        }
        (FEED, _, false) | (_, true, false) | (_, false, true) => None,
        (_, true, true) => {
            let why = "names a file, though `drop` says where files come from";
            Some(Problem::new("path", why).hint("keep one of the two"))
        }
        (_, false, false) => Some(Problem::new("path", "is missing").hint("name the file to read")),
    }
}

fn partners(
    from: &mut Map<String, Value>,
    at: &str,
    place: (&Path, &Surroundings),
    main: &CsvSettings,
    problems: &mut Vec<Problem>,
) -> Vec<Partner> {
    let at = format!("{at}.join");
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut partners = Vec::new();
    for (name, value) in sub_tables(from, "join", &at, problems) {
        let at = format!("{at}.{}", fields::part(&name));
        let mut table = table(value, &at, problems);
        if table.remove(FEED).is_some() {
            let why = "only a file can be joined";
            let hint = "make the feed the source itself, and join the file to it";
            problems.push(Problem::new(format!("{at}.feed"), why).hint(hint));
        }
        let Shape { format, csv: rules, feed: _ } = shape(&mut table, &at, place, false, problems);
        for key in table.keys().filter(|key| !JOIN.contains(&key.as_str())) {
            let known = [&FORMATS[..], &JOIN].concat();
            problems.push(fields::unknown_key(key, &known).under(&at));
        }
        table.retain(|key, _| JOIN.contains(&key.as_str()));
        let settings: JoinSettings = fields::read(Value::from(table), &at, problems);
        for problem in settings.check() {
            problems.push(problem.under(&at));
        }
        for column in &settings.columns {
            let other =
                if *column == main.key { Some("the source itself".to_owned()) } else { None };
            let other = other.or_else(|| owners.insert(column.clone(), format!("`{name}`")));
            if let Some(other) = other {
                let why = format!("claims the column `{column}`, which {other} has already");
                let hint = "each column has one owner";
                problems.push(Problem::new(format!("{at}.columns"), why).hint(hint));
            }
        }
        // One person has one key, whoever spells it.
        let rules = CsvSettings { fold_key_case: main.fold_key_case, ..rules };
        let JoinSettings { columns, missing } = settings;
        let columns: BTreeSet<String> = columns.into_iter().collect();
        partners.push(Partner { name, rules, format, columns, missing });
    }
    partners
}

fn kept<T>(checked: Result<T, Vec<Problem>>, at: &str, problems: &mut Vec<Problem>) -> Option<T> {
    let found = checked.map_err(|found| found.into_iter().map(|problem| problem.under(at)));
    found.map_err(|found| problems.extend(found)).ok()
}

/// The table, where nothing is wrong with its keys: then what is missing is really missing.
fn read_whole<T: DeserializeOwned + Default>(
    value: Value,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let before = problems.len();
    let table = fields::read(value, at, problems);
    (problems.len() == before).then_some(table)
}

fn leaver_rule(table: LeaverTable, at: &str, problems: &mut Vec<Problem>) -> Option<LeaverRule> {
    let LeaverTable { column, values } = table;
    if column.is_empty() || values.is_empty() {
        let why = "needs both `column` and `values`";
        problems.push(Problem::new(at, why));
        return None;
    }
    let values = values.iter().map(|value| normalise(value).into_owned()).collect();
    Some(LeaverRule { column, values })
}

fn schedule(table: &ScheduleTable, at: &str, problems: &mut Vec<Problem>) -> Option<Schedule> {
    let Some(zone) = &table.zone else {
        let hint = "name the zone that `cron` is in, such as \"Europe/Berlin\" or \"UTC\"";
        problems.push(Problem::new(format!("{at}.zone"), "is missing").hint(hint));
        return None;
    };
    let parsed = Schedule::parse(&table.cron, zone);
    parsed.map_err(|(key, why)| problems.push(Problem::new(format!("{at}.{key}"), why))).ok()
}
