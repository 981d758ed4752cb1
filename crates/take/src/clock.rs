//! From a track's RTP time to the take's time. Pure.
//!
//! A sender's media clock is exact but has no relation to ours; arrivals are ours but jitter. A frame can only be delayed, so
//! the *least* difference between arrival and RTP time (its offset) around a frame is the mapping: see [`floor`]. What that least
//! offset does decides what is heard:
//!
//! ```text
//!  offset = arrival - RTP time
//!          .  pause, or slower network        faster network again       a stall and its burst
//!          .      : . . : . :                 :. .                             |\
//!          . : . :___________________________:____    . : . . :  . : . . : . . | \. : . . :
//!  applied ______|                                 \____________________________________
//!                ^ one move, silence as long         ^ hurried, its pitch kept   ^ nothing happens
//! ```
//!
//! Pictures go where their sound goes, by the senders' wall clocks as sender reports tell them. A report that contradicts the arrivals or
//! the reports before it is disbelieved; without any that can be believed, arrivals alone count. See [`reports`] and [`relation`].
//!
//! Invariants:
//! - Every frame observed gets one [`Moment`]: a place, or the reason why it has none. Nothing is late in silence.
//! - Sound's places ascend and do not overlap, and from one packet to the next the applied offset changes as [`Fate`] says: by at
//!   most [`BEND`] and [`HURRY`] where they are joined.
//! - No place is earlier than the frame's arrival minus [`LATENESS_NS`], and none later than [`MAX_AHEAD_NS`] after it.
//! - Of what comes after a frame only what arrives up to [`HINDSIGHT_NS`] later counts for it: the answer is the same live and later.

mod floor;
mod opus;
mod picture;
mod relation;
mod reports;
mod sound;

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    format::{DropReason, SegmentOpened, TakeEvent, TrackKind, TrackSource},
    ids::{ParticipantId, SegmentId, TrackId},
    item::{TakeFrame, TakeItem},
};
use floor::Floor;
use picture::{Beside, Picture, PicturePlacer};
use relation::{Relation, Told};
use reports::Reports;
pub use sound::CONCEAL_NS;
use sound::{Packet, Shift, SoundPlacer};

/// A frame may arrive so long after its moment; what comes later is placed later.
pub const LATENESS_NS: u64 = 700_000_000;
/// How far beyond a frame's arrival the clock looks for what becomes of its track.
pub const HINDSIGHT_NS: u64 = 500_000_000;
/// Sound is placed no later than so long after its arrival: a sender may be ahead of its time by that much.
pub const MAX_AHEAD_NS: i64 = 30_000_000_000;
/// Joined sound is bent by at most one part in so many: a sixth of a semitone.
pub const BEND: i64 = 100;
/// Joined sound that is heard later than it could be is shortened by at most one part in so many, its pitch kept. Pictures are moved
/// beside it as fast.
pub const HURRY: i64 = 2;

/// Differences below this are left alone.
const DEAD_BAND_NS: i64 = 3_000_000;
/// Pictures and sound have so long to find together before their distance counts.
const SETTLE_NS: u64 = 2_000_000_000;
/// Over less time jitter hides a drift.
const MIN_DRIFT_NS: u64 = 120_000_000_000;
/// At the beginning the offset is still looked for.
const FIND_NS: u64 = 10_000_000_000;
/// No camera's pictures are further apart; where others' are, their clock is not taken to have jumped.
const PICTURE_NS: i64 = 1_000_000_000;
/// Frames are asked for in time; whoever never asks costs no more memory than this much of a take.
const MAX_UNASKED_NS: u64 = 20_000_000_000;
const MAX_UNASKED_MOMENTS: usize = 65_536;
/// Damaged takes hold any numbers; no sum of a few of these overflows.
const MAX_NS: i64 = i64::MAX / 16;

/// When a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the take began. Never earlier than the frame's arrival minus [`LATENESS_NS`]; where sound has no place, no later
    /// than that of the sound behind it.
    pub at_ns: u64,
    /// What becomes of it there.
    pub fate: Fate,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is placed. Sound: it follows the packet before it; what is missing between them in RTP time is concealed.
    Joined,
    /// It is placed. Sound: silence lies before it, or none where it follows at once; nothing is concealed or bent.
    Apart,
    /// It has no place.
    Dropped(DropReason),
}

