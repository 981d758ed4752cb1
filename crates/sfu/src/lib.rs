//! Rooms as pure state machines: who is there, what they publish, who receives which layer of it, what they are told.
//!
//! ```text
//!   join, signal, connected, sections, media, data, admin calls, time
//!                               │
//!                     ┌─────────▼─────────┐        per packet
//!                     │       Room        │   packet ─► Track ─► DownTrack ─► Rewrite
//!                     └─────────┬─────────┘
//!                               ▼
//!   Output: signal messages, webhooks, down tracks to add or remove, keyframes to ask for, data, facts for recorders
//! ```
//!
//! Call order: any input method, then [`Room::poll_output`] until it is empty. No clock, socket, task or randomness is
//! used: time comes in as [`Now`], ids from a seed.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Fields that LiveKit's protocol calls deprecated are still what its clients read and write.
#![allow(deprecated)]

mod announce;
mod codec;
mod consent;
mod data;
pub mod door;
pub mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod info;
mod kept;
mod layers;
mod output;
mod parameter_sets;
mod participant;
mod permission;
mod person;
mod publish;
mod resume;
mod room;
mod signal;
mod speakers;
mod standing;
mod subscribe;
mod track;

pub use announce::TooMuch;
pub use codec::{Codec, is_keyframe};
pub use consent::{Answer, CONSENT};
pub use info::Readable;
pub use kept::KeptRoom;
pub use layers::{Layer, TrackSettings};
pub use output::{About, DataKind, DownTrackSpec, Fact, Output};
pub use participant::{AdminRefusal, Joining, Refusal};
pub use person::Bearer;
pub use room::{Now, Room, RoomEnd, RoomOptions};
pub use standing::Standing;
pub use subscribe::PublishedPacket;
pub use track::{Section, is_encrypted};
