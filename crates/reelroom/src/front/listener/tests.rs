use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::WebSocketUpgrade;
use axum::routing::get;
use reelroom_certs::{Certificates, CertsConfig, Served, Source};
use reelroom_limits::http::{HEAD_BYTES, HEADERS};
use reelroom_routes::Cut;
use tokio::net::TcpSocket;

use super::*;
use crate::front::Shares;
use crate::front::plain::{Https, Plain};
use crate::front::sites::Sites;
use crate::front::traffic::Traffic;

const LIMIT: Duration = Duration::from_secs(2);
const PATIENCE: Patience = Patience { stalled: LIMIT, answer: LIMIT };

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
    serve_at(listener, front, bounds, PATIENCE)
}

fn serve_at(listener: TcpListener, front: Front, bounds: Bounds, patience: Patience) -> SocketAddr {
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_with(listener, front, Port::new(bounds, patience), CancellationToken::new()));
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
    Router::new().route("/{name}", get(async |axum::extract::Path(name): axum::extract::Path<String>| name))
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
    assert!(answer.starts_with("HTTP/1.1 414") && answer.contains("{\"errorMessage\":\"path"), "{answer}");
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
async fn half_a_handshake_makes_room_for_whoever_asks_and_what_is_none_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let served = Arc::new(|| Served::new(["192.0.2.7".to_owned()], []));
    let settings = CertsConfig { folder: folder.path().to_owned(), source: Source::Own, served };
    let https = Https { certificates: Certificates::open(settings).unwrap(), plain: Plain::Refused };
    let address = serve_front(Front::new(name(), Sites::default(), BOUNDS).with_https(https)).await;
    let mut half = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[tls::FIRST_BYTE, 3, 1]).await.unwrap();
        half.push(stream);
    }
    let answer = told(address, format!("GET /heard{ASK}Connection: close\r\n\r\n").as_bytes()).await;
    assert!(answer.ends_with("heard"), "{answer}");
    let none = tokio::time::timeout(LIMIT * 5, told(address, &[tls::FIRST_BYTE; 200])).await;
    assert!(!none.expect("it ends").contains("HTTP"));
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
    while !told(address, format!("HEAD /{ASK}Connection: close\r\n\r\n").as_bytes()).await.contains("200 OK")
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
async fn whoever_follows_events_counts_as_a_websocket_takes_no_place_of_requests_and_is_not_cut() {
    let beats = async || {
        Body::from_stream(futures::stream::unfold((), |()| async {
            tokio::time::sleep(LIMIT / 4).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"event: beat\ndata: {}\n\n")), ()))
        }))
    };
    let few = |most| Some(Traffic::new(most, most));
    let shares = Shares { work: few(1), followers: few(3), sockets: few(2), ..Shares::default() };
    let router = name().route("/events", get(beats));
    let address = serve_front(Front::with(router, Sites::default(), shares)).await;
    let follow = async || {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("GET /events{ASK}\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        if answer.starts_with("HTTP/1.1 200") { Ok(stream) } else { Err(answer) }
    };
    let (mut first, second) = (follow().await.unwrap(), follow().await.unwrap());
    let refused = follow().await.unwrap_err();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 2"), "{refused}");
    assert!(refused.contains("too many programs follow what happens"), "{refused}");
    let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
    assert!(told(address, ask.as_bytes()).await.ends_with("\r\n\r\na"), "they are no requests");
    let (began, mut piece) = (Instant::now(), [0; 256]);
    while began.elapsed() < LIMIT * 3 {
        assert!(first.read(&mut piece).await.unwrap() > 0, "it was cut after {:?}", began.elapsed());
    }
    drop(second);
    while follow().await.is_err() {
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

const PAGE_BYTES: usize = 128 * 1024;
const PAGE_END: &[u8] = b"the end of the page";
/// Nobody is let go for standing still: it is answers that have a time.
const PATIENT: Patience = Patience { stalled: Duration::from_secs(600), answer: LIMIT };

/// A page that is whole in memory and does not fit into what the system keeps, and a recording of the same bytes.
fn serve_page(shares: Shares, bounds: Bounds) -> SocketAddr {
    let page = Bytes::from([[7].repeat(PAGE_BYTES), PAGE_END.to_vec()].concat());
    let film = page.clone();
    let router = name().route("/page", get(async || page)).route("/recordings/{name}", get(async || film));
    let socket = TcpSocket::new_v4().unwrap();
    // Connections have it from their listener.
    socket.set_send_buffer_size(8 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let front = Front::with(router, Sites::default(), shares);
    serve_at(socket.listen(64).unwrap(), front, bounds, PATIENT)
}

/// Asks, and has little room for what comes.
async fn narrow_reader(address: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut reader = socket.connect(address).await.unwrap();
    reader.write_all(format!("GET {path}{ASK}\r\n").as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    reader.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    reader
}

async fn read_to_its_end(mut reader: TcpStream) -> TcpStream {
    let mut text = Vec::new();
    while !text.ends_with(PAGE_END) {
        assert!(reader.read_buf(&mut text).await.unwrap() > 0, "it was cut after {} bytes", text.len());
    }
    reader
}

fn one_at_a_time() -> Shares {
    Shares { work: Some(Traffic::new(1, 1)), ..Shares::default() }
}

#[tokio::test]
async fn an_answer_that_is_whole_in_memory_counts_until_its_reader_has_taken_it() {
    let address = serve_page(one_at_a_time(), BOUNDS);
    let reader = narrow_reader(address, "/page").await;
    let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
    for _ in 0..3 {
        let answer = told(address, ask.as_bytes()).await;
        assert!(answer.contains("{\"errorMessage\":\"too many requests"), "{answer}");
    }
    let reader = read_to_its_end(reader).await;
    while !told(address, ask.as_bytes()).await.ends_with("\r\n\r\na") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(reader);
}

#[tokio::test]
async fn refusals_that_nobody_reads_count_as_well_and_not_for_long() {
    let address = serve_page(one_at_a_time(), BOUNDS);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut deaf = socket.connect(address).await.unwrap();
    let asking = tokio::spawn(async move {
        let ask = format!("GET / HTTP/1.1\r\nHost: {}.example\r\n\r\n", "evil".repeat(50));
        while deaf.write_all(ask.as_bytes()).await.is_ok() {}
    });
    let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
    let until = async |end: &str| {
        let seen = async {
            while !told(address, ask.as_bytes()).await.contains(end) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT * 10, seen).await.unwrap_or_else(|_| panic!("nobody is told {end:?}"));
    };
    // Until it is stuck, others count for a moment as well.
    tokio::time::sleep(LIMIT / 4).await;
    until("{\"errorMessage\":\"too many requests").await;
    let closed = tokio::time::timeout(LIMIT * 10, asking).await;
    assert!(closed.is_ok(), "whoever reads no refusal is not let go");
    until("\r\n\r\na").await;
}

#[tokio::test]
async fn whoever_takes_the_page_too_slowly_is_let_go_and_whoever_watches_a_recording_may_pause() {
    let address = serve_page(Shares::default(), Bounds { total: 3, of_an_address: 3 });
    let film = narrow_reader(address, "/recordings/a.mp4").await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut reader = narrow_reader(address, "/page").await;
        slow.push(tokio::spawn(async move {
            let mut piece = [0; 512];
            while reader.read(&mut piece).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(LIMIT / 20).await;
            }
        }));
    }
    let ask = format!("GET /a{ASK}Connection: close\r\n\r\n");
    let answer = told(address, ask.as_bytes()).await;
    assert!(answer.contains("{\"errorMessage\":\"too many connections"), "they are in use: {answer}");
    let served = async {
        while !told(address, ask.as_bytes()).await.ends_with("\r\n\r\na") {
            tokio::time::sleep(LIMIT / 20).await;
        }
    };
    tokio::time::timeout(LIMIT * 20, served).await.expect("slow readers keep everybody out");
    for reader in slow {
        reader.await.unwrap();
    }
    drop(read_to_its_end(film).await);
}

#[tokio::test]
async fn an_answer_that_is_cut_ends_at_once_and_what_its_reader_has_not_taken_never_arrives() {
    let (cut, cutter) = Cut::new();
    let (other, _other_cutter) = Cut::new();
    let film = |cut: Cut| {
        get(async move || {
            let bytes =
                futures::stream::repeat_with(|| Ok::<_, io::Error>(Bytes::from_static(&[7; 64 * 1024])));
            (Extension(cut.clone()), Body::from_stream(bytes))
        })
    };
    let router = name().route("/cut", film(cut)).route("/other", film(other));
    let address = serve_bounded(
        Front::with(router, Sites::default(), Shares::default()),
        Bounds { total: 8, of_an_address: 8 },
    )
    .await;
    // Who takes nothing at all, and somebody else.
    let (mut stopped, mut goes_on) = (request_of(address, "/cut").await, request_of(address, "/other").await);
    tokio::time::sleep(LIMIT / 10).await;
    cutter.now();
    let mut taken = 0;
    let mut piece = vec![0; 64 * 1024];
    let end = async {
        loop {
            match stopped.read(&mut piece).await {
                Ok(0) => return "a success",
                Ok(bytes) => taken += bytes,
                Err(_) => return "an error",
            }
        }
    };
    assert_eq!(tokio::time::timeout(LIMIT, end).await, Ok("an error"));
    // What had reached its own side is there; what stood on ours is not.
    assert!(taken < 8 << 20, "{taken} bytes came");
    assert!(goes_on.read(&mut vec![0; 1024]).await.unwrap() > 0);
    drop(goes_on);
}

#[tokio::test]
async fn whoever_asks_on_is_not_cut_off_by_the_answer_before() {
    let (cut, cutter) = Cut::new();
    let film = get(async move || (Extension(cut.clone()), "film"));
    let address = serve(name().route("/film", film)).await;
    let mut reader = request_of(address, "/film").await;
    let mut text = Vec::new();
    while !text.ends_with(b"film") {
        assert!(reader.read_buf(&mut text).await.unwrap() > 0);
    }
    reader.write_all(format!("GET /a{ASK}\r\n").as_bytes()).await.unwrap();
    while !text.ends_with(b"\r\n\r\na") {
        assert!(reader.read_buf(&mut text).await.unwrap() > 0);
    }
    cutter.now();
    reader.write_all(format!("GET /b{ASK}\r\n").as_bytes()).await.unwrap();
    while !text.ends_with(b"\r\n\r\nb") {
        assert!(reader.read_buf(&mut text).await.unwrap() > 0);
    }
}

/// Asks, and reads nothing yet.
async fn request_of(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path}{ASK}\r\n").as_bytes()).await.unwrap();
    stream
}