/// What is known of a track's clock, and what was made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrackSync {
    /// Sender reports that were read.
    pub sender_reports: u64,
    /// Of these, the ones that contradicted arrivals or their predecessors and were disbelieved.
    #[serde(skip_serializing_if = "is_zero")]
    pub disbelieved_reports: u64,
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
    /// How often sound or pictures were moved later at once, because their sender paused or the network got slower.
    #[serde(skip_serializing_if = "is_zero")]
    pub moves: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What adds up to a [`TrackSync`].
#[derive(Debug, Default)]
struct SyncStats {
    /// Since when pictures can be put beside their sound.
    known_ns: Option<u64>,
    measured_ns: u64,
    /// Distance times time.
    area: u128,
    worst_ns: u64,
    correction_ns: Option<i64>,
    /// By how much media were bent when the offset was found.
    early_bent_ns: i64,
    last_at_ns: u64,
    moves: u64,
}

/// The clocks of all tracks of one take.
#[derive(Debug, Default)]
pub struct TakeClock {
    now_ns: u64,
    /// What was observed and not placed yet, in that order, each with the newest arrival so far.
    waiting: VecDeque<(u64, Waiting)>,
    tracks: HashMap<TrackId, TrackFacts>,
    segments: BTreeMap<SegmentId, SegmentClock>,
    /// Per participant, the sound its pictures follow.
    references: HashMap<ParticipantId, SegmentId>,
    /// Where a track's sound ended.
    ends: HashMap<TrackId, i64>,
}

#[derive(Debug)]
enum Waiting {
    Frame { segment: SegmentId, at_ns: u64, rtp: u64, length_ns: i64 },
    Published { track: TrackId, facts: TrackFacts },
    Unpublished { track: TrackId },
    Left { participant: ParticipantId },
    Opened { segment: SegmentId },
    Report { segment: SegmentId, ntp: u64, rtp: u64 },
}

#[derive(Debug, Clone)]
struct TrackFacts {
    participant: ParticipantId,
    kind: TrackKind,
    source: TrackSource,
}

#[derive(Debug)]
enum Placer {
    /// Made with the first packet: it begins where the track's sound before it ends.
    Sound(Option<SoundPlacer>),
    Pictures(PicturePlacer),
}

