//! Media over TCP, for those whose UDP is blocked: ICE (RFC 4571, RFC 6544) and TURN (RFC 8656), told apart by how they begin.
//!
//! ```text
//!   accepted here, or by the page's port ─► its first bytes ─┬─ length, STUN ─► frames of a session
//!                                                            └─ STUN alone ───► messages of a TURN client
//!   unnamed: few, and not for long ─ signed STUN request ─► named: frames to the session, datagrams to the peer
//!     └─► gives way to newer ones                              └─► closed where it is silent, does not read, or
//!                                                                  its session, or its allocation, is over
//! ```
//!
//! A connection that has not named its session, and has no allocation, costs its task and a small buffer. Where there are too many of
//! them the oldest goes: who means it says so as soon as it is connected. Connections of both ports are in one table, by where they come from.

use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reelroom_limits::files::Files;
use reelroom_limits::media::{
    DATAGRAM_BYTES, TCP_CONNECTIONS, TCP_IDLE, TCP_NAMED_WITHIN, TCP_OF_ADDRESS, TCP_STALLED, TCP_UNNAMED,
    TCP_UNNAMED_OF_ADDRESS, TCP_WAITING_BYTES, TURN_LASTS,
};
use reelroom_turn::{Client, HEADER_BYTES, MESSAGE_BYTES};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{Arrived, Mux, Transport};
use crate::drops::Reason;

/// How long nobody is accepted after that was not possible, as without free file descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Datagrams before the signed request; some clients send several requests at once.
const UNNAMED_FRAMES: usize = 8;
/// What the system may keep for a peer besides [`TCP_WAITING_BYTES`]: with more, old pictures wait in front of new ones, and it is kept for a peer
/// that does not read.
pub const TCP_SEND_BUFFER_BYTES: usize = 256 * 1024;
/// So many bytes tell what a connection carries.
const HEAD_BYTES: usize = 10;
const READ_BUFFER_BYTES: usize = 4096;
/// More datagrams than this do not wait, however small they are.
const WAITING: usize = 1024;

/// All connections.
#[derive(Default)]
pub(super) struct Connections(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<SocketAddr, Connection>,
    by_ip: HashMap<IpAddr, usize>,
    /// The oldest in front.
    unnamed: VecDeque<SocketAddr>,
}

struct Connection {
    stop: CancellationToken,
    to_peer: Option<ToPeer>,
}

#[derive(Clone)]
struct ToPeer {
    datagrams: mpsc::Sender<Vec<u8>>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// A connection's place; given back at its end.
struct Place<'a> {
    connections: &'a Connections,
    source: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.connections.table().remove(self.source);
    }
}

impl Table {
    /// Makes room for a connection from `source`, or says that there is none.
    fn admit(&mut self, source: SocketAddr, most: usize, stop: CancellationToken) -> bool {
        let ip = source.ip();
        let of_ip = self.by_ip.get(&ip).copied().unwrap_or(0);
        if self.open.len() >= most || of_ip >= TCP_OF_ADDRESS || self.open.contains_key(&source) {
            return false;
        }
        let unnamed_of_ip = self.unnamed.iter().filter(|one| one.ip() == ip).count();
        let gives_way = if unnamed_of_ip >= TCP_UNNAMED_OF_ADDRESS {
            self.unnamed.iter().find(|one| one.ip() == ip).copied()
        } else {
            self.unnamed.front().copied().filter(|_| self.unnamed.len() >= TCP_UNNAMED)
        };
        if let Some(oldest) = gives_way {
            self.unnamed.retain(|one| *one != oldest);
            if let Some(connection) = self.open.get(&oldest) {
                connection.stop.cancel();
            }
        }
        self.open.insert(source, Connection { stop, to_peer: None });
        self.unnamed.push_back(source);
        *self.by_ip.entry(ip).or_default() += 1;
        true
    }

    fn remove(&mut self, source: SocketAddr) {
        if self.open.remove(&source).is_none() {
            return;
        }
        self.unnamed.retain(|one| *one != source);
        if let Some(count) = self.by_ip.get_mut(&source.ip()) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&source.ip());
            }
        }
    }
}

