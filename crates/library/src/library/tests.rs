use std::path::Path;

use futures::StreamExt as _;

use super::*;
use crate::Sort;
use crate::outbox::UploadState;
use crate::publication::{Publication, Published};
use crate::s3_server::{self, Fault, Kind, S3Server};
use crate::store::S3Config;

struct Fixture {
    folder: tempfile::TempDir,
    library: Library,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = open(folder.path());
        Self { folder, library }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn put(&self, name: &str, content: &[u8]) {
        let file = self.root().join("recordings").join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    async fn publish(&self, name: &str, id: &str) -> Published {
        let file = self.folder.path().join("made.mp4");
        std::fs::write(&file, format!("content of {name}")).unwrap();
        let key = format!("recordings/{name}");
        let publication = Publication {
            file: &file,
            key: &key,
            egress_id: id,
            room_name: "räume",
            ended_early: Some("the disk is full"),
            room_id: "RM_1",
            started_at_ns: 1_767_262_210_123_000_000,
            duration_ns: 5_500_000_000,
            recovered: true,
            lost_ns: 250_000_000,
            report: &serde_json::json!({ "tracks": { "TR_1": { "frames": 7 } }, "skipped": [{ "from_ns": 8 }] }),
        };
        self.library.publish(&publication).await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let query = ListQuery { sort: "startedAt".parse::<Sort>().unwrap(), ..ListQuery::default() };
        let page = self.library.list(&query).await.unwrap();
        page.recordings.into_iter().map(|recording| recording.name).collect()
    }

    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path.display().to_string()) }
            }
        }
        files
    }
}

fn open(folder: &Path) -> Library {
    open_with_index(folder, "index.db")
}

fn open_with_index(folder: &Path, index: &str) -> Library {
    let config = LibraryConfig {
        store: StoreConfig::folder(folder.join("store")),
        prefix: "recordings/".into(),
        index: folder.join(index),
        truth: Truth::open(&folder.join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::ZERO,
        limits: Limits::default(),
        backup: None,
    };
    Library::open(config).unwrap()
}

fn making(id: &str, name: &str, status: Status) -> Recording {
    Recording {
        id: id.into(), status, room_name: "räume".into(), started_at_ms: 5, ..Recording::named(name)
    }
}

#[tokio::test]
async fn a_published_recording_is_listed_at_once_and_found_again_without_the_index() {
    let fixture = Fixture::new();
    let published = fixture.publish("räume & 1.mp4", "EG_1").await;
    assert_eq!(std::fs::read_to_string(&published.location).unwrap(), "content of räume & 1.mp4");
    let sidecar: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&published.sidecar_location).unwrap()).unwrap();
    assert_eq!(sidecar["files"][0]["filename"], "recordings/räume & 1.mp4");
    assert_eq!(sidecar["ended_at"], 1_767_262_215_623_000_000_i64);
    let at_once = fixture.library.find("räume & 1.mp4").await.unwrap();
    assert_eq!(at_once.error.as_deref(), Some("the disk is full"), "why it ended early");
    assert_eq!((at_once.id.as_str(), at_once.duration_ms, at_once.lost_ms), ("EG_1", Some(5500), 250));
    assert_eq!(at_once.sha256.as_deref().map(str::len), Some(64));
    let report = fixture.library.report("räume & 1.mp4").await.unwrap();
    assert_eq!((&report["tracks"]["TR_1"]["frames"], &report["recovered"]), (&7.into(), &true.into()));
    assert_eq!(report["skipped"][0]["from_ns"], 8);

    std::fs::remove_file(fixture.folder.path().join("index.db")).unwrap();
    let again = open(fixture.folder.path());
    let page = again.list(&ListQuery::default()).await.unwrap();
    assert_eq!(page.recordings, [at_once]);
}

