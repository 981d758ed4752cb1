//! `livekit.RoomService` over Twirp.

use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use reelroom_limits::signalling::{METADATA_BYTES, NAME_BYTES};
use reelroom_protocol::ids::{RoomName, TrackSid};
use reelroom_protocol::json::known;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    CreateRoomRequest, DeleteRoomRequest, DeleteRoomResponse, ListParticipantsRequest,
    ListParticipantsResponse, ListRoomsRequest, ListRoomsResponse, MuteRoomTrackRequest,
    MuteRoomTrackResponse, ParticipantInfo, PerformRpcRequest, PerformRpcResponse, RemoveParticipantResponse,
    RoomParticipantIdentity, SendDataRequest, SendDataResponse, UpdateParticipantRequest,
    UpdateRoomMetadataRequest, UpdateSubscriptionsRequest, UpdateSubscriptionsResponse,
};
use reelroom_protocol::token::VideoGrants;
use reelroom_protocol::twirp::{self, Keyed as _, Request, TwirpCode, TwirpError, respond};
use reelroom_routes::{Needs, Part, Proof};
use reelroom_sfu::{AdminRefusal, Now, Room, RpcCall, RpcError, RpcFailure};

use crate::error::MediaError;
use crate::server::MediaServer;

type Answer = Result<Response, TwirpError>;

/// `revokeTokenTs` is compared with a token's seconds; some of LiveKit's SDKs say milliseconds. What is as large is meant so.
const NO_SECONDS: u64 = 100_000_000_000;
/// By which data is known that is sent again.
const NONCE_BYTES: usize = 16;

pub(crate) fn rows() -> Part<MediaServer> {
    const NEEDS: Needs = Needs::Proof(Proof::ApiToken);
    let path = |method: &str| format!("/twirp/livekit.RoomService/{method}");
    Part::new("Rooms (`livekit.RoomService`)")
        .row([Method::POST], &path("CreateRoom"), NEEDS, create_room)
        .row([Method::POST], &path("ListRooms"), NEEDS, list_rooms)
        .row([Method::POST], &path("DeleteRoom"), NEEDS, delete_room)
        .row([Method::POST], &path("ListParticipants"), NEEDS, list_participants)
        .row([Method::POST], &path("GetParticipant"), NEEDS, get_participant)
        .row([Method::POST], &path("RemoveParticipant"), NEEDS, remove_participant)
        .row([Method::POST], &path("MutePublishedTrack"), NEEDS, mute_published_track)
        .row([Method::POST], &path("UpdateParticipant"), NEEDS, update_participant)
        .row([Method::POST], &path("UpdateSubscriptions"), NEEDS, update_subscriptions)
        .row([Method::POST], &path("UpdateRoomMetadata"), NEEDS, update_room_metadata)
        .row([Method::POST], &path("SendData"), NEEDS, send_data)
        .row([Method::POST], &path("ForwardParticipant"), NEEDS, unsupported)
        .row([Method::POST], &path("MoveParticipant"), NEEDS, unsupported)
        .row([Method::POST], &path("PerformRpc"), NEEDS, perform_rpc)
        .refusing_methods(|method, uri| TwirpError::bad_route(&method, uri.path()).into_response())
}

/// What LiveKit's servers have, and this one does not.
async fn unsupported(State(server): State<MediaServer>, headers: HeaderMap, uri: Uri) -> TwirpError {
    // Whoever may not do such things is told that alone.
    let claims = twirp::authenticate(server.keys(), &headers, server.now_unix_s());
    if let Err(refusal) = claims.and_then(|claims| twirp::require(&claims, |grants| grants.room_admin)) {
        return refusal;
    }
    let method = uri.path().rsplit('/').next().unwrap_or_default();
    TwirpError::unimplemented(method)
}

impl twirp::Keyed for MediaServer {
    fn keys(&self) -> &ApiKeys {
        Self::keys(self)
    }

    fn now_unix_s(&self) -> u64 {
        (crate::room_task::now().unix_ms / 1000) as u64
    }
}

fn admin<T>(request: &Request<T>, room: &str) -> Result<RoomName, TwirpError> {
    twirp::require_room_admin(&request.claims, room)?;
    Ok(room.into())
}

fn no_participant() -> TwirpError {
    TwirpError::new(TwirpCode::NotFound, "participant does not exist")
}

fn invalid(text: &str) -> TwirpError {
    TwirpError::new(TwirpCode::InvalidArgument, text)
}

