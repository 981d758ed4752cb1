//! Somebody in a simulated call: a client of another kind of WebRTC, with a line of its own to the server.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    AddTrackRequest, ParticipantInfo, SessionDescription, SignalResponse, TrackSource, TrackType, VideoLayer,
    VideoQuality, participant_info, signal_request, signal_response,
};
use reelroom_sfu::Layer;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{
    Direction, Frequency, KeyframeRequestKind, MediaKind, MediaTime, Mid, Simulcast, SimulcastLayer,
};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Event, Input, Output, Rtc};
use str0m_netem::{Input as Put, Netem, NetemConfig, Output as Got};

use super::assembly::{self, Assembly};
use super::film::{PICTURE_EVERY, Piece, SOUND_EVERY, Seen};
use crate::signal::outbox::Outgoing;

/// Bytes of a picture of each layer: 80, 400 and 1,400 kbit/s.
const PICTURE_BYTES: [usize; 3] = [400, 2000, 7000];
/// A keyframe is so many times as large.
const KEY_TIMES: usize = 3;
const SOUND_BYTES: usize = 80;
/// A decoder that cannot go on asks so often.
const ASKS_EVERY: Duration = Duration::from_millis(300);

/// A datagram under way.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

impl AsRef<[u8]> for Parcel {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// One of a client's two connections.
struct Way {
    rtc: Rtc,
    home: SocketAddr,
}

/// What it publishes, by section.
struct Stage {
    picture: Option<Mid>,
    sound: Option<Mid>,
    picture_number: u32,
    sound_number: u32,
    next_picture: Instant,
    next_sound: Instant,
    /// Layers of which a keyframe is asked for.
    asked: [bool; 3],
}

/// Says what happens to whom where `NETEM_TRACE` is set (with `--nocapture`).
pub(super) fn trace(who: &str, now: Instant, what: impl FnOnce() -> String) {
    static START: std::sync::OnceLock<Option<Instant>> = std::sync::OnceLock::new();
    let start = START.get_or_init(|| std::env::var_os("NETEM_TRACE").map(|_| now));
    if let Some(start) = start {
        println!("{:9.3} {who} {}", now.saturating_duration_since(*start).as_secs_f32(), what());
    }
}

/// See the module.
pub(super) struct Person {
    pub(super) sid: ParticipantSid,
    /// How its pictures say whose they are.
    pub(super) number: u8,
    up: Way,
    down: Way,
    /// Where its line ends now. What is sent to another address of it is lost.
    home: u16,
    to_server: Netem<Parcel>,
    from_server: Netem<Parcel>,
    /// How long signalling takes.
    delay: Duration,
    outgoing: Outgoing,
    told: VecDeque<(Instant, Bytes)>,
    says: VecDeque<(Instant, signal_request::Message)>,
    /// Signalling stands still until then.
    pub(super) held_until: Option<Instant>,
    /// What comes is not read until then.
    pub(super) deaf_until: Option<Instant>,
    stage: Option<Stage>,
    pending: Option<SdpPendingOffer>,
    offered: [Option<Mid>; 2],
    /// The others, as it was told.
    pub(super) others: BTreeMap<String, ParticipantInfo>,
    /// By section, whose track it is said to be.
    sections: BTreeMap<Mid, (String, MediaKind)>,
    pub(super) pictures: BTreeMap<String, Seen>,
    pub(super) sound: BTreeMap<String, Seen>,
    /// By SSRC.
    assemblies: BTreeMap<u32, Assembly>,
    asked_last: BTreeMap<u32, Instant>,
}

/// It takes packets, or sends pictures.
fn client(home: SocketAddr, takes_packets: bool, now: Instant) -> Way {
    let mut rtc = Rtc::builder()
        .set_crypto_provider(std::sync::Arc::new(str0m::crypto::from_feature_flags()))
        .clear_codecs()
        .enable_opus(true, true)
        .enable_vp8(true)
        .set_rtp_mode(takes_packets)
        .build(now);
    rtc.add_local_candidate(Candidate::host(home, "udp").expect("a host can be a candidate"))
        .expect("it has none yet");
    Way { rtc, home }
}

impl Person {
    pub(super) fn new(number: u8, line: Line, sid: ParticipantSid, outgoing: Outgoing, now: Instant) -> Self {
        let home = 4000;
        let at = |port| SocketAddr::from(([198, 51, 100, number], port));
        Self {
            sid,
            number,
            up: client(at(home), false, now),
            down: client(at(home + 1), true, now),
            home,
            to_server: Netem::new(line.up),
            from_server: Netem::new(line.down),
            delay: line.delay,
            outgoing,
            told: VecDeque::new(),
            says: VecDeque::new(),
            held_until: None,
            deaf_until: None,
            stage: None,
            pending: None,
            offered: [None; 2],
            others: BTreeMap::new(),
            sections: BTreeMap::new(),
            pictures: BTreeMap::new(),
            sound: BTreeMap::new(),
            assemblies: BTreeMap::new(),
            asked_last: BTreeMap::new(),
        }
    }

