//! One suite for every store.

use super::*;

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
        let stored = store.upload(name, &file).await.unwrap();
        assert_eq!((stored.name.as_str(), stored.size), (name, name.len() as u64 * 10));
        assert_eq!(store.head(name).await.unwrap(), stored);
        assert_eq!(store.read(name).await.unwrap(), name.repeat(10).as_bytes());
        let mut part = store.stream(name, 1..4).await.unwrap();
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

    for name in
        ["", "/", "a/", "/etc/passwd", "../up.mp4", "a/../../up.mp4", ".", "..", "a//b", "line\nbreak"]
    {
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
    store.upload("large.mp4", &large).await.unwrap();
    assert!(store.read("large.mp4").await.unwrap() == content, "parts are put together in order");
    assert!(matches!(
        store.upload("x.mp4", &folder.path().join("none")).await,
        Err(LibraryError::Local { .. })
    ));
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
