//! One participant: signals as a LiveKit client does, sends the clip and silence, and times the pictures of others.
//!
//! Every picture ends in 16 bytes that a VP8 decoder never reads: a mark, and when it was sent. They come back in
//! the last packet of the picture.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use reelroom_protocol::proto::{
    self, signal_request::Message as Request, signal_response::Message as Response,
};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant as Due;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::clip::Clip;
use crate::lie::{About, Lie, told};
use crate::peer::{Peer, PeerEvent, Section, Way};
use crate::sound::Sound;

const FPS: u64 = 30;
const VIDEO_CLOCK_HZ: u64 = 90_000;
const SOUND_EVERY: Duration = Duration::from_millis(20);
const SOUND_TICKS: u64 = 960;
const PING_EVERY: Duration = Duration::from_secs(5);
const MARK: [u8; 8] = *b"sent at:";
const DATAGRAM_LEN: usize = 2048;

/// What all participants have in common.
pub(crate) struct Stage {
    pub(crate) clip: Clip,
    pub(crate) sound: Sound,
    pub(crate) play: Play,
    /// What sender reports say that is not so.
    pub(crate) lies: Vec<Lie>,
    /// Times are counted from here.
    pub(crate) began: Instant,
    /// Where the run is.
    pub(crate) act: watch::Receiver<Act>,
}

/// How clip and sound are played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Play {
    /// From the first picture again at the end, and whenever somebody wants a keyframe.
    OverAndOver,
    /// From beginning to end; keyframes come as the clip has them.
    Once,
}

/// The parts of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    WarmUp,
    Measure,
    Over,
}

/// What a participant saw while it was measured.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pictures_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) packets_received: u64,
    streams: BTreeMap<u32, Stream>,
    /// From the writing of a picture to the arrival of its last packet.
    pub(crate) delays: Vec<Duration>,
    pub(crate) keyframe_requests: u64,
}

/// What came under one ssrc.
#[derive(Debug)]
struct Stream {
    first: u64,
    newest: u64,
    /// Those sent again included.
    packets: u64,
}