fn refused(refusal: AdminRefusal) -> TwirpError {
    let code = match refusal {
        AdminRefusal::Recorder | AdminRefusal::Consent => TwirpCode::FailedPrecondition,
        AdminRefusal::TooMuch(_) => TwirpCode::InvalidArgument,
    };
    TwirpError::new(code, refusal.to_string())
}

impl From<MediaError> for TwirpError {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::NoRoom(_) | MediaError::Closing => {
                Self::new(TwirpCode::NotFound, "requested room does not exist")
            }
            MediaError::TooManyRooms { .. } => Self::new(TwirpCode::ResourceExhausted, error.to_string()),
            MediaError::Restarting => Self::new(TwirpCode::Unavailable, error.to_string()),
            MediaError::Listen { .. } => Self::new(TwirpCode::Internal, error.to_string()),
            MediaError::Refused(refusal) => refusal,
        }
    }
}

/// As LiveKit's server answers what its clients tell each other.
fn rpc_failed(error: &RpcError) -> TwirpError {
    let code = match error {
        RpcError::NoParticipant => TwirpCode::NotFound,
        RpcError::TooMany { .. } => TwirpCode::ResourceExhausted,
        RpcError::Failed(failure) => match failure.code {
            RpcFailure::CONNECTION_TIMEOUT | RpcFailure::RESPONSE_TIMEOUT => TwirpCode::Canceled,
            RpcFailure::RECIPIENT_DISCONNECTED => TwirpCode::Unavailable,
            RpcFailure::UNSUPPORTED_METHOD => TwirpCode::InvalidArgument,
            RpcFailure::REQUEST_TOO_LARGE => TwirpCode::Malformed,
            RpcFailure::UNSUPPORTED_VERSION => TwirpCode::Unimplemented,
            _ => TwirpCode::Internal,
        },
    };
    TwirpError::new(code, error.to_string())
}

/// Does something with one participant of a room.
async fn with_participant<T: Send + 'static>(
    server: &MediaServer,
    room: &RoomName,
    identity: String,
    call: impl FnOnce(&mut Room, &reelroom_protocol::ids::ParticipantSid, Now) -> T + Send + 'static,
) -> Result<T, TwirpError> {
    let found = server
        .rooms()
        .with(room, move |room, now| {
            let sid = room.sid_of(&identity)?;
            Some(call(room, &sid, now))
        })
        .await?;
    found.ok_or_else(no_participant)
}

async fn create_room(State(server): State<MediaServer>, request: Request<CreateRoomRequest>) -> Answer {
    twirp::require(&request.claims, |grants| grants.room_create)?;
    if request.message.egress.is_some() {
        // It reaches every room and any bucket, as a server's token does, and a participant's not even with the right to record its own room.
        let is_of_server =
            |grants: &VideoGrants| !grants.room_join || (grants.room_record && grants.room.is_empty());
        twirp::require(&request.claims, is_of_server)?;
    }
    Ok(respond(request.encoding, &server.rooms().create(&request.message).await?))
}

async fn list_rooms(State(server): State<MediaServer>, request: Request<ListRoomsRequest>) -> Answer {
    twirp::require(&request.claims, |grants| grants.room_list)?;
    let rooms = server.rooms().list(&request.message.names).await;
    Ok(respond(request.encoding, &ListRoomsResponse { rooms }))
}

async fn delete_room(State(server): State<MediaServer>, request: Request<DeleteRoomRequest>) -> Answer {
    twirp::require(&request.claims, |grants| grants.room_create)?;
    server.rooms().delete(&request.message.room.as_str().into()).await?;
    Ok(respond(request.encoding, &DeleteRoomResponse {}))
}

async fn list_participants(
    State(server): State<MediaServer>,
    request: Request<ListParticipantsRequest>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let infos = server.rooms().with(&room, |room, _| room.participant_infos()).await?;
    let participants = infos.into_iter().map(known::participant).collect();
    Ok(respond(request.encoding, &ListParticipantsResponse { participants }))
}

async fn get_participant(
    State(server): State<MediaServer>,
    request: Request<RoomParticipantIdentity>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let info =
        with_participant(&server, &room, request.message.identity, |room, sid, _| room.participant_info(sid));
    let info = info.await?.map(known::participant);
    Ok(respond(request.encoding, &info.ok_or_else(no_participant)?))
}

