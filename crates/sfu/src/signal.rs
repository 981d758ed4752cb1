//! What clients ask for by signalling, all but SDP and candidates, which are the shell's.

use std::time::Duration;

use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::{ID_BYTES, OWN_METADATA_BYTES, PENDING_TRACKS, TRACKS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    AddTrackRequest, AudioTrackFeature, DisconnectReason, MuteTrackRequest, Ping, Pong, RequestResponse,
    TrackInfo, TrackPublishedResponse, TrackSource, TrackType, UpdateLocalAudioTrack, UpdateLocalVideoTrack,
    UpdateParticipantMetadata, request_response, signal_request, signal_response,
};

use crate::announce::{self, TooMuch, within};
use crate::codec::Codec;
use crate::consent::{CONSENT, NotTaken};
use crate::participant::{Audience, PendingTrack};
use crate::permission::Permission;
use crate::room::{Now, Room};
use crate::track::{info_of, is_of, numbered};

impl Room {
    /// A signalling message of a participant. SDP and candidates are not for the room and do nothing here.
    pub fn handle_signal(&mut self, from: &ParticipantSid, message: signal_request::Message, now: Now) {
        use signal_request::Message;
        if !self.participants.contains_key(from) {
            return;
        }
        match message {
            Message::AddTrack(request) => self.add_track(from, request, now),
            Message::Mute(request) => {
                let sid = TrackSid::from(request.sid);
                if self.owns(from, &sid) {
                    self.muted_by_publisher(&sid, request.muted, now);
                } else if !self.mute_pending(from, &sid, request.muted) {
                    let echo = MuteTrackRequest { sid: echo(sid.as_str()), muted: request.muted };
                    self.no_such_track(from, request_response::Request::Mute(echo));
                }
            }
            Message::Subscription(request) => {
                let in_participants =
                    request.participant_tracks.iter().flat_map(|tracks| tracks.track_sids.iter());
                let tracks = request.track_sids.iter().chain(in_participants).map(String::as_str);
                let left_out = self.set_subscribed(from, tracks, request.subscribe, now);
                if left_out > 0 {
                    let text = format!("{left_out} subscriptions to tracks that are not there are left out");
                    self.respond(from, 0, request_response::Reason::LimitExceeded, &text, None);
                }
            }
            Message::TrackSetting(request) => self.set_track_settings(from, &request, now),
            Message::SubscriptionPermission(said) => match Permission::new(said) {
                Ok(Some(permission)) => {
                    if let Err(too_fast) = self.set_permission(from, permission, now) {
                        self.come_later(from, "permissions were given back", too_fast, None);
                    }
                }
                Ok(None) => {
                    let text =
                        "an entry of the list of permissions names nobody; the list of before holds on";
                    self.respond(from, 0, request_response::Reason::InvalidRequest, text, None);
                }
                Err(refusal) => self.refuse(from, 0, refusal, None),
            },
            Message::Leave(_) => self.leave(from, DisconnectReason::ClientInitiated, now),
            Message::UpdateMetadata(request) => self.update_own_metadata(from, request, now),
            Message::UpdateAudioTrack(request) => self.update_audio_track(from, request),
            Message::UpdateVideoTrack(request) => self.update_video_track(from, &request),
            Message::UpdateLayers(request) => {
                let sid = TrackSid::from(request.track_sid);
                match announce::layers(request.layers) {
                    Ok(layers) if self.owns(from, &sid) => {
                        if let Some(track) = self.tracks.get_mut(&sid) {
                            track.info.layers = numbered(layers);
                            track.changed();
                        }
                    }
                    Ok(_) => {}
                    Err(refusal) => self.refuse(from, 0, refusal, None),
                }
            }
            Message::Ping(_) => self.signal(from, signal_response::Message::Pong(now.unix_ms)),
            Message::PingReq(Ping { timestamp, .. }) => {
                let pong = Pong { last_ping_timestamp: timestamp, timestamp: now.unix_ms };
                self.signal(from, signal_response::Message::PongResp(pong));
            }
            Message::PublishDataTrackRequest(request) => self.publish_data_track(from, request, now),
            Message::UnpublishDataTrackRequest(request) => self.unpublish_data_track(from, request),
            Message::UpdateDataSubscription(request) => {
                let left_out = self.update_data_subscription(from, &request, now);
                if left_out > 0 {
                    let text = format!("{left_out} subscriptions to data tracks are left out");
                    self.respond(from, 0, request_response::Reason::LimitExceeded, &text, None);
                }
            }
            Message::StoreDataBlobRequest(request) => self.store_data_blob(from, request),
            Message::GetDataBlobRequest(request) => self.get_data_blob(from, &request),
            Message::Simulate(request) => self.simulate(from, &request, now),
            Message::SyncState(state) => self.sync_state(from, &state, now),
            Message::Offer(_) | Message::Answer(_) | Message::Trickle(_) => {}
        }
    }

