//! Who a participant is over several sessions.
//!
//! ```text
//!   join ─► the same person's older session?   ─► takes its place; not with a token that session came with, or an older one, where counted
//!       ─► the identity is a recorder's?       ─► refused
//!       ─► the identity is somebody else's?    ─► with a ticket: an identity beside it; without: takes its place, as with LiveKit
//!       ─► the token is older than a change?   ─► the change holds
//! ```
//!
//! # Invariants
//!
//! - A token with a ticket throws nobody out but its own bearer's older session. One that is counted does not even do that once it was used:
//!   what goes on is continued by the fresh tokens that its bearer alone is given.
//! - What the server changed of a participant holds, as long as the room is open, against every token that was issued before.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::Rng as _;
use reelroom_limits::signalling::{NAME_BYTES, REMEMBERED_CHANGES};
use reelroom_protocol::ids::{ParticipantIdentity, ParticipantSid, Ticket};
use reelroom_protocol::proto::{TrackUnpublishedResponse, participant_info, signal_response};
use reelroom_protocol::token::VideoGrants;
use serde::{Deserialize, Serialize};

use crate::output::Output;
use crate::participant::{Joining, Participant, Refusal};
use crate::room::{Now, Room};
use crate::track::source_of;

/// How often a connected client gets a token that is valid from now on, as with LiveKit.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(5 * 60);
const SUFFIX_CHARS: usize = 4;
/// What can be told apart when it is read aloud.
const SUFFIX_ALPHABET: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";

/// What stays the same when somebody comes again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Person {
    /// The bearer of a token of this server's.
    Ticket(Ticket),
    /// Whoever an app says it is.
    Identity(ParticipantIdentity),
}

impl Person {
    pub(crate) fn of(joining: &Joining) -> Self {
        if joining.ticket.as_str().is_empty() {
            Self::Identity(joining.identity.clone())
        } else {
            Self::Ticket(joining.ticket.clone())
        }
    }
}

/// What a token of a participant has to say, for the shell to sign.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// As it is now: another one than the first token's where that was taken.
    pub identity: ParticipantIdentity,
    /// Display name.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Free key-value pairs.
    pub attributes: BTreeMap<String, String>,
    /// What it may do now.
    pub grants: VideoGrants,
    /// Standard, agent, …
    pub kind: participant_info::Kind,
    /// The first token's.
    pub ticket: Ticket,
    /// One more than that of the token before; 0 where tokens are not counted.
    pub serial: u32,
    /// `KindDetail`s of the first token.
    pub kind_details: Vec<i32>,
}

/// How the server left a participant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) unix_s: u64,
    /// Absent where it was too long to be kept over a restart: then it is what their token says.
    pub(crate) described: Option<Described>,
    pub(crate) grants: VideoGrants,
}

/// How somebody is described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Described {
    name: String,
    metadata: String,
    attributes: BTreeMap<String, String>,
}

impl Described {
    fn of(participant: &Participant) -> Self {
        Self {
            name: participant.name.clone(),
            metadata: participant.metadata.clone(),
            attributes: participant.attributes.clone(),
        }
    }
}

/// How the server left the participants that it changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    by_person: BTreeMap<Person, Change>,
}

impl Changes {
    fn apply(&self, person: &Person, joining: &mut Joining) {
        let Some(change) = self.by_person.get(person).filter(|change| joining.issued_unix_s <= change.unix_s)
        else {
            return;
        };
        if let Some(described) = &change.described {
            joining.name.clone_from(&described.name);
            joining.metadata.clone_from(&described.metadata);
            joining.attributes.clone_from(&described.attributes);
        }
        joining.grants = change.grants.clone();
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Person, &Change)> {
        self.by_person.iter()
    }

    pub(crate) fn remember(&mut self, person: Person, change: Change) {
        self.by_person.insert(person, change);
        if self.by_person.len() > REMEMBERED_CHANGES {
            let oldest = self.by_person.iter().min_by_key(|(_, change)| change.unix_s);
            let oldest = oldest.map(|(person, _)| person.clone());
            oldest.and_then(|oldest| self.by_person.remove(&oldest));
        }
    }
}

