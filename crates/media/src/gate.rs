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
//! - Tokens that were revoked with the removal of whoever came by them let nobody in, also once their room has closed and opened again.
//! - A token that is counted lets its bearer in once, into whichever session of the room.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantIdentity, RoomName, Ticket};
use reelroom_sfu::Joining;
pub use reelroom_sfu::Standing;

use crate::removals::{Person, Removals};
use crate::spent::Spent;

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
    removals: Arc<Mutex<Removals>>,
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

    /// Somebody was removed from a room, and their tokens of before a time are worth nothing.
    pub(crate) fn removed(
        &self,
        room: &RoomName,
        ticket: &Ticket,
        identity: &ParticipantIdentity,
        before_unix_s: u64,
    ) {
        let person = Person { room: room.clone(), ticket: ticket.clone(), identity: identity.clone() };
        self.removals().note(person, before_unix_s);
    }

    /// Whether somebody comes with a token that is worth nothing since its bearer was removed.
    pub(crate) fn was_removed(&self, joining: &Joining, room: &RoomName) -> bool {
        let (ticket, identity) = (joining.ticket.clone(), joining.identity.clone());
        self.removals().cover(Person { room: room.clone(), ticket, identity }, joining.issued_unix_s)
    }

    fn removals(&self) -> MutexGuard<'_, Removals> {
        self.removals.lock().expect("no code panics while it holds the removals")
    }

    pub(crate) fn asks_consent(&self, room: &RoomName) -> bool {
        self.gate.get().is_some_and(|gate| gate.asks_consent(room))
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
