//! How the recordings of a room look.

/// One of LiveKit's layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout(&'static str);

impl Layout {
    /// All that can be chosen; the first is the default.
    pub const ALL: [Self; 6] = [
        Self("grid"),
        Self("speaker"),
        Self("single-speaker"),
        Self("grid-light"),
        Self("speaker-light"),
        Self("single-speaker-light"),
    ];

    /// The layout that LiveKit calls so.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.0 == word)
    }

    /// What LiveKit calls it.
    pub fn word(self) -> &'static str {
        self.0
    }
}
