//! H.264 over RTP (RFC 6184), packetization modes 0 and 1: single NAL units, STAP-A, FU-A. Out come access units with 4-byte
//! lengths (AVCC, ISO/IEC 14496-15), parameter sets kept in place and added to keyframes that lack them.
//!
//! A decoder can begin at an IDR picture, and at one that a recovery point (D.2.8) says is as good: encoders that spread their
//! keyframes over many pictures send no IDR picture after the first. What interleaved mode (2) sends is not read: it needs to be
//! negotiated, and nobody here does.

use super::{
    bits::Bits,
    parameter_sets::{PPS, ParameterSets, SPS, SliceHead},
    sps,
};

const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
/// `payloadType` of a recovery point (D.1.1).
const RECOVERY_POINT: usize = 6;
/// Parameter sets that come in access units of their own wait for the next picture; so much at most.
const MAX_CARRIED_BYTES: usize = 4_096;

/// Where a decoder can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// Not here.
    No,
    /// All slices are intra coded, but nothing says that later pictures do without the earlier ones.
    Perhaps,
    /// A recovery point.
    Yes,
    /// An IDR picture: nothing that follows is shown before it.
    Reset,
}

/// A whole access unit.
pub(super) struct AccessUnit {
    pub(super) entry: Entry,
    pub(super) data: Vec<u8>,
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) codec_private: Option<Vec<u8>>,
}

/// It cannot be used: unfinished, or a keyframe whose parameter sets nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusable;

/// The parameter sets seen, and the NAL unit in fragments.
#[derive(Debug, Default)]
pub(super) struct Depacketizer {
    sets: ParameterSets,
    /// Keyframes come without their parameter sets: an access unit may begin with a slice.
    bare: bool,
    /// Parameter sets that came alone, with their lengths.
    carried: Vec<u8>,
    /// Where the fragmented NAL unit's length stands in the access unit.
    fragment_at: Option<usize>,
}

/// The first byte of the first NAL unit in a payload, and what follows it.
fn first_unit(payload: &[u8]) -> Option<(u8, &[u8])> {
    let kind = payload.first()? & 0x1f;
    match kind {
        STAP_A => Some((payload.get(3)? & 0x1f, payload.get(3..)?)),
        // The fragment's header stands where a whole unit has its first byte.
        FU_A if payload.get(1)? & 0x80 != 0 => Some((payload[1] & 0x1f, payload.get(1..)?)),
        _ => Some((kind, payload)),
    }
}

/// The payload goes on with a picture that has begun: a later slice, or a later fragment.
pub(super) fn goes_on(payload: &[u8]) -> bool {
    match first_unit(payload) {
        // The number of the slice's first macroblock is not 0: its code does not begin with a 1.
        Some((SLICE | IDR, unit)) => unit.get(1).is_some_and(|byte| byte & 0x80 == 0),
        Some((FU_A, _)) => true,
        _ => false,
    }
}

/// The payload begins with supplemental information, in front of which only a delimiter or parameter sets of its access unit can stand.
pub(super) fn begins_with_information(payload: &[u8]) -> bool {
    first_unit(payload).is_some_and(|(kind, _)| kind == SEI)
}

/// Whether a sequence parameter set is among these NAL units with their lengths.
pub(super) fn has_sequence_set(mut data: &[u8]) -> bool {
    while let Some((len, after)) = data.split_first_chunk::<4>() {
        let Some((unit, rest)) = after.split_at_checked(u32::from_be_bytes(*len) as usize) else {
            return false;
        };
        if unit.first().is_some_and(|header| header & 0x1f == SPS) {
            return true;
        }
        data = rest;
    }
    false
}

impl Depacketizer {
    pub(super) fn abandon_fragment(&mut self) {
        self.fragment_at = None;
    }

    /// A NAL unit is unfinished.
    pub(super) fn is_open(&self) -> bool {
        self.fragment_at.is_some()
    }

    /// A parameter set that is known from elsewhere; what the stream says itself is newer.
    pub(super) fn learn(&mut self, unit: &[u8]) {
        self.sets.keep(unit);
        self.bare = true;
    }

    /// Nothing of the access unit can stand in front of this payload.
    pub(super) fn begins_access_unit(&self, payload: &[u8]) -> bool {
        match first_unit(payload) {
            Some((SPS | DELIMITER, _)) => true,
            Some((SEI | PPS, _)) => self.bare,
            Some((SLICE | IDR, _)) => self.bare && !goes_on(payload),
            _ => false,
        }
    }

