//! Why nobody is signed in, by what whoever tried can do.

use std::fmt;

/// Characters of what a provider says that go into the log.
const SAID_CHARACTERS: usize = 300;

/// Why nobody is signed in. Its text may have what the provider said in it, and is for the log alone; a page is told its
/// [`OidcError::code`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// It was begun in another browser, too long ago, or before this program was started; or it has ended: begin again.
    #[error("it was begun elsewhere or too long ago, or has ended ({0})")]
    Stale(Said),
    /// Somebody broke it off at the provider: begin again.
    #[error("it was broken off at the provider")]
    Declined,
    /// The provider does not answer: try later.
    #[error("the provider cannot be reached: {0}")]
    Away(Said),
    /// The provider does not take this server: its operator has to look at the settings.
    #[error(
        "the provider does not take this server: look at OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and the addresses that it may send browsers to ({0})"
    )]
    Refused(Said),
    /// The provider says what cannot be believed or understood: its operator and this server's have to look.
    #[error("the provider's answer is not taken: {0}")]
    Odd(Said),
    /// The provider knows them, and they are not the owner.
    #[error("this account is not the owner's: {0}")]
    Stranger(Said),
    /// Too many are being signed in, or one address tries too often: try in a moment.
    #[error("too many are signing in")]
    Busy,
}

impl OidcError {
    /// What a page makes a sentence of.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stale(_) => "stale",
            Self::Declined => "declined",
            Self::Away(_) => "away",
            Self::Refused(_) => "refused",
            Self::Odd(_) => "odd",
            Self::Stranger(_) => "stranger",
            Self::Busy => "busy",
        }
    }
}

/// What somebody else said, no more of it than a line of a log has place for, and in one line: nobody writes a line of their own into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        let text = text.to_string().replace(char::is_control, " ");
        match text.char_indices().nth(SAID_CHARACTERS) {
            Some((end, _)) => Self(format!("{}…", &text[..end])),
            None => Self(text),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An error and what it came of.
pub(crate) fn chain(error: &dyn std::error::Error) -> Said {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    Said::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_much_a_provider_says_little_of_it_is_told() {
        assert_eq!(Said::new("short").to_string(), "short");
        let long = Said::new("ä".repeat(100_000)).to_string();
        assert_eq!(long.chars().count(), SAID_CHARACTERS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn nobody_begins_a_line_of_the_log() {
        let said = Said::new("x\r\n2026-01-01 INFO the owner has signed in\u{1b}[31m\u{85}");
        assert_eq!(said.to_string(), "x  2026-01-01 INFO the owner has signed in [31m ");
    }
}
