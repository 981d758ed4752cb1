//! The supervisor and composers that really die. This test program is its own composer: [`composer_process`] does nothing unless it is
//! called by the supervisor, and dies where the environment says, unless that is skipped.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command as Program;
use std::time::Instant;

use clap::Parser as _;
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::filter::Filter;
use reelroom_composer::{ComposeArgs, Observer, Step};
use reelroom_take::testing::{SyntheticTake, opus_spec, vp8_spec};
use reelroom_take::{EndReason, Frame, TrackSource};
use serde_json::Value;

use super::*;
use crate::priority::NICENESS;

const ARGUMENTS: &str = "REELROOM_TEST_COMPOSE";
const DIES: &str = "REELROOM_TEST_DIES";
const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
/// A packet of 20 ms of silence (RFC 6716, 3.1: CELT, fullband, mono, one frame).
const SILENT: &[u8] = &[0xf8, 0xff, 0xfe];

#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    compose: ComposeArgs,
}

/// Dies of steps whose crumb contains a text.
struct Mortal {
    dies: Option<(String, String)>,
}

impl Observer for Mortal {
    fn begin(&mut self, step: &Step<'_>) {
        let Some((how, place)) = &self.dies else { return };
        if serde_json::to_string(step).unwrap().contains(place) {
            match how.as_str() {
                "abort" => std::process::abort(),
                "panic" => panic!("on purpose"),
                _ => std::thread::sleep(Duration::from_secs(600)),
            }
        }
    }
}

#[test]
fn composer_process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let arguments = Arguments::parse_from(std::iter::once("compose").chain(arguments.lines())).compose;
    let pids = arguments.take.parent().unwrap().join("pids");
    let mut pids = fs::OpenOptions::new().append(true).create(true).open(pids).unwrap();
    pids.write_all(format!("{}\n", std::process::id()).as_bytes()).unwrap();
    let dies = std::env::var(DIES).ok().filter(|dies| !dies.is_empty());
    let dies = dies.map(|dies| dies.split_once(' ').map(|(how, place)| (how.into(), place.into())).unwrap());
    // What tests print is captured unless it is written like this.
    reelroom_composer::run_observed(&arguments, &mut std::io::stdout(), &mut Mortal { dies }).unwrap();
}

/// `seconds` of grey pictures that get lighter, a keyframe each second.
fn pictures(seconds: u64) -> Vec<(Vec<u8>, bool)> {
    gst::init().unwrap();
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", 64i32)
        .field("height", 64i32)
        .field("framerate", gst::Fraction::new(30, 1))
        .build();
    let mut encoder = Filter::new("vp8enc", "", gst::Caps::builder("video/x-vp8").build(), |element| {
        element.set_property("deadline", 1i64);
        element.set_property("keyframe-max-dist", 30i32);
        element.set_property("lag-in-frames", 0i32);
    })
    .unwrap();
    let mut coded = Vec::new();
    for number in 0..seconds * 30 {
        let mut buffer = gst::Buffer::from_mut_slice(vec![40 + number as u8; 64 * 64 * 3 / 2]);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(number * S / 30));
        for caught in encoder.push(buffer, &caps).unwrap() {
            let keyframe = !caught.buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
            coded.push((caught.buffer.map_readable().unwrap().to_vec(), keyframe));
        }
    }
    assert_eq!(coded.len() as u64, seconds * 30);
    coded
}

/// Ann with camera and microphone for so long.
fn call(seconds: u64) -> SyntheticTake {
    let mut take = SyntheticTake::new("r");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(0, &ann, TrackSource::Camera);
    let microphone = take.publish(0, &ann, TrackSource::Microphone);
    let segment = take.segment(&camera, vp8_spec(0, 0, 64, 64));
    for (number, (data, keyframe)) in (0..).zip(pictures(seconds)) {
        let at_ns = number * S / 30;
        take.frame(segment, Frame { rtp: number * 3_000, at_ns, keyframe, data: data.into() });
    }
    let segment = take.segment(&microphone, opus_spec(0, 0));
    for number in 0..seconds * 50 {
        let at_ns = number * 20 * MS;
        take.frame(segment, Frame { rtp: number * 960, at_ns, keyframe: true, data: SILENT.into() });
    }
    take
}

