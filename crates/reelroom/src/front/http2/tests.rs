#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use axum::Router;
use axum::routing::{get, post};
use futures::{FutureExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::front::Shares;
use crate::front::connections::{Bounds, Connections};
use crate::front::head::Head;
use crate::front::seat::{Place, Seat};
use crate::front::sites::Sites;
use crate::front::traffic::Traffic;

const WITHIN: Duration = Duration::from_secs(30);

async fn seat(close: Arc<Notify>, within: Duration) -> Arc<Seat> {
    let bounds = Bounds { total: 4, of_an_address: 4 };
    let table = Arc::new(Mutex::new(Connections::new(bounds)));
    let id = table.lock().unwrap().enter(Client::ThisMachine, close, Instant::now()).unwrap();
    let socket = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    Seat::new(Place { table, id }, Head::new(None), within, socket)
}

async fn streams() -> Arc<Streams> {
    let seat = seat(Arc::default(), WITHIN).await;
    seat.share();
    Streams::new(seat, WITHIN)
}

async fn frame(portions: &mut Portions) -> Option<Piece> {
    let frame = std::future::poll_fn(|cx| Pin::new(&mut *portions).poll_frame(cx)).await?;
    frame.unwrap().into_data().ok()
}

#[tokio::test]
async fn an_answer_counts_until_its_last_piece_is_written_though_all_of_it_was_handed_over() {
    let streams = streams().await;
    let traffic = Traffic::new(1, 1);
    let enter = || traffic.enter(Client::ThisMachine);
    let sending = Sending::new(Some(enter().unwrap()), Pace::Steady);
    let pieces = futures::stream::iter(["ab", "c"]).map(Ok::<_, std::io::Error>);
    let mut portions = Portions::new(Body::from_stream(pieces), streams.begin(true), sending, None);
    assert!(!portions.is_end_stream());
    let mut first = frame(&mut portions).await.unwrap();
    let second = frame(&mut portions).await.unwrap();
    assert!(frame(&mut portions).now_or_never().is_none(), "its pieces wait for the socket");
    assert!(!portions.is_end_stream() && enter().is_err());
    first.advance(1);
    assert_eq!((first.remaining(), first.chunk()), (1, &b"b"[..]));
    drop(first);
    assert!(frame(&mut portions).now_or_never().is_none());
    drop(second);
    assert!(frame(&mut portions).await.is_none());
    assert!(enter().is_err());
    drop(portions);
    assert!(enter().is_ok());
}

#[tokio::test]
async fn what_is_empty_is_said_to_be_so_at_once_and_what_is_whole_has_its_length() {
    let streams = streams().await;
    let portions =
        |body: Body| Portions::new(body, streams.begin(true), Sending::new(None, Pace::Steady), None);
    assert!(portions(Body::empty()).is_end_stream());
    let whole = portions(Body::from("four"));
    assert_eq!((whole.is_end_stream(), HttpBody::size_hint(&whole).exact()), (false, Some(4)));
}

#[tokio::test]
async fn the_task_of_a_stream_ends_with_it_and_with_its_connection() {
    let streams = streams().await;
    let first = streams.begin(true);
    let task = streams.beginning();
    assert!(!task.is_cancelled());
    drop(first);
    assert!(task.is_cancelled());
    let _second = streams.begin(true);
    let task = streams.beginning();
    streams.over().cancel();
    assert!(task.is_cancelled());
}

#[test]
fn a_request_says_its_host_and_its_cookies_as_http1_does() {
    let mut request = Request::builder()
        .uri("https://calls.example.org:6080/a?b")
        .header(COOKIE, "a=1")
        .header(COOKIE, "b=2")
        .body(())
        .unwrap();
    assert_eq!(head_bytes(&request), 2 * (6 + 3 + HEADER_COSTS) + 4 + "calls.example.org:6080".len());
    as_of_http1(&mut request);
    assert_eq!(request.headers()[HOST], "calls.example.org:6080");
    assert_eq!(request.headers().get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2"]);
    // What is said is left: whoever judges sees both.
    let mut both = Request::builder().uri("https://a.example/").header(HOST, "b.example").body(()).unwrap();
    as_of_http1(&mut both);
    assert_eq!(both.headers()[HOST], "b.example");
}

const DATA: u8 = 0;
const HEAD: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
/// Of the static table of HPACK.
const GET: u8 = 0x82;
const POST: u8 = 0x83;

fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// What a client says first: its settings, with the window of each stream.
fn hello(window: u32) -> Vec<u8> {
    let settings = [[0, 4].as_slice(), &window.to_be_bytes()].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame_of(SETTINGS, 0, 0, &settings)].concat()
}

/// The head of a request for a path, in HPACK without a table.
fn ask(stream: u32, method: &[u8], path: &str, flags: u8) -> Vec<u8> {
    let mut head = [method, &[0x87]].concat();
    for (index, value) in [(0x04, path), (0x01, "localhost")] {
        head.extend([index, u8::try_from(value.len()).unwrap()]);
        head.extend(value.as_bytes());
    }
    frame_of(HEAD, END_HEADERS | flags, stream, &head)
}

/// A connection over which answers have so long to be taken.
async fn connection(router: Router, shares: Shares, within: Duration) -> DuplexStream {
    let (client, server) = tokio::io::duplex(1 << 20);
    let close = Arc::new(Notify::new());
    let at = At {
        front: Front::with(router, Sites::default(), shares),
        seat: seat(Arc::clone(&close), within).await,
        cutting: Arc::default(),
        way: Way { peer: "127.0.0.1:5".parse().unwrap(), local: [127, 0, 0, 1].into(), is_tls: true },
        close,
        stop: CancellationToken::new(),
        stalled: within,
    };
    tokio::spawn(serve(server, at));
    client
}

/// The kinds of the frames that come until nothing does for so long, with how much each has, and whether the connection has ended.
async fn heard(client: &mut DuplexStream, quiet: Duration) -> (Vec<(u8, usize)>, bool) {
    let (mut bytes, mut piece, mut frames) = (Vec::new(), vec![0; 64 * 1024], Vec::new());
    let mut has_ended = false;
    while let Ok(read) = tokio::time::timeout(quiet, client.read(&mut piece)).await {
        match read {
            Ok(count @ 1..) => bytes.extend(&piece[..count]),
            Ok(0) | Err(_) => {
                has_ended = true;
                break;
            }
        }
    }
    let mut rest = bytes.as_slice();
    while let [first, second, third, kind, _, _, _, _, _, behind @ ..] = rest {
        let length = (usize::from(*first) << 16) | (usize::from(*second) << 8) | usize::from(*third);
        let Some(behind) = behind.get(length..) else { break };
        frames.push((*kind, length));
        rest = behind;
    }
    (frames, has_ended)
}

fn count(frames: &[(u8, usize)], kind: u8) -> usize {
    frames.iter().filter(|(found, _)| *found == kind).count()
}

#[tokio::test]
async fn whoever_opens_no_window_keeps_an_answer_for_its_time_and_others_go_on() {
    let within = Duration::from_secs(1);
    for (window, of_each) in [(0, 0), (10, 10)] {
        let page = Router::new().route("/page", get(async || "x".repeat(10_000)));
        let work = Traffic::new(50, 50);
        let shares = Shares { work: Some(work.clone()), ..Shares::default() };
        let mut client = connection(page, shares, within).await;
        let asked: Vec<u8> =
            (0..50_u32).flat_map(|at| ask(2 * at + 1, &[GET], "/page", END_STREAM)).collect();
        client.write_all(&[hello(window), asked].concat()).await.unwrap();
        let (frames, has_ended) = heard(&mut client, Duration::from_millis(300)).await;
        assert_eq!((count(&frames, HEAD), count(&frames, RST_STREAM), has_ended), (50, 0, false));
        let data: usize = frames.iter().filter(|(kind, _)| *kind == DATA).map(|(_, length)| length).sum();
        assert_eq!(data, 50 * of_each);
        assert!(work.enter(Client::ThisMachine).is_err(), "each of them counts");
        let mut reset = 0;
        let began = Instant::now();
        while reset < 50 && began.elapsed() < SWEEP_EVERY + within * 5 {
            reset += count(&heard(&mut client, Duration::from_millis(300)).await.0, RST_STREAM);
        }
        assert_eq!(reset, 50);
        assert!(work.enter(Client::ThisMachine).is_ok(), "and not any more");
        // The connection goes on.
        client.write_all(&ask(101, &[GET], "/none", END_STREAM)).await.unwrap();
        let (frames, has_ended) = heard(&mut client, Duration::from_millis(300)).await;
        assert_eq!((count(&frames, HEAD), has_ended), (1, false));
    }
}

#[tokio::test]
async fn a_head_of_a_few_bytes_costs_what_it_costs_and_is_reset_where_there_is_no_room() {
    let router = Router::new().route("/", post(async |body: Bytes| body.len().to_string()));
    let heads = Some(Traffic::new(3 * STREAM_COSTS_BYTES, 3 * STREAM_COSTS_BYTES));
    let mut client = connection(router, Shares { heads, ..Shares::default() }, WITHIN).await;
    let begun: Vec<u8> = (0..5_u32).flat_map(|at| ask(2 * at + 1, &[POST], "/", 0)).collect();
    client.write_all(&[hello(65_535), begun].concat()).await.unwrap();
    let (frames, has_ended) = heard(&mut client, Duration::from_millis(300)).await;
    // Each has a head of its own besides, so that the third finds no room.
    assert_eq!((count(&frames, HEAD), count(&frames, RST_STREAM), has_ended), (0, 3, false));
    let rest: Vec<u8> =
        [1, 3].into_iter().flat_map(|stream| frame_of(DATA, END_STREAM, stream, b"x")).collect();
    client.write_all(&rest).await.unwrap();
    let (frames, _) = heard(&mut client, Duration::from_millis(300)).await;
    assert_eq!((count(&frames, HEAD), count(&frames, RST_STREAM)), (2, 0));
    client.write_all(&ask(11, &[GET], "/", END_STREAM)).await.unwrap();
    let (frames, _) = heard(&mut client, Duration::from_millis(300)).await;
    assert_eq!(count(&frames, HEAD), 1, "there is room again");
}

#[tokio::test]
async fn what_is_refused_of_a_page_is_said_and_of_its_head_alone_nothing_follows() {
    let mut client = connection(Router::new(), Shares::default(), WITHIN).await;
    // HEAD is in no table: a literal value of ":method".
    let head = [[0x02, 4].as_slice(), b"HEAD"].concat();
    let path = format!("/{}", "x".repeat(20));
    client.write_all(&[hello(65_535), ask(1, &head, &path, END_STREAM)].concat()).await.unwrap();
    let (frames, has_ended) = heard(&mut client, Duration::from_millis(300)).await;
    assert_eq!((count(&frames, HEAD), count(&frames, DATA), has_ended), (1, 0, false));
    // By a name of somebody else's it is refused before it is routed.
    let foreign = |stream, method: &[u8]| {
        let mut block = [method, &[0x87, 0x84]].concat();
        block.extend([0x01, 12]);
        block.extend(b"evil.example");
        frame_of(HEAD, END_HEADERS | END_STREAM, stream, &block)
    };
    for (stream, method, bodies) in [(3, head.as_slice(), 0), (5, [GET].as_slice(), 1)] {
        client.write_all(&foreign(stream, method)).await.unwrap();
        let (frames, _) = heard(&mut client, Duration::from_millis(300)).await;
        let told = frames.iter().filter(|(kind, length)| *kind == DATA && *length > 0).count();
        assert_eq!((count(&frames, HEAD), told), (1, bodies));
    }
}
