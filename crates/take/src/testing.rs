//! Takes for tests, built from given frames.
use std::path::Path;

use crate::{
    error::TakeError,
    format::{EndReason, TakeEvent, TakeHeader, TrackSource},
    ids::{ParticipantId, SegmentId, TrackId},
    writer::{Frame, SegmentSpec},
};

/// Builds a take: facts and frames in any order; they are sorted by `at` and written with complete marks by [`SyntheticTake::write`].
#[derive(Debug)]
pub struct SyntheticTake {
    header: TakeHeader,
}

impl SyntheticTake {
    /// An empty take of room `room`.
    #[must_use]
    pub fn new(room: &str) -> Self {
        Self { header: TakeHeader::new("EG_test", room, "RM_test", 1_767_225_600_000_000_000) }
    }

    /// The header, to be changed before writing.
    pub fn header_mut(&mut self) -> &mut TakeHeader {
        &mut self.header
    }

    /// Adds a fact.
    pub fn event(&mut self, at_ns: u64, event: TakeEvent) -> &mut Self {
        let _ = (at_ns, event);
        todo!()
    }

    /// A participant joins; its id is `PA_<identity>`.
    pub fn join(&mut self, at_ns: u64, identity: &str, name: &str) -> ParticipantId {
        todo!("{at_ns} {identity} {name}")
    }

    /// A participant publishes a track; its id is `TR_<identity>_<source>`.
    pub fn publish(&mut self, at_ns: u64, participant: &ParticipantId, source: TrackSource) -> TrackId {
        todo!("{at_ns} {participant} {source:?}")
    }

    /// Opens a segment of a track.
    pub fn segment(&mut self, track: &TrackId, spec: SegmentSpec) -> SegmentId {
        todo!("{track} {spec:?}")
    }

    /// Adds a frame to a segment.
    pub fn frame(&mut self, segment: SegmentId, frame: Frame) -> &mut Self {
        let _ = (segment, frame);
        todo!()
    }

    /// Writes the take to `dir` (must not exist) and ends it at `end_ns`.
    pub fn write(self, dir: &Path, end_ns: u64) -> Result<(), TakeError> {
        self.write_ending(dir, end_ns, EndReason::Stopped)
    }

    /// [`SyntheticTake::write`] with another reason.
    pub fn write_ending(self, dir: &Path, end_ns: u64, reason: EndReason) -> Result<(), TakeError> {
        todo!("{dir:?} {end_ns} {reason:?}")
    }
}
