//! One suite for every store.

use std::sync::atomic::Ordering;

use reelroom_truth::Truth;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::s3_server::{self, Fault, Kind};

/// Names that people and attackers choose; each is one recording.
const NAMES: [&str; 5] = [
    "Test Room-RM_x-2026-01-01T101010.mp4",
    "räume & 💥 #1?.mp4",
    "a%2Fb%.mp4",
    "<script>.mp4",
    ".hidden.mp4",
];

/// Uploads as the library does.
struct Uploader {
    journal: Journal,
    progress: Progress,
    _folder: tempfile::TempDir,
}

impl Uploader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
        Self { journal: Journal::new(truth, "store"), progress: Progress::default(), _folder: folder }
    }

    async fn upload(
        &self,
        store: &Store,
        name: &str,
        file: &std::path::Path,
    ) -> Result<Object, LibraryError> {
        let bytes = std::fs::read(file).unwrap_or_default();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let proof = Proof { size: bytes.len() as u64, sha256: &sha256 };
        store.put_file(name, Source::File(file), proof, &self.journal, &self.progress).await
    }
}

fn s3_settings(server: &s3_server::S3Server) -> S3Config {
    S3Config {
        endpoint: Some(server.endpoint.clone()),
        access_key: Some(s3_server::ACCESS_KEY.into()),
        secret_key: Some(s3_server::SECRET_KEY.into()),
        region: "us-east-1".into(),
        bucket: s3_server::BUCKET.into(),
        ..S3Config::default()
    }
}

fn s3_config(server: &s3_server::S3Server) -> StoreConfig {
    StoreConfig::S3(s3_settings(server))
}

/// The names of all that can be used.
async fn names(store: &Store) -> Vec<String> {
    let listed = store.list().await.unwrap().unwrap_or_default();
    let mut names: Vec<_> = listed.objects.into_iter().map(|object| object.name).collect();
    names.sort();
    names
}

/// Large enough for several parts.
fn large_content() -> Vec<u8> {
    (0..upload::PART_BYTES + 12_345).map(|at| (at % 251) as u8).collect()
}

async fn conforms(store: &Store) {
    let uploader = Uploader::new();
    assert!(names(store).await.is_empty());
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, name.repeat(10)).unwrap();
        let stored = uploader.upload(store, name, &file).await.unwrap();
        assert_eq!((stored.name.as_str(), stored.size), (name, name.len() as u64 * 10));
        assert_eq!(store.head(name).await.unwrap(), stored);
        assert_eq!(store.read(name).await.unwrap(), name.repeat(10).as_bytes());
        assert_eq!(store.read_range(name, 2..6).await.unwrap(), name.as_bytes()[2..6]);
        let mut part = store.stream(&stored, 1..4).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = part.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(bytes, name.as_bytes()[1..4]);
        assert_eq!(store.read_range(name, 0..1).await.unwrap(), name.as_bytes()[..1]);
        // The same again is stored; another file is refused, and replaces nothing.
        assert_eq!(uploader.upload(store, name, &file).await.unwrap().size, stored.size);
        let other = folder.path().join("other.mp4");
        for content in [name.repeat(9), name.to_uppercase().repeat(10)] {
            std::fs::write(&other, content).unwrap();
            let refused = uploader.upload(store, name, &other).await;
            assert!(matches!(refused, Err(LibraryError::Taken(_))), "{refused:?}");
        }
        assert_eq!(store.read(name).await.unwrap(), name.repeat(10).as_bytes());
    }
    let mut expected = NAMES.map(str::to_owned);
    expected.sort();
    assert_eq!(names(store).await, expected);

    store.write(".metadata/a.json", "{}").await.unwrap();
    let refused = store.create(".metadata/a.json", "{2}").await;
    assert!(matches!(refused, Err(LibraryError::Taken(_)) | Ok(())), "{refused:?}");
    store.write(".metadata/a.json", "{\"b\":1}").await.unwrap();
    assert_eq!(store.read(".metadata/a.json").await.unwrap(), "{\"b\":1}");

    let long = "x".repeat(241);
    assert!(
        matches!(store.write(&long, "x").await, Err(LibraryError::BadName(_))),
        "not every store takes it"
    );
    for name in [
        "",
        "/",
        "a/",
        "/etc/passwd",
        "../up.mp4",
        "a/../../up.mp4",
        ".",
        "..",
        "a//b",
        "line\nbreak",
        "a#12",
    ] {
        assert!(
            matches!(store.head(name).await, Err(LibraryError::BadName(_))),
            "{name:?} is a path, not a name"
        );
        assert!(matches!(store.delete(name).await, Err(LibraryError::BadName(_))));
    }
    assert!(matches!(store.head("not there.mp4").await, Err(LibraryError::NotFound(_))));
    assert!(matches!(store.read("not there.mp4").await, Err(LibraryError::NotFound(_))));
    for name in NAMES {
        store.delete(name).await.unwrap();
        store.delete(name).await.unwrap();
        assert!(matches!(store.head(name).await, Err(LibraryError::NotFound(_))));
    }

    assert!(matches!(
        uploader.upload(store, "x.mp4", &folder.path().join("none")).await,
        Err(LibraryError::Local { .. })
    ));
}

