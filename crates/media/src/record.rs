//! What a recorder gets of a room: the seam between the media server and whoever writes media down.
//!
//! Packets are handed over where they arrive, before forwarding, in the order of arrival; the sink is called from the
//! room's own task and must not block.

use std::time::Instant;

use reelroom_protocol::ids::{ParticipantIdentity, ParticipantSid, TrackSid};
use reelroom_protocol::proto::TrackInfo;

/// Writes down a room. Dropped after [`RecordSink::detached`].
pub trait RecordSink: Send {
    /// Something happened in the room. The state at the time of attaching comes first, as the facts that led to it.
    fn fact(&mut self, now: Instant, fact: &Fact);

    /// A packet of a track that was published before. Of a simulcast track only one layer comes at a time, the best
    /// one; it changes at the first packet of a keyframe, seen by another `ssrc`. Redundant sound comes unpacked, with the packets that were
    /// lost and are in it, as if they had come.
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

/// How a track is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Codec {
    Opus,
    Vp8,
    H264,
    Vp9,
    Av1,
}

/// What a participant said about being recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether they may be recorded.
    pub agrees: bool,
    /// When they said so, in Unix milliseconds.
    pub unix_ms: i64,
}

/// What is written down beside the media.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A participant who may be seen or heard is here.
    ParticipantJoined {
        /// The session.
        sid: ParticipantSid,
        /// Unique in the room.
        identity: ParticipantIdentity,
        /// For the label.
        name: String,
    },
    /// The display name changed.
    ParticipantNamed {
        /// The session.
        sid: ParticipantSid,
        /// The new name.
        name: String,
    },
    /// A participant left.
    ParticipantLeft(ParticipantSid),
    /// Media of a track arrives from now on.
    TrackPublished {
        /// Whose.
        participant: ParticipantSid,
        /// What LiveKit says of it.
        info: Box<TrackInfo>,
        /// How it is encoded.
        codec: Codec,
    },
    /// A track ended.
    TrackUnpublished(TrackSid),
    /// A track was muted or unmuted by its publisher.
    TrackMuted {
        /// Which.
        track: TrackSid,
        /// The new state.
        muted: bool,
    },
    /// From now on nobody is recorded who has not agreed.
    ConsentAsked,
    /// What a participant who is here says to being recorded. It holds until they say something else.
    Consent {
        /// The session.
        sid: ParticipantSid,
        /// What they say, and since when.
        answer: Answer,
    },
    /// Who speaks now, and how loud (0 to 1); all of them.
    Speakers(Vec<(ParticipantSid, f32)>),
}

/// Whether only those who have its key can see or hear a track: nothing of it is handed over.
pub fn is_encrypted(info: &TrackInfo) -> bool {
    reelroom_sfu::is_encrypted(info)
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
