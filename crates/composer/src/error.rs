//! Why a composition failed, by what the caller can do about it.

use std::{io, path::PathBuf};

use reelroom_take::TakeError;

/// An error of the composer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The take cannot be read: not there, damaged, or written by a newer program.
    #[error("cannot read the take: {0}")]
    Take(#[from] TakeError),
    /// A GStreamer element is not installed.
    #[error("GStreamer element `{element}` is missing; install the package {package}")]
    MissingElement {
        /// The element's factory name.
        element: &'static str,
        /// The Debian package that brings it.
        package: &'static str,
    },
    /// GStreamer itself refused: initialisation, an encoder, the label renderer.
    #[error("{element}: {reason}")]
    Element {
        /// Which element.
        element: String,
        /// What it said.
        reason: String,
    },
    /// The output file cannot be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The preset's numbers contradict each other.
    #[error("bad preset: {0}")]
    Preset(&'static str),
}

impl ComposeError {
    pub(crate) fn element(element: &str, reason: impl ToString) -> Self {
        Self::Element { element: element.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn output(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Output { path, source }
    }
}
