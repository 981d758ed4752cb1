//! One port for all media: datagrams to sessions, by remote address and, before that is known, by ICE ufrag.
//!
//! ```text
//!   a UDP socket and a TCP listener ─┐                        ┌─► inbox of room A
//!   for each address of this machine ┴─ route(address, ufrag)─┴─► inbox of room B
//! ```
//!
//! TCP carries the same datagrams with a length in front (RFC 4571), for those whose UDP is blocked. What comes by the page's port, or by TURN,
//! goes the same way: see [`tcp`] and [`turn`]. Addresses come and go
//! while the program runs: laptops change their network, VPNs and containers begin and end. What is bound follows them,
//! and sessions that begin afterwards are told the new ones. Each address has a socket of its own, so that an answer leaves by the address
//! that was asked.
//!
//! Nobody is heard who does not name the ufrag of a session and sign with its password: see [`routes`]. Where nobody but this
//! machine signals, datagrams of other machines are dropped even so: see [`MediaListen::AsSignalled`]. What is dropped is
//! counted by its reason.

pub(crate) mod addresses;
mod names;
pub(crate) mod passage;
pub(crate) mod routes;
mod runs;
mod tcp;
mod turn;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reelroom_limits::media::{DATAGRAM_BYTES, WAITING_OF_SESSION};
use reelroom_turn::{Client, Secret, Server, is_relayed};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::drops::{Drops, Reason};
use crate::error::MediaError;
use crate::session::stun::{self, Kind};
use addresses::{Interface, MediaListen, Reach};
use names::Names;
use passage::Passage;
use routes::{Address, Registration, Routes, Unused};
use tcp::Connections;
pub use tcp::TCP_SEND_BUFFER_BYTES;

/// What is asked of the system for each UDP socket: a second of a busy room. What does not fit is dropped, as a full network would.
pub const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// How often any free port is asked for anew where the one found is taken after all.
const PORT_TRIES: u32 = 20;
/// How often the machine's addresses are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

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
    /// The address belongs to nobody: this session's peer may have moved there.
    pub(crate) is_trial: bool,
    _waits: Waits,
}

impl Incoming {
    /// A datagram as it comes by UDP; for tests.
    pub(crate) fn udp(
        source: SocketAddr,
        destination: SocketAddr,
        bytes: Vec<u8>,
        received: Instant,
    ) -> Self {
        Self {
            session: SessionId(0),
            received,
            transport: Transport::Udp,
            source,
            destination,
            bytes: bytes.into(),
            is_trial: false,
            _waits: Waits(Arc::new(AtomicUsize::new(1))),
        }
    }
}

/// A datagram of a session that waits for its room.
#[derive(Debug)]
struct Waits(Arc<AtomicUsize>);

impl Waits {
    /// None where as many wait as may.
    fn begin(count: &Arc<AtomicUsize>) -> Option<Self> {
        let waiting = count.fetch_add(1, Ordering::Relaxed);
        let waits = Self(Arc::clone(count));
        (waiting < WAITING_OF_SESSION).then_some(waits)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A datagram to send.
#[cfg_attr(test, derive(Clone, Debug))]
pub(crate) struct Datagram {
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Where a room takes its datagrams.
pub(crate) type Inbox = mpsc::Sender<Incoming>;

/// The addresses of a session, best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalAddresses {
    /// Where its datagrams arrive.
    pub(crate) bound: Vec<SocketAddr>,
    /// What its peer is told.
    pub(crate) told: Vec<SocketAddr>,
    /// Where the peer may dial besides, over TCP alone: the page's port.
    pub(crate) told_tcp: Vec<SocketAddr>,
}

/// Where a session takes its datagrams, of which so many may wait there.
#[derive(Clone)]
struct Way {
    inbox: Inbox,
    waiting: Arc<AtomicUsize>,
}

/// Where a datagram came from, where it arrived, and when.
#[derive(Clone, Copy)]
pub(crate) struct Arrived {
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) at: Instant,
}

impl Arrived {
    fn now(transport: Transport, source: SocketAddr, destination: SocketAddr) -> Self {
        Self { transport, source, destination, at: Instant::now() }
    }
}

/// Whose a session is, and how its peer names and signs it.
pub(crate) struct Person {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    /// The same for all sessions of one person.
    pub(crate) number: u64,
    pub(crate) reach: Reach,
}

/// How media is received.
#[derive(Clone, Debug)]
pub(crate) struct MuxConfig {
    pub(crate) listen: MediaListen,
    /// Of UDP and TCP; 0 for any free one.
    pub(crate) port: u16,
    /// What peers are told instead of the addresses of this machine.
    pub(crate) advertise: Vec<IpAddr>,
    /// Names whose addresses they are told as well.
    pub(crate) advertise_names: Vec<String>,
    /// What clients are offered whose network lets little through.
    pub(crate) passage: Passage,
}

impl MuxConfig {
    /// The port of TURN over UDP, where that is not the port of media.
    fn turn_port_apart(&self) -> Option<u16> {
        self.passage.turn_udp_port.filter(|port| *port != self.port)
    }

