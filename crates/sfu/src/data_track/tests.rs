use std::collections::BTreeSet;

use reelroom_protocol::proto::{
    ParticipantPermission, SubscriptionPermission, UpdateParticipantRequest, participant_info,
    signal_request, update_data_subscription,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::output::DataKind;
use crate::room::tests::Story;

fn request(handle: u32, name: &str) -> PublishDataTrackRequest {
    PublishDataTrackRequest { pub_handle: handle, name: name.to_owned(), ..Default::default() }
}

/// What somebody is told at a message of theirs.
fn told(
    story: &mut Story,
    from: &ParticipantSid,
    message: signal_request::Message,
) -> Vec<signal_response::Message> {
    story.outputs();
    story.room.handle_signal(from, message, story.now);
    signals_to(story, from)
}

fn publish(
    story: &mut Story,
    from: &ParticipantSid,
    request: PublishDataTrackRequest,
) -> Result<String, i32> {
    match &told(story, from, signal_request::Message::PublishDataTrackRequest(request))[..] {
        [signal_response::Message::PublishDataTrackResponse(response)] => {
            Ok(response.info.clone().unwrap().sid)
        }
        [signal_response::Message::RequestResponse(response)] => {
            assert!(!response.message.is_empty() && response.request.is_some());
            Err(response.reason)
        }
        other => panic!("{other:?}"),
    }
}

fn subscription(tracks: &[&str], subscribe: bool) -> signal_request::Message {
    let update = |sid: &&str| update_data_subscription::Update {
        track_sid: (*sid).to_owned(),
        subscribe,
        options: None,
    };
    let updates = tracks.iter().map(update).collect();
    signal_request::Message::UpdateDataSubscription(UpdateDataSubscription { updates })
}

/// The handles that somebody was told last.
fn handles(told: &[signal_response::Message]) -> Option<BTreeMap<u32, String>> {
    told.iter().rev().find_map(|message| match message {
        signal_response::Message::DataTrackSubscriberHandles(told) => {
            Some(told.sub_handles.iter().map(|(handle, track)| (*handle, track.track_sid.clone())).collect())
        }
        _ => None,
    })
}

/// What somebody alone is told.
fn signals_to(story: &mut Story, whom: &ParticipantSid) -> Vec<signal_response::Message> {
    let to_them = |output: &Output| match output {
        Output::Signal { to, message } if to == whom => Some((**message).clone()),
        Output::Broadcast { to, message, about: Some(About::DataTrackHandles) } if to.contains(whom) => {
            Some((**message).clone())
        }
        _ => None,
    };
    story.outputs().iter().filter_map(to_them).collect()
}

fn packet(handle: u16) -> Vec<u8> {
    let mut packet = vec![0b0001_1100, 0, 0, 0, 0, 7, 0, 9, 1, 2, 3, 4, 0, 0, 1, 1, 5, 0];
    packet[HANDLE].copy_from_slice(&handle.to_be_bytes());
    packet
}

/// Who gets a packet of a track, and the packet.
fn sent(story: &mut Story, from: &ParticipantSid, packet: &[u8]) -> Vec<(ParticipantSid, Vec<u8>)> {
    story.outputs();
    story.room.data(from, DataKind::Track, packet);
    let of_track = |output: &Output| match output {
        Output::DataTrackPacket { to, bytes } => Some((to.clone(), bytes.to_vec())),
        _ => None,
    };
    story.outputs().iter().filter_map(of_track).collect()
}

#[test]
fn a_track_is_announced_chosen_and_its_packets_come_with_the_subscribers_handle() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let track = publish(&mut story, &ada, request(40, "position")).unwrap();
    assert!(track.starts_with("DTR_"));
    let info = story.room.participant_info(&ada).unwrap();
    assert_eq!((info.data_tracks.len(), info.data_tracks[0].name.as_str()), (1, "position"));
    assert!(info.is_publisher);
    assert!(sent(&mut story, &ada, &packet(40)).is_empty(), "nobody has chosen it");
    let told = told(&mut story, &bob, subscription(&[&track], true));
    let handle = *handles(&told).unwrap().iter().find(|(_, sid)| **sid == track).unwrap().0;
    let got = sent(&mut story, &ada, &packet(40));
    assert_eq!(got, [(bob.clone(), packet(handle as u16))], "nothing else is changed");
    assert!(sent(&mut story, &ada, &packet(41)).is_empty(), "no track of hers");
    assert!(sent(&mut story, &bob, &packet(40)).is_empty(), "no track of his");
    let long = [packet(40), vec![0; DATA_TRACK_PACKET_BYTES]].concat();
    for wrong in [&packet(40)[..11], &[][..], &[0xff; 20][..], &packet(0)[..], &long[..]] {
        assert!(sent(&mut story, &ada, wrong).is_empty());
    }
    let told = self::told(&mut story, &bob, subscription(&[&track], false));
    assert_eq!(handles(&told), Some(BTreeMap::new()));
    assert!(sent(&mut story, &ada, &packet(40)).is_empty());
    // Whoever chose a track before it was there gets it then.
    let unknown = "DTR_unknown";
    assert_eq!(
        handles(&self::told(&mut story, &carol, subscription(&[unknown], true))),
        Some(BTreeMap::new())
    );
}

