//! What a room knows that its participants do not bring along when they come again: for a server that is about to start anew.
//!
//! ```text
//!   a planned stop ─► Room::kept ─► a file ─► the next run ─► Room::go_on, as somebody opens the room again
//! ```
//!
//! # Invariants
//!
//! - What the server changed of somebody, and what somebody answered to being recorded, is theirs alone: the bearer's of a ticket, or an identity's
//!   where there is no ticket.
//! - A room that has asked for consent goes on to ask, however little is kept of it.
//! - What is left out of a room that is too long are texts before rights, and both before that it asks.

use std::time::Duration;

use reelroom_protocol::ids::{RoomName, Ticket};
use serde::{Deserialize, Serialize};

use crate::consent::Answer;
use crate::participant::Participant;
use crate::person::{Change, Person};
use crate::room::{Room, RoomOptions};

/// What is kept of a room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRoom {
    name: RoomName,
    empty_timeout_s: u32,
    departure_timeout_s: u32,
    max_participants: u32,
    /// For how long it stays open with nobody in it.
    lasts_s: u32,
    /// Absent where it was too long.
    metadata: Option<String>,
    asks_consent: bool,
    changes: Vec<(Person, Change)>,
    answers: Vec<(Person, Answer)>,
    /// Tickets of those who were in it.
    bearers: Vec<Ticket>,
    #[serde(default)]
    sync_streams: bool,
}

impl KeptRoom {
    /// Its name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// Tickets of those who were in it, and are expected back.
    pub fn bearers(&self) -> &[Ticket] {
        &self.bearers
    }

    /// Others are expected back as well: who were in it as the former run ended and have not come yet.
    pub fn expects(&mut self, tickets: impl IntoIterator<Item = Ticket>) {
        self.bearers.extend(tickets);
        self.bearers.sort();
        self.bearers.dedup();
    }

    /// For how long it would be open if nobody came.
    pub fn lasts(&self) -> Duration {
        Duration::from_secs(self.lasts_s.into())
    }

    /// The same with what everybody may do and has answered, and without how the room and those in it are described.
    #[must_use]
    pub fn without_texts(&self) -> Self {
        let nameless = |(person, change): &(Person, Change)| {
            let (unix_s, grants) = (change.unix_s, change.grants.clone());
            (person.clone(), Change { unix_s, described: None, grants })
        };
        Self {
            changes: self.changes.iter().map(nameless).collect(),
            answers: self.answers.clone(),
            bearers: self.bearers.clone(),
            ..self.bare()
        }
    }

    /// The same without anybody: as long as its name.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            name: self.name.clone(),
            empty_timeout_s: self.empty_timeout_s,
            departure_timeout_s: self.departure_timeout_s,
            max_participants: self.max_participants,
            lasts_s: self.lasts_s,
            metadata: None,
            asks_consent: self.asks_consent,
            changes: Vec::new(),
            answers: Vec::new(),
            bearers: Vec::new(),
            sync_streams: self.sync_streams,
        }
    }

    /// How it opens again: as it was, whatever whoever comes first asks for.
    pub fn reopens(&self, options: RoomOptions) -> RoomOptions {
        RoomOptions {
            empty_timeout_s: self.empty_timeout_s,
            departure_timeout_s: self.departure_timeout_s,
            max_participants: self.max_participants,
            metadata: self.metadata.clone().unwrap_or(options.metadata),
            sync_streams: self.sync_streams,
            ..options
        }
    }
}

impl Room {
    /// What is to be kept of it.
    pub fn kept(&self) -> KeptRoom {
        let ticket = |participant: &Participant| match &participant.person {
            Person::Ticket(ticket) => Some(ticket.clone()),
            Person::Identity(_) => None,
        };
        let is_new = self.last_left.is_none() && self.participants.is_empty();
        KeptRoom {
            name: self.name(),
            empty_timeout_s: self.base.empty_timeout,
            departure_timeout_s: self.base.departure_timeout,
            max_participants: self.base.max_participants,
            lasts_s: if is_new { self.base.empty_timeout } else { self.base.departure_timeout },
            metadata: Some(self.base.metadata.clone()),
            asks_consent: self.consents.asks,
            changes: self.changes.all().map(|(person, change)| (person.clone(), change.clone())).collect(),
            answers: self.consents.answers().map(|(person, answer)| (person.clone(), answer)).collect(),
            bearers: self.participants.values().filter_map(ticket).collect(),
            sync_streams: self.sync_streams,
        }
    }

    /// Goes on with what was kept. To be called before anybody joins.
    pub fn go_on(&mut self, kept: KeptRoom) {
        self.consents.asks |= kept.asks_consent;
        for (person, change) in kept.changes {
            self.changes.remember(person, change);
        }
        for (person, answer) in kept.answers {
            self.consents.keep(person, answer);
        }
    }

    /// It is being recorded by a recorder that comes in a moment, and is shown so until one has come, or this is taken back.
    pub fn expect_recorder(&mut self, is_expected: bool) {
        if self.recorder_comes != is_expected {
            self.recorder_comes = is_expected;
            self.announce_room();
        }
    }
}

#[cfg(test)]
mod tests;
