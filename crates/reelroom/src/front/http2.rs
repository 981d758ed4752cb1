//! HTTP/2: many requests of a connection at once, each of which counts like one of HTTP/1. WebSockets are none of them: browsers open a
//! connection of HTTP/1 for each.
//!
//! ```text
//!   TLS ─► Framed ─► hyper ─► a task for each stream: Front ─► Portions ─► hyper ─► TLS
//!          (heads            (Tasks: ends with its           (its pieces tell when
//!           are counted)      connection, or when it is late) they are written)
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{COOKIE, HOST};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper::Request;
use hyper::body::{Buf, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use reelroom_limits::http::{HEAD_BYTES, HEADERS};
use reelroom_limits::tls::{
    PING_EVERY, PING_WITHIN, STREAM_BYTES, STREAM_COSTS_BYTES, STREAM_WAITING_BYTES, STREAMS, STREAMS_BYTES,
};
use reelroom_routes::Cut;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::front::connections::Client;
use crate::front::frames::Framed;
use crate::front::listener::At;
use crate::front::seat::{Goes, Pace, Sending};
use crate::front::socket::Cutting;
use crate::front::streams::{Flow, StreamSeat, Streams};
use crate::front::traffic::Slot;
use crate::front::{Answer, Front, Way};

const SWEEP_EVERY: Duration = Duration::from_secs(2);
/// What a header costs besides its name and value, as the protocol counts it.
const HEADER_COSTS: usize = 32;

/// Answers what comes by a connection until it ends.
pub(super) async fn serve<I>(io: I, at: At)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let At { front, seat, cutting, way, close, stop, stalled } = at;
    seat.share();
    let client = front.client_at(way.peer.ip());
    let streams = Streams::new(seat, stalled);
    let _over = streams.over().drop_guard();
    let io = Framed::new(io, front.head(client), Arc::clone(&streams));
    let service = service_fn({
        let (streams, cutting) = (Arc::clone(&streams), Arc::clone(&cutting));
        move |request: Request<Incoming>| {
            cutting.follow(None);
            let stream = streams.begin(HttpBody::is_end_stream(request.body()));
            let (front, cutting) = (front.clone(), Arc::clone(&cutting));
            async move { Ok::<_, Infallible>(answer(&front, request, way, client, stream, cutting).await) }
        }
    });
    let mut http = http2::Builder::new(Tasks(Arc::clone(&streams)));
    // A connection over which nothing is to be sent does not notice that nobody is there any more, and a film that is paused is such a one.
    http.timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).expect("a head is small"))
        .initial_stream_window_size(STREAM_BYTES)
        .initial_connection_window_size(STREAMS_BYTES)
        .max_send_buf_size(STREAM_WAITING_BYTES);
    let connection = http.serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
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
            () = streams.abused() => {
                tracing::debug!(?client, "too many requests were given up: the connection is closed");
                return;
            }
            _ = sweep.tick() => streams.sweep(Instant::now()),
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The tasks of a connection's streams.
#[derive(Clone)]
struct Tasks(Arc<Streams>);

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        let reset = self.0.beginning();
        tokio::spawn(async move { reset.run_until_cancelled(task).await.map(drop) });
    }
}

impl Goes for StreamSeat {
    fn is_whole(&self) {
        StreamSeat::is_whole(self);
    }

    // Nobody asks for one in a stream: it is not offered.
    fn upgrade(&self, _: Option<Slot>) {}
}

