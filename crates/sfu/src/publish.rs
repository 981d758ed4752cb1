//! Publishing: from an announcement and a section of the SDP to a track whose media arrives, and its end.
//!
//! ```text
//!   AddTrack ──┐
//!              ├─► the two have met, and the publisher is connected ─► published ─► first packet ─► forwarded, recorded
//!   section ───┘                                                         └─► the section stops sending ─► unpublished
//! ```
//!
//! A track is published without media: one that is muted from its start sends none, and a picture that does not move sends it once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reelroom_limits::signalling::{ID_BYTES, SINGLE_SECTIONS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    self, MuteTrackRequest, ParticipantInfo, TrackInfo, TrackType, signal_response,
};

use crate::codec::{Codec, is_keyframe};
use crate::dynacast::Dynacast;
use crate::layers::{KeyframeFor, Layer, Layers};
use crate::output::{Fact, Output};
use crate::packet::{Passed, PublishedPacket};
use crate::parameter_sets::ParameterSets;
use crate::participant::{Audience, Participant, PendingTrack};
use crate::room::{Now, Room};
use crate::track::{Section, Sound, Track};

/// After a change of codec, packets of the old one may still be on their way for so long.
const CODEC_SETTLES: Duration = Duration::from_secs(1);
/// For so long the answer of a client is awaited that was asked to mute.
const ECHO_WITHIN: Duration = Duration::from_secs(2);

/// How a section finds the announced track that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The name of the track that it sends.
    Name,
    /// Whether it is sound or a picture: a track that was replaced keeps its section, but not its name.
    Kind,
}

