//! What can go wrong, by what the caller can do.

use std::time::Duration;

use reelroom_limits::rooms::ROOMS_KEPT;
use reelroom_truth::TruthError;

/// An error of rooms.
#[derive(Debug, thiserror::Error)]
pub enum RoomsError {
    /// What was given is not taken: choose something else.
    #[error("{0}")]
    Invalid(String),
    /// A room has the name already: choose another one.
    #[error("there is a room of this name already")]
    Taken,
    /// A room had the name, and was closed for good: choose another one.
    #[error(
        "a room of this name was deleted, and is closed for good: its recordings bear the name, so no other room gets it"
    )]
    Closed,
    /// As many rooms as there may be are there: delete one.
    #[error("there are {most} rooms, and can be no more: delete one first", most = ROOMS_KEPT)]
    Full,
    /// There is no such room, or no such link of it: list them again.
    #[error("there is no such room or link")]
    Unknown,
    /// As many people wait for a room as can: come later.
    #[error("as many people wait to be let in as can: try again in a minute")]
    Crowded,
    /// A host did not let them in a moment ago: come back after that time.
    #[error("you were not let in: you can ask again in {} s", wait.as_secs() + 1)]
    NotYet {
        /// How long that is.
        wait: Duration,
    },
    /// The database fails: look at the data folder's disk.
    #[error(transparent)]
    Truth(#[from] TruthError),
}
