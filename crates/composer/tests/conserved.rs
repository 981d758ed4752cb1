//! Sound is conserved: whatever a sender and a network do, every packet that arrived is placed, concealed or dropped for a reason;
//! after half a second it is heard again, and after two it is in time.
//!
//! ```text
//!  sender, network (simulated)  ──> Capture ──> TakeClock ──> Voice (its decoder says when a packet was made) ──> mix
//! ```
//!
//! Everything between sender and mix is what composes recordings, but for the disk and the Opus decoder.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::{prelude::*, test_runner::RngSeed};
use reelroom_composer::voice::{Decode, EARLY_NS, Outcome, Voice};
use reelroom_take::{
    Capture, CaptureConfig, Codec, DropReason, Moment, Packet, SegmentId, SegmentOpened, TakeClock,
    TakeEvent, TakeFrame, TakeItem, TrackId, TrackKind, TrackSource,
    capture::Output,
    clock::{HINDSIGHT_NS, LATENESS_NS},
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const BLOCK: u64 = 1_600;
/// So long nothing happens after each event.
const CALM_NS: u64 = 5 * S;
/// The clock may act on what it foresees.
const FORESIGHT_NS: u64 = HINDSIGHT_NS + 100 * MS;
/// Sound in this file says when it was made, again and again after so long.
const ROUND_NS: u64 = 4 * S;
const JITTER_NS: u64 = 15 * MS;
const BASE_DELAY_NS: u64 = 40 * MS;
/// Where reports tell it, pictures take so much longer.
const PICTURE_DELAY_NS: u64 = 90 * MS;

/// What happens to somebody's microphone or network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    /// The microphone stands still; its RTP time does, too, or goes on.
    Pause { ms: u64, with_gap: bool },
    /// The network's delay changes for good, over some time.
    Delay { ms: u64, over_ms: u64 },
    /// The network keeps everything back, and then delivers it at once; afterwards it is slower.
    Stall { ms: u64, slower_ms: u64 },
    /// The sender is ahead of its time for once, and waits afterwards.
    Ahead { ms: u64 },
    /// RTP time jumps.
    Jump { ticks: i64 },
}

/// What sender reports are like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reports {
    None,
    Honest,
    /// Honest until half of the events have happened.
    Stop,
    /// A clock that is set to something else with every report.
    Random,
    /// The pictures' clock is wrong by so much.
    Off(i64),
}

#[derive(Debug, Clone)]
struct Story {
    events: Vec<Event>,
    reports: Reports,
    drift_ppm: i64,
    /// Of 1000 packets so many are lost, doubled, delayed by 30 ms.
    lost: u64,
    doubled: u64,
    delayed: u64,
    seed: u64,
}

/// A span of the recording in which nothing is the matter.
#[derive(Debug)]
#[allow(dead_code, reason = "it is shown where something is wrong")]
struct Calm {
    event: Option<Event>,
    from_ns: u64,
    to_ns: u64,
    /// How long sound is under way.
    delay_ns: u64,
}

#[derive(Debug)]
enum Arrival {
    Sound { seq: u64, rtp: u64, payload: Vec<u8> },
    Picture { seq: u64, rtp: u64, payload: Vec<u8> },
    Report { is_sound: bool, ntp: u64, rtp: u64 },
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

struct World {
    story: Story,
    dice: Dice,
    arrivals: Vec<(u64, Arrival)>,
    now_ns: u64,
    delay_ns: u64,
    /// Nothing arrives before.
    blocked_ns: u64,
    newest_ns: u64,
    sound_seq: u64,
    sound_rtp: u64,
    /// When the next sound is made, by the take's time, nanoseconds.
    sound_ns: f64,
    picture_ns: u64,
    picture_seq: u64,
    report_ns: u64,
    reports_left: u64,
    sent: u64,
}

const FIRST_RTP: u64 = (1 << 33) - 50_000;

impl World {
    fn new(story: &Story) -> Self {
        Self {
            dice: Dice(story.seed),
            story: story.clone(),
            arrivals: Vec::new(),
            now_ns: S,
            delay_ns: BASE_DELAY_NS,
            blocked_ns: 0,
            newest_ns: 0,
            sound_seq: 1_000,
            sound_rtp: FIRST_RTP,
            sound_ns: S as f64,
            picture_ns: S,
            picture_seq: 5_000,
            report_ns: S + 700 * MS,
            reports_left: u64::MAX,
            sent: 0,
        }
    }

