//! Texts of strangers, as they are kept and as they are shown.

use reelroom_limits::audit::AUDIT_TEXT_BYTES;

const CUT: char = '…';

/// What is kept of a text.
pub(crate) fn cut(text: &str) -> String {
    if text.len() <= AUDIT_TEXT_BYTES {
        return text.to_owned();
    }
    let end = AUDIT_TEXT_BYTES - CUT.len_utf8();
    let end = (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", &text[..end])
}

/// A text with what would not be seen but changes what is seen, or where: control characters, breaks and marks of direction become
/// `\u{…}`.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_hidden(character) {
            true => shown.extend(character.escape_unicode()),
            false => shown.push(character),
        }
    }
    shown
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_so_many_bytes_and_its_characters_whole() {
        assert_eq!(cut("Ada"), "Ada");
        let long = cut(&"ä".repeat(1000));
        assert!(long.len() <= AUDIT_TEXT_BYTES && long.ends_with("ä…"), "{long}");
    }

    #[test]
    fn what_would_not_be_seen_is_shown_escaped() {
        assert_eq!(shown("a\u{202e}b\nc\u{1b}[31m ä💥"), "a\\u{202e}b\\u{a}c\\u{1b}[31m ä💥");
    }
}
