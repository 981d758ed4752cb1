//! A track in one of its codecs: a section of its publisher's, and what comes by it.
//!
//! ```text
//!   Track ─┬─ codings[0]   the primary codec: the track is there while its section is
//!          └─ codings[1…]  backup codecs: announced, wanted once somebody cannot decode the primary one, and sent only then
//! ```
//!
//! # Invariants
//!
//! - The first one is always there and has a section.
//! - Each is described by the entry of `TrackInfo.codecs` at the same place, and there are no more than a track may have.

use std::time::Instant;

use crate::codec::Codec;
use crate::dynacast::Dynacast;
use crate::layers::{Layer, Layers};
use crate::parameter_sets::ParameterSets;
use crate::subscription::Streams;
use crate::svc::Structure;
use crate::track::Section;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Coding {
    /// The section that brings it, once there is one.
    pub(crate) mid: Option<String>,
    /// What the publisher said it would encode with.
    pub(crate) announced: Option<Codec>,
    /// Known with the first packet; from then on there is something to forward and to record.
    pub(crate) codec: Option<Codec>,
    /// When it changed to this codec, if it did.
    pub(crate) codec_since: Option<Instant>,
    /// Its layers come each in a stream of its own.
    pub(crate) is_simulcast: bool,
    pub(crate) layers: Layers,
    pub(crate) parameter_sets: ParameterSets,
    /// How its layers are told apart, where they come in one stream.
    pub(crate) scalable: Option<Structure>,
    /// Which of its layers its publisher was told that are wanted.
    pub(crate) dynacast: Dynacast,
}

impl Coding {
    /// One that no section brings yet.
    pub(crate) fn announced(codec: Option<Codec>) -> Self {
        Self { announced: codec, ..Self::default() }
    }

    /// A section brings it from now on; nothing of it has come.
    pub(crate) fn begins_on(&mut self, section: &Section) {
        let dynacast = std::mem::take(&mut self.dynacast);
        *self = Self {
            mid: Some(section.mid.clone()),
            is_simulcast: section.simulcast,
            parameter_sets: ParameterSets::announced(&section.parameter_sets),
            dynacast,
            ..Self::announced(self.announced)
        };
    }

    /// Its section brings it no more. It may come again by another one, and is asked for anew where it is wanted.
    pub(crate) fn ends(&mut self) {
        *self = Self::announced(self.announced);
    }

    /// What its publisher calls it: an encoder that fails goes on with another one, of which clients know nothing.
    pub(crate) fn name(&self) -> Option<Codec> {
        self.announced.or(self.codec)
    }

    /// What it is encoded with, or will be by what was announced.
    pub(crate) fn expected(&self) -> Option<Codec> {
        self.codec.or(self.announced)
    }

    /// How its layers come.
    pub(crate) fn streams(&self) -> Streams<'_> {
        match &self.scalable {
            _ if self.is_simulcast => Streams::OfLayers(&self.layers),
            Some(structure) if structure.sizes() > 1 => Streams::Scalable(structure, &self.layers),
            _ => Streams::One,
        }
    }

    /// The best layer that arrives.
    pub(crate) fn best_layer(&self, now: Instant) -> Option<Layer> {
        if self.is_simulcast { self.layers.choose(Layer::High, now) } else { Some(Layer::High) }
    }

    /// The layer that what comes by a stream counts as.
    pub(crate) fn layer_of(&self, sent_as: Layer) -> Layer {
        if self.is_simulcast { sent_as } else { Layer::High }
    }
}

/// The place of the codec that is for somebody who can decode what `takes` says, or of whom nothing is known yet, of a track in these codecs. The
/// first one that they can decode, unless all are to get another one.
pub(crate) fn choose(codecs: &[Codec], regressed: Option<usize>, takes: Option<&[Codec]>) -> usize {
    let main = regressed.unwrap_or(0);
    let Some(takes) = takes else { return main };
    let fits = |place: &usize| codecs.get(*place).is_some_and(|codec| takes.contains(codec));
    Some(main).filter(fits).or_else(|| (0..codecs.len()).find(fits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_first_codec_that_they_can_decode() {
        let codecs = [Codec::Vp9, Codec::Vp8];
        let of = |regressed, takes: &[Codec]| choose(&codecs, regressed, Some(takes));
        assert_eq!(choose(&codecs, None, None), 0);
        assert_eq!(of(None, &[Codec::Vp8, Codec::Vp9]), 0);
        assert_eq!(of(None, &[Codec::Vp8, Codec::H264]), 1);
        assert_eq!(of(None, &[Codec::H264]), 0, "nothing fits");
        // All get the backup codec who can decode it.
        assert_eq!(choose(&codecs, Some(1), None), 1);
        assert_eq!(of(Some(1), &[Codec::Vp8, Codec::Vp9]), 1);
        assert_eq!(of(Some(1), &[Codec::Vp9]), 0);
    }
}
