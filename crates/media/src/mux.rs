//! One port for all media: datagrams to sessions, by remote address and, before that is known, by ICE ufrag.
//!
//! ```text
//!   UDP socket(s) ─┐                        ┌─► inbox of room A
//!   TCP listener ──┴─ route(address, ufrag)─┴─► inbox of room B
//! ```
//!
//! TCP carries the same datagrams with a length in front (RFC 4571), for those whose UDP is blocked.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::MediaError;
use crate::session::stun;

/// A large datagram of WebRTC is below the usual MTU.
const MAX_DATAGRAM: usize = 2000;
/// A second of a busy room; what does not fit is dropped, as a full network would.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
const TCP_QUEUE: usize = 1024;
/// How often any free port is asked for anew where the one found is taken after all.
const PORT_TRIES: u32 = 20;
/// A TCP connection that says nothing of ICE for so long is closed.
const TCP_IDLE: Duration = Duration::from_secs(60);

/// How a datagram travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// One session among all of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// A datagram on its way to a session.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) session: SessionId,
    pub(crate) received: Instant,
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) bytes: Bytes,
}

/// A datagram to send.
pub(crate) struct Datagram {
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Where a room takes its datagrams.
pub(crate) type Inbox = mpsc::Sender<Incoming>;

/// The addresses that peers are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalAddresses {
    pub(crate) udp: Vec<SocketAddr>,
    pub(crate) tcp: Vec<SocketAddr>,
}

#[derive(Default)]
struct Routes {
    next_session: u64,
    by_ufrag: HashMap<String, (SessionId, Inbox)>,
    by_address: HashMap<(Transport, SocketAddr), (SessionId, Inbox)>,
    tcp: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
}

/// Each by the address that peers are told.
type Sockets<S> = Vec<(SocketAddr, S)>;

/// Sockets of one port at all addresses, and that port. With port 0 the first socket chooses; the others, and TCP, take the same one.
async fn open(
    binds: &[IpAddr],
    told: &[IpAddr],
    port: u16,
) -> io::Result<(Sockets<UdpSocket>, Sockets<TcpListener>, u16)> {
    let (mut udp, mut tcp, mut chosen) = (Vec::new(), Vec::new(), port);
    for (bind, tell) in binds.iter().zip(told) {
        let socket = udp_socket(SocketAddr::new(*bind, chosen))?;
        chosen = socket.local_addr()?.port();
        let listener = TcpListener::bind(SocketAddr::new(*bind, chosen)).await?;
        udp.push((SocketAddr::new(*tell, chosen), socket));
        tcp.push((SocketAddr::new(*tell, chosen), listener));
    }
    Ok((udp, tcp, chosen))
}

/// All media sockets.
pub(crate) struct Mux {
    /// By the address that peers are told.
    udp: Vec<(SocketAddr, UdpSocket)>,
    addresses: LocalAddresses,
    routes: Mutex<Routes>,
    stop: CancellationToken,
}

impl Mux {
    /// Opens the sockets and reads them until [`Mux::stop`].
    pub(crate) async fn start(
        listen: IpAddr,
        port: u16,
        advertise: &[IpAddr],
    ) -> Result<Arc<Self>, MediaError> {
        let (binds, told) = plan(listen, advertise);
        let mut tries = 1..=PORT_TRIES;
        let (udp, tcp, chosen) = loop {
            match open(&binds, &told, port).await {
                Ok(opened) => break opened,
                // Free for UDP on one address, the port may be somebody's for TCP or on another one.
                Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse && tries.next().is_some() => {
                }
                Err(source) => return Err(MediaError::Listen { port, source }),
            }
        };
        let mut addresses = LocalAddresses::default();
        for ip in &told {
            addresses.udp.push(SocketAddr::new(*ip, chosen));
            addresses.tcp.push(SocketAddr::new(*ip, chosen));
        }
        tracing::info!(port = chosen, addresses = ?told, "media is received");
        let mux = Arc::new(Self { udp, addresses, routes: Mutex::default(), stop: CancellationToken::new() });
        for index in 0..mux.udp.len() {
            tokio::spawn(Arc::clone(&mux).read_udp(index));
        }
        for (told, listener) in tcp {
            tokio::spawn(Arc::clone(&mux).accept_tcp(told, listener));
        }
        Ok(mux)
    }

    pub(crate) fn addresses(&self) -> &LocalAddresses {
        &self.addresses
    }

