use std::collections::BTreeMap;

use reelroom_protocol::proto::{
    AddTrackRequest, DataPacket, SubscriptionPermission, TrackSource, TrackType, UpdateTrackSettings,
    UserPacket, VideoLayer, VideoQuality, data_packet, signal_request,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::forward::Rewrite;
use crate::output::{DataKind, DownTrackSpec};
use crate::packet::{Carrier, Content, Passed, PublishedPacket};
use crate::track::Section;

const KEY: &[u8] = &[0x10, 0x00, 0, 0];
const KEY_H264: &[u8] = &[0x67, 1, 2];

mod data;
mod rights;
mod told;

/// A room with a clock that the story moves.
pub(crate) struct Story {
    pub(crate) room: Room,
    pub(crate) now: Now,
    seen: Vec<Output>,
    sessions: u32,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::with(RoomOptions { sid: "RM_1".into(), name: "room".into(), ..RoomOptions::default() })
    }

    pub(crate) fn with(options: RoomOptions) -> Self {
        let now = Now { at: Instant::now(), unix_ms: 1_800_000_000_000 };
        Self { room: Room::new(options, now), now, seen: Vec::new(), sessions: 0 }
    }

    pub(crate) fn join(&mut self, name: &str) -> ParticipantSid {
        self.join_as(name, VideoGrants::default(), participant_info::Kind::Standard).unwrap()
    }

    pub(crate) fn join_as(
        &mut self,
        name: &str,
        grants: VideoGrants,
        kind: participant_info::Kind,
    ) -> Result<ParticipantSid, Refusal> {
        self.join_with(Self::joining(name, grants, kind))
    }

    /// With an app's token, issued at the beginning.
    pub(crate) fn joining(name: &str, grants: VideoGrants, kind: participant_info::Kind) -> Joining {
        Joining {
            sid: ParticipantSid::default(),
            identity: name.into(),
            ticket: Default::default(),
            serial: 0,
            issued_unix_s: 0,
            is_server: false,
            name: name.to_owned(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            grants,
            kind,
            auto_subscribe: true,
            client: Default::default(),
            kind_details: Vec::new(),
        }
    }

    pub(crate) fn join_with(&mut self, joining: Joining) -> Result<ParticipantSid, Refusal> {
        self.sessions += 1;
        let sid = ParticipantSid::from(format!("PA_{}_{}", joining.identity, self.sessions));
        self.room.join(Joining { sid: sid.clone(), ..joining }, self.now)?;
        self.room.connected(&sid, self.now);
        Ok(sid)
    }

    pub(crate) fn publish(
        &mut self,
        sid: &ParticipantSid,
        mid: &str,
        kind: TrackType,
        simulcast: bool,
    ) -> TrackSid {
        let source = if kind == TrackType::Audio { TrackSource::Microphone } else { TrackSource::Camera };
        let layer = |quality: VideoQuality, width, height| VideoLayer {
            quality: quality.into(),
            width,
            height,
            ..Default::default()
        };
        let layers = if simulcast {
            vec![layer(VideoQuality::Low, 320, 180), layer(VideoQuality::High, 1280, 720)]
        } else {
            Vec::new()
        };
        let request = AddTrackRequest {
            cid: format!("cid-{mid}"),
            r#type: kind.into(),
            source: source.into(),
            layers,
            ..Default::default()
        };
        self.room.handle_signal(sid, signal_request::Message::AddTrack(request), self.now);
        let section = Section {
            mid: mid.into(),
            kind,
            track_id: format!("cid-{mid}"),
            sends: true,
            simulcast,
            parameter_sets: Vec::new(),
        };
        self.room.sections(sid, &[section]);
        let track = self.room.track_on(sid, mid).expect("the section was matched");
        let codec = if kind == TrackType::Audio { Codec::Opus } else { Codec::Vp8 };
        self.arrives(&track, &packet(codec, 0, Layer::High, self.now.at));
        track
    }

    /// Joins what records, and begins.
    pub(crate) fn recorder(&mut self) -> ParticipantSid {
        let grants = VideoGrants { hidden: true, recorder: true, ..VideoGrants::default() };
        let recorder = self.join_as("EG_1", grants, participant_info::Kind::Egress).unwrap();
        self.room.start_recording(&recorder, self.now);
        recorder
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.at + time;
        while self.room.poll_timeout() <= end {
            let at = self.room.poll_timeout();
            self.now.unix_ms += at.saturating_duration_since(self.now.at).as_millis() as i64;
            self.now.at = at;
            self.room.handle_timeout(self.now);
        }
        self.now.at = end;
    }

    pub(crate) fn outputs(&mut self) -> &[Output] {
        self.seen.clear();
        while let Some(output) = self.room.poll_output() {
            self.seen.push(output);
        }
        &self.seen
    }

    pub(crate) fn webhooks(&mut self) -> Vec<String> {
        let event = |output: &Output| match output {
            Output::Webhook(hook) => Some(hook.event.clone()),
            _ => None,
        };
        self.outputs().iter().filter_map(event).collect()
    }

    pub(crate) fn down_tracks(&mut self) -> Vec<DownTrackSpec> {
        let spec = |output: &Output| match output {
            Output::AddDownTrack(spec) => Some(spec.clone()),
            _ => None,
        };
        self.outputs().iter().filter_map(spec).collect()
    }

    pub(crate) fn updates_to(&mut self, sid: &ParticipantSid) -> Vec<ParticipantInfo> {
        let mut updates = Vec::new();
        for output in self.outputs() {
            let (is_told, message) = match output {
                Output::Signal { to, message } => (to == sid, message),
                Output::Broadcast { to, message, .. } => (to.contains(sid), message),
                _ => continue,
            };
            if is_told && let signal_response::Message::Update(update) = message.as_ref() {
                updates.extend(update.participants.iter().cloned());
            }
        }
        updates
    }

    pub(crate) fn forwarded(&mut self, track: &TrackSid, seq: u64, layer: Layer) -> Vec<ParticipantSid> {
        let sent = self.carried(track, &packet(Codec::Vp8, seq, layer, self.now.at)).sent;
        sent.into_iter().map(|sent| sent.to).collect()
    }

    /// A packet; how many subscribers got it.
    pub(crate) fn arrives(&mut self, track: &TrackSid, packet: &PublishedPacket<'_>) -> usize {
        self.carried(track, packet).sent.iter().filter(|sent| !sent.is_in_front).count()
    }

    /// A packet, as the shell brings it; who got what.
    pub(crate) fn carried(&mut self, track: &TrackSid, packet: &PublishedPacket<'_>) -> Carried {
        let mut carried = Carried { payload: packet.payload.to_vec(), ..Carried::default() };
        let Some((publisher, mid)) = self.room.source_of(track) else { return carried };
        if self.room.packet(&publisher, &mid, packet, self.now, &mut carried) == Passed::AfterOutputs {
            assert!(carried.sent.is_empty() && carried.recorded.is_empty(), "nobody was told of it");
            let again = self.room.packet(&publisher, &mid, packet, self.now, &mut carried);
            assert_eq!(again, Passed::On);
        }
        carried
    }
}

/// Something that a subscriber got.
pub(crate) struct Sent {
    pub(crate) to: ParticipantSid,
    pub(crate) rewrite: Rewrite,
    pub(crate) payload: Vec<u8>,
    /// A parameter set.
    pub(crate) is_in_front: bool,
}

/// What a packet brought to whom.
#[derive(Default)]
pub(crate) struct Carried {
    payload: Vec<u8>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) recorded: Vec<(ParticipantSid, Vec<u8>)>,
    pub(crate) sets: Vec<Vec<u8>>,
}

