//! An index that is deleted, or that an older version left, costs nothing: also while something waits.

use super::*;
use crate::index::OLDER_TABLES;

/// What is known of the recordings, while everything waits that can.
async fn filled(bucket: &Bucket) -> Vec<Recording> {
    let library = bucket.open(None);
    bucket.publish(&library, "EG_stored.mp4").await.unwrap();
    publish_alone(bucket, &library, "EG_alone.mp4").await.unwrap();
    library.note(failed("dismissed")).await.unwrap();
    library.delete("EG_dismissed.mp4").await.unwrap();
    leave_parts(bucket, &library, "EG_parts.mp4").await;
    // It is stored, cannot be read back, and is deleted then.
    bucket.server.faults.set(Fault { kind: Kind::Error, method: Some("GET".into()), ..Fault::default() });
    bucket.publish(&library, "EG_discarded.mp4").await.unwrap_err();
    bucket.server.faults.set(Kind::Error);
    library.delete("EG_discarded.mp4").await.unwrap();
    bucket.publish(&library, "EG_waiting.mp4").await.unwrap_err();
    library.note(failed("unnoted")).await.unwrap();
    library.note_alone(failed("unwanted")).await.unwrap();

    assert!(bucket.server.objects().contains(&"recordings/EG_discarded.mp4".to_owned()));
    let mut known = Vec::new();
    for name in ["EG_alone.mp4", "EG_stored.mp4", "EG_unnoted.mp4", "EG_unwanted.mp4"] {
        known.push(library.find(name).await.unwrap());
    }
    known
}

/// It is all there, and all that waited is done as if nothing had been forgotten.
async fn has_lost_nothing(bucket: &Bucket, known: &[Recording]) {
    let library = bucket.open(None);
    // While the store is away.
    let names = |rows: Vec<Recording>| {
        let mut names: Vec<_> = rows.into_iter().map(|row| row.name).collect();
        names.sort();
        names
    };
    let at_once = names(listed(&library).await);
    for name in ["EG_parts.mp4", "EG_unnoted.mp4", "EG_unwanted.mp4", "EG_waiting.mp4"] {
        assert!(at_once.iter().any(|known| known == name), "{name} is not in {at_once:?}");
    }
    let waiting = library.find("EG_waiting.mp4").await.unwrap();
    assert_eq!((waiting.id.as_str(), waiting.duration_ms), ("EG_waiting", Some(1)));
    let upload = waiting.upload.unwrap();
    assert_eq!((upload.attempts, upload.last_error.is_some(), library.waiting()), (1, true, 2));
    plays(&library, "EG_waiting.mp4").await;

    bucket.server.faults.set(Kind::None);
    library.put_right().await.unwrap();
    assert!(bucket.server.unfinished().is_empty(), "an upload in parts is aborted");
    assert!(!bucket.server.objects().contains(&"recordings/EG_discarded.mp4".to_owned()));
    library.refresh().await.unwrap();
    library.note(failed("dismissed")).await.unwrap();
    let all =
        ["alone", "parts", "stored", "unnoted", "unwanted", "waiting"].map(|name| format!("EG_{name}.mp4"));
    assert_eq!(names(listed(&library).await), all);
    for recording in known {
        assert_eq!(&library.find(&recording.name).await.unwrap(), recording);
    }
    let deleted = bucket.publish(&library, "EG_discarded.mp4").await;
    assert!(matches!(deleted, Err(LibraryError::Deleted(_))), "{deleted:?}");
    let mut alone = library.shared.truth.all_alone().await.unwrap();
    alone.sort();
    let of = |name: &str, is_failed| (format!("recordings/EG_{name}.mp4"), is_failed);
    assert_eq!(
        alone,
        [of("alone", false), of("unnoted", true), of("unwanted", true)],
        "no more than is needed"
    );

    bucket.publish(&library, "EG_waiting.mp4").await.unwrap();
    std::fs::write(bucket.folder.path().join("made of EG_parts.mp4"), CONTENT).unwrap();
    bucket.publish(&library, "EG_parts.mp4").await.unwrap();
    for row in listed(&library).await {
        library.delete(&row.name).await.unwrap();
    }
    assert_eq!(bucket.server.objects(), Vec::<String>::new());
    drop(library);
    delete_index(bucket);
    let library = bucket.open(None);
    for name in ["unnoted", "unwanted"] {
        library.note(failed(name)).await.unwrap();
    }
    assert!(listed(&library).await.is_empty(), "what was deleted stays deleted");
    assert_eq!(library.waiting(), 0);
    assert!(library.shared.truth.all_alone().await.unwrap().is_empty());
}