    fn pace(&self) -> f64 {
        1.0 - self.story.drift_ppm as f64 / 1e6
    }

    /// A packet sent now arrives in order, unless it is one of those that do not.
    fn arrive(&mut self, sent_ns: u64, extra_ns: u64) -> u64 {
        let jitter_ns = self.dice.below(JITTER_NS);
        let at_ns = (sent_ns + self.delay_ns + extra_ns + jitter_ns).max(self.blocked_ns).max(self.newest_ns);
        self.newest_ns = at_ns;
        at_ns + if self.dice.below(1_000) < self.story.delayed { 30 * MS } else { 0 }
    }

    fn sound(&mut self, made_ns: u64, sent_ns: u64) {
        let at_ns = self.arrive(sent_ns, 0);
        let payload = [&[0x78][..], &made_ns.to_le_bytes()].concat();
        let (seq, rtp) = (self.sound_seq, self.sound_rtp);
        self.sound_seq += 1;
        self.sound_rtp += 960;
        self.sent += 1;
        if self.dice.below(1_000) < self.story.lost {
            return;
        }
        if self.dice.below(1_000) < self.story.doubled {
            let again = Arrival::Sound { seq, rtp, payload: payload.clone() };
            self.arrivals.push((at_ns + self.dice.below(200) * MS, again));
        }
        self.arrivals.push((at_ns, Arrival::Sound { seq, rtp, payload }));
    }

    /// Lets time pass; `is_heard`: the microphone works.
    fn pass(&mut self, to_ns: u64, is_heard: bool) {
        while self.now_ns < to_ns {
            self.now_ns += 5 * MS;
            let pace = self.pace();
            while is_heard && self.sound_ns <= self.now_ns as f64 {
                let made_ns = self.sound_ns as u64;
                self.sound(made_ns, made_ns);
                self.sound_ns += 20.0 * MS as f64 * pace;
            }
            while self.picture_ns <= self.now_ns {
                let extra_ns = if self.has_reports() { PICTURE_DELAY_NS } else { 0 };
                let at_ns = (self.picture_ns + self.delay_ns + extra_ns + self.dice.below(JITTER_NS))
                    .max(self.blocked_ns);
                let payload =
                    [&[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0][..], &self.picture_ns.to_le_bytes()]
                        .concat();
                let rtp = FIRST_RTP + self.picture_ns * 9 / 100_000;
                self.arrivals.push((at_ns, Arrival::Picture { seq: self.picture_seq, rtp, payload }));
                self.picture_seq += 1;
                self.picture_ns += S / 30;
            }
            if self.report_ns <= self.now_ns && self.reports_left > 0 {
                self.report_ns += S;
                self.reports_left -= 1;
                self.report();
            }
        }
        if !is_heard {
            self.sound_ns = self.sound_ns.max(self.now_ns as f64);
        }
    }

    fn has_reports(&self) -> bool {
        matches!(self.story.reports, Reports::Honest | Reports::Stop)
    }

