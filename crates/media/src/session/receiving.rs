//! What comes from the peer: datagrams that are looked at before str0m is given them, and what str0m makes of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use reelroom_limits::media::{DATA_CHANNELS, MEDIA_BYTES, SSRCS_OF_SESSION};
use reelroom_sfu::{Codec, DataKind, Layer, Measured};
use str0m::format::PayloadParams;
use str0m::media::{KeyframeRequestKind, MediaKind, Mid, Rid};
use str0m::net::{DatagramRecv, Receive};
use str0m::rtp::{RtpPacket, VideoOrientation};
use str0m::{Event, IceConnectionState, Input};

use super::descriptor::DependencyDescriptor;
use super::path::Path;
use super::srtp::Verifier;
use super::stun;
use super::stun::Kind;
use super::{
    DATA_TRACK, LOSSY, PACER_STEP, RELIABLE, RELIABLE_LOW_BYTES, Session, SessionEvent, Way, protocol,
};
use crate::drops::Reason;
use crate::mux::Incoming;
use crate::record::NtpTime;

/// What a datagram was to a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Only the session's peer can have made it.
    pub(crate) is_proven: bool,
    /// A sender of media that is heard for the first time.
    pub(crate) new_ssrc: Option<u32>,
    /// Why it was not taken.
    pub(crate) dropped: Option<Reason>,
}

impl Heard {
    pub(super) fn dropped(reason: Reason) -> Self {
        Self { dropped: Some(reason), ..Self::default() }
    }
}

/// A received RTP packet.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) mid: String,
    pub(crate) layer: Layer,
    pub(crate) codec: Codec,
    pub(crate) audio_level_dbov: Option<u8>,
    pub(crate) rotation_degrees: Option<u16>,
    /// Redundant sound (RFC 2198); `codec` is that of its blocks.
    pub(crate) is_red: bool,
    pub(super) inner: RtpPacket,
}

impl Packet {
    pub(crate) fn seq(&self) -> u64 {
        *self.inner.seq_no
    }

    pub(crate) fn rtp(&self) -> u64 {
        self.inner.time.numer()
    }

    pub(crate) fn ssrc(&self) -> u32 {
        *self.inner.header.ssrc
    }

    pub(crate) fn marker(&self) -> bool {
        self.inner.header.marker
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.inner.payload
    }

    /// The same, for who sends it.
    pub(crate) fn shared_payload(&self) -> Arc<[u8]> {
        self.inner.payload.clone()
    }

    /// What tells the layers of a scalable stream apart.
    pub(crate) fn descriptor(&self) -> Option<&[u8]> {
        self.inner.header.ext_vals.user_values.get::<DependencyDescriptor>().map(DependencyDescriptor::bytes)
    }

    pub(crate) fn received(&self) -> Instant {
        self.inner.timestamp
    }
}

pub(super) fn codec(codec: str0m::format::Codec) -> Option<Codec> {
    match codec {
        str0m::format::Codec::Opus => Some(Codec::Opus),
        str0m::format::Codec::Vp8 => Some(Codec::Vp8),
        str0m::format::Codec::H264 => Some(Codec::H264),
        str0m::format::Codec::Vp9 => Some(Codec::Vp9),
        str0m::format::Codec::Av1 => Some(Codec::Av1),
        _ => None,
    }
}

/// Seconds between 1900 and 1970.
pub(super) const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

pub(super) fn ntp_time(time: SystemTime) -> NtpTime {
    let unix = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    NtpTime(((unix.as_secs() + NTP_UNIX_OFFSET_S) << 32) | fraction)
}

impl Session {
    /// Takes a datagram that came from an address of the peer, or is tried because the peer may have moved there.
    pub(crate) fn receive(&mut self, datagram: &Incoming) -> Heard {
        let Some(kind) = Kind::of(&datagram.bytes) else { return Heard::dropped(Reason::NoWebRtc) };
        let (now, bytes) = (datagram.received, &datagram.bytes[..]);
        let path =
            Path { transport: datagram.transport, local: datagram.destination, remote: datagram.source };
        let ssrc = stun::ssrc(bytes, kind);
        let is_new = kind == Kind::Rtp && ssrc.is_some_and(|ssrc| !self.knows(ssrc));
        let mut heard = Heard::default();
        // Media by another path than that of late, and of new senders, is believed when its peer is proven to have encrypted it.
        let is_elsewhere = !datagram.is_trial && !self.paths.heard(path, now);
        let is_doubtful = is_elsewhere || datagram.is_trial;
        match kind {
            Kind::Stun => return self.receive_stun(datagram, path),
            Kind::Rtp if bytes.len() > MEDIA_BYTES => return Heard::dropped(Reason::TooLong),
            Kind::Rtp if is_new => {
                if datagram.is_trial || !self.verify(Verifier::is_early_rtp, bytes) {
                    return Heard::dropped(Reason::Forged);
                }
                if !self.new_ssrcs.take(now) {
                    return Heard::dropped(Reason::TooManySenders);
                }
                heard = Heard { is_proven: true, new_ssrc: ssrc, dropped: None };
                self.ssrcs.extend(ssrc);
                if self.ssrcs.len() > SSRCS_OF_SESSION {
                    self.ssrcs.pop_front();
                }
            }
            Kind::Rtcp => {
                if !self.verify(Verifier::is_rtcp, bytes) {
                    return Heard::dropped(Reason::Forged);
                }
                if !self.feedback_bytes.take_many(bytes.len() as u32, now) {
                    return Heard::dropped(Reason::TooMuchFeedback);
                }
                heard.is_proven = true;
                self.forget_reports(bytes.len());
                self.send_lost_sound(bytes, now);
            }
            // There is nothing to tell by who encrypted it; the next request or feedback tells where the peer is.
            Kind::Dtls if datagram.is_trial => return heard,
            Kind::Rtp | Kind::Dtls => {}
        }
        let (encrypted, packets) = (self.gate.authentic.load(Relaxed), self.events.len());
        self.handle(datagram);
        if is_doubtful {
            let sent = |event: &SessionEvent| matches!(event, SessionEvent::Packet(packet) if Some(packet.ssrc()) == ssrc);
            heard.is_proven |=
                self.gate.authentic.load(Relaxed) > encrypted || self.events.iter().skip(packets).any(sent);
            if heard.is_proven {
                self.proven(path, now);
            }
        }
        heard
    }

