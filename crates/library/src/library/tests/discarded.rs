//! A recording that waits to be stored can be deleted, and nothing of it comes back.

use super::*;

async fn is_gone(bucket: &Bucket, library: &Library, name: &str) {
    library.refresh().await.unwrap();
    library.put_right().await.unwrap();
    assert!(listed(library).await.is_empty());
    assert!(matches!(library.file(name).await, Err(LibraryError::NotFound(_))));
    assert_eq!((library.waiting(), bucket.server.objects()), (0, vec![]));
    assert!(bucket.server.unfinished().is_empty());
    // Whoever publishes it is told each time, and the store is not asked for anything.
    assert!(matches!(bucket.publish(library, name).await, Err(LibraryError::Deleted(_))));
    assert!(bucket.server.objects().is_empty());
}

#[tokio::test]
async fn while_the_store_refuses_it() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.refresh().await.unwrap();
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    let pausing = library.pause("recordings/EG_0.mp4", Duration::from_secs(60));
    let (deleted, ()) = tokio::join!(library.delete("EG_0.mp4"), async {
        tokio::time::timeout(Duration::from_secs(5), pausing).await.expect("it waits no longer");
    });
    deleted.unwrap();
    assert!(listed(&library).await.is_empty() && library.waiting() == 0);
    assert!(matches!(bucket.publish(&library, "EG_0.mp4").await, Err(LibraryError::Deleted(_))));
    bucket.server.faults.set(Kind::None);
    is_gone(&bucket, &library, "EG_0.mp4").await;
    // Its name is free for another.
    let other = bucket.folder.path().join("other.mp4");
    std::fs::write(&other, CONTENT).unwrap();
    let publication = Publication {
        file: &other,
        key: "recordings/EG_0.mp4",
        egress_id: "EG_9",
        room_name: "r",
        room_id: "RM_1",
        started_at_ns: 1,
        duration_ns: 1,
        recovered: false,
        ended_early: None,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    library.publish(&publication).await.unwrap();
    library.put_right().await.unwrap();
    plays(&library, "EG_0.mp4").await;
}

#[tokio::test]
async fn over_a_restart() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    drop(library);
    let library = bucket.open(None);
    library.delete("EG_0.mp4").await.unwrap();
    drop(library);
    let library = bucket.open(None);
    assert_eq!(library.waiting(), 0);
    bucket.server.faults.set(Kind::None);
    is_gone(&bucket, &library, "EG_0.mp4").await;
    drop(library);
    is_gone(&bucket, &bucket.open(None), "EG_0.mp4").await;
}

#[tokio::test]
async fn while_it_is_uploaded_or_read_back() {
    for method in ["PUT", "HEAD", "GET"] {
        let bucket = Bucket::new().await;
        let library = bucket.open(None);
        let slow =
            Fault { kind: Kind::Hang, method: Some(method.into()), times: Some(1), ..Fault::default() };
        bucket.server.faults.set(slow);
        let deleting = async {
            while bucket.server.faults.current().struck == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            library.delete("EG_0.mp4").await.unwrap();
            assert!(listed(&library).await.is_empty(), "{method}: nobody waits for the upload");
        };
        let (published, ()) = tokio::join!(bucket.publish(&library, "EG_0.mp4"), deleting);
        assert!(matches!(published, Err(LibraryError::Deleted(_))), "{method}: {published:?}");
        is_gone(&bucket, &library, "EG_0.mp4").await;
    }
}

#[tokio::test]
async fn what_an_upload_left_is_deleted_when_the_store_answers_again() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    // It is stored, and cannot be read back.
    bucket.server.faults.set(Fault { kind: Kind::Error, method: Some("GET".into()), ..Fault::default() });
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    assert!(!bucket.server.objects().is_empty());
    bucket.server.faults.set(Kind::Error);
    library.delete("EG_0.mp4").await.unwrap();
    library.put_right().await.ok();
    drop(library);
    bucket.server.faults.set(Kind::None);
    let library = bucket.open(None);
    library.put_right().await.unwrap();
    is_gone(&bucket, &library, "EG_0.mp4").await;
}

