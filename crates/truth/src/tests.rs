use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rusqlite::Connection;

use super::*;
use crate::files::beside;
use crate::steps::{DISMISSED_WITH_KEYS, STEPS};

struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("truth.db")
    }

    fn open(&self) -> Result<Truth, TruthError> {
        Truth::open(&self.file())
    }

    /// Name and content of every file.
    fn all(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut all: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            // An index of the log, which whoever opens it may make anew.
            .filter(|(name, _)| !name.ends_with("-shm"))
            .collect();
        all.sort();
        all
    }

    /// Refused, and left as it was.
    fn refusal(&self) -> String {
        let before = self.all();
        let error = self.open().map(drop).unwrap_err().to_string();
        assert!(self.all() == before, "{error}: a file was changed");
        error
    }
}

fn waiting(key: &str) -> Waiting {
    Waiting {
        key: key.into(),
        file: "/data/composed/a.mp4".into(),
        size: 5,
        attempts: 1,
        ..Waiting::default()
    }
}

#[tokio::test]
async fn what_was_written_is_there_again_and_nobody_else_reads_it() {
    let house = House::new();
    let truth = house.open().unwrap();
    let full = Waiting {
        last_error: Some("refused".into()),
        failing_since_ms: Some(1),
        next_try_at_ms: Some(2),
        about: Some(vec![7; 9]),
        ..waiting("a")
    };
    truth.keep_waiting(full.clone()).await.unwrap();
    truth.keep_waiting(waiting("b")).await.unwrap();
    truth.discard("b", &waiting("b").file, Some(5), "EG_b").await.unwrap();
    truth.add_multipart("store", "c", "id").await.unwrap();
    truth.dismiss("d", "EG_d").await.unwrap();
    let alone = |key: &str, is_failed| Alone { key: key.into(), is_failed, about: key.into() };
    truth.keep_alone(alone("e", false)).await.unwrap();
    truth.keep_alone(alone("f", true)).await.unwrap();
    for name in ["truth.db", "truth.db-wal", "truth.db-shm"] {
        assert_eq!(fs::metadata(house.path(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    drop(truth);

    let truth = house.open().unwrap();
    assert_eq!(truth.waiting().unwrap(), [full]);
    let gone = truth.discarded().unwrap();
    assert_eq!((gone[0].key.as_str(), gone[0].id.as_str(), gone[0].is_clean), ("b", "EG_b", false));
    assert!(truth.is_discarded("b", &gone[0].file).await.unwrap());
    assert_eq!(truth.multiparts("store").await.unwrap().len(), 1);
    assert!(truth.multiparts("backup").await.unwrap().is_empty());
    assert!(
        truth.is_dismissed("d", "EG_d").await.unwrap() && !truth.is_dismissed("d", "EG_e").await.unwrap()
    );
    assert_eq!(truth.alone("e").await.unwrap().as_deref(), Some(&b"e"[..]));
    assert_eq!(truth.alone("f").await.unwrap(), None, "there is no file of it");
    assert_eq!(truth.failed_alone().unwrap(), [alone("f", true)]);

    truth.stored("a", Some(b"alone".to_vec())).await.unwrap();
    assert!(truth.waiting().unwrap().is_empty());
    truth.stored("a", None).await.unwrap();
    assert_eq!(truth.alone("a").await.unwrap(), None);
    truth.discarded_is_clean("b").await.unwrap();
    assert!(truth.unclean().await.unwrap().is_empty());
    truth.forget_discarded_without(|_| true).unwrap();
    assert_eq!(truth.discarded().unwrap().len(), 1);
    truth.forget_discarded_without(|_| false).unwrap();
    assert!(truth.discarded().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_answered_is_synced_and_what_cannot_be_written_changes_nothing() {
    let house = House::new();
    let truth = house.open().unwrap();
    truth.keep_waiting(waiting("a")).await.unwrap();
    let pragma = |name: &str| -> i64 {
        let writer = truth.connections.writer.lock().unwrap();
        writer.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    };
    assert_eq!((pragma("synchronous"), pragma("foreign_keys")), (2, 1));
    // As on a full disk.
    let pages = pragma("page_count");
    let set = |most: i64| {
        let writer = truth.connections.writer.lock().unwrap();
        writer.pragma_update_and_check(None, "max_page_count", most, |row| row.get::<_, i64>(0)).unwrap();
    };
    set(pages);
    let large = Waiting { about: Some(vec![1; 100_000]), ..waiting("b") };
    let error = truth.keep_waiting(large.clone()).await.unwrap_err();
    assert!(matches!(&error, TruthError::Failed(reason) if reason.contains("full")), "{error}");
    let older = Older { dismissed: vec!["EG_1".into()], waiting: vec![large.clone()], ..Older::default() };
    assert!(truth.take_over(&older).is_err());
    assert_eq!(truth.waiting().unwrap(), [waiting("a")]);
    set(pages + 1000);
    truth.keep_waiting(large).await.unwrap();
    assert_eq!(truth.waiting().unwrap().len(), 2);
    assert!(!truth.is_dismissed("any", "EG_1").await.unwrap());
}

#[tokio::test]
async fn taking_over_what_was_taken_over_changes_nothing() {
    let house = House::new();
    let truth = house.open().unwrap();
    let gone =
        Discarded { key: "b".into(), file: "/b".into(), is_clean: true, size: None, id: String::new() };
    let older = Older {
        waiting: vec![waiting("a")],
        discarded: vec![gone],
        dismissed: vec!["EG_1".into()],
        multiparts: vec![Multipart { place: "store".into(), key: "c".into(), id: "id".into() }],
        alone: vec![Alone { key: "d".into(), is_failed: true, about: vec![1] }],
    };
    for _ in 0..2 {
        truth.take_over(&older).unwrap();
        assert_eq!(truth.waiting().unwrap(), older.waiting);
        assert_eq!(truth.discarded().unwrap(), older.discarded);
        assert_eq!(truth.multiparts("store").await.unwrap(), older.multiparts);
        assert_eq!(truth.failed_alone().unwrap(), older.alone);
        assert!(truth.is_dismissed("any", "EG_1").await.unwrap());
    }
}

#[tokio::test]
async fn a_recording_is_dismissed_where_it_stood_and_no_other_of_its_id_is_thrown_away() {
    let house = House::new();
    let before = STEPS.iter().position(|step| *step == DISMISSED_WITH_KEYS).unwrap();
    let mut older = Connection::open(house.file()).unwrap();
    older.pragma_update(None, "application_id", crate::open::APPLICATION_ID).unwrap();
    steps::take(&mut older, &STEPS[..before]).unwrap();
    older.execute("INSERT INTO dismissed_recordings (id) VALUES ('EG_older')", []).unwrap();
    drop(older);

    let truth = house.open().unwrap();
    assert!(truth.is_dismissed("a", "EG_older").await.unwrap(), "what is told of it is not believed");
    assert!(!truth.is_dismissed_at("a", "EG_older").await.unwrap(), "where it stood is not known");
    truth.dismiss("a", "EG_1").await.unwrap();
    for (key, id, is_it) in [("a", "EG_1", true), ("b", "EG_1", false), ("a", "EG_2", false)] {
        assert_eq!(truth.is_dismissed(key, id).await.unwrap(), is_it, "{key} {id}");
        assert_eq!(truth.is_dismissed_at(key, id).await.unwrap(), is_it, "{key} {id}");
    }
    assert!(!truth.begin_to_dismiss("a", "EG_1").await.unwrap(), "it is already");
    assert!(truth.begin_to_dismiss("b", "EG_1").await.unwrap());
    truth.forget_dismissed("b", "EG_1").await.unwrap();
    assert!(
        !truth.is_dismissed("b", "EG_1").await.unwrap() && truth.is_dismissed("a", "EG_1").await.unwrap()
    );
}

#[tokio::test]
async fn what_was_discarded_is_known_wherever_its_folder_is_said_to_be() {
    let house = House::new();
    let truth = house.open().unwrap();
    truth.discard("a", Path::new("/data/composed/EG_1.mp4"), None, "EG_1").await.unwrap();
    for (key, file, is_it) in [
        ("a", "/data/../data/composed/EG_1.mp4", true),
        ("a", "composed/EG_1.mp4", true),
        ("a", "/data/composed/EG_2.mp4", false),
        ("b", "/data/composed/EG_1.mp4", false),
        ("a", "/", false),
    ] {
        assert_eq!(truth.is_discarded(key, Path::new(file)).await.unwrap(), is_it, "{key} {file}");
    }
}

#[test]
fn steps_are_taken_one_after_the_other_each_wholly_or_not_at_all() {
    let mut db = Connection::open_in_memory().unwrap();
    let two =
        ["CREATE TABLE a (x INTEGER) STRICT;", "INSERT INTO a VALUES (1); ALTER TABLE a ADD COLUMN y TEXT;"];
    steps::take(&mut db, &two[..1]).unwrap();
    assert_eq!(steps::taken(&db).unwrap(), 1);
    let broken = [two[0], "INSERT INTO a VALUES (1); INSERT INTO nowhere VALUES (1);"];
    assert!(steps::take(&mut db, &broken).is_err());
    let count =
        |db: &Connection| db.query_row("SELECT count(*) FROM a", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((steps::taken(&db).unwrap(), count(&db)), (1, 0));
    for _ in 0..2 {
        steps::take(&mut db, &two).unwrap();
        assert_eq!((steps::taken(&db).unwrap(), count(&db)), (2, 1));
    }
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let house = House::new();
    drop(house.open().unwrap());
    let newer = Connection::open(house.file()).unwrap();
    newer.execute_batch("CREATE TABLE of_later (id TEXT); INSERT INTO of_later VALUES ('a');").unwrap();
    newer.pragma_update(None, "user_version", STEPS.len() as i64 + 1).unwrap();
    // With its log, as a killed program leaves it.
    newer.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    drop(newer);
    assert!(fs::metadata(house.path("truth.db-wal")).unwrap().len() > 0);
    for _ in 0..2 {
        let refusal = house.refusal();
        assert!(refusal.contains("newer version") && refusal.contains("start that version"), "{refusal}");
    }
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let house = House::new();
    let whole = {
        let truth = house.open().unwrap();
        let older =
            Older { dismissed: (0..2000).map(|number| format!("EG_{number}")).collect(), ..Older::default() };
        truth.take_over(&older).unwrap();
        drop(truth);
        fs::read(house.file()).unwrap()
    };
    let pages = whole.len() / 4096;
    assert!(pages > 10);
    let mut torn = whole.clone();
    torn[5 * 4096..(pages - 1) * 4096].fill(0xa5);
    let not_ours = {
        let file = house.path("other.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE a (x INTEGER);").unwrap();
        fs::read(file).unwrap()
    };
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("no database", vec![7; 10_000]),
        ("cut in the header", whole[..50].to_vec()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("torn", torn),
        ("another program's", not_ours),
    ] {
        fs::write(house.file(), bytes).unwrap();
        for _ in 0..2 {
            let refusal = house.refusal();
            assert!(refusal.contains("truth.db is damaged and was left as it is"), "{what}: {refusal}");
            assert!(
                refusal.contains("reelroom backup") && refusal.contains("move it aside"),
                "{what}: {refusal}"
            );
        }
    }
    fs::write(house.file(), whole).unwrap();
    assert!(house.open().is_ok());
}

#[test]
fn a_log_is_played_into_no_other_database() {
    let house = House::new();
    let truth = house.open().unwrap();
    backup(&house.file(), &house.path("copy.db")).unwrap();
    truth.take_over(&Older { dismissed: vec!["EG_1".into()], ..Older::default() }).unwrap();
    let log = fs::read(house.path("truth.db-wal")).unwrap();
    drop(truth);
    // The copy takes the place of a database whose program was killed.
    fs::rename(house.path("copy.db"), house.file()).unwrap();
    fs::write(house.path("truth.db-wal"), &log).unwrap();
    assert!(house.refusal().contains("the -wal file beside it is of another"));
    fs::remove_file(house.file()).unwrap();
    assert!(house.refusal().contains("it is not there"));
    fs::write(house.file(), "").unwrap();
    assert!(house.refusal().contains("it is empty"));
    fs::remove_file(house.file()).unwrap();
    fs::remove_file(house.path("truth.db-wal")).unwrap();
    assert!(house.open().is_ok(), "who moves all of it aside begins anew");
}

#[test]
fn what_cannot_be_opened_is_told_and_what_a_killed_start_left_is_no_hindrance() {
    let house = House::new();
    fs::write(house.path("truth.db.new"), "half of it").unwrap();
    drop(house.open().unwrap());
    assert_eq!(house.all().len(), 1, "{:?}", house.all().iter().map(|(name, _)| name).collect::<Vec<_>>());
    let error = Truth::open(&house.path("nowhere/truth.db")).map(drop).unwrap_err();
    assert!(matches!(error, TruthError::Unusable { .. }), "{error}");
    fs::create_dir(house.path("folder")).unwrap();
    let error = Truth::open(&house.path("folder")).map(drop).unwrap_err();
    assert!(matches!(error, TruthError::Unusable { .. }), "{error}");
    // A copy that was put in its place is closed to others too.
    fs::set_permissions(house.file(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(house.open().unwrap());
    assert_eq!(fs::metadata(house.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_copy_has_all_that_was_answered_and_takes_the_databases_place() {
    let house = House::new();
    let copy = house.path("copy.db");
    assert!(matches!(backup(&house.file(), &copy), Err(TruthError::Missing(_))));
    let truth = house.open().unwrap();
    truth.keep_waiting(waiting("a")).await.unwrap();
    backup(&house.file(), &copy).unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    truth.forget_waiting("a").await.unwrap();
    drop(truth);

    fs::rename(&copy, house.file()).unwrap();
    assert_eq!(house.open().unwrap().waiting().unwrap(), [waiting("a")]);
}

#[test]
fn a_copy_of_a_database_beside_a_log_leaves_both_as_they_are() {
    let house = House::new();
    let copy = house.path("copy.db");
    let truth = house.open().unwrap();
    let without = house.path("without.db");
    backup(&house.file(), &without).unwrap();
    truth.take_over(&Older { dismissed: vec!["EG_1".into()], ..Older::default() }).unwrap();
    let (whole, log) = (fs::read(house.file()).unwrap(), fs::read(house.path("truth.db-wal")).unwrap());
    drop(truth);
    let put = |database: &[u8]| {
        fs::write(house.file(), database).unwrap();
        fs::write(house.path("truth.db-wal"), &log).unwrap();
        let _ = fs::remove_file(house.path("truth.db-shm"));
        house.all()
    };
    // Another's log beside a copy, and beside nothing at all.
    for (database, why) in [(fs::read(&without).unwrap(), "is of another"), (Vec::new(), "it is empty")] {
        let before = put(&database);
        let error = backup(&house.file(), &copy).unwrap_err();
        assert!(matches!(&error, TruthError::Damaged { reason, .. } if reason.contains(why)), "{error}");
        assert!(house.all() == before, "{why}: a file was changed");
    }
    // Its own, as a killed program leaves it: what stands in it is copied.
    let before = put(&whole);
    backup(&house.file(), &copy).unwrap();
    let copied = fs::read(&copy).unwrap();
    fs::remove_file(&copy).unwrap();
    assert!(house.all() == before, "a file was changed");
    fs::write(&copy, copied).unwrap();
    let count = |file: &Path| -> i64 {
        let sql = "SELECT count(*) FROM dismissed_recordings";
        Connection::open(file).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count(&without), count(&copy)), (0, 1));
}

#[tokio::test]
async fn a_copy_replaces_nothing_and_one_that_fails_leaves_nothing() {
    let house = House::new();
    let truth = house.open().unwrap();
    truth.keep_waiting(waiting("a")).await.unwrap();
    let copy = house.path("copy.db");
    fs::write(&copy, "somebody's").unwrap();
    let before = house.all();
    let error = backup(&house.file(), &copy).unwrap_err();
    assert!(matches!(error, TruthError::Exists(_)), "{error}");
    assert!(matches!(backup(&house.file(), &house.file()), Err(TruthError::Exists(_))));
    let error = backup(&house.file(), &house.path("nowhere/copy.db")).unwrap_err();
    assert!(matches!(error, TruthError::NotCopied { .. }), "{error}");
    let error = backup(&copy, &house.path("copy of a copy.db")).unwrap_err();
    assert!(matches!(error, TruthError::Damaged { .. }), "{error}");
    assert!(house.all() == before);
    drop(truth);

    let mut torn = fs::read(house.file()).unwrap();
    let from = 4096;
    torn[from..].fill(0xa5);
    fs::write(house.file(), torn).unwrap();
    assert!(!beside(&house.file(), "-wal").exists());
    let error = backup(&house.file(), &house.path("copy of a torn one.db")).unwrap_err();
    assert!(matches!(error, TruthError::Damaged { .. }), "{error}");
    assert!(!house.path("copy of a torn one.db").exists());
    assert_eq!(house.all().len(), 2);
}

fn session(id: &str) -> Session {
    Session {
        id: id.into(),
        token_sha256: [1; 32],
        begun_ms: 1,
        seen_ms: 2,
        address: Some("192.0.2.1".into()),
        agent: "a browser".into(),
    }
}

fn owner(password: &str) -> Owner {
    Owner { password: password.into(), mark_key: [2; 32], set_ms: 3 }
}

fn owner_link(id: &str) -> OwnerLink {
    OwnerLink { id: id.into(), secret_sha256: [3; 32], made_ms: 1, expires_ms: 2 }
}

fn ids(truth: &Truth) -> Vec<String> {
    truth.sessions().unwrap().into_iter().map(|session| session.id).collect()
}

#[test]
fn who_somebody_is_is_there_again() {
    let house = House::new();
    let truth = house.open().unwrap();
    assert!(truth.owner().unwrap().is_none() && truth.owner_link().unwrap().is_none());
    truth.put_owner_link(&owner_link("LK_1")).unwrap();
    let by = SetBy::Link("LK_1");
    assert!(truth.set_password(NewPassword { owner: &owner("a"), by, session: &session("SE_1") }).unwrap());
    let key = ApiKey {
        id: "rr_1".into(),
        name: "a program".into(),
        secret_sha256: [4; 32],
        rights: vec!["list".into(), "play".into()],
        made_ms: 1,
        expires_ms: Some(9),
        used_ms: None,
        revoked_ms: None,
    };
    truth.add_api_key(&key, None).unwrap();
    truth.put_owner_link(&owner_link("LK_2")).unwrap();
    let happened = Happened {
        seen: vec![("SE_1".into(), 7), ("SE_nobody".into(), 7)],
        used: vec![("rr_1".into(), 8), ("rr_nobody".into(), 8)],
        ..Happened::default()
    };
    truth.keep_happened(&happened).unwrap();
    drop(truth);

    let truth = house.open().unwrap();
    let kept = truth.owner().unwrap().unwrap();
    assert_eq!((kept.password.as_str(), kept.mark_key, kept.set_ms), ("a", [2; 32], 3));
    let link = truth.owner_link().unwrap().unwrap();
    assert_eq!(
        (link.id.as_str(), link.secret_sha256, link.made_ms, link.expires_ms),
        ("LK_2", [3; 32], 1, 2)
    );
    let sessions = truth.sessions().unwrap();
    let [kept] = sessions.as_slice() else { panic!("there is one session") };
    assert_eq!((kept.id.as_str(), kept.token_sha256, kept.begun_ms, kept.seen_ms), ("SE_1", [1; 32], 1, 7));
    assert_eq!((kept.address.as_deref(), kept.agent.as_str()), (Some("192.0.2.1"), "a browser"));
    let keys = truth.api_keys().unwrap();
    let [kept] = keys.as_slice() else { panic!("there is one key") };
    assert_eq!(
        (&kept.id, &kept.name, kept.secret_sha256, &kept.rights),
        (&key.id, &key.name, [4; 32], &key.rights)
    );
    assert_eq!((kept.made_ms, kept.expires_ms, kept.used_ms, kept.revoked_ms), (1, Some(9), Some(8), None));
}

#[test]
fn a_password_is_set_by_the_link_that_is_there_and_ends_all_sessions() {
    let house = House::new();
    let truth = house.open().unwrap();
    let set = |by, password, id| {
        truth.set_password(NewPassword { owner: &owner(password), by, session: &session(id) }).unwrap()
    };
    assert!(!set(SetBy::Link("LK_1"), "a", "SE_1"));
    assert!(truth.owner().unwrap().is_none() && ids(&truth).is_empty());
    truth.put_owner_link(&owner_link("LK_1")).unwrap();
    truth.put_owner_link(&owner_link("LK_2")).unwrap();
    assert!(!set(SetBy::Link("LK_1"), "a", "SE_1"), "a newer one took its place");
    assert!(set(SetBy::Link("LK_2"), "b", "SE_2") && !set(SetBy::Link("LK_2"), "c", "SE_3"));
    assert_eq!((truth.owner().unwrap().unwrap().password.as_str(), ids(&truth)), ("b", vec!["SE_2".into()]));

    truth.put_owner_link(&owner_link("LK_3")).unwrap();
    assert!(set(SetBy::Password, "d", "SE_4"));
    assert!(truth.owner_link().unwrap().is_none());
    assert_eq!((truth.owner().unwrap().unwrap().password.as_str(), ids(&truth)), ("d", vec!["SE_4".into()]));
}

#[test]
fn what_ended_or_was_revoked_does_not_come_back_with_what_was_seen_before() {
    let house = House::new();
    let truth = house.open().unwrap();
    for id in ["SE_1", "SE_2"] {
        truth.begin_session(Begin { session: &session(id), instead_of: None, password: None }).unwrap();
    }
    let begin = Begin { session: &session("SE_3"), instead_of: Some("SE_1"), password: Some("nobody's") };
    truth.begin_session(begin).unwrap();
    assert_eq!(ids(&truth), ["SE_2", "SE_3"]);
    assert!(truth.owner().unwrap().is_none(), "a session alone makes no owner");
    let happened = Happened {
        ended: vec!["SE_2".into()],
        seen: vec![("SE_1".into(), 9), ("SE_2".into(), 9), ("SE_3".into(), 1)],
        ..Happened::default()
    };
    truth.keep_happened(&happened).unwrap();
    let left = truth.sessions().unwrap();
    assert_eq!(
        left.iter().map(|session| (session.id.as_str(), session.seen_ms)).collect::<Vec<_>>(),
        [("SE_3", 2)]
    );

    let key = |id: &str| ApiKey {
        id: id.into(),
        name: String::new(),
        secret_sha256: [4; 32],
        rights: Vec::new(),
        made_ms: 1,
        expires_ms: None,
        used_ms: None,
        revoked_ms: None,
    };
    truth.add_api_key(&key("rr_1"), None).unwrap();
    for at_ms in [5, 6] {
        let revoked = vec![("rr_1".into(), at_ms)];
        truth.keep_happened(&Happened { revoked, ..Happened::default() }).unwrap();
        assert_eq!(truth.api_keys().unwrap()[0].revoked_ms, Some(5));
    }
    assert!(truth.add_api_key(&key("rr_1"), None).is_err(), "no key takes another one's name");
    truth.add_api_key(&key("rr_2"), Some("rr_1")).unwrap();
    assert_eq!(truth.api_keys().unwrap().iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["rr_2"]);
}

/// As version 0.1 began it, when nobody had to sign in.
const WITHOUT_ACCOUNTS: &str = "
    PRAGMA application_id = 1382376812;
    PRAGMA journal_mode = WAL;
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
    PRAGMA user_version = 1;
    INSERT INTO waiting_uploads VALUES ('a', CAST('/data/composed/a.mp4' AS BLOB), 5, 1, NULL, NULL, NULL, NULL);
    INSERT INTO multipart_uploads VALUES ('store', 'id', 'c');
    INSERT INTO discarded_uploads VALUES ('b', CAST('/b' AS BLOB), 1, NULL, 'EG_b');
    INSERT INTO dismissed_recordings VALUES ('EG_d');
    INSERT INTO recordings_alone VALUES ('e', 1, CAST('e' AS BLOB));
";

#[tokio::test]
async fn a_database_from_before_there_were_accounts_opens_and_loses_nothing() {
    let house = House::new();
    let older = Connection::open(house.file()).unwrap();
    older.execute_batch(WITHOUT_ACCOUNTS).unwrap();
    // With its log, as a killed program leaves it.
    older.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
    drop(older);
    assert!(fs::metadata(house.path("truth.db-wal")).unwrap().len() > 0);
    for _ in 0..2 {
        let truth = house.open().unwrap();
        assert_eq!(truth.waiting().unwrap(), [waiting("a")]);
        assert_eq!(truth.multiparts("store").await.unwrap().len(), 1);
        assert_eq!(truth.discarded().unwrap()[0].id, "EG_b");
        assert!(truth.is_dismissed("d", "EG_d").await.unwrap());
        assert_eq!(truth.failed_alone().unwrap().len(), 1);
        assert!(truth.owner().unwrap().is_none() && truth.owner_link().unwrap().is_none());
        assert!(ids(&truth).is_empty() && truth.api_keys().unwrap().is_empty());
    }
    let truth = house.open().unwrap();
    truth.put_owner_link(&owner_link("LK_1")).unwrap();
    assert!(truth.owner_link().unwrap().is_some());
}

#[test]
fn a_database_that_an_older_version_may_be_using_is_left_at_its_step() {
    let house = House::new();
    assert!(matches!(Truth::open_as_it_is(&house.file()), Err(TruthError::Missing(_))));
    drop(house.open().unwrap());
    assert!(Truth::open_as_it_is(&house.file()).is_ok());
    let older = Connection::open(house.file()).unwrap();
    older.pragma_update(None, "user_version", STEPS.len() as i64 - 1).unwrap();
    let before = house.all();
    let refusal = Truth::open_as_it_is(&house.file()).map(drop).unwrap_err();
    assert!(matches!(refusal, TruthError::Older { .. }), "{refusal}");
    assert!(house.all() == before, "a file was changed");
}

fn delivery(receiver: &str, subject: &str) -> NewDelivery {
    NewDelivery {
        receiver: receiver.into(),
        place: "https://a.example".into(),
        subject: subject.into(),
        event: "egress_ended".into(),
        event_id: "EV_1".into(),
        body: b"body".to_vec(),
    }
}

fn settled(state: DeliveryState, tries: u32) -> Settled {
    Settled { state, at_ms: 9, tries, next_try_ms: 7, status: Some(503), error: Some("busy".into()) }
}

#[test]
fn what_others_are_told_waits_over_restarts_and_what_is_over_is_kept_for_a_while() {
    let house = House::new();
    let truth = house.open().unwrap();
    assert_eq!((truth.webhooks_kept_since(5).unwrap(), truth.webhooks_kept_since(6).unwrap()), (5, 5));
    let new = [delivery("a", "EG_1"), delivery("b", "EG_1"), delivery("a", "EG_2")];
    let added = truth.add_deliveries(&new, &["EG_1".into()], 3, 0).unwrap();
    assert!(truth.is_told("EG_1").unwrap() && !truth.is_told("EG_2").unwrap());
    let id = added[0].id;
    truth.settle_delivery(id, &settled(DeliveryState::Waiting, 1), 1).unwrap();
    drop(truth);

    let truth = house.open().unwrap();
    let waiting = truth.waiting_deliveries().unwrap();
    assert_eq!((waiting[0].tries, waiting[0].next_try_ms, waiting[0].bytes), (1, 7, 4));
    assert_eq!(waiting[1..], added[1..]);
    assert_eq!(truth.delivery_body(id).unwrap().as_deref(), Some(&b"body"[..]));
    truth.settle_delivery(id, &settled(DeliveryState::Delivered, 2), 1).unwrap();
    let again = truth.replay_delivery(id, 11).unwrap().unwrap();
    assert_eq!((again.subject.as_str(), again.tries, again.made_ms), ("EG_1", 0, 11));
    truth.settle_delivery(again.id, &settled(DeliveryState::Expired, 3), 1).unwrap();
    let states: Vec<_> =
        truth.deliveries(10).unwrap().iter().map(|one| (one.waiting.id, one.state)).collect();
    // One that is over is kept for each receiver, and no id comes twice.
    assert_eq!(
        states,
        [
            (again.id, DeliveryState::Expired),
            (added[2].id, DeliveryState::Waiting),
            (added[1].id, DeliveryState::Waiting)
        ]
    );
    assert!(truth.replay_delivery(id, 12).unwrap().is_none());
    truth.add_deliveries(&[], &[], 100, 50).unwrap();
    assert!(!truth.is_told("EG_1").unwrap(), "it is long over");
}

fn audit_act(name: &str, at_ms: i64, is_use: bool) -> AuditAct {
    AuditAct {
        at_ms,
        act: name.into(),
        is_use,
        outcome: "done".into(),
        who: "owner".into(),
        ..AuditAct::default()
    }
}

fn audit_kept() -> AuditKept {
    AuditKept { acts: 100, uses: 50, since_ms: 0, at_once: 100 }
}

/// The acts that are kept, newest first.
fn audit_names(truth: &Truth) -> Vec<String> {
    let all = AuditSearch { before: None, most: 100, looked_through: 100 };
    truth.audit_acts(all, |_| true).unwrap().acts.into_iter().map(|kept| kept.act.act).collect()
}

#[test]
fn acts_are_read_page_by_page_and_searched_piece_by_piece() {
    let house = House::new();
    let truth = house.open().unwrap();
    let acts: Vec<_> = (0..10).map(|at| audit_act(&format!("act {at}"), at, false)).collect();
    truth.add_audit_acts(&acts).unwrap();
    drop(truth);
    let truth = house.open().unwrap();
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = truth.audit_acts(AuditSearch { before, most: 3, looked_through: 100 }, |_| true).unwrap();
        assert!(page.acts.len() <= 3);
        found.extend(page.acts.into_iter().map(|kept| kept.act));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(found, acts.iter().rev().cloned().collect::<Vec<_>>());
    let search = AuditSearch { before: None, most: 3, looked_through: 4 };
    let first = |act: &AuditAct| act.act == "act 0";
    let page = truth.audit_acts(search, first).unwrap();
    assert!(page.acts.is_empty(), "it is further down");
    let page = truth.audit_acts(AuditSearch { before: page.next, ..search }, first).unwrap();
    let page = truth.audit_acts(AuditSearch { before: page.next, ..search }, first).unwrap();
    assert_eq!((page.acts.len(), page.next), (1, None));
}

#[test]
fn the_oldest_acts_go_and_uses_push_out_nothing_else() {
    let house = House::new();
    let truth = house.open().unwrap();
    truth.add_audit_acts(&[audit_act("old", 1, false), audit_act("right", 2, false)]).unwrap();
    truth.add_audit_acts(&(0..20).map(|at| audit_act("use", 10 + at, true)).collect::<Vec<_>>()).unwrap();
    assert_eq!(truth.forget_audit_acts(audit_kept()).unwrap(), 0);
    assert_eq!(truth.forget_audit_acts(AuditKept { uses: 3, at_once: 5, ..audit_kept() }).unwrap(), 5);
    assert_eq!(truth.forget_audit_acts(AuditKept { uses: 3, ..audit_kept() }).unwrap(), 12);
    assert_eq!(audit_names(&truth), ["use", "use", "use", "right", "old"]);
    assert_eq!(truth.forget_audit_acts(AuditKept { since_ms: 2, ..audit_kept() }).unwrap(), 1);
    assert_eq!(audit_names(&truth), ["use", "use", "use", "right"]);
    assert_eq!(truth.forget_audit_acts(AuditKept { acts: 1, ..audit_kept() }).unwrap(), 3);
    truth.forget_audit_acts(AuditKept { since_ms: 1000, ..audit_kept() }).unwrap();
    assert!(audit_names(&truth).is_empty());
    truth.add_audit_acts(&[audit_act("new", 1, false)]).unwrap();
    let page = truth.audit_acts(AuditSearch { before: None, most: 1, looked_through: 1 }, |_| true).unwrap();
    assert_eq!(page.acts[0].id, 23, "no id comes twice");
}

#[test]
fn refusals_of_a_kind_are_one_line_until_there_are_none_for_a_while() {
    let house = House::new();
    let truth = house.open().unwrap();
    let refusal = |address: &str, count, first_ms, last_ms| AuditRefusal {
        act: "signIn.refused".into(),
        who: "nobody".into(),
        address: address.into(),
        reason: "this is not the password".into(),
        count,
        first_ms,
        last_ms,
        ..AuditRefusal::default()
    };
    let count = |refusals: &[AuditRefusal]| truth.count_audit_refusals(refusals, 100, 3, 5).unwrap();
    let counts = || -> Vec<_> {
        let all = truth.audit_refusals().unwrap();
        all.into_iter().map(|line| (line.address, line.count, line.first_ms, line.last_ms)).collect()
    };
    count(&[refusal("a", 2, 10, 20), refusal("b", 1, 11, 11)]);
    count(&[refusal("a", 3, 120, 130)]);
    assert_eq!(counts(), [("a".to_owned(), 5, 10, 130), ("b".to_owned(), 1, 11, 11)]);
    count(&[refusal("a", 1, 231, 231)]);
    assert_eq!(counts().len(), 3, "another hour");
    count(&[refusal("c", 1, 300, 300)]);
    assert_eq!(counts().len(), 3, "the one that was counted longest ago is gone");
    assert!(!counts().iter().any(|(address, ..)| address == "b"));
    count(&[AuditRefusal { who: "guest".into(), ..refusal("g", 1, 12, 12) }]);
    assert_eq!(counts().len(), 4, "strangers push out nobody who is known");
    truth.count_audit_refusals(&[], 100, 3, 301).unwrap();
    assert!(counts().is_empty(), "they are too old");
}
