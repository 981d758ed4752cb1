//! The seat of a connection: what it does, and what its answers hold until their reader has taken them.
//!
//! ```text
//!   all of a request ─► Busy ─► the last of its answer is in hyper's buffer ─► Sending ─► the socket has taken it ─► Idle, or Head
//!                               (hyper lets the body go here)                    │        (its slot is free here)
//!                                                                                └─► closed, where its reader is too slow
//! ```
//!
//! # Invariants
//!
//! - What counts a request is held until the socket has taken the last byte of its answer. The body of the answer says nothing of that: one
//!   that is whole in memory is moved into hyper's buffer, and let go, before any of it is written.
//! - An answer that is whole in memory has a time that goes by its length. That of a recording has none: whoever watches pauses, and
//!   what they hold is counted with the downloads.
//! - What was answered without being counted, for want of room, is not in use: its connection makes room for others at once.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::SizeHint;
use reelroom_limits::http::ANSWER_BYTES_PER_SECOND;
use tokio::sync::OwnedSemaphorePermit;

use crate::front::connections::{Connections, Id, Phase};
use crate::front::head::Head;
use crate::front::traffic::Slot;

/// For how long whoever is answered is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// A time that goes by the length of the answer.
    Steady,
    /// As long as they take anything: players pause.
    TheirOwn,
    /// Until somebody else needs the connection: there was no room to count this answer.
    Spare,
}

/// What an answer holds on its way, and how long that may take.
pub(crate) struct Sending {
    slot: Option<Slot>,
    pace: Pace,
}

impl Sending {
    /// One that holds `slot`, where there is a bound to count it by.
    pub(crate) fn new(slot: Option<Slot>, pace: Pace) -> Self {
        Self { slot, pace }
    }

    /// One that there was no room to count.
    pub(crate) fn spare() -> Self {
        Self { slot: None, pace: Pace::Spare }
    }

    pub(super) fn into_parts(self) -> (Option<Slot>, Pace) {
        (self.slot, self.pace)
    }

    /// What its connection does while it is taken.
    fn phase(&self, bytes: u64, within: Duration) -> Phase {
        match self.pace {
            Pace::Steady => {
                Phase::Sending(Some(within + Duration::from_secs(bytes / ANSWER_BYTES_PER_SECOND)))
            }
            Pace::TheirOwn => Phase::Sending(None),
            Pace::Spare => Phase::Idle,
        }
    }
}

/// What a connection does, by what is heard, answered and taken. Each step gives the phase that is new. No clock, no socket.
struct Course {
    phase: Phase,
    /// While an answer is being taken, something of the next request was heard.
    is_next_heard: bool,
    /// Several requests go on at once: they tell what the connection does, and what is heard and taken says nothing of that.
    is_shared: bool,
    /// Of answers of which the socket has not taken everything.
    unsent: Vec<Slot>,
}

impl Course {
    fn new() -> Self {
        Self { phase: Phase::Silent, is_next_heard: false, is_shared: false, unsent: Vec::new() }
    }

    fn go(&mut self, phase: Phase) -> Option<Phase> {
        if self.phase == Phase::Upgraded {
            return None;
        }
        self.is_next_heard = false;
        self.phase = phase;
        Some(phase)
    }

    /// Bytes came.
    fn heard(&mut self) -> Option<Phase> {
        match self.phase {
            _ if self.is_shared => None,
            Phase::Silent | Phase::Idle => self.go(Phase::Head),
            // Whoever takes an answer slowly gets no more time by asking for the next one.
            Phase::Sending(_) => {
                self.is_next_heard = true;
                None
            }
            Phase::Head | Phase::Body | Phase::Busy | Phase::Upgraded => None,
        }
    }

    /// The last of an answer is in hyper's buffer; it may not be in the socket.
    fn answered(&mut self, slot: Option<Slot>, phase: Phase) -> Option<Phase> {
        self.unsent.extend(slot);
        self.go(phase)
    }

    /// The socket has taken everything; what was held for that is given back.
    fn sent(&mut self) -> (Option<Phase>, Vec<Slot>) {
        let next = if self.is_next_heard { Phase::Head } else { Phase::Idle };
        let is_taken = matches!(self.phase, Phase::Sending(_)) && !self.is_shared;
        let phase = if is_taken { self.go(next) } else { None };
        (phase, std::mem::take(&mut self.unsent))
    }
}

/// Where the seat of a connection stands in the table of all.
pub(super) struct Place {
    pub(super) table: Arc<Mutex<Connections>>,
    pub(super) id: Id,
}

impl Place {
    fn note(&self, phase: Option<Phase>) {
        if let Some(phase) = phase {
            self.table().set(self.id, phase, Instant::now());
        }
    }

    fn table(&self) -> MutexGuard<'_, Connections> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is told as a request goes on.
pub(crate) trait Goes: Send + Sync {
    /// All of it has come.
    fn is_whole(&self);