impl Carried {
    fn of(&self, content: Content<'_>) -> Vec<u8> {
        match content {
            Content::Whole => self.payload.clone(),
            Content::Block(block) => block.of(&self.payload).to_vec(),
            Content::ParameterSet(set) => set.to_vec(),
        }
    }
}

impl Carrier for Carried {
    fn send(&mut self, _track: &TrackSid, to: &ParticipantSid, rewrite: Rewrite, content: Content<'_>) {
        let is_in_front = matches!(content, Content::ParameterSet(_));
        self.sent.push(Sent { to: to.clone(), rewrite, payload: self.of(content), is_in_front });
    }

    fn parameter_sets(&mut self, _track: &TrackSid, _to: &ParticipantSid, sets: &[&[u8]]) {
        self.sets = sets.iter().map(|set| set.to_vec()).collect();
    }

    fn record(&mut self, _track: &TrackSid, to: &ParticipantSid, content: Content<'_>) -> bool {
        self.recorded.push((to.clone(), self.of(content)));
        false
    }
}

pub(crate) fn packet(codec: Codec, seq: u64, layer: Layer, arrived: Instant) -> PublishedPacket<'static> {
    let payload = if codec == Codec::H264 { KEY_H264 } else { KEY };
    PublishedPacket {
        layer,
        codec,
        ssrc: 1 + layer as u32,
        seq,
        rtp: (seq as u32).wrapping_mul(3000),
        payload,
        is_red: false,
        descriptor: None,
        audio_level_dbov: None,
        arrived,
    }
}

