//! Who asks, as the app finds out, and how it refuses.
//!
//! ```text
//!   Authorization: Bearer rr_…  ─► a key in force    ─► Key, with its rights
//!   X-Reelroom-Link, or a pass  ─► a room's link     ─► Host or Guest of that room, where access is by invitation
//!   the cookie of a session     ─► one that goes on  ─► Owner; for what changes something, with the session's word in X-CSRF-Token
//!   neither                     ────────────────────►   Everybody where access is open, else Nobody
//! ```
//!
//! # Invariants
//!
//! - A link is shown by a page with each request, in a header: a browser shows it for nobody else, so that nobody can have it asked in
//!   somebody's name. Where no header can be, as for a video, the address has a pass in it, which is made of the link and good for reading that
//!   address alone. Whoever shows a link is who it is for, also in the owner's browser.
//! - What does not hold counts as nothing shown, and never as more than that.
//! - A cookie alone changes nothing: browsers show it whoever has them ask. Where access is open, whoever asks so is everybody, as anybody
//!   without a cookie is; elsewhere it is refused.

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use reelroom_access::{Caller, Right, Rights};
use reelroom_accounts::{self as accounts, Bearer, Now, SessionId, SessionToken};
use reelroom_rooms::LinkId;
use reelroom_routes::{Keeper, Refusal};

use crate::app::WebApp;
use crate::config::Access;
use crate::error::ApiError;
use crate::{clock, cookie};

/// The secret of a link into a room.
pub(crate) const LINK: HeaderName = HeaderName::from_static("x-reelroom-link");
/// A pass, in the query.
const PASS: &str = "pass=";
/// Says what a page of this server alone can know.
pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

impl Keeper for WebApp {
    async fn caller(&self, head: &Parts) -> Result<Caller, Refusal> {
        let now = clock::now();
        if let Some(bearer) = self.bearer(&head.headers, now) {
            return Ok(Caller::Key { rights: rights(&bearer.rights) });
        }
        if self.access() == Access::Invite
            && let Some(caller) = self.invited(head, now.unix_ms)
        {
            return Ok(caller);
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

    /// The key by which a program comes, if it is in force.
    pub(crate) fn bearer(&self, headers: &HeaderMap, now: Now) -> Option<Bearer> {
        self.accounts().key(bearer(headers)?, now)
    }

    /// The link into a room that a page shows, if it opens that room.
    pub(crate) fn link(&self, headers: &HeaderMap, now_ms: i64) -> Option<LinkId> {
        self.rooms().shown(headers.get(LINK)?.to_str().ok()?, now_ms)
    }

    /// Who comes by a link, or reads by a pass.
    fn invited(&self, head: &Parts, now_ms: i64) -> Option<Caller> {
        let link = self.link_or_pass(&head.method, &head.uri, &head.headers, now_ms)?;
        self.rooms().caller(&link, now_ms)
    }

    /// The link into a room that is shown with a request, or of the pass that is. That of a pass may be over.
    pub(crate) fn link_or_pass(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        now_ms: i64,
    ) -> Option<LinkId> {
        self.link(headers, now_ms).or_else(|| {
            let shown = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(PASS))?;
            if changes(method) { None } else { self.rooms().by_pass(shown, uri.path(), now_ms) }
        })
    }
}

/// What is shown as an API key. Tokens of LiveKit come so, too, and are none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, shown) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
}

/// What a key may do. A word that is no right of this version gives none.
pub(crate) fn rights(words: &accounts::Rights) -> Rights {
    words.iter().filter_map(Right::of_word).collect()
}

/// Whether more is asked for than to be told something.
fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a page of this server asks: others cannot read what the session's word is.
fn is_said(headers: &HeaderMap, token: &SessionToken) -> bool {
    headers.get(CSRF).and_then(|said| said.to_str().ok()).is_some_and(|said| token.is_csrf(said))
}
