//! Who agreed to being recorded, and when: the part of a recording's report that is kept where its room asked. Pure.
//!
//! # Invariants
//!
//! - Whoever was there while the room asked is told of, also who said nothing, up to 2000 sessions and 256 KiB of their names.
//! - Beyond that those who agreed stay, then those who declined, and of them who came first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use reelroom_take::{ParticipantId, TakeEvent};
use serde::{Deserialize, Serialize};

/// Sessions that are kept and told of; a room has fewer at once.
const MOST: usize = 2000;
/// Bytes of what those are called who are told of, so that the report stays one that is read.
const MOST_BYTES: usize = 256 * 1024;
const NS_PER_MS: i64 = 1_000_000;

/// What somebody answered last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentAnswer {
    /// Nothing: they were not recorded.
    #[default]
    None,
    /// They declined, or took back that they had agreed.
    Declined,
    /// They agreed.
    Agreed,
}

/// What somebody said to being recorded. Times are Unix nanoseconds, each the last one of its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Consent {
    /// Their identity.
    pub identity: String,
    /// Their name, the last one they had.
    pub name: String,
    /// What they answered last.
    pub answer: ConsentAnswer,
    /// When they agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed_at: Option<i64>,
    /// When they declined without having agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined_at: Option<i64>,
    /// When they took back that they had agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<i64>,
}

/// Keeps what everybody said.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Consents {
    asks: bool,
    people: BTreeMap<ParticipantId, Person>,
    /// How many have come.
    came: u64,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Person {
    consent: Consent,
    has_left: bool,
    /// The room asked while they were there.
    was_asked: bool,
    /// The how manieth they are.
    number: u64,
}

impl Person {
    /// Who has more of it is told of rather than others. Also of whoever took it back something may be in the file.
    fn weight(&self) -> (bool, ConsentAnswer, Reverse<u64>) {
        let has_agreed = self.consent.agreed_at.is_some();
        let answer = if has_agreed { ConsentAnswer::Agreed } else { self.consent.answer };
        (self.was_asked, answer, Reverse(self.number))
    }
}

impl Consents {
    /// A fact of the take.
    pub(crate) fn fact(&mut self, fact: &TakeEvent) {
        match fact {
            TakeEvent::ParticipantJoined { participant, identity, name } => {
                let consent =
                    Consent { identity: identity.clone(), name: name.clone(), ..Consent::default() };
                self.came += 1;
                let person = Person { consent, has_left: false, was_asked: self.asks, number: self.came };
                self.people.insert(participant.clone(), person);
                self.forget_beyond();
            }
            TakeEvent::ParticipantNamed { participant, name } => {
                if let Some(person) = self.people.get_mut(participant) {
                    person.consent.name.clone_from(name);
                }
            }
            TakeEvent::ParticipantLeft { participant } => {
                if let Some(person) = self.people.get_mut(participant) {
                    person.has_left = true;
                }
            }
            // Whoever comes back says it again, and so does a room that asks.
            TakeEvent::Suspended { .. } => {
                self.asks = false;
                self.people.values_mut().for_each(|person| person.has_left = true);
            }
            TakeEvent::ConsentAsked => {
                self.asks = true;
                for person in self.people.values_mut().filter(|person| !person.has_left) {
                    person.was_asked = true;
                }
            }
            TakeEvent::Consent { participant, agrees, unix_ms } => {
                // Whom nobody sees may decline all the same, and is not told of.
                if let Some(person) = self.people.get_mut(participant) {
                    person.was_asked = true;
                    person.consent.answered(*agrees, unix_ms.saturating_mul(NS_PER_MS));
                }
            }
            _ => {}
        }
    }

    /// Forgets who counts least of those who have left, where there are too many.
    fn forget_beyond(&mut self) {
        if self.people.len() <= MOST {
            return;
        }
        let gone = self.people.iter().filter(|(_, person)| person.has_left);
        let least = gone.min_by_key(|(_, person)| person.weight()).map(|(id, _)| id.clone());
        least.and_then(|least| self.people.remove(&least));
    }

    /// Of everybody who was asked, in the order of their identities; once of who was there several times and said the same.
    pub(crate) fn told(&self) -> Vec<Consent> {
        let mut asked: Vec<&Person> = self.people.values().filter(|person| person.was_asked).collect();
        asked.sort_by_key(|person| Reverse(person.weight()));
        let mut bytes = 0;
        let fits = |person: &&&Person| {
            bytes += person.consent.identity.len() + person.consent.name.len();
            bytes <= MOST_BYTES
        };
        let mut told: Vec<Consent> =
            asked.iter().take(MOST).take_while(fits).map(|person| person.consent.clone()).collect();
        told.sort();
        told.dedup();
        told
    }
}

