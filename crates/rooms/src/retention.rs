//! For how long a room keeps its recordings.
//!
//! ```text
//!   recorded ─► noted: name, id, room, when it ended
//!                │ ended + days of the room  ─┐
//!                │ the setting + a day        ├─ the latest of these ─► due
//!                │ let go, if it was + a day ─┘
//!                └ kept for good: never
//! ```
//!
//! # Invariants
//!
//! - What is noted alone is ever due: what was recorded in the room since it was made, as the recorder told it. What stands beside a file in a
//!   store is not asked, and anybody may have written it.
//! - A time that was set, or made shorter, deletes nothing within a day. One that was made longer, or taken back, keeps everything from that
//!   moment on, also while the disk takes nothing.
//! - With the room goes what was noted for it: nothing of it is due any more.

use std::collections::HashMap;

use reelroom_limits::rooms::{KEEP_DAYS, RETENTION_GRACE};
use reelroom_protocol::ids::RoomName;
use reelroom_truth::{EndedRecordings, RetentionClock, RoomRecording};

use crate::Rooms;
use crate::error::RoomsError;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const GRACE_MS: i64 = RETENTION_GRACE.as_millis() as i64;

/// For how long a room keeps its recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many days after they ended.
    pub days: u32,
    /// Since when that is set: Unix milliseconds.
    pub since_ms: i64,
}

impl Retention {
    /// Until when a recording is kept that ended then, and was let go then if it was ever kept for good: all in Unix milliseconds.
    pub fn kept_until_ms(self, ended_ms: i64, let_go_ms: Option<i64>) -> i64 {
        let ages_ms = ended_ms.saturating_add(self.days_ms());
        let let_go_ms = let_go_ms.unwrap_or(i64::MIN);
        ages_ms.max(self.since_ms.saturating_add(GRACE_MS)).max(let_go_ms.saturating_add(GRACE_MS))
    }

    /// Recordings of which room are due at a time; `None`: none is.
    fn ended(self, room: &RoomName, now_ms: i64) -> Option<EndedRecordings<'_>> {
        (self.since_ms.saturating_add(GRACE_MS) <= now_ms).then(|| EndedRecordings {
            room: room.as_str(),
            until_ms: now_ms.saturating_sub(self.days_ms()),
            let_go_until_ms: now_ms.saturating_sub(GRACE_MS),
        })
    }

    fn days_ms(self) -> i64 {
        i64::from(self.days) * DAY_MS
    }
}

/// Whether recordings go sooner than before. `None` is until somebody deletes them.
pub(crate) fn is_sooner(days: Option<u32>, before: Option<u32>) -> bool {
    match (days, before) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(days), Some(before)) => days < before,
    }
}

/// A recording that was made, as the recorder tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where it stands, below the folder of the recordings.
    pub name: String,
    /// Its egress id.
    pub id: String,
    /// In which room.
    pub room: RoomName,
    /// Unix milliseconds.
    pub started_ms: i64,
    /// Unix milliseconds.
    pub ended_ms: i64,
}

/// What becomes of a recording by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is deleted some time after that: Unix milliseconds.
    KeptUntil(i64),
    /// Nothing: somebody said so.
    KeptForGood,
}

/// A recording whose time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Where it stands, below the folder of the recordings.
    pub name: String,
    /// Its egress id.
    pub id: String,
    /// In which room it was made.
    pub room: RoomName,
    /// For how many days that keeps it.
    pub days: u32,
    /// Unix milliseconds.
    pub ended_ms: i64,
}

/// What a time for which recordings are kept would delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Nothing is deleted before then: Unix milliseconds.
    pub from_ms: i64,
    /// How many recordings are due then.
    pub count: u64,
    /// The first of them, oldest first.
    pub first: Vec<Due>,
}