#[test]
fn the_story_of_a_call_is_told_by_webhooks() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.unpublish(&track);
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    story.pass(Duration::from_secs(21));
    assert_eq!(
        story.webhooks(),
        [
            "room_started",
            "participant_joined",
            "track_published",
            "track_unpublished",
            "participant_left",
            "room_finished"
        ]
    );
    assert_eq!(story.room.end(), Some(RoomEnd::Empty));
}

#[test]
fn a_published_track_reaches_those_who_are_there_and_those_who_come() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    let down = story.down_tracks();
    assert_eq!(down.len(), 1);
    assert_eq!((&down[0].subscriber, &down[0].publisher, &down[0].track), (&bob, &ada, &track));
    let carol = story.join("carol");
    assert_eq!(story.down_tracks()[0].subscriber, carol);
}

#[test]
fn media_flows_once_negotiated_and_a_keyframe_is_asked_for_every_new_subscriber() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    assert!(story.forwarded(&track, 1, Layer::High).is_empty());
    story.outputs();
    story.room.down_track_ready(&bob, &track, story.now);
    let outputs = story.outputs();
    let hears = |output: &&Output| {
        matches!(output, Output::Signal { to, message }
            if *to == ada && matches!(**message, signal_response::Message::TrackSubscribed(_)))
    };
    assert_eq!(outputs.iter().filter(hears).count(), 1, "the publisher hears of it once it can flow");
    let asks = |output: &&Output| matches!(output, Output::RequestKeyframe { layer: None, .. });
    assert_eq!(outputs.iter().filter(asks).count(), 1, "and is asked for a keyframe");
    assert_eq!(story.forwarded(&track, 2, Layer::High), [bob]);
}

#[test]
fn what_goes_on_on_another_section_begins_there_with_a_keyframe() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    assert_eq!(story.forwarded(&track, 1, Layer::High), std::slice::from_ref(&bob));
    story.pass(Duration::from_secs(1));
    story.outputs();
    story.room.down_track_ready(&bob, &track, story.now);
    let asks = |output: &Output| matches!(output, Output::RequestKeyframe { layer: None, .. });
    assert!(story.outputs().iter().any(asks));
    let delta =
        PublishedPacket { payload: &[0x10, 1, 0, 0], ..packet(Codec::Vp8, 2, Layer::High, story.now.at) };
    assert_eq!(story.arrives(&track, &delta), 0);
    assert_eq!(story.forwarded(&track, 3, Layer::High), [bob]);
}

