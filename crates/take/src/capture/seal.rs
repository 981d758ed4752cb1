//! Finds media that are end-to-end encrypted although nobody announced it.
//!
//! ```text
//!   LiveKit's frames   header in clear | cipher text, tag (16) | IV (12) | 12 | key index
//!   without any mark   an Opus packet whose first byte is encrypted too: its length makes no sense
//! ```
//!
//! A decoder makes loud noise of encrypted sound, and garbage of encrypted pictures. So a frame that looks encrypted waits until it
//! is known what it is: one that does not shows that the others only looked like it, several in a row leave no doubt. Streams that
//! are not encrypted wait for nothing: one frame in thousands looks as if it were. Pure.

use std::collections::{BTreeSet, VecDeque};

use super::assemble::RawFrame;
use crate::format::Codec;

/// A header of one byte, the tag, the IV, its length and the key's index.
const LEAST_LEN: usize = 1 + 16 + 12 + 2;
const IV_LEN: u8 = 12;
/// Clients keep 16 keys; some are set up to keep more.
const MAX_KEYS: u8 = 32;
/// So many frames in a row that look encrypted are. By chance they would in one stream of 2^88.
const SURE_AFTER: usize = 8;
/// So many that do not look encrypted show that the others are over.
const CLEAR_AFTER: usize = 4;
/// What waits is judged by what there is after this time: the next frame may be minutes away.
const JUDGE_AFTER_NS: u64 = 1_000_000_000;
/// Of this many Opus packets ...
const LENGTHS_SEEN: u32 = 16;
/// ... so many are longer than the time until the next one, where their first bytes are encrypted: a real one never is.
const LENGTHS_WRONG: u32 = 5;
/// A sender whose RTP clock runs wrong sends packets of a few kinds; encrypted first bytes are of so many kinds among these packets.
const KINDS_SENSELESS: usize = 6;

/// What the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not encrypted, as far as is known.
    Clear,
    /// Encrypted: nothing of it comes out.
    Sealed,
}

/// What becomes of frames.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// They come out.
    pub(super) clear: Vec<RawFrame>,
    /// From this arrival on the stream is left out.
    pub(super) sealed_from_ns: Option<u64>,
    /// It comes out again; so many frames were left out.
    pub(super) opened: Option<u64>,
}

/// Judges the frames of one stream.
#[derive(Debug)]
pub(super) struct Seal {
    codec: Codec,
    state: State,
    /// Frames that look as the stream does not, so far.
    held: VecDeque<RawFrame>,
    held_since_ns: u64,
    was_clear: bool,
    left_out: u64,
    lengths: Lengths,
}

/// How long Opus packets say they are, against the time to the next one.
#[derive(Debug, Default)]
struct Lengths {
    last: Option<(u64, u64)>,
    /// A bit for each of the last packets: it is too long. The newest one is the lowest.
    wrong: u16,
    /// Arrivals and first bytes of the last ones, the newest last.
    seen: VecDeque<(u64, Option<u8>)>,
}

/// Whether a frame ends as LiveKit's encrypted ones do.
pub(super) fn is_sealed(frame: &[u8]) -> bool {
    matches!(frame, [.., IV_LEN, key] if *key < MAX_KEYS) && frame.len() >= LEAST_LEN
}

impl Seal {
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            codec,
            state: State::Clear,
            held: VecDeque::new(),
            held_since_ns: 0,
            was_clear: false,
            left_out: 0,
            lengths: Lengths::default(),
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Arrival of the oldest frame that waits.
    pub(super) fn at_ns(&self) -> Option<u64> {
        self.held.iter().map(|frame| frame.at_ns).min()
    }

    /// Takes the next frame.
    pub(super) fn judge(&mut self, now_ns: u64, frame: RawFrame) -> Judged {
        let senseless_from_ns = match self.codec {
            Codec::Opus => self.lengths.push(&frame),
            _ => None,
        };
        if self.state == State::Clear
            && let Some(from_ns) = senseless_from_ns
        {
            self.held.push_back(frame);
            return self.seal(from_ns);
        }
        // Nothing of a stream that makes no sense looks as if it were in order.
        let looks_sealed = frame.sealed || (self.state == State::Sealed && self.lengths.wrong != 0);
        if looks_sealed == (self.state == State::Sealed) {
            return self.as_before(frame);
        }
        if self.held.is_empty() {
            self.held_since_ns = now_ns;
        }
        self.held.push_back(frame);
        match self.state {
            State::Clear if self.held.len() >= SURE_AFTER => self.seal_held(),
            State::Sealed if self.held.len() >= CLEAR_AFTER => self.open(),
            _ => Judged::default(),
        }
    }

