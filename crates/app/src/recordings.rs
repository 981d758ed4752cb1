//! `/recordings`: start, stop, list, delete.

use axum::extract::State;
use reelroom_access::{Reach, RecordingName, Resource, Right};
use reelroom_library::{LibraryError, ListQuery, Page, Recording, Status};
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::EgressInfo;
use reelroom_routes::Visitor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::egress;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json, Path, Query};
use crate::livekit::{LiveKitError, RecordingRequest};
use crate::rooms::consent;
use crate::shares;
use crate::subject::Subject;

/// The tutorial's template.
const FILE_NAME: &str = "{room_name}-{room_id}-{time}";
/// LiveKit's layouts.
const LAYOUTS: [&str; 6] =
    ["grid", "speaker", "single-speaker", "grid-light", "speaker-light", "single-speaker-light"];
/// Without a limit of its own a request gets so many: the tutorial's clients do not page.
const DEFAULT_LIMIT: usize = 1000;
const MAX_LIMIT: usize = 1000;

/// A recording.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordingBody {
    /// The egress id, or the name where none is known.
    id: String,
    /// What the other calls take.
    name: String,
    room_name: String,
    room_id: String,
    /// Milliseconds since 1970.
    started_at: i64,
    /// Seconds; absent where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// Bytes; absent where there is no file yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// starting, recording, finishing, complete or failed.
    status: &'static str,
    /// While it is being finished, 0 to 1, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    /// While it is being finished and some of it plays already: seconds that play.
    #[serde(skip_serializing_if = "Option::is_none")]
    playable: Option<f64>,
    /// Beside playable: seconds that it will have, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<f64>,
    /// Why it failed or ended early, or what troubles it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The program died while it recorded; what it had is kept.
    recovered: bool,
    /// At most so much is missing at the end of a recovered one.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_seconds: Option<f64>,
    /// SHA-256 of the file, in hexadecimal, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// It stands in the backup store until the first one takes it; it plays and can be deleted all the same.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_backup: bool,
    /// While it waits to be stored, and plays from local disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<UploadBody>,
}

/// A recording's way into the store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadBody {
    /// waiting, uploading, or verifying: it is read back, and stored when that gives the same bytes.
    state: &'static str,
    /// 0 to 1, of being uploaded and again of being verified; 0 while it waits for another try.
    progress: f64,
    /// Tries so far.
    attempts: u32,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// While it waits: when it is tried again, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_at: Option<i64>,
}

