//! Encoders: the canvas to H.264, mixed sound to AAC.
//!
//! The H.264 settings make the output a function of its input: any VBV, or a number of threads taken from the machine, would make
//! two runs differ. B-frames are off, so pictures come out in the order in which they went in.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use serde::{Deserialize, Serialize};

use crate::{
    canvas::Canvas,
    elements::{AAC, X264},
    error::ComposeError,
    filter::{Caught, Filter},
    layout::Size,
    preset::Preset,
};

pub use crate::preset::SAMPLE_RATE_HZ;

/// Sound has this many channels.
pub const CHANNELS: u32 = 2;
/// Samples in an AAC-LC frame (ISO/IEC 14496-3).
pub const AAC_FRAME_SAMPLES: u32 = 1024;
/// Samples that come out of a decoder before the first one that went in: `avenc_aac` has one frame of delay.
pub const AAC_PRIMING_SAMPLES: u32 = 1024;
/// Frame-parallel encoder threads. Part of the result: another number gives another file.
const X264_THREADS: u32 = 4;

/// An encoded picture or AAC frame.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// AVCC access unit or raw AAC frame.
    pub buffer: gst::Buffer,
    /// Decodable alone.
    pub keyframe: bool,
    /// `avcC` or AudioSpecificConfig.
    pub config: Option<gst::Buffer>,
}

fn encoded(caught: Vec<Caught>) -> Vec<Encoded> {
    caught
        .into_iter()
        .map(|Caught { buffer, caps }| Encoded {
            keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            config: caps.structure(0).and_then(|structure| structure.get::<gst::Buffer>("codec_data").ok()),
            buffer,
        })
        .collect()
}

/// x264 with our settings, and the caps of the pictures it takes.
pub fn h264_filter(preset: &Preset) -> Result<(Filter, gst::Caps), ComposeError> {
    let fail = |reason: &str| ComposeError::element("x264enc", reason);
    crate::filter::start()?;
    let Size { width, height } = preset.size;
    let caps = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height)
        .fps(gst::Fraction::new(preset.frames_per_second as i32, 1))
        .colorimetry(&crate::video::browser_colours())
        .build()
        .and_then(|info| info.to_caps())
        .map_err(|_| fail("impossible picture size"))?;
    let wanted = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("profile", "high")
        .build();
    let filter = Filter::new(X264.factory, X264.package, wanted, |element| {
        element.set_property_from_str("speed-preset", "veryfast");
        element.set_property("bitrate", preset.video_kbps);
        element.set_property("vbv-buf-capacity", 0u32);
        element.set_property("bframes", 0u32);
        element.set_property("key-int-max", preset.keyframe_interval());
        element.set_property("qp-min", 20u32);
        element.set_property("threads", X264_THREADS);
    })?;
    Ok((filter, caps))
}

/// AAC with our settings, and the caps of the interleaved 32-bit samples it takes, [`CHANNELS`] at [`SAMPLE_RATE_HZ`].
pub fn aac_filter(bitrate_kbps: u32) -> Result<(Filter, gst::Caps), ComposeError> {
    let wanted =
        gst::Caps::builder("audio/mpeg").field("mpegversion", 4i32).field("stream-format", "raw").build();
    let filter = Filter::new(AAC.factory, AAC.package, wanted, |element| {
        element.set_property_from_str("bitrate", &(bitrate_kbps * 1000).to_string());
    })?;
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("rate", SAMPLE_RATE_HZ as i32)
        .field("channels", CHANNELS as i32)
        .field("channel-mask", gst::Bitmask(0x3))
        .build();
    Ok((filter, caps))
}

/// Canvas to H.264.
#[derive(Debug)]
pub struct VideoEncoder {
    filter: Filter,
    caps: gst::Caps,
    info: gst_video::VideoInfo,
    pool: gst::BufferPool,
    frames_per_second: u32,
    pushed: u64,
    fingerprint: Fingerprint,
}

impl VideoEncoder {
    /// An encoder for pictures of the preset's size.
    pub fn new(preset: &Preset) -> Result<Self, ComposeError> {
        let fail = |reason: &str| ComposeError::element("x264enc", reason);
        let (filter, caps) = h264_filter(preset)?;
        let info = gst_video::VideoInfo::from_caps(&caps).map_err(|_| fail("impossible picture size"))?;
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        config.set_params(Some(&caps), info.size() as u32, 0, 0);
        pool.set_config(config).map_err(|_| fail("no buffer pool"))?;
        pool.set_active(true).map_err(|_| fail("no buffer pool"))?;
        Ok(Self {
            filter,
            caps,
            info,
            pool,
            frames_per_second: preset.frames_per_second,
            pushed: 0,
            fingerprint: Fingerprint::default(),
        })
    }

    /// Encodes the canvas as the next picture; gives back the pictures that are ready, in order. `changed` says whether the canvas
    /// differs from the last time.
    pub fn push(&mut self, canvas: &Canvas, changed: bool) -> Result<Vec<Encoded>, ComposeError> {
        let fail = |reason: &str| ComposeError::element("x264enc", reason);
        // A copy: the encoder keeps its input for a while, and the canvas is drawn on.
        let mut buffer = self.pool.acquire_buffer(None).map_err(|_| fail("out of picture memory"))?;
        {
            let buffer = buffer.get_mut().ok_or_else(|| fail("picture memory is shared"))?;
            let second = gst::ClockTime::SECOND;
            let time = |frame: u64| second.mul_div_round(frame, u64::from(self.frames_per_second));
            let start = time(self.pushed).ok_or_else(|| fail("too long"))?;
            buffer.set_pts(start);
            buffer.set_duration(time(self.pushed + 1).map(|end| end - start));
            let mut map = buffer.map_writable().map_err(|_| fail("picture memory is not writable"))?;
            for plane in 0..3 {
                let (from, from_stride) = canvas.plane(plane);
                let offset = self.info.offset()[plane];
                let stride = self.info.stride()[plane] as usize;
                for (from, to) in from.chunks(from_stride).zip(map[offset..].chunks_mut(stride)) {
                    to[..from.len()].copy_from_slice(from);
                    if changed {
                        self.fingerprint.add(from);
                    }
                }
            }
            self.fingerprint.repeat(changed);
        }
        self.pushed += 1;
        let caught = self.filter.push(buffer, &self.caps).map_err(|refused| fail(&refused.to_string()))?;
        Ok(encoded(caught))
    }

