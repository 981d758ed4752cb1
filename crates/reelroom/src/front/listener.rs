//! The HTTP port: who connects to it, and how long a connection may stand still.
//!
//! ```text
//!   first byte ─┬─ 0x16, and there are certificates ─► tls: handshake ─┬─ h2 ─► http2
//!               │                                                      ├─ media's first byte ─► media
//!               │                                                      └──────► http1
//!               ├─ 0 to 3, where media comes by this port ─────────────────────► media
//!               └─ anything else ──────────────────────────────────────────────► http1
//! ```
//!
//! A reader that stops in the middle of a recording holds a connection, a file handle and, with S3, a connection to the bucket. The
//! kernel counts for how long a reader has taken nothing (`TCP_USER_TIMEOUT`, RFC 5482: neither acknowledged what was sent nor
//! opened its window) and then ends the connection with an error, which frees all of them. A reader that moves, however slowly,
//! begins that time anew; a connection over which nothing is to be sent has none. How slowly an answer may be taken by one that
//! moves, and what it holds until then, is a matter of its [`Seat`].
//!
//! An answer may come with a [`Cut`](reelroom_routes::Cut): once it is cut, its connection ends at once, and what the kernel has of it is thrown away.
//!
//! # Invariants
//!
//! - A connection that says nothing costs a socket and a small task: the buffers of HTTP come with its first byte.
//! - What is kept of the heads of requests is counted ([`Head`](crate::front::head::Head)): a connection that brings more than there is room for is closed.
//! - No more sockets are open than may be connected and a few: those that are being closed, or told that there is no room. While these
//!   are open too, nobody is taken in.
//! - A handshake has the time of a request's head and counts like one, and what it brings is counted like that. Handshakes of an address have a
//!   bound and a pace ([`tls`](crate::front::tls)).
//! - HTTP/2 is spoken within TLS alone, and each of its streams is a request that counts by itself ([`http2`](crate::front::http2)).

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reelroom_limits::files::spare_sockets;
use reelroom_limits::http::{ANSWER_WITHIN, RETRY_AFTER_S, STALLED_READER};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::front::connections::{Bounds, Connections, Full};
use crate::front::seat::{Place, Seat};
use crate::front::socket::{Cutting, Heard};
use crate::front::tls::{self, Protocol};
use crate::front::{Front, Way, http1, http2, media};

const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After an error that is not of one connection: no open files are left, for one.
const BREATHE: Duration = Duration::from_millis(100);
/// An error that goes on is in the log this often.
const TELL_EVERY: Duration = Duration::from_secs(10);
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// For how long a reader is waited for.
#[derive(Clone, Copy)]
struct Patience {
    /// One that takes nothing.
    stalled: Duration,
    /// One that takes an answer of no bytes; each byte adds to that.
    answer: Duration,
}

/// Everybody at a port.
#[derive(Clone)]
struct Port {
    connections: Arc<Mutex<Connections>>,
    sockets: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    patience: Patience,
}

impl Port {
    fn new(bounds: Bounds, patience: Patience) -> Self {
        let connections = Arc::new(Mutex::new(Connections::new(bounds)));
        // Half of them to tell that there is no room; others are closed without a word.
        let spare = spare_sockets(bounds.total);
        let sockets = Arc::new(Semaphore::new((bounds.total + spare).min(Semaphore::MAX_PERMITS)));
        Self { connections, sockets, telling: Arc::new(Semaphore::new(spare.div_ceil(2))), patience }
    }

    /// Who comes next, as soon as one more socket may be open.
    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let sockets = Arc::clone(&self.sockets);
        let permit = sockets.acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = listener.accept().await?;
        Ok((stream, peer, permit))
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, and what ends it.
pub(super) struct At {
    pub(super) front: Front,
    pub(super) seat: Arc<Seat>,
    pub(super) cutting: Arc<Cutting>,
    pub(super) way: Way,
    /// Told when it has to go.
    pub(super) close: Arc<Notify>,
    pub(super) stop: CancellationToken,
    /// For how long somebody may take nothing of an answer.
    pub(super) stalled: Duration,
}

/// Serves until `stop`, and then until the requests that are under way are answered.
pub(crate) async fn serve(listener: TcpListener, front: Front, bounds: Bounds, stop: CancellationToken) {
    let patience = Patience { stalled: STALLED_READER, answer: ANSWER_WITHIN };
    serve_with(listener, front, Port::new(bounds, patience), stop).await;
}

async fn serve_with(listener: TcpListener, front: Front, port: Port, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = sweep.tick() => {
                port.connections().sweep(Instant::now());
            }
            accepted = port.next(&listener) => match accepted {
                Ok((stream, peer, socket)) => {
                    tasks.spawn(take(stream, peer, socket, front.clone(), port.clone(), stop.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if told.is_none_or(|at| at.elapsed() > TELL_EVERY) {
                        told = Some(Instant::now());
                        let connections = port.connections().len();
                        tracing::warn!(%error, connections, "nobody can connect");
                    }
                    tokio::time::sleep(BREATHE).await;
                }
            }
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionRefused | K::ConnectionAborted | K::ConnectionReset)
}

fn prepare(stream: &TcpStream, stalled: Duration) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(stalled)) {
        tracing::debug!(%error, "readers that stop are not let go on this system");
    }
    // The second of two small messages does not wait for the first one to be acknowledged.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small messages are held back on this system");
    }
}

