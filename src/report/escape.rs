//! Characters that a reader would not see, or that a terminal would obey.

use std::fmt::Write as _;

/// Spells out what cannot be seen: `\u{1b}`. Other text stays as it is.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_visible(&mut shown, c);
    }
    shown
}

/// The text in quotation marks, spelled so that two different texts never look the same.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            shown.push('\\');
        }
        push_visible(&mut shown, c);
    }
    shown.push('"');
    shown
}

fn push_visible(shown: &mut String, c: char) {
    if is_hidden(c) {
        let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
    } else {
        shown.push(c);
    }
}

/// Control characters, everything that reorders a line, spaces that are not the space bar's, and
/// characters without a picture of their own.
pub(super) fn is_hidden(c: char) -> bool {
    let odd_space = c.is_whitespace() && c != ' ';
    let without_picture = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    c.is_control() || odd_space || without_picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn g10_escape_newline_and_reordering_are_spelled_out() {
        let text = "a\u{1b}[2J\nb\u{202e}c\u{9b}d\u{200b}e\u{a0}f";
        let shown = "a\\u{1b}[2J\\u{a}b\\u{202e}c\\u{9b}d\\u{200b}e\\u{a0}f";
        assert_eq!(visible(text), shown);
        assert_eq!(visible("Zoë Łukasz 田中 👩"), "Zoë Łukasz 田中 👩");
    }

    #[test]
    fn a_text_that_only_looks_escaped_is_told_from_one_that_is() {
        assert_ne!(quoted("\u{1b}"), quoted("\\u{1b}"));
        assert_eq!(quoted("say \"hi\" \\"), r#""say \"hi\" \\""#);
    }

    proptest! {
        #[test]
        fn p10_no_hidden_character_is_left_and_showing_twice_is_showing_once(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(!shown.chars().any(is_hidden));
            prop_assert_eq!(visible(&shown), shown);
        }

        #[test]
        fn p10_different_texts_never_look_the_same(
            a in "[\\\\\"u{}1b\u{1b}]{0,6}", b in "[\\\\\"u{}1b\u{1b}]{0,6}"
        ) {
            prop_assert_eq!(a == b, quoted(&a) == quoted(&b));
        }
    }
}
