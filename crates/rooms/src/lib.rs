//! Rooms that the owner made, and the links by which others come into them.
//!
//! ```text
//!   make ─► a room: its name, what guests and hosts may, so many people at most
//!             ├─ host link  ─┐  each renewed, revoked and expiring by itself
//!             └─ guest link ─┴─► at each request: a secret, or a pass made of it ─► LinkId ─► Caller of that room
//!   close ─► the name stays, and nobody gets in by it any more
//!   recorded ─► a recording of that room ─► due, when the room's time for it is over
//!   guest of a room with a lobby ─► knock ─► Lobby ─► let in, or not
//!                                   State: in memory, bounded; written to truth.db. The lobby is in memory alone
//! ```
//!
//! # Invariants
//!
//! - A link's secret is 256 bits. The truth has its hash and a nonce; the secret itself is made of the nonce and a key that stands elsewhere
//!   in the data folder. So the owner is shown a link again, and whoever gets hold of a copy of the database alone gets in by none.
//! - What gives somebody a right is on the disk before it is answered. What takes one away holds at once, also while the disk takes nothing.
//! - A link opens its own room alone, and what it grants is asked for at each request: nothing of it is kept by whoever came by it.
//! - A room's name is of that room for good: recordings and tokens know rooms by name.
//! - A room's recordings are known by what was noted when they were made, and never by what a store says of them.
//! - Asking who comes by a link touches no disk. Time and randomness come in as arguments.
//!
//! All that writes waits for the disk: callers run it on a thread that may block.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod error;
mod layout;
mod link;
mod lobby;
mod pass;
mod retention;
mod role;
mod room;
mod secret;
mod state;

use std::sync::{Mutex, MutexGuard};

use reelroom_truth::Truth;

pub use error::RoomsError;
pub use layout::Layout;
pub use link::{Link, LinkId, Renewal};
pub use lobby::{
    Decision, Entrance, KnockId, Lobby, NewKnock, ShownKnock, Turn, Waiter, Waiters, shown_name,
};
pub use reelroom_truth::RetentionClock;
pub use retention::{Due, Fate, Preview, Recorded, Retention};
pub use role::Role;
pub use room::{Change, Keep, NewRoom, Room, Settings};
pub use secret::Shown;

use crate::secret::Key;
use crate::state::State;

/// All rooms and their links. Methods that take requests: [`Rooms::shown`], [`Rooms::by_pass`], [`Rooms::caller`]. Those that are called by a
/// clock: [`Rooms::keep`], [`Rooms::due`].
pub struct Rooms {
    truth: Truth,
    key: Key,
    /// Held by who writes the truth, over that and the change of the state that goes with it.
    changing: Mutex<()>,
    /// Never held over anything that waits.
    state: Mutex<State>,
}

impl Rooms {
    /// Reads what the truth knows. `key` is a secret of the data folder that stands outside of the database.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn open(truth: Truth, key: &[u8]) -> Result<Self, RoomsError> {
        let state = State::read(&truth)?;
        Ok(Self { truth, key: Key::of(key), changing: Mutex::default(), state: Mutex::new(state) })
    }

    /// Writes down what ended and could not be written when it did.
    ///
    /// # Errors
    /// [`RoomsError::Truth`]: it is tried again by a later call.
    pub fn keep(&self) -> Result<(), RoomsError> {
        let _changing = self.changing();
        let ended = self.state().ended.clone();
        if !ended.is_nothing() {
            self.truth.end_rooms(&ended)?;
            self.state().written(&ended);
        }
        Ok(())
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect("no code panics while it changes rooms")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the rooms")
    }
}

#[cfg(test)]
mod tests;
