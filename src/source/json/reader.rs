//! Reads JSON as RFC 8259 has it, and refuses what readers make different things of: a name that comes
//! twice in an object, text that is not UTF-8, lone surrogates, and anything after the end.

use super::{
    node::Node,
    path::{Path, PathError, Step},
    pointer::{escaped, shown},
};
use crate::{
    model::{Code, Finding, Place, Severity},
    source::{codes, findings::Refused, input},
};
use std::{cell::Cell, collections::HashSet, io, io::Read, rc::Rc};
use struson::reader::{
    JsonReader, JsonStreamReader, ReaderError, ReaderSettings, SyntaxErrorKind, ValueType,
};

/// Objects and lists within one another.
const DEPTH_MAX: u32 = 64;
/// One element, or everything beside the elements. A row is held to 1 MiB.
pub(super) const ELEMENT_BYTES_MAX: u64 = 4 << 20;
/// Elements that are kept of a list beside the records.
const KEPT_BESIDE: usize = 64;
/// Names in an object up to which each is compared with each.
const FEW_NAMES: usize = 16;

const LEADS_THERE: &str = "see whether `records` leads to the list of people";

/// Where the records stand in a document: a list, reached by names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    names: Vec<String>,
}

/// What is no JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct JsonError {
    pub why: String,
    pub hint: String,
    /// RFC 6901.
    pub pointer: String,
    /// Counted from 1.
    pub line: u64,
    pub column: u64,
    pub code: Code,
}

impl Records {
    /// A path such as `$.data[*]`, `data`, or `$` for a document that is a list itself.
    ///
    /// # Errors
    /// When the text is no path, or one with a filter or an index.
    pub fn at(text: &str) -> Result<Self, PathError> {
        let mut steps = Path::parse(text)?.steps;
        steps.pop_if(|step| *step == Step::Each);
        let name = |step| match step {
            Step::Name(name) => Ok(name),
            Step::Index(_) | Step::Each | Step::Matching(_) => {
                Err(PathError { why: "only names lead to the list of the records", at: 1 })
            }
        };
        Ok(Self { names: steps.into_iter().map(name).collect::<Result<_, _>>()? })
    }

    /// The list's place, by RFC 6901.
    #[must_use]
    pub fn pointer(&self) -> String {
        self.names.iter().flat_map(|name| ["/".to_owned(), escaped(name)]).collect()
    }

    /// Reads a whole document, and hands over each element of the list with its number, from 0. What
    /// stands beside the list is returned, with the list left empty, and long lists cut: the next
    /// page's address and the number of all records are there.
    ///
    /// # Errors
    /// When the document is not to be believed, and whatever `take` says.
    pub fn read(
        &self,
        input: impl Read,
        take: &mut dyn FnMut(u64, Node) -> Result<(), Refused>,
    ) -> Result<Node, Refused> {
        let mut document = Document::new(input);
        let mut refused = None;
        let mut keep = |number, node| {
            take(number, node).map_err(|error| {
                refused = Some(error);
                JsonError::new(codes::READ_FAILED, "reading was ended")
            })
        };
        let beside = document.descend(&self.names, &mut keep).and_then(|beside| {
            document.end()?;
            Ok(beside)
        });
        beside.map_err(|error| refused.unwrap_or_else(|| error.refusal()))
    }
}

/// Reads one value that is alone in its text.
///
/// # Errors
/// When the text is not to be believed.
pub fn parse(text: &[u8]) -> Result<Node, JsonError> {
    let mut document = Document::new(text);
    let node = document.value()?;
    document.end()?;
    Ok(node)
}

type Take<'a> = &'a mut dyn FnMut(u64, Node) -> Result<(), JsonError>;

