//! Takes for tests, built from given frames, and the RTP payloads of frames.

pub mod rtp;

use std::path::Path;

use crate::{
    capture::OPUS_HEAD,
    error::TakeError,
    format::{Codec, EndReason, TakeEvent, TakeHeader, TrackKind, TrackSource},
    ids::{ParticipantId, SegmentId, TrackId},
    item::{Frame, SegmentSpec},
    writer::{Take, TakeOptions},
};

const COMPLETE_EVERY_NS: u64 = 200_000_000;

/// Builds a take: facts and frames in any order; they are sorted by `at` and written with complete marks by [`SyntheticTake::write`].
#[derive(Debug)]
pub struct SyntheticTake {
    header: TakeHeader,
    events: Vec<(u64, TakeEvent)>,
    segments: Vec<(TrackId, SegmentSpec, Vec<Frame>)>,
}

enum Step {
    Event(TakeEvent),
    Open(usize),
    Frame(usize, Frame),
}

impl SyntheticTake {
    /// An empty take of room `room`.
    #[must_use]
    pub fn new(room: &str) -> Self {
        let header = TakeHeader::new("EG_test", room, "RM_test", 1_767_225_600_000_000_000);
        Self { header, events: Vec::new(), segments: Vec::new() }
    }

    /// The header, to be changed before writing.
    pub fn header_mut(&mut self) -> &mut TakeHeader {
        &mut self.header
    }

    /// Adds a fact.
    pub fn event(&mut self, at_ns: u64, event: TakeEvent) -> &mut Self {
        self.events.push((at_ns, event));
        self
    }

    /// A participant joins; its id is `PA_<identity>`.
    pub fn join(&mut self, at_ns: u64, identity: &str, name: &str) -> ParticipantId {
        let participant = ParticipantId::from(format!("PA_{identity}"));
        let (identity, name) = (identity.to_owned(), name.to_owned());
        self.event(at_ns, TakeEvent::ParticipantJoined { participant: participant.clone(), identity, name });
        participant
    }

    /// A participant publishes a track; its id is `TR_<identity>_<source>`.
    pub fn publish(&mut self, at_ns: u64, participant: &ParticipantId, source: TrackSource) -> TrackId {
        let identity = participant.as_str().trim_start_matches("PA_");
        let track = TrackId::from(format!("TR_{identity}_{source:?}"));
        let kind = match source {
            TrackSource::Microphone | TrackSource::ScreenShareAudio => TrackKind::Audio,
            TrackSource::Camera | TrackSource::ScreenShare | TrackSource::Unknown => TrackKind::Video,
        };
        self.event(
            at_ns,
            TakeEvent::TrackPublished {
                track: track.clone(),
                participant: participant.clone(),
                kind,
                source,
                width: 0,
                height: 0,
                muted: false,
            },
        );
        track
    }

    /// Opens a segment of a track.
    pub fn segment(&mut self, track: &TrackId, spec: SegmentSpec) -> SegmentId {
        let segment = SegmentId(u32::try_from(self.segments.len()).expect("tests have few segments"));
        self.segments.push((track.clone(), spec, Vec::new()));
        segment
    }

    /// Adds a frame to a segment, in decoding order.
    pub fn frame(&mut self, segment: SegmentId, frame: Frame) -> &mut Self {
        self.segments[segment.0 as usize].2.push(frame);
        self
    }

    /// Writes the take to `dir` (must not exist) and ends it at `end_ns`.
    pub fn write(self, dir: &Path, end_ns: u64) -> Result<(), TakeError> {
        self.write_ending(dir, end_ns, EndReason::Stopped)
    }

    /// [`SyntheticTake::write`] with another reason. The ids `segment` gave out hold in the take if the segments' first arrivals ascend.
    pub fn write_ending(self, dir: &Path, end_ns: u64, reason: EndReason) -> Result<(), TakeError> {
        self.write_growing(dir, end_ns, reason, |_| {})
    }

    /// [`SyntheticTake::write_ending`] that calls `pace` with the take's time once the (empty) take is there and after each complete
    /// mark: a `pace` that sleeps makes the take grow slowly.
    pub fn write_growing(
        self,
        dir: &Path,
        end_ns: u64,
        reason: EndReason,
        mut pace: impl FnMut(u64),
    ) -> Result<(), TakeError> {
        let mut steps: Vec<_> = self.events.into_iter().map(|(at, event)| (at, Step::Event(event))).collect();
        let mut heads = Vec::new();
        for (number, (track, spec, frames)) in self.segments.into_iter().enumerate() {
            steps.push((spec.first_at_ns, Step::Open(number)));
            let mut key_ns = spec.first_at_ns;
            for frame in frames {
                key_ns = key_ns.max(frame.at_ns);
                steps.push((key_ns, Step::Frame(number, frame)));
            }
            heads.push((track, spec, SegmentId(0)));
        }
        steps.sort_by_key(|(at, _)| *at);
        let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
        let handle = Take::create_with(dir, self.header, unbounded)?;
        let mut complete_ns = 0;
        pace(0);
        for (at, step) in steps {
            while at > complete_ns + COMPLETE_EVERY_NS {
                complete_ns += COMPLETE_EVERY_NS;
                handle.complete(complete_ns, complete_ns);
                pace(complete_ns);
            }
            match step {
                Step::Event(event) => {
                    handle.event(at, event);
                }
                Step::Open(number) => {
                    let (track, spec, id) = &mut heads[number];
                    *id = handle.open_segment(track, spec.clone());
                }
                Step::Frame(number, frame) => {
                    handle.frame(heads[number].2, frame);
                }
            }
        }
        handle.finish(end_ns, reason).map(drop)
    }
}

/// A VP8 segment.
#[must_use]
pub fn vp8_spec(first_rtp: u64, first_at_ns: u64, width: u32, height: u32) -> SegmentSpec {
    SegmentSpec {
        codec: Codec::Vp8,
        clock_rate_hz: 90_000,
        first_rtp,
        first_at_ns,
        width,
        height,
        codec_private: Vec::new(),
    }
}

/// A VP9 or AV1 segment without `CodecPrivate`.
#[must_use]
pub fn video_spec(codec: Codec, first_rtp: u64, first_at_ns: u64, width: u32, height: u32) -> SegmentSpec {
    SegmentSpec { codec, ..vp8_spec(first_rtp, first_at_ns, width, height) }
}

/// An Opus segment.
#[must_use]
pub fn opus_spec(first_rtp: u64, first_at_ns: u64) -> SegmentSpec {
    SegmentSpec {
        codec: Codec::Opus,
        clock_rate_hz: 48_000,
        first_rtp,
        first_at_ns,
        width: 0,
        height: 0,
        codec_private: OPUS_HEAD.to_vec(),
    }
}
