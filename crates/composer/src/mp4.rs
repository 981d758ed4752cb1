//! The MP4 file: fragments while it grows, an ordinary MP4 with its index in front once finished.
//!
//! ```text
//!  growing    ftyp | free (reserve)                    | moov(mvex) | moof mdat | moof mdat | ...
//!  finished   ftyp | moov (index) | free | mdat header │ moov(mvex) | moof mdat | moof mdat | ...
//!                                          └────────── one mdat, swallows the rest ──────────
//! ```
//!
//! Each fragment is one `write` at the end of the file and nothing before it is touched, so a file whose writer was killed is a
//! fragmented MP4 that lacks its last fragment. [`Mp4Writer::finish`] writes the index *inside* the `free` box, syncs, and then
//! flips the 8 bytes of the `free` box's header: before the flip the file is the fragmented one, after it the ordinary one.
//! An index larger than the reserve goes to the file's end, and the flip shortens the `free` box instead.
//!
//! Invariants: samples of a track follow each other without holes; equal samples give equal bytes (no creation times).
//! Sound begins `priming` samples before the picture, which an edit list cuts off.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use mp4_atom::{Encode, Free, Ftyp, Header, Moof, Zeroed};

mod boxes;

pub use boxes::{AudioSpec, MovieSpec, VideoSpec};

/// Bytes kept free at the front for the index: enough for about 48 minutes of picture and sound.
pub const INDEX_RESERVE_BYTES: u64 = 1 << 20;

/// Size of the 64-bit `mdat` header that ends the reserve.
const LARGE_HEADER_BYTES: u64 = 16;

/// What the index must know of a track's samples.
#[derive(Debug, Default)]
pub(crate) struct Index {
    sizes: Vec<u32>,
    /// Numbers of keyframes, counted from 1.
    keyframes: Vec<u32>,
    /// Offset and number of samples of each chunk; a chunk is a track's part of a fragment.
    chunks: Vec<(u64, u32)>,
}

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
    file: File,
    movie: MovieSpec,
    /// Where the `free` box begins.
    reserve_at: u64,
    reserve_bytes: u64,
    /// Length of the file.
    end: u64,
    fragments: u32,
    video: Index,
    audio: Index,
    pending_video: Pending,
    pending_audio: Pending,
}

impl Mp4Writer {
    /// Creates (or empties) the file at `path` and writes what stands before the first fragment.
    pub fn create(path: &Path, movie: MovieSpec, reserve_bytes: u64) -> io::Result<Self> {
        let reserve_bytes = reserve_bytes.max(64);
        let mut head = Vec::new();
        let ftyp = Ftyp {
            major_brand: b"isom".into(),
            minor_version: 512,
            compatible_brands: vec![b"isom".into(), b"iso6".into(), b"mp41".into(), b"mp42".into()],
        };
        encode(&ftyp, &mut head)?;
        let reserve_at = head.len() as u64;
        encode(&Free { zeroed: Zeroed { size: (reserve_bytes - 8) as usize } }, &mut head)?;
        encode(&boxes::fragmented_moov(&movie).map_err(io::Error::other)?, &mut head)?;
        let mut file = File::options().write(true).create(true).truncate(true).open(path)?;
        file.write_all(&head)?;
        Ok(Self {
            file,
            movie,
            reserve_at,
            reserve_bytes,
            end: head.len() as u64,
            fragments: 0,
            video: Index::default(),
            audio: Index::default(),
            pending_video: Pending::default(),
            pending_audio: Pending::default(),
        })
    }

    /// Adds the next picture (AVCC); writes a fragment when a second is full.
    pub fn push_video(&mut self, sample: &[u8], keyframe: bool) -> io::Result<()> {
        self.pending_video.push(sample, keyframe);
        self.write_due()
    }

    /// Adds the next AAC frame; writes a fragment when a second is full.
    pub fn push_audio(&mut self, sample: &[u8]) -> io::Result<()> {
        self.pending_audio.push(sample, true);
        self.write_due()
    }

    /// How long the fragments in the file are, nanoseconds.
    #[must_use]
    pub fn written_ns(&self) -> u64 {
        u64::from(self.fragments) * 1_000_000_000
    }

    /// Writes fragment number n once all samples of second n are there: counted in samples, so that the file does not depend on
    /// how many pictures the encoder keeps back.
    fn write_due(&mut self) -> io::Result<()> {
        loop {
            let second = u64::from(self.fragments) + 1;
            let video = self
                .movie
                .video
                .as_ref()
                .map(|video| second * u64::from(video.frames_per_second) - self.video.sizes.len() as u64);
            let audio = self.movie.audio.as_ref().map(|audio| {
                let samples = second * u64::from(audio.sample_rate_hz) + u64::from(audio.priming_samples);
                samples.div_ceil(u64::from(audio.samples_per_frame)) - self.audio.sizes.len() as u64
            });
            let lacks = |wanted: Option<u64>, pending: &Pending| {
                wanted.is_some_and(|n| (pending.sizes.len() as u64) < n)
            };
            let nothing = video.is_none() && audio.is_none();
            if nothing || lacks(video, &self.pending_video) || lacks(audio, &self.pending_audio) {
                return Ok(());
            }
            self.write_fragment(video.unwrap_or(0) as usize, audio.unwrap_or(0) as usize)?;
        }
    }

