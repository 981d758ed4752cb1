//! Payloads in sequence order to whole frames.

use reelroom_limits::media::FRAME_BYTES;

pub(super) use super::h264::Entry;
use super::{av1, h264, seal::is_sealed, vp8, vp9};
use crate::format::Codec;

/// A whole frame.
#[derive(Debug)]
pub(super) struct RawFrame {
    pub(super) rtp: u64,
    pub(super) at_ns: u64,
    /// Packets that it came in.
    pub(super) packets: u64,
    /// Whether decoding can begin here.
    pub(super) entry: Entry,
    /// It looks encrypted. One that makes no sense besides is empty.
    pub(super) sealed: bool,
    pub(super) data: Vec<u8>,
    /// Size in pixels, told by keyframes.
    pub(super) dimensions: Option<(u32, u32)>,
    /// Matroska `CodecPrivate` as of this frame, told by keyframes.
    pub(super) codec_private: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Depacketizer {
    Vp8,
    Vp9(vp9::Depacketizer),
    H264(h264::Depacketizer),
    Av1(av1::Depacketizer),
    Opus,
}

#[derive(Debug)]
struct Partial {
    rtp: u64,
    packets: u64,
    /// Arrival of the packet that came first, and of the one that came last.
    at_ns: u64,
    newest_ns: u64,
    /// Its last packet so far has the marker.
    marked: bool,
    data: Vec<u8>,
    /// Whether something of it is missing in front shows at its end: not if it has its parameter sets itself.
    needs_sets: bool,
    /// It cannot become a whole frame; the rest of it is to be skipped.
    broken: bool,
}

/// What the marker bit says of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Markers {
    /// None was seen yet, or nothing behind one that bears it out.
    Unseen,
    /// A frame's last packet.
    EndFrames,
    /// Nothing: it stands on packets in the middle of a frame, too.
    Meaningless,
}

/// Collects the frame in progress.
#[derive(Debug)]
pub(super) struct Assembler {
    codec: Depacketizer,
    partial: Option<Partial>,
    markers: Markers,
    /// RTP time of the frame that a marker ended last.
    ended: Option<u64>,
    /// A frame was ended by the next one alone: this sender sets no markers, or not behind every frame.
    unmarked: bool,
    /// Something before the next packet is missing: a frame must prove that it begins there.
    unsure: bool,
    broken: bool,
    /// Packets of frames that were thrown away, since this was asked for last.
    lost: u64,
    /// Packets that hold nothing to be shown, such as parameter sets alone.
    bare: u64,
}

impl Assembler {
    pub(super) fn new(codec: Codec) -> Option<Self> {
        let codec = match codec {
            Codec::Vp8 => Depacketizer::Vp8,
            Codec::H264 => Depacketizer::H264(h264::Depacketizer::default()),
            Codec::Vp9 => Depacketizer::Vp9(vp9::Depacketizer::default()),
            Codec::Av1 => Depacketizer::Av1(av1::Depacketizer::default()),
            Codec::Opus => Depacketizer::Opus,
            Codec::Unknown => return None,
        };
        Some(Self {
            codec,
            partial: None,
            markers: Markers::Unseen,
            ended: None,
            unmarked: false,
            unsure: true,
            broken: false,
            lost: 0,
            bare: 0,
        })
    }

    /// Packets that no frame was made of, since the last call.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Packets that held nothing to be shown, since the last call.
    pub(super) fn take_bare(&mut self) -> u64 {
        std::mem::take(&mut self.bare)
    }

    /// Arrival of the frame in progress.
    pub(super) fn at_ns(&self) -> Option<u64> {
        self.partial.as_ref().map(|partial| partial.at_ns)
    }

    /// Arrival of the last packet of the frame in progress.
    pub(super) fn newest_ns(&self) -> Option<u64> {
        self.partial.as_ref().map(|partial| partial.newest_ns)
    }

    /// A frame was thrown away since the last call.
    pub(super) fn take_broken(&mut self) -> bool {
        std::mem::take(&mut self.broken)
    }

