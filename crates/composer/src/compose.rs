//! The loop over output pictures: take in, MP4 out.
//!
//! ```text
//!  TakeReader ──> facts ──────> Timeline ──> scene ─┐
//!             └─> frames (by moment) ─> decoders ───┴> Canvas ──> x264 ─┐
//!                                   └─> voices ──> mix ──> limiter ──> AAC ─┴> Mp4Writer
//! ```
//!
//! Output time is take time: output second 0 is the take's beginning, its length is the take's length. Nothing depends on the
//! wall clock: a picture is composed once the take is complete up to its end, however long that took, so the same take gives the
//! same file while it grows and a year later.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::Path,
    time::Duration,
};

use reelroom_mp4::{Settled, settle};
use reelroom_take::{DropReason, LeftOutWhy, SegmentId, SegmentOpened, TakeEvent, TrackId, TrackKind};
use serde::{Deserialize, Serialize};

use crate::{
    canvas::Canvas,
    encode::{AAC_FRAME_SAMPLES, AudioEncoder, CHANNELS, SAMPLE_RATE_HZ, VideoEncoder},
    error::ComposeError,
    layout::Layout,
    limit::{LOOK_AHEAD_FRAMES, Limiter},
    output::Output,
    preset::Preset,
    report::{Reporter, TrackReport},
    resume::{Keeper, Kept, Part, Replay, Replayed},
    skip::{Skip, Skipped, Skips},
    source::{Due, Source},
    step::Step,
    timeline::{Scene, Timeline},
    video::{Picture, Showing, Shown, VideoDecoder},
    voice::{EARLY_NS, OpusDecoder, Outcome, Voice},
};

pub use crate::source::Follow;

/// How often a growing take is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A decoder that does several frames in a row finds its data still in the processor's caches: with many tracks that saves a
/// sixth. For so many pictures at most, ...
const MOST_AHEAD: u64 = 8;
/// ... and as long as what was decoded ahead needs no more memory than this, bytes.
const AHEAD_BYTES: usize = 32 << 20;
/// What a composer needs to go on is kept so often, seconds of the file.
const KEEP_EVERY_S: u64 = 5;
/// A composer that goes on hears so much of what was before, seconds: its decoders, pacers, limiter and encoder are then as if they had
/// heard all of it.
const WARM_S: u64 = 20;
/// A decoder that gives pictures back later than it got them may be that many ahead.
const MOST_WAITING: usize = 48;
/// A picture that comes out after one that is shown at most so much later has missed its turn. A decoder does this while it learns
/// how pictures are reordered.
const MISSED_NS: u64 = 250_000_000;
/// A track of which so many frames made no picture cannot be read.
const UNREADABLE_AFTER: u64 = 60;
const SECOND_NS: u128 = 1_000_000_000;

/// How to compose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComposeOptions {
    /// Instead of the take's own layout.
    pub layout: Option<Layout>,
    /// What the file shall be like.
    pub preset: Preset,
    /// What to do where the take has no end yet.
    pub follow: Follow,
    /// Sound only, whatever the take says.
    pub audio_only: bool,
    /// What is left out.
    pub skips: Vec<Skip>,
}

/// How far a composition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Composed so far, nanoseconds of the take.
    pub position_ns: u64,
    /// The take is on disk up to here.
    pub available_ns: u64,
    /// The take's length, once it has ended.
    pub ended_ns: Option<u64>,
}

/// A finished composition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composed {
    /// Length of the file, nanoseconds.
    pub duration_ns: u64,
    /// Size of the file, bytes.
    pub size_bytes: u64,
    /// Hash of all pictures that went into the encoder.
    pub pictures_hash: u64,
    /// Hash of all sound that went into the encoder.
    pub sound_hash: u64,
    /// What happened to each track that was published.
    pub report: BTreeMap<String, TrackReport>,
    /// What was left out, and is there in the take.
    pub skipped: Vec<Skipped>,
    /// Frames of all tracks that were dropped because the disk could not follow.
    pub dropped_frames: u64,
}

/// Looks on while a take is composed.
pub trait Observer {
    /// Called after every composed second, and while waiting.
    fn progress(&mut self, _progress: Progress) {}

