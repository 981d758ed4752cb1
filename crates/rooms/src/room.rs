//! A room: its name, and what is set of it.

use rand::CryptoRng;
use reelroom_access::{Caller, Right, Rights};
use reelroom_limits::rooms::KEEP_DAYS;
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::ids::RoomName;

use crate::Rooms;
use crate::error::RoomsError;
use crate::layout::Layout;
use crate::link::{KeptLink, Link};
use crate::retention::is_sooner;
use crate::role::Role;
use crate::secret::Key;

/// What those who come by a link may do where nothing else is said: guests are seen and heard, share a screen and chat, and leave recordings
/// to others.
const GUESTS: Rights = Rights::of(&[
    Right::PublishCamera,
    Right::PublishMicrophone,
    Right::PublishScreen,
    Right::PublishScreenSound,
    Right::Chat,
]);

/// What is set of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What guests may do of that which they may by grant alone.
    pub guests: Rights,
    /// The same of hosts.
    pub hosts: Rights,
    /// So many people at most; `None`: as many as the server takes.
    pub people: Option<u32>,
    /// Whether guests wait until a host lets them in.
    pub has_lobby: bool,
    /// Whether people are recorded only if they agree.
    pub asks_consent: bool,
    /// How its recordings look where nothing else is asked for; `None`: the default layout.
    pub layout: Option<Layout>,
    /// For how many days its recordings are kept; `None`: until somebody deletes them.
    pub keep_days: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            guests: GUESTS,
            hosts: Rights::NONE,
            people: None,
            has_lobby: false,
            asks_consent: false,
            layout: None,
            keep_days: None,
        }
    }
}

impl Settings {
    /// What the link for a role grants.
    pub fn of(&self, role: Role) -> Rights {
        match role {
            Role::Host => self.hosts,
            Role::Guest => self.guests,
        }
    }

    fn check(&self) -> Result<(), RoomsError> {
        for role in Role::ALL {
            let granted = Right::ALL.iter().filter(|right| self.of(role).has(**right));
            if let Some(right) = granted.copied().find(|right| !role.grantable().has(*right)) {
                let (word, role) = (right.word(), role.word());
                return Err(RoomsError::Invalid(format!(
                    "\"{word}\" is nothing that is granted to a {role}"
                )));
            }
        }
        if self.people == Some(0) {
            return Err(RoomsError::Invalid("a room is for one person at least".into()));
        }
        if let Some(days) = self.keep_days
            && !(1..=KEEP_DAYS).contains(&days)
        {
            return Err(RoomsError::Invalid(format!("recordings are kept for 1 to {KEEP_DAYS} days")));
        }
        Ok(())
    }

    /// What both grant, what either asks of those who come, and recordings for the longer of both times. The rest is as it was.
    fn narrowed_to(&self, other: &Self) -> Self {
        Self {
            guests: both(self.guests, other.guests),
            hosts: both(self.hosts, other.hosts),
            has_lobby: self.has_lobby || other.has_lobby,
            asks_consent: self.asks_consent || other.asks_consent,
            keep_days: longer(self.keep_days, other.keep_days),
            ..*self
        }
    }
}

fn both(one: Rights, other: Rights) -> Rights {
    Right::ALL.iter().copied().filter(|right| one.has(*right) && other.has(*right)).collect()
}

/// `None` is until somebody deletes them.
fn longer(one: Option<u32>, other: Option<u32>) -> Option<u32> {
    Some(one?.max(other?))
}

fn words(rights: Rights) -> Vec<String> {
    Right::ALL.iter().filter(|right| rights.has(**right)).map(|right| right.word()).collect()
}

/// A word that is no right of this version gives none.
fn rights(words: &[String]) -> Rights {
    words.iter().filter_map(|word| Right::of_word(word)).collect()
}

/// A room that is to be made.
#[derive(Clone, Debug)]
pub struct NewRoom<'a> {
    /// Any text that shows something.
    pub name: &'a str,
    /// What is set of it.
    pub settings: Settings,
    /// When its first links expire: Unix milliseconds.
    pub expires_ms: Option<i64>,
}

/// What is to be set anew; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// What guests may do.
    pub guests: Option<Rights>,
    /// What hosts may do.
    pub hosts: Option<Rights>,
    /// So many people at most; `Some(None)`: as many as the server takes.
    pub people: Option<Option<u32>>,
    /// Whether guests wait until a host lets them in.
    pub has_lobby: Option<bool>,
    /// Whether people are recorded only if they agree.
    pub asks_consent: Option<bool>,
    /// How its recordings look; `Some(None)`: as by default.
    pub layout: Option<Option<Layout>>,
    /// For how long its recordings are kept.
    pub keep: Option<Keep>,
}

