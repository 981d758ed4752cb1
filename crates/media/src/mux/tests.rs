#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

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

/// A request for the session of `ufrag`, which no password signs: that is for the session to judge.
fn request(ufrag: &str) -> Vec<u8> {
    let username = format!("{ufrag}:peer");
    let padded = username.len().next_multiple_of(4);
    let mut bytes = vec![0, 1];
    bytes.extend((u16::try_from(4 + padded).unwrap() + 8 + 24).to_be_bytes());
    bytes.extend(0x2112_a442u32.to_be_bytes());
    bytes.extend([7; 12]);
    bytes.extend([0, 6]);
    bytes.extend(u16::try_from(username.len()).unwrap().to_be_bytes());
    bytes.extend(username.bytes().chain(std::iter::repeat_n(0, padded - username.len())));
    let (priority, integrity) = ([0, 0x24, 0, 4, 0, 0, 0, 1], [0, 8, 0, 20]);
    bytes.extend(priority.into_iter().chain(integrity).chain([1; 20]));
    bytes
}

#[test]
fn the_request_of_these_tests_is_one() {
    assert_eq!(crate::session::stun::local_ufrag(&request("abc")).as_deref(), Some("abc"));
}

#[tokio::test]
async fn who_signals_from_this_machine_is_heard_from_it_alone() {
    let config = MuxConfig { listen: MediaListen::AsSignalled, port: 0, advertise: Vec::new() };
    let mux = Mux::start(config).await.unwrap();
    assert_eq!(mux.reach(true), Reach::ThisMachine);
    assert_eq!(mux.reach(false), Reach::Anywhere);
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register("here".to_owned(), inbox.clone(), Reach::ThisMachine);
    mux.register("there".to_owned(), inbox, Reach::Anywhere);
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
async fn a_tcp_connection_that_names_no_session_is_closed() {
    let mux = Mux::start(at(&[LOCALHOST], 0)).await.unwrap();
    let (inbox, mut arrived) = mpsc::channel(8);
    mux.register("here".to_owned(), inbox, Reach::Anywhere);
    let said = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect((LOCALHOST, mux.port())).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    };
    let framed = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    for nonsense in [b"GET / HTTP/1.1\r\n\r\n".to_vec(), framed(&request("nobody")), framed(&[9; 40])] {
        let mut stream = said(&nonsense).await;
        let read = timeout(SOON, stream.read(&mut [0; 8])).await.unwrap();
        assert!(read.is_err() || read.is_ok_and(|len| len == 0));
    }
    let _stream = said(&framed(&request("here"))).await;
    assert_eq!(timeout(SOON, arrived.recv()).await.unwrap().unwrap().transport, Transport::Tcp);
    mux.stop();
}