impl Connections {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("no code panics while it holds the connections")
    }

    fn admit(&self, source: SocketAddr, stop: CancellationToken) -> Option<Place<'_>> {
        // A place that there is none of must not be given back: it may be another connection's, and the table is held here.
        let is_admitted = self.table().admit(source, most(), stop.clone());
        is_admitted.then(|| Place { connections: self, source, stop })
    }

    /// Whether the datagram now waits for its connection.
    pub(super) fn send(&self, destination: SocketAddr, datagram: Vec<u8>) -> bool {
        let to_peer = self.table().open.get(&destination).and_then(|one| one.to_peer.clone());
        let Some(to_peer) = to_peer else { return false };
        let len = datagram.len();
        if to_peer.waiting_bytes.fetch_add(len, Ordering::Relaxed) + len > TCP_WAITING_BYTES
            || to_peer.datagrams.try_send(datagram).is_err()
        {
            to_peer.waiting_bytes.fetch_sub(len, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(super) fn close(&self, source: SocketAddr) {
        if let Some(connection) = self.table().open.get(&source) {
            connection.stop.cancel();
        }
    }

    /// Datagrams for a connection go to `to_peer` from now on; without one none do.
    fn attach(&self, source: SocketAddr, to_peer: Option<ToPeer>) {
        if let Some(connection) = self.table().open.get_mut(&source) {
            connection.to_peer = to_peer;
        }
    }

    /// A connection has named its session and gives way no longer.
    fn named(&self, source: SocketAddr) {
        self.table().unnamed.retain(|one| *one != source);
    }
}

/// The other open files that the system allows stay for what else the program does.
fn most() -> usize {
    let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    allowed.map_or(TCP_CONNECTIONS, |files| Files::of(usize::try_from(files).unwrap_or(usize::MAX)).media)
}

/// Accepts connections until `stop`.
pub(super) async fn accept(mux: Arc<Mux>, local: SocketAddr, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, source)) => {
                let mux = Arc::clone(&mux);
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let _ = SockRef::from(&stream).set_send_buffer_size(TCP_SEND_BUFFER_BYTES);
                    let (read, write) = stream.into_split();
                    enter(&mux, Ends { source, local, media: local }, read, write).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a TCP connection for media was not accepted");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

/// Serves a connection of the page's port, from `source` to `local`, to its end.
pub(super) async fn take<S>(mux: &Mux, stream: S, source: SocketAddr, local: SocketAddr)
where
    S: AsyncRead + AsyncWrite,
{
    // A port of both families shows addresses of IPv4 as ones of IPv6.
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, local) = (canonical(source), canonical(local));
    let Some(media) = mux.media_address(local.ip()) else { return };
    let (read, write) = tokio::io::split(stream);
    enter(mux, Ends { source, local, media }, read, write).await;
}

/// Where a connection comes from, where it arrived, and where its session takes it to have arrived.
#[derive(Clone, Copy)]
struct Ends {
    source: SocketAddr,
    local: SocketAddr,
    media: SocketAddr,
}

/// Forgets what a connection named, however it ends.
struct Ending<'a> {
    mux: &'a Mux,
    ends: Ends,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.mux.routes().closed((Transport::Tcp, self.ends.source));
        self.mux.turn_closed(&self.ends.client());
    }
}

impl Ends {
    /// To TURN.
    fn client(self) -> Client {
        Client { transport: reelroom_turn::Transport::Stream, remote: self.source, local: self.local }
    }
}

/// Serves a connection where there is a place for it, and counts why it was ended.
async fn enter<R, W>(mux: &Mux, ends: Ends, read: R, write: W)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let Some(place) = mux.connections.admit(ends.source, mux.stop.child_token()) else {
        mux.drops.count(Reason::TcpTooMany);
        return;
    };
    let _ending = Ending { mux, ends };
    if let Some(reason) = serve(mux, ends, read, write, &place).await {
        mux.drops.count(reason);
    }
}

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    /// Datagrams of a session, each with its length in front.
    Frames,
    /// Messages of TURN.
    Turn,
}

/// What a connection carries that begins so: both begin with a message of STUN.
fn carries(head: &[u8; HEAD_BYTES]) -> Option<Carries> {
    if reelroom_turn::is_message(head) {
        Some(Carries::Turn)
    } else {
        reelroom_turn::is_message(&head[2..]).then_some(Carries::Frames)
    }
}

/// How a connection begins, and what it carries by that; nothing where it is over, or carries something else.
async fn begin(read: &mut (impl AsyncRead + Unpin)) -> Option<([u8; HEAD_BYTES], Carries)> {
    let mut head = [0; HEAD_BYTES];
    read.read_exact(&mut head[..HEADER_BYTES]).await.ok()?;
    // Whoever speaks something else may say no more until it is answered.
    let len = usize::from(u16::from_be_bytes([head[0], head[1]]));
    if len > DATAGRAM_BYTES {
        return None;
    }
    read.read_exact(&mut head[HEADER_BYTES..]).await.ok()?;
    Some((head, carries(&head)?))
}

