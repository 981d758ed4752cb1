//! Why a store does not do what it was asked for, for people.

use super::s3::in_words;
use crate::error::LibraryError;

const MAX_REASON_CHARS: usize = 400;

/// Why a name can be none here, and what a person does about it. HTTP takes `..` out of a URL before it is sent, so that asking for
/// such a key, or deleting it, would reach another one.
pub(super) fn why_odd(name: &str) -> &'static str {
    if name.chars().any(char::is_control) {
        "its name has characters that no file's name should have (such as a tab or a line's end): rename or delete it in the store itself"
    } else if name.starts_with('/') || name.ends_with('/') || name.contains("//") {
        "its name has a folder without a name in it (\"//\"): rename or delete it in the store itself"
    } else if name.split('/').any(|part| matches!(part, "." | "..")) {
        "its name would lead elsewhere (\".\" or \"..\"): rename or delete it in the store itself"
    } else {
        "its name is too long, or one of a file in the making: rename or delete it in the store itself"
    }
}

/// Nothing can be under that name.
pub(super) fn is_nothing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

/// Why a file cannot be read.
pub(super) fn unreadable(name: &str, error: &std::io::Error) -> LibraryError {
    use rustix::io::Errno;
    let is_loop = Errno::from_io_error(error) == Some(Errno::LOOP);
    match error.kind() {
        _ if is_nothing(error) => LibraryError::NotFound(name.to_owned()),
        kind if is_loop || kind == std::io::ErrorKind::PermissionDenied => {
            LibraryError::Unreadable { name: name.to_owned(), reason: error.to_string() }
        }
        _ => LibraryError::Store(error.to_string()),
    }
}

/// Why a file cannot be written or deleted.
pub(super) fn unwritten(name: &str, error: &std::io::Error) -> LibraryError {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => LibraryError::Taken(name.to_owned()),
        _ => LibraryError::Store(error.to_string()),
    }
}

/// Why a bucket does not take an object.
pub(super) fn refused(name: &str, error: object_store::Error) -> LibraryError {
    match error {
        object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
            LibraryError::Taken(name.to_owned())
        }
        other => store_error(other),
    }
}

/// In words that a person can do something with: the system's own reason where there is one, otherwise the beginning of
/// what the store said.
pub(super) fn store_error(error: impl std::error::Error + 'static) -> LibraryError {
    let mut innermost: &(dyn std::error::Error + 'static) = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = if innermost.is::<std::io::Error>() { innermost.to_string() } else { error.to_string() };
    let text = in_words(&text).unwrap_or(&text);
    LibraryError::Store(text.chars().take(MAX_REASON_CHARS).collect())
}

pub(super) fn of(name: &str, error: object_store::Error) -> LibraryError {
    match error {
        object_store::Error::NotFound { .. } | object_store::Error::Precondition { .. } => {
            LibraryError::NotFound(name.to_owned())
        }
        refused @ (object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. }) => match store_error(refused) {
            LibraryError::Store(reason) => LibraryError::Unreadable { name: name.to_owned(), reason },
            other => other,
        },
        other => store_error(other),
    }
}
