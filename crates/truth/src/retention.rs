//! Which recordings are a room's, so that they are deleted when its time for them is over; and the clock by which that is counted.
//!
//! # Invariants
//!
//! - A recording is known by its name and its id: another one that has its name later is none of the room's by that.
//! - What is not written down here is deleted by nobody but whoever asks for it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::{Truth, TruthError};

const COLUMNS: &str = "name, id, room, ended_ms, kept_ms, let_go_ms, again_ms";
/// Of those of a room that ended until then and are not kept for good: those let go since, and those to be tried later, are left out.
const ENDED: &str = "room = ?1 AND ended_ms <= ?2 AND kept_ms IS NULL AND let_go_ms <= ?3";

/// A recording that was made in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecording {
    /// Where it stands, below the folder of the recordings.
    pub name: String,
    /// Its egress id.
    pub id: String,
    /// The name of its room.
    pub room: String,
    /// Unix milliseconds.
    pub ended_ms: i64,
    /// Unix milliseconds: when somebody said that it is kept for good; `None` where nobody did.
    pub kept_ms: Option<i64>,
    /// Unix milliseconds: when somebody said that it is so no longer; 0 where nobody did.
    pub let_go_ms: i64,
    /// Unix milliseconds: when it is tried again to delete it; 0 where it was not tried.
    pub again_ms: i64,
}

/// How the clock stood when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionClock {
    /// Unix milliseconds.
    pub seen_ms: i64,
    /// Unix milliseconds: when it was found to have moved, the last time.
    pub doubted_ms: Option<i64>,
}

/// Which recordings of a room are asked for.
#[derive(Clone, Copy, Debug)]
pub struct EndedRecordings<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// Those that ended then or before: Unix milliseconds.
    pub until_ms: i64,
    /// Those that were let go then or before, where they were kept: Unix milliseconds.
    pub let_go_until_ms: i64,
}

impl Truth {
    /// Writes down that a recording was made in a room. What is known already costs nothing.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn add_room_recording(&self, recording: &RoomRecording) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached(
                "INSERT OR IGNORE INTO room_recordings (name, id, room, ended_ms, kept_ms, let_go_ms, again_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                recording.name,
                recording.id,
                recording.room,
                recording.ended_ms,
                recording.kept_ms,
                recording.let_go_ms,
                recording.again_ms,
            ])
            .map(drop)
        })
    }

    /// What is known of recordings, each given by its name and id; what is a room's of none is left out.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn room_recordings(&self, which: &[(String, String)]) -> Result<Vec<RoomRecording>, TruthError> {
        self.read_now(|db| {
            let sql = format!("SELECT {COLUMNS} FROM room_recordings WHERE name = ?1 AND id = ?2");
            let mut find = db.prepare_cached(&sql)?;
            let mut found = Vec::new();
            for (name, id) in which {
                found.extend(find.query_row([name, id], recording).optional()?);
            }
            Ok(found)
        })
    }

    /// Those that ended and are not kept for good, oldest first and `most` at most: without those that are to be tried after `now_ms`.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn ended_recordings(
        &self,
        which: EndedRecordings<'_>,
        now_ms: i64,
        most: usize,
    ) -> Result<Vec<RoomRecording>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM room_recordings WHERE {ENDED} AND again_ms <= ?4 ORDER BY ended_ms, name LIMIT ?5"
            ))?
            .query_map(
                params![which.room, which.until_ms, which.let_go_until_ms, now_ms, limit(most)],
                recording,
            )?
            .collect()
        })
    }

    /// How many of them there are.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn count_ended_recordings(&self, which: EndedRecordings<'_>) -> Result<u64, TruthError> {
        self.read_now(|db| count(db, which))
    }

    /// It is kept for good since then, or let go then. False where it is a room's of none.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn keep_room_recording(
        &self,
        name: &str,
        id: &str,
        is_kept: bool,
        now_ms: i64,
    ) -> Result<bool, TruthError> {
        self.write_now(|db| {
            // What is said twice changes nothing.
            let sql = if is_kept {
                "UPDATE room_recordings SET kept_ms = ifnull(kept_ms, ?3) WHERE name = ?1 AND id = ?2"
            } else {
                "UPDATE room_recordings SET let_go_ms = iif(kept_ms IS NULL, let_go_ms, ?3), kept_ms = NULL \
                 WHERE name = ?1 AND id = ?2"
            };
            db.prepare_cached(sql)?.execute(params![name, id, now_ms]).map(|count| count > 0)
        })
    }

    /// It is not tried to delete it before then.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn put_off_recording(&self, name: &str, id: &str, again_ms: i64) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached("UPDATE room_recordings SET again_ms = ?3 WHERE name = ?1 AND id = ?2")?
                .execute(params![name, id, again_ms])
                .map(drop)
        })
    }

    /// What is put off beyond `latest_ms` is put off no longer: the clock was set back since.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn take_up_recordings(&self, latest_ms: i64) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached("UPDATE room_recordings SET again_ms = 0 WHERE again_ms > ?1")?
                .execute([latest_ms])
                .map(drop)
        })
    }

    /// A recording is deleted; without an id it is whatever had the name.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn forget_room_recording(&self, name: &str, id: Option<&str>) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached("DELETE FROM room_recordings WHERE name = ?1 AND (?2 IS NULL OR id = ?2)")?
                .execute(params![name, id])
                .map(drop)
        })
    }

    /// How the clock stood; `None` where it was never looked at.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn retention_clock(&self) -> Result<Option<RetentionClock>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT seen_ms, doubted_ms FROM retention_clock")?
                .query_row([], |row| Ok(RetentionClock { seen_ms: row.get(0)?, doubted_ms: row.get(1)? }))
                .optional()
        })
    }

    /// Writes down how the clock stands.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn put_retention_clock(&self, clock: RetentionClock) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached(
                "INSERT OR REPLACE INTO retention_clock (one, seen_ms, doubted_ms) VALUES (1, ?1, ?2)",
            )?
            .execute(params![clock.seen_ms, clock.doubted_ms])
            .map(drop)
        })
    }
}

