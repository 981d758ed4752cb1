//! VP9 over RTP (RFC 9628). Out come pictures: the frames of all spatial layers one after the other, with a superframe index
//! behind them if they are several, so that decoders that go by the index find each.

use super::bits::Bits;

/// A superframe index holds no more frames (VP9 bitstream specification, Annex B).
const MAX_FRAMES: usize = 8;
const SYNC_CODE: u32 = 0x49_8342;
/// `color_space` of pictures that are not Y, U, V (7.2.2).
const CS_RGB: u32 = 7;

/// A whole picture.
pub(super) struct Picture {
    pub(super) keyframe: bool,
    pub(super) data: Vec<u8>,
    /// Of the largest layer; keyframes tell it.
    pub(super) dimensions: Option<(u32, u32)>,
}

/// The picture in progress.
#[derive(Debug, Default)]
pub(super) struct Depacketizer {
    /// Where its frames begin.
    frames: Vec<usize>,
    /// The last of them lacks its end.
    open: bool,
    /// The largest layer, if a scalability structure told.
    largest: Option<(u32, u32)>,
}

/// A payload's descriptor (RFC 9628, 4.2).
struct Descriptor<'a> {
    begins: bool,
    ends: bool,
    spatial_layer: u8,
    /// It is predicted from the layer below it in the same picture.
    inter_layer: bool,
    largest: Option<(u32, u32)>,
    payload: &'a [u8],
}

/// The payload begins a frame, of whichever layer.
pub(super) fn begins_frame(payload: &[u8]) -> bool {
    descriptor(payload).is_some_and(|descriptor| descriptor.begins)
}

/// The payload begins a frame that needs no other one of its picture.
pub(super) fn begins_alone(payload: &[u8]) -> bool {
    descriptor(payload).is_some_and(|descriptor| descriptor.begins && !descriptor.inter_layer)
}

/// The payload goes on with a picture that has begun: a later part of a frame, or a frame of a higher layer.
pub(super) fn goes_on(payload: &[u8]) -> bool {
    descriptor(payload).is_some_and(|descriptor| !descriptor.begins || descriptor.spatial_layer > 0)
}

impl Depacketizer {
    pub(super) fn abandon(&mut self) {
        *self = Self::default();
    }

    /// A frame lacks its end.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Appends a payload to the picture `out`. `None` if it makes no sense here.
    pub(super) fn push(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let descriptor = descriptor(payload)?;
        if descriptor.begins == self.open {
            return None;
        }
        if descriptor.begins {
            self.frames.push(out.len());
            if self.frames.len() > MAX_FRAMES {
                return None;
            }
        }
        self.largest = descriptor.largest.or(self.largest);
        out.extend_from_slice(descriptor.payload);
        self.open = !descriptor.ends;
        Some(())
    }

    /// Closes the picture. `None` if it is unfinished or none.
    pub(super) fn complete(&mut self, mut data: Vec<u8>) -> Option<Picture> {
        let Self { frames, open, largest } = std::mem::take(self);
        if open || frames.is_empty() {
            return None;
        }
        let header = header(&data)?;
        if frames.len() > 1 {
            append_index(&frames, &mut data);
        }
        let own = header.dimensions;
        Some(Picture { keyframe: own.is_some(), data, dimensions: own.map(|own| largest.unwrap_or(own)) })
    }
}

/// A superframe index (Annex B) with sizes of four bytes.
fn append_index(frames: &[usize], data: &mut Vec<u8>) {
    let marker = 0b1100_0000 | 3 << 3 | (frames.len() - 1) as u8;
    let ends: Vec<usize> = frames[1..].iter().copied().chain([data.len()]).collect();
    data.push(marker);
    for (begin, end) in frames.iter().zip(ends) {
        // A picture is far shorter than 4 GiB.
        data.extend_from_slice(&((end - begin) as u32).to_le_bytes());
    }
    data.push(marker);
}

struct Header {
    /// Keyframes only.
    dimensions: Option<(u32, u32)>,
}

/// The beginning of a frame's uncompressed header (7.2). `None` if it cannot be one.
fn header(frame: &[u8]) -> Option<Header> {
    let mut bits = Bits::at(frame, 0);
    if bits.number(2)? != 2 {
        return None;
    }
    let profile = bits.bit()? | bits.bit()? << 1;
    if profile == 3 && bits.flag()? {
        return None;
    }
    let (shows_existing, inter) = (bits.flag()?, bits.flag()?);
    if shows_existing || inter {
        return Some(Header { dimensions: None });
    }
    bits.skip(2)?;
    if bits.number(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.skip(1)?;
    }
    let odd = profile == 1 || profile == 3;
    if bits.number(3)? != CS_RGB {
        bits.skip(if odd { 4 } else { 1 })?;
    } else if odd {
        bits.skip(1)?;
    }
    let (width, height) = (bits.number(16)? + 1, bits.number(16)? + 1);
    Some(Header { dimensions: Some((width, height)) })
}