async fn takes_files_in_parts(store: &Store) {
    let (uploader, folder) = (Uploader::new(), tempfile::tempdir().unwrap());
    let large = folder.path().join("large.mp4");
    let content = large_content();
    std::fs::write(&large, &content).unwrap();
    uploader.upload(store, "large.mp4", &large).await.unwrap();
    assert_eq!(uploader.progress.bytes.load(Ordering::Relaxed), content.len() as u64);
    let object = store.head("large.mp4").await.unwrap();
    let parts: Vec<_> = store.stream(&object, 0..object.size).await.unwrap().collect().await;
    let whole = parts.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat();
    assert!(whole == content, "parts are put together in order");
    assert!(matches!(store.read("large.mp4").await, Err(LibraryError::Unreadable { .. })), "it is not small");
}

#[tokio::test]
async fn an_s3_server_conforms() {
    let server = s3_server::S3Server::start().await;
    let config = s3_config(&server);
    let store = Store::open(&config, "recordings/", Limits::default()).unwrap();
    conforms(&store).await;
    takes_files_in_parts(&store).await;
    assert_eq!(store.origin().as_deref(), Some(server.endpoint.as_str()));
    store.check().await.unwrap();
    let location = format!("{}/{}/recordings/a.mp4", server.endpoint, s3_server::BUCKET);
    assert_eq!(store.location("a.mp4").unwrap(), location);
    let url = store.presign("large.mp4", Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.starts_with(&location.replace("a.mp4", "large.mp4?")) && url.contains("X-Amz-Signature="));
    conforms(&Store::open(&config, "", Limits::default()).unwrap().at("deep/er").unwrap()).await;
}

