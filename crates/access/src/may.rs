//! The decision.
//!
//! ```text
//!   Caller, Right ─► Reach: nothing, one recording, one room, everything
//!                      └─ covers the Resource? ─► may
//! ```

use reelroom_protocol::ids::RoomName;

use crate::caller::Caller;
use crate::resource::{RecordingName, Resource};
use crate::right::{Right, Rights};

/// What a host has in their room.
const HOST: Rights = Rights::of(&[
    Right::Join,
    Right::PublishCamera,
    Right::PublishMicrophone,
    Right::PublishScreen,
    Right::PublishScreenSound,
    Right::Chat,
    Right::Record,
    Right::List,
    Right::Play,
    Right::Download,
    Right::Report,
    Right::Share,
    Right::Moderate,
    Right::Observe,
]);
/// What a host has where the link grants it.
const HOST_BY_GRANT: Rights = Rights::of(&[Right::Delete]);
/// What a guest has in their room.
const GUEST: Rights = Rights::of(&[Right::Join, Right::Observe]);
/// What a guest has where the link grants it.
const GUEST_BY_GRANT: Rights = Rights::of(&[
    Right::PublishCamera,
    Right::PublishMicrophone,
    Right::PublishScreen,
    Right::PublishScreenSound,
    Right::Chat,
    Right::Record,
    Right::List,
    Right::Play,
    Right::Download,
]);
/// What a viewer has of their recording.
const VIEWER: Rights = Rights::of(&[Right::List]);
/// What a viewer has where the link says it.
const VIEWER_BY_GRANT: Rights = Rights::of(&[Right::Play, Right::Download]);

/// How far a right of a caller goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<'a> {
    /// The caller does not have it.
    Nothing,
    /// One recording.
    Recording(&'a RecordingName),
    /// One room with its participants and recordings.
    Room(&'a RoomName),
    /// The server, and with it every room and every recording.
    Everything,
}

impl Reach<'_> {
    /// Whether it goes as far as `resource`.
    pub fn covers(self, resource: &Resource<'_>) -> bool {
        match (self, resource) {
            (Self::Everything, _) => true,
            (Self::Room(own), Resource::Room(room)) => own == *room,
            (Self::Room(own), Resource::Recording { room, .. }) => *room == Some(own),
            (Self::Recording(own), Resource::Recording { name, .. }) => own == *name,
            (Self::Nothing, _)
            | (Self::Room(_), Resource::Server | Resource::Recorder(_))
            | (Self::Recording(_), Resource::Server | Resource::Room(_) | Resource::Recorder(_)) => false,
        }
    }
}

/// How far `caller` has `right`.
pub fn reach(caller: &Caller, right: Right) -> Reach<'_> {
    let has = |always: Rights, by_grant: Rights, granted: Rights| {
        always.has(right) || (by_grant.has(right) && granted.has(right))
    };
    match caller {
        Caller::Owner => Reach::Everything,
        Caller::Key { rights } if rights.has(right) => Reach::Everything,
        Caller::Host { room, granted } if has(HOST, HOST_BY_GRANT, *granted) => Reach::Room(room),
        Caller::Guest { room, granted } if has(GUEST, GUEST_BY_GRANT, *granted) => Reach::Room(room),
        Caller::Viewer { recording, granted } if has(VIEWER, VIEWER_BY_GRANT, *granted) => {
            Reach::Recording(recording)
        }
        Caller::Everybody if right != Right::Manage => Reach::Everything,
        Caller::Key { .. }
        | Caller::Host { .. }
        | Caller::Guest { .. }
        | Caller::Viewer { .. }
        | Caller::Everybody
        | Caller::Nobody => Reach::Nothing,
    }
}

/// Whether `caller` may exercise `right` on `resource`.
pub fn may(caller: &Caller, right: Right, resource: &Resource<'_>) -> bool {
    reach(caller, right).covers(resource)
}
