//! How the database came to be what it is: its steps, in order. `user_version` says how many of them a file has behind it.
//!
//! # Invariants
//!
//! - A step that was released stays as it is for ever: what is to change is a new one at the end.
//! - A step and the number that says it was taken are one transaction.

use rusqlite::{Connection, TransactionBehavior};

/// Each is some SQL statements. Times are Unix milliseconds; paths are bytes.
pub(crate) const STEPS: &[&str] = &[
    // 1: what the library knows beyond the store.
    "
    CREATE TABLE waiting_uploads (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, size INTEGER NOT NULL, attempts INTEGER NOT NULL,
        last_error TEXT, failing_since_ms INTEGER, next_try_at_ms INTEGER, about BLOB
    ) STRICT;
    CREATE TABLE multipart_uploads (
        place TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (place, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE discarded_uploads (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, is_clean INTEGER NOT NULL, size INTEGER, id TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dismissed_recordings (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE recordings_alone (
        key TEXT PRIMARY KEY, is_failed INTEGER NOT NULL, about BLOB NOT NULL
    ) STRICT;
    ",
    DISMISSED_WITH_KEYS,
    // 3: who somebody is. Of secrets there are hashes alone; there is one owner, and one link at most that sets the password.
    "
    CREATE TABLE owner (
        one INTEGER PRIMARY KEY CHECK (one = 1), password TEXT NOT NULL, mark_key BLOB NOT NULL, set_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE owner_link (
        one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, secret_sha256 BLOB NOT NULL, made_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, token_sha256 BLOB NOT NULL, begun_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL,
        address TEXT, agent TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE api_keys (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, secret_sha256 BLOB NOT NULL, rights TEXT NOT NULL, made_ms INTEGER NOT NULL,
        expires_ms INTEGER, used_ms INTEGER, revoked_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    ",
    // 4: links to one recording, and who watched by them. Of secrets there are hashes alone.
    "
    CREATE TABLE shares (
        id TEXT PRIMARY KEY, recording TEXT NOT NULL, recording_id TEXT NOT NULL, name TEXT NOT NULL, secret_sha256 BLOB NOT NULL,
        password TEXT, may_download INTEGER NOT NULL, made_ms INTEGER NOT NULL, expires_ms INTEGER, revoked_ms INTEGER,
        views INTEGER NOT NULL, viewed_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE share_views (
        id TEXT PRIMARY KEY, share TEXT NOT NULL, begun_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, address TEXT,
        sent_bytes INTEGER NOT NULL, reached_bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX share_views_by_share ON share_views (share, begun_ms);
     ",
    // 5: rooms and the links into them. Of a link there is a hash, and what its secret is derived from with a key that stands elsewhere.
    "
    CREATE TABLE rooms (
        name TEXT PRIMARY KEY, guests TEXT NOT NULL, hosts TEXT NOT NULL, people INTEGER, made_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE room_links (
        id TEXT PRIMARY KEY, room TEXT NOT NULL REFERENCES rooms (name), role TEXT NOT NULL, nonce BLOB NOT NULL,
        secret_sha256 BLOB NOT NULL, made_ms INTEGER NOT NULL, expires_ms INTEGER, UNIQUE (room, role)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE closed_rooms (name TEXT PRIMARY KEY, closed_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    ",
    // 6: webhooks to others, until they are delivered, and for a while after that. An id is never used twice.
    "
    CREATE TABLE webhook_deliveries (
        id INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, place TEXT NOT NULL, subject TEXT NOT NULL, event TEXT NOT NULL,
        event_id TEXT NOT NULL, body BLOB NOT NULL, made_ms INTEGER NOT NULL, tries INTEGER NOT NULL, next_try_ms INTEGER NOT NULL,
        state TEXT NOT NULL, settled_ms INTEGER, status INTEGER, error TEXT
    ) STRICT;
    CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (receiver, state, id);
    CREATE TABLE webhooks_told (subject TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE webhooks_kept (one INTEGER PRIMARY KEY CHECK (one = 1), since_ms INTEGER NOT NULL) STRICT;
    ",
    // 7: what else is set of a room. The rooms of before have none of it.
    "
    ALTER TABLE rooms ADD COLUMN lobby INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN consent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rooms ADD COLUMN layout TEXT;
    ALTER TABLE rooms ADD COLUMN keep_days INTEGER;
    ",
    // 8: what was done to recordings and rights, and what was refused. An id is never used twice; of a refusal what is not known is empty.
    "
    CREATE TABLE audit_acts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, act TEXT NOT NULL, is_use INTEGER NOT NULL,
        outcome TEXT NOT NULL, who TEXT NOT NULL, who_id TEXT, who_name TEXT, address TEXT, on_kind TEXT, on_id TEXT, on_name TEXT,
        detail TEXT, reason TEXT
    ) STRICT;
    CREATE INDEX audit_acts_by_use ON audit_acts (is_use, id);
    CREATE TABLE audit_refusals (
        id INTEGER PRIMARY KEY AUTOINCREMENT, act TEXT NOT NULL, who TEXT NOT NULL, who_id TEXT NOT NULL, address TEXT NOT NULL,
        route TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX audit_refusals_by_kind ON audit_refusals (act, who, who_id, address, route, reason, last_ms);
    CREATE INDEX audit_refusals_by_time ON audit_refusals (last_ms, id);
    ",
    // 9: which recordings are a room's, so that those that are to be kept for a time are known, and the clock by which that is counted.
    "
    ALTER TABLE rooms ADD COLUMN keep_since_ms INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE room_recordings (
        name TEXT NOT NULL, id TEXT NOT NULL, room TEXT NOT NULL, ended_ms INTEGER NOT NULL, kept_ms INTEGER,
        let_go_ms INTEGER NOT NULL, again_ms INTEGER NOT NULL, PRIMARY KEY (name, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX room_recordings_by_end ON room_recordings (room, ended_ms, name);
    CREATE TABLE retention_clock (
        one INTEGER PRIMARY KEY CHECK (one = 1), seen_ms INTEGER NOT NULL, doubted_ms INTEGER
    ) STRICT;
    ",
];

/// 2: what was deleted is known by its id and its place. Of what stands there from before the place is not known: it is empty.
pub(crate) const DISMISSED_WITH_KEYS: &str = "
    ALTER TABLE dismissed_recordings RENAME TO dismissed_by_id;
    CREATE TABLE dismissed_recordings (
        id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (id, key)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO dismissed_recordings (id, key) SELECT id, '' FROM dismissed_by_id;
    DROP TABLE dismissed_by_id;
    ";

/// How many steps a file has behind it.
pub(crate) fn taken(connection: &Connection) -> rusqlite::Result<usize> {
    let taken: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // What no version writes is as good as one that none of ours knows.
    Ok(usize::try_from(taken).unwrap_or(usize::MAX))
}

/// Takes those of `steps` that are still to be taken.
pub(crate) fn take(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    for (number, step) in (1..).zip(steps).skip(taken(connection)?) {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch(step)?;
        change.pragma_update(None, "user_version", number)?;
        change.commit()?;
    }
    Ok(())
}
