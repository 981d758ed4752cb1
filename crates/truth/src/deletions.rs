//! What was deleted, and is not to come back: from an egress that still tells of it, or from an upload that was under way.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Truth, TruthError, alone};

/// Of what was dismissed by versions that wrote down ids alone.
pub(crate) const UNKNOWN_KEY: &str = "";

/// A recording that was deleted before it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// Where it was to stand, from the root of the store.
    pub key: String,
    /// Its local copy.
    pub file: PathBuf,
    /// Nothing of it is in the store.
    pub is_clean: bool,
    /// Bytes, where that is known.
    pub size: Option<u64>,
    /// Of the recording; empty where it is not known.
    pub id: String,
}

impl Truth {
    /// Somebody deleted a recording: what is told of it from now on is not believed, and nothing is known of it any more.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn dismiss(&self, key: &str, id: &str) -> Result<(), TruthError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.write(move |db| {
            put_dismissed(db, &key, &id)?;
            alone::remove(db, &key)
        })
        .await
    }

    /// Somebody is about to delete a recording, which is dismissed at once: whoever stores or moves it asks, and lets it go. False where
    /// it was dismissed before.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn begin_to_dismiss(&self, key: &str, id: &str) -> Result<bool, TruthError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.write(move |db| put_dismissed(db, &key, &id)).await
    }

    /// It could not be deleted, and is there as before.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn forget_dismissed(&self, key: &str, id: &str) -> Result<(), TruthError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.write(move |db| {
            let sql = "DELETE FROM dismissed_recordings WHERE id = ?1 AND key = ?2";
            db.execute(sql, [id, key]).map(drop)
        })
        .await
    }

    /// Whether somebody deleted it, so that what is told of it is not believed. Of what older versions wrote down only the id is known,
    /// and is enough for that.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn is_dismissed(&self, key: &str, id: &str) -> Result<bool, TruthError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.read(move |db| is_dismissed(db, &key, &id)).await
    }

    /// Whether somebody deleted the very recording at `key`, so that nothing of it is to be kept. An id alone is not enough: what stands
    /// beside a file of somebody else's may name any.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn is_dismissed_at(&self, key: &str, id: &str) -> Result<bool, TruthError> {
        let (key, id) = (key.to_owned(), id.to_owned());
        self.read(move |db| {
            db.prepare_cached("SELECT 1 FROM dismissed_recordings WHERE id = ?1 AND key = ?2")?
                .exists([id, key])
        })
        .await
    }

    /// Somebody deleted what was to be stored.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn discard(
        &self,
        key: &str,
        file: &Path,
        size: Option<u64>,
        id: &str,
    ) -> Result<(), TruthError> {
        let (key, file, id) = (key.to_owned(), file.to_owned(), id.to_owned());
        let gone = Discarded { key, file, is_clean: false, size, id };
        self.write(move |db| {
            put_discarded(db, &gone)?;
            db.execute("DELETE FROM waiting_uploads WHERE key = ?1", [&gone.key]).map(drop)
        })
        .await
    }

    /// What an upload has left of it in the store is deleted.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn discarded_is_clean(&self, key: &str) -> Result<(), TruthError> {
        let key = key.to_owned();
        self.write(move |db| {
            db.execute("UPDATE discarded_uploads SET is_clean = TRUE WHERE key = ?1", [key]).map(drop)
        })
        .await
    }

    /// It has been stored after all.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn forget_discarded(&self, key: &str) -> Result<(), TruthError> {
        let key = key.to_owned();
        self.write(move |db| db.execute("DELETE FROM discarded_uploads WHERE key = ?1", [key]).map(drop))
            .await
    }

    /// Whether a local copy was to be stored there, and is not any more. It is known by its name: its folder may have been moved, or be
    /// spelled in another way.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn is_discarded(&self, key: &str, file: &Path) -> Result<bool, TruthError> {
        let (key, name) = (key.to_owned(), file.file_name().map(ToOwned::to_owned));
        self.read(move |db| {
            let known: Option<Vec<u8>> = db
                .prepare_cached("SELECT file FROM discarded_uploads WHERE key = ?1")?
                .query_row([key], |row| row.get(0))
                .optional()?;
            let known = known.map(|file| PathBuf::from(OsString::from_vec(file)));
            Ok(known.is_some_and(|known| known.file_name().is_some() && known.file_name() == name.as_deref()))
        })
        .await
    }

    /// All that were deleted before they were stored, and whose local copies there may still be.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn discarded(&self) -> Result<Vec<Discarded>, TruthError> {
        self.read_now(discarded)
    }

    /// Those of which the store may still have something.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub async fn unclean(&self) -> Result<Vec<Discarded>, TruthError> {
        let all = self.read(discarded).await?;
        Ok(all.into_iter().filter(|gone| !gone.is_clean).collect())
    }

    /// Forgets failures that somebody deleted although this database was not asked: under a version that does not know it. `id_of` tells
    /// of whom it is what is known.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn forget_dismissed_failures(
        &self,
        id_of: impl Fn(&[u8]) -> Option<String>,
    ) -> Result<(), TruthError> {
        let failed = self.failed_alone()?;
        let dismissed = self.read_now(|db| {
            let mut dismissed = Vec::new();
            for one in &failed {
                if let Some(id) = id_of(&one.about)
                    && is_dismissed(db, &one.key, &id)?
                {
                    dismissed.push(&one.key);
                }
            }
            Ok(dismissed)
        })?;
        if dismissed.is_empty() {
            return Ok(());
        }
        self.write_now(|db| dismissed.iter().try_for_each(|key| alone::remove(db, key)))
    }

    /// Forgets those of which nothing is left anywhere.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn forget_discarded_without(&self, is_there: impl Fn(&Path) -> bool) -> Result<(), TruthError> {
        let mut all = self.discarded()?;
        all.retain(|gone| gone.is_clean && !is_there(&gone.file));
        if all.is_empty() {
            return Ok(());
        }
        self.write_now(|db| {
            let mut forget = db.prepare_cached("DELETE FROM discarded_uploads WHERE key = ?1")?;
            all.iter().try_for_each(|gone| forget.execute([&gone.key]).map(drop))
        })
    }
}

/// False for one that is there already.
pub(crate) fn put_dismissed(db: &Connection, key: &str, id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("INSERT OR IGNORE INTO dismissed_recordings (id, key) VALUES (?1, ?2)")?
        .execute([id, key])
        .map(|count| count > 0)
}

pub(crate) fn is_dismissed(db: &Connection, key: &str, id: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM dismissed_recordings WHERE id = ?1 AND key IN (?2, '')")?
        .exists([id, key])
}

pub(crate) fn put_discarded(db: &Connection, gone: &Discarded) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO discarded_uploads (key, file, is_clean, size, id) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        gone.key,
        gone.file.as_os_str().as_bytes(),
        gone.is_clean,
        gone.size.and_then(|size| i64::try_from(size).ok()),
        gone.id,
    ])
    .map(drop)
}

fn discarded(db: &Connection) -> rusqlite::Result<Vec<Discarded>> {
    db.prepare_cached("SELECT key, file, is_clean, size, id FROM discarded_uploads")?
        .query_map([], |row| {
            let file = PathBuf::from(OsString::from_vec(row.get(1)?));
            let size = row.get::<_, Option<i64>>(3)?.and_then(|size| u64::try_from(size).ok());
            Ok(Discarded { key: row.get(0)?, file, is_clean: row.get(2)?, size, id: row.get(4)? })
        })?
        .collect()
}
