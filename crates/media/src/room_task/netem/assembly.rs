//! Packets become pictures again, as a browser has it: whatever is whole can be decoded, in whatever order it came to be.

use std::collections::BTreeMap;

/// So many packets are kept for pictures that are not whole yet.
const KEPT: usize = 400;

/// The packets of one stream.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    packets: BTreeMap<u64, Piece>,
}

#[derive(Debug)]
struct Piece {
    time: u32,
    /// The picture begins with it, or ends.
    begins: bool,
    ends: bool,
    bytes: Vec<u8>,
}

impl Assembly {
    /// A packet of VP8; the picture that it makes whole comes back.
    pub(super) fn packet(&mut self, seq: u64, time: u32, ends: bool, payload: &[u8]) -> Option<Vec<u8>> {
        let (begins, bytes) = without_descriptor(payload)?;
        self.packets.insert(seq, Piece { time, begins, ends, bytes: bytes.to_vec() });
        while self.packets.len() > KEPT {
            self.packets.pop_first();
        }
        let of_picture = |seq: &u64| self.packets.get(seq).is_some_and(|piece| piece.time == time);
        let (mut first, mut last) = (seq, seq);
        while !self.packets[&first].begins {
            first = first.checked_sub(1).filter(of_picture)?;
        }
        while !self.packets[&last].ends {
            last = Some(last + 1).filter(of_picture)?;
        }
        let mut picture = Vec::new();
        for seq in first..=last {
            picture.extend(self.packets.remove(&seq)?.bytes);
        }
        Some(picture)
    }
}

/// Whether a picture begins with a payload of VP8, and what is behind its descriptor (RFC 7741, 4.2).
fn without_descriptor(payload: &[u8]) -> Option<(bool, &[u8])> {
    let (&first, mut rest) = payload.split_first()?;
    if first & 0x80 != 0 {
        let (&extensions, behind) = rest.split_first()?;
        rest = behind;
        if extensions & 0x80 != 0 {
            let is_long = rest.first()? & 0x80 != 0;
            rest = rest.get(if is_long { 2 } else { 1 }..)?;
        }
        if extensions & 0x40 != 0 {
            rest = rest.get(1..)?;
        }
        if extensions & 0x30 != 0 {
            rest = rest.get(1..)?;
        }
    }
    Some((first & 0x17 == 0x10, rest))
}

/// The blocks of redundant sound, the oldest first (RFC 2198).
pub(super) fn blocks(mut payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut lens = Vec::new();
    while payload.first()? & 0x80 != 0 {
        let head = payload.get(..4)?;
        lens.push((usize::from(head[2]) & 3) << 8 | usize::from(head[3]));
        payload = &payload[4..];
    }
    payload = &payload[1..];
    let mut all = Vec::new();
    for len in lens {
        let (block, rest) = payload.split_at_checked(len)?;
        all.push(block);
        payload = rest;
    }
    all.push(payload);
    Some(all)
}
