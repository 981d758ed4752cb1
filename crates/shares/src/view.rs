//! Somebody opens a link and watches: a view.
//!
//! ```text
//!   begin ─► live ─┬─ nothing asked for in a while, the link over, another one needs the place ─► over ─► written down, gone from memory
//!                  └─ viewing, sent: how far
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use rand::CryptoRng;
use reelroom_accounts::{LinkPassword, Now, Secret, Shown, new_id};
use reelroom_limits::asker::Asker;
use reelroom_limits::pace::TooFast;
use reelroom_limits::shares::{SHARE_VIEWS_LISTED, VIEW_IDLE, VIEWS_AT_ONCE, VIEWS_OF_A_SHARE};
use tokio_util::sync::CancellationToken;

use crate::Shares;
use crate::error::SharesError;
use crate::ids::{ShareId, ViewId};
use crate::share::KeptShare;
use crate::state::State;
use crate::viewing::{Meter, Reading, Viewing};

const IDLE_MS: i64 = VIEW_IDLE.as_millis() as i64;

/// Somebody opens a link.
#[derive(Clone, Copy)]
pub struct Begin<'a> {
    /// What stands behind `/watch#`.
    pub secret: &'a str,
    /// What they say is the password, if they were asked for one.
    pub password: Option<&'a str>,
    /// From where they come.
    pub asker: Asker,
}

/// A view began.
#[derive(Debug)]
pub struct Begun {
    /// Who watches what.
    pub viewing: Viewing,
    /// For their browser to show with each request.
    pub ticket: Shown,
}

/// A view as whoever shares sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Which.
    pub id: ViewId,
    /// Unix milliseconds.
    pub begun_ms: i64,
    /// Unix milliseconds of the last sign of them.
    pub seen_ms: i64,
    /// From where, if that can be told.
    pub address: Option<IpAddr>,
    /// Bytes that were sent to them, some perhaps more than once.
    pub sent_bytes: u64,
    /// The end of the furthest part that was sent to them.
    pub reached_bytes: u64,
}

/// The views of a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views {
    /// How many there were.
    pub count: u64,
    /// The last of them, the newest in front.
    pub listed: Vec<View>,
}

/// A view in memory.
pub(crate) struct LiveView {
    id: ViewId,
    pub(crate) share: ShareId,
    ticket_sha256: [u8; 32],
    begun_ms: i64,
    address: Option<IpAddr>,
    pub(crate) meter: Arc<Meter>,
    /// What the truth says of it.
    pub(crate) written: Reading,
    pub(crate) ends: CancellationToken,
}

impl LiveView {
    pub(crate) fn is_idle(&self, now: Now) -> bool {
        now.unix_ms >= self.meter.reading().seen_ms.saturating_add(IDLE_MS)
    }

    pub(crate) fn is_written(&self) -> bool {
        self.meter.reading() == self.written
    }

    /// Whether no answer is under way to them that is counted.
    pub(crate) fn is_left(&self) -> bool {
        Arc::strong_count(&self.meter) == 1
    }

    pub(crate) fn is(&self, id: &str) -> bool {
        self.id.as_str() == id
    }

    pub(crate) fn row(&self) -> reelroom_truth::ShareView {
        let Reading { seen_ms, sent_bytes, reached_bytes } = self.meter.reading();
        reelroom_truth::ShareView {
            id: self.id.as_str().to_owned(),
            share: self.share.as_str().to_owned(),
            begun_ms: self.begun_ms,
            seen_ms,
            address: self.address.map(|address| address.to_string()),
            sent_bytes,
            reached_bytes,
        }
    }
}

impl From<reelroom_truth::ShareView> for View {
    fn from(row: reelroom_truth::ShareView) -> Self {
        Self {
            id: row.id.into(),
            begun_ms: row.begun_ms,
            seen_ms: row.seen_ms,
            address: row.address.and_then(|address| address.parse().ok()),
            sent_bytes: u64::try_from(row.sent_bytes).unwrap_or_default(),
            reached_bytes: u64::try_from(row.reached_bytes).unwrap_or_default(),
        }
    }
}

/// A share that somebody has the secret of.
struct Door {
    id: ShareId,
    password: Option<LinkPassword>,
    /// Cancelled where the share gives less by now than when it was opened.
    ends: CancellationToken,
}

