//! What a page of the list shows: filters, order, and where it goes on. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::LibraryError;
use crate::recording::{Recording, Status};

/// Which recordings, in which order, how many.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Exactly this room.
    pub room_name: Option<String>,
    /// Exactly this session of a room.
    pub room_id: Option<String>,
    /// Any of these; all where empty.
    pub status: Vec<Status>,
    /// Part of the room's or the file's name, in upper or lower case.
    pub text: Option<String>,
    /// The order.
    pub sort: Sort,
    /// How many at most; at least one.
    pub limit: usize,
    /// What the page before gave.
    pub cursor: Option<String>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            room_name: None,
            room_id: None,
            status: Vec::new(),
            text: None,
            sort: Sort::default(),
            limit: 100,
            cursor: None,
        }
    }
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// In the order asked for.
    pub recordings: Vec<Recording>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// What recordings are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// When it began.
    StartedAt,
    /// How long it plays.
    Duration,
    /// Bytes.
    Size,
    /// The room's name, upper and lower case alike.
    RoomName,
}

/// An order: `startedAt`, `-startedAt` (newest first), `-duration`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// The largest first.
    pub descending: bool,
}

impl Default for Sort {
    /// Newest first.
    fn default() -> Self {
        Self { key: SortKey::StartedAt, descending: true }
    }
}

const KEYS: [(SortKey, &str); 4] = [
    (SortKey::StartedAt, "startedAt"),
    (SortKey::Duration, "duration"),
    (SortKey::Size, "size"),
    (SortKey::RoomName, "roomName"),
];

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KEYS.iter().find(|(key, _)| *key == self.key).map_or("", |(_, name)| name);
        write!(f, "{}{name}", if self.descending { "-" } else { "" })
    }
}

/// The text is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no order: it is one of startedAt, duration, size and roomName, with \"-\" before it for the largest first"
)]
pub struct UnknownSort(pub String);

impl FromStr for Sort {
    type Err = UnknownSort;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (descending, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let key = KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key);
        key.map(|key| Self { key, descending }).ok_or_else(|| UnknownSort(text.to_owned()))
    }
}

/// The last recording of a page, by what the list is ordered by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    sort: String,
    pub(crate) value: Value,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Number(i64),
    Text(String),
}

impl Position {
    pub(crate) fn new(sort: Sort, value: Value, name: &str) -> Self {
        Self { sort: sort.to_string(), value, name: name.to_owned() }
    }

    pub(crate) fn to_cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("texts and numbers make JSON"))
    }

    /// # Errors
    /// [`LibraryError::BadCursor`].
    pub(crate) fn from_cursor(cursor: &str, sort: Sort) -> Result<Self, LibraryError> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| LibraryError::BadCursor)?;
        let position: Self = serde_json::from_slice(&bytes).map_err(|_| LibraryError::BadCursor)?;
        let is_text = matches!(position.value, Value::Text(_));
        if position.sort != sort.to_string() || is_text != (sort.key == SortKey::RoomName) {
            return Err(LibraryError::BadCursor);
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for text in
            ["startedAt", "-startedAt", "duration", "-duration", "size", "-size", "roomName", "-roomName"]
        {
            assert_eq!(text.parse::<Sort>().unwrap().to_string(), text);
        }
        for text in ["", "-", "--size", "name", "STARTEDAT"] {
            assert!(text.parse::<Sort>().is_err(), "{text:?}");
        }
        assert_eq!(Sort::default().to_string(), "-startedAt");
    }

    #[test]
    fn a_cursor_holds_for_its_own_order_only() {
        let sort = Sort::default();
        let cursor = Position::new(sort, Value::Number(7), "a").to_cursor();
        assert_eq!(Position::from_cursor(&cursor, sort).unwrap().name, "a");
        assert!(Position::from_cursor(&cursor, "size".parse().unwrap()).is_err());
        for bad in ["", "!", "e30", "bnVsbA"] {
            assert!(matches!(Position::from_cursor(bad, sort), Err(LibraryError::BadCursor)), "{bad:?}");
        }
    }
}
