//! What waits for one receiver, and what of it is tried when. Pure: the time comes in.
//!
//! ```text
//!   subject (an egress) ─► its lane: a ─► b ─► c      only the first of a lane is tried, until it is over
//!   subject             ─► its lane: d                lanes do not wait for each other
//! ```
//!
//! # Invariants
//!
//! - Of a subject nothing is tried before what was told of it earlier is over.
//! - What waits is bounded in number and in bytes. What makes room is what says least: an update before anything else, the oldest first.
//! - Whoever answers again is told everything that waits for them at once, and not when each of it is due.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use reelroom_limits::events::{
    WEBHOOK_FIRST_PAUSE, WEBHOOK_LASTS, WEBHOOK_LONGEST_PAUSE, WEBHOOKS_KEPT, WEBHOOKS_KEPT_BYTES,
};
use reelroom_truth::{DeliveryId, WaitingDelivery};

/// Of which others are told more later.
const UPDATE: &str = "egress_updated";

/// Whoever has refused something so often does not take it: the pauses before that add up to two minutes.
const REFUSED_FOR_GOOD: u32 = 8;

/// A delivery that waits.
#[derive(Clone, Debug)]
struct Entry {
    id: DeliveryId,
    bytes: u64,
    is_update: bool,
    made_ms: i64,
    tries: u32,
    next_try_ms: i64,
    /// It is being tried.
    is_out: bool,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { entries: WEBHOOKS_KEPT, bytes: WEBHOOKS_KEPT_BYTES as u64 }
    }
}

/// When a delivery is tried next, and how often it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) tries: u32,
    pub(super) next_try_ms: i64,
}

/// What waits for a receiver.
#[derive(Default)]
pub(super) struct Schedule {
    room: Room,
    lanes: HashMap<String, VecDeque<Entry>>,
    count: usize,
    bytes: u64,
}

impl Schedule {
    pub(super) fn new(room: Room) -> Self {
        Self { room, ..Self::default() }
    }

    /// One more waits; gives those that make room for it, which wait no longer.
    pub(super) fn add(&mut self, waiting: &WaitingDelivery) -> Vec<DeliveryId> {
        let entry = Entry {
            id: waiting.id,
            bytes: waiting.bytes,
            is_update: waiting.event == UPDATE,
            made_ms: waiting.made_ms,
            tries: waiting.tries,
            next_try_ms: waiting.next_try_ms,
            is_out: false,
        };
        self.count += 1;
        self.bytes += entry.bytes;
        self.lanes.entry(waiting.subject.clone()).or_default().push_back(entry);
        let mut gone = Vec::new();
        while self.count > self.room.entries || self.bytes > self.room.bytes {
            let Some(least) = self.least() else { break };
            self.remove(least);
            gone.push(least);
        }
        gone
    }

    /// What says least of all that is not being tried.
    fn least(&self) -> Option<DeliveryId> {
        let waiting = self.lanes.values().flatten().filter(|entry| !entry.is_out);
        waiting.min_by_key(|entry| (!entry.is_update, entry.id)).map(|entry| entry.id)
    }

    /// Those to be tried now, `most` at most, the oldest first. They are out until they are over, or failed.
    pub(super) fn take_due(&mut self, now_ms: i64, most: usize) -> Vec<DeliveryId> {
        let mut due: Vec<DeliveryId> = self.due(now_ms).map(|entry| entry.id).collect();
        due.sort_unstable();
        due.truncate(most);
        for first in self.lanes.values_mut().filter_map(VecDeque::front_mut) {
            first.is_out |= due.contains(&first.id);
        }
        due
    }

    fn due(&self, now_ms: i64) -> impl Iterator<Item = &Entry> {
        let first = self.lanes.values().filter_map(VecDeque::front);
        first.filter(move |entry| !entry.is_out && entry.next_try_ms <= now_ms)
    }

    /// When something is due, or too old; `None` while nothing waits that is not out.
    pub(super) fn next_ms(&self) -> Option<i64> {
        let first = self.lanes.values().filter_map(VecDeque::front).filter(|entry| !entry.is_out);
        first.map(|entry| entry.next_try_ms.min(entry.made_ms.saturating_add(ms(WEBHOOK_LASTS)))).min()
    }