#[test]
fn a_track_ends_by_its_publisher_and_with_it() {
    use reelroom_protocol::proto::DisconnectReason;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = publish(&mut story, &ada, request(1, "a")).unwrap();
    let other = publish(&mut story, &ada, request(2, "b")).unwrap();
    told(&mut story, &bob, subscription(&[&track, &other], true));
    let end = |handle| {
        signal_request::Message::UnpublishDataTrackRequest(UnpublishDataTrackRequest { pub_handle: handle })
    };
    story.outputs();
    story.room.handle_signal(&ada, end(1), story.now);
    assert_eq!(handles(&signals_to(&mut story, &bob)).unwrap().len(), 1);
    let again = told(&mut story, &ada, end(1));
    assert!(matches!(&again[..], [signal_response::Message::RequestResponse(_)]));
    publish(&mut story, &ada, request(1, "a")).expect("its handle and its name are free");
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    assert_eq!(handles(&signals_to(&mut story, &bob)), Some(BTreeMap::new()));
    assert!(story.room.data_tracks.is_empty());
    story.pass(Duration::from_secs(1));
}

#[test]
fn whoever_gets_many_tracks_of_somebody_who_goes_is_told_once() {
    use reelroom_protocol::proto::DisconnectReason;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let tracks: Vec<_> = (1..=DATA_TRACKS as u32)
        .map(|handle| publish(&mut story, &ada, request(handle, &handle.to_string())).unwrap())
        .collect();
    let tracks: Vec<_> = tracks.iter().map(String::as_str).collect();
    told(&mut story, &bob, subscription(&tracks, true));
    story.outputs();
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    let told = signals_to(&mut story, &bob);
    assert_eq!((told.len(), handles(&told)), (1, Some(BTreeMap::new())));
}

