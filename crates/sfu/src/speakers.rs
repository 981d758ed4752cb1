//! Who speaks: audio levels of packets (RFC 6464) to LiveKit's active speakers.
//!
//! ```text
//!   levels of packets ─► 400 ms: how much of it is sound, and how loud ─► smoothed ─► steps of 1/8 ─► what changed
//!                                                                                          └─► whoever hears the speaker, and the speaker
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reelroom_limits::signalling::SIMULATED_SPEECH;
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{SpeakerInfo, SpeakersChanged, signal_response};

use crate::output::{Fact, Output};
use crate::room::{Now, Room};

/// The window that levels are judged over.
const WINDOW: Duration = Duration::from_millis(400);
/// Louder than this, in dB below full scale, counts as sound.
const THRESHOLD_DBOV: u8 = 35;
/// This share of the window's packets has to be louder than the threshold.
const ACTIVE_SHARE: f32 = 0.4;
/// So many packets a window has at least where somebody speaks, in the longest packets that clients make (60 ms). With fewer it is silence that is sent
/// (DTX), of which a single packet may be loud.
const LEAST_PACKETS: u32 = 7;
/// How much of a new level counts against the one before: an average over two windows.
const SMOOTHING: f32 = 2.0 / 3.0;
/// Levels are reported in steps, so that small changes are not news.
const STEPS: f32 = 8.0;
/// How loud somebody is who simulates speech.
const SIMULATED_LEVEL: f32 = 0.9;

/// What there is to say, and of whom.
type News<T> = Vec<(ParticipantSid, T)>;

/// A level in dB below full scale as a part of it.
fn linear(dbov: f32) -> f32 {
    10_f32.powf(-dbov / 20.0)
}

#[derive(Debug, Default)]
struct Meter {
    loud: u32,
    all: u32,
    loudest: Option<u8>,
    /// Not rounded.
    smoothed: f32,
    /// What was reported last.
    level: f32,
}

impl Meter {
    /// The level at a window's end, in steps; 0 for silence.
    fn measure(&mut self) -> f32 {
        let share = self.loud as f32 / self.all.max(LEAST_PACKETS) as f32;
        self.smoothed = match self.loudest {
            Some(loudest) if share >= ACTIVE_SHARE => {
                // Whoever says a word in the window is not as loud as one who speaks all through it.
                let adjusted = f32::from(loudest) - 20.0 * share.log10();
                self.smoothed + (linear(adjusted) - self.smoothed) * SMOOTHING
            }
            _ => 0.0,
        };
        self.forget();
        let is_active = self.smoothed >= linear(f32::from(THRESHOLD_DBOV));
        if is_active { ((self.smoothed * STEPS).ceil() / STEPS).min(1.0) } else { 0.0 }
    }

    fn forget(&mut self) {
        (self.loud, self.all, self.loudest) = (0, 0, None);
    }
}

