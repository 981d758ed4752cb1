//! What can go wrong with a take, by what the caller can do about it.

use std::{io, path::PathBuf};

/// An error of the take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// There is no take (yet) in this directory.
    #[error("no take in {0}")]
    NotFound(PathBuf),
    /// A take is there already.
    #[error("there is a take in {0} already")]
    AlreadyExists(PathBuf),
    /// The take was written by a newer program.
    #[error("take format {found} is newer than {}", crate::format::FORMAT_VERSION)]
    TooNew {
        /// The format found.
        found: u32,
    },
    /// The take's content is damaged in a place that is not its end.
    #[error("damaged take: {0}")]
    Damaged(String),
    /// The disk is full.
    #[error("disk full")]
    DiskFull,
    /// Writing has failed earlier.
    #[error("the take failed: {0}")]
    Failed(String),
    /// The disk or file system failed.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TakeError {
    /// The reason, for people who neither know nor need to know where files are.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::NotFound(_) => "it is not there".into(),
            Self::AlreadyExists(_) => "there is one already".into(),
            Self::TooNew { .. } => "it was recorded by a newer version of this program".into(),
            Self::Damaged(_) => "it is damaged".into(),
            Self::DiskFull => "the disk is full".into(),
            Self::Failed(reason) => reason.clone(),
            Self::Io { source, .. } => said(source),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Io { path, source },
        }
    }
}

/// What the system said, in words only: `Input/output error`.
#[must_use]
pub fn said(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
