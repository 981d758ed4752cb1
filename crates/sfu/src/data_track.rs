//! Data tracks: what a robot or a game publishes as frames of anything, named, chosen by each subscriber, and lossy.
//!
//! ```text
//!   publisher ─► PublishDataTrack ─► DTR_…, for all to see in its `data_tracks`
//!   subscriber ─► UpdateDataSubscription ─► a handle of its own for each track, told by DataTrackSubscriberHandles
//!   packet (publisher's handle) ─► each subscriber's packet (its handle) ─► _data_track
//! ```
//!
//! A packet begins with a header of 12 bytes, in network order: version (3 bits) and flags, a byte that is reserved, the handle, the packet's
//! number, the frame's number, a time. Of that only the handle is changed: everything else, extensions and what is encrypted included,
//! passes as it is.
//!
//! # Invariants
//!
//! - A packet goes to nobody who may not subscribe, and from nobody who may not send data, from the moment on at which that is so.
//! - A handle is never 0, and means one track to its subscriber for as long as the subscription lasts.
//! - Hidden participants' tracks are told to nobody, and reach nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reelroom_limits::media::{DATA_ENCODING_BYTES, DATA_SUBSCRIPTIONS, DATA_TRACK_PACKET_BYTES, DATA_TRACKS};
use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::{AWAITED_FOR, ID_BYTES, NAME_BYTES};
use reelroom_protocol::ids::{DataTrackSid, ParticipantSid, TrackSid};
use reelroom_protocol::proto::data_track_subscriber_handles::PublishedDataTrack;
use reelroom_protocol::proto::{
    DataTrackFrameEncoding, DataTrackInfo, DataTrackSchemaId, DataTrackSubscriberHandles, ParticipantInfo,
    PublishDataTrackRequest, PublishDataTrackResponse, RequestResponse, UnpublishDataTrackRequest,
    UnpublishDataTrackResponse, UpdateDataSubscription, data_track_frame_encoding,
    data_track_schema_encoding, request_response, signal_response,
};

use crate::output::{About, Output};
use crate::participant::{Audience, Participant};
use crate::room::{Now, Room};

const HEADER_BYTES: usize = 12;
const VERSION: u8 = 0;
const VERSION_SHIFT: u32 = 5;
const HANDLE: std::ops::Range<usize> = 2..4;

/// A published data track.
#[derive(Debug)]
pub(crate) struct DataTrack {
    info: DataTrackInfo,
    /// Its sid among those of all tracks, in a publisher's list of who may subscribe to it.
    listed_as: TrackSid,
    publisher: ParticipantSid,
    /// Who gets it, by which handle.
    down: BTreeMap<ParticipantSid, u16>,
}

/// What a participant has with data tracks.
#[derive(Debug, Default)]
pub(crate) struct DataTracksOf {
    /// What it publishes, by its own handles.
    published: BTreeMap<u16, DataTrackSid>,
    /// What it wants to get, and since when.
    wanted: BTreeMap<DataTrackSid, Instant>,
    /// What it gets, by the handles that it was told.
    handles: BTreeMap<u16, DataTrackSid>,
    last_handle: u16,
    /// It gets every track without asking.
    auto_subscribe: bool,
}

impl DataTracksOf {
    /// Whether it publishes a track.
    pub(crate) fn publishes(&self, sid: &str) -> bool {
        self.published.values().any(|published| published.as_str() == sid)
    }

    /// A handle that means nothing yet. There is one: subscriptions are fewer than handles.
    fn new_handle(&mut self) -> u16 {
        loop {
            self.last_handle = self.last_handle.wrapping_add(1);
            if self.last_handle != 0 && !self.handles.contains_key(&self.last_handle) {
                return self.last_handle;
            }
        }
    }

    fn may_want_more(&self) -> bool {
        self.wanted.len() < DATA_SUBSCRIPTIONS && self.handles.len() < DATA_SUBSCRIPTIONS
    }
}

