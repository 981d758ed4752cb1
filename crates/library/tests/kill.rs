//! A program that is killed while it takes over what an older version's index knew loses nothing of it.
//!
//! The child is this test program itself, told by an environment variable to open the library.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use reelroom_library::{Library, LibraryConfig, Limits, LinkKey, StoreConfig};
use reelroom_truth::Truth;
use rusqlite::Connection;

const CHILD: &str = "REELROOM_LIBRARY_KILL_CHILD";
const TEST: &str = "a_program_killed_while_it_takes_over_an_older_index_loses_nothing";
const SEED: u64 = 0x5EED_0013;
const ROUNDS: u32 = 16;
const ROWS: usize = 2000;
/// As version 0.1 made them.
const OLDER: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE dismissed (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, size INTEGER NOT NULL, attempts INTEGER NOT NULL,
        last_error TEXT, failing_since_ms INTEGER, next_try_at_ms INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE discarded (
        key TEXT PRIMARY KEY, file BLOB NOT NULL, is_clean INTEGER NOT NULL, size INTEGER, id TEXT NOT NULL DEFAULT ''
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE multipart_uploads (
        place TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (place, id)
    ) STRICT, WITHOUT ROWID;
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2000)
        INSERT INTO dismissed SELECT 'EG_' || n FROM numbers;
    INSERT INTO outbox SELECT 'recordings/' || id, CAST(id AS BLOB), 1, 1, NULL, NULL, NULL FROM dismissed;
    INSERT INTO discarded SELECT 'recordings/gone/' || id, CAST(id AS BLOB), FALSE, 1, id FROM dismissed;
    INSERT INTO multipart_uploads SELECT 'store', id, 'recordings/' || id FROM dismissed;
";

fn open(folder: &Path) {
    let config = LibraryConfig {
        store: StoreConfig::folder(folder.join("store")),
        prefix: "recordings/".into(),
        index: folder.join("index.db"),
        truth: Truth::open(&folder.join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(60),
        limits: Limits::default(),
        backup: None,
    };
    Library::open(config).unwrap();
}

#[tokio::test]
async fn a_program_killed_while_it_takes_over_an_older_index_loses_nothing() {
    if let Some(folder) = std::env::var_os(CHILD) {
        open(Path::new(&folder));
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut random = SEED;
    let mut stopped = [0; 3];
    for round in 0..ROUNDS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = Duration::from_micros((random >> 33) % 400_000);
        let folder = tempfile::tempdir().unwrap();
        let index = folder.path().join("index.db");
        Connection::open(&index).unwrap().execute_batch(OLDER).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
        stopped[match (has_older_tables(&index), folder.path().join("truth.db").exists()) {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        }] += 1;
        open(folder.path());
        let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
        let counts = [
            truth.waiting().unwrap().len(),
            truth.discarded().unwrap().len(),
            truth.multiparts("store").await.unwrap().len(),
        ];
        assert_eq!(counts, [ROWS; 3], "round {round}, killed after {wait:?}");
        for number in 1..=ROWS {
            assert!(
                truth.is_dismissed("any", &format!("EG_{number}")).await.unwrap(),
                "round {round}: {number}"
            );
        }
        assert!(!has_older_tables(&index), "round {round}");
    }
    println!("killed before there was a truth, before it had all, and afterwards: {stopped:?}");
}

fn has_older_tables(index: &Path) -> bool {
    let known =
        "SELECT 1 FROM sqlite_master WHERE name IN ('outbox', 'discarded', 'dismissed', 'multipart_uploads')";
    Connection::open(index).unwrap().prepare(known).unwrap().exists([]).unwrap()
}