    fn report(&mut self) {
        let wall =
            |ns: i64| ((u128::from((3_900_000_000_000_000_000i64 + ns) as u64) << 32) / 1_000_000_000) as u64;
        let now_ns = self.now_ns as i64;
        let lie = |dice: &mut Dice, is_sound: bool| match self.story.reports {
            Reports::Random => dice.below(20_000) as i64 * MS as i64,
            Reports::Off(ms) if !is_sound => ms * MS as i64,
            _ => 0,
        };
        if self.story.reports == Reports::None {
            return;
        }
        let at_ns = (self.now_ns + self.delay_ns).max(self.blocked_ns);
        let (sound_lie, picture_lie) = (lie(&mut self.dice, true), lie(&mut self.dice, false));
        let picture_rtp = FIRST_RTP + self.now_ns * 9 / 100_000;
        self.arrivals.push((
            at_ns,
            Arrival::Report { is_sound: false, ntp: wall(now_ns + picture_lie), rtp: picture_rtp },
        ));
        if (self.report_ns / S).is_multiple_of(2) {
            // RTP time goes on from the sound that was made last.
            let since_ns = (self.now_ns as f64 - self.sound_ns) / self.pace();
            let rtp = (self.sound_rtp as f64 + since_ns * 48.0 / MS as f64) as u64;
            self.arrivals
                .push((at_ns, Arrival::Report { is_sound: true, ntp: wall(now_ns + sound_lie), rtp }));
        }
    }

    fn happen(&mut self, event: Event) {
        let from_ns = self.now_ns;
        match event {
            Event::Pause { ms, with_gap } => {
                self.pass(from_ns + ms * MS, false);
                if with_gap {
                    self.sound_rtp += ms * 48;
                }
            }
            Event::Delay { ms, over_ms } => {
                let (first_ns, steps) = (self.delay_ns as i64, (over_ms / 20).max(1));
                for step in 1..=steps {
                    let wanted_ns = (ms * MS) as i64;
                    self.delay_ns = (first_ns + (wanted_ns - first_ns) * step as i64 / steps as i64) as u64;
                    self.pass(from_ns + step * over_ms / steps * MS, true);
                }
            }
            Event::Stall { ms, slower_ms } => {
                self.blocked_ns = from_ns + self.delay_ns + ms * MS;
                self.delay_ns += slower_ms * MS;
                self.pass(from_ns + ms * MS, true);
            }
            Event::Ahead { ms } => {
                for _ in 0..ms / 20 {
                    self.sound(self.sound_ns as u64, from_ns);
                    self.sound_ns += 20.0 * MS as f64 * self.pace();
                }
                self.pass(from_ns + ms * MS, true);
            }
            Event::Jump { ticks } => self.sound_rtp = self.sound_rtp.checked_add_signed(ticks).unwrap(),
        }
    }

    fn calm(&mut self, event: Option<Event>) -> Calm {
        let from_ns = self.now_ns + self.delay_ns;
        self.pass(self.now_ns + CALM_NS, true);
        let to_ns = self.now_ns + self.delay_ns - FORESIGHT_NS;
        Calm { event, from_ns, to_ns, delay_ns: self.delay_ns }
    }

    /// All that happens; when it is calm, and everything that arrives.
    fn run(mut self) -> (Vec<Calm>, Vec<(u64, Arrival)>) {
        let mut calms = vec![self.calm(None)];
        let events = self.story.events.clone();
        for (number, event) in events.iter().enumerate() {
            if self.story.reports == Reports::Stop && number >= events.len() / 2 {
                self.reports_left = 0;
            }
            self.happen(*event);
            calms.push(self.calm(Some(*event)));
        }
        self.arrivals.sort_by_key(|(at_ns, _)| *at_ns);
        (calms, self.arrivals)
    }
}

/// A track as a recorder captures it, and what comes of it in the order of a reader.
struct Recorded {
    id: TrackId,
    capture: Capture,
    packets: u64,
    segment: Option<SegmentId>,
    newest_ns: u64,
}

impl Recorded {
    fn new(id: &str, codec: Codec) -> Self {
        let capture = Capture::new(CaptureConfig::new(codec)).unwrap();
        Self { id: id.into(), capture, packets: 0, segment: None, newest_ns: 0 }
    }

