//! `POST /livekit/webhook`: the LiveKit server reports what happens.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use reelroom_protocol::webhook;

use crate::app::WebApp;
use crate::audit::started_elsewhere;
use crate::egress;
use crate::error::{ApiError, ErrorBody};
use crate::rooms::consent;

/// LiveKit's name of it.
const ROOM_STARTED: &str = "room_started";

/// Receives a webhook, signed by the server's API key.
#[utoipa::path(post, path = "/livekit/webhook", request_body(content_type = "application/webhook+json"), responses(
    (status = 200, description = "Received"),
    (status = 401, description = "The signature does not fit", body = ErrorBody),
))]
pub(crate) async fn receive(
    State(app): State<WebApp>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(), ApiError> {
    let body = body?;
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let event = webhook::verify(app.keys(), authorization, &body, now_s).map_err(|error| {
        if app.disbelieved().is_due(Instant::now()) {
            tracing::warn!(%error, "a webhook is not believed; further ones are told of once a minute");
        }
        ApiError::Unauthorized(format!("this webhook is not believed: {error}"))
    })?;
    tracing::debug!(event = event.event, id = event.id, "webhook");
    if event.event == ROOM_STARTED
        && let Some(room) = &event.room
    {
        app.room_state().opened(&room.name);
    }
    if let Some(info) = &event.egress_info {
        if event.event == "egress_started" {
            started_elsewhere(&app, info);
        }
        // Another program may have started it.
        if egress::is_recording(info) {
            consent::end_unasked(&app, &info.room_name.as_str().into()).await;
        }
        app.learn(info).await?;
    }
    Ok(())
}
