//! What of HTTP/2 is on its way: the head of a request, which is kept until all of it has come. Pure.
//!
//! ```text
//!   PRI * HTTP/2.0…  SETTINGS  HEADERS ──► CONTINUATION ──► (END_HEADERS)  DATA  WINDOW_UPDATE …
//!                              └──── a head is coming ────┘  its bytes are kept by whoever decodes it
//! ```
//!
//! No other frame comes between those of one head, so that there is one at a time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::front::head::Head;
use crate::front::streams::Streams;

/// "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".
const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Where in the frames of a connection it is.
pub(super) struct Frames {
    preface_left: usize,
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    payload_left: usize,
    /// This frame is one of a head.
    is_of_head: bool,
    /// And the last of it.
    is_last: bool,
    /// Bytes of the head that is coming.
    coming: usize,
    is_coming: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            preface_left: PREFACE_BYTES,
            head: [0; FRAME_HEAD_BYTES],
            head_bytes: 0,
            payload_left: 0,
            is_of_head: false,
            is_last: false,
            coming: 0,
            is_coming: false,
        }
    }

    /// Hears what came, and says how many bytes there are of the head that is coming then; `None` where none is.
    pub(super) fn hear(&mut self, mut bytes: &[u8]) -> Option<usize> {
        let preface = self.preface_left.min(bytes.len());
        self.preface_left -= preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.head_bytes < FRAME_HEAD_BYTES {
                let take = (FRAME_HEAD_BYTES - self.head_bytes).min(bytes.len());
                self.head[self.head_bytes..self.head_bytes + take].copy_from_slice(&bytes[..take]);
                self.head_bytes += take;
                bytes = &bytes[take..];
                if self.head_bytes == FRAME_HEAD_BYTES {
                    self.begin();
                }
            } else {
                let take = self.payload_left.min(bytes.len());
                self.payload_left -= take;
                bytes = &bytes[take..];
                if self.is_of_head {
                    self.coming += take;
                }
            }
            if self.head_bytes == FRAME_HEAD_BYTES && self.payload_left == 0 {
                self.end();
            }
        }
        self.is_coming.then_some(self.coming)
    }

    fn begin(&mut self) {
        let [first, second, third, kind, flags, ..] = self.head;
        self.payload_left = (usize::from(first) << 16) | (usize::from(second) << 8) | usize::from(third);
        self.is_of_head = kind == HEADERS || kind == CONTINUATION;
        self.is_last = flags & END_HEADERS != 0;
        if kind == HEADERS {
            self.coming = 0;
            self.is_coming = true;
        }
    }

    fn end(&mut self) {
        self.head_bytes = 0;
        if self.is_of_head && self.is_last {
            self.is_coming = false;
            self.coming = 0;
        }
    }
}

/// A connection of HTTP/2: the heads that come are counted, and told to its streams.
pub(super) struct Framed<I> {
    io: I,
    frames: Frames,
    head: Head,
    counted: usize,
    streams: Arc<Streams>,
}

impl<I> Framed<I> {
    pub(super) fn new(io: I, head: Head, streams: Arc<Streams>) -> Self {
        Self { io, frames: Frames::new(), head, counted: 0, streams }
    }

    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let coming = self.frames.hear(bytes);
        self.streams.head(coming.is_some());
        let coming = coming.unwrap_or(0);
        if coming < self.counted {
            self.head.forget();
            self.counted = 0;
        }
        let more = coming - self.counted;
        self.counted = coming;
        self.head.hear(more).map_err(|_| io::Error::other("there is no room for more heads of requests"))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Framed<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buffer))?;
        Poll::Ready(this.hear(&buffer.filled()[before..]))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Framed<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.extend(vec![7; payload]);
        bytes
    }

    #[test]
    fn a_head_is_coming_from_its_first_frame_to_the_end_of_its_last_one() {
        let begin = [vec![b'P'; PREFACE_BYTES], frame(4, 0, 18)].concat();
        let frames = [(HEADERS, 0, 300), (CONTINUATION, 0, 0), (CONTINUATION, END_HEADERS, 70_000)];
        let head = frames.map(|(kind, flags, payload)| frame(kind, flags, payload)).concat();
        let rest = [frame(0, 1, 5000), frame(8, 0, 4), frame(HEADERS, END_HEADERS | 1, 0)].concat();
        let all = [begin.clone(), head.clone(), rest].concat();
        // However it is cut.
        for piece in [1, 2, 7, 100, 16_384, all.len()] {
            let mut frames = Frames::new();
            let mut at = 0;
            for bytes in all.chunks(piece) {
                let coming = frames.hear(bytes);
                at += bytes.len();
                let is_within = begin.len() + FRAME_HEAD_BYTES <= at && at < begin.len() + head.len();
                assert_eq!(coming.is_some(), is_within, "{coming:?} after {at} bytes");
                assert!(coming.is_none_or(|bytes| bytes <= at - begin.len() - FRAME_HEAD_BYTES));
            }
        }
    }

    #[test]
    fn half_a_head_is_one() {
        let mut frames = Frames::new();
        let bytes = [vec![b'P'; PREFACE_BYTES], frame(HEADERS, END_HEADERS, 100)].concat();
        assert_eq!(frames.hear(&bytes[..PREFACE_BYTES + 8]), None);
        assert_eq!(frames.hear(&bytes[PREFACE_BYTES + 8..PREFACE_BYTES + 9]), Some(0));
        assert_eq!(frames.hear(&bytes[PREFACE_BYTES + 9..PREFACE_BYTES + 59]), Some(50));
        assert_eq!(frames.hear(&bytes[PREFACE_BYTES + 59..]), None);
    }
}
