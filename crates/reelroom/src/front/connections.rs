//! Who is connected to the HTTP port, and who has to go when it is full. A table: no socket, no clock.
//!
//! ```text
//!            first byte          its end          all of it         answered            taken
//!   Silent ─────────────► Head ──────────► Body ───────────► Busy ──────────► Sending ───────► Idle ──► Head …
//!     │ HEAD_WITHIN         │ HEAD_WITHIN    │ BODY_WITHIN    │                 │ its time      │ IDLE_WITHIN
//!     └─► closed            └─► closed       └─► 408          └─► Upgraded      └─► closed      └─► closed
//! ```
//!
//! # Invariants
//!
//! - Where there is no room, connections that wait make it: those that never asked for anything of the client that has most of them, and
//!   where nobody has many, the one that has waited for longest, first those that never asked. What else a client has does not count:
//!   an office in a call opens connections like everybody else. Whoever has just come gets to say something before those go who asked a
//!   while ago, and before those of a client that has many of them, however lately they asked.
//! - One whose request is worked on, or whose answer is being taken, or a WebSocket, is never closed for another.
//! - An address is bounded, and never has more than half of all, but only where it can be told from others: a proxy on this machine, or
//!   one that is trusted, brings everybody.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_limits::http::{BODY_WITHIN, HEAD_WITHIN, IDLE_WITHIN};
use tokio::sync::Notify;

/// A browser opens so many connections that say nothing yet. Whoever has more of them makes room first.
const FEW: usize = 8;
/// Whoever has more waiting connections than one in so many of all that may be open is nobody's browser: these go before one that has
/// just come.
const MANY_IN: usize = 32;
/// So long a connection that never asked does not go before those that did so a while ago: the head of its first request is on its way.
const YOUNG: Duration = Duration::from_secs(2);
/// Who has asked for nothing for so long is used to being closed: many servers do so after half of that.
const RESTED: Duration = Duration::from_secs(10);

/// Whom a connection or a request counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Client {
    /// A program or a proxy of this machine, or a proxy on another one that is trusted: it may stand for anybody.
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

impl Bounds {
    /// How many may be connected of one address that can be told from others: half of all at most, so that the next one finds room
    /// however few there are in all.
    pub(crate) fn of_one(self) -> usize {
        self.of_an_address.min(self.total / 2).max(1)
    }
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
    /// A request was answered, and its reader has not taken all of the answer; that may last for so long, or has no bound.
    Sending(Option<Duration>),
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
            Self::Sending(within) => within,
            Self::Idle => Some(IDLE_WITHIN),
            Self::Busy | Self::Upgraded => None,
        }
    }

    /// Whether a connection waits in it, and may be closed for another.
    fn waits(self) -> bool {
        matches!(self, Self::Silent | Self::Head | Self::Body | Self::Idle)
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

/// Those that may be closed for others, by how long they have waited.
#[derive(Default)]
struct Waiting {
    never_asked: BTreeSet<(Instant, Id)>,
    asked: BTreeSet<(Instant, Id)>,
}

impl Waiting {
    fn of(&mut self, connection: &Connection) -> &mut BTreeSet<(Instant, Id)> {
        if connection.has_asked { &mut self.asked } else { &mut self.never_asked }
    }

    fn insert(&mut self, connection: &Connection, id: Id) {
        self.of(connection).insert((connection.since, id));
    }

    fn remove(&mut self, connection: &Connection, id: Id) {
        self.of(connection).remove(&(connection.since, id));
    }

    fn len(&self) -> usize {
        self.never_asked.len() + self.asked.len()
    }

    /// One that has waited for so long that nobody misses it.
    fn rested(&self, now: Instant) -> Option<Id> {
        let has_waited = |(since, _): &&(Instant, Id), time| now.saturating_duration_since(*since) >= time;
        let old = self.never_asked.first().filter(|one| has_waited(one, YOUNG));
        let rested = self.asked.first().filter(|one| has_waited(one, RESTED));
        old.or(rested).map(|(_, id)| *id)
    }

    /// The one that has waited for longest, whatever it has done.
    fn oldest(&self) -> Option<Id> {
        self.never_asked.first().into_iter().chain(self.asked.first()).min().map(|(_, id)| *id)
    }

    /// Which one goes first.
    fn first(&self, now: Instant) -> Option<Id> {
        let young = || self.never_asked.first().or(self.asked.first()).map(|(_, id)| *id);
        self.rested(now).or_else(young)
    }
}

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
    /// Of all clients.
    waiting: Waiting,
}

