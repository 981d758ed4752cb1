#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Semaphore;

use super::*;
use crate::front::connections::{Bounds, Connections};
use crate::front::seat::{Place, Seat};
use crate::front::traffic::Traffic;

const WITHIN: Duration = Duration::from_secs(30);

async fn streams() -> Arc<Streams> {
    let bounds = Bounds { total: 4, of_an_address: 4 };
    let table = Arc::new(Mutex::new(Connections::new(bounds)));
    let close = Arc::default();
    let id = table.lock().unwrap().enter(Client::ThisMachine, close, Instant::now()).unwrap();
    let socket = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let seat = Seat::new(Place { table, id }, Head::new(None), WITHIN, socket);
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
    let mut portions =
        Portions::new(Body::from_stream(pieces), streams.begin(true), sending, Head::new(None));
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
    let portions = |body: Body| {
        Portions::new(body, streams.begin(true), Sending::new(None, Pace::Steady), Head::new(None))
    };
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
