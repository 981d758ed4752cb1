//! RTP packets of one track, in any order, to whole frames in order.
use crate::format::Codec;

/// What the sender should be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub enum Wish {
    /// Nothing.
    #[default]
    Nothing,
    /// A keyframe (PLI). Already throttled.
    Keyframe,
}

/// One RTP packet, its numbers extended.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Synchronisation source; a change begins a new time line.
    pub ssrc: u32,
    /// Extended sequence number.
    pub seq: u64,
    /// Extended RTP time.
    pub rtp: u64,
    /// Marker bit.
    pub marker: bool,
    /// Payload without header, extensions and padding; empty for padding only.
    pub payload: &'a [u8],
}

/// What a capture must know of its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Codec.
    pub codec: Codec,
    /// RTP clock rate.
    pub clock_rate_hz: u32,
    /// Announced picture size, used until a frame tells its own.
    pub width: u32,
    /// Announced picture size, used until a frame tells its own.
    pub height: u32,
    /// How long to wait for a missing packet.
    pub hold_ns: u64,
}

impl CaptureConfig {
    /// The usual hold and the codec's usual clock rate.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        let clock_rate_hz = if codec == Codec::Opus { 48_000 } else { 90_000 };
        Self { codec, clock_rate_hz, width: 0, height: 0, hold_ns: 600_000_000 }
    }
}

/// The capture of one track.
#[derive(Debug)]
pub struct Capture {}
