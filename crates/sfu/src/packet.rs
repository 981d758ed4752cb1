//! A packet's way through the room: what is said of it, who gets it under which numbers, which recorder takes it.
//!
//! ```text
//!                          ┌─► told to recorders, levels, bitrates, keyframes that came
//!   packet of a publisher ─┼─► the forwarder of each subscriber who gets its codec ─► Carrier::send
//!   in one of the codecs   └─► each recorder's layer, of the one codec that they take ─► Carrier::record
//! ```
//!
//! # Invariants
//!
//! - Nothing of a track goes before those who get it were told of it.
//! - Nothing is kept or allocated for a packet that is passed on.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{StreamState, StreamStateInfo, StreamStateUpdate, signal_response};

use crate::codec::{Codec, h264_brings_sequence_set, is_keyframe};
use crate::coding::Coding;
use crate::forward::{Incoming, Rewrite};
use crate::layers::{KeyframeFor, Layer};
use crate::output::Output;
use crate::recording::Recording;
use crate::red::{Block, Blocks, Recovery, is_sealed};
use crate::room::{Now, Room};
use crate::subscription::Subscription;
use crate::svc::{Descriptor, Frame, Part};
use crate::track::{Track, is_encrypted};

/// A packet as it came from a publisher.
#[derive(Clone, Copy, Debug)]
pub struct PublishedPacket<'a> {
    /// The simulcast layer.
    pub layer: Layer,
    /// How it is encoded.
    pub codec: Codec,
    /// The RTP stream.
    pub ssrc: u32,
    /// Extended sequence number.
    pub seq: u64,
    /// RTP time.
    pub rtp: u32,
    /// Without header.
    pub payload: &'a [u8],
    /// The payload is redundant sound (RFC 2198), and `codec` that of its blocks.
    pub is_red: bool,
    /// The dependency descriptor of its frame: what tells the layers of a scalable stream apart.
    pub descriptor: Option<&'a [u8]>,
    /// How loud it is, in dB below full scale.
    pub audio_level_dbov: Option<u8>,
    /// When it came from the socket.
    pub arrived: Instant,
}

/// What of a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// All of it, as it came.
    Whole,
    /// A block of the redundant sound in it, as a packet of its own; see [`Block`].
    Block(Block),
    /// An H.264 parameter set that belongs in front of it, instead of its own payload.
    ParameterSet(&'a [u8]),
}

