//! The index: what the store holds, and what is still being recorded, in SQLite. It can be deleted at any time.
//!
//! # Invariants
//!
//! - One row per name. A row says which objects it was read from, so that it is read again when they change.
//! - What is being recorded is known only as long as the program runs: such rows are forgotten when the index is opened.
//! - Lists and searches read by connections of their own: nobody who lists waits for whoever searches or writes, and searches wait in a
//!   queue of bounded length.
//! - Nothing is known here alone: what the store cannot tell again stands in the truth, and is put into the index from there.
//! - Whoever writes or removes a row tells the feed so before anybody else writes.

mod home;
mod older;
mod readers;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use reelroom_limits::library::{SEARCHES_AT_ONCE, SEARCHES_WAITING};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params, params_from_iter};

use crate::error::LibraryError;
use crate::feed::{Feed, Gone};
use crate::query::{ListQuery, Page, Position, SortKey, Value};
use crate::recording::{Recording, Status, Usage};
use home::Home;
pub(crate) use older::take_over;
#[cfg(test)]
pub(crate) use older::tests::OLDER_TABLES;
use readers::{Readers, blocking};

/// Pages of the list that are read at once.
const LISTS_AT_ONCE: usize = 2;

/// Raised when the table changes: an older index is thrown away and read again from the store.
const VERSION: i64 = 3;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS recordings;
    CREATE TABLE recordings (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, room_name TEXT NOT NULL, room_id TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL, status TEXT NOT NULL, duration_ms INTEGER NOT NULL, size INTEGER NOT NULL,
        progress REAL, error TEXT, recovered INTEGER NOT NULL, lost_ms INTEGER NOT NULL, sha256 TEXT,
        room_key TEXT NOT NULL, search TEXT NOT NULL,
        source TEXT NOT NULL, generation INTEGER NOT NULL, in_backup INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX by_start ON recordings (started_at_ms, name);
    CREATE INDEX by_duration ON recordings (duration_ms, name);
    CREATE INDEX by_size ON recordings (size, name);
    CREATE INDEX by_room_key ON recordings (room_key, name);
    CREATE INDEX by_room ON recordings (room_name, started_at_ms, name);
    CREATE INDEX by_room_id ON recordings (room_id, started_at_ms, name);
    CREATE INDEX by_id ON recordings (id);
    CREATE INDEX by_status ON recordings (status, started_at_ms, name);
";

const COLUMNS: &str = "name, id, room_name, room_id, started_at_ms, status, duration_ms, size, progress, error, \
                       recovered, lost_ms, sha256, in_backup";

/// The open index.
#[derive(Clone)]
pub(crate) struct Index {
    home: Arc<Home>,
    lists: Readers,
    searches: Readers,
    feed: Arc<Feed>,
}

/// What a row was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Changes with the objects.
    pub(crate) source: String,
    /// The scan during which it was written.
    pub(crate) generation: i64,
    pub(crate) status: Status,
    pub(crate) in_backup: bool,
}

