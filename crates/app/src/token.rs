//! `POST /token`: who may join which room.
//!
//! # Invariants
//!
//! - Where access is by invitation a token lasts ten minutes, is good for one session at a time, and says in its ticket by what its bearer came:
//!   once that is over it lets nobody in. The media server gives fresh ones to whoever is in.
//! - Where a room has a lobby a guest gets none before a host has let them in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use reelroom_access::{Caller, Resource, Right, grants};
use reelroom_audit::{Act, On};
use reelroom_limits::asker::Asker;
use reelroom_limits::rooms::TOKEN_LASTS;
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_protocol::proto::RoomConfiguration;
use reelroom_protocol::token::{Claims, mint};
use reelroom_routes::{Refusal, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json};
use crate::rooms::consent;
use crate::rooms::lobby::{self, WaitingAnswer};

/// The attribute of a participant that says as what they came: owner, host or guest. Only the server sets it.
pub(crate) const ROLE: &str = "reelroom.role";
/// Where access is open: as LiveKit's SDKs give by default. It bounds when a call may be joined, not how long it lasts.
const VALID: Duration = Duration::from_secs(6 * 60 * 60);

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenRequest {
    /// Any text. The room is made when the first participant joins.
    #[schema(required = true)]
    room_name: Option<String>,
    /// What the others see.
    #[schema(required = true)]
    participant_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// A LiveKit access token for that room.
    token: String,
    /// Whether that room records only those who agree: docs/rooms.md says how they say so.
    consent: bool,
}

/// Makes a token for one participant of one room. Where access is open the bearer may record this room, and no other, too.
#[utoipa::path(post, path = "/token", request_body = TokenRequest, responses(
    (status = 200, body = TokenAnswer),
    (status = 202, description = "They wait until a host lets them in: GET /rooms/{name}/lobby/{id} tells how it stands", body = WaitingAnswer),
    (status = 400, description = "roomName or participantName is missing", body = ErrorBody),
    (status = 409, description = "As many people wait to be let in as can", body = ErrorBody),
    (status = 410, description = "The room was deleted", body = ErrorBody),
    (status = 429, description = "Too many tokens are asked for from this address, or a host did not let them in a moment ago", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> Result<Response, ApiError> {
    let (Some(room_name), Some(participant_name)) = (&request.room_name, &request.participant_name) else {
        return Err(ApiError::BadRequest("roomName and participantName are required".into()));
    };
    let room_name = extract::name(Some(room_name.clone()), "roomName")?;
    let participant_name = extract::name(Some(participant_name.clone()), "participantName")?;
    let room = RoomName::from(room_name.as_str());
    visitor.ask(Right::Join, &Resource::Room(&room))?;
    let terms = Terms::of(&app, &visitor, &room, &headers)?;
    let Extension(asker) = asker.unwrap_or_default();
    let wait =
        app.askers().take(asker, Instant::now()).map_err(|too_fast| ApiError::TooFast(too_fast.wait))?;
    tokio::time::sleep(wait).await;
    if app.rooms().has_to_knock(visitor.caller()) {
        return lobby::knock(&app, &headers, &room, &participant_name, asker);
    }
    let identity = identity(&app, &room, &participant_name).await?;
    let bearer = Bearer { name: participant_name, identity };
    note(&app, &actor, &room, &bearer);
    let token = sign(&app, visitor.caller(), &room, bearer, terms).ok_or(visitor.refusal())?;
    let consent = consent::is_asked(&app, &room);
    Ok(axum::Json(TokenAnswer { token, consent }).into_response())
}

/// Who whoever calls themselves so is in a room: a second one of a name is another participant.
pub(crate) async fn identity(app: &WebApp, room: &RoomName, name: &str) -> Result<String, ApiError> {
    let present = app.livekit().identities(room.as_str()).await?;
    Ok(app.identities().reserve(room.as_str(), name, &present, Instant::now()))
}

/// As whom somebody comes.
pub(crate) struct Bearer {
    /// What the others see.
    pub(crate) name: String,
    pub(crate) identity: String,
}

/// Keeps that somebody is given a token.
pub(crate) fn note(app: &WebApp, actor: &Actor, room: &RoomName, bearer: &Bearer) {
    app.room_state().expect(room.as_str());
    app.roles().note(room.as_str(), &bearer.identity, actor.kind(), Instant::now());
    actor.clone().called(&bearer.name).did(Act::RoomJoined, On::room(room.as_str()));
}

/// A token for a room; `None` for those who may not join it.
pub(crate) fn sign(
    app: &WebApp,
    caller: &Caller,
    room: &RoomName,
    bearer: Bearer,
    terms: Terms,
) -> Option<String> {
    let video = grants(caller, room)?;
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: bearer.identity,
        name: bearer.name,
        attributes: role(caller).map(|role| (ROLE.to_owned(), role.to_owned())).into_iter().collect(),
        ticket: terms.ticket,
        serial: terms.serial,
        nbf: now_s,
        exp: now_s + terms.valid.as_secs(),
        video: Some(video),
        room_config: terms.room,
        ..Claims::default()
    };
    Some(mint(app.keys(), claims))
}

/// As what somebody is in a room, for the others to see; `None` where nothing is known of it.
fn role(caller: &Caller) -> Option<&'static str> {
    match caller {
        Caller::Owner => Some("owner"),
        Caller::Host { .. } => Some("host"),
        Caller::Guest { .. } => Some("guest"),
        Caller::Key { .. } | Caller::Viewer { .. } | Caller::Everybody | Caller::Nobody => None,
    }
}

/// On which terms a token is given.
pub(crate) struct Terms {
    ticket: Ticket,
    serial: u32,
    valid: Duration,
    /// What the room is set to if it opens by this token.
    room: Option<RoomConfiguration>,
}

impl Terms {
    fn of(app: &WebApp, visitor: &Visitor, room: &RoomName, headers: &HeaderMap) -> Result<Self, ApiError> {
        if app.access() == Access::Open {
            // What lets somebody else in may be taken away.
            let valid = if *visitor.caller() == Caller::Everybody { VALID } else { TOKEN_LASTS };
            let ticket = Ticket::generate(&mut rand::rng());
            return Ok(Self { ticket, serial: 0, valid, room: room_set(app, None) });
        }
        // Between the door and here it may have ended.
        let origin = app.origin(visitor.caller(), headers, clock::now()).ok_or(Refusal::Nobody)?;
        Self::by_invitation(app, room, origin.ticket())
    }

    /// For the bearer of a ticket that says by what they come.
    pub(crate) fn by_invitation(app: &WebApp, room: &RoomName, ticket: Ticket) -> Result<Self, ApiError> {
        if app.rooms().is_closed(room) {
            return Err(ApiError::Gone("this room was deleted, and is closed for good".into()));
        }
        let room = room_set(app, app.rooms().people(room));
        Ok(Self { ticket, serial: 1, valid: TOKEN_LASTS, room })
    }
}

/// What a room is set to that opens by a token; `None` where that is nothing.
fn room_set(app: &WebApp, people: Option<u32>) -> Option<RoomConfiguration> {
    let metadata = app.room_state().at_first();
    let is_set = people.is_some() || !metadata.is_empty();
    is_set.then(|| RoomConfiguration {
        max_participants: people.unwrap_or_default(),
        metadata,
        ..RoomConfiguration::default()
    })
}
