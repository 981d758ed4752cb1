//! What is to be seen and heard in composed files, second by second.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{
    BLUE, GREEN, MS, RED, S, Shot, add_paced_packets, add_packets, add_pictures, heard, packets, person,
    pictures, probe, sound, tone,
};
use reelroom_composer::{ComposeOptions, Composed, compose};
use reelroom_take::{Codec, TakeEvent, TrackSource, testing::SyntheticTake};

const LEFT: [usize; 2] = [320, 300];
const RIGHT: [usize; 2] = [960, 300];
const MIDDLE: [usize; 2] = [640, 200];

/// Writes the take and composes it.
fn composed(take: SyntheticTake, dir: &Path, end_ns: u64, options: &ComposeOptions) -> (PathBuf, Composed) {
    take.write(&dir.join("take"), end_ns).unwrap();
    let out = match std::env::var_os("KEEP_COMPOSED") {
        Some(keep) => Path::new(&keep).join(format!("{}.mp4", std::thread::current().name().unwrap_or("x"))),
        None => dir.join("out.mp4"),
    };
    let composed = compose(&dir.join("take"), &out, options, &mut |_| {}).unwrap();
    (out, composed)
}

fn two_people(codec: Codec) {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    person(&mut take, ["ann", "Ann Example"], (RED, 440.0), 0, 4, codec);
    person(&mut take, ["bob", "Bob"], (BLUE, 1000.0), 0, 4, codec);
    let (out, composed) = composed(take, dir.path(), 4 * S, &ComposeOptions::default());

    assert_eq!(composed.duration_ns, 4 * S);
    assert_eq!(probe(&out, "format=duration"), "4.000000");
    assert_eq!(probe(&out, "stream=codec_name,start_time"), "h264,0.000000\naac,0.000000");
    let report = &composed.report["TR_ann_Camera"];
    // The last one is under way when the take ends.
    assert_eq!((report.frames, report.pictures, report.broken), (119, 119, 0));
    for ms in [200, 2000, 3900] {
        let shot = Shot::at(&out, ms);
        shot.assert_colour(LEFT, RED);
        shot.assert_colour(RIGHT, BLUE);
        assert!(shot.white([12, 480, 200, 60]) > 20, "Ann's label");
        assert!(shot.white([644, 480, 100, 60]) > 10, "Bob's label");
    }
    let sound = sound(&out);
    // A decoder gives whole AAC frames, also for the last one.
    assert!((0..1024).contains(&(sound.len() - 4 * 48_000)));
    for ms in [300, 2000, 3700] {
        assert!(heard(&sound, ms, 440.0) > 0.2 && heard(&sound, ms, 1000.0) > 0.2);
        assert!(heard(&sound, ms, 700.0) < 0.02);
    }
}

#[test]
fn two_people_in_vp8_are_seen_and_heard() {
    two_people(Codec::Vp8);
}

#[test]
fn two_people_in_h264_are_seen_and_heard() {
    two_people(Codec::H264);
}

#[test]
fn two_people_in_vp9_are_seen_and_heard() {
    two_people(Codec::Vp9);
}

#[test]
fn two_people_in_av1_are_seen_and_heard() {
    two_people(Codec::Av1);
}

#[test]
fn people_come_go_and_mute_at_the_right_second() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 6, Codec::Vp8);
    let bob = person(&mut take, ["bob", "Bob"], (BLUE, 1000.0), 2 * S, 2, Codec::Vp8);
    take.event(4 * S, TakeEvent::ParticipantLeft { participant: bob.participant });
    take.event(5 * S, TakeEvent::TrackMuted { track: ann.camera.clone(), muted: true });
    take.event(5 * S, TakeEvent::TrackMuted { track: ann.microphone.clone(), muted: true });
    let (out, _) = composed(take, dir.path(), 6 * S, &ComposeOptions::default());

    Shot::at(&out, 1800).assert_colour(MIDDLE, RED);
    let both = Shot::at(&out, 2300);
    both.assert_colour(LEFT, RED);
    both.assert_colour(RIGHT, BLUE);
    Shot::at(&out, 3900).assert_colour(RIGHT, BLUE);
    Shot::at(&out, 4100).assert_colour(MIDDLE, RED);
    let muted = Shot::at(&out, 5200);
    let shade = muted.pixel(MIDDLE[0], 60);
    assert!(shade.iter().all(|c| *c < 70), "a placeholder, not {shade:?}");

    let sound = sound(&out);
    assert!(heard(&sound, 1500, 440.0) > 0.2 && heard(&sound, 1500, 1000.0) < 0.02);
    assert!(heard(&sound, 2500, 440.0) > 0.2 && heard(&sound, 2500, 1000.0) > 0.2);
    assert!(heard(&sound, 4300, 440.0) > 0.2 && heard(&sound, 4300, 1000.0) < 0.02);
    assert!(heard(&sound, 5300, 440.0) < 0.01);
}

