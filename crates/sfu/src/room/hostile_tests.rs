//! Participants who ask for too much: of each field of each message too many, too long, too often.

use std::collections::HashMap;

use prost::Message as _;
use rand::Rng as _;
use rand::rngs::StdRng;
use reelroom_limits::signalling::*;
use reelroom_protocol::proto::{
    AddTrackRequest, MuteTrackRequest, ParticipantTracks, RequestResponse, SessionDescription, SignalRequest,
    SimulcastCodec, SubscriptionError, SubscriptionPermission, TrackPermission, TrackSource, TrackType,
    TrickleRequest, UpdateLocalAudioTrack, UpdateLocalVideoTrack, UpdateParticipantMetadata,
    UpdateSubscription, UpdateTrackSettings, UpdateVideoLayers, VideoLayer, request_response,
    signal_request::Message,
};

use super::tests::{Story, packet};
use super::*;
use crate::fuzzing::{Call, signalling};
use crate::track::Section;

/// What somebody was told by `RequestResponse`.
fn refusals(story: &mut Story, to: &ParticipantSid) -> Vec<RequestResponse> {
    let refusal = |output: &Output| match output {
        Output::Signal { to: told, message } if told == to => match message.as_ref() {
            signal_response::Message::RequestResponse(response) => Some(response.clone()),
            _ => None,
        },
        _ => None,
    };
    story.outputs().iter().filter_map(refusal).collect()
}

fn announcement(cid: &str) -> AddTrackRequest {
    AddTrackRequest {
        cid: cid.to_owned(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        ..Default::default()
    }
}

fn is_limit(response: &RequestResponse) -> bool {
    response.reason == i32::from(request_response::Reason::LimitExceeded) && !response.message.is_empty()
}

#[test]
fn codecs_times_layers_are_refused_and_the_client_hears_which_track_it_was() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.outputs();
    let codec = SimulcastCodec { codec: "vp8".into(), ..Default::default() };
    let request = AddTrackRequest {
        layers: vec![VideoLayer::default(); 1000],
        simulcast_codecs: vec![codec; 1000],
        ..announcement("cid-x")
    };
    story.room.handle_signal(&ada, Message::AddTrack(request), story.now);
    let told = refusals(&mut story, &ada);
    assert_eq!(told.len(), 1);
    assert!(is_limit(&told[0]), "{told:?}");
    let Some(request_response::Request::AddTrack(echo)) = &told[0].request else { panic!("{told:?}") };
    assert_eq!((echo.cid.as_str(), echo.simulcast_codecs.len(), echo.layers.len()), ("cid-x", 0, 0));
    assert!(story.updates_to(&bob).is_empty());
    // It goes on.
    story.publish(&ada, "0", TrackType::Video, true);
    assert!(!story.updates_to(&bob).is_empty());
}

#[test]
fn a_participant_has_so_many_tracks_and_not_one_more() {
    let mut story = Story::new();
    let ada = story.join("ada");
    for index in 0..TRACKS {
        story.publish(&ada, &index.to_string(), TrackType::Video, false);
    }
    story.outputs();
    story.room.handle_signal(&ada, Message::AddTrack(announcement("more")), story.now);
    let told = refusals(&mut story, &ada);
    assert!(told.len() == 1 && is_limit(&told[0]), "{told:?}");
    let gone = story.room.track_on(&ada, "0").unwrap();
    story.room.unpublish(&gone);
    story.outputs();
    story.room.handle_signal(&ada, Message::AddTrack(announcement("more")), story.now);
    assert!(refusals(&mut story, &ada).is_empty());
}

