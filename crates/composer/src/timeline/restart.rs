//! A restart of the recorder's program in the middle of a call: everybody stands still, and comes back as somebody new.
//!
//! ```text
//!   suspended ─► all stand still ─► resumed ─► somebody of the same identity joins: their tile, in its place, with its last picture
//!                                      │            └─► their track has a picture: that one
//!                                      └─► after a while: who has not come back has left
//! ```
//!
//! # Invariants
//!
//! - Nobody is seen to leave and to come who only stood still, and nobody stands still for longer than [`WAITED_NS`] behind the restart.
//! - What stands still of somebody whom the room asks is what they agreed to. Their next answer counts from when they give it.
//! - Whether the room asks is said again after a restart: it may be one that does not, and who was not on screen is not there because of that.

use std::collections::{BTreeMap, BTreeSet};

use reelroom_take::{ParticipantId, TrackId, TrackKind};

use super::{Participant, Timeline, Track};

/// Who is not back so long after recording goes on has left. Clients try again and again, more and more seldom.
const WAITED_NS: u64 = 10_000_000_000;

/// What is known of those who stood still.
#[derive(Debug, Clone, Default)]
pub(super) struct Restart {
    /// When recording went on, while somebody may still come back.
    resumed_ns: Option<u64>,
    /// Of tracks that are new: what was there in their place before, and is shown until they have a picture.
    before: BTreeMap<TrackId, TrackId>,
    /// Who came back, had agreed to being recorded before, and has not said it again.
    agreed_before: BTreeSet<ParticipantId>,
    /// Tracks that are not needed any more.
    parted: Vec<TrackId>,
}

impl Restart {
    /// Whether the last picture of somebody is shown although they have not said it again.
    pub(super) fn had_agreed(&self, participant: &ParticipantId) -> bool {
        self.agreed_before.contains(participant)
    }

    /// Somebody answers, or leaves.
    pub(super) fn answered(&mut self, participant: &ParticipantId) {
        self.agreed_before.remove(participant);
    }

    fn keeps(&self, track: &TrackId) -> bool {
        self.before.values().any(|before| before == track)
    }
}

impl Timeline {
    /// From now on everybody stands still.
    pub(super) fn suspend(&mut self, at_ns: u64) {
        // Nobody speaks while nothing is recorded, and nobody becomes large by that.
        self.speaker.levels(at_ns, &[], |_| false);
        self.participants.iter_mut().for_each(|participant| participant.is_away = true);
        self.tracks.iter_mut().for_each(|track| track.is_away = true);
        self.restart.resumed_ns = None;
    }

    pub(super) fn resume(&mut self, at_ns: u64) {
        self.restart.resumed_ns = Some(at_ns);
        if std::mem::take(&mut self.asks) {
            let is_unseen = |known: &&Participant| {
                !self.agreed.contains(&known.id) && !self.restart.had_agreed(&known.id)
            };
            let unseen: Vec<_> =
                self.participants.iter().filter(is_unseen).map(|known| known.id.clone()).collect();
            self.part_with(&unseen);
        }
    }

    /// They have left.
    fn part_with(&mut self, gone: &[ParticipantId]) {
        let tracks = self.tracks.iter().filter(|track| gone.contains(&track.participant));
        self.restart.parted.extend(tracks.map(|track| track.id.clone()));
        self.remove_tracks(|track| gone.contains(&track.participant));
        self.participants.retain(|known| !gone.contains(&known.id));
        for participant in gone {
            self.agreed.remove(participant);
            self.restart.answered(participant);
            self.speaker.left(participant);
        }
    }

    /// Somebody joins: in the place of whoever stands still and has their identity, if somebody does.
    pub(super) fn come(&mut self, new: Participant) {
        let is_same = |known: &&mut Participant| known.is_away && known.identity == new.identity;
        let Some(known) = self.participants.iter_mut().find(is_same).filter(|_| !new.identity.is_empty())
        else {
            self.participants.push(new);
            return;
        };
        let (old, id) = (std::mem::replace(known, new), known.id.clone());
        for track in self.tracks.iter_mut().filter(|track| track.participant == old.id) {
            track.participant = id.clone();
        }
        self.speaker.returned(&old.id, &id);
        if self.agreed.remove(&old.id) || self.restart.agreed_before.remove(&old.id) {
            self.restart.agreed_before.insert(id);
        }
    }

    /// A track is published that may be there in place of one that stands still.
    pub(super) fn succeed(&mut self, new: &Track) {
        let is_before = |track: &Track| {
            track.is_away
                && track.participant == new.participant
                && (track.kind, track.source) == (new.kind, new.source)
        };
        let Some(old) = self.tracks.iter().find(|track| is_before(track)) else { return };
        let (old, has_picture) = (old.id.clone(), old.kind == TrackKind::Video && !old.muted);
        self.remove_tracks(|track| track.id == old);
        if has_picture && !new.muted {
            self.restart.before.insert(new.id.clone(), old);
        } else {
            self.restart.parted.push(old);
        }
    }

    /// What was there before a track is not shown in its place any more.
    pub(super) fn forget_before(&mut self, track: &TrackId) {
        self.restart.parted.extend(self.restart.before.remove(track));
    }

    /// Whether something is over with somebody who stood still for long enough.
    pub(super) fn wait_no_more(&mut self, now_ns: u64) -> bool {
        if self.restart.resumed_ns.is_none_or(|at_ns| now_ns < at_ns.saturating_add(WAITED_NS)) {
            return false;
        }
        self.restart.resumed_ns = None;
        self.restart.agreed_before.clear();
        let before = std::mem::take(&mut self.restart.before);
        self.restart.parted.extend(before.into_values());
        let away = self.tracks.iter().filter(|track| track.is_away).map(|track| track.id.clone());
        self.restart.parted.extend(away);
        self.remove_tracks(|track| track.is_away);
        let gone: Vec<_> =
            self.participants.iter().filter(|known| known.is_away).map(|known| known.id.clone()).collect();
        self.part_with(&gone);
        true
    }

    /// What is shown of a track that has no picture yet: the one that was there in its place before a restart.
    #[must_use]
    pub fn before(&self, track: &TrackId) -> Option<&TrackId> {
        self.restart.before.get(track)
    }

    /// The tracks that are over since this was asked last, without a fact that says so.
    pub(crate) fn parted(&mut self) -> Vec<TrackId> {
        std::mem::take(&mut self.restart.parted)
    }

    /// Whether a track is still shown though another one is published in its place.
    pub(super) fn lingers(&self, track: &TrackId) -> bool {
        self.restart.keeps(track)
    }
}