    /// Whether TCP at a port is the page's, which takes media as well: it is no failure that it is taken.
    fn is_of_page(&self, port: u16) -> bool {
        self.passage.page.as_ref().is_some_and(|page| page.port == port)
    }
}

/// The sockets of one address.
struct Endpoint {
    address: SocketAddr,
    udp: UdpSocket,
    sender: runs::Sender,
    /// Of TURN, where that has a port of its own.
    turn: Option<(SocketAddr, UdpSocket)>,
    /// Ends what reads them.
    stop: CancellationToken,
}

impl Endpoint {
    fn socket_at(&self, address: SocketAddr) -> Option<&UdpSocket> {
        if self.address == address {
            return Some(&self.udp);
        }
        self.turn.as_ref().filter(|(at, _)| *at == address).map(|(_, socket)| socket)
    }
}

/// The sockets of one address that nobody reads yet.
struct Opened {
    address: SocketAddr,
    udp: UdpSocket,
    tcp: io::Result<TcpListener>,
    turn: Option<(SocketAddr, io::Result<UdpSocket>)>,
}

/// Opens the sockets of an address. That TCP, or the port of TURN, is taken by somebody is no reason to go without UDP.
async fn open(ip: IpAddr, port: u16, turn_port: Option<u16>) -> io::Result<Opened> {
    let udp = udp_socket(SocketAddr::new(ip, port))?;
    let address = SocketAddr::new(ip, udp.local_addr()?.port());
    let turn = turn_port.map(|port| SocketAddr::new(ip, port)).map(|at| (at, udp_socket(at)));
    Ok(Opened { address, udp, tcp: TcpListener::bind(address).await, turn })
}

/// What could not be bound, by what it is, with the reason.
type Failures = Vec<(String, String)>;

/// Opens one port at all addresses. With port 0 the first socket chooses, and all have to get that port.
async fn open_all(binds: &[IpAddr], config: &MuxConfig) -> io::Result<(Vec<Opened>, Failures)> {
    let (port, turn_port) = (config.port, config.turn_port_apart());
    let (mut opened, mut failures, mut chosen) = (Vec::new(), Failures::new(), port);
    for ip in binds {
        match open(*ip, chosen, turn_port).await {
            Ok(one) => {
                chosen = one.address.port();
                let taken = one.tcp.as_ref().err().filter(|error| error.kind() == ErrorKind::AddrInUse);
                if let Some(error) = taken.filter(|_| port == 0) {
                    return Err(io::Error::new(error.kind(), error.to_string()));
                }
                failures.extend(lesser_failures(&one, config));
                opened.push(one);
            }
            Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse => return Err(error),
            Err(error) => failures.push((SocketAddr::new(*ip, chosen).to_string(), error.to_string())),
        }
    }
    Ok((opened, failures))
}

/// What of an address could not be opened that sessions go without.
fn lesser_failures(opened: &Opened, config: &MuxConfig) -> Failures {
    let address = opened.address;
    let tcp = opened.tcp.as_ref().err().filter(|_| !config.is_of_page(address.port()));
    let tcp = tcp.map(|error| (format!("TCP {address}"), error.to_string()));
    let turn = opened.turn.as_ref().and_then(|(at, socket)| {
        let error = socket.as_ref().err()?;
        Some((format!("TURN {at}"), error.to_string()))
    });
    tcp.into_iter().chain(turn).collect()
}

/// All media sockets.
pub(crate) struct Mux {
    config: MuxConfig,
    port: u16,
    endpoints: RwLock<Vec<Arc<Endpoint>>>,
    /// The addresses of this machine, also those that nothing is bound to.
    machine: RwLock<Vec<Interface>>,
    names: Names,
    turn: Mutex<Server>,
    failures: Mutex<Failures>,
    routes: Mutex<Routes<Way>>,
    connections: Connections,
    drops: Arc<Drops>,
    has_refused: AtomicBool,
    stop: CancellationToken,
}

impl Mux {
    /// Opens the sockets and reads them until [`Mux::stop`]. An address that cannot be bound is told by [`Mux::warnings`],
    /// and tried again.
    ///
    /// # Errors
    /// [`MediaError::Listen`]: no address can be bound.
    pub(crate) async fn start(config: MuxConfig) -> Result<Arc<Self>, MediaError> {
        let machine = interfaces();
        let (binds, left_out) = addresses::receive_at(&config.listen, &machine);
        if left_out > 0 {
            tracing::warn!(left_out, "this machine has more addresses than media is received at");
        }
        let mut tries = 1..=PORT_TRIES;
        let (opened, failures) = loop {
            match open_all(&binds, &config).await {
                Ok(all) => break all,
                // Free for UDP on one address, the port may be somebody's for TCP or on another one.
                Err(_) if tries.next().is_some() => {}
                Err(error) => {
                    return Err(MediaError::Listen { port: config.port, reasons: error.to_string() });
                }
            }
        };
        let Some(first) = opened.first() else {
            return Err(MediaError::Listen { port: config.port, reasons: reasons(&failures) });
        };
        let names = Names::new(&config.advertise_names);
        // The first sessions are told them too.
        names.look_up().await;
        let mux = Arc::new(Self {
            port: first.address.port(),
            config,
            endpoints: RwLock::default(),
            machine: RwLock::new(machine),
            names,
            turn: Mutex::new(Server::new(Secret::new(rand::random()))),
            failures: Mutex::default(),
            routes: Mutex::new(Routes::new(Instant::now())),
            connections: Connections::default(),
            drops: Arc::default(),
            has_refused: AtomicBool::new(false),
            stop: CancellationToken::new(),
        });
        let bound: Vec<_> = opened.iter().map(|one| one.address.ip()).collect();
        tracing::info!(port = mux.port, addresses = ?bound, advertised = ?mux.config.advertise, "media is received");
        for one in opened {
            mux.add(one);
        }
        mux.note(failures);
        mux.tell_peers();
        tokio::spawn(Arc::clone(&mux).follow_machine());
        tokio::spawn(names::follow(Arc::clone(&mux)));
        Ok(mux)
    }

