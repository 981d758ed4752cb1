//! What waits to be written to a participant: bounded in bytes and messages, and without what is outdated.
//!
//! ```text
//!   room ─► say ─► [ join | offer | update of B | … ] ─► next ─► WebSocket
//!                                    └ a newer one takes its place
//!            └ too much waits ─► everything is thrown away, and the participant is let go
//! ```
//!
//! A message to many is encoded once, and its bytes are shared by all who wait for it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use prost::Message as _;
use reelroom_limits::signalling::{SIGNAL_WAITING_BYTES, SIGNAL_WAITING_MESSAGES};
use reelroom_protocol::proto::{SignalResponse, signal_response};
use reelroom_sfu::About;
use tokio::sync::Notify;

/// A message as it is written.
pub(crate) fn encode(message: signal_response::Message) -> Bytes {
    SignalResponse { message: Some(message) }.encode_to_vec().into()
}

/// The room's end. When its last copy is dropped, what waits is still written, and then the connection ends.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Sending>);

struct Sending(Arc<Shared>);

/// The connection's end.
pub(crate) struct Outgoing(Arc<Shared>);

struct Shared {
    /// Tells this connection from a participant's other ones.
    connection: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Of what waits and counts.
    bytes: usize,
    end: Option<End>,
}

struct Waiting {
    about: Option<About>,
    message: Bytes,
    /// So many of its bytes count as waiting.
    counts: usize,
}

#[derive(Clone, Copy)]
enum End {
    /// Nothing more comes.
    Said,
    /// It is not read.
    Behind(Behind),
    /// Nobody writes it any more.
    Closed,
}

/// So much waited for a participant that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages of {bytes} bytes were waiting to be read")]
pub(crate) struct Behind {
    messages: usize,
    bytes: usize,
}

/// The two ends.
pub(crate) fn new() -> (Outbox, Outgoing) {
    let (connection, state, changed) = (rand::random(), Mutex::default(), Notify::new());
    let shared = Arc::new(Shared { connection, state, changed });
    (Outbox(Arc::new(Sending(Arc::clone(&shared)))), Outgoing(shared))
}

impl Outbox {
    /// Which connection this is of its participant.
    pub(crate) fn connection(&self) -> u64 {
        self.0.0.connection
    }

    /// Lets a message wait that has to go, however long it is: it tells whoever came back how everything stands.
    pub(crate) fn say_whole(&self, message: Bytes) {
        let mut state = self.0.0.lock();
        if state.end.is_none() {
            state.waiting.push_back(Waiting { about: None, message, counts: 0 });
            self.0.0.changed.notify_one();
        }
    }

    /// Lets a message wait, in the place of an older one that says the state of the same thing, or behind everything where that is what
    /// handles mean. The first one that waits may have any
    /// size: it may be the one that describes the whole room.
    ///
    /// # Errors
    /// [`Behind`]: too much waits. All of it is gone then, and nothing is taken any more.
    pub(crate) fn say(&self, message: Bytes, about: Option<&About>) -> Result<(), Behind> {
        let mut state = self.0.0.lock();
        match state.end {
            Some(End::Behind(behind)) => return Err(behind),
            Some(End::Said | End::Closed) => return Ok(()),
            None => {}
        }
        let counts = message.len();
        // What handles mean is said behind the updates that tell of their tracks.
        if about == Some(&About::DataTrackHandles)
            && let Some(place) = state.waiting.iter().position(|waiting| waiting.about.as_ref() == about)
            && let Some(outdated) = state.waiting.remove(place)
        {
            state.bytes -= outdated.counts;
        }
        let outdated = about
            .and_then(|about| state.waiting.iter_mut().find(|waiting| waiting.about.as_ref() == Some(about)));
        if let Some(waiting) = outdated {
            let before = std::mem::replace(&mut waiting.counts, counts);
            waiting.message = message;
            state.bytes = state.bytes - before + counts;
        } else {
            state.bytes += counts;
            state.waiting.push_back(Waiting { about: about.cloned(), message, counts });
        }
        let messages = state.waiting.len();
        let first = state.waiting.front().map_or(0, |waiting| waiting.counts);
        if state.bytes - first > SIGNAL_WAITING_BYTES || messages > SIGNAL_WAITING_MESSAGES {
            let behind = Behind { messages, bytes: state.bytes };
            state.end = Some(End::Behind(behind));
            state.clear();
            self.0.0.changed.notify_one();
            return Err(behind);
        }
        self.0.0.changed.notify_one();
        Ok(())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.lock().end.get_or_insert(End::Said);
        self.0.changed.notify_one();
    }
}

impl Outgoing {
    /// Which connection this is of its participant.
    pub(crate) fn connection(&self) -> u64 {
        self.0.connection
    }

