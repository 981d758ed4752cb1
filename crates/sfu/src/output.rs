//! What a room asks its shell to do.

use reelroom_protocol::ids::{ParticipantIdentity, ParticipantSid, TrackSid};
use reelroom_protocol::proto::signal_response;
use reelroom_protocol::proto::{TrackInfo, WebhookEvent};

use crate::admin::RpcError;
use crate::codec::Codec;
use crate::consent::Answer;
use crate::forward::Rewrite;
use crate::layers::Layer;
use crate::person::Bearer;

/// One thing to do. Order matters within a room.
#[derive(Debug)]
pub enum Output {
    /// Send a signalling message.
    Signal {
        /// To whom.
        to: ParticipantSid,
        /// What.
        message: Box<signal_response::Message>,
    },
    /// Send the same signalling message to several.
    Broadcast {
        /// To whom.
        to: Vec<ParticipantSid>,
        /// What.
        message: Box<signal_response::Message>,
        /// What it says the present state of: of what waits for a slow reader only the last word on it is of use.
        about: Option<About>,
    },
    /// Deliver a webhook; id and time are filled in by the sender.
    Webhook(Box<WebhookEvent>),
    /// Give a subscriber a media section for a track, negotiate it, and then call [`crate::Room::down_track_ready`].
    AddDownTrack(DownTrackSpec),
    /// Take a track away from a subscriber.
    RemoveDownTrack {
        /// Whose.
        subscriber: ParticipantSid,
        /// Which.
        track: TrackSid,
    },
    /// Send a packet without content to a subscriber of a track that is muted: Go's client knows a track by its first packet.
    SendEmpty {
        /// Of which track.
        track: TrackSid,
        /// To whom.
        subscriber: ParticipantSid,
        /// As what it is named.
        codec: Codec,
        /// Its numbers.
        rewrite: Rewrite,
    },
    /// Ask a publisher for a keyframe.
    RequestKeyframe {
        /// Of which track.
        track: TrackSid,
        /// By which of its sections: each codec of it has its own.
        mid: String,
        /// Of which simulcast layer; the only stream where `None`.
        layer: Option<Layer>,
    },
    /// Send a lossy data packet.
    Data {
        /// To whom.
        to: ParticipantSid,
        /// A serialised `DataPacket`.
        bytes: bytes::Bytes,
    },
    /// Give a client a token that says what is so now, and is valid from now on.
    RefreshToken {
        /// To whom.
        to: ParticipantSid,
        /// What it says.
        bearer: Box<Bearer>,
    },
    /// Reliable data waits for a receiver: see [`crate::Room::next_data`].
    DataWaits(ParticipantSid),
    /// A receiver took reliable data too slowly and does not get some of it; both sides were told.
    DataLost {
        /// Who sent it; `None` for the RoomService.
        from: Option<ParticipantSid>,
        /// Who does not get it.
        to: ParticipantSid,
        /// How many packets.
        packets: usize,
        /// How many bytes.
        bytes: usize,
        /// It got everything of this sender so far.
        begins: bool,
    },
    /// End a participant's connections, after what was said before has been sent.
    Disconnect(ParticipantSid),
    /// Something a recorder wants to know.
    Fact(Fact),
    /// Send a packet of a data track.
    DataTrackPacket {
        /// To whom.
        to: ParticipantSid,
        /// With the handle that the receiver was told.
        bytes: bytes::Bytes,
    },
    /// What came of [`crate::Room::perform_rpc`].
    RpcAnswered {
        /// The call's.
        id: String,
        /// What was answered.
        answer: Result<String, RpcError>,
    },
    /// What a subscriber could be sent if its line had room: its connection finds out whether it has, each time that it is told.
    Desire {
        /// Whose line.
        subscriber: ParticipantSid,
        /// Bits a second of everything that it wants, with some to spare.
        bits_per_second: u64,
    },
}

/// Something whose whole state is told each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The room.
    Room,
    /// One of its participants.
    Participant(ParticipantSid),
    /// What the handles of data tracks mean to whoever is told.
    DataTrackHandles,
}

/// The data channels of LiveKit, and any other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// Serialised `DataPacket`s, ordered, retransmitted.
    Reliable,
    /// Serialised `DataPacket`s, unordered, sent once.
    Lossy,
    /// Packets of data tracks, unordered, sent once.
    Track,
    /// A channel with a label of the client's own: what comes by it goes to everybody as a user's packet.
    Other,
}

/// A track on its way to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownTrackSpec {
    /// The participant that receives it.
    pub subscriber: ParticipantSid,
    /// Whose it is.
    pub publisher: ParticipantSid,
    /// Which one.
    pub track: TrackSid,
    /// How it is encoded, or will be as far as is known.
    pub codec: Codec,
    /// What it can be had in besides by who cannot decode that.
    pub backups: Vec<Codec>,
    /// The media stream that it comes in: `PA_…|TR_…`, or `PA_…|` and the publisher's own stream where what belongs together is played in step.
    pub stream_id: String,
    /// It is sound in stereo.
    pub is_stereo: bool,
}

/// What a recorder writes down beside the media.
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
