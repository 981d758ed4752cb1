use std::time::Duration;

use reelroom_protocol::proto::{
    AddTrackRequest, MuteTrackRequest, TrackSource, TrackType, UpdateTrackSettings, VideoQuality, encryption,
    signal_request,
};

use super::*;
use crate::room::tests::{Story, packet};
use crate::track::Section;

/// A packet with its own sound, and that of the one before it.
fn red(seq: u64) -> Vec<u8> {
    let before = format!("sound {}", seq - 1);
    let bits = 960_u32 << 10 | before.len() as u32;
    let mut bytes = vec![0x80 | 111];
    bytes.extend(&bits.to_be_bytes()[1..]);
    bytes.push(111);
    bytes.extend(before.as_bytes());
    bytes.extend(format!("sound {seq}").as_bytes());
    bytes
}

fn sound(seq: u64, payload: &[u8], arrived: Instant) -> PublishedPacket<'_> {
    PublishedPacket {
        layer: Layer::High,
        codec: Codec::Opus,
        ssrc: 7,
        seq,
        rtp: seq as u32 * 960,
        payload,
        is_red: true,
        descriptor: None,
        audio_level_dbov: None,
        arrived,
    }
}

#[test]
fn redundant_sound_goes_to_those_who_read_it_and_is_unpacked_with_what_was_lost_for_others() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    let recorder = story.recorder();
    for subscriber in [&bob, &carol] {
        story.room.down_track_takes_red(subscriber, &track, subscriber == &bob);
        story.room.down_track_ready(subscriber, &track, story.now);
    }
    let (mut to_bob, mut to_carol, mut recorded) = (Vec::new(), Vec::new(), Vec::new());
    // The third packet is lost, the fifth comes late.
    for seq in [1_u64, 2, 4, 6, 5, 7] {
        let payload = red(seq);
        let carried = story.carried(&track, &sound(seq, &payload, story.now.at));
        for sent in carried.sent {
            if sent.to == bob {
                assert_eq!(sent.payload, payload);
                to_bob.push(sent.rewrite.seq);
            } else {
                assert_eq!(sent.to, carol);
                to_carol.push((sent.rewrite.seq, String::from_utf8(sent.payload).unwrap()));
            }
        }
        assert!(carried.recorded.iter().all(|(to, _)| *to == recorder));
        recorded.extend(carried.recorded.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()));
    }
    assert_eq!(to_bob, [1, 2, 4, 6, 5, 7]);
    let whole: Vec<_> = (1..=7).map(|seq| (seq, format!("sound {seq}"))).collect();
    assert_eq!(to_carol, whole);
    assert_eq!(recorded, whole.into_iter().map(|(_, text)| text).collect::<Vec<_>>());
    // What is no redundant sound goes nowhere.
    assert!(story.carried(&track, &sound(8, &[0x80], story.now.at)).sent.is_empty());
}

#[test]
fn a_publisher_may_change_between_redundant_and_plain_sound() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.down_track_ready(&bob, &track, story.now);
    let mut got = Vec::new();
    for (seq, is_red) in [(1_u64, true), (3, true), (2, false), (4, false), (5, true)] {
        let payload = if is_red { red(seq) } else { format!("sound {seq}").into_bytes() };
        let packet = PublishedPacket { is_red, ..sound(seq, &payload, story.now.at) };
        let sent = story.carried(&track, &packet).sent;
        got.extend(sent.into_iter().map(|sent| (sent.rewrite.seq, String::from_utf8(sent.payload).unwrap())));
    }
    assert_eq!(got, (1..=5).map(|seq| (seq, format!("sound {seq}"))).collect::<Vec<_>>(), "each once");
    // Another stream counts anew.
    let payload = red(1);
    let other = PublishedPacket { ssrc: 8, ..sound(1, &payload, story.now.at) };
    story.carried(&track, &other);
    assert_eq!(story.room.tracks[&track].recovery.as_ref().map(|(ssrc, _)| *ssrc), Some(8));
}

