//! A resampler for ratios near 1 that can stop resampling. Pure.
//!
//! Every output frame is a windowed sinc over the input around its position; positions advance by a step near 1. Between two input
//! frames that costs 32 multiplications, on an input frame nothing: the frame itself comes out, bit by bit. So sound that
//! needs no bending is made to lie on its frames ([`Resampler::settle`]) and is then copied.

const STEREO: usize = 2;
/// Input frames that make one output frame.
const TAPS: usize = 32;
/// For how many places between two frames kernels are tabulated; between these places they are interpolated.
const PHASES: usize = 128;

/// Frames that must lie behind an output frame's position: what is held back of the input.
pub const LOOK_AHEAD_FRAMES: usize = TAPS / 2;

/// Resamples interleaved stereo.
#[derive(Debug, Clone)]
pub struct Resampler {
    kernels: Vec<[f32; TAPS]>,
    /// Interleaved; begins with what lies behind the position.
    input: Vec<f32>,
    /// Of the next output frame, in frames of `input`.
    position: f64,
    /// Input frames per output frame.
    step: f64,
    /// Output frames until the position is to be on a frame, if so.
    settling: Option<u32>,
}

impl Default for Resampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Resampler {
    /// A resampler that was given nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let kernels = (0..=PHASES).map(|phase| kernel(phase as f64 / PHASES as f64)).collect();
        let mut resampler = Self { kernels, input: Vec::new(), position: 0.0, step: 1.0, settling: None };
        resampler.reset();
        resampler
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.input.clear();
        self.input.resize((LOOK_AHEAD_FRAMES - 1) * STEREO, 0.0);
        self.position = (LOOK_AHEAD_FRAMES - 1) as f64;
        self.step = 1.0;
        self.settling = None;
    }

    /// Frames given but not made into output.
    #[must_use]
    pub fn waiting(&self) -> f64 {
        (self.input.len() / STEREO) as f64 - self.position
    }

    /// From now on the output is longer than the input by `bend` of its length (0.001: slower by a thousandth).
    pub fn bend(&mut self, bend: f64) {
        self.step = 1.0 / (1.0 + bend);
        self.settling = None;
    }

    /// Moves the position onto the nearest frame within `frames` output frames, and stays on frames from there on.
    pub fn settle(&mut self, frames: u32) {
        let off = self.position.round() - self.position;
        self.step = 1.0 + off / f64::from(frames.max(1));
        self.settling = Some(frames.max(1));
    }

    /// Whether input is copied as it is.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.settling.is_none() && self.step == 1.0 && self.position.fract() == 0.0
    }

    /// Takes the next frames (interleaved); appends those that are ready to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.input.extend_from_slice(samples);
        let ready = (self.input.len() / STEREO).saturating_sub(LOOK_AHEAD_FRAMES);
        if self.is_idle() {
            let from = self.position as usize;
            if from < ready {
                out.extend_from_slice(&self.input[from * STEREO..ready * STEREO]);
                self.position = ready as f64;
            }
        } else {
            let mono = self.input.chunks_exact(STEREO).all(|frame| frame[0] == frame[1]);
            while self.position < ready as f64 && !self.is_idle() {
                out.extend_from_slice(&self.frame(mono));
                self.advance();
            }
            if self.is_idle() {
                return self.push(&[], out);
            }
        }
        let used = (self.position as usize).saturating_sub(LOOK_AHEAD_FRAMES - 1);
        self.input.drain(..used * STEREO);
        self.position -= used as f64;
    }

    fn advance(&mut self) {
        self.position += self.step;
        if let Some(left) = &mut self.settling {
            *left -= 1;
            if *left == 0 {
                self.settling = None;
                self.position = self.position.round();
                self.step = 1.0;
            }
        }
    }

    fn frame(&self, mono: bool) -> [f32; STEREO] {
        let whole = self.position as usize;
        let phase = (self.position - whole as f64) * PHASES as f64;
        let (index, part) = (phase as usize, phase.fract() as f32);
        let (before, after) = (&self.kernels[index], &self.kernels[(index + 1).min(PHASES)]);
        let mut kernel = [0f32; TAPS];
        for ((kernel, before), after) in kernel.iter_mut().zip(before).zip(after) {
            *kernel = before + (after - before) * part;
        }
        let first = whole + 1 - LOOK_AHEAD_FRAMES;
        let window = &self.input[first * STEREO..][..TAPS * STEREO];
        // Sums of their own, side by side, for the machine's vectors.
        let mut sums = [0f32; 8];
        for (frames, kernel) in window.chunks_exact(8).zip(kernel.chunks_exact(4)) {
            for lane in 0..4 {
                sums[2 * lane] += frames[2 * lane] * kernel[lane];
                if !mono {
                    sums[2 * lane + 1] += frames[2 * lane + 1] * kernel[lane];
                }
            }
        }
        let left = sums[0] + sums[2] + sums[4] + sums[6];
        [left, if mono { left } else { sums[1] + sums[3] + sums[5] + sums[7] }]
    }
}

