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

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reelroom_limits::media::{
    DATA_LOST_STREAMS, DATA_PATIENCE, DATA_SLOWEST_BYTES_PER_S, DATA_WAITING_BYTES,
    DATA_WAITING_BYTES_OF_RECEIVER,
};
use reelroom_protocol::ids::ParticipantSid;

/// Whoever sends more than its window was told to send less, and did not.
const IGNORED_WINDOW_BYTES: usize = 4 * DATA_WAITING_BYTES;
/// From here on a sender counts as held up.
const HELD_UP_BYTES: usize = DATA_WAITING_BYTES / 2;

/// Whoever has got nothing of a sender for so many looks does not wait for it.
const IDLE_LOOKS: u32 = 40;

/// Who sends: a participant, or `None` for the RoomService.
pub(crate) type Sender = Option<ParticipantSid>;

/// One packet, and the stream that it belongs to.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) bytes: Bytes,
    pub(crate) stream: Option<Stream>,
}

/// A stream of data, and whether this packet is its last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) id: Arc<str>,
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
    bytes: usize,
    /// Since when it is held up, and how much the receiver had taken then.
    held_up: Option<(Instant, u64)>,
    /// The receiver has lost it, and gets nothing new of it before it has taken what is under way.
    is_lost: bool,
    /// How often it was looked at since something came.
    idle_looks: u32,
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
}

impl DataQueue {
    /// A packet of a sender has to wait; what of it is lost at once.
    pub(crate) fn push(&mut self, from: &Sender, packet: Waiting) -> Option<Lost> {
        if let Some(stream) = &packet.stream
            && let Some(place) =
                self.lost_streams.iter().position(|(sender, id)| sender == from && *id == stream.id)
        {
            if stream.ends {
                self.lost_streams.remove(place);
            }
            return Some(Lost { packets: 1, bytes: packet.bytes.len(), ..Lost::default() });
        }
        let lane = self.lanes.entry(from.clone()).or_default();
        if lane.is_lost {
            let streams =
                packet.stream.iter().filter(|stream| !stream.ends).map(|stream| Arc::clone(&stream.id));
            let lost =
                Lost { packets: 1, bytes: packet.bytes.len(), streams: streams.collect(), begins: false };
            self.keep_from(from, &lost.streams);
            return Some(lost);
        }
        lane.idle_looks = 0;
        lane.bytes += packet.bytes.len();
        self.bytes += packet.bytes.len();
        lane.packets.push_back(packet);
        if lane.bytes > IGNORED_WINDOW_BYTES {
            return Some(self.lose(from));
        }
        if self.bytes > DATA_WAITING_BYTES_OF_RECEIVER {
            let most = self.lanes.iter().max_by_key(|(_, lane)| lane.bytes).map(|(sender, _)| sender.clone());
            return most.map(|most| self.lose(&most));
        }
        None
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
            let len = packet.bytes.len();
            lane.bytes -= len;
            self.bytes -= len;
            self.taken_bytes += len as u64;
        }
        self.last = turn;
    }

    /// The receiver is told that it has lost something, as soon as it takes anything.
    pub(crate) fn notify(&mut self, notice: Bytes) {
        self.notices.push_back(notice);
        if self.notices.len() > DATA_LOST_STREAMS {
            self.notices.pop_front();
        }
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
            !lane.packets.is_empty() || lane.is_lost || lane.held_up.is_some() || lane.idle_looks < IDLE_LOOKS
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.notices.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The senders that something waits of.
    pub(crate) fn senders(&self) -> impl Iterator<Item = &ParticipantSid> {
        self.lanes.iter().filter(|(_, lane)| lane.bytes > 0).filter_map(|(sender, _)| sender.as_ref())
    }

    /// How much more a sender may send, as far as this receiver is concerned.
    pub(crate) fn window(&self, from: &Sender) -> usize {
        let waits = self.lanes.get(from).filter(|lane| !lane.is_lost).map_or(0, |lane| lane.bytes);
        DATA_WAITING_BYTES.saturating_sub(waits)
    }

    /// Whether this receiver has taken nearly all of what a sender sent it of late: it waits for more.
    pub(crate) fn waits_for(&self, from: &Sender) -> bool {
        self.lanes.get(from).is_some_and(|lane| !lane.is_lost && lane.bytes < HELD_UP_BYTES)
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
            if lane.bytes < HELD_UP_BYTES {
                lane.held_up = None;
                continue;
            }
            let (since, taken) = *lane.held_up.get_or_insert((now, self.taken_bytes));
            let waited = now.saturating_duration_since(since);
            if waited < DATA_PATIENCE {
                continue;
            }
            let taken = self.taken_bytes - taken;
            let enough = if has_others(sender) { least_bytes(waited) } else { 1 };
            if taken < enough {
                slow.push(sender.clone());
            } else {
                lane.held_up = Some((now, self.taken_bytes));
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
        let mut lost =
            Lost { packets: lane.packets.len(), bytes: lane.bytes, streams: Vec::new(), begins: true };
        let mut go_on = Vec::new();
        for stream in lane.packets.drain(..).filter_map(|packet| packet.stream) {
            if !lost.streams.contains(&stream.id) {
                lost.streams.push(Arc::clone(&stream.id));
                go_on.push(Arc::clone(&stream.id));
            }
            if stream.ends {
                go_on.retain(|id| *id != stream.id);
            }
        }
        self.bytes -= lane.bytes;
        (lane.bytes, lane.held_up, lane.is_lost) = (0, None, true);
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

fn least_bytes(waited: Duration) -> u64 {
    (waited.as_secs_f64() * DATA_SLOWEST_BYTES_PER_S as f64) as u64
}
