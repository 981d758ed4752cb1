//! One track on its way to one subscriber: which packets go, and under which numbers.
//!
//! A subscriber must see one RTP stream without holes of our making, whatever layer it comes from. Forwarding begins,
//! and the layer changes, only at the first packet of a keyframe; until it comes the old layer goes on. What is left of a picture of
//! the old layer then is not sent: nobody shows half a picture, and a keyframe needs nothing of it. Within a layer every packet keeps
//! its distance to its neighbours, so late and resent packets get the number that belongs to them. In front of a keyframe that comes without its
//! parameter sets there is room for those that are known: a subscriber that begins there has not seen them. A stream that comes in the place of another
//! one (a publisher whose encoder begins anew) is followed as another layer is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::layers::Layer;

/// How many dropped sequence numbers are remembered to number late packets right.
const DROPPED_MEMORY: usize = 512;

/// So long after another stream came in its place, packets of a stream are late.
const LATE_FOR: Duration = Duration::from_secs(2);

/// What the forwarder must know of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The layer it came on.
    pub layer: Layer,
    /// The stream that brings it, whose numbers are its own.
    pub ssrc: u32,
    /// Extended sequence number of that layer's stream.
    pub seq: u64,
    /// RTP time.
    pub rtp: u32,
    /// The payload, without header.
    pub payload: &'a [u8],
    /// Whether decoding can begin here; see [`crate::is_keyframe`].
    pub keyframe: bool,
    /// So many packets have to go in front of it where decoding begins here.
    pub lacks: u16,
    /// When it arrived.
    pub arrived: Instant,
}

/// What to send instead of the incoming numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Extended sequence number, below 2^16 at first.
    pub seq: u64,
    /// So many numbers in front of it are free for what a keyframe lacks.
    pub free: u16,
    /// RTP time.
    pub rtp: u32,
    /// For VP8 payloads with these fields.
    pub vp8: Option<Vp8Numbers>,
    /// It is the last packet of its picture for this subscriber, whatever its own marker says.
    pub ends_picture: bool,
}

/// The running numbers in a VP8 payload descriptor (RFC 7741 4.2), as far as it has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8Numbers {
    /// 7 or 15 bits, as the incoming one.
    pub picture_id: Option<u16>,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<u8>,
}

/// The state of one track towards one subscriber.
#[derive(Debug)]
pub struct DownTrack {
    codec: Codec,
    target: Option<Layer>,
    current: Option<Current>,
    /// The stream in whose place another one came, and when: what is left of it is for nobody.
    former: Option<(u32, Instant)>,
    /// The last sent numbers: they outlive a pause and a change of layer.
    last: Option<Sent>,
}

#[derive(Debug)]
struct Current {
    layer: Layer,
    ssrc: u32,
    first_seq: u64,
    highest_seq: u64,
    seq_offset: i64,
    rtp_offset: u32,
    picture_id_offset: u16,
    tl0_offset: u8,
    dropped: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    seq: u64,
    rtp: u32,
    arrived: Instant,
    picture_id: u16,
    tl0_pic_idx: u8,
}

impl DownTrack {
    /// Sends nothing until a target is set and a keyframe of it comes.
    pub fn new(codec: Codec) -> Self {
        Self { codec, target: None, current: None, former: None, last: None }
    }

    /// The codec that the track comes in.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The track goes on in another codec, from the next keyframe on, in the same stream.
    pub fn change_codec(&mut self, codec: Codec) {
        self.codec = codec;
        self.current = None;
    }

    /// The layer to send from the next keyframe of it on. `None` stops at once.
    pub fn set_target(&mut self, target: Option<Layer>) {
        self.target = target;
        if target.is_none() {
            self.current = None;
        }
    }

    /// The layer that is to be sent.
    pub fn target(&self) -> Option<Layer> {
        self.target
    }

    /// The layer that is being sent ends now, and not when the next one begins: there is no room for it.
    pub fn cut(&mut self) {
        if self.current() != self.target {
            self.current = None;
        }
    }

