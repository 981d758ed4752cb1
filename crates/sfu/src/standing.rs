//! What whoever came with a ticket may do now, by whoever gave it out.
//!
//! ```text
//!   a link is revoked, a setting changes ─► recheck ─► each ticket's standing ─► stays, with less, or is removed
//! ```
//!
//! # Invariants
//!
//! - To look again gives nobody more than they have: a right that a moderator took does not come back by it.
//! - Who has no ticket is an app's own participant, or this server itself: that app decides.

use reelroom_protocol::ids::{ParticipantSid, Ticket};
use reelroom_protocol::proto::{DisconnectReason, UpdateParticipantRequest};
use reelroom_protocol::token::VideoGrants;

use crate::person::Person;
use crate::room::{Now, Room};

/// What whoever came with a ticket may do now.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// What the token says.
    AsSaid,
    /// No more than this.
    AtMost(Box<VideoGrants>),
    /// No more than this, for whoever is in: a session that is theirs can be taken up again, and nobody comes anew.
    StaysAtMost(Box<VideoGrants>),
    /// Whoever is in may stay, and does not come again.
    NotAgain,
    /// Nothing.
    Over,
}

impl Room {
    /// Looks again at everybody who came with a ticket: who may do nothing any more is removed, and what somebody may not do any more is taken
    /// from them, with what they publish by it. Says how many were removed.
    pub fn recheck(&mut self, standing: impl Fn(&Ticket) -> Standing, now: Now) -> usize {
        let came: Vec<(ParticipantSid, Ticket)> = self
            .participants
            .values()
            .filter(|participant| !participant.is_server)
            .filter_map(|participant| match &participant.person {
                Person::Ticket(ticket) => Some((participant.sid.clone(), ticket.clone())),
                Person::Identity(_) => None,
            })
            .collect();
        let mut removed = 0;
        for (sid, ticket) in came {
            match standing(&ticket) {
                Standing::AsSaid | Standing::NotAgain => {}
                Standing::AtMost(grants) | Standing::StaysAtMost(grants) => self.narrow(&sid, &grants, now),
                Standing::Over => {
                    self.leave(&sid, DisconnectReason::ParticipantRemoved, now);
                    removed += 1;
                }
            }
        }
        removed
    }

    /// With which ticket a participant came; an empty one where that was none.
    pub fn ticket_of(&self, sid: &ParticipantSid) -> Ticket {
        match self.participants.get(sid).map(|participant| &participant.person) {
            Some(Person::Ticket(ticket)) => ticket.clone(),
            Some(Person::Identity(_)) | None => Ticket::default(),
        }
    }

    /// Whether whoever came with a ticket is in the room, or not yet given up since their connection was lost.
    pub fn has_bearer(&self, ticket: &Ticket) -> bool {
        let is_theirs = |person: &Person| matches!(person, Person::Ticket(other) if other == ticket);
        self.participants.values().any(|participant| is_theirs(&participant.person))
    }

    /// Takes from somebody what goes beyond `to`, with what they publish by it.
    pub fn narrow(&mut self, sid: &ParticipantSid, to: &VideoGrants, now: Now) {
        let Some(participant) = self.participants.get(sid) else { return };
        let narrowed = participant.grants.narrowed_to(to).permission();
        if narrowed == participant.grants.permission() {
            return;
        }
        let request = UpdateParticipantRequest { permission: Some(narrowed), ..Default::default() };
        // A participant is refused what its description is too long for, and this has none.
        let _ = self.update_participant(sid, &request, now);
    }
}

#[cfg(test)]
mod tests;
