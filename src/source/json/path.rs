//! Paths into a JSON value, in a part of what RFC 9535 (`JSONPath`) describes.
//!
//! | written | leads to |
//! |---|---|
//! | `a.b`, `$.a.b` | a member of a member |
//! | `['a b']` | a member whose name is not letters, digits and `_` |
//! | `a[0]` | an element, counted from 0 |
//! | `a[*]` | every element |
//! | `a[?@.type=='work']`, `a[?(@.type=='work' && @.primary)]` | the elements that match |
//!
//! A filter compares with `==` or `!=`, or asks whether something is there; `&&` joins such questions.

use super::node::Node;
use std::{cmp::Ordering, fmt};

/// A path that was understood. It is shown, and fingerprinted, as it was written: what a filter
/// compares with is configuration and no value of a person.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    pub(super) steps: Vec<Step>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(usize),
    Each,
    Matching(Vec<Question>),
}

/// About an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    names: Vec<String>,
    /// What it is compared with, and whether it should be equal. `None`: it should be there.
    answer: Option<(Node, bool)>,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a path: {why}, at character {at}")]
pub struct PathError {
    pub why: &'static str,
    /// Counted from 1.
    pub at: usize,
}

/// How far a path led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A member on the way is not there.
    Missing,
    /// To what it names, or to a null or a list that is too short on the way.
    There,
    /// Something on the way is of another kind than the path says.
    Misfit,
}

impl Path {
    /// # Errors
    /// Where the text stops to be a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut parser = Parser { text, at: 0 };
        let steps = parser.path()?;
        Ok(Self { steps, text: text.to_owned() })
    }

    /// It may lead to several places.
    pub(super) fn is_many(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Each))
    }

    /// It leads to one member by the names of objects alone, and to no more than that.
    #[must_use]
    pub fn is_by_names(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| matches!(step, Step::Name(_)))
    }

    /// Several elements may match, of which the first is meant where one is wanted.
    pub(super) fn is_filtered(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Matching(_)))
    }

    /// Hands over what it leads to; with `first`, only of the first element that matches.
    pub fn follow<'n>(&self, node: &'n Node, first: bool, take: &mut dyn FnMut(&'n Node)) -> Reach {
        follow(&self.steps, node, first, take)
    }

    /// The one place that it leads to, if it does.
    #[must_use]
    pub fn find<'n>(&self, node: &'n Node) -> Option<&'n Node> {
        let mut found = None;
        self.follow(node, true, &mut |node| {
            found.get_or_insert(node);
        });
        found
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn follow<'n>(
    steps: &[Step],
    node: &'n Node,
    first: bool,
    take: &mut dyn FnMut(&'n Node),
) -> Reach {
    let Some((step, rest)) = steps.split_first() else {
        take(node);
        return Reach::There;
    };
    match (step, node) {
        (_, Node::Null) => Reach::There,
        (Step::Name(name), Node::Object(_)) => match node.get(name) {
            Some(member) => follow(rest, member, first, take),
            None => Reach::Missing,
        },
        (Step::Index(at), Node::List(items)) => match items.get(*at) {
            Some(item) => follow(rest, item, first, take),
            None => Reach::There,
        },
        (Step::Each, Node::List(items)) => follow_each(rest, items.iter(), first, take),
        (Step::Matching(questions), Node::List(items)) => {
            let matches = |item: &&Node| questions.iter().all(|question| question.holds(item));
            let count = if first { 1 } else { usize::MAX };
            follow_each(rest, items.iter().filter(matches).take(count), first, take)
        }
        (Step::Name(_) | Step::Index(_) | Step::Each | Step::Matching(_), _) => Reach::Misfit,
    }
}

/// That some elements lack what others have does not matter.
fn follow_each<'n>(
    rest: &[Step],
    items: impl Iterator<Item = &'n Node>,
    first: bool,
    take: &mut dyn FnMut(&'n Node),
) -> Reach {
    let mut reach = Reach::There;
    for item in items {
        if follow(rest, item, first, take) == Reach::Misfit {
            reach = Reach::Misfit;
        }
    }
    reach
}

impl Question {
    fn holds(&self, item: &Node) -> bool {
        let found = self.names.iter().try_fold(item, |node, name| node.get(name));
        match (&self.answer, found) {
            (None, found) => found.is_some(),
            (Some((_, equal)), None) => !equal,
            (Some((answer, equal)), Some(found)) => is_same(answer, found) == *equal,
        }
    }
}

