//! Who agrees to being recorded, in a room that asks.
//!
//! ```text
//!   the room asks ─► everybody is shown as asked ─► a participant says yes or no, by its own attribute
//!                                                     └─► everybody, and recorders: only who agreed is recorded
//! ```
//!
//! What somebody said is the attribute [`CONSENT`] for all to see: `asked`, `yes` or `no`, and absent where the room does not ask.
//!
//! # Invariants
//!
//! - Silence is no answer: who says nothing is not recorded, and neither is whom nobody sees.
//! - Nobody agrees in somebody else's name: an answer comes by the participant's own connection, and neither by a token nor by the RoomService.
//! - To decline is neither refused nor put off.
//! - An answer is a person's, over all sessions, for this life of the room, which a restart of the server that was planned goes on with
//!   ([`crate::KeptRoom`]). A room that opens again otherwise asks again.
//! - A room that has asked goes on to ask until it closes: who declined is not recorded because a setting was changed.

use std::collections::BTreeMap;
use std::time::Duration;

use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::REMEMBERED_ANSWERS;
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use serde::{Deserialize, Serialize};

use crate::output::{Fact, Output};
use crate::participant::{Audience, Participant};
use crate::person::Person;
use crate::room::{Now, Room};

/// The attribute of a participant that says what it answered.
pub const CONSENT: &str = "reelroom.consent";
const ASKED: &str = "asked";
const YES: &str = "yes";
const NO: &str = "no";

/// What somebody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether they may be recorded.
    pub agrees: bool,
    /// When they said so, in Unix milliseconds.
    pub unix_ms: i64,
}

/// What a participant was asked and has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Consent {
    /// The room does not ask.
    #[default]
    NotAsked,
    /// It has said nothing.
    Asked,
    Answered(Answer),
}

impl Consent {
    /// The value of the attribute; empty where there is none.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::NotAsked => "",
            Self::Asked => ASKED,
            Self::Answered(Answer { agrees: true, .. }) => YES,
            Self::Answered(Answer { agrees: false, .. }) => NO,
        }
    }

    /// Whether it may be recorded.
    pub(crate) fn is_recorded(self) -> bool {
        matches!(self, Self::NotAsked | Self::Answered(Answer { agrees: true, .. }))
    }

    pub(crate) fn answer(self) -> Option<Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::NotAsked | Self::Asked => None,
        }
    }
}

/// Why an answer does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The room asks nobody.
    NotAsked,
    /// It is neither `yes` nor `no`.
    Neither,
    /// They changed their mind too often of late.
    TooFast(TooFast),
}

/// Whether a room asks, and what those who were in it answered.
#[derive(Debug, Default)]
pub(crate) struct Consents {
    pub(crate) asks: bool,
    answers: BTreeMap<Person, Answer>,
}

impl Consents {
    /// What everybody answered.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (&Person, Answer)> {
        self.answers.iter().map(|(person, answer)| (person, *answer))
    }

    /// Whoever is forgotten is asked again, and not recorded until then.
    pub(crate) fn keep(&mut self, person: Person, answer: Answer) {
        self.answers.insert(person, answer);
        if self.answers.len() > REMEMBERED_ANSWERS {
            let oldest = self.answers.iter().min_by_key(|(_, answer)| answer.unix_ms);
            let oldest = oldest.map(|(person, _)| person.clone());
            oldest.and_then(|oldest| self.answers.remove(&oldest));
        }
    }

    /// What somebody who joins was asked and has answered. What records is asked nothing.
    pub(crate) fn of(&self, participant: &Participant) -> Consent {
        match self.answers.get(&participant.person) {
            _ if !self.asks || participant.is_recorder() => Consent::NotAsked,
            Some(answer) => Consent::Answered(*answer),
            None => Consent::Asked,
        }
    }
}

impl Room {
    /// Everybody is asked from now on. Who has not agreed is not recorded any more.
    pub fn ask_consent(&mut self, now: Now) {
        if self.consents.asks || self.end().is_some() {
            return;
        }
        self.consents.asks = true;
        self.outputs.push_back(Output::Fact(Fact::ConsentAsked));
        let everybody: Vec<ParticipantSid> = self.participants.keys().cloned().collect();
        for sid in everybody {
            if let Some(consent) =
                self.participants.get(&sid).map(|participant| self.consents.of(participant))
            {
                self.set_consent(&sid, consent, now);
            }
        }
    }

    /// What a participant says of itself by the attribute [`CONSENT`].
    pub(crate) fn answer_consent(
        &mut self,
        sid: &ParticipantSid,
        said: &str,
        now: Now,
    ) -> Result<(), NotTaken> {
        let Some(participant) = self.participants.get_mut(sid) else { return Ok(()) };
        // Whoever writes back what they read says nothing new.
        if said == participant.consent.word() {
            return Ok(());
        }
        if participant.consent == Consent::NotAsked {
            return Err(NotTaken::NotAsked);
        }
        let agrees = match said {
            YES => true,
            NO => false,
            _ => return Err(NotTaken::Neither),
        };
        // Each time that somebody agrees a recording has more files.
        if agrees {
            participant.agreeing.take(1, Duration::ZERO, now.at).map_err(NotTaken::TooFast)?;
        }
        let (person, answer) = (participant.person.clone(), Answer { agrees, unix_ms: now.unix_ms });
        self.consents.keep(person, answer);
        self.set_consent(sid, Consent::Answered(answer), now);
        Ok(())
    }

    /// Has everybody know what a participant was asked and has answered, where that is another thing than before.
    fn set_consent(&mut self, sid: &ParticipantSid, consent: Consent, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if consent == participant.consent {
            return;
        }
        participant.consent = consent;
        let fact = participant.consent_fact().filter(|_| participant.is_active());
        let tracks = participant.published.clone();
        self.outputs.extend(fact.map(Output::Fact));
        self.announce(sid, Audience::All);
        for track in tracks {
            self.show_recorders(&track, consent.is_recorded(), now);
        }
    }

    /// Takes a track from participants that record, or gives it to those that wanted it.
    fn show_recorders(&mut self, track: &TrackSid, is_recorded: bool, now: Now) {
        let recorders: Vec<ParticipantSid> = self
            .participants
            .values()
            .filter(|participant| participant.is_recorder())
            .filter(|participant| !is_recorded || participant.wanted.contains(track))
            .map(|participant| participant.sid.clone())
            .collect();
        for recorder in recorders {
            if is_recorded {
                self.subscribe(&recorder, track, now);
            } else {
                self.unsubscribe(&recorder, track);
            }
        }
    }
}

#[cfg(test)]
mod tests;
