//! What a take says about itself: the header (`take.json`) and the facts (`events.jsonl`).
//!
//! Both are JSON, so that a person can read a take with `less`. A fact is one line, `{"at":1200000,"event":"marker",...}`,
//! `at` being nanoseconds since the take began. Lines and fields a reader does not know are skipped, so a newer program may
//! add facts without a new [`FORMAT_VERSION`]; the version changes only when old facts change their meaning.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use serde::{Deserialize, Serialize};

use crate::ids::{ParticipantId, SegmentId, TrackId};

/// The format this crate writes, and the newest one it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the header file inside a take's directory.
pub const HEADER_FILE: &str = "take.json";

/// Name of the fact file inside a take's directory.
pub const EVENTS_FILE: &str = "events.jsonl";

/// `take.json`: written once, before anything else, and never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakeHeader {
    /// [`FORMAT_VERSION`] of the writer.
    pub format: u32,
    /// Egress id (`EG_...`); also the directory's name.
    pub egress_id: String,
    /// The room's name, any Unicode.
    pub room_name: String,
    /// The room's id (`RM_...`).
    #[serde(default)]
    pub room_sid: String,
    /// When the take began (its `at` zero), nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// LiveKit's layout name (`grid`, `speaker`, `single-speaker`, ...); empty is the default layout.
    #[serde(default)]
    pub layout: String,
    /// The view wanted of this take has no picture.
    #[serde(default)]
    pub audio_only: bool,
    /// Whatever the recorder wants to find again after a restart (outputs, preset, ...). Not read here.
    #[serde(default)]
    pub job: serde_json::Value,
}

impl TakeHeader {
    /// A header of the present format with no layout and no job.
    #[must_use]
    pub fn new(egress_id: &str, room_name: &str, room_sid: &str, started_unix_ns: u64) -> Self {
        Self {
            format: FORMAT_VERSION,
            egress_id: egress_id.to_owned(),
            room_name: room_name.to_owned(),
            room_sid: room_sid.to_owned(),
            started_unix_ns,
            layout: String::new(),
            audio_only: false,
            job: serde_json::Value::Null,
        }
    }
}

/// Kind of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// Where a track's media come from (LiveKit's `TrackSource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrackSource {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A shared screen or window.
    ScreenShare,
    /// The sound of a shared screen.
    ScreenShareAudio,
    /// Not said, or a source this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Codec of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// VP8 (RFC 6386), a frame per block.
    Vp8,
    /// H.264, an access unit per block, AVCC (4-byte lengths), parameter sets also in-band.
    H264,
    /// VP9, a picture per block: the frames of all its spatial layers, with a superframe index if they are several.
    Vp9,
    /// AV1, a temporal unit per block without its delimiter, every unit (OBU) with its size.
    Av1,
    /// Opus (RFC 6716), a packet per block.
    Opus,
    /// A codec this version does not know; its segments are skipped.
    #[serde(other)]
    Unknown,
}

impl Codec {
    /// Sound or pictures.
    #[must_use]
    pub fn kind(self) -> TrackKind {
        match self {
            Self::Opus => TrackKind::Audio,
            Self::Vp8 | Self::H264 | Self::Vp9 | Self::Av1 | Self::Unknown => TrackKind::Video,
        }
    }

    /// Matroska's `CodecID`, for the codecs we write.
    #[must_use]
    pub fn matroska_id(self) -> Option<&'static str> {
        match self {
            Self::Vp8 => Some("V_VP8"),
            Self::H264 => Some("V_MPEG4/ISO/AVC"),
            Self::Vp9 => Some("V_VP9"),
            Self::Av1 => Some("V_AV1"),
            Self::Opus => Some("A_OPUS"),
            Self::Unknown => None,
        }
    }
}

/// One participant's loudness.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Speaker {
    /// Who speaks.
    pub participant: ParticipantId,
    /// LiveKit's level, 0.0 (silent) to 1.0.
    pub level: f32,
}

/// A track's media file begins: what a reader must know to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentOpened {
    /// Number of the segment, unique in the take, counting up.
    pub segment: SegmentId,
    /// The track.
    pub track: TrackId,
    /// File name inside the take's directory.
    pub file: String,
    /// Codec of every frame of the segment.
    pub codec: Codec,
    /// RTP clock rate (90000 video, 48000 Opus); also one block tick.
    pub clock_rate_hz: u32,
    /// Extended RTP time of the segment's first frame: block tick = frame's RTP time minus this.
    pub first_rtp: u64,
    /// Arrival of the segment's first frame.
    pub first_at_ns: u64,
    /// Picture width in the first frame, 0 if unknown or audio.
    #[serde(default)]
    pub width: u32,
    /// Picture height in the first frame, 0 if unknown or audio.
    #[serde(default)]
    pub height: u32,
    /// Matroska `CodecPrivate`: avcC for H.264, av1C for AV1, OpusHead for Opus, empty for VP8 and VP9.
    #[serde(default, with = "hex_bytes", skip_serializing_if = "Vec::is_empty")]
    pub codec_private: Vec<u8>,
}

