//! What is known of recordings beside which nothing in the store tells of them: applications that want nothing beside their files, and
//! failures that the store did not take.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Truth, TruthError};

/// What is known of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alone {
    /// Where it stands, or was to stand, from the root of the store.
    pub key: String,
    /// No file came out of it.
    pub is_failed: bool,
    /// As the library writes it.
    pub about: Vec<u8>,
}

impl Truth {
    /// Keeps what is known of a recording. What is known already costs nothing.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn keep_alone(&self, alone: Alone) -> Result<(), TruthError> {
        self.write(move |db| put(db, &alone.key, alone.is_failed, &alone.about)).await
    }

    /// It is gone, or something in the store tells of it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn forget_alone(&self, key: &str) -> Result<(), TruthError> {
        let key = key.to_owned();
        self.write(move |db| remove(db, &key)).await
    }

    /// What is known of the file at `key`.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn alone(&self, key: &str) -> Result<Option<Vec<u8>>, TruthError> {
        let key = key.to_owned();
        self.read(move |db| {
            db.prepare_cached("SELECT about FROM recordings_alone WHERE key = ?1 AND NOT is_failed")?
                .query_row([key], |row| row.get(0))
                .optional()
        })
        .await
    }

    /// The keys of all, and whether they are failures.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn all_alone(&self) -> Result<Vec<(String, bool)>, TruthError> {
        self.read(|db| {
            db.prepare_cached("SELECT key, is_failed FROM recordings_alone")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    /// Those of which no file came out.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn failed_alone(&self) -> Result<Vec<Alone>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT key, is_failed, about FROM recordings_alone WHERE is_failed")?
                .query_map([], |row| {
                    Ok(Alone { key: row.get(0)?, is_failed: row.get(1)?, about: row.get(2)? })
                })?
                .collect()
        })
    }
}

pub(crate) fn put(db: &Connection, key: &str, is_failed: bool, about: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO recordings_alone (key, is_failed, about) VALUES (?1, ?2, ?3) \
         ON CONFLICT (key) DO UPDATE SET is_failed = excluded.is_failed, about = excluded.about \
         WHERE is_failed <> excluded.is_failed OR about <> excluded.about",
    )?
    .execute(params![key, is_failed, about])
    .map(drop)
}

pub(crate) fn remove(db: &Connection, key: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM recordings_alone WHERE key = ?1")?.execute([key]).map(drop)
}
