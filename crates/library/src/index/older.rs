//! An index of a version that kept there what only it knew: that goes over into the truth, and its tables go.
//!
//! ```text
//!  read ─► the truth takes it over, one transaction, synced ─► the tables are dropped, one transaction
//! ```
//!
//! Whoever is killed between two of these begins anew: nothing is forgotten here before it stands there, and taking over twice is taking
//! over once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use reelroom_truth::{Alone, Discarded, Multipart, Older, Truth, Waiting};
use rusqlite::{Connection, OpenFlags, Row};

use super::{COLUMNS, VERSION, index_error, is_damaged, recording, throw_away};
use crate::error::LibraryError;
use crate::recording::{Recording, Status};
use crate::sidecar::Sidecar;

const TABLES: [&str; 4] = ["outbox", "discarded", "dismissed", "multipart_uploads"];

/// What was found.
struct Found {
    older: Older,
    /// Some of it cannot be read, and never will be.
    is_damaged: bool,
}

/// Takes over what an index of an older version knows, and leaves it as one of this version.
///
/// # Errors
/// [`LibraryError::Index`], [`LibraryError::Truth`]: all of it is still there.
pub(crate) fn take_over(file: &Path, truth: &Truth, prefix: &str) -> Result<(), LibraryError> {
    let Some(found) = read(file, prefix).map_err(index_error)? else { return Ok(()) };
    truth.take_over(&found.older)?;
    if found.is_damaged {
        // All of it comes anew from the store, as with any damaged index.
        tracing::warn!(file = %file.display(), "the index is damaged: what can be read of it was taken over");
        throw_away(file);
    } else {
        drop_tables(file).map_err(index_error)?;
    }
    let Older { waiting, discarded, dismissed, multiparts, alone } = &found.older;
    tracing::info!(
        waiting = waiting.len(),
        discarded = discarded.len(),
        dismissed = dismissed.len(),
        multiparts = multiparts.len(),
        alone = alone.len(),
        "what only the index of an older version knew stands in truth.db now"
    );
    Ok(())
}

/// `None` where there is nothing to take over.
fn read(file: &Path, prefix: &str) -> rusqlite::Result<Option<Found>> {
    if !file.exists() {
        return Ok(None);
    }
    match tables(file) {
        Ok((_, tables)) if tables.is_empty() => Ok(None),
        Ok((connection, tables)) => Reader { connection, tables, is_damaged: false }.read(prefix).map(Some),
        // Whoever opens the index makes it anew.
        Err(error) if is_damaged(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn tables(file: &Path) -> rusqlite::Result<(Connection, Vec<String>)> {
    let connection = open(file)?;
    let tables = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?
        .query_map([], |row| row.get::<_, String>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let is_older = tables.iter().any(|table| TABLES.contains(&table.as_str()));
    Ok((connection, if is_older { tables } else { Vec::new() }))
}

/// A log that a killed program left is taken in, for which the file has to be writable.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn drop_tables(file: &Path) -> rusqlite::Result<()> {
    let mut connection = open(file)?;
    let change = connection.transaction()?;
    for table in TABLES {
        change.execute_batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    change.commit()
}

struct Reader {
    connection: Connection,
    tables: Vec<String>,
    is_damaged: bool,
}

impl Reader {
    fn read(mut self, prefix: &str) -> rusqlite::Result<Found> {
        let recordings = self.recordings()?;
        let key = |recording: &Recording| format!("{prefix}{}", recording.name);
        let about = |recording: &Recording| Sidecar::of_known(recording).to_json();
        let known: HashMap<String, Vec<u8>> = recordings
            .iter()
            .filter(|(recording, source)| recording.status == Status::Complete && source.is_empty())
            .map(|(recording, _)| (key(recording), about(recording)))
            .collect();
        let mut waiting = self.rows(
            "outbox",
            "SELECT key, file, size, attempts, last_error, failing_since_ms, next_try_at_ms FROM outbox",
            waiting,
        )?;
        for one in &mut waiting {
            one.about = known.get(&one.key).cloned();
        }
        let alone = recordings.iter().filter(|(recording, source)| stands_alone(recording, source));
        let alone = alone.map(|(recording, _)| Alone {
            key: key(recording),
            is_failed: recording.status == Status::Failed,
            about: about(recording),
        });
        let older = Older {
            waiting,
            discarded: self.discarded()?,
            dismissed: self.rows("dismissed", "SELECT id FROM dismissed", |row| row.get(0))?,
            multiparts: self.rows(
                "multipart_uploads",
                "SELECT place, key, id FROM multipart_uploads",
                |row| Ok(Multipart { place: row.get(0)?, key: row.get(1)?, id: row.get(2)? }),
            )?,
            alone: alone.collect(),
        };
        Ok(Found { older, is_damaged: self.is_damaged })
    }

    /// Rows of what is over, and what they were read from.
    fn recordings(&mut self) -> rusqlite::Result<Vec<(Recording, String)>> {
        let version: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version != VERSION {
            // That table is made anew in any case.
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {COLUMNS}, source FROM recordings WHERE status IN ('complete', 'failed') AND NOT in_backup"
        );
        self.rows("recordings", &sql, |row| Ok((recording(row)?, row.get("source")?)))
    }

    fn discarded(&mut self) -> rusqlite::Result<Vec<Discarded>> {
        // The last two columns came later.
        let is_wide = self.tables.iter().any(|table| table == "discarded")
            && self
                .connection
                .prepare("SELECT 1 FROM pragma_table_info('discarded') WHERE name = 'id'")?
                .exists([])?;
        let sql = match is_wide {
            true => "SELECT key, file, is_clean, size, id FROM discarded",
            false => "SELECT key, file, is_clean, NULL, '' FROM discarded",
        };
        self.rows("discarded", sql, |row| {
            let size = row.get::<_, Option<i64>>(3)?.and_then(|size| u64::try_from(size).ok());
            Ok(Discarded {
                key: row.get(0)?,
                file: path(row, 1)?,
                is_clean: row.get(2)?,
                size,
                id: row.get(4)?,
            })
        })
    }

    /// Those of a table up to the first that is damaged; none where there is no such table.
    fn rows<T>(
        &mut self,
        table: &str,
        sql: &str,
        of: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut all = Vec::new();
        if !self.tables.iter().any(|known| known == table) {
            return Ok(all);
        }
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                all.push(of(row)?);
            }
            Ok(())
        };
        match read() {
            Err(error) if is_damaged(&error) => {
                tracing::warn!(%error, table, "a table of the index is damaged");
                self.is_damaged = true;
            }
            read => read?,
        }
        Ok(all)
    }
}

/// Whether nothing in the store tells as much of it: a failure without a sidecar, or a file of which more is known than its name. A
/// sidecar that came since the store was read is preferred by whoever reads it.
fn stands_alone(recording: &Recording, source: &str) -> bool {
    match recording.status {
        Status::Failed => source.is_empty(),
        _ => !source.is_empty() && !source.contains('\n') && recording.id != recording.name,
    }
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    Ok(Waiting {
        key: row.get(0)?,
        file: path(row, 1)?,
        size: row.get::<_, i64>(2)?.unsigned_abs(),
        attempts: row.get(3)?,
        last_error: row.get(4)?,
        failing_since_ms: row.get(5)?,
        next_try_at_ms: row.get(6)?,
        about: None,
    })
}

fn path(row: &Row<'_>, column: usize) -> rusqlite::Result<PathBuf> {
    Ok(PathBuf::from(OsString::from_vec(row.get(column)?)))
}

#[cfg(test)]
pub(super) mod tests;