#[derive(Debug)]
struct SegmentClock {
    track: TrackId,
    rate: u64,
    first_rtp: u64,
    first_at_ns: u64,
    /// Frames may have arrived in another order than they follow each other.
    newest_ns: u64,
    floor: Floor,
    placer: Placer,
    reports: Reports,
    /// How pictures' media time stands to that of the sound that they follow.
    relation: Option<(SegmentId, Relation)>,
    /// Of frames that were placed and not asked for.
    moments: VecDeque<(u64, u64, Moment)>,
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
        let (at_ns, waiting) = match item {
            TakeItem::Frame(frame) => {
                let Some(segment) = self.segments.get_mut(&frame.segment) else { return };
                let length_ns = segment.observe(frame);
                let TakeFrame { segment, rtp, at_ns, .. } = *frame;
                (at_ns, Waiting::Frame { segment, at_ns, rtp, length_ns })
            }
            TakeItem::Event { at_ns, event } => match self.observed(event) {
                Some(waiting) => (*at_ns, waiting),
                None => return,
            },
        };
        self.now_ns = self.now_ns.max(at_ns);
        self.waiting.push_back((self.now_ns, waiting));
        while self.waiting.front().is_some_and(|(at, _)| at.saturating_add(MAX_UNASKED_NS) < self.now_ns) {
            self.next();
        }
    }

    /// When `frame` belongs, and what becomes of it. Deterministic once everything up to `frame.at_ns + HINDSIGHT_NS` was
    /// observed (or the take has ended): ask no earlier, once for each frame, of each segment in order, and for a frame
    /// [`MAX_UNASKED_NS`] old at the latest. A frame of an unknown segment belongs where it arrived.
    pub fn moment(&mut self, frame: &TakeFrame) -> Moment {
        let arrived = Moment { at_ns: frame.at_ns, fate: Fate::Apart };
        loop {
            let Some(segment) = self.segments.get_mut(&frame.segment) else { return arrived };
            let is_it = |(at_ns, rtp, _): &(u64, u64, Moment)| (*at_ns, *rtp) == (frame.at_ns, frame.rtp);
            if let Some(index) = segment.moments.iter().position(is_it)
                && let Some((.., moment)) = segment.moments.remove(index)
            {
                return moment;
            }
            if !self.next() {
                return arrived;
            }
        }
    }

    /// What is known of a track's clock so far; `None` where its sender told nothing and nothing happened.
    #[must_use]
    pub fn sync(&self, track: &TrackId) -> Option<TrackSync> {
        let mut sync = TrackSync::default();
        let (mut measured_ns, mut area, mut longest_ns) = (0, 0, 0);
        for segment in self.segments.values().filter(|segment| segment.track == *track) {
            let stats = &segment.stats;
            sync.sender_reports += segment.reports.read;
            sync.disbelieved_reports += segment.reports.disbelieved;
            sync.moves += stats.moves;
            measured_ns += stats.measured_ns;
            area += stats.area;
            if stats.measured_ns > 0 {
                sync.worst_offset_ns = Some(sync.worst_offset_ns.unwrap_or(0).max(stats.worst_ns));
            }
            sync.correction_ns = stats.correction_ns.or(sync.correction_ns);
            let length_ns = stats.last_at_ns.saturating_sub(segment.first_at_ns);
            if length_ns > longest_ns {
                longest_ns = length_ns;
                sync.drift_ppm = segment.drift_ppm().filter(|_| segment.reports.read > 0);
            }
        }
        sync.mean_offset_ns = area.checked_div(u128::from(measured_ns)).and_then(|mean| mean.try_into().ok());
        (sync.sender_reports > 0 || sync.moves > 0).then_some(sync)
    }

    /// What of a fact is to be done in its turn.
    fn observed(&mut self, event: &TakeEvent) -> Option<Waiting> {
        Some(match event {
            TakeEvent::TrackPublished { track, participant, kind, source, .. } => Waiting::Published {
                track: track.clone(),
                facts: TrackFacts { participant: participant.clone(), kind: *kind, source: *source },
            },
            TakeEvent::TrackUnpublished { track } => Waiting::Unpublished { track: track.clone() },
            TakeEvent::ParticipantLeft { participant } => Waiting::Left { participant: participant.clone() },
            TakeEvent::SegmentOpened(opened) => {
                self.segments.entry(opened.segment).or_insert_with(|| SegmentClock::new(opened));
                Waiting::Opened { segment: opened.segment }
            }
            TakeEvent::SenderReport { segment, ntp, rtp, .. } => {
                self.segments.get_mut(segment)?.reports.read += 1;
                Waiting::Report { segment: *segment, ntp: *ntp, rtp: *rtp }
            }
            _ => return None,
        })
    }

    /// Goes on to what was observed next; `false` if there is nothing.
    fn next(&mut self) -> bool {
        let Some((now_ns, waiting)) = self.waiting.pop_front() else { return false };
        match waiting {
            Waiting::Frame { segment, at_ns, rtp, length_ns } => self.place(segment, at_ns, rtp, length_ns),
            Waiting::Published { track, facts } => {
                // Nobody is heard earlier.
                let end_ns = self.ends.entry(track.clone()).or_insert(0);
                *end_ns = bounded(now_ns).max(*end_ns);
                self.tracks.insert(track, facts);
            }
            Waiting::Unpublished { track } => {
                self.tracks.remove(&track);
                self.ends.remove(&track);
            }
            Waiting::Left { participant } => {
                self.references.remove(&participant);
            }
            Waiting::Opened { segment } => self.refer_to(segment),
            Waiting::Report { segment, ntp, rtp } => self.report(now_ns, segment, ntp, rtp),
        }
        true
    }

    /// A new sound may be the one that pictures of its participant follow.
    fn refer_to(&mut self, id: SegmentId) {
        let Some(facts) = self.segments.get(&id).and_then(|segment| self.tracks.get(&segment.track)) else {
            return;
        };
        let prefer = facts.source != TrackSource::ScreenShareAudio;
        if facts.kind == TrackKind::Audio && (prefer || !self.references.contains_key(&facts.participant)) {
            self.references.insert(facts.participant.clone(), id);
        }
    }

    fn report(&mut self, now_ns: u64, id: SegmentId, ntp: u64, rtp: u64) {
        let Some(segment) = self.segments.get_mut(&id) else { return };
        let wall_ns = (i128::from(ntp) * 1_000_000_000) >> 32;
        let media_ns = segment.media_ns(rtp);
        if segment.reports.tell(now_ns, wall_ns - i128::from(media_ns)) {
            // What the other tracks of the participant told came from the clock as it was.
            let participant = self.tracks.get(&segment.track).map(|facts| facts.participant.clone());
            let tracks = &self.tracks;
            for (other, segment) in &mut self.segments {
                let owner = tracks.get(&segment.track).map(|facts| &facts.participant);
                if *other != id && owner == participant.as_ref() {
                    segment.reports.doubt(now_ns);
                }
            }
        }
        let is_contradicted = self.weigh(now_ns, id) || {
            self.beside(id).is_some_and(|(wanted_ns, lag_ns)| {
                let base_ns = self.segments.get(&id).and_then(|segment| segment.pictures()?.base_ns());
                base_ns.is_some_and(|base_ns| !reports::is_plausible(wanted_ns - lag_ns - base_ns))
            })
        };
        if is_contradicted && let Some(segment) = self.segments.get_mut(&id) {
            segment.reports.disbelieved += 1;
        }
    }

    /// Compares what the reports of a segment say now with what pictures and sound were to each other before; whether they contradict that.
    fn weigh(&mut self, now_ns: u64, id: SegmentId) -> bool {
        let concerns = |pictures: &SegmentId| {
            let segment = self.segments.get(pictures)?;
            let (reference, sound) = self.reference_id(segment, *pictures)?;
            (*pictures == id || reference == id).then_some(())?;
            let told = self.told(segment, reference, sound)?;
            Some((*pictures, reference, told))
        };
        let concerned: Vec<_> = self.segments.keys().filter_map(concerns).collect();
        let mut is_contradicted = false;
        for (pictures, reference, told) in concerned {
            let Some(segment) = self.segments.get_mut(&pictures) else { continue };
            match &mut segment.relation {
                Some((known, relation)) if *known == reference => {
                    is_contradicted |= !relation.tell(now_ns, told)
                }
                relation => *relation = Some((reference, Relation::new(now_ns, told))),
            }
        }
        is_contradicted
    }

    /// What the reports of pictures and of their sound say, and what arrivals say.
    fn told(&self, pictures: &SegmentClock, reference: SegmentId, sound: &SoundPlacer) -> Option<Told> {
        let by_arrival_ns = pictures.pictures()?.base_ns()? + sound.lag_ns() - sound.applied_ns()?;
        Some(Told {
            pictures: pictures.reports.word()?,
            sound: self.segments.get(&reference)?.reports.word()?,
            by_arrival_ns: by_arrival_ns.into(),
        })
    }

    /// What is to be added to a picture segment's media time by the reports, so that it is beside its sound as it is heard; and by
    /// how much that is later than it could be.
    fn beside(&self, id: SegmentId) -> Option<(i64, i64)> {
        let segment = self.segments.get(&id)?;
        let (reference, sound) = self.reference_id(segment, id)?;
        let known =
            segment.relation.as_ref().filter(|(known, _)| *known == reference).map(|(_, known)| known);
        let others = &self.segments.get(&reference)?.reports;
        let is_told = segment.reports.offset_ns().is_some() && others.offset_ns().is_some();
        let relation = known.filter(|relation| is_told || relation.is_confirmed())?;
        let relation_ns = relation.ns();
        let wanted_ns = i64::try_from(relation_ns).ok()?.checked_add(sound.applied_ns()?)?;
        Some((wanted_ns.clamp(-MAX_NS, MAX_NS), sound.lag_ns()))
    }

    /// The sound that a segment's pictures follow.
    fn reference(&self, segment: &SegmentClock, id: SegmentId) -> Option<(&SegmentClock, &SoundPlacer)> {
        let (reference, sound) = self.reference_id(segment, id)?;
        Some((self.segments.get(&reference)?, sound))
    }

    fn reference_id(&self, segment: &SegmentClock, id: SegmentId) -> Option<(SegmentId, &SoundPlacer)> {
        let participant = &self.tracks.get(&segment.track)?.participant;
        let reference = *self.references.get(participant).filter(|reference| **reference != id)?;
        Some((reference, self.segments.get(&reference)?.sound()?))
    }

    fn place(&mut self, id: SegmentId, at_ns: u64, rtp: u64, length_ns: i64) {
        let (mut told, mut lag_ns, mut is_sure) = (None, 0, false);
        if let Some(segment) = self.segments.get(&id)
            && let Some((reference, sound)) = segment.pictures().and_then(|_| self.reference(segment, id))
        {
            told = self.beside(id).map(|(wanted_ns, _)| wanted_ns);
            lag_ns = sound.lag_ns();
            let is_confirmed = segment.reports.is_confirmed() && reference.reports.is_confirmed();
            is_sure = is_confirmed && sound.is_settled();
        }
        let Some(segment) = self.segments.get_mut(&id) else { return };
        let Some(least) = segment.floor.advance() else { return };
        let media_ns = segment.media_ns(rtp);
        segment.newest_ns = segment.newest_ns.max(at_ns);
        let key_ns = segment.newest_ns;
        let stats = &mut segment.stats;
        let (moment, shift, bent_ns) = match &mut segment.placer {
            Placer::Sound(placer) => {
                let end_ns = self.ends.entry(segment.track.clone()).or_insert(0);
                let placer = placer.get_or_insert_with(|| SoundPlacer::after(*end_ns));
                let packet = Packet { key_ns, at_ns: bounded(at_ns), media_ns, length_ns };
                let (moment, shift) = placer.place(&packet, least, &mut segment.floor);
                *end_ns = placer.end_ns();
                (moment, shift, placer.bent_ns)
            }
            Placer::Pictures(placer) => {
                let flows = segment.floor.flow_ns(key_ns).is_some();
                let picture = Picture { key_ns, at_ns: bounded(at_ns), media_ns, flows };
                let has_risen = placer.arrive(&picture, least);
                if has_risen {
                    segment.floor.forget_before(key_ns);
                }
                let told = told.filter(|wanted_ns| {
                    let correction_ns = wanted_ns - lag_ns - placer.base_ns().unwrap_or(0);
                    !has_risen && reports::is_plausible(correction_ns)
                });
                stats.measure(key_ns, told, placer);
                let beside = match told {
                    Some(wanted_ns) => Beside::Told { wanted_ns, is_sure },
                    None => Beside::Arrival,
                };
                let correction_ns = told.zip(placer.base_ns()).map(|(told, base)| told - lag_ns - base);
                stats.correction_ns = correction_ns.or(stats.correction_ns);
                let shift = if has_risen { Shift::Moved } else { Shift::None };
                (placer.place(&picture, beside, lag_ns), shift, placer.bent_ns)
            }
        };
        stats.moves += u64::from(shift == Shift::Moved);
        let has_moved = shift != Shift::None;
        if has_moved {
            // A sender that paused goes on elsewhere on its wall clock.
            segment.reports.doubt(key_ns);
        }
        if at_ns <= segment.first_at_ns.saturating_add(FIND_NS) {
            stats.early_bent_ns = bent_ns;
        }
        stats.last_at_ns = stats.last_at_ns.max(at_ns);
        if segment.moments.len() >= MAX_UNASKED_MOMENTS {
            segment.moments.pop_front();
        }
        segment.moments.push_back((at_ns, rtp, moment));
        if has_moved {
            for (other, segment) in &mut self.segments {
                if *other == id || segment.relation.as_ref().is_some_and(|(reference, _)| *reference == id) {
                    segment.relation = None;
                }
            }
        }
    }
}

