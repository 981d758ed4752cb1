//! A track's sound: Opus packets in, samples at absolute positions of the take's time line out.
//!
//! ```text
//!   packet (rtp, moment) ──> opusdec ──> pacer ──> ring at sample positions ──> added to the mix
//! ```
//!
//! Packets that follow each other in RTP time are joined without a seam; the [`Pacer`] bends them to where the take's clock wants
//! them. After a pause, and where the clock jumped, they are placed anew.
//! Silence is absence: nothing is stored for it. Positions are sample numbers at 48 kHz since the take began.

use std::collections::VecDeque;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::MulDiv;
use reelroom_take::{Codec, Moment, SegmentOpened};

use crate::{
    encode::{CHANNELS, SAMPLE_RATE_HZ},
    error::ComposeError,
    filter::{Caught, Filter},
    pacer::Pacer,
};

const STEREO: usize = CHANNELS as usize;
/// Up to this long a loss is concealed; what is missing beyond it is silence.
const CONCEAL_SAMPLES: u64 = 5760;
/// After a pause, sound may be pushed back by this much where it would overlap what came before.
const OVERLAP_SAMPLES: i64 = 9_600;

/// Decodes and places one segment of an audio track.
pub struct Voice {
    decoder: Filter,
    caps: gst::Caps,
    /// RTP time at which the next packet begins, if it follows the last one.
    next_rtp: Option<u64>,
    /// Samples that went into the decoder.
    fed: u64,
    pacer: Pacer,
    ring: Ring,
    packets: u64,
    broken: u64,
    concealed: u64,
}

impl Voice {
    /// A decoder for the segment, or `None` if its codec is not one of ours.
    pub fn new(segment: &SegmentOpened) -> Result<Option<Self>, ComposeError> {
        if segment.codec != Codec::Opus {
            return Ok(None);
        }
        crate::filter::start()?;
        let wanted = gst::Caps::builder("audio/x-raw")
            .field("format", "S16LE")
            .field("layout", "interleaved")
            .field("rate", SAMPLE_RATE_HZ as i32)
            .field("channels", CHANNELS as i32)
            .build();
        let decoder = Filter::new("opusdec", "gstreamer1.0-plugins-base", wanted, |element| {
            use gst::prelude::*;
            crate::video::forgive(element);
            element.set_property("plc", true);
        })?;
        let caps = gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .field("rate", SAMPLE_RATE_HZ as i32)
            .field("channels", CHANNELS as i32)
            .build();
        Ok(Some(Self {
            decoder,
            caps,
            next_rtp: None,
            fed: 0,
            pacer: Pacer::new(),
            ring: Ring::default(),
            packets: 0,
            broken: 0,
            concealed: 0,
        }))
    }

    /// Decodes the packet that begins at `rtp` (48 kHz ticks) and belongs to `moment`.
    pub fn push(&mut self, data: Bytes, rtp: u64, moment: Moment) {
        let missing = match self.next_rtp {
            // Played already, or its place was concealed.
            Some(next) if rtp < next && next - rtp < u64::from(SAMPLE_RATE_HZ) => return,
            Some(next) => rtp.checked_sub(next),
            None => None,
        };
        if moment.late {
            // Its place was played while it was under way.
            self.next_rtp = None;
            return;
        }
        let wanted = position(moment.at_ns) as i64;
        match missing {
            Some(missing) if missing <= CONCEAL_SAMPLES => {
                self.conceal(missing);
                if !self.pacer.follow(wanted) {
                    tracing::debug!(wanted, position = self.pacer.position(), "the clock of a sound jumped");
                    self.place(wanted);
                }
            }
            // The first packet, or the first after a pause: the clock alone says where it goes.
            _ => {
                let end = self.ring.end() as i64;
                self.place(if (0..OVERLAP_SAMPLES).contains(&(end - wanted)) { end } else { wanted });
            }
        }
        let mut buffer = gst::Buffer::from_slice(data);
        let at = self.time();
        buffer.get_mut().expect("a new buffer has one owner").set_pts(at);
        self.packets += 1;
        let samples = match self.decoder.push(buffer, &self.caps) {
            Ok(caught) => samples_of(&caught),
            Err(refused) => {
                self.broken += 1;
                tracing::debug!(%refused, "an Opus packet could not be decoded");
                Vec::new()
            }
        };
        if samples.is_empty() {
            self.next_rtp = None;
            return;
        }
        let frames = (samples.len() / STEREO) as u64;
        self.play(&samples);
        self.next_rtp = Some(rtp + frames);
    }

    fn place(&mut self, position: i64) {
        if let Some(piece) = self.pacer.restart(position) {
            self.ring.put(piece.position, &piece.samples);
        }
    }

    fn play(&mut self, samples: &[f32]) {
        self.fed += (samples.len() / STEREO) as u64;
        if let Some(piece) = self.pacer.push(samples) {
            self.ring.put(piece.position, &piece.samples);
        }
    }

