//! The file is looked at before anything is written to it, and made where there is none.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::TruthError;
use crate::files::{beside, close_to_others, create, give_name, is_there};
use crate::steps::{self, STEPS};

/// "Reel": no other program's database is taken for this one.
pub(crate) const APPLICATION_ID: i32 = 0x5265_656c;
/// A copy that is being made holds nobody up but for moments.
const BUSY: Duration = Duration::from_secs(5);
/// How a database begins: its mark, and at the end of these bytes whether its changes stand in a log beside it.
const HEADER_BYTES: u64 = 20;
const WITHOUT_LOG: [u8; 2] = [1, 1];

pub(crate) fn to_write(file: &Path) -> Result<Connection, TruthError> {
    let has_log = check_neighbours(file)?;
    if !is_there(file) {
        make(file).map_err(|error| match error {
            Made::File(error) => unusable(file, error.to_string()),
            Made::Database(error) => told(file, &error),
        })?;
    }
    let mut connection =
        connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| told(file, &error))?;
    examine(file, &connection, has_log)?;
    // Whoever may not change that is told by what opens the data folder.
    let _ = close_to_others(file);
    prepare(&mut connection).map_err(|error| told(file, &error))?.map_err(|reason| unusable(file, reason))?;
    Ok(connection)
}

pub(crate) fn to_read(file: &Path) -> Result<Connection, TruthError> {
    connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| told(file, &error))
}

/// Refuses a file that is not there or has steps before it.
pub(crate) fn check_step(file: &Path) -> Result<(), TruthError> {
    if !is_there(file) {
        return Err(TruthError::Missing(file.to_owned()));
    }
    let has_log = check_neighbours(file)?;
    let look = || {
        let connection = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        leave_log(&connection, has_log)?;
        steps::taken(&connection)
    };
    match look().map_err(|error| told(file, &error))? {
        found if found < STEPS.len() => {
            Err(TruthError::Older { file: file.to_owned(), found, known: STEPS.len() })
        }
        _ => Ok(()),
    }
}

/// Opens a file that is there. Names are taken as they are, and never for URIs.
pub(crate) fn connect(file: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// What a failure to open says of the file.
pub(crate) fn told(file: &Path, error: &rusqlite::Error) -> TruthError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(file, error.to_string()),
        _ => unusable(file, error.to_string()),
    }
}

fn damaged(file: &Path, reason: impl Into<String>) -> TruthError {
    TruthError::Damaged { file: file.to_owned(), reason: reason.into() }
}

fn unusable(file: &Path, reason: impl Into<String>) -> TruthError {
    TruthError::Unusable { file: file.to_owned(), reason: reason.into() }
}

/// Whether a log stands beside it. That belongs to the database that wrote it: SQLite plays it into whatever has that database's name, and
/// drops it where nothing has.
pub(crate) fn check_neighbours(file: &Path) -> Result<bool, TruthError> {
    let has_log = fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0);
    if !is_there(file) {
        return match has_log {
            true => Err(damaged(file, "it is not there, and the -wal file that goes with it is")),
            false => Ok(false),
        };
    }
    let mut header = Vec::new();
    let read = File::open(file).and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header));
    read.map_err(|error| unusable(file, error.to_string()))?;
    if header.is_empty() {
        return Err(damaged(file, "it is empty"));
    }
    if has_log && header.ends_with(&WITHOUT_LOG) {
        return Err(damaged(file, "it is a copy, and the -wal file beside it is of another"));
    }
    Ok(has_log)
}

/// Refuses what is not whole, not ours or too new. Closing it afterwards leaves it as it was.
fn examine(file: &Path, connection: &Connection, has_log: bool) -> Result<(), TruthError> {
    let look = || {
        leave_log(connection, has_log)?;
        let is_ours = is_ours(connection)?;
        // Before anything is said of its content: what is too new may have what this SQLite does not know.
        let taken = steps::taken(connection)?;
        let fault = (is_ours && taken <= STEPS.len()).then(|| fault(connection)).transpose()?.flatten();
        Ok((is_ours, taken, fault))
    };
    let (is_ours, taken, fault) = look().map_err(|error| told(file, &error))?;
    if !is_ours {
        return Err(damaged(file, "it is a database, and none of Reelroom's"));
    }
    if taken > STEPS.len() {
        return Err(TruthError::Newer { file: file.to_owned(), found: taken, known: STEPS.len() });
    }
    if let Some(fault) = fault {
        return Err(damaged(file, fault));
    }
    match connection.is_readonly("main") {
        Ok(false) => Ok(()),
        Ok(true) => Err(unusable(file, "it may not be written")),
        Err(error) => Err(told(file, &error)),
    }
}

/// To be said before the first read. Otherwise whoever closes it last plays the log into it, and the log goes; an empty one is ours, and is
/// to go.
pub(crate) fn leave_log(connection: &Connection, has_log: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log).map(drop)
}

pub(crate) fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    Ok(id == APPLICATION_ID)
}

/// What is wrong with its pages.
pub(crate) fn fault(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// What a write means, and the steps that are still to be taken.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Result<(), String>> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Ok(Err(format!("its file system keeps no log of changes (the journal is {mode:?})")));
    }
    // What was answered is on the disk, also after a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    steps::take(connection, STEPS)?;
    Ok(Ok(()))
}

enum Made {
    File(io::Error),
    Database(rusqlite::Error),
}

impl From<io::Error> for Made {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<rusqlite::Error> for Made {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// All of it, under another name, and then its own.
fn make(file: &Path) -> Result<(), Made> {
    let new = beside(file, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        // Of a start that was killed.
        _ => create(&new)?,
    }
    let mut connection = connect(&new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // With nothing beside it that could be left.
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    steps::take(&mut connection, STEPS)?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(give_name(&new, file)?)
}