    /// Judges what has waited for long.
    pub(super) fn tick(&mut self, now_ns: u64) -> Judged {
        if self.held.is_empty() || now_ns < self.held_since_ns.saturating_add(JUDGE_AFTER_NS) {
            return Judged::default();
        }
        match self.state {
            // One may look like it by chance; the first of all may not: what is not known must not be heard.
            State::Clear if self.was_clear && self.held.len() == 1 => self.release(),
            State::Clear => self.seal_held(),
            State::Sealed => self.open(),
        }
    }

    /// Nothing more comes. How many frames were left out since the last time, if the stream is encrypted.
    pub(super) fn finish(&mut self) -> Judged {
        let mut judged = match self.state {
            State::Clear if self.held.is_empty() => return Judged::default(),
            State::Clear if self.was_clear && self.held.len() == 1 => return self.release(),
            State::Clear => self.seal_held(),
            State::Sealed => Judged::default(),
        };
        self.left_out += self.held.len() as u64;
        self.held.clear();
        judged.opened = Some(std::mem::take(&mut self.left_out));
        judged
    }

    fn as_before(&mut self, frame: RawFrame) -> Judged {
        match self.state {
            State::Clear => {
                self.was_clear = true;
                let mut judged = self.release();
                judged.clear.push(frame);
                judged
            }
            State::Sealed => {
                self.left_out += 1 + self.held.len() as u64;
                self.held.clear();
                Judged::default()
            }
        }
    }

    fn release(&mut self) -> Judged {
        Judged { clear: self.held.drain(..).collect(), ..Judged::default() }
    }

    fn seal_held(&mut self) -> Judged {
        let from_ns = self.at_ns().unwrap_or(self.held_since_ns);
        self.seal(from_ns)
    }

    fn seal(&mut self, from_ns: u64) -> Judged {
        self.state = State::Sealed;
        self.left_out = self.held.len() as u64;
        self.held.clear();
        Judged { sealed_from_ns: Some(from_ns), ..Judged::default() }
    }

    fn open(&mut self) -> Judged {
        self.state = State::Clear;
        self.was_clear = true;
        let opened = Some(std::mem::take(&mut self.left_out));
        Judged { opened, ..self.release() }
    }
}

impl Lengths {
    /// From which arrival on packets make no sense, if they do not.
    fn push(&mut self, frame: &RawFrame) -> Option<u64> {
        let is_wrong = match self.last.replace((frame.rtp, opus_ticks(&frame.data))) {
            Some((rtp, ticks)) if frame.rtp > rtp => ticks > frame.rtp - rtp,
            // Another time line.
            _ => false,
        };
        self.wrong = self.wrong << 1 | u16::from(is_wrong);
        self.seen.push_back((frame.at_ns, frame.data.first().copied()));
        if self.seen.len() > LENGTHS_SEEN as usize {
            self.seen.pop_front();
        }
        let is_senseless = self.wrong.count_ones() >= LENGTHS_WRONG && self.kinds() >= KINDS_SENSELESS;
        is_senseless.then(|| self.seen.front().map(|(at_ns, _)| *at_ns)).flatten()
    }

    /// How many first bytes differ from each other.
    fn kinds(&self) -> usize {
        self.seen.iter().map(|(_, first)| first).collect::<BTreeSet<_>>().len()
    }
}

