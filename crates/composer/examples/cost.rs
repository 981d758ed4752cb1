//! What composing costs beside the decoding and encoding it cannot do without: `cargo run --example cost [SECONDS] [OUT.mp4]`.
//!
//! Builds a take of four people (640x360 VP8, Opus), composes it, then decodes the same frames and packets and encodes the same
//! pictures and sound with nothing in between. Processor time of the whole process, user and system.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use common::{S, add_packets, add_pictures, coded_pictures, packets, tone};
use reelroom_composer::{
    ComposeOptions, Preset, Size,
    canvas::Canvas,
    compose,
    encode::{AudioEncoder, VideoEncoder},
    video::VideoDecoder,
    voice::Voice,
};
use reelroom_take::{
    Codec, Moment, SegmentOpened, TakeEvent, TakeFrame, TakeItem, TakeReader, TrackSource,
    testing::SyntheticTake,
};

const SIZE: [u32; 2] = [640, 360];
const PEOPLE: [(&str, &str, f32); 4] = [
    ("ann", "Ann Example", 220.0),
    ("bob", "Björn Ångström", 330.0),
    ("cat", "مريم العلي", 440.0),
    ("dan", "Δημήτρης", 550.0),
];

fn main() {
    let seconds: u64 = std::env::args().nth(1).map_or(10, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let take = dir.path().join("take");
    build(seconds).write(&take, seconds * S).unwrap();
    let out = std::env::args().nth(2).map_or(dir.path().join("out.mp4"), PathBuf::from);

    let before = processor_ms();
    compose(&take, &out, &ComposeOptions::default(), &mut |_| {}).unwrap();
    let composing = processor_ms() - before;

    let (segments, frames) = frames(&take);
    let before = processor_ms();
    let mut last = None;
    for (segment, frames) in &frames {
        let opened = &segments[segment];
        if opened.codec == Codec::Opus {
            let mut voice = Voice::new(opened).unwrap().unwrap();
            for frame in frames {
                voice.push(frame.data.clone(), frame.rtp, Moment { at_ns: frame.at_ns, late: false });
            }
        } else {
            let mut decoder = VideoDecoder::new(opened).unwrap().unwrap();
            for frame in frames {
                last = decoder.decode(frame.data.clone(), frame.keyframe).or(last);
            }
        }
    }
    let decoding = processor_ms() - before;
    drop(last);
    let encoding = encode_alone(&out, seconds);
    let cores = |ms: u64| ms as f64 / 1000.0 / seconds as f64;
    println!("composing        {:.3} cores", cores(composing));
    println!("decoding alone   {:.3} cores", cores(decoding));
    println!("encoding alone   {:.3} cores", cores(encoding));
    println!("ratio            {:.2}", composing as f64 / (decoding + encoding) as f64);
}

fn build(seconds: u64) -> SyntheticTake {
    let mut take = SyntheticTake::new("Cost");
    for (number, (identity, name, hz)) in PEOPLE.into_iter().enumerate() {
        let participant = take.join(0, identity, name);
        let camera = take.publish(0, &participant, TrackSource::Camera);
        let microphone = take.publish(0, &participant, TrackSource::Microphone);
        let coded = coded_pictures(Codec::Vp8, SIZE, seconds * 30, |frame| face(number as u64, frame));
        add_pictures(&mut take, &camera, Codec::Vp8, SIZE, 0, coded);
        add_packets(&mut take, &microphone, 0, packets(&tone(hz, seconds as f32)), |_| false);
    }
    take
}

/// Something like a person before a wall with a noisy camera, I420.
fn face(person: u64, frame: u64) -> Vec<u8> {
    let [width, height] = SIZE.map(|side| side as f32);
    let sway = ((frame + person * 40) as f32 / 23.0).sin() * 24.0;
    let mut noise = 0x9e37_79b9_u32.wrapping_mul((frame * 7 + person + 1) as u32);
    let mut planes = Vec::new();
    for plane in 0..3 {
        let step = if plane == 0 { 1.0 } else { 2.0 };
        for y in 0..(height / step) as u32 {
            for x in 0..(width / step) as u32 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (px, py) = (x as f32 * step - width / 2.0 - sway, y as f32 * step - height / 2.0);
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

type Frames = BTreeMap<reelroom_take::SegmentId, Vec<TakeFrame>>;

fn frames(take: &std::path::Path) -> (BTreeMap<reelroom_take::SegmentId, SegmentOpened>, Frames) {
    let mut reader = TakeReader::open(take).unwrap();
    let (mut segments, mut frames) = (BTreeMap::new(), Frames::new());
    while reader.ended().is_none() {
        for item in reader.poll().unwrap() {
            match item {
                TakeItem::Event { event: TakeEvent::SegmentOpened(opened), .. } => {
                    segments.insert(opened.segment, opened);
                }
                TakeItem::Event { .. } => {}
                TakeItem::Frame(frame) => frames.entry(frame.segment).or_default().push(frame),
            }
        }
    }
    (segments, frames)
}

/// Encodes the pictures and the length of the composed file; decoding them is not counted.
fn encode_alone(file: &std::path::Path, seconds: u64) -> u64 {
    let preset = Preset::default();
    let Size { width, height } = preset.size;
    let pictures = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-frames:v", "300", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .unwrap()
        .stdout;
    let bytes = (width * height * 3 / 2) as usize;
    let count = (pictures.len() / bytes) as u64;
    let mut video = VideoEncoder::new(&preset).unwrap();
    let mut audio = AudioEncoder::new(preset.audio_kbps).unwrap();
    let block: Vec<f32> = tone(440.0, 1600.0 / 48_000.0).iter().flat_map(|sample| [*sample; 2]).collect();
    let mut canvas = Canvas::new(preset.size).unwrap();
    let before = processor_ms();
    for picture in pictures.chunks_exact(bytes) {
        canvas.replace(picture);
        video.push(&canvas, true).unwrap();
        audio.push(&block).unwrap();
    }
    let _ = (video.finish(), audio.finish());
    (processor_ms() - before) * seconds * 30 / count.max(1)
}

/// User and system time of this process so far.
fn processor_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second (proc_pid_stat(5)).
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}
