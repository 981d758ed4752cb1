//! The HTTP port: who connects to it, and how long a connection may stand still.
//!
//! A reader that stops in the middle of a recording holds a connection, a file handle and, with S3, a connection to the bucket. The
//! kernel counts for how long a reader has taken nothing (`TCP_USER_TIMEOUT`, RFC 5482: neither acknowledged what was sent nor
//! opened its window) and then ends the connection with an error, which frees all of them. A reader that moves, however slowly,
//! begins that time anew; a connection over which nothing is to be sent has none.
//!
//! # Invariants
//!
//! - A connection that says nothing costs a socket and a small task: the buffers of HTTP come with its first byte.
//! - What is kept of the heads of requests is counted ([`Head`]): a connection that brings more than there is room for is closed.
//! - No more sockets are open than may be connected and a few: those that are being closed, or told that there is no room. While these
//!   are open too, nobody is taken in.
//! - Only HTTP/1 is spoken: nobody opens hundreds of requests by one connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::Body;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reelroom_limits::files::spare_sockets;
use reelroom_limits::http::{HEAD_BYTES, HEADERS, RETRY_AFTER_S, STALLED_READER};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::front::Front;
use crate::front::body::Held;
use crate::front::connections::{Bounds, Connections, Full, Id, Phase};
use crate::front::head::{Head, READ_BYTES};
use crate::front::traffic::Slot;

const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// After an error that is not of one connection: no open files are left, for one.
const BREATHE: Duration = Duration::from_millis(100);
/// An error that goes on is in the log this often.
const TELL_EVERY: Duration = Duration::from_secs(10);
const TELL_WITHIN: Duration = Duration::from_secs(1);

/// Everybody at a port.
#[derive(Clone)]
struct Port {
    connections: Arc<Mutex<Connections>>,
    sockets: Arc<Semaphore>,
    telling: Arc<Semaphore>,
    stalled: Duration,
}

