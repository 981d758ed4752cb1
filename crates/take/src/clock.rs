//! From a track's RTP time to the take's time. Pure.
//!
//! A sender's media clock is exact but has no relation to ours; arrivals are ours but jitter. A frame can only be delayed, so
//! the *least* difference between arrival and RTP time over the last seconds (the lower envelope) is the mapping, plus a
//! constant delay nobody can hear. That constant differs between a participant's sound and pictures (a picture takes longer to
//! encode), so as soon as both have sender reports, pictures are placed by the sender's wall clock relative to the sound:
//! lip sync.
//!
//! ```text
//!  offset = at - rtp/rate   . .:  .   .  . .        moment(frame) = rtp/rate + applied offset
//!                          .  .  : . .  .  :
//!  applied  ---------------------------------       applied follows the target; that of sound slowly (2 % at most): it is never cut
//! ```
//!
//! For every frame it counts only what was observed up to [`HINDSIGHT_NS`] after it: the answer is the same live and later.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use crate::{
    format::{TakeEvent, TrackKind, TrackSource},
    ids::{ParticipantId, SegmentId, TrackId},
    item::{TakeFrame, TakeItem},
};

/// A frame that arrives later than this after its moment is late: it is moved (pictures) or to be dropped (sound).
pub const LATENESS_NS: u64 = 700_000_000;
/// How far beyond a frame's arrival the clock looks for a better guess of its moment.
pub const HINDSIGHT_NS: u64 = 300_000_000;

/// The envelope forgets what is older, so that clock drift is followed.
const ENVELOPE_NS: u64 = 10_000_000_000;
/// The envelope is kept as minima of such spans.
const SPAN_NS: u64 = 250_000_000;
/// Differences below this are left alone.
const DEAD_BAND_NS: i64 = 3_000_000;
/// The applied offset of sound moves by at most 1/50 of the time passed.
const SOUND_SLEW: i64 = 50;
/// That of pictures by at most a quarter: nobody sees them hurry, but everybody sees lips that do not fit.
const PICTURE_SLEW: i64 = 4;
/// Larger errors are no drift: the mapping jumps.
const JUMP_NS: i64 = 400_000_000;
/// Pictures and sound have so long to find together before their distance counts.
const SETTLE_NS: u64 = 2_000_000_000;
/// Over less time jitter hides a drift.
const MIN_DRIFT_NS: u64 = 120_000_000_000;
/// Wall clock and arrival may disagree so much about lip sync before the reports are disbelieved.
const MAX_REPORT_ERROR_NS: i64 = 1_000_000_000;

/// When a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the take began. Never earlier than the frame's arrival minus [`LATENESS_NS`].
    pub at_ns: u64,
    /// The frame came too late for its true moment: `at_ns` was moved later. Draw late pictures; drop late sound.
    pub late: bool,
}

/// What is known of a track's clock, and what was made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TrackSync {
    /// Sender reports that were read.
    pub sender_reports: u64,
    /// How far pictures are from the sound of their participant by the sender's wall clock, in the middle; absent for sound, and
    /// where only one of the two has reports. Without the first two seconds, in which they find together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_offset_ns: Option<u64>,
    /// The same where it was worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_offset_ns: Option<u64>,
    /// By how much pictures were moved at last from where they seemed to belong by their arrival; positive: later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correction_ns: Option<i64>,
    /// By how much the sender's media clock is faster than ours, and was corrected; absent for less than two minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_ppm: Option<i64>,
}

/// What adds up to a [`TrackSync`].
#[derive(Debug, Default)]
struct SyncStats {
    reports: u64,
    /// Since when pictures can be put beside their sound.
    known_ns: Option<u64>,
    measured_ns: u64,
    /// Distance times time.
    area: u128,
    worst_ns: u64,
    correction_ns: Option<i64>,
    /// Least offset of the first [`ENVELOPE_NS`].
    early_ns: Option<i64>,
    last_at_ns: u64,
}

