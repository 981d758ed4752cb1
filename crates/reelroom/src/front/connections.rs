//! Who is connected to the HTTP port, and who has to go when it is full. A table: no socket, no clock.
//!
//! ```text
//!            first byte          its end          all of it               answer sent
//!   Silent ─────────────► Head ──────────► Body ───────────► Busy ────────────────► Idle ──► Head …
//!     │ HEAD_WITHIN         │ HEAD_WITHIN    │ BODY_WITHIN    │                       │ IDLE_WITHIN
//!     └─► closed            └─► closed       └─► 408          └─► Upgraded            └─► closed
//! ```
//!
//! # Invariants
//!
//! - Where there is no room, connections that wait make it: those of the address that has most, first those that never asked for
//!   anything. One whose request is worked on, or a WebSocket, is never closed for another.
//! - An address is bounded only where it can be told from others: a proxy on this machine brings everybody.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_limits::http::{BODY_WITHIN, HEAD_WITHIN, IDLE_WITHIN};
use tokio::sync::Notify;

/// Whom a connection or a request counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Client {
    /// A program or a proxy of this machine: it may stand for anybody.
    ThisMachine,
    /// An IPv4 address, or an IPv6 network of 64 bits, which is what one customer has.
    Address(IpAddr),
}

impl Client {
    pub(crate) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Self::ThisMachine,
            IpAddr::V6(ip) => Self::Address(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into()),
            ip => Self::Address(ip),
        }
    }

    /// By which it can be told from others, if it can.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::ThisMachine => None,
            Self::Address(ip) => Some(ip),
        }
    }
}

/// How many may be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) total: usize,
    pub(crate) of_an_address: usize,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing was heard on it.
    Silent,
    /// The beginning of a request was heard.
    Head,
    /// The head of a request has come, and its body is on its way.
    Body,
    /// All of a request has come, and it is not answered yet.
    Busy,
    /// A request was answered, and no other one has begun.
    Idle,
    /// A WebSocket.
    Upgraded,
}

impl Phase {
    /// For how long it may last.
    fn bound(self) -> Option<Duration> {
        match self {
            Self::Silent | Self::Head => Some(HEAD_WITHIN),
            // Whoever reads the body answers in time; this is for answers that nobody takes.
            Self::Body => Some(BODY_WITHIN + HEAD_WITHIN),
            Self::Idle => Some(IDLE_WITHIN),
            Self::Busy | Self::Upgraded => None,
        }
    }
}

/// Why nobody more can be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Address,
}

pub(crate) type Id = u64;

struct Connection {
    client: Client,
    phase: Phase,
    since: Instant,
    has_asked: bool,
    close: Arc<Notify>,
}

/// Those that may be closed for others: first those that never asked, then by how long they have waited.
type Waiting = BTreeMap<(bool, Instant, Id), ()>;

#[derive(Default)]
struct OfClient {
    count: usize,
    waiting: Waiting,
}

/// Everybody who is connected.
pub(crate) struct Connections {
    bounds: Bounds,
    next: Id,
    all: HashMap<Id, Connection>,
    clients: HashMap<Client, OfClient>,
}

impl Connections {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, next: 0, all: HashMap::new(), clients: HashMap::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes in a connection, closing another one where there is no room; `close` is told when this one has to go.
    ///
    /// # Errors
    /// [`Full`], where all that could go are in use.
    pub(crate) fn enter(&mut self, client: Client, close: Arc<Notify>, now: Instant) -> Result<Id, Full> {
        let count = self.clients.get(&client).map_or(0, |of| of.count);
        if client != Client::ThisMachine && count >= self.bounds.of_an_address && !self.close_one_of(client) {
            return Err(Full::Address);
        }
        if self.all.len() >= self.bounds.total {
            let with_most =
                self.clients.iter().filter(|(_, of)| !of.waiting.is_empty()).max_by_key(|(_, of)| of.count);
            let Some(client) = with_most.map(|(client, _)| *client) else { return Err(Full::Total) };
            self.close_one_of(client);
        }
        let id = self.next;
        self.next += 1;
        let connection = Connection { client, phase: Phase::Silent, since: now, has_asked: false, close };
        let of = self.clients.entry(client).or_default();
        of.count += 1;
        of.waiting.insert((false, now, id), ());
        self.all.insert(id, connection);
        Ok(id)
    }

