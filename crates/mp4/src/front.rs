//! Boxes at the top of a file, as they stand there: header by header.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// Size of a box's header with its size in 64 bits.
pub(crate) const LARGE_HEADER_BYTES: u64 = 16;
/// Of the boxes that stand before the media, more than any writer of ours makes.
const MAX_BOXES: usize = 64;

/// A box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: [u8; 4],
    pub(crate) at: u64,
    pub(crate) header: u64,
    /// With its header.
    pub(crate) len: u64,
}

impl Place {
    /// The box at `at`; `None` if there is no whole one before `end`.
    pub(crate) fn read(file: &File, at: u64, end: u64) -> io::Result<Option<Self>> {
        let mut bytes = [0; LARGE_HEADER_BYTES as usize];
        let there = end.saturating_sub(at).min(LARGE_HEADER_BYTES) as usize;
        if there < 8 {
            return Ok(None);
        }
        match file.read_exact_at(&mut bytes[..there], at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok(Self::parse(&bytes[..there], at).filter(|place| place.to() <= end))
    }

    /// The box whose first bytes these are.
    pub(crate) fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
        let kind = bytes.get(4..8)?.try_into().ok()?;
        let (header, len) = match size {
            1 => (LARGE_HEADER_BYTES, u64::from_be_bytes(bytes.get(8..16)?.try_into().ok()?)),
            size => (8, u64::from(size)),
        };
        (len >= header && at.checked_add(len).is_some()).then_some(Self { kind, at, header, len })
    }

    pub(crate) fn to(&self) -> u64 {
        self.at + self.len
    }
}

/// The boxes from the file's beginning on, as far as they are whole, and not those behind the first `moov` and `mdat`.
pub(crate) fn head(file: &File, end: u64) -> io::Result<Vec<Place>> {
    let (mut boxes, mut at): (Vec<Place>, u64) = (Vec::new(), 0);
    while boxes.len() < MAX_BOXES
        && let Some(place) = Place::read(file, at, end)?
    {
        boxes.push(place);
        at = place.to();
        let has = |kind: &[u8; 4]| boxes.iter().any(|place| place.kind == *kind);
        if has(b"moof") || (has(b"moov") && has(b"mdat") && at >= end) {
            break;
        }
    }
    Ok(boxes)
}

/// The header of a box of less than 4 GB.
pub(crate) fn header(size: u64, kind: &[u8; 4]) -> [u8; 8] {
    let size = u32::try_from(size).expect("only the media box is larger than 4 GB, and it has the long form");
    let mut header = [0; 8];
    header[..4].copy_from_slice(&size.to_be_bytes());
    header[4..].copy_from_slice(kind);
    header
}

/// The header of a media box of any size.
pub(crate) fn media_header(size: u64) -> [u8; LARGE_HEADER_BYTES as usize] {
    let mut bytes = [0; LARGE_HEADER_BYTES as usize];
    bytes[..8].copy_from_slice(&header(1, b"mdat"));
    bytes[8..].copy_from_slice(&size.to_be_bytes());
    bytes
}
