//! What became of each track: the part of a recording's integrity report that the take and its decoders tell. Pure.
//!
//! ```text
//!  facts ──────> Reporter ──> TrackReport of each track ever published
//!  frames ─────>    │
//!  pictures ───>    └ a camera that is published and not muted owes pictures: where none comes for long, it froze
//! ```
//!
//! Invariant: a report depends on the take alone, so it is the same while the take grows and a year later.

use std::collections::BTreeMap;

use reelroom_take::{
    Codec, DropReason, GapCause, LeftOutWhy, ParticipantId, TakeEvent, TrackId, TrackKind, TrackSource,
    TrackSync,
};
use serde::{Deserialize, Serialize};

use crate::{
    consent::{Consent, Consents},
    video::Damage,
    voice::Outcome,
};

/// A camera that shows nothing new for longer than this froze.
const FREEZE_NS: u64 = 500_000_000;
/// Of gaps the longest are told, of sizes the first; the others are counted.
const MAX_LISTED: usize = 100;

/// What happened to a track. Times are nanoseconds of the take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrackReport {
    /// Whose: `PA_…`; empty for a track that was never published.
    pub participant: String,
    /// Their identity.
    pub identity: String,
    /// Their name, the last one they had while the track was there.
    pub name: String,
    /// audio or video; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TrackKind>,
    /// camera, microphone, screen_share or screen_share_audio.
    pub source: TrackSource,
    /// Codecs, in the order in which they came.
    pub codecs: Vec<Codec>,
    /// When it was published first.
    pub from_ns: u64,
    /// When it was gone for good.
    pub to_ns: u64,
    /// When its first picture or sound belongs; absent where there is none. A track may be published long before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_from_ns: Option<u64>,
    /// The same of its last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_to_ns: Option<u64>,
    /// What is not in the file though it arrived, and why; absent where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// What its recorder did with its packets; absent where an older one recorded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets: Option<Packets>,
    /// Frames or packets of it that its recorder kept: those that were placed or concealed, and those that were dropped.
    pub received: u64,
    /// Of these, the ones that are in the file, at their place.
    pub placed: u64,
    /// Those in whose place the sound before them goes on.
    pub concealed: u64,
    /// Those that are not in the file, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<DropReason, u64>,
    /// Frames or packets of it that belong into the file.
    pub frames: u64,
    /// Pictures decoded.
    pub pictures: u64,
    /// Frames or packets of which their decoder could make nothing.
    pub broken: u64,
    /// Samples made up for lost packets, at 48 kHz.
    pub concealed_samples: u64,
    /// Samples by which sound was shortened, its pitch kept, because it was late.
    pub shortened_samples: u64,
    /// The same because it was early: what comes behind it is under way longer.
    pub lengthened_samples: u64,
    /// Samples that were decoded too late to be heard: something is wrong with the composer.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost_samples: u64,
    /// Frames of a codec that cannot be decoded here.
    pub unknown_codec: u64,
    /// Packets that were lost on the network.
    pub lost_packets: u64,
    /// Frames that were dropped because the disk could not follow.
    pub dropped_frames: u64,
    /// Where media are missing.
    pub gaps: Gaps,
    /// Where a camera showed nothing new; absent for other tracks, and where pictures were not decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freezes: Option<Freezes>,
    /// Sizes of its pictures.
    #[serde(skip_serializing_if = "Sizes::is_empty")]
    pub sizes: Sizes,
    /// How it was placed in time; absent where its sender told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<TrackSync>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What of a track was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Why.
    pub why: LeftOutWhy,
    /// From when on, the first time.
    pub from_ns: u64,
    /// Until when, the last time.
    pub to_ns: u64,
    /// Frames or packets, as far as they were counted: of what is announced as encrypted nothing is looked at.
    pub frames: u64,
}

/// Packets as they came from the network. Of what came after the last fact before a crash nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Packets {
    /// How many arrived: those kept, and those dropped.
    pub received: u64,
    /// Those that frames or sound in the take were made of.
    pub kept: u64,
    /// Those that came to nothing, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<DropReason, u64>,
}

/// Where media of a track are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gaps {
    /// How many there are.
    pub count: u64,
    /// How long they are together.
    pub total_ns: u64,
    /// The longest hundred, in the order of time.
    pub longest: Vec<Gap>,
}