#[test]
fn announced_tracks_without_media_are_few_and_publishing_without_end_is_slowed() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let announce = |story: &mut Story, cid: usize| {
        story.outputs();
        story.room.handle_signal(&ada, Message::AddTrack(announcement(&cid.to_string())), story.now);
        refusals(story, &ada)
    };
    for cid in 0..PENDING_TRACKS {
        assert!(announce(&mut story, cid).is_empty());
    }
    assert!(is_limit(&announce(&mut story, PENDING_TRACKS)[0]));
    // One that is announced again takes no second place, but a turn.
    let again = (0..1000).find(|_| !announce(&mut story, 0).is_empty()).unwrap();
    assert_eq!(again, PUBLISH_BURST as usize - PENDING_TRACKS);
    story.pass(PUBLISH_EVERY);
    assert!(announce(&mut story, 0).is_empty());
    assert!(is_limit(&announce(&mut story, 0)[0]));
}

#[test]
fn subscriptions_to_tracks_that_are_not_there_are_few_wait_for_them_and_are_given_up() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let ids = |from: usize, count: usize| (from..from + count).map(|index| format!("TR_{index}")).collect();
    let subscribe = |story: &mut Story, track_sids: Vec<String>| {
        story.outputs();
        let request = UpdateSubscription { track_sids, subscribe: true, ..Default::default() };
        story.room.handle_signal(&bob, Message::Subscription(request), story.now);
        refusals(story, &bob)
    };
    assert!(subscribe(&mut story, ids(0, AWAITED_TRACKS)).is_empty());
    assert!(subscribe(&mut story, ids(0, AWAITED_TRACKS)).is_empty(), "they are known");
    let told = subscribe(&mut story, ids(100, 2000));
    assert!(told.len() == 1 && is_limit(&told[0]) && told[0].message.contains("2000"), "{told:?}");
    story.outputs();
    story.pass(AWAITED_FOR + Duration::from_secs(1));
    let not_found = |output: &&Output| match output {
        Output::Signal { to, message } if *to == bob => matches!(message.as_ref(),
            signal_response::Message::SubscriptionResponse(response)
                if response.err == i32::from(SubscriptionError::SeTrackNotfound)),
        _ => false,
    };
    assert_eq!(story.outputs().iter().filter(not_found).count(), AWAITED_TRACKS);
    // What is announced and not there yet may be refused before it comes.
    story.room.handle_signal(&ada, Message::AddTrack(announcement("cid-0")), story.now);
    let pending = story.room.participants[&ada].pending[0].info.sid.clone();
    let request = UpdateSubscription { track_sids: vec![pending], subscribe: false, ..Default::default() };
    story.room.handle_signal(&bob, Message::Subscription(request), story.now);
    let section = Section {
        mid: "0".into(),
        kind: TrackType::Video,
        track_id: "cid-0".into(),
        sends: true,
        simulcast: false,
        parameter_sets: Vec::new(),
    };
    story.room.sections(&ada, &[section]);
    let track = story.room.track_on(&ada, "0").unwrap();
    story.arrives(&track, &packet(Codec::Vp8, 0, Layer::High, story.now.at));
    assert!(story.down_tracks().is_empty(), "it was refused before it came");
    assert!(story.room.participants[&bob].awaited.is_empty());
}

#[test]
fn what_is_chosen_of_a_track_ends_with_it() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    for round in 0..200 {
        let track = story.publish(&ada, "0", TrackType::Video, false);
        let track_sids = vec![track.to_string()];
        let settings = UpdateTrackSettings { track_sids: track_sids.clone(), ..Default::default() };
        story.room.handle_signal(&bob, Message::TrackSetting(settings), story.now);
        let request = UpdateSubscription { track_sids, subscribe: round % 2 == 0, ..Default::default() };
        story.room.handle_signal(&bob, Message::Subscription(request), story.now);
        story.room.unpublish(&track);
        story.pass(PUBLISH_EVERY);
    }
    let participant = &story.room.participants[&bob];
    assert_eq!(
        (participant.wanted.len(), participant.refused.len(), participant.early_settings.len()),
        (0, 0, 0)
    );
}

