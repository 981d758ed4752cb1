//! Everything a recorder of a room needs: captures of all tracks in front of one take.
//!
//! ```text
//! event -----------------------------------> TakeHandle::event
//! packet -> Capture of the track -> outputs -> open_segment, frame, Gap, Dimensions
//! tick ---> all captures; the least of their complete marks -> TakeHandle::complete
//! ```

use std::collections::BTreeMap;

use crate::{
    capture::{Capture, CaptureConfig, Counts, Output, Packet, Wish},
    error::TakeError,
    format::{EndReason, GapCause, LeftOutWhy, TakeEvent},
    ids::{SegmentId, TrackId},
    writer::{Sent, TakeHandle, TakeSummary},
};

const TICK_EVERY_NS: u64 = 100_000_000;
const COMPLETE_EVERY_NS: u64 = 200_000_000;
/// Of packets that were dropped it is told so often, so that whoever makes them come does not fill the disk.
const COUNT_EVERY_NS: u64 = 10_000_000_000;

#[derive(Debug)]
struct Track {
    capture: Capture,
    segment: Option<SegmentId>,
}

/// Captures any number of tracks into one take. No call but [`TakeRecorder::finish`] blocks. Times may not go back; one that
/// does counts as the latest one seen.
#[derive(Debug)]
pub struct TakeRecorder {
    handle: TakeHandle,
    tracks: BTreeMap<TrackId, Track>,
    now_ns: u64,
    ticked_ns: u64,
    completed_ns: u64,
    counted_ns: u64,
}

impl TakeRecorder {
    /// A recorder without tracks.
    #[must_use]
    pub fn new(handle: TakeHandle) -> Self {
        Self::resumed(handle, 0)
    }

    /// A recorder without tracks that goes on with a take at `at_ns`.
    #[must_use]
    pub fn resumed(handle: TakeHandle, at_ns: u64) -> Self {
        Self {
            handle,
            tracks: BTreeMap::new(),
            now_ns: at_ns,
            ticked_ns: at_ns,
            completed_ns: at_ns,
            counted_ns: at_ns,
        }
    }

    /// The take's writer.
    #[must_use]
    pub fn handle(&self) -> &TakeHandle {
        &self.handle
    }

    /// Appends a fact. `TrackUnpublished` ends the track's capture; `ParticipantLeft` does not know the tracks: unpublish them first.
    pub fn event(&mut self, now_ns: u64, event: TakeEvent) {
        let now_ns = self.advance(now_ns);
        if let TakeEvent::TrackUnpublished { track } = &event {
            self.remove_track(now_ns, &track.clone());
        }
        self.handle.event(now_ns, event);
    }

    /// Begins to capture a track; a track already captured goes on. Codecs this version does not know are refused with `false`:
    /// note the fact, ignore the packets.
    pub fn add_track(&mut self, track: TrackId, config: CaptureConfig) -> bool {
        if self.tracks.contains_key(&track) {
            return true;
        }
        let Some(capture) = Capture::new(config) else { return false };
        self.tracks.insert(track, Track { capture, segment: None });
        true
    }

    /// Ends a track's capture, writing what its jitter buffer still holds.
    pub fn remove_track(&mut self, now_ns: u64, track: &TrackId) {
        let now_ns = self.advance(now_ns);
        if let Some(mut state) = self.tracks.remove(track) {
            state.capture.finish(now_ns);
            state.drain(&self.handle, track, now_ns);
            state.count(&self.handle, track, now_ns);
        }
    }

    /// A packet of a track; packets of unknown tracks are ignored.
    pub fn packet(&mut self, now_ns: u64, track: &TrackId, packet: &Packet<'_>) -> Wish {
        let now_ns = self.advance(now_ns);
        let wish = match self.tracks.get_mut(track) {
            Some(state) => {
                let wish = state.capture.packet(now_ns, packet);
                state.drain(&self.handle, track, now_ns);
                wish
            }
            None => Wish::Nothing,
        };
        if now_ns >= self.ticked_ns + TICK_EVERY_NS {
            self.tick(now_ns);
        }
        wish
    }

    /// Parameter sets of a track's stream: see [`Capture::parameter_sets`].
    pub fn parameter_sets(&mut self, track: &TrackId, ssrc: u32, units: &[&[u8]]) {
        if let Some(state) = self.tracks.get_mut(track) {
            state.capture.parameter_sets(ssrc, units.iter().copied());
        }
    }