/// A gap, between two arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last thing before.
    pub from_ns: u64,
    /// The first thing after.
    pub to_ns: u64,
    /// Packets or frames missing; 0 where that is not known.
    pub missing: u64,
    /// Why.
    pub cause: GapCause,
}

/// Where a camera, published and not muted, delivered no decodable picture for more than half a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Freezes {
    /// How often.
    pub count: u64,
    /// How long, together.
    pub total_ns: u64,
    /// The longest one.
    pub longest_ns: u64,
}

/// Sizes of a track's pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    /// How often the size changed.
    pub changes: u64,
    /// The first hundred sizes.
    pub first: Vec<SizeFrom>,
}

impl Sizes {
    fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// A size from some time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeFrom {
    /// From when on.
    pub from_ns: u64,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Where nothing was recorded because the recorder's program was started anew. Times are nanoseconds of the take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// When it stopped.
    pub from_ns: u64,
    /// When it went on.
    pub to_ns: u64,
}

/// Keeps the reports of all tracks.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Reporter {
    /// Pictures are decoded: what does not come is missed.
    with_pictures: bool,
    people: BTreeMap<ParticipantId, Person>,
    tracks: BTreeMap<TrackId, Track>,
    #[serde(default)]
    consents: Consents,
    #[serde(default)]
    suspended: Vec<Suspended>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Person {
    identity: String,
    name: String,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Track {
    report: TrackReport,
    is_published: bool,
    is_muted: bool,
    /// Since when a picture is owed.
    owed_ns: Option<u64>,
    is_left_out: bool,
    /// Frames that were left out before the fact that says so.
    left_out_before: u64,
}

impl Reporter {
    pub(crate) fn new(with_pictures: bool) -> Self {
        Self { with_pictures, ..Self::default() }
    }

    /// A fact of the take.
    pub(crate) fn fact(&mut self, at_ns: u64, fact: &TakeEvent) {
        self.consents.fact(fact);
        match fact {
            TakeEvent::ParticipantJoined { participant, identity, name } => {
                let person = Person { identity: identity.clone(), name: name.clone() };
                self.people.insert(participant.clone(), person);
            }
            TakeEvent::ParticipantNamed { participant, name } => {
                self.people.entry(participant.clone()).or_default().name.clone_from(name);
                for track in self.tracks.values_mut().filter(|track| track.is_published) {
                    if track.report.participant == participant.as_str() {
                        track.report.name.clone_from(name);
                    }
                }
            }
            TakeEvent::ParticipantLeft { participant } => {
                for track in self.tracks.values_mut() {
                    if track.report.participant == participant.as_str() {
                        track.gone(at_ns);
                    }
                }
            }
            TakeEvent::TrackPublished { track, participant, kind, source, muted, .. } => {
                let known = self.tracks.contains_key(track);
                let state = self.tracks.entry(track.clone()).or_default();
                let report = &mut state.report;
                if !known {
                    report.from_ns = at_ns;
                }
                report.participant = participant.to_string();
                if let Some(person) = self.people.get(participant) {
                    report.identity.clone_from(&person.identity);
                    report.name.clone_from(&person.name);
                }
                (report.kind, report.source) = (Some(*kind), *source);
                if *source == TrackSource::Camera && self.with_pictures {
                    report.freezes.get_or_insert_default();
                }
                (state.is_published, state.is_muted) = (true, *muted);
                state.owed_ns = (!muted).then_some(at_ns);
                state.is_left_out = false;
            }
            TakeEvent::TrackUnpublished { track } => {
                if let Some(track) = self.tracks.get_mut(track) {
                    track.gone(at_ns);
                }
            }
            TakeEvent::TrackMuted { track, muted } => {
                if let Some(track) = self.tracks.get_mut(track) {
                    match muted {
                        true => track.settle(at_ns),
                        false if track.is_muted && !track.is_left_out => track.owed_ns = Some(at_ns),
                        false => {}
                    }
                    track.is_muted = *muted;
                }
            }
            TakeEvent::LeftOut { track, why, from_ns } => self.left_out(track, *why, (*from_ns).min(at_ns)),
            TakeEvent::LeftOutUntil { track, frames } => {
                if let Some(state) = self.tracks.get_mut(track)
                    && let Some(left_out) = &mut state.report.left_out
                {
                    left_out.frames += frames;
                    left_out.to_ns = at_ns;
                    state.is_left_out = false;
                    state.owed_ns = (state.is_published && !state.is_muted).then_some(at_ns);
                }
            }
            TakeEvent::SegmentOpened(opened) => {
                let report = self.report(&opened.track);
                if !report.codecs.contains(&opened.codec) {
                    report.codecs.push(opened.codec);
                }
                report.size(at_ns, opened.width, opened.height);
            }
            TakeEvent::Dimensions { track, width, height } => {
                self.report(track).size(at_ns, *width, *height);
            }
            TakeEvent::Packets { track, packets, kept, dropped } => {
                let report = self.report(track).packets.get_or_insert_default();
                report.received += packets;
                report.kept += kept;
                for (reason, count) in dropped {
                    *report.dropped.entry(*reason).or_default() += count;
                }
            }
            TakeEvent::Gap { track, from_ns, to_ns, missing, cause } => {
                let gap = Gap { from_ns: *from_ns, to_ns: *to_ns, missing: *missing, cause: *cause };
                self.report(track).gap(gap);
            }
            TakeEvent::Suspended { .. } => {
                // Whoever comes back publishes other tracks.
                self.tracks.values_mut().for_each(|track| track.gone(at_ns));
                if self.suspended.len() < MAX_LISTED {
                    self.suspended.push(Suspended { from_ns: at_ns, to_ns: at_ns });
                }
            }
            TakeEvent::Resumed => {
                if let Some(last) = self.suspended.last_mut().filter(|last| last.to_ns == last.from_ns) {
                    last.to_ns = at_ns;
                }
            }
            _ => {}
        }
    }

    /// The counters of a track.
    pub(crate) fn report(&mut self, track: &TrackId) -> &mut TrackReport {
        &mut self.tracks.entry(track.clone()).or_default().report
    }

    /// Nothing of a track is in the file from `from_ns` on.
    pub(crate) fn left_out(&mut self, track: &TrackId, why: LeftOutWhy, from_ns: u64) {
        let state = self.tracks.entry(track.clone()).or_default();
        state.settle(from_ns);
        state.is_left_out = true;
        let frames = std::mem::take(&mut state.left_out_before);
        let left_out = LeftOut { why, from_ns, to_ns: from_ns, frames: 0 };
        let known = state.report.left_out.get_or_insert(left_out);
        known.frames += frames;
        // Whose it is may say no after having said nothing; and what went wrong counts for more than what was wished.
        if known.why.is_by_choice() {
            known.why = why;
        }
    }

    /// Another frame of it, which is in the take.
    pub(crate) fn more_left_out(&mut self, track: &TrackId) {
        if let Some(left_out) = &mut self.report(track).left_out {
            left_out.frames += 1;
        } else {
            self.tracks.entry(track.clone()).or_default().left_out_before += 1;
        }
    }

    /// No picture came of what arrived of a track until now.
    pub(crate) fn unreadable(&mut self, track: &TrackId, from_ns: u64, to_ns: u64) {
        let report = self.report(track);
        let frames = report.frames;
        report.unreadable(LeftOut { why: LeftOutWhy::Unreadable, from_ns, to_ns, frames });
    }

    /// A picture or sound of a track that belongs to `at_ns`.
    pub(crate) fn media(&mut self, track: &TrackId, at_ns: u64) {
        let report = self.report(track);
        report.media_from_ns = Some(report.media_from_ns.map_or(at_ns, |from_ns| from_ns.min(at_ns)));
        report.media_to_ns = report.media_to_ns.max(Some(at_ns));
    }

    /// A picture of a track that belongs to `at_ns` was decoded.
    pub(crate) fn picture(&mut self, track: &TrackId, at_ns: u64) {
        let Some(track) = self.tracks.get_mut(track) else { return };
        let report = &mut track.report;
        report.pictures += 1;
        report.media_from_ns = Some(report.media_from_ns.map_or(at_ns, |from_ns| from_ns.min(at_ns)));
        report.media_to_ns = report.media_to_ns.max(Some(at_ns));
        if track.owed_ns.is_some() {
            track.settle(at_ns);
            track.owed_ns = Some(at_ns);
        }
    }

    /// Whose a track is: their name, or where they have none their identity.
    pub(crate) fn owner(&self, track: &TrackId) -> Option<String> {
        let report = &self.tracks.get(track)?.report;
        let name = if report.name.is_empty() { &report.identity } else { &report.name };
        Some(name.clone()).filter(|name| !name.is_empty())
    }

    /// Where nothing was recorded. One that nobody went on behind is the end.
    pub(crate) fn suspended(&self) -> Vec<Suspended> {
        self.suspended.iter().copied().filter(|suspended| suspended.from_ns < suspended.to_ns).collect()
    }

    /// What everybody said to being recorded.
    pub(crate) fn consents(&self) -> Vec<Consent> {
        self.consents.told()
    }

    /// The reports of a take that ended at `end_ns`; `sync` says how tracks were placed.
    pub(crate) fn finish(
        self,
        end_ns: u64,
        sync: impl Fn(&TrackId) -> Option<TrackSync>,
    ) -> BTreeMap<String, TrackReport> {
        let with_pictures = self.with_pictures;
        let finished = self.tracks.into_iter().map(|(id, mut track)| {
            if track.is_published {
                track.gone(end_ns);
            }
            let report = &mut track.report;
            report.to_ns = report.to_ns.max(report.from_ns);
            let is_dark = with_pictures && report.kind == Some(TrackKind::Video) && report.pictures == 0;
            if is_dark && report.frames > 0 {
                let (from_ns, to_ns, frames) = (report.from_ns, report.to_ns, report.frames);
                let why = LeftOutWhy::Unreadable;
                let left_out = report.unreadable(LeftOut { why, from_ns, to_ns, frames });
                if left_out.why == why {
                    (left_out.to_ns, left_out.frames) = (to_ns, frames);
                }
            }
            report.gaps.longest.sort_by_key(|gap| (gap.from_ns, gap.to_ns));
            report.sync = sync(&id);
            (id.to_string(), track.report)
        });
        finished.collect()
    }
}

impl Track {
    /// What was owed until `at_ns` has come, or is not owed any more.
    fn settle(&mut self, at_ns: u64) {
        let Some(since_ns) = self.owed_ns.take() else { return };
        let (span_ns, Some(freezes)) = (at_ns.saturating_sub(since_ns), &mut self.report.freezes) else {
            return;
        };
        if span_ns > FREEZE_NS {
            freezes.count += 1;
            freezes.total_ns += span_ns;
            freezes.longest_ns = freezes.longest_ns.max(span_ns);
        }
    }

    fn gone(&mut self, at_ns: u64) {
        if let Some(left_out) = self.report.left_out.as_mut().filter(|_| self.is_left_out) {
            left_out.to_ns = left_out.to_ns.max(at_ns);
        }
        if self.is_published {
            self.settle(at_ns);
            self.report.to_ns = at_ns;
            self.is_published = false;
        }
    }
}

impl TrackReport {
    /// What no decoder could read is told of, unless something worse than somebody's wish is already.
    fn unreadable(&mut self, unreadable: LeftOut) -> &mut LeftOut {
        let known = self.left_out.get_or_insert(unreadable);
        if known.why.is_by_choice() {
            *known = LeftOut { from_ns: known.from_ns, ..unreadable };
        }
        known
    }

    /// Something of the track was received, and this became of it.
    pub(crate) fn received(&mut self, outcome: Outcome) {
        self.received += 1;
        match outcome {
            Outcome::Placed => self.placed += 1,
            Outcome::Concealed => self.concealed += 1,
            Outcome::Dropped(reason) => *self.dropped.entry(reason).or_default() += 1,
        }
    }

    /// A decoder took frames that are not seen.
    pub(crate) fn not_shown(&mut self, damage: Damage) {
        self.unseen(damage.vanished, DropReason::Broken);
        self.unseen(damage.unclear, DropReason::BeforeKeyframe);
    }

    /// So many pictures that were taken to be placed are not seen, for a reason.
    pub(crate) fn unseen(&mut self, pictures: u64, reason: DropReason) {
        // Those of a decoder that is wrung out have been counted by the composer before this one.
        let pictures = pictures.min(self.placed);
        if pictures > 0 {
            self.placed -= pictures;
            *self.dropped.entry(reason).or_default() += pictures;
        }
    }

    /// Of all that was `read` from the take, it is known what became of it.
    pub(crate) fn check(&self, track: &TrackId, read: u64) {
        let more = |all: u64, parts: &BTreeMap<DropReason, u64>| all + parts.values().sum::<u64>();
        let known = more(self.placed + self.concealed, &self.dropped);
        if self
            .packets
            .as_ref()
            .is_some_and(|packets| packets.received < more(packets.kept, &packets.dropped))
        {
            tracing::error!(%track, packets = ?self.packets, "a track has more packets than arrived");
        }
        if (known, self.received, self.lost_samples) != (read, read, 0) {
            tracing::error!(%track, read, known, lost_samples = self.lost_samples, "some of a track got lost while composing");
        }
    }

    fn gap(&mut self, gap: Gap) {
        match gap.cause {
            GapCause::Disk => self.dropped_frames += gap.missing,
            GapCause::Network => self.lost_packets += gap.missing,
        }
        let length = |gap: &Gap| gap.to_ns.saturating_sub(gap.from_ns);
        self.gaps.count += 1;
        self.gaps.total_ns += length(&gap);
        let longest = &mut self.gaps.longest;
        longest.push(gap);
        if longest.len() > MAX_LISTED
            && let Some(shortest) = (0..longest.len()).min_by_key(|index| length(&longest[*index]))
        {
            longest.remove(shortest);
        }
    }

    fn size(&mut self, from_ns: u64, width: u32, height: u32) {
        let is_known = |size: &SizeFrom| (size.width, size.height) == (width, height);
        let sizes = &mut self.sizes;
        if width == 0 || height == 0 || sizes.first.last().is_some_and(is_known) {
            return;
        }
        sizes.changes += u64::from(!sizes.first.is_empty());
        if sizes.first.len() < MAX_LISTED {
            sizes.first.push(SizeFrom { from_ns, width, height });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn camera() -> (Reporter, TrackId) {
        let mut reporter = Reporter::new(true);
        let (participant, track) = (ParticipantId::from("PA_ann"), TrackId::from("TR_c"));
        reporter.fact(
            0,
            &TakeEvent::ParticipantJoined {
                participant: participant.clone(),
                identity: "ann".into(),
                name: String::new(),
            },
        );
        reporter.fact(
            100 * MS,
            &TakeEvent::TrackPublished {
                track: track.clone(),
                participant,
                kind: TrackKind::Video,
                source: TrackSource::Camera,
                width: 0,
                height: 0,
                muted: false,
            },
        );
        (reporter, track)
    }

    fn only(reporter: Reporter, end_ns: u64) -> TrackReport {
        reporter.finish(end_ns, |_| None).into_values().next().expect("one track")
    }

    #[test]
    fn what_went_wrong_is_told_of_rather_than_what_was_wished() {
        let left_out = |why, from_ns| TakeEvent::LeftOut { track: "TR_c".into(), why, from_ns };
        let until = TakeEvent::LeftOutUntil { track: "TR_c".into(), frames: 0 };
        let told = |facts: &[(u64, TakeEvent)]| {
            let (mut reporter, _) = camera();
            facts.iter().for_each(|(at_ns, fact)| reporter.fact(*at_ns, fact));
            only(reporter, 900 * MS).left_out.map(|left_out| (left_out.why, left_out.from_ns, left_out.to_ns))
        };
        let (silent, no) =
            (left_out(LeftOutWhy::NotAgreed, 100 * MS), left_out(LeftOutWhy::Declined, 200 * MS));
        let encrypted = left_out(LeftOutWhy::Encrypted, 500 * MS);
        assert_eq!(
            told(&[(100 * MS, silent.clone()), (200 * MS, no), (400 * MS, until.clone())]),
            Some((LeftOutWhy::Declined, 100 * MS, 400 * MS))
        );
        assert_eq!(
            told(&[(100 * MS, silent.clone()), (400 * MS, until.clone()), (500 * MS, encrypted.clone())]),
            Some((LeftOutWhy::Encrypted, 100 * MS, 900 * MS))
        );
        assert_eq!(
            told(&[(500 * MS, encrypted), (600 * MS, silent.clone())]),
            Some((LeftOutWhy::Encrypted, 500 * MS, 900 * MS))
        );
        let (mut reporter, track) = camera();
        reporter.fact(100 * MS, &silent);
        reporter.fact(400 * MS, &until);
        reporter.unreadable(&track, 500 * MS, 700 * MS);
        let left_out = only(reporter, 900 * MS).left_out.expect("it was told of");
        assert_eq!((left_out.why, left_out.from_ns), (LeftOutWhy::Unreadable, 100 * MS));
    }

    #[test]
    fn a_camera_freezes_only_while_it_owes_pictures() {
        let (mut reporter, track) = camera();
        let muted = |muted: bool| TakeEvent::TrackMuted { track: track.clone(), muted };
        for at_ms in [200, 233, 733, 1_300] {
            reporter.picture(&track, at_ms * MS);
        }
        reporter.fact(1_400 * MS, &muted(true));
        reporter.fact(9_000 * MS, &muted(false));
        reporter.picture(&track, 9_100 * MS);
        reporter.fact(10_000 * MS, &TakeEvent::TrackUnpublished { track });
        let report = only(reporter, 20_000 * MS);
        // 733 to 1300, and 9100 to 10000; 233 to 733 is not longer than it may be.
        let freezes = Freezes { count: 2, total_ns: 1_467 * MS, longest_ns: 900 * MS };
        assert_eq!(report.freezes, Some(freezes));
        assert_eq!((report.from_ns, report.to_ns, report.pictures), (100 * MS, 10_000 * MS, 5));
        assert_eq!((report.identity.as_str(), report.name.as_str()), ("ann", ""));
    }

    #[test]
    fn a_camera_that_never_showed_anything_froze_all_the_time() {
        let (mut reporter, track) = camera();
        assert_eq!(reporter.owner(&track).as_deref(), Some("ann"));
        reporter.fact(0, &TakeEvent::ParticipantNamed { participant: "PA_ann".into(), name: "Ann".into() });
        let report = only(reporter, 5_100 * MS);
        assert_eq!(report.freezes, Some(Freezes { count: 1, total_ns: 5_000 * MS, longest_ns: 5_000 * MS }));
        assert_eq!((report.name.as_str(), report.to_ns), ("Ann", 5_100 * MS));
    }

    #[test]
    fn of_many_gaps_the_longest_are_told_and_all_are_counted() {
        let (mut reporter, track) = camera();
        let gap = |number: u64, cause: GapCause| TakeEvent::Gap {
            track: track.clone(),
            from_ns: number * 1_000,
            to_ns: number * 1_000 + number % 150,
            missing: 2,
            cause,
        };
        for number in 0..150 {
            reporter.fact(0, &gap(number, GapCause::Network));
        }
        reporter.fact(0, &gap(149, GapCause::Disk));
        let report = only(reporter, 1);
        assert_eq!((report.gaps.count, report.lost_packets, report.dropped_frames), (151, 300, 2));
        assert_eq!(report.gaps.total_ns, 150 * 149 / 2 + 149);
        assert_eq!(report.gaps.longest.len(), 100);
        assert!(report.gaps.longest.iter().all(|gap| gap.to_ns - gap.from_ns >= 51));
        assert!(report.gaps.longest.is_sorted_by_key(|gap| gap.from_ns));
    }

    #[test]
    fn sizes_are_told_as_they_change() {
        let (mut reporter, track) = camera();
        for (at_ns, width, height) in [(1, 320, 180), (2, 320, 180), (3, 1280, 720), (4, 0, 0), (5, 320, 180)]
        {
            reporter.fact(at_ns, &TakeEvent::Dimensions { track: track.clone(), width, height });
        }
        let sizes = only(reporter, 9).sizes;
        let told: Vec<_> = sizes.first.iter().map(|size| (size.from_ns, size.width)).collect();
        assert_eq!((sizes.changes, told), (2, vec![(1, 320), (3, 1280), (5, 320)]));
    }
}