/// A file name is no longer on any file system of ours.
const MAX_FILE_NAME_LEN: usize = 255;

impl SegmentOpened {
    /// The media file's name, if it can be one: it stays inside the take, and is not that of another of its files. A take may be
    /// damaged, or come from elsewhere.
    #[must_use]
    pub fn media_file(&self) -> Option<&Path> {
        let path = Path::new(&self.file);
        let mut parts = path.components();
        let is_plain =
            matches!(parts.next(), Some(Component::Normal(name)) if name.len() <= MAX_FILE_NAME_LEN);
        let is_media = path.extension().is_some_and(|extension| extension == "mkv");
        (is_plain && is_media && parts.next().is_none() && !self.file.contains('\0')).then_some(path)
    }
}

/// Why a take ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody pressed Stop.
    Stopped,
    /// The room closed.
    RoomClosed,
    /// The server was shut down in an orderly way.
    ServerShutdown,
    /// A limit (length, size) was reached.
    LimitReached,
    /// The disk was full; everything before is kept.
    DiskFull,
    /// Writing failed otherwise; everything before is kept.
    WriteFailed,
    /// The writer died; the take was recovered afterwards.
    Recovered,
    /// A reason this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

/// Why media are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The disk could not follow.
    Disk,
    /// Lost on the way from the sender; also what takes say that know no causes.
    #[default]
    #[serde(other)]
    Network,
}

/// Why something that arrived is not to be seen or heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// A packet came twice.
    Duplicate,
    /// A packet came after those behind it were taken without it, or from a sender's former time line.
    Straggler,
    /// A packet carries nothing that is to be seen or heard.
    Padding,
    /// A frame was not whole, or made no sense.
    Incomplete,
    /// A frame cannot be decoded without what was lost or never sent: the next keyframe was waited for.
    BeforeKeyframe,
    /// A sender began new time lines too fast.
    TimeLine,
    /// It is end-to-end encrypted.
    Encrypted,
    /// It came too late for its place, and more behind it, than could be made up for.
    Late,
    /// It is too far ahead of its time.
    Ahead,
    /// Its place in RTP time is that of another packet.
    Overlap,
    /// Its place is behind the end of its track or of the recording, or the rest of its frame's packets had not come by then.
    AfterEnd,
    /// No decoder could read it.
    Broken,
    /// It is in a codec that is not known here.
    UnknownCodec,
    /// Composers died of it, or of something at its time.
    Skipped,
    /// Its track is of a kind that this file does not have.
    NotWanted,
    /// A reason that this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

/// Why a track's media are not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutWhy {
    /// They are end-to-end encrypted: only who has the key can see or hear them.
    Encrypted,
    /// No decoder here can read them.
    Unreadable,
    /// The room asks for consent, and whose they are has not answered.
    NotAgreed,
    /// The same, and they said no.
    Declined,
    /// A reason this version does not know.
    #[default]
    #[serde(other)]
    Other,
}

impl LeftOutWhy {
    /// Whose they are has not agreed, or not any more: nothing of them is in the take while that holds.
    #[must_use]
    pub fn is_by_choice(self) -> bool {
        matches!(self, Self::NotAgreed | Self::Declined)
    }
}

