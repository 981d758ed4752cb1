//! What a right is exercised on.

use std::fmt;

use reelroom_protocol::ids::RoomName;

/// The name of a recording, as the REST API says it: any Unicode text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordingName(String);

impl RecordingName {
    /// The name as it is.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RecordingName {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for RecordingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody wants to do something to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The server itself, and with it every room and every recording.
    Server,
    /// A room and those in it, whether it is open or not.
    Room(&'a RoomName),
    /// What records a room: it is in the room as participants are, and is none of them.
    Recorder(&'a RoomName),
    /// A recording.
    Recording {
        /// Its name.
        name: &'a RecordingName,
        /// The room that it is of; `None` where no room is known, or no such recording.
        room: Option<&'a RoomName>,
    },
}
