//! HTTP/1: one request of a connection at a time, and WebSockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reelroom_limits::http::{HEAD_BYTES, HEADERS};
use reelroom_routes::Cut;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::front::Answer;
use crate::front::body::Held;
use crate::front::connections::Phase;
use crate::front::listener::At;
use crate::front::seat::{Answering, Seat};

/// Answers what comes by a connection until it ends.
pub(super) async fn serve<I>(io: I, at: At)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let At { front, seat, cutting, way, close, stop, .. } = at;
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
            let Answer { response, sending } = front.answer(request, way, &*seat).await;
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
    let connection = http.serve_connection(TokioIo::new(io), service).with_upgrades();
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
