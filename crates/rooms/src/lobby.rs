//! Who waits to be let into a room.
//!
//! ```text
//!   knock ─► waits (or waits alone: nobody is there to let them in) ─┬─ admit ──► let in, and has 15 s to come
//!     ▲         └ not heard of for 15 s: gone                        └─ refuse ─► not let in
//!     └──────────────────────── a minute later ─────────────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - It is in memory alone. Who waits asks again every few seconds, and who does not is gone; after a start anew they knock again.
//! - A knock is its own alone: it is known by an id, and answers whoever has its secret, as long as they come by the link that it came by.
//! - Each list has its bound. What one address or one room fills leaves as much free for others.
//! - Somebody runs the room as long as they ask who waits: that is who can let anybody in.
//! - A decision is of those who are named. Who knocked meanwhile was seen by nobody, and goes on waiting.
//! - What was decided is over after 15 s, however often somebody asks: who was let in once does not come again and again by that.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use rand::CryptoRng;
use reelroom_limits::asker::Asker;
use reelroom_limits::rooms::{
    HOST_LOOKS_WITHIN, KNOCK_AGAIN_AFTER, KNOCK_LASTS, KNOCKS, KNOCKS_OF_A_ROOM, KNOCKS_OF_AN_ADDRESS,
    REFUSED_OF_AN_ADDRESS, REFUSED_REMEMBERED,
};
use reelroom_protocol::ids::{RoomName, Ticket};

use crate::error::RoomsError;
use crate::link::{LinkId, random_id};
use crate::secret::{Secret, Shown, is_same};

const PREFIX: &str = "KN_";

/// Somebody who waits, `KN_…`. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnockId(String);

impl KnockId {
    /// The id as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KnockId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for KnockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody wants to be let in.
#[derive(Clone, Copy, Debug)]
pub struct NewKnock<'a> {
    /// Into this room.
    pub room: &'a RoomName,
    /// By this link.
    pub link: &'a LinkId,
    /// As others will see them: see [`shown_name`].
    pub name: &'a str,
    /// From where.
    pub asker: Asker,
}

/// What whoever knocked shows to be told how it stands.
#[derive(Clone, Copy, Debug)]
pub struct ShownKnock<'a> {
    /// Of this room.
    pub room: &'a RoomName,
    /// By which link they come.
    pub link: &'a LinkId,
    /// Which.
    pub id: &'a KnockId,
    /// Its secret.
    pub secret: &'a str,
}

/// How it stands with somebody who knocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Somebody is there who can let them in.
    Waits,
    /// Nobody is.
    WaitsAlone,
    /// They are let in.
    Admitted,
    /// They are not.
    Refused,
}

/// What is decided of somebody who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To let them in.
    Admit,
    /// Not to.
    Refuse,
}

/// As whom somebody who was let in comes: the same each time that they ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// What is in their token.
    pub ticket: Ticket,
    /// Who they are in the room.
    pub identity: String,
}

/// Somebody who waits, as whoever runs the room sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Which.
    pub id: KnockId,
    /// What they call themselves.
    pub name: String,
    /// Since when: Unix milliseconds.
    pub since_ms: i64,
}

/// Who waits for a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiters {
    /// Another one after each change; 0 where nobody waits.
    pub version: u64,
    /// Whoever came first stands first.
    pub all: Vec<Waiter>,
}

/// Those who wait for all rooms.
#[derive(Default)]
pub struct Lobby {
    halls: BTreeMap<RoomName, Hall>,
    changes: u64,
}

/// Those who wait for one room.
#[derive(Default)]
struct Hall {
    knocks: Vec<Knock>,
    refused: VecDeque<Refused>,
    /// When somebody who can let them in last asked who waits.
    looked: Option<Instant>,
    version: u64,
}

struct Knock {
    id: KnockId,
    secret_sha256: [u8; 32],
    link: LinkId,
    name: String,
    asker: Asker,
    since_ms: i64,
    heard: Instant,
    decision: Option<Decision>,
    entrance: Option<Entrance>,
}

struct Refused {
    name: String,
    asker: Asker,
    until: Instant,
}

/// A name as others may be shown it before anybody has looked at whose it is: without what is not seen and changes how the rest is. `None`
/// where nothing is left.
pub fn shown_name(name: &str) -> Option<String> {
    // Marks of direction, what has no width, and letters that are drawn as nothing.
    let is_hidden = |letter: char| {
        matches!(letter, '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}')
            || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
            || matches!(letter, '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{180E}')
            || matches!(letter, '\u{2800}' | '\u{3164}' | '\u{FFA0}')
    };
    // Scripts and emoji join letters by these, which show nothing alone.
    let joins = |letter: char| matches!(letter, '\u{200C}' | '\u{200D}');
    let letters = name.chars().filter(|letter| !is_hidden(*letter));
    let seen: String = letters.map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words: Vec<&str> = seen.split_whitespace().collect();
    Some(words.join(" ")).filter(|name| !name.chars().all(joins))
}

