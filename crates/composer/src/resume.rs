//! Going on with a file whose composer died: what is kept beside it, and how the take is gone through again up to its end.
//!
//! ```text
//!   composer ── every 5 s: what it knows at this second ──► waits until that second is in the file ──► journal
//!
//!   file        ├──────────── composed ────────────┤ cut     the next composer
//!   take        facts, clocks: all read again        ► goes on: same pictures and sound, new encoders
//!   pictures            keyframe ── decoded ───────┤          (from the last keyframe of each track)
//!   sound                     20 s ── decoded, mixed, encoded and left out ─┤
//! ```
//!
//! What was counted is kept, and not counted again. The encoder of sound begins 20 s earlier, at the same frame boundaries, and what the
//! file has already is left out of what it gives: its first frame in the file overlaps the one before it as if one encoder had made both.
//! Invariant: nothing is kept of a second that is not in the file and on disk.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::Path,
};

use reelroom_mp4::{Journal, Mark};
use reelroom_take::{Codec, LeftOutWhy, SegmentId, SegmentOpened, TakeHeader, TrackId, TrackKind};
use serde::{Deserialize, Serialize};

use crate::{
    compose::{ComposeOptions, Composed},
    encode::Fingerprint,
    error::ComposeError,
    output::Output,
    report::Reporter,
    skip::SkipState,
    source::Due,
};

/// What this program keeps, and how it composes: others compose anew.
const FORMAT: u32 = 1;
/// Pictures whose turn may still come need no more memory than this for each track; beyond it they are decoded at once.
const WAITING_BYTES: usize = 48 << 20;

/// Keeps what is needed to go on.
#[derive(Debug)]
pub struct Keeper {
    journal: Journal,
    newest: Option<Vec<u8>>,
    kept: Kept,
    /// Of seconds that are not in the file yet.
    noted: VecDeque<Part>,
}

/// What is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Of which take, composed how, by which program.
    of: Identity,
    /// Whole seconds of the file that stay as they are: a supervisor reads this too.
    seconds: u64,
    pub(crate) part: Option<Box<Part>>,
    /// The file is finished, or about to be: its size is not known yet.
    pub(crate) done: Option<Composed>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    format: u32,
    program: String,
    take: String,
    started_unix_ns: u64,
    options: String,
}

/// What a composer knows at the end of a second.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) seconds: u64,
    /// What the file is known by: bytes, checksum of the last second.
    pub(crate) file: Option<(u64, u32)>,
    pub(crate) pictures: Option<Fingerprint>,
    pub(crate) sound: Fingerprint,
    pub(crate) reporter: Reporter,
    pub(crate) skips: Vec<SkipState>,
    /// Frames that were due of each track.
    pub(crate) due: BTreeMap<TrackId, u64>,
    /// Tracks that no decoder can read, from a moment on, or can read again.
    pub(crate) unreadable: Vec<(u64, TrackId, Option<LeftOutWhy>)>,
}

impl Part {
    pub(crate) fn mark(&self) -> Option<Mark> {
        self.file.map(|(bytes, tail)| Mark { bytes, tail })
    }
}

impl Keeper {
    /// Opens the file in which it is kept, making it where it is missing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let (journal, newest) = Journal::open(path)?;
        Ok(Self { journal, newest, kept: Kept::default(), noted: VecDeque::new() })
    }

    /// Of this take, composed so. What was kept of another one is not found.
    pub(crate) fn of(mut self, take: &TakeHeader, options: &ComposeOptions) -> Self {
        let ComposeOptions { layout, preset, audio_only, follow: _, skips: _ } = options;
        let of = Identity {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            take: take.egress_id.clone(),
            started_unix_ns: take.started_unix_ns,
            options: format!("{preset:?} {layout:?} {audio_only}"),
        };
        let newest = self.newest.take().and_then(|newest| serde_json::from_slice::<Kept>(&newest).ok());
        self.kept = newest.filter(|kept| kept.of == of).unwrap_or(Kept { of, ..Kept::default() });
        self
    }

    /// What was kept.
    pub(crate) fn found(&self) -> Option<Kept> {
        (self.kept.part.is_some() || self.kept.done.is_some()).then(|| self.kept.clone())
    }

    /// The file is begun anew.
    pub(crate) fn forget(&mut self) {
        self.kept = Kept { of: std::mem::take(&mut self.kept.of), ..Kept::default() };
        if let Err(error) = self.journal.clear() {
            tracing::warn!(%error, "what was kept of a former file cannot be deleted");
        }
    }

    /// To be kept when the file has come so far.
    pub(crate) fn note(&mut self, part: Part) {
        self.noted.push_back(part);
    }

    /// Keeps the newest of what the file has by now.
    pub(crate) fn keep_written(&mut self, output: &mut Output) -> Result<(), ComposeError> {
        let written = output.seconds();
        let mut newest = None;
        while self.noted.front().is_some_and(|part| part.seconds <= written) {
            newest = self.noted.pop_front();
        }
        let Some(mut part) = newest else { return Ok(()) };
        let Some(mark) = output.mark(part.seconds)? else { return Ok(()) };
        part.file = Some((mark.bytes, mark.tail));
        self.kept.seconds = part.seconds;
        self.kept.part = Some(Box::new(part));
        self.write();
        Ok(())
    }

    /// The file is about to be finished.
    pub(crate) fn done(&mut self, composed: &Composed) {
        self.kept.done = Some(composed.clone());
        self.write();
    }

    /// A disk that does not take it, or a record that is too large, costs time after a death, and nothing else.
    fn write(&mut self) {
        let record = serde_json::to_vec(&self.kept).expect("all of it has string keys and finite numbers");
        if let Err(error) = self.journal.keep(&record) {
            tracing::debug!(%error, "what is needed to go on cannot be kept");
        }
    }
}