#[test]
fn what_a_moderator_muted_is_not_brought_back_by_redundancy() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.down_track_ready(&bob, &track, story.now);
    let arrives = |story: &mut Story, seq: u64| {
        let payload = red(seq);
        story.carried(&track, &sound(seq, &payload, story.now.at)).sent.len()
    };
    assert_eq!(arrives(&mut story, 1), 1);
    story.room.mute_by_admin(&track).unwrap();
    assert_eq!(arrives(&mut story, 2), 0);
    let unmuted = MuteTrackRequest { sid: track.to_string(), muted: false };
    story.room.handle_signal(&ada, signal_request::Message::Mute(unmuted), story.now);
    assert_eq!(arrives(&mut story, 3), 1, "its own sound alone");
}

#[test]
fn redundant_sound_that_is_encrypted_goes_as_it_came() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.tracks.get_mut(&track).unwrap().info.encryption = encryption::Type::Gcm.into();
    story.room.down_track_takes_red(&bob, &track, true);
    story.room.down_track_ready(&bob, &track, story.now);
    // As redundant sound it would be cut short.
    let payload = [0x80, 1, 2];
    let sent = story.carried(&track, &sound(1, &payload, story.now.at)).sent;
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0].to, sent[0].payload.as_slice()), (&bob, &payload[..]));
}

#[test]
fn redundant_sound_that_is_encrypted_without_a_word_is_not_taken_apart() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.recorder();
    for subscriber in [&bob, &carol] {
        story.room.down_track_takes_red(subscriber, &track, subscriber == &bob);
        story.room.down_track_ready(subscriber, &track, story.now);
    }
    // Behind the first byte all is cipher text, whatever lengths and times it makes of itself; one packet of them is lost.
    let mut state = 7_u32;
    for seq in (1_u64..400).filter(|seq| seq % 10 != 3) {
        let mut payload: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(150)
        .collect();
        payload[0] = 0x80 | 111;
        payload.extend([12, 0]);
        let carried = story.carried(&track, &sound(seq, &payload, story.now.at));
        let to_bob: Vec<_> = carried.sent.iter().filter(|sent| sent.to == bob).collect();
        assert_eq!((to_bob.len(), &to_bob[0].payload), (1, &payload), "as it came");
        let recorded: Vec<_> = carried.recorded.iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(recorded.len(), 1, "nothing is made of it");
        assert!(is_sealed(recorded[0]), "the recorder sees that it is encrypted");
    }
    // Sound in the clear may end so by chance.
    let mut payload = red(400);
    payload.extend([0; 60]);
    payload.extend([12, 0]);
    let carried = story.carried(&track, &sound(400, &payload, story.now.at));
    assert!(carried.recorded[0].1.starts_with(b"sound 400"));
}