/// A fact of the take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum TakeEvent {
    /// A participant is there (also said at the beginning for everyone already in the room).
    ParticipantJoined {
        /// Who.
        participant: ParticipantId,
        /// LiveKit identity.
        #[serde(default)]
        identity: String,
        /// Display name; may be empty.
        #[serde(default)]
        name: String,
    },
    /// A participant is gone, with all its tracks.
    ParticipantLeft {
        /// Who.
        participant: ParticipantId,
    },
    /// A participant changed its display name.
    ParticipantNamed {
        /// Who.
        participant: ParticipantId,
        /// The new name.
        name: String,
    },
    /// A track was published.
    TrackPublished {
        /// Which.
        track: TrackId,
        /// By whom.
        participant: ParticipantId,
        /// Sound or pictures.
        kind: TrackKind,
        /// From where.
        #[serde(default)]
        source: TrackSource,
        /// Announced width, 0 if unknown or audio.
        #[serde(default)]
        width: u32,
        /// Announced height, 0 if unknown or audio.
        #[serde(default)]
        height: u32,
        /// Published muted.
        #[serde(default)]
        muted: bool,
    },
    /// A track is gone.
    TrackUnpublished {
        /// Which.
        track: TrackId,
    },
    /// A track was muted or unmuted.
    TrackMuted {
        /// Which.
        track: TrackId,
        /// The new state.
        muted: bool,
    },
    /// A media file begins; its frames follow this fact.
    SegmentOpened(SegmentOpened),
    /// A track's picture size changed.
    Dimensions {
        /// Which track.
        track: TrackId,
        /// Width in pixels, before orientation.
        width: u32,
        /// Height in pixels, before orientation.
        height: u32,
    },
    /// A track's media are not recorded, though they arrive.
    LeftOut {
        /// Which track.
        track: TrackId,
        /// Why.
        #[serde(default)]
        why: LeftOutWhy,
        /// Arrival of the first frame that is not to be seen or heard.
        from_ns: u64,
    },
    /// They are recorded again, or are over.
    LeftOutUntil {
        /// Which track.
        track: TrackId,
        /// So many frames or packets were left out, as far as they were counted.
        #[serde(default)]
        frames: u64,
    },
    /// A track's pictures are to be turned.
    Orientation {
        /// Which track.
        track: TrackId,
        /// Clockwise degrees: 0, 90, 180 or 270 (the RTP header extension `urn:3gpp:video-orientation`).
        degrees: u16,
    },
    /// Everybody audible now; who is not in the list is silent.
    Speakers {
        /// The speakers, loudest first.
        speakers: Vec<Speaker>,
    },
    /// The layout changed.
    Layout {
        /// LiveKit's layout name.
        layout: String,
    },
    /// An RTCP sender report (RFC 3550, 6.4.1): at the sender's wall clock `ntp` the track's media clock showed `rtp`.
    SenderReport {
        /// Which track.
        track: TrackId,
        /// The segment whose RTP time line is meant.
        segment: SegmentId,
        /// NTP time, 32.32 fixed point seconds.
        ntp: u64,
        /// Extended RTP time on the segment's time line.
        rtp: u64,
    },
    /// Media are missing: lost on the network, or dropped because the disk could not follow.
    Gap {
        /// Which track.
        track: TrackId,
        /// Arrival of the last thing before the gap.
        from_ns: u64,
        /// Arrival of the first thing after the gap.
        to_ns: u64,
        /// Packets (network) or frames (disk) missing, if known.
        #[serde(default)]
        missing: u64,
        /// Which of the two.
        #[serde(default)]
        cause: GapCause,
    },
    /// What became of a track's packets since the last such fact of it. Those that frames were made of are kept, or waited for by the
    /// rest of theirs when the recording ended.
    Packets {
        /// Which track.
        track: TrackId,
        /// Packets that arrived.
        packets: u64,
        /// Those that frames in the take were made of.
        kept: u64,
        /// Those of which there is nothing, and why.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        dropped: BTreeMap<DropReason, u64>,
    },
    /// From here on nobody is recorded who has not agreed.
    ConsentAsked,
    /// What a participant said to being recorded. It holds until they say something else, or leave.
    Consent {
        /// Who.
        participant: ParticipantId,
        /// Whether they agree.
        agrees: bool,
        /// Since when, in Unix milliseconds: it may be long before the take.
        #[serde(default)]
        unix_ms: i64,
    },
    /// From here on nothing is to be seen in the composed view, until [`TakeEvent::Resume`].
    Pause,
    /// The view goes on.
    Resume,
    /// The recorder's program is about to start anew: nothing is recorded until [`TakeEvent::Resumed`]. Everything before it is on disk. A take
    /// that nobody goes on with is over here.
    Suspended {
        /// When, Unix nanoseconds: by this whoever goes on knows how long nothing was recorded.
        #[serde(default)]
        unix_ns: u64,
    },
    /// Recording goes on. Those who were there and come back have new ids, and say again what they publish; nobody else has left. A
    /// room that asks for consent says so again.
    Resumed,
    /// A place to find again.
    Marker {
        /// What it is called.
        #[serde(default)]
        label: String,
    },
    /// The writer's promise: everything with `at` up to `to_ns` stands in the files before this line was written.
    Complete {
        /// How far the take is complete.
        to_ns: u64,
    },
    /// Nothing follows. Its `at` is the take's length.
    Ended {
        /// Why.
        #[serde(default)]
        reason: EndReason,
        /// For a recovered take: at most so much was lost at its end.
        #[serde(default)]
        lost_ns: u64,
    },
    /// A fact of a newer version, to be skipped.
    #[serde(other)]
    Unknown,
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLine {
    /// Nanoseconds since the take began.
    pub at: u64,
    /// The fact.
    #[serde(flatten)]
    pub event: TakeEvent,
}

impl EventLine {
    /// The line with its newline, ready to be appended.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("facts have string keys and finite numbers only");
        line.push(b'\n');
        line
    }

    /// Reads one line without its newline. `None` means it is no fact of ours: a newer one, or damaged.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_ascii() || text.len() % 2 != 0 {
            return Err(D::Error::custom("hex needs an even number of ASCII digits"));
        }
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(D::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests;
