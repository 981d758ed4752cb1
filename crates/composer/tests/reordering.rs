//! Pictures that decode after one that is shown later (H.264 with B-frames), and what must not be seen or heard: real coded media
//! through the whole recorder, as packets.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use common::{
    BLUE, GREEN, MS, RED, S, YELLOW, flat, heard, keyed_pictures, luma_track, packets, pictures, rewatched,
    sound, tone,
};
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::{
    ComposeOptions, Composed, Follow, Keeper, Layout, Observer, Preset, Size, canvas::Canvas, compose,
    compose_kept, filter::Filter,
};
use reelroom_take::{
    CaptureConfig, Codec, DropReason, EndReason, Frame, LeftOutWhy, Packet, Take, TakeEvent, TakeHeader,
    TakeOptions, TakeRecorder, TrackId, TrackKind, TrackSource,
    testing::{
        SyntheticTake,
        rtp::{payloads, with_parameter_sets},
        vp8_spec,
    },
};

/// A frame as it goes over the network: when, RTP time, payloads.
struct Sent {
    at_ns: u64,
    rtp: u64,
    payloads: Vec<Vec<u8>>,
}

/// Which colour is shown at which picture: another one every half second.
fn colour(number: u64) -> [u8; 3] {
    [RED, GREEN, BLUE, YELLOW][(number / 15 % 4) as usize]
}

/// `count` pictures at 30 a second, in the order in which they decode, from an encoder that looks ahead.
fn reordered(count: u64, from_ns: u64, options: &[(&str, &str)]) -> Vec<Sent> {
    gst::init().unwrap();
    let size = [320, 180];
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", 320i32)
        .field("height", 180i32)
        .field("framerate", gst::Fraction::new(30, 1))
        .build();
    let wanted = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("profile", "main")
        .build();
    let mut encoder = Filter::new("x264enc", "", wanted, |element| {
        element.set_property_from_str("speed-preset", "ultrafast");
        element.set_property_from_str("key-int-max", "60");
        element.set_property_from_str("byte-stream", "false");
        for (name, value) in options {
            element.set_property_from_str(name, value);
        }
    })
    .unwrap();
    let mut caught = Vec::new();
    let first_ns = 1_000_000 * MS;
    for number in 0..count {
        let mut buffer = gst::Buffer::from_mut_slice(flat(size, colour(number)));
        let pts = first_ns + number * S / 30;
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(pts));
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_nseconds(S / 30));
        caught.extend(encoder.push(buffer, &caps).unwrap());
    }
    caught.extend(encoder.finish());
    assert_eq!(caught.len() as u64, count);
    let first = caught[0].buffer.pts().unwrap().nseconds();
    let sent = caught.iter().enumerate().map(|(place, caught)| {
        let config = caught.caps.structure(0).unwrap().get::<gst::Buffer>("codec_data").unwrap();
        let data = caught.buffer.map_readable().unwrap();
        let is_key = !caught.buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let frame = match is_key {
            true => with_parameter_sets(&config.map_readable().unwrap(), &data),
            false => data.to_vec(),
        };
        let number = (caught.buffer.pts().unwrap().nseconds() - first + S / 60) * 30 / S;
        Sent {
            at_ns: from_ns + place as u64 * S / 30,
            rtp: 90_000 + number * 3_000,
            payloads: payloads(Codec::H264, &frame),
        }
    });
    sent.collect()
}

