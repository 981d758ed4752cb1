//! What waits to be stored, and which uploads are under way.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use rusqlite::{Connection, Row, params};

use crate::{Truth, TruthError, alone};

/// A file that is not in the store yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Where it is to stand, from the root of the store.
    pub key: String,
    /// The local copy.
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Tries so far.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// Unix milliseconds of the first failure.
    pub failing_since_ms: Option<i64>,
    /// Unix milliseconds.
    pub next_try_at_ms: Option<i64>,
    /// What is known of it, as the library writes it.
    pub about: Option<Vec<u8>>,
}

/// An upload in parts that a store keeps until it is ended or aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// Which store.
    pub place: String,
    /// What is uploaded, from the root of the store.
    pub key: String,
    /// The store's own name for it.
    pub id: String,
}

impl Truth {
    /// What waits to be stored.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn waiting(&self) -> Result<Vec<Waiting>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT key, file, size, attempts, last_error, failing_since_ms, next_try_at_ms, about FROM waiting_uploads",
            )?
            .query_map([], waiting)?
            .collect()
        })
    }

    /// Writes down what waits to be stored.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn keep_waiting(&self, waiting: Waiting) -> Result<(), TruthError> {
        self.write(move |db| put_waiting(db, &waiting)).await
    }

    /// It waits no longer, and nothing came of it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn forget_waiting(&self, key: &str) -> Result<(), TruthError> {
        let key = key.to_owned();
        self.write(move |db| db.execute("DELETE FROM waiting_uploads WHERE key = ?1", [key]).map(drop)).await
    }

    /// It is stored, with something beside it that tells of it, or with what is known here `alone`.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn stored(&self, key: &str, alone: Option<Vec<u8>>) -> Result<(), TruthError> {
        let key = key.to_owned();
        self.write(move |db| {
            db.execute("DELETE FROM waiting_uploads WHERE key = ?1", [&key])?;
            db.execute("DELETE FROM discarded_uploads WHERE key = ?1", [&key])?;
            match alone {
                Some(about) => alone::put(db, &key, false, &about),
                None => alone::remove(db, &key),
            }
        })
        .await
    }

    /// An upload in parts begins.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn add_multipart(&self, place: &'static str, key: &str, id: &str) -> Result<(), TruthError> {
        let multipart = Multipart { place: place.to_owned(), key: key.to_owned(), id: id.to_owned() };
        self.write(move |db| put_multipart(db, &multipart)).await
    }

    /// It has ended.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn remove_multipart(&self, place: &'static str, id: &str) -> Result<(), TruthError> {
        let id = id.to_owned();
        self.write(move |db| {
            let sql = "DELETE FROM multipart_uploads WHERE place = ?1 AND id = ?2";
            db.execute(sql, params![place, id]).map(drop)
        })
        .await
    }

    /// Those that are under way in a store, or were left there.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn multiparts(&self, place: &'static str) -> Result<Vec<Multipart>, TruthError> {
        self.read(move |db| {
            db.prepare_cached("SELECT place, key, id FROM multipart_uploads WHERE place = ?1")?
                .query_map([place], |row| {
                    Ok(Multipart { place: row.get(0)?, key: row.get(1)?, id: row.get(2)? })
                })?
                .collect()
        })
        .await
    }
}

pub(crate) fn put_waiting(db: &Connection, waiting: &Waiting) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO waiting_uploads VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            waiting.key,
            waiting.file.as_os_str().as_bytes(),
            i64::try_from(waiting.size).unwrap_or(i64::MAX),
            waiting.attempts,
            waiting.last_error,
            waiting.failing_since_ms,
            waiting.next_try_at_ms,
            waiting.about,
        ])
        .map(drop)
}

pub(crate) fn put_multipart(db: &Connection, multipart: &Multipart) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO multipart_uploads (place, id, key) VALUES (?1, ?2, ?3)")?
        .execute(params![multipart.place, multipart.id, multipart.key])
        .map(drop)
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        key: row.get(0)?,
        file: PathBuf::from(OsString::from_vec(row.get(1)?)),
        size: row.get::<_, i64>(2)?.unsigned_abs(),
        attempts: row.get(3)?,
        last_error: row.get(4)?,
        failing_since_ms: row.get(5)?,
        next_try_at_ms: row.get(6)?,
        about: row.get(7)?,
    })
}