impl Index {
    /// Opens the file, or makes it. One that is damaged or of another version is thrown away.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub(crate) fn open(file: &Path) -> Result<Self, LibraryError> {
        let home = match Home::open(file) {
            Ok(home) => home,
            Err(error) if is_damaged(&error) => {
                tracing::warn!(%error, file = %file.display(), "the index is damaged and is made again from the store");
                throw_away(file);
                Home::open(file).map_err(index_error)?
            }
            Err(error) => return Err(index_error(error)),
        };
        let home = Arc::new(home);
        Ok(Self {
            lists: Readers::new(&home, LISTS_AT_ONCE, usize::MAX),
            searches: Readers::new(&home, SEARCHES_AT_ONCE, SEARCHES_WAITING),
            feed: Arc::default(),
            home,
        })
    }

    /// What changed since the index was opened.
    pub(crate) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Tells whoever follows that something of a recording is different that no row says.
    pub(crate) async fn tell_again(&self, name: &str) -> Result<(), LibraryError> {
        if self.feed.again(name) {
            return Ok(());
        }
        let (name, feed) = (name.to_owned(), Arc::clone(&self.feed));
        self.run(move |db| {
            if let Some(row) = by_name(db, &name)? {
                feed.changed(&row);
            }
            Ok(())
        })
        .await
    }

    /// Writes a row. Others that stand for the same recording in the making are replaced by it.
    pub(crate) async fn put(
        &self,
        recording: Recording,
        source: String,
        generation: i64,
    ) -> Result<(), LibraryError> {
        let feed = Arc::clone(&self.feed);
        self.run(move |db| {
            let change = db.transaction()?;
            let gone = supersede(&change, &recording)?;
            put(&change, &recording, &source, generation)?;
            change.commit()?;
            feed.deleted(gone);
            feed.changed(&recording);
            Ok(())
        })
        .await
    }

    /// Writes a row of what was found in a store. What stands beside a file may say anything: it replaces no other row.
    pub(crate) async fn put_found(
        &self,
        recording: Recording,
        source: String,
        generation: i64,
    ) -> Result<(), LibraryError> {
        let feed = Arc::clone(&self.feed);
        self.run(move |db| {
            put(db, &recording, &source, generation)?;
            feed.changed(&recording);
            Ok(())
        })
        .await
    }

    /// Puts rows back that an index which was deleted had. What stands in the index already is newer.
    ///
    /// # Errors
    /// [`LibraryError::Index`].
    pub(crate) fn put_back(&self, recordings: &[Recording]) -> Result<(), LibraryError> {
        let put_back = |db: &mut Connection| {
            let change = db.transaction()?;
            for recording in recordings {
                let is_failed = recording.status == Status::Failed;
                let is_known = change
                    .prepare_cached(
                        "SELECT 1 FROM recordings WHERE name = ?1 OR (?3 AND id = ?2 AND status = 'complete')",
                    )?
                    .exists(params![recording.name, recording.id, is_failed])?;
                if !is_known {
                    put(&change, recording, "", 0)?;
                }
            }
            change.commit()
        };
        self.home.write(put_back).map_err(index_error)
    }

    /// Notes what is not in the store, unless it is there already.
    pub(crate) async fn note(
        &self,
        recording: Recording,
        source: String,
        generation: i64,
    ) -> Result<bool, LibraryError> {
        let feed = Arc::clone(&self.feed);
        self.run(move |db| {
            let change = db.transaction()?;
            let known: Option<String> = change
                .prepare_cached("SELECT status FROM recordings WHERE name = ?1 OR id = ?2 ORDER BY status = 'complete' DESC")?
                .query_row(params![recording.name, recording.id], |row| row.get(0))
                .optional()?;
            if known.as_deref() == Some(Status::Complete.as_str()) {
                return Ok(false);
            }
            let gone = supersede(&change, &recording)?;
            put(&change, &recording, &source, generation)?;
            change.commit()?;
            feed.deleted(gone);
            feed.changed(&recording);
            Ok(true)
        })
        .await
    }

    pub(crate) async fn by_name(&self, name: &str) -> Result<Option<Recording>, LibraryError> {
        let name = name.to_owned();
        self.lists.run(move |db| by_name(db, &name)).await
    }

    pub(crate) async fn with_status(&self, status: Status) -> Result<Vec<Recording>, LibraryError> {
        self.run(move |db| {
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM recordings WHERE status = ?1"))?
                .query_map(params![status.as_str()], recording)?
                .collect()
        })
        .await
    }

    /// Those that stand in the backup store.
    pub(crate) async fn in_backup(&self) -> Result<Vec<Recording>, LibraryError> {
        self.run(|db| {
            db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM recordings WHERE in_backup ORDER BY started_at_ms"
            ))?
            .query_map([], recording)?
            .collect()
        })
        .await
    }

    pub(crate) async fn remove(&self, name: &str) -> Result<(), LibraryError> {
        self.delete("name = ?1", vec![name.to_owned().into()]).await
    }

    /// Removes a row of a recording, and no other one's of that name.
    pub(crate) async fn remove_of(&self, name: &str, id: &str) -> Result<(), LibraryError> {
        self.delete("name = ?1 AND id = ?2", vec![name.to_owned().into(), id.to_owned().into()]).await
    }

    /// Removes a row, unless it was written during a later scan than `generation`, or during it.
    pub(crate) async fn remove_as_of(&self, name: &str, generation: i64) -> Result<(), LibraryError> {
        self.delete("name = ?1 AND generation < ?2", vec![name.to_owned().into(), generation.into()]).await
    }

    /// Removes a row that says the file is there, and no other.
    pub(crate) async fn remove_complete(&self, name: &str) -> Result<(), LibraryError> {
        self.delete("name = ?1 AND status = 'complete'", vec![name.to_owned().into()]).await
    }

    /// Forgets a recording in the making.
    pub(crate) async fn forget(&self, id: &str) -> Result<(), LibraryError> {
        let in_the_making = "id = ?1 AND status IN ('starting', 'recording', 'finishing')";
        self.delete(in_the_making, vec![id.to_owned().into()]).await
    }

    async fn delete(&self, which: &'static str, values: Vec<Sql>) -> Result<(), LibraryError> {
        let feed = Arc::clone(&self.feed);
        self.run(move |db| {
            feed.deleted(delete(db, which, params_from_iter(values))?);
            Ok(())
        })
        .await
    }

    /// Every row's origin, by name.
    pub(crate) async fn origins(&self) -> Result<HashMap<String, Origin>, LibraryError> {
        self.run(|db| {
            db.prepare_cached("SELECT name, source, generation, status, in_backup FROM recordings")?
                .query_map([], |row| {
                    let origin = Origin {
                        source: row.get(1)?,
                        generation: row.get(2)?,
                        status: status(row, 3)?,
                        in_backup: row.get(4)?,
                    };
                    Ok((row.get(0)?, origin))
                })?
                .collect()
        })
        .await
    }

    /// How many there are of each status.
    pub(crate) async fn counts(&self) -> Result<HashMap<Status, u64>, LibraryError> {
        self.lists
            .run(|db| {
                db.prepare_cached("SELECT status, count(*) FROM recordings GROUP BY status")?
                    .query_map([], |row| Ok((status(row, 0)?, row.get::<_, i64>(1)?.unsigned_abs())))?
                    .collect()
            })
            .await
    }

    /// What those that are finished take. It reads all rows.
    pub(crate) async fn usage(&self) -> Result<Usage, LibraryError> {
        self.searches
            .run(|db| {
                let sql = "SELECT count(*), coalesce(sum(max(size, 0)), 0), \
                           coalesce(sum(CASE WHEN duration_ms > 0 AND size > 0 THEN size END), 0), \
                           coalesce(sum(CASE WHEN duration_ms > 0 AND size > 0 THEN duration_ms END), 0) \
                           FROM recordings WHERE status = 'complete'";
                db.prepare_cached(sql)?.query_row([], |row| {
                    let number = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
                    Ok(Usage {
                        recordings: number(0)?,
                        bytes: number(1)?,
                        timed_bytes: number(2)?,
                        timed_ms: number(3)?,
                    })
                })
            })
            .await
    }

    pub(crate) async fn page(&self, query: &ListQuery) -> Result<Page, LibraryError> {
        let sort = query.sort;
        let position =
            query.cursor.as_deref().map(|cursor| Position::from_cursor(cursor, sort)).transpose()?;
        let (sql, values) = select(query, position);
        let limit = query.limit.max(1);
        let readers = if reads_all(query) { &self.searches } else { &self.lists };
        readers
            .run(move |db| {
                let mut recordings: Vec<Recording> = db
                    .prepare_cached(&sql)?
                    .query_map(params_from_iter(values), recording)?
                    .collect::<Result<_, _>>()?;
                let next_cursor = (recordings.len() > limit).then(|| {
                    recordings.truncate(limit);
                    let last = &recordings[limit - 1];
                    let value = match sort.key {
                        SortKey::StartedAt => Value::Number(last.started_at_ms),
                        SortKey::Duration => Value::Number(stored(last.duration_ms)),
                        SortKey::Size => Value::Number(stored(last.size)),
                        SortKey::RoomName => Value::Text(folded(&last.room_name)),
                    };
                    Position::new(sort, value, &last.name).to_cursor()
                });
                Ok(Page { recordings, next_cursor })
            })
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LibraryError> {
        let home = Arc::clone(&self.home);
        blocking(move || home.write(work)).await
    }
}