    /// Whether a track's pictures wait for a keyframe.
    #[must_use]
    pub fn wants_keyframe(&self, track: &TrackId) -> bool {
        self.tracks.get(track).is_some_and(|state| state.capture.wants_keyframe())
    }

    /// A sender report: `ntp` 32.32 fixed point, `rtp` as sent. Reports of another time line (layer) than the captured one are ignored.
    pub fn sender_report(&mut self, now_ns: u64, track: &TrackId, ntp: u64, rtp: u32) {
        let now_ns = self.advance(now_ns);
        let Some(state) = self.tracks.get(track) else { return };
        if let (Some(segment), Some(rtp)) = (state.segment, state.capture.extend_report(now_ns, rtp)) {
            self.handle.event(now_ns, TakeEvent::SenderReport { track: track.clone(), segment, ntp, rtp });
        }
    }

    /// To be called about every 100 ms, packets or not: jitter buffers give up on what is missing, and the complete mark moves.
    pub fn tick(&mut self, now_ns: u64) {
        let now_ns = self.advance(now_ns);
        self.ticked_ns = now_ns;
        let mut complete_ns = now_ns.saturating_sub(1);
        let counts = now_ns >= self.counted_ns + COUNT_EVERY_NS;
        if counts {
            self.counted_ns = now_ns;
        }
        for (track, state) in &mut self.tracks {
            state.capture.tick(now_ns);
            state.drain(&self.handle, track, now_ns);
            if counts && state.capture.has_dropped() {
                state.count(&self.handle, track, now_ns);
            }
            complete_ns = complete_ns.min(state.capture.complete_to_ns());
        }
        if complete_ns >= self.completed_ns + COMPLETE_EVERY_NS {
            self.completed_ns = complete_ns;
            self.handle.complete(now_ns, complete_ns);
        }
    }

    /// Writes everything held, and the end; waits for the disk.
    pub fn finish(mut self, now_ns: u64, reason: EndReason) -> Result<TakeSummary, TakeError> {
        let now_ns = self.hand_out(now_ns);
        self.handle.finish(now_ns, reason)
    }

    /// Writes everything held, for the next run of the program to go on; `unix_ns` is now. Waits for the disk.
    pub fn suspend(mut self, now_ns: u64, unix_ns: u64) -> Result<TakeSummary, TakeError> {
        let now_ns = self.hand_out(now_ns);
        self.handle.suspend(now_ns, unix_ns)
    }

    /// Ends all captures; gives back the time.
    fn hand_out(&mut self, now_ns: u64) -> u64 {
        let now_ns = self.advance(now_ns);
        for (track, mut state) in std::mem::take(&mut self.tracks) {
            state.capture.finish(now_ns);
            state.drain(&self.handle, &track, now_ns);
            state.count(&self.handle, &track, now_ns);
        }
        now_ns
    }

    fn advance(&mut self, now_ns: u64) -> u64 {
        self.now_ns = self.now_ns.max(now_ns);
        self.now_ns
    }
}

impl Track {
    /// Tells what became of packets.
    fn count(&mut self, handle: &TakeHandle, track: &TrackId, now_ns: u64) {
        if let Some(Counts { packets, kept, dropped }) = self.capture.news() {
            handle.event(now_ns, TakeEvent::Packets { track: track.clone(), packets, kept, dropped });
        }
    }

    fn drain(&mut self, handle: &TakeHandle, track: &TrackId, now_ns: u64) {
        while let Some(output) = self.capture.poll_output() {
            match output {
                Output::Segment(spec) => self.segment = Some(handle.open_segment(track, spec)),
                Output::Frame(frame) => {
                    let Some(segment) = self.segment else { continue };
                    if handle.frame(segment, frame) == Sent::Dropped {
                        self.capture.demand_keyframe();
                    }
                }
                Output::Gap { from_ns, to_ns, missing } => {
                    let (track, cause) = (track.clone(), GapCause::Network);
                    handle.event(now_ns, TakeEvent::Gap { track, from_ns, to_ns, missing, cause });
                }
                Output::LeftOut { from_ns } => {
                    tracing::warn!(%track, "a track is end-to-end encrypted though nobody announced it: it is left out");
                    let (track, why) = (track.clone(), LeftOutWhy::Encrypted);
                    handle.event(now_ns, TakeEvent::LeftOut { track, why, from_ns });
                }
                Output::LeftOutUntil { frames } => {
                    handle.event(now_ns, TakeEvent::LeftOutUntil { track: track.clone(), frames });
                }
                Output::Dimensions { width, height } => {
                    handle.event(now_ns, TakeEvent::Dimensions { track: track.clone(), width, height });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
