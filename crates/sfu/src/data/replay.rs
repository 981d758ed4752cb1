//! Reliable data that has been sent of late, for receivers whose connection broke before all of it had reached them.
//!
//! ```text
//!   a sender's packet 1, 2, 3 … ─► its ring, bounded in bytes and time
//!   a receiver comes back: "of this sender I have 1" ─► 2, 3 … go again, before what waits for it
//! ```
//!
//! # Invariants
//!
//! - Only numbered packets that say whom they came from are kept: of others a receiver cannot tell that it has them already.
//! - Nobody gets again what was not for them, or what was sent before they came.
//! - A sender's ring outlives it: what it said last may be what was lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use reelroom_limits::media::{
    DATA_RECEIVE_STATES, DATA_REPLAY_BYTES, DATA_REPLAY_BYTES_OF_ROOM, DATA_REPLAY_FOR,
};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::DataChannelReceiveState;

use super::Destinations;
use super::queue::Waiting;
use crate::output::Output;
use crate::participant::Participant;
use crate::room::{Now, Room};

#[derive(Debug)]
struct Sent {
    packet: Waiting,
    to: Arc<Destinations>,
    at: Instant,
    /// What it costs to keep it.
    cost: usize,
    /// How many packets of the room were kept before it.
    place: u64,
}

#[derive(Debug, Default)]
struct Ring {
    sent: VecDeque<Sent>,
    bytes: usize,
}

impl Ring {
    /// Says what is free then.
    fn forget_first(&mut self) -> usize {
        let freed = self.sent.pop_front().map_or(0, |first| first.cost);
        self.bytes -= freed;
        freed
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Replay {
    rings: BTreeMap<ParticipantSid, Ring>,
    /// Of all rings.
    bytes: usize,
    /// How many packets have been kept.
    place: u64,
    /// When it was looked at last: packets are as old as that says.
    now: Instant,
}

impl Replay {
    pub(crate) fn new(now: Instant) -> Self {
        Self { rings: BTreeMap::new(), bytes: 0, place: 0, now }
    }

    /// From where on whoever joins now gets packets.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// A packet goes to its receivers.
    pub(crate) fn keep(&mut self, from: &ParticipantSid, packet: &Waiting, to: &Arc<Destinations>) {
        if packet.sequence == 0 {
            return;
        }
        let cost = packet.cost() + to.cost();
        let sent = Sent { packet: packet.clone(), to: Arc::clone(to), at: self.now, cost, place: self.place };
        self.place += 1;
        let ring = self.rings.entry(from.clone()).or_default();
        ring.bytes += cost;
        self.bytes += cost;
        ring.sent.push_back(sent);
        while ring.bytes > DATA_REPLAY_BYTES {
            self.bytes -= ring.forget_first();
        }
        // Senders come and go, and their rings stay for a while.
        while self.bytes > DATA_REPLAY_BYTES_OF_ROOM {
            let Some(most) = self.rings.values_mut().max_by_key(|ring| ring.bytes) else { break };
            self.bytes -= most.forget_first();
        }
    }

    /// Forgets what is too old.
    pub(crate) fn look(&mut self, now: Instant) {
        self.now = now;
        self.rings.retain(|_, ring| {
            while ring
                .sent
                .front()
                .is_some_and(|first| now.saturating_duration_since(first.at) > DATA_REPLAY_FOR)
            {
                self.bytes -= ring.forget_first();
            }
            !ring.sent.is_empty()
        });
    }

    /// What a receiver that has got so much of each sender may lack, in the order of each sender. Of a sender that it does not name it has
    /// got nothing of late.
    fn lacking(
        &self,
        receiver: &Participant,
        last: &BTreeMap<&str, u32>,
    ) -> Vec<(ParticipantSid, Vec<Waiting>)> {
        let mut lacking = Vec::new();
        for (sender, ring) in self.rings.iter().filter(|(sender, _)| **sender != receiver.sid) {
            let has = last.get(sender.as_str()).copied().unwrap_or(0);
            let of_it = ring.sent.iter().filter(|sent| {
                sent.packet.sequence > has && sent.place >= receiver.data_since && sent.to.has(receiver)
            });
            let packets: Vec<_> = of_it.map(|sent| sent.packet.clone()).collect();
            if !packets.is_empty() {
                lacking.push((sender.clone(), packets));
            }
        }
        lacking
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let bytes = self.rings.values().flat_map(|ring| &ring.sent).map(|sent| sent.cost).sum();
        assert_eq!(self.bytes, bytes, "what is counted is what is kept");
        bytes
    }
}

impl Room {
    /// The number of the last reliable data packet that came from a participant: a client that comes back sends those after it again.
    pub fn last_sequence(&self, sid: &ParticipantSid) -> u32 {
        self.participants.get(sid).map_or(0, |participant| participant.last_reliable_sequence)
    }

    /// A participant has come back and says what it has got of each sender: what it may lack goes to it again, before what waits. What it has
    /// all the same it tells by the number.
    pub fn replay(&mut self, sid: &ParticipantSid, states: &[DataChannelReceiveState]) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        let states = &states[..states.len().min(DATA_RECEIVE_STATES)];
        let last: BTreeMap<_, _> =
            states.iter().map(|state| (state.publisher_sid.as_str(), state.last_seq)).collect();
        let lacking = self.replay.lacking(participant, &last);
        for (sender, packets) in lacking {
            participant.data.put_back(&Some(sender), packets);
        }
        if !participant.data.is_empty() {
            self.outputs.push_back(Output::DataWaits(sid.clone()));
        }
    }

    /// Time has passed for what is remembered of data.
    pub(crate) fn look_at_replay(&mut self, now: Now) {
        self.replay.look(now.at);
    }
}
