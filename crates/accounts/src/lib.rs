//! Who somebody is: the owner by a password, a browser by its session, a program by its API key.
//!
//! ```text
//!   link, used once ───────────────► set_password ──┐
//!   password ─► throttle ─► argon2 ─► sign_in ──────┼─► SignedIn: a session's token, and a mark that tells this browser from strangers
//!   old and new password ──────────► change_password┤
//!   an OpenID provider's word ─► sign_in_by_provider┘
//!
//!   at each request:  token ─► session ─► SessionId       API key ─► key ─► KeyId and its rights
//!                                 └──────── State ────────────┘      in memory, bounded
//!                                  read at the start │ ▲ written first
//!                                                 truth.db
//! ```
//!
//! What somebody may do is decided elsewhere: the rights of an API key are words here.
//!
//! # Invariants
//!
//! - Secrets are 256 random bits that are shown once; what is kept of them is a hash. Nothing compares them, or what is made of them, in a
//!   time that depends on them.
//! - What gives somebody a right is on the disk before it is answered. What takes one away holds at once, also while the disk takes nothing,
//!   and is on the disk before it is answered.
//! - Asking who somebody is touches no disk.
//! - One `Accounts` of a data folder is in use at a time; another program may do nothing but make a link.
//! - Time and randomness come in as arguments.
//!
//! All that writes waits for the disk, and all that takes a password hashes it, which takes some 100 ms and [`Cost`]'s memory: callers run
//! these on a thread that may block. How many passwords are hashed at once is bounded here.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod error;
mod hashing;
mod ids;
mod keys;
mod link;
mod link_password;
mod mark;
mod owner;
mod password;
mod secret;
mod session;
mod standing;
mod state;
mod throttle;
mod visit;

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use reelroom_truth::Truth;

pub use error::AccountsError;
pub use ids::{KeyId, SessionId, new as new_id};
pub use keys::{ApiKey, Bearer, MadeKey, NewKey, Rights};
pub use link::OwnerLink;
pub use link_password::LinkPassword;
pub use owner::{ChangePassword, SetPassword, SignIn, SignedIn};
pub use password::Cost;
pub use secret::{Secret, Shown};
pub use session::{Session, SessionToken};
pub use visit::{Visit, is_hidden};

use crate::hashing::Hashing;
use crate::state::State;
use crate::throttle::Throttle;

/// The time, twice: for intervals, and as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what is over when the program ends.
    pub at: Instant,
    /// Unix time in milliseconds.
    pub unix_ms: i64,
}

/// The owner, their sessions and their API keys. Methods that take requests: [`Accounts::session`], [`Accounts::key`]. Methods that take
/// passwords: [`Accounts::set_password`], [`Accounts::sign_in`], [`Accounts::change_password`]; those of links
/// [`Accounts::new_link_password`], [`Accounts::is_link_password`]. One that takes somebody else's word:
/// [`Accounts::sign_in_by_provider`]. One that is called by a clock: [`Accounts::keep`].
pub struct Accounts {
    truth: Truth,
    cost: Cost,
    hashing: Hashing,
    throttle: Mutex<Throttle>,
    /// Held by who writes the truth, over that and the change of the state that goes with it.
    changing: Mutex<()>,
    /// Never held over anything that waits.
    state: Mutex<State>,
}

impl Accounts {
    /// Reads what the truth knows. Passwords are hashed at `cost` from now on.
    ///
    /// # Errors
    /// [`AccountsError::Truth`].
    pub fn open(truth: Truth, cost: Cost) -> Result<Self, AccountsError> {
        let state = State::read(&truth)?;
        Ok(Self {
            truth,
            cost,
            hashing: Hashing::default(),
            throttle: Mutex::default(),
            changing: Mutex::default(),
            state: Mutex::new(state),
        })
    }

    /// Writes down when sessions and keys were seen, once a minute at most, and forgets sessions that are over. Meant to be called every
    /// few seconds; what was seen since is lost with a program that is killed, and nothing else.
    ///
    /// # Errors
    /// [`AccountsError::Truth`]: it is tried again by a later call.
    pub fn keep(&self, now: Now) -> Result<(), AccountsError> {
        let _changing = self.changing();
        let mut state = self.state();
        if !state.is_time_to_keep(now) {
            return Ok(());
        }
        state.end_what_is_over(now);
        let happened = state.happened();
        drop(state);
        self.write(&happened)
    }

    /// Writes down what ended, and not what was merely seen.
    fn write_ends(&self) -> Result<(), AccountsError> {
        let _changing = self.changing();
        let ends = self.state().ends();
        self.write(&ends)
    }

    /// By who holds `changing`.
    fn write(&self, happened: &reelroom_truth::Happened) -> Result<(), AccountsError> {
        if !happened.is_nothing() {
            self.truth.keep_happened(happened)?;
            self.state().written(happened);
        }
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect("no code panics while it changes accounts")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the accounts")
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().expect("no code panics while it holds the throttle")
    }
}

#[cfg(test)]
mod tests;
