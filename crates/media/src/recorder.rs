//! A recorder in a room: turns the room's facts and packets into what its sink wants.

use std::collections::BTreeMap;
use std::time::Instant;

use reelroom_protocol::ids::TrackSid;
use reelroom_sfu::{Layer, Now, Room, is_keyframe};

use crate::record::{Codec, Detached, Fact, NtpTime, RecordPacket, RecordSink, Wish};
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
        for fact in room.present_facts() {
            recorder.fact(&fact, now.at);
        }
        recorder
    }

    pub(crate) fn tracks(&self) -> impl Iterator<Item = &TrackSid> {
        self.tracks.keys()
    }

    pub(crate) fn fact(&mut self, fact: &Fact, now: Instant) {
        match fact {
            Fact::TrackPublished { info, codec, .. } => {
                let followed = Followed { codec: *codec, current: None };
                self.tracks.insert(info.sid.as_str().into(), followed);
            }
            Fact::TrackUnpublished(track) => {
                self.tracks.remove(track);
            }
            _ => {}
        }
        self.sink.fact(now, fact);
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
        let Some((_, ssrc)) = followed.current.as_mut().filter(|(current, _)| *current == layer) else {
            return best.filter(|best| current != Some(*best));
        };
        // A layer may go on in another stream; its sender reports are then the ones that count.
        *ssrc = packet.ssrc();
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
