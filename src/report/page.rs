//! Lines of text, safe for a terminal by construction.

use super::{Style, escape::visible};
use anstyle::{AnsiColor, Style as Paint};
use std::fmt::Write as _;

/// How a stretch of text is painted, when there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Care,
    Bad,
}

impl Tone {
    fn paint(self) -> Paint {
        let colour = |colour: AnsiColor| Paint::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Paint::new(),
            Self::Strong => Paint::new().bold(),
            Self::Dim => Paint::new().dimmed(),
            Self::Good => colour(AnsiColor::Green),
            Self::Care => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red).bold(),
        }
    }
}

/// Where the second column of facts begins.
pub(super) const FACT_COLUMN: usize = 17;
/// No line is wrapped at less than this, however narrow the terminal.
const WRAP_LEAST: usize = 20;

/// A text under construction. Whatever is written is made visible first, so no caller can let a
/// control character through.
pub(super) struct Page {
    text: String,
    pub(super) style: Style,
}

impl Page {
    pub(super) fn new(style: &Style) -> Self {
        Self { text: String::new(), style: *style }
    }

    pub(super) fn line(&mut self, indent: usize, spans: &[(Tone, &str)]) {
        self.text.extend(std::iter::repeat_n(' ', indent));
        for (tone, text) in spans {
            self.paint(*tone, &visible(text));
        }
        self.text.push('\n');
    }

    /// A sentence or more, wrapped at the style's width.
    pub(super) fn prose(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in self.wrapped(indent, text) {
            self.line(indent, &[(tone, &line)]);
        }
    }

    fn wrapped(&self, indent: usize, text: &str) -> Vec<String> {
        let width = self.style.width.unwrap_or(usize::MAX).saturating_sub(indent).max(WRAP_LEAST);
        wrap(&visible(text), width)
    }

    /// A name and what it is worth, the latter in a column of its own.
    pub(super) fn fact(&mut self, name: &str, tone: Tone, text: &str) {
        let mut name = format!("{name:<width$}", width = FACT_COLUMN - 2);
        for line in self.wrapped(FACT_COLUMN, text) {
            self.line(2, &[(Tone::Dim, &name), (tone, &line)]);
            name = " ".repeat(FACT_COLUMN - 2);
        }
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Prints each item up to the style's limit, and how many are left.
    pub(super) fn list<T>(
        &mut self,
        indent: usize,
        items: &[T],
        mut print: impl FnMut(&mut Self, &T),
    ) {
        let limit = self.style.limit.unwrap_or(usize::MAX);
        for item in items.iter().take(limit) {
            print(self, item);
        }
        let more = items.len().saturating_sub(limit);
        if more > 0 {
            let text = format!("… and {more} more (see --out or --json)");
            self.line(indent, &[(Tone::Dim, &text)]);
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn paint(&mut self, tone: Tone, text: &str) {
        let paint = tone.paint();
        // Writing to a String does not fail.
        let _ = if self.style.colour {
            write!(self.text, "{paint}{text}{paint:#}")
        } else {
            write!(self.text, "{text}")
        };
    }
}

/// Lines of at most `width` characters, broken at spaces; a longer word stands alone.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        let Some(line) = lines.last_mut() else { continue };
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_at_spaces_and_no_word_is_cut() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("a incomprehensible b", 5), ["a", "incomprehensible", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn colour_goes_round_each_stretch_and_ends_with_it() {
        let mut page = Page::new(&Style { colour: true, ..Style::default() });
        page.line(1, &[(Tone::Plain, "a"), (Tone::Strong, "b\u{1b}")]);
        assert_eq!(page.finish(), " a\u{1b}[1mb\\u{1b}\u{1b}[0m\n");
    }
}