/// For how long recordings are kept from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many days; `None`: until somebody deletes them.
    pub days: Option<u32>,
    /// Unix milliseconds: for a while after a shorter time was set nothing is deleted.
    pub now_ms: i64,
}

impl Change {
    /// What is set then.
    fn of(&self, before: &Settings) -> Settings {
        Settings {
            guests: self.guests.unwrap_or(before.guests),
            hosts: self.hosts.unwrap_or(before.hosts),
            people: self.people.unwrap_or(before.people),
            has_lobby: self.has_lobby.unwrap_or(before.has_lobby),
            asks_consent: self.asks_consent.unwrap_or(before.asks_consent),
            layout: self.layout.unwrap_or(before.layout),
            keep_days: self.keep.map_or(before.keep_days, |keep| keep.days),
        }
    }

    /// Since when recordings are kept as is set then.
    fn keep_since_ms(&self, room: &KeptRoom) -> i64 {
        match self.keep {
            // What was set by a clock that has been set back since would begin at some time to come.
            Some(keep)
                if is_sooner(keep.days, room.settled.keep_days) || room.keep_since_ms > keep.now_ms =>
            {
                keep.now_ms
            }
            _ => room.keep_since_ms,
        }
    }
}

/// A room as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name.
    pub name: RoomName,
    /// What is set of it.
    pub settings: Settings,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// One for each role at most, hosts first.
    pub links: Vec<Link>,
}

/// A room as it is kept.
#[derive(Clone)]
pub(crate) struct KeptRoom {
    pub(crate) name: RoomName,
    /// What holds.
    pub(crate) settings: Settings,
    /// What holds when no change is under way: it is as the disk has it, or less.
    settled: Settings,
    /// Changes that are being written, or wait for that.
    under_way: u32,
    pub(crate) made_ms: i64,
    /// When a time for its recordings was set, or made shorter, the last time; 0 where it never was.
    pub(crate) keep_since_ms: i64,
    pub(crate) links: Vec<KeptLink>,
}

impl KeptRoom {
    pub(crate) fn read(row: reelroom_truth::Room) -> Self {
        let settings = Settings {
            guests: rights(&row.guests),
            hosts: rights(&row.hosts),
            people: row.people,
            has_lobby: row.has_lobby,
            asks_consent: row.asks_consent,
            // A layout of another version looks as by default.
            layout: row.layout.as_deref().and_then(Layout::of_word),
            keep_days: row.keep_days,
        };
        Self {
            name: row.name.into(),
            settings,
            settled: settings,
            under_way: 0,
            made_ms: row.made_ms,
            keep_since_ms: row.keep_since_ms,
            links: Vec::new(),
        }
    }

    fn row(&self) -> reelroom_truth::Room {
        reelroom_truth::Room {
            name: self.name.as_str().to_owned(),
            guests: words(self.settings.guests),
            hosts: words(self.settings.hosts),
            people: self.settings.people,
            has_lobby: self.settings.has_lobby,
            asks_consent: self.settings.asks_consent,
            layout: self.settings.layout.map(|layout| layout.word().to_owned()),
            keep_days: self.settings.keep_days,
            made_ms: self.made_ms,
            keep_since_ms: self.keep_since_ms,
        }
    }

    /// A change begins: what it takes away holds from now on.
    fn begin(&mut self, settings: &Settings) {
        self.under_way += 1;
        self.settings = self.settings.narrowed_to(settings);
    }

    /// It is over, and this is what holds without those that are under way still.
    fn end(&mut self, settled: Settings) {
        self.under_way = self.under_way.saturating_sub(1);
        self.settled = settled;
        self.settings = if self.under_way == 0 { settled } else { self.settings.narrowed_to(&settled) };
    }

    pub(crate) fn room(&self, key: &Key) -> Room {
        let mut links: Vec<Link> = self.links.iter().map(|link| link.link(key)).collect();
        links.sort_by_key(|link| link.role);
        Room { name: self.name.clone(), settings: self.settings, made_ms: self.made_ms, links }
    }
}

