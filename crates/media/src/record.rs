//! What a recorder gets of a room: the seam between the media server and whoever writes media down.
//!
//! Packets are handed over where they arrive, before forwarding, in the order of arrival; the sink is called from the
//! room's own task and must not block.

use std::time::Instant;

use reelroom_protocol::ids::TrackSid;
pub use reelroom_sfu::{Answer, Codec, Fact, Layer, Readable, is_encrypted};

/// Writes down a room. Dropped after [`RecordSink::detached`].
pub trait RecordSink: Send {
    /// Something happened in the room. The state at the time of attaching comes first, as the facts that led to it.
    fn fact(&mut self, now: Instant, fact: &Fact);

    /// A packet of a track that was published before. Of a simulcast track only one layer comes at a time, the best
    /// one; it changes at the first packet of a keyframe, seen by another `ssrc`.
    fn packet(&mut self, now: Instant, packet: &RecordPacket<'_>) -> Wish;

    /// H.264 parameter sets (whole NAL units, the newest last) of a stream of which packets follow, that may not repeat them.
    fn parameter_sets(&mut self, track: &TrackSid, ssrc: u32, sets: &[&[u8]]);

    /// Whether the pictures of a track wait for a keyframe. It is asked for also while no packet comes.
    fn wants_keyframe(&self, track: &TrackSid) -> bool;

    /// A sender report (RFC 3550 6.4.1): `rtp` is the track's clock at the sender's `ntp` time.
    fn sender_report(&mut self, now: Instant, track: &TrackSid, ssrc: u32, ntp: NtpTime, rtp: u32);

    /// Nothing more comes.
    fn detached(&mut self, now: Instant, why: Detached);
}

/// What a sink asks for in return for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// A keyframe of the track, soon: it cannot be decoded without one.
    Keyframe,
}

/// A sender's wall clock, in 2^-32 seconds since 1900.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NtpTime(pub u64);

/// Why recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// The recorder was told to stop.
    Stopped,
    /// The room is over.
    RoomClosed,
    /// The program stops.
    ServerShutdown,
}

/// A packet as it came from a publisher.
#[derive(Clone, Copy, Debug)]
pub struct RecordPacket<'a> {
    /// Of which track.
    pub track: &'a TrackSid,
    /// The RTP stream: another one has its own sequence numbers and clock.
    pub ssrc: u32,
    /// Extended sequence number (RFC 3711 3.3.1: rollovers are counted).
    pub seq: u64,
    /// Extended RTP time, in ticks of the codec's clock.
    pub rtp: u64,
    /// The marker bit: the last packet of a picture.
    pub marker: bool,
    /// Without header.
    pub payload: &'a [u8],
    /// How far the picture is to be turned clockwise to stand upright, where the packet says so: 0, 90, 180 or 270.
    pub rotation_degrees: Option<u16>,
}
