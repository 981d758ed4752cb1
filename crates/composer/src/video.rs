//! Pictures: a track's coded frames in, decoded pictures out.
//!
//! ```text
//!   in, as they decode    I0 P3 B1 B2 P6 B4 B5
//!   out, as they show     -  I0 B1 B2 P3 B4 B5 ...      each with the moment that its frame was given with
//! ```
//!
//! A decoder of pictures that are predicted from later ones (H.264) gives a picture back when it has seen what may come before it:
//! [`VideoDecoder::owes`] says that something is still to come out. All others give each picture back at once.
//!
//! Broken frames never end anything: the decoder goes on, the last good picture stays, and the damage is counted.

use std::collections::VecDeque;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_video::{
    self as gst_video, VideoFrame, VideoFrameExt,
    video_frame::{Readable, Writable},
};
use reelroom_take::{Codec, SegmentOpened};

use crate::{
    elements::{AV1, DAV1D, H264, VP8, VP9},
    error::ComposeError,
    filter::{Caught, Filter},
    layout::Size,
};

/// BT.601, limited range: what browsers put into VP8 and, without saying so, into H.264. Sources are taken as that, whatever their
/// decoder guesses from the picture size, and the output is tagged as that: nothing is converted.
pub(crate) fn browser_colours() -> gst_video::VideoColorimetry {
    gst_video::VideoColorimetry::new(
        gst_video::VideoColorRange::Range16_235,
        gst_video::VideoColorMatrix::Bt601,
        gst_video::VideoTransferFunction::Bt601,
        gst_video::VideoColorPrimaries::Smpte170m,
    )
}

/// An I420 (or similar) picture description, in our colours. All get one frame rate: `VideoConverter` refuses different ones.
pub(crate) fn picture_info(format: gst_video::VideoFormat, size: Size) -> Option<gst_video::VideoInfo> {
    gst_video::VideoInfo::builder(format, size.width, size.height)
        .fps(gst::Fraction::new(30, 1))
        .colorimetry(&browser_colours())
        .build()
        .ok()
}

/// Sides of pictures that are drawn. Damaged headers claim others.
const SIDE_PX: std::ops::RangeInclusive<u32> = 16..=8192;

/// A decoded picture, I420.
pub struct Picture {
    frame: VideoFrame<Readable>,
}

impl Picture {
    fn from_caught(caught: Caught) -> Option<Self> {
        let info = gst_video::VideoInfo::from_caps(&caught.caps).ok()?;
        let size = Size { width: info.width(), height: info.height() };
        if !SIDE_PX.contains(&size.width) || !SIDE_PX.contains(&size.height) {
            return None;
        }
        let info = picture_info(info.format(), size)?;
        let frame = VideoFrame::from_buffer_readable(caught.buffer, &info).ok()?;
        if info.format() == gst_video::VideoFormat::I420 { Some(Self { frame }) } else { converted(&frame) }
    }

    /// Pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        Size { width: self.frame.width(), height: self.frame.height() }
    }

    /// How much memory it needs.
    pub(crate) fn bytes(&self) -> usize {
        self.frame.info().size()
    }

    /// Rows of plane 0 (Y), 1 (U) or 2 (V), and the bytes from one to the next.
    #[must_use]
    pub fn plane(&self, plane: usize) -> (&[u8], usize) {
        let data = self.frame.plane_data(plane as u32).expect("I420 has three planes");
        (data, self.frame.plane_stride()[plane] as usize)
    }

    /// The picture turned clockwise by 90, 180 or 270 degrees; itself for anything else.
    #[must_use]
    pub fn turned(self, degrees: u16) -> Self {
        if !matches!(degrees, 90 | 180 | 270) {
            return self;
        }
        self.try_turned(degrees).unwrap_or(self)
    }

    fn try_turned(&self, degrees: u16) -> Option<Self> {
        let Size { width, height } = self.size();
        let size = if degrees == 180 { self.size() } else { Size { width: height, height: width } };
        let mut turned = blank(size)?;
        for plane in 0..3 {
            let halved = |side: u32| if plane == 0 { side as usize } else { side.div_ceil(2) as usize };
            let stride = turned.plane_stride()[plane] as usize;
            let to = turned.plane_data_mut(plane as u32).ok()?;
            turn(degrees, [halved(width), halved(height)], self.plane(plane), (to, stride));
        }
        readable(turned)
    }
}

