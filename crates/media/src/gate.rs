//! Who gave out a ticket is asked whether it holds: when somebody comes with it, when they are given a fresh token, and when that says that
//! something has changed. It is asked as well whether the room records only those who agree.
//!
//! ```text
//!   /rtc, a fresh token ─► Gatehouse ─► Gate (whoever gave out tickets) ─► Standing
//!   something changed ───► Rooms::recheck ─► everybody in the room ──┘
//! ```
//!
//! # Invariants
//!
//! - The room's own task asks as it lets somebody in. A look again that was asked for after something changed comes behind every join that
//!   was let in before it, so that nobody slips in between.
//! - Without a gate a token says all of it, and so does one without a ticket, and nobody is asked for consent.

use std::sync::{Arc, OnceLock};

use reelroom_protocol::ids::{RoomName, Ticket};
pub use reelroom_sfu::Standing;

/// Whoever gives out tickets, and takes them back.
pub trait Gate: Send + Sync {
    /// What whoever came with a ticket may do in a room now. It is asked by the tasks of rooms, and waits for nothing.
    fn standing(&self, ticket: &Ticket, room: &RoomName) -> Standing;

    /// Whether in a room nobody is to be recorded who has not agreed. It is asked as [`Gate::standing`] is, and as a recorder comes.
    fn asks_consent(&self, room: &RoomName) -> bool;
}

/// Where the gate stands, once there is one.
#[derive(Clone, Default)]
pub(crate) struct Gatehouse {
    gate: Arc<OnceLock<Arc<dyn Gate>>>,
}

impl Gatehouse {
    /// The first one stays.
    pub(crate) fn set(&self, gate: Arc<dyn Gate>) {
        let _ = self.gate.set(gate);
    }

    pub(crate) fn standing(&self, ticket: &Ticket, room: &RoomName) -> Standing {
        match self.gate.get() {
            Some(gate) if !ticket.as_str().is_empty() => gate.standing(ticket, room),
            _ => Standing::AsSaid,
        }
    }

    pub(crate) fn asks_consent(&self, room: &RoomName) -> bool {
        self.gate.get().is_some_and(|gate| gate.asks_consent(room))
    }
}
