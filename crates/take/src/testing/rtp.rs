//! Coded frames to RTP payloads, as browsers send them (VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, AV1, Opus RFC 7587).
//!
//! ```text
//!   frame ──> units (H.264, AV1) ──> parts of at most MAX_PAYLOAD_BYTES, each behind its descriptor
//! ```
//!
//! The last payload of a frame is to be sent with the marker.

use crate::format::Codec;

/// Bytes of a frame in one payload, descriptor not counted.
pub const MAX_PAYLOAD_BYTES: usize = 1_000;

/// Payloads of a frame as takes hold it: VP8 and VP9 picture, AVCC access unit with its parameter sets in place, AV1 temporal
/// unit, Opus packet.
///
/// # Panics
/// If the frame is not what its codec's frames are.
#[must_use]
pub fn payloads(codec: Codec, frame: &[u8]) -> Vec<Vec<u8>> {
    match codec {
        Codec::Vp8 => described(frame, |is_first, _| vec![if is_first { 0x10 } else { 0 }]),
        Codec::Vp9 => {
            let inter = if frame[0] & 0x04 != 0 { 0x40 } else { 0 };
            described(frame, |is_first, is_last| {
                vec![0x80 | inter | bit(is_first, 0x08) | bit(is_last, 0x04), 0x81, 0x23]
            })
        }
        Codec::H264 => h264(&avcc_units(frame)),
        Codec::Av1 => av1(frame),
        Codec::Opus | Codec::Unknown => vec![frame.to_vec()],
    }
}

/// An access unit with the parameter sets of its `avcC` record in front, as browsers send keyframes.
///
/// # Panics
/// If `avcc` is no such record.
#[must_use]
pub fn with_parameter_sets(avcc: &[u8], access_unit: &[u8]) -> Vec<u8> {
    let (mut whole, mut at) = (Vec::new(), 5);
    // Sequence parameter sets, then picture parameter sets (ISO/IEC 14496-15, 5.3.3.1).
    for mask in [0x1f, 0xff] {
        let count = avcc[at] & mask;
        at += 1;
        for _ in 0..count {
            let len = usize::from(u16::from_be_bytes([avcc[at], avcc[at + 1]]));
            whole.extend_from_slice(&(len as u32).to_be_bytes());
            whole.extend_from_slice(&avcc[at + 2..at + 2 + len]);
            at += 2 + len;
        }
    }
    whole.extend_from_slice(access_unit);
    whole
}

/// The payloads of an access unit's NAL units: whole ones, or fragments of one (FU-A).
#[must_use]
pub fn h264(units: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for unit in units {
        if unit.len() <= MAX_PAYLOAD_BYTES {
            payloads.push(unit.to_vec());
            continue;
        }
        let (head, kind) = (unit[0] & 0xe0 | 28, unit[0] & 0x1f);
        payloads.extend(described(&unit[1..], |is_first, is_last| {
            vec![head, bit(is_first, 0x80) | bit(is_last, 0x40) | kind]
        }));
    }
    payloads
}

/// NAL units behind four bytes of length each.
fn avcc_units(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (unit, after) = after.split_at(u32::from_be_bytes(*len) as usize);
        units.push(unit);
        rest = after;
    }
    units
}

/// One unit (OBU) or fragment of one per payload, without sizes and temporal delimiters.
fn av1(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let kind = |unit: &[u8]| unit[0] >> 3 & 15;
    let mut units = Vec::new();
    while !rest.is_empty() {
        let (header, mut len, mut shift, mut at) = (rest[0], 0usize, 0, 1);
        assert_eq!(header & 6, 2, "units with sizes and without extensions");
        loop {
            len |= usize::from(rest[at] & 0x7f) << shift;
            (shift, at) = (shift + 7, at + 1);
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        units.push([&[header & !2], &rest[at..at + len]].concat());
        rest = &rest[at + len..];
    }
    units.retain(|unit| kind(unit) != 2);
    let begins_sequence = kind(&units[0]) == 1;
    let mut payloads = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        payloads.extend(described(unit, |is_first, is_last| {
            let new = begins_sequence && number == 0 && is_first;
            vec![0x10 | bit(!is_first, 0x80) | bit(!is_last, 0x40) | bit(new, 0x08)]
        }));
    }
    payloads
}

/// Parts, each behind a descriptor made from whether it is the first and the last one.
fn described(data: &[u8], descriptor: impl Fn(bool, bool) -> Vec<u8>) -> Vec<Vec<u8>> {
    let parts = data.chunks(MAX_PAYLOAD_BYTES);
    let last = parts.len().saturating_sub(1);
    let described = |(i, part): (usize, &[u8])| [&descriptor(i == 0, i == last), part].concat();
    parts.enumerate().map(described).collect()
}

fn bit(is_set: bool, mask: u8) -> u8 {
    if is_set { mask } else { 0 }
}
