//! Reliable data on its way to one receiver.
//!
//! ```text
//!   sender A ─► ▒▒▒▒▒ ─┐ in turns
//!   sender B ─► ▒ ─────┴──────────► as fast as the receiver takes it
//!                └─► how much more the sender may send
//! ```
//!
//! Every sender waits behind its own data alone, and is slowed before more waits than may. A receiver that holds a sender up for too
//! long loses what that sender streams to it, whole streams and not pieces of them: both are told, and the others go on.
//!
//! # Invariants
//!
//! - The packets of one sender leave in the order in which they came.
//! - A receiver that is announced and not connected yet gets what was sent meanwhile, before anything later, and slows nobody.
//! - Whoever takes something steadily gets everything. What it took faster than it had to counts for it when its network stands still.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reelroom_limits::media::{
    DATA_CREDIT, DATA_LOST_STREAMS, DATA_PATIENCE, DATA_SLOWEST_BYTES_PER_S, DATA_STALLED,
    DATA_WAITING_BYTES, DATA_WAITING_BYTES_OF_NEWCOMER, DATA_WAITING_BYTES_OF_RECEIVER,
};
use reelroom_protocol::ids::ParticipantSid;

/// What a packet costs besides its bytes.
pub(crate) const PACKET_BYTES: usize = 64;
/// Whoever sends more than its window was told to send less, and did not.
const IGNORED_WINDOW_BYTES: usize = 2 * DATA_WAITING_BYTES;
/// From here on a sender counts as held up.
const HELD_UP_BYTES: usize = DATA_WAITING_BYTES / 2;

/// Whoever has got nothing of a sender for so many looks does not wait for it: longer than a sender is held up while others wait.
const IDLE_LOOKS: u32 = 80;

/// Who sends: a participant, or `None` for the RoomService.
pub(crate) type Sender = Option<ParticipantSid>;

/// One packet, its number among those of its sender where it has one, and the stream that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) bytes: Bytes,
    pub(crate) sequence: u32,
    pub(crate) stream: Option<Stream>,
}

impl Waiting {
    /// What it costs to keep it.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.len() + PACKET_BYTES
    }
}

/// A stream of data, and whether this packet is its first or its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) id: Arc<str>,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
}

/// What a receiver does not get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    /// The streams that end for it.
    pub(crate) streams: Vec<Arc<str>>,
    /// It got everything of this sender so far.
    pub(crate) begins: bool,
}

#[derive(Debug, Default)]
struct Lane {
    packets: VecDeque<Waiting>,
    /// What the packets cost.
    bytes: usize,
    /// When it was looked at as it was held up, and how much the receiver had taken then.
    looked: Option<(Instant, u64)>,
    /// Seconds for which the sender has waited, less those that the receiver has paid for by what it took.
    debt_s: f64,
    /// For how long the receiver has taken nothing.
    stalled: Duration,
    /// The receiver has lost it, and gets nothing new of it before it has taken what is under way.
    is_lost: bool,
    /// How often it was looked at since something came.
    idle_looks: u32,
}

