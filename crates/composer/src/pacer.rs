//! Keeps a continuous sound at its place although its sender's clock runs a little fast or slow. Pure.
//!
//! ```text
//!  distance to the wanted place    ...................__/\_____________/\____          \______
//!  sound                           copied            bent  copied      bent   copied    shortened
//! ```
//!
//! A sound further from where the take's clock wants it than `BEGIN_FRAMES` is bent until it is closer than `END_FRAMES`, at
//! a pace nobody hears and without a seam: any drift is held to a few milliseconds, and a sound that does not drift is copied as it
//! is. A sound that is further away than `STRETCH_FRAMES` is shortened or lengthened, its pitch kept. How far the wanted place moves from one packet to
//! the next is limited by the take's clock, with the same [`BEND`]. Positions are sample numbers at 48 kHz since the take began.
//!
//! Invariant: pieces follow each other without a hole and without an overlap, and a sound that begins anew begins no earlier than
//! the one before it ends.

use reelroom_take::clock::BEND;

use crate::{resample::Resampler, stretch::Stretcher};

const STEREO: usize = 2;
/// The length changes by no more than this part.
const MAX_BEND: f64 = 1.0 / BEND as f64;
/// Part of a new distance that enters the smoothed one: about a second for packets of 20 ms.
const SMOOTHING: f64 = 0.02;
/// Frames in which a distance shall be made up for: a second.
const CATCH_UP_FRAMES: f64 = 48_000.0;
/// A distance from which on it is made up for: 2 ms.
const BEGIN_FRAMES: f64 = 96.0;
/// A distance that is left alone again: half a millisecond.
const END_FRAMES: f64 = 24.0;
/// Sound so far from its place is shortened or lengthened, until it is nearer than `BEGIN_FRAMES`: 15 ms. No drift that the clock
/// follows gets so far.
const STRETCH_FRAMES: f64 = 720.0;
/// Frames in which a sound that needs no bending any more is moved onto whole frames.
const SETTLE_FRAMES: u32 = 960;

/// A piece of sound at its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Position of its first frame.
    pub position: i64,
    /// Interleaved stereo.
    pub samples: Vec<f32>,
}

/// Paces one sound.
#[derive(Debug, Default)]
pub struct Pacer {
    stretcher: Stretcher,
    resampler: Resampler,
    /// Position of the next frame that comes out.
    next: i64,
    /// Smoothed distance to the wanted place, frames; positive: the sound is early.
    distance: f64,
    bending: bool,
    stretching: bool,
}

impl Pacer {
    /// A pacer that was given nothing yet: [`Pacer::restart`] it first.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the next frame that comes out will be heard.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Counts from 0 again.
    pub(crate) fn count_anew(&mut self) {
        self.stretcher.count_anew();
    }

    /// Frames that were taken out because the sound was late.
    #[must_use]
    pub fn shortened(&self) -> u64 {
        self.stretcher.shortened()
    }

    /// Frames that were put in because the sound was early.
    #[must_use]
    pub fn lengthened(&self) -> u64 {
        self.stretcher.lengthened()
    }

