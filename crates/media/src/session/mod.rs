//! One peer connection. Only this module and those below it name str0m.
//!
//! str0m wants each change to be drained of its outputs before the next change, or packets are lost without a word.
//! Every method here that changes anything therefore ends in [`Session::drain`]; what came out waits for
//! [`Session::take`].

mod descriptor;
mod dtls;
mod path;
mod reports;
mod sctp;
pub(crate) mod sdp;
mod sound;
mod srtp;
mod streams;
pub(crate) mod stun;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use reelroom_limits::media::{DATA_CHANNELS, FEEDBACK_BYTES_PER_S, NEW_SSRCS, SSRCS_OF_SESSION};

use reelroom_limits::signalling::{SDP_BYTES, SDP_SECTIONS, SIGNAL_ANSWER_BYTES};
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{Codec, DataKind, Layer, Measured};
use str0m::bwe::Bitrate;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{Channel, ChannelConfig, ChannelId, Reliability};
use str0m::error::{ProtoError, RtcError, SctpError};
use str0m::format::Codec::Vp9;
use str0m::format::{FormatParams, PayloadParams};
use str0m::ice::TransId;
use str0m::media::{Direction, Frequency, KeyframeRequestKind, MediaKind, Mid, Pt, Rid, Rids};
use str0m::net::{DatagramRecv, Protocol, Receive, TcpType};
use str0m::rtp::{RtpPacket, RtpWrite, VideoOrientation, Vp8Descriptor};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use crate::budget::Budget;
use crate::drops::Reason;
use crate::mux::routes::Address;
use crate::mux::{Datagram, Incoming, LocalAddresses, Transport};
use crate::record::NtpTime;
use descriptor::DependencyDescriptor;
use dtls::Gate;
use path::{Path, Paths};
use reports::Reports;
use sctp::Drain;
use sdp::bounds::{self, Candidates};
use sound::SentSound;
use srtp::Verifier;
use streams::Pacing;
use stun::{Credentials, Kind};

const RELIABLE: &str = "_reliable";
const LOSSY: &str = "_lossy";
/// In our own offers; in answers it is the client's.
const DEPENDENCY_DESCRIPTOR_ID: u8 = 12;
const DATA_TRACK: &str = "_data_track";
/// So much reliable data may wait in SCTP: what a network of 40 Mbit/s has under way in 100 ms.
const RELIABLE_BUFFER_BYTES: usize = 512 * 1024;
/// Where it has sunk to this, there is more.
const RELIABLE_LOW_BYTES: usize = 256 * 1024;
/// So much lossy data may wait besides, in each of its two channels: it overtakes what is reliable.
const LOSSY_BUFFER_BYTES: usize = 64 * 1024;
/// How long it takes until packets of one new sender more are looked at.
const NEW_SSRC_EVERY: Duration = Duration::from_secs(1);
/// How often it is said how media fares: once at least in the time over which connections are judged.
const MEASURED_EVERY: Duration = Duration::from_secs(4);
/// Questions to a peer that an answer is awaited of.
const CHECKS: usize = 16;
/// What is assumed of a line before its receiver has reported anything; probes begin with some times that.
const FIRST_ESTIMATE: Bitrate = Bitrate::kbps(1000);
/// So often str0m may say that it has something to do at once; ...
const TURNS: usize = 64;
/// ... what is left then is done so much later: by times between packets and reports on them a peer says how soon str0m wants to look again.
const TURNS_EVERY: Duration = Duration::from_millis(1);
/// By so much str0m's pacer puts off whatever it lets go right behind another packet. Timers do not wait for less than a millisecond: with one
/// packet each time no probe reaches the bitrate that it is to try.
const PACER_STEP: Duration = Duration::from_micros(1);