impl Rooms {
    /// Notes that a recording was made. False where nobody made the room, or only later: then it is nobody's to delete by itself.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn recorded(&self, recorded: &Recorded) -> Result<bool, RoomsError> {
        if !self.has_made(recorded) {
            return Ok(false);
        }
        self.truth.add_room_recording(&RoomRecording {
            name: recorded.name.clone(),
            id: recorded.id.clone(),
            room: recorded.room.as_str().to_owned(),
            ended_ms: recorded.ended_ms,
            kept_ms: None,
            let_go_ms: 0,
            again_ms: 0,
        })?;
        Ok(true)
    }

    /// Whether a recording is one of a room that the owner made. It touches no disk.
    pub fn has_made(&self, recorded: &Recorded) -> bool {
        self.state().rooms.get(&recorded.room).is_some_and(|room| recorded.started_ms >= room.made_ms)
    }

    /// Whether there is a room of this name that the owner made.
    pub fn is_there(&self, name: &RoomName) -> bool {
        self.state().rooms.contains_key(name)
    }

    /// What becomes by themselves of recordings, each given by its name and id; by name, and without those of which nothing does.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn fates(&self, which: &[(String, String)]) -> Result<HashMap<String, Fate>, RoomsError> {
        let known = self.truth.room_recordings(which)?;
        let fate = |one: &RoomRecording| match one.kept_ms {
            Some(_) => Some(Fate::KeptForGood),
            None => self.retention(&RoomName::from(one.room.as_str())).map(|retention| {
                let let_go_ms = Some(one.let_go_ms).filter(|at_ms| *at_ms > 0);
                Fate::KeptUntil(retention.kept_until_ms(one.ended_ms, let_go_ms))
            }),
        };
        Ok(known.into_iter().filter_map(|one| fate(&one).map(|fate| (one.name, fate))).collect())
    }

    /// Keeps a recording for good, or lets it go a day after `now_ms` at the earliest. False where it is none of a room that the owner made: then
    /// nothing deletes it by itself.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn keep_recording(
        &self,
        name: &str,
        id: &str,
        is_kept: bool,
        now_ms: i64,
    ) -> Result<bool, RoomsError> {
        Ok(self.truth.keep_room_recording(name, id, is_kept, now_ms)?)
    }

    /// Recordings that are to be deleted now, the oldest first, and `most` at most.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn due(&self, now_ms: i64, most: usize) -> Result<Vec<Due>, RoomsError> {
        let mut all = Vec::new();
        for (room, retention) in self.retentions() {
            all.extend(self.ended(&room, retention, now_ms, now_ms, most)?);
        }
        all.sort_by(|one, other| (one.ended_ms, &one.name).cmp(&(other.ended_ms, &other.name)));
        all.truncate(most);
        Ok(all)
    }

    /// Whether it is so still: somebody may have kept it meanwhile, or have set another time.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn is_due(&self, due: &Due, now_ms: i64) -> Result<bool, RoomsError> {
        let fates = self.fates(&[(due.name.clone(), due.id.clone())])?;
        Ok(matches!(fates.get(&due.name), Some(Fate::KeptUntil(until_ms)) if *until_ms <= now_ms))
    }

    /// What would be deleted if the recordings of a room were kept for so many days from now on, up to the moment at which a slip can be
    /// taken back no more.
    ///
    /// # Errors
    /// [`RoomsError::Unknown`], [`RoomsError::Invalid`], [`RoomsError::Truth`].
    pub fn preview(
        &self,
        room: &RoomName,
        days: u32,
        now_ms: i64,
        most: usize,
    ) -> Result<Preview, RoomsError> {
        if !(1..=KEEP_DAYS).contains(&days) {
            return Err(RoomsError::Invalid(format!("recordings are kept for 1 to {KEEP_DAYS} days")));
        }
        let (before, since_ms) = {
            let state = self.state();
            let kept = state.rooms.get(room).ok_or(RoomsError::Unknown)?;
            (kept.settings.keep_days, kept.keep_since_ms)
        };
        let since_ms = if is_sooner(Some(days), before) { now_ms } else { since_ms };
        let retention = Retention { days, since_ms };
        let from_ms = since_ms.saturating_add(GRACE_MS).max(now_ms);
        let first = self.ended(room, retention, from_ms, i64::MAX, most)?;
        let count = match retention.ended(room, from_ms) {
            Some(which) => self.truth.count_ended_recordings(which)?,
            None => 0,
        };
        Ok(Preview { from_ms, count, first })
    }

    /// It is not due before then.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn put_off(&self, due: &Due, again_ms: i64) -> Result<(), RoomsError> {
        Ok(self.truth.put_off_recording(&due.name, &due.id, again_ms)?)
    }

    /// Nothing is put off beyond then: the clock was set back since.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn take_up(&self, latest_ms: i64) -> Result<(), RoomsError> {
        Ok(self.truth.take_up_recordings(latest_ms)?)
    }

    /// A recording was deleted; without an id it is whatever had the name.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn forget_recording(&self, name: &str, id: Option<&str>) -> Result<(), RoomsError> {
        Ok(self.truth.forget_room_recording(name, id)?)
    }

    /// Whether any room has its recordings deleted by themselves.
    pub fn has_retention(&self) -> bool {
        self.state().rooms.values().any(|room| room.settings.keep_days.is_some())
    }

    /// How the clock stood when it was looked at last; `None` where it never was.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn retention_clock(&self) -> Result<Option<RetentionClock>, RoomsError> {
        Ok(self.truth.retention_clock()?)
    }

    /// Writes down how the clock stands.
    ///
    /// # Errors
    /// [`RoomsError::Truth`].
    pub fn put_retention_clock(&self, clock: RetentionClock) -> Result<(), RoomsError> {
        Ok(self.truth.put_retention_clock(clock)?)
    }

    /// For how long a room keeps its recordings; `None`: until somebody deletes them.
    fn retention(&self, room: &RoomName) -> Option<Retention> {
        let state = self.state();
        let room = state.rooms.get(room)?;
        Some(Retention { days: room.settings.keep_days?, since_ms: room.keep_since_ms })
    }

    fn retentions(&self) -> Vec<(RoomName, Retention)> {
        let state = self.state();
        let set = state.rooms.values().filter_map(|room| {
            let retention = Retention { days: room.settings.keep_days?, since_ms: room.keep_since_ms };
            Some((room.name.clone(), retention))
        });
        set.collect()
    }

    /// Those due at `at_ms`, without those that are put off beyond `tried_ms`.
    fn ended(
        &self,
        room: &RoomName,
        retention: Retention,
        at_ms: i64,
        tried_ms: i64,
        most: usize,
    ) -> Result<Vec<Due>, RoomsError> {
        let Some(which) = retention.ended(room, at_ms) else { return Ok(Vec::new()) };
        let ended = self.truth.ended_recordings(which, tried_ms, most)?;
        let due = |one: RoomRecording| Due {
            name: one.name,
            id: one.id,
            room: room.clone(),
            days: retention.days,
            ended_ms: one.ended_ms,
        };
        Ok(ended.into_iter().map(due).collect())
    }
}
