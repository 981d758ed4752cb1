//! Recordings that a former run left to this one: they wait for their rooms, and go on in the same take.
//!
//! ```text
//!   take suspended ─► waits ──room opens──► attached, take resumed ─► runner::record, as if nothing had been
//!                       │ ◄──it closed again before that──┘
//!                       └──stopped, or nobody came in time──► recovery::finish: it ends where it was suspended
//! ```
//!
//! # Invariants
//!
//! - Whether a recording goes on stands in its take alone: killed anywhere, the next run finds a take that is suspended, or one that lost its
//!   writer.
//! - To everybody else the recording has never stopped: it is active, and its room is shown as being recorded as soon as it opens.
//! - The time of the take goes on by as much as passed by the clock on the wall, from which a clock that was moved takes and to which it adds at most
//!   what a recording waits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_media::Recorder;
use reelroom_protocol::ids::{EgressId, RoomName};
use reelroom_take::{Suspension, Take, suspension};

use crate::capture::{self, Capturing};
use crate::job::EndReason;
use crate::recovery;
use crate::runner;
use crate::shared::{Shared, unix_ns};

/// How often it is looked whether a room has opened: somebody who has joined sends nothing before that.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A recording that goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    suspension: Suspension,
    /// How long it was suspended at `at`.
    away: Duration,
    at: Instant,
}

impl Pause {
    /// Where the take goes on, nanoseconds.
    fn at_ns(&self, now: Instant) -> u64 {
        let passed = self.away + now.saturating_duration_since(self.at);
        self.suspension.at_ns.saturating_add(passed.as_nanos().try_into().unwrap_or(u64::MAX))
    }
}

/// What is to become of a take that a former run left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    /// It is finished.
    Over,
    /// It was suspended, for too long: it is finished as it was then.
    ForTooLong,
    /// It goes on if its room opens in time.
    GoesOn(Pause),
}

/// Looks at the take of a job.
pub(crate) fn look(shared: &Shared, id: &EgressId, dir: &Path) -> Left {
    if !shared.job(id).is_some_and(|job| job.is_recording()) {
        return Left::Over;
    }
    let suspension = match suspension(dir) {
        Ok(Some(suspension)) => suspension,
        Ok(None) => return Left::Over,
        Err(error) => {
            tracing::debug!(egress = %id, %error, "whether the take was suspended is not known");
            return Left::Over;
        }
    };
    let now_ns = unix_ns().try_into().unwrap_or(0_u64);
    match away(&suspension, now_ns, shared.config.resume_within) {
        Some(away) => Left::GoesOn(Pause { suspension, away, at: Instant::now() }),
        None => Left::ForTooLong,
    }
}

/// How long a recording was suspended; `None` for one that was for too long. On a clock that was moved back that is no time at all.
fn away(suspension: &Suspension, now_unix_ns: u64, within: Duration) -> Option<Duration> {
    let away = Duration::from_nanos(now_unix_ns.saturating_sub(suspension.unix_ns));
    (away <= within && !within.is_zero()).then_some(away)
}

/// A recording that waits is known to everybody else as one that goes on. To be called before anybody can join.
pub(crate) fn expect(shared: &Shared, id: &EgressId) {
    shared.update(id, |job| job.activate(unix_ns()));
    if let Some(entry) = shared.lock().get_mut(id) {
        entry.goes_on = true;
    }
    if let Some(room) = room_of(shared, id) {
        shared.media.rooms().expect_recorder(&room);
    }
}

fn room_of(shared: &Shared, id: &EgressId) -> Option<RoomName> {
    Some(shared.job(id)?.info().room_name.as_str().into())
}

/// What came of waiting.
enum Waited {
    Opened,
    Stopped,
    TooLong,
    ServerStops,
}

/// What came of going on.
enum Begun {
    GoesOn(Recorder, Capturing),
    /// The room closed at that very moment, and may open once more.
    Again(Pause),
    /// The take is finished as it is.
    CannotBe,
}

