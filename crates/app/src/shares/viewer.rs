//! `/watch`: whoever has a link to a recording opens it and watches.
//!
//! The page of that address has the secret behind "#", and gives it for a ticket; the ticket is shown by the browser, and counts for what is
//! below the link's own path, whatever else its bearer is on this server.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method};
use axum::response::{AppendHeaders, IntoResponse, Response};
use reelroom_access::{Caller, RecordingName, Right};
use reelroom_audit::{Act, On};
use reelroom_library::{LibraryError, Recording};
use reelroom_limits::asker::Asker;
use reelroom_routes::Visitor;
use reelroom_shares::{Begin, Gives, ShareId, SharesError, Viewing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::granted;
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::cookie::{self, Way};
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path, Query};
use crate::owner::{NOT_KEPT, blocking, told};
use crate::play::{self, Asked, By, FileParams};
use crate::subject::Subject;

#[derive(Deserialize, ToSchema)]
pub(crate) struct OpenShareRequest {
    /// What stands behind "#" in the link.
    secret: String,
    /// Of the link, where it has one.
    password: Option<String>,
}

/// What a link shows whoever opens it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WatchAnswer {
    /// Of the link.
    id: String,
    /// The path of the file, for a player.
    file: String,
    /// The room's name, or what the recording is called where that is not known.
    title: String,
    /// Milliseconds since 1970.
    started_at: i64,
    /// Seconds; absent where unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// starting, recording, finishing, complete or failed.
    status: &'static str,
    /// While it is being finished and some of it plays already: seconds that play.
    #[serde(skip_serializing_if = "Option::is_none")]
    playable: Option<f64>,
    /// Whether the file may be kept, and not only played.
    download: bool,
    /// Where it may be kept: its size in bytes, if there is a file yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatchParams {
    /// The file is to be kept: it comes as an attachment, where the link allows that. Any value but "0" and "false".
    download: Option<String>,
    /// Of a recording that is still being finished: the file of so many seconds, which stays the same while more is added.
    through: Option<u64>,
}

impl WatchAnswer {
    fn of(viewing: &Viewing, recording: Recording) -> Self {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let download = viewing.gives == Gives::Download;
        let path = path(&viewing.share);
        Self {
            file: format!("{path}/file"),
            id: viewing.share.as_str().to_owned(),
            title: title(&recording),
            started_at: recording.started_at_ms,
            duration: recording.duration_ms.map(seconds),
            status: recording.status.as_str(),
            playable: recording.unfinished.map(|unfinished| seconds(unfinished.playable_ms)),
            download,
            size: recording.size.filter(|_| download),
        }
    }
}

/// What a recording is called, by which no file is.
fn title(recording: &Recording) -> String {
    let file = recording.name.rsplit('/').next().unwrap_or(&recording.name);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if recording.room_name.is_empty() { stem.to_owned() } else { recording.room_name.clone() }
}

/// What the tickets of a link are for. Ids have nothing in them that a path would have to hide.
fn path(share: &ShareId) -> String {
    format!("/watch/{share}")
}

/// Whoever watches, as one whom rights are asked of.
fn visitor(viewing: &Viewing) -> Visitor {
    let recording = RecordingName::from(&*viewing.recording);
    Visitor::new(Caller::Viewer { recording, granted: granted(viewing.gives) }, Right::Play)
}

/// Who shows a ticket for this link that is good.
fn viewing(app: &WebApp, id: &str, headers: &HeaderMap) -> Result<Viewing, ApiError> {
    let (share, now) = (ShareId::from(id), clock::now());
    let found = cookie::tickets(headers).find_map(|ticket| app.shares().viewing(ticket, &share, now));
    found.ok_or_else(|| ApiError::Unauthorized("open the link again".into()))
}