impl Participant {
    /// Whether a section sends what was taken from it or never allowed.
    fn is_nobodys(&self, section: &Section) -> bool {
        self.spent.contains(&section.mid) || self.denied.contains(&section.track_id)
    }
}

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
        if let Some(participant) = self.participants.get_mut(sid) {
            for section in sections.iter().filter(|section| !section.sends) {
                participant.spent.remove(&section.mid);
            }
        }
        // What is named finds its own before anything is taken for something else.
        for by in [By::Name, By::Kind] {
            for section in sections.iter().filter(|section| section.sends) {
                self.match_section(sid, section, by);
            }
        }
    }

    fn match_section(&mut self, sid: &ParticipantSid, section: &Section, by: By) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let bound = participant
            .published
            .iter()
            .find(|track| self.tracks.get(*track).is_some_and(|track| track.mid == section.mid));
        let of_kind = |pending: &PendingTrack| pending.info.r#type == i32::from(section.kind);
        let is_named = |pending: &PendingTrack| of_kind(pending) && pending.cid == section.track_id;
        let position = match by {
            By::Name => participant.pending.iter().position(is_named),
            By::Kind if bound.is_some() || participant.is_nobodys(section) => None,
            By::Kind => participant.pending.iter().position(of_kind),
        };
        let Some(position) = position else { return };
        let bound = bound.cloned();
        let pending = participant.pending.remove(position);
        let (announced_codec, since) = (pending.announced_codec, pending.since);
        let track = TrackSid::from(pending.info.sid.as_str());
        participant.published.push(track.clone());
        if let Some(old) = bound {
            self.unpublish(&old);
        }
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.spent.remove(&section.mid);
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
        if let Some(first) = info.codecs.first_mut()
            && section.track_id.len() <= ID_BYTES
        {
            first.sdp_cid.clone_from(&section.track_id);
        }
        self.tracks.insert(
            track.clone(),
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
                is_published: false,
                echo_due: None,
                recovery: None,
                scalable: None,
                dynacast: Dynacast::default(),
            },
        );
        if self.participants.get(sid).is_some_and(Participant::is_active) {
            self.publish(&track, since);
        }
    }

    /// The publisher is connected: what has a section and an announcement already is published.
    pub(crate) fn publish_waiting(&mut self, sid: &ParticipantSid, now: Now) {
        let tracks = self.participants.get(sid).map(|who| who.published.clone()).unwrap_or_default();
        for track in tracks {
            self.publish(&track, now);
        }
    }

    /// Everybody hears of a track, and those who want it are subscribed to it, before any media of it. Its publisher knows.
    fn publish(&mut self, sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get_mut(sid).filter(|track| !track.is_published) else { return };
        track.is_published = true;
        track.describe_codec();
        let (publisher, info) = (track.publisher.clone(), track.info.clone());
        self.announce(&publisher, Audience::Others);
        self.track_webhook("track_published", &publisher, info);
        let others: Vec<_> = self.participants.keys().filter(|other| **other != publisher).cloned().collect();
        for other in others {
            self.subscribe_by_default(&other, sid, now);
        }
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
        let codec = match pending {
            Some(pending) => pending.announced_codec,
            None => {
                let track = self.tracks.get(&self.track_on(sid, &section.mid)?)?;
                track.codec.or(track.announced_codec)
            }
        };
        codec.filter(|codec| participant.client.may_publish(*codec))
    }

    /// Codecs that a publisher's device encodes badly: they are left out of the answers to it.
    pub fn unfit_codecs(&self, sid: &ParticipantSid) -> Vec<Codec> {
        let Some(participant) = self.participants.get(sid) else { return Vec::new() };
        Codec::ALL.into_iter().filter(|codec| !participant.client.may_publish(*codec)).collect()
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

    /// A packet in another codec than that of its track so far: the first one of all, with which it is told to recorders (whoever publishes before
    /// they are connected has it announced by then), or its publisher goes on with another codec.
    pub(crate) fn media_changes(&mut self, sid: &TrackSid, packet: &PublishedPacket<'_>, now: Now) -> Passed {
        let Some(track) = self.tracks.get(sid) else { return Passed::On };
        if track.codec.is_none() {
            let publisher = track.publisher.clone();
            self.enforce_sources(&publisher);
            self.first_packet(sid, packet, now);
            return Passed::AfterOutputs;
        }
        self.other_codec(sid, packet, now);
        let follows = self.tracks.get(sid).is_some_and(|track| track.codec == Some(packet.codec));
        if follows { Passed::AfterOutputs } else { Passed::On }
    }

    fn first_packet(&mut self, sid: &TrackSid, packet: &PublishedPacket<'_>, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let codec = packet.codec;
        let is_expected = track.expected_codec() == codec;
        track.codec = Some(codec);
        track.dynacast.begins(now.at);
        let was_published = track.is_published;
        if was_published && !is_expected {
            // Its subscribers have negotiated all codecs: they take what comes.
            track.describe_codec();
            for down in track.down.values_mut() {
                down.forwarder.change_codec(codec);
            }
            let publisher = track.publisher.clone();
            self.announce(&publisher, Audience::Others);
        }
        self.publish(sid, now);
        let fact = self.tracks.get(sid).and_then(Track::published_fact);
        self.outputs.extend(fact.map(Output::Fact));
        let Some(track) = self.tracks.get_mut(sid) else { return };
        // Those who have negotiated it already get it from this packet on. Where that begins a picture, none has to be asked for.
        let layer = if track.info.simulcast { packet.layer } else { Layer::High };
        if !packet.payload.is_empty() {
            track.layers.packet(layer, packet.rtp, 0, packet.arrived);
        }
        if track.is_video() && is_keyframe(codec, packet.payload) {
            track.layers.keyframe_comes(layer, now.at);
        }
        self.retarget(sid, now);
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
            if participant.spent.len() < SINGLE_SECTIONS {
                participant.spent.insert(track.mid.clone());
            }
        }
        if track.codec.is_some() {
            self.outputs.push_back(Output::Fact(Fact::TrackUnpublished(sid.clone())));
        }
        if track.is_published {
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
        track.echo_due = None;
        if muted && track.held {
            // It did what the moderator asked for, of which everybody else has heard.
            let publisher = track.publisher.clone();
            if let Some(info) = self.participant_info(&publisher) {
                self.tell_of_participant(vec![publisher], info);
            }
            return;
        }
        if !muted && std::mem::take(&mut track.held) {
            let layers = [Layer::Low, Layer::Medium, Layer::High];
            for layer in layers.into_iter().skip(if track.info.simulcast { 0 } else { 2 }) {
                self.ask_keyframe(sid, layer, KeyframeFor::Subscriber, now);
            }
        }
        self.set_muted(sid, muted, Audience::All);
    }

    /// A moderator mutes a track: nothing of it is forwarded or recorded until its publisher unmutes it. The publisher is asked to mute first,
    /// and told of it with its echo: a client that reads that it is muted, and is not, says so, and everybody would see it unmuted in between. One
    /// that does not know the question is told after a while.
    pub(crate) fn muted_by_moderator(&mut self, sid: &TrackSid) {
        let due = self.echo_is_due();
        let Some(track) = self.tracks.get_mut(sid) else { return };
        track.held = true;
        track.echo_due = Some(due);
        let publisher = track.publisher.clone();
        let mute = MuteTrackRequest { sid: sid.to_string(), muted: true };
        self.signal(&publisher, signal_response::Message::Mute(mute));
        self.set_muted(sid, true, Audience::Others);
    }

    /// Until when a client that is asked to mute now is waited for.
    pub(crate) fn echo_is_due(&self) -> Instant {
        self.next_tick + ECHO_WITHIN
    }

    /// Tells those publishers that a moderator muted a track of theirs who did not answer that.
    pub(crate) fn tell_of_mutes(&mut self, now: Now) {
        let mut untold = BTreeSet::new();
        for track in self.tracks.values_mut() {
            if track.echo_due.take_if(|due| *due <= now.at).is_some() {
                untold.insert(track.publisher.clone());
            }
        }
        for publisher in untold {
            if let Some(info) = self.participant_info(&publisher) {
                self.tell_of_participant(vec![publisher], info);
            }
        }
    }

    /// Sets a track's muted state and tells whoever is to hear of it.
    pub(crate) fn set_muted(&mut self, sid: &TrackSid, muted: bool, audience: Audience) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if track.info.muted == muted {
            return;
        }
        track.info.muted = muted;
        track.changed();
        let publisher = track.publisher.clone();
        if track.codec.is_some() {
            self.outputs.push_back(Output::Fact(Fact::TrackMuted { track: sid.clone(), muted }));
        }
        if muted && !track.is_video() {
            self.speakers.silence(&publisher);
        }
        self.announce(&publisher, audience);
    }
}
