//! The index's file, and who writes to it. Whoever deletes it while the program runs deletes nothing: it is written anew as it was.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::{connect, open, throw_away};

pub(super) struct Home {
    file: PathBuf,
    writer: Mutex<Connection>,
    /// How often it was written anew: whoever reads opens it again then.
    moves: AtomicU64,
}

impl Home {
    /// Opens the file, or makes it.
    pub(super) fn open(file: &Path) -> rusqlite::Result<Self> {
        let writer = Mutex::new(open(file)?);
        Ok(Self { file: file.to_owned(), writer, moves: AtomicU64::new(0) })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.stay();
        work(&mut self.writer())
    }

    /// Sees to it that the file is there, and says how often it was written anew.
    pub(super) fn stay(&self) -> u64 {
        if self.is_away() {
            let mut writer = self.writer();
            // Somebody else may have done it meanwhile.
            if self.is_away() {
                match write_anew(&mut writer, &self.file) {
                    Ok(()) => {
                        tracing::warn!(file = %self.file.display(), "the index was deleted, and is written anew");
                        self.moves.fetch_add(1, Ordering::AcqRel);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the index was deleted, and cannot be written anew");
                    }
                }
            }
        }
        self.moves.load(Ordering::Acquire)
    }

    fn is_away(&self) -> bool {
        fs::symlink_metadata(&self.file).is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().expect("no code panics while it holds the index")
    }
}

/// A deleted file is still there for whoever has it open.
fn write_anew(writer: &mut Connection, file: &Path) -> rusqlite::Result<()> {
    let new = file.with_extension("db.new");
    throw_away(&new);
    // SQLite takes a name as text only.
    let name = new.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(new.clone()))?;
    writer.execute("VACUUM INTO ?1", [name])?;
    // What stood beside the deleted one belongs to no other, and the old connection is not to delete what the new one has by that name.
    throw_away(file);
    writer.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    fs::rename(&new, file).map_err(|_| rusqlite::Error::InvalidPath(new.clone()))?;
    // What nobody writes to is not to be read either.
    *writer = connect(file).inspect_err(|_| throw_away(file))?;
    Ok(())
}
