//! The parts of an H.264 sequence parameter set (ITU-T H.264, 7.3.2.1.1) that a container wants to know.

use super::bits::Bits;

/// Colour resolution and depth, for the high profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChromaFormat {
    pub(super) chroma_format_idc: u8,
    pub(super) bit_depth_luma_minus8: u8,
    pub(super) bit_depth_chroma_minus8: u8,
}

/// Picture size in pixels after cropping. `None` if the set makes no sense.
pub(super) fn dimensions(sps: &[u8]) -> Option<(u32, u32)> {
    parse(sps).map(|(_, size)| size)
}

pub(super) fn chroma_format(sps: &[u8]) -> Option<ChromaFormat> {
    parse(sps).map(|(format, _)| format)
}

fn parse(sps: &[u8]) -> Option<(ChromaFormat, (u32, u32))> {
    let unescaped = unescape(sps.get(1..)?);
    let profile = *unescaped.first()?;
    let mut bits = Bits::at(&unescaped, 24);
    bits.ue()?;
    let mut format =
        ChromaFormat { chroma_format_idc: 1, bit_depth_luma_minus8: 0, bit_depth_chroma_minus8: 0 };
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        format.chroma_format_idc = small(bits.ue()?, 3)?;
        if format.chroma_format_idc == 3 {
            bits.bit()?;
        }
        format.bit_depth_luma_minus8 = small(bits.ue()?, 7)?;
        format.bit_depth_chroma_minus8 = small(bits.ue()?, 7)?;
        bits.bit()?;
        if bits.bit()? == 1 {
            for list in 0..if format.chroma_format_idc == 3 { 12 } else { 8 } {
                if bits.bit()? == 1 {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.ue()?;
    match bits.ue()? {
        0 => {
            bits.ue()?;
        }
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..small(bits.ue()?, 255)? {
                bits.se()?;
            }
        }
        _ => {}
    }
    bits.ue()?;
    bits.bit()?;
    let width_mbs = bits.ue()?.checked_add(1)?;
    let height_units = bits.ue()?.checked_add(1)?;
    let frame_mbs_only = bits.bit()?;
    if frame_mbs_only == 0 {
        bits.bit()?;
    }
    bits.bit()?;
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.bit()? == 1 {
        let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
        crop_x = left.checked_add(right)?;
        crop_y = top.checked_add(bottom)?;
    }
    let unit_x = if matches!(format.chroma_format_idc, 1 | 2) { 2 } else { 1 };
    let unit_y = if format.chroma_format_idc == 1 { 2 } else { 1 } * (2 - frame_mbs_only);
    let width = width_mbs.checked_mul(16)?.checked_sub(crop_x.checked_mul(unit_x)?)?;
    let height = height_units
        .checked_mul(16)?
        .checked_mul(2 - frame_mbs_only)?
        .checked_sub(crop_y.checked_mul(unit_y)?)?;
    ((1..=16_384).contains(&width) && (1..=16_384).contains(&height)).then_some((format, (width, height)))
}

fn small(value: u32, max: u8) -> Option<u8> {
    u8::try_from(value).ok().filter(|value| *value <= max)
}

fn skip_scaling_list(bits: &mut Bits<'_>, len: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..len {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Removes the emulation prevention bytes (7.4.1).
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}
