//! What a take consists of, as it is written ([`Frame`], [`SegmentSpec`]) and as it is read ([`TakeItem`]).

use bytes::Bytes;

use crate::{
    format::{Codec, EndReason, TakeEvent},
    ids::{SegmentId, TrackId},
};

/// A frame to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Extended RTP time at which it is shown, not smaller than that of the segment's first frame.
    pub rtp: u64,
    /// Arrival of the frame's first packet.
    pub at_ns: u64,
    /// Decodable without earlier frames.
    pub keyframe: bool,
    /// What [`Codec`] says of the segment's codec.
    pub data: Bytes,
}

/// A segment to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSpec {
    /// Codec of all its frames.
    pub codec: Codec,
    /// RTP clock rate.
    pub clock_rate_hz: u32,
    /// Extended RTP time of the first frame.
    pub first_rtp: u64,
    /// Arrival of the first frame.
    pub first_at_ns: u64,
    /// Picture width, 0 if unknown or audio.
    pub width: u32,
    /// Picture height, 0 if unknown or audio.
    pub height: u32,
    /// Matroska `CodecPrivate`.
    pub codec_private: Vec<u8>,
}

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
    /// VP8 or VP9 picture, AVCC access unit (4-byte lengths), AV1 temporal unit or Opus packet.
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
    /// How much is missing before the end at most (recovered takes).
    pub lost_ns: u64,
}
