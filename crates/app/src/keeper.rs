//! Who asks, as the app finds out, and how it refuses.
//!
//! ```text
//!   Authorization: Bearer rr_…  ─► a key in force    ─► Key, with its rights
//!   the cookie of a session     ─► one that goes on  ─► Owner; for what changes something, with the session's word in X-CSRF-Token
//!   neither                     ────────────────────►   Everybody where access is open, else Nobody
//! ```
//!
//! # Invariants
//!
//! - What does not hold counts as nothing shown, and never as more than that.
//! - A cookie alone changes nothing: browsers show it whoever has them ask. Where access is open, whoever asks so is everybody, as anybody
//!   without a cookie is; elsewhere it is refused.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::{IntoResponse as _, Response};
use reelroom_access::{Caller, Right, Rights};
use reelroom_accounts::{Bearer, Now, SessionId, SessionToken};
use reelroom_routes::{Keeper, Refusal};

use crate::app::WebApp;
use crate::config::Access;
use crate::error::ApiError;
use crate::{clock, cookie};

/// Says what a page of this server alone can know.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

impl Keeper for WebApp {
    async fn caller(&self, head: &Parts) -> Result<Caller, Refusal> {
        let now = clock::now();
        if let Some(bearer) = bearer(&head.headers).and_then(|shown| self.accounts().key(shown, now)) {
            return Ok(Caller::Key { rights: rights(&bearer) });
        }
        let session = self.session(&head.headers, now);
        match (session, self.access()) {
            (Some((token, _)), _) if !changes(&head.method) || is_said(&head.headers, &token) => {
                Ok(Caller::Owner)
            }
            (_, Access::Open) => Ok(Caller::Everybody),
            (Some(_), Access::Invite) => Err(Refusal::Forged),
            (None, Access::Invite) => Ok(Caller::Nobody),
        }
    }

    fn refuse(refusal: Refusal) -> Response {
        ApiError::from(refusal).into_response()
    }
}

impl WebApp {
    /// The session by which a browser comes, if it goes on.
    pub(crate) fn session(&self, headers: &HeaderMap, now: Now) -> Option<(SessionToken, SessionId)> {
        cookie::tokens(headers).find_map(|token| {
            let id = self.accounts().session(&token, now)?;
            Some((token, id))
        })
    }
}

/// What is shown as an API key. Tokens of LiveKit come so, too, and are none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// What a key may do. A word that is no right of this version gives none.
fn rights(bearer: &Bearer) -> Rights {
    bearer.rights.iter().filter_map(Right::of_word).collect()
}

/// Whether more is asked for than to be told something.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a page of this server asks: others cannot read what the session's word is.
fn is_said(headers: &HeaderMap, token: &SessionToken) -> bool {
    headers.get(CSRF).and_then(|said| said.to_str().ok()).is_some_and(|said| token.is_csrf(said))
}