    fn drain(&mut self, now_ns: u64, segments: &mut u32, items: &mut Vec<(u64, TakeItem)>) {
        while let Some(output) = self.capture.poll_output() {
            match output {
                Output::Segment(spec) => {
                    let segment = SegmentId(*segments);
                    *segments += 1;
                    self.segment = Some(segment);
                    self.newest_ns = spec.first_at_ns;
                    let event = TakeEvent::SegmentOpened(SegmentOpened {
                        segment,
                        track: self.id.clone(),
                        file: String::new(),
                        codec: spec.codec,
                        clock_rate_hz: spec.clock_rate_hz,
                        first_rtp: spec.first_rtp,
                        first_at_ns: spec.first_at_ns,
                        width: 0,
                        height: 0,
                        codec_private: Vec::new(),
                    });
                    items.push((spec.first_at_ns, TakeItem::Event { at_ns: spec.first_at_ns, event }));
                }
                Output::Frame(frame) => {
                    self.newest_ns = self.newest_ns.max(frame.at_ns);
                    let frame = TakeFrame {
                        track: self.id.clone(),
                        segment: self.segment.unwrap(),
                        rtp: frame.rtp,
                        at_ns: frame.at_ns,
                        keyframe: frame.keyframe,
                        data: frame.data,
                    };
                    items.push((self.newest_ns, TakeItem::Frame(frame)));
                }
                _ => {}
            }
        }
        let _ = now_ns;
    }
}

fn recorded(arrivals: Vec<(u64, Arrival)>) -> (Vec<TakeItem>, u64) {
    let mut tracks = [Recorded::new("TR_mic", Codec::Opus), Recorded::new("TR_cam", Codec::Vp8)];
    let mut items: Vec<(u64, TakeItem)> = Vec::new();
    for (track, kind, source) in [
        ("TR_mic", TrackKind::Audio, TrackSource::Microphone),
        ("TR_cam", TrackKind::Video, TrackSource::Camera),
    ] {
        let (track, participant) = (track.into(), "PA_ann".into());
        let event =
            TakeEvent::TrackPublished { track, participant, kind, source, width: 0, height: 0, muted: false };
        items.push((0, TakeItem::Event { at_ns: 0, event }));
    }
    let (mut segments, mut last_ns) = (0, 0);
    for (at_ns, arrival) in arrivals {
        last_ns = at_ns;
        match arrival {
            Arrival::Sound { seq, rtp, payload } | Arrival::Picture { seq, rtp, payload } => {
                let track = &mut tracks[usize::from(payload[0] != 0x78)];
                track.packets += 1;
                let packet = Packet { ssrc: 7, seq, rtp, marker: true, payload: &payload };
                let _ = track.capture.packet(at_ns, &packet);
            }
            Arrival::Report { is_sound, ntp, rtp } => {
                let track = &tracks[usize::from(!is_sound)];
                if let (Some(segment), Some(rtp)) =
                    (track.segment, track.capture.extend_report(at_ns, rtp as u32))
                {
                    let event = TakeEvent::SenderReport { track: track.id.clone(), segment, ntp, rtp };
                    items.push((at_ns, TakeItem::Event { at_ns, event }));
                }
            }
        }
        for track in &mut tracks {
            track.capture.tick(at_ns);
            track.drain(at_ns, &mut segments, &mut items);
        }
    }
    for track in &mut tracks {
        track.capture.finish(last_ns);
        let counts = track.capture.counts();
        assert_eq!((counts.known(), counts.packets), (track.packets, track.packets), "{counts:?}");
        assert!(!counts.dropped.contains_key(&DropReason::Other), "{counts:?}");
        track.drain(last_ns, &mut segments, &mut items);
    }
    let is_frame = |item: &TakeItem| matches!(item, TakeItem::Frame(_));
    items.sort_by_key(|(key_ns, item)| (*key_ns, is_frame(item)));
    (items.into_iter().map(|(_, item)| item).collect(), tracks[0].packets)
}

/// Says when a packet was made: from 0.1 to 0.9 within each round.
struct Stamps;

fn stamp(made_ns: u64) -> f32 {
    0.1 + 0.8 * (made_ns % ROUND_NS) as f32 / ROUND_NS as f32
}

impl Decode for Stamps {
    fn decode(&mut self, data: Bytes) -> Option<Vec<f32>> {
        let made_ns = u64::from_le_bytes(data[1..9].try_into().unwrap());
        Some((0..960u64).flat_map(|i| [stamp(made_ns + i * 1_000_000 / 48); 2]).collect())
    }