    /// The layer that should be sent but is not yet: a keyframe of it is needed.
    pub fn wants_keyframe(&self) -> Option<Layer> {
        let target = self.target?;
        let is_current = self.current.as_ref().is_some_and(|current| current.layer == target);
        (!is_current && self.codec != Codec::Opus).then_some(target)
    }

    /// The layer that is being sent.
    pub fn current(&self) -> Option<Layer> {
        self.current.as_ref().map(|current| current.layer)
    }

    /// `packet` is not for this subscriber, who is not to see that there was one.
    pub fn skip(&mut self, packet: &Incoming<'_>) {
        if let Some(current) = self.current.as_mut()
            && (current.layer, current.ssrc) == (packet.layer, packet.ssrc)
            && packet.seq > current.highest_seq
        {
            current.leave_out(packet.seq);
        }
    }

    /// The numbers of a packet without content, which goes where nothing else does. What is sent after it begins anew.
    pub fn empty(&mut self, now: Instant) -> Rewrite {
        self.current = None;
        let (seq, rtp) = self.last.map_or((1, 0), |last| self.next_after(last, now));
        let kept = self.last.unwrap_or(Sent { seq, rtp, arrived: now, picture_id: 0, tl0_pic_idx: 0 });
        self.last = Some(Sent { seq, rtp, arrived: now, ..kept });
        Rewrite { seq, free: 0, rtp, vp8: None, ends_picture: false }
    }

    /// Number and time of what goes now, after all that was sent.
    fn next_after(&self, last: Sent, now: Instant) -> (u64, u32) {
        let elapsed = now.saturating_duration_since(last.arrived);
        let ticks = (elapsed.as_secs_f64() * f64::from(self.codec.clock_rate_hz())) as u32;
        (last.seq + 1, last.rtp.wrapping_add(ticks.max(1)))
    }

    /// The numbers to send `packet` under, or `None` if it is not for this subscriber.
    pub fn forward(&mut self, packet: &Incoming<'_>) -> Option<Rewrite> {
        let target = self.target?;
        self.follow(packet)?;
        let switches = packet.layer == target
            && packet.keyframe
            && !packet.payload.is_empty()
            && self.current.as_ref().is_none_or(|current| current.layer != target);
        if switches {
            self.switch(packet);
        }
        let free = if switches { packet.lacks } else { 0 };
        let current = self.current.as_mut().filter(|current| current.layer == packet.layer)?;
        if packet.seq < current.first_seq {
            return None;
        }
        if packet.payload.is_empty() && packet.seq > current.highest_seq {
            // Padding only.
            current.leave_out(packet.seq);
            return None;
        }
        // Who gets the small size of a scalable stream has as many gaps as are remembered: they are not counted for each packet.
        let is_behind_all = current.dropped.last().is_none_or(|last| *last < packet.seq);
        let closed =
            if is_behind_all { current.dropped.len() } else { current.dropped.range(..packet.seq).count() };
        let seq = packet.seq.checked_add_signed(current.seq_offset)?.checked_sub(closed as u64)?;
        let rewrite = Rewrite {
            seq,
            free,
            rtp: packet.rtp.wrapping_add(current.rtp_offset),
            vp8: (self.codec == Codec::Vp8).then(|| current.vp8(packet.payload)).flatten(),
            ends_picture: false,
        };
        current.highest_seq = current.highest_seq.max(packet.seq);
        if self.last.is_none_or(|last| seq > last.seq) {
            let kept = self.last.unwrap_or(Sent {
                seq,
                rtp: rewrite.rtp,
                arrived: packet.arrived,
                picture_id: 0,
                tl0_pic_idx: 0,
            });
            let numbers = rewrite.vp8;
            self.last = Some(Sent {
                seq,
                rtp: rewrite.rtp,
                arrived: packet.arrived,
                picture_id: numbers.and_then(|n| n.picture_id).unwrap_or(kept.picture_id),
                tl0_pic_idx: numbers.and_then(|n| n.tl0_pic_idx).unwrap_or(kept.tl0_pic_idx),
            });
        }
        Some(rewrite)
    }

