//! The least offset of a segment's arrivals around a frame: what the network's delay cannot explain. Pure.
//!
//! ```text
//!  offset      . :  .   . :. .  . : .
//!              '  . .:'    .   '   . '
//!        far  |<------- FLOOR_NS ----->|<- HINDSIGHT_NS ->|
//!       near                     frame |<- HINDSIGHT_NS ->|
//!     recent       |<- RECENT_NS ->|
//! ```
//!
//! A picture that others are predicted from comes before those that are shown before it, so many of them as its encoder likes. What is
//! compared with arrivals is therefore not when it is shown, but the times of all of them in their order:
//!
//! ```text
//!  arrival        0  1  2  3  4  5
//!  shown          0  3  1  2  4  5         offsets   0 -2 +1 +1  0  0     as if the network were quicker at times
//!  in order       0  1  2  3  4  5                   0  0  0  0  0  0
//! ```

use std::collections::VecDeque;

use super::HINDSIGHT_NS;
use crate::format::Codec;

/// What is older does not count any more, so that clock drift is followed.
const FLOOR_NS: u64 = 10_000_000_000;
/// What arrives now is what arrived so recently.
const RECENT_NS: u64 = 200_000_000;
/// Where RTP time leaves out more than this ...
const GAP_NS: i64 = 120_000_000;
/// ... and not because as much time has passed, a sender's RTP time jumped: what was before says nothing about what comes behind.
const JUMP_NS: i64 = 100_000_000;
/// Arrivals so soon after a frame may have come with it in one burst; later ones show that media flow.
const BURST_NS: u64 = 150_000_000;
/// What a sender has ready is here so soon after its first packet.
const AT_ONCE_NS: u64 = 250_000_000;

#[derive(Debug, Clone, Copy)]
struct Sample {
    number: u64,
    /// Frames of one run follow each other in RTP time as they arrive, or without a gap.
    run: u64,
    key_ns: u64,
    media_ns: i64,
    offset_ns: i64,
}

/// Least offsets around a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Least {
    /// From the frame's arrival on.
    pub(super) near_ns: i64,
    /// The same, and of the past.
    pub(super) far_ns: i64,
    /// Up to the frame's arrival, of what arrived with it or shortly before.
    pub(super) recent_ns: i64,
}

/// Sliding minima over a segment's frames, in their order.
#[derive(Debug)]
pub(super) struct Floor {
    /// From the frame that is placed next on.
    ahead: VecDeque<Sample>,
    newest_ns: u64,
    observed: u64,
    run: u64,
    /// Media time of the newest frame's end, and its offset.
    newest: Option<(i64, i64)>,
    /// Of the frame that was placed last.
    placed_run: u64,
    /// Number of the first frame that did not enter the minima yet.
    entering: u64,
    /// Media time of the last one that did.
    entered_ns: Option<i64>,
    /// Frames may come in another order than that of their times: H.264. Pictures of the other codecs are shown in the order of decoding.
    reorders: bool,
    near: VecDeque<Sample>,
    far: VecDeque<Sample>,
    recent: VecDeque<Sample>,
}

impl Floor {
    /// Of a segment in this codec.
    pub(super) fn new(codec: Codec) -> Self {
        Self {
            ahead: VecDeque::new(),
            newest_ns: 0,
            observed: 0,
            run: 0,
            newest: None,
            placed_run: 0,
            entering: 0,
            entered_ns: None,
            reorders: codec == Codec::H264,
            near: VecDeque::new(),
            far: VecDeque::new(),
            recent: VecDeque::new(),
        }
    }

    /// A frame arrived. Keys do not go back.
    pub(super) fn observe(&mut self, key_ns: u64, offset_ns: i64, media_ns: i64, length_ns: i64) {
        let jumps = |(end_ns, before_ns): (i64, i64)| {
            media_ns - end_ns > GAP_NS && (offset_ns - before_ns).abs() > JUMP_NS
        };
        self.run += u64::from(self.newest.is_some_and(jumps));
        self.newest = Some((media_ns + length_ns, offset_ns));
        self.newest_ns = key_ns;
        self.ahead.push_back(Sample { number: self.observed, run: self.run, key_ns, media_ns, offset_ns });
        self.observed += 1;
    }

    /// The newest key.
    pub(super) fn newest_ns(&self) -> u64 {
        self.newest_ns
    }