async fn take(
    stream: TcpStream,
    peer: SocketAddr,
    socket: OwnedSemaphorePermit,
    front: Front,
    port: Port,
    stop: CancellationToken,
) {
    prepare(&stream, port.patience.stalled);
    let Ok(local) = stream.local_addr() else { return };
    let close = Arc::new(Notify::new());
    let client = front.client_at(peer.ip());
    let entered = port.connections().enter(client, Arc::clone(&close), Instant::now());
    let id = match entered {
        Ok(id) => id,
        Err(full) => return refuse(stream, full, &port).await,
    };
    let place = Place { table: Arc::clone(&port.connections), id };
    let seat = Seat::new(place, front.head(client), port.patience.answer, socket);
    let first = tokio::select! {
        first = first_byte(&stream) => first,
        () = close.notified() => return,
        () = stop.cancelled() => return,
    };
    let Some(first) = first else { return };
    let way = Way { peer, local: local.ip(), is_tls: false };
    if let Some(server) = front.media().filter(|_| reelroom_media::begins_media(first)) {
        // It has its place among those of media.
        drop(seat);
        tokio::select! {
            () = media::serve(stream, server, way) => {}
            () = stop.cancelled() => {}
        }
        return;
    }
    let cutting = Arc::new(Cutting::default());
    let heard = Heard::new(stream, Arc::clone(&seat), Arc::clone(&cutting));
    let at = At { front, seat, cutting, way, close, stop, stalled: port.patience.stalled };
    match at.front.certificates().cloned() {
        Some(certificates) if first == tls::FIRST_BYTE => {
            let greeted = tokio::select! {
                greeted = tls::greet(heard, &certificates, &at.front, client) => greeted,
                () = at.close.notified() => return,
                () = at.stop.cancelled() => return,
            };
            let Some((stream, protocol)) = greeted else { return };
            // What was heard until now is no request's.
            at.seat.head.forget();
            let at = At { way: Way { is_tls: true, ..way }, ..at };
            match (protocol, at.front.media().cloned()) {
                (Protocol::Http2, _) => http2::serve(stream, at).await,
                (Protocol::Unsaid, Some(server)) => {
                    if let Some((stream, at)) = media::serve_within_tls(stream, &server, at).await {
                        http1::serve(stream, at).await;
                    }
                }
                (Protocol::Http1 | Protocol::Unsaid, _) => http1::serve(stream, at).await,
            }
        }
        _ => http1::serve(heard, at).await,
    }
}

/// What somebody who connects says first, which is left where it is; nothing when they go without a word.
async fn first_byte(stream: &TcpStream) -> Option<u8> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1..) => Some(first[0]),
        Ok(0) | Err(_) => None,
    }
}

/// Says to whoever there is no room for that this is so, without listening to them.
async fn refuse(mut stream: TcpStream, full: Full, port: &Port) {
    let Ok(_turn) = port.telling.try_acquire() else { return };
    let reason = match full {
        Full::Total => "too many connections are open: try again shortly",
        Full::Address => {
            "too many connections of this address are open: the setting max_connections_per_address \
             (MAX_CONNECTIONS_PER_ADDRESS) bounds them, and half of max_connections (MAX_CONNECTIONS)"
        }
    };
    let body = serde_json::json!({ "errorMessage": reason }).to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         retry-after: {RETRY_AFTER_S}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closed with bytes unread, the connection would be reset, and the answer with it.
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(TELL_WITHIN, told).await;
}

#[cfg(test)]
mod tests;