async fn is_refused_and_in_no_list(bucket: &Bucket, library: &Library, name: &str) {
    for _ in 0..2 {
        let published = bucket.publish(library, name).await;
        assert!(matches!(published, Err(LibraryError::Deleted(_))), "{published:?}");
        library.refresh().await.unwrap();
        assert!(listed(library).await.is_empty());
        assert_eq!((library.waiting(), bucket.server.objects()), (0, vec![]));
    }
}

#[tokio::test]
async fn when_it_was_stored_and_its_recorder_died_before_it_knew() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    library.delete("EG_0.mp4").await.unwrap();
    is_refused_and_in_no_list(&bucket, &library, "EG_0.mp4").await;
    drop(library);
    is_refused_and_in_no_list(&bucket, &bucket.open(None), "EG_0.mp4").await;
}

#[tokio::test]
async fn when_it_had_failed_and_is_composed_at_the_next_start_after_all() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.note(making("EG_0", "EG_0.mp4", Status::Failed)).await.unwrap();
    library.delete("EG_0.mp4").await.unwrap();
    assert!(library.is_deleted("recordings/EG_0.mp4", "EG_0").await.unwrap());
    drop(library);
    is_refused_and_in_no_list(&bucket, &bucket.open(None), "EG_0.mp4").await;
}

#[tokio::test]
async fn when_it_is_stored_and_that_cannot_be_written_down() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    // All is written of it but that it is stored.
    let other = rusqlite::Connection::open(bucket.folder.path().join("truth.db")).unwrap();
    let trigger =
        "CREATE TRIGGER refuse BEFORE DELETE ON waiting_uploads BEGIN SELECT RAISE(ABORT, 'full'); END";
    other.execute_batch(trigger).unwrap();
    let error = bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    assert!(matches!(error, LibraryError::Truth(_)), "{error}");
    assert!(library.shared.outbox.waits("recordings/EG_0.mp4") && !bucket.server.objects().is_empty());
    other.execute_batch("DROP TRIGGER refuse").unwrap();
    library.delete("EG_0.mp4").await.unwrap();
    is_refused_and_in_no_list(&bucket, &library, "EG_0.mp4").await;
}

#[tokio::test]
async fn when_the_folder_of_its_copy_is_spelled_in_another_way() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    library.delete("EG_0.mp4").await.unwrap();
    drop(library);
    bucket.server.faults.set(Kind::None);
    let library = bucket.open(None);
    let folder = bucket.folder.path();
    let around = folder.join("..").join(folder.file_name().unwrap()).join("made of EG_0.mp4");
    // The id is not known of what an older version discarded.
    for egress_id in ["EG_0", "EG_older"] {
        let publication = Publication {
            file: &around,
            key: "recordings/EG_0.mp4",
            egress_id,
            room_name: "r",
            room_id: "RM_1",
            started_at_ns: 1,
            duration_ns: 1,
            recovered: false,
            ended_early: None,
            lost_ns: 0,
            report: &serde_json::Value::Null,
        };
        let published = library.publish(&publication).await;
        assert!(matches!(published, Err(LibraryError::Deleted(_))), "{published:?}");
    }
    assert!(bucket.server.objects().is_empty());
}

#[tokio::test]
async fn but_not_with_a_file_of_somebody_elses_that_claims_its_id() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.server.put("recordings/foreign.mp4", b"somebody else's");
    bucket.server.put("recordings/foreign.mp4.json", br#"{"egress_id":"EG_0","room_name":"theirs"}"#);
    library.refresh().await.unwrap();
    assert_eq!(library.find("foreign.mp4").await.unwrap().id, "EG_0");
    library.delete("foreign.mp4").await.unwrap();
    library.note(making("EG_0", "EG_0.mp4", Status::Recording)).await.unwrap();
    assert_eq!(listed(&library).await.len(), 1, "it is shown while it is recorded");
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    plays(&library, "EG_0.mp4").await;
}
