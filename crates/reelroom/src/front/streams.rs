//! The streams of an HTTP/2 connection: what each of them does, what the connection does by that, and which of them have to go.
//!
//! ```text
//!   head ─► Body ─► Busy ─► Sending ─► gone        the connection: Busy, while one of them is Busy or Sending
//!            │        │        ├─ its time is over ─► reset      Body, while all that there are still come
//!            │        │        └─ nobody takes it  ─► reset      Head, while one is about to come
//!            └────────┴─ given up by whoever asked: too often, and the connection is closed      Idle otherwise
//! ```
//!
//! # Invariants
//!
//! - A stream counts like a request until all of its answer is written to the socket, or it is gone: a body does not end before. What waits for
//!   its reader's window is held by the body, and by nothing that nobody counts.
//! - Who is too slow loses that stream, and nothing else of the connection.
//! - Nothing of a stream outlives its connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use reelroom_limits::pace::{Pace, Rate};
use reelroom_limits::tls::{STREAMS_GIVEN_UP, STREAMS_GIVEN_UP_PER_SECOND};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::front::connections::Phase;
use crate::front::seat::Seat;

pub(super) type StreamId = u64;

/// What of an answer is on its way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Pieces that are not written to the socket.
    unsent: AtomicUsize,
    has_moved: AtomicBool,
    waker: AtomicWaker,
}

impl Flow {
    pub(super) fn begin(&self) {
        self.unsent.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn moved(&self) {
        self.has_moved.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.moved();
        if self.unsent.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.waker.wake();
        }
    }

    /// Waits until all of it is written.
    pub(super) fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.unsent.load(Ordering::Acquire) == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether something waits, and nothing of it was taken since the last time.
    fn stands(&self) -> bool {
        let has_moved = self.has_moved.swap(false, Ordering::AcqRel);
        self.unsent.load(Ordering::Acquire) > 0 && !has_moved
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Body,
    Busy,
    /// Until then it has to be taken; without a time as long as it moves. What was not counted, for want of room, is not in use.
    Sending {
        until: Option<Instant>,
        is_counted: bool,
    },
}

struct Stream {
    doing: Doing,
    flow: Arc<Flow>,
    stands_since: Option<Instant>,
    reset: CancellationToken,
}

/// Whoever asks gives up too many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooMany;

/// What is known of all streams. No clock, no socket.
struct Table {
    all: HashMap<StreamId, Stream>,
    next: StreamId,
    has_begun: bool,
    is_head_coming: bool,
    given_up: Pace,
    told: Phase,
}

impl Table {
    fn new(now: Instant) -> Self {
        let rate = Rate::per_second(STREAMS_GIVEN_UP, STREAMS_GIVEN_UP_PER_SECOND);
        Self {
            all: HashMap::new(),
            next: 0,
            has_begun: false,
            is_head_coming: false,
            given_up: Pace::new(rate, now),
            told: Phase::Head,
        }
    }

    fn begin(&mut self, doing: Doing, flow: Arc<Flow>, reset: CancellationToken) -> StreamId {
        let id = self.next;
        self.next += 1;
        self.has_begun = true;
        self.all.insert(id, Stream { doing, flow, stands_since: None, reset });
        id
    }

    fn go(&mut self, id: StreamId, doing: Doing) {
        if let Some(stream) = self.all.get_mut(&id) {
            stream.doing = doing;
        }
    }

    fn end(&mut self, id: StreamId, now: Instant) -> Result<(), TooMany> {
        match self.all.remove(&id).map(|stream| stream.doing) {
            Some(Doing::Body | Doing::Busy) => {
                self.given_up.take(1, Duration::ZERO, now).map(drop).map_err(|_| TooMany)
            }
            Some(Doing::Sending { .. }) | None => Ok(()),
        }
    }