/// The speakers of a room.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    meters: BTreeMap<ParticipantSid, Meter>,
    window_end: Option<Instant>,
    /// Who is said to speak until then, at their own wish.
    simulated: BTreeMap<ParticipantSid, Instant>,
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
            meter.forget();
        }
    }

    /// Forgets a participant who left. Clients hear of that by other messages.
    pub(crate) fn remove(&mut self, speaker: &ParticipantSid) {
        self.meters.remove(speaker);
        self.simulated.remove(speaker);
    }

    pub(crate) fn next_window(&self) -> Option<Instant> {
        self.simulated.values().copied().chain(self.window_end).min()
    }

    /// At the end of a window: whose level changed, and to what (0 = silent).
    pub(crate) fn take_changes(&mut self, now: Instant) -> Vec<(ParticipantSid, f32)> {
        if self.window_end.is_none_or(|end| now < end) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        for (sid, meter) in &mut self.meters {
            let level = meter.measure();
            if (level - meter.level).abs() > f32::EPSILON {
                meter.level = level;
                changes.push((sid.clone(), level));
            }
        }
        let anyone_speaks = self.meters.values().any(|meter| meter.level > 0.0);
        self.window_end = anyone_speaks.then_some(now + WINDOW);
        changes
    }

    /// How loud somebody is; 0 for silence.
    pub(crate) fn level_of(&self, speaker: &ParticipantSid) -> f32 {
        self.meters.get(speaker).map_or(0.0, |meter| meter.level)
    }

    /// Everybody who speaks, loudest first.
    pub(crate) fn active(&self) -> Vec<(ParticipantSid, f32)> {
        let speaking = self.meters.iter().filter(|(_, meter)| meter.level > 0.0);
        let mut all: Vec<_> = speaking.map(|(sid, meter)| (sid.clone(), meter.level)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    /// Whose simulated speech is over by now.
    fn take_simulated(&mut self, now: Instant) -> Vec<ParticipantSid> {
        let over: Vec<_> =
            self.simulated.iter().filter(|(_, until)| **until <= now).map(|(sid, _)| sid.clone()).collect();
        for sid in &over {
            self.simulated.remove(sid);
        }
        over
    }
}

impl Room {
    /// At the end of a window, and of speech that was simulated: what changed is told to those whom it concerns.
    pub(crate) fn tell_speakers(&mut self, now: Now) {
        let changes = self.speakers.take_changes(now.at);
        if !changes.is_empty() {
            self.outputs.push_back(Output::Fact(Fact::Speakers(self.speakers.active())));
        }
        self.tell_levels(changes);
        let over = self.speakers.take_simulated(now.at);
        let levels = over.into_iter().map(|sid| {
            let level = self.speakers.level_of(&sid);
            (sid, level)
        });
        let levels = levels.collect();
        self.tell_levels(levels);
    }

    /// Each hears of those whom they are subscribed to, and of themselves.
    fn tell_levels(&mut self, levels: Vec<(ParticipantSid, f32)>) {
        for (to, speakers) in self.by_listeners(levels) {
            let changed = signal_response::Message::SpeakersChanged(speakers_changed(&speakers));
            self.broadcast(to, changed, None);
        }
    }

    /// A participant wants everybody to see what it looks like when it speaks.
    pub(crate) fn simulate_speech(&mut self, sid: &ParticipantSid, seconds: i32, now: Now) {
        let lasts = Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).min(SIMULATED_SPEECH);
        self.speakers.simulated.insert(sid.clone(), now.at + lasts);
        self.tell_levels(vec![(sid.clone(), SIMULATED_LEVEL)]);
    }

    /// Somebody hears a participant from now on, who may be speaking.
    pub(crate) fn tell_of_speaker(&mut self, to: &ParticipantSid, speaker: &ParticipantSid) {
        let level = self.speakers.level_of(speaker);
        if level > 0.0 {
            let changed = speakers_changed(&[(speaker.clone(), level)]);
            self.signal(to, signal_response::Message::SpeakersChanged(changed));
        }
    }

    /// Somebody hears these participants, and may not have heard which of them speak and which do not.
    pub(crate) fn tell_of_speakers(&mut self, to: &ParticipantSid, speakers: &BTreeSet<ParticipantSid>) {
        if !speakers.is_empty() {
            let levels: Vec<_> =
                speakers.iter().map(|sid| (sid.clone(), self.speakers.level_of(sid))).collect();
            self.signal(to, signal_response::Message::SpeakersChanged(speakers_changed(&levels)));
        }
    }

    /// Somebody is subscribed to a participant no more, of whose falling silent they will not hear.
    pub(crate) fn tell_no_more_of_speaker(&mut self, to: &ParticipantSid, track: &TrackSid) {
        let Some(speaker) = self.tracks.get(track).map(|track| track.publisher.clone()) else { return };
        if self.speakers.level_of(&speaker) > 0.0 && !self.listeners(&speaker).contains(to) {
            let changed = speakers_changed(&[(speaker, 0.0)]);
            self.signal(to, signal_response::Message::SpeakersChanged(changed));
        }
    }

    /// Who is told how a participant is: itself, and whoever is subscribed to anything of it.
    pub(crate) fn listeners(&self, sid: &ParticipantSid) -> BTreeSet<ParticipantSid> {
        let published = self.participants.get(sid).map(|who| who.published.as_slice()).unwrap_or_default();
        let tracks = published.iter().filter_map(|track| self.tracks.get(track));
        let subscribers = tracks.flat_map(|track| track.down.keys());
        let all = subscribers.chain([sid]);
        let is_told = |to: &&ParticipantSid| self.participants.get(*to).is_some_and(|who| who.is_active());
        all.filter(is_told).cloned().collect()
    }

    /// What there is to say of participants, by those to whom it is to be said: each list once, with all who get the same.
    pub(crate) fn by_listeners<T: Clone>(&self, news: News<T>) -> Vec<(Vec<ParticipantSid>, News<T>)> {
        let mut of: BTreeMap<ParticipantSid, Vec<usize>> = BTreeMap::new();
        for (index, (sid, _)) in news.iter().enumerate() {
            for listener in self.listeners(sid) {
                of.entry(listener).or_default().push(index);
            }
        }
        let mut same: BTreeMap<Vec<usize>, Vec<ParticipantSid>> = BTreeMap::new();
        for (listener, indices) in of {
            same.entry(indices).or_default().push(listener);
        }
        let pick = |indices: Vec<usize>| indices.into_iter().map(|index| news[index].clone()).collect();
        same.into_iter().map(|(indices, listeners)| (listeners, pick(indices))).collect()
    }
}

