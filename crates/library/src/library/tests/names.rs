//! A name is one recording's: nothing is replaced, and a link opens the file that it was made for.

use super::*;

async fn bytes(library: &Library, name: &str) -> Vec<u8> {
    let file = library.file(name).await.unwrap();
    let pieces = library.stream(&file, 0..file.size).await.unwrap().collect::<Vec<_>>().await;
    pieces.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat()
}

/// Publishes other content under a name.
async fn publish(
    bucket: &Bucket,
    library: &Library,
    name: &str,
    id: &str,
    content: &[u8],
) -> Result<Published, LibraryError> {
    let file = bucket.folder.path().join(format!("made by {id}"));
    std::fs::write(&file, content).unwrap();
    let publication = Publication {
        file: &file,
        key: &format!("recordings/{name}"),
        egress_id: id,
        room_name: "r",
        room_id: "RM_1",
        started_at_ns: 1_000_000_000,
        duration_ns: 1_000_000,
        recovered: false,
        ended_early: None,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    library.publish(&publication).await
}

fn is_taken(result: &Result<Published, LibraryError>) -> bool {
    matches!(result, Err(LibraryError::Taken(_)))
}

#[tokio::test]
async fn a_recording_is_not_replaced_wherever_it_is_known() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_1.mp4").await.unwrap();
    // One that another program put there since the last look, of the same size too.
    bucket.server.put("recordings/new.mp4", b"WHAT WAS RECORDED");
    bucket.server.put("recordings/described.mp4.json", b"{\"mine\": 1}");
    for name in ["EG_1.mp4", "new.mp4", "described.mp4"] {
        let refused = publish(&bucket, &library, name, "EG_2", b"what was asked for").await;
        assert!(is_taken(&refused), "{name}: {refused:?}");
        assert!(library.has(&format!("recordings/{name}")).await.unwrap(), "{name}");
    }
    assert_eq!(library.waiting(), 0);
    assert_eq!(bucket.server.object("recordings/new.mp4"), b"WHAT WAS RECORDED");
    assert_eq!(bucket.server.object("recordings/described.mp4.json"), b"{\"mine\": 1}");
    assert_eq!(library.find("EG_1.mp4").await.unwrap().id, "EG_1");
    plays(&library, "EG_1.mp4").await;
    // The very same once more is no other one: the program died before it had noted that it was stored.
    bucket.publish(&library, "EG_1.mp4").await.unwrap();
    publish(&bucket, &library, "new-2.mp4", "EG_2", b"what was asked for").await.unwrap();
    library.refresh().await.unwrap();
    assert_eq!(listed(&library).await.len(), 3);
}

#[tokio::test]
async fn what_waits_to_be_stored_keeps_its_name_and_what_it_never_had_is_not_deleted_with_it() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    library.refresh().await.unwrap();
    bucket.server.put("recordings/a.mp4", b"older, and never seen");
    bucket.server.faults.set(Kind::Error);
    publish(&bucket, &library, "a.mp4", "EG_1", b"first").await.unwrap_err();
    let second = publish(&bucket, &library, "a.mp4", "EG_2", b"second").await;
    assert!(is_taken(&second), "{second:?}");
    assert!(library.has("recordings/a.mp4").await.unwrap());
    assert_eq!(bytes(&library, "a.mp4").await, b"first");
    // Deleted before the store was ever reached: what stands there under that name is another's.
    library.delete("a.mp4").await.unwrap();
    let _ = publish(&bucket, &library, "a.mp4", "EG_1", b"first").await;
    bucket.server.faults.set(Kind::None);
    library.put_right().await.unwrap();
    library.refresh().await.unwrap();
    assert_eq!(bucket.server.object("recordings/a.mp4"), b"older, and never seen");
    assert_eq!(bytes(&library, "a.mp4").await, b"older, and never seen");
}

/// The data folder is copied while a recording waits, and the copy is used: where the file is then.
fn copied(bucket: &Bucket, id: &str) -> PathBuf {
    let folder = bucket.folder.path().join("copy");
    std::fs::create_dir_all(&folder).unwrap();
    let name = format!("made by {id}");
    std::fs::copy(bucket.folder.path().join(&name), folder.join(&name)).unwrap();
    folder.join(name)
}