    /// Appends a payload's NAL units to the access unit `out`. `None` if the payload makes no sense here.
    pub(super) fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (&header, rest) = payload.split_first()?;
        let kind = header & 0x1f;
        if kind != FU_A && self.fragment_at.take().is_some() {
            return None;
        }
        match kind {
            FILLER => {}
            1..=23 => append(out, payload),
            STAP_A => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let len = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
                    let unit = rest.get(2..2 + len)?;
                    if !unit.is_empty() {
                        append(out, unit);
                    }
                    rest = &rest[2 + len..];
                }
            }
            FU_A => {
                let (&fragment, content) = rest.split_first()?;
                let (start, end) = (fragment & 0x80 != 0, fragment & 0x40 != 0);
                if start {
                    if self.fragment_at.is_some() {
                        return None;
                    }
                    self.fragment_at = Some(out.len());
                    out.extend_from_slice(&[0; 4]);
                    out.push(header & 0xe0 | fragment & 0x1f);
                }
                let at = self.fragment_at?;
                out.extend_from_slice(content);
                if end {
                    let len = u32::try_from(out.len().checked_sub(at + 4)?).ok()?;
                    out.get_mut(at..at + 4)?.copy_from_slice(&len.to_be_bytes());
                    self.fragment_at = None;
                }
            }
            // Interleaved mode: the order in which its units decode is not that in which they come.
            STAP_B..=FU_B => return None,
            // Reserved; to be ignored.
            _ => {}
        }
        Some(())
    }

    /// Closes an access unit. `Ok(None)` if there is no picture in it.
    pub(super) fn complete(&mut self, data: Vec<u8>) -> Result<Option<AccessUnit>, Unusable> {
        if self.fragment_at.take().is_some() {
            return Err(Unusable);
        }
        // Filler alone.
        if data.is_empty() {
            return Ok(None);
        }
        let data = match std::mem::take(&mut self.carried) {
            carried if carried.is_empty() => data,
            mut carried => {
                carried.extend_from_slice(&data);
                carried
            }
        };
        let found = self.look_at(&data).ok_or(Unusable)?;
        let Some(entry) = found.entry() else {
            if found.has_sequence_set || found.has_picture_set {
                self.carry(&data);
            }
            return Ok(None);
        };
        let plain = |data| AccessUnit { entry: Entry::No, data, dimensions: None, codec_private: None };
        if entry == Entry::No {
            return Ok(Some(plain(data)));
        }
        let active = match found.picture_set {
            Some(id) => self.sets.active(id),
            None => self.sets.only(),
        };
        let Some(active) = active else {
            // Only an IDR picture is certain to be of no use without them.
            return if entry == Entry::Reset { Err(Unusable) } else { Ok(Some(plain(data))) };
        };
        let mut missing = Vec::new();
        if !found.has_sequence_set {
            append(&mut missing, active.sequence);
        }
        if !found.has_picture_set {
            active.picture.iter().for_each(|set| append(&mut missing, set));
        }
        let (dimensions, codec_private) = (sps::dimensions(active.sequence), Some(active.avcc()));
        self.bare |= !found.has_sequence_set;
        // A delimiter stays in front.
        let at = if found.delimiter_len < data.len() { found.delimiter_len } else { 0 };
        let whole = if missing.is_empty() { data } else { [&data[..at], &missing, &data[at..]].concat() };
        Ok(Some(AccessUnit { entry, data: whole, dimensions, codec_private }))
    }

    /// Walks through the NAL units, keeping parameter sets. `None` if their lengths do not fit.
    fn look_at(&mut self, data: &[u8]) -> Option<Found> {
        let mut found = Found { all_intra: true, ..Found::default() };
        let mut rest = data;
        while let Some((len, after)) = rest.split_at_checked(4) {
            let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
            let (unit, after) = after.split_at_checked(len)?;
            let is_first = rest.len() == data.len();
            rest = after;
            match unit.first()? & 0x1f {
                kind @ (SLICE | PARTITION_A | IDR) => {
                    let head = SliceHead::parse(unit);
                    found.has_slice = true;
                    found.is_idr |= kind == IDR;
                    found.all_intra &= head.is_some_and(|head| head.is_intra);
                    found.picture_set = found.picture_set.or(head.map(|head| head.picture_set));
                }
                SEI => found.is_recovery_point |= has_recovery_point(unit),
                SPS => {
                    found.has_sequence_set = true;
                    self.sets.keep(unit);
                }
                PPS => {
                    found.has_picture_set = true;
                    self.sets.keep(unit);
                }
                DELIMITER if is_first => found.delimiter_len = 4 + len,
                _ => {}
            }
        }
        Some(found)
    }

    /// Parameter sets without a picture are meant for the next one.
    fn carry(&mut self, data: &[u8]) {
        if data.len() <= MAX_CARRIED_BYTES {
            self.carried = data.to_vec();
        }
    }
}

/// What is in an access unit.
#[derive(Debug, Default)]
struct Found {
    has_slice: bool,
    is_idr: bool,
    all_intra: bool,
    is_recovery_point: bool,
    has_sequence_set: bool,
    has_picture_set: bool,
    picture_set: Option<u32>,
    /// Of the delimiter in front, with its length.
    delimiter_len: usize,
}

impl Found {
    /// `None` without a picture.
    fn entry(&self) -> Option<Entry> {
        self.has_slice.then_some(if self.is_idr {
            Entry::Reset
        } else if self.is_recovery_point {
            Entry::Yes
        } else if self.all_intra {
            Entry::Perhaps
        } else {
            Entry::No
        })
    }
}

/// Supplemental information: type and size in bytes of which 255 means that more follows (7.3.2.3.1).
fn has_recovery_point(unit: &[u8]) -> bool {
    let mut rest = unit.get(1..).unwrap_or_default();
    let number = |rest: &mut &[u8]| {
        let mut value = 0usize;
        loop {
            let (&byte, after) = rest.split_first()?;
            *rest = after;
            value += usize::from(byte);
            if byte != 255 {
                return Some(value);
            }
        }
    };
    while rest.len() > 2 {
        let (Some(kind), Some(len)) = (number(&mut rest), number(&mut rest)) else { return false };
        let Some((content, after)) = rest.split_at_checked(len) else { return false };
        if kind == RECOVERY_POINT {
            return Bits::at(content, 0).ue().is_some();
        }
        rest = after;
    }
    false
}

fn append(out: &mut Vec<u8>, unit: &[u8]) {
    // A payload is far shorter than 4 GiB.
    out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
    out.extend_from_slice(unit);
}
