//! Takes made of real coded media, and eyes and ears for the files composed from them.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::{collections::BTreeMap, path::Path, process::Command};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::{
    ComposeOptions, Composed, Observer, Size, canvas::Canvas, compose_observed, filter::Filter,
};
use reelroom_take::{
    Codec, Frame, ParticipantId, SegmentId, SegmentSpec, TakeEvent, TakeHandle, TrackId, TrackKind,
    TrackSource,
    testing::{SyntheticTake, opus_spec, video_spec, vp8_spec},
};

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1_000 * MS;
/// How long media are under way in these takes.
pub const DELAY_NS: u64 = 30 * MS;

pub const RED: [u8; 3] = [200, 30, 40];
pub const GREEN: [u8; 3] = [30, 170, 60];
pub const BLUE: [u8; 3] = [30, 60, 200];
pub const YELLOW: [u8; 3] = [200, 190, 40];

/// Person `number` joins a take at its beginning, with a camera and a microphone. Gives back the segments of the two.
pub fn person_joins(take: &TakeHandle, number: usize, [width, height]: [u32; 2]) -> [SegmentId; 2] {
    let participant = ParticipantId::from(format!("PA_{number}"));
    let (identity, name) = (format!("p{number}"), format!("Person {number}"));
    take.event(0, TakeEvent::ParticipantJoined { participant: participant.clone(), identity, name });
    let kinds = [(TrackKind::Video, TrackSource::Camera), (TrackKind::Audio, TrackSource::Microphone)];
    kinds.map(|(kind, source)| {
        let track = TrackId::from(format!("TR_{number}_{source:?}"));
        let published = TakeEvent::TrackPublished {
            track: track.clone(),
            participant: participant.clone(),
            kind,
            source,
            width: 0,
            height: 0,
            muted: false,
        };
        take.event(0, published);
        let spec = match kind {
            TrackKind::Video => vp8_spec(0, 0, width, height),
            TrackKind::Audio => opus_spec(0, 0),
        };
        take.open_segment(&track, spec)
    })
}

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
    coded_pictures(codec, size, count, |number| flat(size, colour(number)))
}

/// `count` pictures, given as I420, a keyframe every three seconds.
pub fn coded_pictures(
    codec: Codec,
    size: [u32; 2],
    count: u64,
    picture: impl Fn(u64) -> Vec<u8>,
) -> Vec<Coded> {
    coded_with(codec, size, count, 90, picture)
}

/// `count` pictures of one colour each, a keyframe every `keyframe_every`.
pub fn keyed_pictures(
    codec: Codec,
    size: [u32; 2],
    count: u64,
    keyframe_every: u32,
    colour: impl Fn(u64) -> [u8; 3],
) -> Vec<Coded> {
    coded_with(codec, size, count, keyframe_every, |number| flat(size, colour(number)))
}

/// One colour, I420.
pub fn flat([width, height]: [u32; 2], colour: [u8; 3]) -> Vec<u8> {
    let [y, u, v] = yuv(colour);
    let luma = (width * height) as usize;
    let mut data = vec![y; luma];
    data.resize(luma * 5 / 4, u);
    data.resize(luma * 3 / 2, v);
    data
}

/// One colour on the left, another on the right, I420.
pub fn halves([width, height]: [u32; 2], left: [u8; 3], right: [u8; 3]) -> Vec<u8> {
    let (left, right) = (yuv(left), yuv(right));
    (0..3)
        .flat_map(|plane| {
            let shift = u32::from(plane > 0);
            let row = (0..width >> shift)
                .map(move |x| if x < width >> shift >> 1 { left[plane] } else { right[plane] });
            (0..height >> shift).flat_map(move |_| row.clone())
        })
        .collect()
}

