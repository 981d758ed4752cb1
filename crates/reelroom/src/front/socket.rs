//! The socket of a connection: what is heard and taken is told to its seat, and what is cut never arrives.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use reelroom_routes::Cut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::front::head::READ_BYTES;
use crate::front::seat::Seat;

/// Whether the last answer of a connection is cut. One is followed until the next request: its last bytes may wait for a slow reader.
#[derive(Default)]
pub(super) struct Cutting {
    answer: Mutex<Option<Cut>>,
    another: Notify,
}

impl Cutting {
    pub(super) fn follow(&self, answer: Option<Cut>) {
        let mut followed = self.answer();
        // The connection of one that is cut has no next answer.
        if !followed.as_ref().is_some_and(Cut::is_cut) {
            *followed = answer;
        }
        drop(followed);
        self.another.notify_one();
    }

    fn is_cut(&self) -> bool {
        self.answer().as_ref().is_some_and(Cut::is_cut)
    }

    /// Waits until the answer is cut that is followed then.
    pub(super) async fn cut(&self) {
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
pub(super) struct Heard {
    stream: TcpStream,
    /// None once it is no connection of HTTP any more.
    seat: Option<Arc<Seat>>,
    cutting: Arc<Cutting>,
}

impl Heard {
    pub(super) fn new(stream: TcpStream, seat: Arc<Seat>, cutting: Arc<Cutting>) -> Self {
        Self { stream, seat: Some(seat), cutting }
    }

    /// Gives up its seat, and tells nobody anything from now on: it is somebody else's connection.
    pub(super) fn leave(&mut self) {
        self.seat = None;
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }
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
        let at_most = if self.seat.is_some() { READ_BYTES } else { usize::MAX };
        let most = buffer.remaining().min(at_most);
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        let heard = piece.filled().len();
        buffer.advance(heard);
        let Some(seat) = &self.seat else { return Poll::Ready(Ok(())) };
        if heard > 0 {
            seat.heard();
        }
        let counted = seat.head.hear(heard);
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
        if let Some(seat) = &self.seat {
            seat.sent();
        }
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
