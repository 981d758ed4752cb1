//! Keeps a continuous sound at its place although its sender's clock runs a little fast or slow. Pure.
//!
//! Every sound goes through a resampler whose ratio follows the distance between where the sound is and where the take's clock
//! wants it: 100 ppm of drift are held to a fraction of a millisecond, without a seam and without an audible change of pitch.
//! Positions are sample numbers at 48 kHz since the take began.

use rubato::{
    Adjustable, Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, audioadapter_buffers::direct::InterleavedSlice,
};

use crate::error::ComposeError;

const STEREO: usize = 2;
/// Frames that are resampled together: 10 ms, of which every usual Opus packet is a multiple.
const BLOCK_FRAMES: usize = 480;
/// The ratio stays within this of 1: a sixth of a semitone.
const MAX_BEND: f64 = 0.01;
/// Part of a new distance that enters the smoothed one: about a second for packets of 20 ms.
const SMOOTHING: f64 = 0.02;
/// Frames in which a distance shall be made up for: two seconds.
const CATCH_UP_FRAMES: f64 = 96_000.0;
/// Sound further from its place than this was cut; bending it there would take minutes.
const CUT_FRAMES: f64 = 9_600.0;

/// A piece of sound at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Position of its first frame; before zero for the filter's lead-in.
    pub position: i64,
    /// Interleaved stereo.
    pub samples: Vec<f32>,
}

/// Paces one sound.
pub struct Pacer {
    resampler: Async<f32>,
    /// Frames not resampled yet, interleaved.
    waiting: Vec<f32>,
    /// Position of the next resampled frame.
    next: i64,
    /// Smoothed distance to the wanted place, frames; positive: the sound is early.
    distance: f64,
    /// Something was pushed since the last restart.
    used: bool,
}

impl Pacer {
    /// A pacer that was given nothing yet: [`Pacer::restart`] it first.
    pub fn new() -> Result<Self, ComposeError> {
        let parameters = SincInterpolationParameters {
            sinc_len: 64,
            f_cutoff: None,
            oversampling_factor: 128,
            interpolation: SincInterpolationType::Linear,
            window: WindowFunction::BlackmanHarris2,
        };
        let resampler =
            Async::new_sinc(1.0, 1.0 + 2.0 * MAX_BEND, &parameters, BLOCK_FRAMES, STEREO, FixedAsync::Input)
                .map_err(|error| ComposeError::element("resampler", error))?;
        Ok(Self { resampler, waiting: Vec::new(), next: 0, distance: 0.0, used: false })
    }

    /// Where the next frame pushed will be heard.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.next + self.delay() + (self.waiting.len() / STEREO) as i64
    }

    fn delay(&self) -> i64 {
        self.resampler.output_delay() as i64
    }

    /// Ends the sound so far, whose last frames come back, and begins a new one at `position`.
    pub fn restart(&mut self, position: i64) -> Vec<Piece> {
        let tail = if self.used { self.drain() } else { Vec::new() };
        self.resampler.reset();
        self.waiting.clear();
        self.used = false;
        self.next = position - self.delay();
        self.distance = 0.0;
        tail
    }

    fn drain(&mut self) -> Vec<Piece> {
        let end = self.position();
        // Two blocks of silence are more than the filter holds back.
        let mut tail = self.push(&[0.0; BLOCK_FRAMES * 2 * STEREO]);
        for piece in &mut tail {
            let keep = usize::try_from(end - piece.position).unwrap_or(0) * STEREO;
            piece.samples.truncate(keep);
        }
        tail.retain(|piece| !piece.samples.is_empty());
        tail
    }

    /// Says where the next frame ought to be heard. `false`: it is too far away, [`Pacer::restart`] there.
    pub fn follow(&mut self, wanted: i64) -> bool {
        let off = (wanted - self.position()) as f64;
        if off.abs() > CUT_FRAMES {
            return false;
        }
        self.distance += (off - self.distance) * SMOOTHING;
        let bend = (self.distance / CATCH_UP_FRAMES).clamp(-MAX_BEND, MAX_BEND);
        self.resampler
            .set_resample_ratio_relative(1.0 + bend, true)
            .expect("the ratio is kept inside the bounds the resampler was made with");
        true
    }

    /// Takes the next frames (interleaved); gives back those that are ready.
    pub fn push(&mut self, samples: &[f32]) -> Vec<Piece> {
        self.used = true;
        self.waiting.extend_from_slice(samples);
        let mut pieces = Vec::new();
        let block = BLOCK_FRAMES * STEREO;
        while self.waiting.len() >= block {
            let input = InterleavedSlice::new(&self.waiting[..block], STEREO, BLOCK_FRAMES)
                .expect("the slice has that many frames");
            let output =
                self.resampler.process(&input, None).expect("the block has the size the resampler asked for");
            self.waiting.drain(..block);
            let samples = output.take_data();
            let position = self.next;
            self.next += (samples.len() / STEREO) as i64;
            pieces.push(Piece { position, samples });
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tone(from: usize, frames: usize) -> Vec<f32> {
        (from..from + frames).flat_map(|i| [0.5 * (i as f32 * 0.0576).sin(); 2]).collect()
    }

    #[test]
    fn an_exact_clock_leaves_sound_as_it_is() {
        let mut pacer = Pacer::new().unwrap();
        assert!(pacer.restart(1000).is_empty());
        let mut heard = Vec::new();
        for block in 0..50 {
            assert!(pacer.follow(1000 + block * 960));
            heard.extend(pacer.push(&tone(block as usize * 960, 960)));
        }
        heard.extend(pacer.restart(0));
        assert_eq!(heard[0].position, 1000 - pacer.delay());
        let all: Vec<f32> = heard.iter().flat_map(|piece| piece.samples.clone()).collect();
        let lead = pacer.delay() as usize * STEREO;
        // The filter rounds: a frame or two, 40 microseconds.
        assert!(((all.len() - lead) / STEREO).abs_diff(50 * 960) <= 3);
        let worst = all[lead..].iter().zip(tone(0, 48_000)).skip(200).map(|(a, b)| (a - b).abs());
        let worst = worst.take(90_000).fold(0f32, f32::max);
        // The tone changes by 0.029 from one frame to the next.
        assert!(worst < 0.06, "{worst}");
    }

    #[test]
    fn drift_is_held_below_a_millisecond_without_a_seam() {
        for ppm in [-200.0, 100.0, 400.0] {
            let mut pacer = Pacer::new().unwrap();
            pacer.restart(0);
            let mut last: Option<(i64, f32)> = None;
            for block in 0..3000i64 {
                let wanted = (block as f64 * 960.0 * (1.0 + ppm / 1e6)).round() as i64;
                assert!(pacer.follow(wanted));
                if block > 500 {
                    assert!(
                        (wanted - pacer.position()).abs() < 48,
                        "{ppm} ppm: {}",
                        wanted - pacer.position()
                    );
                }
                for piece in pacer.push(&tone(block as usize * 960, 960)) {
                    for (at, frame) in (piece.position..).zip(piece.samples.chunks(2)) {
                        if let Some((before, sample)) = last {
                            assert_eq!(at, before + 1);
                            assert!((frame[0] - sample).abs() < 0.04, "a click at {at}");
                        }
                        last = Some((at, frame[0]));
                    }
                }
            }
        }
    }

    #[test]
    fn a_cut_is_not_bent() {
        let mut pacer = Pacer::new().unwrap();
        pacer.restart(0);
        pacer.push(&tone(0, 960));
        assert!(!pacer.follow(48_000));
    }
}
