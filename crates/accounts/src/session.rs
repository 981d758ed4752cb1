//! Where the owner is signed in: a browser that shows the token of a session is the owner's.
//!
//! ```text
//!   token (256 bits, the browser's) ─► SHA-256, kept ─► which session
//!         └─► HMAC ─► CSRF token: what a page of ours can say with a request, and a page of others cannot. It is kept nowhere
//! ```
//!
//! # Invariants
//!
//! - A session is over a while after it began, and a shorter while after the last request; both are found out when it is asked for.
//! - A token is compared with all sessions alike, and tells by no delay how much of it is right.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;
use rand::CryptoRng;
use reelroom_limits::accounts::{SESSION_IDLE, SESSION_LASTS};

use crate::error::AccountsError;
use crate::ids::{self, SessionId};
use crate::secret::{Secret, derive, is_same};
use crate::state::State;
use crate::visit::Visit;
use crate::{Accounts, Now};

const LASTS_MS: i64 = SESSION_LASTS.as_millis() as i64;
const IDLE_MS: i64 = SESSION_IDLE.as_millis() as i64;
const CSRF: &str = "reelroom csrf";

/// What a browser shows to be taken for the owner's.
#[derive(Clone)]
pub struct SessionToken(Secret);

impl SessionToken {
    /// A token as a browser shows it, if it is one by its form.
    pub fn parse(text: &str) -> Option<Self> {
        Secret::parse(text).map(Self)
    }

    /// Its text: it goes into the browser's cookie, and not into a log.
    pub fn reveal(&self) -> String {
        self.0.text()
    }

    /// What pages have to say with requests that change something.
    pub fn csrf(&self) -> String {
        URL_SAFE_NO_PAD.encode(derive(self.0.bytes(), CSRF).finalize().into_bytes())
    }

    /// Whether a page of ours says this.
    pub fn is_csrf(&self, said: &str) -> bool {
        // It has the form of a secret.
        Secret::parse(said)
            .is_some_and(|said| derive(self.0.bytes(), CSRF).verify_slice(said.bytes()).is_ok())
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// A session as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// For ending it.
    pub id: SessionId,
    /// Unix milliseconds.
    pub begun_ms: i64,
    /// Unix milliseconds of the last request.
    pub seen_ms: i64,
    /// Where it began, if that can be told.
    pub address: Option<IpAddr>,
    /// What its browser calls itself, as far as that can be shown.
    pub agent: String,
}

impl Session {
    /// When it is over if nothing more is done: Unix milliseconds.
    pub fn ends_ms(&self) -> i64 {
        self.begun_ms.saturating_add(LASTS_MS).min(self.seen_ms.saturating_add(IDLE_MS))
    }

    pub(crate) fn is_over(&self, now: Now) -> bool {
        now.unix_ms >= self.ends_ms()
    }
}

/// A session as it is kept.
pub(crate) struct KeptSession {
    pub(crate) session: Session,
    pub(crate) token_sha256: [u8; 32],
    /// Of what the truth says when it was seen.
    pub(crate) written_ms: i64,
}

impl KeptSession {
    pub(crate) fn begin(visit: Visit<'_>, now: Now, rng: &mut impl CryptoRng) -> (SessionToken, Self) {
        let token = SessionToken(Secret::new(rng));
        let session = Session {
            id: ids::new("SE_", rng).into(),
            begun_ms: now.unix_ms,
            seen_ms: now.unix_ms,
            address: visit.asker.0,
            agent: visit.agent(),
        };
        let token_sha256 = token.0.sha256();
        (token, Self { session, token_sha256, written_ms: now.unix_ms })
    }

    pub(crate) fn row(&self) -> reelroom_truth::Session {
        reelroom_truth::Session {
            id: self.session.id.as_str().to_owned(),
            token_sha256: self.token_sha256,
            begun_ms: self.session.begun_ms,
            seen_ms: self.session.seen_ms,
            address: self.session.address.map(|address| address.to_string()),
            agent: self.session.agent.clone(),
        }
    }
}

impl From<reelroom_truth::Session> for KeptSession {
    fn from(row: reelroom_truth::Session) -> Self {
        let session = Session {
            id: row.id.into(),
            begun_ms: row.begun_ms,
            seen_ms: row.seen_ms,
            address: row.address.and_then(|address| address.parse().ok()),
            agent: row.agent,
        };
        Self { session, token_sha256: row.token_sha256, written_ms: row.seen_ms }
    }
}

impl Accounts {
    /// The session of a token, if it goes on; it is seen now.
    pub fn session(&self, token: &SessionToken, now: Now) -> Option<SessionId> {
        let sha256 = token.0.sha256();
        let mut state = self.state();
        let kept = state.sessions.iter_mut().find(|kept| is_same(&kept.token_sha256, &sha256))?;
        if kept.session.is_over(now) {
            return None;
        }
        kept.session.seen_ms = kept.session.seen_ms.max(now.unix_ms);
        Some(kept.session.id.clone())
    }

    /// The sessions that go on, the one that was seen last in front.
    pub fn sessions(&self, now: Now) -> Vec<Session> {
        let state = self.state();
        let going_on =
            state.sessions.iter().map(|kept| &kept.session).filter(|session| !session.is_over(now));
        let mut all: Vec<Session> = going_on.cloned().collect();
        drop(state);
        all.sort_by(|one, other| (other.seen_ms, &other.id).cmp(&(one.seen_ms, &one.id)));
        all
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`AccountsError::Unknown`]; [`AccountsError::Truth`]: it has ended, and comes back if the program is started again before it was
    /// written down. Ending it again, or [`Accounts::keep`], tries that again.
    pub fn end_session(&self, id: &SessionId) -> Result<(), AccountsError> {
        let mut state = self.state();
        let is_known = state.ended.contains(id) || state.sessions.iter().any(|kept| kept.session.id == *id);
        state.end(|session| session.id == *id);
        drop(state);
        if !is_known {
            return Err(AccountsError::Unknown);
        }
        self.write_ends()
    }

    /// Ends all sessions but one, and says which.
    ///
    /// # Errors
    /// [`AccountsError::Truth`], as with [`Accounts::end_session`].
    pub fn end_other_sessions(&self, but: &SessionId) -> Result<Vec<SessionId>, AccountsError> {
        let ended = self.state().end(|session| session.id != *but);
        self.write_ends()?;
        Ok(ended)
    }
}

impl State {
    /// Ends sessions at once; that is written down later.
    pub(crate) fn end(&mut self, is_meant: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        let gone = self.sessions.extract_if(.., |kept| is_meant(&kept.session));
        let gone: Vec<SessionId> = gone.map(|kept| kept.session.id).collect();
        self.ended.extend(gone.iter().cloned());
        gone
    }
}
