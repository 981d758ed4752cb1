//! `/recordings`: start, stop, list, delete.

use axum::extract::State;
use reelroom_access::{Reach, RecordingName, Resource, Right};
use reelroom_audit::{Act, On, OnKind};
use reelroom_library::{LibraryError, ListQuery, Page, Recording, Status};
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::EgressInfo;
use reelroom_rooms::{Fate, Layout};
use reelroom_routes::Visitor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::audit::{Actor, Starting};
use crate::egress;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json, Path, Query};
use crate::livekit::{LiveKitError, RecordingRequest};
use crate::owner::to_its_end;
use crate::rooms::consent;
use crate::subject::Subject;
use crate::{retention, rooms, shares};

/// The tutorial's template.
const FILE_NAME: &str = "{room_name}-{room_id}-{time}";
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
    /// In the list, where its room keeps recordings for a time: it is deleted by itself some time after this, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_until: Option<i64>,
    /// In the list: somebody said that it is kept for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    kept: bool,
}

impl RecordingBody {
    /// The same, with what becomes of it by itself.
    fn with(self, fate: Option<Fate>) -> Self {
        match fate {
            None => self,
            Some(Fate::KeptUntil(at_ms)) => Self { kept_until: Some(at_ms), ..self },
            Some(Fate::KeptForGood) => Self { kept: true, ..self },
        }
    }
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
            kept_until: None,
            kept: false,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StartRequest {
    #[schema(required = true)]
    room_name: Option<String>,
    /// grid, speaker or single-speaker, each also with "-light" at its end. Absent or empty: what is set of the room, and grid where nothing is.
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
    actor: Actor,
    Json(request): Json<StartRequest>,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let room_name = extract::name(request.room_name, "roomName")?;
    let room = RoomName::from(room_name.as_str());
    visitor.ask(Right::Record, &Resource::Room(&room))?;
    consent::check(&app, &room)?;
    let layout = layout(&app, &room, request.layout.as_deref())?;
    let filepath = format!("{}{FILE_NAME}", app.library().prefix());
    let audio_only = request.audio_only.unwrap_or(false);
    let request = RecordingRequest { room_name, filepath, layout, audio_only };
    to_its_end(begin(app, actor, request)).await
}

/// Begins to record. Whoever does not wait for it has begun it all the same.
async fn begin(
    app: WebApp,
    actor: Actor,
    request: RecordingRequest,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let room_name = request.room_name.clone();
    let _turn = app.turns().take(&room_name).await;
    if app.livekit().active_recordings(&room_name).await?.iter().any(egress::is_recording) {
        return Err(already());
    }
    let mut starting = Starting::begin(&app, &room_name);
    let info = app.livekit().start_recording(request).await.map_err(|error| {
        app.metrics().start_failures.inc();
        match error {
            LiveKitError::NotFound(_) => ApiError::NotFound("Room not found".into()),
            // Another program asked in the same moment.
            LiveKitError::NotNow(_) => already(),
            error => error.into(),
        }
    })?;
    starting.is(&info.egress_id);
    drop(starting);
    // It may have been switched on between the question and the start.
    let room = RoomName::from(room_name.as_str());
    consent::end_unasked(&app, &room).await;
    consent::check(&app, &room)?;
    yield_to_the_first(&app, &info).await?;
    actor.did_so(Act::RecordingStarted, on(&app, &info), format!("room: {room_name}"));
    app.metrics().started.inc();
    app.learn_or_warn(&info).await;
    answer(&app, &info, "Recording started")
}

/// A recording that the media server tells of.
fn on(app: &WebApp, info: &EgressInfo) -> On {
    let name = egress::in_the_making(info, app.library().prefix()).map(|recording| recording.name);
    On { name, ..On::one(OnKind::Recording, &info.egress_id) }
}

/// LiveKit's name of the layout that is asked for, or is set of the room; empty where neither is.
fn layout(app: &WebApp, room: &RoomName, said: Option<&str>) -> Result<String, ApiError> {
    let said = rooms::layout(said)?.flatten();
    let layout = said.or_else(|| rooms::in_force(app, room)?.layout);
    Ok(layout.map(Layout::word).unwrap_or_default().to_owned())
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
    actor: Actor,
    Json(request): Json<StopRequest>,
) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let room_name = extract::name(request.room_name, "roomName")?;
    visitor.ask(Right::Record, &Resource::Room(&RoomName::from(room_name.as_str())))?;
    to_its_end(end(app, actor, room_name)).await
}

