//! Tells rooms what is on the board.
//!
//! ```text
//!   due ─► which of them are open? (one question) ─► each: metadata, if it says something else; then what was deleted
//!                                      └ not open: there is nobody to tell
//! ```

use std::collections::HashMap;

use reelroom_limits::events::{
    ROOM_STATE_FIRST_PAUSE, ROOM_STATE_LONGEST_PAUSE, ROOM_STATE_RESTS, ROOMS_TOLD_AT_ONCE,
    ROOMS_TOLD_TOGETHER,
};
use reelroom_limits::signalling::METADATA_BYTES;
use reelroom_protocol::proto::EgressInfo;
use serde_json::json;

use super::RoomState;
use super::board::{Due, Found};
use super::metadata::{self, Merged, Said};
use super::recorded::{self, Recorded};
use crate::livekit::{LiveKit, LiveKitError, OpenRoom};

/// By which OpenVidu's tutorial tells of deletions.
const RECORDING_DELETED: &str = "RECORDING_DELETED";

/// What is asked of the media server.
pub(super) trait Rooms: Sync {
    /// Those of some rooms that are open.
    fn open(&self, names: Vec<String>) -> impl Future<Output = Result<Vec<OpenRoom>, LiveKitError>> + Send;

    /// The recordings of a room that are not over.
    fn recordings(&self, room: &str) -> impl Future<Output = Result<Vec<EgressInfo>, LiveKitError>> + Send;

    /// Sets a room's metadata.
    fn set(&self, room: &str, metadata: &str) -> impl Future<Output = Result<(), LiveKitError>> + Send;

    /// Sends everybody in a room a message.
    fn send(
        &self,
        room: &str,
        topic: &str,
        payload: Vec<u8>,
    ) -> impl Future<Output = Result<(), LiveKitError>> + Send;
}

impl Rooms for LiveKit {
    async fn open(&self, names: Vec<String>) -> Result<Vec<OpenRoom>, LiveKitError> {
        Ok(self.open_rooms(names).await?.into_iter().map(OpenRoom::from).collect())
    }

    async fn recordings(&self, room: &str) -> Result<Vec<EgressInfo>, LiveKitError> {
        self.active_recordings(room).await
    }

    async fn set(&self, room: &str, metadata: &str) -> Result<(), LiveKitError> {
        self.set_room_metadata(room, metadata).await
    }

    async fn send(&self, room: &str, topic: &str, payload: Vec<u8>) -> Result<(), LiveKitError> {
        self.send_data(room, topic, payload).await
    }
}

/// Tells rooms for ever.
pub(super) async fn run(rooms: &impl Rooms, state: &RoomState) {
    let mut pause = ROOM_STATE_FIRST_PAUSE;
    let mut trouble = None;
    loop {
        state.until_due().await;
        let rest = match round(rooms, state).await {
            Ok(()) => {
                if trouble.take().is_some() {
                    tracing::info!("rooms are told of their recordings again");
                }
                pause = ROOM_STATE_FIRST_PAUSE;
                ROOM_STATE_RESTS
            }
            Err(error) => {
                let text = error.to_string();
                if trouble.as_ref() != Some(&text) {
                    tracing::warn!("rooms are not told of their recordings: {text}");
                    trouble = Some(text);
                }
                let rest = pause;
                pause = (pause * 2).min(ROOM_STATE_LONGEST_PAUSE);
                rest
            }
        };
        tokio::time::sleep(rest).await;
    }
}

