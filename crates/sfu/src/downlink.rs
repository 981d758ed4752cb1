//! The line to a subscriber: what it carries by its connection's estimate, and what of that each picture gets.
//!
//! ```text
//!   estimate ─► Downlink::budget ─┐
//!   what is wanted, what it costs ┴─► allocate ─► each subscription's share ─► layers, pauses, keyframes
//!                                          └─► Output::Desire: what to find room for
//! ```
//!
//! # Invariants
//!
//! - Before anything is known of a line it gets what it wants: most lines carry it, and the first seconds of a call count.
//! - Down goes what does not fit, at once. Up goes one picture by one layer at a time, and the longer after it had to go down again
//!   the more often that happened.
//! - Room that is missed is looked for again and again: no line stays narrow because nobody tries it.

use std::time::{Duration, Instant};

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    StreamState, StreamStateInfo, StreamStateUpdate, TrackSource, signal_response,
};

use crate::allocate::{Allocation, Demand, Kind, allocate, order};
use crate::layers::{KeyframeFor, Layer};
use crate::output::Output;
use crate::packet::stream_state;
use crate::room::{Now, Room};
use crate::subscription::{Share, Streams, Subscription};
use crate::track::{Track, source_of};

/// An estimator that has just begun finds its way for so long.
const SETTLES: Duration = Duration::from_secs(1);
/// An estimate that is a little too low for what is sent counts after so long: estimators overshoot downwards.
const DIP: Duration = Duration::from_millis(500);
/// What is a little too low, in percent of what is sent.
const DIP_PERCENT: u64 = 75;
/// After a step down the next one up comes so much later, ...
const WAIT_AT_FIRST: Duration = Duration::from_secs(2);
/// ... at most so much, ...
const WAIT_AT_MOST: Duration = Duration::from_secs(30);
/// ... and as at first again after a step up that held for so long.
const HOLDS: Duration = Duration::from_secs(20);
/// Where the connection cannot find out what the line carries, a step up is tried for so long, ...
const TRIAL: Duration = Duration::from_secs(4);
/// ... so often.
const TRIAL_EVERY: Duration = Duration::from_secs(8);
/// Where the connection can find it out, it looks for room that is missed after so long, ...
const SEARCH_AFTER: Duration = Duration::from_secs(2);
/// ... and ever more seldom where it finds none, so seldom at most.
const SEARCH_AT_LEAST_EVERY: Duration = Duration::from_secs(6);
/// It found some where the estimate is so much higher, in percent.
const FOUND_PERCENT: u64 = 110;
/// Estimates that cannot wait for the next look at all lines have theirs looked at so often at most.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What is sent ends at once, and not when something smaller begins, where it is so many times of what fits.
const FAR_EXCEEDED: u64 = 2;
/// The connection is to find room for so much of what is wanted, in percent.
const DESIRED_PERCENT: u64 = 120;
/// No more room than this is looked for.
const DESIRED_AT_MOST_BPS: u64 = 30_000_000;
/// An estimate of more than this says no more.
const ESTIMATE_AT_MOST_BPS: u64 = 10_000_000_000;
/// Who has fallen silent still comes first for so long.
const SPOKE: Duration = Duration::from_secs(5);

/// What is known of a line.
#[derive(Debug, Default)]
pub(crate) struct Downlink {
    /// The subscriber can be told that a stream is paused.
    pub(crate) allows_pause: bool,
    estimate: Option<Estimate>,
    /// What was chosen last is so much.
    used_bps: u64,
    /// Since when the estimate is lower than that.
    low_since: Option<Instant>,
    raised: Option<Instant>,
    lowered: Option<Instant>,
    wait: Option<Duration>,
    trial: Option<Trial>,
    /// What the connection was told to find room for.
    desired_bps: u64,
    search: Option<Search>,
    /// When it was looked at last because of an estimate.
    looked: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    bps: u64,
    can_probe: bool,
    first: Instant,
}

/// More than the estimate is sent, to see whether it rises.
#[derive(Clone, Copy, Debug)]
struct Trial {
    bps: u64,
    until: Instant,
}

/// Room is missed, and looked for from time to time.
#[derive(Clone, Copy, Debug)]
struct Search {
    last: Instant,
    wait: Duration,
    /// The estimate then.
    bps: u64,
}

impl Downlink {
    fn hears(&mut self, bps: u64, can_probe: bool, now: Instant) {
        let first = self.estimate.map_or(now, |known| known.first);
        self.estimate = Some(Estimate { bps, can_probe, first });
        if bps >= self.used_bps {
            self.low_since = None;
        } else {
            self.low_since.get_or_insert(now);
        }
    }

