//! The handshake of TLS: work for somebody of whom nothing is known, so that it is bounded by number, pace and time.

use std::io;
use std::time::Instant;

use reelroom_certs::Certificates;
use reelroom_limits::tls::HANDSHAKE_WAITS;
use rustls::server::Acceptor;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::front::Front;
use crate::front::connections::Client;
use crate::front::media;
use crate::front::socket::Heard;

/// The first byte of whoever speaks TLS: a handshake's. No method of HTTP begins with it.
pub(super) const FIRST_BYTE: u8 = 0x16;

/// What is spoken within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
    /// Whoever speaks does not say: it may be HTTP/1, and it may be TURN, of which browsers say nothing.
    Unsaid,
}

/// Does the handshake; nothing where there is no room for it, where it fails, or where it was all that somebody wanted.
pub(super) async fn greet(
    io: Heard,
    certificates: &Certificates,
    front: &Front,
    client: Client,
) -> Option<(TlsStream<Heard>, Protocol)> {
    let Ok(_slot) = front.handshake(client) else {
        tracing::debug!(?client, "too many handshakes are under way");
        return None;
    };
    match shake(io, certificates, front, client).await {
        Ok(stream) => {
            let protocol = stream.get_ref().1.alpn_protocol();
            let spoken = match protocol {
                Some(b"h2") => Protocol::Http2,
                Some(media::ALPN) | None => Protocol::Unsaid,
                Some(_) => Protocol::Http1,
            };
            let is_over = Certificates::was_challenge(protocol);
            (!is_over).then_some((stream, spoken))
        }
        Err(error) => {
            // Whoever does not believe the certificate ends it, and so does a browser that is about to ask its person.
            tracing::debug!(?client, "a handshake failed: {error}");
            None
        }
    }
}

async fn shake(
    io: Heard,
    certificates: &Certificates,
    front: &Front,
    client: Client,
) -> io::Result<TlsStream<Heard>> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), io).await?;
    // What costs comes behind this.
    let wait = front.handshake_wait(client, Instant::now(), HANDSHAKE_WAITS);
    let wait = wait.map_err(|_| io::Error::other("this address has too many of them"))?;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let config = certificates.config(&start.client_hello());
    start.into_stream(config).await
}