    /// The fingerprint of all pictures that went in so far.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Goes on where another encoder was.
    pub(crate) fn go_on(&mut self, fingerprint: Fingerprint) {
        self.fingerprint = fingerprint;
    }

    /// The pictures the encoder had kept, and the fingerprint of all pictures that went in.
    #[must_use]
    pub fn finish(self) -> (Vec<Encoded>, u64) {
        (encoded(self.filter.finish()), self.fingerprint.whole)
    }
}

/// Mixed sound to AAC.
#[derive(Debug)]
pub struct AudioEncoder {
    filter: Filter,
    caps: gst::Caps,
    pushed: u64,
    fingerprint: Fingerprint,
}

impl AudioEncoder {
    /// An encoder for interleaved 32-bit samples, [`CHANNELS`] at [`SAMPLE_RATE_HZ`].
    pub fn new(bitrate_kbps: u32) -> Result<Self, ComposeError> {
        let (filter, caps) = aac_filter(bitrate_kbps)?;
        Ok(Self { filter, caps, pushed: 0, fingerprint: Fingerprint::default() })
    }

    /// Encodes the next samples (interleaved); gives back the AAC frames that are ready.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<Encoded>, ComposeError> {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.fingerprint.add(&bytes);
        self.fingerprint.repeat(true);
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            let time = |sample: u64| gst::ClockTime::SECOND.mul_div_round(sample, u64::from(SAMPLE_RATE_HZ));
            let end = self.pushed + samples.len() as u64 / u64::from(CHANNELS);
            buffer.set_pts(time(self.pushed));
            buffer.set_duration(time(end).zip(time(self.pushed)).map(|(end, start)| end - start));
            self.pushed = end;
        }
        let caught = self
            .filter
            .push(buffer, &self.caps)
            .map_err(|refused| ComposeError::element("avenc_aac", refused))?;
        Ok(encoded(caught))
    }

    /// The fingerprint of all sound that went in so far.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Goes on where another encoder was.
    pub(crate) fn go_on(&mut self, fingerprint: Fingerprint) {
        self.fingerprint = fingerprint;
    }

    /// The AAC frames the encoder had kept, and the fingerprint of all samples that went in.
    #[must_use]
    pub fn finish(self) -> (Vec<Encoded>, u64) {
        (encoded(self.filter.finish()), self.fingerprint.whole)
    }
}

/// The `avcC` (with pictures) and the AudioSpecificConfig that encoders of this preset give.
pub(crate) fn configs(
    preset: &Preset,
    with_pictures: bool,
) -> Result<(Option<Vec<u8>>, Vec<u8>), ComposeError> {
    let config = |encoded: Vec<Encoded>, element: &str| -> Result<Vec<u8>, ComposeError> {
        let config = encoded.into_iter().find_map(|encoded| encoded.config);
        let config = config.ok_or_else(|| ComposeError::element(element, "no codec_data"))?;
        let map = config.map_readable().map_err(|error| ComposeError::element(element, error))?;
        Ok(map.to_vec())
    };
    let mut pictures = None;
    if with_pictures {
        let mut encoder = VideoEncoder::new(preset)?;
        let mut encoded = encoder.push(&Canvas::new(preset.size), true)?;
        encoded.extend(encoder.finish().0);
        pictures = Some(config(encoded, "x264enc")?);
    }
    let mut encoder = AudioEncoder::new(preset.audio_kbps)?;
    let mut encoded = encoder.push(&[0.0; (AAC_FRAME_SAMPLES * CHANNELS) as usize])?;
    encoded.extend(encoder.finish().0);
    Ok((pictures, config(encoded, "avenc_aac")?))
}

/// A running hash of what went into an encoder: equal inputs have equal ones. Not cryptographic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    lanes: [u64; 4],
    last: u64,
    whole: u64,
}

const PRIMES: [u64; 4] =
    [0x9e37_79b1_85eb_ca87, 0xc2b2_ae3d_27d4_eb4f, 0x1656_67b1_9e37_79f9, 0x85eb_ca77_c2b2_ae63];

impl Default for Fingerprint {
    fn default() -> Self {
        Self { lanes: PRIMES, last: 0, whole: 0 }
    }
}

impl Fingerprint {
    /// Notes a piece of a new picture, or of sound. The same bytes in other pieces have another hash.
    fn add(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            for (lane, word) in self.lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(PRIMES[0]).rotate_left(29);
            }
        }
        let rest = rest.iter().fold(bytes.len() as u64, |hash, byte| mix(hash, u64::from(*byte)));
        self.lanes[0] = mix(self.lanes[0], rest);
    }

    /// Counts the newest picture: the one just `added`, or once more the one before.
    fn repeat(&mut self, added: bool) {
        if added {
            self.last = std::mem::replace(&mut self.lanes, PRIMES).into_iter().fold(0, mix);
        }
        self.whole = mix(self.whole, self.last);
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9e37_79b1_85eb_ca87).rotate_left(31)
}
