//! Redundant sound (RED, RFC 2198): each packet carries the sound of packets before it once more.
//!
//! ```text
//!   F| type | ticks ago  | length      one for each block but the last, 4 bytes
//!   0| type |                          the last one, which is the packet's own sound, 1 byte
//!   block | block | ... | the own one
//! ```
//!
//! Whoever can read RED gets the packets as they are. To others goes the block of the packet's own sound, and with it those of lost
//! packets in front of it: each goes under the number that its packet had.
//!
//! # Invariants
//!
//! - A packet is given out once: what came or was recovered is not recovered again.
//! - What cannot be a packet of its own place is not recovered: a block's time has to lie between those of its neighbours.

use reelroom_limits::media::RED_BLOCKS;

/// Packets whose times are remembered: what comes later than that counts as given out. Redundancy of browsers reaches back two, and recorders
/// wait 600 ms for what is sent again, in packets of 10 ms and more.
const REMEMBERED: usize = 64;
/// Of a header that another one follows.
const HEADER_BYTES: usize = 4;
/// Opus has no frame that is shorter, nor one that is no multiple of it.
const SHORTEST_TICKS: u32 = 120;
/// What LiveKit's clients put behind what they encrypt: a tag, and a nonce with its length, before the key's number.
const SEAL_BYTES: usize = 16 + NONCE_BYTES as usize + 2;
const NONCE_BYTES: u8 = 12;
/// Clients keep 16 keys; some are set up to keep more.
const MAX_KEYS: u8 = 32;

/// A block of sound in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it begins in the payload.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
    /// How many packets before this one it belongs; 0 for the packet's own sound.
    pub packets_ago: u64,
    /// How much earlier it is than this packet, in ticks of the codec's clock.
    pub ticks_ago: u32,
}

impl Block {
    /// The block's bytes of the packet's payload.
    pub fn of<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload.get(self.from..self.to).unwrap_or_default()
    }
}

/// The blocks of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    blocks: [Block; RED_BLOCKS],
    len: usize,
}

impl Blocks {
    /// Reads a payload; nothing where it is none of RED's or has more than [`RED_BLOCKS`].
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let own_type = last_type(payload)?;
        let empty = Block { from: 0, to: 0, packets_ago: 0, ticks_ago: 0 };
        let mut blocks = [empty; RED_BLOCKS];
        let (mut at, mut len, mut lengths) = (0, 0, [0; RED_BLOCKS]);
        loop {
            let first = *payload.get(at)?;
            if first & 0x80 == 0 {
                at += 1;
                break;
            }
            let header = payload.get(at..at + HEADER_BYTES)?;
            let bits = u32::from_be_bytes([0, header[1], header[2], header[3]]);
            // The last one is the packet's own.
            let block = blocks.get_mut(len).filter(|_| len + 1 < RED_BLOCKS)?;
            // Sound of another codec is of no use: without a time it is not given out.
            block.ticks_ago = if first & 0x7f == own_type { bits >> 10 } else { 0 };
            lengths[len] = (bits & 0x3ff) as usize;
            len += 1;
            at += HEADER_BYTES;
        }
        for (block, length) in blocks.iter_mut().zip(lengths).take(len) {
            (block.from, block.to) = (at, at + length);
            at += length;
        }
        let own = payload.len();
        if at > own {
            return None;
        }
        blocks[len] = Block { from: at, to: own, ..empty };
        for (place, block) in blocks.iter_mut().enumerate().take(len) {
            block.packets_ago = (len - place) as u64;
        }
        Some(Self { blocks, len })
    }

    /// The same for a packet that nobody said was encrypted; nothing where it seems to be, for then its headers are cipher text but for the first
    /// byte.
    pub(crate) fn read_clear(payload: &[u8]) -> Option<Self> {
        Self::read(payload).filter(|blocks| !is_sealed(payload) || blocks.could_be_sound())
    }

    /// Whether every block is a number of Opus frames before the packet.
    fn could_be_sound(&self) -> bool {
        let redundant = &self.blocks[..self.len];
        redundant.iter().all(|block| block.ticks_ago > 0 && block.ticks_ago % SHORTEST_TICKS == 0)
    }

    /// The packet's own sound.
    pub(crate) fn own(&self) -> Block {
        self.blocks[self.len]
    }

    /// That of packets before it, oldest first, as far as it is any.
    pub(crate) fn redundant(&self) -> impl Iterator<Item = Block> + use<> {
        let (blocks, len) = (self.blocks, self.len);
        blocks.into_iter().take(len).filter(|block| block.ticks_ago > 0 && block.to > block.from)
    }
}

/// Whether a payload ends as those that LiveKit's clients encrypt; one in thousands of others does so by chance.
pub(crate) fn is_sealed(payload: &[u8]) -> bool {
    payload.len() > SEAL_BYTES && matches!(payload, [.., NONCE_BYTES, key] if *key < MAX_KEYS)
}

/// The type of the packet's own block: that of the last header.
fn last_type(payload: &[u8]) -> Option<u8> {
    let mut at = 0;
    loop {
        let first = *payload.get(at)?;
        if first & 0x80 == 0 {
            return Some(first);
        }
        at += HEADER_BYTES;
    }
}

/// Which packets of a track were given out of late.
#[derive(Debug)]
pub(crate) struct Recovery {
    /// Number and RTP time, by number modulo their count.
    given: [Option<(u64, u32)>; REMEMBERED],
    /// The number of the first one: what was before it is not missed.
    first: Option<u64>,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { given: [None; REMEMBERED], first: None }
    }
}

impl Recovery {
    /// A packet is given out. Whether it was not before.
    pub(crate) fn give(&mut self, seq: u64, rtp: u32) -> bool {
        self.first.get_or_insert(seq);
        let place = &mut self.given[(seq % REMEMBERED as u64) as usize];
        match place {
            Some((known, _)) if *known == seq => false,
            // One that is older than all that is remembered may have been given out.
            Some((known, _)) if *known > seq => false,
            _ => {
                *place = Some((seq, rtp));
                true
            }
        }
    }

    /// Whether a block of the packet with this number and time is one that is missing; it counts as given out then.
    pub(crate) fn recovers(&mut self, block: &Block, seq: u64, rtp: u32) -> Option<(u64, u32)> {
        let (lost, time) = (seq.checked_sub(block.packets_ago)?, rtp.wrapping_sub(block.ticks_ago));
        if self.first.is_none_or(|first| lost < first) {
            return None;
        }
        let known = |number: u64| {
            let place = self.given[(number % REMEMBERED as u64) as usize];
            place.filter(|(known, _)| *known == number).map(|(_, time)| time)
        };
        let is_later = |one: u32, other: u32| (1..1 << 31).contains(&one.wrapping_sub(other));
        let in_order = (lost + 1..=seq).filter_map(known).all(|next| is_later(next, time))
            && lost.checked_sub(1).and_then(known).is_none_or(|before| is_later(time, before));
        (in_order && self.give(lost, time)).then_some((lost, time))
    }
}

#[cfg(test)]
mod tests;
