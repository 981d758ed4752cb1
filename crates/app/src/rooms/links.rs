//! `/rooms/{name}/links/{id}`: the link for hosts and the one for guests.

use axum::extract::State;
use axum::response::Response;
use reelroom_audit::{Act, On};
use reelroom_protocol::ids::RoomName;
use reelroom_rooms::{Renewal, Role, RoomsError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{RoomBody, done};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path};
use crate::owner::told;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenewLinkRequest {
    /// Milliseconds since 1970; absent: it lasts until it is revoked.
    expires_at: Option<i64>,
}

/// Makes a link into a room, in the place of the one before, which is over: whoever came by it is out.
#[utoipa::path(post, path = "/rooms/{name}/links/{id}", params(("name" = String, Path), ("id" = String, Path, description = "host or guest")), request_body = RenewLinkRequest, responses(
    (status = 200, body = RoomBody),
    (status = 400, description = "The time is over", body = ErrorBody),
    (status = 404, description = "There is no such room or link", body = ErrorBody),
    (status = 503, description = "The one before is over, and the disk does not take a new one", body = ErrorBody),
))]
pub(crate) async fn renew_room_link(
    State(app): State<WebApp>,
    actor: Actor,
    Path((name, role)): Path<(String, String)>,
    Json(request): Json<RenewLinkRequest>,
) -> Result<Response, ApiError> {
    let (name, role) = (RoomName::from(name), role_of(&role)?);
    let of = name.clone();
    let room = done(&app, Some(name), move |rooms| {
        let renewal = Renewal { room: &of, role, expires_ms: request.expires_at };
        let outcome = rooms.renew(renewal, clock::now().unix_ms, &mut rand::rng());
        actor.tried(Act::RoomLinkRenewed, On::room(&of), Some(for_whom(role)), &outcome);
        outcome
    })
    .await?;
    tracing::info!(room = %room.name, role = role.word(), "a link into a room was renewed");
    Ok(told(RoomBody::of(&app, room)))
}

/// Revokes a link into a room: whoever came by it is out.
#[utoipa::path(delete, path = "/rooms/{name}/links/{id}", params(("name" = String, Path), ("id" = String, Path, description = "host or guest")), responses(
    (status = 200, body = RoomBody),
    (status = 404, description = "There is no such room or link", body = ErrorBody),
    (status = 503, description = "It is revoked, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn revoke_room_link(
    State(app): State<WebApp>,
    actor: Actor,
    Path((name, role)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (name, role) = (RoomName::from(name), role_of(&role)?);
    let of = name.clone();
    let room = done(&app, Some(name), move |rooms| {
        let outcome = rooms.revoke(&of, role);
        actor.tried(Act::RoomLinkRevoked, On::room(&of), Some(for_whom(role)), &outcome);
        outcome
    })
    .await?;
    tracing::info!(room = %room.name, role = role.word(), "a link into a room was revoked");
    Ok(told(RoomBody::of(&app, room)))
}

fn for_whom(role: Role) -> String {
    format!("for {}s", role.word())
}

fn role_of(word: &str) -> Result<Role, ApiError> {
    Role::of_word(word).ok_or_else(|| RoomsError::Unknown.into())
}