/// Ends recording. Whoever does not wait for it has ended it all the same.
async fn end(app: WebApp, actor: Actor, room_name: String) -> Result<axum::Json<RecordingAnswer>, ApiError> {
    let not_recording = || ApiError::Conflict("Recording not started for this room".into());
    let _turn = app.turns().take(&room_name).await;
    let active = app.livekit().active_recordings(&room_name).await?;
    let egress = active.iter().find(|info| egress::is_recording(info)).ok_or_else(not_recording)?;
    let info = app.livekit().stop_recording(&egress.egress_id).await.map_err(|error| match error {
        // It ended by itself in the meantime.
        LiveKitError::NotFound(_) | LiveKitError::NotNow(_) | LiveKitError::Impossible(_) => not_recording(),
        error => error.into(),
    })?;
    actor.did_so(Act::RecordingStopped, on(&app, &info), format!("room: {room_name}"));
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
    let fates = retention::fates(&app, &page.recordings).await;
    let told = |recording: Recording| {
        let fate = fates.get(&recording.name).copied();
        RecordingBody::from(recording).with(fate)
    };
    let recordings = page.recordings.into_iter().map(told).collect();
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
    actor: Actor,
    Path(name): Path<String>,
) -> Result<axum::Json<MessageAnswer>, ApiError> {
    visitor.ask(Right::Delete, &Subject::of(&app, &visitor, &name).await?.resource())?;
    to_its_end(async move {
        let outcome = shares::delete_recording(&app, &name).await;
        actor.tried(Act::RecordingDeleted, On::recording(&name), None, &outcome);
        outcome
    })
    .await?;
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
    actor: Actor,
    Path(name): Path<String>,
) -> Result<axum::Json<MessageAnswer>, ApiError> {
    visitor.ask(Right::Delete, &Subject::of(&app, &visitor, &name).await?.resource())?;
    app.library().retry(&name).await?;
    actor.did(Act::RecordingRetried, On::recording(&name));
    Ok(axum::Json(MessageAnswer { message: "Storing the recording is tried again" }))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::config::Access;
    use crate::tests::house::{Shows, owned};

    #[tokio::test]
    async fn a_recording_looks_as_is_asked_for_or_as_its_room_is_set_or_as_by_default() {
        for (access, set) in [(Access::Invite, "speaker"), (Access::Open, "")] {
            let house = owned(access).await;
            let owner = Shows::of(&house.signed_in());
            let new = json!({ "name": "own", "layout": "speaker" });
            assert_eq!(house.status(&Method::POST, "/rooms", &owner, &new).await, 200);
            let of = |room: &str, said| layout(&house.app, &room.into(), said);
            assert_eq!(of("own", None).unwrap(), set, "{access:?}");
            assert_eq!(of("own", Some("")).unwrap(), set);
            assert_eq!(of("own", Some("grid")).unwrap(), "grid");
            assert_eq!(
                (of("other", None).unwrap(), of("other", Some("speaker-light")).unwrap().as_str()),
                (String::new(), "speaker-light")
            );
            let refused = of("own", Some("mosaic")).unwrap_err().to_string();
            assert!(refused.contains("grid, speaker, single-speaker"), "{refused}");
            let change = json!({ "layout": "" });
            assert_eq!(house.status(&Method::PATCH, "/rooms/own", &owner, &change).await, 200);
            assert_eq!(of("own", None).unwrap(), "");
        }
    }
}
