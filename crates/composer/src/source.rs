//! The take as the composer reads it: facts in order, and of every track the frames that are due.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use reelroom_take::{
    Moment, SegmentId, SegmentOpened, TakeClock, TakeEvent, TakeFrame, TakeHeader, TakeItem, TakeReader,
    TrackId, TrackSync,
    clock::{HINDSIGHT_NS, LATENESS_NS},
};

use crate::error::ComposeError;

/// A frame's orientation is waited for so long: what a due frame's clock was sure of has been read.
const TURN_WAIT_NS: u64 = 250_000_000;
const _: () = assert!(TURN_WAIT_NS < HINDSIGHT_NS);

/// No more frames than a decoder can keep (H.264, A.3.1) decode after one that is shown later.
const MOST_REORDERED: usize = 17;

/// Spans of a track that are remembered: frames wait for no more than a second.
const MOST_LEFT_OUT: usize = 64;

/// What to do where the take has no end yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Follow {
    /// Compose what is there.
    #[default]
    ToEnd,
    /// Wait for more until the take has ended.
    Live,
}

/// The take, read just far enough.
pub(crate) struct Source {
    reader: TakeReader,
    clock: TakeClock,
    follow: Follow,
    /// The take's length, once known.
    end_ns: Option<u64>,
    facts: VecDeque<(u64, TakeEvent)>,
    frames: BTreeMap<TrackId, VecDeque<Unit>>,
    /// Frames read, in all.
    read: BTreeMap<TrackId, u64>,
    /// How tracks' pictures are to be turned, from an arrival on; in order.
    turns: BTreeMap<TrackId, VecDeque<(u64, u16)>>,
    /// What was written before it was found out that it is not to be: from an arrival on, until it was found out.
    left_out: BTreeMap<TrackId, VecDeque<(u64, u64)>>,
}

/// A frame that is due.
pub(crate) struct Due {
    pub(crate) frame: TakeFrame,
    pub(crate) moment: Moment,
    /// Clockwise.
    pub(crate) degrees: u16,
}

struct Unit {
    frame: TakeFrame,
    /// When it belongs; asked for once, when the clock is sure.
    moment: Option<Moment>,
}

impl Source {
    pub(crate) fn open(take: &Path, follow: Follow) -> Result<Self, ComposeError> {
        Ok(Self {
            reader: TakeReader::open(take)?,
            clock: TakeClock::new(),
            follow,
            end_ns: None,
            facts: VecDeque::new(),
            frames: BTreeMap::new(),
            read: BTreeMap::new(),
            turns: BTreeMap::new(),
            left_out: BTreeMap::new(),
        })
    }

    /// Whether everything up to `to_ns` is final and read.
    pub(crate) fn has(&self, to_ns: u64) -> bool {
        self.reader.presentable_to_ns() >= to_ns || self.end_ns.is_some()
    }

