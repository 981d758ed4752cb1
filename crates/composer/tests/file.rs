//! The file itself: the same from a growing take, playable when the composer is killed, an ordinary MP4 at the end.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use common::{
    BLUE, GREEN, MS, Person, RED, S, Shot, YELLOW, add_packets, add_pictures, packets, person, pictures,
    probe, tone,
};
use reelroom_composer::{ComposeArgs, ComposeOptions, Follow, Layout, Preset, Size, compose, run};
use reelroom_take::{Codec, EndReason, SegmentId, Speaker, TakeEvent, TrackSource, testing::SyntheticTake};

/// Set for the child of `a_killed_composer_leaves_a_file_that_plays`: the take and the file.
const CHILD: &str = "REELROOM_TEST_COMPOSE";

fn call(dir: &Path, seconds: u64) -> PathBuf {
    let mut take = SyntheticTake::new("Test Room");
    person(&mut take, ["ann", "Ann"], (RED, 440.0), 0, seconds, Codec::Vp8);
    person(&mut take, ["bob", "Bob"], (BLUE, 1000.0), S, seconds - 1, Codec::H264);
    let path = dir.join("take");
    take.write(&path, seconds * S).unwrap();
    path
}

/// A copy of a take whose facts (and with them its complete marks) are still missing.
fn growing(take: &Path, copy: &Path) -> Vec<String> {
    fs::create_dir(copy).unwrap();
    for entry in fs::read_dir(take).unwrap().map(Result::unwrap) {
        if entry.file_name() != "events.jsonl" {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    fs::write(copy.join("events.jsonl"), "").unwrap();
    fs::read_to_string(take.join("events.jsonl")).unwrap().lines().map(|line| format!("{line}\n")).collect()
}

fn append(copy: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(copy.join("events.jsonl")).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn decodes(file: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_growing_take_gives_the_same_file_as_a_finished_one() {
    let dir = tempfile::tempdir().unwrap();
    let take = call(dir.path(), 4);
    let after = dir.path().join("after.mp4");
    let composed = compose(&take, &after, &ComposeOptions::default(), &mut |_| {}).unwrap();

    let copy = dir.path().join("growing");
    let lines = growing(&take, &copy);
    let live = dir.path().join("live.mp4");
    let options = ComposeOptions { follow: Follow::Live, ..ComposeOptions::default() };
    let tailed = thread::scope(|scope| {
        let composer = scope.spawn(|| compose(&copy, &live, &options, &mut |_| {}).unwrap());
        for line in &lines {
            // Also cut in the middle of a line.
            let (head, tail) = line.split_at(line.len() / 2);
            append(&copy, head);
            thread::sleep(Duration::from_millis(20));
            append(&copy, tail);
        }
        composer.join().unwrap()
    });
    assert_eq!(tailed, composed);
    assert!(fs::read(&live).unwrap() == fs::read(&after).unwrap(), "the files differ");
}

/// A call in which everything happens that a take knows: also another codec in the middle of a track, and reports that come late
/// and change much.
fn eventful() -> SyntheticTake {
    let mut take = SyntheticTake::new("Test Room");
    let participant = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &participant, TrackSource::Camera);
    let microphone = take.publish(0, &participant, TrackSource::Microphone);
    let size = [640, 360];
    add_pictures(&mut take, &camera, Codec::Vp8, size, 0, pictures(Codec::Vp8, size, 78, |_| RED));
    add_packets(&mut take, &microphone, 0, packets(&tone(440.0, 5.0)), |_| false);
    let ann = Person { participant, camera, microphone };
    let bob = person(&mut take, ["bob", "בוב"], (BLUE, 1000.0), S, 3, Codec::Vp9);
    let other = pictures(Codec::H264, size, 72, |_| YELLOW);
    add_pictures(&mut take, &ann.camera, Codec::H264, size, 2600 * MS, other);
    let screen = take.publish(3 * S, &ann.participant, TrackSource::ScreenShare);
    let size = [320, 240];
    let shared = pictures(Codec::H264, size, 45, |_| GREEN);
    add_pictures(&mut take, &screen, Codec::H264, size, 3 * S, shared);
    let speaks = |who: &Person, level| vec![Speaker { participant: who.participant.clone(), level }];
    for (at_ms, event) in [
        (300, TakeEvent::Speakers { speakers: speaks(&ann, 0.5) }),
        (1200, TakeEvent::Layout { layout: "speaker-light".into() }),
        (1900, TakeEvent::Speakers { speakers: speaks(&bob, 0.4) }),
        (2300, TakeEvent::Orientation { track: bob.camera.clone(), degrees: 270 }),
        (2400, TakeEvent::TrackMuted { track: ann.microphone.clone(), muted: true }),
        (2900, TakeEvent::TrackMuted { track: ann.microphone.clone(), muted: false }),
        (3700, TakeEvent::Layout { layout: "grid".into() }),
        (4000, TakeEvent::ParticipantLeft { participant: bob.participant.clone() }),
        (4200, TakeEvent::ParticipantNamed { participant: ann.participant.clone(), name: "Anna".into() }),
        (4500, TakeEvent::Layout { layout: "single-speaker".into() }),
    ] {
        take.event(at_ms * MS, event);
    }
    // Ann's clock says that her pictures are older than they seem, those of the second codec still more. Her reports are long under
    // way, and the first ones are lost. Segments are numbered as they begin.
    for (segment, track, begin_ms, rate, first_rtp, late_ms) in [
        (0, &ann.camera, 0, 90, 7_000_000_000, 60),
        (1, &ann.microphone, 0, 48, 90_000, 0),
        (4, &ann.camera, 2600, 90, 7_000_000_000, 170),
    ] {
        let end_ms = if segment == 0 { 2600 } else { 5000 };
        for said_ms in (begin_ms + 900..end_ms).step_by(700) {
            let ntp = ((5_000_000 + said_ms - late_ms) << 32) / 1000;
            let (segment, rtp) = (SegmentId(segment), first_rtp + (said_ms - begin_ms) * rate);
            let event = TakeEvent::SenderReport { track: track.clone(), segment, ntp, rtp };
            take.event((said_ms + 450) * MS, event);
        }
    }
    take
}

#[test]
fn the_encoders_get_the_same_while_the_take_grows_and_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let (take, live, after) =
        (dir.path().join("take"), dir.path().join("live.mp4"), dir.path().join("after.mp4"));
    let options = ComposeOptions { follow: Follow::Live, ..ComposeOptions::default() };
    let (is_there, waits) = std::sync::mpsc::channel();
    let tailed = thread::scope(|scope| {
        let (take, live, options) = (&take, &live, &options);
        let composer = scope.spawn(move || {
            waits.recv().unwrap();
            compose(take, live, options, &mut |_| {}).unwrap()
        });
        let pace = |at_ns: u64| {
            if at_ns == 0 {
                is_there.send(()).unwrap();
            }
            thread::sleep(Duration::from_millis(25 + at_ns / MS % 7 * 10));
        };
        eventful().write_growing(take, 5 * S, EndReason::Stopped, pace).unwrap();
        composer.join().unwrap()
    });
    let composed = compose(&take, &after, &ComposeOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(tailed, composed, "pictures_hash and sound_hash are of what went into the encoders");
    assert!(fs::read(&live).unwrap() == fs::read(&after).unwrap(), "the files differ");
    // Another picture has another hash.
    let grid = ComposeOptions { layout: Some(Layout::default()), ..ComposeOptions::default() };
    let other = compose(&take, &after, &grid, &mut |_| {}).unwrap();
    assert_ne!(other.pictures_hash, composed.pictures_hash);
    assert_eq!(other.sound_hash, composed.sound_hash);
}

#[test]
fn a_finished_file_is_an_ordinary_mp4() {
    let dir = tempfile::tempdir().unwrap();
    let (take, out) = (call(dir.path(), 3), dir.path().join("out.mp4"));
    let mut lines = Vec::new();
    let args = ComposeArgs {
        take,
        output: out.clone(),
        follow: true,
        layout: None,
        audio_only: false,
        preset: None,
        width: None,
        height: None,
        fps: None,
        video_kbps: None,
        audio_kbps: None,
        keyframe_ms: None,
        progress: true,
        skip: Vec::new(),
        crumb: None,
        journal: None,
        no_sandbox: true,
    };
    run(&args, &mut lines).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((last["state"].as_str(), last["duration_ns"].as_u64()), (Some("done"), Some(3 * S)));
    assert_eq!(last["size_bytes"].as_u64(), Some(fs::metadata(&out).unwrap().len()));

    decodes(&out);
    let bytes = fs::read(&out).unwrap();
    let at = |kind: &[u8; 4]| bytes.windows(4).position(|window| window == kind).unwrap();
    assert!(at(b"moov") < at(b"mdat"));
    assert_eq!(probe(&out, "stream=nb_frames,duration"), "3.000000,90\n3.000000,142");
    assert_eq!(
        probe(&out, "stream=width,height,r_frame_rate,pix_fmt,color_space"),
        "1280,720,yuv420p,smpte170m,30/1\n0/0"
    );
}

#[test]
fn a_killed_composer_leaves_a_file_that_plays() {
    let dir = tempfile::tempdir().unwrap();
    let (take, copy, out) = (call(dir.path(), 6), dir.path().join("growing"), dir.path().join("out.mp4"));
    let lines = growing(&take, &copy);
    append(&copy, &lines[..lines.len() * 9 / 10].concat());
    let mut child = Killed(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "composes_when_asked_to"])
            .env(CHILD, format!("{}\n{}", copy.display(), out.display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    // Nobody finishes the take, so the child has fragments but no end.
    while fs::metadata(&out).map_or(0, |meta| meta.len()) < 60_000 {
        assert!(child.0.try_wait().unwrap().is_none(), "the child ended");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(500));
    child.0.kill().unwrap();
    child.0.wait().unwrap();

    decodes(&out);
    let seconds: f64 = probe(&out, "format=duration").parse().unwrap();
    assert!(seconds > 1.9, "{seconds} s");
    Shot::at(&out, 1500).assert_colour([960, 300], BLUE);
}

/// No test of its own: what the killed child does.
#[test]
fn composes_when_asked_to() {
    let Some(paths) = std::env::var_os(CHILD) else { return };
    let paths = paths.into_string().unwrap();
    let (take, out) = paths.split_once('\n').unwrap();
    let options = ComposeOptions { follow: Follow::Live, ..ComposeOptions::default() };
    compose(Path::new(take), Path::new(out), &options, &mut |_| {}).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

#[test]
fn a_take_without_an_end_is_composed_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let take = call(dir.path(), 4);
    let copy = dir.path().join("open");
    let lines = growing(&take, &copy);
    append(&copy, &lines[..lines.len() * 3 / 4].concat());
    let out = dir.path().join("out.mp4");
    let preset =
        Preset { size: Size { width: 640, height: 360 }, frames_per_second: 15, ..Preset::default() };
    let options = ComposeOptions { preset, layout: Some(Layout::default()), ..ComposeOptions::default() };
    let composed = compose(&copy, &out, &options, &mut |_| {}).unwrap();
    assert!(composed.duration_ns > 2 * S && composed.duration_ns < 4 * S, "{}", composed.duration_ns);
    decodes(&out);
    assert_eq!(probe(&out, "stream=width,height,r_frame_rate"), "640,360,15/1\n0/0");
}

#[test]
fn what_is_no_take_or_no_place_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing = compose(
        &dir.path().join("nothing"),
        &dir.path().join("x.mp4"),
        &ComposeOptions::default(),
        &mut |_| {},
    );
    assert!(missing.unwrap_err().to_string().contains("no take in"));
    let take = call(dir.path(), 2);
    let nowhere = compose(&take, &dir.path().join("no/dir/x.mp4"), &ComposeOptions::default(), &mut |_| {});
    assert!(nowhere.unwrap_err().to_string().contains("cannot write"));
    let odd = Preset { frames_per_second: 7, ..Preset::default() };
    let options = ComposeOptions { preset: odd, ..ComposeOptions::default() };
    let preset = compose(&take, &dir.path().join("x.mp4"), &options, &mut |_| {});
    assert!(preset.unwrap_err().to_string().contains("picture rate"));
}
