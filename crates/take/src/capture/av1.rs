//! AV1 over RTP (AOM's "RTP Payload Format For AV1"). Out come temporal units as Matroska wants them: no temporal delimiter, every
//! unit (OBU) with its size; a sequence header is added to keyframes that lack it.

use reelroom_limits::media::FRAME_BYTES;

use super::bits::Bits;

const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
/// The matrix coefficients, primaries and transfer of RGB (AV1 specification, 6.4.2).
const RGB: [u32; 3] = [1, 13, 0];

/// A whole temporal unit.
pub(super) struct TemporalUnit {
    pub(super) keyframe: bool,
    pub(super) data: Vec<u8>,
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) codec_private: Option<Vec<u8>>,
}

/// The sequence header seen, and the unit in fragments.
#[derive(Debug, Default)]
pub(super) struct Depacketizer {
    /// With header and size, as in the stream.
    sequence: Vec<u8>,
    fragment: Option<Vec<u8>>,
}

/// The payload goes on with a unit of the packet before it (Z).
pub(super) fn continues(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0x80 != 0)
}

/// Nothing of its temporal unit stands in front of the payload: it is said to begin a coded video sequence (N), or it begins with a
/// unit that stands in front of all others.
pub(super) fn begins_sequence(payload: &[u8]) -> bool {
    let Some((first, mut rest)) = payload.split_first() else { return false };
    if first & 0x88 != 0 {
        return first & 0x80 == 0;
    }
    let has_len = first >> 4 & 3 != 1;
    let unit = if has_len && leb128(&mut rest).is_none() { None } else { rest.first() };
    unit.is_some_and(|header| matches!(header >> 3 & 15, SEQUENCE_HEADER | TEMPORAL_DELIMITER))
}

impl Depacketizer {
    pub(super) fn abandon_fragment(&mut self) {
        self.fragment = None;
    }

    /// A unit is unfinished.
    pub(super) fn is_open(&self) -> bool {
        self.fragment.is_some()
    }

    /// Appends a payload's units to the temporal unit `out`. `None` if the payload makes no sense here.
    pub(super) fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (&header, mut rest) = payload.split_first()?;
        let (continues, is_continued) = (header & 0x80 != 0, header & 0x40 != 0);
        if continues != self.fragment.is_some() {
            return None;
        }
        let count = usize::from(header >> 4 & 3);
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let len = if number == count { rest.len() } else { leb128(&mut rest)? };
            let (element, after) = rest.split_at_checked(len)?;
            rest = after;
            let mut unit = self.fragment.take().unwrap_or_default();
            unit.extend_from_slice(element);
            if rest.is_empty() && is_continued {
                if unit.len() > FRAME_BYTES {
                    return None;
                }
                self.fragment = Some(unit);
            } else {
                append(&unit, out)?;
            }
        }
        Some(())
    }

    /// Closes a temporal unit. `None` if it is empty, unfinished, or a keyframe without a sequence header.
    pub(super) fn complete(&mut self, data: Vec<u8>) -> Option<TemporalUnit> {
        if self.fragment.take().is_some() || data.is_empty() {
            return None;
        }
        let (mut keyframe, mut has_sequence) = (false, false);
        let mut rest = &data[..];
        while !rest.is_empty() {
            let whole = rest;
            let unit = next_unit(&mut rest)?;
            match unit.kind {
                SEQUENCE_HEADER => {
                    has_sequence = true;
                    self.sequence = whole[..whole.len() - rest.len()].to_vec();
                }
                // show_existing_frame 0, frame_type KEY_FRAME (5.9.2).
                FRAME_HEADER | FRAME => keyframe |= unit.payload.first()? & 0xe0 == 0,
                _ => {}
            }
        }
        if !keyframe {
            return Some(TemporalUnit { keyframe, data, dimensions: None, codec_private: None });
        }
        let mut header = &self.sequence[..];
        let sequence = Sequence::parse(next_unit(&mut header)?.payload)?;
        let data = if has_sequence { data } else { [&self.sequence[..], &data].concat() };
        Some(TemporalUnit {
            keyframe,
            data,
            dimensions: Some((sequence.width, sequence.height)),
            codec_private: Some([&sequence.configuration[..], &self.sequence].concat()),
        })
    }
}

struct Unit<'a> {
    kind: u8,
    payload: &'a [u8],
}

/// The next unit, which has a size (5.3).
fn next_unit<'a>(rest: &mut &'a [u8]) -> Option<Unit<'a>> {
    let &header = rest.first()?;
    *rest = rest.get(if header & 4 != 0 { 2 } else { 1 }..)?;
    let len = leb128(rest)?;
    let (payload, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(Unit { kind: header >> 3 & 15, payload })
}

/// Appends a unit with its size, unless files have no place for its kind.
fn append(unit: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let &header = unit.first()?;
    let head = if header & 4 != 0 { 2 } else { 1 };
    let mut payload = unit.get(head..)?;
    if header & 2 != 0 {
        let len = leb128(&mut payload)?;
        payload = payload.get(..len)?;
    }
    if header & 0x80 != 0 {
        return None;
    }
    if matches!(header >> 3 & 15, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
        return Some(());
    }
    out.push(header | 2);
    out.extend_from_slice(&unit[1..head]);
    let mut len = payload.len();
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(payload);
    Some(())
}