/// The clocks of all tracks of one take.
#[derive(Debug, Default)]
pub struct TakeClock {
    tracks: HashMap<TrackId, TrackFacts>,
    segments: BTreeMap<SegmentId, SegmentClock>,
    /// Per participant, the sound its pictures follow.
    references: HashMap<ParticipantId, SegmentId>,
}

#[derive(Debug)]
struct TrackFacts {
    participant: ParticipantId,
    kind: TrackKind,
    source: TrackSource,
}

#[derive(Debug)]
struct SegmentClock {
    track: TrackId,
    /// The offset moves by at most one part in so many of the time passed.
    slew: i64,
    rate: u64,
    first_rtp: u64,
    first_at_ns: u64,
    /// Least offset per span of arrival time, newest last.
    envelope: VecDeque<(u64, i64)>,
    /// Sender's wall clock minus media time, nanoseconds.
    wall_offset_ns: Option<i128>,
    applied_ns: Option<i64>,
    updated_ns: u64,
    /// The applied offset from an observation time on, oldest first.
    history: VecDeque<(u64, i64)>,
    stats: SyncStats,
}

impl TakeClock {
    /// A clock that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from every item, in the order [`crate::TakeReader::poll`] hands them out.
    pub fn observe(&mut self, item: &TakeItem) {
        match item {
            TakeItem::Frame(frame) => {
                let Some(segment) = self.segments.get_mut(&frame.segment) else { return };
                let media_ns = segment.media_ns(frame.rtp);
                segment.sample(
                    frame.at_ns,
                    i64::try_from(i128::from(frame.at_ns) - media_ns).unwrap_or(i64::MAX),
                );
                self.update(frame.segment, frame.at_ns);
            }
            TakeItem::Event { at_ns, event } => self.observe_event(*at_ns, event),
        }
    }

    /// When `frame` belongs. Deterministic once everything up to `frame.at_ns + HINDSIGHT_NS` was observed (or the take has ended):
    /// ask no earlier, and at most [`CLOCK_MEMORY_NS`] later. A frame of an unknown segment belongs where it arrived.
    #[must_use]
    pub fn moment(&self, frame: &TakeFrame) -> Moment {
        let arrived = Moment { at_ns: frame.at_ns, late: false };
        let Some(segment) = self.segments.get(&frame.segment) else { return arrived };
        let horizon = frame.at_ns.saturating_add(HINDSIGHT_NS);
        let known = segment.history.partition_point(|(at, _)| *at <= horizon);
        let Some((_, offset_ns)) = segment.history.get(known.saturating_sub(1)) else { return arrived };
        let true_ns =
            u64::try_from((segment.media_ns(frame.rtp) + i128::from(*offset_ns)).max(0)).unwrap_or(u64::MAX);
        let earliest_ns = frame.at_ns.saturating_sub(LATENESS_NS);
        // A frame of the future would hold up nobody, but nothing real is so early.
        let latest_ns = frame.at_ns.saturating_add(LATENESS_NS);
        Moment { at_ns: true_ns.clamp(earliest_ns, latest_ns), late: true_ns < earliest_ns }
    }

    /// What is known of a track's clock so far; `None` where its sender told nothing.
    #[must_use]
    pub fn sync(&self, track: &TrackId) -> Option<TrackSync> {
        let mut sync = TrackSync::default();
        let (mut measured_ns, mut area, mut longest_ns) = (0, 0, 0);
        for segment in self.segments.values().filter(|segment| segment.track == *track) {
            let stats = &segment.stats;
            sync.sender_reports += stats.reports;
            measured_ns += stats.measured_ns;
            area += stats.area;
            if stats.measured_ns > 0 {
                sync.worst_offset_ns = Some(sync.worst_offset_ns.unwrap_or(0).max(stats.worst_ns));
            }
            sync.correction_ns = stats.correction_ns.or(sync.correction_ns);
            let length_ns = stats.last_at_ns.saturating_sub(segment.first_at_ns);
            if length_ns > longest_ns {
                longest_ns = length_ns;
                sync.drift_ppm = segment.drift_ppm();
            }
        }
        sync.mean_offset_ns = area.checked_div(u128::from(measured_ns)).and_then(|mean| mean.try_into().ok());
        (sync.sender_reports > 0).then_some(sync)
    }