    /// Whether it cannot wait for the next look at all lines.
    fn is_urgent(&self) -> bool {
        self.estimate.is_some_and(|estimate| estimate.bps * 100 < self.used_bps * DIP_PERCENT)
    }

    /// What may be sent; nothing where that is not known.
    fn budget(&self, now: Instant) -> Option<u64> {
        let estimate = self.estimate?;
        if now.saturating_duration_since(estimate.first) < SETTLES {
            return None;
        }
        let is_dip = estimate.bps * 100 >= self.used_bps * DIP_PERCENT
            && self.low_since.is_some_and(|since| now.saturating_duration_since(since) < DIP);
        let tried = self.trial.filter(|trial| now < trial.until).map_or(0, |trial| trial.bps);
        let held = if is_dip { self.used_bps } else { 0 };
        Some(estimate.bps.max(tried).max(held))
    }

    /// Whether a picture may get better now.
    fn may_rise(&self, now: Instant) -> bool {
        let wait = self.wait.unwrap_or(WAIT_AT_FIRST);
        self.lowered.is_none_or(|lowered| now.saturating_duration_since(lowered) >= wait)
    }

    /// Something got better, or worse for want of room.
    fn moved(&mut self, rises: bool, sinks: bool, now: Instant) {
        if sinks {
            let held = self.raised.is_none_or(|raised| now.saturating_duration_since(raised) >= HOLDS);
            let is_one_event =
                self.lowered.is_some_and(|lowered| now.saturating_duration_since(lowered) < DIP);
            if !is_one_event {
                let longer = self.wait.map_or(WAIT_AT_FIRST, |wait| (2 * wait).min(WAIT_AT_MOST));
                self.wait = Some(if held { WAIT_AT_FIRST } else { longer });
            }
            (self.lowered, self.trial) = (Some(now), None);
        } else if rises {
            self.raised = Some(now);
        }
    }

    /// Begins to send more than the estimate where nothing else tells whether there is room.
    fn try_more(&mut self, next_bps: Option<u64>, now: Instant) {
        // Of a line by which no picture goes nothing is reported, and whoever found it full at last finds nothing else out.
        let is_in_vain = self.search.is_some_and(|search| search.wait > SEARCH_AFTER) && self.used_bps == 0;
        let Some(estimate) = self.estimate.filter(|estimate| !estimate.can_probe || is_in_vain) else {
            return;
        };
        let passed = |since: Option<Instant>, wait| {
            since.is_none_or(|since| now.saturating_duration_since(since) >= wait)
        };
        let tried = self.trial.map(|trial| trial.until);
        let waits = TRIAL_EVERY.max(self.wait.unwrap_or_default());
        if let Some(bps) = next_bps
            && bps > estimate.bps
            && passed(tried, TRIAL_EVERY)
            && passed(self.lowered, waits)
            && passed(Some(estimate.first), TRIAL_EVERY)
        {
            self.trial = Some(Trial { bps, until: now + TRIAL });
        }
    }

    /// What the connection is to find room for, where that is news.
    fn desires(&mut self, best_bps: u64) -> Option<u64> {
        let desired = (best_bps * DESIRED_PERCENT / 100).min(DESIRED_AT_MOST_BPS);
        let is_same = desired.abs_diff(self.desired_bps) * 10 <= self.desired_bps;
        if is_same {
            return None;
        }
        self.desired_bps = desired;
        Some(desired)
    }

    /// What the connection is to find room for once more, where it is time to: something got no room, and the line may have more by now.
    fn searches(&mut self, next_bps: Option<u64>, now: Instant) -> Option<u64> {
        let estimate = self.estimate.filter(|estimate| estimate.can_probe).map(|estimate| estimate.bps);
        let Some(bps) = estimate.filter(|bps| next_bps.is_some_and(|next| next > *bps)) else {
            self.search = None;
            return None;
        };
        let Some(search) = self.search else {
            self.search = Some(Search { last: now, wait: SEARCH_AFTER, bps });
            return None;
        };
        if now.saturating_duration_since(search.last) < search.wait {
            return None;
        }
        let has_found = bps * 100 >= search.bps * FOUND_PERCENT;
        let wait = if has_found { SEARCH_AFTER } else { (2 * search.wait).min(SEARCH_AT_LEAST_EVERY) };
        self.search = Some(Search { last: now, wait, bps });
        Some(self.desired_bps)
    }
}

