#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(5);

fn at(listen: &[IpAddr], port: u16) -> MuxConfig {
    MuxConfig { listen: MediaListen::At(listen.to_vec()), port, advertise: Vec::new() }
}

#[tokio::test]
async fn udp_and_tcp_share_a_port_that_was_free() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    assert_ne!(mux.port(), 0);
    let addresses = mux.addresses(Reach::Anywhere);
    assert_eq!(addresses.bound, [SocketAddr::new(LOCALHOST, mux.port())]);
    assert_eq!(addresses.told, addresses.bound);
    TcpStream::connect(addresses.told[0]).await.unwrap();
    assert!(mux.warnings().is_empty());
    mux.stop();
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_is_told_and_the_others_serve() {
    let taken = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let elsewhere: IpAddr = "192.0.2.99".parse().unwrap();
    let second = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mux = Mux::start(at(&[elsewhere, second, LOCALHOST], port)).await.unwrap();
    assert_eq!(mux.addresses(Reach::Anywhere).told, [SocketAddr::new(LOCALHOST, port)]);
    let warnings = mux.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("192.0.2.99") && warnings[1].contains("127.0.0.2"), "{warnings:?}");
    // Given back, it is bound at the next look.
    drop(taken);
    let bound = async {
        while mux.addresses(Reach::Anywhere).told.len() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(3 * LOOK_EVERY, bound).await.unwrap();
    mux.stop();
    let why = Mux::start(at(&[elsewhere], 0)).await.err().unwrap().to_string();
    assert!(why.contains("192.0.2.99"), "{why}");
}

#[tokio::test]
async fn a_taken_tcp_port_leaves_udp() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let mux = Mux::start(at(&[LOCALHOST], port)).await.unwrap();
    assert_eq!(mux.addresses(Reach::Anywhere).told.len(), 1);
    assert!(mux.warnings()[0].contains("TCP 127.0.0.1"), "{:?}", mux.warnings());
    mux.stop();
}

fn person(ufrag: &str, number: u64, reach: Reach) -> Person {
    Person { ufrag: ufrag.to_owned(), password: "secret".to_owned(), number, reach }
}

fn request(ufrag: &str) -> Vec<u8> {
    stun::request(ufrag, "secret", false)
}

#[tokio::test]
async fn who_signals_from_this_machine_is_heard_from_it_alone() {
    let config = MuxConfig { listen: MediaListen::AsSignalled, port: 0, advertise: Vec::new() };
    let mux = Mux::start(config).await.unwrap();
    assert_eq!(mux.reach(true), Reach::ThisMachine);
    assert_eq!(mux.reach(false), Reach::Anywhere);
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("here", 1, Reach::ThisMachine), inbox.clone());
    mux.register(person("there", 2, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let stranger: SocketAddr = "203.0.113.9:5000".parse().unwrap();
    let neighbour: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    assert!(!mux.route(Transport::Udp, stranger, local, &request("here")));
    assert!(mux.route(Transport::Udp, neighbour, local, &request("here")));
    assert!(mux.route(Transport::Udp, stranger, local, &request("there")));
    assert!(!mux.route(Transport::Udp, stranger, local, &request("nobody")));
    assert_eq!(arrived.recv().await.unwrap().source, neighbour);
    assert_eq!(arrived.recv().await.unwrap().source, stranger);
    assert!(arrived.try_recv().is_err());
    mux.stop();
}

#[tokio::test]
async fn what_a_peer_has_not_signed_changes_nothing() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("ada", 1, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let (ada, eve): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5000".parse().unwrap(), "203.0.113.9:5000".parse().unwrap());
    let media = [[0x80, 111].as_slice(), &[7; 40]].concat();
    assert!(mux.route(Transport::Udp, ada, local, &request("ada")));
    for forged in [
        stun::request("ada", "guessed", true),
        stun::request("nobody", "secret", true),
        request("ada")[..60].to_vec(),
        media.clone(),
        vec![22; 100],
        vec![0xff; 3],
    ] {
        assert!(!mux.route(Transport::Udp, eve, local, &forged));
    }
    assert!(mux.route(Transport::Udp, ada, local, &media));
    let sources: Vec<_> = std::iter::from_fn(|| arrived.try_recv().ok()).map(|one| one.source).collect();
    assert_eq!(sources, [ada, ada]);
    let drops = mux.drops();
    assert_eq!(drops.of(Reason::WrongSignature), 1);
    assert_eq!(drops.of(Reason::UnknownSession), 1);
    assert_eq!(drops.of(Reason::NoWebRtc), 1);
    assert_eq!(drops.of(Reason::UnknownAddress), 3);
    mux.stop();
}

#[tokio::test]
async fn a_peer_that_floods_leaves_room_for_others() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, arrived) = mpsc::channel(2 * WAITING_OF_SESSION);
    mux.register(person("eve", 1, Reach::Anywhere), inbox.clone());
    mux.register(person("ada", 2, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let (eve, ada): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap());
    mux.route(Transport::Udp, eve, local, &request("eve"));
    mux.route(Transport::Udp, ada, local, &request("ada"));
    for _ in 0..4 * WAITING_OF_SESSION {
        mux.route(Transport::Udp, eve, local, &[0x80; 40]);
    }
    assert!(mux.route(Transport::Udp, ada, local, &[0x80; 40]));
    assert_eq!(arrived.len(), WAITING_OF_SESSION + 2);
    assert_eq!(mux.drops().of(Reason::RoomBusy), 0);
    drop(arrived);
    mux.stop();
}