/// What is shared, as long as it is that: whatever has its name by now was not shared.
async fn recording(app: &WebApp, viewing: &Viewing, right: Right) -> Result<Recording, ApiError> {
    let visitor = visitor(viewing);
    let subject = Subject::of(app, &visitor, &viewing.recording).await?;
    visitor.ask(right, &subject.resource())?;
    match app.library().find(&viewing.recording).await {
        Ok(recording) if viewing.is_of(&recording.name, &recording.id) => Ok(recording),
        Ok(_) | Err(LibraryError::NotFound(_) | LibraryError::BadName(_) | LibraryError::Deleted(_)) => {
            Err(SharesError::Gone.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens a link: the browser gets a ticket as a cookie.
#[utoipa::path(post, path = "/watch/open", request_body = OpenShareRequest, responses(
    (status = 200, description = "A ticket, by a cookie for the link's own path", body = WatchAnswer),
    (status = 401, description = "The link has a password, and this is not it", body = ErrorBody),
    (status = 410, description = "The link is none, or none any more", body = ErrorBody),
    (status = 429, description = "Too many wrong passwords, or views: Retry-After says for how long to wait", body = ErrorBody),
    (status = 503, description = "Too many watch, a password is hashed already, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn open_share(
    State(app): State<WebApp>,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<OpenShareRequest>,
) -> Result<Response, ApiError> {
    let Extension(asker) = asker.unwrap_or_default();
    let shares = Arc::clone(app.shares());
    let begun = blocking(move || {
        let (secret, password) = (request.secret.as_str(), request.password.as_deref());
        let begun = shares.begin(Begin { secret, password, asker }, clock::now(), &mut rand::rng())?;
        let share = &begun.viewing.share;
        actor.as_viewer(share).did(Act::ShareOpened, On::share(share, &begun.viewing.recording));
        Ok::<_, SharesError>(begun)
    });
    let begun = begun.await.inspect_err(|error| {
        if matches!(error, SharesError::Wrong) {
            tracing::warn!(address = ?asker.0, "somebody was wrong about the password of a link");
        }
    })?;
    let viewing = begun.viewing;
    tracing::info!(share = %viewing.share, view = %viewing.view, address = ?asker.0, "a link to a recording was opened");
    let recording = recording(&app, &viewing, Right::List).await?;
    let cookie = cookie::view(&path(&viewing.share), &begun.ticket, Way::of(&headers));
    let answer = axum::Json(WatchAnswer::of(&viewing, recording));
    Ok((NOT_KEPT, AppendHeaders([(SET_COOKIE, cookie)]), answer).into_response())
}

/// Says what the link shows, as long as it is watched by this browser.
#[utoipa::path(get, path = "/watch/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = WatchAnswer),
    (status = 401, description = "It is not watched by this browser, or not any more: it has to be opened again", body = ErrorBody),
    (status = 410, description = "The recording is gone", body = ErrorBody),
))]
pub(crate) async fn watched_share(
    State(app): State<WebApp>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewing = viewing(&app, &id, &headers)?;
    let recording = recording(&app, &viewing, Right::List).await?;
    Ok(told(WatchAnswer::of(&viewing, recording)))
}

/// Gives the file of a recording to whoever watches by a link: where they may only play it, portions without a name.
#[utoipa::path(method(get, head), path = "/watch/{id}/file", params(("id" = String, Path), WatchParams), responses(
    (status = 200, description = "The whole file, where it may be kept", content_type = "video/mp4"),
    (status = 206, description = "The part asked for; where it may not be kept, at most RECORDING_FILE_PORTION_SIZE bytes of it", content_type = "video/mp4"),
    (status = 304, description = "Still what If-None-Match or If-Modified-Since names"),
    (status = 401, description = "It is not watched by this browser, or not any more: it has to be opened again", body = ErrorBody),
    (status = 403, description = "It may be played, and not kept", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 410, description = "The recording is gone", body = ErrorBody),
    (status = 412, description = "Not any more what If-Match or If-Unmodified-Since names", body = ErrorBody),
    (status = 416, description = "The range lies outside the file", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn shared_file(
    State(app): State<WebApp>,
    actor: Actor,
    method: Method,
    Path(id): Path<String>,
    Query(params): Query<WatchParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let viewing = viewing(&app, &id, &headers)?;
    let name = recording(&app, &viewing, Right::Play).await?.name;
    let params = FileParams::by_share(params.download, params.through);
    let visitor = visitor(&viewing);
    let actor = actor.as_viewer(&viewing.share);
    let asked = Asked { method, name, params, headers };
    play::send(&app, &visitor, &actor, asked, By::Share(viewing)).await
}
