use futures::TryStreamExt as _;
use reelroom_truth::Truth;

use super::*;
use crate::library::LibraryConfig;
use crate::link::LinkKey;
use crate::s3_server::{self, Fault, Kind, S3Server};
use crate::store::{Limits, S3Config, StoreConfig};

const STALL: Duration = Duration::from_millis(400);

fn library(server: &S3Server, folder: &Path) -> Library {
    let store = StoreConfig::S3(S3Config {
        endpoint: Some(server.endpoint.clone()),
        access_key: Some(s3_server::ACCESS_KEY.into()),
        secret_key: Some(s3_server::SECRET_KEY.into()),
        region: "us-east-1".into(),
        bucket: s3_server::BUCKET.into(),
        ..S3Config::default()
    });
    Library::open(LibraryConfig {
        store,
        prefix: "recordings/".into(),
        index: folder.join("index.db"),
        truth: Truth::open(&folder.join("truth.db")).unwrap(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(3600),
        limits: Limits { stall: STALL, ..Limits::default() },
        backup: None,
    })
    .unwrap()
}

async fn read(library: &Library, range: Range<u64>) -> Result<Vec<u8>, LibraryError> {
    let file = library.file("a.mp4").await?;
    let pieces: Vec<Bytes> = library.stream(&file, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_bucket_that_breaks_off_or_stalls_is_asked_for_the_rest() {
    let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
    let library = library(&server, folder.path());
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    library.shared.store.write("a.mp4", bytes.clone()).await.unwrap();
    for kind in [Kind::None, Kind::Cut, Kind::Stall] {
        for times in [1, 3] {
            let method = Some("GET".to_owned());
            server.faults.set(Fault { kind, times: Some(times), method, ..Fault::default() });
            assert_eq!(read(&library, 10..150_000).await.unwrap(), bytes[10..150_000], "{kind:?}");
            assert_eq!(server.faults.current().struck, if kind == Kind::None { 0 } else { times });
        }
    }
}

#[tokio::test]
async fn a_bucket_that_never_gives_the_end_is_an_error_and_not_a_short_file() {
    let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
    let library = library(&server, folder.path());
    library.shared.store.write("a.mp4", vec![7; 8]).await.unwrap();
    server.faults.set(Fault { kind: Kind::Stall, method: Some("GET".into()), ..Fault::default() });
    let began = std::time::Instant::now();
    assert!(matches!(read(&library, 0..8).await, Err(LibraryError::Store(_))));
    assert!(began.elapsed() < STALL * 20, "{:?}", began.elapsed());
}
