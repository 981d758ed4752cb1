//! What is known of everybody, in memory: as the truth has it, and what happened since.
//!
//! # Invariants
//!
//! - Nothing is here that gives somebody a right and is not in the truth.
//! - What ended or was revoked is so here before it is so in the truth, and stays noted until it is.

use std::time::Instant;

use reelroom_limits::accounts::{SEEN_EVERY, SESSIONS};
use reelroom_truth::{Happened, Truth};

use crate::Now;
use crate::error::AccountsError;
use crate::ids::SessionId;
use crate::keys::KeptKey;
use crate::owner::Owner;
use crate::session::{KeptSession, Session};

/// What is known of everybody.
pub(crate) struct State {
    pub(crate) owner: Option<Owner>,
    pub(crate) sessions: Vec<KeptSession>,
    pub(crate) keys: Vec<KeptKey>,
    /// Sessions that ended, and may still stand in the truth.
    pub(crate) ended: Vec<SessionId>,
    kept_at: Option<Instant>,
}

impl State {
    /// What the truth knows.
    pub(crate) fn read(truth: &Truth) -> Result<Self, AccountsError> {
        let owner = truth.owner()?.map(|owner| Owner {
            password: owner.password.into(),
            mark_key: owner.mark_key,
            generation: 0,
        });
        Ok(Self {
            owner,
            sessions: truth.sessions()?.into_iter().map(KeptSession::from).collect(),
            keys: truth.api_keys()?.into_iter().map(KeptKey::from).collect(),
            ended: Vec::new(),
            kept_at: None,
        })
    }

    /// The session that goes so that one more has a place: one that is over, or else the one that was seen longest ago.
    pub(crate) fn makes_room_for_a_session(&self, now: Now) -> Option<Session> {
        if self.sessions.len() < SESSIONS {
            return None;
        }
        let all = self.sessions.iter().map(|kept| &kept.session);
        all.min_by_key(|session| (!session.is_over(now), session.seen_ms)).cloned()
    }

    /// Whether the last time is long enough ago; then it is now.
    pub(crate) fn is_time_to_keep(&mut self, now: Now) -> bool {
        let is_time = self.kept_at.is_none_or(|at| now.at.saturating_duration_since(at) >= SEEN_EVERY);
        if is_time {
            self.kept_at = Some(now.at);
        }
        is_time
    }

    pub(crate) fn end_what_is_over(&mut self, now: Now) {
        self.end(|session| session.is_over(now));
    }

    /// What takes a right away and is not written down.
    pub(crate) fn ends(&self) -> Happened {
        let unwritten = self.keys.iter().filter(|kept| !kept.is_revocation_written);
        Happened {
            ended: self.ended.iter().map(|id| id.as_str().to_owned()).collect(),
            revoked: unwritten.filter_map(|kept| Some((kept.id(), kept.key.revoked_ms?))).collect(),
            ..Happened::default()
        }
    }

    /// Whatever is not written down.
    pub(crate) fn happened(&self) -> Happened {
        let sessions = self.sessions.iter().filter(|kept| kept.session.seen_ms > kept.written_ms);
        let keys = self.keys.iter().filter(|kept| kept.key.used_ms > kept.written_ms);
        Happened {
            seen: sessions.map(|kept| (kept.session.id.as_str().to_owned(), kept.session.seen_ms)).collect(),
            used: keys.filter_map(|kept| Some((kept.id(), kept.key.used_ms?))).collect(),
            ..self.ends()
        }
    }

    /// This has been written down.
    pub(crate) fn written(&mut self, happened: &Happened) {
        self.ended.retain(|ended| !happened.ended.iter().any(|id| id == ended.as_str()));
        for kept in &mut self.sessions {
            if let Some(at_ms) = at(&happened.seen, kept.session.id.as_str()) {
                kept.written_ms = at_ms;
            }
        }
        for kept in &mut self.keys {
            if let Some(at_ms) = at(&happened.used, kept.key.id.as_str()) {
                kept.written_ms = Some(at_ms);
            }
            kept.is_revocation_written |= at(&happened.revoked, kept.key.id.as_str()).is_some();
        }
    }
}

fn at(all: &[(String, i64)], id: &str) -> Option<i64> {
    all.iter().find(|(one, _)| one == id).map(|(_, at_ms)| *at_ms)
}
