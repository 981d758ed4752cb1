//! The film as a take: coded as browsers code, and written by the writer of every recording.

use std::path::Path;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use reelroom_composer::filter::{Caught, Filter};
use reelroom_composer::sprite::Colour;
use reelroom_take::testing::{SyntheticTake, opus_spec, video_spec};
use reelroom_take::{Codec, Frame, SegmentSpec, TrackSource};

use super::film::{self, CAMERA, FRAMES_PER_SECOND, Hue, SAMPLES_PER_S, SECONDS};

const SECOND_NS: u64 = 1_000_000_000;
/// How long media are under way.
const DELAY_NS: u64 = 30_000_000;
/// Of an Opus packet.
const PACKET_MS: u64 = 20;
const KEYFRAME_EVERY: u64 = 90;

/// A coded picture.
struct Coded {
    data: Vec<u8>,
    is_keyframe: bool,
    /// What a decoder of H.264 has to know before.
    config: Vec<u8>,
}

/// Writes the take.
pub(super) fn take(folder: &Path) -> Result<(), String> {
    gst::init().map_err(|error| error.to_string())?;
    let mut take = SyntheticTake::new("doctor");
    person(&mut take, "left", Codec::Vp8, &film::left_in, &film::left_sound())?;
    person(&mut take, "right", Codec::H264, &|_| film::BLUE, &film::right_sound())?;
    take.write(folder, SECONDS * SECOND_NS).map_err(|error| error.to_string())
}

fn person(
    take: &mut SyntheticTake,
    name: &str,
    codec: Codec,
    hue: &dyn Fn(u64) -> Hue,
    sound: &[f32],
) -> Result<(), String> {
    let person = take.join(0, name, name);
    let camera = take.publish(0, &person, TrackSource::Camera);
    let microphone = take.publish(0, &person, TrackSource::Microphone);
    let pictures = pictures(codec, hue)?;
    let [width, height] = CAMERA;
    let codec_private = pictures.first().map(|first| first.config.clone()).unwrap_or_default();
    let codec_private = if codec == Codec::H264 { codec_private } else { Vec::new() };
    let spec = SegmentSpec { codec_private, ..video_spec(codec, 0, DELAY_NS, width, height) };
    let segment = take.segment(&camera, spec);
    for (number, picture) in (0u64..).zip(pictures) {
        take.frame(
            segment,
            Frame {
                rtp: number * 90_000 / FRAMES_PER_SECOND,
                at_ns: DELAY_NS + number * SECOND_NS / FRAMES_PER_SECOND,
                keyframe: picture.is_keyframe,
                data: Bytes::from(picture.data),
            },
        );
    }
    let segment = take.segment(&microphone, opus_spec(0, DELAY_NS));
    for (number, packet) in (0u64..).zip(packets(sound)?) {
        take.frame(
            segment,
            Frame {
                rtp: number * PACKET_MS * 48,
                at_ns: DELAY_NS + number * PACKET_MS * 1_000_000,
                keyframe: true,
                data: Bytes::from(packet),
            },
        );
    }
    Ok(())
}

fn pictures(codec: Codec, hue: &dyn Fn(u64) -> Hue) -> Result<Vec<Coded>, String> {
    let mut encoder = encoder(codec)?;
    let [width, height] = CAMERA;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", width as i32)
        .field("height", height as i32)
        .field("framerate", gst::Fraction::new(FRAMES_PER_SECOND as i32, 1))
        .build();
    let mut coded = Vec::new();
    for number in 0..SECONDS * FRAMES_PER_SECOND {
        let mut buffer = gst::Buffer::from_mut_slice(flat(hue(number)));
        timed(&mut buffer, number * SECOND_NS / FRAMES_PER_SECOND, SECOND_NS / FRAMES_PER_SECOND);
        let caught = encoder.push(buffer, &caps).map_err(|refused| refused.to_string())?;
        coded.extend(caught.iter().map(picture));
    }
    coded.extend(encoder.finish().iter().map(picture));
    let wanted = SECONDS * FRAMES_PER_SECOND;
    if coded.len() as u64 != wanted {
        return Err(format!("the encoder of {codec:?} gave {} pictures of {wanted}", coded.len()));
    }
    Ok(coded)
}

