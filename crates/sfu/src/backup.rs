//! Backup codecs: a track comes in a second codec, by a section of its own, while somebody cannot decode the first one.
//!
//! ```text
//!   AddTrack names two codecs ─► a subscriber's answer takes only the second ─► SubscribedQualityUpdate: it is wanted
//!     ─► AddTrack with the track's sid, and a section ─► its first packet ─► whoever waits for it, or everybody, goes by it
//! ```
//!
//! # Invariants
//!
//! - A track is one for everybody: its sid, mute and subscribers are the same whatever codec is sent to whom, and recorders take it in one of them.
//! - A section of a backup codec is never a track, and a track ends with the section of its primary codec.

use std::time::Duration;

use reelroom_limits::signalling::{SINGLE_SECTIONS, TRACK_CODECS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    AddTrackRequest, BackupCodecPolicy, TrackPublishedResponse, request_response, signal_response,
};

use crate::announce::{self, within};
use crate::codec::Codec;
use crate::coding::Coding;
use crate::output::{Fact, Output};
use crate::room::{Now, Room};
use crate::signal::echo;
use crate::subscription::State;
use crate::track::{Section, codecs_of, numbered, source_of};

/// In rooms of fewer people everybody gets the backup codec of a publisher that leaves the choice, as with LiveKit: of so few most would have to be
/// sent it anyway, and the publisher encodes once.
const REGRESSES_BELOW: usize = 5;

/// A codec that everybody gets and that brings nothing for so long has failed, or its picture stands still: then the other one does as well.
const SILENT_FOR: Duration = Duration::from_secs(10);

impl Room {
    /// The track that a publisher sends on a section, and the place of the codec that the section brings.
    pub(crate) fn coding_on(&self, sid: &ParticipantSid, mid: &str) -> Option<(TrackSid, usize)> {
        let on = |track: &TrackSid| self.tracks.get(track)?.coding_on(mid);
        let mut published = self.participants.get(sid)?.published.iter();
        published.find_map(|track| Some((track.clone(), on(track)?)))
    }

    /// The backup codec that a publisher calls so.
    pub(crate) fn backup_named(&self, sid: &ParticipantSid, cid: &str) -> Option<(TrackSid, usize)> {
        let named = |track: &TrackSid| self.tracks.get(track)?.backup_named(cid);
        let mut published = self.participants.get(sid)?.published.iter();
        published.find_map(|track| Some((track.clone(), named(track)?)))
    }