/// A picture to be drawn on.
fn blank(size: Size) -> Option<VideoFrame<Writable>> {
    let info = picture_info(gst_video::VideoFormat::I420, size)?;
    let buffer = gst::Buffer::with_size(info.size()).ok()?;
    VideoFrame::from_buffer_writable(buffer, &info).ok()
}

fn readable(frame: VideoFrame<Writable>) -> Option<Picture> {
    let info = frame.info().clone();
    Some(Picture { frame: VideoFrame::from_buffer_readable(frame.into_buffer(), &info).ok()? })
}

/// I420 of a picture in another format: more colour or depth than calls usually have.
fn converted(frame: &VideoFrame<Readable>) -> Option<Picture> {
    let mut target = blank(Size { width: frame.width(), height: frame.height() })?;
    let converter = gst_video::VideoConverter::new(frame.info(), target.info(), None).ok()?;
    converter.frame(frame, &mut target);
    readable(target)
}

/// Turns one plane clockwise. In blocks: one of the two pictures is walked down its columns, and a cache holds only some rows.
fn turn(
    degrees: u16,
    [width, height]: [usize; 2],
    (from, from_stride): (&[u8], usize),
    (to, to_stride): (&mut [u8], usize),
) {
    const BLOCK: usize = 32;
    if degrees == 180 {
        for (y, row) in from.chunks(from_stride).take(height).enumerate() {
            let target = &mut to[(height - 1 - y) * to_stride..][..width];
            for (target, source) in target.iter_mut().rev().zip(&row[..width]) {
                *target = *source;
            }
        }
        return;
    }
    for top in (0..height).step_by(BLOCK) {
        let bottom = (top + BLOCK).min(height);
        for x in 0..width {
            let column = (top..bottom).map(|y| from[y * from_stride + x]);
            if degrees == 90 {
                let target = &mut to[x * to_stride + height - bottom..][..bottom - top];
                for (target, source) in target.iter_mut().rev().zip(column) {
                    *target = source;
                }
            } else {
                let target = &mut to[(width - 1 - x) * to_stride + top..][..bottom - top];
                for (target, source) in target.iter_mut().zip(column) {
                    *target = source;
                }
            }
        }
    }
}

/// When a frame is shown, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Showing {
    /// RTP time, in ticks of the segment's clock.
    pub rtp: u64,
    /// When it belongs, take time.
    pub at_ns: u64,
    /// To be turned clockwise.
    pub degrees: u16,
}

/// A picture that came out of a decoder.
pub struct Shown {
    /// The picture.
    pub picture: Picture,
    /// What its frame was given with.
    pub showing: Showing,
}

/// A frame that went in and has not come out.
#[derive(Debug)]
struct Pending {
    /// Of the frame, in the order of decoding.
    number: u64,
    pts: gst::ClockTime,
    showing: Showing,
}

/// Frames that cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// The decoder refused them.
    pub refused: u64,
    /// The decoder took them, and gave no picture for them.
    pub vanished: u64,
    /// Their pictures were not right yet: decoding began at none that is whole by itself.
    pub unclear: u64,
}

impl Damage {
    /// Frames of which nothing could be made.
    #[must_use]
    pub fn broken(self) -> u64 {
        self.refused + self.vanished
    }
}

impl std::ops::Sub for Damage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            refused: self.refused - before.refused,
            vanished: self.vanished - before.vanished,
            unclear: self.unclear - before.unclear,
        }
    }
}

/// Decodes one segment of a video track.
#[derive(Debug)]
pub struct VideoDecoder {
    filter: Filter,
    caps: gst::Caps,
    codec: Codec,
    clock_rate_hz: u64,
    first_rtp: u64,
    frames: u64,
    refused: u64,
    vanished: u64,
    unclear: u64,
    /// Nothing decodable is known: wait for a keyframe.
    blind: bool,
    /// A picture has come out that is right.
    clear: bool,
    /// In the order of decoding. Frames that no picture comes of are forgotten when a later one has come out.
    pending: VecDeque<Pending>,
}

