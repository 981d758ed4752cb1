//! API keys and their secrets.

use std::fmt;

/// One or more API keys. The first signs what this program says; every one is accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeys {
    pairs: Vec<(String, String)>,
}

impl ApiKeys {
    /// The pair that signs.
    pub fn new(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { pairs: vec![(key.into(), secret.into())] }
    }

    /// Accepts another pair too.
    #[must_use]
    pub fn and(mut self, key: impl Into<String>, secret: impl Into<String>) -> Self {
        self.pairs.push((key.into(), secret.into()));
        self
    }

    /// The signing pair: (key, secret).
    pub fn first(&self) -> (&str, &str) {
        let (key, secret) = self.pairs.first().expect("a pair is given at construction");
        (key, secret)
    }

    /// The secret of `key`.
    pub fn secret(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == key).map(|(_, secret)| secret.as_str())
    }
}

/// Secrets never reach a log.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(key, _)| key)).finish()
    }
}