impl Rooms {
    /// Makes a room with a link for hosts and one for guests.
    ///
    /// # Errors
    /// [`RoomsError::Invalid`], [`RoomsError::Taken`], [`RoomsError::Closed`], [`RoomsError::Full`], [`RoomsError::Truth`].
    pub fn make(&self, new: NewRoom<'_>, now_ms: i64, rng: &mut impl CryptoRng) -> Result<Room, RoomsError> {
        let name = new.name.trim();
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(RoomsError::Invalid(format!("the name of a room has 1 to {NAME_BYTES} bytes")));
        }
        new.settings.check()?;
        let links: Vec<KeptLink> = Role::ALL
            .into_iter()
            .map(|role| KeptLink::new(&self.key, role, new.expires_ms, now_ms, rng))
            .collect::<Result<_, _>>()?;
        let (made_ms, keep_since_ms) = (now_ms, now_ms);
        let (settings, settled) = (new.settings, new.settings);
        let kept =
            KeptRoom { name: name.into(), settings, settled, under_way: 0, made_ms, keep_since_ms, links };
        let _changing = self.changing();
        self.state().has_place_for(&kept.name)?;
        let rows: Vec<_> = kept.links.iter().map(|link| link.row(&kept.name)).collect();
        self.truth.add_room(&kept.row(), &rows)?;
        let room = kept.room(&self.key);
        self.state().rooms.insert(kept.name.clone(), kept);
        Ok(room)
    }

    /// All rooms, by name.
    pub fn all(&self) -> Vec<Room> {
        let kept: Vec<KeptRoom> = self.state().rooms.values().cloned().collect();
        kept.iter().map(|room| room.room(&self.key)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`].
    pub fn room(&self, name: &RoomName) -> Result<Room, RoomsError> {
        let kept = self.state().rooms.get(name).cloned();
        kept.map(|room| room.room(&self.key)).ok_or(RoomsError::Unknown)
    }

    /// What is set of a room; `None` where nobody made it.
    pub fn settings(&self, name: &RoomName) -> Option<Settings> {
        self.state().rooms.get(name).map(|room| room.settings)
    }

    /// Whether somebody waits in their room's lobby until they are let in.
    pub fn has_to_knock(&self, caller: &Caller) -> bool {
        let Caller::Guest { room, .. } = caller else { return false };
        self.settings(room).is_some_and(|settings| settings.has_lobby)
    }

    /// So many people at most may be in a room; `None` where nothing is set, or nobody made it.
    pub fn people(&self, name: &RoomName) -> Option<u32> {
        self.state().rooms.get(name).and_then(|room| room.settings.people)
    }

    /// Whether a room of this name was closed for good.
    pub fn is_closed(&self, name: &RoomName) -> bool {
        self.state().closed.contains_key(name)
    }

    /// Changes what is set of a room. What somebody may not do any more they may not from now on, whether or not the disk takes it; what they
    /// may beyond that they may when it has. So it is with recordings: they are kept for longer from now on, and for a shorter time when the disk
    /// has that.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`], [`RoomsError::Invalid`]; [`RoomsError::Truth`]: what was taken away is as before when the program is started
    /// again. Changing it again tries that again.
    pub fn change(&self, name: &RoomName, change: Change) -> Result<Room, RoomsError> {
        {
            // Before it waits for whoever writes.
            let mut state = self.state();
            let kept = state.rooms.get_mut(name).ok_or(RoomsError::Unknown)?;
            let settings = change.of(&kept.settled);
            settings.check()?;
            kept.begin(&settings);
        }
        let _changing = self.changing();
        let changed = {
            let state = self.state();
            // It may have been closed meanwhile.
            let kept = state.rooms.get(name).ok_or(RoomsError::Unknown)?;
            let settings = change.of(&kept.settled);
            KeptRoom { settings, keep_since_ms: change.keep_since_ms(kept), ..kept.clone() }
        };
        let written = self.truth.change_room(&changed.row());
        let mut state = self.state();
        let kept = state.rooms.get_mut(name).ok_or(RoomsError::Unknown)?;
        match written {
            Ok(()) => {
                kept.keep_since_ms = changed.keep_since_ms;
                kept.end(changed.settings);
                Ok(kept.room(&self.key))
            }
            Err(error) => {
                kept.end(kept.settled.narrowed_to(&changed.settings));
                Err(error.into())
            }
        }
    }

    /// Closes a room for good, with its links.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`]; [`RoomsError::Truth`]: it is closed, and is there again if the program is started again before that was
    /// written down. [`Rooms::keep`] tries that again.
    pub fn close(&self, name: &RoomName, now_ms: i64) -> Result<(), RoomsError> {
        let mut state = self.state();
        // One that is closed and not written down can be tried again.
        let is_known = state.rooms.remove(name).is_some()
            || state.ended.rooms.iter().any(|(closed, _)| closed == name.as_str());
        if !is_known {
            return Err(RoomsError::Unknown);
        }
        state.close(name, now_ms);
        drop(state);
        self.keep()
    }
}
