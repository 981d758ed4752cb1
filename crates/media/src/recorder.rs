//! A recorder in a room: turns the room's facts and packets into what its sink wants.

use std::collections::BTreeMap;
use std::time::Instant;

use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::participant_info;
use reelroom_sfu::{Fact, Layer, Now, Room, is_keyframe};

use crate::record::{Codec, Detached, NtpTime, RecordEvent, RecordPacket, RecordSink, RecordedTrack, Wish};
use crate::session::Packet;

struct Followed {
    codec: Codec,
    /// The layer that is handed over, once its keyframe came, and its stream.
    current: Option<(Layer, u32)>,
}

/// One sink's view of a room.
pub(crate) struct RoomRecorder {
    sink: Box<dyn RecordSink>,
    tracks: BTreeMap<TrackSid, Followed>,
}

impl RoomRecorder {
    /// Tells `sink` the present state.
    pub(crate) fn attach(room: &Room, sink: Box<dyn RecordSink>, now: Now) -> Self {
        let mut recorder = Self { sink, tracks: BTreeMap::new() };
        for info in room.participant_infos() {
            let is_active = info.state() == participant_info::State::Active;
            let is_hidden = info.permission.as_ref().is_some_and(|permission| permission.hidden);
            if !is_active || is_hidden || info.kind() == participant_info::Kind::Egress {
                continue;
            }
            recorder.sink.event(
                now.at,
                RecordEvent::ParticipantJoined {
                    sid: info.sid.as_str().into(),
                    identity: info.identity.as_str().into(),
                    name: info.name.clone(),
                },
            );
            for track in &info.tracks {
                if let Some((info_of_track, codec)) = room.track_info(&track.sid.as_str().into()) {
                    let published = RecordedTrack::new(info.sid.as_str().into(), &info_of_track, codec);
                    recorder.publish(published, now.at);
                }
            }
        }
        recorder
    }

    pub(crate) fn tracks(&self) -> impl Iterator<Item = &TrackSid> {
        self.tracks.keys()
    }

    fn publish(&mut self, track: RecordedTrack, now: Instant) {
        self.tracks.insert(track.sid.clone(), Followed { codec: track.codec, current: None });
        self.sink.event(now, RecordEvent::TrackPublished(track));
    }

    pub(crate) fn fact(&mut self, fact: &Fact, now: Instant) {
        let event = match fact.clone() {
            Fact::ParticipantJoined { sid, identity, name } => {
                RecordEvent::ParticipantJoined { sid, identity, name }
            }
            Fact::ParticipantNamed { sid, name } => RecordEvent::ParticipantNamed { sid, name },
            Fact::ParticipantLeft(sid) => RecordEvent::ParticipantLeft(sid),
            Fact::TrackPublished { participant, info, codec } => {
                return self.publish(RecordedTrack::new(participant, &info, codec), now);
            }
            Fact::TrackUnpublished(track) => {
                self.tracks.remove(&track);
                RecordEvent::TrackUnpublished(track)
            }
            Fact::TrackMuted { track, muted } => RecordEvent::TrackMuted { track, muted },
            Fact::Speakers(speakers) => RecordEvent::Speakers(speakers),
        };
        self.sink.event(now, event);
    }

    /// Hands over a packet if it is of the layer that is recorded; `best` is the layer that should be. The layer of
    /// which a keyframe is needed comes back.
    pub(crate) fn packet(&mut self, track: &TrackSid, packet: &Packet, best: Option<Layer>) -> Option<Layer> {
        let followed = self.tracks.get_mut(track)?;
        let layer = packet.layer;
        let current = followed.current.map(|(layer, _)| layer);
        let switches =
            best == Some(layer) && current != best && is_keyframe(followed.codec, packet.payload());
        if switches {
            followed.current = Some((layer, packet.ssrc()));
        }
        if followed.current.is_none_or(|(current, _)| current != layer) {
            return best.filter(|best| followed.current.is_none_or(|(current, _)| current != *best));
        }
        let wish = self.sink.packet(
            packet.received(),
            &RecordPacket {
                track,
                ssrc: packet.ssrc(),
                seq: packet.seq(),
                rtp: packet.rtp(),
                marker: packet.marker(),
                payload: packet.payload(),
                rotation_degrees: packet.rotation_degrees,
            },
        );
        (wish == Wish::Keyframe).then_some(layer)
    }

    pub(crate) fn sender_report(
        &mut self,
        track: &TrackSid,
        ssrc: u32,
        ntp: NtpTime,
        rtp: u32,
        now: Instant,
    ) {
        let is_recorded = |followed: &Followed| followed.current.is_some_and(|(_, current)| current == ssrc);
        if self.tracks.get(track).is_some_and(is_recorded) {
            self.sink.sender_report(now, track, ssrc, ntp, rtp);
        }
    }

    pub(crate) fn detach(mut self, now: Instant, why: Detached) {
        self.sink.detached(now, why);
    }
}
