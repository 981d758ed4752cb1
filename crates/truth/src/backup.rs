//! A copy of the database as it is at one moment, also while a program writes to it.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use crate::error::TruthError;
use crate::files::{beside, create, give_name, is_there};
use crate::open::{check_neighbours, connect, fault, is_ours, leave_log, told};

/// Copies the database into a file that is not there yet. It gets its name when it is whole and synced. The database and its log stay as
/// they are: whether they belong together is seen by whoever opens it to write.
///
/// # Errors
/// [`TruthError::Missing`], [`TruthError::Exists`], [`TruthError::Damaged`], [`TruthError::Unusable`], [`TruthError::NotCopied`].
pub fn backup(file: &Path, copy: &Path) -> Result<(), TruthError> {
    if !is_there(file) {
        return Err(TruthError::Missing(file.to_owned()));
    }
    if is_there(copy) {
        return Err(TruthError::Exists(copy.to_owned()));
    }
    let has_log = check_neighbours(file)?;
    let not_copied = |reason: String| TruthError::NotCopied { file: copy.to_owned(), reason };
    let part = Part(beside(copy, &format!(".part-{}", std::process::id())));
    // SQLite takes a name as text only.
    let Some(name) = part.0.to_str() else { return Err(not_copied("its name is no text".into())) };
    // A log that a killed program left is read with it, for which the file has to be writable.
    let from = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| told(file, &error))?;
    leave_log(&from, has_log).map_err(|error| told(file, &error))?;
    if !is_ours(&from).map_err(|error| told(file, &error))? {
        return Err(TruthError::Damaged {
            file: file.to_owned(),
            reason: "it is no database of Reelroom's".into(),
        });
    }
    create(&part.0).map_err(|error| not_copied(error.to_string()))?;
    if let Err(error) = from.execute("VACUUM INTO ?1", [name]) {
        return Err(match told(file, &error) {
            TruthError::Unusable { reason, .. } => not_copied(reason),
            damaged => damaged,
        });
    }
    drop(from);
    // What is not read back is no copy.
    let read_back = connect(&part.0, OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(|made| fault(&made));
    if let Some(reason) = read_back.map_err(|error| not_copied(error.to_string()))? {
        return Err(not_copied(reason));
    }
    match give_name(&part.0, copy) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(TruthError::Exists(copy.to_owned()))
        }
        Err(error) => Err(not_copied(error.to_string())),
    }
}

/// Goes when it has not become a copy.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