    /// The addresses of a session that begins now.
    pub(crate) fn addresses(&self, reach: Reach) -> LocalAddresses {
        let bound: Vec<_> = self.endpoints().iter().map(|endpoint| endpoint.address).collect();
        let own = {
            let machine = self.machine.read().expect("nobody panics while it looks");
            addresses::offered(&self.config.listen, &machine, &bound, reach)
        };
        let advertise = self.advertised();
        let told = addresses::told(&own, &advertise, self.port, reach);
        let page = self.config.passage.page.as_ref().filter(|_| reach == Reach::Anywhere);
        let mut told_tcp = page.map(|page| page.candidates(&told, !advertise.is_empty())).unwrap_or_default();
        // Where both have one number, it is told as that of media.
        told_tcp.retain(|address| !told.contains(address));
        LocalAddresses { bound, told, told_tcp }
    }

    /// What peers are told instead of the addresses of this machine, as it is known now.
    fn advertised(&self) -> Vec<IpAddr> {
        self.config.advertise.iter().copied().chain(self.names.addresses()).collect()
    }

    /// Whether peers are told addresses of something in front of this machine.
    fn advertises(&self) -> bool {
        !self.advertised().is_empty()
    }

    /// Where a session takes what came to an address by another port: at the same address, or the best of its family.
    fn media_address(&self, ip: IpAddr) -> Option<SocketAddr> {
        let endpoints = self.endpoints.read().expect("nobody panics while it changes endpoints");
        let mut all = endpoints.iter().map(|endpoint| endpoint.address);
        let same = all.clone().find(|address| address.ip() == ip);
        let of_family = || all.clone().find(|address| address.is_ipv4() == ip.is_ipv4());
        same.or_else(of_family).or_else(|| all.next())
    }

