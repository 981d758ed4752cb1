//! Matroska (RFC 9559) as a take needs it: one track per file, append-only, readable at any moment.
//!
//! ```text
//! EBML | Segment (size unknown) | Info | Tracks | Cluster | Cluster | ...
//!                                                  |- Timestamp   ticks since the first frame
//!                                                  |- Void        arrival u64, CRC-32 u32, of the block that follows
//!                                                  |- SimpleBlock tick i16 relative to the cluster, flags, frame
//!                                                  |- Void, SimpleBlock, ...
//! ```
//!
//! One tick is one tick of the track's RTP clock, so times survive exactly; `TimestampScale` is the nearest whole number of
//! nanoseconds, so a player runs at most 16 ppm off. Clusters have unknown size and are short enough for the 16 bit block time
//! (0.36 s of video, 0.68 s of sound): nothing is ever patched, and a file cut anywhere is a shorter file. A `Void` element is
//! skipped by every player; ours carries what Matroska has no place for: when the frame arrived, and a check sum that shows
//! blocks torn by a power cut.

mod read;
mod write;

pub use read::{Block, MkvError, MkvParser, Step};
pub use write::{MkvSpec, MkvWriter, OutOfRange};

use crc32fast::hash as crc32;

const EBML: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const INFO: u32 = 0x1549_A966;
const TRACKS: u32 = 0x1654_AE6B;
const TRACK_ENTRY: u32 = 0xAE;
const CLUSTER: u32 = 0x1F43_B675;
const TIMESTAMP: u32 = 0xE7;
const SIMPLE_BLOCK: u32 = 0xA3;
const VOID: u32 = 0xEC;

/// Content of the `Void` in front of a block: arrival (8 bytes), CRC-32 of the frame (4 bytes), both big endian.
const STAMP_LEN: usize = 12;

/// No frame and no other element of ours is larger.
pub const MAX_ELEMENT_LEN: usize = 32 << 20;

#[cfg(test)]
mod tests;