/// A time that others wrote down, with which can be reckoned.
fn bounded(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(MAX_NS).min(MAX_NS)
}

impl SegmentClock {
    fn new(opened: &SegmentOpened) -> Self {
        Self {
            track: opened.track.clone(),
            rate: u64::from(opened.clock_rate_hz.max(1)),
            first_rtp: opened.first_rtp,
            first_at_ns: opened.first_at_ns,
            newest_ns: 0,
            floor: Floor::new(opened.codec),
            placer: match opened.codec.kind() {
                TrackKind::Audio => Placer::Sound(None),
                TrackKind::Video => Placer::Pictures(PicturePlacer::default()),
            },
            reports: Reports::default(),
            relation: None,
            moments: VecDeque::new(),
            stats: SyncStats::default(),
        }
    }

    /// Notes a frame's arrival; says how long it sounds.
    fn observe(&mut self, frame: &TakeFrame) -> i64 {
        let key_ns = self.floor.newest_ns().max(frame.at_ns);
        let media_ns = self.media_ns(frame.rtp);
        let length_ns = match self.placer {
            Placer::Sound(_) => i64::from(opus::samples(&frame.data).unwrap_or(0)) * 1_000_000_000 / 48_000,
            // A picture is there until the next one comes.
            Placer::Pictures(_) => PICTURE_NS,
        };
        self.floor.observe(key_ns, bounded(frame.at_ns) - media_ns, media_ns, length_ns);
        length_ns
    }