impl Connections {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, next: 0, all: HashMap::new(), clients: HashMap::new(), waiting: Waiting::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes in a connection, closing another one where there is no room; `close` is told when this one has to go.
    ///
    /// # Errors
    /// [`Full`], where all that could go are in use.
    pub(crate) fn enter(&mut self, client: Client, close: Arc<Notify>, now: Instant) -> Result<Id, Full> {
        let own = self.clients.get(&client);
        if client != Client::ThisMachine && own.is_some_and(|of| of.count >= self.bounds.of_one()) {
            let first = own.and_then(|of| of.waiting.first(now));
            self.close(first.ok_or(Full::Address)?);
        }
        if self.all.len() >= self.bounds.total {
            self.close(self.goes_first(now).ok_or(Full::Total)?);
        }
        let id = self.next;
        self.next += 1;
        let connection = Connection { client, phase: Phase::Silent, since: now, has_asked: false, close };
        let of = self.clients.entry(client).or_default();
        of.count += 1;
        of.waiting.insert(&connection, id);
        self.waiting.insert(&connection, id);
        self.all.insert(id, connection);
        Ok(id)
    }

    /// Which one of all goes first.
    fn goes_first(&self, now: Instant) -> Option<Id> {
        // Whoever comes by a proxy of this machine has nothing to do with others who do.
        let addresses = || {
            let others = self.clients.iter().filter(|(client, _)| **client != Client::ThisMachine);
            others.map(|(_, of)| &of.waiting)
        };
        let with_most_silent =
            addresses().map(|theirs| &theirs.never_asked).max_by_key(|theirs| theirs.len());
        let silent = with_most_silent.filter(|theirs| theirs.len() > FEW).and_then(BTreeSet::first);
        // Whoever keeps many connections awake would otherwise be safe, and send away everybody who comes.
        let of_many = || {
            let many = FEW.max(self.bounds.total / MANY_IN);
            let with_most = addresses().max_by_key(|theirs| theirs.len());
            with_most.filter(|theirs| theirs.len() > many).and_then(Waiting::oldest)
        };
        let silent = silent.map(|(_, id)| *id);
        silent.or_else(|| self.waiting.rested(now)).or_else(of_many).or_else(|| self.waiting.first(now))
    }

    /// Says what a connection does now. What was closed does nothing any more.
    pub(crate) fn set(&mut self, id: Id, phase: Phase, now: Instant) {
        let Some(connection) = self.all.get_mut(&id) else { return };
        if connection.phase == Phase::Upgraded {
            return;
        }
        let of = self.clients.entry(connection.client).or_default();
        for waiting in [&mut of.waiting, &mut self.waiting] {
            waiting.remove(connection, id);
        }
        connection.has_asked |= phase == Phase::Busy;
        connection.phase = phase;
        connection.since = now;
        if phase.waits() {
            for waiting in [&mut of.waiting, &mut self.waiting] {
                waiting.insert(connection, id);
            }
        }
    }

    pub(crate) fn leave(&mut self, id: Id) {
        let Some(connection) = self.all.remove(&id) else { return };
        self.waiting.remove(&connection, id);
        let Some(of) = self.clients.get_mut(&connection.client) else { return };
        of.count -= 1;
        of.waiting.remove(&connection, id);
        if of.count == 0 {
            self.clients.remove(&connection.client);
        }
    }

