//! `/owner/password`: set by a one-time link, and changed with the one before.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use reelroom_accounts::{AccountsError, ChangePassword, SetPassword, Visit};
use reelroom_audit::{Act, On, OnKind};
use reelroom_limits::asker::Asker;
use reelroom_routes::Visitor;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SessionAnswer, agent, blocking, needed_session, welcome};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::Json;

#[derive(Deserialize, ToSchema)]
pub(crate) struct SetPasswordRequest {
    /// What the link has behind "setup=".
    link: String,
    /// At least 12 characters.
    password: String,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangePasswordRequest {
    /// The one so far.
    old: String,
    /// At least 12 characters.
    new: String,
}

/// Sets the owner's password by a one-time link, and signs in. All sessions end.
#[utoipa::path(post, path = "/owner/password", request_body = SetPasswordRequest, responses(
    (status = 200, description = "Signed in, by a cookie", body = SessionAnswer),
    (status = 400, description = "The password is not taken", body = ErrorBody),
    (status = 410, description = "The link is used, expired or followed by a newer one", body = ErrorBody),
    (status = 503, description = "Too many passwords are looked at just now, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn set_password(
    State(app): State<WebApp>,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<SetPasswordRequest>,
) -> Result<Response, ApiError> {
    let Extension(asker) = asker.unwrap_or_default();
    let (accounts, agent) = (Arc::clone(app.accounts()), agent(&headers));
    let signed_in = blocking(move || {
        let visit = Visit { asker, agent: &agent };
        let set = SetPassword { link: &request.link, password: &request.password, visit };
        let signed_in = accounts.set_password(set, clock::now(), &mut rand::rng())?;
        let ended = format!("sessions that ended: {}", signed_in.ended.len());
        actor.as_owner(&signed_in.session).did_so(Act::PasswordSet, On::the(OnKind::Password), ended);
        Ok::<_, AccountsError>(signed_in)
    })
    .await?;
    tracing::info!(session = %signed_in.session, "the owner's password was set by a link");
    Ok(welcome(&signed_in, &headers))
}

/// Changes the owner's password. The session is renewed, and all others end.
#[utoipa::path(put, path = "/owner/password", request_body = ChangePasswordRequest, responses(
    (status = 200, description = "Signed in, by another cookie", body = SessionAnswer),
    (status = 400, description = "The new password is not taken", body = ErrorBody),
    (status = 403, description = "The old one is wrong; or an API key asks, which has no session", body = ErrorBody),
    (status = 429, description = "Too many wrong passwords", body = ErrorBody),
    (status = 503, description = "Too many passwords are looked at just now, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn change_password(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<ChangePasswordRequest>,
) -> Result<Response, ApiError> {
    let (token, before) = needed_session(&app, &visitor, &headers)?;
    let Extension(asker) = asker.unwrap_or_default();
    let (accounts, agent) = (Arc::clone(app.accounts()), agent(&headers));
    let changed = blocking(move || {
        let visit = Visit { asker, agent: &agent };
        let change = ChangePassword { token: &token, old: &request.old, new: &request.new, visit };
        let signed_in = accounts.change_password(change, clock::now(), &mut rand::rng())?;
        // The session in which it is done is renewed, and ends by its old name.
        let ended = format!("other sessions that ended: {}", signed_in.ended.len().saturating_sub(1));
        actor.did_so(Act::PasswordChanged, On::the(OnKind::Password), ended);
        Ok::<_, AccountsError>(signed_in)
    });
    let mut signed_in = changed.await.map_err(|error| match error {
        // Who asks is known: a page need not ask them to sign in.
        AccountsError::Wrong => ApiError::Forbidden(error.to_string()),
        error => error.into(),
    })?;
    // It goes on by another name.
    signed_in.ended.retain(|ended| *ended != before);
    tracing::info!(session = %signed_in.session, "the owner's password was changed");
    Ok(welcome(&signed_in, &headers))
}