async fn answer(
    front: &Front,
    mut request: Request<Incoming>,
    way: Way,
    client: Client,
    stream: StreamSeat,
    cutting: Arc<Cutting>,
) -> Response<Portions> {
    let head = front.heads(client);
    let bytes = STREAM_COSTS_BYTES + head_bytes(&request);
    if head.as_ref().is_some_and(|head| head.grow(bytes).is_err()) {
        // An answer would be kept for a reader that may never come. The task of this stream ends here.
        stream.reset.cancel();
        return std::future::pending().await;
    }
    let is_head = request.method() == Method::HEAD;
    let refused = if request.headers().len() > HEADERS + request.headers().get_all(COOKIE).iter().count() {
        let text = format!("the request has too many headers: it may have {HEADERS}");
        Some((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text))
    } else {
        None
    };
    let Answer { response, sending } = match refused {
        Some((status, text)) => front.turn_away(&request.map(Body::new), &way, status, &text),
        None => {
            as_of_http1(&mut request);
            front.answer(request.map(Body::new), way, &stream).await
        }
    };
    if let Some(cut) = response.extensions().get::<Cut>().cloned() {
        let gone = stream.reset.clone();
        tokio::spawn(async move {
            gone.run_until_cancelled(cut.cut()).await;
            // Of one that has ended the last bytes may wait for a slow reader.
            cutting.follow(Some(cut));
        });
    }
    // Of HTTP/1 hyper sees to that.
    response.map(|body| Portions::new(if is_head { Body::empty() } else { body }, stream, sending, head))
}

/// What is kept of a request's head.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let headers: usize =
        headers.map(|(name, value)| name.as_str().len() + value.as_bytes().len() + HEADER_COSTS).sum();
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    headers + path + uri.authority().map_or(0, |authority| authority.as_str().len())
}

/// Says what HTTP/1 says in one header, and HTTP/2 elsewhere or in several: by which name it came, and the cookies (RFC 9113, 8.2.3, 8.3.1).
fn as_of_http1<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().and_then(|one| HeaderValue::try_from(one.as_str()).ok());
    if let Some(authority) = authority
        && !request.headers().contains_key(HOST)
    {
        request.headers_mut().insert(HOST, authority);
    }
    let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(all) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        request.headers_mut().insert(COOKIE, all);
    }
}

/// An answer on its way: it ends when all of it is written to the socket, and holds until then what counts it.
struct Portions {
    body: Body,
    /// Its source has given all of it.
    is_over: bool,
    has_begun: bool,
    bytes: u64,
    pace: Pace,
    stream: StreamSeat,
    _slot: Option<Slot>,
    _head: Option<Slot>,
}

impl Portions {
    fn new(body: Body, stream: StreamSeat, sending: Sending, head: Option<Slot>) -> Self {
        let (slot, pace) = sending.into_parts();
        // What is whole in memory has its time from now on; of what is made as it is sent nobody knows how long it takes to be made.
        let length = HttpBody::size_hint(&body).exact();
        let until = length.filter(|_| pace != Pace::TheirOwn);
        let until = until.map(|bytes| Instant::now() + stream.answer_within(bytes));
        stream.sends(until, pace != Pace::Spare);
        Self { body, is_over: false, has_begun: false, bytes: 0, pace, stream, _slot: slot, _head: head }
    }
}

impl HttpBody for Portions {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let this = &mut *self;
        this.has_begun = true;
        if !this.is_over {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                    let flow = &this.stream.flow;
                    return Poll::Ready(Some(Ok(frame.map_data(|bytes| Piece::new(bytes, flow)))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.is_over = true;
                    if this.pace == Pace::Steady {
                        let until = Instant::now() + this.stream.answer_within(this.bytes);
                        this.stream.sends(Some(until), true);
                    }
                }
            }
        }
        this.stream.flow.poll_sent(cx).map(|()| None)
    }

    // An empty one is said to be so at once; of another one nothing is said before all of it is written.
    fn is_end_stream(&self) -> bool {
        !self.has_begun && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.has_begun { SizeHint::default() } else { HttpBody::size_hint(&self.body) }
    }
}

/// A piece of an answer, until it is written or thrown away.
struct Piece {
    bytes: Bytes,
    flow: Arc<Flow>,
}

impl Piece {
    fn new(bytes: Bytes, flow: &Arc<Flow>) -> Self {
        flow.begin();
        Self { bytes, flow: Arc::clone(flow) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.flow.moved();
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.flow.end();
    }
}

#[cfg(test)]
mod tests;