/// The supervisor of this very program, which dies so.
fn composition(root: &Path, dies: &str, growth: Growth) -> Composition {
    let script = format!(
        "{DIES}='{dies}' {ARGUMENTS}=\"$(printf '%s\\n' \"$@\")\" exec '{}' --exact compose::real_tests::composer_process --nocapture",
        std::env::current_exe().unwrap().display()
    );
    Composition {
        egress: "EG_1".into(),
        command: ["sh", "-c", &script, "composer"].map(OsString::from).to_vec(),
        take: root.join("take"),
        output: root.join("out.mp4"),
        registry: root.join("registry.bin"),
        encoding: Encoding { width: 128, height: 128, ..Encoding::default() },
        audio_only: false,
        growth,
        silence: Duration::from_secs(60),
        progress: Arc::default(),
        wanted: CancellationToken::new(),
        growth_told: Growths::default(),
    }
}

/// Number of pictures and seconds of sound in a file that plays without a complaint.
fn played(root: &Path) -> (u64, f64) {
    let file = root.join("out.mp4");
    let entries = "stream=nb_read_frames,duration,codec_type";
    let probe = Program::new("ffprobe")
        .args(["-v", "warning", "-count_frames", "-show_entries", entries, "-of", "json"])
        .arg(file)
        .output()
        .unwrap();
    assert!(probe.stderr.is_empty(), "{}", String::from_utf8_lossy(&probe.stderr));
    let probed: Value = serde_json::from_slice(&probe.stdout).unwrap();
    let stream = |kind: &str| {
        probed["streams"]
            .as_array()
            .unwrap()
            .iter()
            .find(|stream| stream["codec_type"] == kind)
            .unwrap()
            .clone()
    };
    let number = |value: &Value| value.as_str().unwrap().to_owned();
    (
        number(&stream("video")["nb_read_frames"]).parse().unwrap(),
        number(&stream("audio")["duration"]).parse().unwrap(),
    )
}

fn starts(root: &Path) -> usize {
    fs::read_to_string(root.join("pids")).unwrap().lines().count()
}

/// Composes four seconds with a composer that dies so; gives back what was skipped.
async fn survives(dies: &str) -> (tempfile::TempDir, Vec<Value>) {
    let root = tempfile::tempdir().unwrap();
    call(4).write(&root.path().join("take"), 4 * S).unwrap();
    let mut composition = composition(root.path(), dies, Growth::Ended);
    if dies.starts_with("hang") {
        // Long enough for one to begin on a busy machine.
        composition.silence = Duration::from_secs(5);
    }
    let progress = Arc::clone(&composition.progress);
    let composed = composition.run().await.unwrap();
    assert_eq!(composed.duration_ns, 4 * S);
    let (pictures, sound_s) = played(root.path());
    assert_eq!(pictures, 120, "nothing is shorter for it");
    assert!((sound_s - 4.0).abs() < 0.03, "{sound_s}");
    assert_eq!(progress.skips().len(), composed.report.skipped.len());
    assert!(!crumb_of(&root.path().join("out.mp4")).exists());
    (root, composed.report.skipped)
}

