//! Which names a Jinja text uses, and as what.
//!
//! Minijinja tells the undeclared variables of a template, but not those within a slice
//! (`given_name[:1]`), nor any filter or test; and a column that is used without being known here
//! would change without its fingerprint changing. So the text, which minijinja has found to be
//! valid before, is scanned once more for words.

use std::collections::BTreeSet;

/// Names by what they are used as.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Bare words, and what stands in `row["…"]` or after `row.`.
    pub(super) columns: BTreeSet<String>,
    pub(super) filters: BTreeSet<String>,
    pub(super) tests: BTreeSet<String>,
    pub(super) functions: BTreeSet<String>,
    pub(super) methods: BTreeSet<String>,
    /// The text's own variables, by `set`, `for` and `with`.
    own: BTreeSet<String>,
    /// What stands in `row["…"]` or after `row.`, until it joins the columns.
    row_columns: BTreeSet<String>,
    /// `row` stands somewhere without a quoted name behind it.
    pub(super) row_without_name: bool,
}

/// Words of the language that can stand where a name can.
const NO_NAMES: [&str; 16] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "true",
    "True",
    "false",
    "False",
    "none",
    "None",
    "recursive",
    "loop",
    "self",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Number,
    Sign(char),
}

/// Of an expression: `country in ['DE', 'FR']`.
pub(super) fn of_expression(expression: &str) -> Names {
    let mut names = Names::default();
    names.take_in(&tokens(expression).0);
    names.without_own()
}

/// Of a template: `{{ given_name }} {{ family_name }}`.
pub(super) fn of_template(mut template: &str) -> Names {
    let mut names = Names::default();
    while let Some(start) = template.find("{{").into_iter().chain(template.find("{%")).min() {
        let comment = template.find("{#").filter(|comment| *comment < start);
        if let Some(comment) = comment {
            template = after(&template[comment..], "#}");
            continue;
        }
        let is_statement = template[start..].starts_with("{%");
        let (tokens, rest) = tokens(&template[start + 2..]);
        let words = tokens.iter().filter(|token| matches!(token, Token::Word(_)));
        let is_raw = is_statement && words.eq([&Token::Word("raw")]);
        template = if is_raw { after(after(rest, "endraw"), "%}") } else { rest };
        if is_statement {
            names.take_in_statement(&tokens);
        } else {
            names.take_in(&tokens);
        }
    }
    names.without_own()
}

fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

impl Names {
    fn take_in_statement(&mut self, tokens: &[Token<'_>]) {
        let Some(first) = tokens.iter().position(|token| matches!(token, Token::Word(_))) else {
            return;
        };
        let (keyword, rest) = (tokens[first], &tokens[first + 1..]);
        let until = |end| rest.iter().position(|token| *token == end).unwrap_or(rest.len());
        match keyword {
            Token::Word("for") => {
                let (targets, iterated) = rest.split_at(until(Token::Word("in")));
                self.own(targets);
                self.take_in(iterated);
            }
            Token::Word("set") => {
                let end = until(Token::Sign('=')).min(until(Token::Sign('|')));
                let (targets, value) = rest.split_at(end);
                self.own(targets);
                self.take_in(value);
            }
            Token::Word("with") => {
                // Arguments have the form of an assignment too; taking them for one hides a column
                // of that name within a slice only, which then fails loudly.
                let assigned = rest.windows(2).filter(|pair| pair[1] == Token::Sign('='));
                self.own(&assigned.map(|pair| pair[0]).collect::<Vec<_>>());
                self.take_in(rest);
            }
            Token::Word("filter") => {
                let piped: Vec<_> = [&[Token::Sign('|')], rest].concat();
                self.take_in(&piped);
            }
            _ => self.take_in(rest),
        }
    }

    fn own(&mut self, targets: &[Token<'_>]) {
        self.own.extend(targets.iter().filter_map(|token| match token {
            Token::Word(word) => Some((*word).to_owned()),
            Token::Text(_) | Token::Number | Token::Sign(_) => None,
        }));
    }

    fn take_in(&mut self, tokens: &[Token<'_>]) {
        use Token::{Sign, Text, Word};
        for (at, token) in tokens.iter().enumerate() {
            let Word(word) = *token else { continue };
            let (before, behind) = (&tokens[..at], &tokens[at + 1..]);
            let is_called = behind.first() == Some(&Sign('('));
            match (before, behind) {
                ([.., Sign('|')], _) => self.filters.insert(word.to_owned()),
                ([.., Word("is")] | [.., Word("is"), Word("not")], _) if word != "not" => {
                    self.tests.insert(word.to_owned())
                }
                ([.., Word("loop"), Sign('.')], _) => false,
                ([.., Sign('.')], _) if is_called => self.methods.insert(word.to_owned()),
                ([.., Word("row"), Sign('.')], _) => self.row_columns.insert(word.to_owned()),
                ([.., Sign('.')], _) => false,
                _ if NO_NAMES.contains(&word) => false,
                _ if is_called => self.functions.insert(word.to_owned()),
                (_, [Sign('='), Sign('='), ..]) => self.columns.insert(word.to_owned()),
                (_, [Sign('='), ..]) => false,
                (_, [Sign('['), Text(name), Sign(']'), ..]) if word == "row" => {
                    self.row_without_name |= name.contains('\\');
                    self.row_columns.insert((*name).to_owned())
                }
                (_, [Sign('.'), ..]) if word == "row" => false,
                _ if word == "row" => {
                    self.row_without_name = true;
                    false
                }
                _ => self.columns.insert(word.to_owned()),
            };
        }
    }

    fn without_own(mut self) -> Self {
        self.columns.retain(|column| !self.own.contains(column));
        self.columns.append(&mut self.row_columns);
        self
    }
}

/// The tokens up to the end of the expression or statement, and the text behind it.
fn tokens(mut text: &str) -> (Vec<Token<'_>>, &str) {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    loop {
        text = text.trim_start();
        let Some(first) = text.chars().next() else { return (tokens, "") };
        if depth == 0 && (text.starts_with("}}") || text.starts_with("%}")) {
            return (tokens, &text[2..]);
        }
        let (token, length) = match first {
            '"' | '\'' => quoted(text, first),
            '0'..='9' => (Token::Number, number_length(text)),
            _ if is_word(first) => {
                let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
                (Token::Word(&text[..length]), length)
            }
            _ => (Token::Sign(first), first.len_utf8()),
        };
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
            Token::Word(_) | Token::Text(_) | Token::Number | Token::Sign(_) => {}
        }
        tokens.push(token);
        text = &text[length..];
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The quoted text without its quotes, escapes as they stand.
fn quoted(text: &str, quote: char) -> (Token<'_>, usize) {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return (Token::Text(&text[1..at]), at + 1),
            _ => {}
        }
    }
    (Token::Text(&text[1..]), text.len())
}

/// A point belongs to the number only where a digit follows.
fn number_length(text: &str) -> usize {
    let whole = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let fraction = text[whole..].strip_prefix('.').unwrap_or_default();
    let digits = fraction.find(|c| !is_word(c)).unwrap_or(fraction.len());
    let is_fraction = fraction.starts_with(|c: char| c.is_ascii_digit());
    if is_fraction { whole + 1 + digits } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &Names) -> Vec<&str> {
        names.columns.iter().map(String::as_str).collect()
    }