struct Document<R: Read> {
    reader: JsonStreamReader<Budget<R>>,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Document<R> {
    fn new(input: R) -> Self {
        let left = Rc::new(Cell::new(ELEMENT_BYTES_MAX));
        let settings = ReaderSettings {
            track_path: false,
            max_nesting_depth: Some(DEPTH_MAX),
            // Numbers are text here, whatever their size.
            restrict_number_values: false,
            ..ReaderSettings::default()
        };
        let budget = Budget { input, left: Rc::clone(&left) };
        Self { reader: JsonStreamReader::new_custom(budget, settings), left }
    }

    /// Down to the list. What stands beside the way is kept.
    fn descend(&mut self, names: &[String], take: Take<'_>) -> Result<Node, JsonError> {
        let Some((next, rest)) = names.split_first() else {
            return self.elements(take);
        };
        if self.peek()? != ValueType::Object {
            return Err(self.no_records("an object is due on the way to the records"));
        }
        self.reader.begin_object().map_err(|error| told(&error))?;
        let mut members = Vec::new();
        while self.has_next()? {
            let name = self.name()?;
            let value = if name == *next { self.descend(rest, take) } else { self.value_beside() };
            members.push((name.clone(), value.map_err(|error| error.within(&name))?));
        }
        self.reader.end_object().map_err(|error| told(&error))?;
        self.refuse_repeated(&members)?;
        if members.iter().any(|(name, _)| name == next) {
            return Ok(Node::Object(members));
        }
        let error = self.no_records("the member that leads to the records is missing");
        Err(error.within(next))
    }

    fn elements(&mut self, take: Take<'_>) -> Result<Node, JsonError> {
        if self.peek()? != ValueType::Array {
            return Err(self.no_records("there is no list where the records should be"));
        }
        self.reader.begin_array().map_err(|error| told(&error))?;
        let mut number = 0;
        while self.has_next()? {
            self.left.set(ELEMENT_BYTES_MAX);
            let element = self.value();
            let element = element.and_then(|element| take(number, element));
            element.map_err(|error| error.within(&number.to_string()))?;
            number += 1;
        }
        self.left.set(ELEMENT_BYTES_MAX);
        self.reader.end_array().map_err(|error| told(&error))?;
        Ok(Node::List(Vec::new()))
    }

    /// A value that is no record: of a long list the rest is looked at and forgotten.
    fn value_beside(&mut self) -> Result<Node, JsonError> {
        if self.peek()? != ValueType::Array {
            return self.value();
        }
        self.reader.begin_array().map_err(|error| told(&error))?;
        let mut items = Vec::new();
        let mut number = 0;
        while self.has_next()? {
            if items.len() == KEPT_BESIDE {
                self.left.set(ELEMENT_BYTES_MAX);
            }
            let item = self.value().map_err(|error| error.within(&number.to_string()))?;
            number += 1;
            if items.len() < KEPT_BESIDE {
                items.push(item);
            }
        }
        self.reader.end_array().map_err(|error| told(&error))?;
        Ok(Node::List(items))
    }

    fn value(&mut self) -> Result<Node, JsonError> {
        let told = |error: ReaderError| told(&error);
        Ok(match self.peek()? {
            ValueType::Null => self.reader.next_null().map(|()| Node::Null).map_err(told)?,
            ValueType::Boolean => self.reader.next_bool().map(Node::Flag).map_err(told)?,
            ValueType::Number => {
                self.reader.next_number_as_string().map(Node::Number).map_err(told)?
            }
            ValueType::String => self.reader.next_string().map(Node::Text).map_err(told)?,
            ValueType::Array => {
                self.reader.begin_array().map_err(told)?;
                let mut items = Vec::new();
                while self.has_next()? {
                    let item = self.value();
                    items.push(item.map_err(|error| error.within(&items.len().to_string()))?);
                }
                self.reader.end_array().map_err(told)?;
                Node::List(items)
            }
            ValueType::Object => {
                self.reader.begin_object().map_err(told)?;
                let mut members = Vec::new();
                while self.has_next()? {
                    let name = self.name()?;
                    let value = self.value().map_err(|error| error.within(&name))?;
                    members.push((name, value));
                }
                self.reader.end_object().map_err(told)?;
                self.refuse_repeated(&members)?;
                Node::Object(members)
            }
        })
    }

    fn peek(&mut self) -> Result<ValueType, JsonError> {
        self.reader.peek().map_err(|error| told(&error))
    }

    fn has_next(&mut self) -> Result<bool, JsonError> {
        self.reader.has_next().map_err(|error| told(&error))
    }

    fn name(&mut self) -> Result<String, JsonError> {
        self.reader.next_name_owned().map_err(|error| told(&error))
    }

    /// Nothing may follow.
    fn end(self) -> Result<(), JsonError> {
        self.reader.consume_trailing_whitespace().map_err(|error| told(&error))
    }

    /// RFC 8259 §4: of such an object readers make different things.
    fn refuse_repeated(&self, members: &[(String, Node)]) -> Result<(), JsonError> {
        let repeated = if members.len() <= FEW_NAMES {
            let before = |at: usize| members[..at].iter().map(|(name, _)| name);
            let mut numbered = members.iter().enumerate();
            numbered.find(|(at, (name, _))| before(*at).any(|other| other == name)).map(|(_, m)| m)
        } else {
            let mut seen = HashSet::with_capacity(members.len());
            members.iter().find(|(name, _)| !seen.insert(name.as_str()))
        };
        let Some((name, _)) = repeated else { return Ok(()) };
        let mut error =
            JsonError::new(codes::NOT_JSON, "an object has a member of this name twice");
        error.hint.push_str("mend what writes it: readers disagree about which of the two counts");
        self.locate(&mut error);
        Err(error.within(name))
    }

    fn no_records(&self, why: &str) -> JsonError {
        let mut error = JsonError::new(codes::NO_RECORDS, why);
        error.hint.push_str(LEADS_THERE);
        self.locate(&mut error);
        error
    }

    fn locate(&self, error: &mut JsonError) {
        let place = self.reader.current_position(false).line_pos;
        (error.line, error.column) = place.map_or((0, 0), |at| (at.line + 1, at.column + 1));
    }
}

impl JsonError {
    fn new(code: Code, why: impl Into<String>) -> Self {
        let (pointer, hint) = (String::new(), String::new());
        Self { why: why.into(), hint, pointer, line: 0, column: 0, code }
    }

