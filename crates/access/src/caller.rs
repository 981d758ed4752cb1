//! Who asks.

use reelroom_protocol::ids::RoomName;

use crate::resource::RecordingName;
use crate::right::Rights;

/// Whoever is on the other side of a request, as far as they have shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Signed in as the owner of the server.
    Owner,
    /// A program with an API key.
    Key {
        /// Those that the owner gave the key.
        rights: Rights,
    },
    /// Came by the host link of a room.
    Host {
        /// That room.
        room: RoomName,
        /// What the link grants of that which a host has by grant alone.
        granted: Rights,
    },
    /// Came by the guest link of a room.
    Guest {
        /// That room.
        room: RoomName,
        /// What the link grants of that which a guest has by grant alone.
        granted: Rights,
    },
    /// Came by a link to one recording.
    Viewer {
        /// That recording.
        recording: RecordingName,
        /// What the link says of that which a viewer has by grant alone.
        granted: Rights,
    },
    /// Whoever reaches a server that is open (`ACCESS=open`).
    Everybody,
    /// Has shown nothing that holds.
    Nobody,
}

impl Caller {
    /// The room that the caller is bound to; `None` for those who are bound to none.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Host { room, .. } | Self::Guest { room, .. } => Some(room),
            Self::Owner | Self::Key { .. } | Self::Viewer { .. } | Self::Everybody | Self::Nobody => None,
        }
    }
}