    /// The next message to write; `None` when everything has been said.
    ///
    /// # Errors
    /// [`Behind`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Behind> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(Waiting { message, counts, .. }) = state.waiting.pop_front() {
                    state.bytes -= counts;
                    return Ok(Some(message));
                }
                match state.end {
                    Some(End::Behind(behind)) => return Err(behind),
                    Some(End::Said | End::Closed) => return Ok(None),
                    None => {}
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// The next message that waits, if one does.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> Option<Bytes> {
        let mut state = self.0.lock();
        let Waiting { message, counts, .. } = state.waiting.pop_front()?;
        state.bytes -= counts;
        Some(message)
    }

    /// When too much waits. A writer that is held up by its socket hears of it here.
    pub(crate) async fn behind(&self) -> Behind {
        loop {
            if let Some(End::Behind(behind)) = self.0.lock().end {
                return behind;
            }
            self.0.changed.notified().await;
        }
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.end.get_or_insert(End::Closed);
        state.clear();
    }
}

impl State {
    fn clear(&mut self) {
        self.waiting = VecDeque::new();
        self.bytes = 0;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds what waits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Bytes {
        vec![7; bytes].into()
    }

    #[tokio::test]
    async fn what_was_said_is_written_in_order_and_then_it_is_over() {
        let (outbox, mut outgoing) = new();
        outbox.say(text(1), None).unwrap();
        outbox.clone().say(text(2), None).unwrap();
        drop(outbox);
        assert_eq!(outgoing.next().await, Ok(Some(text(1))));
        assert_eq!(outgoing.next().await, Ok(Some(text(2))));
        assert_eq!(outgoing.next().await, Ok(None));
    }

    #[tokio::test]
    async fn of_what_says_the_state_of_the_same_thing_only_the_last_word_waits() {
        let (outbox, mut outgoing) = new();
        let (a, b) = (About::Participant("PA_a".into()), About::Participant("PA_b".into()));
        outbox.say(text(1), Some(&a)).unwrap();
        outbox.say(text(2), None).unwrap();
        outbox.say(text(3), Some(&b)).unwrap();
        for bytes in 10..100_000 {
            outbox.say(text(bytes % 1000), Some(&a)).unwrap();
        }
        assert_eq!(outgoing.0.lock().bytes, 999 + 2 + 3);
        drop(outbox);
        let mut written = Vec::new();
        while let Some(message) = outgoing.next().await.unwrap() {
            written.push(message.len());
        }
        assert_eq!(written, [999, 2, 3]);
    }

    #[tokio::test]
    async fn what_handles_mean_is_said_behind_the_updates_that_tell_of_their_tracks() {
        let (outbox, mut outgoing) = new();
        let (update, handles) = (About::Participant("PA_a".into()), About::DataTrackHandles);
        outbox.say(text(1), Some(&handles)).unwrap();
        outbox.say(text(2), Some(&update)).unwrap();
        outbox.say(text(3), Some(&handles)).unwrap();
        assert_eq!(outgoing.0.lock().bytes, 2 + 3);
        drop(outbox);
        assert_eq!(outgoing.next().await, Ok(Some(text(2))));
        assert_eq!(outgoing.next().await, Ok(Some(text(3))));
        assert_eq!(outgoing.next().await, Ok(None));
    }

    #[tokio::test]
    async fn whoever_does_not_read_is_let_go_and_nothing_is_kept() {
        for size in [0, 100, 64 * 1024, SIGNAL_WAITING_BYTES] {
            let (outbox, mut outgoing) = new();
            // The first may have any size.
            outbox.say(text(3 * size), None).unwrap();
            let mut kept = 3 * size;
            let behind = loop {
                match outbox.say(text(size), None) {
                    Ok(()) => kept += size,
                    Err(behind) => break behind,
                }
            };
            assert!(kept - 3 * size <= SIGNAL_WAITING_BYTES, "{kept}");
            let kept = {
                let state = outgoing.0.lock();
                (state.bytes, state.waiting.capacity())
            };
            assert_eq!(kept, (0, 0));
            assert_eq!(outgoing.behind().await, behind);
            assert_eq!(outgoing.next().await, Err(behind));
            assert_eq!(outbox.say(text(1), None), Err(behind));
        }
    }

    #[tokio::test]
    async fn what_has_to_go_goes_in_order_and_counts_for_nothing() {
        let (outbox, mut outgoing) = new();
        outbox.say(text(1), None).unwrap();
        outbox.say_whole(text(3 * SIGNAL_WAITING_BYTES));
        outbox.say(text(2), None).unwrap();
        assert_eq!(outgoing.0.lock().bytes, 3);
        for bytes in [1, 3 * SIGNAL_WAITING_BYTES, 2] {
            assert_eq!(outgoing.next().await.unwrap().unwrap().len(), bytes);
        }
        assert_eq!(outgoing.0.lock().bytes, 0);
    }

    #[test]
    fn two_connections_are_told_apart() {
        let ((first, of_first), (second, _)) = (new(), new());
        assert_eq!(first.connection(), of_first.connection());
        assert_ne!(first.connection(), second.connection());
    }

    #[test]
    fn what_nobody_writes_is_not_kept() {
        let (outbox, outgoing) = new();
        outbox.say(text(1000), None).unwrap();
        drop(outgoing);
        outbox.say(text(1000), None).unwrap();
        let state = outbox.0.0.lock();
        assert_eq!((state.bytes, state.waiting.len()), (0, 0));
    }
}