#[test]
fn what_a_track_may_not_be_is_refused_in_words() {
    use request_response::Reason;
    let mut story = Story::new();
    let ada = story.join("ada");
    let grants = VideoGrants { can_publish_data: Some(false), ..VideoGrants::default() };
    let mute = story.join_as("mute", grants, participant_info::Kind::Standard).unwrap();
    publish(&mut story, &ada, request(1, "a")).unwrap();
    let custom = data_track_frame_encoding::Value::Custom("x".repeat(DATA_ENCODING_BYTES + 1));
    let encoded = PublishDataTrackRequest {
        frame_encoding: Some(DataTrackFrameEncoding { value: Some(custom) }),
        ..request(2, "b")
    };
    let schema = PublishDataTrackRequest { schema: Some(DataTrackSchemaId::default()), ..request(2, "b") };
    for (who, request, reason) in [
        (&mute, request(1, "a"), Reason::NotAllowed),
        (&ada, request(0, "b"), Reason::InvalidHandle),
        (&ada, request(65_536, "b"), Reason::InvalidHandle),
        (&ada, request(2, ""), Reason::InvalidName),
        (&ada, request(2, &"x".repeat(NAME_BYTES + 1)), Reason::InvalidName),
        (&ada, request(1, "b"), Reason::DuplicateHandle),
        (&ada, request(2, "a"), Reason::DuplicateName),
        (&ada, encoded, Reason::InvalidRequest),
        (&ada, schema, Reason::InvalidRequest),
    ] {
        assert_eq!(publish(&mut story, who, request), Err(reason.into()), "{reason:?}");
    }
    let mut published = 1;
    for handle in 2..200 {
        story.pass(Duration::from_secs(10));
        match publish(&mut story, &ada, request(handle, &handle.to_string())) {
            Ok(_) => published += 1,
            Err(reason) => assert_eq!(reason, i32::from(Reason::LimitExceeded)),
        }
    }
    assert_eq!(published, DATA_TRACKS);
}

#[test]
fn rights_hold_for_the_next_packet_and_handles_follow() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = publish(&mut story, &ada, request(1, "a")).unwrap();
    told(&mut story, &bob, subscription(&[&track], true));
    let arrives = |story: &mut Story| !sent(story, &ada, &packet(1)).is_empty();
    assert!(arrives(&mut story));
    let may = |story: &mut Story, subscribe, data| {
        let permission = ParticipantPermission {
            can_subscribe: subscribe,
            can_publish: true,
            can_publish_data: data,
            ..Default::default()
        };
        let whom = if data { &bob } else { &ada };
        let request = UpdateParticipantRequest { permission: Some(permission), ..Default::default() };
        story.room.update_participant(whom, &request, story.now).unwrap();
    };
    may(&mut story, false, true);
    assert!(!arrives(&mut story), "bob may not subscribe");
    story.pass(Duration::from_millis(300));
    assert_eq!(handles(&signals_to(&mut story, &bob)), Some(BTreeMap::new()));
    may(&mut story, true, true);
    story.pass(Duration::from_millis(300));
    assert!(arrives(&mut story), "he may again");
    let permit = |all_participants| {
        signal_request::Message::SubscriptionPermission(SubscriptionPermission {
            all_participants,
            track_permissions: Vec::new(),
        })
    };
    story.room.handle_signal(&ada, permit(false), story.now);
    assert!(!arrives(&mut story), "ada does not let him");
    story.room.handle_signal(&ada, permit(true), story.now);
    story.pass(Duration::from_millis(300));
    assert!(arrives(&mut story));
    may(&mut story, true, false);
    assert!(!arrives(&mut story), "ada may send no data");
    story.pass(Duration::from_millis(300));
    assert!(story.room.participant_info(&ada).unwrap().data_tracks.is_empty());
}

#[test]
fn whoever_asked_for_all_gets_all_and_may_do_without_one() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let before = publish(&mut story, &ada, request(1, "before")).unwrap();
    let bob = story.join("bob");
    story.outputs();
    story.room.subscribe_to_all_data_tracks(&bob, story.now);
    assert_eq!(handles(&signals_to(&mut story, &bob)).unwrap().len(), 1);
    publish(&mut story, &ada, request(2, "after")).unwrap();
    assert_eq!(sent(&mut story, &ada, &packet(2)).len(), 1);
    let told = told(&mut story, &bob, subscription(&[&before], false));
    assert_eq!(handles(&told).unwrap().len(), 1);
    story.pass(Duration::from_secs(1));
    assert!(sent(&mut story, &ada, &packet(1)).is_empty());
}

