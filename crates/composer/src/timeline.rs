//! The timeline: from the take's facts to what is on screen and to be heard at a moment. Pure.
//!
//! Facts are applied in the take's order; between two facts the scene stands still. Participants are shown in the order in which
//! they joined, each shared screen is a tile of its own before its owner's. Invariant: a scene depends on the facts alone.

use reelroom_take::{ParticipantId, TakeEvent, TrackId, TrackKind, TrackSource};

use crate::layout::Layout;

/// What is on screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scene {
    /// How the tiles are arranged.
    pub layout: Layout,
    /// The tiles, in reading order.
    pub tiles: Vec<Tile>,
}

/// One tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// Whose.
    pub participant: ParticipantId,
    /// The track to be drawn; `None`, or a track without a picture yet, is a placeholder.
    pub track: Option<TrackId>,
    /// The name to be shown.
    pub label: String,
    /// Nobody hears this participant: no microphone, or a muted one.
    pub muted: bool,
    /// A shared screen: large and uncropped.
    pub screen: bool,
}

#[derive(Debug, Clone)]
struct Participant {
    id: ParticipantId,
    identity: String,
    name: String,
}

#[derive(Debug, Clone)]
struct Track {
    id: TrackId,
    participant: ParticipantId,
    kind: TrackKind,
    source: TrackSource,
    muted: bool,
}

/// The state of the room at the moment of the last applied fact.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    layout: Layout,
    participants: Vec<Participant>,
    tracks: Vec<Track>,
    paused: bool,
}

impl Timeline {
    /// An empty room.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// Applies a fact; says whether the scene may have changed.
    pub fn apply(&mut self, event: &TakeEvent) -> bool {
        match event {
            TakeEvent::ParticipantJoined { participant, identity, name } => {
                self.participants.retain(|known| known.id != *participant);
                self.participants.push(Participant {
                    id: participant.clone(),
                    identity: identity.clone(),
                    name: name.clone(),
                });
            }
            TakeEvent::ParticipantLeft { participant } => {
                self.participants.retain(|known| known.id != *participant);
                self.tracks.retain(|track| track.participant != *participant);
            }
            TakeEvent::ParticipantNamed { participant, name } => {
                let known = self.participants.iter_mut().find(|known| known.id == *participant);
                let Some(known) = known else { return false };
                known.name.clone_from(name);
            }
            TakeEvent::TrackPublished { track, participant, kind, source, muted, .. } => {
                self.tracks.retain(|known| known.id != *track);
                self.tracks.push(Track {
                    id: track.clone(),
                    participant: participant.clone(),
                    kind: *kind,
                    source: *source,
                    muted: *muted,
                });
            }
            TakeEvent::TrackUnpublished { track } => self.tracks.retain(|known| known.id != *track),
            TakeEvent::TrackMuted { track, muted } => {
                let Some(known) = self.tracks.iter_mut().find(|known| known.id == *track) else {
                    return false;
                };
                known.muted = *muted;
            }
            TakeEvent::Layout { layout } => self.layout = Layout::parse(layout),
            TakeEvent::Pause => self.paused = true,
            TakeEvent::Resume => self.paused = false,
            TakeEvent::SegmentOpened(_)
            | TakeEvent::Dimensions { .. }
            | TakeEvent::Orientation { .. }
            | TakeEvent::Speakers { .. }
            | TakeEvent::SenderReport { .. }
            | TakeEvent::Gap { .. }
            | TakeEvent::Marker { .. }
            | TakeEvent::Complete { .. }
            | TakeEvent::Ended { .. }
            | TakeEvent::Unknown => return false,
        }
        true
    }

    /// Whether `track` is published and may be heard: a muted track's last packets are not.
    #[must_use]
    pub fn audible(&self, track: &TrackId) -> bool {
        !self.paused && self.tracks.iter().any(|known| known.id == *track && !known.muted)
    }

    /// Whether `track` is not published (any more).
    #[must_use]
    pub fn forgot(&self, track: &TrackId) -> bool {
        !self.tracks.iter().any(|known| known.id == *track)
    }

    /// What is on screen.
    #[must_use]
    pub fn scene(&self) -> Scene {
        if self.paused {
            return Scene { layout: self.layout, tiles: Vec::new() };
        }
        let mut tiles = Vec::new();
        for participant in &self.participants {
            let name = if participant.name.is_empty() { &participant.identity } else { &participant.name };
            let own = || self.tracks.iter().filter(|track| track.participant == participant.id);
            let video = || own().filter(|track| track.kind == TrackKind::Video && !track.muted);
            for screen in video().filter(|track| track.source == TrackSource::ScreenShare) {
                tiles.push(Tile {
                    participant: participant.id.clone(),
                    track: Some(screen.id.clone()),
                    label: format!("{name} (screen)"),
                    muted: false,
                    screen: true,
                });
            }
            let heard = own().any(|track| {
                track.kind == TrackKind::Audio
                    && track.source != TrackSource::ScreenShareAudio
                    && !track.muted
            });
            tiles.push(Tile {
                participant: participant.id.clone(),
                track: video()
                    .find(|track| track.source != TrackSource::ScreenShare)
                    .map(|track| track.id.clone()),
                label: name.clone(),
                muted: !heard,
                screen: false,
            });
        }
        Scene { layout: self.layout, tiles }
    }
}

#[cfg(test)]
mod tests;
