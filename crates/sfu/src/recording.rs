//! What recorders take of a room: the best layer of each track, in one codec of it, one stream at a time, from a keyframe on.
//!
//! ```text
//!   packet ─► is its layer the best one? ─► does it begin there? ─► taken
//!                     └─ no keyframe yet: one is asked for, also while no packet comes
//! ```
//!
//! Of what is end-to-end encrypted nothing is taken. Where the room asks for consent, nothing of who has not agreed is taken, and no
//! keyframe is asked of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantSid, TrackSid};

use crate::layers::{KeyframeFor, Layer};
use crate::packet::Taking;
use crate::room::{Now, Room};
use crate::track::{Track, is_encrypted};

/// A publisher that answers no request for a keyframe for so long ...
const PATIENT_FOR: Duration = Duration::from_secs(10);
/// ... is asked only so often.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// What one recorder takes.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    tracks: BTreeMap<TrackSid, Taken>,
}

/// What it takes of a track.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The layer that is handed over, once its keyframe came, and its stream.
    current: Option<(Layer, u32)>,
    /// Since when a keyframe is missing, and when it was asked for last while no packet came.
    missing: Option<(Instant, Instant)>,
}

impl Taken {
    /// What is taken of it again begins with a keyframe, and with what that needs. Until then its sender reports are nobody's.
    pub(crate) fn begin_anew(&mut self) {
        *self = Self::default();
    }

    /// Whether a packet of a layer is taken; `best` is the layer that should be.
    pub(crate) fn takes(&mut self, layer: Layer, ssrc: u32, best: Option<Layer>, keyframe: bool) -> Taking {
        let before = self.current;
        let current = before.map(|(layer, _)| layer);
        if best == Some(layer) && current != best && keyframe {
            self.current = Some((layer, ssrc));
        }
        let Some((_, stream)) = self.current.as_mut().filter(|(current, _)| *current == layer) else {
            return Taking::Nothing { needs: best.filter(|best| current != Some(*best)) };
        };
        // A layer may go on in another stream; its sender reports are then the ones that count.
        *stream = ssrc;
        Taking::It { begins: before != self.current }
    }
}

impl Recording {
    pub(crate) fn of(&mut self, track: &TrackSid) -> &mut Taken {
        if !self.tracks.contains_key(track) {
            self.tracks.insert(track.clone(), Taken::default());
        }
        self.tracks.get_mut(track).expect("it was put there if it was not")
    }

    /// A track ends, or goes on in another codec.
    pub(crate) fn forget(&mut self, track: &TrackSid) {
        self.tracks.remove(track);
    }
}

impl Room {
    /// From now on a recorder takes what is published, beginning with keyframes, which are asked for.
    pub fn start_recording(&mut self, recorder: &ParticipantSid, now: Now) {
        self.recordings.insert(recorder.clone(), Recording::default());
        for (track, layer) in self.recorded_now(now) {
            self.report_wanted(&track, now);
            self.ask_recorded_keyframe(&track, layer, now);
        }
    }

    /// A recorder takes nothing any more.
    pub fn stop_recording(&mut self, recorder: &ParticipantSid) {
        self.recordings.remove(recorder);
    }

    /// Those who take the stream of a track: its sender reports are for them.
    pub fn recorders_of(&self, track: &TrackSid, ssrc: u32) -> impl Iterator<Item = &ParticipantSid> {
        let is_recorded = self.is_recorded(track);
        let takes = move |recording: &Recording| {
            let taken = recording.tracks.get(track).and_then(|taken| taken.current);
            is_recorded && taken.is_some_and(|(_, stream)| stream == ssrc)
        };
        self.recordings.iter().filter(move |entry| takes(entry.1)).map(|(recorder, _)| recorder)
    }

    /// Asks for the keyframes that are missing although they were asked for. `waits` says whether a recorder waits for one of a track that it
    /// takes: a source that draws nothing brings no packet by which it could say so.
    pub fn ask_for_recorders(&mut self, now: Now, mut waits: impl FnMut(&ParticipantSid, &TrackSid) -> bool) {
        if self.recordings.is_empty() {
            return;
        }
        let mut missing = Vec::new();
        for (track, best) in self.recorded_now(now) {
            let is_muted = self.tracks.get(&track).is_none_or(|track| track.info.muted);
            for (recorder, recording) in &mut self.recordings {
                let taken = recording.of(&track);
                let current = taken.current.map(|(layer, _)| layer);
                if is_muted || (current == Some(best) && !waits(recorder, &track)) {
                    taken.missing = None;
                    continue;
                }
                let (since, asked) = taken.missing.get_or_insert((now.at, now.at));
                let is_patient = now.at.saturating_duration_since(*since) < PATIENT_FOR;
                if is_patient || now.at.saturating_duration_since(*asked) >= ASK_EVERY {
                    *asked = now.at;
                    missing.push((track.clone(), best));
                }
            }
        }
        for (track, layer) in missing {
            self.ask_recorded_keyframe(&track, layer, now);
        }
    }

    /// Asks for a keyframe of what recorders take of a track.
    fn ask_recorded_keyframe(&mut self, track: &TrackSid, layer: Layer, now: Now) {
        if let Some(main) = self.tracks.get(track).map(Track::main) {
            self.ask_keyframe(track, main, layer, KeyframeFor::Recorder, now);
        }
    }

    /// The pictures that are recorded, with the best layer of each that arrives.
    fn recorded_now(&self, now: Now) -> Vec<(TrackSid, Layer)> {
        let pictures = self.tracks.iter().filter(|(sid, track)| track.is_video() && self.is_recorded(sid));
        let best = |track: &Track| track.codings.get(track.main())?.best_layer(now.at);
        pictures.filter_map(|(sid, track)| Some((sid.clone(), best(track)?))).collect()
    }

    /// Whether a recorder may take a track.
    pub(crate) fn is_recorded(&self, track: &TrackSid) -> bool {
        let Some(track) = self.tracks.get(track).filter(|track| track.recorded_codec().is_some()) else {
            return false;
        };
        let publisher = self.participants.get(&track.publisher);
        !is_encrypted(&track.info) && publisher.is_some_and(|publisher| publisher.is_recorded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(taken: &mut Taken, layer: Layer, ssrc: u32, best: Layer, keyframe: bool) -> Option<bool> {
        match taken.takes(layer, ssrc, Some(best), keyframe) {
            Taking::It { begins } => Some(begins),
            Taking::Nothing { .. } => None,
        }
    }

    #[test]
    fn the_best_layer_is_taken_from_its_keyframe_on_and_the_one_before_it_until_then() {
        let mut taken = Taken::default();
        assert_eq!(is_taken(&mut taken, Layer::Low, 1, Layer::Low, false), None);
        assert_eq!(is_taken(&mut taken, Layer::Low, 1, Layer::Low, true), Some(true));
        assert_eq!(is_taken(&mut taken, Layer::Low, 1, Layer::High, false), Some(false), "it goes on");
        assert!(matches!(
            taken.takes(Layer::High, 2, Some(Layer::High), false),
            Taking::Nothing { needs: Some(Layer::High) }
        ));
        assert_eq!(is_taken(&mut taken, Layer::High, 2, Layer::High, true), Some(true));
        assert_eq!(is_taken(&mut taken, Layer::Low, 1, Layer::High, true), None);
        assert_eq!(is_taken(&mut taken, Layer::High, 3, Layer::High, false), Some(true), "in another stream");
        taken.begin_anew();
        assert_eq!(is_taken(&mut taken, Layer::High, 3, Layer::High, false), None);
    }
}