/// Takes packets where the room says.
pub trait Carrier {
    /// Sends something of the packet to a subscriber, under these numbers.
    fn send(&mut self, track: &TrackSid, to: &ParticipantSid, rewrite: Rewrite, content: Content<'_>);

    /// Tells a recorder the H.264 parameter sets (whole NAL units, the newest last) of the stream of which the packet is.
    fn parameter_sets(&mut self, track: &TrackSid, to: &ParticipantSid, sets: &[&[u8]]);

    /// Hands something of the packet to a recorder; whether it needs a keyframe.
    fn record(&mut self, track: &TrackSid, to: &ParticipantSid, content: Content<'_>) -> bool;
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Passed {
    /// All that is to be done with it is done.
    On,
    /// It announces something, which is in the outputs. Once these are followed it is to be brought again, and goes on.
    AfterOutputs,
}

impl Room {
    /// A packet of a publisher's section: it is handed to `carrier` for everybody who gets something of it.
    ///
    /// With the first packet of a track it is told to recorders, and announced and subscribed to if it was not before. Nothing goes on while a moderator has
    /// muted the track, nor without the right to publish it, nor in a codec of another kind.
    pub fn packet(
        &mut self,
        from: &ParticipantSid,
        mid: &str,
        packet: &PublishedPacket<'_>,
        now: Now,
        carrier: &mut impl Carrier,
    ) -> Passed {
        let Self { participants, tracks, recordings, outputs, speakers, .. } = self;
        let Some(publisher) = participants.get(from) else { return Passed::On };
        let on = |sid: &TrackSid| tracks.get(sid).and_then(|track| track.coding_on(mid));
        let found = publisher.published.iter().find_map(|sid| Some((sid, on(sid)?)));
        let Some((sid, coding)) = found else { return Passed::On };
        let Some(track) = tracks.get_mut(sid) else { return Passed::On };
        track.sender_known(coding, packet.layer, packet.ssrc);
        if track.held {
            // What follows once it is unmuted brings this sound once more.
            track.recovery = None;
            return Passed::On;
        }
        if track.is_video() == (packet.codec == Codec::Opus) {
            return Passed::On;
        }
        if track.codings[coding].codec != Some(packet.codec) {
            let sid = sid.clone();
            return self.media_changes(&sid, coding, packet, now);
        }
        if let Some(level) = packet.audio_level_dbov.filter(|_| !track.info.muted) {
            speakers.level(from, level, now.at);
        }
        let is_readable = !is_encrypted(&track.info);
        let is_recorded = publisher.is_recorded() && is_readable;
        let mut way = Way { sid, track, coding, outputs, recordings, is_recorded, packet, now, carrier };
        // What is encrypted cannot be taken apart: it goes as it came, to those who read redundant sound.
        if packet.is_red && is_readable {
            way.redundant()
        } else {
            way.plain()
        }
        Passed::On
    }
}

/// What one packet passes.
struct Way<'a, C> {
    sid: &'a TrackSid,
    track: &'a mut Track,
    /// The place of the codec that it is in.
    coding: usize,
    outputs: &'a mut VecDeque<Output>,
    recordings: &'a mut BTreeMap<ParticipantSid, Recording>,
    is_recorded: bool,
    packet: &'a PublishedPacket<'a>,
    now: Now,
    carrier: &'a mut C,
}

/// Who gets something of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Everybody,
    OfRed,
    OfPlain,
}

impl Readers {
    fn include(self, subscription: &Subscription) -> bool {
        match self {
            Self::Everybody => true,
            Self::OfRed => subscription.takes_red,
            Self::OfPlain => !subscription.takes_red,
        }
    }
}

impl<C: Carrier> Way<'_, C> {
    /// A packet that goes as it is.
    fn plain(&mut self) {
        let packet = self.packet;
        let layer = self.coding().layer_of(packet.layer);
        let frame = self.frame();
        if !packet.payload.is_empty() {
            let coding = self.coding();
            let of_size = coding.scalable.as_ref().zip(frame).map_or(layer, |(structure, frame)| {
                structure.layers().find(|layer| structure.size_of(*layer) == frame.size).unwrap_or(layer)
            });
            coding.layers.packet(of_size, packet.rtp, packet.payload.len(), packet.arrived);
            coding.parameter_sets.packet(packet.codec, layer, packet.payload);
        }
        let keyframe = is_keyframe(packet.codec, packet.payload);
        if keyframe && self.track.is_video() {
            self.coding().layers.keyframe_came(layer);
        }
        let incoming = Incoming {
            layer,
            ssrc: packet.ssrc,
            seq: packet.seq,
            rtp: packet.rtp,
            payload: packet.payload,
            keyframe,
            lacks: 0,
            arrived: packet.arrived,
        };
        // What was made of the redundant sound of others goes to nobody who has it by now.
        let is_new = match &mut self.track.recovery {
            Some((ssrc, recovery)) if *ssrc == packet.ssrc => recovery.give(packet.seq, packet.rtp),
            _ => true,
        };
        let readers = if is_new { Readers::Everybody } else { Readers::OfRed };
        self.send(&incoming, frame, Content::Whole, readers);
        if is_new {
            self.record(layer, keyframe, Content::Whole);
        }
    }

    /// A packet with the sound of packets before it.
    fn redundant(&mut self) {
        let packet = self.packet;
        let blocks = Blocks::read_clear(packet.payload);
        if blocks.is_none() && !is_sealed(packet.payload) {
            return;
        }
        self.coding().layers.packet(Layer::High, packet.rtp, packet.payload.len(), packet.arrived);
        let whole = Incoming {
            layer: Layer::High,
            ssrc: packet.ssrc,
            seq: packet.seq,
            rtp: packet.rtp,
            payload: packet.payload,
            keyframe: true,
            lacks: 0,
            arrived: packet.arrived,
        };
        self.send(&whole, None, Content::Whole, Readers::OfRed);
        let Some(blocks) = blocks else {
            // A recorder finds out that it is encrypted.
            if self.recovery().give(packet.seq, packet.rtp) {
                self.record(Layer::High, true, Content::Whole);
            }
            return;
        };
        for block in blocks.redundant() {
            let lost = self.recovery().recovers(&block, packet.seq, packet.rtp);
            if let Some((seq, rtp)) = lost {
                self.block(&Incoming { seq, rtp, ..whole }, block);
            }
        }
        if self.recovery().give(packet.seq, packet.rtp) {
            self.block(&whole, blocks.own());
        }
    }

    fn coding(&mut self) -> &mut Coding {
        &mut self.track.codings[self.coding]
    }

    /// Another stream has its own numbers.
    fn recovery(&mut self) -> &mut Recovery {
        let ssrc = self.packet.ssrc;
        if self.track.recovery.as_ref().is_none_or(|(known, _)| *known != ssrc) {
            self.track.recovery = None;
        }
        &mut self.track.recovery.get_or_insert_with(|| (ssrc, Recovery::default())).1
    }

