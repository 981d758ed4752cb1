//! Ids of sessions, keys and links. They are no secrets.

use std::fmt;

use rand::{CryptoRng, Rng as _};

/// Digits and letters that cannot be taken for one another.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Enough for the few that there are at a time.
pub(crate) const RANDOM_CHARACTERS: usize = 12;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The id as a text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(/// A session of the owner, `SE_…`.
    SessionId);
id!(/// An API key, `rr_…`: how its text begins, and what lists show of it.
    KeyId);

/// A new id: `prefix`, and random characters of which nobody makes the same twice.
pub fn new(prefix: &str, rng: &mut impl CryptoRng) -> String {
    let random = (0..RANDOM_CHARACTERS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}