#[test]
fn subscriptions_are_bounded_handles_differ_and_what_never_comes_is_forgotten() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let many: Vec<_> = (0..2 * DATA_SUBSCRIPTIONS).map(|index| format!("DTR_{index}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let answer = told(&mut story, &bob, subscription(&many, true));
    let is_told = |message: &signal_response::Message| matches!(message, signal_response::Message::RequestResponse(response) if response.message.contains("512"));
    assert!(answer.iter().any(is_told), "{answer:?}");
    assert_eq!(story.room.participants[&bob].data_tracks.wanted.len(), DATA_SUBSCRIPTIONS);
    story.pass(AWAITED_FOR + Duration::from_secs(1));
    assert!(story.room.participants[&bob].data_tracks.wanted.is_empty());
    let mut known = BTreeSet::new();
    for handle in 1..=20 {
        let track = publish(&mut story, &ada, request(handle, &handle.to_string())).unwrap();
        let told = told(&mut story, &bob, subscription(&[&track], true));
        let handles = handles(&told).unwrap();
        assert_eq!(handles.len(), handle as usize);
        known.extend(handles.into_keys());
    }
    assert!(known.len() == 20 && !known.contains(&0));
    story.room.participants.get_mut(&bob).unwrap().data_tracks.last_handle = u16::MAX;
    let next = story.room.participants.get_mut(&bob).unwrap().data_tracks.new_handle();
    assert!(next != 0 && !known.contains(&u32::from(next)));
}

#[test]
fn whatever_is_asked_for_little_is_kept_whatever_the_seed() {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};
    use reelroom_limits::media::DATA_BLOBS_BYTES;
    use reelroom_protocol::proto::{DataBlob, DataBlobKey, StoreDataBlobRequest, data_blob_key};
    for seed in [1, 2, 3] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut story = Story::new();
        let people = [story.join("ada"), story.join("bob"), story.join("carol")];
        for _ in 0..3000 {
            let who = people[rng.random_range(0..people.len())].clone();
            let known: Vec<_> = story.room.data_tracks.keys().map(ToString::to_string).collect();
            let message = match rng.random_range(0..6) {
                0 => {
                    let name = "n".repeat(rng.random_range(0..300));
                    let request = request(rng.random_range(0..200), &name);
                    signal_request::Message::PublishDataTrackRequest(request)
                }
                1 => signal_request::Message::UnpublishDataTrackRequest(UnpublishDataTrackRequest {
                    pub_handle: rng.random_range(0..200),
                }),
                2 if !known.is_empty() => {
                    let track = known[rng.random_range(0..known.len())].as_str();
                    subscription(&[track], rng.random())
                }
                3 => {
                    let unknown = format!("DTR_{}", rng.random_range(0..5000));
                    subscription(&[unknown.as_str(), &"x".repeat(1000)], rng.random_ratio(3, 4))
                }
                4 => {
                    let name = "k".repeat(rng.random_range(0..300));
                    let key = Some(DataBlobKey { key: Some(data_blob_key::Key::Generic(name)) });
                    let blob = Some(DataBlob { key, contents: vec![1; rng.random_range(0..60_000)] });
                    signal_request::Message::StoreDataBlobRequest(StoreDataBlobRequest {
                        request_id: 5,
                        blob,
                    })
                }
                _ => {
                    story.pass(Duration::from_millis(rng.random_range(0..5000)));
                    continue;
                }
            };
            story.outputs();
            story.room.handle_signal(&who, message, story.now);
            assert!(story.outputs().len() <= 20);
            for participant in story.room.participants.values() {
                let mine = &participant.data_tracks;
                assert!(mine.published.len() <= DATA_TRACKS && mine.wanted.len() <= DATA_SUBSCRIPTIONS);
                assert!(mine.handles.len() <= DATA_SUBSCRIPTIONS);
                assert!(participant.blobs.bytes() <= DATA_BLOBS_BYTES);
                for (handle, track) in &mine.handles {
                    assert_eq!(story.room.data_tracks[track].down.get(&participant.sid), Some(handle));
                }
            }
            let down: usize = story.room.data_tracks.values().map(|track| track.down.len()).sum();
            let handles: usize =
                story.room.participants.values().map(|one| one.data_tracks.handles.len()).sum();
            assert_eq!(down, handles, "every handle is one of a track");
        }
    }
}