    /// Its line becomes another one.
    pub(super) fn line(&mut self, line: Line) {
        self.to_server.set_config(line.up);
        self.from_server.set_config(line.down);
        self.delay = line.delay;
    }

    /// Its address becomes another one, as that of a NAT that forgot it.
    pub(super) fn moves(&mut self) {
        self.home += 10;
    }

    /// Announces a camera and a microphone.
    pub(super) fn publish(&mut self, now: Instant) {
        let layer = |quality: VideoQuality, width, height| VideoLayer {
            quality: quality.into(),
            width,
            height,
            ..Default::default()
        };
        self.say(
            signal_request::Message::AddTrack(AddTrackRequest {
                cid: "sound".into(),
                r#type: TrackType::Audio.into(),
                source: TrackSource::Microphone.into(),
                ..Default::default()
            }),
            now,
        );
        self.say(
            signal_request::Message::AddTrack(AddTrackRequest {
                cid: "picture".into(),
                r#type: TrackType::Video.into(),
                source: TrackSource::Camera.into(),
                width: 1280,
                height: 720,
                layers: vec![
                    layer(VideoQuality::Low, 320, 180),
                    layer(VideoQuality::Medium, 640, 360),
                    layer(VideoQuality::High, 1280, 720),
                ],
                ..Default::default()
            }),
            now,
        );
        let mut api = self.up.rtc.sdp_api();
        let mut simulcast = Simulcast::new();
        for layer in Layer::ALL {
            simulcast.add_send_layer(SimulcastLayer::new(layer.rid()));
        }
        let (stream, id) = (|| Some("me".to_owned()), |id: &str| Some(id.to_owned()));
        let sound = api.add_media(MediaKind::Audio, Direction::SendOnly, stream(), id("sound"), None);
        let picture =
            api.add_media(MediaKind::Video, Direction::SendOnly, stream(), id("picture"), Some(simulcast));
        self.offered = [Some(sound), Some(picture)];
        let (offer, pending) = api.apply().expect("two sections are new");
        self.pending = Some(pending);
        let offer =
            SessionDescription { r#type: "offer".into(), sdp: offer.to_sdp_string(), ..Default::default() };
        self.say(signal_request::Message::Offer(offer), now);
    }

    fn say(&mut self, message: signal_request::Message, now: Instant) {
        self.says.push_back((now + self.delay, message));
    }

    /// What reaches the server by now of what it says.
    pub(super) fn said(&mut self, now: Instant) -> Vec<signal_request::Message> {
        if self.held_until.is_some_and(|until| now < until) {
            return Vec::new();
        }
        let mut all = Vec::new();
        while self.says.front().is_some_and(|(at, _)| *at <= now) {
            all.extend(self.says.pop_front().map(|(_, message)| message));
        }
        all
    }

    /// What reaches it by now of what it is told.
    pub(super) fn listen(&mut self, now: Instant) {
        if self.held_until.is_some_and(|until| now < until) {
            return;
        }
        while let Some(message) = self.outgoing.waiting() {
            self.told.push_back((now + self.delay, message));
        }
        while self.told.front().is_some_and(|(at, _)| *at <= now) {
            let (_, bytes) = self.told.pop_front().expect("it is there");
            let message = SignalResponse::decode(bytes).expect("the server says what can be read").message;
            self.hears(message.expect("it says something"), now);
        }
    }

    fn hears(&mut self, message: signal_response::Message, now: Instant) {
        use signal_response::Message;
        match message {
            Message::Join(join) => {
                for other in join.other_participants {
                    self.others.insert(other.sid.clone(), other);
                }
            }
            Message::Update(update) => {
                for other in update.participants {
                    if other.state() == participant_info::State::Disconnected {
                        self.others.remove(&other.sid);
                        self.pictures.remove(&other.sid);
                        self.sound.remove(&other.sid);
                    } else if other.sid != self.sid.as_str() {
                        self.others.insert(other.sid.clone(), other);
                    }
                }
            }
            Message::Offer(offer) => {
                let parsed =
                    SdpOffer::from_sdp_string(&offer.sdp).expect("an offer of the server can be read");
                let answer = self.down.rtc.sdp_api().accept_offer(parsed).expect("an offer can be taken");
                self.learn(&offer.sdp, now);
                let sdp = answer.to_sdp_string();
                let answer =
                    SessionDescription { r#type: "answer".into(), sdp, id: offer.id, ..Default::default() };
                self.say(signal_request::Message::Answer(answer), now);
            }
            Message::Answer(answer) => {
                let answer =
                    SdpAnswer::from_sdp_string(&answer.sdp).expect("an answer of the server can be read");
                let pending = self.pending.take().expect("it offered something");
                self.up.rtc.sdp_api().accept_answer(pending, answer).expect("an answer can be taken");
                let [sound, picture] = self.offered;
                // Browsers send again whatever is asked for.
                let mut direct = self.up.rtc.direct_api();
                for layer in Layer::ALL {
                    let stream =
                        picture.and_then(|mid| direct.stream_tx_by_mid(mid, Some(layer.rid().into())));
                    stream.expect("it was answered").set_rtx_cache(2000, Duration::from_secs(3), None);
                }
                self.stage = Some(Stage {
                    picture,
                    sound,
                    picture_number: 0,
                    sound_number: 0,
                    next_picture: now,
                    next_sound: now,
                    asked: [true; 3],
                });
            }
            Message::StreamStateUpdate(update) => {
                let paused = update.stream_states.iter().map(|one| one.state());
                trace(self.sid.as_str(), now, || format!("is told {:?}", paused.collect::<Vec<_>>()));
            }
            Message::Leave(leave) => panic!("{} is told to leave: {leave:?}", self.sid),
            _ => {}
        }
    }

    /// Whose tracks the sections of an offer are: `a=msid:PA_…|TR_… TR_…`, and whether they are given up.
    fn learn(&mut self, sdp: &str, now: Instant) {
        for section in sdp.split("\r\nm=").skip(1) {
            let line = |name: &str| section.lines().find_map(|line| line.strip_prefix(name));
            let Some(mid) = line("a=mid:") else { continue };
            let kind = if section.starts_with("audio") { MediaKind::Audio } else { MediaKind::Video };
            let owner = line("a=msid:").and_then(|msid| msid.split(['|', ' ']).next());
            let mid = Mid::from(mid);
            match owner.filter(|_| section.lines().any(|line| line == "a=sendonly")) {
                Some(owner) => {
                    let all = if kind == MediaKind::Audio { &mut self.sound } else { &mut self.pictures };
                    all.entry(owner.to_owned()).or_insert_with(|| Seen::new(now));
                    self.sections.insert(mid, (owner.to_owned(), kind));
                }
                None => {
                    self.sections.remove(&mid);
                }
            }
        }
    }

    /// Films and speaks.
    pub(super) fn perform(&mut self, now: Instant) {
        let Some(stage) = &mut self.stage else { return };
        let (rtc, number) = (&mut self.up.rtc, self.number);
        let time = |number: u32, every: Duration, rate: Frequency| {
            let seconds_of = u64::from(number) * every.as_millis() as u64 * u64::from(rate.get()) / 1000;
            MediaTime::new(seconds_of, rate)
        };
        while stage.next_sound <= now {
            stage.next_sound += SOUND_EVERY;
            stage.sound_number += 1;
            let piece = Piece { of: number, layer: Layer::Low, number: stage.sound_number, is_key: true };
            let Some(writer) = stage.sound.and_then(|mid| rtc.writer(mid)) else { continue };
            let pt = writer.payload_params().next().map(|params| params.pt());
            let Some(pt) = pt else { continue };
            let at = time(stage.sound_number, SOUND_EVERY, Frequency::FORTY_EIGHT_KHZ);
            let written = writer.audio_level(-30, true).write(pt, now, at, piece.bytes(SOUND_BYTES));
            written.expect("sound can be written");
        }
        while stage.next_picture <= now {
            stage.next_picture += PICTURE_EVERY;
            stage.picture_number += 1;
            for layer in Layer::ALL {
                let Some(writer) = stage.picture.and_then(|mid| rtc.writer(mid)) else { continue };
                let params =
                    writer.payload_params().find(|params| params.spec().codec == str0m::format::Codec::Vp8);
                let Some(pt) = params.map(|params| params.pt()) else { continue };
                let is_key = std::mem::take(&mut stage.asked[layer as usize]);
                let piece = Piece { of: number, layer, number: stage.picture_number, is_key };
                let bytes = PICTURE_BYTES[layer as usize] * if is_key { KEY_TIMES } else { 1 };
                let at = time(stage.picture_number, PICTURE_EVERY, Frequency::NINETY_KHZ);
                let written = writer.rid(layer.rid().into()).write(pt, now, at, piece.bytes(bytes));
                written.expect("a picture can be written");
            }
        }
    }

    /// Lets time pass at its end; what it sends goes on its line.
    pub(super) fn tick(&mut self, now: Instant) {
        for is_up in [true, false] {
            self.way(is_up).rtc.handle_input(Input::Timeout(now)).expect("time passes");
            self.drain(is_up, now);
        }
    }

    fn way(&mut self, is_up: bool) -> &mut Way {
        if is_up { &mut self.up } else { &mut self.down }
    }

    fn drain(&mut self, is_up: bool, now: Instant) {
        loop {
            let way = self.way(is_up);
            match way.rtc.poll_output().expect("the client goes on") {
                Output::Timeout(_) => return,
                Output::Transmit(transmit) => {
                    let from = SocketAddr::new(way.home.ip(), self.home + u16::from(!is_up));
                    let parcel = Parcel { from, to: transmit.destination, bytes: transmit.contents.to_vec() };
                    self.to_server.handle_input(Put::Packet(now, parcel));
                }
                Output::Event(event) => self.event(event, now),
            }
        }
    }

    fn event(&mut self, event: Event, now: Instant) {
        match event {
            Event::IceConnectionStateChange(state) => {
                trace(self.sid.as_str(), now, || format!("{state:?}"));
            }
            Event::KeyframeRequest(request) => {
                let layer = request.rid.and_then(|rid| Layer::ALL.into_iter().find(|one| *rid == *one.rid()));
                trace(self.sid.as_str(), now, || format!("is asked for a keyframe of {layer:?}"));
                if let (Some(stage), Some(layer)) = (&mut self.stage, layer) {
                    stage.asked[layer as usize] = true;
                }
            }
            Event::RtpPacket(packet) => self.packet(&packet, now),
            _ => {}
        }
    }

    fn packet(&mut self, packet: &RtpPacket, now: Instant) {
        let ssrc = packet.header.ssrc;
        let stream = self.down.rtc.direct_api().stream_rx(&ssrc).map(|stream| stream.mid());
        let Some((owner, kind)) = stream.and_then(|mid| self.sections.get(&mid)).cloned() else { return };
        // What is left of somebody who has just gone is nobody's.
        let Some(of) = self.others.get(&owner).and_then(|other| other.name.parse().ok()) else { return };
        if kind == MediaKind::Audio {
            let mut params = self.down.rtc.codec_config().params().iter();
            let is_red = params.any(|params| params.red() == Some(packet.header.payload_type));
            let whole = || vec![&packet.payload[..]];
            let blocks = if is_red { assembly::blocks(&packet.payload).unwrap_or_default() } else { whole() };
            if let Some(seen) = self.sound.get_mut(&owner) {
                // A packet without content says that there is a track.
                blocks
                    .into_iter()
                    .filter(|block| !block.is_empty())
                    .for_each(|block| seen.sound(of, block, now));
            }
            return;
        }
        let assembly = self.assemblies.entry(*ssrc).or_default();
        let (seq, time) = (*packet.seq_no, packet.header.timestamp);
        let picture = assembly.packet(seq, time, packet.header.marker, &packet.payload);
        let (Some(picture), Some(seen)) = (picture, self.pictures.get_mut(&owner)) else { return };
        let (before, before_at) = (seen.last, seen.last_at);
        let asks = seen.picture(of, &picture, now);
        let is_worth_a_word = seen.last_at.saturating_duration_since(before_at) > Duration::from_millis(500)
            || before.map(|piece| piece.layer) != seen.last.map(|piece| piece.layer);
        if asks || is_worth_a_word {
            let (came, shown) = (Piece::read(&picture), seen.last);
            trace(self.sid.as_str(), now, || {
                format!("showed {before:?}, got {came:?}, shows {shown:?}, asks: {asks}")
            });
        }
        let asked = self.asked_last.get(&*ssrc);
        if asks && asked.is_none_or(|last| now.saturating_duration_since(*last) >= ASKS_EVERY) {
            self.asked_last.insert(*ssrc, now);
            if let Some(stream) = self.down.rtc.direct_api().stream_rx(&ssrc) {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
        }
    }

    /// What of its datagrams reaches the server by now.
    pub(super) fn sent(&mut self, now: Instant) -> Vec<Parcel> {
        delivered(&mut self.to_server, now)
    }

    /// The server sends it something.
    pub(super) fn post(&mut self, parcel: Parcel, now: Instant) {
        self.from_server.handle_input(Put::Packet(now, parcel));
    }

    /// Whether an address is, or was, one of its own.
    pub(super) fn lives_at(&self, address: SocketAddr) -> bool {
        address.ip() == self.up.home.ip()
    }

    /// Takes what reaches it by now.
    pub(super) fn receive(&mut self, now: Instant) {
        for parcel in delivered(&mut self.from_server, now) {
            if self.deaf_until.is_some_and(|until| now < until) {
                continue;
            }
            let is_up = parcel.to.port() == self.home;
            if !is_up && parcel.to.port() != self.home + 1 {
                continue;
            }
            // To the client its own address is what it was.
            let way = self.way(is_up);
            let Ok(receive) = Receive::new(Protocol::Udp, parcel.from, way.home, &parcel.bytes) else {
                continue;
            };
            way.rtc.handle_input(Input::Receive(now, receive)).expect("what comes can be taken");
            self.drain(is_up, now);
        }
    }

    /// From now on what it sees and hears is looked at anew.
    pub(super) fn begin(&mut self, now: Instant) {
        self.pictures.values_mut().chain(self.sound.values_mut()).for_each(|seen| seen.begin(now));
    }
}

fn delivered(net: &mut Netem<Parcel>, now: Instant) -> Vec<Parcel> {
    net.handle_input(Put::Timeout(now));
    let mut all = Vec::new();
    while let Some(got) = net.poll_output() {
        if let Got::Packet(parcel) = got {
            all.push(parcel);
        }
    }
    all
}

/// How somebody's line is.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) up: NetemConfig,
    pub(super) down: NetemConfig,
    /// Of signalling, which loses nothing.
    pub(super) delay: Duration,
}
