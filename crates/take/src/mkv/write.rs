//! Matroska, writing.

use super::{
    CLUSTER, EBML, INFO, SEGMENT, SIMPLE_BLOCK, STAMP_LEN, TIMESTAMP, TRACK_ENTRY, TRACKS, VOID, crc32,
};
use crate::format::{Codec, TrackKind};

const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
const OPUS_SEEK_PREROLL_NS: u64 = 80_000_000;

/// What the header of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MkvSpec {
    /// Codec; `Unknown` is written as `V_UNKNOWN`.
    pub codec: Codec,
    /// RTP clock rate, ticks per second.
    pub clock_rate_hz: u32,
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// `CodecPrivate`; empty for none.
    pub codec_private: Vec<u8>,
}

/// The frame lies before the file's beginning, or too far from it: it needs a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("frame is out of the file's time range")]
pub struct OutOfRange;

/// Writes one file, into byte buffers.
#[derive(Debug, Clone)]
pub struct MkvWriter {
    cluster_tick: Option<u64>,
    /// The latest time written.
    highest_tick: u64,
    /// How far times went back behind it: pictures that decode after one that is shown later.
    most_back: u64,
}

impl MkvWriter {
    /// Appends the header to `out`.
    pub fn begin(spec: &MkvSpec, out: &mut Vec<u8>) -> Self {
        master(out, EBML, |b| {
            uint(b, 0x4286, 1);
            uint(b, 0x42F7, 1);
            uint(b, 0x42F2, 4);
            uint(b, 0x42F3, 8);
            bytes(b, 0x4282, b"matroska");
            uint(b, 0x4287, 4);
            uint(b, 0x4285, 2);
        });
        id(out, SEGMENT);
        out.extend_from_slice(&UNKNOWN_SIZE);
        master(out, INFO, |b| {
            uint(b, 0x2A_D7B1, 1_000_000_000 / u64::from(spec.clock_rate_hz.max(1)));
            bytes(b, 0x4D80, b"reelroom");
            bytes(b, 0x5741, b"reelroom");
        });
        master(out, TRACKS, |b| master(b, TRACK_ENTRY, |b| track_entry(b, spec)));
        Self { cluster_tick: None, highest_tick: 0, most_back: 0 }
    }

    /// Appends a frame to `out`: `tick` RTP ticks after the file's first frame, arrived at `at_ns`. Frames come in the order in which
    /// they decode, `tick` is when one is shown.
    pub fn frame(
        &mut self,
        out: &mut Vec<u8>,
        tick: u64,
        at_ns: u64,
        keyframe: bool,
        data: &[u8],
    ) -> Result<(), OutOfRange> {
        if tick > 1 << 48 {
            return Err(OutOfRange);
        }
        self.most_back = self.most_back.max(self.highest_tick.saturating_sub(tick));
        self.highest_tick = self.highest_tick.max(tick);
        let from = |start: u64| i16::try_from(tick.cast_signed() - start.cast_signed()).ok();
        let relative = self.cluster_tick.and_then(from).unwrap_or_else(|| {
            // Room for what goes back: a cluster's times should not lie before those of the one before it.
            let room = self.most_back.min(i16::MAX.unsigned_abs().into());
            let start = tick.saturating_sub(room);
            id(out, CLUSTER);
            out.extend_from_slice(&UNKNOWN_SIZE);
            uint(out, TIMESTAMP, start);
            self.cluster_tick = Some(start);
            (tick - start) as i16
        });
        id(out, VOID);
        size(out, STAMP_LEN);
        out.extend_from_slice(&at_ns.to_be_bytes());
        out.extend_from_slice(&crc32(data).to_be_bytes());
        id(out, SIMPLE_BLOCK);
        size(out, data.len() + 4);
        out.push(0x81);
        out.extend_from_slice(&relative.to_be_bytes());
        out.push(if keyframe { 0x80 } else { 0 });
        out.extend_from_slice(data);
        Ok(())
    }
}

fn track_entry(b: &mut Vec<u8>, spec: &MkvSpec) {
    let kind = spec.codec.kind();
    uint(b, 0xD7, 1);
    uint(b, 0x73C5, 1);
    uint(b, 0x83, if kind == TrackKind::Video { 1 } else { 2 });
    uint(b, 0x9C, 0);
    bytes(b, 0x86, spec.codec.matroska_id().unwrap_or("V_UNKNOWN").as_bytes());
    if !spec.codec_private.is_empty() {
        bytes(b, 0x63A2, &spec.codec_private);
    }
    if spec.codec == Codec::Opus {
        uint(b, 0x56BB, OPUS_SEEK_PREROLL_NS);
    }
    match kind {
        TrackKind::Video => master(b, 0xE0, |b| {
            uint(b, 0xB0, u64::from(spec.width.max(1)));
            uint(b, 0xBA, u64::from(spec.height.max(1)));
        }),
        TrackKind::Audio => master(b, 0xE1, |b| {
            bytes(b, 0xB5, &f64::from(spec.clock_rate_hz).to_be_bytes());
            uint(b, 0x9F, 2);
        }),
    }
}

fn id(out: &mut Vec<u8>, id: u32) {
    let bytes = id.to_be_bytes();
    out.extend_from_slice(&bytes[(id.leading_zeros() / 8) as usize..]);
}

/// An element size: 1 byte up to 126, else 4 bytes up to 256 MiB, else 8.
fn size(out: &mut Vec<u8>, len: usize) {
    if len < 0x7F {
        out.push(0x80 | len as u8);
    } else if len < 0x0FFF_FFFF {
        out.extend_from_slice(&(0x1000_0000 | len as u32).to_be_bytes());
    } else {
        out.extend_from_slice(&(0x0100_0000_0000_0000 | len as u64).to_be_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, element: u32, content: &[u8]) {
    id(out, element);
    size(out, content.len());
    out.extend_from_slice(content);
}

fn uint(out: &mut Vec<u8>, element: u32, value: u64) {
    let skip = ((value | 1).leading_zeros() / 8) as usize;
    bytes(out, element, &value.to_be_bytes()[skip..]);
}

fn master(out: &mut Vec<u8>, element: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    bytes(out, element, &content);
}
