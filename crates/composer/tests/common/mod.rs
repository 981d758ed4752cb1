//! Takes made of real coded media, and eyes and ears for the files composed from them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::{path::Path, process::Command};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::filter::Filter;
use reelroom_take::{
    Codec, Frame, ParticipantId, SegmentSpec, TrackId, TrackSource,
    testing::{SyntheticTake, opus_spec, vp8_spec},
};

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;
/// How long media are under way in these takes.
pub const DELAY_NS: u64 = 30 * MS;

pub const RED: [u8; 3] = [200, 30, 40];
pub const GREEN: [u8; 3] = [30, 170, 60];
pub const BLUE: [u8; 3] = [30, 60, 200];

/// A coded frame.
#[derive(Clone)]
pub struct Coded {
    pub data: Vec<u8>,
    pub keyframe: bool,
    pub config: Vec<u8>,
}

fn yuv([r, g, b]: [u8; 3]) -> [u8; 3] {
    reelroom_composer::sprite::Colour(r, g, b).yuv()
}

/// `count` pictures of one colour each.
pub fn pictures(codec: Codec, size: [u32; 2], count: u64, colour: impl Fn(u64) -> [u8; 3]) -> Vec<Coded> {
    coded_pictures(codec, size, count, |number| {
        let [y, u, v] = yuv(colour(number));
        let luma = (size[0] * size[1]) as usize;
        let mut data = vec![y; luma];
        data.resize(luma * 5 / 4, u);
        data.resize(luma * 3 / 2, v);
        data
    })
}

/// `count` pictures, given as I420.
pub fn coded_pictures(
    codec: Codec,
    [width, height]: [u32; 2],
    count: u64,
    picture: impl Fn(u64) -> Vec<u8>,
) -> Vec<Coded> {
    gst::init().unwrap();
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(30, 1))
        .build();
    let mut encoder = match codec {
        Codec::Vp8 => {
            let wanted = gst::Caps::builder("video/x-vp8").build();
            Filter::new("vp8enc", "", wanted, |element| {
                element.set_property("deadline", 1i64);
                element.set_property("cpu-used", 8i32);
                element.set_property("target-bitrate", 500_000i32);
                element.set_property("keyframe-max-dist", 90i32);
                element.set_property("lag-in-frames", 0i32);
            })
        }
        _ => {
            let wanted = gst::Caps::builder("video/x-h264")
                .field("stream-format", "avc")
                .field("alignment", "au")
                .field("profile", "constrained-baseline")
                .build();
            Filter::new("x264enc", "", wanted, |element| {
                element.set_property_from_str("speed-preset", "ultrafast");
                element.set_property_from_str("tune", "zerolatency");
                element.set_property("key-int-max", 90u32);
            })
        }
    }
    .unwrap();
    let mut coded = Vec::new();
    let mut keep = |caught: Vec<reelroom_composer::filter::Caught>| {
        for caught in caught {
            let config = caught.caps.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
            coded.push(Coded {
                data: caught.buffer.map_readable().unwrap().to_vec(),
                keyframe: !caught.buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
                config: config.map(|config| config.map_readable().unwrap().to_vec()).unwrap_or_default(),
            });
        }
    };
    for number in 0..count {
        let mut buffer = gst::Buffer::from_mut_slice(picture(number));
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_nseconds(number * S / 30));
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_nseconds(S / 30));
        keep(encoder.push(buffer, &caps).unwrap());
    }
    keep(encoder.finish());
    assert_eq!(coded.len() as u64, count);
    coded
}

/// 20 ms Opus packets of a mono sound (samples at 48 kHz, -1 to 1).
pub fn packets(samples: &[f32]) -> Vec<Vec<u8>> {
    gst::init().unwrap();
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", 48_000i32)
        .field("channels", 1i32)
        .build();
    let wanted = gst::Caps::builder("audio/x-opus").build();
    let mut encoder = Filter::new("opusenc", "", wanted, |_| {}).unwrap();
    let mut packets = Vec::new();
    for (number, block) in samples.chunks_exact(960).enumerate() {
        let bytes: Vec<u8> = block.iter().flat_map(|s| ((s * 32767.0) as i16).to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(number as u64 * 20));
        buffer.get_mut().unwrap().set_duration(gst::ClockTime::from_mseconds(20));
        let caught = encoder.push(buffer, &caps).unwrap();
        packets.extend(caught.iter().map(|caught| caught.buffer.map_readable().unwrap().to_vec()));
    }
    packets
}

/// A tone.
pub fn tone(hz: f32, seconds: f32) -> Vec<f32> {
    let count = (seconds * 48_000.0) as usize;
    (0..count).map(|i| 0.4 * (i as f32 * hz * std::f32::consts::TAU / 48_000.0).sin()).collect()
}

