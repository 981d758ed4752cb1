//! Data packets: the server writes whom a packet came from, the sender says whom it goes to.
//!
//! ```text
//!   _reliable ─► number, name, destinations ─► queue of each receiver ─► _reliable      (and replay, for those who come back)
//!   _lossy    ─► name, destinations ──────────────────────────────────► _lossy
//!   another   ─► wrapped into a packet ─► queue of each receiver ──────► _reliable
//!   _data_track ─► see `data_track`
//! ```
//!
//! Reliable packets wait for each receiver in a [`queue`] of its own until the shell fetches them ([`Room::next_data`]), and the
//! shell tells the sender how much more may come ([`Room::data_windows`]). Lossy ones are output at once and wait for nobody.
//!
//! Whoever is announced gets what is sent reliably from then on: others greet whom they hear of, and its connection stands later.

pub(crate) mod queue;
pub(crate) mod replay;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use reelroom_limits::media::{DATA_FIELDS, DATA_WAITING_BYTES};
use reelroom_limits::signalling::ID_BYTES;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DataPacket, RequestResponse, SendDataRequest, UserPacket, data_packet, data_stream, request_response,
    signal_response,
};
use reelroom_protocol::wire::{self, Shaped as _};

use crate::output::{DataKind, Output};
use crate::participant::Participant;
use crate::room::{Now, Room};
use queue::{Lost, Sender, Stream, Waiting};

/// What a receiver reads of a stream that it lost.
const TOO_SLOW: &str = "the receiver took the data too slowly";
/// The same where it has not connected yet.
const NOT_THERE: &str = "more was sent than is kept for a receiver that is not connected yet";
/// The same where its client takes no packet as long as one of them.
const TOO_LONG: &str = "a data packet is longer than the receiver's client takes";

/// What a name in a set costs besides its bytes.
const NAME_COST_BYTES: usize = 64;

impl DataKind {
    fn wire(self) -> i32 {
        match self {
            Self::Reliable | Self::Other => data_packet::Kind::Reliable.into(),
            Self::Lossy | Self::Track => data_packet::Kind::Lossy.into(),
        }
    }
}

/// Whom a packet is for: everybody where nobody is named.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    sids: BTreeSet<String>,
    identities: BTreeSet<String>,
}

impl Destinations {
    fn of(packet: &DataPacket) -> Self {
        let mut to = Self {
            sids: BTreeSet::new(),
            identities: packet.destination_identities.iter().cloned().collect(),
        };
        if let Some(data_packet::Value::User(user)) = &packet.value {
            to.sids.extend(user.destination_sids.iter().cloned());
            // What the packet says counts; clients of before it had such a field say it inside.
            if to.identities.is_empty() {
                to.identities.extend(user.destination_identities.iter().cloned());
            }
        }
        to
    }

    /// What it costs to keep it.
    fn cost(&self) -> usize {
        self.sids.iter().chain(&self.identities).map(|name| name.len() + NAME_COST_BYTES).sum()
    }

    fn has(&self, participant: &Participant) -> bool {
        (self.sids.is_empty() && self.identities.is_empty())
            || self.sids.contains(participant.sid.as_str())
            || self.identities.contains(participant.identity.as_str())
    }
}

impl Room {
    /// Something came from a participant by one of its data channels: a serialised `DataPacket`, a packet of a data track, or, by a channel
    /// that is none of LiveKit's, anything.
    pub fn data(&mut self, from: &ParticipantSid, kind: DataKind, bytes: &[u8]) {
        use prost::Message as _;
        let may_publish = self.participants.get(from).is_some_and(|sender| sender.grants.may_publish_data());
        if !may_publish {
            return;
        }
        match kind {
            DataKind::Track => return self.data_track_packet(from, bytes),
            DataKind::Other => {
                let user = UserPacket { payload: bytes.to_vec(), ..Default::default() };
                let value = Some(data_packet::Value::User(user));
                return self.published(from, DataKind::Reliable, DataPacket { value, ..Default::default() });
            }
            DataKind::Reliable | DataKind::Lossy => {}
        }
        if let Err(excess) = wire::fields(bytes, DataPacket::SHAPE, DATA_FIELDS) {
            return self.tell_limit(from, format!("a data packet is dropped: {excess}"));
        }
        let Ok(packet) = DataPacket::decode(bytes) else { return };
        self.published(from, kind, packet);
    }

