//! Who receives which track, and which layer of it.

use std::collections::BTreeSet;
use std::time::Duration;

use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::{AWAITED_FOR, AWAITED_TRACKS, ID_BYTES, TRACK_CODECS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    SubscriptionError, SubscriptionPermissionUpdate, SubscriptionResponse, TrackSubscribed,
    UpdateTrackSettings, signal_response,
};

use crate::layers::{KeyframeFor, Layer, TrackSettings};
use crate::output::{DownTrackSpec, Output};
use crate::participant::Awaited;
use crate::permission::Permission;
use crate::room::{Now, Room};
use crate::subscription::{State, Subscription};
use crate::track::Sound;

/// So many packets without content begin what is muted: some of them arrive.
const EMPTY_PACKETS: usize = 3;

/// Whether a publisher's text can be the name of a stream: it stands in the descriptions that others read, where it has to be one word (RFC 8830), and
/// clients take one that begins like a track's id for that.
fn may_name_stream(text: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+{}".contains(&byte);
    !text.is_empty() && !text.starts_with("TR") && text.bytes().all(is_of_word)
}

impl Room {
    /// Subscribes unless the participant chose otherwise.
    pub(crate) fn subscribe_by_default(&mut self, sid: &ParticipantSid, track: &TrackSid, now: Now) {
        let Some(participant) = self.participants.get(sid) else { return };
        let wants = if participant.auto_subscribe {
            !participant.refused.contains(track)
        } else {
            participant.wanted.contains(track)
        };
        if wants && !participant.is_recorder() {
            self.subscribe(sid, track, now);
        }
    }

    /// Subscribes if everything allows it; otherwise does nothing.
    pub(crate) fn subscribe(&mut self, sid: &ParticipantSid, track_sid: &TrackSid, now: Now) {
        let (Some(participant), Some(track)) = (self.participants.get(sid), self.tracks.get(track_sid))
        else {
            return;
        };
        let Some(publisher) = self.participants.get(&track.publisher).filter(|_| track.is_published) else {
            return;
        };
        let coding = track.main();
        let mut codecs = track.codecs();
        let (codec, backups) = (codecs.next().expect("a track has a primary codec"), codecs.collect());
        let allowed = participant.is_active()
            && participant.grants.may_subscribe()
            && track.publisher != *sid
            && (publisher.consent.is_recorded() || !participant.is_recorder());
        if !allowed || track.down.contains_key(sid) {
            return;
        }
        let is_permitted = publisher.permits(participant, track_sid);
        let publisher = track.publisher.clone();
        if !is_permitted {
            return self.tell_permission(sid, &publisher, track_sid, false);
        }
        let is_sound = !track.is_video();
        let is_stereo = is_sound && Sound::of(&track.info).is_stereo;
        // Firefox does not play tracks of one stream in step that come at different times.
        let is_synced =
            self.sync_streams && !participant.client.is_firefox && may_name_stream(&track.info.stream);
        let stream = if is_synced { track.info.stream.as_str() } else { track_sid.as_str() };
        let stream_id = format!("{publisher}|{stream}");
        let early =
            self.participants.get_mut(sid).and_then(|subscriber| subscriber.early_settings.remove(track_sid));
        if let Some(track) = self.tracks.get_mut(track_sid) {
            let sent_in = track.expected_codec(coding);
            let subscription = Subscription::new(coding, sent_in, early.unwrap_or_default());
            track.down.insert(sid.clone(), subscription);
        }
        self.outputs.push_back(Output::AddDownTrack(DownTrackSpec {
            subscriber: sid.clone(),
            publisher: publisher.clone(),
            track: track_sid.clone(),
            codec,
            backups,
            stream_id,
            is_stereo,
        }));
        self.qualities.sees(sid, &publisher);
        if is_sound {
            self.tell_of_speaker(sid, &publisher);
        }
        // Nothing flows to it yet, but it is wanted.
        self.report_wanted(track_sid, now);
    }