#[test]
fn a_missing_keyframe_is_asked_for_again() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    story.outputs();
    story.pass(Duration::from_secs(3));
    let asked =
        story.outputs().iter().filter(|output| matches!(output, Output::RequestKeyframe { .. })).count();
    assert!((3..=4).contains(&asked), "asked {asked} times in three seconds");
}

#[test]
fn a_small_tile_gets_the_small_layer() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.down_track_ready(&bob, &track, story.now);
    story.forwarded(&track, 1, Layer::Low);
    story.forwarded(&track, 1, Layer::High);
    let settings = UpdateTrackSettings {
        track_sids: vec![track.to_string()],
        width: 200,
        height: 100,
        ..Default::default()
    };
    story.room.handle_signal(&bob, signal_request::Message::TrackSetting(settings.clone()), story.now);
    assert_eq!(story.forwarded(&track, 2, Layer::Low), std::slice::from_ref(&bob));
    assert!(story.forwarded(&track, 2, Layer::High).is_empty());
    let off = UpdateTrackSettings { disabled: true, ..settings };
    story.room.handle_signal(&bob, signal_request::Message::TrackSetting(off), story.now);
    assert!(story.forwarded(&track, 3, Layer::Low).is_empty());
}

#[test]
fn a_still_screen_with_layers_is_forwarded_and_recorded_whenever_it_draws() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.down_track_ready(&bob, &track, story.now);
    for layer in [Layer::Low, Layer::High] {
        story.forwarded(&track, 1, layer);
    }
    story.pass(Duration::from_millis(300));
    story.forwarded(&track, 2, Layer::Low);
    assert_eq!(story.forwarded(&track, 2, Layer::High), std::slice::from_ref(&bob));
    for (seq, pause_s) in (3..).zip([2, 5, 60, 300, 3]) {
        story.outputs();
        story.pass(Duration::from_secs(pause_s));
        assert_eq!(story.room.tracks[&track].primary().best_layer(story.now.at), Some(Layer::High));
        let asks = |output: &Output| matches!(output, Output::RequestKeyframe { .. });
        assert!(!story.outputs().iter().any(asks), "nobody lacks anything after {pause_s} s");
        assert!(story.forwarded(&track, seq, Layer::Low).is_empty());
        story.pass(Duration::from_millis(260));
        assert_eq!(story.forwarded(&track, seq, Layer::High), std::slice::from_ref(&bob));
    }
}

#[test]
fn what_is_announced_as_encrypted_is_told_to_others_and_cannot_be_recorded() {
    use reelroom_protocol::proto::encryption;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let both = [TrackType::Audio, TrackType::Video];
    assert_eq!(story.room.readable(&both), crate::Readable::All, "an empty room is recorded as one");
    let request = AddTrackRequest {
        cid: "cid-0".into(),
        r#type: TrackType::Audio.into(),
        source: TrackSource::Microphone.into(),
        encryption: encryption::Type::Gcm.into(),
        ..Default::default()
    };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
    assert_eq!(story.room.readable(&both), crate::Readable::None, "announced is enough");
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Audio,
        track_id: "cid-0".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    story.room.sections(&ada, &[section]);
    let track = story.room.track_on(&ada, "0").unwrap();
    story.arrives(&track, &packet(Codec::Opus, 0, Layer::High, story.now.at));
    let updates = story.updates_to(&bob);
    let told = updates.iter().flat_map(|info| &info.tracks).find(|info| info.sid == track.as_str()).unwrap();
    assert_eq!(told.encryption, i32::from(encryption::Type::Gcm));
    assert!(crate::is_encrypted(told));
    story.publish(&bob, "0", TrackType::Video, false);
    assert_eq!(story.room.readable(&both), crate::Readable::Some);
    assert_eq!(story.room.readable(&[TrackType::Audio]), crate::Readable::None);
}