/// A decoder holds back no more pictures than this (H.264, A.3.1: `MaxDpbFrames`).
const MOST_HELD_BACK: u64 = 16;
/// Pictures that a decoder does not trust are shown after so many frames all the same: better than none.
const MOST_UNCLEAR: u64 = 150;
/// Frames are told apart by their times, which are those at which they show: those before the first would be below zero.
const PTS_BASE_NS: u64 = 3_600_000_000_000;

impl VideoDecoder {
    /// A decoder for the segment, or `None` if its codec is not one of ours.
    pub fn new(segment: &SegmentOpened) -> Result<Option<Self>, ComposeError> {
        crate::filter::start()?;
        let wanted = gst::Caps::builder("video/x-raw").build();
        let (filter, caps) = match segment.codec {
            Codec::Vp8 => (
                Filter::new(VP8.factory, VP8.package, wanted, alone)?,
                gst::Caps::builder("video/x-vp8").build(),
            ),
            Codec::Vp9 => (
                Filter::new(VP9.factory, VP9.package, wanted, alone)?,
                gst::Caps::builder("video/x-vp9").build(),
            ),
            Codec::Av1 => {
                let has_dav1d = gst::ElementFactory::find(DAV1D.factory).is_some();
                let element = if has_dav1d { DAV1D } else { AV1 };
                let filter = Filter::new(element.factory, element.package, wanted, forgive)?;
                let caps = gst::Caps::builder("video/x-av1")
                    .field("stream-format", "obu-stream")
                    .field("alignment", "tu");
                (filter, caps.build())
            }
            Codec::H264 => {
                let mut caps =
                    gst::Caps::builder("video/x-h264").field("stream-format", "avc").field("alignment", "au");
                if !segment.codec_private.is_empty() {
                    caps = caps.field("codec_data", gst::Buffer::from_slice(segment.codec_private.clone()));
                }
                let filter = Filter::new(H264.factory, H264.package, wanted, |element| {
                    forgive(element);
                    // More threads delay pictures and double the work.
                    set(element, "max-threads", 1i32);
                })?;
                (filter, caps.build())
            }
            Codec::Opus | Codec::Unknown => return Ok(None),
        };
        Ok(Some(Self {
            filter,
            caps,
            codec: segment.codec,
            clock_rate_hz: u64::from(segment.clock_rate_hz.max(1)),
            first_rtp: segment.first_rtp,
            frames: 0,
            refused: 0,
            vanished: 0,
            unclear: 0,
            blind: true,
            clear: false,
            pending: VecDeque::new(),
        }))
    }

    /// Decodes one frame; gives back the pictures that came out, in the order in which they are shown.
    pub fn decode(&mut self, data: Bytes, keyframe: bool, showing: Showing) -> Vec<Shown> {
        if self.blind && !keyframe {
            return Vec::new();
        }
        let mut buffer = gst::Buffer::from_slice(data);
        let number = self.frames;
        self.frames += 1;
        let pts = self.pts(number, showing.rtp);
        {
            let buffer = buffer.get_mut().expect("a new buffer has one owner");
            // Only their order matters to the decoder: the take's times belong to us.
            buffer.set_pts(pts);
            buffer.set_dts(gst::ClockTime::from_mseconds(number * 10));
            if !keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.pending.push_back(Pending { number, pts, showing });
        let caught = match self.filter.push(buffer, &self.caps) {
            Ok(caught) => {
                self.blind = false;
                caught
            }
            Err(refused) => {
                self.refused += 1;
                self.pending.pop_back();
                tracing::debug!(%refused, "a frame could not be decoded");
                return Vec::new();
            }
        };
        let shown = self.shown(caught, showing);
        self.forget(|frame| frame.number + MOST_HELD_BACK <= number);
        shown
    }

    /// Whether a picture that belongs to `to_ns` or before is still in the decoder, as far as that is known.
    #[must_use]
    pub fn owes(&self, to_ns: u64) -> bool {
        // Other codecs give back at once what is to be shown, and have frames that are not.
        self.codec == Codec::H264 && self.pending.iter().any(|frame| frame.showing.at_ns <= to_ns)
    }

    /// Gives back what is still in the decoder, and what it has counted in all. Nothing can be decoded afterwards.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Shown>, Damage) {
        let Some(last) = self.pending.back().map(|frame| frame.showing) else {
            return (Vec::new(), self.damage());
        };
        let caught = self.filter.end();
        let shown = self.shown(caught, last);
        self.forget(|_| true);
        (shown, self.damage())
    }