impl From<Recording> for RecordingBody {
    fn from(recording: Recording) -> Self {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        Self {
            id: recording.id,
            name: recording.name,
            room_name: recording.room_name,
            room_id: recording.room_id,
            started_at: recording.started_at_ms,
            duration: recording.duration_ms.map(seconds),
            size: recording.size,
            status: recording.status.as_str(),
            progress: recording.progress,
            playable: recording.unfinished.map(|unfinished| seconds(unfinished.playable_ms)),
            total: recording.unfinished.map(|unfinished| seconds(unfinished.total_ms)),
            error: recording.error,
            recovered: recording.recovered,
            lost_seconds: recording.recovered.then(|| seconds(recording.lost_ms)),
            sha256: recording.sha256,
            in_backup: recording.in_backup,
            upload: recording.upload.map(|upload| UploadBody {
                state: upload.state.as_str(),
                progress: upload.progress,
                attempts: upload.attempts,
                last_error: upload.last_error,
                next_try_at: upload.next_try_at_ms,
            }),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartRequest {
    #[schema(required = true)]
    room_name: Option<String>,
    /// grid (the default), speaker or single-speaker, each also with "-light" at its end.
    layout: Option<String>,
    /// Only the sound.
    audio_only: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StopRequest {
    #[schema(required = true)]
    room_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RecordingAnswer {
    message: &'static str,
    recording: RecordingBody,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MessageAnswer {
    message: &'static str,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Exactly this room.
    room_name: Option<String>,
    /// Exactly this session of a room.
    room_id: Option<String>,
    /// One or more, separated by commas, of starting, recording, finishing, complete and failed.
    status: Option<String>,
    /// Part of the room's or the file's name, in upper or lower case.
    q: Option<String>,
    /// startedAt, duration, size or roomName; with "-" before it for the largest first. -startedAt, the newest first,
    /// is the default.
    sort: Option<String>,
    /// 1 to 1000.
    limit: Option<usize>,
    /// nextCursor of the page before.
    cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListAnswer {
    recordings: Vec<RecordingBody>,
    /// Gives the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Starts recording a room.
#[utoipa::path(post, path = "/recordings/start", request_body = StartRequest, responses(
    (status = 200, body = RecordingAnswer),
    (status = 400, description = "roomName is missing, or the layout is none", body = ErrorBody),
    (status = 404, description = "There is no such room", body = ErrorBody),
    (status = 409, description = "The room is being recorded already, is end-to-end encrypted, or asks for consent that its media server does not see to", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
    (status = 503, description = "No recorder is free, or its disk is full", body = ErrorBody),
))]
pub(crate) async fn start(
    State(app): State<WebApp>,
    visitor: Visitor,
    Json(request): Json<StartRequest>,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let room_name = extract::name(request.room_name, "roomName")?;
    let room = RoomName::from(room_name.as_str());
    visitor.ask(Right::Record, &Resource::Room(&room))?;
    consent::check(&app, &room)?;
    let layout = request.layout.unwrap_or_default();
    if !layout.is_empty() && !LAYOUTS.contains(&layout.as_str()) {
        return Err(ApiError::BadRequest(format!("layout is none of {}", LAYOUTS.join(", "))));
    }
    let _turn = app.turns().take(&room_name).await;
    if app.livekit().active_recordings(&room_name).await?.iter().any(egress::is_recording) {
        return Err(already());
    }
    let filepath = format!("{}{FILE_NAME}", app.library().prefix());
    let audio_only = request.audio_only.unwrap_or(false);
    let request = RecordingRequest { room_name, filepath, layout, audio_only };
    let info = app.livekit().start_recording(request).await.map_err(|error| {
        app.metrics().start_failures.inc();
        match error {
            LiveKitError::NotFound(_) => ApiError::NotFound("Room not found".into()),
            // Another program asked in the same moment.
            LiveKitError::NotNow(_) => already(),
            error => error.into(),
        }
    })?;
    // It may have been switched on between the question and the start.
    consent::end_unasked(&app, &room).await;
    consent::check(&app, &room)?;
    yield_to_the_first(&app, &info).await?;
    app.metrics().started.inc();
    app.learn_or_warn(&info).await;
    answer(&app, &info, "Recording started")
}

fn already() -> ApiError {
    ApiError::Conflict("Recording already started for this room".into())
}

/// A LiveKit cluster lets several programs record a room at once. Of those that began between each other's question and start, the
/// first stays, and every one knows by itself which that is. This program's own media server refuses the others already.
async fn yield_to_the_first(app: &WebApp, own: &EgressInfo) -> Result<(), ApiError> {
    let order = |info: &EgressInfo| (info.started_at, info.egress_id.clone());
    let prefix = app.library().prefix();
    let active = match app.livekit().active_recordings(&own.room_name).await {
        Ok(active) => active,
        Err(error) => {
            tracing::warn!(%error, "whether others record the room too is not known");
            return Ok(());
        }
    };
    let is_first = active
        .iter()
        .filter(|info| egress::is_recording(info) && egress::in_the_making(info, prefix).is_some())
        .all(|info| order(info) >= order(own));
    if is_first {
        return Ok(());
    }
    if let Err(error) = app.livekit().stop_recording(&own.egress_id).await {
        tracing::warn!(egress = own.egress_id, %error, "a second recording of a room could not be stopped");
    }
    Err(already())
}

/// Stops recording a room.
#[utoipa::path(post, path = "/recordings/stop", request_body = StopRequest, responses(
    (status = 200, body = RecordingAnswer),
    (status = 400, description = "roomName is missing", body = ErrorBody),
    (status = 409, description = "The room is not being recorded", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn stop(
    State(app): State<WebApp>,
    visitor: Visitor,
    Json(request): Json<StopRequest>,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let room_name = extract::name(request.room_name, "roomName")?;
    visitor.ask(Right::Record, &Resource::Room(&RoomName::from(room_name.as_str())))?;
    let not_recording = || ApiError::Conflict("Recording not started for this room".into());
    let _turn = app.turns().take(&room_name).await;
    let active = app.livekit().active_recordings(&room_name).await?;
    let egress = active.iter().find(|info| egress::is_recording(info)).ok_or_else(not_recording)?;
    let info = app.livekit().stop_recording(&egress.egress_id).await.map_err(|error| match error {
        // It ended by itself in the meantime.
        LiveKitError::NotFound(_) | LiveKitError::NotNow(_) | LiveKitError::Impossible(_) => not_recording(),
        error => error.into(),
    })?;
    app.learn_or_warn(&info).await;
    answer(&app, &info, "Recording stopped")
}

fn answer(
    app: &WebApp,
    info: &EgressInfo,
    message: &'static str,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let recording = egress::in_the_making(info, app.library().prefix()).ok_or_else(|| {
        ApiError::BadGateway("the media server records into another file than it was asked to".into())
    })?;
    Ok(axum::Json(RecordingAnswer { message, recording: recording.into() }))
}

/// Lists recordings: also those that are being made, and those that failed.
#[utoipa::path(get, path = "/recordings", params(ListParams), responses(
    (status = 200, body = ListAnswer),
    (status = 400, description = "A parameter cannot be what it says", body = ErrorBody),
    (status = 503, description = "The store cannot be read, or too many searches wait already", body = ErrorBody),
))]
pub(crate) async fn list(
    State(app): State<WebApp>,
    visitor: Visitor,
    Query(params): Query<ListParams>,
) -> Result<axum::Json<ListAnswer>, ApiError> {
    let mut query = query(params)?;
    let page = match visitor.reach(Right::List) {
        Reach::Everything => app.library().list(&query).await?,
        Reach::Room(own) => {
            if query.room_name.as_ref().is_some_and(|wanted| wanted != own.as_str()) {
                return Err(visitor.refusal().into());
            }
            query.room_name = Some(own.as_str().to_owned());
            app.library().list(&query).await?
        }
        Reach::Recording(own) => the_only(&app, own, &query).await?,
        Reach::Nothing => return Err(visitor.refusal().into()),
    };
    let recordings = page.recordings.into_iter().map(RecordingBody::from).collect();
    Ok(axum::Json(ListAnswer { recordings, next_cursor: page.next_cursor }))
}

/// The page of somebody who sees one recording. What is searched for in it and how it is sorted makes no difference.
async fn the_only(app: &WebApp, own: &RecordingName, query: &ListQuery) -> Result<Page, ApiError> {
    let is_wanted = |recording: &Recording| {
        query.room_name.as_ref().is_none_or(|room| *room == recording.room_name)
            && query.room_id.as_ref().is_none_or(|room| *room == recording.room_id)
            && (query.status.is_empty() || query.status.contains(&recording.status))
    };
    let recordings = match app.library().find(own.as_str()).await {
        Ok(recording) => Some(recording).into_iter().filter(is_wanted).collect(),
        Err(LibraryError::NotFound(_) | LibraryError::Deleted(_) | LibraryError::BadName(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Page { recordings, next_cursor: None })
}

fn query(params: ListParams) -> Result<ListQuery, ApiError> {
    let bad = |error: &dyn std::fmt::Display| ApiError::BadRequest(error.to_string());
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let status: Vec<Status> = given(params.status)
        .iter()
        .flat_map(|list| list.split(','))
        .map(|status| status.trim().parse().map_err(|error| bad(&error)))
        .collect::<Result<_, _>>()?;
    let sort = match given(params.sort) {
        Some(sort) => sort.parse().map_err(|error| bad(&error))?,
        None => reelroom_library::Sort::default(),
    };
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::BadRequest(format!("limit has to be 1 to {MAX_LIMIT}")));
    }
    Ok(ListQuery {
        room_name: given(params.room_name),
        room_id: given(params.room_id),
        status,
        text: given(params.q),
        sort,
        limit,
        cursor: given(params.cursor),
    })
}

/// Deletes a recording, with everything that is kept beside it and all links to it. One that waits to be stored is not stored any more.
#[utoipa::path(delete, path = "/recordings/{name}", params(("name" = String, Path)), responses(
    (status = 200, body = MessageAnswer),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn delete(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<axum::Json<MessageAnswer>, ApiError> {
    visitor.ask(Right::Delete, &Subject::of(&app, &visitor, &name).await?.resource())?;
    shares::delete_recording(&app, &name).await?;
    Ok(axum::Json(MessageAnswer { message: "Recording deleted" }))
}

/// Tells what is known of a recording's making: its times, its hash, what a crash cost, and what happened to each track.
#[utoipa::path(get, path = "/recordings/{name}/report", params(("name" = String, Path)), responses(
    (status = 200, description = "The sidecar that stands beside the file: docs/report.md says what each field means", content_type = "application/json"),
    (status = 404, description = "There is no such recording, or nothing was written about it", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn report(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<axum::Json<serde_json::Value>, ApiError> {
    visitor.ask(Right::Report, &Subject::of(&app, &visitor, &name).await?.resource())?;
    Ok(axum::Json(app.library().report(&name).await?))
}

/// Tries at once to store a recording that waits for it.
#[utoipa::path(post, path = "/recordings/{name}/retry", params(("name" = String, Path)), responses(
    (status = 200, body = MessageAnswer),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is stored already", body = ErrorBody),
))]
pub(crate) async fn retry(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<axum::Json<MessageAnswer>, ApiError> {
    visitor.ask(Right::Delete, &Subject::of(&app, &visitor, &name).await?.resource())?;
    app.library().retry(&name).await?;
    Ok(axum::Json(MessageAnswer { message: "Storing the recording is tried again" }))
}