    pub(super) fn receive_stun(&mut self, datagram: &Incoming, path: Path) -> Heard {
        let answered = self.peer.as_ref().and_then(|peer| stun::answers(&datagram.bytes, peer));
        if let Some(id) = answered
            && self.checks.contains(&id)
        {
            if self.paths.answered(path, datagram.received) {
                self.checks.clear();
                tracing::debug!(to = %path.remote, "a peer has moved");
                self.events.push(SessionEvent::FlowsOn((path.transport, path.remote)));
            }
            return Heard::default();
        }
        if stun::Request::parse(&datagram.bytes).is_some_and(|request| request.nominates()) {
            self.paths.nominates(path, datagram.received);
        }
        self.handle(datagram);
        Heard::default()
    }

    /// Only the peer can have sent what came by this path.
    pub(super) fn proven(&mut self, path: Path, now: Instant) {
        if let Some(path) = self.paths.proven(path, now) {
            self.events.push(SessionEvent::FlowsOn((path.transport, path.remote)));
        }
    }

    /// Whether media of a sender was heard before; those that are heard often stand behind, where it is looked first.
    pub(super) fn knows(&mut self, ssrc: u32) -> bool {
        let Some(place) = self.ssrcs.iter().rposition(|one| *one == ssrc) else { return false };
        let last = self.ssrcs.len() - 1;
        self.ssrcs.swap(place, last - (last - place) / 2);
        true
    }

    pub(super) fn verify(&mut self, check: impl FnOnce(&mut Verifier, &[u8]) -> bool, bytes: &[u8]) -> bool {
        if self.verifier.is_none() {
            self.verifier = self.gate.keys.get().and_then(Verifier::new);
        }
        self.verifier.as_mut().is_some_and(|verifier| check(verifier, bytes))
    }

    /// Sends again what a packet of feedback says that the peer lost.
    pub(super) fn send_lost_sound(&mut self, feedback: &[u8], now: Instant) {
        if !self.sent_sound.is_wanted() {
            return;
        }
        let said = self.verifier.as_mut().and_then(|verifier| verifier.verified_feedback(feedback));
        let Some(feedback) = said else { return };
        let (paths, datagrams) = (&self.paths, &mut self.datagrams);
        let by = |path| paths.send_again_by(path);
        self.sent_sound.asked(feedback, now, by, |datagram| datagrams.push(datagram));
    }

    pub(super) fn handle(&mut self, datagram: &Incoming) {
        self.clock = self.clock.max(datagram.received);
        let Ok(contents) = DatagramRecv::try_from(&datagram.bytes[..]) else { return };
        let receive = Receive {
            proto: protocol(datagram.transport),
            source: datagram.source,
            destination: datagram.destination,
            contents,
        };
        if let Err(error) = self.rtc.handle_input(Input::Receive(datagram.received, receive)) {
            tracing::debug!(%error, "a datagram ended its session");
            self.rtc.disconnect();
        }
        self.drain_up_to(PACER_STEP);
    }

    /// Asks the sender of a section for a keyframe.
    pub(crate) fn request_keyframe(&mut self, mid: &str, layer: Option<Layer>) {
        let rid = layer.map(|layer| Rid::from(layer.rid()));
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(Mid::from(mid), rid) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        self.drain();
    }

