//! Where the owner is signed in, and when it was last seen that somebody used it.

use rusqlite::{Connection, params};

use crate::{Truth, TruthError};

/// One place where the owner is signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// No secret.
    pub id: String,
    /// Of the token that its browser shows.
    pub token_sha256: [u8; 32],
    /// Unix milliseconds.
    pub begun_ms: i64,
    /// Unix milliseconds of the last request that is written down.
    pub seen_ms: i64,
    /// Where it began, if that can be told.
    pub address: Option<String>,
    /// What its browser calls itself.
    pub agent: String,
}

/// A session begins.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// The new one.
    pub session: &'a Session,
    /// The one that makes room for it.
    pub instead_of: Option<&'a str>,
    /// The owner's password hashed in another way, where that is to be kept.
    pub password: Option<&'a str>,
}

/// What happened to sessions and API keys since it was last written down, each with Unix milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Happened {
    /// Sessions that were used.
    pub seen: Vec<(String, i64)>,
    /// Sessions that ended.
    pub ended: Vec<String>,
    /// API keys that were used.
    pub used: Vec<(String, i64)>,
    /// API keys that were revoked.
    pub revoked: Vec<(String, i64)>,
}

impl Happened {
    /// Whether there is nothing to write down.
    pub fn is_nothing(&self) -> bool {
        self.seen.is_empty() && self.ended.is_empty() && self.used.is_empty() && self.revoked.is_empty()
    }
}

impl Truth {
    /// All sessions, expired ones too.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn sessions(&self) -> Result<Vec<Session>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT id, token_sha256, begun_ms, seen_ms, address, agent FROM sessions")?
                .query_map([], |row| {
                    Ok(Session {
                        id: row.get(0)?,
                        token_sha256: row.get(1)?,
                        begun_ms: row.get(2)?,
                        seen_ms: row.get(3)?,
                        address: row.get(4)?,
                        agent: row.get(5)?,
                    })
                })?
                .collect()
        })
    }

    /// A session begins.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn begin_session(&self, begin: Begin<'_>) -> Result<(), TruthError> {
        self.write_now(|db| {
            if let Some(id) = begin.instead_of {
                remove(db, id)?;
            }
            if let Some(password) = begin.password {
                db.execute("UPDATE owner SET password = ?1", [password])?;
            }
            put(db, begin.session)
        })
    }

    /// Writes down what happened. What is not there any more does not come back by it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn keep_happened(&self, happened: &Happened) -> Result<(), TruthError> {
        self.write_now(|db| {
            happened.ended.iter().try_for_each(|id| remove(db, id))?;
            each(db, "UPDATE sessions SET seen_ms = max(seen_ms, ?2) WHERE id = ?1", &happened.seen)?;
            let used = "UPDATE api_keys SET used_ms = max(ifnull(used_ms, ?2), ?2) WHERE id = ?1";
            each(db, used, &happened.used)?;
            let revoked = "UPDATE api_keys SET revoked_ms = ifnull(revoked_ms, ?2) WHERE id = ?1";
            each(db, revoked, &happened.revoked)
        })
    }
}

fn each(db: &Connection, sql: &str, of: &[(String, i64)]) -> rusqlite::Result<()> {
    let mut update = db.prepare_cached(sql)?;
    of.iter().try_for_each(|(id, at_ms)| update.execute(params![id, at_ms]).map(drop))
}

pub(crate) fn put(db: &Connection, session: &Session) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO sessions (id, token_sha256, begun_ms, seen_ms, address, agent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        session.id,
        session.token_sha256,
        session.begun_ms,
        session.seen_ms,
        session.address,
        session.agent,
    ])
    .map(drop)
}

fn remove(db: &Connection, id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM sessions WHERE id = ?1")?.execute([id]).map(drop)
}