#[tokio::test]
async fn recordings_of_the_tutorials_are_listed_and_deleted_with_their_metadata() {
    let fixture = Fixture::new();
    fixture.put("basic-RM_1-2026-01-01T101010.mp4", b"basic");
    fixture.put(
        "basic-RM_1-2026-01-01T101010.mp4.json",
        br#"{"egress_id":"EG_b","room_id":"RM_1","room_name":"basic","started_at":1000000000,"files":[]}"#,
    );
    fixture.put("advanced-RM_2-2026-01-01T101010.mp4", b"advanced");
    fixture.put(
        ".metadata/advanced-RM_2-2026-01-01T101010.json",
        br#"{"id":"EG_a","name":"x","roomName":"advanced","roomId":"RM_2","startedAt":2000,"duration":3.5,"size":8}"#,
    );
    fixture.put("named.mp4", b"manifest");
    fixture.put(
        "EG_m.json",
        br#"{"egress_id":"EG_m","room_name":"manifest","started_at":3000000000,
            "files":[{"filename":"recordings/named.mp4","location":"x"}]}"#,
    );
    fixture.put("bare room-RM_4-2026-01-01T101010.mp4", b"bare");
    fixture.put("notes.txt", b"no recording");
    fixture.put("broken.mp4.json", b"{");
    let page = fixture.library.list(&ListQuery::default()).await.unwrap();
    let seen: Vec<_> = page
        .recordings
        .iter()
        .map(|r| (r.id.as_str(), r.room_name.as_str(), r.started_at_ms, r.duration_ms, r.size))
        .collect();
    let bare = "bare room-RM_4-2026-01-01T101010.mp4";
    assert_eq!(
        seen,
        [
            (bare, "bare room", 1_767_262_210_000, None, Some(4)),
            ("EG_m", "manifest", 3000, None, Some(8)),
            ("EG_a", "advanced", 2000, Some(3500), Some(8)),
            ("EG_b", "basic", 1000, None, Some(5)),
        ]
    );
    for recording in &page.recordings {
        fixture.library.delete(&recording.name).await.unwrap();
    }
    assert!(fixture.names().await.is_empty());
    let left = fixture.files();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn what_others_do_to_the_store_is_seen() {
    let fixture = Fixture::new();
    fixture.put("a.mp4", b"a");
    assert_eq!(fixture.names().await, ["a.mp4"]);
    fixture.put("b.mp4", b"b");
    std::fs::remove_file(fixture.root().join("recordings/a.mp4")).unwrap();
    fixture.library.refresh().await.unwrap();
    assert_eq!(fixture.names().await, ["b.mp4"]);
    // A manifest that comes after its file describes it after all.
    fixture.put("b.mp4.json", br#"{"egress_id":"EG_b","room_name":"late"}"#);
    fixture.library.refresh().await.unwrap();
    assert_eq!(fixture.library.find("b.mp4").await.unwrap().room_name, "late");
    fixture.put("c.mp4", b"c");
    assert_eq!(fixture.library.find("c.mp4").await.unwrap().size, Some(1), "found before any refresh");
    assert!(matches!(fixture.library.find("d.mp4").await, Err(LibraryError::NotFound(_))));
    assert!(matches!(fixture.library.find("b.mp4.json").await, Err(LibraryError::NotFound(_))));
    assert!(matches!(fixture.library.find("../b.mp4").await, Err(LibraryError::BadName(_))));
}

#[tokio::test]
async fn one_in_the_making_is_listed_and_neither_played_nor_deleted() {
    let fixture = Fixture::new();
    fixture.library.note(making("EG_1", "a.mp4", Status::Recording)).await.unwrap();
    fixture.library.refresh().await.unwrap();
    assert_eq!(fixture.names().await, ["a.mp4"]);
    assert!(matches!(fixture.library.file("a.mp4").await, Err(LibraryError::NotFinished(_))));
    assert!(matches!(fixture.library.delete("a.mp4").await, Err(LibraryError::NotFinished(_))));
    assert_eq!(fixture.library.in_the_making().await.unwrap().len(), 1);
    fixture.publish("a.mp4", "EG_1").await;
    fixture.library.note(making("EG_1", "a.mp4", Status::Finishing)).await.unwrap();
    assert_eq!(fixture.library.find("a.mp4").await.unwrap().status, Status::Complete);
    assert!(fixture.library.file("a.mp4").await.is_ok());

    fixture.library.note(making("EG_2", "b.mp4", Status::Starting)).await.unwrap();
    fixture.library.forget("EG_2").await.unwrap();
    assert_eq!(fixture.names().await, ["a.mp4"]);
}

#[tokio::test]
async fn a_failed_one_stays_with_its_reason_until_it_is_deleted() {
    let fixture = Fixture::new();
    let failed = Recording { error: Some("no disk".into()), ..making("EG_1", "a.mp4", Status::Failed) };
    fixture.library.note(failed.clone()).await.unwrap();
    fixture.library.refresh().await.unwrap();
    std::fs::remove_file(fixture.folder.path().join("index.db")).unwrap();
    let again = Fixture { library: open(fixture.folder.path()), folder: fixture.folder };
    let page = again.library.list(&ListQuery::default()).await.unwrap();
    assert_eq!(page.recordings, std::slice::from_ref(&failed));
    assert!(matches!(again.library.file("a.mp4").await, Err(LibraryError::NotFound(_))));
    again.library.delete("a.mp4").await.unwrap();
    again.library.note(failed).await.unwrap();
    again.library.refresh().await.unwrap();
    assert!(again.names().await.is_empty());
    assert!(again.files().is_empty());
}

#[tokio::test]
async fn a_recording_may_stand_outside_the_prefix_and_is_then_not_listed() {
    let fixture = Fixture::new();
    let file = fixture.folder.path().join("made.mp4");
    std::fs::write(&file, "x").unwrap();
    let publication = Publication {
        file: &file,
        key: "elsewhere/a.mp4",
        egress_id: "EG_1",
        room_name: "r",
        ended_early: None,
        room_id: "RM_1",
        started_at_ns: 1,
        duration_ns: 1,
        recovered: false,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    let published = fixture.library.publish(&publication).await.unwrap();
    assert!(published.location.ends_with("/elsewhere/a.mp4"));
    assert!(fixture.names().await.is_empty());
    let outside = Publication { key: "recordings/../../a.mp4", ..publication };
    assert!(matches!(fixture.library.publish(&outside).await, Err(LibraryError::BadName(_))));
}

#[tokio::test]
async fn links_are_for_recordings_that_are_there() {
    let fixture = Fixture::new();
    fixture.publish("a b.mp4", "EG_1").await;
    let link = fixture.library.signed_link("a b.mp4", Duration::from_secs(60)).await.unwrap();
    assert!(link.starts_with("/recordings/a%20b.mp4?expires="));
    assert_eq!(fixture.library.presigned_url("a b.mp4", Duration::from_secs(60)).await.unwrap(), None);
    assert!(fixture.library.signed_link("c.mp4", Duration::from_secs(60)).await.is_err());
}

#[tokio::test]
async fn a_recording_is_listed_and_played_while_its_store_refuses_it() {
    let fixture = Fixture::new();
    // A folder in the file's place: nothing can be stored under that name until it is gone.
    let obstacle = fixture.root().join("recordings/a.mp4/in the way");
    std::fs::create_dir_all(&obstacle).unwrap();
    let file = fixture.folder.path().join("made.mp4");
    std::fs::write(&file, "content").unwrap();
    let publication = Publication {
        file: &file,
        key: "recordings/a.mp4",
        egress_id: "EG_1",
        room_name: "r",
        ended_early: None,
        room_id: "RM_1",
        started_at_ns: 1,
        duration_ns: 1_000_000,
        recovered: false,
        lost_ns: 0,
        report: &serde_json::Value::Null,
    };
    for attempt in 1..=2 {
        fixture.library.publish(&publication).await.unwrap_err();
        fixture.library.refresh().await.unwrap();
        let listed = fixture.library.find("a.mp4").await.unwrap();
        let upload = listed.upload.unwrap();
        assert_eq!((listed.status, upload.attempts), (Status::Complete, attempt));
        assert!(upload.last_error.is_some());
    }
    assert_eq!(fixture.library.waiting(), 1);
    let local = fixture.library.file("a.mp4").await.unwrap();
    let bytes: Vec<_> = fixture.library.stream(&local, 1..4).await.unwrap().collect().await;
    assert_eq!(bytes.into_iter().map(|bytes| bytes.unwrap()).collect::<Vec<_>>().concat(), b"ont");

    // Somebody who mended it need not wait for the next try.
    let pausing = fixture.library.pause("recordings/a.mp4", Duration::from_secs(60));
    fixture.library.retry("a.mp4").await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), pausing).await.unwrap();
    std::fs::remove_dir_all(fixture.root().join("recordings/a.mp4")).unwrap();
    fixture.library.publish(&publication).await.unwrap();
    assert_eq!(fixture.library.file("a.mp4").await.unwrap().etag, local.etag, "it is still the same file");
    assert_eq!((fixture.library.waiting(), fixture.library.find("a.mp4").await.unwrap().upload), (0, None));
    assert!(matches!(fixture.library.retry("a.mp4").await, Err(LibraryError::NotWaiting(_))));
    assert!(matches!(fixture.library.retry("b.mp4").await, Err(LibraryError::NotFound(_))));
    fixture.library.delete("a.mp4").await.unwrap();
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_what_was_known_is_still_listed() {
    let fixture = Fixture::new();
    let config = LibraryConfig {
        store: StoreConfig::S3(S3Config {
            endpoint: Some("http://127.0.0.1:9".into()),
            access_key: Some("a".into()),
            secret_key: Some("b".into()),
            region: "us-east-1".into(),
            bucket: "b".into(),
            ..S3Config::default()
        }),
        prefix: "recordings/".into(),
        index: fixture.folder.path().join("other.db"),
        truth: Truth::open(&fixture.folder.path().join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(60),
        limits: Limits::default(),
        backup: None,
    };
    let library = Library::open(config).unwrap();
    assert!(matches!(library.list(&ListQuery::default()).await, Err(LibraryError::Store(_))));
    assert!(library.trouble().is_some());
    library.note(making("EG_1", "a.mp4", Status::Recording)).await.unwrap();
    assert_eq!(library.list(&ListQuery::default()).await.unwrap().recordings.len(), 1);
}

/// A library in a bucket that fails on demand, with or without a second store.
struct Bucket {
    server: S3Server,
    folder: tempfile::TempDir,
}

const CONTENT: &[u8] = b"what was recorded";

impl Bucket {
    async fn new() -> Self {
        Self { server: S3Server::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn backup(&self) -> Backup {
        let store = StoreConfig::folder(self.folder.path().join("backup"));
        Backup { store, after: Duration::ZERO }
    }

    fn open(&self, backup: Option<Backup>) -> Library {
        let config = LibraryConfig {
            store: StoreConfig::S3(S3Config {
                endpoint: Some(self.server.endpoint.clone()),
                access_key: Some(s3_server::ACCESS_KEY.into()),
                secret_key: Some(s3_server::SECRET_KEY.into()),
                region: "us-east-1".into(),
                bucket: s3_server::BUCKET.into(),
                ..S3Config::default()
            }),
            prefix: "recordings/".into(),
            index: self.folder.path().join("index.db"),
            truth: Truth::open(&self.folder.path().join("truth.db")).unwrap(),
            link_key: LinkKey::new([7; 32]),
            refresh_every: Duration::ZERO,
            limits: Limits {
                connect: Duration::from_millis(500),
                call: Duration::from_millis(500),
                stall: Duration::from_millis(500),
            },
            backup,
        };
        Library::open(config).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        let file = self.folder.path().join(format!("made of {name}"));
        std::fs::write(&file, CONTENT).unwrap();
        file
    }

    async fn publish(&self, library: &Library, name: &str) -> Result<Published, LibraryError> {
        let (file, key) = (self.file(name), format!("recordings/{name}"));
        let publication = Publication {
            file: &file,
            key: &key,
            egress_id: name.trim_end_matches(".mp4"),
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
}

async fn plays(library: &Library, name: &str) {
    let file = library.file(name).await.unwrap();
    let bytes = library.stream(&file, 0..file.size).await.unwrap().collect::<Vec<_>>().await;
    let bytes = bytes.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat();
    assert!(bytes == CONTENT, "{name} plays something else");
}

async fn listed(library: &Library) -> Vec<Recording> {
    library.list(&ListQuery::default()).await.unwrap().recordings
}

#[tokio::test]
async fn under_every_fault_a_recording_is_listed_and_plays_and_is_stored_once_it_is_over() {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_before.mp4").await.unwrap();
    let faults =
        [Kind::Error, Kind::Hang, Kind::Cut, Kind::Stall, Kind::LieSize, Kind::Truncate, Kind::Corrupt];
    for (number, kind) in faults.into_iter().enumerate() {
        let name = format!("EG_{number}.mp4");
        bucket.server.faults.set(kind);
        let began = Instant::now();
        let error = bucket.publish(&library, &name).await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10), "{kind:?} took {:?}", began.elapsed());
        let upload = library.find(&name).await.unwrap().upload.unwrap();
        assert_eq!((upload.state, upload.attempts), (UploadState::Waiting, 1), "{kind:?}");
        assert!(
            error.to_string().contains(upload.last_error.as_ref().unwrap().trim()),
            "{kind:?}: {upload:?}"
        );
        assert!(upload.next_try_at_ms.unwrap() > unix_ms() - 10_000);
        let began = Instant::now();
        assert_eq!(listed(&library).await.len(), number + 2, "{kind:?}");
        plays(&library, &name).await;
        let report = library.report(&name).await.unwrap();
        assert_eq!(report["sha256"].as_str().unwrap().len(), 64, "{kind:?}: what is known of it is told");
        assert!(began.elapsed() < Duration::from_secs(1), "{kind:?}: nobody waits for the store");
        bucket.server.faults.set(Kind::None);
        bucket.publish(&library, &name).await.unwrap();
        std::fs::remove_file(bucket.file(&name)).unwrap();
        plays(&library, &name).await;
    }
    assert_eq!(library.waiting(), 0);
    library.refresh().await.unwrap();
    assert!(
        listed(&library)
            .await
            .iter()
            .all(|recording| recording.upload.is_none() && recording.sha256.is_some())
    );
    assert_eq!(bucket.server.objects().len(), 2 * (faults.len() + 1), "{:?}", bucket.server.objects());
    assert!(bucket.server.unfinished().is_empty());
    for recording in listed(&library).await {
        library.delete(&recording.name).await.unwrap();
    }
    assert!(bucket.server.objects().is_empty());
}

#[tokio::test]
async fn after_a_restart_what_waits_is_listed_and_plays_before_anything_is_tried_and_its_tries_are_remembered()
 {
    let bucket = Bucket::new().await;
    let library = bucket.open(None);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_1.mp4").await.unwrap_err();
    drop(library);

    bucket.server.faults.set(Kind::Hang);
    let library = bucket.open(None);
    let began = Instant::now();
    let all = listed(&library).await;
    assert!(began.elapsed() < Duration::from_secs(3), "a store that hangs keeps nobody from the list");
    assert_eq!(all.len(), 2);
    let upload = library.find("EG_1.mp4").await.unwrap().upload.unwrap();
    assert_eq!((upload.state, upload.attempts, upload.last_error.is_some()), (UploadState::Waiting, 1, true));
    plays(&library, "EG_1.mp4").await;
    bucket.server.faults.set(Kind::None);
    // What the store does not have yet is not forgotten when the store is read.
    library.refresh().await.unwrap();
    assert_eq!(listed(&library).await.len(), 2);
    let due_ms = upload.next_try_at_ms.unwrap();
    bucket.publish(&library, "EG_1.mp4").await.unwrap();
    assert!(unix_ms() >= due_ms, "not before it is due");
    assert!(library.find("EG_1.mp4").await.unwrap().upload.is_none());
    drop(library);
    assert_eq!(bucket.open(None).waiting(), 0);
}

#[tokio::test]
async fn what_the_store_refuses_goes_into_the_backup_store_and_is_moved_when_it_takes_it() {
    let bucket = Bucket::new().await;
    let patient = Backup { after: Duration::from_secs(3600), ..bucket.backup() };
    let library = bucket.open(Some(patient));
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap_err();
    drop(library);

    let library = bucket.open(Some(bucket.backup()));
    let published = bucket.publish(&library, "EG_0.mp4").await.unwrap();
    assert!(published.location.starts_with(bucket.folder.path().to_str().unwrap()));
    std::fs::remove_file(bucket.file("EG_0.mp4")).unwrap();
    let kept = library.find("EG_0.mp4").await.unwrap();
    assert!(kept.in_backup && kept.upload.is_none());
    plays(&library, "EG_0.mp4").await;
    assert!(library.report("EG_0.mp4").await.is_ok());
    library.put_right().await.unwrap_err();
    assert!(library.refresh().await.is_err());
    assert_eq!(listed(&library).await.len(), 1);
    drop(library);

    // The index is not needed to know it.
    std::fs::remove_file(bucket.folder.path().join("index.db")).unwrap();
    let library = bucket.open(Some(bucket.backup()));
    assert!(library.refresh().await.is_err());
    let again = listed(&library).await;
    assert_eq!(again, std::slice::from_ref(&kept));
    plays(&library, "EG_0.mp4").await;

    for kind in [Kind::Corrupt, Kind::Truncate, Kind::LieSize] {
        bucket.server.faults.set(Fault { kind, times: Some(1), ..Fault::default() });
        library.put_right().await.unwrap_err();
        assert!(bucket.server.objects().is_empty());
        plays(&library, "EG_0.mp4").await;
    }
    bucket.server.faults.set(Kind::None);
    library.put_right().await.unwrap();
    library.refresh().await.unwrap();
    assert_eq!(listed(&library).await, [Recording { in_backup: false, ..kept }]);
    plays(&library, "EG_0.mp4").await;
    assert!(bucket.server.object("recordings/EG_0.mp4") == CONTENT);
    let left = std::fs::read_dir(bucket.folder.path().join("backup/recordings")).unwrap().count();
    assert_eq!(left, 0, "nothing is left in the backup store");
    let sidecar: serde_json::Value =
        serde_json::from_slice(&bucket.server.object("recordings/EG_0.mp4.json")).unwrap();
    assert!(sidecar["files"][0]["location"].as_str().unwrap().starts_with(&bucket.server.endpoint));
}

#[tokio::test]
async fn a_recording_in_the_backup_store_can_be_deleted_and_stays_deleted() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    bucket.server.faults.set(Kind::Error);
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
    library.delete("EG_0.mp4").await.unwrap();
    bucket.server.faults.set(Kind::None);
    library.put_right().await.unwrap();
    library.refresh().await.unwrap();
    assert!(listed(&library).await.is_empty());
    assert!(bucket.server.objects().is_empty());
}

#[tokio::test]
async fn two_stores_that_refuse_a_recording_are_both_told() {
    let bucket = Bucket::new().await;
    let library = bucket.open(Some(bucket.backup()));
    let obstacle = bucket.folder.path().join("backup/recordings");
    std::fs::write(&obstacle, "a file where a folder has to be").unwrap();
    bucket.server.faults.set(Kind::Error);
    let error = bucket.publish(&library, "EG_0.mp4").await.unwrap_err().to_string();
    assert!(error.contains(&bucket.server.endpoint) && error.contains("backup store"), "{error}");
    plays(&library, "EG_0.mp4").await;
    std::fs::remove_file(obstacle).unwrap();
    bucket.publish(&library, "EG_0.mp4").await.unwrap();
}

mod changes;
mod deleted;
mod discarded;
mod forgotten;
mod names;
mod neighbours;
