//! Frames and packets to pictures and sound: what is due of each track, and what a decoder needs to give that back.

use reelroom_take::{DropReason, LeftOutWhy, SegmentId, SegmentOpened, TrackId, TrackKind, clock::HURRY};

use super::{Composer, Observer, SECOND_NS, track::Track};
use crate::{
    error::ComposeError,
    source::Due,
    step::Step,
    video::{Damage, Showing, Shown},
    voice::Outcome,
};

/// A decoder that gives pictures back later than it got them may be that many ahead.
const MOST_WAITING: usize = 48;
/// A picture that comes out after one that is shown at most so much later has missed its turn. A decoder does this while it learns
/// how pictures are reordered.
const MISSED_NS: u64 = 250_000_000;
/// A track of which so many frames made no picture cannot be read.
const UNREADABLE_AFTER: u64 = 60;

/// What is due with an output picture.
pub(super) struct DueTo {
    /// Of tracks of this kind only.
    pub(super) kind: TrackKind,
    /// Up to here, nanoseconds.
    pub(super) to_ns: u64,
    /// Number of the output picture.
    pub(super) frame: u64,
    /// Nothing of it is to be touched.
    pub(super) is_skipped: bool,
}

impl Composer {
    /// Decodes what is due of a track.
    pub(super) fn decode(
        &mut self,
        id: &TrackId,
        due: &DueTo,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        loop {
            let Some(segment) = self.source.next_segment(id) else { return Ok(()) };
            let Some(opened) = self.opened(segment) else { return Ok(()) };
            if opened.codec.kind() != due.kind {
                return Ok(());
            }
            let next = self.source.next_frame(id, due.to_ns);
            let Some(next) = next else { return Ok(()) };
            self.decode_one(id, &opened, due, next, observer)?;
        }
    }

    /// What is known of a segment, also before its fact is due: its first frames may belong before their arrival.
    pub(super) fn opened(&self, segment: SegmentId) -> Option<SegmentOpened> {
        self.segments.get(&segment).or_else(|| self.source.announced(segment)).cloned()
    }

    /// Decodes a frame or packet of a track.
    pub(super) fn decode_one(
        &mut self,
        id: &TrackId,
        opened: &SegmentOpened,
        due: &DueTo,
        Due { frame, moment, degrees }: Due,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        if self.gone.contains(id) || (due.kind == TrackKind::Video && self.pictures.is_none()) {
            let is_gone = self.gone.contains(id);
            let reason = if is_gone { DropReason::AfterEnd } else { DropReason::NotWanted };
            self.reporter.report(id).received(Outcome::Dropped(reason));
            return Ok(());
        }
        let track = self.tracks.entry(id.clone()).or_default();
        let number = track.due;
        track.due += 1;
        if self.source.is_left_out(id, frame.at_ns, due.to_ns) {
            self.reporter.more_left_out(id);
            self.reporter.report(id).received(Outcome::Dropped(DropReason::Encrypted));
            return Ok(());
        }
        let report = self.reporter.report(id);
        if self.skips.frame(id, frame.at_ns, moment.at_ns) || due.is_skipped {
            report.received(Outcome::Dropped(DropReason::Skipped));
            let rest = track.skip(report);
            if let Some(replay) = &mut self.replay {
                replay.skip(id);
            }
            self.keep_pictures(id, due.frame, rest);
            return Ok(());
        }
        let next = Due { frame, moment, degrees };
        let Some(replay) = &mut self.replay else {
            return self.feed(id, opened, next, number, due.frame, observer);
        };
        for unit in replay.frame(id, opened, next, number, due.frame) {
            self.make_up_for(id, unit, observer)?;
        }
        Ok(())
    }

