//! What a service manager is told, as systemd wants it (sd_notify(3)): that the program is ready, reads its settings again, stops, and is alive.
//!
//! ```text
//!   ready ─► READY=1        SIGHUP ─► RELOADING=1 … READY=1        SIGTERM ─► STOPPING=1
//!
//!   three times in WatchdogSec: GET /healthz, by the port by which the program reaches itself
//!                                 ├─ answered ─────► WATCHDOG=1
//!                                 └─ not answered ─► nothing: the manager ends the program, and starts it again
//! ```
//!
//! # Invariants
//!
//! - Without a manager nothing is told, and nothing is asked.
//! - What is asked needs the runtime and the front, and neither a disk nor anybody outside: a disk that is stuck ends no call, and no crowd
//!   at the other port makes the program look dead.
//! - A manager that does not listen holds nobody up for longer than a moment.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use crate::signals::Stop;

/// So often in the manager's time the program shows that it is alive: one question may be lost.
const TIMES: u32 = 3;
/// A manager takes what it is told at once, but for one that is being restarted itself.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);
/// What is told in microseconds, in 32 bits, is little more.
const EXTENDED_AT_MOST: Duration = Duration::from_secs(60 * 60);
/// More than the head and the body of that answer have.
const ANSWER_BYTES: u64 = 16 * 1024;

/// The service manager that has started this program, where one has that wants to be told.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    /// The name of its socket.
    socket: Option<OsString>,
    /// For as long as this it hears nothing before it takes the program for dead.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the manager says it in the environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` with `WATCHDOG_PID`.
    pub fn from_env() -> Self {
        Self::new(std::env::var_os("NOTIFY_SOCKET"), sd_notify::watchdog_enabled())
    }

    fn new(socket: Option<OsString>, watchdog: Option<Duration>) -> Self {
        let socket = socket.filter(|name| !name.is_empty());
        Self { socket, watchdog: watchdog.filter(|time| !time.is_zero()) }
    }

    /// The program does its work, `at` this URL.
    pub fn ready(&self, at: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&format!("ready at {at}"))]);
    }

    /// The program reads its settings again; [`Notify::reloaded`] follows, whatever comes of it.
    pub fn reloading(&self) {
        let now = NotifyState::monotonic_usec_now();
        let states = std::iter::once(NotifyState::Reloading).chain(now.ok());
        self.tell(&states.collect::<Vec<_>>());
    }

    /// The settings are read.
    pub fn reloaded(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The program ends what it does, or leaves it to its next start.
    pub fn stopping(&self, how: Stop) {
        let status = match how {
            Stop::End => "stopping: calls end, and recordings are finished",
            Stop::HandOver => "handing over to the next start: clients come back, and recordings go on",
        };
        self.tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
    }

    /// What it is doing, starting or stopping, takes so much longer from now on, an hour at most; the manager waits for that.
    pub fn extend(&self, by: Duration) {
        let micros = by.min(EXTENDED_AT_MOST).as_micros();
        self.tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(micros).expect("an hour has fewer"))]);
    }

    /// Tells the manager again and again that the program is alive, for as long as `at` answers and what is returned is held. `None` where
    /// no manager waits for that. To be called in a runtime.
    pub fn watch(&self, at: SocketAddr) -> Option<AbortOnDropHandle<()>> {
        self.socket.as_ref()?;
        let every = self.watchdog? / TIMES;
        Some(AbortOnDropHandle::new(tokio::spawn(self.clone().show_life(at, every))))
    }

    async fn show_life(self, at: SocketAddr, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match tokio::time::timeout(every, ask(at)).await {
                Ok(Ok(())) => self.tell(&[NotifyState::Watchdog]),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "this program does not answer itself: its service manager is not told that it is alive");
                }
                Err(_) => tracing::warn!(
                    waited_ms = every.as_millis(),
                    "this program answers itself late: its service manager is not told that it is alive"
                ),
            }
        }
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(name) = &self.socket else { return };
        let lines: Vec<_> = states.iter().map(ToString::to_string).collect();
        if let Err(error) = send(name, &lines.join("\n")) {
            tracing::warn!(%error, lines = lines.join(" "), "the service manager that started this program cannot be told");
        }
    }
}

/// Each time by a socket of its own: a manager that was restarted has another one of the same name.
fn send(name: &OsStr, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(TAKEN_WITHIN))?;
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.connect_addr(&UnixAddress::from_abstract_name(name)?)?,
        None => socket.connect(name)?,
    }
    // A datagram goes out whole or not at all.
    socket.send(text.as_bytes()).map(drop)
}