/// Adds pictures as a track's segment: shown from `from_ns` on, 30 a second.
pub fn add_pictures(
    take: &mut SyntheticTake,
    track: &TrackId,
    codec: Codec,
    [width, height]: [u32; 2],
    from_ns: u64,
    coded: Vec<Coded>,
) {
    let first_rtp = 7_000_000_000;
    let mut spec = vp8_spec(first_rtp, from_ns + DELAY_NS, width, height);
    if codec == Codec::H264 {
        spec = SegmentSpec { codec, codec_private: coded[0].config.clone(), ..spec };
    }
    let segment = take.segment(track, spec);
    for (number, frame) in (0u64..).zip(coded) {
        let jitter = [0, 3, 1, 7, 2][number as usize % 5] * MS;
        take.frame(
            segment,
            Frame {
                rtp: first_rtp + number * 3000,
                at_ns: from_ns + number * S / 30 + DELAY_NS + jitter,
                keyframe: frame.keyframe,
                data: Bytes::from(frame.data),
            },
        );
    }
}

/// Adds packets as a track's segment: heard from `from_ns` on; the packets for which `lost` says so are missing.
pub fn add_packets(
    take: &mut SyntheticTake,
    track: &TrackId,
    from_ns: u64,
    packets: Vec<Vec<u8>>,
    lost: impl Fn(u64) -> bool,
) {
    add_paced_packets(take, track, from_ns, 20 * MS, packets, lost);
}

/// [`add_packets`] from a sender whose 20 ms last `interval_ns`.
pub fn add_paced_packets(
    take: &mut SyntheticTake,
    track: &TrackId,
    from_ns: u64,
    interval_ns: u64,
    packets: Vec<Vec<u8>>,
    lost: impl Fn(u64) -> bool,
) {
    let first_rtp = 90_000;
    let segment = take.segment(track, opus_spec(first_rtp, from_ns + DELAY_NS));
    for (number, data) in (0u64..).zip(packets) {
        if lost(number) {
            continue;
        }
        let jitter = [0, 2, 5, 1][number as usize % 4] * MS;
        take.frame(
            segment,
            Frame {
                rtp: first_rtp + number * 960,
                at_ns: from_ns + number * interval_ns + DELAY_NS + jitter,
                keyframe: true,
                data: Bytes::from(data),
            },
        );
    }
}

/// A participant with camera and microphone from `from_ns` on for `seconds`.
pub struct Person {
    pub participant: ParticipantId,
    pub camera: TrackId,
    pub microphone: TrackId,
}

pub fn person(
    take: &mut SyntheticTake,
    [identity, name]: [&str; 2],
    (colour, hz): ([u8; 3], f32),
    from_ns: u64,
    seconds: u64,
    codec: Codec,
) -> Person {
    let participant = take.join(from_ns, identity, name);
    let camera = take.publish(from_ns, &participant, TrackSource::Camera);
    let microphone = take.publish(from_ns, &participant, TrackSource::Microphone);
    let size = [640, 360];
    add_pictures(take, &camera, codec, size, from_ns, pictures(codec, size, seconds * 30, |_| colour));
    add_packets(take, &microphone, from_ns, packets(&tone(hz, seconds as f32)), |_| false);
    Person { participant, camera, microphone }
}

/// A decoded picture of a file.
pub struct Shot {
    pub width: usize,
    pub rgb: Vec<u8>,
}

impl Shot {
    /// The picture shown at `ms`.
    pub fn at(file: &Path, ms: u64) -> Self {
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-ss", &format!("{}.{:03}", ms / 1000, ms % 1000), "-i"])
            .arg(file)
            .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self { width: 1280, rgb: output.stdout }
    }

    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.rgb[(y * self.width + x) * 3..][..3].try_into().unwrap()
    }

    /// Whether the pixel at x, y has nearly that colour.
    #[track_caller]
    pub fn assert_colour(&self, [x, y]: [usize; 2], wanted: [u8; 3]) {
        let found = self.pixel(x, y);
        let far = found.iter().zip(wanted).any(|(a, b)| a.abs_diff(b) > 14);
        assert!(!far, "at {x},{y}: {found:?} instead of {wanted:?}");
    }

    /// Number of nearly white pixels inside a rectangle.
    pub fn white(&self, [x, y, width, height]: [usize; 4]) -> usize {
        let mut count = 0;
        for row in y..y + height {
            count +=
                (x..x + width).filter(|column| self.pixel(*column, row).iter().all(|c| *c > 200)).count();
        }
        count
    }
}

/// The mono sound of a file at 48 kHz.
pub fn sound(file: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vn", "-f", "f32le", "-ac", "1", "-ar", "48000", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Amplitude of a frequency in `samples` (Goertzel's algorithm).
pub fn amplitude(samples: &[f32], hz: f32) -> f32 {
    let coefficient = 2.0 * (hz * std::f32::consts::TAU / 48_000.0).cos();
    let (mut a, mut b) = (0f32, 0f32);
    for sample in samples {
        (a, b) = (sample + coefficient * a - b, a);
    }
    (a * a + b * b - coefficient * a * b).max(0.0).sqrt() * 2.0 / samples.len() as f32
}

/// Amplitude of a frequency in 100 ms of a file's sound from `ms` on.
pub fn heard(sound: &[f32], ms: usize, hz: f32) -> f32 {
    amplitude(&sound[ms * 48..(ms + 100) * 48], hz)
}

/// What ffprobe says of one entry; fails on any warning.
pub fn probe(file: &Path, entries: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "warning", "-of", "csv=p=0", "-show_entries", entries])
        .arg(file)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