/// The handle that a packet of a data track has; `None` where it is no such packet.
fn handle_of(packet: &[u8]) -> Option<u16> {
    let header = packet.get(..HEADER_BYTES)?;
    let handle = u16::from_be_bytes([header[HANDLE.start], header[HANDLE.start + 1]]);
    let is_one = header[0] >> VERSION_SHIFT == VERSION && packet.len() <= DATA_TRACK_PACKET_BYTES;
    (is_one && handle != 0).then_some(handle)
}

fn with_handle(packet: &[u8], handle: u16) -> Bytes {
    let mut changed = packet.to_vec();
    changed[HANDLE].copy_from_slice(&handle.to_be_bytes());
    changed.into()
}

/// Whether the name of an encoding that an app made up can be one.
fn is_made_up_well(custom: &str) -> bool {
    !custom.is_empty() && custom.len() <= DATA_ENCODING_BYTES
}

/// Whether the encoding of a track's frames can be one.
fn is_frame_encoding(encoding: &DataTrackFrameEncoding) -> bool {
    match &encoding.value {
        Some(data_track_frame_encoding::Value::Custom(custom)) => is_made_up_well(custom),
        Some(data_track_frame_encoding::Value::WellKnown(_)) | None => true,
    }
}

/// Whether the name of a schema can be one.
pub(crate) fn is_schema(schema: &DataTrackSchemaId) -> bool {
    let encoding = schema.encoding.as_ref().and_then(|encoding| encoding.value.as_ref());
    let is_encoded = match encoding {
        Some(data_track_schema_encoding::Value::Custom(custom)) => is_made_up_well(custom),
        Some(data_track_schema_encoding::Value::WellKnown(_)) | None => true,
    };
    !schema.name.is_empty() && schema.name.len() <= NAME_BYTES && is_encoded
}

impl Room {
    /// A participant that has just joined gets every data track without asking for it, but for those that it says it does not want.
    pub fn subscribe_to_all_data_tracks(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.data_tracks.auto_subscribe = true;
        let tracks: Vec<_> = self.data_tracks.keys().cloned().collect();
        for track in tracks {
            self.want_by_default(sid, &track, now);
        }
        self.subscribe_to_data(sid);
    }

    fn want_by_default(&mut self, sid: &ParticipantSid, track: &DataTrackSid, now: Now) {
        if let Some(participant) = self.participants.get_mut(sid)
            && participant.data_tracks.auto_subscribe
            && participant.data_tracks.may_want_more()
        {
            participant.data_tracks.wanted.insert(track.clone(), now.at);
        }
    }