impl Seen {
    /// Packets that did not come, not even when sent again.
    pub(crate) fn packets_lost(&self) -> u64 {
        self.streams
            .values()
            .map(|stream| (stream.newest + 1 - stream.first).saturating_sub(stream.packets))
            .sum()
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Person {
    stage: Arc<Stage>,
    socket: Socket,
    publisher: Peer,
    subscriber: Peer,
    pending: Option<str0m::change::SdpPendingOffer>,
    sections: Option<[Section; 2]>,
    announced: usize,
    /// When both tracks began to be sent.
    began: Option<Instant>,
    pictures: u64,
    sounds: u64,
    /// Of the clip.
    next_picture: usize,
    seen: Seen,
}

/// Joins, and stays until it is over.
pub(crate) async fn stay(stage: Arc<Stage>, url: url::Url) -> anyhow::Result<Seen> {
    let (socket, _) =
        tokio_tungstenite::connect_async(url.as_str()).await.context("the server does not let us in")?;
    let mut person = Person {
        stage,
        socket,
        publisher: Peer::new(Way::Publish).await?,
        subscriber: Peer::new(Way::Subscribe).await?,
        pending: None,
        sections: None,
        announced: 0,
        began: None,
        pictures: 0,
        sounds: 0,
        next_picture: 0,
        seen: Seen::default(),
    };
    person.live().await?;
    Ok(person.seen)
}

impl Person {
    async fn live(&mut self) -> anyhow::Result<()> {
        let mut act = self.stage.act.clone();
        let (publishing, subscribing) = (self.publisher.socket(), self.subscriber.socket());
        let (mut buffer, mut other_buffer) = (vec![0; DATAGRAM_LEN], vec![0; DATAGRAM_LEN]);
        let mut pings = tokio::time::interval(PING_EVERY);
        loop {
            let due = self.due();
            tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Ok(Frame::Binary(bytes))) => self.heard(&bytes).await?,
                    Some(Ok(_)) => {}
                    _ => bail!("the server hung up"),
                },
                Ok((len, from)) = publishing.recv_from(&mut buffer) => self.publisher.receive(from, &buffer[..len]),
                Ok((len, from)) = subscribing.recv_from(&mut other_buffer) => self.subscriber.receive(from, &other_buffer[..len]),
                () = tokio::time::sleep_until(Due::from_std(due)) => {}
                _ = pings.tick() => self.say(Request::PingReq(proto::Ping { timestamp: 0, rtt: 0 })).await?,
                changed = act.changed() => {
                    let now = *act.borrow_and_update();
                    if changed.is_err() || now == Act::Over {
                        self.say(Request::Leave(proto::LeaveRequest::default())).await?;
                        return Ok(());
                    }
                    self.seen = Seen::default();
                }
            }
            self.happened()?;
            self.send()?;
        }
    }

    fn due(&self) -> Instant {
        let mut due = self.publisher.due().min(self.subscriber.due());
        if let Some(began) = self.began {
            due = due.min(began + picture_at(self.pictures)).min(began + SOUND_EVERY * self.sounds as u32);
        }
        due
    }

    async fn say(&mut self, message: Request) -> anyhow::Result<()> {
        let bytes = proto::SignalRequest { message: Some(message) }.encode_to_vec();
        Ok(self.socket.send(Frame::Binary(bytes.into())).await?)
    }

    async fn heard(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let description = |kind: &str, sdp: String, id: u32| proto::SessionDescription {
            r#type: kind.into(),
            sdp,
            id,
            ..Default::default()
        };
        match proto::SignalResponse::decode(bytes)?.message {
            Some(Response::Join(_)) => {
                let Clip { width, height, .. } = self.stage.clip;
                let video = proto::AddTrackRequest {
                    cid: "camera".into(),
                    name: "camera".into(),
                    r#type: proto::TrackType::Video.into(),
                    source: proto::TrackSource::Camera.into(),
                    width,
                    height,
                    ..Default::default()
                };
                let audio = proto::AddTrackRequest {
                    cid: "microphone".into(),
                    name: "microphone".into(),
                    r#type: proto::TrackType::Audio.into(),
                    source: proto::TrackSource::Microphone.into(),
                    ..Default::default()
                };
                self.say(Request::AddTrack(video)).await?;
                self.say(Request::AddTrack(audio)).await?;
            }
            Some(Response::TrackPublished(_)) => {
                self.announced += 1;
                if self.announced == 2 {
                    let (sdp, pending, sections) = self.publisher.offer("camera", "microphone")?;
                    self.pending = Some(pending);
                    self.sections = Some(sections);
                    self.say(Request::Offer(description("offer", sdp, 1))).await?;
                }
            }
            Some(Response::Answer(answer)) => {
                let pending = self.pending.take().context("an answer without an offer")?;
                self.publisher.answered(pending, &answer.sdp)?;
            }
            Some(Response::Offer(offer)) => {
                let sdp = self.subscriber.answer(&offer.sdp)?;
                self.say(Request::Answer(description("answer", sdp, offer.id))).await?;
            }
            Some(Response::Trickle(trickle)) => {
                let init: serde_json::Value = serde_json::from_str(&trickle.candidate_init)?;
                let candidate = init["candidate"].as_str().unwrap_or_default();
                match trickle.target() {
                    proto::SignalTarget::Publisher => self.publisher.add_candidate(candidate),
                    proto::SignalTarget::Subscriber => self.subscriber.add_candidate(candidate),
                }
            }
            Some(Response::Leave(leave)) => bail!("the server sends us away: {:?}", leave.reason()),
            _ => {}
        }
        Ok(())
    }

    fn happened(&mut self) -> anyhow::Result<()> {
        for event in self.publisher.run() {
            match event {
                PeerEvent::Connected => {
                    self.began = Some(Instant::now());
                    if self.stage.play == Play::Once {
                        writeln!(std::io::stdout(), "playing")?;
                    }
                }
                PeerEvent::KeyframeRequest => {
                    self.seen.keyframe_requests += 1;
                    if self.stage.play == Play::OverAndOver {
                        self.next_picture = 0;
                    }
                }
                PeerEvent::Packet { .. } => {}
                PeerEvent::Closed => bail!("the way to the server is lost"),
            }
        }
        for event in self.subscriber.run() {
            if let PeerEvent::Packet { ssrc, sequence, payload } = event {
                self.received(ssrc, sequence, &payload);
            }
        }
        Ok(())
    }

    fn received(&mut self, ssrc: u32, sequence: u64, payload: &[u8]) {
        self.seen.packets_received += 1;
        let stream =
            self.seen.streams.entry(ssrc).or_insert(Stream { first: sequence, newest: sequence, packets: 0 });
        stream.newest = stream.newest.max(sequence);
        stream.packets += u64::from(sequence >= stream.first);
        if let Some((rest, at)) = payload.split_last_chunk::<8>()
            && rest.ends_with(&MARK)
        {
            let sent = self.stage.began + Duration::from_nanos(u64::from_le_bytes(*at));
            self.seen.delays.push(Instant::now().saturating_duration_since(sent));
        }
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let (Some(began), Some([video, audio])) = (self.began, self.sections) else { return Ok(()) };
        let now = Instant::now();
        let stage = Arc::clone(&self.stage);
        let taken = |about| {
            let lie = told(&stage.lies, about, now.saturating_duration_since(began));
            now.checked_sub(lie).unwrap_or(now)
        };
        while began + picture_at(self.pictures) <= now {
            let number = self.pictures;
            self.pictures += 1;
            let Some(frame) = stage.clip.frames.get(self.next_picture) else { continue };
            self.next_picture += 1;
            if stage.play == Play::OverAndOver {
                self.next_picture %= stage.clip.frames.len();
            }
            let mut picture = frame.to_vec();
            let at = stage.began.elapsed().as_nanos() as u64;
            picture.extend(MARK);
            picture.extend(at.to_le_bytes());
            self.seen.pictures_sent += 1;
            self.seen.bytes_sent += picture.len() as u64;
            self.publisher.write(
                video,
                taken(About::Pictures),
                number * VIDEO_CLOCK_HZ / FPS,
                picture.into(),
            )?;
        }
        while began + SOUND_EVERY * self.sounds as u32 <= now {
            let number = self.sounds;
            self.sounds += 1;
            let packets = &stage.sound.packets;
            let packet = match stage.play {
                Play::OverAndOver => packets.get(number as usize % packets.len()),
                Play::Once => packets.get(number as usize),
            };
            if let Some(packet) = packet {
                self.publisher.write(audio, taken(About::Sound), number * SOUND_TICKS, Arc::clone(packet))?;
            }
        }
        Ok(())
    }
}

fn picture_at(number: u64) -> Duration {
    Duration::from_nanos(number * 1_000_000_000 / FPS)
}