impl Lobby {
    /// Somebody waits from now on. The secret is for them alone.
    ///
    /// # Errors
    /// [`RoomsError::Crowded`], [`RoomsError::NotYet`].
    pub fn knock(
        &mut self,
        new: NewKnock<'_>,
        now: Instant,
        now_ms: i64,
        rng: &mut impl CryptoRng,
    ) -> Result<(KnockId, Shown), RoomsError> {
        self.tidy_room(new.room, now);
        if self.count() >= KNOCKS {
            self.tidy(now);
        }
        let free = KNOCKS.saturating_sub(self.count());
        let hall = self.halls.entry(new.room.clone()).or_default();
        hall.lets_ask(new.name, new.asker, now)?;
        let of_room = hall.knocks.len();
        if of_room >= KNOCKS_OF_A_ROOM.min(free) {
            return Err(RoomsError::Crowded);
        }
        let of_address = hall.knocks.iter().filter(|knock| knock.asker == new.asker).count();
        if new.asker.0.is_some() && of_address >= KNOCKS_OF_AN_ADDRESS.min(KNOCKS_OF_A_ROOM - of_room) {
            return Err(RoomsError::Crowded);
        }
        let (id, secret) = (KnockId(random_id(PREFIX, rng)), Secret::random(rng));
        hall.knocks.push(Knock {
            id: id.clone(),
            secret_sha256: secret.sha256(),
            link: new.link.clone(),
            name: new.name.to_owned(),
            asker: new.asker,
            since_ms: now_ms,
            heard: now,
            decision: None,
            entrance: None,
        });
        self.changed(new.room);
        Ok((id, secret.shown()))
    }

    /// How it stands with whoever shows this, who is heard of with that as long as they wait; `None` where they do not wait, or not any more. Where the room has no
    /// lobby any more, they are let in.
    pub fn hear(&mut self, shown: &ShownKnock<'_>, has_lobby: bool, now: Instant) -> Option<Turn> {
        self.tidy_room(shown.room, now);
        let hall = self.halls.get_mut(shown.room)?;
        let is_looked_after = hall.is_looked_after(now);
        let knock = hall.knock_mut(shown)?;
        if knock.waits() {
            knock.heard = now;
        }
        let is_let_in_now = knock.decision.is_none() && !has_lobby;
        if is_let_in_now {
            knock.decision = Some(Decision::Admit);
        }
        let turn = match knock.decision {
            Some(Decision::Admit) => Turn::Admitted,
            Some(Decision::Refuse) => Turn::Refused,
            None if is_looked_after => Turn::Waits,
            None => Turn::WaitsAlone,
        };
        if is_let_in_now {
            self.changed(shown.room);
        }
        Some(turn)
    }

    /// The name of whoever shows this and was let in, and as whom they come if they asked before; `None` where they are not let in.
    pub fn admitted(&self, shown: &ShownKnock<'_>) -> Option<(String, Option<Entrance>)> {
        let knock = self.halls.get(shown.room)?.knock(shown)?;
        let is_admitted = knock.decision == Some(Decision::Admit);
        is_admitted.then(|| (knock.name.clone(), knock.entrance.clone()))
    }

    /// Whoever was let in comes as this, unless it was said before as whom: then as that. `None` where they are not let in any more.
    pub fn enter(&mut self, shown: &ShownKnock<'_>, entrance: Entrance) -> Option<Entrance> {
        let knock = self.halls.get_mut(shown.room)?.knock_mut(shown)?;
        let is_admitted = knock.decision == Some(Decision::Admit);
        is_admitted.then(|| knock.entrance.get_or_insert(entrance).clone())
    }

    /// Somebody was removed from a room: whoever was given an entrance to it gets no other token by it. Which of them it was is not known, as
    /// the media server may have called them otherwise; the others have theirs.
    pub fn forget_entered(&mut self, room: &RoomName) {
        if let Some(hall) = self.halls.get_mut(room) {
            hall.knocks.retain(|knock| knock.entrance.is_none());
        }
    }

    /// Whoever shows this waits no more. Says whether they did.
    pub fn leave(&mut self, shown: &ShownKnock<'_>) -> bool {
        let Some(hall) = self.halls.get_mut(shown.room) else { return false };
        let before = hall.knocks.len();
        hall.knocks.retain(|knock| !knock.is_of(shown));
        let has_left = hall.knocks.len() < before;
        if has_left {
            self.changed(shown.room);
        }
        has_left
    }

    /// Who waits for a room, for whoever can let them in: as long as they ask, somebody is there who can.
    pub fn look(&mut self, room: &RoomName, now: Instant) -> Waiters {
        self.tidy_room(room, now);
        let hall = self.halls.entry(room.clone()).or_default();
        let was_looked_after = hall.is_looked_after(now);
        hall.looked = Some(now);
        let waiters = hall.waiters();
        if !was_looked_after {
            // Who waits is told. For whoever asks it is the same list.
            self.changes += 1;
        }
        waiters
    }

