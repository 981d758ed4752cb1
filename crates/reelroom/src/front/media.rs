//! What comes by this port and is no request: ICE over TCP and TURN, for those whose network lets nothing but this port through.
//!
//! ```text
//!   first byte ─┬─ 0 to 3, in the clear ────────────────► media
//!               └─ TLS ─ no protocol, or stun.turn ─┬─ 0 to 3 ─► media
//!                                                   └─ else ───► http1
//! ```
//!
//! # Invariants
//!
//! - A connection that is media's holds no place here: media has places of its own, and a full one of either costs the other nothing.
//! - Until its first byte is known a connection is one of this port, with the time and the bounds of any other.

use std::io;

use reelroom_media::{MediaServer, TCP_SEND_BUFFER_BYTES, begins_media};
use socket2::SockRef;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::front::Way;
use crate::front::listener::At;
use crate::front::socket::Heard;

/// What a browser may call TURN within TLS.
pub(super) const ALPN: &[u8] = b"stun.turn";

/// Hands over a connection in the clear, of which nothing was read.
pub(super) async fn serve(stream: TcpStream, media: &MediaServer, way: Way) {
    bound(&stream);
    let Ok(local) = stream.local_addr() else { return };
    media.take_connection(stream, way.peer, local).await;
}

/// Hands over a connection within TLS where it begins as media does; gives it back otherwise, with nothing read off.
pub(super) async fn serve_within_tls(
    mut stream: TlsStream<Heard>,
    media: &MediaServer,
    at: At,
) -> Option<(TlsStream<Heard>, At)> {
    let first = tokio::select! {
        first = first_byte(&mut stream) => first,
        () = at.close.notified() => return None,
        () = at.stop.cancelled() => return None,
    };
    // Whoever goes without a word, or with an error, is gone.
    let first = first.ok().flatten()?;
    if !begins_media(first) {
        return Some((stream, at));
    }
    let At { seat, way, stop, .. } = at;
    let heard = stream.get_mut().0;
    heard.leave();
    bound(heard.socket());
    let local = heard.socket().local_addr().ok()?;
    // The other half of its place: it has one among those of media.
    drop(seat);
    tokio::select! {
        () = media.take_connection(stream, way.peer, local) => {}
        () = stop.cancelled() => {}
    }
    None
}

/// What somebody says first within TLS, which is left where it is.
async fn first_byte(stream: &mut TlsStream<Heard>) -> io::Result<Option<u8>> {
    Ok(stream.fill_buf().await?.first().copied())
}

fn bound(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_send_buffer_size(TCP_SEND_BUFFER_BYTES) {
        tracing::debug!(%error, "the system keeps as much for a peer as it likes");
    }
}
