//! Somebody who watches, as an answer that is under way knows them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reelroom_accounts::Now;
use tokio_util::sync::CancellationToken;

use crate::ids::{ShareId, ViewId};
use crate::share::{Gives, Term};

/// How far a view has come.
#[derive(Debug)]
pub(crate) struct Meter {
    seen_ms: AtomicI64,
    sent_bytes: AtomicI64,
    reached_bytes: AtomicI64,
}

/// What a meter shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) seen_ms: i64,
    pub(crate) sent_bytes: i64,
    pub(crate) reached_bytes: i64,
}

impl Meter {
    pub(crate) fn new(now: Now) -> Self {
        Self {
            seen_ms: AtomicI64::new(now.unix_ms),
            sent_bytes: AtomicI64::default(),
            reached_bytes: AtomicI64::default(),
        }
    }

    pub(crate) fn see(&self, now: Now) {
        self.seen_ms.fetch_max(now.unix_ms, Ordering::Relaxed);
    }

    pub(crate) fn reading(&self) -> Reading {
        Reading {
            seen_ms: self.seen_ms.load(Ordering::Relaxed),
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            reached_bytes: self.reached_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Somebody who watches by a link that is in force. Whoever sends them something asks [`Viewing::is_over`] and waits for
/// [`Viewing::ended`] while they do.
#[derive(Clone, Debug)]
pub struct Viewing {
    /// By which link.
    pub share: ShareId,
    /// Who of those who watch by it.
    pub view: ViewId,
    /// The name of the recording.
    pub recording: Arc<str>,
    /// Its id when the link was made.
    pub recording_id: Arc<str>,
    /// What the link gives.
    pub gives: Gives,
    pub(crate) meter: Arc<Meter>,
    pub(crate) term: Term,
    pub(crate) ends: CancellationToken,
}

impl Viewing {
    /// Whether nothing more is to be sent to them.
    pub fn is_over(&self, now: Now) -> bool {
        self.ends.is_cancelled() || self.term.is_over(now)
    }

    /// Waits until somebody ends it. That its time is over is told by [`Viewing::is_over`] alone.
    pub async fn ended(&self) {
        self.ends.cancelled().await;
    }

    /// This part of the file has been handed out.
    pub fn sent(&self, part: Range<u64>, now: Now) {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.meter.see(now);
        self.meter.sent_bytes.fetch_add(bytes(part.end.saturating_sub(part.start)), Ordering::Relaxed);
        self.meter.reached_bytes.fetch_max(bytes(part.end), Ordering::Relaxed);
    }

    /// Whether a recording of this name and id is the one that was shared. One of which no more than the name was known is known by that.
    pub fn is_of(&self, name: &str, id: &str) -> bool {
        let is_known = |id: &str| id != name;
        let is_another = is_known(&self.recording_id) && is_known(id) && *self.recording_id != *id;
        *self.recording == *name && !is_another
    }
}