    fn conceal(&mut self, missing: u64) -> Vec<f32> {
        vec![0.03; missing as usize * 2]
    }
}

#[derive(Default)]
struct Composed {
    placed: u64,
    concealed: u64,
    dropped: BTreeMap<DropReason, u64>,
    frames: u64,
    lost: u64,
    shortened: u64,
    lengthened: u64,
    made_up: u64,
    mix: Vec<f32>,
    /// Where pictures are seen, and when they were made.
    pictures: Vec<(u64, u64)>,
    moments: Vec<Moment>,
}

/// Composes as the composer does: `ahead_ns` further than it must be is known of the take.
fn composed(items: &[TakeItem], ahead_ns: u64) -> Composed {
    let (mut clock, mut voice) = (TakeClock::new(), Voice::<Stamps>::default());
    let mut composed = Composed::default();
    let mut queues: [VecDeque<(TakeFrame, Option<Moment>)>; 2] = Default::default();
    let (mut next, mut mixed, mut segment) = (0, 0u64, None);
    let end_ns = items.iter().map(at_ns).max().unwrap() + S;
    while mixed * 1_000_000 / 48 < end_ns {
        let to = mixed + BLOCK;
        let due_ns = to * 1_000_000 / 48 + EARLY_NS;
        let known_ns = due_ns + LATENESS_NS + HINDSIGHT_NS + ahead_ns;
        while next < items.len() && at_ns(&items[next]) <= known_ns {
            clock.observe(&items[next]);
            if let TakeItem::Frame(frame) = &items[next] {
                queues[usize::from(frame.track != "TR_mic".into())].push_back((frame.clone(), None));
            }
            next += 1;
        }
        for (number, queue) in queues.iter_mut().enumerate() {
            while let Some((frame, moment)) =
                queue.front_mut().filter(|(frame, _)| frame.at_ns <= due_ns + LATENESS_NS)
            {
                let moment = *moment.get_or_insert_with(|| clock.moment(frame));
                if moment.at_ns > due_ns {
                    break;
                }
                composed.moments.push(moment);
                let (frame, _) = queue.pop_front().unwrap();
                if number == 1 {
                    let made_ns = u64::from_le_bytes(frame.data[10..18].try_into().unwrap());
                    composed.pictures.push((moment.at_ns, made_ns));
                    continue;
                }
                if segment.replace(frame.segment) != Some(frame.segment) {
                    voice.open(Some(Stamps));
                }
                composed.frames += 1;
                match voice.push(frame.data, frame.rtp, moment) {
                    Outcome::Placed => composed.placed += 1,
                    Outcome::Concealed => composed.concealed += 1,
                    Outcome::Dropped(reason) => *composed.dropped.entry(reason).or_default() += 1,
                }
            }
        }
        let mut block = vec![0f32; BLOCK as usize * 2];
        voice.mix(mixed, &mut block, true);
        composed.mix.extend(block.chunks_exact(2).map(|frame| frame[0]));
        mixed = to;
    }
    assert!(queues.iter().all(VecDeque::is_empty), "something waits for ever");
    (composed.lost, composed.made_up) = (voice.lost(), voice.concealed());
    (composed.shortened, composed.lengthened) = (voice.shortened(), voice.lengthened());
    composed
}

fn at_ns(item: &TakeItem) -> u64 {
    match item {
        TakeItem::Event { at_ns, .. } => *at_ns,
        TakeItem::Frame(frame) => frame.at_ns,
    }
}

impl Composed {
    /// How much later than it was made something is heard at a time, modulo a round.
    fn lag_ns(&self, at_ns: u64) -> Option<i64> {
        let sample = *self.mix.get((at_ns * 48 / 1_000_000) as usize).filter(|sample| **sample > 0.09)?;
        let made_ns = ((f64::from(sample) - 0.1) / 0.8 * ROUND_NS as f64) as i64;
        let lag_ns = (at_ns as i64 - made_ns).rem_euclid(ROUND_NS as i64);
        Some(if lag_ns > ROUND_NS as i64 / 2 { lag_ns - ROUND_NS as i64 } else { lag_ns })
    }

