//! The recording that a request names, as what a right is asked on.

use reelroom_access::{RecordingName, Resource};
use reelroom_library::LibraryError;
use reelroom_protocol::ids::RoomName;
use reelroom_routes::Visitor;

use crate::app::WebApp;
use crate::error::ApiError;

/// A recording, and the room that it is of as far as that makes a difference to who asks.
pub(crate) struct Subject {
    name: RecordingName,
    room: Option<RoomName>,
}

impl Subject {
    /// The recording of that name. Its room is looked up for those alone who are bound to one.
    ///
    /// What is not there is of no room: who is bound to one learns of no recording of another whether it is there.
    pub(crate) async fn of(app: &WebApp, visitor: &Visitor, name: &str) -> Result<Self, ApiError> {
        let room = match visitor.caller().room() {
            Some(_) => room_of(app, name).await?,
            None => None,
        };
        Ok(Self { name: name.into(), room })
    }

    pub(crate) fn resource(&self) -> Resource<'_> {
        Resource::Recording { name: &self.name, room: self.room.as_ref() }
    }
}

async fn room_of(app: &WebApp, name: &str) -> Result<Option<RoomName>, ApiError> {
    match app.library().find(name).await {
        Ok(recording) => Ok(Some(recording.room_name).filter(|room| !room.is_empty()).map(RoomName::from)),
        Err(LibraryError::NotFound(_) | LibraryError::BadName(_) | LibraryError::Deleted(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