    /// Called before each thing that may kill the composer.
    fn begin(&mut self, _step: &Step<'_>) {}

    /// Called with every picture as it goes into the encoder, counted from 0.
    fn picture(&mut self, _number: u64, _canvas: &Canvas) {}

    /// Called with all sound as it goes into the encoder, interleaved.
    fn sound(&mut self, _samples: &[f32]) {}
}

impl<F: FnMut(Progress)> Observer for F {
    fn progress(&mut self, progress: Progress) {
        self(progress);
    }
}

/// Composes the take in directory `take` into the MP4 file `out`. `progress` is called after every composed second, and while waiting.
pub fn compose(
    take: &Path,
    out: &Path,
    options: &ComposeOptions,
    mut progress: &mut dyn FnMut(Progress),
) -> Result<Composed, ComposeError> {
    compose_observed(take, out, options, &mut progress)
}

/// [`compose()`] under the eyes of an observer.
pub fn compose_observed(
    take: &Path,
    out: &Path,
    options: &ComposeOptions,
    observer: &mut dyn Observer,
) -> Result<Composed, ComposeError> {
    compose_kept(take, out, options, None, observer)
}

/// [`compose_observed`] that keeps beside the file what is needed to go on with it, and goes on with it where that was kept of the same
/// take and the same options. What is composed then is what would have been composed anyway; only its encoders begin anew.
pub fn compose_kept(
    take: &Path,
    out: &Path,
    options: &ComposeOptions,
    keeper: Option<Keeper>,
    observer: &mut dyn Observer,
) -> Result<Composed, ComposeError> {
    let source = Source::open(take, options.follow)?;
    let audio_only = options.audio_only || source.header().audio_only;
    let mut keeper = keeper.map(|keeper| keeper.of(source.header(), options));
    if let Some(Kept { part, done, .. }) = keeper.as_ref().and_then(Keeper::found) {
        if let (Some(done), Ok(Settled::Finished(size_bytes))) = (done, settle(out)) {
            return Ok(Composed { size_bytes, ..done });
        }
        if let Some(part) = part
            && let Some(output) = Output::go_on(out, &options.preset, !audio_only, &part)?
        {
            let mut composer = Composer::new(source, output, options)?;
            if let Some(first) = composer.go_on(*part, observer)? {
                return composer.run(first, keeper, observer);
            }
            tracing::warn!("what was composed is more than was recorded: it is composed anew");
        }
    }
    if let Some(keeper) = &mut keeper {
        keeper.forget();
    }
    let output = Output::new(out, &options.preset, !audio_only)?;
    let composer = Composer::new(Source::open(take, options.follow)?, output, options)?;
    composer.run(0, keeper, observer)
}

#[derive(Default)]
struct Track {
    segment: Option<SegmentId>,
    decoder: Option<VideoDecoder>,
    voice: Option<Voice>,
    picture: Option<Picture>,
    /// Number of `picture`.
    number: u64,
    /// Decoded ahead: the output picture each is for, the picture, its number.
    ahead: VecDeque<(u64, Picture, u64)>,
    /// RTP time of the newest picture of the present segment.
    newest_rtp: Option<u64>,
    clock_rate_hz: u32,
    /// Frames or packets that were due so far, decoded or not.
    due: u64,
    /// Pictures up to here were counted by a composer before this one.
    told_to_ns: Option<u64>,
    /// It is not published any more; what of its sound is still to be heard, is.
    leaving: bool,
}

/// What is due with an output picture.
struct DueTo {
    /// Of tracks of this kind only.
    kind: TrackKind,
    /// Up to here, nanoseconds.
    to_ns: u64,
    /// Number of the output picture.
    frame: u64,
    /// Nothing of it is to be touched.
    is_skipped: bool,
}

struct Composer {
    source: Source,
    preset: Preset,
    timeline: Timeline,
    scene: Scene,
    /// A layout given from outside beats the take's.
    fixed_layout: bool,
    segments: BTreeMap<SegmentId, SegmentOpened>,
    tracks: BTreeMap<TrackId, Track>,
    gone: BTreeSet<TrackId>,
    reporter: Reporter,
    pictures: Option<(Canvas, VideoEncoder)>,
    sound: AudioEncoder,
    limiter: Limiter,
    /// Sound is mixed up to this sample.
    mixed: u64,
    /// What is due with the output pictures below this number is decoded.
    decoded: u64,
    output: Output,
    numbers: u64,
    skips: Skips,
    /// Tracks that no decoder can read, from a moment on, or can read again: those that were found, in order.
    unreadable: Vec<(u64, TrackId, Option<LeftOutWhy>)>,
    /// Of these, so many are seen in the pictures.
    unreadable_seen: usize,
    /// While what was composed before is gone through again.
    replay: Option<Replay>,
    /// The encoder of sound begins with this sample.
    sound_from: u64,
}

impl Composer {
    fn new(source: Source, output: Output, options: &ComposeOptions) -> Result<Self, ComposeError> {
        let preset = options.preset;
        preset.check()?;
        let audio_only = options.audio_only || source.header().audio_only;
        let layout = options.layout.unwrap_or_else(|| Layout::parse(&source.header().layout));
        let pictures = if audio_only {
            None
        } else {
            let encoder = VideoEncoder::new(&preset)?;
            Some((Canvas::new(preset.size), encoder))
        };
        Ok(Self {
            source,
            preset,
            timeline: Timeline::new(layout),
            scene: Scene { layout, tiles: Vec::new() },
            fixed_layout: options.layout.is_some(),
            segments: BTreeMap::new(),
            tracks: BTreeMap::new(),
            gone: BTreeSet::new(),
            reporter: Reporter::new(!audio_only),
            pictures,
            sound: AudioEncoder::new(preset.audio_kbps)?,
            limiter: Limiter::default(),
            mixed: 0,
            decoded: 0,
            output,
            numbers: 0,
            skips: Skips::new(&options.skips),
            unreadable: Vec::new(),
            unreadable_seen: 0,
            replay: None,
            sound_from: 0,
        })
    }

