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

mod decode;
mod go_on;
mod track;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use reelroom_mp4::{Settled, settle};
use reelroom_take::{DropReason, LeftOutWhy, SegmentId, SegmentOpened, TakeEvent, TrackId, TrackKind};
use serde::{Deserialize, Serialize};

use crate::{
    canvas::Canvas,
    consent::Consent,
    encode::{AudioEncoder, CHANNELS, SAMPLE_RATE_HZ, VideoEncoder},
    error::ComposeError,
    layout::Layout,
    limit::{LOOK_AHEAD_FRAMES, Limiter},
    output::Output,
    preset::Preset,
    report::{Reporter, Suspended, TrackReport},
    resume::{Keeper, Kept, Replay},
    skip::{Skip, Skipped, Skips},
    source::Source,
    step::Step,
    timeline::{Scene, Timeline},
    video::Picture,
    voice::{EARLY_NS, Outcome},
};

use self::{decode::DueTo, track::Track};

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
const SECOND_NS: u128 = 1_000_000_000;
/// Where the program is started anew again and again before there is a picture, one of so many starts before is shown.
const MOST_BEFORE: usize = 8;

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
    /// What everybody said to being recorded, where the room asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    /// Where nothing was recorded because the recorder's program was started anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspended: Vec<Suspended>,
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

/// The newest picture of a track with its number; until it has one, of what was there in its place before a restart.
fn newest_of<'a>(
    tracks: &'a BTreeMap<TrackId, Track>,
    timeline: &Timeline,
    id: &TrackId,
) -> Option<(u64, &'a Picture)> {
    let newest =
        |id: &TrackId| tracks.get(id).and_then(|track| Some((track.number, track.picture.as_ref()?)));
    let mut shown = id;
    for _ in 0..MOST_BEFORE {
        if let Some(found) = newest(shown) {
            return Some(found);
        }
        shown = timeline.before(shown)?;
    }
    None
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
            let (tracks, timeline) = (&self.tracks, &self.timeline);
            let newest = |id: &TrackId| newest_of(tracks, timeline, id);
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
                TakeEvent::TrackMuted { track, muted: true } => self.forget_picture(track),
                TakeEvent::LeftOut { track, why, .. } if why.is_by_choice() => self.forget_picture(track),
                _ => {}
            }
            changed |= self.timeline.apply(at_ns, &fact);
            if let TakeEvent::TrackUnpublished { .. } | TakeEvent::ParticipantLeft { .. } = &fact {
                self.forget_tracks(at_ns, &fact);
            }
            let parted = self.timeline.parted();
            self.let_go(at_ns, parted);
        }
        while let Some((_, track, why)) =
            self.unreadable.get(self.unreadable_seen).filter(|(at_ns, ..)| *at_ns <= to_ns)
        {
            changed |= self.timeline.left_out(track, *why);
            self.unreadable_seen += 1;
        }
        if self.timeline.advance(to_ns) || changed {
            self.scene = self.timeline.scene();
            let parted = self.timeline.parted();
            self.let_go(to_ns, parted);
        }
    }

    /// What comes back of a track is not the picture from before.
    fn forget_picture(&mut self, id: &TrackId) {
        if let Some(track) = self.tracks.get_mut(id) {
            track.picture = None;
        }
        if let Some(replay) = &mut self.replay {
            replay.muted(id);
        }
    }

    fn forget_tracks(&mut self, at_ns: u64, fact: &TakeEvent) {
        let gone: Vec<TrackId> = match fact {
            TakeEvent::TrackUnpublished { track } => vec![track.clone()],
            _ => self.tracks.keys().filter(|track| self.timeline.forgot(track)).cloned().collect(),
        };
        self.let_go(at_ns, gone);
    }

    fn let_go(&mut self, at_ns: u64, gone: Vec<TrackId>) {
        for id in gone {
            match self.tracks.get_mut(&id) {
                Some(track) if track.voice.is_some() => track.leaving = true,
                track => {
                    if let Some(track) = track {
                        track.end(self.reporter.report(&id));
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
            track.end(self.reporter.report(&id));
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
        let (consents, suspended) = (self.reporter.consents(), self.reporter.suspended());
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
            consents,
            suspended,
        };
        // From here on the file may become a finished one at any moment: whoever finds it such needs to know no more than this.
        if let Some(keeper) = &mut keeper {
            keeper.done(&composed);
        }
        composed.size_bytes = self.output.finish(duration_ns)?;
        Ok(composed)
    }
}
