//! The HTTP port: who connects to it, and how long a connection may stand still.
//!
//! A reader that stops in the middle of a recording holds a connection, a file handle and, with S3, a connection to the bucket. The
//! kernel counts for how long a reader has taken nothing (`TCP_USER_TIMEOUT`, RFC 5482: neither acknowledged what was sent nor
//! opened its window) and then ends the connection with an error, which frees all of them. A reader that moves, however slowly,
//! begins that time anew; a connection over which nothing is to be sent has none. How slowly an answer may be taken by one that
//! moves, and what it holds until then, is a matter of its [`Seat`].
//!
//! An answer may come with a [`Cut`]: once it is cut, its connection ends at once, and what the kernel has of it is thrown away.
//!
//! # Invariants
//!
//! - A connection that says nothing costs a socket and a small task: the buffers of HTTP come with its first byte.
//! - What is kept of the heads of requests is counted ([`Head`](crate::front::head::Head)): a connection that brings more than there is room for is closed.
//! - No more sockets are open than may be connected and a few: those that are being closed, or told that there is no room. While these
//!   are open too, nobody is taken in.
//! - Only HTTP/1 is spoken: nobody opens hundreds of requests by one connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reelroom_limits::files::spare_sockets;
use reelroom_limits::http::{ANSWER_WITHIN, HEAD_BYTES, HEADERS, RETRY_AFTER_S, STALLED_READER};
use reelroom_routes::Cut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::front::body::Held;
use crate::front::connections::{Bounds, Connections, Full, Phase};
use crate::front::head::READ_BYTES;
use crate::front::seat::{Answering, Place, Seat};
use crate::front::{Answer, Front};

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
    tokio::select! {
        heard = stream.readable() => if heard.is_err() { return },
        () = close.notified() => return,
        () = stop.cancelled() => return,
    }
    let cutting = Arc::new(Cutting::default());
    let io = TokioIo::new(Heard { stream, seat: Arc::clone(&seat), cutting: Arc::clone(&cutting) });
    let answers = Arc::clone(&cutting);
    let service = service_fn(move |request: Request<Incoming>| {
        let (front, seat, cutting) = (front.clone(), Arc::clone(&seat), Arc::clone(&answers));
        async move {
            cutting.follow(None);
            let request = if request.body().is_end_stream() {
                seat.set(Phase::Busy);
                request.map(Body::new)
            } else {
                seat.set(Phase::Body);
                let reading = ReadingBody::new(&seat);
                request.map(|body| Body::new(Held::new(Body::new(body), reading)))
            };
            let Answer { response, sending } = front.answer(request, peer, local.ip(), &seat).await;
            cutting.follow(response.extensions().get::<Cut>().cloned());
            let answering = Answering::new(seat, sending, &response.body().size_hint());
            Ok::<_, Infallible>(response.map(|body| Held::new(body, answering)))
        }
    });
    let mut http = http1::Builder::new();
    // The table of connections has the times: it closes whoever is slow, and sooner where there is no room.
    http.header_read_timeout(None::<Duration>)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(HEAD_BYTES);
    let connection = http.serve_connection(io, service).with_upgrades();
    tokio::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::trace!(%error, "a connection ended");
                }
                return;
            }
            () = close.notified() => return,
            () = cutting.cut() => return,
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
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

/// Whether the last answer of a connection is cut. One is followed until the next request: its last bytes may wait for a slow reader.
#[derive(Default)]
struct Cutting {
    answer: Mutex<Option<Cut>>,
    another: Notify,
}

impl Cutting {
    fn follow(&self, answer: Option<Cut>) {
        *self.answer() = answer;
        self.another.notify_one();
    }

    fn is_cut(&self) -> bool {
        self.answer().as_ref().is_some_and(Cut::is_cut)
    }

    /// Waits until the answer is cut that is followed then.
    async fn cut(&self) {
        loop {
            let answer = self.answer().clone();
            let cut = async {
                match &answer {
                    Some(answer) => answer.cut().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Whoever asks on has had the answer.
                biased;
                () = self.another.notified() => {}
                () = cut => return,
            }
        }
    }

    fn answer(&self) -> MutexGuard<'_, Option<Cut>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket, closed before its seat is given up, that tells that seat when something is heard, and when all that was written is taken.
struct Heard {
    stream: TcpStream,
    seat: Arc<Seat>,
    cutting: Arc<Cutting>,
}

impl Drop for Heard {
    fn drop(&mut self) {
        if self.cutting.is_cut()
            && let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%error, "what waits to be sent goes out all the same");
        }
    }
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = buffer.remaining().min(READ_BYTES);
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        let heard = piece.filled().len();
        buffer.advance(heard);
        if heard > 0 {
            self.seat.heard();
        }
        let counted = self.seat.head.hear(heard);
        Poll::Ready(counted.map_err(|_| io::Error::other("there is no room for more heads of requests")))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    /// Whoever writes flushes when nothing waits to be written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A body that is being read, or read off: what is heard belongs to it, and to no head.
struct ReadingBody(Arc<Seat>);

impl ReadingBody {
    fn new(seat: &Arc<Seat>) -> Self {
        seat.head.pause();
        Self(Arc::clone(seat))
    }
}

impl Drop for ReadingBody {
    fn drop(&mut self) {
        self.0.head.go_on();
    }
}

#[cfg(test)]
mod tests;