    fn observe_event(&mut self, at_ns: u64, event: &TakeEvent) {
        match event {
            TakeEvent::TrackPublished { track, participant, kind, source, .. } => {
                let facts = TrackFacts { participant: participant.clone(), kind: *kind, source: *source };
                self.tracks.insert(track.clone(), facts);
            }
            TakeEvent::SegmentOpened(opened) => {
                self.segments.insert(
                    opened.segment,
                    SegmentClock {
                        track: opened.track.clone(),
                        slew: match opened.codec.kind() {
                            TrackKind::Audio => SOUND_SLEW,
                            TrackKind::Video => PICTURE_SLEW,
                        },
                        rate: u64::from(opened.clock_rate_hz.max(1)),
                        first_rtp: opened.first_rtp,
                        first_at_ns: opened.first_at_ns,
                        envelope: VecDeque::new(),
                        wall_offset_ns: None,
                        applied_ns: None,
                        updated_ns: opened.first_at_ns,
                        history: VecDeque::new(),
                        stats: SyncStats::default(),
                    },
                );
                if let Some(facts) = self.tracks.get(&opened.track)
                    && facts.kind == TrackKind::Audio
                {
                    let prefer = facts.source != TrackSource::ScreenShareAudio;
                    if prefer || !self.references.contains_key(&facts.participant) {
                        self.references.insert(facts.participant.clone(), opened.segment);
                    }
                }
            }
            TakeEvent::SenderReport { segment: id, ntp, rtp, .. } => {
                let Some(segment) = self.segments.get_mut(id) else { return };
                let wall_ns = (i128::from(*ntp) * 1_000_000_000) >> 32;
                segment.wall_offset_ns = Some(wall_ns - segment.media_ns(*rtp));
                segment.stats.reports += 1;
                self.update(*id, at_ns);
            }
            TakeEvent::TrackUnpublished { track } => {
                self.tracks.remove(track);
            }
            TakeEvent::ParticipantLeft { participant } => {
                self.references.remove(participant);
            }
            _ => {}
        }
    }

    fn update(&mut self, id: SegmentId, now_ns: u64) {
        let by_wall_clock = self.lip_sync_offset(id);
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.update(now_ns, by_wall_clock);
        }
    }

    /// The offset that puts a segment's media beside the sound of the same participant, by the sender's wall clock.
    fn lip_sync_offset(&self, id: SegmentId) -> Option<i64> {
        let segment = self.segments.get(&id)?;
        let participant = &self.tracks.get(&segment.track)?.participant;
        let reference = self.references.get(participant).filter(|reference| **reference != id)?;
        let sound = self.segments.get(reference)?;
        let wall_to_take = i128::from(sound.applied_ns?) - sound.wall_offset_ns?;
        i64::try_from(segment.wall_offset_ns? + wall_to_take).ok()
    }
}

/// The clock answers for frames up to so long before the newest observation.
pub const CLOCK_MEMORY_NS: u64 = 10_000_000_000;

impl SegmentClock {
    /// Media time: nanoseconds since the segment's first frame by the RTP clock.
    fn media_ns(&self, rtp: u64) -> i128 {
        (i128::from(rtp) - i128::from(self.first_rtp)) * 1_000_000_000 / i128::from(self.rate)
    }

