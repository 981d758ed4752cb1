use rusqlite::params;

use super::*;

/// As version 0.1 made them.
pub(crate) const OLDER_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS dismissed (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, size INTEGER NOT NULL, attempts INTEGER NOT NULL,
        last_error TEXT, failing_since_ms INTEGER, next_try_at_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS discarded (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, is_clean INTEGER NOT NULL, size INTEGER, id TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS multipart_uploads (
        place TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (place, id)
    ) STRICT, WITHOUT ROWID;
";
const OLDER_RECORDINGS: &str = "
    CREATE TABLE recordings (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, room_name TEXT NOT NULL, room_id TEXT NOT NULL,
        started_at_ms INTEGER NOT NULL, status TEXT NOT NULL, duration_ms INTEGER NOT NULL, size INTEGER NOT NULL,
        progress REAL, error TEXT, recovered INTEGER NOT NULL, lost_ms INTEGER NOT NULL, sha256 TEXT,
        room_key TEXT NOT NULL, search TEXT NOT NULL,
        source TEXT NOT NULL, generation INTEGER NOT NULL, in_backup INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 3;
";

struct House {
    folder: tempfile::TempDir,
}

impl House {
    /// With rows in each table.
    fn new() -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap() };
        let db = house.db();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        db.execute_batch(OLDER_TABLES).unwrap();
        db.execute_batch(OLDER_RECORDINGS).unwrap();
        let rows = "
            INSERT INTO outbox VALUES ('recordings/a.mp4', x'2fff61', 5, 3, 'refused', 10, 20);
            INSERT INTO discarded VALUES ('recordings/b.mp4', x'2f62', FALSE, 6, 'EG_b');
            INSERT INTO discarded VALUES ('recordings/c.mp4', x'2f63', TRUE, NULL, '');
            INSERT INTO multipart_uploads VALUES ('backup', 'part', 'recordings/a.mp4');";
        db.execute_batch(rows).unwrap();
        for number in 0..1000 {
            db.execute("INSERT INTO dismissed VALUES (?1)", params![format!("EG_{number}")]).unwrap();
        }
        for (name, id, status, source, in_backup) in [
            ("a.mp4", "EG_a", "complete", "", false),
            ("alone.mp4", "EG_alone", "complete", "tag", false),
            ("bare.mp4", "bare.mp4", "complete", "tag", false),
            ("described.mp4", "EG_d", "complete", "tag\ndescribed.mp4.json tag", false),
            ("kept.mp4", "EG_k", "complete", "tag", true),
            ("failed.mp4", "EG_f", "failed", "", false),
            ("noted.mp4", "EG_n", "failed", "tag", false),
            ("running.mp4", "EG_r", "recording", "", false),
        ] {
            let sql = "INSERT INTO recordings VALUES (?1, ?2, 'room', 'RM_1', 1000, ?3, 2000, 7, NULL, 'why', 0, 0, NULL, 'room', '', ?4, 1, ?5)";
            db.execute(sql, params![name, id, status, source, in_backup]).unwrap();
        }
        house
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index.db")
    }

    fn db(&self) -> Connection {
        Connection::open(self.index()).unwrap()
    }

    fn truth(&self) -> Truth {
        Truth::open(&self.folder.path().join("truth.db")).unwrap()
    }

    fn tables(&self) -> Vec<String> {
        let db = self.db();
        let mut all =
            db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        all.query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
    }

    async fn has_lost_nothing(&self) {
        let truth = self.truth();
        let waiting = truth.waiting().unwrap();
        let one = &waiting[0];
        assert_eq!((waiting.len(), one.key.as_str(), one.size, one.attempts), (1, "recordings/a.mp4", 5, 3));
        assert_eq!(one.file, PathBuf::from(OsString::from_vec(b"/\xffa".to_vec())));
        assert_eq!(one.last_error.as_deref(), Some("refused"));
        assert_eq!((one.failing_since_ms, one.next_try_at_ms), (Some(10), Some(20)));
        let about = Sidecar::parse(one.about.as_ref().unwrap()).unwrap().to_recording("a.mp4");
        assert_eq!((about.id.as_str(), about.duration_ms, about.size), ("EG_a", Some(2000), Some(7)));
        let gone = truth.discarded().unwrap();
        let seen: Vec<_> =
            gone.iter().map(|gone| (gone.key.as_str(), gone.is_clean, gone.size, gone.id.as_str())).collect();
        assert_eq!(
            seen,
            [("recordings/b.mp4", false, Some(6), "EG_b"), ("recordings/c.mp4", true, None, "")]
        );
        let parts = truth.multiparts("backup").await.unwrap();
        assert_eq!(
            (parts.len(), parts[0].key.as_str(), parts[0].id.as_str()),
            (1, "recordings/a.mp4", "part")
        );
        for number in [0, 500, 999] {
            assert!(truth.is_dismissed("any", &format!("EG_{number}")).await.unwrap());
        }
        let mut alone = truth.all_alone().await.unwrap();
        alone.sort();
        let known = |name: &str, is_failed| (format!("recordings/{name}"), is_failed);
        assert_eq!(alone, [known("alone.mp4", false), known("failed.mp4", true)]);
        let failed = Sidecar::parse(&truth.failed_alone().unwrap()[0].about).unwrap();
        assert_eq!((failed.egress_id.as_str(), failed.error.as_deref()), ("EG_f", Some("why")));
    }
}

#[tokio::test]
async fn nothing_is_lost_wherever_it_is_stopped() {
    for stopped_after in 0..4 {
        let house = House::new();
        let index = house.index();
        if stopped_after > 0 {
            let found = read(&index, "recordings/").unwrap().unwrap();
            assert!(!found.is_damaged);
            if stopped_after > 1 {
                house.truth().take_over(&found.older).unwrap();
            }
            if stopped_after > 2 {
                drop_tables(&index).unwrap();
            }
        }
        for _ in 0..2 {
            take_over(&index, &house.truth(), "recordings/").unwrap();
            house.has_lost_nothing().await;
            assert_eq!(house.tables(), ["recordings"], "what the store tells again needs not be read again");
        }
    }
}

#[tokio::test]
async fn what_the_truth_does_not_take_stays_where_it_was() {
    let house = House::new();
    let (truth, before) = (house.truth(), house.tables());
    // Somebody else writes to the truth, and does not end.
    let other = Connection::open(house.folder.path().join("truth.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = take_over(&house.index(), &truth, "recordings/").unwrap_err();
    assert!(matches!(error, LibraryError::Truth(_)), "{error}");
    assert_eq!(house.tables(), before);
    drop(other);
    take_over(&house.index(), &truth, "recordings/").unwrap();
    house.has_lost_nothing().await;
}

#[tokio::test]
async fn an_index_that_never_was_an_older_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (index, truth) = (folder.path().join("index.db"), folder.path().join("truth.db"));
    let truth = Truth::open(&truth).unwrap();
    take_over(&index, &truth, "").unwrap();
    assert!(!index.exists());
    for content in [Vec::new(), vec![7; 10_000]] {
        std::fs::write(&index, &content).unwrap();
        take_over(&index, &truth, "").unwrap();
        assert_eq!(std::fs::read(&index).unwrap(), content, "whoever opens it says what becomes of it");
    }
}

#[tokio::test]
async fn a_table_without_its_later_columns_is_taken_over_too() {
    let folder = tempfile::tempdir().unwrap();
    let index = folder.path().join("index.db");
    let narrow = "
        CREATE TABLE recordings (name TEXT PRIMARY KEY); PRAGMA user_version = 2;
        CREATE TABLE discarded (key TEXT PRIMARY KEY, file BLOB NOT NULL, is_clean INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        INSERT INTO discarded VALUES ('recordings/b.mp4', x'2f62', FALSE);";
    Connection::open(&index).unwrap().execute_batch(narrow).unwrap();
    let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
    take_over(&index, &truth, "recordings/").unwrap();
    let gone = truth.discarded().unwrap();
    assert_eq!((gone.len(), gone[0].size, gone[0].id.as_str()), (1, None, ""));
    assert!(index.exists());
}

#[tokio::test]
async fn of_a_damaged_index_all_is_taken_over_that_can_be_read() {
    let house = House::new();
    {
        let db = house.db();
        db.pragma_update(None, "journal_mode", "DELETE").unwrap();
        let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'dismissed'";
        let page = db.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
        drop(db);
        let mut bytes = std::fs::read(house.index()).unwrap();
        bytes[(page - 1) * 4096..page * 4096].fill(0xa5);
        std::fs::write(house.index(), bytes).unwrap();
    }
    let truth = house.truth();
    take_over(&house.index(), &truth, "recordings/").unwrap();
    assert!(!house.index().exists(), "it is made again from the store");
    assert_eq!((truth.waiting().unwrap().len(), truth.discarded().unwrap().len()), (1, 2));
    assert_eq!(truth.multiparts("backup").await.unwrap().len(), 1);
}