#[test]
fn parameter_sets_of_a_stream_are_known_later() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Video, false);
    // It goes on in H.264.
    story.pass(Duration::from_secs(1));
    for payload in [&[0x67, 1, 2][..], &[0x68, 3], &[0x41, 1]] {
        let packet = PublishedPacket { payload, ..packet(Codec::H264, 9, Layer::High, story.now.at) };
        story.arrives(&track, &packet);
    }
    let recorder = story.recorder();
    let idr =
        PublishedPacket { payload: &[0x65, 0x88], ..packet(Codec::H264, 10, Layer::High, story.now.at) };
    let carried = story.carried(&track, &idr);
    assert_eq!(carried.recorded, [(recorder, vec![0x65, 0x88])]);
    assert_eq!(carried.sets, [vec![0x67, 1, 2], vec![0x68, 3]]);
    let next = PublishedPacket { payload: &[0x41, 1], seq: 11, ..idr };
    assert!(story.carried(&track, &next).sets.is_empty(), "once");
}

#[test]
fn who_comes_late_to_a_stream_that_says_its_parameter_sets_once_gets_them_before_the_keyframe() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.pass(Duration::from_secs(1));
    let (sps, pps, idr) = (&[0x67, 1, 2][..], &[0x68, 3][..], &[0x65, 0x88, 7][..]);
    for (seq, payload) in (20..).zip([sps, pps, idr]) {
        let packet = PublishedPacket { payload, ..packet(Codec::H264, seq, Layer::High, story.now.at) };
        story.arrives(&track, &packet);
    }
    let bob = story.join("bob");
    story.room.down_track_ready(&bob, &track, story.now);
    let mut got = Vec::new();
    for (seq, payload) in (30..).zip([&[0x41, 1][..], idr, &[0x41, 2], idr]) {
        let packet = PublishedPacket { payload, ..packet(Codec::H264, seq, Layer::High, story.now.at) };
        for sent in story.carried(&track, &packet).sent {
            assert_eq!(sent.to, bob);
            got.push((sent.rewrite.seq, sent.payload));
        }
    }
    let wanted = [sps, pps, idr, &[0x41, 2], idr];
    assert_eq!(got, (1..).zip(wanted).map(|(seq, unit)| (seq, unit.to_vec())).collect::<Vec<_>>());
}

#[test]
fn a_second_session_of_an_identity_ends_the_first() {
    let mut story = Story::new();
    let bob = story.join("bob");
    let first = story.join("ada");
    story.now.unix_ms += 1;
    let second = story.join("ada");
    assert_ne!(first, second);
    assert_eq!(story.room.participant_infos().len(), 2);
    let updates = story.updates_to(&bob);
    let disconnected = i32::from(participant_info::State::Disconnected);
    assert!(updates.iter().all(|info| info.state != disconnected), "others only see the new session");
}

