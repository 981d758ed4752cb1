//! How good the connection of each participant is, as it is shown beside their picture: of loss, delay and layers, on the way to the server and from it.
//!
//! ```text
//!   what sessions measure (Measured) ─► a window of 5 s for each track ─► 0 to 100, smoothed ─► the worst of a participant's
//!                                                                                                   └─► changed? itself, and its subscribers
//! ```
//!
//! # Invariants
//!
//! - A track that sends nothing says nothing of its connection: it may be muted, or a picture that stands still.
//! - LOST is said of those alone whose media was heard and is heard no more: a client that reads it of itself for ten seconds joins anew.
//! - What a publisher does not send is not its subscribers' shortage, and what nobody asks for is not the publisher's.
//! - A picture that is paused because a line has no room for any of it is as bad as it gets, though nothing of it is sent or lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate, signal_response,
};

use crate::layers::Layer;
use crate::room::{Now, Room};
use crate::subscription::{Share, State, Subscription};
use crate::track::Track;

/// How often it is judged and told, as with LiveKit.
const EVERY: Duration = Duration::from_secs(5);

const BEST: f64 = 100.0;
/// Nothing is worse: it would take long to come back from there.
const WORST: f64 = 20.0;
/// Above this a connection is excellent.
const EXCELLENT_ABOVE: f64 = 80.0;
/// Above this it is good, and else poor.
const GOOD_ABOVE: f64 = 40.0;
/// How much of a new score counts where it is better than the one before, ...
const RISES_BY: f64 = 0.4;
/// ... and where it is worse: somebody wants to know soon.
const FALLS_BY: f64 = 0.7;
/// What each layer that is missing costs: a step of the three.
const LAYER_COSTS: f64 = 35.0;
/// What each percent of loss costs, of sound: Opus conceals a little.
const AUDIO_LOSS_COSTS: f64 = 8.0 / 1.5;
/// The same of pictures: 2 % of loss are good, 6 % are poor.
const VIDEO_LOSS_COSTS: f64 = 10.0;

/// What a session measured of one stream since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Packets that were received, or sent.
    pub packets: u64,
    /// The part of them that was lost of late, 0 to 1; `None` where nobody has said so since the last time.
    pub loss: Option<f32>,
    /// The way there and back.
    pub round_trip: Option<Duration>,
    /// How irregularly packets come.
    pub jitter: Duration,
}

/// What was measured of a track since it was judged last.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    packets: f64,
    lost: f64,
    round_trip: Duration,
    jitter: Duration,
}

impl Window {
    /// 0 to 100, by the simplified E-model: delay of an effect, and loss in percent.
    fn score(&self, loss_costs: f64) -> f64 {
        let delay_ms = self.round_trip.as_secs_f64() * 500.0 + self.jitter.as_secs_f64() * 2000.0;
        let of_delay = if delay_ms > 160.0 { (delay_ms - 120.0) / 10.0 } else { delay_ms / 40.0 };
        let of_loss = if self.packets > 0.0 { self.lost * 100.0 / self.packets * loss_costs } else { 0.0 };
        (BEST - of_delay - of_loss).max(0.0)
    }
}

/// What does not come of a picture that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// So many layers.
    Layers(usize),
    /// All of it: it is paused.
    Everything,
}

/// One track on one line.
#[derive(Debug)]
struct Stream {
    /// Of each layer, what was counted last.
    packets: [u64; 3],
    window: Window,
    /// In the busiest window so far: loss in a quiet one, such as of a silent microphone, weighs less.
    most_packets: f64,
    score: f64,
}

impl Stream {
    fn new() -> Self {
        Self { packets: [0; 3], window: Window::default(), most_packets: 0.0, score: BEST }
    }

    fn measured(&mut self, layer: Layer, measured: Measured) {
        let last = &mut self.packets[layer.index()];
        // A count that begins anew is that of a new stream.
        let new = measured.packets.checked_sub(*last).unwrap_or(measured.packets) as f64;
        *last = measured.packets;
        self.window.packets += new;
        self.window.lost += new * f64::from(measured.loss.unwrap_or(0.0).clamp(0.0, 1.0));
        self.window.round_trip = self.window.round_trip.max(measured.round_trip.unwrap_or_default());
        self.window.jitter = self.window.jitter.max(measured.jitter);
    }

    /// At the end of a window. `missing` is what of that which was asked for did not come.
    fn judge(&mut self, is_video: bool, missing: Missing) {
        let window = std::mem::take(&mut self.window);
        let Missing::Layers(missing) = missing else {
            self.score = (FALLS_BY * WORST + (1.0 - FALLS_BY) * self.score).max(WORST);
            return;
        };
        if window.packets == 0.0 {
            // Nothing is known: what was bad is forgotten in time.
            self.score += RISES_BY * (BEST - self.score);
            return;
        }
        self.most_packets = self.most_packets.max(window.packets);
        let busy = window.packets / self.most_packets;
        let loss_costs = busy * busy * if is_video { VIDEO_LOSS_COSTS } else { AUDIO_LOSS_COSTS };
        let of_layers = (BEST - LAYER_COSTS * missing as f64).max(0.0);
        let score = window.score(loss_costs).min(of_layers);
        let factor = if score < self.score { FALLS_BY } else { RISES_BY };
        self.score = (factor * score + (1.0 - factor) * self.score).max(WORST);
    }
}