#[test]
fn permissions_are_few_and_a_list_that_is_too_long_changes_nothing() {
    let mut story = Story::new();
    let (ada, _bob) = (story.join("ada"), story.join("bob"));
    story.publish(&ada, "0", TrackType::Video, false);
    assert_eq!(story.down_tracks().len(), 1);
    let entry = |name: &str| TrackPermission { participant_identity: name.into(), ..Default::default() };
    let list = |entries| SubscriptionPermission { all_participants: false, track_permissions: entries };
    let too_many = (0..=SUBSCRIPTION_PERMISSIONS).map(|index| entry(&format!("p{index}"))).collect();
    let too_long = vec![entry(&"x".repeat(ID_BYTES + 1))];
    let tracks = vec![TrackPermission { track_sids: vec!["TR_x".into(); 100], ..entry("bob") }];
    for said in [too_many, too_long, tracks] {
        story.outputs();
        story.room.handle_signal(&ada, Message::SubscriptionPermission(list(said)), story.now);
        let told = refusals(&mut story, &ada);
        assert!(told.len() == 1 && is_limit(&told[0]), "{told:?}");
        assert!(story.room.participants[&ada].permission.is_none());
    }
}

#[test]
fn tracks_that_are_taken_away_and_given_back_without_end_wear_nobody_out() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    for mid in 0..4 {
        story.publish(&ada, &mid.to_string(), TrackType::Video, false);
    }
    story.outputs();
    let set = |story: &mut Story, all_participants| {
        let list = SubscriptionPermission { all_participants, track_permissions: Vec::new() };
        story.room.handle_signal(&ada, Message::SubscriptionPermission(list), story.now);
    };
    let (mut given, mut refused) = (0, 0);
    for _ in 0..100 {
        set(&mut story, false);
        set(&mut story, true);
        let (mut new, mut told) = (0, 0);
        for output in story.outputs() {
            match output {
                Output::AddDownTrack(spec) => new += usize::from(spec.subscriber == bob),
                Output::Signal { to, message } if *to == ada => {
                    if let signal_response::Message::RequestResponse(response) = message.as_ref() {
                        assert!(is_limit(response), "{response:?}");
                        told += 1;
                    }
                }
                _ => {}
            }
        }
        given += new;
        refused += told;
    }
    assert_eq!((given, refused), (PERMIT_BURST as usize, 100 - PERMIT_BURST as usize / 4));
    story.pass(PERMIT_EVERY * 4);
    set(&mut story, true);
    assert_eq!(story.down_tracks().len(), 4, "later it may go on");
}

#[test]
fn attributes_that_grow_message_by_message_end_at_their_bound() {
    let mut story = Story::new();
    let ada = story.join_as(
        "ada",
        reelroom_protocol::token::VideoGrants { can_update_own_metadata: Some(true), ..Default::default() },
        participant_info::Kind::Standard,
    );
    let ada = ada.unwrap();
    let update = |story: &mut Story, request: UpdateParticipantMetadata| {
        story.outputs();
        story.room.handle_signal(&ada, Message::UpdateMetadata(request), story.now);
        let told = refusals(story, &ada);
        assert_eq!(told.len(), 1);
        is_limit(&told[0])
    };
    let attributes = |range: std::ops::Range<usize>, value: &str| UpdateParticipantMetadata {
        attributes: range.map(|index| (format!("key {index}"), value.to_owned())).collect(),
        ..Default::default()
    };
    assert!(!update(&mut story, attributes(0..ATTRIBUTES, "x")));
    assert!(update(&mut story, attributes(ATTRIBUTES..ATTRIBUTES + 1, "x")), "one more");
    assert!(!update(&mut story, attributes(0..10, "")), "fewer");
    assert!(!update(&mut story, attributes(ATTRIBUTES..ATTRIBUTES + 1, "x")));
    assert!(update(&mut story, attributes(20..22, &"x".repeat(ATTRIBUTES_BYTES / 2))), "too long together");
    let of = |key: &str| HashMap::from([(key.to_owned(), "x".to_owned())]);
    for request in [
        UpdateParticipantMetadata { metadata: "x".repeat(OWN_METADATA_BYTES + 1), ..Default::default() },
        UpdateParticipantMetadata { name: "x".repeat(NAME_BYTES + 1), ..Default::default() },
        UpdateParticipantMetadata {
            attributes: of(&"x".repeat(ATTRIBUTE_NAME_BYTES + 1)),
            ..Default::default()
        },
    ] {
        assert!(update(&mut story, request));
    }
}

