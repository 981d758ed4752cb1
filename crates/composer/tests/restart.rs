//! A recorder that is started anew in the middle of a call: what is to be seen and heard on both sides, and in between.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use common::{
    BLUE, GREEN, MS, RED, S, Shot, add_packets, add_pictures, heard, packets, person, pictures, probe, sound,
    tone,
};
use reelroom_composer::{
    ComposeOptions, Composed, Keeper, Observer, Suspended, canvas::Canvas, compose, compose_kept,
};
use reelroom_take::{Codec, ParticipantId, TakeEvent, TrackSource, testing::SyntheticTake};

const LEFT: [usize; 2] = [320, 300];
const RIGHT: [usize; 2] = [960, 300];
const MIDDLE: [usize; 2] = [640, 200];
const SUSPENDED_NS: u64 = 4_100 * MS;
const RESUMED_NS: u64 = 7 * S;
/// When Ann is back, and when she sends something again.
const BACK_NS: u64 = 7_500 * MS;
const SENDS_NS: u64 = 8 * S;
const END_NS: u64 = 19 * S;

/// Ann and Bob are recorded, the recorder is started anew, and Ann comes back.
fn call(codec: Codec) -> SyntheticTake {
    let mut take = SyntheticTake::new("Test Room");
    person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 4, codec);
    person(&mut take, ["bob", "Bob"], (BLUE, 1000.0), 0, 4, codec);
    take.event(SUSPENDED_NS, TakeEvent::Suspended { unix_ns: 1 });
    take.event(RESUMED_NS, TakeEvent::Resumed);
    let ann = ParticipantId::from("PA_ann2");
    let joined =
        TakeEvent::ParticipantJoined { participant: ann.clone(), identity: "ann".into(), name: "Ann".into() };
    take.event(BACK_NS, joined);
    let camera = take.publish(BACK_NS, &ann, TrackSource::Camera);
    let microphone = take.publish(BACK_NS, &ann, TrackSource::Microphone);
    let (size, seconds) = ([640, 360], 11);
    add_pictures(&mut take, &camera, codec, size, SENDS_NS, pictures(codec, size, seconds * 30, |_| GREEN));
    add_packets(&mut take, &microphone, SENDS_NS, packets(&tone(660.0, seconds as f32)), |_| false);
    take
}

fn is_as_it_was(out: &Path, composed: &Composed) {
    assert_eq!(probe(out, "format=duration"), "19.000000");
    assert_eq!(composed.suspended, [Suspended { from_ns: SUSPENDED_NS, to_ns: RESUMED_NS }]);
    // Both stand still, with what they showed last, and Ann until there is a new picture of her.
    for ms in [3_500, 4_500, 6_500, 7_400, 7_700, 7_950] {
        let shot = Shot::at(out, ms);
        shot.assert_colour(LEFT, RED);
        shot.assert_colour(RIGHT, BLUE);
    }
    let shot = Shot::at(out, 8_300);
    shot.assert_colour(LEFT, GREEN);
    shot.assert_colour(RIGHT, BLUE);
    Shot::at(out, 16_800).assert_colour(RIGHT, BLUE);
    // Bob has not come back.
    Shot::at(out, 17_300).assert_colour(MIDDLE, GREEN);
    let sound = sound(out);
    for (ms, hz, is_heard) in [
        (3_000, 440.0, true),
        (3_000, 1000.0, true),
        (4_400, 440.0, false),
        (5_500, 1000.0, false),
        (7_700, 660.0, false),
        (8_300, 660.0, true),
        (8_300, 440.0, false),
        (18_000, 660.0, true),
    ] {
        let level = heard(&sound, ms, hz);
        assert_eq!(level > 0.2, is_heard, "{hz} Hz at {ms} ms: {level}");
        assert!(is_heard || level < 0.02, "{hz} Hz at {ms} ms: {level}");
    }
    let report = &composed.report["TR_ann_Camera"];
    assert_eq!(
        (report.to_ns, report.freezes.unwrap().count),
        (SUSPENDED_NS, 0),
        "it did not freeze: {report:?}"
    );
    assert_eq!(composed.report["TR_ann2_Camera"].from_ns, BACK_NS);
}

#[test]
fn who_comes_back_is_in_their_place_and_everybody_stands_still_until_then() {
    for codec in [Codec::Vp8, Codec::H264] {
        let dir = tempfile::tempdir().unwrap();
        call(codec).write(&dir.path().join("take"), END_NS).unwrap();
        let out = dir.path().join("out.mp4");
        let composed =
            compose(&dir.path().join("take"), &out, &ComposeOptions::default(), &mut |_| {}).unwrap();
        is_as_it_was(&out, &composed);
    }
}

/// Dies before a picture.
struct Mortal(Option<u64>);

impl Observer for Mortal {
    fn picture(&mut self, number: u64, _canvas: &Canvas) {
        assert_ne!(Some(number), self.0, "it dies on purpose");
    }
}

#[test]
fn a_composer_that_is_started_anew_with_the_recorder_makes_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let (take, out) = (dir.path().join("take"), dir.path().join("out.mp4"));
    call(Codec::Vp8).write(&take, END_NS).unwrap();
    let options = ComposeOptions::default();
    let alone = compose(&take, &dir.path().join("alone.mp4"), &options, &mut |_| {}).unwrap();
    // In the pause, as Ann is shown as she was, and when Bob is gone.
    for dies in [Some(160), Some(235), Some(315), Some(530)] {
        let keeper = Keeper::open(&dir.path().join("journal")).unwrap();
        let composing = || compose_kept(&take, &out, &options, Some(keeper), &mut Mortal(dies));
        assert!(catch_unwind(AssertUnwindSafe(composing)).is_err());
    }
    let keeper = Keeper::open(&dir.path().join("journal")).unwrap();
    let composed = compose_kept(&take, &out, &options, Some(keeper), &mut Mortal(None)).unwrap();
    is_as_it_was(&out, &composed);
    assert_eq!(composed.report, alone.report);
    assert_eq!(composed.suspended, alone.suspended);
}

#[test]
fn a_recording_that_ends_where_it_was_suspended_has_no_pause() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("Test Room");
    person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, 4, Codec::Vp8);
    take.event(SUSPENDED_NS, TakeEvent::Suspended { unix_ns: 1 });
    take.write(&dir.path().join("take"), SUSPENDED_NS).unwrap();
    let out = dir.path().join("out.mp4");
    let composed = compose(&dir.path().join("take"), &out, &ComposeOptions::default(), &mut |_| {}).unwrap();
    assert!(composed.suspended.is_empty());
    Shot::at(&out, 3_900).assert_colour(MIDDLE, RED);
}