    fn sound(&self) -> Option<&SoundPlacer> {
        match &self.placer {
            Placer::Sound(placer) => placer.as_ref(),
            Placer::Pictures(_) => None,
        }
    }

    fn pictures(&self) -> Option<&PicturePlacer> {
        match &self.placer {
            Placer::Pictures(placer) => Some(placer),
            Placer::Sound(_) => None,
        }
    }

    /// Media time: nanoseconds since the segment's first frame by the RTP clock.
    fn media_ns(&self, rtp: u64) -> i64 {
        let ns = (i128::from(rtp) - i128::from(self.first_rtp)) * 1_000_000_000 / i128::from(self.rate);
        ns.clamp(i128::from(-MAX_NS), i128::from(MAX_NS)) as i64
    }

    /// By how much media had to be bent since their offset was found.
    fn drift_ppm(&self) -> Option<i64> {
        let length_ns = self.stats.last_at_ns.saturating_sub(self.first_at_ns);
        let bent_ns = match &self.placer {
            Placer::Sound(placer) => placer.as_ref()?.bent_ns,
            Placer::Pictures(placer) => placer.bent_ns,
        };
        let passed_ns = length_ns.checked_sub(FIND_NS).filter(|_| length_ns >= MIN_DRIFT_NS)?;
        let moved_ns = i128::from(self.stats.early_bent_ns - bent_ns);
        (moved_ns * 1_000_000 / i128::from(passed_ns)).try_into().ok()
    }
}

impl SyncStats {
    /// How far pictures were up to now from where the reports want them.
    fn measure(&mut self, now_ns: u64, told: Option<i64>, placer: &PicturePlacer) {
        let (Some(wanted_ns), Some(applied_ns)) = (told, placer.applied_ns()) else {
            self.known_ns = None;
            return;
        };
        let known_ns = *self.known_ns.get_or_insert(now_ns);
        if now_ns > known_ns.saturating_add(SETTLE_NS) {
            let passed_ns = now_ns.saturating_sub(self.last_at_ns);
            let distance_ns = wanted_ns.abs_diff(applied_ns);
            self.measured_ns += passed_ns;
            self.area += u128::from(distance_ns) * u128::from(passed_ns);
            self.worst_ns = self.worst_ns.max(distance_ns);
        }
    }
}

#[cfg(test)]
mod tests;