    /// Where the next frame pushed will be heard.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.next + self.stretcher.waiting() as i64 + self.resampler.waiting().round() as i64
    }

    /// Ends the sound so far, whose last frames come back; the next one may begin at once.
    pub fn finish(&mut self) -> Option<Piece> {
        let end = self.position();
        let mut held = Vec::new();
        self.stretcher.finish(&mut held);
        held.resize(held.len() + crate::resample::LOOK_AHEAD_FRAMES * STEREO, 0.0);
        let tail = self.resample(&held).and_then(|mut piece| {
            piece.samples.truncate(usize::try_from(end - piece.position).unwrap_or(0) * STEREO);
            (!piece.samples.is_empty()).then_some(piece)
        });
        self.resampler.reset();
        self.next = end;
        self.distance = 0.0;
        self.bending = false;
        self.stretching = false;
        tail
    }

    /// Ends the sound so far, whose last frames come back, and begins a new one at `position`, or where the last one ends.
    pub fn restart(&mut self, position: i64) -> Option<Piece> {
        let tail = self.finish();
        self.next = self.next.max(position);
        tail
    }

    /// Says where the next frame ought to be heard.
    pub fn follow(&mut self, wanted: i64) {
        let off = (wanted - self.position()) as f64;
        self.stretching = off.abs() > if self.stretching { BEGIN_FRAMES } else { STRETCH_FRAMES };
        self.stretcher.owe(if self.stretching { -off as i64 } else { 0 });
        if self.stretching {
            // What is left is looked at afterwards.
            self.distance = 0.0;
        } else {
            self.distance += (off - self.distance) * SMOOTHING;
        }
        if self.distance.abs() > BEGIN_FRAMES {
            self.bending = true;
        } else if self.bending && self.distance.abs() < END_FRAMES {
            self.bending = false;
            self.resampler.settle(SETTLE_FRAMES);
        }
        if self.bending {
            self.resampler.bend((self.distance / CATCH_UP_FRAMES).clamp(-MAX_BEND, MAX_BEND));
        }
    }

    /// Takes the next frames (interleaved); gives back those that are ready.
    pub fn push(&mut self, samples: &[f32]) -> Option<Piece> {
        if !self.stretching && self.stretcher.waiting() == 0 {
            return self.resample(samples);
        }
        let mut stretched = Vec::with_capacity(samples.len());
        self.stretcher.push(samples, &mut stretched);
        self.resample(&stretched)
    }

    fn resample(&mut self, samples: &[f32]) -> Option<Piece> {
        let mut ready = Vec::with_capacity(samples.len() + 16);
        self.resampler.push(samples, &mut ready);
        let piece = Piece { position: self.next, samples: ready };
        self.next += (piece.samples.len() / STEREO) as i64;
        (!piece.samples.is_empty()).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(from: usize, frames: usize) -> Vec<f32> {
        (from..from + frames).flat_map(|i| [0.5 * (i as f32 * 0.0576).sin(); 2]).collect()
    }

    #[test]
    fn an_exact_clock_leaves_sound_as_it_is() {
        let mut pacer = Pacer::new();
        assert!(pacer.restart(1000).is_none());
        let mut heard = Vec::new();
        for block in 0..50 {
            // The clock is sure to a millisecond or two only.
            pacer.follow(1000 + block * 960 + block * 41 % 80);
            heard.extend(pacer.push(&tone(block as usize * 960, 960)));
        }
        heard.extend(pacer.restart(0));
        assert_eq!(heard[0].position, 1000);
        let all: Vec<f32> = heard.iter().flat_map(|piece| piece.samples.clone()).collect();
        assert_eq!(all, tone(0, 48_000));
    }

    #[test]
    fn drift_is_held_to_three_milliseconds_without_a_seam() {
        for ppm in [-200.0, 100.0, 400.0] {
            let mut pacer = Pacer::new();
            pacer.restart(0);
            let mut last: Option<(i64, f32)> = None;
            for block in 0..3000i64 {
                let wanted = (block as f64 * 960.0 * (1.0 + ppm / 1e6)).round() as i64;
                pacer.follow(wanted);
                if block > 500 {
                    assert!(
                        (wanted - pacer.position()).abs() < 144,
                        "{ppm} ppm: {}",
                        wanted - pacer.position()
                    );
                }
                if let Some(piece) = pacer.push(&tone(block as usize * 960, 960)) {
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
    fn what_is_late_is_made_up_for_without_a_hole() {
        let mut pacer = Pacer::new();
        pacer.restart(0);
        let mut next = 0;
        // From its second second on, sound is wanted 300 ms earlier, a quarter of a packet with each one.
        for block in 0..200i64 {
            let wanted = block * 960 - ((block - 50) * 240).clamp(0, 14_400);
            pacer.follow(wanted);
            assert!((wanted - pacer.position()).abs() <= 1_440, "{block}: {}", wanted - pacer.position());
            if let Some(piece) = pacer.push(&tone(block as usize * 960, 960)) {
                assert_eq!(piece.position, next);
                next += (piece.samples.len() / STEREO) as i64;
            }
        }
        assert!((pacer.position() - (200 * 960 - 14_400)).abs() < 96);
        let tail = pacer.restart(0).expect("what was held back");
        assert_eq!(tail.position, next);
        assert_eq!(pacer.position(), next + (tail.samples.len() / STEREO) as i64, "nothing overlaps");
    }
}
