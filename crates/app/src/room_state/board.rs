//! What is to be told in which room, and when. Pure.
//!
//! # Invariants
//!
//! - Of a room what holds by then is kept, and not all that it went through: however often something changes, one thing waits.
//! - A recording never goes back: what comes late, or twice, changes nothing.
//! - What waits and what is remembered is bounded, for each room and for all.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use reelroom_limits::events::{
    DELETIONS_TOLD, RECORDINGS_OF_A_ROOM_TOLD, ROOM_STATE_FIRST_PAUSE, ROOM_STATE_KEPT,
    ROOM_STATE_LONGEST_PAUSE, ROOM_STATE_LOOKED, ROOM_STATE_PROGRESS, ROOMS_TOLD,
};
use reelroom_protocol::ids::RoomName;

use super::recorded::Recorded;

/// A room that is expected to open is looked for this often.
const EXPECTED_EVERY: Duration = Duration::from_millis(500);

/// A recording that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deleted {
    /// A later one has a higher number.
    pub(super) number: u64,
    /// The egress id, or the name where none was known.
    pub(super) id: String,
    pub(super) name: String,
}

/// What a room is to be told.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) room: RoomName,
    /// In the order in which they got where they are.
    pub(super) recordings: Vec<Recorded>,
    pub(super) deletions: Vec<Deleted>,
    /// Of the room when this was taken.
    version: u64,
}

/// How a room was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Those in it know everything now.
    Open,
    /// There is nobody to tell.
    Closed,
}

/// A room of which something is known.
struct Place {
    recordings: Vec<Recorded>,
    /// Of recordings that began in an earlier session: in which one they go on.
    sessions: HashMap<String, String>,
    deletions: VecDeque<Deleted>,
    /// When it is told, or looked at.
    due_at: Option<Instant>,
    told_at: Option<Instant>,
    /// Tries in a row by which it could not be told.
    failures: u32,
    /// It is about to be opened, until then.
    expected_until: Option<Instant>,
    changed_at: Instant,
    /// Raised by each change.
    version: u64,
}

impl Place {
    fn new(now: Instant) -> Self {
        Self {
            recordings: Vec::new(),
            sessions: HashMap::new(),
            deletions: VecDeque::new(),
            due_at: None,
            told_at: None,
            failures: 0,
            expected_until: None,
            changed_at: now,
            version: 0,
        }
    }

    /// Something is different, which is told at `at` at the latest.
    fn change(&mut self, at: Instant, now: Instant) {
        self.version += 1;
        self.changed_at = now;
        self.look_at(at);
    }

    fn look_at(&mut self, at: Instant) {
        // One that cannot be told is tried when its pause is over, whatever changes meanwhile.
        if self.failures == 0 {
            self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
        }
    }

    fn is_live(&self) -> bool {
        self.recordings.iter().any(|recorded| !recorded.stage.is_over())
    }

    fn is_empty(&self) -> bool {
        self.recordings.is_empty() && self.deletions.is_empty()
    }
}

/// All rooms of which something is known.
#[derive(Default)]
pub(super) struct Board {
    places: HashMap<RoomName, Place>,
    deletions: u64,
    /// What the server records is known: what was over before is no news.
    is_caught_up: bool,
}

impl Board {
    /// From now on everything that is learned is news.
    pub(super) fn catch_up(&mut self) {
        self.is_caught_up = true;
    }

    pub(super) fn is_caught_up(&self) -> bool {
        self.is_caught_up
    }

    /// A recording that began in an earlier session of its room goes on in this one.
    pub(super) fn goes_on(&mut self, room: &RoomName, id: &str, room_id: &str) {
        let Some(place) = self.places.get_mut(room) else { return };
        if let Some(known) = place.recordings.iter_mut().find(|one| one.id == id) {
            room_id.clone_into(&mut known.room_id);
            place.sessions.insert(id.to_owned(), room_id.to_owned());
        }
        let recordings = &place.recordings;
        place.sessions.retain(|id, _| recordings.iter().any(|one| one.id == *id));
    }

    /// The server tells of a recording.
    pub(super) fn learn(&mut self, room: RoomName, mut recorded: Recorded, now: Instant) {
        let is_news = self.is_caught_up || !recorded.stage.is_over();
        let place = self.place(room, now);
        if let Some(session) = place.sessions.get(&recorded.id) {
            recorded.room_id.clone_from(session);
        }
        let known = place.recordings.iter().position(|one| one.id == recorded.id);
        let mut at = now;
        if let Some(known) = known {
            let before = &place.recordings[known];
            let is_late = recorded.stage < before.stage && !recorded.stage.is_over();
            if *before == recorded || is_late {
                return;
            }
            let is_further = Recorded { percent: recorded.percent, ..before.clone() } == recorded;
            if is_further {
                at = place.told_at.map_or(now, |told| now.max(told + ROOM_STATE_PROGRESS));
                place.recordings[known] = recorded;
            } else {
                place.recordings.remove(known);
                place.recordings.push(recorded);
            }
        } else {
            if place.recordings.len() >= RECORDINGS_OF_A_ROOM_TOLD {
                let over = place.recordings.iter().position(|one| one.stage.is_over());
                place.recordings.remove(over.unwrap_or_default());
            }
            place.recordings.push(recorded);
            if !is_news {
                return;
            }
        }
        place.change(at, now);
    }