/// As browsers code: without pictures that are shown in another order than they come.
fn encoder(codec: Codec) -> Result<Filter, String> {
    let encoder = if codec == Codec::H264 {
        let wanted = gst::Caps::builder("video/x-h264")
            .field("stream-format", "avc")
            .field("alignment", "au")
            .field("profile", "constrained-baseline")
            .build();
        Filter::new("x264enc", "gstreamer1.0-plugins-ugly", wanted, |element| {
            element.set_property_from_str("speed-preset", "ultrafast");
            element.set_property_from_str("tune", "zerolatency");
            element.set_property_from_str("key-int-max", &KEYFRAME_EVERY.to_string());
        })
    } else {
        let wanted = gst::Caps::builder("video/x-vp8").build();
        Filter::new("vp8enc", "gstreamer1.0-plugins-good", wanted, |element| {
            element.set_property_from_str("deadline", "1");
            element.set_property_from_str("cpu-used", "8");
            element.set_property_from_str("target-bitrate", "500000");
            element.set_property_from_str("keyframe-max-dist", &KEYFRAME_EVERY.to_string());
            element.set_property_from_str("lag-in-frames", "0");
        })
    };
    encoder.map_err(|error| error.to_string())
}

fn picture(caught: &Caught) -> Coded {
    let config = caught.caps.structure(0).and_then(|caps| caps.get::<gst::Buffer>("codec_data").ok());
    Coded {
        data: bytes_of(&caught.buffer),
        is_keyframe: !caught.buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        config: config.as_ref().map(|config| bytes_of(config)).unwrap_or_default(),
    }
}

fn bytes_of(buffer: &gst::BufferRef) -> Vec<u8> {
    buffer.map_readable().map(|map| map.to_vec()).unwrap_or_default()
}

/// Packets of a sound.
fn packets(samples: &[f32]) -> Result<Vec<Vec<u8>>, String> {
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", SAMPLES_PER_S as i32)
        .field("channels", 1i32)
        .build();
    let wanted = gst::Caps::builder("audio/x-opus").build();
    let mut encoder = Filter::new("opusenc", "gstreamer1.0-plugins-base", wanted, |_| {})
        .map_err(|error| error.to_string())?;
    let mut packets = Vec::new();
    let samples_each = SAMPLES_PER_S * PACKET_MS as usize / 1000;
    for (number, block) in (0u64..).zip(samples.chunks_exact(samples_each)) {
        let bytes: Vec<u8> =
            block.iter().flat_map(|sample| ((sample * 32_767.0) as i16).to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        timed(&mut buffer, number * PACKET_MS * 1_000_000, PACKET_MS * 1_000_000);
        let caught = encoder.push(buffer, &caps).map_err(|refused| refused.to_string())?;
        packets.extend(caught.iter().map(|caught| bytes_of(&caught.buffer)));
    }
    Ok(packets)
}

fn timed(buffer: &mut gst::Buffer, at_ns: u64, duration_ns: u64) {
    let buffer = buffer.get_mut().expect("a new buffer has one owner");
    buffer.set_pts(gst::ClockTime::from_nseconds(at_ns));
    buffer.set_duration(gst::ClockTime::from_nseconds(duration_ns));
}

/// A picture of one colour, I420.
fn flat(hue: Hue) -> Vec<u8> {
    let [red, green, blue] = hue.rgb;
    let [y, u, v] = Colour(red, green, blue).yuv();
    let luma = CAMERA[0] as usize * CAMERA[1] as usize;
    let mut picture = vec![y; luma];
    picture.resize(luma * 5 / 4, u);
    picture.resize(luma * 3 / 2, v);
    picture
}
