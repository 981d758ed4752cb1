//! LiveKit's wire, as far as it is the same for every part of the program: ids, tokens and grants, Twirp bodies and
//! errors, signed webhooks. The messages themselves are [`proto`], the public LiveKit protocol.
//!
//! Everything here is a function of its arguments: the time and the source of randomness are passed in.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

#[doc(hidden)]
pub mod fuzzing;
pub mod ids;
pub mod json;
pub mod keys;
pub mod token;
pub mod twirp;
pub mod webhook;
pub mod wire;

pub use livekit_protocol as proto;
