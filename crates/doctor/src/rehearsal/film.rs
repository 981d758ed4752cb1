//! What is recorded, and so what has to be seen and heard. Pure.
//!
//! ```text
//!   seconds   0          3          6
//!   left      red        green          VP8 and Opus: a tone of 440 Hz from the moment on at which it turns green
//!   right     blue       blue           H.264 and Opus: a tone of 1000 Hz all the time
//! ```

/// Of the whole.
pub(crate) const SECONDS: u64 = 6;
/// At which the left one turns green, and is heard.
pub(crate) const TURN_MS: u64 = 3_000;
/// Of cameras.
pub(crate) const FRAMES_PER_SECOND: u64 = 30;
/// Pixels of cameras.
pub(crate) const CAMERA: [u32; 2] = [640, 360];
/// Pixels of the file.
pub(crate) const FILM: [usize; 2] = [1280, 720];
/// Pixels that are of the left one and of the right one, above their names.
pub(crate) const LEFT: [usize; 2] = [320, 300];
pub(crate) const RIGHT: [usize; 2] = [960, 300];
pub(crate) const LEFT_HZ: f32 = 440.0;
pub(crate) const RIGHT_HZ: f32 = 1_000.0;
/// Nobody makes it.
pub(crate) const SILENT_HZ: f32 = 700.0;
pub(crate) const SAMPLES_PER_S: usize = 48_000;

/// A colour of the film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hue {
    pub(crate) name: &'static str,
    pub(crate) rgb: [u8; 3],
}

pub(crate) const RED: Hue = Hue { name: "red", rgb: [200, 30, 40] };
pub(crate) const GREEN: Hue = Hue { name: "green", rgb: [30, 170, 60] };
pub(crate) const BLUE: Hue = Hue { name: "blue", rgb: [30, 60, 200] };

/// What the left one shows in a picture of its camera.
pub(crate) fn left_in(picture: u64) -> Hue {
    if picture * 1000 / FRAMES_PER_SECOND < TURN_MS { RED } else { GREEN }
}

/// What the left one sounds like.
pub(crate) fn left_sound() -> Vec<f32> {
    let mut sound = tone(LEFT_HZ);
    let silent = usize::try_from(TURN_MS).unwrap_or(0) * SAMPLES_PER_S / 1000;
    sound[..silent].fill(0.0);
    sound
}

/// What the right one sounds like.
pub(crate) fn right_sound() -> Vec<f32> {
    tone(RIGHT_HZ)
}

fn tone(hz: f32) -> Vec<f32> {
    let count = usize::try_from(SECONDS).unwrap_or(0) * SAMPLES_PER_S;
    let of_one = std::f32::consts::TAU * hz / SAMPLES_PER_S as f32;
    (0..count).map(|at| 0.4 * (at as f32 * of_one).sin()).collect()
}

/// How loud a frequency is in samples, by Goertzel's algorithm: the amplitude of its wave.
pub(crate) fn loudness(samples: &[f32], hz: f32) -> f32 {
    let coefficient = 2.0 * (hz * std::f32::consts::TAU / SAMPLES_PER_S as f32).cos();
    let (mut a, mut b) = (0f32, 0f32);
    for sample in samples {
        (a, b) = (sample + coefficient * a - b, a);
    }
    (a * a + b * b - coefficient * a * b).max(0.0).sqrt() * 2.0 / samples.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turn_is_seen_and_heard_at_one_moment() {
        let turn = (0..SECONDS * FRAMES_PER_SECOND).find(|picture| left_in(*picture) == GREEN).unwrap();
        assert_eq!(turn * 1000 / FRAMES_PER_SECOND, TURN_MS);
        let sound = left_sound();
        let before = &sound[SAMPLES_PER_S..SAMPLES_PER_S + 4800];
        let behind = &sound[4 * SAMPLES_PER_S..4 * SAMPLES_PER_S + 4800];
        assert!(loudness(before, LEFT_HZ) < 0.01);
        assert!((loudness(behind, LEFT_HZ) - 0.4).abs() < 0.02);
        assert!(loudness(behind, SILENT_HZ) < 0.02);
    }
}