/// Records tracks of one person from packets; the take ends at `end_ns`.
fn record(dir: &Path, tracks: &[(Codec, TrackSource, Vec<Sent>)], end_ns: u64) {
    let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
    let header = TakeHeader::new("EG_1", "room", "RM_1", 1_767_225_600_000_000_000);
    let mut recorder = TakeRecorder::new(Take::create_with(&dir.join("take"), header, unbounded).unwrap());
    let joined = TakeEvent::ParticipantJoined {
        participant: "PA_ann".into(),
        identity: "ann".into(),
        name: "Ann".into(),
    };
    recorder.event(0, joined);
    let mut packets = Vec::new();
    for (number, (codec, source, frames)) in tracks.iter().enumerate() {
        let track = TrackId::from(format!("TR_{number}"));
        let kind = codec.kind();
        let (width, height, muted) = (0, 0, false);
        recorder.event(
            0,
            TakeEvent::TrackPublished {
                track: track.clone(),
                participant: "PA_ann".into(),
                kind,
                source: *source,
                width,
                height,
                muted,
            },
        );
        assert!(recorder.add_track(track.clone(), CaptureConfig::new(*codec)));
        let mut seq = 70_000;
        for frame in frames {
            for (part, payload) in frame.payloads.iter().enumerate() {
                let marker = kind == TrackKind::Video && part + 1 == frame.payloads.len();
                packets.push((frame.at_ns, track.clone(), seq, frame.rtp, marker, payload.clone()));
                seq += 1;
            }
        }
    }
    packets.sort_by_key(|packet| packet.0);
    let mut ticked = 0;
    for (at_ns, track, seq, rtp, marker, payload) in packets {
        while ticked + 100 * MS < at_ns {
            ticked += 100 * MS;
            recorder.tick(ticked);
        }
        let _ = recorder.packet(at_ns, &track, &Packet { ssrc: 1, seq, rtp, marker, payload: &payload });
    }
    while ticked + 100 * MS < end_ns {
        ticked += 100 * MS;
        recorder.tick(ticked);
    }
    recorder.finish(end_ns, EndReason::Stopped).unwrap();
}

fn small() -> ComposeOptions {
    let preset = Preset { size: Size { width: 320, height: 180 }, ..Preset::default() };
    ComposeOptions { layout: Some(Layout::parse("grid")), preset, ..ComposeOptions::default() }
}

fn composed(dir: &Path) -> Composed {
    let mut quiet = |_| {};
    compose(
        &dir.join("take"),
        &dir.join("again.mp4"),
        &ComposeOptions { follow: Follow::Live, ..small() },
        &mut quiet,
    )
    .unwrap()
}

/// Dies before a picture, counted from 0.
struct Mortal(u64);

impl Observer for Mortal {
    fn picture(&mut self, number: u64, _canvas: &Canvas) {
        assert_ne!(number, self.0, "it dies on purpose");
    }
}

/// What comes of it when a composer dies before picture number `dies`, and another one goes on.
fn composed_by_two(dir: &Path, dies: u64) -> Composed {
    let by = |observer: &mut dyn Observer| {
        let keeper = Keeper::open(&dir.join("journal")).unwrap();
        let (take, out) = (dir.join("take"), dir.join("by_two.mp4"));
        catch_unwind(AssertUnwindSafe(|| compose_kept(&take, &out, &small(), Some(keeper), observer)))
    };
    assert!(by(&mut Mortal(dies)).is_err());
    // That it goes on is seen: at a picture that it does not make again.
    by(&mut Mortal(10)).expect("it does not begin anew").unwrap()
}

#[test]
fn pictures_are_shown_in_their_order_and_at_their_time_whatever_the_order_they_decode_in() {
    let kinds: [(&str, &[(&str, &str)]); 4] = [
        ("two in a row", &[("bframes", "2"), ("b-adapt", "false"), ("rc-lookahead", "0")]),
        (
            "a pyramid",
            &[("bframes", "3"), ("b-adapt", "false"), ("b-pyramid", "true"), ("rc-lookahead", "0")],
        ),
        ("open groups", &[("bframes", "2"), ("b-adapt", "false"), ("option-string", "open-gop=1")]),
        ("keyframes that are spread", &[("bframes", "0"), ("intra-refresh", "true")]),
    ];
    for (name, options) in kinds {
        let dir = tempfile::tempdir().unwrap();
        let frames = reordered(180, S, options);
        let goes_back = frames.windows(2).any(|pair| pair[1].rtp < pair[0].rtp);
        assert_eq!(goes_back, !name.contains("spread"), "{name}: the encoder does what this test is about");
        record(dir.path(), &[(Codec::H264, TrackSource::Camera, frames)], 8 * S);
        let asked: Vec<u64> = (0..11).map(|half| 1_250 + half * 500).collect();
        let (eyes, result) = rewatched(dir.path(), &small(), &asked);
        for (half, ms) in asked.iter().enumerate() {
            eyes.saw(*ms).assert_colour([160, 90], colour(half as u64 * 15));
        }
        let report = &result.report["TR_0"];
        assert_eq!((report.frames, report.pictures, report.broken), (180, 180, 0), "{name}");
        assert_eq!((report.placed, report.gaps.count, report.left_out), (180, 0, None), "{name}");
        assert_eq!(composed(dir.path()).pictures_hash, result.pictures_hash, "{name}: the same, followed");
        let by_two = composed_by_two(dir.path(), 226);
        assert_eq!(
            Composed { size_bytes: 0, ..by_two },
            Composed { size_bytes: 0, ..result.clone() },
            "{name}: two of which one dies make the same"
        );
        // Changes of colour stand in the file where they were: every 15 pictures, none twice.
        let lumas = luma_track(&dir.path().join("out.mp4"), [160, 90]);
        let seen = &lumas[33..205];
        let changes: Vec<usize> =
            (1..seen.len()).filter(|place| seen[*place].abs_diff(seen[*place - 1]) > 12).collect();
        assert!(changes.windows(2).all(|pair| pair[1] - pair[0] == 15), "{name}: {changes:?}");
        assert!(changes.len() >= 10, "{name}: {changes:?}");
    }
}