    fn write_fragment(&mut self, pictures: usize, sounds: usize) -> io::Result<()> {
        let video = self.pending_video.take(pictures);
        let audio = self.pending_audio.take(sounds);
        if video.sizes.is_empty() && audio.sizes.is_empty() {
            return Ok(());
        }
        self.fragments += 1;
        let runs = boxes::Runs {
            sequence: self.fragments,
            first_picture: self.video.sizes.len() as u64,
            first_sound: self.audio.sizes.len() as u64,
            pictures: &video.sizes,
            keyframes: &video.keyframes,
            sounds: &audio.sizes,
        };
        // The boxes' size does not depend on the offsets in them.
        let mut bytes = Vec::new();
        encode(&boxes::moof(&self.movie, &runs, 0, 0), &mut bytes)?;
        let media = video.data.len() + audio.data.len();
        let video_at = bytes.len() + 8;
        let audio_at = video_at + video.data.len();
        bytes.clear();
        let moof: Moof = boxes::moof(&self.movie, &runs, video_at as i32, audio_at as i32);
        encode(&moof, &mut bytes)?;
        encode(&Header { kind: b"mdat".into(), size: Some(media) }, &mut bytes)?;
        bytes.extend_from_slice(&video.data);
        bytes.extend_from_slice(&audio.data);
        self.file.write_all(&bytes)?;

        for (pending, index, at) in [(&video, &mut self.video, video_at), (&audio, &mut self.audio, audio_at)]
        {
            if pending.sizes.is_empty() {
                continue;
            }
            index.chunks.push((self.end + at as u64, pending.sizes.len() as u32));
            for (size, keyframe) in pending.sizes.iter().zip(&pending.keyframes) {
                index.sizes.push(*size);
                if *keyframe {
                    index.keyframes.push(index.sizes.len() as u32);
                }
            }
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Writes what is left, turns the file into an ordinary MP4 of exactly `duration_ns`, syncs it; gives back its size in bytes.
    pub fn finish(mut self, duration_ns: u64) -> io::Result<u64> {
        self.write_fragment(usize::MAX, usize::MAX)?;
        let mut index = Vec::new();
        let moov = boxes::indexed_moov(&self.movie, &self.video, &self.audio, duration_ns, self.end);
        encode(&moov.map_err(io::Error::other)?, &mut index)?;
        let (index_bytes, reserve_end) = (index.len() as u64, self.reserve_at + self.reserve_bytes);
        let media_at = reserve_end - LARGE_HEADER_BYTES;
        let filler = (self.reserve_bytes - LARGE_HEADER_BYTES).checked_sub(index_bytes);
        // A filler needs a header of its own, unless there is nothing to fill.
        let in_front = filler.filter(|bytes| *bytes == 0 || *bytes >= 8);

        let flip: [u8; 8] = if let Some(filler) = in_front {
            self.file.write_all_at(&index[8..], self.reserve_at + 8)?;
            if filler > 0 {
                self.file.write_all_at(&header(filler, b"free"), self.reserve_at + index_bytes)?;
            }
            header(index_bytes, b"moov")
        } else {
            self.file.write_all_at(&index, self.end)?;
            header(self.reserve_bytes - LARGE_HEADER_BYTES, b"free")
        };
        let mut media = [0; LARGE_HEADER_BYTES as usize];
        media[..8].copy_from_slice(&header(1, b"mdat"));
        media[8..].copy_from_slice(&(self.end - media_at).to_be_bytes());
        self.file.write_all_at(&media, media_at)?;
        self.file.sync_all()?;
        self.file.write_all_at(&flip, self.reserve_at)?;
        self.file.sync_all()?;
        Ok(self.end + if in_front.is_some() { 0 } else { index_bytes })
    }
}

fn header(size: u64, kind: &[u8; 4]) -> [u8; 8] {
    let size = u32::try_from(size).expect("only the media box is larger than 4 GB, and it has the long form");
    let mut header = [0; 8];
    header[..4].copy_from_slice(&size.to_be_bytes());
    header[4..].copy_from_slice(kind);
    header
}

fn encode(value: &impl Encode, to: &mut Vec<u8>) -> io::Result<()> {
    value.encode(to).map_err(io::Error::other)
}

#[cfg(test)]
mod tests;