impl Room {
    /// A subscriber's connection estimates that so many bits a second get through, and can find out by itself whether more would, or cannot.
    pub fn estimated(&mut self, sid: &ParticipantSid, bits_per_second: u64, can_probe: bool, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.downlink.hears(bits_per_second.min(ESTIMATE_AT_MOST_BPS), can_probe, now.at);
        let looked = participant.downlink.looked;
        let is_due = looked.is_none_or(|looked| now.at.saturating_duration_since(looked) >= LOOK_EVERY);
        if is_due && participant.downlink.is_urgent() {
            participant.downlink.looked = Some(now.at);
            self.reallocate(sid, now);
        }
    }

    /// A participant can be told that a stream is paused (`subscriberAllowPause`), or gets at least the lowest layer of each.
    pub fn allow_pause(&mut self, sid: &ParticipantSid, allows_pause: bool) {
        if let Some(participant) = self.participants.get_mut(sid) {
            participant.downlink.allows_pause = allows_pause;
        }
    }

    pub(crate) fn note_who_speaks(&mut self, now: Now) {
        for (speaker, _) in self.speakers.active() {
            self.spoke.insert(speaker, now.at);
        }
        self.spoke.retain(|_, at| now.at.saturating_duration_since(*at) < SPOKE);
    }

    pub(crate) fn reallocate_all(&mut self, now: Now) {
        let everybody: Vec<ParticipantSid> = self.participants.keys().cloned().collect();
        for sid in everybody {
            self.reallocate(&sid, now);
        }
    }

    /// Decides what each picture gets of a subscriber's line.
    pub(crate) fn reallocate(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get(sid).filter(|participant| participant.is_active())
        else {
            return;
        };
        let (allows_pause, may_rise) =
            (participant.downlink.allows_pause, participant.downlink.may_rise(now.at));
        // What a client tries holds at once, and whatever is found out.
        let simulated = self.simulated_bandwidth_bps(sid);
        let budget = participant.downlink.budget(now.at).into_iter().chain(simulated).min();
        let (mut wanted, mut demands, mut is_new) = (Vec::new(), Vec::new(), Vec::new());
        // A layer that is to end goes on until the next one begins.
        let mut sent_bps = 0;
        for (track_sid, track) in &self.tracks {
            let Some(subscription) = track.down.get(sid).filter(|_| track.is_video()) else { continue };
            let coding = &track.codings[subscription.coding];
            // A track is there before its media, and costs nothing until then.
            if coding.codec.is_none() || track.info.muted {
                continue;
            }
            let speaks = self.spoke.contains_key(&track.publisher);
            if let Some(demand) = demand(track, subscription, allows_pause, speaks, now) {
                sent_bps += match coding.streams() {
                    Streams::OfLayers(layers) => {
                        let sent = subscription.forwarder.current();
                        let said = track.said_layers(subscription.coding);
                        sent.map_or(0, |layer| layers.bitrate(layer, said))
                    }
                    Streams::One | Streams::Scalable(..) => demand.cost(demand.current),
                };
                demands.push(demand);
                is_new.push(demand.current.is_none() && subscription.share != Share::Nothing);
                wanted.push(track_sid.clone());
            }
        }
        let unlimited = allocate(u64::MAX / 1000, &demands);
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let desired = participant.downlink.desires(unlimited.best_bps);
        if let Some(bits_per_second) = desired {
            self.outputs.push_back(Output::Desire { subscriber: sid.clone(), bits_per_second });
        }
        let Some(budget) = budget else {
            participant.downlink.used_bps = unlimited.used_bps;
            // A narrower line was tried before.
            for track_sid in wanted {
                let share =
                    self.tracks.get(&track_sid).and_then(|track| track.down.get(sid)).map(|down| down.share);
                if share.is_some_and(|share| share != Share::All) {
                    self.set_share(sid, &track_sid, Share::All, false, now);
                }
            }
            return;
        };
        let found = one_step(allocate(budget, &demands), &demands, &is_new, may_rise);
        let changes = || demands.iter().zip(&found.choices);
        // What is no longer wanted or sent is not missed.
        let sinks = changes().any(|(demand, choice)| *choice < demand.current.min(demand.best()));
        let rises = changes().any(|(demand, choice)| demand.current.is_some() && *choice > demand.current);
        participant.downlink.moved(rises, sinks, now.at);
        participant.downlink.used_bps = found.used_bps;
        participant.downlink.try_more(found.next_bps, now.at);
        if let Some(bits_per_second) = participant.downlink.searches(found.next_bps, now.at) {
            self.outputs.push_back(Output::Desire { subscriber: sid.clone(), bits_per_second });
        }
        let is_far_exceeded = sent_bps > budget.saturating_mul(FAR_EXCEEDED);
        let mut states = Vec::new();
        for ((track_sid, demand), choice) in wanted.iter().zip(&demands).zip(found.choices) {
            let share = match choice {
                None => Share::Nothing,
                choice if choice == demand.best() => Share::All,
                Some(layer) => Share::UpTo(layer),
            };
            states.extend(self.set_share(sid, track_sid, share, is_far_exceeded, now));
        }
        if !states.is_empty() {
            let update = StreamStateUpdate { stream_states: states };
            self.signal(sid, signal_response::Message::StreamStateUpdate(update));
        }
    }