#[test]
fn a_stream_with_b_frames_goes_on_after_a_loss_at_the_next_keyframe() {
    let dir = tempfile::tempdir().unwrap();
    let mut frames = reordered(240, S, &[("bframes", "2"), ("b-adapt", "false"), ("rc-lookahead", "0")]);
    frames[40].payloads.clear();
    // What is lost leaves a hole in the numbers.
    let lost = frames.remove(40);
    frames.insert(40, Sent { payloads: vec![vec![28, 0x01, 0]], ..lost });
    record(dir.path(), &[(Codec::H264, TrackSource::Camera, frames)], 10 * S);
    let (eyes, result) = rewatched(dir.path(), &small(), &[1_250, 1_750, 4_250, 6_750]);
    for ms in [1_250, 1_750, 4_250, 6_750] {
        eyes.saw(ms).assert_colour([160, 90], colour((ms - 1_000) * 30 / 1_000));
    }
    assert_eq!(result.report["TR_0"].gaps.count, 1);
}

/// As LiveKit's clients do: some bytes in clear, cipher text, tag and IV, its length, the key's index.
fn sealed(frame: &[u8], clear: usize, number: u64) -> Vec<u8> {
    let mut state = (number + 77).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let mut out = frame[..clear.min(frame.len())].to_vec();
    out.extend((0..frame.len().saturating_sub(clear) + 16 + 12).map(|_| random()));
    out.extend([12, 0]);
    out
}

#[test]
fn what_is_encrypted_without_a_word_is_neither_heard_nor_seen_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    // Encryption is switched on after 3 s, and off again after 6 s.
    let is_sealed = |number: u64, rate: u64| (3 * rate..6 * rate).contains(&number);
    let voice = packets(&tone(440.0, 9.0)).into_iter().enumerate().map(|(number, packet)| {
        let number = number as u64;
        let payload = if is_sealed(number, 50) { sealed(&packet, 1, number) } else { packet };
        Sent { at_ns: number * 20 * MS, rtp: 960 * number, payloads: vec![payload] }
    });
    let camera =
        pictures(Codec::Vp8, [320, 180], 270, |_| GREEN).into_iter().enumerate().map(|(number, coded)| {
            let number = number as u64;
            let clear = if coded.keyframe { 10 } else { 3 };
            let frame = if is_sealed(number, 30) { sealed(&coded.data, clear, number) } else { coded.data };
            Sent { at_ns: number * S / 30, rtp: 3_000 * number, payloads: payloads(Codec::Vp8, &frame) }
        });
    let tracks = [
        (Codec::Opus, TrackSource::Microphone, voice.collect()),
        (Codec::Vp8, TrackSource::Camera, camera.collect()),
    ];
    record(dir.path(), &tracks, 9 * S);
    let (eyes, result) = rewatched(dir.path(), &small(), &[2_500, 4_500, 8_500]);
    eyes.saw(2_500).assert_colour([160, 90], GREEN);
    eyes.saw(8_500).assert_colour([160, 90], GREEN);
    let between = eyes.saw(4_500).luma([0, 0, 320, 180]);
    let dark = between.iter().filter(|luma| **luma < 60).count();
    assert!(dark > between.len() / 2, "a placeholder, and no garbage");
    let sound = sound(&dir.path().join("out.mp4"));
    for ms in [1_000, 2_500, 6_500, 8_000] {
        assert!(heard(&sound, ms, 440.0) > 0.3, "{ms}");
    }
    let loudest =
        sound[3_200 * 48..5_900 * 48].iter().fold(0f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest < 0.02, "nothing is heard of it: {loudest}");
    for (track, frames) in [("TR_0", 150), ("TR_1", 90)] {
        let left_out = result.report[track].left_out.unwrap();
        assert_eq!((left_out.why, left_out.frames), (LeftOutWhy::Encrypted, frames));
        assert!(left_out.from_ns.abs_diff(3 * S) < 50 * MS && left_out.to_ns.abs_diff(6 * S) < 200 * MS);
    }
    // Another one goes on in the midst of it.
    let by_two = composed_by_two(dir.path(), 256);
    assert_eq!(Composed { size_bytes: 0, ..by_two }, Composed { size_bytes: 0, ..result });
}