async fn remove_participant(
    State(server): State<MediaServer>,
    request: Request<RoomParticipantIdentity>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let RoomParticipantIdentity { identity, revoke_token_ts, .. } = request.message;
    let (gate, name, person) = (server.gate().clone(), room.clone(), identity.clone());
    let remove = move |room: &mut Room, sid: &_, now| {
        let ticket = room.ticket_of(sid);
        room.remove(sid, now)?;
        // Before the room's task lets anybody in again.
        gate.expect_no_more(&name, &ticket);
        if let Ok(before @ 1..) = u64::try_from(revoke_token_ts) {
            let before_unix_s = if before < NO_SECONDS { before } else { before / 1000 };
            gate.removed(&name, &ticket, &person.into(), before_unix_s);
        }
        Ok::<_, AdminRefusal>(())
    };
    with_participant(&server, &room, identity, remove).await?.map_err(refused)?;
    Ok(respond(request.encoding, &RemoveParticipantResponse::default()))
}

async fn mute_published_track(
    State(server): State<MediaServer>,
    request: Request<MuteRoomTrackRequest>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    if !request.message.muted {
        return Err(TwirpError::new(TwirpCode::FailedPrecondition, "remote unmute not enabled"));
    }
    let track_sid = TrackSid::from(request.message.track_sid);
    let mute = move |room: &mut Room, sid: &_, _| {
        let owner = room.source_of(&track_sid).map(|(owner, _)| owner);
        if owner.as_ref() == Some(sid) { room.mute_by_admin(&track_sid) } else { None }
    };
    // As with LiveKit's server, a track that is gone is an answer without one.
    let track = with_participant(&server, &room, request.message.identity, mute).await?;
    Ok(respond(request.encoding, &MuteRoomTrackResponse { track: track.map(known::track) }))
}

async fn update_participant(
    State(server): State<MediaServer>,
    request: Request<UpdateParticipantRequest>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let message = request.message;
    let identity = message.identity.clone();
    let update = move |room: &mut Room, sid: &_, now| {
        room.update_participant(sid, &message, now)?;
        Ok::<_, AdminRefusal>(room.participant_info(sid))
    };
    let info: Option<ParticipantInfo> =
        with_participant(&server, &room, identity, update).await?.map_err(refused)?;
    let info = info.map(known::participant);
    Ok(respond(request.encoding, &info.ok_or_else(no_participant)?))
}

async fn update_subscriptions(
    State(server): State<MediaServer>,
    request: Request<UpdateSubscriptionsRequest>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let message = request.message;
    let identity = message.identity.clone();
    let update = move |room: &mut Room, sid: &_, now| {
        let in_participants = message.participant_tracks.iter().flat_map(|tracks| tracks.track_sids.iter());
        let tracks = message.track_sids.iter().chain(in_participants).map(String::as_str);
        room.set_subscribed(sid, tracks, message.subscribe, now)
    };
    let left_out = with_participant(&server, &room, identity, update).await?;
    if left_out > 0 {
        let text = format!("{left_out} tracks that do not exist are left out");
        return Err(TwirpError::new(TwirpCode::ResourceExhausted, text));
    }
    Ok(respond(request.encoding, &UpdateSubscriptionsResponse {}))
}

async fn update_room_metadata(
    State(server): State<MediaServer>,
    request: Request<UpdateRoomMetadataRequest>,
) -> Answer {
    let room = admin(&request, &request.message.room)?;
    if request.message.metadata.len() > METADATA_BYTES {
        return Err(invalid("metadata is too long"));
    }
    let metadata = request.message.metadata;
    let update = move |room: &mut Room, _| {
        room.update_metadata(metadata);
        room.info()
    };
    Ok(respond(request.encoding, &server.rooms().with(&room, update).await?))
}

async fn send_data(State(server): State<MediaServer>, request: Request<SendDataRequest>) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let message = request.message;
    let nonce_bytes = message.nonce.len();
    if ![0, NONCE_BYTES].contains(&nonce_bytes) {
        return Err(invalid(&format!("nonce should be 16-bytes or empty, got: {nonce_bytes} bytes")));
    }
    server.rooms().with(&room, move |room, _| room.send_data_once(message)).await?;
    Ok(respond(request.encoding, &SendDataResponse {}))
}

async fn perform_rpc(State(server): State<MediaServer>, request: Request<PerformRpcRequest>) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let message = request.message;
    if message.destination_identity.is_empty() {
        return Err(invalid("destination identity is required"));
    }
    if message.method.is_empty() || message.method.len() > NAME_BYTES {
        return Err(invalid(&format!("a method has a name, of {NAME_BYTES} bytes at most")));
    }
    let call = RpcCall {
        id: format!("{:032x}", rand::random::<u128>()),
        to: message.destination_identity,
        method: message.method,
        payload: message.payload,
        timeout_ms: message.response_timeout_ms,
    };
    let payload = server.rooms().perform_rpc(&room, call).await?.map_err(|error| rpc_failed(&error))?;
    Ok(respond(request.encoding, &PerformRpcResponse { payload }))
}
