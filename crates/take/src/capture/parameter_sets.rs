//! H.264 parameter sets: what a decoder must know before a keyframe (ITU-T H.264, 7.3.2.1 and 7.3.2.2).
//!
//! ```text
//!   slice ──pic_parameter_set_id──> PPS ──seq_parameter_set_id──> SPS
//! ```
//!
//! Senders repeat them with every keyframe, or say them once for all. So the newest of each id is kept. Invariant: what is kept is
//! bounded, whatever a sender makes up.

use std::collections::BTreeMap;

use super::{bits::Bits, sps};

/// NAL unit type of a sequence parameter set.
pub(super) const SPS: u8 = 7;
/// NAL unit type of a picture parameter set.
pub(super) const PPS: u8 = 8;

/// No set of a real encoder is longer; scaling lists take a few hundred bytes.
const MAX_SET_LEN: usize = 2_048;
/// All sets of one kind together.
const MAX_KEPT_BYTES: usize = 4_096;

/// The newest sets of a stream, by their ids.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sequence: BTreeMap<u32, Vec<u8>>,
    /// Each with the sequence parameter set it refers to.
    picture: BTreeMap<u32, (u32, Vec<u8>)>,
}

/// Those that a picture needs.
#[derive(Debug)]
pub(super) struct Active<'a> {
    pub(super) sequence: &'a [u8],
    /// All that refer to the sequence's set: a later picture may use another one.
    pub(super) picture: Vec<&'a [u8]>,
}

/// The head of a slice, as far as it is needed here (7.3.3).
#[derive(Debug, Clone, Copy)]
pub(super) struct SliceHead {
    pub(super) is_intra: bool,
    pub(super) picture_set: u32,
}

impl SliceHead {
    /// Of a NAL unit of type 1 or 5. `None` if it is cut short.
    pub(super) fn parse(unit: &[u8]) -> Option<Self> {
        let mut bits = Bits::at(unit.get(1..)?, 0);
        bits.ue()?;
        let slice_type = bits.ue()?;
        // I and SI, of this slice or of all slices of the picture (table 7-6).
        let is_intra = matches!(slice_type % 5, 2 | 4);
        Some(Self { is_intra, picture_set: bits.ue()? })
    }
}

impl ParameterSets {
    /// Keeps a set. Nothing else, and nothing that makes no sense, is kept.
    pub(super) fn keep(&mut self, unit: &[u8]) {
        let Some(&header) = unit.first().filter(|_| unit.len() <= MAX_SET_LEN) else { return };
        match header & 0x1f {
            SPS if unit.len() >= 4 => {
                let Some(id) = Bits::at(unit, 32).ue().filter(|id| *id < 32) else { return };
                let kept: usize = self.sequence.values().map(Vec::len).sum();
                if kept + unit.len() > MAX_KEPT_BYTES {
                    self.sequence.clear();
                }
                self.sequence.insert(id, unit.to_vec());
            }
            PPS => {
                let mut bits = Bits::at(unit, 8);
                let Some(id) = bits.ue().filter(|id| *id < 256) else { return };
                let Some(sequence) = bits.ue().filter(|id| *id < 32) else { return };
                let kept: usize = self.picture.values().map(|(_, set)| set.len()).sum();
                if kept + unit.len() > MAX_KEPT_BYTES {
                    self.picture.clear();
                }
                self.picture.insert(id, (sequence, unit.to_vec()));
            }
            _ => {}
        }
    }

    /// What a picture needs whose slices name this picture parameter set. `None` if it is not known.
    pub(super) fn active(&self, picture_set: u32) -> Option<Active<'_>> {
        let (sequence_id, _) = self.picture.get(&picture_set)?;
        let sequence = self.sequence.get(sequence_id)?;
        let of_sequence = self.picture.values().filter(|(other, _)| other == sequence_id);
        let picture = of_sequence.map(|(_, set)| set.as_slice()).collect();
        Some(Active { sequence, picture })
    }

    /// What any picture needs, if there is but one set of each kind.
    pub(super) fn only(&self) -> Option<Active<'_>> {
        let mut ids = self.picture.keys();
        match (ids.next(), ids.next()) {
            (Some(id), None) => self.active(*id),
            _ => None,
        }
    }
}