    /// The server does not know a recording any more.
    pub(super) fn forget(&mut self, id: &str, now: Instant) {
        for place in self.places.values_mut() {
            if let Some(known) = place.recordings.iter().position(|one| one.id == id) {
                place.recordings.remove(known);
                place.change(now, now);
            }
        }
    }

    /// A recording of a room was deleted.
    pub(super) fn delete(&mut self, room: RoomName, id: String, name: String, now: Instant) {
        self.deletions += 1;
        let number = self.deletions;
        let place = self.place(room, now);
        // One that goes on has another name now; one of which nothing came was in no list, and how it ended is still to be told.
        place.recordings.retain(|one| one.id != id || !one.stage.is_listed_for_good());
        if place.deletions.len() >= DELETIONS_TOLD {
            place.deletions.pop_front();
        }
        place.deletions.push_back(Deleted { number, id, name });
        place.change(now, now);
    }

    /// A room is to be looked at.
    pub(super) fn look(&mut self, room: RoomName, now: Instant) {
        self.place(room, now).change(now, now);
    }

    /// A room is about to be opened, and looked for until then.
    pub(super) fn expect(&mut self, room: RoomName, until: Instant, now: Instant) {
        let place = self.place(room, now);
        place.expected_until = Some(until);
        place.change(now, now);
    }

    /// A room has opened. One of which nothing is known has nothing to be told.
    pub(super) fn opened(&mut self, room: &str, now: Instant) {
        if let Some(place) = self.places.get_mut(room) {
            // Whatever stood in the way of telling the last session says nothing of this one.
            place.failures = 0;
            place.change(now, now);
        }
    }

    /// The ids of recordings that go on.
    pub(super) fn live(&self) -> Vec<String> {
        let all = self.places.values().flat_map(|place| &place.recordings);
        all.filter(|one| !one.stage.is_over()).map(|one| one.id.clone()).collect()
    }

    /// When something is to be told next.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.places.values().filter_map(|place| place.due_at).min()
    }

    /// What is to be told by now, `most` rooms at most, those that wait longest first.
    pub(super) fn due(&mut self, now: Instant, most: usize) -> Vec<Due> {
        self.places.retain(|_, place| {
            let is_past = now.saturating_duration_since(place.changed_at) >= ROOM_STATE_KEPT;
            place.due_at.is_some() || place.is_live() || !is_past
        });
        let waits = |place: &Place| place.due_at.filter(|at| *at <= now);
        let mut due: Vec<_> =
            self.places.iter().filter_map(|(room, place)| Some((waits(place)?, room, place))).collect();
        due.sort_by(|(at, room, _), (other_at, other, _)| at.cmp(other_at).then_with(|| room.cmp(other)));
        due.truncate(most);
        let taken = due.into_iter().map(|(_, room, place)| Due {
            room: room.clone(),
            recordings: place.recordings.clone(),
            deletions: place.deletions.iter().cloned().collect(),
            version: place.version,
        });
        taken.collect()
    }

    /// A room was told what was due, or has nobody in it. What has changed since then is still to be told.
    pub(super) fn told(&mut self, due: &Due, found: Found, now: Instant) {
        let Some(place) = self.places.get_mut(&due.room) else { return };
        place.failures = 0;
        if let Some(last) = due.deletions.last() {
            place.deletions.retain(|gone| gone.number > last.number);
        }
        let expected_until = place.expected_until.filter(|until| found == Found::Closed && now < *until);
        place.expected_until = expected_until;
        if found == Found::Open {
            place.told_at = Some(now);
        }
        if place.version != due.version {
            return;
        }
        place.due_at = match found {
            Found::Open if place.is_live() => Some(now + ROOM_STATE_LOOKED),
            Found::Closed if expected_until.is_some() => Some(now + EXPECTED_EVERY),
            Found::Open | Found::Closed => None,
        };
        if place.due_at.is_none() && place.is_empty() {
            self.places.remove(&due.room);
        }
    }

    /// A room could not be told: it is tried again after a pause, longer each time, and others before. Gives how often in a row that was so.
    pub(super) fn postpone(&mut self, due: &Due, now: Instant) -> u32 {
        let Some(place) = self.places.get_mut(&due.room) else { return 0 };
        let pause =
            (ROOM_STATE_FIRST_PAUSE * 2_u32.pow(place.failures.min(10))).min(ROOM_STATE_LONGEST_PAUSE);
        place.due_at = Some(now + pause);
        place.failures = place.failures.saturating_add(1);
        place.failures
    }

    /// What is known of a room. Where there are too many, one that was told gives its place, or else one of which nothing is known, or else
    /// the one that changed first: whoever asks for tokens of many rooms takes no other's news away.
    fn place(&mut self, room: RoomName, now: Instant) -> &mut Place {
        if !self.places.contains_key(&room) && self.places.len() >= ROOMS_TOLD {
            let worth = |place: &Place| {
                let is_due = place.due_at.is_some();
                (place.is_live(), is_due && !place.is_empty(), is_due, place.changed_at)
            };
            let least = self.places.iter().min_by_key(|(_, place)| worth(place));
            if let Some(least) = least.map(|(room, _)| room.clone()) {
                self.places.remove(&least);
            }
        }
        self.places.entry(room).or_insert_with(|| Place::new(now))
    }
}

#[cfg(test)]
mod tests;
