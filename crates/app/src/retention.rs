//! Recordings that are deleted by themselves, when the time is over for which their room keeps them.
//!
//! ```text
//!   an egress is over ─► note ─► Rooms: which recordings are a room's ─► fates: until when each is kept
//!   every minute: is the clock believed? ─► what is due ─► asked once more ─► deleted, as by hand
//!                  Caution                   Rooms          Rounds             the library, its links
//! ```
//!
//! # Invariants
//!
//! - What is deleted was noted when it was made, has the id that was noted, and is stored. Whatever else stands in the store is nobody's here.
//! - A recording is deleted in the same way as by a person. One that cannot be is put off, and holds nobody else up.
//! - What somebody was told is kept for good is not deleted: who keeps a recording and what deletes it take turns.
//! - What the store does not have now may be back tomorrow (a disk that is not mounted): it is neither deleted nor forgotten for that.
//! - Where access is open nothing is deleted: rooms are nothing there.

#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod caution;
mod rounds;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use reelroom_library::{Recording, Status};
use reelroom_limits::rooms::RETENTION_UNNOTED;
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::EgressInfo;
use reelroom_rooms::{Fate, Recorded, Rooms};
use tokio::sync::OwnedMutexGuard;

use crate::app::WebApp;
use crate::clock;
use crate::config::Access;
use crate::owner::blocking;
use crate::turns::Turns;

pub(crate) use rounds::run;

/// What is kept in memory of it.
#[derive(Default)]
pub(crate) struct State {
    /// Recordings that the disk did not take a note of.
    unnoted: Mutex<VecDeque<Recorded>>,
    warning: Mutex<Option<String>>,
    turns: Turns,
}

impl State {
    /// What whoever looks after the server should know.
    pub(crate) fn warning(&self) -> Option<String> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn warn(&self, warning: Option<String>) {
        *self.warning.lock().unwrap_or_else(PoisonError::into_inner) = warning;
    }

    /// Waits until nobody else deletes the recording of that name by itself, or keeps it; nobody does so until the guard is dropped.
    pub(crate) async fn turn(&self, name: &str) -> OwnedMutexGuard<()> {
        self.turns.take(name).await
    }

    /// Notes a recording, now or when the disk takes it.
    fn note(&self, rooms: &Rooms, recorded: Recorded) {
        if let Err(error) = rooms.recorded(&recorded) {
            tracing::warn!(recording = recorded.name, %error, "that it is a recording of its room is noted later");
            let mut unnoted = self.unnoted.lock().unwrap_or_else(PoisonError::into_inner);
            if unnoted.len() >= RETENTION_UNNOTED {
                unnoted.pop_front();
            }
            unnoted.push_back(recorded);
        }
    }

    /// Tries to note what was not.
    fn note_again(&self, rooms: &Rooms) {
        let unnoted = std::mem::take(&mut *self.unnoted.lock().unwrap_or_else(PoisonError::into_inner));
        for recorded in unnoted {
            self.note(rooms, recorded);
        }
    }
}

/// Notes that a recording was made, if its room is one that the owner made. It may be noted already.
pub(crate) async fn note(app: &WebApp, info: &EgressInfo, name: &str) {
    let recorded = recorded(info, name, clock::now().unix_ms);
    if !app.rooms().has_made(&recorded) {
        return;
    }
    let app = app.clone();
    // It goes to its end, also where whoever told of the recording waits no longer.
    let Ok(()) = blocking(move || {
        app.retention().note(app.rooms(), recorded);
        Ok::<_, Infallible>(())
    })
    .await;
}

fn recorded(info: &EgressInfo, name: &str, now_ms: i64) -> Recorded {
    let ms = |ns: i64| ns / 1_000_000;
    Recorded {
        name: name.to_owned(),
        id: info.egress_id.clone(),
        room: RoomName::from(info.room_name.as_str()),
        started_ms: ms(info.started_at),
        // Servers that do not tell it have just ended it.
        ended_ms: Some(ms(info.ended_at)).filter(|ended_ms| *ended_ms > 0).unwrap_or(now_ms),
    }
}

/// What becomes of recordings by themselves, by name. Where that cannot be read nothing is said of it.
pub(crate) async fn fates(app: &WebApp, recordings: &[Recording]) -> HashMap<String, Fate> {
    if app.access() == Access::Open {
        return HashMap::new();
    }
    let is_one = |recording: &&Recording| {
        recording.status == Status::Complete
            && app.rooms().is_there(&RoomName::from(recording.room_name.as_str()))
    };
    let which: Vec<_> =
        recordings.iter().filter(is_one).map(|one| (one.name.clone(), one.id.clone())).collect();
    if which.is_empty() {
        return HashMap::new();
    }
    let rooms = Arc::clone(app.rooms());
    match blocking(move || rooms.fates(&which)).await {
        Ok(fates) => fates,
        Err(error) => {
            tracing::debug!(%error, "until when recordings are kept cannot be read");
            HashMap::new()
        }
    }
}

#[cfg(test)]
mod tests;