impl Port {
    fn new(bounds: Bounds, stalled: Duration) -> Self {
        let connections = Arc::new(Mutex::new(Connections::new(bounds)));
        // Half of them to tell that there is no room; others are closed without a word.
        let spare = spare_sockets(bounds.total);
        let sockets = Arc::new(Semaphore::new((bounds.total + spare).min(Semaphore::MAX_PERMITS)));
        Self { connections, sockets, telling: Arc::new(Semaphore::new(spare.div_ceil(2))), stalled }
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

/// The place of a connection, which it has as long as its socket is open.
pub(crate) struct Seat {
    port: Port,
    id: Id,
    /// The next byte that is heard begins a request.
    waits: AtomicBool,
    /// Something that was answered waits for the reader.
    is_stuck: AtomicBool,
    head: Head,
    /// It is a WebSocket, and counts as one.
    upgraded: OnceLock<Option<Slot>>,
    _socket: OwnedSemaphorePermit,
}

impl Seat {
    pub(crate) fn set(&self, phase: Phase) {
        self.waits.store(matches!(phase, Phase::Silent | Phase::Idle), Ordering::Relaxed);
        self.note(phase);
    }

    /// It becomes a WebSocket, and holds `socket` as long as it is open.
    pub(crate) fn upgrade(&self, socket: Option<Slot>) {
        self.head.pause();
        // No connection becomes one twice.
        let _ = self.upgraded.set(socket);
        self.set(Phase::Upgraded);
    }

    fn note(&self, phase: Phase) {
        self.port.connections().set(self.id, phase, Instant::now());
    }

    /// A request is answered; the end of the answer may still wait for a slow reader.
    fn rest(&self) {
        self.head.forget();
        if self.upgraded.get().is_some() {
            return;
        }
        if self.is_stuck.load(Ordering::Relaxed) {
            self.waits.store(true, Ordering::Relaxed);
        } else {
            self.set(Phase::Idle);
        }
    }

    /// What came of writing. Whoever still takes an answer is not idle, and keeps its connection.
    fn wrote<T>(&self, written: &Poll<T>) {
        let was_stuck = self.is_stuck.swap(written.is_pending(), Ordering::Relaxed);
        if self.waits.load(Ordering::Relaxed) {
            match (was_stuck, written.is_pending()) {
                (false, true) => self.note(Phase::Busy),
                (true, false) => self.note(Phase::Idle),
                _ => {}
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.port.connections().leave(self.id);
    }
}

/// Serves until `stop`, and then until the requests that are under way are answered.
pub(crate) async fn serve(listener: TcpListener, front: Front, bounds: Bounds, stop: CancellationToken) {
    serve_with(listener, front, Port::new(bounds, STALLED_READER), stop).await;
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
    prepare(&stream, port.stalled);
    let Ok(local) = stream.local_addr() else { return };
    let close = Arc::new(Notify::new());
    let client = front.client_at(peer.ip());
    let entered = port.connections().enter(client, Arc::clone(&close), Instant::now());
    let id = match entered {
        Ok(id) => id,
        Err(full) => return refuse(stream, full, &port).await,
    };
    let (waits, is_stuck) = (AtomicBool::new(true), AtomicBool::new(false));
    let head = front.head(client);
    let upgraded = OnceLock::new();
    let seat = Arc::new(Seat { port, id, waits, is_stuck, head, upgraded, _socket: socket });
    tokio::select! {
        heard = stream.readable() => if heard.is_err() { return },
        () = close.notified() => return,
        () = stop.cancelled() => return,
    }
    let io = TokioIo::new(Heard { stream, seat: Arc::clone(&seat) });
    let service = service_fn(move |request: Request<Incoming>| {
        let (front, seat) = (front.clone(), Arc::clone(&seat));
        async move {
            let request = if request.body().is_end_stream() {
                seat.set(Phase::Busy);
                request.map(Body::new)
            } else {
                seat.set(Phase::Body);
                let reading = ReadingBody::new(&seat);
                request.map(|body| Body::new(Held::new(Body::new(body), reading)))
            };
            let answer = front.answer(request, peer, local.ip(), &seat).await;
            let until_sent = Asking(seat);
            Ok::<_, Infallible>(answer.map(|body| Held::new(body, until_sent)))
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
             (MAX_CONNECTIONS_PER_ADDRESS) bounds them"
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

/// A socket, closed before its seat is given up, that tells that seat when a request begins, and whether an answer waits to be taken.
struct Heard {
    stream: TcpStream,
    seat: Arc<Seat>,
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
        if heard > 0 && self.seat.waits.load(Ordering::Relaxed) {
            self.seat.set(Phase::Head);
        }
        let counted = self.seat.head.hear(heard);
        Poll::Ready(counted.map_err(|_| io::Error::other("there is no room for more heads of requests")))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.seat.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.seat.wrote(&written);
        written
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

/// A request that is under way: once it is answered, its connection waits for the next one.
struct Asking(Arc<Seat>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::WebSocketUpgrade;
    use axum::routing::get;

    use super::*;
    use crate::front::Shares;
    use crate::front::sites::Sites;
    use crate::front::traffic::Traffic;

    const LIMIT: Duration = Duration::from_secs(2);

    /// A body without an end, counted while it is there.
    struct Endless(Arc<AtomicUsize>);

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    const BOUNDS: Bounds = Bounds { total: 4, of_an_address: 2 };

    async fn serve(router: Router) -> SocketAddr {
        serve_front(Front::new(router, Sites::default(), BOUNDS)).await
    }

    async fn serve_front(front: Front) -> SocketAddr {
        serve_bounded(front, BOUNDS).await
    }

    async fn serve_bounded(front: Front, bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_with(listener, front, Port::new(bounds, LIMIT), CancellationToken::new()));
        address
    }

    fn endless() -> (Router, Arc<AtomicUsize>) {
        let bodies = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&bodies);
        let endless = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let body = Endless(Arc::clone(&counted));
            Body::from_stream(futures::stream::repeat_with(move || {
                let _open = &body;
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 64 * 1024]))
            }))
        };
        (Router::new().route("/", get(endless)), bodies)
    }

    async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let (router, bodies) = endless();
        (serve(router).await, bodies)
    }

    async fn request(address: SocketAddr) -> TcpStream {
        let mut reader = TcpStream::connect(address).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut first = [0; 1024];
        assert!(reader.read(&mut first).await.unwrap() > 0);
        reader
    }

    #[tokio::test]
    async fn a_connection_holds_no_small_message_back_and_knows_when_its_reader_has_stopped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_client, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (stream, _) = accepted.unwrap();
        prepare(&stream, LIMIT);
        assert!(stream.nodelay().unwrap());
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(LIMIT));
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_let_go_with_all_it_held() {
        let (address, bodies) = server().await;
        let stopped = request(address).await;
        assert_eq!(bodies.load(Ordering::SeqCst), 1);
        let began = Instant::now();
        while bodies.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < LIMIT * 5, "the body is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(began.elapsed() > LIMIT / 2, "{:?}", began.elapsed());
        drop(stopped);
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_but_moves_is_not_cut() {
        let (address, bodies) = server().await;
        let mut slow = request(address).await;
        let (began, mut piece) = (Instant::now(), vec![0; 64 * 1024]);
        while began.elapsed() < LIMIT * 4 {
            slow.read_exact(&mut piece).await.expect("a slow reader is served");
            tokio::time::sleep(LIMIT / 8).await;
        }
        assert_eq!(bodies.load(Ordering::SeqCst), 1);
    }

    fn name() -> Router {
        Router::new()
            .route("/{name}", get(async |axum::extract::Path(name): axum::extract::Path<String>| name))
    }

    const ASK: &str = " HTTP/1.1\r\nHost: localhost\r\n";

    /// Sends bytes, and gives all that comes until the server closes.
    async fn told(address: SocketAddr, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn requests_that_come_together_are_answered_one_after_the_other() {
        let address = serve(name()).await;
        let both = format!("GET /first{ASK}\r\nGET /second{ASK}Connection: close\r\n\r\n");
        let text = told(address, both.as_bytes()).await;
        let (first, second) = (text.find("first").unwrap(), text.find("second").unwrap());
        assert!(first < second && text.matches("HTTP/1.1 200 OK").count() == 2, "{text}");
    }

    #[tokio::test]
    async fn a_head_is_bounded_and_http_2_is_not_spoken() {
        let address = serve(name()).await;
        let many = format!("GET /a{ASK}{}\r\n", "a: b\r\n".repeat(HEADERS + 1));
        assert!(told(address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let large = format!("GET /a{ASK}a: {}\r\n\r\n", "b".repeat(HEAD_BYTES + 1));
        assert!(told(address, large.as_bytes()).await.starts_with("HTTP/1.1 431"));
        let longest = format!("GET /{}{ASK}\r\n", "a".repeat(70_000));
        for (head, status) in [(longest.as_str(), 414), ("nonsense\r\n\r\n", 400)] {
            let answer = told(address, head.as_bytes()).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with("\r\n\r\n"),
                "{answer}"
            );
        }
        let long = format!("GET /{}{ASK}Connection: close\r\n\r\n", "a".repeat(20_000));
        let answer = told(address, long.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 414") && answer.contains("{\"errorMessage\":\"path"),
            "{answer}"
        );
        let preface = told(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(!preface.contains("200"), "{preface}");
    }

    /// Where so many bytes of heads may be kept beyond the first ones of each.
    async fn serve_heads(bytes: usize) -> SocketAddr {
        let heads = Some(Traffic::new(bytes, bytes));
        serve_front(Front::with(name(), Sites::default(), Shares { heads, ..Shares::default() })).await
    }

    #[tokio::test]
    async fn heads_are_kept_as_far_as_there_is_room_and_counted_until_they_are_answered() {
        let address = serve_heads(30_000).await;
        let large = format!("GET /a{ASK}X: {}", "x".repeat(30_000));
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(large.as_bytes()).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(20), told(address, large.as_bytes())).await;
        assert_eq!(closed.expect("it is closed"), "");
        let small = format!("GET /b{ASK}Connection: close\r\n\r\n");
        assert!(told(address, small.as_bytes()).await.ends_with("b"), "what is small needs no room");
        // Once it is answered, its room is free, though its connection is open.
        first.write_all(b"\r\n\r\n").await.unwrap();
        assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
        let whole = format!("{large}\r\nConnection: close\r\n\r\n");
        while !told(address, whole.as_bytes()).await.ends_with("\r\n\r\na") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_body_that_is_read_off_is_no_head() {
        let address = serve_heads(0).await;
        let body = "x".repeat(200_000);
        let refused =
            format!("POST /a HTTP/1.1\r\nHost: evil.example\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let both = format!("{refused}GET /second{ASK}Connection: close\r\n\r\n");
        let text = told(address, both.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 421") && text.ends_with("second"), "{text}");
    }

    #[tokio::test]
    async fn silent_connections_make_room_for_whoever_asks() {
        let address = serve(name()).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = told(address, format!("GET /heard{ASK}Connection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.ends_with("heard"), "{answer}");
    }

    #[tokio::test]
    async fn where_all_are_in_use_one_more_is_told_so() {
        let (address, _) = server().await;
        let mut readers = Vec::new();
        for _ in 0..BOUNDS.total {
            readers.push(request(address).await);
        }
        let answer = told(address, b"").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 2"), "{answer}");
        assert!(answer.contains("{\"errorMessage\":\"too many connections"), "{answer}");
        drop(readers);
        while !told(address, format!("HEAD /{ASK}Connection: close\r\n\r\n").as_bytes())
            .await
            .contains("200 OK")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_client_has_its_share_of_the_websockets_and_all_of_them_leave_room_for_requests() {
        let open = async |upgrade: WebSocketUpgrade| {
            upgrade.on_upgrade(async |mut socket| while socket.recv().await.is_some() {})
        };
        let bounds = Bounds { total: 8, of_an_address: 2 };
        let front = Front::new(name().route("/rtc", get(open)), Sites::default(), bounds);
        let address = serve_bounded(front, bounds).await;
        let join = async |from: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let ask = format!(
                "GET /rtc{ASK}X-Forwarded-For: {from}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            stream.write_all(ask.as_bytes()).await.unwrap();
            let mut answer = vec![0; 1024];
            let length = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            if answer.starts_with("HTTP/1.1 101") { Ok(stream) } else { Err(answer) }
        };
        let mut inside = vec![join("192.0.2.1").await.unwrap(), join("192.0.2.1").await.unwrap()];
        let answer = join("192.0.2.1").await.unwrap_err();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 2"), "{answer}");
        assert!(answer.contains("{\"errorMessage\":\"too many calls"), "{answer}");
        for from in ["192.0.2.2", "192.0.2.2", "192.0.2.3", "127.0.0.1"] {
            inside.push(join(from).await.unwrap());
        }
        assert!(join("127.0.0.1").await.is_err(), "six of eight are WebSockets");
        let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
        assert!(told(address, ask.as_bytes()).await.ends_with("\r\n\r\na"));
        drop(inside.remove(0));
        while join("192.0.2.4").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn requests_are_bounded_until_their_answers_are_sent() {
        let shares = Shares { work: Some(Traffic::new(1, 1)), ..Shares::default() };
        let front = Front::with(endless().0.merge(name()), Sites::default(), shares);
        let address = serve_front(front).await;
        let reader = request(address).await;
        let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
        let answer = told(address, ask.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 2"), "{answer}");
        assert!(answer.contains("{\"errorMessage\":\"too many requests"), "{answer}");
        drop(reader);
        while !told(address, ask.as_bytes()).await.ends_with("\r\n\r\na") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
