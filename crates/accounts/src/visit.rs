//! From where and with what somebody comes, as a list of sessions shows it.

use reelroom_limits::accounts::USER_AGENT_BYTES;
use reelroom_limits::asker::Asker;

/// From where and with what somebody comes.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// The address that the request counts for.
    pub asker: Asker,
    /// What the browser calls itself: any text of any length.
    pub agent: &'a str,
}

impl Visit<'_> {
    pub(crate) fn agent(&self) -> String {
        clean(self.agent, USER_AGENT_BYTES)
    }
}

/// What can be shown of a text, in so many bytes.
pub(crate) fn clean(text: &str, at_most_bytes: usize) -> String {
    let mut clean = String::new();
    for character in text.chars().filter(|character| !is_hidden(*character)) {
        if clean.len() + character.len_utf8() > at_most_bytes {
            break;
        }
        clean.push(character);
    }
    clean
}

/// Whether it is not seen, but changes what is seen or where: control characters, breaks, marks of width and direction.
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_what_can_be_shown_and_no_more_than_its_bytes() {
        assert_eq!(clean("Mozilla/5.0 (X11; Linux)", 100), "Mozilla/5.0 (X11; Linux)");
        assert_eq!(clean("a\r\nb\0c\u{1b}[31md\u{202e}e\u{200b}f\u{85}g", 100), "abc[31mdefg");
        assert_eq!(clean("ääää", 5), "ää");
        assert_eq!(clean(&"\0".repeat(10_000), 5), "");
    }
}