    /// Its connection becomes a WebSocket, which holds `socket` as long as it is open.
    fn upgrade(&self, socket: Option<Slot>);
}

/// The place of a connection, which it has as long as its socket is open.
pub(crate) struct Seat {
    place: Place,
    course: Mutex<Course>,
    /// How long an answer of no bytes may take.
    answer_within: Duration,
    pub(super) head: Head,
    /// It is a WebSocket, and counts as one.
    upgraded: OnceLock<Option<Slot>>,
    _socket: OwnedSemaphorePermit,
}

impl Seat {
    pub(super) fn new(
        place: Place,
        head: Head,
        answer_within: Duration,
        socket: OwnedSemaphorePermit,
    ) -> Arc<Self> {
        let (course, upgraded) = (Mutex::new(Course::new()), OnceLock::new());
        Arc::new(Self { place, course, answer_within, head, upgraded, _socket: socket })
    }

    pub(super) fn set(&self, phase: Phase) {
        let phase = self.course().go(phase);
        self.place.note(phase);
    }

    /// From now on several requests go on at once, which tell what it does, and count their own heads.
    pub(super) fn share(&self) {
        self.head.pause();
        self.course().is_shared = true;
    }

    /// How long an answer of so many bytes may take to be read.
    pub(super) fn answer_within(&self, bytes: u64) -> Duration {
        self.answer_within + Duration::from_secs(bytes / ANSWER_BYTES_PER_SECOND)
    }

    /// Bytes came.
    pub(super) fn heard(&self) {
        let phase = self.course().heard();
        self.place.note(phase);
    }

    /// The socket has taken all that was written.
    pub(super) fn sent(&self) {
        let (phase, slots) = self.course().sent();
        self.place.note(phase);
        drop(slots);
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Goes for Seat {
    fn is_whole(&self) {
        self.set(Phase::Busy);
    }

    fn upgrade(&self, socket: Option<Slot>) {
        self.head.pause();
        // No connection becomes one twice.
        let _ = self.upgraded.set(socket);
        self.set(Phase::Upgraded);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.place.table().leave(self.place.id);
    }
}

/// An answer whose body hyper has: once it lets that go, the answer waits for its reader alone, and then the connection for the next
/// request.
pub(super) struct Answering {
    seat: Arc<Seat>,
    slot: Option<Slot>,
    after: Phase,
}

impl Answering {
    /// Of an answer of that length.
    pub(super) fn new(seat: Arc<Seat>, sending: Sending, length: &SizeHint) -> Self {
        let after = sending.phase(length.exact().unwrap_or(length.lower()), seat.answer_within);
        Self { seat, slot: sending.slot, after }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.seat.head.forget();
        let phase = self.seat.course().answered(self.slot.take(), self.after);
        self.seat.place.note(phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::connections::Client;
    use crate::front::traffic::Traffic;

    const WITHIN: Duration = Duration::from_secs(7);

    #[test]
    fn an_answer_counts_until_the_socket_has_taken_it_and_asking_on_gives_no_time() {
        let traffic = Traffic::new(1, 1);
        let enter = || traffic.enter(Client::ThisMachine);
        let mut course = Course::new();
        let sending = Sending::new(Some(enter().unwrap()), Pace::Steady).phase(0, WITHIN);
        assert_eq!(course.sent().0, None, "nothing was answered");
        assert_eq!((course.heard(), course.heard()), (Some(Phase::Head), None));
        assert_eq!(course.go(Phase::Busy), Some(Phase::Busy));
        assert_eq!(course.sent().0, None, "what was flushed is no answer's end");
        assert_eq!(course.answered(enter().ok(), sending), Some(sending));
        assert!(enter().is_err(), "its body is gone, and its bytes are not");
        assert_eq!(course.heard(), None);
        let (phase, slots) = course.sent();
        assert_eq!((phase, slots.len()), (Some(Phase::Head), 1));
        drop(slots);
        assert!(enter().is_ok());
        course.go(Phase::Busy);
        course.answered(None, sending);
        assert_eq!(course.sent().0, Some(Phase::Idle));
        let mut shared = Course { is_shared: true, ..Course::new() };
        assert_eq!((shared.heard(), shared.go(sending), shared.sent().0), (None, Some(sending), None));
        course.go(Phase::Upgraded);
        assert_eq!((course.answered(None, sending), course.heard(), course.sent().0), (None, None, None));
    }

    #[test]
    fn an_answer_has_its_time_a_recording_as_much_as_it_likes_and_what_is_not_counted_waits() {
        let phase = |pace| Sending::new(None, pace).phase(3 * ANSWER_BYTES_PER_SECOND, WITHIN);
        assert_eq!(phase(Pace::Steady), Phase::Sending(Some(WITHIN + Duration::from_secs(3))));
        assert_eq!(phase(Pace::TheirOwn), Phase::Sending(None));
        assert_eq!(Sending::spare().phase(1, WITHIN), Phase::Idle);
    }
}