/// Any answer is a sign of life: what is asked for is not everywhere.
async fn ask(at: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/") { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::net::{TcpListener, UnixDatagram};

    use super::*;

    /// A manager's ear, and what is told to it.
    struct Manager {
        socket: UnixDatagram,
        _folder: tempfile::TempDir,
        notify: Notify,
    }

    impl Manager {
        fn new(watchdog: Option<Duration>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let name = folder.path().join("notify");
            let socket = UnixDatagram::bind(&name).unwrap();
            Self { socket, _folder: folder, notify: Notify::new(Some(name.into_os_string()), watchdog) }
        }

        /// What comes within so long.
        async fn hear(&self, within: Duration) -> Option<String> {
            let mut bytes = [0; 1024];
            let length = tokio::time::timeout(within, self.socket.recv(&mut bytes)).await.ok()?.unwrap();
            Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
        }
    }

    const SOON: Duration = Duration::from_secs(10);
    const WATCHDOG: Duration = Duration::from_millis(150);

    #[tokio::test]
    async fn a_manager_is_told_what_the_program_does() {
        let manager = Manager::new(None);
        manager.notify.ready("http://localhost:6080");
        let told = manager.hear(SOON).await.unwrap();
        assert_eq!(told, "READY=1\nSTATUS=ready at http://localhost:6080");
        manager.notify.reloading();
        let told = manager.hear(SOON).await.unwrap();
        assert!(told.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{told}");
        manager.notify.reloaded();
        assert_eq!(manager.hear(SOON).await.unwrap(), "READY=1");
        manager.notify.extend(Duration::from_secs(90));
        assert_eq!(manager.hear(SOON).await.unwrap(), "EXTEND_TIMEOUT_USEC=90000000");
        manager.notify.extend(Duration::MAX);
        assert_eq!(manager.hear(SOON).await.unwrap(), "EXTEND_TIMEOUT_USEC=3600000000");
        manager.notify.stopping(Stop::End);
        assert!(manager.hear(SOON).await.unwrap().starts_with("STOPPING=1\nSTATUS=stopping: calls end"));
        manager.notify.stopping(Stop::HandOver);
        let told = manager.hear(SOON).await.unwrap();
        assert!(told.starts_with("STOPPING=1\nSTATUS=handing over"), "{told}");
    }

    #[tokio::test]
    async fn a_manager_in_the_abstract_namespace_is_told_too() {
        let name = format!("reelroom-test-{}", std::process::id());
        let address = UnixAddress::from_abstract_name(&name).unwrap();
        let socket = std::os::unix::net::UnixDatagram::bind_addr(&address).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Notify::new(Some(format!("@{name}").into()), None).reloaded();
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1");
    }

    /// What answers with `answer` until it `hangs`: then it takes connections, as the kernel does for a program that hangs, and says nothing.
    async fn front(answer: &'static [u8], hangs: Arc<AtomicBool>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if hangs.load(Ordering::Relaxed) {
                    kept.push(stream);
                    continue;
                }
                // Whoever asks may have given up.
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer).await;
            }
        });
        at
    }

    #[tokio::test]
    async fn as_long_as_the_program_answers_itself_it_is_alive_and_no_longer() {
        let manager = Manager::new(Some(WATCHDOG));
        let hangs = Arc::new(AtomicBool::new(false));
        let at = front(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Arc::clone(&hangs)).await;
        let watched = manager.notify.watch(at).unwrap();
        for _ in 0..3 {
            assert_eq!(manager.hear(SOON).await.unwrap(), "WATCHDOG=1");
        }
        hangs.store(true, Ordering::Relaxed);
        // What was asked before is still answered.
        while manager.hear(WATCHDOG).await.is_some() {}
        assert_eq!(manager.hear(WATCHDOG * 4).await, None);
        hangs.store(false, Ordering::Relaxed);
        assert_eq!(manager.hear(SOON).await.unwrap(), "WATCHDOG=1", "it has come back");
        drop(watched);
        while manager.hear(WATCHDOG).await.is_some() {}
    }

    #[tokio::test]
    async fn what_is_no_answer_is_no_sign_of_life() {
        let manager = Manager::new(Some(WATCHDOG));
        let at = front(b"", Arc::default()).await;
        let _watched = manager.notify.watch(at).unwrap();
        assert_eq!(manager.hear(WATCHDOG * 4).await, None);
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_asked_and_one_that_is_gone_holds_nobody_up() {
        let at = SocketAddr::from(([127, 0, 0, 1], 9));
        for socket in [None, Some(OsString::new())] {
            let nobody = Notify::new(socket, Some(WATCHDOG));
            nobody.ready("nowhere");
            assert!(nobody.watch(at).is_none());
        }
        let manager = Manager::new(None);
        assert!(manager.notify.watch(at).is_none(), "it waits for no sign of life");
        let Manager { socket, _folder, notify } = manager;
        drop((socket, _folder));
        notify.stopping(Stop::End);
    }
}
