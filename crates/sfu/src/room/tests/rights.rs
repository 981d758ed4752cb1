//! What somebody may not do they do by no other message either, and what was taken from them does not come back.

use prost::Message as _;
use reelroom_protocol::proto::{
    ChatMessage, EncryptedPacket, RpcRequest, RpcResponse, TrackPermission, UpdateLocalVideoTrack,
    UpdateParticipantMetadata, UpdateSubscription, UpdateVideoLayers, data_stream,
};

use super::*;
use crate::standing::Standing;

/// Somebody who may do what a link grants: these sources, and data or not.
fn granted(sources: &[&str], data: bool) -> VideoGrants {
    VideoGrants {
        room_join: true,
        can_publish: Some(!sources.is_empty()),
        can_publish_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        can_publish_data: Some(data),
        can_subscribe: Some(true),
        can_update_own_metadata: Some(false),
        ..VideoGrants::default()
    }
}

fn everything() -> VideoGrants {
    granted(&["camera", "microphone", "screen_share", "screen_share_audio"], true)
}

fn guest(story: &mut Story, name: &str, grants: VideoGrants) -> ParticipantSid {
    let joining = Story::joining(name, grants, participant_info::Kind::Standard);
    story.join_with(Joining { ticket: format!("TK_{name}").as_str().into(), ..joining }).unwrap()
}

/// Of each kind that clients make of data: user packets, chat, RPC, streams, and what is sealed.
fn every_kind() -> Vec<data_packet::Value> {
    use data_packet::Value;
    vec![
        Value::User(UserPacket { payload: b"hi".into(), ..Default::default() }),
        Value::ChatMessage(ChatMessage { message: "hi".into(), ..Default::default() }),
        Value::RpcRequest(RpcRequest { method: "do".into(), ..Default::default() }),
        Value::RpcResponse(RpcResponse::default()),
        Value::StreamHeader(data_stream::Header { stream_id: "a".into(), ..Default::default() }),
        Value::StreamChunk(data_stream::Chunk { stream_id: "a".into(), ..Default::default() }),
        Value::StreamTrailer(data_stream::Trailer { stream_id: "a".into(), ..Default::default() }),
        Value::EncryptedPacket(EncryptedPacket::default()),
    ]
}

/// How many packets of all kinds, each sent reliably and not, reach somebody else.
fn arrived(story: &mut Story, from: &ParticipantSid) -> usize {
    let mut count = 0;
    for (kind, value) in [DataKind::Reliable, DataKind::Lossy]
        .into_iter()
        .flat_map(|kind| every_kind().into_iter().map(move |value| (kind, value)))
    {
        story.outputs();
        let packet = DataPacket { value: Some(value), ..Default::default() };
        story.room.data(from, kind, &packet.encode_to_vec());
        let is_data = |output: &&Output| matches!(output, Output::Data { .. } | Output::DataWaits(_));
        count += story.outputs().iter().filter(is_data).count();
    }
    count
}

fn refusals(story: &mut Story, to: &ParticipantSid) -> Vec<i32> {
    let reason = |output: &Output| match output {
        Output::Signal { to: told, message } if told == to => match &**message {
            signal_response::Message::RequestResponse(response) => Some(response.reason),
            _ => None,
        },
        _ => None,
    };
    story.outputs().iter().filter_map(reason).collect()
}

fn announce(story: &mut Story, sid: &ParticipantSid, kind: TrackType, source: TrackSource) {
    let request = AddTrackRequest {
        cid: "cid-0".into(),
        r#type: kind.into(),
        source: source.into(),
        ..Default::default()
    };
    story.room.handle_signal(sid, signal_request::Message::AddTrack(request), story.now);
}

fn section(kind: TrackType) -> Section {
    Section {
        mid: "0".into(),
        kind,
        track_id: "cid-0".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    }
}

#[test]
fn whoever_may_not_chat_sends_no_data_of_any_kind_reliably_or_not() {
    let mut story = Story::new();
    let eve = guest(&mut story, "eve", granted(&["camera"], false));
    let ada = guest(&mut story, "ada", granted(&[], true));
    assert_eq!(arrived(&mut story, &eve), 0);
    assert_eq!(arrived(&mut story, &ada), 2 * every_kind().len(), "each of them is one that arrives");
    let only_camera = granted(&["camera"], false);
    story.room.recheck(|_| Standing::AtMost(Box::new(only_camera.clone())), story.now);
    assert_eq!(arrived(&mut story, &ada), 0, "it is taken from who is in");
    story.room.recheck(|_| Standing::AtMost(Box::new(everything())), story.now);
    assert_eq!(arrived(&mut story, &ada), 0);
}

