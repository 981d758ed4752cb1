//! Writes a growing file, fragment by fragment.

use std::{fs::File, io, num::NonZeroU64, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use mp4_atom::{Encode, Free, Header, Moof, Zeroed};
use rustix::fs::{Advice, fadvise};

use crate::{
    boxes::{self, MovieSpec},
    growing::Growing,
    index::Tables,
};

/// The media begin here: what is free before them takes the index of 45 seconds, and lets a longer one's place be made.
pub(crate) const FRONT_BYTES: u64 = 16 << 10;
/// Fragments that begin before this have a hook: where nothing can be inserted into a file, its index ends at one of them. It is
/// enough for the index of two days.
const HOOKED_BYTES: u64 = 64 << 20;
/// The system need know so much of the file's end by heart, or twice as much.
const KNOWN_BYTES: u64 = 64 << 20;
/// A `free` box as large as its header and that of a media box.
pub(crate) const HOOK_BYTES: u64 = 24;

#[derive(Debug, Default)]
struct Pending {
    data: Vec<u8>,
    sizes: Vec<u32>,
    keyframes: Vec<bool>,
}

impl Pending {
    fn push(&mut self, sample: &[u8], keyframe: bool) {
        self.data.extend_from_slice(sample);
        self.sizes.push(u32::try_from(sample.len()).expect("an encoded picture is far below 4 GB"));
        self.keyframes.push(keyframe);
    }

    /// Cuts off the first `count` samples.
    fn take(&mut self, count: usize) -> Self {
        let count = count.min(self.sizes.len());
        let bytes: usize = self.sizes[..count].iter().map(|size| *size as usize).sum();
        Self {
            data: self.data.drain(..bytes).collect(),
            sizes: self.sizes.drain(..count).collect(),
            keyframes: self.keyframes.drain(..count).collect(),
        }
    }
}

/// Writes one MP4 file.
#[derive(Debug)]
pub struct Mp4Writer {
    pub(crate) file: Arc<File>,
    pub(crate) movie: MovieSpec,
    /// Where the `moov` of the growing file stands.
    pub(crate) moov_at: u64,
    /// Behind the last fragment.
    pub(crate) end: u64,
    pub(crate) tables: Tables,
    /// The system was told that nobody reads what stands before this.
    unread_to: u64,
    pending_video: Pending,
    pending_audio: Pending,
}

impl Mp4Writer {
    /// Creates (or empties) the file at `path` and writes what stands before the first fragment.
    ///
    /// # Errors
    /// The file cannot be written, or the specs describe nothing that can be encoded.
    pub fn create(path: &Path, movie: MovieSpec) -> io::Result<Self> {
        let mut head = Vec::new();
        encode(&boxes::ftyp(), &mut head)?;
        let free = FRONT_BYTES - head.len() as u64 - 8;
        encode(&Free { zeroed: Zeroed { size: free as usize } }, &mut head)?;
        let moov_at = head.len() as u64;
        encode(&boxes::fragmented_moov(&movie).map_err(io::Error::other)?, &mut head)?;
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all_at(&head, 0)?;
        Ok(Self {
            file: Arc::new(file),
            movie,
            moov_at,
            end: head.len() as u64,
            tables: Tables::default(),
            unread_to: 0,
            pending_video: Pending::default(),
            pending_audio: Pending::default(),
        })
    }

    /// Goes on with the file at `path` behind its first `seconds` fragments; what stands behind them is cut off. `None`, and nothing is
    /// changed, unless it is a file in the making of just these tracks that has them, and [`Mp4Writer::mark`] was `mark` then.
    ///
    /// # Errors
    /// The file cannot be read or cut.
    pub fn resume(path: &Path, movie: &MovieSpec, seconds: u64, mark: Mark) -> io::Result<Option<Self>> {
        let file = Arc::new(File::options().read(true).write(true).open(path)?);
        let Some(growing) = Growing::read(Arc::clone(&file))? else { return Ok(None) };
        let fragments = usize::try_from(seconds).unwrap_or(usize::MAX);
        if growing.movie != *movie || growing.fragments() < fragments || fragments == 0 {
            return Ok(None);
        }
        let mut tables = growing.tables.first(fragments);
        let last = tables.pieces.last_mut().expect("it has at least one");
        let mut bytes = vec![0; usize::try_from(last.to - last.from).unwrap_or(0)];
        file.read_exact_at(&mut bytes, last.from)?;
        last.checksum = crc32fast::hash(&bytes);
        if mark != (Mark { bytes: last.to - growing.moov.at, tail: last.checksum }) {
            return Ok(None);
        }
        let end = last.to;
        file.set_len(end)?;
        Ok(Some(Self {
            file,
            movie: growing.movie,
            moov_at: growing.moov.at,
            end,
            tables,
            unread_to: 0,
            pending_video: Pending::default(),
            pending_audio: Pending::default(),
        }))
    }

    /// Adds the next picture (AVCC); writes a fragment when a second is full.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push_video(&mut self, sample: &[u8], keyframe: bool) -> io::Result<()> {
        self.pending_video.push(sample, keyframe);
        self.write_due()
    }

    /// Adds the next AAC frame; writes a fragment when a second is full.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn push_audio(&mut self, sample: &[u8]) -> io::Result<()> {
        self.pending_audio.push(sample, true);
        self.write_due()
    }

    /// How many fragments of a second the file has.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.tables.pieces.len() as u64
    }

    /// How many AAC frames are in the file when it has `seconds` fragments.
    #[must_use]
    pub fn sounds_in(audio: &boxes::AudioSpec, seconds: u64) -> u64 {
        let samples = seconds * u64::from(audio.sample_rate_hz) + u64::from(audio.priming_samples);
        samples.div_ceil(u64::from(audio.samples_per_frame))
    }

    /// The file's tracks.
    #[must_use]
    pub fn movie(&self) -> &MovieSpec {
        &self.movie
    }

    /// What the file's first `seconds` fragments are known by, for [`Mp4Writer::resume`]. All that was written before is on disk. `None`
    /// if there are not so many, or they were there before this writer came.
    ///
    /// # Errors
    /// The disk.
    pub fn mark(&mut self, seconds: u64) -> io::Result<Option<Mark>> {
        let index = usize::try_from(seconds).ok().and_then(|seconds| seconds.checked_sub(1));
        let piece = index.and_then(|index| self.tables.pieces.get(index));
        let Some(piece) = piece.filter(|piece| piece.checksum != 0) else { return Ok(None) };
        let mark = Mark { bytes: piece.to - self.moov_at, tail: piece.checksum };
        self.file.sync_data()?;
        // Whoever makes room in front has the system forget what it knows of the file by heart, which takes a second for a gigabyte.
        let unread_to = self.end.saturating_sub(KNOWN_BYTES);
        if let Some(bytes) = NonZeroU64::new(unread_to.saturating_sub(self.unread_to))
            && bytes.get() > KNOWN_BYTES
        {
            // Not being listened to costs time, and nothing else.
            let _ = fadvise(&self.file, self.unread_to, Some(bytes), Advice::DontNeed);
            self.unread_to = unread_to;
        }
        Ok(Some(mark))
    }

    /// Writes fragment number n once all samples of second n are there: counted in samples, so that the file does not depend on
    /// how many pictures the encoder keeps back.
    fn write_due(&mut self) -> io::Result<()> {
        let second = self.seconds() + 1;
        let video =
            self.movie.video.as_ref().map(|video| {
                second * u64::from(video.frames_per_second) - self.tables.video.sizes.len() as u64
            });
        let audio = self
            .movie
            .audio
            .as_ref()
            .map(|audio| Self::sounds_in(audio, second) - self.tables.audio.sizes.len() as u64);
        let lacks =
            |wanted: Option<u64>, pending: &Pending| wanted.is_some_and(|n| (pending.sizes.len() as u64) < n);
        let nothing = video.is_none() && audio.is_none();
        if nothing || lacks(video, &self.pending_video) || lacks(audio, &self.pending_audio) {
            return Ok(());
        }
        self.write_fragment(video.unwrap_or(0) as usize, audio.unwrap_or(0) as usize)
    }

    pub(crate) fn write_fragment(&mut self, pictures: usize, sounds: usize) -> io::Result<()> {
        let video = self.pending_video.take(pictures);
        let audio = self.pending_audio.take(sounds);
        if video.sizes.is_empty() && audio.sizes.is_empty() {
            return Ok(());
        }
        let runs = boxes::Runs {
            sequence: self.tables.pieces.len() as u32 + 1,
            first_picture: self.tables.video.sizes.len() as u64,
            first_sound: self.tables.audio.sizes.len() as u64,
            pictures: &video.sizes,
            keyframes: &video.keyframes,
            sounds: &audio.sizes,
        };
        let mut bytes = Vec::new();
        let has_hook = self.end < HOOKED_BYTES;
        if has_hook {
            encode(&Free { zeroed: Zeroed { size: HOOK_BYTES as usize - 8 } }, &mut bytes)?;
        }
        let moof_at = bytes.len();
        // The boxes' size does not depend on the offsets in them.
        encode(&boxes::moof(&self.movie, &runs, 0, 0), &mut bytes)?;
        let media = video.data.len() + audio.data.len();
        let video_at = bytes.len() - moof_at + 8;
        let audio_at = video_at + video.data.len();
        bytes.truncate(moof_at);
        let moof: Moof = boxes::moof(&self.movie, &runs, video_at as i32, audio_at as i32);
        encode(&moof, &mut bytes)?;
        encode(&Header { kind: b"mdat".into(), size: Some(media) }, &mut bytes)?;
        bytes.extend_from_slice(&video.data);
        bytes.extend_from_slice(&audio.data);
        self.file.write_all_at(&bytes, self.end)?;

        let moof_at = self.end + moof_at as u64;
        for (pending, index, at) in
            [(&video, &mut self.tables.video, video_at), (&audio, &mut self.tables.audio, audio_at)]
        {
            let samples = pending.sizes.iter().copied().zip(pending.keyframes.iter().copied());
            index.push_chunk(moof_at + at as u64, samples);
        }
        let to = self.end + bytes.len() as u64;
        self.tables.close(self.end, to, has_hook, crc32fast::hash(&bytes));
        self.end = to;
        Ok(())
    }
}

/// What a growing file is known by, so that nobody goes on with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// From its `moov` to its end.
    pub bytes: u64,
    /// Checksum of its last fragment.
    pub tail: u32,
}

pub(crate) fn encode(value: &impl Encode, to: &mut Vec<u8>) -> io::Result<()> {
    value.encode(to).map_err(io::Error::other)
}