/// RFC 9535 §2.3.5.2.2: numbers are compared as numbers, and `1` is `1.0`.
fn is_same(a: &Node, b: &Node) -> bool {
    match (a, b) {
        (Node::Number(a), Node::Number(b)) if a != b => {
            // Digits that a double cannot tell apart are told apart as text.
            let short = a.len().max(b.len()) <= 15;
            let order = |a: f64, b: f64| a.partial_cmp(&b);
            let order = a.parse().ok().zip(b.parse().ok()).and_then(|(a, b)| order(a, b));
            short && order == Some(Ordering::Equal)
        }
        (a, b) => a == b,
    }
}

struct Parser<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
}

impl Parser<'_> {
    fn path(&mut self) -> Result<Vec<Step>, PathError> {
        let mut steps = Vec::new();
        let rooted = self.accept("$");
        if !rooted && self.name_starts() {
            steps.push(Step::Name(self.name()?));
        }
        while !self.rest().is_empty() {
            steps.push(self.step()?);
        }
        if steps.is_empty() && !rooted {
            return Err(self.error("it is empty"));
        }
        Ok(steps)
    }

    fn step(&mut self) -> Result<Step, PathError> {
        if self.accept("[*]") || self.accept(".*") {
            return Ok(Step::Each);
        }
        if self.accept("[?") {
            return self.filter();
        }
        if self.accept("[") {
            let step = match self.peek() {
                Some('\'' | '"') => Step::Name(self.quoted()?),
                Some('0'..='9') => Step::Index(self.index()?),
                _ => return Err(self.error("an index, `*`, `?` or a quoted name is due")),
            };
            self.expect("]", "`]` is due")?;
            return Ok(step);
        }
        self.expect(".", "`.` or `[` is due")?;
        self.name().map(Step::Name)
    }

    /// After `[?`, up to and with `]`.
    fn filter(&mut self) -> Result<Step, PathError> {
        self.blanks();
        let enclosed = self.accept("(");
        let mut questions = vec![self.question()?];
        while self.accept("&&") {
            questions.push(self.question()?);
        }
        if enclosed {
            self.expect(")", "`)` is due")?;
            self.blanks();
        }
        self.expect("]", "`]` is due")?;
        Ok(Step::Matching(questions))
    }

    fn question(&mut self) -> Result<Question, PathError> {
        self.blanks();
        self.expect("@", "`@` is due")?;
        let mut names = Vec::new();
        loop {
            if self.accept(".") {
                names.push(self.name()?);
            } else if self.rest().starts_with("['") || self.rest().starts_with("[\"") {
                self.at += 1;
                names.push(self.quoted()?);
                self.expect("]", "`]` is due")?;
            } else {
                break;
            }
        }
        self.blanks();
        let equal = if self.accept("==") { Some(true) } else { self.accept("!=").then_some(false) };
        let answer = match equal {
            Some(equal) => Some((self.literal()?, equal)),
            None => None,
        };
        self.blanks();
        Ok(Question { names, answer })
    }

    fn literal(&mut self) -> Result<Node, PathError> {
        self.blanks();
        for (word, node) in
            [("true", Node::Flag(true)), ("false", Node::Flag(false)), ("null", Node::Null)]
        {
            if self.accept(word) {
                return Ok(node);
            }
        }
        if matches!(self.peek(), Some('\'' | '"')) {
            return self.quoted().map(Node::Text);
        }
        let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let number = self.take_while(is_number);
        if number.parse::<f64>().is_err() {
            return Err(self.error("a quoted text, a number, true, false or null is due"));
        }
        Ok(Node::Number(number))
    }

    fn name_starts(&self) -> bool {
        self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii())
    }

    fn name(&mut self) -> Result<String, PathError> {
        if !self.name_starts() {
            return Err(self.error("a name is due; one of other letters is written ['…']"));
        }
        Ok(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()))
    }

    fn index(&mut self) -> Result<usize, PathError> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| self.error("the index is too large"))
    }

    /// With its quotation marks; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String, PathError> {
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, c)| c);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            if Some(c) == quote {
                self.at += at + 1;
                return Ok(text);
            }
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err(self.error("the quotation mark that opens here is never closed"))
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn blanks(&mut self) {
        self.take_while(|c| c == ' ');
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn accept(&mut self, token: &str) -> bool {
        let accepted = self.rest().starts_with(token);
        self.at += if accepted { token.len() } else { 0 };
        accepted
    }

    fn expect(&mut self, token: &str, why: &'static str) -> Result<(), PathError> {
        if self.accept(token) { Ok(()) } else { Err(self.error(why)) }
    }

    fn error(&self, why: &'static str) -> PathError {
        PathError { why, at: self.text[..self.at].chars().count() + 1 }
    }
}
