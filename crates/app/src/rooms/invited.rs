//! `GET /link`: what whoever shows a link is let into, and what they may do there.

use axum::extract::State;
use axum::response::Response;
use reelroom_access::{Caller, Reach, Resource, Right};
use reelroom_routes::Visitor;
use serde::Serialize;
use utoipa::ToSchema;

use super::consent;
use crate::app::WebApp;
use crate::error::{ApiError, ErrorBody};
use crate::owner::told;

/// What a link opens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvitedAnswer {
    /// Into which room.
    room_name: String,
    /// host or guest.
    role: &'static str,
    /// What they may do there: docs/access.md says what each of them is; "-" stands for each space.
    rights: Vec<String>,
    /// Whether guests of the room wait until a host lets them in.
    lobby: bool,
    /// Whether that room records only those who agree: docs/rooms.md says how they say so.
    consent: bool,
}

/// Tells whoever shows a link into a room, in the header X-Reelroom-Link, into which one, and what they may do there.
#[utoipa::path(get, path = "/link", responses(
    (status = 200, body = InvitedAnswer),
    (status = 401, description = "The link opens nothing, or nothing any more", body = ErrorBody),
    (status = 404, description = "Somebody asks who came by no link", body = ErrorBody),
))]
pub(crate) async fn read_link(State(app): State<WebApp>, visitor: Visitor) -> Result<Response, ApiError> {
    let role = match visitor.caller() {
        Caller::Host { .. } => "host",
        _ => "guest",
    };
    let Reach::Room(room) = visitor.reach(Right::Join) else {
        return Err(ApiError::NotFound("this link is not valid any more".into()));
    };
    let rights = Right::ALL.iter().filter(|right| visitor.may(**right, &Resource::Room(room)));
    Ok(told(InvitedAnswer {
        room_name: room.as_str().to_owned(),
        role,
        rights: rights.map(|right| right.word()).collect(),
        lobby: app.has_lobby(room),
        consent: consent::is_asked(&app, room),
    }))
}
