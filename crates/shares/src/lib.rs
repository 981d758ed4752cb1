//! Links to one recording: who makes them, who watches by them, and how far they came.
//!
//! ```text
//!   make ─► Share, and a secret that is shown once: /watch#<secret>
//!                                  │
//!   begin: secret ─► throttle ─► password ─► a view: written down first ─► a ticket, for one browser and this view alone
//!                                                                            │
//!   at each request:  ticket ─► viewing ─► Viewing: which recording, what may be done with it
//!                                 │            ├─ is_over, ended: asked while an answer runs
//!                               State          └─ sent: how far they came
//!                                 │ ▲ now and then
//!                              truth.db
//!   change, revoke, forget_recording ─► ends what is being watched, at once
//! ```
//!
//! # Invariants
//!
//! - Secrets and tickets are 256 random bits that are shown once. Of secrets a hash is kept, of tickets nothing: they are worthless once the
//!   program ends, and whoever has the secret gets another.
//! - A view is on the disk before anybody gets a ticket. What takes something away (revoking, deleting, a change that grants less) holds at
//!   once, also while the disk takes nothing, and is on the disk before it is answered.
//! - A ticket is good for the share and the state of it that it was made for: a change that grants less ends it.
//! - Who watches is asked in memory, and memory is bounded.
//! - Time and randomness come in as arguments.
//!
//! What may be done with a recording is decided elsewhere: a link says [`Gives`]. All that writes waits for the disk, and what takes a
//! password hashes it: callers run these on a thread that may block.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod error;
mod ids;
mod share;
mod state;
mod throttle;
mod view;
mod viewing;

use std::sync::{Arc, Mutex, MutexGuard};

use reelroom_accounts::{Accounts, Now};
use reelroom_truth::Truth;

pub use error::SharesError;
pub use ids::{ShareId, ViewId};
pub use share::{Change, Gives, MadeShare, NewShare, Set, Share};
pub use view::{Begin, Begun, View, Views};
pub use viewing::Viewing;

use crate::state::State;
use crate::throttle::Throttle;

/// All shares, and who watches by them. Methods for who shares: [`Shares::make`], [`Shares::of_recording`], [`Shares::change`],
/// [`Shares::revoke`], [`Shares::views`]. For who watches: [`Shares::begin`], [`Shares::viewing`]. When a recording is deleted:
/// [`Shares::forget_recording`]. By a clock: [`Shares::keep`], and [`Shares::forget_recording_of_id`] for what was deleted of
/// [`Shares::recordings`].
pub struct Shares {
    truth: Truth,
    /// Hashes passwords.
    accounts: Arc<Accounts>,
    throttle: Mutex<Throttle>,
    /// Held by who writes the truth, over that and the change of the state that goes with it.
    changing: Mutex<()>,
    /// Never held over anything that waits.
    state: Mutex<State>,
}

impl Shares {
    /// Reads what the truth knows. Passwords are hashed by `accounts`.
    ///
    /// # Errors
    /// [`SharesError::Truth`].
    pub fn open(truth: Truth, accounts: Arc<Accounts>) -> Result<Self, SharesError> {
        let state = State::read(&truth)?;
        Ok(Self {
            truth,
            accounts,
            throttle: Mutex::default(),
            changing: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Writes down how far views have come, every few seconds at most, ends those in which nothing is done, and tries again what could not be
    /// written. What came since is lost with a program that is killed, and nothing else.
    ///
    /// # Errors
    /// [`SharesError::Truth`]: it is tried again by a later call.
    pub fn keep(&self, now: Now) -> Result<(), SharesError> {
        if self.state().is_time_to_keep(now) { self.write_down(now) } else { Ok(()) }
    }

    /// The same, at once.
    ///
    /// # Errors
    /// [`SharesError::Truth`]: it is tried again by a later call.
    pub fn write_down(&self, now: Now) -> Result<(), SharesError> {
        let _changing = self.changing();
        let news = {
            let mut state = self.state();
            state.end_what_is_over(now);
            state.news()
        };
        self.write(&news)
    }

    /// Writes down what takes something away, and not how far somebody came.
    fn write_ends(&self) -> Result<(), SharesError> {
        let _changing = self.changing();
        let ends = self.state().ends();
        self.write(&ends)
    }

    /// By who holds `changing`.
    fn write(&self, news: &reelroom_truth::ShareNews) -> Result<(), SharesError> {
        if !news.is_nothing() {
            self.truth.keep_share_news(news)?;
        }
        self.state().written(news);
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect("no code panics while it changes shares")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the shares")
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().expect("no code panics while it holds the throttle")
    }
}

#[cfg(test)]
mod tests;
