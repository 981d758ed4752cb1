//! A packet's way from the room that says who gets it to their connections and recorders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{Block, Carrier, Content};

use crate::peer::Peer;
use crate::recorder::RoomRecorder;
use crate::session::{Load, Packet};

/// Carries one packet to whom the room says.
pub(crate) struct Carriage<'a> {
    pub(crate) peers: &'a mut BTreeMap<ParticipantSid, Peer>,
    pub(crate) recorders: &'a mut BTreeMap<ParticipantSid, RoomRecorder>,
    pub(crate) packet: &'a Packet,
    /// The block of sound that is going out, once for all who get it.
    pub(crate) block: Option<(Block, Arc<[u8]>)>,
    pub(crate) now: Instant,
}

impl Carrier for Carriage<'_> {
    fn send(&mut self, track: &TrackSid, to: &ParticipantSid, rewrite: Rewrite, content: Content<'_>) {
        let packet = self.packet;
        tracing::trace!(%track, layer = ?packet.layer, seq = packet.seq(), %to, ?rewrite, "forwarded");
        let Some(peer) = self.peers.get_mut(to) else { return };
        let load = match content {
            Content::Whole => Load {
                payload: packet.shared_payload(),
                marker: packet.marker() || rewrite.ends_picture,
                is_red: packet.is_red,
                is_own: true,
            },
            Content::ParameterSet(set) => {
                Load { payload: set.into(), marker: false, is_red: false, is_own: true }
            }
            Content::Block(block) => {
                let known = self.block.as_ref().filter(|(known, _)| *known == block);
                let payload = match known {
                    Some((_, bytes)) => bytes.clone(),
                    None => Arc::from(block.of(packet.payload())),
                };
                self.block = Some((block, payload.clone()));
                let is_own = block.packets_ago == 0;
                Load { payload, marker: packet.marker() && is_own, is_red: false, is_own }
            }
        };
        peer.forward(track, packet, rewrite, load, self.now);
    }

    fn parameter_sets(&mut self, track: &TrackSid, to: &ParticipantSid, sets: &[&[u8]]) {
        if let Some(recorder) = self.recorders.get_mut(to) {
            recorder.parameter_sets(track, self.packet, sets);
        }
    }

    fn record(&mut self, track: &TrackSid, to: &ParticipantSid, content: Content<'_>) -> bool {
        let recorder = self.recorders.get_mut(to);
        recorder.is_some_and(|recorder| recorder.packet(track, self.packet, content))
    }
}