/// Whether no index of the table leads to the page: a text is looked for in every row, and so may rows of a status or room be in an
/// order of something else.
fn reads_all(query: &ListQuery) -> bool {
    let is_filtered = !query.status.is_empty() || query.room_name.is_some() || query.room_id.is_some();
    let is_by_start = query.sort.key == SortKey::StartedAt;
    query.text.is_some() || query.status.len() > 1 || (is_filtered && !is_by_start)
}

/// The page's statement, and its values.
fn select(query: &ListQuery, position: Option<Position>) -> (String, Vec<Sql>) {
    let column = match query.sort.key {
        SortKey::StartedAt => "started_at_ms",
        SortKey::Duration => "duration_ms",
        SortKey::Size => "size",
        SortKey::RoomName => "room_key",
    };
    let (compare, direction) = if query.sort.descending { ("<", "DESC") } else { (">", "ASC") };
    let mut conditions = Vec::new();
    let mut values: Vec<Sql> = Vec::new();
    for (condition, value) in [("room_name = ?", &query.room_name), ("room_id = ?", &query.room_id)] {
        if let Some(value) = value {
            conditions.push(condition.to_owned());
            values.push(value.clone().into());
        }
    }
    if !query.status.is_empty() {
        let places = vec!["?"; query.status.len()].join(", ");
        conditions.push(format!("status IN ({places})"));
        values.extend(query.status.iter().map(|status| Sql::from(status.to_string())));
    }
    if let Some(text) = &query.text {
        conditions.push("instr(search, ?) > 0".to_owned());
        values.push(folded(text).into());
    }
    if let Some(position) = position {
        conditions.push(format!("({column}, name) {compare} (?, ?)"));
        values.push(match position.value {
            Value::Number(value) => value.into(),
            Value::Text(value) => value.into(),
        });
        values.push(position.name.into());
    }
    let conditions =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    // One more than asked for tells whether there is another page.
    let limit = query.limit.max(1) + 1;
    let sql = format!(
        "SELECT {COLUMNS} FROM recordings {conditions} ORDER BY {column} {direction}, name {direction} LIMIT {limit}"
    );
    (sql, values)
}

