//! A recorder in a room: turns the room's facts and packets into what its sink wants.
//!
//! Where the room asks for consent, nothing of who has not agreed gets as far as a sink, and no keyframe is asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_sfu::{Layer, Now, Room, is_encrypted, is_keyframe};

use crate::record::{Codec, Detached, Fact, NtpTime, RecordPacket, RecordSink, Wish};
use crate::session::Packet;

/// A publisher that answers no request for a keyframe for so long ...
const PATIENT_FOR: Duration = Duration::from_secs(10);
/// ... is asked only so often.
const ASK_EVERY: Duration = Duration::from_secs(5);

struct Followed {
    publisher: ParticipantSid,
    codec: Codec,
    muted: bool,
    /// The layer that is handed over, once its keyframe came, and its stream.
    current: Option<(Layer, u32)>,
    /// Since when a keyframe is missing, and when it was asked for last while no packet came.
    missing: Option<(Instant, Instant)>,
}

impl Followed {
    /// What is recorded of it again begins with a keyframe, and with what that needs. Until then its sender reports are nobody's.
    fn begin_anew(&mut self) {
        (self.current, self.missing) = (None, None);
    }
}

/// One sink's view of a room.
pub(crate) struct RoomRecorder {
    sink: Box<dyn RecordSink>,
    tracks: BTreeMap<TrackSid, Followed>,
    /// The room records only those who agree.
    asks: bool,
    agreed: BTreeSet<ParticipantSid>,
}

impl RoomRecorder {
    /// Tells `sink` the present state.
    pub(crate) fn attach(room: &Room, sink: Box<dyn RecordSink>, now: Now) -> Self {
        let mut recorder = Self { sink, tracks: BTreeMap::new(), asks: false, agreed: BTreeSet::new() };
        for fact in room.present_facts() {
            recorder.fact(&fact, now.at);
        }
        recorder
    }

    /// Those that are recorded.
    pub(crate) fn tracks(&self) -> impl Iterator<Item = &TrackSid> {
        let (asks, agreed) = (self.asks, &self.agreed);
        let is_recorded =
            move |(_, followed): &(&TrackSid, &Followed)| !asks || agreed.contains(&followed.publisher);
        self.tracks.iter().filter(is_recorded).map(|(track, _)| track)
    }

    pub(crate) fn fact(&mut self, fact: &Fact, now: Instant) {
        match fact {
            // Of what is encrypted nothing is recorded, and no keyframe is needed.
            Fact::TrackPublished { participant, info, codec } if !is_encrypted(info) => {
                let followed = Followed {
                    publisher: participant.clone(),
                    codec: *codec,
                    muted: info.muted,
                    current: None,
                    missing: None,
                };
                self.tracks.insert(info.sid.as_str().into(), followed);
            }
            Fact::TrackMuted { track, muted } => {
                if let Some(followed) = self.tracks.get_mut(track) {
                    followed.muted = *muted;
                }
            }
            Fact::TrackUnpublished(track) => {
                self.tracks.remove(track);
            }
            Fact::ConsentAsked => {
                self.asks = true;
                self.tracks.values_mut().for_each(Followed::begin_anew);
            }
            Fact::Consent { sid, answer } => {
                if answer.agrees {
                    self.agreed.insert(sid.clone());
                } else {
                    self.agreed.remove(sid);
                }
                let theirs = self.tracks.values_mut().filter(|followed| followed.publisher == *sid);
                theirs.for_each(Followed::begin_anew);
            }
            Fact::ParticipantLeft(sid) => {
                self.agreed.remove(sid);
            }
            _ => {}
        }
        self.sink.fact(now, fact);
    }

    /// Hands over a packet if it is of the layer that is recorded; `best` is the layer that should be. The layer of
    /// which a keyframe is needed comes back.
    pub(crate) fn packet(
        &mut self,
        room: &Room,
        track: &TrackSid,
        packet: &Packet,
        best: Option<Layer>,
    ) -> Option<Layer> {
        let followed = self.tracks.get_mut(track)?;
        if self.asks && !self.agreed.contains(&followed.publisher) {
            return None;
        }
        let layer = packet.layer;
        let current = followed.current.map(|(layer, _)| layer);
        let before = followed.current;
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
        if followed.codec == Codec::H264 && before != followed.current {
            let sets = room.parameter_sets(track, layer);
            self.sink.parameter_sets(track, packet.ssrc(), &sets);
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

    /// The tracks whose keyframe is missing although it was asked for, with the layer that is to be asked. A source that draws
    /// nothing brings no packet to which the sink could answer with its wish.
    pub(crate) fn missing_keyframes(&mut self, room: &Room, now: Now) -> Vec<(TrackSid, Layer)> {
        let mut missing = Vec::new();
        for (track, followed) in &mut self.tracks {
            let best = room.best_layer(track, now);
            let current = followed.current.map(|(layer, _)| layer);
            let is_recorded = !self.asks || self.agreed.contains(&followed.publisher);
            let is_missing = followed.codec != Codec::Opus
                && is_recorded
                && !followed.muted
                && (current != best || self.sink.wants_keyframe(track));
            let Some(layer) = best.filter(|_| is_missing) else {
                followed.missing = None;
                continue;
            };
            let (since, asked) = followed.missing.get_or_insert((now.at, now.at));
            let is_patient = now.at.saturating_duration_since(*since) < PATIENT_FOR;
            if is_patient || now.at.saturating_duration_since(*asked) >= ASK_EVERY {
                *asked = now.at;
                missing.push((track.clone(), layer));
            }
        }
        missing
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