    /// Closes those that have waited for too long.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let is_late = |connection: &Connection| {
            let waited = now.saturating_duration_since(connection.since);
            connection.phase.bound().is_some_and(|bound| waited >= bound)
        };
        let late: Vec<_> = self.all.iter().filter(|(_, one)| is_late(one)).map(|(id, _)| *id).collect();
        for id in late {
            self.close(id);
        }
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
            Self::with(BOUNDS)
        }

        fn with(bounds: Bounds) -> Self {
            Self { table: Connections::new(bounds), now: Instant::now(), open: HashMap::new() }
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
        port.now += YOUNG;
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
            port.set(id, [Phase::Busy, Phase::Upgraded, Phase::Sending(Some(HEAD_WITHIN))][at % 3]);
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
    fn one_address_leaves_half_to_others_however_few_there_are_in_all() {
        let mut port = Port::with(Bounds { total: 6, of_an_address: 1024 });
        for _ in 0..3 {
            let id = port.enter("192.0.2.1").unwrap();
            port.set(id, Phase::Busy);
        }
        assert_eq!(port.enter("192.0.2.1"), Err(Full::Address));
        port.enter("192.0.2.2").unwrap();
        // It has all to itself where it may be anybody.
        let mut port = Port::with(Bounds { total: 6, of_an_address: 1024 });
        for _ in 0..6 {
            let id = port.enter("127.0.0.1").unwrap();
            port.set(id, Phase::Busy);
        }
        assert_eq!(port.enter("127.0.0.1"), Err(Full::Total));
        // Where there is one at all, one address has it.
        let mut port = Port::with(Bounds { total: 1, of_an_address: 1024 });
        port.enter("192.0.2.1").unwrap();
    }

    #[test]
    fn who_has_most_goes_first() {
        let mut port = Port::with(Bounds { total: 2 * FEW + 4, of_an_address: FEW + 2 });
        let one = port.enter("192.0.2.1").unwrap();
        let two: Vec<_> = (0..=FEW).map(|_| port.enter("192.0.2.2").unwrap()).collect();
        for at in 0..FEW + 2 {
            port.enter(&format!("198.51.100.{at}")).unwrap();
        }
        assert!(port.closed().is_empty());
        port.enter("192.0.2.5").unwrap();
        assert_eq!(port.closed(), [two[0]]);
        port.enter("192.0.2.6").unwrap();
        assert_eq!(port.closed(), [one], "where nobody has many, the oldest of all");
    }

    #[test]
    fn whoever_has_much_in_use_is_not_the_one_who_makes_room() {
        let mut port = Port::new();
        let flood: Vec<_> = (1..4).map(|at| port.enter(&format!("192.0.2.{at}")).unwrap()).collect();
        for _ in 0..2 {
            let call = port.enter("198.51.100.7").unwrap();
            port.set(call, Phase::Busy);
            port.set(call, Phase::Upgraded);
        }
        port.enter("198.51.100.7").unwrap();
        port.enter("192.0.2.4").unwrap();
        assert_eq!(port.closed(), [flood[0]]);
    }

    #[test]
    fn whoever_has_just_come_gets_to_say_something_before_those_go_who_asked_a_while_ago() {
        let mut port = Port::new();
        let idle: Vec<_> = (1..=6)
            .map(|at| {
                let id = port.enter(&format!("192.0.2.{at}")).unwrap();
                port.set(id, Phase::Busy);
                port.set(id, Phase::Idle);
                id
            })
            .collect();
        let pushed = port.enter("198.51.100.7").unwrap();
        let new = port.enter("198.51.100.7").unwrap();
        assert_eq!(port.closed(), [idle[0], pushed], "whoever asked just now goes last");
        port.now += RESTED;
        port.set(new, Phase::Busy);
        port.set(new, Phase::Idle);
        port.table.leave(idle[1]);
        let [first, second] = [7, 8].map(|at| port.enter(&format!("192.0.2.{at}")).unwrap());
        assert_eq!(port.closed(), [idle[2]], "it has not asked for a while");
        port.now += YOUNG;
        port.enter("192.0.2.9").unwrap();
        assert_eq!(port.closed(), [first], "it had its time");
        assert!(port.open.contains_key(&second));
    }

    #[test]
    fn whoever_keeps_many_connections_awake_makes_room_for_whoever_has_just_come() {
        let mut port = Port::with(Bounds { total: 4 * FEW, of_an_address: 2 * FEW });
        let ask = |port: &mut Port, id| {
            port.set(id, Phase::Busy);
            port.set(id, Phase::Idle);
        };
        let mut awake = Vec::new();
        for at in 0..4 * FEW {
            let id = port.enter(["192.0.2.1", "192.0.2.2"][at % 2]).unwrap();
            ask(&mut port, id);
            awake.push(id);
        }
        let call = port.enter("198.51.100.9").unwrap();
        port.set(call, Phase::Busy);
        let closed = port.closed();
        assert!(
            closed.len() == 1 && awake[..2].contains(&closed[0]),
            "one of those that have waited for longest"
        );
        let honest = port.enter("198.51.100.7").unwrap();
        for at in 0..50 {
            let id = port.enter(["192.0.2.1", "192.0.2.2"][at % 2]).unwrap();
            ask(&mut port, id);
        }
        let closed = port.closed();
        assert!(!closed.contains(&honest), "it is about to ask");
        assert!(!closed.contains(&call) && closed.len() == 51);
        assert_eq!(port.table.len(), 4 * FEW);
    }

    #[test]
    fn what_is_silent_slow_or_idle_is_closed_in_time_and_what_works_is_not() {
        let mut port = Port::with(Bounds { total: 8, ..BOUNDS });
        let [silent, slow, body, idle, busy, socket, page, film] =
            [1, 2, 3, 4, 5, 6, 7, 8].map(|at| port.enter(&format!("192.0.2.{at}")).unwrap());
        for (id, phase) in [
            (slow, Phase::Head),
            (body, Phase::Body),
            (idle, Phase::Busy),
            (idle, Phase::Idle),
            (busy, Phase::Busy),
            (page, Phase::Busy),
            (page, Phase::Sending(Some(IDLE_WITHIN * 2))),
            (film, Phase::Busy),
            (film, Phase::Sending(None)),
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
        port.table.sweep(began + IDLE_WITHIN * 2);
        assert_eq!(port.closed(), [page], "its reader is too slow");
        port.table.sweep(began + IDLE_WITHIN * 1000);
        assert_eq!((port.closed(), port.table.len()), (vec![], 3));
    }
}
