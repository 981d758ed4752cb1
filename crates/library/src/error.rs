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
    /// The index cannot be read or written: look at the data folder's disk.
    #[error("the index of recordings fails: {0}")]
    Index(String),
    /// What only the data folder knows cannot be read or written: look at its disk.
    #[error(transparent)]
    Truth(#[from] reelroom_truth::TruthError),
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
    /// Another file has the name: nothing is replaced, so it needs another name.
    #[error("another file is called {0:?} already, and nothing is replaced")]
    Taken(String),
    /// It is listed, and no request to the store can name it: only the store's own tools can.
    #[error("{name:?} can be played, renamed or deleted by the store's own tools only: {reason}")]
    Unnameable {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// So many search already that another one would only make all of them slower.
    #[error("too many searches at once: try again in a moment")]
    Busy,
    /// The text to search for is too long.
    #[error("a search takes at most {0} bytes")]
    LongSearch(usize),
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
