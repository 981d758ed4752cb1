//! Writes a take: one thread, a bounded queue in front of it.
use std::path::Path;

use bytes::Bytes;

use crate::{
    error::TakeError,
    format::{Codec, EndReason, TakeEvent, TakeHeader},
    ids::{SegmentId, TrackId},
};

/// A frame to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Extended RTP time, not smaller than the segment's earlier frames'.
    pub rtp: u64,
    /// Arrival of the frame's first packet.
    pub at_ns: u64,
    /// Decodable without earlier frames.
    pub keyframe: bool,
    /// VP8 frame, AVCC access unit or Opus packet.
    pub data: Bytes,
}

/// A segment to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentSpec {
    /// Codec of all its frames.
    pub codec: Codec,
    /// RTP clock rate.
    pub clock_rate_hz: u32,
    /// Extended RTP time of the first frame.
    pub first_rtp: u64,
    /// Arrival of the first frame.
    pub first_at_ns: u64,
    /// Picture width, 0 if unknown or audio.
    pub width: u32,
    /// Picture height, 0 if unknown or audio.
    pub height: u32,
    /// Matroska `CodecPrivate`.
    pub codec_private: Vec<u8>,
}

/// What became of something handed to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// In the queue.
    Queued,
    /// Dropped: the queue is full, or the take has ended. Counted; a gap is recorded.
    Dropped,
}

/// Limits of the writer.
#[derive(Debug, Clone)]
pub struct TakeOptions {
    /// Bytes of frames that may wait.
    pub queue_bytes: usize,
    /// Frames and facts that may wait.
    pub queue_entries: usize,
}

impl Default for TakeOptions {
    fn default() -> Self {
        Self { queue_bytes: 64 << 20, queue_entries: 16_384 }
    }
}

/// How a take is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeState {
    /// Being written.
    Recording,
    /// Ended in order.
    Ended,
    /// Ended because writing failed; everything before is kept. The reason is `DiskFull` or `WriteFailed`.
    Failed {
        /// The reason recorded.
        reason: EndReason,
        /// What the system said.
        message: String,
    },
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakeSummary {
    /// Frames written.
    pub frames: u64,
    /// Bytes written, all files.
    pub bytes: u64,
    /// Frames dropped because the disk could not follow.
    pub dropped: u64,
}

/// Creates takes.
#[derive(Debug)]
pub struct Take;

impl Take {
    /// Creates the take's directory and starts its writer.
    pub fn create(dir: &Path, header: TakeHeader) -> Result<TakeHandle, TakeError> {
        Self::create_with(dir, header, TakeOptions::default())
    }

    /// [`Take::create`] with limits.
    pub fn create_with(
        dir: &Path,
        header: TakeHeader,
        options: TakeOptions,
    ) -> Result<TakeHandle, TakeError> {
        todo!("{dir:?} {header:?} {options:?}")
    }
}

/// A take's writer, from outside. Cheap to clone; no call but [`TakeHandle::finish`] waits.
#[derive(Debug, Clone)]
pub struct TakeHandle {}

impl TakeHandle {
    /// Appends a fact.
    pub fn event(&self, at_ns: u64, event: TakeEvent) -> Sent {
        todo!("{at_ns} {event:?}")
    }

    /// Opens a new segment (file) for a track; its `SegmentOpened` fact is written by the writer.
    pub fn open_segment(&self, track: &TrackId, spec: SegmentSpec) -> SegmentId {
        todo!("{track} {spec:?}")
    }

    /// Appends a frame to a segment.
    pub fn frame(&self, segment: SegmentId, frame: Frame) -> Sent {
        todo!("{segment} {frame:?}")
    }

    /// Promises that nothing with `at` up to `to_ns` will still be handed over. Call it about every 200 ms.
    pub fn complete(&self, at_ns: u64, to_ns: u64) {
        todo!("{at_ns} {to_ns}")
    }

    /// How the take is doing.
    #[must_use]
    pub fn state(&self) -> TakeState {
        todo!()
    }

    /// What has been written so far.
    #[must_use]
    pub fn summary(&self) -> TakeSummary {
        todo!()
    }

    /// Writes the end, syncs, and waits for it (blocking; well under a second unless the disk hangs).
    /// Other clones of the handle are deaf afterwards.
    pub fn finish(self, at_ns: u64, reason: EndReason) -> Result<TakeSummary, TakeError> {
        todo!("{at_ns} {reason:?}")
    }
}
