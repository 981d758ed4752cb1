//! Data packets: the server writes whom a packet came from, the sender says whom it goes to.

use bytes::Bytes;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{DataPacket, SendDataRequest, UserPacket, data_packet};
use reelroom_protocol::token::VideoGrants;

use crate::output::{DataKind, Output};
use crate::room::Room;

impl DataKind {
    fn wire(self) -> i32 {
        match self {
            Self::Reliable => data_packet::Kind::Reliable.into(),
            Self::Lossy => data_packet::Kind::Lossy.into(),
        }
    }
}

impl Room {
    /// A serialised `DataPacket` came from a participant.
    pub fn data(&mut self, from: &ParticipantSid, kind: DataKind, bytes: &[u8]) {
        use prost::Message as _;
        let Ok(mut packet) = DataPacket::decode(bytes) else { return };
        let Some(sender) = self.participants.get_mut(from) else { return };
        if !VideoGrants::may_publish_data(&sender.grants)
            || matches!(packet.value, Some(data_packet::Value::Speaker(_)))
        {
            return;
        }
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
        packet.kind = kind.wire();
        packet.participant_sid.clone_from(&sid);
        packet.participant_identity.clone_from(&identity);
        if let Some(data_packet::Value::User(user)) = &mut packet.value {
            user.participant_sid = sid;
            user.participant_identity = identity;
        }
        self.route(packet, kind, Some(from));
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

    fn route(&mut self, packet: DataPacket, kind: DataKind, from: Option<&ParticipantSid>) {
        use prost::Message as _;
        let (mut sids, mut identities) = (Vec::new(), packet.destination_identities.clone());
        if let Some(data_packet::Value::User(user)) = &packet.value {
            sids.clone_from(&user.destination_sids);
            identities.extend(user.destination_identities.iter().cloned());
        }
        let to_all = sids.is_empty() && identities.is_empty();
        let bytes = Bytes::from(packet.encode_to_vec());
        for participant in self.participants.values() {
            let is_meant = to_all
                || sids.iter().any(|sid| sid == participant.sid.as_str())
                || identities.iter().any(|identity| identity == participant.identity.as_str());
            if is_meant
                && participant.is_active()
                && !participant.is_recorder()
                && from != Some(&participant.sid)
            {
                self.outputs.push_back(Output::Data {
                    to: participant.sid.clone(),
                    kind,
                    bytes: bytes.clone(),
                });
            }
        }
    }
}