/// Others that stand for the same recording in the making go.
fn supersede(db: &Connection, recording: &Recording) -> rusqlite::Result<Vec<Gone>> {
    let others = "id = ?1 AND name <> ?2 AND status IN ('starting', 'recording', 'finishing')";
    delete(db, others, params![recording.id, recording.name])
}

/// Removes rows, and says which.
fn delete(db: &Connection, which: &str, values: impl Params) -> rusqlite::Result<Vec<Gone>> {
    let sql = format!("DELETE FROM recordings WHERE {which} RETURNING id, name, room_name");
    let gone = |row: &Row<'_>| Ok(Gone { id: row.get(0)?, name: row.get(1)?, room_name: row.get(2)? });
    db.prepare_cached(&sql)?.query_map(values, gone)?.collect()
}

fn by_name(db: &Connection, name: &str) -> rusqlite::Result<Option<Recording>> {
    db.prepare_cached(&format!("SELECT {COLUMNS} FROM recordings WHERE name = ?1"))?
        .query_row(params![name], recording)
        .optional()
}

fn put(db: &Connection, recording: &Recording, source: &str, generation: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO recordings (name, id, room_name, room_id, started_at_ms, status, duration_ms, size, \
         progress, error, recovered, lost_ms, sha256, room_key, search, source, generation, in_backup) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?
    .execute(params![
        recording.name,
        recording.id,
        recording.room_name,
        recording.room_id,
        recording.started_at_ms,
        recording.status.as_str(),
        stored(recording.duration_ms),
        stored(recording.size),
        recording.progress,
        recording.error,
        recording.recovered,
        stored(Some(recording.lost_ms)),
        recording.sha256,
        folded(&recording.room_name),
        folded(&format!("{}\n{}", recording.room_name, recording.name)),
        source,
        generation,
        recording.in_backup,
    ])?;
    Ok(())
}

/// Unknown numbers sort below all others.
fn stored(value: Option<u64>) -> i64 {
    value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

fn recording(row: &Row<'_>) -> rusqlite::Result<Recording> {
    let number = |column| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).ok());
    Ok(Recording {
        name: row.get(0)?,
        id: row.get(1)?,
        room_name: row.get(2)?,
        room_id: row.get(3)?,
        started_at_ms: row.get(4)?,
        status: status(row, 5)?,
        duration_ms: number(6)?,
        size: number(7)?,
        progress: row.get(8)?,
        error: row.get(9)?,
        recovered: row.get(10)?,
        lost_ms: number(11)?.unwrap_or(0),
        sha256: row.get(12)?,
        in_backup: row.get(13)?,
        upload: None,
        unfinished: None,
    })
}

fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<Status> {
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a power cut takes from an index is read again from the store.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(file)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    connection
        .execute("DELETE FROM recordings WHERE status IN ('starting', 'recording', 'finishing')", [])?;
    Ok(connection)
}

fn throw_away(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
        || matches!(error, rusqlite::Error::SqliteFailure(failure, _) if failure.code == rusqlite::ErrorCode::Unknown)
}

fn index_error(error: rusqlite::Error) -> LibraryError {
    LibraryError::Index(error.to_string())
}

#[cfg(test)]
mod tests;
