//! Agents, LiveKit's participants that are programs, as a pure state machine: workers that have them, what they are sent for, who gets which job.
//!
//! ```text
//!   a room opens ─► dispatches ─┐
//!   somebody comes, publishes ──┼─► job ─► the least loaded worker ─► asked ─► assigned: a token ─► the agent joins
//!   a worker registers ─────────┘    ▲                                │           │
//!                                    └── refused, silent, gone ◄──────┴───────────┘
//!
//!   Output: what workers are told, and who is to be removed from a room
//! ```
//!
//! A dispatch names an agent; one without a name is for each worker whose agent has none, as a room has it that names no agents. For each kind of worker and
//! each of their namespaces there is one job of a dispatch: per room, per participant, or per participant who publishes.
//!
//! # Invariants
//!
//! - A job is with one worker at most. What a worker says of a job that it does not have counts for nothing.
//! - A job that was given stays with its agent while that is in the room, whatever becomes of its worker's connection: a worker that is back takes its jobs up
//!   again by their ids.
//! - Nothing is kept of a room that is over.
//! - No clock, socket, task or randomness: time comes in as [`Now`], ids from a seed.
//!
//! Call order: any input, then [`Agents::poll_output`] until it is empty.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Namespaces are what LiveKit's protocol calls deprecated, and what its clients use.
#![allow(deprecated)]

mod agents;
mod choice;
mod dispatches;
mod error;
mod job;
mod kept;
mod output;
mod room;
mod wish;
mod worker;

pub use agents::Agents;
pub use error::AgentsError;
pub use kept::KeptAgents;
pub use output::{Accepted, Now, Output, Told};
pub use room::{Opening, Person};
pub use wish::{Wish, check};
pub use worker::Registration;