fn descriptor(payload: &[u8]) -> Option<Descriptor<'_>> {
    let (&flags, mut rest) = payload.split_first()?;
    let has = |bit: u8| flags & bit != 0;
    let (has_id, inter, has_layers, flexible) = (has(0x80), has(0x40), has(0x20), has(0x10));
    let mut byte = || -> Option<u8> {
        let (&first, after) = rest.split_first()?;
        rest = after;
        Some(first)
    };
    if has_id && byte()? & 0x80 != 0 {
        byte()?;
    }
    let (mut spatial_layer, mut inter_layer) = (0, false);
    if has_layers {
        let layers = byte()?;
        (spatial_layer, inter_layer) = (layers >> 1 & 7, layers & 1 != 0);
        if !flexible {
            byte()?;
        }
    }
    if flexible && inter {
        for number in 0..3 {
            if byte()? & 1 == 0 {
                break;
            }
            if number == 2 {
                return None;
            }
        }
    }
    let mut largest = None;
    if has(0x02) {
        let structure = byte()?;
        if structure & 0x10 != 0 {
            for _ in 0..=structure >> 5 {
                let width = u32::from(u16::from_be_bytes([byte()?, byte()?]));
                let height = u32::from(u16::from_be_bytes([byte()?, byte()?]));
                largest = largest.max((width > 0 && height > 0).then_some((width, height)));
            }
        }
        if structure & 0x08 != 0 {
            for _ in 0..byte()? {
                for _ in 0..byte()? >> 2 & 3 {
                    byte()?;
                }
            }
        }
    }
    if rest.is_empty() {
        return None;
    }
    Some(Descriptor {
        begins: has(0x08),
        ends: has(0x04),
        spatial_layer,
        inter_layer,
        largest,
        payload: rest,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A keyframe header of profile 0 for 64x48, and something behind it.
    fn keyframe() -> Vec<u8> {
        // marker 10, profile 00, existing 0, key 0, show 1, error 0 | sync | space 001, range 0, 63 and 47 in 16 bits.
        let mut bytes = vec![0b1000_0010, 0x49, 0x83, 0x42];
        let sizes = 0b0010u64 << 36 | 63 << 20 | 47 << 4;
        bytes.extend_from_slice(&sizes.to_be_bytes()[3..]);
        bytes.extend_from_slice(&[1, 2, 3]);
        bytes
    }

    #[test]
    fn a_keyframe_tells_its_size() {
        assert_eq!(header(&keyframe()).unwrap().dimensions, Some((64, 48)));
        assert!(header(&[0b1000_0110, 0, 0]).unwrap().dimensions.is_none());
        assert!(header(&[0b0100_0010, 0x49, 0x83, 0x42]).is_none());
    }

    #[test]
    fn spatial_layers_become_one_indexed_picture() {
        let (mut layers, mut out) = (Depacketizer::default(), Vec::new());
        let (base, top) = (keyframe(), [0b1000_0110, 9, 9]);
        // Picture id, layer indices with TL0PICIDX, and the structure: two layers with sizes.
        let structure = [0x30, 0, 32, 0, 24, 0, 64, 0, 48];
        let first = [&[0xae, 5, 0, 0][..], &structure, &base].concat();
        assert!(begins_alone(&first) && !goes_on(&first));
        layers.push(&first, &mut out).unwrap();
        let second = [&[0xec, 5, 0b11, 0][..], &top].concat();
        assert!(begins_frame(&second) && !begins_alone(&second) && goes_on(&second));
        layers.push(&second, &mut out).unwrap();
        let picture = layers.complete(out).unwrap();
        assert!(picture.keyframe);
        assert_eq!(picture.dimensions, Some((64, 48)));
        let index = [0xd9, base.len() as u8, 0, 0, 0, 3, 0, 0, 0, 0xd9];
        assert_eq!(picture.data, [&base[..], &top, &index].concat());
    }

    #[test]
    fn a_frame_without_its_end_is_no_picture() {
        let (mut layers, mut out) = (Depacketizer::default(), Vec::new());
        layers.push(&[&[0x88, 1][..], &keyframe()].concat(), &mut out).unwrap();
        assert!(layers.complete(out).is_none());
        assert!(layers.push(&[0x80, 1, 7], &mut Vec::new()).is_none(), "nothing was begun");
    }
}