    /// Says what a connection does now. What was closed does nothing any more.
    pub(crate) fn set(&mut self, id: Id, phase: Phase, now: Instant) {
        let Some(connection) = self.all.get_mut(&id) else { return };
        if connection.phase == Phase::Upgraded {
            return;
        }
        let of = self.clients.entry(connection.client).or_default();
        of.waiting.remove(&(connection.has_asked, connection.since, id));
        connection.has_asked |= phase == Phase::Busy;
        connection.phase = phase;
        connection.since = now;
        if phase.bound().is_some() {
            of.waiting.insert((connection.has_asked, now, id), ());
        }
    }

    pub(crate) fn leave(&mut self, id: Id) {
        let Some(connection) = self.all.remove(&id) else { return };
        let Some(of) = self.clients.get_mut(&connection.client) else { return };
        of.count -= 1;
        of.waiting.remove(&(connection.has_asked, connection.since, id));
        if of.count == 0 {
            self.clients.remove(&connection.client);
        }
    }

    /// Closes those that have waited for too long.
    pub(crate) fn sweep(&mut self, now: Instant) -> usize {
        let is_late = |connection: &Connection| {
            let waited = now.saturating_duration_since(connection.since);
            connection.phase.bound().is_some_and(|bound| waited >= bound)
        };
        let late: Vec<_> = self.all.iter().filter(|(_, one)| is_late(one)).map(|(id, _)| *id).collect();
        for id in &late {
            self.close(*id);
        }
        late.len()
    }

    fn close_one_of(&mut self, client: Client) -> bool {
        let first = self.clients.get(&client).and_then(|of| of.waiting.first_key_value());
        let Some((&(_, _, id), ())) = first else { return false };
        self.close(id);
        true
    }

