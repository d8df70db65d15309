//! Rust sources as the rules see them: what is code, what is said in texts, what is only for tests.
//!
//! No parser: the rules ask for words, paths and lengths, and for those it is enough to know where
//! comments, texts and `#[cfg(test)]` items begin and end.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

/// One file of Rust.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it is written.
    pub(crate) whole: String,
    /// Of the same length in bytes, line by line, with blanks for comments, for what stands within
    /// quotes, and for items under `#[cfg(test)]`.
    pub(crate) code: String,
    /// What stands within quotes, tests left out.
    pub(crate) texts: Vec<Text>,
    tests: Vec<Range<usize>>,
}

/// A text within quotes.
pub(crate) struct Text {
    pub(crate) start: usize,
    pub(crate) content: String,
}

/// Something that should not be where it is.
pub(crate) struct Offence {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what } = self;
        write!(f, "{path}:{line}: {what}")
    }
}

impl Offence {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// Fails with every offence, one a line, and with what to do about them.
#[track_caller]
pub(crate) fn assert_none(offences: &[Offence], remedy: &str) {
    let told: Vec<String> = offences.iter().map(|offence| format!("\n  {offence}")).collect();
    assert!(told.is_empty(), "{}\n{remedy}", told.concat());
}

impl Source {
    pub(crate) fn new(path: &str, whole: &str) -> Self {
        let Parts { mut code, texts } = take_apart(whole);
        let tests = test_items(&code);
        for range in &tests {
            blank(&mut code, range.clone());
        }
        let in_test = |text: &Text| tests.iter().any(|range| range.contains(&text.start));
        let kept = texts.into_iter().filter(|text| !in_test(text)).collect();
        let code = String::from_utf8(code).expect("blanks stand for whole characters");
        Self { path: path.to_owned(), whole: whole.to_owned(), code, texts: kept, tests }
    }

    /// `src/engine/plan.rs` → `engine`, and for `src/daemon.rs` → `daemon`.
    pub(crate) fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }

    /// How many modules stand above the items of this file: 0 for the crate's root.
    pub(crate) fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        let names = below.split('/').filter(|name| !["lib", "main", "mod"].contains(name));
        names.count()
    }

    pub(crate) fn line(&self, offset: usize) -> usize {
        line_of(&self.whole, offset)
    }

    pub(crate) fn offence(&self, offset: usize, what: impl Into<String>) -> Offence {
        Offence::new(&self.path, self.line(offset), what)
    }

    /// Lines outside `#[cfg(test)]` items.
    pub(crate) fn lines(&self) -> usize {
        let lines = |text: &str| text.matches('\n').count();
        let whole = self.whole.lines().count();
        let in_tests = |range: &Range<usize>| lines(&self.whole[range.clone()]) + 1;
        whole - self.tests.iter().map(in_tests).sum::<usize>()
    }

    /// Where a word or a path such as `std::fs` stands in the code, as a whole.
    pub(crate) fn find<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        whole_words(&self.code, word)
    }

    /// Every path that is brought in by `use`, with its groups spelled out, and its place.
    pub(crate) fn uses(&self) -> Vec<(usize, String)> {
        let mut paths = Vec::new();
        for start in self.find("use") {
            let after = start + "use".len();
            let end = self.code[after..].find(';').map_or(self.code.len(), |n| after + n);
            spell_out(&self.code[after..end], after, "", &mut paths);
        }
        paths
    }
}

/// Every Rust file below a folder of the repository, in the order of their paths.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let found: Vec<Source> = paths.iter().map(|path| read(path)).collect();
    assert!(!found.is_empty(), "no Rust file found below {folder}");
    found
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> Source {
    let whole = std::fs::read_to_string(path).expect("a source is readable UTF-8");
    let name = path.strip_prefix(root()).expect("below the root");
    Source::new(&name.to_string_lossy().replace('\\', "/"), &whole)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            paths.push(path);
        }
    }
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Where `word` stands with nothing beside it that would make it part of a longer word.
pub(crate) fn whole_words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let (first, last) = (word.starts_with(part), word.ends_with(part));
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back().is_some_and(part);
        let after = text[at + word.len()..].chars().next().is_some_and(part);
        !(first && before || last && after)
    })
}

/// `a::{b, c::{d}}` → `a::b`, `a::c::d`.
fn spell_out(tree: &str, offset: usize, before: &str, paths: &mut Vec<(usize, String)>) {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            let start = offset + (tree.len() - tree.trim_start().len());
            paths.push((start, format!("{before}{path}")));
        }
        return;
    };
    let before = format!("{before}{}", tree[..open].trim());
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0_u32, 0);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                spell_out(&inner[start..at], offset + open + 1 + start, &before, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    spell_out(&inner[start..], offset + open + 1 + start, &before, paths);
}

