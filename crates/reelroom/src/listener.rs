//! The HTTP port: who connects to it, and how long a connection may stand still.
//!
//! A reader that stops in the middle of a recording holds a connection, a file handle and, with S3, a connection to the bucket. The
//! kernel counts for how long a reader has taken nothing (`TCP_USER_TIMEOUT`, RFC 5482: neither acknowledged what was sent nor
//! opened its window) and then ends the connection with an error, which frees all of them. A reader that moves, however slowly,
//! begins that time anew; a connection over which nothing is to be sent has none.

use std::time::Duration;

use axum::serve::{ListenerExt as _, TapIo};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

/// As nginx has it (`send_timeout`): no browser and no download program takes nothing for so long and then goes on.
pub(crate) const STALLED_READER: Duration = Duration::from_secs(60);

/// Connections that end when their reader has taken nothing for `limit`.
pub(crate) fn letting_go(
    listener: TcpListener,
    limit: Duration,
) -> TapIo<TcpListener, impl FnMut(&mut TcpStream) + Send + 'static> {
    listener.tap_io(move |connection: &mut TcpStream| {
        let socket = SockRef::from(&*connection);
        if let Err(error) = socket.set_tcp_user_timeout(Some(limit)) {
            tracing::debug!(%error, "readers that stop are not let go on this system");
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    /// A body without an end, counted while it is there.
    struct Endless(Arc<AtomicUsize>);

    impl Drop for Endless {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&bodies);
        let endless = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let body = Endless(Arc::clone(&counted));
            Body::from_stream(futures::stream::repeat_with(move || {
                let _open = &body;
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 64 * 1024]))
            }))
        };
        let router = Router::new().route("/", get(endless));
        tokio::spawn(axum::serve(letting_go(listener, LIMIT), router).into_future());
        (address, bodies)
    }

    async fn request(address: SocketAddr) -> TcpStream {
        let mut reader = TcpStream::connect(address).await.unwrap();
        reader.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 1024];
        assert!(reader.read(&mut first).await.unwrap() > 0);
        reader
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_let_go_with_all_it_held() {
        let (address, bodies) = server().await;
        let stopped = request(address).await;
        assert_eq!(bodies.load(Ordering::SeqCst), 1);
        let began = Instant::now();
        while bodies.load(Ordering::SeqCst) > 0 {
            assert!(began.elapsed() < LIMIT * 5, "the body is still there");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(began.elapsed() > LIMIT / 2, "{:?}", began.elapsed());
        drop(stopped);
    }

    #[tokio::test]
    async fn a_reader_that_is_slow_but_moves_is_not_cut() {
        let (address, bodies) = server().await;
        let mut slow = request(address).await;
        let (began, mut piece) = (Instant::now(), vec![0; 64 * 1024]);
        while began.elapsed() < LIMIT * 4 {
            slow.read_exact(&mut piece).await.expect("a slow reader is served");
            tokio::time::sleep(LIMIT / 8).await;
        }
        assert_eq!(bodies.load(Ordering::SeqCst), 1);
    }
}
