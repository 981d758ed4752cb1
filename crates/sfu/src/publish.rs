//! Publishing: from an announcement and a section of the SDP to a track whose media arrives, and its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{self, ParticipantInfo, TrackInfo, TrackType};

use crate::codec::{Codec, is_keyframe};
use crate::dynacast::Dynacast;
use crate::layers::{KeyframeFor, Layer, Layers};
use crate::output::{Fact, Output};
use crate::packet::{Passed, PublishedPacket};
use crate::parameter_sets::ParameterSets;
use crate::participant::{Audience, PendingTrack};
use crate::room::{Now, Room};
use crate::track::{Section, Sound, Track};

/// After a change of codec, packets of the old one may still be on their way for so long.
const CODEC_SETTLES: Duration = Duration::from_secs(1);

impl Room {
    /// What the publisher's SDP carries after an answer: sections are matched to announced tracks, and tracks whose
    /// section sends no more are unpublished (there is no message for that).
    pub fn sections(&mut self, sid: &ParticipantSid, sections: &[Section]) {
        let Some(participant) = self.participants.get(sid) else { return };
        let gone: Vec<_> = participant
            .published
            .iter()
            .filter(|track| {
                self.tracks.get(*track).is_some_and(|track| {
                    sections.iter().any(|section| section.mid == track.mid && !section.sends)
                })
            })
            .cloned()
            .collect();
        for track in gone {
            self.unpublish(&track);
        }
        for section in sections.iter().filter(|section| section.sends) {
            self.match_section(sid, section);
        }
    }

