//! Composers that die, and others that go on with their file: what comes of it is what one alone would have made.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    cell::Cell,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
};

use common::{BLUE, GREEN, MS, RED, S, YELLOW, add_packets, add_pictures, packets, pictures, probe, tone};
use reelroom_composer::{
    ComposeOptions, Composed, Keeper, Observer, Preset, Size, Skip, Step, canvas::Canvas, compose_kept,
};
use reelroom_take::{Codec, GapCause, Speaker, TakeEvent, TrackSource, testing::SyntheticTake};

const SECONDS: u64 = 46;

/// Two people, of whom one shares a screen and is renamed, packets that are lost, a mute, changes of layout; long enough for sound to be
/// gone through in part only.
fn call(dir: &Path) -> PathBuf {
    let mut take = SyntheticTake::new("Test Room");
    let size = [320, 180];
    let colours = [RED, GREEN, BLUE, YELLOW];
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let microphone = take.publish(0, &ann, TrackSource::Microphone);
    let coloured = |number: u64| colours[(number / 17) as usize % 4];
    add_pictures(&mut take, &camera, Codec::Vp8, size, 0, pictures(Codec::Vp8, size, SECONDS * 30, coloured));
    let sound: Vec<f32> = tone(300.0, SECONDS as f32)
        .iter()
        .enumerate()
        .map(|(at, sample)| sample * (0.3 + 0.7 * ((at / 9_600) % 5) as f32 / 4.0))
        .collect();
    add_packets(&mut take, &microphone, 0, packets(&sound), |number| number % 211 == 7);
    let bob = take.join(S, "bob", "Bob");
    let his = take.publish(S, &bob, TrackSource::Camera);
    let voice = take.publish(S, &bob, TrackSource::Microphone);
    let other = pictures(Codec::H264, size, (SECONDS - 2) * 30, |number| colours[(number / 45) as usize % 4]);
    add_pictures(&mut take, &his, Codec::H264, size, S, other);
    add_packets(&mut take, &voice, S, packets(&tone(700.0, SECONDS as f32 - 2.0)), |_| false);
    let screen = take.publish(4 * S, &bob, TrackSource::ScreenShare);
    // One picture, and then nothing: it is shown until the end.
    add_pictures(&mut take, &screen, Codec::Vp8, size, 4 * S, pictures(Codec::Vp8, size, 1, |_| GREEN));
    for (at_ms, event) in [
        (3_000, TakeEvent::Layout { layout: "speaker".into() }),
        (3_500, TakeEvent::Speakers { speakers: vec![Speaker { participant: bob.clone(), level: 0.5 }] }),
        (
            6_000,
            TakeEvent::Gap {
                track: his.clone(),
                from_ns: 5 * S,
                to_ns: 6 * S,
                missing: 3,
                cause: GapCause::Network,
            },
        ),
        (7_000, TakeEvent::ParticipantNamed { participant: ann.clone(), name: "Anna".into() }),
        (17_000, TakeEvent::TrackMuted { track: voice.clone(), muted: true }),
        (19_000, TakeEvent::TrackMuted { track: voice.clone(), muted: false }),
        (21_000, TakeEvent::TrackMuted { track: his.clone(), muted: true }),
        (33_000, TakeEvent::TrackMuted { track: his.clone(), muted: false }),
        (41_000, TakeEvent::Layout { layout: "grid".into() }),
    ] {
        take.event(at_ms * MS, event);
    }
    let path = dir.join("take");
    take.write(&path, SECONDS * S).unwrap();
    path
}

fn options() -> ComposeOptions {
    let preset = Preset { size: Size { width: 320, height: 180 }, ..Preset::default() };
    ComposeOptions { preset, ..ComposeOptions::default() }
}

/// Dies before picture number `dies`, or at a step whose text has something in it; counts what it does.
struct Mortal<'a> {
    dies: Option<u64>,
    dies_at: &'a str,
    pictures: Cell<u64>,
    decoded: Cell<u64>,
}

