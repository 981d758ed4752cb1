//! What can go wrong, by what the caller can do.

use reelroom_protocol::ids::RoomName;
use reelroom_protocol::twirp::TwirpError;

/// An error of the media server.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The room is not open: try another, or later.
    #[error("requested room does not exist")]
    NoRoom(RoomName),
    /// Not one socket could be opened: choose another port or address.
    #[error("cannot listen for media on port {port} of any address: {reasons}")]
    Listen {
        /// Which.
        port: u16,
        /// Why, for each address.
        reasons: String,
    },
    /// There are as many rooms as there may be: try later, or let the operator allow more.
    #[error("the server has {at_most} rooms, and may have no more (MAX_ROOMS)")]
    TooManyRooms {
        /// How many there may be.
        at_most: u32,
    },
    /// The server is about to stop or to start anew: try later.
    #[error("the server is about to restart and opens no more rooms: come back in a moment")]
    Restarting,
    /// What is asked for is not to be had, as the error says.
    #[error(transparent)]
    Refused(#[from] TwirpError),
    /// The room's task has ended while it was asked; it is as if it had been asked a moment later.
    #[error("the room is closing")]
    Closing,
}