impl Active<'_> {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) with 4-byte lengths.
    pub(super) fn avcc(&self) -> Vec<u8> {
        let sps = self.sequence;
        let mut record = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
        record.extend_from_slice(&(sps.len() as u16).to_be_bytes());
        record.extend_from_slice(sps);
        // Their ids are below 256, and one more does not fit.
        let sets = &self.picture[..self.picture.len().min(255)];
        record.push(sets.len() as u8);
        for set in sets {
            record.extend_from_slice(&(set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
        if !matches!(sps[1], 66 | 77 | 88)
            && let Some(format) = sps::chroma_format(sps)
        {
            record.extend_from_slice(&[
                0xfc | format.chroma_format_idc,
                0xf8 | format.bit_depth_luma_minus8,
                0xf8 | format.bit_depth_chroma_minus8,
                0,
            ]);
        }
        record
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A picture parameter set: id and sequence id in three bits each ("1", "010", "011").
    fn pps(id: u8, sequence: u8) -> Vec<u8> {
        let code = |value: u8| if value == 0 { (0b1u8, 1) } else { (0b010 + (value - 1), 3) };
        let ((a, a_len), (b, b_len)) = (code(id), code(sequence));
        vec![0x68, a << (8 - a_len) | b << (8 - a_len - b_len), 0xff]
    }

    #[test]
    fn a_picture_is_given_the_sets_that_its_slices_name() {
        let mut sets = ParameterSets::default();
        let (first, second) = ([0x67, 66, 0, 30, 0b1000_0000], [0x67, 100, 0, 30, 0b0100_0000]);
        for unit in [&first[..], &second, &pps(0, 0), &pps(1, 1), &pps(2, 1)] {
            sets.keep(unit);
        }
        assert_eq!(sets.active(0).unwrap().sequence, first);
        let active = sets.active(2).unwrap();
        assert_eq!((active.sequence, active.picture.len()), (&second[..], 2));
        assert_eq!(active.avcc()[5..8], [0xe1, 0, 5]);
        assert!(sets.active(3).is_none());
    }

    #[test]
    fn endless_sets_are_not_kept() {
        let mut sets = ParameterSets::default();
        // Ids 0 to 62 as numbers of up to 11 bits, behind them sequence 0.
        for id in 0..63u16 {
            let bits = (id + 1).ilog2() * 2 + 1;
            let mut set = vec![0x68];
            set.extend_from_slice(&((id + 1) << (16 - bits) | 1 << (15 - bits)).to_be_bytes());
            set.resize(MAX_SET_LEN, 7);
            sets.keep(&set);
            assert!(sets.picture.contains_key(&u32::from(id)), "{id}");
        }
        assert!(sets.picture.values().map(|(_, set)| set.len()).sum::<usize>() <= MAX_KEPT_BYTES);
        sets.keep(&[0x67; MAX_SET_LEN + 1]);
        assert!(sets.sequence.is_empty());
    }

    #[test]
    fn slices_tell_whether_they_need_other_pictures_and_which_set() {
        // first_mb 0 "1", type 7 (all I) "0001000", set 0 "1".
        let head = SliceHead::parse(&[0x65, 0b1000_1000, 0b1000_0000]).unwrap();
        assert!(head.is_intra && head.picture_set == 0);
        // first_mb 1 "010", type 0 (P) "1", set 1 "010".
        let head = SliceHead::parse(&[0x41, 0b0101_0100]).unwrap();
        assert!(!head.is_intra && head.picture_set == 1);
        assert!(SliceHead::parse(&[0x41]).is_none());
    }
}
