//! What a store holds, as far as it could be read.

use super::Object;

/// Of what could not be read so much is told by name.
const MAX_REASONS: usize = 20;

/// A listing. What could not be read is in it too: it costs nothing else.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) objects: Vec<Object>,
    /// Objects that are there, and cannot be used.
    pub(crate) odd: Vec<Odd>,
    /// What may hold more than is listed.
    pub(crate) unread: Vec<Unread>,
}

/// An object that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Odd {
    /// Below the prefix, as far as it is text. It is the name of no other object, unless it was no UTF-8.
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    pub(crate) modified_ms: i64,
    /// Why.
    pub(crate) reason: String,
}

/// A part of the store that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) scope: Scope,
    pub(crate) reason: String,
}

/// Which names a part of a store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All.
    All,
    /// Those below a folder, which is named without a slash at its end.
    Below(String),
    /// Those after one, in the order of their bytes.
    After(String),
}

impl Scope {
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(folder) => {
                name.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
            }
            Self::After(last) => name > last.as_str(),
        }
    }
}

/// What a listing could not read, for people: how much, and of the first few what and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListingTrouble {
    /// Objects and folders.
    pub count: usize,
    /// A sentence for each of the first few.
    pub reasons: Vec<String>,
}

impl ListingTrouble {
    pub(crate) fn add(&mut self, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(reason());
        }
    }

    /// Adds what another store's listing could not read.
    pub(crate) fn extend(&mut self, other: &Self, place: &str) {
        let reasons = other.reasons.iter().map(|reason| format!("{place}: {reason}")).collect();
        self.extend_by(Self { count: other.count, reasons });
    }

    pub(crate) fn extend_by(&mut self, other: Self) {
        self.count += other.count;
        let room = MAX_REASONS.saturating_sub(self.reasons.len());
        self.reasons.extend(other.reasons.into_iter().take(room));
    }

    /// One line; `None` when everything could be read.
    pub fn summary(&self) -> Option<String> {
        let first = self.reasons.first()?;
        Some(match self.count {
            1 => first.clone(),
            count => format!("{count} objects or folders of the store cannot be read; the first: {first}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_store_has_its_own_names_only() {
        assert!(Scope::Below("a".into()).has("a/b") && !Scope::Below("a".into()).has("ab"));
        assert!(Scope::After("b".into()).has("ba") && !Scope::After("b".into()).has("b"));
        assert!(Scope::All.has(""));
    }

    #[test]
    fn troubles_are_counted_and_the_first_ones_are_told() {
        let mut trouble = ListingTrouble::default();
        assert_eq!(trouble.summary(), None);
        trouble.add(|| "a is archived".into());
        assert_eq!(trouble.summary().as_deref(), Some("a is archived"));
        (0..100).for_each(|n| trouble.add(|| n.to_string()));
        assert_eq!((trouble.count, trouble.reasons.len()), (101, MAX_REASONS));
        assert!(trouble.summary().unwrap().starts_with("101 objects or folders"));
    }
}
