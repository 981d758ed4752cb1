//! Where a segment's pictures are placed: by their arrival, and beside the sound of their participant. Pure.
//!
//! ```text
//!  both report, and nothing moved since   by the senders' wall clock, relative to the sound as it is heard
//!  something moved since                  by arrival, with the distance that the reports told last
//!  no reports, or none to be believed     by arrival
//! ```
//!
//! Where the sound is heard later than it could be, pictures wait for it, too.

use super::{DEAD_BAND_NS, Fate, HURRY, LATENESS_NS, Moment, floor::Least};

/// Arrivals that much later than before mean that the sender paused, or that the network got slower for good.
const RISE_NS: i64 = 20_000_000;
/// By arrival, pictures follow a drift by this part of the time passed.
const DRIFT: i64 = 50;
/// What reports tell is learned by this part of the time passed.
const LEARN: i64 = 8;
/// Further than this they jump: it is no drift.
const JUMP_NS: i64 = 400_000_000;
/// Without others around it, a picture proves nothing; unless nothing came for so long.
const ALONE_NS: u64 = 2_000_000_000;
/// A picture that belongs so much later than it came is shown now.
const MAX_AHEAD_NS: i64 = 2_000_000_000;

/// A frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    pub(super) key_ns: u64,
    pub(super) at_ns: i64,
    pub(super) media_ns: i64,
    /// Others come soon.
    pub(super) flows: bool,
}

/// What is known of the distance to the sound.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beside {
    /// Reports of both.
    Told {
        /// What is to be added to media time.
        wanted_ns: i64,
        /// They said so twice, and the sound is where it belongs: it is remembered.
        is_sure: bool,
    },
    /// No report that counts.
    Arrival,
}

/// Places one segment's pictures.
#[derive(Debug, Default)]
pub(super) struct PicturePlacer {
    /// By arrival.
    base_ns: Option<i64>,
    applied_ns: Option<i64>,
    key_ns: u64,
    /// Media time up to which pictures were placed.
    placed_media_ns: Option<i64>,
    /// How much later than by arrival pictures belong, as reports told.
    correction_ns: Option<i64>,
    pub(super) bent_ns: i64,
}

impl PicturePlacer {
    /// What pictures' arrivals say, to be added to media time.
    pub(super) fn base_ns(&self) -> Option<i64> {
        self.base_ns
    }

    /// What was added to media time last.
    pub(super) fn applied_ns(&self) -> Option<i64> {
        self.applied_ns
    }

    /// Follows the arrivals; whether they moved for good.
    pub(super) fn arrive(&mut self, picture: &Picture, Least { near_ns, far_ns, .. }: Least) -> bool {
        let passed_ns = picture.key_ns.saturating_sub(self.key_ns);
        let Some(base_ns) = self.base_ns else {
            self.base_ns = Some(near_ns);
            return false;
        };
        let is_proven = picture.flows || passed_ns > ALONE_NS;
        let error_ns = far_ns - base_ns;
        let (moved_ns, is_jump) = if near_ns > base_ns + RISE_NS && is_proven {
            (near_ns - base_ns, true)
        } else if error_ns.abs() > RISE_NS {
            (error_ns, true)
        } else if error_ns.abs() > DEAD_BAND_NS {
            let most_ns = i64::try_from(passed_ns).unwrap_or(i64::MAX) / DRIFT;
            let step_ns = error_ns.clamp(-most_ns, most_ns);
            self.bent_ns += step_ns;
            (step_ns, false)
        } else {
            (0, false)
        };
        self.base_ns = Some(base_ns + moved_ns);
        let has_risen = is_jump && moved_ns > 0;
        if has_risen {
            self.applied_ns = self.applied_ns.map(|applied_ns| applied_ns + moved_ns);
        }
        has_risen
    }

    /// Places the frame whose arrival was followed last. `lag_ns` is that of the sound.
    pub(super) fn place(&mut self, picture: &Picture, beside: Beside, lag_ns: i64) -> Moment {
        let base_ns = self.base_ns.unwrap_or(picture.at_ns - picture.media_ns);
        let passed_ns = i64::try_from(picture.key_ns.saturating_sub(self.key_ns)).unwrap_or(i64::MAX);
        let wanted_ns = match beside {
            Beside::Told { wanted_ns, is_sure } => {
                if is_sure {
                    // What sound and pictures do not do at the very same time passes by.
                    let (told_ns, most_ns) = (wanted_ns - lag_ns - base_ns, passed_ns / LEARN);
                    let known_ns = *self.correction_ns.get_or_insert(told_ns);
                    self.correction_ns = Some(known_ns + (told_ns - known_ns).clamp(-most_ns, most_ns));
                }
                wanted_ns
            }
            Beside::Arrival => base_ns + self.correction_ns.unwrap_or(0) + lag_ns,
        };
        // Whoever is moved earlier stays behind the picture before it, also where that one came long before.
        let ahead_ns = picture.media_ns - self.placed_media_ns.unwrap_or(picture.media_ns);
        let earlier_ns = passed_ns.min(ahead_ns.max(0)) / HURRY;
        self.placed_media_ns = Some(self.placed_media_ns.unwrap_or(picture.media_ns).max(picture.media_ns));
        let applied_ns = match self.applied_ns {
            Some(applied_ns) if (wanted_ns - applied_ns).abs() < JUMP_NS => {
                let (error_ns, most_ns) = (wanted_ns - applied_ns, passed_ns / HURRY);
                let is_close = error_ns.abs() <= DEAD_BAND_NS;
                applied_ns + if is_close { 0 } else { error_ns.clamp(-earlier_ns, most_ns) }
            }
            _ => wanted_ns,
        };
        (self.applied_ns, self.key_ns) = (Some(applied_ns), picture.key_ns);
        let earliest_ns = picture.at_ns.saturating_sub_unsigned(LATENESS_NS);
        let place_ns = (picture.media_ns + applied_ns).clamp(earliest_ns, picture.at_ns + MAX_AHEAD_NS);
        Moment { at_ns: u64::try_from(place_ns).unwrap_or(0), fate: Fate::Joined }
    }
}
