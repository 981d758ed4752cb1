//! What is refused, in words that say what to do.

use reelroom_limits::agents::{DISPATCHES, WORKERS};

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentsError {
    /// As many workers as may are registered.
    #[error("{} workers are registered, and more may not be: stop one that is not needed", WORKERS)]
    TooManyWorkers,
    /// The server stops, or starts anew.
    #[error("the server is about to restart: come back in a moment")]
    Restarting,
    /// A worker of a kind that is not known here.
    #[error("unknown job type {0}: it is JT_ROOM (0), JT_PUBLISHER (1) or JT_PARTICIPANT (2)")]
    UnknownJobType(i32),
    /// Something is longer than it may be.
    #[error("{what} is too long: {at_most} bytes are allowed")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be.
        at_most: usize,
    },
    /// More attributes than there may be.
    #[error("there are more attributes than {at_most}")]
    TooManyAttributes {
        /// How many there may be.
        at_most: usize,
    },
    /// The name of a deployment that LiveKit takes for none.
    #[error("the deployment has a space, a control character or \"_\" in it: take another name")]
    Deployment,
    /// The room is not open.
    #[error("requested room does not exist")]
    NoRoom,
    /// The room has no such dispatch.
    #[error("dispatch ID not found")]
    NoDispatch,
    /// The room has as many dispatches as it may have.
    #[error("a room may have {} dispatches: delete one that is not needed", DISPATCHES)]
    TooManyDispatches,
}

pub(crate) fn within(what: &'static str, text: &str, at_most: usize) -> Result<(), AgentsError> {
    if text.len() > at_most { Err(AgentsError::TooLong { what, at_most }) } else { Ok(()) }
}