fn failed(name: &str) -> Recording {
    let error = Some("no disk".into());
    Recording { error, ..making(&format!("EG_{name}"), &format!("EG_{name}.mp4"), Status::Failed) }
}

async fn publish_alone(bucket: &Bucket, library: &Library, name: &str) -> Result<Published, LibraryError> {
    let (file, key) = (bucket.file(name), format!("recordings/{name}"));
    let publication = Publication {
        file: &file,
        key: &key,
        egress_id: name.trim_end_matches(".mp4"),
        room_name: "nothing beside it",
        room_id: "RM_2",
        started_at_ns: 2_000_000_000,
        duration_ns: 5_000_000,
        recovered: true,
        ended_early: Some("the disk is full"),
        lost_ns: 3_000_000,
        report: &serde_json::json!({ "tracks": { "TR_1": { "frames": 7 } } }),
    };
    library.publish_alone(&publication).await
}

/// The program ends while the first part is sent.
async fn leave_parts(bucket: &Bucket, library: &Library, name: &str) {
    let (file, key) = (bucket.folder.path().join(format!("made of {name}")), format!("recordings/{name}"));
    std::fs::write(&file, vec![7; 9 * 1024 * 1024]).unwrap();
    let publication = Publication {
        file: &file,
        key: &key,
        egress_id: "EG_parts",
        room_name: "r",
        room_id: "RM_1",
        started_at_ns: 1_000_000_000,
        duration_ns: 1_000_000,
        recovered: false,
        ended_early: None,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    bucket.server.faults.set(Fault { kind: Kind::Hang, method: Some("PUT".into()), ..Fault::default() });
    let hangs = async {
        while bucket.server.faults.current().struck == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        published = library.publish(&publication) => panic!("{published:?}"),
        () = hangs => {}
    }
    assert!(!bucket.server.unfinished().is_empty());
}

fn delete(bucket: &Bucket, name: &str) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(bucket.folder.path().join(format!("{name}{suffix}")));
    }
}

fn delete_index(bucket: &Bucket) {
    delete(bucket, "index.db");
}

#[tokio::test]
async fn by_nobody() {
    let bucket = Bucket::new().await;
    let known = filled(&bucket).await;
    has_lost_nothing(&bucket, &known).await;
}

#[tokio::test]
async fn by_whoever_deletes_the_index() {
    let bucket = Bucket::new().await;
    let known = filled(&bucket).await;
    delete_index(&bucket);
    has_lost_nothing(&bucket, &known).await;
}

#[tokio::test]
async fn by_whoever_damages_the_index() {
    let bucket = Bucket::new().await;
    let known = filled(&bucket).await;
    delete_index(&bucket);
    std::fs::write(bucket.folder.path().join("index.db"), vec![7; 10_000]).unwrap();
    has_lost_nothing(&bucket, &known).await;
}

#[tokio::test]
async fn by_a_version_that_kept_it_in_the_index() {
    let bucket = Bucket::new().await;
    let known = filled(&bucket).await;
    let index = rusqlite::Connection::open(bucket.folder.path().join("index.db")).unwrap();
    index.execute_batch(OLDER_TABLES).unwrap();
    let truth = bucket.folder.path().join("truth.db");
    index.execute("ATTACH ?1 AS truth", [truth.to_str().unwrap()]).unwrap();
    index
        .execute_batch(
            "INSERT INTO outbox SELECT key, file, size, attempts, last_error, failing_since_ms, next_try_at_ms
                FROM truth.waiting_uploads;
            INSERT INTO discarded SELECT key, file, is_clean, size, id FROM truth.discarded_uploads;
            INSERT INTO dismissed SELECT id FROM truth.dismissed_recordings;
            INSERT INTO multipart_uploads SELECT place, id, key FROM truth.multipart_uploads;
            DETACH truth;",
        )
        .unwrap();
    drop(index);
    delete(&bucket, "truth.db");
    has_lost_nothing(&bucket, &known).await;
}