struct Parts {
    code: Vec<u8>,
    texts: Vec<Text>,
}

/// Blanks comments and texts, and keeps the texts.
fn take_apart(whole: &str) -> Parts {
    let mut parts = Parts { code: whole.as_bytes().to_vec(), texts: Vec::new() };
    let mut at = 0;
    while at < whole.len() {
        at = parts.step(whole, at);
    }
    parts
}

impl Parts {
    /// Takes what begins at `at`; where the next begins.
    fn step(&mut self, whole: &str, at: usize) -> usize {
        let rest = &whole[at..];
        if rest.starts_with("//") {
            let end = at + rest.find('\n').unwrap_or(rest.len());
            blank(&mut self.code, at..end);
            return end;
        }
        if rest.starts_with("/*") {
            let end = at + block_comment(rest);
            blank(&mut self.code, at..end);
            return end;
        }
        if let Some((open, close)) = raw_text(whole, at) {
            let start = at + open;
            let end = whole[start..].find(&close).map_or(whole.len(), |n| start + n);
            return self.keep(whole, start..end, close.len());
        }
        if let Some(inner) = rest.strip_prefix('"') {
            let end = at + 1 + quoted(inner);
            return self.keep(whole, at + 1..end, 1);
        }
        if let Some(length) = character(rest) {
            blank(&mut self.code, at + 1..at + length - 1);
            return at + length;
        }
        at + rest.chars().next().map_or(1, char::len_utf8)
    }

    fn keep(&mut self, whole: &str, range: Range<usize>, close: usize) -> usize {
        self.texts.push(Text { start: range.start, content: whole[range.clone()].to_owned() });
        blank(&mut self.code, range.clone());
        (range.end + close).min(whole.len())
    }
}

fn blank(code: &mut [u8], range: Range<usize>) {
    for byte in &mut code[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Length of the comment that `text` begins with; such comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// For `r"`, `r#"` and so on: the length of the opening, and what closes it.
fn raw_text(whole: &str, at: usize) -> Option<(usize, String)> {
    let inside_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = whole[..at].chars().rev();
    // `br"…"`: the `b` was taken as code before.
    let previous = before.next().filter(|c| *c != 'b' && *c != 'c').or_else(|| before.next());
    if previous.is_some_and(inside_word) {
        return None;
    }
    let after = whole[at..].strip_prefix('r')?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then(|| (hashes + 2, format!("\"{}", "#".repeat(hashes))))
}

/// Length of a text up to the quote that ends it.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at,
            _ => {}
        }
    }
    text.len()
}

/// Length of the character literal that `text` begins with; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' {
        let skip = 1 + inner[1..].chars().next()?.len_utf8();
        return inner[skip..].find('\'').map(|end| 1 + skip + end + 1);
    }
    let length = first.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// The items under `#[cfg(test)]`, from the attribute to their last brace or semicolon.
fn test_items(code: &[u8]) -> Vec<Range<usize>> {
    const MARK: &[u8] = b"#[cfg(test)]";
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].windows(MARK.len()).position(|window| window == MARK) {
        let start = at + start;
        at = item_end(code, start + MARK.len());
        found.push(start..at);
    }
    found
}

fn item_end(code: &[u8], start: usize) -> usize {
    let mut depth = 0_u32;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth -= 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[test]
fn comments_texts_and_tests_are_told_from_code() {
    let source = Source::new(
        "src/engine/x.rs",
        "// std::fs\n/* a /* b */ std::fs */ let t = \"std::fs \\\" // no\"; let c = '\"';\n\
         let r = r#\"raw \" std::fs\"#; fn f<'a>(x: &'a str) {}\n\
         #[cfg(test)]\nmod tests {\n    fn g() { std::fs::read(\"in a test\"); }\n}\nstd::fs::x();\n",
    );
    let lines: Vec<usize> = source.find("std::fs").map(|at| source.line(at)).collect();
    assert_eq!(lines, [8]);
    let texts: Vec<&str> = source.texts.iter().map(|text| text.content.as_str()).collect();
    assert_eq!(texts, ["std::fs \\\" // no", "raw \" std::fs"]);
    assert_eq!(source.code.len(), source.whole.len());
    assert!(source.code.contains("fn f<'a>(x: &'a str) {}"));
    assert_eq!(source.lines(), 4);
}

#[test]
fn groups_of_use_are_spelled_out() {
    let source = Source::new(
        "src/cycle/x.rs",
        "use crate::{\n    config::{Config, self as c},\n    model,\n};\nuse std::fs as disk;\n",
    );
    let uses = source.uses();
    let paths: Vec<&str> = uses.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["crate::config::Config", "crate::config::self", "crate::model", "std::fs"]);
    let lines: Vec<usize> = uses.iter().map(|(at, _)| source.line(*at)).collect();
    assert_eq!(lines, [2, 2, 3, 5]);
}
