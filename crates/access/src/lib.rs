//! Who may do what. Pure.
//!
//! ```text
//!   who asks ────────────► Caller ───┐
//!   what a door is for ──► Right ────┼─► may ─► yes or no, at every door
//!   what it is about ────► Resource ─┘
//!   Caller and room ─────► grants ─► what a participant's token says
//! ```
//!
//! # Invariants
//!
//! - What is not granted is refused. No caller, right or reach has a default.
//! - A host and a guest reach their own room, a viewer one recording, whatever they were granted.
//! - Grants never say `roomAdmin`, `hidden` or `recorder`, and `roomRecord` only to everybody where access is open.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod caller;
mod grants;
mod may;
mod resource;
mod right;

pub use caller::Caller;
pub use grants::grants;
pub use may::{Reach, may, reach};
pub use resource::{RecordingName, Resource};
pub use right::{Right, Rights};

#[cfg(test)]
mod tests;