impl Mortal<'_> {
    fn immortal() -> Self {
        Self { dies: None, dies_at: "\n", pictures: Cell::new(0), decoded: Cell::new(0) }
    }
}

impl Observer for Mortal<'_> {
    fn begin(&mut self, step: &Step<'_>) {
        if let Step::Decode { .. } = step {
            self.decoded.set(self.decoded.get() + 1);
        }
        assert!(!serde_json::to_string(step).unwrap().contains(self.dies_at), "it dies on purpose");
    }

    fn picture(&mut self, number: u64, _canvas: &Canvas) {
        assert_ne!(Some(number), self.dies, "it dies on purpose");
        self.pictures.set(self.pictures.get() + 1);
    }
}

fn kept(dir: &Path, options: &ComposeOptions, observer: &mut Mortal<'_>) -> Option<Composed> {
    let keeper = Keeper::open(&dir.join("journal")).unwrap();
    let (take, out) = (dir.join("take"), dir.join("out.mp4"));
    catch_unwind(AssertUnwindSafe(|| compose_kept(&take, &out, options, Some(keeper), observer).unwrap()))
        .ok()
}

fn samples(file: &Path) -> Vec<i16> {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(file)
        .args(["-map", "0:a", "-f", "s16le", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect()
}

#[test]
fn composers_that_die_again_and_again_end_with_what_one_alone_makes() {
    let dir = tempfile::tempdir().unwrap();
    call(dir.path());
    let whole = dir.path().join("whole.mp4");
    let take = dir.path().join("take");
    let mut alone = Mortal::immortal();
    let wanted = compose_kept(&take, &whole, &options(), None, &mut alone).unwrap();
    let mut all = (0, 0);
    for dies in [400, 401, 950, 1_330] {
        let mut mortal = Mortal { dies: Some(dies), ..Mortal::immortal() };
        assert!(kept(dir.path(), &options(), &mut mortal).is_none());
        all = (all.0 + mortal.pictures.get(), all.1 + mortal.decoded.get());
    }
    let mut last = Mortal::immortal();
    let composed = kept(dir.path(), &options(), &mut last).unwrap();
    all = (all.0 + last.pictures.get(), all.1 + last.decoded.get());
    assert_eq!(Composed { size_bytes: 0, ..composed.clone() }, Composed { size_bytes: 0, ..wanted.clone() });
    // Four deaths cost the seconds that were not in the file: five of the pace of keeping and two that the encoder holds back.
    assert!(all.0 < alone.pictures.get() + 4 * 7 * 30, "{} pictures of {}", all.0, alone.pictures.get());
    assert!(last.pictures.get() <= 7 * 30, "{} pictures by the last one", last.pictures.get());
    assert!(last.decoded.get() < alone.decoded.get(), "what was before is not decoded");

    let out = dir.path().join("out.mp4");
    assert_eq!(fs::metadata(&out).unwrap().len(), composed.size_bytes);
    // What is heard is the same, to the last bits of what another encoder makes of the same sound: no click, no shift.
    let (heard, expected) = (samples(&out), samples(&whole));
    assert_eq!(heard.len(), expected.len());
    let worst =
        heard.iter().zip(&expected).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).max().unwrap();
    assert!(worst < 1_000, "sound differs by {worst}");
    for second in 0..SECONDS as usize {
        let range = second * 96_000..((second + 1) * 96_000).min(heard.len());
        let error: f64 =
            range.clone().map(|at| (f64::from(heard[at]) - f64::from(expected[at])).powi(2)).sum();
        let energy: f64 = range.map(|at| f64::from(expected[at]).powi(2)).sum();
        assert!(error * 10_000.0 < energy + 1e6, "second {second}: {error} of {energy}");
    }
    let pictures = probe(&out, "stream=nb_frames");
    assert!(pictures.contains(&(SECONDS * 30).to_string()), "{pictures}");
    // And it is all there once more, without anything to be done.
    let mut again = Mortal::immortal();
    assert_eq!(kept(dir.path(), &options(), &mut again).unwrap(), composed);
    assert_eq!((again.pictures.get(), again.decoded.get()), (0, 0));
}

#[test]
fn what_is_of_another_take_or_made_otherwise_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    call(dir.path());
    let die = |dies: u64, options: &ComposeOptions| {
        let mut mortal = Mortal { dies: Some(dies), ..Mortal::immortal() };
        assert!(kept(dir.path(), options, &mut mortal).is_none());
        mortal.pictures.get()
    };
    assert_eq!(die(300, &options()), 300);
    assert_eq!(die(300, &options()), 150, "it goes on behind second 5");
    let faster = Preset { video_kbps: 1000, ..options().preset };
    assert_eq!(die(300, &ComposeOptions { preset: faster, ..options() }), 300);
}