    pub(crate) fn unsubscribe(&mut self, sid: &ParticipantSid, track: &TrackSid) {
        let removed = self.tracks.get_mut(track).and_then(|track| track.down.remove(sid));
        if removed.is_some() {
            self.outputs.push_back(Output::RemoveDownTrack { subscriber: sid.clone(), track: track.clone() });
            self.tell_no_more_of_speaker(sid, track);
        }
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.early_settings.remove(track);
        }
    }

    /// UpdateSubscription, by the participant or an administrator. A choice about a track that is not there waits for it, as with
    /// LiveKit: clients may hear of a track by other ways than the server's. What finds no place comes back as a number.
    pub fn set_subscribed<'a>(
        &mut self,
        sid: &ParticipantSid,
        tracks: impl IntoIterator<Item = &'a str>,
        subscribe: bool,
        now: Now,
    ) -> usize {
        // The server's own recorder takes what it takes.
        if self.participants.get(sid).is_none_or(|participant| participant.is_server) {
            return 0;
        }
        let tracks: BTreeSet<&str> = tracks.into_iter().collect();
        let mut left_out = 0;
        for track in tracks {
            if self.tracks.contains_key(track) {
                self.choose(sid, &TrackSid::from(track), subscribe, now);
            } else if let Some(participant) = self.participants.get_mut(sid) {
                let is_known = participant.awaited.contains_key(track);
                if track.len() > ID_BYTES || (!is_known && participant.awaited.len() >= AWAITED_TRACKS) {
                    left_out += 1;
                } else {
                    participant.awaited.insert(track.into(), Awaited { subscribe, since: now.at });
                }
            }
        }
        left_out
    }

    fn choose(&mut self, sid: &ParticipantSid, track: &TrackSid, subscribe: bool, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if subscribe {
            participant.refused.remove(track);
            participant.wanted.insert(track.clone());
            self.subscribe(sid, track, now);
        } else {
            participant.wanted.remove(track);
            participant.refused.insert(track.clone());
            self.unsubscribe(sid, track);
        }
    }

    /// Tells those who have waited for a track for long enough that there is none.
    pub(crate) fn give_up_awaited(&mut self, now: Now) {
        let mut told = Vec::new();
        for participant in self.participants.values_mut() {
            let (sid, awaited) = (&participant.sid, &mut participant.awaited);
            awaited.retain(|track, awaited| {
                let goes_on = now.at.saturating_duration_since(awaited.since) < AWAITED_FOR;
                if !goes_on {
                    told.push((sid.clone(), track.to_string()));
                }
                goes_on
            });
        }
        for (sid, track_sid) in told {
            let response = SubscriptionResponse { track_sid, err: SubscriptionError::SeTrackNotfound.into() };
            self.signal(&sid, signal_response::Message::SubscriptionResponse(response));
        }
    }

    pub(crate) fn set_track_settings(
        &mut self,
        sid: &ParticipantSid,
        request: &UpdateTrackSettings,
        now: Now,
    ) {
        let tracks: BTreeSet<_> = request.track_sids.iter().map(String::as_str).collect();
        let known = |track: &&str| self.tracks.get_key_value(*track).map(|(track, _)| track.clone());
        let tracks: Vec<TrackSid> = tracks.iter().filter_map(known).collect();
        for track in &tracks {
            let Some(state) = self.tracks.get_mut(track) else { continue };
            let settings = TrackSettings::from_request(request, &state.info.layers);
            if let Some(subscription) = state.down.get_mut(sid) {
                subscription.settings = settings;
            } else if let Some(participant) = self.participants.get_mut(sid) {
                participant.early_settings.insert(track.clone(), settings);
            }
        }
        self.reallocate(sid, now);
        for track in &tracks {
            self.retarget(track, now);
        }
    }

    /// A publisher says who may subscribe to its tracks; each message replaces the last.
    ///
    /// # Errors
    /// [`TooFast`]: it gave back what it had taken away too often of late, and the last list holds on.
    pub(crate) fn set_permission(
        &mut self,
        sid: &ParticipantSid,
        permission: Permission,
        now: Now,
    ) -> Result<(), TooFast> {
        let Some(publisher) = self.participants.get(sid) else { return Ok(()) };
        // Of one that nobody has heard of yet they hear as it is published.
        let is_published =
            |track: &&TrackSid| self.tracks.get(*track).is_some_and(|track| track.is_published);
        let tracks: Vec<_> = publisher.published.iter().filter(is_published).cloned().collect();
        let others: Vec<_> = self.participants.keys().filter(|other| *other != sid).cloned().collect();
        let is_new = |track: &&TrackSid| {
            others.iter().filter_map(|other| self.participants.get(other)).any(|subscriber| {
                permission.permits(subscriber, track) && !publisher.permits(subscriber, track)
            })
        };
        let new = tracks.iter().filter(is_new).count();
        let Some(publisher) = self.participants.get_mut(sid) else { return Ok(()) };
        publisher.permitting.take(new as u32, Duration::ZERO, now.at)?;
        let before = publisher.permission.replace(permission);
        for track in tracks {
            for other in &others {
                let (Some(publisher), Some(subscriber)) =
                    (self.participants.get(sid), self.participants.get(other))
                else {
                    continue;
                };
                let was_allowed = before.as_ref().is_none_or(|before| before.permits(subscriber, &track));
                let is_allowed = publisher.permits(subscriber, &track);
                if was_allowed == is_allowed {
                    continue;
                }
                self.tell_permission(other, sid, &track, is_allowed);
                if is_allowed {
                    self.subscribe_by_default(other, &track, now);
                } else {
                    self.unsubscribe(other, &track);
                }
            }
        }
        Ok(())
    }

    /// Tells a participant whether the publisher of a track lets it subscribe to that.
    fn tell_permission(
        &mut self,
        to: &ParticipantSid,
        publisher: &ParticipantSid,
        track: &TrackSid,
        allowed: bool,
    ) {
        let update = SubscriptionPermissionUpdate {
            participant_sid: publisher.to_string(),
            track_sid: track.to_string(),
            allowed,
        };
        self.signal(to, signal_response::Message::SubscriptionPermissionUpdate(update));
    }

    /// The subscriber has answered the offer with this track: media may flow, beginning with a keyframe. The publisher hears of the first one, and
    /// not before: its client knows a track by its id only when it has read the answer to its own offer.
    pub fn down_track_ready(&mut self, subscriber: &ParticipantSid, track_sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get_mut(track_sid) else { return };
        let is_first = track.down.values().all(|down| down.state != State::Ready);
        let Some(down) = track.down.get_mut(subscriber) else { return };
        // What goes on on another section begins anew there: its receiver has seen nothing of it.
        if std::mem::replace(&mut down.state, State::Ready) == State::Ready {
            down.forwarder.set_target(None);
        }
        let publisher = track.publisher.clone();
        if is_first {
            let subscribed = TrackSubscribed { track_sid: track_sid.to_string() };
            self.signal(&publisher, signal_response::Message::TrackSubscribed(subscribed));
        }
        self.reallocate(subscriber, now);
        self.retarget(track_sid, now);
        self.begin_muted(subscriber, track_sid, now);
    }

    /// Where nothing comes for now, packets without content go: one of them arrives.
    fn begin_muted(&mut self, subscriber: &ParticipantSid, track_sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get_mut(track_sid).filter(|track| track.info.muted) else { return };
        let Some(codec) = track.down.get(subscriber).map(|down| track.expected_codec(down.coding)) else {
            return;
        };
        let Some(down) = track.down.get_mut(subscriber) else { return };
        for _ in 0..EMPTY_PACKETS {
            let (track, subscriber) = (track_sid.clone(), subscriber.clone());
            let rewrite = down.forwarder.empty(now.at);
            self.outputs.push_back(Output::SendEmpty { track, subscriber, codec, rewrite });
        }
    }

    /// The subscriber can read redundant sound (RED) of this track, or cannot.
    pub fn down_track_takes_red(&mut self, subscriber: &ParticipantSid, track: &TrackSid, takes_red: bool) {
        if let Some(down) = self.tracks.get_mut(track).and_then(|track| track.down.get_mut(subscriber)) {
            down.takes_red = takes_red;
        }
    }

    /// A subscriber cannot decode any more.
    pub fn keyframe_requested(&mut self, subscriber: &ParticipantSid, track: &TrackSid, now: Now) {
        let Some(down) = self.tracks.get(track).and_then(|track| track.down.get(subscriber)) else { return };
        let coding = down.coding;
        if let Some(layer) = down.forwarder.wants_keyframe().or_else(|| down.forwarder.current()) {
            self.ask_keyframe(track, coding, layer, KeyframeFor::Subscriber, now);
        }
    }

    /// Chooses the layer of every subscriber anew, asks for the keyframes that are missing and were not asked for, and tells the publisher
    /// what is wanted.
    pub(crate) fn retarget(&mut self, sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        // What comes is looked at while those who get it change.
        let mut down = std::mem::take(&mut track.down);
        let mut missing = [[false; 3]; TRACK_CODECS];
        for subscription in down.values_mut() {
            let Some(coding) = track.codings.get(subscription.coding) else { continue };
            if let Some(layer) = subscription.retarget(coding.streams(), now.at) {
                missing[subscription.coding][layer.index()] = true;
            }
        }
        track.down = down;
        for (place, missing) in missing.iter().enumerate() {
            for layer in Layer::ALL.into_iter().filter(|layer| missing[layer.index()]) {
                if !track.codings[place].layers.awaits_keyframe(layer) {
                    let asked = track.request_keyframe(sid, place, layer, KeyframeFor::Subscriber, now.at);
                    self.outputs.extend(asked);
                }
            }
        }
        self.report_wanted(sid, now);
    }

    /// What time alone changes: layers that are not sent any more, what lines have room for, keyframes that did not come.
    pub(crate) fn refresh_layers(&mut self, now: Now) {
        self.note_who_speaks(now);
        let tracks: Vec<_> =
            self.tracks.iter().filter(|(_, track)| track.is_video()).map(|(sid, _)| sid.clone()).collect();
        for sid in &tracks {
            self.leave_silent_backup(sid, now);
            self.retarget(sid, now);
        }
        self.reallocate_all(now);
        for sid in &tracks {
            let Some(track) = self.tracks.get_mut(sid).filter(|track| !track.info.muted) else { continue };
            for place in 0..track.codings.len() {
                let coding = &mut track.codings[place];
                if coding.is_simulcast {
                    coding.layers.give_up_keyframes_of_ended(now.at);
                }
                for layer in coding.layers.overdue_keyframes(now.at) {
                    self.outputs.extend(track.keyframe_request(sid, place, layer));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_a_name_of_one_word() {
        for name in ["camera", "screen", "{0b1c-2}", "a.b_c+d"] {
            assert!(may_name_stream(name), "{name}");
        }
        for text in ["", "a b", "a\r\na=inactive", "PA_a|b", "TR_a", "\u{e4}"] {
            assert!(!may_name_stream(text), "{text}");
        }
    }
}
