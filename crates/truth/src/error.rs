//! What can go wrong, by what the caller can do.

use std::path::PathBuf;

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// It cannot be read: put a copy in its place, or move it aside.
    #[error(
        "{file} is damaged and was left as it is: {reason}. Nothing else knows what stands in it: put a copy that 'reelroom backup' made \
         in its place, or move it aside to begin without it; files of its name that end in -wal, -shm or -journal go aside in both cases",
        file = file.display()
    )]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version wrote it: start that one.
    #[error(
        "{file} was written by a newer version of Reelroom and was left as it is (it is at step {found}, this version knows {known}): \
         start that version, or put a copy from before it in its place",
        file = file.display()
    )]
    Newer {
        /// Which.
        file: PathBuf,
        /// Its step.
        found: usize,
        /// The last one that is known here.
        known: usize,
    },
    /// An older version wrote it, and may be using it: start this version's server first.
    #[error(
        "{file} was written by an older version of Reelroom, which may be running, and was left as it is (it is at step {found}, this \
         version is at {known}): start this version's server first",
        file = file.display()
    )]
    Older {
        /// Which.
        file: PathBuf,
        /// Its step.
        found: usize,
        /// The one of this version.
        known: usize,
    },
    /// It cannot be opened or made: look at the folder and its disk.
    #[error("{file} cannot be used: {reason}", file = file.display())]
    Unusable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// A read or a write fails, and changed nothing: look at the data folder's disk.
    #[error("the database truth.db fails: {0}")]
    Failed(String),
    /// There is nothing to copy: a program makes it at its first start.
    #[error("there is no {file} to copy: is this the data folder, and was Reelroom started there?", file = .0.display())]
    Missing(PathBuf),
    /// The copy would replace a file: choose another name.
    #[error("{file} is there already, and nothing is replaced: choose another name for the copy", file = .0.display())]
    Exists(PathBuf),
    /// The copy cannot be written: look at its folder and disk.
    #[error("the copy {file} cannot be made: {reason}", file = file.display())]
    NotCopied {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

impl From<rusqlite::Error> for TruthError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