    pub(super) fn event(&mut self, event: Event) -> Option<SessionEvent> {
        match event {
            Event::Connected => Some(SessionEvent::Connected),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                Some(SessionEvent::Disconnected)
            }
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => {
                if self.older.take().is_some() {
                    self.tell_names();
                }
                Some(SessionEvent::Heard)
            }
            Event::RtpPacket(packet) => {
                self.packet(packet).map(|packet| SessionEvent::Packet(Box::new(packet)))
            }
            Event::EgressBitrateEstimate(kind) => self.estimate(kind),
            Event::KeyframeRequest(request) => Some(SessionEvent::KeyframeRequest(request.mid.to_string())),
            Event::SenderFeedback(feedback) => Some(SessionEvent::SenderReport {
                mid: feedback.mid.to_string(),
                ssrc: *feedback.sender_info.ssrc,
                ntp: ntp_time(feedback.sender_info.ntp_time),
                rtp: feedback.sender_info.rtp_time.numer() as u32,
            }),
            Event::MediaIngressStats(stats) => {
                let counted = (stats.packets, stats.loss, stats.rtt);
                Some(self.measured(stats.mid, stats.rid, Way::In, counted, stats.jitter))
            }
            Event::MediaEgressStats(stats) => {
                let counted = (stats.packets, stats.loss, stats.rtt);
                let jitter = stats.remote.map_or(0, |remote| remote.jitter);
                Some(self.measured(stats.mid, stats.rid, Way::Out, counted, jitter))
            }
            Event::ChannelOpen(id, label) => {
                self.channels += 1;
                if self.channels > DATA_CHANNELS {
                    tracing::info!("a connection has too many data channels and is closed");
                    self.rtc.disconnect();
                    return None;
                }
                match label.as_str() {
                    RELIABLE => self.reliable = Some(id),
                    LOSSY => self.lossy = Some(id),
                    DATA_TRACK => self.tracks = Some(id),
                    _ => self.others.push(id),
                }
                let mut channel = self.rtc.channel(id).filter(|_| label == RELIABLE)?;
                channel.set_buffered_amount_low_threshold(RELIABLE_LOW_BYTES);
                Some(SessionEvent::DataWanted)
            }
            Event::ChannelClose(id) => {
                self.channels = self.channels.saturating_sub(1);
                self.others.retain(|other| *other != id);
                None
            }
            Event::ChannelBufferedAmountLow(id) => {
                (Some(id) == self.reliable).then_some(SessionEvent::DataWanted)
            }
            Event::ChannelData(data) => {
                let kind = match Some(data.id) {
                    id if id == self.reliable => DataKind::Reliable,
                    id if id == self.lossy => DataKind::Lossy,
                    id if id == self.tracks => DataKind::Track,
                    _ if self.others.contains(&data.id) => DataKind::Other,
                    _ => return None,
                };
                // What stands in a channel of the client's own is the client's business.
                (data.binary || kind == DataKind::Other)
                    .then_some(SessionEvent::Data { kind, bytes: data.data })
            }
            _ => None,
        }
    }

    /// What was counted of a stream: packets, the part that was lost, and the way there and back. The jitter is in ticks of its clock.
    pub(super) fn measured(
        &self,
        mid: Mid,
        rid: Option<Rid>,
        way: Way,
        (packets, loss, round_trip): (u64, Option<f32>, Option<Duration>),
        jitter: u32,
    ) -> SessionEvent {
        let is_sound = self.rtc.media(mid).is_some_and(|media| media.kind() == MediaKind::Audio);
        let clock = if is_sound { Codec::Opus } else { Codec::Vp8 }.clock_rate_hz();
        let jitter = Duration::from_secs_f64(f64::from(jitter) / f64::from(clock));
        let measured = Measured { packets, loss, round_trip, jitter };
        SessionEvent::Measured { mid: mid.to_string(), way, layer: Layer::from_rid(rid.as_deref()), measured }
    }

    pub(super) fn packet(&mut self, inner: RtpPacket) -> Option<Packet> {
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_rx(&inner.header.ssrc)?;
        let (mid, rid) = (stream.mid(), stream.rid());
        let payload_type = inner.header.payload_type;
        let is_it =
            |params: &&PayloadParams| params.pt() == payload_type || params.red() == Some(payload_type);
        let params = self.rtc.codec_config().params().iter().find(is_it)?;
        let is_red = params.red() == Some(payload_type);
        let codec = codec(params.spec().codec)?;
        // Sound has no stream of its own for what is sent again, without which str0m asks for nothing: it comes again in its own one.
        if codec == Codec::Opus
            && let Some(stream) = self.rtc.direct_api().stream_rx(&inner.header.ssrc)
        {
            stream.suppress_nack(false);
        }
        let ext = &inner.header.ext_vals;
        Some(Packet {
            mid: mid.to_string(),
            layer: Layer::from_rid(rid.as_deref()),
            codec,
            is_red,
            audio_level_dbov: ext.audio_level.map(i8::unsigned_abs),
            rotation_degrees: ext.video_orientation.map(|orientation| match orientation {
                VideoOrientation::Deg0 => 0,
                VideoOrientation::Deg90 => 90,
                VideoOrientation::Deg180 => 180,
                VideoOrientation::Deg270 => 270,
            }),
            inner,
        })
    }
}
