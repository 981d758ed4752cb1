//! H.264 parameter sets of a track's streams: for who comes later.
//!
//! Browsers repeat them in front of each keyframe. Hardware encoders, phones and bridges may say them once, at the beginning of a
//! stream, or only in the SDP (`sprop-parameter-sets`, RFC 6184 8.1). A recorder that is attached later has to be told them, and to
//! a subscriber they are sent in front of the keyframe with which it begins.
//! Invariant: what is kept is bounded, whatever a publisher sends.

use crate::codec::Codec;
use crate::layers::Layer;

const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
/// No set of a real encoder is longer.
const MAX_SET_LEN: usize = 2_048;
/// Of one stream.
const MAX_SETS: usize = 32;
/// Longer ones do not fit into one packet.
const MAX_SENT_LEN: usize = 1_100;

/// Whole NAL units, the newest last.
type Sets = Vec<Box<[u8]>>;

/// The newest sets of each layer.
#[derive(Debug, Default)]
pub(crate) struct ParameterSets {
    /// Those of the SDP: of any layer.
    announced: Sets,
    seen: [Sets; 3],
}

impl ParameterSets {
    /// From the publisher's SDP.
    pub(crate) fn announced(sets: &[Vec<u8>]) -> Self {
        let usable = sets.iter().filter(|set| is_set(set));
        Self {
            announced: usable.take(MAX_SETS).map(|set| set.as_slice().into()).collect(),
            ..Self::default()
        }
    }

    /// Keeps what a packet brings.
    pub(crate) fn packet(&mut self, codec: Codec, layer: Layer, payload: &[u8]) {
        if codec != Codec::H264 {
            return;
        }
        match payload.first().map(|byte| byte & 0x1f) {
            Some(SPS | PPS) => self.keep(layer, payload),
            Some(STAP_A) => {
                let mut rest = &payload[1..];
                while let [high, low, unit @ ..] = rest {
                    let len = usize::from(u16::from_be_bytes([*high, *low]));
                    let Some((unit, after)) = unit.split_at_checked(len) else { return };
                    self.keep(layer, unit);
                    rest = after;
                }
            }
            _ => {}
        }
    }

    /// What is known of a layer's stream, oldest first.
    pub(crate) fn of(&self, layer: Layer) -> impl Iterator<Item = &[u8]> {
        self.announced.iter().chain(self.seen[layer.index()].iter()).map(|set| &**set)
    }

    /// Those that a subscriber has to get who begins at a keyframe of a layer: one packet each.
    pub(crate) fn to_send(&self, layer: Layer) -> Vec<&[u8]> {
        self.of(layer).filter(|set| set.len() <= MAX_SENT_LEN).collect()
    }

    fn keep(&mut self, layer: Layer, unit: &[u8]) {
        let seen = &mut self.seen[layer.index()];
        // A stream that repeats them says the same as before. Of two with one id the later one counts for who reads them in turn.
        if !is_set(unit) || seen.iter().rev().take(2).any(|known| **known == *unit) {
            return;
        }
        seen.retain(|known| **known != *unit);
        if seen.len() == MAX_SETS {
            seen.remove(0);
        }
        seen.push(unit.into());
    }
}

fn is_set(unit: &[u8]) -> bool {
    let is_it = |byte: &u8| matches!(byte & 0x1f, SPS | PPS);
    unit.first().is_some_and(is_it) && (2..=MAX_SET_LEN).contains(&unit.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(sets: &ParameterSets, layer: Layer) -> Vec<Vec<u8>> {
        sets.of(layer).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn sets_are_kept_for_each_layer_alone_and_aggregated() {
        let mut sets = ParameterSets::announced(&[vec![0x67, 1], vec![0x41, 1], vec![0x68]]);
        sets.packet(Codec::H264, Layer::Low, &[0x67, 9, 9]);
        sets.packet(Codec::H264, Layer::High, &[0x78, 0, 2, 0x67, 7, 0, 2, 0x68, 8, 0, 1, 0x41]);
        sets.packet(Codec::H264, Layer::High, &[0x78, 0, 2, 0x67, 7, 0, 9]);
        sets.packet(Codec::Vp8, Layer::High, &[0x67, 5]);
        assert_eq!(known(&sets, Layer::Low), [vec![0x67, 1], vec![0x67, 9, 9]]);
        assert_eq!(known(&sets, Layer::High), [vec![0x67, 1], vec![0x67, 7], vec![0x68, 8]]);
        assert_eq!(known(&sets, Layer::Medium), [vec![0x67, 1]]);
    }

    #[test]
    fn the_newest_ones_are_kept_however_many_there_are() {
        let mut sets = ParameterSets::default();
        for number in 0..200u8 {
            sets.packet(Codec::H264, Layer::High, &[0x68, number, 1]);
        }
        let known = known(&sets, Layer::High);
        assert_eq!((known.len(), known[MAX_SETS - 1][1]), (MAX_SETS, 199));
        sets.packet(Codec::H264, Layer::High, &[0x67; MAX_SET_LEN + 1]);
        assert_eq!(sets.of(Layer::High).count(), MAX_SETS);
    }
}