    fn owns(&self, sid: &ParticipantSid, track: &TrackSid) -> bool {
        self.tracks.get(track).is_some_and(|track| track.publisher == *sid)
    }

    /// What is said of a track that waits for its section, if there is such a one.
    fn pending_mut(&mut self, sid: &ParticipantSid, track: &TrackSid) -> Option<&mut TrackInfo> {
        let pending = &mut self.participants.get_mut(sid)?.pending;
        pending.iter_mut().map(|pending| &mut pending.info).find(|info| info.sid == track.as_str())
    }

    fn mute_pending(&mut self, sid: &ParticipantSid, track: &TrackSid, muted: bool) -> bool {
        let info = self.pending_mut(sid, track);
        let is_known = info.is_some();
        if let Some(info) = info {
            info.muted = muted;
        }
        is_known
    }

    /// A publisher says something else of a track of its own, whether that is published or waits for its section.
    fn redescribe(
        &mut self,
        from: &ParticipantSid,
        sid: &TrackSid,
        echo: request_response::Request,
        change: impl FnOnce(&mut TrackInfo),
    ) {
        if self.owns(from, sid) {
            if let Some(track) = self.tracks.get_mut(sid) {
                change(&mut track.info);
                track.changed();
            }
            self.announce(from, Audience::All);
        } else if let Some(info) = self.pending_mut(from, sid) {
            change(info);
        } else {
            self.no_such_track(from, echo);
        }
    }

    fn update_audio_track(&mut self, from: &ParticipantSid, request: UpdateLocalAudioTrack) {
        let sid = TrackSid::from(request.track_sid);
        let said = UpdateLocalAudioTrack { track_sid: echo(sid.as_str()), ..Default::default() };
        let said = request_response::Request::UpdateAudioTrack(said);
        let features = match announce::features(request.features) {
            Ok(features) => features,
            Err(refusal) => return self.refuse(from, 0, refusal, Some(said)),
        };
        self.redescribe(from, &sid, said, |info| {
            let has = |feature: AudioTrackFeature| features.contains(&i32::from(feature));
            (info.stereo, info.disable_dtx) =
                (has(AudioTrackFeature::TfStereo), has(AudioTrackFeature::TfNoDtx));
            info.audio_features = features;
        });
    }

    fn update_video_track(&mut self, from: &ParticipantSid, request: &UpdateLocalVideoTrack) {
        let sid = TrackSid::from(request.track_sid.as_str());
        let (width, height) = (request.width, request.height);
        let said = UpdateLocalVideoTrack { track_sid: echo(sid.as_str()), width, height };
        let said = request_response::Request::UpdateVideoTrack(said);
        self.redescribe(from, &sid, said, |info| {
            (info.width, info.height) = (width, height);
        });
    }

    /// Tells a participant that what it says something of is none of its tracks.
    fn no_such_track(&mut self, to: &ParticipantSid, request: request_response::Request) {
        let text = "you publish no such track";
        self.respond(to, 0, request_response::Reason::NotFound, text, Some(request));
    }