    fn longest_silence_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        let range =
            (from_ns * 48 / 1_000_000) as usize..((to_ns * 48 / 1_000_000) as usize).min(self.mix.len());
        let silences = self.mix[range].split(|sample| *sample > 0.01).map(<[f32]>::len);
        silences.max().unwrap_or(0) as u64 * 1_000_000 / 48
    }
}

/// What has to hold whatever happens.
fn check(story: &Story) -> Result<(), TestCaseError> {
    let (calms, arrivals) = World::new(story).run();
    let (items, packets) = recorded(arrivals);
    let frames = items
        .iter()
        .filter(|item| matches!(item, TakeItem::Frame(frame) if frame.track == "TR_mic".into()))
        .count() as u64;
    let composed = composed(&items, 0);
    let later = self::composed(&items, 1_000_000 * S);
    prop_assert!(composed.moments == later.moments, "another answer later");

    let dropped: u64 = composed.dropped.values().sum();
    prop_assert_eq!(composed.placed + composed.concealed + dropped, frames, "{:?}", composed.dropped);
    prop_assert_eq!(composed.lost, 0);
    prop_assert!(frames <= packets);
    // What was placed is heard, as far as it was not shortened.
    let heard = composed.mix.iter().filter(|sample| **sample > 0.01).count() as f64;
    let owed =
        (composed.placed * 960 + composed.made_up + composed.lengthened) as f64 - composed.shortened as f64;
    prop_assert!((heard - owed).abs() < owed * 0.004 + 4_800.0, "{heard} of {owed} samples are heard");
    let is_long_stall = |event: &Event| matches!(event, Event::Stall { ms, .. } if *ms > 1_500);
    let may_drop = story
        .events
        .iter()
        .any(|event| is_long_stall(event) || matches!(event, Event::Delay { ms, .. } if *ms > 900));
    prop_assert!(dropped == 0 || may_drop, "{:?}", composed.dropped);

    let lossless = story.lost == 0;
    for (number, calm) in calms.iter().enumerate() {
        // The first of the reports that contradict each other was believed.
        let is_misled = number == 0 && story.reports == Reports::Random;
        let silence_ns = composed.longest_silence_ns(calm.from_ns + 500 * MS, calm.to_ns);
        prop_assert!(
            silence_ns < if lossless { 5 } else { 130 } * MS,
            "silent for {} ms after {calm:?}",
            silence_ns / MS
        );
        let mut bad = 0;
        for at_ns in (calm.from_ns + 2 * S..calm.to_ns).step_by(10_000_000) {
            let Some(lag_ns) = composed.lag_ns(at_ns) else {
                prop_assert!(!lossless, "nothing at {} ms", at_ns / MS);
                continue;
            };
            // A stamp is read wrongly where a round ends.
            if (at_ns as i64 - lag_ns).rem_euclid(ROUND_NS as i64) < 100_000_000
                || lag_ns.abs() > 1_900_000_000
            {
                continue;
            }
            let off_ns = lag_ns - calm.delay_ns as i64;
            let picture = composed.pictures.partition_point(|(seen_ns, _)| *seen_ns <= at_ns);
            let picture = composed.pictures.get(picture.saturating_sub(1));
            let apart_ns = picture.map_or(0, |(seen, made)| (*seen as i64 - *made as i64) - lag_ns);
            let is_off = !(-40_000_000..=45_000_000).contains(&off_ns);
            // Where sound was concealed and bent, a stamp says nothing.
            bad = if is_off || (apart_ns.abs() > 45_000_000 && !is_misled) { bad + 1 } else { 0 };
            prop_assert!(
                bad <= if lossless { 0 } else { 4 },
                "sound is {} ms off, and its picture {} ms from it, at {} ms, {calm:?}",
                off_ns / MS as i64,
                apart_ns / MS as i64,
                at_ns / MS
            );
        }
    }
    Ok(())
}

