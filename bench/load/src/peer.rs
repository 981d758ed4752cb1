//! One peer connection over a socket of its own. Together with the media server's sessions the only place that names str0m.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tokio::net::UdpSocket;

/// What happened on a connection.
pub(crate) enum PeerEvent {
    /// Media can flow.
    Connected,
    /// The receiver wants a keyframe.
    KeyframeRequest,
    /// An RTP packet came.
    Packet { ssrc: u32, sequence: u64, payload: Vec<u8> },
    /// It is over.
    Closed,
}

/// The way media goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Publish,
    Subscribe,
}

/// A connection to the server.
pub(crate) struct Peer {
    rtc: Rtc,
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    due: Instant,
    events: Vec<PeerEvent>,
}

/// Where media of a kind is written to.
#[derive(Clone, Copy)]
pub(crate) struct Section {
    mid: Mid,
    kind: MediaKind,
}

pub(crate) fn install_crypto() {
    str0m::crypto::from_feature_flags().install_process_default();
}

impl Peer {
    pub(crate) async fn new(way: Way) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let now = Instant::now();
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_h264(true)
            // Who only counts packets need not put pictures together again.
            .set_rtp_mode(way == Way::Subscribe)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp")?);
        Ok(Self { rtc, socket: Arc::new(socket), address, due: now, events: Vec::new() })
    }

    pub(crate) fn socket(&self) -> Arc<UdpSocket> {
        Arc::clone(&self.socket)
    }

    /// When [`Peer::run`] is to be called at the latest.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// An offer to send picture and sound of these ids; `answered` is to be called with what comes back.
    pub(crate) fn offer(
        &mut self,
        video_id: &str,
        audio_id: &str,
    ) -> anyhow::Result<(String, str0m::change::SdpPendingOffer, [Section; 2])> {
        let mut api = self.rtc.sdp_api();
        let mut section = |kind, id: &str| Section {
            mid: api.add_media(kind, Direction::SendOnly, Some("load".into()), Some(id.into()), None),
            kind,
        };
        let sections = [section(MediaKind::Video, video_id), section(MediaKind::Audio, audio_id)];
        let (offer, pending) = api.apply().context("there is nothing to offer")?;
        self.drain();
        Ok((offer.to_sdp_string(), pending, sections))
    }

    pub(crate) fn answered(
        &mut self,
        pending: str0m::change::SdpPendingOffer,
        sdp: &str,
    ) -> anyhow::Result<()> {
        self.rtc.sdp_api().accept_answer(pending, SdpAnswer::from_sdp_string(sdp)?)?;
        self.drain();
        Ok(())
    }

    pub(crate) fn answer(&mut self, sdp: &str) -> anyhow::Result<String> {
        let answer = self.rtc.sdp_api().accept_offer(SdpOffer::from_sdp_string(sdp)?)?;
        self.drain();
        Ok(answer.to_sdp_string())
    }

    pub(crate) fn add_candidate(&mut self, candidate: &str) {
        if let Ok(candidate) = Candidate::from_sdp_string(candidate) {
            self.rtc.add_remote_candidate(candidate);
            self.drain();
        }
    }

    /// Sends a picture or a packet of sound; `ticks` of its kind's clock since the beginning. Sender reports say that it was taken at
    /// `taken`.
    pub(crate) fn write(
        &mut self,
        section: Section,
        taken: Instant,
        ticks: u64,
        data: Arc<[u8]>,
    ) -> anyhow::Result<()> {
        let (codec, clock) = match section.kind {
            MediaKind::Video => (Codec::Vp8, Frequency::NINETY_KHZ),
            MediaKind::Audio => (Codec::Opus, Frequency::FORTY_EIGHT_KHZ),
        };
        let Some(writer) = self.rtc.writer(section.mid) else { return Ok(()) };
        let payload_type: Option<Pt> =
            writer.payload_params().find(|params| params.spec().codec == codec).map(|params| params.pt());
        let payload_type = payload_type.context("the server takes no VP8 or no Opus")?;
        writer.write(payload_type, taken, MediaTime::new(ticks, clock), data)?;
        self.drain();
        Ok(())
    }

    pub(crate) fn receive(&mut self, source: SocketAddr, bytes: &[u8]) {
        let Ok(contents) = bytes.try_into() else { return };
        let received = Receive { proto: Protocol::Udp, source, destination: self.address, contents };
        if self.rtc.handle_input(Input::Receive(Instant::now(), received)).is_err() {
            self.rtc.disconnect();
        }
        self.drain();
    }

    /// Does what is due; gives back what happened since the last time.
    pub(crate) fn run(&mut self) -> Vec<PeerEvent> {
        let now = Instant::now();
        if self.due <= now {
            if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                self.rtc.disconnect();
            }
            self.drain();
        }
        std::mem::take(&mut self.events)
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(due)) => {
                    self.due = due;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    // What a full socket does not take is lost, as on any network.
                    let _ = self.socket.try_send_to(&transmit.contents, transmit.destination);
                }
                Ok(Output::Event(event)) => self.events.extend(seen(event)),
                Err(_) => {
                    self.events.push(PeerEvent::Closed);
                    self.due = Instant::now() + Duration::from_secs(3600);
                    return;
                }
            }
        }
    }
}

fn seen(event: Event) -> Option<PeerEvent> {
    match event {
        Event::Connected => Some(PeerEvent::Connected),
        Event::KeyframeRequest(_) => Some(PeerEvent::KeyframeRequest),
        Event::RtpPacket(packet) => Some(PeerEvent::Packet {
            ssrc: *packet.header.ssrc,
            sequence: *packet.seq_no,
            payload: packet.payload.to_vec(),
        }),
        Event::Closed => Some(PeerEvent::Closed),
        _ => None,
    }
}
