//! Going on with a file whose composer died: the take is gone through up to its end, and only what matters behind it is decoded.

use reelroom_take::{TrackId, TrackKind};

use super::{Composer, Observer, decode::DueTo, newest_of};
use crate::{
    encode::{AAC_FRAME_SAMPLES, SAMPLE_RATE_HZ},
    error::ComposeError,
    resume::{Part, Replay, Replayed},
    voice::EARLY_NS,
};

/// A composer that goes on hears so much of what was before, seconds: its decoders, pacers, limiter and encoder are then as if they had
/// heard all of it.
const WARM_S: u64 = 20;

impl Composer {
    /// What is needed to go on behind second `seconds` of the file.
    pub(super) fn known_at(&self, seconds: u64) -> Part {
        let mut reporter = self.reporter.clone();
        for (id, track) in &self.tracks {
            track.tally(reporter.report(id));
        }
        Part {
            seconds,
            file: None,
            pictures: self.pictures.as_ref().map(|(_, encoder)| encoder.fingerprint().clone()),
            sound: self.sound.fingerprint().clone(),
            reporter,
            skips: self.skips.state(),
            due: self.tracks.iter().map(|(id, track)| (id.clone(), track.due)).collect(),
            unreadable: self.unreadable.clone(),
        }
    }

    /// Goes through the take up to where the file ends, decoding only what is needed to go on; gives back the number of the next picture.
    /// `None` if the take has less than that.
    pub(super) fn go_on(
        &mut self,
        part: Part,
        observer: &mut dyn Observer,
    ) -> Result<Option<u64>, ComposeError> {
        let per_second = u64::from(self.preset.frames_per_second);
        let samples = u64::from(SAMPLE_RATE_HZ / self.preset.frames_per_second);
        let first = part.seconds * per_second;
        let warm = first.saturating_sub(WARM_S * per_second);
        self.mixed = warm * samples;
        // Frames of the new encoder have to begin where those of the old one did.
        self.sound_from = self.mixed.next_multiple_of(u64::from(AAC_FRAME_SAMPLES));
        self.output.leave_out(self.sound_from / u64::from(AAC_FRAME_SAMPLES), part.seconds);
        self.unreadable.clone_from(&part.unreadable);
        self.replay = Some(Replay::hearing_from(warm));
        for frame in 0..first {
            if frame.is_multiple_of(per_second) {
                observer.progress(self.progress(first));
            }
            if !self.await_picture(frame, observer)? {
                return Ok(None);
            }
            self.apply_facts(self.shown_ns(frame));
            let is_skipped = self.skips.picture(self.time_ns(frame), self.time_ns(frame + 1));
            for track in self.source.tracks() {
                let to_ns = self.shown_ns(frame);
                self.decode(&track, &DueTo { kind: TrackKind::Video, to_ns, frame, is_skipped }, observer)?;
                let to_ns = self.heard_ns(frame) + EARLY_NS;
                self.decode(&track, &DueTo { kind: TrackKind::Audio, to_ns, frame, is_skipped }, observer)?;
            }
            if frame >= warm {
                self.mix(frame, is_skipped, observer)?;
            }
        }
        self.decoded = first;
        let last = first.saturating_sub(1);
        let last_ns = self.shown_ns(last);
        let due = DueTo { kind: TrackKind::Video, to_ns: last_ns, frame: last, is_skipped: false };
        for (id, count) in &part.due {
            self.take_as_many(id, *count, &due, observer)?;
        }
        for (id, unit) in self.replay.take().unwrap_or_default().finish(last_ns) {
            self.make_up_for(&id, unit, observer)?;
        }
        // From here on everything is counted again.
        self.reporter = part.reporter;
        self.unreadable = part.unreadable;
        self.skips.go_on(&part.skips);
        self.sound.go_on(part.sound);
        for (id, track) in &mut self.tracks {
            track.count_anew();
            track.told_to_ns = self.reporter.report(id).media_to_ns;
        }
        // A decoder that began anew may give its pictures back later than the former one did.
        for track in self.source.tracks() {
            self.wring(&track, &due, observer)?;
        }
        self.tracks.values_mut().for_each(|track| track.show(last));
        if let Some((canvas, encoder)) = &mut self.pictures {
            let (tracks, timeline) = (&self.tracks, &self.timeline);
            let newest = |id: &TrackId| newest_of(tracks, timeline, id);
            canvas.draw(&self.scene, &newest)?;
            encoder.go_on(part.pictures.unwrap_or_default());
        }
        Ok(Some(first))
    }

    /// A decoder that gives pictures back late had got more frames than were due: takes those too, until it is `count`.
    pub(super) fn take_as_many(
        &mut self,
        id: &TrackId,
        count: u64,
        due: &DueTo,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        while self.tracks.get(id).is_some_and(|track| track.due < count) {
            let Some(opened) = self.source.next_segment(id).and_then(|segment| self.opened(segment)) else {
                break;
            };
            if opened.codec.kind() != due.kind {
                break;
            }
            let Some(next) = self.source.next_ahead(id, opened.segment, due.to_ns) else { break };
            self.decode_one(id, &opened, due, next, observer)?;
        }
        Ok(())
    }

    /// Does what was left out while the take was gone through.
    pub(super) fn make_up_for(
        &mut self,
        id: &TrackId,
        unit: Replayed,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        match unit {
            Replayed::Frame { opened, frame, number, due } => {
                self.feed(id, &opened, frame, number, due, observer)?;
                if let Some(track) = self.tracks.get_mut(id) {
                    track.show(due);
                }
                Ok(())
            }
            Replayed::Closed => {
                if let Some(track) = self.tracks.get_mut(id) {
                    let rest = track.close_pictures(self.reporter.report(id));
                    self.keep_pictures(id, 0, rest);
                }
                Ok(())
            }
            Replayed::Muted => {
                if let Some(track) = self.tracks.get_mut(id) {
                    track.picture = None;
                }
                Ok(())
            }
        }
    }
}