    /// What the connection does, where that is new.
    fn phase(&mut self) -> Option<Phase> {
        let is_used = |doing: &Doing| matches!(doing, Doing::Busy | Doing::Sending { is_counted: true, .. });
        let mut doings = self.all.values().map(|stream| &stream.doing);
        let phase = if doings.clone().any(is_used) {
            Phase::Busy
        } else if doings.any(|doing| *doing == Doing::Body) {
            Phase::Body
        } else if self.is_head_coming || !self.has_begun {
            Phase::Head
        } else {
            Phase::Idle
        };
        (phase != std::mem::replace(&mut self.told, phase)).then_some(phase)
    }

    /// Those that are too slow.
    fn late(&mut self, stalled: Duration, now: Instant) -> Vec<CancellationToken> {
        let is_late = |stream: &mut Stream| {
            let Doing::Sending { until, .. } = stream.doing else { return false };
            let since = stream.flow.stands().then(|| stream.stands_since.unwrap_or(now));
            stream.stands_since = since;
            let stands = since.is_some_and(|since| now.saturating_duration_since(since) >= stalled);
            stands || until.is_some_and(|until| now >= until)
        };
        let late = self.all.values_mut().filter_map(|one| is_late(one).then(|| one.reset.clone()));
        late.collect()
    }
}

/// The streams of a connection.
pub(super) struct Streams {
    table: Mutex<Table>,
    seat: Arc<Seat>,
    stalled: Duration,
    /// Cancelled when the connection is over.
    over: CancellationToken,
    /// Of the stream whose task is about to begin.
    beginning: Mutex<Option<CancellationToken>>,
    abused: Notify,
}

impl Streams {
    pub(super) fn new(seat: Arc<Seat>, stalled: Duration) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(Table::new(Instant::now())),
            seat,
            stalled,
            over: CancellationToken::new(),
            beginning: Mutex::default(),
            abused: Notify::new(),
        })
    }

    /// Ends all of them when the connection is over.
    pub(super) fn over(&self) -> CancellationToken {
        self.over.clone()
    }

    /// The head of a request has come, and with it all of it, or not.
    pub(super) fn begin(self: &Arc<Self>, is_whole: bool) -> StreamSeat {
        let (flow, reset) = (Arc::new(Flow::default()), self.over.child_token());
        *self.beginning.lock().unwrap_or_else(PoisonError::into_inner) = Some(reset.clone());
        let doing = if is_whole { Doing::Busy } else { Doing::Body };
        let id = self.change(|table| table.begin(doing, Arc::clone(&flow), reset.clone()));
        StreamSeat { id, streams: Arc::clone(self), flow, reset }
    }

    /// What ends the task that is about to begin: whoever answers HTTP/2 begins one for a request as soon as it has come.
    pub(super) fn beginning(&self) -> CancellationToken {
        let beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner).take();
        beginning.unwrap_or_else(|| self.over.child_token())
    }

    /// Something of the head of a request has come and not all, or nothing.
    pub(super) fn head(&self, is_coming: bool) {
        self.change(|table| table.is_head_coming = is_coming);
    }

    /// Lets those go that are too slow.
    pub(super) fn sweep(&self, now: Instant) {
        let late = self.table().late(self.stalled, now);
        // Outside of the table, into which they come as they end.
        late.iter().for_each(CancellationToken::cancel);
    }

    /// Waits until whoever asks has given up too many requests.
    pub(super) async fn abused(&self) {
        self.abused.notified().await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table();
        let changed = change(&mut table);
        // With the table held, so that what was told last is what holds.
        if let Some(phase) = table.phase() {
            self.seat.set(phase);
        }
        changed
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a request among those of its connection, until its answer is taken, or nobody wants it any more.
pub(super) struct StreamSeat {
    id: StreamId,
    streams: Arc<Streams>,
    pub(super) flow: Arc<Flow>,
    /// Cancelled when it is gone.
    pub(super) reset: CancellationToken,
}

impl StreamSeat {
    pub(super) fn is_whole(&self) {
        self.streams.change(|table| table.go(self.id, Doing::Busy));
    }

    /// It is answered, and that has to be taken until then.
    pub(super) fn sends(&self, until: Option<Instant>, is_counted: bool) {
        self.streams.change(|table| table.go(self.id, Doing::Sending { until, is_counted }));
    }

    /// How long an answer of so many bytes may take to be read.
    pub(super) fn answer_within(&self, bytes: u64) -> Duration {
        self.streams.seat.answer_within(bytes)
    }
}

impl Drop for StreamSeat {
    fn drop(&mut self) {
        self.reset.cancel();
        if self.streams.change(|table| table.end(self.id, Instant::now())).is_err() {
            self.streams.abused.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALLED: Duration = Duration::from_secs(60);

    fn begin(table: &mut Table, doing: Doing) -> (StreamId, Arc<Flow>, CancellationToken) {
        let (flow, reset) = (Arc::new(Flow::default()), CancellationToken::new());
        (table.begin(doing, Arc::clone(&flow), reset.clone()), flow, reset)
    }

    #[test]
    fn a_connection_does_what_the_busiest_of_its_streams_does() {
        let now = Instant::now();
        let mut table = Table::new(now);
        assert_eq!(table.phase(), None, "it is about to ask");
        let (first, ..) = begin(&mut table, Doing::Body);
        assert_eq!(table.phase(), Some(Phase::Body));
        let (second, ..) = begin(&mut table, Doing::Busy);
        assert_eq!(table.phase(), Some(Phase::Busy));
        table.go(second, Doing::Sending { until: None, is_counted: true });
        assert_eq!(table.phase(), None);
        table.end(second, now).unwrap();
        assert_eq!(table.phase(), Some(Phase::Body));
        table.go(first, Doing::Sending { until: None, is_counted: false });
        assert_eq!(table.phase(), Some(Phase::Idle), "what there was no room for makes room");
        table.is_head_coming = true;
        assert_eq!(table.phase(), Some(Phase::Head));
        table.end(first, now).unwrap();
        table.is_head_coming = false;
        assert_eq!((table.phase(), table.phase()), (Some(Phase::Idle), None));
    }

    #[test]
    fn who_gives_up_what_they_ask_for_again_and_again_is_let_go_and_a_player_that_seeks_is_not() {
        let now = Instant::now();
        let mut table = Table::new(now);
        for _ in 0..STREAMS_GIVEN_UP {
            let (id, ..) = begin(&mut table, Doing::Busy);
            assert_eq!(table.end(id, now), Ok(()));
        }
        let (id, ..) = begin(&mut table, Doing::Busy);
        assert_eq!(table.end(id, now), Err(TooMany));
        for _ in 0..10_000 {
            let (id, ..) = begin(&mut table, Doing::Busy);
            table.go(id, Doing::Sending { until: None, is_counted: true });
            assert_eq!(table.end(id, now), Ok(()), "it was answered");
        }
        let (id, ..) = begin(&mut table, Doing::Body);
        assert_eq!(table.end(id, now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn who_is_too_slow_or_takes_nothing_goes_and_nobody_else() {
        let now = Instant::now();
        let mut table = Table::new(now);
        let until = Some(now + Duration::from_secs(30));
        let mut sending = |until| {
            let (id, flow, reset) = begin(&mut table, Doing::Busy);
            table.go(id, Doing::Sending { until, is_counted: true });
            flow.begin();
            (flow, reset)
        };
        let (_page_flow, page) = sending(until);
        let (film_flow, film) = sending(None);
        let (_stuck_flow, stuck) = sending(None);
        let (events_flow, events) = sending(None);
        events_flow.end();
        let mut at = Duration::ZERO;
        while at < STALLED * 3 {
            film_flow.moved();
            for late in table.late(STALLED, now + at) {
                late.cancel();
            }
            assert_eq!(page.is_cancelled(), at >= Duration::from_secs(30), "{at:?}");
            assert_eq!(stuck.is_cancelled(), at >= STALLED, "{at:?}");
            at += Duration::from_secs(2);
        }
        assert!(!film.is_cancelled(), "it moves");
        assert!(!events.is_cancelled(), "nothing waits to be taken");
    }
}