fn count(db: &Connection, which: EndedRecordings<'_>) -> rusqlite::Result<u64> {
    let count: i64 = db
        .prepare_cached(&format!("SELECT count(*) FROM room_recordings WHERE {ENDED}"))?
        .query_row(params![which.room, which.until_ms, which.let_go_until_ms], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn recording(row: &Row<'_>) -> rusqlite::Result<RoomRecording> {
    Ok(RoomRecording {
        name: row.get(0)?,
        id: row.get(1)?,
        room: row.get(2)?,
        ended_ms: row.get(3)?,
        kept_ms: row.get(4)?,
        let_go_ms: row.get(5)?,
        again_ms: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(name: &str, ended_ms: i64) -> RoomRecording {
        RoomRecording {
            name: name.into(),
            id: format!("EG_{name}"),
            room: "own".into(),
            ended_ms,
            kept_ms: None,
            let_go_ms: 0,
            again_ms: 0,
        }
    }

    fn names(truth: &Truth, until_ms: i64, now_ms: i64) -> Vec<String> {
        let which = EndedRecordings { room: "own", until_ms, let_go_until_ms: now_ms };
        truth.ended_recordings(which, now_ms, 10).unwrap().into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn what_ended_is_found_oldest_first_unless_it_is_kept_let_go_since_or_put_off() {
        let folder = tempfile::tempdir().unwrap();
        let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
        for (name, ended_ms) in [("c", 3), ("a", 1), ("b", 2)] {
            truth.add_room_recording(&recorded(name, ended_ms)).unwrap();
            truth.add_room_recording(&recorded(name, 99)).unwrap();
        }
        truth.add_room_recording(&RoomRecording { room: "other".into(), ..recorded("d", 0) }).unwrap();
        assert_eq!(names(&truth, 2, 10), ["a", "b"]);
        assert!(truth.keep_room_recording("a", "EG_a", true, 10).unwrap());
        assert!(!truth.keep_room_recording("a", "EG_other", true, 10).unwrap());
        assert_eq!(names(&truth, 9, 10), ["b", "c"]);
        for _ in 0..2 {
            truth.keep_room_recording("a", "EG_a", false, 20).unwrap();
            truth.keep_room_recording("b", "EG_b", false, 30).unwrap();
        }
        assert_eq!(names(&truth, 9, 19), ["b", "c"], "one that was not kept is not let go");
        assert_eq!(names(&truth, 9, 20), ["a", "b", "c"]);
        truth.put_off_recording("b", "EG_b", 40).unwrap();
        assert_eq!(names(&truth, 9, 39), ["a", "c"]);
        assert_eq!(names(&truth, 9, 40), ["a", "b", "c"]);
        truth.take_up_recordings(40).unwrap();
        assert_eq!(names(&truth, 9, 39), ["a", "c"]);
        truth.take_up_recordings(39).unwrap();
        assert_eq!(names(&truth, 9, 39), ["a", "b", "c"]);
        let which = EndedRecordings { room: "own", until_ms: 9, let_go_until_ms: 39 };
        assert_eq!(truth.count_ended_recordings(which).unwrap(), 3);
        truth.forget_room_recording("a", Some("EG_other")).unwrap();
        truth.forget_room_recording("b", None).unwrap();
        let asked = ["a", "b"].map(|name| (name.to_owned(), format!("EG_{name}")));
        let known = truth.room_recordings(&asked).unwrap();
        assert_eq!(known, [RoomRecording { let_go_ms: 20, ..recorded("a", 1) }]);
    }

    #[test]
    fn the_clock_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("truth.db");
        let truth = Truth::open(&file).unwrap();
        assert_eq!(truth.retention_clock().unwrap(), None);
        for clock in [
            RetentionClock { seen_ms: 1, doubted_ms: Some(2) },
            RetentionClock { seen_ms: 3, doubted_ms: None },
        ] {
            truth.put_retention_clock(clock).unwrap();
            assert_eq!(Truth::open(&file).unwrap().retention_clock().unwrap(), Some(clock));
        }
    }
}