    /// Composes from picture number `frame` on.
    fn run(
        mut self,
        mut frame: u64,
        mut keeper: Option<Keeper>,
        observer: &mut dyn Observer,
    ) -> Result<Composed, ComposeError> {
        let per_second = u64::from(self.preset.frames_per_second);
        while self.await_picture(frame, observer)? {
            self.picture(frame, observer)?;
            frame += 1;
            if let Some(keeper) = &mut keeper {
                if frame.is_multiple_of(KEEP_EVERY_S * per_second) {
                    keeper.note(self.known_at(frame / per_second));
                }
                keeper.keep_written(&mut self.output)?;
            }
            if frame.is_multiple_of(per_second) {
                observer.progress(self.progress(frame));
            }
        }
        observer.progress(self.progress(frame));
        observer.begin(&Step::Finish);
        self.finish(frame, keeper)
    }

    /// What is needed to go on behind second `seconds` of the file.
    fn known_at(&self, seconds: u64) -> Part {
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
    fn go_on(&mut self, part: Part, observer: &mut dyn Observer) -> Result<Option<u64>, ComposeError> {
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
            let tracks = &self.tracks;
            let newest =
                |id: &TrackId| tracks.get(id).and_then(|track| Some((track.number, track.picture.as_ref()?)));
            canvas.draw(&self.scene, &newest)?;
            encoder.go_on(part.pictures.unwrap_or_default());
        }
        Ok(Some(first))
    }