    fn sample(&mut self, at_ns: u64, offset_ns: i64) {
        self.stats.last_at_ns = self.stats.last_at_ns.max(at_ns);
        if at_ns < self.first_at_ns.saturating_add(ENVELOPE_NS) {
            self.stats.early_ns = Some(self.stats.early_ns.map_or(offset_ns, |least| least.min(offset_ns)));
        }
        let span = at_ns / SPAN_NS;
        match self.envelope.back_mut() {
            Some((newest, least)) if *newest >= span => *least = offset_ns.min(*least),
            _ => self.envelope.push_back((span, offset_ns)),
        }
        while self.envelope.front().is_some_and(|(old, _)| old + ENVELOPE_NS / SPAN_NS < span) {
            self.envelope.pop_front();
        }
    }

    /// How far the offset that was applied up to now is from what the wall clock wants.
    fn measure(&mut self, now_ns: u64, passed_ns: u64, by_wall_clock: Option<i64>, envelope_ns: i64) {
        let believed = |offset: &i64| (offset - envelope_ns).abs() <= MAX_REPORT_ERROR_NS;
        let Some(wanted_ns) = by_wall_clock.filter(believed) else {
            self.stats.known_ns = None;
            return;
        };
        let known_ns = *self.stats.known_ns.get_or_insert(now_ns);
        self.stats.correction_ns = Some(wanted_ns - envelope_ns);
        if now_ns > known_ns.saturating_add(SETTLE_NS)
            && let Some(applied_ns) = self.applied_ns
        {
            let distance_ns = wanted_ns.abs_diff(applied_ns);
            self.stats.measured_ns += passed_ns;
            self.stats.area += u128::from(distance_ns) * u128::from(passed_ns);
            self.stats.worst_ns = self.stats.worst_ns.max(distance_ns);
        }
    }

    /// From the least offset of the first seconds and that of the last ones.
    fn drift_ppm(&self) -> Option<i64> {
        let length_ns = self.stats.last_at_ns.saturating_sub(self.first_at_ns);
        let late_ns = self.envelope.iter().map(|(_, least)| *least).min()?;
        let passed_ns = i64::try_from(length_ns.checked_sub(ENVELOPE_NS)?).ok()?;
        let moved_ns = self.stats.early_ns?.saturating_sub(late_ns);
        (length_ns >= MIN_DRIFT_NS).then(|| {
            (i128::from(moved_ns) * 1_000_000 / i128::from(passed_ns)).try_into().unwrap_or(i64::MAX)
        })
    }

    fn update(&mut self, now_ns: u64, by_wall_clock: Option<i64>) {
        let Some(envelope_ns) = self.envelope.iter().map(|(_, least)| *least).min() else { return };
        let target_ns = match by_wall_clock {
            Some(offset) if (offset - envelope_ns).abs() <= MAX_REPORT_ERROR_NS => offset,
            _ => envelope_ns,
        };
        let passed_ns = now_ns.saturating_sub(self.updated_ns);
        self.measure(now_ns, passed_ns, by_wall_clock, envelope_ns);
        self.updated_ns = self.updated_ns.max(now_ns);
        let settling = now_ns <= self.first_at_ns.saturating_add(HINDSIGHT_NS);
        let applied_ns = match self.applied_ns {
            Some(applied) if !settling && (target_ns - applied).abs() < JUMP_NS => {
                let error_ns = target_ns - applied;
                let most_ns = i64::try_from(passed_ns).unwrap_or(i64::MAX) / self.slew;
                if error_ns.abs() <= DEAD_BAND_NS {
                    applied
                } else {
                    applied + error_ns.clamp(-most_ns, most_ns)
                }
            }
            _ => target_ns,
        };
        self.applied_ns = Some(applied_ns);
        match self.history.back_mut() {
            Some((_, newest)) if *newest == applied_ns => {}
            Some((at, newest)) if *at >= now_ns => *newest = applied_ns,
            _ => self.history.push_back((now_ns, applied_ns)),
        }
        while self.history.get(1).is_some_and(|(at, _)| at + CLOCK_MEMORY_NS < now_ns) {
            self.history.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
