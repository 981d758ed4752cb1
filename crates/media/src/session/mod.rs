//! One peer connection. Only this module and those below it name str0m.
//!
//! str0m wants each change to be drained of its outputs before the next change, or packets are lost without a word.
//! Every method here that changes anything therefore ends in [`Session::drain`]; what came out waits for
//! [`Session::take`]. Media alone is written without that: packets of a stream wait in str0m in their order, and to drain it once for many of
//! them costs a fraction. What ends or renews a stream drains before, by [`Session::flush`].

mod descriptor;
mod dtls;
mod negotiation;
mod path;
mod receiving;
mod reports;
mod sctp;
pub(crate) mod sdp;
mod sending;
mod sound;
mod srtp;
mod streams;
pub(crate) mod stun;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_limits::media::{FEEDBACK_BYTES_PER_S, NEW_SSRCS};
use reelroom_sfu::{DataKind, Layer, Measured};
use str0m::bwe::Bitrate;
use str0m::change::SdpPendingOffer;
use str0m::channel::ChannelId;
use str0m::format::Codec::Vp9;
use str0m::format::FormatParams;
use str0m::ice::TransId;
use str0m::media::{Frequency, Mid};
use str0m::net::{Protocol, TcpType};
use str0m::{Candidate, Input, Output, Rtc};

use crate::budget::Budget;
use crate::mux::routes::Address;
use crate::mux::{Datagram, LocalAddresses, Transport};
use crate::record::NtpTime;
use dtls::Gate;
use path::{Path, Paths};
use reports::Reports;
use sctp::Drain;
use sdp::bounds::{self, Candidates};
use sound::SentSound;
use srtp::Verifier;
use streams::{Kept, Pacing, Search};
use stun::{Credentials, Kind};

pub(crate) use negotiation::{Changes, NewMedia};
pub(crate) use receiving::Packet;
pub(crate) use sending::{Load, Written};

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
    /// The streams of those, as far as packets of them are kept to be sent again.
    kept: BTreeMap<Mid, Kept>,
    /// When it is looked at next how long pictures wait.
    next_look: Instant,
    pacing: Pacing,
    search: Search,
    sent_sound: SentSound,
    /// Media waits in str0m that was not drained.
    is_written: bool,
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
            kept: BTreeMap::new(),
            next_look: now,
            pacing: Pacing::None { first: None },
            search: Search::default(),
            sent_sound: SentSound::new(now),
            is_written: false,
        };
        session.drain();
        session
    }

    /// When [`Session::timeout`] is due.
    pub(crate) fn next_timeout(&self) -> Instant {
        let check = self.paths.next_timeout().filter(|_| !self.is_over);
        check.map_or(self.next_timeout, |check| check.min(self.next_timeout))
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.rtc.is_alive()
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
        self.hurry();
        if let Err(error) = self.rtc.handle_input(Input::Timeout(self.clock)) {
            tracing::debug!(%error, "a timer ended its session");
            self.rtc.disconnect();
        }
        self.drain_up_to(PACER_STEP);
    }

    /// Ends the connection without a word; the peer was told by signalling.
    pub(crate) fn close(&mut self) {
        self.flush();
        let _ = self.rtc.close();
        self.drain();
    }

    /// What has come out: datagrams to send, and events.
    pub(crate) fn take(&mut self) -> (Vec<Datagram>, Vec<SessionEvent>) {
        self.flush();
        (std::mem::take(&mut self.datagrams), std::mem::take(&mut self.events))
    }

    /// Drains what was written.
    fn flush(&mut self) {
        if self.is_written {
            self.drain();
        }
    }

    /// Polls str0m until it has nothing left. A packet that was just written goes, if it may; others that wait do not.
    fn drain(&mut self) {
        self.drain_up_to(Duration::ZERO);
    }

    /// The same, and whatever is due within `step` each time.
    fn drain_up_to(&mut self, step: Duration) {
        self.is_written = false;
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
                    let bytes = Vec::from(transmit.contents);
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

#[cfg(test)]
mod tests;