    /// The port of UDP and TCP.
    pub(crate) fn port(&self) -> u16 {
        self.addresses.udp.first().map_or(0, SocketAddr::port)
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Datagrams for `ufrag`, and for the addresses it is then heard from, go to `inbox`.
    pub(crate) fn register(&self, ufrag: String, inbox: Inbox) -> SessionId {
        let mut routes = self.routes();
        routes.next_session += 1;
        let id = SessionId(routes.next_session);
        routes.by_ufrag.insert(ufrag, (id, inbox));
        id
    }

    pub(crate) fn unregister(&self, id: SessionId) {
        let mut routes = self.routes();
        routes.by_ufrag.retain(|_, (session, _)| *session != id);
        routes.by_address.retain(|_, (session, _)| *session != id);
    }

    /// Sends a datagram, or drops it when the socket is full: to wait would hold up everybody else.
    pub(crate) fn send(&self, datagram: Datagram) {
        match datagram.transport {
            Transport::Udp => {
                let socket = self.udp.iter().find(|(told, _)| *told == datagram.source).or(self.udp.first());
                if let Some((_, socket)) = socket
                    && let Err(error) = socket.try_send_to(&datagram.bytes, datagram.destination)
                {
                    tracing::trace!(%error, destination = %datagram.destination, "a datagram was not sent");
                }
            }
            Transport::Tcp => {
                let connection = self.routes().tcp.get(&datagram.destination).cloned();
                if let Some(connection) = connection {
                    let _ = connection.try_send(datagram.bytes);
                }
            }
        }
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().expect("no code panics while it holds the routes")
    }

    async fn read_udp(self: Arc<Self>, index: usize) {
        let (told, socket) = &self.udp[index];
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            let received = tokio::select! {
                () = self.stop.cancelled() => return,
                received = socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((len, source)) => self.route(Transport::Udp, source, *told, &buffer[..len]),
                // A peer that closed its port is reported here; it says nothing about the socket.
                Err(error) => tracing::trace!(%error, "receiving a datagram failed"),
            }
        }
    }

    fn route(&self, transport: Transport, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) {
        let received = Instant::now();
        let ufrag = stun::local_ufrag(bytes);
        let mut routes = self.routes();
        let found = match ufrag {
            // A known address may belong to a new session behind the same port: the ufrag decides.
            Some(ufrag) => match routes.by_ufrag.get(&ufrag).cloned() {
                Some(route) => {
                    routes.by_address.insert((transport, source), route.clone());
                    Some(route)
                }
                None => None,
            },
            None => routes.by_address.get(&(transport, source)).cloned(),
        };
        drop(routes);
        let Some((session, inbox)) = found else { return };
        let bytes = Bytes::copy_from_slice(bytes);
        let _ = inbox.try_send(Incoming { session, received, transport, source, destination, bytes });
    }

    async fn accept_tcp(self: Arc<Self>, told: SocketAddr, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, source)) => {
                    tokio::spawn(Arc::clone(&self).serve_tcp(told, stream, source));
                }
                Err(error) => {
                    tracing::warn!(%error, "a TCP connection for media was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn serve_tcp(self: Arc<Self>, told: SocketAddr, stream: TcpStream, source: SocketAddr) {
        let _ = stream.set_nodelay(true);
        let (mut read, mut write) = stream.into_split();
        let (to_peer, mut from_sessions) = mpsc::channel::<Vec<u8>>(TCP_QUEUE);
        self.routes().tcp.insert(source, to_peer);
        let reading = async {
            let mut buffer = vec![0; usize::from(u16::MAX)];
            loop {
                let len = tokio::time::timeout(TCP_IDLE, read.read_u16()).await.ok()?.ok()?;
                let datagram = buffer.get_mut(..usize::from(len))?;
                read.read_exact(datagram).await.ok()?;
                self.route(Transport::Tcp, source, told, datagram);
            }
            #[allow(unreachable_code)]
            Some(())
        };
        let writing = async {
            while let Some(datagram) = from_sessions.recv().await {
                let len = u16::try_from(datagram.len()).ok()?;
                let mut framed = Vec::with_capacity(datagram.len() + 2);
                framed.extend_from_slice(&len.to_be_bytes());
                framed.extend_from_slice(&datagram);
                write.write_all(&framed).await.ok()?;
            }
            Some(())
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = reading => {}
            _ = writing => {}
        }
        let mut routes = self.routes();
        routes.tcp.remove(&source);
        routes.by_address.remove(&(Transport::Tcp, source));
    }
}

fn udp_socket(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The system may grant less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// Which addresses to bind, and what to call each towards peers. ICE has to know by which address a datagram came, so
/// each address has a socket of its own.
fn plan(listen: IpAddr, advertise: &[IpAddr]) -> (Vec<IpAddr>, Vec<IpAddr>) {
    match advertise {
        [first, ..] => (vec![listen], vec![*first]),
        [] if listen.is_unspecified() => {
            let mut all: Vec<_> = if_addrs::get_if_addrs()
                .unwrap_or_default()
                .into_iter()
                .map(|interface| interface.ip())
                .filter(|ip| ip.is_ipv4() || (listen.is_ipv6() && !is_link_local(ip)))
                .collect();
            if all.is_empty() {
                all.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            (all.clone(), all)
        }
        [] => (vec![listen], vec![listen]),
    }
}

/// Link-local addresses need a zone, which candidates cannot carry.
fn is_link_local(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfe80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn udp_and_tcp_share_a_port_that_was_free() {
        let mux = Mux::start(IpAddr::V4(Ipv4Addr::LOCALHOST), 0, &[]).await.unwrap();
        assert_ne!(mux.port(), 0);
        assert_eq!(mux.addresses().udp, mux.addresses().tcp);
        TcpStream::connect(mux.addresses().tcp[0]).await.unwrap();
        mux.stop();
    }

    #[test]
    fn a_public_address_is_told_instead_of_the_bound_one() {
        let public: IpAddr = "203.0.113.7".parse().unwrap();
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(plan(any, &[public]), (vec![any], vec![public]));
        assert!(!plan(any, &[]).0.is_empty());
    }
}