/// Serves a connection to its end, and says why it was ended, where it did not end itself.
async fn serve<R, W>(mux: &Mux, ends: Ends, read: R, write: W, place: &Place<'_>) -> Option<Reason>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let by = Instant::now() + TCP_NAMED_WITHIN;
    let mut read = BufReader::with_capacity(READ_BUFFER_BYTES, read);
    let begun = tokio::select! {
        () = place.stop.cancelled() => return None,
        begun = timeout_at(by, begin(&mut read)) => begun,
    };
    let Ok(Some((head, carries))) = begun else { return Some(Reason::TcpUnnamed) };
    let mut read = (&head[..]).chain(read);
    let (datagrams, from_sessions) = mpsc::channel(WAITING);
    let to_peer = ToPeer { datagrams, waiting_bytes: Arc::default() };
    let waiting_bytes = Arc::clone(&to_peer.waiting_bytes);
    // The answer to the first request goes the same way.
    mux.connections.attach(ends.source, Some(to_peer));
    let reading = async {
        match carries {
            Carries::Frames => read_frames(mux, ends, &mut read, by).await,
            Carries::Turn => read_turn(mux, ends, &mut read, by).await,
        }
    };
    tokio::select! {
        () = place.stop.cancelled() => None,
        reason = reading => reason,
        reason = write_datagrams(write, from_sessions, &waiting_bytes, carries) => reason,
    }
}

/// Hands on the frames of a connection, which has to name its session by then.
async fn read_frames(
    mux: &Mux,
    ends: Ends,
    read: &mut (impl AsyncRead + Unpin),
    by: Instant,
) -> Option<Reason> {
    let mut buffer = [0; DATAGRAM_BYTES];
    let mut is_named = false;
    for _ in 0..UNNAMED_FRAMES {
        let Ok(frame) = timeout_at(by, read_frame(read, &mut buffer)).await else { break };
        let len = frame?;
        if mux.route(Arrived::now(Transport::Tcp, ends.source, ends.media), &buffer[..len]) {
            is_named = true;
            break;
        }
    }
    if !is_named {
        return Some(Reason::TcpUnnamed);
    }
    mux.connections.named(ends.source);
    let mut patience = Instant::now() + TCP_IDLE;
    loop {
        let Ok(frame) = timeout_at(patience, read_frame(read, &mut buffer)).await else {
            return Some(Reason::TcpIdle);
        };
        if mux.route(Arrived::now(Transport::Tcp, ends.source, ends.media), &buffer[..frame?]) {
            patience = Instant::now() + TCP_IDLE;
        }
    }
}

/// Hands on the messages of a TURN client, which has to have an allocation by then.
async fn read_turn(
    mux: &Mux,
    ends: Ends,
    read: &mut (impl AsyncRead + Unpin),
    by: Instant,
) -> Option<Reason> {
    let client = ends.client();
    let mut buffer = [0; MESSAGE_BYTES];
    let mut is_named = false;
    for _ in 0..UNNAMED_FRAMES {
        let Ok(message) = timeout_at(by, read_message(read, &mut buffer)).await else { break };
        let len = message?;
        if mux.hear_turn(client, &buffer[..len]) {
            is_named = true;
            break;
        }
    }
    if !is_named {
        return Some(Reason::TcpUnnamed);
    }
    mux.connections.named(ends.source);
    let mut patience = Instant::now() + TURN_LASTS;
    loop {
        let Ok(message) = timeout_at(patience, read_message(read, &mut buffer)).await else {
            return Some(Reason::TcpIdle);
        };
        // Whoever has given its allocation back is about to close, or makes another one.
        let within = if mux.hear_turn(client, &buffer[..message?]) { TURN_LASTS } else { TCP_NAMED_WITHIN };
        patience = Instant::now() + within;
    }
}

async fn write_datagrams(
    mut write: impl AsyncWrite + Unpin,
    mut datagrams: mpsc::Receiver<Vec<u8>>,
    waiting_bytes: &AtomicUsize,
    carries: Carries,
) -> Option<Reason> {
    while let Some(datagram) = datagrams.recv().await {
        waiting_bytes.fetch_sub(datagram.len(), Ordering::Relaxed);
        let framed = match carries {
            Carries::Frames => {
                let len = u16::try_from(datagram.len()).ok()?;
                [&len.to_be_bytes(), &datagram[..]].concat()
            }
            // They say by themselves how long they are.
            Carries::Turn => datagram,
        };
        let mut rest = &framed[..];
        while !rest.is_empty() {
            match timeout(TCP_STALLED, write.write(rest)).await {
                Ok(Ok(0)) => return None,
                Ok(Ok(written)) => rest = &rest[written..],
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(Reason::TcpStalled),
            }
        }
        // TLS may hold back what it has encrypted.
        match timeout(TCP_STALLED, write.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(Reason::TcpStalled),
        }
    }
    None
}