/// What a peer sent, or what became of it.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    /// ICE and DTLS stand.
    Connected,
    /// Nothing has been heard for a while.
    Disconnected,
    /// It is heard again.
    Heard,
    /// It is over.
    Closed,
    /// Media of a section.
    Packet(Box<Packet>),
    /// The receiver needs a keyframe on a section of ours.
    KeyframeRequest(String),
    /// The sender's clock.
    SenderReport { mid: String, ssrc: u32, ntp: NtpTime, rtp: u32 },
    /// Something that came by a data channel.
    Data { kind: DataKind, bytes: Vec<u8> },
    /// There is room for reliable data again.
    DataWanted,
    /// So much gets through to the peer; whether more is found out by itself.
    Estimate { bits_per_second: u64, can_probe: bool },
    /// Media is sent to another address from now on.
    FlowsOn(Address),
    /// How the media of a section fares, of each layer of it.
    Measured { mid: String, way: Way, layer: Layer, measured: Measured },
    /// The peer may name the session by these from now on, each a ufrag with the password that signs it.
    Names(Vec<(String, String)>),
    /// ICE begins anew; once the peer is found again, [`SessionEvent::Heard`] says so.
    Restarts,
}

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
    fn dropped(reason: Reason) -> Self {
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
    inner: RtpPacket,
}

/// What is sent of a packet.
pub(crate) struct Load {
    pub(crate) payload: Arc<[u8]>,
    pub(crate) marker: bool,
    pub(crate) is_red: bool,
    /// It is the packet's own payload, so that what the header says of that goes with it.
    pub(crate) is_own: bool,
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

/// Why a peer's message could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// It cannot be read or does not fit.
    #[error("{0}")]
    Unusable(String),
    /// It asks for more than anybody may.
    #[error(transparent)]
    TooMuch(#[from] bounds::Excess),
}

impl SessionError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// A session that is over has no timers.
const NEVER: std::time::Duration = std::time::Duration::from_secs(365 * 86_400);

/// A peer connection.
pub(crate) struct Session {
    rtc: Rtc,
    /// What the peer is told instead of where its datagrams arrive: behind NAT that is something else.
    told: Vec<SocketAddr>,
    /// Where the peer may dial besides, over TCP alone.
    told_tcp: Vec<SocketAddr>,
    candidates: Candidates,
    /// Sections of our own offers: str0m adds one for each track and takes none away.
    sections: usize,
    pending: Option<SdpPendingOffer>,
    reliable: Option<ChannelId>,
    lossy: Option<ChannelId>,
    channels: usize,
    gate: Arc<Gate>,
    verifier: Option<Verifier>,
    /// Senders of media, the one that was heard last behind.
    ssrcs: VecDeque<u32>,
    new_ssrcs: Budget,
    feedback_bytes: Budget,
    reports: Reports,
    /// How the peer names this session now.
    own: Credentials,
    /// The same before ICE was restarted: until the new name is used.
    older: Option<Credentials>,
    /// The same once a restart that is offered is answered.
    coming: Option<Credentials>,
    peer: Option<Credentials>,
    tie_breaker: u64,
    paths: Paths,
    /// What the peer was asked, last one behind.
    checks: VecDeque<TransId>,
    next_timeout: Instant,
    datagrams: Vec<Datagram>,
    events: Vec<SessionEvent>,
    is_over: bool,
    /// The channel of data tracks.
    tracks: Option<ChannelId>,
    /// Channels with labels that are none of LiveKit's.
    others: Vec<ChannelId>,
    lossy_drain: Drain,
    tracks_drain: Drain,
    /// The latest time that it was told.
    clock: Instant,
    /// str0m estimates and paces, and has something to do at once for each packet that may go.
    is_paced: bool,
    /// Sections of ours with pictures.
    pictures: Vec<Mid>,
    pacing: Pacing,
    /// What str0m was told to find room for.
    desired: Bitrate,
    sent_sound: SentSound,
}

/// What became of data that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// The channel is not open or full, or lossy data would come too late.
    NotNow,
    /// The peer takes nothing of this length, now or later.
    TooLong,
}