    /// Frames of H.264 get the time at which they are shown, the others a number.
    fn pts(&self, number: u64, rtp: u64) -> gst::ClockTime {
        let ns = match self.codec {
            Codec::H264 => {
                let ticks = i128::from(rtp) - i128::from(self.first_rtp);
                let ns = ticks * 1_000_000_000 / i128::from(self.clock_rate_hz) + i128::from(PTS_BASE_NS);
                u64::try_from(ns).unwrap_or(0)
            }
            _ => number * 10_000_000,
        };
        gst::ClockTime::from_nseconds(ns)
    }

    /// The pictures among what came out, each with what its frame was given with; `newest` where that is not known any more.
    fn shown(&mut self, caught: Vec<Caught>, newest: Showing) -> Vec<Shown> {
        let mut shown = Vec::new();
        for caught in caught {
            let pts = caught.buffer.pts();
            let known = self.pending.iter().position(|frame| Some(frame.pts) == pts);
            let showing = known.and_then(|index| self.pending.remove(index)).map_or(newest, |f| f.showing);
            // What is shown earlier and has not come out does not come any more.
            self.forget(|frame| frame.showing.rtp <= showing.rtp);
            // A decoder that began at a recovery point knows from where on its pictures are right.
            let is_right = !caught.buffer.flags().contains(gst::BufferFlags::CORRUPTED);
            self.clear |= is_right || self.frames > MOST_UNCLEAR;
            if !self.clear {
                self.unclear += 1;
            } else {
                match Picture::from_caught(caught) {
                    Some(picture) => shown.push(Shown { picture, showing }),
                    // Its size is one that is not drawn.
                    None => self.vanished += 1,
                }
            }
        }
        shown
    }

    /// No picture comes of such frames any more. VP8 and VP9 have frames that are not to be shown, and refuse those that they cannot
    /// decode; of the others each is a picture.
    fn forget(&mut self, is_over: impl Fn(&Pending) -> bool) {
        let before = self.pending.len();
        self.pending.retain(|frame| !is_over(frame));
        if matches!(self.codec, Codec::H264 | Codec::Av1) {
            self.vanished += (before - self.pending.len()) as u64;
        }
    }

    /// Nothing can be decoded until a keyframe comes.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Counts from 0 again.
    pub(crate) fn count_anew(&mut self) {
        (self.refused, self.vanished, self.unclear) = (0, 0, 0);
    }

    /// What could not be shown so far.
    #[must_use]
    pub fn damage(&self) -> Damage {
        let Self { refused, vanished, unclear, .. } = *self;
        Damage { refused, vanished, unclear }
    }
}

/// Damaged input is expected: the element shall never give up.
pub(crate) fn forgive(element: &gst::Element) {
    set(element, "max-errors", -1i32);
}

/// One thread: several of libvpx wait for each other by spinning. It refuses each frame that it cannot decode, and takes the next one:
/// of what it forgives nobody learns.
fn alone(element: &gst::Element) {
    use gst::prelude::*;
    set(element, "max-errors", 0i32);
    element.set_property_from_str("threads", "1");
}

/// Sets a property if the element has it: versions differ.
pub(crate) fn set(element: &gst::Element, name: &str, value: i32) {
    use gst::prelude::*;
    if element.find_property(name).is_some() {
        element.set_property(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_turned_clockwise() {
        // 3x2, its rows 1 2 3 and 4 5 6, in rows of four.
        let picture = [1, 2, 3, 0, 4, 5, 6, 0];
        let turned = |degrees, width: usize, height: usize| {
            let mut to = vec![0; width * height];
            turn(degrees, [3, 2], (&picture, 4), (&mut to, width));
            to
        };
        assert_eq!(turned(90, 2, 3), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(180, 3, 2), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(270, 2, 3), [3, 6, 2, 5, 1, 4]);
    }
}
