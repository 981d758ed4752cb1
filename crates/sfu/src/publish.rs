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
    self, MuteTrackRequest, ParticipantInfo, SimulcastCodecInfo, TrackInfo, TrackType, signal_response,
};

use crate::codec::{Codec, is_keyframe};
use crate::coding::Coding;
use crate::layers::{KeyframeFor, Layer};
use crate::output::{Fact, Output};
use crate::packet::{Passed, PublishedPacket};
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
        let silent = sections.iter().filter(|section| !section.sends);
        let gone: Vec<_> = silent.filter_map(|section| self.coding_on(sid, &section.mid)).collect();
        for (track, coding) in gone {
            self.end_coding(&track, coding);
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
        let bound = self.coding_on(sid, &section.mid);
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let of_kind = |pending: &PendingTrack| pending.info.r#type == i32::from(section.kind);
        let is_named = |pending: &PendingTrack| of_kind(pending) && pending.cid == section.track_id;
        let position = match by {
            By::Name => participant.pending.iter().position(is_named),
            By::Kind if bound.is_some() || participant.is_nobodys(section) => None,
            By::Kind => participant.pending.iter().position(of_kind),
        };
        let Some(position) = position else {
            if by == By::Name {
                self.match_backup(sid, section, bound);
            }
            return;
        };
        let pending = participant.pending.remove(position);
        let since = pending.since;
        let track = TrackSid::from(pending.info.sid.as_str());
        participant.published.push(track.clone());
        if let Some((old, coding)) = bound {
            self.end_coding(&old, coding);
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
        let announced = |codec: &SimulcastCodecInfo| Coding::announced(Codec::parse(&codec.mime_type));
        let mut codings: Vec<_> = info.codecs.iter().map(announced).collect();
        if let Some(primary) = codings.first_mut() {
            primary.begins_on(section);
        }
        self.tracks.insert(
            track.clone(),
            Track {
                info,
                publisher: sid.clone(),
                codings,
                regressed: None,
                down: BTreeMap::new(),
                held: false,
                is_published: false,
                echo_due: None,
                recovery: None,
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
        track.describe_codec(0);
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
        self.coding_on(sid, mid).map(|(track, _)| track)
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
                let bound = self.coding_on(sid, &section.mid);
                let (track, coding) = bound.or_else(|| self.backup_named(sid, &section.track_id))?;
                self.tracks.get(&track)?.codings.get(coding)?.expected()
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

    /// The publisher of a track, and the section of its primary codec.
    pub fn source_of(&self, track: &TrackSid) -> Option<(ParticipantSid, String)> {
        let track = self.tracks.get(track)?;
        Some((track.publisher.clone(), track.primary().mid.clone()?))
    }

    /// A packet in another codec than what came by its section so far: the first one of all, with which it is told to recorders (whoever publishes before
    /// they are connected has it announced by then), or its publisher goes on with another codec.
    pub(crate) fn media_changes(
        &mut self,
        sid: &TrackSid,
        coding: usize,
        packet: &PublishedPacket<'_>,
        now: Now,
    ) -> Passed {
        let codec_of = |room: &Self| room.tracks.get(sid).and_then(|track| track.codings.get(coding)?.codec);
        let Some(track) = self.tracks.get(sid) else { return Passed::On };
        if codec_of(self).is_none() {
            // A backup codec takes people away from one that they see: not before there is something to see of it.
            if coding > 0 && !is_keyframe(packet.codec, packet.payload) {
                self.ask_keyframe(sid, coding, packet.layer, KeyframeFor::Subscriber, now);
                return Passed::On;
            }
            let publisher = track.publisher.clone();
            self.enforce_sources(&publisher);
            self.first_packet(sid, coding, packet, now);
            return Passed::AfterOutputs;
        }
        self.other_codec(sid, coding, packet, now);
        if codec_of(self) == Some(packet.codec) { Passed::AfterOutputs } else { Passed::On }
    }

    fn first_packet(&mut self, sid: &TrackSid, place: usize, packet: &PublishedPacket<'_>, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let codec = packet.codec;
        let is_expected = track.expected_codec(place) == codec;
        let Some(coding) = track.codings.get_mut(place) else { return };
        coding.codec = Some(codec);
        if place == 0 {
            coding.dynacast.begins(now.at);
        }
        let was_published = track.is_published;
        if was_published && !is_expected {
            // Its subscribers have negotiated all codecs: they take what comes.
            track.describe_codec(place);
            let publisher = track.publisher.clone();
            self.announce(&publisher, Audience::Others);
            self.offer_again(sid, now);
        }
        self.publish(sid, now);
        if place == 0 {
            let primary = self.tracks.get(sid).filter(|track| track.main() == 0);
            let fact = primary.and_then(Track::published_fact);
            self.outputs.extend(fact.map(Output::Fact));
        } else {
            self.backup_comes(sid, place);
        }
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let is_video = track.is_video();
        let Some(coding) = track.codings.get_mut(place) else { return };
        // Those who have negotiated it already get it from this packet on. Where that begins a picture, none has to be asked for.
        let layer = coding.layer_of(packet.layer);
        if !packet.payload.is_empty() {
            coding.layers.packet(layer, packet.rtp, 0, packet.arrived);
        }
        if is_video && is_keyframe(codec, packet.payload) {
            coding.layers.keyframe_comes(layer, now.at);
        }
        self.retarget(sid, now);
    }

    /// A publisher whose encoder fails goes on with another codec, as browsers do. Subscribers have negotiated all of them and
    /// follow at the first keyframe; to recorders it is another track of the same name.
    fn other_codec(&mut self, sid: &TrackSid, place: usize, packet: &PublishedPacket<'_>, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let passed = |since: Instant| now.at.saturating_duration_since(since) >= CODEC_SETTLES;
        let Some(coding) = track.codings.get_mut(place) else { return };
        if !coding.codec_since.is_none_or(passed) {
            return;
        }
        if !is_keyframe(packet.codec, packet.payload) {
            return self.ask_keyframe(sid, place, packet.layer, KeyframeFor::Subscriber, now);
        }
        coding.codec_since = Some(now.at);
        track.set_codec(place, packet.codec);
        let (publisher, is_recorded) = (track.publisher.clone(), track.main() == place);
        self.announce(&publisher, Audience::All);
        if is_recorded {
            self.tell_recorders_again(sid, true);
        }
        self.offer_again(sid, now);
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
            for mid in track.codings.iter().filter_map(|coding| coding.mid.clone()) {
                if participant.spent.len() < SINGLE_SECTIONS {
                    participant.spent.insert(mid);
                }
            }
        }
        if track.recorded_codec().is_some() {
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
            let layers =
                |coding: &Coding| Layer::ALL.into_iter().skip(if coding.is_simulcast { 0 } else { 2 });
            let codings = track.codings.iter().enumerate();
            let all: Vec<_> =
                codings.flat_map(|(place, coding)| layers(coding).map(move |layer| (place, layer))).collect();
            for (place, layer) in all {
                self.ask_keyframe(sid, place, layer, KeyframeFor::Subscriber, now);
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
        if track.recorded_codec().is_some() {
            self.outputs.push_back(Output::Fact(Fact::TrackMuted { track: sid.clone(), muted }));
        }
        if muted && !track.is_video() {
            self.speakers.silence(&publisher);
        }
        self.announce(&publisher, audience);
    }
}