#[tokio::test]
async fn by_whoever_tells_of_a_failure_and_does_not_wait_for_a_store_that_hangs() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.refresh().await.unwrap();
    bucket.server.faults.set(Fault { kind: Kind::Hang, method: Some("PUT".into()), ..Fault::default() });
    let hangs = async {
        while bucket.server.faults.current().struck == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        noted = library.note(failed("hung")) => panic!("{noted:?}"),
        () = hangs => {}
    }
    drop(library);
    delete_index(&bucket);
    bucket.server.faults.set(Kind::None);
    let library = bucket.open(None);
    library.refresh().await.unwrap();
    assert_eq!(library.find("EG_hung.mp4").await.unwrap().error.as_deref(), Some("no disk"));
    // What the store tells is not kept twice.
    library.note(failed("hung")).await.unwrap();
    assert_eq!(bucket.server.objects(), ["recordings/EG_hung.mp4.json"]);
    assert!(library.shared.truth.all_alone().await.unwrap().is_empty());
}

#[tokio::test]
async fn by_everybody_once_a_failure_is_deleted_while_the_store_takes_it() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.refresh().await.unwrap();
    for round in 0..4 {
        let name = format!("gone {round}");
        let deleting = async {
            while library.find(&format!("EG_{name}.mp4")).await.is_err() {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(2 * round)).await;
            library.delete(&format!("EG_{name}.mp4")).await.unwrap();
        };
        let (noted, ()) = tokio::join!(library.note(failed(&name)), deleting);
        noted.unwrap();
        library.refresh().await.unwrap();
        assert!(listed(&library).await.is_empty());
        assert!(
            bucket.server.objects().is_empty() && library.shared.truth.all_alone().await.unwrap().is_empty()
        );
    }
}

#[tokio::test]
async fn by_everybody_once_a_failure_was_deleted_under_the_version_before() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.note_alone(failed("deleted")).await.unwrap();
    library.note_alone(failed("kept")).await.unwrap();
    drop(library);
    // That version knows of no truth.
    let index = rusqlite::Connection::open(bucket.folder.path().join("index.db")).unwrap();
    index.execute_batch(OLDER_TABLES).unwrap();
    index
        .execute_batch(
            "DELETE FROM recordings WHERE id = 'EG_deleted'; INSERT INTO dismissed VALUES ('EG_deleted');",
        )
        .unwrap();
    drop(index);
    for _ in 0..2 {
        let library = bucket.open(None);
        let names: Vec<_> = listed(&library).await.into_iter().map(|row| row.name).collect();
        assert_eq!(names, ["EG_kept.mp4"]);
        let alone = library.shared.truth.all_alone().await.unwrap();
        assert_eq!(alone, [("recordings/EG_kept.mp4".to_owned(), true)]);
        drop(library);
        delete_index(&bucket);
    }
}

#[tokio::test]
async fn a_file_that_stands_alone_is_not_taken_for_another_of_its_name() {
    let fixture = Fixture::new();
    let file = fixture.folder.path().join("made.mp4");
    std::fs::write(&file, "content").unwrap();
    let publication = Publication {
        file: &file,
        key: "recordings/a.mp4",
        egress_id: "EG_1",
        room_name: "ours",
        room_id: "RM_1",
        started_at_ns: 1,
        duration_ns: 1_000_000,
        recovered: false,
        ended_early: None,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    fixture.library.publish_alone(&publication).await.unwrap();
    assert_eq!(fixture.files().len(), 1);
    fixture.library.refresh().await.unwrap();
    std::fs::remove_file(fixture.root().join("recordings/a.mp4")).unwrap();
    fixture.put("a.mp4", b"somebody else's");
    fixture.library.refresh().await.unwrap();
    assert_eq!(fixture.library.find("a.mp4").await.unwrap().room_name, "");
    // What tells of it now is what stands there.
    fixture.put("a.mp4.json", br#"{"egress_id":"EG_2","room_name":"theirs"}"#);
    fixture.library.refresh().await.unwrap();
    assert_eq!(fixture.library.find("a.mp4").await.unwrap().room_name, "theirs");
    assert!(fixture.library.shared.truth.all_alone().await.unwrap().is_empty());

    // And of one that another program deletes nothing is kept.
    let second = Publication { key: "recordings/b.mp4", ..publication };
    fixture.library.publish_alone(&second).await.unwrap();
    assert_eq!(fixture.library.shared.truth.all_alone().await.unwrap().len(), 1);
    std::fs::remove_file(fixture.root().join("recordings/b.mp4")).unwrap();
    fixture.library.refresh().await.unwrap();
    assert!(fixture.library.shared.truth.all_alone().await.unwrap().is_empty());
}