    /// A publisher adds a codec to a track of its own, or says how it calls one that was announced with the track.
    pub(crate) fn add_codec(&mut self, from: &ParticipantSid, request: AddTrackRequest, now: Now) {
        use request_response::Reason;
        let cid = echo(&request.cid);
        let echo = AddTrackRequest { cid: cid.clone(), sid: echo(&request.sid), ..Default::default() };
        let echo = request_response::Request::AddTrack(echo);
        let sid = TrackSid::from(request.sid.as_str());
        let Some(track) = self.tracks.get(&sid).filter(|track| track.publisher == *from) else {
            return self.respond(from, 0, Reason::NotFound, "you publish no such track", Some(echo));
        };
        let (source, is_video) = (source_of(&track.info), track.is_video());
        let Some(participant) = self.participants.get_mut(from) else { return };
        if !participant.grants.may_publish_source(source) {
            let text = "does not have permission to publish this source";
            return self.respond(from, 0, Reason::NotAllowed, text, Some(echo));
        }
        let mut request = match announce::track(request) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(from, 0, refusal, Some(echo)),
        };
        let is_fit = |codec| participant.client.may_publish(codec);
        request.simulcast_codecs.retain(|said| Codec::parse(&said.codec).is_none_or(is_fit));
        if let Err(too_fast) = participant.publishing.take(1, Duration::ZERO, now.at) {
            return self.come_later(from, "tracks were published", too_fast, Some(echo));
        }
        let Some(track) = self.tracks.get_mut(&sid) else { return };
        let layers =
            if request.layers.is_empty() { track.info.layers.clone() } else { numbered(request.layers) };
        let said = codecs_of(&request.simulcast_codecs, &layers, is_video);
        let said = said.into_iter().filter_map(|said| Some((Codec::parse(&said.mime_type)?, said)));
        let said: Vec<_> = said.map(|(codec, said)| (codec, track.coding_in(codec), said)).collect();
        let new = said.iter().filter(|(_, place, _)| place.is_none()).count();
        if let Err(refusal) = within("the list of codecs", track.codings.len() + new, TRACK_CODECS) {
            return self.refuse(from, 0, refusal, Some(echo));
        }
        let mut needless = Vec::new();
        for (codec, place, mut said) in said {
            if said.cid.is_empty() {
                said.cid.clone_from(&request.cid);
            }
            match place {
                // The track has its name and its section.
                Some(0) => {
                    let is_its_name = track.info.codecs.first().is_some_and(|known| known.cid == said.cid);
                    needless.extend((!is_its_name).then_some(said.cid));
                }
                Some(place) => {
                    let known = &mut track.info.codecs[place];
                    (known.cid, known.layers) = (said.cid, said.layers);
                    known.video_layer_mode = said.video_layer_mode;
                }
                None => {
                    track.codings.push(Coding::announced(Some(codec)));
                    track.info.codecs.push(said);
                }
            }
        }
        track.choose_codings();
        track.changed();
        let published = TrackPublishedResponse { cid, track: Some(track.info.clone()) };
        if let Some(participant) = self.participants.get_mut(from) {
            participant.denied.remove(&request.cid);
            needless.into_iter().for_each(|cid| participant.deny(cid));
        }
        self.signal(from, signal_response::Message::TrackPublished(published));
        if new > 0 {
            self.offer_again(&sid, now);
        }
    }

    /// A section that sends what its publisher calls a backup codec brings that from now on. `bound` is what it has brought so far.
    pub(crate) fn match_backup(
        &mut self,
        sid: &ParticipantSid,
        section: &Section,
        bound: Option<(TrackSid, usize)>,
    ) {
        let Some((track, place)) = self.backup_named(sid, &section.track_id) else { return };
        if let Some((old, place)) = bound {
            let known = self.tracks.get(&old).and_then(|track| track.info.codecs.get(place));
            // It goes on with what it was.
            if known.is_some_and(|known| known.sdp_cid == section.track_id || known.cid == section.track_id) {
                return;
            }
            self.end_coding(&old, place);
        }
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.spent.remove(&section.mid);
        }
        // It was on another section, by another name.
        self.end_coding(&track, place);
        // That track may have been what the section brought.
        let Some(track) = self.tracks.get_mut(&track) else { return };
        track.codings[place].begins_on(section);
        let known = &mut track.info.codecs[place];
        known.cid.clone_from(&section.track_id);
        known.sdp_cid.clone_from(&section.track_id);
        track.describe_codec(place);
    }

    /// Its section brings a codec of a track no more: with the primary one the track ends. Another section brings a backup codec once its publisher has
    /// said so anew, no faster than one may publish.
    pub(crate) fn end_coding(&mut self, sid: &TrackSid, place: usize) {
        if place == 0 {
            return self.unpublish(sid);
        }
        let is_there = |coding: &Coding| coding.mid.is_some();
        if !self.tracks.get(sid).and_then(|track| track.codings.get(place)).is_some_and(is_there) {
            return;
        }
        if self.tracks.get(sid).is_some_and(|track| track.regressed == Some(place)) {
            self.regress(sid, None);
        }
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let (publisher, mid) = (track.publisher.clone(), track.codings[place].mid.clone());
        track.codings[place].ends();
        // What begins again has other numbers.
        for subscription in track.down.values_mut().filter(|subscription| subscription.coding == place) {
            subscription.forwarder.change_codec(subscription.forwarder.codec());
        }
        if let Some(known) = track.info.codecs.get_mut(place) {
            for name in [&mut known.mid, &mut known.cid, &mut known.sdp_cid] {
                name.clear();
            }
        }
        track.choose_codings();
        track.changed();
        // What still comes by its section is no other track's.
        if let Some(participant) = self.participants.get_mut(&publisher)
            && participant.spent.len() < SINGLE_SECTIONS
        {
            participant.spent.extend(mid);
        }
    }

    /// A backup codec comes: everybody gets it who can decode it, where its publisher wants to encode once.
    pub(crate) fn backup_comes(&mut self, sid: &TrackSid, place: usize) {
        let Some(track) = self.tracks.get(sid) else { return };
        let people = self.participants.values().filter(|participant| !participant.is_dependent()).count();
        let regresses = match BackupCodecPolicy::try_from(track.info.backup_codec_policy) {
            Ok(BackupCodecPolicy::Regression) => true,
            Ok(BackupCodecPolicy::PreferRegression) => people < REGRESSES_BELOW,
            Ok(BackupCodecPolicy::Simulcast) | Err(_) => false,
        };
        if regresses && place == 1 {
            self.regress(sid, Some(place));
        }
    }

    /// A backup codec that everybody was to get brings nothing any more, as where its encoder failed: they get the first one again.
    pub(crate) fn leave_silent_backup(&mut self, sid: &TrackSid, now: Now) {
        let is_silent = |place: usize| {
            let coding = self.tracks.get(sid)?.codings.get(place)?;
            let last = coding.layers.last_arrival()?;
            Some(now.at.saturating_duration_since(last) >= SILENT_FOR)
        };
        let regressed =
            self.tracks.get(sid).filter(|track| !track.info.muted).and_then(|track| track.regressed);
        if regressed.and_then(is_silent) == Some(true) {
            self.regress(sid, None);
        }
    }

    /// Everybody gets this codec of a track who can decode it, or the first one that they can; to recorders it is another track of the same name.
    fn regress(&mut self, sid: &TrackSid, to: Option<usize>) {
        let Some(track) = self.tracks.get_mut(sid).filter(|track| track.regressed != to) else { return };
        let was_told = track.recorded_codec().is_some();
        track.regressed = to;
        track.choose_codings();
        self.tell_recorders_again(sid, was_told);
    }

    /// What recorders take of a track begins anew, in another codec.
    pub(crate) fn tell_recorders_again(&mut self, sid: &TrackSid, was_told: bool) {
        self.recordings.values_mut().for_each(|recording| recording.forget(sid));
        if was_told {
            self.outputs.push_back(Output::Fact(Fact::TrackUnpublished(sid.clone())));
        }
        let fact = self.tracks.get(sid).and_then(|track| track.published_fact());
        self.outputs.extend(fact.map(Output::Fact));
    }

    /// What a subscriber can decode of a track, as it has negotiated.
    pub fn down_track_takes(&mut self, subscriber: &ParticipantSid, track: &TrackSid, codecs: Vec<Codec>) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        let Some(down) = track.down.get_mut(subscriber) else { return };
        down.takes = Some(codecs);
        track.choose_codings();
    }

    /// A subscriber can decode a track in none of the codecs that it was announced in.
    pub fn down_track_refused(&mut self, subscriber: &ParticipantSid, track: &TrackSid) {
        if let Some(down) = self.tracks.get_mut(track).and_then(|track| track.down.get_mut(subscriber)) {
            down.state = State::Refused;
        }
    }

    /// A track comes in a codec that it was not announced in: who could decode none of the others is offered it once more.
    pub(crate) fn offer_again(&mut self, sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get(sid) else { return };
        let refused = track.down.iter().filter(|(_, down)| down.state == State::Refused);
        let refused: Vec<_> = refused.map(|(subscriber, down)| (subscriber.clone(), down.settings)).collect();
        for (subscriber, settings) in refused {
            self.unsubscribe(&subscriber, sid);
            if let Some(participant) = self.participants.get_mut(&subscriber) {
                participant.early_settings.insert(sid.clone(), settings);
            }
            self.subscribe(&subscriber, sid, now);
        }
    }
}

#[cfg(test)]
mod tests;
