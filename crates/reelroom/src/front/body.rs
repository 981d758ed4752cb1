//! Bodies: that of a request is read before anybody works on it, that of an answer holds what it counts for. What is left of a body
//! that is refused is read off for a while: a connection that is closed with bytes unread is reset, and the refusal with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures::{Stream, StreamExt as _};
use hyper::body::{Frame, SizeHint};
use reelroom_limits::http::{UNWANTED_BYTES, UNWANTED_WITHIN};

use crate::front::traffic::Slot;

/// What became of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// 400: whoever sends it went away, or sends no HTTP.
    #[error("the body of the request did not come to its end")]
    Broken,
    /// 408.
    #[error("the body of the request did not come in time")]
    Late,
    /// 413.
    #[error("the body is too large: it may have {0} bytes")]
    TooLarge(usize),
    /// 503.
    #[error("too many bodies of requests are being read: try again shortly")]
    Busy,
}

/// Reads a body of `most` bytes at most that has so long to come, and counts what comes of it by `bytes`.
///
/// # Errors
/// [`Trouble`].
pub(crate) async fn read(
    body: Body,
    most: usize,
    within: Duration,
    bytes: Option<&Slot>,
) -> Result<Bytes, Trouble> {
    let mut pieces = body.into_data_stream();
    let reading = async {
        let mut whole = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Trouble::Broken)?;
            if piece.len() > most - whole.len() {
                return Err(Trouble::TooLarge(most));
            }
            if let Some(bytes) = bytes {
                bytes.grow(piece.len()).map_err(|_| Trouble::Busy)?;
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.into())
    };
    let read = tokio::time::timeout(within, reading).await.unwrap_or(Err(Trouble::Late));
    if matches!(read, Err(Trouble::TooLarge(_) | Trouble::Busy)) {
        read_off(pieces);
    }
    read
}

/// Reads off the body of a request that is refused while its sender is told so.
pub(crate) fn refuse(body: Body) {
    if !body.is_end_stream() {
        read_off(body.into_data_stream());
    }
}

fn read_off<E: Send>(mut pieces: impl Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static) {
    tokio::spawn(async move {
        let reading = async {
            let mut read = 0;
            while let Some(Ok(piece)) = pieces.next().await
                && read < UNWANTED_BYTES
            {
                read += piece.len();
            }
        };
        let _ = tokio::time::timeout(UNWANTED_WITHIN, reading).await;
    });
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
    use super::*;
    use crate::front::connections::Client;
    use crate::front::traffic::Traffic;

    #[tokio::test]
    async fn a_body_has_its_time_its_size_and_its_share_and_no_more() {
        let hour = Duration::from_secs(3600);
        let pieces = || futures::stream::iter(["ab", "c"]).map(Ok::<_, std::io::Error>);
        let whole = || Body::from_stream(pieces());
        let stuck = Body::from_stream(pieces().chain(futures::stream::pending()));
        let broken = Body::from_stream(
            pieces().chain(futures::stream::iter([Err(std::io::ErrorKind::BrokenPipe.into())])),
        );
        for (body, limit, most, share, expected) in [
            (whole(), hour, 3, 3, Ok("abc")),
            (whole(), hour, 2, 3, Err(Trouble::TooLarge(2))),
            (whole(), hour, 3, 2, Err(Trouble::Busy)),
            (stuck, Duration::from_millis(1), 3, 3, Err(Trouble::Late)),
            (broken, hour, 3, 3, Err(Trouble::Broken)),
        ] {
            let traffic = Traffic::new(share, share);
            let slot = traffic.open(Client::ThisMachine);
            let read = read(body, most, limit, Some(&slot)).await;
            assert_eq!(read, expected.map(Bytes::from));
            if expected.is_ok() {
                assert!(traffic.enter(Client::ThisMachine).is_err(), "it counts until it is answered");
            }
            drop(slot);
            assert!(traffic.enter(Client::ThisMachine).is_ok());
        }
    }
}