    /// Decides of those who wait; the others are gone, or decided of. Says of how many it was.
    pub fn decide(&mut self, room: &RoomName, ids: &[KnockId], decision: Decision, now: Instant) -> usize {
        self.tidy_room(room, now);
        let Some(hall) = self.halls.get_mut(room) else { return 0 };
        let mut decided = 0;
        for knock in hall.knocks.iter_mut().filter(|knock| knock.waits() && ids.contains(&knock.id)) {
            knock.decision = Some(decision);
            // However long they waited, and however often they ask: from here on it is as long for everybody.
            knock.heard = now;
            decided += 1;
            if decision == Decision::Refuse {
                let until = now + KNOCK_AGAIN_AFTER;
                hall.refused.push_back(Refused { name: folded(&knock.name), asker: knock.asker, until });
            }
        }
        while hall.refused.len() > REFUSED_REMEMBERED {
            hall.refused.pop_front();
        }
        if decided > 0 {
            self.changed(room);
        }
        decided
    }

    /// Counts up with each change that somebody may wait for.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Forgets whoever was not heard of for too long, in all rooms.
    pub fn tidy(&mut self, now: Instant) {
        let rooms: Vec<RoomName> = self.halls.keys().cloned().collect();
        for room in rooms {
            self.tidy_room(&room, now);
        }
    }

    fn tidy_room(&mut self, room: &RoomName, now: Instant) {
        let Some(hall) = self.halls.get_mut(room) else { return };
        let waited = hall.waiting().count();
        hall.knocks.retain(|knock| now.saturating_duration_since(knock.heard) < KNOCK_LASTS);
        hall.refused.retain(|refused| refused.until > now);
        let has_changed = hall.waiting().count() != waited;
        let is_empty = hall.knocks.is_empty() && hall.refused.is_empty() && !hall.is_looked_after(now);
        if has_changed {
            self.changed(room);
        }
        if is_empty {
            self.halls.remove(room);
        }
    }

    fn changed(&mut self, room: &RoomName) {
        self.changes += 1;
        if let Some(hall) = self.halls.get_mut(room) {
            hall.version = self.changes;
        }
    }

    fn count(&self) -> usize {
        self.halls.values().map(|hall| hall.knocks.len()).sum()
    }
}

impl Hall {
    /// Whether somebody may ask who was perhaps not let in a moment ago.
    fn lets_ask(&self, name: &str, asker: Asker, now: Instant) -> Result<(), RoomsError> {
        let not_yet = |until: Instant| RoomsError::NotYet { wait: left(until, now) };
        let of_address = || self.refused.iter().filter(move |refused| refused.asker == asker);
        let name = folded(name);
        if let Some(same) = of_address().filter(|refused| refused.name == name).map(|same| same.until).max() {
            return Err(not_yet(same));
        }
        let first = of_address().map(|refused| refused.until).min();
        match first {
            Some(first) if asker.0.is_some() && of_address().count() >= REFUSED_OF_AN_ADDRESS => {
                Err(not_yet(first))
            }
            _ => Ok(()),
        }
    }

    fn is_looked_after(&self, now: Instant) -> bool {
        self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < HOST_LOOKS_WITHIN)
    }

    fn waiting(&self) -> impl Iterator<Item = &Knock> {
        self.knocks.iter().filter(|knock| knock.waits())
    }

    fn waiters(&self) -> Waiters {
        let waiter = |knock: &Knock| Waiter {
            id: knock.id.clone(),
            name: knock.name.clone(),
            since_ms: knock.since_ms,
        };
        let all: Vec<Waiter> = self.waiting().map(waiter).collect();
        Waiters { version: if all.is_empty() { 0 } else { self.version }, all }
    }

    fn knock(&self, shown: &ShownKnock<'_>) -> Option<&Knock> {
        self.knocks.iter().find(|knock| knock.is_of(shown))
    }

    fn knock_mut(&mut self, shown: &ShownKnock<'_>) -> Option<&mut Knock> {
        self.knocks.iter_mut().find(|knock| knock.is_of(shown))
    }
}

impl Knock {
    fn waits(&self) -> bool {
        self.decision.is_none()
    }

    fn is_of(&self, shown: &ShownKnock<'_>) -> bool {
        // The id is no secret, and only one has it: hashes are made for that one alone.
        self.id == *shown.id
            && self.link == *shown.link
            && Secret::parse(shown.secret)
                .is_some_and(|secret| is_same(&secret.sha256(), &self.secret_sha256))
    }
}

/// Letters of either case are the same name.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

fn left(until: Instant, now: Instant) -> Duration {
    until.saturating_duration_since(now)
}

#[cfg(test)]
mod tests;
