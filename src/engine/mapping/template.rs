//! Templates and the scope: the part of the mapping that is written in Jinja.
//!
//! They see the record's columns as trimmed NFC texts and nothing else: no other template, no
//! file, no function with an effect; an undefined name is an error, and the steps are counted.
//! Only columns that were recognised when compiling are there, since only those are part of a
//! record's fingerprint.

use super::names::{self, Names};
use crate::{
    engine::value_rules::normalise,
    model::{AttrPath, Record},
};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, Value, escape_formatter,
    value::ValueKind,
};
use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

/// Instructions that one evaluation may take: a hundred times what a long rule needs.
const FUEL: u64 = 50_000;
/// Functions that templates may call; anything else that is called is a mistake.
const FUNCTIONS: [&str; 3] = ["dict", "namespace", "range"];
const SCOPE: &str = "scope";

/// All templates of one mapping, by attribute.
pub(super) struct Templates {
    environment: Environment<'static>,
    columns: BTreeSet<String>,
}

/// The templates with one record; what they see is gathered when the first is rendered.
pub(super) struct Texts<'a> {
    templates: &'a Templates,
    record: &'a Record,
    seen: OnceCell<Value>,
}

/// The expression that says whether a tenant takes a user.
pub(super) struct Scope {
    environment: Environment<'static>,
    columns: BTreeSet<String>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = environment();
        environment.set_formatter(|output, state, value| {
            match value.kind() {
                // It would be written as a word.
                ValueKind::None => Err(Error::from(ErrorKind::UndefinedError)),
                ValueKind::Bool => write(output, if value.is_true() { "true" } else { "false" }),
                _ => escape_formatter(output, state, value),
            }
        });
        Self { environment, columns: BTreeSet::new() }
    }

    /// Takes the template in and tells its columns.
    ///
    /// # Errors
    /// What is wrong with it, as fragments.
    pub(super) fn add(&mut self, path: &AttrPath, text: &str) -> Result<Vec<String>, Vec<String>> {
        self.environment
            .add_template_owned(path.as_str().to_owned(), text.to_owned())
            .map_err(|error| vec![syntax_problem(&error)])?;
        let template = self.environment.get_template(path.as_str()).map_err(|e| vec![told(&e)])?;
        let undeclared = template.undeclared_variables(false);
        let names = names::of_template(text);
        let columns = checked(&self.environment, &names, undeclared)?;
        let sample = context(&columns, |_| Some("x"));
        if let Err(error) = template.render(sample)
            && is_of_the_text(error.kind())
        {
            return Err(vec![told(&error)]);
        }
        self.columns.extend(columns.iter().cloned());
        Ok(columns.into_iter().collect())
    }

    pub(super) fn of<'a>(&'a self, record: &'a Record) -> Texts<'a> {
        Texts { templates: self, record, seen: OnceCell::new() }
    }
}

impl Texts<'_> {
    /// # Errors
    /// What went wrong, without any of the record's content.
    pub(super) fn render(&self, path: &AttrPath) -> Result<String, &'static str> {
        let Templates { environment, columns } = self.templates;
        let seen = self.seen.get_or_init(|| context(columns, |name| cell(self.record, name)));
        environment
            .get_template(path.as_str())
            .and_then(|template| template.render(seen.clone()))
            .map_err(|error| fault(&error))
    }
}

