//! The REST API and the page.
//!
//! ```text
//!   browser ─► page (files of web/dist)
//!      │ ────► token, recordings ─► livekit ─► the LiveKit server, embedded or outside (D1: there is no second way)
//!      │            │    ▲
//!      │            ▼    └───────── webhook, watch: what the server says of its recordings
//!      └─────► play ─► library
//! ```
//!
//! # Invariants
//!
//! - Every answer that is no success is `{errorMessage}` with the right status, also for what no handler has seen.
//! - What is being recorded is what the LiveKit server says; the library only lists it.
//! - A token reaches one room, and never beyond what its bearer does there: what it may record is bounded by the recorder
//!   (`egress/src/reach.rs`).

#![forbid(unsafe_code)]
// Fields that LiveKit's protocol calls deprecated are still what its servers write.
#![allow(deprecated)]

mod app;
mod askers;
mod asset;
mod config;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod egress;
mod error;
mod extract;
mod health;
mod identities;
mod livekit;
mod metrics;
mod page;
mod play;
mod precondition;
mod recordings;
mod routes;
mod token;
mod turns;
mod watch;
mod webhook;

pub use app::WebApp;
pub use config::{Access, AppConfig, Media, Playback, Recorder, RecorderFigures};

#[cfg(test)]
mod tests;