    fn conceal(&mut self, missing: u64) {
        let duration = gst::ClockTime::SECOND.mul_div_round(missing, u64::from(SAMPLE_RATE_HZ));
        let Some(duration) = duration.filter(|_| missing > 0) else { return };
        let mut samples = samples_of(&self.decoder.gap(self.time(), duration));
        self.concealed += (samples.len() as u64 / STEREO as u64).min(missing);
        // What the decoder did not conceal stays silent.
        samples.resize(missing as usize * STEREO, 0.0);
        self.play(&samples);
    }

    fn time(&self) -> gst::ClockTime {
        gst::ClockTime::SECOND
            .mul_div_round(self.fed, u64::from(SAMPLE_RATE_HZ))
            .unwrap_or(gst::ClockTime::ZERO)
    }

    /// Adds the sound from sample `from` on to `mix` (interleaved), unless it is not `audible`; forgets everything up to its end.
    pub fn mix(&mut self, from: u64, mix: &mut [f32], audible: bool) {
        self.ring.take(from, mix, audible);
    }

    /// Packets the decoder refused.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken
    }

    /// Samples that were made up for lost packets.
    #[must_use]
    pub fn concealed(&self) -> u64 {
        self.concealed
    }
}

/// The sample that sounds at a time.
#[must_use]
pub fn position(at_ns: u64) -> u64 {
    ((u128::from(at_ns) * u128::from(SAMPLE_RATE_HZ) + 500_000_000) / 1_000_000_000) as u64
}

fn samples_of(caught: &[Caught]) -> Vec<f32> {
    let mut samples = Vec::new();
    for caught in caught {
        if let Ok(map) = caught.buffer.map_readable() {
            samples.extend(
                map.chunks_exact(2)
                    .map(|bytes| f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32768.0),
            );
        }
    }
    samples
}

/// Samples at absolute positions.
#[derive(Debug, Default)]
struct Ring {
    start: u64,
    samples: VecDeque<f32>,
}

impl Ring {
    fn end(&self) -> u64 {
        self.start + (self.samples.len() / STEREO) as u64
    }

    /// Puts samples at `at`; they replace what is there. What lies before the ring's start has been played and is dropped.
    fn put(&mut self, at: i64, samples: &[f32]) {
        if self.samples.is_empty() {
            // No silence is stored in front of what comes next.
            self.start = self.start.max(u64::try_from(at).unwrap_or(0));
        }
        let start = self.start as i64;
        let skip = usize::try_from(start - at).unwrap_or(0);
        let Some(samples) = samples.get(skip * STEREO..).filter(|rest| !rest.is_empty()) else { return };
        let offset = (at.max(start) - start) as usize * STEREO;
        if self.samples.len() < offset + samples.len() {
            self.samples.resize(offset + samples.len(), 0.0);
        }
        for (place, sample) in self.samples.iter_mut().skip(offset).zip(samples) {
            *place = *sample;
        }
    }

    fn take(&mut self, from: u64, mix: &mut [f32], audible: bool) {
        let to = from + (mix.len() / STEREO) as u64;
        let skip = ((from.saturating_sub(self.start)) as usize * STEREO).min(self.samples.len());
        self.samples.drain(..skip);
        self.start = self.start.max(from);
        let lead = ((self.start - from) as usize * STEREO).min(mix.len());
        let count = (mix.len() - lead).min(self.samples.len());
        for (sum, sample) in mix[lead..].iter_mut().zip(self.samples.drain(..count)) {
            if audible {
                *sum += sample;
            }
        }
        self.start = self.start.max(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_out_where_they_were_put() {
        let mut ring = Ring::default();
        ring.put(3, &[0.5, 0.5, 0.25, 0.25]);
        let mut mix = [0.0; 8];
        ring.take(0, &mut mix, true);
        assert_eq!(mix, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5]);
        let mut mix = [0.0; 8];
        ring.take(4, &mut mix, true);
        assert_eq!(mix, [0.25, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_comes_after_its_time_is_dropped_and_the_rest_stays_in_place() {
        let mut ring = Ring::default();
        ring.take(0, &mut [0.0; 8], true);
        ring.put(2, &[1.0, 1.0, 1.0, 1.0, 0.5, 0.5]);
        let mut mix = [0.0; 4];
        ring.take(4, &mut mix, true);
        assert_eq!(mix, [0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn silence_takes_no_memory() {
        let mut ring = Ring::default();
        ring.put(1_000_000_000, &[1.0; 4]);
        assert_eq!(ring.samples.len(), 4);
        let mut mix = [0.0; 8];
        ring.take(999_999_998, &mut mix, true);
        assert_eq!(mix, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn what_is_not_audible_passes_by() {
        let mut ring = Ring::default();
        ring.put(0, &[1.0; 8]);
        let mut mix = [0.0; 4];
        ring.take(0, &mut mix, false);
        assert_eq!(mix, [0.0; 4]);
        ring.take(2, &mut mix, true);
        assert_eq!(mix, [1.0; 4]);
    }
}
