//! Shortens or lengthens sound without changing its pitch. Pure.
//!
//! ```text
//!  in            |  a  |  b  |  c ...        a and b are alike: one period of a voice each, or silence
//!  shortened     | a->b |  c ...             one fades into the other, so that one period is gone
//!  lengthened    |  a  | b->a |  b  |  c ...  and so there is one more
//! ```
//!
//! What is neither passes as it is. Otherwise the newest [`HELD_FRAMES`] are held back.

const STEREO: usize = 2;
/// The longest piece that is taken out or put in, frames at 48 kHz: 15 ms.
const LONGEST: usize = 720;
/// The shortest one: 2.5 ms.
const SHORTEST: usize = 120;
/// Two pieces are compared.
const HELD_FRAMES: usize = 2 * LONGEST;
/// Likeness is looked for among every fourth frame first.
const COARSE: usize = 4;
/// Sound that is quieter is silence: -60 dB.
const SILENCE: f32 = 0.001;

/// Stretches interleaved stereo.
#[derive(Debug, Default)]
pub(crate) struct Stretcher {
    held: Vec<f32>,
    /// Frames to be taken out, or below zero to be put in.
    owed: i64,
    shortened: u64,
    lengthened: u64,
}

impl Stretcher {
    /// From now on so many frames are to be taken out, or below zero to be put in.
    pub(crate) fn owe(&mut self, frames: i64) {
        self.owed = frames;
    }

    /// Frames given but neither taken out nor handed on.
    pub(crate) fn waiting(&self) -> usize {
        self.held.len() / STEREO
    }

    /// Counts from 0 again.
    pub(crate) fn count_anew(&mut self) {
        (self.shortened, self.lengthened) = (0, 0);
    }

    /// Frames taken out so far.
    pub(crate) fn shortened(&self) -> u64 {
        self.shortened
    }

    /// Frames put in so far.
    pub(crate) fn lengthened(&self) -> u64 {
        self.lengthened
    }

    /// Takes the next frames; appends those that are ready to `out`.
    pub(crate) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        if !self.is_owed() {
            self.finish(out);
            return out.extend_from_slice(samples);
        }
        self.held.extend_from_slice(samples);
        let mut from = 0;
        while self.is_owed() && self.held.len() / STEREO >= from + HELD_FRAMES {
            let pieces = &self.held[from * STEREO..][..HELD_FRAMES * STEREO];
            let owed = usize::try_from(self.owed.unsigned_abs()).unwrap_or(LONGEST);
            let period = period(pieces, owed.min(LONGEST));
            let (a, b) = pieces[..2 * period * STEREO].split_at(period * STEREO);
            if self.owed > 0 {
                fade(a, b, out);
                self.owed -= period as i64;
                self.shortened += period as u64;
                from += 2 * period;
            } else {
                out.extend_from_slice(a);
                fade(b, a, out);
                self.owed += period as i64;
                self.lengthened += period as u64;
                from += period;
            }
        }
        self.held.drain(..from * STEREO);
        if !self.is_owed() {
            self.finish(out);
        }
    }

    fn is_owed(&self) -> bool {
        self.owed.unsigned_abs() >= SHORTEST as u64
    }

    /// Hands on what is held back; nothing more is owed.
    pub(crate) fn finish(&mut self, out: &mut Vec<f32>) {
        out.append(&mut self.held);
        self.owed = 0;
    }
}

/// Appends a sound that begins as `a` and ends as `b`.
fn fade(a: &[f32], b: &[f32], out: &mut Vec<f32>) {
    let frames = a.len() / STEREO;
    let faded = a.chunks_exact(STEREO).zip(b.chunks_exact(STEREO)).enumerate().flat_map(|(frame, (a, b))| {
        let part = (frame + 1) as f32 / (frames + 1) as f32;
        [a[0] * (1.0 - part) + b[0] * part, a[1] * (1.0 - part) + b[1] * part]
    });
    out.extend(faded);
}

/// The distance, up to `longest`, at which a sound is most like itself.
fn period(samples: &[f32], longest: usize) -> usize {
    let mono: Vec<f32> = samples.chunks_exact(STEREO).map(|frame| frame[0] + frame[1]).collect();
    let coarse: Vec<f32> =
        mono.chunks_exact(COARSE).map(|part| part.iter().sum::<f32>() / COARSE as f32).collect();
    if mono.iter().all(|sample| sample.abs() < SILENCE) {
        return longest;
    }
    let best = |sound: &[f32], window: usize, periods: std::ops::RangeInclusive<usize>| {
        periods
            .map(|period| (period, likeness(&sound[..window], &sound[period..period + window])))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map_or(SHORTEST, |(period, _)| period)
    };
    let about = best(&coarse, LONGEST / COARSE, SHORTEST / COARSE..=longest / COARSE) * COARSE;
    let near = about.saturating_sub(COARSE).max(SHORTEST)..=(about + COARSE).min(longest);
    best(&mono, LONGEST, near)
}

/// Correlation of two sounds of one length, -1 to 1.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut product, mut energy_a, mut energy_b) = (0f32, 1e-9f32, 1e-9f32);
    for (a, b) in a.iter().zip(b) {
        product += a * b;
        energy_a += a * a;
        energy_b += b * b;
    }
    product / (energy_a * energy_b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f32, frames: usize) -> Vec<f32> {
        (0..frames)
            .flat_map(|i| [0.5 * (i as f32 * hz * std::f32::consts::TAU / 48_000.0).sin(); 2])
            .collect()
    }

    fn stretched(samples: &[f32], owed: i64) -> Vec<f32> {
        let (mut stretcher, mut out) = (Stretcher::default(), Vec::new());
        stretcher.owe(owed);
        samples.chunks(960 * STEREO).for_each(|part| stretcher.push(part, &mut out));
        stretcher.finish(&mut out);
        out
    }

    #[test]
    fn what_is_owed_is_taken_out_or_put_in_and_no_more() {
        for owed in [0, 119, 500, 5_000, 20_000, -119, -500, -20_000] {
            let missing = 48_000 - (stretched(&tone(200.0, 48_000), owed).len() / STEREO) as i64;
            assert!(
                missing.abs() <= owed.abs() && (owed - missing).abs() <= SHORTEST as i64,
                "{missing} of {owed}"
            );
        }
        assert_eq!(stretched(&tone(300.0, 4_800), 0), tone(300.0, 4_800));
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_its_level() {
        for (hz, owed) in [(110.0, 24_000), (440.0, 24_000), (880.0, 24_000), (440.0, -24_000)] {
            let out = stretched(&tone(hz, 96_000), owed);
            let crossings =
                out.chunks(2).zip(out.chunks(2).skip(1)).filter(|(a, b)| a[0] < 0.0 && b[0] >= 0.0);
            let heard = crossings.count() as f32 * 48_000.0 / (out.len() / 2) as f32;
            assert!((heard - hz).abs() < hz * 0.02, "{heard} instead of {hz} Hz");
            for block in out.chunks(960 * 2).take(60) {
                let peak = block.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
                assert!(peak > 0.42 && peak < 0.51, "{hz} Hz: {peak}");
            }
        }
    }
}