    /// What a subscriber's line has room for of a track; what it is to be told of that comes back.
    fn set_share(
        &mut self,
        sid: &ParticipantSid,
        track_sid: &TrackSid,
        share: Share,
        is_far_exceeded: bool,
        now: Now,
    ) -> Option<StreamStateInfo> {
        let track = self.tracks.get_mut(track_sid)?;
        let mut down = std::mem::take(&mut track.down);
        let missing = down.get_mut(sid).and_then(|subscription| {
            subscription.share = share;
            let missing = subscription.retarget(track.codings[subscription.coding].streams(), now.at);
            missing.map(|layer| (subscription.coding, layer))
        });
        track.down = down;
        let Track { down, publisher, .. } = &mut *track;
        let subscription = down.get_mut(sid)?;
        if is_far_exceeded {
            subscription.forwarder.cut();
        }
        let pauses = share == Share::Nothing && !subscription.is_told_paused;
        subscription.is_told_paused |= pauses;
        let state = pauses.then(|| stream_state(publisher, track_sid, StreamState::Paused));
        if let Some((coding, layer)) = missing
            && !track.codings[coding].layers.awaits_keyframe(layer)
        {
            let asked = track.request_keyframe(track_sid, coding, layer, KeyframeFor::Subscriber, now.at);
            self.outputs.extend(asked);
        }
        state
    }
}

/// What a subscription asks of its line; nothing where nothing is wanted or sent.
fn demand(
    track: &Track,
    subscription: &Subscription,
    allows_pause: bool,
    speaks: bool,
    now: Now,
) -> Option<Demand> {
    if !subscription.is_wanted() {
        return None;
    }
    let coding = &track.codings[subscription.coding];
    let cost = |layer: Layer| coding.layers.bitrate(layer, track.said_layers(subscription.coding));
    let mut layers = [None; 3];
    if coding.is_simulcast {
        for layer in Layer::ALL {
            let is_sent = layer <= subscription.settings.max && coding.layers.is_live(layer, now.at);
            layers[layer.index()] = is_sent.then(|| cost(layer));
        }
        // What is sent at all is better than nothing.
        if layers.iter().all(Option::is_none) {
            let layer = coding.layers.choose(subscription.settings.max, now.at)?;
            layers[layer.index()] = Some(cost(layer));
        }
    } else if let Streams::Scalable(structure, sizes) = coding.streams() {
        // A larger size needs the smaller ones.
        let mut all = 0;
        for layer in structure.layers() {
            let is_smallest = structure.size_of(layer) == 0;
            if is_smallest || sizes.is_live(layer, now.at) {
                all += cost(layer);
                let is_wanted = structure.size_of(layer) <= structure.size_of(subscription.settings.max);
                layers[layer.index()] = is_wanted.then_some(all);
            }
        }
    } else {
        layers[Layer::High.index()] = Some(cost(Layer::High));
    }
    let is_screen = source_of(&track.info) == TrackSource::ScreenShare;
    Some(Demand {
        kind: if is_screen { Kind::Screen } else { Kind::Camera },
        layers,
        current: subscription.granted(coding.streams()),
        priority: subscription.settings.priority,
        speaks,
        pixels: subscription.settings.pixels,
        may_pause: allows_pause,
    })
}

/// The same with one step up by one layer at most, that of whoever comes first, or with none. What has just come does not count.
fn one_step(mut found: Allocation, demands: &[Demand], is_new: &[bool], may_rise: bool) -> Allocation {
    let mut may_rise = may_rise;
    for place in order(demands) {
        let demand = &demands[place];
        if found.choices[place] > demand.current && !is_new[place] {
            let next = demand.above(demand.current).filter(|_| std::mem::take(&mut may_rise));
            // A layer that ended in the meantime cannot be held.
            found.choices[place] =
                next.or(demand.current.filter(|layer| demand.layers[layer.index()].is_some()));
        }
    }
    found.used_bps = demands.iter().zip(&found.choices).map(|(demand, layer)| demand.cost(*layer)).sum();
    found
}

#[cfg(test)]
mod tests;