    /// Whether something is being tried, or is due.
    pub(super) fn is_busy(&self, now_ms: i64) -> bool {
        self.lanes.values().flatten().any(|entry| entry.is_out) || self.due(now_ms).next().is_some()
    }

    /// It was delivered: how often it was tried. Its receiver takes what comes, so that all else is due.
    pub(super) fn delivered(&mut self, id: DeliveryId, now_ms: i64) -> u32 {
        let tries = self.remove(id).map_or(1, |entry| entry.tries.saturating_add(1));
        for entry in self.lanes.values_mut().filter_map(VecDeque::front_mut) {
            entry.next_try_ms = entry.next_try_ms.min(now_ms);
        }
        tries
    }

    /// It could not be delivered.
    pub(super) fn failed(&mut self, id: DeliveryId, now_ms: i64) -> Option<Again> {
        let entry = self.lanes.values_mut().flatten().find(|entry| entry.id == id)?;
        entry.is_out = false;
        entry.tries = entry.tries.saturating_add(1);
        entry.next_try_ms = now_ms.saturating_add(pause_ms(entry.tries));
        Some(Again { tries: entry.tries, next_try_ms: entry.next_try_ms })
    }

    /// Whether it has failed for good, as its receiver answers and refuses it: others are told more later, and what is behind it is not held up
    /// by what nobody takes.
    pub(super) fn is_refused_for_good(&self, id: DeliveryId) -> bool {
        let entry = self.lanes.values().flatten().find(|entry| entry.id == id);
        entry.is_some_and(|entry| entry.is_update || entry.tries.saturating_add(1) >= REFUSED_FOR_GOOD)
    }

    /// Those that have waited for too long, which wait no longer, and how often each was tried.
    pub(super) fn take_expired(&mut self, now_ms: i64) -> Vec<(DeliveryId, u32)> {
        let is_old =
            |entry: &&Entry| !entry.is_out && now_ms.saturating_sub(entry.made_ms) >= ms(WEBHOOK_LASTS);
        let mut old: Vec<_> =
            self.lanes.values().flatten().filter(is_old).map(|entry| (entry.id, entry.tries)).collect();
        old.sort_unstable_by_key(|(id, _)| *id);
        for (id, _) in &old {
            self.remove(*id);
        }
        old
    }

    /// It waits no longer: how often it was tried.
    pub(super) fn forget(&mut self, id: DeliveryId) -> u32 {
        self.remove(id).map_or(0, |entry| entry.tries)
    }

