//! The digest of a mapping: when it moves, every user is mapped again.

use super::settings::{LookupSettings, MappingSettings, RemoteIdSettings, RuleSettings};
use crate::model::{AttrPath, Attribute, Capabilities, Fingerprint, OnDrift};

/// To be raised when the same settings come to mean something else.
const MEANING: &str = "1";

/// Of all settings, the tables that were read from files included, and of the catalogue's rules for
/// the mapped attributes.
pub(super) fn digest(settings: &MappingSettings, capabilities: &Capabilities) -> Fingerprint {
    let MappingSettings { map, scope, remote_id } = settings;
    let mut parts = Parts::default();
    parts.text(MEANING);
    parts.option(scope.as_deref());
    parts.remote_id(remote_id);
    parts.count(map.len());
    for (path, rule) in map {
        parts.text(path);
        parts.rule(rule);
        parts.attribute(capabilities.attributes.get(&AttrPath::new(path)));
    }
    Fingerprint::of(parts.0.iter().map(|part| part.as_deref()))
}

/// Every list is preceded by its length, so that nothing can move across a border unseen.
#[derive(Default)]
struct Parts(Vec<Option<String>>);

impl Parts {
    fn text(&mut self, text: impl Into<String>) {
        self.0.push(Some(text.into()));
    }

    fn option(&mut self, text: Option<&str>) {
        self.0.push(text.map(str::to_owned));
    }

    fn count(&mut self, count: usize) {
        self.text(count.to_string());
    }

    fn list<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a String>) {
        self.count(texts.len());
        texts.for_each(|text| self.text(text));
    }

    fn rule(&mut self, rule: &RuleSettings) {
        let RuleSettings {
            column,
            constant,
            template,
            split,
            reference,
            lookup,
            on_empty,
            optional,
            case,
            date_format,
            true_values,
            false_values,
            on_drift,
            phone_region,
        } = rule;
        self.option(column.as_deref());
        self.option(constant.as_ref().map(ToString::to_string).as_deref());
        self.option(template.as_deref());
        self.option(split.as_deref());
        self.text(format!("{on_empty:?} {optional} {case:?}"));
        // Only where it is not as it is everywhere: the digests of other mappings stay.
        if *on_drift != OnDrift::Overwrite {
            self.text(on_drift.to_string());
        }
        // Only where there is one: the digests of other mappings stay.
        if *reference {
            self.text("reference");
        }
        self.option(date_format.as_deref());
        self.list(true_values.iter());
        self.list(false_values.iter());
        self.option(phone_region.as_deref());
        match lookup {
            Some(lookup) => self.lookup(lookup),
            None => self.option(None),
        }
    }

    /// Where a table came from changes nothing; what it says does.
    fn lookup(&mut self, lookup: &LookupSettings) {
        let LookupSettings { file: _, key: _, value: _, table, on_missing } = lookup;
        self.text(format!("{on_missing:?}"));
        self.list(table.keys());
        self.list(table.values());
    }

    fn remote_id(&mut self, remote_id: &RemoteIdSettings) {
        let RemoteIdSettings { column, file: _, key: _, value: _, table, link } = remote_id;
        self.option(column.as_deref());
        self.list(table.keys());
        self.list(table.values());
        // Without it all is as it was before there was any, and nobody has to be looked at again.
        if !link.is_empty() {
            self.list(link.iter());
        }
    }

    fn attribute(&mut self, attribute: Option<&Attribute>) {
        let Some(Attribute {
            kind,
            max_chars,
            clearable: _,
            shown_in_answer: _,
            weight: _,
            disables: _,
        }) = attribute
        else {
            return self.option(None);
        };
        self.text(format!("{kind:?} {max_chars:?}"));
    }
}