fn event() -> impl Strategy<Value = Event> {
    let pause = prop_oneof![3 => 50u64..1_500, 1 => 1_500u64..60_000];
    prop_oneof![
        3 => (pause, any::<bool>()).prop_map(|(ms, with_gap)| Event::Pause { ms, with_gap }),
        3 => (20u64..600, prop_oneof![Just(0u64), 100u64..3_000]).prop_map(|(ms, over_ms)| Event::Delay { ms, over_ms }),
        2 => (50u64..4_000, prop_oneof![Just(0u64), 20u64..600]).prop_map(|(ms, slower_ms)| Event::Stall { ms, slower_ms }),
        1 => (100u64..3_000).prop_map(|ms| Event::Ahead { ms }),
        2 => prop_oneof![-100_000_000i64..100_000_000, -200_000i64..200_000].prop_map(|ticks| Event::Jump { ticks }),
    ]
}

fn reports() -> impl Strategy<Value = Reports> {
    prop_oneof![
        Just(Reports::None),
        Just(Reports::Honest),
        Just(Reports::Stop),
        Just(Reports::Random),
        prop_oneof![600i64..100_000, -100_000i64..-600].prop_map(Reports::Off),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    let rare = || prop_oneof![2 => Just(0u64), 1 => 1u64..60];
    (prop::collection::vec(event(), 1..5), reports(), -500i64..500, rare(), rare(), rare(), any::<u64>())
        .prop_map(|(events, reports, drift_ppm, lost, doubled, delayed, seed)| Story {
            events,
            reports,
            drift_ppm,
            lost,
            doubled,
            delayed,
            seed,
        })
}

fn calm_story(events: Vec<Event>) -> Story {
    Story { events, reports: Reports::None, drift_ppm: 0, lost: 0, doubled: 0, delayed: 0, seed: 1 }
}

#[test]
fn each_kind_of_event_alone_is_survived() {
    let events = [
        Event::Pause { ms: 50, with_gap: false },
        Event::Pause { ms: 1_000, with_gap: false },
        Event::Pause { ms: 1_000, with_gap: true },
        Event::Pause { ms: 80, with_gap: true },
        Event::Pause { ms: 120, with_gap: true },
        Event::Pause { ms: 60_000, with_gap: false },
        Event::Delay { ms: 190, over_ms: 0 },
        Event::Delay { ms: 340, over_ms: 0 },
        Event::Delay { ms: 340, over_ms: 2_000 },
        Event::Stall { ms: 300, slower_ms: 0 },
        Event::Stall { ms: 1_200, slower_ms: 0 },
        Event::Stall { ms: 4_000, slower_ms: 0 },
        Event::Stall { ms: 1_000, slower_ms: 300 },
        Event::Stall { ms: 4_000, slower_ms: 200 },
        Event::Ahead { ms: 1_000 },
        Event::Jump { ticks: 144_000 },
        Event::Jump { ticks: -144_000 },
    ];
    for event in events {
        for reports in [Reports::None, Reports::Honest, Reports::Random, Reports::Off(3_000)] {
            let back = Event::Delay { ms: 40, over_ms: 0 };
            let story = Story { reports, ..calm_story(vec![event, back]) };
            if let Err(error) = check(&story) {
                panic!("{event:?}, {reports:?}: {error}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(96),
        rng_seed: RngSeed::Fixed(0x5e1f_c10c),
        ..ProptestConfig::default()
    })]

    #[test]
    fn sound_is_conserved_whatever_happens(story in story()) {
        check(&story)?;
    }
}