    /// A packet of a participant who may send data.
    fn published(&mut self, from: &ParticipantSid, kind: DataKind, mut packet: DataPacket) {
        use data_packet::Value;
        let Some(sender) = self.participants.get_mut(from) else { return };
        if kind == DataKind::Reliable && packet.sequence > 0 {
            if packet.sequence <= sender.last_reliable_sequence {
                return;
            }
            sender.last_reliable_sequence = packet.sequence;
        }
        let (sid, identity) = if sender.is_visible() {
            (sender.sid.to_string(), sender.identity.to_string())
        } else {
            Default::default()
        };
        let is_agent = sender.is_agent();
        let said = std::mem::take(&mut packet.participant_identity);
        // An agent writes down what somebody else says, in their name, and it is shown as that.
        let speaks_for_other = is_agent && !said.is_empty() && said != sender.identity.as_str();
        packet.kind = kind.wire();
        packet.participant_sid.clone_from(&sid);
        packet.participant_identity.clone_from(&identity);
        match &mut packet.value {
            // The server's own words, and what nobody asked it to collect.
            Some(Value::Speaker(_) | Value::Metrics(_)) => return,
            Some(Value::Transcription(_)) if !is_agent => return,
            Some(Value::User(user)) => {
                user.participant_sid = sid;
                user.participant_identity = identity;
            }
            Some(Value::ChatMessage(chat)) if speaks_for_other => {
                chat.generated = true;
                packet.participant_identity = said;
            }
            Some(Value::StreamHeader(header)) if speaks_for_other => {
                if let Some(data_stream::header::ContentHeader::TextHeader(text)) = &mut header.content_header
                {
                    text.generated = true;
                    packet.participant_identity = said;
                }
            }
            _ => {}
        }
        if !self.rpc_answered(from, &packet) {
            self.route(packet, kind, Some(from));
        }
    }

    /// SendData of the RoomService: a packet without a sender.
    pub fn send_data(&mut self, request: SendDataRequest) {
        let kind = match request.kind() {
            data_packet::Kind::Reliable => DataKind::Reliable,
            data_packet::Kind::Lossy => DataKind::Lossy,
        };
        let packet = DataPacket {
            kind: kind.wire(),
            destination_identities: request.destination_identities.clone(),
            value: Some(data_packet::Value::User(UserPacket {
                payload: request.data,
                destination_sids: request.destination_sids,
                destination_identities: request.destination_identities,
                topic: request.topic,
                nonce: request.nonce,
                ..Default::default()
            })),
            ..Default::default()
        };
        self.route(packet, kind, None);
    }

    pub(crate) fn route(&mut self, packet: DataPacket, kind: DataKind, from: Option<&ParticipantSid>) {
        use prost::Message as _;
        let to = Arc::new(Destinations::of(&packet));
        let bytes = Bytes::from(packet.encode_to_vec());
        let waiting = Waiting { bytes, sequence: packet.sequence, stream: stream_of(&packet) };
        let (sender, mut losses) = (from.cloned(), Vec::new());
        // By a packet without a name no client can tell that it has it already.
        if kind == DataKind::Reliable
            && let Some(from) = from
            && !packet.participant_sid.is_empty()
        {
            self.replay.keep(from, &waiting, &to);
        }
        for participant in self.participants.values_mut() {
            // The server's own recorder has no connection.
            if participant.is_server || from == Some(&participant.sid) || !to.has(participant) {
                continue;
            }
            let sid = participant.sid.clone();
            match kind {
                DataKind::Reliable | DataKind::Other => {
                    let lost = participant.data.push(&sender, waiting.clone());
                    losses.extend(lost.map(|(sender, lost)| (sender, sid.clone(), lost)));
                    // Whoever is not connected yet gets it when it is.
                    if participant.is_active() {
                        self.outputs.push_back(Output::DataWaits(sid));
                    }
                }
                DataKind::Lossy | DataKind::Track if participant.is_active() => {
                    self.outputs.push_back(Output::Data { to: sid, bytes: waiting.bytes.clone() });
                }
                DataKind::Lossy | DataKind::Track => {}
            }
        }
        for (sender, to, lost) in losses {
            self.lose(&sender, &to, lost);
        }
    }

