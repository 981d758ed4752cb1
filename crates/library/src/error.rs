//! What can go wrong, by what the caller can do.

/// An error of the library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// There is no such recording.
    #[error("there is no recording {0:?}")]
    NotFound(String),
    /// The name cannot be one of a recording: it is empty, or would lead elsewhere.
    #[error("{0:?} cannot be the name of a recording")]
    BadName(String),
    /// It is still being recorded or finished: wait.
    #[error("the recording {0:?} is not finished yet")]
    NotFinished(String),
    /// It is in the store already.
    #[error("the recording {0:?} does not wait to be stored")]
    NotWaiting(String),
    /// The cursor is not one that a page gave, or not for this order.
    #[error("this cursor belongs to no page of this list")]
    BadCursor,
    /// Too many search it at once: try again shortly.
    #[error("too many searches wait already: try again shortly")]
    Busy,
    /// The index cannot be read or written: look at the data folder's disk.
    #[error("the index of recordings fails: {0}")]
    Index(String),
    /// The store does not do what it should: look at it, and try again.
    #[error("the store of recordings fails: {0}")]
    Store(String),
    /// The store is well, and does not give this one out: it is archived there, forbidden, or no name leads to it.
    #[error("the store does not give out {name:?}: {reason}")]
    Unreadable {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// Somebody deleted it before it was stored.
    #[error("the recording {0:?} was deleted before it was stored")]
    Deleted(String),
    /// Not all of it is stored: it is sent again.
    #[error("the store has {stored} bytes of {sent}")]
    Incomplete {
        /// By the store's account.
        stored: u64,
        /// By ours.
        sent: u64,
    },
    /// What was read back is not what was sent: it is sent again.
    #[error("the store gives back other bytes than it was sent")]
    Different,
    /// A local file cannot be read.
    #[error("cannot read {path}: {source}")]
    Local {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}