fn write(channel: &mut Channel<'_>, bytes: &[u8]) -> Written {
    match channel.write(true, bytes) {
        Ok(true) => Written::Yes,
        Err(RtcError::Sctp(SctpError::Proto(ProtoError::ErrOutboundPacketTooLarge))) => Written::TooLong,
        Ok(false) | Err(_) => Written::NotNow,
    }
}

/// Installs the cryptography that sessions use. Safe to call again.
pub(crate) fn install_crypto() {
    dtls::install();
}

/// Which way a connection's media go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// They come from the peer.
    In,
    /// They go to the peer.
    Out,
    /// They go both ways, by what the peer offers.
    Both,
}

/// What H.264 can be: payload type, profile with its constraints and level, and whether units are aggregated and fragmented
/// (packetization mode 1). Publishers encode with the first one that they can: constrained baseline, which every browser decodes.
/// Phones and hardware encoders may have no other profile than theirs, and browsers decode it all the same, although they offer
/// to decode less.
const H264: [(u8, u32, bool); 10] = [
    (108, 0x0042_e01f, true),
    (100, 0x0042_e01f, false),
    (102, 0x0042_001f, true),
    (104, 0x0042_001f, false),
    (106, 0x004d_0032, true),
    (112, 0x004d_0032, false),
    (114, 0x0064_0032, true),
    (116, 0x0064_0032, false),
    (118, 0x0064_0c32, true),
    (120, 0x0064_0c32, false),
];

impl Session {
    /// A connection that media can come or go by, at `addresses`.
    pub(crate) fn new(addresses: &LocalAddresses, way: Way, now: Instant) -> Self {
        let mut config = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(true)
            .set_ice_lite(true)
            .set_rtp_mode(true)
            .set_send_buffer_video(1500)
            .set_stats_interval(Some(MEASURED_EVERY))
            .set_sctp_max_buffered_amount(RELIABLE_BUFFER_BYTES + 2 * LOSSY_BUFFER_BYTES);
        for sound in config.codec_config().iter_mut().filter(|params| params.spec().codec.is_audio()) {
            sound.set_fb_nack(true);
        }
        if way != Way::In {
            config = config.enable_bwe(Some(FIRST_ESTIMATE));
        }
        // Subscribers are offered the first one alone: what is sent to them as that is what publishers chose.
        let kinds = if way == Way::Out { 1 } else { H264.len() };
        for (payload_type, profile, is_fragmented) in &H264[..kinds] {
            let (payload_type, rtx) = ((*payload_type).into(), (payload_type + 1).into());
            config.codec_config().add_h264(payload_type, Some(rtx), *is_fragmented, *profile);
        }
        // Profile 0 alone: whoever sends another one is shown by nobody who has no decoder for it.
        let vp9 = FormatParams { profile_id: Some(0), ..FormatParams::default() };
        let (vp9_pt, vp9_rtx) = (98.into(), Some(99.into()));
        config.codec_config().add_config(vp9_pt, vp9_rtx, Vp9, Frequency::NINETY_KHZ, None, vp9);
        config.codec_config().enable_av1(true);
        config.extension_map().set(DEPENDENCY_DESCRIPTOR_ID, descriptor::extension());
        let (mut rtc, gate) = Gate::around(|| config.build(now));
        let own = own_credentials(&mut rtc);
        receive_at(&mut rtc, addresses);
        let mut session = Self {
            rtc,
            told: addresses.told.clone(),
            told_tcp: addresses.told_tcp.clone(),
            candidates: Candidates::default(),
            sections: 0,
            pending: None,
            reliable: None,
            lossy: None,
            channels: 0,
            gate,
            verifier: None,
            ssrcs: VecDeque::new(),
            new_ssrcs: Budget::new(NEW_SSRCS, NEW_SSRC_EVERY, now),
            feedback_bytes: Budget::per_second(FEEDBACK_BYTES_PER_S, now),
            reports: Reports::default(),
            own,
            older: None,
            coming: None,
            peer: None,
            tie_breaker: rand::random(),
            paths: Paths::default(),
            checks: VecDeque::new(),
            next_timeout: now,
            datagrams: Vec::new(),
            events: Vec::new(),
            is_over: false,
            tracks: None,
            others: Vec::new(),
            lossy_drain: Drain::default(),
            tracks_drain: Drain::default(),
            clock: now,
            is_paced: way != Way::In,
            pictures: Vec::new(),
            pacing: Pacing::None { first: None },
            desired: Bitrate::ZERO,
            sent_sound: SentSound::new(now),
        };
        session.drain();
        session
    }