    fn match_section(&mut self, sid: &ParticipantSid, section: &Section) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let bound = participant
            .published
            .iter()
            .find(|track| self.tracks.get(*track).is_some_and(|track| track.mid == section.mid));
        let of_kind = |pending: &PendingTrack| pending.info.r#type == i32::from(section.kind);
        let by_cid = participant
            .pending
            .iter()
            .position(|pending| of_kind(pending) && pending.cid == section.track_id);
        // A replaced track keeps its section but changes its id; a section without announced track waits for one.
        let by_kind = || participant.pending.iter().position(of_kind);
        let position = match (bound, by_cid) {
            (Some(_), None) => None,
            (_, Some(position)) => Some(position),
            (None, None) => by_kind(),
        };
        let Some(position) = position else { return };
        let bound = bound.cloned();
        let pending = participant.pending.remove(position);
        let announced_codec = pending.announced_codec;
        let track = TrackSid::from(pending.info.sid.as_str());
        participant.published.push(track.clone());
        if let Some(old) = bound {
            self.unpublish(&old);
        }
        let mut info = pending.info;
        info.mid.clone_from(&section.mid);
        info.simulcast = section.simulcast;
        // Whoever asked for it before it was there has it in mind from now on.
        for participant in self.participants.values_mut() {
            if let Some(awaited) = participant.awaited.remove(&track) {
                let choices =
                    if awaited.subscribe { &mut participant.wanted } else { &mut participant.refused };
                choices.insert(track.clone());
            }
        }
        self.tracks.insert(
            track,
            Track {
                info,
                publisher: sid.clone(),
                mid: section.mid.clone(),
                announced_codec,
                codec: None,
                codec_since: None,
                layers: Layers::default(),
                parameter_sets: ParameterSets::announced(&section.parameter_sets),
                down: BTreeMap::new(),
                held: false,
                recovery: None,
                scalable: None,
                dynacast: Dynacast::default(),
            },
        );
    }

    /// The track that a publisher sends on a section.
    pub fn track_on(&self, sid: &ParticipantSid, mid: &str) -> Option<TrackSid> {
        let participant = self.participants.get(sid)?;
        participant
            .published
            .iter()
            .find(|track| self.tracks.get(*track).is_some_and(|t| t.mid == mid))
            .cloned()
    }

    /// The codec that a section of a publisher with pictures is to be encoded with: every answer has to name it, not only the one
    /// that begins the track, or the publisher changes its codec whenever anything else is negotiated. For sound there is one; whether it
    /// is redundant, [`Room::publish_sound`] says.
    pub fn publish_codec(&self, sid: &ParticipantSid, section: &Section) -> Option<Codec> {
        if section.kind == TrackType::Audio {
            return None;
        }
        let participant = self.participants.get(sid)?;
        let pending = participant.pending.iter().find(|pending| pending.cid == section.track_id);
        match pending {
            Some(pending) => pending.announced_codec,
            None => {
                let track = self.tracks.get(&self.track_on(sid, &section.mid)?)?;
                track.codec.or(track.announced_codec)
            }
        }
    }

    /// What the sound of a publisher's section is to be like; nothing of pictures.
    pub fn publish_sound(&self, sid: &ParticipantSid, section: &Section) -> Option<Sound> {
        if section.kind != TrackType::Audio {
            return None;
        }
        let participant = self.participants.get(sid)?;
        let pending = participant.pending.iter().find(|pending| pending.cid == section.track_id);
        let published = || self.tracks.get(&self.track_on(sid, &section.mid)?).map(|track| &track.info);
        let info = pending.map(|pending| &pending.info).or_else(published);
        Some(info.map_or_else(Sound::default, Sound::of))
    }

    /// The section and publisher of a track.
    pub fn source_of(&self, track: &TrackSid) -> Option<(ParticipantSid, String)> {
        self.tracks.get(track).map(|track| (track.publisher.clone(), track.mid.clone()))
    }

    /// A packet in another codec than that of its track so far: the first one of all, or its publisher goes on with another codec.
    pub(crate) fn media_changes(&mut self, sid: &TrackSid, packet: &PublishedPacket<'_>, now: Now) -> Passed {
        let Some(track) = self.tracks.get(sid) else { return Passed::On };
        if track.codec.is_none() {
            let publisher = track.publisher.clone();
            self.enforce_sources(&publisher);
            self.first_packet(sid, packet.codec, now);
            return Passed::AfterOutputs;
        }
        self.other_codec(sid, packet, now);
        let follows = self.tracks.get(sid).is_some_and(|track| track.codec == Some(packet.codec));
        if follows { Passed::AfterOutputs } else { Passed::On }
    }

    fn first_packet(&mut self, sid: &TrackSid, codec: Codec, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        track.set_codec(codec);
        track.dynacast.begins(now.at);
        let (publisher, info, fact) = (track.publisher.clone(), track.info.clone(), track.published_fact());
        self.announce(&publisher, Audience::All);
        self.track_webhook("track_published", &publisher, info);
        self.outputs.extend(fact.map(Output::Fact));
        let others: Vec<_> = self.participants.keys().filter(|other| **other != publisher).cloned().collect();
        for other in others {
            self.subscribe_by_default(&other, sid, now);
        }
    }

    /// A publisher whose encoder fails goes on with another codec, as browsers do. Subscribers have negotiated all of them and
    /// follow at the first keyframe; to recorders it is another track of the same name.
    fn other_codec(&mut self, sid: &TrackSid, packet: &PublishedPacket<'_>, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let passed = |since: Instant| now.at.saturating_duration_since(since) >= CODEC_SETTLES;
        if !track.codec_since.is_none_or(passed) {
            return;
        }
        if !is_keyframe(packet.codec, packet.payload) {
            return self.ask_keyframe(sid, packet.layer, KeyframeFor::Subscriber, now);
        }
        track.set_codec(packet.codec);
        track.codec_since = Some(now.at);
        for down in track.down.values_mut() {
            down.forwarder.change_codec(packet.codec);
        }
        let (publisher, fact) = (track.publisher.clone(), track.published_fact());
        self.recordings.values_mut().for_each(|recording| recording.forget(sid));
        self.announce(&publisher, Audience::All);
        self.outputs.push_back(Output::Fact(Fact::TrackUnpublished(sid.clone())));
        self.outputs.extend(fact.map(Output::Fact));
    }

    pub(crate) fn unpublish(&mut self, sid: &TrackSid) {
        let Some(subscribers) =
            self.tracks.get(sid).map(|track| track.down.keys().cloned().collect::<Vec<_>>())
        else {
            return;
        };
        for subscriber in subscribers {
            self.unsubscribe(&subscriber, sid);
        }
        // Its id does not come again: nobody's choices about it are of use.
        for participant in self.participants.values_mut() {
            participant.wanted.remove(sid);
            participant.refused.remove(sid);
            participant.early_settings.remove(sid);
        }
        self.recordings.values_mut().for_each(|recording| recording.forget(sid));
        let Some(track) = self.tracks.remove(sid) else { return };
        if let Some(participant) = self.participants.get_mut(&track.publisher) {
            participant.published.retain(|published| published != sid);
        }
        if track.codec.is_some() {
            self.outputs.push_back(Output::Fact(Fact::TrackUnpublished(sid.clone())));
            self.announce(&track.publisher, Audience::All);
            self.track_webhook("track_unpublished", &track.publisher, track.info);
        }
    }

    /// Track webhooks name room and participant only by their ids.
    fn track_webhook(&mut self, event: &str, publisher: &ParticipantSid, info: TrackInfo) {
        let identity = self.participants.get(publisher).map(|p| p.identity.to_string()).unwrap_or_default();
        let participant = ParticipantInfo { sid: publisher.to_string(), identity, ..Default::default() };
        self.webhook(event, |room, hook| {
            hook.room = Some(proto::Room {
                sid: room.base.sid.clone(),
                name: room.base.name.clone(),
                ..Default::default()
            });
            hook.participant = Some(participant);
            hook.track = Some(info);
        });
    }

    /// What its publisher says of a track, which is then no longer held back: it may be unmuted by whoever it belongs to, for all to see.
    pub(crate) fn muted_by_publisher(&mut self, sid: &TrackSid, muted: bool, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if !muted && std::mem::take(&mut track.held) {
            let layers = [Layer::Low, Layer::Medium, Layer::High];
            for layer in layers.into_iter().skip(if track.info.simulcast { 0 } else { 2 }) {
                self.ask_keyframe(sid, layer, KeyframeFor::Subscriber, now);
            }
        }
        self.set_muted(sid, muted);
    }

    /// Sets a track's muted state and tells everybody.
    pub(crate) fn set_muted(&mut self, sid: &TrackSid, muted: bool) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if track.info.muted == muted {
            return;
        }
        track.info.muted = muted;
        let publisher = track.publisher.clone();
        if track.codec.is_some() {
            self.outputs.push_back(Output::Fact(Fact::TrackMuted { track: sid.clone(), muted }));
        }
        if muted && !track.is_video() {
            self.speakers.silence(&publisher);
        }
        self.announce(&publisher, Audience::All);
    }
}