impl Shares {
    /// Begins a view for whoever has the secret of a link, and knows its password where it has one. Hashes then.
    ///
    /// # Errors
    /// [`SharesError::Gone`], [`SharesError::PasswordNeeded`], [`SharesError::Wrong`], [`SharesError::WrongTooOften`],
    /// [`SharesError::TooFast`], [`SharesError::Busy`], [`SharesError::Truth`].
    pub fn begin(&self, begin: Begin<'_>, now: Now, rng: &mut impl CryptoRng) -> Result<Begun, SharesError> {
        let secret = Secret::parse(begin.secret).ok_or(SharesError::Gone)?;
        let door = self.state().door(&secret.sha256(), now).ok_or(SharesError::Gone)?;
        self.prove(&door, begin, now)?;
        self.throttle()
            .take_view(begin.asker, now.at)
            .map_err(|TooFast { wait }| SharesError::TooFast { wait })?;
        let ticket = Secret::new(rng);
        let meter = Meter::new(now);
        let view = LiveView {
            id: new_id("VW_", rng).into(),
            share: door.id.clone(),
            ticket_sha256: ticket.sha256(),
            begun_ms: now.unix_ms,
            address: begin.asker.0,
            written: meter.reading(),
            meter: Arc::new(meter),
            ends: door.ends.child_token(),
        };
        let _changing = self.changing();
        let goes = self.state().makes_room_for_a_view(&door.id, now)?;
        self.truth.begin_share_view(&view.row(), SHARE_VIEWS_LISTED)?;
        let mut state = self.state();
        if let Some(goes) = goes {
            state.end_views(|view| view.id == goes);
        }
        let share = state.shares.iter_mut().find(|share| share.id == door.id).ok_or(SharesError::Gone)?;
        share.views += 1;
        share.viewed_ms = share.viewed_ms.max(Some(now.unix_ms));
        // It was revoked, or gives less, since its door was opened.
        if door.ends.is_cancelled() {
            return Err(SharesError::Gone);
        }
        let viewing = view.viewing(share);
        state.views.push(view);
        Ok(Begun { viewing, ticket: ticket.shown() })
    }

    /// Who shows this ticket by that share, if it is one whose view goes on; they are seen now.
    pub fn viewing(&self, ticket: &str, share: &ShareId, now: Now) -> Option<Viewing> {
        let sha256 = Secret::parse(ticket)?.sha256();
        let state = self.state();
        let view = state.views.iter().find(|view| view.share == *share && view.ticket_sha256 == sha256)?;
        let share = state.shares.iter().find(|share| share.id == view.share)?;
        let viewing = view.viewing(share);
        if viewing.is_over(now) || view.is_idle(now) {
            return None;
        }
        view.meter.see(now);
        Some(viewing)
    }

    /// Who watched by a link, up to now.
    ///
    /// # Errors
    /// [`SharesError::Unknown`], [`SharesError::Truth`].
    pub fn views(&self, recording: &str, id: &ShareId, now: Now) -> Result<Views, SharesError> {
        self.state().share(recording, id)?;
        self.write_down(now)?;
        let listed = self.truth.share_views(id.as_str())?.into_iter().map(View::from).collect();
        let count = self.state().share(recording, id)?.views;
        Ok(Views { count, listed })
    }

    /// Whether somebody knows the password, where there is one.
    fn prove(&self, door: &Door, begin: Begin<'_>, now: Now) -> Result<(), SharesError> {
        let Some(kept) = &door.password else { return Ok(()) };
        let said = begin.password.ok_or(SharesError::PasswordNeeded)?;
        let taken = self
            .throttle()
            .take(&door.id, begin.asker, now.at)
            .map_err(|TooFast { wait }| SharesError::WrongTooOften { wait })?;
        let is_right = self.accounts.is_link_password(kept, said);
        if !matches!(is_right, Ok(false)) {
            self.throttle().give_back(taken);
        }
        if is_right? { Ok(()) } else { Err(SharesError::Wrong) }
    }
}

impl LiveView {
    fn viewing(&self, share: &KeptShare) -> Viewing {
        Viewing {
            share: self.share.clone(),
            view: self.id.clone(),
            recording: Arc::clone(&share.recording),
            recording_id: Arc::clone(&share.recording_id),
            gives: share.gives,
            meter: Arc::clone(&self.meter),
            term: share.term.clone(),
            ends: self.ends.clone(),
        }
    }
}

impl State {
    /// The share with this secret, if it is in force.
    fn door(&self, secret_sha256: &[u8; 32], now: Now) -> Option<Door> {
        let share = self.shares.iter().find(|share| share.is_opened_by(secret_sha256))?;
        (!share.is_over(now)).then(|| Door {
            id: share.id.clone(),
            password: share.password.clone(),
            ends: share.ends.clone(),
        })
    }

    /// The view that ends so that one more by this share has a place: the one that was seen longest ago.
    fn makes_room_for_a_view(&mut self, share: &ShareId, now: Now) -> Result<Option<ViewId>, SharesError> {
        if !self.has_room(share) {
            self.end_what_is_over(now);
        }
        if self.has_room(share) {
            return Ok(None);
        }
        let own = self.views.iter().filter(|view| view.share == *share);
        let longest = own.min_by_key(|view| view.meter.reading().seen_ms).ok_or(SharesError::Busy)?;
        Ok(Some(longest.id.clone()))
    }

    fn has_room(&self, share: &ShareId) -> bool {
        self.views.len() < VIEWS_AT_ONCE && self.watching(share) < VIEWS_OF_A_SHARE
    }
}