#[test]
fn a_damaged_file_or_journal_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    call(dir.path());
    let (journal, out) = (dir.path().join("journal"), dir.path().join("out.mp4"));
    let die = |dies: u64| {
        let mut mortal = Mortal { dies: Some(dies), ..Mortal::immortal() };
        assert!(kept(dir.path(), &options(), &mut mortal).is_none());
        mortal.pictures.get()
    };
    die(300);
    let (kept_journal, kept_out) = (fs::read(&journal).unwrap(), fs::read(&out).unwrap());
    let restore = || {
        fs::write(&journal, &kept_journal).unwrap();
        fs::write(&out, &kept_out).unwrap();
    };
    fs::remove_file(&out).unwrap();
    assert_eq!(die(200), 200);
    restore();
    fs::write(&out, &kept_out[..20_000]).unwrap();
    assert_eq!(die(200), 200);
    restore();
    let at = kept_journal.iter().rposition(|byte| *byte == b'}').unwrap();
    let mut damaged = kept_journal.clone();
    damaged[at - 10] ^= 4;
    fs::write(&journal, damaged).unwrap();
    assert_eq!(die(200), 200);
    restore();
    // A store that took the file over knows it by another name: it is left as it is.
    let other = dir.path().join("stored.mp4");
    fs::hard_link(&out, &other).unwrap();
    fs::remove_file(&out).unwrap();
    fs::copy(&other, &out).unwrap();
    assert_eq!(die(200), 50);
    assert!(fs::read(&other).unwrap() == kept_out);
}

#[test]
fn what_kills_is_skipped_by_whoever_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    call(dir.path());
    let track = "TR_ann_Camera";
    // Frame 610 of Ann's camera, some 20 s after the beginning.
    let place = format!("\"track\":\"{track}\",\"segment\":0,\"frame\":610,");
    let mut mortal = Mortal { dies_at: &place, ..Mortal::immortal() };
    assert!(kept(dir.path(), &options(), &mut mortal).is_none());
    let mut mortal = Mortal { dies_at: &place, ..Mortal::immortal() };
    assert!(kept(dir.path(), &options(), &mut mortal).is_none());
    assert!(mortal.pictures.get() < 300, "it went on");
    let at_ns = 610 * S / 30 + common::DELAY_NS;
    let skip = Skip {
        track: Some(track.into()),
        from_ns: at_ns - 20 * MS,
        to_ns: at_ns + 10 * MS,
        why: "it crashed".into(),
    };
    let skipping = ComposeOptions { skips: vec![skip], ..options() };
    let mut last = Mortal { dies_at: &place, ..Mortal::immortal() };
    let composed = kept(dir.path(), &skipping, &mut last).unwrap();
    let whole = dir.path().join("whole.mp4");
    let wanted =
        compose_kept(&dir.path().join("take"), &whole, &skipping, None, &mut Mortal::immortal()).unwrap();
    assert_eq!(Composed { size_bytes: 0, ..composed }, Composed { size_bytes: 0, ..wanted });
}
