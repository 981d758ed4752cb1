//! What is deleted is in no store, wherever it was when somebody asked for that, and in no list.

use super::*;

fn in_the_backup(bucket: &Bucket) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(bucket.folder.path().join("backup/recordings")) else {
        return vec![];
    };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

async fn is_nowhere(bucket: &Bucket, library: &Library) {
    library.put_right().await.unwrap();
    library.refresh().await.unwrap();
    assert!(listed(library).await.is_empty(), "{:?}", listed(library).await);
    assert_eq!((bucket.server.objects(), in_the_backup(bucket)), (vec![], vec![]));
}

/// It is in the backup store, and the first one answers again.
async fn kept(bucket: &Bucket, library: &Library, name: &str) -> Recording {
    bucket.server.faults.set(Kind::Error);
    bucket.publish(library, name).await.unwrap();
    bucket.server.faults.set(Kind::None);
    let row = library.find(name).await.unwrap();
    assert!(row.in_backup);
    row
}

#[tokio::test]
async fn what_was_moved_since_its_row_was_read_is_deleted_where_it_is() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    let read_before = kept(&bucket, &library, "EG_0.mp4").await;
    library.put_right().await.unwrap();
    assert!(!bucket.server.objects().is_empty() && in_the_backup(&bucket).is_empty());
    library.delete_stored(&read_before).await.unwrap();
    is_nowhere(&bucket, &library).await;
    // And what was stored in the backup store in this very moment.
    let read_before = Recording { in_backup: false, ..kept(&bucket, &library, "EG_1.mp4").await };
    library.delete_stored(&read_before).await.unwrap();
    is_nowhere(&bucket, &library).await;
}

#[tokio::test]
async fn what_a_move_that_broke_off_has_left_is_deleted_too_at_once_or_when_its_store_answers() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    for while_deleting in [Kind::None, Kind::Error] {
        kept(&bucket, &library, "EG_0.mp4").await;
        // It is stored, and cannot be read back.
        bucket.server.faults.set(Fault { kind: Kind::Error, method: Some("GET".into()), ..Fault::default() });
        library.put_right().await.unwrap_err();
        assert_eq!(bucket.server.objects(), ["recordings/EG_0.mp4"]);
        bucket.server.faults.set(while_deleting);
        library.delete("EG_0.mp4").await.unwrap();
        assert!(listed(&library).await.is_empty());
        bucket.server.faults.set(Kind::None);
        is_nowhere(&bucket, &library).await;
        // The next one is another, which has the name only.
        library.shared.truth.forget_dismissed("recordings/EG_0.mp4", "EG_0").await.unwrap();
    }
}

#[tokio::test]
async fn what_has_only_its_name_in_the_other_store_stays() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    kept(&bucket, &library, "EG_0.mp4").await;
    bucket.server.put("recordings/EG_0.mp4", b"WHAT WAS RECORDED");
    library.put_right().await.unwrap();
    library.delete("EG_0.mp4").await.unwrap();
    assert!(in_the_backup(&bucket).is_empty());
    assert_eq!(bucket.server.object("recordings/EG_0.mp4"), b"WHAT WAS RECORDED");
}

#[tokio::test]
async fn whenever_somebody_deletes_it_while_it_is_moved_it_is_nowhere() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    for round in 0..8 {
        let name = format!("EG_{round}.mp4");
        kept(&bucket, &library, &name).await;
        let deleting = async {
            tokio::time::sleep(Duration::from_millis(3 * round)).await;
            library.delete(&name).await.unwrap();
        };
        // A move whose file goes away is a move that fails.
        let (_, ()) = tokio::join!(library.put_right(), deleting);
        is_nowhere(&bucket, &library).await;
    }
}

#[tokio::test]
async fn what_could_not_be_deleted_is_there_as_before() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    bucket.server.faults.set(Kind::Error);
    library.delete("EG_0.mp4").await.unwrap_err();
    bucket.server.faults.set(Kind::None);
    assert!(!library.is_deleted("recordings/EG_0.mp4", "EG_0").await.unwrap());
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    library.refresh().await.unwrap();
    plays(&library, "EG_0.mp4").await;
}

#[tokio::test]
async fn whoever_goes_away_while_it_is_deleted_hides_no_later_one_of_its_name() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    library.refresh().await.unwrap();
    bucket.server.faults.set(Fault { kind: Kind::Hang, method: Some("DELETE".into()), ..Fault::default() });
    let hangs = async {
        while bucket.server.faults.current().struck == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        deleted = library.delete("EG_0.mp4") => panic!("{deleted:?}"),
        () = hangs => {}
    }
    // Another program puts its own there.
    for name in ["EG_0.mp4", "EG_0.mp4.json"] {
        bucket.server.remove(&format!("recordings/{name}"));
    }
    library.refresh().await.unwrap();
    assert!(listed(&library).await.is_empty());
    bucket.server.put("recordings/EG_0.mp4", b"another program's");
    let deadline = Instant::now() + Duration::from_secs(5);
    while listed(&library).await.is_empty() {
        assert!(Instant::now() < deadline, "it is in no list");
        library.refresh().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bucket.server.faults.set(Kind::None);
    assert!(!library.is_deleted("recordings/EG_0.mp4", "EG_0").await.unwrap(), "it could not be deleted");
}