impl Lane {
    /// Whether the receiver takes too little, now that it has taken `taken` bytes altogether.
    fn is_given_up(&mut self, now: Instant, taken: u64, has_others: bool) -> bool {
        let is_held_up = self.bytes >= HELD_UP_BYTES;
        // What a receiver took as it caught up is to its credit as well.
        let before = std::mem::replace(&mut self.looked, is_held_up.then_some((now, taken)));
        let Some((looked, before)) = before else { return false };
        let passed = now.saturating_duration_since(looked);
        let more = taken - before;
        self.stalled = if more == 0 { self.stalled + passed } else { Duration::ZERO };
        let waited_s = if has_others { passed.as_secs_f64() } else { 0.0 };
        let paid_s = more as f64 / DATA_SLOWEST_BYTES_PER_S as f64;
        self.debt_s = (self.debt_s + waited_s - paid_s).max(-DATA_CREDIT.as_secs_f64());
        is_held_up && (self.debt_s >= DATA_PATIENCE.as_secs_f64() || self.stalled >= DATA_STALLED)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct DataQueue {
    lanes: BTreeMap<Sender, Lane>,
    /// Whose turn it was.
    last: Sender,
    bytes: usize,
    taken_bytes: u64,
    /// What the receiver is told of what it lost.
    notices: VecDeque<Bytes>,
    lost_streams: VecDeque<(Sender, Arc<str>)>,
    /// The receiver is connected.
    is_open: bool,
    /// The streams that began since it was announced, until it is connected.
    begun: BTreeSet<(Sender, Arc<str>)>,
}

impl DataQueue {
    /// A packet of a sender has to wait; what is lost at once, and whose it was.
    pub(crate) fn push(&mut self, from: &Sender, packet: Waiting) -> Option<(Sender, Lost)> {
        if let Some(stream) = &packet.stream
            && let Some(place) =
                self.lost_streams.iter().position(|(sender, id)| sender == from && *id == stream.id)
        {
            if stream.ends {
                self.lost_streams.remove(place);
            }
            let lost = Lost { packets: 1, bytes: packet.bytes.len(), ..Lost::default() };
            return Some((from.clone(), lost));
        }
        let lane = self.lanes.entry(from.clone()).or_default();
        if lane.is_lost {
            let streams =
                packet.stream.iter().filter(|stream| !stream.ends).map(|stream| Arc::clone(&stream.id));
            let lost =
                Lost { packets: 1, bytes: packet.bytes.len(), streams: streams.collect(), begins: false };
            self.keep_from(from, &lost.streams);
            return Some((from.clone(), lost));
        }
        if !self.is_open
            && let Some(stream) = &packet.stream
        {
            let stream_of = (from.clone(), Arc::clone(&stream.id));
            // Nobody makes anything of a stream without its beginning, and it would take the place of what is for the newcomer.
            if !stream.begins && !self.begun.contains(&stream_of) {
                return None;
            }
            self.begun.insert(stream_of);
        }
        let cost = packet.cost();
        lane.idle_looks = 0;
        lane.bytes += cost;
        self.bytes += cost;
        lane.packets.push_back(packet);
        if lane.bytes > IGNORED_WINDOW_BYTES {
            return Some((from.clone(), self.lose(from)));
        }
        let at_most =
            if self.is_open { DATA_WAITING_BYTES_OF_RECEIVER } else { DATA_WAITING_BYTES_OF_NEWCOMER };
        if self.bytes > at_most {
            let most = self.lanes.iter().max_by_key(|(_, lane)| lane.bytes).map(|(sender, _)| sender.clone());
            return most.map(|most| {
                let lost = self.lose(&most);
                (most, lost)
            });
        }
        None
    }

    /// Packets that may have been lost on their way go again, before what waits. Those that wait themselves, and those of streams that the
    /// receiver has lost, do not. Where there is no room for all of them the newest go, without a gap.
    pub(crate) fn put_back(&mut self, from: &Sender, mut packets: Vec<Waiting>) {
        let is_lost = |packet: &Waiting| {
            let stream = packet.stream.as_ref();
            stream.is_some_and(|stream| {
                self.lost_streams.iter().any(|(sender, id)| sender == from && *id == stream.id)
            })
        };
        packets.retain(|packet| !is_lost(packet));
        let lane = self.lanes.entry(from.clone()).or_default();
        if lane.is_lost {
            return;
        }
        let first = lane.packets.iter().map(|packet| packet.sequence).find(|sequence| *sequence > 0);
        for packet in packets.into_iter().rev() {
            let cost = packet.cost();
            if first.is_some_and(|first| packet.sequence >= first) {
                continue;
            }
            if self.bytes + cost > DATA_WAITING_BYTES_OF_RECEIVER {
                break;
            }
            lane.bytes += cost;
            self.bytes += cost;
            lane.packets.push_front(packet);
        }
    }

    /// The packet whose turn it is.
    pub(crate) fn next(&self) -> Option<&Bytes> {
        if let Some(notice) = self.notices.front() {
            return Some(notice);
        }
        let lane = self.lanes.get(&self.turn()?)?;
        lane.packets.front().map(|packet| &packet.bytes)
    }

    fn turn(&self) -> Option<Sender> {
        use std::ops::Bound::{Excluded, Unbounded};
        let later = self.lanes.range((Excluded(&self.last), Unbounded)).chain(self.lanes.iter());
        let mut waiting = later.filter(|(_, lane)| !lane.packets.is_empty());
        waiting.next().map(|(sender, _)| sender.clone())
    }

    /// The receiver has taken [`DataQueue::next`].
    pub(crate) fn taken(&mut self) {
        if self.notices.pop_front().is_some() {
            return;
        }
        let Some(turn) = self.turn() else { return };
        if let Some(lane) = self.lanes.get_mut(&turn)
            && let Some(packet) = lane.packets.pop_front()
        {
            lane.bytes -= packet.cost();
            self.bytes -= packet.cost();
            self.taken_bytes += packet.bytes.len() as u64;
        }
        self.last = turn;
    }

    /// The receiver can never take [`DataQueue::next`]: it is left out, and with it the rest of its stream.
    pub(crate) fn skip(&mut self) -> Option<(Sender, Lost)> {
        if self.notices.pop_front().is_some() {
            return None;
        }
        let sender = self.turn()?;
        let lane = self.lanes.get_mut(&sender)?;
        let packet = lane.packets.pop_front()?;
        lane.bytes -= packet.cost();
        self.bytes -= packet.cost();
        let mut lost = Lost { packets: 1, bytes: packet.bytes.len(), ..Lost::default() };
        if let Some(stream) = packet.stream {
            let goes_on = !stream.ends && !lane.packets.iter().any(|later| is_end_of(later, &stream.id));
            lost.streams.push(stream.id);
            if goes_on {
                self.keep_from(&sender, &lost.streams);
            }
        }
        self.last = sender.clone();
        Some((sender, lost))
    }

    /// The receiver is told that it has lost something, as soon as it takes anything.
    pub(crate) fn notify(&mut self, notice: Bytes) {
        self.notices.push_back(notice);
        if self.notices.len() > DATA_LOST_STREAMS {
            self.notices.pop_front();
        }
    }

    /// The receiver is connected: from now on senders wait for it.
    pub(crate) fn open(&mut self) {
        self.is_open = true;
        self.begun.clear();
    }

    /// The receiver takes data again: what it lost begins anew.
    pub(crate) fn wanted(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.is_lost = false;
        }
        self.forget_idle();
    }

    fn forget_idle(&mut self) {
        self.lanes.retain(|_, lane| {
            !lane.packets.is_empty() || lane.is_lost || lane.looked.is_some() || lane.idle_looks < IDLE_LOOKS
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.notices.is_empty()
    }

    /// What waits, in bytes, each packet with what it costs.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The senders that something waits of, for a receiver that they wait for.
    pub(crate) fn senders(&self) -> impl Iterator<Item = &ParticipantSid> {
        let is_open = self.is_open;
        let held = self.lanes.iter().filter(move |(_, lane)| is_open && lane.bytes > 0);
        held.filter_map(|(sender, _)| sender.as_ref())
    }

    /// How much more a sender may send, as far as this receiver is concerned.
    pub(crate) fn window(&self, from: &Sender) -> usize {
        let lane = self.lanes.get(from).filter(|lane| self.is_open && !lane.is_lost);
        DATA_WAITING_BYTES.saturating_sub(lane.map_or(0, |lane| lane.bytes))
    }

    /// Whether this receiver has taken nearly all of what a sender sent it of late: it waits for more.
    pub(crate) fn waits_for(&self, from: &Sender) -> bool {
        self.is_open && self.lanes.get(from).is_some_and(|lane| !lane.is_lost && lane.bytes < HELD_UP_BYTES)
    }

    /// The senders that something was sent of, lately or before.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = &Sender> {
        self.lanes.keys()
    }

    /// The senders that waited for this receiver for too long, with what it loses of theirs. `has_others` says whether others wait for
    /// the same sender.
    pub(crate) fn give_up(
        &mut self,
        now: Instant,
        has_others: impl Fn(&Sender) -> bool,
    ) -> Vec<(Sender, Lost)> {
        let mut slow = Vec::new();
        for (sender, lane) in &mut self.lanes {
            lane.idle_looks = lane.idle_looks.saturating_add(1);
            // A newcomer slows nobody.
            if self.is_open && lane.is_given_up(now, self.taken_bytes, has_others(sender)) {
                slow.push(sender.clone());
            }
        }
        let lost = slow.into_iter().map(|sender| {
            let lost = self.lose(&sender);
            (sender, lost)
        });
        let lost = lost.collect();
        self.forget_idle();
        lost
    }

    fn lose(&mut self, from: &Sender) -> Lost {
        let Some(lane) = self.lanes.get_mut(from) else { return Lost::default() };
        let mut lost = Lost { packets: lane.packets.len(), begins: true, ..Lost::default() };
        let mut go_on = Vec::new();
        for packet in std::mem::take(&mut lane.packets) {
            lost.bytes += packet.bytes.len();
            let Some(stream) = packet.stream else { continue };
            if !lost.streams.contains(&stream.id) {
                lost.streams.push(Arc::clone(&stream.id));
                go_on.push(Arc::clone(&stream.id));
            }
            if stream.ends {
                go_on.retain(|id| *id != stream.id);
            }
        }
        self.bytes -= lane.bytes;
        *lane = Lane { is_lost: true, ..Lane::default() };
        self.keep_from(from, &go_on);
        lost
    }

    fn keep_from(&mut self, from: &Sender, streams: &[Arc<str>]) {
        for id in streams {
            self.lost_streams.push_back((from.clone(), Arc::clone(id)));
        }
        while self.lost_streams.len() > DATA_LOST_STREAMS {
            self.lost_streams.pop_front();
        }
    }
}

fn is_end_of(packet: &Waiting, id: &Arc<str>) -> bool {
    packet.stream.as_ref().is_some_and(|stream| stream.ends && stream.id == *id)
}