    /// Names this connection in incoming STUN requests, and signs them.
    pub(crate) fn credentials(&mut self) -> (String, String) {
        (self.own.ufrag.clone(), self.own.password.clone())
    }

    /// Tells all names by which the peer may ask for this session.
    fn tell_names(&mut self) {
        let names = [Some(&self.own), self.older.as_ref(), self.coming.as_ref()];
        let names = names.into_iter().flatten().map(|one| (one.ufrag.clone(), one.password.clone()));
        self.events.push(SessionEvent::Names(names.collect()));
    }

    /// A description was taken up: where it restarted ICE the peer names this session by another name.
    fn look_at_names(&mut self) {
        let now = own_credentials(&mut self.rtc);
        if now == self.own {
            return;
        }
        self.older = Some(std::mem::replace(&mut self.own, now));
        self.coming = None;
        // Those of before belong to what was restarted, and str0m has forgotten them too.
        self.candidates = Candidates::default();
        self.tell_names();
        // While nobody has come by the new name, str0m counts the peer neither as found nor as lost.
        self.events.push(SessionEvent::Restarts);
    }

    /// When [`Session::timeout`] is due.
    pub(crate) fn next_timeout(&self) -> Instant {
        let check = self.paths.next_timeout().filter(|_| !self.is_over);
        check.map_or(self.next_timeout, |check| check.min(self.next_timeout))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// The answer to a peer's offer.
    pub(crate) fn accept_offer(&mut self, sdp: &str) -> Result<String, SessionError> {
        bounds::check(sdp, SDP_BYTES, SDP_SECTIONS)?;
        self.accept_bounded_offer(sdp)
    }

    /// The same, of an offer that is known to ask for no more than anybody may.
    pub(crate) fn accept_bounded_offer(&mut self, sdp: &str) -> Result<String, SessionError> {
        let offer = SdpOffer::from_sdp_string(&self.candidates.of_sdp(sdp)).map_err(SessionError::new)?;
        self.peer = Credentials::of(sdp);
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(SessionError::new);
        self.drain();
        self.look_at_names();
        let answer = answer?;
        // By some of them the peer may offer to be sent something as well.
        let offered = sdp::sections(sdp);
        self.reports.sections(offered.iter().map(|section| Mid::from(section.mid.as_str())).collect());
        if self.is_paced {
            self.sends_by(sdp);
        }
        Ok(sdp::with_candidates(&answer.to_sdp_string(), &self.told, &self.told_tcp))
    }

    /// This machine's addresses may be others than when the session began: the peer is told them with the next description.
    pub(crate) fn moves_to(&mut self, addresses: &LocalAddresses) {
        self.told.clone_from(&addresses.told);
        self.told_tcp.clone_from(&addresses.told_tcp);
        receive_at(&mut self.rtc, addresses);
        self.drain();
    }

    /// Whether a section is there, and not given up by the peer.
    pub(crate) fn has_section(&self, mid: &str) -> bool {
        self.rtc.media(Mid::from(mid)).is_some_and(|media| !media.disabled())
    }

    /// Whether the peer has sent layers by a section of its own: whatever becomes of that, str0m sends nothing by it.
    pub(crate) fn has_had_layers(&self, mid: &str) -> bool {
        self.rtc.media(Mid::from(mid)).is_some_and(|media| matches!(media.rids_rx(), Rids::Specific(_)))
    }

    /// An offer with the wanted changes, unless one is waiting for its answer or nothing is to change. The mids of
    /// added sections are in the order of `add`.
    pub(crate) fn offer(&mut self, changes: &Changes) -> Option<(String, Vec<String>)> {
        if self.pending.is_some() {
            return None;
        }
        for mid in &changes.again {
            self.renew_stream(mid);
        }
        let mut api = self.rtc.sdp_api();
        if changes.channels {
            let lossy = Reliability::MaxRetransmits { retransmits: 0 };
            let channel = |label: &str, reliability| ChannelConfig {
                label: label.to_owned(),
                ordered: reliability == Reliability::Reliable,
                reliability,
                ..Default::default()
            };
            self.reliable = Some(api.add_channel_with_config(channel(RELIABLE, Reliability::Reliable)));
            self.lossy = Some(api.add_channel_with_config(channel(LOSSY, lossy)));
            self.tracks = Some(api.add_channel_with_config(channel(DATA_TRACK, lossy)));
        }
        for mid in &changes.stop {
            api.set_direction(Mid::from(mid.as_str()), Direction::Inactive);
        }
        for mid in &changes.again {
            api.set_direction(Mid::from(mid.as_str()), Direction::SendOnly);
        }
        let restarted = changes.restart.then(|| api.ice_restart(true));
        let mut mids = Vec::new();
        for media in &changes.add {
            let kind = if media.codec == Codec::Opus { MediaKind::Audio } else { MediaKind::Video };
            let mid = api.add_media(
                kind,
                Direction::SendOnly,
                Some(media.stream_id.clone()),
                Some(media.track_id.clone()),
                None,
            );
            mids.push(mid.to_string());
            self.reports.section(mid);
        }
        let applied = api.apply();
        for (mid, _) in mids.iter().zip(&changes.add).filter(|(_, media)| media.codec != Codec::Opus) {
            self.pictures.push(Mid::from(mid.as_str()));
        }
        self.pace();
        self.drain();
        let (offer, pending) = applied?;
        self.pending = Some(pending);
        self.sections += mids.len();
        if let Some(coming) = restarted {
            self.coming = Some(Credentials { ufrag: coming.ufrag, password: coming.pass });
            self.tell_names();
        }
        let offer = sdp::without_estimates_of_sound(&offer.to_sdp_string());
        Some((sdp::with_candidates(&offer, &self.told, &self.told_tcp), mids))
    }

    /// Whether the peer is to be told that candidates of it are left out: once.
    pub(crate) fn has_to_tell_of_candidates(&mut self) -> bool {
        self.candidates.has_to_tell()
    }

    /// How many sections our own offers have had, those that the peer gave up included: they stay.
    pub(crate) fn offered_sections(&self) -> usize {
        self.sections
    }

    pub(crate) fn awaits_answer(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn accept_answer(&mut self, sdp: &str) -> Result<(), SessionError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        // The data channels have a section of their own.
        bounds::check(sdp, SIGNAL_ANSWER_BYTES, self.sections + 1)?;
        let sdp = &self.candidates.of_sdp(sdp);
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(SessionError::new)?;
        self.peer = Credentials::of(sdp);
        let accepted = self.rtc.sdp_api().accept_answer(pending, answer).map_err(SessionError::new);
        self.asks_for_lost(sdp);
        // Streams are there by now, if they were not before.
        self.pace();
        self.drain();
        self.look_at_names();
        accepted
    }

    /// A candidate of the peer; what cannot be used (names of mDNS) is left out, for the peer's own checks find us.
    pub(crate) fn add_remote_candidate(&mut self, candidate: &str) {
        if !self.candidates.take(candidate) {
            return;
        }
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.rtc.add_remote_candidate(candidate);
            self.drain();
        }
    }

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

