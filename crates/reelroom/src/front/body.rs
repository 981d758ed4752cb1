//! Bodies: that of a request has its time and counts while it is read, that of an answer holds what it counts for.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::front::traffic::Slot;

/// What became of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// 408.
    #[error("the body of the request did not come in time")]
    Late,
    /// 503.
    #[error("too many bodies of requests are being read: try again shortly")]
    Busy,
}

/// The reading of a request's body. What came of it counts until this is dropped.
#[derive(Clone)]
pub(crate) struct Reading(Arc<Shared>);

struct Shared {
    bytes: Option<Slot>,
    trouble: OnceLock<Trouble>,
}

impl Reading {
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.0.trouble.get().copied()
    }
}

/// Gives the body of a request so long to come, and counts what comes by `bytes`.
pub(crate) fn in_time(request: Request, limit: Duration, bytes: Option<Slot>) -> (Request, Reading) {
    let reading = Reading(Arc::new(Shared { bytes, trouble: OnceLock::new() }));
    if request.body().is_end_stream() {
        return (request, reading);
    }
    let shared = Arc::clone(&reading.0);
    let timed = |body| Body::new(Timed { body, time: Box::pin(tokio::time::sleep(limit)), shared });
    (request.map(timed), reading)
}

struct Timed {
    body: Body,
    time: Pin<Box<Sleep>>,
    shared: Arc<Shared>,
}

impl Timed {
    fn fail(&self, trouble: Trouble) -> axum::Error {
        axum::Error::new(*self.shared.trouble.get_or_init(|| trouble))
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(self.fail(Trouble::Late))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(bytes)) = (&polled, &self.shared.bytes) {
            let more = frame.data_ref().map_or(0, Bytes::len);
            if bytes.grow(more).is_err() {
                return Poll::Ready(Some(Err(self.fail(Trouble::Busy))));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, and what is held until it was sent or given up.
pub(crate) struct Held<T> {
    body: Body,
    _held: T,
}

impl<T> Held<T> {
    pub(crate) fn new(body: Body, held: T) -> Self {
        Self { body, _held: held }
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::front::connections::Client;
    use crate::front::traffic::Traffic;

    #[tokio::test]
    async fn a_body_has_its_time_and_its_share_and_no_more() {
        let hour = Duration::from_secs(3600);
        let piece = || futures::stream::iter([Ok::<_, std::io::Error>("abc")]);
        let whole = || Body::from_stream(piece());
        let stuck = Body::from_stream(piece().chain(futures::stream::pending()));
        for (body, limit, share, trouble) in [
            (whole(), hour, 3, None),
            (whole(), hour, 2, Some(Trouble::Busy)),
            (stuck, Duration::from_millis(1), 3, Some(Trouble::Late)),
        ] {
            let traffic = Traffic::new(share, share);
            let slot = traffic.open(Client::ThisMachine);
            let (request, reading) = in_time(Request::new(body), limit, Some(slot));
            let read = axum::body::to_bytes(request.into_body(), 10).await;
            assert_eq!((read.is_err(), reading.trouble()), (trouble.is_some(), trouble));
            if trouble.is_none() {
                assert!(traffic.enter(Client::ThisMachine).is_err(), "it counts until it is answered");
                drop(reading);
                assert!(traffic.enter(Client::ThisMachine).is_ok());
            }
        }
    }
}
