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
//! - Whoever was in a room as the server began anew is in it still, for as long as they may take to come back: what lets nobody come anew lets
//!   them in, once. Who is removed, or whose room is over, is expected no more.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantIdentity, RoomName, Ticket};
use reelroom_sfu::Joining;
pub use reelroom_sfu::Standing;

use crate::removals::{Person, Removals};
use crate::spent::Spent;

/// Who was removed, each with the second since 1970 before which their tokens are worth nothing.
type Removed = Vec<(Person, u64)>;
/// Tickets of tokens that were used, each with its number and how long ago.
type Used = Vec<(Ticket, u32, Duration)>;

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
    returning: Arc<Mutex<Returning>>,
}

/// Those who were in rooms as the server began anew.
#[derive(Default)]
struct Returning {
    until: Option<Instant>,
    bearers: HashMap<RoomName, HashSet<Ticket>>,
}

impl Returning {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
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

    /// The same of somebody who comes, perhaps back.
    pub(crate) fn standing_at_the_door(&self, ticket: &Ticket, room: &RoomName, now: Instant) -> Standing {
        match self.standing(ticket, room) {
            Standing::StaysAtMost(grants) if self.returns(ticket, room, now) => Standing::AtMost(grants),
            Standing::NotAgain if self.returns(ticket, room, now) => Standing::AsSaid,
            standing => standing,
        }
    }

    fn returns(&self, ticket: &Ticket, room: &RoomName, now: Instant) -> bool {
        let returning = self.returning();
        let is_named = returning.bearers.get(room).is_some_and(|tickets| tickets.contains(ticket));
        is_named && !returning.is_over(now)
    }

    fn returning(&self) -> MutexGuard<'_, Returning> {
        self.returning.lock().expect("no code panics while it holds those who come back")
    }

    /// Nobody is expected any more.
    pub(crate) fn expect_nobody(&self) {
        *self.returning() = Returning::default();
    }

    /// Those who are named were in rooms until now, and come back within this time.
    pub(crate) fn expect(&self, bearers: HashMap<RoomName, HashSet<Ticket>>, within: Duration, now: Instant) {
        *self.returning() = Returning { until: Some(now + within), bearers };
    }

    /// Who has not come back yet and still may. Nobody else is expected from now on.
    pub(crate) fn still_expected(&self, now: Instant) -> HashMap<RoomName, HashSet<Ticket>> {
        let returning = std::mem::take(&mut *self.returning());
        if returning.is_over(now) { HashMap::new() } else { returning.bearers }
    }

    /// Somebody is back, or is not to come back any more.
    pub(crate) fn expect_no_more(&self, room: &RoomName, ticket: &Ticket) {
        if let Some(tickets) = self.returning().bearers.get_mut(room) {
            tickets.remove(ticket);
        }
    }

    /// A room is over: who was in it as the server began anew was in that one.
    pub(crate) fn expect_nobody_in(&self, room: &RoomName) {
        self.returning().bearers.remove(room);
    }

    /// Who was removed, and which tokens were used and how long ago.
    pub(crate) fn kept(&self, now: Instant) -> (Removed, Used) {
        (self.removals().all(), self.spent().all(now))
    }

    /// Who was removed, and which tokens were used, in a former run.
    pub(crate) fn go_on(&self, removals: Removed, spent: Used, now: Instant) {
        for (person, before_unix_s) in removals {
            self.removals().note(person, before_unix_s);
        }
        for (ticket, serial, age) in spent {
            // Before that time this machine did not run: then it is as if it were used now.
            self.spent().put(ticket, serial, now.checked_sub(age).unwrap_or(now));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets nobody come anew.
    struct Shut(Standing);

    impl Gate for Shut {
        fn standing(&self, _: &Ticket, _: &RoomName) -> Standing {
            self.0.clone()
        }

        fn asks_consent(&self, _: &RoomName) -> bool {
            false
        }
    }

    #[test]
    fn who_was_in_a_room_as_the_server_began_anew_comes_back_for_a_while_and_nobody_else_does() {
        let (now, within) = (Instant::now(), Duration::from_secs(60));
        for (shut, open) in [
            (Standing::StaysAtMost(Box::default()), Standing::AtMost(Box::default())),
            (Standing::NotAgain, Standing::AsSaid),
            (Standing::Over, Standing::Over),
        ] {
            let gate = Gatehouse::default();
            gate.set(Arc::new(Shut(shut.clone())));
            let bearers = || -> HashMap<RoomName, HashSet<Ticket>> {
                HashMap::from([("room".into(), HashSet::from(["TK_1".into(), "TK_3".into()]))])
            };
            gate.expect(bearers(), within, now);
            let standing =
                |ticket: &str, room: &str, at| gate.standing_at_the_door(&ticket.into(), &room.into(), at);
            assert_eq!(standing("TK_1", "room", now), open);
            assert_eq!(standing("TK_2", "room", now), shut);
            assert_eq!(standing("TK_1", "other", now), shut);
            assert_eq!(standing("TK_1", "room", now + within), shut, "the time is over");
            gate.expect_no_more(&"room".into(), &"TK_1".into());
            assert_eq!(standing("TK_1", "room", now), shut, "they are back, or were removed");
            assert_eq!(standing("TK_3", "room", now), open);
            gate.expect_nobody_in(&"room".into());
            assert_eq!(standing("TK_3", "room", now), shut, "the room is over");
            gate.expect(bearers(), within, now);
            assert_eq!(gate.still_expected(now), bearers());
            assert_eq!(standing("TK_3", "room", now), shut, "the next run expects them");
            gate.expect(bearers(), within, now);
            assert!(gate.still_expected(now + within).is_empty());
        }
    }
}
