use std::collections::VecDeque;

use reelroom_protocol::proto::{SimulateScenario, StreamState, TrackType, signal_request, simulate_scenario};

use super::*;
use crate::codec::Codec;
use crate::packet::PublishedPacket;
use crate::room::tests::{Story, packet};

const DELTA: &[u8] = &[0x10, 0x01, 0, 0];

#[test]
fn a_line_is_believed_once_its_estimator_has_settled_and_not_for_a_dip() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut line = Downlink::default();
    assert_eq!(line.budget(start), None);
    line.used_bps = 1_000_000;
    line.hears(900_000, true, at(0));
    assert_eq!(line.budget(at(999)), None);
    assert_eq!(line.budget(at(1000)), Some(900_000), "it was low all the time");
    line.hears(1_200_000, true, at(1100));
    line.hears(800_000, true, at(1200));
    assert_eq!(line.budget(at(1300)), Some(1_000_000), "a dip");
    assert_eq!(line.budget(at(1700)), Some(800_000));
    line.hears(1_200_000, true, at(1800));
    line.hears(500_000, true, at(1900));
    assert!(line.is_urgent());
    assert_eq!(line.budget(at(1900)), Some(500_000), "that is more than a dip");
}

#[test]
fn who_has_to_go_down_again_waits_longer() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let mut line = Downlink::default();
    assert!(line.may_rise(at(0)));
    line.moved(false, true, at(0));
    assert!(!line.may_rise(at(1)) && line.may_rise(at(2)));
    let mut now = 2;
    for wait in [4, 8, 16, 30, 30] {
        line.moved(true, false, at(now));
        line.moved(false, true, at(now + 1));
        assert!(!line.may_rise(at(now + wait)) && line.may_rise(at(now + 1 + wait)), "{wait} s");
        now += 1 + wait;
    }
    line.moved(true, false, at(now));
    line.moved(false, true, at(now + 60));
    assert!(line.may_rise(at(now + 62)), "it held");
}

#[test]
fn where_the_connection_cannot_find_out_more_is_tried() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let mut line = Downlink::default();
    line.hears(300_000, false, at(0));
    line.try_more(Some(600_000), at(7));
    assert_eq!(line.budget(at(7)), Some(300_000));
    line.try_more(Some(600_000), at(8));
    assert_eq!((line.budget(at(11)), line.budget(at(12))), (Some(600_000), Some(300_000)));
    line.moved(true, false, at(8));
    line.moved(false, true, at(12));
    line.try_more(Some(600_000), at(19));
    assert_eq!(line.budget(at(19)), Some(300_000));
    line.hears(300_000, true, at(40));
    line.try_more(Some(600_000), at(60));
    assert_eq!(line.budget(at(61)), Some(300_000), "it finds out by itself");
}

#[test]
fn room_that_is_missed_is_looked_for_again_and_ever_more_seldom_in_vain() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let mut line = Downlink { desired_bps: 2_000_000, ..Downlink::default() };
    line.hears(300_000, true, at(0));
    let searches = |line: &mut Downlink, next, seconds: std::ops::Range<u64>| -> Vec<u64> {
        seconds.filter(|s| line.searches(next, at(*s)) == Some(2_000_000)).collect()
    };
    assert_eq!(searches(&mut line, Some(600_000), 0..30), [2, 6, 12, 18, 24]);
    line.hears(400_000, true, at(30));
    assert_eq!(searches(&mut line, Some(600_000), 30..40), [30, 32, 36], "it found some");
    assert!(searches(&mut line, None, 40..120).is_empty(), "nothing is missed");
    assert_eq!(searches(&mut line, Some(600_000), 120..125), [122]);
    line.hears(700_000, true, at(125));
    assert!(searches(&mut line, Some(600_000), 125..150).is_empty(), "there is room");
    line.hears(300_000, false, at(150));
    assert!(searches(&mut line, Some(600_000), 150..180).is_empty(), "it cannot find out");
}

#[test]
fn where_everything_is_paused_and_room_was_looked_for_in_vain_it_is_tried() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let mut line = Downlink { desired_bps: 2_000_000, ..Downlink::default() };
    line.hears(80_000, true, at(0));
    line.moved(false, true, at(0));
    let mut tried = Vec::new();
    for s in 1..40 {
        line.try_more(Some(100_000), at(s));
        line.searches(Some(100_000), at(s));
        if line.budget(at(s)) == Some(100_000) {
            tried.push(s);
        }
    }
    assert_eq!(tried, [8, 9, 10, 11, 20, 21, 22, 23, 32, 33, 34, 35]);
    line.used_bps = 90_000;
    line.try_more(Some(300_000), at(60));
    assert_eq!(line.budget(at(60)), Some(80_000), "something goes by it, and tells how it is");
}

