//! What became of a capture's packets. Pure.

use std::collections::BTreeMap;

use crate::format::DropReason;

/// Packets of a track. Once nothing is held back any more, those kept and those dropped are all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that arrived.
    pub packets: u64,
    /// Those that frames were made of which came out.
    pub kept: u64,
    /// Those of which nothing came out, and why.
    pub dropped: BTreeMap<DropReason, u64>,
}

impl Counts {
    pub(super) fn drop(&mut self, reason: DropReason, packets: u64) {
        if packets > 0 {
            *self.dropped.entry(reason).or_default() += packets;
        }
    }

    /// How many of them are known to be kept or dropped.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.kept + self.dropped.values().sum::<u64>()
    }

    /// What came since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let dropped = self.dropped.iter().filter_map(|(reason, count)| {
            let new = count - before.dropped.get(reason).unwrap_or(&0);
            (new > 0).then_some((*reason, new))
        });
        Self {
            packets: self.packets - before.packets,
            kept: self.kept - before.kept,
            dropped: dropped.collect(),
        }
    }
}