impl Room {
    /// Who it is that joins, and whose place they take.
    ///
    /// # Errors
    /// [`Refusal::Reserved`], [`Refusal::Used`].
    pub(crate) fn recognise(&mut self, joining: &mut Joining) -> Result<Option<ParticipantSid>, Refusal> {
        let person = Person::of(joining);
        self.changes.apply(&person, joining);
        if let Some(older) = self.participants.values().find(|other| other.person == person) {
            if older.is_server || (older.is_recorder() && !joining.is_recorder()) {
                return Err(Refusal::Reserved);
            }
            if joining.serial > 0 && joining.serial <= older.serial {
                return Err(Refusal::Used);
            }
            joining.identity = older.identity.clone();
            return Ok(Some(older.sid.clone()));
        }
        let Some(holder) = self.participants.values().find(|other| other.identity == joining.identity) else {
            return Ok(None);
        };
        match person {
            Person::Identity(_) => Ok(Some(holder.sid.clone())),
            Person::Ticket(_) => {
                joining.identity = self.identity_beside(joining.identity.as_str());
                Ok(None)
            }
        }
    }

    /// Within the bounds of an identity: it comes back with the next token.
    fn identity_beside(&mut self, taken: &str) -> ParticipantIdentity {
        let mut length = taken.len().min(NAME_BYTES - SUFFIX_CHARS - 1);
        while !taken.is_char_boundary(length) {
            length -= 1;
        }
        let taken = &taken[..length];
        loop {
            let mut identity = format!("{taken}-");
            for _ in 0..SUFFIX_CHARS {
                identity.push(char::from(SUFFIX_ALPHABET[self.ids.random_range(0..SUFFIX_ALPHABET.len())]));
            }
            if self.sid_of(&identity).is_none() {
                return identity.into();
            }
        }
    }

    /// The server changed something of a participant: it outlives the session.
    pub(crate) fn remember(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get(sid) else { return };
        let change = Change {
            unix_s: (now.unix_ms / 1000).unsigned_abs(),
            described: Some(Described::of(participant)),
            grants: participant.grants.clone(),
        };
        self.changes.remember(participant.person.clone(), change);
        self.refresh_token(sid, now);
    }

    /// The participant changed something of itself: where the server did before, this is how it is left.
    pub(crate) fn remember_own(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get(sid) else { return };
        if let Some(change) = self.changes.by_person.get_mut(&participant.person) {
            change.described = Some(Described::of(participant));
        }
        self.refresh_token(sid, now);
    }

    /// Gives fresh tokens to those who have had theirs for long, or have used it up.
    pub fn refresh_tokens(&mut self, now: Now) {
        let due: Vec<_> =
            self.participants.values().filter(|p| p.refresh_at <= now.at).map(|p| p.sid.clone()).collect();
        for sid in due {
            self.refresh_token(&sid, now);
        }
    }

    fn refresh_token(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.refresh_at = now.at + REFRESH_EVERY;
        if participant.is_server {
            return;
        }
        if participant.serial > 0 {
            participant.given_serial = participant.given_serial.saturating_add(1);
        }
        let bearer = Bearer {
            identity: participant.identity.clone(),
            name: participant.name.clone(),
            metadata: participant.metadata.clone(),
            attributes: participant.attributes.clone(),
            grants: participant.grants.clone(),
            kind: participant.kind,
            ticket: match &participant.person {
                Person::Ticket(ticket) => ticket.clone(),
                Person::Identity(_) => Ticket::default(),
            },
            serial: participant.given_serial,
            kind_details: participant.kind_details.clone(),
        };
        self.outputs.push_back(Output::RefreshToken { to: sid.clone(), bearer: Box::new(bearer) });
    }

    /// Takes away what a participant announced or publishes and may not any more.
    pub(crate) fn enforce_sources(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let grants = participant.grants.clone();
        let mut gone = Vec::new();
        participant.pending.retain(|pending| {
            let stays = grants.may_publish_source(source_of(&pending.info));
            if !stays {
                gone.push(pending.info.sid.as_str().into());
            }
            stays
        });
        for track in participant.published.clone() {
            let source = self.tracks.get(&track).map(|track| source_of(&track.info));
            if source.is_some_and(|source| !grants.may_publish_source(source)) {
                self.unpublish(&track);
                gone.push(track);
            }
        }
        for track in gone {
            let unpublished = TrackUnpublishedResponse { track_sid: track.to_string() };
            self.signal(sid, signal_response::Message::TrackUnpublished(unpublished));
        }
    }
}

#[cfg(test)]
mod tests;
