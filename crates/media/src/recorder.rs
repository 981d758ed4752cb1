//! A recorder in a room: says the room's facts and packets in its sink's words.
//!
//! What a recorder takes, and which keyframes it needs, is the room's to say ([`Room::packet`], [`Room::ask_for_recorders`]).

use std::time::Instant;

use reelroom_protocol::ids::TrackSid;
use reelroom_sfu::{self as sfu, Content, Now, Room};

use crate::record::{Answer, Codec, Detached, Fact, NtpTime, RecordPacket, RecordSink, Wish};
use crate::session::Packet;

/// One sink's view of a room.
pub(crate) struct RoomRecorder {
    sink: Box<dyn RecordSink>,
}

impl RoomRecorder {
    /// Tells `sink` the present state.
    pub(crate) fn attach(room: &Room, sink: Box<dyn RecordSink>, now: Now) -> Self {
        let mut recorder = Self { sink };
        for fact in room.present_facts() {
            recorder.fact(&fact, now.at);
        }
        recorder
    }

    pub(crate) fn fact(&mut self, fact: &sfu::Fact, now: Instant) {
        self.sink.fact(now, &said(fact));
    }

    /// See [`RecordSink::parameter_sets`].
    pub(crate) fn parameter_sets(&mut self, track: &TrackSid, packet: &Packet, sets: &[&[u8]]) {
        self.sink.parameter_sets(track, packet.ssrc(), sets);
    }

    /// Hands over what the room says of a packet; whether a keyframe is needed.
    pub(crate) fn packet(&mut self, track: &TrackSid, packet: &Packet, content: Content<'_>) -> bool {
        let whole = RecordPacket {
            track,
            ssrc: packet.ssrc(),
            seq: packet.seq(),
            rtp: packet.rtp(),
            marker: packet.marker(),
            payload: packet.payload(),
            rotation_degrees: packet.rotation_degrees,
        };
        let handed = match content {
            Content::Whole => whole,
            Content::Block(block) => RecordPacket {
                seq: whole.seq.saturating_sub(block.packets_ago),
                rtp: whole.rtp.saturating_sub(block.ticks_ago.into()),
                marker: whole.marker && block.packets_ago == 0,
                payload: block.of(whole.payload),
                ..whole
            },
            Content::ParameterSet(set) => RecordPacket { marker: false, payload: set, ..whole },
        };
        self.sink.packet(packet.received(), &handed) == Wish::Keyframe
    }

    /// Whether the pictures of a track wait for a keyframe.
    pub(crate) fn wants_keyframe(&self, track: &TrackSid) -> bool {
        self.sink.wants_keyframe(track)
    }

    pub(crate) fn sender_report(
        &mut self,
        track: &TrackSid,
        ssrc: u32,
        ntp: NtpTime,
        rtp: u32,
        now: Instant,
    ) {
        self.sink.sender_report(now, track, ssrc, ntp, rtp);
    }

    pub(crate) fn detach(mut self, now: Instant, why: Detached) {
        self.sink.detached(now, why);
    }
}

/// A fact of the room in the words of those who write it down.
fn said(fact: &sfu::Fact) -> Fact {
    match fact.clone() {
        sfu::Fact::ParticipantJoined { sid, identity, name } => {
            Fact::ParticipantJoined { sid, identity, name }
        }
        sfu::Fact::ParticipantNamed { sid, name } => Fact::ParticipantNamed { sid, name },
        sfu::Fact::ParticipantLeft(sid) => Fact::ParticipantLeft(sid),
        sfu::Fact::TrackPublished { participant, info, codec } => {
            Fact::TrackPublished { participant, info, codec: encoding(codec) }
        }
        sfu::Fact::TrackUnpublished(track) => Fact::TrackUnpublished(track),
        sfu::Fact::TrackMuted { track, muted } => Fact::TrackMuted { track, muted },
        sfu::Fact::ConsentAsked => Fact::ConsentAsked,
        sfu::Fact::Consent { sid, answer } => {
            let answer = Answer { agrees: answer.agrees, unix_ms: answer.unix_ms };
            Fact::Consent { sid, answer }
        }
        sfu::Fact::Speakers(speakers) => Fact::Speakers(speakers),
    }
}

fn encoding(codec: sfu::Codec) -> Codec {
    match codec {
        sfu::Codec::Opus => Codec::Opus,
        sfu::Codec::Vp8 => Codec::Vp8,
        sfu::Codec::H264 => Codec::H264,
        sfu::Codec::Vp9 => Codec::Vp9,
        sfu::Codec::Av1 => Codec::Av1,
    }
}
