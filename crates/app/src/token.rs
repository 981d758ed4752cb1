//! `POST /token`: who may join which room.
//!
//! # Invariants
//!
//! - Where access is by invitation a token lasts ten minutes, is good for one session at a time, and says in its ticket by what its bearer came:
//!   once that is over it lets nobody in. The media server gives fresh ones to whoever is in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use reelroom_access::{Caller, Resource, Right, grants};
use reelroom_limits::asker::Asker;
use reelroom_limits::rooms::TOKEN_LASTS;
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_protocol::proto::RoomConfiguration;
use reelroom_protocol::token::{Claims, mint};
use reelroom_routes::{Refusal, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::clock;
use crate::config::Access;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json};

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
}

/// Makes a token for one participant of one room. Where access is open the bearer may record this room, and no other, too.
#[utoipa::path(post, path = "/token", request_body = TokenRequest, responses(
    (status = 200, body = TokenAnswer),
    (status = 400, description = "roomName or participantName is missing", body = ErrorBody),
    (status = 410, description = "The room was deleted", body = ErrorBody),
    (status = 429, description = "Too many tokens are asked for from this address", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<WebApp>,
    visitor: Visitor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<TokenRequest>,
) -> Result<axum::Json<TokenAnswer>, ApiError> {
    let (Some(room_name), Some(participant_name)) = (&request.room_name, &request.participant_name) else {
        return Err(ApiError::BadRequest("roomName and participantName are required".into()));
    };
    let room_name = extract::name(Some(room_name.clone()), "roomName")?;
    let participant_name = extract::name(Some(participant_name.clone()), "participantName")?;
    let room = RoomName::from(room_name.as_str());
    visitor.ask(Right::Join, &Resource::Room(&room))?;
    let video = grants(visitor.caller(), &room).ok_or(visitor.refusal())?;
    let terms = Terms::of(&app, &visitor, &room, &headers)?;
    let Extension(asker) = asker.unwrap_or_default();
    let wait =
        app.askers().take(asker, Instant::now()).map_err(|too_fast| ApiError::TooFast(too_fast.wait))?;
    tokio::time::sleep(wait).await;
    let present = app.livekit().identities(&room_name).await?;
    app.room_state().expect(&room_name);
    let identity = app.identities().reserve(&room_name, &participant_name, &present, Instant::now());
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: identity,
        name: participant_name,
        ticket: terms.ticket,
        serial: terms.serial,
        nbf: now_s,
        exp: now_s + terms.valid.as_secs(),
        video: Some(video),
        room_config: terms.room,
        ..Claims::default()
    };
    Ok(axum::Json(TokenAnswer { token: mint(app.keys(), claims) }))
}

/// On which terms a token is given.
struct Terms {
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
        if app.rooms().is_closed(room) {
            return Err(ApiError::Gone("this room was deleted, and is closed for good".into()));
        }
        // Between the door and here it may have ended.
        let origin = app.origin(visitor.caller(), headers, clock::now()).ok_or(Refusal::Nobody)?;
        Ok(Self {
            ticket: origin.ticket(),
            serial: 1,
            valid: TOKEN_LASTS,
            room: room_set(app, app.rooms().people(room)),
        })
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
