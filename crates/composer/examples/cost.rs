//! What composing costs beside the decoding and encoding it cannot do without:
//! `cargo run --release --example cost [SECONDS] [PEOPLE,PEOPLE,...] [WIDTHxHEIGHT]`, by default 8 seconds of 1, 4, 9 and 16 people with
//! cameras of 640x360.
//!
//! Builds takes (VP8, Opus), composes them, then decodes the same frames and packets and encodes the very same pictures and sound
//! with the same elements and nothing in between: no resampling, no drawing, no copies, no file. Processor time of the whole
//! process, user and system, in nanoseconds.
//!
//! The sides take turns, each for a whole take at a time, so that what else the machine does slows them down alike; each ratio is of
//! neighbours in time. Printed is the median of the ratios, with the least and the greatest, and of each side.
//!
//! Decoding and encoding are measured one after the other, and at once: processors that share a core's units are slower while both
//! are busy, as they are while composing. `ratio` is of their sum, `at once` of both together.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{collections::BTreeMap, path::Path, time::Instant};

use common::{S, add_packets, add_pictures, coded_pictures, packets, tone};
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::{
    ComposeOptions, Observer, Preset,
    canvas::Canvas,
    compose, compose_observed,
    encode::{aac_filter, h264_filter},
    filter::Filter,
    video::{Showing, VideoDecoder},
};
use reelroom_take::{
    Codec, SegmentId, SegmentOpened, TakeEvent, TakeFrame, TakeItem, TakeReader, TrackSource,
    testing::SyntheticTake,
};
use rustix::time::{ClockId, clock_gettime};

const RUNS: usize = 9;
/// Cameras of so many people are encoded once and shared in turn: encoding them would take longer than measuring.
const FACES: u64 = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds: u64 = arguments.first().map_or(8, |text| text.parse().unwrap());
    let people: Vec<u64> = arguments
        .get(1)
        .map_or(vec![1, 4, 9, 16], |text| text.split(',').map(|count| count.parse().unwrap()).collect());
    let size = arguments.get(2).map_or([640, 360], |text| {
        let (width, height) = text.split_once('x').unwrap();
        [width.parse().unwrap(), height.parse().unwrap()]
    });
    let faces: Vec<_> = (0..FACES)
        .map(|person| coded_pictures(Codec::Vp8, size, seconds * 30, |frame| face(size, person, frame)))
        .collect();
    println!(
        "people  composing  wall x   decoding  encoding   both  ratio  (least, greatest)  at once   (cores; cameras {}x{})",
        size[0], size[1]
    );
    for count in people {
        let dir = tempfile::tempdir().unwrap();
        let (take, out) = (dir.path().join("take"), dir.path().join("out.mp4"));
        build(count, seconds, size, &faces).write(&take, seconds * S).unwrap();
        let options = ComposeOptions::default();
        let mut fed = Fed::default();
        compose_observed(&take, &out, &options, &mut fed).unwrap();
        let frames = frames(&take);
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let begun = Instant::now();
            let composing = processor_s(|| {
                compose(&take, &out, &options, &mut |_| {}).unwrap();
            });
            let wall = begun.elapsed().as_secs_f64();
            let decoding = processor_s(|| decode_alone(&frames));
            let encoding = processor_s(|| encode_alone(&fed, options.preset));
            let both = processor_s(|| {
                std::thread::scope(|scope| {
                    scope.spawn(|| decode_alone(&frames));
                    encode_alone(&fed, options.preset);
                });
            });
            let ratio = composing / (decoding + encoding);
            runs.push([composing, wall, decoding, encoding, both, ratio, composing / both]);
        }
        let sorted: [Vec<f64>; 7] = std::array::from_fn(|column| {
            let mut values: Vec<f64> = runs.iter().map(|run| run[column]).collect();
            values.sort_by(f64::total_cmp);
            values
        });
        let [composing, wall, decoding, encoding, both, ratio, at_once] =
            sorted.each_ref().map(|values| values[RUNS / 2]);
        let cores = |processor_s: f64| processor_s / seconds as f64;
        println!(
            "{count:6}  {:9.3}  {:6.1}  {:9.3}  {:8.3}  {:5.3}  {ratio:5.2}       ({:4.2}, {:4.2})  {at_once:7.2}",
            cores(composing),
            seconds as f64 / wall,
            cores(decoding),
            cores(encoding),
            cores(both),
            sorted[5][0],
            sorted[5][RUNS - 1],
        );
    }
}

/// Everything that went into the encoders.
#[derive(Default)]
struct Fed {
    pictures: Vec<gst::Buffer>,
    sounds: Vec<gst::Buffer>,
}

impl Observer for Fed {
    fn picture(&mut self, _number: u64, canvas: &Canvas) {
        let mut bytes = Vec::new();
        for plane in 0..3 {
            let (rows, stride) = canvas.plane(plane);
            let width = canvas.size().width as usize >> usize::from(plane > 0);
            rows.chunks(stride).for_each(|row| bytes.extend_from_slice(&row[..width]));
        }
        self.pictures.push(gst::Buffer::from_slice(bytes));
    }

    fn sound(&mut self, samples: &[f32]) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.sounds.push(gst::Buffer::from_slice(bytes));
    }
}

