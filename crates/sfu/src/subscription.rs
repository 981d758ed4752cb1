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

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The subscriber has not answered the offer that carries it.
    Offered,
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
    pub(crate) forwarder: DownTrack,
    pub(crate) state: State,
    pub(crate) share: Share,
    /// The subscriber can read redundant sound.
    pub(crate) takes_red: bool,
    /// It was told that the stream is paused.
    pub(crate) is_told_paused: bool,
}

impl Subscription {
    /// Nothing flows until it is ready.
    pub(crate) fn new(codec: Codec, settings: TrackSettings) -> Self {
        Self {
            settings,
            forwarder: DownTrack::new(codec),
            state: State::Offered,
            share: Share::All,
            takes_red: false,
            is_told_paused: false,
        }
    }

    /// Whether the subscriber wants any of it and can get it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.state == State::Ready && !self.settings.disabled
    }

    /// Chooses the layer anew; the one of which a keyframe is missing comes back.
    pub(crate) fn retarget(&mut self, layers: &Layers, is_simulcast: bool, now: Instant) -> Option<Layer> {
        let target = match self.share {
            _ if !self.is_wanted() => None,
            Share::Nothing => None,
            _ if !is_simulcast => Some(Layer::High),
            Share::All => layers.choose(self.settings.max, now),
            Share::UpTo(layer) => layers.choose(self.settings.max.min(layer), now),
        };
        self.forwarder.set_target(target);
        self.forwarder.wants_keyframe()
    }

    /// Whether its picture goes on of which it was said that it is paused: to be told once.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.is_told_paused && self.forwarder.current().is_some() && {
            self.is_told_paused = false;
            true
        }
    }
}
