//! Tells everybody in a room how its recording is: by the room's metadata, and by messages of what is deleted, in the shapes that OpenVidu's
//! tutorial reads.
//!
//! ```text
//!   the media server, of recordings ─► learn ─┐
//!   the library's feed, of deletions ─────────┼─► board (of each room what holds now) ─► teller ─► the media server ─► those in the room
//!   a token is given, a room opens ───────────┘       one place for each room           a few rooms at a time
//! ```
//!
//! # Invariants
//!
//! - Nobody who starts, stops or deletes waits for it: what happens is put on the board, and one task tells it.
//! - What waits is bounded, and of a room it is what holds by then (`board.rs`). A media server that is slow or away is told later what holds
//!   then, and is asked more and more seldom meanwhile. One room that cannot be told waits alone.
//! - What somebody else has set of a room is not touched (`metadata.rs`).
//! - Nothing is said of what the media server records before it was asked: a room that a program which died left as recorded is put right then.

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod board;
mod deletions;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod metadata;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod recorded;
mod teller;

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::EgressInfo;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::livekit::LiveKitError;
use board::{Board, Due, Found};
use recorded::Recorded;

/// A room of another program's media server opens so soon after a token for it was given, or not by that token.
const OPENS_WITHIN: Duration = Duration::from_secs(15);

/// Of which rooms the state is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Of those of the media server inside this program: tokens say what a room has for metadata that opens.
    Own,
    /// Of those of another server: one of an older version takes no token that says so.
    Outside,
    /// Of none: an app has their metadata for itself.
    Nothing,
}

/// What rooms are to be told of their recordings.
pub(crate) struct RoomState {
    telling: Telling,
    board: Mutex<Board>,
    changed: Notify,
}

impl RoomState {
    pub(crate) fn new(telling: Telling) -> Self {
        Self { telling, board: Mutex::default(), changed: Notify::new() }
    }

    /// Whether rooms are told at all.
    pub(crate) fn is_told(&self) -> bool {
        self.telling != Telling::Nothing
    }

    /// What a room has for metadata that opens by a token; empty where tokens do not say it.
    pub(crate) fn at_first(&self) -> String {
        if self.telling == Telling::Own { metadata::at_first() } else { String::new() }
    }

    /// The media server tells of a recording.
    pub(crate) fn learn(&self, info: &EgressInfo) {
        if let Some((room, recorded)) = Recorded::of(info) {
            self.change(|board, now| board.learn(room, recorded, now));
        }
    }

    /// A recording that began in an earlier session of its room goes on in this one.
    fn goes_on(&self, room: &RoomName, id: &str, room_id: &str) {
        self.board().goes_on(room, id, room_id);
    }

    /// The media server does not know a recording any more.
    pub(crate) fn forget(&self, id: &str) {
        self.change(|board, now| board.forget(id, now));
    }

    /// A recording is listed no longer.
    fn delete(&self, room: &str, id: String, name: String) {
        if !room.is_empty() {
            self.change(|board, now| board.delete(room.into(), id, name, now));
        }
    }

    /// Somebody was given a token for a room.
    pub(crate) fn expect(&self, room: &str) {
        self.change(|board, now| match self.telling {
            Telling::Outside => board.expect(room.into(), now + OPENS_WITHIN, now),
            Telling::Own | Telling::Nothing => board.look(room.into(), now),
        });
    }

    /// A room has opened.
    pub(crate) fn opened(&self, room: &str) {
        self.change(|board, now| board.opened(room, now));
    }

    /// The ids of recordings that go on, as far as rooms are told of them.
    pub(crate) fn live(&self) -> Vec<String> {
        self.board().live()
    }

    fn change(&self, change: impl FnOnce(&mut Board, Instant)) {
        if !self.is_told() {
            return;
        }
        change(&mut self.board(), Instant::now());
        self.changed.notify_one();
    }

    /// Waits until something is to be told.
    async fn until_due(&self) {
        loop {
            let next_at = {
                let board = self.board();
                board.next_at().filter(|_| board.is_caught_up())
            };
            match next_at {
                Some(at) if at <= Instant::now() => return,
                Some(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(at.into()) => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn due(&self, most: usize) -> Vec<Due> {
        self.board().due(Instant::now(), most)
    }

    fn told(&self, due: &Due, found: Found) {
        self.board().told(due, found, Instant::now());
    }

    fn postpone(&self, due: &Due) -> u32 {
        self.board().postpone(due, Instant::now())
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().expect("no code panics while it holds the board")
    }
}

/// Tells rooms until `stop` is cancelled.
pub(crate) async fn run(app: WebApp, stop: CancellationToken) {
    tokio::select! {
        () = teller::run(app.livekit(), app.room_state()) => {}
        () = deletions::run(&app) => {}
        () = stop.cancelled() => {}
    }
}

/// What the media server records was learned: rooms that say otherwise are put right, and from now on rooms are told.
pub(crate) async fn catch_up(app: &WebApp) -> Result<(), LiveKitError> {
    let state = app.room_state();
    if !state.is_told() {
        return Ok(());
    }
    for room in app.livekit().open_rooms(Vec::new()).await? {
        if metadata::says_live(&room.metadata) {
            state.change(|board, now| board.look(room.name.into(), now));
        }
    }
    state.change(|board, _| board.catch_up());
    Ok(())
}
