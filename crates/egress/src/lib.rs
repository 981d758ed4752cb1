//! The LiveKit Egress API: jobs, capture, composers, outputs.
//!
//! ```text
//!  /twirp/livekit.Egress/… ─► service ─► Egress ─► runner (one task per job)
//!                                          │         │ 1 capture: media's packets ─► take (on disk)
//!                                          │         │ 2 compose: a child process tails the take ─► MP4
//!                             jobs on disk ◄── job ◄─┤ 3 publish: the shelf (the library's store)
//!                             webhooks     ◄──(pure) │ 4 the take is deleted
//!                                                    └─ recovery enters at 2 with what a crash left
//! ```
//!
//! # Invariants
//!
//! - A take is deleted only when its MP4 has been published and the job is on disk as complete, or when nothing was recorded.
//! - What a recording needs to be finished stands in the take's own header; the job's file is a convenience.
//! - The room's task never waits for a disk or a process.

// Fields that LiveKit's protocol calls deprecated are still what its clients read and write.
#![allow(deprecated)]

mod bounds;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod capacity;
mod capture;
mod compose;
mod disk;
mod egress;
mod error;
mod job;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod priority;
mod recovery;
mod request;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod runner;
mod service;
mod shelf;
mod store;
mod template;
mod turns;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub use egress::{Egress, EgressConfig, Figures};
pub use error::EgressError;
pub use shelf::{Shelf, ShelfError};
