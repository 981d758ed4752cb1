//! A client of LiveKit's signalling that says what it likes.

use std::time::{Duration, Instant};

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use prost::Message as _;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    Ping, SessionDescription, SignalRequest, SignalResponse, signal_request, signal_response,
};
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{Program, now_s};

pub(crate) const KEY: (&str, &str) = ("key", "a secret that is long enough to be one");

/// How a client joins.
#[derive(Clone, Default)]
pub(crate) struct Join<'a> {
    pub(crate) room: &'a str,
    pub(crate) identity: &'a str,
    /// What a proxy on this machine says of where it comes from.
    pub(crate) forwarded_for: Option<&'a str>,
    /// A small receive buffer: it will not read.
    pub(crate) is_slow: bool,
    /// What the server gave it, instead of a token that says room and identity.
    pub(crate) token: Option<&'a str>,
    /// Where else than at `/rtc`.
    pub(crate) path: Option<&'a str>,
    /// What it says in the address besides, each with `&` in front.
    pub(crate) query: &'a str,
}

pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
}

/// The settings that the tokens of these clients belong to.
pub(crate) const SETTINGS: [(&str, &str); 2] = [("LIVEKIT_API_KEY", KEY.0), ("LIVEKIT_API_SECRET", KEY.1)];

impl Client {
    /// The status of a refusal.
    pub(crate) async fn try_join(program: &Program, join: Join<'_>) -> Result<Self, u16> {
        let grants = VideoGrants {
            room_join: true,
            room: join.room.to_owned(),
            can_update_own_metadata: Some(true),
            ..VideoGrants::default()
        };
        let claims = Claims {
            sub: join.identity.to_owned(),
            exp: now_s() + 600,
            video: Some(grants),
            ..Claims::default()
        };
        let own = || mint(&ApiKeys::new(KEY.0, KEY.1), claims);
        let token = join.token.map_or_else(own, str::to_owned);
        let (base, path) = (program.url.replace("http://", "ws://"), join.path.unwrap_or("/rtc"));
        let url = format!("{base}{path}?access_token={token}{}", join.query);
        let mut request = url.into_client_request().unwrap();
        if let Some(forwarded_for) = join.forwarded_for {
            request.headers_mut().insert("x-forwarded-for", forwarded_for.parse().unwrap());
        }
        let host = program.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let address = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
        let tcp = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        if join.is_slow {
            tcp.set_recv_buffer_size(4096).unwrap();
        }
        let stream = tcp.connect(address).await.unwrap();
        let config = WebSocketConfig::default();
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Joins, and has heard so.
    pub(crate) async fn join(program: &Program, room: &str, identity: &str) -> Self {
        let join = Join { room, identity, ..Join::default() };
        let mut client = Self::try_join(program, join).await.unwrap();
        client.until(|message| matches!(message, signal_response::Message::Join(_))).await.unwrap();
        client.answer_offer().await;
        client
    }

    /// Answers the offer that comes with a join, as one that will not be heard from by media: whoever does not is let go after 15 seconds.
    pub(crate) async fn answer_offer(&mut self) {
        let offered = self.until(|message| matches!(message, signal_response::Message::Offer(_))).await;
        let Some(signal_response::Message::Offer(offer)) = offered else { panic!("no offer") };
        let answer = SessionDescription {
            r#type: "answer".into(),
            sdp: answer_to(&offer.sdp),
            id: offer.id,
            ..Default::default()
        };
        self.send(signal_request::Message::Answer(answer)).await;
    }

    pub(crate) async fn send(&mut self, message: signal_request::Message) {
        self.send_bytes(SignalRequest { message: Some(message) }.encode_to_vec()).await;
    }

    /// Sends, unless the connection has ended or takes nothing for a second.
    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) -> bool {
        let sent = self.socket.send(Message::Binary(bytes.into()));
        matches!(tokio::time::timeout(Duration::from_secs(1), sent).await, Ok(Ok(())))
    }

    /// The next message; `None` when the connection has ended, or after ten seconds.
    pub(crate) async fn next(&mut self) -> Option<signal_response::Message> {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.ok()?? {
                Ok(Message::Binary(bytes)) => return SignalResponse::decode(bytes).unwrap().message,
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next message that `wanted` says.
    pub(crate) async fn until(
        &mut self,
        wanted: impl Fn(&signal_response::Message) -> bool,
    ) -> Option<signal_response::Message> {
        loop {
            let message = self.next().await?;
            if wanted(&message) {
                return Some(message);
            }
        }
    }

    /// What it is told by `RequestResponse` next.
    pub(crate) async fn refusal(&mut self) -> Option<reelroom_protocol::proto::RequestResponse> {
        let wanted = |message: &_| matches!(message, signal_response::Message::RequestResponse(_));
        match self.until(wanted).await? {
            signal_response::Message::RequestResponse(response) => Some(response),
            _ => None,
        }
    }

    /// How long an answer to a ping takes.
    pub(crate) async fn ping(&mut self) -> Option<Duration> {
        let began = Instant::now();
        let timestamp = began.elapsed().as_nanos() as i64 ^ rand::random::<i64>();
        self.send(signal_request::Message::PingReq(Ping { timestamp, rtt: 0 })).await;
        let wanted = |message: &_| match message {
            signal_response::Message::PongResp(pong) => pong.last_ping_timestamp == timestamp,
            _ => false,
        };
        self.until(wanted).await?;
        Some(began.elapsed())
    }

    /// The code by which the server closes the connection; `None` where it ends otherwise, or not within ten seconds.
    pub(crate) async fn close_code(mut self) -> Option<u16> {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.ok()?? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// What has come by now, without waiting.
    pub(crate) fn ready(&mut self) -> Vec<signal_response::Message> {
        let mut all = Vec::new();
        while let Some(Some(Ok(message))) = self.socket.next().now_or_never() {
            if let Message::Binary(bytes) = message {
                all.extend(SignalResponse::decode(bytes).unwrap().message);
            }
        }
        all
    }

    /// What is said last, and whether the connection has ended in the end.
    pub(crate) async fn rest(mut self) -> Vec<signal_response::Message> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}

/// What a peer answers that takes everything and tells nothing of where it is.
fn answer_to(offer: &str) -> String {
    let offerers = ["a=candidate", "a=end-of-candidates", "a=ice-lite", "a=ssrc", "a=msid", "a=sctp-init"];
    let mut answer = String::new();
    for line in offer.lines().filter(|line| !offerers.iter().any(|name| line.starts_with(name))) {
        let own = match line.split_once(':').map_or(line, |(name, _)| name) {
            "a=ice-ufrag" => "a=ice-ufrag:test",
            "a=ice-pwd" => "a=ice-pwd:0123456789abcdefghijklmn",
            "a=setup" => "a=setup:active",
            "a=sendonly" => "a=recvonly",
            _ => line,
        };
        answer.push_str(own);
        answer.push_str("\r\n");
    }
    answer
}