    /// A participant is connected: what was sent to it since it was announced goes to it.
    pub(crate) fn open_data(&mut self, sid: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.data.open();
        if !participant.data.is_empty() {
            self.outputs.push_back(Output::DataWaits(sid.clone()));
        }
    }

    /// The reliable packet that a receiver is to get next.
    pub fn next_data(&self, to: &ParticipantSid) -> Option<&Bytes> {
        self.participants.get(to)?.data.next()
    }

    /// A receiver's connection has taken [`Room::next_data`].
    pub fn data_taken(&mut self, to: &ParticipantSid) {
        if let Some(participant) = self.participants.get_mut(to) {
            participant.data.taken();
        }
    }

    /// A receiver's connection will never take [`Room::next_data`], for it is too long: it is left out, so that what is behind it goes on, and its
    /// sender is told.
    pub fn data_too_long(&mut self, to: &ParticipantSid) {
        let Some(participant) = self.participants.get_mut(to) else { return };
        let Some((from, lost)) = participant.data.skip() else { return };
        let receiver = participant.is_visible().then(|| participant.identity.clone());
        if let (Some(from), Some(identity)) = (&from, receiver) {
            let bytes = lost.bytes;
            self.tell_limit(
                from,
                format!("a data packet of {bytes} bytes did not reach {identity}: {TOO_LONG}"),
            );
        }
        self.lose_for(TOO_LONG, &from, to, lost);
    }

    /// A receiver's connection has room for reliable data again.
    pub fn data_wanted(&mut self, to: &ParticipantSid) {
        if let Some(participant) = self.participants.get_mut(to) {
            participant.data.wanted();
        }
    }

    /// Bytes of reliable data that wait for a receiver, with what each packet costs besides.
    pub fn waiting_data_bytes(&self, to: &ParticipantSid) -> usize {
        self.participants.get(to).map_or(0, |participant| participant.data.bytes())
    }

    /// The receivers that reliable data waits for.
    pub fn data_receivers(&self) -> Vec<ParticipantSid> {
        let waiting = self.participants.values().filter(|participant| !participant.data.is_empty());
        waiting.map(|participant| participant.sid.clone()).collect()
    }

    /// How much reliable data the senders may have under way, where that has changed.
    pub fn data_windows(&mut self) -> Vec<(ParticipantSid, usize)> {
        let slowed: BTreeSet<_> =
            self.participants.values().flat_map(|participant| participant.data.senders()).cloned().collect();
        let relieved =
            self.slowed_senders.difference(&slowed).map(|sender| (sender.clone(), DATA_WAITING_BYTES));
        let mut windows: Vec<_> = relieved.collect();
        for sender in &slowed {
            let from = Some(sender.clone());
            let receivers = self.participants.values().map(|receiver| receiver.data.window(&from));
            windows.push((sender.clone(), receivers.min().unwrap_or(DATA_WAITING_BYTES)));
        }
        self.slowed_senders = slowed;
        windows
    }