    /// Goes on to the next frame.
    pub(super) fn advance(&mut self) -> Option<Least> {
        let frame = self.ahead.pop_front()?;
        if frame.run != std::mem::replace(&mut self.placed_run, frame.run) {
            self.near.clear();
            self.far.clear();
            self.recent.clear();
            self.entered_ns = None;
        }
        let own = (self.entering <= frame.number).then_some(frame);
        let skip = usize::try_from(self.entering.saturating_sub(frame.number + 1)).unwrap_or(usize::MAX);
        let until_ns = frame.key_ns.saturating_add(HINDSIGHT_NS);
        let counts = |sample: &&Sample| sample.run == frame.run && sample.key_ns <= until_ns;
        let entering = self.ahead.iter().skip(skip).take_while(counts).copied();
        let mut entering: Vec<Sample> = own.into_iter().chain(entering).collect();
        if self.reorders {
            put_in_order(&mut entering, self.entered_ns, own.is_some());
        }
        for sample in entering {
            (self.entering, self.entered_ns) = (sample.number + 1, Some(sample.media_ns));
            enter(&mut self.near, sample);
            enter(&mut self.far, sample);
        }
        enter(&mut self.recent, frame);
        while self.near.front().is_some_and(|least| least.number < frame.number) {
            self.near.pop_front();
        }
        while self.far.front().is_some_and(|least| least.key_ns.saturating_add(FLOOR_NS) < frame.key_ns) {
            self.far.pop_front();
        }
        while self.recent.front().is_some_and(|least| least.key_ns.saturating_add(RECENT_NS) < frame.key_ns) {
            self.recent.pop_front();
        }
        let near_ns = self.near.front()?.offset_ns;
        let least = |minima: &VecDeque<Sample>| minima.front().map_or(near_ns, |least| least.offset_ns);
        Some(Least { near_ns, far_ns: least(&self.far), recent_ns: least(&self.recent) })
    }

    /// The least offset of what comes in the time after the frame that was placed last, arrived at `key_ns`, but not with it.
    pub(super) fn flow_ns(&self, key_ns: u64) -> Option<i64> {
        let (from_ns, to_ns) = (key_ns.saturating_add(BURST_NS), key_ns.saturating_add(HINDSIGHT_NS));
        let counts = |sample: &&Sample| sample.run == self.placed_run && sample.key_ns <= to_ns;
        // What is left out of the minima proves nothing about them.
        let entered = |sample: &&Sample| sample.number < self.entering;
        let after = self.ahead.iter().take_while(counts).take_while(entered);
        after.filter(|sample| sample.key_ns >= from_ns).map(|sample| sample.offset_ns).min()
    }

    /// Whether more comes after the frame that was placed last, arrived at `key_ns`, than what may have come with it at once.
    pub(super) fn goes_on(&self, key_ns: u64) -> bool {
        let (from_ns, to_ns) = (key_ns.saturating_add(AT_ONCE_NS), key_ns.saturating_add(HINDSIGHT_NS));
        let counts = |sample: &&Sample| sample.run == self.placed_run && sample.key_ns <= to_ns;
        self.ahead.iter().take_while(counts).any(|sample| sample.key_ns >= from_ns)
    }

    /// What came before `key_ns` says nothing about what comes now.
    pub(super) fn forget_before(&mut self, key_ns: u64) {
        while self.far.front().is_some_and(|least| least.key_ns < key_ns) {
            self.far.pop_front();
        }
    }
}

/// Gives frames that come in another order than their times these times in order, if they all follow `before_ns`: else RTP time went
/// back. Of the last ones it is not known yet what comes behind them: they are left out, as far as the first of all has not to stay.
fn put_in_order(samples: &mut Vec<Sample>, before_ns: Option<i64>, first_stays: bool) {
    let (mut begin, mut before_ns, mut highest_ns) = (0, before_ns.unwrap_or(i64::MIN), i64::MIN);
    for end in 1..=samples.len() {
        highest_ns = highest_ns.max(samples[end - 1].media_ns);
        let next = samples.get(end);
        if next.is_some_and(|next| next.media_ns <= highest_ns) {
            continue;
        }
        let is_open = next.is_none();
        let group = &mut samples[begin..end];
        let mut times: Vec<i64> = group.iter().map(|sample| sample.media_ns).collect();
        times.sort_unstable();
        if times[0] >= before_ns {
            if is_open && !(first_stays && begin == 0) {
                return samples.truncate(begin);
            }
            for (sample, media_ns) in group.iter_mut().zip(times) {
                sample.offset_ns += sample.media_ns - media_ns;
                sample.media_ns = media_ns;
            }
            if is_open {
                // The highest time is that of one that has not come.
                return samples.truncate(end.saturating_sub(1).max(1));
            }
        }
        (begin, before_ns) = (end, highest_ns);
    }
}

/// Adds the newest sample to those that are the least from some sample on.
fn enter(minima: &mut VecDeque<Sample>, sample: Sample) {
    while minima.back().is_some_and(|last| last.offset_ns >= sample.offset_ns) {
        minima.pop_back();
    }
    minima.push_back(sample);
}