#[tokio::test]
async fn a_datagram_of_nobody_is_tried_with_who_may_have_moved() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    let session = mux.register(person("ada", 1, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let (old, new): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5000".parse().unwrap(), "192.0.2.1:6000".parse().unwrap());
    mux.route(Transport::Udp, old, local, &request("ada"));
    mux.route(Transport::Udp, new, local, &[[0x80, 200].as_slice(), &[7; 40]].concat());
    mux.proven(session, (Transport::Udp, new));
    mux.route(Transport::Udp, new, local, &[0x80; 40]);
    let tried: Vec<_> = std::iter::from_fn(|| arrived.try_recv().ok()).map(|one| one.is_trial).collect();
    assert_eq!(tried, [false, true, false]);
    mux.stop();
}

#[tokio::test]
async fn a_tcp_connection_that_names_no_session_is_closed() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("here", 1, Reach::Anywhere), inbox);
    let said = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect((LOCALHOST, mux.port())).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    let framed = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let too_long = [0xff; 4];
    let forged = framed(&stun::request("here", "guessed", true)).repeat(20);
    for nonsense in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), too_long.to_vec(), forged] {
        let mut stream = said(&nonsense).await;
        let read = timeout(SOON, stream.read(&mut [0; 8])).await.unwrap();
        assert!(read.is_err() || read.is_ok_and(|len| len == 0));
    }
    let _stream = said(&framed(&request("here"))).await;
    assert_eq!(timeout(SOON, arrived.recv()).await.unwrap().unwrap().transport, Transport::Tcp);
    mux.stop();
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_tcp_connection_holds_little_and_loses_it_with_its_session() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    let session = mux.register(person("here", 1, Reach::Anywhere), inbox);
    let mut stream = TcpStream::connect((LOCALHOST, mux.port())).await.unwrap();
    let named = request("here");
    stream
        .write_all(&[&u16::try_from(named.len()).unwrap().to_be_bytes(), &named[..]].concat())
        .await
        .unwrap();
    timeout(SOON, arrived.recv()).await.unwrap().unwrap();
    let (source, destination) = (SocketAddr::new(LOCALHOST, mux.port()), stream.local_addr().unwrap());
    let mut sent = 0;
    for _ in 0..20_000 {
        mux.send(Datagram { transport: Transport::Tcp, source, destination, bytes: vec![9; 1000] });
        sent += 1000;
        tokio::task::yield_now().await;
    }
    let dropped = mux.drops().of(Reason::NotTaken) as usize * 1000;
    // What the systems of both sides keep is some megabytes at most.
    assert!(dropped > sent / 2, "{dropped} of {sent}");
    mux.unregister(session);
    let mut rest = Vec::new();
    let end = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(end.is_ok_and(|_| rest.len() < sent / 2), "the rest is gone at once");
    mux.stop();
}
