//! Who gave out a ticket is asked whether it holds: when somebody comes with it, when they are given a fresh token, and when that says that
//! something has changed.
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
//! - Without a gate a token says all of it, and so does one without a ticket.
//! - A token that is counted lets its bearer in once, into whichever session of the room.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use reelroom_protocol::ids::{RoomName, Ticket};
pub use reelroom_sfu::Standing;

use crate::spent::Spent;

/// Whoever gives out tickets, and takes them back.
pub trait Gate: Send + Sync {
    /// What whoever came with a ticket may do in a room now. It is asked by the tasks of rooms, and waits for nothing.
    fn standing(&self, ticket: &Ticket, room: &RoomName) -> Standing;
}

/// Where the gate stands, once there is one.
#[derive(Clone, Default)]
pub(crate) struct Gatehouse {
    gate: Arc<OnceLock<Arc<dyn Gate>>>,
    spent: Arc<Mutex<Spent>>,
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

    /// Whether a token that is counted was used. Others are good as often as they are shown.
    pub(crate) fn is_used(&self, ticket: &Ticket, serial: u32, now: Instant) -> bool {
        is_counted(ticket, serial) && self.spent().has(ticket, serial, now)
    }

    /// Somebody came in by it, and knows that.
    pub(crate) fn use_up(&self, ticket: Ticket, serial: u32, now: Instant) {
        if is_counted(&ticket, serial) {
            self.spent().put(ticket, serial, now);
        }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().expect("no code panics while it holds the tokens that were used")
    }
}

fn is_counted(ticket: &Ticket, serial: u32) -> bool {
    serial > 0 && !ticket.as_str().is_empty()
}
