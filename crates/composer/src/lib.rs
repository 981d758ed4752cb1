//! Take to MP4: timeline, layout, drawing, mixing, encoding.
//!
//! ```text
//!   take ──> timeline, layout (pure) ──> canvas ──> H.264 ─┐
//!        └─> decoders ─────────────────┘                   ├──> hybrid MP4
//!        └─> voices ──> mix ──> limiter ──────────> AAC ───┘
//! ```
//!
//! [`compose()`] is a function of the take: no clock, no randomness, no number taken from the machine enters it. GStreamer elements
//! are used as plain functions ([`filter`]): there are no pipelines, and everything runs in the calling thread.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod canvas;
#[allow(clippy::disallowed_methods, reason = "tells its progress at times")]
pub mod cli;
#[allow(clippy::disallowed_methods, reason = "waits for a take that grows")]
pub mod compose;
pub mod consent;
pub mod elements;
pub mod encode;
pub mod error;
pub mod filter;
pub mod fonts;
pub mod label;
pub mod layout;
pub mod limit;
#[allow(clippy::disallowed_methods, reason = "writes the file")]
mod output;
pub mod pacer;
pub mod preset;
pub mod report;
pub mod resample;
pub mod resume;
#[allow(clippy::disallowed_methods, reason = "asks the system")]
pub mod sandbox;
pub mod scale;
pub mod skip;
mod source;
pub mod speaker;
pub mod sprite;
#[allow(clippy::disallowed_methods, reason = "writes a file")]
pub mod step;
mod stretch;
pub mod theme;
pub mod timeline;
pub mod video;
pub mod voice;

pub use cli::{ComposeArgs, run, run_observed};
pub use compose::{
    ComposeOptions, Composed, Follow, Observer, Progress, compose, compose_kept, compose_observed,
};
pub use consent::{Consent, ConsentAnswer};
pub use error::ComposeError;
pub use layout::{Layout, Size};
pub use preset::Preset;
pub use report::{Suspended, TrackReport};
pub use resume::Keeper;
pub use skip::{Skip, Skipped};
pub use step::Step;
