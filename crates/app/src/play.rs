//! `GET /recordings/{name}`: the file, whole or in parts (RFC 9110 13 and 14), and links to it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reelroom_library::File;
use reelroom_library::range::{self, Requested};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use utoipa::{IntoParams, ToSchema};

use crate::app::WebApp;
use crate::config::Playback;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Path, Query};

/// How long a link to a recording holds.
const LINK_VALID: Duration = Duration::from_secs(60 * 60);
/// RFC 9110 5.6.7.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkParams {
    /// Of a signed link: Unix seconds.
    expires: Option<u64>,
    /// Of a signed link.
    signature: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UrlAnswer {
    /// Plays the recording for an hour, for whoever holds it. Without a host it is a path of this server.
    recording_url: String,
}

/// Gives a recording's file. An open range (`bytes=5-`) is answered with at most RECORDING_FILE_PORTION_SIZE bytes.
#[utoipa::path(method(get, head), path = "/recordings/{name}", params(("name" = String, Path), LinkParams), responses(
    (status = 200, description = "The whole file", content_type = "video/mp4"),
    (status = 206, description = "The part asked for", content_type = "video/mp4"),
    (status = 304, description = "Still what If-None-Match names"),
    (status = 403, description = "The signed link does not hold", body = ErrorBody),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 416, description = "The range lies outside the file", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn file(
    State(app): State<WebApp>,
    method: Method,
    Path(name): Path<String>,
    Query(link): Query<LinkParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_link(&app, &name, &link)?;
    let file = app.library().file(&name).await?;
    let etag = format!("\"{}\"", file.etag);
    let mut head = head(&file, &etag);
    if text(&headers, IF_NONE_MATCH).is_some_and(|wanted| names(wanted, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    head.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    head.insert(CONTENT_DISPOSITION, disposition(&name));
    let is_current = text(&headers, IF_RANGE).is_none_or(|wanted| {
        wanted == etag || Some(wanted) == head.get(LAST_MODIFIED).and_then(|v| v.to_str().ok())
    });
    let wanted = text(&headers, RANGE).filter(|_| is_current && method == Method::GET);
    let (status, range) = match range::parse(wanted, file.size, app.portion_bytes()) {
        Requested::Whole => (StatusCode::OK, 0..file.size),
        Requested::Part(range) => {
            let value = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
            head.insert(CONTENT_RANGE, ascii(&value));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Requested::Unsatisfiable => return Err(ApiError::Range(file.size)),
    };
    head.insert(CONTENT_LENGTH, (range.end - range.start).into());
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(app.library().stream(&file, range).await?)
    };
    Ok((status, head, body).into_response())
}

/// Gives a link to a recording that needs nothing else: the bucket's own, or this server's, as it is set up.
#[utoipa::path(get, path = "/recordings/{name}/url", params(("name" = String, Path)), responses(
    (status = 200, body = UrlAnswer),
    (status = 404, description = "There is no such recording", body = ErrorBody),
    (status = 409, description = "It is not finished yet", body = ErrorBody),
    (status = 503, description = "The store fails", body = ErrorBody),
))]
pub(crate) async fn url(
    State(app): State<WebApp>,
    Path(name): Path<String>,
) -> Result<axum::Json<UrlAnswer>, ApiError> {
    let library = app.library();
    let presigned = match app.playback() {
        Playback::S3 => library.presigned_url(&name, LINK_VALID).await?,
        Playback::Proxy => None,
    };
    let recording_url = match presigned {
        Some(url) => url,
        None => library.signed_link(&name, LINK_VALID).await?,
    };
    Ok(axum::Json(UrlAnswer { recording_url }))
}

fn check_link(app: &WebApp, name: &str, link: &LinkParams) -> Result<(), ApiError> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let forged = || ApiError::Forbidden(reelroom_library::LinkError::Forged.to_string());
    match (link.expires, &link.signature) {
        (None, None) => Ok(()),
        (Some(expires), Some(signature)) => app
            .library()
            .link_key()
            .check(name, expires, signature, now_s)
            .map_err(|error| ApiError::Forbidden(error.to_string())),
        _ => Err(forged()),
    }
}

fn head(file: &File, etag: &str) -> HeaderMap {
    let mut head = HeaderMap::new();
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Ok(etag) = HeaderValue::try_from(etag) {
        head.insert(ETAG, etag);
    }
    let modified = OffsetDateTime::from_unix_timestamp(file.modified_ms / 1000).ok();
    if let Some(date) = modified.and_then(|at| at.format(HTTP_DATE).ok()) {
        head.insert(LAST_MODIFIED, ascii(&date));
    }
    head
}

/// RFC 6266, with the name in UTF-8 (RFC 8187).
fn disposition(name: &str) -> HeaderValue {
    let file = name.rsplit('/').next().unwrap_or(name);
    ascii(&format!("inline; filename*=UTF-8''{}", utf8_percent_encode(file, NON_ALPHANUMERIC)))
}

fn ascii(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII makes a header")
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether `If-None-Match` names the tag; a weak tag will do (RFC 9110 13.1.2).
fn names(wanted: &str, etag: &str) -> bool {
    wanted.trim() == "*" || wanted.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}