#[test]
fn nothing_that_is_encrypted_is_recorded() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.recorder();
    let request = AddTrackRequest {
        cid: "cid-0".into(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        encryption: encryption::Type::Gcm.into(),
        ..Default::default()
    };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
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
    story.outputs();
    assert!(story.carried(&track, &packet(Codec::Vp8, 1, Layer::High, story.now.at)).recorded.is_empty());
    story.pass(Duration::from_secs(3));
    story.room.ask_for_recorders(story.now, |_, _| true);
    assert!(!story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
}

#[test]
fn a_recorder_takes_the_best_layer_and_has_its_sender_reports() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.outputs();
    let recorder = story.recorder();
    assert!(story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    let delta: &[u8] = &[0x10, 0x01, 0, 0];
    let low = packet(Codec::Vp8, 1, Layer::Low, story.now.at);
    assert!(story.carried(&track, &low).recorded.is_empty(), "the better one comes, too");
    let high = packet(Codec::Vp8, 1, Layer::High, story.now.at);
    assert!(story.carried(&track, &PublishedPacket { payload: delta, ..high }).recorded.is_empty());
    assert_eq!(story.carried(&track, &PublishedPacket { seq: 2, ..high }).recorded.len(), 1);
    let of = |story: &Story, ssrc| story.room.recorders_of(&track, ssrc).cloned().collect::<Vec<_>>();
    assert_eq!((of(&story, low.ssrc), of(&story, high.ssrc)), (Vec::new(), vec![recorder.clone()]));
    // It waits, and its publisher draws nothing.
    story.pass(Duration::from_secs(2));
    story.outputs();
    story.room.ask_for_recorders(story.now, |_, _| false);
    assert!(!story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    story.room.ask_for_recorders(story.now, |to, _| *to == recorder);
    assert!(story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    story.room.stop_recording(&recorder);
    assert!(story.carried(&track, &PublishedPacket { seq: 3, ..high }).recorded.is_empty());
}

#[test]
fn a_small_tile_gets_the_small_size_of_a_scalable_stream() {
    use crate::svc::tests::{delta, full};
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    let wants = |story: &mut Story, quality: VideoQuality| {
        let track_sids = vec![track.to_string()];
        let settings = UpdateTrackSettings { track_sids, quality: quality.into(), ..Default::default() };
        story.room.handle_signal(&bob, signal_request::Message::TrackSetting(settings), story.now);
    };
    wants(&mut story, VideoQuality::Low);
    // It goes on in VP9, whose keyframe begins with the small size.
    story.pass(Duration::from_secs(1));
    let (key, later): (&[u8], &[u8]) = (&[0x08, 0x82], &[0x48, 0x86]);
    let mut seq = 100;
    let mut picture = |story: &mut Story, first: (Vec<u8>, &[u8])| {
        let sizes = [first, (delta(11), later), (delta(12), later)];
        let mut got = Vec::new();
        for (descriptor, payload) in &sizes {
            seq += 1;
            let packet = packet(Codec::Vp9, seq, Layer::High, story.now.at);
            let packet = PublishedPacket { payload, descriptor: Some(descriptor), ..packet };
            let sent = story.carried(&track, &packet).sent;
            got.extend(sent.iter().map(|sent| (sent.rewrite.seq, sent.rewrite.ends_picture)));
        }
        got
    };
    assert_eq!(picture(&mut story, (full(), key)), [(1, true)]);
    assert_eq!(picture(&mut story, (delta(10), later)), [(2, true)], "no number is missing");
    story.pass(Duration::from_secs(2));
    story.outputs();
    wants(&mut story, VideoQuality::High);
    let asks = |output: &Output| matches!(output, Output::RequestKeyframe { layer: None, .. });
    assert!(story.outputs().iter().any(asks));
    assert_eq!(picture(&mut story, (delta(10), later)), [(3, true)]);
    assert_eq!(picture(&mut story, (full(), key)), [(4, false), (5, false), (6, true)]);
    wants(&mut story, VideoQuality::Medium);
    assert_eq!(picture(&mut story, (delta(10), later)), [(7, false), (8, true)], "smaller at once");
}

#[test]
fn a_size_that_is_not_sent_any_more_is_not_waited_for() {
    use crate::svc::tests::{at_keyframes, delta};
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    story.pass(Duration::from_secs(1));
    let (key, later): (&[u8], &[u8]) = (&[0x08, 0x82], &[0x48, 0x86]);
    let mut seq = 100;
    let mut picture = |story: &mut Story, sizes: &[(Vec<u8>, &[u8])]| {
        let mut got = 0;
        for (descriptor, payload) in sizes {
            seq += 1;
            let packet = packet(Codec::Vp9, seq, Layer::High, story.now.at);
            got +=
                story.arrives(&track, &PublishedPacket { payload, descriptor: Some(descriptor), ..packet });
        }
        story.pass(Duration::from_millis(40));
        got
    };
    let keyframe = [(at_keyframes(), key), (delta(12), later), (delta(14), later)];
    let sizes = [(delta(11), later), (delta(13), later), (delta(15), later)];
    assert_eq!(picture(&mut story, &keyframe), 3);
    assert_eq!(picture(&mut story, &sizes), 1, "the large one goes on without the others");
    story.outputs();
    for _ in 0..60 {
        picture(&mut story, &sizes[..2]);
    }
    let asks = |output: &Output| matches!(output, Output::RequestKeyframe { layer: None, .. });
    assert!(story.outputs().iter().any(asks));
    assert_eq!(picture(&mut story, &keyframe[..2]), 2);
    assert_eq!(picture(&mut story, &sizes[..2]), 1, "the middle one");
}
