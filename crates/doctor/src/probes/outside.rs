//! What can be seen from inside of whether media reaches this machine: datagrams to its own media port, a STUN server that was named.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::stun::{self, Transaction};
use crate::checks::outside::{OutsideFacts, Seen, Sent};
use crate::subject::{Media, PublicAddress};

/// For an answer to one datagram.
const PATIENCE: Duration = Duration::from_millis(700);
const TRIES: u32 = 3;
/// For a TCP connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const DATAGRAM_BYTES: usize = 1500;
/// Of addresses that clients are told, so many are tried.
const MOST_TRIED: usize = 6;
/// What containers have at their root.
const OF_CONTAINERS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// What else is known of the set-up.
pub(crate) struct Around<'a> {
    pub(crate) public: &'a [PublicAddress],
    pub(crate) named: Vec<IpAddr>,
    pub(crate) is_for_others: bool,
    pub(crate) server_runs: bool,
    /// Of whoever was named to be asked.
    pub(crate) stun_server: Option<&'a str>,
}

/// Looks.
pub(crate) fn probe(media: &Media, around: Around<'_>) -> OutsideFacts {
    let is_advertised = !media.advertise.is_empty();
    let told = if is_advertised { media.advertise.clone() } else { media.at.clone() };
    let tried = told.iter().filter(|_| around.is_for_others && media.port != 0).take(MOST_TRIED);
    let tried = tried.map(|ip| SocketAddr::new(*ip, media.port));
    let sent = match around.server_runs {
        // It answers no datagram but of those who are in a call.
        true => tried.map(|to| (to, connected(to))).collect(),
        false => sent_to(media, tried.collect()),
    };
    OutsideFacts {
        port: media.port,
        told,
        is_advertised,
        own: super::own_addresses(),
        named: around.named,
        is_for_others: around.is_for_others,
        is_in_container: OF_CONTAINERS.iter().any(|file| Path::new(file).exists()),
        sent,
        stun: around.stun_server.map(|server| seen(server, media)),
        url: around.public.first().map(PublicAddress::url),
    }
}

fn connected(to: SocketAddr) -> Sent {
    match TcpStream::connect_timeout(&to, CONNECT_WITHIN) {
        Ok(_) => Sent::Connected,
        Err(_) => Sent::NotConnected,
    }
}

/// Binds the media port as the server would, and sends to it from another port by the addresses that clients are told.
fn sent_to(media: &Media, tried: Vec<SocketAddr>) -> Vec<(SocketAddr, Sent)> {
    let over = Arc::new(AtomicBool::new(false));
    let bound = media.at.iter().filter_map(|ip| UdpSocket::bind(SocketAddr::new(*ip, media.port)).ok());
    let answering: Vec<_> = bound
        .map(|socket| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || answer(&socket, &over))
        })
        .collect();
    // Where the port cannot be had, that is said of the port.
    let found = match answering.is_empty() {
        true => Vec::new(),
        false => tried.into_iter().filter_map(|to| Some((to, asked(to)?))).collect(),
    };
    over.store(true, Ordering::Relaxed);
    for thread in answering {
        let _ = thread.join();
    }
    found
}

fn answer(socket: &UdpSocket, over: &AtomicBool) {
    let mut datagram = [0; DATAGRAM_BYTES];
    if socket.set_read_timeout(Some(Duration::from_millis(100))).is_err() {
        return;
    }
    while !over.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
        if let Some(transaction) = stun::is_request(&datagram[..length]) {
            let _ = socket.send_to(&stun::answer(transaction, from), from);
        }
    }
}

/// None where this machine has no way to send there at all.
fn asked(to: SocketAddr) -> Option<Sent> {
    let socket = UdpSocket::bind(any(to.ip())).ok()?;
    match binding(&socket, to) {
        Ok(_) => Some(Sent::Came),
        Err(error) if is_late(&error) => Some(Sent::Lost),
        Err(_) => None,
    }
}

fn seen(server: &str, media: &Media) -> Seen {
    let from_media_port = |to: SocketAddr| {
        let of_family = media.at.iter().find(|ip| ip.is_ipv4() == to.is_ipv4() && !ip.is_loopback());
        of_family.and_then(|ip| UdpSocket::bind(SocketAddr::new(*ip, media.port)).ok())
    };
    let look = || -> io::Result<(SocketAddr, u16)> {
        let to =
            server.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("its name leads nowhere"))?;
        // The media port, where it is free: a router may treat each port in its own way.
        let socket = match from_media_port(to) {
            Some(socket) => socket,
            None => UdpSocket::bind(any(to.ip()))?,
        };
        Ok((binding(&socket, to)?, socket.local_addr()?.port()))
    };
    let found = look();
    let from_port = found.as_ref().map_or(0, |(_, port)| *port);
    let at = found
        .map(|(at, _)| SocketAddr::new(at.ip().to_canonical(), at.port()))
        .map_err(|error| error.to_string());
    Seen { server: server.to_owned(), at, from_port }
}

fn any(like: IpAddr) -> SocketAddr {
    match like {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Asks until an answer comes.
fn binding(socket: &UdpSocket, to: SocketAddr) -> io::Result<SocketAddr> {
    let transaction: Transaction = rand::random();
    let mut datagram = [0; DATAGRAM_BYTES];
    socket.set_read_timeout(Some(PATIENCE))?;
    for _ in 0..TRIES {
        socket.send_to(&stun::request(transaction), to)?;
        match socket.recv_from(&mut datagram) {
            Ok((length, _)) => {
                if let Some(at) = stun::mapped(&datagram[..length], transaction) {
                    return Ok(at);
                }
            }
            Err(error) if is_late(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer"))
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(stun_server: Option<&str>) -> Around<'_> {
        Around { public: &[], named: Vec::new(), is_for_others: true, server_runs: false, stun_server }
    }

    #[test]
    fn what_is_sent_to_the_own_port_comes_and_a_silent_server_is_told_from_one_that_answers() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let free = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap().port();
        let media = Media { port: free, at: vec![ip], advertise: Vec::new(), socket_buffer_bytes: 1 };
        let facts = probe(&media, around(None));
        assert_eq!(facts.sent, [(SocketAddr::new(ip, free), Sent::Came)]);

        let (server, over) = (UdpSocket::bind((ip, 0)).unwrap(), Arc::new(AtomicBool::new(false)));
        let name = server.local_addr().unwrap().to_string();
        let answering = std::thread::spawn({
            let over = Arc::clone(&over);
            move || answer(&server, &over)
        });
        let stun = probe(&media, around(Some(&name))).stun.unwrap();
        assert_eq!(stun.at.unwrap().ip(), ip);
        over.store(true, Ordering::Relaxed);
        answering.join().unwrap();
        let silent = UdpSocket::bind((ip, 0)).unwrap();
        let name = silent.local_addr().unwrap().to_string();
        assert!(probe(&media, around(Some(&name))).stun.unwrap().at.is_err());
    }
}
