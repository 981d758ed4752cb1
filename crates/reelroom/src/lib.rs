//! The program: command line, settings and wiring.
//!
//! ```text
//!  cli ──> Config (file, environment) ──> App::load ──> App::run(shutdown)
//!                                            │
//!            ┌── one HTTP port, front, table of routes ──────┐
//!            │ page + REST (app)   /rtc + /twirp (media, egress)│   one UDP port (media)
//!            └────────┬──────────────────────┬────────────────┘
//!                     │ LiveKit API over HTTP │ (also in one process: there is no second way)
//! ```
//!
//! Everything below is a library; this crate only decides which parts run, with which settings, and in which
//! order they stop. Tests boot the same [`App`] on port 0.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_types))]

mod app;
mod check;
pub mod cli;
pub mod config;
mod data_dir;
mod descriptors;
mod doctor;
pub mod front;
mod health;
mod https;
mod installed;
mod log;
pub mod network;
pub mod notify;
mod owner;
pub mod public_url;
mod receivers;
mod recorder;
mod reload;
pub mod routes;
mod secrets;
mod shelf;
mod signals;
mod urls;

pub use app::{App, Role};
pub use signals::Stop;
