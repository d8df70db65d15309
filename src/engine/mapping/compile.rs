//! Settings to mapping: every check that does not need a record, all problems in one go.

use super::{
    IdSource, Mapping,
    constant::constant_value,
    digest,
    rule::{Rule, Source},
    settings::{MappingSettings, OnEmpty, RuleSettings},
    tables::{id_source, lookup_table},
    template::{Scope, Templates},
};
use crate::{
    engine::value_rules::{Forms, date_format_problem, normalise, phone_region_problem},
    model::{AttrPath, Attribute, Capabilities, Kind, Problem},
};
use std::collections::BTreeSet;

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
    let link = link(&remote_id.link, &rules, capabilities, &mut problems);
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
        link,
        creates: false,
        required,
    })
}

/// Ways to look for users: each offered by the API, and with a rule that says the value.
fn link(
    paths: &[String],
    rules: &[Rule],
    capabilities: &Capabilities,
    problems: &mut Vec<Problem>,
) -> Vec<AttrPath> {
    let finds = &capabilities.life.finds;
    let mut link: Vec<AttrPath> = Vec::new();
    for path in paths.iter().map(|path| AttrPath::new(path)) {
        if !finds.contains(&path) {
            let offered: Vec<&str> = finds.iter().map(AttrPath::as_str).collect();
            let offers = match offered.as_slice() {
                [] => "the API offers no look-up; name the ids by `column` or `file`".to_owned(),
                offered => format!("the API looks users up by `{}`", offered.join("`, `")),
            };
            let why = format!("has `{path}`, by which no user can be looked up");
            problems.push(Problem::new("remote_id.link", why).hint(offers));
        } else if !rules.iter().any(|rule| rule.path == path) {
            let why = format!("has `{path}`, which is not mapped");
            let hint = "add a rule for it, so that it is known what to look for";
            problems.push(Problem::new("remote_id.link", why).hint(hint));
        } else if !link.contains(&path) {
            link.push(path);
        }
    }
    link
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
        IdSource::Table(_) | IdSource::Nowhere => None,
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
        template, split, reference, lookup, on_empty, optional, case, on_drift, ..
    } = settings;
    let path = AttrPath::new(path);
    check_one_source(settings, problems);
    check_constant_alone(settings, problems);
    check_not_blank(settings, problems);
    let columns = template.as_ref().and_then(|text| {
        let told = |fragment| Problem::new("template", fragment);
        let added = templates.add(&path, text);
        added.map_err(|fragments| problems.extend(fragments.into_iter().map(told))).ok()
    });
    let Some(attribute) = capabilities.attributes.get(&path) else {
        problems.push(unknown_attribute(&path, capabilities));
        return None;
    };
    check_on_empty(*on_empty, &path, attribute, problems);
    check_reference(settings, &attribute.kind, problems);
    if split.is_some() && !matches!(attribute.kind, Kind::SetOf(_)) {
        let message = format!("`{path}` takes one value, not a set");
        problems.push(Problem::new("split", message).hint("take `split` out"));
    }
    let forms = forms(settings, &attribute.kind, problems);
    let lookup =
        lookup.as_ref().map(|settings| lookup_table(settings, *case, attribute, &forms, problems));
    Some(Rule {
        source: source(settings, columns, attribute, &forms, problems)?,
        path,
        kind: attribute.kind.clone(),
        max_chars: attribute.max_chars,
        split: split.clone(),
        reference: *reference,
        lookup,
        on_empty: *on_empty,
        optional: *optional,
        case: *case,
        on_drift: *on_drift,
        forms,
    })
}

/// `columns`: those of the template.
fn source(
    settings: &RuleSettings,
    columns: Option<Vec<String>>,
    attribute: &Attribute,
    forms: &Forms,
    problems: &mut Vec<Problem>,
) -> Option<Source> {
    let RuleSettings { column, constant, .. } = settings;
    match (column, constant, columns) {
        (Some(column), _, _) => Some(Source::Column(column.clone())),
        (None, Some(json), _) => constant_value(json, &attribute.kind, attribute.max_chars, forms)
            .map_err(|fragment| problems.push(Problem::new("constant", fragment)))
            .map(Source::Constant)
            .ok(),
        (None, None, columns) => columns.map(|columns| Source::Template { columns }),
    }
}

fn check_not_blank(settings: &RuleSettings, problems: &mut Vec<Problem>) {
    if settings.column.as_ref().is_some_and(|name| name.trim().is_empty()) {
        problems.push(Problem::new("column", "is empty"));
    }
    if settings.split.as_ref().is_some_and(String::is_empty) {
        problems.push(Problem::new("split", "is empty").hint("give a separator such as `;`"));
    }
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

/// An id stands for one account, as it is.
fn check_reference(settings: &RuleSettings, kind: &Kind, problems: &mut Vec<Problem>) {
    let RuleSettings { column, reference, split, lookup, .. } = settings;
    if !*reference {
        return;
    }
    let can_hold = matches!(kind, Kind::Text | Kind::Uuid | Kind::Integer { .. });
    let is_alone = split.is_none() && lookup.is_none();
    if column.is_none() || !is_alone || !can_hold {
        let message = "needs a `column` with one other user's key, and an attribute for one id";
        let hint = "take `split` and `lookup` out, or `reference`";
        problems.push(Problem::new("reference", message).hint(hint));
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
