//! What is known nowhere else than in the index, and outlives the rest of it: what waits to be stored, what was deleted before it was,
//! and which uploads are under way.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{Index, index_error, stored};
use crate::error::LibraryError;
use crate::outbox::Waiting;

/// A recording that was deleted before it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discarded {
    pub(crate) key: String,
    /// Its local copy.
    pub(crate) file: PathBuf,
    /// Nothing of it is in the store.
    pub(crate) is_clean: bool,
    /// Bytes, where that is known.
    pub(crate) size: Option<u64>,
    /// Of the recording; empty where it is not known.
    pub(crate) id: String,
}

impl Index {
    /// What waits to be stored.
    pub(crate) fn outbox(&self) -> Result<Vec<Waiting>, LibraryError> {
        let db = self.connection.lock().expect("no code panics while it holds the index");
        let read = || {
            db.prepare_cached(
                "SELECT key, file, size, attempts, last_error, failing_since_ms, next_try_at_ms FROM outbox",
            )?
            .query_map([], |row| {
                Ok(Waiting {
                    key: row.get(0)?,
                    file: PathBuf::from(OsString::from_vec(row.get(1)?)),
                    size: row.get::<_, i64>(2)?.unsigned_abs(),
                    attempts: row.get(3)?,
                    last_error: row.get(4)?,
                    failing_since_ms: row.get(5)?,
                    next_try_at_ms: row.get(6)?,
                })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(index_error)
    }

    /// Writes down what waits to be stored.
    pub(crate) async fn keep_waiting(&self, waiting: Waiting) -> Result<(), LibraryError> {
        self.run(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
                params![
                    waiting.key,
                    waiting.file.as_os_str().as_bytes(),
                    stored(Some(waiting.size)),
                    waiting.attempts,
                    waiting.last_error,
                    waiting.failing_since_ms,
                    waiting.next_try_at_ms,
                ],
            )
        })
        .await?;
        Ok(())
    }

    /// It waits no longer.
    pub(crate) async fn forget_waiting(&self, key: &str) -> Result<(), LibraryError> {
        let key = key.to_owned();
        self.run(move |db| db.execute("DELETE FROM outbox WHERE key = ?1", params![key])).await?;
        Ok(())
    }

    /// Somebody deleted what was to be stored.
    pub(crate) async fn discard(
        &self,
        key: &str,
        file: &Path,
        size: Option<u64>,
        id: &str,
    ) -> Result<(), LibraryError> {
        let (key, file, id) = (key.to_owned(), file.to_owned(), id.to_owned());
        let size = size.and_then(|size| i64::try_from(size).ok());
        self.run(move |db| {
            let change = db.transaction()?;
            change.execute(
                "INSERT OR REPLACE INTO discarded (key, file, is_clean, size, id) VALUES (?1, ?2, FALSE, ?3, ?4)",
                params![key, file.as_os_str().as_bytes(), size, id],
            )?;
            change.execute("DELETE FROM outbox WHERE key = ?1", params![key])?;
            change.commit()
        })
        .await
    }

    /// What an upload has left of it in the store is deleted.
    pub(crate) async fn discarded_is_clean(&self, key: &str) -> Result<(), LibraryError> {
        let key = key.to_owned();
        self.run(move |db| db.execute("UPDATE discarded SET is_clean = TRUE WHERE key = ?1", params![key]))
            .await?;
        Ok(())
    }

    pub(crate) async fn forget_discarded(&self, key: &str) -> Result<(), LibraryError> {
        let key = key.to_owned();
        self.run(move |db| db.execute("DELETE FROM discarded WHERE key = ?1", params![key])).await?;
        Ok(())
    }

    pub(crate) async fn is_discarded(&self, key: &str, file: &Path) -> Result<bool, LibraryError> {
        let (key, file) = (key.to_owned(), file.to_owned());
        self.run(move |db| {
            db.prepare_cached("SELECT 1 FROM discarded WHERE key = ?1 AND file = ?2")?
                .exists(params![key, file.as_os_str().as_bytes()])
        })
        .await
    }

    /// All that were deleted before they were stored, and whose local copies there may still be.
    pub(crate) fn discarded(&self) -> Result<Vec<Discarded>, LibraryError> {
        let db = self.connection.lock().expect("no code panics while it holds the index");
        discarded(&db).map_err(index_error)
    }

    pub(crate) async fn unclean(&self) -> Result<Vec<Discarded>, LibraryError> {
        let all = self.run(|db| discarded(db)).await?;
        Ok(all.into_iter().filter(|gone| !gone.is_clean).collect())
    }

    /// Forgets those of which nothing is left anywhere.
    pub(crate) fn forget_discarded_without(
        &self,
        is_there: impl Fn(&Path) -> bool,
    ) -> Result<(), LibraryError> {
        for gone in self.discarded()?.into_iter().filter(|gone| gone.is_clean && !is_there(&gone.file)) {
            let db = self.connection.lock().expect("no code panics while it holds the index");
            db.execute("DELETE FROM discarded WHERE key = ?1", params![gone.key]).map_err(index_error)?;
        }
        Ok(())
    }

    pub(crate) async fn add_multipart(
        &self,
        place: &'static str,
        key: &str,
        id: &str,
    ) -> Result<(), LibraryError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.run(move |db| {
            db.execute(
                "INSERT OR REPLACE INTO multipart_uploads (place, id, key) VALUES (?1, ?2, ?3)",
                params![place, id, key],
            )
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn remove_multipart(&self, place: &'static str, id: &str) -> Result<(), LibraryError> {
        let id = id.to_owned();
        self.run(move |db| {
            db.execute("DELETE FROM multipart_uploads WHERE place = ?1 AND id = ?2", params![place, id])
        })
        .await?;
        Ok(())
    }

    /// Keys and ids of the uploads that are under way, or were left.
    pub(crate) async fn multiparts(
        &self,
        place: &'static str,
    ) -> Result<Vec<(String, String)>, LibraryError> {
        self.run(move |db| {
            db.prepare_cached("SELECT key, id FROM multipart_uploads WHERE place = ?1")?
                .query_map(params![place], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }
}

fn discarded(db: &Connection) -> rusqlite::Result<Vec<Discarded>> {
    db.prepare_cached("SELECT key, file, is_clean, size, id FROM discarded")?
        .query_map([], |row| {
            let file = PathBuf::from(OsString::from_vec(row.get(1)?));
            let size = row.get::<_, Option<i64>>(3)?.and_then(|size| u64::try_from(size).ok());
            Ok(Discarded { key: row.get(0)?, file, is_clean: row.get(2)?, size, id: row.get(4)? })
        })?
        .collect()
}
