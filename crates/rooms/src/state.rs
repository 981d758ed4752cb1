//! What is known of all rooms, in memory: as the truth has it, and what ended since.
//!
//! # Invariants
//!
//! - Nothing is here that gives somebody a right and is not in the truth.
//! - What ended is so here before it is so in the truth, and stays noted until it is.

use std::collections::BTreeMap;

use reelroom_limits::rooms::{ROOMS_CLOSED, ROOMS_KEPT};
use reelroom_protocol::ids::RoomName;
use reelroom_truth::{Ended, Truth};

use crate::error::RoomsError;
use crate::link::KeptLink;
use crate::room::KeptRoom;

/// What is known of all rooms.
pub(crate) struct State {
    pub(crate) rooms: BTreeMap<RoomName, KeptRoom>,
    /// Those that are closed for good, each with Unix milliseconds.
    pub(crate) closed: BTreeMap<RoomName, i64>,
    /// What ended, and may still stand in the truth.
    pub(crate) ended: Ended,
}

impl State {
    /// What the truth knows.
    pub(crate) fn read(truth: &Truth) -> Result<Self, RoomsError> {
        let rooms = truth.rooms()?.into_iter().map(KeptRoom::read);
        let mut rooms: BTreeMap<RoomName, KeptRoom> = rooms.map(|room| (room.name.clone(), room)).collect();
        for row in truth.room_links()? {
            let name = RoomName::from(row.room.as_str());
            if let (Some(room), Some(link)) = (rooms.get_mut(&name), KeptLink::read(row)) {
                room.links.push(link);
            }
        }
        let closed = truth.closed_rooms()?.into_iter().map(|(name, at_ms)| (name.into(), at_ms)).collect();
        Ok(Self { rooms, closed, ended: Ended::default() })
    }

    /// Whether a room of this name can be made.
    pub(crate) fn has_place_for(&self, name: &RoomName) -> Result<(), RoomsError> {
        if self.rooms.contains_key(name) {
            return Err(RoomsError::Taken);
        }
        if self.closed.contains_key(name) {
            return Err(RoomsError::Closed);
        }
        if self.rooms.len() >= ROOMS_KEPT || self.closed.len() >= ROOMS_CLOSED {
            return Err(RoomsError::Full);
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, name: &RoomName, now_ms: i64) {
        let at_ms = *self.closed.entry(name.clone()).or_insert(now_ms);
        if !self.ended.rooms.iter().any(|(closed, _)| closed == name.as_str()) {
            self.ended.rooms.push((name.as_str().to_owned(), at_ms));
        }
    }

    /// This has been written down.
    pub(crate) fn written(&mut self, ended: &Ended) {
        self.ended.links.retain(|id| !ended.links.contains(id));
        self.ended.rooms.retain(|(name, _)| !ended.rooms.iter().any(|(written, _)| written == name));
    }
}