/// The length of the next message of TURN, which is in `buffer`; `None` when the connection is over or it is none.
async fn read_message(
    read: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8; MESSAGE_BYTES],
) -> Option<usize> {
    let mut header = [0; HEADER_BYTES];
    read.read_exact(&mut header).await.ok()?;
    let len = reelroom_turn::len_on_stream(header)?;
    buffer[..HEADER_BYTES].copy_from_slice(&header);
    read.read_exact(buffer.get_mut(HEADER_BYTES..len)?).await.ok()?;
    Some(len)
}

/// The length of the next datagram, which is in `buffer`; `None` when the connection is over or the datagram is none of
/// WebRTC.
async fn read_frame(read: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Option<usize> {
    let len = usize::from(read.read_u16().await.ok()?);
    read.read_exact(buffer.get_mut(..len)?).await.ok()?;
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_connection_carries_is_told_by_how_it_begins() {
        let cookie = [0x21, 0x12, 0xa4, 0x42];
        let head = |begin: &[u8]| {
            let mut head = [7; HEAD_BYTES];
            head[..begin.len()].copy_from_slice(begin);
            carries(&head)
        };
        assert_eq!(head(&[&[0, 3, 0, 8][..], &cookie].concat()), Some(Carries::Turn));
        assert_eq!(head(&[&[0, 96, 0, 1, 0, 76][..], &cookie].concat()), Some(Carries::Frames));
        assert_eq!(head(b"GET / HTTP"), None);
        assert_eq!(head(&[0, 96, 0x80, 111, 0, 76, 1, 2, 3, 4]), None);
    }

    fn address(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, ip], port))
    }

    fn admit(table: &mut Table, source: SocketAddr) -> Option<CancellationToken> {
        let stop = CancellationToken::new();
        table.admit(source, 10_000, stop.clone()).then_some(stop)
    }

    #[test]
    fn who_finds_no_place_takes_none_away() {
        let connections = Connections::default();
        let place = connections.admit(address(1, 1), CancellationToken::new());
        assert!(place.is_some());
        assert!(connections.admit(address(1, 1), CancellationToken::new()).is_none(), "it is taken");
        assert_eq!(connections.table().open.len(), 1);
        drop(place);
        assert!(connections.table().open.is_empty());
    }

    #[test]
    fn unnamed_connections_give_way_to_newer_ones_first_of_their_own_address() {
        let mut table = Table::default();
        let victim = admit(&mut table, address(9, 1)).unwrap();
        let first = admit(&mut table, address(1, 0)).unwrap();
        for port in 1..=300 {
            assert!(admit(&mut table, address(1, port)).is_some());
        }
        assert!(first.is_cancelled() && !victim.is_cancelled());
        assert_eq!(table.unnamed.len(), 1 + TCP_UNNAMED_OF_ADDRESS);
        for ip in 10..10 + (TCP_UNNAMED / TCP_UNNAMED_OF_ADDRESS) as u8 {
            for port in 0..TCP_UNNAMED_OF_ADDRESS as u16 {
                admit(&mut table, address(ip, port)).unwrap();
            }
        }
        assert!(victim.is_cancelled(), "the oldest of all");
        assert_eq!(table.unnamed.len(), TCP_UNNAMED);
    }

    #[test]
    fn named_ones_stay_and_are_bounded_for_each_address_and_in_all() {
        let mut table = Table::default();
        let mut stops = Vec::new();
        for port in 0..TCP_OF_ADDRESS as u16 {
            stops.push(admit(&mut table, address(1, port)).unwrap());
            table.unnamed.clear();
        }
        assert!(admit(&mut table, address(1, 60_000)).is_none());
        assert!(admit(&mut table, address(2, 60_000)).is_some());
        assert!(!table.admit(address(3, 1), TCP_OF_ADDRESS, CancellationToken::new()), "no place at all");
        assert!(stops.iter().all(|stop| !stop.is_cancelled()));
        for port in 0..TCP_OF_ADDRESS as u16 {
            table.remove(address(1, port));
        }
        table.remove(address(2, 60_000));
        assert!(table.open.is_empty() && table.by_ip.is_empty() && table.unnamed.is_empty());
    }
}
