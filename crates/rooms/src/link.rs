//! The links into a room: one for hosts, one for guests.
//!
//! # Invariants
//!
//! - A link that is renewed is another one, with another id: what was made for the one before is worth nothing.
//! - A link is over when it is revoked, renewed or expired, or its room is closed.

use std::fmt;

use rand::{CryptoRng, Rng as _};
use reelroom_access::Caller;
use reelroom_protocol::ids::RoomName;

use crate::Rooms;
use crate::error::RoomsError;
use crate::role::Role;
use crate::room::Room;
use crate::secret::{Key, Secret, Shown, is_same};
use crate::state::State;

const PREFIX: &str = "RL_";
/// Digits and letters that cannot be taken for one another.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const RANDOM_CHARACTERS: usize = 12;

/// A link into a room, `RL_…`. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(String);

impl LinkId {
    /// The id as a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text has the form of one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    fn new(rng: &mut impl CryptoRng) -> Self {
        Self(random_id(PREFIX, rng))
    }
}

/// An id that is no secret, and that no two have.
pub(crate) fn random_id(prefix: &str, rng: &mut impl CryptoRng) -> String {
    let random = (0..RANDOM_CHARACTERS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]));
    prefix.chars().chain(random).collect()
}

impl From<&str> for LinkId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A link as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which.
    pub id: LinkId,
    /// For whom.
    pub role: Role,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds; `None`: it lasts until it is revoked.
    pub expires_ms: Option<i64>,
    /// What it has in it; `None` where it was made with another key of the data folder: it opens its room, and cannot be shown.
    pub secret: Option<Shown>,
}

/// A link takes the place of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// Of this room.
    pub room: &'a RoomName,
    /// For whom.
    pub role: Role,
    /// Unix milliseconds; `None`: it lasts until it is revoked.
    pub expires_ms: Option<i64>,
}

/// A link as it is kept.
#[derive(Clone)]
pub(crate) struct KeptLink {
    pub(crate) id: LinkId,
    pub(crate) role: Role,
    nonce: [u8; 32],
    secret_sha256: [u8; 32],
    made_ms: i64,
    expires_ms: Option<i64>,
}

impl KeptLink {
    pub(crate) fn new(
        key: &Key,
        role: Role,
        expires_ms: Option<i64>,
        now_ms: i64,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, RoomsError> {
        if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Err(RoomsError::Invalid("the link would have expired already".into()));
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let secret_sha256 = key.secret(&nonce).sha256();
        Ok(Self { id: LinkId::new(rng), role, nonce, secret_sha256, made_ms: now_ms, expires_ms })
    }

    /// `None` for a role that no version of ours writes.
    pub(crate) fn read(row: reelroom_truth::RoomLink) -> Option<Self> {
        Some(Self {
            id: LinkId(row.id),
            role: Role::of_word(&row.role)?,
            nonce: row.nonce,
            secret_sha256: row.secret_sha256,
            made_ms: row.made_ms,
            expires_ms: row.expires_ms,
        })
    }

    pub(crate) fn row(&self, room: &RoomName) -> reelroom_truth::RoomLink {
        reelroom_truth::RoomLink {
            id: self.id.0.clone(),
            room: room.as_str().to_owned(),
            role: self.role.word().to_owned(),
            nonce: self.nonce,
            secret_sha256: self.secret_sha256,
            made_ms: self.made_ms,
            expires_ms: self.expires_ms,
        }
    }

    pub(crate) fn link(&self, key: &Key) -> Link {
        let secret = key.secret(&self.nonce);
        Link {
            id: self.id.clone(),
            role: self.role,
            made_ms: self.made_ms,
            expires_ms: self.expires_ms,
            secret: is_same(&secret.sha256(), &self.secret_sha256).then(|| secret.shown()),
        }
    }

    fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    }
}

impl Rooms {
    /// The link of a secret that somebody shows, if it opens its room.
    pub fn shown(&self, secret: &str, now_ms: i64) -> Option<LinkId> {
        let sha256 = Secret::parse(secret)?.sha256();
        let state = self.state();
        let mut links = state.rooms.values().flat_map(|room| &room.links);
        let link = links.find(|link| is_same(&link.secret_sha256, &sha256))?;
        (!link.is_expired(now_ms)).then(|| link.id.clone())
    }

    /// Who comes by a link, with what it grants now; `None` once it is over.
    pub fn caller(&self, link: &LinkId, now_ms: i64) -> Option<Caller> {
        let state = self.state();
        state.rooms.values().find_map(|room| {
            let link = room.links.iter().find(|kept| kept.id == *link && !kept.is_expired(now_ms))?;
            Some(link.role.caller(room.name.clone(), room.settings.of(link.role)))
        })
    }

    /// The rooms into which a link expired after the one time and up to the other.
    pub fn expired_between(&self, after_ms: i64, until_ms: i64) -> Vec<RoomName> {
        let has_expired = |link: &KeptLink| link.is_expired(until_ms) && !link.is_expired(after_ms);
        let state = self.state();
        let rooms = state.rooms.values().filter(|room| room.links.iter().any(has_expired));
        rooms.map(|room| room.name.clone()).collect()
    }

    /// Makes a link into a room, in the place of the one before for the same role: that one opens nothing from now on, whether or not the
    /// disk takes the new one.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`], [`RoomsError::Invalid`], [`RoomsError::Truth`].
    pub fn renew(
        &self,
        renewal: Renewal<'_>,
        now_ms: i64,
        rng: &mut impl CryptoRng,
    ) -> Result<Room, RoomsError> {
        let Renewal { room: name, role, expires_ms } = renewal;
        let link = KeptLink::new(&self.key, role, expires_ms, now_ms, rng)?;
        // Before it waits for whoever writes.
        self.state().end_link(name, role);
        let _changing = self.changing();
        let mut state = self.state();
        if !state.rooms.contains_key(name) {
            return Err(RoomsError::Unknown);
        }
        state.end_link(name, role);
        drop(state);
        self.truth.renew_room_link(&link.row(name))?;
        let mut state = self.state();
        let kept = state.rooms.get_mut(name).ok_or(RoomsError::Unknown)?;
        kept.links.push(link);
        Ok(kept.room(&self.key))
    }

    /// Revokes the link for a role, if there is one.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`]; [`RoomsError::Truth`]: it is revoked, and opens its room again if the program is started again before that
    /// was written down. Revoking it again, or [`Rooms::keep`], tries that again.
    pub fn revoke(&self, name: &RoomName, role: Role) -> Result<Room, RoomsError> {
        let mut state = self.state();
        state.end_link(name, role);
        let room = state.rooms.get(name).ok_or(RoomsError::Unknown)?.room(&self.key);
        drop(state);
        self.keep()?;
        Ok(room)
    }
}

impl State {
    /// Ends a link at once; that is written down later.
    fn end_link(&mut self, name: &RoomName, role: Role) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let gone = room.links.extract_if(.., |link| link.role == role);
        self.ended.links.extend(gone.map(|link| link.id.0));
    }
}
