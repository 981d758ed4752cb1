#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use passage::PagePort;
use reelroom_turn::testing::{Ask, Said, TestClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(5);

fn at(listen: &[IpAddr], port: u16) -> MuxConfig {
    MuxConfig {
        listen: MediaListen::At(listen.to_vec()),
        port,
        advertise: Vec::new(),
        advertise_names: Vec::new(),
        passage: Passage::default(),
    }
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
    let config = MuxConfig { listen: MediaListen::AsSignalled, ..at(&[], 0) };
    let mux = Mux::start(config).await.unwrap();
    assert_eq!(mux.reach(true), Reach::ThisMachine);
    assert_eq!(mux.reach(false), Reach::Anywhere);
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("here", 1, Reach::ThisMachine), inbox.clone());
    mux.register(person("there", 2, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let stranger: SocketAddr = "203.0.113.9:5000".parse().unwrap();
    let neighbour: SocketAddr = "127.0.0.1:5000".parse().unwrap();
    assert!(!mux.route(Arrived::now(Transport::Udp, stranger, local), &request("here")));
    assert!(mux.route(Arrived::now(Transport::Udp, neighbour, local), &request("here")));
    assert!(mux.route(Arrived::now(Transport::Udp, stranger, local), &request("there")));
    assert!(!mux.route(Arrived::now(Transport::Udp, stranger, local), &request("nobody")));
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
    assert!(mux.route(Arrived::now(Transport::Udp, ada, local), &request("ada")));
    for forged in [
        stun::request("ada", "guessed", true),
        stun::request("nobody", "secret", true),
        request("ada")[..60].to_vec(),
        media.clone(),
        vec![22; 100],
        vec![0xff; 3],
    ] {
        assert!(!mux.route(Arrived::now(Transport::Udp, eve, local), &forged));
    }
    assert!(mux.route(Arrived::now(Transport::Udp, ada, local), &media));
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
    mux.route(Arrived::now(Transport::Udp, eve, local), &request("eve"));
    mux.route(Arrived::now(Transport::Udp, ada, local), &request("ada"));
    for _ in 0..4 * WAITING_OF_SESSION {
        mux.route(Arrived::now(Transport::Udp, eve, local), &[0x80; 40]);
    }
    assert!(mux.route(Arrived::now(Transport::Udp, ada, local), &[0x80; 40]));
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
    mux.route(Arrived::now(Transport::Udp, old, local), &request("ada"));
    mux.route(Arrived::now(Transport::Udp, new, local), &[[0x80, 200].as_slice(), &[7; 40]].concat());
    mux.proven(session, (Transport::Udp, new));
    mux.route(Arrived::now(Transport::Udp, new, local), &[0x80; 40]);
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
        mux.send(vec![Datagram { transport: Transport::Tcp, source, destination, bytes: vec![9; 1000] }]);
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

/// A client that has been told what to sign with.
fn guest(mux: &Mux) -> TestClient {
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TestClient::new(mux.turn().issue("PA_ada", unix.as_secs()))
}

#[tokio::test]
async fn turn_at_the_port_of_media_carries_what_a_session_hears_and_says() {
    let passage = Passage { turn_udp_port: Some(0), page: None };
    let mux = Mux::start(MuxConfig { passage, ..at(&[LOCALHOST], 0) }).await.unwrap();
    assert_eq!(mux.turn_port(), Some(mux.port()));
    let (inbox, mut arrived) = mpsc::channel(8);
    let session = mux.register(person("ada", 1, Reach::Anywhere), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    socket.connect(local).await.unwrap();
    let mut buffer = [0; 2000];
    let mut speaker = guest(&mux);
    let mut said = Vec::new();
    for ask in [Ask::Binding, Ask::Allocate, Ask::Allocate, Ask::Permit(vec![local])] {
        socket.send(&speaker.ask(&ask)).await.unwrap();
        let len = timeout(SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
        said.push(speaker.read(&buffer[..len]));
    }
    let [Said::Seen(seen), Said::Refused(401), Said::Allocated(relayed), Said::Done(None)] = said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(seen, socket.local_addr().unwrap());
    // What ICE asks at the same port is ICE's.
    socket.send(&request("ada")).await.unwrap();
    assert_eq!(timeout(SOON, arrived.recv()).await.unwrap().unwrap().source, seen);
    let message = speaker.send(local, &request("ada"));
    socket.send(&message).await.unwrap();
    let incoming = timeout(SOON, arrived.recv()).await.unwrap().unwrap();
    assert_eq!((incoming.source, incoming.destination), (relayed, local));
    assert_eq!((incoming.session, incoming.transport, incoming.is_trial), (session, Transport::Udp, false));
    mux.send(vec![Datagram {
        transport: Transport::Udp,
        source: local,
        destination: relayed,
        bytes: vec![7; 30],
    }]);
    let len = timeout(SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(speaker.read(&buffer[..len]), Said::Data(local, vec![7; 30]));
    // With its allocation the client gives back its address.
    socket.send(&speaker.ask(&Ask::Refresh(0))).await.unwrap();
    let len = timeout(SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(speaker.read(&buffer[..len]), Said::Done(Some(0)));
    assert_eq!(mux.routes().len(), (1, 1), "the one that it asked from itself");
    mux.send(vec![Datagram {
        transport: Transport::Udp,
        source: local,
        destination: relayed,
        bytes: vec![7; 30],
    }]);
    assert_eq!(mux.drops().of(Reason::TurnRefused), 1);
    mux.stop();
}

#[tokio::test]
async fn turn_has_a_port_of_its_own_where_that_is_set_and_others_go_without_where_it_is_taken() {
    let taken = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    let passage = Passage { turn_udp_port: Some(taken.local_addr().unwrap().port()), page: None };
    let mux = Mux::start(MuxConfig { passage: passage.clone(), ..at(&[LOCALHOST], 0) }).await.unwrap();
    assert!(mux.warnings()[0].contains("TURN 127.0.0.1"), "{:?}", mux.warnings());
    mux.stop();
    drop(taken);
    let mux = Mux::start(MuxConfig { passage: passage.clone(), ..at(&[LOCALHOST], 0) }).await.unwrap();
    assert!(mux.warnings().is_empty());
    let socket = UdpSocket::bind((LOCALHOST, 0)).await.unwrap();
    socket.connect((LOCALHOST, passage.turn_udp_port.unwrap())).await.unwrap();
    let mut speaker = guest(&mux);
    socket.send(&speaker.ask(&Ask::Allocate)).await.unwrap();
    let mut buffer = [0; 2000];
    let len = timeout(SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(speaker.read(&buffer[..len]), Said::Refused(401));
    // At the port of media it is not spoken then.
    let (stranger, local) = ("192.0.2.1:5000".parse().unwrap(), SocketAddr::new(LOCALHOST, mux.port()));
    mux.route(Arrived::now(Transport::Udp, stranger, local), &speaker.ask(&Ask::Allocate));
    assert_eq!(mux.drops().of(Reason::UnknownAddress), 1);
    mux.stop();
}

/// A connection of the page's port, from `source`.
fn by_the_page(mux: &Arc<Mux>, source: &str) -> tokio::io::DuplexStream {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (mux, source) = (Arc::clone(mux), source.parse().unwrap());
    tokio::spawn(async move {
        mux.take_connection(server, source, "[::ffff:127.0.0.1]:443".parse().unwrap()).await
    });
    client
}

/// What a TURN client on a stream is answered.
async fn answered(stream: &mut tokio::io::DuplexStream, speaker: &mut TestClient) -> Said {
    let mut header = [0; reelroom_turn::HEADER_BYTES];
    timeout(SOON, stream.read_exact(&mut header)).await.unwrap().unwrap();
    let mut message = header.to_vec();
    message.resize(reelroom_turn::len_on_stream(header).unwrap(), 0);
    stream.read_exact(&mut message[header.len()..]).await.unwrap();
    speaker.read(&message)
}

#[tokio::test]
async fn the_pages_port_brings_turn_and_ice_to_the_same_sessions() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("ada", 1, Reach::Anywhere), inbox.clone());
    let local = SocketAddr::new(LOCALHOST, mux.port());
    let mut ice = by_the_page(&mux, "203.0.113.9:5000");
    let named = request("ada");
    ice.write_all(&[&u16::try_from(named.len()).unwrap().to_be_bytes(), &named[..]].concat()).await.unwrap();
    let incoming = timeout(SOON, arrived.recv()).await.unwrap().unwrap();
    assert_eq!(
        (incoming.transport, incoming.destination),
        (Transport::Tcp, local),
        "as if it had come there"
    );
    let destination = incoming.source;
    mux.send(vec![Datagram { transport: Transport::Tcp, source: local, destination, bytes: vec![9; 5] }]);
    let mut framed = [0; 7];
    timeout(SOON, ice.read_exact(&mut framed)).await.unwrap().unwrap();
    assert_eq!(framed, [0, 5, 9, 9, 9, 9, 9]);

    let mut turn = by_the_page(&mux, "203.0.113.9:5001");
    let mut speaker = guest(&mux);
    let mut said = Vec::new();
    for ask in [Ask::Allocate, Ask::Allocate, Ask::Bind(0x4000, local)] {
        turn.write_all(&speaker.ask(&ask)).await.unwrap();
        said.push(answered(&mut turn, &mut speaker).await);
    }
    let [Said::Refused(401), Said::Allocated(relayed), Said::Done(None)] = said[..] else {
        panic!("{said:?}")
    };
    turn.write_all(&reelroom_turn::testing::on_channel(0x4000, &request("ada"))).await.unwrap();
    let incoming = timeout(SOON, arrived.recv()).await.unwrap().unwrap();
    assert_eq!((incoming.transport, incoming.source, incoming.destination), (Transport::Udp, relayed, local));
    mux.send(vec![Datagram {
        transport: Transport::Udp,
        source: local,
        destination: relayed,
        bytes: vec![7; 30],
    }]);
    assert_eq!(answered(&mut turn, &mut speaker).await, Said::Channel(0x4000, vec![7; 30]));

    // Closed, both have nothing any more.
    drop((ice, turn));
    let gone = async {
        while mux.routes().len().1 > 0 || !mux.turn().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
    // What is neither ends at once.
    let mut nonsense = by_the_page(&mux, "203.0.113.9:5002");
    nonsense.write_all(&[1, 0, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5]).await.unwrap();
    assert_eq!(timeout(SOON, nonsense.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    mux.stop();
}

#[tokio::test]
async fn who_is_behind_a_relayed_address_is_heard_as_if_there_was_none() {
    let config = MuxConfig { listen: MediaListen::AsSignalled, ..at(&[], 0) };
    let mux = Mux::start(config).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register(person("here", 1, Reach::ThisMachine), inbox);
    let local = SocketAddr::new(LOCALHOST, mux.port());
    for (source, is_heard) in [("203.0.113.9:5001", false), ("127.0.0.1:5001", true)] {
        let mut turn = by_the_page(&mux, source);
        let mut speaker = guest(&mux);
        for ask in [Ask::Allocate, Ask::Allocate, Ask::Permit(vec![local])] {
            turn.write_all(&speaker.ask(&ask)).await.unwrap();
            answered(&mut turn, &mut speaker).await;
        }
        turn.write_all(&speaker.send(local, &request("here"))).await.unwrap();
        turn.write_all(&speaker.ask(&Ask::Refresh(600))).await.unwrap();
        assert_eq!(answered(&mut turn, &mut speaker).await, Said::Done(Some(600)));
        assert_eq!(arrived.try_recv().is_ok(), is_heard, "{source}");
    }
    assert_eq!(mux.drops().of(Reason::OutOfReach), 1);
    mux.stop();
}

#[tokio::test]
async fn an_answer_leaves_by_the_address_that_was_asked() {
    let second = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let mux = Mux::start(at(&[LOCALHOST, second], 0)).await.unwrap();
    let client = UdpSocket::bind("127.0.0.3:0").await.unwrap();
    // Until the runtime has looked at a new socket it takes nothing for sent.
    tokio::time::sleep(Duration::from_millis(1)).await;
    for ip in [second, LOCALHOST, second] {
        let source = SocketAddr::new(ip, mux.port());
        let destination = client.local_addr().unwrap();
        mux.send(vec![Datagram { transport: Transport::Udp, source, destination, bytes: vec![1] }]);
        let (_, from) = timeout(SOON, client.recv_from(&mut [0; 8])).await.unwrap().unwrap();
        assert_eq!(from, source);
    }
    mux.stop();
}

#[tokio::test]
async fn participants_are_offered_what_gets_through_and_those_of_this_machine_a_port_that_is_set_alone() {
    let page = PagePort {
        listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 443,
        tls_name: Some("calls.example.org".to_owned()),
    };
    let advertise = vec!["203.0.113.7".parse().unwrap()];
    let passage = Passage { turn_udp_port: Some(0), page: Some(page) };
    let mux = Mux::start(MuxConfig { advertise, passage, ..at(&[LOCALHOST], 0) }).await.unwrap();
    let addresses = mux.addresses(Reach::Anywhere);
    assert_eq!(addresses.told_tcp, ["203.0.113.7:443".parse::<SocketAddr>().unwrap()]);
    let offered = mux.ice_servers("PA_ada", Reach::Anywhere);
    let udp = format!("turn:203.0.113.7:{}?transport=udp", mux.port());
    assert_eq!(offered[0].urls, [udp.as_str(), "turns:calls.example.org:443?transport=tcp"]);
    assert!(offered[0].username.ends_with(":PA_ada") && offered[0].credential.len() > 16);
    assert_ne!(mux.ice_servers("PA_bob", Reach::Anywhere)[0].credential, offered[0].credential);
    let here = mux.ice_servers("PA_ada", Reach::ThisMachine).remove(0).urls;
    assert!(!here.is_empty() && here.iter().all(|url| url.ends_with("transport=udp")), "{here:?}");
    assert!(mux.addresses(Reach::ThisMachine).told_tcp.is_empty());
    mux.stop();
}

#[tokio::test]
async fn a_port_that_is_the_pages_too_is_told_once_and_no_failure() {
    let taken = TcpListener::bind((LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let page = PagePort { listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port, tls_name: None };
    let advertise = vec!["203.0.113.7".parse().unwrap()];
    let passage = Passage { turn_udp_port: None, page: Some(page) };
    let mux = Mux::start(MuxConfig { advertise, passage, ..at(&[LOCALHOST], port) }).await.unwrap();
    assert!(mux.warnings().is_empty(), "{:?}", mux.warnings());
    let addresses = mux.addresses(Reach::Anywhere);
    assert_eq!((addresses.told.len(), addresses.told_tcp.len()), (1, 0));
    let urls = mux.ice_servers("PA_ada", Reach::Anywhere).remove(0).urls;
    assert_eq!(urls, [format!("turn:203.0.113.7:{port}?transport=tcp")]);
    mux.stop();
}