#[test]
fn sound_of_which_nothing_is_in_clear_is_never_noise() {
    let dir = tempfile::tempdir().unwrap();
    let voice = packets(&tone(440.0, 4.0)).into_iter().enumerate().map(|(number, packet)| {
        let mut payload = sealed(&packet, 0, number as u64);
        // Other systems end their frames in another way.
        payload.truncate(payload.len() - 2);
        Sent { at_ns: S + number as u64 * 20 * MS, rtp: 960 * number as u64, payloads: vec![payload] }
    });
    record(dir.path(), &[(Codec::Opus, TrackSource::Microphone, voice.collect())], 6 * S);
    let (_, result) = rewatched(dir.path(), &small(), &[]);
    let sound = sound(&dir.path().join("out.mp4"));
    let loudest = sound.iter().fold(0f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest < 0.02, "{loudest}");
    let left_out = result.report["TR_0"].left_out.unwrap();
    assert_eq!((left_out.why, left_out.frames), (LeftOutWhy::Encrypted, 200));
}

#[test]
fn a_late_track_tells_when_it_was_there_and_one_that_nobody_can_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let coded = pictures(Codec::Vp8, [320, 180], 60, |_| BLUE);
    let late = coded.iter().zip(0u64..).map(|(coded, number)| Sent {
        at_ns: 4 * S + number * S / 30,
        rtp: 3_000 * number,
        payloads: payloads(Codec::Vp8, &coded.data),
    });
    // Frames that begin like keyframes of VP8, with nothing behind it.
    let broken = (0..90u64).map(|number| Sent {
        at_ns: S + number * S / 30,
        rtp: 3_000 * number,
        payloads: vec![vec![0x10, 0x10, 0xff, 0xff, 0x9d, 0x01, 0x2a, 0, 0x3f, 0, 0x3f, 0xff]],
    });
    let tracks = [
        (Codec::Vp8, TrackSource::Camera, late.collect()),
        (Codec::Vp8, TrackSource::ScreenShare, broken.collect()),
    ];
    record(dir.path(), &tracks, 8 * S);
    let (_, result) = rewatched(dir.path(), &small(), &[]);
    let report = &result.report["TR_0"];
    assert_eq!((report.from_ns, report.to_ns), (0, 8 * S));
    let media_from_ns = report.media_from_ns.unwrap();
    assert!(media_from_ns.abs_diff(4 * S) < 20 * MS, "{media_from_ns}");
    assert!(report.media_to_ns.unwrap().abs_diff(6 * S) < 60 * MS);
    let unreadable = &result.report["TR_1"];
    assert_eq!((unreadable.pictures, unreadable.media_from_ns), (0, None));
    let left_out = unreadable.left_out.unwrap();
    assert_eq!((left_out.why, left_out.frames), (LeftOutWhy::Unreadable, 90));
    let by_two = composed_by_two(dir.path(), 226);
    assert_eq!(Composed { size_bytes: 0, ..by_two }, Composed { size_bytes: 0, ..result });
}