    /// The same error one level further out.
    fn within(self, name: &str) -> Self {
        Self { pointer: format!("/{}{}", shown(name), self.pointer), ..self }
    }

    /// As what ends a read.
    #[must_use]
    pub fn refusal(self) -> Refused {
        self.finding(Severity::Refused).into()
    }

    pub(super) fn finding(self, severity: Severity) -> Finding {
        let Self { why: message, hint, pointer, line, column, code } = self;
        let place = Place {
            line: Some(line).filter(|line| *line > 0),
            column_number: usize::try_from(column).ok().filter(|column| *column > 0),
            pointer: Some(pointer).filter(|pointer| !pointer.is_empty()),
            ..Place::default()
        };
        Finding { severity, code, place, message, hint, key: None }
    }
}

/// In our own words: the library's may quote a number.
fn told(error: &ReaderError) -> JsonError {
    const WHOLE: &str = "see whether the file was cut, and what wrote it";
    let (why, hint, location) = match error {
        ReaderError::SyntaxError(error) => (words(error.kind).to_owned(), WHOLE, &error.location),
        ReaderError::MaxNestingDepthExceeded { location, .. } => {
            let why = format!("values stand within one another more than {DEPTH_MAX} deep");
            (why, "no roster does; look at what wrote the file", location)
        }
        ReaderError::UnsupportedNumberValue { location, .. } => {
            ("a number has too many digits".to_owned(), WHOLE, location)
        }
        ReaderError::UnexpectedValueType { location, .. }
        | ReaderError::UnexpectedStructure { location, .. } => {
            ("the value is of another kind than before".to_owned(), WHOLE, location)
        }
        ReaderError::IoError { error, location } => {
            let mut told = of_input(error);
            let place = location.line_pos.as_ref();
            (told.line, told.column) = place.map_or((0, 0), |at| (at.line + 1, at.column + 1));
            return told;
        }
        _ => return JsonError::new(codes::NOT_JSON, "this is not JSON"),
    };
    let place = location.line_pos.as_ref();
    let (line, column) = place.map_or((0, 0), |at| (at.line + 1, at.column + 1));
    let (pointer, hint) = (String::new(), hint.to_owned());
    JsonError { why, hint, pointer, line, column, code: codes::NOT_JSON }
}

fn words(kind: SyntaxErrorKind) -> &'static str {
    match kind {
        SyntaxErrorKind::IncompleteDocument => "the text ends in the middle",
        SyntaxErrorKind::TrailingData => "something follows the end of the document",
        SyntaxErrorKind::UnpairedSurrogatePairEscapeSequence => "a text holds half a character",
        SyntaxErrorKind::NotEscapedControlCharacter => "a text holds a bare control character",
        SyntaxErrorKind::UnknownEscapeSequence | SyntaxErrorKind::MalformedEscapeSequence => {
            "a text holds an escape that is none"
        }
        SyntaxErrorKind::MalformedNumber | SyntaxErrorKind::TrailingDataAfterNumber => {
            "a number is not spelled as JSON has it"
        }
        SyntaxErrorKind::CommentsNotEnabled
        | SyntaxErrorKind::IncompleteComment
        | SyntaxErrorKind::BlockCommentNotClosed => "JSON has no comments",
        SyntaxErrorKind::TrailingCommaNotEnabled => "a comma has nothing after it",
        SyntaxErrorKind::InvalidLiteral | SyntaxErrorKind::TrailingDataAfterLiteral => {
            "a word is none of true, false and null"
        }
        SyntaxErrorKind::MissingComma | SyntaxErrorKind::MissingColon => "a sign is missing",
        _ => "this is not JSON",
    }
}

/// The input failed, or gave what is no text.
fn of_input(error: &io::Error) -> JsonError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(TooLong) = inner {
        let why = format!("a value is longer than {} MiB", ELEMENT_BYTES_MAX >> 20);
        let hint = LEADS_THERE.to_owned();
        return JsonError { hint, ..JsonError::new(codes::NOT_JSON, why) };
    }
    let finding = input::failure(error);
    if finding.code == codes::READ_FAILED && error.kind() == io::ErrorKind::InvalidData {
        let hint = "JSON is UTF-8; see how it is written".to_owned();
        return JsonError { hint, ..JsonError::new(codes::NOT_JSON, "the text is not UTF-8") };
    }
    JsonError { hint: finding.hint, ..JsonError::new(finding.code, finding.message) }
}

/// Lets so many bytes through until more are allowed.
struct Budget<R> {
    input: R,
    left: Rc<Cell<u64>>,
}

#[derive(Debug, thiserror::Error)]
#[error("more bytes than one value may have")]
struct TooLong;

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        match self.left.get().checked_sub(count as u64) {
            Some(left) => self.left.set(left),
            None => return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong)),
        }
        Ok(count)
    }
}