#[test]
fn an_empty_take_is_still_a_film() {
    let dir = tempfile::tempdir().unwrap();
    let (out, composed) =
        composed(SyntheticTake::new("Nobody"), dir.path(), 2 * S, &ComposeOptions::default());
    assert_eq!(composed.duration_ns, 2 * S);
    assert_eq!(probe(&out, "format=duration"), "2.000000");
    assert!(sound(&out).iter().all(|sample| sample.abs() < 0.001));
    assert!(Shot::at(&out, 1000).pixel(640, 360).iter().all(|c| *c < 60));
}

#[test]
fn sound_only_makes_a_file_without_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 3, Codec::Vp8);
    let options = ComposeOptions { audio_only: true, ..ComposeOptions::default() };
    let (out, _) = composed(take, dir.path(), 3 * S, &options);
    assert_eq!(probe(&out, "stream=codec_name,start_time"), "aac,0.000000");
    assert_eq!(probe(&out, "format=duration"), "3.000000");
    assert!(heard(&sound(&out), 1500, 440.0) > 0.2);
}

#[test]
fn a_shared_screen_is_large_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 3, Codec::Vp8);
    let screen = take.publish(S, &ann.participant, TrackSource::ScreenShare);
    let size = [1024, 768];
    add_pictures(&mut take, &screen, Codec::Vp8, size, S, pictures(Codec::Vp8, size, 60, |_| GREEN));
    let (out, _) = composed(take, dir.path(), 3 * S, &ComposeOptions::default());
    Shot::at(&out, 800).assert_colour(MIDDLE, RED);
    let shared = Shot::at(&out, 2000);
    shared.assert_colour([500, 360], GREEN);
    shared.assert_colour([500, 20], GREEN);
    shared.assert_colour([1130, 340], RED);
}

#[test]
fn damage_and_loss_end_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let microphone = take.publish(0, &ann, TrackSource::Microphone);
    let mut coded = pictures(Codec::Vp8, [640, 360], 120, |_| RED);
    for (number, frame) in coded.iter_mut().enumerate() {
        match number % 11 {
            3 => frame.data.truncate(frame.data.len() / 3),
            5 => frame.data.iter_mut().for_each(|byte| *byte ^= 0x5a),
            7 => frame.data.clear(),
            _ => {}
        }
    }
    add_pictures(&mut take, &camera, Codec::Vp8, [640, 360], 0, coded);
    let mut voice = packets(&tone(440.0, 4.0));
    voice[50] = vec![0xff; 3];
    voice[51] = Vec::new();
    add_packets(&mut take, &microphone, 0, voice, |number| number % 20 == 7);
    let (out, composed) = composed(take, dir.path(), 4 * S, &ComposeOptions::default());
    assert_eq!(probe(&out, "format=duration"), "4.000000");
    let sound = sound(&out);
    for ms in [500, 2000, 3500] {
        assert!(heard(&sound, ms, 440.0) > 0.2);
    }
    assert!(composed.report["TR_ann_Camera"].pictures > 60);
    assert!(composed.report["TR_ann_Microphone"].concealed_samples > 0);
}

