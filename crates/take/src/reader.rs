//! Reads a take, also while it grows.
use std::path::Path;

use bytes::Bytes;

use crate::{
    error::TakeError,
    format::{EndReason, TakeEvent, TakeHeader},
    ids::{SegmentId, TrackId},
};

/// One frame of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeFrame {
    /// The track.
    pub track: TrackId,
    /// The segment, whose [`crate::SegmentOpened`] was handed out before.
    pub segment: SegmentId,
    /// Extended RTP time, in ticks of the segment's clock rate.
    pub rtp: u64,
    /// Arrival of the frame's first packet, nanoseconds since the take began.
    pub at_ns: u64,
    /// Decodable without earlier frames (always true for audio).
    pub keyframe: bool,
    /// VP8 frame, AVCC access unit (4-byte lengths) or Opus packet.
    pub data: Bytes,
}

/// What a take consists of.
#[derive(Debug, Clone, PartialEq)]
pub enum TakeItem {
    /// A fact.
    Event {
        /// Nanoseconds since the take began.
        at_ns: u64,
        /// The fact.
        event: TakeEvent,
    },
    /// A frame.
    Frame(TakeFrame),
}

/// How a take ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakeEnd {
    /// The take's length.
    pub at_ns: u64,
    /// Why it ended.
    pub reason: EndReason,
    /// At most so much is missing before the end (recovered takes).
    pub lost_ns: u64,
}

/// Tails a take.
#[derive(Debug)]
pub struct TakeReader {
    header: TakeHeader,
}

impl TakeReader {
    /// Opens a take, growing or ended.
    pub fn open(dir: &Path) -> Result<Self, TakeError> {
        todo!("{dir:?}")
    }

    /// The take's header.
    #[must_use]
    pub fn header(&self) -> &TakeHeader {
        &self.header
    }

    /// The next items, in the order of `at` over all files (within a segment always in decoding order), never further than the newest
    /// complete mark; empty when there is nothing new yet. One call returns at most about a second of the take: call again until empty.
    /// The `Complete` and `Ended` facts are not handed out: see [`Self::complete_to_ns`] and [`Self::ended`].
    pub fn poll(&mut self) -> Result<Vec<TakeItem>, TakeError> {
        todo!()
    }

    /// Everything with `at` up to here has been handed out by `poll`.
    #[must_use]
    pub fn complete_to_ns(&self) -> u64 {
        todo!()
    }

    /// Pictures and sound up to this time are final: `complete_to_ns` minus lateness and hindsight, or the end of an ended take.
    #[must_use]
    pub fn presentable_to_ns(&self) -> u64 {
        todo!()
    }

    /// How far the files on disk are known to be complete, handed out or not: for progress displays.
    #[must_use]
    pub fn available_ns(&self) -> u64 {
        todo!()
    }

    /// The end, once everything has been handed out.
    #[must_use]
    pub fn ended(&self) -> Option<TakeEnd> {
        todo!()
    }
}