/// What goes between a participant and the server.
#[derive(Debug, Default)]
struct Line {
    /// Its own tracks, in each codec by its place, and those that it is subscribed to.
    streams: BTreeMap<(TrackSid, usize), Stream>,
    /// Its media was heard and is heard no more.
    is_lost: bool,
    /// What was told of it last.
    told: Option<ConnectionQuality>,
    /// Whom it has come to see since then.
    new: BTreeSet<ParticipantSid>,
}

impl Line {
    fn score(&self) -> f64 {
        self.streams.values().map(|stream| stream.score).fold(BEST, f64::min)
    }

    fn quality(&self) -> ConnectionQuality {
        match self.score() {
            _ if self.is_lost => ConnectionQuality::Lost,
            score if score > EXCELLENT_ABOVE => ConnectionQuality::Excellent,
            score if score > GOOD_ABOVE => ConnectionQuality::Good,
            _ => ConnectionQuality::Poor,
        }
    }

    fn info(&self, sid: &ParticipantSid) -> ConnectionQualityInfo {
        let score = if self.is_lost { 0.0 } else { mean_opinion(self.score()) };
        ConnectionQualityInfo { participant_sid: sid.to_string(), quality: self.quality().into(), score }
    }
}

/// A score as clients are told it: 1, bad, to 4.5, excellent (ITU-T G.107).
fn mean_opinion(score: f64) -> f32 {
    if score <= 0.0 {
        return 1.0;
    }
    if score >= BEST {
        return 4.5;
    }
    (1.0 + 0.035 * score + 0.000_007 * score * (score - 60.0) * (BEST - score)) as f32
}

/// The connections of a room.
#[derive(Debug)]
pub(crate) struct Qualities {
    lines: BTreeMap<ParticipantSid, Line>,
    next: Instant,
}

impl Qualities {
    /// Of a room that nobody is in.
    pub(crate) fn new(now: Now) -> Self {
        Self { lines: BTreeMap::new(), next: now.at + EVERY }
    }

    /// Forgets somebody who left.
    pub(crate) fn remove(&mut self, sid: &ParticipantSid) {
        self.lines.remove(sid);
    }

    /// Somebody may not have heard how it and those whom it sees are connected, and hears of them with the next word.
    pub(crate) fn tells_again(&mut self, who: &ParticipantSid, seen: &BTreeSet<ParticipantSid>) {
        let line = self.lines.entry(who.clone()).or_default();
        line.new.extend(seen.iter().cloned());
        line.new.insert(who.clone());
    }

    /// Somebody sees a participant from now on, and hears of it with the next word.
    pub(crate) fn sees(&mut self, who: &ParticipantSid, whom: &ParticipantSid) {
        self.lines.entry(who.clone()).or_default().new.insert(whom.clone());
    }
}

impl Room {
    /// What was measured of somebody else's track on the way to a participant.
    pub fn measured(&mut self, line: &ParticipantSid, track: &TrackSid, layer: Layer, measured: Measured) {
        self.measured_in(line, (track.clone(), 0), layer, measured);
    }

    /// What was measured of a section of a publisher's on the way to the server.
    pub fn measured_on(&mut self, line: &ParticipantSid, mid: &str, layer: Layer, measured: Measured) {
        if let Some(coding) = self.coding_on(line, mid) {
            self.measured_in(line, coding, layer, measured);
        }
    }

    fn measured_in(
        &mut self,
        line: &ParticipantSid,
        coding: (TrackSid, usize),
        layer: Layer,
        measured: Measured,
    ) {
        if self.is_on_line(line, &coding.0) {
            let streams = &mut self.qualities.lines.entry(line.clone()).or_default().streams;
            streams.entry(coding).or_insert_with(Stream::new).measured(layer, measured);
        }
    }

    /// Nothing is heard from a participant's media connection any more, or it is heard again. The former is told at once.
    pub fn media_lost(&mut self, sid: &ParticipantSid, is_lost: bool) {
        if self.participants.get(sid).is_none_or(|participant| !participant.is_active()) {
            return;
        }
        let line = self.qualities.lines.entry(sid.clone()).or_default();
        line.is_lost = is_lost;
        if is_lost && line.told != Some(ConnectionQuality::Lost) {
            line.told = Some(ConnectionQuality::Lost);
            let info = line.info(sid);
            let to = self.listeners(sid).into_iter().collect();
            self.tell_quality(to, vec![info]);
        }
    }

    fn is_on_line(&self, line: &ParticipantSid, track: &TrackSid) -> bool {
        let track = self.tracks.get(track);
        track.is_some_and(|track| track.publisher == *line || track.down.contains_key(line))
    }