    /// It counts no longer, though its socket is closed a moment later.
    fn close(&mut self, id: Id) {
        if let Some(connection) = self.all.get(&id) {
            connection.close.notify_one();
            self.leave(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { total: 6, of_an_address: 3 };

    struct Port {
        table: Connections,
        now: Instant,
        open: HashMap<Id, Arc<Notify>>,
    }

    impl Port {
        fn new() -> Self {
            Self { table: Connections::new(BOUNDS), now: Instant::now(), open: HashMap::new() }
        }

        fn enter(&mut self, ip: &str) -> Result<Id, Full> {
            self.now += Duration::from_millis(1);
            let close = Arc::new(Notify::new());
            let id = self.table.enter(Client::of(ip.parse().unwrap()), Arc::clone(&close), self.now)?;
            self.open.insert(id, close);
            Ok(id)
        }

        fn set(&mut self, id: Id, phase: Phase) {
            self.now += Duration::from_millis(1);
            self.table.set(id, phase, self.now);
        }

        /// Those that were told to go since the last time.
        fn closed(&mut self) -> Vec<Id> {
            use futures::FutureExt as _;
            let mut gone: Vec<_> = self
                .open
                .iter()
                .filter(|(_, close)| close.notified().now_or_never().is_some())
                .map(|(id, _)| *id)
                .collect();
            gone.sort_unstable();
            gone.iter().for_each(|id| drop(self.open.remove(id)));
            gone
        }
    }

    #[test]
    fn a_flood_of_silent_connections_makes_room_for_whoever_comes() {
        let mut port = Port::new();
        let flood: Vec<_> = (0..6).map(|_| port.enter("127.0.0.1").unwrap()).collect();
        let honest = port.enter("127.0.0.1").unwrap();
        assert_eq!(port.closed(), [flood[0]]);
        port.set(honest, Phase::Busy);
        port.set(honest, Phase::Idle);
        for silent in &flood[1..] {
            port.enter("127.0.0.1").unwrap();
            assert_eq!(port.closed(), [*silent], "one that asked goes after those that never did");
        }
        assert_eq!(port.table.len(), 6);
    }

    #[test]
    fn whoever_sends_a_request_slowly_makes_room_as_well() {
        let mut port = Port::new();
        let slow: Vec<_> = (0..6).map(|_| port.enter("127.0.0.1").unwrap()).collect();
        for id in &slow {
            port.set(*id, Phase::Head);
            port.set(*id, Phase::Body);
        }
        port.set(slow[0], Phase::Busy);
        port.enter("127.0.0.1").unwrap();
        assert_eq!(port.closed(), [slow[1]], "all of the first one's request has come");
    }

    #[test]
    fn nothing_that_is_in_use_is_closed_for_another() {
        let mut port = Port::new();
        for at in 0..6 {
            let id = port.enter(&format!("192.0.2.{at}")).unwrap();
            port.set(id, if at % 2 == 0 { Phase::Busy } else { Phase::Upgraded });
        }
        assert_eq!(port.enter("192.0.2.9"), Err(Full::Total));
        assert!(port.closed().is_empty());
        port.table.leave(0);
        port.enter("192.0.2.9").unwrap();
    }

    #[test]
    fn an_address_is_bounded_and_a_network_of_ipv6_is_one() {
        let mut port = Port::new();
        let ids: Vec<_> = (0..3).map(|at| port.enter(&format!("2001:db8::{at}")).unwrap()).collect();
        let other = port.enter("2001:db8:0:1::1").unwrap();
        port.set(ids[0], Phase::Busy);
        let fourth = port.enter("2001:db8::4").unwrap();
        assert_eq!(port.closed(), [ids[1]]);
        for id in [ids[2], fourth, other] {
            port.set(id, Phase::Busy);
        }
        assert_eq!(port.enter("2001:db8::5"), Err(Full::Address));
        // A proxy of this machine brings everybody: the total bounds it.
        let local: Vec<_> = (0..5).map(|_| port.enter("::1").unwrap()).collect();
        assert_eq!(port.closed(), local[..3]);
    }

    #[test]
    fn who_has_most_goes_first() {
        let mut port = Port::new();
        let one = port.enter("192.0.2.1").unwrap();
        let two: Vec<_> = (0..3).map(|_| port.enter("192.0.2.2").unwrap()).collect();
        port.enter("192.0.2.3").unwrap();
        port.enter("192.0.2.4").unwrap();
        port.enter("192.0.2.5").unwrap();
        assert_eq!(port.closed(), [two[0]]);
        assert!(port.open.contains_key(&one), "the oldest of all, but the only one of its address");
    }

    #[test]
    fn what_is_silent_slow_or_idle_is_closed_in_time_and_what_works_is_not() {
        let mut port = Port::new();
        let [silent, slow, body, idle, busy, socket] =
            [1, 2, 3, 4, 5, 6].map(|at| port.enter(&format!("192.0.2.{at}")).unwrap());
        for (id, phase) in [
            (slow, Phase::Head),
            (body, Phase::Body),
            (idle, Phase::Busy),
            (idle, Phase::Idle),
            (busy, Phase::Busy),
            (socket, Phase::Busy),
            (socket, Phase::Upgraded),
            // The answer that made it a WebSocket ends after that.
            (socket, Phase::Idle),
        ] {
            port.set(id, phase);
        }
        let began = port.now;
        port.table.sweep(began + HEAD_WITHIN - Duration::from_secs(1));
        assert!(port.closed().is_empty());
        port.table.sweep(began + HEAD_WITHIN);
        assert_eq!(port.closed(), [silent, slow]);
        port.table.sweep(began + HEAD_WITHIN + BODY_WITHIN);
        assert_eq!(port.closed(), [body]);
        port.table.sweep(began + IDLE_WITHIN);
        assert_eq!(port.closed(), [idle]);
        port.table.sweep(began + IDLE_WITHIN * 1000);
        assert_eq!((port.closed(), port.table.len()), (vec![], 2));
    }
}
