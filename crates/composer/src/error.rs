//! Why a composition failed, by what the caller can do about it.

use std::{io, path::PathBuf};

use reelroom_take::TakeError;
use serde::Serialize;

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
    /// The composer cannot give up its rights, though the kernel offers it: look at what the system said, or compose without.
    #[error("cannot enter the sandbox (--no-sandbox composes without it): {0}")]
    Sandbox(String),
    /// The preset's numbers contradict each other.
    #[error("bad preset: {0}")]
    Preset(&'static str),
}

/// Whom a failure is to be blamed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The take cannot be read.
    Take,
    /// The program or machine is not set up for it.
    Setup,
    /// The disk of the output.
    Disk,
    /// Media that an element did not stand.
    Media,
}

impl ComposeError {
    /// Whom it is to be blamed on.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::Take(_) => Cause::Take,
            Self::Output { .. } => Cause::Disk,
            Self::Element { .. } => Cause::Media,
            _ => Cause::Setup,
        }
    }

    /// The reason, for people who neither know nor need to know where files are.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Take(error) => format!("what was recorded cannot be read: {}", error.reason()),
            Self::Output { source, .. } if is_full(source) => "the disk is full".into(),
            Self::Output { source, .. } => {
                format!("the file cannot be written: {}", reelroom_take::said(source))
            }
            other => other.to_string(),
        }
    }

    pub(crate) fn element(element: &str, reason: impl ToString) -> Self {
        Self::Element { element: element.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn output(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Output { path, source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
