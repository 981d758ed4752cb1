//! The LiveKit server, embedded or outside: the only module that names `livekit-api`.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use livekit_api::services::egress::{
    EgressClient, EgressListFilter, EgressListOptions, EgressOutput, RoomCompositeOptions, encoding,
};
use livekit_api::services::room::{RemoveParticipantOptions, RoomClient, SendDataOptions};
use livekit_api::services::{ServerError, ServerErrorCode, ServiceError};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    AudioCodec, EgressInfo, EncodedFileOutput, EncodedFileType, ParticipantInfo, Room,
};
use url::Url;

/// A person waits for it.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// LiveKit's recorder starts a browser before it answers.
const EGRESS_TIMEOUT: Duration = Duration::from_secs(15);

/// An error of the LiveKit server, by what can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LiveKitError {
    /// There is no such room or recording.
    #[error("{0}")]
    NotFound(String),
    /// Not in the state that it is in.
    #[error("{0}")]
    NotNow(String),
    /// It cannot be done with this room or recording; the text says why.
    #[error("{0}")]
    Impossible(String),
    /// The server does not understand or does not offer what was asked for.
    #[error("{0}")]
    Invalid(String),
    /// No recorder is free, or its disk is full.
    #[error("{0}")]
    Busy(String),
    /// Nothing answers there: look at LIVEKIT_URL and at the server.
    #[error("the media server cannot be reached: {0}")]
    Unreachable(String),
    /// It does not accept our key.
    #[error(
        "the media server refuses this program's API key: check LIVEKIT_API_KEY and LIVEKIT_API_SECRET ({0})"
    )]
    Refused(String),
    /// It fails.
    #[error("the media server fails: {0}")]
    Failed(String),
}

/// What to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordingRequest {
    pub(crate) room_name: String,
    /// The file's path in the store, with LiveKit's templates.
    pub(crate) filepath: String,
    /// LiveKit's name of it; empty for its default.
    pub(crate) layout: String,
    pub(crate) audio_only: bool,
}

/// A room that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenRoom {
    pub(crate) name: String,
    /// `RM_…`: of this session of it.
    pub(crate) room_id: String,
    pub(crate) metadata: String,
    /// It is shown as being recorded.
    pub(crate) is_recorded: bool,
}

impl From<Room> for OpenRoom {
    fn from(room: Room) -> Self {
        Self {
            name: room.name,
            room_id: room.sid,
            metadata: room.metadata,
            is_recorded: room.active_recording,
        }
    }
}

/// A client of the server.
pub(crate) struct LiveKit {
    url: Url,
    rooms: RoomClient,
    egress: EgressClient,
}

impl LiveKit {
    pub(crate) fn new(url: Url, keys: &ApiKeys) -> Self {
        let (key, secret) = keys.first();
        let host = url.as_str().trim_end_matches('/');
        let rooms = RoomClient::with_api_key(host, key, secret).with_request_timeout(ROOM_TIMEOUT);
        let egress = EgressClient::with_api_key(host, key, secret).with_request_timeout(EGRESS_TIMEOUT);
        Self { url, rooms, egress }
    }

    /// Whether it is there and lets us in.
    pub(crate) async fn check(&self) -> Result<(), LiveKitError> {
        let nobody = vec!["-".to_owned()];
        self.rooms.list_rooms(nobody).await.map(drop).map_err(|error| self.error(error))
    }

    /// The identities in a room; none where there is no such room.
    pub(crate) async fn identities(&self, room_name: &str) -> Result<Vec<String>, LiveKitError> {
        let participants = self.participants(room_name).await?;
        Ok(participants.into_iter().map(|participant| participant.identity).collect())
    }

