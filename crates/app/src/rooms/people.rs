//! `/rooms/{name}/participants`: whoever runs a room sees who is in it, mutes and removes.
//!
//! # Invariants
//!
//! - All of it goes by LiveKit's API, of this program's media server and of another one, in rooms that the owner made and in others.
//! - What records is in no list, and nobody who runs one room mutes or removes it.
//! - Nobody is unmuted by others: that a microphone is on again says whoever it is of.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::Response;
use reelroom_access::{Resource, Right};
use reelroom_audit::{Act, On};
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::{ParticipantInfo, TrackInfo, TrackSource, participant_info};
use reelroom_routes::Visitor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path};
use crate::livekit::LiveKitError;
use crate::owner::{to_its_end, told};
use crate::token::ROLE;

/// LiveKit's sources, by their names in tokens.
const SOURCES: [(TrackSource, &str); 4] = [
    (TrackSource::Camera, "camera"),
    (TrackSource::Microphone, "microphone"),
    (TrackSource::ScreenShare, "screen_share"),
    (TrackSource::ScreenShareAudio, "screen_share_audio"),
];
const ROLES: [&str; 3] = ["owner", "host", "guest"];

/// Who is in a room.
#[derive(Serialize, ToSchema)]
pub(crate) struct PeopleAnswer {
    /// Whoever came first stands first. What records is none of them.
    participants: Vec<PersonBody>,
    /// Whether the room is being recorded.
    recording: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PersonBody {
    /// Of the other calls.
    identity: String,
    /// What the others see.
    name: String,
    /// owner, host or guest; absent where they came by none of these, or by another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    /// Milliseconds since 1970.
    joined_at: i64,
    tracks: Vec<TrackBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TrackBody {
    sid: String,
    /// camera, microphone, screen_share, screen_share_audio; unknown for whatever an app calls nothing of these.
    source: &'static str,
    /// Whether nothing of it is sent, whoever wanted that.
    muted: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MuteRequest {
    /// One track; absent where source is given.
    track_sid: Option<String>,
    /// Every track of this source: camera, microphone, screen_share or screen_share_audio.
    source: Option<String>,
    /// Absent or true: they are muted until they unmute themselves. Nobody is unmuted by others.
    muted: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MutedAnswer {
    /// The tracks of which nothing is sent any more.
    muted: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RemovedAnswer {
    /// Whoever is not in the room any more.
    removed: String,
}

impl From<&TrackInfo> for TrackBody {
    fn from(track: &TrackInfo) -> Self {
        Self { sid: track.sid.clone(), source: source_of(track).unwrap_or("unknown"), muted: track.muted }
    }
}

impl From<&ParticipantInfo> for PersonBody {
    fn from(person: &ParticipantInfo) -> Self {
        let role = person.attributes.get(ROLE);
        Self {
            identity: person.identity.clone(),
            name: person.name.clone(),
            role: role.and_then(|role| ROLES.into_iter().find(|known| known == role)),
            joined_at: joined_ms(person),
            tracks: person.tracks.iter().map(TrackBody::from).collect(),
        }
    }
}

/// Servers of before it was said in milliseconds say it in seconds.
fn joined_ms(person: &ParticipantInfo) -> i64 {
    if person.joined_at_ms > 0 { person.joined_at_ms } else { person.joined_at.saturating_mul(1000) }
}

fn source_of(track: &TrackInfo) -> Option<&'static str> {
    SOURCES.iter().find(|(source, _)| *source == track.source()).map(|(_, word)| *word)
}

fn is_recorder(person: &ParticipantInfo) -> bool {
    person.kind() == participant_info::Kind::Egress
        || person.permission.as_ref().is_some_and(|permission| permission.recorder)
}

/// Whether the others see them.
fn is_seen(person: &ParticipantInfo) -> bool {
    !is_recorder(person) && !person.permission.as_ref().is_some_and(|permission| permission.hidden)
}

/// Tells who is in a room, made by the owner or not. A room that is not open has nobody in it.
#[utoipa::path(get, path = "/rooms/{name}/participants", params(("name" = String, Path)), responses(
    (status = 200, body = PeopleAnswer),
    (status = 403, description = "They do not run this room", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn list_people(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    visitor.ask(Right::Moderate, &Resource::Room(&RoomName::from(name.as_str())))?;
    let mut all = app.livekit().participants(&name).await?;
    all.sort_by_key(joined_ms);
    let participants = all.iter().filter(|person| is_seen(person)).map(PersonBody::from).collect();
    Ok(told(PeopleAnswer { participants, recording: all.iter().any(is_recorder) }))
}

/// Mutes somebody in a room until they unmute themselves.
#[utoipa::path(post, path = "/rooms/{name}/participants/{id}/mute", params(("name" = String, Path), ("id" = String, Path, description = "The participant's identity")), request_body = MuteRequest, responses(
    (status = 200, body = MutedAnswer),
    (status = 400, description = "Neither trackSid nor source is given, or source is none", body = ErrorBody),
    (status = 403, description = "They do not run this room, or it is what records it", body = ErrorBody),
    (status = 404, description = "Nobody of this identity is in the room, or they publish nothing of that", body = ErrorBody),
    (status = 409, description = "Nobody is unmuted by others", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn mute_person(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path((name, identity)): Path<(String, String)>,
    Json(request): Json<MuteRequest>,
) -> Result<Response, ApiError> {
    visitor.ask(Right::Moderate, &Resource::Room(&RoomName::from(name.as_str())))?;
    let MuteRequest { track_sid, source, muted } = request;
    if track_sid.is_none() && source.is_none() {
        return Err(ApiError::required("trackSid or source"));
    }
    if let Some(source) = &source
        && !SOURCES.iter().any(|(_, word)| word == source)
    {
        let words = SOURCES.map(|(_, word)| word);
        return Err(ApiError::BadRequest(format!("source is none of {}", words.join(", "))));
    }
    if muted == Some(false) {
        return Err(ApiError::Conflict("nobody is unmuted by others: ask them to do it themselves".into()));
    }
    let person = find(&app, &visitor, &name, &identity).await?;
    let is_meant = |track: &&TrackInfo| {
        track_sid.as_ref().is_none_or(|sid| *sid == track.sid)
            && source.as_deref().is_none_or(|source| source_of(track) == Some(source))
    };
    let meant: Vec<String> = person.tracks.iter().filter(is_meant).map(|track| track.sid.clone()).collect();
    let muting = async move {
        let mut muted = Vec::new();
        let mut failed = None;
        for sid in meant {
            match app.livekit().mute(&name, &identity, &sid).await {
                Ok(()) => muted.push(sid),
                // It ended meanwhile.
                Err(LiveKitError::NotFound(_)) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !muted.is_empty() {
            actor.did_so(Act::ParticipantMuted, On::participant(&name, &identity), muted.join(", "));
            tracing::info!(room = %name, identity, "somebody was muted");
        }
        failed.map_or(Ok(muted), Err)
    };
    let muted = to_its_end(muting).await?;
    if muted.is_empty() {
        return Err(ApiError::NotFound("they publish nothing of that".into()));
    }
    Ok(told(MutedAnswer { muted }))
}

/// Removes somebody from a room. What tokens they have is worth nothing; they may come again by the link that they came by, until it is
/// renewed or revoked, and where the room has a lobby they have to be let in again.
#[utoipa::path(delete, path = "/rooms/{name}/participants/{id}", params(("name" = String, Path), ("id" = String, Path, description = "The participant's identity")), responses(
    (status = 200, body = RemovedAnswer),
    (status = 403, description = "They do not run this room, or it is what records it", body = ErrorBody),
    (status = 404, description = "Nobody of this identity is in the room", body = ErrorBody),
    (status = 409, description = "It is what records the room: stop the recording", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn remove_person(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path((name, identity)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    visitor.ask(Right::Moderate, &Resource::Room(&RoomName::from(name.as_str())))?;
    find(&app, &visitor, &name, &identity).await?;
    // Before the time is looked at: what lets them in now is of before it.
    app.lobbies().with(|lobby, _| lobby.forget_entered(&RoomName::from(name.as_str())));
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // Those of this very second as well.
    let before_s = i64::try_from(now_s + 1).unwrap_or(i64::MAX);
    let removing = async move {
        app.livekit().remove(&name, &identity, before_s).await?;
        actor.did(Act::ParticipantRemoved, On::participant(&name, &identity));
        tracing::info!(room = %name, identity, "somebody was removed from a room");
        Ok::<_, LiveKitError>(identity)
    };
    let removed = to_its_end(removing).await.map_err(|error| match error {
        LiveKitError::NotFound(_) => nobody(),
        error => ApiError::from(error),
    })?;
    Ok(told(RemovedAnswer { removed }))
}

/// Somebody in a room, whom the visitor may mute and remove.
async fn find(
    app: &WebApp,
    visitor: &Visitor,
    room: &str,
    identity: &str,
) -> Result<ParticipantInfo, ApiError> {
    let all = app.livekit().participants(room).await?;
    let person = all.into_iter().find(|person| person.identity == identity).ok_or_else(nobody)?;
    if !is_seen(&person) {
        visitor.ask(Right::Moderate, &Resource::Recorder(&RoomName::from(room)))?;
    }
    Ok(person)
}

fn nobody() -> ApiError {
    ApiError::NotFound("nobody of this identity is in the room".into())
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::ParticipantPermission;

    use super::*;

    fn person(identity: &str) -> ParticipantInfo {
        ParticipantInfo { identity: identity.into(), joined_at: 7, ..ParticipantInfo::default() }
    }

    #[test]
    fn somebody_is_told_as_livekit_says_with_the_role_that_the_server_gave() {
        let track = |source: TrackSource, muted| TrackInfo {
            sid: "TR_1".into(),
            source: source.into(),
            muted,
            ..TrackInfo::default()
        };
        let mut ada = person("Ada");
        ada.attributes.insert(ROLE.into(), "host".into());
        ada.tracks = vec![track(TrackSource::Microphone, true), track(TrackSource::Unknown, false)];
        let body = PersonBody::from(&ada);
        assert_eq!((body.identity.as_str(), body.role, body.joined_at), ("Ada", Some("host"), 7000));
        let tracks: Vec<_> = body.tracks.iter().map(|track| (track.source, track.muted)).collect();
        assert_eq!(tracks, [("microphone", true), ("unknown", false)]);
        ada.attributes.insert(ROLE.into(), "emperor".into());
        ada.joined_at_ms = 7123;
        let body = PersonBody::from(&ada);
        assert_eq!((body.role, body.joined_at), (None, 7123));
    }

    #[test]
    fn what_records_and_what_is_hidden_is_nobody_who_is_seen() {
        let allowed = |permission| ParticipantInfo { permission: Some(permission), ..person("EG_1") };
        let egress = ParticipantInfo { kind: participant_info::Kind::Egress.into(), ..person("EG_1") };
        let recorder = allowed(ParticipantPermission { recorder: true, ..Default::default() });
        let hidden = allowed(ParticipantPermission { hidden: true, ..Default::default() });
        assert!(is_recorder(&egress) && is_recorder(&recorder) && !is_recorder(&hidden));
        for unseen in [&egress, &recorder, &hidden] {
            assert!(!is_seen(unseen), "{unseen:?}");
        }
        assert!(is_seen(&person("Ada")));
    }
}