#[test]
fn a_source_is_announced_with_its_right_and_is_no_other_one_later() {
    for (right, kind, source) in [
        ("camera", TrackType::Video, TrackSource::Camera),
        ("microphone", TrackType::Audio, TrackSource::Microphone),
        ("screen_share", TrackType::Video, TrackSource::ScreenShare),
        ("screen_share_audio", TrackType::Audio, TrackSource::ScreenShareAudio),
    ] {
        let mut story = Story::new();
        let ada = guest(&mut story, "ada", granted(&[right], false));
        let not_allowed = i32::from(reelroom_protocol::proto::request_response::Reason::NotAllowed);
        for (other_kind, other) in [
            (TrackType::Video, TrackSource::Camera),
            (TrackType::Audio, TrackSource::Microphone),
            (TrackType::Video, TrackSource::ScreenShare),
            (TrackType::Audio, TrackSource::ScreenShareAudio),
            (TrackType::Video, TrackSource::Unknown),
            (TrackType::Audio, TrackSource::Unknown),
        ] {
            if other == source {
                continue;
            }
            story.outputs();
            announce(&mut story, &ada, other_kind, other);
            assert_eq!(refusals(&mut story, &ada), [not_allowed], "{other:?} with a right to {right}");
            story.room.sections(&ada, &[section(other_kind)]);
            assert_eq!(story.room.track_on(&ada, "0"), None, "{other:?} with a right to {right}");
        }
        announce(&mut story, &ada, kind, source);
        let other_kind = if kind == TrackType::Video { TrackType::Audio } else { TrackType::Video };
        story.room.sections(&ada, &[section(other_kind)]);
        assert_eq!(story.room.track_on(&ada, "0"), None, "a {other_kind:?} is not what was announced");
        story.room.sections(&ada, &[section(kind)]);
        let track = story.room.track_on(&ada, "0").expect("it is what was announced");
        // It is announced as another source once more, and described anew.
        let other =
            if source == TrackSource::Camera { TrackSource::ScreenShare } else { TrackSource::Camera };
        announce(&mut story, &ada, TrackType::Video, other);
        let video = UpdateLocalVideoTrack { track_sid: track.to_string(), width: 9, height: 9 };
        story.room.handle_signal(&ada, signal_request::Message::UpdateVideoTrack(video), story.now);
        let layers = UpdateVideoLayers { track_sid: track.to_string(), ..Default::default() };
        story.room.handle_signal(&ada, signal_request::Message::UpdateLayers(layers), story.now);
        story.room.sections(&ada, &[section(kind)]);
        assert_eq!(story.room.tracks[&track].info.source, i32::from(source), "with a right to {right}");
        assert_eq!(story.room.participants[&ada].published, [track]);
    }
}

#[test]
fn a_right_that_is_taken_ends_the_track_and_what_is_sent_on_is_nobodys() {
    let mut story = Story::new();
    let ada = guest(&mut story, "ada", everything());
    let bob = guest(&mut story, "bob", granted(&[], false));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    let at = story.now.at;
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 1, Layer::High, at)), 1);
    let only_sound = granted(&["microphone"], false);
    story.room.recheck(|_| Standing::AtMost(Box::new(only_sound.clone())), story.now);
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 2, Layer::High, at)), 0);
    assert!(!story.room.tracks.contains_key(&track));
    // Its section goes on sending, and is announced again.
    for _ in 0..2 {
        story.room.sections(&ada, &[section(TrackType::Video)]);
        assert_eq!(story.room.track_on(&ada, "0"), None);
        announce(&mut story, &ada, TrackType::Video, TrackSource::Camera);
    }
    // So is whoever comes again, by the token of before.
    let again = guest(&mut story, "ada", everything());
    announce(&mut story, &again, TrackType::Video, TrackSource::Camera);
    story.room.sections(&again, &[section(TrackType::Video)]);
    assert_eq!(story.room.track_on(&again, "0"), None);
}

#[test]
fn whoever_says_who_may_subscribe_says_it_of_their_own_tracks_alone() {
    let mut story = Story::new();
    let ada = guest(&mut story, "ada", everything());
    let (bob, eve) = (guest(&mut story, "bob", granted(&[], false)), guest(&mut story, "eve", everything()));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    let permit = |all_participants, track_permissions| {
        let said = SubscriptionPermission { all_participants, track_permissions };
        signal_request::Message::SubscriptionPermission(said)
    };
    let of = |identity: &str| TrackPermission {
        participant_identity: identity.into(),
        all_tracks: true,
        track_sids: vec![track.to_string()],
        ..Default::default()
    };
    // Eve keeps nobody from Ada's track.
    story.room.handle_signal(&eve, permit(false, Vec::new()), story.now);
    let is_removed = |output: &Output| matches!(output, Output::RemoveDownTrack { .. });
    assert!(!story.outputs().iter().any(is_removed));
    // Ada lets Bob hear it, and Eve lets herself.
    story.room.handle_signal(&ada, permit(false, vec![of("bob")]), story.now);
    let is_hers =
        |output: &Output| matches!(output, Output::RemoveDownTrack { subscriber, .. } if *subscriber == eve);
    assert!(story.outputs().iter().any(is_hers));
    story.room.handle_signal(&eve, permit(true, vec![of("eve"), of("bob")]), story.now);
    let wants =
        UpdateSubscription { track_sids: vec![track.to_string()], subscribe: true, ..Default::default() };
    story.room.handle_signal(&eve, signal_request::Message::Subscription(wants), story.now);
    assert!(story.down_tracks().is_empty());
    let subscribers: Vec<_> = story.room.tracks[&track].down.keys().collect();
    assert_eq!(subscribers, [&bob]);
}

#[test]
fn whoever_may_not_describe_themselves_stays_who_they_were_let_in_as() {
    let mut story = Story::new();
    let eve = guest(&mut story, "eve", granted(&["camera"], true));
    let before = story.room.participant_info(&eve).unwrap();
    for said in [
        UpdateParticipantMetadata { metadata: r#"{"role":"host"}"#.into(), ..Default::default() },
        UpdateParticipantMetadata { name: "Ada (host)".into(), ..Default::default() },
        UpdateParticipantMetadata {
            attributes: [("role".to_owned(), "host".to_owned())].into(),
            ..Default::default()
        },
    ] {
        story.outputs();
        story.room.handle_signal(&eve, signal_request::Message::UpdateMetadata(said), story.now);
        assert_eq!(refusals(&mut story, &eve).len(), 1);
    }
    assert_eq!(story.room.participant_info(&eve).unwrap(), before);
}
