//! Rooms that the owner made, the links into them, and the names of those that are closed for good.

use rusqlite::{Connection, params};

use crate::{Truth, TruthError};

/// A room that the owner made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its name, which no other room has, had or will have.
    pub name: String,
    /// What a guest may do there besides joining: words without spaces.
    pub guests: Vec<String>,
    /// What a host may do there besides what every host may: words without spaces.
    pub hosts: Vec<String>,
    /// So many people at most.
    pub people: Option<u32>,
    /// Whether guests wait until a host lets them in.
    pub has_lobby: bool,
    /// Whether people are recorded only if they agree.
    pub asks_consent: bool,
    /// How its recordings look: a word.
    pub layout: Option<String>,
    /// For how many days its recordings are kept.
    pub keep_days: Option<u32>,
    /// Unix milliseconds: when that was set, or made shorter, the last time; 0 where it never was.
    pub keep_since_ms: i64,
    /// Unix milliseconds.
    pub made_ms: i64,
}

/// A link into a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomLink {
    /// No secret; no other link had it.
    pub id: String,
    /// The name of the room.
    pub room: String,
    /// For whom it is: a word. A room has one link for each at most.
    pub role: String,
    /// What its secret is derived from, together with a key that does not stand here.
    pub nonce: [u8; 32],
    /// Of the secret in it.
    pub secret_sha256: [u8; 32],
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: Option<i64>,
}

/// What is over, and is to be written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The ids of links that were revoked.
    pub links: Vec<String>,
    /// The names of rooms that were closed for good, each with Unix milliseconds.
    pub rooms: Vec<(String, i64)>,
}

impl Ended {
    /// Whether there is nothing to write down.
    pub fn is_nothing(&self) -> bool {
        self.links.is_empty() && self.rooms.is_empty()
    }
}

impl Truth {
    /// All rooms.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn rooms(&self) -> Result<Vec<Room>, TruthError> {
        let words = |text: String| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT name, guests, hosts, people, lobby, consent, layout, keep_days, made_ms, keep_since_ms \
                 FROM rooms",
            )?
            .query_map([], |row| {
                Ok(Room {
                    name: row.get(0)?,
                    guests: words(row.get(1)?),
                    hosts: words(row.get(2)?),
                    people: row.get(3)?,
                    has_lobby: row.get(4)?,
                    asks_consent: row.get(5)?,
                    layout: row.get(6)?,
                    keep_days: row.get(7)?,
                    made_ms: row.get(8)?,
                    keep_since_ms: row.get(9)?,
                })
            })?
            .collect()
        })
    }

    /// All links into rooms, those that are over by their time too.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn room_links(&self) -> Result<Vec<RoomLink>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT id, room, role, nonce, secret_sha256, made_ms, expires_ms FROM room_links",
            )?
            .query_map([], |row| {
                Ok(RoomLink {
                    id: row.get(0)?,
                    room: row.get(1)?,
                    role: row.get(2)?,
                    nonce: row.get(3)?,
                    secret_sha256: row.get(4)?,
                    made_ms: row.get(5)?,
                    expires_ms: row.get(6)?,
                })
            })?
            .collect()
        })
    }

    /// The names of rooms that are closed for good, each with Unix milliseconds.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn closed_rooms(&self) -> Result<Vec<(String, i64)>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT name, closed_ms FROM closed_rooms")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Keeps a new room with its links.
    ///
    /// # Errors
    /// [`TruthError::Failed`]; also where its name is taken.
    pub fn add_room(&self, room: &Room, links: &[RoomLink]) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached(
                "INSERT INTO rooms (name, guests, hosts, people, lobby, consent, layout, keep_days, made_ms, keep_since_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                room.name,
                room.guests.join(" "),
                room.hosts.join(" "),
                room.people,
                room.has_lobby,
                room.asks_consent,
                room.layout,
                room.keep_days,
                room.made_ms,
                room.keep_since_ms
            ])?;
            links.iter().try_for_each(|link| put_link(db, link))
        })
    }

    /// Keeps what is set of a room. One that is not there any more does not come back by it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn change_room(&self, room: &Room) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached(
                "UPDATE rooms SET guests = ?2, hosts = ?3, people = ?4, lobby = ?5, consent = ?6, layout = ?7, \
                 keep_days = ?8, keep_since_ms = ?9 WHERE name = ?1",
            )?
            .execute(params![
                room.name,
                room.guests.join(" "),
                room.hosts.join(" "),
                room.people,
                room.has_lobby,
                room.asks_consent,
                room.layout,
                room.keep_days,
                room.keep_since_ms
            ])
            .map(drop)
        })
    }

    /// Keeps a link in the place of the one before for the same role.
    ///
    /// # Errors
    /// [`TruthError::Failed`]; also where its room is not there any more.
    pub fn renew_room_link(&self, link: &RoomLink) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.execute(
                "DELETE FROM room_links WHERE room = ?1 AND role = ?2",
                params![link.room, link.role],
            )?;
            put_link(db, link)
        })
    }

    /// Writes down what is over. A room that is closed keeps nothing but its name.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn end_rooms(&self, ended: &Ended) -> Result<(), TruthError> {
        self.write_now(|db| {
            for id in &ended.links {
                db.prepare_cached("DELETE FROM room_links WHERE id = ?1")?.execute([id])?;
            }
            for (name, closed_ms) in &ended.rooms {
                db.execute("DELETE FROM room_links WHERE room = ?1", [name])?;
                db.execute("DELETE FROM room_recordings WHERE room = ?1", [name])?;
                db.execute("DELETE FROM rooms WHERE name = ?1", [name])?;
                db.execute(
                    "INSERT OR IGNORE INTO closed_rooms (name, closed_ms) VALUES (?1, ?2)",
                    params![name, closed_ms],
                )?;
            }
            Ok(())
        })
    }
}

fn put_link(db: &Connection, link: &RoomLink) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO room_links (id, room, role, nonce, secret_sha256, made_ms, expires_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        link.id,
        link.room,
        link.role,
        link.nonce,
        link.secret_sha256,
        link.made_ms,
        link.expires_ms,
    ])
    .map(drop)
}