/// Goes through a take again.
#[derive(Default)]
pub(crate) struct Replay {
    /// Number of the output picture from which on sound is heard.
    warm: u64,
    tracks: BTreeMap<TrackId, Waiting>,
}

/// What is to be done for a track, now or at the end.
pub(crate) enum Replayed {
    /// Its decoder gets a frame.
    Frame { opened: Box<SegmentOpened>, frame: Due, number: u64, due: u64 },
    /// Its decoder is not needed any more.
    Closed,
    /// What it showed so far is not shown again.
    Muted,
}

/// Pictures of a track since its last keyframe.
#[derive(Default)]
struct Waiting {
    segment: Option<SegmentId>,
    /// Those since the keyframe before: one that is decoded before its time does not hide them yet.
    before: Vec<Replayed>,
    units: Vec<Replayed>,
    /// When that keyframe belongs.
    keyframe_ns: u64,
    bytes: usize,
    /// There were too many: they are decoded as they come.
    is_decoded: bool,
}

impl Replay {
    /// Sound is heard from output picture `warm` on.
    pub(crate) fn hearing_from(warm: u64) -> Self {
        Self { warm, tracks: BTreeMap::new() }
    }

    /// Frame number `number` of a track, due with output picture `due`; gives back what has to be done at once.
    pub(crate) fn frame(
        &mut self,
        track: &TrackId,
        opened: &SegmentOpened,
        frame: Due,
        number: u64,
        due: u64,
    ) -> Vec<Replayed> {
        let (keyframe, bytes, keyframe_ns) =
            (frame.frame.keyframe, frame.frame.data.len(), frame.moment.at_ns);
        let is_anew = keyframe && (opened.codec != Codec::H264 || is_idr(&frame.frame.data));
        let unit = Replayed::Frame { opened: Box::new(opened.clone()), frame, number, due };
        if opened.codec.kind() == TrackKind::Audio {
            return if due < self.warm { Vec::new() } else { vec![unit] };
        }
        let waiting = self.tracks.entry(track.clone()).or_default();
        let mut now = Vec::new();
        if is_anew || waiting.segment != Some(opened.segment) {
            if waiting.is_decoded {
                now.push(Replayed::Closed);
            }
            let before = std::mem::take(&mut waiting.units);
            *waiting = Waiting { segment: Some(opened.segment), before, keyframe_ns, ..Waiting::default() };
        }
        if waiting.is_decoded {
            now.push(unit);
            return now;
        }
        if waiting.units.is_empty() && !keyframe {
            // Nothing that it is predicted from is known: its decoder waits for a keyframe.
            return now;
        }
        waiting.bytes += bytes;
        waiting.units.push(unit);
        if waiting.bytes > WAITING_BYTES {
            waiting.is_decoded = true;
            now.append(&mut waiting.before);
            now.append(&mut waiting.units);
        }
        now
    }

    /// A frame of a track is left out: what was shown stays, what comes next waits for a keyframe.
    pub(crate) fn skip(&mut self, track: &TrackId) {
        if let Some(waiting) = self.tracks.get_mut(track).filter(|waiting| !waiting.is_decoded)
            && !matches!(waiting.units.last(), None | Some(Replayed::Closed))
        {
            waiting.units.push(Replayed::Closed);
        }
    }

    pub(crate) fn muted(&mut self, track: &TrackId) {
        if let Some(waiting) = self.tracks.get_mut(track).filter(|waiting| !waiting.is_decoded) {
            waiting.units.push(Replayed::Muted);
        }
    }

    pub(crate) fn forget(&mut self, track: &TrackId) {
        self.tracks.remove(track);
    }

    /// What was put off and is needed for what is shown at `to_ns`, and behind it.
    pub(crate) fn finish(self, to_ns: u64) -> impl Iterator<Item = (TrackId, Replayed)> {
        self.tracks.into_iter().flat_map(move |(id, waiting)| {
            let hides = waiting.keyframe_ns <= to_ns;
            let before = waiting.before.into_iter().filter(move |_| !hides);
            before.chain(waiting.units).map(move |unit| (id.clone(), unit))
        })
    }
}

/// Whether an access unit of H.264 (AVCC, with lengths of four bytes) needs nothing before it. A keyframe may also be a point from which
/// pictures become right: a decoder that begins there shows them later than one that knows what was before.
fn is_idr(mut data: &[u8]) -> bool {
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        if rest.first().is_some_and(|header| header & 0x1f == 5) {
            return true;
        }
        data = rest.get(u32::from_be_bytes(*length) as usize..).unwrap_or_default();
    }
    false
}