/// A sinc under a Blackman window for a position `phase` behind tap number `TAPS / 2 - 1`; its sum is 1.
fn kernel(phase: f64) -> [f32; TAPS] {
    use std::f64::consts::PI;
    let raw: [f64; TAPS] = std::array::from_fn(|tap| {
        let distance = tap as f64 - (LOOK_AHEAD_FRAMES - 1) as f64 - phase;
        let sinc = if distance == 0.0 { 1.0 } else { (PI * distance).sin() / (PI * distance) };
        let place = distance / LOOK_AHEAD_FRAMES as f64;
        let window = if place.abs() >= 1.0 {
            0.0
        } else {
            0.42 + 0.5 * (PI * place).cos() + 0.08 * (2.0 * PI * place).cos()
        };
        sinc * window
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|value| (value / sum) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, frames: usize) -> Vec<f32> {
        (0..frames)
            .flat_map(|i| [0.5 * (i as f64 * hz * std::f64::consts::TAU / 48_000.0).sin() as f32; STEREO])
            .collect()
    }

    #[test]
    fn without_a_bend_sound_is_copied() {
        let (mut resampler, mut out) = (Resampler::new(), Vec::new());
        let input = tone(440.0, 4800);
        input.chunks(700).for_each(|part| resampler.push(part, &mut out));
        assert_eq!(out[..], input[..out.len()]);
        assert_eq!(out.len() / STEREO, 4800 - LOOK_AHEAD_FRAMES);
        assert_eq!(resampler.waiting(), LOOK_AHEAD_FRAMES as f64);
    }

    #[test]
    fn a_bent_tone_is_a_pure_tone_of_another_pitch() {
        for (hz, most) in [(440.0, -80.0), (4000.0, -70.0), (12_000.0, -60.0)] {
            let (mut resampler, mut out) = (Resampler::new(), Vec::new());
            resampler.bend(0.001);
            tone(hz, 48_000).chunks(960).for_each(|part| resampler.push(part, &mut out));
            assert!((out.len() as f64 / 2.0 - 48_048.0).abs() < 40.0, "{}", out.len());
            let step = hz * std::f64::consts::TAU / 48_048.0;
            let error: f64 = out
                .chunks_exact(2)
                .enumerate()
                .skip(100)
                .map(|(i, frame)| {
                    (f64::from(frame[0]) - 0.5 * (i as f64 * step * 48_048.0 / 48_000.0 / 1.001).sin())
                        .powi(2)
                })
                .sum();
            let noise = 10.0 * (error / out.len() as f64 * 2.0 / 0.125).log10();
            assert!(noise < most, "{hz} Hz: {noise} dB");
        }
    }

    #[test]
    fn settling_ends_in_copying_without_a_click() {
        let (mut resampler, mut out) = (Resampler::new(), Vec::new());
        let input = tone(1000.0, 48_000);
        resampler.bend(-0.0007);
        resampler.push(&input[..20_000], &mut out);
        resampler.settle(480);
        resampler.push(&input[20_000..], &mut out);
        assert!(resampler.is_idle());
        // The tone moves by 0.065 from one frame to the next.
        let steps = out.chunks_exact(2).zip(out.chunks_exact(2).skip(1)).map(|(a, b)| (b[0] - a[0]).abs());
        assert!(steps.skip(40).fold(0f32, f32::max) < 0.066);
    }

    #[test]
    fn both_channels_keep_their_own_sound() {
        let (mut resampler, mut out) = (Resampler::new(), Vec::new());
        resampler.bend(0.0005);
        let input: Vec<f32> =
            tone(300.0, 4800).chunks(2).flat_map(|frame| [frame[0], -frame[0] / 2.0]).collect();
        resampler.push(&input, &mut out);
        assert!(out.chunks_exact(2).all(|frame| (frame[1] + frame[0] / 2.0).abs() < 1e-6));
    }
}
