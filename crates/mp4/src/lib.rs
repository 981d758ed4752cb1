//! MP4 files of constant rates (H.264, AAC) that play at any moment of their making, and have their index in front at any length.
//!
//! ```text
//!  growing    ftyp | free (16 kB)            | moov(mvex) | (free) moof mdat | (free) moof mdat | ...
//!  finished   ftyp | moov (index) | free     | mdat ────── swallows the rest ───────────────────────
//! ```
//!
//! - [`Mp4Writer`] writes a fragment for each second, at the end of the file, and touches nothing before it: a file whose writer was
//!   killed lacks its last fragment at most. [`Mp4Writer::resume`] goes on behind any of them.
//! - [`Mp4Writer::finish`] makes room for the index and puts it in front ([`finish`] says how); the file plays after each of its steps.
//! - [`Growing`] reads a file that another process writes. A [`Snapshot`] of it is a whole MP4 of what is there, with its index in
//!   front, of which only the head is made anew: a recording plays, and can be sought in, while it is still being written.
//! - [`Journal`] keeps, beside the file, what its writer needs to go on.
//!
//! Invariants: samples of a track follow each other without holes; equal samples give equal bytes (no creation times). Sound begins
//! `priming` samples before the picture, which an edit list cuts off.

#![forbid(unsafe_code)]

mod boxes;
pub mod finish;
mod front;
mod growing;
mod index;
mod journal;
mod writer;

pub use boxes::{AudioSpec, MovieSpec, VideoSpec};
pub use finish::{Settled, settle};
pub use growing::{Growing, Snapshot};
pub use journal::Journal;
pub use writer::{Mark, Mp4Writer};

#[cfg(test)]
mod tests;
