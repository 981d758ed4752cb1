//! Whoever follows the library is told what a list would say, and misses nothing.

use super::*;
use crate::feed::{ChangeNumber, What};

/// Follows a library from now on.
struct Follower<'a> {
    library: &'a Library,
    seen: ChangeNumber,
}

impl<'a> Follower<'a> {
    fn new(library: &'a Library) -> Self {
        Self { library, seen: *library.follow().borrow() }
    }

    /// What changed since it was asked the last time.
    fn told(&mut self) -> Vec<String> {
        let changes = self.library.changes(self.seen, 100).unwrap();
        self.seen = changes.last().map_or(self.seen, |change| change.number);
        let told = changes.into_iter().map(|change| match change.what {
            What::Changed(recording) => {
                let waits = if recording.upload.is_some() { ", waits" } else { "" };
                let plays = recording.unfinished.map_or(String::new(), |unfinished| {
                    format!(", plays {} of {} ms", unfinished.playable_ms, unfinished.total_ms)
                });
                format!("{} is {}{waits}{plays}", recording.name, recording.status)
            }
            What::Deleted(gone) => format!("{} of {} is deleted", gone.name, gone.room_name),
        });
        told.collect()
    }
}

#[tokio::test]
async fn whoever_follows_is_told_of_each_recording_from_its_start_to_its_deletion() {
    let fixture = Fixture::new();
    let library = &fixture.library;
    let mut follower = Follower::new(library);
    library.note(making("EG_1", "a.mp4", Status::Starting)).await.unwrap();
    assert_eq!(follower.told(), ["a.mp4 is starting"]);
    for _ in 0..2 {
        library.note(making("EG_1", "a.mp4", Status::Recording)).await.unwrap();
    }
    assert_eq!(follower.told(), ["a.mp4 is recording"]);
    // It is given another name.
    let finishing = Recording { progress: Some(0.5), ..making("EG_1", "b.mp4", Status::Finishing) };
    library.note(finishing).await.unwrap();
    assert_eq!(follower.told(), ["a.mp4 of räume is deleted", "b.mp4 is finishing"]);
    let file = fixture.folder.path().join("made.mp4");
    library.grows("recordings/b.mp4", &file, 2, Duration::from_secs(4));
    assert_eq!(follower.told(), ["b.mp4 is finishing, plays 2000 of 4000 ms"]);
    fixture.publish("b.mp4", "EG_1").await;
    assert_eq!(follower.told(), ["b.mp4 is complete"]);
    library.refresh().await.unwrap();
    follower.told();
    library.refresh().await.unwrap();
    assert!(follower.told().is_empty(), "what is as it was is no change");
    library.delete("b.mp4").await.unwrap();
    assert_eq!(follower.told(), ["b.mp4 of räume is deleted"]);
    library.note(making("EG_2", "c.mp4", Status::Starting)).await.unwrap();
    library.forget("EG_2").await.unwrap();
    assert_eq!(follower.told(), ["c.mp4 of räume is deleted"]);
}

#[tokio::test]
async fn what_others_put_into_the_store_or_take_from_it_is_told() {
    let fixture = Fixture::new();
    let mut follower = Follower::new(&fixture.library);
    fixture.put("a.mp4", b"somebody's");
    fixture.library.refresh().await.unwrap();
    assert_eq!(follower.told(), ["a.mp4 is complete"]);
    std::fs::remove_file(fixture.root().join("recordings/a.mp4")).unwrap();
    fixture.library.refresh().await.unwrap();
    assert_eq!(follower.told(), ["a.mp4 of  is deleted"]);
}

#[tokio::test]
async fn what_waits_to_be_stored_is_told_to_wait_until_it_is_stored() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    let mut follower = Follower::new(&library);
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    assert_eq!(follower.told(), ["EG_0.mp4 is complete, waits"]);
    bucket.server.faults.set(Kind::None);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    assert_eq!(follower.told(), ["EG_0.mp4 is complete"]);
}