    /// At its time: judges every connection, and tells what changed.
    pub(crate) fn tell_qualities(&mut self, now: Now) {
        if now.at < self.qualities.next {
            return;
        }
        self.qualities.next = now.at + EVERY;
        let mut lines = std::mem::take(&mut self.qualities.lines);
        lines.retain(|sid, _| self.participants.contains_key(sid));
        for participant in self.participants.values().filter(|participant| participant.is_active()) {
            let line = lines.entry(participant.sid.clone()).or_default();
            line.streams.retain(|(track, _), _| self.is_on_line(&participant.sid, track));
            // One that is paused from its beginning has nothing that could be measured.
            for (track, _) in self.tracks.iter().filter(|(_, track)| is_paused(&participant.sid, track)) {
                line.streams.entry((track.clone(), 0)).or_insert_with(Stream::new);
            }
            for ((track, coding), stream) in &mut line.streams {
                if let Some(track) = self.tracks.get(track) {
                    stream.judge(track.is_video(), self.missing(&participant.sid, track, *coding, now.at));
                }
            }
        }
        let mut changed = Vec::new();
        for (sid, line) in &mut lines {
            let quality = line.quality();
            if self.participants.get(sid).is_some_and(|who| who.is_active()) && line.told != Some(quality) {
                line.told = Some(quality);
                changed.push((sid.clone(), line.info(sid)));
            }
        }
        // Whoever has come to see somebody whose connection is as it was has not heard of it yet.
        let mut late: Vec<(ParticipantSid, Vec<ConnectionQualityInfo>)> = Vec::new();
        let has_changed: BTreeSet<_> = changed.iter().map(|(sid, _)| sid.clone()).collect();
        let news: Vec<_> =
            lines.iter_mut().map(|(sid, line)| (sid.clone(), std::mem::take(&mut line.new))).collect();
        for (who, whom) in news {
            let sees = |sid: &ParticipantSid| self.listeners(sid).contains(&who);
            let unheard = whom.iter().filter(|sid| !has_changed.contains(*sid) && sees(sid));
            let infos: Vec<_> = unheard
                .filter_map(|sid| {
                    lines.get(sid).filter(|line| line.told.is_some()).map(|line| line.info(sid))
                })
                .collect();
            if !infos.is_empty() {
                late.push((who, infos));
            }
        }
        self.qualities.lines = lines;
        for (to, infos) in self.by_listeners(changed) {
            self.tell_quality(to, infos.into_iter().map(|(_, info)| info).collect());
        }
        for (to, infos) in late {
            self.tell_quality(vec![to], infos);
        }
    }

    fn tell_quality(&mut self, to: Vec<ParticipantSid>, updates: Vec<ConnectionQualityInfo>) {
        let update = ConnectionQualityUpdate { updates };
        self.broadcast(to, signal_response::Message::ConnectionQuality(update), None);
    }

    /// What lies between what is asked for on a line and what comes.
    fn missing(&self, line: &ParticipantSid, track: &Track, coding: usize, now: Instant) -> Missing {
        if is_paused(line, track) {
            Missing::Everything
        } else {
            Missing::Layers(missing_layers(line, track, coding, now))
        }
    }
}

/// Whether a line has no room for any of a picture that is wanted on it.
fn is_paused(line: &ParticipantSid, track: &Track) -> bool {
    let is_held_back = |down: &Subscription| down.is_wanted() && down.share == Share::Nothing;
    track.is_video() && !track.info.muted && track.down.get(line).is_some_and(is_held_back)
}

/// How many layers lie between what is asked for on a line and what comes: on the way from a publisher of one of the codecs, on the way to a
/// subscriber of that which it gets.
fn missing_layers(line: &ParticipantSid, track: &Track, coding: usize, now: Instant) -> usize {
    let place = track.down.get(line).map_or(coding, |down| down.coding);
    let Some(coding) = track.codings.get(place).filter(|coding| coding.is_simulcast) else { return 0 };
    if !track.is_video() || track.info.muted {
        return 0;
    }
    let Some(sent) = coding.layers.choose(Layer::High, now) else { return 0 };
    let (asked, comes) = if track.publisher == *line {
        let announced =
            |layer: &Layer| track.said_layers(place).iter().any(|l| l.quality == i32::from(layer.quality()));
        let best = Layer::ALL.into_iter().rfind(announced).unwrap_or(sent);
        let asked =
            track.down.values().filter(|down| down.coding == place).filter_map(Subscription::asks_for).max();
        (asked.map(|asked| asked.min(best)), sent)
    } else {
        let Some(down) = track.down.get(line).filter(|down| down.state == State::Ready) else { return 0 };
        let Some(comes) = down.forwarder.current() else { return 0 };
        (down.asks_for().map(|asked| asked.min(sent)), comes)
    };
    asked.map_or(0, |asked| asked.index().saturating_sub(comes.index()))
}

#[cfg(test)]
mod tests;
