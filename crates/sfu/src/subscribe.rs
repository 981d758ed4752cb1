//! Who receives which track, and which layer of it.

use std::collections::BTreeSet;
use std::time::Duration;

use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::{AWAITED_FOR, AWAITED_TRACKS, ID_BYTES};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    SubscriptionError, SubscriptionPermissionUpdate, SubscriptionResponse, TrackSubscribed,
    UpdateTrackSettings, signal_response,
};

use crate::codec::{Codec, h264_brings_sequence_set, is_keyframe};
use crate::forward::{DownTrack, Incoming, Rewrite};
use crate::layers::{KeyframeFor, Layer, TrackSettings};
use crate::output::{DownTrackSpec, Output};
use crate::participant::{Awaited, Subscription};
use crate::permission::Permission;
use crate::room::{Now, Room};
use crate::track::Down;

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
        let codec = track.expected_codec();
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
        // Firefox does not play tracks of one stream in step that come at different times.
        let is_synced = self.sync_streams && !participant.client.is_firefox;
        let stream = if is_synced { track.info.stream.as_str() } else { track_sid.as_str() };
        let stream_id = format!("{publisher}|{stream}");
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.subscriptions.entry(track_sid.clone()).or_default();
        }
        if let Some(track) = self.tracks.get_mut(track_sid) {
            track.down.insert(sid.clone(), Down { track: DownTrack::new(codec), ready: false });
        }
        self.outputs.push_back(Output::AddDownTrack(DownTrackSpec {
            subscriber: sid.clone(),
            publisher: publisher.clone(),
            track: track_sid.clone(),
            codec,
            stream_id,
        }));
        self.qualities.sees(sid, &publisher);
        if is_sound {
            self.tell_of_speaker(sid, &publisher);
        }
        self.retarget(track_sid, now);
    }

    pub(crate) fn unsubscribe(&mut self, sid: &ParticipantSid, track: &TrackSid) {
        let removed = self.tracks.get_mut(track).and_then(|track| track.down.remove(sid));
        if removed.is_some() {
            self.outputs.push_back(Output::RemoveDownTrack { subscriber: sid.clone(), track: track.clone() });
            self.tell_no_more_of_speaker(sid, track);
        }
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.subscriptions.remove(track);
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
        for track in tracks {
            let Some((track, _)) = self.tracks.get_key_value(track) else { continue };
            let track = track.clone();
            let Some(state) = self.tracks.get(&track) else { continue };
            let settings = TrackSettings::from_request(request, &state.info.layers);
            if let Some(participant) = self.participants.get_mut(sid) {
                participant.subscriptions.insert(track.clone(), Subscription { settings });
            }
            self.retarget(&track, now);
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
        let is_first = track.down.values().all(|down| !down.ready);
        let Some(down) = track.down.get_mut(subscriber) else { return };
        down.ready = true;
        let publisher = track.publisher.clone();
        if is_first {
            let subscribed = TrackSubscribed { track_sid: track_sid.to_string() };
            self.signal(&publisher, signal_response::Message::TrackSubscribed(subscribed));
        }
        self.retarget(track_sid, now);
    }

    /// A subscriber cannot decode any more.
    pub fn keyframe_requested(&mut self, subscriber: &ParticipantSid, track: &TrackSid, now: Now) {
        let Some(down) = self.tracks.get(track).and_then(|track| track.down.get(subscriber)) else { return };
        if let Some(layer) = down.track.wants_keyframe().or_else(|| down.track.current()) {
            self.ask_keyframe(track, layer, KeyframeFor::Subscriber, now);
        }
    }

    /// A recorder needs a keyframe of what it gets.
    pub fn keyframe_wished(&mut self, track: &TrackSid, layer: Layer, now: Now) {
        self.ask_keyframe(track, layer, KeyframeFor::Recorder, now);
    }

    /// Chooses the layer of every subscriber anew and asks for the keyframes that are missing.
    fn retarget(&mut self, sid: &TrackSid, now: Now) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let mut missing = Vec::new();
        for (subscriber, down) in &mut track.down {
            let settings = self
                .participants
                .get(subscriber)
                .and_then(|participant| participant.subscriptions.get(sid))
                .map(|subscription| subscription.settings)
                .unwrap_or_default();
            let target = if settings.disabled || !down.ready {
                None
            } else if track.info.simulcast {
                track.layers.choose(settings.max, now.at)
            } else {
                Some(Layer::High)
            };
            down.track.set_target(target);
            missing.extend(down.track.wants_keyframe());
        }
        missing.sort_unstable();
        missing.dedup();
        for layer in missing {
            self.ask_keyframe(sid, layer, KeyframeFor::Subscriber, now);
        }
    }

    pub(crate) fn refresh_layers(&mut self, now: Now) {
        let tracks: Vec<_> =
            self.tracks.iter().filter(|(_, track)| track.is_video()).map(|(sid, _)| sid.clone()).collect();
        for track in tracks {
            self.retarget(&track, now);
        }
    }

    /// The best layer that arrives: what a recorder takes.
    pub fn best_layer(&self, track: &TrackSid, now: Now) -> Option<Layer> {
        let track = self.tracks.get(track)?;
        if track.info.simulcast { track.layers.choose(Layer::High, now.at) } else { Some(Layer::High) }
    }

    /// H.264 parameter sets that a layer's stream has said, or that the publisher announced: whole NAL units, the newest last.
    pub fn parameter_sets(&self, track: &TrackSid, layer: Layer) -> Vec<&[u8]> {
        let track = self.tracks.get(track);
        track.map(|track| track.parameter_sets.of(layer).collect()).unwrap_or_default()
    }

    /// A packet of a track: `send` is called for each subscriber that gets it, with the numbers to send it under. Before that it is
    /// called for each H.264 parameter set that goes in front, with the payload that goes instead of the packet's own.
    pub fn forward(
        &mut self,
        track: &TrackSid,
        packet: &PublishedPacket<'_>,
        mut send: impl FnMut(&ParticipantSid, Rewrite, Option<&[u8]>),
    ) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        let Some(codec) = track.codec.filter(|codec| *codec == packet.codec) else { return };
        let layer = if track.info.simulcast { packet.layer } else { Layer::High };
        if !packet.payload.is_empty() {
            track.layers.packet(layer, packet.arrived);
            track.parameter_sets.packet(codec, layer, packet.payload);
        }
        let keyframe = is_keyframe(codec, packet.payload);
        let lacking = if keyframe && codec == Codec::H264 && !h264_brings_sequence_set(packet.payload) {
            track.parameter_sets.to_send(layer)
        } else {
            Vec::new()
        };
        let incoming = Incoming {
            layer,
            seq: packet.seq,
            rtp: packet.rtp,
            payload: packet.payload,
            keyframe,
            lacks: lacking.len() as u16,
            arrived: packet.arrived,
        };
        for (subscriber, down) in &mut track.down {
            let Some(rewrite) = down.track.forward(&incoming) else { continue };
            for (number, set) in lacking.iter().enumerate().take(usize::from(rewrite.free)) {
                let seq = rewrite.seq - u64::from(rewrite.free) + number as u64;
                send(subscriber, Rewrite { seq, free: 0, ..rewrite }, Some(set));
            }
            send(subscriber, rewrite, None);
        }
    }
}

/// A packet as it came from a publisher.
#[derive(Clone, Copy, Debug)]
pub struct PublishedPacket<'a> {
    /// The simulcast layer.
    pub layer: Layer,
    /// How it is encoded.
    pub codec: Codec,
    /// Extended sequence number.
    pub seq: u64,
    /// RTP time.
    pub rtp: u32,
    /// Without header.
    pub payload: &'a [u8],
    /// When it came from the socket.
    pub arrived: std::time::Instant,
}