#[tokio::test]
async fn a_frame_that_kills_three_times_is_skipped_and_the_report_says_where() {
    let (root, skipped) = survives(r#"abort "track":"TR_ann_Camera","segment":0,"frame":40,"#).await;
    assert_eq!(starts(root.path()), 4);
    let [skipped] = &skipped[..] else { panic!("{skipped:?}") };
    assert_eq!((&skipped["track"], &skipped["participant"]), (&"TR_ann_Camera".into(), &"Ann".into()));
    assert_eq!(skipped["why"], "it crashed (signal 6)");
    // Blind until the next keyframe, which is frame 60.
    let (from_ns, to_ns) = (skipped["from_ns"].as_u64().unwrap(), skipped["to_ns"].as_u64().unwrap());
    assert!(from_ns.abs_diff(40 * S / 30) < 40 * MS && to_ns.abs_diff(2 * S) < 40 * MS, "{skipped}");
}

#[tokio::test]
async fn a_packet_that_hangs_is_skipped_and_concealed() {
    let (root, skipped) = survives(r#"hang "track":"TR_ann_Microphone","segment":1,"frame":75,"#).await;
    assert!(starts(root.path()) >= 4);
    let [skipped] = &skipped[..] else { panic!("{skipped:?}") };
    assert_eq!((&skipped["track"], &skipped["participant"]), (&"TR_ann_Microphone".into(), &"Ann".into()));
    let (from_ns, to_ns) = (skipped["from_ns"].as_u64().unwrap(), skipped["to_ns"].as_u64().unwrap());
    assert!(from_ns.abs_diff(1_500 * MS) < 5 * MS && to_ns.abs_diff(1_520 * MS) < 5 * MS, "{skipped}");
}

#[tokio::test]
async fn where_no_track_can_be_blamed_a_span_shows_the_last_picture() {
    let (root, skipped) = survives(r#"panic "doing":"picture","number":30,"#).await;
    assert_eq!(starts(root.path()), 4);
    let [skipped] = &skipped[..] else { panic!("{skipped:?}") };
    assert!(skipped["track"].is_null());
    assert_eq!(skipped["why"], "it crashed (panic)");
    let (from_ns, to_ns) = (skipped["from_ns"].as_u64().unwrap(), skipped["to_ns"].as_u64().unwrap());
    assert!(from_ns == S && to_ns.abs_diff(1_533 * MS) < 20 * MS, "{skipped}");
}

#[tokio::test]
async fn what_cannot_be_skipped_fails_with_one_readable_reason() {
    let root = tempfile::tempdir().unwrap();
    call(1).write(&root.path().join("take"), S).unwrap();
    let error = composition(root.path(), r#"abort "doing":"finish""#, Growth::Ended).run().await.unwrap_err();
    assert_eq!(error, "the composer died again and again: it crashed (signal 6)");
    assert_eq!(starts(root.path()), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn composers_that_are_killed_while_the_call_goes_on_end_with_the_whole_file() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let began = Instant::now();
    let (there, is_there) = std::sync::mpsc::channel();
    let recording = std::thread::spawn(move || {
        call(6).write_growing(&dir, 6 * S, EndReason::Stopped, |now_ns| {
            let _ = there.send(());
            std::thread::sleep(Duration::from_nanos(now_ns).saturating_sub(began.elapsed()));
        })
    });
    is_there.recv().unwrap();
    let composition = composition(root.path(), "", Growth::Follow);
    let progress = Arc::clone(&composition.progress);
    let composing = tokio::spawn(composition.run());
    // Numerical Recipes' generator: the moments are random, and always the same.
    let (mut seed, mut kills, mut known) = (4_711u32, 0, 0);
    while began.elapsed() < Duration::from_secs(6) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        tokio::time::sleep(Duration::from_millis(u64::from(seed >> 22) + 200)).await;
        let pids = fs::read_to_string(root.path().join("pids")).unwrap_or_default();
        let pids: Vec<&str> = pids.lines().collect();
        // Whoever dies again and again before the first step is given up: there is nothing to skip.
        let crumb = fs::read(crumb_of(&root.path().join("out.mp4"))).unwrap_or_default();
        let has_begun = Place::parse(&crumb) != Place::Start;
        if pids.len() > known
            && has_begun
            && let Some(pid) = pids.last().and_then(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?))
        {
            known = pids.len();
            kills += u32::from(rustix::process::kill_process(pid, Signal::KILL).is_ok());
        }
    }
    recording.join().unwrap().unwrap();
    let composed = composing.await.unwrap().unwrap();
    assert!(kills >= 3, "{kills}");
    assert_eq!(composed.duration_ns, 6 * S);
    assert!(composed.report.skipped.is_empty() && progress.skips().is_empty());
    assert_eq!(played(root.path()).0, 180);
}

/// Of each thread of a process.
fn niceness(pid: &str) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).ok());
    // The nineteenth field; the second one is a name in brackets, of any letters.
    let nice = |stat: String| stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse();
    stats.map(|stat| nice(stat).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_threads_of_a_composer_hurry_when_somebody_waits() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let (there, is_there) = std::sync::mpsc::channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let recording = std::thread::spawn(move || {
        call(4).write_growing(&dir, 4 * S, EndReason::Stopped, |now_ns| {
            let _ = there.send(());
            if now_ns >= 3 * S {
                let _ = may_end.recv();
            }
        })
    });
    is_there.recv().unwrap();
    let wanted = CancellationToken::new();
    let composition = Composition { wanted: wanted.clone(), ..composition(root.path(), "", Growth::Follow) };
    let progress = Arc::clone(&composition.progress);
    let composing = tokio::spawn(composition.run());
    let until = async |what: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !what() {
            assert!(Instant::now() < deadline, "not within half a minute");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until(&|| progress.composed_ns.load(Ordering::Relaxed) > 0).await;
    let pid = fs::read_to_string(root.path().join("pids")).unwrap().trim().to_owned();
    let own = rustix::process::getpriority_process(None).unwrap();
    let threads = niceness(&pid);
    assert!(threads.len() > 4, "the encoder has threads of its own: {threads:?}");
    assert!(threads.iter().all(|nice| *nice == (own + NICENESS).min(19)), "{threads:?}");
    wanted.cancel();
    if rustix::process::geteuid().is_root() {
        until(&|| niceness(&pid).iter().all(|nice| *nice == own)).await;
    } else {
        eprintln!("only root may give priority back: that was not tested");
    }
    drop(end);
    recording.join().unwrap().unwrap();
    assert_eq!(composing.await.unwrap().unwrap().duration_ns, 4 * S);
}