    fn receive_stun(&mut self, datagram: &Incoming, path: Path) -> Heard {
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
    fn proven(&mut self, path: Path, now: Instant) {
        if let Some(path) = self.paths.proven(path, now) {
            self.events.push(SessionEvent::FlowsOn((path.transport, path.remote)));
        }
    }

    /// Whether media of a sender was heard before; those that are heard often stand behind, where it is looked first.
    fn knows(&mut self, ssrc: u32) -> bool {
        let Some(place) = self.ssrcs.iter().rposition(|one| *one == ssrc) else { return false };
        let last = self.ssrcs.len() - 1;
        self.ssrcs.swap(place, last - (last - place) / 2);
        true
    }

    fn verify(&mut self, check: impl FnOnce(&mut Verifier, &[u8]) -> bool, bytes: &[u8]) -> bool {
        if self.verifier.is_none() {
            self.verifier = self.gate.keys.get().and_then(Verifier::new);
        }
        self.verifier.as_mut().is_some_and(|verifier| check(verifier, bytes))
    }

    /// Sends again what a packet of feedback says that the peer lost.
    fn send_lost_sound(&mut self, feedback: &[u8], now: Instant) {
        if !self.sent_sound.is_wanted() {
            return;
        }
        let said = self.verifier.as_mut().and_then(|verifier| verifier.verified_feedback(feedback));
        let Some(feedback) = said else { return };
        let (paths, datagrams) = (&self.paths, &mut self.datagrams);
        let by = |path| paths.send_again_by(path);
        self.sent_sound.asked(feedback, now, by, |datagram| datagrams.push(datagram));
    }

    fn handle(&mut self, datagram: &Incoming) {
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

    pub(crate) fn timeout(&mut self, now: Instant) {
        if let Some(path) = self.paths.timeout(now)
            && let Some((id, bytes)) =
                self.peer.as_ref().and_then(|peer| stun::check(peer, &self.own.ufrag, self.tie_breaker))
        {
            self.checks.push_back(id);
            if self.checks.len() > CHECKS {
                self.checks.pop_front();
            }
            self.datagrams.push(Datagram {
                transport: path.transport,
                source: path.local,
                destination: path.remote,
                bytes,
            });
        }
        self.clock = self.clock.max(now);
        if self.next_timeout > now {
            return;
        }
        if let Err(error) = self.rtc.handle_input(Input::Timeout(self.clock)) {
            tracing::debug!(%error, "a timer ended its session");
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

    /// The payload types that the peer takes on a section of ours.
    pub(crate) fn payload_types(&self, mid: &str) -> Vec<(Codec, u8)> {
        let Some(media) = self.rtc.media(Mid::from(mid)) else { return Vec::new() };
        let params = self.rtc.codec_config().params().iter();
        params
            .filter(|params| media.remote_pts().contains(&params.pt()))
            .filter_map(|params| Some((codec(params.spec().codec)?, *params.pt())))
            .collect()
    }

    /// The payload type by which the peer takes redundant sound.
    pub(crate) fn red_payload_type(&self, mid: &str) -> Option<u8> {
        let media = self.rtc.media(Mid::from(mid))?;
        let mut params = self.rtc.codec_config().params().iter();
        params
            .find(|params| media.remote_pts().contains(&params.pt()) && params.red().is_some())?
            .red()
            .map(|pt| *pt)
    }

    /// Sends something of a packet of another session under new numbers.
    pub(crate) fn send(
        &mut self,
        mid: &str,
        payload_type: u8,
        packet: &Packet,
        rewrite: Rewrite,
        load: Load,
        now: Instant,
    ) {
        self.clock = self.clock.max(now);
        let mid = Mid::from(mid);
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        self.reports.sent(mid);
        let mut ext_vals = str0m::rtp::ExtensionValues::default();
        if load.is_own {
            ext_vals.audio_level = packet.inner.header.ext_vals.audio_level;
            ext_vals.voice_activity = packet.inner.header.ext_vals.voice_activity;
        }
        ext_vals.video_orientation = packet.inner.header.ext_vals.video_orientation;
        // Simulcast layers count their frames each for itself, so theirs cannot be passed on.
        if packet.codec.is_scalable()
            && let Some(value) = packet.inner.header.ext_vals.user_values.get_arc::<DependencyDescriptor>()
        {
            ext_vals.user_values.set_arc(value);
        }
        let mut write = RtpWrite::new(
            Pt::from(payload_type),
            rewrite.seq.into(),
            rewrite.rtp,
            packet.inner.timestamp,
            load.payload,
        )
        .marker(load.marker)
        .ext_vals(ext_vals)
        .nackable(packet.codec != Codec::Opus);
        if let Some(numbers) = rewrite.vp8
            && let Ok(descriptor) = Vp8Descriptor::parse(&packet.inner.payload)
        {
            let mut patch = descriptor.patch();
            if let Some(picture_id) = numbers.picture_id {
                patch = patch.picture_id(picture_id);
            }
            if let Some(tl0_pic_idx) = numbers.tl0_pic_idx {
                patch = patch.tl0_pic_idx(tl0_pic_idx);
            }
            if let Ok(patch) = patch.build() {
                write = write.vp8_patch(patch);
            }
        }
        stream.write_rtp(write);
        self.drain();
    }

    /// Sends a packet without content.
    pub(crate) fn send_empty(&mut self, mid: &str, payload_type: u8, rewrite: Rewrite, now: Instant) {
        self.clock = self.clock.max(now);
        let mid = Mid::from(mid);
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid, None) else { return };
        self.reports.sent(mid);
        let nothing: &[u8] = &[];
        stream.write_rtp(RtpWrite::new(
            Pt::from(payload_type),
            rewrite.seq.into(),
            rewrite.rtp,
            now,
            nothing,
        ));
        self.drain();
    }

    /// Sends a data packet.
    pub(crate) fn send_data(&mut self, kind: DataKind, bytes: &[u8], now: Instant) -> Written {
        let (id, room, drain) = match kind {
            DataKind::Reliable | DataKind::Other => (self.reliable, RELIABLE_BUFFER_BYTES, None),
            DataKind::Lossy => (self.lossy, LOSSY_BUFFER_BYTES, Some(&mut self.lossy_drain)),
            DataKind::Track => (self.tracks, LOSSY_BUFFER_BYTES, Some(&mut self.tracks_drain)),
        };
        let Some(mut channel) = id.and_then(|id| self.rtc.channel(id)) else {
            return Written::NotNow;
        };
        if bytes.len() > room {
            return Written::TooLong;
        }
        let buffered = channel.buffered_amount();
        let has_room = buffered + bytes.len() <= room;
        let written = match drain {
            None if has_room => write(&mut channel, bytes),
            None => Written::NotNow,
            Some(drain) => {
                let is_late = drain.is_late(buffered, now);
                let written = if has_room && !is_late { write(&mut channel, bytes) } else { Written::NotNow };
                if written == Written::Yes {
                    drain.wrote(bytes.len());
                }
                written
            }
        };
        if written == Written::Yes {
            self.drain();
        }
        written
    }

    /// How much data the peer may have under way.
    pub(crate) fn set_data_window(&self, bytes: usize) {
        self.gate.window.store(u32::try_from(bytes).unwrap_or(u32::MAX), Relaxed);
    }

    /// Ends the connection without a word; the peer was told by signalling.
    pub(crate) fn close(&mut self) {
        let _ = self.rtc.close();
        self.drain();
    }

    /// What has come out: datagrams to send, and events.
    pub(crate) fn take(&mut self) -> (Vec<Datagram>, Vec<SessionEvent>) {
        (std::mem::take(&mut self.datagrams), std::mem::take(&mut self.events))
    }

    /// Polls str0m until it has nothing left. A packet that was just written goes, if it may; others that wait do not.
    fn drain(&mut self) {
        self.drain_up_to(Duration::ZERO);
    }

    /// The same, and whatever is due within `step` each time.
    fn drain_up_to(&mut self, step: Duration) {
        let mut turns = 0;
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.next_timeout = at;
                    turns += 1;
                    if !self.is_paced || at > self.clock + step {
                        return;
                    }
                    if turns > TURNS {
                        self.next_timeout = self.clock + TURNS_EVERY;
                        return;
                    }
                    self.clock = self.clock.max(at);
                    if let Err(error) = self.rtc.handle_input(Input::Timeout(self.clock)) {
                        tracing::debug!(%error, "a timer ended its session");
                        self.rtc.disconnect();
                    }
                }
                Ok(Output::Transmit(transmit)) => {
                    let transport =
                        if transmit.proto == Protocol::Udp { Transport::Udp } else { Transport::Tcp };
                    let bytes = transmit.contents.to_vec();
                    let mut path = Path { transport, local: transmit.source, remote: transmit.destination };
                    if Kind::of(&bytes) != Some(Kind::Stun) {
                        path = self.paths.send_by(path);
                    }
                    self.sent_sound.sent(path, &bytes, self.clock);
                    self.reports.wrote(&bytes);
                    let Path { transport, local: source, remote: destination } = path;
                    self.datagrams.push(Datagram { transport, source, destination, bytes });
                }
                Ok(Output::Event(event)) => {
                    let event = self.event(event);
                    self.events.extend(event);
                }
                Err(error) => {
                    tracing::debug!(%error, "a session failed");
                    self.rtc.disconnect();
                }
            }
        }
        if !std::mem::replace(&mut self.is_over, true) {
            self.next_timeout += NEVER;
            self.events.push(SessionEvent::Closed);
        }
    }

