//! The REST API and the page.
//!
//! ```text
//!   browser ─► page (files of web/dist)
//!      │ ────► token, recordings ─► livekit ─► the LiveKit server, embedded or outside (D1: there is no second way)
//!      │            │    ▲
//!      │            ▼    └───────── webhook, watch: what the server says of its recordings
//!      ├─────► play ─► library
//!      ├─────► events ◄── what changes in it ──► room_state ─► livekit: those in a room are told of its recording
//!      ├─────► deliveries ─► whom the media server tells of recordings
//!      ├─────► owner ─► accounts: who signs in, and which API keys there are
//!      │         └────► oidc ─► an OpenID provider, if one is set
//!      ├─────► shares ─► links to one recording, and who watches by them: play, watched as long as it is sent
//!      ├─────► rooms ─► rooms: which there are, and the links by which others come into them
//!      │          ├──── lobby: who waits to be let in ◄── token
//!      │          └──── people: who is in, muted and removed ─► livekit
//!      └─────► overview, audit: what goes on, and what was done; each handler notes its act there
//! ```
//!
//! # Invariants
//!
//! - Every answer that is no success is `{errorMessage}` with the right status, also for what no handler has seen.
//! - What is being recorded is what the LiveKit server says; the library only lists it.
//! - Nobody is answered who may not: every route is a row that says what it needs, and whoever came in is asked again inside about what
//!   only the handler knows.
//! - Who asks is worked out in one place (`keeper.rs`), from what came with the request and nothing else.
//! - What is done to a recording or a right is noted by its handler, where it is done to its end: also for those who do not wait for the answer.
//! - A token reaches one room, and never beyond what its bearer does there: it says what `reelroom-access` grants, and what it may record
//!   is bounded by the recorder (`egress/src/reach.rs`).

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_types))]
// Fields that LiveKit's protocol calls deprecated are still what its servers write.
#![allow(deprecated)]

mod app;
mod askers;
mod asset;
mod audit;
mod clock;
mod config;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod cookie;
mod deliveries;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod egress;
mod error;
mod events;
mod extract;
mod glance;
mod health;
mod identities;
mod keeper;
mod livekit;
mod lobby;
mod metrics;
mod origin;
mod overview;
mod owner;
mod page;
mod play;
mod precondition;
mod probe;
mod receivers;
mod recordings;
mod retention;
mod roles;
mod room_state;
mod rooms;
mod routes;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod run;
mod shares;
mod subject;
mod tend;
mod token;
mod told;
mod turns;
mod watch;
mod watched;
mod webhook;

pub use app::WebApp;
pub use config::{
    Access, Adjustment, AppConfig, Media, Places, Playback, Recorder, RecorderFigures, SettingBody,
    StoreKind, Warnings,
};
pub use origin::{Standing, Tickets};
pub use receivers::{DeliveryBody, ReceiverBody, Receivers, Replay, TestBody};

#[cfg(test)]
mod tests;