fn states(story: &mut Story, to: &ParticipantSid) -> Vec<StreamState> {
    let mut all = Vec::new();
    for output in story.outputs() {
        if let Output::Signal { to: told, message } = output
            && told == to
            && let signal_response::Message::StreamStateUpdate(update) = message.as_ref()
        {
            all.extend(update.stream_states.iter().map(|info| info.state()));
        }
    }
    all
}

/// Sends pictures of three layers for a while.
fn play(story: &mut Story, track: &TrackSid, from: u64, count: u64, keyframes: bool) -> Vec<Layer> {
    let mut seen = Vec::new();
    for picture in from..from + count {
        for (layer, bytes) in [(Layer::Low, 500), (Layer::Medium, 2000), (Layer::High, 6000)] {
            let mut payload =
                if keyframes { packet(Codec::Vp8, 0, layer, story.now.at).payload } else { DELTA }.to_vec();
            payload.resize(bytes, 0);
            let packet =
                PublishedPacket { payload: &payload, ..packet(Codec::Vp8, picture, layer, story.now.at) };
            if story.arrives(track, &packet) > 0 {
                seen.push(layer);
            }
        }
        story.pass(Duration::from_millis(40));
    }
    seen
}

#[test]
fn a_line_that_gets_narrow_and_wide_again_has_the_picture_follow() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.allow_pause(&bob, true);
    story.room.down_track_ready(&bob, &track, story.now);
    play(&mut story, &track, 1, 50, true);
    let desired = story.outputs().iter().find_map(|output| match output {
        Output::Desire { subscriber, bits_per_second } => Some((subscriber.clone(), *bits_per_second)),
        _ => None,
    });
    assert!(desired.is_some_and(|(to, bps)| to == bob && bps > 1_200_000));
    let hear = |story: &mut Story, kbps: u64| story.room.estimated(&bob, kbps * 1000, true, story.now);
    hear(&mut story, 3000);
    assert_eq!(play(&mut story, &track, 100, 40, true).last(), Some(&Layer::High));
    // Without keyframes nothing else begins, and the old layer goes on.
    story.outputs();
    hear(&mut story, 900);
    assert!(play(&mut story, &track, 200, 25, false).iter().all(|layer| *layer == Layer::High));
    assert!(story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    assert_eq!(play(&mut story, &track, 300, 5, true).last(), Some(&Layer::Medium));
    hear(&mut story, 50);
    assert_eq!(play(&mut story, &track, 400, 25, true).last(), None);
    assert_eq!(states(&mut story, &bob), [StreamState::Paused]);
    hear(&mut story, 300);
    assert!(play(&mut story, &track, 500, 100, false).is_empty());
    assert!(states(&mut story, &bob).is_empty(), "nothing goes on yet");
    assert_eq!(play(&mut story, &track, 700, 5, true).last(), Some(&Layer::Low));
    assert_eq!(states(&mut story, &bob), [StreamState::Active]);
    hear(&mut story, 5000);
    assert_eq!(play(&mut story, &track, 800, 200, true).last(), Some(&Layer::High));
}

#[test]
fn who_cannot_be_told_of_a_pause_keeps_the_lowest_layer() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.down_track_ready(&bob, &track, story.now);
    play(&mut story, &track, 1, 50, true);
    story.room.estimated(&bob, 10_000, true, story.now);
    assert_eq!(play(&mut story, &track, 100, 50, true).last(), Some(&Layer::Low));
    assert!(states(&mut story, &bob).is_empty());
}

#[test]
fn a_line_that_is_to_be_taken_for_a_narrow_one_is_until_that_ends() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.allow_pause(&bob, true);
    story.room.down_track_ready(&bob, &track, story.now);
    play(&mut story, &track, 1, 50, true);
    let simulate = |story: &mut Story, bps| {
        let scenario = Some(simulate_scenario::Scenario::SubscriberBandwidth(bps));
        let request = signal_request::Message::Simulate(SimulateScenario { scenario });
        story.room.handle_signal(&bob, request, story.now);
    };
    simulate(&mut story, 150_000);
    assert_eq!(play(&mut story, &track, 100, 25, true).last(), Some(&Layer::Low));
    simulate(&mut story, 1000);
    assert!(play(&mut story, &track, 200, 25, true).is_empty());
    simulate(&mut story, 0);
    assert_eq!(play(&mut story, &track, 300, 25, true).last(), Some(&Layer::High));
}