#[test]
fn pictures_that_come_when_later_ones_are_due_are_told_of_as_late() {
    let dir = tempfile::tempdir().unwrap();
    let coded = pictures(Codec::Vp8, [320, 180], 180, colour);
    // For two seconds nothing comes through, and then all at once.
    let arrives = |sent_ns: u64| if (3 * S..5 * S).contains(&sent_ns) { 5 * S } else { sent_ns };
    let sent = coded.iter().zip(0u64..).map(|(coded, number)| Sent {
        at_ns: arrives(S + number * S / 30),
        rtp: 3_000 * number,
        payloads: payloads(Codec::Vp8, &coded.data),
    });
    record(dir.path(), &[(Codec::Vp8, TrackSource::Camera, sent.collect())], 8 * S);
    let (_, result) = rewatched(dir.path(), &small(), &[]);
    let report = &result.report["TR_0"];
    // A composer looks back for 0.7 s of them: 39 of 60 are to be shown in one place.
    let late = report.dropped[&DropReason::Late];
    assert!((37..=39).contains(&late), "{late}");
    assert_eq!((report.placed + late, report.pictures), (180, 180));
    let by_two = composed_by_two(dir.path(), 226);
    assert_eq!(Composed { size_bytes: 0, ..by_two }, Composed { size_bytes: 0, ..result });
}

#[test]
fn a_layer_takes_over_from_the_one_before_at_the_moment_where_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    let mut take = SyntheticTake::new("room");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    // The low layer's keyframe is there at once. The high one's, of the same moment, is large and comes later.
    let size = [320, 180];
    let low = take.segment(&camera, vp8_spec(0, 83 * MS, 160, 90));
    for (number, coded) in pictures(Codec::Vp8, [160, 90], 2, |_| RED).into_iter().enumerate() {
        let number = number as u64;
        let data = coded.data.into();
        let at_ns = 84 * MS + number * 6 * MS;
        take.frame(low, Frame { rtp: 4_500 * number, at_ns, keyframe: coded.keyframe, data });
    }
    let high = take.segment(&camera, vp8_spec(70_000, 97 * MS, 320, 180));
    let colour = |number| if number == 0 { GREEN } else { BLUE };
    for (number, coded) in (0u64..).zip(pictures(Codec::Vp8, size, 80, colour)) {
        let late = [38, 25].get(number as usize).copied().unwrap_or(0);
        take.frame(
            high,
            Frame {
                // 53 ms apart once, as cameras are.
                rtp: 70_000 + 4_500 * number + if number > 0 { 270 } else { 0 },
                at_ns: (59 + 50 * number + late) * MS,
                keyframe: coded.keyframe,
                data: coded.data.into(),
            },
        );
    }
    take.write(&dir.path().join("take"), 4 * S).unwrap();
    let (eyes, result) = rewatched(dir.path(), &small(), &[70, 103, 3_000]);
    eyes.saw(70).assert_colour([160, 60], GREEN);
    eyes.saw(103).assert_colour([160, 60], BLUE);
    let report = result.report.values().next().unwrap();
    let dropped: Vec<_> = report.dropped.keys().collect();
    assert!(dropped.iter().all(|why| **why == DropReason::AfterEnd), "{report:?}");
    assert!(report.placed >= 80, "{report:?}");
}

#[test]
fn frames_that_a_decoder_cannot_read_are_counted() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        let dir = tempfile::tempdir().unwrap();
        let coded = keyed_pictures(codec, [320, 180], 60, 30, colour);
        // A slice, a frame, of which nothing can be read.
        let unreadable = |whole: &[u8]| match codec {
            Codec::H264 => vec![0, 0, 0, 4, 0x41, 0xff, 0xff, 0xff],
            Codec::Av1 => vec![0x32, 3, 0xff, 0xff, 0xff],
            _ => whole[..3].to_vec(),
        };
        let sent = coded.iter().zip(0u64..).map(|(coded, number)| Sent {
            at_ns: S + number * S / 30,
            rtp: 3_000 * number,
            payloads: payloads(
                codec,
                &match number {
                    20 => unreadable(&coded.data),
                    _ if codec == Codec::H264 && coded.keyframe => {
                        with_parameter_sets(&coded.config, &coded.data)
                    }
                    _ => coded.data.clone(),
                },
            ),
        });
        record(dir.path(), &[(codec, TrackSource::Camera, sent.collect())], 4 * S);
        let (_, result) = rewatched(dir.path(), &small(), &[]);
        let report = &result.report["TR_0"];
        assert!((1..=10).contains(&report.broken), "{codec:?}: {report:?}");
        assert_eq!(report.dropped[&DropReason::Broken], report.broken, "{codec:?}");
        assert_eq!(
            report.pictures + report.broken,
            60,
            "{codec:?}: it goes on with the next keyframe at the latest"
        );
    }
}
