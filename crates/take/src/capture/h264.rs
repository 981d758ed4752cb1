//! H.264 over RTP (RFC 6184), packetization modes 0 and 1: single NAL units, STAP-A, FU-A. Out come access units with 4-byte
//! lengths (AVCC, ISO/IEC 14496-15), parameter sets kept in place and added to keyframes that lack them.

use super::sps;

const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const MAX_PARAMETER_SET_LEN: usize = 4_096;

/// A whole access unit.
pub(super) struct AccessUnit {
    pub(super) keyframe: bool,
    pub(super) data: Vec<u8>,
    pub(super) dimensions: Option<(u32, u32)>,
    pub(super) codec_private: Option<Vec<u8>>,
}

/// The parameter sets seen, and the NAL unit in fragments.
#[derive(Debug, Default)]
pub(super) struct Depacketizer {
    sps: Vec<u8>,
    pps: Vec<u8>,
    /// Where the fragmented NAL unit's length stands in the access unit.
    fragment_at: Option<usize>,
}

/// Nothing of the access unit can stand in front of this payload: it begins with parameter sets or a delimiter.
pub(super) fn begins_access_unit(payload: &[u8]) -> bool {
    let kind = |byte: &u8| byte & 0x1f;
    match payload.first().map(kind) {
        Some(SPS | DELIMITER) => true,
        Some(STAP_A) => matches!(payload.get(3).map(kind), Some(SPS | DELIMITER)),
        _ => false,
    }
}

impl Depacketizer {
    pub(super) fn abandon_fragment(&mut self) {
        self.fragment_at = None;
    }

    /// Appends a payload's NAL units to the access unit `out`. `None` if the payload makes no sense here.
    pub(super) fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (&header, rest) = payload.split_first()?;
        let kind = header & 0x1f;
        if kind != FU_A && self.fragment_at.take().is_some() {
            return None;
        }
        match kind {
            1..=23 => append(out, payload),
            STAP_A => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let len = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
                    let unit = rest.get(2..2 + len).filter(|unit| !unit.is_empty())?;
                    append(out, unit);
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
            _ => return None,
        }
        Some(())
    }

    /// Closes an access unit. `None` if it is empty, unfinished, or a keyframe without parameter sets.
    pub(super) fn complete(&mut self, data: Vec<u8>) -> Option<AccessUnit> {
        if self.fragment_at.take().is_some() || data.is_empty() {
            return None;
        }
        let (mut keyframe, mut has_sps, mut has_pps) = (false, false, false);
        let mut rest = &data[..];
        while let Some((len, after)) = rest.split_at_checked(4) {
            let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
            let (unit, after) = after.split_at_checked(len)?;
            rest = after;
            match unit.first()? & 0x1f {
                IDR => keyframe = true,
                SPS if (4..MAX_PARAMETER_SET_LEN).contains(&unit.len()) => {
                    has_sps = true;
                    self.sps = unit.to_vec();
                }
                PPS if unit.len() < MAX_PARAMETER_SET_LEN => {
                    has_pps = true;
                    self.pps = unit.to_vec();
                }
                _ => {}
            }
        }
        if !keyframe {
            return Some(AccessUnit { keyframe, data, dimensions: None, codec_private: None });
        }
        if self.sps.is_empty() || self.pps.is_empty() {
            return None;
        }
        let mut whole = Vec::with_capacity(data.len() + self.sps.len() + self.pps.len() + 8);
        if !has_sps {
            append(&mut whole, &self.sps);
        }
        if !has_pps && !has_sps {
            append(&mut whole, &self.pps);
        }
        whole.extend_from_slice(&data);
        Some(AccessUnit {
            keyframe,
            data: whole,
            dimensions: sps::dimensions(&self.sps),
            codec_private: Some(avcc(&self.sps, &self.pps)),
        })
    }
}

fn append(out: &mut Vec<u8>, unit: &[u8]) {
    // A payload is far shorter than 4 GiB.
    out.extend_from_slice(&(unit.len() as u32).to_be_bytes());
    out.extend_from_slice(unit);
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) with 4-byte lengths.
fn avcc(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let mut record = vec![1, sps[1], sps[2], sps[3], 0xff, 0xe1];
    record.extend_from_slice(&(sps.len() as u16).to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend_from_slice(&(pps.len() as u16).to_be_bytes());
    record.extend_from_slice(pps);
    if matches!(sps[1], 100 | 110 | 122 | 144)
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