    /// Ends the streams of receivers that hold their senders up.
    pub(crate) fn give_up_slow_receivers(&mut self, now: Now) {
        // Where all of them are slow, as on a machine that is busy, nobody waits for another one.
        let mut waited_for: BTreeSet<Sender> = BTreeSet::new();
        for participant in self.participants.values() {
            let data = &participant.data;
            waited_for.extend(data.lanes().filter(|sender| data.waits_for(sender)).cloned());
        }
        let has_others = |sender: &Sender| waited_for.contains(sender);
        let mut losses = Vec::new();
        for participant in self.participants.values_mut() {
            let to = participant.sid.clone();
            let given_up = participant.data.give_up(now.at, has_others);
            losses.extend(given_up.into_iter().map(|(sender, lost)| (sender, to.clone(), lost)));
        }
        for (sender, to, lost) in losses {
            self.lose(&sender, &to, lost);
        }
    }

    /// Says to both sides what was lost.
    fn lose(&mut self, from: &Sender, to: &ParticipantSid, lost: Lost) {
        let is_there = self.participants.get(to).is_some_and(Participant::is_active);
        self.lose_for(if is_there { TOO_SLOW } else { NOT_THERE }, from, to, lost);
    }

    fn lose_for(&mut self, why: &str, from: &Sender, to: &ParticipantSid, lost: Lost) {
        use prost::Message as _;
        let visible =
            from.as_ref().and_then(|from| self.participants.get(from)).filter(|from| from.is_visible());
        let (sender_sid, sender_identity) =
            visible.map(|from| (from.sid.to_string(), from.identity.to_string())).unwrap_or_default();
        let Some(receiver) = self.participants.get_mut(to) else { return };
        for stream_id in &lost.streams {
            let trailer = data_stream::Trailer {
                stream_id: stream_id.to_string(),
                reason: why.to_owned(),
                ..Default::default()
            };
            let notice = DataPacket {
                kind: DataKind::Reliable.wire(),
                participant_sid: sender_sid.clone(),
                participant_identity: sender_identity.clone(),
                value: Some(data_packet::Value::StreamTrailer(trailer)),
                ..Default::default()
            };
            receiver.data.notify(notice.encode_to_vec().into());
        }
        // Of somebody who is hidden a sender hears nothing.
        let identity = receiver.is_visible().then(|| receiver.identity.clone());
        // One word for each time that something begins to be lost, and none for each packet of it.
        if lost.begins {
            let (packets, bytes) = (lost.packets, lost.bytes);
            self.tell_limit(to, format!("{packets} data packets ({bytes} bytes) were dropped: {why}"));
            if let (Some(from), Some(identity)) = (from, identity) {
                let message =
                    format!("{packets} data packets ({bytes} bytes) did not reach {identity}: {why}");
                self.tell_limit(from, message);
            }
        }
        self.outputs.push_back(Output::DataLost {
            from: from.clone(),
            to: to.clone(),
            packets: lost.packets,
            bytes: lost.bytes,
            begins: lost.begins,
        });
    }
}

impl Room {
    fn tell_limit(&mut self, to: &ParticipantSid, message: String) {
        let response = RequestResponse {
            reason: request_response::Reason::LimitExceeded.into(),
            message,
            ..Default::default()
        };
        self.signal(to, signal_response::Message::RequestResponse(response));
    }
}

/// The stream that a packet belongs to, where it belongs to one.
fn stream_of(packet: &DataPacket) -> Option<Stream> {
    let (id, begins, ends) = match packet.value.as_ref()? {
        data_packet::Value::StreamHeader(header) => (&header.stream_id, true, false),
        data_packet::Value::StreamChunk(chunk) => (&chunk.stream_id, false, false),
        data_packet::Value::StreamTrailer(trailer) => (&trailer.stream_id, false, true),
        _ => return None,
    };
    // Ids of lost streams are remembered, and clients' are short: a longer one is that of no stream.
    (id.len() <= ID_BYTES).then(|| Stream { id: Arc::from(id.as_str()), begins, ends })
}