/// A line with a queue, and an estimator that sees how long the queue is.
struct Line {
    capacity_bps: u64,
    queue: VecDeque<(Instant, usize, Layer)>,
    free_at: Instant,
    estimate_bps: u64,
    random: u64,
}

impl Line {
    /// What arrives until now, with when.
    fn arrived(&mut self, now: Instant) -> Vec<(Instant, Layer)> {
        let mut out = Vec::new();
        while let Some((sent, bytes, layer)) = self.queue.front().copied() {
            let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / self.capacity_bps as f64);
            let done = self.free_at.max(sent) + takes;
            if done > now {
                break;
            }
            self.free_at = done;
            self.queue.pop_front();
            out.push((done, layer));
        }
        out
    }

    /// As a delay-based estimator does: down when packets wait, up slowly, and up to what probes find.
    fn estimate(&mut self, now: Instant, desired_bps: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let noise = 97 + (self.random >> 33) % 7;
        let waits =
            self.queue.front().map_or(Duration::ZERO, |(sent, _, _)| now.saturating_duration_since(*sent));
        if waits > Duration::from_millis(150) {
            self.estimate_bps = self.capacity_bps * 85 / 100;
        } else {
            let probed = self.capacity_bps.min(desired_bps.max(50_000));
            self.estimate_bps =
                (self.estimate_bps * 102 / 100).max(self.estimate_bps.min(probed)).min(self.capacity_bps);
        }
        self.estimate_bps * noise / 100
    }
}

/// A line that falls to 200 kbit/s and comes back: nothing stands still for long, and it ends as it began.
#[test]
fn a_bad_minute_costs_no_more_than_the_picture_s_size() {
    for seed in 1..=8 {
        let mut story = Story::new();
        let (ada, bob) = (story.join("ada"), story.join("bob"));
        let track = story.publish(&ada, "0", TrackType::Video, true);
        story.room.down_track_ready(&bob, &track, story.now);
        let start = story.now.at;
        let mut line = Line {
            capacity_bps: 5_000_000,
            queue: VecDeque::new(),
            free_at: start,
            estimate_bps: 3_000_000,
            random: seed,
        };
        let (mut desired, mut asked) = (0, [true; 3]);
        let (mut last_shown, mut longest, mut last_layer, mut switches) =
            (start, Duration::ZERO, Layer::High, 0);
        for picture in 0..25 * 90_u64 {
            let second = picture / 25;
            line.capacity_bps = match second {
                0..20 => 5_000_000,
                20..50 => 200_000,
                _ => 5_000_000,
            };
            for (place, (layer, bytes)) in
                [(Layer::Low, 400), (Layer::Medium, 2000), (Layer::High, 7000)].into_iter().enumerate()
            {
                let is_key = std::mem::take(&mut asked[place]);
                let mut payload =
                    if is_key { packet(Codec::Vp8, 0, layer, start).payload } else { DELTA }.to_vec();
                payload.resize(if is_key { 3 * bytes } else { bytes }, 0);
                let packet = PublishedPacket {
                    payload: &payload,
                    ..packet(Codec::Vp8, picture + 1, layer, story.now.at)
                };
                if story.arrives(&track, &packet) > 0 {
                    line.queue.push_back((story.now.at, payload.len(), layer));
                }
            }
            story.pass(Duration::from_millis(40));
            for (at, layer) in line.arrived(story.now.at) {
                longest = longest.max(at.saturating_duration_since(last_shown));
                switches += usize::from(layer != last_layer);
                (last_shown, last_layer) = (at, layer);
            }
            if picture % 3 == 0 {
                let estimate = line.estimate(story.now.at, desired);
                story.room.estimated(&bob, estimate, true, story.now);
            }
            for output in story.outputs() {
                match output {
                    Output::Desire { bits_per_second, .. } => desired = *bits_per_second,
                    Output::RequestKeyframe { layer, .. } => asked[layer.map_or(2, Layer::index)] = true,
                    _ => {}
                }
            }
        }
        assert!(longest < Duration::from_secs(3), "seed {seed}: still for {longest:?}");
        assert_eq!(last_layer, Layer::High, "seed {seed}");
        assert!(switches <= 16, "seed {seed}: {switches} switches");
    }
}