/// Waits for the room of a recording, and records it until something ends it.
pub(crate) async fn wait(shared: Arc<Shared>, id: EgressId, mut pause: Pause) {
    let Some(room) = room_of(&shared, &id) else { return };
    let stop = shared.lock().get(&id).map(|entry| Arc::clone(&entry.stop));
    let Some(stop) = stop else { return };
    tracing::info!(egress = %id, %room, "the recording waits for its room to open again");
    let deadline = tokio::time::Instant::now() + shared.config.resume_within;
    let waited = loop {
        let waited = tokio::select! {
            biased;
            () = stop.notified() => Waited::Stopped,
            () = shared.stopping.cancelled() => Waited::ServerStops,
            () = opens(&shared, &room) => Waited::Opened,
            () = tokio::time::sleep_until(deadline) => Waited::TooLong,
        };
        if !matches!(waited, Waited::Opened) {
            break waited;
        }
        // To its end: what is half begun would be a take with two writers. Whoever stops it meanwhile is heard behind it.
        match begin(&shared, &id, &room, pause).await {
            Begun::GoesOn(recorder, capturing) => {
                shared.media.rooms().expect_recorder_no_more(&room).await;
                if let Some(entry) = shared.lock().get_mut(&id) {
                    entry.notes = Some(capturing.notes());
                }
                tracing::info!(egress = %id, %room, "the recording goes on");
                return runner::record(shared, id, recorder, capturing, stop).await;
            }
            Begun::Again(again) => {
                pause = again;
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Begun::CannotBe => break Waited::TooLong,
        }
    };
    shared.media.rooms().expect_recorder_no_more(&room).await;
    match waited {
        // The next run goes on.
        Waited::ServerStops if shared.suspending.is_cancelled() => {}
        Waited::Stopped => recovery::finish(shared, id).await,
        Waited::TooLong | Waited::ServerStops | Waited::Opened => {
            shared.update(&id, |job| job.end(unix_ns(), EndReason::SourceClosed));
            recovery::finish(shared, id).await;
        }
    }
}

async fn opens(shared: &Shared, room: &RoomName) {
    while !shared.media.rooms().exists(room.as_str()) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Goes on with the take in a room that is open.
async fn begin(shared: &Shared, id: &EgressId, room: &RoomName, pause: Pause) -> Begun {
    let (dir, at) = (shared.take(id), Instant::now());
    let at_ns = pause.at_ns(at);
    let Some(began) = at.checked_sub(Duration::from_nanos(at_ns)) else {
        tracing::warn!(egress = %id, "this machine's clock cannot tell when the recording began: it ends where it was suspended");
        return Begun::CannotBe;
    };
    let resuming = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || Take::resume(&dir, &pause.suspension, at_ns))
    };
    let handle = match resuming.await.expect("going on with a take does not panic") {
        Ok(handle) => handle,
        Err(error) => {
            tracing::warn!(egress = %id, %error, "the recording cannot go on: it ends where it was suspended");
            return Begun::CannotBe;
        }
    };
    shared.writers.writes(id, handle.watch());
    let (capturing, sink) = capture::go_on(handle, began, at_ns);
    let refused = match shared.media.attach_recorder(room, id.clone(), Box::new(sink)).await {
        Ok(recorder) => return Begun::GoesOn(recorder, capturing),
        Err(error) => error,
    };
    tracing::debug!(egress = %id, error = %refused, "the room is not there any more");
    let now_ns = unix_ns().try_into().unwrap_or_default();
    let suspending = tokio::task::spawn_blocking(move || {
        let suspended = capturing.suspend(Instant::now(), now_ns);
        suspended.and_then(|_| suspension(&dir))
    });
    match suspending.await.expect("suspending a take does not panic") {
        Ok(Some(suspension)) => Begun::Again(Pause { suspension, away: Duration::ZERO, at: Instant::now() }),
        Ok(None) => Begun::CannotBe,
        Err(error) => {
            tracing::warn!(egress = %id, %error, "the recording cannot be suspended once more");
            Begun::CannotBe
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a take says it; the rest of it is not looked at here.
    fn suspension_at(unix_ns: u64) -> Suspension {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("take");
        let handle = Take::create(&dir, reelroom_take::TakeHeader::new("EG", "r", "RM", 0)).unwrap();
        handle.suspend(5_000_000_000, unix_ns).unwrap();
        suspension(&dir).unwrap().unwrap()
    }

    #[test]
    fn the_time_of_a_take_goes_on_by_what_passed_and_a_moved_clock_adds_no_more_than_is_waited() {
        let (left, within) = (suspension_at(1_000_000_000_000), Duration::from_secs(60));
        let away = |now_s: u64, within| away(&left, now_s * 1_000_000_000, within);
        assert_eq!(away(1_003, within), Some(Duration::from_secs(3)));
        assert_eq!(away(1_060, within), Some(within));
        assert_eq!(away(1_061, within), None);
        assert_eq!(away(5, within), Some(Duration::ZERO), "the clock was moved back");
        assert_eq!(away(1_000, Duration::ZERO), None, "nothing goes on");
        let at = Instant::now();
        let pause = Pause { suspension: left, away: Duration::from_secs(3), at };
        assert_eq!(pause.at_ns(at), 8_000_000_000);
        assert_eq!(pause.at_ns(at + Duration::from_secs(2)), 10_000_000_000);
    }
}
