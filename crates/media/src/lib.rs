//! The media server: a LiveKit-compatible shell around [`reelroom_sfu`].
//!
//! ```text
//!   /rtc (WebSocket) ─► signal ─┐                ┌─► session (str0m) ─► mux ─► one UDP port, one TCP port
//!   /twirp/… ─► room_service ───┼─► room_task ───┤                       └─► and, by the page, TURN and more TCP
//!   attach_recorder ────────────┘   (sfu::Room)  ├─► webhook
//!                                                └─► record (whoever writes media down)
//! ```
//!
//! Agents are sent into rooms by `agents`, whose workers connect at `/agent`.
//!
//! One task per room owns the room and its peer connections; nothing else touches them.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_types))]
// Fields that LiveKit's protocol calls deprecated are still what its clients read and write.
#![allow(deprecated)]

mod agents;
mod budget;
mod calls;
mod carriage;
mod drops;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod hand_over;
mod introduction;
mod joins;
mod mux;
mod peer;
pub mod record;
mod recorder;
mod removals;
mod room_options;
mod room_service;
mod room_task;
mod rooms;
mod routes;
mod server;
mod session;
mod signal;
mod spent;
mod unoffered;
pub mod webhook;

pub use error::MediaError;
pub use gate::{Gate, Standing};
pub use mux::addresses::{MAX_ADDRESSES, MediaListen};
pub use mux::passage::{PagePort, Passage};
pub use mux::{SOCKET_BUFFER_BYTES, TCP_SEND_BUFFER_BYTES, begins_media, receives_at};
pub use reelroom_sfu::Readable;
pub use rooms::{AutoEgress, Crowd, Recorder, Rooms};
pub use server::{MediaConfig, MediaServer};