    /// Nothing waits any longer: what did, and what is being tried.
    pub(super) fn take_all(&mut self) -> Vec<DeliveryId> {
        let mut all: Vec<_> = self.lanes.drain().flat_map(|(_, lane)| lane).map(|entry| entry.id).collect();
        all.sort_unstable();
        (self.count, self.bytes) = (0, 0);
        all
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Since when the oldest waits.
    pub(super) fn since_ms(&self) -> Option<i64> {
        self.lanes.values().flatten().map(|entry| entry.made_ms).min()
    }

    fn remove(&mut self, id: DeliveryId) -> Option<Entry> {
        let is_it = |entry: &Entry| entry.id == id;
        let (subject, at) = self
            .lanes
            .iter()
            .find_map(|(subject, lane)| Some((subject.clone(), lane.iter().position(is_it)?)))?;
        let lane = self.lanes.get_mut(&subject)?;
        let entry = lane.remove(at)?;
        if lane.is_empty() {
            self.lanes.remove(&subject);
        }
        self.count -= 1;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

fn pause_ms(tries: u32) -> i64 {
    let doubled = ms(WEBHOOK_FIRST_PAUSE).saturating_mul(1 << tries.saturating_sub(1).min(20));
    doubled.min(ms(WEBHOOK_LONGEST_PAUSE))
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: i64, subject: &str, event: &str) -> WaitingDelivery {
        WaitingDelivery {
            id: DeliveryId(id),
            receiver: "a".into(),
            subject: subject.into(),
            event: event.into(),
            bytes: 10,
            made_ms: 0,
            tries: 0,
            next_try_ms: 0,
        }
    }

    fn due(schedule: &mut Schedule, now_ms: i64) -> Vec<i64> {
        schedule.take_due(now_ms, 100).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_subject_is_told_in_order_and_no_other_one_waits_for_it() {
        let mut schedule = Schedule::default();
        for (id, subject) in [(1, "a"), (2, "a"), (3, "b")] {
            schedule.add(&waiting(id, subject, "egress_ended"));
        }
        assert_eq!(due(&mut schedule, 0), [1, 3]);
        assert!(due(&mut schedule, 0).is_empty() && schedule.is_busy(0));
        assert_eq!(schedule.failed(DeliveryId(1), 0), Some(Again { tries: 1, next_try_ms: 1000 }));
        assert_eq!(schedule.next_ms(), Some(1000));
        assert!(due(&mut schedule, 999).is_empty());
        // Whoever takes one is told the rest.
        assert_eq!(schedule.delivered(DeliveryId(3), 500), 1);
        assert_eq!(due(&mut schedule, 500), [1]);
        assert_eq!(schedule.delivered(DeliveryId(1), 600), 2);
        assert_eq!(due(&mut schedule, 600), [2]);
        schedule.delivered(DeliveryId(2), 700);
        assert_eq!((schedule.len(), schedule.bytes(), schedule.next_ms()), (0, 0, None));
        assert!(schedule.lanes.is_empty() && !schedule.is_busy(i64::MAX));
    }

    #[test]
    fn nothing_of_what_is_taken_back_waits_or_comes_back() {
        let mut schedule = Schedule::default();
        for (id, subject) in [(1, "a"), (2, "a"), (3, "b")] {
            schedule.add(&waiting(id, subject, "egress_ended"));
        }
        assert_eq!(due(&mut schedule, 0), [1, 3]);
        assert_eq!(schedule.take_all(), [DeliveryId(1), DeliveryId(2), DeliveryId(3)]);
        assert_eq!((schedule.len(), schedule.bytes(), schedule.next_ms()), (0, 0, None));
        assert_eq!(schedule.failed(DeliveryId(1), 0), None, "what was being tried is not tried again");
        assert_eq!(schedule.delivered(DeliveryId(3), 0), 1);
        schedule.add(&waiting(4, "a", "egress_ended"));
        assert_eq!(due(&mut schedule, 0), [4]);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_after_a_day_it_is_over() {
        let mut schedule = Schedule::default();
        schedule.add(&waiting(1, "a", "egress_ended"));
        schedule.add(&waiting(2, "a", "egress_ended"));
        let (mut now_ms, mut tries) = (0, 0);
        while schedule.take_expired(now_ms).is_empty() {
            if due(&mut schedule, now_ms) == [1] {
                tries += 1;
                let again = schedule.failed(DeliveryId(1), now_ms).unwrap();
                assert!((1000..=300_000).contains(&(again.next_try_ms - now_ms)), "{again:?}");
            }
            let next_ms = schedule.next_ms().unwrap();
            assert!(next_ms > now_ms);
            now_ms = next_ms;
        }
        assert_eq!(now_ms, 24 * 60 * 60 * 1000);
        assert!((280..=320).contains(&tries), "{tries} tries in a day");
        assert_eq!(schedule.len(), 0);
    }

    #[test]
    fn what_waits_is_bounded_and_what_says_least_makes_room() {
        let mut schedule = Schedule::new(Room { entries: 3, bytes: 1000 });
        schedule.add(&waiting(1, "a", "egress_started"));
        schedule.add(&waiting(2, "a", "egress_updated"));
        schedule.add(&waiting(3, "b", "egress_ended"));
        assert_eq!(schedule.add(&waiting(4, "c", "egress_ended")), [DeliveryId(2)]);
        assert_eq!(schedule.add(&waiting(5, "c", "egress_ended")), [DeliveryId(1)]);
        assert_eq!(due(&mut schedule, 0), [3, 4]);
        assert_eq!(schedule.add(&waiting(6, "d", "egress_ended")), [DeliveryId(5)], "others are being tried");
        let large = WaitingDelivery { bytes: 2000, ..waiting(7, "e", "egress_ended") };
        assert_eq!(schedule.add(&large), [DeliveryId(6), DeliveryId(7)]);
        assert_eq!((schedule.len(), schedule.bytes()), (2, 20));
    }
}
