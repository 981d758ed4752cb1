//! `/healthz`, `/readyz`, `/metrics`, `/settings.json`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use reelroom_access::{Resource, Right};
use reelroom_routes::Visitor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::clock;
use crate::error::{self, ApiError, ErrorBody};
use crate::receivers::{self, ReceiverBody};

const COUNT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// "ok".
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Settings {
    /// "open": whoever reaches the server may use it; "invite": whoever signs in, or was let in.
    access: &'static str,
    /// Where participants connect to; absent: this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    livekit_url: Option<String>,
    /// The host of the OpenID provider by which the owner may sign in (`GET /owner/oidc`); absent: by the password alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc_host: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// "ok".
    status: &'static str,
    /// What works all the same and should be looked at: an address at which no media is received, a receiver of webhooks that takes none, a
    /// certificate that is not renewed, recordings that are to be deleted by themselves and are not, or a settings file that cannot be read
    /// again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// What could not be read when the store was listed the last time; absent when everything could. Nothing of it is
    /// forgotten, and all else is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<Partial>,
}

/// A listing that is not of everything.
#[derive(Serialize, ToSchema)]
pub(crate) struct Partial {
    /// Objects and folders that could not be read.
    unreadable: usize,
    /// A sentence for each of the first twenty.
    reasons: Vec<String>,
}

/// Says that the program runs.
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Health)))]
pub(crate) async fn live() -> axum::Json<Health> {
    axum::Json(Health { status: "ok" })
}

/// Says whether calls and recordings work: whether the LiveKit server and the store answer, and the recorder's disk takes something.
#[utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = Ready),
    (status = 503, description = "One of them does not", body = ErrorBody),
))]
pub(crate) async fn ready(State(app): State<WebApp>, visitor: Visitor) -> Response {
    if visitor.may(Right::Observe, &Resource::Server) {
        return look(&app).await.map(axum::Json).into_response();
    }
    match app.glance().is_ready(look(&app)).await {
        true => axum::Json(Health { status: "ok" }).into_response(),
        false => error::respond(StatusCode::SERVICE_UNAVAILABLE, "the server is not ready"),
    }
}

async fn look(app: &WebApp) -> Result<Ready, ApiError> {
    // First: on a disk that is stuck the store may not answer either.
    if let Some(trouble) = app.recorder().and_then(|recorder| recorder.trouble) {
        return Err(ApiError::Unavailable(trouble));
    }
    let (livekit, store) = tokio::join!(app.livekit().check(), app.library().check());
    livekit.map_err(|error| ApiError::Unavailable(error.to_string()))?;
    store?;
    let trouble = app.library().listing_trouble();
    let listing =
        (trouble.count > 0).then_some(Partial { unreadable: trouble.count, reasons: trouble.reasons });
    Ok(Ready { status: "ok", warnings: warnings(app), listing })
}

/// What works all the same and should be looked at.
pub(crate) fn warnings(app: &WebApp) -> Vec<String> {
    let mut warnings = app.media().map(|media| media.warnings()).unwrap_or_default();
    warnings.extend(receivers::warnings(&standing(app), clock::now().unix_ms));
    warnings.extend(app.retention().warning());
    warnings.extend(app.adjustment().settings_trouble.clone());
    warnings.extend(app.other_warnings());
    warnings
}

/// How those stand that are told of recordings.
pub(crate) fn standing(app: &WebApp) -> Vec<ReceiverBody> {
    app.media().and_then(|media| media.receivers()).map(|receivers| receivers.standing()).unwrap_or_default()
}

/// Figures for Prometheus, in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(app): State<WebApp>) -> Result<impl IntoResponse, ApiError> {
    // What the index does not tell in time stays as it was: that the disk is stuck has to be told all the same.
    let counts = tokio::time::timeout(COUNT_WITHIN, app.library().counts()).await.ok().transpose()?;
    let warnings = app.media().map(|media| media.warnings().len());
    app.metrics().dropped(app.media().map(|media| media.dropped()).unwrap_or_default());
    app.metrics().webhooks(&standing(&app));
    let text = app.metrics().encode(counts.as_ref(), app.library(), app.recorder(), warnings);
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text))
}

/// What the page has to know.
#[utoipa::path(get, path = "/settings.json", responses((status = 200, body = Settings)))]
pub(crate) async fn settings(State(app): State<WebApp>) -> axum::Json<Settings> {
    let livekit_url = app.public_livekit_url().map(ToString::to_string);
    let oidc_host = app.oidc().map(|provider| provider.host().to_owned());
    axum::Json(Settings { access: app.access().as_str(), livekit_url, oidc_host })
}
