//! Rooms as pure state machines: who is there, what they publish, who receives which layer of it, what they are told.
//!
//! ```text
//!   join, signal, connected, sections, media, data, admin calls, time
//!                               │
//!                     ┌─────────▼─────────┐        per packet
//!                     │       Room        │   packet ─► Track ─► Subscription ─► Rewrite
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

mod admin;
mod allocate;
mod announce;
mod backup;
mod blobs;
mod client;
mod codec;
mod coding;
mod consent;
mod counts;
mod data;
mod data_track;
pub mod door;
mod downlink;
mod dynacast;
pub mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod info;
mod kept;
mod layers;
mod output;
mod packet;
mod parameter_sets;
mod participant;
mod permission;
mod person;
mod publish;
mod quality;
mod recording;
mod red;
mod resume;
mod room;
mod signal;
mod simulate;
mod speakers;
mod standing;
mod subscribe;
mod subscription;
mod svc;
mod track;

pub use admin::{RpcCall, RpcError, RpcFailure};
pub use announce::TooMuch;
pub use codec::{Codec, is_keyframe};
pub use consent::{Answer, CONSENT};
pub use info::{Readable, server_info};
pub use kept::KeptRoom;
pub use layers::{Layer, TrackSettings};
pub use output::{About, DataKind, DownTrackSpec, Fact, Output};
pub use packet::{Carrier, Content, Passed, PublishedPacket};
pub use participant::{AdminRefusal, Joining, Refusal};
pub use person::Bearer;
pub use quality::Measured;
pub use red::Block;
pub use room::{Now, Room, RoomEnd, RoomOptions};
pub use simulate::ResumeBreaks;
pub use standing::Standing;
pub use track::{Section, Sound, is_encrypted};