    #[test]
    fn every_column_of_a_template_is_found_wherever_it_stands() {
        for (template, expected) in [
            ("{{ a }} {{ b }}", vec!["a", "b"]),
            ("{{ a[:1] ~ b[c:d] }}", vec!["a", "b", "c", "d"]),
            ("{{ (a|lower)[:3] }}", vec!["a"]),
            (
                "{{ row[\"Employee ID\"] }}{{ row['x}}y'][:2] }}{{ row.z }}",
                vec!["Employee ID", "x}}y", "z"],
            ),
            (
                "{% if a == 'x' and b is not defined %}{{ c }}{% else %}{{ d }}{% endif %}",
                vec!["a", "b", "c", "d"],
            ),
            (
                "{% for w in words|split(sep) %}{{ w[:1] }}{{ loop.index }}{% endfor %}",
                vec!["sep", "words"],
            ),
            ("{% set x = a|upper %}{{ x[:2] }}", vec!["a"]),
            ("{%- set x, y = a, b -%}{{ x[y:] }}", vec!["a", "b"]),
            ("{% with p = a %}{{ p }}{% endwith %}", vec!["a"]),
            ("{% filter replace(a, '') %}{{ b }}{% endfilter %}", vec!["a", "b"]),
            ("{% raw %}{{ no }}{% endraw %}{# {{ no }} #}{{ yes }}", vec!["yes"]),
            ("{{ {'k': {'l': a}}['k'] }} {{ b }}", vec!["a", "b"]),
            ("{{ a if b in ['c', \"d\\\"e\"] else 1.5 }}", vec!["a", "b"]),
            ("{{ a|default(value='x', boolean=true) }}", vec!["a"]),
            ("plain", vec![]),
        ] {
            assert_eq!(columns(&of_template(template)), expected, "{template}");
        }
    }

    #[test]
    fn filters_tests_functions_and_methods_are_told_apart() {
        let names = of_expression("a|lower|first is starting and b is not odd and f(c.strip())");
        assert_eq!(columns(&names), ["a", "b", "c"]);
        assert_eq!(names.filters.len() + names.tests.len(), 4);
        assert!(names.tests.contains("odd") && names.tests.contains("starting"));
        assert!(names.functions.contains("f") && names.methods.contains("strip"));
    }

    #[test]
    fn a_row_without_a_quoted_name_is_noticed() {
        assert!(of_expression("row[a] == 'x'").row_without_name);
        assert!(of_expression("row|length").row_without_name);
        assert!(!of_expression("row['a'] == 'x' and row.b == 'y'").row_without_name);
    }
}
