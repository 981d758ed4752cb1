//! Who has a port: it is bound for a moment, unless the server runs.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use super::sockets;
use crate::checks::ports::Holder;
use crate::checks::ports::http::HttpFacts;
use crate::checks::ports::media::{MediaFacts, Transport};
use crate::subject::{Http, Media};

/// Of the page's.
pub(crate) fn http(http: Http, server_runs: bool) -> HttpFacts {
    let at = SocketAddr::new(http.listen, http.port);
    let of = |at: SocketAddr| holder(Transport::Tcp, at, server_runs);
    let redirect = http.redirect_port.map(|port| SocketAddr::new(http.listen, port));
    HttpFacts { at, holder: of(at), redirect: redirect.map(|at| (at, of(at))) }
}

/// Of media's.
pub(crate) fn media(media: &Media, server_runs: bool) -> MediaFacts {
    let mut holders = Vec::new();
    for ip in &media.at {
        for transport in [Transport::Udp, Transport::Tcp] {
            holders.push((*ip, transport, holder(transport, SocketAddr::new(*ip, media.port), server_runs)));
        }
    }
    let rmem_max = super::read("/proc/sys/net/core/rmem_max").and_then(|text| text.trim().parse().ok());
    MediaFacts { port: media.port, holders, rmem_max, socket_buffer_bytes: media.socket_buffer_bytes }
}

fn holder(transport: Transport, at: SocketAddr, server_runs: bool) -> Holder {
    let error = match bind(transport, at) {
        Ok(()) => return Holder::Nobody,
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::AddrInUse => taken(transport, at.ip(), at.port(), server_runs),
        // The system asks for the right before it says that somebody is there: the server has it of its unit, and doctor has not.
        ErrorKind::PermissionDenied if sockets::is_held(transport, at.ip(), at.port()) => {
            taken(transport, at.ip(), at.port(), server_runs)
        }
        ErrorKind::PermissionDenied => Holder::Forbidden,
        ErrorKind::AddrNotAvailable => Holder::NoSuchAddress,
        _ => Holder::Refused(error.to_string()),
    }
}

fn taken(transport: Transport, ip: IpAddr, port: u16, server_runs: bool) -> Holder {
    let who = sockets::holder(transport, ip, port);
    // Another user's process is not named; the server that answers is the likeliest.
    let is_server = who.as_ref().is_none_or(|who| who.starts_with(sockets::OUR_NAME));
    if server_runs && is_server { Holder::Server } else { Holder::Another(who) }
}

fn bind(transport: Transport, at: SocketAddr) -> io::Result<()> {
    match transport {
        Transport::Udp => UdpSocket::bind(at).map(drop),
        Transport::Tcp => TcpListener::bind(at).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_port_is_tried_and_let_go_of() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = taken.local_addr().unwrap();
        let Holder::Another(Some(who)) = holder(Transport::Tcp, at, false) else { panic!("it is taken") };
        assert!(who.contains(&std::process::id().to_string()), "{who}");
        drop(taken);
        for _ in 0..2 {
            assert_eq!(holder(Transport::Tcp, at, false), Holder::Nobody);
        }
        // TEST-NET-1: no machine has it.
        let nowhere = "192.0.2.1:0".parse().unwrap();
        assert_eq!(holder(Transport::Udp, nowhere, false), Holder::NoSuchAddress);
    }
}
