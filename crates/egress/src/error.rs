//! What can go wrong at the start, by what the caller can do.

use std::path::PathBuf;

/// An error of starting the recorder.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The data folder cannot be used: choose another, or make it writable.
    #[error("cannot use {path} for recordings: {source}")]
    DataDir {
        /// Which folder or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No command to compose with was given.
    #[error("the compose command is empty")]
    NoComposeCommand,
}

impl EgressError {
    pub(crate) fn data_dir(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::DataDir { path, source }
    }
}
