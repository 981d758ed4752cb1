//! Who speaks: the choice of the large picture from the take's speaker levels. Pure.
//!
//! ```text
//!  levels     ann ▆▆▆▆▆▆▆▁▁▁▁▁▁▁▁▁▆▆▆▆▆▆▆▆▆▆
//!             bob ▁▁▁▅▁▁▁▁▁▅▅▅▅▅▅▅▅▅▅▅▁▁▁▁▁▁
//!  chosen     ann               bob          ann again, once bob is silent or ann was much louder for long
//! ```
//!
//! A cough or a "yes" changes nothing: a rival must go on for [`AFTER_SILENCE_NS`] where the chosen one is silent, and for
//! [`TALKING_OVER_NS`], clearly louder, where not; and everybody chosen stays at least [`DWELL_NS`]. The choice depends on the
//! facts and on the times asked for alone.

use reelroom_take::{ParticipantId, Speaker};

/// How long a rival has to speak before it is chosen, while the chosen one is silent.
pub const AFTER_SILENCE_NS: u64 = 600_000_000;
/// How long a rival has to be clearly louder before it is chosen, while the chosen one speaks.
pub const TALKING_OVER_NS: u64 = 2_000_000_000;
/// How long a participant stays chosen at least.
pub const DWELL_NS: u64 = 2_000_000_000;
/// Clearly louder: by this factor.
const LOUDER: f32 = 1.5;

#[derive(Debug, Clone, PartialEq)]
struct Rival {
    participant: ParticipantId,
    since_ns: u64,
}

/// The choice so far.
#[derive(Debug, Clone, Default)]
pub struct SpeakerChoice {
    chosen: Option<ParticipantId>,
    chosen_ns: u64,
    /// The chosen one is audible now.
    speaking: bool,
    rival: Option<Rival>,
    /// The participants that were chosen once and are still there, the latest last.
    history: Vec<ParticipantId>,
}

impl SpeakerChoice {
    /// The participant to be seen: the one that was chosen last and is still there.
    #[must_use]
    pub fn chosen(&self) -> Option<&ParticipantId> {
        self.chosen.as_ref().or(self.history.last())
    }

    /// How recently a participant was chosen: 0 is never, more is later.
    #[must_use]
    pub fn rank(&self, participant: &ParticipantId) -> usize {
        self.history.iter().position(|known| known == participant).map_or(0, |index| index + 1)
    }

    /// Takes the levels from `at_ns` on. The list names all audible participants, the others are silent; those that are not `present` do
    /// not count.
    pub fn levels(&mut self, at_ns: u64, speakers: &[Speaker], present: impl Fn(&ParticipantId) -> bool) {
        let level = |speaker: &&Speaker| if speaker.level.is_finite() { speaker.level } else { 0.0 };
        let audible =
            || speakers.iter().filter(|speaker| level(speaker) > 0.0 && present(&speaker.participant));
        let own = audible().find(|speaker| Some(&speaker.participant) == self.chosen.as_ref());
        self.speaking = own.is_some();
        let least = own.map_or(0.0, |own| own.level * LOUDER);
        // The first of equals, in the order of the fact.
        let loudest = audible()
            .filter(|speaker| Some(&speaker.participant) != self.chosen.as_ref() && speaker.level >= least)
            .reduce(|best, speaker| if speaker.level > best.level { speaker } else { best });
        self.rival = loudest.map(|speaker| match self.rival.take() {
            Some(rival)
                if audible().any(|other| other.participant == rival.participant && other.level >= least) =>
            {
                // Two rivals that take turns are one conversation: the one that began it stays the rival, unless the other is
                // clearly louder.
                let began = audible().find(|other| other.participant == rival.participant);
                if began.is_some_and(|began| began.level * LOUDER >= speaker.level) {
                    rival
                } else {
                    Rival { participant: speaker.participant.clone(), since_ns: at_ns }
                }
            }
            _ => Rival { participant: speaker.participant.clone(), since_ns: at_ns },
        });
    }

    /// Forgets a participant who left.
    pub fn left(&mut self, participant: &ParticipantId) {
        self.history.retain(|known| known != participant);
        if self.chosen.as_ref() == Some(participant) {
            self.chosen = None;
            self.speaking = false;
        }
        if self.rival.as_ref().is_some_and(|rival| rival.participant == *participant) {
            self.rival = None;
        }
    }

    /// A participant who was there is another one from now on.
    pub fn returned(&mut self, old: &ParticipantId, new: &ParticipantId) {
        let rival = self.rival.as_mut().map(|rival| &mut rival.participant);
        for known in self.history.iter_mut().chain(self.chosen.as_mut()).chain(rival) {
            if *known == *old {
                known.clone_from(new);
            }
        }
    }

    /// Chooses as of `now_ns`; says whether somebody else is chosen.
    pub fn advance(&mut self, now_ns: u64) -> bool {
        let Some(rival) = &self.rival else { return false };
        let patience_ns = match (&self.chosen, self.speaking) {
            (None, _) => 0,
            (Some(_), false) => AFTER_SILENCE_NS,
            (Some(_), true) => TALKING_OVER_NS,
        };
        let rested = self.chosen.is_none() || now_ns >= self.chosen_ns.saturating_add(DWELL_NS);
        if !rested || now_ns < rival.since_ns.saturating_add(patience_ns) {
            return false;
        }
        let Some(Rival { participant, .. }) = self.rival.take() else { return false };
        self.history.retain(|known| *known != participant);
        self.history.push(participant.clone());
        self.chosen = Some(participant);
        self.chosen_ns = now_ns;
        self.speaking = true;
        true
    }
}

#[cfg(test)]
mod tests;
