//! Scalable video: layers of VP9 and AV1 that come in one stream, told apart by the dependency descriptor.
//!
//! ```text
//!   frame ─► its template ─► what it is to each decode target: nothing, or needed ─► sent to who watches that target
//! ```
//!
//! A keyframe's descriptor brings the structure: templates, and what each is to each decode target (a picture of a certain size). The
//! frames after it name their template (AOM, "RTP Payload Format For AV1", appendix A). Temporal layers all go.
//!
//! # Invariants
//!
//! - What cannot be read passes whole.
//! - A subscriber gets a better picture from a keyframe on; a smaller one at once where its frames are among those that it gets.

use crate::layers::Layer;

const TEMPLATES: usize = 64;
const TARGETS: usize = 32;
/// Start and end of frame, template, frame number.
const MANDATORY_BYTES: usize = 3;

/// What a frame is to a decode target: 0 nothing, else discardable, a place to switch at, or required.
type Indication = u8;

/// The structure of a stream, as its last keyframe told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    offset: u8,
    targets: usize,
    templates: Vec<Template>,
    /// The decode target that shows a size, with all its temporal layers, by size: looked up for each packet and subscriber.
    shown_by: Vec<Option<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Vec<Indication>,
}

/// What a packet's descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    ends_frame: bool,
    template: u8,
    /// It begins a keyframe, and brings this.
    structure: Option<Structure>,
    /// What it is to each target, where that is not what its template says: bits behind those that are read.
    has_own_indications: bool,
    has_active_targets: bool,
}

/// Bits of an extension, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }
}

impl Structure {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let offset = bits.take(6)? as u8;
        let targets = bits.take(5)? as usize + 1;
        debug_assert!(targets <= TARGETS, "five bits hold no more");
        let mut templates = Vec::new();
        let (mut spatial, mut temporal) = (0_u8, 0_u8);
        loop {
            templates.push(Template { spatial, temporal, indications: Vec::new() });
            match bits.take(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
            if templates.len() == TEMPLATES {
                return None;
            }
        }
        for template in &mut templates {
            for _ in 0..targets {
                template.indications.push(bits.take(2)? as Indication);
            }
        }
        let shown_by = shown_by(&templates, targets);
        Some(Self { offset, targets, templates, shown_by })
    }

    /// How many sizes the picture has.
    pub(crate) fn sizes(&self) -> usize {
        self.shown_by.len()
    }

    /// Its size that belongs to a layer's name.
    pub(crate) fn size_of(&self, layer: Layer) -> usize {
        let largest = self.sizes() - 1;
        match layer {
            Layer::Low => 0,
            Layer::Medium => largest.min(1),
            Layer::High => largest,
        }
    }

    /// The layers' names that are sizes of their own.
    pub(crate) fn layers(&self) -> impl Iterator<Item = Layer> + use<> {
        let sizes = self.sizes();
        Layer::ALL.into_iter().filter(move |layer| match layer {
            Layer::Low => sizes >= 2,
            Layer::Medium => sizes >= 3,
            Layer::High => true,
        })
    }

    fn template(&self, id: u8) -> Option<&Template> {
        self.templates.get(usize::from((id + 64 - self.offset) % 64))
    }

    /// The decode target that shows a size, or the largest one where there is none of that size.
    fn target(&self, size: usize) -> Option<usize> {
        self.shown_by.get(size).or(self.shown_by.last()).copied().flatten()
    }

    /// Whether everything that a smaller size needs is among what a larger one does.
    fn includes(&self, larger: usize, smaller: usize) -> bool {
        let (Some(larger), Some(smaller)) = (self.target(larger), self.target(smaller)) else { return false };
        let both =
            |template: &Template| template.indications[smaller] == 0 || template.indications[larger] != 0;
        self.templates.iter().all(both)
    }
}