fn coded_with(
    codec: Codec,
    [width, height]: [u32; 2],
    count: u64,
    keyframe_every: u32,
    picture: impl Fn(u64) -> Vec<u8>,
) -> Vec<Coded> {
    gst::init().unwrap();
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(30, 1))
        .build();
    let vpx = |element: &gst::Element| {
        element.set_property("deadline", 1i64);
        element.set_property("cpu-used", 8i32);
        element.set_property("target-bitrate", 500_000i32);
        element.set_property("keyframe-max-dist", keyframe_every as i32);
        element.set_property("lag-in-frames", 0i32);
    };
    let mut encoder = match codec {
        Codec::Vp8 => Filter::new("vp8enc", "", gst::Caps::builder("video/x-vp8").build(), vpx),
        Codec::Vp9 => Filter::new("vp9enc", "", gst::Caps::builder("video/x-vp9").build(), vpx),
        Codec::Av1 => {
            let wanted = gst::Caps::builder("video/x-av1").build();
            Filter::new("av1enc", "", wanted, |element| {
                element.set_property_from_str("usage-profile", "realtime");
                element.set_property_from_str("cpu-used", "8");
                element.set_property_from_str("max-quantizer", "56");
                element.set_property_from_str("target-bitrate", "500");
                element.set_property_from_str("threads", "1");
                element.set_property_from_str("keyframe-max-dist", &keyframe_every.to_string());
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
                element.set_property("key-int-max", keyframe_every);
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
    let codec_private = if codec == Codec::H264 { coded[0].config.clone() } else { Vec::new() };
    let spec = video_spec(codec, first_rtp, from_ns + DELAY_NS, width, height);
    let spec = SegmentSpec { codec_private, ..spec };
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

/// A picture as it went into the encoder.
pub struct View {
    size: Size,
    planes: [Vec<u8>; 3],
}

impl View {
    /// Y, U, V.
    pub fn yuv(&self, [x, y]: [usize; 2]) -> [u8; 3] {
        let width = self.size.width as usize;
        let chroma = (y / 2) * (width / 2) + x / 2;
        [self.planes[0][y * width + x], self.planes[1][chroma], self.planes[2][chroma]]
    }

    /// Whether the pixel at x, y has nearly that colour.
    #[track_caller]
    pub fn assert_colour(&self, at: [usize; 2], wanted: [u8; 3]) {
        let (found, wanted) = (self.yuv(at), yuv(wanted));
        let far = found.iter().zip(wanted).any(|(a, b)| a.abs_diff(b) > 8);
        assert!(!far, "at {at:?}: {found:?} instead of {wanted:?}");
    }

    /// Luma inside a rectangle, row by row.
    pub fn luma(&self, [x, y, width, height]: [usize; 4]) -> Vec<u8> {
        let stride = self.size.width as usize;
        (y..y + height).flat_map(|row| self.planes[0][row * stride + x..][..width].to_vec()).collect()
    }
}

/// Looks at the pictures that go into the encoder, at some milliseconds, and hears all that goes into it.
pub struct Eyes {
    wanted: Vec<(u64, u64)>,
    seen: BTreeMap<u64, View>,
    /// The left channel.
    pub heard: Vec<f32>,
}

impl Eyes {
    pub fn at(options: &ComposeOptions, ms: &[u64]) -> Self {
        let rate = u64::from(options.preset.frames_per_second);
        let wanted = ms.iter().map(|ms| (*ms, ms * rate / 1000)).collect();
        Self { wanted, seen: BTreeMap::new(), heard: Vec::new() }
    }

    /// What was seen at `ms`.
    pub fn saw(&self, ms: u64) -> &View {
        &self.seen[&ms]
    }
}

impl Observer for Eyes {
    fn picture(&mut self, number: u64, canvas: &Canvas) {
        for (ms, _) in self.wanted.iter().filter(|(_, wanted)| *wanted == number) {
            let planes = [0, 1, 2].map(|plane| canvas.plane(plane).0.to_vec());
            self.seen.insert(*ms, View { size: canvas.size(), planes });
        }
    }

    fn sound(&mut self, samples: &[f32]) {
        self.heard.extend(samples.iter().step_by(2));
    }
}

/// Writes the take, and composes it under the eyes of somebody who looks at some milliseconds.
pub fn watched(
    take: SyntheticTake,
    dir: &Path,
    end_ns: u64,
    options: &ComposeOptions,
    ms: &[u64],
) -> (Eyes, Composed) {
    if !dir.join("take").exists() {
        take.write(&dir.join("take"), end_ns).unwrap();
    }
    rewatched(dir, options, ms)
}

/// Composes the take written before once more.
pub fn rewatched(dir: &Path, options: &ComposeOptions, ms: &[u64]) -> (Eyes, Composed) {
    let mut eyes = Eyes::at(options, ms);
    let composed = compose_observed(&dir.join("take"), &dir.join("out.mp4"), options, &mut eyes).unwrap();
    (eyes, composed)
}

/// Luma of one place in every picture of a file.
pub fn luma_track(file: &Path, [x, y]: [usize; 2]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vf", &format!("crop=2:2:{x}:{y},format=gray"), "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout.chunks_exact(4).map(|pixels| pixels[0]).collect()
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

/// The left channel of a file's sound at 48 kHz.
pub fn sound(file: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-vn", "-f", "f32le", "-af", "pan=mono|c0=c0", "-ar", "48000", "-"])
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