    /// Serves a connection of the page's port, from `source` to `local`, that begins as media does, to its end.
    pub(crate) async fn take_connection<S>(&self, stream: S, source: SocketAddr, local: SocketAddr)
    where
        S: AsyncRead + AsyncWrite,
    {
        tcp::take(self, stream, source, local).await;
    }

    /// The port of UDP and TCP.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether an address is one of this machine.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        let is_of_machine = || {
            let machine = self.machine.read().expect("nobody panics while it looks");
            machine.iter().any(|one| one.ip == ip)
        };
        ip.is_loopback() || is_of_machine()
    }

    /// Whom somebody has to be heard from who signals from this machine, or from elsewhere.
    pub(crate) fn reach(&self, is_from_this_machine: bool) -> Reach {
        match self.config.listen {
            MediaListen::AsSignalled if is_from_this_machine => Reach::ThisMachine,
            _ => Reach::Anywhere,
        }
    }

    /// What an operator should look at: addresses at which no media is received though it should be.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let failures = self.failures.lock().expect("nobody panics while it notes failures");
        let failures = failures.iter().map(|(what, why)| format!("no media is received at {what}: {why}"));
        failures.chain(self.names.warnings()).collect()
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.read().expect("nobody panics while it changes endpoints").clone()
    }

    fn add(self: &Arc<Self>, opened: Opened) {
        let stop = self.stop.child_token();
        let turn = opened.turn.and_then(|(at, socket)| Some((at, socket.ok()?)));
        let endpoint = Arc::new(Endpoint {
            address: opened.address,
            udp: opened.udp,
            sender: runs::Sender::default(),
            turn,
            stop: stop.clone(),
        });
        self.endpoints.write().expect("nobody panics while it changes endpoints").push(Arc::clone(&endpoint));
        tokio::spawn(Arc::clone(self).read_udp(Arc::clone(&endpoint)));
        if endpoint.turn.is_some() {
            tokio::spawn(Arc::clone(self).read_turn(endpoint));
        }
        if let Ok(listener) = opened.tcp {
            tokio::spawn(tcp::accept(Arc::clone(self), opened.address, listener, stop));
        }
    }

    /// Keeps what failed, and tells what has not been told yet.
    fn note(&self, failures: Failures) {
        let mut known = self.failures.lock().expect("nobody panics while it notes failures");
        for (what, why) in failures.iter().filter(|one| !known.contains(one)) {
            tracing::warn!(
                address = what,
                error = why,
                "no media is received at an address; it is tried again"
            );
        }
        *known = failures;
    }

    /// Binds what this machine gets, and lets go of what it loses.
    async fn follow_machine(self: Arc<Self>) {
        let mut last = None;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.tend_turn();
            let machine = interfaces();
            if machine.is_empty() {
                continue;
            }
            let has_failed = !self.failures.lock().expect("nobody panics while it notes failures").is_empty();
            if last.as_ref() == Some(&machine) && !has_failed {
                continue;
            }
            self.follow(&machine).await;
            self.tell_peers();
            last = Some(machine);
        }
    }

    async fn follow(self: &Arc<Self>, machine: &[Interface]) {
        let own: HashSet<_> = machine.iter().map(|one| one.ip).collect();
        let (binds, _) = addresses::receive_at(&self.config.listen, machine);
        *self.machine.write().expect("nobody panics while it changes addresses") = machine.to_vec();
        // One that was asked for by its own name stays bound: it may come back, or never be an interface's.
        let is_gone = |endpoint: &Arc<Endpoint>| {
            let ip = endpoint.address.ip();
            !own.contains(&ip) && !binds.contains(&ip) && !ip.is_loopback()
        };
        for endpoint in self.endpoints().iter().filter(|endpoint| is_gone(endpoint)) {
            tracing::info!(address = %endpoint.address, "this machine has lost an address of its media");
            endpoint.stop.cancel();
        }
        self.endpoints.write().expect("nobody panics while it changes endpoints").retain(|one| !is_gone(one));
        let bound: HashSet<_> = self.endpoints().iter().map(|endpoint| endpoint.address.ip()).collect();
        // A TCP port, or one of TURN, that was taken is not tried again: sessions go without it.
        let mut failures: Failures =
            self.failures.lock().expect("nobody panics while it notes failures").clone();
        let turn_port = self.config.turn_port_apart();
        failures.retain(|(what, _)| {
            let is_of = |kind: &str, ip: &IpAddr, port: u16| {
                what.strip_prefix(kind).is_some_and(|at| at == SocketAddr::new(*ip, port).to_string())
            };
            let is_turn = |ip: &IpAddr| turn_port.is_some_and(|port| is_of("TURN ", ip, port));
            bound.iter().any(|ip| is_of("TCP ", ip, self.port) || is_turn(ip))
        });
        for ip in binds.iter().filter(|ip| !bound.contains(ip)) {
            match open(*ip, self.port, turn_port).await {
                Ok(one) => {
                    tracing::info!(address = %one.address, "media is received at another address");
                    failures.extend(lesser_failures(&one, &self.config));
                    self.add(one);
                }
                Err(error) => failures.push((SocketAddr::new(*ip, self.port).to_string(), error.to_string())),
            }
        }
        // The best address first, as at the start.
        let place = |endpoint: &Arc<Endpoint>| binds.iter().position(|ip| *ip == endpoint.address.ip());
        let mut endpoints = self.endpoints.write().expect("nobody panics while it changes endpoints");
        endpoints.sort_by_key(|endpoint| place(endpoint).unwrap_or(usize::MAX));
        drop(endpoints);
        self.note(failures);
    }

    /// Datagrams of a person's session go to `inbox`, as far as they are in reach.
    pub(crate) fn register(&self, person: Person, inbox: Inbox) -> SessionId {
        let registration = Registration {
            ufrag: person.ufrag,
            password: person.password.into(),
            person: person.number,
            reach: person.reach,
            inbox: Way { inbox, waiting: Arc::default() },
        };
        self.routes().register(registration, Instant::now())
    }

    /// A session goes by these names from now on, each a ufrag with the password that signs it.
    pub(crate) fn rename(&self, id: SessionId, names: Vec<(String, String)>) {
        let names = names.into_iter().map(|(ufrag, password)| (ufrag, Arc::<str>::from(password)));
        self.routes().rename(id, names.collect());
    }

    /// Forgets a session, and closes the TCP connections that were its own.
    pub(crate) fn unregister(&self, id: SessionId) {
        let addresses = self.routes().unregister(id);
        for (_, source) in addresses.iter().filter(|(transport, _)| *transport == Transport::Tcp) {
            self.connections.close(*source);
        }
    }

    /// What was not taken, by reason.
    pub(crate) fn drops(&self) -> &Arc<Drops> {
        &self.drops
    }

    /// Only the peer of a session can have sent what came from an address: it belongs to the session from now on.
    pub(crate) fn proven(&self, session: SessionId, from: Address) {
        self.routes().proven(session, from, Instant::now());
    }

    /// Media of a session flows on an address from now on.
    pub(crate) fn flows(&self, session: SessionId, on: Address) {
        self.routes().flows(session, on);
    }

    /// A sender of media is heard in a session for the first time.
    pub(crate) fn sends(&self, session: SessionId, ssrc: u32) {
        self.routes().sends(session, ssrc);
    }

    /// Sends datagrams, or drops them where a socket is full: to wait would hold up everybody else.
    pub(crate) fn send(&self, mut datagrams: Vec<Datagram>) {
        let mut rest = &mut datagrams[..];
        while !rest.is_empty() {
            let (run, others) = rest.split_at_mut(runs::first_run(rest));
            rest = others;
            let not_sent = self.send_run(run);
            if not_sent > 0 {
                self.drops.add(Reason::NotTaken, not_sent as u64);
            }
        }
    }

    /// Sends what goes together, and says how many could not be sent.
    fn send_run(&self, run: &mut [Datagram]) -> usize {
        let Datagram { transport, source, destination, .. } = run[0];
        match transport {
            Transport::Udp if is_relayed(destination.ip()) => {
                run.iter().for_each(|datagram| self.send_relayed(datagram));
                0
            }
            Transport::Udp => self.endpoint_at(source).map_or(0, |at| at.sender.send(&at.udp, run)),
            Transport::Tcp => {
                let bytes = run.iter_mut().map(|datagram| std::mem::take(&mut datagram.bytes));
                bytes.filter_map(|bytes| (!self.connections.send(destination, bytes)).then_some(())).count()
            }
        }
    }

    /// What would have gone out since the last time. Nothing goes out any more.
    #[cfg(test)]
    pub(crate) fn tap(&self) -> Vec<Datagram> {
        let mut all = Vec::new();
        for endpoint in self.endpoints() {
            all.extend(endpoint.sender.tap.lock().unwrap().replace(Vec::new()).unwrap_or_default());
        }
        all
    }

    fn endpoint_at(&self, address: SocketAddr) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.read().expect("nobody panics while it changes endpoints");
        endpoints.iter().find(|endpoint| endpoint.address == address).cloned()
    }

    fn routes(&self) -> MutexGuard<'_, Routes<Way>> {
        self.routes.lock().expect("no code panics while it holds the routes")
    }

    async fn read_udp(self: Arc<Self>, endpoint: Arc<Endpoint>) {
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            let received = tokio::select! {
                () = endpoint.stop.cancelled() => return,
                received = endpoint.udp.recv_from(&mut buffer) => received,
            };
            match received {
                // An address that only allocations have: nothing of that comes by a network.
                Ok((_, source)) if is_relayed(source.ip()) => self.drops.count(Reason::UnknownAddress),
                Ok((len, remote)) if self.is_turn_here(&buffer[..len]) => {
                    let (transport, local) = (reelroom_turn::Transport::Udp, endpoint.address);
                    self.hear_turn(Client { transport, remote, local }, &buffer[..len]);
                }
                Ok((len, source)) => {
                    self.route(Arrived::now(Transport::Udp, source, endpoint.address), &buffer[..len]);
                }
                // A peer that closed its port is reported here; it says nothing about the socket.
                Err(error) => tracing::trace!(%error, "receiving a datagram failed"),
            }
        }
    }

    /// Whether the datagram was some session's.
    pub(crate) fn route(&self, arrived: Arrived, bytes: &[u8]) -> bool {
        let Arrived { transport, source, at: now, .. } = arrived;
        let Some(kind) = Kind::of(bytes) else {
            self.drops.count(Reason::NoWebRtc);
            return false;
        };
        // A known address may belong to a new session behind the same port: who is named decides.
        if let Some(request) = stun::Request::parse(bytes) {
            return match self.requested(arrived, &request) {
                Ok((session, way)) => self.deliver(session, &way, arrived, bytes, false),
                Err(reason) => {
                    self.drops.count(reason);
                    false
                }
            };
        }
        let mut routes = self.routes();
        let mut at = routes.at((transport, source), now);
        let (first, others) = (at.next(), at.collect::<Vec<_>>());
        if let Some((session, way)) = first {
            drop(routes);
            let mut is_taken = self.deliver(session, &way, arrived, bytes, false);
            for (session, way) in others {
                is_taken |= self.deliver(session, &way, arrived, bytes, false);
            }
            return is_taken;
        }
        self.drops.count(Reason::UnknownAddress);
        // A relayed address is a client's for as long as it is there: nobody moves to one without asking by STUN first.
        let may_have_moved = transport == Transport::Udp && !is_relayed(source.ip());
        if may_have_moved && matches!(kind, Kind::Rtp | Kind::Rtcp) {
            let moved = routes.moved(source, stun::ssrc(bytes, kind), now);
            drop(routes);
            for (session, way) in moved {
                self.deliver(session, &way, arrived, bytes, true);
            }
        }
        false
    }

    /// The session that a request names and that its peer signed.
    fn requested(&self, from: Arrived, request: &stun::Request<'_>) -> Result<(SessionId, Way), Reason> {
        let named = self.routes().named(request.ufrag());
        let (session, password, reach) = named.ok_or(Reason::UnknownSession)?;
        if !request.is_signed_with(&password) {
            return Err(Reason::WrongSignature);
        }
        if reach == Reach::ThisMachine && !self.is_own(self.behind(from.source)) {
            self.refuse(from.source);
            return Err(Reason::OutOfReach);
        }
        let used = self.routes().requested(session, (from.transport, from.source), from.at);
        let way = used.map_err(|unused| match unused {
            Unused::TooManyRequests => Reason::TooManyRequests,
            Unused::TooManyAddresses => Reason::TooManyAddresses,
            Unused::SessionOver => Reason::UnknownSession,
        })?;
        Ok((session, way))
    }

    /// Whether the datagram now waits for its session.
    fn deliver(&self, session: SessionId, way: &Way, from: Arrived, bytes: &[u8], is_trial: bool) -> bool {
        let Some(waits) = Waits::begin(&way.waiting) else {
            self.drops.count(Reason::ConnectionFloods);
            return true;
        };
        let Arrived { transport, source, destination, at: received } = from;
        let bytes = Bytes::copy_from_slice(bytes);
        let incoming =
            Incoming { session, received, transport, source, destination, bytes, is_trial, _waits: waits };
        match way.inbox.try_send(incoming) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.drops.count(Reason::RoomBusy);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Somebody who knows a session is not heard. That is worth a word: a proxy in front may not say for whom it asks.
    fn refuse(&self, source: SocketAddr) {
        if !self.has_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %source,
                "media from another machine is refused, because its participant seemed to join from this one; if a proxy \
                 stands in front, let it send X-Forwarded-For, or set media_listen (MEDIA_LISTEN): see docs/network.md"
            );
        }
    }
}

/// Whether a connection that begins with this byte is one of media: ICE over TCP begins with the length of a STUN request, and TURN with a
/// request itself. Neither HTTP nor TLS does.
#[must_use]
pub fn begins_media(first: u8) -> bool {
    first <= 3
}

/// Where a media server that begins now receives media, best first.
#[must_use]
pub fn receives_at(listen: &MediaListen) -> Vec<IpAddr> {
    addresses::receive_at(listen, &interfaces()).0
}

/// The addresses of this machine now; none where the system does not tell.
fn interfaces() -> Vec<Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine are not known");
        Vec::new()
    });
    all.into_iter().map(|one| Interface { ip: one.ip(), name: one.name }).collect()
}

fn reasons(failures: &Failures) -> String {
    let mut text = String::new();
    for (what, why) in failures {
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}{what}: {why}").expect("a string can be written to");
    }
    if text.is_empty() { "this machine has no address".to_owned() } else { text }
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The system may grant less; that is no reason not to start.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

#[cfg(test)]
mod tests;
