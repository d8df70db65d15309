//! Settings to mapping: every check that does not need a record, all problems in one go.

use super::{
    IdSource, Mapping, digest,
    rule::{Lookup, Rule, Source, in_case},
    settings::{Case, LookupSettings, MappingSettings, OnEmpty, RemoteIdSettings, RuleSettings},
    template::{Scope, Templates},
};
use crate::{
    engine::value_rules::{
        Forms, ValueProblem, date_format_problem, normalise, phone_region_problem, read_value,
    },
    model::{AttrPath, Attribute, Capabilities, Kind, Problem, Value},
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn compile(
    settings: &MappingSettings,
    capabilities: &Capabilities,
) -> Result<Mapping, Vec<Problem>> {
    let MappingSettings { map, scope, remote_id } = settings;
    let mut problems = Vec::new();
    let mut templates = Templates::new();
    if map.is_empty() {
        let hint = "add a rule such as `map.title = { column = \"Job title\" }`";
        problems.push(Problem::new("map", "maps no attribute").hint(hint));
    }
    let mut rules = Vec::new();
    for (path, settings) in map {
        let mut told = Vec::new();
        rules.extend(rule(path, settings, capabilities, &mut templates, &mut told));
        problems.extend(told.into_iter().map(|problem| problem.under(&rule_key(path))));
    }
    let scope = scope.as_ref().and_then(|text| {
        let told = |fragment| Problem::new("scope", fragment);
        Scope::compile(text)
            .map_err(|fragments| problems.extend(fragments.into_iter().map(told)))
            .ok()
    });
    let remote_id = id_source(remote_id, &mut problems);
    let Some(remote_id) = remote_id.filter(|_| problems.is_empty()) else { return Err(problems) };
    let required = required_columns(&rules, scope.as_ref(), &remote_id);
    let optional: BTreeSet<_> = rules.iter().flat_map(Rule::columns).cloned().collect();
    Ok(Mapping {
        optional: &optional - &required,
        digest: digest::digest(settings, capabilities),
        rules,
        templates,
        scope,
        remote_id,
        required,
    })
}

/// As it would be written in the configuration.
pub(super) fn rule_key(path: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if path.chars().all(is_bare) { format!("map.{path}") } else { format!("map.\"{path}\"") }
}

fn required_columns(
    rules: &[Rule],
    scope: Option<&Scope>,
    remote_id: &IdSource,
) -> BTreeSet<String> {
    let id_column = match remote_id {
        IdSource::Column(column) => Some(column),
        IdSource::Table(_) => None,
    };
    let of_rules = rules.iter().filter(|rule| !rule.optional).flat_map(Rule::columns);
    let of_scope = scope.into_iter().flat_map(Scope::columns);
    of_rules.chain(of_scope).chain(id_column).cloned().collect()
}

/// Keys of the problems are relative to the rule.
fn rule(
    path: &str,
    settings: &RuleSettings,
    capabilities: &Capabilities,
    templates: &mut Templates,
    problems: &mut Vec<Problem>,
) -> Option<Rule> {
    let RuleSettings {
        column,
        constant,
        template,
        split,
        lookup,
        on_empty,
        optional,
        case,
        date_format: _,
        true_values: _,
        false_values: _,
        phone_region: _,
    } = settings;
    let path = AttrPath::new(path);
    check_one_source(settings, problems);
    check_constant_alone(settings, problems);
    if column.as_ref().is_some_and(|name| name.trim().is_empty()) {
        problems.push(Problem::new("column", "is empty"));
    }
    if split.as_ref().is_some_and(String::is_empty) {
        problems.push(Problem::new("split", "is empty").hint("give a separator such as `;`"));
    }
    let columns = template.as_ref().map(|text| {
        let told = |fragment| Problem::new("template", fragment);
        let added = templates.add(&path, text);
        added.unwrap_or_else(|fragments| {
            problems.extend(fragments.into_iter().map(told));
            Vec::new()
        })
    });
    let Some(attribute) = capabilities.attributes.get(&path) else {
        problems.push(unknown_attribute(&path, capabilities));
        return None;
    };
    check_on_empty(*on_empty, &path, attribute, problems);
    if split.is_some() && !matches!(attribute.kind, Kind::SetOf(_)) {
        let message = format!("`{path}` takes one value, not a set");
        problems.push(Problem::new("split", message).hint("take `split` out"));
    }
    let forms = forms(settings, &attribute.kind, problems);
    let lookup =
        lookup.as_ref().map(|settings| table(settings, *case, attribute, &forms, problems));
    let source = match (column, constant, columns) {
        (Some(column), _, _) => Source::Column(column.clone()),
        (None, Some(json), _) => {
            let told = |fragment| problems.push(Problem::new("constant", fragment));
            let read = constant_value(json, &attribute.kind, attribute.max_chars, &forms);
            Source::Constant(read.map_err(told).ok()?)
        }
        (None, None, columns) => Source::Template { columns: columns? },
    };
    Some(Rule {
        path,
        kind: attribute.kind.clone(),
        max_chars: attribute.max_chars,
        source,
        split: split.clone(),
        lookup,
        on_empty: *on_empty,
        optional: *optional,
        case: *case,
        forms,
    })
}

fn check_one_source(settings: &RuleSettings, problems: &mut Vec<Problem>) {
    let RuleSettings { column, constant, template, .. } = settings;
    let given = [column.is_some(), constant.is_some(), template.is_some()];
    let message = match given.into_iter().filter(|is_given| *is_given).count() {
        1 => return,
        0 => "says nothing of where the value comes from",
        _ => "says more than once where the value comes from",
    };
    let hint = "give exactly one of `column`, `constant` and `template`";
    problems.push(Problem::new("", message).hint(hint));
}

fn check_constant_alone(settings: &RuleSettings, problems: &mut Vec<Problem>) {
    if settings.constant.is_none() {
        return;
    }
    let idle = [
        ("split", settings.split.is_some()),
        ("lookup", settings.lookup.is_some()),
        ("case", settings.case.is_some()),
        ("optional", settings.optional),
        ("on_empty", settings.on_empty != OnEmpty::Keep),
    ];
    for (key, _) in idle.into_iter().filter(|(_, is_given)| *is_given) {
        problems.push(Problem::new(key, "means nothing beside `constant`").hint("take it out"));
    }
}

fn unknown_attribute(path: &AttrPath, capabilities: &Capabilities) -> Problem {
    /// Below it two names have little more than their alphabet in common.
    const LIKENESS_MIN: f64 = 0.7;
    let likeness = |known: &AttrPath| {
        let (a, b) = (path.as_str().to_lowercase(), known.as_str().to_lowercase());
        strsim::jaro_winkler(&a, &b)
    };
    let nearest = capabilities
        .attributes
        .keys()
        .map(|known| (likeness(known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let problem = Problem::new("", format!("the target has no attribute `{path}`"));
    match nearest {
        Some((_, known)) => problem.hint(format!("did you mean `{known}`?")),
        None => problem,
    }
}

/// A set is cleared by the empty set, which needs no way to unset it.
fn check_on_empty(
    on_empty: OnEmpty,
    path: &AttrPath,
    attribute: &Attribute,
    problems: &mut Vec<Problem>,
) {
    let can_clear = attribute.clearable || matches!(attribute.kind, Kind::SetOf(_));
    if on_empty == OnEmpty::Clear && !can_clear {
        let message = format!("the target documents no way to unset `{path}`");
        problems.push(Problem::new("on_empty", message).hint("use `keep` or `error`"));
    }
}

/// The forms, checked against the kind that they are for.
fn forms(settings: &RuleSettings, kind: &Kind, problems: &mut Vec<Problem>) -> Forms {
    let member = match kind {
        Kind::SetOf(member) => member,
        kind => kind,
    };
    let is_date = matches!(member, Kind::Date | Kind::DateTime);
    for (key, is_given, fits, what) in [
        ("true_values", !settings.true_values.is_empty(), *member == Kind::Flag, "a flag"),
        ("false_values", !settings.false_values.is_empty(), *member == Kind::Flag, "a flag"),
        ("date_format", settings.date_format.is_some(), is_date, "a date"),
        ("phone_region", settings.phone_region.is_some(), *member == Kind::Phone, "a phone number"),
    ] {
        if is_given && !fits {
            let message = format!("means nothing here: the attribute is not {what}");
            problems.push(Problem::new(key, message).hint("take it out"));
        }
    }
    let date_problem =
        settings.date_format.as_ref().and_then(|form| date_format_problem(member, form));
    problems.extend(date_problem.map(|fragment| Problem::new("date_format", fragment)));
    let region_problem = settings.phone_region.as_ref().and_then(|r| phone_region_problem(r));
    problems.extend(region_problem.map(|fragment| Problem::new("phone_region", fragment)));
    let words = |words: &[String]| -> Vec<String> {
        words.iter().map(|word| normalise(word).into_owned()).collect()
    };
    let forms = Forms {
        true_values: words(&settings.true_values),
        false_values: words(&settings.false_values),
        date_format: settings.date_format.clone(),
        phone_region: settings.phone_region.clone(),
    };
    check_words(&forms, problems);
    forms
}

fn check_words(forms: &Forms, problems: &mut Vec<Problem>) {
    let Forms { true_values, false_values, date_format: _, phone_region: _ } = forms;
    for (key, words) in [("true_values", true_values), ("false_values", false_values)] {
        if words.iter().any(String::is_empty) {
            let hint = "an empty cell is what `on_empty` is for";
            problems.push(Problem::new(key, "holds an empty word").hint(hint));
        }
    }
    let meant = |words: &[String], default: &str| match words {
        [] => BTreeSet::from([default.to_owned()]),
        words => words.iter().cloned().collect(),
    };
    if !meant(true_values, "true").is_disjoint(&meant(false_values, "false")) {
        problems.push(Problem::new("true_values", "shares a word with `false_values`"));
    }
}

fn table(
    settings: &LookupSettings,
    case: Option<Case>,
    attribute: &Attribute,
    forms: &Forms,
    problems: &mut Vec<Problem>,
) -> Lookup {
    let LookupSettings { file, key, value, table, on_missing } = settings;
    check_file(file.is_some(), key.as_ref(), value.as_ref(), "lookup", problems);
    if file.is_none() && table.is_empty() {
        problems.push(Problem::new("lookup", "has neither `file` nor `table`"));
    }
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    let mut clashes = 0_usize;
    for (from, to) in table {
        let from = in_case(&normalise(from), case).into_owned();
        let to = normalise(to).into_owned();
        let before = words.insert(from, to.clone());
        clashes += usize::from(before.is_some_and(|before| before != to));
    }
    if clashes > 0 {
        let message = format!("{clashes} entries differ from another one for the same word");
        let hint = "words are compared trimmed, in NFC and in the rule's `case`";
        problems.push(Problem::new("lookup.table", message).hint(hint));
    }
    // A file may serve several rules, so only what stands beside the rule has to fit it.
    if file.is_none() {
        check_table_values(words.values(), attribute, forms, problems);
    }
    Lookup { table: words, on_missing: *on_missing }
}

fn check_table_values<'a>(
    values: impl Iterator<Item = &'a String>,
    attribute: &Attribute,
    forms: &Forms,
    problems: &mut Vec<Problem>,
) {
    let read = |word: &String| read_value(&attribute.kind, attribute.max_chars, word, forms).err();
    let bad: Vec<ValueProblem> = values.filter(|word| !word.is_empty()).filter_map(read).collect();
    if let [first, ..] = bad.as_slice() {
        let message = format!("{} of its values cannot be sent; the first {first}", bad.len());
        problems.push(Problem::new("lookup.table", message));
    }
}

fn check_file(
    has_file: bool,
    key: Option<&String>,
    value: Option<&String>,
    prefix: &str,
    problems: &mut Vec<Problem>,
) {
    for (name, column) in [("key", key), ("value", value)] {
        let message = match (has_file, column) {
            (true, Some(column)) if column.trim().is_empty() => "is empty",
            (true, None) => "is missing: it names the column of `file` to read",
            (false, Some(_)) => "means nothing without `file`",
            (true, Some(_)) | (false, None) => continue,
        };
        problems.push(Problem::new(format!("{prefix}.{name}"), message));
    }
}

fn id_source(settings: &RemoteIdSettings, problems: &mut Vec<Problem>) -> Option<IdSource> {
    let RemoteIdSettings { column, file, key, value, table } = settings;
    check_file(file.is_some(), key.as_ref(), value.as_ref(), "remote_id", problems);
    let has_table = file.is_some() || !table.is_empty();
    match column {
        Some(column) if column.trim().is_empty() => {
            problems.push(Problem::new("remote_id.column", "is empty"));
            None
        }
        Some(column) if !has_table => Some(IdSource::Column(column.clone())),
        None if has_table => id_table(table, problems).map(IdSource::Table),
        Some(_) | None => {
            let message = "does not say where the users' ids at the target are";
            let hint = "give exactly one of `column` and `file`";
            problems.push(Problem::new("remote_id", message).hint(hint));
            None
        }
    }
}

fn id_table(
    table: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<BTreeMap<String, String>> {
    let normal: BTreeMap<String, String> =
        table.iter().map(|(key, id)| (normalise(key).into_owned(), id.clone())).collect();
    if normal.len() == table.len() {
        return Some(normal);
    }
    let message = format!(
        "{} keys are those of another entry, once trimmed and in NFC",
        table.len() - normal.len()
    );
    problems.push(Problem::new("remote_id.table", message));
    None
}

/// A value of the configuration; the fragment that tells why it is none never repeats it.
fn constant_value(
    json: &Json,
    kind: &Kind,
    max_chars: Option<usize>,
    forms: &Forms,
) -> Result<Value, String> {
    let read = |text: &str| {
        read_value(kind, max_chars, &normalise(text), forms).map_err(|problem| problem.to_string())
    };
    match (kind, json) {
        (_, Json::Null | Json::Object(_)) => {
            Err("is not a text, a boolean, a number or a list".to_owned())
        }
        (Kind::SetOf(member), Json::Array(items)) => items
            .iter()
            .map(|item| constant_value(item, member, max_chars, forms))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::set),
        (Kind::SetOf(member), item) => {
            constant_value(item, member, max_chars, forms).map(|value| Value::set([value]))
        }
        (_, Json::Array(_)) => Err("is a list, and the attribute takes one value".to_owned()),
        (_, Json::String(text)) => read(text),
        (Kind::Flag, Json::Bool(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Integer { .. } | Kind::Number(_), Json::Number(number)) => read(&number.to_string()),
        (Kind::Decimal, Json::Number(number)) => {
            number.as_f64().and_then(Value::number).ok_or_else(|| ValueProblem::Decimal.to_string())
        }
        (_, Json::Bool(_)) => Err("is a boolean, and the attribute is not".to_owned()),
        (_, Json::Number(_)) => {
            Err("is a number, and the attribute is not; write a text in quotes".to_owned())
        }
    }
}