    /// Decodes a frame or packet, which is number `number` of its track and due with output picture `due`.
    pub(super) fn feed(
        &mut self,
        id: &TrackId,
        opened: &SegmentOpened,
        Due { frame, moment, degrees }: Due,
        number: u64,
        due: u64,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        observer.begin(&Step::Decode {
            track: id,
            segment: opened.segment,
            frame: number,
            at_ns: frame.at_ns,
        });
        let report = self.reporter.report(id);
        report.frames += 1;
        let had_none = report.pictures == 0;
        let track = self.tracks.entry(id.clone()).or_default();
        let mut comes = false;
        if track.segment != Some(opened.segment) {
            let rest = track.close_pictures(report);
            comes = !rest.is_empty();
            self.keep_pictures(id, due, rest);
            self.tracks.entry(id.clone()).or_default().open(opened)?;
        }
        let track = self.tracks.entry(id.clone()).or_default();
        let (mut shown, mut damage) = (Vec::new(), Damage::default());
        let outcome = if let Some(voice) = &mut track.voice {
            self.skips.recovered(id, moment.at_ns);
            self.reporter.media(id, moment.at_ns);
            voice.push(frame.data, frame.rtp, moment)
        } else if let Some(decoder) = &mut track.decoder {
            let showing = Showing { rtp: frame.rtp, at_ns: moment.at_ns, degrees };
            let before = decoder.damage();
            shown = decoder.decode(frame.data, frame.keyframe, showing);
            comes |= !shown.is_empty();
            damage = decoder.damage() - before;
            match damage.refused {
                0 if decoder.is_blind() => Outcome::Dropped(DropReason::BeforeKeyframe),
                0 => Outcome::Placed,
                _ => Outcome::Dropped(DropReason::Broken),
            }
        } else {
            Outcome::Dropped(DropReason::UnknownCodec)
        };
        let report = self.reporter.report(id);
        report.unknown_codec += u64::from(outcome == Outcome::Dropped(DropReason::UnknownCodec));
        report.received(outcome);
        report.not_shown(damage);
        let is_unreadable =
            opened.codec.kind() == TrackKind::Video && had_none && report.frames >= UNREADABLE_AFTER;
        if is_unreadable && !comes && report.left_out.is_none() {
            tracing::warn!(track = %id, codec = ?opened.codec, "no decoder here can read this track: its place stays empty");
            self.reporter.unreadable(id, opened.first_at_ns, moment.at_ns);
            self.unreadable.push((moment.at_ns, id.clone(), Some(LeftOutWhy::Unreadable)));
        } else if had_none && report.left_out.is_some() && comes {
            self.unreadable.push((moment.at_ns, id.clone(), None));
        }
        self.keep_pictures(id, due, shown);
        Ok(())
    }

    /// Pictures that are due and still in their decoder: it gives them back when it has seen what comes behind them.
    pub(super) fn wring(
        &mut self,
        id: &TrackId,
        due: &DueTo,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        let owes = |track: &Track| track.decoder.as_ref().is_some_and(|decoder| decoder.owes(due.to_ns));
        loop {
            let track = self.tracks.get(id).filter(|track| owes(track));
            let Some(segment) = track.and_then(|track| track.segment) else { return Ok(()) };
            let Some(opened) = self.opened(segment) else { return Ok(()) };
            if let Some(next) = self.source.next_ahead(id, segment, due.to_ns) {
                self.decode_one(id, &opened, due, next, observer)?;
                continue;
            }
            if self.source.is_over(id, segment, due.to_ns)
                && let Some(track) = self.tracks.get_mut(id)
            {
                let rest = track.close(self.reporter.report(id));
                self.keep_pictures(id, due.frame, rest);
            }
            return Ok(());
        }
    }

    /// Keeps decoded pictures for the output pictures that show them, none of which is before `frame`.
    pub(super) fn keep_pictures(&mut self, id: &TrackId, frame: u64, shown: Vec<Shown>) {
        for Shown { picture, showing } in shown {
            self.numbers += 1;
            self.skips.recovered(id, showing.at_ns);
            let first = self.first_shown(showing.at_ns).max(frame);
            let Some(track) = self.tracks.get_mut(id) else { return };
            let is_news = track.told_to_ns.is_none_or(|told_ns| told_ns < showing.at_ns);
            if is_news {
                track.told_to_ns = None;
                self.reporter.picture(id, showing.at_ns);
            }
            let rate = u128::from(track.clock_rate_hz);
            let missed_ticks = (u128::from(MISSED_NS) * rate / SECOND_NS) as u64;
            let has_missed = |newest: u64| (1..missed_ticks).contains(&newest.saturating_sub(showing.rtp));
            if track.newest_rtp.is_some_and(has_missed) {
                self.reporter.report(id).unseen(u64::from(is_news), DropReason::Late);
                continue;
            }
            track.give_way(first);
            track.newest_rtp = Some(showing.rtp);
            let first = track.ahead.back().map_or(first, |(before, ..)| first.max(*before));
            // Pictures that are moved beside their sound are so much closer together, at most, than their RTP times are.
            let most_ticks = rate * HURRY as u128 / u128::from(self.preset.frames_per_second);
            let unseen = track.crowd(first, showing.rtp, most_ticks as u64);
            self.reporter.report(id).unseen(if is_news { unseen } else { 0 }, DropReason::Late);
            track.ahead.push_back((first, picture.turned(showing.degrees), self.numbers));
            if track.ahead.len() > MOST_WAITING {
                track.ahead.pop_front();
            }
        }
    }

    /// Number of the first output picture that shows what belongs to `at_ns`.
    pub(super) fn first_shown(&self, at_ns: u64) -> u64 {
        let near = (u128::from(at_ns) * u128::from(self.preset.frames_per_second) / SECOND_NS) as u64;
        (near.saturating_sub(1)..near + 2).find(|frame| self.shown_ns(*frame) >= at_ns).unwrap_or(near + 2)
    }
}
