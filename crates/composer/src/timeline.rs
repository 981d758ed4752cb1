//! The timeline: from the take's facts to what is on screen and to be heard at a moment. Pure.
//!
//! Facts are applied in the take's order; between two facts the scene changes only where [`Timeline::advance`] says so (somebody has
//! spoken long enough). Participants are shown in the order in which they joined, each shared screen is a tile of its own before
//! its owner's, each further camera one behind it. What is not recorded is named: its tile says why nothing is to be seen. Where there are more than [`MAX_TILES`], those who never spoke, or spoke longest ago, are left out.
//! Whoever was asked and has not agreed is not on screen at all, nor is their name. Who only stood still while the recorder's program was
//! started anew has not left (`restart.rs`).
//! Invariant: a scene depends on the facts and the times asked for alone.

mod restart;

use std::collections::BTreeSet;

use reelroom_take::{LeftOutWhy, ParticipantId, TakeEvent, TrackId, TrackKind, TrackSource};

use self::restart::Restart;
use crate::{
    layout::{Arrangement, Layout, MAX_TILES},
    speaker::SpeakerChoice,
};

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
    /// A shared screen: never cropped.
    pub screen: bool,
    /// Has a large place.
    pub large: bool,
}

#[derive(Debug, Clone)]
struct Participant {
    id: ParticipantId,
    identity: String,
    name: String,
    /// They stand still since recording was suspended.
    is_away: bool,
}

#[derive(Debug, Clone)]
struct Track {
    id: TrackId,
    participant: ParticipantId,
    kind: TrackKind,
    source: TrackSource,
    muted: bool,
    /// Why nothing is recorded of it.
    left_out: Option<LeftOutWhy>,
    /// It stands still since recording was suspended.
    is_away: bool,
}

impl Track {
    fn is_screen(&self) -> bool {
        self.source == TrackSource::ScreenShare
    }

    /// The track that its tile draws.
    fn drawn(&self) -> Option<TrackId> {
        self.left_out.is_none().then(|| self.id.clone())
    }
}

/// The state of the room at the moment of the last applied fact.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    layout: Layout,
    participants: Vec<Participant>,
    tracks: Vec<Track>,
    /// Tracks that were muted when they went.
    silenced: Vec<TrackId>,
    speaker: SpeakerChoice,
    paused: bool,
    /// Nobody is on screen who is not one of those who agreed.
    asks: bool,
    agreed: BTreeSet<ParticipantId>,
    restart: Restart,
}

impl Track {
    /// Nobody is to hear it.
    fn is_silent(&self) -> bool {
        self.muted || self.left_out.is_some()
    }
}