impl Consent {
    fn answered(&mut self, agrees: bool, at: i64) {
        let had_agreed = self.answer == ConsentAnswer::Agreed;
        match (agrees, had_agreed) {
            (true, _) => (self.answer, self.agreed_at) = (ConsentAnswer::Agreed, Some(at)),
            (false, true) => (self.answer, self.withdrawn_at) = (ConsentAnswer::Declined, Some(at)),
            (false, false) => (self.answer, self.declined_at) = (ConsentAnswer::Declined, Some(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(id: &str) -> TakeEvent {
        TakeEvent::ParticipantJoined {
            participant: format!("PA_{id}").as_str().into(),
            identity: id.into(),
            name: String::new(),
        }
    }

    fn left(id: &str) -> TakeEvent {
        TakeEvent::ParticipantLeft { participant: format!("PA_{id}").as_str().into() }
    }

    fn says(id: &str, agrees: bool, unix_ms: i64) -> TakeEvent {
        TakeEvent::Consent { participant: format!("PA_{id}").as_str().into(), agrees, unix_ms }
    }

    fn told(facts: &[TakeEvent]) -> Vec<Consent> {
        let mut consents = Consents::default();
        facts.iter().for_each(|fact| consents.fact(fact));
        consents.told()
    }

    #[test]
    fn everybody_who_was_there_while_the_room_asked_is_told_of_with_what_they_said_and_when() {
        let told = told(&[
            joined("gone"),
            left("gone"),
            joined("ann"),
            joined("bob"),
            TakeEvent::ConsentAsked,
            joined("cem"),
            joined("dee"),
            says("ann", true, 5),
            says("bob", false, 6),
            says("cem", true, 7),
            says("cem", false, 8),
        ]);
        let of = |identity: &str| Consent { identity: identity.into(), ..Consent::default() };
        let (agreed, declined) = (ConsentAnswer::Agreed, ConsentAnswer::Declined);
        let ms = |ms: i64| Some(ms * NS_PER_MS);
        assert_eq!(
            told,
            [
                Consent { answer: agreed, agreed_at: ms(5), ..of("ann") },
                Consent { answer: declined, declined_at: ms(6), ..of("bob") },
                Consent { answer: declined, agreed_at: ms(7), withdrawn_at: ms(8), ..of("cem") },
                of("dee"),
            ]
        );
    }

    #[test]
    fn who_comes_again_and_again_does_not_make_forgotten_who_agreed_before() {
        let mut consents = Consents::default();
        consents.fact(&TakeEvent::ConsentAsked);
        for fact in [joined("ann"), says("ann", true, 5), joined("bob"), says("bob", false, 6)] {
            consents.fact(&fact);
        }
        consents.fact(&left("ann"));
        let name = "a".repeat(250);
        for n in 0..MOST * 2 {
            let id = format!("{name}{n}");
            for fact in [joined(&id), says(&id, n % 2 == 0, 7), left(&id)] {
                consents.fact(&fact);
            }
        }
        assert!(consents.people.len() <= MOST, "{}", consents.people.len());
        consents.fact(&says("bob", true, 8));
        let told = consents.told();
        assert!(told.iter().map(|told| told.identity.len()).sum::<usize>() <= MOST_BYTES);
        let answered = |who: &str| told.iter().find(|told| told.identity == who).map(|told| told.answer);
        assert_eq!(
            (answered("ann"), answered("bob")),
            (Some(ConsentAnswer::Agreed), Some(ConsentAnswer::Agreed))
        );
    }

    #[test]
    fn of_a_room_that_does_not_ask_any_more_after_a_restart_only_those_of_before_are_told_of() {
        let asked = [TakeEvent::ConsentAsked, joined("ann"), says("ann", true, 5)];
        let restarted = [TakeEvent::Suspended { unix_ns: 1 }, TakeEvent::Resumed];
        let who = |facts: &[TakeEvent]| -> Vec<String> {
            told(facts).into_iter().map(|told| told.identity).collect()
        };
        let facts = [&asked[..], &restarted, &[joined("bob")]].concat();
        assert_eq!(who(&facts), ["ann"]);
        let facts = [&asked[..], &restarted, &[TakeEvent::ConsentAsked, joined("bob")]].concat();
        assert_eq!(who(&facts), ["ann", "bob"]);
    }

    #[test]
    fn whom_nobody_sees_is_not_told_of() {
        assert!(told(&[TakeEvent::ConsentAsked, says("hidden", false, 5)]).is_empty());
    }

    #[test]
    fn of_a_room_that_does_not_ask_nothing_is_told_and_of_who_came_again_once() {
        assert!(told(&[joined("ann"), left("ann")]).is_empty());
        let again = TakeEvent::ParticipantJoined {
            participant: "PA_again".into(),
            identity: "ann".into(),
            name: String::new(),
        };
        let agreed = TakeEvent::Consent { participant: "PA_again".into(), agrees: true, unix_ms: 5 };
        let told =
            told(&[TakeEvent::ConsentAsked, joined("ann"), says("ann", true, 5), left("ann"), again, agreed]);
        assert_eq!(told.len(), 1);
    }
}
