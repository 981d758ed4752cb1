//! What clients ask for by signalling, all but SDP and candidates, which are the shell's.

use reelroom_limits::signalling::{ATTRIBUTES_BYTES, METADATA_BYTES, PENDING_TRACKS};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    AddTrackRequest, DisconnectReason, Ping, Pong, RequestResponse, TrackPublishedResponse, TrackSource,
    TrackType, UpdateParticipantMetadata, request_response, signal_request, signal_response,
};

use crate::participant::{Audience, PendingTrack};
use crate::room::{Now, Room};
use crate::track::{info_of, is_of};

impl Room {
    /// A signalling message of a participant. SDP and candidates are not for the room and do nothing here.
    pub fn handle_signal(&mut self, from: &ParticipantSid, message: signal_request::Message, now: Now) {
        use signal_request::Message;
        if !self.participants.contains_key(from) {
            return;
        }
        match message {
            Message::AddTrack(request) => self.add_track(from, request),
            Message::Mute(request) => {
                let sid = TrackSid::from(request.sid);
                if self.owns(from, &sid) {
                    self.muted_by_publisher(&sid, request.muted, now);
                } else {
                    self.mute_pending(from, &sid, request.muted);
                }
            }
            Message::Subscription(request) => {
                let in_participants =
                    request.participant_tracks.iter().flat_map(|tracks| tracks.track_sids.iter());
                let tracks: Vec<_> = request
                    .track_sids
                    .iter()
                    .chain(in_participants)
                    .map(|sid| TrackSid::from(sid.as_str()))
                    .collect();
                for track in tracks {
                    self.set_subscribed(from, &track, request.subscribe, now);
                }
            }
            Message::TrackSetting(request) => self.set_track_settings(from, &request, now),
            Message::SubscriptionPermission(permission) => self.set_permission(from, permission, now),
            Message::Leave(_) => self.leave(from, DisconnectReason::ClientInitiated, now),
            Message::UpdateMetadata(request) => self.update_own_metadata(from, request, now),
            Message::UpdateAudioTrack(request) => {
                let sid = TrackSid::from(request.track_sid);
                if self.owns(from, &sid) {
                    if let Some(track) = self.tracks.get_mut(&sid) {
                        track.info.audio_features = request.features;
                    }
                    self.announce(from, Audience::All);
                }
            }
            Message::UpdateVideoTrack(request) => {
                let sid = TrackSid::from(request.track_sid);
                if self.owns(from, &sid) {
                    if let Some(track) = self.tracks.get_mut(&sid) {
                        (track.info.width, track.info.height) = (request.width, request.height);
                    }
                    self.announce(from, Audience::All);
                }
            }
            Message::UpdateLayers(request) => {
                let sid = TrackSid::from(request.track_sid);
                if self.owns(from, &sid)
                    && let Some(track) = self.tracks.get_mut(&sid)
                {
                    track.info.layers = request.layers;
                }
            }
            Message::Ping(_) => self.signal(from, signal_response::Message::Pong(now.unix_ms)),
            Message::PingReq(Ping { timestamp, .. }) => {
                let pong = Pong { last_ping_timestamp: timestamp, timestamp: now.unix_ms };
                self.signal(from, signal_response::Message::PongResp(pong));
            }
            Message::PublishDataTrackRequest(_)
            | Message::UnpublishDataTrackRequest(_)
            | Message::StoreDataBlobRequest(_)
            | Message::GetDataBlobRequest(_) => {
                self.respond(
                    from,
                    0,
                    request_response::Reason::UnsupportedType,
                    "not offered by this server",
                    None,
                );
            }
            Message::Offer(_)
            | Message::Answer(_)
            | Message::Trickle(_)
            | Message::SyncState(_)
            | Message::Simulate(_)
            | Message::UpdateDataSubscription(_) => {}
        }
    }

    fn owns(&self, sid: &ParticipantSid, track: &TrackSid) -> bool {
        self.tracks.get(track).is_some_and(|track| track.publisher == *sid)
    }

    fn mute_pending(&mut self, sid: &ParticipantSid, track: &TrackSid, muted: bool) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if let Some(pending) =
            participant.pending.iter_mut().find(|pending| pending.info.sid == track.as_str())
        {
            pending.info.muted = muted;
        }
    }

    fn add_track(&mut self, from: &ParticipantSid, request: AddTrackRequest) {
        use request_response::Reason;
        let Some(participant) = self.participants.get(from) else { return };
        let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
        let kind = TrackType::try_from(request.r#type).unwrap_or(TrackType::Data);
        let refusal = if !participant.grants.may_publish_source(source) {
            Some((Reason::NotAllowed, "does not have permission to publish this source"))
        } else if !is_of(kind, source) {
            Some((Reason::UnsupportedType, "this source is not of this kind"))
        } else if kind == TrackType::Data {
            Some((Reason::UnsupportedType, "only audio and video tracks can be published"))
        } else if participant.pending.len() >= PENDING_TRACKS {
            Some((Reason::LimitExceeded, "too many tracks are being published"))
        } else {
            None
        };
        if let Some((reason, text)) = refusal {
            let echo = request_response::Request::AddTrack(request);
            return self.respond(from, 0, reason, text, Some(echo));
        }
        let sid = TrackSid::generate(kind, source, &mut self.ids);
        let info = info_of(&request, &sid);
        let published = TrackPublishedResponse { cid: request.cid.clone(), track: Some(info.clone()) };
        if let Some(participant) = self.participants.get_mut(from) {
            participant.pending.retain(|pending| pending.request.cid != request.cid);
            participant.pending.push(PendingTrack { request, info });
        }
        self.signal(from, signal_response::Message::TrackPublished(published));
    }

    fn update_own_metadata(&mut self, from: &ParticipantSid, request: UpdateParticipantMetadata, now: Now) {
        use request_response::Reason;
        let Some(participant) = self.participants.get_mut(from) else { return };
        let attribute_bytes: usize =
            request.attributes.iter().map(|(key, value)| key.len() + value.len()).sum();
        let refusal = if !participant.grants.may_update_own_metadata() {
            Some((Reason::NotAllowed, "does not have permission to update own metadata"))
        } else if request.metadata.len() > METADATA_BYTES || attribute_bytes > ATTRIBUTES_BYTES {
            Some((Reason::LimitExceeded, "metadata or attributes are too large"))
        } else {
            None
        };
        let id = request.request_id;
        if let Some((reason, text)) = refusal {
            let echo = request_response::Request::UpdateMetadata(request);
            return self.respond(from, id, reason, text, Some(echo));
        }
        participant.describe(&request.metadata, &request.attributes);
        self.rename(from, &request.name);
        self.announce(from, Audience::All);
        self.remember_own(from, now);
        self.respond(from, id, Reason::Ok, "", Some(request_response::Request::UpdateMetadata(request)));
    }

    fn respond(
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
