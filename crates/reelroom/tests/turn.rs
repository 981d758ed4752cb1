//! One port of the real program for everything: pages, signalling, TURN within TLS and without, ICE over TCP.

#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use common::tls::{NAME, connect, issue};
use common::{Program, now_s, signal};
use futures::StreamExt as _;
use prost::Message as _;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{SignalResponse, signal_response};
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use reelroom_turn::testing::{Ask, Said, TestClient, ice_request};
use reelroom_turn::{Credentials, HEADER_BYTES, len_on_stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;

const SOON: Duration = Duration::from_secs(10);
/// Of whoever says nothing of what they speak within TLS.
const UNSAID: &[&str] = &[];

/// A program that others reach, with a certificate that browsers believe.
struct House {
    program: Program,
    address: SocketAddr,
    root: String,
}

/// What somebody who joins is told of how media gets through.
struct Told {
    urls: Vec<String>,
    credentials: Credentials,
    /// Of the candidates of UDP.
    media: SocketAddr,
}

impl House {
    fn start(data: &Path, more: &[(&str, &str)]) -> Self {
        let root = issue(data);
        let (cert, key) = (data.join("chain.pem"), data.join("key.pem"));
        let settings = [
            ("TLS_CERT", cert.to_str().unwrap()),
            ("TLS_KEY", key.to_str().unwrap()),
            ("LISTEN", "0.0.0.0"),
            ("ACCESS", "open"),
        ];
        let all = [&settings[..], &signal::SETTINGS, more].concat();
        let program = Program::start(&[], data, &all);
        let port = program.url.rsplit(':').next().unwrap();
        let address = format!("127.0.0.1:{port}").parse().unwrap();
        Self { program, address, root }
    }

    /// Joins by the same port, and stays as long as the connection is kept.
    async fn join(&self) -> (Told, WebSocketStream<TlsStream<TcpStream>>) {
        let grants = VideoGrants { room_join: true, room: "a".to_owned(), ..VideoGrants::default() };
        let claims =
            Claims { sub: "ada".to_owned(), exp: now_s() + 600, video: Some(grants), ..Claims::default() };
        let token = mint(&ApiKeys::new(signal::KEY.0, signal::KEY.1), claims);
        let stream = connect(self.address, &self.root, &["http/1.1"]).await;
        let url = format!("wss://localhost:{}/rtc?access_token={token}", self.address.port());
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let (mut servers, mut sdp) = (None, None);
        while servers.is_none() || sdp.is_none() {
            let message = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
            match SignalResponse::decode(message.into_data()).unwrap().message {
                Some(signal_response::Message::Join(join)) => servers = Some(join.ice_servers),
                Some(signal_response::Message::Offer(offer)) => sdp = Some(offer.sdp),
                _ => {}
            }
        }
        let server = servers.unwrap().remove(0);
        let candidates = sdp.unwrap();
        let udp = candidates.lines().find(|line| line.contains("a=candidate:1 1 udp")).unwrap();
        let words: Vec<_> = udp.split(' ').collect();
        let media = SocketAddr::new(words[4].parse().unwrap(), words[5].parse().unwrap());
        let credentials = Credentials { username: server.username, password: server.credential };
        (Told { urls: server.urls, credentials, media }, socket)
    }

    /// How many datagrams named no session.
    async fn unknown_sessions(&self) -> usize {
        let metrics = self.program.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line =
            metrics.lines().find(|line| line.contains("media_dropped") && line.contains("unknown_session"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }
}

async fn said<S>(stream: &mut S, speaker: &mut TestClient, ask: &Ask) -> Said
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&speaker.ask(ask)).await.unwrap();
    stream.flush().await.unwrap();
    let mut header = [0; HEADER_BYTES];
    timeout(SOON, stream.read_exact(&mut header)).await.unwrap().unwrap();
    let mut message = header.to_vec();
    message.resize(len_on_stream(header).unwrap(), 0);
    stream.read_exact(&mut message[HEADER_BYTES..]).await.unwrap();
    speaker.read(&message)
}

#[tokio::test]
async fn a_participant_gets_to_media_and_nowhere_else_by_turn_at_the_port_of_the_page() {
    let data = tempfile::tempdir().unwrap();
    let house = House::start(data.path(), &[]);
    let (told, _call) = house.join().await;
    let turns = format!("turns:{NAME}:{}?transport=tcp", house.address.port());
    assert_eq!(told.urls, [turns.as_str()]);
    // Browsers say nothing of what they speak, or that it is this.
    for protocols in [UNSAID, &["stun.turn"]] {
        let mut stream = connect(house.address, &house.root, protocols).await;
        let mut speaker = TestClient::new(told.credentials.clone());
        assert_eq!(said(&mut stream, &mut speaker, &Ask::Allocate).await, Said::Refused(401));
        let allocated = said(&mut stream, &mut speaker, &Ask::Allocate).await;
        assert!(matches!(allocated, Said::Allocated(_)), "{allocated:?}");
        for foreign in ["198.51.100.1:80", "169.254.169.254:80", "10.255.0.1:7882"] {
            let peer: SocketAddr = foreign.parse().unwrap();
            assert_eq!(said(&mut stream, &mut speaker, &Ask::Permit(vec![peer])).await, Said::Refused(403));
            assert_eq!(said(&mut stream, &mut speaker, &Ask::Bind(0x4000, peer)).await, Said::Refused(403));
        }
        let page = SocketAddr::new(told.media.ip(), house.address.port());
        assert_eq!(said(&mut stream, &mut speaker, &Ask::Bind(0x4000, page)).await, Said::Refused(403));
        assert_eq!(said(&mut stream, &mut speaker, &Ask::Permit(vec![told.media])).await, Said::Done(None));
        let before = house.unknown_sessions().await;
        stream.write_all(&speaker.send(told.media, &ice_request("nobody", "secret"))).await.unwrap();
        assert_eq!(said(&mut stream, &mut speaker, &Ask::Refresh(600)).await, Said::Done(Some(600)));
        assert_eq!(house.unknown_sessions().await, before + 1, "what it sends arrives at media");
    }
    house.program.stop();
}

#[tokio::test]
async fn credentials_that_were_not_given_or_are_over_get_nobody_in() {
    let data = tempfile::tempdir().unwrap();
    let house = House::start(data.path(), &[]);
    let (told, _call) = house.join().await;
    let Credentials { username, password } = told.credentials;
    let (until, participant) = username.split_once(':').unwrap();
    let until: u64 = until.parse().unwrap();
    assert!((now_s()..now_s() + 2 * 3600).contains(&until), "they are for an hour");
    for (username, password) in [
        (format!("{}:{participant}", until + 3600), password.clone()),
        (format!("{}:{participant}", now_s() - 1), password.clone()),
        (format!("{until}:PA_somebody"), password.clone()),
        (username.clone(), "guessed".to_owned()),
        (String::new(), String::new()),
    ] {
        let mut stream = connect(house.address, &house.root, UNSAID).await;
        let mut speaker = TestClient::new(Credentials { username, password });
        for _ in 0..2 {
            assert_eq!(said(&mut stream, &mut speaker, &Ask::Allocate).await, Said::Refused(401));
        }
    }
    house.program.stop();
}

#[tokio::test]
async fn one_port_tells_pages_ice_and_turn_apart_by_their_first_bytes() {
    let data = tempfile::tempdir().unwrap();
    let house = House::start(data.path(), &[]);
    let (told, _call) = house.join().await;
    // ICE over TCP, in the clear, as its own encryption is within.
    let before = house.unknown_sessions().await;
    let request = ice_request("nobody", "secret");
    let framed = [&u16::try_from(request.len()).unwrap().to_be_bytes(), &request[..]].concat();
    let mut ice = TcpStream::connect(house.address).await.unwrap();
    ice.write_all(&framed).await.unwrap();
    let arrived = async {
        while house.unknown_sessions().await == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, arrived).await.unwrap();
    // TURN in the clear.
    let mut turn = TcpStream::connect(house.address).await.unwrap();
    let mut speaker = TestClient::new(told.credentials);
    said(&mut turn, &mut speaker, &Ask::Allocate).await;
    let allocated = said(&mut turn, &mut speaker, &Ask::Allocate).await;
    assert!(matches!(allocated, Said::Allocated(_)), "{allocated:?}");
    // And pages as ever, also to whoever says nothing of what they speak.
    for protocols in [UNSAID, &["http/1.1"]] {
        let mut page = connect(house.address, &house.root, protocols).await;
        page.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        timeout(SOON, page.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    // A connection that names nothing is closed, and its place with it.
    let mut rest = Vec::new();
    let closed = timeout(SOON, ice.read_to_end(&mut rest)).await.unwrap();
    assert!(closed.is_err() || rest.is_empty());
    house.program.stop();
}

#[tokio::test]
async fn where_it_is_turned_off_nothing_of_it_is_offered_or_taken() {
    let data = tempfile::tempdir().unwrap();
    let house = House::start(data.path(), &[("MEDIA_ON_SERVER_PORT", "false")]);
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let mut speaker = TestClient::new(Credentials { username: String::new(), password: String::new() });
    stream.write_all(&speaker.ask(&Ask::Allocate)).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(&[1]), "it is no message of STUN: {answer:?}");
    house.program.stop();
}
