//! One suite for every store.

use super::*;

#[path = "../../tests/common/s3.rs"]
mod s3_server;

/// Names that people and attackers choose; each is one recording.
const NAMES: [&str; 5] = [
    "Test Room-RM_x-2026-01-01T101010.mp4",
    "räume & 💥 #1?.mp4",
    "a%2Fb%.mp4",
    "<script>.mp4",
    ".hidden.mp4",
];

async fn conforms(store: &Store) {
    assert!(store.list().await.unwrap().is_empty());
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, name.repeat(10)).unwrap();
        let stored = store.upload(name, &file, &AtomicU64::default()).await.unwrap();
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
    }
    let mut listed: Vec<_> = store.list().await.unwrap().into_iter().map(|object| object.name).collect();
    listed.sort();
    let mut names = NAMES.map(str::to_owned);
    names.sort();
    assert_eq!(listed, names);

    store.write(".metadata/a.json", "{}").await.unwrap();
    store.write(".metadata/a.json", "{\"b\":1}").await.unwrap();
    assert_eq!(store.read(".metadata/a.json").await.unwrap(), "{\"b\":1}");

    let long = "x".repeat(241);
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
        &long,
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

    let large = folder.path().join("large.mp4");
    let content: Vec<u8> = (0..PART_BYTES + 12_345).map(|at| (at % 251) as u8).collect();
    std::fs::write(&large, &content).unwrap();
    let sent = AtomicU64::default();
    store.upload("large.mp4", &large, &sent).await.unwrap();
    assert_eq!(sent.into_inner(), content.len() as u64);
    assert!(store.read("large.mp4").await.unwrap() == content, "parts are put together in order");
    assert!(matches!(
        store.upload("x.mp4", &folder.path().join("none"), &AtomicU64::default()).await,
        Err(LibraryError::Local { .. })
    ));
}

#[tokio::test]
async fn an_s3_server_conforms() {
    let server = s3_server::S3Server::start().await;
    let config = StoreConfig::S3(S3Config {
        endpoint: Some(server.endpoint.clone()),
        access_key: Some(s3_server::ACCESS_KEY.into()),
        secret_key: Some(s3_server::SECRET_KEY.into()),
        region: "us-east-1".into(),
        bucket: s3_server::BUCKET.into(),
    });
    let store = Store::open(&config, "recordings/").unwrap();
    conforms(&store).await;
    assert!(store.is_s3());
    assert_eq!(store.origin().as_deref(), Some(server.endpoint.as_str()));
    store.check().await.unwrap();
    let location = format!("{}/{}/recordings/a.mp4", server.endpoint, s3_server::BUCKET);
    assert_eq!(store.location("a.mp4").unwrap(), location);
    let url = store.presign("large.mp4", Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(url.starts_with(&location.replace("a.mp4", "large.mp4?")) && url.contains("X-Amz-Signature="));
    conforms(&Store::open(&config, "").unwrap().at("deep/er").unwrap()).await;
}

#[tokio::test]
async fn an_s3_server_that_is_not_there_or_refuses_us_is_an_error_in_words() {
    let server = s3_server::S3Server::start().await;
    let config = S3Config {
        endpoint: Some(server.endpoint.clone()),
        access_key: Some(s3_server::ACCESS_KEY.into()),
        secret_key: Some("wrong".into()),
        region: "us-east-1".into(),
        bucket: s3_server::BUCKET.into(),
    };
    let no_bucket = S3Config {
        secret_key: Some(s3_server::SECRET_KEY.into()),
        bucket: "no-such-bucket".into(),
        ..config.clone()
    };
    for config in [config, no_bucket] {
        let store = Store::open(&StoreConfig::S3(config), "").unwrap();
        assert!(matches!(store.list().await, Err(LibraryError::Store(_))));
        assert!(matches!(store.check().await, Err(LibraryError::Store(_))));
    }
}

#[tokio::test]
async fn a_whole_folder_is_a_store_and_foreign_names_in_it_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig::Local { root: folder.path().to_owned() };
    conforms(&Store::open(&config, "").unwrap().at("a/b/").unwrap()).await;
    let store = Store::open(&config, "").unwrap();
    std::fs::write(folder.path().join("line\nbreak.mp4"), "x").unwrap();
    store.write("fine.mp4", "x").await.unwrap();
    let names: Vec<_> = store.list().await.unwrap().into_iter().map(|object| object.name).collect();
    assert!(
        names.contains(&"fine.mp4".to_owned()) && !names.iter().any(|name| name.contains('\n')),
        "{names:?}"
    );
}

#[tokio::test]
async fn an_object_that_was_replaced_is_not_mixed_with_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&StoreConfig::Local { root: folder.path().to_owned() }, "").unwrap();
    store.write("a.mp4", "first").await.unwrap();
    let first = store.head("a.mp4").await.unwrap();
    store.write("a.mp4", "second one").await.unwrap();
    assert!(matches!(store.stream(&first, 0..3).await, Err(LibraryError::NotFound(_))));
}

#[tokio::test]
async fn local_disk_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let store = Store::open(&StoreConfig::Local { root: root.clone() }, "recordings/").unwrap();
    conforms(&store).await;
    assert!(!store.is_s3());
    assert!(store.location("a.mp4").unwrap().ends_with("/data/recordings/a.mp4"));
    assert_eq!(store.presign("a.mp4", Duration::from_secs(1)).await.unwrap(), None);
}

#[test]
fn endpoints_are_taken_with_and_without_a_scheme() {
    let url = |endpoint: Option<&str>| {
        let endpoint = endpoint.map(str::to_owned);
        endpoint_url(&S3Config { endpoint, region: "eu-west-1".into(), ..S3Config::default() })
    };
    assert_eq!(url(Some("http://localhost:9000/")), "http://localhost:9000");
    assert_eq!(url(Some("s3.example.org")), "https://s3.example.org");
    assert_eq!(url(None), "https://s3.eu-west-1.amazonaws.com");
}
