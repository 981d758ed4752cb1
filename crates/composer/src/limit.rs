//! Keeps the sum of several voices inside full scale without hearing it. Pure.
//!
//! The gain falls before a peak (within the block, which is known ahead) and recovers slowly; a soft knee catches what is left.

/// Peaks are held below this.
const CEILING: f32 = 0.9;
/// Frames for which one gain is computed; it is interpolated between them.
const STEP_FRAMES: usize = 160;
/// Part of the way back to 1 per step: about half a second.
const RECOVERY: f32 = 0.012;

/// A limiter for interleaved stereo.
#[derive(Debug, Clone)]
pub struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    /// Limits a block in place.
    pub fn apply(&mut self, block: &mut [f32]) {
        let step = STEP_FRAMES * 2;
        let needed: Vec<f32> = block
            .chunks(step)
            .map(|chunk| {
                let peak = chunk.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
                if peak > CEILING { CEILING / peak } else { 1.0 }
            })
            .collect();
        for (index, chunk) in block.chunks_mut(step).enumerate() {
            let ahead = needed.get(index + 1).copied().unwrap_or(1.0).min(needed[index]);
            let target = (self.gain + (1.0 - self.gain) * RECOVERY).min(ahead);
            let from = self.gain.min(needed[index].max(target));
            let frames = (chunk.len() / 2).max(1) as f32;
            for (frame, pair) in chunk.chunks_mut(2).enumerate() {
                let gain = from + (target - from) * (frame as f32 + 1.0) / frames;
                for sample in pair {
                    *sample = soft(*sample * gain);
                }
            }
            self.gain = target;
        }
    }
}

/// The identity up to the ceiling, then a curve that never reaches 1.
fn soft(sample: f32) -> f32 {
    let over = sample.abs() - CEILING;
    if over <= 0.0 {
        return sample;
    }
    let room = 1.0 - CEILING;
    (CEILING + room * over / (over + room)).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(amplitude: f32, frames: usize) -> Vec<f32> {
        (0..frames).flat_map(|i| [amplitude * (i as f32 * 0.1).sin(); 2]).collect()
    }

    #[test]
    fn quiet_sound_passes_unchanged() {
        let mut block = tone(0.8, 1600);
        Limiter::default().apply(&mut block);
        assert_eq!(block, tone(0.8, 1600));
    }

    #[test]
    fn loud_sound_stays_below_full_scale_and_keeps_its_shape() {
        let mut limiter = Limiter::default();
        for _ in 0..5 {
            let mut block = tone(3.0, 1600);
            limiter.apply(&mut block);
            assert!(block.iter().all(|sample| sample.abs() < 1.0));
        }
        let mut block = tone(3.0, 1600);
        limiter.apply(&mut block);
        let worst = block.iter().zip(tone(CEILING, 1600)).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(worst < 0.05, "{worst}");
    }

    #[test]
    fn the_gain_comes_back() {
        let mut limiter = Limiter::default();
        limiter.apply(&mut tone(3.0, 1600));
        for _ in 0..60 {
            limiter.apply(&mut tone(0.1, 1600));
        }
        assert!(limiter.gain > 0.95, "{}", limiter.gain);
    }
}
