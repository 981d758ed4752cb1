//! One track on its way to one subscriber, in one place: what the subscriber asked for, what its line has room for, and what goes.
//!
//! ```text
//!   settings (what is wanted) ─┐
//!   share (what fits)         ─┼─► target layer ─► forwarder ─► packets
//!   state (what is negotiated)─┘
//! ```
//!
//! # Invariants
//!
//! - A subscriber is told that a stream is paused while there is no room for any of it, and that it goes on when its picture does.

use std::time::Instant;

use crate::codec::Codec;
use crate::forward::DownTrack;
use crate::layers::{Layer, Layers, TrackSettings};
use crate::svc::{Frame, Part, Picked, Structure};

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The subscriber has not answered the offer that carries it.
    Offered,
    /// The subscriber can decode nothing that the track is announced in.
    Refused,
    /// Media may flow.
    Ready,
}

/// What of a track a subscriber's line has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Whatever is wanted.
    All,
    /// No more than this layer.
    UpTo(Layer),
    /// Nothing.
    Nothing,
}

/// One subscriber of a track.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) settings: TrackSettings,
    /// The place of the codec that it gets.
    pub(crate) coding: usize,
    /// What the subscriber can decode, once that is negotiated.
    pub(crate) takes: Option<Vec<Codec>>,
    pub(crate) forwarder: DownTrack,
    pub(crate) state: State,
    pub(crate) share: Share,
    /// The subscriber can read redundant sound.
    pub(crate) takes_red: bool,
    /// It was told that the stream is paused.
    pub(crate) is_told_paused: bool,
    /// Which size of a scalable stream goes.
    picked: Picked,
    /// Which one is to go.
    size: Layer,
}

/// The largest size up to that of `most` that its publisher still sends. Where sizes do not need each other in each picture, who goes on to
/// wait for one that ended gets nothing of the others.
fn best_size(structure: &Structure, layers: &Layers, most: Layer, now: Instant) -> Layer {
    let largest = structure.size_of(most);
    let fitting = structure.layers().filter(|layer| structure.size_of(*layer) <= largest);
    fitting.filter(|layer| layers.is_live(*layer, now)).max().unwrap_or(most)
}

/// How the layers of a track come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Streams<'a> {
    /// There is one layer, or nobody can tell them apart.
    One,
    /// Each in a stream of its own.
    OfLayers(&'a Layers),
    /// All in one stream.
    Scalable(&'a Structure, &'a Layers),
}

impl Subscription {
    /// Nothing flows until it is ready.
    pub(crate) fn new(coding: usize, codec: Codec, settings: TrackSettings) -> Self {
        Self {
            settings,
            coding,
            takes: None,
            forwarder: DownTrack::new(codec),
            state: State::Offered,
            share: Share::All,
            takes_red: false,
            is_told_paused: false,
            picked: Picked::default(),
            size: Layer::High,
        }
    }

    /// It comes in the codec at this place from its next keyframe on.
    pub(crate) fn goes_by(&mut self, coding: usize, codec: Codec) {
        if (self.coding, self.forwarder.codec()) != (coding, codec) {
            self.coding = coding;
            self.forwarder.change_codec(codec);
            self.picked = Picked::default();
        }
    }

    /// The best layer that is asked for, whether that is negotiated or not.
    pub(crate) fn asks_for(&self) -> Option<Layer> {
        (self.state != State::Refused && !self.settings.disabled).then_some(self.settings.max)
    }

    /// Whether the subscriber wants any of it and can get it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state == State::Ready && !self.settings.disabled
    }

    /// Chooses the layer anew; the one of which a keyframe is missing comes back.
    pub(crate) fn retarget(&mut self, streams: Streams<'_>, now: Instant) -> Option<Layer> {
        let most = match self.share {
            _ if !self.is_wanted() => None,
            Share::Nothing => None,
            Share::All => Some(self.settings.max),
            Share::UpTo(layer) => Some(self.settings.max.min(layer)),
        };
        self.size = match (most, streams) {
            (Some(most), Streams::Scalable(structure, layers)) => best_size(structure, layers, most, now),
            _ => most.unwrap_or(self.size),
        };
        let target = match streams {
            Streams::OfLayers(layers) => most.and_then(|most| layers.choose(most, now)),
            Streams::One | Streams::Scalable(..) => most.map(|_| Layer::High),
        };
        self.forwarder.set_target(target);
        let grows = match streams {
            Streams::Scalable(structure, _) if target.is_some() => {
                self.picked.needs_keyframe(structure, self.size)
            }
            _ => false,
        };
        self.forwarder.wants_keyframe().or(grows.then_some(Layer::High))
    }

    /// The layer that is to be sent.
    pub(crate) fn granted(&self, streams: Streams<'_>) -> Option<Layer> {
        let target = self.forwarder.target()?;
        match streams {
            Streams::Scalable(structure, _) => {
                let size = structure.size_of(self.size);
                structure.layers().find(|layer| structure.size_of(*layer) == size)
            }
            Streams::One | Streams::OfLayers(_) => Some(target),
        }
    }

    /// What of a packet of a scalable stream goes.
    pub(crate) fn part(&mut self, structure: &Structure, frame: &Frame) -> Part {
        self.picked.part(structure, frame, self.size)
    }

    /// Whether its picture goes on of which it was said that it is paused: to be told once.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.is_told_paused && self.forwarder.current().is_some() && {
            self.is_told_paused = false;
            true
        }
    }
}