fn build(count: u64, seconds: u64, size: [u32; 2], faces: &[Vec<common::Coded>]) -> SyntheticTake {
    let mut take = SyntheticTake::new("Cost");
    for number in 0..count {
        let (identity, name) = (format!("p{number}"), format!("Person {number} مريم"));
        let participant = take.join(0, &identity, &name);
        let camera = take.publish(0, &participant, TrackSource::Camera);
        let microphone = take.publish(0, &participant, TrackSource::Microphone);
        let coded = faces[(number % FACES) as usize].clone();
        add_pictures(&mut take, &camera, Codec::Vp8, size, 0, coded);
        let hz = 200.0 + 40.0 * number as f32;
        add_packets(&mut take, &microphone, 0, packets(&tone(hz, seconds as f32)), |_| false);
    }
    take
}

/// Something like a person before a wall with a noisy camera, I420.
fn face([width, height]: [u32; 2], person: u64, frame: u64) -> Vec<u8> {
    let (width, height) = (width as f32, height as f32);
    let scale = 360.0 / height;
    let sway = ((frame + person * 40) as f32 / 23.0).sin() * 24.0;
    let mut noise = 0x9e37_79b9_u32.wrapping_mul((frame * 7 + person + 1) as u32);
    let mut planes = Vec::new();
    for plane in 0..3 {
        let step = if plane == 0 { 1.0 } else { 2.0 };
        for y in 0..(height / step) as u32 {
            for x in 0..(width / step) as u32 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let px = (x as f32 * step - width / 2.0) * scale - sway;
                let py = (y as f32 * step - height / 2.0) * scale;
                let head = (px / 70.0).powi(2) + ((py + 20.0) / 95.0).powi(2) < 1.0;
                let body = (px / 150.0).powi(2) + ((py - 190.0) / 130.0).powi(2) < 1.0;
                let wall = 95.0 + 50.0 * (x as f32 * step / width) + 12.0 * (y as f32 * step / 9.0).sin();
                let value = match (plane, head, body) {
                    (0, true, _) => 160.0 - px * 0.3,
                    (0, _, true) => 70.0 + person as f32 * 20.0 + 10.0 * (px / 6.0).sin(),
                    (0, ..) => wall,
                    (1, true, _) => 108.0,
                    (2, true, _) => 150.0,
                    (_, _, true) => 110.0 + person as f32 * 12.0,
                    _ => 128.0,
                };
                let grain = if plane == 0 { (noise >> 29) as f32 - 3.5 } else { 0.0 };
                planes.push((value + grain).clamp(16.0, 235.0) as u8);
            }
        }
    }
    planes
}

type Frames = Vec<(SegmentOpened, Vec<TakeFrame>)>;

fn frames(take: &Path) -> Frames {
    let mut reader = TakeReader::open(take).unwrap();
    let mut segments: BTreeMap<SegmentId, (SegmentOpened, Vec<TakeFrame>)> = BTreeMap::new();
    while reader.ended().is_none() {
        for item in reader.poll().unwrap() {
            match item {
                TakeItem::Event { event: TakeEvent::SegmentOpened(opened), .. } => {
                    segments.insert(opened.segment, (opened, Vec::new()));
                }
                TakeItem::Event { .. } => {}
                TakeItem::Frame(frame) => segments.get_mut(&frame.segment).unwrap().1.push(frame),
            }
        }
    }
    segments.into_values().collect()
}

fn decode_alone(segments: &Frames) {
    for (opened, frames) in segments {
        if opened.codec == Codec::Opus {
            let wanted = gst::Caps::builder("audio/x-raw").field("rate", 48_000i32).build();
            let mut decoder = Filter::new("opusdec", "", wanted, |_| {}).unwrap();
            let caps = gst::Caps::builder("audio/x-opus")
                .field("channel-mapping-family", 0i32)
                .field("rate", 48_000i32)
                .field("channels", 2i32)
                .build();
            for frame in frames {
                decoder.push(gst::Buffer::from_slice(frame.data.clone()), &caps).unwrap();
            }
        } else {
            let mut decoder = VideoDecoder::new(opened).unwrap().unwrap();
            for frame in frames {
                let showing = Showing { rtp: frame.rtp, at_ns: frame.at_ns, degrees: 0 };
                decoder.decode(frame.data.clone(), frame.keyframe, showing);
            }
        }
    }
}

fn encode_alone(fed: &Fed, preset: Preset) {
    let (mut video, video_caps) = h264_filter(&preset).unwrap();
    let (mut audio, audio_caps) = aac_filter(preset.audio_kbps).unwrap();
    let per_second = u64::from(preset.frames_per_second);
    for (number, (picture, sound)) in (0u64..).zip(fed.pictures.iter().zip(&fed.sounds)) {
        let stamped = |mut buffer: gst::Buffer| {
            let timed = buffer.make_mut();
            timed.set_pts(gst::ClockTime::SECOND.mul_div_round(number, per_second));
            timed.set_duration(gst::ClockTime::SECOND.mul_div_round(1, per_second));
            buffer
        };
        video.push(stamped(picture.copy()), &video_caps).unwrap();
        audio.push(stamped(sound.copy()), &audio_caps).unwrap();
    }
    let _ = (video.finish(), audio.finish());
}

/// User and system time of this process during `work`.
fn processor_s(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = now();
    work();
    now() - before
}