    /// All of the frame in progress has come so far.
    pub(super) fn is_sound(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| !partial.broken)
    }

    /// Packets are missing here.
    pub(super) fn discontinuity(&mut self) {
        self.lost += self.partial.take().map_or(0, |partial| partial.packets);
        self.unsure = true;
        match &mut self.codec {
            Depacketizer::Vp9(vp9) => vp9.abandon(),
            Depacketizer::H264(h264) => h264.abandon_fragment(),
            Depacketizer::Av1(av1) => av1.abandon_fragment(),
            Depacketizer::Vp8 | Depacketizer::Opus => {}
        }
    }

    /// A parameter set (H.264) that was not in the stream.
    pub(super) fn learn(&mut self, unit: &[u8]) {
        if let Depacketizer::H264(h264) = &mut self.codec {
            h264.learn(unit);
        }
    }

    /// Another time line begins here.
    pub(super) fn reset(&mut self) {
        self.discontinuity();
        (self.markers, self.ended, self.unmarked) = (Markers::Unseen, None, false);
        match &mut self.codec {
            Depacketizer::H264(h264) => *h264 = h264::Depacketizer::default(),
            Depacketizer::Av1(av1) => *av1 = av1::Depacketizer::default(),
            Depacketizer::Vp8 | Depacketizer::Vp9(_) | Depacketizer::Opus => {}
        }
    }

    /// Takes the next payload; may complete the frame before it (whose marker was absent) and its own.
    pub(super) fn push(
        &mut self,
        rtp: u64,
        marker: bool,
        at_ns: u64,
        payload: &[u8],
    ) -> (Option<RawFrame>, Option<RawFrame>) {
        if let Depacketizer::Opus = self.codec {
            let frame = (!payload.is_empty()).then(|| RawFrame {
                rtp,
                at_ns,
                packets: 1,
                entry: Entry::Reset,
                sealed: is_sealed(payload),
                data: payload.to_vec(),
                dimensions: None,
                codec_private: Some(OPUS_HEAD.to_vec()),
            });
            return (frame, None);
        }
        // Padding has no time of its own.
        if payload.is_empty() {
            return (None, None);
        }
        let before = match &self.partial {
            Some(partial) if partial.rtp != rtp || self.is_next(rtp, payload) => {
                if self.markers == Markers::Unseen && self.ended == Some(partial.rtp) {
                    self.markers = Markers::EndFrames;
                }
                self.unmarked |= !partial.marked;
                self.complete()
            }
            _ => None,
        };
        self.extend(rtp, marker, at_ns, payload);
        if !marker || self.markers == Markers::Meaningless {
            return (before, None);
        }
        let is_whole = self.partial.as_ref().is_none_or(|partial| !partial.broken);
        if is_whole && self.is_open() {
            self.markers = Markers::Meaningless;
            return (before, None);
        }
        self.ended = Some(rtp);
        if self.markers == Markers::Unseen {
            // Some senders mark every slice, layer or packet: the next packet shows it.
            return (before, None);
        }
        (before, self.complete())
    }

    /// The payload begins another frame, which has the same time as the one that the first marker has ended: one of them is not shown.
    fn is_next(&self, rtp: u64, payload: &[u8]) -> bool {
        let is_marked = self.markers == Markers::Unseen && self.ended == Some(rtp);
        // In H.264 much may stand behind a picture's last slice.
        is_marked && !matches!(self.codec, Depacketizer::H264(_)) && !self.goes_on(payload)
    }

    /// A frame seems to be whole, and only the next packet will show whether it is.
    pub(super) fn awaits_proof(&self) -> bool {
        let is_marked = |partial: &Partial| self.ended == Some(partial.rtp) && !partial.broken;
        self.markers == Markers::Unseen && self.partial.as_ref().is_some_and(is_marked)
    }

    /// The frame in progress ends as whole frames of this stream do, and nothing but the next one, which may be minutes away, can
    /// show it. A stream that has shown no frame's end yet ends one by a marker.
    pub(super) fn seems_whole(&self) -> bool {
        let Some(partial) = &self.partial else { return false };
        match self.markers {
            Markers::Unseen => self.awaits_proof() || (self.unmarked && !partial.broken),
            Markers::EndFrames => false,
            Markers::Meaningless => (partial.marked || self.unmarked) && !partial.broken,
        }
    }

    /// The frame in progress, unless it is known not to be whole. To be asked for when no packet has come for long, or none will, as
    /// the first frame of a stream without markers seems to be none.
    pub(super) fn close(&mut self) -> Option<RawFrame> {
        let is_told = self.markers == Markers::EndFrames;
        if is_told || self.is_open() || self.partial.as_ref().is_none_or(|partial| partial.broken) {
            return None;
        }
        self.complete()
    }

    /// What a packet has begun, another one has to end.
    fn is_open(&self) -> bool {
        match &self.codec {
            Depacketizer::Vp9(vp9) => vp9.is_open(),
            Depacketizer::H264(h264) => h264.is_open(),
            Depacketizer::Av1(av1) => av1.is_open(),
            Depacketizer::Vp8 | Depacketizer::Opus => false,
        }
    }

    fn extend(&mut self, rtp: u64, marker: bool, at_ns: u64, payload: &[u8]) {
        let unsure = std::mem::take(&mut self.unsure);
        // A second frame of this time, which has begun, goes on too. In H.264 it may be what stands behind the picture.
        let is_second = self.partial.is_some() && self.markers != Markers::Unseen;
        let may_be_ended = !is_second || matches!(self.codec, Depacketizer::H264(_));
        if self.ended == Some(rtp) && may_be_ended && self.goes_on(payload) {
            self.markers = Markers::Meaningless;
        }
        let partial = match &mut self.partial {
            Some(partial) => {
                partial.at_ns = partial.at_ns.min(at_ns);
                partial.newest_ns = partial.newest_ns.max(at_ns);
                partial.marked = marker;
                partial
            }
            none => {
                // Some encoders say supplemental information before the parameter sets.
                let needs_sets = unsure
                    && matches!(&self.codec, Depacketizer::H264(h264) if !h264.begins_access_unit(payload))
                    && h264::begins_with_information(payload);
                let begins = match &self.codec {
                    _ if needs_sets => true,
                    Depacketizer::Vp8 => vp8::begins_frame(payload),
                    Depacketizer::Vp9(_) => {
                        // The base layer may come at a lower rate than those above it.
                        if unsure { vp9::begins_alone(payload) } else { vp9::begins_frame(payload) }
                    }
                    Depacketizer::H264(h264) => {
                        if unsure {
                            h264.begins_access_unit(payload)
                        } else {
                            !h264::goes_on(payload)
                        }
                    }
                    Depacketizer::Av1(_) => {
                        if unsure {
                            av1::begins_sequence(payload)
                        } else {
                            !av1::continues(payload)
                        }
                    }
                    Depacketizer::Opus => true,
                };
                none.insert(Partial {
                    rtp,
                    packets: 0,
                    at_ns,
                    newest_ns: at_ns,
                    marked: marker,
                    data: Vec::new(),
                    needs_sets,
                    broken: !begins,
                })
            }
        };
        partial.packets += 1;
        if partial.broken {
            return;
        }
        let understood = match &mut self.codec {
            Depacketizer::Vp8 => {
                vp8::strip_descriptor(payload).map(|rest| partial.data.extend_from_slice(rest))
            }
            Depacketizer::Vp9(vp9) => vp9.push(payload, &mut partial.data),
            Depacketizer::H264(h264) => h264.push(payload, &mut partial.data),
            Depacketizer::Av1(av1) => av1.push(payload, &mut partial.data),
            Depacketizer::Opus => Some(()),
        };
        partial.broken = understood.is_none() || partial.data.len() > FRAME_BYTES;
    }

    /// The payload belongs to the frame before it, which has the same time, although a marker has ended that one.
    fn goes_on(&self, payload: &[u8]) -> bool {
        match &self.codec {
            Depacketizer::Vp8 => !vp8::begins_frame(payload),
            Depacketizer::Vp9(_) => vp9::goes_on(payload),
            Depacketizer::H264(_) => h264::goes_on(payload),
            Depacketizer::Av1(_) => !av1::begins_sequence(payload),
            Depacketizer::Opus => false,
        }
    }

    fn complete(&mut self) -> Option<RawFrame> {
        let mut partial = self.partial.take()?;
        partial.broken |= partial.needs_sets && !h264::has_sequence_set(&partial.data);
        let mut frame = None;
        let entry = |keyframe: bool| if keyframe { Entry::Reset } else { Entry::No };
        if !partial.broken {
            let Partial { rtp, at_ns, packets, .. } = partial;
            let sealed = is_sealed(&partial.data);
            frame = match &mut self.codec {
                Depacketizer::Vp8 => vp8::inspect(&partial.data).map(|picture| RawFrame {
                    rtp,
                    at_ns,
                    packets,
                    entry: entry(picture.dimensions.is_some()),
                    sealed,
                    data: std::mem::take(&mut partial.data),
                    dimensions: picture.dimensions,
                    codec_private: None,
                }),
                Depacketizer::Vp9(vp9) => {
                    vp9.complete(std::mem::take(&mut partial.data)).map(|picture| RawFrame {
                        rtp,
                        at_ns,
                        packets,
                        entry: entry(picture.keyframe),
                        sealed,
                        data: picture.data,
                        dimensions: picture.dimensions,
                        codec_private: None,
                    })
                }
                Depacketizer::H264(h264) => match h264.complete(std::mem::take(&mut partial.data)) {
                    Ok(Some(unit)) => Some(RawFrame {
                        rtp,
                        at_ns,
                        packets,
                        entry: unit.entry,
                        sealed,
                        data: unit.data,
                        dimensions: unit.dimensions,
                        codec_private: unit.codec_private,
                    }),
                    Ok(None) => {
                        self.bare += packets;
                        return None;
                    }
                    Err(h264::Unusable) => None,
                },
                Depacketizer::Av1(av1) => {
                    av1.complete(std::mem::take(&mut partial.data)).map(|unit| RawFrame {
                        rtp,
                        at_ns,
                        packets,
                        entry: entry(unit.keyframe),
                        sealed,
                        data: unit.data,
                        dimensions: unit.dimensions,
                        codec_private: unit.codec_private,
                    })
                }
                Depacketizer::Opus => None,
            };
            if frame.is_none() && sealed {
                // Of VP9 and AV1 nothing may be in clear.
                let (entry, data) = (Entry::No, Vec::new());
                frame = Some(RawFrame {
                    rtp,
                    at_ns,
                    packets,
                    entry,
                    sealed,
                    data,
                    dimensions: None,
                    codec_private: None,
                });
            }
        } else {
            match &mut self.codec {
                Depacketizer::Vp9(vp9) => vp9.abandon(),
                Depacketizer::H264(h264) => h264.abandon_fragment(),
                Depacketizer::Av1(av1) => av1.abandon_fragment(),
                Depacketizer::Vp8 | Depacketizer::Opus => {}
            }
        }
        if frame.is_none() {
            self.broken = true;
            self.lost += partial.packets;
        }
        frame
    }
}

/// `OpusHead` (RFC 7845, 5.1): version 1, 2 channels, no pre-skip (RTP has none), 48 kHz, no gain, mapping family 0.
/// WebRTC's Opus is always announced as two channels (RFC 7587, 7); a decoder makes two of a mono packet.
pub(crate) const OPUS_HEAD: [u8; 19] =
    [b'O', b'p', b'u', b's', b'H', b'e', b'a', b'd', 1, 2, 0, 0, 0x80, 0xBB, 0, 0, 0, 0, 0];
