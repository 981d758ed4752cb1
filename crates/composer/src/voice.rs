//! A track's sound: Opus packets in, samples at absolute positions of the take's time line out.
//!
//! ```text
//!   packet (rtp, moment) ──> decoder ──> pacer ──> ring at sample positions ──> added to the mix
//! ```
//!
//! Packets that are joined, by their [`Fate`], follow each other without a seam; the [`Pacer`] bends or hurries them to where the take's
//! clock wants them. Others are placed where the clock says, or where the sound before them ends. A track keeps its voice from its first
//! segment to its last one.
//! Silence is absence: nothing is stored for it. Positions are sample numbers at 48 kHz since the take began.
//!
//! Invariant: a packet is placed, concealed or dropped, and the voice says which; no sample of a placed packet is overwritten, and none is
//! mixed too late as long as packets are given [`EARLY_NS`] before their place is mixed.

use std::collections::VecDeque;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::MulDiv;
use reelroom_take::{Codec, DropReason, Fate, Moment, SegmentOpened, clock::CONCEAL_NS};

use crate::{
    elements::OPUS,
    encode::{CHANNELS, SAMPLE_RATE_HZ},
    error::ComposeError,
    filter::{Caught, Filter},
    pacer::{Pacer, Piece},
    report::TrackReport,
};

const STEREO: usize = CHANNELS as usize;
/// Up to this long a loss is concealed; what is missing beyond it is silence.
const CONCEAL_SAMPLES: u64 = CONCEAL_NS as u64 * SAMPLE_RATE_HZ as u64 / 1_000_000_000;
/// A packet is wanted so long before its place is mixed: what is missing before it is concealed when it comes, sound may be a little
/// earlier than its clock says, and a part of what was given is held back until there is more.
pub const EARLY_NS: u64 = CONCEAL_NS as u64 + 60_000_000;

/// Makes samples (interleaved stereo, 48 kHz) of packets.
pub trait Decode {
    /// The packet's samples, or `None` if it makes no sense.
    fn decode(&mut self, data: Bytes) -> Option<Vec<f32>>;

    /// Samples in place of missing ones, `missing` at most.
    fn conceal(&mut self, missing: u64) -> Vec<f32>;
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is heard.
    Placed,
    /// No decoder could read it: what is before it goes on instead.
    Concealed,
    /// It has no place.
    Dropped(DropReason),
}

/// Decodes and places an audio track.
pub struct Voice<D = OpusDecoder> {
    decoder: Option<D>,
    /// RTP time at which the next packet begins, if it follows the last one.
    next_rtp: Option<u64>,
    pacer: Pacer,
    ring: Ring,
    broken: u64,
    concealed: u64,
}

impl<D> Default for Voice<D> {
    fn default() -> Self {
        Self {
            decoder: None,
            next_rtp: None,
            pacer: Pacer::new(),
            ring: Ring::default(),
            broken: 0,
            concealed: 0,
        }
    }
}

impl<D: Decode> Voice<D> {
    /// The track goes on with another segment, which is decoded by `decoder`; without one its packets cannot be.
    pub fn open(&mut self, decoder: Option<D>) {
        self.decoder = decoder;
        self.next_rtp = None;
    }

    /// Decodes the packet that begins at `rtp` (48 kHz ticks) and belongs to `moment`.
    pub fn push(&mut self, data: Bytes, rtp: u64, moment: Moment) -> Outcome {
        let missing = self.next_rtp.map(|next| rtp.saturating_sub(next));
        let wanted = position(moment.at_ns) as i64;
        match (moment.fate, missing) {
            (Fate::Dropped(reason), _) => {
                self.next_rtp = None;
                return Outcome::Dropped(reason);
            }
            (Fate::Joined, Some(missing)) if missing <= CONCEAL_SAMPLES => {
                self.conceal(missing);
                self.pacer.follow(wanted);
            }
            _ => {
                let tail = self.pacer.restart(wanted);
                self.keep(tail);
            }
        }
        let Some(decoder) = &mut self.decoder else { return Outcome::Dropped(DropReason::UnknownCodec) };
        match decoder.decode(data).filter(|samples| !samples.is_empty()) {
            Some(samples) => {
                self.play(&samples);
                self.next_rtp = Some(rtp + (samples.len() / STEREO) as u64);
                Outcome::Placed
            }
            None => {
                self.broken += 1;
                // As if it had been lost.
                self.next_rtp = Some(rtp);
                Outcome::Concealed
            }
        }
    }

    fn play(&mut self, samples: &[f32]) {
        let piece = self.pacer.push(samples);
        self.keep(piece);
    }

    fn keep(&mut self, piece: Option<Piece>) {
        if let Some(piece) = piece {
            self.ring.put(piece.position, &piece.samples);
        }
    }

    fn conceal(&mut self, missing: u64) {
        let Some(decoder) = self.decoder.as_mut().filter(|_| missing > 0) else { return };
        let mut samples = decoder.conceal(missing);
        self.concealed += (samples.len() as u64 / STEREO as u64).min(missing);
        // What the decoder did not conceal stays silent.
        samples.resize(missing as usize * STEREO, 0.0);
        self.play(&samples);
    }