#[test]
fn versions_grow_with_every_change() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.set_muted(&track, true, Audience::All);
    story.room.set_muted(&track, false, Audience::All);
    let versions: Vec<_> = story
        .updates_to(&bob)
        .iter()
        .filter(|info| info.sid == ada.as_str())
        .map(|info| info.version)
        .collect();
    assert!(versions.len() >= 3 && versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

#[test]
fn grants_are_enforced() {
    let mut story = Story::new();
    let mute = VideoGrants { can_publish: Some(false), can_subscribe: Some(false), ..VideoGrants::default() };
    let eve = story.join_as("eve", mute, participant_info::Kind::Standard).unwrap();
    let request = AddTrackRequest { cid: "c".into(), r#type: TrackType::Video.into(), ..Default::default() };
    story.room.handle_signal(&eve, signal_request::Message::AddTrack(request), story.now);
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Video,
        track_id: "c".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    story.room.sections(&eve, &[section]);
    assert_eq!(
        story.room.track_on(&eve, "0"),
        None,
        "media without an allowed announcement is nobody's track"
    );
    let ada = story.join("ada");
    story.publish(&ada, "0", TrackType::Video, false);
    assert!(story.down_tracks().is_empty());
    story.room.data(&eve, DataKind::Reliable, &[]);
    assert!(
        !story.outputs().iter().any(|output| matches!(output, Output::Data { .. } | Output::DataWaits(_)))
    );
}

#[test]
fn a_recorder_is_hidden_uncounted_and_shown_as_recording() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.outputs();
    let hidden = VideoGrants { hidden: true, recorder: true, ..VideoGrants::default() };
    let recorder = story.join_as("EG_1", hidden, participant_info::Kind::Egress).unwrap();
    assert!(story.room.info().active_recording);
    assert_eq!(story.room.info().num_participants, 1);
    assert_eq!(story.room.participant_infos().len(), 2, "ListParticipants shows it");
    assert!(story.updates_to(&ada).is_empty(), "others are not told");
    story.room.leave(&recorder, DisconnectReason::ClientInitiated, story.now);
    assert!(!story.room.info().active_recording);
    story
        .join_as(
            "EG_2",
            VideoGrants { hidden: true, ..VideoGrants::default() },
            participant_info::Kind::Egress,
        )
        .unwrap();
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    story.pass(Duration::from_secs(21));
    assert_eq!(story.room.end(), Some(RoomEnd::Empty), "a recorder keeps no room open");
}

#[test]
fn a_publisher_decides_who_may_subscribe() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    let nobody = signal_request::Message::SubscriptionPermission(SubscriptionPermission::default());
    story.room.handle_signal(&ada, nobody, story.now);
    let taken =
        |output: &Output| matches!(output, Output::RemoveDownTrack { subscriber, .. } if *subscriber == bob);
    assert!(story.outputs().iter().any(taken));
    let all = SubscriptionPermission { all_participants: true, ..Default::default() };
    story.room.handle_signal(&ada, signal_request::Message::SubscriptionPermission(all), story.now);
    assert_eq!(story.down_tracks()[0].track, track);
}

#[test]
fn data_reaches_those_it_is_for_with_the_senders_true_name() {
    use prost::Message as _;
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    story.outputs();
    let packet = |to: &[&str], sequence| DataPacket {
        participant_identity: "mallory".into(),
        destination_identities: to.iter().map(|name| (*name).to_owned()).collect(),
        sequence,
        value: Some(data_packet::Value::User(UserPacket { payload: b"hi".into(), ..Default::default() })),
        ..Default::default()
    };
    story.room.data(&ada, DataKind::Reliable, &packet(&["bob"], 1).encode_to_vec());
    let outputs = story.outputs();
    let [Output::DataWaits(to)] = outputs else { panic!("{outputs:?}") };
    assert_eq!(to, &bob);
    let bytes = story.room.next_data(&bob).unwrap();
    assert_eq!(DataPacket::decode(bytes.clone()).unwrap().participant_identity, "ada");
    assert_eq!(story.room.next_data(&carol), None);
    story.room.data(&ada, DataKind::Reliable, &packet(&[], 1).encode_to_vec());
    assert!(story.outputs().is_empty(), "a repeated sequence number is a replay");
    story.room.data(&ada, DataKind::Lossy, &packet(&[], 0).encode_to_vec());
    assert_eq!(story.outputs().len(), 2, "to bob and {carol}");
    story.room.data(&ada, DataKind::Lossy, b"\xff\xff");
    assert!(story.outputs().is_empty());
}

#[test]
fn a_full_room_refuses_and_a_closed_one_too() {
    let mut story = Story::with(RoomOptions { max_participants: 1, ..RoomOptions::default() });
    story.join("ada");
    let second = story.join_as("bob", VideoGrants::default(), participant_info::Kind::Standard);
    assert_eq!(second, Err(Refusal::Full));
    story.room.close(RoomEnd::Deleted, story.now);
    let late = story.join_as("bob", VideoGrants::default(), participant_info::Kind::Standard);
    assert_eq!(late, Err(Refusal::Closed));
}