/// How long an Opus packet sounds, in ticks of 48 kHz; one that cannot be is endless (RFC 6716, 3).
fn opus_ticks(packet: &[u8]) -> u64 {
    const NEVER: u64 = u64::MAX;
    let Some(&toc) = packet.first() else { return NEVER };
    let frame = match toc >> 3 {
        config @ 0..12 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        config @ 12..16 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let count = match (toc & 3, packet.get(1)) {
        (0, _) => 1,
        (1 | 2, _) => 2,
        (_, Some(count)) => u64::from(count & 0x3f),
        (_, None) => return NEVER,
    };
    // No packet is longer than 120 ms.
    if count == 0 || frame * count > 5_760 { NEVER } else { frame * count }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::assemble::Entry;
    use super::*;

    const MS: u64 = 1_000_000;

    fn frame(number: u64, data: Vec<u8>) -> RawFrame {
        RawFrame {
            packets: 1,
            rtp: number * 960,
            at_ns: number * 20 * MS,
            entry: Entry::Reset,
            sealed: is_sealed(&data),
            data,
            dimensions: None,
            codec_private: None,
        }
    }

    /// 20 ms of Opus, and something behind it.
    fn clear(number: u64) -> RawFrame {
        frame(number, vec![0xfc, 1, 2, number as u8, 3])
    }

    fn sealed(number: u64) -> RawFrame {
        let mut data = vec![0xfc; 60];
        data.extend([12, 3]);
        frame(number, data)
    }

    /// Which frames came out, and how often the stream was left out and taken in.
    fn run(seal: &mut Seal, frames: impl IntoIterator<Item = RawFrame>) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
        let (mut out, mut from, mut opened) = (Vec::new(), Vec::new(), Vec::new());
        for frame in frames {
            let now = frame.at_ns;
            for judged in [seal.judge(now, frame), seal.tick(now)] {
                out.extend(judged.clear.iter().map(|frame| frame.rtp / 960));
                from.extend(judged.sealed_from_ns.map(|ns| ns / (20 * MS)));
                opened.extend(judged.opened);
            }
        }
        (out, from, opened)
    }

    #[test]
    fn nothing_of_an_encrypted_stream_comes_out() {
        let mut seal = Seal::new(Codec::Opus);
        let (out, from, _) = run(&mut seal, (0..100).map(sealed));
        assert_eq!((out, from), (vec![], vec![0]));
        assert_eq!(seal.finish().opened, Some(100));
    }

    #[test]
    fn a_stream_that_is_encrypted_for_a_while_is_left_out_for_that_while() {
        let mut seal = Seal::new(Codec::Opus);
        let frames =
            (0..150).map(|number| if (50..90).contains(&number) { sealed(number) } else { clear(number) });
        let (out, from, opened) = run(&mut seal, frames);
        assert_eq!(out, (0..50).chain(90..150).collect::<Vec<_>>());
        assert_eq!((from, opened), (vec![50], vec![40]));
    }

    #[test]
    fn frames_that_look_encrypted_by_chance_come_out() {
        let mut seal = Seal::new(Codec::Vp8);
        let frames = (0..100).map(|number| if number % 9 > 2 { sealed(number) } else { clear(number) });
        let (out, from, _) = run(&mut seal, frames);
        assert_eq!(
            (out, from),
            ((0..100).take_while(|number| number % 9 <= 2 || *number < 99).collect(), vec![])
        );
        // A picture that stands for minutes is not waited for.
        let mut seal = Seal::new(Codec::Vp8);
        assert_eq!(run(&mut seal, [clear(0)]).0, [0]);
        assert_eq!(run(&mut seal, [sealed(1)]).0, [] as [u64; 0]);
        assert_eq!(seal.at_ns(), Some(20 * MS));
        assert_eq!(seal.tick(1_100 * MS).clear.len(), 1);
    }

    #[test]
    fn a_lone_frame_that_looks_encrypted_is_not_trusted_before_a_clear_one() {
        let mut seal = Seal::new(Codec::Vp8);
        assert!(run(&mut seal, [sealed(0)]).0.is_empty());
        assert_eq!(seal.tick(1_100 * MS).sealed_from_ns, Some(0));
        assert_eq!(run(&mut seal, (60..70).map(clear)).0, (60..70).collect::<Vec<_>>());
    }

    #[test]
    fn sound_whose_first_byte_is_encrypted_makes_no_sense() {
        // A generator of bytes that look random.
        let mut state = 7u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let mut seal = Seal::new(Codec::Opus);
        let frames: Vec<_> =
            (0..500).map(|number| frame(number, (0..50).map(|_| random()).collect())).collect();
        let (out, from, opened) = run(&mut seal, frames);
        assert!(out.len() < 25 && from == [0] && opened.is_empty(), "{out:?} {from:?} {opened:?}");
        // A sender whose clock counts 16,000 a second is no secret.
        let mut seal = Seal::new(Codec::Opus);
        let slow = (0..300u64).map(|number| RawFrame {
            rtp: number * 320,
            ..frame(number, vec![if number % 9 < 6 { 0x78 } else { 0x70 }, 1, 2])
        });
        assert_eq!(run(&mut seal, slow).1, [] as [u64; 0]);
        // Real sound of any length, with pauses, always does.
        for toc in [0x08u8, 0x48, 0x78, 0xe0, 0xf8, 0xfc, 0xf9] {
            let mut seal = Seal::new(Codec::Opus);
            let step = opus_ticks(&[toc]);
            let frames = (0..300u64).map(|number| RawFrame {
                rtp: number * step + number / 50 * 19_200,
                ..frame(number, vec![toc, 1, 2])
            });
            assert_eq!(run(&mut seal, frames).1, [] as [u64; 0], "{toc:x}");
        }
    }
}