    fn add_track(&mut self, from: &ParticipantSid, request: AddTrackRequest, now: Now) {
        use request_response::Reason;
        if !request.sid.is_empty() {
            return self.add_codec(from, request, now);
        }
        let Some(participant) = self.participants.get(from) else { return };
        let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
        let kind = TrackType::try_from(request.r#type).unwrap_or(TrackType::Data);
        let refusal = if !participant.grants.may_publish_source(source) {
            Some((Reason::NotAllowed, "does not have permission to publish this source"))
        } else if !is_of(kind, source) {
            Some((Reason::UnsupportedType, "this source is not of this kind"))
        } else if kind == TrackType::Data {
            Some((Reason::UnsupportedType, "only audio and video tracks can be published"))
        } else {
            None
        };
        // Clients know by the cid which of their tracks is refused; nothing else of what they said has to go back.
        let cid = echo(&request.cid);
        let echo =
            request_response::Request::AddTrack(AddTrackRequest { cid: cid.clone(), ..Default::default() });
        if let Some((reason, text)) = refusal {
            if let Some(participant) = self.participants.get_mut(from).filter(|_| !cid.is_empty()) {
                participant.deny(cid);
            }
            return self.respond(from, 0, reason, text, Some(echo));
        }
        // Whoever announces a track again that still waits has one, and not two.
        let pending = participant.pending.iter().filter(|pending| pending.cid != cid).count();
        let bounded = within("the list of tracks that wait for their media", pending + 1, PENDING_TRACKS)
            .and_then(|()| within("the list of tracks", pending + participant.published.len() + 1, TRACKS))
            .and_then(|()| announce::track(request));
        let mut request = match bounded {
            Ok(request) => request,
            Err(refusal) => return self.refuse(from, 0, refusal, Some(echo)),
        };
        let Some(participant) = self.participants.get_mut(from) else { return };
        // The answer to its offer leaves these out: nobody is to wait for a track in them.
        let is_fit = |codec| participant.client.may_publish(codec);
        request.simulcast_codecs.retain(|said| Codec::parse(&said.codec).is_none_or(is_fit));
        if let Err(too_fast) = participant.publishing.take(1, Duration::ZERO, now.at) {
            return self.come_later(from, "tracks were published", too_fast, Some(echo));
        }
        let sid = TrackSid::generate(kind, source, &mut self.ids);
        let info = info_of(&request, &sid, now.unix_ms);
        let announced_codec = info.codecs.first().and_then(|codec| Codec::parse(&codec.mime_type));
        let published = TrackPublishedResponse { cid, track: Some(info.clone()) };
        if let Some(participant) = self.participants.get_mut(from) {
            participant.denied.remove(&request.cid);
            participant.pending.retain(|pending| pending.cid != request.cid);
            participant.pending.push(PendingTrack { cid: request.cid, announced_codec, info, since: now });
        }
        self.signal(from, signal_response::Message::TrackPublished(published));
    }

    fn update_own_metadata(
        &mut self,
        from: &ParticipantSid,
        mut request: UpdateParticipantMetadata,
        now: Now,
    ) {
        use request_response::Reason;
        let id = request.request_id;
        // The id says which request is meant.
        let echo = request_response::Request::UpdateMetadata(UpdateParticipantMetadata {
            request_id: id,
            ..Default::default()
        });
        // Clients send with it what they are called and described by.
        if let Some(said) = request.attributes.remove(CONSENT) {
            let refusal = self.answer_consent(from, &said, now).err();
            if let Some(refusal) = refusal {
                return self.consent_not_taken(from, id, refusal, Some(echo));
            }
            let says_no_more = self.participants.get(from).is_some_and(|participant| {
                let is_same = |said: &str, known: &str| said.is_empty() || said == known;
                request.attributes.iter().all(|(key, value)| participant.attributes.get(key) == Some(value))
                    && is_same(&request.name, &participant.name)
                    && is_same(&request.metadata, &participant.metadata)
            });
            if says_no_more {
                return self.respond(from, id, Reason::Ok, "", Some(echo));
            }
        }
        let Some(participant) = self.participants.get_mut(from) else { return };
        if !participant.grants.may_update_own_metadata() {
            let text = "does not have permission to update own metadata";
            return self.respond(from, id, Reason::NotAllowed, text, Some(echo));
        }
        let (name, metadata) = (&request.name, &request.metadata);
        if let Err(refusal) = participant.bounds(name, metadata, OWN_METADATA_BYTES, &request.attributes) {
            return self.refuse(from, id, refusal, Some(echo));
        }
        participant.describe(metadata, &request.attributes);
        self.rename(from, name);
        self.announce(from, Audience::All);
        self.remember_own(from, now);
        self.respond(from, id, Reason::Ok, "", Some(echo));
    }

    /// Tells a participant that what it said about being recorded does not count.
    fn consent_not_taken(
        &mut self,
        to: &ParticipantSid,
        request_id: u32,
        why: NotTaken,
        request: Option<request_response::Request>,
    ) {
        use request_response::Reason;
        let (reason, text) = match why {
            NotTaken::NotAsked => {
                (Reason::NotAllowed, "this room does not ask whether one agrees to being recorded".to_owned())
            }
            NotTaken::Neither => (Reason::InvalidRequest, format!("{CONSENT} is yes or no")),
            NotTaken::TooFast(TooFast { wait }) => {
                let seconds = wait.as_secs() + 1;
                let text = format!("you changed your mind too often of late; you may agree in {seconds} s");
                (Reason::LimitExceeded, text)
            }
        };
        self.respond(to, request_id, reason, &text, request);
    }

    /// Tells a participant that it asked for too much.
    pub(crate) fn refuse(
        &mut self,
        to: &ParticipantSid,
        request_id: u32,
        refusal: TooMuch,
        request: Option<request_response::Request>,
    ) {
        let reason = request_response::Reason::LimitExceeded;
        self.respond(to, request_id, reason, &refusal.to_string(), request);
    }

    /// Tells a participant that it did something too often of late.
    pub(crate) fn come_later(
        &mut self,
        to: &ParticipantSid,
        what: &str,
        TooFast { wait }: TooFast,
        request: Option<request_response::Request>,
    ) {
        let text = format!("too many {what} of late; it may go on in {} s", wait.as_secs() + 1);
        self.respond(to, 0, request_response::Reason::LimitExceeded, &text, request);
    }

    pub(crate) fn respond(
        &mut self,
        to: &ParticipantSid,
        request_id: u32,
        reason: request_response::Reason,
        text: &str,
        request: Option<request_response::Request>,
    ) {
        let response =
            RequestResponse { request_id, reason: reason.into(), message: text.to_owned(), request };
        self.signal(to, signal_response::Message::RequestResponse(response));
    }
}

/// An id as it is said back: what is longer than any id is not.
pub(crate) fn echo(id: &str) -> String {
    if id.len() > ID_BYTES { String::new() } else { id.to_owned() }
}