impl Timeline {
    /// An empty room.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// Applies a fact of `at_ns`; says whether the scene may have changed.
    pub fn apply(&mut self, at_ns: u64, event: &TakeEvent) -> bool {
        match event {
            TakeEvent::ParticipantJoined { participant, identity, name } => {
                self.participants.retain(|known| known.id != *participant);
                self.come(Participant {
                    id: participant.clone(),
                    identity: identity.clone(),
                    name: name.clone(),
                    is_away: false,
                });
            }
            TakeEvent::ParticipantLeft { participant } => {
                self.participants.retain(|known| known.id != *participant);
                self.remove_tracks(|track| track.participant == *participant);
                self.agreed.remove(participant);
                self.restart.answered(participant);
                self.speaker.left(participant);
            }
            TakeEvent::ParticipantNamed { participant, name } => {
                let known = self.participants.iter_mut().find(|known| known.id == *participant);
                let Some(known) = known else { return false };
                known.name.clone_from(name);
            }
            TakeEvent::TrackPublished { track, participant, kind, source, muted, .. } => {
                self.tracks.retain(|known| known.id != *track);
                self.silenced.retain(|known| known != track);
                let new = Track {
                    id: track.clone(),
                    participant: participant.clone(),
                    kind: *kind,
                    source: *source,
                    muted: *muted,
                    left_out: None,
                    is_away: false,
                };
                self.succeed(&new);
                self.tracks.push(new);
            }
            TakeEvent::TrackUnpublished { track } => {
                self.forget_before(track);
                self.remove_tracks(|known| known.id == *track);
            }
            TakeEvent::TrackMuted { track, muted } => {
                self.forget_before(track);
                let Some(known) = self.tracks.iter_mut().find(|known| known.id == *track) else {
                    return false;
                };
                known.muted = *muted;
            }
            TakeEvent::LeftOut { track, why, .. } => {
                // Of whoever is about to say once more that they agree the picture stays that they agreed to.
                if *why != LeftOutWhy::NotAgreed {
                    self.forget_before(track);
                }
                return self.left_out(track, Some(*why));
            }
            TakeEvent::LeftOutUntil { track, .. } => return self.left_out(track, None),
            TakeEvent::Layout { layout } => self.layout = Layout::parse(layout),
            TakeEvent::ConsentAsked => self.asks = true,
            TakeEvent::Consent { participant, agrees: true, .. } => {
                self.restart.answered(participant);
                self.agreed.insert(participant.clone());
            }
            TakeEvent::Consent { participant, agrees: false, .. } => {
                self.restart.answered(participant);
                self.agreed.remove(participant);
            }
            TakeEvent::Suspended { .. } => {
                self.suspend(at_ns);
                return false;
            }
            TakeEvent::Resumed => {
                self.resume(at_ns);
                return false;
            }
            TakeEvent::Pause => self.paused = true,
            TakeEvent::Resume => self.paused = false,
            TakeEvent::Speakers { speakers } => {
                let participants = &self.participants;
                self.speaker.levels(at_ns, speakers, |id| participants.iter().any(|known| known.id == *id));
                return false;
            }
            TakeEvent::SegmentOpened(_)
            | TakeEvent::Dimensions { .. }
            | TakeEvent::Orientation { .. }
            | TakeEvent::SenderReport { .. }
            | TakeEvent::Gap { .. }
            | TakeEvent::Packets { .. }
            | TakeEvent::Marker { .. }
            | TakeEvent::Complete { .. }
            | TakeEvent::Ended { .. }
            | TakeEvent::Unknown => return false,
        }
        true
    }

    /// Lets time pass up to `now_ns`; says whether the scene may have changed.
    pub fn advance(&mut self, now_ns: u64) -> bool {
        let has_waited = self.wait_no_more(now_ns);
        self.speaker.advance(now_ns) || has_waited
    }

    /// From now on nothing is to be seen and heard of `track`, or again something; says whether the scene may have changed.
    pub(crate) fn left_out(&mut self, track: &TrackId, why: Option<LeftOutWhy>) -> bool {
        let Some(known) = self.tracks.iter_mut().find(|known| known.id == *track) else { return false };
        std::mem::replace(&mut known.left_out, why) != why
    }

    /// Whether `track` may be heard: a muted track's last packets are not. What was said shortly before a track went, or arrived before
    /// it was announced, is.
    #[must_use]
    pub fn audible(&self, track: &TrackId) -> bool {
        let is_muted = self.tracks.iter().any(|known| known.id == *track && known.is_silent());
        !self.paused && !is_muted && !self.silenced.contains(track)
    }

    /// Whether `track` is not published (any more).
    #[must_use]
    pub fn forgot(&self, track: &TrackId) -> bool {
        !self.tracks.iter().any(|known| known.id == *track) && !self.lingers(track)
    }

    /// What is on screen.
    #[must_use]
    pub fn scene(&self) -> Scene {
        let mut scene = Scene { layout: self.layout, tiles: Vec::new() };
        if self.paused {
            return scene;
        }
        let is_recorded = |participant: &&Participant| {
            let id = &participant.id;
            !self.asks || self.agreed.contains(id) || self.restart.had_agreed(id)
        };
        for participant in self.participants.iter().filter(is_recorded) {
            self.tiles_of(participant, &mut scene.tiles);
        }
        let main = self.main_tile(&scene.tiles);
        for (index, tile) in scene.tiles.iter_mut().enumerate() {
            tile.large = match self.layout.arrangement {
                Arrangement::Grid => tile.screen && tile.track.is_some(),
                Arrangement::Speaker | Arrangement::SingleSpeaker => Some(index) == main,
            };
        }
        match self.layout.arrangement {
            Arrangement::SingleSpeaker => scene.tiles.retain(|tile| tile.large),
            Arrangement::Grid | Arrangement::Speaker => self.leave_out(&mut scene.tiles),
        }
        scene
    }

    fn remove_tracks(&mut self, is_gone: impl Fn(&Track) -> bool) {
        let muted = self.tracks.iter().filter(|track| track.is_silent() && is_gone(track));
        self.silenced.extend(muted.map(|track| track.id.clone()));
        self.tracks.retain(|track| !is_gone(track));
    }