    fn event(&mut self, event: Event) -> Option<SessionEvent> {
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
    fn measured(
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

    fn packet(&mut self, inner: RtpPacket) -> Option<Packet> {
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

/// What the next offer changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Open the data channels.
    pub(crate) channels: bool,
    /// Sections to stop.
    pub(crate) stop: Vec<String>,
    /// Sections that were stopped, and carry another track now.
    pub(crate) again: Vec<String>,
    /// Sections to add.
    pub(crate) add: Vec<NewMedia>,
    /// Find out anew how the peer is reached.
    pub(crate) restart: bool,
}

/// A section to add.
#[derive(Debug)]
pub(crate) struct NewMedia {
    pub(crate) codec: Codec,
    /// `PA_…|TR_…`: how clients know whose track it is.
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
}

/// Has a session take what arrives at these addresses; it may know some of them.
fn receive_at(rtc: &mut Rtc, addresses: &LocalAddresses) {
    for address in &addresses.bound {
        if let Ok(candidate) = Candidate::host(*address, "udp") {
            rtc.add_local_candidate(candidate);
        }
        if let Ok(candidate) = Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build() {
            rtc.add_local_candidate(candidate);
        }
    }
}

fn own_credentials(rtc: &mut Rtc) -> Credentials {
    let own = rtc.direct_api().local_ice_credentials();
    Credentials { ufrag: own.ufrag, password: own.pass }
}

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::Udp,
        Transport::Tcp => Protocol::Tcp,
    }
}

fn codec(codec: str0m::format::Codec) -> Option<Codec> {
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
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

fn ntp_time(time: SystemTime) -> NtpTime {
    let unix = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    NtpTime(((unix.as_secs() + NTP_UNIX_OFFSET_S) << 32) | fraction)
}

#[cfg(test)]
mod tests;