    /// A packet of another stream than the one that brought the layer so far: a publisher began anew, with numbers of its own. It goes on from a keyframe, as
    /// another layer does. Nothing where it is left of the stream before.
    fn follow(&mut self, packet: &Incoming<'_>) -> Option<()> {
        let is_late = |(ssrc, since): (u32, Instant)| {
            ssrc == packet.ssrc && packet.arrived.saturating_duration_since(since) < LATE_FOR
        };
        if self.former.is_some_and(is_late) {
            return None;
        }
        if let Some(current) = &self.current
            && current.layer == packet.layer
            && current.ssrc != packet.ssrc
        {
            self.former = Some((current.ssrc, packet.arrived));
            self.current = None;
        }
        Some(())
    }

    /// Makes `packet` the next one after all that was sent and what it lacks.
    fn switch(&mut self, packet: &Incoming<'_>) {
        let (seq, rtp, picture_id, tl0) = match self.last {
            // The first packet gets number 1. SRTP receivers begin with rollover 0, so a packet before the first one, with a number that
            // wraps below 0, could not be decrypted.
            None => (1, packet.rtp, None, None),
            Some(last) => {
                let (seq, rtp) = self.next_after(last, packet.arrived);
                (seq, rtp, Some(last.picture_id), Some(last.tl0_pic_idx))
            }
        };
        let seq = seq + u64::from(packet.lacks);
        let incoming = vp8_numbers(packet.payload);
        let incoming_id = incoming.and_then(|n| n.picture_id);
        let incoming_tl0 = incoming.and_then(|n| n.tl0_pic_idx);
        self.current = Some(Current {
            layer: packet.layer,
            ssrc: packet.ssrc,
            first_seq: packet.seq,
            highest_seq: packet.seq,
            seq_offset: seq as i64 - packet.seq as i64,
            rtp_offset: rtp.wrapping_sub(packet.rtp),
            picture_id_offset: match (picture_id, incoming_id) {
                (Some(last), Some(id)) => last.wrapping_add(1).wrapping_sub(id),
                _ => 0,
            },
            tl0_offset: match (tl0, incoming_tl0) {
                (Some(last), Some(idx)) => last.wrapping_add(1).wrapping_sub(idx),
                _ => 0,
            },
            dropped: BTreeSet::new(),
        });
    }
}

impl Current {
    /// Closes the gap that the newest packet would be, for all that follows.
    fn leave_out(&mut self, seq: u64) {
        self.highest_seq = seq;
        self.dropped.insert(seq);
        if self.dropped.len() > DROPPED_MEMORY {
            // Forget the oldest gap: what lies before it is too late now, what lies after stays closed up.
            if let Some(oldest) = self.dropped.pop_first() {
                self.first_seq = oldest + 1;
                self.seq_offset -= 1;
            }
        }
    }

    fn vp8(&self, payload: &[u8]) -> Option<Vp8Numbers> {
        let numbers = vp8_numbers(payload)?;
        let mask = if long_picture_id(payload) { 0x7fff } else { 0x7f };
        Some(Vp8Numbers {
            picture_id: numbers.picture_id.map(|id| id.wrapping_add(self.picture_id_offset) & mask),
            tl0_pic_idx: numbers.tl0_pic_idx.map(|idx| idx.wrapping_add(self.tl0_offset)),
        })
    }
}

fn long_picture_id(payload: &[u8]) -> bool {
    payload.get(2).is_some_and(|byte| byte & 0x80 != 0)
}

/// The running numbers of a VP8 descriptor; `None` without extensions or when it is cut short.
fn vp8_numbers(payload: &[u8]) -> Option<Vp8Numbers> {
    if payload.first()? & 0x80 == 0 {
        return None;
    }
    let extensions = *payload.get(1)?;
    let mut at = 2;
    let mut picture_id = None;
    if extensions & 0x80 != 0 {
        let first = *payload.get(at)?;
        if first & 0x80 != 0 {
            picture_id = Some(u16::from_be_bytes([first & 0x7f, *payload.get(at + 1)?]));
            at += 2;
        } else {
            picture_id = Some(u16::from(first));
            at += 1;
        }
    }
    let tl0_pic_idx = if extensions & 0x40 != 0 { Some(*payload.get(at)?) } else { None };
    Some(Vp8Numbers { picture_id, tl0_pic_idx })
}

#[cfg(test)]
mod tests;