#[tokio::test]
async fn what_waits_in_a_data_folder_that_was_copied_is_no_other_recording() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.server.faults.set(Kind::Error);
    for id in ["EG_1", "EG_2"] {
        publish(&bucket, &library, &format!("{id}.mp4"), id, b"first").await.unwrap_err();
    }
    drop(library);

    let library = bucket.open(None);
    library.delete("EG_2.mp4").await.unwrap();
    bucket.server.faults.set(Kind::None);
    for (id, is_stored) in [("EG_1", true), ("EG_2", false)] {
        let publication = Publication {
            file: &copied(&bucket, id),
            key: &format!("recordings/{id}.mp4"),
            egress_id: id,
            room_name: "r",
            room_id: "RM_1",
            started_at_ns: 1_000_000_000,
            duration_ns: 1_000_000,
            recovered: false,
            ended_early: None,
            lost_ns: 0,
            report: &serde_json::Value::Null,
        };
        let published = library.publish(&publication).await;
        assert_eq!(published.is_ok(), is_stored, "{id}: {published:?}");
        assert!(is_stored || matches!(published, Err(LibraryError::Deleted(_))), "{id}: {published:?}");
        assert!(!library.shared.outbox.waits(publication.key), "{id} waits no longer");
    }
    library.refresh().await.unwrap();
    assert_eq!(listed(&library).await.len(), 1);
    assert_eq!(bytes(&library, "EG_1.mp4").await, b"first");
    drop(library);
    assert_eq!(bucket.open(None).waiting(), 0, "nor after a restart");
}

#[tokio::test]
async fn the_backup_store_replaces_nothing_and_gives_nothing_away_to_be_replaced() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    let backup = bucket.folder.path().join("backup/recordings");
    std::fs::create_dir_all(&backup).unwrap();
    std::fs::write(backup.join("a.mp4"), "older").unwrap();
    bucket.server.faults.set(Kind::Error);
    let refused = publish(&bucket, &library, "a.mp4", "EG_1", b"newer").await;
    assert!(refused.is_err());
    assert_eq!(std::fs::read(backup.join("a.mp4")).unwrap(), b"older");
    publish(&bucket, &library, "b.mp4", "EG_2", b"in the backup").await.unwrap();
    // While it waits to be moved, another one of its name comes into the first store.
    bucket.server.put("recordings/b.mp4", b"by another program");
    bucket.server.faults.set(Kind::None);
    assert!(is_taken(&publish(&bucket, &library, "b.mp4", "EG_3", b"third").await));
    let _ = library.put_right().await;
    assert_eq!(bucket.server.object("recordings/b.mp4"), b"by another program");
    assert_eq!(std::fs::read(backup.join("b.mp4")).unwrap(), b"in the backup");
}

#[tokio::test]
async fn a_link_opens_its_own_file_wherever_that_is_and_no_later_one_of_its_name() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    let tag_of = |link: String| link.split("file=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let valid = Duration::from_secs(60);
    bucket.server.faults.set(Kind::Error);
    publish(&bucket, &library, "a.mp4", "EG_1", b"first").await.unwrap_err();
    let tag = tag_of(library.signed_link("a.mp4", valid).await.unwrap());
    bucket.server.faults.set(Kind::None);
    publish(&bucket, &library, "a.mp4", "EG_1", b"first").await.unwrap();
    assert!(library.file("a.mp4").await.unwrap().is_linked_by(&tag), "it was moved");
    library.delete("a.mp4").await.unwrap();
    publish(&bucket, &library, "a.mp4", "EG_2", b"first").await.unwrap();
    let second = library.file("a.mp4").await.unwrap();
    assert!(
        !second.is_linked_by(&tag)
            && second.is_linked_by(&tag_of(library.signed_link("a.mp4", valid).await.unwrap()))
    );
    // Of one that nothing is known of but its file.
    bucket.server.put("recordings/foreign.mp4", b"one");
    let tag = tag_of(library.signed_link("foreign.mp4", valid).await.unwrap());
    assert!(library.file("foreign.mp4").await.unwrap().is_linked_by(&tag));
    bucket.server.put("recordings/foreign.mp4", b"another");
    assert!(!library.file("foreign.mp4").await.unwrap().is_linked_by(&tag));
}

#[tokio::test]
async fn a_search_is_bounded_and_too_many_are_told() {
    let fixture = Fixture::new();
    fixture.publish("räume.mp4", "EG_1").await;
    let query = |text: String| ListQuery { text: Some(text), ..ListQuery::default() };
    assert_eq!(fixture.library.list(&query("ÄUM".into())).await.unwrap().recordings.len(), 1);
    let refused = fixture.library.list(&query("ä".repeat(200))).await;
    assert!(matches!(refused, Err(LibraryError::LongSearch(256))), "{refused:?}");
}