    /// Reads until everything up to `to_ns` is final; `false` if that must be waited for.
    pub(crate) fn read_to(&mut self, to_ns: u64) -> Result<bool, ComposeError> {
        while !self.has(to_ns) {
            let known_ns = self.reader.complete_to_ns();
            let items = self.reader.poll()?;
            // A portion of the take in which nothing happened has no items, and is not the end.
            let has_moved = self.reader.complete_to_ns() > known_ns;
            if !items.is_empty() || (has_moved && self.reader.ended().is_none()) {
                self.keep(items);
            } else if let Some(end) = self.reader.ended() {
                self.end_ns = Some(end.at_ns);
            } else if self.follow == Follow::ToEnd {
                self.end_ns = Some(self.reader.complete_to_ns());
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn keep(&mut self, items: Vec<TakeItem>) {
        for item in items {
            self.clock.observe(&item);
            match item {
                TakeItem::Event { at_ns, event: TakeEvent::Orientation { track, degrees } } => {
                    self.turns.entry(track).or_default().push_back((at_ns, degrees));
                }
                TakeItem::Event { at_ns, event } => {
                    if let TakeEvent::LeftOut { track, from_ns, why } = &event
                        && !why.is_by_choice()
                    {
                        let spans = self.left_out.entry(track.clone()).or_default();
                        spans.push_back((*from_ns, at_ns));
                        if spans.len() > MOST_LEFT_OUT {
                            spans.pop_front();
                        }
                    }
                    self.facts.push_back((at_ns, event));
                }
                TakeItem::Frame(frame) => {
                    *self.read.entry(frame.track.clone()).or_default() += 1;
                    let queue = self.frames.entry(frame.track.clone()).or_default();
                    queue.push_back(Unit { frame, moment: None });
                }
            }
        }
    }

    /// A segment whose fact is read but not due yet: its first frames may belong before their arrival.
    pub(crate) fn announced(&self, segment: SegmentId) -> Option<&SegmentOpened> {
        self.facts.iter().find_map(|(_, fact)| match fact {
            TakeEvent::SegmentOpened(opened) if opened.segment == segment => Some(opened),
            _ => None,
        })
    }

    /// Whether a frame of `track` that arrived at `at_ns` turned out to be one that is not to be seen or heard, as far as everybody who
    /// composes this take sees it at `to_ns`.
    pub(crate) fn is_left_out(&self, track: &TrackId, at_ns: u64, to_ns: u64) -> bool {
        let Some(spans) = self.left_out.get(track) else { return false };
        spans.iter().any(|(from_ns, found_ns)| {
            *found_ns <= to_ns + LATENESS_NS && (*from_ns..=*found_ns).contains(&at_ns)
        })
    }

    pub(crate) fn next_fact(&mut self, to_ns: u64) -> Option<(u64, TakeEvent)> {
        self.facts.front().filter(|(at_ns, _)| *at_ns <= to_ns)?;
        self.facts.pop_front()
    }

    /// When the next fact that was read is due.
    pub(crate) fn next_fact_ns(&self) -> Option<u64> {
        self.facts.front().map(|(at_ns, _)| *at_ns)
    }

    /// The tracks of which there are frames.
    pub(crate) fn tracks(&self) -> Vec<TrackId> {
        self.frames.keys().cloned().collect()
    }

    /// How many frames of each track were read, and how many of these nobody took.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&TrackId, u64, u64)> {
        self.read.iter().map(|(track, read)| {
            (track, *read, self.frames.get(track).map_or(0, |waiting| waiting.len() as u64))
        })
    }

    /// The segment of a track's next frame.
    pub(crate) fn next_segment(&self, track: &TrackId) -> Option<SegmentId> {
        self.frames.get(track)?.front().map(|unit| unit.frame.segment)
    }

    pub(crate) fn header(&self) -> &TakeHeader {
        self.reader.header()
    }

    /// What is known of a track's clock.
    pub(crate) fn sync(&self, track: &TrackId) -> Option<TrackSync> {
        self.clock.sync(track)
    }

    /// The take is on disk up to here.
    pub(crate) fn available_ns(&self) -> u64 {
        self.reader.available_ns()
    }

    /// The take's length, once known.
    pub(crate) fn end_ns(&self) -> Option<u64> {
        self.end_ns
    }

    /// How a frame that arrived at `at_ns` is to be turned. The orientation comes with a frame's last packet, and counts for all of
    /// it: what is said before the next frame arrives is meant for this one.
    fn degrees(&mut self, track: &TrackId, at_ns: u64, next_ns: Option<u64>) -> u16 {
        let Some(turns) = self.turns.get_mut(track) else { return 0 };
        // Further than this the take need not have been read.
        let until_ns = at_ns.saturating_add(TURN_WAIT_NS).min(next_ns.unwrap_or(u64::MAX));
        while turns.get(1).is_some_and(|(from_ns, _)| *from_ns < until_ns) {
            turns.pop_front();
        }
        turns.front().filter(|(from_ns, _)| *from_ns < until_ns).map_or(0, |(_, degrees)| *degrees)
    }

    /// The next frame of `track`, in the order of decoding, that belongs to `to_ns` or before, or that one which does is predicted from, or
    /// whose segment a newer one takes over from by then.
    pub(crate) fn next_frame(&mut self, track: &TrackId, to_ns: u64) -> Option<Due> {
        let queue = self.frames.get_mut(track)?;
        // The clock is asked in the frames' order, and only about frames that it can be sure of: a frame belongs at most so long
        // before its arrival.
        let clock = &mut self.clock;
        let mut first = None;
        let known = queue.iter_mut().take_while(|unit| unit.frame.at_ns <= to_ns + LATENESS_NS);
        let needs_first = known.take(MOST_REORDERED).any(|unit| {
            let Unit { frame, moment } = unit;
            let (segment, rtp) = *first.get_or_insert((frame.segment, frame.rtp));
            let is_due = moment.get_or_insert_with(|| clock.moment(frame)).at_ns <= to_ns;
            is_due && (frame.segment != segment || frame.rtp <= rtp)
        });
        if needs_first { self.take(track) } else { None }
    }

    /// The next frame of a segment, due or not, as far as everybody who composes this take sees it at `to_ns`: for a decoder that
    /// gives back what is due only when it has seen more.
    pub(crate) fn next_ahead(&mut self, track: &TrackId, segment: SegmentId, to_ns: u64) -> Option<Due> {
        let clock = &mut self.clock;
        let unit = self.frames.get_mut(track)?.front_mut()?;
        if unit.frame.segment != segment || unit.frame.at_ns > to_ns + LATENESS_NS {
            return None;
        }
        unit.moment.get_or_insert_with(|| clock.moment(&unit.frame));
        self.take(track)
    }

    /// Whether it is known at `to_ns` that nothing more comes of a segment of which all frames were taken.
    pub(crate) fn is_over(&self, track: &TrackId, segment: SegmentId, to_ns: u64) -> bool {
        let known_ns = to_ns + LATENESS_NS;
        if let Some(unit) = self.frames.get(track).and_then(VecDeque::front) {
            return unit.frame.segment != segment && unit.frame.at_ns <= known_ns;
        }
        let is_gone = |fact: &TakeEvent| match fact {
            TakeEvent::TrackUnpublished { track: gone } => gone == track,
            TakeEvent::Suspended { .. } => true,
            _ => false,
        };
        let facts = || self.facts.iter().take_while(|(at_ns, _)| *at_ns <= known_ns);
        self.end_ns.is_some_and(|end_ns| end_ns <= known_ns) || facts().any(|(_, fact)| is_gone(fact))
    }

    fn take(&mut self, track: &TrackId) -> Option<Due> {
        let queue = self.frames.get_mut(track)?;
        let Unit { frame, moment } = queue.pop_front()?;
        let next_ns = queue.front().map(|unit| unit.frame.at_ns);
        let degrees = self.degrees(track, frame.at_ns, next_ns);
        Some(Due { moment: moment.unwrap_or_else(|| self.clock.moment(&frame)), frame, degrees })
    }
}