#[test]
fn a_room_is_full_whatever_it_asks_for_itself() {
    for (asked, at_most, expected) in [(0, 3, 3), (2, 3, 2), (9, 3, 3)] {
        let mut story = Story::with(RoomOptions {
            max_participants: asked,
            participants_at_most: at_most,
            ..RoomOptions::default()
        });
        let here = (0..9)
            .take_while(|index| {
                let joined =
                    story.join_as(&index.to_string(), Default::default(), participant_info::Kind::Standard);
                joined.is_ok()
            })
            .count();
        assert_eq!(here, expected);
    }
}

/// A message of any kind with each of its fields too large in some way.
fn exaggerated(rng: &mut StdRng, tracks: &[String]) -> Message {
    let text = |rng: &mut StdRng| "x".repeat(*pick(rng, &[0, 1, 20, 300, 5_000, 70_000]));
    let ids =
        |rng: &mut StdRng| -> Vec<String> {
            let count = *pick(rng, &[0, 1, 3, 100, 3000]);
            (0..count)
                .map(|_| {
                    if rng.random() {
                        pick(rng, tracks).clone()
                    } else {
                        format!("TR_{}", rng.random::<u16>())
                    }
                })
                .collect()
        };
    let layers = |rng: &mut StdRng| {
        let layer = VideoLayer {
            quality: rng.random_range(-1..5),
            width: rng.random(),
            rid: "r".repeat(*pick(rng, &[0, 1, 300])),
            ..Default::default()
        };
        vec![layer; *pick(rng, &[0, 1, 3, 4, 5, 200])]
    };
    let sid = |rng: &mut StdRng| pick(rng, tracks).clone();
    match rng.random_range(0..13) {
        0 => Message::Offer(SessionDescription { sdp: text(rng), ..Default::default() }),
        1 => Message::Trickle(TrickleRequest { candidate_init: text(rng), ..Default::default() }),
        2..5 => {
            let codecs = *pick(rng, &[0, 1, 2, 4, 5, 100]);
            let codec = |rng: &mut StdRng| SimulcastCodec {
                codec: (*pick(rng, &["vp8", "h264", "x"])).to_owned(),
                cid: "c".repeat(*pick(rng, &[0, 3, 300])),
                layers: layers(rng),
                ..Default::default()
            };
            Message::AddTrack(AddTrackRequest {
                cid: "c".repeat(*pick(rng, &[1, 2, 3, 4, 300])),
                name: "n".repeat(*pick(rng, &[0, 10, 256, 257])),
                r#type: rng.random_range(-1..3),
                source: rng.random_range(-1..6),
                layers: layers(rng),
                simulcast_codecs: (0..codecs).map(|_| codec(rng)).collect(),
                stream: "s".repeat(*pick(rng, &[0, 256, 257])),
                audio_features: (0..*pick(rng, &[0, 3, 1000])).map(|_| rng.random_range(0..20)).collect(),
                packet_trailer_features: vec![1; *pick(rng, &[0, 1000])],
                ..Default::default()
            })
        }
        5 => Message::Mute(MuteTrackRequest { sid: sid(rng), muted: rng.random() }),
        6 => {
            let of_participant =
                |rng: &mut StdRng| ParticipantTracks { track_sids: ids(rng), ..Default::default() };
            let participants = *pick(rng, &[0, 1, 2]);
            Message::Subscription(UpdateSubscription {
                track_sids: ids(rng),
                subscribe: rng.random(),
                participant_tracks: (0..participants).map(|_| of_participant(rng)).collect(),
            })
        }
        7 => Message::TrackSetting(UpdateTrackSettings {
            track_sids: ids(rng),
            width: rng.random(),
            height: rng.random(),
            ..Default::default()
        }),
        8 => Message::UpdateLayers(UpdateVideoLayers { track_sid: sid(rng), layers: layers(rng) }),
        9 => {
            let entry = |rng: &mut StdRng| TrackPermission {
                participant_identity: format!("person {}", rng.random_range(0..2000)),
                participant_sid: "p".repeat(*pick(rng, &[0, 10, 300])),
                all_tracks: rng.random(),
                track_sids: if rng.random_ratio(1, 50) { ids(rng) } else { Vec::new() },
            };
            let entries = *pick(rng, &[0, 1, 100, 1000, 1100]);
            Message::SubscriptionPermission(SubscriptionPermission {
                all_participants: rng.random(),
                track_permissions: (0..entries).map(|_| entry(rng)).collect(),
            })
        }
        10 => {
            let attributes = *pick(rng, &[0, 1, 300, 600]);
            let pair = |rng: &mut StdRng| {
                (
                    format!("{}{}", "k".repeat(*pick(rng, &[0, 250, 300])), rng.random::<u16>()),
                    "v".repeat(*pick(rng, &[0, 9, 200])),
                )
            };
            Message::UpdateMetadata(UpdateParticipantMetadata {
                metadata: text(rng),
                name: "n".repeat(*pick(rng, &[0, 256, 257])),
                attributes: (0..attributes).map(|_| pair(rng)).collect(),
                request_id: rng.random(),
            })
        }
        11 => Message::UpdateAudioTrack(UpdateLocalAudioTrack {
            track_sid: sid(rng),
            features: (0..*pick(rng, &[0, 5, 5000])).map(|_| rng.random_range(0..30)).collect(),
        }),
        _ => Message::UpdateVideoTrack(UpdateLocalVideoTrack {
            track_sid: sid(rng),
            width: rng.random(),
            height: 1,
        }),
    }
}

