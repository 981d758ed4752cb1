//! By what the owner is known to the provider. Pure.
//!
//! # Invariants
//!
//! - A subject and an e-mail address are never taken for one another, however they look: the setting says which it means.
//! - An e-mail address counts only where the provider says that it has verified it.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

const SUBJECT: &str = "sub:";

/// By what the owner is known to the provider.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum OwnerName {
    /// The provider's own id of an account, which is never given to anybody else.
    Subject(String),
    /// An e-mail address, whose upper and lower case letters are the same.
    Email(String),
}

/// The text is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an e-mail address nor \"sub:\" and the id that the provider has for somebody")]
pub struct NoOwnerName(String);

/// What the provider says of somebody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    /// Not where it does not say so.
    pub(crate) is_email_verified: bool,
}

impl OwnerName {
    /// Whether it is this one's.
    pub(crate) fn is_of(&self, account: &Account) -> bool {
        match self {
            Self::Subject(subject) => *subject == account.subject,
            Self::Email(email) => {
                account.is_email_verified
                    && account.email.as_ref().is_some_and(|said| said.eq_ignore_ascii_case(email))
            }
        }
    }
}

impl FromStr for OwnerName {
    type Err = NoOwnerName;

    fn from_str(text: &str) -> Result<Self, NoOwnerName> {
        let text = text.trim();
        let refusal = || NoOwnerName(text.to_owned());
        if let Some(subject) = text.strip_prefix(SUBJECT) {
            let subject = subject.trim();
            return if subject.is_empty() { Err(refusal()) } else { Ok(Self::Subject(subject.to_owned())) };
        }
        let is_email = text.split_once('@').is_some_and(|(name, domain)| {
            !name.is_empty() && domain.contains(|c: char| c.is_alphanumeric()) && !domain.contains('@')
        });
        let is_plain = !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
        if is_email && is_plain { Ok(Self::Email(text.to_owned())) } else { Err(refusal()) }
    }
}

impl TryFrom<String> for OwnerName {
    type Error = NoOwnerName;

    fn try_from(text: String) -> Result<Self, NoOwnerName> {
        text.parse()
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => write!(f, "{SUBJECT}{subject}"),
            Self::Email(email) => f.write_str(email),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(subject: &str, email: Option<&str>, is_email_verified: bool) -> Account {
        Account { subject: subject.into(), email: email.map(str::to_owned), is_email_verified }
    }

    #[test]
    fn a_setting_says_which_it_means() {
        let parse = |text: &str| text.parse::<OwnerName>();
        assert_eq!(parse(" ann@example.org "), Ok(OwnerName::Email("ann@example.org".into())));
        assert_eq!(parse("sub:1234"), Ok(OwnerName::Subject("1234".into())));
        assert_eq!(parse("sub: ann@example.org"), Ok(OwnerName::Subject("ann@example.org".into())));
        for text in [
            "",
            " ",
            "ann",
            "@example.org",
            "ann@",
            "ann@.",
            "a@b@c",
            "sub:",
            "sub: ",
            "mailto:a@b.c",
            "a b@c.d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["ann@example.org", "sub:1234"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn nobody_is_the_owner_by_an_address_that_is_not_verified_or_an_id_that_looks_like_one() {
        let by_email: OwnerName = "Ann@Example.org".parse().unwrap();
        assert!(by_email.is_of(&account("1", Some("ann@example.org"), true)));
        assert!(!by_email.is_of(&account("1", Some("ann@example.org"), false)));
        assert!(!by_email.is_of(&account("1", Some("ann@example.org.evil.org"), true)));
        assert!(!by_email.is_of(&account("1", Some("änn@example.org"), true)));
        assert!(!by_email.is_of(&account("ann@example.org", None, true)), "it is an id");
        assert!(!by_email.is_of(&account("Ann@Example.org", Some("eve@example.org"), true)));
        let by_subject: OwnerName = "sub:ann@example.org".parse().unwrap();
        assert!(by_subject.is_of(&account("ann@example.org", None, false)));
        assert!(!by_subject.is_of(&account("Ann@example.org", None, false)), "ids are what they are");
        assert!(!by_subject.is_of(&account("1", Some("ann@example.org"), true)), "it is an address");
    }
}
