//! Whose tokens were revoked when they were removed (`RemoveParticipant` with `revokeTokenTs`).
//!
//! ```text
//!   removed, with 12:00:06 ─► tokens of that person of before 12:00:06 ─► let nobody in
//!                             tokens of then and later               ─► do
//! ```
//!
//! # Invariants
//!
//! - It is of a person: of the bearer of a ticket, whatever they call themselves, and of an identity where there is no ticket.
//! - It outlives the room: who was removed and comes when everybody else has gone opens it by no token of before.

use std::collections::BTreeMap;

use reelroom_limits::signalling::REMOVALS_REMEMBERED;
use reelroom_protocol::ids::{ParticipantIdentity, RoomName, Ticket};
use serde::{Deserialize, Serialize};

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) room: RoomName,
    /// Empty where they came with none.
    pub(crate) ticket: Ticket,
    pub(crate) identity: ParticipantIdentity,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Bearer(Ticket),
    Named(ParticipantIdentity),
}

impl Person {
    fn key(self) -> (RoomName, Who) {
        let is_named = self.ticket.as_str().is_empty();
        (self.room, if is_named { Who::Named(self.identity) } else { Who::Bearer(self.ticket) })
    }

    fn of((room, who): &(RoomName, Who)) -> Self {
        let (ticket, identity) = match who {
            Who::Bearer(ticket) => (ticket.clone(), ParticipantIdentity::default()),
            Who::Named(identity) => (Ticket::default(), identity.clone()),
        };
        Self { room: room.clone(), ticket, identity }
    }
}

/// Those who were removed of late.
#[derive(Default)]
pub(crate) struct Removals {
    /// Before when their tokens are worth nothing: Unix seconds.
    before_unix_s: BTreeMap<(RoomName, Who), u64>,
}

impl Removals {
    /// Tokens of before `before_unix_s` are worth nothing.
    pub(crate) fn note(&mut self, person: Person, before_unix_s: u64) {
        let noted = self.before_unix_s.entry(person.key()).or_default();
        *noted = before_unix_s.max(*noted);
        if self.before_unix_s.len() > REMOVALS_REMEMBERED {
            let oldest = self.before_unix_s.iter().min_by_key(|(_, before_unix_s)| **before_unix_s);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.before_unix_s.remove(&oldest));
        }
    }

    /// All of them, each with before when their tokens are worth nothing: Unix seconds.
    pub(crate) fn all(&self) -> Vec<(Person, u64)> {
        self.before_unix_s.iter().map(|(key, before_unix_s)| (Person::of(key), *before_unix_s)).collect()
    }

    /// Whether a token of that second is worth nothing.
    pub(crate) fn cover(&self, person: Person, issued_unix_s: u64) -> bool {
        self.before_unix_s.get(&person.key()).is_some_and(|before_unix_s| issued_unix_s < *before_unix_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(room: &str, ticket: &str, identity: &str) -> Person {
        Person { room: room.into(), ticket: ticket.into(), identity: identity.into() }
    }

    #[test]
    fn tokens_of_before_a_removal_are_worth_nothing_and_others_are_untouched() {
        let mut removals = Removals::default();
        removals.note(person("r", "TK_1", "Ada"), 6);
        removals.note(person("r", "", "bot"), 6);
        for (ticket, identity) in [("TK_1", "Ada"), ("TK_1", "Ada-2x7k"), ("", "bot")] {
            assert!(removals.cover(person("r", ticket, identity), 5), "{ticket} {identity}");
            assert!(!removals.cover(person("r", ticket, identity), 6), "{ticket} {identity}");
            assert!(!removals.cover(person("other", ticket, identity), 5), "{ticket} {identity}");
        }
        assert!(!removals.cover(person("r", "TK_2", "Ada"), 5), "another person of the name");
        assert!(!removals.cover(person("r", "", "Ada"), 5));
        removals.note(person("r", "TK_1", "Ada"), 1);
        assert!(removals.cover(person("r", "TK_1", "Ada"), 5), "an earlier time takes nothing back");
    }

    #[test]
    fn those_of_a_former_run_are_noted_as_they_were() {
        let (mut former, mut next) = (Removals::default(), Removals::default());
        former.note(person("r", "TK_1", "Ada"), 6);
        former.note(person("r", "", "bot"), 7);
        for (person, before_unix_s) in former.all() {
            next.note(person, before_unix_s);
        }
        assert!(next.cover(person("r", "TK_1", "Eve"), 5) && next.cover(person("r", "", "bot"), 6));
        assert!(!next.cover(person("r", "TK_1", "Ada"), 6) && !next.cover(person("r", "", "Ada"), 5));
    }

    #[test]
    fn the_oldest_is_forgotten_beyond_the_bound() {
        let mut removals = Removals::default();
        for number in 0..=REMOVALS_REMEMBERED as u64 {
            removals.note(person("r", &format!("TK_{number}"), ""), 10 + number);
        }
        assert_eq!(removals.before_unix_s.len(), REMOVALS_REMEMBERED);
        assert!(!removals.cover(person("r", "TK_0", ""), 9));
        assert!(removals.cover(person("r", "TK_1", ""), 9));
    }
}
