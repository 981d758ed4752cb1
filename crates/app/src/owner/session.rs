//! `/owner/session`: this browser's own.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse, Response};
use reelroom_accounts::{AccountsError, SignIn, Visit};
use reelroom_audit::{Act, On, OnKind};
use reelroom_limits::asker::Asker;
use reelroom_routes::Visitor;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{NOT_KEPT, SessionAnswer, agent, blocking, needed_session, told, welcome};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::cookie::{self, Way};
use crate::error::{ApiError, ErrorBody};
use crate::extract::Json;

#[derive(Deserialize, ToSchema)]
pub(crate) struct SignInRequest {
    /// The owner's.
    password: String,
}

/// Signs the owner in.
#[utoipa::path(post, path = "/owner/session", request_body = SignInRequest, responses(
    (status = 200, description = "Signed in, by a cookie", body = SessionAnswer),
    (status = 401, description = "This is not the password", body = ErrorBody),
    (status = 409, description = "No password is set yet", body = ErrorBody),
    (status = 429, description = "Too many wrong passwords: Retry-After says for how long to wait", body = ErrorBody),
    (status = 503, description = "Too many passwords are looked at just now, or the disk fails", body = ErrorBody),
))]
pub(crate) async fn sign_in(
    State(app): State<WebApp>,
    actor: Actor,
    asker: Option<Extension<Asker>>,
    headers: HeaderMap,
    Json(request): Json<SignInRequest>,
) -> Result<Response, ApiError> {
    let Extension(asker) = asker.unwrap_or_default();
    let (accounts, agent) = (Arc::clone(app.accounts()), agent(&headers));
    let mark = cookie::mark(&headers).map(str::to_owned);
    let done = blocking(move || {
        let visit = Visit { asker, agent: &agent };
        let sign_in = SignIn { password: &request.password, mark: mark.as_deref(), visit };
        let signed_in = accounts.sign_in(sign_in, clock::now(), &mut rand::rng())?;
        let on = On::one(OnKind::Session, &signed_in.session);
        actor.as_owner(&signed_in.session).did(Act::SessionBegun, on);
        Ok::<_, AccountsError>(signed_in)
    });
    let signed_in = done.await.inspect_err(|error| {
        // Who is too fast has been told here as often as they may be wrong.
        if matches!(error, AccountsError::Wrong) {
            tracing::warn!(address = ?asker.0, "somebody was wrong about the owner's password");
        }
    })?;
    tracing::info!(session = %signed_in.session, address = ?asker.0, ended = signed_in.ended.len(), "the owner has signed in");
    Ok(welcome(&signed_in, &headers))
}

/// Signs this browser out: the session ends at once.
#[utoipa::path(delete, path = "/owner/session", responses(
    (status = 200, description = "Signed out", body = SessionAnswer),
    (status = 403, description = "An API key asks, which has no session", body = ErrorBody),
    (status = 503, description = "It has ended, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn sign_out(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, session) = needed_session(&app, &visitor, &headers)?;
    // A browser that came by http and by https before shows two.
    let mut shown = vec![session];
    shown.extend(cookie::tokens(&headers).filter_map(|token| app.accounts().session(&token, clock::now())));
    shown.dedup();
    let accounts = Arc::clone(app.accounts());
    let ended = blocking(move || {
        for session in shown {
            let outcome = accounts.end_session(&session);
            let on = On::one(OnKind::Session, &session);
            actor.tried(Act::SessionEnded, on, Some("signed out".into()), &outcome);
            match outcome {
                // Somebody else has ended it meanwhile.
                Ok(()) | Err(AccountsError::Unknown) => {}
                Err(error) => return Err(error),
            }
            tracing::info!(%session, "the owner has signed out");
        }
        Ok(())
    });
    let outcome = ended.await;
    let cookies = AppendHeaders(cookie::forgotten(Way::of(&headers)).map(|cookie| (SET_COOKIE, cookie)));
    let answer = outcome.map(|()| axum::Json(SessionAnswer::of(None))).map_err(ApiError::from);
    Ok((NOT_KEPT, cookies, answer).into_response())
}

/// Says whether this browser is signed in, and nothing else.
#[utoipa::path(get, path = "/owner/session", responses((status = 200, body = SessionAnswer)))]
pub(crate) async fn whoami(State(app): State<WebApp>, headers: HeaderMap) -> Response {
    let session = app.session(&headers, clock::now());
    told(SessionAnswer::of(session.as_ref().map(|(token, _)| token)))
}
