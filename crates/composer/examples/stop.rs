//! How long from Stop to the playable file when the composer has kept up, by the recording's length:
//! `cargo run --release --example stop [MINUTES,MINUTES,...] [WIDTHxHEIGHT]`, by default 1 and 60 minutes in 1280x720.
//!
//! ```text
//!   all but the last seconds, as fast as it goes ──> composed ──> the last seconds in their own time ──> Stop ──> file
//!                                                                                                        └ measured ┘
//! ```
//!
//! The take is of two people (VP8 640x360, Opus), written by the take's own writer; the composer tails it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use common::{Coded, MS, S, coded_pictures, packets, person_joins, tone};
use reelroom_composer::{ComposeOptions, Follow, Preset, Progress, Size, compose};
use reelroom_take::{Codec, EndReason, Frame, SegmentId, Take, TakeHandle, TakeHeader, TakeOptions};

const PEOPLE: usize = 2;
const SIZE: [u32; 2] = [640, 360];
/// How much is recorded in real time before Stop.
const LAST_NS: u64 = 3 * S;
const MARK_NS: u64 = 200 * MS;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let minutes: Vec<u64> = arguments
        .first()
        .map_or(vec![1, 60], |text| text.split(',').map(|minutes| minutes.parse().unwrap()).collect());
    let size = arguments.get(1).map_or(Size { width: 1280, height: 720 }, |text| {
        let (width, height) = text.split_once('x').unwrap();
        Size { width: width.parse().unwrap(), height: height.parse().unwrap() }
    });
    let media = Media::new();
    println!("minutes  file_mb  composed_x  stop_to_file_ms");
    for minutes in minutes {
        measure(&media, minutes, Preset { size, ..Preset::default() });
    }
}

/// Two seconds of each track, recorded again and again.
struct Media {
    pictures: Vec<Vec<Coded>>,
    sounds: Vec<Vec<Bytes>>,
}

impl Media {
    fn new() -> Self {
        let pictures = (0..PEOPLE).map(|person| coded_pictures(Codec::Vp8, SIZE, 60, |n| moving(person, n)));
        let sounds = (0..PEOPLE).map(|person| {
            packets(&tone(300.0 + 200.0 * person as f32, 2.0)).into_iter().map(Bytes::from).collect()
        });
        Self { pictures: pictures.collect(), sounds: sounds.collect() }
    }
}

/// Stripes that wander, with the grain of a camera, I420.
fn moving(person: usize, number: u64) -> Vec<u8> {
    let [width, height] = SIZE.map(u64::from);
    let mut noise = (number * 7 + person as u64 + 1) as u32;
    let mut picture: Vec<u8> = (0..width * height)
        .map(|i| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = ((i % width + number * 4) as f32 / 40.0).sin() + ((i / width) as f32 / 25.0).cos();
            (120.0 + 40.0 * wave) as u8 + (noise >> 29) as u8
        })
        .collect();
    picture.resize(picture.len() * 5 / 4, 100 + 20 * person as u8);
    picture.resize(SIZE[0] as usize * SIZE[1] as usize * 3 / 2, 140);
    picture
}

fn measure(media: &Media, minutes: u64, preset: Preset) {
    let dir = tempfile::tempdir().unwrap();
    let (take, out) = (dir.path().join("take"), dir.path().join("out.mp4"));
    let end_ns = minutes * 60 * S;
    let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
    let header = TakeHeader::new("EG_stop", "Stop", "RM_stop", 1_767_225_600_000_000_000);
    let handle = Take::create_with(&take, header, unbounded).unwrap();
    let segments = open(&handle);
    let (waits, waiting) = mpsc::channel();
    let composer = thread::spawn({
        let (take, out) = (take.clone(), out.clone());
        let mut before = 0;
        // It tells the same position again when it waits for more.
        let mut progress = move |progress: Progress| {
            if std::mem::replace(&mut before, progress.position_ns) == progress.position_ns {
                let _ = waits.send(progress.position_ns);
            }
        };
        let options = ComposeOptions { preset, follow: Follow::Live, ..ComposeOptions::default() };
        move || compose(&take, &out, &options, &mut progress).unwrap()
    });
    let begun = Instant::now();
    let live_ns = end_ns - LAST_NS;
    let mut written_ns = 0;
    while written_ns < live_ns {
        write(media, &handle, &segments, written_ns, written_ns + MARK_NS);
        written_ns += MARK_NS;
        // A writer's queue holds what the disk has not taken yet.
        if written_ns.is_multiple_of(60 * S) {
            thread::sleep(Duration::from_millis(50));
        }
    }
    // Two seconds behind is as near as a composer comes to a take that may still be added to.
    while waiting.recv().unwrap() + 2 * S < live_ns {}
    let speed = live_ns as f64 / 1e9 / begun.elapsed().as_secs_f64();
    let live = Instant::now();
    while written_ns < end_ns {
        let due = Duration::from_nanos(written_ns + MARK_NS - live_ns);
        thread::sleep(due.saturating_sub(live.elapsed()));
        write(media, &handle, &segments, written_ns, written_ns + MARK_NS);
        written_ns += MARK_NS;
    }
    let stopped = Instant::now();
    handle.finish(end_ns, EndReason::Stopped).unwrap();
    let composed = composer.join().unwrap();
    let stop_to_file_ms = stopped.elapsed().as_millis();
    assert_eq!(composed.duration_ns, end_ns);
    is_whole(&out);
    let megabytes = composed.size_bytes as f64 / 1e6;
    println!("{minutes:7}  {megabytes:7.1}  {speed:10.1}  {stop_to_file_ms:15}");
}

/// Everybody joins; gives back each one's segments.
fn open(handle: &TakeHandle) -> Vec<[SegmentId; 2]> {
    (0..PEOPLE).map(|person| person_joins(handle, person, SIZE)).collect()
}

/// Writes what arrives in a stretch of the take.
fn write(media: &Media, handle: &TakeHandle, segments: &[[SegmentId; 2]], from_ns: u64, to_ns: u64) {
    for ((pictures, sounds), [seen, heard]) in media.pictures.iter().zip(&media.sounds).zip(segments) {
        for number in from_ns * 30 / S..to_ns * 30 / S {
            let Coded { data, keyframe, .. } = &pictures[(number % 60) as usize];
            let (rtp, at_ns, data) = (number * 3000, number * S / 30, Bytes::copy_from_slice(data));
            handle.frame(*seen, Frame { rtp, at_ns, keyframe: *keyframe, data });
        }
        for number in from_ns / (20 * MS)..to_ns / (20 * MS) {
            let data = sounds[(number % 100) as usize].clone();
            let frame = Frame { rtp: number * 960, at_ns: number * 20 * MS, keyframe: true, data };
            handle.frame(*heard, frame);
        }
    }
    handle.complete(to_ns, to_ns - 1);
}

/// Whether its index is there.
fn is_whole(file: &Path) {
    let said = common::probe(file, "stream=nb_frames");
    assert!(!said.contains("N/A"), "{said}");
    fs::remove_file(file).unwrap();
}