/// Tells those rooms that are to be told by now, some at the most. A room that cannot be told waits for itself.
///
/// # Errors
/// Which rooms are open is not answered: none is told.
async fn round(rooms: &impl Rooms, state: &RoomState) -> Result<(), LiveKitError> {
    let due = state.due(ROOMS_TOLD_AT_ONCE);
    if due.is_empty() {
        return Ok(());
    }
    let names = due.iter().map(|due| due.room.as_str().to_owned()).collect();
    let open = rooms.open(names).await?;
    let mut open: HashMap<String, OpenRoom> =
        open.into_iter().map(|room| (room.name.clone(), room)).collect();
    let mut waiting = Vec::new();
    for due in due {
        match open.remove(due.room.as_str()) {
            Some(room) => waiting.push((due, room)),
            None => state.told(&due, Found::Closed),
        }
    }
    let mut waiting = waiting.into_iter();
    loop {
        let together = waiting.by_ref().take(ROOMS_TOLD_TOGETHER);
        let telling: Vec<_> = together.map(|(due, room)| tell(rooms, state, due, room)).collect();
        if telling.is_empty() {
            return Ok(());
        }
        let mut is_answered = false;
        for (due, told) in futures::future::join_all(telling).await {
            is_answered |= !matches!(told, Err(LiveKitError::Unreachable(_)));
            match told {
                Ok(()) => state.told(&due, Found::Open),
                Err(LiveKitError::NotFound(_)) => state.told(&due, Found::Closed),
                // It will not be different before something else is to be said.
                Err(
                    error
                    @ (LiveKitError::Invalid(_) | LiveKitError::Impossible(_) | LiveKitError::NotNow(_)),
                ) => {
                    tracing::warn!(room = %due.room, %error, "a room cannot be told of its recording");
                    state.told(&due, Found::Open);
                }
                Err(error) => {
                    if state.postpone(&due) == 1 {
                        tracing::warn!(room = %due.room, %error, "a room is not told of its recording yet");
                    }
                }
            }
        }
        // Perhaps nothing answers any more: that is asked before the others are told.
        if !is_answered {
            return Ok(());
        }
    }
}

/// Tells one room.
async fn tell(
    rooms: &impl Rooms,
    state: &RoomState,
    due: Due,
    room: OpenRoom,
) -> (Due, Result<(), LiveKitError>) {
    let told = say(rooms, state, &due, &room).await;
    (due, told)
}

async fn say(rooms: &impl Rooms, state: &RoomState, due: &Due, room: &OpenRoom) -> Result<(), LiveKitError> {
    let going_on = recorded::going_on(&due.recordings, &room.room_id).filter(|_| room.is_recorded);
    if let Some(one) = going_on {
        state.goes_on(&due.room, &one.id, &room.room_id);
    }
    let leading = going_on.or_else(|| recorded::leading(&due.recordings, &room.room_id));
    // Somebody else may have said so whose recording is not known here yet: then it is, and the room is told of it.
    let is_known = leading.is_some() || !metadata::says_live(&room.metadata);
    if is_known || !learn(rooms, state, room).await? {
        let said = Said { leading, deleted: &due.deletions };
        match metadata::merge(&room.metadata, &said) {
            Merged::AsIs => {}
            Merged::Foreign => {
                tracing::debug!(
                    room = room.name,
                    "a room's metadata is no JSON object, and is left as it is"
                );
            }
            Merged::To(text) if text.len() > METADATA_BYTES => {
                tracing::warn!(room = room.name, "a room's metadata has no place for how its recording is");
            }
            Merged::To(text) => rooms.set(&room.name, &text).await?,
        }
    }
    for gone in &due.deletions {
        let payload = json!({ "recordingName": gone.name, "id": gone.id }).to_string();
        rooms.send(&room.name, RECORDING_DELETED, payload.into_bytes()).await?;
    }
    Ok(())
}

/// Learns what is recorded in a room, and whether anything is in this session of it.
async fn learn(rooms: &impl Rooms, state: &RoomState, room: &OpenRoom) -> Result<bool, LiveKitError> {
    let mut is_any = false;
    for info in rooms.recordings(&room.name).await? {
        let is_of = |recorded: &Recorded| recorded.is_of(&room.room_id) || room.is_recorded;
        is_any |= Recorded::of(&info).is_some_and(|(_, recorded)| is_of(&recorded));
        state.learn(&info);
    }
    Ok(is_any)
}

#[cfg(test)]
mod tests;