#[test]
fn pictures_may_change_size_codec_and_orientation() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let (low, high) = ([320, 180], [1280, 720]);
    add_pictures(&mut take, &camera, Codec::Vp8, low, 0, pictures(Codec::Vp8, low, 30, |_| RED));
    add_pictures(&mut take, &camera, Codec::H264, high, S, pictures(Codec::H264, high, 30, |_| GREEN));
    let size = [640, 360];
    let clip = |codec, colour| pictures(codec, size, 30, move |_| colour);
    add_pictures(&mut take, &camera, Codec::Vp9, size, 2 * S, clip(Codec::Vp9, BLUE));
    add_pictures(&mut take, &camera, Codec::Av1, size, 3 * S, clip(Codec::Av1, RED));
    take.event(3 * S, TakeEvent::Orientation { track: camera, degrees: 90 });
    let (out, _) = composed(take, dir.path(), 4 * S, &ComposeOptions::default());
    Shot::at(&out, 700).assert_colour(MIDDLE, RED);
    Shot::at(&out, 1700).assert_colour(MIDDLE, GREEN);
    Shot::at(&out, 2700).assert_colour(MIDDLE, BLUE);
    let turned = Shot::at(&out, 3700);
    turned.assert_colour(MIDDLE, RED);
    assert!(turned.pixel(200, 360).iter().all(|c| *c < 60), "bars beside an upright picture");
}

#[test]
fn many_voices_at_once_are_all_heard_and_do_not_clip() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let voices: Vec<f32> = (0..12).map(|number| 300.0 + 170.0 * number as f32).collect();
    for (number, hz) in voices.iter().enumerate() {
        let someone = take.join(0, &format!("p{number}"), "");
        let microphone = take.publish(0, &someone, TrackSource::Microphone);
        add_packets(&mut take, &microphone, 0, packets(&tone(*hz, 3.0)), |_| false);
    }
    let options = ComposeOptions { audio_only: true, ..ComposeOptions::default() };
    let (out, _) = composed(take, dir.path(), 3 * S, &options);
    let sound = sound(&out);
    // AAC may overshoot what went into it a little.
    let loudest = sound.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
    assert!(loudest < 1.0 && loudest > 0.7, "{loudest}");
    let heard: Vec<f32> = voices.iter().map(|hz| heard(&sound, 1500, *hz)).collect();
    let (least, most) = heard.iter().fold((1f32, 0f32), |(a, b), level| (a.min(*level), b.max(*level)));
    assert!(least > 0.03 && most < least * 1.6, "{heard:?}");
    // Clipping would put tones between them.
    for hz in voices.windows(2).map(|pair| f32::midpoint(pair[0], pair[1])) {
        let between = common::heard(&sound, 1500, hz);
        assert!(between < least / 4.0, "{between} at {hz} Hz beside {least}");
    }
}

#[test]
fn a_fast_sender_stays_in_time_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    let ann = take.join(0, "ann", "Ann");
    let microphone = take.publish(0, &ann, TrackSource::Microphone);
    // Quiet, and every second 100 ms louder; 2000 ppm fast, so that 30 s are 60 ms too short.
    let mut sound_in = tone(1000.0, 30.0);
    sound_in
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| i % 48_000 >= 4_800)
        .for_each(|(_, sample)| *sample *= 0.2);
    let interval_ns = 20 * MS - 40_000;
    add_paced_packets(&mut take, &microphone, 0, interval_ns, packets(&sound_in), |_| false);
    let options = ComposeOptions { audio_only: true, ..ComposeOptions::default() };
    let (out, _) = composed(take, dir.path(), 30 * S, &options);

    let sound = sound(&out);
    for second in [2usize, 10, 20, 29] {
        let wanted_ms = (second as u64 * 50 * interval_ns / MS + 30) as usize;
        let near = (wanted_ms - 300) * 48;
        let found = near + sound[near..near + 48_000].iter().position(|sample| sample.abs() > 0.2).unwrap();
        assert!(
            (found / 48).abs_diff(wanted_ms) <= 20,
            "second {second}: {} instead of {wanted_ms} ms",
            found / 48
        );
    }
    for ms in (500..29_000).step_by(100) {
        assert!(heard(&sound, ms, 998.0 * 1.004) > 0.03, "a hole at {ms} ms");
    }
}
