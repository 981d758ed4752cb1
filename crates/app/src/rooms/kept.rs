//! For how long recordings are kept: what a time would delete, and that one of them is kept for good.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reelroom_access::Right;
use reelroom_audit::{Act, On};
use reelroom_limits::rooms::RETENTION_SHOWN;
use reelroom_protocol::ids::RoomName;
use reelroom_routes::Visitor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path, Query};
use crate::owner::{blocking, told};
use crate::subject::Subject;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct RetentionParams {
    /// For how many days recordings would be kept; absent: as is set.
    keep_days: Option<u32>,
}

/// What a time for which recordings are kept deletes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetentionAnswer {
    /// For how many days recordings are kept; absent: until somebody deletes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_days: Option<u32>,
    /// Nothing is deleted before this, if that is set now: milliseconds since 1970. Absent where nothing is deleted by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletes_from: Option<i64>,
    /// How many recordings are older than that by then, and would be deleted.
    deletes: u64,
    /// The first of these, the oldest in front.
    first: Vec<DueBody>,
}

/// A recording that would be deleted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DueBody {
    name: String,
    /// Milliseconds since 1970.
    ended_at: i64,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct KeepRequest {
    /// true: it is kept for good; false: as long as its room keeps recordings, and for a day from now on at least.
    #[schema(required = true)]
    keep: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeptAnswer {
    /// Whether it is kept for good.
    kept: bool,
}

/// Tells which recordings of a room are deleted, and from when on, if they are kept for so many days. Nothing is changed by asking.
#[utoipa::path(get, path = "/rooms/{name}/retention", params(("name" = String, Path), RetentionParams), responses(
    (status = 200, body = RetentionAnswer),
    (status = 400, description = "For so many days nothing can be kept", body = ErrorBody),
    (status = 404, description = "There is no such room", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn read_retention(
    State(app): State<WebApp>,
    Path(name): Path<String>,
    Query(params): Query<RetentionParams>,
) -> Result<Response, ApiError> {
    let name = RoomName::from(name);
    let set = app.rooms().room(&name)?.settings.keep_days;
    let keep_days = params.keep_days.map_or(set, |days| Some(days).filter(|days| *days > 0));
    let asked = keep_days.filter(|_| app.access() == Access::Invite);
    let Some(days) = asked else {
        return Ok(told(RetentionAnswer { keep_days, deletes_from: None, deletes: 0, first: Vec::new() }));
    };
    let rooms = Arc::clone(app.rooms());
    let now_ms = clock::now().unix_ms;
    let preview = blocking(move || rooms.preview(&name, days, now_ms, RETENTION_SHOWN)).await?;
    let first = preview.first.into_iter().map(|due| DueBody { name: due.name, ended_at: due.ended_ms });
    Ok(told(RetentionAnswer {
        keep_days,
        deletes_from: Some(preview.from_ms),
        deletes: preview.count,
        first: first.collect(),
    }))
}

/// Keeps a recording for good although its room keeps recordings for a time, or takes that back.
#[utoipa::path(post, path = "/recordings/{name}/keep", params(("name" = String, Path)), request_body = KeepRequest, responses(
    (status = 200, body = KeptAnswer),
    (status = 400, description = "keep is missing", body = ErrorBody),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is none of a room that the owner made: nothing deletes it by itself", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn keep_recording(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
    Json(request): Json<KeepRequest>,
) -> Result<Response, ApiError> {
    visitor.ask(Right::Delete, &Subject::of(&app, &visitor, &name).await?.resource())?;
    let keep = request.keep.ok_or_else(|| ApiError::required("keep"))?;
    // What is being deleted by itself is gone then: nobody is told that it is kept.
    let _turn = app.retention().turn(&name).await;
    let id = app.library().find(&name).await?.id;
    let rooms = Arc::clone(app.rooms());
    let recording = name.clone();
    let now_ms = clock::now().unix_ms;
    let act = if keep { Act::RecordingKept } else { Act::RecordingLetGo };
    let is_one = blocking(move || {
        let outcome = rooms.keep_recording(&recording, &id, keep, now_ms);
        if !matches!(outcome, Ok(false)) {
            actor.tried(act, On::recording(&recording), None, &outcome);
        }
        outcome
    })
    .await?;
    if !is_one {
        return Err(ApiError::Conflict(
            "nothing deletes this recording by itself: it is not finished yet, or of no room that the owner made".into(),
        ));
    }
    tracing::info!(recording = name, keep, "whether a recording is kept for good was changed");
    Ok(told(KeptAnswer { kept: keep }))
}
