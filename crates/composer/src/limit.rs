//! Keeps the sum of several voices inside full scale without hearing it. Pure.
//!
//! ```text
//!  needed    ─────────┐  ┌──────────      what each frame may be multiplied by
//!                     └──┘
//!  gain      ──────╲_______╱╱╱╱─────      falls in time, evenly; comes back slowly
//!               look-ahead
//! ```
//!
//! The gain is the mean, over the look-ahead, of the least factor needed within it: it never exceeds what a frame needs and has no
//! step. So nothing is clipped, and sound that is quiet enough passes bit by bit. Blocks of any length give the same result.

use std::collections::VecDeque;

/// Peaks are held below this: the encoder overshoots a little.
pub const CEILING: f32 = 0.89;
/// How many frames are held back: 5 ms.
pub const LOOK_AHEAD_FRAMES: usize = 240;
/// Part of the way back to 1 per frame: about half a second.
const RECOVERY: f64 = 1.0 / 24_000.0;
const STEREO: usize = 2;
const WINDOW: usize = LOOK_AHEAD_FRAMES + 1;

/// A limiter for interleaved stereo.
#[derive(Debug, Clone)]
pub struct Limiter {
    /// Frames held back.
    held: VecDeque<[f32; STEREO]>,
    /// Number of the next frame that comes in.
    next: u64,
    /// Least factors of the window, ascending, with the numbers of their frames.
    least: VecDeque<(u64, f32)>,
    /// The least factor, given back slowly.
    released: f64,
    /// The last of those, and their sum.
    recent: VecDeque<f64>,
    sum: f64,
    /// Frames since anything but 1 was needed.
    quiet: usize,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            held: VecDeque::with_capacity(WINDOW),
            next: 0,
            least: VecDeque::new(),
            released: 1.0,
            recent: std::iter::repeat_n(1.0, WINDOW).collect(),
            sum: WINDOW as f64,
            quiet: WINDOW,
        }
    }
}

impl Limiter {
    /// Takes the next frames (interleaved); appends to `out` those of [`LOOK_AHEAD_FRAMES`] before, limited.
    pub fn push(&mut self, block: &[f32], out: &mut Vec<f32>) {
        for frame in block.chunks_exact(STEREO) {
            let frame = [frame[0], frame[1]];
            self.held.push_back(frame);
            let peak = frame[0].abs().max(frame[1].abs());
            let needed = if peak > CEILING { CEILING / peak } else { 1.0 };
            while self.least.back().is_some_and(|(_, least)| *least >= needed) {
                self.least.pop_back();
            }
            self.least.push_back((self.next, needed));
            self.next += 1;
            // Also while nothing comes out yet: the first frame may be a peak.
            let gain = self.gain();
            if self.held.len() == WINDOW
                && let Some(frame) = self.held.pop_front()
            {
                out.extend(frame.map(|sample| sample * gain));
            }
        }
    }

    /// Of the oldest frame held.
    fn gain(&mut self) -> f32 {
        let oldest = self.next.saturating_sub(WINDOW as u64);
        while self.least.front().is_some_and(|(number, _)| *number < oldest) {
            self.least.pop_front();
        }
        let least = self.least.front().map_or(1.0, |(_, least)| f64::from(*least));
        let back = self.released + (1.0 - self.released) * RECOVERY;
        // Close to 1 the way back would never end.
        self.released = least.min(if back > 0.999 { 1.0 } else { back });
        self.quiet = if self.released < 1.0 { 0 } else { self.quiet + 1 };
        let gone = self.recent.pop_front().unwrap_or(1.0);
        self.recent.push_back(self.released);
        self.sum += self.released - gone;
        if self.quiet >= WINDOW {
            // Rounding does not add up.
            self.sum = WINDOW as f64;
            return 1.0;
        }
        (self.sum / WINDOW as f64) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32, frames: usize) -> Vec<f32> {
        (0..frames).flat_map(|i| [amplitude * (i as f32 * 0.1).sin(); 2]).collect()
    }

    fn limited(block: &[f32], part: usize) -> Vec<f32> {
        let (mut limiter, mut out) = (Limiter::default(), Vec::new());
        block.chunks(part * 2).for_each(|block| limiter.push(block, &mut out));
        out
    }

    #[test]
    fn quiet_sound_passes_unchanged() {
        let block = tone(0.8, 4000);
        let out = limited(&block, 1600);
        assert_eq!(out.len(), block.len() - LOOK_AHEAD_FRAMES * 2);
        assert_eq!(out, block[..out.len()]);
    }

    #[test]
    fn loud_sound_keeps_its_shape_below_the_ceiling() {
        let out = limited(&tone(3.0, 24_000), 1600);
        assert!(out.iter().all(|sample| sample.abs() < CEILING + 0.001));
        let settled = &out[20_000..];
        let worst = settled
            .iter()
            .zip(&tone(CEILING, 24_000)[20_000..])
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, f32::max);
        assert!(worst < 0.02, "{worst}");
    }

    #[test]
    fn a_sudden_peak_is_met_without_a_step() {
        let mut block = tone(0.5, 6000);
        block[6000..].iter_mut().for_each(|sample| *sample *= 6.0);
        let out = limited(&block, 800);
        assert!(out.iter().all(|sample| sample.abs() < CEILING + 0.001));
        // A gain that falls from 1 to 0.3 in 5 ms moves a frame by less than this part.
        for (number, (before, after)) in out.chunks_exact(2).zip(block.chunks_exact(2)).enumerate() {
            if after[0].abs() > 0.3 && number > 0 && number + 1 < out.len() / 2 {
                let gain = before[0] / after[0];
                let next = out[2 * number + 2] / block[2 * number + 2];
                if block[2 * number + 2].abs() > 0.3 {
                    assert!((gain - next).abs() < 0.005, "a step of the gain at {number}: {gain} {next}");
                }
            }
        }
    }

    #[test]
    fn the_length_of_blocks_does_not_matter() {
        let block = tone(2.0, 5000);
        let (short, long) = (limited(&block, 7), limited(&block, 5000));
        assert_eq!(short, long);
    }

    #[test]
    fn the_gain_comes_back() {
        let (mut limiter, mut out) = (Limiter::default(), Vec::new());
        limiter.push(&tone(3.0, 1600), &mut out);
        for _ in 0..300 {
            limiter.push(&tone(0.1, 1600), &mut out);
        }
        assert_eq!(limiter.gain(), 1.0);
    }
}
