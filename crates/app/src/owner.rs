//! `/owner`: the owner sets a password and signs in, sees and ends sessions, and makes and revokes API keys.
//!
//! ```text
//!   link, or password ─► password, session ─► Accounts ─► SignedIn ─► two cookies, and the CSRF token for the page
//!   OpenID provider ─────► oidc ────────────────┤
//!   cookie, or API key ─► sessions, keys ───────┘
//! ```
//!
//! # Invariants
//!
//! - What hashes or writes runs on a thread that may block, to its end, also where whoever asked has gone.
//! - What a request says of a password, a link, a token or a key is in no log; a new API key is in one answer.
//! - No answer is kept by a browser or by what stands between.

pub(crate) mod keys;
pub(crate) mod oidc;
pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod sessions;

use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, HeaderName, SET_COOKIE, USER_AGENT};
use axum::response::{AppendHeaders, IntoResponse, Response};
use reelroom_access::Caller;
use reelroom_accounts::{AccountsError, SessionId, SessionToken, SignedIn};
use reelroom_routes::Visitor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::clock;
use crate::cookie::{self, Way};
use crate::error::ApiError;

pub(crate) const NOT_KEPT: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// Whether this browser is signed in, and what its page has to know then.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SessionAnswer {
    /// Whether the cookie that came is that of a session that goes on.
    signed_in: bool,
    /// Where it is: what requests that change something have to say in the header X-CSRF-Token.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
    /// Of a sign-in, where other sessions ended by it: how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_sessions: Option<usize>,
}

impl SessionAnswer {
    fn of(token: Option<&SessionToken>) -> Self {
        Self { signed_in: token.is_some(), csrf: token.map(SessionToken::csrf), ended_sessions: None }
    }
}

/// A session began: its cookies, and what the page has to know.
fn welcome(signed_in: &SignedIn, headers: &HeaderMap) -> Response {
    let ended = signed_in.ended.len();
    let answer = SessionAnswer {
        ended_sessions: (ended > 0).then_some(ended),
        ..SessionAnswer::of(Some(&signed_in.token))
    };
    let cookies = cookie::kept(signed_in, Way::of(headers)).map(|cookie| (SET_COOKIE, cookie));
    (NOT_KEPT, AppendHeaders(cookies), axum::Json(answer)).into_response()
}

/// An answer that holds for the moment, and for whoever asked.
pub(crate) fn told(answer: impl Serialize) -> Response {
    (NOT_KEPT, axum::Json(answer)).into_response()
}

/// The session of the owner's browser. An API key has none.
fn own_session(app: &WebApp, visitor: &Visitor, headers: &HeaderMap) -> Option<(SessionToken, SessionId)> {
    (*visitor.caller() == Caller::Owner).then(|| app.session(headers, clock::now())).flatten()
}

/// The same, where nothing can be done without one.
fn needed_session(
    app: &WebApp,
    visitor: &Visitor,
    headers: &HeaderMap,
) -> Result<(SessionToken, SessionId), ApiError> {
    // Between the door and here it may have ended.
    own_session(app, visitor, headers).ok_or_else(|| match visitor.caller() {
        Caller::Owner => AccountsError::SessionOver.into(),
        _ => ApiError::Forbidden("this is for the browser in which the owner is signed in".into()),
    })
}

/// What a browser calls itself.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    agent.unwrap_or_default()
}

/// Does something to its end, whether or not whoever asked waits for it.
pub(crate) async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await {
        Ok(done) => done,
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Runs what waits for a disk or hashes.
pub(crate) async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