    /// Adds the sound from sample `from` on to `mix` (interleaved), unless it is not `audible`; forgets everything up to its end.
    pub fn mix(&mut self, from: u64, mix: &mut [f32], audible: bool) {
        let to = from + (mix.len() / STEREO) as u64;
        if self.pacer.next() < to as i64 && self.pacer.position() > self.pacer.next() {
            // Nothing follows what is held back, or it would be here.
            let tail = self.pacer.finish();
            self.keep(tail);
        }
        self.ring.take(from, mix, audible);
    }

    /// Counts from 0 again.
    pub(crate) fn count_anew(&mut self) {
        (self.broken, self.concealed, self.ring.lost) = (0, 0, 0);
        self.pacer.count_anew();
    }

    /// Everything up to here was mixed, or is silence.
    #[must_use]
    pub fn is_silent_from(&self, position: u64) -> bool {
        self.pacer.position() <= position as i64 && self.ring.end() <= position
    }

    /// Adds what was counted.
    pub(crate) fn tally(&self, report: &mut TrackReport) {
        report.broken += self.broken();
        report.concealed_samples += self.concealed();
        report.shortened_samples += self.shortened();
        report.lengthened_samples += self.lengthened();
        report.lost_samples += self.lost();
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

    /// Samples by which sound was shortened because it was late.
    #[must_use]
    pub fn shortened(&self) -> u64 {
        self.pacer.shortened()
    }

    /// Samples by which sound was lengthened because it was early.
    #[must_use]
    pub fn lengthened(&self) -> u64 {
        self.pacer.lengthened()
    }

    /// Samples that came after their place had been mixed, and are missing: none, unless something is wrong here.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.ring.lost
    }
}

/// Decodes Opus.
pub struct OpusDecoder {
    filter: Filter,
    caps: gst::Caps,
    /// Samples that went in.
    fed: u64,
}

impl OpusDecoder {
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
        let filter = Filter::new(OPUS.factory, OPUS.package, wanted, |element| {
            use gst::prelude::*;
            crate::video::forgive(element);
            element.set_property("plc", true);
        })?;
        let caps = gst::Caps::builder("audio/x-opus")
            .field("channel-mapping-family", 0i32)
            .field("rate", SAMPLE_RATE_HZ as i32)
            .field("channels", CHANNELS as i32)
            .build();
        Ok(Some(Self { filter, caps, fed: 0 }))
    }

    fn time(&self) -> gst::ClockTime {
        gst::ClockTime::SECOND
            .mul_div_round(self.fed, u64::from(SAMPLE_RATE_HZ))
            .unwrap_or(gst::ClockTime::ZERO)
    }
}

impl Decode for OpusDecoder {
    fn decode(&mut self, data: Bytes) -> Option<Vec<f32>> {
        let mut buffer = gst::Buffer::from_slice(data);
        let at = self.time();
        buffer.get_mut().expect("a new buffer has one owner").set_pts(at);
        match self.filter.push(buffer, &self.caps) {
            Ok(caught) => {
                let samples = samples_of(&caught);
                self.fed += (samples.len() / STEREO) as u64;
                Some(samples)
            }
            Err(refused) => {
                tracing::debug!(%refused, "an Opus packet could not be decoded");
                None
            }
        }
    }

    fn conceal(&mut self, missing: u64) -> Vec<f32> {
        let duration = gst::ClockTime::SECOND.mul_div_round(missing, u64::from(SAMPLE_RATE_HZ));
        let Some(duration) = duration else { return Vec::new() };
        let samples = samples_of(&self.filter.gap(self.time(), duration));
        self.fed += missing;
        samples
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
    /// Frames that were put where everything has been taken.
    lost: u64,
}

impl Ring {
    fn end(&self) -> u64 {
        self.start + (self.samples.len() / STEREO) as u64
    }

    /// Puts samples at `at`, behind what is there. What lies before the ring's start has been played, and is lost.
    fn put(&mut self, at: i64, samples: &[f32]) {
        if self.samples.is_empty() {
            // No silence is stored in front of what comes next.
            self.start = self.start.max(u64::try_from(at).unwrap_or(0));
        }
        let start = self.start as i64;
        let skip = usize::try_from(start - at).unwrap_or(0);
        self.lost += skip.min(samples.len() / STEREO) as u64;
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
    fn what_comes_after_its_time_is_counted_and_the_rest_stays_in_place() {
        let mut ring = Ring::default();
        ring.take(0, &mut [0.0; 8], true);
        ring.put(2, &[1.0, 1.0, 1.0, 1.0, 0.5, 0.5]);
        let mut mix = [0.0; 4];
        ring.take(4, &mut mix, true);
        assert_eq!((mix, ring.lost), ([0.5, 0.5, 0.0, 0.0], 2));
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
