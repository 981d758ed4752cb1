//! Matroska, reading what we wrote.

use super::{CLUSTER, MAX_ELEMENT_LEN, SEGMENT, SIMPLE_BLOCK, STAMP_LEN, TIMESTAMP, VOID, crc32};

/// The bytes are no file of ours, or were torn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MkvError {
    /// No valid element stands here.
    #[error("no valid element")]
    BadElement,
    /// A frame differs from what was written.
    #[error("check sum differs")]
    BadChecksum,
}

/// A frame as found in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// RTP ticks since the file's first frame.
    pub tick: u64,
    /// Arrival.
    pub at_ns: u64,
    /// Decodable without earlier frames.
    pub keyframe: bool,
    /// The frame.
    pub data: &'a [u8],
}

/// One step through the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// The element is not all there yet: come back with at least this many bytes from the same place.
    Need(usize),
    /// An element without a frame; go on after this many bytes.
    Skip(usize),
    /// A frame; go on after this many bytes.
    Block(usize, Block<'a>),
}

/// Walks through a file. Holds only the position's context, never bytes.
#[derive(Debug, Clone, Default)]
pub struct MkvParser {
    in_clusters: bool,
    cluster_tick: Option<u64>,
    stamp: Option<(u64, u32)>,
}

impl MkvParser {
    /// At the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No cluster has begun yet.
    #[must_use]
    pub fn in_header(&self) -> bool {
        !self.in_clusters
    }

    /// Looks at the element at the beginning of `bytes`, which must follow what the previous step consumed.
    pub fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<Step<'a>, MkvError> {
        let Some(&first) = bytes.first() else { return Ok(Step::Need(1)) };
        let id_len = first.leading_zeros() as usize + 1;
        if id_len > 4 {
            return Err(MkvError::BadElement);
        }
        let Some(&size_first) = bytes.get(id_len) else { return Ok(Step::Need(id_len + 1)) };
        let size_len = size_first.leading_zeros() as usize + 1;
        if size_len > 8 {
            return Err(MkvError::BadElement);
        }
        let head = id_len + size_len;
        if bytes.len() < head {
            return Ok(Step::Need(head));
        }
        let id = be(&bytes[..id_len]) as u32;
        if matches!(id, SEGMENT | CLUSTER) {
            self.stamp = None;
            if id == CLUSTER {
                self.in_clusters = true;
                self.cluster_tick = None;
            }
            return Ok(Step::Skip(head));
        }
        let len = be(&bytes[id_len..head]) & (u64::MAX >> (64 - 7 * size_len));
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > MAX_ELEMENT_LEN {
            return Err(MkvError::BadElement);
        }
        let Some(content) = bytes.get(head..head + len) else { return Ok(Step::Need(head + len)) };
        let end = head + len;
        match id {
            TIMESTAMP if (1..=8).contains(&len) => self.cluster_tick = Some(be(content)),
            VOID if len == STAMP_LEN => {
                self.stamp = Some((be(&content[..8]), be(&content[8..]) as u32));
            }
            SIMPLE_BLOCK => {
                let cluster = self.cluster_tick.ok_or(MkvError::BadElement)?;
                let (at_ns, crc) = self.stamp.take().ok_or(MkvError::BadElement)?;
                let [0x81, high, low, flags, data @ ..] = content else { return Err(MkvError::BadElement) };
                if crc32(data) != crc {
                    return Err(MkvError::BadChecksum);
                }
                let tick = cluster
                    .checked_add_signed(i64::from(i16::from_be_bytes([*high, *low])))
                    .ok_or(MkvError::BadElement)?;
                return Ok(Step::Block(end, Block { tick, at_ns, keyframe: flags & 0x80 != 0, data }));
            }
            _ => {}
        }
        Ok(Step::Skip(end))
    }
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}