/// A number of seven bits per byte, lowest first (4.10.5).
fn leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..56).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// What a container wants to know of a sequence header.
struct Sequence {
    width: u32,
    height: u32,
    /// `AV1CodecConfigurationRecord` without the units behind it ("AV1 Codec ISO Media File Format Binding", 2.3.3).
    configuration: [u8; 4],
}

impl Sequence {
    /// Reads a sequence header's payload (5.5).
    fn parse(payload: &[u8]) -> Option<Self> {
        let mut bits = Bits::at(payload, 0);
        let profile = bits.number(3)?;
        bits.skip(1)?;
        let reduced = bits.flag()?;
        let (level, tier) = if reduced { (bits.number(5)?, 0) } else { operating_points(&mut bits)? };
        let (width_bits, height_bits) = (bits.number(4)? + 1, bits.number(4)? + 1);
        let (width, height) = (bits.number(width_bits)? + 1, bits.number(height_bits)? + 1);
        if !reduced && bits.flag()? {
            bits.skip(7)?;
        }
        bits.skip(3)?;
        if !reduced {
            tools(&mut bits)?;
        }
        bits.skip(3)?;
        let colour = colour(&mut bits, profile)?;
        let configuration = [0x81, (profile << 5 | level) as u8, (tier << 7) as u8 | colour, 0];
        Some(Self { width, height, configuration })
    }
}

/// Level and tier of the first operating point (5.5.1).
fn operating_points(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(64)?;
        if bits.flag()? {
            bits.ue()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.number(5)? + 1);
            bits.skip(42)?;
        }
    }
    let has_initial_delay = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.number(5)? {
        bits.skip(12)?;
        let level = bits.number(5)?;
        let tier = if level > 7 { bits.bit()? } else { 0 };
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?;
        }
        if has_initial_delay && bits.flag()? {
            bits.skip(4)?;
        }
        first.get_or_insert((level, tier));
    }
    first
}

/// Passes the switches of coding tools (5.5.1).
fn tools(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(4)?;
    let order_hints = bits.flag()?;
    if order_hints {
        bits.skip(2)?;
    }
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1)?;
    }
    if order_hints {
        bits.skip(3)?;
    }
    Some(())
}

/// The configuration's bits for depth and chroma (5.5.2): high_bitdepth, twelve_bit, monochrome, subsampling x, y, position.
fn colour(bits: &mut Bits<'_>, profile: u32) -> Option<u8> {
    let high = bits.bit()?;
    let twelve = if profile == 2 && high == 1 { bits.bit()? } else { 0 };
    let grey = if profile == 1 { 0 } else { bits.bit()? };
    let mut description = [2, 2, 2];
    if bits.flag()? {
        for value in &mut description {
            *value = bits.number(8)?;
        }
    }
    let (mut x, mut y, mut position) = (1, 1, 0);
    if grey == 1 {
        bits.skip(1)?;
    } else if description == RGB {
        (x, y) = (0, 0);
    } else {
        bits.skip(1)?;
        if profile == 1 {
            (x, y) = (0, 0);
        } else if profile >= 2 {
            (x, y) = (1, 0);
            if twelve == 1 {
                x = bits.bit()?;
                y = if x == 1 { bits.bit()? } else { 0 };
            }
        }
        if (x, y) == (1, 1) {
            position = bits.number(2)?;
        }
    }
    Some((high << 6 | twelve << 5 | grey << 4 | x << 3 | y << 2 | position) as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn units_in_fragments_are_put_together_and_get_their_size() {
        let (mut av1, mut out) = (Depacketizer::default(), Vec::new());
        // A temporal delimiter with its length, then the beginning of a frame; then its end.
        av1.push(&[0x40, 1, 0x10, 3, 0x30, 0x20, 7], &mut out).unwrap();
        assert!(av1.fragment.is_some() && out.is_empty());
        av1.push(&[0x90, 8, 9], &mut out).unwrap();
        assert_eq!(out, [0x32, 4, 0x20, 7, 8, 9]);
        let unit = av1.complete(out).unwrap();
        assert!(!unit.keyframe, "an inter frame");
    }

    #[test]
    fn a_continuation_of_nothing_and_an_unfinished_unit_are_refused() {
        let mut av1 = Depacketizer::default();
        assert!(av1.push(&[0x90, 1, 2], &mut Vec::new()).is_none());
        let mut out = Vec::new();
        av1.push(&[0x50, 0x30, 0x20], &mut out).unwrap();
        assert!(av1.complete(vec![0x32, 1, 0x20]).is_none());
        assert!(av1.push(&[0x10, 0x30, 0x20], &mut out).is_some(), "the next one is taken");
    }

    #[test]
    fn a_keyframe_needs_a_sequence_header() {
        let mut av1 = Depacketizer::default();
        assert!(av1.complete(vec![0x32, 1, 0x10]).is_none());
        // Profile 0, level 8 (reduced form), 64x48.
        let sequence = [0x0a, 5, 0b0000_1010, 0b0001_0101, 0b0111_1111, 0b1011_1100, 0b0000_0000];
        let mut whole = sequence.to_vec();
        whole.extend_from_slice(&[0, 0]);
        whole[1] = 7;
        let unit = av1.complete([&whole[..], &[0x32, 1, 0x10]].concat()).unwrap();
        assert!(unit.keyframe);
        assert_eq!(unit.dimensions, Some((64, 48)));
        let later = av1.complete(vec![0x32, 1, 0x10]).unwrap();
        assert_eq!(later.data, unit.data, "a keyframe without the header gets the last one");
    }
}
