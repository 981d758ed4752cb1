//! `POST /token`: who may join which room.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Extension;
use axum::extract::State;
use reelroom_access::{Caller, Resource, Right, grants};
use reelroom_limits::asker::Asker;
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_protocol::token::{Claims, mint};
use reelroom_routes::Visitor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json};

/// As LiveKit's SDKs give by default. It bounds when a call may be joined, not how long it lasts.
const VALID: Duration = Duration::from_secs(6 * 60 * 60);
/// For whoever was let in: what lets them in may be taken away.
const VALID_FOR_SOME: Duration = Duration::from_secs(10 * 60);

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
    (status = 429, description = "Too many tokens are asked for from this address", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<WebApp>,
    visitor: Visitor,
    asker: Option<Extension<Asker>>,
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
    let Extension(asker) = asker.unwrap_or_default();
    let wait =
        app.askers().take(asker, Instant::now()).map_err(|too_fast| ApiError::TooFast(too_fast.wait))?;
    tokio::time::sleep(wait).await;
    let present = app.livekit().identities(&room_name).await?;
    let identity = app.identities().reserve(&room_name, &participant_name, &present, Instant::now());
    let valid = if *visitor.caller() == Caller::Everybody { VALID } else { VALID_FOR_SOME };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: identity,
        name: participant_name,
        ticket: Ticket::generate(&mut rand::rng()),
        nbf: now_s,
        exp: now_s + valid.as_secs(),
        video: Some(video),
        ..Claims::default()
    };
    Ok(axum::Json(TokenAnswer { token: mint(app.keys(), claims) }))
}