    /// PublishDataTrackRequest.
    pub(crate) fn publish_data_track(
        &mut self,
        from: &ParticipantSid,
        request: PublishDataTrackRequest,
        now: Now,
    ) {
        let Some(participant) = self.participants.get_mut(from) else { return };
        if let Err((reason, text)) = check(participant, &self.data_tracks, &request) {
            return self.refuse_data_track(from, &request, reason, text);
        }
        if let Err(TooFast { wait }) = participant.publishing.take(1, Duration::ZERO, now.at) {
            let text =
                format!("too many tracks were published of late; it may go on in {} s", wait.as_secs() + 1);
            return self.refuse_data_track(from, &request, request_response::Reason::LimitExceeded, text);
        }
        let sid = DataTrackSid::generate(&mut self.ids);
        let info = DataTrackInfo {
            pub_handle: request.pub_handle,
            sid: sid.to_string(),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        // Checked above: a handle has 16 bits.
        participant.data_tracks.published.insert(info.pub_handle as u16, sid.clone());
        let track = DataTrack {
            info: info.clone(),
            listed_as: sid.as_str().into(),
            publisher: from.clone(),
            down: BTreeMap::new(),
        };
        self.data_tracks.insert(sid.clone(), track);
        let response = PublishDataTrackResponse { info: Some(info) };
        self.signal(from, signal_response::Message::PublishDataTrackResponse(response));
        // Others know of the track before they get its handle.
        self.announce(from, Audience::Others);
        let others: Vec<_> = self.participants.keys().filter(|other| *other != from).cloned().collect();
        for other in others {
            self.want_by_default(&other, &sid, now);
            self.subscribe_to_data(&other);
        }
    }

    fn refuse_data_track(
        &mut self,
        to: &ParticipantSid,
        request: &PublishDataTrackRequest,
        reason: request_response::Reason,
        message: String,
    ) {
        // Clients know by the handle which of their tracks is refused.
        let name = if request.name.len() > NAME_BYTES { String::new() } else { request.name.clone() };
        let echo = PublishDataTrackRequest { pub_handle: request.pub_handle, name, ..Default::default() };
        let request = Some(request_response::Request::PublishDataTrack(echo));
        let response = RequestResponse { request_id: 0, reason: reason.into(), message, request };
        self.signal(to, signal_response::Message::RequestResponse(response));
    }

    /// UnpublishDataTrackRequest.
    pub(crate) fn unpublish_data_track(&mut self, from: &ParticipantSid, request: UnpublishDataTrackRequest) {
        let handle = u16::try_from(request.pub_handle).ok();
        let published = self.participants.get(from).map(|participant| &participant.data_tracks.published);
        let track = handle.and_then(|handle| published?.get(&handle).cloned());
        let Some(track) = track else {
            let reason = request_response::Reason::NotFound.into();
            let message = "there is no data track with this handle".to_owned();
            let request = Some(request_response::Request::UnpublishDataTrack(request));
            let response = RequestResponse { request_id: 0, reason, message, request };
            return self.signal(from, signal_response::Message::RequestResponse(response));
        };
        self.end_data_tracks([track]);
        self.announce(from, Audience::Others);
    }

    /// Ends data tracks, for their publishers and all who get them, each of whom is told once what is left. Others are not told yet that they
    /// are not there any more.
    fn end_data_tracks(&mut self, tracks: impl IntoIterator<Item = DataTrackSid>) {
        let mut lose_some = BTreeSet::new();
        for sid in tracks {
            let Some(track) = self.data_tracks.remove(&sid) else { continue };
            if let Some(publisher) = self.participants.get_mut(&track.publisher) {
                publisher.data_tracks.published.retain(|_, published| *published != sid);
            }
            for participant in self.participants.values_mut() {
                participant.data_tracks.wanted.remove(&sid);
            }
            for (subscriber, handle) in track.down {
                if let Some(participant) = self.participants.get_mut(&subscriber) {
                    participant.data_tracks.handles.remove(&handle);
                }
                lose_some.insert(subscriber);
            }
            let response = UnpublishDataTrackResponse { info: Some(track.info) };
            self.signal(&track.publisher, signal_response::Message::UnpublishDataTrackResponse(response));
        }
        for subscriber in lose_some {
            self.tell_handles(&subscriber);
        }
    }

    /// UpdateDataSubscription. What of it finds no place comes back as a number. The frame rate that a subscriber wishes for is not kept:
    /// it gets every frame that its network takes.
    pub(crate) fn update_data_subscription(
        &mut self,
        from: &ParticipantSid,
        request: &UpdateDataSubscription,
        now: Now,
    ) -> usize {
        let mut left_out = 0;
        for update in &request.updates {
            let Some(participant) = self.participants.get_mut(from) else { return left_out };
            let tracks = &mut participant.data_tracks;
            if !update.subscribe {
                tracks.wanted.remove(update.track_sid.as_str());
                self.end_data_subscription(from, &DataTrackSid::from(update.track_sid.as_str()));
            } else if tracks.wanted.contains_key(update.track_sid.as_str()) {
                // It is known.
            } else if update.track_sid.len() > ID_BYTES || !tracks.may_want_more() {
                left_out += 1;
            } else {
                tracks.wanted.insert(update.track_sid.as_str().into(), now.at);
            }
        }
        self.give_data(from);
        self.tell_handles(from);
        left_out
    }

    fn end_data_subscription(&mut self, subscriber: &ParticipantSid, sid: &DataTrackSid) -> bool {
        let Some(track) = self.data_tracks.get_mut(sid) else { return false };
        let Some(handle) = track.down.remove(subscriber) else { return false };
        if let Some(participant) = self.participants.get_mut(subscriber) {
            participant.data_tracks.handles.remove(&handle);
        }
        true
    }

    /// Gives a participant what it wants and may get, and tells it the handles where that is something new.
    pub(crate) fn subscribe_to_data(&mut self, sid: &ParticipantSid) {
        if self.give_data(sid) {
            self.tell_handles(sid);
        }
    }

    /// Gives a participant what it wants and may get, and says whether that is something new.
    fn give_data(&mut self, sid: &ParticipantSid) -> bool {
        let Some(participant) = self.participants.get(sid) else { return false };
        if self.data_tracks.is_empty() || !participant.is_active() || participant.is_server {
            return false;
        }
        let is_new = |track_sid: &&DataTrackSid| {
            let track = self.data_tracks.get(*track_sid);
            track.is_some_and(|track| !track.down.contains_key(sid) && self.may_get_data(track, sid))
        };
        let new: Vec<_> = participant.data_tracks.wanted.keys().filter(is_new).cloned().collect();
        let mut has_new = false;
        for track_sid in new {
            let Some(participant) = self.participants.get_mut(sid) else { break };
            if participant.data_tracks.handles.len() >= DATA_SUBSCRIPTIONS {
                break;
            }
            let handle = participant.data_tracks.new_handle();
            participant.data_tracks.handles.insert(handle, track_sid.clone());
            if let Some(track) = self.data_tracks.get_mut(&track_sid) {
                track.down.insert(sid.clone(), handle);
            }
            has_new = true;
        }
        has_new
    }

    /// Whether a participant may get a data track now.
    fn may_get_data(&self, track: &DataTrack, subscriber: &ParticipantSid) -> bool {
        let (Some(publisher), Some(subscriber)) =
            (self.participants.get(&track.publisher), self.participants.get(subscriber))
        else {
            return false;
        };
        publisher.sid != subscriber.sid
            && publisher.is_visible()
            && publisher.grants.may_publish_data()
            && subscriber.grants.may_subscribe()
            && publisher.permits(subscriber, &track.listed_as)
    }

    /// The same where it was told of any before.
    pub(crate) fn tell_handles_again(&mut self, sid: &ParticipantSid) {
        if self.participants.get(sid).is_some_and(|participant| participant.data_tracks.last_handle != 0) {
            self.tell_handles(sid);
        }
    }

    /// Tells a participant what its handles mean: all of them, each time.
    fn tell_handles(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get(sid) else { return };
        let of = |track_sid: &DataTrackSid| {
            let track = self.data_tracks.get(track_sid)?;
            let publisher = self.participants.get(&track.publisher)?;
            Some(PublishedDataTrack {
                publisher_identity: publisher.identity.to_string(),
                publisher_sid: publisher.sid.to_string(),
                track_sid: track_sid.to_string(),
            })
        };
        let handles = participant.data_tracks.handles.iter();
        let sub_handles: HashMap<_, _> =
            handles.filter_map(|(handle, track)| Some((u32::from(*handle), of(track)?))).collect();
        let told = DataTrackSubscriberHandles { sub_handles };
        let told = signal_response::Message::DataTrackSubscriberHandles(told);
        self.broadcast(vec![sid.clone()], told, Some(About::DataTrackHandles));
    }

    /// A packet of a data track came from a participant that may send data.
    pub(crate) fn data_track_packet(&mut self, from: &ParticipantSid, packet: &[u8]) {
        let published = self.participants.get(from).map(|participant| &participant.data_tracks.published);
        let Some(track) = handle_of(packet)
            .and_then(|handle| published?.get(&handle))
            .and_then(|sid| self.data_tracks.get(sid))
        else {
            return;
        };
        for (subscriber, handle) in &track.down {
            if self.may_get_data(track, subscriber) {
                let bytes = with_handle(packet, *handle);
                self.outputs.push_back(Output::DataTrackPacket { to: subscriber.clone(), bytes });
            }
        }
    }

    /// Looks again who may publish and get data tracks, for rights change, and forgets what was waited for too long.
    pub(crate) fn look_at_data_tracks(&mut self, now: Now) {
        for participant in self.participants.values_mut() {
            participant.data_tracks.wanted.retain(|track, since| {
                self.data_tracks.contains_key(track) || now.at.saturating_duration_since(*since) < AWAITED_FOR
            });
        }
        if self.data_tracks.is_empty() {
            return;
        }
        let (mut over, mut publishers) = (Vec::new(), BTreeSet::new());
        for (sid, track) in &self.data_tracks {
            let publisher = self.participants.get(&track.publisher);
            if !publisher.is_some_and(|publisher| publisher.grants.may_publish_data()) {
                over.push(sid.clone());
                publishers.insert(track.publisher.clone());
            }
        }
        self.end_data_tracks(over);
        for publisher in publishers {
            self.announce(&publisher, Audience::Others);
        }
        let mut taken = Vec::new();
        for (sid, track) in &self.data_tracks {
            let gone = track.down.keys().filter(|subscriber| !self.may_get_data(track, subscriber));
            taken.extend(gone.map(|subscriber| (subscriber.clone(), sid.clone())));
        }
        let mut told = BTreeSet::new();
        for (subscriber, track) in taken {
            if self.end_data_subscription(&subscriber, &track) {
                told.insert(subscriber);
            }
        }
        let everybody: Vec<_> = self.participants.keys().cloned().collect();
        for sid in everybody {
            if self.give_data(&sid) {
                told.insert(sid);
            }
        }
        for sid in told {
            self.tell_handles(&sid);
        }
    }

    /// A participant leaves: what it publishes ends, and it gets nothing more.
    pub(crate) fn leave_data_tracks(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let mine = std::mem::take(&mut participant.data_tracks);
        for track in mine.handles.values() {
            if let Some(track) = self.data_tracks.get_mut(track) {
                track.down.remove(sid);
            }
        }
        self.end_data_tracks(mine.published.into_values());
    }

    /// What clients are told of a participant, with its data tracks.
    pub(crate) fn with_data_tracks(
        &self,
        sid: &ParticipantSid,
        mut info: ParticipantInfo,
    ) -> ParticipantInfo {
        let published = self.participants.get(sid).map(|participant| &participant.data_tracks.published);
        let tracks = published.into_iter().flat_map(BTreeMap::values);
        info.data_tracks =
            tracks.filter_map(|track| self.data_tracks.get(track)).map(|track| track.info.clone()).collect();
        info.is_publisher |= !info.data_tracks.is_empty();
        info
    }
}

/// Whether a participant may publish such a track; otherwise why not.
fn check(
    participant: &Participant,
    tracks: &BTreeMap<DataTrackSid, DataTrack>,
    request: &PublishDataTrackRequest,
) -> Result<(), (request_response::Reason, String)> {
    use request_response::Reason;
    let refuse = |reason, text: &str| Err((reason, text.to_owned()));
    if !participant.grants.may_publish_data() {
        return refuse(Reason::NotAllowed, "does not have permission to publish data");
    }
    let Some(handle) = u16::try_from(request.pub_handle).ok().filter(|handle| *handle > 0) else {
        return refuse(Reason::InvalidHandle, "a handle is a number from 1 to 65535");
    };
    if request.name.is_empty() || request.name.len() > NAME_BYTES {
        let text = format!("the name of a data track has 1 to {NAME_BYTES} bytes");
        return Err((Reason::InvalidName, text));
    }
    let has_encoding = request.frame_encoding.as_ref().is_none_or(is_frame_encoding);
    if !has_encoding || !request.schema.as_ref().is_none_or(is_schema) {
        let text = format!(
            "the name of a schema has 1 to {NAME_BYTES} bytes, and the name of an encoding 1 to {DATA_ENCODING_BYTES}"
        );
        return Err((Reason::InvalidRequest, text));
    }
    let published = &participant.data_tracks.published;
    if published.contains_key(&handle) {
        return refuse(Reason::DuplicateHandle, "a data track with this handle is published already");
    }
    let mut names = published.values().filter_map(|track| tracks.get(track)).map(|track| &track.info.name);
    if names.any(|name| *name == request.name) {
        return refuse(Reason::DuplicateName, "a data track of this name is published already");
    }
    if published.len() >= DATA_TRACKS {
        return Err((Reason::LimitExceeded, format!("{DATA_TRACKS} data tracks may be published at once")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
