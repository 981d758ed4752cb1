//! Everything a recorder of a room needs: captures of all tracks in front of one take.
use crate::{
    capture::{CaptureConfig, Packet, Wish},
    error::TakeError,
    format::{EndReason, TakeEvent},
    ids::TrackId,
    writer::{TakeHandle, TakeSummary},
};

/// Captures any number of tracks into one take. No call but [`TakeRecorder::finish`] blocks.
#[derive(Debug)]
pub struct TakeRecorder {
    handle: TakeHandle,
}

impl TakeRecorder {
    /// A recorder without tracks.
    #[must_use]
    pub fn new(handle: TakeHandle) -> Self {
        Self { handle }
    }

    /// The take's writer.
    #[must_use]
    pub fn handle(&self) -> &TakeHandle {
        &self.handle
    }

    /// Appends a fact. `TrackUnpublished` and `ParticipantLeft` do not end captures: call [`Self::remove_track`] first.
    pub fn event(&mut self, now_ns: u64, event: TakeEvent) {
        todo!("{now_ns} {event:?}")
    }

    /// Begins to capture a track. Codecs that cannot be captured yet are refused with `false`: note the fact, ignore its packets.
    pub fn add_track(&mut self, track: TrackId, config: CaptureConfig) -> bool {
        todo!("{track} {config:?}")
    }

    /// Ends a track's capture, writing what its jitter buffer still holds.
    pub fn remove_track(&mut self, now_ns: u64, track: &TrackId) {
        todo!("{now_ns} {track}")
    }

    /// A packet of a track; packets of unknown tracks are ignored.
    pub fn packet(&mut self, now_ns: u64, track: &TrackId, packet: &Packet<'_>) -> Wish {
        todo!("{now_ns} {track} {packet:?}")
    }

    /// A sender report: `ntp` 32.32 fixed point, `rtp` as sent. Reports of another time line (layer) than the captured one are ignored.
    pub fn sender_report(&mut self, now_ns: u64, track: &TrackId, ntp: u64, rtp: u32) {
        todo!("{now_ns} {track} {ntp} {rtp}")
    }

    /// To be called about every 100 ms, packets or not: jitter buffers give up on what is missing, and the complete mark moves.
    pub fn tick(&mut self, now_ns: u64) {
        todo!("{now_ns}")
    }

    /// Writes everything held, and the end; waits for the disk.
    pub fn finish(self, now_ns: u64, reason: EndReason) -> Result<TakeSummary, TakeError> {
        todo!("{now_ns} {reason:?}")
    }
}