    fn tiles_of(&self, participant: &Participant, tiles: &mut Vec<Tile>) {
        let name = if participant.name.is_empty() { &participant.identity } else { &participant.name };
        let own = || self.tracks.iter().filter(|track| track.participant == participant.id);
        let videos = |is_screen: bool| {
            let shown = own().filter(|track| track.kind == TrackKind::Video && !track.muted);
            shown.filter(move |track| track.is_screen() == is_screen)
        };
        let tile = |track: &Track, what: &str, number: usize| Tile {
            participant: participant.id.clone(),
            track: track.drawn(),
            label: noted(name, &[&numbered(what, number), why(track.left_out)]),
            muted: false,
            screen: track.is_screen(),
            large: false,
        };
        tiles.extend(videos(true).zip(1..).map(|(screen, number)| tile(screen, "screen", number)));
        let microphones = || {
            own().filter(|track| {
                track.kind == TrackKind::Audio && track.source != TrackSource::ScreenShareAudio
            })
        };
        let heard = microphones().any(|track| !track.muted && track.left_out.is_none());
        let mut cameras = videos(false).zip(1..);
        let first = cameras.next().map(|(camera, _)| camera);
        let unheard = microphones().find_map(|track| track.left_out.filter(|_| !heard));
        let note = first.and_then(|camera| camera.left_out).or(unheard);
        tiles.push(Tile {
            participant: participant.id.clone(),
            track: first.and_then(Track::drawn),
            label: noted(name, &[why(note)]),
            muted: !heard,
            screen: false,
            large: false,
        });
        tiles.extend(cameras.map(|(camera, number)| tile(camera, "camera", number)));
    }

    /// The one to be looked at: the screen shared last; else who speaks; else the first one with a camera; else the first one.
    fn main_tile(&self, tiles: &[Tile]) -> Option<usize> {
        let published =
            |tile: &Tile| self.tracks.iter().position(|track| Some(&track.id) == tile.track.as_ref());
        let screens = tiles.iter().enumerate().filter(|(_, tile)| tile.screen && tile.track.is_some());
        let screen = screens.max_by_key(|(_, tile)| published(tile)).map(|(index, _)| index);
        let people = || tiles.iter().enumerate().filter(|(_, tile)| !tile.screen);
        let find =
            |wanted: &dyn Fn(&Tile) -> bool| people().find(|(_, tile)| wanted(tile)).map(|(index, _)| index);
        screen
            .or_else(|| find(&|tile| Some(&tile.participant) == self.speaker.chosen()))
            .or_else(|| find(&|tile| tile.track.is_some()))
            .or_else(|| find(&|_| true))
    }

    /// Leaves out tiles until they fit.
    fn leave_out(&self, tiles: &mut Vec<Tile>) {
        let surplus = tiles.len().saturating_sub(MAX_TILES);
        if surplus == 0 {
            return;
        }
        let mut order: Vec<usize> = (0..tiles.len()).collect();
        // First to go: who spoke least recently, of those who joined last.
        order.sort_by_key(|index| {
            let tile = &tiles[*index];
            (tile.large || tile.screen, self.speaker.rank(&tile.participant), usize::MAX - index)
        });
        let mut goes = vec![false; tiles.len()];
        for index in &order[..surplus] {
            goes[*index] = true;
        }
        let mut goes = goes.into_iter();
        tiles.retain(|_| !goes.next().unwrap_or(false));
    }
}

/// A name with what there is to say of its tile: `Ann (screen, encrypted)`.
fn noted(name: &str, notes: &[&str]) -> String {
    let notes: Vec<_> = notes.iter().copied().filter(|note| !note.is_empty()).collect();
    if notes.is_empty() { name.to_owned() } else { format!("{name} ({})", notes.join(", ")) }
}

/// The first one needs no number.
fn numbered(what: &str, number: usize) -> String {
    if number == 1 { what.to_owned() } else { format!("{what} {number}") }
}

fn why(left_out: Option<LeftOutWhy>) -> &'static str {
    match left_out {
        None => "",
        Some(LeftOutWhy::Encrypted) => "encrypted",
        Some(LeftOutWhy::NotAgreed | LeftOutWhy::Declined) => "not recorded",
        Some(LeftOutWhy::Unreadable | LeftOutWhy::Other) => "cannot be shown",
    }
}

#[cfg(test)]
mod tests;