#[tokio::test]
async fn an_s3_server_that_is_not_there_or_refuses_us_is_an_error_in_words() {
    let server = s3_server::S3Server::start().await;
    let config = s3_settings(&server);
    let wrong_secret = S3Config { secret_key: Some("wrong".into()), ..config.clone() };
    let wrong_key = S3Config { access_key: Some("nobody".into()), ..config.clone() };
    let no_bucket = S3Config { bucket: "no-such-bucket".into(), ..config.clone() };
    for (config, advice) in
        [(wrong_secret, "S3_SECRET_KEY"), (wrong_key, "S3_ACCESS_KEY"), (no_bucket, "S3_BUCKET")]
    {
        let store = Store::open(&StoreConfig::S3(config), "", Limits::default()).unwrap();
        for error in [store.list().await.map(drop), store.check().await] {
            let Err(LibraryError::Store(error)) = error else { panic!("{error:?}") };
            assert!(error.starts_with("the S3 server says ") && error.contains(advice), "{error}");
            assert!(!error.contains("secret-of-s3"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_whole_folder_is_a_store_and_foreign_names_in_it_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::folder(folder.path().to_owned());
    conforms(&Store::open(&config, "", Limits::default()).unwrap().at("a/b/").unwrap()).await;
    let store = Store::open(&config, "", Limits::default()).unwrap();
    std::fs::write(folder.path().join("line\nbreak.mp4"), "x").unwrap();
    store.write("fine.mp4", "x").await.unwrap();
    let listed = store.list().await.unwrap().unwrap();
    assert!(listed.objects.iter().all(|object| !object.name.contains('\n')));
    assert!(listed.objects.iter().any(|object| object.name == "fine.mp4"));
    assert_eq!(listed.odd.iter().map(|odd| odd.name.as_str()).collect::<Vec<_>>(), ["line\nbreak.mp4"]);
}

#[tokio::test]
async fn an_object_that_was_replaced_is_not_mixed_with_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::folder(folder.path().to_owned()), "", Limits::default()).unwrap();
    store.write("a.mp4", "first").await.unwrap();
    let first = store.head("a.mp4").await.unwrap();
    store.write("a.mp4", "second one").await.unwrap();
    assert!(matches!(store.stream(&first, 0..3).await, Err(LibraryError::NotFound(_))));
}

#[tokio::test]
async fn local_disk_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let store = Store::open(&StoreConfig::folder(root.clone()), "recordings/", Limits::default()).unwrap();
    conforms(&store).await;
    takes_files_in_parts(&store).await;
    assert!(store.location("a.mp4").unwrap().ends_with("/data/recordings/a.mp4"));
    assert_eq!(store.presign("a.mp4", Duration::from_secs(1)).await.unwrap(), None);
}

/// A server, a store that gives up quickly, and a file for it.
struct Faulty {
    server: s3_server::S3Server,
    store: Store,
    uploader: Uploader,
    folder: tempfile::TempDir,
}

impl Faulty {
    async fn new() -> Self {
        let server = s3_server::S3Server::start().await;
        let short = Duration::from_millis(400);
        let limits = Limits { connect: short, call: short, stall: short };
        let store = Store::open(&s3_config(&server), "recordings/", limits).unwrap();
        Self { server, store, uploader: Uploader::new(), folder: tempfile::tempdir().unwrap() }
    }

    async fn upload(&self, content: &[u8]) -> Result<Object, LibraryError> {
        let file = self.folder.path().join("made.mp4");
        std::fs::write(&file, content).unwrap();
        self.uploader.upload(&self.store, "a.mp4", &file).await
    }
}

#[tokio::test]
async fn what_a_store_does_not_give_back_as_it_was_sent_is_not_stored() {
    let faulty = Faulty::new().await;
    let large = large_content();
    let all = [Kind::LieSize, Kind::Truncate, Kind::Corrupt];
    for (content, kinds) in [(&b"a small file"[..], &all[..]), (&large, &all[2..])] {
        let size = content.len() as u64;
        for &kind in kinds {
            faulty.server.faults.set(Fault { kind, times: Some(1), ..Fault::default() });
            let error = faulty.upload(content).await.unwrap_err();
            match kind {
                Kind::LieSize => assert!(
                    matches!(error, LibraryError::Incomplete { stored, sent } if sent == size && stored + 1 == size)
                ),
                Kind::Truncate => assert!(
                    matches!(error, LibraryError::Incomplete { stored, sent } if sent == size && stored == size / 2)
                ),
                _ => assert!(matches!(error, LibraryError::Different), "{error}"),
            }
            assert_eq!(faulty.server.faults.current().struck, 1);
            assert!(faulty.server.objects().is_empty(), "it would be listed: {kind:?}");
            faulty.upload(content).await.unwrap();
            assert!(faulty.server.object("recordings/a.mp4") == content);
            faulty.store.delete("a.mp4").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_that_hangs_stalls_or_cuts_off_fails_in_time_and_keeps_nothing_of_an_upload() {
    let faulty = Faulty::new().await;
    let large = large_content();
    faulty.upload(&large).await.unwrap();
    let object = faulty.store.head("a.mp4").await.unwrap();
    for kind in [Kind::Hang, Kind::Cut, Kind::Error] {
        let began = std::time::Instant::now();
        faulty.server.faults.set(kind);
        assert!(matches!(faulty.store.list().await, Err(LibraryError::Store(_))), "{kind:?}");
        assert!(matches!(faulty.store.check().await, Err(LibraryError::Store(_))));
        assert!(matches!(faulty.store.head("a.mp4").await, Err(LibraryError::Store(_))));
        assert!(faulty.store.read_range("a.mp4", 0..5).await.is_err());
        assert!(matches!(faulty.store.delete("a.mp4").await, Err(LibraryError::Store(_))));
        assert!(matches!(faulty.store.write("b.json", "{}").await, Err(LibraryError::Store(_))));
        assert!(matches!(faulty.upload(b"small").await, Err(LibraryError::Store(_))));
        assert!(began.elapsed() < Duration::from_secs(20), "{kind:?} took {:?}", began.elapsed());
        faulty.server.faults.set(Kind::None);
    }
    for kind in [Kind::Stall, Kind::Cut] {
        faulty.server.faults.set(kind);
        let began = std::time::Instant::now();
        let failed = match faulty.store.stream(&object, 0..object.size).await {
            Err(_) => true,
            Ok(bytes) => bytes.any(|bytes| async move { bytes.is_err() }).await,
        };
        assert!(failed && began.elapsed() < Duration::from_secs(10), "{kind:?} took {:?}", began.elapsed());
    }
    faulty.server.faults.set(Kind::None);
    faulty.store.delete("a.mp4").await.unwrap();

    // Its parts cannot be sent, and while it fails nothing can be aborted.
    faulty.server.faults.set(Fault { kind: Kind::Error, method: Some("PUT".into()), ..Fault::default() });
    faulty.upload(&large).await.unwrap_err();
    assert!(faulty.server.unfinished().is_empty() && faulty.server.objects().is_empty());
    faulty.server.faults.set(Kind::None);
}

#[tokio::test]
async fn an_upload_that_a_killed_program_left_is_aborted_by_the_next() {
    let faulty = Faulty::new().await;
    let file = faulty.folder.path().join("made.mp4");
    std::fs::write(&file, large_content()).unwrap();
    // The first part hangs, and the program ends.
    faulty.server.faults.set(Fault { kind: Kind::Hang, method: Some("PUT".into()), ..Fault::default() });
    let hangs = async {
        while faulty.server.faults.current().struck == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        uploaded = faulty.uploader.upload(&faulty.store, "a.mp4", &file) => panic!("{uploaded:?}"),
        () = hangs => {}
    }
    assert!(!faulty.server.unfinished().is_empty());
    faulty.server.faults.set(Kind::Error);
    faulty.store.abort(&faulty.uploader.journal).await.unwrap_err();
    faulty.server.faults.set(Kind::None);
    faulty.store.abort(&faulty.uploader.journal).await.unwrap();
    assert!(faulty.server.unfinished().is_empty());
    // Nothing is left to be done.
    faulty.server.faults.set(Kind::Error);
    faulty.store.abort(&faulty.uploader.journal).await.unwrap();
}

#[tokio::test]
async fn what_is_stored_by_copying_on_local_disk_is_read_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::folder(folder.path().join("store"));
    let store = Store::open(&config, "", Limits::default()).unwrap();
    let other =
        Store::open(&StoreConfig::folder(folder.path().join("other")), "", Limits::default()).unwrap();
    other.write("a.mp4", "bytes").await.unwrap();
    let (object, uploader) = (other.head("a.mp4").await.unwrap(), Uploader::new());
    let source = Source::Object(&other, &object);
    let sha256 = hex::encode(Sha256::digest("bytes"));
    let put = |sha256| {
        let proof = Proof { size: 5, sha256 };
        store.put_file("a.mp4", source, proof, &uploader.journal, &uploader.progress)
    };
    assert!(matches!(put("0123").await, Err(LibraryError::Different)));
    assert!(names(&store).await.is_empty());
    put(&sha256).await.unwrap();
    assert_eq!(store.read("a.mp4").await.unwrap(), "bytes");
}

mod manners;