    fn block(&mut self, whole: &Incoming<'_>, block: Block) {
        let payload = block.of(self.packet.payload);
        self.send(&Incoming { payload, ..*whole }, None, Content::Block(block), Readers::OfPlain);
        self.record(Layer::High, true, Content::Block(block));
    }

    /// Which frame of a scalable stream the packet is of; a stream that tells nothing, or what cannot be read, goes whole.
    fn frame(&mut self) -> Option<Frame> {
        let packet = self.packet;
        let coding = self.coding();
        if !packet.codec.is_scalable() || coding.is_simulcast {
            return None;
        }
        let bytes = packet.descriptor?;
        let descriptor = Descriptor::read(bytes)?;
        if let Some(structure) = descriptor.structure()
            && coding.scalable.as_ref() != Some(structure)
        {
            coding.scalable = Some(structure.clone());
        }
        descriptor.frame(coding.scalable.as_ref()?, bytes)
    }

    fn send(
        &mut self,
        incoming: &Incoming<'_>,
        frame: Option<Frame>,
        content: Content<'_>,
        readers: Readers,
    ) {
        let Track { down, codings, publisher, .. } = &mut *self.track;
        let Coding { parameter_sets, codec, scalable, .. } = &codings[self.coding];
        let begins_bare =
            incoming.keyframe && *codec == Some(Codec::H264) && !h264_brings_sequence_set(incoming.payload);
        let lacking = if begins_bare { parameter_sets.to_send(incoming.layer) } else { Vec::new() };
        let incoming = Incoming { lacks: lacking.len() as u16, ..*incoming };
        for (subscriber, subscription) in down.iter_mut() {
            if subscription.coding != self.coding || !readers.include(subscription) {
                continue;
            }
            let part = match (scalable, &frame) {
                (Some(structure), Some(frame)) => subscription.part(structure, frame),
                _ => Part::It { ends_picture: false },
            };
            let Part::It { ends_picture } = part else {
                subscription.forwarder.skip(&incoming);
                continue;
            };
            let Some(rewrite) = subscription.forwarder.forward(&incoming) else { continue };
            let rewrite = Rewrite { ends_picture, ..rewrite };
            for (number, set) in lacking.iter().enumerate().take(usize::from(rewrite.free)) {
                let seq = rewrite.seq - u64::from(rewrite.free) + number as u64;
                let rewrite = Rewrite { seq, free: 0, ..rewrite };
                self.carrier.send(self.sid, subscriber, rewrite, Content::ParameterSet(set));
            }
            self.carrier.send(self.sid, subscriber, rewrite, content);
            if subscription.goes_on() {
                let state = stream_state(publisher, self.sid, StreamState::Active);
                let update = StreamStateUpdate { stream_states: vec![state] };
                let message = Box::new(signal_response::Message::StreamStateUpdate(update));
                self.outputs.push_back(Output::Signal { to: subscriber.clone(), message });
            }
        }
    }

    fn record(&mut self, layer: Layer, keyframe: bool, content: Content<'_>) {
        if self.recordings.is_empty() || self.coding != self.track.main() {
            return;
        }
        let best = self.track.codings[self.coding].best_layer(self.now.at);
        let mut wished = None;
        for (recorder, recording) in self.recordings.iter_mut() {
            let taken = recording.of(self.sid);
            if !self.is_recorded {
                taken.begin_anew();
                continue;
            }
            match taken.takes(layer, self.packet.ssrc, best, keyframe) {
                Taking::Nothing { needs } => wished = needs.or(wished),
                Taking::It { begins } => {
                    let coding = &self.track.codings[self.coding];
                    if begins && coding.codec == Some(Codec::H264) {
                        let sets: Vec<&[u8]> = coding.parameter_sets.of(layer).collect();
                        self.carrier.parameter_sets(self.sid, recorder, &sets);
                    }
                    if self.carrier.record(self.sid, recorder, content) {
                        wished = Some(layer);
                    }
                }
            }
        }
        if let Some(layer) = wished {
            let (whom, at) = (KeyframeFor::Recorder, self.now.at);
            let asked = self.track.request_keyframe(self.sid, self.coding, layer, whom, at);
            self.outputs.extend(asked);
        }
    }
}

/// Whether a recorder takes a packet.
pub(crate) enum Taking {
    /// Not; the layer comes with it of which a keyframe is needed.
    Nothing { needs: Option<Layer> },
    /// It does; whether its stream begins.
    It { begins: bool },
}

/// What a subscriber is told of a stream.
pub(crate) fn stream_state(
    publisher: &ParticipantSid,
    track: &TrackSid,
    state: StreamState,
) -> StreamStateInfo {
    StreamStateInfo {
        participant_sid: publisher.to_string(),
        track_sid: track.to_string(),
        state: state.into(),
    }
}

#[cfg(test)]
mod tests;
