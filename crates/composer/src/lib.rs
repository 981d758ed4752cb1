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

pub mod canvas;
pub mod cli;
pub mod compose;
pub mod encode;
pub mod error;
pub mod filter;
pub mod label;
pub mod layout;
pub mod limit;
pub mod mp4;
mod output;
pub mod pacer;
pub mod preset;
pub mod report;
pub mod resample;
pub mod sandbox;
pub mod scale;
pub mod skip;
mod source;
pub mod speaker;
pub mod sprite;
pub mod step;
pub mod theme;
pub mod timeline;
pub mod video;
pub mod voice;

pub use cli::{ComposeArgs, run, run_observed};
pub use compose::{ComposeOptions, Composed, Follow, Observer, Progress, compose, compose_observed};
pub use error::ComposeError;
pub use layout::{Layout, Size};
pub use preset::Preset;
pub use report::TrackReport;
pub use skip::{Skip, Skipped};
pub use step::Step;