#[test]
fn a_section_that_stops_sending_is_an_unpublished_track() {
    let mut story = Story::new();
    let (ada, _bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Video,
        track_id: String::new(),
        sends: false,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    story.room.sections(&ada, &[section]);
    assert!(story.room.tracks.is_empty(), "{track} is still there");
}

#[test]
fn speakers_are_told_to_everybody() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    for seq in 1..20 {
        let loud = packet(Codec::Opus, seq, Layer::High, story.now.at);
        story.arrives(&track, &PublishedPacket { audio_level_dbov: Some(10), ..loud });
    }
    story.pass(Duration::from_millis(450));
    let told = |output: &Output| match output {
        Output::Broadcast { to, message, .. } if to.contains(&bob) => match message.as_ref() {
            signal_response::Message::SpeakersChanged(changed) => Some(changed.speakers[0].sid.clone()),
            _ => None,
        },
        _ => None,
    };
    assert_eq!(story.outputs().iter().find_map(told), Some(ada.to_string()));
}

#[test]
fn every_answer_names_the_codec_that_was_announced() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Video,
        track_id: "camera".into(),
        sends: true,
        simulcast: true,
        parameter_sets: Vec::new(),
    };
    let codec = proto::SimulcastCodec { codec: "h264".into(), cid: "camera".into(), ..Default::default() };
    let request = AddTrackRequest {
        cid: "camera".into(),
        r#type: TrackType::Video.into(),
        simulcast_codecs: vec![codec],
        ..Default::default()
    };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
    assert_eq!(story.room.publish_codec(&ada, &section), Some(Codec::H264));
    story.room.sections(&ada, std::slice::from_ref(&section));
    assert_eq!(story.room.publish_codec(&ada, &section), Some(Codec::H264), "before media");
    let track = story.room.track_on(&ada, "0").unwrap();
    story.arrives(&track, &packet(Codec::H264, 0, Layer::Low, story.now.at));
    let replaced = Section { track_id: "another camera".into(), ..section };
    assert_eq!(story.room.publish_codec(&ada, &replaced), Some(Codec::H264), "with media");
}

#[test]
fn sound_stays_redundant_when_something_else_is_negotiated() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.publish(&ada, "0", TrackType::Audio, false);
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Audio,
        track_id: "cid-0".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    assert_eq!(story.room.publish_codec(&ada, &section), None, "plain sound would come first with it");
    assert!(story.room.publish_sound(&ada, &section).is_some_and(|sound| sound.is_redundant));
}

#[test]
fn a_track_that_changes_its_codec_goes_on_from_a_keyframe() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let bob = story.join("bob");
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 1, Layer::High, story.now.at)), 1);
    story.pass(Duration::from_secs(2));
    story.outputs();
    let delta = PublishedPacket { payload: &[0x41, 1], ..packet(Codec::H264, 2, Layer::High, story.now.at) };
    assert_eq!(story.arrives(&track, &delta), 0, "nobody can decode it");
    assert!(story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    assert_eq!(story.arrives(&track, &packet(Codec::H264, 3, Layer::High, story.now.at)), 1);
    let told: Vec<_> = story
        .outputs()
        .iter()
        .filter_map(|output| match output {
            Output::Fact(Fact::TrackUnpublished(_)) => Some(None),
            Output::Fact(Fact::TrackPublished { codec, .. }) => Some(Some(*codec)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [None, Some(Codec::H264)]);
    assert_eq!(story.room.tracks[&track].info.mime_type, "video/H264");
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 2, Layer::High, story.now.at)), 0, "late");
    assert_eq!(story.arrives(&track, &packet(Codec::H264, 4, Layer::High, story.now.at)), 1);
    assert_eq!(story.arrives(&track, &packet(Codec::Opus, 5, Layer::High, story.now.at)), 0, "no picture");
}