fn speakers_changed(speakers: &[(ParticipantSid, f32)]) -> SpeakersChanged {
    let info = |(sid, level): &(ParticipantSid, f32)| SpeakerInfo {
        sid: sid.to_string(),
        level: *level,
        active: *level > 0.0,
    };
    SpeakersChanged { speakers: speakers.iter().map(info).collect() }
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
    fn a_level_rises_over_two_windows_and_never_beyond_full_scale() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        let mut levels = Vec::new();
        for window in 0..4_u32 {
            for _ in 0..20 {
                speakers.level(&ada, 0, start + window * WINDOW);
            }
            levels
                .extend(speakers.take_changes(start + (window + 1) * WINDOW).iter().map(|(_, level)| *level));
        }
        assert_eq!(levels, [0.75, 1.0]);
        // Half of a window at the same loudness is half as loud.
        let mut meter = Meter { loud: 10, all: 20, loudest: Some(0), ..Meter::default() };
        assert_eq!(meter.measure(), 0.375);
    }

    #[test]
    fn who_is_muted_while_speaking_becomes_silent() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        for _ in 0..20 {
            speakers.level(&ada, 20, start);
        }
        assert_eq!(speakers.take_changes(start + WINDOW).len(), 1);
        for _ in 0..20 {
            speakers.level(&ada, 20, start + WINDOW);
        }
        speakers.silence(&ada);
        assert_eq!(speakers.take_changes(start + 2 * WINDOW), [(ada, 0.0)]);
    }

    #[test]
    fn a_single_packet_of_a_microphone_that_is_silent_is_no_speech() {
        let start = Instant::now();
        let ada = ParticipantSid::from("PA_ada");
        let mut speakers = Speakers::default();
        speakers.level(&ada, 10, start);
        assert!(speakers.take_changes(start + WINDOW).is_empty());
        // Speech in packets of 60 ms.
        for packet in 0..6 {
            speakers.level(&ada, 10, start + WINDOW + Duration::from_millis(packet * 60));
        }
        assert_eq!(speakers.take_changes(start + 2 * WINDOW).len(), 1);
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
