//! How many are in a room and how many of them publish, as those who are in it are told.
//!
//! What else is said of a room is told at once, and the counts with it. By themselves they are told in bunches: a room that fills up does not
//! write to everybody for each who comes.

use std::time::{Duration, Instant};

use reelroom_protocol::proto;

use crate::room::{Now, Room};

/// How often counts are told that have changed, as with LiveKit.
const EVERY: Duration = Duration::from_secs(5);

/// What was told last.
#[derive(Debug)]
pub(crate) struct Counts {
    told: (u32, u32),
    next: Instant,
}

impl Counts {
    /// Of a room that nobody is in.
    pub(crate) fn new(now: Now) -> Self {
        Self { told: (0, 0), next: now.at + EVERY }
    }

    /// Everybody was told of the room.
    pub(crate) fn were_told(&mut self, room: &proto::Room) {
        self.told = (room.num_participants, room.num_publishers);
    }
}

impl Room {
    /// Tells everybody how many there are, if that has changed.
    pub(crate) fn tell_counts(&mut self, now: Now) {
        if now.at < self.counts.next {
            return;
        }
        self.counts.next = now.at + EVERY;
        let room = self.info();
        if self.counts.told != (room.num_participants, room.num_publishers) {
            self.announce_room();
        }
    }
}