fn pick<'a, T>(rng: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

#[test]
fn whatever_is_asked_for_too_much_of_a_room_keeps_little_and_says_little() {
    for seed in [1, 2, 3, 11, 2026] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut call = Call::new();
        let mut refused = 0;
        for _ in 0..1500 {
            let mut tracks: Vec<String> = call.room.tracks.keys().map(ToString::to_string).collect();
            tracks.push("TR_none".to_owned());
            let message = SignalRequest { message: Some(exaggerated(&mut rng, &tracks)) }.encode_to_vec();
            refused += usize::from(crate::door::Said::read(&message.clone().into()).is_err());
            call.says(rng.random(), &message);
        }
        call.end();
        assert!(refused > 10, "the door refuses some: {refused}");
        assert!(!call.room.tracks.is_empty(), "tracks come through");
    }
}

#[test]
fn mutated_messages_break_nothing() {
    for seed in [4, 5, 6] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut story = Vec::new();
        for _ in 0..300 {
            let tracks = ["TR_none".to_owned()];
            let mut message = SignalRequest { message: Some(exaggerated(&mut rng, &tracks)) }.encode_to_vec();
            message.truncate(2000);
            for _ in 0..rng.random_range(0..4) {
                let at = rng.random_range(0..message.len());
                match rng.random_range(0..3) {
                    0 => message[at] = rng.random(),
                    1 => message.truncate(at + 1),
                    _ => message.extend_from_within(at..),
                }
            }
            story.push(rng.random::<u8>());
            story.extend((message.len() as u16).to_be_bytes());
            story.extend(message);
        }
        signalling(&story);
    }
}