impl Scope {
    /// # Errors
    /// What is wrong with the expression, as fragments.
    pub(super) fn compile(expression: &str) -> Result<Self, Vec<String>> {
        let mut environment = environment();
        let parsed = environment
            .compile_expression_owned(expression.to_owned())
            .map_err(|error| vec![syntax_problem(&error)])?;
        let undeclared = parsed.undeclared_variables(false);
        let columns = checked(&environment, &names::of_expression(expression), undeclared)?;
        drop(parsed);
        // An expression cannot be kept beside its environment, so it becomes a template that
        // writes what it found. A text is not a yes or no: the word "false" would be true.
        environment.set_formatter(|output, _, value| {
            let word = match value.kind() {
                ValueKind::Bool if value.is_true() => "true",
                ValueKind::Bool => "false",
                _ => "neither",
            };
            write(output, word)
        });
        environment
            .add_template_owned(SCOPE, format!("{{{{ {expression} }}}}"))
            .map_err(|error| vec![syntax_problem(&error)])?;
        let scope = Self { environment, columns };
        scope.try_out()?;
        Ok(scope)
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &String> {
        self.columns.iter()
    }

    /// # Errors
    /// Why it does not say, without any of the record's content.
    pub(super) fn takes(&self, record: &Record) -> Result<bool, &'static str> {
        let word = self.word(|name| cell(record, name)).map_err(|error| fault(&error))?;
        match word.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(NEITHER),
        }
    }

    /// With every cell empty, and with every cell filled.
    fn try_out(&self) -> Result<(), Vec<String>> {
        for sample in ["", "x"] {
            match self.word(|_| Some(sample)) {
                Ok(word) if word == "neither" => return Err(vec![NEITHER.to_owned()]),
                Err(error) if is_of_the_text(error.kind()) => return Err(vec![told(&error)]),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn word<'a>(&self, cell: impl Fn(&str) -> Option<&'a str>) -> Result<String, Error> {
        self.environment.get_template(SCOPE)?.render(context(&self.columns, cell))
    }
}

fn write(output: &mut Output<'_>, word: &str) -> Result<(), Error> {
    output.write_str(word).map_err(|_| Error::from(ErrorKind::WriteFailure))
}

const NEITHER: &str = "it is neither true nor false; compare, as in `active == 'yes'`";

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // It writes out everything that the template sees.
    environment.remove_global("debug");
    environment
}

/// The columns as bare names, and all of them once more in `row`.
fn context<'a>(columns: &BTreeSet<String>, cell: impl Fn(&str) -> Option<&'a str>) -> Value {
    let text = |name: &String| Some((name.clone(), Value::from(normalise(cell(name)?).as_ref())));
    let texts: BTreeMap<String, Value> = columns.iter().filter_map(text).collect();
    let row = Value::from_pairs(texts.clone());
    Value::from_pairs(texts.into_iter().chain([("row".to_owned(), row)]))
}

fn cell<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.fields.get(name)
}

/// The columns, once every other name is one that exists.
fn checked(
    environment: &Environment<'_>,
    names: &Names,
    undeclared: impl IntoIterator<Item = String>,
) -> Result<BTreeSet<String>, Vec<String>> {
    let mut problems = Vec::new();
    let exists = |name: &str, what: &str| {
        let question = format!("'{name}' is {what}");
        let answer =
            environment.compile_expression(&question).and_then(|e| e.eval(Value::UNDEFINED));
        answer.is_ok_and(|value| value.is_true())
    };
    for filter in names.filters.iter().filter(|name| !exists(name, "filter")) {
        problems.push(format!("there is no filter `{filter}`"));
    }
    for test in names.tests.iter().filter(|name| !exists(name, "test")) {
        problems.push(format!("there is no test `{test}`"));
    }
    for function in names.functions.iter().filter(|name| !FUNCTIONS.contains(&name.as_str())) {
        problems.push(format!("there is no function `{function}`; filters are written `x|name`"));
    }
    for method in &names.methods {
        problems.push(format!("there is no method `.{method}()`; filters are written `x|name`"));
    }
    if names.row_without_name {
        problems.push("`row` needs a column's name in quotes: `row[\"Employee ID\"]`".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let is_column = |name: &String| name != "row" && !names.functions.contains(name);
    Ok(names.columns.iter().cloned().chain(undeclared).filter(is_column).collect())
}

/// A mistake in the text itself, whatever the cells hold.
fn is_of_the_text(kind: ErrorKind) -> bool {
    use ErrorKind::{
        MissingArgument, TooManyArguments, UnknownFilter, UnknownFunction, UnknownMethod,
        UnknownTest,
    };
    [MissingArgument, TooManyArguments, UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest]
        .contains(&kind)
}

/// For the configuration: no record was seen yet, so the library may tell its details.
fn syntax_problem(error: &Error) -> String {
    let detail = error.detail().unwrap_or("it cannot be read");
    match error.line() {
        Some(line) if line > 1 => format!("in line {line} of the text: {detail}"),
        _ => detail.to_owned(),
    }
}

fn told(error: &Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// For a record: the library's own details may repeat a cell, so they are not used.
fn fault(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::UndefinedError => "it uses something that is not defined for this row",
        ErrorKind::OutOfFuel => "it takes too many steps",
        ErrorKind::InvalidOperation | ErrorKind::NonPrimitive => {
            "an operation does not fit what the cells hold"
        }
        _ => "it cannot be evaluated for this row",
    }
}
