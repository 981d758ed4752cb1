//! What an index has to know of a track's samples.

use mp4_atom::Moof;

use crate::boxes::{AUDIO_TRACK, VIDEO_TRACK, is_keyframe};

/// Of one track.
#[derive(Debug, Default, Clone)]
pub(crate) struct Index {
    pub(crate) sizes: Vec<u32>,
    /// Numbers of keyframes, counted from 1.
    pub(crate) keyframes: Vec<u32>,
    /// Offset and number of samples of each chunk; a chunk is a track's part of a fragment.
    pub(crate) chunks: Vec<(u64, u32)>,
}

impl Index {
    pub(crate) fn push_chunk(&mut self, at: u64, samples: impl Iterator<Item = (u32, bool)>) {
        let before = self.sizes.len();
        for (size, keyframe) in samples {
            self.sizes.push(size);
            if keyframe {
                self.keyframes.push(self.sizes.len() as u32);
            }
        }
        let count = self.sizes.len() - before;
        if count > 0 {
            self.chunks.push((at, count as u32));
        }
    }

    /// The first `chunks` chunks.
    fn first(&self, chunks: usize) -> Self {
        let chunks = self.chunks[..chunks].to_vec();
        let samples: u64 = chunks.iter().map(|(_, count)| u64::from(*count)).sum();
        let keyframes = self.keyframes.partition_point(|number| u64::from(*number) <= samples);
        Self {
            sizes: self.sizes[..samples as usize].to_vec(),
            keyframes: self.keyframes[..keyframes].to_vec(),
            chunks,
        }
    }
}

/// Where a fragment stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// Its first byte: of the `free` box before it, if it has one.
    pub(crate) from: u64,
    /// The byte behind it.
    pub(crate) to: u64,
    /// Whether a `free` box stands before it.
    pub(crate) has_hook: bool,
    /// Of its bytes, or 0 where it is not known.
    pub(crate) checksum: u32,
    /// Chunks of both tracks in this fragment and all before it.
    chunks: [u32; 2],
}

/// Of all tracks, and of the fragments they stand in.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tables {
    pub(crate) video: Index,
    pub(crate) audio: Index,
    pub(crate) pieces: Vec<Piece>,
}

impl Tables {
    /// Adds the fragment whose boxes are `moof`, at `moof_at`. `false` for one that is none of ours.
    pub(crate) fn add(&mut self, moof: &Moof, from: u64, moof_at: u64, to: u64) -> bool {
        for traf in &moof.traf {
            let index = match traf.tfhd.track_id {
                VIDEO_TRACK => &mut self.video,
                AUDIO_TRACK => &mut self.audio,
                _ => return false,
            };
            let all_alone = traf.tfhd.default_sample_flags.is_some_and(is_keyframe);
            for run in &traf.trun {
                let Some(offset) = run.data_offset.and_then(|offset| u64::try_from(offset).ok()) else {
                    return false;
                };
                if run.samples.iter().any(|sample| sample.size.is_none()) {
                    return false;
                }
                let samples = run.samples.iter().map(|sample| {
                    (sample.size.unwrap_or_default(), sample.flags.map_or(all_alone, is_keyframe))
                });
                index.push_chunk(moof_at + offset, samples);
            }
        }
        self.close(from, to, moof_at > from, 0);
        true
    }

    /// The chunks added since the last one make a fragment.
    pub(crate) fn close(&mut self, from: u64, to: u64, has_hook: bool, checksum: u32) {
        let chunks = [self.video.chunks.len() as u32, self.audio.chunks.len() as u32];
        self.pieces.push(Piece { from, to, has_hook, checksum, chunks });
    }

    /// Only the first `count` fragments.
    pub(crate) fn first(&self, count: usize) -> Self {
        let pieces = self.pieces[..count.min(self.pieces.len())].to_vec();
        let [video, audio] = pieces.last().map_or([0, 0], |last| last.chunks);
        Self { video: self.video.first(video as usize), audio: self.audio.first(audio as usize), pieces }
    }

    /// Moves all that stands at `from` or behind it.
    pub(crate) fn shift(&mut self, from: u64, by: impl Fn(u64) -> u64) {
        for (at, _) in self.video.chunks.iter_mut().chain(&mut self.audio.chunks) {
            if *at >= from {
                *at = by(*at);
            }
        }
    }
}