    /// Everybody in a room, recorders and whoever is hidden included; nobody where there is no such room.
    pub(crate) async fn participants(&self, room_name: &str) -> Result<Vec<ParticipantInfo>, LiveKitError> {
        match self.rooms.list_participants(room_name).await.map_err(|error| self.error(error)) {
            Err(LiveKitError::NotFound(_)) => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// Mutes a track until whoever publishes it unmutes it; [`LiveKitError::NotFound`] where it has ended.
    pub(crate) async fn mute(
        &self,
        room_name: &str,
        identity: &str,
        track_sid: &str,
    ) -> Result<(), LiveKitError> {
        let muting = self.rooms.mute_published_track(room_name, identity, track_sid, true);
        // Of a track that is gone servers answer without one, and livekit-api panics.
        match AssertUnwindSafe(muting).catch_unwind().await {
            Ok(muted) => muted.map(drop).map_err(|error| self.error(error)),
            Err(_) => Err(LiveKitError::NotFound("the track has ended".to_owned())),
        }
    }

    /// Removes somebody from a room. Their tokens that were given before that time let them in no more, as far as the server knows how to.
    pub(crate) async fn remove(
        &self,
        room_name: &str,
        identity: &str,
        tokens_before_unix_s: i64,
    ) -> Result<(), LiveKitError> {
        let options = RemoveParticipantOptions { revoke_token_ts: tokens_before_unix_s };
        let removed = self.rooms.remove_participant_with_options(room_name, identity, options);
        removed.await.map_err(|error| self.error(error))
    }

    /// Ends a room for everybody in it; one that is not open has ended.
    pub(crate) async fn close_room(&self, room_name: &str) -> Result<(), LiveKitError> {
        match self.rooms.delete_room(room_name).await.map_err(|error| self.error(error)) {
            Ok(()) | Err(LiveKitError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Those of some rooms that are open, or all that are where none is named.
    pub(crate) async fn open_rooms(&self, names: Vec<String>) -> Result<Vec<Room>, LiveKitError> {
        self.rooms.list_rooms(names).await.map_err(|error| self.error(error))
    }

    /// Sets what everybody in a room is told with it.
    pub(crate) async fn set_room_metadata(
        &self,
        room_name: &str,
        metadata: &str,
    ) -> Result<(), LiveKitError> {
        let set = self.rooms.update_room_metadata(room_name, metadata).await;
        set.map(drop).map_err(|error| self.error(error))
    }

    /// Sends a message to everybody in a room, reliably.
    pub(crate) async fn send_data(
        &self,
        room_name: &str,
        topic: &str,
        payload: Vec<u8>,
    ) -> Result<(), LiveKitError> {
        let options = SendDataOptions { topic: Some(topic.to_owned()), ..SendDataOptions::default() };
        self.rooms.send_data(room_name, payload, options).await.map_err(|error| self.error(error))
    }

    pub(crate) async fn start_recording(
        &self,
        request: RecordingRequest,
    ) -> Result<EgressInfo, LiveKitError> {
        let output = EncodedFileOutput {
            file_type: EncodedFileType::Mp4 as i32,
            filepath: request.filepath,
            ..EncodedFileOutput::default()
        };
        let options = RoomCompositeOptions {
            layout: request.layout,
            audio_only: request.audio_only,
            encoding: encoding::EncodingOptions { audio_codec: AudioCodec::Aac, ..encoding::H264_720P_30 },
            ..RoomCompositeOptions::default()
        };
        let outputs = vec![EgressOutput::File(output)];
        self.egress
            .start_room_composite_egress(&request.room_name, outputs, options)
            .await
            .map_err(|error| self.error(error))
    }

    pub(crate) async fn stop_recording(&self, egress_id: &str) -> Result<EgressInfo, LiveKitError> {
        self.egress.stop_egress(egress_id).await.map_err(|error| self.error(error))
    }

    /// Those of a room that are not over.
    pub(crate) async fn active_recordings(&self, room_name: &str) -> Result<Vec<EgressInfo>, LiveKitError> {
        self.list(EgressListOptions {
            filter: EgressListFilter::Room(room_name.to_owned()),
            active: true,
            ..EgressListOptions::default()
        })
        .await
    }

    /// All that the server still knows of, also those that are over.
    pub(crate) async fn all_recordings(&self) -> Result<Vec<EgressInfo>, LiveKitError> {
        self.list(EgressListOptions::default()).await
    }

    /// All that are not over.
    pub(crate) async fn all_active_recordings(&self) -> Result<Vec<EgressInfo>, LiveKitError> {
        self.list(EgressListOptions { active: true, ..EgressListOptions::default() }).await
    }

    /// One, whatever its state; `None` when the server does not know it any more.
    pub(crate) async fn recording(&self, egress_id: &str) -> Result<Option<EgressInfo>, LiveKitError> {
        let filter = EgressListFilter::Egress(egress_id.to_owned());
        match self.list(EgressListOptions { filter, ..EgressListOptions::default() }).await {
            Ok(found) => Ok(found.into_iter().next()),
            Err(LiveKitError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, options: EgressListOptions) -> Result<Vec<EgressInfo>, LiveKitError> {
        self.egress.list_egress(options).await.map_err(|error| self.error(error))
    }

    fn error(&self, error: ServiceError) -> LiveKitError {
        match error {
            ServiceError::Twirp(ServerError::Twirp(error)) => from_code(error),
            ServiceError::Twirp(ServerError::Request(error)) if error.is_decode() || error.is_body() => {
                LiveKitError::Failed(format!("what answers at {} is no LiveKit server", self.url))
            }
            ServiceError::Twirp(ServerError::Request(error)) => {
                let reason =
                    if error.is_timeout() { "it does not answer in time".to_owned() } else { cause(&error) };
                LiveKitError::Unreachable(format!("{} ({reason})", self.url))
            }
            other => LiveKitError::Failed(format!("{other} ({})", self.url)),
        }
    }
}

fn from_code(error: ServerErrorCode) -> LiveKitError {
    let text = error.msg;
    match error.code.as_str() {
        ServerErrorCode::NOT_FOUND => LiveKitError::NotFound(text),
        ServerErrorCode::FAILED_PRECONDITION => LiveKitError::Impossible(text),
        ServerErrorCode::ALREADY_EXISTS | ServerErrorCode::ABORTED => LiveKitError::NotNow(text),
        ServerErrorCode::INVALID_ARGUMENT | ServerErrorCode::MALFORMED | ServerErrorCode::UNIMPLEMENTED => {
            LiveKitError::Invalid(text)
        }
        ServerErrorCode::RESOURCE_EXHAUSTED
        | ServerErrorCode::UNAVAILABLE
        | ServerErrorCode::DEADLINE_EXCEEDED => LiveKitError::Busy(text),
        ServerErrorCode::UNAUTHENTICATED | ServerErrorCode::PERMISSION_DENIED => LiveKitError::Refused(text),
        code => LiveKitError::Failed(format!("{code}: {text}")),
    }
}

/// The innermost reason, which is what a person understands.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
