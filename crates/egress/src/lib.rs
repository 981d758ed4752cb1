//! The LiveKit Egress API: jobs, capture, composers, outputs.
//!
//! ```text
//!  /twirp/livekit.Egress/… ─► service ─► Egress ─► runner (one task per job)
//!                                          │         │ 1 capture: media's packets ─► take (on disk)
//!                                          │         │ 2 compose: a child process tails the take ─► MP4
//!                             jobs on disk ◄── job ◄─┤ 3 publish: the shelf (the library's store)
//!                             webhooks     ◄──(pure) │ 4 the take is deleted
//!                                                    ├─ recovery enters at 2 with what a crash left
//!                                                    └─ resume enters at 1 with what a planned stop left
//! ```
//!
//! # Invariants
//!
//! - A take is deleted only when its MP4 has been published and the job is on disk as complete, or when nothing was recorded.
//! - What a recording needs to be finished stands in the take's own header; the job's file is a convenience.
//! - The room's task never waits for a disk or a process.

#![cfg_attr(not(test), warn(clippy::disallowed_types))]
// Fields that LiveKit's protocol calls deprecated are still what its clients read and write.
#![allow(deprecated)]

mod bounds;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod capacity;
mod capture;
mod compose;
mod config;
mod disk;
mod egress;
mod error;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod job;
mod priority;
mod reach;
mod recovery;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod request;
mod resume;
mod runner;
mod service;
mod shared;
mod shelf;
mod storage;
mod store;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod template;
mod turns;

pub use config::{EgressConfig, EgressLimits};
pub use egress::{Egress, Figures};
pub use error::EgressError;
pub use shelf::{Growing, Shelf, ShelfError};