    /// A decoder that gives pictures back late had got more frames than were due: takes those too, until it is `count`.
    fn take_as_many(
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
    fn make_up_for(
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

    /// When picture number `frame` begins, nanoseconds.
    fn time_ns(&self, frame: u64) -> u64 {
        (u128::from(frame) * SECOND_NS / u128::from(self.preset.frames_per_second)) as u64
    }

    /// Pictures up to here are shown by picture number `frame`: what belongs to the first half of its time is nearer to it than to
    /// the next one.
    fn shown_ns(&self, frame: u64) -> u64 {
        self.time_ns(frame).midpoint(self.time_ns(frame + 1))
    }

    /// Sound up to here goes into picture number `frame`'s block: the limiter looks ahead.
    fn heard_ns(&self, frame: u64) -> u64 {
        let ahead_ns = LOOK_AHEAD_FRAMES as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE_HZ);
        self.time_ns(frame + 1) + ahead_ns
    }

    /// Number of pictures of an ended take; at least one: a file without samples is no file.
    fn length(&self, end_ns: u64) -> u64 {
        let rate = u128::from(self.preset.frames_per_second);
        (((u128::from(end_ns) * rate + SECOND_NS / 2) / SECOND_NS) as u64).max(1)
    }

    fn progress(&self, frame: u64) -> Progress {
        Progress {
            position_ns: self.time_ns(frame),
            available_ns: self.source.available_ns(),
            ended_ns: self.source.end_ns(),
        }
    }

    /// Waits until picture number `frame` can be composed; `false` if there is none.
    fn await_picture(&mut self, frame: u64, observer: &mut dyn Observer) -> Result<bool, ComposeError> {
        let to_ns = self.heard_ns(frame) + EARLY_NS;
        let mut waited = Duration::ZERO;
        if !self.source.has(to_ns) {
            observer.begin(&Step::Read { at_ns: to_ns });
        }
        while !self.source.read_to(to_ns)? {
            std::thread::sleep(POLL_INTERVAL);
            waited += POLL_INTERVAL;
            if waited.as_millis().is_multiple_of(1000) {
                observer.progress(self.progress(frame));
            }
        }
        Ok(self.source.end_ns().is_none_or(|end_ns| frame < self.length(end_ns)))
    }

    /// Composes picture number `frame` and the sound beside it.
    fn picture(&mut self, frame: u64, observer: &mut dyn Observer) -> Result<(), ComposeError> {
        let (from_ns, to_ns) = (self.time_ns(frame), self.time_ns(frame + 1));
        self.apply_facts(self.shown_ns(frame));
        let is_skipped = self.skips.picture(from_ns, to_ns);
        let ahead = self.ahead(frame);
        for track in self.source.tracks() {
            for frame in self.decoded..ahead {
                let to_ns = self.shown_ns(frame);
                let due = DueTo { kind: TrackKind::Video, to_ns, frame, is_skipped };
                self.decode(&track, &due, observer)?;
                self.wring(&track, &due, observer)?;
            }
            let to_ns = self.heard_ns(frame) + EARLY_NS;
            self.decode(&track, &DueTo { kind: TrackKind::Audio, to_ns, frame, is_skipped }, observer)?;
        }
        self.decoded = ahead;
        self.tracks.values_mut().for_each(|track| track.show(frame));
        observer.begin(&match is_skipped {
            false => Step::Picture { number: frame, at_ns: from_ns },
            true => Step::Repeat { number: frame, at_ns: from_ns },
        });
        if let Some((canvas, encoder)) = &mut self.pictures {
            let tracks = &self.tracks;
            let newest =
                |id: &TrackId| tracks.get(id).and_then(|track| Some((track.number, track.picture.as_ref()?)));
            let changed = !is_skipped && canvas.draw(&self.scene, &newest)?;
            observer.picture(frame, canvas);
            for picture in encoder.push(canvas, changed || frame == 0)? {
                self.output.picture(picture)?;
            }
        }
        self.mix(frame, is_skipped, observer)
    }

    /// Number of the output picture up to which tracks' pictures are to be decoded now, that one not included. What is decoded
    /// ahead must be read already, and nothing may happen in between that changes what is decoded.
    fn ahead(&self, frame: u64) -> u64 {
        if frame < self.decoded {
            return self.decoded;
        }
        let shown = self.tracks.values().filter_map(|track| track.picture.as_ref());
        let bytes: usize = shown.map(Picture::bytes).sum();
        let most = match AHEAD_BYTES.checked_div(bytes) {
            _ if !self.skips.is_empty() => 1,
            Some(count) => (count as u64).clamp(1, MOST_AHEAD),
            None => MOST_AHEAD,
        };
        let end = self.source.end_ns().map_or(u64::MAX, |end_ns| self.length(end_ns));
        // Where something is kept nothing is known of what comes behind.
        let kept = (frame + 1).next_multiple_of(KEEP_EVERY_S * u64::from(self.preset.frames_per_second));
        let end = end.min(kept);
        let fact_ns = self.source.next_fact_ns().unwrap_or(u64::MAX);
        let is_open =
            |next: &u64| self.source.has(self.heard_ns(*next) + EARLY_NS) && self.shown_ns(*next) < fact_ns;
        (frame + 1..(frame + most).min(end)).take_while(is_open).last().map_or(frame + 1, |last| last + 1)
    }

    /// Mixes the sound beside picture number `frame`, and what the limiter looks ahead.
    fn mix(&mut self, frame: u64, is_skipped: bool, observer: &mut dyn Observer) -> Result<(), ComposeError> {
        let samples = u64::from(SAMPLE_RATE_HZ / self.preset.frames_per_second);
        let to = (frame + 1) * samples + LOOK_AHEAD_FRAMES as u64;
        let mut block = vec![0f32; ((to - self.mixed) * u64::from(CHANNELS)) as usize];
        for (id, track) in &mut self.tracks {
            if let Some(voice) = &mut track.voice {
                voice.mix(self.mixed, &mut block, !is_skipped && self.timeline.audible(id));
            }
        }
        self.mixed = to;
        self.part();
        let mut limited = Vec::with_capacity(block.len());
        self.limiter.push(&block, &mut limited);
        let ahead = self.sound_from.saturating_sub(frame * samples) * u64::from(CHANNELS);
        let limited = limited.get(ahead as usize..).unwrap_or_default();
        if limited.is_empty() {
            return Ok(());
        }
        if self.replay.is_none() {
            observer.sound(limited);
        }
        for sound in self.sound.push(limited)? {
            self.output.sound(sound)?;
        }
        Ok(())
    }

    fn apply_facts(&mut self, to_ns: u64) {
        let mut changed = false;
        while let Some((at_ns, fact)) = self.source.next_fact(to_ns) {
            self.reporter.fact(at_ns, &fact);
            match &fact {
                TakeEvent::SegmentOpened(segment) => {
                    self.segments.insert(segment.segment, segment.clone());
                }
                TakeEvent::Layout { .. } if self.fixed_layout => continue,
                TakeEvent::TrackPublished { track, .. } => {
                    self.gone.remove(track);
                    if let Some(track) = self.tracks.get_mut(track) {
                        track.leaving = false;
                    }
                }
                TakeEvent::TrackMuted { track, muted: true } => {
                    // What comes back after a mute is not the picture from before it.
                    if let Some(track) = self.tracks.get_mut(track) {
                        track.picture = None;
                    }
                    if let Some(replay) = &mut self.replay {
                        replay.muted(track);
                    }
                }
                _ => {}
            }
            changed |= self.timeline.apply(at_ns, &fact);
            if let TakeEvent::TrackUnpublished { .. } | TakeEvent::ParticipantLeft { .. } = &fact {
                self.forget_tracks(at_ns, &fact);
            }
        }
        while let Some((_, track, why)) =
            self.unreadable.get(self.unreadable_seen).filter(|(at_ns, ..)| *at_ns <= to_ns)
        {
            changed |= self.timeline.left_out(track, *why);
            self.unreadable_seen += 1;
        }
        if self.timeline.advance(to_ns) || changed {
            self.scene = self.timeline.scene();
        }
    }

    fn forget_tracks(&mut self, at_ns: u64, fact: &TakeEvent) {
        let gone: Vec<TrackId> = match fact {
            TakeEvent::TrackUnpublished { track } => vec![track.clone()],
            _ => self.tracks.keys().filter(|track| self.timeline.forgot(track)).cloned().collect(),
        };
        for id in gone {
            match self.tracks.get_mut(&id) {
                Some(track) if track.voice.is_some() => track.leaving = true,
                track => {
                    if let Some(track) = track {
                        let report = self.reporter.report(&id);
                        report.pictures += track.close(report).len() as u64;
                    }
                    self.tracks.remove(&id);
                    self.gone.insert(id.clone());
                    if let Some(replay) = &mut self.replay {
                        replay.forget(&id);
                    }
                }
            }
            self.skips.recovered(&id, at_ns);
        }
    }

    /// Lets go of sound that has left and was heard to its end.
    fn part(&mut self) {
        let is_over = |id: &TrackId, track: &Track| {
            let is_silent = track.voice.as_ref().is_none_or(|voice| voice.is_silent_from(self.mixed));
            track.leaving && is_silent && self.source.next_segment(id).is_none()
        };
        let over: Vec<_> =
            self.tracks.iter().filter(|(id, track)| is_over(id, track)).map(|(id, _)| id.clone()).collect();
        for id in over {
            if let Some(mut track) = self.tracks.remove(&id) {
                track.close(self.reporter.report(&id));
            }
        }
    }

    /// Decodes what is due of a track.
    fn decode(&mut self, id: &TrackId, due: &DueTo, observer: &mut dyn Observer) -> Result<(), ComposeError> {
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
    fn opened(&self, segment: SegmentId) -> Option<SegmentOpened> {
        self.segments.get(&segment).or_else(|| self.source.announced(segment)).cloned()
    }

    /// Decodes a frame or packet of a track.
    fn decode_one(
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
    fn feed(
        &mut self,
        id: &TrackId,
        opened: &SegmentOpened,
        Due { frame, moment, degrees }: Due,
        number: u64,
        due: u64,
        observer: &mut dyn Observer,
    ) -> Result<(), ComposeError> {
        let track = self.tracks.entry(id.clone()).or_default();
        let report = self.reporter.report(id);
        observer.begin(&Step::Decode {
            track: id,
            segment: opened.segment,
            frame: number,
            at_ns: frame.at_ns,
        });
        report.frames += 1;
        let mut shown = Vec::new();
        if track.segment != Some(opened.segment) {
            shown = track.close_pictures(report);
            track.open(opened)?;
        }
        let outcome = if let Some(voice) = &mut track.voice {
            self.skips.recovered(id, moment.at_ns);
            self.reporter.media(id, moment.at_ns);
            voice.push(frame.data, frame.rtp, moment)
        } else if let Some(decoder) = &mut track.decoder {
            let showing = Showing { rtp: frame.rtp, at_ns: moment.at_ns, degrees };
            let broken = decoder.broken();
            shown.extend(decoder.decode(frame.data, frame.keyframe, showing));
            match decoder.broken() - broken {
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
        let is_unreadable = opened.codec.kind() == TrackKind::Video
            && report.pictures == 0
            && report.frames >= UNREADABLE_AFTER;
        if is_unreadable && shown.is_empty() && report.left_out.is_none() {
            tracing::warn!(track = %id, codec = ?opened.codec, "no decoder here can read this track: its place stays empty");
            self.reporter.unreadable(id, opened.first_at_ns, moment.at_ns);
            self.unreadable.push((moment.at_ns, id.clone(), Some(LeftOutWhy::Unreadable)));
        } else if report.pictures == 0 && report.left_out.is_some() && !shown.is_empty() {
            self.unreadable.push((moment.at_ns, id.clone(), None));
        }
        self.keep_pictures(id, due, shown);
        Ok(())
    }

    /// Pictures that are due and still in their decoder: it gives them back when it has seen what comes behind them.
    fn wring(&mut self, id: &TrackId, due: &DueTo, observer: &mut dyn Observer) -> Result<(), ComposeError> {
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
    fn keep_pictures(&mut self, id: &TrackId, frame: u64, shown: Vec<Shown>) {
        for Shown { picture, showing } in shown {
            self.numbers += 1;
            self.skips.recovered(id, showing.at_ns);
            let first = self.first_shown(showing.at_ns).max(frame);
            let Some(track) = self.tracks.get_mut(id) else { return };
            if track.told_to_ns.is_none_or(|told_ns| told_ns < showing.at_ns) {
                track.told_to_ns = None;
                self.reporter.picture(id, showing.at_ns);
            }
            let rate = track.clock_rate_hz;
            let missed_ticks = (u128::from(MISSED_NS) * u128::from(rate) / SECOND_NS) as u64;
            if track
                .newest_rtp
                .is_some_and(|newest| (1..missed_ticks).contains(&newest.saturating_sub(showing.rtp)))
            {
                continue;
            }
            track.newest_rtp = Some(showing.rtp);
            let first = track.ahead.back().map_or(first, |(before, ..)| first.max(*before));
            track.ahead.push_back((first, picture.turned(showing.degrees), self.numbers));
            if track.ahead.len() > MOST_WAITING {
                track.ahead.pop_front();
            }
        }
    }

    /// Number of the first output picture that shows what belongs to `at_ns`.
    fn first_shown(&self, at_ns: u64) -> u64 {
        let near = (u128::from(at_ns) * u128::from(self.preset.frames_per_second) / SECOND_NS) as u64;
        (near.saturating_sub(1)..near + 2).find(|frame| self.shown_ns(*frame) >= at_ns).unwrap_or(near + 2)
    }

    fn finish(mut self, frames: u64, mut keeper: Option<Keeper>) -> Result<Composed, ComposeError> {
        let mut pictures_hash = 0;
        if let Some((_, encoder)) = self.pictures.take() {
            let (rest, hash) = encoder.finish();
            pictures_hash = hash;
            for picture in rest {
                self.output.picture(picture)?;
            }
        }
        let (rest, sound_hash) = self.sound.finish();
        for sound in rest {
            self.output.sound(sound)?;
        }
        let duration_ns = (u128::from(frames) * SECOND_NS / u128::from(self.preset.frames_per_second)) as u64;
        for (id, mut track) in self.tracks {
            let report = self.reporter.report(&id);
            report.pictures += track.close(report).len() as u64;
        }
        // What belongs behind the last picture is told of all the same.
        while let Some((at_ns, fact)) = self.source.next_fact(u64::MAX) {
            self.reporter.fact(at_ns, &fact);
        }
        for (id, read, left) in self.source.counts() {
            let report = self.reporter.report(id);
            (0..left).for_each(|_| report.received(Outcome::Dropped(DropReason::AfterEnd)));
            report.check(id, read);
        }
        self.skips.ended(duration_ns);
        let skipped = self.skips.finish(|track| self.reporter.owner(track));
        let end_ns = self.source.end_ns().unwrap_or(duration_ns);
        let report = self.reporter.finish(end_ns, |track| self.source.sync(track));
        let dropped_frames = report.values().map(|track| track.dropped_frames).sum();
        let mut composed = Composed {
            duration_ns,
            size_bytes: 0,
            pictures_hash,
            sound_hash,
            report,
            skipped,
            dropped_frames,
        };
        // From here on the file may become a finished one at any moment: whoever finds it such needs to know no more than this.
        if let Some(keeper) = &mut keeper {
            keeper.done(&composed);
        }
        composed.size_bytes = self.output.finish(duration_ns)?;
        Ok(composed)
    }
}

impl Track {
    /// Output picture number `frame` is at hand: it shows the newest of what was decoded for it.
    fn show(&mut self, frame: u64) {
        while self.ahead.front().is_some_and(|(first, ..)| *first <= frame) {
            let (_, picture, number) = self.ahead.pop_front().expect("there is a first one");
            (self.picture, self.number) = (Some(picture), number);
        }
    }

    /// A frame is left out. What its decoder would make of the next ones without it nobody knows: they wait for a keyframe. Sound
    /// goes on, its decoder conceals what is missing.
    fn skip(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        self.close_pictures(report)
    }

    fn open(&mut self, segment: &SegmentOpened) -> Result<(), ComposeError> {
        self.segment = Some(segment.segment);
        (self.clock_rate_hz, self.newest_rtp) = (segment.clock_rate_hz, None);
        match segment.codec.kind() {
            TrackKind::Audio => self.voice.get_or_insert_default().open(OpusDecoder::new(segment)?),
            TrackKind::Video => self.decoder = VideoDecoder::new(segment)?,
        }
        if self.decoder.is_none() && self.voice.is_none() {
            tracing::warn!(track = %segment.track, codec = ?segment.codec, "this codec cannot be composed yet");
        }
        Ok(())
    }

    /// Adds what the present decoders have counted.
    fn tally(&self, report: &mut TrackReport) {
        if let Some(decoder) = &self.decoder {
            report.broken += decoder.broken();
        }
        if let Some(voice) = &self.voice {
            voice.tally(report);
        }
    }

    /// What the present decoders have counted so far has been told already.
    fn count_anew(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.count_anew();
        }
        if let Some(voice) = &mut self.voice {
            voice.count_anew();
        }
    }

    /// Ends all; the report gets what it has to add. Pictures that were still in their decoder come back.
    fn close(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        if let Some(voice) = self.voice.take() {
            voice.tally(report);
        }
        self.close_pictures(report)
    }

    /// Ends the present decoder of pictures. Sound goes on with the next segment.
    fn close_pictures(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        let Some(decoder) = self.decoder.take() else { return Vec::new() };
        self.segment = None;
        let (rest, broken) = decoder.finish();
        report.broken += broken;
        rest
    }
}