/// For each size the decode target that shows it, with all its temporal layers.
fn shown_by(templates: &[Template], targets: usize) -> Vec<Option<usize>> {
    let best = |target: usize| {
        let needed = templates.iter().filter(|template| template.indications[target] != 0);
        let layers = needed.map(|template| (template.spatial, template.temporal));
        layers.reduce(|(spatial, temporal), next| (spatial.max(next.0), temporal.max(next.1)))
    };
    let shown: Vec<_> = (0..targets).filter_map(|target| Some((best(target)?, target))).collect();
    let largest = templates.iter().map(|template| template.spatial).max().unwrap_or(0);
    let of_size = |size: u8| {
        let fitting = shown.iter().filter(|((spatial, _), _)| *spatial <= size);
        fitting.max().map(|(_, target)| *target)
    };
    (0..=largest).map(of_size).collect()
}

impl Descriptor {
    /// Reads what a packet brings.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes, at: 0 };
        let _begins_frame = bits.flag()?;
        let ends_frame = bits.flag()?;
        let template = bits.take(6)? as u8;
        bits.take(16)?;
        let mut descriptor = Self {
            ends_frame,
            template,
            structure: None,
            has_own_indications: false,
            has_active_targets: false,
        };
        if bytes.len() > MANDATORY_BYTES {
            let has_structure = bits.flag()?;
            descriptor.has_active_targets = bits.flag()?;
            descriptor.has_own_indications = bits.flag()?;
            let _own_frames_and_chains = bits.take(2)?;
            if has_structure {
                descriptor.structure = Some(Structure::read(&mut bits)?);
            }
        }
        Some(descriptor)
    }

    /// The structure that a keyframe brings.
    pub(crate) fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }

    /// Which frame of `structure` it is of; `bytes` is what it was read of.
    pub(crate) fn frame(&self, structure: &Structure, bytes: &[u8]) -> Option<Frame> {
        let template = structure.template(self.template)?;
        let mut needed = 0_u32;
        for (target, indication) in template.indications.iter().enumerate() {
            needed |= u32::from(*indication != 0) << target;
        }
        // Behind a structure they cannot be found without reading all of it, and a keyframe's are those of its template.
        if self.has_own_indications && self.structure.is_none() {
            let mut bits = Bits { bytes, at: 8 * MANDATORY_BYTES + 5 };
            if self.has_active_targets {
                bits.take(structure.targets)?;
            }
            needed = 0;
            for target in 0..structure.targets {
                needed |= u32::from(bits.take(2)? != 0) << target;
            }
        }
        Some(Frame {
            size: usize::from(template.spatial),
            needed,
            begins_stream: self.structure.is_some(),
            ends: self.ends_frame,
        })
    }
}

/// A packet's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which size of the picture it is of.
    pub(crate) size: usize,
    /// A bit for each decode target that needs it.
    needed: u32,
    /// Decoding can begin with it.
    begins_stream: bool,
    ends: bool,
}

/// What of a packet goes to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing.
    Nothing,
    /// It goes; whether it is the last one of the picture that the subscriber gets.
    It { ends_picture: bool },
}

/// The size that a subscriber gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picked {
    size: Option<usize>,
}

impl Picked {
    /// Whether the size that is wanted can only begin at a keyframe.
    pub(crate) fn needs_keyframe(&self, structure: &Structure, wanted: Layer) -> bool {
        let wanted = structure.size_of(wanted);
        self.size.is_none_or(|size| size != wanted && !(size > wanted && structure.includes(size, wanted)))
    }

    /// What of a packet goes to a subscriber who wants a layer.
    pub(crate) fn part(&mut self, structure: &Structure, frame: &Frame, wanted: Layer) -> Part {
        let wanted_size = structure.size_of(wanted);
        // Sizes of a picture come one after another, the smallest first.
        let may_change = frame.begins_stream || (frame.size == 0 && !self.needs_keyframe(structure, wanted));
        if may_change {
            self.size = Some(wanted_size);
        }
        let Some(target) = self.size.and_then(|size| structure.target(size)) else { return Part::Nothing };
        if frame.needed >> target & 1 == 0 {
            return Part::Nothing;
        }
        Part::It { ends_picture: frame.ends && self.size == Some(frame.size) }
    }
}

#[cfg(test)]
pub(crate) mod tests;
