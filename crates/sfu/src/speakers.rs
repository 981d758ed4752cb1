//! Who speaks: audio levels of packets (RFC 6464) to LiveKit's active speakers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reelroom_protocol::ids::ParticipantSid;

/// The window that levels are judged over.
const WINDOW: Duration = Duration::from_millis(400);
/// Louder than this, in dB below full scale, counts as sound.
const THRESHOLD_DBOV: u8 = 35;
/// This share of the window's packets has to be louder than the threshold.
const ACTIVE_SHARE: f32 = 0.4;
/// Levels are reported in steps, so that small changes are not news.
const STEPS: f32 = 8.0;

#[derive(Debug, Default)]
struct Meter {
    loud: u32,
    all: u32,
    loudest: Option<u8>,
    level: f32,
}

/// The speakers of a room.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    meters: BTreeMap<ParticipantSid, Meter>,
    window_end: Option<Instant>,
}

impl Speakers {
    /// A packet's level in dB below full scale (0 loudest, 127 silence).
    pub(crate) fn level(&mut self, speaker: &ParticipantSid, dbov: u8, now: Instant) {
        self.window_end.get_or_insert(now + WINDOW);
        let meter = match self.meters.get_mut(speaker) {
            Some(meter) => meter,
            None => self.meters.entry(speaker.clone()).or_default(),
        };
        meter.all += 1;
        if dbov <= THRESHOLD_DBOV {
            meter.loud += 1;
            meter.loudest = Some(meter.loudest.map_or(dbov, |loudest| loudest.min(dbov)));
        }
    }

    /// What it said in this window does not count: the window's end finds it silent.
    pub(crate) fn silence(&mut self, speaker: &ParticipantSid) {
        if let Some(meter) = self.meters.get_mut(speaker) {
            (meter.loud, meter.all, meter.loudest) = (0, 0, None);
        }
    }

    /// Forgets a participant who left. Clients hear of that by other messages.
    pub(crate) fn remove(&mut self, speaker: &ParticipantSid) {
        self.meters.remove(speaker);
    }

    pub(crate) fn next_window(&self) -> Option<Instant> {
        self.window_end
    }

    /// At the end of a window: whose level changed, and to what (0 = silent).
    pub(crate) fn take_changes(&mut self, now: Instant) -> Vec<(ParticipantSid, f32)> {
        if self.window_end.is_none_or(|end| now < end) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (sid, meter) in &mut self.meters {
            let active = meter.all > 0 && meter.loud as f32 >= ACTIVE_SHARE * meter.all as f32;
            let level = match meter.loudest {
                Some(dbov) if active => {
                    let linear = 10_f32.powf(-f32::from(dbov) / 20.0);
                    // Half of the old level is kept, so that a single click does not light up a tile.
                    let smooth = if meter.level > 0.0 { (linear + meter.level) / 2.0 } else { linear };
                    (smooth * STEPS).ceil() / STEPS
                }
                _ => 0.0,
            };
            if (level - meter.level).abs() > f32::EPSILON {
                meter.level = level;
                changes.push((sid.clone(), level));
            }
            (meter.loud, meter.all, meter.loudest) = (0, 0, None);
        }
        let anyone_speaks = self.meters.values().any(|meter| meter.level > 0.0);
        self.window_end = anyone_speaks.then_some(now + WINDOW);
        changes
    }

    /// Everybody who speaks, loudest first.
    pub(crate) fn active(&self) -> Vec<(ParticipantSid, f32)> {
        let speaking = self.meters.iter().filter(|(_, meter)| meter.level > 0.0);
        let mut all: Vec<_> = speaking.map(|(sid, meter)| (sid.clone(), meter.level)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_becomes_active_and_silent_again() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        for packet in 0..20 {
            speakers.level(&ada, 20, start + Duration::from_millis(packet * 20));
        }
        assert!(speakers.take_changes(start + Duration::from_millis(399)).is_empty());
        let changes = speakers.take_changes(start + WINDOW);
        assert_eq!(changes, [(ada.clone(), 0.125)]);
        assert_eq!(speakers.active(), [(ada.clone(), 0.125)]);
        let changes = speakers.take_changes(start + 2 * WINDOW);
        assert_eq!(changes, [(ada, 0.0)]);
        assert_eq!(speakers.next_window(), None, "a silent room needs no timer");
    }

    #[test]
    fn who_is_muted_while_speaking_becomes_silent() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        speakers.level(&ada, 20, start);
        assert_eq!(speakers.take_changes(start + WINDOW).len(), 1);
        speakers.level(&ada, 20, start + WINDOW);
        speakers.silence(&ada);
        assert_eq!(speakers.take_changes(start + 2 * WINDOW), [(ada, 0.0)]);
    }

    #[test]
    fn a_click_is_no_speech() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        for packet in 0..20 {
            speakers.level(&ada, if packet == 3 { 5 } else { 90 }, start);
        }
        assert!(speakers.take_changes(start + WINDOW).is_empty());
    }
}
